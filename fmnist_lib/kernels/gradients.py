"""The layers' values and gradients in closed form around the loops: what autograd calls."""

import numpy as np
import torch
from torch import Tensor, nn

from fmnist_lib.kernels import first, second


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
        side = first.SIDE + 2 * pad - k + 1
        pixels, (w, g, b) = images.numpy()[:, 0], numbers(weight, gamma, beta)
        w = w.reshape(channels, -1)
        if layer.training:
            single, double, count = np.zeros(k * k), np.zeros((k * k, k * k)), len(images) * side**2
            first.patch_sums(k, pad)(pixels, layer.scale, layer.shift, single, double)
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
        first.forward_pass(k, pad, channels)(pixels, layer.scale, layer.shift, flat, a, b, layer.slope, rows(out), code)
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
        first.backward_pass(k, layer.conv.padding[0], channels)(
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
        second.pool_forward(channels)(rows(y), sign, rows(pooled), code, sums, squares)
        if layer.training:
            mean, variance = sums / count, np.maximum(squares / count - (sums / count) ** 2, 0)
            statistics(layer.norm, mean, variance, count)
        else:
            mean, variance = numbers(layer.norm.running_mean, layer.norm.running_var)
        inverse = 1 / np.sqrt(variance + layer.norm.eps)
        a, b = fp32(g * inverse, b - g * inverse * mean)
        flat, to, where = (array.reshape(-1, channels) for array in (rows(pooled), rows(out), code))
        second.norm_forward(channels)(flat, a, b, layer.slope, to, where)
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
        second.norm_sums(channels)(*by_image, *fp32(mean), layer.slope, total, moved)
        dgamma = inverse * moved
        steep = -g * inverse**2 * dgamma / count
        level = -g * inverse * total / count - steep * mean
        dy = torch.empty_like(y)
        scale, steep, level = fp32(g * inverse, steep, level)
        second.pool_backward(channels)(rows(y), gradient, code, scale, layer.slope, steep, level, rows(dy))
        return dy, like(dgamma, gamma), like(total, beta), None


class DropFunction(torch.autograd.Function):
    """Dropout and the activation after it, forward and backward by the same random bits."""

    @staticmethod
    def forward(ctx, x, layer):
        x, out = x.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        scale = np.float32(65_536 / (65_536 - layer.dropped))
        ctx.kept = values(bits).view(np.uint16), np.uint16(layer.dropped), scale, layer.slope
        second.drop_forward(values(x).ravel(), *ctx.kept, values(out).ravel())
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, gradient):
        (out,) = ctx.saved_tensors
        dx = torch.empty_like(out)
        arrays = (values(tensor).ravel() for tensor in (gradient.contiguous(), out, dx))
        flat, kept, to = arrays
        second.drop_backward(flat, *ctx.kept, kept, to)
        return dx, None
