"""What the benchmark counts is what PyTorch counts, what it times is done, and its floors are judged by their rule."""

import contextlib
import io
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import torch.nn.functional as F
from statsmodels.stats.weightstats import DescrStatsW
from torch.utils.flop_counter import FlopCounterMode

from fmnist_lib import UserError, machine, models
from fmnist_lib.commands import benchmark, floors, runs, scaling
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import job
from fmnist_lib.runs.store import Store
from fmnist_lib.study import networks, parameters

MODELS = ["CNN3-512-0.1", "CNN5-128-0.25", "CNN-Nahuel", "ANN-Juan-0.1"]
BATCH = 6
SMALL = Recipe("CNN3-4-0.1", train_images=100, val_images=0, keep="last", batch=50, epochs=3)
ASKED = {"model": "CNN3-512-0.1", "device": "cpu", "repeats": 2, "batch": 500, "train_images": 50_000}
ASKED |= {"pair_epochs": 3, "pair_images": 20_000, "pair_seeds": 5, "val_images": 10_000}


# What a step costs


@pytest.mark.parametrize("name", MODELS)
def test_the_operations_of_a_step_are_those_that_pytorch_counts(name):
    model = models.build(name).train()
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(torch.rand(BATCH, 1, 28, 28)), torch.arange(BATCH)).backward()
    assert sum(networks.flop(model)) * BATCH == counter.get_total_flops()


# What is timed is done


def clock(*seconds):
    return SimpleNamespace(perf_counter=iter(seconds).__next__)


def test_a_product_of_matrices_is_two_operations_for_each_of_its_multiplications(monkeypatch):
    a = torch.rand(512, 512)
    with FlopCounterMode(display=False) as counter:
        a @ a
    work = 100 * counter.get_total_flops() / 1e9
    monkeypatch.setattr(benchmark.timeit, "repeat", lambda *_, number, repeat: [9.0, 0.5, 2.0])
    assert benchmark.product_rates("fp32", "cpu", 2) == pytest.approx([work / 0.5, work / 2.0])


def test_a_product_is_of_matrices_in_the_precision_that_is_asked_for(monkeypatch):
    monkeypatch.setattr(benchmark, "_rates", lambda call, *_: call().dtype)
    made = [benchmark.product_rates(precision, "cpu", 2) for precision in ("fp32", "bf16")]
    assert made == [torch.float32, torch.bfloat16]


def test_the_rates_of_processes_that_work_at_the_same_time_add_up_repeat_by_repeat():
    both = threading.Barrier(2, timeout=2)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert benchmark.together([one, other], lambda: both.wait() >= 0 and [1.0, 2.0, 4.0]) == [2.0, 4.0, 8.0]


def test_a_card_has_one_process_and_a_processor_one_a_core(monkeypatch):
    monkeypatch.setattr(benchmark, "processes", lambda n: SimpleNamespace(submit=lambda _: n))
    monkeypatch.setattr(benchmark, "wait", lambda asked: None)
    monkeypatch.setattr(benchmark, "cores", lambda: 3)
    assert [len(benchmark.start(device)) for device in ("cpu", "cuda")] == [3, 1]


def test_what_is_timed_is_training_alone_once_the_data_are_loaded(data_dir, monkeypatch):
    done = []
    monkeypatch.setattr(benchmark, "time", SimpleNamespace(perf_counter=lambda: done.append("clock") or len(done)))
    monkeypatch.setattr(job, "loaded", lambda *_: done.append("data"))
    monkeypatch.setattr(job, "prepared", lambda *_: ())
    monkeypatch.setattr(benchmark.training, "fit", lambda **_: done.append("fit") or ())
    assert benchmark.seconds([SMALL, SMALL], data_dir) > 0 and done == ["data", "clock", "fit", "fit", "clock"]
    for recipe in benchmark.timed(ASKED).values():
        assert (recipe.epochs, recipe.val_images, recipe.train_images) == (ASKED["repeats"] + 1, 0, 50_000)
    assert {recipe.kernels for recipe in benchmark.timed(ASKED | {"kernels": "torch"}).values()} == {"torch"}


def test_the_tutorial_loop_takes_every_step_in_fp32_with_pytorchs_own_defaults(data_dir, monkeypatch):
    steps, threads = [], torch.get_num_threads()

    class Adam(torch.optim.Adam):
        def step(self):
            (group,) = self.param_groups
            steps.append((group["lr"], group["fused"], {p.dtype for p in group["params"]}, torch.get_num_threads()))
            super().step()

    monkeypatch.setattr(torch.optim, "Adam", Adam)
    monkeypatch.setattr(benchmark, "time", clock(9.0, 11.0, 15.0))
    assert benchmark.tutorial_rates(SMALL, data_dir) == [100 / 2, 100 / 4]
    assert steps == [(0.001, None, {torch.float32}, threads)] * 6


def test_the_engine_is_timed_over_every_epoch_but_the_first(data_dir):
    rates = benchmark.engine_rates(SMALL, data_dir)
    assert len(rates) == SMALL.epochs - 1 and min(rates) > 0


def test_the_parts_of_a_step_are_all_of_it(data_dir):
    shares = benchmark.step_parts(replace(SMALL, kernels="numba"), data_dir)
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0 and {f"a step: {part}" for part in shares} <= floors.QUANTITIES.keys()


def test_epochs_on_both_kinds_of_layers_are_timed_in_turn(data_dir):
    ratios = benchmark.compiled_ratios(replace(SMALL, kernels="numba"), data_dir)
    assert len(ratios) == SMALL.epochs - 1 and min(ratios) > 0


def test_the_ratio_of_two_epochs_is_the_time_of_pytorchs_own_layers_by_that_of_the_compiled_ones(data_dir, monkeypatch):
    trained = []
    monkeypatch.setattr(job, "prepared", lambda recipe, _: ())
    monkeypatch.setattr(benchmark.training, "fit", lambda **given: trained.append(given["kernels"]) or iter("123"))
    monkeypatch.setattr(benchmark, "time", clock(0.0, 9.0, 18.0, 21.0, 22.0, 26.0, 28.0))
    assert benchmark.compiled_ratios(SMALL, data_dir) == [3 / 1, 4 / 2] and trained == ["torch", "numba"]


def test_twice_as_much_is_twice_as_many_steps(data_dir, monkeypatch):
    done = []

    def steps(recipes, _):
        done.append(sum(recipe.epochs * recipe.train_images // recipe.batch for recipe in recipes))
        return done[-1]

    monkeypatch.setattr(benchmark, "seconds", steps)
    names = ("twice the epochs", "twice the images", "twice the seeds")
    assert benchmark.growth(SMALL, data_dir, repeats=3) == {name: [2.0] * 3 for name in names}
    assert len(done) == 4 * (3 + 1)


def test_memory_is_read_after_each_run_that_is_really_trained(tmp_path, data_dir):
    found = benchmark.memory([SMALL, Recipe(**vars(SMALL) | {"weights_seed": 1})], tmp_path, data_dir)
    assert len(found) == 2 and found[-1] == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.5)
    assert Store(tmp_path).find(SMALL) is not None and len(runs.frame(Store(tmp_path))) == 2


def test_a_thousand_runs_of_the_given_length_are_listed(monkeypatch):
    listed, frame = [], benchmark.frame
    monkeypatch.setattr(benchmark, "frame", lambda store: listed.append(frame(store)))
    assert len(benchmark.listing_seconds(SMALL, repeats=1)) == 1
    assert [len(rows) for rows in listed] == [1000]
    assert set(listed[0]["epochs"]) == {SMALL.epochs} and listed[0]["run"].nunique() == 1000


def test_a_cluster_is_measured_against_a_process_and_against_one_worker(monkeypatch):
    asked, megabytes = [], iter([100.0, 300.0, 320.0])

    @contextlib.contextmanager
    def connected(where, workers, device):
        assert (where, device) == ("local", "cpu")
        yield SimpleNamespace(scheduler=SimpleNamespace(address=workers))

    def clustered(workers, recipes, _):
        asked.extend(recipes)
        return (0.5 if recipes[0].model == "CNN3-4-0.1" else 0.01) * len(recipes) / workers

    monkeypatch.setattr(scaling, "connected", connected)
    monkeypatch.setattr(scaling, "clustered", clustered)
    monkeypatch.setattr(scaling, "plain", lambda _, recipes, __: 0.004 * len(recipes))
    monkeypatch.setattr(scaling, "memory", lambda: next(megabytes))
    overhead, grown, faster = scaling.measure(SMALL, None, repeats=5).items()
    assert overhead == ("a run on a cluster, beyond its training", pytest.approx([6.0] * 5))
    assert grown == ("a cluster's memory after all tiny runs / after a tenth", [1.1])
    assert faster == ("two workers / one", [2.0] * 5)
    assert {overhead[0], grown[0], faster[0]} <= floors.QUANTITIES.keys()
    assert len(set(asked)) == len(asked) >= 1000  # a run that is there would take no time


def test_a_sweep_on_a_cluster_is_timed_without_what_is_shipped_and_memory_is_that_of_all_processes(monkeypatch):
    def process(size, *begun):
        asked = {"memory_info": lambda: SimpleNamespace(rss=size), "children": lambda recursive: [*begun] * recursive}
        return SimpleNamespace(**asked)

    swept = []
    monkeypatch.setattr(scaling, "train_on", lambda *given: swept.append((*given[:2], given[2].sees_shipped)))
    monkeypatch.setattr(scaling.psutil, "Process", lambda: process(1e6, process(2e6), process(4e6)))
    assert scaling.clustered("tcp://here", [SMALL], None) > 0 and scaling.memory() == 7
    assert swept == [("tcp://here", [SMALL], False)]


# What is asked for


@pytest.mark.parametrize(
    ("name", "value"), [("repeats", 0), ("pair_seeds", 1), ("pair_images", 60_001), ("repeats", 1.5)]
)
def test_a_parameter_out_of_range_is_refused(name, value):
    with pytest.raises(UserError, match=rf"{name} = {value}.*\nFix: give {name} a whole number"):
        parameters.checked({name: value})


@pytest.mark.parametrize(
    ("recipes", "wrong"),
    [
        (benchmark.timed, {"batch": 501, "train_images": 500}),
        (benchmark.timed, {"model": "CNN31-8-0.1"}),
        (benchmark.paired, {"pair_images": 50_001}),
        (benchmark.paired, {"pair_images": 499}),
    ],
)
def test_what_is_impossible_together_is_refused_before_anything_is_read(recipes, wrong, monkeypatch):
    monkeypatch.setattr(job, "loaded", None)
    monkeypatch.setattr(machine, "native_bf16", lambda device: True)  # else there are no pairs
    with pytest.raises(UserError, match="Fix: "):
        recipes(ASKED | wrong)


def test_pairs_differ_in_nothing_but_precision(monkeypatch):
    monkeypatch.setattr(machine, "native_bf16", lambda device: True)
    paired = benchmark.paired(ASKED)
    fp32, bf16 = paired[:15], paired[15:]
    assert [Recipe(**vars(recipe) | {"precision": "bf16"}) for recipe in fp32] == bf16 and len(set(paired)) == 30
    assert {recipe.precision for recipe in fp32} == {"fp32"}
    assert [recipe.precision for recipe in benchmark.timed(ASKED).values()] == ["fp32", "bf16"]


def test_without_native_bf16_nothing_is_measured_in_it(monkeypatch):
    monkeypatch.setattr(machine, "native_bf16", lambda device: False)
    assert benchmark.paired(ASKED) == [] and list(benchmark.timed(ASKED)) == ["fp32"]


# How it is judged


@pytest.mark.parametrize(
    ("samples", "floor", "expected"),
    [
        ([1, 4, 9], "≥ 4", "yes"),
        ([1, 3.9, 9], "≥ 4", "no"),
        ([1, 2, 9], "≤ 2", "yes"),
        ([1, 2.1, 1.0, 9], "≤ 1.5", "no"),
    ],
)
def test_a_floor_holds_for_the_median(samples, floor, expected):
    assert floors.met(samples, floor) == expected


@pytest.mark.parametrize("mean", [0.0, 0.15, 0.2, 0.25, -0.2, -0.4])
def test_equivalence_is_judged_by_two_one_sided_tests(mean):
    differences = mean + np.random.default_rng(0).normal(0, 0.2, 15)
    p_value = DescrStatsW(differences).ttost_mean(-0.3, 0.3)[0]
    assert floors.met(list(differences), "± 0.3") == ("yes" if p_value < 0.05 else "no")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_floor_can_be_judged_and_what_was_not_measured_says_so(device):
    measured = {name: [1.0, 2.0, 6.0] for name in floors.QUANTITIES}
    table = floors.summary(measured, device)
    assert set(table["met"][table["floor"] != ""]) <= {"yes", "no"} and (table["met"][table["floor"] == ""] == "").all()
    assert set(table["n"]) == {3} and set(table["value"]) == {2.0, 3.0}  # medians, and one mean
    empty = floors.summary({}, device)
    assert set(empty["n"]) == {0} and empty["value"].isna().all() and set(empty["met"]) == {""}


def test_the_readme_table_has_what_was_measured_from_the_file_and_nothing_else():
    measured = {"bf16 engine": [4321.04], "bf16 engine / tutorial loop": [6.544], "bf16 engine / product peak": [21.26]}
    made = floors.summary(measured, "cpu").assign(machine="A processor, 2 cores")
    table = floors.readme_table(pd.read_csv(io.StringIO(made.to_csv(index=False))))
    assert table.splitlines() == [
        "| A processor, 2 cores | median | floor |",
        "|---|---|---|",
        "| bf16 engine | 4,321 images/s |  |",
        "| bf16 engine / tutorial loop | 6.54 × | ≥ 6.5 (met) |",
        "| bf16 engine / product peak | 21.3 % | ≥ 60 (not met) |",
    ]
    assert math.isnan(made["value"].iloc[-1])
