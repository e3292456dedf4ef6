"""What a run says of the 10,000 test images, as compressed CSV: a row an image."""

import gzip
import io

import numpy as np
import pandas as pd

COLUMNS = ["label", "predicted", "probability", "loss"]
IMAGES = 10_000
LARGEST = 1_000_000  # bytes of CSV text; the longest real ones have a fifth of it


def packed(frame: pd.DataFrame) -> bytes:
    """Return the rows as compressed CSV, the same bytes for the same rows.

    Where the answer is right its probability is exp(−loss), so it is left out: a third of the size.
    """
    rows = frame.assign(probability=frame["probability"].where(frame["predicted"] != frame["label"]))
    rows["loss"] += 0.0  # minus zero is zero
    return gzip.compress(rows.to_csv(index=False, lineterminator="\n").encode(), 9, mtime=0)


def unpacked(content: bytes, diverged: bool = False) -> pd.DataFrame:
    """Return the rows; ValueError for what no model says. Numbers may be missing where the run has diverged."""
    with gzip.open(io.BytesIO(content)) as file:
        text = file.read(LARGEST + 1) if content[:1] == b"\x1f" else content
    if len(text) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} bytes of text")
    frame = pd.read_csv(io.BytesIO(text))
    if list(frame.columns) != COLUMNS or len(frame) != IMAGES:
        raise ValueError(f"not the columns {', '.join(COLUMNS)} with {IMAGES:,} rows")
    right = frame["predicted"] == frame["label"]
    frame["probability"] = frame["probability"].fillna(np.exp(-frame["loss"]).round(6).where(right))
    classes = frame[["label", "predicted"]].isin(range(10)).all(axis=None)
    numbers = frame["probability"].between(0, 1, inclusive="right") & frame["loss"].between(0, np.inf, inclusive="left")
    if not classes or not (diverged or numbers.all()):
        raise ValueError("a class is none of the ten, a probability not in (0, 1], or a loss below 0 or not finite")
    return frame
