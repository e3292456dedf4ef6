"""Which runs are missing, how long they will take, and training them: one thread a run, one process a core."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from fmnist_lib import UserError, machine, training
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import checkpoint, download, job
from fmnist_lib.runs.files import memory_explained, sigterm_as_ctrl_c
from fmnist_lib.runs.record import HISTORY, RECORD
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store


@sigterm_as_ctrl_c()
def train(
    recipes: list[Recipe], store: Store, data_dir: Path | str = "", workers: int = 0, weights: bool = False
) -> list[Run]:
    """Train what is missing, on this machine's cores or its CUDA device, and return every recipe's run, in order.

    A recipe whose run is finished is not trained again; one that was interrupted goes on from its last checkpoint.
    ``workers`` is the number of processes (0: one a core). Set ``weights`` where the test images will be asked.
    """
    todo = store.missing(recipes, weights)
    if todo:
        machine.resolve(todo[0].device, todo[0].precision, todo[0].kernels)
        folder = download.fetch(data_dir)
        if todo[0].device == "cuda":
            for recipe in tqdm(todo, unit="run", mininterval=5, file=sys.stdout):
                job.train_one(recipe, store, folder, weights)
        else:
            _train_in_processes(todo, store, folder, workers or cores(), weights)
    found = [store.find(recipe) for recipe in recipes]
    for run in found:
        checkpoint.tidy(run)
    return found


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processes(n: int) -> ProcessPoolExecutor:
    """Start n single-thread processes that leave Ctrl-C to this one, and die with it."""
    return ProcessPoolExecutor(n, multiprocessing.get_context("spawn"), _start_worker)


def _train_in_processes(todo, store, data_dir, workers, weights):
    with processes(min(workers, len(todo))) as pool:
        try:
            minutes = _seconds(pool, todo, data_dir) / min(workers, len(todo)) / 60
            at_most = " at most" if any(recipe.patience for recipe in todo) else ""
            print(f"Runs to train: {len(todo)}, in about {minutes:.1f} minutes{at_most} (measured on this machine).")
            futures = [pool.submit(job.train_one, recipe, store, data_dir, weights) for recipe in todo]
            _watch(futures, todo, store)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            if isinstance(error, BrokenProcessPool):
                fix = "run the same command again, with fewer workers if memory is short: it goes on where it stopped"
                raise UserError("a training process died", fix) from error
            raise


def _seconds(pool, todo, data_dir) -> float:
    """Measure a few steps of each distinct model, in the processes that will train, and add up what is to come."""
    distinct = {(r.model, r.precision): r for r in todo}
    measured = dict(zip(distinct, pool.map(measure, distinct.values(), [data_dir] * len(distinct)), strict=True))
    return sum(measured[r.model, r.precision] * r.train_images * r.epochs for r in todo)


@memory_explained()
def measure(recipe: Recipe, data_dir: Path) -> float:
    """Return the seconds that one image takes in training, from a few batches, validation included in proportion."""
    images = min(2 * recipe.batch, recipe.train_images)
    few = replace(recipe, train_images=images, val_images=0, keep="last", folds=0, fold=0, epochs=2, patience=0)
    clock = []
    for _ in training.fit(*job.prepared(few, data_dir), **job.settings(few)):
        clock.append(time.perf_counter())
    validation = 1 + 0.4 * recipe.val_images / recipe.train_images
    return (clock[1] - clock[0]) / images * validation


def _watch(futures, todo, store):
    """Show one bar over all epochs until every future is done; raise the first error.

    A run that patience has ended counts with all its epochs.
    """
    total = sum(recipe.epochs for recipe in todo)
    with tqdm(total=total, unit="epoch", mininterval=5, smoothing=0.05, file=sys.stdout) as bar:
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=2, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            bar.update(sum(_epochs_done(store.place(recipe), recipe.epochs) for recipe in todo) - bar.n)


def _epochs_done(place: Path, epochs: int) -> int:
    if (place / RECORD).exists():
        return epochs
    with contextlib.suppress(OSError, ValueError):  # it is being written
        return max((place / HISTORY).read_text().count("\n") - 1, 0)
    return 0


def _start_worker():
    """Leave Ctrl-C to the parent, and die with it, however it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    machine.prepare()
