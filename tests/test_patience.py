"""What stopping early would have saved: told by hand on short curves, and by the engine's own rule on any."""

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_lib import training
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs.run import Run
from fmnist_lib.study.patience import patience_table, whole

FALLS_TWICE = [3.0, 2.0, 2.5, 2.4, 2.3, 1.0, 1.5]  # the best epoch is the sixth; the second is four epochs older


def histories(*curves):
    return [pd.DataFrame({"epoch": range(1, len(curve) + 1), "val_loss": curve}) for curve in curves]


def test_whole_are_the_searches_that_neither_patience_nor_divergence_ended():
    ended = {"whole": {}, "cut": {"patience": 9}, "retrained": {"keep": "last"}, "diverged": {}}
    curves = dict(zip(ended, histories(*([float(i)] for i in range(4))), strict=True))
    runs = [
        Run(
            Recipe("CNN3-8-0", **changes),
            Path(name),
            curves[name],
            {"status": "diverged" if name == "diverged" else "finished"},
        )
        for name, changes in ended.items()
    ]
    assert [curve["val_loss"].tolist() for curve in whole(runs)] == [[0.0]]


def test_a_curve_that_falls_twice_is_found_out_by_too_little_patience():
    table = patience_table(histories(FALLS_TWICE), (3, 4, 5)).set_index("patience")
    assert table["same"].to_dict() == {3: 0, 4: 1, 5: 1}
    assert table["epochs"].to_dict() == {3: 5.0, 4: 7.0, 5: 7.0} and set(table["whole"]) == {7.0}


def test_curves_of_several_lengths_are_averaged_and_none_gives_no_number():
    table = patience_table(histories(FALLS_TWICE, [1.0, 2.0, 3.0, 4.0, 5.0]), (3,))
    assert table.loc[0, ["same", "trainings", "epochs", "whole"]].tolist() == [1, 2, (5 + 4) / 2, 6.0]
    assert math.isnan(patience_table([], (3,)).loc[0, "epochs"])


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.integers(1, 12))
def test_training_ends_where_the_engine_would_end_it(curve, patience):
    history = [{"train_loss": 1.0, "val_loss": loss, "val_accuracy": 0.5} for loss in curve]
    ends = [n for n in range(1, len(curve) + 1) if training.over(history[:n], len(curve), patience)]
    assert patience_table(histories(curve), (patience,)).loc[0, "epochs"] == pytest.approx(ends[0])
