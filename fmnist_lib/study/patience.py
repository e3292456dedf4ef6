"""What stopping early would have saved, told by trainings that went on to the end."""

from collections.abc import Sequence

import pandas as pd

from fmnist_lib.runs.run import Run
from fmnist_lib.training import last_epoch

PATIENCES = (5, 10, 12, 15)


def whole(runs: Sequence[Run]) -> list[pd.DataFrame]:
    """Return the histories of the searches among these runs that neither patience nor divergence ended early."""
    searches = [run for run in runs if run.recipe.keep == "best" and not run.recipe.patience]
    return [run.history for run in searches if not run.diverged]


def patience_table(histories: Sequence[pd.DataFrame], patiences: Sequence[int] = PATIENCES) -> pd.DataFrame:
    """Return a row a patience: in how many of these trainings it finds the same best epoch, and how long they take.

    ``histories`` are those of whole trainings. Columns: patience, same (trainings that end with the same epoch of
    minimum validation loss), trainings, epochs (trained on average), whole (epochs on average without patience).
    """
    rows, losses = [], [history["val_loss"].tolist() for history in histories]
    for patience in patiences:
        cut = [curve[: ends(curve, patience)] for curve in losses]
        same = sum(min(part) == min(curve) for part, curve in zip(cut, losses, strict=True))
        rows.append((patience, same, len(losses), _mean_length(cut), _mean_length(losses)))
    return pd.DataFrame(rows, columns=["patience", "same", "trainings", "epochs", "whole"])


def ends(curve: Sequence[float], patience: int) -> int:
    """Return the number of epochs after which the minimum is `patience` epochs old for the first time, or all."""
    return last_epoch(list(curve), len(curve), patience)


def _mean_length(curves: Sequence[Sequence[float]]) -> float:
    return sum(map(len, curves)) / len(curves) if curves else float("nan")
