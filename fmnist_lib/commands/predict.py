"""Name the garment in a picture, by a trained run."""

from pathlib import Path

import torch
from torch import Tensor

from fmnist_lib import UserError, data, training
from fmnist_lib.runs.job import network
from fmnist_lib.runs.run import Run


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


def light_border(image: Tensor) -> bool:
    """Say whether the outermost pixels are rather light than dark, as they never are in the data set."""
    edge = torch.ones(28, 28, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    return image[0, 0, edge].float().mean().item() > 127


def classify(run: Run, images: Tensor) -> list[list[tuple[str, float]]]:
    """Return for each of the uint8 images [N, 1, 28, 28] every class with its probability [0-1], likeliest first."""
    probabilities = training.predict(training.of_bytes(network(run), run.recipe.scaling), images).softmax(1)
    return [sorted(zip(data.CLASSES, row, strict=True), key=lambda pair: -pair[1]) for row in probabilities.tolist()]
