"""The specification curve: a column a reading of the paper, its choices as dots below, its numbers above."""

import numpy as np
from matplotlib.ticker import NullLocator

from fmnist_lib.press.figures import ABOVE, DOUBLE, FAINT, INK, ticks
from fmnist_lib.press.intervals import BAND
from fmnist_lib.press.language import tr

MARKS = {"epoch": "s", "loss": "o", "accuracy": "^"}
FILLS = {"I": "white", "II": INK}  # the paper's tables
SIDES = [(table, score) for table in FILLS for score in MARKS]  # beside each other, in this order


def size(choices) -> tuple[float, float]:
    """Return the width and height [in] of a figure of these choices (reading to texts)."""
    return DOUBLE, 3.8 + 0.17 * len({text for texts in choices.values() for text in texts})


def specification(fig, weighed, choices):
    """Draw how far every number of the paper lies from each reading's, and what each reading chooses.

    ``weighed`` has columns reading, table, score, t, limit, which 95 % of such t stay within: drawn is t / limit.
    ``choices`` maps each reading, left to right, to texts.
    """
    order, told = list(choices), list(dict.fromkeys(text for texts in choices.values() for text in texts))
    ax, below = fig.subplots(2, 1, sharex=True, height_ratios=[2.4, 0.2 + 0.17 * max(len(told), 1)])
    shown = {tr("95 %"): ax.axhspan(-1, 1, color=BAND, linewidth=0, zorder=0)}
    for number, (table, score) in enumerate(SIDES):
        group = weighed[weighed["table"].eq(table) & weighed["score"].eq(score) & weighed["reading"].isin(order)]
        columns = np.array([order.index(reading) for reading in group["reading"]], float)
        aside = (number - (len(SIDES) - 1) / 2) * min(0.12, 0.03 * len(order))
        look = {"marker": MARKS[score], "facecolor": FILLS[table], "edgecolor": INK, "s": 13, "linewidths": 0.6}
        dots = ax.scatter(columns + aside, group["t"] / group["limit"], **look)
        shown |= {f"{tr('Table')} {table}, {tr(score)}": dots} if len(group) else {}
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_yscale("symlog", linthresh=1, linscale=0.6)
    ax.set_yticks([-50, -15, -5, -2, -1, 0, 1, 2, 5, 15, 50])
    ax.set(ylabel=tr("The paper's number − ours"), xlim=(-0.6, len(order) - 0.4))
    ax.yaxis.set_major_formatter(ticks())
    ax.yaxis.set_minor_locator(NullLocator())
    far = max(3.0, 1.3 * float((weighed["t"] / weighed["limit"]).abs().max()))
    ax.set_ylim(-far, far)
    ax.legend(shown.values(), shown.keys(), ncols=4, **ABOVE)
    below.hlines(range(len(told)), -0.6, len(order) - 0.4, color=FAINT, linewidth=0.4, zorder=0)
    for column, reading in enumerate(order):
        for axis in ax, below:
            axis.axvline(column, color=FAINT, linewidth=0.4, zorder=0)
        below.plot([column] * len(choices[reading]), [told.index(text) for text in choices[reading]], "o", color=INK)
    below.set(xticks=range(len(order)), yticks=range(len(told)), yticklabels=[tr(text) for text in told])
    below.set_xticklabels([tr(reading) for reading in order], rotation=45, ha="right", rotation_mode="anchor")
    below.set_ylim(max(len(told), 1) - 0.4, -0.6)
    return fig
