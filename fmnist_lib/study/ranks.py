"""Which model is first, how sure its rank is, and how surprising an order of one run each."""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

DRAWS = 10_000


def ranks(scores: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return a row a model: its mean, rank (1 is the highest mean), an interval of it, and how often it is first.

    ``scores`` has a row a seed and a column a model. Seeds are drawn anew, with all their models, since these share a
    split; from fewer than two there is neither interval nor probability (nan). Models that tie for the first place
    share it. Seeds that lack a model drop out.
    """
    whole = scores.dropna()
    mean = whole.mean()
    table = pd.DataFrame({"mean": mean, "rank": mean.rank(ascending=False, method="min"), "n": len(whole)})
    table[["low", "high", "first"]] = np.nan
    if len(whole) > 1:
        drawn = np.random.default_rng(0).integers(len(whole), size=(DRAWS, len(whole)))
        means = whole.to_numpy()[drawn].mean(axis=1).round(9)  # dust is no difference
        placed = pd.DataFrame(-means, columns=whole.columns).rank(axis=1, method="min")
        best = placed == 1
        ends = (1 - level) / 2, (1 + level) / 2
        low, high = (placed.quantile(q, interpolation=side) for q, side in zip(ends, ("lower", "higher"), strict=True))
        table = table.assign(low=low, high=high, first=best.div(best.sum(axis=1), axis=0).mean())
    return table.sort_values("mean", ascending=False, kind="stable").rename_axis("model")


def agreement(scores: pd.DataFrame, order: pd.Series) -> tuple[float, np.ndarray, float]:
    """Compare an order of one run a model with those of the seeds: its tau, each seed's, and how surprising it is.

    Each of the seeds and ``order`` (a score a model) in turn is held against the mean of all the others, by Kendall's
    tau. Were the order one more seed, each place among the taus would be as likely: the p-value is the share of them,
    its own included, that are no higher. Fewer than two seeds give (nan, [], nan).
    """
    whole = scores[order.index].dropna().to_numpy()
    if len(whole) < 2:
        return np.nan, np.array([]), np.nan
    each = np.vstack([order.to_numpy(), whole])
    taus = np.array([kendalltau(row, np.delete(each, i, 0).mean(axis=0)).statistic for i, row in enumerate(each)])
    return float(taus[0]), taus[1:], float(np.mean(taus <= taus[0] + 1e-12))
