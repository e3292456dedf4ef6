"""Files that are there whole or not at all, locks that no dead process holds, and what ends a training from outside."""

import contextlib
import errno
import os
import secrets
import shutil
import signal
import stat
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, SoftFileLock

from fmnist_lib import ROOT, Stopped, UserError

SHIPPED = ROOT / "reports" / "reference"  # it is read by all, and written by `make reference` alone
UNLOCKABLE = (errno.ENOLCK, errno.EOPNOTSUPP)  # a network file system without locks: there a file stands for one
MEMORY = ("out of memory", "can't allocate memory")  # as CUDA says it, and as a CPU does


def is_shipped(path: Path | zipfile.Path) -> bool:
    """Say whether a file, or a folder, came with the repository and is only read."""
    return isinstance(path, zipfile.Path) or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(SHIPPED))


def refuse_shipped(path: Path | zipfile.Path):
    """Raise UserError for what is only read."""
    if is_shipped(path):
        fix = "leave runs_dir and out empty, or name folders of your own: what is shipped is found all the same"
        raise UserError(f"{path} came with the repository, and is only read", fix)


def there(path: Path | zipfile.Path) -> bool:
    """Say whether something has this name, be it a link to nothing."""
    return path.exists() if isinstance(path, zipfile.Path) else os.path.lexists(path)


def write_file(path: Path, data: bytes, publish: bool = False):
    """Write aside, fsync, rename; UserError naming the path and the free space if the file cannot be written.

    What came with the repository is refused, unless it is to ``publish``.
    """
    if not publish:
        refuse_shipped(path)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # two machines may have a process of one number
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(aside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def size(path: Path | zipfile.Path) -> int:
    """Return the bytes of a regular file; ValueError, KeyError or OSError for anything else."""
    if isinstance(path, zipfile.Path):
        return path.root.getinfo(path.at).file_size
    found = path.stat()  # before opening: a pipe would wait, a device would never end
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    return found.st_size


def read_file(path: Path | zipfile.Path, most: int) -> bytes:
    """Return the content of a regular file of at most so many bytes; ValueError, KeyError or OSError otherwise."""
    if (found := size(path)) > most:
        raise ValueError(f"{found:,} bytes are more than {most:,}")
    with path.open("rb") as file:
        return file.read(most + 1)


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Be the one process in here; the kernel lets the next one in when this one dies.

    Raises UserError where the lock cannot be made or, without ``wait``, where another process holds it.
    """
    refuse_shipped(path)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(path, timeout=-1 if wait else 0).acquire()
        except OSError as error:
            if error.errno not in UNLOCKABLE:
                raise
            held = SoftFileLock(f"{path}.held", timeout=-1 if wait else 0).acquire()
    with held:
        yield


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(next(p for p in path.absolute().parents if p.is_dir())).free
        cause = f"cannot write {path}: {error.strerror or error} ({free:,} bytes free)"
        fix = "free some space or choose another folder that can be written, then run the same command again"
        raise UserError(cause, fix) from error


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise Stopped at SIGTERM and Ctrl-C in here; of a signal only a main thread is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def memory_explained() -> Iterator[None]:
    """Turn an error for want of memory, the device's or the machine's, into a UserError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in MEMORY):
            fix = "lower batch or workers, or end what else uses it; the same command goes on where it stopped"
            raise UserError(" ".join(f"out of memory ({type(error).__name__} {error})".split()), fix) from error
        raise
