"""The networks: the paper's layers, of the shapes and sizes that arithmetic and torch itself give them."""

import itertools

import pytest
import torch
from torch import nn

from fmnist_lib import UserError, models, recipe
from fmnist_lib.recipe import Recipe
from fmnist_lib.study import networks, paper

CNNS = [recipe.cnn_name(k, n, p) for k, n, p in itertools.product(*paper.GRID.values())]
ANNS = ["ANN-Juan-0.1", "ANN-Juan-0.25"]
READINGS = [
    dict(zip(("padding", "activation", "output"), values, strict=True))
    for values in itertools.product(
        *(recipe.RULES[name].schema["enum"] for name in ("padding", "activation", "output"))
    )
]
IMAGES = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def kinds(model):
    return [type(layer).__name__ for layer in model]


COUNTS = {
    "CNN3-512-0.1": 1_204_298, "CNN3-128-0.1": 315_338, "CNN5-512-0.1": 582_218, "CNN5-128-0.1": 184_778,
    "CNN-Nahuel": 1_475_338, "ANN-Juan-0.25": 407_050,
}  # fmt: skip


@pytest.mark.parametrize(("model", "count"), COUNTS.items())
def test_the_networks_have_the_known_number_of_parameters(model, count):
    assert networks.parameters(models.build(model)) == count


@pytest.mark.parametrize("model", CNNS)
def test_the_number_of_parameters_adds_up(model):
    _, arguments = recipe.parse(model)
    k, n = arguments["k"], arguments["n"]
    side = {3: 6, 5: 4}[k]  # by hand: 28 → 28 → 14 → 12 → 6 and 28 → 26 → 13 → 9 → 4
    convolutions = (k * k + 1) * 32 + (32 * k * k + 1) * 64 + 2 * (32 + 64)
    assert networks.parameters(models.build(model)) == convolutions + (64 * side**2 + 1) * n + (n + 1) * 10


def test_the_layers_are_the_papers_in_the_papers_order():
    stage = ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    dense = ["Dropout", "ReLU", "Linear"]
    assert kinds(models.build("CNN3-512-0.1")) == [*stage, *stage, "Flatten", *dense, *dense]
    assert kinds(models.build("CNN-Nahuel")) == [*stage, *stage, "Flatten", *dense, *dense, *dense]
    assert kinds(models.build("ANN-Juan-0.1")) == ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    nahuel = [layer.out_features for layer in models.build("CNN-Nahuel") if isinstance(layer, nn.Linear)]
    assert nahuel == [600, 120, 10]


@pytest.mark.parametrize("model", [*CNNS, "CNN-Nahuel", *ANNS])
def test_every_network_gives_ten_finite_outputs_an_image(model):
    logits = models.build(model)(IMAGES)
    assert logits.shape == (2, 10) and logits.isfinite().all()


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: "-".join(reading.values()))
def test_every_reading_gives_ten_outputs_by_its_own_layers(reading):
    for name in ("CNN3-8-0.25", "CNN5-8-0.25", "CNN-Nahuel", "ANN-Juan-0.25"):
        model = models.build(name, **reading)
        assert model(IMAGES).shape == (2, 10)
        act = {"relu": "ReLU", "leaky_relu": "LeakyReLU"}[reading["activation"]]
        assert {kind for kind in kinds(model) if kind.endswith("ReLU")} == {act}
        after = kinds(model)[max(i for i, layer in enumerate(model) if isinstance(layer, nn.Linear)) + 1 :]
        assert after == {"plain": [], "dropout_relu": ["Dropout", act]}[reading["output"]]
        assert {layer.p for layer in model if isinstance(layer, nn.Dropout)} == {0.25}


def test_dropout_and_relu_after_the_outputs_leave_none_below_zero():
    torch.manual_seed(0)
    assert models.build("CNN3-8-0.1").eval()(IMAGES).min() < 0
    assert models.build("CNN3-8-0.1", output="dropout_relu").eval()(IMAGES).min() == 0


def test_dropout_on_the_pixels_is_one_more_layer_before_the_first_weights():
    plain, noisy = (models.build("ANN-Juan-0.25", input_dropout=switch) for switch in (False, True))
    assert kinds(noisy) == ["Flatten", "Dropout", *kinds(plain)[1:]] and noisy[1].p == 0.25


@pytest.mark.parametrize("padding", recipe.RULES["padding"].schema["enum"])
@pytest.mark.parametrize("k", range(1, 29, 2))
def test_the_flattened_side_is_what_torch_gives_or_refuses(k, padding):
    layers = nn.Sequential(*models.features(k, padding)).eval()
    try:
        with torch.no_grad():
            channels = layers(IMAGES[:1]).numel()
    except RuntimeError:
        with pytest.raises(UserError, match=f"k = {k} does not fit: the (first|second) convolution"):
            recipe.flattened_side(k, padding)
    else:
        assert 64 * recipe.flattened_side(k, padding) ** 2 == channels


@pytest.mark.parametrize("activation", recipe.RULES["activation"].schema["enum"])
def test_dropout_before_or_after_the_activation_in_the_head_is_the_same_function(activation):
    paper = models.build("CNN3-64-0.25", activation=activation)
    head = [*range(9)] + [i for at in (9, 12) for i in (at + 1, at, at + 2)]
    swapped = nn.Sequential(*(paper[i] for i in head))
    assert kinds(swapped) != kinds(paper)
    outputs = []
    for model in (paper, swapped):
        torch.manual_seed(0)  # so the same values are dropped
        outputs.append(model.train()(IMAGES))
    assert not torch.equal(outputs[0], paper.eval()(IMAGES))  # something was dropped
    assert torch.allclose(outputs[0], outputs[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["CNN3-8-0.1", "CNN5-16-0.25", "CNN-Nahuel", "ANN-Juan-0.1"])
def test_the_layers_listed_have_the_shapes_that_hooks_see(name):
    model, seen = models.build(name), []
    hooks = [layer.register_forward_hook(lambda *call: seen.append(tuple(call[2].shape[1:]))) for layer in model]
    listed = networks.layers(model)
    for hook in hooks:
        hook.remove()
    assert [shape for _, shape in listed] == seen
    assert [text.split()[0] for text, _ in listed] == kinds(model)
    assert listed[-1] == ("Linear", (10,))


def test_a_layer_is_listed_with_its_channels_its_kernel_and_its_dropout():
    names = [name for name, _ in networks.layers(models.build("CNN5-16-0.25"))]
    assert [name for name in names if " " in name] == [
        "Conv2d 1→32, 5×5", "MaxPool2d 2×2", "Conv2d 32→64, 5×5", "MaxPool2d 2×2", "Dropout 0.25", "Dropout 0.25",
    ]  # fmt: skip


def test_the_layers_listed_leave_the_model_as_it_was():
    model = models.build("CNN3-8-0.1")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    networks.layers(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_listing_the_layers_leaves_the_model_as_it_was(training):
    model = models.build("CNN3-16-0.1").train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    networks.layers(model)
    assert all(layer.training == training for layer in model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_kernel_of_cnn_nahuel_is_a_reading_of_its_own_and_its_default_changes_no_id():
    by_hand, plain = Recipe("CNN-Nahuel", nahuel_k=5), Recipe("CNN-Nahuel")
    assert [layer.kernel_size for layer in models.of(by_hand) if isinstance(layer, nn.Conv2d)] == [(5, 5)] * 2
    assert models.of(by_hand)[9 + 2].in_features == 64 * 4 * 4  # 28 → 26 → 13 → 9 → 4
    assert "nahuel_k" not in plain.json and by_hand.id != plain.id == Recipe("CNN-Nahuel", nahuel_k=3).id
    for wrong in ({"nahuel_k": 4}, {"nahuel_k": 11}, {"model": "CNN3-8-0.1", "nahuel_k": 5}):
        with pytest.raises(UserError, match=r"k = (4|11|5)"):
            Recipe(**{"model": "CNN-Nahuel"} | wrong)
