"""The figures of the questions beyond the paper's own: each takes data and an ``ax`` and returns it."""

from fmnist_lib.press.figures import ABOVE, look, ticks
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
