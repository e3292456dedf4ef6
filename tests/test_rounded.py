"""Products of bf16 on a CPU without the instruction, against fp64 products of the rounded operands."""

import copy

import pytest
import torch
from torch import nn

from fmnist_lib import kernels as fast
from fmnist_lib import models
from fmnist_lib.kernels import rounded
from fmnist_lib.kernels.rounded import Rounded


def bf16(tensor):
    """Return a tensor rounded to bf16, in fp64."""
    return tensor.detach().bfloat16().double()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 3), (20, 4, 9, 9)),
        (nn.Conv2d(1, 4, 7), (20, 1, 28, 28)),
        (nn.Conv2d(3, 5, 5, padding=1), (20, 3, 8, 8)),
        (nn.Linear(300, 70), (50, 300)),
    ],
)
def test_values_and_gradients_are_the_exact_ones_of_rounded_operands_rounded_once(layer, shape):
    torch.manual_seed(0)
    layer, x = layer.to(memory_format=torch.channels_last), torch.randn(shape, requires_grad=True)
    exact, exact_x = copy.deepcopy(layer).double(), bf16(x).requires_grad_()
    for to, of in zip(exact.parameters(), layer.parameters(), strict=True):
        to.data = bf16(of)
    with torch.autocast("cpu", torch.bfloat16):
        y = Rounded(layer)(x)
    assert y.dtype == torch.bfloat16
    gradient = torch.randn(y.shape).bfloat16()
    y.backward(gradient)
    expected = exact(exact_x)
    expected.backward(gradient.double())
    pairs = [(y, expected), (x.grad, exact_x.grad), (layer.weight.grad, exact.weight.grad)]
    for value, true in [*pairs, (layer.bias.grad, exact.bias.grad)]:
        same = value.double() == bf16(true)
        assert same.double().mean() > 0.99  # a sum near the middle of two bf16 values may fall to either
        assert torch.allclose(value.double(), true, rtol=2**-8, atol=1e-5 * true.abs().max().item())


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 3), nn.Linear(6, 5)])
def test_without_autocast_it_is_the_layer_itself(layer):
    x = torch.randn(4, 2, 6, 6)
    assert torch.equal(Rounded(layer)(x), layer(x))


@pytest.mark.parametrize("kernels", ["torch", "numba"])
@pytest.mark.parametrize("native", [True, False])
def test_products_are_rounded_only_where_the_processor_has_no_instruction(kernels, native, monkeypatch):
    monkeypatch.setattr(rounded, "multiplied_here", lambda: native)
    model = models.cnn(3, 16, 0.1)
    network = fast.faster(model, kernels=kernels)
    inside = {type(layer) for layer in network}
    assert (Rounded in inside) is not native
    assert (nn.Linear in inside) is native and (nn.Conv2d in inside) is native
    assert {id(p) for p in network.parameters()} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(("avx512", "amx"), [(False, False), (True, False), (False, True)])
def test_avx512_bf16_or_amx_is_an_instruction_for_it(avx512, amx, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert rounded.multiplied_here() is (avx512 or amx)


def test_it_stays_in_the_mode_it_was_in():
    assert not rounded.in_fp32(nn.Sequential(nn.Linear(2, 2)).eval()).training
    assert rounded.in_fp32(nn.Sequential(nn.Linear(2, 2)).train()).training
