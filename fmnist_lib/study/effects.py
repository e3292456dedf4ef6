"""What k, n and p do, each and together: the grid of Table I as a 2×3×2 factorial with the seed as a group."""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import t

from fmnist_lib import UserError
from fmnist_lib.recipe import parse
from fmnist_lib.study.paper import GRID, TABLE_1

CONTRASTS = {  # of each factor by its levels; a coefficient is a difference of means
    "k": {"k: 3 − 5": (0.5, -0.5)},
    "n": {"n: 512 − 128": (-0.5, 0, 0.5), "n: 256 − mean of 128 and 512": (-1 / 3, 2 / 3, -1 / 3)},
    "p": {"p: 0.25 − 0.1": (-0.5, 0.5)},
}


def design() -> pd.DataFrame:
    """Return the contrasts of every effect, a row a model of Table I: means, main effects, products of them.

    A product's coefficient is the difference that the one makes to the other's.
    """
    levels = [parse(model)[1] for model in TABLE_1]
    coded = {
        factor: {
            name: np.array([values[GRID[factor].index(of[factor])] for of in levels]) for name, values in each.items()
        }
        for factor, each in CONTRASTS.items()
    }
    columns = {"mean": np.ones(len(levels))}
    for count in (1, 2, 3):
        for factors in itertools.combinations(coded, count):
            for names in itertools.product(*(coded[factor] for factor in factors)):
                values = [coded[factor][name] for factor, name in zip(factors, names, strict=True)]
                columns[" × ".join(names)] = np.prod(values, axis=0)
    return pd.DataFrame(columns, index=list(TABLE_1))


def effects(scores: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return a row an effect of k, n and p on a score: estimate, low, high, p-value, n (seeds).

    ``scores`` has a row a seed and a column a model; seeds that lack one of the twelve drop out. The mixed model has
    every effect and product fixed and the seed random. One seed has estimates alone, and so have seeds without any
    spread; UserError without a seed that has all twelve.
    """
    coded, whole = design(), scores[list(TABLE_1)].dropna()
    if whole.empty:
        raise UserError("no seed has all twelve models of Table I", "train the whole grid of at least one seed")
    inverse = np.linalg.inv(coded.to_numpy())
    estimate = inverse @ whole.mean().to_numpy()
    variance, freedom = residual(whole.to_numpy()) if len(whole) > 1 else (0.0, 0)
    table = pd.DataFrame({"estimate": estimate, "low": np.nan, "high": np.nan, "p": np.nan}, index=coded.columns)
    if variance > 1e-18:
        error = np.sqrt(variance / len(whole) * (inverse**2).sum(axis=1))
        half = t.ppf(0.5 + level / 2, freedom) * error
        p = 2 * t.sf(np.abs(estimate) / error, freedom)
        table = table.assign(low=estimate - half, high=estimate + half, p=p)
    return table.assign(n=len(whole)).drop(index="mean").rename_axis("effect")


def contrast(scores: pd.DataFrame, weights: pd.Series, level: float = 0.95) -> tuple[float, float]:
    """Return the mixed model's interval of a contrast: a weight a model of Table I, which add up to 0.

    (nan, nan) from fewer than two seeds that have all twelve.
    """
    whole = scores[list(TABLE_1)].dropna()
    if len(whole) < 2:
        return np.nan, np.nan
    variance, freedom = residual(whole.to_numpy())
    half = t.ppf(0.5 + level / 2, freedom) * np.sqrt(variance / len(whole) * (weights**2).sum())
    middle = float((whole.mean() * weights[list(TABLE_1)]).sum())
    return middle - half, middle + half


def residual(cells: np.ndarray) -> tuple[float, int]:
    """Return the mixed model's variance within seeds [seeds, models] and its degrees of freedom, by REML.

    Of a whole grid it has a closed form: what neither the seed nor the model explains, pooled with what the seeds
    differ by where that is the smaller (a seed's variance cannot be negative).
    """
    seeds, models = cells.shape
    apart = cells.mean(axis=1) - cells.mean()
    left = cells - cells.mean(axis=0) - apart[:, None]
    within, between = (left**2).sum(), models * (apart**2).sum()
    freedom = (seeds - 1) * (models - 1)
    pooled = between / (seeds - 1) < within / freedom
    return ((within + between) / (freedom + seeds - 1), freedom + seeds - 1) if pooled else (within / freedom, freedom)
