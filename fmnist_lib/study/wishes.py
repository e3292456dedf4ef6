"""What the studies of the paper's wishes conclude: a sentence and the numbers in it, as in `conclusions`."""

import numpy as np
import pandas as pd

from fmnist_lib import data
from fmnist_lib.study import beyond, folds, search, stats, strategies, tradeoff
from fmnist_lib.study.conclusions import Conclusion
from fmnist_lib.study.paper import WINNER

WAYS = ("the hierarchy has", "one at a time has", "neither has")  # the smaller regret, by more than
MARGIN = 0.1  # points: two tables agree by chance in half of all cases

FOLDED = (
    "Of {of} cases, a network and a seed each, cross-validation closes the gap between validation and test in {closed} "
    "and leaves it open in {open}; {unsure} are undecided and {rest} not judged (a gap within ±{margin:.1f} points "
    "counts as none). Over {first[folds]} folds {first[model]} is right on {first[accuracy]:.2f} % of all "
    "{first[images]} images, each judged by the network that was not trained on it, and on {first[test]:.2f} % of the "
    "test images, a gap of {first[gap]:+.2f} points [{first[gap low]:+.2f}, {first[gap high]:+.2f}]. Reading each fold "
    "at an epoch that others choose changes the first of these by {choice:+.2f} points. Folds differ among themselves "
    "by an sd of {first[sd]:.2f} points, and the sampling error of the test images is ±{chance:.2f} points (95 %), the "
    "same for all folds."
)
SEARCHED = (
    "Of {count} configurations: among the hyperparameters, alone or in pairs, {first[term]} explains the largest share "
    "of the variance of accuracy within a seed ({first[share]:.0f} %). On the seed that was not searched, the choice "
    "of a hierarchy is {one[regret]:+.2f} points behind the whole grid's (below 0 it is ahead) for {hierarchy:.1f} % "
    "of its cost, that of one at a time {other[regret]:+.2f} for {independent:.1f} %, TPE's {tpe[regret]:+.2f} for "
    "{tpe paid:.1f} %, and that of random search for as much as the hierarchy {random:+.2f}. Of the paper's two ways "
    "{better} a regret that is smaller by more than {margin:.1f} points whichever of the {searches} seeds is searched "
    "and the others judge ({n} replays). At full size the best of the table beside the paper's ({leader}) is "
    "{difference:+.2f} points [{low:+.2f}, {high:+.2f}] from the paper's configuration over {seeds} seeds, which did "
    "not choose it, and {further:+.2f} [{further low:+.2f}, {further high:+.2f}] from the best of the table that is "
    "trained as the paper does ({alike})."
)
TRADED = (
    "The validation accuracy of {best[model]} less that of {ann[model]} is {gain:+.2f} points [{low:+.2f}, "
    "{high:+.2f}] (n = {seeds} seeds), for {seconds:.1f} times the seconds, {flop:.1f} times the operations and "
    "{size:.1f} times the parameters. The Pareto front of mean accuracy against operations, the systems that no other "
    "beats in both: {front}. The smallest patience under which none of {n} full-length trainings would have lost more "
    "than {worst:.2f} points of accuracy is {patience}; it saves {saved:.0f} % of their epochs."
)
CLIMBED = (
    "In {count} steps {model} goes from {first[accuracy]:.2f} % to {last[accuracy]:.2f} % on test, by "
    "{last[total]:+.2f} points [{last[total low]:+.2f}, {last[total high]:+.2f}] (n = {last[n]} seeds). Of the means "
    "over seeds, beside the step before, {most[step]} adds the most, {most[gain]:+.2f} points (n = {most[pairs]}), and "
    "{least[step]} the least, {least[gain]:+.2f} (n = {least[pairs]}); the intervals of single steps take no account "
    "of these two having been picked by their size. The step that is best on validation, {top[step]}, has "
    "{top[accuracy]:.2f} % on test; of those without augmentation it is {plain[step]}, with {plain[accuracy]:.2f} %, "
    "{public:+.2f} points from {theirs:.1f} %, the best result of two convolutions without augmentation in the data "
    "set's own list."
)
CLIMBED_ONCE = (
    "With {last[step]} {model} goes from {first[accuracy]:.2f} % to {last[accuracy]:.2f} % on test, by "
    "{last[total]:+.2f} points [{last[total low]:+.2f}, {last[total high]:+.2f}] (n = {last[n]} seeds). Of the steps "
    "without augmentation {plain[step]} is best on validation and has {plain[accuracy]:.2f} % on test, {public:+.2f} "
    "points from {theirs:.1f} %, the best result of two convolutions without augmentation in the data set's own list."
)


def cross_validation(summary: pd.DataFrame) -> Conclusion:
    """Conclude from the verdicts of `folds.out_of_fold`, and from its first row."""
    first = summary.iloc[0]
    low, high = stats.wilson(first["test"], data.TEST_IMAGES)
    counted = summary["verdict"].value_counts().reindex([folds.CLOSED, folds.OPEN, folds.UNSURE], fill_value=0)
    values = {"first": first, "margin": folds.MARGIN, "of": len(summary), "rest": len(summary) - counted.sum()}
    values |= dict(zip(("closed", "open", "unsure"), counted, strict=True))
    return FOLDED, values | {"choice": first["elsewhere"] - first["accuracy"], "chance": (high - low) / 2}


def searching(table: pd.DataFrame, replays: pd.DataFrame, full: pd.DataFrame) -> Conclusion:
    """Conclude from the search table (`search.frame`), its replays (`strategies.replay`) and the frame at full size.

    The configuration told at full size is the table's choice, on other seeds: not the best of those seen there.
    """
    ends, importance = strategies.ends(replays).set_index("strategy"), search.importance(search.learnt(table))
    one, other, tpe = (ends.loc[name] for name in ("hierarchy", "one at a time", "TPE"))
    within = importance[importance["term"] != "seed"]
    ranked = [config for config in search.best(table, len(table)) if config != search.PAPERS]
    as_much = strategies.over_time(replays, np.array([one["paid"]]))["random"].iloc[0]
    compared, alike = search.against(full), search.as_papers(table)
    there = search.trained_at(compared).set_index(pd.MultiIndex.from_frame(compared[list(search.AXES)]))
    config = next((config for config in ranked if config in there.index), there.index[0])
    further = search.against(full, alike).set_index(list(search.AXES)).loc[config]
    values = {"count": len(table.drop_duplicates(list(search.AXES))), "one": one, "other": other, "n": int(one["n"])}
    values |= {"first": within.assign(share=100 * within["share"] / within["share"].sum()).iloc[0], "random": as_much}
    values |= {"hierarchy": 100 * one["paid"], "independent": 100 * other["paid"]}
    values |= {"tpe": tpe, "tpe paid": 100 * tpe["paid"]}
    values |= {"better": _better(replays), "searches": table["seed"].nunique(), "margin": MARGIN}
    values |= {"leader": _told(config), "alike": _told(alike), "further": further["difference"]}
    values |= {f"further {end}": further[end] for end in ("low", "high")}
    return SEARCHED, values | there.loc[config, ["difference", "low", "high", "seeds"]].to_dict()


def _told(config: search.Config) -> str:
    """Write a configuration, SGD with the learning rate that it was trained at."""
    row = search.trained_at(pd.DataFrame([config], columns=[*search.AXES])).iloc[0]
    return ", ".join(f"{axis} = {row[axis]}" for axis in search.AXES)


def _better(replays: pd.DataFrame) -> str:
    """Say which of the paper's two ways has a mean regret smaller by more than `MARGIN` on each seed, if one has."""
    of = [strategies.ends(some).set_index("strategy")["regret"] for _, some in replays.groupby("seed")]
    apart = np.array([each["hierarchy"] - each["one at a time"] for each in of])
    return WAYS[0] if (apart < -MARGIN).all() else WAYS[1] if (apart > MARGIN).all() else WAYS[2]


def trading(table: pd.DataFrame, curve: pd.DataFrame, scores: pd.DataFrame) -> Conclusion:
    """Conclude from the systems, the curve of patience and the scores by seed (of `tradeoff`).

    The network set against the ANN is the paper's winner, which these runs did not choose, or else the most accurate.
    """
    ranked = table.assign(ann=table["model"].str.startswith("ANN"), papers=table["model"] == WINNER)
    ranked = ranked.sort_values(["papers", "accuracy"], ascending=False)
    best, ann = (ranked[ranked["ann"] == is_ann].iloc[0] for is_ann in (False, True))
    harmless = curve[curve["worst"] <= max(0, curve["worst"].min())].iloc[0]
    apart = (scores[best["model"]] - scores[ann["model"]]).dropna()
    low, high = stats.mean_interval(apart)
    values = {"best": best, "ann": ann, "gain": apart.mean(), "low": low, "high": high, "seeds": len(apart)}
    values |= {
        name: best[cost] / ann[cost]
        for name, cost in (("seconds", "seconds"), ("flop", "teraflop"), ("size", "millions"))
    }
    values |= {"front": ", ".join(tradeoff.front(table, "teraflop")["model"]), "worst": max(harmless["worst"], 0)}
    return TRADED, values | {name: harmless[name] for name in ("patience", "saved", "n")}


def climbing(ladder: pd.DataFrame, model: str) -> Conclusion:
    """Conclude from `beyond.ladder` of a model's test accuracies, and ``validation``, the means that choose a step."""
    added, top = ladder.iloc[1:], ladder.loc[ladder["validation"].idxmax()]
    plain = ladder[~ladder["step"].isin([beyond.WORDS["flips"], beyond.WORDS["shifts"]]).cummax()]
    plain = plain.loc[plain["validation"].idxmax()]
    values = {"first": ladder.iloc[0], "last": ladder.iloc[-1], "top": top, "plain": plain}
    values |= {"count": len(added), "model": model}
    values |= {"most": added.loc[added["gain"].idxmax()], "least": added.loc[added["gain"].idxmin()]}
    return CLIMBED if len(added) > 1 else CLIMBED_ONCE, values | {
        "public": plain["accuracy"] - beyond.PUBLIC,
        "theirs": beyond.PUBLIC,
    }
