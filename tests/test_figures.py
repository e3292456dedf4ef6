"""The figures say what the data say, read well at print size in both languages, and build anywhere."""

import io
import itertools
import os
import re
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.path import Path
from matplotlib.transforms import Bbox
from torch.nn import functional as F

from fmnist_lib import models
from fmnist_lib.press import charts, diagrams, figures
from fmnist_lib.press.language import speak
from fmnist_lib.study import beyond

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
GRID = [f"CNN{k}-{n}-{p}" for k in (3, 5) for n in (128, 256, 512) for p in (0.1, 0.25)]
MODELS = [*GRID, "CNN-Nahuel", "ANN-Juan-0.25"]
MARKUP = ["$x_1$", "<script>alert(1)</script>", "a_b^$", "#p & \\frac", ""]
RANDOM = np.random.default_rng(0)
IMAGES, LABELS = RANDOM.integers(0, 256, (40, 28, 28), dtype=np.uint8), RANDOM.integers(0, 10, 40)
PREDICTED, CONFIDENCE = np.where(np.arange(40) % 3, LABELS, (LABELS + 1) % 10), RANDOM.random(40)
IMAGE, KERNEL = RANDOM.integers(-3, 10, (7, 6)), RANDOM.integers(-2, 3, (3, 3))


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def axes(width=figures.SINGLE, height=2.6):
    return plt.subplots(figsize=(width, height))[1]


def history(seed=0, epochs=20):
    epoch = np.arange(1, epochs + 1)
    noise = np.random.default_rng(seed).normal(0, 0.01, (2, epochs))
    losses = {
        "train_loss": 0.5 / epoch + 0.02 + noise[0] / 9,
        "val_loss": 0.3 / epoch + 0.01 * epoch + 0.1 + noise[1],
    }
    return pd.DataFrame({"epoch": epoch, **losses, "val_accuracy": 0.9})


def scores(names):
    draw = np.random.default_rng(1)
    ours = 91 + draw.random(len(names))
    columns = {"paper": ours - 0.3, "ours": ours, "accuracy": ours, "low": ours - 0.2, "high": ours + 0.2}
    each = [list(value + draw.normal(0, 0.1, 4)) for value in ours]
    return pd.DataFrame({"model": names, **columns, "each": each, "seconds": 10 + 400 * draw.random(len(names))})


def stages():
    filtered = RANDOM.normal(size=(32, 28, 28))
    active = filtered.clip(0)
    return IMAGES[0], filtered, active, active.reshape(32, 14, 2, 14, 2).max((2, 4))


def live_layers(model):
    """Name each layer of a model of ours and the shape that really comes out of it."""
    out, layers = torch.zeros(2, 1, 28, 28), []
    for layer in models.build(model).eval():
        out = layer(out)
        layers.append((re.sub(r"\(.*", "", str(layer)), tuple(out.shape[1:])))
    return layers


def words(drawn):
    return [text.get_text() for text in drawn.texts if text.get_text()]  # an arrow is an annotation without text


def values(drawn, title):
    """Read back the matrix that a drawing shows under a title: its numbers, row by row, precede the title."""
    texts = words(drawn)
    end = next(i for i, text in enumerate(texts) if text.startswith(title))
    rows, columns = map(int, texts[end].split("\n")[1].split("×"))
    numbers = [float(text.replace("−", "-")) for text in texts[end - rows * columns : end]]
    return np.array(numbers).reshape(rows, columns)


def test_the_convolution_drawn_is_torchs_and_its_sum_adds_up():
    drawn = diagrams.convolution(axes(), IMAGE, KERNEL, at=(2, 1))
    truth = F.conv2d(torch.tensor(IMAGE)[None, None].float(), torch.tensor(KERNEL)[None, None].float())[0, 0].numpy()
    assert np.array_equal(values(drawn, "input"), IMAGE)
    assert np.array_equal(values(drawn, "output"), truth)
    left, right = words(drawn)[-1].replace("−", "-").replace("·", "*").replace("\n", " ").split("=")
    assert float(left) == eval(right) == truth[2, 1]
    assert right.count("*") == KERNEL.size and not re.search(r"[·+] ?−", words(drawn)[-1])  # two signs in a row


def test_the_pooling_drawn_is_torchs():
    matrix = RANDOM.integers(0, 99, (4, 6))
    drawn = diagrams.max_pooling(axes(), matrix)
    assert np.array_equal(values(drawn, "output"), F.max_pool2d(torch.tensor(matrix)[None].float(), 2)[0].numpy())


@pytest.mark.parametrize("model", ["CNN3-512-0.1", "CNN5-128-0.25", "CNN-Nahuel", "ANN-Juan-0.25"])
def test_the_architecture_writes_every_layer_and_the_shapes_of_the_live_model(model):
    layers = live_layers(model)
    texts = words(diagrams.architecture(axes(7, 1.8), layers))
    sizes, names = texts[::2], texts[1::2]
    changes = [shape for shape, _ in itertools.groupby([(1, 28, 28)] + [shape for _, shape in layers])]
    assert sizes == ["×".join(map(str, shape)) for shape in changes]
    assert " ".join(names).split() == ["input", *(name for name, _ in layers)]


def test_the_layer_drawing_writes_the_sizes_of_its_arrays_and_shows_their_pixels():
    image, *arrays = stages()
    drawn = diagrams.conv_layer(axes(7, 3.4), image, *arrays, channels=(4, 9))
    assert {"input\n28×28", "convolution\n32×28×28", "pooling\n32×14×14", "channel 9"} <= set(words(drawn))
    shown = [np.asarray(picture.get_array()) for picture in drawn.images]
    expected = [image] + [array[channel] for array in arrays for channel in (4, 9)]
    assert all(np.array_equal(*pair) for pair in zip(shown, expected, strict=True))


def test_loss_curves_draw_the_history_itself_and_mark_its_best_epoch():
    one, again = history(), history(3, 5)
    lines = figures.loss_curves(axes(), [one], retraining=again).lines
    drawn = [line.get_xydata() for line in lines]
    for frame, column in itertools.product((one, again), ("train_loss", "val_loss")):
        assert any(np.array_equal(data, frame[["epoch", column]]) for data in drawn)
    (star,) = (line for line in lines if line.get_marker() == "*")
    best = one.loc[one["val_loss"].idxmin()]
    assert star.get_xydata().tolist() == [[best["epoch"], best["val_loss"]]]


def test_loss_curves_of_several_seeds_are_their_mean_in_a_band_from_least_to_greatest():
    seeds = [history(seed) for seed in range(4)]
    drawn = figures.loss_curves(axes(), seeds)
    stack = np.array([seed["val_loss"] for seed in seeds])
    assert any(np.allclose(line.get_ydata(), stack.mean(0)) for line in drawn.lines if len(line.get_ydata()) == 20)
    band = drawn.collections[1].get_paths()[0].vertices
    for x, low, high in zip(seeds[0]["epoch"], stack.min(0), stack.max(0), strict=True):
        assert np.allclose([band[band[:, 0] == x, 1].min(), band[band[:, 0] == x, 1].max()], [low, high])
    (star,) = (line for line in drawn.lines if line.get_marker() == "*")
    lowest = stack.mean(0).argmin()
    assert np.allclose(star.get_xydata(), [[lowest + 1, stack.mean(0)[lowest]]])
    assert "4" in drawn.get_legend().get_title().get_text()


def test_a_diverged_history_is_drawn_as_far_as_it_goes():
    broken = history()
    broken.loc[2:, ["train_loss", "val_loss"]] = np.nan
    figures.loss_curves(axes(), [broken]).figure.draw_without_rendering()
    broken[["train_loss", "val_loss"]] = np.nan
    figures.loss_curves(axes(), [broken]).figure.draw_without_rendering()


def test_a_model_has_one_look_that_no_other_has_even_in_grey():
    def grey(model):
        look = figures.look(model)
        tone = round(float(np.dot(to_rgb(look["color"]), (0.299, 0.587, 0.114))), 1)
        return tone, look["marker"], look.get("markerfacecolor") == "white"

    assert len({grey(model) for model in MODELS}) == len(MODELS)
    assert len({figures.colour(model) for model in MODELS}) == 8  # two families of three shades, and the rivals
    assert figures.look("CNN3-512-0.1") == figures.look("CNN3-512-0.10")
    assert [figures.look(name).get("markerfacecolor") for name in GRID[:2]] == [None, "white"]  # hollow is p ≠ 0.1
    assert figures.colour("ANN-Juan") == figures.colour("ANN-Juan-0.25") == figures.COLOURS["ANN-Juan"]
    assert {figures.colour(name) for name in MARKUP} == {figures.NEUTRAL}
    assert figures.colour("CNN7-4096-0.5") and figures.colour("CNN3-0-0.1")


def test_the_mistakes_shown_are_the_most_confident_ones():
    drawn = figures.mistakes(plt.figure(), IMAGES, LABELS, PREDICTED, CONFIDENCE, CLASSES, count=4, columns=2)
    table = pd.DataFrame({"true": LABELS, "said": PREDICTED, "p": CONFIDENCE}).query("true != said")
    for ax, row in zip(drawn.axes, table.sort_values("p", ascending=False).head(4).itertuples(), strict=True):
        assert np.array_equal(ax.images[0].get_array(), IMAGES[row.Index])
        assert ax.get_title() == CLASSES[row.true]
        assert CLASSES[row.said] in ax.get_xlabel()
    perfect = figures.mistakes(plt.figure(), IMAGES, LABELS, LABELS, CONFIDENCE, CLASSES)
    assert not any(ax.images for ax in perfect.axes)


def test_the_confusion_matrix_shows_every_count():
    counts = RANDOM.integers(0, 900, (10, 10))
    drawn = figures.confusion(axes(), counts, CLASSES)
    assert [text.replace("·", "0") for text in words(drawn)] == [str(count) for count in counts.ravel()]
    assert [label.get_text() for label in drawn.get_yticklabels()] == CLASSES


def test_models_stand_beside_the_paper_in_the_order_given_and_a_missing_run_leaves_a_gap():
    frame = scores(MODELS)
    frame.loc[3, ["ours", "low", "high"]] = np.nan
    frame.at[3, "each"] = []
    drawn = figures.against_paper(axes(height=3.6), frame)
    assert [label.get_text() for label in drawn.get_yticklabels()] == MODELS
    assert drawn.lines[-1].get_xdata().tolist() == frame["paper"].tolist()
    bottom, top = drawn.get_ylim()
    assert bottom > top


# Each artist against the frame that it was given


def lines_at(drawn, marker):
    return [line for line in drawn.lines if line.get_marker() == marker and len(line.get_xdata())]


def test_samples_stand_in_their_order_under_their_own_classes():
    drawn = figures.samples(plt.figure(), IMAGES[:5], LABELS[:5], CLASSES, columns=3)
    assert len(drawn.axes) == 6 and not drawn.axes[5].images
    for ax, image, label in zip(drawn.axes, IMAGES, LABELS[:5], strict=False):
        assert np.array_equal(ax.images[0].get_array(), image) and ax.get_title() == CLASSES[label]
        assert ax.images[0].get_clim() == (0, 255)


@pytest.mark.parametrize(("language", "sign"), [("en", "."), ("es", ",")])
def test_a_mistakes_confidence_is_rounded_down_and_written_as_the_language_does(language, sign):
    speak(language)
    sure = np.full(40, 0.5)
    sure[[0, 3]] = 0.99999, 0.98765
    drawn = figures.mistakes(plt.figure(), IMAGES, LABELS, PREDICTED, sure, CLASSES, count=2, columns=2)
    shown = [re.search(r"[\d.,]+(?= %)", ax.get_xlabel())[0] for ax in drawn.axes]
    assert shown == [f"99{sign}99", f"98{sign}76"]


def test_the_filters_shown_are_the_weights_and_the_dashes_mark_the_negative_ones():
    weights = RANDOM.normal(size=(6, 3, 3))
    drawn = figures.filters(axes(7, 3), weights, columns=3)
    mosaic = np.asarray(drawn.images[0].get_array(), float)
    for i, one in enumerate(weights):
        row, column = divmod(i, 3)
        assert np.allclose(mosaic[4 * row : 4 * row + 3, 4 * column : 4 * column + 3], one)
    assert drawn.images[0].get_clim() == pytest.approx((-np.abs(weights).max(), np.abs(weights).max()))
    red, blue = (drawn.images[0].cmap(value) for value in (1.0, 0.0))
    assert red[0] > red[2] and blue[2] > blue[0]  # red is positive, as its alternative text says
    dashes = {(int(y), int(x)) for x, y in drawn.collections[0].get_offsets()}
    assert dashes == set(zip(*np.nonzero(np.nan_to_num(mosaic) < 0), strict=True))


def test_the_tones_of_the_confusion_matrix_are_shares_of_the_true_class():
    counts = RANDOM.integers(0, 900, (10, 10))
    drawn = figures.confusion(axes(), counts, CLASSES)
    tones = np.asarray(drawn.collections[0].get_array()).reshape(10, 10)
    assert np.allclose(tones**2, counts / counts.sum(1, keepdims=True))
    assert [label.get_text() for label in drawn.get_xticklabels()] == CLASSES
    assert (drawn.get_xlabel(), drawn.get_ylabel()) == ("Predicted class", "True class")


def test_the_names_of_loss_curves_lead_to_their_own_lines():
    one, again = history(), history(3, 5)
    drawn = figures.loss_curves(axes(), [one], retraining=again)
    legend = drawn.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "training", "retrained: training", "validation", "retrained: validation"
    ]  # fmt: skip
    expected = {"training": one["train_loss"], "validation": one["val_loss"]}
    expected |= {
        f"retrained: {name}": again[f"{column}_loss"] for name, column in (("training", "train"), ("validation", "val"))
    }
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        same = [line for line in drawn.lines if np.array_equal(line.get_ydata(), expected[text.get_text()])]
        assert len(same) == 1 and same[0].get_linestyle() == handle.get_linestyle()
        assert to_rgb(same[0].get_color()) == to_rgb(handle.get_color())


@pytest.mark.parametrize(("language", "sign"), [("en", "."), ("es", ",")])
def test_the_best_epoch_is_named_with_its_own_loss(language, sign):
    speak(language)
    one = history()
    best = one.loc[one["val_loss"].idxmin()]
    text = words(figures.loss_curves(axes(), [one]))[0]
    assert str(int(best["epoch"])) in text and f"{best['val_loss']:.3f}".replace(".", sign) in text


def test_accuracy_stands_at_its_own_cost_within_its_own_interval_under_its_own_name():
    frame = scores(MODELS).assign(low=lambda f: f["accuracy"] - 0.2, high=lambda f: f["accuracy"] + 0.4)
    drawn = figures.accuracy_against(axes(7, 3), frame, "seconds")
    bars = [line for line in drawn.lines if len(line.get_xdata()) == 2]
    dots = [line for line in drawn.lines if len(line.get_xdata()) == 1]
    named = {text.get_text(): text.xy for text in drawn.texts if text.get_text()}
    for row, bar, dot in zip(frame.itertuples(), bars, dots, strict=True):
        assert bar.get_xydata().tolist() == [[row.seconds, row.low], [row.seconds, row.high]]
        assert dot.get_xydata().tolist() == [[row.seconds, row.accuracy]] == [list(named[row.model])]
        look = figures.look(row.model)
        assert (dot.get_color(), dot.get_marker()) == (look["color"], look["marker"])


CROWD = """CNN3-128-0.1 11.2 92.64, CNN3-128-0.25 21.4 92.93, CNN3-256-0.1 9.2 92.19, CNN3-256-0.25 17.3 92.78,
CNN3-512-0.1 15.6 92.78, CNN3-512-0.25 14.4 92.64, CNN5-128-0.1 18.1 91.46, CNN5-128-0.25 20.9 91.4,
CNN5-256-0.1 18.6 91.21, CNN5-256-0.25 18.6 91.45, CNN5-512-0.1 16.6 91.28, CNN5-512-0.25 22.7 92.03,
CNN-Nahuel 19.2 92.62, ANN-Juan-0.1 2.5 89.91, ANN-Juan-0.25 2.6 89.96"""


def test_the_line_from_a_point_to_its_name_has_the_hue_of_its_model():
    frame = scores(["CNN3-512-0.1", "CNN5-128-0.1", "ANN-Juan"])
    drawn = figures.accuracy_against(axes(7, 3), frame, "seconds")
    hues = {text.xy: to_hex(text.arrow_patch.get_edgecolor()) for text in drawn.texts if text.arrow_patch}
    assert hues == {(row.seconds, row.accuracy): figures.colour(row.model).lower() for row in frame.itertuples()}


@pytest.mark.parametrize("height", [2.6, 3])
def test_in_a_crowd_each_name_stands_near_its_point_and_hides_no_other(height):
    frame = pd.DataFrame([row.split() for row in CROWD.split(",")], columns=["model", "cost", "accuracy"])
    frame = frame.astype({"cost": float, "accuracy": float}).assign(
        low=lambda f: f["accuracy"] - 0.5, high=lambda f: f["accuracy"] + 0.5
    )
    drawn = figures.accuracy_against(axes(7, height), frame, "cost")
    drawn.figure.draw_without_rendering()
    points = drawn.transData.transform(frame[["cost", "accuracy"]])
    boxes = [text.get_window_extent() for text in drawn.texts if text.get_text()]
    ways = [np.array([at, np.clip(at, box.min, box.max)]) for at, box in zip(points, boxes, strict=True)]
    point = drawn.figure.dpi / 72
    far = [np.hypot(*(end - start)) / point for start, end in ways]
    assert max(far) < 40 and np.median(far) < 15, "points, from a point to its name"
    for (i, box), (j, other) in itertools.permutations(enumerate(boxes), 2):
        assert not box.overlaps(other) and not Path(ways[i]).intersects_bbox(other)
        assert not Bbox([points[j]] * 2).padded(3 * point).overlaps(box)
        one = np.hypot(*(points[i] - points[j])) < 9 * point  # to the eye
        assert one or not Path(ways[i]).intersects_bbox(Bbox([points[j]] * 2).padded(2 * point))


def test_no_name_lies_over_the_front_that_is_drawn_first():
    frame = scores(["ANN-Juan", "CNN3-512-0.1"]).assign(accuracy=[90.0, 92.0], seconds=[1.0, 9.0])
    frame = frame.assign(low=frame["accuracy"] - 0.1, high=frame["accuracy"] + 0.1)
    drawn = figures.accuracy_against(charts.front(axes(7, 3), frame, "seconds"), frame, "seconds")
    drawn.figure.draw_without_rendering()
    front = Path(drawn.transData.transform([[1, 90], [9, 90], [9, 92]]))
    boxes = [text.get_window_extent() for text in drawn.texts if text.get_text()]
    assert len(boxes) == 2 and not any(front.intersects_bbox(box, filled=False) for box in boxes)


def test_beside_the_paper_stand_ours_its_interval_and_every_seed_each_in_its_row():
    frame = scores(MODELS).assign(high=lambda f: f["ours"] + 0.4)
    drawn = figures.against_paper(axes(7, 3.6), frame)
    bars = [line for line in drawn.lines if len(line.get_xdata()) == 2]
    dots = [line for line in drawn.lines if len(line.get_xdata()) == 1]
    for y, (row, bar, dot, seeds) in enumerate(zip(frame.itertuples(), bars, dots, drawn.collections, strict=True)):
        assert bar.get_xydata().tolist() == [[row.low, y], [row.high, y]]
        assert dot.get_xydata().tolist() == [[row.ours, y]] and dot.get_color() == figures.colour(row.model)
        assert seeds.get_offsets()[:, 0].tolist() == pytest.approx(row.each)
        assert ((seeds.get_offsets()[:, 1] - y).data < 0.5).all()
    (paper,) = lines_at(drawn, "x")
    assert paper.get_xydata().tolist() == [[row.paper, y] for y, row in enumerate(frame.itertuples())]
    names = dict(
        zip((t.get_text() for t in drawn.get_legend().get_texts()), drawn.get_legend().legend_handles, strict=True)
    )
    assert names["the paper"].get_marker() == "x" and names["ours, 95 % interval"].get_marker() == "o"


def test_of_one_seed_alone_no_dot_repeats_the_mean():
    frame = scores(MODELS).assign(each=lambda f: [[value] for value in f["ours"]])
    drawn = figures.against_paper(axes(7, 3.6), frame)
    assert not drawn.collections
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["ours, 95 % interval", "the paper"]


def named(axis):
    """Return where each name of an axis stands."""
    return dict(zip((text.get_text() for text in axis.get_ticklabels()), axis.get_ticklocs(), strict=True))


def points(line):
    return [tuple(point) for point in line.get_xydata().tolist()]


def test_each_effect_stands_in_its_named_row_with_those_of_its_seeds():
    frame = pd.DataFrame({"axis": list("kkp"), "value": ["3", "5", "0.1"], "effect": [0.5, -0.2, 1.0]})
    frame["each"] = [[0.4, 0.6], [-0.4, 0.0], [0.9, 1.1]]
    drawn = charts.effects(axes(), frame)
    rows, dots = named(drawn.yaxis), lines_at(drawn, "o")
    for row, seeds, mean in zip(frame.itertuples(), dots[::2], dots[1::2], strict=True):
        y = rows[f"{row.axis} = {row.value}"]
        assert points(mean) == [(row.effect, y)] and points(seeds) == [(x, y) for x in row.each]
    (between,) = (line for line in drawn.lines if len(set(line.get_ydata())) == 1 and line.get_ydata()[0] % 1)
    assert rows["k = 5"] < between.get_ydata()[0] < rows["p = 0.1"]


def test_each_share_of_the_variance_is_the_bar_beside_its_name():
    frame = pd.DataFrame({"term": ["k", "seed", "k, n", "Residual"], "share": [50.0, 30.0, 15.0, 5.0]})
    drawn = charts.importance(axes(), frame, count=2)
    widths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in drawn.patches}
    shown = {name: widths[y] for name, y in named(drawn.yaxis).items()}
    assert shown == {"k": 50, "seed": 30, "three and more, and chance": 5}
    hues = [to_hex(bar.get_facecolor()) for bar in drawn.patches]
    assert hues == [figures.INK, figures.INK, figures.FAINT]  # what nothing explains is the faint one


def test_each_strategy_is_the_line_of_its_name_from_what_is_paid_to_what_is_missed():
    curves = pd.DataFrame({"grid": [3.0, 1.0], "hierarchy": [2.0, np.nan]}, index=[0.1, 1.0])
    drawn = charts.regret(axes(), curves)
    lines = {line.get_label(): points(line) for line in drawn.lines if line.get_marker() == "None"}
    assert [y for line, some in lines.items() if line.startswith("_") for _, y in some] == [0, 0]  # the whole grid's
    assert {name: line for name, line in lines.items() if name[0] != "_"} == {
        "grid": [(10, 3), (100, 1)],
        "hierarchy": [(10, 2)],
    }
    assert [points(dot) for dot in lines_at(drawn, "o")] == [[(100, 1)], [(10, 2)]]


def test_each_step_of_a_ladder_has_its_seeds_and_their_mean_above_its_name():
    frame = pd.DataFrame({"step": ["paper", "flips"], "accuracy": [81.0, 83.0], "each": [[80.0, 82.0], [82.5, 83.5]]})
    drawn = charts.ladder(axes(), frame.assign(validation=[91.0, 92.0]), 93.4)
    columns = [named(drawn.xaxis)[step] for step in frame["step"]]
    assert [points(dots) for dots in lines_at(drawn, "o")] == [
        [(x, value) for value in each] for x, each in zip(columns, frame["each"], strict=True)
    ]
    assert points(lines_at(drawn, "_")[0]) == list(zip(columns, frame["accuracy"], strict=True))
    handles, names = drawn.get_legend_handles_labels()
    assert names == ["each seed", "mean", "published, without augmentation"]
    assert [len(set(handle.get_ydata())) for handle in handles[1:]] == [2, 1] and handles[2].get_ydata()[0] == 93.4


def test_each_patience_stands_at_what_it_saves_and_loses():
    curve = pd.DataFrame({"patience": [3, 4], "saved": [50.0, 40.0], "lost": [1.0, 0.5], "worst": [2.0, 1.5]})
    drawn = charts.patience(axes(), curve)
    lines = {line.get_label(): points(line) for line in lines_at(drawn, "o")}
    assert lines == {"mean": [(50, 1), (40, 0.5)], "the training that loses most": [(50, 2), (40, 1.5)]}
    assert {text.get_text(): text.xy for text in drawn.texts} == {"3": (50, 1)}


def test_each_fold_is_marked_as_its_legend_says_above_its_models_name():
    frame = pd.DataFrame({"model": ["CNN-Nahuel"] * 2 + ["CNN3-512-0.1"] * 2, "accuracy": [90.0, 80.0, 70.0, 75.0]})
    drawn = charts.folds(axes(), frame.assign(test=frame["accuracy"] - 1))
    legend, columns = drawn.get_legend(), named(drawn.xaxis)
    marks = dict(zip((t.get_text() for t in legend.get_texts()), legend.legend_handles, strict=True))
    crosses = lines_at(drawn, "x")
    assert marks["on test"].get_marker() == "x" and marks["on its own fold"].get_marker() == "o"
    for line, cross, (model, some) in zip(
        (line for line in drawn.lines if line.get_marker() != "x" and len(line.get_xdata())),
        crosses,
        frame.groupby("model", sort=False),
        strict=True,
    ):
        assert line.get_ydata().tolist() == list(some["accuracy"])
        assert cross.get_ydata().tolist() == list(some["accuracy"] - 1)
        assert line.get_xdata().mean() == cross.get_xdata().mean() == pytest.approx(columns[model])


def test_the_front_keeps_its_accuracy_until_the_next_system_is_paid_for():
    (line,) = charts.front(axes(), pd.DataFrame({"cost": [1.0, 5.0], "accuracy": [90.0, 92.0]}), "cost").lines
    assert line.get_drawstyle() == "steps-post" and points(line) == [(1, 90), (5, 92)]


@pytest.mark.parametrize(("language", "sign"), [("en", "."), ("es", ",")])
def test_every_axis_of_numbers_writes_them_as_its_language_does(language, sign):
    speak(language)
    figure = plt.figure(figsize=(14, 6))
    one, two, three, four = figure.subplots(2, 2).ravel()
    figures.loss_curves(one, [history()])
    near = scores(MODELS[:3])
    near[["paper", "ours", "accuracy", "low", "high"]] = [[91.02, 91.05, 91.05, 91.01, 91.09]] * 3
    figures.accuracy_against(two, near, "seconds")
    figures.against_paper(three, near.drop(columns="each"))
    figures.filters(four, RANDOM.uniform(-0.9, 0.9, (8, 3, 3)))
    figure.draw_without_rendering()
    shown = [one.yaxis, two.yaxis, three.xaxis, figure.axes[-1].yaxis]
    texts = [[label.get_text() for label in axis.get_ticklabels()] for axis in shown]
    assert all(any(sign in text for text in some) for some in texts)
    assert not any({".": ",", ",": "."}[sign] in text for some in texts for text in some), texts


def rectangles(drawn, linewidth=1.5):
    return {patch.get_bbox().bounds for patch in drawn.patches if patch.get_linewidth() == linewidth}


def test_the_convolution_frames_the_window_that_it_works_out():
    drawn = diagrams.convolution(axes(), IMAGE, KERNEL, at=(2, 1))
    assert np.array_equal(values(drawn, "kernel"), KERNEL)
    assert (1, 2, 3, 3) in rectangles(drawn)  # columns 1–3, rows 2–4 of the input
    tinted = {p.get_bbox().bounds[:2] for p in drawn.patches if p.get_facecolor()[:3] == to_rgb(diagrams.ORANGE)}
    assert tinted == {(x, y) for x in (1, 2, 3) for y in (2, 3, 4)}


def test_the_pooling_shows_the_matrix_that_it_was_given_and_tints_a_block_as_its_maximum():
    matrix = RANDOM.integers(0, 99, (4, 4))
    drawn = diagrams.max_pooling(axes(), matrix)
    assert np.array_equal(values(drawn, "input"), matrix)
    faces = [p.get_facecolor() for p in drawn.patches if p.get_linewidth() == 0.6]
    inputs, outputs = np.array(faces[:16]).reshape(4, 4, 4), np.array(faces[16:]).reshape(2, 2, 4)
    assert np.array_equal(inputs, outputs.repeat(2, 0).repeat(2, 1)) and len({tuple(f) for f in faces}) == 4


def test_each_stage_of_a_layer_stands_right_of_the_one_before_and_blue_is_negative():
    image, *arrays = [array * scale for scale, array in enumerate(stages(), 1)]
    drawn = diagrams.conv_layer(axes(7, 3.4), image, *arrays, channels=(4, 9))
    left = [picture.get_extent()[0] for picture in drawn.images]
    assert left[0] < left[1] == left[2] < left[3] == left[4] < left[5]
    assert all(drawn.images[i].get_extent()[2] < drawn.images[i + 1].get_extent()[2] for i in (1, 3, 5))
    for picture, array in zip(drawn.images[1::2], arrays, strict=True):
        assert picture.get_clim() == pytest.approx((-np.abs(array).max(), np.abs(array).max()))
        assert picture.cmap(0.0)[2] > picture.cmap(0.0)[0]


def test_arrows_point_from_what_enters_to_what_comes_of_it():
    layer = diagrams.conv_layer(axes(7, 3.4), *stages())
    network = diagrams.architecture(axes(7, 1.8), live_layers("CNN3-512-0.1"))
    for drawn in (layer, network, diagrams.max_pooling(axes(), IMAGE[:4, :4])):
        ways = [(text.xyann[0], text.xy[0]) for text in drawn.texts if getattr(text, "arrow_patch", None)]
        assert ways and all(start < end for start, end in ways)


def every_figure(language):
    """Draw each figure as the report does, at its size in print."""
    speak(language)
    yield diagrams.convolution(axes(height=2.5), IMAGE, KERNEL).figure
    yield diagrams.max_pooling(axes(height=1.7), IMAGE[:4, :4]).figure
    yield diagrams.conv_layer(axes(7, 3.4), *stages()).figure
    yield diagrams.architecture(axes(7, 1.8), live_layers("CNN-Nahuel")).figure
    yield figures.samples(plt.figure(figsize=(7, 2.3)), IMAGES[:16], LABELS[:16], CLASSES)
    data = (IMAGES, LABELS, PREDICTED, CONFIDENCE, CLASSES)
    yield figures.mistakes(plt.figure(figsize=(7, 3.3)), *data)
    yield figures.filters(axes(7, 3), RANDOM.normal(size=(32, 3, 3))).figure
    yield figures.confusion(axes(height=3.4), RANDOM.integers(0, 999, (10, 10)), CLASSES).figure
    yield figures.loss_curves(axes(), [history()], retraining=history(3, 9)).figure
    yield figures.loss_curves(axes(), [history(), history(1)], retraining=history(3, 9)).figure
    yield figures.accuracy_against(axes(7, 3), scores(MODELS), "seconds").figure
    yield figures.accuracy_against(axes(), scores(MODELS[-3:]), "seconds").figure
    yield figures.against_paper(axes(height=3.4), scores(MODELS)).figure
    steps = [beyond.BASE, beyond.ENDED, *beyond.WORDS.values()]
    yield charts.ladder(
        axes(7, 2.8), pd.DataFrame({"step": steps, "accuracy": 92.0, "each": [[91.0]] * 7}), 93.4
    ).figure


@pytest.fixture
def drawn_texts(monkeypatch):
    """Collect every text that is really drawn: matplotlib also keeps ticks that lie beyond the axes."""
    texts, draw = {}, plt.Text.draw
    monkeypatch.setattr(plt.Text, "draw", lambda text, renderer: (texts.setdefault(text), draw(text, renderer)))
    return texts


@pytest.mark.parametrize("language", ["en", "es"])
def test_at_print_size_no_text_is_clipped_or_tiny_or_over_another(language, drawn_texts):
    for figure in every_figure(language):
        drawn_texts.clear()
        figure.draw_without_rendering()
        texts = [text for text in drawn_texts if text.get_visible() and text.get_text().strip()]
        assert min(text.get_size() for text in texts) >= 7
        boxes = [(text, text.get_window_extent().padded(-1)) for text in texts]
        for text, box in boxes:
            assert Bbox.union([box, figure.bbox]).bounds == figure.bbox.bounds, text
        level = [(text, box) for text, box in boxes if text.get_rotation() % 90 == 0]
        assert not [(a, b) for (a, over), (b, under) in itertools.combinations(level, 2) if over.overlaps(under)]


def test_markup_in_a_name_is_drawn_as_text():
    figure = plt.figure(figsize=(7, 6))
    left, middle, right = figure.subplots(1, 3)
    figures.against_paper(left, scores(MARKUP))
    figures.accuracy_against(middle, scores(MARKUP), "seconds", label=MARKUP[0])
    diagrams.architecture(right, [(name, (10,)) for name in MARKUP])
    svg = io.StringIO()
    figure.savefig(svg, format="svg")
    assert "<script" not in svg.getvalue()
    assert not any(text.get_parse_math() for text in figure.findobj(plt.Text))


def test_two_builds_of_a_figure_are_the_same_bytes():
    def build():
        svg = io.BytesIO()
        diagrams.conv_layer(axes(7, 3.4), *stages_once).figure.savefig(svg, format="svg", metadata={"Date": None})
        return svg.getvalue()

    stages_once = stages()
    assert build() == build()


def test_figures_need_no_torch_no_display_and_no_english_locale(tmp_path):
    code = """
import sys, pandas as pd, matplotlib.pyplot as plt
from fmnist_lib.press import diagrams, figures, language
figures.use_style()
losses = {"epoch": [1, 2], "train_loss": [.4, .2], "val_loss": [.5, .3], "val_accuracy": [.9, .9]}
for name in "en", "es":
    language.speak(name)
    ax = figures.loss_curves(plt.subplots()[1], [pd.DataFrame(losses)])
    ax.figure.savefig("loss.png")
    print([label.get_text() for label in ax.get_yticklabels()][1])
assert "torch" not in sys.modules
"""
    bare = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    env = bare | {"LC_ALL": "es_AR.UTF-8"}
    run = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.split() == ["0.1", "0,1"], run.stderr
