from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from assent.cli import doctor_machine
from assent.cli.doctor import diagnose, exit_code, render
from assent.cli.doctor_machine import check_bfloat16, check_disk, check_packages, check_sqlite
from assent.cli.doctor_workspace import check_workspace
from assent.cli.findings import Finding, examined
from assent.store import Workspace, hash_folder, register_artifact
from tests.checkpoints import Shape


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "project", "task = 'household'\nseed = 3\n")
    folder = made.artifact_dir("policy", "policy-1")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with made.open_store() as store:
        register_artifact(store, "policy", hash_folder(folder), made.relative(folder), artifact_id="policy-1")
    return made


def findings_of(workspace: Workspace) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_workspace(workspace)}


def test_this_machine_is_in_order(workspace: Workspace) -> None:
    findings = diagnose(workspace=workspace.path)
    assert [(finding.name, finding.detail) for finding in findings if finding.status == "fail"] == []
    assert exit_code(findings) == 0
    assert {"python", "packages", "device", "bfloat16", "kernels", "disk", "sqlite", "database", "artifacts"} <= {
        finding.name for finding in findings
    }
    json.dumps([asdict(finding) for finding in findings])


def test_a_diagnosis_leaves_nothing_behind(workspace: Workspace) -> None:
    before = {path.relative_to(workspace.path) for path in workspace.path.rglob("*")} | {Path(".lock")}
    diagnose(workspace=workspace.path)
    assert {path.relative_to(workspace.path) for path in workspace.path.rglob("*")} | {Path(".lock")} == before


def test_a_sound_workspace(workspace: Workspace) -> None:
    found = findings_of(workspace)
    assert {finding.status for finding in found.values()} == {"ok"}
    assert "household, seed 3" in found["settings"].detail
    assert "1 artifacts" in found["artifacts"].detail


def test_no_workspace(tmp_path: Path) -> None:
    assert findings_of(Workspace(tmp_path))["workspace"].status == "fail"


def test_bad_settings(workspace: Workspace) -> None:
    workspace.settings_file.write_text("task = 'household'\nsed = 3\n")
    found = findings_of(workspace)["settings"]
    assert (found.status, found.advice) == ("fail", "did you mean 'seed'?")
    assert "line 2" in found.detail


def test_a_changed_file_of_an_artifact(workspace: Workspace) -> None:
    file = workspace.artifact_dir("policy", "policy-1") / "config.json"
    file.write_text("{ }")
    assert "policy-1: files in artifacts/policy/policy-1 were changed" in findings_of(workspace)["artifacts"].detail
    file.unlink()
    file.parent.rmdir()
    found = findings_of(workspace)["artifacts"]
    assert (found.status, "is missing" in found.detail) == ("fail", True)


def test_a_damaged_database(workspace: Workspace) -> None:
    with sqlite3.connect(workspace.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(workspace.database.read_bytes())
    content[4096:12288] = b"\xa5" * 8192  # the second and the third page
    workspace.database.write_bytes(content)
    found = findings_of(workspace)
    assert found["database"].status == "fail"
    assert "backup" in found["database"].advice
    assert "artifacts" not in found


def test_a_missing_or_foreign_database(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    assert "not a database" in findings_of(workspace)["database"].detail
    for file in workspace.path.glob("assent.db*"):
        file.unlink()
    assert "is missing" in findings_of(workspace)["database"].detail
    assert not workspace.database.exists()


@pytest.fixture
def lock_holder(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import sys; from assent.store import Workspace\n"
        "with Workspace(sys.argv[1]).lock(): print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(workspace.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.communicate("")


def test_a_busy_workspace_is_no_failure(workspace: Workspace, lock_holder: subprocess.Popen[str]) -> None:
    found = findings_of(workspace)
    assert found["lock"].status == "warn"
    assert f"pid {lock_holder.pid}" in found["lock"].detail
    assert exit_code(list(found.values())) == 0


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "absent").status == "fail"
    assert check_sqlite(tmp_path / "absent").status == "fail"


def test_a_missing_and_an_old_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["surely-not-installed>=1", "pytest>=999", "rich", "nothing; extra == 'gpu'"]
    monkeypatch.setattr(doctor_machine.metadata, "requires", lambda name: wanted)
    found = check_packages()
    assert found.status == "fail"
    assert found.detail.startswith("surely-not-installed is missing; pytest ")
    assert found.detail.endswith("is not >=999")


def test_bfloat16_is_measured() -> None:
    assert "float32" in check_bfloat16().detail


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> Finding:
        raise RuntimeError("no such register")

    found = examined("registers", broken)
    assert (found.name, found.status) == ("registers", "fail")
    assert "no such register" in found.detail


def test_what_is_printed_is_not_taken_for_markup() -> None:
    console = Console(width=100, record=True, file=StringIO())
    render([Finding("disk", "warn", "/data/[bold]x", "free [some] space"), Finding("python", "ok", "3.11")], console)
    text = console.export_text()
    assert "/data/[bold]x" in text
    assert "free [some] space" in text
    assert [line.split()[0] for line in text.splitlines() if line.strip()] == ["warn", "free", "ok"]


def test_how_the_model_would_be_run_is_told(workspace: Workspace, checkpoint: Callable[[Shape], Path]) -> None:
    folder = workspace.artifact_dir("sft", "sft-2")
    shutil.copytree(checkpoint("llama"), folder)
    with workspace.open_store() as store:
        register_artifact(store, "sft", hash_folder(folder), workspace.relative(folder), artifact_id="sft-2")
    found = findings_of(workspace)["backends"]
    assert found.status == "ok"
    assert "sft-2: read packed" in found.detail
    assert "written in slots" in found.detail
    assert "compiled kernels" in found.detail
    assert "fp32 in sampling" in found.detail, "the test's model is narrow"
