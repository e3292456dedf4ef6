"""The sweep: each recipe is trained once, whoever asks, however often it is killed, and to the same bits."""

import contextlib
import errno
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from fmnist_lib import ROOT, UserError, machine, training
from fmnist_lib.commands import runs
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import checkpoint, job, record
from fmnist_lib.runs.run import lock
from fmnist_lib.runs.store import Store
from fmnist_lib.study import protocol, results, tables
from fmnist_lib.workers import pool, sweep, worker

SMALL = {"train_images": 200, "val_images": 100, "batch": 100}
TIMES = {"seconds": 0.0, "finished": "2026-01-01T00:00:00Z"}
ANN = Recipe("ANN-Juan-0.1", epochs=3, **SMALL)
CNN = Recipe("CNN3-4-0.1", epochs=12, **SMALL)
needs_processes = pytest.mark.skipif(not hasattr(os, "fork"), reason="real kills need POSIX processes")
if hasattr(os, "fork"):
    real = multiprocessing.get_context("forkserver")  # imports once for all processes
    real.set_forkserver_preload(["fmnist_lib.workers.sweep", "torch._dynamo"])  # what each of them would import


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def state(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def train_each(recipes, runs_dir, data_dir, notes, checkpoint_seconds=0.0):
    """Train in this process, noting with how many epochs done each training begins."""
    fit = training.fit

    def noting(*arguments, resume=None, **settings):
        with open(notes, "a") as file:
            file.write(f"{len(resume[0]) if resume else 0}\n")
        return fit(*arguments, resume=resume, **settings)

    training.fit, job.CHECKPOINT_SECONDS = noting, checkpoint_seconds
    for recipe in recipes:
        job.train_one(recipe, Store(runs_dir), data_dir)


def start(*arguments):
    process = real.Process(target=train_each, args=arguments)
    process.start()
    return process


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# Once


def test_a_finished_run_is_never_trained_again(tmp_path, data_dir, monkeypatch):
    job.train_one(ANN, Store(tmp_path), data_dir)
    before = state(tmp_path / ANN.name)
    monkeypatch.setattr(training, "fit", pytest.fail)
    monkeypatch.setattr(pool, "ProcessPoolExecutor", pytest.fail)
    job.train_one(ANN, Store(tmp_path), data_dir)
    first, second = sweep.train([ANN, replace(ANN, model="ANN-Juan-0.10")], Store(tmp_path), data_dir, weights=True)
    assert first.recipe == second.recipe == ANN
    assert state(tmp_path / ANN.name) == before


def test_the_same_recipe_trained_elsewhere_gives_the_same_bytes(tmp_path, data_dir):
    for place in ("a", "b"):
        job.train_one(ANN, Store(tmp_path / place), data_dir)
    first, second = (contents(tmp_path / place / ANN.name) for place in ("a", "b"))
    assert first.keys() == second.keys() >= {"recipe.json", "history.csv", "weights.safetensors", "run.json"}
    assert all(first[name] == second[name] for name in first if name != "run.json")  # it alone tells the time


@needs_processes
@pytest.mark.slow
def test_eight_processes_over_twelve_recipes_train_each_once_without_a_quarrel(tmp_path, data_dir):
    recipes = [replace(ANN, epochs=1, weights_seed=seed) for seed in range(12)]
    notes = tmp_path / "notes"
    processes = [start(random.sample(recipes, 12), tmp_path, data_dir, notes) for _ in range(8)]
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 8
    assert notes.read_text() == "0\n" * 12
    assert Store(tmp_path).missing(recipes, weights=True) == [] and len(runs.frame(Store(tmp_path))) == 12


def hold(runs_dir, held):
    with lock(Store(runs_dir).place(ANN)):
        held.set()
        time.sleep(600)


def take(runs_dir):
    with lock(Store(runs_dir).place(ANN)):
        pass


@needs_processes
@pytest.mark.slow
def test_the_holder_of_a_lock_blocks_nobody_once_it_is_killed(tmp_path):
    held = real.Event()
    holder = real.Process(target=hold, args=(tmp_path, held))
    holder.start()
    assert held.wait(60)
    following = real.Process(target=take, args=(tmp_path,))
    following.start()
    following.join(1)
    assert following.exitcode is None  # while it lives, it is alone
    holder.kill()
    following.join(10)
    assert following.exitcode == 0 and list(tmp_path.rglob("*.lock"))


# Killed, and going on


@needs_processes
@pytest.mark.slow
def test_a_run_killed_at_random_moments_goes_on_and_ends_in_the_same_bits(tmp_path, data_dir):
    killed, whole, notes = tmp_path / "killed", tmp_path / "whole", tmp_path / "notes"
    kept, kills = Store(killed).place(CNN) / checkpoint.NAME, 0
    for _ in range(3):
        before = kept.stat().st_mtime_ns if kept.exists() else 0
        process = start([CNN], killed, data_dir, notes)
        wait_for(lambda b=before, p=process: p.exitcode is not None or (kept.exists() and kept.stat().st_mtime_ns > b))
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    for place, note in ((killed, notes), (whole, tmp_path / "whole-notes")):
        last = start([CNN], place, data_dir, note, 0.0 if place == killed else 3600.0)
        last.join(120)
        assert last.exitcode == 0
    begun = [int(line) for line in notes.read_text().split()]
    assert kills >= 2 and begun[0] == 0 and begun == sorted(set(begun))  # each went on after the one before
    ours, theirs = contents(killed / CNN.name), contents(whole / CNN.name)
    for name in ("recipe.json", "history.csv", "weights.safetensors"):
        assert ours[name] == theirs[name], name
    assert set(ours) == set(theirs) == {"recipe.json", "history.csv", "weights.safetensors", "run.json"}


@needs_processes
@pytest.mark.slow
@pytest.mark.long
def test_a_hammer_of_random_kills_leaves_twelve_runs_as_undisturbed_ones():
    line = [sys.executable, ROOT / "tests" / "hammer.py", "--seconds", "15", "--processes", "4"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("bit-identical"), done.stdout + done.stderr
    assert int(done.stdout.splitlines()[-1].split()[0]) >= 8  # kills


@pytest.mark.slow
@pytest.mark.long
def test_ten_minutes_of_the_hammer():
    assert subprocess.run([sys.executable, ROOT / "tests" / "hammer.py", "--seconds", "600"]).returncode == 0


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_training_on_a_full_disk_loses_no_epoch_and_the_same_call_completes_it(tmp_path, data_dir, monkeypatch, nth):
    whole, place, written = tmp_path / "whole", tmp_path / "full", []
    monkeypatch.setattr(job, "CHECKPOINT_SECONDS", 0.0)
    job.train_one(ANN, Store(whole), data_dir)
    real = os.fsync

    def full(descriptor):
        written.append(descriptor)
        if len(written) >= nth:  # full from here on: at two checkpoints and their curves, then at the four files
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            UserError, match=rf"cannot write {place}.*No space left.*bytes free\)\nFix: free some space"
        ):
            job.train_one(ANN, Store(place), data_dir)
    assert Store(place).find(ANN) is None and not list(place.rglob("*.tmp"))
    assert checkpoint.read(Store(place).place(ANN), ANN) or nth == 1
    job.train_one(ANN, Store(place), data_dir)
    ours, theirs = contents(place / ANN.name), contents(whole / ANN.name)
    assert ours.keys() == theirs.keys() and all(ours[name] == theirs[name] for name in ours if name != "run.json")


def test_what_a_killed_process_was_writing_is_gone_once_its_run_is_finished(tmp_path, data_dir):
    half = tmp_path / ANN.name / ".weights.safetensors.12345.tmp"
    half.parent.mkdir()
    half.write_bytes(b"half")
    job.train_one(ANN, Store(tmp_path), data_dir)
    names = {"recipe.json", "history.csv", "weights.safetensors", "run.json"}
    assert {path.name for path in half.parent.iterdir()} == names


# What is asked, and what comes of it


@pytest.mark.parametrize(
    ("bad", "named"), [({"k": [3, 11]}, "k = 11"), ({"n": [128, 0]}, "n = 0"), ({"p": [1.0, 0.1]}, "p = 1.0")]
)
def test_one_impossible_cell_is_refused_before_any_is_trained(bad, named):
    with pytest.raises(UserError, match=named):
        protocol.grid(protocol.DEFAULTS | {"device": "cpu", "precision": "fp32"} | bad)


@pytest.fixture
def diverging():
    return Recipe("ANN-Juan-0.1", activation="leaky_relu", optimizer="sgd", lr=100.0, momentum=0.9, epochs=30, **SMALL)


def test_a_run_that_diverges_is_kept_with_its_curve_told_and_not_trained_again(tmp_path, data_dir, diverging):
    job.train_one(diverging, Store(tmp_path), data_dir)
    run = Store(tmp_path).find(diverging, weights=True)
    assert run.diverged and 1 <= len(run.history) < diverging.epochs
    assert not run.history.iloc[-1][["train_loss", "val_loss"]].map(lambda loss: abs(loss) < float("inf")).all()
    json.loads((run.folder / "run.json").read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity
    assert Store(tmp_path).missing([diverging]) == [] and len(runs.frame(Store(tmp_path))) == 1


def test_the_table_says_which_run_diverged_and_leaves_it_out_of_the_means(tmp_path, data_dir, diverging):
    recipes = [diverging, replace(diverging, lr=0.001, epochs=2)]
    for recipe in recipes:
        job.train_one(recipe, Store(tmp_path), data_dir)
    found = [Store(tmp_path).find(recipe) for recipe in recipes]
    scores = tables.validation(results.frame(found))
    assert scores["status"].tolist() == ["diverged", "finished"]
    table = tables.beside_paper(scores, {}, seeds=2)
    assert table["n"].tolist() == [1] and table["loss"].tolist() == [found[1].best["val_loss"]]
    assert protocol.winner(found) == diverging.model


def test_a_loss_that_ends_at_the_last_epoch_has_diverged_too(tmp_path):
    rows = [{"epoch": 1, "train_loss": float("nan"), "val_loss": float("nan"), "val_accuracy": 0.1}]
    run = Store(tmp_path).write(replace(ANN, epochs=1), rows, {}, TIMES, (machine.environment("cpu"), record.source()))
    assert run.diverged and Store(tmp_path).find(run.recipe).best_epoch == 1


def test_neither_training_nor_choosing_reads_the_test_set(tmp_path, data_dir, monkeypatch):
    load = job.loaded

    def without_test(part, *arguments):
        assert part == "train"
        return load(part, *arguments)

    monkeypatch.setattr(job, "loaded", without_test)
    monkeypatch.setattr("fmnist_lib.runs.contents.parse_answers", pytest.fail)
    rivals = [ANN, replace(ANN, model="ANN-Juan-0.9")]
    for recipe in rivals:
        job.train_one(recipe, Store(tmp_path), data_dir)
    found = [Store(tmp_path).find(recipe) for recipe in rivals]
    best = max(found, key=lambda run: run.history["val_accuracy"][run.history["val_loss"].idxmin()])
    assert protocol.winner(found) == protocol.winner(found[::-1]) == best.recipe.model


def test_retraining_with_seed_0_repeats_the_searchs_first_epochs(tmp_path, data_dir):
    again = protocol.retraining(ANN, 2, {"retrain_seed": 0, "retrain_images": ANN.train_images})
    other = protocol.retraining(ANN, 2, {"retrain_seed": 1, "retrain_images": ANN.train_images})
    for recipe in (ANN, again, other):
        job.train_one(recipe, Store(tmp_path), data_dir)
    search, repeated, varied = (Store(tmp_path).find(recipe).history for recipe in (ANN, again, other))
    assert repeated.equals(search[:2]) and not varied.equals(search[:2])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (39.6, "40 s"), (59.4, "59 s"), (60, "1 min"), (3570, "1 h 00 min"), (23_400, "6 h 30 min")],
)
def test_a_time_is_told_in_hours_and_minutes(seconds, said):
    assert sweep.lasting(seconds) == said


def test_a_sweep_says_how_long_it_takes_what_is_under_way_and_how_much_is_left(tmp_path, data_dir, capsys):
    sweep.train([ANN, CNN], Store(tmp_path), data_dir, workers=1)
    first, second, third, *_, bar = capsys.readouterr().out.splitlines()
    assert first == "Runs to train: 2." and second.startswith("Measuring")
    assert re.fullmatch(r"About \d+ (s|min)\.", third)
    assert re.search(r" of 15 epochs, .* left: (ANN-Juan-0.1, )?CNN3-4-0.1", bar) and "15 of 15 epochs" in bar


def test_on_a_cuda_device_the_bar_names_the_model(tmp_path, data_dir, capsys, monkeypatch):
    trained = []
    monkeypatch.setattr(sweep.machine, "resolve", lambda *_: None)
    monkeypatch.setattr(sweep.job, "train_one", lambda recipe, _, __, weights: trained.append((recipe, weights)))
    monkeypatch.setattr(sweep.checkpoint, "tidy", lambda _: None)
    recipe = replace(ANN, device="cuda")
    with pytest.raises(UserError, match="gone again"):  # as if another process had set it aside
        sweep.train([recipe], Store(tmp_path), data_dir, weights=True)
    assert trained == [(recipe, True)] and "1 of 1 runs" in capsys.readouterr().out


def test_the_cost_of_an_image_is_measured_without_the_test_images(data_dir, monkeypatch):
    monkeypatch.setattr(sweep.training, "evaluate", pytest.fail)
    assert sweep.measure(replace(ANN, validate_on="test"), data_dir) > 0


@pytest.mark.parametrize("batch", [50, 200, 31_000])
def test_the_cost_of_an_image_is_measured_whatever_the_batch(data_dir, batch):
    recipe = replace(ANN, batch=batch, train_images=max(200, batch))
    assert 0 < sweep.measure(recipe, data_dir) < 1


# How long it takes


def test_what_is_left_takes_the_seconds_of_its_images_times_the_epochs_that_are_not_done(tmp_path):
    todo, store = [ANN, replace(ANN, epochs=5, weights_seed=1)], Store(tmp_path, shipped=False)
    for recipe, lines in zip(todo, (2, 0), strict=True):
        store.place(recipe).mkdir(parents=True)
        (store.place(recipe) / record.HISTORY).write_text("head\n" + "an epoch\n" * lines)
    measuring = SimpleNamespace(map=lambda _, recipes, __: [0.5 for _ in recipes])
    assert sweep._seconds(measuring, todo, store, "", False) == 0.5 * 200 * (1 + 5)
    (store.place(ANN) / record.RECORD).touch()
    assert sweep._seconds(measuring, todo, store, "", False) == 0.5 * 200 * 5
    assert sweep._seconds(measuring, todo, store, "", True) == 0.5 * 200 * (3 + 5)  # weights are wanted, and not there
    (store.place(ANN) / record.WEIGHTS).touch()
    assert sweep._seconds(measuring, todo, store, "", True) == 0.5 * 200 * 5


def test_what_one_network_costs_is_measured_anew_where_its_images_are_varied(tmp_path):
    todo = [replace(ANN, shifts=2), ANN, replace(ANN, weights_seed=1)]
    measuring = SimpleNamespace(map=lambda _, recipes, __: [1.0 if recipe.shifts else 0.5 for recipe in recipes])
    assert sweep._seconds(measuring, todo, Store(tmp_path, shipped=False), "", False) == 200 * 3 * (1.0 + 0.5 + 0.5)


def test_processes_share_what_is_left(monkeypatch, capsys):
    monkeypatch.setattr(
        sweep, "processes", lambda _: contextlib.nullcontext(SimpleNamespace(submit=lambda *_: object()))
    )
    monkeypatch.setattr(sweep, "_seconds", lambda *_: 1200.0)
    monkeypatch.setattr(sweep, "_watch", lambda *_: None)
    sweep._train_in_processes([ANN, CNN, replace(ANN, weights_seed=1)], None, "", 2, False)
    assert "About 10 min." in capsys.readouterr().out
    sweep._train_in_processes([ANN, replace(CNN, patience=3)], None, "", 2, False)
    assert "About 10 min at most." in capsys.readouterr().out


def test_the_seconds_of_an_image_are_those_of_its_training_and_in_proportion_of_its_validation(monkeypatch):
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(sweep.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(sweep.job, "prepared", lambda *_: (None, None, None))
    monkeypatch.setattr(sweep.training, "fit", lambda *_, **__: range(2))
    recipe = replace(ANN, batch=50, train_images=200, val_images=100)
    assert sweep.measure(recipe, "") == pytest.approx(4 / 100 * 1.2)  # two batches; a validation costs 0.4 of a step


def test_the_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert pool.cores() == 2


def test_a_process_that_dies_is_told_and_takes_no_process_of_the_caller_along(monkeypatch):
    killed, pooled = [], SimpleNamespace(shutdown=lambda **_: None)
    callers, own = (SimpleNamespace(kill=partial(killed.append, name)) for name in ("the caller's", "its own"))
    children = iter([[callers], [callers, own]])
    monkeypatch.setattr(sweep.multiprocessing, "active_children", lambda: next(children))
    monkeypatch.setattr(sweep, "processes", lambda _: contextlib.nullcontext(pooled))
    monkeypatch.setattr(sweep, "_seconds", Mock(side_effect=BrokenProcessPool))
    with pytest.raises(UserError, match="a training process died\nFix: run the same command again"):
        sweep._train_in_processes([ANN], None, "", 2, False)
    assert killed == ["its own"]


# What is asked for reaches who trains


@pytest.mark.parametrize(
    ("cluster", "asked"),
    [("", ("", 7, True)), ("local", ("elsewhere", 7, True)), ("tcp://a:1", ("elsewhere", 7, True))],
)
def test_the_workers_and_the_weights_that_are_asked_for_reach_who_trains(cluster, asked, tmp_path, monkeypatch):
    given, checked = [], []
    monkeypatch.setattr(sweep.machine, "resolve", lambda *_: checked.append("this machine"))
    monkeypatch.setattr(sweep, "tell_alike", lambda *_: checked.append("what is shipped"))
    monkeypatch.setattr(sweep.download, "fetch", lambda _: "")
    monkeypatch.setattr(sweep, "_train_in_processes", lambda *of: given.append(of[2:]))
    monkeypatch.setattr(sweep, "train_on", lambda *of: given.append(of[3:]))
    monkeypatch.setattr(sweep.checkpoint, "tidy", lambda _: None)
    with pytest.raises(UserError, match="gone again"):  # none of these trains
        sweep.train([ANN], Store(tmp_path, shipped=False), "elsewhere", 7, True, cluster)
    assert given == [asked] and checked == ["what is shipped", *["this machine"] * (cluster in ("", "local"))]


def test_each_process_is_asked_for_the_weights_where_the_sweep_is(monkeypatch):
    asked, pool = [], SimpleNamespace(submit=lambda _, recipe, store, data_dir, *weights: asked.append(weights))
    monkeypatch.setattr(sweep, "processes", lambda _: contextlib.nullcontext(pool))
    monkeypatch.setattr(sweep, "_seconds", lambda *_: 1.0)
    monkeypatch.setattr(sweep, "_watch", lambda *_: None)
    sweep._train_in_processes([ANN], None, "", 2, True)
    assert asked == [(True,)]


def test_a_worker_trains_into_the_sweeps_folder_with_the_weights_and_the_shipped_runs_that_it_asks_for(
    tmp_path, monkeypatch
):
    asked = []
    monkeypatch.setattr(job, "train_one", lambda _, store, __, *weights: asked.append((store.sees_shipped, *weights)))
    (tmp_path / worker.IDENTITY).parent.mkdir()
    (tmp_path / worker.IDENTITY).write_text("x")
    for shipped, weights in ((True, False), (False, True)):
        assert worker._train(ANN, worker.Sweep(str(tmp_path), "x", shipped, "", weights)) == {}
    assert asked == [(True, False), (False, True)]
