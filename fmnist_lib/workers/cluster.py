"""A sweep on a Dask cluster: the workers are asked who they are, a run is a task, and what comes back is verified."""

import contextlib
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tqdm import tqdm

from fmnist_lib import UserError, short
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs.files import locked, write_file
from fmnist_lib.runs.record import LIMITS, RECORD
from fmnist_lib.runs.run import lock
from fmnist_lib.runs.store import Store
from fmnist_lib.workers import worker
from fmnist_lib.workers.pool import cores
from fmnist_lib.workers.worker import Outcome, Sweep

if TYPE_CHECKING:  # it is an optional extra
    from distributed import Client, SpecCluster

RETRIES = 2  # of a run whose process died; Dask itself tries one anew whose worker died
SILENCE = 10  # seconds without an answer after which there is no scheduler
SIGHT = 60.0  # seconds after which a network file system shows what another machine has written
BAR = "{percentage:3.0f} % |{bar:20}| {n_fmt} of {total_fmt} runs, {remaining} left: {desc}"


def train_on(address: str, todo: list[Recipe], store: Store, data_dir: Path | str, workers: int, weights: bool):
    """Train recipes on the workers of a scheduler, or of this machine if it is "local"; the runs are in the store then.

    Those that fail are told, with worker and cause, when they do; UserError counts them when the others are done.
    """
    with connected(address, workers, todo[0].device) as client:
        print(f"Dashboard: {client.dashboard_link}", flush=True)
        sweep = Sweep(str(store.folder), identity(store.folder), store.sees_shipped, str(data_dir or ""), weights)
        check(client, sweep, todo[0].device)
        resources = {"GPU": 1} if todo[0].device == "cuda" else None
        executor = client.get_executor(pure=True, retries=RETRIES, resources=resources)  # asked twice, done once
        todo = store.missing(todo, weights)  # since it was asked, another client may have had some trained
        futures = {executor.submit(worker.train, recipe, sweep): recipe for recipe in todo}
        failed = _watch(client, futures, store, weights)
    if failed:
        fix = "mend what is told above, then run the same command again: what is finished is kept"
        raise UserError(f"{len(failed)} of {len(todo)} runs failed: {'; '.join(failed)}", fix)


def identity(folder: Path) -> str:
    """Return by what a folder of runs is known again, which is drawn when it is first asked for."""
    path = folder / worker.IDENTITY
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            write_file(path, secrets.token_hex(16).encode())
        return path.read_text()


@contextlib.contextmanager
def connected(address: str, workers: int, device: str) -> "Iterator[Client]":
    """Lend a client of the scheduler at an address, or of a cluster that lasts as long, and that has a worker."""
    try:
        from distributed import Client
    except ImportError as error:
        fix = "install it: pip install --constraint constraints.txt --editable '.[cluster]'"
        raise UserError(f"cluster = {address!r}, but Dask's distributed is not here", fix) from error
    with contextlib.ExitStack() as stack:
        scheduler = stack.enter_context(_local(workers, device)) if address == "local" else address
        try:
            client = stack.enter_context(Client(scheduler, timeout=SILENCE, set_as_default=False))
        except (OSError, ValueError, TypeError, AssertionError) as error:  # none, or none that is understood
            fix = "start one with: dask scheduler; and workers with: dask worker tcp://HOST:8786 --nthreads 1"
            raise UserError(f"no scheduler answers at {address} ({short(error)})", fix) from error
        if not client.nthreads():
            print(f"Waiting for a worker of {client.scheduler.address} …", flush=True)
            client.wait_for_workers(1)
        yield client


def _local(workers: int, device: str) -> "SpecCluster":
    """Return a cluster on this machine: a worker a CUDA device, or a single-thread one a core."""
    from distributed import Nanny, Scheduler, SpecCluster

    each = [{"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": card}} for card in _cards()]
    each = each if device == "cuda" else [{}] * (workers or cores())
    quiet = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "5s"}
    alike = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False, "silence_logs": logging.ERROR}
    alike["config"] = quiet  # what watches a worker takes a tenth of a core from it
    spec = {i: {"cls": Nanny, "options": alike | one} for i, one in enumerate(each)}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}}
    return SpecCluster(spec, scheduler, silence_logs=logging.ERROR)


def _cards() -> list[str]:
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


def check(client: "Client", sweep: Sweep, device: str):
    """Raise UserError naming the workers that have another version of the library, or whose data or device fail."""
    listed = client.scheduler_info(n_workers=-1)["workers"]
    if device == "cuda" and not any(one["resources"].get("GPU") for one in listed.values()):
        fix = "start a worker a card, as: CUDA_VISIBLE_DEVICES=0 dask worker … --nthreads 1 --resources GPU=1"
        raise UserError("no worker of the cluster offers a GPU", fix)
    said = client.run(worker.introduce, sweep.data_dir, device, on_error="return")
    bad = {address: fault for address, answer in said.items() if (fault := _fault(answer, sweep.version))}
    if bad:
        told = "; ".join(f"{listed.get(address, {}).get('name', '')} ({address}) {bad[address]}" for address in bad)
        fix = "give it the same checkout and data (fmnist fetch), and start it again"
        raise UserError(f"refused, of {len(said)} workers: {told}", fix)


def _fault(answer: tuple[str, str] | BaseException, version: str) -> str:
    if isinstance(answer, BaseException):
        return f"cannot answer: {type(answer).__name__}: {short(answer)}"
    return "has another version of the library" if answer[0] != version else answer[1]


def _watch(client: "Client", futures: dict[Future, Recipe], store: Store, weights: bool) -> list[str]:
    """Show one bar until every run has ended; keep what travels; return a line for each that failed."""
    failed = []
    with tqdm(total=len(futures), bar_format=BAR, mininterval=2, smoothing=0.05, file=sys.stdout) as bar:
        for future in as_completed([*futures]):
            recipe = futures.pop(future)  # and with it its result
            if cause := _end(future, recipe, store, weights):
                failed.append(f"{recipe.name}: {cause}")
                bar.write(f"Failed: {failed[-1]}", file=sys.stdout)
            else:
                bar.update()
            bar.set_description_str(f"{_running(client)} running, {len(failed)} failed", refresh=False)
    return failed


def _running(client: "Client") -> int:
    """Count this client's runs under way: a worker holds one more for each thread than it trains."""
    try:
        held, threads = client.processing(), client.nthreads()
    except OSError:  # the scheduler is gone, which the next run tells
        return 0
    return sum(min(threads.get(address, 0), len(client.futures.keys() & {*keys})) for address, keys in held.items())


def _end(future: Future, recipe: Recipe, store: Store, weights: bool) -> str:
    """Keep the run that a task returns, if it is not there; return why there is none, or ""."""
    if future.cancelled():
        fix = "start it again, then run the same command again: what is finished is kept"
        raise UserError("the cluster's scheduler is gone", fix)
    if error := future.exception():
        return short(error.cause if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
    outcome: Outcome = future.result()
    if outcome.failure:
        return f"on {outcome.worker}: {outcome.failure}"
    if outcome.files:
        try:
            keep(outcome.files, recipe, store, weights)
        except UserError as error:
            return f"from {outcome.worker}: {error.cause}"
    until = time.monotonic() + SIGHT
    while not (store.place(recipe) / RECORD).exists() and time.monotonic() < until:
        time.sleep(0.2)
    if not (store.place(recipe) / RECORD).exists():
        return f"{outcome.worker} wrote it, but it cannot be seen here after {SIGHT:.0f} s"
    return ""


def keep(files: dict[str, bytes], recipe: Recipe, store: Store, weights: bool):
    """Write a run that has travelled, its record last; UserError unless every file is what that record says."""
    if not {RECORD} <= files.keys() <= LIMITS.keys():
        raise UserError(f"{recipe.name} came without its record, or with strange files", "run the same command again")
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            write_file(Path(folder) / recipe.name / name, content)
        Store(folder, shipped=False).find(recipe)
    with lock(store.place(recipe)):
        if store.find(recipe, weights) is None:
            for name in sorted(files, key=RECORD.__eq__):
                write_file(store.place(recipe) / name, files[name])
