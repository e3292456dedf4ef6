"""Name the garment in a picture, by a trained run."""

import io
import warnings
from pathlib import Path

import numpy
import torch
from torch import Tensor

from fmnist_lib import UserError, data, kernels, short, training
from fmnist_lib.runs.files import read_file
from fmnist_lib.runs.run import Run
from fmnist_lib.study.answers import network

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # no others: for an EPS, Pillow would start a program
BYTES, PIXELS = 50_000_000, 30_000_000  # of a file; of a picture, some seconds of work
CONTRAST = 16  # of 255 greys; each image of the data set has 254 or more


def picture(path: Path, invert: bool = False) -> Tensor:
    """Read a picture as an image of the data set: uint8 [1, 1, 28, 28], light on dark.

    Colours become grey, what is transparent background, and another size is fitted into 28×28 whole. Set ``invert``
    where the background is light. Raises UserError for what is no picture of these formats, sizes and kinds of numbers.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"):
            colours = _colours(io.BytesIO(read_file(Path(path), BYTES)))
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}", f"name a picture that is there, {', '.join(FORMATS)}") from error
    except Exception as error:  # in whatever way foreign bytes break a decoder
        fix = f"give it in 8 bits a colour, as {', '.join(FORMATS)}, of at most {PIXELS // 10**6} megapixels"
        unknown = isinstance(error, UnidentifiedImageError)  # whose words name an object in memory
        said = "is no picture of a known format" if unknown else f"cannot be read as a picture: {short(error)}"
        raise UserError(f"{path} {said}", fix) from error
    background = Image.new("RGBA", colours.size, "white" if invert else "black")
    grey = Image.alpha_composite(background, colours).convert("L")
    fitted = ImageOps.pad(ImageOps.invert(grey) if invert else grey, (28, 28))
    return torch.frombuffer(bytearray(fitted.tobytes()), dtype=torch.uint8).view(1, 1, 28, 28)


def _colours(file: io.BytesIO):
    """Decode a picture, upright, into RGBA of 8 bits; an error of any kind if it cannot be done faithfully."""
    from PIL import Image, ImageOps

    with Image.open(file, formats=FORMATS) as opened:
        if (pixels := opened.width * opened.height) > PIXELS:
            raise ValueError(f"{pixels:,} pixels are more than {PIXELS:,}")
        if opened.mode.startswith(("I", "F")) and (opened.mode, opened.format) != ("I;16", "PNG"):
            raise ValueError(f"its numbers ({opened.mode}) have no stated range")  # in a PNG it is all 16 bits
        upright = ImageOps.exif_transpose(opened)
        if upright.mode == "I;16":
            upright = Image.fromarray((numpy.asarray(upright) >> 8).astype(numpy.uint8))
        return upright.convert("RGBA")


def doubt(image: Tensor, inverted: bool = False) -> str:
    """Say why an answer about this image means little: it is blank, or light on the outside; "" if nothing tells."""
    if image.max() - image.min() < CONTRAST:
        return "it is about one grey all over: there is nothing to name"
    if light_border(image):
        fix = "was --invert meant?" if inverted else "if its background is light, add --invert"
        return f"its border is light, where the network knows dark ones alone; {fix}"
    return ""


def light_border(image: Tensor) -> bool:
    """Say whether the outermost pixels are rather light than dark, as they never are in the data set."""
    edge = torch.ones(28, 28, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    return image[0, 0, edge].float().mean().item() > 127


def classify(run: Run, images: Tensor) -> list[list[tuple[str, float]]]:
    """Return for each of the uint8 images [N, 1, 28, 28] every class with its probability [0-1], likeliest first."""
    probabilities = training.predict(kernels.of_bytes(network(run), run.recipe.scaling), images).softmax(1)
    return [sorted(zip(data.CLASSES, row, strict=True), key=lambda pair: -pair[1]) for row in probabilities.tolist()]
