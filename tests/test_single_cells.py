"""Single cells of the notebooks, run on stand-ins: each takes the right column, sign, row and run, by a hand."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from test_cells import Shown, cell_of
from test_sections import shown
from test_wishes_folds import TABLE

from fmnist_lib import data
from fmnist_lib.study import beyond, certainty, folds, search, stats, strategies, tables, tradeoff
from fmnist_lib.study.paper import WINNER
from fmnist_lib.study.readings import READINGS, choices

LADDER = [("a", s, 90.0 + s, 80.0 + s) for s in (1, 2)] + [("b", s, 91.0 + s, 85.0 + s) for s in (1, 2)]


def say(message, **values):
    return message.format(**values)


def silent(*_, **__):
    return None


def data_of(*_, data, **__):
    """Stand in for a figure or table by the data that are kept beside it."""
    return data


def cell(notebook, words, **names):
    """Run the cell that has these words; return what it shows and the names that it leaves."""
    names = {"say": say, "Table": Shown, "WINNER": WINNER, "pd": pd, "np": np, "plt": plt, "several": True} | names
    return shown(cell_of(notebook, words), names), names


def recorder(given, result=None):
    """Return a function that notes what it is given and returns this."""
    return lambda *values, **_: given.append(values) or result


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


def test_beside_table_one_lie_its_own_scores_and_beside_the_losses_the_curves_of_search_and_retraining():
    data, _ = cell("report", "tab-validation", scores_as_text=silent, table1=None, scores="I", Table=data_of)
    assert data == "I"
    search, other, again = (SimpleNamespace(recipe=SimpleNamespace(model=m)) for m in (WINNER, "CNN-Nahuel", WINNER))
    names = {"study": SimpleNamespace(searched=[search, other], retrained=[again]), "curves": [1], "again": None}
    names |= {"results": SimpleNamespace(curves=list), "figures": SimpleNamespace(DOUBLE=7, loss_curves=silent)}
    data, _ = cell("report", "results.curves(drawn)", Figure=data_of, **names)
    assert data == [search, again]


def test_what_the_winner_costs_is_told_first_and_its_gain_over_the_ann():
    spent = pd.DataFrame({"teraflop": {"ANN-Juan": 2.0, WINNER: 90.0}})
    told, _ = cell(
        "report", "spent[0]", tables=SimpleNamespace(cost=silent, spent=lambda _: spent), params={"val_images": 1},
        frame=pd.DataFrame({"role": ["search"], "run": ["x"]}), retrained={"accuracy": 92.0}, ann={"accuracy": 89.0},
    )  # fmt: skip
    assert (
        "takes 90.0 teraflop (10¹² floating-point operations) and ANN-Juan 2.0" in told
        and "differ by +3.00 points" in told
    )


def test_the_papers_winner_lies_between_its_lowest_and_its_highest_rank():
    order = pd.DataFrame({"model": [WINNER], "first": [0.4], "low": [1], "high": [5]})
    told, _ = cell(
        "report", "ten thousand draws", certainty=SimpleNamespace(papers_rank=lambda *_: order),
        ranks=SimpleNamespace(ranks=silent), by_seed={"accuracy": pd.DataFrame(columns=[WINNER])}, TABLE_1=[WINNER],
    )  # fmt: skip
    assert "between rank 1.0 and 5.0" in told and "40 % put" in told


def test_what_no_explanation_takes_is_the_last_size():
    gap = SimpleNamespace(PAPER=1.55, rivals=lambda *_: pd.DataFrame({"size": [1.55, 0.5, 0.25]}))
    gap.one_more = lambda scores: {"least": -0.26, "most": 1.9, "n": len(scores)}
    mode = SimpleNamespace(cost=silent)
    told, _ = cell(
        "report",
        "loses {paper:.2f} points",
        taken={},
        several_runs=[],
        mode=mode,
        gap=gap,
        by_seed=[1, 2, 3],
        data_folder="",
    )
    assert "+0.25 points are left" in told and "between -0.26 and 1.90 points" in told and "n = 3 seeds" in told


def test_the_sources_stand_beside_the_spread_of_the_accuracy_of_table_one():
    by_seed, told = pd.DataFrame({("accuracy", WINNER): [92.0, 92.4], ("validation", WINNER): [91.0, 95.0]}), []
    conclusions = SimpleNamespace(sources=lambda alone, p, seen: told.extend([alone, p, seen.tolist()]) or ("", {}))
    variance = SimpleNamespace(
        frame=lambda *_: "frame", spreads=lambda frame: ("spreads", frame), alike=lambda frame: ("alike", frame)
    )
    part = SimpleNamespace(runs=[], params={})
    cell("report", "conclusions.sources", part=part, variance=variance, by_seed=by_seed, conclusions=conclusions)
    assert told == [("spreads", "frame"), ("alike", "frame"), [92.0, 92.4]]


def test_the_report_chooses_a_step_on_validation_and_tells_its_test():
    table = pd.DataFrame(LADDER, columns=["step", "seed", "validation", "test"])
    steps = SimpleNamespace(recipes=lambda _: {1: 1, 2: 2}, ladder=beyond.ladder, frame=lambda _: table)
    part = SimpleNamespace(runs=[1, 2], params={"model": WINNER})
    wishes = SimpleNamespace(climbing=lambda *_: ("", {}))
    _, names = cell("report", "wishes.climbing", part=part, beyond=steps, wishes=wishes, say=silent)
    assert names["ladder"][["accuracy", "validation"]].to_numpy().tolist() == [[81.5, 91.5], [86.5, 92.5]]


def test_each_rival_is_told_with_its_own_row_and_the_winner_of_the_grid_with_its_name():
    columns = pd.DataFrame({"accuracy": [92.0, 91.0, 89.0]}, index=[WINNER, "CNN-Nahuel", "ANN-Juan"])
    tables, results = SimpleNamespace(table_1=lambda *_: columns), SimpleNamespace(frame=silent)
    study = SimpleNamespace(grid=[], searched=[], winners=[WINNER, "ANN-Juan"])
    names = {"table2": columns, "tables": tables, "results": results, "params": {"seed": [0]}, "study": study}
    _, names = cell("report", "def row(table, model)", **names)
    assert [names[name]["accuracy"] for name in ("searched", "retrained", "nahuel", "ann")] == [92, 92, 91, 89]
    told, _ = cell(
        "report", "best.name", table1=columns.set_axis([WINNER, "b", "ANN-Juan"]), study=study, row=names["row"]
    )
    assert told == "By the paper's rule the winner of our grid is ANN-Juan, with 89.00 %."


def test_the_report_s_intervals_are_of_the_images_of_their_own_set():
    asked, params = [], {"val_images": 7, "train_images": 8, "seed": [0]}
    stats = SimpleNamespace(with_intervals=recorder(asked, [1]), standard_error=recorder(asked, 0.25))
    names = {"stats": stats, "table1": "I", "scores": "scores", "tr": str}
    told, one = cell("report", "stats.with_intervals", params=params, **names)
    assert asked == [("I", "scores", 7)] and "one accuracy over 7 images" in told
    _, several = cell("report", "stats.with_intervals", params=params | {"seed": [11, 12]}, **names)
    assert one["kind"] == "Wilson's over images, from one seed" and several["kind"] == "Student's over 2 seeds"
    over = pd.DataFrame({"run": ["a"]})
    told, _ = cell(
        "report", '"tab-claims"', stats=stats, retrained={"accuracy": 92.0}, data=data, judged=None, over=over,
        frame=over, claims_as_text=silent, by_seed=[1, 2], params=params,
        Table=lambda *_, error, images, **__: (error, images),
    )  # fmt: skip
    assert told == (0.25, 10_000) and asked[-1] == (92.0, 10_000)


def test_the_trade_off_of_the_report_rests_on_the_seeds_that_it_takes_in_and_its_patience_on_whole_searches():
    asked = []
    tradeoff = SimpleNamespace(
        systems=recorder(asked, "systems"), measured=lambda: "seconds", by_seed=lambda frame: f"seeds of {frame}",
        patience_curve=lambda runs, _: f"curve of {runs}",
    )  # fmt: skip
    cell(
        "report", "entire = whole", tradeoff=tradeoff, over="over", frame="frame", params={"val_images": 7},
        whole=lambda runs: f"whole {runs}", study=SimpleNamespace(every="runs"),
        wishes=SimpleNamespace(trading=recorder(asked, ("", {}))),
    )  # fmt: skip
    assert asked == [("over", "seconds", 7), ("systems", "curve of whole runs", "seeds of over")]


def test_the_report_tells_the_mistakes_of_the_winner_by_class_and_by_what_it_took_them_for():
    answered = pd.DataFrame({"label": [1, 2, 3, 4], "predicted": [1, 5, 3, 4], "probability": [0.9, 0.8, 0.7, 0.6]})
    told, _ = cell("report", "errs on {mistakes}", shown=SimpleNamespace(answers=lambda: answered))
    assert "errs on 1 of 4 images" in told
    drawn, images = [], torch.zeros(4, 1, 2, 2)
    figures = SimpleNamespace(DOUBLE=7, mistakes=lambda _, __, *given: drawn.extend(given))
    rows, _ = cell(
        "report", "columns = (answered", shown=True, answered=answered, images=images, data=data, figures=figures,
        named=silent, Figure=lambda *_, data, **__: data,
    )  # fmt: skip
    assert [part.tolist() for part in drawn[:3]] == [answered[name].tolist() for name in answered]
    assert rows.to_dict("index") == {1: {"label": 2, "predicted": 5, "probability": 0.8}}


def test_over_seeds_the_report_tells_the_patience_and_the_rows_of_the_test_images_and_the_preregistration():
    over = pd.DataFrame({"patience": [0, 15], "epochs": [50, 50], "preregistration": ["abc", "abc"], "commit": "def"})
    told, _ = cell("report", "Each of {n} seeds draws", by_seed=[1, 2], inside=np.array([1, 0, 1]), over=over)
    assert "after 15 epochs without" in told and "goes on for all 50" in told
    assert "of 3 numbers of Tables I and II (" in told and "counts once), 2 do." in told
    drawn, each = [], {"score": "accuracy", "n": 2, "each": [[1], [2]]}
    cell(
        "report", "intervals.forest", found=pd.DataFrame({"model": "M", "table": ["I", "II"]} | each),
        figures=SimpleNamespace(DOUBLE=7), Figure=silent, by_seed=[1, 2],
        intervals=SimpleNamespace(forest=lambda _, rows: drawn.extend(rows["model"])),
    )  # fmt: skip
    assert drawn == ["M", "M, test"]
    sections = SimpleNamespace(overview=silent)
    told, _ = cell(
        "report", "tab-studies", over=over, taken={"a": 1}, sections=sections, tables=tables,
        Table=lambda *_, registered, **__: registered,
    )  # fmt: skip
    assert told == "abc"


def test_what_training_mode_costs_is_asked_of_the_study_of_readings_where_there_is_one():
    asked, sizes = [], pd.DataFrame({"size": [1.55, 1.0]})
    names = {"gap": SimpleNamespace(PAPER=1.55, rivals=recorder(asked, sizes)), "by_seed": "scores"}
    names["gap"].one_more = lambda _: {"least": 0.0, "most": 0.0, "n": 1}
    names |= {"data_folder": "here", "mode": SimpleNamespace(cost=recorder(asked, "lost")), "several_runs": "own"}
    for taken, runs in (({"readings": SimpleNamespace(runs="read so")}, "read so"), ({}, "own")):
        cell("report", "loses {paper:.2f} points", taken=taken, **names)
        assert asked[-2:] == [(runs, WINNER, "here"), ("scores", "lost")]


def test_the_report_tells_the_likeliest_reading_by_its_seeds_and_the_search_at_full_size_by_what_finished():
    asked, part = [], SimpleNamespace(params={"seed": [11, 12, 13], "replays": 7}, runs="runs")
    weighed, read_so = pd.DataFrame({"reading": ["default"]}), pd.DataFrame({"seed": [11, 12, 13, 11]})
    weighing = SimpleNamespace(recorded=lambda *_: read_so, score=lambda _: "scored")
    names = {"part": part, "sections": SimpleNamespace(shipped=silent), "READINGS": {}, "data_folder": ""}
    conclusions = SimpleNamespace(readings=recorder(asked, ("", {})))
    for more, spread in ((pd.DataFrame({"seed": range(11, 21)}), 10), (pd.DataFrame({"seed": []}), 3)):
        weighing.wide = lambda *_, more=more: more
        weighing.weigh = lambda found, wide, more=more: weighed if found is read_so and wide is more else None
        _, told = cell("report", "weighing.recorded", weighing=weighing, conclusions=conclusions, **names)
        assert asked.pop() == ("scored", 3) and (told["seeds"], told["spread"]) == (3, spread)
        assert told["weighed"] is weighed
    search = SimpleNamespace(apart=lambda *_: ("few", "full"), against=lambda frame: frame, space=lambda _: "space")
    search.frame = lambda runs, finished=False: (runs, finished)
    strategies = SimpleNamespace(replay=recorder(asked, "replays"), by_seed=lambda runs: (runs, "costs"))
    wishes = SimpleNamespace(searching=recorder(asked, ("", {})))
    cell("report", "search.apart", part=part, search=search, strategies=strategies, wishes=wishes)
    assert asked == [("few", "costs", "space", 7), (("few", False), "replays", ("full", True))]


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
    assert "reaches 91.00 % on validation; its search reached 92.00 %" in told


def numbers_found(table, inside):
    """Make up the numbers of a table of the paper, from whether each score lies inside."""
    rows = [(table, "M", score, value, -3.0 if value is False else 1.0, 5) for score, value in inside.items()]
    return pd.DataFrame(rows, columns=["table", "model", "score", "inside", "t", "n"])


def test_the_numbers_of_table_two_that_lie_outside_are_named_and_both_tables_counted():
    one = numbers_found("I", {"epoch": False, "loss": True, "accuracy": True})
    two = numbers_found("II", {"epoch": np.nan, "loss": True, "accuracy": False})
    told, _ = cell(
        "certainty", "Those of Table II that do not", certainty=certainty, table1=one, table2=two, scores=[1, 2]
    )
    assert told == (
        "Of Table I's numbers 2 of 3 lie inside, of Table II's 1 of 2. Those of Table II that do not: M accuracy."
    )


def test_the_mistakes_that_all_networks_share_are_drawn_with_their_class_and_what_they_are_taken_for():
    shared, drawn = pd.DataFrame({"label": [3, 4], "predicted": [7, 8], "share": [1.0, 0.5]}, index=[1, 0]), []
    luck = SimpleNamespace(shared_mistakes=lambda _: shared)
    answers = {"M": pd.DataFrame({"label": [4, 3], "a": [8, 7], "b": [8, 7]})}
    told, _ = cell("certainty", "networks are wrong on", luck=luck, answers=answers, data=data)
    assert told == (
        "All 2 networks are wrong on 2 of 10000 test images, "
        "and on 1 of them they all take it for the same other class."
    )
    images = torch.arange(2).view(2, 1, 1, 1)
    cell(
        "certainty", "fig-shared", shared=shared, networks=2, params={"data_dir": ""}, Figure=silent,
        data=SimpleNamespace(load=lambda *_, **__: (images, None), CLASSES=data.CLASSES),
        download=SimpleNamespace(fetch=silent),
        figures=SimpleNamespace(DOUBLE=7, mistakes=lambda _, *given: drawn.extend(given)),
    )  # fmt: skip
    assert [np.ravel(part).tolist() for part in drawn[:4]] == [[1, 0], [3, 4], [7, 8], [1.0, 0.5]]


def test_certainty_tells_the_sources_beside_the_accuracies_of_table_one_and_the_luck_of_the_winner():
    scores, told = pd.DataFrame({("accuracy", WINNER): [92.0, 92.4], ("validation", WINNER): [91.0, 95.0]}), []
    conclusions = SimpleNamespace(sources=lambda alone, p, seen: told.extend([alone, p, seen.tolist()]) or ("", {}))
    own, variance = SimpleNamespace(WINNER=WINNER), SimpleNamespace(alike=lambda frame: ("alike", frame))
    names = {"scores": scores, "alone": "alone", "each": "frame", "varied": [1], "protocol": own}
    cell("certainty", "conclusions.sources", variance=variance, conclusions=conclusions, **names)
    assert told == ["alone", ("alike", "frame"), [92.0, 92.4]]
    columns = ["seeds", "seen", "images", "test set"]
    spreads = pd.DataFrame([(2, 0.9, 0.8, 0.7), (2, 0.1, 0.2, 0.3)], ["ANN-Juan", WINNER], columns)
    said, _ = cell("certainty", "decided by independent chance", spreads=spreads, protocol=own)
    assert said.startswith(f"For {WINNER}, seeds differ by an sd of 0.10 points") and "would give 0.20." in said
    assert "an sd of 0.30 points" in said


def test_the_winners_rank_is_that_of_its_accuracy_and_its_seconds_are_those_of_a_benchmark():
    asked = []
    row = pd.DataFrame({"n": 2.0, "rank": 3.0, "low": 1.0, "high": 5.0, "first": 0.25}, index=[WINNER])
    ranks = SimpleNamespace(ranks=lambda scores: asked.append(scores[WINNER].tolist()) or row)
    compared = {"CNN-Nahuel": [1.0, 3.0], "ANN-Juan": [5.0, 5.0]}
    scores = {
        score: pd.DataFrame({WINNER: each} | compared) for score, each in (("accuracy", [92, 93]), ("loss", [1, 2]))
    }
    told, _ = cell("claims", "of twelve by the mean", ranks=ranks, scores=scores, TABLE_1=[WINNER])
    assert asked == [[92, 93]] and "rank 3 of twelve by the mean, between 1 and 5" in told and "first in 25 %" in told
    seconds = {"seconds": pd.DataFrame({WINNER: [100.0, 120.0]} | compared), "epoch": scores["loss"]}
    timed = pd.DataFrame({"model": ["CNN3-128-0.25", WINNER], "seconds": [40.0, 9.0]})
    tradeoff = SimpleNamespace(systems=lambda *_: timed, measured=silent)
    told, _ = cell(
        "claims", "Seconds to the best epoch", scores=seconds, tradeoff=tradeoff, frame=None, params={"val_images": 1}
    )
    assert told.endswith(f": {WINNER} 110, CNN-Nahuel 2, ANN-Juan 5, CNN3-128-0.25 40.")


def test_of_the_explanations_of_the_gap_the_largest_is_named_with_its_own_interval_and_what_is_left():
    rows = [("the paper", 1.55, np.nan, np.nan, 1), ("a", 0.1, 0.0, 0.2, 5), ("b", 0.6, 0.5, 0.8, 7)]
    rows += [("c", np.nan, np.nan, np.nan, 0), ("rest", 0.85, np.nan, np.nan, 1)]
    sizes = pd.DataFrame(rows, columns=["name", "size", "low", "high", "n"])
    told, _ = cell("claims", "accounts for", sizes=sizes, gap=SimpleNamespace(PAPER=1.55))
    assert told.startswith("Of the paper's 1.55 points, b accounts for 0.60 (0.50 to 0.80; n = 7); +0.85 points are")


def test_the_winner_is_held_against_nahuels_network_image_by_image_and_trades_by_ratios_to_the_ann():
    asked = []
    luck = SimpleNamespace(pairs=lambda runs, *models: asked.append((runs, *models)))
    cell("claims", "luck.pairs", luck=luck, study=SimpleNamespace(retrained="again"))
    assert asked == [("again", WINNER, "CNN-Nahuel")]
    models = [WINNER, "CNN-Nahuel", "ANN-Juan"]
    scores = pd.DataFrame({(score, model): [1.0] for score in ("epoch", "test") for model in models})
    cost = pd.DataFrame({"teraflop": [90.0, 60.0, 3.0], "millions": [2.0, 6.0, 4.0]}, index=models)
    table, _ = cell("claims", "tab-trade", cost=cost, scores=scores)
    assert table.given["teraflop, times ANN-Juan's"].tolist() == [30, 20]
    assert table.given["millions, times ANN-Juan's"].tolist() == [0.5, 1.5]


def test_each_cost_has_its_own_front_and_figure_and_an_interval_of_the_images_that_validate():
    rows = [("a", 1.0, 9.0, 90.0), ("b", 2.0, 2.0, 91.0), ("c", 3.0, 1.0, 90.5)]
    table, drawn = pd.DataFrame(rows, columns=["model", "epochs", "millions", "accuracy"]), []
    own = SimpleNamespace(front=tradeoff.front, COSTS=("epochs", "millions"), systems=recorder(drawn), measured=dict)
    _, names = cell(
        "tradeoff", "fronts = {cost", tradeoff=own, table=table, tr=str.upper,
        charts=SimpleNamespace(front=lambda ax, front, cost: drawn.append((*front["model"], cost)) or ax),
        figures=SimpleNamespace(DOUBLE=7, accuracy_against=lambda _, __, *given: drawn.append(given)),
    )  # fmt: skip
    for cost in own.COSTS:
        names["drawn"](cost, "label")
    assert drawn == [("a", "b", "epochs"), ("epochs", "LABEL"), ("c", "b", "millions"), ("millions", "LABEL")]
    cell("tradeoff", "tradeoff.systems(frame", tradeoff=own, frame="frame", params={"val_images": 7, "train_images": 8})
    assert drawn[-1] == ("frame", {}, 7)


def test_the_search_s_tables_have_the_rates_as_trained_and_count_their_own_runs_that_diverged():
    one = (3, 512, 0.1, "sgd", 0.001, "relu")
    table = pd.DataFrame([(*one, 1, 90.0, 1.0)], columns=[*search.AXES, "seed", "accuracy", "teraflop"])
    ended = {"best_epoch": 20, "recipe": SimpleNamespace(epochs=20)}
    lost = SimpleNamespace(diverged=True, **ended), SimpleNamespace(diverged=False, **ended)
    names = {
        "search": search,
        "table": table,
        "Table": lambda frame, *_, lost, late=None, **__: (frame["lr"].tolist(), lost, late),
    }
    early = SimpleNamespace(**vars(lost[1]) | {"best_epoch": 19})
    told, _ = cell("hyperparameters", "tab-top", **names, trained=[lost[1], lost[1], early])
    assert told == ([0.03], 0, 2)
    asked, seen = [], SimpleNamespace(trained_at=search.trained_at, against=lambda _: table)
    seen.frame = lambda runs, finished=False: asked.append((len(runs), finished)) or table
    told, _ = cell("hyperparameters", "tab-full", **names | {"search": seen}, full=[*lost, lost[0]], trained=[lost[1]])
    assert told == ([0.03], 2, None) and asked == [(3, True)]
    replayed = pd.DataFrame({"paid": [0.1, 1.0]})
    own = SimpleNamespace(replay=recorder(asked, replayed), by_seed=lambda runs: (runs, "costs"))
    own.over_time = lambda _, at: (at.min(), at.max())
    _, names = cell(
        "hyperparameters", "strategies.replay", strategies=own, trained="trained", params={"replays": 7},
        search=SimpleNamespace(space=lambda _: "space"),
    )  # fmt: skip
    assert asked[-1] == ("trained", "costs", "space", 7) and names["curves"] == pytest.approx((0.1, 1.0))


def test_folds_count_their_seeds_from_the_split_that_was_asked_for_in_the_notebook_and_in_the_report():
    asked, result = [], pd.DataFrame(columns=["train_images", "val_images"])
    own = SimpleNamespace(frame=recorder(asked, result), out_of_fold=silent)
    params, part = {"split_seed": 7}, SimpleNamespace(runs="runs", params={"split_seed": 8})
    cell("cross_validation", "folds.frame", folds=own, trained="trained", params=params)
    cell("report", "table := folds.frame", folds=own, taken={"folds": part})
    assert asked == [("trained", 7), ("runs", 8)]


@pytest.mark.parametrize(("notebook", "figure"), [("beyond", "fig-beyond"), ("report", '"fig-ladder"')])
def test_the_ladder_that_is_drawn_is_that_of_the_test(notebook, figure):
    drawn, figures = [], SimpleNamespace(DOUBLE=7)
    charts = SimpleNamespace(ladder=recorder(drawn))
    names = {"ladder": "on test", "validated": "on validation", "part": True, "Figure": silent}
    names["table"] = pd.DataFrame({"seed": [11, 12]})
    steps = SimpleNamespace(PUBLIC=93.4, ladder=lambda *_: "on validation")
    cell(notebook, figure, charts=charts, figures=figures, beyond=steps, **names)
    assert drawn[0][1:] == ("on test", 93.4)


def test_beyond_the_network_that_was_asked_for_is_told():
    asked = []
    wishes = SimpleNamespace(climbing=recorder(asked, ("", {})))
    cell("beyond", "wishes.climbing", wishes=wishes, ladder="ladder", params={"model": "M"})
    assert asked == [("ladder", "M")]


EXPLORED = pd.DataFrame(
    [
        ("a", 3.0, "search", 0.3, 90.0), ("b", 3.0, "search", 0.2, 91.0), ("c", 3.0, "retraining", 0.1, 94.0),
        ("d", 5.0, "search", 0.1, 93.0), ("e", 3.0, "search", 0.4, 92.0),
    ],
    columns=["run", "k", "role", "best_val_loss", "best_val_accuracy"],
).assign(model="M", best_epoch=4)  # fmt: skip


def test_explore_chooses_the_searches_of_least_loss_and_names_the_most_accurate_of_all():
    _, names = cell("explore", "frame.query", frame=EXPLORED)
    assert names["chosen"]["run"].tolist() == ["b", "a", "e"]
    a, b = (SimpleNamespace(folder=SimpleNamespace(name=name)) for name in "ab")
    said = pd.DataFrame({"Bag": [0.9], "Coat": [0.1]})
    told, _ = cell("explore", "McNemar's exact p", frame=EXPLORED, runs=dict.fromkeys("abcde"), a=a, b=b, only_a=3,
                   only_b=4, p=0.5, said=said)  # fmt: skip
    assert "the most accurate on validation is c, 94.00 % at epoch 4" in told and "taken for: Bag" in told
    assert "a alone is right on 3 and b alone on 4" in told


def test_explore_tests_the_first_seed_of_each_model_and_without_a_picture_takes_the_first_test_image():
    rows = [("b", WINNER, 1), ("a", WINNER, 0), ("c", "CNN-Nahuel", 2)]
    frame = pd.DataFrame(rows, columns=["run", "model", "seed"]).assign(role="retraining", test_accuracy=90.0)
    _, names = cell("explore", "tested.drop_duplicates", frame=frame, runs={name: f"run {name}" for name in "abc"})
    assert (names["a"], names["b"]) == ("run a", "run c")
    parts = {part: (torch.arange(start, start + 3), None) for part, start in (("train", 10), ("test", 20))}
    given = SimpleNamespace(load=lambda part, data_dir: parts[part])
    fetching, params = SimpleNamespace(fetch=silent), {"data_dir": "", "picture": ""}
    _, names = cell("explore", "predict.picture", data=given, download=fetching, params=params)
    assert names["image"].tolist() == [20]


def test_explore_draws_each_of_two_runs_under_its_own_name():
    drawn, runs = [], [SimpleNamespace(folder=SimpleNamespace(name=n), history=f"curve of {n}") for n in "ab"]
    charts = SimpleNamespace(overlaid=lambda _, *given: drawn.append(given))
    names = {"a": runs[0], "b": runs[1], "Figure": silent}
    cell("explore", "fig-pair", charts=charts, figures=SimpleNamespace(DOUBLE=7), **names)
    assert drawn == [({"a": "curve of a", "b": "curve of b"}, "train_loss")]
    figures = SimpleNamespace(DOUBLE=7, confusion=lambda ax, counts, _: ax.set_label(counts) or ax)
    compare = SimpleNamespace(confusion=lambda answers: answers)
    _, names = cell(
        "explore", "fig-both", figures=figures, compare=compare, data=data, answers=["of a", "of b"], **names
    )
    assert [(ax.get_label(), ax.get_title()) for ax in names["axes"]] == [("of a", "a"), ("of b", "b")]


def test_the_hours_are_those_of_what_is_missing_and_each_reading_of_the_padding_is_drawn_at_its_own_difference():
    asked, drawn = [], []
    weighing = SimpleNamespace(recipes=lambda *_: ["there", "missing"], hours=recorder(asked, 1.5))
    store = SimpleNamespace(missing=lambda recipes: recipes[1:])
    told, _ = cell("readings", "weighing.hours", weighing=weighing, store=store, names=[], params={})
    assert asked == [(["missing"],)] and told.startswith("1 trainings are missing, about 1.5 hours")
    shown = pd.DataFrame({"reading": ["R"], "estimate": [0.5], "low": [0.1], "high": [0.9], "default": [7.0]})
    intervals = SimpleNamespace(differences=lambda _, frame, __: drawn.append(frame))
    figures = SimpleNamespace(DOUBLE=7)
    cell("readings", "fig-kernel", shown=shown, apart=[1], intervals=intervals, figures=figures, Figure=silent)
    assert drawn[0][["name", "estimate", "low", "high"]].to_numpy().tolist() == [["R", 0.5, 0.1, 0.9]]


def test_each_file_of_a_study_holds_its_own_table():
    written, names = [], {"Path": Path, "params": {"out": "there"}}
    names |= {"write_file": lambda path, content: written.append((path.name, content.decode().split()[0]))}
    every = ("table", "summary", "curve", "importance", "ends", "compared", "effects")
    names |= {name: pd.DataFrame({name: [1]}) for name in every}
    names["effects"]["each"] = 1
    names["search"] = SimpleNamespace(trained_at=lambda frame: frame.set_axis(["as trained"], axis=1))
    cell("cross_validation", '/ "folds.csv"', **names)
    cell("hyperparameters", "written |= ", **names | {"ends": names["ends"].rename_axis("strategy")})
    cell("tradeoff", '/ "patience.csv"', **names)
    assert written == [
        ("folds.csv", "table"), ("out_of_fold.csv", "summary"), ("search.csv", "table"),
        ("effects.csv", "effects"), ("importance.csv", "importance"),
        ("strategies.csv", "strategy,ends"), ("full_size.csv", "as"),
        ("tradeoff.csv", "table"), ("patience.csv", "curve"),
    ]  # fmt: skip


def test_each_figure_of_the_trade_off_is_drawn_of_its_own_cost():
    labels = {"fig-epochs": "Best epoch", "fig-seconds": "Seconds of", "fig-operations": "Operations of"}
    labels |= {"fig-size": "Trainable parameters"}
    names = {"alt": "", "drawn": lambda *given: given, "Figure": lambda given, *_, **__: given}
    told = [cell("tradeoff", figure, **names)[0] for figure in labels]
    assert tuple(cost for cost, _ in told) == tradeoff.COSTS
    assert all(label.startswith(words) for (_, label), words in zip(told, labels.values(), strict=True))


def test_the_ten_best_of_the_search_are_the_means_over_its_seeds_of_as_many_configurations():
    rows = [(k, n, 0.1, "adam", 0.001, "relu", seed, 90.0 + k + n + seed, 1.0) for n in range(6) for k in (3, 5)
            for seed in (1, 3)]  # fmt: skip
    told, _ = cell(
        "hyperparameters", "tab-top", search=search, trained=[],
        table=pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"]),
        Table=lambda frame, *_, count, n, **__: (frame, count, n),
    )  # fmt: skip
    assert told[0].iloc[0][["k", "n", "accuracy"]].tolist() == [5, 5, 102.0] and len(told[0]) == 10
    assert told[1:] == (12, 2)


def test_of_the_trade_off_the_most_accurate_system_stands_first():
    columns = ["model", "n", "accuracy", "test", "epochs", "seconds", "clock", "teraflop", "millions", "low", "high"]
    table = pd.DataFrame([("a", *range(10)), ("b", *range(10, 20))], columns=columns)
    told, _ = cell("tradeoff", "tab-costs", table=table)
    assert told.given.to_numpy().tolist() == [["b", *range(10, 18)], ["a", *range(8)]]


def test_the_scores_of_the_readings_stand_with_their_seeds_and_with_those_that_are_not_weighed():
    weighed, drawn = pd.DataFrame({"reading": ["default", "no_padding", "default"]}), []
    scored = pd.DataFrame({"numbers": [3, 9]}, index=["no_padding", "default"])
    weighing = SimpleNamespace(score=lambda _: scored, shown=lambda frame: frame)
    weighing.wide = lambda params, store, folder: pd.DataFrame({"seed": range(11, 21)})
    weighing.weigh = lambda found, more: weighed if found is None and len(more) == 10 else None
    names = {"READINGS": READINGS, "weighing": weighing, "tr": str, "found": None, "store": None}
    names["params"] = {"seed": [11, 12, 13], "data_dir": ""}
    _, names = cell("readings", "weighing.weigh(found, more)", **names)
    absent = [reading.words for name, reading in READINGS.items() if name not in scored.index]
    assert names["missing"] == ", ".join(absent) and names["enough"]
    told, _ = cell(
        "readings",
        "tab-scores",
        **names | {"Table": lambda *given, n, spread, missing, **__: (given[0], n, spread, missing)},
    )
    assert told[0] is scored and told[1:] == (3, 10, names["missing"])
    names |= {"choices": choices, "size": lambda _: (1, 1), "specification": lambda _, *given: drawn.extend(given)}
    told, _ = cell("readings", "fig-specification", **names | {"Figure": lambda *_, n, **__: n})
    assert drawn[0]["reading"].tolist() == ["as in this report", "no padding", "as in this report"] and told == 3
    assert drawn[1] == {"no padding": ["padding = 0,0"], "as in this report": []}
    plt.close("all")


def test_each_conclusion_rests_on_the_tables_of_its_own_study():
    asked, own = (
        [],
        {name: name for name in ("table", "curve", "frame", "replayed", "at_full_size", "summary", "found")},
    )
    names = ("trading", "searching", "cross_validation")
    own |= {"wishes": SimpleNamespace(**{name: recorder(asked, ("", {})) for name in names}), "READINGS": READINGS}
    cell("tradeoff", "wishes.trading", tradeoff=SimpleNamespace(by_seed=lambda frame: f"seeds of {frame}"), **own)
    cell("hyperparameters", "wishes.searching", **own)
    cell("cross_validation", "wishes.cross_validation", **own)
    assert asked == [("table", "curve", "seeds of frame"), ("table", "replayed", "at_full_size"), ("summary",)]
    apart = pd.DataFrame({"estimate": [1.0]}, index=["no_padding"])
    told, _ = cell("readings", "heads.summary", heads=SimpleNamespace(summary=recorder(asked, apart)), **own)
    assert asked.pop() == ("found",) and told.given.iloc[0].tolist() == ["no padding", 1.0]
    conclusions = SimpleNamespace(same_head=recorder(asked, ("", {})))
    cell("readings", "conclusions.same_head", conclusions=conclusions, apart=apart)
    assert asked.pop()[0] is apart


def test_what_is_trained_of_folds_meets_the_test_images_and_the_search_goes_on_with_the_best_of_its_whole_table():
    asked, sweep = [], SimpleNamespace(train=lambda *_, **__: ["a", "b"], where=lambda _: {})
    names = {"sweep": sweep, "store": None, "params": {"data_dir": "here", "workers": 1, "cluster": ""}}
    answers, folds = SimpleNamespace(on_test=recorder(asked)), SimpleNamespace(recipes=silent)
    cell("cross_validation", "answers.on_test", answers=answers, folds=folds, **names)
    cell(
        "hyperparameters", "at_full_size(", search=SimpleNamespace(at_full_size=recorder(asked)), table="table", **names
    )
    assert asked == [("a", "here"), ("b", "here"), ("table", names["params"])]
