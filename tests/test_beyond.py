"""Beyond the paper: one ingredient more a step, each gain by hand and paired by seed, the figure as the table says."""

from itertools import pairwise

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from fmnist_lib import ROOT, UserError, machine
from fmnist_lib.press import charts
from fmnist_lib.recipe import MODERN, Recipe
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.store import Store
from fmnist_lib.study import beyond, parameters, protocol

STATED = protocol.DEFAULTS | parameters.checked(parameters.read_file(ROOT / "params" / "beyond.yaml"))
STATED |= {"device": "cpu", "precision": "bf16", "kernels": "numba"}
MADE = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}, (machine.environment("cpu"), record.source())
PAPERS = {name: getattr(Recipe, name) for name in MODERN}
ROWS = [("a", 1, 90.0, 80.0), ("a", 2, 91.0, 82.0), ("b", 1, 92.0, 81.0), ("b", 2, 92.0, 84.0)]
ROWS += [("c", 1, 93.0, 85.0), ("c", 2, 92.0, 85.0)]
TABLE = pd.DataFrame(ROWS, columns=["step", "seed", "validation", "test"])


def test_the_study_adds_one_ingredient_a_step_to_the_papers_own_training_for_each_seed():
    listed = beyond.recipes(STATED)
    assert len(set(listed.values())) == len(listed) == 14
    for seed in (11, 12):
        own = [recipe for (_, one), recipe in listed.items() if one == seed]
        assert own[0] == protocol.search("CNN3-512-0.1", STATED | PAPERS, seed)
        added = [{"keep"}, {"schedule", "lr"}, *({name} for name in MODERN[1:])]
        for (before, after), names in zip(pairwise(own), added, strict=True):
            assert {n for n in Recipe.__dataclass_fields__ if getattr(before, n) != getattr(after, n)} == names
        assert [recipe.keep for recipe in own] == ["best"] + ["last"] * 6
        assert own[-1].lr == STATED["peak"] and [getattr(own[-1], n) for n in MODERN] == [STATED[n] for n in MODERN]


def test_another_network_than_the_winner_trains_every_epoch_too_whatever_the_patience():
    listed = beyond.recipes(STATED | {"model": "CNN3-16-0.1", "patience": 15})
    assert {(recipe.model, recipe.patience) for recipe in listed.values()} == {("CNN3-16-0.1", 0)} and len(listed) == 14


def test_an_ingredient_at_the_papers_value_is_no_step_and_none_at_all_is_refused():
    assert list(beyond.steps(STATED | PAPERS | {"shifts": 1})) == [beyond.BASE, "shifts"]
    assert list(beyond.steps(STATED | PAPERS | {"schedule": "one-cycle"})) == [beyond.BASE, beyond.ENDED, "one cycle"]
    with pytest.raises(UserError, match="no ingredient"):
        beyond.steps(STATED | PAPERS)


def test_a_gain_is_over_the_step_before_and_a_total_over_the_first_each_paired_by_seed():
    rows = beyond.ladder(TABLE).set_index("step")
    assert rows["accuracy"].tolist() == [81.0, 82.5, 85.0] and rows["each"].tolist()[1] == [81.0, 84.0]
    assert rows["gain"].tolist() == [0.0, 1.5, 2.5] and rows["total"].tolist() == [0.0, 1.5, 4.0]
    for low, high, apart in (("low", "high", [4.0, 1.0]), ("total low", "total high", [5.0, 3.0])):
        expected = ttest_1samp(apart, 0).confidence_interval(0.95)
        assert rows.loc["c", [low, high]].tolist() == pytest.approx(list(expected))
    assert beyond.ladder(TABLE, "validation")["accuracy"].tolist() == [90.5, 92.0, 92.5]


def test_a_seed_that_one_step_lacks_is_in_no_difference_with_it_and_one_seed_has_no_interval():
    rows = beyond.ladder(TABLE.drop(index=2)).set_index("step")  # b of seed 1
    assert rows.loc["b", "gain"] == 2.0 and np.isnan(rows.loc["b", "low"]) and rows.loc["b", "n"] == 1
    assert rows.loc["c", "gain"] == 1.0 and rows.loc["c", "total"] == 4.0 and rows.loc["c", "n"] == 2


def test_runs_become_rows_and_one_that_diverged_is_left_out(tmp_path):
    small = STATED | PAPERS | {"shifts": 1, "flips": True, "epochs": 2, "seed": [0], "model": "ANN-Juan-0.25"}
    listed = beyond.recipes(small)
    row = {"train_loss": 1.0, "val_accuracy": 0.5}
    curves = [[{"epoch": 1, "val_loss": 0.5, **row}, {"epoch": 2, "val_loss": 0.4, **row, "val_accuracy": 0.75}]] * 2
    curves.append([{"epoch": 1, "val_loss": np.nan, **row}])
    runs = {}
    for (key, recipe), curve in zip(listed.items(), curves, strict=True):
        runs[key] = Store(tmp_path).write(recipe, curve, {}, *MADE)
    labels = np.arange(10_000) % 10
    answers = {"label": labels, "predicted": np.where(labels == 3, 4, labels), "probability": 0.5, "loss": 0.693147}
    runs[beyond.BASE, 0].attach(record.TEST, contents.pack_answers(pd.DataFrame(answers)))
    found = beyond.frame(runs)
    assert found["step"].tolist() == [beyond.BASE, "flips"] and found["validation"].tolist() == [75.0, 75.0]
    assert found["test"].iloc[0] == 90.0 and np.isnan(found["test"].iloc[1])
    with pytest.raises(UserError, match="all 1 trainings diverged"):
        beyond.frame({key: run for key, run in runs.items() if run.diverged})


def test_a_row_has_the_accuracy_of_the_epoch_whose_weights_were_kept(tmp_path):
    small = STATED | PAPERS | {"shifts": 1, "epochs": 2, "seed": [0], "model": "ANN-Juan-0.25"}
    listed = beyond.recipes(small | {"schedule": "one-cycle"})
    curve = [(1, 1.0, 0.4, 0.75), (2, 0.5, 0.6, 0.25)]
    history = [dict(zip(contents.COLUMNS, row, strict=True)) for row in curve]
    found = beyond.frame({key: Store(tmp_path).write(recipe, history, {}, *MADE) for key, recipe in listed.items()})
    assert found["validation"].tolist() == [75.0, 25.0, 25.0, 25.0]  # a cycle is kept to its end


def test_the_chart_has_every_seed_the_means_and_the_published_accuracy():
    ax = charts.ladder(plt.subplots()[1], beyond.ladder(TABLE), 93.4)
    *dots, means, public = [list(line.get_ydata()) for line in ax.lines]
    assert dots == [[80.0, 82.0], [81.0, 84.0], [85.0, 85.0]] and means == [81.0, 82.5, 85.0] and public == [93.4] * 2
    plt.close("all")
