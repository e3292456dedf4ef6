"""The specification curve: a column a reading of the paper, its choices as dots below, its numbers above."""

import numpy as np
from matplotlib.ticker import NullLocator

from fmnist_lib.press.figures import ABOVE, COLOURS, FAINT, INK, ticks
from fmnist_lib.press.intervals import BAND
from fmnist_lib.press.language import tr

MARKS = {"epoch": "s", "loss": "o", "accuracy": "^"}
HUES = {"I": COLOURS["CNN3"], "II": COLOURS["CNN5"]}  # the paper's tables


def specification(fig, weighed, order, choices):
    """Draw how far every number of the paper lies from each reading's, and what each reading chooses.

    ``weighed`` has columns reading, table, score, t, limit, which 95 % of such t stay within: drawn is t / limit.
    ``order`` lists the readings, left to right; ``choices`` maps each to texts. 7.0 in wide, 2.6 + 0.17 in a choice.
    """
    told = list(dict.fromkeys(text for reading in order for text in choices[reading]))
    ax, below = fig.subplots(2, 1, sharex=True, height_ratios=[2.2, 0.2 + 0.17 * max(len(told), 1)])
    shown = {tr("95 %"): ax.axhspan(-1, 1, color=BAND, linewidth=0, zorder=0)}
    for (table, score), group in weighed.groupby(["table", "score"]):
        columns = np.array([order.index(reading) for reading in group["reading"]], float)
        side = (list(MARKS).index(score) - 1) * 0.22  # the three scores beside each other
        label = f"{tr('Table')} {table}, {tr(score)}"
        look = {"marker": MARKS[score], "color": HUES[table], "s": 9, "linewidths": 0, "alpha": 0.8}
        shown[label] = ax.scatter(columns + side, group["t"] / group["limit"], **look)
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_yscale("symlog", linthresh=2)
    ax.set_yticks([-50, -15, -5, -2, -1, 0, 1, 2, 5, 15, 50])
    ax.set(ylabel=tr("Distance of the paper's number"), xlim=(-0.6, len(order) - 0.4))
    ax.yaxis.set_major_formatter(ticks())
    ax.yaxis.set_minor_locator(NullLocator())
    far = max(3.0, 1.3 * float((weighed["t"] / weighed["limit"]).abs().max()))
    ax.set_ylim(-far, far)
    ax.legend(shown.values(), shown.keys(), ncols=4, **ABOVE)
    for column, reading in enumerate(order):
        for axis in ax, below:
            axis.axvline(column, color=FAINT, linewidth=0.4, zorder=0)
        below.plot([column] * len(choices[reading]), [told.index(text) for text in choices[reading]], "o", color=INK)
    below.set(xticks=range(len(order)), yticks=range(len(told)), yticklabels=[tr(text) for text in told])
    below.set_xticklabels(order, rotation=45, ha="right", rotation_mode="anchor")
    below.set_ylim(max(len(told), 1) - 0.4, -0.6)
    return fig
