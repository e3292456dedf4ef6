"""The search: its table as listed, effects and importance as they were put in, each strategy by hand."""

from dataclasses import replace
from itertools import product

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_tables_stats import trained

from fmnist_lib import ROOT, UserError, machine, models
from fmnist_lib.press import charts
from fmnist_lib.runs import record
from fmnist_lib.runs.store import Store
from fmnist_lib.study import networks, parameters, protocol, search, strategies, wishes

STATED = protocol.DEFAULTS | parameters.checked(parameters.read_file(ROOT / "params" / "search.yaml"))
STATED |= {"device": "cpu", "precision": "bf16", "kernels": "numba"}
SPACE = {
    "k": [3, 5],
    "n": [16, 32, 64],
    "p": [0.1],
    "optimizer": ["adam", "sgd"],
    "lr": [0.001],
    "activation": ["relu"],
}
CONFIGS = list(product(*SPACE.values()))
WORTH = {3: 2.0, 5: 0.0, 16: 0.0, 32: 0.5, 64: 1.0, "adam": 0.0, "sgd": -1.0}
RNG = np.random.default_rng(0)


def worth(config):
    return 90 + sum(WORTH.get(value, 0) for value in config)


def made(noise=0.0, seeds=(1, 2), both=0.0):
    """Return a table whose effects are `WORTH`, and of k = 3 together with sgd ``both``."""
    rows = [
        (*one, seed, worth(one) + seed + both * (one[0] == 3 and one[3] == "sgd") + noise * RNG.normal(), one[0] / 3)
        for one in CONFIGS
        for seed in seeds
    ]
    return pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"])


def searched(strategy, scores=None, epochs=8, seed=0):
    """Return what one search asked, in order, what it chose and what it paid, when an epoch costs 1."""
    scores = scores or {one: [worth(one)] * epochs for one in CONFIGS}
    replay = strategies.Replay(scores, dict.fromkeys(scores, 1.0))
    strategies.STRATEGIES[strategy](replay, SPACE, np.random.default_rng(seed))
    return list(replay.asked), replay.chosen, replay.paid


def test_whatever_learning_rates_are_searched_a_recipe_says_the_configuration_that_it_was_made_of():
    params = STATED | {"lrs": [0.00031622776601683794, 0.1 / 3, 0.001]}
    configs = set(product(*search.space(params).values()))
    assert {search.config(recipe) for recipe in search.recipes(params)} == configs and len(configs) == 144


def test_the_table_is_every_combination_twice_and_each_recipe_says_its_configuration():
    listed = search.recipes(STATED)
    every = list(
        product((3, 5), (128, 256, 512), (0.1, 0.25), ("adam", "sgd"), (0.0003, 0.001, 0.003), ("relu", "leaky_relu"))
    )
    assert [search.config(recipe) for recipe in listed] == every * 2 and len(set(listed)) == 288
    assert {(r.train_images, r.val_images, r.epochs, r.patience) for r in listed} == {(10_000, 10_000, 20, 0)}
    assert {(r.split_seed, r.weights_seed) for r in listed} == {(43, 1), (44, 2)}


def test_sgd_has_momentum_and_thirty_times_the_learning_rate_and_the_papers_configuration_is_its_protocol():
    sgd = {r.lr for r in search.recipes(STATED) if (r.optimizer, r.momentum) == ("sgd", 0.9)}
    assert sgd == {0.009, 0.03, 0.09}
    assert search.recipe(search.PAPERS, STATED, 11) == protocol.search(protocol.WINNER, STATED, 11)


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.09), ("adam", 0.003)])
def test_a_configuration_is_told_at_the_rate_it_was_trained_at(optimizer, rate):
    config = (3, 128, 0.1, optimizer, 0.003, "relu")
    told = search.trained_at(pd.DataFrame([config], columns=[*search.AXES]))
    assert told["lr"].item() == rate == search.recipe(config, STATED, 1).lr and list(told) == list(search.AXES)


def test_the_best_of_the_table_and_the_papers_are_trained_again_as_the_full_protocol_says():
    listed = search.at_full_size(made(), STATED | {"best": 2})
    assert [search.config(recipe) for recipe in listed[::10]] == [*search.best(made(), 2), search.PAPERS]
    assert {(r.train_images, r.epochs) for r in listed} == {(50_000, 50)}
    assert [r.weights_seed for r in listed] == [*range(11, 21)] * 3


def test_beside_the_best_the_best_that_is_trained_as_the_paper_does_goes_to_full_size():
    table = made().assign(accuracy=lambda f: f["accuracy"] + 9 * (f["optimizer"] == "sgd"))
    best, alike = (3, 64, 0.1, "sgd", 0.001, "relu"), (3, 64, 0.1, "adam", 0.001, "relu")
    listed = search.at_full_size(table, STATED | {"best": 1, "seed": [11]})
    assert [search.config(recipe) for recipe in listed] == [best, alike, search.PAPERS]
    for axis, other in (("optimizer", "sgd"), ("lr", 0.003), ("activation", "leaky_relu")):
        assert search.as_papers(table.assign(**{axis: other})) == search.PAPERS


def test_a_configuration_that_learnt_nothing_on_one_seed_is_left_out_as_long_as_such_are_few():
    table = made()  # two rows a configuration
    table.loc[1, "accuracy"] = 10.0
    assert search.learnt(table).index.tolist() == [*range(2, 24)]
    assert search.effects(search.learnt(table))["effect"].abs().max() < 1.2
    table.loc[3, "accuracy"] = 19.9  # four rows of 24 are no outliers
    assert len(search.learnt(table)) == 24


def test_of_configurations_that_are_equal_the_first_is_the_best_however_their_seeds_add_up():
    pairs = {CONFIGS[0]: (90.3, 90.0), CONFIGS[1]: (90.1, 90.2)}
    rows = [(*one, seed, score) for one, scores in pairs.items() for seed, score in enumerate(scores)]
    table = pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy"])
    table.loc[3, "accuracy"] += 1e-9
    assert search.best(table, 2) == CONFIGS[:2]


def test_a_run_becomes_a_row_with_its_accuracy_and_its_operations_at_the_best_epoch(tmp_path):
    one = search.recipes(STATED)[0]
    losses = [0.3, 0.2, *([0.4] * 18)]
    history = [dict(epoch=i, train_loss=1.0, val_loss=loss, val_accuracy=i / 100) for i, loss in enumerate(losses, 1)]
    made_on = machine.environment("cpu"), record.source()
    run = Store(tmp_path).write(one, history, {}, {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}, made_on)
    row = search.frame([run]).iloc[0]
    flop = sum(networks.flop(models.build("CNN3-128-0.1")))
    assert tuple(row) == (3, 128, 0.1, "adam", 0.0003, "relu", 1, 2.0, pytest.approx(flop * 10_000 * 2 / 1e12))
    assert search.an_epoch(replace(one, train_images=5000)) == pytest.approx(flop * 5000 / 1e12)
    scores, costs = strategies.by_seed([run])
    assert scores == {43: {search.config(one): [1.0] + [2.0] * 19}} and costs[search.config(one)] * 2 == row["teraflop"]


def test_the_table_keeps_what_diverged_and_a_comparison_of_what_finished_does_not(tmp_path):
    runs = [trained(tmp_path, "CNN3-8-0.1", seed, (0.3, last)) for seed, last in ((1, 0.2), (2, np.nan))]
    assert search.frame(runs)["seed"].tolist() == [1, 2]
    assert search.frame(runs, finished=True)["seed"].tolist() == [1]


def test_what_cannot_be_trained_at_full_size_is_refused_before_the_table_is_trained():
    with pytest.raises(UserError, match="above 60000"):
        search.recipes(STATED | {"train_images": 60_000})


@pytest.mark.parametrize("wrong", [{"search_seeds": [1]}, {name: STATED[name][:1] for name in search.AXES.values()}])
def test_a_search_with_nothing_to_compare_or_to_judge_by_is_refused(wrong):
    with pytest.raises(UserError):
        search.recipes(STATED | wrong)


def test_the_best_configuration_is_the_one_that_was_made_best():
    assert search.best(made(), 2) == [(3, 64, 0.1, "adam", 0.001, "relu"), (3, 32, 0.1, "adam", 0.001, "relu")]


def test_the_best_configuration_is_so_by_the_mean_over_its_seeds_and_not_by_its_luckiest():
    lucky, steady = CONFIGS[:2]
    rows = [(*lucky, 1, 99.0), (*lucky, 2, 80.0), (*steady, 1, 91.0), (*steady, 2, 91.0)]
    assert search.best(pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy"]), 1) == [steady]


def test_effects_are_those_that_were_put_in_less_their_mean_and_axes_of_one_value_have_none():
    found = search.effects(made()).set_index(["axis", "value"])
    assert found["effect"].to_dict() == pytest.approx(
        {("k", 3): 1, ("k", 5): -1, ("n", 16): -0.5, ("n", 32): 0, ("n", 64): 0.5, ("optimizer", "adam"): 0.5}
        | {("optimizer", "sgd"): -0.5}
    )
    assert found.loc[("k", 5), "cost"] == pytest.approx(5 / 4) and found.loc[("k", 3), "each"] == pytest.approx([1, 1])


def test_importance_is_the_share_of_the_sum_of_squares_worked_out_by_hand():
    found = search.importance(made(both=1.0)).set_index("term")
    squares = {"k": 24 * 1.25**2, "optimizer": 24 * 0.25**2, "k × optimizer": 24 * 0.25**2, "seed": 24 * 0.5**2}
    squares |= {"n": 8 * (0.5**2 + 0.5**2)}  # 24 rows; with both = 1 the effects of k and sgd grow and shrink by 1/4
    total = sum(squares.values())
    for term, square in squares.items():
        assert found.loc[term, "share"] == pytest.approx(100 * square / total), term
    assert found["share"].sum() == pytest.approx(100) and found.index[-1] == "Residual"
    assert search.importance(made(noise=0.5))["share"].sum() == pytest.approx(100)  # with what nothing explains


def test_full_size_is_compared_with_the_papers_configuration_seed_by_seed():
    papers, other = search.PAPERS, (5, 16, 0.1, "sgd", 0.001, "relu")
    rows = [(*papers, 1, 90.0, 2.0), (*papers, 2, 92.0, 2.0), (*other, 1, 91.0, 1.0), (*other, 2, 93.5, 1.0)]
    table = search.against(pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"]))
    first = table.iloc[0]
    assert tuple(first[list(search.AXES)]) == other and first["seeds"] == 2 and first["cost"] == 0.5
    half = 12.706204736 * 0.25  # t of one degree of freedom × the standard error of 1.0 and 1.5
    assert first[["difference", "low", "high"]].tolist() == pytest.approx([1.25, 1.25 - half, 1.25 + half])
    assert table.iloc[1]["difference"] == 0
    rows.append((*other, 3, 99.0, 4.0))  # which has no pair
    more = search.against(pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"])).iloc[0]
    assert more[["seeds", "difference", "cost"]].tolist() == [3, 1.25, 1.0]


def test_the_grid_and_random_ask_everything_once_and_choose_the_best():
    for name in ("grid", "random"):
        asked, chosen, paid = searched(name)
        assert sorted(asked) == sorted(CONFIGS) and chosen == search.best(made(), 1)[0] and paid == 8 * len(CONFIGS)
    assert searched("grid")[0] == CONFIGS != searched("random")[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_hierarchy_begins_with_the_kernel_size_and_comes_to_the_optimiser_after_the_network(seed):
    asked, _, _ = searched("hierarchy", seed=seed)
    changed = [{name for name, a, b in zip(search.AXES, one, asked[0], strict=True) if a != b} for one in asked[1:]]
    assert changed[0] == {"k"} and ["optimizer" in one for one in changed] == [False] * (len(changed) - 1) + [True]


@pytest.mark.parametrize("seed", range(5))
def test_without_interactions_both_of_the_papers_ways_find_the_best_for_less_than_a_grid(seed):
    for name, most in (("one at a time", 1 + 1 + 2 + 1 + 1), ("hierarchy", 1 + 1 + 2 + 1)):
        asked, chosen, paid = searched(name, seed=seed)
        assert chosen == search.best(made(), 1)[0] and len(asked) <= most and paid == 8 * len(asked)


def test_where_two_axes_are_good_only_together_one_at_a_time_misses_them_and_a_level_of_both_does_not():
    trap = {
        one: [1.0 if (one[0], one[1]) == (3, 16) else 2.0 if (one[0], one[1]) == (5, 64) else 0.0] for one in CONFIGS
    }
    start = next(s for s in range(99) if strategies._shuffled(SPACE, np.random.default_rng(s))[0][:2] == (3, 16))
    assert searched("one at a time", trap, seed=start)[1][:2] == (3, 16)
    replay = strategies.Replay(trap, dict.fromkeys(trap, 1.0))
    assert strategies._best(replay, CONFIGS[0], ("k", "n"), SPACE)[:2] == (5, 64)


def test_halving_trains_the_better_half_twice_as_long_and_pays_for_each_epoch_once():
    asked, chosen, paid = searched("successive halving")
    assert sorted(asked) == sorted(CONFIGS) and chosen == search.best(made(), 1)[0]
    assert paid == 12 * 1 + 6 * 1 + 3 * 2 + 2 * 4  # 12, 6, 3 and 2 configurations up to epochs 1, 2, 4 and 8


def test_halving_begins_with_32_configurations_and_an_eighth_of_the_epochs_rounded_up():
    space = SPACE | {"n": list(range(16))}  # 64 configurations
    scores = dict.fromkeys(product(*space.values()), [1.0] * 20)
    replay = strategies.Replay(scores, dict.fromkeys(scores, 1.0))
    strategies.halving(replay, space, np.random.default_rng(0))
    assert replay.paid == 32 * 3 + 16 * 2 + 8 * 5 + 4 * 10  # up to epochs 3, 5, 10 and 20


def test_halving_loses_what_is_slow_at_first():
    scores = {one: [worth(one)] * 8 for one in CONFIGS} | {CONFIGS[-1]: [0.0] * 7 + [99.0]}
    assert searched("successive halving", scores)[1] != CONFIGS[-1] == searched("grid", scores)[1]


@pytest.mark.parametrize("seed", range(3))
def test_tpe_asks_ten_at_random_and_then_what_is_likelier_among_the_good_than_among_the_others(seed):
    space, rng = SPACE | {"p": [0.1, 0.2], "lr": [0.1, 0.2, 0.3]}, np.random.default_rng(seed)  # 72 configurations
    scores = {one: [worth(one) + rng.normal()] for one in product(*space.values())}
    orders = []
    for strategy in (strategies.tpe, strategies.random):
        strategy(replay := strategies.Replay(scores, dict.fromkeys(scores, 1.0)), space, np.random.default_rng(seed))
        orders.append(list(replay.asked))
    asked, shuffled = orders
    assert len(asked) == len(set(asked)) == 32 and asked[:10] == shuffled[:10]
    for i in range(10, len(asked)):
        ranked = sorted(asked[:i], key=scores.get, reverse=True)
        count = next(m for m in range(i) if m >= 0.15 * i)  # 2 of 10 to 13
        promise = dict.fromkeys(scores.keys() - set(asked[:i]), 1.0)
        for one, (axis, value) in product(promise, enumerate(space)):
            good, others = ([other[axis] == one[axis] for other in some] for some in (ranked[:count], ranked[count:]))
            values = len(space[value])
            promise[one] *= (sum(good) + 1) / (count + values) / (sum(others) + 1) * (i - count + values)
        assert promise[asked[i]] == pytest.approx(max(promise.values()))


def test_tpe_finds_the_best_of_a_table_in_32_questions_where_random_search_seldom_does():
    space = SPACE | {"n": [0, 1, 2, 3], "p": [0, 1, 2], "lr": [0, 1, 2]}  # 144 configurations
    scores = {one: [one[0] + one[1] + one[2] + 2 * (one[3] == "sgd") + one[4]] for one in product(*space.values())}
    found = {"TPE": 0, "random": 0}
    for name, seed in product(found, range(20)):
        replay = strategies.Replay(scores, dict.fromkeys(scores, 1.0))
        strategies.STRATEGIES[name](replay, space, np.random.default_rng(seed))
        found[name] += (5, 3, 2, "sgd", 2, "relu") in list(replay.asked)[:32]
        assert len(replay.asked) == {"TPE": 32, "random": 144}[name]
    assert found["TPE"] >= 18 and found["random"] <= 10


def test_what_was_asked_is_paid_once_and_the_choice_is_the_best_of_those_trained_longest():
    replay = strategies.Replay({"a": [1.0, 2.0], "b": [3.0, 0.5]}, {"a": 1.0, "b": 10.0})
    replay.ask("b", 1), replay.ask("a", 1), replay.ask("a"), replay.ask("a"), replay.ask("b")
    assert replay.trace == [(10, "b"), (11, "b"), (12, "a"), (12, "a"), (22, "a")]


def test_a_choice_is_judged_by_the_other_seed():
    lucky, steady = CONFIGS[:2]
    others = {one: [0.0, 2.0] for one in CONFIGS}  # after an epoch all are alike
    scores = {1: others | {lucky: [0.0, 9.0]}, 2: others | {lucky: [0.0, 5.0], steady: [0.0, 7.0]}}
    replays = strategies.replay(scores, dict.fromkeys(CONFIGS, 1.0), SPACE, 2)
    grid = {seed: some["regret"].tolist() for seed, some in replays.query("strategy == 'grid'").groupby("seed")}
    assert set(grid[1]) == {0.0}  # it begins with what it chooses
    assert grid[2] == [2.0 - 9.0] + [0.0] * (len(CONFIGS) - 1)  # ahead, by luck, until the choice is steady
    other = replays.query("strategy == 'random' and seed == 1")["regret"]
    assert {0.0, 5.0 - 2.0} <= set(other) <= {0.0, 5.0 - 2.0, 5.0 - 7.0}
    last = strategies.ends(replays).set_index("strategy")
    assert last.loc["grid", ["paid", "regret", "n"]].tolist() == [1.0, 0.0, 2]
    assert last.loc["random", "n"] == 4 and last.loc["hierarchy", "paid"] < 1


def test_each_replay_draws_an_order_of_its_own():
    scores = {seed: {one: [float(i)] for i, one in enumerate(CONFIGS)} for seed in (1, 2)}
    replays = strategies.replay(scores, dict.fromkeys(CONFIGS, 1.0), SPACE, 3).query("strategy == 'random'")
    assert replays.groupby(["seed", "replay"])["regret"].agg(tuple).nunique() == 6


def test_one_replay_in_ten_ends_worse_than_the_bad_regret_of_a_strategy():
    rows = [("random", 1, i, 1.0, float(i)) for i in range(11)]
    replays = pd.DataFrame(rows, columns=["strategy", "seed", "replay", "paid", "regret"])
    assert strategies.ends(replays)[["regret", "bad"]].values.tolist() == [[5.0, pytest.approx(9.0)]]


def test_regret_over_time_is_the_mean_of_steps_that_last_to_the_end():
    rows = [("s", 1, 0, 0.1, 4.0), ("s", 1, 0, 0.3, 2.0), ("s", 1, 1, 0.2, 1.0)]
    replays = pd.DataFrame(rows, columns=["strategy", "seed", "replay", "paid", "regret"])
    found = strategies.over_time(replays, np.array([0.1, 0.2, 0.3, 0.4]))["s"]
    assert found[0.2] == 2.5 and found[0.3] == 1.5 and np.isnan(found[0.1]) and np.isnan(found[0.4])


def test_a_score_is_that_of_the_lowest_loss_so_far_and_a_loss_that_is_no_number_is_none():
    history = pd.DataFrame({"val_loss": [3.0, 1.0, 2.0, np.nan], "val_accuracy": [0.5, 0.6, 0.9, 0.1]})
    assert strategies._so_far(history) == [50.0, 60.0, 60.0, 60.0]
    assert strategies._so_far(history.assign(val_accuracy=[0.7, 0.6, 0.9, 0.1])) == [70.0, 60.0, 60.0, 60.0]


ENDS = {"grid": (1.0, 0.05), "hierarchy": (0.2, 0.1), "one at a time": (0.1, 0.3), "random": (1.0, 0.2)}
ENDS |= {"TPE": (0.4, 0.7)}


def replayed(other=ENDS):
    """Return replays of two seeds that end as `ENDS`, and as ``other``, say: (paid, regret) of each strategy."""
    rows = [(name, s, 0, *end) for s, of in enumerate((ENDS, other)) for name, end in of.items()]
    return pd.DataFrame(rows, columns=["strategy", "seed", "replay", "paid", "regret"])


def test_the_search_concludes_with_the_table_s_choice_at_full_size_and_each_strategy_s_own_end():
    table = pd.concat([made(), made().iloc[:2].assign(**dict(zip(search.AXES, search.PAPERS, strict=True)))])
    table = table.assign(accuracy=table["accuracy"].mask(table["n"] == 512, 99.0))  # the paper's is best of all
    top = search.best(made(), 2)
    rows = [(*search.PAPERS, s, 90.0 + s, 1.0) for s in (1, 2)] + [(*top[0], s, 91.0 + s, 1.0) for s in (1, 2)]
    rows += [(*top[1], s, 95.0 + s, 1.0) for s in (1, 2)]  # the best of those seen there, which chose itself
    full = pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"])
    _, values = wishes.searching(table, replayed(), full)
    assert values["leader"].startswith("k = 3, n = 64") and values["difference"] == 1.0 and values["seeds"] == 2
    assert values["alike"].startswith("k = 3, n = 512") and values["further"] == 1.0
    alike = made().assign(accuracy=lambda f: f["accuracy"] + 1.5 * (f["optimizer"] == "sgd"))
    _, told = wishes.searching(
        alike, replayed(), full.replace({"n": {32: 64}}).assign(optimizer=["adam"] * 4 + ["sgd"] * 2)
    )
    assert told["leader"].startswith("k = 3, n = 64, p = 0.1, optimizer = sgd, lr = 0.03")
    assert told["alike"].startswith("k = 3, n = 64, p = 0.1, optimizer = adam, lr = 0.001")
    assert (told["difference"], told["further"], told["further low"], told["further high"]) == (5.0, 4.0, 4.0, 4.0)
    assert (values["one"]["regret"], values["other"]["regret"]) == (0.1, 0.3)
    assert (values["hierarchy"], values["independent"]) == pytest.approx((20, 10))
    assert (values["tpe"]["regret"], values["tpe paid"]) == pytest.approx((0.7, 40))
    shares = search.importance(table).set_index("term")["share"].drop("seed")
    assert values["first"]["share"] == pytest.approx(100 * shares.max() / shares.sum())


def test_the_search_concludes_with_the_interval_of_its_choice_and_with_random_at_the_hierarchys_price():
    earlier = [("random", seed, 0, *step) for seed in (0, 1) for step in ((0.1, 0.9), (0.2, 0.5))]
    ends = replayed(ENDS | {"grid": (1.0, 0.25)})
    replays = pd.concat([pd.DataFrame(earlier, columns=ends.columns), ends], ignore_index=True)
    top = search.best(made(), 1)[0]
    rows = [(*search.PAPERS, s, 90.0, 1.0) for s in (1, 2)] + [(*top, s, 90.0 + s, 1.0) for s in (1, 2)]
    full = pd.DataFrame(rows, columns=[*search.AXES, "seed", "accuracy", "teraflop"])
    _, values = wishes.searching(made(), replays, full)
    half = 12.706204736 * 0.5  # t of one degree of freedom × the standard error of 1.0 and 2.0
    assert (values["difference"], values["low"], values["high"]) == pytest.approx((1.5, 1.5 - half, 1.5 + half))
    assert values["random"] == 0.5  # of 0.2 of a grid, which the hierarchy pays; one at a time pays 0.1


@pytest.mark.parametrize(
    ("swapped", "said"),
    [
        ({}, "the hierarchy has"),
        ({"hierarchy": (0.2, 0.4)}, "neither has"),
        ({"one at a time": (0.1, 0.1)}, "neither has"),
        ({"one at a time": (0.1, 0.19)}, "neither has"),  # by less than the margin
    ],
)
def test_one_way_of_searching_is_called_better_if_it_is_so_on_every_seed(swapped, said):
    assert wishes._better(replayed(ENDS | swapped)) == said


def test_one_at_a_time_is_called_better_where_it_is():
    turned = replayed().replace({"strategy": {"hierarchy": "one at a time", "one at a time": "hierarchy"}})
    assert wishes._better(turned) == "one at a time has"


def test_the_charts_of_the_search_draw_every_value_term_and_strategy():
    fig, axes = plt.subplots(1, 3)
    effects, shares = search.effects(made()), search.importance(made(noise=0.1))
    drawn = charts.effects(axes[0], effects)
    assert [label.get_text() for label in drawn.get_yticklabels()][:2] == ["k = 3", "k = 5"]
    assert [bar.get_width() for bar in charts.importance(axes[1], shares).patches] == pytest.approx(
        list(shares["share"])
    )
    curves = pd.DataFrame({"grid": [3.0, 1.0], "hierarchy": [2.0, np.nan]}, index=[0.1, 1.0])
    lines = charts.regret(axes[2], curves).lines
    assert [list(line.get_xdata()) for line in lines][:4] == [[10, 100], [100], [10], [10]]
    every = charts.regret(axes[0], pd.DataFrame({name: [2.0, 1.0] for name in strategies.STRATEGIES}))
    drawn = [line for line in every.lines if line.get_label() in strategies.STRATEGIES]
    assert [line.get_label() for line in drawn] == list(strategies.STRATEGIES)
    assert len({line.get_color() for line in drawn}) == len(drawn)
    plt.close(fig)
