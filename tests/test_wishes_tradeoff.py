"""What accuracy costs: seconds by the clock or by operations, the front by its definition, patience by hand."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from fmnist_lib import UserError, models
from fmnist_lib.commands.reference import FOLDER
from fmnist_lib.press import charts
from fmnist_lib.runs.store import Store
from fmnist_lib.study import compare, networks, results, tradeoff, wishes

FRAME = results.frame(compare.every(Store(FOLDER / "runs", shipped=False)))
MEASURED = {"CNN3-512-0.1": 9.5, "ANN-Juan-0.25": 0.9}
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


def table():
    return tradeoff.systems(FRAME, MEASURED, 10_000).set_index("model")


def test_a_system_that_was_timed_takes_its_epochs_times_its_seconds():
    best = FRAME[FRAME["role"] == "search"].set_index("model")["best_epoch"]
    for model, name in (("CNN3-512-0.1", "CNN3-512-0.1"), ("ANN-Juan-0.25", "ANN-Juan")):  # which the rule chose there
        assert table().loc[name, "seconds"] == pytest.approx(best[model] * MEASURED[model])
        assert table().loc[name, "clock"] == "measured" and table().loc[name, "n"] == 1


def test_another_takes_as_many_times_longer_an_epoch_as_it_has_operations_and_one_of_no_timed_family_is_left_out():
    row, flop = (
        table().loc["CNN5-128-0.1"],
        [sum(networks.flop(models.build(m))) for m in ("CNN5-128-0.1", "CNN3-512-0.1")],
    )
    assert row["seconds"] / row["epochs"] == pytest.approx(9.5 * flop[0] / flop[1])
    assert row["clock"] == "by operations" and np.isnan(table().loc["CNN-Nahuel", "seconds"])


def test_of_two_that_were_timed_in_a_family_each_takes_its_own_seconds():
    found = tradeoff.systems(FRAME, {"CNN3-512-0.1": 9.0, "CNN3-128-0.1": 2.0}, 10_000).set_index("model")
    an_epoch = (found["seconds"] / found["epochs"])[["CNN3-512-0.1", "CNN3-128-0.1"]]
    assert an_epoch.tolist() == pytest.approx([9.0, 2.0])


def test_test_accuracies_are_the_retrainings_and_missing_where_there_is_none():
    again = FRAME[FRAME["test_accuracy"].notna()].set_index("model")["test_accuracy"]
    again = again.rename({"ANN-Juan-0.25": "ANN-Juan"}).to_dict()
    assert table()["test"].dropna().to_dict() == again and table()["test"].isna().sum() == 14 - len(again)


def two_seeds():
    """Return the frame beside a second seed in which ANN-Juan's other rate is the better one."""
    second = FRAME.assign(seed=1, split_seed=43, run=FRAME["run"] + "-1")
    other = second["model"] == "ANN-Juan-0.1"
    second["best_val_accuracy"] = second["best_val_accuracy"] - 1.0
    return pd.concat([FRAME, second.assign(best_val_accuracy=second["best_val_accuracy"].mask(other, 91.5))])


def test_ann_juan_is_one_system_at_the_rate_that_each_seed_chooses():
    scores = FRAME[FRAME["role"] == "search"].set_index("model")["best_val_accuracy"]
    row = tradeoff.systems(two_seeds(), MEASURED, 10_000).set_index("model").loc["ANN-Juan"]
    assert row["accuracy"] == pytest.approx((scores["ANN-Juan-0.25"] + 91.5) / 2) and row["n"] == 2
    alone = FRAME[FRAME["model"] != "ANN-Juan-0.1"]  # of one rate the rule chooses none
    assert "ANN-Juan-0.25" in set(tradeoff.systems(alone, MEASURED, 10_000)["model"])


def test_the_papers_winner_is_set_against_the_ann_seed_by_seed():
    scores = FRAME[FRAME["role"] == "search"].set_index("model")["best_val_accuracy"]
    found = tradeoff.systems(two_seeds(), MEASURED, 10_000)
    curve = pd.DataFrame({"patience": [3, 4], "saved": [50.0, 40.0], "worst": [0.5, 0.0], "n": 7})
    _, values = wishes.trading(found, curve, tradeoff.by_seed(two_seeds()))
    apart = [scores["CNN3-512-0.1"] - scores["ANN-Juan-0.25"], scores["CNN3-512-0.1"] - 1.0 - 91.5]
    ends = ttest_1samp(apart, 0).confidence_interval(0.95)
    assert (values["best"]["model"], values["ann"]["model"], values["seeds"]) == ("CNN3-512-0.1", "ANN-Juan", 2)
    assert (values["gain"], values["low"], values["high"]) == pytest.approx((np.mean(apart), ends.low, ends.high))
    row = found.set_index("model")
    assert values["seconds"] == pytest.approx(row.loc["CNN3-512-0.1", "seconds"] / row.loc["ANN-Juan", "seconds"])
    assert values["size"] == pytest.approx(row.loc["CNN3-512-0.1", "millions"] / row.loc["ANN-Juan", "millions"])
    assert (values["patience"], values["saved"], values["worst"]) == (4, 40.0, 0.0)
    none = curve.assign(worst=[0.5, 0.5])  # none is without loss: the smallest of those that lose least
    _, values = wishes.trading(found, none, tradeoff.by_seed(two_seeds()))
    assert (values["patience"], values["worst"]) == (3, 0.5)


def test_the_seconds_of_an_epoch_are_the_benchmarks_of_each_model_and_none_are_made_up(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "SECONDS", tmp_path / "seconds.csv")
    assert tradeoff.measured() == {}
    results.SECONDS.write_text("model,seconds,n\nANN-Juan-0.25,0.5,6\nCNN-Nahuel,10,7\n")
    assert tradeoff.measured() == {"ANN-Juan-0.25": 0.5, "CNN-Nahuel": 10.0}


def test_patience_without_a_whole_training_is_refused():
    with pytest.raises(UserError, match="here is none"):
        tradeoff.patience_curve([], range(1, 4))


def test_a_test_accuracy_of_those_seeds_alone_in_which_it_won_is_none_of_its_mean():
    second = FRAME[FRAME["role"] == "search"].assign(seed=1, split_seed=43)
    again = FRAME[(FRAME["role"] == "retraining") & (FRAME["model"] == "CNN3-512-0.1")].assign(seed=1, split_seed=43)
    systems = tradeoff.systems(pd.concat([FRAME, second, again]), MEASURED, 10_000).set_index("model")
    assert systems["test"].notna().sum() == 1 and systems["test"].notna()["CNN3-512-0.1"]


def test_a_search_that_diverged_has_no_part_in_its_system():
    own = FRAME[FRAME["model"] == "CNN3-512-0.1"]
    lost = own[own["role"] == "search"].assign(seed=1, split_seed=43, run="lost", status="diverged", best_epoch=99)
    both = pd.concat([own, lost.assign(best_val_accuracy=10.0)])
    told, alone = (tradeoff.systems(frame, MEASURED, 10_000) for frame in (both, own))
    pd.testing.assert_frame_equal(told, alone)
    pd.testing.assert_frame_equal(tradeoff.by_seed(both), tradeoff.by_seed(own))


@given(POINTS)
def test_the_front_is_what_a_sweep_from_the_cheapest_finds(points):
    frame = pd.DataFrame(points, columns=["cost", "accuracy"])
    kept, best = set(), -1
    for cost in sorted(frame["cost"].unique()):
        top = max(accuracy for c, accuracy in points if c == cost)
        kept, best = (kept | {(cost, top)}, top) if top > best else (kept, best)
    found = tradeoff.front(frame, "cost")
    assert set(found.itertuples(index=False, name=None)) == kept and found["cost"].is_monotonic_increasing


def test_a_system_whose_cost_is_unknown_is_on_no_front():
    frame = pd.DataFrame({"model": ["a", "b"], "cost": [1.0, np.nan], "accuracy": [1.0, 9.0]})
    assert list(tradeoff.front(frame, "cost")["model"]) == ["a"]


def test_patience_loses_the_accuracy_of_a_later_and_lower_minimum_and_saves_the_epochs_after_its_end():
    first = pd.DataFrame({"val_loss": [3, 2, 2.5, 2.4, 1, 9], "val_accuracy": [0.1, 0.5, 0.6, 0.6, 0.75, 0.2]})
    second = pd.DataFrame({"val_loss": [1.0, 2, 3, 4], "val_accuracy": [0.9, 0.8, 0.8, 0.8]})
    curve = tradeoff.patience_curve([first, second], (2, 3)).set_index("patience")
    assert curve.loc[2, ["saved", "lost", "worst", "n"]].tolist() == pytest.approx([30.0, 12.5, 25.0, 2])
    assert curve.loc[3, ["saved", "lost", "worst"]].tolist() == pytest.approx([0.0, 0.0, 0.0])


def test_the_chart_of_patience_has_a_point_a_patience_in_both_lines_and_names_those_asked_for():
    curve = pd.DataFrame({"patience": [3, 4], "saved": [50.0, 40.0], "lost": [1.0, 0.5], "worst": [2.0, 1.5]})
    ax = charts.patience(plt.subplots()[1], curve)
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn["mean"] == [1.0, 0.5] and drawn["the training that loses most"] == [2.0, 1.5]
    assert [text.get_text() for text in ax.texts] == ["3"]
    plt.close("all")
