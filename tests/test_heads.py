"""Is it k, or the size of the head? Differences by hand, the intervals by scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from fmnist_lib.press.language import sentence
from fmnist_lib.study import conclusions, heads
from fmnist_lib.study.paper import TABLE_1, WINNER

FIVE = {WINNER: "CNN5-512-0.1", "CNN3-128-0.25": "CNN5-128-0.25"}


def searched(reading, seed, worth):
    """Return rows of `values`: what k = 3 is worth in each pair, in points."""
    rows = [(reading, seed, model, 92.0 + by) for model, by in worth.items()]
    rows += [(reading, seed, FIVE[model], 92.0) for model in worth]
    return pd.DataFrame(rows, columns=["reading", "seed", "model", "accuracy"]).assign(table="I")


def test_a_reading_s_difference_of_k_is_set_beside_the_default_s_on_the_same_pairs_and_seeds():
    usual = {11: (1.0, 5.0), 12: (2.0, 6.0), 13: (4.0, 7.0), 14: (50.0, 50.0)}
    same = {11: (0.5, 1.5), 12: (0.0, 2.0), 13: (1.0, 4.0)}
    rows = [searched("default", seed, dict(zip(FIVE, worth, strict=True))) for seed, worth in usual.items()]
    rows += [searched("same_padding", seed, dict(zip(FIVE, worth, strict=True))) for seed, worth in same.items()]
    rows += [searched("no_padding", seed, {WINNER: worth}) for seed, worth in ((11, 3.0), (12, 5.0))]
    told = heads.summary(pd.concat(rows))
    one, own, few = (told.loc[name] for name in ("same_padding", "default", "no_padding"))
    means, changes = [1.0, 1.0, 2.5], [-2.0, -3.0, -3.0]
    assert (one["pairs"], one["n"], one["estimate"], one["default"]) == (
        2,
        3,
        pytest.approx(1.5),
        pytest.approx(25 / 6),
    )
    assert one[["low", "high"]].tolist() == pytest.approx(list(ttest_1samp(means, 0).confidence_interval()))
    assert one["change"] == pytest.approx(np.mean(changes))
    ends = ttest_1samp(changes, 0).confidence_interval()
    assert one[["change low", "change high"]].tolist() == pytest.approx(list(ends))
    assert one["paper"] == pytest.approx((92.44 - TABLE_1[FIVE[WINNER]][2] + 92.38 - TABLE_1["CNN5-128-0.25"][2]) / 2)
    assert (own["n"], own["change"]) == (4, pytest.approx(np.nan, nan_ok=True))
    assert (few["pairs"], few["n"], few["default"], few["change"]) == (1, 2, pytest.approx(1.5), pytest.approx(2.5))


def test_a_seed_that_lacks_a_pair_is_left_out_of_the_mean_over_pairs():
    whole, part = {WINNER: 1.0, "CNN3-128-0.25": 3.0}, {WINNER: 9.0}
    rows = [searched("default", seed, whole) for seed in (11, 12)]
    rows += [searched("same_padding", 11, whole), searched("same_padding", 12, part)]
    told = heads.summary(pd.concat(rows)).loc["same_padding"]
    assert (told["n"], told["estimate"], told["change"]) == (1, pytest.approx(2.0), pytest.approx(0.0))


def test_a_default_without_a_pair_leaves_a_reading_its_own_difference_and_no_pair_at_all_says_nothing():
    rows = pd.concat([searched("same_padding", seed, {WINNER: worth}) for seed, worth in ((11, 1.0), (12, 2.0))])
    told = heads.summary(rows).loc["same_padding"]
    assert told["estimate"] == 1.5 and np.isnan([told["default"], told["change"]]).all()
    assert heads.summary(rows[rows["model"] == WINNER]).empty


def test_the_same_head_is_concluded_from_padding_that_keeps_the_size_alone():
    names = ["pairs", "n", "estimate", "low", "high", "default", "paper", *heads.CHANGE]
    rows = {
        "default": [6, 3, 9.0] + [9.0] * 7,
        "same_padding": [2, 3, 0.11, -0.22, 0.33, 0.44, 0.55, -0.66, -0.77, 0.88],
    }
    summary = pd.DataFrame(rows, names).T
    told = sentence(*(pair := conclusions.same_head(summary))[:1], **pair[1])
    assert "is then +0.11 points [−0.22, +0.33]" in told and "head, it is +0.44." in told
    assert "by −0.66 [−0.77, +0.88], on 2 pairs" in told and "n = 3 seeds; in the paper +0.55" in told
    assert conclusions.same_head(summary.loc[["default"]]) == (conclusions.UNPADDED, {})
