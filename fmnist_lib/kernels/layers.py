"""The same layers on the compiled kernels of a CPU: what surrounds the products of the second convolution and of the
dense layers takes a tenth of a step, and the first layer never writes what it convolves."""

import numpy as np
import torch
from torch import nn

from fmnist_lib.kernels.fused import Pixels
from fmnist_lib.kernels.gradients import DropFunction, FirstFunction, NormPoolFunction

FIRST = (3, 5)  # the kernel sizes whose first layer is one loop; a larger one leaves the convolution to PyTorch
LOWER = {nn.ReLU: 0.0, nn.LeakyReLU: 0.01}  # an activation's slope below 0


def compile_layers(model: nn.Sequential, mean: float, std: float) -> nn.Sequential:
    """Return the model as a network of bytes [N, 1, 28, 28], with the same parameter objects and other layers.

    It is the same function (training it trains the model) of (pixel / 255 − mean) / std. Convolution → BatchNorm2d →
    activation → MaxPool2d of the first layer, and what follows the convolution of the second, pool before they
    normalise: the activations used here never decrease. Only the random numbers of dropout are drawn differently.
    """
    layers, rest = [], list(model)
    if isinstance(rest[0], nn.Conv2d) and rest[0].kernel_size[0] in FIRST:
        conv, norm, activation, _, *rest = rest
        layers.append(FirstLayer(conv, norm, LOWER[type(activation)], mean, std))
    else:
        layers.append(Pixels(mean, std))
    while rest:
        layer, *rest = rest
        if isinstance(layer, nn.BatchNorm2d):
            activation, _, *rest = rest
            layers.append(NormPool(layer, LOWER[type(activation)]))
        elif isinstance(layer, nn.Dropout) and rest and type(rest[0]) in LOWER:
            layers.append(Drop(layer.p, LOWER[type(rest.pop(0))]))
        elif type(layer) in LOWER and rest and isinstance(rest[0], nn.Dropout):
            layers.append(Drop(rest.pop(0).p, LOWER[type(layer)]))  # a positive scale commutes with the activation
        else:
            layers.append(Drop(layer.p, 1.0) if isinstance(layer, nn.Dropout) else layer)
    return nn.Sequential(*layers).train(model.training)


class FirstLayer(nn.Module):
    """Convolve bytes [N, 1, 28, 28], normalise by the batch, activate and max-pool 2×2, in fp32."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, slope: float, mean: float, std: float):
        super().__init__()
        self.conv, self.norm, self.slope = conv, norm, np.float32(slope)
        self.scale, self.shift = np.float32(1 / (255 * std)), np.float32(-mean / std)

    def forward(self, images):
        conv, norm = self.conv, self.norm
        return FirstFunction.apply(images, conv.weight, conv.bias, norm.weight, norm.bias, self)


class NormPool(nn.Module):
    """Normalise a batch [N, C, H, H] by its own statistics, activate and max-pool 2×2."""

    def __init__(self, norm: nn.BatchNorm2d, slope: float):
        super().__init__()
        self.norm, self.slope = norm, np.float32(slope)

    def forward(self, y):
        return NormPoolFunction.apply(
            y.contiguous(memory_format=torch.channels_last), self.norm.weight, self.norm.bias, self
        )


class Drop(nn.Module):
    """Drop with probability p, rounded to 1/65536, by 16 random bits a value; then the activation."""

    def __init__(self, p: float, slope: float):
        super().__init__()
        self.dropped, self.slope = round(p * 65_536), np.float32(slope)

    def forward(self, x):
        if self.training and self.dropped:
            return DropFunction.apply(x, self)
        return nn.functional.leaky_relu(x, float(self.slope))
