"""What a run on a Dask cluster costs beyond its training, whether memory grows, and what a second worker brings."""

import contextlib
import io
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import job
from fmnist_lib.runs.store import Store
from fmnist_lib.workers.cluster import connected, train_on
from fmnist_lib.workers.pool import processes

FEW = 40  # tiny runs whose overhead is measured at a time
MANY = 200  # tiny runs a repeat before and after which memory is measured
LONG = 8  # runs that two workers divide: what connecting takes is little beside them


def measure(recipe: Recipe, data_dir: Path, repeats: int) -> dict[str, list[float]]:
    """Return the overhead of a run [ms], the growth of memory [×] and the speed of two workers over one's, on a CPU.

    The last by runs of the recipe; the others by tiny ones, of which memory sees 200 a repeat.
    """
    small = replace(recipe, model="ANN-Juan-0.1", epochs=1, train_images=100, batch=100, val_images=0, keep="last")
    tiny, long, idle = seeds(small), seeds(recipe), memory()
    with connected("local", 1, "cpu") as one, connected("local", 2, "cpu") as two, processes(1) as pool:
        addresses = [client.scheduler.address for client in (one, two)]
        for address in addresses:  # to warm up: the first loads data and kernels
            clustered(address, take(long, 2), data_dir)
        plain(pool, take(tiny, FEW), data_dir)
        clustered(addresses[0], take(tiny, FEW), data_dir)
        overhead = [
            clustered(addresses[0], some := take(tiny, FEW), data_dir) - plain(pool, some, data_dir)
            for _ in range(repeats)
        ]
        clustered(addresses[0], take(tiny, MANY * repeats // 10), data_dir)
        before = memory()
        clustered(addresses[0], take(tiny, MANY * repeats - MANY * repeats // 10), data_dir)
        after = memory()
        times = [[clustered(address, take(long, LONG), data_dir) for address in addresses] for _ in range(repeats)]
    return {
        "a run on a cluster, beyond its training": [1000 * seconds / FEW for seconds in overhead],
        "a cluster's memory after all tiny runs / after a tenth": [(after - idle) / (before - idle)],
        "two workers / one": [alone / both for alone, both in times],
    }


def seeds(recipe: Recipe) -> Iterator[Recipe]:
    """Return the recipe with one seed after the other: no two runs of a measurement are the same."""
    return (replace(recipe, weights_seed=seed) for seed in itertools.count())


def take(recipes: Iterator[Recipe], n: int) -> list[Recipe]:
    """Return the next n of them."""
    return list(itertools.islice(recipes, n))


def clustered(address: str, recipes: list[Recipe], data_dir: Path) -> float:
    """Return the seconds that a sweep over recipes takes on the workers of a scheduler, connecting included."""
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        train_on(address, recipes, Store(folder, shipped=False), data_dir, 0, False)
        return time.perf_counter() - began


def plain(pool: ProcessPoolExecutor, recipes: list[Recipe], data_dir: Path) -> float:
    """Return the seconds that the processes of a pool take for the same runs."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        asked = [pool.submit(job.train_one, one, Store(folder, shipped=False), data_dir) for one in recipes]
        for future in asked:
            future.result()
        return time.perf_counter() - began


def memory() -> float:
    """Return the memory [MB] of this process, where the scheduler is, and of all that it has begun."""
    this = psutil.Process()
    return sum(process.memory_info().rss for process in [this, *this.children(recursive=True)]) / 1e6
