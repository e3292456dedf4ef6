"""Where the spread over seeds comes from: one seed of four varies; its sd is as sure as ten values make it."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_tables_stats import trained

from fmnist_lib import ROOT
from fmnist_lib.runs.store import Store
from fmnist_lib.study import conclusions, parameters, protocol, stats, variance

FIXED = {"device": "cpu", "precision": "fp32", "kernels": "torch"}
ASKED = protocol.DEFAULTS | parameters.read_file(ROOT / "params" / "variance.yaml") | FIXED
SOURCES = ["split", "weights", "order", "dropout"]


def test_ten_trainings_a_source_differ_from_seed_0_in_that_sources_seed_alone():
    base = asdict(protocol.search("CNN3-512-0.1", ASKED, 0)) | {"patience": 15}
    listed = variance.recipes(ASKED)
    apart = [{name: (value, base[name]) for name, value in asdict(r).items() if value != base[name]} for r in listed]
    expected = [{f"{source}_seed": seed} for source in SOURCES for seed in range(1, 11)]
    assert [{name: value - at_0 for name, (value, at_0) in one.items()} for one in apart] == expected
    assert [variance.source(recipe, ASKED) for recipe in listed] == list(np.repeat(SOURCES, 10))
    assert not set(range(1, 11)) & set(range(11, 21)) and len({recipe.id for recipe in listed}) == 40


def test_without_a_source_nothing_is_trained_and_some_are_taken_as_they_are_named():
    assert variance.recipes(ASKED | {"sources": ["none"]}) == []
    assert [r.order_seed for r in variance.recipes(ASKED | {"sources": ["order"]})] == list(range(1, 11))


def test_runs_are_read_at_their_best_epoch_under_the_source_that_varies(tmp_path):
    few = ASKED | {"sources": ["weights", "order"], "epochs": 2, "patience": 0}
    for recipe, accuracy in zip(variance.recipes(few), np.linspace(0.90, 0.919, 20), strict=True):
        seeds = {f"{name}_seed": getattr(recipe, f"{name}_seed") for name in SOURCES}
        trained(tmp_path, recipe.model, losses=(0.2, 0.3), train=(0.8, 0.7), accuracies=[accuracy, 0.5], **seeds)
    runs = Store(tmp_path, shipped=False).whole(variance.recipes(few))
    table = variance.frame(runs, few)
    assert list(table["source"]) == ["weights"] * 10 + ["order"] * 10 and set(table["epoch"]) == {1}
    assert table["accuracy"].tolist() == pytest.approx(np.linspace(90, 91.9, 20)) and set(table["loss"]) == {0.2}
    diverged = trained(tmp_path, "CNN3-512-0.1", losses=[np.nan], order_seed=1)
    pd.testing.assert_frame_equal(variance.frame([*runs, diverged], few), table)


def made_up(**sds):
    rng = np.random.default_rng(0)
    drawn = {name: rng.normal(size=10) for name in sds}
    values = {name: 92 + sds[name] * (x - x.mean()) / x.std(ddof=1) for name, x in drawn.items()}
    return pd.DataFrame([(name, v) for name, each in values.items() for v in each], columns=["source", "accuracy"])


def test_the_variances_of_independent_sources_add_up():
    found = variance.spreads(made_up(split=0.3, weights=0.4, order=1.2)).set_index("source")
    assert found["sd"].tolist() == pytest.approx([0.3, 0.4, 1.2, 1.3])  # 0.09 + 0.16 + 1.44 = 1.69
    assert (
        found["n"].iloc[:3].tolist() == [10, 10, 10] and found.loc[variance.TOGETHER, ["n", "low", "high"]].isna().all()
    )


def test_that_all_sources_give_one_sd_is_bartletts_p_value():
    even, uneven = made_up(split=0.3, weights=0.301, order=0.299), made_up(split=0.3, weights=0.4, order=1.2)
    assert variance.alike(even) == pytest.approx(1.0, abs=0.001)
    v = np.array([0.09, 0.16, 1.44])  # Bartlett (1937), three groups of nine degrees of freedom
    statistic = (27 * np.log(v.mean()) - 9 * np.log(v).sum()) / (1 + (3 / 9 - 1 / 27) / 6)
    assert variance.alike(uneven) == pytest.approx(scipy.stats.chi2.sf(statistic, 2))
    assert np.isnan(variance.alike(even[even["source"] == "split"])) and np.isnan(variance.alike(even.iloc[:11]))


def test_an_sd_has_the_interval_that_holds_the_true_one_as_often_as_it_says():
    rng = np.random.default_rng(3)
    intervals = [stats.sd_interval(rng.normal(5, 0.7, 10), 0.9) for _ in range(2000)]
    assert np.mean([low < 0.7 for low, _ in intervals]) == pytest.approx(0.95, abs=0.015)
    assert np.mean([high > 0.7 for _, high in intervals]) == pytest.approx(0.95, abs=0.015)
    low, high = stats.sd_interval([1.0, 2.0, 3.0, 4.0])  # by quantiles of the gamma distribution, half of χ²
    ends = [np.sqrt(5 / (2 * scipy.stats.gamma.ppf(q, 1.5))) for q in (0.975, 0.025)]
    assert (low, high) == pytest.approx(ends)


@pytest.mark.parametrize("values", [[], [92.0]])
def test_one_value_has_no_spread(values):
    assert np.isnan(stats.sd_interval(values)).all()
    found = variance.spreads(pd.DataFrame({"source": ["order"] * len(values), "accuracy": values}))
    assert found["low"].isna().all() and found["sd"].iloc[:-1].isna().all()


def test_the_conclusion_names_the_largest_and_the_smallest_source_beside_seeds_in_which_all_vary():
    found = variance.spreads(made_up(split=0.3, weights=0.4, order=1.2))
    message, values = conclusions.sources(found, 0.04, pd.Series([92.0, 93.0, 94.0]))
    assert message == conclusions.SOURCES
    assert (values["most"]["source"], values["least"]["source"]) == ("order", "split")
    assert (values["sources"], values["n"]) == (3, 10)
    assert (values["most"]["sd"], values["least"]["sd"], values["p"]) == pytest.approx((1.2, 0.3, 0.04))
    ends = [1.2 * np.sqrt(9 / scipy.stats.chi2.ppf(q, 9)) for q in (0.975, 0.025)]
    assert values["most"][["low", "high"]].tolist() == pytest.approx(ends)
    assert (values["together"], values["seen"], values["seeds"]) == pytest.approx((1.3, 1.0, 3))
    ends = [np.sqrt(2 / scipy.stats.chi2.ppf(q, 2)) for q in (0.975, 0.025)]
    assert (values["seen low"], values["seen high"]) == pytest.approx(ends)
