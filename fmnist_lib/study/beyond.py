"""How far the paper's architecture goes with what the paper did not use, one ingredient more at a time."""

from dataclasses import replace

import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.recipe import MODERN, Recipe
from fmnist_lib.runs.run import Run
from fmnist_lib.study import protocol, stats

PUBLIC = 93.4  # % on test, the best of two convolutions without augmentation in the data set's own list of results
BASE, ENDED = "as in the paper", "last weights"
WORDS = {"schedule": "one cycle", "smoothing": "label smoothing", "flips": "flips", "shifts": "shifts"}
WORDS |= {"averaging": "weight averaging"}  # of each of MODERN, in the order in which they are added


def steps(params: dict) -> dict[str, dict]:
    """Return what each step gives a recipe, by its name: the paper's, then one ingredient more each time.

    An ingredient at the paper's value is no step. One cycle brings its own learning rate, ``peak``, and has no effect
    before its end, so the step before it keeps the last weights. Raises UserError where there is none.
    """
    given = {name: getattr(Recipe, name) for name in (*MODERN, "keep")}
    found = {BASE: given}
    for name in MODERN:
        if params[name] != getattr(Recipe, name):
            if name == "schedule":
                found[ENDED] = given = given | {"keep": "last"}
                given = given | {"lr": params["peak"]}
            found[WORDS[name]] = given = given | {name: params[name]}
    if len(found) == 1:
        raise UserError("no ingredient beyond the paper's", f"give one of {', '.join(MODERN)} another value")
    return found


def recipes(params: dict) -> dict[tuple[str, int], Recipe]:
    """List the trainings by step and seed; all train every epoch, for a schedule has its end there."""
    params = protocol.DEFAULTS | params | {"patience": 0}
    return {
        (step, seed): replace(protocol.search(params["model"], params | values, seed), keep=values["keep"])
        for step, values in steps(params).items()
        for seed in params["seed"]
    }


def frame(runs: dict[tuple[str, int], Run]) -> pd.DataFrame:
    """Lay out finished trainings, a row each: step, seed, validation and test accuracy [%] of the weights kept.

    Test is nan where it was not asked; a run that diverged is left out; UserError if all did.
    """
    rows = []
    for (step, seed), run in runs.items():
        if not run.diverged:
            answers = run.answers()
            right = float("nan") if answers is None else (answers["predicted"] == answers["label"]).mean()
            kept = run.best if run.recipe.keep == "best" else run.history.iloc[-1]
            validation = stats.percent(kept["val_accuracy"])
            rows.append((step, seed, validation, stats.percent(right)))
    if not rows:
        raise UserError(f"all {len(runs)} trainings diverged", "give another learning rate as lr, or peak")
    return pd.DataFrame(rows, columns=["step", "seed", "validation", "test"])


def ladder(table: pd.DataFrame, score: str = "test", level: float = 0.95) -> pd.DataFrame:
    """Return a row a step: what it is worth, and what it adds to the step before and to the first, paired by seed.

    Columns: step; accuracy, the mean of ``score`` [%] with each seed's, a list; gain over the step before with low and
    high of its interval and its seeds, pairs; total, over the first step, with total low and total high [points] and n.
    Intervals are nan from fewer than two seeds.
    """
    scores = table.pivot(index="seed", columns="step", values=score)
    names = list(dict.fromkeys(table["step"]))
    rows = []
    for before, step in zip([names[0], *names], names, strict=False):
        gain, total = ((scores[step] - scores[other]).dropna() for other in (before, names[0]))
        row = {"step": step, "accuracy": scores[step].mean(), "each": scores[step].dropna().tolist()}
        for name, apart in (("gain", gain), ("total", total)):
            ends = stats.mean_interval(apart, level) if step != names[0] else (float("nan"),) * 2
            lows = ("low", "high") if name == "gain" else ("total low", "total high")
            row |= {name: apart.mean()} | dict(zip(lows, ends, strict=True))
        rows.append(row | {"pairs": len(gain), "n": len(total)})
    return pd.DataFrame(rows)
