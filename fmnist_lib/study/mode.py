"""What a network says of the test images if nobody switched it to evaluation: a diagnostic, outside the engine."""

import functools
from pathlib import Path

import pandas as pd
import torch

from fmnist_lib import data, kernels, training
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents
from fmnist_lib.runs.files import is_shipped, there
from fmnist_lib.runs.record import MODE, RECORD
from fmnist_lib.runs.run import Run, read
from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers

BATCH = 500  # images a batch, as in the paper's training


def can_tell(run: Run) -> bool:
    """Say whether what a run says in training mode is kept beside it, or its weights are here to be asked."""
    return MODE in run.record["files"] or run.has_weights


def find(recipe: Recipe, store: Store) -> Run | None:
    """Return a recipe's run that can tell, the store's own or a shipped one, whichever others are shipped; or None."""
    places = [folder / recipe.name for folder in (store.folder, *store.shipped)]
    runs = (read(place) for place in places if there(place / RECORD))
    return next((run for run in runs if run.recipe == recipe and can_tell(run)), None)


def predictions(run: Run, data_dir: Path | str = "", seed: int = 0) -> pd.DataFrame:
    """Return a row a test image, as `answers.predictions`: what a run says in training mode; what was kept, if it was.

    Batches of 500 in the files' order are normalised by their own statistics, and dropout (of this seed) is active;
    the run and its weights stay as they are. UserError where the run is here without both.
    """
    if (kept := run.answers(MODE)) is not None:
        return kept
    images, labels = _test_images(data_dir)
    model = kernels.of_bytes(answers.network(run), run.recipe.scaling).train()
    with torch.no_grad(), training.stream("dropout", seed):
        logits = torch.cat([model(part) for part in images.split(BATCH)])
    return answers.table(logits, labels)


def on_test(run: Run, data_dir: Path | str = "") -> pd.DataFrame:
    """Return `predictions`, kept from now on beside the run, whose weights are needed no more; not if it is shipped."""
    made = predictions(run, data_dir)
    if run.answers(MODE) is None and not is_shipped(run.folder):
        run.attach(MODE, contents.pack_answers(made))
    return made


def scores(made: pd.DataFrame) -> tuple[float, float]:
    """Return the loss [nats] and accuracy [%] of answers."""
    return made["loss"].mean(), 100 * (made["predicted"] == made["label"]).mean()


def cost(runs: list[Run], model: str, data_dir: Path | str = "") -> pd.Series | None:
    """Return how many points of test accuracy training mode costs a model, by split seed; None if no run can tell."""
    own = [run for run in runs if run.recipe.model == model and can_tell(run)]
    asked = {
        run.recipe.split_seed: (said, predictions(run, data_dir)) for run in own if (said := run.answers()) is not None
    }
    lost = {seed: scores(evaluated)[1] - scores(trained)[1] for seed, (evaluated, trained) in asked.items()}
    return pd.Series(lost, dtype=float) if lost else None


_test_images = functools.cache(lambda data_dir: data.load("test", data_dir=data_dir))
