"""From the paper's best validation accuracy to its test accuracy: each rival explanation with its size (S7)."""

import numpy as np
import pandas as pd
from scipy.stats import t

from fmnist_lib.study import stats
from fmnist_lib.study.paper import RIVALS, TABLE_1, TABLE_2, WINNER

DRAWS = 10_000
PAPER = TABLE_1[WINNER][2] - TABLE_2[WINNER][2]  # points
NAMES = {
    "paper": "the paper: validation − test",
    "curse": "chosen as the best of twelve",
    "epoch": "best epoch of a search, last of a retraining",
    "test": "test images harder (the two rivals)",
    "split": "luck that all share (split, order)",
    "mode": "tested in training mode",
    "rest": "not explained",
}


def rivals(scores: pd.DataFrame, mode: pd.Series | None = None) -> pd.DataFrame:
    """Return a row a rival of the paper's gap: name, size, low, high [points], n (seeds); what is left last.

    ``scores`` are `results.by_seed`'s, ``mode`` what training mode costs the winner on test [points], one value a seed,
    if its weights are here. The sizes of choosing and of the split have the range of one table of single runs (95 %);
    those of the others, means over seeds, Student's interval. What cannot be told (one seed, no run) has nan.
    """
    winner = scores["validation", WINNER]
    others = [scores["validation", model] - scores["test", model] for model in RIVALS]
    mean_others = pd.concat(others, axis=1).mean(axis=1, skipna=False)
    rows = [("paper", PAPER, np.nan, np.nan, 1), ("curse", *curse(scores["accuracy"]))]
    rows += [_over_seeds("epoch", scores["accuracy", WINNER] - winner), _over_seeds("test", mean_others)]
    rows += [("split", *split_luck(scores["accuracy"]))]
    rows += [_over_seeds("mode", mode)] if mode is not None else []
    left = PAPER - np.nansum([size for _, size, *_ in rows[1:]])
    table = pd.DataFrame([*rows, ("rest", left, np.nan, np.nan, 1)], columns=["name", "size", "low", "high", "n"])
    return table.assign(name=table["name"].map(NAMES))


def one_more(scores: pd.DataFrame) -> dict:
    """Return what the winner of one more run would lose from its search to its retraining on test: least and most
    [points] of the 95 % prediction interval, and n, the seeds that it rests on."""
    lost = (scores["accuracy", WINNER] - scores["test", WINNER]).dropna()
    return dict(zip(("least", "most"), stats.prediction_interval(lost), strict=True)) | {"n": len(lost)}


def curse(accuracies: pd.DataFrame) -> tuple[float, float, float, int]:
    """Return how much too high the best of twelve single runs is: mean, 2.5 and 97.5 % of the draws, seeds.

    A table of single runs is drawn ten thousand times: each model's mean, and the residual of one of its seeds after
    the seed's own level is taken away. What the highest owes to its residual is its luck.
    """
    means, residuals, _ = _apart(accuracies)
    seeds = len(residuals)
    if seeds < 2:
        return np.nan, np.nan, np.nan, seeds
    drawn = np.random.default_rng(0).integers(seeds, size=(DRAWS, len(means)))
    luck = residuals[drawn, np.arange(len(means))]
    best = (means + luck).argmax(axis=1)
    won = luck[np.arange(DRAWS), best]
    return (float(won.mean()), *map(float, np.quantile(won, [0.025, 0.975])), seeds)


def split_luck(accuracies: pd.DataFrame) -> tuple[float, float, float, int]:
    """Return what a seed's split and order do to all models alike: 0 on average, ± t · sd, seeds.

    The sd is that of the seeds' levels, less what the models' own residuals give their mean.
    """
    _, residuals, levels = _apart(accuracies)
    if len(levels) < 2:
        return np.nan, np.nan, np.nan, len(levels)
    shared = np.var(levels, ddof=1) - np.mean(residuals**2) / residuals.shape[1]
    reach = float(t.ppf(0.975, len(levels) - 1) * np.sqrt(max(shared, 0.0)))
    return 0.0, -reach, reach, len(levels)


def _apart(accuracies: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the twelve's accuracies apart: each model's mean, residuals [seeds, models] of their own size, levels."""
    whole = accuracies[list(TABLE_1)].dropna().to_numpy()
    if not len(whole):
        return np.full(len(TABLE_1), np.nan), whole, np.array([])
    means, levels = whole.mean(axis=0), whole.mean(axis=1) - whole.mean()
    seeds, models = whole.shape
    shrunk = (seeds - 1) * (models - 1) / (seeds * models)  # what is left after both means are taken away
    return means, (whole - means - levels[:, None]) / np.sqrt(shrunk or 1), levels


def _over_seeds(name: str, each: pd.Series) -> tuple:
    each = each.dropna()
    return name, each.mean(), *stats.mean_interval(each), len(each)
