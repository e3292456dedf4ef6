"""Ctrl-C, SIGTERM, a kernel that dies, want of memory: it stops at once, says how to go on, and loses nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest
import torch
from jupyter_client.manager import start_new_kernel

from fmnist_lib import ROOT, Stopped, UserError, training
from fmnist_lib.commands import report
from fmnist_lib.commands.line import main
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import checkpoint, files, job
from fmnist_lib.runs.store import Store
from fmnist_lib.workers import sweep

SMALL = {"train_images": 200, "val_images": 100, "batch": 100}
FINISHED, ENDLESS = Recipe("ANN-Juan-0.1", epochs=3, **SMALL), Recipe("ANN-Juan-0.25", epochs=100_000, **SMALL)
SWEEP = """
import signal
from fmnist_lib.recipe import Recipe
from fmnist_lib.workers import sweep
from fmnist_lib.runs.store import Store

small = dict(train_images=200, val_images=100, batch=100)
recipes = [Recipe("ANN-Juan-0.1", epochs=3, **small), Recipe("ANN-Juan-0.25", epochs=100_000, **small)]
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job has not
    sweep.train(recipes, Store({place!r}), {data!r}, workers=2)
"""
REPORT = """
import signal
import sys
from fmnist_lib.commands import line
from fmnist_lib.commands import report
report.NOTEBOOKS = ("sweep",)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(line.main(sys.argv[1:]))
"""


def long(value):
    return pytest.param(value, marks=pytest.mark.long)


posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX signals")
SECONDS = 10  # about two on a free machine, most of them for PyTorch to be unloaded


def wait_for(condition, process=None, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline and (process is None or process.poll() is None), "waited in vain"
        time.sleep(0.05)


def crowding() -> float:
    """Return how many times longer than its own processor time a process takes now: 1 on a machine that is free."""
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.executable, "-c", "import papermill"], check=True)
    after, wall = os.times(), time.monotonic() - began
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return max(1.0, wall / used)


@contextmanager
def at_once(processes):
    """Assert that these processes end in here, within seconds of a machine that is free; none outlives the test."""
    before, began = crowding(), time.monotonic()
    try:
        yield
    finally:
        _, alive = psutil.wait_procs(processes, 30)
        took = time.monotonic() - began
        for process in alive:
            process.kill()
    assert not alive
    assert took < SECONDS * max(before, crowding()), took


def under_way(place) -> bool:
    return (place / FINISHED.name / "run.json").exists() and (Store(place).place(ENDLESS) / checkpoint.NAME).exists()


def kept(place):
    """Assert that what was finished is here, and that the rest goes on where it stopped."""
    assert Store(place).missing([FINISHED, ENDLESS], weights=True) == [ENDLESS]
    history, _, seconds = checkpoint.read(Store(place).place(ENDLESS), ENDLESS)
    assert len(history) > 0 and seconds > 0


# A sweep


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    "blow", [long(signal.SIGINT), long(signal.SIGTERM), signal.SIGKILL], ids=lambda blow: blow.name
)
def test_a_sweep_that_is_stopped_takes_its_processes_along_and_keeps_what_is_finished(tmp_path, data_dir, blow):
    script, place = tmp_path / "train.py", tmp_path / "runs"
    script.write_text(SWEEP.format(place=str(place), data=str(data_dir)))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: under_way(place), parent)
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    with at_once([psutil.Process(parent.pid), *workers]):
        parent.send_signal(blow)
        output, errors = parent.communicate(timeout=30)
    assert parent.returncode != 0
    assert ("fmnist_lib.Stopped: Stopped. What is finished is kept" in errors) == (blow != signal.SIGKILL)
    assert output.count("Stopped.") == 0
    kept(place)


@pytest.mark.slow
def test_a_kernel_survives_the_interruption_of_a_sweep_and_goes_on_working(tmp_path, data_dir):
    place = tmp_path / "runs"
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=300)

    def run(code):
        """Execute a cell; return its reply and what it printed."""
        said = []
        hook = lambda message: said.append(message["content"].get("text", ""))  # noqa: E731
        return client.execute_interactive(code, timeout=300, output_hook=hook)["content"], "".join(said)

    def interrupt():
        wait_for(lambda: under_way(place))
        manager.interrupt_kernel()
        stopped.append(time.monotonic())

    stopped, script = [], tmp_path / "recipes.py"  # the processes of a sweep find it there
    script.write_text(SWEEP.format(place=str(place), data=str(data_dir)))
    try:
        run(f"import os, runpy, psutil; os.chdir({str(tmp_path)!r})")
        slow = crowding()
        threading.Thread(target=interrupt).start()
        reply, said = run("runpy.run_path('recipes.py', run_name='__main__')")
        took = time.monotonic() - stopped[0]
        assert (reply["status"], reply["ename"]) == ("error", "Stopped")
        assert reply["traceback"] == [reply["evalue"]] == [str(Stopped())] and "Stopped" not in said
        assert took < SECONDS * max(slow, crowding()), took
        reply, said = run("print(len(psutil.Process().children()), 6 * 7)")
        assert reply["status"] == "ok" and said.split()[-1] == "42"
        kernel = psutil.Process(manager.provisioner.pid)
        assert set(kernel.children(recursive=True)) == set(kernel.children())  # whoever forks them has none left
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    kept(place)


def test_sigterm_is_ctrl_c_while_it_trains_and_what_it_was_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped), files.sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


# The report


@pytest.fixture
def handler():
    """Put back what the command does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_stops_the_command_as_ctrl_c_does(monkeypatch, capsys, handler):
    def stopped(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(report, "make", stopped)
    assert main(["report", "smoke"]) == 130 and str(Stopped()) in capsys.readouterr().err


@posix
@pytest.mark.slow
@pytest.mark.parametrize("blow", [long("SIGTERM"), "Ctrl-C", long("kernel killed")])
def test_a_report_stopped_in_training_says_how_to_go_on_and_leaves_no_process(tmp_path, blow):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").touch()  # by which it is known as a report's folder
    (tmp_path / "out" / "report.html").write_text("the older one")
    given = {"runs_dir": tmp_path / "runs", "out": tmp_path / "out", "epochs": 100_000, "workers": 1, "n": 2}
    options = [text for name, value in given.items() for text in ("-p", name, str(value))]
    line = [sys.executable, "-c", REPORT, "report", ROOT / "params" / "smoke.yaml", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(line, start_new_session=True, **pipes)
    wait_for(lambda: list(tmp_path.glob("runs/*/checkpoint")), process)
    kernel, *others = psutil.Process(process.pid).children(recursive=True)
    with at_once([psutil.Process(process.pid), kernel, *others]):
        if blow == "kernel killed":
            kernel.kill()
        elif blow == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
        else:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors and "never retrieved" not in errors
    if blow == "kernel killed":
        assert process.returncode == 1 and "Error: notebooks/sweep.ipynb: its kernel died" in errors
        assert "\nFix: run the same command again" in errors
    else:
        assert process.returncode == 130 and errors.count("Stopped.") == 1 and "leaked" not in errors
    assert (tmp_path / "out" / "report.html").read_text() == "the older one"
    assert not (tmp_path / "out" / ".making").exists()


# Memory

WANT = {
    "cuda": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a capacity of …"),
    "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    "python": MemoryError(),
}


@pytest.mark.parametrize("error", WANT.values(), ids=WANT)
def test_want_of_memory_is_told_in_two_lines_and_what_is_done_is_kept(tmp_path, data_dir, monkeypatch, error):
    recipe, steps, step = Recipe("ANN-Juan-0.1", epochs=4, **SMALL), [], training._epoch
    job.train_one(FINISHED, Store(tmp_path), data_dir)

    def short_of_memory(*arguments):
        steps.append(arguments)
        if len(steps) == 3:
            raise error
        return step(*arguments)

    monkeypatch.setattr(job, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(training, "_epoch", short_of_memory)
        with pytest.raises(
            UserError, match=rf"^out of memory \({type(error).__name__}.*\nFix: lower batch .*goes on"
        ) as told:
            job.train_one(recipe, Store(tmp_path), data_dir)
    assert "\n" not in told.value.cause
    assert Store(tmp_path).missing([FINISHED, recipe], weights=True) == [recipe]
    assert len(checkpoint.read(Store(tmp_path).place(recipe), recipe)[0]) == 2  # both epochs before it
    job.train_one(recipe, Store(tmp_path), data_dir)
    assert Store(tmp_path).missing([recipe]) == []


def test_want_of_memory_is_told_while_the_time_is_measured_and_other_errors_stay_what_they_are(data_dir, monkeypatch):
    for error, told in ((WANT["cuda"], UserError), (RuntimeError("shapes do not match"), RuntimeError)):

        def failing(*_, error=error):
            raise error

        monkeypatch.setattr(training, "_epoch", failing)
        with pytest.raises(told):
            sweep.measure(FINISHED, data_dir)


LITTLE = """
import resource, sys
from pathlib import Path
from fmnist_lib import UserError
from fmnist_lib.recipe import Recipe
from fmnist_lib.workers import sweep
from fmnist_lib.runs.store import Store

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
    large = Recipe("CNN3-4-0.1", epochs=1, batch=50_000, precision="fp32")  # 5 GB for the first convolution alone
    try:
        sweep.train([large], Store(Path("runs").absolute()), {data!r})
    except UserError as error:
        sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses memory beyond a limit")
@pytest.mark.slow
def test_real_want_of_memory_in_a_process_of_a_sweep_reaches_the_user(tmp_path, data_dir):
    script = tmp_path / "train.py"
    script.write_text(LITTLE.format(data=str(data_dir)))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    cause, fix = done.stderr.splitlines()[-2:]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (
        cause.startswith("out of memory (") and "can't allocate memory" in cause and fix.startswith("Fix: lower batch")
    )
