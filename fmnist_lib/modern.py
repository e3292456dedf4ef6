"""What the paper did not use: a schedule, an average of the weights, varied images; and where it is from.

* One cycle: Smith and Topin, Super-Convergence (2017), the learning rate alone, in PyTorch's two phases of cosines.
* Smoothing, in the loss: Szegedy and others, Rethinking the Inception Architecture (2016).
* Averaging: exponential, of weights and batch statistics (Morales-Brotons and others, 2024; with equal weights Polyak
  and Juditsky, 1992). It needs no pass over the images of its own; stochastic weight averaging (Izmailov and others,
  2018) does, and a learning rate that stays high or goes in cycles, where one cycle ends near 0.
* Flips and shifts: those of the networks for small photographs, as in He and others (2016) after Lee and others (2015).
"""

import math
from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RISE, START, END = 0.3, 1 / 25, 1e-4  # of the steps to the peak; the first rate by the peak, and the last by the first


def one_cycle(step: int, steps: int, peak: float) -> float:
    """Return the learning rate of a step, from 0, of so many: half a cosine up to the peak, and another down to 0."""
    top, last = RISE * steps - 1, steps - 1
    if step <= top:
        begin, end, share = START * peak, peak, step / top
    else:
        begin, end, share = peak, START * END * peak, (step - top) / (last - top)
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


@torch.no_grad()
def average(averaged: nn.Module, model: nn.Module, decay: float, step: int):
    """Move the averaged weights and batch statistics to the model's, by 1 − decay; faster in the first steps, from 0.

    There the decay is (1 + step) / (10 + step) at most, as in TensorFlow: the initial weights are soon forgotten.
    """
    decay = min(decay, (1 + step) / (10 + step))
    pairs = list(zip(averaged.state_dict().values(), model.state_dict().values(), strict=True))
    real = [pair for pair in pairs if pair[0].is_floating_point()]
    torch._foreach_lerp_(*map(list, zip(*real, strict=True)), 1 - decay)
    for mean, value in pairs:
        if not mean.is_floating_point():
            mean.copy_(value)  # a count of batches


def follow(stepper, model: nn.Module, averaged: nn.Module, schedule: str, averaging: float, done: int, steps: int):
    """Have an optimiser, from its step number ``done`` of so many on, take the scheduled rate and average the weights.

    Its learning rate is the peak. With schedule "constant" and averaging 0 it is left as it is.
    """
    peak, before, after = stepper.param_groups[0]["lr"], count(done), count(done)

    def rate(*_):
        stepper.param_groups[0]["lr"] = one_cycle(next(before), steps, peak)

    if schedule == "one-cycle":
        stepper.register_step_pre_hook(rate)
    if averaging:
        stepper.register_step_post_hook(lambda *_: average(averaged, model, averaging, next(after)))


def varied(images: Tensor, flips: bool, shifts: int) -> Tensor:
    """Return the images [N, 1, H, W], each mirrored or not, and moved by up to so many pixels each way; 0 comes in.

    By the default generator of the CPU: the same on every device.
    """
    n, device = len(images), images.device
    if flips:
        mirrored = (torch.rand(n) < 0.5).to(device)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if shifts:
        down, right = torch.randint(2 * shifts + 1, (2, n)).to(device)
        height, width = images.shape[2:]
        windows = F.pad(images, 4 * [shifts]).unfold(2, height, 1).unfold(3, width, 1)
        images = windows[torch.arange(n, device=device), :, down, right].contiguous()
    return images
