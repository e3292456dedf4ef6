"""Fashion-MNIST (Xiao et al., 2017): verified by SHA-256, as tensors on a device; its splits and folds.

A data folder is laid out as torchvision expects it: ``<data_dir>/FashionMNIST/raw/<file>``. Wherever the files came
from (`workers.download`), they are compared with `FILES` whenever they are read.
"""

import hashlib
import os
from pathlib import Path
from shlex import quote
from typing import Literal

import torch
from torch import Tensor

from fmnist_lib import ROOT, UserError, short
from fmnist_lib.recipe import IMAGES

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
FILES = {  # raw file: (bytes, SHA-256)
    "train-images-idx3-ubyte": (47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    "train-labels-idx1-ubyte": (60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    "t10k-images-idx3-ubyte": (7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    "t10k-labels-idx1-ubyte": (10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}
TEST_IMAGES = 10_000


def load(part: Literal["train", "test"], device="cpu", data_dir: Path | str | None = None) -> tuple[Tensor, Tensor]:
    """Read one part of the data set: images uint8 [N, 1, 28, 28] and labels int64 [N], on the device.

    N is 60,000 (train) or 10,000 (test). Raises UserError naming the file that is missing or damaged.
    """
    raw, prefix = raw_folder(data_dir), {"train": "train", "test": "t10k"}[part]
    images = _pixels(raw / f"{prefix}-images-idx3-ubyte", header=16).view(-1, 1, 28, 28)
    labels = _pixels(raw / f"{prefix}-labels-idx1-ubyte", header=8)
    return images.to(device), labels.long().to(device)


def _pixels(path: Path, header: int) -> Tensor:
    content, fault = read_raw(path)
    if fault:
        fix = f"run fmnist fetch --data-dir {quote(str(path.parent))}"
        raise UserError(f"{path} is not the data set's: {fault}", fix)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header)


def split(seed: int, train: int = 50_000, val: int = 10_000) -> tuple[Tensor, Tensor]:
    """Draw the indices (int64) of the training and validation images out of the 60,000, without overlap.

    They are those of ``torch.utils.data.random_split(range(60_000), [train, val, rest])`` with that seed.
    """
    return _shuffled(seed).split([train, val, IMAGES - train - val])[:2]


def fold(seed: int, folds: int, fold: int) -> tuple[Tensor, Tensor]:
    """Return the indices (int64) outside and inside fold number ``fold``, from 0, of the shuffled 60,000."""
    parts = list(_shuffled(seed).tensor_split(folds))
    inside = parts.pop(fold)
    return torch.cat(parts), inside


def _shuffled(seed):
    return torch.randperm(IMAGES, generator=torch.Generator().manual_seed(seed))


def raw_folder(data_dir: Path | str | None) -> Path:
    """Return the folder of the raw files; by default that of the project."""
    try:
        folder = Path(data_dir or ROOT / "data").expanduser().absolute()
    except RuntimeError as error:  # the home of nobody
        raise UserError(f"data_dir = {short(data_dir)}: {error}", "write the folder's path in full") from error
    return folder if folder.parts[-2:] == ("FashionMNIST", "raw") else folder / "FashionMNIST" / "raw"


def read_raw(path: Path) -> tuple[bytes, str | None]:
    """Return what a raw file holds, and what is wrong with it: None if it is exactly the data set's.

    No more is read than that, and nothing of what is no regular file: a pipe would wait, a device never end.
    """
    if not path.is_file():
        return b"", "no regular file" if os.path.lexists(path) else "missing"
    with path.open("rb") as file:
        content = file.read(FILES[path.name][0] + 1)
    return content, fault_of(path.name, content)


def fault_of(name: str, content: bytes) -> str | None:
    """Say what is wrong with a raw file's content, or None if it is exactly the data set's."""
    size, expected = FILES[name]
    found = hashlib.sha256(content).hexdigest()
    held = f"{len(content):,} bytes" if len(content) <= size else f"more than {size:,} bytes"
    wrong = f"{held} with SHA-256 {found[:12]}…, expected {size:,} with {expected[:12]}…"
    return wrong if found != expected else None
