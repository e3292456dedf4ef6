"""What a trained run says of the test images. Nothing that chooses a model or an epoch reads this."""

from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from fmnist_lib import UserError, answers, data, models, runs, training
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
        runs.attach(run, runs.TEST, answers.packed(made))
    return run.test()


def predictions(model, images, labels, scaling: str) -> pd.DataFrame:
    """Return a row an image: label, predicted class, its probability to 6 decimals, the loss [nats] to 6 decimals."""
    logits = training.predict(training.of_bytes(model, scaling), images)
    probability, predicted = logits.softmax(1).max(1)
    loss = F.cross_entropy(logits, labels, reduction="none")
    columns = {"label": labels, "predicted": predicted, "probability": probability, "loss": loss}
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()}).round(6)


def picture(path: Path, invert: bool = False) -> Tensor:
    """Read a picture as an image of the data set: uint8 [1, 1, 28, 28], light on dark.

    Colours become grey, what is transparent background, and another size is fitted into 28×28 whole. Set ``invert``
    where the background is light. Raises UserError for what is no picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            colours = ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {path} as a picture: {error}", "give a PNG or JPEG file") from error
    background = Image.new("RGBA", colours.size, "white" if invert else "black")
    grey = Image.alpha_composite(background, colours).convert("L")
    fitted = ImageOps.pad(ImageOps.invert(grey) if invert else grey, (28, 28))
    return torch.frombuffer(bytearray(fitted.tobytes()), dtype=torch.uint8).view(1, 1, 28, 28)


def classify(run: Run, images: Tensor) -> list[list[tuple[str, float]]]:
    """Return for each of the uint8 images [N, 1, 28, 28] every class with its probability [0-1], likeliest first."""
    probabilities = training.predict(training.of_bytes(network(run), run.recipe.scaling), images).softmax(1)
    return [sorted(zip(data.CLASSES, row, strict=True), key=lambda pair: -pair[1]) for row in probabilities.tolist()]
