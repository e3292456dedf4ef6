"""Runs on disk: a recipe that has been trained, in a folder that a pager, a spreadsheet and sha256sum can read.

``<runs>/<model>-s<seed>-<id>/`` holds recipe.json, history.csv, weights.safetensors and, last, run.json: a run exists
when its run.json does. Times and the environment are in run.json alone, so the other files of equal runs are equal.
"""

import hashlib
import io
import json
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.files import locked, write_file
from fmnist_lib.recipe import Recipe

COLUMNS = {"epoch": int, "train_loss": float, "val_loss": float, "val_accuracy": float}
WEIGHTS, TEST = "weights.safetensors", "test.csv"


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
        return (self.folder / WEIGHTS).exists()

    def test(self) -> pd.DataFrame | None:
        """Return what it says of each test image (`evaluation.on_test`), or None if it has not been asked."""
        content = attached(self, TEST)
        return None if content is None else pd.read_csv(io.BytesIO(content))

    def weights(self) -> dict:
        """Return the kept weights by name, verified; UserError where the record was shipped without them."""
        from safetensors.torch import load

        path = self.folder / WEIGHTS
        if not path.exists():
            raise UserError(
                f"{path}: the run is here without its weights", "delete the run's folder and train it again"
            )
        return load(_verified(path, self.record["files"][WEIGHTS]))


def folder(runs_dir: Path, recipe: Recipe) -> Path:
    """Return where a recipe's run is, or will be."""
    return Path(runs_dir) / recipe.name


def lock(runs_dir: Path, recipe: Recipe) -> AbstractContextManager:
    """Return the lock of the one process that may write a run."""
    return locked(Path(runs_dir) / ".locks" / f"{recipe.name}.lock")


def find(runs_dir: Path, recipe: Recipe, weights: bool = False) -> Run | None:
    """Return the recipe's run with every file verified, or None if it has not been trained.

    With ``weights``, a run that lacks them counts only if the test images have been asked already. Raises UserError
    naming the file that is damaged.
    """
    place = folder(runs_dir, recipe)
    if not (place / "run.json").exists():
        return None
    run = read(place)
    if run.recipe != recipe:
        raise UserError(f"{place / 'recipe.json'} is another run's recipe", f"delete {place} and train it again")
    for error in damage(place, run.record["files"]):
        raise error
    return run if run.has_weights or not weights or TEST in run.record["files"] else None


def read(place: Path) -> Run:
    """Read the run in a folder, its recipe and history verified by SHA-256; UserError naming what is damaged."""
    try:
        record = _record(place)
        contents = {name: _verified(place / name, record["files"][name]) for name in ("recipe.json", "history.csv")}
        recipe = Recipe(**json.loads(contents["recipe.json"]))
        run = Run(recipe, place, parse_history(contents["history.csv"].decode()), record)
        if record["status"] != _status(recipe, len(run.history), run.history.iloc[-1]):
            raise ValueError(f"status {record['status']} with {len(run.history)} of {recipe.epochs} epochs")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place / 'run.json'} is damaged: {error}", f"delete {place} and train it again") from error
    return run


def _record(place: Path) -> dict:
    return json.loads((place / "run.json").read_text("utf-8"))


def _status(recipe: Recipe, epochs: int, last: dict | pd.Series) -> str:
    losses = [last["train_loss"]] + ([last["val_loss"]] if recipe.val_images else [])
    return "finished" if epochs == recipe.epochs and all(map(math.isfinite, losses)) else "diverged"


def _verified(path: Path, expected: dict) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != expected["sha256"]:
        cause = f"{path} is damaged: {len(data)} bytes do not have the SHA-256 in run.json"
        raise UserError(cause, f"delete {path.parent} and train it again")
    return data


def damage(place: Path, files: dict) -> Iterator[UserError]:
    """Yield an error for each of a run's files (run.json's list) that is damaged; weights may be absent."""
    for name, sealed in files.items():
        if name != WEIGHTS or (place / name).exists():
            try:
                _verified(place / name, sealed)
            except UserError as error:
                yield error


def history_csv(history: list[dict]) -> str:
    """Return the rows as CSV text that reads back bit for bit."""
    return pd.DataFrame(history, columns=[*COLUMNS]).to_csv(index=False, lineterminator="\n")


def parse_history(text: str) -> pd.DataFrame:
    """Read what `history_csv` wrote."""
    columns = zip(*(line.split(",") for line in text.splitlines()), strict=True)
    return pd.DataFrame({name: [COLUMNS[name](v or "nan") for v in values] for name, *values in columns})


def write(runs_dir: Path, recipe: Recipe, history: list[dict], weights: dict, times: dict, environment: dict) -> Run:
    """Write a finished run, run.json last; UserError naming the path and the free space on failure."""
    from safetensors.torch import save

    place = folder(runs_dir, recipe)
    contents = {
        "recipe.json": recipe.json.encode(),
        "history.csv": history_csv(history).encode(),
        WEIGHTS: save(weights),
    }
    for name, content in contents.items():
        write_file(place / name, content)
    sealed = {name: _sealed(content) for name, content in contents.items()}
    record = {"status": _status(recipe, len(history), history[-1]), "id": recipe.id, **times}
    write_file(place / "run.json", _json(record | {"environment": environment, "files": sealed}))
    return read(place)


def attach(run: Run, name: str, content: bytes):
    """Keep a file made from a run beside it, with its SHA-256 in run.json."""
    write_file(run.folder / name, content)
    record = _record(run.folder)
    record["files"][name] = _sealed(content)
    write_file(run.folder / "run.json", _json(record))


def attached(run: Run, name: str) -> bytes | None:
    """Return such a file, verified, or None if it has not been made."""
    sealed = _record(run.folder)["files"]
    return _verified(run.folder / name, sealed[name]) if name in sealed else None


def _sealed(content: bytes) -> dict:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _json(record: dict) -> bytes:
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()


def set_aside(runs_dir: Path, recipe: Recipe) -> Path | None:
    """Rename a damaged run's folder, so that it can be looked at and no longer counts; None if another process did."""
    place = folder(runs_dir, recipe)
    with lock(runs_dir, recipe):
        try:
            find(runs_dir, recipe)
        except UserError:
            names = (place.with_name(f".damaged-{place.name}-{i}") for i in range(1, 10**6))
            return place.rename(next(path for path in names if not path.exists()))
