"""What the paper did not use, against PyTorch's schedule, average and loss, and images moved by hand."""

import copy
import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as vision
from test_training import TRAIN, VAL, built, kept, same_bits

from fmnist_lib import ROOT, machine, modern, training
from fmnist_lib import kernels as fast
from fmnist_lib.recipe import LATER, MODERN, Recipe
from fmnist_lib.runs import contents, job
from fmnist_lib.runs.record import RECIPE
from fmnist_lib.runs.store import Store
from fmnist_lib.study import compare

ALL = {"schedule": "one-cycle", "smoothing": 0.1, "flips": True, "shifts": 2, "averaging": 0.8}
SETTINGS = {"epochs": 4, "batch": 60, "lr": 0.004, **ALL}
IMAGES = torch.randint(1, 256, (400, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def one_thread():
    machine.prepare()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 10, 100, 333])
def test_one_cycle_is_pytorchs(steps):
    stepper = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(stepper, 0.02, total_steps=steps, cycle_momentum=False)
    for step in range(steps):
        assert modern.one_cycle(step, steps, 0.02) == pytest.approx(stepper.param_groups[0]["lr"], rel=1e-9)
        stepper.step()
        theirs.step() if step < steps - 1 else None


def ema(decay):
    """Return PyTorch's rule of an average that has seen so many models, the initial one among them."""

    def rule(averaged, value, seen):
        step = int(seen) - 1
        share = min(decay, (1 + step) / (10 + step))
        return share * averaged + (1 - share) * value

    return rule


@pytest.mark.parametrize("decay", [0.3, 0.9])
def test_the_average_is_pytorchs_averaged_model_with_the_statistics_of_batches(decay):
    model = built("CNN3-4-0.1").train()
    ours, theirs = copy.deepcopy(model), torch.optim.swa_utils.AveragedModel(model, avg_fn=ema(decay), use_buffers=True)
    theirs.update_parameters(model)
    stepper = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(12):
        F.cross_entropy(model(TRAIN[0][:50].float() / 255), TRAIN[1][:50]).backward()
        stepper.step()
        modern.average(ours, model, decay, step)
        theirs.update_parameters(model)
    for (name, mean), other in zip(ours.state_dict().items(), theirs.module.state_dict().values(), strict=True):
        if name.endswith("num_batches_tracked"):
            assert mean == 12
        else:
            assert torch.allclose(mean, other, rtol=1e-4, atol=1e-6), name
    assert not torch.allclose(ours[0].weight, model[0].weight, atol=1e-3)


def moved(image, down, right):
    """Move an image [1, H, W] by rolling it and blackening what came round."""
    image = image.roll((down, right), (1, 2))
    rows, columns = (slice(0, s) if s >= 0 else slice(28 + s, 28) for s in (down, right))
    image[:, rows] = image[:, :, columns] = 0
    return image


def test_each_varied_image_is_itself_flipped_or_not_and_moved_both_ways_alike_often():
    with training.stream("variation", 3):
        found = modern.varied(IMAGES, True, 1)
    every = [(flip, down, right) for flip in (False, True) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    counts = dict.fromkeys(every, 0)
    for image, other in zip(IMAGES, found, strict=True):
        looks = {w: moved(vision.hflip(image) if w[0] else image.clone(), *w[1:]) for w in every}
        (which,) = [w for w, look in looks.items() if torch.equal(look, other)]
        counts[which] += 1
    assert min(counts.values()) >= 8  # 22 are expected of each of the 18
    assert found.dtype == torch.uint8 and found.is_contiguous()


@pytest.mark.parametrize(("flips", "shifts"), [(True, 0), (False, 2)])
def test_flips_and_shifts_are_each_alone_what_they_say(flips, shifts):
    with training.stream("variation", 0):
        found = modern.varied(IMAGES, flips, shifts)
    for image, other in zip(IMAGES, found, strict=True):
        ways = range(-shifts, shifts + 1)
        looks = [moved(image.clone(), down, right) for down in ways for right in ways]
        looks += [vision.hflip(image)] if flips else []
        assert any(torch.equal(look, other) for look in looks)
    assert modern.varied(IMAGES, False, 0) is IMAGES


def test_a_variation_draws_mirrors_then_all_rows_then_all_columns():
    with training.stream("variation", 5):
        found = modern.varied(IMAGES, True, 2)
    with training.stream("variation", 5):
        mirrored, moves = torch.rand(400) < 0.5, torch.randint(5, (2, 400))
    for image, other, mirror, down, right in zip(IMAGES, found, mirrored, *(2 - moves), strict=True):
        assert torch.equal(moved(vision.hflip(image) if mirror else image, int(down), int(right)), other)


def plain(model, lr, epochs, batch, smoothing, averaging, flips, shifts, **_):
    """Train with every ingredient as PyTorch has it; return (train loss, validation loss) an epoch and the average."""
    stepper, count = torch.optim.Adam(model.parameters(), lr=lr, fused=False, foreach=False), -(-len(TRAIN[0]) // batch)
    pace = torch.optim.lr_scheduler.OneCycleLR(stepper, lr, epochs=epochs, steps_per_epoch=count, cycle_momentum=False)
    averaged = torch.optim.swa_utils.AveragedModel(model, avg_fn=ema(averaging), use_buffers=True)
    averaged.update_parameters(model)
    loss_of, rows = torch.nn.CrossEntropyLoss(label_smoothing=smoothing), []
    for epoch in range(1, epochs + 1):
        state = np.random.SeedSequence([5, 3, epoch]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))
        seen = modern.varied(TRAIN[0], flips, shifts).float() / 255
        total = 0.0
        for index in training.epoch_order(len(seen), True, 5, epoch).split(batch):
            loss = loss_of(model.train()(seen[index]), TRAIN[1][index])
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            averaged.update_parameters(model)
            total += loss.item() * len(index)
            pace.step() if pace.last_epoch < epochs * count - 1 else None
        with torch.no_grad():
            rows.append((total / len(seen), F.cross_entropy(averaged.eval()(VAL[0].float() / 255), VAL[1]).item()))
    return rows, averaged.module.state_dict()


@pytest.mark.parametrize("kernels", ["torch", "numba"])
def test_a_training_with_every_ingredient_is_that_of_a_plain_loop(kernels):
    model = built("CNN3-8-0")
    theirs, average = plain(copy.deepcopy(model), **SETTINGS)
    *_, last = training.fit(model, TRAIN, VAL, **SETTINGS, order_seed=5, kernels=kernels)
    ours, tensors = [(row["train_loss"], row["val_loss"]) for row in last.history], last.tensors()
    assert np.abs(np.array(ours) - theirs).max() < 2e-3
    noise = {"0.bias", "1.running_mean", "4.bias", "5.running_mean"}  # normalised away: Adam steps by rounding alone
    for name, mean in average.items():
        if mean.is_floating_point() and name not in noise:  # PyTorch averages the count of batches too, rounded down
            assert torch.allclose(tensors[f"averaged.{name}"], mean, atol=3e-3), name


@pytest.mark.parametrize("name", MODERN)
def test_each_ingredient_alone_changes_a_training(name):
    plain, other = (
        training.fit(built("CNN3-4-0"), TRAIN, VAL, epochs=2, batch=60, **given) for given in ({}, {name: ALL[name]})
    )
    assert list(plain)[-1].history != list(other)[-1].history


@pytest.mark.parametrize("kernels", ["torch", "numba"])
def test_it_goes_on_from_any_epoch_with_the_same_bits_and_its_checkpoint_is_the_one_expected(kernels):
    settings = SETTINGS | {"kernels": kernels}
    whole = [kept(snapshot) for snapshot in training.fit(built("CNN3-8-0.25"), TRAIN, VAL, **settings)]
    for history, tensors in whole[:-1]:
        *_, last = training.fit(built("CNN3-8-0.25", seed=9), TRAIN, VAL, **settings, resume=(history, tensors))
        same_bits(whole[-1], kept(last))
    expected = contents.of_checkpoint(Recipe("CNN3-8-0.25", **settings), best=True)
    assert {name: (tuple(t.shape), t.dtype) for name, t in whole[-1][1].items()} == expected


@pytest.mark.parametrize(("keep", "averaging", "part"), [
    ("last", 0.9, "averaged"), ("last", 0.0, "model"), ("best", 0.9, "best"),
])  # fmt: skip
def test_the_weights_that_are_kept_are_the_averaged_ones_where_there_are_any(keep, averaging, part):
    tensors = {f"{one}.0.weight": one for one in ("model", "averaged", "best")}
    recipe = Recipe("CNN3-8-0.25", keep=keep, averaging=averaging)
    assert job.final_weights(recipe, tensors) == {"0.weight": part}


def test_the_averaged_weights_are_those_validated_and_the_best_are_theirs():
    *_, last = training.fit(model := built("CNN3-8-0"), TRAIN, VAL, **SETTINGS)
    tensors, losses = last.tensors(), [row["val_loss"] for row in last.history]
    best = {name.removeprefix("best."): t for name, t in tensors.items() if name.startswith("best.")}
    model.load_state_dict(best)
    assert training.evaluate(fast.of_bytes(model), *VAL)[0] == pytest.approx(min(losses), rel=1e-5)


def test_every_shipped_run_keeps_its_id_and_its_recipe_as_it_stands_on_disk():
    runs = compare.every(Store(ROOT / "reports" / "reference" / "runs", shipped=False))
    assert len(runs) >= 15 and set(MODERN) <= set(LATER)
    for run in runs:
        written = (run.folder / RECIPE).read_text()
        assert run.recipe.json == written and run.folder.name.endswith(
            hashlib.sha256(written.encode()).hexdigest()[:10]
        )
