"""Intervals and tests, by scipy and statsmodels. An observation is a seed; from one seed no test is made."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

VERDICTS = REPRODUCED, NOT_REPRODUCED, UNDECIDABLE = "reproduced", "not reproduced", "undecidable"


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval [%] of one accuracy [%] measured on so many images."""
    low, high = proportion_confint(accuracy / 100 * images, images, method="wilson")
    return 100 * low, 100 * high


def mean_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of a mean over seeds; (nan, nan) from fewer than two."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.nan, np.nan
    half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


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


@dataclass(frozen=True)
class Effect:
    """An effect, one value a seed, with the sign that was claimed (0: none) and the margin that counts as zero."""

    values: tuple[float, ...]
    sign: int
    margin: float

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return float(np.mean(self.values)) if self.values else float("nan")

    @property
    def p_value(self) -> float:
        """Return the two-sided p-value of a mean of zero: Student's t over seeds; 1 from fewer than two."""
        if len(self.values) < 2:
            return 1.0
        if np.ptp(self.values) == 0:
            return 0.0 if self.mean else 1.0
        return float(stats.ttest_1samp(self.values, 0).pvalue)

    @property
    def equivalent(self) -> bool:
        """Say whether the mean is equivalent to 0 (TOST at 5 %: the 90 % interval lies within ± margin)."""
        low, high = mean_interval(self.values, 0.90)
        return bool(-self.margin < low and high < self.margin)


def verdicts(effects: list[Effect]) -> list[str]:
    """Judge a family of effects by the rule fixed before the data, Holm's correction within the family.

    Reproduced: the claimed sign with an effect that is not zero (or equivalence, where that is the claim). Not
    reproduced: the opposite sign, or equivalence to zero. Else undecidable with this many seeds.
    """
    significant = multipletests([effect.p_value for effect in effects], alpha=0.05, method="holm")[0]
    return [_verdict(effect, bool(s)) for effect, s in zip(effects, significant, strict=True)]


def _verdict(effect: Effect, significant: bool) -> str:
    if effect.sign == 0:
        outside = significant and abs(effect.mean) > effect.margin
        return REPRODUCED if effect.equivalent else NOT_REPRODUCED if outside else UNDECIDABLE
    if effect.equivalent or (significant and np.sign(effect.mean) != effect.sign):
        return NOT_REPRODUCED
    return REPRODUCED if significant else UNDECIDABLE
