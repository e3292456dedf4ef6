"""The same layers with less memory traffic, for training on a CPU, where traffic and not arithmetic is the cost."""

import torch
from torch import Tensor, nn

CHUNK = 20  # images × bytes a value: 10 in bf16 and 5 in fp32 fit the cache, and sums over them stay exact
POOL = ([2, 2], [2, 2])  # kernel and stride
aten = torch.ops.aten


def fuse(model: nn.Sequential) -> nn.Sequential:
    """Return the model with each BatchNorm2d → activation → MaxPool2d as NormPool → activation, and cheap dropout.

    It is the same function of the same parameter objects (training it trains the model): the activations used here
    never decrease, so pooling first gives equal values from a quarter of the work. Only the random numbers of
    dropout are drawn differently.
    """
    layers, at = [], 0
    while at < len(model):
        layer = model[at]
        if isinstance(layer, nn.BatchNorm2d) and isinstance(model[at + 2], nn.MaxPool2d):
            layers += [NormPool(layer), model[at + 1]]
            at += 3
        else:
            layers.append(CheapDropout(layer.p) if isinstance(layer, nn.Dropout) else layer)
            at += 1
    return nn.Sequential(*layers).train(model.training)


class Pixels(nn.Module):
    """Turn bytes [N, 1, 28, 28] into (pixel / 255 − mean) / deviation, fp32 and channels-last."""

    def __init__(self, mean: float, deviation: float):
        super().__init__()
        self.mean, self.deviation = mean, deviation

    def forward(self, images):
        x = images.float().div_(255).sub_(self.mean).div_(self.deviation)
        return x.to(memory_format=torch.channels_last)


class NormPool(nn.Module):
    """Normalise a batch [N, C, H, W] by its own statistics, then max-pool it 2×2."""

    def __init__(self, norm: nn.BatchNorm2d):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        norm = self.norm
        mean, var = batch_statistics(x, norm) if self.training else (norm.running_mean, norm.running_var)
        return NormPoolFunction.apply(x, norm.weight, norm.bias, mean, var, norm.eps)


def images_at_once(x: Tensor) -> int:
    """Return how many images of a batch are handled together."""
    return CHUNK // x.element_size()


@torch.no_grad()
def batch_statistics(x: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and biased variance, and update the running ones.

    Sums over a few images at a time are combined in fp64: a hundred times more exact than one long fp32 sum.
    """
    chunks = x.split(images_at_once(x))
    parts = [torch.batch_norm_update_stats(chunk, None, None, 0.0) for chunk in chunks]
    means, variances = (torch.stack(values).double() for values in zip(*parts, strict=True))
    share = torch.tensor([len(chunk) / len(x) for chunk in chunks], dtype=torch.float64)
    mean = share @ means
    var = share @ (variances + (means - mean).square())
    count = x.numel() / x.shape[1]
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
    norm.running_var.lerp_((var * count / (count - 1)).to(norm.running_var), norm.momentum)
    return mean.to(norm.running_mean), var.to(norm.running_var)


class NormPoolFunction(torch.autograd.Function):
    """Pool, then normalise what is left; the gradient of the statistics is one multiply-add over the input.

    With x̂ = (x − mean) / s, y = w x̂ + b and M values a channel, batch normalisation's gradient is
    dx = w/s · (dy − Σdy/M − x̂ Σ(dy x̂)/M), and dy is zero wherever pooling did not look.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, mean, var, eps):
        # a channel of negative weight is turned round, so that its maximum after normalisation is its minimum before
        sign = None if (weight >= 0).all() else torch.where(weight < 0, -1.0, 1.0).to(x.dtype).view(-1, 1, 1)
        pooled, where = aten.max_pool2d_with_indices(x if sign is None else x * sign, *POOL)
        pooled = pooled if sign is None else pooled * sign
        ctx.save_for_backward(x, weight, mean, var, pooled, where)
        ctx.eps = eps
        return aten.native_batch_norm(pooled, weight, bias, mean, var, False, 0.0, eps)[0]

    @staticmethod
    def backward(ctx, dy):
        x, weight, mean, var, pooled, where = ctx.saved_tensors
        few = images_at_once(x)
        parts = [
            aten.native_batch_norm_backward(g, p, weight, mean, var, None, None, False, ctx.eps, [True, True, True])
            for g, p in zip(dy.split(few), pooled.split(few), strict=True)
        ]
        dpooled, dweights, dbiases = zip(*parts, strict=True)
        dweight, dbias = torch.stack(dweights).sum(0), torch.stack(dbiases).sum(0)
        scale = (var + ctx.eps).rsqrt()
        count = x.numel() / x.shape[1]
        slope = -weight * scale.square() * dweight / count
        offset = -weight * scale * dbias / count - slope * mean
        dx, one = torch.empty_like(x), torch.ones_like(var)
        for out, part, g, at in zip(*(t.split(few) for t in (dx, x)), dpooled, where.split(few), strict=True):
            pooling = aten.max_pool2d_with_indices_backward(g, part, *POOL, [0, 0], [1, 1], False, at)
            # slope · x + offset in one pass, computed in fp32 whatever x is
            statistics = aten.native_batch_norm(part, slope, offset, 0 * mean, one, False, 0.0, 0.0)[0]
            torch.add(pooling, statistics, out=out)
        return dx, dweight, dbias, None, None, None


class CheapDropout(nn.Module):
    """Drop with probability p, rounded to 1/65536, by 16 random bits a value: a quarter of the random numbers."""

    def __init__(self, p: float):
        super().__init__()
        self.dropped = round(p * 65_536)

    def forward(self, x):
        if not self.training or not self.dropped:
            return x
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = bits[: x.numel()].view(x.shape) >= self.dropped - 32_768
        return x * kept.to(x.dtype).mul_(65_536 / (65_536 - self.dropped))
