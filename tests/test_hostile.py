"""What a hostile file, a full disk or a typo can start, fill, hang or overwrite: nothing, and two lines say so."""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import matplotlib
import nbformat
import numpy as np
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import EpsImagePlugin, Image
from test_runs import HISTORY, RECIPE, answers_of, checkpoint_of, write

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import line as command_line
from fmnist_lib.commands import predict, reference, report, runs, verify
from fmnist_lib.commands.line import main
from fmnist_lib.press import figures, render, typeset
from fmnist_lib.runs import checkpoint, contents, record
from fmnist_lib.runs.store import Store

SMOKE = ROOT / "params" / "smoke.yaml"
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")


def refused(call, *arguments, said="") -> UserError:
    """Assert that a call is refused in two short printable lines, at once."""
    began = time.process_time()
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert time.process_time() - began < 5
    cause, fix = error.value.cause, error.value.fix
    assert cause.isprintable() and fix.isprintable() and len(cause) < 1000 and said in cause
    return error.value


def in_place_of(path, what):
    """Put a pipe, an endless device, a folder, gigabytes of zeros or nothing in the place of a file."""
    path.unlink(missing_ok=True)
    if what == "gigabytes":
        path.touch()
        os.truncate(path, 3 * 10**9)  # that are not on the disk
    else:
        {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir, "nothing": str}[what](
            path
        )


# Pictures

GARMENT = (np.arange(784).reshape(28, 28) * 7 % 256).astype(np.uint8)


def saved(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, kind, **options)
    return file.getvalue()


def read(tmp_path, content: bytes):
    (tmp_path / "a.png").write_bytes(content)
    return predict.picture(tmp_path / "a.png")


@pytest.mark.parametrize("kind", predict.FORMATS)
def test_a_picture_of_any_named_format_is_read_whatever_its_name(tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    shown = read(tmp_path, saved(GARMENT, kind, **options)).numpy()[0, 0].astype(int)
    assert np.abs(shown - GARMENT).max() <= (3 if kind == "JPEG" else 1)


def test_no_program_is_started_for_a_picture_of_another_format(tmp_path, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", pytest.fail)
    refused(read, tmp_path, saved(Image.fromarray(GARMENT), "EPS"), said="a.png is no picture")
    read(tmp_path, saved(GARMENT))
    for kind in ("PPM", "TGA", "PCX", "ICO", "JPEG2000", "DDS", "SGI"):
        refused(read, tmp_path, saved(Image.fromarray(GARMENT), kind), said="a.png is no picture")


def test_the_16_bits_of_a_png_are_scaled_by_their_range(tmp_path):
    fine = GARMENT.astype(np.uint16) * 257
    assert np.array_equal(read(tmp_path, saved(fine)).numpy()[0, 0], GARMENT)
    assert read(tmp_path, saved(np.full((28, 28), 2**15, np.uint16))).unique().tolist() == [128]


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32], ids=lambda kind: kind.__name__)
def test_numbers_without_a_stated_range_are_refused(tmp_path, kind):
    refused(read, tmp_path, saved(GARMENT.astype(kind), "TIFF"), said="no stated range")


def test_a_picture_is_measured_before_it_is_decoded(tmp_path):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 6_000, 6_000, 8, 0, 0, 0, 0))
    packed = chunk(b"IDAT", zlib.compress(bytes(6_001) * 6_000)) + chunk(b"IEND", b"")
    refused(read, tmp_path, b"\x89PNG\r\n\x1a\n" + head + packed, said="36,000,000 pixels are more than 30,000,000")


@posix
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "gigabytes", "nothing"])
def test_what_stands_in_the_place_of_a_picture_is_neither_waited_for_nor_read(tmp_path, what):
    in_place_of(tmp_path / "a.png", what)
    refused(predict.picture, tmp_path / "a.png", said="a.png")


def mutated(draw: random.Random, whole: bytes) -> bytes:
    """Return a content with a byte changed, a part cut out, repeated, or replaced by others."""
    at, length = draw.randrange(len(whole) + 1), draw.choice((1, 1, 1, 4, 40))
    middle = draw.choice((draw.randbytes(length), b"", bytes(length), b"\xff" * length, whole[at : at + length] * 3))
    return whole[:at] + middle + whole[at + draw.choice((0, length, len(whole))) :]


@pytest.mark.parametrize("kind", predict.FORMATS)
def test_300_mutations_of_a_picture_are_read_or_refused(tmp_path, kind):
    draw, whole = random.Random(kind), saved(GARMENT, kind)
    for _ in range(300):
        try:
            assert read(tmp_path, mutated(draw, whole)).shape == (1, 1, 28, 28)
        except UserError as error:
            assert error.cause.isprintable() and len(error.cause) < 1000


# Reports that are none, or damaged

REFERENCE = ROOT / "reports" / "reference"


@pytest.fixture
def shipped(tmp_path):
    """A copy of the reference, without what its check does not read."""
    shutil.copytree(REFERENCE, tmp_path / "report", ignore=shutil.ignore_patterns("*.pdf", "*.html", "benchmark"))
    return tmp_path / "report"


def test_damaged_runs_are_named_as_damaged_and_not_as_of_other_kinds(shipped):
    (first, *_) = places = sorted((shipped / "runs").iterdir())
    (first / "history.csv").write_bytes((first / "history.csv").read_bytes().replace(b"\n", b"\r\n"))
    refused(reference.records, shipped, said="history.csv is damaged")
    for place in places:
        (place / "recipe.json").write_bytes((place / "recipe.json").read_bytes().replace(b"\n", b"\r\n"))
    refused(reference.records, shipped, said=" is damaged")


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "gigabytes"])
@posix
def test_what_stands_in_the_place_of_a_report_is_neither_waited_for_nor_read(shipped, what):
    in_place_of(shipped / "report.ipynb", what)
    refused(verify.verify, shipped, said="report.ipynb")


NONE = [b"", b"[" * 10**5, b"{}", b"null", b'{"cells": 3}', b"\xff", json.dumps({"nbformat": 4, "cells": [3]}).encode()]
NONE += [(ROOT / "notebooks" / "report.ipynb").read_bytes()]


@pytest.mark.parametrize("content", NONE, ids=range(len(NONE)))
def test_what_is_no_report_is_refused(shipped, content):
    (shipped / "report.ipynb").write_bytes(content)
    refused(verify.verify, shipped, said="report.ipynb is no notebook of a report")


def git(*words, cwd=ROOT):
    done = subprocess.run(["git", *map(str, words)], cwd=cwd, capture_output=True)
    return done.stdout if done.returncode == 0 else pytest.skip("not a git checkout")


def test_a_clone_that_wants_the_ends_of_lines_of_windows_keeps_every_byte(tmp_path):
    git("clone", "-q", "-c", "core.autocrlf=true", ROOT, tmp_path / "clone")
    listed = [
        line.split(None, 3) for line in git("ls-tree", "-r", "HEAD", cwd=tmp_path / "clone").decode().splitlines()
    ]
    assert len(listed) > 100
    for _, _, blob, name in listed:
        content = (tmp_path / "clone" / name.strip('"')).read_bytes()
        assert hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == blob, name


# Runs

REMAIN = ["recipe.json", "history.csv", "weights.safetensors", "run.json", record.TEST, checkpoint.NAME]


@pytest.mark.long
@pytest.mark.parametrize("name", REMAIN)
def test_300_mutations_of_every_file_of_a_run_are_noticed_or_change_nothing(tmp_path, name, capsys):
    run = write(tmp_path)
    run.attach(record.TEST, contents.pack_answers(answers_of()))
    store, draw = Store(tmp_path), random.Random(name)
    seed = replace(RECIPE, epochs=3, order_seed=1)  # unfinished
    checkpoint.write(store.place(seed), seed, HISTORY[:1], checkpoint_of(seed), 1.0)
    place = store.place(seed) if name == checkpoint.NAME else run.folder
    whole, good = (place / name).read_bytes(), store.find(RECIPE)
    assert checkpoint.read(store.place(seed), seed)
    for _ in range(300):
        (place / name).write_bytes(mutated(draw, whole))
        runs.frame(store), runs.judged(store)
        with contextlib.suppress(UserError):
            found = store.find(RECIPE)
            assert found.record == good.record and found.history.equals(good.history)
        kept = checkpoint.read(store.place(seed), seed)
        assert kept is None or str(kept[0]) == str(HISTORY[:1])
        (store.place(seed) / "checkpoint-damaged-1").unlink(missing_ok=True)


@pytest.mark.long
def test_300_mutations_of_the_notebook_of_a_report_are_refused_or_change_nothing(shipped):
    draw, path = random.Random(0), shipped / "report.ipynb"
    whole = path.read_bytes()
    for _ in range(300):
        path.write_bytes(mutated(draw, whole))
        with contextlib.suppress(UserError):
            reference.written(shipped)


# Full disks, closed pipes, folders that vanish

MAIN = [sys.executable, "-m", "fmnist_lib"]


def two_lines(done, *said):
    """Assert that a finished process failed in two lines, which name these."""
    first, second = done.stderr.decode().splitlines()[-2:]
    assert done.returncode == 1 and first.startswith("Error: ") and second.startswith("Fix: "), done.stderr
    assert "Traceback" not in done.stderr.decode() and "Exception ignored" not in done.stderr.decode()
    assert all(word in first for word in said), first


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_full_disk_under_what_is_printed_is_told_in_two_lines():
    with open("/dev/full", "wb") as full:
        two_lines(subprocess.run([*MAIN, "schema"], stdout=full, stderr=subprocess.PIPE), "No space left")


@posix
@pytest.mark.parametrize(("typed", "unbuffered"), [("schema", ""), ("schema", "1"), ("--help", "")])
def test_when_the_reader_of_the_output_has_gone_the_command_ends_in_silence_as_other_tools(typed, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    buffered = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([*MAIN, typed], stdout=writing, stderr=subprocess.PIPE, env=buffered)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_pipe_between_processes_that_breaks_is_told(monkeypatch, capsys, handler):
    def broken(_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(command_line, "run_schema", broken)
    assert main(["schema"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "Broken pipe" in first and second.startswith("Fix: ")


FULL = """
import resource, sys
from fmnist_lib.commands.line import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # bytes of any file, by this process and its kernels
sys.exit(main(sys.argv[1:]))
"""


@posix
@pytest.mark.slow
def test_no_room_for_any_file_is_told_in_two_lines_and_the_older_report_survives(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()  # by which it is known as a report's folder
    (out / "report.html").write_text("the older one")
    line = [sys.executable, "-c", FULL, "report", ROOT / "params" / "smoke.yaml", "-p", "out", out]
    two_lines(subprocess.run(line, capture_output=True), "File too large")
    assert (out / "report.html").read_text() == "the older one" and not (out / ".making").exists()


def test_an_out_folder_that_vanishes_is_told_in_two_lines(tmp_path, monkeypatch, capsys, handler):
    monkeypatch.setattr(report, "execute", lambda name, values, target: shutil.rmtree(tmp_path / "out"))
    assert main(["report", str(SMOKE), "-p", "out", str(tmp_path / "out")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "Error: FileNotFoundError" in first and second.startswith("Fix: ")


def test_what_cannot_be_written_to_is_told_in_two_lines(capsys, handler):
    for folder in ("/dev/null/out", "/" + "x" * 300, "/" + "x" * 10**6):
        assert main(["report", str(SMOKE), "-p", "out", folder]) == 1
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("Error: ") and second.startswith("Fix: ") and len(first) < 3000


# Who waits for whom, and other silences


@pytest.fixture
def handler():
    """Put back what the command does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_second_report_for_the_same_folder_says_whom_it_waits_for(tmp_path, monkeypatch, capsys):
    entered, leave = threading.Event(), threading.Event()

    def execute(name, values, target):
        target.write_text(name)
        entered.set()
        assert leave.wait(60)

    monkeypatch.setattr(report, "execute", execute)
    monkeypatch.setattr(report, "_render", lambda *_: None)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(report.make, SMOKE, {}, tmp_path)
        assert entered.wait(60)
        second, said = pool.submit(report.make, SMOKE, {}, tmp_path), ""
        while "waiting" not in said and not second.done():
            time.sleep(0.01)
            said += capsys.readouterr().out
        leave.set()
        assert first.result(60) == second.result(60) == tmp_path
    assert f"{tmp_path} is being made by process {os.getpid()} on " in said and "waiting for its end" in said


@pytest.mark.parametrize("what", ["list", "verify"])
def test_a_folder_of_runs_that_is_not_there_is_refused(tmp_path, capsys, handler, what):
    assert main(["runs", what, "--runs-dir", str(tmp_path / "none")]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_parameter_given_twice_is_refused(capsys, handler):
    assert main(["report", "-p", "k", "3", "-p", "k", "5"]) == 1
    assert "-p k is given twice" in capsys.readouterr().err
    assert main(["report", "-p", "cluster", "local", "--cluster", "local"]) == 1
    assert "-p cluster is given twice" in capsys.readouterr().err


def test_a_name_that_no_terminal_can_print_is_told_all_the_same(tmp_path, capsys, handler):
    assert main(["predict", "\udcff\x1b[2J.png"]) == 1
    assert capsys.readouterr().err.replace("\n", "").isprintable()


# What a user's machine says of style

DRAWN = """
from fmnist_lib.press import figures
from fmnist_lib.press.display import Figure
import matplotlib.pyplot as plt
figures.use_style()
fig, ax = plt.subplots()
figures.accuracy_against(ax, __import__("pandas").DataFrame({"model": ["CNN3-8-0.1"], "x": [1], "accuracy": [90.0],
                                                             "low": [89.0], "high": [91.0]}), "x")
Figure(fig, "fig-x", "Words", "Words")
"""


@pytest.mark.slow
def test_a_users_style_profile_and_full_home_change_no_byte_of_a_notebook(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    cells = [new_code_cell("out: str = ''", metadata={"tags": ["parameters"]}), new_code_cell(DRAWN)]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "notebooks" / "tiny.ipynb")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("plain", "hostile"):
        (tmp_path / name).mkdir()
        if name == "hostile":
            (tmp_path / "matplotlibrc").write_text(
                "lines.linewidth: 9\nsavefig.transparent: True\nsvg.id: mine\nno: 1\n"
            )
            startup = tmp_path / "home" / "profile_default" / "startup"
            startup.mkdir(parents=True)
            (startup / "00.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
            monkeypatch.setattr(tempfile, "mkstemp", pytest.fail)
            monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "matplotlibrc"))
            monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "home"))
            for variable in ("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "JUPYTER_RUNTIME_DIR"):
                monkeypatch.setenv(variable, "/dev/null/nowhere")
        report.execute("tiny", {"out": "x"}, tmp_path / name / "tiny.ipynb")
    made = [(tmp_path / name / "tiny.ipynb").read_bytes() for name in ("plain", "hostile")]
    assert b"image/svg" in made[0] and made[0] == made[1]
    assert not (tmp_path / "ran").exists()


def test_the_style_starts_from_matplotlibs_defaults():
    with matplotlib.rc_context({"lines.linewidth": 9, "savefig.transparent": True, "axes.titlecolor": "red"}):
        figures.use_style()
        assert (matplotlib.rcParams["savefig.transparent"], matplotlib.rcParams["axes.titlecolor"]) == (False, "auto")


ASLEEP = """
import sys
from pathlib import Path
from fmnist_lib.commands import report
report.ROOT = Path(sys.argv[1])
report.execute("asleep", {"out": "x"}, report.ROOT / "asleep.ipynb")
"""


@posix
@pytest.mark.slow
def test_a_kernel_ends_with_the_report_that_is_killed(tmp_path):
    (tmp_path / "notebooks").mkdir()
    code = f"import time; open({str(tmp_path / 'there')!r}, 'w'); time.sleep(300)"
    cells = [new_code_cell("out: str = ''", metadata={"tags": ["parameters"]}), new_code_cell(code)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "notebooks" / "asleep.ipynb")
    parent = subprocess.Popen([sys.executable, "-c", ASLEEP, tmp_path])
    while not (tmp_path / "there").exists():
        assert parent.poll() is None
        time.sleep(0.05)
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, 20)
    for child in alive:
        child.kill()
    assert not alive


# What a notebook can hang

BRACKETS = "[" * 20_000


def markdown(*sources):
    return new_notebook(cells=[new_markdown_cell(source) for source in sources])


def test_markdown_that_takes_minutes_is_given_up_in_two_lines_and_leaves_no_process(monkeypatch):
    monkeypatch.setattr(typeset, "SECONDS", 1)
    refused(
        render.ArticleHTMLExporter().from_notebook_node, markdown("# Title", BRACKETS), said="not done after 1 second"
    )
    assert not [child for child in psutil.Process().children(recursive=True) if child.name() == "pandoc"]


@pytest.mark.parametrize("exporter", [render.ArticleHTMLExporter, render.ArticlePDFExporter], ids=["html", "pdf"])
@pytest.mark.parametrize("deep", ["> " * 400, "- " * 400, "*_" * 200, "$" + "{" * 400 + "}" * 400 + "$"])
def test_markdown_that_is_nested_deep_is_set_or_refused(exporter, deep):
    try:
        exporter().from_notebook_node(markdown("# Title", deep + "x"))
    except UserError as error:
        assert len(error.cause) < 500


CONVERT = "from fmnist_lib.press import typeset; typeset._pandoc('[' * 20_000, 'markdown', 'html')"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux")
def test_pandoc_ends_with_whoever_started_it():
    parent = subprocess.Popen([sys.executable, "-c", CONVERT])
    began = time.monotonic()
    while not (children := psutil.Process(parent.pid).children()) or children[0].cpu_times().user < 1:  # at work
        assert time.monotonic() - began < 60 and parent.poll() is None
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, 10)
    for child in alive:
        child.kill()
    assert not alive
