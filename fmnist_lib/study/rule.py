"""The preregistered rule: which runs may be judged, and what one interval says (reports/PREREGISTRATION.md)."""

from dataclasses import fields

import pandas as pd

from fmnist_lib.recipe import Recipe
from fmnist_lib.study import paper, stats

JUDGING_SEEDS = tuple(range(11, 21))
RETRAIN_SEED = 1000  # added to the seeds of weights, order and dropout
VERDICTS = REPRODUCED, NEGLIGIBLE, NOT_REPRODUCED, UNDECIDABLE = (
    "reproduced",
    "in sign, negligible in size",
    "not reproduced",
    "undecidable",
)
SIZES = ("train_images", "val_images", "epochs")  # what makes a protocol a reduced one
FREE = {"model", "keep", "epochs", "patience", "device", "precision", "kernels", "threads", "numerics"}
FIXED = {f.name: f.default for f in fields(Recipe) if f.name not in FREE and not f.name.endswith("_seed")}


def decide(kind: str, margin: float, low: float, high: float) -> str:
    """Return what the interval (low, high) of an effect says, every comparison strict.

    Kinds: "greater" and "less" than 0 with a margin that counts as negligible, "none" (no difference beyond the
    margin), "below" and "above" (the margin is a bound).
    """
    if kind in ("less", "below"):  # mirrored
        kind, low, high = {"less": "greater", "below": "above"}[kind], -high, -low
        margin = margin if kind == "greater" else -margin
    within = -margin < low and high < margin
    if kind == "greater":
        if low > 0:
            return NEGLIGIBLE if within else REPRODUCED
        return NOT_REPRODUCED if high < 0 or within else UNDECIDABLE
    if kind == "none":
        return REPRODUCED if within else NOT_REPRODUCED if low > margin or high < -margin else UNDECIDABLE
    return REPRODUCED if low > margin else NOT_REPRODUCED if high < margin else UNDECIDABLE


def together(verdicts: list[str]) -> str:
    """Return the verdict of a claim whose every part must hold (intersection–union).

    One part not reproduced makes the whole so; else one undecidable part; else one that is negligible.
    """
    return next(verdict for verdict in (NOT_REPRODUCED, UNDECIDABLE, NEGLIGIBLE, REPRODUCED) if verdict in verdicts)


def departures(frame: pd.DataFrame) -> dict[str, str]:
    """Return in which fields of the recipes a frame of runs is not the judging protocol, and how; {} if it is.

    The judging protocol is the paper's under this project's default readings, with patience 15 in the searches (the
    winner's: 0), retrainings for the search's best epoch with patience 0, split seed 42 + s, and the other seeds s in a
    search and 1000 + s in its retraining. Device, precision, kernels, threads and numerics are
    free.
    """
    search = frame["role"] == "search"
    own = frame["seed"] + RETRAIN_SEED * ~search
    expected = {name: pd.Series(value, frame.index) for name, value in FIXED.items()}
    expected["epochs"] = frame["epochs"].where(~search, Recipe.epochs)
    expected["patience"] = (paper.PATIENCE * (search & (frame["model"] != paper.WINNER))).astype(int)
    expected |= dict.fromkeys(("weights_seed", "order_seed", "dropout_seed"), own)
    expected["split_seed"] = Recipe.split_seed + frame["seed"]
    found = {name: frame[name][frame[name] != values].unique() for name, values in expected.items()}
    anns = frame["model"].str.startswith("ANN-Juan") & ~frame["model"].isin(paper.ANN_MODELS)  # rates of others
    found["model"] = frame["model"][anns].unique()
    departed = {name: f"{name} = {', '.join(sorted(map(str, odd)))}" for name, odd in found.items() if len(odd)}
    return departed | ({} if _retrained_as_searched(frame) else {"retraining": "a retraining of another length"})


def _retrained_as_searched(frame: pd.DataFrame) -> bool:
    keys = ["seed", "model"]
    search = frame["role"] == "search"
    best = frame[search].drop_duplicates(keys).set_index(keys)["best_epoch"]
    again = frame[~search].set_index(keys)["epochs"]
    return bool((again == best.reindex(again.index)).all())


def objection(departed: dict[str, str], effect: pd.Series) -> str:
    """Return why an effect, one value a seed, gets no verdict; "" if it gets one. `departed` is of `departures`."""
    readings = [text for name, text in departed.items() if name in FIXED]
    n = len(effect)
    if any(name in SIZES for name in departed):
        return "reduced protocol"
    if readings:
        return f"another reading ({', '.join(readings)})"
    if n < len(JUDGING_SEEDS):
        return f"{n} of {len(JUDGING_SEEDS)} seeds"
    if tuple(sorted(effect.index)) != JUDGING_SEEDS:
        return f"not the seeds {JUDGING_SEEDS[0]}–{JUDGING_SEEDS[-1]}"
    if departed:
        return f"not the judging protocol ({', '.join(departed.values())})"
    alike = stats.commonest(effect)
    return "zero variance" if alike == n else "ties" if 2 * alike > n else ""
