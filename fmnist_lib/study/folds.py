"""Cross-validation, which the paper's conclusion wishes for: every one of the 60,000 images validates once."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.recipe import IMAGES, Recipe
from fmnist_lib.runs.run import Run
from fmnist_lib.study import protocol, results, rule, stats

MARGIN = 0.2  # points: a smaller gap is none, as in S6 and S7
CLOSED, OPEN, UNSURE = "closes the gap", "leaves the gap", "cannot tell whether the gap is closed"
REDUCED = "reduced protocol"  # as `rule.objection` says it
KEYS = ["model", "seed"]


def recipes(params: dict) -> list[Recipe]:
    """List the trainings: each model on each fold of ``val_images`` images, for every seed.

    Raises UserError where the folds do not divide the 60,000, or ``train_images`` are not all the others.
    """
    train, val = params["train_images"], params["val_images"]
    if not val or IMAGES % val or train + val != IMAGES:
        fix = "give val_images a divisor of 60000, such as 10000, and train_images the rest, 50000"
        raise UserError(f"train_images = {train} and val_images = {val} make no folds of {IMAGES}", fix)
    count = IMAGES // val
    wanted = product(params["seed"], params["models"], range(count))
    return [recipe(model, params, seed, fold, count) for seed, model, fold in wanted]


def recipe(model: str, params: dict, seed: int, fold: int, folds: int) -> Recipe:
    """Return the training that one fold validates; all models have the same patience, the paper's winner too."""
    values = protocol.DEFAULTS | params | {"folds": folds, "fold": fold}
    return replace(protocol.search(model, values, seed), patience=values["patience"])


def frame(runs: list[Run], first_split_seed: int = Recipe.split_seed) -> pd.DataFrame:
    """Lay out finished folds, a row each.

    Columns: model, seed, fold; epoch, the best one, and accuracy [%] there; elsewhere, accuracy [%] at the epoch that
    the other folds of the same model and seed would choose; test, accuracy [%] on test, nan where it was not asked;
    gap, accuracy less test [points]; train_images, val_images. A run that diverged is left out; UserError of all.
    """
    finished = [run for run in runs if not run.diverged]
    if not finished:
        raise UserError(f"all {len(runs)} trainings diverged", "give another learning rate as lr")
    rows = results.frame(finished, first_split_seed)
    rows = rows.rename(columns={"best_epoch": "epoch", "best_val_accuracy": "accuracy", "test_accuracy": "test"})
    histories = {run.folder.name: run.history for run in runs}
    for _, some in rows.groupby(KEYS):
        rows.loc[some.index, "elsewhere"] = elsewhere([histories[name] for name in some["run"]])
    names = [*KEYS, "fold", "epoch", "accuracy", "elsewhere", "test", "gap", "train_images", "val_images"]
    return rows.assign(gap=rows["accuracy"] - rows["test"])[names]


def elsewhere(histories: list[pd.DataFrame]) -> list[float]:
    """Return each fold's accuracy [%] at the epoch of least mean loss in the other folds, among epochs all have.

    No fold then chooses the epoch at which it is read. nan from one fold alone.
    """
    losses = pd.concat([history.set_index("epoch")["val_loss"] for history in histories], axis=1, join="inner")
    losses.columns = range(len(histories))
    if len(histories) < 2:
        return [np.nan] * len(histories)
    chosen = [losses.drop(columns=i).mean(axis=1).idxmin() for i in losses]
    read = zip(histories, chosen, strict=True)
    return [stats.percent(history.set_index("epoch")["val_accuracy"][epoch]) for history, epoch in read]


def out_of_fold(table: pd.DataFrame, reduced: bool = False) -> pd.DataFrame:
    """Return a row a model and seed: how many of the images, each judged by the network that did not see it, are right.

    Columns: model, seed, folds; right, images, accuracy [%] with low and high of Wilson's interval over images;
    sd, over folds [points]; elsewhere and test, means [%]; gap [points], with gap low and gap high of its interval over
    folds; verdict, whether cross-validation closes the gap, of a ``reduced`` protocol none.
    """
    rows = []
    for keys, some in table.groupby(KEYS, sort=False):
        images = some["val_images"].sum()
        right = (some["accuracy"] * some["val_images"] / 100).round().astype(int).sum()
        accuracy, gap = stats.percent(right / images), _interval(some, some["gap"])
        row = dict(zip(KEYS, keys, strict=True)) | {"folds": len(some), "right": right, "images": images}
        row |= {"accuracy": accuracy} | dict(zip(("low", "high"), stats.wilson(accuracy, images), strict=True))
        row |= {"sd": some["accuracy"].std()} | some[["elsewhere", "test", "gap"]].mean().to_dict()
        rows.append(row | {"gap low": gap[0], "gap high": gap[1], "verdict": REDUCED if reduced else verdict(*gap)})
    return pd.DataFrame(rows)


def verdict(low: float, high: float) -> str:
    """Say what the interval of a gap [points] between validation and test tells, by the registered margin."""
    said = {rule.REPRODUCED: CLOSED, rule.NOT_REPRODUCED: OPEN}
    return said.get(rule.decide("none", MARGIN, low, high), UNSURE)


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pair of models and seed: the mean difference of accuracy [points] over folds and its interval.

    Columns: model, other, seed, difference, low, high, n; only folds that both have.
    """
    rows = []
    for seed, some in table.groupby("seed"):
        of = {model: each.set_index("fold") for model, each in some.groupby("model", sort=False)}
        for model, other in combinations(of, 2):
            apart = (of[model]["accuracy"] - of[other]["accuracy"]).dropna()
            rows.append((model, other, seed, apart.mean(), *_interval(some, apart), len(apart)))
    return pd.DataFrame(rows, columns=["model", "other", "seed", "difference", "low", "high", "n"])


def _interval(table: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    return stats.folds_interval(values.dropna(), table["val_images"].iloc[0], table["train_images"].iloc[0])
