"""A recipe: everything that decides the numbers of one training, and the id that follows from it. No torch here."""

import hashlib
import json
import re
from dataclasses import dataclass, field, fields

from fmnist_lib import UserError, short
from fmnist_lib.rules import FLAG, RATE, SEED, SHARE, Rule, one_of, required, whole

NUMERICS = 2  # raised whenever a change to the engine changes the numbers it produces
DATA_SET = "Fashion-MNIST"  # whose files `data.FILES` lists: of others the name is another, and so are all ids
IMAGES = 60_000  # in its training part
MODERN = ("schedule", "smoothing", "flips", "shifts", "averaging")  # what came after the paper: `fmnist_lib.modern`
LATER = {"patience": 0, "kernels": "torch", "nahuel_k": 3, "data_set": "Fashion-MNIST"}  # younger than the oldest runs:
LATER |= {"schedule": "constant", "smoothing": 0.0, "flips": False, "shifts": 0, "averaging": 0.0}  # so not written
KIND = ("device", "precision", "kernels")  # how a run is computed, and the ways there are:
KINDS = [("cpu", "fp32", "torch"), ("cpu", "fp32", "numba"), ("cpu", "bf16", "torch"), ("cpu", "bf16", "numba")]
KINDS += [("cuda", "fp32", "torch"), ("cuda", "bf16", "torch")]


def knob(default, rule: Rule, meaning: str):
    """State a field in one line: the paper's value, what it may be, what it means."""
    return field(default=default, metadata={"rule": rule, "meaning": meaning})


@dataclass(frozen=True, order=True)
class Recipe:
    """State one training completely; equal recipes are the same run. The defaults are the paper's protocol.

    Raises UserError for a value out of range, or for values that are impossible together.
    """

    model: str  # "CNN3-512-0.1" (paper, Table I), "CNN-Nahuel" or "ANN-Juan-0.25"
    padding: str = knob("1,0", one_of("1,0", "same", "0,0"), "of the two convolutions: 1,0 or 0,0 or same")
    activation: str = knob("relu", one_of("relu", "leaky_relu"), "relu or leaky_relu")
    output: str = knob("plain", one_of("plain", "dropout_relu"), "the ten logits as they are, or dropout_relu after")
    input_dropout: bool = knob(False, FLAG, "ANN-Juan: dropout on the pixels too")
    nahuel_k: int = knob(3, whole(1, 27), "CNN-Nahuel: its kernel size, which the paper does not give; odd")
    train_images: int = knob(50_000, whole(1, IMAGES), "images to train on, of 60,000")
    val_images: int = knob(10_000, whole(0, IMAGES), "images to validate on")
    split_seed: int = knob(42, SEED, "of the random split, for seed 0")
    folds: int = knob(0, whole(0, 100), "0 is random_split; else the fold-th of so many folds validates")
    fold: int = knob(0, whole(0, 99), "which of the folds validates, from 0")
    validate_on: str = knob("validation", one_of("validation", "test"), "the split's own images, or the test images")
    scaling: str = knob("unit", one_of("unit", "standardised"), "pixels in [0, 1], or standardised")
    shuffle: bool = knob(True, FLAG, "new batches every epoch")
    batch: int = knob(500, whole(1, IMAGES), "images a step")
    epochs: int = knob(50, whole(1, 100_000), "passes over the training images")
    optimizer: str = knob("adam", one_of("adam", "adamw", "sgd"), "adam, adamw or sgd")
    lr: float = knob(0.001, RATE, "learning rate")
    momentum: float = knob(0.0, SHARE, "of sgd, in Nesterov's form")
    patience: int = knob(0, whole(0, 100_000), "epochs without a lower validation loss that end a training; 0 never")
    schedule: str = knob("constant", one_of("constant", "one-cycle"), "of the learning rate: constant or one-cycle")
    smoothing: float = knob(0.0, SHARE, "of the labels that are trained on: the share spread over all ten")
    flips: bool = knob(False, FLAG, "each training image mirrored or not, by a coin, anew each epoch")
    shifts: int = knob(0, whole(0, 14), "pixels that a training image moves at most, drawn anew each epoch")
    averaging: float = knob(0.0, SHARE, "of the weights: the decay a step; 0 is none")
    keep: str = knob("best", one_of("best", "last"), "the weights of minimum validation loss, or the last ones")
    weights_seed: int = knob(0, SEED, "of the initial weights")
    order_seed: int = knob(0, SEED, "of the order of the images, their flips and their shifts")
    dropout_seed: int = knob(0, SEED, "of dropout")
    device: str = knob("cpu", one_of("cpu", "cuda"), "cpu or cuda")
    precision: str = knob("fp32", one_of("fp32", "bf16"), "of the training: fp32 or bf16")
    kernels: str = knob("torch", one_of("torch", "numba"), "of a CPU: PyTorch's alone, or loops compiled by numba")
    data_set: str = knob(DATA_SET, one_of(DATA_SET), "that of this house alone")
    threads: int = knob(1, whole(1, 1024), "of a CPU")
    numerics: int = knob(NUMERICS, whole(1, NUMERICS), "which engine")

    def __post_init__(self):
        object.__setattr__(self, "model", canonical(self.model))
        for name, rule in RULES.items():
            object.__setattr__(self, name, rule.checked(name, getattr(self, name)))
        check_together(self)

    @property
    def json(self) -> str:
        """Return the canonical JSON: sorted keys, every field written, but for `LATER` ones at these values."""
        written = {name: value for name, value in vars(self).items() if name not in LATER or value != LATER[name]}
        return json.dumps(written, sort_keys=True, indent=1) + "\n"

    @property
    def id(self) -> str:
        """Return ten hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.json.encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """Return the run's folder name, such as ``CNN3-512-0.1-s0-1a2b3c4d5e``."""
        return f"{self.model}-s{self.weights_seed}-{self.id}"


RULES = {field.name: field.metadata["rule"] for field in fields(Recipe) if field.metadata}
NAMED = {"k": whole(1, 27), "n": whole(1, 65_536), "p": SHARE}  # what a model's name states


def cnn_name(k: int, n: int, p: float) -> str:
    """Name a network of Table I, such as CNN3-512-0.1, after checking that k is odd and n and p are in range."""
    for name, value in (("k", k), ("n", n), ("p", p)):
        NAMED[name].checked(name, value)
    required(k % 2 == 1, "k", k, "an odd whole number, such as 3 or 5")
    return f"CNN{k}-{n}-{p:g}"


def ann_name(p: float) -> str:
    """Name the paper's one-hidden-layer network with dropout rate p, such as ANN-Juan-0.25."""
    return f"ANN-Juan-{SHARE.checked('p', p):g}"


def parse(model: str) -> tuple[str, dict]:
    """Return a model name's family ("cnn", "cnn_nahuel", "ann_juan") and its arguments; raise UserError if unknown."""
    if model == "CNN-Nahuel":
        return "cnn_nahuel", {}
    if match := re.fullmatch(r"CNN(\d{1,9})-(\d{1,9})-(\d*\.?\d+)", str(model)):
        return "cnn", {"k": int(match[1]), "n": int(match[2]), "p": float(match[3])}
    if match := re.fullmatch(r"ANN-Juan-(\d*\.?\d+)", str(model)):
        return "ann_juan", {"p": float(match[1])}
    fix = "write CNN<k>-<n>-<p>, CNN-Nahuel or ANN-Juan-<p>"
    raise UserError(f"model = {short(repr(model))} is no model's name", fix)


def canonical(model: str) -> str:
    """Return the one spelling of a model name: CNN3-512-0.10 is CNN3-512-0.1."""
    family, arguments = parse(model)
    spelled = {"cnn": cnn_name, "ann_juan": ann_name}
    return spelled[family](**arguments) if arguments else model


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
        flattened_side(arguments.get("k", recipe.nahuel_k), recipe.padding)
    required(recipe.nahuel_k % 2 == 1, "nahuel_k", recipe.nahuel_k, "an odd whole number, such as 3 or 5")
    if recipe.nahuel_k != Recipe.nahuel_k and family != "cnn_nahuel":
        raise UserError(f"nahuel_k = {recipe.nahuel_k} with {recipe.model}", "use it with CNN-Nahuel only")
    if recipe.input_dropout and family != "ann_juan":
        raise UserError(f"input_dropout = true with {recipe.model}", "use it with ANN-Juan only")
    if recipe.momentum and recipe.optimizer != "sgd":
        raise UserError(f"momentum = {recipe.momentum} with {recipe.optimizer}", "set momentum to 0, or take sgd")
    if recipe.patience and not recipe.val_images:
        raise UserError(f"patience = {recipe.patience} needs validation images", "raise val_images, or take patience 0")
    if recipe.patience and recipe.schedule != "constant":  # its course is laid over all epochs
        fix = "set patience to 0, or schedule to constant"
        raise UserError(f"patience = {recipe.patience} would cut the {recipe.schedule} schedule short", fix)
    if recipe.kernels == "numba" and recipe.device != "cpu":
        raise UserError(f'kernels = "numba" on {recipe.device}', 'set device to "cpu", or kernels to "torch"')
    _check_split(recipe)


def _check_split(recipe: Recipe):
    train, val = recipe.train_images, recipe.val_images
    if train + val > IMAGES:
        raise UserError(f"train_images + val_images = {train + val} is above {IMAGES}", "lower one of them")
    if recipe.batch > train:
        raise UserError(f"batch = {recipe.batch} is above train_images = {train}", "lower batch or raise train_images")
    if recipe.keep == "best" and val == 0:
        raise UserError('keep = "best" needs validation images', 'set val_images above 0, or keep to "last"')
    if recipe.folds == 1 or recipe.fold >= max(recipe.folds, 1):
        raise UserError(f"fold = {recipe.fold} of folds = {recipe.folds}", "give folds 0, or above 1 and above fold")
    if recipe.folds and IMAGES % recipe.folds:
        raise UserError(f"folds = {recipe.folds} does not divide {IMAGES} images", "give folds a divisor, such as 6")
    if recipe.folds and (val != IMAGES // recipe.folds or train != IMAGES - val):
        expected = f"train_images {IMAGES - IMAGES // recipe.folds} and val_images {IMAGES // recipe.folds}"
        raise UserError(f"{recipe.folds} folds do not split into {train} and {val} images", f"set {expected}")
