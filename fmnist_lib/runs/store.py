"""A folder of runs: finding and writing them. Each is in ``<runs>/<model>-s<seed>-<id>/``."""

import atexit
import itertools
import shutil
import tempfile
import zipfile
from pathlib import Path

from fmnist_lib import ROOT
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, pack, record
from fmnist_lib.runs.files import is_shipped, there, write_file
from fmnist_lib.runs.record import HISTORY, MODE, RECIPE, RECORD, TEST, WEIGHTS, Damaged, damaged
from fmnist_lib.runs.run import Run, lock, read, refusal

TEMPORARY = "temporary"  # as runs_dir: a folder that ends with the process


class Store:
    """A folder of runs: the project's own for "", a private one that ends with this process for "temporary"; or a pack.

    What is trained is written there. Where the recipe is the same, what the repository ships is found too, and only
    read; not with ``shipped=False``, nor by a temporary store.
    """

    def __init__(self, runs_dir: Path | str = "", shipped: bool = True):
        self.sees_shipped = shipped and runs_dir != TEMPORARY
        if runs_dir == TEMPORARY:
            runs_dir = tempfile.mkdtemp(prefix="runs-")
            atexit.register(shutil.rmtree, runs_dir, ignore_errors=True)
        folder = Path(runs_dir or ROOT / "runs").absolute()
        self.folder = pack.opened(folder) if folder.suffix == ".zip" and folder.is_file() else folder

    @property
    def shipped(self) -> list[Path | zipfile.Path]:
        """Return the folders of runs that came with the repository, if this store sees them."""
        return pack.shipped() if self.sees_shipped else []

    def names_shipped(self) -> set[str]:
        """Return the names of the runs that came with the repository, as far as this store sees them."""
        return {place.name for folder in self.shipped for place in places(folder, RECORD)}

    def place(self, recipe: Recipe) -> Path:
        """Return where a recipe's run is, or will be."""
        return self.folder / recipe.name

    def find(self, recipe: Recipe, weights: bool = False) -> Run | None:
        """Return the recipe's run with every file verified, or None if it has not been trained.

        With ``weights``, a run that lacks them counts only if the test images have been asked already; a shipped one
        too, since nothing can be kept beside it; of several such the oldest. UserError names what is damaged.
        """
        run = self._own(recipe)
        if run and (run.has_weights or not weights or TEST in run.record["files"]):
            return run
        name = recipe.name
        found = [run for folder in self.shipped if (run := _found(folder / name, recipe))]
        run = min(found, key=lambda run: (not there(run.folder / TEST), run.record["finished"]), default=None)
        if run and (not weights or TEST in run.record["files"]):
            for name in {TEST, MODE} & run.record["files"].keys():
                record.verified(run.folder, name, run.record)
            return run

    def _own(self, recipe: Recipe) -> Run | None:
        run = _found(self.place(recipe), recipe)
        if run and (errors := run.damage()):
            raise errors[0]
        return run

    def whole(self, recipes: list[Recipe]) -> list[Run]:
        """Return each recipe's run, in order, or none unless all are there."""
        runs = list(itertools.takewhile(lambda run: run is not None, map(self.find, recipes)))
        return runs if len(runs) == len(recipes) else []

    def missing(self, recipes: list[Recipe], weights: bool = False) -> list[Recipe]:
        """Return the recipes that have no finished run, each once; a damaged run is set aside and counts as missing."""
        return [recipe for recipe in dict.fromkeys(recipes) if self._sound(recipe, weights) is None]

    def _sound(self, recipe: Recipe, weights: bool) -> Run | None:
        try:
            return self.find(recipe, weights)
        except Damaged as error:
            if is_shipped(self.folder) or not refusal(self._own, recipe):
                raise
            if aside := self.set_aside(recipe):
                print(f"{error.cause}. Set aside as {aside}.")
            return self.find(recipe, weights)

    def set_aside(self, recipe: Recipe) -> Path | None:
        """Rename a damaged run's folder, so that it counts no more; None if another process did."""
        place = self.place(recipe)
        with lock(place):
            if refusal(self._own, recipe):
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


def places(folder: Path | zipfile.Path, *names: str) -> list[Path | zipfile.Path]:
    """Return the folders in there that hold one of these files, by name."""
    found = folder.iterdir() if folder.is_dir() else ()
    named = sorted((place for place in found if not place.name.startswith(".")), key=lambda place: place.name)
    return [place for place in named if any(there(place / name) for name in names)]


def _found(place: Path | zipfile.Path, recipe: Recipe) -> Run | None:
    """Return the recipe's run if it is there, all but its answers and weights verified."""
    if there(place / RECORD):
        run = read(place)
        if run.recipe != recipe:
            raise damaged(place / RECIPE, "it is another run's recipe")
        return run
    for path in (place, *(place / name for name in record.LIMITS)):
        if there(path) and not (path.is_dir() if path == place else path.is_file()):
            raise damaged(place / RECORD, f"{path} is neither a folder nor a file of a run")


def free_name(path: Path) -> Path:
    """Return the path with the first number behind it that no file has."""
    return next(name for i in range(1, 10**6) if not there(name := path.with_name(f"{path.name}-{i}")))
