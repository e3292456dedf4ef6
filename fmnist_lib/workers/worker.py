"""What a Dask worker does: a run at a time, in a child process that it keeps, so that it answers its scheduler.

The worker itself needs no PyTorch. Its child reads and verifies the data once, and dies with it.
"""

import asyncio
import functools
import hashlib
import multiprocessing
import queue
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from fmnist_lib import ROOT, UserError, short
from fmnist_lib.recipe import Recipe
from fmnist_lib.workers import pool

TRAINS = ("*.py", "kernels/*.py", "runs/*.py", "workers/*.py")  # the part of the library that a run depends on
IDENTITY = Path(".locks") / "identity"  # in a folder of runs, by which another machine knows it again
_idle: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()  # children that wait for a run


def digest(package: Path = ROOT / "fmnist_lib") -> str:
    """Return the SHA-256 of the sources that a run depends on: what "the same version" means."""
    found = hashlib.sha256()
    for path in sorted(path for pattern in TRAINS for path in package.glob(pattern)):
        found.update(f"{path.relative_to(package).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()


VERSION = digest()  # of what this process has imported, whatever becomes of the files


@dataclass(frozen=True)
class Sweep:
    """What all runs of a sweep have in common: where they go, from which data, and what they are to hold."""

    folder: str  # of runs
    identity: str  # what is in its `IDENTITY`
    shipped: bool  # whether what the repository ships is found too
    data_dir: str  # "" is the worker's own project's; another that is not there too
    weights: bool
    version: str = VERSION


@dataclass(frozen=True)
class Outcome:
    """What became of a run: where it was, why it failed if it did, and its files if they had to travel."""

    worker: str
    failure: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def train(recipe: Recipe, sweep: Sweep) -> Outcome:
    """Train one run on this worker. An error is told; only where the child died it is raised, for another to try."""
    if sweep.version != VERSION:
        return Outcome(name(), "it has another version of the library")
    try:
        with _child() as child:
            return Outcome(name(), files=child.submit(_train, recipe, sweep).result())
    except BrokenProcessPool as error:
        raise UserError(f"{name()}: its training process died", "see how much memory there is for each") from error
    except UserError as error:
        return Outcome(name(), f"{error.cause} (fix: {error.fix})")
    except Exception as error:  # whatever it is, the other runs go on
        return Outcome(name(), f"{type(error).__name__}: {short(error)}")


def name() -> str:
    """Return how this worker is named: as it was when it was started, and where it is."""
    from distributed import get_worker

    worker = get_worker()
    return worker.address if worker.name == worker.address else f"{worker.name} ({worker.address})"


@contextmanager
def _child() -> Iterator[ProcessPoolExecutor]:
    """Lend a child that waits, or a new one; one that has died is not kept."""
    try:
        child = _idle.get_nowait()
    except queue.Empty:
        multiprocessing.current_process().daemon = False  # Dask's nanny sets it, and a daemon may have no children
        child = pool.processes(1)
    try:
        yield child
    except BrokenProcessPool:
        child.shutdown(wait=False)
        raise
    except BaseException:
        _idle.put(child)
        raise
    _idle.put(child)


async def introduce(data_dir: str, device: str) -> tuple[str, str]:
    """Return this worker's version of the library, and what is wrong with its data or device, if anything."""
    return VERSION, await asyncio.to_thread(_asked, data_dir, device)


def _asked(data_dir: str, device: str) -> str:
    try:
        with _child() as child:
            child.submit(_prepared, data_dir, device).result()
    except UserError as error:
        return f"{error.cause} (fix: {error.fix})"
    except BrokenProcessPool:
        return "its training process died as it began"
    return ""


# In the child


def _prepared(data_dir: str, device: str):
    from fmnist_lib import machine
    from fmnist_lib.runs import job

    machine.resolve(device)
    job.loaded("train", device, _raw(data_dir))


@functools.cache
def _raw(data_dir: str) -> Path:
    from fmnist_lib.data import raw_folder

    given = raw_folder(data_dir)
    return given if given.is_dir() else raw_folder("")


def _train(recipe: Recipe, sweep: Sweep) -> dict[str, bytes]:
    """Train into the sweep's folder if this machine has it; else into one of its own, and return the run's files."""
    from fmnist_lib.runs import job
    from fmnist_lib.runs.store import Store

    if has(sweep):
        job.train_one(recipe, Store(sweep.folder, sweep.shipped), _raw(sweep.data_dir), sweep.weights)
        return {}
    with TemporaryDirectory() as folder:
        job.train_one(recipe, Store(folder, shipped=False), _raw(sweep.data_dir), sweep.weights)
        return {path.name: path.read_bytes() for path in (Path(folder) / recipe.name).iterdir()}


def has(sweep: Sweep) -> bool:
    """Say whether the sweep's folder is here: the same one, not another of its name."""
    try:
        return (Path(sweep.folder) / IDENTITY).read_text() == sweep.identity
    except OSError:
        return False
