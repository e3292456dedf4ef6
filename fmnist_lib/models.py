"""The networks of the paper (section III), each a list of layers to be read aloud."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import nn

from fmnist_lib.recipe import Recipe, flattened_side, paddings, parse

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}


def features(k: int, padding: str = "1,0", activation: str = "relu") -> list[nn.Module]:
    """List the two convolutional layers of Figure 5: [N, 1, 28, 28] → [N, 64 · side · side]."""
    first, second = paddings(k, padding)
    act = ACTIVATIONS[activation]
    return [
        nn.Conv2d(1, 32, k, padding=first), nn.BatchNorm2d(32), act(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, k, padding=second), nn.BatchNorm2d(64), act(), nn.MaxPool2d(2),
        nn.Flatten(),
    ]  # fmt: skip


def outputs(p: float, output: str = "plain", activation: str = "relu") -> list[nn.Module]:
    """List what follows the ten outputs: nothing, or the dropout and activation of the course's notebook."""
    return [] if output == "plain" else [nn.Dropout(p), ACTIVATIONS[activation]()]


def cnn(k: int, n: int, p: float, padding="1,0", activation="relu", output="plain") -> nn.Sequential:
    """Build CNNk-n-p: two convolutional layers, one dense layer of n neurons, ten logits."""
    act = ACTIVATIONS[activation]
    flattened = 64 * flattened_side(k, padding) ** 2
    return nn.Sequential(
        *features(k, padding, activation),
        nn.Dropout(p), act(), nn.Linear(flattened, n),
        nn.Dropout(p), act(), nn.Linear(n, 10),
        *outputs(p, output, activation),
    )  # fmt: skip


def cnn_nahuel(k=3, n=(600, 120), p=0.25, padding="1,0", activation="relu", output="plain") -> nn.Sequential:
    """Build CNN-Nahuel: the features of Figure 5, then two dense layers. The paper gives n and p, not k."""
    act = ACTIVATIONS[activation]
    flattened = 64 * flattened_side(k, padding) ** 2
    return nn.Sequential(
        *features(k, padding, activation),
        nn.Dropout(p), act(), nn.Linear(flattened, n[0]),
        nn.Dropout(p), act(), nn.Linear(n[0], n[1]),
        nn.Dropout(p), act(), nn.Linear(n[1], 10),
        *outputs(p, output, activation),
    )  # fmt: skip


def ann_juan(p: float, n: int = 512, activation="relu", output="plain", input_dropout=False) -> nn.Sequential:
    """Build ANN-Juan: one hidden layer of 512 neurons with dropout rate p."""
    return nn.Sequential(
        nn.Flatten(),
        *([nn.Dropout(p)] if input_dropout else []),
        nn.Linear(28 * 28, n), ACTIVATIONS[activation](), nn.Dropout(p),
        nn.Linear(n, 10),
        *outputs(p, output, activation),
    )  # fmt: skip


def build(
    model: str, padding="1,0", activation="relu", output="plain", input_dropout=False, nahuel_k=3
) -> nn.Sequential:  # fmt: skip
    """Build the model of a name such as CNN3-512-0.1, CNN-Nahuel or ANN-Juan-0.25; UserError if there is none."""
    family, arguments = parse(model)
    if family == "ann_juan":
        return ann_juan(**arguments, activation=activation, output=output, input_dropout=input_dropout)
    if family == "cnn_nahuel":
        return cnn_nahuel(nahuel_k, padding=padding, activation=activation, output=output)
    return cnn(**arguments, padding=padding, activation=activation, output=output)


def of(recipe: Recipe) -> nn.Sequential:
    """Build the model that a recipe states, in its readings."""
    readings = recipe.padding, recipe.activation, recipe.output, recipe.input_dropout, recipe.nahuel_k
    return build(recipe.model, *readings)


def layers(model: nn.Sequential) -> list[tuple[str, tuple[int, ...]]]:
    """List each layer's name and the shape that it really gives one image, such as ("MaxPool2d 2×2", (32, 14, 14))."""
    x, listed = torch.zeros(1, 1, 28, 28), []
    with torch.no_grad():
        for layer in copy.deepcopy(model).eval():  # the caller's stays in its own mode
            x = layer(x)
            listed.append((_layer_name(layer), tuple(x.shape[1:])))
    return listed


def _layer_name(layer: nn.Module) -> str:
    kind = type(layer).__name__
    if isinstance(layer, nn.Conv2d):
        return f"{kind} {layer.in_channels}→{layer.out_channels}, {layer.kernel_size[0]}×{layer.kernel_size[1]}"
    detail = {"MaxPool2d": "2×2", "Dropout": f"{getattr(layer, 'p', 0):g}"}.get(kind, "")
    return f"{kind} {detail}".strip()


def parameters(model: nn.Module) -> int:
    """Count the trainable numbers."""
    return sum(weights.numel() for weights in model.parameters())


def flop(model: nn.Sequential) -> list[int]:
    """Return the floating-point operations of training on one image, of each convolution and dense layer in turn.

    Each costs its products, two operations apiece, forward, for the gradient by its weights and for that by its
    input, which the first layer does without.
    """
    products = [layer.weight.numel() * math.prod(out[1:]) for layer, out in _weighted(model)]
    return [2 * (3 - (i == 0)) * product for i, product in enumerate(products)]


def _weighted(model: nn.Sequential) -> Iterator[tuple[nn.Module, tuple[int, ...]]]:
    """Yield each convolution and dense layer with the shape of what it gives for one image."""
    for layer, (_, out) in zip(model, layers(model), strict=True):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield layer, out
