"""All runs as one tidy frame, a row a run; the same by seed; and the paper's own numbers in that shape."""

import math
from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs.files import SHIPPED
from fmnist_lib.runs.record import HISTORY
from fmnist_lib.runs.run import Run
from fmnist_lib.study import paper
from fmnist_lib.study.paper import ANN_MODELS, RIVALS, TABLE_1, TABLE_2, paper_name
from fmnist_lib.study.stats import percent

SECONDS = SHIPPED / "benchmark" / "seconds.csv"
EARLY, LATE = TABLE_1[paper.WINNER][0], 23  # epochs between which S4 and S5 look: the winner's, the latest of Table I
MODELS = (*TABLE_1, *RIVALS)
LOSSES = [(name, epoch) for name in ("train_loss", "val_loss") for epoch in (EARLY, LATE)]
CURVES = [f"{name}@{epoch}" for name, epoch in LOSSES]
SEARCHED = {"best_epoch": "epoch", "best_val_loss": "loss", "best_val_accuracy": "accuracy"}
SEARCHED |= {name: name for name in CURVES}
RETRAINED = {"last_val_accuracy": "validation", "test_accuracy": "test"}
SCORES = (*SEARCHED.values(), "seconds", *RETRAINED.values())
MADE_ON = ["torch", "python", "system", "processor", "card", "capability"]
COLUMNS = [field.name for field in fields(Recipe)] + ["role", "seed", "run", "status", "seconds", "trained", "history"]
COLUMNS += [
    f"{when}_{name}" for when in ("best", "last") for name in ("epoch", "train_loss", "val_loss", "val_accuracy")
]
COLUMNS += ["test_accuracy", "test_loss", *CURVES, "finished", *MADE_ON, "variables", "commit", "preregistration"]


def frame(runs: list[Run], first_split_seed: int = Recipe.split_seed) -> pd.DataFrame:
    """Lay out runs, a row each, one found twice once.

    Beside the recipe's fields: role (search, retraining), seed (of the repetition), run, status, seconds, epochs
    trained; epoch, losses [nats] and validation accuracy [%] at the best and at the last epoch; losses at epochs 13
    and 23, nan where it was not trained so far; test accuracy [%] and loss [nats], nan where it was not asked; start of
    its history's SHA-256, when it was finished and where, and the SHA-256 of the preregistration then.
    """
    once = {run.folder.name: run for run in runs}
    return pd.DataFrame([_row(run, first_split_seed) for run in once.values()], columns=COLUMNS)


def _row(run: Run, first_split_seed: int) -> dict:
    recipe, history = run.recipe, run.history.set_index("epoch")
    row = asdict(recipe) | {"role": "search" if recipe.keep == "best" else "retraining"}
    row |= {"seed": recipe.split_seed - first_split_seed, "run": run.folder.name, "status": run.record["status"]}
    row |= {name: run.record[name] for name in ("seconds", "finished")}
    row |= {"trained": len(history), "history": run.record["files"][HISTORY]["sha256"][:16]}
    row |= {name: run.record["environment"].get(name) for name in MADE_ON}
    row |= {"variables": _pairs(run.record["environment"].get("variables", {}))}
    source = run.record.get("source", {})
    row |= {"commit": _commit(source), "preregistration": source.get("preregistration")}
    for when, epoch in (("best", run.best), ("last", run.history.iloc[-1])):
        shown = {**epoch, "epoch": int(epoch["epoch"]), "val_accuracy": percent(epoch["val_accuracy"])}
        row |= {f"{when}_{name}": value for name, value in shown.items()}
    row |= dict(zip(CURVES, (history[name].get(epoch, np.nan) for name, epoch in LOSSES), strict=True))
    return row | _test(run)


def curves(runs: list[Run]) -> pd.DataFrame:
    """Return the histories of runs, a row a run and epoch, under the run's name."""
    return pd.concat([run.history.assign(run=run.folder.name) for run in runs], ignore_index=True)


def _pairs(variables: dict) -> str | None:
    return " ".join(f"{name}={value}" for name, value in variables.items()) or None


def _commit(source: dict) -> str | None:
    return source and source["commit"] and source["commit"][:7] + (" with changes" if source["changed"] else "")


def _test(run: Run) -> dict:
    if (images := run.answers()) is None:
        return {}
    right = (images["predicted"] == images["label"]).mean()
    return {
        "test_accuracy": percent(right),
        "test_loss": math.fsum(images["loss"]) / len(images),
    }  # exact: the same everywhere


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out ANN-Juan's runs at a rate that the paper's rule does not choose, seed by seed.

    The rule (section III): the highest validation accuracy at the epoch of minimum validation loss; on a tie the lower
    loss, then the name. A seed that has not tried both of the paper's rates, whatever others, has chosen none.
    """
    ann = frame["model"].str.startswith("ANN-Juan")
    tried = frame[ann & (frame["role"] == "search")]
    complete = tried[tried["model"].isin(ANN_MODELS)].groupby("seed")["model"].nunique() == len(ANN_MODELS)
    ranked = tried[tried["status"] == "finished"].sort_values(
        ["best_val_accuracy", "best_val_loss", "model"], ascending=[False, True, True]
    )
    best = ranked.groupby("seed")["model"].first()[lambda models: models.index.map(complete).fillna(False).astype(bool)]
    return frame[~ann | (frame["model"] == frame["seed"].map(best))]


def seconds_an_epoch() -> dict[str, float]:
    """Return how long an epoch takes in one process, by the paper's name of each model that was measured so far.

    The benchmark measures it on an otherwise idle machine; empty where none is shipped.
    """
    if not SECONDS.exists():
        return {}
    table = pd.read_csv(SECONDS)
    return dict(zip(table["model"].map(paper_name), table["seconds"].astype(float), strict=True))


def by_seed(frame: pd.DataFrame, seconds: dict[str, float] | None = None) -> pd.DataFrame:
    """Lay out the finished runs, a row a seed, under columns (score, model).

    Of the searches: epoch, loss [nats] and accuracy [%] at the best epoch, losses at 13 and 23; seconds to the best
    epoch, by ``seconds`` an epoch of each model as a benchmark measured them. Of the retrainings, after their last
    epoch: validation and test, accuracies [%]. Raises UserError for two runs of one seed, model and role.
    """
    rows = chosen(frame)[lambda rows: rows["status"] == "finished"]
    an_epoch = rows["model"].map(lambda model: (seconds or {}).get(model, (seconds or {}).get(paper_name(model))))
    rows = rows.assign(seconds=rows["best_epoch"] * an_epoch.astype(float), model=rows["model"].map(paper_name))
    keys = ["seed", "model", "role"]
    if rows.duplicated(keys).any():
        twice = ", ".join(rows.loc[rows.duplicated(keys, keep=False), "run"])
        raise UserError(f"several runs of one seed and model: {twice}", "give the runs of one set of parameters")
    tables = [
        rows[rows["role"] == role].rename(columns=names).pivot(index="seed", columns="model", values=list(scores))
        for role, names, scores in (
            ("search", SEARCHED, [*SEARCHED.values(), "seconds"]),
            ("retraining", RETRAINED, RETRAINED.values()),
        )
    ]
    return pd.concat(tables, axis=1).reindex(columns=_columns()).sort_index().astype(float)


def papers() -> pd.DataFrame:
    """Lay out the paper's own numbers in `by_seed`'s shape, one row; nan where it gives none.

    It gives no validation accuracy of a retraining: its 92.44 % are the search's.
    """
    cells = {}
    for model, (epoch, loss, accuracy) in TABLE_1.items():
        cells |= {("epoch", model): epoch, ("loss", model): loss, ("accuracy", model): accuracy}
    for model, (epoch, _, accuracy) in TABLE_2.items():
        cells |= {("epoch", model): epoch, ("test", model): accuracy}
    return pd.DataFrame([cells]).reindex(columns=_columns()).astype(float)


def _columns() -> pd.MultiIndex:
    return pd.MultiIndex.from_product([SCORES, MODELS], names=["score", "model"])
