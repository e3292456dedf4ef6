"""The engine: what a plain PyTorch loop does, from random streams of its own, and it goes on where it stopped."""

import gc
import hashlib
import math
import os
import platform
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import nn

from fmnist_lib import UserError, data, kernels, machine, models, training
from fmnist_lib.kernels import first, fused, gradients, layers, second
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, job
from fmnist_lib.study import protocol

OPTIMIZERS = {
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw"},
    "sgd": {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9},
}


KERNELS = ("torch", "numba")
both_kernels = pytest.mark.parametrize("kernel", KERNELS)


@pytest.fixture(autouse=True)
def one_thread():
    machine.prepare()


def made_up(images, seed):
    """Return images of noise on a pattern a class, and their labels."""
    draw = torch.Generator().manual_seed(seed)
    patterns = torch.randint(0, 200, (10, 1, 28, 28), generator=torch.Generator().manual_seed(7))
    labels = torch.randint(0, 10, (images,), generator=draw)
    noise = torch.randint(0, 56, (images, 1, 28, 28), generator=draw)
    return (patterns[labels] + noise).to(torch.uint8), labels


TRAIN, VAL = made_up(200, 1), made_up(90, 2)


def built(name, seed=0, **readings):
    with training.stream("weights", seed):
        return models.build(name, **readings)


def fitted(name="CNN3-8-0.25", epochs=3, batch=60, seed=0, **settings):
    """Return the history and the tensors of a short training."""
    *_, last = training.fit(built(name, seed), TRAIN, VAL, epochs=epochs, batch=batch, **settings)
    return last.history, last.tensors()


def kept(snapshot):
    """Return the history and the tensors of an epoch as a checkpoint brings them back."""
    return list(snapshot.history), load(save(snapshot.tensors()))


def same_bits(first, second):
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def test_on_a_tie_the_weights_of_the_earliest_epoch_are_the_best(monkeypatch):
    monkeypatch.setattr(training, "evaluate", lambda *_: (1.0, 0.5))
    first, last = (kept(one)[1] for one in training.fit(built("ANN-Juan-0"), TRAIN, VAL, epochs=2, batch=100))
    assert torch.equal(last["best.1.weight"], first["model.1.weight"])
    assert not torch.equal(last["best.1.weight"], last["model.1.weight"])


# The same as a plain loop


def plain_optimizer(parameters, optimizer="adam", lr=0.001, momentum=0.0):
    plain = {"fused": False, "foreach": False}
    if optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=True, **plain)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer](parameters, lr=lr, **plain)


def plain_loop(model, epochs, batch, **settings):
    """Train as a tutorial does and return a row (train loss, validation loss, validation accuracy) an epoch."""
    stepper, rows = plain_optimizer(model.parameters(), **settings), []
    for epoch in range(1, epochs + 1):
        losses, model = [], model.train()
        for index in training.epoch_order(len(TRAIN[0]), True, 0, epoch).split(batch):
            loss = F.cross_entropy(model(TRAIN[0][index].float() / 255), TRAIN[1][index])
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            losses += [loss.item()] * len(index)
        with torch.no_grad():
            logits = model.eval()(VAL[0].float() / 255)
        accuracy = sum(int(a == b) for a, b in zip(logits.argmax(1), VAL[1], strict=True)) / len(VAL[1])
        rows.append((sum(losses) / len(losses), F.cross_entropy(logits, VAL[1]).item(), accuracy))
    return rows


def rows(history):
    return [tuple(row[name] for name in ("train_loss", "val_loss", "val_accuracy")) for row in history]


@both_kernels
@pytest.mark.parametrize("name", ["CNN3-8-0", "CNN5-8-0", "CNN7-8-0", "ANN-Juan-0"])
def test_twenty_steps_are_those_of_a_plain_loop(name, kernel):
    model = built(name)
    plain = plain_loop(deepcopy(model), epochs=20, batch=200)  # an epoch is a step
    *_, last = training.fit(model, TRAIN, VAL, epochs=20, batch=200, kernels=kernel)
    ours, theirs = np.array(rows(last.history)), np.array(plain)
    assert [row["epoch"] for row in last.history] == list(range(1, 21))
    assert np.abs(ours - theirs)[:3, 0].max() < 2e-5  # with AVX2 alone 1.1e-5
    assert np.abs(ours - theirs)[:, :2].max() < 1e-2
    assert theirs[-1, 0] < 0.5 * theirs[0, 0]  # it has learned something: the losses are not all alike


STEPS = 8


def plain_steps(model, dtype, precision="fp32"):
    """Return the weights after STEPS steps of PyTorch's own layers and Adam, and the first loss."""
    model, losses = model.to(dtype).train(), []
    stepper = plain_optimizer(model.parameters())
    for epoch in range(1, STEPS + 1):
        index = training.epoch_order(len(TRAIN[0]), True, 0, epoch)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(TRAIN[0][index].to(dtype) / 255)
        losses.append(F.cross_entropy(logits.to(dtype), TRAIN[1][index]))
        stepper.zero_grad()
        losses[-1].backward()
        stepper.step()
    return flat(model), losses[0].item()


def flat(model):
    return torch.cat([tensor.detach().double().flatten() for tensor in model.parameters()])


@pytest.mark.parametrize("name", ["CNN3-32-0", "CNN5-32-0"])
def test_eight_steps_stray_from_fp64_at_most_thrice_as_far_as_those_of_pytorch(name):
    initial = built(name)
    exact, first = plain_steps(deepcopy(initial), torch.float64)  # the slowest by far: once for all that follows
    for precision, tolerance in (("fp32", 1e-5), ("bf16", 1e-3)):
        plain, _ = plain_steps(deepcopy(initial), torch.float32, precision)
        assert (exact - flat(initial)).norm() > 3 * (plain - exact).norm()  # further than the two precisions differ
        for kernel in KERNELS:
            ours = deepcopy(initial)
            settings = {"batch": len(TRAIN[0]), "precision": precision, "kernels": kernel}
            *_, last = training.fit(ours, TRAIN, VAL, epochs=STEPS, **settings)
            assert abs(last.history[0]["train_loss"] - first) < tolerance, (precision, kernel)
            assert 0 < (flat(ours) - exact).norm() <= 3 * (plain - exact).norm(), (precision, kernel)


@both_kernels
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_epochs_whose_last_batch_is_smaller_are_those_of_a_plain_loop(optimizer, kernel):
    model = built("CNN3-8-0")
    plain = plain_loop(deepcopy(model), epochs=3, batch=60, **OPTIMIZERS[optimizer])
    *_, last = training.fit(model, TRAIN, VAL, epochs=3, batch=60, kernels=kernel, **OPTIMIZERS[optimizer])
    differences = np.abs(np.array(rows(last.history)) - np.array(plain))
    assert differences[:, :2].max() < 2e-3 and differences[:, 2].max() < 2 / 90


@both_kernels
def test_the_first_loss_in_bf16_is_that_of_fp32(kernel):
    settings = {"epochs": 1, "batch": 200, "kernels": kernel}
    first, second = (fitted("CNN3-64-0", precision=p, **settings)[0][0] for p in ("fp32", "bf16"))
    assert 0 < abs(first["train_loss"] - second["train_loss"]) < 1e-3


def test_standardised_pixels_have_the_mean_and_variance_of_the_data_set(data_dir):
    x = fused.Pixels(*kernels.SCALINGS["standardised"])(data.load("train", data_dir=data_dir)[0][:20_000])
    assert abs(x.mean().item()) < 0.01 and abs(x.std().item() - 1) < 0.01
    assert torch.equal(fused.Pixels(*kernels.SCALINGS["unit"])(TRAIN[0]), TRAIN[0].float() / 255)


# The faster layers


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("padding", ["1,0", "same"])
def test_the_fused_network_is_the_same_function_of_the_same_parameters(activation, padding):
    plain = built("CNN5-8-0", activation=activation, padding=padding).double()
    for layer in (plain[1], plain[5]):
        nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
        assert (layer.weight < 0).any() and (layer.weight > 0).any()
    fast = fused.fuse(ours := deepcopy(plain))
    assert [id(p) for p in fast.parameters()] == [id(p) for p in ours.parameters()]
    x = torch.rand(33, 1, 28, 28, dtype=torch.float64)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [network(part) for network, part in zip((plain, fast), inputs, strict=True)]
    for output in outputs:
        F.cross_entropy(output, torch.arange(33) % 10).backward()
    assert torch.allclose(*outputs, rtol=0, atol=1e-10)
    assert torch.allclose(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-10) and inputs[0].grad.abs().max() > 1e-6
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-7, atol=1e-10)
    for (name, mine), theirs in zip(ours.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10), name  # the running statistics
    assert torch.allclose(plain.eval()(x), fast.eval()(x), rtol=0, atol=1e-10)


def worst(ours, exact):
    """Return the largest distance of tensors, as a share of the length of each exact one."""
    pairs = [(mine.double(), theirs.double()) for mine, theirs in zip(ours, exact, strict=True)]
    return max(((a - b).norm() / b.norm()).item() for a, b in pairs if b.abs().max() > 1e-9)


READINGS = [
    ("CNN3-8-0", {}),
    ("CNN3-8-0", {"padding": "0,0", "activation": "leaky_relu"}),
    ("CNN5-8-0", {"padding": "same"}),  # with it and with 0,0 no side is odd
    ("CNN5-8-0", {"activation": "leaky_relu"}),
    ("CNN7-8-0", {"padding": "same"}),  # its first convolution is PyTorch's
    ("CNN9-8-0", {}),
    ("CNN-Nahuel", {}),
    ("ANN-Juan-0.25", {"activation": "leaky_relu"}),
]


@pytest.mark.parametrize("scaling", kernels.SCALINGS)
@pytest.mark.parametrize(("name", "readings"), READINGS)
def test_the_compiled_network_is_the_same_function_of_the_same_parameters(name, readings, scaling, data_dir):
    ours = built(name, **readings)
    torch.manual_seed(0)
    for layer in ours:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
            assert (layer.weight < 0).any() and (layer.weight > 0).any()
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    exact = kernels.of_bytes(deepcopy(ours).double(), scaling)
    exact[0].forward = lambda images: (images.double() / 255 - exact[0].mean) / exact[0].deviation
    fast = kernels.faster(ours.to(memory_format=torch.channels_last), scaling, "numba")
    assert [id(p) for p in fast.parameters()] == [id(p) for p in ours.parameters()]
    images, labels = data.load("test", data_dir=data_dir)  # black around: ties of the maximum are the rule
    for network in (fast, exact):
        F.cross_entropy(network(images[:33]), labels[:33]).backward()
    assert worst([p.grad for p in fast.parameters()], [p.grad for p in exact.parameters()]) < 1e-2  # ReLU's edge
    assert worst(fast.buffers(), exact.buffers()) < 1e-6 if name[0] == "C" else True
    with torch.no_grad():
        for train in (True, False):
            found, expected = fast.train(train)(images[33:66]), exact.train(train)(images[33:66])
            assert torch.allclose(found.double(), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_the_sums_of_patches_and_of_their_products_are_those_of_unfolded_images(k, pad):
    images, single, double = TRAIN[0].numpy()[:, 0], np.zeros(k * k), np.zeros((k * k, k * k))
    first.patch_sums(k, pad)(images, np.float32(2 / 255), np.float32(-0.5), single, double)
    patches = F.unfold(TRAIN[0].double() * 2 / 255 - 0.5, k, padding=pad)
    inside = F.unfold(torch.ones_like(TRAIN[0], dtype=torch.float64), k, padding=pad)
    patches = torch.where(inside > 0, patches, 0.0).transpose(1, 2).flatten(0, 1).numpy()  # what is padded is zero
    assert np.allclose(single, patches.sum(0), rtol=1e-6)
    assert np.allclose(double, patches.T @ patches, rtol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_leaves_no_memory_to_the_garbage_collector(precision):
    network = kernels.faster(built("CNN3-8-0.25").to(memory_format=torch.channels_last), "unit", "numba").train()
    nodes = ("FirstFunctionBackward", "NormPoolFunctionBackward", "DropFunctionBackward")  # they hold what was made

    def alive():
        return [node for node in gc.get_objects() if type(node).__name__ in nodes]

    gc.collect(), gc.disable()
    try:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = network(TRAIN[0]).float().square().sum()
        assert len(alive()) == 4
        loss.backward()
        del loss
        assert not alive()
    finally:
        gc.enable()


def test_bf16_is_rounded_as_pytorch_rounds_it():
    x = torch.cat([torch.randn(1000), torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, 0.0, -0.0, 3e38, 1e-40])])
    out, bits = torch.empty_like(x, dtype=torch.bfloat16), np.full(len(x), 1, np.uint16)
    one = np.float32(1)
    second.drop_forward(x.numpy(), bits, np.uint16(0), one, one, gradients.values(out))
    assert torch.equal(out, x.bfloat16())


def test_where_numba_does_not_compile_pytorch_alone_trains_and_the_recipe_says_so(monkeypatch):
    assert machine.resolve("cpu", "fp32") == ("cpu", "fp32", "numba")
    monkeypatch.setattr(second, "compile_here", lambda: False)
    assert machine.resolve("cpu", "fp32") == ("cpu", "fp32", "torch")
    with pytest.raises(UserError, match=r"numba.*\nFix: .*torch"):
        machine.resolve("cpu", "fp32", "numba")


@pytest.mark.parametrize("jit", ["0", "1"])
def test_kernels_that_would_run_as_plain_python_are_not_used(jit):
    code = "from fmnist_lib import machine; print(machine.resolve('cpu', 'fp32')[2])"
    environment = os.environ | {"NUMBA_DISABLE_JIT": jit}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == {"0": "numba", "1": "torch"}[jit]


both_dropouts = pytest.mark.parametrize("dropout", [fused.CheapDropout, lambda p: layers.Drop(p, 1.0)])


@both_dropouts
@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9999])
def test_dropout_drops_at_its_rate_and_scales_what_is_kept(p, dropout):
    torch.manual_seed(0)
    n = 1_000_003
    x = torch.full((n,), 3.0, requires_grad=True)
    y = dropout(p).train()(x)
    dropped = round(p * 65_536) / 65_536
    assert abs((y == 0).double().mean().item() - dropped) < 5 * math.sqrt(p * (1 - p) / n)
    kept = y[y != 0]
    assert torch.allclose(kept, torch.tensor(3 / (1 - dropped)), rtol=1e-6)
    assert abs(y.detach().double().mean().item() - 3) < 5 * 3 * math.sqrt(p / (1 - p) / n)
    y.sum().backward()
    assert torch.equal(x.grad * 3, y.detach())  # the gradient goes where the value went


@both_dropouts
def test_dropout_of_one_value_says_nothing_of_its_neighbours(dropout):
    torch.manual_seed(0)
    zero = (dropout(0.25).train()(torch.ones(400_000)) == 0).double()
    for step in range(1, 9):  # four values share one draw of 64 bits
        correlation = torch.corrcoef(torch.stack([zero[:-step], zero[step:]]))[0, 1].item()
        assert abs(correlation) < 5 / math.sqrt(len(zero))


@both_dropouts
def test_dropout_is_off_in_evaluation_and_at_rate_0(dropout):
    x = torch.rand(7, 5)
    assert torch.equal(dropout(0.5).eval()(x), x)
    assert torch.equal(dropout(0.0).train()(x), x)


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0])
def test_dropout_and_its_activation_pass_values_and_gradients_as_pytorchs_do(slope):
    x = torch.randn(5000, dtype=torch.bfloat16, requires_grad=True)
    torch.manual_seed(3)
    y = layers.Drop(0.25, slope).train()(x)
    y.backward(gradient := torch.randn(5000, dtype=torch.bfloat16))
    torch.manual_seed(3)
    kept = layers.Drop(0.25, 1.0).train()(torch.ones(5000)).double()  # the same bits: 0 or the scale
    z = x.detach().double() * kept
    factor = torch.where(z > 0, 1.0, slope)
    assert torch.allclose(y.double(), z * factor, rtol=2**-8)
    assert torch.allclose(x.grad.double(), gradient.double() * kept * factor, rtol=2**-8)
    assert 0.2 < (kept == 0).double().mean() < 0.3


# Seeds and streams (T4, T6)


@both_kernels
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seeds_give_the_same_bits(precision, kernel):
    settings = {"precision": precision, "kernels": kernel}
    same_bits(fitted(**settings), fitted(**settings))


@both_kernels
def test_the_dropout_mask_is_another_one_every_epoch(kernel):
    """Without it, two epochs of one batch that leave the weights alone would have one loss."""
    settings = {"epochs": 3, "batch": 200, "lr": 1e-30, "kernels": kernel}
    losses = [row["train_loss"] for row in fitted("CNN3-8-0.25", **settings)[0]]
    assert len(set(losses)) == 3
    assert len({row["train_loss"] for row in fitted("CNN3-8-0", shuffle=False, **settings)[0]}) == 1


@pytest.mark.parametrize("seed", ["seed", "order_seed", "dropout_seed"])
def test_another_seed_gives_another_training(seed):
    first, second = fitted(epochs=1), fitted(epochs=1, **{seed: 1})
    assert first[0] != second[0]


def test_the_order_is_a_permutation_of_seed_and_epoch_alone():
    orders = {}
    for seed, epoch in [(0, 1), (0, 2), (1, 1), (1, 2)]:
        torch.manual_seed(10 * seed + epoch)
        orders[seed, epoch] = training.epoch_order(1000, True, seed, epoch)
        torch.rand(epoch)
        assert torch.equal(training.epoch_order(1000, True, seed, epoch), orders[seed, epoch])
        assert torch.equal(orders[seed, epoch].sort().values, torch.arange(1000))
    assert len({tuple(order.tolist()) for order in orders.values()}) == 4
    assert torch.equal(training.epoch_order(1000, False, 5, 5), torch.arange(1000))


def test_streams_differ_and_leave_the_default_generator_alone():
    before, drawn = torch.get_rng_state(), set()
    for name in training.STREAMS:
        for epoch in range(3):
            with training.stream(name, 0, epoch):
                drawn.add(torch.rand(()).item())
    fitted(epochs=1)
    assert len(drawn) == 3 * len(training.STREAMS) and torch.equal(torch.get_rng_state(), before)


def draw_a_plot(_):
    plt.figure().subplots().plot(np.random.rand(9))
    plt.close()


DISTURBANCES = {
    "plot": draw_a_plot,
    "another model": lambda _: models.build("CNN3-8-0.5")(torch.rand(2, 1, 28, 28)),
    "random numbers": lambda _: (torch.randn(77), torch.manual_seed(123), np.random.seed(1)),
    "evaluation": lambda model: (
        training.evaluate(kernels.of_bytes(model), *TRAIN),
        training.predict(kernels.faster(model, "unit", "numba"), TRAIN[0]),
    ),
    "mode": lambda model: model.eval(),
    "reading the tensors": lambda model: [tensor.sum().item() for tensor in model.state_dict().values()],
}


@pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES)
def test_what_happens_between_epochs_changes_nothing(disturb):
    model = built("CNN3-8-0.25")
    for last in training.fit(model, TRAIN, VAL, epochs=3, batch=60):  # noqa: B007
        disturb(model)
    same_bits((last.history, last.tensors()), fitted())


def test_a_model_handed_over_in_evaluation_mode_is_trained_all_the_same():
    *_, last = training.fit(built("CNN3-8-0.25").eval(), TRAIN, VAL, epochs=3, batch=60)
    same_bits((last.history, last.tensors()), fitted())


RECIPE = Recipe("CNN3-4-0.25", epochs=3, train_images=300, val_images=100, batch=100)


def parts(recipe, data_dir):
    """Return the digests of what each seed alone should decide."""
    model, train, val = job.prepared(recipe, data_dir)
    with training.stream("dropout", recipe.dropout_seed, 1):
        mask = torch.rand(9)
    order = training.epoch_order(300, True, recipe.order_seed, 1)
    weights = torch.cat([tensor.flatten() for tensor in model.parameters()]).detach()
    split = torch.cat([train[0], val[0]])
    return {"split_seed": split, "weights_seed": weights, "order_seed": order, "dropout_seed": mask}


@pytest.mark.parametrize("seed", ["split_seed", "weights_seed", "order_seed", "dropout_seed"])
def test_each_seed_changes_its_own_part_and_no_other(seed, data_dir):
    first, second = parts(RECIPE, data_dir), parts(replace(RECIPE, **{seed: 1}), data_dir)
    assert {name for name in first if not torch.equal(first[name], second[name])} == {seed}


def test_retraining_with_the_searchs_seeds_repeats_its_epochs_bit_for_bit(data_dir):
    asked = {"retrain_seed": 0, "retrain_images": RECIPE.train_images}
    again = protocol.retraining(RECIPE, 2, asked)
    assert again != RECIPE
    prepared, repeated = job.prepared(RECIPE, data_dir), job.prepared(again, data_dir)
    search = [kept(snapshot) for snapshot in training.fit(*prepared, **job.settings(RECIPE))]
    *_, last = training.fit(*repeated, **job.settings(again))
    same_bits(search[1], kept(last))
    other = protocol.retraining(RECIPE, 2, asked | {"retrain_seed": 1})
    *_, last = training.fit(*job.prepared(other, data_dir), **job.settings(other))
    assert last.history != search[1][0]


def test_what_the_seeds_of_the_reference_give_never_changes():
    assert digest(torch.cat(data.split(42))) == "7cd1a1e010482b25"
    assert digest(training.epoch_order(50_000, True, 0, 1)) == "477cf01c85f93459"
    weights = torch.cat([tensor.flatten() for tensor in built("CNN3-128-0.1").parameters()]).detach().double()
    first = [-0.2577116, 0.2708163, -0.0673236, -0.0408620]  # the last bits depend on the processor's vector units
    assert weights[:4].tolist() == pytest.approx(first, abs=1e-6)
    assert [weights.sum().item(), weights.square().sum().item()] == pytest.approx([107.61564, 175.31114], abs=1e-4)


GOLDEN = """
import hashlib, torch
from fmnist_lib import data, machine, models, training
machine.prepare()
with training.stream("weights", 0):
    weights = torch.cat([tensor.flatten() for tensor in models.build("CNN3-128-0.1").parameters()]).detach()
with training.stream("dropout", 0, 1):
    mask = torch.randint(2**31, (10_000,))
made = [torch.cat(data.split(42)), training.epoch_order(50_000, True, 0, 1), mask, weights]
print(torch.backends.cpu.get_cpu_capability())
print(*[hashlib.sha256(tensor.numpy().tobytes()).hexdigest()[:16] for tensor in made])
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="what is promised is promised of x86-64")
@pytest.mark.parametrize("units", ["default", "avx2", "avx512"])
def test_split_order_masks_and_weights_are_the_same_bits_whatever_the_vector_units(units):
    environment = os.environ | {"ATEN_CPU_CAPABILITY": units}
    done = subprocess.run([sys.executable, "-c", GOLDEN], env=environment, capture_output=True, text=True, check=True)
    used, split, order, mask, weights = done.stdout.split()
    assert (split, order, mask) == ("7cd1a1e010482b25", "477cf01c85f93459", "7aeae5df3c11c971")
    assert weights == ("83188ab80e23c873" if used == "DEFAULT" else "d24188d2b81b0759")  # it rounds without AVX2


# Going on (T1)


@pytest.mark.parametrize("name", ["CNN3-4-0.25", "ANN-Juan-0.25"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_going_on_from_any_epoch_ends_in_the_same_bits(optimizer, name):
    settings = {"epochs": 4, "batch": 60, **OPTIMIZERS[optimizer]}
    whole = [kept(snapshot) for snapshot in training.fit(built(name), TRAIN, VAL, **settings)]
    for history, tensors in whole[:-1]:
        *_, last = training.fit(built(name, seed=9), TRAIN, VAL, **settings, resume=(history, tensors))
        same_bits(whole[-1], kept(last))


def test_nothing_is_left_to_do_for_a_training_that_is_complete():
    history, tensors = fitted()
    assert list(training.fit(built("CNN3-8-0.25"), TRAIN, VAL, epochs=3, resume=(history, tensors))) == []


def test_the_best_weights_are_those_of_minimum_validation_loss():
    model, at_epoch = built("CNN3-8-0"), []
    for last in training.fit(model, TRAIN, VAL, epochs=6, batch=60, lr=0.02):  # noqa: B007
        at_epoch.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    losses = [row["val_loss"] for row in last.history]
    tensors, best = last.tensors(), losses.index(min(losses))
    assert best < 5  # otherwise the last would do
    assert all(torch.equal(tensors[f"best.{name}"], tensor) for name, tensor in at_epoch[best].items())
    model.load_state_dict(at_epoch[best])
    assert training.evaluate(kernels.of_bytes(model), *VAL)[0] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_patience_ends_a_training_when_the_minimum_is_that_old_and_changes_nothing_before(patience):
    whole = fitted("CNN3-8-0", epochs=12, lr=0.02)[0]
    losses = [row["val_loss"] for row in whole]
    ends = next((e for e in range(12) if e - losses.index(min(losses[: e + 1])) >= patience), 11)
    assert ends < 11  # otherwise it shows nothing
    snapshots = [
        kept(snapshot)
        for snapshot in training.fit(built("CNN3-8-0"), TRAIN, VAL, epochs=12, batch=60, lr=0.02, patience=patience)
    ]
    assert snapshots[-1][0] == whole[: ends + 1]
    assert len(snapshots) == ends + 1
    again = training.fit(built("CNN3-8-0"), TRAIN, VAL, epochs=12, patience=patience, resume=snapshots[-1])
    assert list(again) == []


def test_patience_without_validation_images_ends_nothing():
    *_, last = training.fit(built("CNN3-8-0"), TRAIN, (VAL[0][:0], VAL[1][:0]), epochs=4, batch=60, patience=1)
    assert len(last.history) == 4


def test_without_validation_images_there_is_a_training_loss_alone():
    *_, last = training.fit(built("CNN3-8-0"), TRAIN, (VAL[0][:0], VAL[1][:0]), epochs=2, batch=60)
    assert len(last.history) == 2 and all(math.isnan(row["val_loss"]) for row in last.history)
    assert all(math.isfinite(row["train_loss"]) for row in last.history)


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 1e6), ("adam", 1e30)])
def test_a_training_that_diverges_stops_there_and_keeps_the_curve_so_far(optimizer, lr):
    settings = {"epochs": 30, "batch": 60, "optimizer": optimizer, "lr": lr}
    model = built("ANN-Juan-0", activation="leaky_relu")
    *_, last = training.fit(model, TRAIN, VAL, **settings)
    losses = [(row["train_loss"], row["val_loss"]) for row in last.history]
    assert 1 <= len(losses) < 30
    assert not all(map(math.isfinite, losses[-1])) and all(math.isfinite(x) for row in losses[:-1] for x in row)


def test_a_validation_loss_that_is_no_number_from_the_first_epoch_on_ends_the_training_there(monkeypatch):
    monkeypatch.setattr(training, "evaluate", lambda *_: (math.nan, 0.1))  # as where running statistics overflow
    *_, last = training.fit(built("CNN3-8-0"), TRAIN, VAL, epochs=3, batch=60)
    assert len(last.history) == 1
    assert contents.status(Recipe("CNN3-8-0", epochs=3, val_images=10), last.history) == "diverged"


# Evaluation (T5)


@pytest.mark.parametrize("name", ["CNN3-8-0.25", "ANN-Juan-0.25"])
def test_evaluation_is_the_same_whatever_the_mode_and_the_batch(name, monkeypatch):
    model = built(name)
    for _ in training.fit(model, TRAIN, VAL, epochs=2, batch=60):
        pass
    with torch.no_grad():
        logits = model.eval()(VAL[0].float() / 255)
    loss, accuracy = F.cross_entropy(logits, VAL[1]).item(), (logits.argmax(1) == VAL[1]).double().mean().item()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for mode in (True, False):
        for batch in (500, 90, 33, 7, 1):
            monkeypatch.setattr(training, "EVALUATION_BATCH", batch)
            for network in (kernels.of_bytes(model), *(kernels.faster(model, "unit", k) for k in ("torch", "numba"))):
                found = training.evaluate(network.train(mode), *VAL)
                assert found == pytest.approx((loss, accuracy), rel=1e-5)
                assert network.training == mode and training.predict(network, VAL[0]).dtype == torch.float32
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_evaluation_is_in_fp32_even_inside_an_autocast_training():
    model = built("CNN3-8-0.25")
    *_, last = training.fit(model, TRAIN, VAL, epochs=2, batch=60, precision="bf16")
    assert {tensor.dtype for name, tensor in last.tensors().items() if "num_batches" not in name} == {torch.float32}
    network = kernels.of_bytes(model)
    assert training.evaluate(network, *VAL)[0] == pytest.approx(last.history[-1]["val_loss"], rel=1e-5)


# Devices (T3)


def test_cuda_that_is_absent_is_refused_with_a_fix_and_auto_does_without(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"cuda.*\nFix: .*cpu"):
        machine.resolve("cuda")
    device, precision, _ = machine.resolve("auto", "auto")
    assert device == "cpu" and precision == ("bf16" if machine.native_bf16("cpu") else "fp32")
    assert machine.resolve("cpu", "fp32", "torch") == ("cpu", "fp32", "torch")


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_cuda_that_is_there_and_unusable_is_refused_with_a_fix(device, monkeypatch):
    def unusable(*_, **__):
        raise RuntimeError("no kernel image is available for execution on the device\nmore")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", unusable)
    with pytest.raises(UserError, match=r"no kernel image.*\nFix: .*driver"):
        machine.resolve(device, "fp32")


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_card_trains_by_pytorchs_kernels_and_in_bf16_from_capability_8_on(capability, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch, "ones", lambda *_, **__: torch.zeros(2))
    assert machine.resolve() == machine.resolve("cuda") == ("cuda", precision, "torch")


def test_a_process_that_is_prepared_has_no_tf32_and_no_convolution_chosen_by_the_clock():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    matmul.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = True
    cudnn.deterministic = False
    machine.prepare()
    assert (matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic) == (False, False, False, True)


@pytest.mark.parametrize(("device", "precision"), [("cpu", "bf16"), ("cuda", "fp32")])
def test_the_device_and_precision_really_used_are_part_of_the_recipe(device, precision, monkeypatch):
    monkeypatch.setattr(machine, "resolve", lambda *asked: (device, precision, "torch"))
    recipes = protocol.grid(protocol.DEFAULTS | {"device": "auto", "precision": "auto"})
    assert {(recipe.device, recipe.precision) for recipe in recipes} == {(device, precision)}
    assert recipes[0].id != replace(recipes[0], precision={"bf16": "fp32", "fp32": "bf16"}[precision]).id


# What it is for


@pytest.mark.slow
def test_an_epoch_of_the_whole_data_set_reaches_85_percent_on_validation(data_dir):
    device, precision, kernel = machine.resolve()
    recipe = Recipe("CNN3-128-0.1", epochs=1, device=device, precision=precision, kernels=kernel)
    *_, last = training.fit(*job.prepared(recipe, data_dir), **job.settings(recipe))
    assert last.history[-1]["val_accuracy"] > 0.85
