"""Second opinions, effects of the grid, ranks, luck: each held against something that does not share its code."""

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from test_tables_stats import SLEEP, scored

from fmnist_lib import UserError
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.run import read
from fmnist_lib.study import certainty, claims, effects, gap, luck, opinions, ranks, results, stats
from fmnist_lib.study.paper import GRID, TABLE_1, TABLE_2, WINNER

MODELS = list(TABLE_1)


# Second opinions on one effect


def test_the_bca_interval_is_the_one_that_its_formula_gives():
    values = np.array([0.1, 0.3, 0.2, 1.9, 0.4, 0.0, 0.6, 0.2])
    rng, n = np.random.default_rng(5), len(values)
    draws = np.sort(rng.choice(values, (200_000, n)).mean(axis=1))
    bias = scipy.stats.norm.ppf((np.mean(draws < values.mean()) + np.mean(draws <= values.mean())) / 2)
    leave = values.mean() - np.array([np.delete(values, i).mean() for i in range(n)])  # the jackknife's skewness
    a = (leave**3).sum() / (6 * (leave**2).sum() ** 1.5)
    for level in (0.95, 0.8):
        z = scipy.stats.norm.ppf([0.5 - level / 2, 0.5 + level / 2])
        expected = np.quantile(draws, scipy.stats.norm.cdf(bias + (bias + z) / (1 - a * (bias + z))))
        assert stats.bca_interval(values, level) == pytest.approx(expected, abs=0.02)
    plain = np.quantile(draws, [0.025, 0.975])
    assert stats.bca_interval(values)[1] > plain[1] + 0.03  # skewed, and so its interval


@given(st.lists(st.integers(-6, 6), min_size=2, max_size=8), st.sampled_from([0, 1]))
def test_the_sign_flip_counts_the_flips_whose_mean_is_at_least_as_far(values, at):
    apart = np.array(values, float) - at
    sums = [abs(np.dot(signs, apart)) for signs in itertools.product((1, -1), repeat=len(apart))]
    assert stats.sign_flip(values, at) == pytest.approx(np.mean(np.array(sums) >= abs(apart.sum()) - 1e-9))


def test_the_sign_flip_of_students_example_is_near_its_t_test_and_twenty_seeds_are_drawn():
    assert stats.sign_flip(SLEEP) == 4 / 2**10  # nine gain and one neither gains nor loses
    many = np.random.default_rng(1).normal(0.5, 1, 20)
    assert stats.sign_flip(many) == pytest.approx(scipy.stats.ttest_1samp(many, 0).pvalue, abs=0.02)
    assert stats.sign_flip(many) == stats.sign_flip(many)


def test_mcnemar_is_the_exact_binomial_of_the_images_on_which_they_differ():
    a = np.array([1] * 70 + [1] * 12 + [0] * 3 + [0] * 15)
    b = np.array([1] * 70 + [0] * 12 + [1] * 3 + [0] * 15)
    assert stats.mcnemar(a, b) == (12, 3, pytest.approx(scipy.stats.binomtest(3, 15).pvalue))
    assert stats.mcnemar(b, a)[:2] == (3, 12)
    assert stats.mcnemar(a, a) == (0, 0, 1.0)


def test_folds_are_corrected_for_the_images_that_they_share():
    values, n = [0.3, 0.5, 0.1, 0.4, 0.2, 0.6], 6  # d̄ / √((1/J + n_val/n_train) s²), J = 6: 10,000 against 50,000
    low, high = stats.folds_interval(values, 10_000, 50_000)
    half = scipy.stats.t.ppf(0.975, n - 1) * math.sqrt((1 / 6 + 1 / 5) * np.var(values, ddof=1))
    assert (low, high) == pytest.approx((0.35 - half, 0.35 + half))
    assert stats.folds_interval(values, 0, 50_000) == pytest.approx(stats.mean_interval(values))


def test_a_prediction_interval_holds_one_more_run_as_often_as_it_says():
    rng = np.random.default_rng(2)
    tries = [rng.normal(92, 0.2, 6) for _ in range(1500)]
    intervals = [stats.prediction_interval(values[:5], 0.9) for values in tries]
    held = np.mean([low < values[5] < high for values, (low, high) in zip(tries, intervals, strict=True)])
    assert held == pytest.approx(0.9, abs=0.025)
    ts = [stats.prediction_t(values[5], values[:5]) for values in tries]
    assert scipy.stats.kstest(ts, scipy.stats.t(4).cdf).pvalue > 0.01


@pytest.mark.parametrize("values", [[], [0.3]])
def test_from_fewer_than_two_seeds_no_second_opinion_says_anything(values):
    for interval in (stats.bca_interval(values), stats.prediction_interval(values), stats.folds_interval(values, 1, 5)):
        assert np.isnan(interval).all()
    assert stats.sign_flip(values) == 1.0 and math.isnan(stats.prediction_t(1.0, values))


def test_seeds_that_agree_have_a_defined_second_opinion():
    values = [0.2] * 4
    assert stats.bca_interval(values) == stats.prediction_interval(values) == pytest.approx((0.2, 0.2))
    assert stats.sign_flip(values) == 2 / 2**4 and stats.sign_flip([0.0] * 4) == 1.0
    assert math.isnan(stats.prediction_t(0.3, values))


# Effects of k, n and p


def grid_of(seeds=6, noise=0.2, **known):
    """Make up a score of the twelve models: a seed's own level, noise, and known effects of (k, n, p)."""
    rng = np.random.default_rng(seeds)
    cells = {f"CNN{k}-{n}-{p:g}": (k, n, p) for k, n, p in itertools.product(*GRID.values())}
    scores = pd.DataFrame({name: [92.0] * seeds for name in MODELS})
    for name, (k, n, p) in cells.items():
        scores[name] += known.get("k", 0) * (k == 3) + known.get("n", 0) * (n == 512) + known.get("p", 0) * (p == 0.25)
        scores[name] += known.get("kp", 0) * (k == 3 and p == 0.25)
    return scores + noise * rng.normal(size=scores.shape) + rng.normal(size=(seeds, 1))


def test_effects_are_the_differences_that_were_put_in():
    found = effects.effects(grid_of(2, noise=0, k=0.8, n=0.3, p=-0.2, kp=0.4))["estimate"]
    assert found["k: 3 − 5"] == pytest.approx(0.8 + 0.4 / 2)
    assert found["p: 0.25 − 0.1"] == pytest.approx(-0.2 + 0.4 / 2)
    assert found["n: 512 − 128"] == pytest.approx(0.3)
    assert found["n: 256 − mean of 128 and 512"] == pytest.approx(-0.15)
    assert found["k: 3 − 5 × p: 0.25 − 0.1"] == pytest.approx(0.4)
    assert len(found) == 11 and found.drop(found.index[:5]).abs().max() > 0.39


@pytest.mark.parametrize("level", [1.0, 0.0])  # of the seeds; without one of its own, its variance is on its edge, 0
def test_effects_and_their_errors_are_those_of_statsmodels_mixed_model(level):
    scores = grid_of(k=0.5, p=0.1)
    scores = scores.sub((1 - level) * scores.mean(axis=1), axis=0)
    long = scores.rename_axis("seed").reset_index().melt("seed", var_name="model")
    long[["k", "n", "p"]] = long["model"].str.extract(r"CNN(\d)-(\d+)-(.+)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = smf.mixedlm("value ~ C(k, Sum) * C(n, Sum) * C(p, Sum)", long, groups="seed").fit()
    found = effects.effects(scores).loc["k: 3 − 5"]
    assert found["estimate"] == pytest.approx(2 * fit.params["C(k, Sum)[S.3]"])
    freedom = 55 if level else 60  # five seeds' worth of eleven; and those of the seeds
    half = scipy.stats.t.ppf(0.975, freedom) * 2 * fit.bse["C(k, Sum)[S.3]"]
    assert (found["low"], found["high"]) == pytest.approx(
        (found["estimate"] - half, found["estimate"] + half), rel=1e-3
    )
    weak = effects.effects(scores).loc["p: 0.25 − 0.1"]
    t = scipy.stats.t.ppf(0.975, freedom) * weak["estimate"] / half  # of as many networks as k's
    assert 1e-3 < weak["p"] == pytest.approx(2 * scipy.stats.t.sf(abs(t), freedom), rel=0.01)


def test_one_seed_or_seeds_alike_have_effects_without_intervals_and_none_is_refused():
    for scores in (grid_of(1), pd.concat([grid_of(1)] * 3, ignore_index=True)):
        found = effects.effects(scores)
        assert found["estimate"].notna().all() and found[["low", "high", "p"]].isna().all(axis=None)
    lacking = grid_of(3)
    lacking.loc[1, "CNN5-128-0.1"] = np.nan
    assert (effects.effects(lacking)["n"] == 2).all()
    pd.testing.assert_frame_equal(effects.effects(lacking), effects.effects(lacking.dropna()))
    k = effects.design()["k: 3 − 5"] / 3
    low_high = effects.effects(lacking).loc["k: 3 − 5", ["low", "high"]]
    assert effects.contrast(lacking, k) == pytest.approx(tuple(low_high))
    with pytest.raises(UserError, match="no seed has all twelve"):
        effects.effects(grid_of(1).assign(**{"CNN5-128-0.1": np.nan}))


# Ranks


def test_the_probability_of_being_first_is_that_of_all_ways_to_draw_the_seeds():
    scores = pd.DataFrame({"a": [3.0, 0.0, 1.0], "b": [2.0, 2.0, 0.9], "c": [0.0, 0.5, 0.0]})
    first = {name: 0.0 for name in scores}
    for drawn in itertools.product(range(3), repeat=3):
        means = scores.iloc[list(drawn)].mean()
        best = means.index[np.isclose(means, means.max())]
        for name in best:
            first[name] += 1 / len(best) / 27
    found = ranks.ranks(scores)
    assert found["first"].to_dict() == pytest.approx(first, abs=0.02)
    assert found["rank"].to_dict() == {"b": 1, "a": 2, "c": 3} and list(found.index) == ["b", "a", "c"]
    assert found.loc["b", ["low", "high"]].tolist() == [1, 2] and found.loc["c", "low"] == 2
    pd.testing.assert_frame_equal(found, ranks.ranks(scores))


def test_a_rank_from_one_seed_has_no_interval_and_models_alike_share_the_first_place():
    one = ranks.ranks(pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, 3.0]}))
    assert (
        one["rank"].tolist() == [1, 2] and one[["low", "high", "first"]].isna().all(axis=None) and one["n"].eq(1).all()
    )
    alike = ranks.ranks(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}))
    assert alike["first"].tolist() == [0.5, 0.5] and alike["rank"].tolist() == [1, 1]


def test_an_order_like_the_seeds_surprises_nobody_and_the_reverse_does():
    scores = pd.DataFrame(np.arange(12.0)[::-1] + 0.5 * np.random.default_rng(0).normal(size=(9, 12)), columns=MODELS)
    order = pd.Series(np.arange(12.0)[::-1], MODELS)
    tau, each, p = ranks.agreement(scores, order)
    assert tau > 0.9 and len(each) == 9 and p > 0.1
    turned = scores.assign(**{"CNN-Nahuel": 0.0})[["CNN-Nahuel", *MODELS[::-1]]]  # whatever else stands where
    assert ranks.agreement(turned, order)[0] == pytest.approx(tau)
    tau, _, p = ranks.agreement(scores, -order)
    assert tau == pytest.approx(-1, abs=0.1) and p == 0.1  # the least of ten
    noisy = pd.DataFrame(np.random.default_rng(8).normal(size=(2, 12)), columns=MODELS)
    expected = scipy.stats.kendalltau(noisy.iloc[0], (noisy.iloc[1] + order) / 2).statistic
    assert ranks.agreement(noisy, order)[1][0] == pytest.approx(expected)  # itself left out of the mean
    assert math.isnan(ranks.agreement(scores.head(1), order)[0])


def test_an_order_that_is_one_more_seed_is_called_surprising_no_more_often_than_it_should():
    rng = np.random.default_rng(3)
    level = np.linspace(0, 0.5, 12)
    ps = []
    for _ in range(80):
        drawn = pd.DataFrame(level + 0.3 * rng.normal(size=(10, 12)), columns=MODELS)
        ps.append(ranks.agreement(drawn.iloc[1:], drawn.iloc[0])[2])
    assert np.mean(np.array(ps) <= 0.1) == pytest.approx(0.1, abs=0.09)


# Luck


def made_up_answers(images=20_000, seeds=8, shared=0.0, start=0):
    """Draw which networks are right: image by image on its own, and by a level of the network's own."""
    rng = np.random.default_rng(start)
    p = np.clip(rng.beta(4, 0.4, size=(images, 1)) + shared * rng.normal(size=(1, seeds)), 0, 1)
    return rng.random((images, seeds)) < p, p.mean(axis=1)


def test_the_spread_is_taken_apart_as_it_was_put_together():
    tries = [made_up_answers(4000, start=i) for i in range(40)]
    found = pd.DataFrame([luck.spread(right) for right, _ in tries])
    p = tries[0][1]
    assert (found["images"] ** 2).mean() ** 0.5 == pytest.approx(100 * math.sqrt(np.mean(p * (1 - p)) / 4000), rel=0.05)
    assert (found["seen"] ** 2).mean() ** 0.5 == pytest.approx((found["images"] ** 2).mean() ** 0.5, rel=0.15)
    assert found["test set"].mean() == pytest.approx(100 * math.sqrt(np.var(p) / 4000), rel=0.05)
    assert (found["networks"] ** 2).mean() < 0.5 * (found["seen"] ** 2).mean()  # of networks alike only chance is left
    apart = luck.spread(made_up_answers(shared=0.02)[0])
    assert apart["networks"] == pytest.approx(2.0, rel=0.6) and apart["networks"] > 5 * apart["images"]


def test_the_agreement_is_the_share_of_pairs_and_one_seed_has_no_spread():
    right, _ = made_up_answers(300, 4)
    pairs = [np.mean(right[:, i] == right[:, j]) for i, j in itertools.combinations(range(4), 2)]
    assert luck.spread(right)["agreement"] == pytest.approx(np.mean(pairs))
    alone = luck.spread(right[:, :1])
    assert alone.pop("seeds") == 1 and np.isnan(list(alone.values())).all()
    same = luck.spread(np.repeat(right[:, :1], 3, axis=1))
    assert same["seen"] == same["images"] == 0 and same["agreement"] == 1


def test_the_images_that_every_network_gets_wrong_are_told_with_what_most_take_them_for(tmp_path):
    label = np.array([0, 1, 2, 3, 4])  # of the last one network is right
    said = {"ANN-Juan-0.1": [[0, 2, 3, 5, 5], [0, 2, 3, 3, 5]], "CNN-Nahuel": [[4, 2, 4, 3, 5], [0, 2, 3, 3, 4]]}
    runs = []
    for model, answers in said.items():
        for seed, predicted in enumerate(answers):
            run = scored(tmp_path, model, seed)
            images = pd.DataFrame({"label": label, "predicted": predicted, "probability": 0.9, "loss": 0.2})
            whole = pd.concat([images, images.iloc[[0] * 9995].assign(predicted=0)], ignore_index=True)
            run.attach(record.TEST, contents.pack_answers(whole))
            runs.append(read(run.folder))
    answers = luck.answered([*runs, scored(tmp_path, "CNN5-128-0.1")])
    assert list(answers) == ["ANN-Juan", "CNN-Nahuel"] and len(answers["ANN-Juan"].columns) == 3
    found = luck.shared_mistakes(answers)
    assert list(found.index) == [1, 2] and found["predicted"].tolist() == [2, 3]
    assert found["share"].tolist() == [1.0, 0.75] and found["label"].tolist() == [1, 2]
    assert luck.shared_mistakes({}).empty
    assert luck.spreads(answers).loc["CNN-Nahuel", "seen"] == pytest.approx(
        100 * np.std([0.9996, 0.9998], ddof=1), rel=1e-6
    )


def test_two_models_are_compared_on_the_same_images_seed_by_seed(tmp_path):
    label, runs = np.zeros(10_000, int), []
    wrong = {("CNN-Nahuel", 0): 30, ("CNN-Nahuel", 1): 10, ("ANN-Juan-0.25", 0): 40, ("ANN-Juan-0.1", 2): 5}
    for (model, seed), count in wrong.items():
        run = scored(tmp_path, model, seed)
        predicted = (np.arange(10_000) < count).astype(int) if model == "CNN-Nahuel" else label.copy()
        predicted[10_000 - count :] |= model != "CNN-Nahuel"  # elsewhere
        images = pd.DataFrame({"label": label, "predicted": predicted, "probability": 0.9, "loss": 0.2})
        run.attach(record.TEST, contents.pack_answers(images))
        runs.append(read(run.folder))
    found = luck.pairs(runs, "CNN-Nahuel", "ANN-Juan")
    assert found.iloc[0, :3].tolist() == [42, 40, 30] and len(found) == 1  # seed 0 alone has both
    assert found["p"].iloc[0] == pytest.approx(scipy.stats.binomtest(30, 70).pvalue)


# The paper's numbers among ours


def scores_of(model, epochs, losses, accuracies, status="finished"):
    columns = {"epoch": epochs, "loss": losses, "accuracy": accuracies}
    return pd.DataFrame(columns).assign(
        model=model, status=status, run=[f"{model}-{i}-{status}" for i in range(len(epochs))]
    )


def test_a_number_of_the_paper_is_inside_where_one_more_run_should_lie():
    ours = scores_of("CNN-Nahuel", [18.0, 21.0, 19.0, 20.0], [0.23, 0.24, 0.25, 0.24], [92.0, 92.2, 92.4, 92.6])
    found = certainty.numbers(pd.concat([ours, scores_of("CNN-Nahuel", [1], [9.0], [1.0], "diverged")]), TABLE_2)
    row = found.set_index(["model", "score"]).loc["CNN-Nahuel"]
    sd, mean = np.std([92.0, 92.2, 92.4, 92.6], ddof=1), 92.3
    assert row.loc["accuracy", "t"] == pytest.approx((90.11 - mean) / (sd * math.sqrt(1.25)))
    assert row.loc["accuracy", "most"] == pytest.approx(mean + scipy.stats.t.ppf(0.975, 3) * sd * math.sqrt(1.25))
    assert row["inside"].to_dict() == {"epoch": True, "loss": False, "accuracy": False} and (row["n"] == 4).all()
    assert certainty.outside(found)["score"].tolist() == ["accuracy", "loss"]  # the least likely first
    assert len(found) == 9 and found.loc[found["model"] == "ANN-Juan", "inside"].isna().all()


def drawn(seeds=4):
    """Return a frame of runs, searches and retrainings of each seed, whose scores are drawn around 15."""
    rows = [("search", m, seed) for m in TABLE_1 for seed in range(seeds)]
    rows += [("retraining", m, seed) for m in TABLE_2 for seed in range(seeds)]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rows, columns=["role", "model", "weights_seed"]).assign(status="finished", kernels="torch")
    frame["run"] = [f"run-{i}" for i in range(len(frame))]
    for name in ("device", "precision", "torch", "capability", "variables"):
        frame[name] = "x"
    for name in ("best_epoch", "epochs", "best_val_loss", "test_loss", "best_val_accuracy", "test_accuracy"):
        frame[name] = rng.normal(15, 1, len(frame))
    return frame.assign(seed=frame["weights_seed"])


def test_the_winners_epoch_which_both_tables_give_counts_once():
    found = certainty.among(drawn())
    assert len(found) == 45 and found["inside"].notna().sum() == 44
    assert (found["n"] == 4).all()  # though searches were tested too
    uncounted = found[found["inside"].isna()].iloc[0]
    assert (uncounted["table"], uncounted["model"], uncounted["score"]) == ("II", "CNN3-512-0.1", "epoch")


def test_a_seed_is_held_against_the_others_number_by_number():
    frame = drawn(5)
    scores = ["best_epoch", "epochs", "best_val_loss", "test_loss", "best_val_accuracy", "test_accuracy"]
    frame.loc[frame["seed"] == 3, scores] += 100.0  # of it no number lies inside, and beside it every other does
    assert certainty.held_out(frame) == [0, 0, 0, 44, 0]
    frame.loc[(frame["seed"] == 3) & (frame["model"] == "CNN5-128-0.1"), "status"] = "diverged"
    assert certainty.held_out(frame)[3] == 41
    assert certainty.held_out(drawn(2)) == certainty.held_out(drawn(1)) == []


def test_independent_numbers_are_held_out_as_often_as_chance_says():
    assert np.mean(certainty.held_out(drawn(16))) == pytest.approx(0.05 * 44, abs=1.0)


def test_one_more_run_loses_as_much_as_the_searches_and_retrainings_of_the_winner():
    columns = pd.MultiIndex.from_product([["accuracy", "test", "validation"], [WINNER, "CNN-Nahuel"]])
    scores = pd.DataFrame(np.random.default_rng(2).normal(92, 0.3, (6, 6)), columns=columns)
    lost = scores["accuracy", WINNER] - scores["test", WINNER]
    half = scipy.stats.t.ppf(0.975, 5) * lost.std() * math.sqrt(7 / 6)
    assert gap.one_more(scores) == pytest.approx({"least": lost.mean() - half, "most": lost.mean() + half, "n": 6})


def test_the_paper_ranks_its_winner_first_and_its_lowest_last():
    ranked = pd.DataFrame({"rank": range(1, 13)}, index=MODELS)
    theirs = certainty.papers_rank(ranked, TABLE_1).set_index("model")["paper"]
    higher = {model: sum(other[2] > TABLE_1[model][2] for other in TABLE_1.values()) for model in MODELS}
    assert theirs["CNN3-512-0.1"] == 1 and (theirs - 1).to_dict() == higher


@pytest.mark.parametrize(("seeds", "decides"), [(8, False), (9, True)])
def test_a_p_value_that_no_effect_could_bring_below_the_level_is_no_opinion(seeds, decides):
    effect = pd.Series(np.linspace(1, 2, seeds))
    assert opinions._by_p(stats.sign_test(effect), effect, 0.0, 1 - 0.05 / 12) == ("+" if decides else "")


def test_from_one_seed_or_seeds_alike_no_number_is_near_or_far():
    for n in (1, 3):
        found = certainty.numbers(scores_of("CNN-Nahuel", [18.0] * n, [0.23] * n, [92.0] * n), TABLE_2)
        assert found[["t", "inside"]].isna().all(axis=None) and certainty.outside(found).empty


# The gap between validation and test


def test_the_best_of_twelve_is_as_much_too_high_as_the_greatest_of_twelve_draws():
    scores = pd.DataFrame(92 + 0.3 * np.random.default_rng(4).normal(size=(400, 12)), columns=MODELS)
    scores = scores + np.random.default_rng(5).normal(size=(400, 1))  # the seeds' own levels favour nobody
    size, low, high, n = gap.curse(scores)
    assert (
        size == pytest.approx(0.3 * 1.629, rel=0.05) and n == 400
    )  # 1.629: the mean of the greatest of twelve normals
    ends = 0.3 * scipy.stats.norm.ppf(np.array([0.025, 0.975]) ** (1 / 12))
    assert (low, high) == pytest.approx(tuple(ends), rel=0.06)
    zero, down, up, _ = gap.split_luck(scores)
    assert zero == 0 and up == -down == pytest.approx(scipy.stats.t.ppf(0.975, 399) * 1.0, rel=0.12)
    noise = pd.DataFrame(0.3 * np.random.default_rng(7).normal(size=(400, 12)), columns=MODELS)
    small = noise + 0.05 * np.random.default_rng(8).normal(size=(400, 1))  # less than the mean of twelve residuals
    assert gap.split_luck(small)[2] == pytest.approx(scipy.stats.t.ppf(0.975, 399) * 0.05, rel=0.25)
    apart = noise.sub(noise.mean(axis=1), axis=0)
    assert gap.split_luck(apart)[1:3] == (0.0, 0.0)  # seeds that are alike share no luck
    sure = pd.DataFrame([[93.0] + [92.0] * 11] * 3, columns=MODELS)
    assert gap.curse(sure)[0] == 0
    ahead = scores.assign(**{"CNN3-512-0.1": scores["CNN3-512-0.1"] + 5})  # it wins whatever its luck is
    assert gap.curse(ahead)[0] == pytest.approx(0, abs=0.02)


def test_the_rivals_of_the_gap_add_up_to_the_papers_and_one_seed_has_only_what_it_shows():
    columns = results.papers().columns
    scores = pd.DataFrame(np.random.default_rng(6).normal(92, 0.2, (5, len(columns))), columns=columns)
    found = gap.rivals(scores, pd.Series([0.8, 0.9])).set_index("name")
    assert found["size"].iloc[1:].sum() == pytest.approx(92.44 - 90.89)
    assert found.loc[gap.NAMES["mode"], "size"] == pytest.approx(0.85)
    said = {"curse": "best of twelve", "epoch": "best epoch", "test": "test images", "split": "split"}
    for name, words in said.items():
        assert words in gap.NAMES[name] and gap.NAMES[name] in found.index, name
    lost = scores["accuracy", "CNN3-512-0.1"] - scores["validation", "CNN3-512-0.1"]
    expected = scipy.stats.ttest_1samp(lost, 0).confidence_interval(0.95)
    assert found.loc[gap.NAMES["epoch"], ["size", "low", "high"]].tolist() == pytest.approx([lost.mean(), *expected])
    harder = [scores["validation", m] - scores["test", m] for m in ("CNN-Nahuel", "ANN-Juan")]
    assert found.loc[gap.NAMES["test"], "size"] == pytest.approx(np.mean(harder))
    assert found.loc[gap.NAMES["split"], ["size", "low", "high", "n"]].tolist() == [*gap.split_luck(scores["accuracy"])]
    assert found.loc[gap.NAMES["curse"], ["size", "low", "high", "n"]].tolist() == [*gap.curse(scores["accuracy"])]
    scores.loc[4, ("test", "CNN-Nahuel")] = np.nan  # and of the fifth seed no mean over both rivals
    told = gap.rivals(scores).set_index("name").loc[gap.NAMES["test"]]
    assert (told["n"], told["size"]) == (4, pytest.approx(pd.concat(harder, axis=1)[:4].mean(axis=None)))
    one = gap.rivals(scores.head(1)).set_index("name")
    assert one.loc[[gap.NAMES["curse"], gap.NAMES["split"]], "size"].isna().all() and gap.NAMES["mode"] not in one.index


# Opinions beside the rule


def test_the_mixed_models_contrast_of_a_pattern_is_the_effect_of_its_factor():
    both = {"accuracy": grid_of(k=0.5, p=0.1), "loss": grid_of(5, p=-0.3)}
    scores = pd.concat(both, axis=1).reindex(columns=results.papers().columns)
    parts = {(part.claim, part.words): part for part in claims.PARTS}
    found = effects.effects(scores["accuracy"], 0.99)
    same = {"P1": "k: 3 − 5", "P3": "p: 0.25 − 0.1"}
    lost = effects.effects(scores["loss"], 0.99).loc["p: 0.25 − 0.1", ["low", "high"]]
    assert opinions.mixed(parts["P2", "loss, p: 0.25 − 0.1"], scores, 0.99) == pytest.approx(tuple(lost))
    for (claim, words), part in parts.items():
        low, high = opinions.mixed(part, scores, 0.99)
        if claim in same or words == "n: 512 − 128":
            assert (low, high) == pytest.approx(tuple(found.loc[same.get(claim, "n: 512 − 128"), ["low", "high"]]))
        elif claim in ("S1", "S2") or words.startswith("loss"):
            assert (low + high) / 2 == pytest.approx(part.effect(scores).mean())
        elif words not in ("n: 256 − 128", "n: 512 − 256"):
            assert np.isnan([low, high]).all(), part  # not of the grid's accuracies or losses alone


def test_an_opinion_differs_where_it_puts_the_effect_on_another_side():
    columns = results.papers().columns
    scores = pd.DataFrame(92.0, index=range(11, 21), columns=columns)
    scores["validation", "CNN3-512-0.1"] = 92 + np.array([0.01, 0.02, 0.01, 0.03, 0.02, 0.01, 0.02, 0.05, 0.9, 0.02])
    found = opinions.opinions(claims.judge(results.frame([])), scores).set_index("id")
    row = found.loc["S6"]  # all ten above 0, one far: Student's interval holds 0, the signs all say the same
    assert (row["rule"], row["sign test"], row["signs flipped"]) == ("0", "+", "+") and "sign test" in row["differs"]
    assert row["mixed model"] == "" and found.loc["S13", "differs"] == ""
    none = opinions.opinions(claims.judge(results.frame([])), scores.head(1))
    assert (none["rule"] == "").all() and (none["differs"] == "").all()


def test_an_effect_near_zero_is_below_a_bound_of_two_by_every_opinion_at_the_familys_level(monkeypatch):
    scores = pd.DataFrame(92.0, index=range(11, 21), columns=results.papers().columns)
    scores.loc[:, ("test", "ANN-Juan")] = 92 + 0.01 * np.arange(-5, 5)  # S9: below two points
    levels = []
    bca = stats.bca_interval
    monkeypatch.setattr(stats, "bca_interval", lambda effect, level=0.95: levels.append(level) or bca(effect, level))
    found = opinions.opinions(claims.judge(results.frame([])), scores).set_index("id")
    said = found.loc["S9", ["rule", "bootstrap", "signs flipped", "sign test"]]
    assert (said == "−").all(axis=None) and set(levels) == {1 - 0.05 / 12, 1 - 0.05 / 5}
    assert (found.loc["S9", "sign p"] == 2 / 2**10).all()
    assert found.loc["P5", "rule"] == "−"  # no epoch of 92 is inside, and so their share is below four in five


def only(claim, monkeypatch):
    """Leave this claim alone, at its family's level; the others take long."""
    level, parts = claims.level(claim), [part for part in claims.PARTS if part.claim == claim]
    monkeypatch.setattr(claims, "PARTS", parts)
    monkeypatch.setattr(claims, "level", lambda _: level)
    return level


def test_an_effect_between_two_levels_is_undecided_by_every_opinion_and_a_seed_without_it_counts_for_none(monkeypatch):
    level = only("P1", monkeypatch)
    accuracy = grid_of(10, k=0.09)
    each = accuracy.filter(like="CNN3").mean(axis=1) - accuracy.filter(like="CNN5").mean(axis=1)
    assert 0.01 < scipy.stats.ttest_1samp(each, 0).pvalue < 0.05
    accuracy.loc[10, "CNN5-128-0.1"] = 92.0  # one of twelve
    scores = pd.concat({"accuracy": accuracy}, axis=1).reindex(columns=results.papers().columns)
    (row,) = opinions.opinions(pd.DataFrame({"id": ["P1"]}), scores).to_dict("records")
    assert [row[name] for name in ("rule", "signs flipped", "sign test", "mixed model")] == ["0"] * 4
    assert (row["n"], row["sign p"]) == (10, scipy.stats.binomtest(9, 10).pvalue) and level == 0.99


def test_the_sign_test_puts_an_effect_on_the_side_of_most_seeds_though_their_mean_is_on_the_other(monkeypatch):
    only("S6", monkeypatch)
    scores = pd.DataFrame(92.0, index=range(20), columns=results.papers().columns)
    scores["test", "CNN3-512-0.1"] = [92.0 - 0.1] * 17 + [92.0 + 5] * 3
    (row,) = opinions.opinions(pd.DataFrame({"id": ["S6"]}), scores).to_dict("records")
    assert (row["rule"], row["sign test"]) == ("0", "+") and row["sign p"] == scipy.stats.binomtest(17, 20).pvalue


def test_the_sign_test_cannot_decide_where_too_few_seeds_are_on_a_side(monkeypatch):
    only("S6", monkeypatch)
    scores = pd.DataFrame(92.0, index=range(20), columns=results.papers().columns)
    scores["test", "CNN3-512-0.1"] = [92.0] * 16 + [91.9] * 4
    (row,) = opinions.opinions(pd.DataFrame({"id": ["S6"]}), scores).to_dict("records")
    assert row["sign p"] == 2 * 0.5**4 and (row["rule"], row["sign test"], row["signs flipped"]) == ("0", "", "0")
