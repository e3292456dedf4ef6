"""Runs for people: a table of them, and what is being trained now, whoever trains it."""

import contextlib
import json
import math
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError, short
from fmnist_lib.press.language import number
from fmnist_lib.runs import checkpoint, contents
from fmnist_lib.runs.files import SHIPPED, read_file, size, there
from fmnist_lib.runs.record import HISTORY, LIMITS, RECORD, UNREADABLE, Damaged
from fmnist_lib.runs.run import damage, read
from fmnist_lib.runs.store import Store, places
from fmnist_lib.workers.sweep import lasting

HEADER = 2**20  # bytes of a checkpoint in which it says what it is
GAP = 30.0  # seconds at most from the end of a training until the next tells of itself
QUIET = 60.0  # seconds, beside three of its epochs, after which an unfinished training counts as interrupted


def opened(runs_dir: str = "", needed: bool = False) -> Store:
    """Return the folder of runs; UserError if it is not there, which the project's own may be unless it is needed."""
    store = Store(runs_dir)
    if (runs_dir or needed) and not store.folder.is_dir():
        raise UserError(f"there is no folder {store.folder}", f"name one with --runs-dir, such as {SHIPPED / 'runs'}")
    return store


def verified(store: Store) -> int:
    """Return how many runs there are, every file of them verified; print each that is damaged, and raise UserError."""
    count, errors = judged(store)
    for error in errors:
        print(f"{error.cause}. Fix: {error.fix}")
    if errors:
        raise UserError(f"{len(errors)} damaged files in {count} runs", "each as told above")
    return count


def judged(store: Store) -> tuple[int, list[UserError]]:
    """Judge every file of every finished run: how many runs there are, and an error a bad file."""
    if not (finished := places(store.folder, RECORD)):
        raise UserError(f"there is no finished run in {store.folder}", "name a folder of runs with --runs-dir")
    errors = [(place, error) for place in finished for error in damage(place)]
    return len(finished), [error for place, error in errors if there(place)]


def frame(store: Store) -> pd.DataFrame:
    """List the runs, a row each: the recipe's fields, the best epoch's scores, status, torch, seconds, megabytes.

    Of one that is damaged, unreadable or unfinished there is the name, the status and the size alone. What vanishes
    meanwhile, set aside by another process, is not listed.
    """
    rows = [(place, _row(place)) for place in places(store.folder, RECORD, HISTORY)]
    return pd.DataFrame([row for place, row in rows if there(place)])


def _row(place: Path) -> dict:
    row = {"run": place.name, "megabytes": _bytes(place) / 1e6}
    if not there(place / RECORD):
        return row | {"status": "unfinished"}
    try:
        run = read(place)
    except UserError as error:
        return row | {"status": "damaged" if isinstance(error, Damaged) else "unreadable"}
    made = {"status": run.record["status"], "torch": run.record["environment"]["torch"]}
    made["seconds"] = run.record["seconds"]
    return vars(run.recipe) | run.best.add_prefix("best_").to_dict() | made | row


def _bytes(place: Path | zipfile.Path) -> int:
    with contextlib.suppress(OSError):  # gone meanwhile
        return sum(size(path) for path in place.iterdir() if path.is_file())
    return 0


def listing(store: Store) -> pd.DataFrame:
    """Return a row of texts a run: status, protocol, scores at the best epoch, what computed it, time, size."""
    return pd.DataFrame([_told(row) for row in frame(store).to_dict("records")])


def _told(row: dict) -> dict:
    told = {"run": short(row["run"], 80), "status": row["status"], "protocol": "", "best": ""}
    if pd.notna(row.get("epochs")):
        told["protocol"] = f"{row['epochs']:.0f} epochs of {number(row['train_images'])} images"
        told["best"] = f"{number(100 * row['best_val_accuracy'], 2)} % at epoch {row['best_epoch']:.0f}"
    told |= {name: short(row[name], 40) if pd.notna(row.get(name)) else "" for name in ("device", "precision", "torch")}
    took = lasting(row["seconds"]) if pd.notna(row.get("seconds")) else ""
    return told | {"time": took, "size": _size(row["megabytes"])}


def _size(megabytes: float) -> str:
    return f"{megabytes:.1f} MB" if megabytes >= 1 else f"{1000 * megabytes:.0f} kB"


def progress(store: Store) -> pd.DataFrame:
    """Return a row an unfinished training, as its files tell: epoch of epochs, scores, seconds left, seconds ago.

    ``alive`` says whether it was heard of lately. What began seconds ago has no file yet and no row.
    """
    rows = []
    for place in places(store.folder, HISTORY):
        with contextlib.suppress(*UNREADABLE, ZeroDivisionError):  # it is being written, or was finished just now
            rows += [] if (place / RECORD).exists() else [_unfinished(place)]
    return pd.DataFrame(rows, columns=["run", "epoch", "epochs", "val_loss", "val_accuracy", "left", "ago", "alive"])


def _unfinished(place: Path) -> dict:
    history = place / HISTORY
    last = contents.parse_history(read_file(history, LIMITS[HISTORY]).decode()).iloc[-1].to_dict()
    size(place / checkpoint.NAME)  # of a regular file: a pipe would wait
    with (place / checkpoint.NAME).open("rb") as file:
        said = contents.metadata(file.read(HEADER)[65:])  # behind the line of its SHA-256
    epochs, ago = json.loads(said["recipe"])["epochs"], time.time() - history.stat().st_mtime
    an_epoch = float(said["seconds"]) / last["epoch"]
    row = {"run": place.name, "epochs": epochs, "left": an_epoch * (epochs - last["epoch"]), "ago": ago}
    if not math.isfinite(row["left"]):
        raise ValueError(f"{said['seconds']} s for {last['epoch']} of {epochs} epochs")
    return last | row | {"alive": ago < QUIET + 3 * an_epoch}


def watch(runs_dir: str = "", every: float = 5.0) -> Iterator[str]:
    """Yield what is being trained, in lines, every few seconds until nothing has been for `GAP`; it only reads.

    Where nothing is at first, that is told once.
    """
    store, last = opened(runs_dir), -math.inf
    while True:
        table = progress(store)
        yield told(table, len(places(store.folder, RECORD)))
        last = time.monotonic() if table["alive"].any() else last
        if time.monotonic() - last >= GAP:
            return
        time.sleep(every)


def told(table: pd.DataFrame, finished: int) -> str:
    """Write `progress` in a line a training, under one that counts them."""
    alive = int(table["alive"].sum())
    lines = [f"{finished} finished, {alive} under way, {len(table) - alive} interrupted"]
    for row in table.to_dict("records"):
        scores = f"loss {row['val_loss']:.3f}, {100 * row['val_accuracy']:.2f} % on validation"
        end = f"about {lasting(row['left'])} left" if row["alive"] else f"interrupted {lasting(row['ago'])} ago"
        lines.append(f"{row['run']}: epoch {row['epoch']:.0f} of {row['epochs']}, {scores}, {end}")
    return "\n".join(lines)
