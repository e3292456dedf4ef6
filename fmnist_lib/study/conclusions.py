"""What each study concludes: a sentence, which the catalogue has in the other languages, and the numbers in it.

Each function returns both, for `display.say` and `language.sentence`; what cannot be told gets a sentence of its own.
"""

import numpy as np
import pandas as pd

from fmnist_lib import data
from fmnist_lib.study import beyond, folds, rule, search, stats, strategies, tradeoff
from fmnist_lib.study.paper import PATIENCE
from fmnist_lib.study.readings import READINGS

Conclusion = tuple[str, dict]

INSIDE = (
    "With {n} seeds, {inside} of {of} numbers of the paper lie where one more of these runs should; by chance about "
    "{chance:.0f} would not."
)
ONCE = (
    "One seed is the paper's protocol, once: it says what came out, and not how sure it is. `params/rigorous.yaml` "
    "has ten."
)
VERDICTS = (
    "Of {claims} claims, sentences of the paper and patterns of its Table I, that a preregistered rule judges, "
    "{counted[reproduced]} are reproduced, "
    "{counted[in sign, negligible in size]} are so in sign and negligible in size, {counted[not reproduced]} are not "
    "reproduced, {counted[undecidable]} cannot be decided, and {rest} get no verdict (n = {n} seeds, "
    "patience {patience})."
)
UNJUDGED = (
    "{claims} claims, sentences of the paper and patterns of its Table I, are stated as effects, and a preregistered "
    "rule judges them over {all} seeds of the whole protocol with patience {patience}: from these runs (n = {n}) there "
    "are effects and no verdict."
)
LIKELIEST = (
    "Of {readings} readings the likeliest beside the default is: {words}. Of the {numbers} numbers that it touches "
    "{inside} lie where one more run should, under the default {default_inside}; its log-likelihood is {better:+.1f} "
    "against the default's (n = {n} seeds). Under the default {own} of {all} numbers lie inside."
)
UNWEIGHED = "From one seed no reading can be called likelier than another."
FOLDED = (
    "Cross-validation {verdict} (a gap within ±{margin:.1f} points counts as none). Over {first[folds]} folds "
    "{first[model]} is right on {first[accuracy]:.2f} % of all {first[images]} images out of fold and on "
    "{first[test]:.2f} % of the test images, a gap of {first[gap]:+.2f} points [{first[gap low]:+.2f}, {first[gap "
    "high]:+.2f}]. Reading each fold at an epoch that others choose takes {choice:.2f} points of it. Folds differ "
    "among themselves by an sd of {first[sd]:.2f} points, and the chance of which images test is ±{chance:.2f} "
    "points, alike for all folds."
)
SEARCHED = (
    "Of {count} configurations, {first[term]} explains the largest part of the variance of accuracy "
    "({first[share]:.0f} %). A hierarchy ends {one[regret]:.2f} points behind the best for {hierarchy:.1f} % of what "
    "the grid costs, one at a time {other[regret]:.2f} points for {independent:.1f} %, and random search for as much "
    "as the hierarchy {random:.2f}: the smaller regret of the paper's two ways has {better} ({n} replays, judged on "
    "other seeds). At full size the most accurate that was found ({leader}) is {difference:+.2f} points [{low:+.2f}, "
    "{high:+.2f}] from the paper's configuration over {seeds} seeds."
)
TRADED = (
    "{best[model]} is {gain:.2f} points more accurate on validation than {ann[model]}, for {seconds:.1f} times the "
    "seconds, {flop:.1f} times the operations and {size:.1f} times the parameters. No system beats these for the "
    "operations they take: {front}. Patience of {patience} would have saved {saved:.0f} % of the epochs of {n} "
    "trainings, none of which would have lost more than {worst:.2f} points."
)
SOURCES = (
    "Of {sources} sources of chance, the largest part of the variance of the winner's validation accuracy comes from "
    "the {most} ({share:.0f} %), least from the {least} ({little:.0f} %), {n} values each. Together they give an sd of "
    "{together:.2f} points; {seeds} seeds, in which all vary, differ by {seen:.2f}."
)
CLIMBED = (
    "With {count} ingredients more {model} goes from {first[accuracy]:.2f} % to {last[accuracy]:.2f} % on test, by "
    "{last[total]:+.2f} points [{last[total low]:+.2f}, {last[total high]:+.2f}] (n = {last[n]} seeds). Beside the "
    "step before it, {most[step]} adds the most, {most[gain]:+.2f} points [{most[low]:+.2f}, {most[high]:+.2f}] (n = "
    "{most[pairs]}), and {least[step]} the least, {least[gain]:+.2f} [{least[low]:+.2f}, {least[high]:+.2f}] (n = "
    "{least[pairs]}). The family goes furthest with {top[step]}: {top[accuracy]:.2f} %, {public:+.2f} points from the "
    "{theirs:.1f} % at which published results of two convolutions without augmentation end."
)
SENTENCES = (INSIDE, ONCE, VERDICTS, UNJUDGED, LIKELIEST, UNWEIGHED, FOLDED, SEARCHED, TRADED, SOURCES, CLIMBED)


def certainty(found: pd.DataFrame) -> Conclusion:
    """Conclude from the paper's numbers among ours (`certainty.among`)."""
    inside = found["inside"].dropna().astype(bool)
    values = {"n": found["n"].max(), "inside": int(inside.sum()), "of": len(inside), "chance": 0.05 * len(inside)}
    return (INSIDE, values) if len(inside) else (ONCE, {})


def claims(judged: pd.DataFrame) -> Conclusion:
    """Conclude from the claims (`claims.judge`): verdicts are counted where the rule gave any."""
    each = judged[judged["part"] != ""].drop_duplicates("id")["verdict"]  # what has no part has no effect
    counted = each.value_counts().reindex(rule.VERDICTS, fill_value=0)
    values = {"claims": len(each), "n": judged["n"].max(), "all": len(rule.JUDGING_SEEDS), "patience": PATIENCE}
    return (
        (VERDICTS, values | {"counted": counted, "rest": len(each) - counted.sum()})
        if counted.sum()
        else (UNJUDGED, values)
    )


def readings(scored: pd.DataFrame, seeds: int) -> Conclusion:
    """Conclude from the readings' scores (`weighing.score`) over so many seeds."""
    best = scored.drop(index="default", errors="ignore").head(1)
    if best.empty:
        return UNWEIGHED, {}
    own = {"own": scored.loc["default", "inside"], "all": scored.loc["default", "numbers"]}
    told = best.iloc[0][["numbers", "inside", "default_inside", "better"]].to_dict()
    return LIKELIEST, {"readings": len(scored), "words": READINGS[best.index[0]].words, "n": seeds} | told | own


def cross_validation(summary: pd.DataFrame) -> Conclusion:
    """Conclude from `folds.out_of_fold`'s first row."""
    first = summary.iloc[0]
    low, high = stats.wilson(first["test"], data.TEST_IMAGES)
    values = {"first": first, "verdict": first["verdict"], "margin": folds.MARGIN}
    return FOLDED, values | {"choice": first["accuracy"] - first["elsewhere"], "chance": (high - low) / 2}


def searching(table: pd.DataFrame, replays: pd.DataFrame, compared: pd.DataFrame) -> Conclusion:
    """Conclude from the search table (`search.frame`), its replays (`strategies.replay`) and `search.against`."""
    ends, importance = strategies.ends(replays).set_index("strategy"), search.importance(table)
    one, other = ends.loc["hierarchy"], ends.loc["one at a time"]
    as_much = strategies.over_time(replays, np.array([one["paid"]]))["random"].iloc[0]
    new = [one != search.PAPERS for one in compared[list(search.AXES)].itertuples(index=False, name=None)]
    leader = search.trained_at(compared[new] if any(new) else compared).iloc[0]
    values = {"count": len(table.drop_duplicates(list(search.AXES))), "one": one, "other": other, "n": int(one["n"])}
    values |= {"first": importance[importance["term"] != "seed"].iloc[0], "random": as_much}
    values |= {"hierarchy": 100 * one["paid"], "independent": 100 * other["paid"]}
    values |= {"better": min(("hierarchy", "one at a time"), key=lambda name: ends.loc[name, "regret"])}
    values |= {"leader": ", ".join(f"{axis} = {leader[axis]}" for axis in search.AXES)}
    return SEARCHED, values | leader[["difference", "low", "high", "seeds"]].to_dict()


def trading(table: pd.DataFrame, curve: pd.DataFrame) -> Conclusion:
    """Conclude from the systems (`tradeoff.systems`) and the curve of patience (`tradeoff.patience_curve`)."""
    best = table.loc[table["accuracy"].idxmax()]
    ann = table[table["model"].str.startswith("ANN")].sort_values("accuracy").iloc[-1]
    harmless = pd.concat([curve[curve["worst"] <= 0], curve.tail(1)]).iloc[0]
    values = {"best": best, "ann": ann, "gain": best["accuracy"] - ann["accuracy"]}
    values |= {
        name: best[cost] / ann[cost]
        for name, cost in (("seconds", "seconds"), ("flop", "teraflop"), ("size", "millions"))
    }
    values |= {"front": ", ".join(tradeoff.front(table, "teraflop")["model"]), "worst": max(harmless["worst"], 0)}
    return TRADED, values | {name: harmless[name] for name in ("patience", "saved", "n")}


def sources(spreads: pd.DataFrame, accuracies: pd.Series) -> Conclusion:
    """Conclude from `variance.spreads`, beside the winner's accuracies [%] over seeds in which all sources vary."""
    each, together = spreads.iloc[:-1].set_index("source"), spreads.iloc[-1]
    most, least = each["share"].idxmax(), each["share"].idxmin()
    values = {
        "sources": len(each),
        "most": most,
        "share": each["share"][most],
        "least": least,
        "little": each["share"][least],
    }
    values |= {"n": each["n"].min(), "together": together["sd"], "seeds": len(accuracies), "seen": accuracies.std()}
    return SOURCES, values


def climbing(ladder: pd.DataFrame, model: str) -> Conclusion:
    """Conclude from `beyond.ladder` of a model's test accuracies."""
    added, top = ladder.iloc[1:], ladder.loc[ladder["accuracy"].idxmax()]
    values = {"first": ladder.iloc[0], "last": ladder.iloc[-1], "top": top, "count": len(added), "model": model}
    values |= {"most": added.loc[added["gain"].idxmax()], "least": added.loc[added["gain"].idxmin()]}
    return CLIMBED, values | {"public": top["accuracy"] - beyond.PUBLIC, "theirs": beyond.PUBLIC}
