"""The loops of a training on a CPU that PyTorch has no name for, compiled by numba on first use and kept on disk.

Arrays lie channels-last, [N, H, H, C]; values are fp32, or bf16 as the uint16 that holds its bits; arithmetic is fp32,
and sums over a batch are fp32 within an image and fp64 over images. Where a 2×2 window's maximum came from is a number
from 0 to 3 (ties go to the first, as in PyTorch), and 4 more where the activation was on its lower side.

What a loop looks like is what LLVM vectorises: the innermost runs over channels, small fixed ones are unrolled into it,
what meets in it are few flat arrays, and a select chooses between constants.
"""

import functools

import numpy as np
from numba import njit, types
from numba.core.errors import NumbaError
from numba.extending import intrinsic, overload

SIDE = 28  # of an image
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


@functools.cache
def first_sums(k: int, pad: int):
    """Compile the sums over a batch of all k×k patches [k²] and of their products [k², k²].

    Two pixels of a patch that lie (down, across) from each other meet in as many products as there are patches, so
    that the products of the image with itself, moved by that much, are summed along columns once for all such pairs.
    """
    side = SIDE + 2 * pad
    out, edge, lags = side - k + 1, k - 1, 2 * k - 1
    wide = -(-side // 16) * 16
    row = wide + 2 * edge

    def sums(images, scale, shift, single, double):
        x, column = np.zeros(side * row, np.float32), np.empty(wide, np.float32)
        products, plain = np.zeros(k * lags * k * wide), np.zeros(k * wide)
        for n in range(len(images)):
            image = images[n]
            for r in range(SIDE):
                for c in range(SIDE):
                    x[(pad + r) * row + edge + pad + c] = np.float32(image[r, c]) * scale + shift
            for down in range(k):
                for lag in range(lags):
                    if down > 0 or lag >= edge:
                        moved = down * row + lag
                        for c in range(wide):
                            total = np.float32(0)
                            for r in range(out):
                                total += x[edge + r * row + c] * x[moved + r * row + c]
                            column[c] = total
                        for top in range(k - down):
                            at = ((down * lags + lag) * k + top) * wide
                            for c in range(wide):
                                products[at + c] += column[c]
                            a, b = top * row + edge, top * row + moved
                            for c in range(wide):  # one row down
                                column[c] += x[a + out * row + c] * x[b + out * row + c] - x[a + c] * x[b + c]
            for top in range(k):
                a = top * row + edge
                for c in range(wide):
                    total = np.float32(0)
                    for r in range(out):
                        total += x[a + r * row + c]
                    column[c] = total
                for c in range(wide):
                    plain[top * wide + c] += column[c]
        for p in range(k * k):
            single[p] = plain[p // k * wide + p % k :][:out].sum()
            for q in range(p, k * k):
                down, lag = q // k - p // k, q % k - p % k + edge
                at = ((down * lags + lag) * k + p // k) * wide + p % k
                double[p, q] = double[q, p] = products[at : at + out].sum()

    return compiled(sums)


@functools.cache
def first_forward(k: int, pad: int, channels: int):
    """Compile convolution → 2×2 maximum → a·x + b → activation, from bytes [N, 28, 28] to [N, P, P, channels]."""
    side = SIDE + 2 * pad
    pooled = (side - k + 1) // 2

    def forward(images, scale, shift, weights, a, b, slope, out, code):
        x, y = np.zeros(side * side, np.float32), np.empty(4 * channels, np.float32)
        for n in range(len(images)):
            image = images[n]
            for r in range(SIDE):
                for c in range(SIDE):
                    x[(pad + r) * side + pad + c] = np.float32(image[r, c]) * scale + shift
            for r in range(pooled):
                for s in range(pooled):
                    at = 2 * r * side + 2 * s
                    for c in range(channels):
                        y0, y1, y2, y3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                        for i in range(k):
                            for j in range(k):
                                w, here = weights[(i * k + j) * channels + c], at + i * side + j
                                y0 += x[here] * w
                                y1 += x[here + 1] * w
                                y2 += x[here + side] * w
                                y3 += x[here + side + 1] * w
                        y[c], y[channels + c], y[2 * channels + c], y[3 * channels + c] = y0, y1, y2, y3
                    row, where = out[n, r, s], code[n, r, s]
                    for c in range(channels):
                        y0, y1, y2, y3 = y[c], y[channels + c], y[2 * channels + c], y[3 * channels + c]
                        upper, lower = max(y0, y1), max(y2, y3)
                        z = max(upper, lower) * a[c] + b[c]
                        store(row, c, z if z > 0 else slope * z)
                        first = np.uint8(0) if y0 >= y1 else np.uint8(1)
                        second = np.uint8(2) if y2 >= y3 else np.uint8(3)
                        where[c] = (first if upper >= lower else second) + (np.uint8(0) if z > 0 else np.uint8(4))

    return compiled(forward)


@functools.cache
def first_backward(k: int, pad: int, channels: int):
    """Compile the sums over a batch of gradients [channels], and of gradients times the patches they go to."""
    side = SIDE + 2 * pad
    pooled = (side - k + 1) // 2

    def backward(images, scale, shift, gradient, code, slope, patches, total):
        x, parts = np.zeros(side * side, np.float32), np.empty(4 * channels, np.float32)
        inner, mine, g = (
            np.empty(k * k * channels, np.float32),
            np.empty(channels, np.float32),
            np.empty(channels, np.float32),
        )
        zero, one = np.float32(0), np.float32(1)
        for n in range(len(images)):
            image = images[n]
            for r in range(SIDE):
                for c in range(SIDE):
                    x[(pad + r) * side + pad + c] = np.float32(image[r, c]) * scale + shift
            inner[:], mine[:] = 0, 0
            for r in range(pooled):
                for s in range(pooled):
                    row, where, at = gradient[n, r, s], code[n, r, s], 2 * r * side + 2 * s
                    for c in range(channels):
                        g[c] = load(row[c]) * (one if where[c] < 4 else slope)
                        mine[c] += g[c]
                    for c in range(channels):
                        which, value = np.uint32(where[c]) & np.uint32(3), g[c]
                        parts[c] = value if which == np.uint32(0) else zero
                        parts[channels + c] = value if which == np.uint32(1) else zero
                        parts[2 * channels + c] = value if which == np.uint32(2) else zero
                        parts[3 * channels + c] = value if which == np.uint32(3) else zero
                    for i in range(k):
                        for c in range(channels):
                            g0, g1 = parts[c], parts[channels + c]
                            g2, g3 = parts[2 * channels + c], parts[3 * channels + c]
                            for j in range(k):
                                here = at + i * side + j
                                upper, lower = (
                                    x[here] * g0 + x[here + 1] * g1,
                                    x[here + side] * g2 + x[here + side + 1] * g3,
                                )
                                inner[(i * k + j) * channels + c] += upper + lower
            for c in range(k * k * channels):
                patches[c] += inner[c]
            for c in range(channels):
                total[c] += mine[c]

    return compiled(backward)


@functools.cache
def pool_forward(channels: int):
    """Compile the 2×2 maximum [N, P, P, C] of y · sign, times sign, of [N, H, H, C], and the sums of y and of y²."""

    def forward(y, sign, pooled, code, sums, squares):
        s, q = np.empty(channels, np.float32), np.empty(channels, np.float32)
        for n in range(len(y)):
            s[:], q[:] = 0, 0
            for r in range(y.shape[1] // 2):
                for e in range(y.shape[2] // 2):
                    row0, row1, row2, row3 = (
                        y[n, 2 * r, 2 * e],
                        y[n, 2 * r, 2 * e + 1],
                        y[n, 2 * r + 1, 2 * e],
                        y[n, 2 * r + 1, 2 * e + 1],
                    )
                    to, where = pooled[n, r, e], code[n, r, e]
                    for c in range(channels):
                        y0, y1, y2, y3 = load(row0[c]), load(row1[c]), load(row2[c]), load(row3[c])
                        s[c] += (y0 + y1) + (y2 + y3)
                        q[c] += (y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3)
                        t = sign[c]
                        y0, y1, y2, y3 = y0 * t, y1 * t, y2 * t, y3 * t
                        upper, lower = max(y0, y1), max(y2, y3)
                        store(to, c, max(upper, lower) * t)
                        first = np.uint8(0) if y0 >= y1 else np.uint8(1)
                        second = np.uint8(2) if y2 >= y3 else np.uint8(3)
                        where[c] = first if upper >= lower else second
            for r in range(y.shape[1]):
                for e in range(y.shape[2]):
                    if r >= y.shape[1] // 2 * 2 or e >= y.shape[2] // 2 * 2:  # an odd side's last row and column
                        row = y[n, r, e]
                        for c in range(channels):
                            value = load(row[c])
                            s[c] += value
                            q[c] += value * value
            for c in range(channels):
                sums[c] += s[c]
                squares[c] += q[c]

    return compiled(forward)


@functools.cache
def norm_forward(channels: int):
    """Compile activation(a·x + b) over rows [M, C]; adds 4 to the code where the activation is on its lower side."""

    def forward(pooled, a, b, slope, out, code):
        for i in range(len(pooled)):
            row, to, where = pooled[i], out[i], code[i]
            for c in range(channels):
                z = load(row[c]) * a[c] + b[c]
                store(to, c, z if z > 0 else slope * z)
                where[c] += np.uint8(0) if z > 0 else np.uint8(4)

    return compiled(forward)


@functools.cache
def norm_sums(channels: int):
    """Compile the sums over a batch of the gradient before the activation, and of it times x − mean."""

    def sums(gradient, code, pooled, mean, slope, total, moved):
        s, q = np.empty(channels, np.float32), np.empty(channels, np.float32)
        one = np.float32(1)
        for n in range(len(gradient)):
            s[:], q[:] = 0, 0
            for i in range(gradient.shape[1]):
                row, where, at = gradient[n, i], code[n, i], pooled[n, i]
                for c in range(channels):
                    g = load(row[c]) * (one if where[c] < 4 else slope)
                    s[c] += g
                    q[c] += g * (load(at[c]) - mean[c])
            for c in range(channels):
                total[c] += s[c]
                moved[c] += q[c]

    return compiled(sums)


@functools.cache
def pool_backward(channels: int):
    """Compile the gradient of y: scale · gradient where the maximum was, and everywhere steep · y + level."""

    def backward(y, gradient, code, scale, slope, steep, level, dy):
        parts, g = np.empty(4 * channels, np.float32), np.empty(channels, np.float32)
        zero, one = np.float32(0), np.float32(1)
        for n in range(len(y)):
            for r in range(y.shape[1] // 2):
                for e in range(y.shape[2] // 2):
                    row, where = gradient[n, r, e], code[n, r, e]
                    for c in range(channels):
                        g[c] = load(row[c]) * scale[c] * (one if where[c] < 4 else slope)
                    for c in range(channels):
                        which, value = np.uint32(where[c]) & np.uint32(3), g[c]
                        parts[c] = value if which == np.uint32(0) else zero
                        parts[channels + c] = value if which == np.uint32(1) else zero
                        parts[2 * channels + c] = value if which == np.uint32(2) else zero
                        parts[3 * channels + c] = value if which == np.uint32(3) else zero
                    for w in range(4):
                        row, to = y[n, 2 * r + w // 2, 2 * e + w % 2], dy[n, 2 * r + w // 2, 2 * e + w % 2]
                        for c in range(channels):
                            store(to, c, steep[c] * load(row[c]) + level[c] + parts[w * channels + c])
            for r in range(y.shape[1]):
                for e in range(y.shape[2]):
                    if r >= y.shape[1] // 2 * 2 or e >= y.shape[2] // 2 * 2:
                        row, to = y[n, r, e], dy[n, r, e]
                        for c in range(channels):
                            store(to, c, steep[c] * load(row[c]) + level[c])

    return compiled(backward)


@compiled
def drop_forward(x, bits, dropped, scale, slope, out):
    """Keep x · scale where its 16 random bits are at least ``dropped``, else 0; then the activation."""
    zero = np.float32(0)
    for i in range(len(x)):
        z = load(x[i]) * (scale if bits[i] >= dropped else zero)
        store(out, i, z if z > 0 else slope * z)


@compiled
def drop_backward(gradient, bits, dropped, scale, slope, out, dx):
    """Send the gradient where the value went."""
    zero, one = np.float32(0), np.float32(1)
    for i in range(len(out)):
        g = load(gradient[i]) * (scale if bits[i] >= dropped else zero)
        store(dx, i, g * (one if load(out[i]) > 0 else slope))


def compile_here() -> bool:
    """Say whether the kernels can be compiled on this machine."""
    x, bits = np.ones(1, np.float32), np.ones(1, np.uint16)
    try:
        drop_forward(x, bits, np.uint16(0), np.float32(1), np.float32(0), x)
    except (NumbaError, OSError, RuntimeError):
        return False
    return True
