"""Where the spread over seeds comes from: the winner trained with one of its four seeds varied, the others as they are.

Another split changes the images that validate, too; of the other three sources the networks alone differ.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import bartlett

from fmnist_lib.recipe import Recipe
from fmnist_lib.runs.run import Run
from fmnist_lib.study import protocol, stats
from fmnist_lib.study.paper import WINNER

VALUES = range(1, 11)  # of the seed that varies, which judge nothing; seed 0 is where the others stay
TOGETHER = "together, if independent"
SCORES = {"accuracy": "val_accuracy", "loss": "val_loss", "epoch": "epoch"}


def asked(params: dict) -> list[str]:
    """Return the sources that are to vary: split, weights, order, dropout; of "none" there is none."""
    return [source for source in params["sources"] if source != "none"]


def recipes(params: dict) -> list[Recipe]:
    """List the trainings: for each source the winner's search of seed 0 with ten other values of its seed."""
    base = replace(protocol.search(WINNER, params, 0), patience=params["patience"])
    every = [(f"{source}_seed", seed) for source in asked(params) for seed in VALUES]
    return [replace(base, **{field: getattr(base, field) + seed}) for field, seed in every]


def source(recipe: Recipe, params: dict) -> str:
    """Name the source by which a recipe of `recipes` differs from seed 0."""
    base = protocol.search(WINNER, params, 0)
    return next(name for name in asked(params) if getattr(recipe, f"{name}_seed") != getattr(base, f"{name}_seed"))


def frame(runs: list[Run], params: dict) -> pd.DataFrame:
    """Lay out finished runs, a row each: source; epoch, the best one, and accuracy [%] and loss [nats] there."""
    rows = []
    for run in runs:
        if not run.diverged:
            scores = {name: run.best[column] for name, column in SCORES.items()}
            scores["accuracy"] = stats.percent(scores["accuracy"])
            rows.append({"source": source(run.recipe, params), **scores})
    return pd.DataFrame(rows, columns=["source", *SCORES])


def spreads(table: pd.DataFrame, score: str = "accuracy", level: float = 0.95) -> pd.DataFrame:
    """Return a row a source: n, and the sd of a score over its values with its interval.

    The last row, `TOGETHER`, is what independent sources would give at once: the root of the sum of the variances,
    without an interval. Sources that act on one another give another sd. From fewer than two values it is nan.
    """
    rows = [(name, len(v), _sd(v), *stats.sd_interval(v, level)) for name, v in _values(table, score).items()]
    total = np.sqrt(np.sum([row[2] ** 2 for row in rows]))
    rows.append((TOGETHER, np.nan, total, np.nan, np.nan))
    return pd.DataFrame(rows, columns=["source", "n", "sd", "low", "high"]).astype({"n": "Int64"})


def alike(table: pd.DataFrame, score: str = "accuracy") -> float:
    """Return the p-value of Bartlett's test that all sources give the same sd; nan of fewer than two sources."""
    each = list(_values(table, score).values())
    return float(bartlett(*each).pvalue) if len(each) > 1 and min(map(len, each)) > 1 else np.nan


def _values(table: pd.DataFrame, score: str) -> dict[str, np.ndarray]:
    return {name: some[score].astype(float).to_numpy() for name, some in table.groupby("source", sort=False)}


def _sd(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
