"""Obtain Fashion-MNIST from whichever source answers; what comes is verified by SHA-256 before it gets its name."""

import gzip
import os
import socket
import subprocess
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from fmnist_lib import UserError
from fmnist_lib.data import FILES, fault_of, raw_folder
from fmnist_lib.runs.files import locked, write_file

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SILENCE = 10  # seconds without an answer after which a connection is given up


def fetch(data_dir: Path | str | None = None, offline: bool = False) -> Path:
    """Return the folder of the four verified raw files, obtaining first those that are missing or damaged.

    ``data_dir`` is a data folder (or its FashionMNIST/raw); by default the project's ``data/``. Sources, in
    turn: .gz files lying in that folder, Debian's package if installed and, unless ``offline``, the data
    set's mirrors and Debian's package by apt. A damaged file, in a user's own folder too, is kept as
    ``<name>.damaged`` when a good one takes its place. Raises UserError naming files, folder and every way.
    """
    raw = raw_folder(data_dir)
    try:
        if not _faults(raw):
            return raw
        with locked(raw / ".fetch.lock"):  # one process fetches, the others wait and find it done
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


def _faults(raw):
    """Say what is wrong with each raw file that is not exactly the data set's."""
    contents = {name: (raw / name).read_bytes() if (raw / name).exists() else None for name in FILES}
    return {name: fault for name, content in contents.items() if (fault := fault_of(name, content))}


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
            _put(raw / name, content)
    return tried


def _unpacked(folder, names):
    contents = {name: gzip.decompress((folder / f"{name}.gz").read_bytes()) for name in names}
    for name, content in contents.items():
        if fault := fault_of(name, content):
            raise ValueError(f"{name}.gz holds {fault}")
    return contents


def _put(path, content):
    """Give a whole file its name; a damaged one is kept beside it."""
    if path.exists():
        os.replace(path, f"{path}.damaged")
        warnings.warn(f"{path} was damaged: replaced, and kept as {path.name}.damaged", stacklevel=2)
    write_file(path, content)


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
