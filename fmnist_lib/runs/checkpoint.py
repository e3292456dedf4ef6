"""What an interrupted run goes on from: one file beside its recipe, readable without running code.

Its first line is the SHA-256 of the rest, which is a safetensors file.
"""

import contextlib
import hashlib
import json
import math
import os
from pathlib import Path

from safetensors.torch import save

from fmnist_lib import UserError, machine
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents
from fmnist_lib.runs.files import read_file, write_file
from fmnist_lib.runs.record import HISTORY, LIMITS, RECORD, Damaged, believed
from fmnist_lib.runs.run import Run, lock
from fmnist_lib.runs.store import free_name

NAME = "checkpoint"


def write(place: Path, recipe: Recipe, history: list[dict], tensors: dict, seconds: float):
    """Keep what the next epoch starts from, and the curve so far (unless a finished record is there)."""
    curve = contents.history_csv(history)
    said = {"recipe": recipe.json, "history": curve, "seconds": json.dumps(seconds)}
    content = save(tensors, said | {"environment": json.dumps(machine.environment(recipe.device))})
    write_file(place / NAME, _digest(content) + content)
    if not (place / RECORD).exists():
        write_file(place / HISTORY, curve.encode())


def read(place: Path, recipe: Recipe) -> tuple[list[dict], dict, float] | None:
    """Return (history, tensors, seconds so far) of an unfinished run, or None.

    One that is not to be believed is set aside under another name, with a printed line.
    """
    if not os.path.lexists(kept := place / NAME):
        return None
    try:
        with believed(kept):
            return _read(kept, recipe)
    except Damaged as error:
        aside = kept.rename(free_name(kept.with_name(f"{NAME}-damaged")))
        print(f"{error.cause}. Set aside as {aside}; the run begins anew.")


def _read(kept: Path, recipe: Recipe) -> tuple[list[dict], dict, float]:
    largest = contents.of_checkpoint(recipe, best=True).values()
    most = sum(math.prod(shape) * dtype.itemsize for shape, dtype in largest) + LIMITS[HISTORY]
    content = read_file(kept, most)
    digest, content = content[:65], content[65:]
    if digest != _digest(content):
        raise ValueError("its bytes do not have the SHA-256 in its first line")
    said = contents.metadata(content)
    history, seconds = contents.parse_history(said["history"]), json.loads(said["seconds"])
    if said["recipe"] != recipe.json:
        raise ValueError("it is another run's")
    if json.loads(said["environment"]) != machine.environment(recipe.device):  # a record names one alone
        raise ValueError("it is of another machine, of other versions or under other variables")
    if contents.status(recipe, history) is not None or not 0 <= seconds < math.inf:
        raise ValueError(f"there is nothing to go on with after {len(history)} epochs and {seconds} s")
    expected = contents.of_checkpoint(recipe, best=bool(history["val_loss"].notna().any()))
    return history.to_dict("records"), contents.parse_tensors(content, expected), seconds


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def discard(place: Path):
    """Remove a run's checkpoint, if there is one, and whatever a killed process was writing."""
    for leftover in _leftovers(place):
        leftover.unlink(missing_ok=True)


def tidy(run: Run):
    """Remove what a killed process left beside a finished run; not where another process works, or none may write."""
    if run.has_weights and _leftovers(run.folder):  # without them the checkpoint may be on the way to them
        with contextlib.suppress(UserError, OSError), lock(run.folder, wait=False):
            discard(run.folder)


def _leftovers(place: Path) -> list[Path]:
    return [path for path in (*place.glob(NAME), *place.glob(".*.tmp")) if path.is_file()]
