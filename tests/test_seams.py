"""The seams: what a recipe says is what trains, what is kept and what meets the test images."""

import ast
import hashlib
import shlex
import signal
import time
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from bs4 import BeautifulSoup
from mutants import listed
from test_tables_stats import scored, trained
from torch import nn

from fmnist_lib import ROOT, UserError, data, machine, models, training
from fmnist_lib.commands import predict, report
from fmnist_lib.commands.line import main
from fmnist_lib.press.display import Table
from fmnist_lib.recipe import NUMERICS, Recipe
from fmnist_lib.runs import checkpoint, contents, job, record
from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers, parameters, protocol, provenance, results, stats, tables

HERE = machine.environment("cpu")
TRAIN, TEST = 60_000, 10_000
SMALL = {"train_images": 300, "val_images": 100, "batch": 100, "epochs": 2}


@pytest.fixture(autouse=True)
def one_thread():
    yield
    machine.prepare()


def flat(tensors) -> torch.Tensor:
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def digest(tensors) -> str:
    return hashlib.sha256(flat(tensors).numpy().tobytes()).hexdigest()


# What a recipe says, and what the training receives


def telling(part: str, device: str = "cpu", data_dir=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images whose pixels tell which they are and of which part, with labels that follow from that."""
    n = {"train": TRAIN, "test": TEST}[part]
    index, images = torch.arange(n), torch.zeros(n, 1, 1, 3, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = index // 256, index % 256
    images[:, 0, 0, 2] = part == "test"
    return images, label_of(index)


def label_of(index):
    return index * 7 // 3 % 10


def whose(images, labels) -> tuple[set[int], list[int]]:
    """Read back of which part these images are and which, each with its own label."""
    pixels = images[:, 0, 0].long()
    index = pixels[:, 0] * 256 + pixels[:, 1]
    assert torch.equal(labels, label_of(index))
    return set(pixels[:, 2].tolist()), index.tolist()


@pytest.fixture(scope="module")
def told():
    return {part: telling(part) for part in ("train", "test")}


@pytest.fixture
def reached(told, tmp_path, monkeypatch):
    """Return a function of a recipe: what reaches its training, by name, and which weights are kept of it."""
    asked, seen = set(), {}

    def load(part, device, data_dir):
        asked.add(device)
        return told[part]

    def to(module, device):
        asked.add(device)
        return module

    def fit(model, train, val, **settings):
        seen.update(settings, network=str(model), weights=digest(model.parameters()), threads=torch.get_num_threads())
        seen.update(train=whose(*train), val=whose(*val))
        rows = [dict(epoch=e, train_loss=1 / e, val_loss=1 / e, val_accuracy=0.0) for e in range(1, 1 + seen["epochs"])]
        state = model.state_dict().items()
        tensors = {f"model.{name}": torch.ones_like(t) for name, t in state}
        tensors |= {f"best.{name}": torch.zeros_like(t) for name, t in state}
        yield training.Snapshot(rows, lambda: tensors)

    def run(recipe: Recipe) -> dict:
        seen.clear(), asked.clear()
        job.train_one(recipe, store := Store(tmp_path), tmp_path)
        kept = {float(t.max()) for t in store.find(recipe).weights().values()}
        return {**seen, "device": set(asked), "keep": kept}

    monkeypatch.setattr(job, "loaded", load)
    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(machine, "environment", lambda device: HERE)
    monkeypatch.setattr(nn.Module, "to", to)
    return run


CNN, ANN = Recipe("CNN3-8-0.25", **SMALL), Recipe("ANN-Juan-0.25", **SMALL)
NAHUEL = Recipe("CNN-Nahuel", **SMALL)
WHOLE = replace(CNN, train_images=50_000, val_images=10_000)
CHANGED = {  # field: from which recipe, to what, and what of `reached` is then another
    "model": (CNN, "CNN3-9-0.25", {"network", "weights"}),
    "padding": (CNN, "same", {"network", "weights"}),
    "activation": (CNN, "leaky_relu", {"network"}),
    "output": (CNN, "dropout_relu", {"network"}),
    "input_dropout": (ANN, True, {"network"}),
    "nahuel_k": (NAHUEL, 5, {"network", "weights"}),
    "train_images": (CNN, 200, {"train", "val"}),
    "val_images": (CNN, 50, {"val"}),
    "split_seed": (CNN, 7, {"train", "val"}),
    "folds": (WHOLE, 6, {"train", "val"}),
    "fold": (replace(WHOLE, folds=6), 1, {"train", "val"}),
    "validate_on": (CNN, "test", {"val"}),
    "scaling": (CNN, "standardised", {"scaling"}),
    "shuffle": (CNN, False, {"shuffle"}),
    "batch": (CNN, 60, {"batch"}),
    "epochs": (CNN, 3, {"epochs"}),
    "optimizer": (CNN, "adamw", {"optimizer"}),
    "lr": (CNN, 0.01, {"lr"}),
    "momentum": (replace(CNN, optimizer="sgd"), 0.9, {"momentum"}),
    "patience": (CNN, 5, {"patience"}),
    "schedule": (CNN, "one-cycle", {"schedule"}),
    "smoothing": (CNN, 0.1, {"smoothing"}),
    "flips": (CNN, True, {"flips"}),
    "shifts": (CNN, 2, {"shifts"}),
    "averaging": (CNN, 0.9, {"averaging"}),
    "keep": (CNN, "last", {"keep"}),
    "weights_seed": (CNN, 1, {"weights"}),
    "order_seed": (CNN, 1, {"order_seed"}),
    "dropout_seed": (CNN, 1, {"dropout_seed"}),
    "device": (CNN, "cuda", {"device"}),
    "precision": (CNN, "bf16", {"precision"}),
    "kernels": (CNN, "numba", {"kernels"}),
    "threads": (CNN, 2, {"threads"}),
}


def test_every_field_of_a_recipe_is_watched():
    named = [field.name for field in fields(Recipe) if field.name != "data_set"]  # which has one value in one house
    assert [*CHANGED, "numerics"] == named


def test_no_training_bears_the_name_of_an_engine_that_is_not_this_one(reached, tmp_path):
    with pytest.raises(UserError, match=f"computed by engine 1, and this is engine {NUMERICS}"):
        reached(replace(CNN, numerics=1))
    assert not list(tmp_path.glob("[!.]*"))


def test_a_run_says_when_it_was_finished_in_utc_wherever_it_is(reached, tmp_path, monkeypatch):
    monkeypatch.setattr(job.time, "localtime", lambda *_: time.gmtime(0))
    reached(CNN)
    finished = datetime.fromisoformat(Store(tmp_path).find(CNN).record["finished"])
    assert abs(datetime.now(UTC) - finished) < timedelta(minutes=1)


@pytest.mark.parametrize("name", CHANGED)
def test_each_field_of_a_recipe_reaches_its_own_place_and_no_other(reached, name):
    recipe, value, places = CHANGED[name]
    before, after = reached(recipe), reached(replace(recipe, **{name: value}))
    assert {place for place in before if before[place] != after[place]} == places
    for place in places - {"network", "weights", "train", "val"}:
        told = {"keep": {"best": {0.0}, "last": {1.0}}}.get(place, {})
        of_device = {name} if place != "device" else None
        for made, said in ((before, getattr(recipe, name)), (after, value)):
            assert made[place] == (told.get(said, said) if of_device else {said})


def test_train_and_validation_images_are_those_of_pytorchs_own_split(reached):
    draw = torch.Generator().manual_seed(CNN.split_seed)
    train, val, _ = torch.utils.data.random_split(range(TRAIN), [300, 100, TRAIN - 400], draw)
    found = reached(CNN)
    assert found["train"] == ({0}, list(train)) and found["val"] == ({0}, list(val))
    assert reached(replace(CNN, validate_on="test"))["val"] == ({1}, list(range(TEST)))


def test_the_folds_are_disjoint_whole_and_parts_of_one_shuffled_list(reached):
    folds = [reached(replace(WHOLE, folds=6, fold=i)) for i in range(6)]
    shuffled = torch.randperm(TRAIN, generator=torch.Generator().manual_seed(WHOLE.split_seed)).tolist()
    assert [i for found in folds for i in found["val"][1]] == shuffled
    assert all(set(found["train"][1]).isdisjoint(found["val"][1]) for found in folds)
    assert all(len(found["train"][1]) == 50_000 for found in folds)


# Trained as a plain loop trains it


class Drop(nn.Module):
    """Dropout by 16 bits a value out of draws of 64, as the numerics of this version have it."""

    def __init__(self, p, kernels):
        super().__init__()
        self.dropped, self.kernels = round(p * 65_536), kernels

    def forward(self, x):
        if not self.training:
            return x
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        bits = drawn[: x.numel()].view(x.shape).int()
        bits = bits % 65_536 if self.kernels == "numba" else bits + 32_768
        return x * (bits >= self.dropped) * (65_536 / (65_536 - self.dropped))


def network(recipe) -> nn.Sequential:
    """Build a recipe's network from what the paper says and the recipe's readings, layer by layer."""
    act = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}[recipe.activation]
    family, *numbers = recipe.model.replace("-Juan", "").replace("-Nahuel", "").split("-")
    p = 0.25 if recipe.model == "CNN-Nahuel" else float(numbers[-1])

    def dense(*widths):
        pairs = zip(widths, [*widths[1:], 10], strict=True)
        return [layer for pair in pairs for layer in (Drop(p, recipe.kernels), act(), nn.Linear(*pair))]

    if family == "ANN":
        noise = [Drop(p, recipe.kernels)] if recipe.input_dropout else []
        layers = [nn.Flatten(), *noise, nn.Linear(784, 512), act(), Drop(p, recipe.kernels), nn.Linear(512, 10)]
    else:
        k = int(family[3:] or recipe.nahuel_k)
        pads = {"1,0": (1, 0), "0,0": (0, 0), "same": (k // 2, k // 2)}[recipe.padding]
        widths = [600, 120] if recipe.model == "CNN-Nahuel" else [int(numbers[0])]
        side = 28
        for pad in pads:
            side = (side + 2 * pad - k + 1) // 2
        layers = [
            nn.Conv2d(1, 32, k, padding=pads[0]), nn.BatchNorm2d(32), act(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, k, padding=pads[1]), nn.BatchNorm2d(64), act(), nn.MaxPool2d(2),
            nn.Flatten(), *dense(64 * side * side, *widths),
        ]  # fmt: skip
    after = [Drop(p, recipe.kernels), act()] if recipe.output == "dropout_relu" else []
    return nn.Sequential(*layers, *after)


def order(weights: dict) -> list[str]:
    """Sort the names of weights, which a file has by the alphabet, as a network has them."""
    last = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    return sorted(weights, key=lambda name: (int(name.split(".")[0]), last.index(name.split(".")[1])))


def seeded(seed: int, stream: int, epoch: int = 0):
    torch.manual_seed(int(np.random.SeedSequence([seed, stream, epoch]).generate_state(1, np.uint64)[0]))


def plain(recipe, data_dir) -> tuple[list[tuple], dict]:
    """Train a recipe as a tutorial does; return (train loss, validation loss, accuracy) an epoch, and what is kept."""
    mean, deviation = {"unit": (0, 1), "standardised": (0.2860, 0.3530)}[recipe.scaling]
    (images, labels), test = data.load("train", data_dir=data_dir), data.load("test", data_dir=data_dir)
    draw = torch.Generator().manual_seed(recipe.split_seed)
    sizes = [recipe.train_images, recipe.val_images, TRAIN - recipe.train_images - recipe.val_images]
    train, val, _ = (list(part) for part in torch.utils.data.random_split(range(TRAIN), sizes, draw))
    validation = test if recipe.validate_on == "test" else (images[val], labels[val])
    x, y, (x_val, y_val) = (images[train].float() / 255 - mean) / deviation, labels[train], validation
    x_val = (x_val.float() / 255 - mean) / deviation
    seeded(recipe.weights_seed, 0)
    model = network(recipe)
    made = {
        "adamw": lambda: torch.optim.AdamW(model.parameters(), lr=recipe.lr),
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=recipe.lr),
        "sgd": lambda: torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, nesterov=True),
    }
    stepper, rows, states = made[recipe.optimizer](), [], []
    for epoch in range(1, recipe.epochs + 1):
        seeded(recipe.order_seed, 1, epoch)
        order = torch.randperm(len(x)) if recipe.shuffle else torch.arange(len(x))
        seeded(recipe.dropout_seed, 2, epoch)
        total, model = 0.0, model.train()
        for index in order.split(recipe.batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                logits = model(x[index])
            loss = F.cross_entropy(logits.float(), y[index])
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            total += loss.item() * len(index)
        with torch.no_grad():
            logits = model.eval()(x_val)
        accuracy = (logits.argmax(1) == y_val).double().mean().item()
        rows.append((total / len(x), F.cross_entropy(logits, y_val).item(), accuracy))
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        losses = [row[1] for row in rows]
        if recipe.patience and epoch - 1 - losses.index(min(losses)) >= recipe.patience:
            break
    return rows, states[losses.index(min(losses)) if recipe.keep == "best" else -1]


OFF = {"train_images": 210, "val_images": 90, "split_seed": 7, "weights_seed": 1, "order_seed": 2, "dropout_seed": 3}
OFF |= {"activation": "leaky_relu", "scaling": "standardised", "epochs": 4, "threads": 1}
KINDS = {
    "CNN3": Recipe("CNN3-24-0.2", **OFF, padding="same", output="dropout_relu", batch=60, shuffle=False, keep="last",
                   optimizer="sgd", lr=0.02, momentum=0.8, kernels="numba"),
    "CNN5": Recipe("CNN5-24-0.2", **OFF, padding="0,0", batch=80, optimizer="adamw", lr=0.002, patience=3),
    "Nahuel": Recipe("CNN-Nahuel", **OFF, nahuel_k=5, padding="same", batch=90, optimizer="sgd", lr=0.01, momentum=0.7,
                     patience=3, kernels="numba", precision="bf16"),
    "ANN": Recipe("ANN-Juan-0.2", **OFF, input_dropout=True, output="dropout_relu", batch=60, optimizer="adamw",
                  lr=0.002, patience=1, validate_on="test", shuffle=False),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_off_every_default_trains_as_a_plain_loop_written_from_it_alone(kind, tmp_path, data_dir):
    recipe = KINDS[kind]
    machine.prepare()
    rows, weights = plain(recipe, data_dir)
    job.train_one(recipe, store := Store(tmp_path), data_dir)
    run = store.find(recipe)
    ours = run.history[["train_loss", "val_loss", "val_accuracy"]].to_numpy()
    near, few = {"Nahuel": 0.01, "ANN": 2e-5}.get(kind, 0.001), 2.5 / recipe.val_images  # the one is bf16
    assert len(ours) == len(rows)
    assert np.abs(ours - rows)[:, :2].max() < near and np.abs(ours - rows)[:, 2].max() <= few
    kept = run.weights()
    both = flat(weights.values()), flat(kept[name] for name in order(kept))
    assert (both[0] - both[1]).norm() < 3 * near * both[0].norm()


# The numbers of this version

GOLDEN = {  # numerics: the losses (training, validation) of two epochs, for each network, precision and kernels
    2: {
        ("CNN3-8-0.25", "fp32", "torch"): [2.36385, 2.32097, 2.3103, 2.32075],
        ("CNN3-8-0.25", "fp32", "numba"): [2.37812, 2.32073, 2.31282, 2.32045],
        ("CNN3-8-0.25", "bf16", "numba"): [2.3782, 2.32073, 2.31279, 2.32045],
        ("CNN5-8-0.1", "fp32", "torch"): [2.3469, 2.30202, 2.29813, 2.29737],
        ("CNN5-8-0.1", "fp32", "numba"): [2.33828, 2.30068, 2.23775, 2.29465],
        ("CNN5-8-0.1", "bf16", "numba"): [2.34236, 2.3009, 2.24268, 2.29456],
        ("ANN-Juan-0.25", "fp32", "torch"): [2.37354, 2.42176, 2.28085, 2.32976],
        ("ANN-Juan-0.25", "fp32", "numba"): [2.35116, 2.3947, 2.27333, 2.32484],
        ("ANN-Juan-0.25", "bf16", "numba"): [2.3511, 2.39469, 2.27315, 2.3218],
    },
}


@pytest.mark.parametrize("model", ["CNN3-8-0.25", "CNN5-8-0.1", "ANN-Juan-0.25"])
@pytest.mark.parametrize(("precision", "kernels"), [("fp32", "torch"), ("fp32", "numba"), ("bf16", "numba")])
def test_losses_are_those_of_this_version_of_the_numerics(model, precision, kernels):
    """Where they are not, `recipe.NUMERICS` is to be raised and the new ones are to be written beside the old."""
    machine.prepare()
    draw = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (320, 1, 28, 28), generator=draw, dtype=torch.uint8)
    labels = torch.randint(0, 10, (320,), generator=draw)
    with training.stream("weights", 0):
        network = models.build(model)
    train, val = (images[:240], labels[:240]), (images[240:], labels[240:])
    *_, last = training.fit(network, train, val, epochs=2, batch=50, precision=precision, kernels=kernels)
    found = [value for row in last.history for value in (row["train_loss"], row["val_loss"])]
    assert found == pytest.approx(
        GOLDEN[NUMERICS][model, precision, kernels], abs=1e-2 if precision == "bf16" else 2e-4
    )


# Going on


def test_a_training_goes_on_from_its_checkpoint_and_keeps_its_seconds(tmp_path, data_dir, monkeypatch):
    recipe, store, begun = replace(ANN, epochs=3), Store(tmp_path), []
    *_, last = training.fit(*job.prepared(recipe, data_dir), **job.settings(replace(recipe, epochs=1)))
    checkpoint.write(store.place(recipe), recipe, last.history, last.tensors(), 1000.0)
    fit = training.fit
    monkeypatch.setattr(training, "fit", lambda *a, resume, **k: (begun.append(resume), fit(*a, resume=resume, **k))[1])
    job.train_one(recipe, store, data_dir)
    (resumed,) = begun
    assert len(resumed[0]) == 1 and resumed[1].keys() == last.tensors().keys()
    assert 1000 < store.find(recipe).record["seconds"] < 1100


def test_a_checkpoint_is_written_while_there_is_more_to_train_and_holds_the_seconds(tmp_path, data_dir, monkeypatch):
    recipe, wrote, write = replace(ANN, epochs=3), [], checkpoint.write
    monkeypatch.setattr(job, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "write", lambda *given: (wrote.append((len(given[2]), given[4])), write(*given)))
    job.train_one(recipe, Store(tmp_path), data_dir)
    assert [epochs for epochs, _ in wrote] == [1, 2] and all(0 < seconds < 100 for _, seconds in wrote)


# What meets the test images


@pytest.mark.parametrize("scaling", ["unit", "standardised"])
@pytest.mark.parametrize("model", ["ANN-Juan-0.25", "CNN3-4-0.25"])
def test_what_a_run_says_of_the_test_images_is_what_its_network_says_in_its_readings(
    tmp_path, monkeypatch, model, scaling
):
    readings = {"activation": "leaky_relu", "output": "dropout_relu", "scaling": scaling}
    recipe = Recipe(model, **readings, epochs=1, keep="last", padding="same")
    torch.manual_seed(3)
    by_hand = network(recipe)
    rows = [{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5}]
    times = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}
    run = Store(tmp_path).write(recipe, rows, by_hand.state_dict(), times, (HERE, record.source()))
    images, labels = torch.randint(0, 256, (TEST, 1, 28, 28), dtype=torch.uint8), torch.arange(TEST) % 10
    monkeypatch.setattr(data, "load", lambda part, **_: {"test": (images, labels)}[part])
    said = answers.on_test(run)
    mean, deviation = {"unit": (0, 1), "standardised": (0.2860, 0.3530)}[scaling]
    with torch.no_grad():
        logits = by_hand.eval()((images[:500].float() / 255 - mean) / deviation)
        assert torch.allclose(answers.network(run)(images[:9] / 255), by_hand(images[:9] / 255), atol=1e-5)
    assert said["label"].tolist() == labels.tolist()
    assert (said["predicted"][:500].to_numpy() == logits.argmax(1).numpy()).mean() > 0.99
    loss = F.cross_entropy(logits, labels[:500], reduction="none").numpy()
    assert np.abs(said["loss"][:500] - loss).max() < 1e-4
    assert np.abs(said["probability"][:500] - logits.softmax(1).max(1).values.numpy()).max() < 1e-4
    for classes, row in zip(predict.classify(run, images[:9]), logits[:9].softmax(1), strict=True):
        assert dict(classes) == pytest.approx(dict(zip(data.CLASSES, row.tolist(), strict=True)), abs=1e-4)
        assert [p for _, p in classes] == sorted((p for _, p in classes), reverse=True)
    pd.testing.assert_frame_equal(contents.parse_answers(contents.pack_answers(said)), said)


# What a study asks, and where its numbers stand


def test_a_search_and_its_retraining_are_those_that_were_registered():
    params = PAPERS | {"patience": 15}
    search = protocol.search("CNN3-128-0.1", params, 3)
    seeds = {"weights_seed": 3, "order_seed": 3, "dropout_seed": 3}
    assert search == Recipe("CNN3-128-0.1", **seeds, split_seed=45, patience=15)
    assert protocol.search("CNN3-512-0.1", params, 3) == Recipe("CNN3-512-0.1", **seeds, split_seed=45)
    again = {name: 1003 for name in seeds} | {"epochs": 7, "patience": 0, "keep": "last"}
    assert protocol.retraining(search, 7, params) == replace(search, **again)


def test_the_table_of_retrainings_keeps_search_and_retraining_apart(tmp_path):
    search = trained(tmp_path, "CNN3-512-0.1", losses=(0.3, 0.2, 0.4), accuracies=[0.7, 0.8, 0.9])
    fields = {"split_seed": 42, "keep": "last"}
    again = trained(tmp_path, "CNN3-512-0.1", 1000, (0.25, 0.35), [0.6, 0.5], **fields)
    (row,) = tables.retraining(results.frame([search, again])).to_dict("records")
    assert (row["loss, search"], row["loss, retraining"], row["epochs"]) == (0.2, 0.35, 2)
    assert (row["accuracy, search [%]"], row["accuracy, retraining [%]"]) == pytest.approx((80.0, 50.0))


def test_what_is_drawn_beside_the_paper_is_ours_under_ours(tmp_path):
    frame = results.frame([scored(tmp_path, "CNN3-512-0.1", accuracy=0.92)])
    shown = stats.with_intervals(tables.table_1(frame, 1), tables.validation(frame), 10_000).iloc[0]
    assert (shown["paper"], shown["ours"]) == pytest.approx((92.44, 92.0))


def test_markup_in_any_cell_of_a_table_is_its_text():
    hostile = '<script>alert("1")</script> & <b>'
    table = Table(pd.DataFrame({hostile: [hostile], "cell": [hostile]}), "tab-x", "Caption.")
    soup = BeautifulSoup(table.data["text/html"], "html.parser")
    assert [cell.get_text() for cell in soup.select("td, tbody th")] == [hostile, hostile]
    assert soup.find("th").get_text() == hostile and not soup.find(["script", "b"])


# What is not the paper's protocol says so

DEPARTED = {
    "k": [3, 5, 7], "n": [128], "p": [0.1], "ann_p": [0.25], "padding": "same", "activation": "leaky_relu",
    "output": "dropout_relu", "input_dropout": True, "nahuel_k": 5, "train_images": 49_000, "val_images": 9_000,
    "folds": 6, "fold": 1, "validate_on": "test", "scaling": "standardised", "shuffle": False, "batch": 499,
    "epochs": 49, "optimizer": "adamw", "lr": 0.0011, "momentum": 0.1, "patience": 14, "retrain_images": 60_000,
    "schedule": "one-cycle", "smoothing": 0.1, "flips": True, "shifts": 2, "averaging": 0.9, "retrain_seed": 0,
}  # fmt: skip
FREE = {"device": "cuda", "precision": "bf16", "kernels": "numba", "language": "es", "seed": [3]}
FREE |= dict.fromkeys(("split_seed", "weights_seed", "order_seed", "dropout_seed"), 1)
PAPERS = protocol.DEFAULTS | {"device": "cpu", "precision": "fp32", "kernels": "torch"}


def test_the_stamp_calls_the_papers_protocol_what_differs_in_nothing_that_the_paper_fixes():
    assert DEPARTED.keys() | FREE.keys() == protocol.DEFAULTS.keys()
    for name, value in FREE.items():
        assert protocol.stamp(PAPERS | {name: value}).startswith("The paper's protocol")


@pytest.mark.parametrize("name", DEPARTED)
def test_the_stamp_calls_no_other_protocol_the_papers_and_one_that_trains_less_quick(name):
    less = name in ("n", "p", "ann_p", "train_images", "val_images", "epochs")
    title = "QUICK RUN, not the paper's protocol" if less else "Another protocol than the paper's"
    assert protocol.stamp(PAPERS | {name: DEPARTED[name]}).startswith(title)


# What is printed makes what it stands in

GIVEN = [{}, {"seed": list(range(11, 21))}, {"epochs": 2, "language": "es", "k": [5]}, {"nahuel_k": 5, "patience": 15}]
GIVEN += [{"runs_dir": "a folder's"}, {"precision": "fp32", "out": "reports/mine"}]


@pytest.mark.parametrize("file", ["quick", "paper", "rigorous"])
@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_the_command_that_a_report_prints_makes_that_report(file, given, monkeypatch, tmp_path):
    def out_of(path, overrides):
        own = parameters.checked(parameters.read_file(path) | overrides).get("out")
        return own or str(ROOT / "reports" / report.named(path, parameters.read_file(path) | overrides, overrides))

    path, made = ROOT / "params" / f"{file}.yaml", []
    values = parameters.read_file(path) | given
    printed = provenance.command(parameters.checked(values | {"out": out_of(path, given)}))
    monkeypatch.setattr(report, "make", lambda *asked: made.append(asked) or tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main(shlex.split(printed.removeprefix("python -m fmnist_lib "))) == 0
    ((name, overrides),) = made
    again, first = (
        parameters.checked(protocol.DEFAULTS | some) for some in (parameters.read_file(ROOT / name) | overrides, values)
    )
    assert {**again, "out": None} == {**first, "out": None}
    assert out_of(ROOT / name, overrides) == out_of(path, given)


def test_the_reference_is_made_by_its_own_command():
    assert provenance.command({"out": str(ROOT / "reports" / "reference")}) == "python -m fmnist_lib reference"


# The list of wrong changes


def test_every_wrong_change_of_the_list_still_fits_the_code():
    mutants = listed()
    assert len(mutants) >= 80 and [mutant for mutant in mutants if mutant.stale] == []
    for mutant in (each for each in mutants if each.file.endswith(".py")):  # what is no Python says nothing
        ast.parse((ROOT / mutant.file).read_text("utf-8").replace(mutant.before, mutant.after), mutant.what)
