"""The strict form of run.json, which all else of a run is verified by: these keys, plausible values, a seal."""

import contextlib
import errno
import functools
import hashlib
import json
import os
import shlex
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import fastjsonschema
from safetensors import SafetensorError

from fmnist_lib import ROOT, UserError
from fmnist_lib.runs.files import is_shipped, read_file

RECORD, RECIPE, HISTORY, WEIGHTS = "run.json", "recipe.json", "history.csv", "weights.safetensors"
TEST, MODE = "test.csv.gz", "test-training-mode.csv.gz"  # what it says of the test images, in which mode
MOMENT = "%Y-%m-%dT%H:%M:%SZ"  # UTC
LIMITS = {RECORD: 10**6, RECIPE: 10**5, HISTORY: 10**7, WEIGHTS: 2 * 10**9, TEST: 10**6, MODE: 10**6}  # bytes

FORM = Path(__file__).parent / "run.schema.json"
_check = fastjsonschema.compile(json.loads(FORM.read_text("utf-8")))  # a function that raises ValueError


def sealed(record: dict) -> dict:
    """Return a record with its seal as the last line; ValueError if it has not the form of one."""
    plain = {key: value for key, value in record.items() if key != "seal"}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, allow_nan=False).encode()).hexdigest()
    datetime.strptime(str(plain.get("finished")), MOMENT)
    return _check(plain | {"seal": digest})


def text(record: dict) -> bytes:
    """Return a record as it is written."""
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()


def read(place: Path) -> dict:
    """Return the record in a run's folder, seal and form verified; UserError naming it."""
    with believed(place / RECORD):
        record = json.loads(read_file(place / RECORD, LIMITS[RECORD]).decode())
        if sealed(record)["seal"] != record["seal"]:
            raise ValueError("its seal is not that of its content")
    return record


def entry(content: bytes) -> dict:
    """Return a file's line in the list of files."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def verified(place: Path, name: str, record: dict) -> bytes:
    """Return the content of a file of a run, as its record has it; UserError naming the file."""
    with believed(place / name):
        expected = record["files"][name]
        content = read_file(place / name, min(LIMITS[name], expected["bytes"]))
        if entry(content) != expected:
            raise ValueError(f"{len(content)} bytes do not have the size and SHA-256 in {RECORD}")
    return content


class Damaged(UserError):
    """A file of a run is not what it was, and not to be believed."""


def damaged(path: Path, why: str) -> Damaged:
    """Return the error that a file of a run is not to be believed."""
    fix = f"set it aside: move {path.parent} elsewhere, or run the sweep again: it sets this run aside and redoes it"
    if is_shipped(path) or path.suffix == ".zip":
        whole = Path(path.root.filename) if isinstance(path, zipfile.Path) else path
        fix = f"move {whole} elsewhere; then pack your own again, or: git checkout -- {shlex.quote(str(whole))}"
    return Damaged(f"{path} is damaged: {' '.join(why.split())[:200]}", fix)


UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, EOFError, OverflowError)
UNREADABLE += (SafetensorError, zlib.error, zipfile.BadZipFile, NotImplementedError, struct.error)
PASSING = ["EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE", "ETIMEDOUT"]  # of no fault in the file


@contextlib.contextmanager
def believed(path: Path) -> Iterator[None]:
    """Turn whatever reading or judging a file raises into the one error that names it: Damaged, unless it may pass."""
    try:
        yield
    except UserError as error:
        raise damaged(path, error.cause) from error
    except UNREADABLE as error:
        if errno.errorcode.get(getattr(error, "errno", None)) in PASSING:
            fix = "see that it can be read, then do the same again: nothing was changed"
            raise UserError(f"{path} cannot be read: {error.strerror}", fix) from error
        raise damaged(path, str(error) or type(error).__name__) from error


@functools.cache
def source() -> dict:
    """Return the commit, whether tracked files differ from it, and the SHA-256 of the lock and of the preregistration.

    None stands for what cannot be known: without git, outside a checkout, without the file.
    """
    commit = _git("rev-parse", "HEAD") if (ROOT / ".git").exists() else None  # never that of a folder around it
    changes = commit and _git("status", "--porcelain", "--untracked-files=no", "--", "fmnist_lib", "constraints.txt")
    return {
        "commit": commit,
        "changed": None if changes is None else changes != "",
        "lock": _sha256(ROOT / "constraints.txt"),
        "preregistration": _sha256(ROOT / "reports" / "PREREGISTRATION.md"),
    }


def _git(*words: str) -> str | None:
    """Ask git about this checkout, whatever repository the variables of the caller name; None without an answer."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command, options = ["git", "-C", str(ROOT), *words], {"capture_output": True, "text": True, "timeout": 10}
    try:
        done = subprocess.run(command, env=plain | {"GIT_OPTIONAL_LOCKS": "0"}, **options)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip()


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
