"""Runs on disk: a recipe that has been trained, in a folder that a pager, a spreadsheet and sha256sum can read.

``<runs>/<model>-s<seed>-<id>/`` holds recipe.json, history.csv, weights.safetensors and, last, run.json: a run exists
when its run.json does. Times and the environment are in run.json alone, so the other files of equal runs are equal.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError, answers, records
from fmnist_lib.files import locked, write_file
from fmnist_lib.history import COLUMNS, history_csv, parse_history, status  # noqa: F401
from fmnist_lib.recipe import Recipe
from fmnist_lib.records import HISTORY, OLD_TEST, RECIPE, RECORD, TEST, WEIGHTS, believed, damaged


@dataclass(frozen=True)
class Run:
    """A finished run: its recipe, folder, history (a row an epoch) and record (run.json)."""

    recipe: Recipe
    folder: Path
    history: pd.DataFrame
    record: dict

    @property
    def best(self) -> pd.Series:
        """Return the row of minimum validation loss, the earliest on a tie (paper, section III); else the last."""
        losses = self.history["val_loss"]
        return self.history.loc[losses.idxmin() if losses.notna().any() else losses.index[-1]]

    @property
    def best_epoch(self) -> int:
        """Return the number of that row's epoch, counted from 1."""
        return int(self.best["epoch"])

    @property
    def diverged(self) -> bool:
        """Say whether a loss stopped being finite."""
        return self.record["status"] == "diverged"

    @property
    def has_weights(self) -> bool:
        """Say whether the weights are here: a record can be shipped without them."""
        return WEIGHTS in self.record["files"] and os.path.lexists(self.folder / WEIGHTS)

    def test(self) -> pd.DataFrame | None:
        """Return what it says of each test image (`evaluation.on_test`), or None if it has not been asked."""
        run = replace(self, record=records.read(self.folder))
        return next((_content(run, name) for name in run.record["files"].keys() & {TEST, OLD_TEST}), None)

    def weights(self) -> dict:
        """Return the kept weights by name, verified; UserError where the record was shipped without them."""
        if not self.has_weights:
            fix = "run the notebook that asks the test images: it trains this run anew"
            raise UserError(f"{self.folder / WEIGHTS}: the run is here without its weights", fix)
        return _content(self, WEIGHTS)


def _content(run: Run, name: str) -> dict | pd.DataFrame:
    """Return the weights or the answers that a file holds, verified and judged."""
    content = records.verified(run.folder, name, run.record)
    with believed(run.folder / name):
        if name != WEIGHTS:
            return answers.unpacked(content, run.diverged)
        from fmnist_lib import tensors

        return tensors.read(content, tensors.of_weights(run.recipe), finite=not run.diverged)


def folder(runs_dir: Path, recipe: Recipe) -> Path:
    """Return where a recipe's run is, or will be."""
    return Path(runs_dir) / recipe.name


def lock(runs_dir: Path, recipe: Recipe, wait: bool = True) -> AbstractContextManager:
    """Return the lock of the one process that may write a run."""
    return locked(Path(runs_dir) / ".locks" / f"{recipe.name}.lock", wait)


def find(runs_dir: Path, recipe: Recipe, weights: bool = False) -> Run | None:
    """Return the recipe's run with every file verified, or None if it has not been trained.

    With ``weights``, a run that lacks them counts only if the test images have been asked already. Raises UserError
    naming the file that is damaged.
    """
    place = folder(runs_dir, recipe)
    if not os.path.lexists(place / RECORD):
        for path in (place, *(place / name for name in records.LIMITS)):
            if os.path.lexists(path) and not (path.is_dir() if path == place else path.is_file()):
                raise damaged(place / RECORD, f"{path} is neither a folder nor a file of a run")
        return None
    run = read(place)
    if run.recipe != recipe:
        raise damaged(place / RECIPE, "it is another run's recipe")
    for error in _damaged_content(run):
        raise error
    return run if run.has_weights or not weights or run.record["files"].keys() & {TEST, OLD_TEST} else None


def read(place: Path) -> Run:
    """Read the run in a folder, its recipe and history verified by SHA-256; UserError naming what is damaged."""
    record = records.read(place)
    stated, curve = (records.verified(place, name, record) for name in (RECIPE, HISTORY))
    with believed(place / RECIPE):
        recipe = Recipe(**json.loads(stated))
    with believed(place / HISTORY):
        history = parse_history(curve.decode())
        ended = status(recipe, history)
    with believed(place / RECORD):
        records.check_sealed(record, recipe.numerics)
        if record["id"] != hashlib.sha256(stated).hexdigest()[:10]:
            raise ValueError(f"id {record['id']} is another recipe's")
        if record["status"] != ended:
            raise ValueError(f"status {record['status']} with {len(history)} of {recipe.epochs} epochs")
    return Run(recipe, place, history, record)


def damage(place: Path) -> Iterator[UserError]:
    """Yield an error for each file of the run in a folder that is damaged; weights may be absent."""
    try:
        record = records.read(place)
        listed = [name for name in record["files"] if name != WEIGHTS or os.path.lexists(place / name)]
        bad = [*filter(None, (_error(records.verified, place, name, record) for name in listed))]
        yield from bad or _damaged_content(read(place))
    except UserError as error:
        yield error


def _damaged_content(run: Run) -> Iterator[UserError]:
    held = run.record["files"].keys() & {TEST, OLD_TEST} | ({WEIGHTS} if run.has_weights else set())
    yield from filter(None, (_error(_content, run, name) for name in sorted(held)))


def _error(judge, *arguments) -> UserError | None:
    try:
        judge(*arguments)
    except UserError as error:
        return error


def write(
    runs_dir: Path, recipe: Recipe, history: list[dict], weights: dict, times: dict, environment: dict, source: dict
) -> Run:
    """Write a finished run, run.json last; UserError naming the path and the free space on failure.

    Without ``weights`` it is a record alone. ``times`` are ``seconds`` and ``finished``; for the rest see `origin`.
    """
    from safetensors.torch import save

    place = folder(runs_dir, recipe)
    contents = {RECIPE: recipe.json.encode(), HISTORY: history_csv(history).encode()}
    contents |= {WEIGHTS: save(weights)} if weights else {}
    record = {"status": status(recipe, history), "id": recipe.id, **times, "environment": environment, "source": source}
    record = records.sealed(record | {"files": {name: records.entry(content) for name, content in contents.items()}})
    for name, content in (contents | {RECORD: records.text(record)}).items():
        write_file(place / name, content)
    return read(place)


def attach(run: Run, name: str, content: bytes):
    """Keep a file made from a run beside it, with its SHA-256 in run.json; ValueError for a name that no run has."""
    with lock(run.folder.parent, run.recipe):
        record = records.read(run.folder)
        record["files"][name] = records.entry(content)
        record = records.sealed(record) if "seal" in record else record
        write_file(run.folder / name, content)
        write_file(run.folder / RECORD, records.text(record))


def attached(run: Run, name: str) -> bytes | None:
    """Return such a file, verified, or None if it has not been made."""
    record = records.read(run.folder)
    return records.verified(run.folder, name, record) if name in record["files"] else None


def set_aside(runs_dir: Path, recipe: Recipe) -> Path | None:
    """Rename a damaged run's folder, so that it can be looked at and no longer counts; None if another process did."""
    place = folder(runs_dir, recipe)
    with lock(runs_dir, recipe):
        try:
            find(runs_dir, recipe)
        except UserError:
            return place.rename(free_name(place.with_name(f".damaged-{place.name}")))


def free_name(path: Path) -> Path:
    """Return the path with the first number behind it that no file has."""
    names = (path.with_name(f"{path.name}-{i}") for i in range(1, 10**6))
    return next(name for name in names if not os.path.lexists(name))
