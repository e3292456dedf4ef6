"""Readings: which trainings each asks for, what a network says in training mode, and how the numbers are weighed."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from test_tables_stats import ENVIRONMENT, images_of, scored, trained

from fmnist_lib import UserError, models
from fmnist_lib.commands import pack as packing
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, job, pack, record
from fmnist_lib.runs.run import read
from fmnist_lib.runs.store import Store, places
from fmnist_lib.study import answers, conclusions, mode, protocol, weighing
from fmnist_lib.study.paper import TABLE_1, TABLE_2, WINNER
from fmnist_lib.study.readings import READINGS, choices, named

PARAMS = protocol.DEFAULTS | {
    "device": "cpu",
    "precision": "fp32",
    "kernels": "torch",
    "seed": [11, 12],
    "patience": 15,
}


# The trainings

RIVALS = ("CNN-Nahuel", "ANN-Juan-0.1", "ANN-Juan-0.25")
FINALISTS = ("CNN3-512-0.1", *RIVALS)
CHANGES = {  # by hand, from the words of each reading
    "no_padding": (("CNN3-512-0.1", "CNN5-512-0.1", "CNN-Nahuel"), {"padding": "0,0"}),
    "same_padding": (
        ("CNN3-512-0.1", "CNN5-512-0.1", "CNN3-128-0.25", "CNN5-128-0.25", "CNN-Nahuel"),
        {"padding": "same"},
    ),
    "output_dropout": (FINALISTS, {"output": "dropout_relu"}),
    "fixed_batches": (FINALISTS, {"shuffle": False}),
    "standardised": (FINALISTS, {"scaling": "standardised"}),
    "pixel_dropout": (RIVALS[1:], {"input_dropout": True}),
    "no_dropout": (("ANN-Juan-0",), {}),
    "chosen_on_test": (RIVALS, {"validate_on": "test"}),
    "nahuel_k5": (("CNN-Nahuel",), {"nahuel_k": 5}),
    "nahuel_batch": (("CNN-Nahuel",), {"batch": 1000}),
    "nahuel_both": (("CNN-Nahuel",), {"nahuel_k": 5, "batch": 1000}),
    "all_images": (FINALISTS, {"retrain_images": 60_000}),
    "same_seeds": (FINALISTS, {"retrain_seed": 0}),
    "best_weights": (FINALISTS, {}),
    "training_mode": (FINALISTS, {}),
    "mode_k5": (("CNN-Nahuel",), {"nahuel_k": 5}),
    "mode_batch": (("CNN-Nahuel",), {"batch": 1000}),
}


def test_each_reading_changes_what_its_words_say():
    assert {name: (r.systems, r.changes) for name, r in READINGS.items() if name != "default"} == CHANGES
    assert [name for name, r in READINGS.items() if r.training_mode] == ["training_mode", "mode_k5", "mode_batch"]
    assert [name for name, r in READINGS.items() if r.tested == "search"] == ["best_weights"]


CHOSEN = {  # of a reading that chooses so the words say so
    "padding = 0,0": "no padding", "padding = same": "keeps the size", "output = dropout_relu": "on the outputs",
    "shuffle = False": "same batches", "scaling = standardised": "standardised", "input_dropout = True": "the pixels",
    "p = 0 in ANN-Juan": "no dropout", "validate_on = test": "chosen on test", "nahuel_k = 5": "k = 5",
    "batch = 1000": "1,000", "retrain_images = 60000": "all 60,000", "retrain_seed = 0": "same seeds",
    "search's best weights": "best weights", "training mode": "training mode",
}  # fmt: skip


def test_the_words_of_a_reading_name_all_that_it_chooses_and_nothing_that_it_does_not():
    for name, reading in READINGS.items():
        said = {choice for choice, words in CHOSEN.items() if words in reading.words}
        assert said == set(choices(reading)), name


def test_what_alters_no_search_gives_no_table_one_and_neither_does_what_is_tested_otherwise():
    anew = ["no_padding", "same_padding", "output_dropout", "fixed_batches", "standardised", "pixel_dropout"]
    anew += ["no_dropout", "chosen_on_test", "nahuel_k5", "nahuel_batch", "nahuel_both"]
    assert [name for name, reading in READINGS.items() if reading.searched_anew] == [*anew, "mode_k5", "mode_batch"]
    assert [name for name, reading in READINGS.items() if reading.validated] == ["default", *anew]


def test_a_reading_changes_what_it_says_on_the_networks_that_it_names_and_nothing_else():
    default = {(r.model, r.split_seed): r for r in weighing.searches(READINGS["default"], PARAMS)}
    for name, reading in READINGS.items():
        found = weighing.searches(reading, PARAMS)
        assert [r.model for r in found] == [*reading.systems] * 2, name
        for recipe in found:
            own = {field: value for field, value in reading.changes.items() if not field.startswith("retrain")}
            if recipe.model in TABLE_1 and reading.searched_anew:
                own["patience"] = 15  # what comes after the winner's best epoch is the default's matter
            if recipe.model != "ANN-Juan-0":
                assert recipe == replace(default[recipe.model, recipe.split_seed], **own), name
    assert default[WINNER, 53].patience == 0 and default["CNN-Nahuel", 53].patience == 15


def test_a_reading_that_does_not_go_with_the_other_parameters_is_named():
    few = PARAMS | {"train_images": 400, "val_images": 200, "batch": 100}
    with pytest.raises(UserError, match=r'"CNN-Nahuel: batches of 1,000", batch = 1000 is above train_images = 400'):
        weighing.searches(READINGS["nahuel_batch"], few)
    assert weighing.searches(READINGS["nahuel_k5"], few)


def test_the_retrainings_are_listed_once_their_searches_are_there(tmp_path):
    params, store = PARAMS | {"seed": [11], "epochs": 1, "patience": 0}, Store(tmp_path)
    before = weighing.recipes(["all_images", "same_seeds", "best_weights"], params, store)
    assert len(before) == 4 and {r.keep for r in before} == {"best"}  # the default's searches, each once
    for recipe in before:
        fields = {name: value for name, value in vars(recipe).items() if name != "model"}
        scored(tmp_path, recipe.model, accuracy=0.9 if recipe.model == "ANN-Juan-0.1" else 0.8, **fields)
    after = [
        r for r in weighing.recipes(["all_images", "same_seeds", "best_weights"], params, store) if r not in before
    ]
    assert {r.model for r in after} == {WINNER, "CNN-Nahuel", "ANN-Juan-0.1"} and len(after) == 6
    assert {(r.train_images, r.val_images, r.weights_seed) for r in after} == {(60_000, 0, 1011), (50_000, 10_000, 11)}
    assert {(r.epochs, r.patience, r.keep) for r in after} == {(1, 0, "last")}


def test_the_hours_are_those_of_the_images_by_the_operations_of_the_network():
    recipe = Recipe(WINNER, epochs=50)
    assert weighing.hours([recipe]) == pytest.approx(50 * (50_000 + 0.4 * 10_000) / 5000 / 3600)
    patient = replace(recipe, patience=15)
    assert weighing.hours([recipe, patient]) == pytest.approx(weighing.hours([recipe]) * (1 + 29 / 50))
    assert weighing.hours([replace(recipe, model="ANN-Juan-0.1")]) < weighing.hours([recipe]) / 5


def test_every_reading_says_what_it_chooses_and_the_default_comes_first():
    told = [tuple(choices(reading)) for reading in READINGS.values()]
    assert len(set(told)) == len(told) and told[0] == ()
    assert named(["training_mode"]) == ["default", "training_mode"] and named(["all"]) == list(READINGS)


# Training mode


@pytest.fixture
def few(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1000, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (1000,), generator=generator)
    monkeypatch.setattr(mode, "_test_images", lambda data_dir: (images, labels))
    return images, labels


def said(run, **options):
    """Return loss and accuracy in training mode."""
    return mode.scores(mode.predictions(run, **options))


def with_weights(place, model, finished="2026-01-01T00:00:00Z", **fields):
    recipe = Recipe(model, epochs=1, **fields)
    torch.manual_seed(0)
    weights = {name: tensor.contiguous() for name, tensor in models.of(recipe).state_dict().items()}
    history = [{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5}]
    times = {"seconds": 1.0, "finished": finished}
    return Store(place).write(recipe, history, weights, times, (ENVIRONMENT, record.source()))


@pytest.mark.parametrize("scaling", ["unit", "standardised"])
def test_a_network_without_dropout_and_norms_says_the_same_in_training_mode(tmp_path, few, scaling):
    run = with_weights(tmp_path, "ANN-Juan-0", scaling=scaling)
    middle, spread = (0.0, 1.0) if scaling == "unit" else (0.2860, 0.3530)
    with torch.no_grad():
        logits = answers.network(run)((few[0] / 255 - middle) / spread)
    loss, accuracy = said(run)
    assert loss == pytest.approx(F.cross_entropy(logits, few[1]).item(), abs=1e-5)
    assert accuracy == pytest.approx(100 * (logits.argmax(1) == few[1]).double().mean().item())


def test_training_mode_normalises_each_batch_by_itself_and_leaves_the_run_as_it_is(tmp_path, few):
    run = with_weights(tmp_path, "CNN3-16-0")  # no dropout: the norms alone
    network, before = answers.network(run), (run.folder / record.WEIGHTS).read_bytes()
    for layer in network:
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
    with torch.no_grad():
        logits = torch.cat([network(part / 255) for part in few[0].split(500)])
    assert said(run)[0] == pytest.approx(F.cross_entropy(logits, few[1]).item(), abs=1e-5)
    assert said(run) == said(run)
    assert (run.folder / record.WEIGHTS).read_bytes() == before
    dropped = with_weights(tmp_path, "CNN3-16-0.5")
    assert said(dropped) != said(dropped, seed=1)


def told_both_ways(place, model, usual, training, **fields):
    """Write a retraining with what it says of the test images as usual and in training mode: accuracy and loss each."""
    run = trained(place, model, 1000, keep="last", **fields)
    for name, (accuracy, loss) in ((record.TEST, usual), (record.MODE, training)):
        run.attach(name, contents.pack_answers(images_of(accuracy, loss=loss)))
    return read(run.folder)


def test_training_mode_costs_a_model_what_its_own_answers_lose_of_each_seed(tmp_path):
    runs = [told_both_ways(tmp_path, WINNER, (0.9, 0.3), (0.7, 0.8), split_seed=seed) for seed in (42, 43)]
    runs += [told_both_ways(tmp_path, "CNN-Nahuel", (0.9, 0.3), (0.4, 0.8), split_seed=42)]
    assert mode.cost(runs, WINNER).to_dict() == pytest.approx({42: 20.0, 43: 20.0})
    assert mode.cost(runs, "ANN-Juan-0.1") is None


def test_a_reading_in_training_mode_has_the_loss_and_the_accuracy_of_what_is_said_so(tmp_path):
    run = told_both_ways(tmp_path, "CNN-Nahuel", (0.9, 0.3), (0.7, 0.8))
    (row,) = weighing.values("training_mode", [], [run], "", 42).to_dict("records")
    assert (row["loss"], row["accuracy"]) == (pytest.approx(0.8), pytest.approx(70.0))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The reports of a repository that ships nothing yet."""
    monkeypatch.setattr(pack, "REPORTS", tmp_path / "reports")
    return tmp_path / "reports"


def test_what_it_says_in_training_mode_goes_with_its_record_where_its_weights_do_not(tmp_path, shipped, monkeypatch):
    images, labels = torch.randint(0, 256, (10_000, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (10_000,))
    monkeypatch.setattr(mode, "_test_images", lambda data_dir: (images, labels))
    run = with_weights(tmp_path / "runs", "CNN3-4-0.5")
    run.attach(record.TEST, contents.pack_answers(answers.predictions(answers.network(run), images, labels, "unit")))
    evaluated, trained = mode.scores(run.answers()), said(run)
    assert trained[1] != evaluated[1] and run.answers(record.MODE) is None  # to ask is not to keep
    mode.on_test(run)
    mode.on_test(run)
    packing.add(Store(tmp_path / "runs", shipped=False), shipped / "readings" / "records.zip")
    monkeypatch.setattr(answers, "network", pytest.fail)
    packed = Store(tmp_path / "others").find(run.recipe)
    assert mode.can_tell(packed) and not packed.has_weights
    assert said(packed) == pytest.approx(trained, abs=1e-6) and mode.scores(packed.answers()) == evaluated
    cost = mode.cost([packed], packed.recipe.model)
    assert cost.to_dict() == {packed.recipe.split_seed: pytest.approx(evaluated[1] - trained[1])}


def test_a_newer_record_that_can_tell_is_found_for_training_mode_and_takes_the_place_of_none(tmp_path, shipped):
    for name, second, mode_too in (("older", 1, False), ("newer", 2, True)):
        run = with_weights(tmp_path / name, "CNN3-4-0.5", f"2026-01-0{second}T00:00:00Z")
        run.attach(record.TEST, contents.pack_answers(images_of(0.8 + second / 100)))
        run.attach(record.MODE, contents.pack_answers(images_of(0.5))) if mode_too else None
        packing.add(Store(tmp_path / name, shipped=False), shipped / {1: "a", 2: "z"}[second] / "records.zip")
    store = Store(tmp_path / "none")
    assert mode.scores(store.find(run.recipe).answers())[1] == pytest.approx(81)
    told = mode.find(run.recipe, store)
    assert mode.scores(told.answers())[1] == pytest.approx(82) and mode.scores(mode.predictions(told))[1] == 50
    assert mode.find(replace(run.recipe, order_seed=9), store) is None


def here(todo, store, data_dir="", weights=False, **_):
    """Train in this process."""
    for recipe in store.missing(todo, weights):
        job.train_one(recipe, store, data_dir, weights)
    return [store.find(recipe, weights) for recipe in todo]


def test_a_reading_in_training_mode_trains_what_is_shipped_without_it_once_more_and_what_has_it_never(
    tmp_path, shipped, data_dir, monkeypatch
):
    monkeypatch.setattr(weighing.sweep, "train", here)
    small = {"seed": [0], "train_images": 50, "val_images": 50, "retrain_images": 50, "batch": 50, "epochs": 1}
    params, store = PARAMS | small | {"patience": 0}, Store(tmp_path / "runs")
    first = weighing.conduct(["nahuel_k5"], params, store, data_dir)
    packing.add(store, shipped / "a" / "records.zip")  # asked in evaluation mode alone
    again = Store(tmp_path / "again")
    assert not weighing.whole("mode_k5", params, again) and weighing.whole("nahuel_k5", params, again)
    second = weighing.conduct(["mode_k5"], params, again, data_dir)
    assert len(places(again.folder, record.RECORD)) == 1  # the retraining; the search is not asked
    packing.add(again, shipped / "b" / "records.zip")
    monkeypatch.setattr(job, "train_one", pytest.fail)
    monkeypatch.setattr(answers, "network", pytest.fail)
    for name, rows in (("mode_k5", second), ("nahuel_k5", first)):
        found = weighing.conduct([name], params, Store(tmp_path / "none"), data_dir)
        pd.testing.assert_frame_equal(found, rows, atol=1e-6)
    assert first["loss"].item() != second["loss"].item()


def test_a_run_without_weights_that_training_mode_never_asked_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(weighing.sweep, "train", lambda *_, **__: [])
    monkeypatch.setattr(weighing, "recipes", lambda *_: [])
    monkeypatch.setattr(weighing, "searches", lambda *_: [])
    monkeypatch.setattr(weighing, "retrainings", lambda *_: [Recipe("CNN-Nahuel")])
    with pytest.raises(UserError, match=r"CNN-Nahuel-s0-.* is here without its weights"):
        weighing.conduct(["mode_k5"], PARAMS, Store(tmp_path))


# The weighing


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("default", ["CNN3-512-0.1"]),
        ("all_images", ["CNN3-512-0.1", "CNN-Nahuel", "ANN-Juan"]),
        ("no_padding", ["CNN3-512-0.1"]),
    ],
)
def test_an_epoch_counts_in_table_two_only_where_it_is_new(tmp_path, name, told):
    retrained = [
        trained(tmp_path, model, 1000, keep="last") for model in ("CNN3-512-0.1", "CNN-Nahuel", "ANN-Juan-0.1")
    ]
    for run in retrained:
        run.attach(record.TEST, contents.pack_answers(images_of(0.9)))
    rows = weighing.values(name, [trained(tmp_path, "CNN3-512-0.1")], retrained, "", 42)
    two = rows[rows["table"] == "II"].set_index("model")["epoch"]
    assert sorted(two[two.isna()].index) == sorted(told) and len(two) == 3


def test_a_run_that_diverged_stands_for_no_number_of_the_paper(tmp_path):
    searched = [trained(tmp_path, WINNER, seed, (0.3, bad)) for seed, bad in ((1, 0.2), (2, math.nan))]
    tested = [
        trained(tmp_path, WINNER, 1000 + seed, (0.3, bad), keep="last") for seed, bad in ((1, 0.2), (2, math.nan))
    ]
    for run in tested:
        run.attach(record.TEST, contents.pack_answers(images_of(0.9)))
    rows = weighing.values("default", searched, tested, "", 42)
    assert rows[["table", "seed"]].values.tolist() == [["I", 1], ["II", 1001]]


def found(papers=TABLE_2, table="II", **readings):
    """Make up values of a table: what each reading adds to the paper's numbers of a network, seed by seed."""
    rows = []
    for name, added in readings.items():
        for model, (epoch, loss, accuracy) in papers.items():
            if added.get(model) is not None:
                for seed, more in enumerate(added[model]):
                    rows.append((table, model, seed, epoch + more, loss + more / 100, accuracy + more, name))
    return pd.DataFrame(rows, columns=["table", "model", "seed", "epoch", "loss", "accuracy", "reading"])


WIDE = {WINNER: [5.0, 5.5, 7.0, 6.0], "CNN-Nahuel": [1.0, 2.0, 2.5, 1.0], "ANN-Juan": [0.0, 1.0, 0.0, 0.5]}
DEFAULT = {WINNER: [1.0, 1.2, 1.4], "CNN-Nahuel": [2.0, 2.4, 2.2], "ANN-Juan": [0.0, 0.3, -0.3]}


def test_a_numbers_t_and_likelihood_are_those_of_one_more_run_with_the_pooled_sd():
    weighed = weighing.weigh(found(default=DEFAULT, training_mode={WINNER: [0.1, 0.0, 0.2]}))
    row = weighed.set_index(["reading", "model", "score"]).loc["training_mode", WINNER, "accuracy"]
    sd = math.sqrt(np.mean([np.var(each, ddof=1) for each in DEFAULT.values()]))
    error = sd * math.sqrt(4 / 3)
    assert (row["t"], row["freedom"], row["n"]) == (pytest.approx(-0.1 / error), 6, 3) and row["inside"]
    assert row["limit"] == pytest.approx(2.446911851)  # of a table: t of six degrees of freedom, 2.5 % on each side
    assert row["log_likelihood"] == pytest.approx(scipy.stats.t(6, row["mean"], error).logpdf(90.89))
    assert row["default_log_likelihood"] == pytest.approx(scipy.stats.t(6, 90.89 + 1.2, error).logpdf(90.89))


def test_more_seeds_of_the_default_give_the_sd_and_leave_the_means():
    own, more = found(default=DEFAULT, training_mode={WINNER: [0.1, 0.0, 0.2]}), found(default=WIDE)
    rows = weighing.weigh(own, more).set_index(["reading", "model", "score"])
    row = rows.loc["training_mode", WINNER, "accuracy"]
    error = math.sqrt(np.mean([np.var(each, ddof=1) for each in WIDE.values()])) * math.sqrt(4 / 3)
    assert (row["t"], row["freedom"], row["n"]) == (pytest.approx(-0.1 / error), 9, 3)
    assert rows.loc["default", WINNER, "accuracy"]["mean"] == pytest.approx(90.89 + 1.2)
    assert weighing.weigh(own, more.iloc[:0]).equals(weighing.weigh(own))


def test_the_score_is_beside_the_defaults_on_the_same_numbers_and_a_stuck_network_is_no_excuse():
    stuck = {WINNER: [0.0, -20.0, 0.1]}
    weighed = weighing.weigh(found(default=DEFAULT, training_mode={WINNER: [0.1, 0.0, 0.2]}, output_dropout=stuck))
    scored = weighing.score(weighed)
    assert list(scored.index) == ["training_mode", "default", "output_dropout"]
    assert scored["numbers"].tolist() == [3, 9, 3] and scored["inside"].tolist()[0] == 3
    assert scored.loc["training_mode", "default_inside"] == 0 and scored.loc["default", "better"] == 0
    own = weighed[(weighed["reading"] == "default") & (weighed["model"] == WINNER)]
    assert scored.loc["training_mode", "default_log_likelihood"] == pytest.approx(own["log_likelihood"].sum())


ONE = {  # of Table I: two networks of one sd, and of the second the default has two seeds
    WINNER: [0.5, 0.7, 0.9],
    "CNN3-128-0.25": [-0.3, -0.1],
}


def test_each_table_has_its_own_numbers_and_sd_and_each_mean_its_own_n():
    first = found(TABLE_1, "I", default=ONE, nahuel_k5={"CNN3-128-0.25": [0.0]})
    weighed = weighing.weigh(pd.concat([first, found(default=DEFAULT)]))
    rows = weighed.set_index(["reading", "table", "model", "score"])
    sd = math.sqrt((2 * np.var(ONE[WINNER], ddof=1) + np.var(ONE["CNN3-128-0.25"], ddof=1)) / 3)
    second = "CNN3-128-0.25"
    for reading, model, added in (
        ("default", second, ONE[second]),
        ("default", WINNER, ONE[WINNER]),
        ("nahuel_k5", second, [0.0]),
    ):
        row, n = rows.loc[reading, "I", model, "accuracy"], len(added)
        assert (row["paper"], row["n"], row["freedom"]) == (TABLE_1[model][2], n, 3)
        assert row["t"] == pytest.approx(-np.mean(added) / (sd * math.sqrt(1 + 1 / n)), abs=1e-9)
        assert row["limit"] == pytest.approx(3.182446305)  # three degrees of freedom
    assert rows.loc["default", "II", WINNER, "loss"]["paper"] == TABLE_2[WINNER][1]
    assert rows.loc["default", "II", WINNER, "loss"]["sd"] < rows.loc["default", "II", WINNER, "epoch"]["sd"] / 50


def test_readings_are_ordered_and_told_by_what_they_are_better_by_on_numbers_that_both_have():
    own = {model: values for model, values in DEFAULT.items() if model != "CNN-Nahuel"}
    best = {WINNER: [0.0, 0.1, -0.1], "CNN-Nahuel": [0.0, 0.1, -0.1]}  # the second the default lacks
    more = {WINNER: [0.5, 0.6, 0.4], "ANN-Juan": [0.0, 0.3, -0.3]}  # more numbers, and so the higher likelihood
    scored = weighing.score(weighing.weigh(found(default=own, no_dropout=more, training_mode=best)))
    assert list(scored.index) == ["training_mode", "no_dropout", "default"]
    assert scored["numbers"].tolist() == [3, 6, 6] and scored["inside"].tolist() == [3, 6, 3]
    assert scored.loc["no_dropout", "log_likelihood"] > scored.loc["training_mode", "log_likelihood"]
    shown = weighing.shown(scored)
    assert shown["reading"].tolist() == ["tested in training mode", "ANN-Juan: no dropout", "as in this report"]
    assert shown["inside 95 %"].tolist() == [3, 6, 3] and shown["inside, default"].tolist() == [0, 3, 3]
    message, values = conclusions.readings(scored, 7)
    better = scored.loc["training_mode", "log_likelihood"] - scored.loc["training_mode", "default_log_likelihood"]
    assert 1 < better < 100 and message.format(**values) == (
        "2 of 17 readings are weighed beside that of this report, the default. The one with the largest gain in "
        "log-likelihood, and picked for it, is: tested in training mode. Of the 3 numbers of the paper whose networks "
        "were trained or tested so, 3 lie in the 95 % prediction interval, and 0 under the default; the gain in "
        "log-likelihood over the default is "
        f"{better:+.1f} (n = 7 seeds)."
    )


def test_the_values_are_a_search_s_at_its_best_epoch_and_a_retraining_s_after_its_last(tmp_path):
    searched = [trained(tmp_path, "CNN5-256-0.1", 3, (0.5, 0.2, 0.3, 0.4), [0.6, 0.7, 0.8, 0.9])]
    tested = [trained(tmp_path, "CNN-Nahuel", 1003, (0.2, 0.4, 0.3), [0.9, 0.7, 0.8], keep="last", split_seed=45)]
    tested[0].attach(record.TEST, contents.pack_answers(images_of(0.85, loss=0.75)))
    one, two = weighing.values("default", searched, tested, "", 42).to_dict("records")
    assert one == {
        "table": "I", "model": "CNN5-256-0.1", "seed": 3, "epoch": 2, "loss": 0.2, "accuracy": 70.0,
        "reading": "default",
    }  # fmt: skip
    assert (two["table"], two["model"], two["seed"]) == ("II", "CNN-Nahuel", 3)
    assert (two["epoch"], two["loss"], two["accuracy"]) == (3, pytest.approx(0.75), 85.0)


def test_from_one_seed_nothing_is_weighed():
    weighed = weighing.weigh(found(default={m: v[:1] for m, v in DEFAULT.items()}, training_mode={WINNER: [0.0]}))
    assert weighed["t"].isna().all() and weighing.score(weighed).empty
