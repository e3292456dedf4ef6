"""What an interrupted run goes on from: one file beside its recipe, readable without running code."""

from pathlib import Path

from fmnist_lib.files import write_file
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import folder, history_csv, parse_history


def path(runs_dir: Path, recipe: Recipe) -> Path:
    """Return where a run's checkpoint is, or will be."""
    return folder(runs_dir, recipe) / "checkpoint.safetensors"


def write(runs_dir: Path, recipe: Recipe, history: list[dict], tensors: dict, seconds: float):
    """Keep what the next epoch starts from, and the curve so far (unless a finished record is there)."""
    from safetensors.torch import save

    place, curve = folder(runs_dir, recipe), history_csv(history)
    write_file(path(runs_dir, recipe), save(tensors, {"history": curve, "seconds": repr(seconds)}))
    if not (place / "run.json").exists():
        write_file(place / "history.csv", curve.encode())


def read(runs_dir: Path, recipe: Recipe) -> tuple[list[dict], dict, float] | None:
    """Return (history, tensors, seconds so far) of an unfinished run, or None; one that does not read is discarded."""
    from safetensors import SafetensorError, safe_open

    kept = path(runs_dir, recipe)
    if not kept.exists():
        return None
    try:
        with safe_open(kept, "pt") as file:
            metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return parse_history(metadata["history"]).to_dict("records"), tensors, float(metadata["seconds"])
    except (SafetensorError, KeyError, ValueError, TypeError):
        discard(runs_dir, recipe)
        return None


def discard(runs_dir: Path, recipe: Recipe):
    """Remove a run's checkpoint, if there is one, and whatever a killed process was writing."""
    path(runs_dir, recipe).unlink(missing_ok=True)
    for half in folder(runs_dir, recipe).glob(".*.tmp"):
        half.unlink(missing_ok=True)
