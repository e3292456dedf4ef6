"""One run in its folder, which a pager, a spreadsheet and sha256sum can read.

It holds recipe.json, history.csv, weights.safetensors, what was asked of the test images (one file a mode) and, last,
run.json: a run exists when its run.json does. Times and the environment are in run.json alone, so the other files of
equal runs are equal.
"""

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, record
from fmnist_lib.runs.files import locked, there, write_file
from fmnist_lib.runs.record import HISTORY, MODE, RECIPE, RECORD, TEST, WEIGHTS, believed


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
        return WEIGHTS in self.record["files"] and there(self.folder / WEIGHTS)

    def answers(self, name: str = TEST, listed: dict | None = None) -> pd.DataFrame | None:
        """Return what it says of each test image (`answers.on_test`, `mode.on_test`), or None if it was not asked."""
        listed = listed or record.read(self.folder)
        if name not in listed["files"]:
            return None
        content = record.verified(self.folder, name, listed)
        with believed(self.folder / name):
            return contents.parse_answers(content, self.diverged)

    def weights(self) -> dict:
        """Return the kept weights by name, verified; UserError where the record was shipped without them."""
        if not self.has_weights:
            fix = "run the notebook that asks the test images: it trains this run anew"
            raise UserError(f"{self.folder / WEIGHTS}: the run is here without its weights", fix)
        content = record.verified(self.folder, WEIGHTS, self.record)
        with believed(self.folder / WEIGHTS):
            return contents.parse_tensors(content, contents.of_weights(self.recipe), finite=not self.diverged)

    def damage(self) -> list[UserError]:
        """Return an error for each file of answers or weights that is not to be believed; weights may be absent."""
        found = [refusal(self.answers, name, self.record) for name in (TEST, MODE)]
        found += [refusal(self.weights)] if self.has_weights else []
        return [error for error in found if error]

    def attach(self, name: str, content: bytes):
        """Keep a file made from this run beside it, as run.json lists it; ValueError for a name that no run has."""
        with lock(self.folder):
            now = record.read(self.folder)
            now["files"][name] = record.entry(content)
            now = record.sealed(now)
            write_file(self.folder / name, content)
            write_file(self.folder / RECORD, record.text(now))


def refusal(call, *arguments) -> UserError | None:
    """Call a function that reads; return its UserError, or None without one."""
    try:
        call(*arguments)
    except UserError as error:
        return error


def read(place: Path) -> Run:
    """Read the run in a folder, its recipe and history verified by SHA-256; UserError naming what is damaged."""
    found = record.read(place)
    stated, curve = (record.verified(place, name, found) for name in (RECIPE, HISTORY))
    with believed(place / RECIPE):
        recipe = Recipe(**json.loads(stated))
    with believed(place / HISTORY):
        history = contents.parse_history(curve.decode())
        ended = contents.status(recipe, history)
    with believed(place / RECORD):
        if found["id"] != hashlib.sha256(stated).hexdigest()[:10]:
            raise ValueError(f"id {found['id']} is another recipe's")
        if found["status"] != ended:
            raise ValueError(f"status {found['status']} with {len(history)} of {recipe.epochs} epochs")
    return Run(recipe, place, history, found)


def damage(place: Path) -> list[UserError]:
    """Return an error for each file of the run in a folder that is damaged; weights may be absent."""
    try:
        found = record.read(place)
        listed = [name for name in found["files"] if name != WEIGHTS or there(place / name)]
        bad = [error for name in listed if (error := refusal(record.verified, place, name, found))]
        return bad or read(place).damage()
    except UserError as error:
        return [error]


def lock(place: Path, wait: bool = True) -> AbstractContextManager:
    """Return the lock of the one process that may write the run in a folder."""
    return locked(place.parent / ".locks" / f"{place.name}.lock", wait)
