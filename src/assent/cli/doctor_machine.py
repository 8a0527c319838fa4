"""Checks of the machine: packages, compute, memory, and a folder's disk."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from assent.cli.findings import GIB, Finding

if TYPE_CHECKING:
    from torch import Tensor

_LOW_MEMORY, _LOW_DISK, _NO_DISK = 2 * GIB, 2 * GIB, GIB // 4
_PROBE = 512  # side of the matrices that are multiplied


def check_python() -> Finding:
    """Python's version; the machine's name for bug reports."""
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", "ok", detail)


def check_packages() -> Finding:
    """Every package that assent needs is there, in a version it is tested with."""
    from packaging.requirements import Requirement

    found, wrong = [], []
    for text in metadata.requires("assent") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        found.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        return Finding("packages", "fail", "; ".join(wrong), f"{sys.executable} -m pip install --upgrade assent")
    shown = [text for text in found if text.split()[0] in ("torch", "transformers", "peft", "sqlalchemy", "pydantic")]
    return Finding("packages", "ok", ", ".join(shown))


def check_torchvision() -> Finding:
    """A torchvision built for another torch breaks transformers when it is imported."""
    if util.find_spec("torchvision") is None:
        return Finding("torchvision", "ok", "not installed, not needed")
    try:
        __import__("torchvision")
    except Exception as error:
        return Finding(
            "torchvision", "fail", f"does not go with this torch: {error}", "uninstall torchvision: nothing needs it"
        )
    return Finding("torchvision", "ok", metadata.version("torchvision"))


def check_device() -> Finding:
    """What tensors are computed on."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Finding(
            "device", "ok", f"{name}, {free / GIB:.0f} of {total / GIB:.0f} GiB free (torch {torch.__version__})"
        )
    threads = torch.get_num_threads()
    detail = f"CPU, {threads} threads of {os.cpu_count()} cores (torch {torch.__version__})"
    if torch.version.cuda:
        return Finding(
            "device", "warn", detail, "torch is built for CUDA but sees no GPU: check the driver (nvidia-smi)"
        )
    return Finding("device", "ok", detail)


def check_bfloat16() -> Finding:
    """bfloat16 is computed correctly, and how much faster than float32 a matrix product is in it."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(_PROBE, _PROBE, generator=generator).to(device) for _ in range(2))
    exact = a @ b
    # Rounding the factors to 8 bits moves a sum of n products by about sqrt(n) * 2^-8 standard deviations of a product.
    error = float((a.bfloat16() @ b.bfloat16()).float().sub(exact).abs().mean() / exact.abs().mean())
    if not error < 0.02:
        return Finding("bfloat16", "warn", f"relative error {error:.3f}", 'keep model.dtype = "float32"')
    gain = _seconds_of_product(a, b) / _seconds_of_product(a.bfloat16(), b.bfloat16())
    if gain < 1:
        return Finding("bfloat16", "ok", f"works, but no faster than float32 here ({gain:.1f} times the speed)")
    return Finding("bfloat16", "ok", f"works, {gain:.1f} times the speed of float32 in a matrix product")


def check_openmp() -> Finding:
    """CPU threads that spin while they wait make two processes on one machine many times slower."""
    import torch  # noqa: F401  (its OpenMP is what is looked for)

    settings = {name: os.environ[name] for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ}
    detail = ", ".join(f"{name}={value}" for name, value in settings.items())
    calm = settings.get("OMP_WAIT_POLICY", "").lower() == "passive" or "GOMP_SPINCOUNT" in settings
    if not calm and _loaded("libgomp"):
        return Finding(
            "threads", "warn", detail or "waiting threads spin", "export GOMP_SPINCOUNT=20000 before the command"
        )
    return Finding("threads", "ok", detail or "this OpenMP needs no setting")


def check_memory() -> Finding:
    """Memory that is free to use, of the machine or of the container."""
    import torch

    from assent.training.memory import free_memory

    free = free_memory(torch.device("cpu"))
    if free is None:
        return Finding("memory", "ok", "unknown on this system")
    detail = f"{free / GIB:.1f} GiB free"
    if free < _LOW_MEMORY:
        return Finding("memory", "warn", detail, "the demo needs about 2 GiB; lower compute.tokens_per_microbatch")
    return Finding("memory", "ok", detail)


def check_disk(folder: Path) -> Finding:
    """The folder can be written to, durably, and has room for checkpoints."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".assent-doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding("disk", "fail", f"{folder} cannot be written: {error.strerror}", "use another folder")
    free = shutil.disk_usage(folder).free
    detail = f"{folder} is writable, {free / GIB:.1f} GiB free"
    if free < _LOW_DISK:
        return Finding("disk", "fail" if free < _NO_DISK else "warn", detail, "free some space: checkpoints need it")
    return Finding("disk", "ok", detail)


def check_sqlite(folder: Path) -> Finding:
    """SQLite's write-ahead log and file locks work in this folder; on some network drives they do not."""
    advice = "keep the workspace on a local disk: network drives often lack the locks that SQLite needs"
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".assent-doctor-") as scratch:
            connection = sqlite3.connect(Path(scratch) / "probe.db")
            try:
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                connection.executescript("CREATE TABLE probe (x INTEGER); INSERT INTO probe VALUES (7);")
                read_back = connection.execute("SELECT x FROM probe").fetchone()[0]
            finally:
                connection.close()
            with (Path(scratch) / "lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, sqlite3.Error) as error:
        return Finding("sqlite", "fail", f"{sqlite3.sqlite_version}: {error}", advice)
    if mode != "wal" or read_back != 7:
        return Finding("sqlite", "fail", f"{sqlite3.sqlite_version}: no write-ahead log here (mode {mode})", advice)
    return Finding("sqlite", "ok", f"{sqlite3.sqlite_version}, write-ahead log and locks work in {folder}")


def _loaded(library: str) -> bool:
    try:
        return library in Path("/proc/self/maps").read_text()
    except OSError:
        return False


def _seconds_of_product(a: Tensor, b: Tensor, repeats: int = 5) -> float:
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        product = a @ b
        float(product[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - started)
    return best
