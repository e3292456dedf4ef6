"""Figures of what many seeds say: each takes a frame and an ``ax`` (or a figure) and returns it. Every seed is drawn.

Call `figures.use_style` first."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from fmnist_lib.press.figures import ABOVE, DOUBLE, FAINT, GOLD, INK, NEUTRAL, colour, look, ticks
from fmnist_lib.press.language import number, tr

BAND = "#F3E7C9"  # behind intervals: the margin
UNDER = 0.27  # rows: how far below its interval a row's seeds lie


def forest(ax, frame):
    """Draw each model's mean with its interval, where one more run should lie, every seed, and the paper's value.

    ``frame`` has columns model, paper, mean, low, high (of the mean), least, most (of one more run) and each, a list.
    7.0 in wide, 0.25 in a row.
    """
    rows, shown = np.arange(len(frame)), {}
    for y, row in zip(rows, frame.to_dict("records"), strict=True):
        hue = colour(row["model"])
        one_more = ax.plot([row["least"], row["most"]], [y, y], "-", color=NEUTRAL, linewidth=0.7)
        shown[tr("one more run, 95 %")] = one_more[0]
        ax.plot([row["low"], row["high"]], [y, y], "-", color=hue, linewidth=2.5)
        ax.plot(row["mean"], y, **look(row["model"]) | {"linestyle": ""})
        ax.scatter(row["each"], [y + UNDER] * len(row["each"]), 4, hue, linewidths=0, alpha=0.7)
    handles = {tr("mean, 95 %"): ax.plot([], [], "o-", color=NEUTRAL, linewidth=2.5)[0]} | shown
    handles[tr("each seed")] = ax.scatter([], [], 4, NEUTRAL)
    (handles[tr("the paper")],) = ax.plot(frame["paper"], rows, "x", color=INK, markersize=5)
    ax.legend(handles.values(), handles.keys(), ncols=4, **ABOVE)
    ax.set(xlabel=tr("Accuracy (%)"))
    return _rows(ax, [", ".join(map(tr, name.split(", "))) for name in frame["model"]])  # of some, "ANN-Juan, test"


def differences(ax, frame, label):
    """Draw estimates with their intervals against zero: ``frame`` has columns name, estimate, low, high."""
    rows = np.arange(len(frame))
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.hlines(rows, frame["low"], frame["high"], color=colour("CNN3"), linewidth=2)
    ax.plot(frame["estimate"], rows, "o", color=colour("CNN3"))
    ax.set(xlabel=label)
    return _rows(ax, frame["name"].map(tr))


def places(fig, frame):
    """Draw each model's rank with its interval beside the paper's, and how often it is first.

    ``frame`` has columns model, rank, low, high, first [0–1], paper (its rank there). 7.0 in wide.
    """
    ax, beside = fig.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    rows = np.arange(len(frame))
    for y, row in zip(rows, frame.to_dict("records"), strict=True):
        ax.plot([row["low"], row["high"]], [y, y], "-", color=colour(row["model"]), linewidth=2)
        ax.plot(row["rank"], y, **look(row["model"]) | {"linestyle": ""})
        if np.isfinite(row["first"]):
            beside.barh(y, 100 * row["first"], color=colour(row["model"]), height=0.6)
            share = number(100 * row["first"])
            beside.annotate(share, (100 * row["first"], y), (2, 0), textcoords="offset points", va="center")
    (paper,) = ax.plot(frame["paper"], rows, "x", color=INK, markersize=5)
    ours = ax.plot([], [], "o-", color=NEUTRAL)[0]
    ax.legend([ours, paper], [tr("ours, 95 % interval"), tr("the paper")], ncols=2, **ABOVE)
    ax.set(xlabel=tr("Rank"), xlim=(0.5, len(frame) + 0.5))
    beside.set(xlabel=tr("First (%)"), xlim=(0, 115))
    beside.tick_params(axis="y", length=0)
    _rows(ax, frame["model"]).xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig


def size(rows) -> tuple[float, float]:
    """Return how wide and high [inches] the figure of a claim with these rows is drawn by `judged`."""
    return DOUBLE, 0.4 + 0.25 * len(rows) + 0.4 * rows["unit"].nunique()


def judged(fig, effect, rows):
    """Draw a claim: each part's effect in every seed and the rule's interval, before the shaded margin.

    ``effect`` has a row a seed and a column a part; ``rows`` are the claim's rows of the table of verdicts (part, kind,
    margin, unit, mean, low, high, paper). Parts in different units get an axis each. Its size is that of `size`.
    """
    groups = list(rows.groupby("unit", sort=False))
    axes = fig.subplots(len(groups), 1, squeeze=False, height_ratios=[len(group) for _, group in groups])[:, 0]
    for ax, (unit, group) in zip(axes, groups, strict=True):
        ends = np.concatenate([effect[group["part"]].to_numpy().ravel(), *group[["low", "high", "paper"]].to_numpy()])
        kind, margin = group[["kind", "margin"]].iloc[0]
        low, high = _margin(kind, margin)
        ends = [value for value in [*ends, 0.0, margin, *(low, high)] if np.isfinite(value)]
        reach = 0.06 * (max(ends) - min(ends))
        ax.set(xlim=(min(ends) - reach, max(ends) + reach), xlabel=tr(unit))
        band = ax.axvspan(max(low, min(ends) - reach), min(high, max(ends) + reach), color=BAND, linewidth=0, zorder=0)
        ax.axvline(0, color=INK, linewidth=0.6)
        handles = {tr("within the margin") if kind in ("none", "greater", "less") else tr("as claimed"): band}
        _parts(ax, effect, group, handles)
    axes[0].legend(handles.values(), handles.keys(), ncols=4, **ABOVE)
    return fig


def _margin(kind: str, margin: float) -> tuple[float, float]:
    """Return what is shaded: what is negligible, or the claimed side of a bound."""
    return {"below": (-np.inf, margin), "above": (margin, np.inf)}.get(kind, (-margin, margin))


def _parts(ax, effect, group, handles):
    """Draw a row a part."""
    rows, hue = np.arange(len(group)), colour("CNN3")
    for y, row in zip(rows, group.to_dict("records"), strict=True):
        each = effect[row["part"]].dropna()
        handles[tr("each seed")] = ax.scatter(each, [y + UNDER] * len(each), 5, INK, linewidths=0, alpha=0.7)
        (handles[tr("mean, interval of the rule")],) = ax.plot(
            [row["low"], row["high"]], [y, y], "-", color=hue, linewidth=2
        )
        ax.plot(row["mean"], y, "o", color=hue)
    (handles[tr("the paper")],) = ax.plot(group["paper"], rows, "x", color=INK, markersize=5)
    _rows(ax, group["part"].map(tr))


def waterfall(ax, frame, label):
    """Draw sizes that add up from a first total to what is left of it, the first and the last rows being totals.

    ``frame`` has columns name, size, low, high (nan: no interval); each size is taken away from what was left above.
    """
    left = frame["size"].iloc[0] - frame["size"].iloc[1:-1].fillna(0).cumsum()
    starts = [0.0, frame["size"].iloc[0], *left.iloc[:-1], 0.0][: len(frame)]
    for y, (start, row) in enumerate(zip(starts, frame.to_dict("records"), strict=True)):
        total = y in (0, len(frame) - 1)
        end = row["size"] if total else start - row["size"]
        ax.barh(y, end - start, left=start, color=FAINT if total else GOLD, height=0.6)
        if not total and np.isfinite(row["low"]):
            ax.plot([start - row["low"], start - row["high"]], [y, y], "-", color=INK, linewidth=1)
        text = number(row["size"] if total else 0.0 - row["size"], 2, sign="+")
        far = np.nanmax([start, end, *([start - row["low"], start - row["high"]] if not total else [])])
        ax.annotate(text, (far, y), (4, 0), textcoords="offset points", va="center")
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.set(xlabel=label)
    ax.margins(x=0.15)
    return _rows(ax, frame["name"].map(tr))


def _rows(ax, names):
    """Name the rows, the first at the top."""
    ax.set(yticks=np.arange(len(names)), yticklabels=list(names), ylim=(len(names) - 0.45, -0.55))
    ax.xaxis.set_major_formatter(ticks())
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    ax.grid(axis="y")
    return ax
