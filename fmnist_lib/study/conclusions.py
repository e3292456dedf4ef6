"""What each study concludes: a sentence, which the catalogue has in the other languages, and the numbers in it.

Each function returns both, for `display.say` and `language.sentence`; what cannot be told gets a sentence of its own.
"""

from collections.abc import Sequence

import pandas as pd

from fmnist_lib.study import rule, stats
from fmnist_lib.study.paper import PATIENCE
from fmnist_lib.study.readings import READINGS

Conclusion = tuple[str, dict]

INSIDE = (
    "With {n} seeds, {outside} of {of} numbers of the paper lie outside the 95 % prediction interval of one more "
    "run; by chance about {chance:.0f} would."
)
INSIDE_BESIDE = (
    "With {n} seeds, {outside} of {of} numbers of the paper lie outside the 95 % prediction interval of one more run; "
    "by chance about {chance:.0f} would on average. The numbers of one table share their luck: of each of our own "
    "seeds, held against the others, between {fewest} and {most} do."
)
ONCE = (
    "One seed is the paper's protocol, once: it says what came out, and not how sure it is. `params/rigorous.yaml` "
    "has ten."
)
VERDICTS = (
    "A rule registered beforehand judges {S} sentences of the paper (S; {apart} name no effect) and {P} patterns of "
    "its Table I that we point out (P), over {n} seeds with patience {patience}. Reproduced: {told[reproduced]}; in "
    "sign, but negligible in size: {told[in sign, negligible in size]}; not reproduced: {told[not reproduced]}; "
    "undecidable: {told[undecidable]}; without a verdict: {told[rest]}."
)
UNJUDGED = (
    "{claims} claims, sentences of the paper and patterns of its Table I, are stated as effects, and a preregistered "
    "rule judges them over {all} seeds of the whole protocol with patience {patience}: from these runs (n = {n}) there "
    "are effects and no verdict."
)
LIKELIEST = (
    "{others} of {known} readings are weighed beside that of this report, the default. The one with the largest gain "
    "in log-likelihood, and picked for it, is: {words}. Of the {numbers} numbers of the paper whose networks were "
    "trained or tested so, {inside} lie in the 95 % prediction interval, and {default_inside} under the default; the "
    "gain in log-likelihood over the default is {better:+.1f} (n = {n} seeds)."
)
SAME_HEAD = (
    "Padding that keeps the size gives k = 3 and k = 5 dense layers of the same size, the same head. The validation "
    "accuracy of k = 3 less that of k = 5 is then {estimate:+.2f} points [{low:+.2f}, {high:+.2f}]; under the "
    "default's padding, which gives k = 3 the larger head, it is {default:+.2f}. From the default to the same head "
    "it changes by {change:+.2f} [{change low:+.2f}, {change high:+.2f}], on {pairs} pairs of networks that differ "
    "in k alone (n = {n} seeds; in the paper {paper:+.2f})."
)
UNPADDED = "Without a training whose padding keeps the size, k and the size of the head cannot be told apart."
UNWEIGHED = "Without several seeds, of the default and of another reading, none can be called likelier."
SOURCES = (
    "Of {sources} sources of chance, each alone, the {most[source]} gives the winner's validation accuracy the largest "
    "sd, {most[sd]:.2f} points [{most[low]:.2f}, {most[high]:.2f}], and the {least[source]} the smallest, "
    "{least[sd]:.2f} [{least[low]:.2f}, {least[high]:.2f}], of {n} values each; the test that all have the same sd has "
    "p = {p:.2f} (Bartlett's; a large p means that they cannot be ranked). Were they independent, they would add up to "
    "an sd of {together:.2f} points; {seeds} seeds, in which all vary, have {seen:.2f} [{seen low:.2f}, {seen "
    "high:.2f}]."
)


def certainty(found: pd.DataFrame, own: Sequence[int] = ()) -> Conclusion:
    """Conclude from the paper's numbers among ours (`certainty.among`), and ours among ours (`certainty.held_out`)."""
    inside = found["inside"].dropna().astype(bool)
    if inside.empty:
        return ONCE, {}
    values = {"n": found["n"].max(), "outside": int((~inside).sum()), "of": len(inside), "chance": 0.05 * len(inside)}
    return (INSIDE_BESIDE, values | {"fewest": min(own), "most": max(own)}) if len(own) else (INSIDE, values)


def claims(judged: pd.DataFrame) -> Conclusion:
    """Conclude from the claims (`claims.judge`): which got each verdict, where the rule gave any."""
    parts = judged[judged["part"] != ""]  # what has no part has no effect
    each = parts.drop_duplicates("id").set_index("id")["verdict"]
    values = {"claims": len(each), "n": judged["n"].max(), "all": len(rule.JUDGING_SEEDS), "patience": PATIENCE}
    values |= {"apart": ", ".join(judged["id"][judged["part"] == ""])}
    if not each.isin(rule.VERDICTS).any():
        return UNJUDGED, values
    named = each.where(each.isin(rule.VERDICTS), "rest")
    told = {word: ", ".join(each.index[named == word]) for word in (*rule.VERDICTS, "rest")}
    told = {word: f"{ids.count(',') + 1} ({ids})" if ids else "none" for word, ids in told.items()}
    return VERDICTS, values | {"told": told} | each.index.str[0].value_counts().to_dict()


def readings(scored: pd.DataFrame, seeds: int) -> Conclusion:
    """Conclude from the readings' scores (`weighing.score`) over so many seeds."""
    best = scored.drop(index="default", errors="ignore").head(1)
    if best.empty:
        return UNWEIGHED, {}
    told = best[["numbers", "inside", "default_inside"]].iloc[0].to_dict() | {"better": best["better"].iloc[0]}
    told |= {"words": READINGS[best.index[0]].words, "n": seeds}
    return LIKELIEST, told | {"others": len(scored.drop(index="default")), "known": len(READINGS) - 1}


def same_head(summary: pd.DataFrame) -> Conclusion:
    """Conclude from what k = 3 is worth under each reading (`heads.summary`)."""
    return (SAME_HEAD, summary.loc["same_padding"].to_dict()) if "same_padding" in summary.index else (UNPADDED, {})


def sources(spreads: pd.DataFrame, p: float, accuracies: pd.Series) -> Conclusion:
    """Conclude from `variance.spreads` and the p of `variance.alike`, beside accuracies [%] with all sources varied."""
    each, together = spreads.iloc[:-1].set_index("source", drop=False), spreads.iloc[-1]
    most, least = (each.loc[name] for name in (each["sd"].idxmax(), each["sd"].idxmin()))
    values = {"sources": len(each), "most": most, "least": least, "p": p, "n": each["n"].min()}
    values |= {"together": together["sd"], "seeds": len(accuracies), "seen": accuracies.std()}
    values |= dict(zip(("seen low", "seen high"), stats.sd_interval(accuracies), strict=True))
    return SOURCES, values
