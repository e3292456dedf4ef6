"""A folder of runs: finding, writing, listing and verifying them. Each is in ``<runs>/<model>-s<seed>-<id>/``."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from fmnist_lib import ROOT, UserError
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.files import write_file
from fmnist_lib.runs.record import HISTORY, RECIPE, RECORD, TEST, WEIGHTS, damaged
from fmnist_lib.runs.run import Run, damage, lock, read, refusal

TEMPORARY = "temporary"  # as runs_dir: a folder that ends with the process


class Store:
    """A folder of runs: the project's own for "", a private one that ends with this process for "temporary"."""

    def __init__(self, runs_dir: Path | str = ""):
        if runs_dir == TEMPORARY:
            runs_dir = tempfile.mkdtemp(prefix="runs-")
            atexit.register(shutil.rmtree, runs_dir, ignore_errors=True)
        self.folder = Path(runs_dir or ROOT / "runs").absolute()

    def place(self, recipe: Recipe) -> Path:
        """Return where a recipe's run is, or will be."""
        return self.folder / recipe.name

    def find(self, recipe: Recipe, weights: bool = False) -> Run | None:
        """Return the recipe's run with every file verified, or None if it has not been trained.

        With ``weights``, a run that lacks them counts only if the test images have been asked already. Raises UserError
        naming the file that is damaged.
        """
        place = self.place(recipe)
        if not os.path.lexists(place / RECORD):
            for path in (place, *(place / name for name in record.LIMITS)):
                if os.path.lexists(path) and not (path.is_dir() if path == place else path.is_file()):
                    raise damaged(place / RECORD, f"{path} is neither a folder nor a file of a run")
            return None
        run = read(place)
        if run.recipe != recipe:
            raise damaged(place / RECIPE, "it is another run's recipe")
        if errors := run.damage():
            raise errors[0]
        return run if run.has_weights or not weights or TEST in run.record["files"] else None

    def missing(self, recipes: list[Recipe], weights: bool = False) -> list[Recipe]:
        """Return the recipes that have no finished run, each once; a damaged run is set aside and counts as missing."""
        return [recipe for recipe in dict.fromkeys(recipes) if self._sound(recipe, weights) is None]

    def _sound(self, recipe: Recipe, weights: bool) -> Run | None:
        try:
            return self.find(recipe, weights)
        except UserError as error:
            if aside := self.set_aside(recipe):
                print(f"{error.cause}. Set aside as {aside}.")

    def set_aside(self, recipe: Recipe) -> Path | None:
        """Rename a damaged run's folder, so that it counts no more; None if another process did."""
        place = self.place(recipe)
        with lock(place):
            if refusal(self.find, recipe):
                return place.rename(free_name(place.with_name(f".damaged-{place.name}")))

    def write(self, recipe: Recipe, history: list[dict], weights: dict, times: dict, made: tuple[dict, dict]) -> Run:
        """Write a finished run, run.json last; UserError naming the path and the free space on failure.

        Without ``weights`` it is a record alone. ``times`` are ``seconds`` and ``finished``; ``made`` is where:
        `machine.environment` and `record.source`.
        """
        from safetensors.torch import save

        files = {RECIPE: recipe.json.encode(), HISTORY: contents.history_csv(history).encode()}
        files |= {WEIGHTS: save(weights)} if weights else {}
        said = {"status": contents.status(recipe, history), "id": recipe.id, **times}
        said |= dict(zip(("environment", "source"), made, strict=True))
        said = record.sealed(said | {"files": {name: record.entry(content) for name, content in files.items()}})
        for name, content in (files | {RECORD: record.text(said)}).items():
            write_file(self.place(recipe) / name, content)
        return read(self.place(recipe))

    def frame(self) -> pd.DataFrame:
        """List the runs, a row each: the recipe's fields, the best epoch's scores, status, torch, seconds, megabytes.

        Of one that is damaged or unfinished there is the name, the status and the size alone. What vanishes meanwhile,
        set aside by another process, is not listed.
        """
        rows = [(place, _row(place)) for place in self._places(RECORD, HISTORY)]
        return pd.DataFrame([row for place, row in rows if os.path.lexists(place)])

    def verify(self) -> tuple[int, list[UserError]]:
        """Judge every file of every finished run: how many runs there are, and an error a bad file."""
        places = self._places(RECORD)
        errors = [(place, error) for place in places for error in damage(place)]
        return len(places), [error for place, error in errors if os.path.lexists(place)]

    def _places(self, *names: str) -> list[Path]:
        """Return the folders that hold one of these files."""
        found = sorted(self.folder.glob("[!.]*"))
        return [place for place in found if any(os.path.lexists(place / name) for name in names)]


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


def free_name(path: Path) -> Path:
    """Return the path with the first number behind it that no file has."""
    names = (path.with_name(f"{path.name}-{i}") for i in range(1, 10**6))
    return next(name for name in names if not os.path.lexists(name))
