"""What a network consists of: its layers and what each gives, its parameters, the operations of its training."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import nn


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
