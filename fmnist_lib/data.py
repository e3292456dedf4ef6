"""Fashion-MNIST (Xiao et al., 2017): fetched, verified by SHA-256, and handed over as tensors on a device.

A data folder is laid out as torchvision expects it: ``<data_dir>/FashionMNIST/raw/<file>``. Wherever the
files came from, they are compared with `FILES` whenever they are read.
"""

import gzip
import hashlib
import os
import socket
import subprocess
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from filelock import FileLock
from torch import Tensor

from fmnist_lib import ROOT, UserError

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
FILES = {  # raw file: (bytes, SHA-256)
    "train-images-idx3-ubyte": (47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    "train-labels-idx1-ubyte": (60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    "t10k-images-idx3-ubyte": (7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    "t10k-labels-idx1-ubyte": (10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}
TRAIN_IMAGES = 60_000
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SILENCE = 10  # seconds without an answer after which a connection is given up


def load(part: Literal["train", "test"], device="cpu", data_dir: Path | str | None = None) -> tuple[Tensor, Tensor]:
    """Read one part of the data set: images uint8 [N, 1, 28, 28] and labels int64 [N], on the device.

    N is 60,000 (train) or 10,000 (test). Raises UserError naming the file that is missing or damaged.
    """
    raw, prefix = _raw_folder(data_dir), {"train": "train", "test": "t10k"}[part]
    images = _pixels(raw / f"{prefix}-images-idx3-ubyte", header=16).view(-1, 1, 28, 28)
    labels = _pixels(raw / f"{prefix}-labels-idx1-ubyte", header=8)
    return images.to(device), labels.long().to(device)


def _pixels(path: Path, header: int) -> Tensor:
    content = path.read_bytes() if path.exists() else None
    if fault := _fault(path.name, content):
        fix = f'run python -c "from fmnist_lib import data; data.fetch({str(path.parent)!r})"'
        raise UserError(f"{path} is not the data set's: {fault}", fix)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header)


def split(seed: int, train: int = 50_000, val: int = 10_000) -> tuple[Tensor, Tensor]:
    """Draw the indices (int64) of the training and validation images out of the 60,000, without overlap.

    They are those of ``torch.utils.data.random_split(range(60_000), [train, val, rest])`` with that seed.
    """
    return _shuffled(seed).split([train, val, TRAIN_IMAGES - train - val])[:2]


def fold(seed: int, folds: int, fold: int) -> tuple[Tensor, Tensor]:
    """Return the indices (int64) outside and inside fold number ``fold``, from 0, of the shuffled 60,000."""
    parts = list(_shuffled(seed).tensor_split(folds))
    inside = parts.pop(fold)
    return torch.cat(parts), inside


def _shuffled(seed):
    return torch.randperm(TRAIN_IMAGES, generator=torch.Generator().manual_seed(seed))


def fetch(data_dir: Path | str | None = None, offline: bool = False) -> Path:
    """Return the folder of the four verified raw files, obtaining first those that are missing or damaged.

    ``data_dir`` is a data folder (or its FashionMNIST/raw); by default the project's ``data/``. Sources, in
    turn: .gz files lying in that folder, Debian's package if installed and, unless ``offline``, the data
    set's mirrors and Debian's package by apt. A damaged file, in a user's own folder too, is kept as
    ``<name>.damaged`` when a good one takes its place. Raises UserError naming files, folder and every way.
    """
    raw = _raw_folder(data_dir)
    try:
        if not _faults(raw):
            return raw
        raw.mkdir(parents=True, exist_ok=True)
        with FileLock(raw / ".fetch.lock"):  # one process fetches, the others wait and find it done
            tried = _obtain(raw, offline)
            faults = _faults(raw)
    except OSError as error:
        cause = f"cannot write the data set into {raw}: {error}"
        raise UserError(cause, "make room there, or give another folder as data_dir") from error
    if faults:
        files = ", ".join(f"{name} ({fault})" for name, fault in faults.items())
        fix = (
            f"go online and run this again, or apt install {DEBIAN_PACKAGE}, or put the .gz files of "
            f"https://github.com/zalandoresearch/fashion-mnist into {raw}, or give another folder as data_dir"
        )
        raise UserError(f"{raw} lacks {files}; tried {', '.join(tried)}", fix)
    return raw


def _raw_folder(data_dir):
    folder = Path(data_dir or ROOT / "data").expanduser().absolute()
    return folder if folder.parts[-2:] == ("FashionMNIST", "raw") else folder / "FashionMNIST" / "raw"


def _faults(raw):
    """Say what is wrong with each raw file that is not exactly the data set's."""
    contents = {name: (raw / name).read_bytes() if (raw / name).exists() else None for name in FILES}
    return {name: fault for name, content in contents.items() if (fault := _fault(name, content))}


def _fault(name, content):
    if content is None:
        return "missing"
    size, expected = FILES[name]
    found = hashlib.sha256(content).hexdigest()
    wrong = f"{len(content):,} bytes with SHA-256 {found[:12]}…, expected {size:,} with {expected[:12]}…"
    return wrong if found != expected else None


def _obtain(raw, offline):
    """Write what is missing or damaged from the first sources that have it; return why the others had not."""
    tried = []
    sources = {f"{raw}/*.gz": lambda _: raw, str(DEBIAN_FOLDER): lambda _: DEBIAN_FOLDER}
    if not offline:
        sources |= {"mirrors": _from_mirrors, "apt": _from_apt}
    for source, folder_of in sources.items():
        if not (missing := _faults(raw)):
            break
        try:
            with TemporaryDirectory() as temporary:
                contents = _unpacked(folder_of(Path(temporary)), missing)
        except Exception as error:  # whatever went wrong there, the next source may do; the reason is told
            tried.append(f"{source} ({type(error).__name__}: {' '.join(str(error).split())})")
            continue
        for name, content in contents.items():
            _write(raw / name, content)
    return tried


def _unpacked(folder, names):
    contents = {name: gzip.decompress((folder / f"{name}.gz").read_bytes()) for name in names}
    for name, content in contents.items():
        if fault := _fault(name, content):
            raise ValueError(f"{name}.gz holds {fault}")
    return contents


def _write(path, content):
    """Write aside, fsync, rename: the file has its name when it is whole; a damaged one is kept beside it."""
    aside = path.with_name(f".{path.name}.part")
    with open(aside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        os.replace(path, f"{path}.damaged")
        warnings.warn(f"{path} was damaged: replaced, and kept as {path.name}.damaged", stacklevel=2)
    os.replace(aside, path)


def _from_mirrors(temporary):
    from torchvision.datasets import FashionMNIST

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)  # torchvision sets none
    try:
        return Path(FashionMNIST(temporary, download=True).raw_folder)
    finally:
        socket.setdefaulttimeout(before)


APT_CONF = """
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire {{ Languages "none"; Retries "1"; http::Timeout "{silence}"; https::Timeout "{silence}"; }};
#clear APT::Update;
"""


def _from_apt(temporary):
    """Download Debian's package as any user, with private lists and no hooks, and unpack it uninstalled."""
    (temporary / "lists").mkdir()
    (temporary / "apt.conf").write_text(APT_CONF.format(folder=temporary, silence=SILENCE), "utf-8")
    apt = ["apt-get", "-qq", "-c", temporary / "apt.conf"]
    _call([*apt, "update"], temporary, seconds=60)
    _call([*apt, "download", DEBIAN_PACKAGE], temporary, seconds=600)
    _call(["dpkg-deb", "-x", next(temporary.glob("*.deb")), temporary], temporary, seconds=60)
    return temporary / DEBIAN_FOLDER.relative_to("/")


def _call(command, folder, seconds):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"{command[0]} exit {done.returncode}"])[-1])
