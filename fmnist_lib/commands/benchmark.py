"""What training costs: the engine beside the loop of PyTorch's tutorial, the machine's peaks, and how cost grows."""

import os
import shutil
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import FashionMNIST
from torchvision.transforms import ToTensor

from fmnist_lib import data, machine, models, training
from fmnist_lib.commands.runs import frame
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import job, record
from fmnist_lib.runs.store import Store
from fmnist_lib.study import protocol
from fmnist_lib.study.parameters import recipe_fields
from fmnist_lib.workers.pool import cores, processes

PARTS = {"FirstFunction": "first layer", "FirstFunctionBackward": "first layer"}  # whose time a profile's row is
PARTS |= dict.fromkeys(("aten::mkldnn_convolution", "aten::convolution_backward"), "second convolution")
PARTS |= dict.fromkeys(("aten::mm", "aten::addmm"), "dense layers")
WIDE = "CNN5-128-0.25"  # kernels of 5: more of its time is products
PAIRED = ("CNN3-128-0.1", "CNN3-512-0.1", "CNN5-128-0.25")  # the models that are trained in both precisions


def timed(params: dict) -> dict[str, Recipe]:
    """Return by precision, bf16 if it is native, the training that is timed: a warm-up epoch and one a repeat."""
    device, best, kernels = machine.resolve(params["device"], kernels=params.get("kernels", "auto"))
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
    pools = [processes(1) for _ in range(cores() if device == "cpu" else 1)]
    wait([pool.submit(os.getpid) for pool in pools])
    return pools


def at_once(pools: list[ProcessPoolExecutor], call: Callable, *args) -> list:
    """Call a function in all processes at the same time and return what each returns."""
    return [future.result() for future in [pool.submit(call, *args) for pool in pools]]


def together(pools: list[ProcessPoolExecutor], rates: Callable, *args) -> list[float]:
    """Call a function in all processes at the same time and add up the rates that each returns, one a repeat."""
    return np.sum(at_once(pools, rates, *args), axis=0).tolist()


def product_rates(precision: str, device: str, repeats: int) -> list[float]:
    """Return the rates [GFLOP/s] of multiplying square matrices."""
    side = {"cpu": 512, "cuda": 8192}[device]
    a = torch.rand(side, side, device=device, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    return _rates(lambda: a @ a, 2 * side**3 / 1e9, 100, repeats)


def _rates(call, work: float, calls: int, repeats: int) -> list[float]:
    times = timeit.repeat(lambda: call().view(-1)[-1].item(), number=calls, repeat=repeats + 1)  # item() waits for CUDA
    return [calls * work / time for time in times[1:]]


def engine_rates(recipe: Recipe, data_dir: Path) -> list[float]:
    """Return the rates [images/s] of the engine, by epochs, but for the first."""
    return [recipe.train_images / seconds for seconds in epoch_seconds(recipe, data_dir)]


def epoch_seconds(recipe: Recipe, data_dir: Path) -> list[float]:
    """Return the times [s] of training's epochs with their validation, but for the first."""
    clock = [time.perf_counter() for _ in training.fit(*job.prepared(recipe, data_dir), **job.settings(recipe))]
    return np.diff(clock).tolist()


def compiled_ratios(recipe: Recipe, data_dir: Path) -> list[float]:
    """Return how many times as long PyTorch's own layers take, by pairs of epochs in turn, but for the first."""
    both = [replace(recipe, kernels=kernels) for kernels in ("torch", "numba")]
    clock = [time.perf_counter()]
    trainings = [training.fit(*job.prepared(one, data_dir), **job.settings(one)) for one in both]
    for _ in range(recipe.epochs):
        for one in trainings:
            next(one)
            clock.append(time.perf_counter())
    taken = np.diff(clock).reshape(-1, 2)[1:]
    return (taken[:, 0] / taken[:, 1]).tolist()


def step_parts(recipe: Recipe, data_dir: Path) -> dict[str, float]:
    """Return the share of a step's processor time that each of its parts takes, from a profile of one epoch."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
        for _ in training.fit(*job.prepared(recipe, data_dir), **job.settings(replace(recipe, epochs=1))):
            pass
    shares = dict.fromkeys([*PARTS.values(), "the rest"], 0.0)
    rows = profile.key_averages()
    for row in rows:
        shares[PARTS.get(row.key, "the rest")] += row.self_cpu_time_total / sum(r.self_cpu_time_total for r in rows)
    return shares


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
        job.train_one(recipe, Store(runs_dir, shipped=False), data_dir)
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
        return timeit.repeat(lambda: frame(Store(Path(folder))), number=1, repeat=repeats)
