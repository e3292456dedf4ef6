"""The loops of the first layer: from bytes to pooled values and back, without writing what is convolved."""

import functools

import numpy as np

from fmnist_lib.kernels.numbers import compiled, load, store

SIDE = 28  # of an image


@functools.cache
def patch_sums(k: int, pad: int):
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
def forward_pass(k: int, pad: int, channels: int):
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
def backward_pass(k: int, pad: int, channels: int):
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
