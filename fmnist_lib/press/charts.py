"""The figures of the questions beyond the paper's own: each takes data and an ``ax`` and returns it."""

from fmnist_lib.press.figures import ABOVE, FAINT, GOLD, INK, NEUTRAL, look, ticks
from fmnist_lib.press.language import tr

CURVES = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_accuracy": "Validation accuracy"}


def overlaid(ax, histories, column="val_loss"):
    """Lay the curves of several runs over one another, the best epoch of each marked.

    ``histories`` are frames by the run's name, which begins with its model's and so gives the colour; ``column`` is
    train_loss, val_loss [nats] or val_accuracy [0-1].
    """
    for name, history in histories.items():
        drawn = look(name)
        ax.plot(history["epoch"], history[column], drawn["linestyle"], color=drawn["color"], label=name)
        if history["val_loss"].notna().any():
            best = history.loc[history["val_loss"].idxmin()]
            ax.plot(best["epoch"], best[column], **drawn | {"linestyle": ""})
    ax.set(xlabel=tr("Epoch"), ylabel=tr(CURVES[column]))
    ax.yaxis.set_major_formatter(ticks())
    ax.legend(ncols=2, **ABOVE)
    return ax


def front(ax, frame, x):
    """Join the systems that none beats, cheapest first, by steps: what so much of ``x`` buys at the most."""
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
