"""A recipe: everything that decides the numbers of one training, and the id that follows from it. No torch here."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields

from fmnist_lib import UserError

NUMERICS = 2  # raised whenever a change to the engine changes the numbers it produces
IMAGES = 60_000  # in the training part of Fashion-MNIST
CHOICES = {
    "padding": ("1,0", "same", "0,0"),
    "activation": ("relu", "leaky_relu"),
    "output": ("plain", "dropout_relu"),
    "scaling": ("unit", "standardised"),
    "optimizer": ("adam", "adamw", "sgd"),
    "validate_on": ("validation", "test"),
    "keep": ("best", "last"),
    "device": ("cpu", "cuda"),
    "precision": ("fp32", "bf16"),
    "kernels": ("torch", "numba"),
}
LATER = ("patience", "kernels")  # fields younger than the oldest records: at their defaults they are not written


@dataclass(frozen=True, order=True)
class Recipe:
    """State one training completely; equal recipes are the same run. The defaults are the paper's protocol.

    Raises UserError for a value out of range, or for values that are impossible together.
    """

    model: str  # "CNN3-512-0.1" (paper, Table I), "CNN-Nahuel" or "ANN-Juan-0.25"
    padding: str = "1,0"  # of the two convolutions
    activation: str = "relu"
    output: str = "plain"  # after the ten outputs: nothing, or dropout and ReLU
    input_dropout: bool = False  # ANN-Juan: dropout on the pixels too
    train_images: int = 50_000
    val_images: int = 10_000
    split_seed: int = 42
    folds: int = 0  # 0: random_split; else the fold-th of so many folds validates
    fold: int = 0
    validate_on: str = "validation"
    scaling: str = "unit"  # pixels in [0, 1], or of zero mean and unit variance
    shuffle: bool = True
    batch: int = 500
    epochs: int = 50
    optimizer: str = "adam"
    lr: float = 0.001
    momentum: float = 0.0  # of sgd, in Nesterov's form
    patience: int = 0  # epochs without a new minimum of validation loss after which training ends; 0: never
    keep: str = "best"  # the weights of minimum validation loss, or those after the last epoch
    weights_seed: int = 0
    order_seed: int = 0
    dropout_seed: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    kernels: str = "torch"  # what computes the layers on a CPU: PyTorch alone, or loops compiled by numba
    threads: int = 1
    numerics: int = NUMERICS

    def __post_init__(self):
        object.__setattr__(self, "model", canonical(self.model))
        for field in fields(self):
            object.__setattr__(self, field.name, checked(field.name, getattr(self, field.name)))
        check_together(self)

    @property
    def json(self) -> str:
        """Return the canonical JSON: sorted keys, every field written, but for `LATER` ones at their defaults."""
        written = {name: v for name, v in asdict(self).items() if name not in LATER or v != getattr(Recipe, name)}
        return json.dumps(written, sort_keys=True, indent=1) + "\n"

    @property
    def id(self) -> str:
        """Return ten hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.json.encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """Return the run's folder name, such as ``CNN3-512-0.1-s0-1a2b3c4d5e``."""
        return f"{self.model}-s{self.weights_seed}-{self.id}"


RANGES = {
    "k": (1, 27), "n": (1, 65_536), "train_images": (1, IMAGES), "val_images": (0, IMAGES), "folds": (0, 100),
    "fold": (0, 99), "batch": (1, IMAGES), "epochs": (1, 100_000), "patience": (0, 100_000), "threads": (1, 1024),
    "numerics": (1, NUMERICS), "retrain_images": (1, IMAGES),
}  # fmt: skip
SEED = (0, 2**32 - 1)


def checked(name: str, value):
    """Return the value of a field, or of k, n, p …, in its own type; else raise UserError with what was received."""
    if name in CHOICES:
        return required(value in CHOICES[name], name, value, "one of " + ", ".join(CHOICES[name]))
    if name in ("input_dropout", "shuffle"):
        return required(isinstance(value, bool), name, value, "true or false")
    if name == "lr":
        return float(required(_number(value) and 0 < value <= 100, name, value, "a number above 0, as 0.001"))
    if name in ("p", "ann_p", "momentum"):
        exact = _number(value) and 0 <= value < 1 and round(value, 4) == value  # as it stands in a model's name
        expected = "a number from 0 to below 1, of at most four decimals, as 0.25"
        return 0.0 + required(exact, name, value, expected)  # minus zero is zero
    if name in RANGES or name.endswith("seed"):
        low, high = RANGES.get(name, SEED)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return required(whole and low <= value <= high, name, value, f"a whole number from {low} to {high}")
    return value


def _number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def required(ok: bool, name: str, value, expected: str):
    """Return the value if it is ok; else raise UserError with the name, what was received and what was expected."""
    if not ok:
        raise UserError(f"{name} = {value!r} ({type(value).__name__})", f"give {name} {expected}")
    return value


def cnn_name(k: int, n: int, p: float) -> str:
    """Name a network of Table I, such as CNN3-512-0.1, after checking that k is odd and n and p are in range."""
    for name, value in (("k", k), ("n", n), ("p", p)):
        checked(name, value)
    required(k % 2 == 1, "k", k, "an odd whole number, such as 3 or 5")
    return f"CNN{k}-{n}-{p:g}"


def ann_name(p: float) -> str:
    """Name the paper's one-hidden-layer network with dropout rate p, such as ANN-Juan-0.25."""
    return f"ANN-Juan-{checked('p', p):g}"


def parse(model: str) -> tuple[str, dict]:
    """Return a model name's family ("cnn", "cnn_nahuel", "ann_juan") and its arguments; raise UserError if unknown."""
    if model == "CNN-Nahuel":
        return "cnn_nahuel", {}
    if match := re.fullmatch(r"CNN(\d+)-(\d+)-(\d*\.?\d+)", str(model)):
        return "cnn", {"k": int(match[1]), "n": int(match[2]), "p": float(match[3])}
    if match := re.fullmatch(r"ANN-Juan-(\d*\.?\d+)", str(model)):
        return "ann_juan", {"p": float(match[1])}
    raise UserError(f"model = {model!r} is no model's name", "write CNN<k>-<n>-<p>, CNN-Nahuel or ANN-Juan-<p>")


def canonical(model: str) -> str:
    """Return the one spelling of a model name: CNN3-512-0.10 is CNN3-512-0.1."""
    family, arguments = parse(model)
    return {"cnn": cnn_name, "ann_juan": ann_name, "cnn_nahuel": lambda: model}[family](**arguments)


def paddings(k: int, padding: str) -> tuple[int, int]:
    """Return the paddings of the two convolutions."""
    return {"1,0": (1, 0), "0,0": (0, 0), "same": (k // 2, k // 2)}[padding]


def flattened_side(k: int, padding: str = "1,0") -> int:
    """Return the side of the 64 channels that are flattened: 28 through two of convolution k and pooling 2.

    Raises UserError naming the layer whose input is smaller than its kernel, or that leaves nothing to pool.
    """
    side = 28
    for layer, pad in zip(("first", "second"), paddings(k, padding), strict=True):
        convolved = side + 2 * pad - k + 1
        if convolved < 2:
            cause = f"k = {k} does not fit: the {layer} convolution sees {side}×{side} (padding {pad})"
            raise UserError(cause, 'choose a smaller k, or padding "same"')
        side = convolved // 2
    return side


def check_together(recipe: Recipe):
    """Raise UserError for values that are fine one by one and impossible together."""
    family, arguments = parse(recipe.model)
    if family != "ann_juan":
        flattened_side(arguments.get("k", 3), recipe.padding)
    if recipe.input_dropout and family != "ann_juan":
        raise UserError(f"input_dropout = true with {recipe.model}", "use it with ANN-Juan only")
    if recipe.momentum and recipe.optimizer != "sgd":
        raise UserError(
            f"momentum = {recipe.momentum} with {recipe.optimizer}", "set momentum to 0, or optimizer to sgd"
        )
    if recipe.patience and not recipe.val_images:
        raise UserError(
            f"patience = {recipe.patience} needs validation images", "set val_images above 0, or patience to 0"
        )
    if recipe.kernels == "numba" and recipe.device != "cpu":
        raise UserError(f'kernels = "numba" on {recipe.device}', 'set device to "cpu", or kernels to "torch"')
    _check_split(recipe)


def _check_split(recipe: Recipe):
    train, val = recipe.train_images, recipe.val_images
    if train + val > IMAGES:
        raise UserError(f"train_images + val_images = {train + val} is above {IMAGES}", "lower one of them")
    if recipe.batch > train:
        raise UserError(f"batch = {recipe.batch} is above train_images = {train}", "lower batch")
    if recipe.keep == "best" and val == 0:
        raise UserError('keep = "best" needs validation images', 'set val_images above 0, or keep to "last"')
    if recipe.folds == 1 or recipe.fold >= max(recipe.folds, 1):
        raise UserError(
            f"fold = {recipe.fold} of folds = {recipe.folds}", "give folds 0 or at least 2, and fold below folds"
        )
    if recipe.folds and IMAGES % recipe.folds:
        raise UserError(f"folds = {recipe.folds} does not divide {IMAGES} images", "give folds a divisor, such as 6")
    if recipe.folds and (val != IMAGES // recipe.folds or train != IMAGES - val):
        expected = f"train_images {IMAGES - IMAGES // recipe.folds} and val_images {IMAGES // recipe.folds}"
        raise UserError(f"{recipe.folds} folds do not split into {train} and {val} images", f"set {expected}")
