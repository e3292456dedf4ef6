"""The one command: it refuses early and in two lines, keeps the older report until the new one is whole, and stops."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError
from test_runs import DAMAGE, HISTORY, OTHER, RECIPE, answers_of, checkpoint_of, empty, truncate, write

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import report
from fmnist_lib.commands.line import main
from fmnist_lib.press.language import sentence, speak
from fmnist_lib.runs import checkpoint, contents, record
from fmnist_lib.runs.run import read
from fmnist_lib.runs.store import Store
from fmnist_lib.study import protocol

SMOKE = ROOT / "params" / "smoke.yaml"
WATCHED = """
import sys, time
from fmnist_lib.commands.line import main
code = main(sys.argv[1:])
print("torch" in sys.modules, time.process_time() < 2)
sys.exit(code)
"""


def command(*arguments, cwd=None):
    """Run the command in a process of its own; return its exit code, its lines on stderr and what WATCHED saw."""
    line = [sys.executable, "-c", WATCHED, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=cwd, timeout=120)
    return done.returncode, done.stderr.splitlines(), done.stdout.split()


@pytest.fixture(autouse=True)
def handler():
    """Put back what the command does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def never(monkeypatch):
    monkeypatch.setattr(report, "execute", pytest.fail)


# Refusals

WRONG = {
    "unknown": (["kernal", "3"], "unknown parameter 'kernal'"),
    "decimal comma": (["p", "0,1"], "p = '0,1' (str)"),
    "type": (["n", "many"], "n = 'many' (str)"),
    "nothing": (["k", "null"], "k = None (NoneType)"),
    "truth": (["seed", "true"], "seed = True (bool)"),
    "range": (["p", "1.0"], "p = 1.0"),
    "negative": (["seed", "-1"], "seed = -1"),
    "even": (["k", "4"], "k = 4"),
    "no epochs": (["epochs", "0"], "epochs = 0"),
    "batch": (["batch", "20000"], "batch = 20000 is above train_images = 8000"),
    "split": (["train_images", "59000"], "train_images + val_images = 63000 is above 60000"),
    "layer": (["k", "[3, 11]"], "the second convolution sees 10×10"),
    "model": (["model", "CNN11-8-0.1"], "the second convolution sees 10×10"),
}


@pytest.mark.parametrize(("parameter", "cause"), WRONG.values(), ids=WRONG)
def test_a_wrong_parameter_is_refused_in_two_lines_within_2_seconds_and_without_torch(parameter, cause):
    code, lines, watched = command("report", "-p", *parameter)
    assert code == 1 and len(lines) == 2
    assert lines[0].startswith("Error: ") and cause in lines[0] and lines[1].startswith("Fix: ")
    assert watched == ["False", "True"]


FILES = {
    "a list": b"- k: 3\n",
    "empty": b"",
    "no YAML": b"k: [3\n",
    "no text": b"\x89PNG\xff\xfe",
    "code": b"k: !!python/object/apply:os.system [exit]\n",
    "unknown": b"kernal: 3\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_params_file_that_says_nothing_usable_is_refused_in_two_lines(tmp_path, content, capsys, never):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    assert main(["report", str(path)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("Error: ") and (str(path) in first or "kernal" in first) and second.startswith("Fix: ")


def test_a_params_file_that_is_missing_is_named(tmp_path):
    code, lines, _ = command("report", "nosuch.yaml", cwd=tmp_path)
    assert code == 1 and "nosuch.yaml" in lines[0] and lines[1].startswith("Fix: ") and len(lines) == 2


@pytest.mark.parametrize("wrong", [{"k": [3, 11]}, {"nahuel_k": 13}, {"retrain_images": 499, "batch": 500}], ids=str)
def test_what_is_refused_leaves_no_trace(tmp_path, never, wrong):
    with pytest.raises(UserError):
        report.make(ROOT / "params" / "paper.yaml", wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Lists


def test_the_listing_names_each_run_and_what_sets_it_apart(tmp_path, capsys):
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "No runs yet." and second.startswith(
        f"Shipped with the repository: {len(Store().names_shipped())} runs."
    )
    write(tmp_path)
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    assert {RECIPE.name, "fp32", "cpu", "2.11.0"} <= {*capsys.readouterr().out.split()}


def test_the_listing_goes_on_where_a_run_is_damaged_or_unfinished(tmp_path, capsys):
    for name in ("recipe.json", "run.json"):
        place = write(tmp_path, replace(RECIPE, epochs=2, weights_seed=len(name))).folder
        empty(place / name)
    checkpoint.write(
        Store(tmp_path).place(replace(RECIPE, order_seed=1)),
        replace(RECIPE, order_seed=1),
        HISTORY[:1],
        checkpoint_of(),
        1.0,
    )
    write(tmp_path)
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    states = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:-1]}
    assert sorted(states.values()) == ["damaged", "damaged", "finished", "unfinished"]
    assert states[RECIPE.name] == "finished" and len(states) == 4


@pytest.mark.parametrize(("name", "how"), DAMAGE, ids=lambda value: getattr(value, "__name__", value))
def test_verifying_names_each_damaged_file_with_a_fix_and_the_next_sweep_redoes_its_run_alone(
    tmp_path, capsys, name, how
):
    place = write(tmp_path).folder
    write(tmp_path, OTHER)
    assert main(["runs", "verify", "--runs-dir", str(tmp_path)]) == 0
    assert "Every file of 2 runs" in capsys.readouterr().out
    how(place / name)
    assert main(["runs", "verify", "--runs-dir", str(tmp_path)]) == 1
    told = capsys.readouterr()
    (line,) = told.out.splitlines()
    assert str(place / name) in line and "is damaged" in line and "Fix: set it aside" in line
    assert told.err.splitlines()[0] == "Error: 1 damaged files in 2 runs" and "Fix: each as told above" in told.err
    assert Store(tmp_path).missing([RECIPE, OTHER]) == [RECIPE]


def test_verifying_names_every_damaged_file_of_a_run_and_no_absent_weights(tmp_path, capsys):
    place = write(tmp_path).folder
    read(place).attach(record.TEST, contents.pack_answers(answers_of()))
    for name in ("recipe.json", "history.csv", record.TEST):
        truncate(place / name)
    (place / "weights.safetensors").unlink()
    assert main(["runs", "verify", "--runs-dir", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert [line.split(" is damaged")[0] for line in out.splitlines()] == [
        str(place / name) for name in ("recipe.json", "history.csv", record.TEST)
    ]


def test_fetch_says_where_the_data_is(data_dir, tmp_path, capsys):
    raw = tmp_path / "elsewhere" / "FashionMNIST" / "raw"
    raw.parent.mkdir(parents=True)
    raw.symlink_to(data_dir)
    assert main(["fetch", "--data-dir", str(tmp_path / "elsewhere")]) == 0
    assert capsys.readouterr().out.strip() == str(raw)


# Which folder, and under which stamp


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Let `report.make` go through the motions, and return a function that says into which folder it did."""
    monkeypatch.setattr(report, "ROOT", tmp_path)
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.setattr(report, "execute", lambda name, values, target: target.write_text(name))
    monkeypatch.setattr(report, "_render", lambda *_: None)
    return lambda file, overrides: report.make(file, overrides).relative_to(tmp_path).as_posix()


def test_overrides_never_reach_the_folder_of_the_file_and_equal_ones_share_theirs(folders, tmp_path, monkeypatch):
    paper = tmp_path / "params" / "paper.yaml"
    assert folders(paper, {}) == "reports/paper"
    overridden = folders(paper, {"epochs": 2})
    assert overridden.startswith("reports/paper-") and overridden != folders(paper, {"epochs": 3})
    monkeypatch.chdir(tmp_path)
    assert folders(Path("params", "paper.yaml"), {}) == "reports/paper"
    assert folders(paper, {"k": "3"}) == folders(paper, {"k": [3]})  # as papermill hands it over, and as YAML does


def test_another_file_of_the_same_name_never_reaches_the_papers_report(folders, tmp_path):
    mine = tmp_path / "paper.yaml"
    mine.write_text("epochs: 2\n")
    assert folders(mine, {}).startswith("reports/paper-")


PAPERS = protocol.DEFAULTS | {"device": "cpu", "precision": "fp32"}
QUICK = [
    {"epochs": 49},
    {"k": [3]},
    {"train_images": 10_000},
    {"n": [16, 128, 256]},
]
ELSE = [{"p": [0.1, 0.2, 0.25]}, {"padding": "same"}, {"folds": 6}, {"retrain_seed": 0}, {"epochs": 51}]


@pytest.mark.parametrize("changed", QUICK, ids=str)
def test_whatever_is_not_the_papers_protocol_in_full_is_stamped_quick(changed):
    assert "QUICK RUN" not in protocol.stamp(PAPERS)
    assert "QUICK RUN" in protocol.stamp(PAPERS | changed)
    speak("es")
    assert "CORRIDA RÁPIDA" in sentence(protocol.STAMP, **protocol.stamped(PAPERS | changed))


@pytest.mark.parametrize("changed", ELSE, ids=str)
def test_what_is_as_large_as_the_papers_protocol_and_another_is_stamped_so(changed):
    assert protocol.stamp(PAPERS | changed).startswith("Another protocol than the paper's")
    speak("es")
    assert "Otro protocolo" in sentence(protocol.STAMP, **protocol.stamped(PAPERS | changed))


def test_more_seeds_are_still_the_papers_protocol():
    assert "QUICK RUN" not in protocol.stamp(PAPERS | {"seed": [0, 1, 2]})


@pytest.mark.parametrize("out", ["notebooks", "reports/reference", "reports/reference/runs", "fmnist_lib", "."])
def test_a_report_never_goes_where_there_is_something_else(out, capsys, monkeypatch):
    monkeypatch.setattr(report, "execute", pytest.fail)
    assert main(["report", str(SMOKE), "-p", "out", out]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert str(ROOT / out) in first and second.startswith("Fix: ")


def test_a_report_goes_into_a_new_folder_an_empty_one_and_its_own_again(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    for out in ("new", "empty", "new", "empty"):
        assert folders(tmp_path / "params" / "paper.yaml", {"out": str(tmp_path / out)}) == out
        (tmp_path / out / "samples.svg").touch()  # all that a report has that was stopped at its first notebook


def test_a_report_of_the_project_is_told_no_path_of_a_machine(folders, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(report, "execute", lambda _, values, target: told.append((values["out"], target.touch())[0]))
    for out in ("", str(tmp_path.parent / f"{tmp_path.name}-elsewhere")):
        report.make(tmp_path / "params" / "paper.yaml", {"out": out} if out else {})
        assert set(told) == {out or "reports/paper"}
        told.clear()


def test_two_executions_of_a_notebook_are_the_same_whatever_their_clocks_names_and_warnings():
    def executed(n):
        told = {
            "tags": ["injected-parameters"],
            "papermill": {"duration": n},
            "execution": {"iopub.status.busy": f"{n}"},
        }
        texts = {"stdout": "a", "stderr": f"after {n} s"}.items()
        said = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in texts]
        nb = nbformat.v4.new_notebook(metadata={"papermill": {"parameters": {"n": [4]}, "input_path": f"/{n}"}})
        nb.cells = [nbformat.v4.new_code_cell("n = [4]", id=f"id-{n}", metadata=told, outputs=said)]
        return report.without_times(nb)

    assert executed(1) == executed(2)
    assert [output["name"] for output in executed(1).cells[0].outputs] == ["stdout"]


def test_an_environment_of_python_is_no_report_s_folder_though_it_has_a_lock(tmp_path):
    for name in (".lock", "pyvenv.cfg"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="is no report's folder"):
        report.refuse_others(tmp_path)


# What fails leaves the older report alone


@pytest.fixture
def older(tmp_path):
    names = ("report.html", "report.pdf", "report.ipynb", "sweep.ipynb", ".lock")
    for name in names:
        (tmp_path / name).write_text("the older one")
    return lambda: {name: (tmp_path / name).read_text() == "the older one" for name in names[:-1]}


def failing_at(bad):
    def execute(name, values, target):
        target.write_text("half a notebook" if name == bad else "whole")
        if name == bad:
            raise UserError(f"notebooks/{name}.ipynb: no", "yes")

    return execute


def test_a_notebook_that_fails_leaves_the_older_report_and_its_own_older_copy(tmp_path, older, monkeypatch):
    monkeypatch.setattr(report, "execute", failing_at("sweep"))
    with pytest.raises(UserError):
        report.make(SMOKE, {}, tmp_path)
    assert all(older().values()) and (tmp_path / "sample_images.ipynb").read_text() == "whole"
    assert not (tmp_path / ".making").exists()


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        ("Kernel didn't respond in 60 seconds", "never answered", "see that"),
        ("Kernel died", "died, perhaps", "run the"),
    ],
)
def test_a_kernel_that_dies_and_one_that_never_answers_are_told_apart(tmp_path, monkeypatch, words, what, fix):
    def execute(*_, **__):
        raise RuntimeError(words)

    monkeypatch.setattr("papermill.execute_notebook", execute)
    with pytest.raises(UserError) as error:
        report.execute("sweep", {}, tmp_path / "sweep.ipynb")
    assert error.value.cause.startswith(f"notebooks/sweep.ipynb: its kernel {what}") and words in error.value.cause
    assert error.value.fix.startswith(fix) and "memory" not in error.value.cause * (what == "never answered")


@pytest.mark.parametrize(("said", "fix"), [("no\nFix: yes", "yes"), ("no", "mend it and run the same command again")])
def test_a_notebook_that_fails_is_told_with_its_own_cause_and_fix(tmp_path, monkeypatch, said, fix):
    error = PapermillExecutionError(1, 1, "", "UserError", said, [])
    monkeypatch.setattr("papermill.execute_notebook", Mock(side_effect=error))
    with pytest.raises(UserError) as told:
        report.execute("sweep", {}, tmp_path / "sweep.ipynb")
    assert told.value.cause == "notebooks/sweep.ipynb: UserError: no" and told.value.fix.partition(":")[0] == fix


def test_a_rendering_that_fails_leaves_the_older_html_and_pdf(tmp_path, older, monkeypatch):
    monkeypatch.setattr(report, "execute", lambda name, values, target: target.write_text("no notebook"))
    with pytest.raises(nbformat.reader.NotJSONError):
        report.make(SMOKE, {}, tmp_path)
    assert older() == {"report.html": True, "report.pdf": True, "report.ipynb": False, "sweep.ipynb": False}


def test_a_page_that_cannot_get_its_name_leaves_the_older_one(tmp_path, older, monkeypatch):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "made.ipynb")
    (tmp_path / "aside").mkdir()
    monkeypatch.setattr(report, "rendered", lambda _: {"report.html": b"new"})
    monkeypatch.setattr(report.os, "replace", Mock(side_effect=OSError))
    with pytest.raises(OSError):
        report._render(tmp_path / "made.ipynb", tmp_path, tmp_path / "aside")
    assert older()["report.html"]


# From end to end

SMALLEST = {"n": [16], "device": "cpu", "precision": "fp32", "workers": 1}


def state(folder: Path) -> dict:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.long  # `test_template` makes a smallest report whole, and the reference is verified by executing it too
def test_ones_own_report_is_verified_by_executing_it_again_without_training(tmp_path):
    report.make(SMOKE, SMALLEST | {"runs_dir": str(tmp_path / "runs")}, tmp_path / "out")
    trained = state(tmp_path / "runs")
    assert main(["verify", str(tmp_path / "out")]) == 0
    assert state(tmp_path / "runs") == trained
