"""The store of runs: what is written is there whole, what is read is what was written, and nothing else is believed."""

import contextlib
import errno
import json
import os
import pickle
import re
import struct
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from fmnist_lib import UserError, data, machine, models, training
from fmnist_lib.commands import runs
from fmnist_lib.press import figures
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import checkpoint, contents, files, job, record
from fmnist_lib.runs.run import lock, read
from fmnist_lib.runs.store import Store, free_name
from fmnist_lib.study import results, tables
from fmnist_lib.workers import sweep

RECIPE = Recipe("CNN3-2-0.1", epochs=2)
OTHER = Recipe("CNN3-4-0.1", epochs=2)
HISTORY = [
    {"epoch": 1, "train_loss": 0.1 + 0.2, "val_loss": 1 / 3, "val_accuracy": 0.9},
    {"epoch": 2, "train_loss": 5e-324, "val_loss": 1e300, "val_accuracy": 0.1},
]
FILES = ("recipe.json", "history.csv", "weights.safetensors", "run.json")


def weights_of(recipe):
    torch.manual_seed(0)
    return models.build(recipe.model).state_dict()


def checkpoint_of(recipe=RECIPE):
    """What the first step of Adam leaves, as a snapshot gives it."""
    torch.manual_seed(0)
    model = models.build(recipe.model)
    stepper = torch.optim.Adam(model.parameters(), fused=True)
    F.cross_entropy(model(torch.rand(8, 1, 28, 28)), torch.arange(8)).backward()
    stepper.step()
    return training._tensors(model, model, stepper, {name: t.clone() for name, t in model.state_dict().items()})


TIMES = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}
SOURCE = {"commit": "c0" * 20, "changed": False, "lock": "1a" * 32, "preregistration": None}


def environment(**values):
    return machine.environment("cpu") | {"torch": "2.11.0"} | values


def write(runs_dir, recipe=RECIPE, history=HISTORY, torch="2.11.0", finished=TIMES["finished"]):
    times = TIMES | {"finished": finished}
    return Store(runs_dir).write(recipe, history, weights_of(recipe), times, (environment(torch=torch), SOURCE))


def answers_of(accuracy=0.9, loss=0.25):
    """What a model says of the test images, right as often as this."""
    wrong = (np.arange(data.TEST_IMAGES) >= round(accuracy * data.TEST_IMAGES)).astype(int)
    return pd.DataFrame({"label": 0, "predicted": wrong, "probability": 0.9, "loss": loss})


def files_in(folder):
    return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_run_reads_back_as_it_was_written(tmp_path):
    write(tmp_path)
    run = Store(tmp_path).find(RECIPE, weights=True)
    assert run.recipe == RECIPE
    assert run.history.to_dict("records") == HISTORY
    assert run.weights()["0.weight"].equal(weights_of(RECIPE)["0.weight"])
    assert (run.best_epoch, run.diverged) == (1, False)


@given(st.lists(st.tuples(*[st.floats(allow_nan=False)] * 3), min_size=1, max_size=9))
def test_every_double_in_a_history_reads_back_bit_for_bit(rows):
    history = [dict(zip(contents.COLUMNS, (i, *row), strict=True)) for i, row in enumerate(rows, 1)]
    read = contents.parse_history(contents.history_csv(history)).astype(float).itertuples(index=False)
    assert [struct.pack("4d", *row) for row in read] == [struct.pack("4d", *row.values()) for row in history]


def test_without_validation_the_columns_are_empty_and_no_json_holds_a_nan(tmp_path):
    rows = [row | {"val_loss": float("nan"), "val_accuracy": float("nan")} for row in HISTORY]
    run = write(tmp_path, Recipe("CNN3-2-0.1", epochs=2, val_images=0, keep="last"), rows)
    lines = (run.folder / "history.csv").read_text().splitlines()
    assert lines[1:] == ["1,0.30000000000000004,,", "2,5e-324,,"]
    assert run.history["val_loss"].isna().all() and run.best_epoch == 2 and not run.diverged
    json.loads((run.folder / "run.json").read_text(), parse_constant=pytest.fail)


def test_equal_runs_are_equal_bytes_but_for_their_record_of_time_and_machine(tmp_path):
    first = files_in(write(tmp_path / "a").folder)
    second = files_in(write(tmp_path / "b", torch="9.9", finished="2030-01-01T00:00:00Z").folder)
    assert first.pop("run.json") != second.pop("run.json")
    assert first == second and set(first) == {*FILES} - {"run.json"}


# Faults of the disk

FULL = OSError(errno.ENOSPC, "No space left on device")
STEPS = {"write": (files, "open"), "fsync": (os, "fsync"), "rename": (os, "replace")}


@contextlib.contextmanager
def full_disk(step, nth=0):
    """Let the step of the nth file (all of them, if 0) meet a disk that is full."""
    module, name = STEPS[step]
    real, calls = getattr(module, name, open), []

    def failing(*arguments):
        calls.append(arguments)
        if nth and len(calls) != nth:
            return real(*arguments)
        if step == "write" and Path("/dev/full").exists():
            return open("/dev/full", "wb")  # opens, and has no room for a byte
        raise FULL

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, failing, raising=False)
        yield


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_is_named_with_its_free_bytes_and_the_same_call_completes_later(tmp_path, step, nth):
    write(tmp_path, OTHER)
    before = files_in(tmp_path / OTHER.name)
    with full_disk(step, nth), pytest.raises(UserError) as error:
        write(tmp_path)
    named = tmp_path / RECIPE.name / FILES[nth - 1]
    assert f"cannot write {named}: No space left" in error.value.cause and "bytes free" in error.value.cause
    assert Store(tmp_path).find(RECIPE) is None and files_in(tmp_path / OTHER.name) == before
    assert not list(tmp_path.rglob("*.tmp"))
    write(tmp_path)
    assert Store(tmp_path).find(RECIPE, weights=True)


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_leaves_an_older_file_of_the_same_name_intact(tmp_path, step):
    files.write_file(tmp_path / "table1.csv", b"old")
    with full_disk(step), pytest.raises(UserError):
        files.write_file(tmp_path / "table1.csv", b"new")
    assert files_in(tmp_path) == {"table1.csv": b"old"}


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(tmp_path, step):
    kept = checkpoint_of()
    checkpoint.write(Store(tmp_path).place(RECIPE), RECIPE, HISTORY[:1], kept, 2.5)
    with full_disk(step), pytest.raises(UserError):
        checkpoint.write(Store(tmp_path).place(RECIPE), RECIPE, HISTORY, {}, 5.0)
    history, tensors, seconds = checkpoint.read(Store(tmp_path).place(RECIPE), RECIPE)
    assert (history, set(tensors), seconds) == (HISTORY[:1], set(kept), 2.5)


def test_a_folder_of_runs_that_is_a_file_is_an_error_that_can_be_mended(tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write .*bytes free"):
        write(tmp_path / "runs")
    with pytest.raises(UserError, match="cannot write"), lock(Store(tmp_path / "runs").place(RECIPE)):
        pass


def read_only(*_, **__):
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_read_only_store_is_read_and_its_tables_and_figures_build(tmp_path, monkeypatch):
    write(tmp_path), write(tmp_path, OTHER)
    monkeypatch.setattr(files, "open", read_only, raising=False)
    monkeypatch.setattr(Path, "mkdir", read_only)
    monkeypatch.setattr(FileLock, "acquire", read_only)
    trained = sweep.train([RECIPE, OTHER], Store(tmp_path))
    assert len(runs.frame(Store(tmp_path))) == 2
    table = tables.table_1(results.frame(trained), 1)
    assert list(table["loss"]) == [HISTORY[0]["val_loss"]] * 2
    figures.loss_curves(plt.figure().subplots(), [run.history for run in trained])
    plt.close()
    with pytest.raises(UserError, match="Read-only"):
        job.train_one(Recipe("CNN3-8-0.1"), Store(tmp_path), tmp_path)


# Damage


def delete(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def edit(path):
    swap = (b"finished", b"diverged") if path.name == "run.json" else (b"0", b"1")
    path.write_bytes(path.read_bytes().replace(*swap, 1))


ABSENT = {("run.json", delete), ("weights.safetensors", delete)}  # no run, and a record without weights
DAMAGE = [(name, how) for name in FILES for how in (delete, empty, truncate, edit) if (name, how) not in ABSENT]


@pytest.mark.parametrize(("name", "how"), DAMAGE, ids=lambda value: getattr(value, "__name__", value))
def test_damage_to_a_file_is_named_and_only_its_run_is_set_aside_and_redone(tmp_path, name, how, capsys):
    place = write(tmp_path).folder
    write(tmp_path, OTHER)
    how(place / name)
    with pytest.raises(UserError, match="is damaged") as error:
        Store(tmp_path).find(RECIPE)
    assert str(place / name) in str(error.value)
    assert Store(tmp_path).missing([RECIPE, OTHER]) == [RECIPE]
    assert f".damaged-{place.name}-1" in capsys.readouterr().out
    assert (tmp_path / f".damaged-{place.name}-1" / "recipe.json").exists() or name == "recipe.json"
    assert runs.frame(Store(tmp_path))["run"].tolist() == [OTHER.name]  # what was set aside no longer counts
    write(tmp_path)
    assert Store(tmp_path).missing([RECIPE, OTHER]) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_now_is_no_damage_and_its_run_stays(tmp_path, monkeypatch, name, code):
    place, whole = write(tmp_path).folder, record.read_file

    def read_file(path, most):
        if path.name == name:
            raise OSError(code, os.strerror(code))
        return whole(path, most)

    monkeypatch.setattr(record, "read_file", read_file)
    with pytest.raises(UserError, match=rf"{re.escape(name)} cannot be read: {os.strerror(code)}"):
        Store(tmp_path).missing([RECIPE])
    listed = "finished" if name == "weights.safetensors" else "unreadable"  # it reads no weights
    assert runs.frame(Store(tmp_path))["status"].tolist() == [listed]
    monkeypatch.undo()
    assert place.is_dir() and Store(tmp_path).missing([RECIPE]) == []


def test_a_sound_run_is_not_set_aside(tmp_path):
    write(tmp_path)
    assert Store(tmp_path).set_aside(RECIPE) is None and Store(tmp_path).find(RECIPE).best_epoch == 1


def test_a_run_without_its_record_is_no_run(tmp_path):
    delete(write(tmp_path).folder / "run.json")
    assert Store(tmp_path).find(RECIPE) is None and Store(tmp_path).missing([RECIPE]) == [RECIPE]


def test_a_record_without_weights_serves_all_that_needs_none(tmp_path):
    run = write(tmp_path)
    delete(run.folder / "weights.safetensors")
    assert Store(tmp_path).find(RECIPE).best_epoch == 1 and len(runs.frame(Store(tmp_path))) == 1
    assert Store(tmp_path).missing([RECIPE]) == []
    assert Store(tmp_path).missing([RECIPE], weights=True) == [RECIPE]
    with pytest.raises(UserError, match="without its weights"):
        run.weights()


def test_a_record_without_weights_is_trained_again_only_where_they_are_asked(tmp_path, monkeypatch):
    delete(write(tmp_path).folder / "weights.safetensors")
    monkeypatch.setattr(job, "prepared", lambda *_: {}["trained"])
    job.train_one(RECIPE, Store(tmp_path), tmp_path)
    with pytest.raises(KeyError, match="trained"):
        job.train_one(RECIPE, Store(tmp_path), tmp_path, weights=True)


def test_a_checkpoint_never_touches_the_record_of_a_run_whose_weights_are_made_again(tmp_path):
    run = write(tmp_path)
    delete(run.folder / "weights.safetensors")
    checkpoint.write(Store(tmp_path).place(RECIPE), RECIPE, HISTORY[:1], checkpoint_of(), 1.0)
    assert Store(tmp_path).find(RECIPE).history.to_dict("records") == HISTORY


def test_another_runs_folder_under_this_name_is_not_believed(tmp_path):
    write(tmp_path, OTHER).folder.rename(tmp_path / RECIPE.name)
    with pytest.raises(UserError, match="another run's recipe"):
        Store(tmp_path).find(RECIPE)


@pytest.mark.parametrize("name", [record.TEST, record.MODE])
@pytest.mark.parametrize("how", [delete, empty, truncate, edit])
def test_what_is_attached_is_verified_too(tmp_path, how, name):
    run = write(tmp_path)
    assert run.answers(name) is None
    run.attach(name, contents.pack_answers(answers_of()))
    assert run.answers(name)["predicted"].sum() == 1000
    assert (run.folder / name).read_bytes() == contents.pack_answers(answers_of())
    how(run.folder / name)
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        run.answers(name)
    assert Store(tmp_path).missing([RECIPE]) == [RECIPE]


def test_answers_that_are_kept_without_their_record_are_no_damage(tmp_path, monkeypatch):
    run, written = write(tmp_path), []

    def stopped(path, content):
        if written:
            raise KeyboardInterrupt
        written.append(files.write_file(path, content))

    with monkeypatch.context() as patch:
        patch.setattr("fmnist_lib.runs.run.write_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            run.attach(record.TEST, contents.pack_answers(answers_of()))
    assert len(written) == 1 and Store(tmp_path).missing([RECIPE]) == [] and run.answers() is None
    run.attach(record.TEST, contents.pack_answers(answers_of()))
    assert len(run.answers()) == data.TEST_IMAGES


def test_one_process_at_a_time_attaches_and_sets_aside_and_what_another_has_attached_stays(tmp_path, monkeypatch):
    one, other, done = write(tmp_path), read(tmp_path / RECIPE.name), []

    def alone(call, *given):
        with pytest.raises(UserError, match="cannot write"), lock(one.folder, wait=False):
            pass
        done.append(call.__name__)
        return call(*given)

    for place, call in (("run.write_file", files.write_file), ("store.free_name", free_name)):
        monkeypatch.setattr(f"fmnist_lib.runs.{place}", partial(alone, call))
    one.attach(record.TEST, contents.pack_answers(answers_of()))
    other.attach(record.MODE, contents.pack_answers(answers_of()))
    assert {record.TEST, record.MODE} <= read(one.folder).record["files"].keys()
    empty(one.folder / "history.csv")
    assert Store(tmp_path).missing([RECIPE]) == [RECIPE] and done == ["write_file"] * 4 + ["free_name"]


def test_a_store_stays_where_it_was_named_whatever_the_working_directory(tmp_path, monkeypatch):
    write(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    store = Store("runs")
    monkeypatch.chdir("/")
    assert store.find(RECIPE)


def test_what_set_runs_apart_is_in_every_list_of_them(tmp_path):
    mixed = [write(tmp_path), write(tmp_path, Recipe("CNN3-2-0.1", epochs=2, precision="bf16"), torch="9.9.9")]
    listed = runs.frame(Store(tmp_path)).set_index("run").loc[[run.folder.name for run in mixed]]
    assert listed["precision"].tolist() == ["fp32", "bf16"] and listed["torch"].tolist() == ["2.11.0", "9.9.9"]
    shown = dict(tables.environment(results.frame(mixed)).itertuples(index=False, name=None))
    assert shown["PyTorch"] == "2.11.0, 9.9.9"
    assert "bf16" in shown["Device, precision, kernels"] and "fp32" in shown["Device, precision, kernels"]
    assert mixed[0].recipe != mixed[1].recipe  # a study asks for one precision: it cannot receive both


# Malice


class Evil:
    """A pickle that creates a file when it is read."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


@pytest.fixture(params=["pickle", "torch"])
def evil(request, tmp_path):
    """A file that runs code where it is unpickled, and the flag which that code would raise."""
    flag, path = tmp_path / "executed", tmp_path / "evil"
    path.write_bytes(pickle.dumps(Evil(flag))) if request.param == "pickle" else torch.save(Evil(flag), path)
    if request.param == "pickle":  # the trap does work
        pickle.loads(path.read_bytes())
        assert flag.exists()
        flag.unlink()
    return path.read_bytes(), flag


def test_a_pickle_in_place_of_weights_runs_no_code(tmp_path, evil):
    content, flag = evil
    run = write(tmp_path)
    (run.folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        Store(tmp_path).find(RECIPE)
    run.attach("weights.safetensors", content)  # whoever can write it can seal it too
    with pytest.raises(UserError, match=r"weights\.safetensors is damaged: .*[Hh]eader"):
        Store(tmp_path).find(RECIPE)
    assert not flag.exists()


def test_a_pickle_in_place_of_a_checkpoint_is_set_aside_unread(tmp_path, evil):
    content, flag = evil
    files.write_file(Store(tmp_path).place(RECIPE) / checkpoint.NAME, content)
    assert checkpoint.read(Store(tmp_path).place(RECIPE), RECIPE) is None
    assert not flag.exists() and not (Store(tmp_path).place(RECIPE) / checkpoint.NAME).exists()


NAMES = ["../x", "CNN3-512-0.1/..", "/etc/passwd", "CNN3-512-0.1\n", "..", "", "CNN3-512-0.1\0", "ANN-Juan-../0.1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_of_the_store_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="model"):
        Recipe(name)
    run = write(tmp_path)
    recipe = json.dumps(json.loads(RECIPE.json) | {"model": name}).encode()
    run.attach("recipe.json", recipe)  # sealed by whoever put it there
    with pytest.raises(UserError, match="model"):
        read(run.folder)
