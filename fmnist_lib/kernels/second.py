"""The loops after the second convolution and around the dense layers: pooling, normalising, dropping."""

import functools

import numpy as np
from numba.core.errors import NumbaError

from fmnist_lib.kernels.numbers import compiled, load, store


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
