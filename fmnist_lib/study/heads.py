"""Is it k, or the size of the head? Networks that differ in k alone, under each reading.

With the default's padding k = 3 leaves more features than k = 5, and so a larger dense layer. Padding that keeps the
size gives both the same.
"""

import pandas as pd

from fmnist_lib.study import stats
from fmnist_lib.study.paper import TABLE_1

PAIRS = {model: model.replace("CNN3", "CNN5") for model in TABLE_1 if model.startswith("CNN3")}
CHANGE = ("change", "change low", "change high")


def apart(found: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of k = 3 less that of k = 5 [points], a row a reading and seed, a column a pair.

    ``found`` is what `weighing.conduct` returns; nan where a reading lacks one of the two networks.
    """
    searched = found[(found["table"] == "I") & found["model"].isin(TABLE_1)]
    accuracy = searched.pivot(index=["reading", "seed"], columns="model", values="accuracy").reindex(columns=TABLE_1)
    return pd.DataFrame({three: accuracy[three] - accuracy[five] for three, five in PAIRS.items()}).dropna(how="all")


def summary(found: pd.DataFrame, default: str = "default") -> pd.DataFrame:
    """Return a row a reading: what k = 3 is worth under it and, on the same pairs and seeds, under the default.

    Columns pairs, n (seeds); estimate, low, high: the mean over pairs, with its 95 % interval over seeds [points];
    default, paper: the same pairs there; change, change low, change high: a reading less the default, seed by seed. A
    seed that lacks one of a reading's pairs is left out of it.
    """
    every, rows = apart(found), {}
    usual = every[every.index.get_level_values("reading") == default].droplevel("reading")
    for reading, here in every.groupby(level="reading", sort=False):
        here = here.droplevel("reading").dropna(axis=1, how="all").dropna()
        there = usual.reindex(index=here.index, columns=here.columns).mean(axis=1, skipna=False)
        each, change = here.mean(axis=1), (here.mean(axis=1) - there).dropna()
        low, high = stats.mean_interval(each)
        row = {"pairs": here.shape[1], "n": len(each), "estimate": each.mean(), "low": low, "high": high}
        paper = [TABLE_1[three][2] - TABLE_1[PAIRS[three]][2] for three in here]
        row |= {"default": there.mean(), "paper": sum(paper) / len(paper)}
        if reading != default:
            row |= dict(zip(CHANGE, (change.mean(), *stats.mean_interval(change)), strict=True))
        rows[reading] = row
    columns = ["pairs", "n", "estimate", "low", "high", "default", "paper", *CHANGE]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("reading")
