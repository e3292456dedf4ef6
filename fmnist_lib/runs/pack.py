"""Many runs in one file, as the repository ships a study's records: a zip of their folders, without weights.

Its entries are stored as they are: git compresses them and keeps the differences alone where the file grows, and
nothing in it can be larger than it looks.
"""

import functools
import io
import re
import zipfile
from pathlib import Path

from fmnist_lib import ROOT
from fmnist_lib.runs.files import read_file
from fmnist_lib.runs.record import HISTORY, MODE, RECIPE, RECORD, TEST, believed

REPORTS = ROOT / "reports"
PACKED = (RECIPE, HISTORY, TEST, MODE, RECORD)
ENTRY = re.compile(rf"\w[\w.-]*/({'|'.join(map(re.escape, PACKED))})", re.ASCII)
LARGEST = 10**8  # bytes of a pack


def shipped() -> list[Path | zipfile.Path]:
    """Return the folders of runs that came with the repository: the reference's, and the inside of each pack."""
    return [REPORTS / "reference" / "runs", *map(opened, sorted(REPORTS.glob("*/records*.zip")))]


def opened(path: Path) -> zipfile.Path:
    """Return the inside of a pack, which is read like a folder of runs; UserError naming one that is damaged."""
    with believed(path):
        return _opened(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _opened(path, _) -> zipfile.Path:
    return inside(read_file(path, LARGEST), path)


def inside(content: bytes, path: Path) -> zipfile.Path:
    """Return the inside of a pack with this content, under its path; ValueError, or zipfile's own, if it is none."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    entries = archive.infolist()
    if strange := [entry.filename for entry in entries if not ENTRY.fullmatch(entry.filename)]:
        raise ValueError(f"{strange[0]!r} is no file of a run")
    if any(entry.compress_type or entry.flag_bits & 1 for entry in entries):
        raise ValueError("its files are not stored as they are")
    if len(set(archive.namelist())) < len(entries) or sum(entry.file_size for entry in entries) > len(content):
        raise ValueError("it holds a file twice")
    archive.filename = str(path)
    return zipfile.Path(archive)
