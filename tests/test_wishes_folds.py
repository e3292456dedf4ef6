"""Cross-validation: each image validates once, each number by hand, each verdict by the registered margin."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, t, ttest_1samp
from statsmodels.stats.proportion import proportion_confint

from fmnist_lib import ROOT, UserError, data, machine
from fmnist_lib.press import charts
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.store import Store
from fmnist_lib.study import folds, parameters, protocol, stats, wishes

STATED = protocol.DEFAULTS | parameters.checked(parameters.read_file(ROOT / "params" / "folds.yaml"))
STATED |= {"device": "cpu", "precision": "bf16", "kernels": "numba"}
MADE = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}, (machine.environment("cpu"), record.source())
NAMES = ["model", "seed", "fold", "accuracy", "elsewhere", "test", "gap", "train_images", "val_images"]
ROWS = [
    ("a", 0, 0, 90.0, 89.9, 89.0, 1.0, 50, 10),
    ("a", 0, 1, 80.0, 79.9, 77.0, 3.0, 50, 10),
    ("b", 0, 0, 70.0, 69.9, 69.0, 1.0, 50, 10),
    ("b", 0, 1, 80.0, 79.9, 79.0, 1.0, 50, 10),
]
TABLE = pd.DataFrame(ROWS, columns=NAMES)


def curve(losses, accuracies=None):
    accuracies = accuracies or [0.5] * len(losses)
    rows = zip(losses, accuracies, strict=True)
    return [dict(epoch=i, train_loss=1.0, val_loss=loss, val_accuracy=a) for i, (loss, a) in enumerate(rows, 1)]


def test_the_study_is_six_folds_of_three_models_and_each_image_validates_once_in_each():
    listed = folds.recipes(STATED)
    assert len(set(listed)) == 18 and {r.patience for r in listed} == {15} and {r.split_seed for r in listed} == {53}
    for model in STATED["models"]:
        own = [data.fold(r.split_seed, r.folds, r.fold)[1] for r in listed if r.model == model]
        assert np.array_equal(np.sort(np.concatenate(own)), np.arange(60_000)) and len(own) == 6


@pytest.mark.parametrize(
    "wrong", [{"val_images": 20_000}, {"val_images": 7_000, "train_images": 53_000}, {"val_images": 0}]
)
def test_sizes_that_make_no_folds_are_refused(wrong):
    with pytest.raises(UserError, match="make no folds"):
        folds.recipes(STATED | wrong)


def test_runs_become_rows_with_the_accuracy_at_the_best_epoch_and_a_diverged_fold_is_left_out(tmp_path):
    recipes = folds.recipes(STATED | {"models": ["ANN-Juan-0.25"], "epochs": 3, "patience": 0})[:3]
    curves = [curve([0.3, 0.2, 0.4], [0.5, 0.6, 0.7]), curve([0.1, 0.2, 0.3], [0.8, 0.9, 0.4]), curve([np.nan])]
    runs = [Store(tmp_path).write(one, rows, {}, *MADE) for one, rows in zip(recipes, curves, strict=True)]
    table = folds.frame(runs)
    assert table[["model", "seed", "fold", "epoch"]].values.tolist() == [
        ["ANN-Juan-0.25", 11, f, 2 - f] for f in (0, 1)
    ]
    assert table["accuracy"].tolist() == [60.0, 80.0] and table["elsewhere"].tolist() == [50.0, 90.0]
    assert table["gap"].isna().all()
    labels = np.arange(10_000) % 10
    answers = {"label": labels, "predicted": np.where(labels < 5, labels, 0), "probability": 0.5, "loss": 0.693147}
    for run in runs[:2]:
        run.attach(record.TEST, contents.pack_answers(pd.DataFrame(answers)))
    assert folds.frame(runs)["test"].tolist() == [50.0, 50.0] and folds.frame(runs)["gap"].tolist() == [10.0, 30.0]
    assert folds.frame(runs, 53)["seed"].tolist() == [0, 0]
    with pytest.raises(UserError, match="all 1 trainings diverged"):
        folds.frame(runs[2:])


def test_a_fold_is_read_at_the_epoch_that_the_others_mean_loss_chooses_among_epochs_all_have():
    losses = [[0.1, 0.5, 0.5, 0.05], [0.9, 0.2, 0.4], [0.9, 0.6, 0.1]]
    histories = [pd.DataFrame(curve(one, [0.1, 0.2, 0.3, 0.4][: len(one)])) for one in losses]
    assert folds.elsewhere(histories) == [30.0, 30.0, 20.0]
    assert np.isnan(folds.elsewhere(histories[:1])).all()


def test_the_interval_of_folds_is_students_widened_by_their_overlap():
    values = [0.3, 0.5, 0.1, 0.4, 0.6, 0.2]
    low, high = stats.folds_interval(values, 10_000, 50_000)
    plain = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low + high) / 2 == pytest.approx(0.35)
    assert (high - low) / (plain.high - plain.low) == pytest.approx(np.sqrt((1 / 6 + 1 / 5) * 6))
    assert high - 0.35 == pytest.approx(t.ppf(0.975, 5) * np.std(values, ddof=1) * np.sqrt(1 / 6 + 0.2))
    assert np.isnan(stats.folds_interval([0.3], 10_000, 50_000)).all()


def test_out_of_fold_counts_every_image_once_and_the_gap_is_the_mean_of_the_folds():
    first = folds.out_of_fold(TABLE).iloc[0]
    assert first[["folds", "right", "images", "accuracy"]].tolist() == [2, 17, 20, 85.0]
    assert first["sd"] == pytest.approx(np.sqrt(50)) and first["test"] == 83.0 and first["gap"] == 2.0
    half = t.ppf(0.975, 1) * np.sqrt(2) * np.sqrt(1 / 2 + 1 / 5)
    assert first[["gap low", "gap high"]].tolist() == pytest.approx([2 - half, 2 + half])
    low, high = proportion_confint(17, 20, method="wilson")
    assert first["verdict"] == folds.UNSURE and (first["low"], first["high"]) == pytest.approx((100 * low, 100 * high))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.1, 0.1, folds.CLOSED), (0.3, 0.9, folds.OPEN), (-0.9, -0.3, folds.OPEN), (0.1, 0.3, folds.UNSURE)],
)
def test_a_gap_is_closed_open_or_unsure_by_its_margin(low, high, said):
    assert folds.verdict(low, high) == said and folds.verdict(np.nan, np.nan) == folds.UNSURE


def test_a_reduced_protocol_gets_no_verdict_and_each_case_is_counted_under_its_own():
    assert set(folds.out_of_fold(TABLE, reduced=True)["verdict"]) == {"reduced protocol"}
    summary = pd.concat([folds.out_of_fold(TABLE)] * 4, ignore_index=True)
    summary["verdict"] = [folds.CLOSED] * 1 + [folds.OPEN] * 2 + [folds.UNSURE] * 4 + ["reduced protocol"]
    message, values = wishes.cross_validation(summary)
    assert [values[name] for name in ("closed", "open", "unsure", "rest", "of")] == [1, 2, 4, 1, 8]
    assert values["choice"] == pytest.approx(-0.1)  # where others choose, less accurate: the gap is smaller
    ends = binomtest(8300, 10_000).proportion_ci(method="wilson")  # of the 83.0 % of the test images
    assert values["chance"] == pytest.approx(50 * (ends.high - ends.low)) and message == wishes.FOLDED


def test_models_are_compared_fold_by_fold():
    row = folds.differences(TABLE).iloc[0]
    assert tuple(row[["model", "other", "difference", "n"]]) == ("a", "b", 10.0, 2)
    assert row["high"] - row["difference"] == pytest.approx(t.ppf(0.975, 1) * np.sqrt(200) * np.sqrt(0.7))
    assert folds.differences(TABLE[TABLE["model"] == "a"]).empty


def test_the_chart_has_a_dot_and_a_cross_a_fold():
    ax = charts.folds(plt.subplots()[1], TABLE)
    drawn = [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata())]
    assert drawn == [[90.0, 80.0], [89.0, 77.0], [70.0, 80.0], [69.0, 79.0]]
    plt.close("all")
