"""The reference is what its records give, to the last byte; forged, damaged or missing, it is told."""

import csv
import gzip
import json
import math
import os
import re
import shutil
import subprocess
from copy import deepcopy as copy_of
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from PIL import Image
from statsmodels.stats.proportion import proportion_confint

from fmnist_lib import ROOT, Stopped, UserError, data, machine
from fmnist_lib.commands import card, predict, publish, readme, reference, report, verify
from fmnist_lib.commands.line import main
from fmnist_lib.recipe import Recipe
from fmnist_lib.runs import contents, job, record
from fmnist_lib.runs.files import write_file
from fmnist_lib.runs.run import Run, read
from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers, parameters, protocol, provenance, sections
from fmnist_lib.study.protocol import Study

FOLDER = reference.FOLDER


@pytest.fixture(scope="module")
def study():
    return reference.records(FOLDER)


def published(folder: Path, notebooks: dict, pages: dict[str, bytes]) -> Path:
    """Lay out executed notebooks, the pages and data, and all that follows from the records, README and LEEME too."""
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / report.DATA).mkdir(exist_ok=True)
    for name, content in pages.items():
        (folder / name).write_bytes(content)
    for page in readme.PAGES:
        shutil.copy(ROOT / page, folder.parent)
    publish.publish(folder, folder, folder.parent)
    for name, text in reference.rebuilt(*reference.records(folder)).items():
        if name.endswith(".csv"):
            (folder / name).write_text(text, "utf-8")
    return folder


def laid_out(place: Path) -> Path:
    skip = shutil.ignore_patterns("report.html", "report.pdf")
    return Path(shutil.copytree(FOLDER, place / "reference", ignore=skip))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report as it is published from the reference's notebook, which stands for one that was executed today."""
    notebooks = {name: reference.notebook(FOLDER, name) for name in report.NOTEBOOKS}
    pages = {path.name: path.read_bytes() for path in FOLDER.glob("report.[hp]*")}
    data = {f"{report.DATA}/{path.name}": path.read_bytes() for path in FOLDER.glob(f"{report.DATA}/*.csv")}
    return published(laid_out(tmp_path_factory.mktemp("made")), notebooks, pages | data), notebooks, data


@pytest.fixture(scope="module")
def taken():
    return sections.collect()


@pytest.fixture
def copy(made, taken, tmp_path, monkeypatch):
    """A copy of that report, to be spoilt; nothing is executed, and a notebook that was changed makes other pages."""
    folder, notebooks, data = made
    pages = {path.name: path.read_bytes() for path in folder.glob("report.[hp]*")}
    same = notebooks["report"]
    monkeypatch.setattr(verify, "executed", lambda *_: (notebooks, data))
    monkeypatch.setattr(verify, "departures", lambda *_: [])
    monkeypatch.setattr(report, "rendered", lambda node: pages if node == same else dict.fromkeys(pages, b""))
    monkeypatch.setattr(reference, "PAGES", folder.parent)
    monkeypatch.setattr(sections, "of", lambda params: taken if protocol.is_papers(params) else {})
    return Path(shutil.copytree(folder, tmp_path / "reference"))


# What is shipped


@pytest.mark.slow
def test_the_reference_is_what_its_records_give(capsys):
    assert main(["verify", str(FOLDER)]) == 0
    *same, verdict = capsys.readouterr().out.splitlines()
    untold = re.search(r"; not so (.*), which proves nothing here", verdict)  # on another kind of machine
    others = untold and re.sub(r"(, )?how it was given, (settings )?in cell \d+( of \w+\.ipynb)?", "", untold[1])
    assert others in (None, "") and len(same) > 60
    names = {line.removeprefix("same bytes: ").partition(" in cell")[0] for line in same}
    assert {"table1.csv", "table2.csv", "retrain.csv", "tab-validation", "tab-claims", "abstract", "stamp"} <= names
    assert {"report.html", "report.pdf", "picture fig-loss", "table 1 in README.md", "table 2 in LEEME.md"} <= names


def test_every_figure_of_something_measured_has_its_data_beside_it(made):
    outputs = [output for cell in made[1]["report"].cells for output in cell.get("outputs", [])]
    about = [output.metadata.get("fmnist", {}) for output in outputs]
    bare = {each["label"] for each in about if each.get("label", "").startswith("fig-") and "file" not in each}
    assert bare == {"fig-convolution", "fig-layer", "fig-pooling"}  # they explain


@pytest.mark.long  # the reference itself is executed above
def test_a_report_made_from_records_is_verified_whole_by_executing_it_again(tmp_path, monkeypatch):
    folder = laid_out(tmp_path)
    notebooks, data = verify.executed(folder, *reference.records(folder))
    published(folder, notebooks, report.rendered(notebooks["report"]) | data)
    monkeypatch.setattr(reference, "PAGES", tmp_path)
    same, untold, _ = verify.verify(folder)
    assert untold == [] and {"report.html", "report.pdf", "table1.csv", "picture fig-cost"} <= set(same)


def test_what_is_whole_is_verified_in_one_line(copy, capsys):
    assert main(["verify", str(copy)]) == 0
    *same, verdict = capsys.readouterr().out.splitlines()
    assert verdict == f"{copy}: {len(same)} parts are what the records give, byte by byte: verified."


def test_the_tables_follow_from_the_records_by_reading_them_without_the_library():
    with open(FOLDER / "table1.csv") as file:
        for row in csv.DictReader(file):
            with open(FOLDER / "runs" / row["run"] / "history.csv") as history:
                best = min(csv.DictReader(history), key=lambda epoch: float(epoch["val_loss"]))
            assert (row["epoch"], row["loss"]) == (best["epoch"], best["val_loss"])
            assert float(row["accuracy"]) == pytest.approx(100 * float(best["val_accuracy"]), abs=1e-9)
    with open(FOLDER / "table2.csv") as file:
        for row in csv.DictReader(file):
            with gzip.open(FOLDER / "runs" / row["run"] / "test.csv.gz", "rt") as images:
                asked = list(csv.DictReader(images))
            right = sum(image["label"] == image["predicted"] for image in asked)
            assert len(asked) == 10_000 and float(row["accuracy"]) == pytest.approx(right / 100, abs=1e-9)
            assert float(row["loss"]) == pytest.approx(sum(float(image["loss"]) for image in asked) / 10_000, rel=1e-9)


def test_it_is_the_papers_protocol_in_full_on_one_device(study):
    found, values = study
    assert protocol.is_papers(values) and len(found.grid) == 12 and not found.missing
    assert {run.recipe.epochs for run in found.grid} == {50}
    assert (
        len({(run.recipe.device, run.recipe.precision, run.record["environment"]["torch"]) for run in found.grid}) == 1
    )


def test_it_is_tracked_whole_and_small_with_the_weights_of_the_winner_alone():
    listed = subprocess.run(["git", "ls-files", FOLDER], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = set(listed.stdout.splitlines())
    expected = {f"reports/reference/{name}" for name in ("report.html", "report.pdf", "report.ipynb", "table1.csv")}
    assert expected <= names
    weights = [name for name in names if name.endswith(".safetensors")]
    assert [Path(name).parent.name.rsplit("-", 1)[0] for name in weights] == ["CNN3-512-0.1-s1000"]
    assert (ROOT / weights[0]).stat().st_size < 6e6
    assert sum((ROOT / name).stat().st_size for name in names) < 25e6


def test_the_readme_and_the_model_card_say_what_the_records_give(study, tmp_path):
    for (page, name), block in readme.pages(*study).items():
        text = (ROOT / page).read_text("utf-8")
        assert re.search(rf"<!-- {name} -->\n\n{re.escape(block)}\n\n<!-- /{name} -->", text), (page, name)
    (card,) = FOLDER.glob("runs/*/README.md")
    with open(FOLDER / "table2.csv") as file:
        accuracy = float(next(csv.DictReader(file))["accuracy"])
    assert f"accuracy **{accuracy:.2f} %**" in card.read_text("utf-8")
    low, high = map(float, re.search(r"95 % interval ([\d.]+) to ([\d.]+)\)", card.read_text("utf-8")).groups())
    assert low < accuracy < high
    assert f"runs/{card.parent.name}/README.md" in reference.rebuilt(*study)


def test_the_model_card_tells_of_each_class_what_is_found_and_what_of_its_answers_is_right():
    rows = card.by_class(pd.DataFrame({"label": [0, 0, *range(10)], "predicted": [1, 1, *range(10)]}))
    top, trouser = rows.iloc[0], rows.iloc[1]
    assert top["found of its images [%]"].startswith("33.3 (") and top["right of its answers [%]"] == "100.0"
    assert trouser["found of its images [%]"].startswith("100.0 (") and trouser["right of its answers [%]"] == "33.3"
    assert top["most often taken for (images)"] == "Trouser (2)"


def test_of_a_class_the_model_card_tells_wilsons_interval_and_what_it_is_most_often_taken_for():
    mistakes = {"label": [0, 0, 0, *range(10)], "predicted": [2, 4, 4, *range(10)]}
    top = card.by_class(pd.DataFrame(mistakes)).iloc[0]
    low, high = proportion_confint(1, 4, method="wilson")
    assert top["found of its images [%]"] == f"25.0 ({100 * low:.1f} to {100 * high:.1f})"
    assert top["most often taken for (images)"] == "Coat (2)"


def test_the_model_card_has_the_intervals_of_its_images_and_the_papers_own_numbers_on_them():
    run = reference.winner()
    tested, text = run.answers(), card.text(run)
    low, high = proportion_confint((tested["predicted"] == tested["label"]).sum(), 10_000, method="wilson")
    ends = scipy.stats.ttest_1samp(tested["loss"], 0).confidence_interval()
    assert f"(95 % interval {100 * low:.2f} to {100 * high:.2f})" in text
    assert "({:.4f} to {:.4f}); the paper gives 90.89 % and 0.2667.".format(*ends) in text


@pytest.mark.parametrize(("kept", "shipped"), [("last", True), ("best", False)])
def test_of_the_papers_winner_the_weights_of_the_retraining_alone_are_shipped(tmp_path, monkeypatch, kept, shipped):
    recipe, written = Recipe(protocol.WINNER, keep=kept), []
    monkeypatch.setattr(publish, "write_file", lambda path, content, publish: written.append(path.name))
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"")
    listed = {"files": {record.HISTORY: {}, record.WEIGHTS: {}}}
    monkeypatch.setattr(Run, "has_weights", True)
    publish._ship(Run(recipe, tmp_path, None, listed), tmp_path)
    assert (record.WEIGHTS in written) == shipped and record.HISTORY in written


def test_the_shipped_weights_give_the_shipped_answers(data_dir):
    run = reference.winner()
    images, labels = data.load("test", data_dir=data_dir)
    again, shipped = (
        answers.predictions(answers.network(run), images[:2000], labels[:2000], "unit"),
        run.answers()[:2000],
    )
    assert (again["predicted"] == shipped["predicted"]).mean() > 0.999
    assert np.abs(again["loss"] - shipped["loss"]).max() < 1e-3


def test_the_notebooks_are_executed_on_a_copy_and_led_nowhere_by_what_a_report_says(made, tmp_path, monkeypatch):
    folder, asked = Path(shutil.copytree(made[0], tmp_path / "reference")), []
    led = {"cluster": "tcp://127.0.0.1:9", "data_dir": "/nowhere", "workers": 9, "runs_dir": "reports/reference/runs2"}
    cells("report", lambda notebook: notebook.metadata["papermill"]["parameters"].update(led))(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def execute(name, values, target):
        runs = Path(values["runs_dir"])
        assert {"cluster", "data_dir", "workers"}.isdisjoint(values) and not runs.is_relative_to(folder)
        assert {path.name for path in runs.iterdir()} == {path.name for path in (folder / "runs").glob("[!.]*")}
        assert name == "report" or values["out"] == ""
        shutil.copy(folder / target.name, target), asked.append(name)

    monkeypatch.setattr(report, "execute", execute)
    again, _ = verify.executed(folder, *reference.records(folder))
    assert asked == list(report.NOTEBOOKS) == list(again)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_card_excuses_no_picture(copy, monkeypatch):
    monkeypatch.setattr(verify, "departures", lambda *_: ["this machine trains by cuda, bf16, torch"])
    altered("report.ipynb", r'"image/png": "iVBORw0KGgo', r'"image/png": "iVBORw0KGgx')(copy)
    with pytest.raises(UserError, match="picture fig-"):
        verify.verify(copy)


# What is spoilt


def forged(folder: Path):
    """Make a run better than it was, and its seal fit: what only the tables can tell."""
    place = next(folder.glob("runs/CNN5-128-0.1-s0-*"))
    lines = (place / "history.csv").read_text().splitlines()
    lines[5] = "5,0.3,0.2,0.9"
    content = "\n".join(lines).encode() + b"\n"
    forgery = json.loads((place / "run.json").read_text())
    forgery["files"]["history.csv"] = record.entry(content)
    (place / "history.csv").write_bytes(content)
    (place / "run.json").write_bytes(record.text(record.sealed(forgery)))


def unanswered(folder: Path):
    """Take the answers on the test images from a run, and make its seal fit."""
    place = next(folder.glob("runs/CNN-Nahuel-s1000-*"))
    told = json.loads((place / "run.json").read_text())
    del told["files"][record.TEST]
    (place / record.TEST).unlink()
    (place / "run.json").write_bytes(record.text(record.sealed(told)))


def another_answer(folder: Path):
    path = next(folder.glob("runs/CNN-Nahuel-s1000-*/test.csv.gz"))
    text = gzip.decompress(path.read_bytes())
    assert b"\n9,9," in text
    path.write_bytes(gzip.compress(text.replace(b"\n9,9,", b"\n9,5,", 1), mtime=0))


def altered(name, old, new):
    """Return a function that replaces the first match of a pattern in a file of the folder."""

    def spoil(folder: Path):
        path = next(folder.glob(name))
        text = path.read_text("utf-8")
        assert re.search(old, text)
        path.write_text(re.sub(old, new, text, count=1), "utf-8")

    return spoil


def cells(name: str, change):
    """Return a function that lets ``change`` alter the executed notebook of that name."""

    def spoil(folder: Path):
        notebook = nbformat.read(folder / f"{name}.ipynb", 4)
        change(notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")

    return spoil


def pictured(notebook):
    """Lay a picture over a sentence."""
    cell = next(cell for cell in notebook.cells if "abstract" in cell.metadata.get("tags", []))
    cell.outputs[0].data["image/png"] = "iVBORw0KGgo="


def tabled(notebook):
    """Return the output that is the table of the runs."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return next(output for output in outputs if output.get("metadata", {}).get("fmnist", {}).get("label") == "tab-runs")


def hidden(notebook):
    """Turn a section into what is not shown."""
    next(cell for cell in notebook.cells if "Threats to validity" in cell.source).cell_type = "raw"


def boasted(notebook):
    """Say what nobody computed where a parameter was given."""
    cell = copy_of(next(cell for cell in notebook.cells if cell.source.startswith("settings(")))
    cell.source, cell.outputs = (
        'Markdown(f"")',
        [nbformat.v4.new_output("display_data", {"text/markdown": "All hold."})],
    )
    cell.id = "boasted"
    notebook.cells.append(cell)


def smuggled(notebook):
    """Put another parameter behind one that may differ."""
    cell = next(cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", []))
    cell.source += '\nruns_dir = ""; epochs = 5'


SPOILT = {
    "a picture over a sentence": (cells("report", pictured), "abstract in cell"),
    "a section that is not shown": (cells("report", hidden), "in cell"),
    "a sentence where parameters stand": (cells("report", boasted), "how it was given, in cell"),
    "a parameter behind another": (cells("sweep", smuggled), "of sweep.ipynb is not"),
    "where a figure is said to come from": (
        cells("report", lambda notebook: notebook.metadata["fmnist"].update(file="https://example.org")),
        "what is said of report.ipynb",
    ),
    "the parameters that it states": (
        cells("sweep", lambda notebook: notebook.metadata["papermill"]["parameters"].update(epochs=5)),
        "what is said of sweep.ipynb is not",
    ),
    "parameters without names": (
        cells("sweep", lambda notebook: notebook.metadata["papermill"].update(parameters=[["a", 1]])),
        "sweep.ipynb is no notebook of a report",
    ),
    "a table that is a number": (
        cells("report", lambda notebook: tabled(notebook).data.update({"text/html": 5})),
        "report.ipynb is no notebook of a report",
    ),
    "a label that is a number": (
        cells("report", lambda notebook: tabled(notebook).metadata["fmnist"].update(label=7)),
        "report.ipynb is no notebook of a report",
    ),
    "tags that are a number": (
        cells("report", lambda notebook: notebook.cells[0].metadata.update(tags=5)),
        "report.ipynb is no notebook of a report",
    ),
    "data that nothing makes": (
        lambda folder: (folder / "data" / "fig-forged.csv").write_text("a\n1\n"),
        "data/fig-forged.csv is not",
    ),
    "a drawing that nothing makes": (lambda folder: (folder / "extra.svg").write_text("<svg/>"), "extra.svg is not"),
    "a pipe in place of a page": (
        lambda folder: ((folder / "report.pdf").unlink(), os.mkfifo(folder / "report.pdf")),
        "report.pdf is not",
    ),
    "a model that nobody retrained": (
        cells("report", lambda notebook: notebook.metadata["papermill"]["parameters"].update(model="CNN5-64-0.1")),
        "retrains CNN5-64-0.1",
    ),
    "the answers of a retrained network": (
        lambda folder: next(folder.glob("runs/ANN-Juan-*-s1000-*/test.csv.gz")).unlink(),
        "test.csv.gz",
    ),
    "a digit of Table I": (altered("table1.csv", r"(\d)(\d),finished", r"\2\g<1>9,finished"), "table1.csv is not"),
    "a digit of the report's table": (altered("report.ipynb", r"92\.44</td>", "92.45</td>"), "tab-validation in cell"),
    "the abstract": (altered("report.ipynb", r"reaches \d\d\.\d\d", "reaches 99.88"), "abstract in cell"),
    "the claims' sentence": (
        altered("report.ipynb", r"(Reproduced: \d)", r"\g<1>9"),
        "abstract in cell",
    ),
    "a sentence of the notebook": (
        altered("report.ipynb", "The code of the paper is not public", "It is"),
        "in cell 1",
    ),
    "a picture": (altered("report.ipynb", r'"image/png": "iVBORw0KGgo', r'"image/png": "iVBORw0KGgx'), "picture fig-"),
    "a picture's drawing": (altered("report.ipynb", r"</svg>", "<!-- --></svg>"), "picture fig-"),
    "a sentence of another notebook": (
        altered("sweep.ipynb", r"the winner is \*\*CNN", "the winner is **ANN"),
        "of sweep.ipynb is not",
    ),
    "a table of another notebook": (
        altered("test_comparison.ipynb", r"<td[^>]*>89\.\d", "<td>99.9"),
        "of test_comparison.ipynb is not",
    ),
    "a picture of another notebook": (
        altered("retrain.ipynb", r'"image/png": "iVBORw0KGgo', r'"image/png": "iVBORw0KGgx'),
        "picture fig-loss of retrain.ipynb is not",
    ),
    "the parameters of another notebook": (
        altered("retrain.ipynb", r"epochs = 50", "epochs = 5"),
        "of retrain.ipynb is",
    ),
    "another notebook": (lambda folder: (folder / "sweep.ipynb").unlink(), "sweep.ipynb is no notebook of a report"),
    "the drawing of the images": (altered("samples.svg", r"</svg>", "<!-- --></svg>"), "samples.svg is not"),
    "the data of a figure": (altered("data/fig-loss.csv", r"(\d)\n", r"\g<1>1\n"), "data/fig-loss.csv is not"),
    "the page": (altered("report.html", r"92\.44", "92.45"), "report.html is not"),
    "the PDF": (lambda folder: (folder / "report.pdf").write_bytes(bytes(100_000)), "report.pdf is not"),
    "a page that is not there": (lambda folder: (folder / "report.html").unlink(), "report.html is not"),
    "the card": (
        altered("runs/CNN3-512-0.1-s1000-*/README.md", r"accuracy \*\*\d", "accuracy **1"),
        "README.md is not",
    ),
    "a history": (altered("runs/CNN3-128-0.1-s0-*/history.csv", r"\n1,0", "\n1,1"), "history.csv is damaged"),
    "an answer": (another_answer, "test.csv.gz is damaged"),
    "all answers of a run": (unanswered, "lacks what its weights say of the test images"),
    "a history and its seal": (forged, "table1.csv, "),
    "a run": (lambda folder: shutil.rmtree(next(folder.glob("runs/CNN5-128-0.1-*"))), "lacks CNN5-128-0.1-s0-"),
    "all runs": (lambda folder: shutil.rmtree(folder / "runs"), "holds no runs of"),
}


@pytest.mark.parametrize(("spoil", "cause"), SPOILT.values(), ids=SPOILT)
def test_whatever_is_altered_or_lost_is_named(copy, spoil, cause, capsys):
    spoil(copy)
    assert main(["verify", str(copy)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert cause in first and second.startswith("Fix: ")


def test_what_lies_beside_the_runs_that_a_report_lists_is_not_read(copy, capsys):
    run = read(next(copy.glob("runs/ANN-Juan-0.1-s0-*")))
    other = Recipe(**(vars(run.recipe) | {"precision": "fp32" if run.recipe.precision == "bf16" else "bf16"}))
    Store(copy / "runs").write(other, run.history.to_dict("records"), {}, *MADE)
    assert main(["verify", str(copy)]) == 0 and "table1.csv" in capsys.readouterr().out


def test_a_report_is_published_whole_with_its_records_and_the_weights_of_the_winner_alone(copy, tmp_path, monkeypatch):
    for page in readme.PAGES:
        shutil.copy(ROOT / page, tmp_path)
    folder = Path(shutil.copytree(copy, tmp_path / "shipped"))
    shutil.rmtree(next(folder.glob("runs/CNN5-128-0.1-s0-*")))
    for name in ("table1.csv", "report.html", "report.pdf"):
        (folder / name).write_text("older")
    run = read(next(copy.glob("runs/ANN-Juan-0.1-s0-*")))
    other = Recipe(**(vars(run.recipe) | {"split_seed": 7}))
    Store(folder / "runs").write(other, run.history.to_dict("records"), {}, *MADE)
    write_file(tmp_path / "reports" / "benchmark-cpu" / "benchmark.csv", b"measured")
    monkeypatch.setattr(publish, "REPORTS", tmp_path / "reports")
    write_file(copy.parent / "benchmark-of-a-thesis" / "salaries.csv", b"another's")
    publish.publish(copy, folder, tmp_path)
    assert (folder / "benchmark-cpu" / "benchmark.csv").read_bytes() == b"measured"
    assert not (folder / "benchmark-of-a-thesis").exists()
    assert {path.name for path in folder.glob("runs/[!.]*")} == {path.name for path in FOLDER.glob("runs/[!.]*")}
    assert [path.parent.name[:18] for path in folder.glob("runs/*/*.safetensors")] == ["CNN3-512-0.1-s1000"]
    for name in ("table1.csv", "report.html", "report.pdf"):
        assert (folder / name).read_bytes() == (copy / name).read_bytes()
    assert "table1.csv" in verify.verify(folder)[0]


def test_the_record_of_a_run_is_shipped_last(tmp_path, monkeypatch):
    run, written = read(next(FOLDER.glob("runs/ANN-Juan-0.1-s0-*"))), []
    monkeypatch.setattr(publish, "write_file", lambda path, content, publish: written.append(path.name))
    publish._ship(run, tmp_path)
    assert {*written[:-1]} == run.record["files"].keys() - {record.WEIGHTS} and written[-1] == "run.json"


def test_a_report_that_lacks_runs_is_not_published_and_what_is_shipped_stays(copy, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(copy, tmp_path / "shipped"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    collect = protocol.collect
    monkeypatch.setattr(protocol, "collect", lambda *asked: replace(collect(*asked), missing=[Recipe("CNN-Nahuel")]))
    with pytest.raises(UserError, match="lacks 1 of its runs"):
        publish.publish(copy, folder, tmp_path)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_run_of_another_precision_beside_a_study_is_not_taken_for_one_of_it(copy):
    run = read(next(copy.glob("runs/ANN-Juan-0.1-s0-*")))
    other = Recipe(**(vars(run.recipe) | {"precision": "fp32" if run.recipe.precision == "bf16" else "bf16"}))
    Store(copy / "runs").write(other, run.history.to_dict("records"), {}, *MADE)
    assert other not in [run.recipe for run in reference.records(copy)[0].every]
    shutil.rmtree(run.folder)
    with pytest.raises(UserError, match=f"lacks {run.folder.name}"):
        reference.records(copy)


def test_a_report_of_ones_own_has_its_runs_where_its_parameters_say_while_it_is_where_it_was_made(tmp_path):
    shutil.copytree(FOLDER / "runs", tmp_path / "elsewhere")
    notebook, own = nbformat.read(FOLDER / "report.ipynb", 4), tmp_path / "own"
    own.mkdir()
    notebook.metadata["papermill"]["parameters"] |= {"out": str(own), "runs_dir": str(tmp_path / "elsewhere")}
    nbformat.write(notebook, own / "report.ipynb")
    study, _ = reference.records(own)
    assert {run.folder.parent.name for run in study.every} == {"elsewhere"} and len(study.every) == 19
    with pytest.raises(UserError, match="holds no runs of"):
        reference.records(own.rename(tmp_path / "moved"))


def test_the_parts_that_are_told_to_be_verified_are_those_that_are_the_same():
    line = verify.verdict(Path("there"), ["a", "b"], ["c"], ["typst 1"])
    assert line.startswith("there: 2 parts are what the records give") and "not so c, which" in line


def test_what_another_version_may_have_drawn_otherwise_is_named_and_proves_nothing(copy, monkeypatch):
    monkeypatch.setattr(verify, "departures", lambda *_: ["typst 0.0.1, the lock has 0.14.0"])
    (copy / "report.pdf").write_bytes(b"%PDF")
    same, untold, why = verify.verify(copy)
    assert untold == ["report.pdf"] and "report.html" in same
    assert "not so report.pdf" in (line := verify.verdict(copy, same, untold, why)) and "typst 0.0.1" in line
    altered("table1.csv", r"(\d)(\d),finished", r"\2\g<1>9,finished")(copy)
    with pytest.raises(UserError, match=r"table1\.csv is not"):
        verify.verify(copy)


def test_another_processor_excuses_no_page_that_is_not_what_its_notebook_gives(copy, monkeypatch):
    monkeypatch.setattr(verify, "departures", lambda *_: ["vector units AVX2, the runs had AVX512"])
    assert verify.verify(copy)[1] == []
    (copy / "report.html").write_bytes(b"forged")
    with pytest.raises(UserError, match=r"report\.html is not what the records give"):
        verify.verify(copy)


def test_a_report_in_the_folder_of_its_own_name_is_verified_though_its_runs_are_read_elsewhere():
    values = protocol.DEFAULTS | parameters.checked(parameters.read_file(ROOT / "params" / "quick.yaml"))
    values["out"] = str(ROOT / "reports" / "quick")
    told = [provenance.command(values), provenance.command(values | {"runs_dir": "/srv/any place/runs"})]
    assert told[1].endswith(" -p runs_dir '/srv/any place/runs' -p out reports/quick")
    outputs = [{"data": {"text/markdown": f"```\n{text}\n```"}} for text in told]
    assert verify._words(outputs[0], "reports/quick") == verify._words(outputs[1], "reports/quick") == outputs[0]
    assert verify._words(outputs[0], "reports/mine") != verify._words(outputs[1], "reports/mine")


def test_a_machine_that_trains_in_another_way_gives_the_same_words_from_the_same_records(made, study):
    folder, notebooks, data = made
    again = copy_of(notebooks)
    again["report"].metadata["papermill"]["parameters"] |= {"precision": "other"}
    given = next(cell for cell in again["report"].cells if "injected-parameters" in cell.metadata.get("tags", []))
    given.source = given.source.replace('precision = "bf16"', 'precision = "other"')
    assert verify.compared(folder, *study, again, data, ["this machine trains by cpu, fp32, numba"])[1] == []
    given.source += "epochs = 49\n"
    with pytest.raises(UserError, match="in cell 3 is not what the records give"):
        verify.compared(folder, *study, again, data, ["this machine trains by cpu, fp32, numba"])


def test_versions_that_are_not_the_locks_and_other_vector_units_are_named(study, monkeypatch):
    found, values = study
    monkeypatch.setattr(verify.metadata, "version", lambda name: "0.0.1")
    monkeypatch.setattr(verify.torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    said = verify.departures(found, values)
    assert {line.split()[0] for line in said} >= {*verify.MAKERS.split(), "vector"}
    assert all(re.search(r"0\.0\.1, the lock has \d", line) for line in said[: len(verify.MAKERS.split())])


# Trained anew

MADE = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}, (machine.environment("cpu"), record.source())
TINY = Recipe("ANN-Juan-0.1", train_images=200, val_images=100, batch=100, epochs=2)


@pytest.fixture
def tiny(tmp_path, data_dir, monkeypatch):
    job.train_one(TINY, Store(tmp_path), data_dir)
    monkeypatch.setattr(reference, "records", lambda folder: (Study(grid=[Store(tmp_path).find(TINY)]), {}))
    return tmp_path / TINY.name


@pytest.mark.slow
def test_a_run_trained_anew_is_the_same_bits_and_one_that_was_not_is_measured(tiny, data_dir):
    assert reference.retrain(tiny, "ANN-Juan", data_dir) == [f"{TINY.name}: bit-identical, history and weights"]
    history = read(tiny).history.to_dict("records")
    history[1]["val_loss"] += 0.25
    shutil.rmtree(tiny)
    Store(tiny.parent).write(TINY, history, {}, *MADE)
    (line,) = reference.retrain(tiny, "ANN-Juan", data_dir)
    assert "not bit-identical" in line and "0.2500 nats and 0.00 points" in line


def fake(weights, accuracy, epoch):
    files = {"history.csv": 0, record.WEIGHTS: weights}
    history = pd.DataFrame({"val_loss": [0.5], "val_accuracy": [accuracy]})
    best = {"best": {"val_accuracy": accuracy}, "best_epoch": epoch, "history": history}
    return SimpleNamespace(folder=Path("r"), record={"files": files}, **best)


def said(right):
    rows = pd.DataFrame({"label": [1] * 4, "predicted": [1] * right + [2] * (4 - right)})
    run = fake(1, 0.5, 1)
    run.record["files"][record.TEST] = right
    run.answers = lambda: rows
    return run


def test_what_was_said_of_the_test_images_is_compared_too_and_a_stranger_s_is_told():
    assert reference.compared(said(3), said(3)) == "r: bit-identical, history, weights and test answers"
    line = reference.compared(said(4), said(3))
    assert line.endswith("do not give its test answers: here 75.00 % are right, there 100.00 %")


@pytest.mark.slow
def test_a_forged_answer_is_found_by_training_the_run_again(tiny, data_dir):
    run = read(tiny)
    genuine = answers.on_test(run, data_dir)
    assert reference.retrain(tiny, "ANN-Juan", data_dir)[0].endswith("bit-identical, history, weights and test answers")
    run.attach(record.TEST, contents.pack_answers(genuine.assign(predicted=genuine["label"], probability=np.nan)))
    assert "there 100.00 %" in reference.retrain(tiny, "ANN-Juan", data_dir)[0]


def test_a_comparison_that_is_stopped_says_that_nothing_of_it_is_kept(tiny, data_dir, monkeypatch):
    def stopped(*_, **__):
        raise Stopped

    monkeypatch.setattr(reference.sweep, "train", stopped)
    with pytest.raises(UserError, match=r"compared with nothing\nFix: .*begins anew"):
        reference.retrain(tiny, "ANN-Juan", data_dir)


def test_no_name_is_the_name_of_no_run(tiny):
    with pytest.raises(UserError, match="has no run …"):
        reference.begins(tiny, "")


def test_of_a_run_its_own_files_alone_are_copied_to_be_executed(tiny, monkeypatch, tmp_path):
    (tiny / "endless").symlink_to("/dev/zero")
    (tiny / "notes.txt").write_text("another's")
    found = []

    def execute(name, given, target):
        found.extend(path.name for path in Path(given["runs_dir"]).rglob("*") if path.is_file())
        raise StopIteration

    monkeypatch.setattr(report, "execute", execute)
    monkeypatch.setattr(reference, "written", lambda folder: ({}, {}))
    kind = {"device": "cpu", "precision": TINY.precision, "kernels": TINY.kernels}
    with pytest.raises(StopIteration):
        verify.executed(tmp_path, Study(grid=[read(tiny)]), kind)
    assert sorted(found) == ["history.csv", "recipe.json", "run.json", "weights.safetensors"]


@pytest.mark.parametrize("line", ["x = " + "-" * 100_000 + "1", "x = " + "1+" * 20_000 + "1"])
def test_a_line_too_deep_to_be_parsed_gives_nothing_a_value(line):
    assert verify._key(line) is None


def test_other_weights_under_the_same_history_are_another_run_and_each_best_epoch_is_told_where_it_was():
    line = reference.compared(fake(1, 0.5, 1), fake(2, 0.75, 2))
    assert line.startswith("r: not bit-identical. Here 75.00 % at epoch 2, there 50.00 % at epoch 1; ")


def test_a_name_that_no_run_has_is_answered_with_those_that_there_are(tiny):
    with pytest.raises(UserError, match=TINY.name):
        reference.retrain(tiny, "CNN7")


# Pictures


def saved(image: np.ndarray, path: Path) -> str:
    Image.fromarray(image).save(path)
    return str(path)


def test_a_picture_of_the_data_set_is_read_as_it_is_in_grey_in_colour_and_inverted(tmp_path, data_dir):
    image = data.load("test", data_dir=data_dir)[0][:1]
    grey = image[0, 0].numpy()
    colour = np.dstack([grey] * 3)
    transparent = np.dstack([np.full_like(colour, 255), grey])  # white where the garment is, seen on black
    for content in (grey, colour, transparent):
        assert predict.picture(saved(content, tmp_path / "a.png")).equal(image)
    assert predict.picture(saved(255 - colour, tmp_path / "b.png"), invert=True).equal(image)


def test_a_photograph_is_turned_as_it_says_and_what_is_transparent_is_as_light_as_the_ground(tmp_path, data_dir):
    image = data.load("test", data_dir=data_dir)[0][:1]
    turned, exif = Image.fromarray(np.rot90(image[0, 0])), Image.Exif()
    exif[0x0112] = 6  # its orientation: to be turned clockwise
    turned.save(tmp_path / "a.png", exif=exif)
    assert predict.picture(tmp_path / "a.png").equal(image)
    black = np.dstack([np.zeros((28, 28, 3), np.uint8), image[0, 0]])  # there where the garment is, seen on white
    assert predict.picture(saved(black, tmp_path / "b.png"), invert=True).equal(image)


@pytest.mark.parametrize("size", [(28, 28), (280, 140), (7, 90), (13, 13)], ids=str)
def test_a_picture_of_any_size_fits_whole_on_a_dark_ground(tmp_path, size):
    read = predict.picture(saved(np.full(size, 200, np.uint8), tmp_path / "c.png"))
    assert read.shape == (1, 1, 28, 28) and read.dtype == torch.uint8
    rows, columns = (int((read[0, 0] > 100).any(axis).sum()) for axis in (1, 0))
    assert max(rows, columns) == 28 and min(rows, columns) == max(1, round(28 * min(size) / max(size)))


def test_the_garment_in_a_picture_is_named(tmp_path, data_dir, capsys):
    images, asked = data.load("test", data_dir=data_dir)[0], reference.winner().answers()
    paths = [saved(image[0].numpy(), tmp_path / f"{i}.png") for i, image in enumerate(images[:8])]
    assert main(["predict", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    for path, line, answer in zip(paths, lines, asked.itertuples(), strict=False):
        percent = math.floor(1000 * answer.probability + 0.5) / 10
        assert line.startswith(f"{path}: {data.CLASSES[answer.predicted]} ") and f"{percent:.1f} %" in line
    assert len(lines) == 8


def test_what_is_no_picture_is_refused(tmp_path, capsys):
    path = tmp_path / "picture.png"
    path.write_text("<html>")
    assert main(["predict", str(path)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"Error: {path} is no picture of a known format" and second.startswith("Fix: ")


# The page


def test_a_block_is_filled_between_its_marks_and_nothing_else_changes(tmp_path):
    page = tmp_path / "page.md"
    write_file(page, b"a\n<!-- x -->\nold\n\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n")
    readme.fill(page, "x", "new \\1\n")
    with pytest.raises(UserError, match="0 places for 'z'"):
        readme.fill(page, "z", "new")
    assert page.read_text() == "a\n<!-- x -->\n\nnew \\1\n\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
    write_file(page, 2 * page.read_bytes())
    with pytest.raises(UserError, match="2 places for 'x'"):
        readme.fill(page, "x", "newer")
