"""The drawings that explain: a convolution, a convolutional layer, pooling, and a network from its shapes."""

import math
import re

import numpy as np
from matplotlib.patches import Rectangle
from numpy.lib.stride_tricks import sliding_window_view

from fmnist_lib.press.drawing import HUED
from fmnist_lib.press.language import tr

INK, LINE = "#222222", "#888888"
WHITE, BLUE, ORANGE, GREEN, GREY = "#ffffff", "#cfe5f3", "#fbd3a8", "#bfe5d2", "#e9e9e9"
KINDS = {"Conv": "#a9d0e8", "MaxPool": "#d5ead9", "Linear": "#f7c59f", "": "#ededed"}
STAGES = ("convolution", "activation", "pooling")
PITCH = 8.0  # from block to block of an architecture, in units of the drawing


def size(shape) -> str:
    """Write a shape as it is read: 32×28×28."""
    return "×".join(str(side) for side in shape)


def caption(ax, x, y, title, shape):
    """Write a title and a size over (x, y)."""
    ax.text(x, y, f"{title}\n{size(shape)}", ha="center", va="bottom")


def board(ax, width, top, bottom):
    """Make the axes a drawing board of square units, y downwards."""
    ax.set(aspect="equal", xlim=(-0.1, width + 0.1), ylim=(bottom, top))
    ax.axis("off")
    return ax


def cells(ax, values, x, y, title, faces):
    """Draw a matrix of short numbers as squares from (x, y), each on its face, under a title and its size."""
    for (row, column), value in np.ndenumerate(values):
        frame(ax, x + column, y + row, 1, 1, facecolor=faces[row, column], edgecolor=LINE, linewidth=0.6)
        ax.text(x + column + 0.5, y + row + 0.52, f"{value:g}".replace("-", "−"), ha="center", va="center")
    caption(ax, x + values.shape[1] / 2, y - 0.3, title, values.shape)


def frame(ax, x, y, width, height, facecolor="none", edgecolor=INK, linewidth=1.5):
    """Draw a rectangle; by default an empty one with a strong line."""
    ax.add_patch(Rectangle((x, y), width, height, fc=facecolor, ec=edgecolor, linewidth=linewidth))


def arrow(ax, start, end):
    """Draw an arrow between two points."""
    style = {"arrowstyle": "-|>", "color": INK, "lw": 0.8, "mutation_scale": 7, "shrinkA": 1, "shrinkB": 1}
    ax.annotate("", end, start, arrowprops=style)


def convolution(ax, image, kernel, at=(0, 0)):
    """Draw image ∗ kernel, as the networks compute it, with the output element ``at`` worked out (Figure 1).

    The kernel is laid over the image as it is, not flipped, and never leaves it. Ready at 3.4 × 2.5 in.
    """
    image, kernel = np.asarray(image), np.asarray(kernel)
    output = np.einsum("ijkl,kl->ij", sliding_window_view(image, kernel.shape), kernel)
    (height, width), (tall, wide), (row, column) = image.shape, kernel.shape, at
    window = np.s_[row : row + tall, column : column + wide]
    (kx, ky), (ox, oy) = (width + 1.6, (height - tall) / 2), (width + wide + 3.2, tall / 2 - 0.5)
    cells(ax, image, 0, 0, tr("input"), lit(image, window, ORANGE))
    cells(ax, kernel, kx, ky, tr("kernel"), lit(kernel, np.s_[:], BLUE))
    cells(ax, output, ox, oy, tr("output"), lit(output, at, GREEN))
    for x, y, columns, rows in (column, row, wide, tall), (kx, ky, wide, tall), (ox + column, oy + row, 1, 1):
        frame(ax, x, y, columns, rows)
    ax.text(kx - 0.8, height / 2, "∗", ha="center", va="center", size=13)
    ax.text(ox - 0.8, height / 2, "=", ha="center", va="center", size=13)
    ax.text(0, height + 0.6, worked_out(image[window], kernel, output[at]), va="top", linespacing=1.4)
    return board(ax, ox + output.shape[1], -2.2, height + 0.6 + 1.1 * tall)


def lit(values, where, tint):
    """Return the faces of a matrix's cells: white but for a tint somewhere."""
    faces = np.full(values.shape, WHITE)
    faces[where] = tint
    return faces


def worked_out(window, kernel, result) -> str:
    """Write the sum of products that one element of a convolution is, a line for each row of the kernel."""
    pairs = [zip(*rows, strict=True) for rows in zip(window, kernel, strict=True)]
    lines = "\n      + ".join(" + ".join(f"{x:g}·{weight:g}" for x, weight in row) for row in pairs)
    return (f"{result:g} = " + re.sub(r"-[^ ·\n]+", r"(\g<0>)", lines)).replace("-", "−")


def max_pooling(ax, matrix):
    """Draw 2×2 max pooling of a matrix of even sides, each block in the tint of its maximum (Figure 3).

    Ready at 3.4 × 1.7 in.
    """
    matrix = np.asarray(matrix)
    height, width = matrix.shape
    output = matrix.reshape(height // 2, 2, width // 2, 2).max(axis=(1, 3))
    row, column = np.indices(output.shape)
    tints = np.array([BLUE, ORANGE, GREY, GREEN])[row % 2 * 2 + column % 2]
    x, y = width + 3, height / 4
    cells(ax, matrix, 0, 0, tr("input"), tints.repeat(2, axis=0).repeat(2, axis=1))
    cells(ax, output, x, y, tr("output"), tints)
    for row, column in np.ndindex(output.shape):
        frame(ax, 2 * column, 2 * row, 2, 2)
        frame(ax, x + column, y + row, 1, 1)
    arrow(ax, (width + 0.4, height / 2), (x - 0.4, height / 2))
    ax.text(x - 1.5, height / 2 - 0.2, tr("largest"), ha="center", va="bottom")
    return board(ax, x + output.shape[1], -1.3, height + 0.1)


def conv_layer(ax, image, convolved, activated, pooled, channels=(0, 1, 2)):
    """Show a real image [h, w] going through the three stages of a convolutional layer (Figure 2).

    The stages are arrays [channel, h, w], of which ``channels`` are shown, all with pixels of one size.
    Blue is negative, red positive, on one scale for each stage. Ready at 7.0 × 3.4 in.
    """
    side = max(image.shape + convolved.shape[1:])
    centres = side * (0.5 + 1.12 * np.arange(len(channels)))
    picture(ax, image, side / 2, centres.mean(), cmap="gray_r")
    caption(ax, side / 2, centres.mean() - image.shape[0] / 2 - 1, tr("input"), image.shape)
    for column, (name, stage) in enumerate(zip(STAGES, (convolved, activated, pooled), strict=True), 1):
        limit, x = np.abs(stage).max(), side * (0.5 + 2 * column)
        caption(ax, x, -1, tr(name), stage.shape)
        for y, channel in zip(centres, channels, strict=True):
            picture(ax, stage[channel], x, y, cmap="RdBu_r", vmin=-limit, vmax=limit, gid=f"{HUED}-{column}-{channel}")
            arrow(ax, (x - 1.47 * side, y if column > 1 else centres.mean()), (x - 0.53 * side, y))
    for y, channel in zip(centres, channels, strict=True):
        ax.text(x + 0.55 * side, y, tr("channel {}").format(channel), va="center")
    return board(ax, x + 1.4 * side, -0.45 * side, centres[-1] + 0.52 * side)


def picture(ax, pixels, x, y, **scale):
    """Show pixels, framed, about (x, y)."""
    height, width = pixels.shape
    left, top = x - width / 2, y - height / 2
    ax.imshow(pixels, extent=(left, left + width, top + height, top), **scale)
    frame(ax, left, top, width, height, edgecolor=LINE, linewidth=0.6)


def architecture(ax, layers):
    """Draw a network from its layers' names and output shapes (Figure 5). Ready at 7.0 × 1.8 in.

    ``layers`` lists pairs such as ("Conv2d 1→32, 3×3", (32, 28, 28)). A layer that neither changes the shape
    nor learns a matrix is named under its block. Heights: the root of a side, the logarithm of a length.
    """
    blocks = merged([(tr("input"), (1, 28, 28)), *layers])
    edges = []
    for slot, (shape, names) in enumerate(blocks):
        x = PITCH * (slot + 0.5)
        half_width, half_height = block(ax, x, shape, names[0])
        edges += [(x - half_width, 0), (x + half_width, 0)]
        ax.text(x, -half_height - 0.3, size(shape), ha="center", va="bottom")
        labels = (name if len(name) <= 12 else name.replace(" ", "\n", 1) for name in names)
        ax.text(x, 3.7, "\n".join(labels), ha="center", va="top", size=7)
    for right, left in zip(edges[1:-1:2], edges[2::2], strict=True):
        arrow(ax, right, left)
    board(ax, PITCH * len(blocks), -5.2, 10)
    missing = PITCH * max(8 - len(blocks), 0) / 2  # a short network is drawn no larger
    ax.set_xlim(-missing, PITCH * len(blocks) + missing)
    return ax


def merged(layers) -> list[tuple[tuple, list[str]]]:
    """Gather layers into blocks of one shape, each begun by a layer that changes it or learns a matrix."""
    blocks = []
    for name, shape in layers:
        if blocks and tuple(shape) == blocks[-1][0] and not name.startswith(("Conv", "Linear")):
            blocks[-1][1].append(name)
        else:
            blocks.append((tuple(shape), [name]))
    return blocks


def block(ax, x, shape, name) -> tuple[float, float]:
    """Draw a stack of channels or a bar of neurons about (x, 0); return half its width and height."""
    face = next(tint for kind, tint in KINDS.items() if name.startswith(kind))
    if len(shape) == 3:
        sheets, height = 1 + round(math.log2(shape[0])), math.sqrt(shape[1])
        width = height * shape[2] / shape[1]
    else:
        sheets, height, width = 1, 0.6 * math.log2(shape[0]), 0.9
    depth = 0.125 * (sheets - 1)
    for shift in np.linspace(depth, -depth, sheets):  # from the farthest, up and to the right
        frame(ax, x + shift - width / 2, -shift - height / 2, width, height, facecolor=face, linewidth=0.6)
    return width / 2 + depth, height / 2 + depth
