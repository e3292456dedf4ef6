"""What the studies of the paper's wishes conclude: a sentence and the numbers in it, as in `conclusions`."""

import numpy as np
import pandas as pd

from fmnist_lib import data
from fmnist_lib.study import beyond, folds, search, stats, strategies, tradeoff
from fmnist_lib.study.conclusions import Conclusion
from fmnist_lib.study.paper import WINNER

WAYS = ("the hierarchy has", "one at a time has", "neither has")  # the smaller regret

FOLDED = (
    "Cross-validation closes the gap between validation and test in {closed} of {of} cases, a network and a seed "
    "each, leaves it in {open}, cannot tell in {unsure} and is not judged in {rest} (a gap within ±{margin:.1f} "
    "points counts as none). Over {first[folds]} folds {first[model]} is right on {first[accuracy]:.2f} % of all "
    "{first[images]} images out of fold and on {first[test]:.2f} % of the test images, a gap of {first[gap]:+.2f} "
    "points [{first[gap low]:+.2f}, {first[gap high]:+.2f}]. Reading each fold at an epoch that others choose changes "
    "it by {choice:+.2f} points. Folds differ among themselves by an sd of {first[sd]:.2f} points, and the chance of "
    "which images test is ±{chance:.2f} points, alike for all folds."
)
SEARCHED = (
    "Of {count} configurations: among the hyperparameters, alone or in pairs, {first[term]} explains most of the "
    "variance of accuracy within a seed ({first[share]:.0f} %). A hierarchy ends {one[regret]:.2f} points behind the "
    "best for {hierarchy:.1f} % of what the grid costs, one at a time {other[regret]:.2f} points for "
    "{independent:.1f} %, random search for as much as the hierarchy {random:.2f}, and the whole grid {grid:.2f}. Of "
    "the paper's two ways {better} the smaller regret whichever of the {searches} seeds is searched and the others "
    "judge ({n} replays). At full size the best of the table beside the paper's ({leader}) is {difference:+.2f} points "
    "[{low:+.2f}, {high:+.2f}] from the paper's configuration over {seeds} seeds, which did not choose it."
)
TRADED = (
    "The validation accuracy of {best[model]} less that of {ann[model]} is {gain:+.2f} points [{low:+.2f}, {high:+.2f}"
    "] (n = {seeds} seeds), for {seconds:.1f} times the seconds, {flop:.1f} times the operations and {size:.1f} times "
    "the parameters. By their means no system beats these for the operations they take: {front}. The least patience "
    "under which each of {n} whole trainings would have lost at most {worst:.2f} points is {patience}; it saves "
    "{saved:.0f} % of their epochs."
)
CLIMBED = (
    "In {count} steps {model} goes from {first[accuracy]:.2f} % to {last[accuracy]:.2f} % on test, by "
    "{last[total]:+.2f} points [{last[total low]:+.2f}, {last[total high]:+.2f}] (n = {last[n]} seeds). Of the means "
    "over seeds, beside the step before, {most[step]} adds the most, {most[gain]:+.2f} points (n = {most[pairs]}), and "
    "{least[step]} the least, {least[gain]:+.2f} (n = {least[pairs]}); the intervals of single steps do not allow for "
    "their being picked. The step that is best on validation, {top[step]}, has {top[accuracy]:.2f} % on test, "
    "{public:+.2f} points from the {theirs:.1f} % at which published results of two convolutions without augmentation "
    "end."
)
CLIMBED_ONCE = (
    "With {last[step]} {model} goes from {first[accuracy]:.2f} % to {last[accuracy]:.2f} % on test, by "
    "{last[total]:+.2f} points [{last[total low]:+.2f}, {last[total high]:+.2f}] (n = {last[n]} seeds). The step that "
    "is best on validation, {top[step]}, has {top[accuracy]:.2f} % on test, {public:+.2f} points from the "
    "{theirs:.1f} % at which published results of two convolutions without augmentation end."
)


def cross_validation(summary: pd.DataFrame) -> Conclusion:
    """Conclude from the verdicts of `folds.out_of_fold`, and from its first row."""
    first = summary.iloc[0]
    low, high = stats.wilson(first["test"], data.TEST_IMAGES)
    counted = summary["verdict"].value_counts().reindex([folds.CLOSED, folds.OPEN, folds.UNSURE], fill_value=0)
    values = {"first": first, "margin": folds.MARGIN, "of": len(summary), "rest": len(summary) - counted.sum()}
    values |= dict(zip(("closed", "open", "unsure"), counted, strict=True))
    return FOLDED, values | {"choice": first["elsewhere"] - first["accuracy"], "chance": (high - low) / 2}


def searching(table: pd.DataFrame, replays: pd.DataFrame, compared: pd.DataFrame) -> Conclusion:
    """Conclude from the search table (`search.frame`), its replays (`strategies.replay`) and `search.against`.

    The configuration told at full size is the table's choice, on other seeds: not the best of those seen there.
    """
    ends, importance = strategies.ends(replays).set_index("strategy"), search.importance(table)
    one, other = ends.loc["hierarchy"], ends.loc["one at a time"]
    within = importance[importance["term"] != "seed"]
    ranked = [config for config in search.best(table, len(table)) if config != search.PAPERS]
    as_much = strategies.over_time(replays, np.array([one["paid"]]))["random"].iloc[0]
    there = search.trained_at(compared).set_index(pd.MultiIndex.from_frame(compared[list(search.AXES)]))
    leader = there.loc[next((config for config in ranked if config in there.index), there.index[0])]
    values = {"count": len(table.drop_duplicates(list(search.AXES))), "one": one, "other": other, "n": int(one["n"])}
    values |= {"first": within.assign(share=100 * within["share"] / within["share"].sum()).iloc[0], "random": as_much}
    values |= {"hierarchy": 100 * one["paid"], "independent": 100 * other["paid"]}
    values |= {"grid": ends.loc["grid", "regret"], "better": _better(replays), "searches": table["seed"].nunique()}
    values |= {"leader": ", ".join(f"{axis} = {leader[axis]}" for axis in search.AXES)}
    return SEARCHED, values | leader[["difference", "low", "high", "seeds"]].to_dict()


def _better(replays: pd.DataFrame) -> str:
    """Say which of the paper's two ways of searching has the smaller mean regret on each seed, if one has."""
    of = [strategies.ends(some).set_index("strategy")["regret"] for _, some in replays.groupby("seed")]
    apart = np.array([each["hierarchy"] - each["one at a time"] for each in of])
    return WAYS[0] if (apart < 0).all() else WAYS[1] if (apart > 0).all() else WAYS[2]


def trading(table: pd.DataFrame, curve: pd.DataFrame, scores: pd.DataFrame) -> Conclusion:
    """Conclude from the systems, the curve of patience and the scores by seed (of `tradeoff`).

    The network set against the ANN is the paper's winner, which these runs did not choose, or else the most accurate.
    """
    ranked = table.assign(ann=table["model"].str.startswith("ANN"), papers=table["model"] == WINNER)
    ranked = ranked.sort_values(["papers", "accuracy"], ascending=False)
    best, ann = (ranked[ranked["ann"] == is_ann].iloc[0] for is_ann in (False, True))
    harmless = pd.concat([curve[curve["worst"] <= 0], curve.tail(1)]).iloc[0]
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
    values = {"first": ladder.iloc[0], "last": ladder.iloc[-1], "top": top, "count": len(added), "model": model}
    values |= {"most": added.loc[added["gain"].idxmax()], "least": added.loc[added["gain"].idxmin()]}
    return CLIMBED if len(added) > 1 else CLIMBED_ONCE, values | {
        "public": top["accuracy"] - beyond.PUBLIC,
        "theirs": beyond.PUBLIC,
    }
