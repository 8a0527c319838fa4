"""Single numbers inside kernels: bf16 as the upper half of an fp32's bits, and an exponential that becomes vectors."""

# Numba infers types by itself, and its decorators have none.
# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

# Where kernels take parts of arrays, each has a line of its own: what is written through a name that came out of a
# tuple can be lost (Numba 0.68). Not `ninf`: banned tokens have logits of -inf.
OPTIONS = {
    "fastmath": {"reassoc", "contract", "nsz", "arcp", "nnan"},
    "error_model": "numpy",
    "parallel": True,
    "cache": True,
}
F = np.float32
_U = np.uint32
_FLOAT = ir.FloatType()


@intrinsic
def _float_of(_, bits):
    return types.float32(types.uint32), lambda _, builder, __, args: builder.bitcast(args[0], _FLOAT)


@intrinsic
def bits_of(_, x):
    """An fp32's bits."""
    return types.uint32(types.float32), lambda _, builder, __, args: builder.bitcast(args[0], ir.IntType(32))


@intrinsic
def _nearest(_, x):
    def code(_, builder, __, args):
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [_FLOAT]), args)

    return types.float32(types.float32), code


@intrinsic
def larger(_, x, y):
    """The larger of two, as an instruction that reductions become vectors with."""

    def code(_, builder, __, args):
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _FLOAT])
        return builder.call(
            builder.module.declare_intrinsic("llvm.maxnum", [_FLOAT], kind), args, fastmath=("nnan", "nsz")
        )

    return types.float32(types.float32, types.float32), code


@njit(inline="always")
def exp(x):
    """e to the x in fp32, to a unit or two in the last place (Cephes' polynomial); bounded by e±87."""
    x = -larger(-larger(x, F(-87.0)), F(-87.0))
    whole = _nearest(x * F(1.44269504))
    rest = (x - whole * F(0.693359375)) + whole * F(2.12194440e-4)
    sum_ = F(1.9875691500e-4)
    sum_ = sum_ * rest + F(1.3981999507e-3)
    sum_ = sum_ * rest + F(8.3334519073e-3)
    sum_ = sum_ * rest + F(4.1665795894e-2)
    sum_ = sum_ * rest + F(1.6666665459e-1)
    sum_ = sum_ * rest + F(5.0000001201e-1)
    sum_ = sum_ * rest * rest + rest + F(1.0)
    return sum_ * _float_of(_U(np.int32(whole) + np.int32(127)) << _U(23))


def wide(x):
    """An element of an array as fp32."""


@overload(wide, inline="always")
def _wide(x):
    if isinstance(x, types.Float):
        return lambda x: x
    return lambda x: _float_of(_U(x) << _U(16))


def narrow(x, table):
    """An fp32 as this array keeps it: rounded to the nearest bf16, to even if two are as near, or left as it is."""


@overload(narrow, inline="always")
def _narrow(x, table):
    if isinstance(table.dtype, types.Float):
        return lambda x, table: x

    def rounded(x, table):
        bits = bits_of(x)
        return np.uint16((bits + _U(0x7FFF) + ((bits >> _U(16)) & _U(1))) >> _U(16))

    return rounded
