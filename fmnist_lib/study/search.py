"""The search table: every combination of six hyperparameters, trained on few images; what each is worth and costs.

The paper's last wish: the learning rate, SGD and LeakyReLU beside k, n and p.
"""

import functools
from itertools import combinations, product

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from fmnist_lib import UserError, models
from fmnist_lib.recipe import Recipe, cnn_name, parse
from fmnist_lib.runs.run import Run
from fmnist_lib.study import networks, protocol, stats

AXES = {"k": "k", "n": "n", "p": "p", "optimizer": "optimizers", "lr": "lrs", "activation": "activations"}
MOMENTUM, FASTER = 0.9, 30  # of SGD: Nesterov's momentum, and how many times Adam's learning rate
DECIMALS = 9  # of a learning rate, which is multiplied and divided again
PAPERS = (3, 512, 0.1, "adam", 0.001, "relu")
NOTHING, FEW = 20.0, 0.1  # % accuracy, twice that of guessing: nothing was learnt; so many of a table are outliers
Config = tuple  # a value for each of AXES, in their order


def space(params: dict) -> dict[str, list]:
    """Return the values of each axis that a notebook's parameters search, learning rates to nine decimals."""
    return {axis: params[name] for axis, name in AXES.items()} | {"lr": [round(lr, DECIMALS) for lr in params["lrs"]]}


def recipes(params: dict) -> list[Recipe]:
    """List the trainings of the search table: every configuration, for each of the search seeds.

    Raises UserError where there is nothing to compare, no other seed to judge by, or no training at full size.
    """
    if len(params["search_seeds"]) < 2:
        raise UserError(f"search_seeds = {params['search_seeds']} leaves no seed to judge by", "give at least two")
    if max(map(len, space(params).values())) < 2:
        raise UserError("a search of one configuration", f"give several values of one of {', '.join(AXES.values())}")
    small = params | {"train_images": params["search_images"], "epochs": params["search_epochs"], "patience": 0}
    configs = list(product(*space(params).values()))
    for one in (PAPERS, configs[0]):  # which are trained last, and refused before the first
        recipe(one, params, params["seed"][0])
    return [recipe(config, small, seed) for seed in params["search_seeds"] for config in configs]


def recipe(config: Config, params: dict, seed: int) -> Recipe:
    """Return a configuration's training, in all else that of `protocol.search`."""
    k, n, p, optimizer, lr, activation = config
    values = {"optimizer": optimizer, "lr": lr, "activation": activation}
    if optimizer == "sgd":
        values |= {"lr": round(FASTER * lr, DECIMALS), "momentum": MOMENTUM}
    return protocol.search(cnn_name(k, n, p), protocol.DEFAULTS | params | values, seed)


def config(recipe: Recipe) -> Config:
    """Return the configuration of a recipe that `recipe` made."""
    lr = round(recipe.lr / FASTER, DECIMALS) if recipe.optimizer == "sgd" else recipe.lr
    return (*parse(recipe.model)[1].values(), recipe.optimizer, lr, recipe.activation)


def trained_at(table: pd.DataFrame) -> pd.DataFrame:
    """Return configurations as they were trained: SGD's learning rate is `FASTER` times the one it stands beside."""
    return table.assign(lr=(table["lr"] * table["optimizer"].map({"sgd": FASTER}).fillna(1)).round(DECIMALS))


def apart(runs: list[Run], params: dict) -> tuple[list[Run], list[Run]]:
    """Part the runs of a whole study into those of the table and those at full size."""
    small = set(recipes(params))
    return [run for run in runs if run.recipe in small], [run for run in runs if run.recipe not in small]


def frame(runs: list[Run], finished: bool = False) -> pd.DataFrame:
    """Lay out trainings of the table, a row each: `AXES`, seed, accuracy [%] at the best epoch, teraflop up to it.

    The table needs every configuration, and has those that diverged as they stood; ``finished`` leaves them out.
    """
    rows = []
    for run in (run for run in runs if not (finished and run.diverged)):
        seed = run.recipe.split_seed - Recipe.split_seed
        row = (*config(run.recipe), seed, stats.percent(run.best["val_accuracy"]))
        rows.append((*row, an_epoch(run.recipe) * run.best_epoch))
    return pd.DataFrame(rows, columns=[*AXES, "seed", "accuracy", "teraflop"])


def an_epoch(recipe: Recipe) -> float:
    """Return the operations of an epoch's products, in teraflop."""
    return _operations(recipe.model, recipe.padding) * recipe.train_images / 1e12


@functools.cache
def _operations(model: str, padding: str) -> int:
    return sum(networks.flop(models.build(model, padding)))


def best(table: pd.DataFrame, count: int) -> list[Config]:
    """Return the configurations of highest accuracy, the mean over their seeds, best first."""
    mean = table.groupby(list(AXES), sort=False)["accuracy"].mean()
    return list(mean.round(6).sort_values(ascending=False, kind="stable").index[:count])


def as_papers(table: pd.DataFrame) -> Config:
    """Return the best configuration that is trained as the paper does, or the paper's own if the table has none."""
    alike = table[(table[["optimizer", "lr", "activation"]] == list(PAPERS[3:])).all(axis=1)]
    return (best(alike, 1) or [PAPERS])[0]


def learnt(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the configurations of which a training learnt nothing, as long as they are few.

    One such training in hundreds would hide what all others show.
    """
    kept = table[table.groupby(list(AXES))["accuracy"].transform("min") >= NOTHING]
    return kept if len(kept) >= (1 - FEW) * len(table) else table


def at_full_size(table: pd.DataFrame, params: dict) -> list[Recipe]:
    """List the trainings of the best configurations of the table, of the best that is trained as the paper does, and of
    the paper's, on all images for every seed."""
    chosen = dict.fromkeys([*best(table, params["best"]), as_papers(table), PAPERS])
    return [recipe(one, params, seed) for one in chosen for seed in params["seed"]]


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a value of each axis that has several: what it does to the mean over all else.

    Columns: axis, value; effect, its mean accuracy less that of the whole table [points]; each, the same in each seed;
    cost, its operations to the best epoch over the mean of all.
    """
    rows = []
    for axis in varied(table):
        for value, some in table.groupby(axis):
            apart = some.groupby("seed")["accuracy"].mean() - table.groupby("seed")["accuracy"].mean()
            cost = some["teraflop"].mean() / table["teraflop"].mean()
            rows.append((axis, value, some["accuracy"].mean() - table["accuracy"].mean(), list(apart), cost))
    return pd.DataFrame(rows, columns=["axis", "value", "effect", "each", "cost"])


def varied(table: pd.DataFrame) -> list[str]:
    """Return the axes of more than one value."""
    return [axis for axis in AXES if table[axis].nunique() > 1]


def importance(table: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the variance of accuracy each axis and each pair of axes explains, most first.

    A factorial analysis of variance with the seed as a block (type II sums of squares). Columns: term, share [% of the
    sum of squares], F, p; the residual, which holds what three axes do together, is the last row.
    """
    axes = varied(table)
    terms = {f"C({a})": a for a in axes} | {f"C({a}):C({b})": f"{a} × {b}" for a, b in combinations(axes, 2)}
    block = ["C(seed)"] if table["seed"].nunique() > 1 else []
    fitted = ols(f"accuracy ~ {' + '.join([*terms, *block])}", table).fit()
    found = anova_lm(fitted, typ=2).rename(index=terms | {"C(seed)": "seed"})
    found = found.assign(share=100 * found["sum_sq"] / found["sum_sq"].sum()).rename(columns={"PR(>F)": "p"})
    ordered = found.drop(index="Residual").sort_values("share", ascending=False)
    return pd.concat([ordered, found.loc[["Residual"]]]).rename_axis("term").reset_index()[["term", "share", "F", "p"]]


def against(table: pd.DataFrame, papers: Config = PAPERS) -> pd.DataFrame:
    """Return a row a configuration, most accurate first, beside the paper's: both at full size, paired by seed.

    Columns: `AXES`, accuracy [%], seeds, difference from the paper's [points] with low and high of its 95 %
    interval, nan from fewer than two seeds; cost, its operations to the best epoch over the paper's.
    """
    scores, flop = (table.pivot_table(index=list(AXES), columns="seed", values=v) for v in ("accuracy", "teraflop"))
    rows = []
    for one, row in scores.iterrows():
        apart = (row - scores.loc[papers]).dropna() if papers in scores.index else row[:0]
        low, high = stats.mean_interval(apart)
        cost = flop.loc[one].mean() / flop.loc[papers].mean() if papers in flop.index else np.nan
        rows.append((*one, row.mean(), row.count(), apart.mean(), low, high, cost))
    names = [*AXES, "accuracy", "seeds", "difference", "low", "high", "cost"]
    return pd.DataFrame(rows, columns=names).sort_values("accuracy", ascending=False, ignore_index=True)
