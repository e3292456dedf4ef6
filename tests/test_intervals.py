"""The figures of many seeds show every seed, the margin of the rule, and sizes that add up, in both languages."""

import math
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_claims import SECONDS, made_up

from fmnist_lib.press import figures, intervals
from fmnist_lib.press.language import LANGUAGES, number, speak
from fmnist_lib.press.specification import size, specification
from fmnist_lib.press.tables import DIGITS, claim_as_markdown, claims_as_text, refuted_as_markdown
from fmnist_lib.study import claims, results, rule

FRAME = made_up(spread=0.3)
JUDGED, SCORES = claims.judge(FRAME, SECONDS), results.by_seed(FRAME, SECONDS)


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def dots(ax):
    return [float(x) for drawn in ax.collections if len(drawn.get_offsets()) for x in drawn.get_offsets()[:, 0]]


@pytest.mark.parametrize("claim", [name for name in claims.WORDS if name not in claims.UNJUDGED])
def test_a_claims_figure_shows_every_seed_and_shades_the_margin_or_the_claimed_side(claim):
    rows, effect = JUDGED[JUDGED["id"] == claim], claims.effects(claim, SCORES)
    fig = intervals.judged(plt.figure(figsize=intervals.size(rows)), effect, rows)
    drawn = [x for ax in fig.axes for x in dots(ax)]
    assert sorted(drawn) == pytest.approx(sorted(effect.to_numpy().ravel()))
    for ax, (_, group) in zip(fig.axes, rows.groupby("unit", sort=False), strict=True):
        kind, margin = group[["kind", "margin"]].iloc[0]
        (band,) = [patch for patch in ax.patches if patch.get_width() > 0]
        assert ax.get_xlabel() == group["unit"].iloc[0]
        left, right = band.get_x(), band.get_x() + band.get_width()
        assert right == pytest.approx(margin) if kind != "above" else left == pytest.approx(margin)
        assert left == pytest.approx(-margin) if kind in ("none", "greater", "less") else True
        low, high = ax.get_xlim()
        assert (
            low <= min(dots(ax)) and max(dots(ax)) <= high and low <= group["low"].min() <= group["high"].max() <= high
        )
    told = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert told[0] == ("as claimed" if kind in ("below", "above") else "within the margin")


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_of_nothing_of_one_seed_and_of_ten_are_drawn_in_each_language(language):
    speak(language)
    for n in (0, 1, 10):
        frame = FRAME[FRAME["seed"] < 11 + n]
        judged, scores = claims.judge(frame, SECONDS), results.by_seed(frame, SECONDS)
        rows = judged[judged["id"] == "S3"]
        fig = intervals.judged(plt.figure(figsize=intervals.size(rows)), claims.effects("S3", scores), rows)
        fig.draw_without_rendering()
        assert len(fig.axes) == 2 and len(dots(fig.axes[0])) == n
        assert ("media" in fig.axes[0].get_legend().get_texts()[2].get_text()) == (language == "es")


def test_a_forest_has_each_models_seeds_below_it_and_the_papers_cross():
    each = [92.0, 92.4, 92.1]
    row = {"model": "CNN3-512-0.1", "paper": 92.44, "mean": 92.2, "low": 91.7, "high": 92.7, "least": 91, "most": 93}
    _, ax = plt.subplots()
    intervals.forest(ax, pd.DataFrame([row | {"each": each}]))
    assert dots(ax) == each and [92.44] in [list(line.get_xdata()) for line in ax.lines]


def test_a_row_of_a_forest_says_in_the_language_that_it_is_of_the_test_images():
    row = {"paper": 92.44, "mean": 92.2, "low": 91.7, "high": 92.7, "least": 91, "most": 93, "each": [92.0]}
    frame = pd.DataFrame([{"model": name} | row for name in ("CNN-Nahuel", "CNN-Nahuel, test")])
    speak("es")
    labels = intervals.forest(plt.subplots()[1], frame).get_yticklabels()
    assert [label.get_text() for label in labels] == ["CNN-Nahuel", "CNN-Nahuel, prueba"]


def lines(ax):
    return [line.get_xydata().tolist() for line in ax.lines]


@pytest.mark.parametrize("reach", [0.3, 2, 5.1, 9])
def test_the_ticks_of_a_forest_are_round(reach):
    row = {"model": "CNN3-512-0.1", "paper": 89 + reach, "mean": 89.4, "low": 89.2, "high": 89.6}
    drawn = intervals.forest(
        plt.subplots()[1], pd.DataFrame([row | {"least": 89.0, "most": 89 + reach, "each": [89.1, 89.5]}])
    )
    steps = np.diff(drawn.get_xticks())
    assert len(steps) and min(abs(steps[0] / step - 1) for step in (0.05, 0.1, 0.2, 0.5, 1, 2)) < 1e-6


def test_the_thick_line_of_a_forest_is_the_means_interval_and_the_thin_one_is_that_of_one_more_run():
    ends = {"low": [91.7, 91.9], "high": [92.7, 92.6], "least": [91.0, 91.5], "most": [93.0, 93.5]}
    frame = pd.DataFrame({"model": ["CNN3-512-0.1", "CNN-Nahuel"], "paper": 92.0, "mean": [92.2, 92.3], **ends})
    ax = intervals.forest(plt.subplots()[1], frame.assign(each=[[92.0], [92.1]]))
    drawn = {line.get_linewidth(): [] for line in ax.lines}
    for line in ax.lines:
        drawn[line.get_linewidth()].append(line.get_xydata().tolist())
    for width, names in ((0.7, ["least", "most"]), (2.5, ["low", "high"])):
        assert drawn[width][:2] == [[[x, y] for x in frame.loc[y, names]] for y in (0, 1)]


def test_a_difference_and_a_part_of_a_claim_have_their_whole_interval_in_their_row():
    frame = pd.DataFrame({"name": ["a", "b"], "estimate": [0.2, 1.0], "low": [-0.1, 0.5], "high": [0.4, 1.2]})
    ax = intervals.differences(plt.subplots()[1], frame, "points")
    (bars,) = ax.collections
    assert [bar.tolist() for bar in bars.get_segments()] == [[[-0.1, 0], [0.4, 0]], [[0.5, 1], [1.2, 1]]]
    assert [[0.2, 0], [1.0, 1]] in lines(ax)
    rows = JUDGED[JUDGED["id"] == "S1"]
    fig = intervals.judged(plt.figure(figsize=intervals.size(rows)), claims.effects("S1", SCORES), rows)
    for y, row in enumerate(rows.itertuples()):
        assert [[row.low, y], [row.high, y]] in lines(fig.axes[0]) and [[row.mean, y]] in lines(fig.axes[0])


def test_a_place_has_its_interval_the_papers_cross_and_how_often_it_is_first():
    frame = pd.DataFrame({"model": ["CNN3-512-0.1", "CNN-Nahuel"], "rank": [1, 2], "low": [1, 1], "high": [2, 4]})
    ax, beside = intervals.places(plt.figure(), frame.assign(first=[0.7, 0.3], paper=[2, 1])).axes
    assert lines(ax)[:4] == [[[1, 0], [2, 0]], [[1, 0]], [[1, 1], [4, 1]], [[2, 1]]]
    assert lines(ax)[4] == [[2, 0], [1, 1]] and [bar.get_width() for bar in beside.patches] == [70, 30]
    assert [text.get_text() for text in beside.texts] == ["70", "30"]
    legend = zip(ax.get_legend().get_texts(), ax.get_legend().legend_handles, strict=True)
    marks = {text.get_text(): handle.get_marker() for text, handle in legend}
    assert marks == {"ours, 95 % interval": "o", "the paper": "x"}


def test_a_waterfall_steps_down_from_the_first_total_to_the_last():
    sizes, low, high = (
        [1.5, 0.4, np.nan, 0.6, 0.5],
        [np.nan, 0.3, np.nan, 0.5, np.nan],
        [np.nan, 0.6, np.nan, 0.9, np.nan],
    )
    frame = pd.DataFrame({"name": list("abcde"), "size": sizes, "low": low, "high": high})
    _, ax = plt.subplots()
    intervals.waterfall(ax, frame, "points")
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert bars[0] == (0, 1.5) and bars[1] == pytest.approx((1.5, 1.1)) and bars[3] == pytest.approx((1.1, 0.5))
    assert bars[4] == pytest.approx((0, 0.5))
    assert [line.get_xdata() for line in ax.lines[:2]] == [pytest.approx([1.2, 0.9]), pytest.approx([0.6, 0.2])]
    assert [text.get_text() for text in ax.texts] == ["+1.50", "−0.40", "—", "−0.60", "+0.50"]


def test_a_specification_curve_has_a_dot_a_number_and_a_dot_a_choice():
    rows = [("first", "II", s, 3.0, 2.0) for s in ("epoch", "loss", "accuracy")] + [("mode", "I", "loss", -0.4, 4.0)]
    weighed = pd.DataFrame(rows, columns=["reading", "table", "score", "t", "limit"])
    chosen = {"mode": ["x", "y"], "first": ["y"]}
    fig = specification(plt.figure(figsize=size(chosen)), weighed, chosen)
    fig.draw_without_rendering()
    above, below = fig.axes
    legend = above.get_legend()
    told = {text.get_text(): dot for text, dot in zip(legend.texts, legend.legend_handles, strict=True)}
    assert list(told) == ["95 %", "Table I, loss", "Table II, epoch", "Table II, loss", "Table II, accuracy"]
    drawn = {tuple(dots.get_offsets().data[0].round(3)): dots for dots in above.collections if len(dots.get_offsets())}
    at = sorted((round(x), round(y, 3)) for x, y in drawn)
    assert at == [(0, -0.1), (1, 1.5), (1, 1.5), (1, 1.5)]  # of the band, whose edge is at 1
    for (x, _), dots in drawn.items():  # epoch, loss, accuracy from left to right, Table I's hollow
        right = sorted(x for x, _ in drawn if x > 0.5)
        key = f"Table II, {['epoch', 'loss', 'accuracy'][right.index(x)]}" if x > 0.5 else "Table I, loss"
        assert [len(p.vertices) for p in dots.get_paths()] == [len(p.vertices) for p in told[key].get_paths()]
        assert (dots.get_facecolor()[0] == told[key].get_facecolor()[0]).all()
        assert (dots.get_facecolor()[0][0] == 1) == (x < 0.5)
    band = above.patches[0].get_window_extent().height
    assert band == pytest.approx(np.ptp(above.transData.transform([(0, -1), (0, 1)])[:, 1]))
    dotted = [(set(line.get_xdata()), [*line.get_ydata()]) for line in below.lines if line.get_marker() == "o"]
    assert dotted == [({0}, [0, 1]), ({1}, [1])]
    assert [label.get_text() for label in below.get_xticklabels()] == ["mode", "first"]
    assert [label.get_text() for label in below.get_yticklabels()] == ["x", "y"]


def test_the_farthest_number_of_a_specification_curve_is_inside_it_on_either_side():
    for t in (-80.0, 80.0):
        weighed = pd.DataFrame([("a", "I", "loss", t, 2.0)], columns=["reading", "table", "score", "t", "limit"])
        fig = specification(plt.figure(figsize=size({"a": ["x"]})), weighed, {"a": ["x"]})
        low, high = fig.axes[0].get_ylim()
        assert low < t / 2 < high


def test_in_the_table_a_claim_is_worded_and_judged_once_and_each_part_has_its_effect():
    table = claims_as_text(JUDGED)
    assert JUDGED["id"].duplicated().sum() > 5 and len(table) == len(JUDGED)
    for row, again in zip(JUDGED.itertuples(), JUDGED["id"].duplicated(), strict=True):
        effect, said = table.loc[row.Index, ["Effect", "verdict"]]
        told = [number(value, DIGITS.get(row.unit, 0), sign="+") for value in (row.paper, row.mean)]
        assert table.loc[row.Index, ["paper", "ours"]].tolist() == told
        ends = [number(value, DIGITS.get(row.unit, 0), sign="+") for value in (row.low, row.high)]
        assert table.loc[row.Index, "interval"] == (" … ".join(ends) if row.n > 1 else "—")
        claim = "" if again else row.claim + ": " * (row.part != "")
        assert effect == f"{row.id}. {claim}{f'{row.part} [{row.unit}]' if row.part else ''}"
        assert said == ("" if again else row.verdict)


@pytest.mark.parametrize(
    ("claim", "condition"),
    [
        ("S1", "within ±0.50"), ("S2", "> 0 (±0.20)"), ("S3", "< 0 (±0.010)"), ("S9", "< 2.00"), ("S10", "< 0 (±2.0)"),
        ("S11", "> 0 (±0.10)"), ("P5", "> 0.80"), ("S7", "—"),
    ],
)  # fmt: skip
def test_beside_each_effect_stands_when_it_holds(claim, condition):
    at = JUDGED["id"].tolist().index(claim)
    said = claims_as_text(JUDGED)["holds if"][at]  # in one line
    assert said == condition.replace(" ", "\u00a0")
    speak("es")
    said = condition.replace("within", "dentro de").replace(".", ",").replace(" ", "\u00a0")
    assert claims_as_text(JUDGED)["holds if"][at] == said


def test_of_a_claim_that_is_not_reproduced_the_part_that_decides_is_said_with_its_numbers():
    judged = JUDGED.assign(verdict="reproduced", says="reproduced")
    assert refuted_as_markdown(claims.refuted(judged)) == ""
    s3 = judged["id"] == "S3"
    judged.loc[s3, "verdict"] = "not reproduced"
    judged.loc[s3 & judged["part"].str.startswith("loss"), "says"] = "not reproduced"
    judged.loc[judged["id"] == "S9", "says"] = "not reproduced"  # of a claim with another verdict
    (row,) = judged[s3 & judged["part"].str.startswith("loss")].to_dict("records")
    said = refuted_as_markdown(claims.refuted(judged)).replace("\\", "")
    numbers = [f"{row[name]:+.3f}".replace("-", "−") for name in ("mean", "low", "high")]
    effect = f"{row['part']} is {numbers[0]} nats, between {numbers[1]} and {numbers[2]}"
    assert said == f"- S3. {row['claim']}: {effect}; the claim holds if it is < 0 (±0.010)."


def test_the_word_of_a_part_is_that_of_its_own_interval():
    own = JUDGED[JUDGED["verdict"].isin(rule.VERDICTS)]
    for row in own.itertuples():
        assert row.says == rule.decide(row.kind, row.margin, row.low, row.high)
    for _, parts in own.groupby("id"):
        assert parts["verdict"].iloc[0] == rule.together(list(parts["says"]))
    few = claims.judge(FRAME[FRAME["seed"] < 14], SECONDS)
    assert set(few["says"]) == {""} and len(own) > 20


def test_a_claim_is_said_with_its_numbers_its_verdict_and_the_seeds_that_would_decide():
    text = claim_as_markdown(JUDGED[JUDGED["id"] == "S2"])
    row = JUDGED[JUDGED["id"] == "S2"].iloc[0]
    assert f"**By the rule: {row['verdict']}**" in text and "(n = 10)" in text and "99.58 %" in text
    numbers = [f"{row[name]:+.2f}".replace("-", "−") for name in ("mean", "low", "high")]
    assert re.findall(r"[+−]\d+\.\d+", text.replace("\\", ""))[:3] == numbers and len(set(numbers)) == 3
    undecided = JUDGED[JUDGED["seeds needed"] > 0].iloc[0]
    said = claim_as_markdown(JUDGED[JUDGED["id"] == undecided["id"]])
    assert f"spread seen: {undecided['seeds needed']:.0f}." in said.replace("\\", "").replace(",", "")
    table, open_ = claims_as_text(JUDGED), JUDGED["verdict"] == "undecidable"
    told = pd.to_numeric(table["seeds to decide"].str.replace(",", ""), errors="coerce")
    assert told.tolist() == pytest.approx(JUDGED["seeds needed"].where(open_).tolist(), nan_ok=True)
    assert told.notna().any()
    mine = JUDGED["id"] == undecided["id"]  # a part that is open, of a claim that another part decides
    decided = claims_as_text(JUDGED.assign(verdict=JUDGED["verdict"].mask(mine, "not reproduced")))
    assert set(decided.get("seeds to decide", pd.Series("", JUDGED.index))[mine]) == {""}
    never = JUDGED.assign(**{"seeds needed": JUDGED["seeds needed"].replace(undecided["seeds needed"], math.inf)})
    assert "too many" in set(
        claims_as_text(never)["seeds to decide"]
    ) and "spread seen: too many." in claim_as_markdown(never[never["id"] == undecided["id"]])
    few = claims.judge(FRAME[FRAME["seed"] < 14], SECONDS)
    assert "**By the rule: not judged: 3 of 10 seeds**" in claim_as_markdown(few[few["id"] == "S1"])
    lost = claim_as_markdown(JUDGED[JUDGED["id"] == "S2"].assign(diverged=3))
    assert "Left out because a run diverged: 3 seeds." in lost and "Left out" not in text
    one = claims.judge(FRAME[FRAME["seed"] == 11], SECONDS)
    assert "(n = 1, so no interval)" in claim_as_markdown(one[one["id"] == "S1"])
