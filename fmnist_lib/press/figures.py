"""The figures drawn from images, histories and scores: each takes data and an ``ax`` (or figure) and returns it.

Call `use_style` first. Accuracies are in %; a ``val_accuracy`` and a ``confidence`` lie in [0, 1]."""

import math
import re

import matplotlib.style
import numpy as np
import pandas as pd
import seaborn as sns
from babel.numbers import get_decimal_symbol
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from fmnist_lib.press.language import current, number, tr
from fmnist_lib.press.naming import name_points

SINGLE, DOUBLE = 3.4, 7.0  # inches: the width of one column of the report, and of both
INK, FAINT, GOLD, NEUTRAL = "#222222", "#bbbbbb", "#E69F00", "#666666"
COLOURS = {"CNN3": "#0072B2", "CNN5": "#D55E00", "CNN-Nahuel": "#009E73", "ANN-Juan": "#AA4499"}
MARKERS = {"CNN3": "o", "CNN5": "s", "CNN-Nahuel": "D", "ANN-Juan": "^"}
ABOVE = {"loc": "lower right", "bbox_to_anchor": (1, 1), "alignment": "left"}  # a legend there hides nothing


def use_style():
    """Load the report's style sheet, over matplotlib's defaults and not the user's: SVG is alike in every build."""
    matplotlib.style.use(["default", "fmnist_lib.press.article"])


def colour(model: str) -> str:
    """Return a model's one colour: a hue for its family, a shade for n; grey for an unknown name."""
    return look(model)["color"]


def look(model: str) -> dict:
    """Return how ``plot`` draws a model: hue and marker tell the family, shade n, a hollow marker p ≠ 0.1."""
    grid = re.match(r"(CNN\d+)-([1-9]\d*)-(\d+(?:\.\d+)?)", model)
    family = grid[1] if grid else next(filter(model.startswith, COLOURS), "")
    hue = COLOURS.get(family, NEUTRAL)
    if grid:
        hue = shade(hue, np.interp(math.log2(int(grid[2])), [6, 10], [0.2, 0.8]))
    drawn = {"color": hue, "marker": MARKERS.get(family, "v"), "linestyle": "-"}
    return drawn | ({"markerfacecolor": "white", "linestyle": "--"} if grid and float(grid[3]) != 0.1 else {})


def shade(hue: str, depth: float) -> str:
    """Return a hue from white (0) over itself (0.5) to black (1)."""
    return to_hex(LinearSegmentedColormap.from_list("", ["white", hue, "black"])(depth))


def ticks() -> ScalarFormatter:
    """Return a formatter of ticks that writes the language's decimal sign."""
    formatter, sign = ScalarFormatter(), get_decimal_symbol(current())
    formatter.fix_minus = lambda text: ScalarFormatter.fix_minus(text).replace(".", sign)
    return formatter


def samples(fig, images, labels, class_names, columns: int = 8):
    """Show images [n, 28, 28] under the names of their classes (Figure 4): 7.0 in wide, 1.15 in a row."""
    axes = fig.subplots(max(math.ceil(len(images) / columns), 1), columns, squeeze=False).ravel()
    for ax in axes:
        ax.set(xticks=[], yticks=[], frame_on=False)
    for ax, image, label in zip(axes, images, labels, strict=False):
        ax.imshow(image, vmin=0, vmax=255)
        ax.set_title(class_names[label])
    return fig


def mistakes(fig, images, labels, predicted, confidence, class_names, count=12, columns=6):
    """Show the most confident mistakes: the class above, what it was taken for (% rounded down) below."""
    wrong = np.flatnonzero(labels != predicted)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    samples(fig, images[worst], labels[worst], class_names, columns)
    for ax, i in zip(fig.axes, worst, strict=False):
        percent = number(math.floor(1e4 * confidence[i]) / 100, 2)
        ax.set_xlabel(tr("taken for {}\n{} %").format(class_names[predicted[i]], percent), size=7)
    return fig


def filters(ax, weights, columns: int = 8):
    """Show first-layer filters [n, k, k] in rows of ``columns``; a dash marks the negative weights."""
    apart = np.pad(weights, ((0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    mosaic = np.vstack([np.hstack(row) for row in apart.reshape(-1, columns, *apart.shape[1:])])[:-1, :-1]
    limit, (y, x) = np.abs(weights).max(), np.nonzero(mosaic < 0)
    shown = ax.imshow(mosaic, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.scatter(x, y, 5, np.where(mosaic[y, x] < -limit / 2, "white", INK), marker="_", linewidths=0.6)
    ax.figure.colorbar(shown, ax=ax, label=tr("Weight"), format=ticks(), aspect=30)
    ax.axis("off")
    return ax


def confusion(ax, counts, class_names):
    """Draw counts [true, predicted], toned by their share of the row on a scale that shows rare errors."""
    share = counts / np.maximum(np.sum(counts, axis=1, keepdims=True), 1)
    texts = {"annot": np.where(counts, counts, "·"), "fmt": "", "annot_kws": {"size": 7}}
    sns.heatmap(share**0.5, ax=ax, cmap="Blues", vmin=0, vmax=1, cbar=False, square=True, **texts)
    ax.set_xticks(ax.get_xticks(), class_names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(ax.get_yticks(), class_names, rotation=0)
    ax.set(xlabel=tr("Predicted class"), ylabel=tr("True class"))
    ax.tick_params(length=0)
    return ax


def loss_curves(ax, histories, retraining=None, model="CNN3-512-0.1"):
    """Draw training and validation loss by epoch, the best one marked (Figure 6).

    One history is drawn as lines, several as their mean in a band from the least to the greatest. The best epoch is
    that of minimum (mean) validation loss. ``retraining`` is a history to lay over them.
    """
    hue, shown = colour(model), {}
    drawn = ("train_loss", tr("training"), "--", "white"), ("val_loss", tr("validation"), "-", GOLD)
    for column, name, line, fill in drawn:
        seeds = pd.concat([h.set_index("epoch")[column] for h in histories], axis=1, join="inner")
        mean = seeds.mean(axis=1, skipna=False)
        (shown[name],) = ax.plot(mean.index, mean, line, color=hue)
        if len(histories) > 1:
            ax.fill_between(mean.index, seeds.min(axis=1), seeds.max(axis=1), fc=hue, alpha=0.25, lw=0)
        if retraining is not None:
            (dots,) = ax.plot(retraining["epoch"], retraining[column], "o-", color=GOLD, linewidth=0.8)
            dots.set(markersize=3, markerfacecolor=fill, markeredgecolor=INK, markeredgewidth=0.5)
            shown[tr("retrained: {}").format(name)] = dots
    best = mean.idxmin() if mean.notna().any() else None
    if best is not None:
        ax.axvline(best, color=FAINT, linewidth=0.8, zorder=0)
        ax.plot(best, mean[best], "*", color=GOLD, markeredgecolor=INK, markeredgewidth=0.6, markersize=9)
        text = tr("best epoch {}: {}").format(best, number(mean[best], 3))
        offset, side = (-4, "right") if best > mean.index.max() / 2 else (4, "left")  # where there is room
        ax.annotate(text, (best, 1), (offset, -2), ("data", "axes fraction"), "offset points", ha=side, va="top")
    ax.set(xlabel=tr("Epoch"), ylabel=tr("Loss"), xlim=(0, mean.index.max() + 1), ylim=(0, None))
    ax.yaxis.set_major_formatter(ticks())
    band = tr("mean of {} seeds; band: least to greatest").format(len(histories)) if len(histories) > 1 else None
    ax.legend(shown.values(), shown.keys(), ncols=2, title=band, **ABOVE)
    return ax


def accuracy_against(ax, frame, x, label=None):
    """Draw accuracy with its interval against column ``x``, logarithmic where it spans more than ten-fold.

    ``frame`` has columns model, x, accuracy, low, high. A dozen models want 7.0 × 3 in.
    """
    for row in frame.to_dict("records"):
        ax.plot([row[x], row[x]], [row["low"], row["high"]], "-", color=colour(row["model"]), linewidth=1)
        ax.plot(row[x], row["accuracy"], **look(row["model"]) | {"linestyle": ""})
    if frame[x].max() > 10 * frame[x].min():
        ax.set_xscale("log")
        ax.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_formatter=NullFormatter())
    for axis in ax.xaxis, ax.yaxis:
        axis.set_major_formatter(ticks())
    ax.set(xlabel=label or x, ylabel=tr("Accuracy (%)"), xmargin=0.1, ymargin=0.2)  # room for names
    return name_points(ax, frame["model"], frame[[x, "accuracy"]].to_numpy(), frame["model"].map(colour))


def against_paper(ax, frame):
    """Draw each model's accuracy in the paper beside ours with its 95 % interval, in the frame's order.

    ``frame`` has columns model, paper, ours, low, high and, if wanted, each: a list of every seed's value.
    """
    rows = np.arange(len(frame))
    shown = {tr("ours, 95 % interval"): ax.plot([], [], "o-", color=NEUTRAL)[0]}
    for y, row in zip(rows, frame.to_dict("records"), strict=True):
        hue, each = colour(row["model"]), row.get("each", [])
        ax.plot([row["low"], row["high"]], [y, y], "-", color=hue)
        ax.plot(row["ours"], y, **look(row["model"]) | {"linestyle": ""})
        if len(each) > 1:  # one alone is the mean
            shown[tr("each seed")] = ax.scatter(each, [y + 0.3] * len(each), 4, hue, linewidths=0, alpha=0.7)
    (shown[tr("the paper")],) = ax.plot(frame["paper"], rows, "x", color=INK, markersize=5)
    ax.set(xlabel=tr("Accuracy (%)"), yticks=rows, yticklabels=frame["model"], ylim=(len(frame) - 0.4, -0.6))
    ax.xaxis.set_major_formatter(ticks())
    ax.grid(axis="y")
    ax.legend(shown.values(), shown.keys(), ncols=3, **ABOVE)
    return ax
