"""Single cells of the notebooks, run on stand-ins: each takes the right column, sign, row and run, by a hand."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_cells import Shown, cell_of
from test_sections import shown
from test_wishes_folds import TABLE

from fmnist_lib.study import beyond, folds, stats, strategies
from fmnist_lib.study.paper import WINNER

LADDER = [("a", s, 90.0 + s, 80.0 + s) for s in (1, 2)] + [("b", s, 91.0 + s, 85.0 + s) for s in (1, 2)]


def say(message, **values):
    return message.format(**values)


def silent(*_, **__):
    return None


def cell(notebook, words, **names):
    """Run the cell that has these words; return what it shows and the names that it leaves."""
    names = {"say": say, "Table": Shown, "WINNER": WINNER, "pd": pd, "np": np, "plt": plt, "several": True} | names
    return shown(cell_of(notebook, words), names), names


# The report


def test_the_confusion_counts_the_class_by_rows_and_what_it_was_taken_for_by_columns():
    compare = SimpleNamespace(confusion=lambda answers: answers)
    counts = np.zeros((10, 10), int)
    counts[3, 7] = 5  # dresses taken for sneakers
    data, _ = cell(
        "report", "compare.confusion(answered)", shown=True, answered=counts, compare=compare,
        data=SimpleNamespace(CLASSES=list("abcdefghij")), figures=SimpleNamespace(confusion=silent, SINGLE=3.4),
        named=silent, Figure=lambda *_, data, **__: data,
    )  # fmt: skip
    assert data.loc["d", "h"] == 5 and data.index.name == "true"


def test_the_differences_of_table_one_are_told_by_their_mean():
    table1 = pd.DataFrame({"accuracy difference": [1.0, 2.0, 6.0], "loss difference": [0.1, 0.2, 0.9]})
    searched = {"accuracy": 92.0, "accuracy difference": 0.0}
    told, _ = cell("report", "Over {models} models the mean difference", table1=table1, searched=searched)
    assert "is +3.00 points of accuracy and +0.400 of loss" in told


def test_the_losses_are_those_of_the_lowest_validation_loss_and_of_the_last_epoch():
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.5, 0.4, 0.1], "val_loss": [0.4, 0.2, 0.3]})
    runs = [SimpleNamespace(history=history, recipe=SimpleNamespace(model=WINNER))]
    _, names = cell("report", "ends = mean.loc", study=SimpleNamespace(searched=runs, retrained=[]))
    assert names["ends"]["val_loss"] == [0.2, 0.3] and names["ends"]["train_loss"] == [0.4, 0.1]


def test_what_the_winner_costs_is_told_first_and_its_gain_over_the_ann():
    spent = pd.DataFrame({"teraflop": {"ANN-Juan": 2.0, WINNER: 90.0}})
    told, _ = cell(
        "report", "spent[0]", tables=SimpleNamespace(cost=silent, spent=lambda _: spent), params={"val_images": 1},
        frame=pd.DataFrame({"role": ["search"], "run": ["x"]}), retrained={"accuracy": 92.0}, ann={"accuracy": 89.0},
    )  # fmt: skip
    assert "takes 90.0 teraflop and ANN-Juan 2.0" in told and "differ by +3.00 points" in told


def test_the_papers_winner_lies_between_its_lowest_and_its_highest_rank():
    order = pd.DataFrame({"model": [WINNER], "first": [0.4], "low": [1], "high": [5]})
    told, _ = cell(
        "report", "ten thousand draws", certainty=SimpleNamespace(papers_rank=lambda *_: order),
        ranks=SimpleNamespace(ranks=silent), by_seed={"accuracy": pd.DataFrame(columns=[WINNER])}, TABLE_1=[WINNER],
    )  # fmt: skip
    assert "between rank 1.0 and 5.0" in told and "40 % put" in told


def test_what_no_explanation_takes_is_the_last_size():
    gap = SimpleNamespace(PAPER=1.55, rivals=lambda *_: pd.DataFrame({"size": [1.55, 0.5, 0.25]}))
    mode = SimpleNamespace(cost=silent)
    told, _ = cell(
        "report",
        "loses {paper:.2f} points",
        taken={},
        several_runs=[],
        mode=mode,
        gap=gap,
        by_seed=None,
        data_folder="",
    )
    assert "+0.25 points are left" in told


def test_the_sources_stand_beside_the_spread_of_the_accuracy_of_table_one():
    by_seed, told = pd.DataFrame({("accuracy", WINNER): [92.0, 92.4], ("validation", WINNER): [91.0, 95.0]}), []
    conclusions = SimpleNamespace(sources=lambda alone, seen: told.append(seen.tolist()) or ("", {}))
    variance = SimpleNamespace(frame=silent, spreads=silent)
    part = SimpleNamespace(runs=[], params={})
    cell("report", "conclusions.sources", part=part, variance=variance, by_seed=by_seed, conclusions=conclusions)
    assert told == [[92.0, 92.4]]


def test_the_report_chooses_a_step_on_validation_and_tells_its_test():
    table = pd.DataFrame(LADDER, columns=["step", "seed", "validation", "test"])
    steps = SimpleNamespace(recipes=lambda _: {1: 1, 2: 2}, ladder=beyond.ladder, frame=lambda _: table)
    part = SimpleNamespace(runs=[1, 2], params={"model": WINNER})
    wishes = SimpleNamespace(climbing=lambda *_: ("", {}))
    _, names = cell("report", "wishes.climbing", part=part, beyond=steps, wishes=wishes, say=silent)
    assert names["ladder"][["accuracy", "validation"]].to_numpy().tolist() == [[81.5, 91.5], [86.5, 92.5]]


# The other notebooks


def test_beyond_the_step_is_chosen_on_validation_too():
    table = pd.DataFrame(LADDER, columns=["step", "seed", "validation", "test"])
    steps = SimpleNamespace(frame=lambda _: table, ladder=beyond.ladder)
    _, names = cell("beyond", "beyond.frame(runs)", beyond=steps, runs={})
    assert names["ladder"][["accuracy", "validation"]].to_numpy().tolist() == [[81.5, 91.5], [86.5, 92.5]]


def test_random_search_is_told_at_what_each_strategy_pays():
    rows = [("random", 1, 0, 0.1, 0.9), ("random", 1, 0, 0.5, 0.4), ("random", 1, 0, 1.0, 0.1)]
    rows += [("hierarchy", 1, 0, 0.5, 0.2)]
    replayed = pd.DataFrame(rows, columns=["strategy", "seed", "replay", "paid", "regret"])
    table, _ = cell("hyperparameters", "random for as much", strategies=strategies, replayed=replayed)
    told = table.given.set_index("strategy").loc["hierarchy", ["paid [%]", "regret", "random for as much"]]
    assert told.tolist() == pytest.approx([50, 0.2, 0.4])


def test_the_networks_of_fewer_parameters_are_those_of_fewer():
    rows = [("CNN-a", 0.1, 91.0), ("CNN-b", 0.2, 89.0), ("CNN-c", 0.9, 92.0), ("ANN-Juan", 0.4, 90.0)]
    table = pd.DataFrame(rows, columns=["model", "millions", "accuracy"])
    told, _ = cell("tradeoff", "have fewer parameters than", table=table)
    assert told.startswith("2 of the") and "1 of these have" in told
    assert "(CNN-a +1.00 points, CNN-b -1.00 points)" in told


def test_the_curve_of_patience_is_told_by_whole_searches_with_their_number():
    asked, study = [], SimpleNamespace(every=["a", "b", "c"])
    tradeoff = SimpleNamespace(patience_curve=lambda whole, _: asked.extend(whole))
    told, _ = cell(
        "tradeoff", "patience_curve", study=study, whole=lambda runs: runs[:2], tradeoff=tradeoff,
        charts=SimpleNamespace(patience=silent), figures=SimpleNamespace(SINGLE=3), Figure=lambda *_, n, **__: n,
    )  # fmt: skip
    assert told == 2 and asked == ["a", "b"]


def test_each_of_two_runs_has_its_own_number_of_images_that_it_alone_knows():
    right = [1, 1, 1, 0], [1, 0, 0, 1]
    a, b = (SimpleNamespace(answers=lambda r=r: pd.DataFrame({"predicted": r, "label": 1})) for r in right)
    _, names = cell("explore", "mcnemar", a=a, b=b, stats=stats)
    assert (names["only_a"], names["only_b"]) == (2, 1)


def test_each_network_is_a_row_of_what_it_sees_in_a_picture():
    says = {"a": [("Bag", 0.1), ("Coat", 0.9)], "b": [("Bag", 0.7), ("Coat", 0.3)]}
    runs = {name: SimpleNamespace(folder=SimpleNamespace(name=name), has_weights=True) for name in says}
    predict = SimpleNamespace(classify=lambda run, _: [says[run.folder.name]])
    _, names = cell("explore", "predict.classify", runs=runs, predict=predict, image=None)
    table, _ = cell("explore", "tab-picture", said=names["said"])
    assert table.given.to_dict("index") == {"a": {"Coat": 0.9, "Bag": 0.1}, "b": {"Coat": 0.3, "Bag": 0.7}}
    assert list(table.given.columns) == ["Coat", "Bag"]  # the first network's likeliest first


def test_folds_of_a_reduced_protocol_get_no_verdict():
    protocol = SimpleNamespace(is_reduced=lambda _: True)
    _, names = cell("cross_validation", "folds.out_of_fold", folds=folds, table=TABLE, params={}, protocol=protocol)
    assert set(names["summary"]["verdict"]) == {"reduced protocol"}


def test_the_trade_tells_how_many_epochs_fewer_each_cnn_needs():
    scores = pd.DataFrame(
        {("epoch", WINNER): [10.0, 12.0], ("epoch", "CNN-Nahuel"): [15.0, 17.0], ("epoch", "ANN-Juan"): 30.0}
    )
    scores = scores.join(pd.DataFrame({("test", m): [92.0, 92.0] for m in (WINNER, "CNN-Nahuel", "ANN-Juan")}))
    cost = pd.DataFrame(1.0, index=[WINNER, "CNN-Nahuel", "ANN-Juan"], columns=["millions", "teraflop"])
    table, _ = cell("claims", "tab-trade", cost=cost, scores=scores)
    assert table.given["epochs"].tolist() == [-19.0, -14.0]


def test_the_training_s_luck_is_that_of_the_retrained_networks():
    asked = []
    luck = SimpleNamespace(
        answered=lambda runs: asked.append(runs) or {}, spreads=lambda _: pd.DataFrame({"seeds": [1.0]})
    )
    cell("certainty", "luck.answered", luck=luck, study=SimpleNamespace(retrained="again", every="all"))
    assert asked == ["again"]


def test_between_its_best_epoch_and_the_last_a_training_goes_from_one_to_the_other():
    history = pd.DataFrame({"train_loss": [0.5, 0.4, 0.3, 0.2], "val_loss": [0.4, 0.2, 0.3, 0.6]})
    row = {"epochs": 2, "model": WINNER, "accuracy, retraining [%]": 91.0, "accuracy, search [%]": 92.0}
    told, _ = cell("retrain", "Between its best epoch and the last", table=pd.DataFrame([row]), own=[history])
    assert "from 0.400 to 0.200" in told and "from 0.200 to 0.600" in told
