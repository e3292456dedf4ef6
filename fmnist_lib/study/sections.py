"""The other studies that a report takes in: each what the shipped records of one params file give, or left out."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from fmnist_lib import ROOT
from fmnist_lib.recipe import KIND, KINDS
from fmnist_lib.runs import pack, record
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.study import beyond, folds, protocol, results, search, tables, variance, weighing
from fmnist_lib.study.parameters import checked, read_file
from fmnist_lib.study.readings import READINGS

OVERVIEW = ["parameters", "notebook", "runs", "seeds", "device, precision, kernels", "processor", "vector units"]
OVERVIEW += ["commits", "newest run"]


@dataclass(frozen=True)
class Section:
    """A study whose records are there: its parameters, its runs, and the notebook that shows all of it."""

    params: dict
    runs: list[Run]
    notebook: str


def seeds(params: dict, store: Store) -> list[Run]:
    """Return the runs of the seeds that have all of theirs; none of a single one."""
    study = protocol.of_seeds(params, store, whole=True)
    return study.every if len({run.recipe.split_seed for run in study.every}) > 1 else []


def readings(params: dict, store: Store) -> list[Run]:
    """Return the runs of the readings that have all of theirs; none of the default alone, or without it."""
    pairs = {name: pair for name in READINGS if (pair := weighing.whole(name, params, store))}
    runs = {run.recipe: run for pair in pairs.values() for some in pair for run in some}
    return list(runs.values()) if "default" in pairs and len(pairs) > 1 else []


def searched(params: dict, store: Store) -> list[Run]:
    """Return the runs of the search table and of those at full size that it leads to."""
    small = store.whole(search.recipes(params))
    large = small and store.whole(search.at_full_size(search.frame(small), params))
    return small + large if large else []


def climbed(params: dict, store: Store) -> list[Run]:
    """Return the runs of all steps beyond the paper."""
    return tested(store.whole(list(beyond.recipes(params).values())))


def folded(params: dict, store: Store) -> list[Run]:
    """Return the runs of all folds."""
    return tested(store.whole(folds.recipes(params)))


def tested(runs: list[Run]) -> list[Run]:
    """Return the runs of a study that compares by the test images, if all were asked; else none."""
    return runs if all(record.TEST in run.record["files"] for run in runs) else []


def varied(params: dict, store: Store) -> list[Run]:
    """Return the runs of the winner with one source of chance varied."""
    return store.whole(variance.recipes(params))


STUDIES = {  # by the name of its params file: the notebook, and its runs as far as they are a whole
    "rigorous": ("certainty", seeds),
    "readings": ("readings", readings),
    "folds": ("cross_validation", folded),
    "course": ("cross_validation", folded),
    "search": ("hyperparameters", searched),
    "variance": ("certainty", varied),
    "beyond": ("beyond", climbed),
}


def shipped() -> Store:
    """Return the store of what comes with the repository, and of nothing else."""
    return Store(pack.REPORTS / "reference" / "runs")


def collect(store: Store | None = None) -> dict[str, Section]:
    """Return by name the studies whose records are there: shipped, or in another store.

    Of several devices, precisions and kernels that is taken which has most runs; they are never mixed.
    """
    store, found = store or shipped(), {}
    for name, (notebook, runs) in STUDIES.items():
        stated = protocol.DEFAULTS | checked(read_file(ROOT / "params" / f"{name}.yaml"))
        kinds = [stated | dict(zip(KIND, kind, strict=True)) for kind in KINDS]
        each = [Section(params, runs(params, store), notebook) for params in kinds]
        best = max(each, key=lambda section: len(section.runs))
        found |= {name: best} if best.runs else {}
    return found


def of(params: dict) -> dict[str, Section]:
    """Return the studies that a report of these parameters takes in: of the paper's protocol all, of another none."""
    return collect() if protocol.is_papers(params) else {}


def over_seeds(params: dict, study: protocol.Study, taken: dict[str, Section]) -> tuple[list[Run], pd.DataFrame]:
    """Return the runs that claims and intervals rest on, and their frame: a report's own if it has several seeds, else
    those of the seeds that it takes in, if any."""
    own = len(params["seed"]) > 1 or "rigorous" not in taken
    runs, asked = (study.every, params) if own else (taken["rigorous"].runs, taken["rigorous"].params)
    return runs, results.frame(runs, asked["split_seed"])


def overview(taken: dict[str, Section]) -> pd.DataFrame:
    """Return a row a study: its params file and notebook; its runs, their seeds, what trained them, and from which
    commits; and when the newest ended."""
    rows = []
    for name, section in taken.items():
        kind = ", ".join(section.params[field] for field in KIND)
        table = results.frame(section.runs, section.params["split_seed"])
        made = [tables.each(table, column) for column in ("processor", "capability", "commit")]
        files, newest = (f"{name}.yaml", f"{section.notebook}.ipynb"), tables.newest(table)[:10]
        rows.append((*files, len(table), spans(table["seed"]), kind, *made, newest))
    return pd.DataFrame(rows, columns=OVERVIEW)


def spans(numbers: Iterable[int]) -> str:
    """Write whole numbers in order, those that follow one another from the first to the last: "1, 11–13"."""
    found = sorted(set(numbers))
    starts = [number for number in found if number - 1 not in found]
    ends = [number for number in found if number + 1 not in found]
    return ", ".join(f"{a}–{b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))
