"""Kernels are compiled in a process of their own, and every other one, the first as the hundredth, loads them.

What Numba has compiled in parallel mode runs twice optimised where it is loaded from disk, and once where it was just
compiled (0.68: the loops' own symbols are found in the process first). Sums are then rounded differently, and a run
that was stopped would not go on to the same bits.
"""

# mypy: ignore-errors

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module

from numba import types
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

_helpers = []


class CompiledElsewhere:
    """A dispatcher's cache on disk. What it lacks is asked of the helper, and read then.

    Where there is no helper, nothing is found: Numba then compiles here.
    """

    def __init__(self, cache, kernel):
        self._cache, self._kernel = cache, kernel

    def __getattr__(self, name):
        return getattr(self._cache, name)

    def load_overload(self, signature, context):
        """What is on disk for these types."""
        found = self._cache.load_overload(signature, context)
        if found is None and _ask(self._kernel, signature):
            found = self._cache.load_overload(signature, context)
        return found


def compile_elsewhere(module):
    """All kernels of a module that are kept on disk."""
    for name, kernel in vars(module).items():
        if isinstance(kernel, Dispatcher) and isinstance(kernel._cache, FunctionCache):
            kernel._cache = CompiledElsewhere(kernel._cache, f"{module.__name__}.{name}")


def _ask(kernel, signature):
    """Whether the helper, which lives as long as this process, has compiled it."""
    question = json.dumps([kernel, [_told(kind) for kind in signature]]).encode()
    try:
        if not _helpers:
            _helpers.append(_helper())
        helper = _helpers[0]
        if helper is None:
            return False
        helper.stdin.write(question + b"\n")
        helper.stdin.flush()
        if helper.stdout.readline().strip() == question:
            return True
        helper.kill()
        _helpers[:] = [None]  # it cannot do it, and is not asked again
        return False
    except OSError:
        _helpers[:] = [None]
        return False
    except BaseException:  # its answer would be taken for that to the next question
        _helpers.pop().kill()
        raise


def _helper():
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],  # the folder that one works in has no part in it
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is not meant for it
    )


def _told(kind):
    """A type as JSON: a table's by what makes it, any other by its name."""
    if isinstance(kind, types.Array):
        return [str(kind.dtype), kind.ndim, kind.layout, not kind.mutable, kind.aligned]
    return str(kind)


def _kind(told):
    """The inverse."""
    if isinstance(told, str):
        return getattr(types, told)
    dtype, count, layout, readonly, aligned = told
    return types.Array(_kind(dtype), count, layout, readonly=readonly, aligned=aligned)


def _serve():
    """One line a kernel, until nobody asks any more."""
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever is printed is no answer
    for line in sys.stdin.buffer:
        kernel, signature = json.loads(line)
        file, _, name = kernel.rpartition(".")
        getattr(import_module(file), name).compile(tuple(map(_kind, signature)))
        os.write(answers, line)


if __name__ == "__main__":
    _serve()
