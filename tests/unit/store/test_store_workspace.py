"""The workspace folder: its paths, its lock, and files that are whole or absent; full and read-only disks."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assent.store import Store, Workspace, atomic_dir, hash_folder, translate_os_errors, write_atomic, write_json_atomic
from assent.types.errors import WorkspaceError

HOLDER = """
import sys, time
from assent.store import Workspace
with Workspace(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""

HALF_WRITER = """
import os, signal, sys
from pathlib import Path
from assent.store import atomic_dir
with atomic_dir(Path(sys.argv[1])) as aside:
    (aside / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small tmpfs with these options; skips where that is not allowed."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        place = tmp_path / f"mount{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if (
            os.geteuid() != 0
            or shutil.which("mount") is None
            or subprocess.run(command, capture_output=True).returncode
        ):
            pytest.skip("mounting a file system needs root")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_create_open_and_paths(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", "[demo]\n")
    assert workspace.settings_file.read_text() == "[demo]\n"
    assert workspace.database.is_file() and workspace.artifacts.is_dir() and workspace.runs.is_dir()
    inside = workspace.artifact_dir("policy", "policy-1")
    assert inside == tmp_path / "w" / "artifacts" / "policy" / "policy-1"
    assert workspace.relative(inside) == "artifacts/policy/policy-1"
    assert workspace.run_dir("round1-rl") == tmp_path / "w" / "runs" / "round1-rl"
    with Workspace.open(tmp_path / "w").open_store() as store:
        assert store.location == str(workspace.database)
    with pytest.raises(WorkspaceError, match="is a workspace already"):
        Workspace.create(tmp_path / "w")


def test_what_is_no_workspace_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="does not exist"):
        Workspace.open(tmp_path / "nowhere")
    with pytest.raises(WorkspaceError, match=r"has no assent\.toml"):
        Workspace.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="is a file"):
        Workspace.create(tmp_path / "file")
    with pytest.raises(WorkspaceError, match="does not exist"), Workspace(tmp_path / "nowhere").lock():
        pass


def test_creation_cut_short_can_be_completed(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "w").settings_file.unlink()
    assert Workspace.create(tmp_path / "w").exists


def test_one_process_at_a_time_and_a_killed_one_frees_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(workspace.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(WorkspaceError, match=f"pid {holder.pid}"), workspace.lock():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=30)
    with workspace.lock(), pytest.raises(WorkspaceError, match=f"pid {os.getpid()}"), workspace.lock():
        pass
    with workspace.lock():
        pass


def test_write_atomic_replaces_the_whole(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "state.json"
    write_atomic(file, "ü" * 1000)
    write_json_atomic(file, {"b": 1, "a": [1.5]})
    assert file.read_text() == '{"a":[1.5],"b":1}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json_atomic(file, {"loss": float("nan")})
    assert file.read_text() == '{"a":[1.5],"b":1}\n'
    assert [p.name for p in file.parent.iterdir()] == ["state.json"]


def test_atomic_dir_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "artifacts" / "policy" / "x"
    with pytest.raises(KeyError), atomic_dir(final) as aside:
        (aside / "half").write_text("half")
        raise KeyError
    assert list(final.parent.iterdir()) == []
    with atomic_dir(final) as aside:
        assert aside.parent == final.parent and not final.exists()
        (aside / "sub").mkdir()
        (aside / "sub" / "weights").write_bytes(b"1")
    assert (final / "sub" / "weights").read_bytes() == b"1"
    with atomic_dir(final) as aside:
        (aside / "other").write_text("2")
    assert [p.name for p in final.iterdir()] == ["sub"], "a folder that is there stays"
    assert [p.name for p in final.parent.iterdir()] == ["x"]


def test_what_a_killed_writer_left_is_swept_but_a_living_one_is_left_alone(tmp_path: Path) -> None:
    final = tmp_path / "x"
    killed = subprocess.run([sys.executable, "-c", HALF_WRITER, str(final)])
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with atomic_dir(final) as first:
        assert not left.exists()
        with atomic_dir(final) as second:
            assert first.exists()
            (second / "a").write_text("")
        (first / "b").write_text("")
    assert [p.name for p in final.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [final]


def test_hash_folder_knows_names_and_bytes(tmp_path: Path) -> None:
    for name, content in (("a/one", "1"), ("two", "2")):
        write_atomic(tmp_path / "x" / name, content)
        write_atomic(tmp_path / "y" / name, content)
    assert hash_folder(tmp_path / "x") == hash_folder(tmp_path / "y")
    (tmp_path / "y" / "two").rename(tmp_path / "y" / "three")
    assert hash_folder(tmp_path / "x") != hash_folder(tmp_path / "y")
    with pytest.raises(FileNotFoundError):
        hash_folder(tmp_path / "z")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM])
def test_os_errors_name_the_file_and_what_to_do(code: int) -> None:
    with pytest.raises(WorkspaceError) as caught, translate_os_errors("some/file"):
        raise OSError(code, os.strerror(code))
    assert "some/file" in caught.value.message and caught.value.hint
    with pytest.raises(FileNotFoundError), translate_os_errors("some/file"):
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_a_full_disk_leaves_nothing_half_written(mount: Callable[[str], Path]) -> None:
    disk = mount("size=1m")
    workspace = Workspace.create(disk / "w")
    with pytest.raises(WorkspaceError, match="the disk is full"):
        write_atomic(disk / "big", b"x" * 2_000_000)
    with pytest.raises(WorkspaceError, match="the disk is full"), atomic_dir(disk / "policy") as aside:
        (aside / "weights").write_bytes(b"x" * 2_000_000)
    assert {p.name for p in disk.iterdir()} == {"w"}
    from assent.store import add_prompts, list_prompts
    from assent.types.messages import user_prompt

    with workspace.open_store() as store:
        kept = add_prompts(store, [user_prompt("small")])
        with pytest.raises(WorkspaceError, match="the disk is full"):
            add_prompts(store, [user_prompt("x" * 2_000_000)])
        assert [number for number, _ in list_prompts(store)] == kept


def test_a_read_only_workspace_is_told(mount: Callable[[str], Path]) -> None:
    disk = mount("size=4m")
    workspace = Workspace.create(disk / "w")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(WorkspaceError, match="read-only"), workspace.lock():
        pass
    with pytest.raises(WorkspaceError, match="read-only"):
        write_atomic(workspace.path / "x", "x")
    with pytest.raises(WorkspaceError, match="read-only"):
        Workspace.create(disk / "v")
    with pytest.raises(WorkspaceError, match=r"cannot be opened|read-only"):
        workspace.open_store()


def test_another_database_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Workspace.create(tmp_path / "w")
    Store.open(tmp_path / "other.db", create=True).close()
    monkeypatch.setenv("ASSENT_DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    with place.open_store() as store:
        assert store.location.endswith("other.db")
