"""What an interrupted run goes on from: one file beside its recipe, readable without running code.

Its first line is the SHA-256 of the rest, which is a safetensors file.
"""

import contextlib
import hashlib
import json
import math
import os
from pathlib import Path

from fmnist_lib import UserError
from fmnist_lib.files import read_file, write_file
from fmnist_lib.recipe import Recipe
from fmnist_lib.records import HISTORY, LIMITS, RECORD, believed
from fmnist_lib.runs import Run, folder, free_name, history_csv, lock, parse_history, status

NAME = "checkpoint"


def path(runs_dir: Path, recipe: Recipe) -> Path:
    """Return where a run's checkpoint is, or will be."""
    return folder(runs_dir, recipe) / NAME


def write(runs_dir: Path, recipe: Recipe, history: list[dict], tensors: dict, seconds: float):
    """Keep what the next epoch starts from, and the curve so far (unless a finished record is there)."""
    from safetensors.torch import save

    place, curve = folder(runs_dir, recipe), history_csv(history)
    content = save(tensors, {"recipe": recipe.json, "history": curve, "seconds": json.dumps(seconds)})
    write_file(path(runs_dir, recipe), _digest(content) + content)
    if not (place / RECORD).exists():
        write_file(place / HISTORY, curve.encode())


def read(runs_dir: Path, recipe: Recipe) -> tuple[list[dict], dict, float] | None:
    """Return (history, tensors, seconds so far) of an unfinished run, or None.

    One that is not to be believed is set aside under another name, with a printed line.
    """
    kept = path(runs_dir, recipe)
    if not os.path.lexists(kept):
        return None
    try:
        with believed(kept):
            return _read(kept, recipe)
    except UserError as error:
        aside = kept.rename(free_name(kept.with_name(f"{NAME}-damaged")))
        print(f"{error.cause}. Set aside as {aside}; the run begins anew.")


def _read(kept: Path, recipe: Recipe) -> tuple[list[dict], dict, float]:
    from fmnist_lib import tensors

    most = tensors.size(tensors.of_checkpoint(recipe, best=True)) + LIMITS[HISTORY]
    content = read_file(kept, most)
    digest, content = content[:65], content[65:]
    if digest != _digest(content):
        raise ValueError("its bytes do not have the SHA-256 in its first line")
    said = tensors.metadata(content)
    history, seconds = parse_history(said["history"]), json.loads(said["seconds"])
    if said["recipe"] != recipe.json:
        raise ValueError("it is another run's")
    if status(recipe, history) is not None or not 0 <= seconds < math.inf:
        raise ValueError(f"there is nothing to go on with after {len(history)} epochs and {seconds} s")
    expected = tensors.of_checkpoint(recipe, best=bool(history["val_loss"].notna().any()))
    return history.to_dict("records"), tensors.read(content, expected), seconds


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def discard(runs_dir: Path, recipe: Recipe):
    """Remove a run's checkpoint, if there is one, and whatever a killed process was writing."""
    for leftover in _leftovers(folder(runs_dir, recipe)):
        leftover.unlink(missing_ok=True)


def tidy(run: Run):
    """Remove what a killed process left beside a finished run; not where another process works, or none may write."""
    if run.has_weights and _leftovers(run.folder):  # without them the checkpoint may be on the way to them
        with contextlib.suppress(UserError, OSError), lock(run.folder.parent, run.recipe, wait=False):
            discard(run.folder.parent, run.recipe)


def _leftovers(place: Path) -> list[Path]:
    return [*place.glob(NAME), *place.glob(".*.tmp")]
