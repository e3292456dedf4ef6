"""Runs side by side: each once, none that is damaged; what differs between two is what was made to differ."""

import shutil
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import binomtest

from fmnist_lib.commands.reference import FOLDER
from fmnist_lib.press import charts, figures
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.study import compare, stats

SHIPPED = Store(FOLDER / "runs", shipped=False)
RIGHT = np.random.default_rng(0).random((2, 500)) < 0.8


def test_a_run_in_two_stores_is_listed_once_from_the_later_and_a_damaged_one_not_at_all(tmp_path):
    whole, damaged = sorted(SHIPPED.folder.glob("ANN-Juan-*-s0-*"))
    for place in (whole, damaged):
        shutil.copytree(place, tmp_path / place.name)
    (tmp_path / damaged.name / "history.csv").write_text("epoch\n1\n")
    found = {run.folder.name: run.folder.parent for run in compare.every(SHIPPED, Store(tmp_path, shipped=False))}
    assert found[whole.name] == tmp_path and found[damaged.name] == SHIPPED.folder
    assert set(found) == {place.name for place in SHIPPED.folder.glob("[!.]*")}
    (tested,) = SHIPPED.folder.glob("ANN-Juan-*-s1000-*")
    shutil.copytree(tested, tmp_path / tested.name)
    (tmp_path / tested.name / "test.csv.gz").write_bytes(b"no answers")
    assert [run.folder.name for run in compare.every(Store(tmp_path, shipped=False))] == [whole.name]
    assert compare.every(Store(tmp_path / "none", shipped=False)) == []


def test_a_models_name_becomes_columns():
    frame = compare.tidy(compare.every(SHIPPED)).set_index("model")
    assert frame.loc["CNN5-256-0.25", ["k", "n", "p"]].tolist() == [5, 256, 0.25]
    assert frame.loc["ANN-Juan-0.1", ["k", "n", "p"]].isna().tolist() == [True, True, False]


def test_two_recipes_differ_where_they_were_made_to_differ():
    one = Recipe("CNN3-512-0.1")
    two = {"a": one, "b": replace(one, lr=0.01, batch=9)}
    a, b = (Run(recipe, FOLDER / name, None, {}) for name, recipe in two.items())
    table = compare.differences(a, b).set_index("field")
    assert table.to_dict("index") == {"batch": {"a": 500, "b": 9}, "lr": {"a": 0.001, "b": 0.01}}
    assert compare.differences(a, a).empty


def test_mcnemars_test_is_the_binomial_test_of_the_images_on_which_two_models_part():
    only_a, only_b, p = stats.mcnemar(*RIGHT)
    assert (only_a, only_b) == (sum(RIGHT[0] > RIGHT[1]), sum(RIGHT[1] > RIGHT[0]))
    assert p == pytest.approx(binomtest(int(only_a), int(only_a + only_b)).pvalue)
    assert stats.mcnemar(RIGHT[0], RIGHT[0]) == (0, 0, 1.0)


def test_a_confusion_counts_the_true_class_in_its_row():
    answers = pd.DataFrame({"label": [3, 3, 9], "predicted": [3, 7, 0]})
    counts = compare.confusion(answers)
    assert counts.sum() == 3 and counts[3, 3] == counts[3, 7] == counts[9, 0] == 1


def test_curves_lie_over_one_another_each_with_its_best_epoch_marked():
    runs = compare.every(SHIPPED)[:2]
    ax = charts.overlaid(plt.subplots()[1], {run.folder.name: run.history for run in runs}, "train_loss")
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines]
    assert drawn[0::2] == [(list(run.history["epoch"]), list(run.history["train_loss"])) for run in runs]
    assert drawn[1::2] == [([run.best_epoch], [run.best["train_loss"]]) for run in runs]
    named = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_accuracy": "Validation accuracy"}
    for column, name in named.items():
        assert charts.overlaid(plt.subplots()[1], {"a": runs[0].history}, column).get_ylabel() == name
    plt.close("all")


@pytest.mark.parametrize(
    "names", [["CNN3-512-0.1-s0", "CNN3-512-0.1-s1", "CNN3-256-0.1-s0"], ["CNN3-512-0.1", "ANN-Juan"]]
)
def test_no_curve_is_taken_for_that_of_another_run_of_its_model(names):
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [0.3, 0.2, 0.4]})
    ax = charts.overlaid(plt.subplots()[1], dict.fromkeys(names, history))
    lines, stars = ax.lines[0::2], ax.lines[1::2]
    if len(names) == 3:
        assert len({line.get_linestyle() for line in lines}) == len({star.get_marker() for star in stars}) == 3
        tones = sorted(sum(to_rgb(line.get_color())) for line in lines)
        assert min(np.diff(tones)) > 0.5
    else:
        assert [line.get_color() for line in lines] == [figures.colour(name) for name in names]
    named = zip(ax.get_legend().get_texts(), ax.get_legend().legend_handles, lines, stars, names, strict=True)
    for text, handle, line, star, name in named:
        assert text.get_text() == name and handle.get_color() == line.get_color() == star.get_color()
        assert handle.get_marker() == star.get_marker() and handle.get_linestyle() == line.get_linestyle()
    plt.close("all")
