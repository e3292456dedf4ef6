"""Kill processes that train the same twelve recipes, at random moments; then compare with runs made in peace.

    python tests/hammer.py --seconds 60

Exit code 0 if, round after round, all twelve are there, bit for bit those of undisturbed runs, and nothing else is.
"""

import argparse
import contextlib
import io
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from fmnist_lib.commands import runs
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import job
from fmnist_lib.runs.store import Store
from fmnist_lib.workers import download, sweep

MODELS = ("CNN3-4-0.1", "CNN5-4-0.25", "ANN-Juan-0.25")
SMALL = {"epochs": 30, "lr": 0.01, "train_images": 300, "val_images": 100, "batch": 100}
# At this rate the best epoch is not the last, so that what a resumption must bring back shows.
RECIPES = [Recipe(model, weights_seed=seed, **SMALL) for model in MODELS for seed in range(4)]
context = multiprocessing.get_context("forkserver")  # imports once for all processes
context.set_forkserver_preload(["fmnist_lib.workers.sweep", "torch._dynamo"])


def begin():
    """Begin a process of a sweep as the sweep does, with a checkpoint of every epoch."""
    job.CHECKPOINT_SECONDS = 0.0
    sweep._start_worker()


def train(place: Path, folder: Path, seed: int):
    """Sweep over the recipes as a user does, in an order of its own, by a process that lives and dies with this one."""
    torch.set_num_threads(1)  # no threads that a fork would lose
    sweep.processes = lambda n: ProcessPoolExecutor(n, multiprocessing.get_context("fork"), begin)  # starts at once
    with contextlib.redirect_stdout(io.StringIO()):
        recipes, store = random.Random(seed).sample(RECIPES, len(RECIPES)), Store(place, shipped=False)
        sweep.train(recipes, store, folder, workers=1, weights=True)


def start(place: Path, folder: Path, seed: int) -> multiprocessing.Process:
    process = context.Process(target=train, args=(place, folder, seed))
    process.start()
    return process


def hammer(place: Path, folder: Path, processes: int, until: float, draw: random.Random) -> Counter:
    """Keep processes at it, killing one after the other, until all runs are there or the time is up.

    Then all are killed, and one process finishes what is left.
    """
    count, working = Counter(), [start(place, folder, draw.random()) for _ in range(processes)]
    while time.monotonic() < until and Store(place, shipped=False).missing(RECIPES, weights=True):
        time.sleep(draw.expovariate(2))  # half a second on average
        at = draw.randrange(processes)
        working[at].kill()
        working[at].join()
        count["kills"] += working[at].exitcode == -signal.SIGKILL
        count["failures"] += working[at].exitcode > 0
        working[at] = start(place, folder, draw.random())
        count["restarts"] += 1
    for process in working:
        process.kill()
        process.join()
        count["kills"] += process.exitcode == -signal.SIGKILL
    last = start(place, folder, 0)
    last.join()
    count["failures"] += last.exitcode != 0
    return count


def files(place: Path) -> dict[str, bytes]:
    """Return all files but the locks, and the record of each run, which alone tells the time, by its presence."""
    found = {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return {
        str(name): b"" if name.name == "run.json" else content
        for name, content in found.items()
        if name.parts[0] != ".locks"
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the moments of the kills")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    draw, folder, total = random.Random(options.seed), download.fetch(), Counter()
    with tempfile.TemporaryDirectory(prefix="hammer-") as kept:
        peace = Path(kept, "peace")
        start(peace, folder, 0).join()
        expected, until = files(peace), time.monotonic() + options.seconds
        while time.monotonic() < until:
            place = Path(kept, f"round-{total['rounds']}")
            total += hammer(place, folder, options.processes, until, draw)
            made = files(place)
            total += Counter(
                rounds=1,
                runs=sum(name.endswith("run.json") for name in made),
                differing=sum(made.get(name) != content for name, content in expected.items()),
                leftovers=len(made.keys() - expected.keys()),
                damaged=len(runs.judged(Store(place, shipped=False))[1]),
            )
            print(dict(total), sorted(made.keys() - expected.keys()), flush=True)
    bad = [name for name in ("failures", "differing", "leftovers", "damaged") if total[name]]
    whole = total["runs"] == total["rounds"] * len(RECIPES) and len(expected) == 4 * len(RECIPES)
    print(
        f"{total['kills']} kills, {total['restarts']} restarts, {total['rounds']} rounds, {total['runs']} runs of "
        f"{total['rounds'] * len(RECIPES)}: {'NOT as undisturbed: ' + ', '.join(bad) if bad else 'bit-identical'}"
    )
    return int(bool(bad) or not whole)


if __name__ == "__main__":
    sys.exit(main())
