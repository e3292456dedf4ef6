"""A sweep on a Dask cluster: the bits of one process, whoever dies, whoever asks; and who is refused, by name."""

import concurrent.futures
import contextlib
import errno
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import filelock._unix
import nbformat
import psutil
import pytest
import torch
from test_runs import RECIPE, write
from test_sweep import ANN, SMALL, contents, needs_processes, real, wait_for

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import line as command_line
from fmnist_lib.commands import reference, report
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import files, job
from fmnist_lib.runs.run import lock
from fmnist_lib.runs.store import Store
from fmnist_lib.study import conduct, parameters, protocol, weighing
from fmnist_lib.workers import cluster, pool, sweep, worker

distributed = pytest.importorskip("distributed")
RECIPES = [replace(ANN, weights_seed=seed) for seed in range(3)] + [Recipe("CNN3-4-0.1", epochs=2, **SMALL)]
LONG = Recipe("ANN-Juan-0.25", epochs=400, **SMALL)  # a few seconds
OTHERS = [replace(LONG, weights_seed=seed) for seed in (1, 2)]
BAD = replace(ANN, numerics=1, weights_seed=9)  # of an engine that is not here
pytestmark = [needs_processes, pytest.mark.slow]


@contextlib.contextmanager
def process(*arguments, home=ROOT):
    """Start a part of a cluster from a checkout, in a process group that ends with this block."""
    line = [sys.executable, "-m", *map(str, arguments), "--no-dashboard"]
    plain = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    started = subprocess.Popen(line, cwd=home, env=os.environ | {"PYTHONPATH": str(home)}, **plain)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextlib.contextmanager
def scheduler(folder, port=0):
    path = folder / "scheduler.json"
    path.unlink(missing_ok=True)
    start = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--scheduler-file", path)
    with process(*start) as started:
        wait_for(lambda: path.exists() and path.read_text().endswith("}"))
        yield json.loads(path.read_text())["address"], started


def joined(address, name, *options, home=ROOT):
    start = ("distributed.cli.dask_worker", address, "--nthreads", 1, "--name", name, "--host", "127.0.0.1")
    return process(*start, "--no-nanny", *options, home=home)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The address of a scheduler with two workers."""
    with scheduler(tmp_path_factory.mktemp("cluster")) as (address, _), joined(address, "one"), joined(address, "two"):
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, 120)
        yield address


@pytest.fixture(scope="module")
def alone(tmp_path_factory, data_dir):
    """The store of the same runs, trained in this process."""
    store = Store(tmp_path_factory.mktemp("alone"))
    for recipe in [*RECIPES, LONG, *OTHERS]:
        job.train_one(recipe, store, data_dir)
    return store


def same(ours, theirs, recipes):
    for recipe in recipes:
        mine, other = contents(ours.place(recipe)), contents(theirs.place(recipe))
        assert mine.keys() == other.keys() and len(mine) == 4
        assert all(mine[name] == other[name] for name in mine if name != "run.json")


def begun(*arguments, **keywords):
    """Call `sweep.train` in a thread; return it, and the list that its error will be in."""
    raised = []

    def call():
        try:
            sweep.train(*arguments, **keywords)
        except UserError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, raised


# The same


def test_a_sweep_on_two_workers_gives_the_bits_of_one_process_and_says_how_far_it_is(two, tmp_path, alone, capsys):
    store = Store(tmp_path)
    found = sweep.train([*RECIPES, RECIPES[0]], store, cluster=two, weights=True)
    same(store, alone, RECIPES)
    assert [run.recipe for run in found] == [*RECIPES, RECIPES[0]]
    said = capsys.readouterr().out
    assert said.startswith("Runs to train: 4.\nDashboard: http://127.0.0.1:")
    assert re.search(r"100 % .* 4 of 4 runs, .* left: 0 running, 0 failed", said)
    before = {recipe: store.find(recipe).record["finished"] for recipe in RECIPES}
    sweep.train(RECIPES, store, cluster="tcp://127.0.0.1:1")  # nobody is asked where nothing is missing
    assert before == {recipe: store.find(recipe).record["finished"] for recipe in RECIPES}


@pytest.mark.long
def test_a_cluster_on_this_machine_gives_the_same_bits_and_leaves_no_process(tmp_path, alone):
    before = others()
    sweep.train(RECIPES[:2], Store(tmp_path), cluster="local", workers=1)
    same(Store(tmp_path), alone, RECIPES[:2])
    wait_for(lambda: others() <= before, seconds=20)


def others():
    """Return the processes that this one has begun and that do something, but for Python's own helpers."""
    found = set()
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if one.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(one.cmdline()):
                found.add(one.pid)
    return found


def test_a_worker_without_the_folder_sends_its_runs_back(two, tmp_path, alone, monkeypatch):
    monkeypatch.setattr(cluster, "identity", lambda folder: "of a folder that no worker has")
    sweep.train(RECIPES, Store(tmp_path), cluster=two)
    same(Store(tmp_path), alone, RECIPES)


def test_a_folder_has_one_identity_and_another_of_the_same_name_has_another(tmp_path):
    first, second = (cluster.identity(tmp_path / name) for name in ("a", "b"))
    assert first == cluster.identity(tmp_path / "a") != second
    asked = worker.Sweep(str(tmp_path / "a"), first, True, "", False)
    assert worker.has(asked) and not worker.has(replace(asked, identity=second))
    assert not worker.has(replace(asked, folder=str(tmp_path / "c")))


@pytest.fixture
def travelled(alone):
    return {path.name: path.read_bytes() for path in alone.place(ANN).iterdir()}


def test_what_travels_is_written_as_it_was_and_only_once(tmp_path, alone, travelled):
    store = Store(tmp_path)
    cluster.keep(travelled, ANN, store, weights=True)
    same(store, alone, [ANN])
    kept = (store.place(ANN) / "run.json").stat().st_mtime_ns
    cluster.keep(travelled, ANN, store, weights=True)
    assert (store.place(ANN) / "run.json").stat().st_mtime_ns == kept


def test_the_record_of_a_run_that_travels_is_written_last(tmp_path, monkeypatch):
    sent = {path.name: path.read_bytes() for path in write(tmp_path / "there").folder.iterdir()}
    written, here = [], Store(tmp_path / "here")
    monkeypatch.setattr(
        cluster, "write_file", lambda path, content: written.append(path) or files.write_file(path, content)
    )
    cluster.keep(sent, RECIPE, here, weights=True)
    names = [path.name for path in written if path.parent == here.place(RECIPE)]
    assert {*names} == {*sent} and names[-1] == "run.json"


@pytest.mark.parametrize("name", ["history.csv", "weights.safetensors", "recipe.json", "run.json"])
def test_a_byte_that_changes_on_the_way_is_noticed_and_nothing_is_kept(tmp_path, travelled, name):
    travelled[name] = travelled[name][:-9] + bytes([travelled[name][-9] ^ 1]) + travelled[name][-8:]
    with pytest.raises(UserError, match="damaged"):
        cluster.keep(travelled, ANN, Store(tmp_path), weights=True)
    assert not Store(tmp_path).place(ANN).exists()


@pytest.mark.parametrize("change", [{"../out": b""}, {"run.json": None}])
def test_no_other_files_than_those_of_a_run_are_written(tmp_path, travelled, change):
    sent = {name: content for name, content in (travelled | change).items() if content is not None}
    with pytest.raises(UserError, match="strange files"):
        cluster.keep(sent, ANN, Store(tmp_path / "runs"), weights=True)
    assert not [*tmp_path.iterdir()]


def test_another_recipes_run_is_not_kept(tmp_path, alone, travelled):
    with pytest.raises(UserError, match="another run's"):
        cluster.keep(travelled, RECIPES[1], Store(tmp_path), weights=True)


@pytest.mark.long
def test_a_report_made_on_a_cluster_has_the_weights_and_tables_of_one_made_here(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, where in ((here, []), (there, ["--cluster", "local"])):
        line = ["report", "smoke", "-p", "runs_dir", folder / "runs", "-p", "out", folder / "out", *where]
        subprocess.run([sys.executable, "-m", "fmnist_lib", *map(str, line)], check=True)
    made = {path.relative_to(here) for path in here.rglob("*") if path.suffix in (".csv", ".safetensors", ".json")}
    when = ("run.json", "tab-environment.csv")  # and how long it took
    made = {path for path in made if path.name not in when and not path.name.startswith(".")}
    assert len(made) > 20 and made <= {path.relative_to(there) for path in there.rglob("*")}
    assert [path for path in sorted(made) if (here / path).read_bytes() != (there / path).read_bytes()] == []


SWEEP = """
import signal
from test_cluster import ANN, LONG, Store, replace, sweep

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sweep.train([ANN, replace(LONG, epochs=100_000)], Store({place!r}), workers=1, cluster="local")
"""


@pytest.mark.long
def test_ctrl_c_ends_a_cluster_of_this_machine_with_all_its_processes_and_keeps_what_is_finished(tmp_path):
    (tmp_path / "sweep.py").write_text(SWEEP.format(place=str(tmp_path / "runs")))
    paths = os.pathsep.join(map(str, [ROOT, ROOT / "tests"]))
    plain = {"env": os.environ | {"PYTHONPATH": paths}, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, tmp_path / "sweep.py"], start_new_session=True, **plain) as started:
        wait_for(lambda: Store(tmp_path / "runs").find(ANN))
        begun = psutil.Process(started.pid).children(recursive=True)
        started.send_signal(signal.SIGINT)
        told = started.communicate(timeout=120)[1]
    assert "Stopped. What is finished is kept" in told and "Traceback (most recent call last)" in told
    wait_for(lambda: not [one for one in begun if one.is_running() and one.status() != psutil.STATUS_ZOMBIE], 30)


# Who asks


def executed(address):
    with distributed.Client(address, set_as_default=False) as client:
        return sum(client.run(lambda dask_worker: dask_worker.state.executed_count).values())


@pytest.mark.long
@pytest.mark.parametrize("shared", [True, False])
def test_two_clients_that_ask_for_the_same_at_once_get_each_run_trained_once(two, tmp_path, alone, monkeypatch, shared):
    if not shared:
        monkeypatch.setattr(cluster, "identity", lambda folder: "of a folder that no worker has")
    before, recipes = executed(two), [LONG, *OTHERS]  # long enough that all are asked for before one is finished
    asked = [begun(recipes, Store(tmp_path), cluster=two) for _ in range(2)]
    for thread, _ in asked:
        thread.join(200)
    assert [raised for _, raised in asked] == [[], []]
    same(Store(tmp_path), alone, recipes)
    assert executed(two) - before == len(recipes)


def train_unlocked(recipes, runs_dir, data_dir, notes):
    """Train where the file system knows no locks, noting each training that begins."""
    from test_sweep import train_each

    def refuse(_):
        raise OSError(errno.ENOLCK, "No locks available")

    filelock._unix.lock_fd_nonblocking = refuse
    train_each(recipes, runs_dir, data_dir, notes)


@pytest.mark.long
def test_processes_on_a_file_system_that_refuses_locks_still_train_each_run_once(tmp_path, data_dir):
    recipes, notes = [replace(ANN, epochs=1, weights_seed=seed) for seed in range(4)], tmp_path / "notes"
    started = []
    for turn in range(3):
        arguments = (recipes[turn:] + recipes[:turn], tmp_path / "runs", data_dir, notes)
        started.append(real.Process(target=train_unlocked, args=arguments))
        started[-1].start()
    for one in started:
        one.join(200)
    assert [one.exitcode for one in started] == [0] * 3
    assert notes.read_text() == "0\n" * 4 and Store(tmp_path / "runs").missing(recipes, weights=True) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_locks_are_refused_a_file_stands_for_one(tmp_path, monkeypatch, number):
    def refuse(_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", refuse)
    place = tmp_path / "run"
    with lock(place):
        assert [*(tmp_path / ".locks").glob("*.held")]
        with pytest.raises(UserError, match="cannot write"), lock(place, wait=False):
            pass
    with lock(place, wait=False):
        pass


def test_a_lock_that_fails_otherwise_is_no_lock(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", refuse)
    with pytest.raises(UserError, match="broken"), files.locked(tmp_path / "a.lock"):
        pass


# Who fails, and who dies


def test_a_recipe_that_fails_is_told_with_its_worker_and_cause_and_the_others_go_on(two, tmp_path, alone, capsys):
    with pytest.raises(UserError, match=rf"1 of 3 runs failed: {BAD.name}: on (one|two) \(tcp://.*engine 1, and this"):
        sweep.train([BAD, *RECIPES[:2]], Store(tmp_path), cluster=two)
    same(Store(tmp_path), alone, RECIPES[:2])
    said = capsys.readouterr().out
    assert re.search(rf"Failed: {BAD.name}: on (one|two) ", said) and "0 running, 1 failed" in said


@pytest.mark.long
def test_a_worker_killed_in_mid_run_is_replaced_by_another_and_none_is_trained_twice(tmp_path, alone):
    store, begins = Store(tmp_path), Store(tmp_path).place(LONG)
    with scheduler(tmp_path) as (address, _), joined(address, "victim") as victim:
        thread, raised = begun([ANN, LONG], store, cluster=address)
        wait_for(lambda: store.find(ANN) and (begins.parent / ".locks" / f"{begins.name}.lock").exists())
        first = (store.place(ANN) / "run.json").stat().st_mtime_ns
        os.kill(victim.pid, signal.SIGKILL)
        assert not store.find(LONG)
        with joined(address, "heir"):
            thread.join(200)
    assert raised == [] and not thread.is_alive()
    assert (store.place(ANN) / "run.json").stat().st_mtime_ns == first
    same(store, alone, [ANN, LONG])


@pytest.mark.long
def test_a_child_that_is_killed_is_replaced_and_one_that_always_dies_is_told(monkeypatch):
    monkeypatch.setattr(worker, "name", lambda: "one")
    monkeypatch.setattr(worker, "_train", die_once)
    monkeypatch.setattr(worker, "_idle", type(worker._idle)())
    asked = worker.Sweep("", "", True, "", False)
    for _ in range(2):  # Dask asks again
        with pytest.raises(UserError, match="one: its training process died"):
            worker.train(ANN, asked)
        assert worker._idle.empty()
    monkeypatch.setattr(worker, "_train", live)
    assert worker.train(ANN, asked).files == worker.train(ANN, asked).files  # by the same child
    worker._idle.get().shutdown()


def die_once(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def live(*_):
    return {"pid": os.getpid()}


@pytest.mark.long
def test_when_the_scheduler_dies_it_is_said_and_the_same_command_goes_on(tmp_path, alone):
    store = Store(tmp_path)
    with scheduler(tmp_path) as (address, killed), joined(address, "one"):
        thread, raised = begun([ANN, LONG], store, cluster=address)
        wait_for(lambda: store.find(ANN))
        killed.kill()
        thread.join(100)
    assert not thread.is_alive() and "scheduler is gone" in str(raised) and store.find(ANN)
    first = store.find(ANN).record
    sweep.train([ANN, LONG], store, workers=1)
    same(store, alone, [ANN, LONG])
    assert store.find(ANN).record == first


# Who is refused


def test_a_worker_of_another_version_and_one_with_other_data_are_refused_by_name(tmp_path):
    for name in ("older", "spoilt"):
        shutil.copytree(ROOT / "fmnist_lib", tmp_path / name / "fmnist_lib")
        (tmp_path / name / "reports").mkdir()
    with (tmp_path / "older" / "fmnist_lib" / "training.py").open("a") as file:
        file.write("\n")
    os.symlink(ROOT / "data", tmp_path / "older" / "data")
    raw = tmp_path / "spoilt" / "data" / "FashionMNIST" / "raw"
    shutil.copytree(ROOT / "data" / "FashionMNIST" / "raw", raw)
    with (raw / "train-labels-idx1-ubyte").open("r+b") as file:
        file.write(b"x")
    with (
        scheduler(tmp_path) as (address, _),
        joined(address, "older", home=tmp_path / "older"),
        joined(address, "spoilt", home=tmp_path / "spoilt"),
    ):
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, 120)
        with pytest.raises(UserError, match="refused, of 2 workers: ") as caught:
            sweep.train([ANN], Store(tmp_path / "runs"), cluster=address)
    assert re.search(r"older \(tcp://127.0.0.1:\d+\) has another version of the library", caught.value.cause)
    assert re.search(r"spoilt \(tcp://[^)]*\) \S+train-labels-idx1-ubyte is not the data set's", caught.value.cause)


def test_a_version_is_that_of_what_a_run_depends_on(tmp_path):
    package = tmp_path / "fmnist_lib"
    shutil.copytree(ROOT / "fmnist_lib", package)
    assert worker.digest(package) == worker.digest() == worker.VERSION
    (package / "press" / "display.py").write_text("")
    assert worker.digest(package) == worker.VERSION
    for name in ("training.py", "kernels/second.py", "runs/job.py", "workers/worker.py"):
        before = worker.digest(package)
        (package / name).write_text((package / name).read_text() + "\n")
        assert worker.digest(package) != before


def test_a_worker_that_joins_later_looks_at_the_version_itself(monkeypatch):
    monkeypatch.setattr(worker, "name", lambda: "late")
    outcome = worker.train(ANN, worker.Sweep("", "", True, "", False, version="another"))
    assert outcome == worker.Outcome("late", "it has another version of the library")


def test_a_run_that_a_worker_wrote_and_that_is_not_seen_here_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SIGHT", 0.0)
    future = concurrent.futures.Future()
    future.set_result(worker.Outcome("far"))
    assert "far wrote it, but it cannot be seen here" in cluster._end(future, RECIPE, Store(tmp_path), False)
    write(tmp_path)
    assert cluster._end(future, RECIPE, Store(tmp_path), False) == ""


def test_a_worker_without_the_library_is_refused():
    assert "No module named" in cluster._fault(ModuleNotFoundError("No module named 'fmnist_lib'"), worker.VERSION)
    assert cluster._fault((worker.VERSION, ""), worker.VERSION) == ""


def test_cuda_wants_a_worker_that_offers_a_gpu(two, tmp_path):
    with pytest.raises(UserError, match=r"no worker of the cluster offers a GPU\nFix: .*--resources GPU=1"):
        sweep.train([replace(ANN, device="cuda", kernels="torch")], Store(tmp_path), cluster=two)


@pytest.mark.parametrize(("visible", "cards"), [(None, ["0", "1"]), ("3,1", ["3", "1"])])
def test_a_machine_with_several_cards_gets_a_worker_each_that_takes_one_run(monkeypatch, visible, cards):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(distributed, "SpecCluster", lambda spec, *_, **__: spec)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    spec = [one["options"] for one in cluster._local(5, "cuda").values()]
    assert [one["env"]["CUDA_VISIBLE_DEVICES"] for one in spec] == cards
    assert all(one["resources"] == {"GPU": 1} and one["nthreads"] == 1 for one in spec)
    assert [len(cluster._local(n, "cpu")) for n in (3, 0)] == [3, pool.cores()]


def test_without_dask_the_error_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"Dask's distributed is not here\nFix: .*pip install .*'\.\[cluster\]'"):
        sweep.train([ANN], Store(tmp_path), cluster="local")


def test_where_no_scheduler_answers_it_is_said_how_to_start_one(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SILENCE", 1)
    with pytest.raises(UserError, match=r"no scheduler answers at tcp://127.0.0.1:9 .*\nFix: .*dask scheduler"):
        sweep.train([ANN], Store(tmp_path), cluster="tcp://127.0.0.1:9")


def test_an_address_that_dask_does_not_take_is_no_scheduler():
    with pytest.raises(UserError, match=r"no scheduler answers at tls://127.0.0.1:9 "):
        sweep.train([ANN], Store("temporary"), cluster="tls://127.0.0.1:9")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_cluster_on_this_machine_without_its_device_is_refused_and_not_waited_for(tmp_path):
    with pytest.raises(UserError, match="CUDA"):
        sweep.train([replace(ANN, device="cuda")], Store(tmp_path), cluster="local")


# From the command to the sweep


def test_what_the_processes_of_a_sweep_are_forked_from_has_what_it_names():
    assert all(importlib.util.find_spec(name) for name in pool.IMPORTED)  # forkserver ignores what it cannot import


@pytest.mark.parametrize("value", ["", "local", "tcp://node-1.cluster:8786", "tls://10.0.0.1:80", "tcp://[::1]:8786"])
def test_a_cluster_is_here_local_or_an_address(value):
    assert parameters.checked({"cluster": value}) == {"cluster": value}


@pytest.mark.parametrize("value", ["Local", "10.0.0.1:8786", "tcp://host", "tcp://a b:1", "http://host:80", 8786, None])
def test_any_other_cluster_is_refused(value):
    with pytest.raises(UserError, match="cluster = "):
        parameters.checked({"cluster": value})


def test_where_a_study_is_trained_decides_no_number_and_no_folder():
    assert "cluster" not in protocol.DEFAULTS
    quick = ROOT / "params" / "quick.yaml"
    given = parameters.read_file(quick)
    assert report.named(quick, given | {"cluster": "local"}, {"cluster": "local"}) == "quick"
    one, other = ({"n": 16, **more} for more in ({}, {"cluster": "local"}))
    assert report.named(quick, given | one, one) == report.named(quick, given | other, other) != "quick"


def test_an_executed_notebook_does_not_say_where_it_was_trained():
    def executed(**values):
        nb = nbformat.v4.new_notebook(metadata={"papermill": {"parameters": values}})
        told = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in values.items()), ""])
        nb.cells = [nbformat.v4.new_code_cell(told, metadata={"tags": ["injected-parameters"]})]
        return report.without_times(nb)

    assert executed(seed=[0], cluster="tcp://10.0.0.1:8786", n=[16]) == executed(seed=[0], n=[16])


def test_every_notebook_that_trains_takes_workers_and_a_cluster_and_hands_them_on():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        source = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
        trains = len(re.findall(r"\bsweep\.train\(", source))
        assert source.count("**sweep.where(params)") == trains
        for line in ("cluster: str = ", "workers: int = "):
            assert (line in source) == bool(trains or re.search(r"\bconduct\(", source)), path.name


@pytest.mark.parametrize("given", [{}, {"workers": 3, "cluster": "local"}])
def test_a_study_and_its_readings_are_trained_where_the_parameters_say(tmp_path, monkeypatch, given):
    class Asked(Exception):
        pass

    def train(*_, **keywords):
        assert {name: keywords[name] for name in ("workers", "cluster") if name in keywords} == given
        raise Asked

    monkeypatch.setattr(sweep, "train", train)
    small = {"k": [3], "n": [4], "p": [0.1], "seed": [0], "device": "cpu", "precision": "fp32", "kernels": "torch"}
    asked = protocol.DEFAULTS | small | given
    with pytest.raises(Asked):
        conduct.conduct(asked, Store(tmp_path, shipped=False))
    with pytest.raises(Asked):
        weighing.conduct(["default"], asked, Store(tmp_path, shipped=False))


def test_the_commands_that_train_take_a_cluster(monkeypatch, tmp_path):
    made, retrained = [], []
    monkeypatch.setattr(report, "make", lambda _, values: made.append(values) or tmp_path)
    monkeypatch.setattr("fmnist_lib.commands.publish.publish", lambda _: None)
    monkeypatch.setattr("fmnist_lib.commands.verify.verify", lambda _: ([], []))
    monkeypatch.setattr("fmnist_lib.commands.verify.verdict", lambda *_: "")
    monkeypatch.setattr(reference, "retrain", lambda *_, cluster: retrained.append(cluster) or [])
    monkeypatch.setattr(reference, "begins", lambda *_: [])
    for line in (["report", "quick"], ["reference"], ["verify", str(tmp_path), "--retrain", "CNN"]):
        assert command_line.main([*line, "--cluster", "local"]) == command_line.main(line) == 0
    assert [values.get("cluster", "") for values in made] == ["local", "", "local", ""] and retrained == ["local", ""]
    assert command_line.main(["report", "quick", "--cluster", "local", "-p", "cluster", "local"]) == 1
