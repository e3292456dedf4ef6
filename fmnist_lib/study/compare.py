"""Runs side by side: all of them as one frame, and any two held against each other."""

import contextlib
from dataclasses import asdict

import numpy as np
import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.recipe import parse
from fmnist_lib.runs.record import RECORD
from fmnist_lib.runs.run import Run, read
from fmnist_lib.runs.store import Store, places
from fmnist_lib.study import results


def every(*stores: Store) -> list[Run]:
    """Read every trained run of some stores, shipped ones too; of one found twice, the later store's own.

    Runs that are damaged or unfinished are left out.
    """
    found = {}
    folders = [folder for store in stores for folder in (*store.shipped, store.folder)]
    for place in (place for folder in folders for place in places(folder, RECORD)):
        with contextlib.suppress(UserError):
            run = read(place)
            run.answers()  # which its frame wants, and may be damaged
            found[place.name] = run
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


def confusion(answers: pd.DataFrame) -> np.ndarray:
    """Count what each class was taken for: [true, predicted], from a run's answers."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (answers["label"], answers["predicted"]), 1)
    return counts
