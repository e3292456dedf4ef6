"""The layers of a training on a CPU: `fused` in PyTorch alone, `rounded` where it has no instruction for bf16, and
loops that PyTorch has no name for.

Those (`first`, `second`, their `gradients`, put into `layers`) are compiled by numba on first use and kept on disk.

Arrays lie channels-last, [N, H, H, C]; values are fp32, or bf16 as the uint16 that holds its bits; arithmetic is fp32,
and sums over a batch are fp32 within an image and fp64 over images. Where a 2×2 window's maximum came from is a number
from 0 to 3 (ties go to the first, as in PyTorch), and 4 more where the activation was on its lower side.

What a loop looks like is what LLVM vectorises: the innermost runs over channels, small fixed ones are unrolled into it,
what meets in it are few flat arrays, and a select chooses between constants.
"""

from torch import nn

from fmnist_lib.kernels import rounded
from fmnist_lib.kernels.fused import Pixels, fuse

SCALINGS = {"unit": (0.0, 1.0), "standardised": (0.2860, 0.3530)}  # mean and deviation of the 60,000 images, in [0, 1]


def compilable() -> bool:
    """Say whether numba is here and compiles the kernels."""
    try:
        from numba import config

        if config.DISABLE_JIT:  # as plain Python the kernels would take hours
            return False
        from fmnist_lib.kernels.second import compile_here
    except ImportError:
        return False
    return compile_here()


def of_bytes(model: nn.Sequential, scaling: str = "unit") -> nn.Sequential:
    """Return the model as a network of uint8 images [N, 1, 28, 28], its layers as they are."""
    return nn.Sequential(Pixels(*SCALINGS[scaling]), *model)


def faster(model: nn.Sequential, scaling: str = "unit", kernels: str = "torch") -> nn.Sequential:
    """Return the same function of uint8 images, of the same parameters, as this device trains it fastest."""
    if next(model.parameters()).device.type != "cpu":
        return of_bytes(model, scaling)
    if kernels == "torch":
        network = of_bytes(fuse(model), scaling)
    else:
        from fmnist_lib.kernels.layers import compile_layers

        network = compile_layers(model, *SCALINGS[scaling])
    return network if rounded.multiplied_here() else rounded.in_fp32(network)
