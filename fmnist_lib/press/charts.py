"""The figures of the questions beyond the paper's own: each takes data and an ``ax`` and returns it."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from fmnist_lib.press.figures import ABOVE, COLOURS, FAINT, GOLD, INK, NEUTRAL, colour, look, shade, ticks
from fmnist_lib.press.language import tr

CURVES = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_accuracy": "Validation accuracy"}
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
MARKS = "osD^vP"


def overlaid(ax, histories, column="val_loss"):
    """Lay the curves of several runs over one another, the best epoch of each marked.

    ``histories`` are frames by the run's name, which begins with its model's and so gives the hue; of one hue they go
    from light to dark. ``column`` is train_loss, val_loss [nats] or val_accuracy [0-1].
    """
    hues = [next((hue for family, hue in COLOURS.items() if name.startswith(family)), NEUTRAL) for name in histories]
    handles = []
    for i, (name, history) in enumerate(histories.items()):
        place, alike = hues[:i].count(hues[i]), hues.count(hues[i])
        hue = shade(hues[i], 0.25 + 0.7 * place / (alike - 1)) if alike > 1 else colour(name)
        drawn = {"color": hue, "linestyle": DASHES[place % len(DASHES)], "marker": MARKS[place % len(MARKS)]}
        handles.append(Line2D([], [], label=name, **drawn))
        ax.plot(history["epoch"], history[column], linewidth=1, **drawn | {"marker": ""})
        if history["val_loss"].notna().any():
            best = history.loc[history["val_loss"].idxmin()]
            ax.plot(best["epoch"], best[column], markersize=7, markeredgecolor=INK, zorder=3, **drawn)
    ax.set(xlabel=tr("Epoch"), ylabel=tr(CURVES[column]))
    ax.yaxis.set_major_formatter(ticks())
    ax.legend(handles=handles, ncols=2, **ABOVE)
    return ax


def front(ax, frame, x):
    """Join the systems that none beats, cheapest first, by steps: what so much of ``x`` buys at the most.

    Drawn first, no name lies over it.
    """
    ax.plot(frame[x], frame["accuracy"], drawstyle="steps-post", color=GOLD, linewidth=2, alpha=0.4, zorder=0)
    return ax


def patience(ax, curve, named=(3, 5, 10, 15)):
    """Draw the accuracy that ending early loses against the epochs it saves, a point a patience, some of them named.

    ``curve`` has columns patience, saved [% of all epochs], lost and worst [points].
    """
    lines = ("worst", tr("the training that loses most"), "--", NEUTRAL), ("lost", tr("mean"), "-", INK)
    for column, label, line, hue in lines:
        ax.plot(curve["saved"], curve[column], "o" + line, color=hue, markersize=2.5, label=label)
    for row in curve[curve["patience"].isin(named)].itertuples():
        place = {"textcoords": "offset points", "ha": "center", "va": "top"}
        ax.annotate(str(row.patience), (row.saved, row.lost), (0, -4), **place)
    ax.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    ax.set(xlabel=tr("Epochs saved (%)"), ylabel=tr("Accuracy lost (points)"), ymargin=0.15)
    for axis in ax.xaxis, ax.yaxis:
        axis.set_major_formatter(ticks())
    ax.legend(ncols=2, **ABOVE)
    return ax


def effects(ax, frame):
    """Draw what each value of each hyperparameter does to the mean accuracy, and the same in each seed beside it.

    ``frame`` has columns axis, value, effect and each [points].
    """
    for y, row in enumerate(frame.itertuples()):
        ax.plot(row.each, [y] * len(row.each), "o", color=FAINT, markersize=2.5)
        ax.plot(row.effect, y, "o", color=INK, markersize=4)
    for y in np.flatnonzero(frame["axis"] != frame["axis"].shift())[1:]:
        ax.axhline(y - 0.5, color=FAINT, linewidth=0.6)
    ax.axvline(0, color=FAINT, linewidth=0.6, zorder=0)
    names = [f"{row.axis} = {row.value}" for row in frame.itertuples()]
    ax.set(xlabel=tr("Effect on accuracy (points)"), yticks=range(len(names)), yticklabels=names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.xaxis.set_major_formatter(ticks())
    return ax


def importance(ax, frame, count=10):
    """Draw the shares [%] of variance that hyperparameters and their pairs explain, the greatest of them, and the rest.

    ``frame`` has columns term and share, greatest first and the residual last.
    """
    shown = pd.concat([frame[:-1][:count], frame[-1:]])
    names = shown["term"].replace("Residual", tr("three and more, and chance")).replace("seed", tr("seed"))
    ax.barh(range(len(shown)), shown["share"], color=[INK] * (len(shown) - 1) + [FAINT], height=0.6)
    ax.set(xlabel=tr("Share of the variance (%)"), yticks=range(len(shown)), yticklabels=names)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.xaxis.set_major_formatter(ticks())
    return ax


def regret(ax, curves):
    """Draw how far each strategy's choice is behind the whole grid's [points] against what it has paid, in whole grids.

    ``curves`` has a column a strategy, indexed by what is paid; the dot is where the strategy ends.
    """
    for (name, curve), hue in zip(curves.items(), [*COLOURS.values(), INK, GOLD], strict=False):
        drawn = curve.dropna()
        ax.plot(100 * drawn.index, drawn, color=hue, label=tr(name))
        ax.plot(100 * drawn.index[-1:], drawn[-1:], "o", color=hue)
    ax.set(xscale="log", xlabel=tr("Paid (% of the whole grid)"), ylabel=tr("Regret (points)"))
    ax.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    for axis in ax.xaxis, ax.yaxis:
        axis.set_major_formatter(ticks())
    ax.legend(ncols=3, **ABOVE)
    return ax


def ladder(ax, frame, public):
    """Draw the accuracy of each step of a recipe, every seed and their mean, beside the best that is published.

    ``frame`` has columns step, accuracy [%] and each [%], a list; ``public`` is an accuracy [%].
    """
    rows = range(len(frame))
    for x, each in zip(rows, frame["each"], strict=True):
        ax.plot([x] * len(each), each, "o", color=GOLD, label=tr("each seed") if x == 0 else None)
    ax.plot(rows, frame["accuracy"], "_-", color=INK, markersize=12, linewidth=0.6, label=tr("mean"))
    ax.axhline(public, color=NEUTRAL, linestyle="--", linewidth=0.8, label=tr("published, without augmentation"))
    ax.set(
        ylabel=tr("Test accuracy (%)"),
        xticks=rows,
        xticklabels=[fill(tr(step), 14, break_long_words=False) for step in frame["step"]],
    )
    ax.yaxis.set_major_formatter(ticks())
    ax.legend(ncols=3, **ABOVE)
    return ax


def folds(ax, frame):
    """Draw each fold's accuracy on its own images and, joined to it, on test, a group of folds a model.

    ``frame`` has columns model, accuracy and test [%], a row a fold.
    """
    groups = list(frame.groupby("model", sort=False))
    for x, (model, some) in enumerate(groups):
        at = x + np.linspace(-0.3, 0.3, len(some))
        ax.vlines(at, some["test"], some["accuracy"], color=FAINT, linewidth=0.8, zorder=0)
        ax.plot(at, some["accuracy"], **look(model) | {"linestyle": ""})
        ax.plot(at, some["test"], "x", color=INK, markersize=4)
    shown = {tr("on its own fold"): ax.plot([], [], "o", color=NEUTRAL)[0]}
    shown[tr("on test")] = ax.plot([], [], "x", color=INK, markersize=4)[0]
    ax.set(ylabel=tr("Accuracy (%)"), xticks=range(len(groups)), xticklabels=[model for model, _ in groups])
    ax.yaxis.set_major_formatter(ticks())
    ax.legend(shown.values(), shown.keys(), ncols=2, **ABOVE)
    return ax
