"""What a trained network says of the test images, which choose nothing."""

from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F

from fmnist_lib import data, kernels, models, training
from fmnist_lib.runs import contents
from fmnist_lib.runs.record import TEST
from fmnist_lib.runs.run import Run


def network(run: Run) -> torch.nn.Sequential:
    """Return the run's model with its kept weights, in evaluation mode, on the CPU."""
    model = models.of(run.recipe)
    model.load_state_dict(run.weights())
    return model.eval()


def on_test(run: Run, data_dir: Path | str | None = None) -> pd.DataFrame:
    """Return a row a test image: label, predicted class, its probability, the loss [nats]; computed once and kept."""
    if run.answers() is None:
        print(f"{run.recipe.model} is asked the test images …", flush=True)
        images, labels = data.load("test", data_dir=data_dir)
        made = predictions(network(run), images, labels, run.recipe.scaling)
        run.attach(TEST, contents.pack_answers(made))
    return run.answers()


def predictions(model, images, labels, scaling: str) -> pd.DataFrame:
    """Return a row an image: label, predicted class, its probability to 6 decimals, the loss [nats] to 6 decimals."""
    return table(training.predict(kernels.of_bytes(model, scaling), images), labels)


def table(logits: torch.Tensor, labels: torch.Tensor) -> pd.DataFrame:
    """Return the rows of `predictions` for logits [N, 10] and labels [N]."""
    probability, predicted = logits.softmax(1).max(1)
    loss = F.cross_entropy(logits, labels, reduction="none")
    columns = {"label": labels, "predicted": predicted, "probability": probability, "loss": loss}
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()}).round(6)
