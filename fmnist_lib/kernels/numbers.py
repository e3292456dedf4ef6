"""How a kernel is compiled, and how it reads and writes numbers."""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

EXACT = {"contract", "nsz", "arcp"}  # what LLVM may do: nothing that changes the order of a sum


def compiled(function):
    """Compile a function on first use, from the disk's cache if there is one; without where none can be kept."""
    try:
        return njit(function, fastmath=EXACT, error_model="numpy", cache=True)
    except RuntimeError:  # no folder for a cache
        return njit(function, fastmath=EXACT, error_model="numpy")


@intrinsic
def _float_of(_, bits):
    def codegen(context, builder, signature, arguments):
        from llvmlite import ir

        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), codegen


@intrinsic
def _bits_of(_, x):
    def codegen(context, builder, signature, arguments):
        from llvmlite import ir

        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), codegen


def load(value):
    """Return a stored value as fp32."""


def store(row, c, x):
    """Write fp32 as the row keeps it: bf16 rounds to nearest, ties to even."""


@overload(load, jit_options={"forceinline": True, "fastmath": EXACT})
def _load(value):
    if value == types.uint16:
        return lambda value: _float_of(np.uint32(value) << np.uint32(16))
    return lambda value: value


@overload(store, jit_options={"forceinline": True, "fastmath": EXACT})
def _store(row, c, x):
    if row.dtype != types.uint16:

        def as_it_is(row, c, x):
            row[c] = x

        return as_it_is

    def rounded(row, c, x):
        bits = _bits_of(x)
        row[c] = np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

    return rounded
