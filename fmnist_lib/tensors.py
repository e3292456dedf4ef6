"""The tensors that a recipe's weights consist of, and whether these are they."""

import functools
import json
import math

import torch
from safetensors.torch import load

from fmnist_lib import models
from fmnist_lib.recipe import Recipe

Shapes = dict[str, tuple[tuple[int, ...], torch.dtype]]


@functools.lru_cache(maxsize=64)
def of_weights(recipe: Recipe) -> Shapes:
    """Return the shape and type of each tensor of the recipe's weights, by name; no memory is taken."""
    readings = {name: getattr(recipe, name) for name in ("padding", "activation", "output", "input_dropout")}
    with torch.device("meta"):
        model = models.build(recipe.model, **readings)
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}


def of_checkpoint(recipe: Recipe, best: bool) -> Shapes:
    """Return the same for a checkpoint: the weights, the best ones if there are any, what the optimiser remembers."""
    weights = of_weights(recipe)
    prefixes = ("model", "best") if best else ("model",)
    named = {f"{prefix}.{name}": like for prefix in prefixes for name, like in weights.items()}
    moments = {"sgd": ("momentum_buffer",) if recipe.momentum else ()}.get(recipe.optimizer, ("exp_avg", "exp_avg_sq"))
    trained = [like for name, like in weights.items() if name.endswith(("weight", "bias"))]
    for i, like in enumerate(trained):
        named |= {f"optimizer.{i}.{moment}": like for moment in moments}
        named |= {f"optimizer.{i}.step": ((), torch.float32)} if recipe.optimizer != "sgd" else {}
    return named


def size(expected: Shapes) -> int:
    """Return the bytes of such tensors."""
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in expected.values())


def read(content: bytes, expected: Shapes, finite: bool = True) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file by name; ValueError unless they are those expected, and finite."""
    tensors = load(content)
    if tensors.keys() != expected.keys():
        raise ValueError(f"not the tensors of its recipe: {', '.join(sorted(tensors.keys() ^ expected.keys()))}")
    for name, tensor in tensors.items():
        if (tuple(tensor.shape), tensor.dtype) != expected[name]:
            raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {expected[name]}")
        if finite and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite")
    return tensors


def metadata(content: bytes) -> dict[str, str]:
    """Return what a safetensors file says beside its tensors."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
