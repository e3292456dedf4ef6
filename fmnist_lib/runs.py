"""Runs on disk: a recipe that has been trained, in a folder that a pager, a spreadsheet and sha256sum can read.

``<runs>/<model>-s<seed>-<id>/`` holds recipe.json, history.csv, weights.safetensors and, last, run.json: a run exists
when its run.json does. Times and the environment are in run.json alone, so the other files of equal runs are equal.
"""

import hashlib
import io
import json
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock

from fmnist_lib import UserError
from fmnist_lib.recipe import Recipe

COLUMNS = ["epoch", "train_loss", "val_loss", "val_accuracy"]
CHECKPOINT, WEIGHTS, TEST = "checkpoint.safetensors", "weights.safetensors", "test.csv"


@dataclass(frozen=True)
class Run:
    """A finished run: its recipe, folder, history (a row an epoch) and record (run.json)."""

    recipe: Recipe
    folder: Path
    history: pd.DataFrame
    record: dict

    @property
    def best(self) -> pd.Series:
        """Return the row of minimum validation loss, the earliest on a tie (paper, section III)."""
        return self.history.loc[self.history["val_loss"].idxmin()]

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
        return None if content is None else pd.read_csv(io.BytesIO(content), float_precision="round_trip")

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


def lock(runs_dir: Path, recipe: Recipe) -> FileLock:
    """Return the lock of the one process that may write a run; the kernel releases it when that process dies."""
    path = Path(runs_dir) / ".locks" / f"{recipe.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def find(runs_dir: Path, recipe: Recipe, weights: bool = False) -> Run | None:
    """Return the recipe's run with every file verified, or None if it has not been trained (or lacks its weights).

    Raises UserError naming the file that is damaged.
    """
    place = folder(runs_dir, recipe)
    if not (place / "run.json").exists():
        return None
    run = read(place)
    if run.recipe != recipe:
        raise UserError(f"{place / 'recipe.json'} is another run's recipe", f"delete {place} and train it again")
    if (place / WEIGHTS).exists():
        _verified(place / WEIGHTS, run.record["files"][WEIGHTS])
    return None if weights and not (place / WEIGHTS).exists() else run


def read(place: Path) -> Run:
    """Read the run in a folder, its recipe and history verified by SHA-256; UserError naming what is damaged."""
    try:
        record = json.loads((place / "run.json").read_text("utf-8"))
        files = {name: _verified(place / name, record["files"][name]) for name in ("recipe.json", "history.csv")}
        recipe = Recipe(**json.loads(files["recipe.json"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place / 'run.json'} is damaged: {error}", f"delete {place} and train it again") from error
    return Run(recipe, place, parse_history(files["history.csv"].decode()), record)


def _verified(path: Path, expected: dict) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != expected["sha256"]:
        cause = f"{path} is damaged: {len(data)} bytes do not have the SHA-256 in run.json"
        raise UserError(cause, f"delete {path.parent} and train it again")
    return data


def frame(runs_dir: Path) -> pd.DataFrame:
    """List the finished runs, a row each: the recipe's fields, the best epoch and its scores, seconds, megabytes."""
    rows = []
    for path in sorted(Path(runs_dir).glob("*/run.json")):
        run = read(path.parent)
        size = sum(file["bytes"] for file in run.record["files"].values()) / 1e6
        best = {} if run.history["val_loss"].isna().all() else run.best.add_prefix("best_").to_dict()
        rows.append(
            vars(run.recipe) | best | {"seconds": run.record["seconds"], "megabytes": size, "run": run.folder.name}
        )
    return pd.DataFrame(rows)


def history_csv(history: list[dict]) -> str:
    """Return the rows as CSV text that reads back bit for bit."""
    return pd.DataFrame(history, columns=COLUMNS).to_csv(index=False, lineterminator="\n")


def parse_history(text: str) -> pd.DataFrame:
    """Read what `history_csv` wrote."""
    return pd.read_csv(io.StringIO(text), float_precision="round_trip")


def write(runs_dir: Path, recipe: Recipe, history: list[dict], weights: dict, times: dict, environment: dict) -> Run:
    """Write a finished run, run.json last; UserError naming the path and the free space on failure."""
    from safetensors.torch import save

    place, diverged = folder(runs_dir, recipe), len(history) < recipe.epochs
    contents = {
        "recipe.json": recipe.json.encode(),
        "history.csv": history_csv(history).encode(),
        WEIGHTS: save(weights),
    }
    for name, data in contents.items():
        write_file(place / name, data)
    files = {name: _sealed(content) for name, content in contents.items()}
    record = {"status": "diverged" if diverged else "finished", "id": recipe.id, **times}
    record |= {"environment": environment, "files": files}
    write_file(place / "run.json", _json(record))
    (place / CHECKPOINT).unlink(missing_ok=True)
    return read(place)


def attach(run: Run, name: str, content: bytes):
    """Keep a file made from a run beside it, with its SHA-256 in run.json."""
    write_file(run.folder / name, content)
    files = run.record["files"] | {name: _sealed(content)}
    write_file(run.folder / "run.json", _json(run.record | {"files": files}))


def attached(run: Run, name: str) -> bytes | None:
    """Return such a file, verified, or None if it has not been made."""
    record = json.loads((run.folder / "run.json").read_text("utf-8"))
    return _verified(run.folder / name, record["files"][name]) if name in record["files"] else None


def _sealed(content: bytes) -> dict:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _json(record: dict) -> bytes:
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()


def write_file(path: Path, data: bytes):
    """Write aside, fsync, rename: the file is there whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        free = shutil.disk_usage(next(p for p in path.absolute().parents if p.exists())).free
        cause = f"cannot write {path}: {error.strerror or error} ({free:,} bytes free)"
        raise UserError(cause, "free some space or choose another folder, then run the same command again") from error


def set_aside(runs_dir: Path, recipe: Recipe) -> Path:
    """Rename a damaged run's folder, so that it can be looked at and no longer counts."""
    place = folder(runs_dir, recipe)
    aside = next(p for i in range(1, 10**6) if not (p := place.with_name(f".damaged-{place.name}-{i}")).exists())
    place.rename(aside)
    return aside


def write_checkpoint(runs_dir: Path, recipe: Recipe, history: list[dict], tensors: dict, seconds: float):
    """Keep what the next epoch starts from, in one file."""
    from safetensors.torch import save

    metadata = {"history": history_csv(history), "seconds": repr(seconds)}
    write_file(folder(runs_dir, recipe) / CHECKPOINT, save(tensors, metadata))


def read_checkpoint(runs_dir: Path, recipe: Recipe) -> tuple[list[dict], dict, float] | None:
    """Return (history, tensors, seconds so far) of an unfinished run, or None; one that does not read is discarded."""
    from safetensors import SafetensorError, safe_open

    path = folder(runs_dir, recipe) / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return parse_history(metadata["history"]).to_dict("records"), tensors, float(metadata["seconds"])
    except (SafetensorError, KeyError, ValueError):
        path.unlink()
        return None


def environment(device: str) -> dict:
    """Return where a run was trained: Python, torch, system, processor, cores, and the card if there is one."""
    import torch

    card = torch.cuda.get_device_name() if device == "cuda" else None
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "card": card,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
