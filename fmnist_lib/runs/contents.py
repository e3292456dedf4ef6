"""What a run consists of, and what of it can be believed: its curve, what it says of the test images, its tensors."""

import functools
import gzip
import io
import json
import math

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load

from fmnist_lib import data, models, training
from fmnist_lib.recipe import Recipe

COLUMNS = {"epoch": int, "train_loss": float, "val_loss": float, "val_accuracy": float}  # a row an epoch
ANSWERS = ["label", "predicted", "probability", "loss"]  # a row a test image
LARGEST = 1_000_000  # bytes of the answers' CSV text; the longest real ones have a fifth of it
Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]


def history_csv(history: list[dict]) -> str:
    """Return the rows as CSV text that reads back bit for bit."""
    return pd.DataFrame(history, columns=[*COLUMNS]).to_csv(index=False, lineterminator="\n")


def parse_history(text: str) -> pd.DataFrame:
    """Read what `history_csv` wrote; ValueError if it is something else."""
    header, *rows = text.splitlines() or [""]
    if header != ",".join(COLUMNS) or not rows:
        raise ValueError(f"not the columns {', '.join(COLUMNS)} with a row an epoch")
    columns = zip(COLUMNS.items(), zip(*(row.split(",") for row in rows), strict=True), strict=True)
    return pd.DataFrame({name: [kind(v or "nan") for v in values] for (name, kind), values in columns})


def status(recipe: Recipe, history: list[dict] | pd.DataFrame) -> str | None:
    """Return how the training ended, "finished" or "diverged", or None if it goes on; ValueError for what none gives.

    A loss that is not finite ends it at once; a minimum of the validation loss that is ``patience`` epochs old too.
    """
    rows = pd.DataFrame(history, columns=[*COLUMNS])
    epochs, train, val, accuracy = (rows[name].tolist() for name in COLUMNS)
    images = data.TEST_IMAGES if recipe.validate_on == "test" else recipe.val_images
    if epochs != list(range(1, len(epochs) + 1)):
        raise ValueError(f"the epochs are not 1 to {len(epochs)}")
    if len(epochs) > (end := training.last_epoch(val, recipe.epochs, recipe.patience)):
        raise ValueError(f"{len(epochs)} epochs where {end} are all")
    _check_scores(val, accuracy, images)
    losses = list(zip(train, val, strict=True)) if images else [(loss,) for loss in train]
    if any(loss < 0 for row in losses for loss in row) or not all(math.isfinite(v) for row in losses[:-1] for v in row):
        raise ValueError("a loss is below 0, or is not finite before the last epoch")
    if not all(map(math.isfinite, losses[-1])):
        return "diverged"
    return "finished" if len(epochs) == end else None


def _check_scores(val: list[float], accuracy: list[float], images: int):
    if not images and not all(map(math.isnan, val + accuracy)):
        raise ValueError("there is a validation without images")
    if images and not all(0 <= a <= 1 and abs(a - round(a * images) / images) <= 1e-9 for a in accuracy):
        raise ValueError(f"an accuracy is not a share of {images} images")


def pack_answers(frame: pd.DataFrame) -> bytes:
    """Return the rows as compressed CSV, the same bytes for the same rows.

    Where the answer is right its probability is exp(−loss), so it is left out: a third of the size.
    """
    rows = frame.assign(probability=frame["probability"].where(frame["predicted"] != frame["label"]))
    rows["loss"] += 0.0  # minus zero is zero
    return gzip.compress(rows.to_csv(index=False, lineterminator="\n").encode(), 9, mtime=0)


def parse_answers(content: bytes, diverged: bool = False) -> pd.DataFrame:
    """Return the rows; ValueError for what no model says. Numbers may be missing where the run has diverged."""
    with gzip.open(io.BytesIO(content)) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} bytes of text")
    frame = pd.read_csv(io.BytesIO(text))
    if list(frame.columns) != ANSWERS or len(frame) != data.TEST_IMAGES:
        raise ValueError(f"not the columns {', '.join(ANSWERS)} with {data.TEST_IMAGES:,} rows")
    right = frame["predicted"] == frame["label"]
    frame["probability"] = frame["probability"].fillna(np.exp(-frame["loss"]).round(6).where(right))
    classes = frame[["label", "predicted"]].isin(range(10)).all(axis=None)
    numbers = frame["probability"].between(0, 1, inclusive="right") & frame["loss"].between(0, np.inf, inclusive="left")
    if not classes or not (diverged or numbers.all()):
        raise ValueError("a class is none of the ten, a probability not in (0, 1], or a loss below 0 or not finite")
    return frame


@functools.lru_cache(maxsize=64)
def of_weights(recipe: Recipe) -> Shapes:
    """Return the shape and type of each tensor of the recipe's weights, by name; no memory is taken."""
    with torch.device("meta"):
        model = models.of(recipe)
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}


def of_checkpoint(recipe: Recipe, best: bool) -> Shapes:
    """Return the same for a checkpoint: weights, averaged and best ones if there are any, the optimiser's memory."""
    weights = of_weights(recipe)
    prefixes = ["model"] + ["averaged"] * bool(recipe.averaging) + ["best"] * best
    named = {f"{prefix}.{name}": like for prefix in prefixes for name, like in weights.items()}
    moments = {"sgd": ("momentum_buffer",) if recipe.momentum else ()}.get(recipe.optimizer, ("exp_avg", "exp_avg_sq"))
    trained = [like for name, like in weights.items() if name.endswith(("weight", "bias"))]
    for i, like in enumerate(trained):
        named |= {f"optimizer.{i}.{moment}": like for moment in moments}
        named |= {f"optimizer.{i}.step": ((), torch.float32)} if recipe.optimizer != "sgd" else {}
    return named


def parse_tensors(content: bytes, expected: Shapes, finite: bool = True) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file by name; ValueError unless they are those expected, and finite."""
    tensors = load(content)
    if tensors.keys() != expected.keys():
        raise ValueError(f"not the tensors of its recipe: {', '.join(sorted(tensors.keys() ^ expected.keys()))}")
    for name, tensor in tensors.items():
        if (tuple(tensor.shape), tensor.dtype) != expected[name]:
            raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {expected[name]}")
        if finite and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite")
    return tensors


def metadata(content: bytes) -> dict[str, str]:
    """Return what a safetensors file says beside its tensors."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
