"""The paper's claims: each an effect, one number a seed, judged by the preregistered rule."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import log

import numpy as np
import pandas as pd

from fmnist_lib.study import results, rule, stats
from fmnist_lib.study.paper import GRID, NEXT_FOUR, TABLE_1, WINNER

ANN, NAHUEL = "ANN-Juan", "CNN-Nahuel"
CONVOLUTIONAL = (WINNER, NAHUEL)  # of Table II
OTHERS = [model for model in TABLE_1 if model.startswith("CNN3") and model != WINNER]
FIRST_BEST, LAST_BEST = 9, 23  # between which Table I's best epochs lie
WORDS = {  # what the paper says, shortly; S: its sentences, P: patterns of Table I that it does not state
    "S1": "The first models of Table I do not differ",
    "S2": "The winner has the highest validation accuracy",
    "S3": "The winner's best epoch and loss are among the lowest",
    "S4": "Training loss keeps falling after the best epoch",
    "S5": "Validation loss turns up after it: over-fitting, not under-fitting",
    "S6": "The winner is more accurate on validation than on test",
    "S7": "That is a bias of the validation set",
    "S8": "The convolutional models do better on test",
    "S9": "The difference on test is not large",
    "S10": "They need notably fewer epochs",
    "S11": "They take longer to train",
    "S12": "That may simply be more parameters: CNN3-128, which has fewer, against ANN-Juan",
    "S13": "On test the winner comes before CNN-Nahuel",
    "S14": "The trade of compute for accuracy does not seem justified",
    "P1": "k = 3 is more accurate than k = 5",
    "P2": "p = 0.25 gives a lower loss than p = 0.1",
    "P3": "p does not change the accuracy",
    "P4": "n does not change the accuracy",
    "P5": "Best epochs lie between 9 and 23",
}
UNJUDGED = {"S7": "no verdict: sizes", "S14": "no verdict: a judgement"}


@dataclass(frozen=True)
class Part:
    """A part of a claim: its effect on `results.by_seed`'s scores, and the kind and margin that `rule.decide` takes."""

    claim: str  # its key in WORDS
    words: str  # what is compared
    effect: Callable[[pd.DataFrame], pd.Series]
    kind: str
    margin: float
    unit: str


def less(score: str, a: str, b: str, scores: pd.DataFrame) -> pd.Series:
    """Subtract a score of model b from that of model a."""
    return scores[score, a] - scores[score, b]


def above_others(score: str, scores: pd.DataFrame) -> pd.Series:
    """Subtract from the winner's score the mean of the five other models of k = 3."""
    return scores[score, WINNER] - mean(scores, score, OTHERS)


def turn(loss: str, scores: pd.DataFrame) -> pd.Series:
    """Subtract the winner's loss at epoch 13 from that at epoch 23."""
    return scores[f"{loss}@{results.LATE}", WINNER] - scores[f"{loss}@{results.EARLY}", WINNER]


def factor(score: str, a: str, b: str, scores: pd.DataFrame) -> pd.Series:
    """Subtract the mean over the grid's models with b in their name from that over those with a."""
    return mean(scores, score, grid(a)) - mean(scores, score, grid(b))


def longer(model: str, scores: pd.DataFrame) -> pd.Series:
    """Return the logarithm of how many times as long as ANN-Juan a model takes to its best epoch."""
    return np.log(scores["seconds", model]) - np.log(scores["seconds", ANN])


def inside(scores: pd.DataFrame) -> pd.Series:
    """Return the share of the twelve best epochs inside 9–23."""
    epochs = scores["epoch"][list(TABLE_1)].dropna()
    return epochs.apply(lambda column: column.between(FIRST_BEST, LAST_BEST)).mean(axis=1)


def mean(scores: pd.DataFrame, score: str, models: list[str]) -> pd.Series:
    """Average a score over models; nan where a seed lacks one."""
    return scores[score][models].mean(axis=1, skipna=False)


def grid(level: str) -> list[str]:
    """List the models of Table I whose name, closed by "-", holds a level such as "CNN3-", "-512-" or "-0.1-"."""
    return [model for model in TABLE_1 if level in f"{model}-"]


PARTS = [
    *(Part("S1", f"{WINNER} − {m}", partial(less, "accuracy", WINNER, m), "none", 0.5, "points") for m in NEXT_FOUR),
    Part(
        "S2",
        "validation accuracy, winner − mean of the other k = 3",
        partial(above_others, "accuracy"),
        "greater",
        0.2,
        "points",
    ),
    Part("S3", "loss, winner − mean of the other k = 3", partial(above_others, "loss"), "less", 0.01, "nats"),
    Part("S3", "best epoch, winner − mean of the other k = 3", partial(above_others, "epoch"), "less", 1.0, "epochs"),
    Part("S4", "winner, epoch 23 − 13", partial(turn, "train_loss"), "less", 0.01, "nats"),
    Part("S5", "winner, epoch 23 − 13", partial(turn, "val_loss"), "greater", 0.01, "nats"),
    Part("S6", "validation − test", lambda s: s["validation", WINNER] - s["test", WINNER], "greater", 0.2, "points"),
    *(Part("S8", f"{m} − {ANN}", partial(less, "test", m, ANN), "greater", 0.2, "points") for m in CONVOLUTIONAL),
    *(Part("S9", f"{m} − {ANN}", partial(less, "test", m, ANN), "below", 2.0, "points") for m in CONVOLUTIONAL),
    *(Part("S10", f"{m} − {ANN}", partial(less, "epoch", m, ANN), "less", 2.0, "epochs") for m in CONVOLUTIONAL),
    *(Part("S11", f"{m} / {ANN}", partial(longer, m), "greater", log(1.1), "log ratio") for m in CONVOLUTIONAL),
    Part(
        "S12",
        f"validation accuracy, CNN3-128-0.25 − {ANN}",
        partial(less, "accuracy", "CNN3-128-0.25", ANN),
        "below",
        0.2,
        "points",
    ),
    Part("S13", f"{WINNER} − {NAHUEL}", partial(less, "test", WINNER, NAHUEL), "greater", 0.2, "points"),
    Part("P1", "accuracy, k: 3 − 5", partial(factor, "accuracy", "CNN3-", "CNN5-"), "greater", 0.2, "points"),
    Part("P2", "loss, p: 0.25 − 0.1", partial(factor, "loss", "-0.25-", "-0.1-"), "less", 0.01, "nats"),
    Part("P3", "accuracy, p: 0.25 − 0.1", partial(factor, "accuracy", "-0.25-", "-0.1-"), "none", 0.2, "points"),
    *(
        Part("P4", f"n: {a} − {b}", partial(factor, "accuracy", f"-{a}-", f"-{b}-"), "none", 0.2, "points")
        for b, a in combinations(GRID["n"], 2)
    ),
    Part("P5", "share of the twelve", inside, "above", 0.8, "share"),
]


def effects(claim: str, scores: pd.DataFrame) -> pd.DataFrame:
    """Return a claim's effect in each seed (row), a column a part, from `results.by_seed`'s scores."""
    return pd.DataFrame({part.words: part.effect(scores) for part in PARTS if part.claim == claim})


def level(claim: str) -> float:
    """Return the level of a claim's intervals: 1 − 0.05/m, m the judged claims of its family (sentences, patterns)."""
    return 1 - 0.05 / len({part.claim for part in PARTS if part.claim[0] == claim[0]})


def judge(frame: pd.DataFrame, seconds: dict[str, float] | None = None) -> pd.DataFrame:
    """Return a row a part of each claim: its effect over the seeds and, alike in all its parts, the claim's verdict.

    Columns: id, claim, part; n, mean, low, high at that level, kind, margin, unit; paper (the effect in its tables);
    sign p (exact sign test, of a bound against it); diverged (seeds that a diverged run takes out of it); verdict, or
    why there is none; says, the word of the part alone, "" where there is no verdict; seeds needed, of a part that is
    undecidable. ``frame`` is `results.frame`'s; ``seconds`` an epoch of each model is what S11 needs.
    """
    ours, papers, departed = results.by_seed(frame, seconds), results.papers(), rule.departures(frame)
    lost = set(frame.loc[frame["status"] != "finished", "seed"])
    rows, said = [], {}
    for part in PARTS:
        effect = part.effect(ours).dropna()
        row = _measured(part, effect) | {"paper": part.effect(papers).iloc[0]}
        objected = rule.objection(departed, effect)
        own = rule.decide(part.kind, part.margin, row["low"], row["high"])
        said.setdefault(part.claim, []).append((objected, own))
        needed = _needed(part, effect) if not objected and own == rule.UNDECIDABLE else np.nan
        rows.append(row | {"diverged": len(lost - set(effect.index)), "seeds needed": needed})
        rows[-1]["says"] = "" if objected else own
    rows += [{"id": claim, "part": "", "n": 0, "diverged": 0, "says": ""} for claim in UNJUDGED]
    order = {claim: i for i, claim in enumerate(WORDS)}
    table = pd.DataFrame(rows).sort_values("id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)
    verdicts = UNJUDGED | {claim: _verdict(parts) for claim, parts in said.items()}
    return table.assign(claim=table["id"].map(WORDS), verdict=table["id"].map(verdicts))[COLUMNS]


COLUMNS = ["id", "claim", "part", "n", "mean", "low", "high", "level", "kind", "margin", "unit", "paper", "sign p"]
COLUMNS += ["diverged", "verdict", "says", "seeds needed"]


def refuted(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the parts that decide, of `judge`'s rows, that their claims are not reproduced."""
    return judged[(judged["verdict"] == rule.NOT_REPRODUCED) & (judged["says"] == rule.NOT_REPRODUCED)]


def _measured(part: Part, effect: pd.Series) -> dict:
    low, high = stats.mean_interval(effect, level(part.claim))
    bound = part.margin if part.kind in ("below", "above") else 0.0
    row = {"id": part.claim, "part": part.words, "n": len(effect), "mean": effect.mean(), "low": low, "high": high}
    row |= {"level": level(part.claim), "kind": part.kind, "margin": part.margin, "unit": part.unit}
    return row | {"sign p": stats.sign_test(effect, bound)}


def _needed(part: Part, effect: pd.Series) -> float:
    def decided(low: float, high: float) -> bool:
        return rule.decide(part.kind, part.margin, low, high) != rule.UNDECIDABLE

    return stats.seeds_needed(effect, level(part.claim), decided)


def _verdict(parts: list[tuple[str, str]]) -> str:
    objections = [objected for objected, _ in parts if objected]
    return f"not judged: {objections[0]}" if objections else rule.together([own for _, own in parts])
