"""`assent doctor`: is this machine, and this workspace, in order?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from assent.cli import doctor_machine as machine
from assent.cli.doctor_kernels import check_kernels
from assent.cli.doctor_workspace import check_workspace
from assent.cli.findings import Finding, examined
from assent.store import Workspace

if TYPE_CHECKING:
    from rich.console import Console

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[bold red]fail[/]"}


def diagnose(folder: Path | None = None, workspace: Path | None = None) -> list[Finding]:
    """Examine the machine, the disk under a folder, and, where one is given, a workspace. Changes nothing.

    Args:
        folder: where work is to be done; the workspace's, or else the current folder, if not given.
        workspace: an existing workspace.
    """
    place = (folder or workspace or Path.cwd()).expanduser().absolute()
    checks: dict[str, Callable[[], Finding]] = {
        "python": machine.check_python,
        "packages": machine.check_packages,
        "torchvision": machine.check_torchvision,
        "device": machine.check_device,
        "bfloat16": machine.check_bfloat16,
        "threads": machine.check_openmp,
        "kernels": check_kernels,
        "memory": machine.check_memory,
        "disk": partial(machine.check_disk, place),
        "sqlite": partial(machine.check_sqlite, place),
    }
    findings = [examined(name, check) for name, check in checks.items()]
    if workspace is not None:
        findings += check_workspace(Workspace(workspace))
    return findings


def exit_code(findings: Sequence[Finding]) -> int:
    """1 if any check failed, else 0: a warning is no failure."""
    return int(any(finding.status == "fail" for finding in findings))


def render(findings: Sequence[Finding], console: Console) -> None:
    """Print the findings as a table, and beneath each that is not in order what to do."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        advice = f"\n[dim]{escape(finding.advice)}[/]" if finding.advice else ""
        table.add_row(_MARKS[finding.status], f"[bold]{finding.name}[/]", escape(finding.detail) + advice)
    console.print(table)
