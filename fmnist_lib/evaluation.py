"""What a trained run says of the test images. Nothing that chooses a model or an epoch reads this."""

from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F

from fmnist_lib import data, models, runs, training
from fmnist_lib.runs import Run


def network(run: Run) -> torch.nn.Sequential:
    """Return the run's model with its kept weights, in evaluation mode, on the CPU."""
    recipe = run.recipe
    readings = {name: getattr(recipe, name) for name in ("padding", "activation", "output", "input_dropout")}
    model = models.build(recipe.model, **readings)
    model.load_state_dict(run.weights())
    return model.eval()


def on_test(run: Run, data_dir: Path | str | None = None) -> pd.DataFrame:
    """Return a row a test image: label, predicted class, its probability, the loss [nats]; computed once and kept."""
    if run.test() is None:
        images, labels = data.load("test", data_dir=data_dir)
        made = predictions(network(run), images, labels, run.recipe.scaling)
        runs.attach(run, runs.TEST, made.to_csv(index=False).encode())
    return run.test()


def predictions(model, images, labels, scaling: str) -> pd.DataFrame:
    """Return a row an image: label, predicted class, its probability to 6 decimals, the loss [nats] to 6 decimals."""
    logits = training.predict(model, images, scaling)
    probability, predicted = logits.softmax(1).max(1)
    loss = F.cross_entropy(logits, labels, reduction="none")
    columns = {"label": labels, "predicted": predicted, "probability": probability, "loss": loss}
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()}).round(6)
