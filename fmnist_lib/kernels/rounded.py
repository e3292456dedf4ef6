"""Products of bf16 values on a CPU that has no instruction for them."""

import torch
from torch import nn
from torch.func import functional_call


def multiplied_here() -> bool:
    """Say whether this CPU has an instruction that multiplies bf16: AVX-512 bf16 or AMX."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def in_fp32(network: nn.Sequential) -> nn.Sequential:
    """Return the same function, of the same parameter objects, with each product of bf16 values computed in fp32."""
    layers = [Rounded(layer) if isinstance(layer, nn.Conv2d | nn.Linear) else layer for layer in network]
    return nn.Sequential(*layers).train(network.training)


class Rounded(nn.Module):
    """Under autocast, a convolution or dense layer in fp32 whose operands and results, and their gradients, are bf16.

    A product of two bf16 values is exact in fp32, where the instruction too adds them up: only the order of the sums
    is another. What PyTorch does without the instruction rounds in between and took ten times as long, with AVX2.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        if not torch.is_autocast_enabled("cpu"):
            return self.layer(x)
        with torch.autocast("cpu", enabled=False):
            kept = {name: tensor.bfloat16().float() for name, tensor in self.layer.named_parameters()}
            return functional_call(self.layer, kept, x.bfloat16().float()).bfloat16()
