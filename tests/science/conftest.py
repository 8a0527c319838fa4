"""One collection of findings for the whole run, and the page that is made of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.science.findings import Findings

_FINDINGS = pytest.StashKey[Findings]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", metavar="FOLDER", help="workspaces of the longest tests, to go on with where they are")
    parser.addoption("--draw", metavar="FOLDER", help="write science.md and its figures there, if every test passes")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FINDINGS] = Findings()


@pytest.fixture(scope="session")
def findings(pytestconfig: pytest.Config) -> Iterator[Findings]:
    yield pytestconfig.stash.setdefault(_FINDINGS, Findings())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.passed and _FINDINGS in item.config.stash:
        item.config.stash[_FINDINGS].heard(item.module, report.capstdout)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    folder = session.config.getoption("--draw", default=None)
    if folder is None:
        return
    if exitstatus == pytest.ExitCode.OK:
        session.config.stash[_FINDINGS].write(Path(folder))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--draw", default=None) is None:
        return
    for section, rows in config.stash[_FINDINGS].rows.items():
        terminalreporter.section(section.title)
        for row in rows:
            terminalreporter.line("  ".join(row))
