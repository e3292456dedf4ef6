"""What a cell hands on beside its column or row: how many, of which, where, whether; by a hand, on stand-ins."""

import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from test_cells import Shown, cell_of
from test_sections import shown
from test_single_cells import cell, recorder, silent
from test_wishes_folds import TABLE

from fmnist_lib import ROOT, models
from fmnist_lib.commands import benchmark
from fmnist_lib.commands import floors as limits
from fmnist_lib.commands import runs as listed
from fmnist_lib.press import intervals
from fmnist_lib.press import tables as written
from fmnist_lib.recipe import Recipe
from fmnist_lib.study import claims, protocol, search
from fmnist_lib.study.paper import TABLE_1, WINNER

SEVERAL = {"Figure": Shown, "charts": SimpleNamespace(), "figures": SimpleNamespace(DOUBLE=7, SINGLE=3.4)}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


# Certainty


def test_the_seeds_that_have_all_twelve_networks_are_counted_apart():
    scores = pd.DataFrame(1.0, [11, 12, 13], pd.MultiIndex.from_product([["accuracy"], TABLE_1]))
    scores.loc[12, ("accuracy", WINNER)] = np.nan
    results = SimpleNamespace(frame=lambda *_: [1, 2, 3, 4, 5], by_seed=lambda _: scores)
    told, _ = cell(
        "certainty", "complete=len(complete)", results=results, TABLE_1=TABLE_1, Store=silent,
        conduct=lambda *_: SimpleNamespace(every=[]), params={"runs_dir": "", "data_dir": "", "split_seed": 1},
    )  # fmt: skip
    assert told.startswith("5 runs of 3 seeds; 2 of these")


def test_the_largest_effect_is_the_one_that_is_furthest_from_zero_and_is_drawn_with_all_others():
    found = pd.DataFrame({"estimate": [-0.5, 2.0], "low": [-1.0, 1.0], "high": [0.0, 3.0], "p": 0.1}, ["a", "b"])
    loss = found.set_axis(["p: 0.25 − 0.1", "c"])
    names = {"scores": {"loss": "loss"}, "effects": SimpleNamespace(effects=lambda _: loss), "complete": [1, 2]}
    told, _ = cell("certainty", "The largest effect on", found=found, **names)
    assert "accuracy is b: +2.00 points (+1.00 to +3.00)" in told
    drawn = []
    cell(
        "certainty",
        "fig-effects",
        found=found,
        intervals=SimpleNamespace(differences=recorder(drawn)),
        **SEVERAL | names,
    )
    assert drawn[0][1].set_index("name")["estimate"].to_dict() == {"a": -0.5, "b": 2.0}


def test_who_is_first_how_often_and_between_which_orders_the_papers_lies():
    order = pd.DataFrame({"model": [WINNER, "A", "B"], "first": [0.2, 0.7, 0.1], "low": [1, 2, 3], "high": [4, 5, 6]})
    ranks = SimpleNamespace(ranks=silent, agreement=lambda *_: (0.5, np.array([0.3, 0.6]), 0.03))
    told, _ = cell(
        "certainty", "likely=first.idxmax()", order=order, ranks=ranks, scores={"accuracy": None}, protocol=protocol,
        certainty=SimpleNamespace(accuracies=silent), TABLE_1=TABLE_1,
    )  # fmt: skip
    assert "is first in 20 % of the draws and lies between rank 1 and 4; most often first is A (70 %)" in told
    assert "a tau of 0.50 with ours, the seeds' own orders between 0.30 and 0.60" in told


def test_certainty_concludes_from_both_tables_and_its_sources_are_of_the_accuracy():
    asked = []
    names = {"conclusions": SimpleNamespace(certainty=recorder(asked, ("", {}))), "frame": None, "table2": "II"}
    cell("certainty", "conclusions.certainty", papers="I and II", certainty=SimpleNamespace(held_out=silent), **names)
    assert asked == [("I and II", None)]
    spreads, sweep = [], SimpleNamespace(train=silent, where=lambda _: {})
    variance = SimpleNamespace(recipes=silent, frame=lambda *_: "each", spreads=recorder(spreads))
    params = {"runs_dir": "", "data_dir": ""}
    cell("certainty", "variance.spreads(each)", variance=variance, sweep=sweep, Store=silent, params=params)
    assert spreads == [("each",)]


def test_the_figure_of_shared_mistakes_counts_networks():
    few = pd.DataFrame({"label": [1, 2], "predicted": [2, 3], "share": [1.0, 0.5]})
    figures, data = SimpleNamespace(DOUBLE=7, mistakes=silent), SimpleNamespace(load=lambda *_, **__: TEST, CLASSES=[])
    drawn, _ = cell(
        "certainty", "fig-shared", shared=few, networks=30, figures=figures, data=data, Figure=Shown,
        download=SimpleNamespace(fetch=silent), params={"data_dir": ""},
    )  # fmt: skip
    assert drawn.values["n"] == 30


class Images:
    """Pixels that nobody looks at."""

    def __getitem__(self, _):
        return self

    def numpy(self):
        return None


TEST = (Images(), None)


# Claims


def test_under_each_claims_heading_stand_its_own_effect_figure_and_verdict_alone():
    claim, seen = "", set()
    for one in nbformat.read(ROOT / "notebooks" / "claims.ipynb", 4).cells:
        if one.cell_type == "markdown":
            claim = (
                found[1]
                if (found := re.match(r"#+ ([SP]\d+)\.", one.source))
                else claim
                if "#" not in one.source[:1]
                else ""
            )
        elif claim:
            assert {name.upper() for name in re.findall(r'"(?:fig-)?([SPsp]\d+)"', one.source)} <= {claim}, one.source
            seen |= {claim} & {*re.findall(r'said\("(\w+)"\)', one.source)}
    assert seen == {part.claim for part in claims.PARTS}


def test_claims_are_judged_with_the_seconds_of_the_benchmark_and_the_tables_count_seeds():
    asked = []
    results = SimpleNamespace(frame=lambda *_: "frame", seconds_an_epoch=lambda: "seconds", by_seed=silent)
    cell(
        "claims", "claims.judge", results=results, claims=SimpleNamespace(judge=recorder(asked)), Store=silent,
        conduct=lambda *_: SimpleNamespace(every=[]), params={"runs_dir": "", "data_dir": "", "split_seed": 1},
    )  # fmt: skip
    assert asked == [("frame", "seconds")]
    table, _ = cell("claims", "tab-claims", scores=[1, 2, 3], judged=[1], claims_as_text=silent)
    assert table.values["seeds"] == 3
    models = [WINNER, "CNN-Nahuel", "ANN-Juan"]
    scores = pd.DataFrame(1.0, range(3), pd.MultiIndex.from_product([["test", "epoch"], models]))
    cost = pd.DataFrame(1.0, models, ["teraflop", "millions"])
    assert cell("claims", "tab-trade", cost=cost, scores=scores)[0].values["n"] == 3


def test_the_parts_that_another_method_tells_otherwise_are_counted_and_named():
    other = pd.DataFrame({"id": ["S1", "S1", "S2", "P1"], "differs": ["", "sign", "", "bootstrap"]})
    told, _ = cell("claims", "are told otherwise by", other=other)
    assert told == "Of 4 parts, 2 are told otherwise by some other method: S1, P1."
    other = other.assign(n=1)
    names = {"opinions": SimpleNamespace(opinions=lambda *_: other), "judged": None, "by_seed": None, "tr": str}
    assert "some part of: S1, P1 (" in cell("report", "Other methods, on which", **names)[0]


# Folds, search, beyond, the trade


@pytest.mark.parametrize("notebook", ["cross_validation", "hyperparameters", "beyond"])
def test_a_reduced_study_is_stamped_and_a_whole_one_is_not(notebook):
    for reduced in (True, False):
        made = SimpleNamespace(is_reduced=lambda _, reduced=reduced: reduced, STAMP="reduced", stamped=lambda _: {})
        told, _ = cell(notebook, "if protocol.is_reduced(params) else None", protocol=made, params={})
        assert told == ("reduced" if reduced else None)


def test_differences_between_folds_and_their_figure_are_of_the_table_as_it_is():
    asked = []
    cell("cross_validation", "folds.differences", folds=SimpleNamespace(differences=recorder(asked)), table=TABLE)
    cell(
        "cross_validation", "charts.folds", **SEVERAL | {"charts": SimpleNamespace(folds=recorder(asked))}, table=TABLE
    )
    assert asked[0][0] is TABLE and asked[1][1] is TABLE


def test_beyond_writes_every_run_and_not_the_means(tmp_path):
    files = {}
    write = lambda path, text: files.update({path.name: text.decode()})  # noqa: E731
    runs, means = pd.DataFrame({"step": ["a", "a"], "test": [1, 2]}), pd.DataFrame({"step": ["a"], "accuracy": [1.5]})
    names = {"table": runs, "ladder": means, "write_file": write, "Path": type(tmp_path)}
    cell("beyond", '"beyond.csv"', params={"out": str(tmp_path)}, **names)
    assert files == {"beyond.csv": "step,test\na,1\na,2\n"}


def test_effects_and_importance_are_of_what_learnt_something_and_the_rest_is_counted_by_configurations():
    rows = [(3, 8, 0.1, "adam", lr, "relu", seed, 90.0, 1.0) for lr in (0.1, 0.2, 0.3) for seed in (1, 2)]
    table = pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"])
    sound, asked = table[table["lr"] > 0.1], []
    effects = pd.DataFrame({"axis": ["k"], "value": [3], "each": [[1]], "effect": [1.0], "cost": [1.0]})
    made = SimpleNamespace(
        learnt=lambda _: sound, effects=recorder(asked, effects), importance=recorder(asked), AXES=search.AXES
    )
    charts = SimpleNamespace(effects=silent, importance=silent)
    names = SEVERAL | {"search": made, "charts": charts, "table": table, "sound": sound, "effects": effects}
    cell("hyperparameters", "search.effects(sound)", **names)
    cell("hyperparameters", "search.importance(sound)", **names)
    assert [given[0] is sound for given in asked] == [True, True]
    gains, _ = cell("hyperparameters", "tab-effects", **names, means=table.groupby("lr", as_index=False).mean(True))
    assert gains.values["left"] == 1


def test_networks_are_held_against_the_better_ann_and_every_patience_to_thirty_is_tried():
    rows = [("CNN", 91.0, 0.3), ("ANN-Juan-0.1", 89.0, 0.4), ("ANN-Juan-0.25", 90.0, 0.4)]
    table = pd.DataFrame(rows, columns=["model", "accuracy", "millions"])
    told, _ = cell("tradeoff", "have fewer parameters than", table=table)
    assert "fewer parameters than ANN-Juan-0.25; 1 of these" in told and "CNN +1.00 points" in told
    asked, charts = [], SimpleNamespace(patience=silent)
    made = SimpleNamespace(patience_curve=recorder(asked))
    study = SimpleNamespace(every=[])
    cell(
        "tradeoff", "fig-patience", tradeoff=made, whole=lambda _: "whole", study=study, **SEVERAL | {"charts": charts}
    )
    assert asked[0][0] == "whole" and list(asked[0][1]) == list(range(1, 31))


# Explore


def test_explore_looks_at_the_picture_and_the_folder_that_it_is_given_and_draws_the_validation_loss():
    asked = []
    predict = SimpleNamespace(picture=lambda path, invert: asked.append((path, invert)))
    names = {"download": SimpleNamespace(fetch=silent), "data": None, "predict": predict}
    cell("explore", "predict.picture", params={"data_dir": "", "picture": "coat.png"}, **names)
    assert asked == [("coat.png", False)]
    compare = SimpleNamespace(every=recorder(asked, []), tidy=silent)
    cell("explore", "compare.every", compare=compare, Store=lambda *given: given, params={"runs_dir": "mine"})
    assert asked[1] == (("mine",),)
    charts, runs = SimpleNamespace(overlaid=recorder(asked)), {"a": SimpleNamespace(history="curve")}
    cell("explore", "fig-curves", runs=runs, chosen=pd.DataFrame({"run": ["a"]}), **SEVERAL | {"charts": charts})
    assert asked[2][1:] == ({"a": "curve"}, "val_loss")
    frame = pd.DataFrame({"run": ["a", "b"], "model": "M", "best_val_accuracy": [1.0, 2.0], "best_epoch": 3})
    one, said = SimpleNamespace(folder=SimpleNamespace(name="x")), pd.DataFrame({"Bag": [1.0]}, ["x"])
    told, _ = cell(
        "explore", "runs of {models} models", runs=[1, 2], frame=frame, a=one, b=one, only_a=1, only_b=2, p=1, said=said
    )
    assert told.startswith("2 runs of 1 models are here; the most accurate on validation is b, 2.00 %")


# The benchmark


def test_each_precision_has_its_own_peak_and_engine_and_its_share_of_all_operations():
    asked, measured = [], {"fp32 tutorial loop": [100.0]}
    bench = SimpleNamespace(
        together=lambda *given: asked.append(given[1:]) or [8.0], product_rates="peak", engine_rates="engine"
    )
    timed = {"fp32": Recipe(WINNER), "bf16": Recipe(WINNER, precision="bf16")}
    names = {"benchmark": bench, "timed": timed, "measured": measured, "pools": None, "hardware": "cpu", "times": 5}
    shown(cell_of("benchmark", "benchmark.product_rates"), names | {"folder": "data"})
    assert asked == [
        given for name, one in timed.items() for given in (("peak", name, "cpu", 5), ("engine", one, "data"))
    ]
    measured |= {
        f"{name} {what}": [value] for name in timed for what, value in (("engine", 500.0), ("product peak", 4.0))
    }
    names |= {"networks": SimpleNamespace(flop=lambda _: [1e6, 2e6, 1e6]), "models": SimpleNamespace(build=silent)}
    told, names = cell("benchmark", "million operations", params={"model": WINNER}, **names)
    assert told == "Training on one image: 4.0 million operations."
    assert measured["bf16 engine / product peak"] == pytest.approx([100 * 500 * 4e6 / 1e9 / 4])
    assert measured["fp32 engine / tutorial loop"] == [5.0]


def test_the_wide_network_is_compiled_too_and_a_card_trains_table_one_in_each_precision_and_tells_gigabytes():
    asked, measured = [], {}
    bench = SimpleNamespace(
        at_once=lambda _, __, one, ___: asked.append(one) or [[1.0]], WIDE="CNN5-8-0", compiled_ratios=None
    )
    names = {"fastest": Recipe(WINNER, kernels="numba"), "small": Recipe(WINNER, train_images=700), "replace": replace}
    names |= {
        "benchmark": bench,
        "measured": measured,
        "pools": None,
        "folder": "",
        "np": np,
        "params": {"model": WINNER},
    }
    shown(cell_of("benchmark", "benchmark.compiled_ratios"), names)
    assert [(one.model, one.train_images) for one in asked] == [(WINNER, 700), ("CNN5-8-0", 700)]
    grids = []
    made = SimpleNamespace(
        grid=lambda params: grids.append(params) or params["precision"], DEFAULTS={"precision": "auto"}
    )
    done = [SimpleNamespace(submit=lambda call, *given: SimpleNamespace(result=lambda: call(*given)))]
    torch = SimpleNamespace(cuda=SimpleNamespace(max_memory_allocated=lambda: 3e9))
    bench = SimpleNamespace(seconds=lambda recipes, _: recipes)
    names |= {
        "hardware": "cuda",
        "timed": ["fp32", "bf16"],
        "protocol": made,
        "torch": torch,
        "benchmark": bench,
        "pools": done,
    }
    shown(cell_of("benchmark", "device memory"), names)
    assert [(given["device"], given["precision"]) for given in grids] == [("cuda", "fp32"), ("cuda", "bf16")]
    assert measured["bf16 Table I"] == ["bf16"] and measured["device memory"] == [3.0]


def test_the_benchmark_tells_its_share_of_the_peak_the_floors_not_met_and_what_was_not_measured():
    rows = [("bf16 engine / tutorial loop", 7.0, 5, "yes"), ("fp32 engine / tutorial loop", 4.0, 5, "yes")]
    rows += [("bf16 engine / product peak", 65.0, 5, "no"), ("device memory", np.nan, 0, "")]
    table = pd.DataFrame(rows, columns=["quantity", "value", "n", "met"])
    measured, stats = {"accuracy in bf16 − in fp32": []}, SimpleNamespace(mean_interval=lambda *_: (-0.1, 0.1))
    names = {"table": table, "measured": measured, "stats": stats, "best": "bf16", "half": 15, "hardware": "cpu"}
    told, _ = cell("benchmark", "A sweep trains {faster", **names)
    assert "trains 7.0 times" in told and "uses 65.0 % of the bf16 product peak" in told
    assert "not met: bf16 engine / product peak." in told and "on this CPU: device memory." in told


def test_pairs_are_trained_as_long_as_is_asked_and_memory_is_told_in_megabytes(monkeypatch):
    asked = protocol.DEFAULTS | {"pair_epochs": 7, "pair_images": 900, "pair_seeds": 1, "batch": 100, "device": "cpu"}
    monkeypatch.setattr(benchmark.machine, "resolve", lambda *_, **__: ("cpu", "bf16", "torch"))
    assert {(one.epochs, one.train_images) for one in benchmark.paired(asked)} == {(7, 900)}
    assert {limits.QUANTITIES[name][1] for name in ("two workers / one", "listing 1,000 runs")} == {"≥ 1.8", "≤ 2"}


def test_the_parts_of_a_step_are_the_layers_that_a_profile_names():
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
        network = models.build("CNN3-8-0")
        network[4:](network[:4](torch.rand(2, 1, 28, 28))).sum().backward()
    seen = {row.key for row in profile.key_averages()}
    convolutions = {name for name, part in benchmark.PARTS.items() if part == "second convolution"}
    dense = {name for name, part in benchmark.PARTS.items() if part == "dense layers"}
    assert convolutions <= seen and all("conv" in name for name in convolutions) and dense <= seen
    assert all("mm" in name for name in dense)


# Runs under way


def test_what_is_under_way_is_told_with_what_is_left_and_what_was_interrupted_with_how_long_ago():
    row = {"run": "a", "epoch": 2.0, "epochs": 9, "val_loss": 0.3, "val_accuracy": 0.9, "left": 7200.0, "ago": 600.0}
    assert "interrupted 10 min ago" in listed.told(pd.DataFrame([row | {"alive": False}]), 0)
    assert "about 2 h 00 min left" in listed.told(pd.DataFrame([row | {"alive": True}]), 0)


# The pages' own


def test_the_papers_cross_stands_at_the_papers_value_and_its_words_say_it():
    part = {
        "id": "S1",
        "part": "a",
        "kind": "none",
        "margin": 0.5,
        "unit": "points",
        "mean": 1.0,
        "low": 0.5,
        "high": 1.5,
    }
    part |= {"paper": 3.0, "n": 2, "level": 0.99, "diverged": 0, "seeds needed": np.nan, "verdict": "undecidable"}
    rows = pd.DataFrame([part])
    fig = intervals.judged(plt.figure(figsize=intervals.size(rows)), pd.DataFrame({"a": [0.5, 1.5]}), rows)
    crosses = [line.get_xdata().tolist() for line in fig.axes[0].lines if line.get_marker() == "x"]
    assert [3.0] in crosses and [1.0] not in crosses
    assert r"in the paper \+3\.00" in written.claim_as_markdown(rows)


# The report


def test_the_report_counts_what_is_missing_and_the_seeds_of_its_claims():
    study = SimpleNamespace(missing=[1, 2], every=[1, 2, 3])
    assert cell("report", "trainings are missing", study=study)[0].startswith(
        "**2 of this study's trainings are missing"
    )
    names = {
        "stats": SimpleNamespace(standard_error=lambda *_: 0.2),
        "data": SimpleNamespace(TEST_IMAGES=9),
        "judged": 1,
    }
    over = pd.DataFrame({"run": ["a", "b", "c"]})
    table, _ = cell(
        "report", '"tab-claims"', over=over, frame=over, by_seed=[1, 2], retrained={"accuracy": 92.0},
        claims_as_text=silent, **names,
    )  # fmt: skip
    assert table.values["seeds"] == 2 and table.values["images"] == 9


def test_the_waterfall_counts_the_seeds_of_training_mode_apart():
    drawn, _ = cell(
        "report", '"fig-gap"', sizes=None, lost=[1, 2, 3], by_seed=[1] * 10, tr=str,
        **SEVERAL | {"intervals": SimpleNamespace(waterfall=silent)},
    )  # fmt: skip
    assert (drawn.values["n"], drawn.values["told"]) == (10, 3)


def test_the_readings_say_of_how_many_seeds_the_means_are_and_of_how_many_the_sd():
    weighing = SimpleNamespace(shown=silent)
    table, _ = cell(
        "report", '"tab-weighed"', part=True, scored=None, seeds=3, spread=10, missing=[], tr=str, weighing=weighing
    )
    assert (table.values["n"], table.values["spread"]) == (3, 10)


def test_the_report_counts_folds_seeds_of_the_ladder_and_what_diverged_at_full_size():
    columns = ["model", "accuracy", "low", "high", "sd", "elsewhere", "test", "gap", "gap low", "gap high", "verdict"]
    summary = pd.DataFrame(1.0, range(3), columns).assign(folds=6, images=60_000, seed=11)
    spans = SimpleNamespace(spans=str)
    table, _ = cell("report", '"tab-cross-validation"', part=True, summary=summary, sections=spans)
    assert (table.values["folds"], table.values["images"]) == (6, 60_000)
    each = pd.DataFrame({"seed": [11, 12, 11, 12]})
    made = SimpleNamespace(ladder=silent)
    drawn, _ = cell(
        "report",
        '"fig-ladder"',
        part=True,
        table=each,
        ladder=None,
        beyond=SimpleNamespace(PUBLIC=1),
        **SEVERAL | {"charts": made},
    )
    assert drawn.values["n"] == 2
    lost, kept = SimpleNamespace(diverged=True), SimpleNamespace(diverged=False)
    table, _ = cell(
        "report",
        '"tab-search"',
        part=True,
        few=[lost, lost],
        full=[lost, kept],
        compared=None,
        search=SimpleNamespace(trained_at=silent),
    )
    assert table.values["lost"] == 1


def test_costs_have_an_interval_of_the_images_that_validate_and_a_figure_each():
    asked, spent = [], pd.DataFrame({"teraflop": {"ANN-Juan": 2.0, WINNER: 90.0}})
    tables = SimpleNamespace(cost=recorder(asked), spent=lambda _: spent)
    cell(
        "report", "spent[0]", tables=tables, params={"val_images": 1, "train_images": 2}, retrained={"accuracy": 92.0},
        frame=pd.DataFrame({"role": ["search"], "run": ["x"]}), ann={"accuracy": 89.0},
    )  # fmt: skip
    assert asked[0][1] == 1
    drawn = []
    made = SimpleNamespace(DOUBLE=7, accuracy_against=recorder(drawn))
    for label in ('"fig-cost"', '"fig-parameters"'):
        cell("report", label, cost=[1], searches=None, kind="", tr=str, **SEVERAL | {"figures": made})
    assert [given[2] for given in drawn] == ["teraflop", "millions"]


def test_the_model_that_is_asked_for_is_retrained_and_each_network_is_told_with_its_own_epochs():
    asked, study = [], SimpleNamespace(winners=[WINNER])
    made = SimpleNamespace(collect=lambda *_: study, search=recorder(asked, "recipe"), WINNER=WINNER)
    names = {"sweep": SimpleNamespace(train=silent, where=lambda _: {}), "store": None, "protocol": made}
    cell("retrain", "sweep.train(searches", params={"model": "CNN3-8-0", "seed": [1], "data_dir": ""}, **names)
    assert [given[0] for given in asked] == ["CNN3-8-0", WINNER]
    table = pd.DataFrame({"accuracy": [92.0, 89.0], "epoch": [13, 32]}, [WINNER, "ANN-Juan"])
    told, _ = cell("test_comparison", 'cnn["accuracy"] - ann["accuracy"]', table=table, winners=[WINNER])
    assert "+3.00 points, after 13.0 and 32.0 epochs" in told


def test_both_sets_must_be_even_to_be_told_so():
    counts, images = pd.DataFrame({"train": [6, 6], "test": [1, 2]}), torch.full((2, 1), 255)
    names = {"images": images, "test_images": images[:1]}
    assert "different numbers of each" in cell("sample_images", "counts.nunique()", counts=counts, **names)[0]
    told, _ = cell("sample_images", "counts.nunique()", counts=counts.assign(test=1), **names)
    assert told == "2 training and 1 test images, the same number of each class. The mean pixel is 1.000 of full scale."
