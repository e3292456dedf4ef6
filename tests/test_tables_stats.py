"""Tables and statistics: each number against a hand's or another library's, and none from too little."""

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fmnist_lib import machine
from fmnist_lib.press.language import speak
from fmnist_lib.press.tables import scores_as_text
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.run import read
from fmnist_lib.runs.store import Store
from fmnist_lib.study import paper, protocol, results, stats, tables

ENVIRONMENT = machine.environment("cpu")


def trained(
    place,
    model,
    seed=0,
    losses=(0.3, 0.2, 0.4),
    accuracies=None,
    train=None,
    seconds=1.0,
    torch="2.11.0",
    variables=None,
    **fields,
):
    """Write a run of this curve, an epoch a validation loss; accuracies are in [0–1]."""
    fields = {"split_seed": 42 + seed, "weights_seed": seed, "order_seed": seed, "dropout_seed": seed} | fields
    recipe = Recipe(model, **{"epochs": len(losses)} | fields)
    columns = (train or losses, losses, accuracies or [0.9] * len(losses))
    history = [
        dict(zip(contents.COLUMNS, (i, *row), strict=True)) for i, row in enumerate(zip(*columns, strict=True), 1)
    ]
    computer = ENVIRONMENT | {"torch": torch, "variables": variables or {}}
    times = {"seconds": seconds, "finished": "2026-01-01T00:00:00Z"}
    return Store(place).write(recipe, history, {}, times, (computer, record.source()))


def scored(place, model, seed=0, loss=0.2, accuracy=0.9, **fields):
    return trained(place, model, seed, (loss,), [accuracy], **fields)


# Intervals and tests


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_the_interval_of_one_accuracy_is_wilsons(right, images):
    right = min(right, images)
    f, z = right / images, 1.959963984540054
    middle, half = f + z**2 / (2 * images), z * math.sqrt(f * (1 - f) / images + z**2 / (4 * images**2))
    low, high = stats.wilson(100 * f, images)
    assert low == pytest.approx(max(0, 100 * (middle - half) / (1 + z**2 / images)), abs=1e-6)
    assert high == pytest.approx(100 * (middle + half) / (1 + z**2 / images), abs=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=9))
def test_the_interval_over_seeds_is_students(values):
    spread = float(np.std(values, ddof=1))
    low, high = stats.mean_interval(values)
    if spread > 1e-9:
        expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    else:
        assert (low, high) == pytest.approx((np.mean(values),) * 2, abs=1e-6)


@pytest.mark.parametrize("values", [[], [92.4]])
def test_fewer_than_two_seeds_have_no_interval_and_are_equivalent_to_nothing(values):
    assert np.isnan(stats.mean_interval(values)).all()
    assert not stats.equivalent(values, 200.0) and stats.sign_test(values) == 1.0
    assert math.isnan(stats.seeds_needed(values, 0.95, lambda low, high: True))


@pytest.mark.parametrize("value", [0.0, 0.1, -0.5])
def test_seeds_that_agree_exactly_have_a_defined_result(value):
    values = [value] * 3
    assert stats.mean_interval(values, 0.99) == pytest.approx((value, value), abs=1e-12)
    assert stats.equivalent(values, 0.2) == (abs(value) < 0.2)
    assert stats.sign_test(values) == (1.0 if value == 0 else 0.25)  # three of three: 2 · (1/2)³
    assert stats.commonest(values) == 3 and stats.commonest([]) == 0


SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # hours gained, ten patients (Student, Biometrika 6, 1908)


def test_students_own_example_has_the_interval_that_r_prints_of_it():
    assert stats.mean_interval(SLEEP) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)
    assert stats.commonest(SLEEP) == 2


@given(st.lists(st.integers(-3, 3), max_size=12), st.sampled_from([0.0, 0.5, 1.0]))
def test_the_sign_test_is_the_binomial_sum_of_those_that_are_elsewhere(values, at):
    above, below = sum(v > at for v in values), sum(v < at for v in values)
    n, fewer = above + below, min(above, below)
    expected = min(1.0, 2 * sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n)
    assert stats.sign_test(values, at) == pytest.approx(expected)
    if n:
        assert stats.sign_test(values, at) == pytest.approx(scipy.stats.binomtest(above, n).pvalue)


def test_the_sign_test_of_students_example_leaves_the_patient_out_who_gained_nothing():
    assert stats.sign_test(SLEEP) == 2 / 2**9


@pytest.mark.parametrize("level", [0.95, 1 - 0.05 / 12])
def test_the_seeds_needed_are_the_fewest_whose_interval_of_the_same_mean_and_sd_is_decided(level):
    values = [0.3, -0.2, 0.5, 0.1, -0.1]
    mean, sd = np.mean(values), np.std(values, ddof=1)
    n = stats.seeds_needed(values, level, lambda low, high: low > 0)
    lows = [mean - scipy.stats.t.ppf((1 + level) / 2, m - 1) * sd / math.sqrt(m) for m in (n - 1, n)]
    assert lows[0] <= 0 < lows[1] and n > len(values)
    assert stats.seeds_needed([-1.0, 1.0], level, lambda low, high: low > 0) == math.inf  # a mean of 0, for ever


# The paper's own tables


def test_the_papers_table_1_agrees_with_what_the_paper_says_of_it():
    table = pd.DataFrame.from_dict(paper.TABLE_1, "index", columns=tables.SCORES)
    names = {f"CNN{k}-{n}-{p}" for k, n, p in itertools.product(*paper.GRID.values())}
    assert set(table.index) == names and len(table) == 12
    assert table["accuracy"].idxmax() == protocol.WINNER and table["accuracy"].is_monotonic_decreasing
    for n, p in itertools.product(paper.GRID["n"], paper.GRID["p"]):  # six of six pairs
        assert table.loc[f"CNN3-{n}-{p}", "accuracy"] > table.loc[f"CNN5-{n}-{p}", "accuracy"]
    gaps = [
        table.loc[f"CNN{k}-{n}-0.25", "loss"] - table.loc[f"CNN{k}-{n}-0.1", "loss"]
        for k, n in itertools.product(paper.GRID["k"], paper.GRID["n"])
    ]
    assert max(gaps) < 0 and np.mean(gaps) == pytest.approx(-0.016, abs=5e-4)
    assert (table["epoch"].min(), table["epoch"].max()) == (9, 23)
    assert table["loss"].rank()[protocol.WINNER] == 4


def test_the_papers_table_2_agrees_with_what_the_paper_says_of_it():
    table = pd.DataFrame.from_dict(paper.TABLE_2, "index", columns=tables.SCORES)
    assert list(table.index) == [protocol.WINNER, "CNN-Nahuel", "ANN-Juan"]
    assert table["accuracy"].is_monotonic_decreasing and table["loss"].is_monotonic_increasing
    assert table.loc[protocol.WINNER, "epoch"] == paper.TABLE_1[protocol.WINNER][0]
    fall = paper.TABLE_1[protocol.WINNER][2] - table.loc[protocol.WINNER, "accuracy"]
    assert fall == pytest.approx(1.55)


# Ours beside them


def table_of(found, seeds=3, models=()):
    return tables.table_1(results.frame(found), seeds, models)


def test_a_row_is_the_mean_and_sd_over_seeds_beside_the_papers_value(tmp_path):
    accuracies, losses = (0.92, 0.93, 0.91), (0.20, 0.22, 0.21)
    found = [
        scored(tmp_path, "CNN3-512-0.1", seed, loss, accuracy)
        for seed, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
    ]
    row = table_of(found).loc["CNN3-512-0.1"]
    assert row["accuracy"] == pytest.approx(92.0) and row["accuracy sd"] == pytest.approx(1.0)
    assert row["loss"] == pytest.approx(0.21) and row["paper accuracy"] == 92.44 and row["n"] == 3
    assert row["accuracy difference"] == pytest.approx(92.0 - 92.44)
    assert row["runs"] == [run.recipe.id for run in found]


def test_a_missing_model_has_a_row_that_says_so_and_a_missing_seed_is_told(tmp_path):
    found = [scored(tmp_path, "CNN3-128-0.1", seed) for seed in (0, 1)]
    table = table_of(found, models=["CNN3-512-0.1", "CNN3-128-0.1"])
    assert table["n"].to_dict() == {"CNN3-512-0.1": 0, "CNN3-128-0.1": 2}
    text = scores_as_text(table)
    assert list(text["", "n"]) == ["0 / 3", "2 / 3"]
    assert text["Loss", "ours"]["CNN3-512-0.1"] == "—" and text["Loss", "paper"]["CNN3-512-0.1"] == "0.217"


def test_nothing_trained_gives_a_table_of_the_paper_alone():
    table = table_of([], models=list(paper.TABLE_1))
    assert list(table.index) == list(paper.TABLE_1) and (table["n"] == 0).all()
    text = scores_as_text(table)["Accuracy [%]"]
    assert set(text["ours"]) == set(text["difference"]) == {"—"}
    assert [float(value) for value in text["paper"]] == [row[2] for row in paper.TABLE_1.values()]


def test_a_diverged_run_is_left_out_of_the_mean_and_told(tmp_path):
    good = scored(tmp_path, "CNN3-512-0.1", 0, 0.2, 0.9)
    bad = trained(tmp_path, "CNN3-512-0.1", 1, (0.1, math.inf), [0.99, 0.1], epochs=9)
    alone = trained(tmp_path, "CNN5-512-0.1", 0, (math.nan,), [0.1], epochs=9)
    assert bad.diverged and alone.diverged
    table = table_of([good, bad, alone], seeds=2)
    assert table.loc["CNN3-512-0.1", ["n", "diverged", "accuracy"]].tolist() == [1, 1, 90.0]
    text = scores_as_text(table)
    assert text["", "n"]["CNN3-512-0.1"] == "1 / 2" and text["Loss", "ours"]["CNN5-512-0.1"] == "diverged"
    speak("es")
    assert scores_as_text(table)["Loss", "ours"]["CNN5-512-0.1"] == "divergió"


def test_a_run_listed_twice_counts_once_and_no_order_matters(tmp_path):
    found = [scored(tmp_path, model, s, 0.2 + s / 10) for model in ("CNN3-512-0.1", "CNN5-512-0.1") for s in range(3)]
    table = table_of(found)
    pd.testing.assert_frame_equal(table_of([*found, found[1], found[1]]), table)
    turned = table_of(found[::-1])
    pd.testing.assert_frame_equal(turned.drop(columns="runs"), table.drop(columns="runs"))
    assert list(table["n"]) == [3, 3]


def test_a_run_listed_twice_is_drawn_once_and_keeps_the_interval_of_one_seed(tmp_path):
    found = [scored(tmp_path, "CNN3-512-0.1", accuracy=0.92)] * 2
    shown = stats.with_intervals(table_of(found), tables.validation(results.frame(found)), 10_000).iloc[0]
    assert shown["each"] == pytest.approx([92.0])
    assert (shown["low"], shown["high"]) == pytest.approx(stats.wilson(92.0, 10_000))


def test_three_seeds_of_five_are_told_and_their_mean_is_theirs_alone(tmp_path):
    found = [scored(tmp_path, "CNN3-512-0.1", seed, accuracy=0.9 + seed / 100) for seed in (0, 1, 4)]
    found += [scored(tmp_path, "CNN5-512-0.1", seed) for seed in range(5)]
    table = table_of(found, seeds=5, models=["CNN3-128-0.1"])
    assert dict(scores_as_text(table)["", "n"]) == {
        "CNN3-512-0.1": "3 / 5", "CNN3-128-0.1": "0 / 5", "CNN5-512-0.1": "5 / 5"
    }  # fmt: skip
    assert table.loc["CNN3-512-0.1", "accuracy"] == pytest.approx((90 + 91 + 94) / 3)


def test_runs_of_different_precision_or_torch_in_one_table_are_told_apart_in_it(tmp_path):
    alike = [scored(tmp_path, "CNN3-512-0.1"), scored(tmp_path, "CNN5-512-0.1")]
    assert "numerics" not in table_of(alike) and "numerics" not in tables.validation(results.frame(alike))
    other = scored(tmp_path, "CNN3-512-0.1", 1, precision="bf16")
    found = [*alike, other, scored(tmp_path, "CNN3-128-0.1", torch="9.9.9")]
    told = scores_as_text(table_of(found, models=["CNN5-128-0.1"]))["", "computed by"]
    assert told["CNN3-512-0.1"] == "bf16, torch 2.11.0; fp32, torch 2.11.0"
    assert told["CNN3-128-0.1"] == "fp32, torch 9.9.9" and told["CNN5-128-0.1"] == "—"
    assert ("", "run") not in scores_as_text(table_of(found)) and ("", "run") in scores_as_text(table_of(found[:2]))
    for run in found:
        run.attach(record.TEST, contents.pack_answers(images_of(0.9)))
    test = tables.test(results.frame(found))
    assert "9.9.9" in scores_as_text(tables.beside_paper(test, {}, 2))["", "computed by"]["CNN3-128-0.1"]


@pytest.mark.parametrize("change", [{"kernels": "numba"}, {"variables": {"MKL_CBWR": "COMPATIBLE"}}], ids=str)
def test_runs_of_other_kernels_or_under_variables_that_change_bits_are_told_apart(tmp_path, change):
    alike, other = scored(tmp_path, "CNN3-512-0.1"), scored(tmp_path, "CNN5-512-0.1", **change)
    told = tables.validation(results.frame([alike, other]))["numerics"]
    assert told[0] != told[1] and re.search("numba kernels|MKL_CBWR=COMPATIBLE", " ".join(told))
    assert len(set(told)) == 2


def test_what_a_training_costs_is_counted_from_the_network_and_the_images_it_saw(tmp_path):
    run = trained(
        tmp_path, "ANN-Juan-0.1", train_images=1000, accuracies=[0.7, 0.8, 0.9]
    )  # its best epoch is the second
    table = tables.cost(results.frame([run]), 10_000).iloc[0]
    assert table["teraflop"] == pytest.approx(2 * 1000 * 2 * (2 * 784 * 512 + 3 * 512 * 10) / 1e12)
    assert table["millions"] == pytest.approx(0.407050) and table["low"] < table["accuracy"] < table["high"]
    assert table["accuracy"] == pytest.approx(80.0)


def test_a_mean_over_seeds_has_students_interval_and_ann_juans_cost_is_that_of_each_seeds_rate(tmp_path):
    accuracies = {
        ("0.1", 0): 0.89,
        ("0.25", 0): 0.90,
        ("0.1", 1): 0.91,
        ("0.25", 1): 0.90,
        ("0.1", 2): 0.8,
        ("0.25", 2): 0.7,
    }
    found = [scored(tmp_path, f"ANN-Juan-{p}", seed, accuracy=a) for (p, seed), a in accuracies.items()]
    row = tables.cost(results.frame(found), 10_000).set_index("model").loc["ANN-Juan-0.1"]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean([89, 91, 80]), scipy.stats.sem([89, 91, 80]))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    frame = results.frame(found).assign(best_epoch=[10, 20, 30, 40, 50, 60])
    assert list(tables.spent(frame).index) == ["ANN-Juan"]
    one = tables.cost(frame[frame["best_epoch"] == 10], 10_000)["teraflop"].item() / 10
    assert tables.spent(frame).loc["ANN-Juan", "teraflop"] == pytest.approx(one * (20 + 30 + 50) / 3)


def test_a_search_that_diverged_has_no_part_in_what_its_model_costs(tmp_path):
    frame = results.frame([scored(tmp_path, "ANN-Juan-0.1", seed, accuracy=0.8 + seed / 100) for seed in (0, 1)])
    lost = frame.assign(status="diverged", best_epoch=9, best_val_accuracy=10.0)
    for told in (tables.spent, lambda some: tables.cost(some, 10_000)):
        pd.testing.assert_frame_equal(told(pd.concat([frame, lost])), told(frame))


def test_what_a_training_costs_is_that_of_the_network_in_its_readings_and_of_searches_alone(tmp_path):
    nahuel = trained(tmp_path, "CNN-Nahuel", nahuel_k=5, padding="same")
    again = trained(tmp_path, "CNN-Nahuel", 1000, keep="last")
    (row,) = tables.cost(results.frame([nahuel, again]), 10_000).itertuples()
    convolutions = 32 * 26 + 64 * (32 * 25 + 1) + 2 * 96
    assert row.millions * 1e6 == pytest.approx(convolutions + 64 * 49 * 600 + 600 + 600 * 120 + 120 + 120 * 10 + 10)


@pytest.mark.parametrize("turn", [1, -1])
def test_ann_juans_rate_is_the_best_of_each_seed_whatever_the_order(tmp_path, turn):
    accuracies = {("0.1", 0): 0.89, ("0.25", 0): 0.90, ("0.1", 1): 0.91, ("0.25", 1): 0.90}
    found = [scored(tmp_path, f"ANN-Juan-{p}", seed, accuracy=a) for (p, seed), a in accuracies.items()]
    chosen = protocol.finalists([], found[::turn])
    assert {(run.recipe.model, run.recipe.weights_seed) for run in chosen} == {
        ("ANN-Juan-0.25", 0),
        ("ANN-Juan-0.1", 1),
    }


def test_the_largest_discrepancy_and_both_orders_of_table_2_are_told():
    columns = {"paper accuracy": [90.0, 89.0, 88.0, np.nan], "accuracy": [91.0, 92.5, 80.0, 99.0]}
    table = pd.DataFrame(columns, ["A", "B", "C", "D"])
    table["accuracy difference"] = table["accuracy"] - table["paper accuracy"]
    assert tables.furthest(table) == {"model": "C", "difference": -8.0, "theirs": "A > B > C", "ours": "B > A > C"}
    assert tables.furthest(table.drop("C"))["difference"] == 3.5
    assert tables.furthest(table.loc[["D"]]) is None


def test_rows_come_in_the_papers_order_and_ours_after_them(tmp_path):
    found = [scored(tmp_path, model) for model in ("CNN7-32-0", "CNN5-128-0.1", "CNN3-512-0.1", "CNN1-32-0")]
    table = table_of(found)
    assert list(table.index) == ["CNN3-512-0.1", "CNN5-128-0.1", "CNN1-32-0", "CNN7-32-0"]
    assert np.isnan(table.loc["CNN7-32-0", "accuracy difference"])


def test_the_best_epoch_is_that_of_minimum_loss_the_earliest_on_a_tie(tmp_path):
    run = trained(tmp_path, "CNN3-8-0", losses=(0.3, 0.2, 0.25, 0.2), accuracies=[0.7, 0.8, 0.99, 0.9])
    assert run.best_epoch == 2 and run.best["val_accuracy"] == 0.8
    row = tables.validation(results.frame([run])).iloc[0]
    assert (row["epoch"], row["loss"], row["accuracy"]) == (2, 0.2, 80.0)


def images_of(accuracy, images=10_000, loss=0.25):
    """Return what a model says of the test images, right as often as this."""
    wrong = np.arange(images) >= round(accuracy * images)
    return pd.DataFrame({"label": 0, "predicted": wrong.astype(int), "probability": 0.9, "loss": loss})


def test_test_scores_are_those_of_the_images_under_the_papers_names(tmp_path):
    found = [scored(tmp_path, "ANN-Juan-0.25"), scored(tmp_path, "CNN-Nahuel")]
    for run, images in zip(found, (images_of(0.893), images_of(0.901, loss=0.5)), strict=True):
        run.attach(record.TEST, contents.pack_answers(images))
    scores = tables.test(results.frame(found))
    assert list(scores["model"]) == ["ANN-Juan", "CNN-Nahuel"]
    assert list(scores["accuracy"]) == pytest.approx([89.3, 90.1]) and list(scores["loss"]) == pytest.approx(
        [0.25, 0.5]
    )
    table = tables.table_2(results.frame(found), 1)
    assert table.loc["ANN-Juan", "accuracy difference"] == pytest.approx(89.3 - 89.26)


def test_an_accuracy_has_wilsons_interval_from_one_seed_and_students_from_more(tmp_path):
    found = [scored(tmp_path, "CNN3-512-0.1", s, accuracy=a) for s, a in enumerate((0.92, 0.93))]
    found += [scored(tmp_path, "CNN5-512-0.1", accuracy=0.91)]
    found += [trained(tmp_path, "CNN5-512-0.1", 1, (math.nan,), [0.1])]
    table = table_of(found, seeds=2, models=["CNN3-128-0.1"])
    shown = stats.with_intervals(table, tables.validation(results.frame(found)), 10_000).set_index("model")
    assert list(shown.index) == ["CNN3-512-0.1", "CNN5-512-0.1"]
    assert tuple(shown.loc["CNN5-512-0.1", ["low", "high"]]) == pytest.approx(stats.wilson(91.0, 10_000))
    assert tuple(shown.loc["CNN3-512-0.1", ["low", "high"]]) == pytest.approx(stats.mean_interval([92.0, 93.0]))
    assert shown.loc["CNN5-512-0.1", "each"] == pytest.approx([91.0])


# What is chosen


def test_the_winner_has_the_highest_accuracy_at_its_best_epoch(tmp_path):
    found = [
        trained(tmp_path, "CNN3-128-0.1", losses=(0.2, 0.3), accuracies=[0.90, 0.99]),  # 0.99 is not at its best epoch
        scored(tmp_path, "CNN3-256-0.1", loss=0.5, accuracy=0.92),
        scored(tmp_path, "CNN3-512-0.1", loss=0.1, accuracy=0.91),
        trained(tmp_path, "CNN5-512-0.1", losses=(0.1, math.nan), accuracies=[0.999, 0.1]),  # it diverged
    ]
    for order in itertools.permutations(found):
        assert protocol.winner(list(order)) == "CNN3-256-0.1"


def test_a_tie_goes_to_the_lower_loss_then_to_the_name_whatever_the_order(tmp_path):
    tied = [scored(tmp_path, f"CNN3-{n}-0.1", loss=loss) for n, loss in ((512, 0.3), (256, 0.2), (128, 0.2))]
    for order in itertools.permutations(tied):
        assert protocol.winner(list(order)) == "CNN3-128-0.1"
    assert protocol.winner(tied[:2]) == "CNN3-256-0.1"


def test_the_winner_is_that_of_the_mean_over_seeds(tmp_path):
    lucky = [scored(tmp_path, "CNN3-128-0.1", s, accuracy=a) for s, a in enumerate((0.99, 0.80))]
    steady = [scored(tmp_path, "CNN3-512-0.1", s, accuracy=a) for s, a in enumerate((0.92, 0.91))]
    assert protocol.winner(lucky + steady) == protocol.winner(steady + lucky) == "CNN3-512-0.1"


def test_what_the_test_images_say_chooses_nothing(tmp_path):
    better, worse = scored(tmp_path, "CNN3-512-0.1", accuracy=0.92), scored(tmp_path, "CNN3-128-0.1", accuracy=0.91)
    better.attach(record.TEST, contents.pack_answers(images_of(0.1)))
    worse.attach(record.TEST, contents.pack_answers(images_of(1.0)))
    assert protocol.winner([read(better.folder), read(worse.folder)]) == "CNN3-512-0.1"
