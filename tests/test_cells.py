"""The cells of the notebooks: what each shows, from trainings that are made up, is what a hand computes of them."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import seaborn as sns
from statsmodels.stats.proportion import proportion_confint
from test_claims import ANN, GRID, JUDGED, NAHUEL, SECONDS, WINNER, by_hand, made_up
from test_claims import retrained as retrained_as_long
from test_readings import DEFAULT
from test_readings import found as made_up_readings
from test_sections import shown
from test_tables_stats import images_of, scored, trained

from fmnist_lib import ROOT, data
from fmnist_lib.commands import runs as commands
from fmnist_lib.press import display, figures
from fmnist_lib.press.display import Figure
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.files import write_file
from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers, conduct, mode, paper, protocol, ranks, results, stats, tables, tradeoff, weighing
from fmnist_lib.workers import sweep


class Shown:
    """A figure or table as a cell gives it."""

    def __init__(self, given, label, *_, **values):
        self.given, self.label, self.values = given, label, values


def cell_of(notebook, words):
    """Return the one cell that has these words."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells
    (cell,) = (cell for cell in cells if cell.cell_type == "code" and words in cell.source)
    return cell


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a notebook's cells, the last of them before the one that has some words; return what each shows."""
    for name in ("Figure", "Table"):
        monkeypatch.setattr(display, name, Shown)
    monkeypatch.setattr(display, "say", lambda message, **values: message.format(**values))
    monkeypatch.setattr(protocol, "STAMP", "")
    monkeypatch.setattr(protocol, "stamped", lambda _: {})

    def run(notebook, before=None, **changes):
        names, outputs = {}, {}
        for cell in nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells:
            if before and before in cell.source:
                break
            if cell.cell_type == "code":
                output = shown(cell, names)
                outputs[getattr(output, "label", cell.id)] = getattr(output, "given", output)
            if "parameters" in cell.metadata.get("tags", ()):
                given = {"device": "cpu", "precision": "fp32", "runs_dir": str(tmp_path)} | changes
                names |= {name: value for name, value in given.items() if name in names}
        return outputs

    with matplotlib.rc_context():
        yield run
    plt.close("all")


def text_of(outputs):
    return "\n".join(output for output in outputs.values() if isinstance(output, str))


def lines(drawn):
    return [line.get_xydata().tolist() for ax in drawn.axes for line in ax.lines]


# Over seeds


@pytest.fixture
def seeds(monkeypatch):
    """Let the studies of ten seeds be this frame."""
    frame = retrained_as_long(made_up(spread=1.0))
    frame[["torch", "capability", "variables"]], frame["test_loss"] = "x", 1.0
    monkeypatch.setattr(conduct, "conduct", lambda *_: SimpleNamespace(every=[], retrained=[]))
    monkeypatch.setattr(results, "frame", lambda *_: frame)
    monkeypatch.setattr(results, "seconds_an_epoch", lambda: SECONDS)
    return frame


def mean(frame, column, model, role="search"):
    return frame.loc[(frame["model"] == model) & (frame["role"] == role), column].mean()


def test_the_claims_are_drawn_from_their_own_effects_and_the_trade_is_beside_ann_juan(run, seeds, monkeypatch):
    asked = []
    monkeypatch.setattr(mode, "cost", lambda _, model, *__: asked.append(model) or pd.Series([0.1, 0.2]))
    cost = pd.DataFrame(1.0, index=[*GRID, NAHUEL, ANN], columns=["millions", "teraflop"])
    monkeypatch.setattr(tables, "spent", lambda _: cost)
    monkeypatch.setattr(tradeoff, "systems", lambda *_: pd.DataFrame({"model": [WINNER], "seconds": [1.0]}))
    outputs = run("claims", before="tab-claims")
    by_claim = [effect for seed in JUDGED for effect in by_hand(seeds, seed)]
    for claim in dict.fromkeys(name for name, _ in by_claim):
        dots = [
            x for ax in outputs[f"fig-{claim.lower()}"].axes for drawn in ax.collections for x, _ in drawn.get_offsets()
        ]
        assert sorted(dots) == pytest.approx(sorted(value for name, value in by_claim if name == claim)), claim
    assert asked == [WINNER]
    size = outputs["tab-size"].set_index("model")["accuracy"]
    assert size[[WINNER, NAHUEL]].tolist() == pytest.approx(
        [mean(seeds, "best_val_accuracy", model) for model in (WINNER, NAHUEL)]
    )
    gained = [np.mean([value for name, value in by_claim if name == "S8"][i::2]) for i in (0, 1)]
    assert outputs["tab-trade"]["test accuracy [points]"].tolist() == pytest.approx(gained)


def test_the_effects_are_of_the_accuracy_the_tables_of_their_own_runs_and_the_p_value_of_100_cases(
    run, seeds, monkeypatch
):
    monkeypatch.setattr(ranks, "agreement", lambda *_: (0.5, np.array([0.4, 0.6]), 0.03))
    outputs = run("certainty", before="luck.answered")
    apart = [value for seed in JUDGED for name, value in by_hand(seeds, seed) if name == "P1"]
    found = outputs["tab-effects"].set_index("effect")["estimate"]
    assert found["k: 3 − 5"] == pytest.approx(np.mean(apart))
    said = outputs["tab-validation"].loc[WINNER, ("Accuracy [%]", "mean")]
    assert said == f"{mean(seeds, 'best_val_accuracy', WINNER):.2f}"
    assert "so low a tau would come in 3 of 100 cases" in text_of(outputs)


def test_over_seeds_ranks_are_of_the_accuracy_and_each_figure_and_sentence_of_its_own_scores(run, seeds, monkeypatch):
    asked, ranked = [], ranks.ranks
    monkeypatch.setattr(ranks, "ranks", lambda scores: asked.append(scores) or ranked(scores))
    agreed = 0.5, np.array([0.4, 0.6]), 0.03
    monkeypatch.setattr(ranks, "agreement", lambda scores, _: asked.append(scores) or agreed)
    outputs = run("certainty", before="luck.answered")
    searched = seeds[seeds["role"] == "search"]
    accuracy = searched.pivot(index="seed", columns="model", values="best_val_accuracy")[GRID]
    assert [scores[GRID].to_numpy().tolist() for scores in asked] == [accuracy.to_numpy().tolist()] * 2
    loss = np.mean([value for seed in JUDGED for name, value in by_hand(seeds, seed) if name == "P2"])
    assert f"makes {loss:+.4f} nats" in text_of(outputs)
    for figure, papers in (("validation", paper.TABLE_1), ("test", paper.TABLE_2)):
        crosses = [[accuracy, row] for row, (_, _, accuracy) in enumerate(papers.values())]
        assert crosses in lines(outputs[f"fig-seeds-{figure}"])


def test_the_likeliest_reading_is_told_with_the_seeds_that_were_asked_for(run, monkeypatch):
    monkeypatch.setattr(weighing, "recipes", lambda *_: [])
    made = made_up_readings(default=DEFAULT, training_mode={WINNER: [0.1, 0.0, 0.2]})
    monkeypatch.setattr(weighing, "conduct", lambda *_: made)
    outputs = run("readings", reading=["training_mode"], seed=[11, 12, 13])
    own = weighing.score(weighing.weigh(made)).loc["training_mode", "better"]
    assert f"over the default is {own:+.1f} (n = 3 seeds)" in text_of(outputs)


# Of one seed

ACCURACY = {"CNN3-128-0.1": 0.90, "CNN3-128-0.25": 0.92, WINNER: 0.91, NAHUEL: 0.89, "ANN-Juan-0.1": 0.88}
LOSS = {"CNN3-128-0.1": 0.20, "CNN3-128-0.25": 0.24, WINNER: 0.25, NAHUEL: 0.3, "ANN-Juan-0.1": 0.4}
FEW = {"k": [3], "n": [128], "p": [0.1, 0.25], "ann_p": [0.1], "epochs": 3, "val_images": 5000}


def losses_of(model, again=False):
    """Make up a curve that is lowest at its second epoch, and a little higher when trained again."""
    return [LOSS[model] * factor + 0.01 * again for factor in (2, 1, 1.5)]


@pytest.fixture
def trainings(monkeypatch, tmp_path):
    def train(recipes, *_, **__):
        runs = []
        for recipe in recipes:
            losses = losses_of(recipe.model, recipe.keep == "last")[: recipe.epochs]
            accuracies = [0.5, ACCURACY[recipe.model], 0.4][: recipe.epochs]
            runs.append(trained(tmp_path, losses=losses, accuracies=accuracies, **vars(recipe)))
        return runs

    monkeypatch.setattr(sweep, "train", train)


def test_a_sweep_has_wilsons_interval_of_its_validation_images_and_the_most_accurate_as_its_winner(run, trainings):
    outputs = run("sweep", **FEW)
    bars = [[x for x, _ in line] for line in lines(outputs["fig-sweep"]) if len(line) == 2 and line[0][1] == line[1][1]]
    expected = [proportion_confint(5000 * ACCURACY[f"CNN3-128-{p}"], 5000, method="wilson") for p in (0.1, 0.25)]
    assert np.sort(bars, axis=0) == pytest.approx(100 * np.array(expected))
    assert "the winner is **CNN3-128-0.25**: 92.00 % on validation, at epoch 2" in text_of(outputs)


def test_the_file_of_a_sweep_has_a_row_a_run_with_its_model_and_its_own_scores(run, trainings, tmp_path):
    run("sweep", out=str(tmp_path / "out"), seed=[0, 1], **FEW)
    written = pd.read_csv(tmp_path / "out" / "table1.csv")
    models = ["CNN3-128-0.1", "CNN3-128-0.25"]
    assert sorted(written["model"]) == sorted(2 * models) and written["run"].nunique() == 4
    for model in models:
        assert written.loc[written["model"] == model, "accuracy"].tolist() == pytest.approx(2 * [100 * ACCURACY[model]])


def test_over_the_curves_of_a_search_lie_those_of_its_retraining(run, trainings):
    run("sweep", **FEW)  # so that another model wins, which is retrained and drawn nowhere
    drawn = lines(run("retrain", **FEW)["fig-loss"])
    for losses in (losses_of(WINNER), losses_of(WINNER, again=True)[:2]):
        assert [[i, loss] for i, loss in enumerate(losses, 1)] in drawn


@pytest.fixture
def tested(monkeypatch):
    """Make up what retrained networks say of the test images; list those that are asked."""
    asked = []

    def on_test(done, *_):
        asked.append((done.recipe.model, done.recipe.epochs))
        images = images_of(ACCURACY[done.recipe.model] - 0.01)
        done.attach(record.TEST, contents.pack_answers(images))
        return images

    monkeypatch.setattr(answers, "on_test", on_test)
    return asked


def test_the_rivals_are_compared_without_the_winner_and_the_winner_with_ann_juan(run, trainings, tested):
    outputs = run("test_comparison", **FEW)
    assert outputs["tab-rivals"]["accuracy"].to_dict() == pytest.approx({NAHUEL: 89.0, "ANN-Juan-0.1": 88.0})
    assert "right in 90.00 % of the images and ANN-Juan in 87.00 %: a difference of +3.00 points" in text_of(outputs)


def test_the_better_ann_alone_is_retrained_to_its_best_epoch_and_meets_all_test_images(
    run, trainings, tested, monkeypatch, tmp_path
):
    monkeypatch.setitem(ACCURACY, "ANN-Juan-0.25", 0.87)
    monkeypatch.setitem(LOSS, "ANN-Juan-0.25", 0.5)
    drawn = lines(run("test_comparison", out=str(tmp_path / "out"), **FEW | {"ann_p": [0.1, 0.25]})["fig-test"])
    written = pd.read_csv(tmp_path / "out" / "table2.csv").set_index("model")["accuracy"].to_dict()
    assert written == pytest.approx({WINNER: 90.0, NAHUEL: 88.0, "ANN-Juan": 87.0})
    assert sorted(tested) == sorted((model, 2) for model in (WINNER, NAHUEL, "ANN-Juan-0.1"))
    bars = [[x for x, _ in line] for line in drawn if len(line) == 2 and line[0][1] == line[1][1]]
    expected = [proportion_confint(10_000 * (ACCURACY[m] - 0.01), 10_000, method="wilson") for m, _ in tested]
    assert np.sort(bars, axis=0) == pytest.approx(100 * np.sort(expected, axis=0))


def test_the_seconds_of_an_epoch_are_the_median_of_all_clocks_of_a_training_that_validates():
    asked = []
    clocks = SimpleNamespace(
        epoch_seconds=None, at_once=lambda _, __, one, ___: asked.append(one) or [[1.0, 9.0], [2.0]]
    )
    names = {"replace": replace, "paper": paper, "np": np, "pd": pd, "Table": Shown, "pools": [], "folder": ""}
    given = {"fastest": Recipe(WINNER), "params": {"val_images": 5000}, "benchmark": clocks}
    table = shown(cell_of("benchmark", "tab-seconds"), names | given).given
    assert table["seconds"].tolist() == [2.0] * len(paper.COMPARED) and table["n"].tolist() == [3] * len(paper.COMPARED)
    assert [(one.model, one.val_images) for one in asked] == [(model, 5000) for model in paper.COMPARED]


def test_a_difference_of_precisions_is_bf16_minus_fp32_of_one_seed(tmp_path):
    each = [(0, "fp32", 0.90), (1, "fp32", 0.92), (0, "bf16", 0.91), (1, "bf16", 0.88)]
    runs = [scored(tmp_path, WINNER, seed, accuracy=value, precision=precision) for seed, precision, value in each]
    names = {
        "sweep": SimpleNamespace(train=lambda *_, **__: runs, where=lambda _: {}),
        "pools": [],
        "paired": [],
        "Store": Store,
        "pd": pd,
    }
    names |= {"params": {"runs_dir": str(tmp_path), "data_dir": "", "cluster": ""}, "measured": {}, "Table": Shown}
    table = shown(cell_of("benchmark", "tab-equivalence"), names).given
    assert table["difference"].tolist() == pytest.approx([1.0, -4.0]) and table["seed"].tolist() == [0, 1]
    assert names["measured"]["accuracy in bf16 − in fp32"] == table["difference"].tolist()


def test_the_parts_of_a_step_are_shares_of_its_time_in_one_process_beside_their_own_products_at_the_peak():
    shares = SimpleNamespace(step_parts=None, at_once=lambda *_: [{"first layer": 0.25}, {"first layer": 0.5}])
    measured = {"bf16 engine": [4000.0], "bf16 product peak": [200.0]}  # of both processes
    names = {"benchmark": shares, "measured": measured, "pools": [1, 2], "params": {"batch": 100}, "folder": ""}
    names |= {"fastest": Recipe(WINNER, kernels="numba"), "small": Recipe(WINNER), "best": "bf16", "replace": replace}
    shown(cell_of("benchmark", "step_parts"), names | {"np": np, "operations": [1e6, 4e6, 2e6, 1e6]})
    assert measured["a step: first layer"] == pytest.approx([12.5, 25.0])  # of 100 images at 2,000 a second
    assert measured["a step: its products at the peak"] == pytest.approx([4.0])  # 400 MFLOP at 100 GFLOP/s
    assert measured["a step: their products at the peak"] == pytest.approx([3.0])


def test_the_growth_of_memory_is_from_the_second_run_to_the_last():
    found = SimpleNamespace(result=lambda: [10.0, 50.0, 60.0, 75.0])
    pools, measured = [SimpleNamespace(submit=lambda *_: found)], {}
    names = {"benchmark": SimpleNamespace(start=lambda _: pools, memory=None), "measured": measured, "hardware": "cpu"}
    names |= {"params": {"batch": 10, "train_images": 100}, "fastest": Recipe(WINNER, batch=10), "folder": ""}
    shown(
        cell_of("benchmark", "benchmark.memory"),
        names | {"replace": replace, "Path": Path, "TemporaryDirectory": TemporaryDirectory},
    )
    assert measured["memory after 20 runs / after 2"] == [1.5]
    assert measured["memory of a process after 20 runs"] == [75.0]


def test_the_precisions_are_told_to_differ_by_students_interval_of_90_per_cent():
    differences = [0.1, -0.2, 0.3, 0.05]
    rows = [
        ("fp32 engine / tutorial loop", 2.0),
        ("bf16 engine / tutorial loop", 7.0),
        ("bf16 engine / product peak", 60),
    ]
    table = pd.DataFrame(rows, columns=["quantity", "value"]).assign(n=1, met="yes")
    names = {"table": table, "measured": {"accuracy in bf16 − in fp32": differences}, "stats": stats, "best": "bf16"}
    told = shown(cell_of("benchmark", "90 % interval"), names | {"half": 4, "hardware": "cpu", "say": str.format})
    low, high = scipy.stats.t.interval(0.9, 3, np.mean(differences), scipy.stats.sem(differences))
    assert f"differ by {low:+.2f} to {high:+.2f} points of accuracy (4 pairs" in told
    assert "trains 7.0 times as many images a second in bf16" in told and "and 2.0 times as many in fp32" in told


def test_each_file_of_a_benchmark_holds_its_own_numbers_and_each_panel_its_own_quantity(tmp_path):
    pairs = pd.DataFrame({"model": ["M"], "seed": [0], "fp32": [90.0], "bf16": [91.0], "difference": [1.0]})
    measured = {
        "fp32 engine": [100.0, 110.0],
        "twice the epochs": [2.5],
        "twice the seeds": [1.9],
        "device memory": [7],
    }
    names = {"measured": measured, "pairs": pairs, "figures": figures, "plt": plt, "pd": pd, "sns": sns}
    drawn = []
    names |= {"Figure": lambda fig, *_, **__: drawn.append(fig) or SimpleNamespace(data={"image/svg+xml": "drawing"})}
    shown(cell_of("benchmark", "sns.stripplot"), names)
    panels = {
        ax.get_xlabel(): sorted(x for dots in ax.collections for x, _ in dots.get_offsets()) for ax in drawn[0].axes
    }
    assert panels == {
        "training [images/s]": [100, 110],
        "time for twice as much [×]": [1.9, 2.5],
        "bf16 − fp32, accuracy [points]": [1],
    }
    names |= {"params": {"out": str(tmp_path)}, "Path": Path, "write_file": write_file}
    names |= {"table": pd.DataFrame({"value": [4.0]}), "seconds": pd.DataFrame({"seconds": [3.0]})}
    computer = {"card": None, "processor": "P", "cores": 2, "memory": "8 GB", "torch": "2.11"}
    shown(cell_of("benchmark", 'target / "seconds.csv"'), names | {"computer": computer})
    written = {path.stem: pd.read_csv(path).to_dict("list") for path in tmp_path.glob("*.csv")}
    assert written["seconds"] == {"seconds": [3.0]} and written["equivalence"] == pairs.to_dict("list")
    assert written["benchmark"] == {"value": [4.0], "machine": ["P, 2 cores, 8 GB, torch 2.11"]}
    assert (tmp_path / "benchmark.svg").read_text() == "drawing"


# What is here


def test_the_notebook_of_progress_watches_and_lists_the_folder_that_it_is_told(run, tmp_path, monkeypatch, capsys):
    scored(tmp_path / "own", WINNER)
    monkeypatch.setattr(commands, "watch", lambda place: [f"watched: {place}"])
    outputs = run("progress", runs_dir=str(tmp_path / "own"))
    (table,) = (output for output in outputs.values() if isinstance(output, pd.DataFrame))
    assert table["run"].tolist() == [path.name for path in (tmp_path / "own").iterdir() if path.name.startswith(WINNER)]
    assert f"watched: {tmp_path / 'own'}" in capsys.readouterr().out


# The data


def test_each_sample_stands_under_the_name_of_its_own_label_and_each_set_has_its_own_count(run, data_dir):
    outputs = run("sample_images", data_dir=str(data_dir), samples=8)
    images, labels = data.load("train", data_dir=data_dir)
    shown_images = [(ax.images[0].get_array(), ax.get_title()) for ax in outputs["fig-samples"].axes]
    for image, name in shown_images:
        (index,) = np.flatnonzero((images[:, 0].numpy() == np.asarray(image)).all((1, 2)))
        assert data.CLASSES[labels[index]] == name
    assert len(shown_images) == 8 and outputs["tab-classes"].values.tolist() == [[6000, 1000]] * 10


def test_as_many_samples_as_may_be_asked_for_are_kept_as_a_drawing(data_dir):
    images, labels = data.load("train", data_dir=data_dir)
    figures.use_style()
    fig = plt.figure(figsize=(figures.DOUBLE, 15))
    figures.samples(fig, images[:100, 0].numpy(), labels[:100].numpy(), data.CLASSES)
    assert "image/svg+xml" in Figure(fig, "fig-samples", "Images.", "Images.").data


def test_the_samples_are_those_of_their_seed_and_named_in_their_alternative_text(run, data_dir, monkeypatch):
    asked = []
    monkeypatch.setattr(display, "Figure", lambda *given, **values: asked.append(values) or Shown(*given))
    outputs = run("sample_images", data_dir=str(data_dir), samples=8, samples_seed=3)
    images, labels = data.load("train", data_dir=data_dir)
    chosen = np.random.default_rng(3).choice(60_000, 8, replace=False)
    drawn = [np.asarray(ax.images[0].get_array()) for ax in outputs["fig-samples"].axes]
    assert (np.array(drawn) == images[chosen, 0].numpy()).all()
    assert (asked[0]["seed"], asked[0]["names"]) == (3, ", ".join(data.CLASSES[label] for label in labels[chosen]))
    assert f"The mean pixel is {images.double().mean() / 255:.3f} of full scale" in text_of(outputs)
