"""Which reading gives the paper's numbers: its trainings, the t of every number, and a score beside the default's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from fmnist_lib import UserError, models
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import record
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers, mode, networks, paper, protocol, rule
from fmnist_lib.study.readings import READINGS, Reading
from fmnist_lib.study.results import frame
from fmnist_lib.study.tables import SCORES, TEST, VALIDATION
from fmnist_lib.workers import sweep

RATE = 5000  # images a second that a core trains the winner on
USUAL = 14  # epochs to the best one, about; a patience comes on top
COLUMNS = ["table", "model", "seed", *SCORES, "reading"]
HEADS = {"numbers": "numbers", "inside": "inside 95 %", "default_inside": "inside, default"}
HEADS |= {"better": "log-likelihood gained"}
TABLES = {"I": paper.TABLE_1, "II": paper.TABLE_2}


def searches(reading: Reading, params: dict) -> list[Recipe]:
    """List the searches of a reading. Only the default lets the winner train on to its last epoch.

    Raises UserError, with the reading's name, where what it changes does not go with the other parameters.
    """
    asked = protocol.DEFAULTS | params | reading.changes
    try:
        found = [protocol.search(model, asked, seed) for seed in params["seed"] for model in reading.systems]
    except UserError as error:
        fix = f"{error.fix}; or name the readings without this one"
        raise UserError(f'under the reading "{reading.words}", {error.cause}', fix) from None
    return [replace(one, patience=asked["patience"]) for one in found] if reading.searched_anew else found


def retrainings(reading: Reading, searched: Sequence[Run], params: dict) -> list[Recipe]:
    """List what is taken to the test images: the retrainings of Table II's networks, or their searches themselves."""
    chosen = protocol.finalists([paper.WINNER], list(searched))
    if reading.tested == "search":
        return [run.recipe for run in chosen]
    asked = protocol.DEFAULTS | params | reading.changes
    return [protocol.retraining(run.recipe, run.best_epoch, asked) for run in chosen]


def recipes(names: Sequence[str], params: dict, store: Store) -> list[Recipe]:
    """List all trainings of these readings, each once: the searches, and the retrainings of those that are there.

    Train them, call again, and train what has been added; the third list is as the second.
    """
    listed = []
    for reading in (READINGS[name] for name in names):
        wanted = searches(reading, params)
        found = [run for recipe in wanted if (run := store.find(recipe)) is not None]
        listed += wanted + (retrainings(reading, found, params) if len(found) == len(wanted) else [])
    return list(dict.fromkeys(listed))


def hours(todo: Sequence[Recipe]) -> float:
    """Estimate the hours of one core that these trainings take, by the operations of each network."""
    winner, total = sum(networks.flop(models.build(paper.WINNER))), 0.0
    for recipe in todo:
        epochs = min(recipe.epochs, USUAL + recipe.patience) if recipe.patience else recipe.epochs
        images = epochs * (recipe.train_images + 0.4 * recipe.val_images)
        total += images * sum(networks.flop(models.of(recipe))) / winner / RATE / 3600
    return total


def conduct(names: Sequence[str], params: dict, store: Store, data_dir: Path | str = "") -> pd.DataFrame:
    """Train what is missing of these readings and return their `values`, a row a network tested or searched."""
    on = sweep.where(params)
    while todo := store.missing(recipes(names, params, store)):
        sweep.train(todo, store, data_dir, weights=True, **on)
    for reading in (READINGS[name] for name in names):
        searched = [store.find(recipe) for recipe in searches(reading, params)]
        wanted = retrainings(reading, searched, params)
        if not reading.training_mode:
            for run in sweep.train(wanted, store, data_dir, weights=True, **on):
                answers.on_test(run, data_dir)
            continue
        untold = [recipe for recipe in wanted if mode.find(recipe, store) is None]  # what is shipped may be of the kind
        sweep.train(untold, Store(store.folder, shipped=False), data_dir, weights=True, **on)
        for recipe in wanted:
            if (run := mode.find(recipe, store)) is None:
                cause = f"{store.place(recipe)} is here without its weights, and was not asked in training mode"
                raise UserError(cause, "move it elsewhere and run this again: it is trained once more, with weights")
            answers.on_test(run, data_dir), mode.on_test(run, data_dir)
    return recorded(names, params, store, data_dir)


def recorded(names: Sequence[str], params: dict, store: Store, data_dir: Path | str = "") -> pd.DataFrame:
    """Return `values` of those of these readings whose trainings and answers are all there; nothing is trained."""
    pairs = {name: pair for name in names if (pair := whole(name, params, store))}
    tables = [values(name, *pair, data_dir, params["split_seed"]) for name, pair in pairs.items()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def whole(name: str, params: dict, store: Store) -> tuple[list[Run], list[Run]] | None:
    """Return a reading's searches and what it takes to the test images, or None unless all of it is there.

    That is the answers that were kept; in training mode those, or the weights themselves.
    """
    reading = READINGS[name]
    searched = store.whole(searches(reading, params))
    wanted = retrainings(reading, searched, params) if searched else []
    tested = [mode.find(recipe, store) if reading.training_mode else store.find(recipe) for recipe in wanted]
    told = [run and (reading.training_mode or record.TEST in run.record["files"]) for run in tested]
    return (searched, tested) if told and all(told) else None


def values(name: str, searched: list[Run], tested: list[Run], data_dir: Path | str, split_seed: int) -> pd.DataFrame:
    """Return a row a run that stands for numbers of the paper: reading, table, model, seed, epoch, loss, accuracy.

    Runs that diverged are left out. In Table II the epoch is nan where it is told already: the winner's by Table I, all
    of them by the default, if the reading has its searches.
    """
    reading = READINGS[name]
    one, two = (frame(runs, split_seed).query("status == 'finished'") for runs in (searched, tested))
    one = one[one["model"].isin(paper.TABLE_1) & reading.validated].rename(columns=VALIDATION)
    told = two["model"].isin(paper.TABLE_1) if reading.validated else np.full(len(two), not reading.searched_anew)
    two = two.assign(epochs=two["epochs"].mask(told), model=two["model"].map(paper.paper_name)).rename(columns=TEST)
    if reading.training_mode:
        said = {run.folder.name: mode.scores(mode.predictions(run, data_dir)) for run in tested}
        two = two.assign(**{score: [said[run][i] for run in two["run"]] for i, score in enumerate(SCORES[1:])})
    both = pd.concat([one.assign(table="I"), two.assign(table="II")])
    return both.assign(reading=name)[COLUMNS].reset_index(drop=True)


def wide(params: dict, store: Store, data_dir: Path | str = "") -> pd.DataFrame:
    """Return `values` of the default over all judging seeds, which know its sd better than a reading's few; none of
    them unless all are there."""
    return recorded(["default"], params | {"seed": list(rule.JUDGING_SEEDS)}, store, data_dir)


def weigh(found: pd.DataFrame, more: pd.DataFrame | None = None, level: float = 0.95) -> pd.DataFrame:
    """Hold each number of the paper against what each reading predicts of one more run.

    ``found`` is `conduct`'s table. A row a reading and number: table, model, score, paper, mean, n, sd, freedom, t,
    limit (the t that 95 % stay within), inside, log_likelihood (of the paper's number), and both under the default. The
    sd is pooled over the networks of the default, table by table: three seeds of one network know it badly, and a
    reading under which networks get stuck would excuse itself by its own spread. ``more``, the default's `values` over
    other seeds (`wide`), gives the sd instead where it has any. t = (paper − mean) / (sd √(1 + 1/n)).
    """
    long, default = _long(found), found[found["reading"] == "default"]
    keys = ["reading", "table", "model", "score"]
    table = long.groupby(keys, sort=False)["value"].agg(mean="mean", n="count").reset_index()
    spread = _pooled(_long(default if more is None or more.empty else more))
    table = table.merge(spread, how="left", on=["table", "score"])
    said = [TABLES[row.table].get(row.model, (np.nan,) * 3)[SCORES.index(row.score)] for row in table.itertuples()]
    error = (table["sd"] * np.sqrt(1 + 1 / table["n"])).where(table["sd"] > 0)
    table = table.assign(paper=said, t=(said - table["mean"]) / error)
    table["limit"] = t.ppf(0.5 + level / 2, table["freedom"])
    table["inside"] = (table["t"].abs() <= table["limit"]).astype(object).where(table["t"].notna())
    table["log_likelihood"] = t.logpdf(table["t"], table["freedom"]) - np.log(error)
    own = table[table["reading"] == "default"].set_index(keys[1:])[["inside", "log_likelihood"]]
    return table.dropna(subset="paper").join(own.add_prefix("default_"), on=keys[1:]).reset_index(drop=True)


def _long(found: pd.DataFrame) -> pd.DataFrame:
    long = found.melt(["reading", "table", "model", "seed"], SCORES, var_name="score").dropna(subset="value")
    return long.astype({"value": float})


def _pooled(long: pd.DataFrame) -> pd.DataFrame:
    """Return the sd of each table's score, pooled over networks, and its degrees of freedom."""
    groups = long.groupby(["table", "score", "model"])["value"]
    each = pd.DataFrame({"freedom": groups.count() - 1, "squares": groups.var(ddof=1) * (groups.count() - 1)})
    pooled = each.groupby(["table", "score"]).sum()
    return pooled.assign(sd=np.sqrt(pooled["squares"] / pooled["freedom"]))[["sd", "freedom"]].reset_index()


def score(weighed: pd.DataFrame) -> pd.DataFrame:
    """Return a row a reading, the likeliest first: numbers, inside, log_likelihood, and the default's on the same.

    ``better`` is the difference of the two log-likelihoods: a score, no odds: the numbers depend on one another.
    """
    usable = weighed.dropna(subset=["log_likelihood", "default_log_likelihood"])
    groups = usable.groupby("reading", sort=False)
    table = groups[["inside", "log_likelihood", "default_inside", "default_log_likelihood"]].sum()
    table = table.assign(numbers=groups.size(), better=table["log_likelihood"] - table["default_log_likelihood"])
    return table.astype({"inside": int, "default_inside": int}).sort_values("better", ascending=False, kind="stable")


def shown(scored: pd.DataFrame) -> pd.DataFrame:
    """Return `score`'s table for a reader: each reading in words, its numbers and those inside, and the default's."""
    words = scored.index.map(lambda name: READINGS[name].words)
    return scored[list(HEADS)].rename(columns=HEADS).set_axis(words).rename_axis("reading").reset_index()
