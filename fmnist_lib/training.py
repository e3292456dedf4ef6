"""One engine: fit and evaluate, on a CPU and on CUDA. It receives a built model and tensors, never a recipe."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_lib import kernels as fast
from fmnist_lib import modern

STREAMS = ("weights", "order", "dropout", "variation")  # each draws from a private generator
EVALUATION_BATCH = 500

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@dataclass
class Snapshot:
    """What one more epoch has made: a row an epoch so far, and a function that gives all tensors to go on from."""

    history: list[dict]  # epoch (from 1), train_loss, val_loss [nats], val_accuracy [0–1]
    tensors: Callable[[], dict[str, Tensor]]  # on the CPU: model.*, averaged.*, best.*, optimizer.*


@contextlib.contextmanager
def stream(name: str, seed: int, epoch: int = 0):
    """Seed the default generators from (seed, stream, epoch), and put them back as they were afterwards."""
    state = np.random.SeedSequence([seed, STREAMS.index(name), epoch]).generate_state(1, np.uint64)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
        torch.manual_seed(int(state[0]))
        yield


def epoch_order(n: int, shuffle: bool, seed: int, epoch: int) -> Tensor:
    """Return the order in which the n training images are visited in an epoch."""
    with stream("order", seed, epoch):
        return torch.randperm(n) if shuffle else torch.arange(n)


def fit(
    model: nn.Sequential, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], *, epochs: int, batch: int = 500,
    optimizer: str = "adam", lr: float = 0.001, momentum: float = 0.0, shuffle: bool = True, scaling: str = "unit",
    precision: str = "fp32", kernels: str = "torch", patience: int = 0, order_seed: int = 0, dropout_seed: int = 0,
    schedule: str = "constant", smoothing: float = 0.0, flips: bool = False, shifts: int = 0, averaging: float = 0.0,
    resume: tuple[list, dict] | None = None,
) -> Iterator[Snapshot]:  # fmt: skip
    """Train in place and yield a Snapshot after each epoch.

    ``train`` and ``val`` are uint8 images and int64 labels on the model's device; ``val`` may be empty (its columns
    are then NaN). Training ends early where a loss is no longer finite and, unless ``patience`` is 0 (the paper's),
    once the minimum validation loss is that many epochs old. ``resume`` is an earlier snapshot's (history, tensors).
    The training loss is the mean over the epoch's batches, as they were met, with ``smoothing`` of the labels if any.
    With ``averaging`` the averaged weights are those that are validated and kept. Paper: section III; `modern`.
    """
    images, labels = train
    model.to(memory_format=torch.channels_last)
    network = fast.faster(model, scaling, kernels)
    own = {"momentum": momentum, "nesterov": momentum > 0} if optimizer == "sgd" else {}
    stepper = OPTIMIZERS[optimizer](model.parameters(), lr=lr, fused=True, **own)
    averaged = copy.deepcopy(model) if averaging else model
    judged = fast.faster(averaged, scaling, kernels) if averaging else network
    history, best = [], {}
    if resume:
        history, best = list(resume[0]), _restore(model, averaged, stepper, resume[1])
    steps = math.ceil(len(images) / batch)
    modern.follow(stepper, model, averaged, schedule, averaging, len(history) * steps, epochs * steps)
    while not over(history, epochs, patience):
        epoch = len(history) + 1
        order = epoch_order(len(images), shuffle, order_seed, epoch).to(images.device)
        with stream("variation", order_seed, epoch):
            seen = modern.varied(images, flips, shifts)
        with stream("dropout", dropout_seed, epoch):
            train_loss = _epoch(network, stepper, seen, labels, order.split(batch), precision, smoothing)
        val_loss, val_accuracy = evaluate(judged, *val) if len(val[0]) else (math.nan, math.nan)
        if val_loss < min((row["val_loss"] for row in history), default=math.inf):
            best = {name: tensor.clone() for name, tensor in averaged.state_dict().items()}
        history.append(dict(epoch=epoch, train_loss=train_loss, val_loss=val_loss, val_accuracy=val_accuracy))
        yield Snapshot(history, lambda best=best: _tensors(model, averaged, stepper, best))


def over(history: list[dict], epochs: int, patience: int = 0) -> bool:
    """Say whether a training with this curve has ended: all epochs, a loss that is not finite, or out of patience."""
    if not history:
        return epochs == 0
    losses = [row["val_loss"] for row in history]
    validated = not math.isnan(history[-1]["val_accuracy"])  # which is a number even where the loss is none
    diverged = not math.isfinite(history[-1]["train_loss"]) or (validated and not math.isfinite(losses[-1]))
    return diverged or len(history) >= last_epoch(losses, epochs, patience if validated else 0)


def last_epoch(losses: list[float], epochs: int, patience: int = 0) -> int:
    """Return the epoch after which a training is over: the last, or where the least loss is ``patience`` epochs old."""
    best = 1
    for epoch, loss in enumerate(losses[:epochs], 1):
        best = epoch if loss < losses[best - 1] else best
        if epoch - best >= patience > 0:
            return epoch
    return epochs


def _epoch(network, stepper, images, labels, batches, precision, smoothing) -> float:
    """Make one pass over the batches of indices; return the mean loss, the only value read back from the device."""
    network.train()
    total = torch.zeros((), device=images.device)
    for index in batches:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = network(images[index])
        loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=smoothing)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        total += loss.detach() * len(index)
    return total.item() / len(images)


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """Return a network of bytes' logits [N, 10] in evaluation mode and full fp32, whatever mode it was left in."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        logits = [network(part) for part in images.split(EVALUATION_BATCH)]
    network.train(was_training)
    return torch.cat(logits)


def evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross entropy [nats] and accuracy [0–1] on uint8 images [N, 1, 28, 28] and labels [N]."""
    logits = predict(network, images)
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()


def _tensors(model, averaged, stepper, best) -> dict[str, Tensor]:
    """Bring to the CPU, under flat names, all that the next epoch starts from; to be saved before that epoch."""
    slots = {f"optimizer.{i}.{key}": t for i, s in stepper.state_dict()["state"].items() for key, t in s.items()}
    named = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    named |= {f"averaged.{name}": t for name, t in averaged.state_dict().items() if averaged is not model}
    named |= {f"best.{name}": tensor for name, tensor in best.items()}
    return {name: t.detach().cpu().contiguous() for name, t in (named | slots).items() if isinstance(t, Tensor)}


def _restore(model, averaged, stepper, tensors) -> dict[str, Tensor]:
    """Put back what `_tensors` copied out; return the best weights so far."""
    model.load_state_dict(_under("model", tensors))
    averaged.load_state_dict(_under("averaged" if averaged is not model else "model", tensors))
    state, parameters = stepper.state_dict(), stepper.param_groups[0]["params"]
    for name, tensor in _under("optimizer", tensors).items():
        index, key = name.split(".")
        like = parameters[int(index)]  # the optimiser wants its moments in the parameter's own memory layout
        same = tensor.shape == like.shape
        state["state"].setdefault(int(index), {})[key] = torch.empty_like(like).copy_(tensor) if same else tensor
    stepper.load_state_dict(state)
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in _under("best", tensors).items()}


def _under(prefix, tensors):
    return {name.removeprefix(prefix + "."): t for name, t in tensors.items() if name.startswith(prefix + ".")}
