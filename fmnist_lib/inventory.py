"""What lies in a folder of runs: a row a run, and every file that is not what its run's record says."""

import contextlib
import json
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.runs import damage, read


def frame(runs_dir: Path) -> pd.DataFrame:
    """List the runs, a row each: the recipe's fields, the best epoch's scores, status, torch, seconds, megabytes.

    Of one that is damaged or unfinished there is the name, the status and the size alone.
    """
    return pd.DataFrame([_row(place) for place in _places(runs_dir)])


def damaged(runs_dir: Path) -> tuple[int, list[UserError]]:
    """Compare every file of every finished run with its SHA-256: how many runs there are, and an error a bad file."""
    places = [place for place in _places(runs_dir) if (place / "run.json").exists()]
    return len(places), [error for place in places for error in _damaged(place)]


def _damaged(place: Path) -> list[UserError]:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # a bad run.json, as `read` says below
        if errors := list(damage(place, json.loads((place / "run.json").read_text("utf-8"))["files"])):
            return errors
    try:
        read(place)
    except UserError as error:
        return [error]
    return []


def _places(runs_dir: Path) -> list[Path]:
    """Return the folders of runs, those that are not finished too."""
    found = (path for name in ("run.json", "history.csv") for path in Path(runs_dir).glob(f"[!.]*/{name}"))
    return sorted({path.parent for path in found})


def _row(place: Path) -> dict:
    row = {"run": place.name, "megabytes": sum(path.stat().st_size for path in place.iterdir()) / 1e6}
    if not (place / "run.json").exists():
        return row | {"status": "unfinished"}
    try:
        run = read(place)
        made = {"status": run.record["status"], "torch": run.record["environment"]["torch"]}
        made["seconds"] = run.record["seconds"]
    except (UserError, KeyError, TypeError):
        return row | {"status": "damaged"}
    return vars(run.recipe) | run.best.add_prefix("best_").to_dict() | made | row
