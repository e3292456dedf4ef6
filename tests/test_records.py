"""What of a run is believed: a strict record, plausible contents, whole checkpoints, nothing that only looks so."""

import contextlib
import gzip
import hashlib
import json
import math
import os
import random
import shutil
import subprocess
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from test_runs import FILES, HISTORY, OTHER, RECIPE, answers_of, checkpoint_of, weights_of, write

from fmnist_lib import ROOT, UserError, machine, models
from fmnist_lib import training as engine
from fmnist_lib.commands import runs
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import checkpoint, contents, job, record, store
from fmnist_lib.runs.run import lock, read
from fmnist_lib.runs.store import Store
from fmnist_lib.workers import sweep

REFERENCE = ROOT / "reports" / "reference" / "runs"


def sealed(record):
    """Seal a record as its definition says, by other means than the library's."""
    plain = {key: value for key, value in record.items() if key != "seal"}
    return plain | {"seal": hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}


def forge(place, name=None, content=b"", **values):
    """Put a content in a run's file, or values in its record, with hashes and a seal that fit."""
    record = json.loads((place / "run.json").read_text()) | values
    if name:
        (place / name).write_bytes(content)
        record["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (place / "run.json").write_text(json.dumps(sealed(record)))


def refused(runs_dir, name, recipe=RECIPE):
    """Assert that a run is named as damaged by all who read it, in two lines, and set aside."""
    with pytest.raises(UserError) as error:
        Store(runs_dir).find(recipe)
    assert str(runs_dir / recipe.name / name) in error.value.cause and len(str(error.value).splitlines()) == 2
    assert len(error.value.cause) < 500 and "delete" not in error.value.fix
    assert runs.frame(Store(runs_dir))["status"].tolist() in (["damaged"], ["finished"])  # it reads no weights
    assert len(runs.judged(Store(runs_dir))[1]) == 1
    assert Store(runs_dir).missing([recipe]) == [recipe]
    assert not os.path.lexists(runs_dir / recipe.name) and list(runs_dir.glob(".damaged-*"))


# The record


@pytest.fixture
def run(tmp_path):
    made = write(tmp_path)
    made.attach(record.TEST, contents.pack_answers(answers_of()))
    return Store(tmp_path).find(RECIPE)


@pytest.mark.parametrize(
    "name", ["run.json", *(pytest.param(n, marks=pytest.mark.slow) for n in (*FILES[:3], record.TEST))]
)
def test_each_of_300_random_changes_of_a_byte_is_noticed(tmp_path, run, name):
    draw, path = random.Random(0), run.folder / name
    whole = path.read_bytes()
    for _ in range(300):
        at, byte = draw.randrange(len(whole)), draw.randrange(1, 256)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ byte]) + whole[at + 1 :])
        try:
            found = Store(tmp_path).find(RECIPE)
        except UserError:
            continue
        assert name == "run.json" and found.record == run.record, (at, byte)  # another space between the words


def test_a_record_carries_where_it_was_made_and_its_seal_is_that_of_its_definition(run):
    text = (run.folder / "run.json").read_text()
    assert json.loads(text) == sealed(json.loads(text)) and list(json.loads(text))[-1] == "seal"
    assert run.record["source"].keys() == {"commit", "changed", "lock", "preregistration"}
    assert run.record["environment"].keys() >= {"torch", "numpy", "capability", "variables"}


def test_a_record_without_a_seal_is_refused(tmp_path, run):
    (run.folder / "run.json").write_text(json.dumps({key: run.record[key] for key in run.record if key != "seal"}))
    refused(tmp_path, "run.json")


BAD = {
    "seconds": [-1, True, "1", None, 10**400], "finished": ["", "yesterday", "2026-13-01T00:00:00Z", None, 7],
    "id": ["0" * 10, "x", 3], "status": ["done", "diverged", [], None], "surplus": [1],
    "environment": [None, {}, {"torch": 1}, {"cores": 0}, {"variables": {"MKL_CBWR": 1}}, {"capability": None}],
    "source": [None, {}, {"commit": "c0" * 19}, {"changed": "no"}, {"lock": "A" * 64}, {"more": 1}],
    "files": [None, [], {}, {"../x": {}}, {"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}}, {"test.csv": {}},
              {"history.csv": {"bytes": -1, "sha256": "0" * 64}}, {"history.csv": None}],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_what_a_record_cannot_say_is_refused_though_its_seal_fits(tmp_path, run, key, value):
    merged = run.record[key] | value if isinstance(value, dict) and value else value
    forge(run.folder, **{key: merged})
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        Store(tmp_path).find(RECIPE)
    assert len(runs.judged(Store(tmp_path))[1]) == 1


# Where it was made


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of one commit, in place of the library's."""
    place = tmp_path / "checkout"
    (place / "fmnist_lib").mkdir(parents=True)
    (place / "fmnist_lib" / "data.py").write_text("1\n")
    (place / "constraints.txt").write_text("torch\n")
    git = ["git", "-C", place, "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(record, "ROOT", place)
    record.source.cache_clear()
    yield place
    record.source.cache_clear()


def asked():
    record.source.cache_clear()
    return record.source()


def test_the_source_is_the_commit_and_whether_a_tracked_file_of_the_library_differs_from_it(checkout, monkeypatch):
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as in a hook of another repository
    lock = hashlib.sha256(b"torch\n").hexdigest()
    assert asked() == {"commit": head, "changed": False, "lock": lock, "preregistration": None}
    (checkout / "fmnist_lib" / "notes.txt").write_text("mine")
    assert asked()["changed"] is False
    (checkout / "fmnist_lib" / "data.py").write_text("2\n")
    (checkout / "reports").mkdir()
    (checkout / "reports" / "PREREGISTRATION.md").write_text("x")
    assert (asked()["changed"], asked()["preregistration"]) == (True, hashlib.sha256(b"x").hexdigest())


def test_a_lock_that_differs_from_the_commit_is_a_change_too(checkout):
    (checkout / "constraints.txt").write_text("torch==1\n")
    assert asked()["changed"] is True


def test_without_git_or_a_checkout_of_its_own_the_source_is_not_known(checkout, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert (asked()["commit"], asked()["changed"]) == (None, None)
    monkeypatch.setattr(record, "ROOT", checkout / "fmnist_lib")  # unpacked within somebody's repository
    assert record.source.cache_clear() or set(record.source().values()) == {None}


@pytest.mark.parametrize("name", ["torch", "numpy", "numba"])
def test_a_version_in_the_record_is_that_of_the_package_that_is_installed(name):
    assert machine.environment("cpu")[name].partition("+")[0] == metadata.version(name).partition("+")[0]


def test_the_variables_that_change_bits_are_in_the_record_and_no_others(monkeypatch):
    set_to = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE", "NUMBA_OPT": "0"}
    before = machine.environment("cpu")["variables"]
    for name, value in (set_to | {"DNNL_VERBOSE": "1", "HOME": "x", "MY_MKL_CBWR": "x", "SECRET": "y"}).items():
        monkeypatch.setenv(name, value)
    assert machine.environment("cpu")["variables"] == before | set_to


# Plausible curves

HEAD = ",".join(contents.COLUMNS)
CURVES = {
    "epochs 9, 9, −5": "9,1,1,0.5\n9,1,1,0.5\n-5,1,1,0.5\n", "a gap": "1,1,1,0.5\n3,1,1,0.5\n",
    "accuracy 42": "1,1,1,42\n2,1,1,1\n",
    "no share of the images": "1,1,1,0.5\n2,1,1,0.12345\n", "a negative loss": "1,1,1,0.5\n2,-1,1,0.5\n",
    "a NaN before the end": "1,nan,1,0.5\n2,1,1,0.5\n", "no accuracy": "1,1,1,0.5\n2,1,1,\n", "none": "",
    "too many": "1,1,1,0.5\n2,1,1,0.5\n3,1,1,0.5\n", "a cell too many": "1,1,1,0.5,1\n", "words": "a,b,c,d\n",
}  # fmt: skip


@pytest.mark.parametrize("rows", CURVES.values(), ids=CURVES)
def test_a_curve_that_no_training_gives_is_refused_though_its_hash_fits(tmp_path, rows):
    forge(write(tmp_path).folder, "history.csv", f"{HEAD}\n{rows}".encode())
    refused(tmp_path, "history.csv")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"epoch\n1\n", HEAD.encode() + b"\n1,1,1,\xf1\n"])
def test_what_is_no_curve_is_refused_though_its_hash_fits(tmp_path, content):
    forge(write(tmp_path).folder, "history.csv", content)
    refused(tmp_path, "history.csv")


def test_a_curve_that_ends_early_without_a_cause_is_no_finished_run(tmp_path):
    forge(write(tmp_path).folder, "history.csv", f"{HEAD}\n1,1,1,0.5\n".encode())
    refused(tmp_path, "run.json")


def test_without_validation_images_no_validation_is_believed(tmp_path):
    recipe = replace(RECIPE, val_images=0, keep="last")
    nothing = [row | {"val_loss": math.nan, "val_accuracy": math.nan} for row in HISTORY]
    forge(write(tmp_path, recipe, nothing).folder, "history.csv", f"{HEAD}\n1,1,1,0.5\n2,1,1,0.5\n".encode())
    refused(tmp_path, "history.csv", recipe)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 5), st.integers(1, 12))
def test_patience_ends_a_training_at_the_first_epoch_that_is_so_far_from_the_best(losses, patience, epochs):
    recipe = SimpleNamespace(validate_on="validation", val_images=10, epochs=epochs, patience=patience)
    rows = [dict(epoch=i, train_loss=1.0, val_loss=float(v), val_accuracy=0.5) for i, v in enumerate(losses, 1)]
    ages = [n - 1 - int(np.argmin(losses[:n])) for n in range(1, len(losses) + 1)]
    over = [n for n, age in enumerate(ages, 1) if n == epochs or (patience and age >= patience)]
    if over and over[0] < len(losses):
        with pytest.raises(ValueError, match="are all"):
            contents.status(recipe, rows)
    else:
        assert contents.status(recipe, rows) == ("finished" if over else None)


# Plausible answers and weights


def test_answers_are_small_the_same_bytes_again_and_read_back_as_they_were():
    for packed in (path.read_bytes() for path in REFERENCE.glob("*/test.csv.gz")):
        asked = contents.parse_answers(packed)
        assert len(packed) <= 45_000 and contents.parse_answers(contents.pack_answers(asked)).equals(asked)
        right = asked["predicted"] == asked["label"]
        assert np.allclose(asked["probability"][right], np.exp(-asked["loss"][right]), atol=1e-6)


SAID = {
    "one row": lambda rows: rows[:1], "a class of its own": lambda rows: rows.assign(label=10),
    "half a class": lambda rows: rows.assign(predicted=0.5),
    "no chance": lambda rows: rows.assign(probability=0.0, label=2),
    "more than sure": lambda rows: rows.assign(probability=1.1, label=2), "a gain": lambda rows: rows.assign(loss=-1.0),
    "no loss": lambda rows: rows.assign(loss=np.nan), "other columns": lambda rows: rows.rename(columns={"label": "y"}),
    "no number": lambda rows: rows.assign(loss="x"),
}  # fmt: skip


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_answers_that_no_model_gives_are_refused_though_their_hash_fits(tmp_path, said):
    text = said(answers_of()).to_csv(index=False).encode()
    forge(write(tmp_path).folder, record.TEST, gzip.compress(text))
    with pytest.raises(UserError, match=r"test\.csv\.gz is damaged"):
        read(tmp_path / RECIPE.name).answers()
    refused(tmp_path, record.TEST)


NO_ANSWERS = {
    "a bomb of zeros": gzip.compress(b"0" * 10**8), "cut off": gzip.compress(b"x")[:-3], "a bare head": b"\x1f\x8b\x08",
    "empty": b"", "no gzip": b"\xff",
}  # fmt: skip


@pytest.mark.parametrize("content", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_answers_that_are_none_are_refused_in_little_memory(tmp_path, content):
    forge(write(tmp_path).folder, record.TEST, content)
    refused(tmp_path, record.TEST)


def test_a_run_that_diverged_may_answer_with_what_are_no_numbers(tmp_path):
    rows = [HISTORY[0], HISTORY[1] | {"train_loss": math.inf}]
    weights = {
        name: tensor * math.nan if tensor.is_floating_point() else tensor for name, tensor in weights_of(RECIPE).items()
    }
    times = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}
    made = Store(tmp_path).write(RECIPE, rows, weights, times, (machine.environment("cpu"), record.source()))
    made.attach(record.TEST, contents.pack_answers(answers_of().assign(probability=np.nan, loss=np.nan)))
    found = Store(tmp_path).find(RECIPE)
    assert found.diverged and found.answers()["loss"].isna().all()


WRONG = {
    "of another model": lambda good: weights_of(OTHER),
    "one missing": lambda good: {name: tensor for name, tensor in good.items() if name != "0.bias"},
    "one too many": lambda good: good | {"extra": torch.ones(1)},
    "another type": lambda good: good | {"0.bias": good["0.bias"].double()},
    "a NaN": lambda good: good | {"0.bias": good["0.bias"] * math.nan},
    "none": lambda good: {},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_weights_that_are_not_of_the_recipe_are_refused_though_their_hash_fits(tmp_path, wrong):
    forge(write(tmp_path).folder, "weights.safetensors", save(wrong(weights_of(RECIPE))))
    with pytest.raises(UserError, match=r"weights\.safetensors is damaged"):
        read(tmp_path / RECIPE.name).weights()
    refused(tmp_path, "weights.safetensors")


# Folders that only look like runs


def as_folder(path):
    path.unlink()
    path.mkdir()


def as_dangling_link(path):
    path.unlink()
    path.symlink_to("nowhere")


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def as_gigabytes(path):
    os.truncate(path, 3 * 10**9)  # of zeros that are not on the disk


HOW = [as_folder, as_dangling_link, as_pipe, as_gigabytes]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
@pytest.mark.parametrize("name", [*FILES, record.TEST])
@pytest.mark.parametrize("how", HOW, ids=lambda how: how.__name__)
def test_what_stands_in_the_place_of_a_file_is_named_unread_and_set_aside(tmp_path, run, how, name):
    how(run.folder / name)
    refused(tmp_path, name)


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"a":' * 200_000, b"null", b"[]", b"\xff", b"1" * 5000, b"{}", b"NaN"]
)
@pytest.mark.parametrize("name", ["run.json", "recipe.json"])
def test_what_is_no_record_and_no_recipe_is_named_and_set_aside(tmp_path, name, content):
    place = write(tmp_path).folder
    (place / name).write_bytes(content) if name == "run.json" else forge(place, name, content)
    refused(tmp_path, name)


@pytest.mark.parametrize("fields", [{"numerics": 99}, {"colour": 1}, {"model": 3}, {"weights_seed": 1}])
def test_another_recipe_in_its_place_is_named(tmp_path, fields):
    forge(write(tmp_path).folder, "recipe.json", (json.dumps(json.loads(RECIPE.json) | fields) + "\n").encode())
    with pytest.raises(UserError, match=r"(recipe|run)\.json is damaged"):
        Store(tmp_path).find(RECIPE)
    assert Store(tmp_path).missing([RECIPE]) == [RECIPE]


def test_the_files_of_another_run_are_not_believed(tmp_path):
    here, there = write(tmp_path).folder, write(tmp_path, OTHER).folder
    for path in there.iterdir():
        shutil.copy(path, here)
    with pytest.raises(UserError, match="another run's recipe"):
        Store(tmp_path).find(RECIPE)
    assert Store(tmp_path).missing([RECIPE, OTHER]) == [RECIPE]


@pytest.mark.parametrize("what", ["file", "link", "curve"])
def test_what_stands_in_the_place_of_an_unfinished_run_is_set_aside(tmp_path, what):
    place = tmp_path / RECIPE.name
    made = {"file": place.touch, "link": lambda: place.symlink_to("nowhere"), "curve": (place / "history.csv").mkdir}
    made[what](**({"parents": True} if what == "curve" else {}))
    assert Store(tmp_path).missing([RECIPE]) == [RECIPE]
    assert not os.path.lexists(place) and len(list(tmp_path.glob(".damaged-*"))) == 1


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_run_that_vanishes_while_it_is_listed_is_not_listed(tmp_path, monkeypatch, when):
    place = write(tmp_path).folder
    write(tmp_path, OTHER)

    def vanishing(folder):
        if folder == place:
            place.rename(tmp_path / ".damaged-1")
        return read(folder)

    folders = store.places(tmp_path, "run.json")
    with monkeypatch.context() as patch:
        if when == "within":
            patch.setattr(runs, "read", vanishing)
        else:
            place.rename(tmp_path / ".damaged-1")
            patch.setattr(runs, "places", lambda *_: folders)
        assert runs.frame(Store(tmp_path))["run"].tolist() == [OTHER.name]
    assert runs.judged(Store(tmp_path)) == (1, [])


def test_a_hundred_runs_are_listed_without_their_weights_being_read(tmp_path, monkeypatch):
    first, opened = write(tmp_path).folder, []
    for i in range(100):
        shutil.copytree(first, tmp_path / f"copy-{i}")
    read = record.read_file
    monkeypatch.setattr(record, "read_file", lambda path, *most: opened.append(path.name) or read(path, *most))
    assert len(runs.frame(Store(tmp_path))) == 101
    assert set(opened) == {record.RECORD, record.RECIPE, record.HISTORY} and len(opened) == 303


# Checkpoints


def kept(runs_dir, content=None, epochs=1, recipe=RECIPE, **said):
    """Write a checkpoint, of a content or of values that are not those of the recipe, with a hash that fits."""
    rows = [HISTORY[0] | {"epoch": i} for i in range(1, epochs + 1)]
    made = {"recipe": recipe.json, "history": contents.history_csv(rows), "seconds": "1.0"}
    said = made | {"environment": json.dumps(machine.environment("cpu"))} | said
    content = save(checkpoint_of() if content is None else content, said)
    path = Store(runs_dir).place(RECIPE) / checkpoint.NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    return path


def begun_anew(runs_dir, capsys):
    """Assert that nothing goes on from the checkpoint, that it is kept for a look, and that one line says so."""
    assert checkpoint.read(Store(runs_dir).place(RECIPE), RECIPE) is None
    assert not os.path.lexists(Store(runs_dir).place(RECIPE) / checkpoint.NAME)
    assert [path.name for path in (runs_dir / RECIPE.name).iterdir()] == ["checkpoint-damaged-1"]
    (line,) = capsys.readouterr().out.splitlines()
    assert "checkpoint is damaged" in line and "checkpoint-damaged-1" in line


@pytest.mark.parametrize("other", [{"torch": "9.9"}, {"processor": "another"}, {"variables": {"ONEDNN_X": "1"}}])
def test_what_was_computed_elsewhere_is_begun_anew_for_a_record_names_one_place(tmp_path, capsys, other):
    kept(tmp_path, environment=json.dumps(machine.environment("cpu") | other))
    begun_anew(tmp_path, capsys)


def test_a_folder_among_what_a_killed_process_left_stays(tmp_path):
    path = kept(tmp_path)
    (path.parent / ".x.tmp").mkdir()
    checkpoint.discard(path.parent)
    assert [left.name for left in path.parent.iterdir()] == [".x.tmp"]


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_noticed(tmp_path):
    path, draw = kept(tmp_path), random.Random(0)
    whole = path.read_bytes()
    for at in [*range(0, 75, 5), *(draw.randrange(len(whole)) for _ in range(60))]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :])
        assert checkpoint.read(Store(tmp_path).place(RECIPE), RECIPE) is None, at
    assert len(set(path.parent.glob("checkpoint-damaged-*"))) == 75  # each is kept
    path.write_bytes(whole)
    assert checkpoint.read(Store(tmp_path).place(RECIPE), RECIPE)


TENSORS = {
    "of another model": lambda good: checkpoint_of(OTHER),
    "no moments": lambda good: {name: tensor for name, tensor in good.items() if "exp_avg_sq" not in name},
    "one moment missing": lambda good: {name: t for name, t in good.items() if name != "optimizer.3.exp_avg"},
    "no best weights": lambda good: {name: tensor for name, tensor in good.items() if not name.startswith("best.")},
    "a shape": lambda good: good | {"optimizer.0.exp_avg": torch.zeros(3)},
    "a type": lambda good: good | {"model.0.bias": good["model.0.bias"].half()},
    "a NaN": lambda good: good | {"model.0.bias": good["model.0.bias"] * math.nan},
    "none": lambda good: {},
}
NOTHING = [{"epochs": 0}, {"epochs": 2}, {"epochs": 9}, {"recipe": OTHER}, {"seconds": "-1"}, {"seconds": "NaN"}]
NOTHING += [{"history": f"{HEAD}\n1,nan,1,0.5\n"}, {"history": f"{HEAD}\n2,1,1,0.5\n"}, {"history": "[" * 10**5}]


@pytest.mark.parametrize("wrong", TENSORS.values(), ids=TENSORS)
def test_a_checkpoint_of_other_tensors_is_set_aside_though_its_hash_fits(tmp_path, wrong, capsys):
    kept(tmp_path, wrong(checkpoint_of()))
    begun_anew(tmp_path, capsys)


@pytest.mark.parametrize("said", NOTHING, ids=str)
def test_a_checkpoint_with_nothing_to_go_on_from_is_set_aside_though_its_hash_fits(tmp_path, said, capsys):
    kept(tmp_path, **said)
    begun_anew(tmp_path, capsys)


@pytest.mark.parametrize("how", [as_folder, as_dangling_link, as_gigabytes, lambda path: path.write_bytes(b"")])
def test_what_stands_in_the_place_of_a_checkpoint_is_set_aside(tmp_path, how, capsys):
    how(kept(tmp_path))
    begun_anew(tmp_path, capsys)


SMALL = {"train_images": 200, "val_images": 100, "batch": 100, "epochs": 2}
KINDS = [{}, {"optimizer": "adamw"}, {"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.9}]
KINDS += [{"val_images": 0, "keep": "last"}, {"precision": "bf16", "model": "CNN3-4-0.1", "output": "dropout_relu"}]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_training_goes_on_from_what_it_keeps(tmp_path, data_dir, kind):
    recipe = Recipe(**{"model": "ANN-Juan-0.1"} | SMALL | kind)
    snapshot = next(engine.fit(*job.prepared(recipe, data_dir), **job.settings(recipe)))
    tensors = snapshot.tensors()
    checkpoint.write(Store(tmp_path).place(recipe), recipe, snapshot.history, tensors, 1.5)
    rows, again, seconds = checkpoint.read(Store(tmp_path).place(recipe), recipe)
    assert str(rows) == str(snapshot.history) and seconds == 1.5 and again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_a_training_begun_anew_after_a_bad_checkpoint_ends_in_the_bits_of_an_undisturbed_one(tmp_path, data_dir):
    recipe, made = Recipe("ANN-Juan-0.1", **SMALL), []
    machine.prepare()
    for name in ("whole", "spoilt"):
        path = Store(tmp_path / name).place(recipe) / checkpoint.NAME
        snapshot = next(engine.fit(*job.prepared(recipe, data_dir), **job.settings(recipe)))
        checkpoint.write(Store(tmp_path / name).place(recipe), recipe, snapshot.history, snapshot.tensors(), 1.5)
        content = bytearray(path.read_bytes())
        content[-5] ^= 64 * (name == "spoilt")  # a bit of a weight
        path.write_bytes(content)
        job.train_one(recipe, Store(tmp_path / name), data_dir)
        made.append((path.parent / "weights.safetensors").read_bytes())
    assert made[0] == made[1] and (path.parent / "checkpoint-damaged-1").exists()


# What is left beside a finished run


def leftovers(place):
    (place / "checkpoint").write_bytes(b"x")
    (place / ".weights.safetensors.123.tmp").write_bytes(b"x")
    return lambda: sorted(path.name for path in place.iterdir() if path.name not in FILES)


def test_what_was_left_beside_a_finished_run_is_swept_up_by_whoever_finds_it(tmp_path, capsys):
    left = leftovers(write(tmp_path).folder)
    sweep.train([RECIPE], Store(tmp_path))
    assert left() == [] and Store(tmp_path).find(RECIPE, weights=True)


def test_nothing_is_swept_up_or_waited_for_where_another_process_works(tmp_path):
    left = leftovers(write(tmp_path).folder)
    with lock(Store(tmp_path).place(RECIPE)):
        sweep.train([RECIPE], Store(tmp_path))
    assert len(left()) == 2


def test_a_checkpoint_on_the_way_to_weights_that_are_missing_is_kept(tmp_path):
    place = write(tmp_path).folder
    (place / "weights.safetensors").unlink()
    left = leftovers(place)
    sweep.train([RECIPE], Store(tmp_path))
    assert len(left()) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_leftovers_in_a_folder_that_cannot_be_written_disturb_nobody(tmp_path):
    place = write(tmp_path).folder
    left = leftovers(place)
    place.chmod(0o500)
    with contextlib.closing(SimpleNamespace(close=lambda: place.chmod(0o700))):
        assert sweep.train([RECIPE], Store(tmp_path)) and len(left()) == 2


def test_models_named_alike_have_their_own_shapes():

    for model in ("CNN3-4-0.1", "CNN5-4-0.1", "CNN-Nahuel", "ANN-Juan-0.25"):
        expected = {name: (tuple(t.shape), t.dtype) for name, t in models.build(model).state_dict().items()}
        assert contents.of_weights(Recipe(model)) == expected
