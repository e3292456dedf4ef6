"""How to search: strategies replayed on a finished table, each paying for what it asks, judged on another seed.

The paper asks for a hierarchy of hyperparameters, or to take them as independent.
"""

from collections import Counter
from itertools import product
from math import ceil, prod

import numpy as np
import pandas as pd

from fmnist_lib.runs.run import Run
from fmnist_lib.study.search import Config, an_epoch, config

HIERARCHY = (("k",), ("n", "p"), ("optimizer", "lr"), ("activation",))  # from the network's shape to its training
STARTED, HALVINGS = 32, 3  # configurations that successive halving begins with; how often it keeps the better half
GOOD, AT_RANDOM, TRIED = 0.15, 10, 32  # of TPE: the share it calls good; configurations before its model, and in all
Space = dict[str, list]


class Replay:
    """One search on a table that is finished: what it asks it pays for, once, and what it would choose is noted.

    ``scores`` are each configuration's accuracies [%] by epoch, at the best epoch so far; ``costs`` are of an epoch.
    """

    def __init__(self, scores: dict[Config, list[float]], costs: dict[Config, float]):
        self.scores, self.costs, self.asked = scores, costs, {}
        self.paid, self.chosen, self.leads = 0.0, None, (0, -np.inf)
        self.epochs = max(map(len, scores.values()))
        self.trace: list[tuple[float, Config]] = []  # (paid so far, the choice so far)

    def ask(self, config: Config, epochs: int = 0) -> float:
        """Return a configuration's accuracy after so many epochs, or all; it goes on from those already paid for.

        The choice is the most accurate of those that were trained longest.
        """
        epochs = epochs or self.epochs
        self.paid += self.costs[config] * max(epochs - self.asked.get(config, 0), 0)
        self.asked[config] = max(epochs, self.asked.get(config, 0))
        score = self.scores[config][min(epochs, len(self.scores[config])) - 1]
        if (epochs, score) > self.leads:
            self.chosen, self.leads = config, (epochs, score)
        self.trace.append((self.paid, self.chosen))
        return score


def grid(replay: Replay, space: Space, rng: np.random.Generator):
    """Ask every configuration, in order."""
    for one in product(*space.values()):
        replay.ask(one)


def random(replay: Replay, space: Space, rng: np.random.Generator):
    """Ask every configuration, in random order."""
    for one in _shuffled(space, rng):
        replay.ask(one)


def independent(replay: Replay, space: Space, rng: np.random.Generator):
    """Vary one axis at a time from a random start, the others as they were, and ask the best values together."""
    start = _shuffled(space, rng)[0]
    replay.ask(tuple(_best(replay, start, (axis,), space)[i] for i, axis in enumerate(space)))


def hierarchy(replay: Replay, space: Space, rng: np.random.Generator):
    """Go through `HIERARCHY` from a random start, each level a grid of its own, and keep what was best at each."""
    now = _shuffled(space, rng)[0]
    for level in HIERARCHY:
        now = _best(replay, now, level, space)


def halving(replay: Replay, space: Space, rng: np.random.Generator):
    """Train some configurations for an eighth of the epochs, the better half of them for twice as many, and so on."""
    left = _shuffled(space, rng)[:STARTED]
    for rung in range(HALVINGS, -1, -1):
        epochs = -(-replay.epochs // 2**rung)
        left = sorted(left, key=lambda one: -replay.ask(one, epochs))
        left = left[: -(-len(left) // 2)]


def tpe(replay: Replay, space: Space, rng: np.random.Generator):
    """Ask some configurations at random, then those that a tree-structured Parzen estimator finds most promising.

    Of those not asked, the one likeliest among the good ones asked so far, over how likely it is among the others: each
    axis has the distribution of its values there, with one of each value beside them (Bergstra et al., 2011).
    """
    left, asked = _shuffled(space, rng), []
    while left and len(asked) < TRIED:
        ratios = _ratios(asked, space)
        promising = max(left, key=lambda one: prod(map(dict.get, ratios, one)))
        left.remove(one := promising if len(asked) >= AT_RANDOM else left[0])
        asked.append((replay.ask(one), one))


STRATEGIES = {
    "grid": grid,
    "random": random,
    "one at a time": independent,
    "hierarchy": hierarchy,
    "successive halving": halving,
    "TPE": tpe,
}


def _shuffled(space: Space, rng: np.random.Generator) -> list[Config]:
    every = list(product(*space.values()))
    return [every[i] for i in rng.permutation(len(every))]


def _best(replay: Replay, start: Config, level: tuple[str, ...], space: Space) -> Config:
    """Return the best of a grid over some axes, the others as at the start."""
    given = {axis: [value] for axis, value in zip(space, start, strict=True)}
    return max(product(*(given | {axis: space[axis] for axis in level}).values()), key=replay.ask)


def _ratios(asked: list[tuple[float, Config]], space: Space) -> list[dict]:
    """Return for each axis how much likelier each value is among the good configurations than among the others."""
    ranked = [one for _, one in sorted(asked, key=lambda each: -each[0])]
    count, ratios = ceil(GOOD * len(ranked)), []
    for i, values in enumerate(space.values()):
        parts = ranked[:count], ranked[count:]
        good, others = (Counter([*values, *(one[i] for one in some)]) for some in parts)
        ratios.append({value: good[value] / good.total() / others[value] * others.total() for value in values})
    return ratios


def by_seed(runs: list[Run]) -> tuple[dict[int, dict[Config, list[float]]], dict[Config, float]]:
    """Return the table for `Replay`: each seed's scores, and what an epoch of each configuration costs [teraflop]."""
    scores, costs = {}, {}
    for run in runs:
        one = config(run.recipe)
        scores.setdefault(run.recipe.split_seed, {})[one] = _so_far(run.history)
        costs[one] = an_epoch(run.recipe)
    return scores, costs


def _so_far(history: pd.DataFrame) -> list[float]:
    losses = history["val_loss"].fillna(np.inf)
    best = [losses[: epoch + 1].argmin() for epoch in range(len(losses))]
    return [100 * history["val_accuracy"].iloc[i] for i in best]


def replay(scores: dict[int, dict], costs: dict[Config, float], space: Space, count: int) -> pd.DataFrame:
    """Search each seed's scores by every strategy, so many times, and judge the choices by the other seeds' mean.

    Returns a row a question: strategy, seed, replay, paid (so far, in whole grids), regret: how many points the choice
    so far is behind the whole grid's, on the seeds that neither was made on (below 0 it is ahead: the best of the table
    there would be so by luck). The grid has one replay a seed.
    """
    rows, whole = [], sum(costs.values()) * max(len(curve) for each in scores.values() for curve in each.values())
    for seed, own in scores.items():
        judged = {one: np.mean([each[one][-1] for s, each in scores.items() if s != seed]) for one in own}
        whole_grids = judged[max(own, key=lambda one: own[one][-1])]
        for name, strategy in STRATEGIES.items():
            for i in range(1 if strategy is grid else count):
                search = Replay(own, costs)
                strategy(search, space, np.random.default_rng([seed, i]))
                rows += [(name, seed, i, paid / whole, whole_grids - judged[one]) for paid, one in search.trace]
    return pd.DataFrame(rows, columns=["strategy", "seed", "replay", "paid", "regret"])


def over_time(replays: pd.DataFrame, at: np.ndarray) -> pd.DataFrame:
    """Return each strategy's mean regret once so much of a grid is paid: rows ``at``, columns strategies.

    nan where some replay has no choice yet, and after the most that a replay has paid.
    """
    columns = {}
    for name, some in replays.groupby("strategy", sort=False):
        each = [_step(one, at) for _, one in some.groupby(["seed", "replay"])]
        columns[name] = np.where(at <= some["paid"].max() * (1 + 1e-9), np.mean(each, axis=0), np.nan)
    return pd.DataFrame(columns, index=at)


def _step(one: pd.DataFrame, at: np.ndarray) -> np.ndarray:
    last = np.searchsorted(one["paid"].to_numpy(), at * (1 + 1e-9), side="right") - 1
    return np.where(last >= 0, one["regret"].to_numpy()[last], np.nan)


def ends(replays: pd.DataFrame) -> pd.DataFrame:
    """Return a row a strategy: the mean of what its replays paid in the end (in grids) and of their regret then.

    Columns: strategy, paid, regret; bad, the regret [points] that one replay in ten exceeds; n, replays.
    """
    last = replays.groupby(["strategy", "seed", "replay"], sort=False).tail(1).groupby("strategy", sort=False)
    found = pd.DataFrame({"paid": last["paid"].mean(), "regret": last["regret"].mean()})
    return found.assign(bad=last["regret"].quantile(0.9), n=last.size()).reset_index()
