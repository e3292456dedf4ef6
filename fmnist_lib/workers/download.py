"""Obtain Fashion-MNIST from whichever source answers; what comes is verified by SHA-256 before it gets its name."""

import gzip
import io
import lzma
import os
import re
import socket
import subprocess
import tarfile
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from fmnist_lib import UserError, data, short
from fmnist_lib.data import fault_of, raw_folder, read_raw
from fmnist_lib.recipe import DATA_SET
from fmnist_lib.runs.files import locked, read_file, write_file
from fmnist_lib.runs.store import free_name

THEIRS = "Fashion-MNIST"  # the data set that the mirrors and Debian have
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SILENCE = 10  # seconds without an answer after which a connection is given up
MOST = 100_000_000  # bytes of Debian's package, packed or unpacked, which has a third of it


def fetch(data_dir: Path | str | None = None, offline: bool = False) -> Path:
    """Return the folder of the four verified raw files, obtaining first those that are missing or damaged.

    ``data_dir`` is a data folder (or its FashionMNIST/raw); by default the project's ``data/``. Sources, in
    turn: .gz files lying in that folder, Debian's package if installed and, unless ``offline``, the data
    set's mirrors and Debian's package by apt; of another data set than Fashion-MNIST the .gz files alone. A damaged
    file, in a user's own folder too, is kept as ``<name>.damaged-1`` when a good one takes its place. Raises UserError
    naming files, folder and every way.
    """
    raw = raw_folder(data_dir)
    try:
        if not _faults(raw):
            return raw
        with locked(raw / ".fetch.lock"):  # one process fetches, the others wait and find it done
            for leftover in raw.glob(".*.tmp"):  # of a process that was killed
                leftover.unlink()
            tried = _obtain(raw, offline)
            faults = _faults(raw)
    except OSError as error:
        cause = f"cannot write the data set into {raw}: {error}"
        raise UserError(cause, "make room there, or give another folder as data_dir") from error
    if faults:
        of = {fault: ", ".join(name for name in faults if faults[name] == fault) for fault in faults.values()}
        files = "; ".join(f"{names} ({fault})" for fault, names in of.items())
        if DATA_SET != THEIRS:
            fix = "put the files there that are listed, or their sizes and SHA-256 into FILES of fmnist_lib/data.py"
            raise UserError(f"{raw} lacks what is listed as {DATA_SET}: {files}", fix)
        fix = (
            f"go online and run this again, or apt install {DEBIAN_PACKAGE}, or put the .gz files of "
            f"https://github.com/zalandoresearch/fashion-mnist into {raw}, or give another folder as data_dir"
        )
        raise UserError(f"{raw} lacks {files}; tried {', '.join(tried)}", fix)
    return raw


def _faults(raw):
    """Say what is wrong with each raw file that is not exactly the data set's."""
    return {name: fault for name in data.FILES if (fault := read_raw(raw / name)[1])}


def _obtain(raw, offline):
    """Write what is missing or damaged from the first sources that have it; return why the others had not."""
    tried = []
    sources = {"its .gz files": raw}
    if DATA_SET == THEIRS:  # nobody else's files are replaced by these
        sources |= {str(DEBIAN_FOLDER): DEBIAN_FOLDER}
        sources |= {} if offline else {"mirrors": _from_mirrors, "apt": _from_apt}
    for name, source in sources.items():
        if not (missing := _faults(raw)):
            break
        try:
            contents = _contents(source, missing)
        except Exception as error:  # whatever went wrong there, the next source may do; the reason is told
            tried.append(f"{name} ({short(getattr(error, 'strerror', None) or error, 120)})")
            continue
        for file, content in contents.items():
            _put(raw / file, content)
    return tried


def _contents(source, names) -> dict[str, bytes]:
    """Return the verified contents of these raw files from a folder of .gz files, or a function that fills one."""
    if isinstance(source, Path):
        return {name: _unpacked(source / f"{name}.gz", name) for name in names}
    with TemporaryDirectory() as folder:
        return _contents(source(Path(folder)), names)


def _unpacked(path, name):
    """Return what a .gz file holds, of which no more is read than the data set's; ValueError for anything else."""
    size = data.FILES[name][0]
    with gzip.open(io.BytesIO(read_file(path, size + size // 100 + 1000))) as file:
        content = file.read(size + 1)
    if fault := fault_of(name, content):
        raise ValueError(f"{name}.gz holds {fault}")
    return content


def _put(path, content):
    """Give a whole file its name; a damaged one is kept beside it."""
    if os.path.lexists(path):
        kept = path.rename(free_name(path.with_name(f"{path.name}.damaged")))
        warnings.warn(f"{path} was damaged: replaced, and kept as {kept.name}", stacklevel=2)
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
    """Download Debian's package as any user, with private lists and no hooks; take its .gz files, uninstalled."""
    (temporary / "lists").mkdir()
    (temporary / "apt.conf").write_text(APT_CONF.format(folder=temporary, silence=SILENCE), "utf-8")
    apt = ["apt-get", "-qq", "-c", temporary / "apt.conf"]
    _call([*apt, "update"], temporary, seconds=60)
    _call([*apt, "download", DEBIAN_PACKAGE], temporary, seconds=600)
    with tarfile.open(fileobj=io.BytesIO(_archive(next(temporary.glob("*.deb")))), mode="r:") as archive:
        for name in data.FILES:  # under names of our own: nothing of the package says where a file goes
            packed = archive.extractfile(f".{DEBIAN_FOLDER}/{name}.gz")
            (temporary / f"{name}.gz").write_bytes(packed.read(MOST))
    return temporary


def _archive(deb: Path) -> bytes:
    """Return the unpacked data.tar of a Debian package, which is an `ar` archive; ValueError for what has none."""
    content, at = read_file(deb, MOST), len(b"!<arch>\n")
    while entry := re.compile(rb"(.{16}).{32}(\d{1,9}) *`\n", re.S).match(content, at):
        size, at = int(entry[2]), entry.end()
        if entry[1].strip(b" /") == b"data.tar.xz":
            unpacker = lzma.LZMADecompressor(memlimit=MOST)
            return unpacker.decompress(content[at : at + size], MOST)
        at += size + size % 2
    raise ValueError(f"{deb.name} has no data.tar.xz")


def _call(command, folder, seconds):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"{command[0]} exit {done.returncode}"])[-1])
