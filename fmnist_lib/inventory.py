"""What lies in a folder of runs: a row a run, and every file that is not what its run's record says."""

import os
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.records import HISTORY, RECORD
from fmnist_lib.runs import damage, read


def frame(runs_dir: Path) -> pd.DataFrame:
    """List the runs, a row each: the recipe's fields, the best epoch's scores, status, torch, seconds, megabytes.

    Of one that is damaged or unfinished there is the name, the status and the size alone. What vanishes meanwhile,
    set aside by another process, is not listed.
    """
    rows = [(place, _row(place)) for place in _places(runs_dir)]
    return pd.DataFrame([row for place, row in rows if os.path.lexists(place)])


def damaged(runs_dir: Path) -> tuple[int, list[UserError]]:
    """Judge every file of every finished run: how many runs there are, and an error a bad file."""
    places = [place for place in _places(runs_dir) if os.path.lexists(place / RECORD)]
    errors = [(place, error) for place in places for error in damage(place)]
    return len(places), [error for place, error in errors if os.path.lexists(place)]


def _places(runs_dir: Path) -> list[Path]:
    """Return the folders of runs, those that are not finished too."""
    found = sorted(Path(runs_dir).glob("[!.]*"))
    return [place for place in found if any(os.path.lexists(place / name) for name in (RECORD, HISTORY))]


def _row(place: Path) -> dict:
    row = {"run": place.name, "megabytes": sum(map(_bytes, place.glob("*"))) / 1e6}
    if not os.path.lexists(place / RECORD):
        return row | {"status": "unfinished"}
    try:
        run = read(place)
    except UserError:
        return row | {"status": "damaged"}
    made = {"status": run.record["status"], "torch": run.record["environment"]["torch"]}
    made["seconds"] = run.record["seconds"]
    return vars(run.recipe) | run.best.add_prefix("best_").to_dict() | made | row


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone meanwhile, or a link to nothing
        return 0
