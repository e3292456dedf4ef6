"""Which runs are missing, how long they will take, and training them: one thread a run, one process a core."""

import contextlib
import itertools
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from fmnist_lib import UserError, machine, training
from fmnist_lib.recipe import KIND, KINDS, Recipe
from fmnist_lib.runs import checkpoint, job
from fmnist_lib.runs.files import memory_explained, read_file, refuse_shipped, sigterm_as_ctrl_c
from fmnist_lib.runs.record import HISTORY, LIMITS, RECORD, WEIGHTS
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.workers import download
from fmnist_lib.workers.cluster import train_on
from fmnist_lib.workers.pool import cores, processes


@sigterm_as_ctrl_c()
def train(
    recipes: list[Recipe],
    store: Store,
    data_dir: Path | str = "",
    workers: int = 0,
    weights: bool = False,
    cluster: str = "",
) -> list[Run]:
    """Train what is missing, on this machine's cores or its CUDA device, and return every recipe's run, in order.

    A recipe whose run is finished is not trained again; one that was interrupted goes on from its last checkpoint.
    ``workers`` is the number of processes (0: one a core). Set ``weights`` where the test images will be asked.
    ``cluster`` is "local" or the address of a Dask scheduler whose workers train in place of these processes.
    """
    todo = store.missing(recipes, weights)
    if todo:
        refuse_shipped(store.folder)
        tell_alike(todo, store)
        print(f"Runs to train: {len(todo)}.", flush=True)
        if cluster in ("", "local"):
            machine.resolve(todo[0].device, todo[0].precision, todo[0].kernels)
        folder = download.fetch(data_dir)
        if cluster:
            train_on(cluster, todo, store, data_dir, workers, weights)
        elif todo[0].device == "cuda":
            for recipe in (bar := _bar(len(todo), "runs", todo)):
                bar.set_description_str(recipe.model)
                job.train_one(recipe, store, folder, weights)
        else:
            _train_in_processes(todo, store, folder, workers or cores(), weights)
    found = [store.find(recipe, weights) for recipe in recipes]
    if None in found:
        raise UserError(
            "a run that was finished is gone again", "run the same command again: it trains what is missing"
        )
    for run in found:
        checkpoint.tidy(run)
    return found


def where(params: dict) -> dict:
    """Return those of a notebook's parameters that say where `train` does it."""
    return {name: params[name] for name in ("workers", "cluster") if name in params}


def tell_alike(todo: list[Recipe], store: Store):
    """Print which of these runs are shipped from another device, in another precision or by other kernels."""
    for (device, precision, kernels), count in alike(todo, store.names_shipped()).items():
        made = f"-p device {device} -p precision {precision} -p kernels {kernels}"
        print(f"Shipped with the repository, made otherwise: {count} of these {len(todo)} runs; {made} shows them.")


def alike(recipes: list[Recipe], names: set[str]) -> Counter[tuple[str, str, str]]:
    """Count the runs of these names that differ from a recipe in device, precision or kernels alone, by these."""
    counts = Counter()
    for recipe, kind in itertools.product(recipes, KINDS):
        other = replace(recipe, **dict(zip(KIND, kind, strict=True)))
        counts[kind] += other != recipe and other.name in names
    return +counts


def lasting(seconds: float) -> str:
    """Return a time as one says it: 40 s, 5 min, 6 h 30 min."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if seconds >= 59.5 else f"{seconds:.0f} s"


def _train_in_processes(todo, store, data_dir, workers, weights):
    others = multiprocessing.active_children()  # of the caller's
    with processes(min(workers, len(todo))) as pool:
        try:
            print("Measuring how long that takes here …", flush=True)
            seconds = _seconds(pool, todo, store, data_dir, weights) / min(workers, len(todo))
            print(f"About {lasting(seconds)}{' at most' * any(recipe.patience for recipe in todo)}.", flush=True)
            futures = [pool.submit(job.train_one, recipe, store, data_dir, weights) for recipe in todo]
            _watch(dict(zip(futures, todo, strict=True)), store, workers, weights)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                if process not in others:
                    process.kill()
            if isinstance(error, BrokenProcessPool):
                fix = "run the same command again, with fewer workers if memory is short: it goes on where it stopped"
                raise UserError("a training process died", fix) from error
            raise


def _seconds(pool, todo, store, data_dir, weights) -> float:
    """Measure a few steps of each distinct model, in the processes that will train, and add up what is to come."""
    distinct = {_costs(r): r for r in todo}
    measured = dict(zip(distinct, pool.map(measure, distinct.values(), [data_dir] * len(distinct)), strict=True))
    left = {r: r.epochs - _epochs_done(store.place(r), r.epochs, weights) for r in todo}
    return sum(measured[_costs(r)] * r.train_images * epochs for r, epochs in left.items())


def _costs(r: Recipe) -> tuple:
    """Return what decides how long one image takes."""
    return r.model, r.precision, r.nahuel_k, r.padding, r.batch, r.flips, r.shifts, r.averaging


@memory_explained()
def measure(recipe: Recipe, data_dir: Path) -> float:
    """Return the seconds that one image takes in training, from a few batches, validation included in proportion."""
    images = min(2 * recipe.batch, recipe.train_images)
    short = {"train_images": images, "val_images": 0, "validate_on": "validation", "keep": "last", "epochs": 2}
    few = replace(recipe, **short, folds=0, fold=0, patience=0)
    clock = []
    for _ in training.fit(*job.prepared(few, data_dir), **job.settings(few)):
        clock.append(time.perf_counter())
    validation = 1 + 0.4 * recipe.val_images / recipe.train_images
    return (clock[1] - clock[0]) / images * validation


def _watch(futures: dict[Future, Recipe], store: Store, workers: int, weights: bool):
    """Show one bar over all epochs until every future is done; raise the first error.

    A run that patience has ended counts with all its epochs.
    """
    with _bar(sum(recipe.epochs for recipe in futures.values()), "epochs") as bar:
        pending = list(futures)
        while pending:
            under_way = dict.fromkeys(futures[future].model for future in pending[:workers])  # they begin in order
            bar.set_description_str(", ".join(under_way), refresh=False)
            for future in wait(pending, timeout=2, return_when=FIRST_COMPLETED).done:
                future.result()
                pending.remove(future)
            done = (_epochs_done(store.place(recipe), recipe.epochs, weights) for recipe in futures.values())
            bar.update(sum(done) - bar.n)


def _bar(total: int, unit: str, steps: list[Recipe] | None = None) -> tqdm:
    """Return a bar, renewed every few seconds, that names what is under way and the time left."""
    form = "{percentage:3.0f} % |{bar:20}| {n_fmt} of {total_fmt} " + unit + ", {remaining} left: {desc}"
    return tqdm(steps, total=total, bar_format=form, mininterval=5, smoothing=0.05, file=sys.stdout)


def _epochs_done(place: Path, epochs: int, weights: bool) -> int:
    if (place / RECORD).exists():  # without its weights it is trained once more
        return epochs if not weights or (place / WEIGHTS).exists() else 0
    with contextlib.suppress(OSError, ValueError):  # it is being written
        return max(read_file(place / HISTORY, LIMITS[HISTORY]).count(b"\n") - 1, 0)
    return 0
