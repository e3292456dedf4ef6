"""The command line in a person's hands: what is typed by mistake, what is long, what is under way, what is a copy."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO, StringIO

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pypdf import PdfReader
from safetensors.torch import save
from test_render import html, notebook, shown
from test_runs import HISTORY, RECIPE, checkpoint_of, write

from fmnist_lib import ROOT, UserError, machine
from fmnist_lib.commands import lab, plan, predict, readme, reference, report, runs, verify
from fmnist_lib.commands import line as command_line
from fmnist_lib.commands.line import main
from fmnist_lib.press.display import Table
from fmnist_lib.press.render import ArticlePDFExporter
from fmnist_lib.runs import checkpoint, record, store
from fmnist_lib.runs.store import Store
from fmnist_lib.study import cells, parameters, sections
from fmnist_lib.workers import sweep


def told(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


# Mistakes

MISTAKES = {
    "command": (["reprot", "quick"], "did you mean report? see fmnist --help"),
    "no command": ([], "see fmnist --help"),
    "option": (["runs", "--wtach"], "did you mean --watch?"),
    "choice": (["runs", "verfy"], "did you mean verify?"),
    "two at once": (["runs", "verify", "--watch", "--runs-dir", "x"], "ask for one of them at a time"),
    "no use of a cluster": (["verify", "reports/reference", "--cluster", "local"], "add --retrain"),
    "another notebook's parameter": (
        ["report", "quick", "-p", "activations", "leaky_relu"],
        "did you mean activation?",
    ),
    "half an option": (["report", "quick", "-p", "k"], "give -p NAME VALUE (override a parameter, e.g. -p epochs 3)"),
    "an option alone": (["verify", "reports/reference", "--cluster"], "give --cluster WHERE (train on local or tcp://"),
    "params file": (["report", "quik"], "did you mean quick? give one of smoke, quick, paper, rigorous"),
    "text": (["report", "quick", "-p", "optimizer", "adamm"], "did you mean adam"),
    "folder": (["runs", "--runs-dir", "no such folder"], "name one with --runs-dir"),
    "folder without runs": (["runs", "verify", "--runs-dir", str(ROOT / "params")], "name a folder of runs with"),
    "another notebook's": (["report", "folds"], "papermill notebooks/cross_validation.ipynb out.ipynb -f params/folds"),
    "the course's": (["report", "course"], "papermill notebooks/cross_validation.ipynb out.ipynb -f params/course"),
    "a variant of it": (["report", "search-quick"], "papermill notebooks/hyperparameters.ipynb out.ipynb -f params/s"),
    "report": (["verify", "reports/refrence"], "name the folder of a report, such as reports/reference"),
    "picture": (["predict", "no such.png"], "name a picture"),
}


@pytest.mark.parametrize(("typed", "fix"), MISTAKES.values(), ids=MISTAKES)
def test_whatever_is_typed_by_mistake_is_told_in_two_lines_with_the_near_and_the_allowed(typed, fix, capsys):
    assert main(typed) == 1
    first, second = told(capsys)
    assert first.startswith("Error: ") and second.startswith("Fix: ") and fix in second


def test_a_report_takes_no_parameter_that_only_another_notebook_has():
    report.check({"activation": "leaky_relu", "workers": 1, "out": "here"})
    for name, value in (("activations", ["leaky_relu"]), ("peak", 0.01), ("search_seeds", [1, 2])):
        with pytest.raises(UserError, match=f"{name} is no parameter of a report"):
            report.check({name: value})


@pytest.mark.parametrize("folder", ["nothing", "a file"])
def test_a_folder_without_a_report_is_told_once_and_without_a_number(folder, tmp_path, capsys):
    (tmp_path / "a file").touch()
    assert main(["verify", str(tmp_path / folder)]) == 1
    assert told(capsys)[0] == f"Error: there is no report in {tmp_path / folder}: report.ipynb is missing"


@pytest.mark.parametrize(
    ("typed", "cause"),
    [
        (["verify", "reports/reference", "--retrain", "CNN7"], "has no run CNN7"),
        (["report", "quick", "-p", "device", "cuda"], "finds no CUDA device"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_made_or_verified(typed, cause, monkeypatch, capsys):
    monkeypatch.setattr(verify, "verify", pytest.fail)
    monkeypatch.setattr(report, "_turn", pytest.fail)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(typed) == 1
    assert cause in told(capsys)[0]


def test_a_list_with_one_bad_value_is_shown_whole():
    with pytest.raises(UserError, match=re.escape("p = [0, 1], where one = 1 (int)\nFix: give p a number from 0")):
        parameters.checked({"p": "[0, 1]"})


def test_the_help_has_examples_that_the_parser_takes_and_no_markup(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert "``" not in text and ":func:" not in text
    examples = re.findall(r"^  fmnist (.+?)   *(?=\S)", command_line.EXAMPLES, re.M)
    assert len(examples) == 7
    for line in examples:
        command_line.parser().parse_args(shlex.split(line))


def test_the_version_is_that_of_the_project(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    stated = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)[1]
    assert capsys.readouterr().out == f"fmnist {stated}\n"


# A report, before it is made


def test_a_bare_name_is_a_params_file_of_the_project_unless_a_file_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan.params_file("quick") == ROOT / "params" / "quick.yaml"
    (tmp_path / "quick").write_text("epochs: 2\n")
    assert plan.params_file("quick").read_text() == "epochs: 2\n"


def test_a_params_file_that_is_elsewhere_is_told_with_the_folder_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, place in (("params/quick.yaml", f" in {tmp_path}"), (tmp_path / "quick.yaml", "")):
        with pytest.raises(UserError) as error:
            plan.params_file(str(name))
        assert error.value.cause == f"there is no params file {name}{place}"
        assert error.value.fix.startswith("did you mean quick? give one of")


def test_a_params_file_of_ones_own_among_the_projects_is_a_reports_whatever_it_states(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PARAMS", tmp_path)
    for name in ("mine", "folds"):
        (tmp_path / f"{name}.yaml").write_text("epochs: 2\n")
    assert plan.reports_file("mine") == tmp_path / "mine.yaml"
    with pytest.raises(UserError, match="another notebook"):
        plan.reports_file("folds")


def test_a_params_file_that_cannot_be_used_is_left_out_by_name_and_stands_in_no_others_way(
    tmp_path, monkeypatch, capsys
):
    for name in ("quick", "paper"):
        shutil.copy(ROOT / "params" / f"{name}.yaml", tmp_path)
    (tmp_path / "mine.yaml").write_text("k: [3]\nn: [8]\np: [0.1]\nkernal: 3\n")
    monkeypatch.setattr(plan, "PARAMS", tmp_path)
    assert plan.reports_file("quick") == tmp_path / "quick.yaml" and capsys.readouterr().out == ""
    assert [path.stem for path in plan.named()] == ["quick", "paper"]
    assert capsys.readouterr().out == "params/mine.yaml is left out: unknown parameter 'kernal'\n"


def test_without_a_reference_what_there_is_to_train_is_told_without_a_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan, "SHIPPED", tmp_path)
    monkeypatch.setattr(store, "ROOT", tmp_path)
    assert main(["report"]) == 0
    assert re.search(r"fmnist report quick .* –$", capsys.readouterr().out, re.M)


@pytest.mark.parametrize("changed", [("epochs", "2"), ("padding", "same"), ("k", "3")])
def test_the_reference_takes_the_papers_protocol_alone(changed, monkeypatch, capsys):
    monkeypatch.setattr(report, "make", pytest.fail)
    assert main(["reference", "-p", *changed]) == 1
    assert "reports/reference is the paper's protocol" in capsys.readouterr().err


def test_the_reference_says_what_trained_it_though_that_was_left_open():
    stated = reference.as_here({"device": "auto", "epochs": 50})
    assert stated["epochs"] == 50 and "auto" not in stated.values() and {"precision", "kernels"} <= stated.keys()


def test_runs_that_end_with_each_notebook_make_no_report(tmp_path):
    with pytest.raises(UserError, match='runs_dir = "temporary"'):
        report.make(ROOT / "params" / "quick.yaml", {"runs_dir": "temporary"}, tmp_path / "out")


def test_the_data_of_a_report_are_those_of_its_last_making_alone(tmp_path, monkeypatch):
    def execute(name, values, target):
        (target.parent / report.DATA).mkdir(exist_ok=True)
        (target.parent / report.DATA / f"tab-{name}.csv").write_text("")
        target.write_text("{}")

    monkeypatch.setattr(report, "execute", execute)
    monkeypatch.setattr(report, "_render", lambda *_: None)
    out = report.make(ROOT / "params" / "quick.yaml", {"device": "cpu"}, tmp_path / "out")
    made = {path.name for path in (out / report.DATA).iterdir()}
    assert made == {f"tab-{name}.csv" for name in report.NOTEBOOKS}
    for name in ("tab-older.csv", "fig-older.csv", "mine.csv"):
        (out / report.DATA / name).write_text("")
    (out / ".making" / report.DATA).mkdir(parents=True)
    (out / ".making" / report.DATA / "tab-killed.csv").write_text("")  # of a process that was killed
    report.make(ROOT / "params" / "quick.yaml", {"device": "cpu"}, out)
    assert {path.name for path in (out / report.DATA).iterdir()} == made | {"mine.csv"}


def test_a_bare_report_says_what_it_would_take_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "make", pytest.fail)
    before = set(tmp_path.rglob("*"))
    monkeypatch.setattr(store, "ROOT", tmp_path)  # whose runs/ is not there
    monkeypatch.setattr(machine, "native_bf16", lambda _: True)  # as where the shipped runs were made
    assert main(["report"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[2]: line for line in out.splitlines() if "fmnist report" in line}
    assert out.startswith("Nothing was done.") and list(rows) == ["smoke", "quick", "paper", "rigorous"]
    assert "50 epochs of 50,000 images" in rows["paper"] and set(tmp_path.rglob("*")) == before
    assert re.search(r" seeds +trainings missing +about$", out, re.M) and "not counted" in out
    assert re.search(r" 1 +0 +0 s", rows["paper"])  # all of it is shipped
    assert re.search(r" 1 +6 +< 1 min", rows["smoke"])  # never no time at all
    assert re.search(r" 1 +15 ", rows["quick"])  # twelve of the grid, the winner again, three of the rivals
    assert main(["report", "-p", "epochs", "3"]) == 0
    assert "3 epochs of 8,000 images" in capsys.readouterr().out


# Runs


def test_the_listing_is_for_people(tmp_path):
    write(tmp_path)
    (row,) = runs.listing(Store(tmp_path)).to_dict("records")
    assert row["protocol"] == f"{RECIPE.epochs} epochs of {RECIPE.train_images:,} images"
    assert row["best"] == "90.00 % at epoch 1" and re.fullmatch(r"\d+ kB|\d+\.\d MB", row["size"])
    assert row["run"] == RECIPE.name and row["status"] == "finished"
    taken = sum(path.stat().st_size for path in (tmp_path / RECIPE.name).iterdir())
    number, unit = row["size"].split()
    assert float(number) == pytest.approx(taken / {"kB": 1e3, "MB": 1e6}[unit], abs=0.5) and taken > 3000


@pytest.fixture
def under_way(tmp_path):
    """A folder with one finished run, and one with a checkpoint of its first epoch, which took 10 seconds."""
    write(tmp_path)
    recipe = replace(RECIPE, order_seed=1)
    checkpoint.write(Store(tmp_path).place(recipe), recipe, HISTORY[:1], checkpoint_of(), 10.0)
    return tmp_path, recipe


def test_the_folder_that_is_named_is_the_one_that_is_watched(under_way, monkeypatch, capsys):
    monkeypatch.setattr(runs, "watch", lambda place: [f"watched: {place}"])
    assert main(["runs", "--watch", "--runs-dir", str(under_way[0])]) == 0
    assert capsys.readouterr().out == f"watched: {under_way[0]}\n"


def test_what_is_being_trained_is_read_from_disk_with_the_time_that_is_left(under_way):
    folder, recipe = under_way
    (row,) = runs.progress(Store(folder)).to_dict("records")
    assert (row["run"], row["epoch"], row["epochs"]) == (recipe.name, 1, recipe.epochs)
    assert row["left"] == pytest.approx(10.0 * (recipe.epochs - 1)) and row["alive"]
    first, second = next(runs.watch(str(folder))).splitlines()
    assert first == "1 finished, 1 under way, 0 interrupted"
    assert ": epoch 1 of 2, loss 0.333, 90.00 % on validation, about 10 s left" in second


@pytest.mark.parametrize(("epochs", "alive"), [(2.5, True), (4, False)])
def test_what_was_heard_of_within_three_of_its_epochs_and_a_while_is_under_way(epochs, alive, under_way, monkeypatch):
    folder, _ = under_way
    monkeypatch.setattr(runs, "QUIET", 0.0)
    history = Store(folder).place(under_way[1]) / record.HISTORY
    os.utime(history, (time.time() - epochs * 10.0,) * 2)
    assert runs.progress(Store(folder))["alive"].tolist() == [alive]


def test_watching_ends_when_nothing_is_under_way_and_writes_nothing(under_way, monkeypatch):
    folder, _ = under_way
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(runs, "QUIET", -100.0)
    assert "interrupted" in runs.told(runs.progress(Store(folder)), 1)
    assert list(runs.watch(str(folder), every=0))[-1].startswith("1 finished, 0 under way, 1 interrupted\n")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_watching_goes_on_between_two_trainings_and_ends_when_none_has_come(tmp_path, monkeypatch):
    seen = iter([True, False, True, *[False] * 1000])
    monkeypatch.setattr(runs, "progress", lambda store: pd.DataFrame({"alive": [next(seen)]}))
    monkeypatch.setattr(runs, "told", lambda table, finished: bool(table["alive"][0]))
    monkeypatch.setattr(runs, "GAP", 0.3)
    watched = list(runs.watch(str(tmp_path), every=0.02))
    assert watched[:3] == [True, False, True] and 4 < len(watched) < 1000


ODD = [{"recipe": "[]", "seconds": "1"}, {"recipe": '{"epochs": null}', "seconds": "1"}, {"recipe": "[" * 10_000}]
ODD += [
    {"recipe": '{"epochs": 2}', "seconds": "nan"},
    {"recipe": '{"epochs": 1e999}', "seconds": "1"},
    {"recipe": '{"epochs": 1e999}', "seconds": "1e999"},
]


@pytest.mark.parametrize("said", ODD, ids=range(len(ODD)))
def test_a_checkpoint_that_says_odd_things_stands_in_nobodys_way(under_way, said):
    folder, recipe = under_way
    path = Store(folder).place(recipe) / "checkpoint"
    path.write_bytes(bytes(65) + save({"x": torch.zeros(1)}, said))
    assert next(runs.watch(str(folder))).startswith("1 finished")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
@pytest.mark.parametrize("name", ["checkpoint", "history.csv"])
def test_a_pipe_among_the_files_of_a_training_is_not_waited_for(under_way, name):
    folder, recipe = under_way
    (path := Store(folder).place(recipe) / name).unlink()
    os.mkfifo(path)
    assert runs.progress(Store(folder)).empty
    assert sweep._epochs_done(path.parent, 2, False) == (0 if name == "history.csv" else 1)


def test_what_others_wrote_gives_a_listing_no_orders_and_no_length(tmp_path, capsys):
    write(tmp_path, torch="\x1b[31m" + "x" * 100_000)
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and len(said) < 1000


def test_a_command_without_anyone_to_talk_to_does_its_work(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["runs", "--runs-dir", str(write(tmp_path).folder.parent)]) == 0


def test_watching_where_nothing_is_trained_tells_so_once(tmp_path):
    assert list(runs.watch(str(tmp_path))) == ["0 finished, 0 under way, 0 interrupted"]


def test_a_checkpoint_that_is_half_written_is_left_out(under_way):
    folder, recipe = under_way
    place = Store(folder).place(recipe)
    (place / checkpoint.NAME).write_bytes((place / checkpoint.NAME).read_bytes()[:90])
    assert runs.progress(Store(folder)).empty


# Pictures


def test_a_light_border_is_told_from_a_dark_one():
    image = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)
    assert predict.light_border(image)
    image[..., 0, :] = image[..., -1, :] = image[..., :, 0] = image[..., :, -1] = 0
    assert not predict.light_border(image)


@pytest.mark.parametrize(
    ("grey", "middle", "inverted", "told"),
    [
        (0, 0, False, "nothing to name"),
        (255, 250, False, "nothing to name"),
        (255, 100, False, "add --invert"),
        (255, 100, True, "was --invert meant?"),
        (0, 100, False, ""),
    ],
)
def test_a_blank_picture_or_a_light_border_is_a_doubt(grey, middle, inverted, told):
    image = torch.full((1, 1, 28, 28), grey, dtype=torch.uint8)
    image[..., 9:19, 9:19] = middle
    doubt = predict.doubt(image, inverted)
    assert (told in doubt) if told else doubt == ""


@pytest.mark.parametrize(
    ("ground", "invert", "doubt"),
    [(255, False, "add --invert"), (255, True, ""), (0, True, "was --invert meant?"), (0, False, "")],
)
def test_a_picture_is_named_by_its_three_likeliest_classes_and_inverted_only_if_that_is_said(
    ground, invert, doubt, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    pixels, seen = np.full((28, 28), ground, np.uint8), []
    pixels[9:19, 9:19] = 255 - ground
    Image.fromarray(pixels).save("a.png")
    classes = [("Bag", 0.6), ("Coat", 0.3), ("Dress", 0.08), ("Shirt", 0.02)]
    monkeypatch.setattr(reference, "winner", lambda: "winner")
    monkeypatch.setattr(predict, "classify", lambda run, images: seen.append(images) or [classes])
    assert main(["predict", *["--invert"] * invert, "a.png"]) == 0
    said = capsys.readouterr()
    assert said.out == "a.png: Bag 60.0 %, Coat 30.0 %, Dress 8.0 %\n"
    assert (seen[0][0, 0].numpy() == (255 - pixels if invert else pixels)).all()
    assert (doubt in said.err) if doubt else said.err == ""


# Working copies


@pytest.fixture
def work(monkeypatch, tmp_path):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    return tmp_path / "work"


def assigned(path) -> dict:
    """Return the parameters that the parameters cell of a notebook assigns, by running it."""
    (cell,) = [cell for cell in nbformat.read(path, 4).cells if "parameters" in cell.metadata.get("tags", [])]
    values = {}
    exec(cell.source, values)
    assert set(values) - {"__annotations__", "__builtins__"} <= set(parameters.NAMES)
    return {name: values[name] for name in parameters.NAMES if name in values}


@pytest.mark.parametrize("name", ["quick", "course", "rigorous", "beyond"])
def test_the_working_copies_have_the_values_of_the_params_file_those_too_whose_default_a_notebook_does_not_list(
    name, work
):
    folder = lab.copies(ROOT / "params" / f"{name}.yaml")
    given = parameters.checked(parameters.read_file(ROOT / "params" / f"{name}.yaml"))
    assert folder == work / name
    for source in (ROOT / "notebooks").glob("*.ipynb"):
        assert assigned(folder / source.name) == assigned(source) | given
        (cell,) = (
            c for c in nbformat.read(folder / source.name, 4).cells if "parameters" in c.metadata.get("tags", [])
        )
        assert cells.named([cell.source], parameters.NAMES) == assigned(source).keys() | given.keys()


def test_a_params_file_elsewhere_has_working_copies_of_its_own(work, tmp_path):
    made = []
    for name, epochs in (("a", 3), ("b", 4)):
        (tmp_path / name).mkdir()
        (file := tmp_path / name / "quick.yaml").write_text(f"epochs: {epochs}\n")
        made.append(lab.copies(file))
        assert assigned(made[-1] / "sweep.ipynb")["epochs"] == epochs and made[-1].name.startswith("quick-")
    (file := tmp_path / "...yaml").write_text("epochs: 5\n")
    assert len({*made, lab.copies(ROOT / "params" / "quick.yaml"), lab.copies(file)}) == 4
    assert {path.parent for path in tmp_path.rglob("sweep.ipynb")} <= {*work.iterdir(), tmp_path / "notebooks"}


def test_a_working_copy_is_kept_and_without_a_params_file_it_is_the_notebook(work, capsys):
    lab.copies()
    for source in (ROOT / "notebooks").glob("*.ipynb"):
        assert nbformat.read(work / source.name, 4) == nbformat.read(source, 4)
    (work / "sweep.ipynb").write_text("mine")
    lab.copies()
    assert (
        work / "sweep.ipynb"
    ).read_text() == "mine" and "Kept as they are: benchmark.ipynb, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], (None, [])),
        (["quick"], (ROOT / "params" / "quick.yaml", [])),
        (["folds"], (ROOT / "params" / "folds.yaml", [])),
        (["--", "--no-browser", "--port", "8899"], (None, ["--no-browser", "--port", "8899"])),
        (["quick", "--", "--port", "8899"], (ROOT / "params" / "quick.yaml", ["--port", "8899"])),
    ],
    ids=str,
)
def test_what_follows_two_dashes_is_jupyterlabs_own(words, given, monkeypatch):
    started = []
    monkeypatch.setattr(lab, "start", lambda *found: started.append(found))
    assert main(["lab", *words]) == 0 and started == [given]


def test_jupyterlab_gets_its_options_after_the_folder_of_the_copies(work, monkeypatch, capsys):
    from jupyterlab.labapp import LabApp

    launched = []
    monkeypatch.setattr(LabApp, "launch_instance", launched.append)
    lab.start(None, ["--no-browser"])
    assert launched == [[str(work), "--no-browser"]]
    assert main(["lab", "quick", "smoke"]) == 1 and "smoke after quick\nFix: " in capsys.readouterr().err


def test_git_ignores_the_working_copies():
    done = subprocess.run(["git", "check-ignore", "-q", "work/sweep.ipynb"], cwd=ROOT)
    assert done.returncode == 0


def test_the_entry_point_is_installed_beside_the_module():
    done = subprocess.run([sys.executable, "-m", "fmnist_lib", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("fmnist ")


@pytest.mark.slow
def test_papermill_ends_in_the_two_lines_that_help_and_shows_other_errors_as_ever(tmp_path):
    papermill = [sys.executable, "-m", "papermill", ROOT / "notebooks" / "sample_images.ipynb", tmp_path / "out.ipynb"]
    done = subprocess.run([*papermill, "--no-progress-bar", "-p", "samples", "0"], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()[-2:]] == ["Error:", "Fix:"]
    done = subprocess.run([*papermill, "--engine", "nosuch"], capture_output=True, text=True)
    assert "Traceback" in done.stderr and "No engine named" in done.stderr


# From a picture to its source


@pytest.fixture
def executed(tmp_path):
    """A notebook with a table of three runs, executed and left in a report's folder with its data beside it."""
    scores = pd.DataFrame({"model": ["a", "b", "c"], "accuracy": [0.5, 0.25, 1 / 3], "run": ["r1", "r2", "r3"]})
    listed = pd.DataFrame({"run": ["r1", "r2", "r3"]})
    tables = Table(scores[["model"]], "tab-scores", "Scores.", data=scores), Table(listed, "tab-runs", "The runs.")
    nb = notebook(*map(shown, tables), shown(Table(scores[:1], "tab-one", "One.")))
    nb.metadata["fmnist"] = {"file": "report.ipynb"}
    written = {name: text for name, text in report.carried(nb)}
    return nb, scores, written


def test_each_table_links_to_its_notebook_and_its_data_and_names_its_runs(executed):
    nb, _, written = executed
    page = html(nb)
    assert [a["href"] for a in page.select("#tab-scores .source a")] == [
        "report.ipynb",
        "data/tab-scores.csv",
        "#tab-runs",
    ]
    runs_of = {
        name: page.select_one(f"#{name} .source").get_text().replace("\u00a0", " ")
        for name in ("tab-scores", "tab-one", "tab-runs")
    }
    assert runs_of["tab-runs"].endswith("data/tab-runs.csv")  # its own rows are their names
    assert runs_of["tab-scores"].endswith("3 runs, Table IV") and runs_of["tab-one"].endswith("· r1")
    pdf, _ = ArticlePDFExporter().from_notebook_node(nb)
    notes = [note.get_object() for sheet in PdfReader(BytesIO(pdf)).pages for note in sheet.get("/Annots", [])]
    assert {"report.ipynb", "data/tab-scores.csv"} <= {note.get("/A", {}).get("/URI") for note in notes}
    assert {"tab-scores", "tab-runs", "tab-one"} <= written.keys()


def test_the_data_beside_a_report_are_those_of_the_table_to_twelve_digits_and_no_more_in_the_notebook(executed):
    nb, scores, written = executed
    pd.testing.assert_frame_equal(pd.read_csv(StringIO(written["tab-scores"])), scores, rtol=1e-11, atol=0)
    assert "text/csv" not in nbformat.writes(nb)


def test_the_last_bit_of_a_number_which_is_a_processors_own_is_not_written():
    values = np.array([1.5799384496301725, 1e-7 / 3, 60_000.0])
    written = [
        Table(pd.DataFrame({"x": each}), "tab-x", "X.").data["text/csv"] for each in (values, np.nextafter(values, 9))
    ]
    assert written[0] == written[1] == "x\n1.57993844963\n3.33333333333e-08\n60000\n"


def test_without_a_report_s_folder_a_table_links_to_no_data(executed):
    page = html(notebook(shown(Table(executed[1], "tab-scores", "Scores."))))
    assert [a["href"] for a in page.select("#tab-scores .source a")] == ["Notebook.ipynb"]


def test_the_spanish_summary_has_a_place_for_each_block_and_nothing_stale():
    text = (ROOT / "LEEME.md").read_text("utf-8")
    study, values = reference.records(reference.FOLDER)
    for name, block in readme.blocks(
        study, values, "es", readme.over_seeds(study, values, sections.of(values))
    ).items():
        assert text.count(f"<!-- {name} -->\n\n{block.strip()}\n\n<!-- /{name} -->") == 1, name
