"""The same layers on the compiled kernels of a CPU: what surrounds the products of the second convolution and of the
dense layers takes a tenth of a step, and the first layer never writes what it convolves."""

import numpy as np
import torch
from torch import Tensor, nn

from fmnist_lib import kernels
from fmnist_lib.fused import Pixels

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


def rows(tensor: Tensor) -> np.ndarray:
    """Return a channels-last tensor [N, C, H, W] as an array [N, H, W, C] on the same memory."""
    return values(tensor.permute(0, 2, 3, 1))


def values(tensor: Tensor) -> np.ndarray:
    """Return a contiguous tensor as an array on the same memory, bf16 as the uint16 that holds its bits."""
    bf16 = tensor.dtype == torch.bfloat16
    return tensor.detach().view(torch.int16).numpy().view(np.uint16) if bf16 else tensor.detach().numpy()


def empty(like: Tensor, channels: int, side: int, dtype: torch.dtype) -> Tensor:
    """Return uninitialised channels-last memory [N, channels, side, side] for the images of a batch."""
    return torch.empty((len(like), channels, side, side), dtype=dtype, memory_format=torch.channels_last)


def numbers(*tensors: Tensor) -> list[np.ndarray]:
    """Return parameters as fp64 arrays."""
    return [tensor.detach().numpy().astype(np.float64) for tensor in tensors]


def fp32(*arrays) -> list[np.ndarray]:
    """Return arrays in fp32."""
    return [array.astype(np.float32) for array in arrays]


def like(array: np.ndarray, parameter: Tensor) -> Tensor:
    """Return an array as a gradient of a parameter."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(parameter.dtype).view_as(parameter)


def statistics(norm: nn.BatchNorm2d, mean: np.ndarray, variance: np.ndarray, count: int):
    """Update the running mean and (unbiased) variance of a layer."""
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(torch.from_numpy(mean).to(norm.running_mean), norm.momentum)
    norm.running_var.lerp_(torch.from_numpy(variance * count / (count - 1)).to(norm.running_var), norm.momentum)


class FirstFunction(torch.autograd.Function):
    """The first layer. With S₁ and S₂ the sums of the batch's patches x and of their products, all else is closed form.

    y = Wx has mean μ = WS₁/M and variance WS₂Wᵀ/M − μ² over its M values a channel; a bias cancels. With D = Σ d·x and
    s = Σ d over the gradients d that pooling and activation let through, and i = 1/√(variance + ε): dβ = s,
    dγ = i(WD − μs) and dW = γi(D − S₁s/M − (S₂W − μS₁)·i·dγ/M).
    """

    @staticmethod
    def forward(ctx, images, weight, bias, gamma, beta, layer):
        k, pad, channels = layer.conv.kernel_size[0], layer.conv.padding[0], len(weight)
        side = kernels.SIDE + 2 * pad - k + 1
        pixels, (w, g, b) = images.numpy()[:, 0], numbers(weight, gamma, beta)
        w = w.reshape(channels, -1)
        if layer.training:
            single, double, count = np.zeros(k * k), np.zeros((k * k, k * k)), len(images) * side**2
            kernels.first_sums(k, pad)(pixels, layer.scale, layer.shift, single, double)
            mean = w @ single / count
            variance = np.maximum(np.einsum("cp,pq,cq->c", w, double, w) / count - mean**2, 0)
            statistics(layer.norm, mean + bias.detach().numpy(), variance, count)
        else:
            running, variance, offset = numbers(layer.norm.running_mean, layer.norm.running_var, bias)
            mean = running - offset
        inverse, sign = 1 / np.sqrt(variance + layer.norm.eps), np.where(g < 0, -1.0, 1.0)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        out = empty(images, channels, side // 2, dtype)
        code = np.empty(rows(out).shape, np.uint8)
        flat, a, b = fp32((w * sign[:, None]).T.ravel(), g * inverse * sign, b - g * inverse * mean)
        kernels.first_forward(k, pad, channels)(
            pixels, layer.scale, layer.shift, flat, a, b, layer.slope, rows(out), code
        )
        if layer.training:
            ctx.save_for_backward(images, weight, bias, gamma, beta)
            ctx.kept = layer, code, single, double, count, mean, inverse
        return out

    @staticmethod
    def backward(ctx, gradient):
        images, weight, bias, gamma, beta = ctx.saved_tensors
        layer, code, single, double, count, mean, inverse = ctx.kept
        k, channels = layer.conv.kernel_size[0], len(weight)
        patches, total = np.zeros(k * k * channels), np.zeros(channels)
        kernels.first_backward(k, layer.conv.padding[0], channels)(
            images.numpy()[:, 0], layer.scale, layer.shift,
            rows(gradient.contiguous(memory_format=torch.channels_last)), code, layer.slope, patches, total,
        )  # fmt: skip
        w, g = numbers(weight, gamma)
        w, patches = w.reshape(channels, -1), patches.reshape(-1, channels).T
        dgamma = inverse * ((w * patches).sum(1) - mean * total)
        spread = (w @ double - np.outer(mean, single)) * (inverse * dgamma / count)[:, None]
        dweight = (g * inverse)[:, None] * (patches - np.outer(total, single) / count - spread)
        return None, like(dweight, weight), torch.zeros_like(bias), like(dgamma, gamma), like(total, beta), None


class NormPoolFunction(torch.autograd.Function):
    """What follows the second convolution: pool, then normalise what is left; statistics are those of all of y.

    With x̂ = (y − mean)·i, batch normalisation's gradient is dy = γi·(d − Σd/M − x̂ Σ(d x̂)/M), and d is zero wherever
    pooling did not look.
    """

    @staticmethod
    def forward(ctx, y, gamma, beta, layer):
        channels, side = y.shape[1:3]
        g, b = numbers(gamma, beta)
        sums, squares, count = np.zeros(channels), np.zeros(channels), y.numel() // channels
        pooled, out = (empty(y, channels, side // 2, y.dtype) for _ in range(2))
        code = np.empty(rows(out).shape, np.uint8)
        (sign,) = fp32(np.where(g < 0, -1, 1))
        kernels.pool_forward(channels)(rows(y), sign, rows(pooled), code, sums, squares)
        if layer.training:
            mean, variance = sums / count, np.maximum(squares / count - (sums / count) ** 2, 0)
            statistics(layer.norm, mean, variance, count)
        else:
            mean, variance = numbers(layer.norm.running_mean, layer.norm.running_var)
        inverse = 1 / np.sqrt(variance + layer.norm.eps)
        a, b = fp32(g * inverse, b - g * inverse * mean)
        flat, to, where = (array.reshape(-1, channels) for array in (rows(pooled), rows(out), code))
        kernels.norm_forward(channels)(flat, a, b, layer.slope, to, where)
        if layer.training:
            ctx.save_for_backward(y, gamma, beta)
            ctx.kept = layer, pooled, code, mean, inverse, count
        return out

    @staticmethod
    def backward(ctx, gradient):
        y, gamma, beta = ctx.saved_tensors
        layer, pooled, code, mean, inverse, count = ctx.kept
        channels = len(gamma)
        (g,), gradient = numbers(gamma), rows(gradient.contiguous(memory_format=torch.channels_last))
        total, moved = np.zeros(channels), np.zeros(channels)
        by_image = (array.reshape(len(y), -1, channels) for array in (gradient, code, rows(pooled)))
        kernels.norm_sums(channels)(*by_image, *fp32(mean), layer.slope, total, moved)
        dgamma = inverse * moved
        steep = -g * inverse**2 * dgamma / count
        level = -g * inverse * total / count - steep * mean
        dy = torch.empty_like(y)
        scale, steep, level = fp32(g * inverse, steep, level)
        kernels.pool_backward(channels)(rows(y), gradient, code, scale, layer.slope, steep, level, rows(dy))
        return dy, like(dgamma, gamma), like(total, beta), None


class DropFunction(torch.autograd.Function):
    """Dropout and the activation after it, forward and backward by the same random bits."""

    @staticmethod
    def forward(ctx, x, layer):
        x, out = x.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        scale = np.float32(65_536 / (65_536 - layer.dropped))
        ctx.kept = values(bits).view(np.uint16), np.uint16(layer.dropped), scale, layer.slope
        kernels.drop_forward(values(x).ravel(), *ctx.kept, values(out).ravel())
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, gradient):
        (out,) = ctx.saved_tensors
        dx = torch.empty_like(out)
        arrays = (values(tensor).ravel() for tensor in (gradient.contiguous(), out, dx))
        flat, kept, to = arrays
        kernels.drop_backward(flat, *ctx.kept, kept, to)
        return dx, None
