"""What training costs: the engine beside the loop of PyTorch's tutorial, the machine's peaks, and how cost grows."""

import os
import shutil
import time
import timeit
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import FashionMNIST
from torchvision.transforms import ToTensor

from fmnist_lib import data, machine, models, training
from fmnist_lib.press.language import number
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import job, record, sweep
from fmnist_lib.runs.store import Store
from fmnist_lib.study import protocol, stats
from fmnist_lib.study.parameters import recipe_fields

QUANTITIES = {  # in the order of the table: unit, floor on a CPU, floor on CUDA
    "fp32 product peak": ("GFLOP/s", "", ""),
    "bf16 product peak": ("GFLOP/s", "", ""),
    "memory bandwidth": ("GB/s", "", ""),
    "fp32 tutorial loop": ("images/s", "", ""),
    "fp32 engine": ("images/s", "", ""),
    "bf16 engine": ("images/s", "", ""),
    "fp32 engine / tutorial loop": ("×", "≥ 1.6", ""),
    "bf16 engine / tutorial loop": ("×", "≥ 4", "≥ 50"),
    "fp32 engine / product peak": ("%", "", ""),
    "bf16 engine / product peak": ("%", "≥ 30", ""),
    "fp32 engine / memory floor": ("× time", "", ""),
    "bf16 engine / memory floor": ("× time", "", ""),
    "twice the epochs": ("× time", "≤ 2.2", "≤ 2.2"),
    "twice the images": ("× time", "≤ 2.2", "≤ 2.2"),
    "twice the seeds": ("× time", "≤ 2.2", "≤ 2.2"),
    "listing 1,000 runs": ("s", "≤ 2", "≤ 2"),
    "memory of a process after 20 runs": ("MB", "", ""),
    "memory after 20 runs / after 2": ("×", "≤ 1.05", "≤ 1.05"),
    "accuracy in bf16 − in fp32": ("points", "± 0.3", "± 0.3"),
    "fp32 Table I": ("s", "", "≤ 75"),
    "bf16 Table I": ("s", "", "≤ 30"),
    "fp32 Table I / memory floor": ("× time", "", ""),
    "bf16 Table I / memory floor": ("× time", "", "≤ 3"),
    "device memory": ("GB", "", ""),
}
PAIRED = ("CNN3-128-0.1", "CNN3-512-0.1", "CNN5-128-0.25")  # the models that are trained in both precisions


def timed(params: dict) -> dict[str, Recipe]:
    """Return by precision, bf16 if it is native, the training that is timed: a warm-up epoch and one a repeat."""
    device, best, kernels = machine.resolve(params["device"])
    fields = recipe_fields(
        params, device=device, kernels=kernels, epochs=params["repeats"] + 1, val_images=0, keep="last"
    )
    return {name: Recipe(params["model"], **fields | {"precision": name}) for name in dict.fromkeys(["fp32", best])}


def paired(params: dict) -> list[Recipe]:
    """Return the trainings of every model and seed in fp32, then the same in bf16; none without native bf16."""
    device, best, _ = machine.resolve(params["device"])
    size = {"epochs": params["pair_epochs"], "train_images": params["pair_images"]}
    asked = protocol.DEFAULTS | params | size | {"device": device}
    return [
        protocol.search(model, asked | {"precision": precision}, seed)
        for precision in (["fp32", "bf16"] if best == "bf16" else [])
        for model in PAIRED
        for seed in range(params["pair_seeds"])
    ]


def start(device: str) -> list[ProcessPoolExecutor]:
    """Start the processes of a sweep: a single-thread one a core, or the one that has the CUDA device."""
    pools = [sweep.processes(1) for _ in range(sweep.cores() if device == "cpu" else 1)]
    wait([pool.submit(os.getpid) for pool in pools])
    return pools


def together(pools: list[ProcessPoolExecutor], rates: callable, *args) -> list[float]:
    """Call a function in all processes at the same time and add up the rates that each returns, one a repeat."""
    return np.sum([future.result() for future in [pool.submit(rates, *args) for pool in pools]], axis=0).tolist()


def product_rates(precision: str, device: str, repeats: int) -> list[float]:
    """Return the rates [GFLOP/s] of multiplying square matrices."""
    side = {"cpu": 512, "cuda": 8192}[device]
    a = torch.rand(side, side, device=device, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    return _rates(lambda: a @ a, 2 * side**3 / 1e9, 100, repeats)


def copy_rates(device: str, repeats: int) -> list[float]:
    """Return the rates [GB/s] of reading and writing more memory than the caches hold."""
    a = torch.ones({"cpu": 2**25, "cuda": 2**28}[device], device=device)
    b = torch.empty_like(a)
    return _rates(lambda: b.copy_(a), 2 * a.nbytes / 1e9, 10, repeats)


def _rates(call, work: float, calls: int, repeats: int) -> list[float]:
    times = timeit.repeat(lambda: call().view(-1)[-1].item(), number=calls, repeat=repeats + 1)  # item() waits for CUDA
    return [calls * work / time for time in times[1:]]


def engine_rates(recipe: Recipe, data_dir: Path) -> list[float]:
    """Return the rates [images/s] of the engine, by epochs, but for the first."""
    clock = [time.perf_counter() for _ in training.fit(*job.prepared(recipe, data_dir), **job.settings(recipe))]
    return (recipe.train_images / np.diff(clock)).tolist()


def tutorial_rates(recipe: Recipe, data_dir: Path) -> list[float]:
    """Return the rates [images/s] of the loop that everyone copies from PyTorch's tutorial, with its defaults."""
    train, _ = data.split(recipe.split_seed, recipe.train_images, 0)
    images = Subset(FashionMNIST(data_dir.parents[1], transform=ToTensor()), train)
    loader = DataLoader(images, recipe.batch, shuffle=True)
    model = models.build(recipe.model).to(recipe.device).train()
    optimizer, clock = torch.optim.Adam(model.parameters(), recipe.lr), []
    for _ in range(recipe.epochs):
        for x, y in loader:
            loss = F.cross_entropy(model(x.to(recipe.device)), y.to(recipe.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # waits for the device
        clock.append(time.perf_counter())
    return (recipe.train_images / np.diff(clock)).tolist()


def seconds(recipes: list[Recipe], data_dir: Path) -> float:
    """Return the time [s] of training recipes one after the other, once the data are loaded."""
    job.loaded("train", recipes[0].device, data_dir)
    began = time.perf_counter()
    for recipe in recipes:
        for _ in training.fit(*job.prepared(recipe, data_dir), **job.settings(recipe)):
            pass
    return time.perf_counter() - began


def growth(recipe: Recipe, data_dir: Path, repeats: int) -> dict[str, list[float]]:
    """Return the times of twice the epochs, images and seeds, each over that of the recipe, once a repeat."""
    variants = {
        "once": [recipe],
        "twice the epochs": [replace(recipe, epochs=2 * recipe.epochs)],
        "twice the images": [replace(recipe, train_images=2 * recipe.train_images)],
        "twice the seeds": [recipe, replace(recipe, weights_seed=1, order_seed=1, dropout_seed=1)],
    }
    times = [{name: seconds(some, data_dir) for name, some in variants.items()} for _ in range(repeats + 1)]
    return {name: [row[name] / row["once"] for row in times[1:]] for name in variants if name != "once"}


def memory(recipes: list[Recipe], runs_dir: Path, data_dir: Path) -> list[float]:
    """Train recipes as a process of a sweep does; return its memory [MB] after each."""
    process, found = psutil.Process(), []
    for recipe in recipes:
        job.train_one(recipe, Store(runs_dir), data_dir)
        found.append(process.memory_info().rss / 1e6)
    return found


def listing_seconds(recipe: Recipe, repeats: int) -> list[float]:
    """Return the times [s] of listing a thousand runs of this recipe's length, made up and alike, once a repeat."""
    row = {"train_loss": 0.1} | ({"val_loss": 0.2, "val_accuracy": 1.0} if recipe.val_images else {})
    history = [row | {"epoch": epoch} for epoch in range(1, recipe.epochs + 1)]
    with TemporaryDirectory() as folder:
        times = {"seconds": 0.0, "finished": "2022-06-01T00:00:00Z"}
        run = Store(Path(folder)).write(recipe, history, {}, times, (machine.environment("cpu"), record.source()))
        for i in range(1, 1000):
            shutil.copytree(run.folder, f"{run.folder}-{i}")
        return timeit.repeat(lambda: Store(Path(folder)).frame(), number=1, repeat=repeats)


def summary(measured: dict[str, list[float]], device: str) -> pd.DataFrame:
    """Return a row a quantity: median (mean of differences), unit, n (0: not measured), floor, whether it is met."""
    rows = []
    for quantity, (unit, *floors) in QUANTITIES.items():
        samples, floor = measured.get(quantity, []), floors[device == "cuda"]
        value = (np.mean if floor.startswith("±") else np.median)(samples) if samples else np.nan
        rows.append((quantity, value, unit, len(samples), floor, met(samples, floor) if floor and samples else ""))
    return pd.DataFrame(rows, columns=["quantity", "value", "unit", "n", "floor", "met"])


def met(samples: list[float], floor: str) -> str:
    """Say whether the median keeps to a floor such as "≥ 4" or "≤ 2", or the mean is equivalent to 0 within "± 0.3"."""
    sign, bound = floor[0], float(floor[2:])
    ok = {"≥": np.median(samples) >= bound, "≤": np.median(samples) <= bound}
    return "yes" if (ok | {"±": stats.equivalent(samples, bound)})[sign] else "no"


def readme_table(frame: pd.DataFrame) -> str:
    """Return benchmark.csv, as it was read, as a Markdown table of what was measured, the machine in its head."""
    rows = [f"| {frame['machine'][0]} | median | floor |", "|---|---|---|"]
    for row in frame[frame["n"] > 0].fillna("").itertuples():
        digits = 2 if abs(row.value) < 10 else 1 if abs(row.value) < 100 else 0
        floor = f"{row.floor} ({'met' if row.met == 'yes' else 'not met'})" if row.floor else ""
        rows.append(f"| {row.quantity} | {number(row.value, digits)} {row.unit} | {floor} |")
    return "\n".join(rows) + "\n"
