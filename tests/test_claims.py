"""Every claim: its effect by hand, each of its verdicts on made-up seeds, and the many ways to get none."""

import itertools
import math
import re
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_tables_stats import images_of, trained

from fmnist_lib import ROOT, UserError
from fmnist_lib.press.language import speak
from fmnist_lib.press.tables import claims_as_text
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.run import read
from fmnist_lib.study import claims, paper, parameters, results, rule
from fmnist_lib.study.rule import NEGLIGIBLE, NOT_REPRODUCED, REPRODUCED, UNDECIDABLE

WINNER, NAHUEL, ANN = "CNN3-512-0.1", "CNN-Nahuel", "ANN-Juan"
GRID = [f"CNN{k}-{n}-{p}" for k in (3, 5) for n in (128, 256, 512) for p in (0.1, 0.25)]
NEXT = ["CNN3-128-0.25", "CNN3-128-0.1", "CNN3-256-0.25", "CNN3-512-0.25"]
OTHERS = [*NEXT, "CNN3-256-0.1"]
RATES = [f"{ANN}-0.1", f"{ANN}-0.25"]
JUDGED = range(11, 21)
SECONDS = {WINNER: 10.0, NAHUEL: 12.0, ANN: 2.0}
# What was registered: kind, margin, unit of each part, and the claims of its family that are judged.
REGISTERED = {
    "S1": [("none", 0.5, "points")] * 4,
    "S2": [("greater", 0.2, "points")],
    "S3": [("less", 0.01, "nats"), ("less", 1.0, "epochs")],
    "S4": [("less", 0.01, "nats")],
    "S5": [("greater", 0.01, "nats")],
    "S6": [("greater", 0.2, "points")],
    "S7": [],
    "S8": [("greater", 0.2, "points")] * 2,
    "S9": [("below", 2.0, "points")] * 2,
    "S10": [("less", 2.0, "epochs")] * 2,
    "S11": [("greater", math.log(1.1), "log ratio")] * 2,
    "S12": [("below", 0.2, "points")],
    "S13": [("greater", 0.2, "points")],
    "S14": [],
    "P1": [("greater", 0.2, "points")],
    "P2": [("less", 0.01, "nats")],
    "P3": [("none", 0.2, "points")],
    "P4": [("none", 0.2, "points")] * 3,
    "P5": [("above", 0.8, "share")],
}
FAMILY = {"S": 12, "P": 5}


def made_up(seeds=JUDGED, noise=1.0, spread=0.0, start=0):
    """Make up the runs of the judging protocol: models alike but for noise (a tenth of the margins) and a spread."""
    rng, rows = np.random.default_rng(start), []

    def scores(seed, model):
        a, b, c, d, e = noise * rng.normal(size=5)
        far = spread * rng.normal(size=5)
        return {
            "best_epoch": 15 + 0.05 * a + far[0],
            "best_val_loss": 0.22 + 0.0005 * b + far[1] / 100,
            "best_val_accuracy": 92 + 0.02 * c + far[2],
            "last_val_accuracy": 92 + 0.02 * d + far[3],
            "test_accuracy": 92 + 0.02 * e + far[4],
        } | dict(
            zip(results.CURVES, 0.3 + 0.0005 * noise * rng.normal(size=4) + spread * rng.normal(size=4), strict=True)
        )

    for seed, model in itertools.product(seeds, [*GRID, NAHUEL, *RATES]):
        fixed = {f.name: f.default for f in fields(Recipe)} | {"model": model, "seed": seed, "status": "finished"}
        of_seed = dict.fromkeys(("weights_seed", "order_seed", "dropout_seed"), seed) | {"split_seed": 42 + seed}
        patience = 0 if model == WINNER else 15
        search = fixed | of_seed | scores(seed, model) | {"role": "search", "patience": patience}
        rows.append(search | {"run": f"{model}-s{seed}"})
        if model in (WINNER, NAHUEL, *RATES):
            again = {name: 1000 + seed for name in ("weights_seed", "order_seed", "dropout_seed")}
            again |= {"role": "retraining", "patience": 0, "keep": "last", "epochs": search["best_epoch"]}
            rows.append(search | scores(seed, model) | again | {"run": f"{model}-s{1000 + seed}"})
    return pd.DataFrame(rows)


def verdicts(frame, seconds=SECONDS):
    return claims.judge(frame, seconds).drop_duplicates("id").set_index("id")["verdict"]


def retrained(frame):
    """Let every retraining be as long as its search's best epoch says."""
    best = frame[frame["role"] == "search"].set_index(["seed", "model"])["best_epoch"]
    again = frame["role"] == "retraining"
    frame.loc[again, "epochs"] = best.loc[pd.MultiIndex.from_frame(frame.loc[again, ["seed", "model"]])].to_numpy()
    return frame


def changed(frame, models, column, by, role="search"):
    rows = frame["model"].isin(models) & (frame["role"] == role)
    return retrained(frame.assign(**{column: frame[column] + by * rows}))


# The effects


def by_hand(frame, seed):
    """Return every effect of a seed, in the order of the list, without the library."""
    rows = {(r["role"], r["model"]): r for r in frame[frame["seed"] == seed].to_dict("records")}
    rate = max(RATES, key=lambda name: rows["search", name]["best_val_accuracy"])

    def of(column, model, role="search"):
        return rows[role, rate if model == ANN else model][column]

    def accuracy(model):
        return of("best_val_accuracy", model)

    def test(model):
        return of("test_accuracy", model, "retraining")

    def took(model):
        return SECONDS[model] * of("best_epoch", model)

    def over(column, models):
        return np.mean([of(column, model) for model in models])

    def with_(part):
        return [model for model in GRID if re.fullmatch(part, model)]

    ann = [test(WINNER) - test(ANN), test(NAHUEL) - test(ANN)]
    epochs = [of("best_epoch", WINNER) - of("best_epoch", ANN), of("best_epoch", NAHUEL) - of("best_epoch", ANN)]
    n128, n256, n512 = (over("best_val_accuracy", with_(rf"CNN\d-{n}-.*")) for n in (128, 256, 512))
    return [
        *[("S1", accuracy(WINNER) - accuracy(model)) for model in NEXT],
        ("S2", accuracy(WINNER) - over("best_val_accuracy", OTHERS)),
        ("S3", of("best_val_loss", WINNER) - over("best_val_loss", OTHERS)),
        ("S3", of("best_epoch", WINNER) - over("best_epoch", OTHERS)),
        ("S4", of("train_loss@23", WINNER) - of("train_loss@13", WINNER)),
        ("S5", of("val_loss@23", WINNER) - of("val_loss@13", WINNER)),
        ("S6", of("last_val_accuracy", WINNER, "retraining") - test(WINNER)),
        *[("S8", value) for value in ann],
        *[("S9", value) for value in ann],
        *[("S10", value) for value in epochs],
        *[("S11", math.log(took(model) / took(ANN))) for model in (WINNER, NAHUEL)],
        ("S12", accuracy("CNN3-128-0.25") - accuracy(ANN)),
        ("S13", test(WINNER) - test(NAHUEL)),
        ("P1", over("best_val_accuracy", with_("CNN3.*")) - over("best_val_accuracy", with_("CNN5.*"))),
        ("P2", over("best_val_loss", with_(".*-0.25")) - over("best_val_loss", with_(".*-0.1"))),
        ("P3", over("best_val_accuracy", with_(".*-0.25")) - over("best_val_accuracy", with_(".*-0.1"))),
        *[("P4", value) for value in (n256 - n128, n512 - n128, n512 - n256)],
        ("P5", sum(9 <= of("best_epoch", model) <= 23 for model in GRID) / 12),
    ]


def test_every_effect_and_its_interval_are_those_that_a_hand_computes():
    frame = made_up(spread=1.0)
    frame.loc[frame["model"].isin(GRID), "best_epoch"] += 8 * np.sin(np.arange(frame["model"].isin(GRID).sum()))
    table = claims.judge(retrained(frame), SECONDS)
    table = table[table["part"] != ""].reset_index()
    for i, each in enumerate(zip(*(by_hand(frame, seed) for seed in JUDGED), strict=True)):
        row, values = table.loc[i], [value for _, value in each]
        m = FAMILY[row["id"][0]]
        expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(1 - 0.05 / m)
        assert {name for name, _ in each} == {row["id"]} and row["n"] == 10
        assert (row["mean"], row["low"], row["high"]) == pytest.approx((np.mean(values), *expected)), row["part"]
        at = row["margin"] if row["kind"] in ("below", "above") else 0
        above, below = (sum(sign * (v - at) > 1e-9 for v in values) for sign in (1, -1))
        assert row["sign p"] == pytest.approx(scipy.stats.binomtest(above, above + below).pvalue)
    assert i == len(table) - 1


def test_kinds_margins_units_and_families_are_those_that_were_registered():
    table = claims.judge(made_up(), SECONDS)
    assert list(dict.fromkeys(table["id"])) == list(REGISTERED) == list(claims.WORDS)
    for name, parts in REGISTERED.items():
        rows = table[(table["id"] == name) & (table["part"] != "")]
        assert list(rows[["kind", "margin", "unit"]].itertuples(index=False, name=None)) == parts, name
        assert (rows["level"] == 1 - 0.05 / FAMILY[name[0]]).all()


def test_the_papers_own_effects_are_those_of_its_tables():
    table = claims.judge(results.frame([]))
    paper_says = {name: list(rows["paper"]) for name, rows in table.groupby("id")}
    expected = {
        "S1": [92.44 - 92.38, 92.44 - 92.15, 92.44 - 92.10, 92.44 - 91.95],
        "S2": [92.44 - (92.38 + 92.15 + 92.10 + 91.95 + 91.72) / 5],
        "S3": [0.217 - (0.214 + 0.228 + 0.213 + 0.214 + 0.238) / 5, 13 - (17 + 16 + 15 + 11 + 14) / 5],
        "S6": [np.nan],  # 92.44 is the search's, 90.89 the retraining's
        "S8": [90.89 - 89.26, 90.11 - 89.26],
        "S9": [90.89 - 89.26, 90.11 - 89.26],
        "S10": [13 - 28, 19 - 28],
        "S13": [90.89 - 90.11],
        "P2": [-0.095 / 6],  # six pairs: −0.014, −0.025, −0.003, −0.011, −0.022, −0.020
        "P3": [(0.23 + 0.38 - 0.49 + 0.74 + 0.13 + 0.16) / 6],
        "P1": [((92.44 - 91.46) + (92.38 - 91.55) + (92.15 - 90.81) + (92.10 - 91.40) + (91.95 - 91.62) + 0.45) / 6],
        "P5": [1.0],
    }
    for name, values in expected.items():
        assert paper_says[name] == pytest.approx(values, nan_ok=True), name
    for name in ("S4", "S5", "S11", "S12"):  # it gives no number
        assert np.isnan(paper_says[name]).all()
    assert (table["n"] == 0).all() and set(table["verdict"]) == {"not judged: 0 of 10 seeds", *claims.UNJUDGED.values()}


# The verdicts

KNOBS = {  # what moves all parts of a claim upwards: models, column, sign, role
    "S1": [([WINNER], "best_val_accuracy", 1, "search")],
    "S2": [([WINNER], "best_val_accuracy", 1, "search")],
    "S3": [([WINNER], "best_val_loss", 1, "search"), ([WINNER], "best_epoch", 1, "search")],
    "S4": [([WINNER], "train_loss@23", 1, "search")],
    "S5": [([WINNER], "val_loss@13", -1, "search")],
    "S6": [([WINNER], "last_val_accuracy", 1, "retraining")],
    "S8": [(RATES, "test_accuracy", -1, "retraining")],
    "S9": [(RATES, "test_accuracy", -1, "retraining")],
    "S10": [(RATES, "best_epoch", -1, "search")],
    "S12": [(RATES, "best_val_accuracy", -1, "search")],
    "S13": [([NAHUEL], "test_accuracy", -1, "retraining")],
    "P1": [(GRID[:6], "best_val_accuracy", 1, "search")],
    "P2": [(GRID[1::2], "best_val_loss", 1, "search")],
    "P3": [(GRID[1::2], "best_val_accuracy", 1, "search")],
    "P4": [([m for m in GRID if "-512-" in m], "best_val_accuracy", 1, "search")],
}
YES, SMALL, NO, OPEN = REPRODUCED, NEGLIGIBLE, NOT_REPRODUCED, UNDECIDABLE
OUTCOMES = {  # an effect in margins, on the side that is claimed: the verdict
    "claimed side": [(2, YES), (0.5, SMALL), (0, NO), (-0.5, NO), (-3, NO)],
    "none": [(0, YES), (0.7, YES), (1, OPEN), (-1, OPEN), (1.5, NO), (-1.5, NO)],
    "below": [(0.7, YES), (-2, YES), (1, OPEN), (1.3, NO)],
}


def turned(name, margins, noise=1.0):
    """Return made-up runs in which every part of a claim has an effect of so many margins."""
    frame, parts = made_up(noise=noise), REGISTERED[name]
    if name == "S11":
        return frame, SECONDS | {ANN: 1.0} | dict.fromkeys((WINNER, NAHUEL), math.exp(margins * parts[0][1]))
    for (kind, margin, _), (models, column, sign, role) in zip(parts, KNOBS[name], strict=False):
        side = -1 if kind == "less" else 1
        frame = changed(frame, models, column, sign * side * margins * margin, role)
    return frame, SECONDS


EACH = [
    (name, margins, verdict)
    for name in (*KNOBS, "S11")
    for kind in [REGISTERED[name][0][0]]
    for margins, verdict in OUTCOMES.get(kind, OUTCOMES["claimed side"])
]


@pytest.mark.parametrize(("name", "margins", "verdict"), EACH)
def test_each_claim_gets_each_of_its_verdicts(name, margins, verdict):
    assert verdicts(*turned(name, margins))[name] == verdict


@pytest.mark.parametrize("name", [*KNOBS, "S11"])
def test_seeds_that_scatter_leave_each_claim_undecidable_and_tell_how_many_would_decide_it(name):
    at = {"none": 1, "below": 0.9}.get(REGISTERED[name][0][0], 1)
    frame, seconds = turned(name, at, noise=60.0)
    table = claims.judge(frame, seconds)
    rows = table[table["id"] == name]
    assert set(rows["verdict"]) == {UNDECIDABLE}
    assert (rows["seeds needed"].dropna() > 10).all() and rows["seeds needed"].notna().any()
    decided, seconds = turned(name, {"none": 0, "below": 0}.get(REGISTERED[name][0][0], 2))
    assert claims.judge(decided, seconds).query("id == @name")["seeds needed"].isna().all()


@pytest.mark.parametrize(("outside", "verdict"), [((0, 1), YES), ((4, 5), NO), ((2, 3), OPEN), ((12, 11), NO)])
@pytest.mark.parametrize("epoch", [8, 24])
def test_the_best_epochs_are_inside_if_more_than_four_in_five_are(outside, verdict, epoch):
    frame = made_up()
    for seed in JUDGED:
        away = frame["model"].isin(GRID[: outside[seed % 2]]) & (frame["seed"] == seed)
        frame.loc[away, "best_epoch"] = epoch
    assert verdicts(retrained(frame))["P5"] == verdict


def test_epochs_9_and_23_are_inside():
    frame = made_up()
    for seed, epoch in itertools.product(JUDGED, (9, 23)):
        frame.loc[(frame["model"] == GRID[epoch % 2]) & (frame["seed"] == seed), "best_epoch"] = epoch
    assert claims.judge(retrained(frame)).query("id == 'P5'")["mean"].item() == 1.0


@pytest.mark.parametrize("model", NEXT)
def test_one_part_that_is_not_reproduced_makes_the_whole_so(model):
    assert verdicts(changed(made_up(), [model], "best_val_accuracy", 3.0))["S1"] == NOT_REPRODUCED


@pytest.mark.parametrize(("effects", "verdict"), [
    ((0.4, 0.4), REPRODUCED), ((0.4, 0.1), NEGLIGIBLE), ((0.1, 0.1), NEGLIGIBLE), ((0.4, -0.4), NOT_REPRODUCED),
    ((-0.4, 0.1), NOT_REPRODUCED),
])  # fmt: skip
def test_of_two_parts_the_weaker_counts(effects, verdict):
    frame = made_up()
    for model, by in zip((WINNER, NAHUEL), effects, strict=True):
        frame = changed(frame, [model], "test_accuracy", by, "retraining")
    assert verdicts(frame)["S8"] == verdict


@pytest.mark.parametrize("some", list(itertools.product(rule.VERDICTS, repeat=2)))
def test_a_whole_is_never_better_than_its_worst_part(some):
    order = [NOT_REPRODUCED, UNDECIDABLE, NEGLIGIBLE, REPRODUCED]
    assert rule.together(list(some)) == order[min(map(order.index, some))]


TABLE = [  # kind, low, high in margins of 2: the verdict
    ("greater", 1, 3, REPRODUCED), ("greater", 3, 9, REPRODUCED), ("greater", 0.5, 1.5, NEGLIGIBLE),
    ("greater", -9, -3, NOT_REPRODUCED), ("greater", -1, -0.5, NOT_REPRODUCED), ("greater", -1, 1, NOT_REPRODUCED),
    ("greater", -1, 3, UNDECIDABLE), ("greater", -3, 1, UNDECIDABLE), ("greater", -3, 3, UNDECIDABLE),
    ("none", -1, 1, REPRODUCED), ("none", 0.5, 1, REPRODUCED), ("none", 3, 4, NOT_REPRODUCED),
    ("none", -4, -3, NOT_REPRODUCED), ("none", 1, 3, UNDECIDABLE), ("none", -3, 3, UNDECIDABLE),
    ("above", 3, 4, REPRODUCED), ("above", 1, 1.5, NOT_REPRODUCED), ("above", 1, 3, UNDECIDABLE),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "low", "high", "verdict"), TABLE)
def test_the_rule_is_one_interval_and_one_table(kind, low, high, verdict):
    assert rule.decide(kind, 2, low, high) == verdict
    if kind == "greater":
        assert rule.decide("less", 2, -high, -low) == verdict
    if kind == "above":
        swapped = {REPRODUCED: NOT_REPRODUCED, NOT_REPRODUCED: REPRODUCED, UNDECIDABLE: UNDECIDABLE}[verdict]
        assert rule.decide("below", 2, low, high) == swapped


@pytest.mark.parametrize(("kind", "low", "high", "verdict"), [
    ("greater", 0, 3, UNDECIDABLE), ("greater", -3, 0, UNDECIDABLE), ("greater", 1, 2, REPRODUCED),
    ("greater", 0, 1, NOT_REPRODUCED), ("less", -3, 0, UNDECIDABLE), ("less", 0, 3, UNDECIDABLE),
    ("none", 2, 3, UNDECIDABLE), ("none", -2, 2, UNDECIDABLE), ("above", 2, 3, UNDECIDABLE),
    ("above", 1, 2, UNDECIDABLE),
    ("below", 1, 2, UNDECIDABLE), ("below", 2, 3, UNDECIDABLE),
])  # fmt: skip
def test_every_comparison_of_the_rule_is_strict(kind, low, high, verdict):
    assert rule.decide(kind, 2, low, high) == verdict


# What is not judged


def judged_at_all(frame):
    return [name for name, verdict in verdicts(frame).items() if verdict in rule.VERDICTS]


def test_the_judging_protocol_over_the_judging_seeds_is_judged():
    frame = made_up(spread=0.01)  # so that no share is tied
    assert rule.departures(frame) == {}
    assert set(REGISTERED) - set(judged_at_all(frame)) == {"S7", "S14", "P5"}  # P5: all inside, in every seed
    assert dict(verdicts(frame)[["S7", "S14", "P5"]]) == claims.UNJUDGED | {"P5": "not judged: zero variance"}


@pytest.mark.parametrize(("seeds", "why"), [
    ([0], "1 of 10 seeds"), (range(11, 20), "9 of 10 seeds"), (range(1, 11), "not the seeds 11–20"),
    (range(10, 20), "not the seeds 11–20"), (range(11, 22), "not the seeds 11–20"), ([], "0 of 10 seeds"),
])  # fmt: skip
def test_other_seeds_than_the_ten_give_intervals_and_no_verdict(seeds, why):
    frame = made_up(seeds) if len(seeds) else results.frame([])
    table = claims.judge(frame, SECONDS)
    assert set(table["verdict"]) == {f"not judged: {why}", *claims.UNJUDGED.values()}
    assert table.loc[table["part"] != "", "low"].notna().all() == (len(seeds) > 1)
    assert table["seeds needed"].isna().all()


OTHER = {
    "padding": "same", "activation": "leaky_relu", "output": "dropout_relu", "input_dropout": True, "folds": 6,
    "fold": 1, "validate_on": "test", "scaling": "standardised", "shuffle": False, "batch": 100, "optimizer": "sgd",
    "lr": 0.01, "momentum": 0.9, "train_images": 8000, "val_images": 4000, "epochs": 8, "patience": 3, "split_seed": 1,
    "weights_seed": 5, "order_seed": 5, "dropout_seed": 5, "nahuel_k": 5,
    "schedule": "one-cycle", "smoothing": 0.1, "flips": True, "shifts": 2, "averaging": 0.9, "data_set": "squares",
}  # fmt: skip
FREE = {
    "model": None,
    "keep": None,
    "device": "cuda",
    "precision": "bf16",
    "kernels": "numba",
    "threads": 2,
    "numerics": 9,
}


def test_every_field_of_a_recipe_is_either_fixed_or_free():
    assert {field.name for field in fields(Recipe)} == OTHER.keys() | FREE.keys()


@pytest.mark.parametrize("role", ["search", "retraining"])
@pytest.mark.parametrize("name", OTHER)
def test_one_run_that_departs_from_the_protocol_in_any_field_leaves_nothing_judged(name, role):
    frame = made_up().astype({name: object})
    one = frame.index[(frame["role"] == role) & (frame["model"] == WINNER)][3]
    frame.at[one, name] = OTHER[name]
    found = set(verdicts(frame)) - set(claims.UNJUDGED.values())
    if name in ("train_images", "val_images") or (name, role) == ("epochs", "search"):
        assert found == {"not judged: reduced protocol"}
    elif name.endswith("seed") or name in ("patience", "epochs"):
        assert len(found) == 1 and found.pop().startswith("not judged: not the judging protocol (")
    else:
        assert found == {f"not judged: another reading ({name} = {OTHER[name]})"}


@pytest.mark.parametrize("name", [name for name, value in FREE.items() if value])
def test_device_precision_threads_and_numerics_do_not_matter_to_the_rule(name):
    assert judged_at_all(made_up().assign(**{name: FREE[name]})) == judged_at_all(made_up())


@pytest.mark.parametrize(("model", "role", "patience"), [
    (WINNER, "search", 15), (GRID[0], "search", 0), (NAHUEL, "search", 0), (RATES[0], "search", 0),
    (WINNER, "retraining", 15),
])  # fmt: skip
def test_searches_have_a_patience_of_15_the_winners_and_retrainings_none(model, role, patience):
    frame = made_up()
    frame.loc[(frame["model"] == model) & (frame["role"] == role), "patience"] = patience
    assert not judged_at_all(frame)


def test_a_reduced_protocol_is_named_before_the_seeds_that_it_lacks():
    assert set(verdicts(made_up([0]).assign(train_images=8000))) - {*claims.UNJUDGED.values()} == {
        "not judged: reduced protocol"
    }


def test_a_diverged_run_leaves_the_claims_that_need_it_and_is_counted():
    frame = made_up()
    frame.loc[(frame["model"] == "CNN5-128-0.1") & (frame["seed"] == 14), "status"] = "diverged"
    table = claims.judge(frame, SECONDS).set_index("id")
    assert set(table.loc[["P1", "P2", "P3", "P4", "P5"], "verdict"]) == {"not judged: 9 of 10 seeds"}
    assert table.loc["P1", ["n", "diverged"]].tolist() == [9, 1]
    assert table.loc["S2", ["n", "diverged"]].tolist() == [10, 0] and table.loc["S2", "verdict"] in rule.VERDICTS


def test_seeds_that_agree_exactly_or_tie_in_more_than_half_get_no_verdict_and_the_sign_test():
    frame = made_up()
    rows = frame["model"].isin([WINNER]) & (frame["role"] == "retraining")
    for alike, why in ((10, "zero variance"), (6, "ties"), (5, None)):
        gaps = [0.5] * alike + [0.6 + i / 100 for i in range(10 - alike)]
        tied = frame.copy()
        tied.loc[rows, "test_accuracy"] = tied.loc[rows, "last_val_accuracy"] - gaps
        row = claims.judge(tied, SECONDS).set_index("id").loc["S6"]
        assert row["verdict"] == (f"not judged: {why}" if why else REPRODUCED)
        assert row["sign p"] == 2 / 2**10


def test_without_the_benchmark_the_claim_about_time_has_no_effect():
    for seconds in (None, {}, {WINNER: 1.0, NAHUEL: 1.0}):
        rows = claims.judge(made_up(), seconds).query("id == 'S11'")
        assert (rows["n"] == 0).all() and set(rows["verdict"]) == {"not judged: 0 of 10 seeds"}


# One tidy frame


def test_a_row_of_the_frame_is_what_the_run_says(tmp_path):
    losses = [0.5 - i / 50 if i < 10 else 0.3 + i / 100 for i in range(20)]
    run = trained(
        tmp_path, WINNER, 3, losses, [0.8 + i / 100 for i in range(20)], train=[1 - i / 40 for i in range(20)]
    )
    run.attach(record.TEST, contents.pack_answers(images_of(0.905, loss=0.5)))
    other = trained(tmp_path, NAHUEL, 3, (0.4, 0.3), keep="last", seconds=7.0)
    frame = results.frame([read(run.folder), other, other], 42)
    assert list(frame["run"]) == [run.folder.name, other.folder.name] and list(frame["role"]) == [
        "search",
        "retraining",
    ]
    row = frame.loc[0]
    assert (row["seed"], row["trained"], row["epochs"], row["status"]) == (3, 20, 20, "finished")
    assert (row["best_epoch"], row["best_val_loss"], row["best_val_accuracy"]) == (10, losses[9], 89.0)
    assert (row["last_epoch"], row["last_val_loss"], row["last_val_accuracy"]) == (20, losses[19], 99.0)
    assert (row["best_train_loss"], row["last_train_loss"]) == (1 - 9 / 40, 1 - 19 / 40)
    assert (row["train_loss@13"], row["val_loss@13"]) == (1 - 12 / 40, losses[12])
    assert (row["test_accuracy"], row["test_loss"]) == pytest.approx((90.5, 0.5))
    assert frame.loc[1, "seconds"] == 7.0 and frame.loc[0, ["train_loss@23", "val_loss@23"]].isna().all()
    assert frame.loc[1, ["test_accuracy", "train_loss@13", "val_loss@13"]].isna().all()
    assert frame.loc[0, "padding"] == "1,0" and results.frame([run], 40).loc[0, "seed"] == 5


def test_a_row_of_the_frame_says_on_what_and_from_which_source_and_its_curve_bears_its_name(tmp_path):
    run, other = trained(tmp_path, WINNER), trained(tmp_path, WINNER, 1, (0.5, 0.4))
    made = {name: f"own {name}" for name in ("torch", "python", "system", "processor", "card", "capability")}
    source = {"commit": "c0ffee" * 6, "changed": True, "lock": "1a", "preregistration": "2b"}
    marked = [replace(run, record=run.record | {"source": source | {"changed": changed}, "environment": made})
              for changed in (True, False)]  # fmt: skip
    row, clean = (results.frame([one]).loc[0] for one in marked)
    assert {name: row[name] for name in made} == made and row["preregistration"] == "2b"
    assert (row["commit"], clean["commit"]) == ("c0ffeec with changes", "c0ffeec")
    curves = results.curves([run, other]).groupby("run")["val_loss"].agg(list)
    assert curves.to_dict() == {run.folder.name: [0.3, 0.2, 0.4], other.folder.name: [0.5, 0.4]}


def test_scores_by_seed_leave_out_what_diverged_and_refuse_two_runs_of_one_seed():
    frame = made_up([11, 12])
    scores = results.by_seed(frame)
    assert list(scores.index) == [11, 12] and scores.columns.names == ["score", "model"]
    pd.testing.assert_frame_equal(results.by_seed(frame[::-1]), scores)
    frame.loc[(frame["model"] == WINNER) & (frame["seed"] == 12), "status"] = "diverged"
    assert results.by_seed(frame)["accuracy", WINNER].isna().tolist() == [False, True]
    with pytest.raises(UserError, match=f"{WINNER}-s11"):
        results.by_seed(pd.concat([frame, frame.iloc[[list(frame["model"]).index(WINNER)]]]))


@pytest.mark.parametrize(("accuracies", "losses", "rate"), [
    ((92.0, 91.0), (0.3, 0.2), 0), ((91.0, 92.0), (0.2, 0.3), 1), ((92.0, 92.0), (0.3, 0.2), 1),
    ((92.0, 92.0), (0.2, 0.3), 0), ((92.0, 92.0), (0.2, 0.2), 0),
])  # fmt: skip
def test_the_rate_of_ann_juan_is_chosen_seed_by_seed_by_accuracy_then_loss_then_name(accuracies, losses, rate):
    frame = made_up([11, 12], start=1)
    for name, accuracy, loss in zip(RATES, accuracies, losses, strict=True):
        of_seed = (frame["model"] == name) & (frame["seed"] == 11) & (frame["role"] == "search")
        frame.loc[of_seed, ["best_val_accuracy", "best_val_loss"]] = accuracy, loss
    other = frame[(frame["seed"] == 12) & (frame["role"] == "search") & frame["model"].isin(RATES)]
    kept = results.chosen(frame).query("model in @RATES").groupby("seed")["model"].agg(set)
    assert kept[11] == {RATES[rate]} and kept[12] == {other.loc[other["best_val_accuracy"].idxmax(), "model"]}


def test_a_rate_that_diverged_is_not_chosen_and_one_not_tried_leaves_none():
    frame = made_up([11, 12])
    gone = (frame["model"] == RATES[0]) & (frame["seed"] == 11)
    frame.loc[gone, "status"] = "diverged"
    frame.loc[gone, "best_val_accuracy"] = 99.0
    assert set(results.chosen(frame).query("seed == 11 and model in @RATES")["model"]) == {RATES[1]}
    assert results.by_seed(frame[~gone])["accuracy", ANN].isna().tolist() == [True, False]
    odd = frame.assign(model=frame["model"].where(~gone, f"{ANN}-0.5"))
    assert results.by_seed(odd)["accuracy", ANN].isna().tolist() == [True, False]


def test_a_third_rate_is_chosen_if_it_is_the_best_and_is_not_what_was_registered():
    frame = made_up()
    third = frame[frame["model"] == RATES[0]].assign(model=f"{ANN}-0.5", best_val_accuracy=99.0)
    more = pd.concat([frame, third.assign(run="third-" + third["run"])])
    assert set(results.chosen(more)["model"]) - set(GRID) == {NAHUEL, f"{ANN}-0.5"}
    assert rule.departures(frame) == {} and rule.departures(more) == {"model": f"model = {ANN}-0.5"}
    assert verdicts(more)["S8"] == f"not judged: not the judging protocol (model = {ANN}-0.5)"


# What was registered


def page_rows():
    text = (ROOT / "reports" / "PREREGISTRATION.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    return [row for row in rows if re.fullmatch(r"[SP]\d+", row[0])]


def test_the_page_says_what_the_code_judges():
    said = {}
    for name, _, _, parts, kind, margin, unit in page_rows():
        if kind != "—":
            value = math.log(float(margin[4:])) if margin.startswith("log ") else float(margin)
            said.setdefault(name, []).extend([(kind, value, unit)] * int(parts))
        else:
            said[name] = []
    assert said == REGISTERED
    assert {name: [(p.kind, p.margin, p.unit) for p in claims.PARTS if p.claim == name] for name in said} == said


def test_the_page_names_the_seeds_the_families_and_each_verdict():
    text = " ".join((ROOT / "reports" / "PREREGISTRATION.md").read_text("utf-8").split())
    assert f"seeds {rule.JUDGING_SEEDS[0]}–{rule.JUDGING_SEEDS[-1]}" in text and f"patience {paper.PATIENCE}" in text
    assert f"m = {FAMILY['S']}" in text and f"m = {FAMILY['P']}" in text
    assert all(f"*{verdict}*" in text for verdict in rule.VERDICTS)


def test_the_params_file_of_the_judging_runs_is_what_was_registered():
    asked = parameters.read_file(ROOT / "params" / "rigorous.yaml")
    assert tuple(asked["seed"]) == rule.JUDGING_SEEDS and asked["patience"] == paper.PATIENCE
    assert {name: asked[name] for name in paper.GRID} == paper.GRID
    assert [f"{ANN}-{p}" for p in asked["ann_p"]] == RATES
    defaults = {field.name: field.default for field in fields(Recipe)}
    assert {name: asked[name] for name in rule.FIXED if name in asked}.items() <= defaults.items()


# As a report shows it


@pytest.mark.parametrize("language", ["en", "es"])
def test_one_seed_is_told_to_be_one_of_ten_and_has_no_interval(tmp_path, language):
    speak(language)
    once = [trained(tmp_path, m, losses=[0.2] * 50) for m in [*GRID, NAHUEL, *RATES]]
    table = claims_as_text(claims.judge(results.frame(once)))
    why = {"en": "not judged: 1 of 10 seeds", "es": "no se juzga: 1 de 10 semillas"}[language]
    assert list(table["verdict"]).count(why) == 12 and set(table["interval"]) == {"—"}
    quick = claims_as_text(claims.judge(results.frame([trained(tmp_path / "quick", WINNER)])))
    why = {"en": "not judged: reduced protocol", "es": "no se juzga: protocolo reducido"}[language]
    assert list(quick["verdict"]).count(why) == 17


def test_the_seconds_of_an_epoch_are_the_benchmarks_under_the_papers_names():
    lines = results.SECONDS.read_text("utf-8").splitlines()[1:]
    measured = {line.split(",")[0]: float(line.split(",")[1]) for line in lines}
    told = results.seconds_an_epoch()
    assert told[ANN] == measured["ANN-Juan-0.25"] and told[WINNER] == measured[WINNER] and len(told) == len(measured)
    assert claims.judge(made_up(), told).query("id == 'S11'")["n"].tolist() == [10, 10]


def test_without_a_benchmark_no_seconds_are_made_up(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "SECONDS", tmp_path / "none.csv")
    assert results.seconds_an_epoch() == {}
    assert claims.judge(made_up(), {}).query("id == 'S11'")["n"].tolist() == [0, 0]
