"""Runs side by side: all of them as one frame, and any two held against each other."""

from dataclasses import asdict

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar as exact_test

from fmnist_lib.recipe import parse
from fmnist_lib.runs.run import Run, read
from fmnist_lib.runs.store import Store
from fmnist_lib.study import results


def every(*stores: Store) -> list[Run]:
    """Read every trained run of some stores, whatever it was trained for; of one found twice, the later store's.

    Runs that are damaged or unfinished are left out.
    """
    found = {}
    for store in stores:
        listed = store.frame().reindex(columns=["run", "status"])
        trained = listed.loc[listed["status"].isin(("finished", "diverged")), "run"]
        found |= {name: read(store.folder / name) for name in trained}
    return list(found.values())


def tidy(runs: list[Run]) -> pd.DataFrame:
    """Return `results.frame` with what a model's name says in columns of its own (k, n, p; nan where it says none)."""
    frame = results.frame(runs)
    named = [parse(model)[1] for model in frame["model"]]
    return pd.concat([pd.DataFrame(named, frame.index, ["k", "n", "p"]), frame], axis=1)


def differences(a: Run, b: Run) -> pd.DataFrame:
    """Return a row a field in which two runs' recipes differ: field, and the value of each under its folder's name."""
    of_a, of_b = asdict(a.recipe), asdict(b.recipe)
    rows = [(name, of_a[name], of_b[name]) for name in of_a if of_a[name] != of_b[name]]
    return pd.DataFrame(rows, columns=["field", a.folder.name, b.folder.name])


def mcnemar(right, right_too) -> tuple[int, int, float]:
    """Compare two models on the same images: those that only the one is right on, only the other, the exact p-value.

    Where they are right on the same images p is 1.
    """
    a, b = np.asarray(right, bool), np.asarray(right_too, bool)
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    return only_a, only_b, float(exact_test([[0, only_a], [only_b, 0]], exact=True).pvalue) if only_a + only_b else 1.0


def confusion(answers: pd.DataFrame) -> np.ndarray:
    """Count what each class was taken for: [true, predicted], from a run's answers."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (answers["label"], answers["predicted"]), 1)
    return counts
