"""What a network says of the test images if nobody switched it to evaluation: a diagnostic, outside the engine."""

import functools
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F

from fmnist_lib import data, kernels, training
from fmnist_lib.runs.run import Run
from fmnist_lib.study import answers

BATCH = 500  # images a batch, as in the paper's training


def in_training_mode(run: Run, data_dir: Path | str = "", seed: int = 0) -> tuple[float, float]:
    """Return the loss [nats] and accuracy [%] on the test images in training mode, from the run's kept weights.

    Batches of 500 in the files' order are normalised by their own statistics, and dropout (of this seed) is active;
    the run and its weights stay as they are. UserError where the run is here without its weights.
    """
    images, labels = _test_images(data_dir)
    model = kernels.of_bytes(answers.network(run), run.recipe.scaling).train()
    with torch.no_grad(), training.stream("dropout", seed):
        logits = torch.cat([model(part) for part in images.split(BATCH)])
    return F.cross_entropy(logits, labels).item(), 100 * (logits.argmax(1) == labels).double().mean().item()


def cost(runs: list[Run], model: str, data_dir: Path | str = "") -> pd.Series | None:
    """Return how many points of test accuracy training mode costs a model, by split seed; None without its weights."""
    own = [run for run in runs if run.recipe.model == model and run.has_weights and run.answers() is not None]
    lost = {}
    for run in own:
        images = run.answers()
        right = 100 * (images["predicted"] == images["label"]).mean()
        lost[run.recipe.split_seed] = right - in_training_mode(run, data_dir)[1]
    return pd.Series(lost, dtype=float) if lost else None


_test_images = functools.cache(lambda data_dir: data.load("test", data_dir=data_dir))
