"""One training from recipe to finished run, resumable."""

import functools
import time
from pathlib import Path

from fmnist_lib import UserError, data, machine, models, training
from fmnist_lib.recipe import MODERN, NUMERICS, Recipe
from fmnist_lib.runs import checkpoint, contents
from fmnist_lib.runs.files import memory_explained
from fmnist_lib.runs.record import MOMENT, source
from fmnist_lib.runs.run import lock
from fmnist_lib.runs.store import Store

CHECKPOINT_SECONDS = 5.0  # at most this much training is lost to a kill (and the epoch under way)


@memory_explained()
def train_one(recipe: Recipe, store: Store, data_dir: Path, weights: bool = False):
    """Train one recipe in this process and write its run, unless another process has done so meanwhile."""
    place = store.place(recipe)
    with lock(place):
        if (run := store.find(recipe, weights)) is not None:
            if run.has_weights:
                checkpoint.discard(place)  # left by a process that was killed here before
            return
        _check_engine(recipe)
        machine.prepare(recipe.threads)
        made = machine.environment(recipe.device), source()  # before the source can change under the training
        began, kept = time.perf_counter(), time.monotonic()
        resume = checkpoint.read(place, recipe)
        history, tensors, before = resume or ([], None, 0.0)
        model, train, val = prepared(recipe, data_dir)
        for snapshot in training.fit(model, train, val, **settings(recipe), resume=resume and resume[:2]):
            history, tensors = snapshot.history, snapshot.tensors
            if time.monotonic() - kept >= CHECKPOINT_SECONDS and contents.status(recipe, history) is None:
                checkpoint.write(place, recipe, history, tensors(), before + time.perf_counter() - began)
                kept = time.monotonic()
        seconds = before + time.perf_counter() - began
        times = {"seconds": round(seconds, 3), "finished": time.strftime(MOMENT, time.gmtime())}
        store.write(recipe, history, final_weights(recipe, tensors()), times, made)
        checkpoint.discard(place)


def _check_engine(recipe: Recipe):
    if recipe.numerics != NUMERICS:  # what it trained would bear another engine's name
        cause = f"{recipe.name} was computed by engine {recipe.numerics}, and this is engine {NUMERICS}"
        raise UserError(cause, "train it with the commit that its run.json names, or leave numerics out of the recipe")


def final_weights(recipe: Recipe, tensors: dict) -> dict:
    """Pick the weights that the recipe keeps; a run that diverged at once has no best ones and keeps its last."""
    best = recipe.keep == "best" and any(name.startswith("best.") for name in tensors)
    prefix = "best." if best else "averaged." if recipe.averaging else "model."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def settings(recipe: Recipe) -> dict:
    """Return the recipe's fields that `training.fit` takes, under the same names."""
    names = "epochs patience batch optimizer lr momentum shuffle scaling precision kernels order_seed dropout_seed"
    return {name: getattr(recipe, name) for name in (*names.split(), *MODERN)}


def prepared(recipe: Recipe, data_dir: Path):
    """Return the recipe's model with its initial weights, and its training and validation tensors, on the device."""
    with training.stream("weights", recipe.weights_seed):
        model = models.of(recipe).to(recipe.device)
    images, labels = loaded("train", recipe.device, data_dir)
    if recipe.folds:
        train, val = data.fold(recipe.split_seed, recipe.folds, recipe.fold)
    else:
        train, val = data.split(recipe.split_seed, recipe.train_images, recipe.val_images)
    validation = loaded("test", recipe.device, data_dir) if recipe.validate_on == "test" else (images[val], labels[val])
    return model, (images[train], labels[train]), validation


loaded = functools.cache(data.load)
