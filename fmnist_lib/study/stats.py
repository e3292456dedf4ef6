"""Intervals and tests, by scipy and statsmodels. An observation is a seed; from one seed no test is made."""

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import binomtest, bootstrap, chi2, permutation_test, t
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_test
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

SEEDS = 100_000  # more than anyone would train
DRAWS = 20_000  # of a bootstrap, and the most sign flips that are not drawn but all counted


def percent(share: float) -> float:
    """Return an accuracy [0-1] in %, without the dust that a binary product leaves."""
    return round(100 * float(share), 6)


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval [%] of one accuracy [%] measured on so many images."""
    low, high = proportion_confint(accuracy / 100 * images, images, method="wilson")
    return 100 * low, 100 * high


def standard_error(accuracy: float, images: int) -> float:
    """Return the binomial standard error [points] of one accuracy [%] measured on so many images."""
    share = accuracy / 100
    return 100 * float(np.sqrt(share * (1 - share) / images))


def mean_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Return Student's two-sided interval of a mean over seeds; (nan, nan) from fewer than two."""
    values = np.asarray(values, float)
    return DescrStatsW(values).tconfint_mean(1 - level) if len(values) > 1 else (np.nan, np.nan)


def equivalent(values, margin: float) -> bool:
    """Say whether a mean is equivalent to 0: two one-sided tests at 5 %, so the 90 % interval lies within ± margin."""
    low, high = mean_interval(values, 0.90)
    return bool(-margin < low and high < margin)


def sign_test(values, at: float = 0.0) -> float:
    """Return the exact two-sided p-value of the sign test that the median is `at`; seeds exactly there drop out.

    From no seed that is elsewhere it is 1.
    """
    apart = np.round(np.asarray(values, float) - at, 9)
    above, below = int((apart > 0).sum()), int((apart < 0).sum())
    return float(binomtest(above, above + below).pvalue) if above + below else 1.0


def commonest(values) -> int:
    """Return how many seeds share the commonest value (to 9 decimals); 0 of none."""
    return int(np.unique(np.round(np.asarray(values, float), 9), return_counts=True)[1].max(initial=0))


def seeds_needed(values, level: float, decided: Callable[[float, float], bool]) -> float:
    """Return the least number of seeds whose interval would be decided, were its mean and sd those that were seen.

    ``decided`` takes (low, high) and once it is true of an interval must be so of every narrower one around the same
    mean. nan from fewer than two seeds, infinity where a hundred thousand do not suffice.
    """
    if len(values) < 2:
        return np.nan
    mean, sd = np.mean(values), np.std(values, ddof=1)

    def enough(n: int) -> bool:
        half = t.ppf(0.5 + level / 2, n - 1) * sd / np.sqrt(n)
        return decided(mean - half, mean + half)

    counts = range(2, SEEDS + 1)
    found = bisect_left(counts, True, key=enough)
    return float(counts[found]) if found < len(counts) else np.inf


def bca_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval of a mean over seeds (Efron, 1987).

    (nan, nan) from fewer than two; the mean itself where all are equal.
    """
    values = np.asarray(values, float)
    if len(values) < 2 or np.ptp(values) == 0:
        return (values[0], values[0]) if len(values) > 1 else (np.nan, np.nan)
    found = bootstrap((values,), np.mean, n_resamples=DRAWS, confidence_level=level, rng=np.random.default_rng(0))
    return tuple(map(float, found.confidence_interval))


def sign_flip(values, at: float = 0.0) -> float:
    """Return the two-sided p-value that the mean is `at`, were each seed's sign as likely to be the other.

    All flips are counted for up to 14 seeds; beyond, 20,000 are drawn. 1 from no seed.
    """
    apart = np.asarray(values, float) - at
    if len(apart) < 2:  # one flip is its mirror image
        return 1.0
    rng = np.random.default_rng(0)
    return float(permutation_test((apart,), np.mean, permutation_type="samples", n_resamples=DRAWS, rng=rng).pvalue)


def mcnemar(right, right_too) -> tuple[int, int, float]:
    """Compare two models on the same images: those that only the one is right on, only the other, the exact p-value."""
    a, b = np.asarray(right, bool), np.asarray(right_too, bool)
    table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
    p = mcnemar_test(table, exact=True).pvalue if (a != b).any() else 1.0
    return int(table[0][1]), int(table[1][0]), float(p)


def folds_interval(values, val_images: int, train_images: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean difference over folds, whose training images overlap; (nan, nan) from one.

    The variance of a mean of J is that of the folds × (1/J + val/train), not 1/J (Nadeau and Bengio, 2003).
    """
    j = len(values)
    if j < 2:
        return np.nan, np.nan
    half = t.ppf(0.5 + level / 2, j - 1) * np.std(values, ddof=1) * np.sqrt(1 / j + val_images / train_images)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def prediction_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Return where one more run should lie: mean ± t · sd · √(1 + 1/n); (nan, nan) from fewer than two seeds."""
    if len(values) < 2:
        return np.nan, np.nan
    half = t.ppf(0.5 + level / 2, len(values) - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def sd_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a normal sample's sd, by its chi-squared; (nan, nan) from fewer than two."""
    freedom = len(values) - 1
    if freedom < 1:
        return np.nan, np.nan
    ends = chi2.ppf([0.5 + level / 2, 0.5 - level / 2], freedom)
    return tuple(float(np.std(values, ddof=1) * np.sqrt(freedom / end)) for end in ends)


def prediction_t(value: float, values) -> float:
    """Return how far one run lies from what the others predict, in their sd · √(1 + 1/n): a t of n − 1 degrees.

    nan from fewer than two others, and from others that are all equal.
    """
    if len(values) < 2 or np.ptp(values) == 0:
        return np.nan
    return float((value - np.mean(values)) / (np.std(values, ddof=1) * np.sqrt(1 + 1 / len(values))))


def with_intervals(table: pd.DataFrame, scores: pd.DataFrame, images: int) -> pd.DataFrame:
    """Return model, paper, ours, low, high [%] and every seed's value, a row a model that has finished.

    The interval is Wilson's, over images, where there is one seed, and Student's, over seeds, where there are more.
    """
    rows, scores = [], scores.drop_duplicates("run")
    for model, row in table[table["n"] > 0].iterrows():
        each = list(scores.loc[(scores["model"] == model) & (scores["status"] == "finished"), "accuracy"])
        low, high = wilson(each[0], images) if len(each) == 1 else mean_interval(each)
        rows.append((model, row["paper accuracy"], row["accuracy"], low, high, each))
    return pd.DataFrame(rows, columns=["model", "paper", "ours", "low", "high", "each"])
