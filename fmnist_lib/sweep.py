"""Which runs are missing, how long they will take, and training them: one thread a run, one process a core."""

import contextlib
import functools
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

from fmnist_lib import UserError, checkpoints, data, models, runs, training
from fmnist_lib.faults import memory_explained, sigterm_as_ctrl_c
from fmnist_lib.origin import environment, source
from fmnist_lib.recipe import Recipe

CHECKPOINT_SECONDS = 5.0  # at most this much training is lost to a kill (and the epoch under way)


def missing(recipes: list[Recipe], runs_dir: Path, weights: bool = False) -> list[Recipe]:
    """Return the recipes that have no finished run, each once; a damaged run is set aside and counts as missing."""
    return [recipe for recipe in dict.fromkeys(recipes) if _sound(recipe, runs_dir, weights) is None]


def _sound(recipe, runs_dir, weights) -> runs.Run | None:
    try:
        return runs.find(runs_dir, recipe, weights)
    except UserError as error:
        if aside := runs.set_aside(runs_dir, recipe):
            print(f"{error.cause}. Set aside as {aside}.")


@sigterm_as_ctrl_c()
def train(recipes, runs_dir, data_dir=None, workers: int = 0, weights: bool = False) -> list[runs.Run]:
    """Train what is missing, on this machine's cores or its CUDA device, and return every recipe's run, in order.

    A recipe whose run is finished is not trained again; one that was interrupted goes on from its last checkpoint.
    ``workers`` is the number of processes (0: one a core). Set ``weights`` where the test images will be asked.
    """
    todo = missing(recipes, runs_dir, weights)
    if todo:
        training.resolve(todo[0].device, todo[0].precision, todo[0].kernels)
        folder = data.fetch(data_dir)
        if todo[0].device == "cuda":
            for recipe in tqdm(todo, unit="run", mininterval=5, file=sys.stdout):
                train_one(recipe, runs_dir, folder, weights)
        else:
            _train_in_processes(todo, runs_dir, folder, workers or cores(), weights)
    found = [runs.find(runs_dir, recipe) for recipe in recipes]
    for run in found:
        checkpoints.tidy(run)
    return found


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processes(n: int) -> ProcessPoolExecutor:
    """Start n single-thread processes that leave Ctrl-C to this one, and die with it."""
    return ProcessPoolExecutor(n, multiprocessing.get_context("spawn"), _start_worker)


def _train_in_processes(todo, runs_dir, data_dir, workers, weights):
    with processes(min(workers, len(todo))) as pool:
        try:
            minutes = _seconds(pool, todo, data_dir) / min(workers, len(todo)) / 60
            at_most = " at most" if any(recipe.patience for recipe in todo) else ""
            print(f"Runs to train: {len(todo)}, in about {minutes:.1f} minutes{at_most} (measured on this machine).")
            futures = [pool.submit(train_one, recipe, runs_dir, data_dir, weights) for recipe in todo]
            _watch(futures, todo, runs_dir)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            if isinstance(error, BrokenProcessPool):
                fix = "run the same command again, with fewer workers if memory is short: it goes on where it stopped"
                raise UserError("a training process died", fix) from error
            print("Stopped. The same command goes on from the last finished epochs.")
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
    for _ in training.fit(*prepared(few, data_dir), **settings(few)):
        clock.append(time.perf_counter())
    validation = 1 + 0.4 * recipe.val_images / recipe.train_images
    return (clock[1] - clock[0]) / images * validation


def _watch(futures, todo, runs_dir):
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
            bar.update(sum(_epochs_done(runs_dir, recipe) for recipe in todo) - bar.n)


def _epochs_done(runs_dir, recipe) -> int:
    place = runs.folder(runs_dir, recipe)
    if (place / "run.json").exists():
        return recipe.epochs
    with contextlib.suppress(OSError, ValueError):  # it is being written
        return max((place / "history.csv").read_text().count("\n") - 1, 0)
    return 0


def _start_worker():
    """Leave Ctrl-C to the parent, and die with it, however it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    training.prepare()


@memory_explained()
def train_one(recipe: Recipe, runs_dir: Path, data_dir: Path, weights: bool = False):
    """Train one recipe in this process and write its run, unless another process has done so meanwhile."""
    with runs.lock(runs_dir, recipe):
        if (run := runs.find(runs_dir, recipe, weights)) is not None:
            if run.has_weights:
                checkpoints.discard(runs_dir, recipe)  # left by a process that was killed here before
            return
        training.prepare(recipe.threads)
        made = environment(recipe.device), source()  # before the source can change under the training
        began, kept = time.perf_counter(), time.monotonic()
        resume = checkpoints.read(runs_dir, recipe)
        history, tensors, before = resume or ([], None, 0.0)
        model, train, val = prepared(recipe, data_dir)
        for snapshot in training.fit(model, train, val, **settings(recipe), resume=resume and resume[:2]):
            history, tensors = snapshot.history, snapshot.tensors
            if time.monotonic() - kept >= CHECKPOINT_SECONDS and runs.status(recipe, history) is None:
                seconds = before + time.perf_counter() - began
                checkpoints.write(runs_dir, recipe, history, tensors(), seconds)
                kept = time.monotonic()
        seconds = before + time.perf_counter() - began
        times = {"seconds": round(seconds, 3), "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        runs.write(runs_dir, recipe, history, final_weights(recipe, tensors()), times, *made)
        checkpoints.discard(runs_dir, recipe)


def final_weights(recipe: Recipe, tensors: dict) -> dict:
    """Pick the weights that the recipe keeps; a run that diverged at once has no best ones and keeps its last."""
    prefix = "best." if recipe.keep == "best" and any(name.startswith("best.") for name in tensors) else "model."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def settings(recipe: Recipe) -> dict:
    """Return the recipe's fields that `training.fit` takes, under the same names."""
    names = "epochs patience batch optimizer lr momentum shuffle scaling precision kernels order_seed dropout_seed"
    return {name: getattr(recipe, name) for name in names.split()}


def prepared(recipe: Recipe, data_dir: Path):
    """Return the recipe's model with its initial weights, and its training and validation tensors, on the device."""
    with training.stream("weights", recipe.weights_seed):
        readings = {name: getattr(recipe, name) for name in ("padding", "activation", "output", "input_dropout")}
        model = models.build(recipe.model, **readings).to(recipe.device)
    images, labels = loaded("train", recipe.device, data_dir)
    if recipe.folds:
        train, val = data.fold(recipe.split_seed, recipe.folds, recipe.fold)
    else:
        train, val = data.split(recipe.split_seed, recipe.train_images, recipe.val_images)
    validation = loaded("test", recipe.device, data_dir) if recipe.validate_on == "test" else (images[val], labels[val])
    return model, (images[train], labels[train]), validation


loaded = functools.cache(data.load)
