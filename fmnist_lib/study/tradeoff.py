"""What accuracy costs: epochs, seconds, operations and parameters of each system, and what patience saves (S8–S14)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from fmnist_lib import UserError, models
from fmnist_lib.recipe import Recipe, parse
from fmnist_lib.study import networks, results, tables
from fmnist_lib.study.paper import paper_name
from fmnist_lib.study.patience import ends

COSTS = ("epochs", "seconds", "teraflop", "millions")
MEASURED, SCALED = "measured", "by operations"


def systems(frame: pd.DataFrame, measured: dict[str, float], val_images: int) -> pd.DataFrame:
    """Return a row a system that was searched: what training it to its best epoch costs, and what it is worth.

    ANN-Juan is one system, at the rate that the paper's rule chooses in each seed, where both were tried. Columns:
    those of `tables.cost`; n, seeds; epochs; seconds, and clock, which says how they are known; test, the accuracy [%]
    after retraining, nan where it was not asked in every seed. Means over seeds. ``measured`` gives some models'
    seconds an epoch of the paper's protocol; another's follow from its operations at the speed of the model measured in
    its family.
    """
    frame, name = _told_apart(frame)
    finished = frame[frame["status"] == "finished"]
    searched, again = (finished[finished["role"] == role].groupby("system") for role in ("search", "retraining"))
    test = again["test_accuracy"].mean()
    test = test.where(again["test_accuracy"].count() == searched.size().reindex(test.index))
    table = tables.cost(frame, val_images, name)
    paces, timed = _paces(measured), {name(model) for model in measured}
    of = searched["model"].first()  # a model of each system
    pace = [paces.get(of[system], paces.get(parse(of[system])[0], math.nan)) for system in table["model"]]
    told = {"n": searched.size(), "epochs": searched["best_epoch"].mean(), "test": test}
    table = table.assign(**{column: table["model"].map(values) for column, values in told.items()})
    table["seconds"] = table["teraflop"] * pace
    table["clock"] = np.where(table["model"].isin(timed), MEASURED, SCALED)
    return table


def by_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the validation accuracy [%] of the systems of `systems` at their best epochs: a row a seed."""
    rows = _told_apart(frame)[0].query("status == 'finished' and role == 'search'")
    return rows.pivot(index="seed", columns="system", values="best_val_accuracy")


def _told_apart(frame: pd.DataFrame) -> tuple[pd.DataFrame, Callable[[str], str]]:
    """Return runs with their system's name, ANN-Juan's at the rates not chosen left out, and what names a model's."""
    chosen = results.chosen(frame)
    frame, name = (chosen, paper_name) if chosen["model"].str.startswith("ANN").any() else (frame, str)
    return frame.assign(system=frame["model"].map(name)), name


def measured() -> dict[str, float]:
    """Return the seconds an epoch of the models that the benchmark timed; {} where none is shipped."""
    table = pd.read_csv(results.SECONDS) if results.SECONDS.exists() else pd.DataFrame(columns=["model", "seconds"])
    return dict(zip(table["model"], table["seconds"].astype(float), strict=True))


def _paces(measured: dict[str, float]) -> dict[str, float]:
    """Return the seconds a teraflop takes each model that was measured, and each one's family."""
    paces = {}
    for model, seconds in measured.items():
        teraflop = sum(networks.flop(models.build(model))) * Recipe.train_images / 1e12
        paces |= dict.fromkeys((parse(model)[0], model), seconds / teraflop)
    return paces


def front(table: pd.DataFrame, cost: str, gain: str = "accuracy") -> pd.DataFrame:
    """Return the systems that none beats, cheapest first: none costs no more, gains no less, and is better in one."""

    def beaten(row) -> bool:
        no_worse = (table[cost] <= row[cost]) & (table[gain] >= row[gain])
        return bool((no_worse & ((table[cost] < row[cost]) | (table[gain] > row[gain]))).any())

    known = table.dropna(subset=[cost, gain])
    return known[[not beaten(row) for _, row in known.iterrows()]].sort_values([cost, gain])


def patience_curve(histories: Sequence[pd.DataFrame], patiences: Sequence[int]) -> pd.DataFrame:
    """Return a row a patience: what it would have saved of these whole trainings, and what that would have cost.

    Columns: patience; saved, the share of all epochs [%]; lost, accuracy at the best epoch [points], the mean over the
    trainings; worst, the greatest loss of one; n, trainings. UserError without trainings.
    """
    if not histories:
        fix = "train with patience 0, or search the paper's winner too, whose patience is 0"
        raise UserError("patience is told by trainings that went on to the end, and here is none", fix)
    rows = []
    for patience in patiences:
        cut = [history[: ends(history["val_loss"].tolist(), patience)] for history in histories]
        lost = [100 * (_at_best(all_of_it) - _at_best(part)) for all_of_it, part in zip(histories, cut, strict=True)]
        saved = 100 * (1 - sum(map(len, cut)) / sum(map(len, histories)))
        rows.append((patience, saved, np.mean(lost), max(lost), len(lost)))
    return pd.DataFrame(rows, columns=["patience", "saved", "lost", "worst", "n"])


def _at_best(history: pd.DataFrame) -> float:
    return history.loc[history["val_loss"].idxmin(), "val_accuracy"]
