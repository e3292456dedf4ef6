"""Tables, statistics and verdicts: each number against a hand's or another library's, and none from too little."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fmnist_lib import claims, protocol, runs, stats, tables
from fmnist_lib.press.language import speak, tr
from fmnist_lib.press.tables import claims_as_text, scores_as_text
from fmnist_lib.protocol import Study
from fmnist_lib.recipe import Recipe
from fmnist_lib.stats import NOT_REPRODUCED, REPRODUCED, UNDECIDABLE, Effect

ENVIRONMENT = dict.fromkeys(("python", "torch", "system", "processor", "cores", "card"))


def trained(place, model, seed=0, losses=(0.3, 0.2, 0.4), accuracies=None, train=None, seconds=1.0, **fields):
    """Write a run of this curve, an epoch a validation loss; accuracies are in [0–1]."""
    fields = {"split_seed": 42 + seed, "weights_seed": seed, "order_seed": seed, "dropout_seed": seed} | fields
    recipe = Recipe(model, **{"epochs": len(losses)} | fields)
    columns = (train or losses, losses, accuracies or [0.9] * len(losses))
    history = [dict(zip(runs.COLUMNS, (i, *row), strict=True)) for i, row in enumerate(zip(*columns, strict=True), 1)]
    return runs.write(place, recipe, history, {}, {"seconds": seconds}, ENVIRONMENT)


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
def test_fewer_than_two_seeds_have_no_interval_and_no_p_value(values):
    assert np.isnan(stats.mean_interval(values)).all()
    effect = Effect(tuple(values), 1, 0.2)
    assert effect.p_value == 1.0 and not effect.equivalent


def test_the_p_value_of_an_effect_is_students():
    values = (0.3, 0.1, 0.4, -0.1, 0.2)
    t = np.mean(values) / (np.std(values, ddof=1) / math.sqrt(5))
    assert Effect(values, 1, 0.0).p_value == pytest.approx(2 * scipy.stats.t.sf(t, 4), rel=1e-9)


@pytest.mark.parametrize(("values", "p_value"), [((0.5, 0.5, 0.5), 0.0), ((0.0, 0.0), 1.0), ((0.1,) * 3, 0.0)])
def test_seeds_that_agree_exactly_have_a_defined_result(values, p_value):
    effect = Effect(values, 1, 0.2)
    assert effect.p_value == p_value
    assert effect.equivalent == (abs(values[0]) < 0.2)


RULE = [
    ((1.0, 1.1, 0.9), 1, REPRODUCED),
    ((-1.0, -1.1, -0.9), 1, NOT_REPRODUCED),
    ((-1.0, -1.1, -0.9), -1, REPRODUCED),
    ((1.0, 1.1, 0.9), -1, NOT_REPRODUCED),
    ((0.01, -0.01, 0.0, 0.02), 1, NOT_REPRODUCED),  # equivalent to zero
    ((1.0, -1.0, 0.5), 1, UNDECIDABLE),
    ((0.01, -0.01, 0.0, 0.02), 0, REPRODUCED),  # equivalent, as claimed
    ((1.0, 1.1, 0.9), 0, NOT_REPRODUCED),
    ((1.0, -1.0, 0.5), 0, UNDECIDABLE),
    ((0.17, 0.19, 0.21), 0, UNDECIDABLE),  # not zero, and not beyond the margin
    ((0.5, 0.5), 1, REPRODUCED),
    ((0.0, 0.0), 1, NOT_REPRODUCED),
    ((0.0, 0.0), 0, REPRODUCED),
    *[(values, sign, UNDECIDABLE) for values in ((), (5.0,), (-5.0,), (0.0,)) for sign in (1, 0, -1)],
]


@pytest.mark.parametrize(("values", "sign", "verdict"), RULE)
def test_the_verdict_follows_the_rule(values, sign, verdict):
    assert stats.verdicts([Effect(values, sign, 0.2)]) == [verdict]


def test_an_effect_of_many_must_pass_holms_correction():
    spread = np.array([-1.0, 0.0, 1.0, -0.5, 0.5])

    def effect(p):  # five seeds whose t-test gives p
        t = scipy.stats.t.isf(p / 2, 4)
        return Effect(tuple(spread + t * spread.std(ddof=1) / math.sqrt(5)), 1, 0.0)

    for p_values in ([0.02, 0.9, 0.9], [0.001, 0.03, 0.04], [0.01, 0.02, 0.04], [0.004, 0.0125, 0.06, 0.026]):
        effects = [effect(p) for p in p_values]
        assert [e.p_value for e in effects] == pytest.approx(p_values, rel=1e-6)
        rejected, order = [False] * len(p_values), sorted(range(len(p_values)), key=p_values.__getitem__)
        for step, at in enumerate(order):  # by hand: compare the i-th smallest with 0.05 / (m − i), stop at the first
            if p_values[at] > 0.05 / (len(p_values) - step):
                break
            rejected[at] = True
        expected = [REPRODUCED if r else UNDECIDABLE for r in rejected]
        assert stats.verdicts(effects) == expected
    assert stats.verdicts([effect(0.02)]) == [REPRODUCED]  # alone it would pass


# The paper's own tables


def test_the_papers_table_1_agrees_with_what_the_paper_says_of_it():
    table = pd.DataFrame.from_dict(tables.PAPER_TABLE_1, "index", columns=tables.SCORES)
    names = {f"CNN{k}-{n}-{p}" for k, n, p in itertools.product(*protocol.GRID.values())}
    assert set(table.index) == names and len(table) == 12
    assert table["accuracy"].idxmax() == protocol.WINNER and table["accuracy"].is_monotonic_decreasing
    for n, p in itertools.product(protocol.GRID["n"], protocol.GRID["p"]):  # six of six pairs
        assert table.loc[f"CNN3-{n}-{p}", "accuracy"] > table.loc[f"CNN5-{n}-{p}", "accuracy"]
    gaps = [
        table.loc[f"CNN{k}-{n}-0.25", "loss"] - table.loc[f"CNN{k}-{n}-0.1", "loss"]
        for k, n in itertools.product(protocol.GRID["k"], protocol.GRID["n"])
    ]
    assert max(gaps) < 0 and np.mean(gaps) == pytest.approx(-0.016, abs=5e-4)
    assert (table["epoch"].min(), table["epoch"].max()) == (9, 23)
    assert table["loss"].rank()[protocol.WINNER] == 4


def test_the_papers_table_2_agrees_with_what_the_paper_says_of_it():
    table = pd.DataFrame.from_dict(tables.PAPER_TABLE_2, "index", columns=tables.SCORES)
    assert list(table.index) == [protocol.WINNER, "CNN-Nahuel", "ANN-Juan"]
    assert table["accuracy"].is_monotonic_decreasing and table["loss"].is_monotonic_increasing
    assert table.loc[protocol.WINNER, "epoch"] == tables.PAPER_TABLE_1[protocol.WINNER][0]
    fall = tables.PAPER_TABLE_1[protocol.WINNER][2] - table.loc[protocol.WINNER, "accuracy"]
    assert fall == pytest.approx(1.55)


# Ours beside them


def table_of(found, paper=tables.PAPER_TABLE_1, seeds=3, models=()):
    return tables.beside_paper(tables.validation_scores(found), paper, seeds, models)


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
    table = table_of([], models=list(tables.PAPER_TABLE_1))
    assert list(table.index) == list(tables.PAPER_TABLE_1) and (table["n"] == 0).all()
    text = scores_as_text(table)["Accuracy [%]"]
    assert set(text["ours"]) == set(text["difference"]) == {"—"}
    assert [float(value) for value in text["paper"]] == [row[2] for row in tables.PAPER_TABLE_1.values()]


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
    shown = stats.with_intervals(table_of(found), tables.validation_scores(found), 10_000).iloc[0]
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
    assert "numerics" not in table_of(alike) and "numerics" not in tables.validation_scores(alike)
    other = scored(tmp_path, "CNN3-512-0.1", 1, precision="bf16")
    newer = scored(tmp_path, "CNN3-128-0.1")
    (newer.folder / "run.json").write_text(
        (newer.folder / "run.json").read_text().replace('"torch": null', '"torch": "9.9.9"')
    )
    found = [*alike, other, runs.read(newer.folder)]
    told = scores_as_text(table_of(found, models=["CNN5-128-0.1"]))["", "computed by"]
    assert told["CNN3-512-0.1"] == "cpu, bf16, torch None; cpu, fp32, torch None"
    assert told["CNN3-128-0.1"] == "cpu, fp32, torch 9.9.9" and told["CNN5-128-0.1"] == "—"
    test = tables.test_scores(found, [images_of(0.9)] * 4)
    assert "9.9.9" in scores_as_text(tables.beside_paper(test, {}, 2))["", "computed by"]["CNN3-128-0.1"]


def test_rows_come_in_the_papers_order_and_ours_after_them(tmp_path):
    found = [scored(tmp_path, model) for model in ("CNN7-32-0", "CNN5-128-0.1", "CNN3-512-0.1", "CNN1-32-0")]
    table = table_of(found)
    assert list(table.index) == ["CNN3-512-0.1", "CNN5-128-0.1", "CNN1-32-0", "CNN7-32-0"]
    assert np.isnan(table.loc["CNN7-32-0", "accuracy difference"])


def test_the_best_epoch_is_that_of_minimum_loss_the_earliest_on_a_tie(tmp_path):
    run = trained(tmp_path, "CNN3-8-0", losses=(0.3, 0.2, 0.25, 0.2), accuracies=[0.7, 0.8, 0.99, 0.9])
    assert run.best_epoch == 2 and run.best["val_accuracy"] == 0.8
    row = tables.validation_scores([run]).iloc[0]
    assert (row["epoch"], row["loss"], row["accuracy"]) == (2, 0.2, 80.0)


def images_of(accuracy, images=1000, loss=0.25):
    """Return what a model says of the test images, right as often as this."""
    wrong = np.arange(images) >= round(accuracy * images)
    return pd.DataFrame({"label": 0, "predicted": wrong.astype(int), "probability": 0.9, "loss": loss})


def test_test_scores_are_those_of_the_images_under_the_papers_names(tmp_path):
    found = [scored(tmp_path, "ANN-Juan-0.25"), scored(tmp_path, "CNN-Nahuel")]
    scores = tables.test_scores(found, [images_of(0.893), images_of(0.901, loss=0.5)])
    assert list(scores["model"]) == ["ANN-Juan", "CNN-Nahuel"]
    assert list(scores["accuracy"]) == pytest.approx([89.3, 90.1]) and list(scores["loss"]) == pytest.approx(
        [0.25, 0.5]
    )
    table = tables.beside_paper(scores, tables.PAPER_TABLE_2, 1)
    assert table.loc["ANN-Juan", "accuracy difference"] == pytest.approx(89.3 - 89.26)


def test_an_accuracy_has_wilsons_interval_from_one_seed_and_students_from_more(tmp_path):
    found = [scored(tmp_path, "CNN3-512-0.1", s, accuracy=a) for s, a in enumerate((0.92, 0.93))]
    found += [scored(tmp_path, "CNN5-512-0.1", accuracy=0.91)]
    found += [trained(tmp_path, "CNN5-512-0.1", 1, (math.nan,), [0.1])]
    table = table_of(found, seeds=2, models=["CNN3-128-0.1"])
    shown = stats.with_intervals(table, tables.validation_scores(found), 10_000).set_index("model")
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
    runs.attach(better, runs.TEST, images_of(0.1).to_csv(index=False).encode())
    runs.attach(worse, runs.TEST, images_of(1.0).to_csv(index=False).encode())
    assert protocol.winner([runs.read(better.folder), runs.read(worse.folder)]) == "CNN3-512-0.1"


# The claims


def study_of(place, seeds, k5=-0.01, p25=-0.02, noise=0.0):
    """Make up a study in which kernels of 5 cost accuracy, rates of 0.25 lower the loss, and the winner tests worse."""
    study = Study(winners=[protocol.WINNER])
    for seed in range(seeds):
        jitter = noise * (-1) ** seed * (seed + 1)
        for model in tables.PAPER_TABLE_1:
            best, accuracy = 0.22 + p25 * ("0.25" in model), 0.92 + (k5 + jitter) * model.startswith("CNN5")
            losses = [best + 0.1] * 11 + [best + jitter / 100, best + 0.05]  # the best epoch is 12 of 13
            curve = {"accuracies": [accuracy] * 13, "train": [0.3] * 12 + [0.1 + jitter]}
            study.grid.append(trained(place, model, seed, losses, **curve))
        for model, accuracy in (("CNN-Nahuel", 0.91), ("ANN-Juan-0.1", 0.99), ("ANN-Juan-0.25", 0.89)):
            study.searched.append(scored(place, model, seed, accuracy=accuracy + jitter))
        study.searched.append(study.grid[12 * seed])  # the winner's search, found again
        chosen = ((protocol.WINNER, 0.905, 12, 60.0), ("CNN-Nahuel", 0.90, 19, 70.0), ("ANN-Juan-0.25", 0.89, 28, 9.0))
        for model, accuracy, epochs, seconds in chosen:
            seeds_of = {"weights_seed": 1000 + seed, "keep": "last"}
            run = trained(place, model, seed, [0.2] * epochs, seconds=seconds + seed, **seeds_of)
            runs.attach(run, runs.TEST, images_of(accuracy + seed / 1000).to_csv(index=False).encode())
            study.retrained.append(runs.read(run.folder))
    return study


def judged(study):
    table = claims.judge(study, 42).set_index("claim")
    return {key: table[table.index.str.contains(key, regex=False)].iloc[0] for key in KEYS}


KEYS = {  # part of a claim's words: the made-up effect
    "first models of Table I": 0.0,
    "k = 3 is more": 1.0,
    "lower loss": -0.02,
    "p does not": 0.0,
    "n does not": 0.0,
    "between 9 and 23": 3.0,
    "rises after": 0.05,
    "keeps falling": -0.2,
    "on validation than on test": 92.0 - 90.5,
    "on test than the ANN": 1.5,
    "fewer epochs": -16.0,
    "takes longer": 51.0,
    "more parameters": 92.0 - 89.0,
}


def test_the_effects_are_those_that_were_made_up_and_one_seed_decides_nothing(tmp_path):
    found = judged(study_of(tmp_path, 1))
    assert len(claims.CLAIMS) == len(found)
    assert {key: row["ours"] for key, row in found.items()} == pytest.approx(KEYS, abs=1e-9)
    assert {row["n"] for row in found.values()} == {1}
    assert {row["verdict"] for row in found.values()} == {UNDECIDABLE}
    assert all(math.isnan(row["low"]) and math.isnan(row["high"]) for row in found.values())


def test_over_seeds_a_claim_that_holds_is_reproduced_and_one_that_does_not_is_not(tmp_path):
    for name, k5, p25, verdicts in (
        ("holds", -0.01, -0.02, (REPRODUCED, REPRODUCED)),
        ("opposite", 0.01, 0.02, (NOT_REPRODUCED, NOT_REPRODUCED)),
        ("nothing", 0.0, 0.0, (NOT_REPRODUCED, NOT_REPRODUCED)),
    ):
        found = judged(study_of(tmp_path / name, 4, k5, p25))
        assert (found["k = 3 is more"]["verdict"], found["lower loss"]["verdict"]) == verdicts, name
        assert {row["n"] for row in found.values()} == {4}
        assert found["n does not"]["verdict"] == REPRODUCED
        assert found["more parameters"]["verdict"] == NOT_REPRODUCED  # it is better with fewer
    found = judged(study_of(tmp_path / "noise", 4, noise=0.03))
    assert found["k = 3 is more"]["verdict"] == UNDECIDABLE


def test_the_effect_of_k_is_paired_by_seed_as_it_would_be_by_hand(tmp_path):
    row = judged(study_of(tmp_path, 4, noise=0.002))["k = 3 is more"]
    gaps = [100 * (0.01 - 0.002 * (-1) ** seed * (seed + 1)) for seed in range(4)]
    expected = scipy.stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert row["ours"] == pytest.approx(np.mean(gaps))
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_the_papers_own_effects_are_those_of_its_tables():
    table = claims.judge(Study(), 42)
    paper = dict(zip(table["claim"].str[:20], table["paper"], strict=True))
    assert paper["p = 0.25 gives a low"] == pytest.approx(-0.016, abs=5e-4)
    assert paper["The CNN is more accu"] == pytest.approx(90.89 - 89.26)
    assert paper["The CNN needs fewer "] == 13 - 28
    assert paper["The winner is more a"] == pytest.approx(1.55)
    assert math.isnan(paper["Validation loss rise"]) and math.isnan(paper["The CNN takes longer"])  # it gives no number
    assert (table["n"] == 0).all() and set(table["verdict"]) == {UNDECIDABLE}


def test_a_seed_that_lacks_a_run_or_whose_run_diverged_is_left_out_of_what_needs_it(tmp_path):
    study = study_of(tmp_path, 3)
    del study.grid[0]  # also among the searched
    study.searched = [run for run in study.searched if run.recipe.model != protocol.WINNER]
    last = study.grid[-1]
    study.grid[-1] = trained(tmp_path, last.recipe.model, 2, (math.nan,), [0.1], epochs=9)
    found = judged(study)
    assert found["k = 3 is more"]["n"] == 1  # seed 0 lacks the winner, seed 2 diverged
    assert found["on validation than on test"]["n"] == 2
    assert found["on test than the ANN"]["n"] == 3


def test_neither_the_order_of_the_runs_nor_one_found_twice_changes_a_verdict(tmp_path):
    study = study_of(tmp_path, 3, noise=0.001)
    expected = claims.judge(study, 42)
    turned = replace(
        study, grid=study.grid[::-1] + study.grid[:5], retrained=study.retrained[::-1] + study.retrained[:2]
    )
    pd.testing.assert_frame_equal(claims.judge(turned, 42), expected)


def test_neither_one_seed_nor_seeds_that_agree_exactly_give_the_claims_table_an_undefined_verdict(tmp_path):
    one, same = (claims.judge(study_of(tmp_path / str(n), n), 42) for n in (1, 3))
    assert set(one["verdict"]) == {UNDECIDABLE} and one[["low", "high"]].isna().all(axis=None)
    assert (claims_as_text(one).iloc[:, 3] == "—").all()
    zero = same[same["low"] == same["high"]]  # every seed has the same effect
    assert len(zero) > 5 and set(zero["verdict"]) <= set(stats.VERDICTS) and (zero["ours"] == zero["low"]).all()


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_claim_is_told_in_words_with_no_interval_from_one_seed(tmp_path, language):
    speak(language)
    one = claims_as_text(claims.judge(study_of(tmp_path / "1", 1), 42))
    three = claims_as_text(claims.judge(study_of(tmp_path / "3", 3), 42))
    column = one.columns[3]
    assert set(one[column]) == {"—"} and all("…" in text for text in three[column])
    assert set(one["n"]) == {"1"} and set(three["n"]) == {"3"}
    assert set(one.iloc[:, 5]) == {tr(UNDECIDABLE)}
