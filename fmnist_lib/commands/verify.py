"""A report held against its records: executed anew and set anew, its words, tables, pictures and pages byte by byte."""

import re
import tempfile
from importlib import metadata
from pathlib import Path

import torch

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import reference, report
from fmnist_lib.runs.files import is_shipped
from fmnist_lib.study import protocol
from fmnist_lib.study.protocol import Study

Found = tuple[list[str], list[str], list[str]]  # parts that are the same, that are not, and why
MAKERS = "torch numpy pandas scipy statsmodels matplotlib seaborn babel nbconvert beautifulsoup4 jinja2 typst"
MAKERS += " pypandoc-binary"  # whose other versions may write other bytes
VERSION = ", the lock has "
SAMPLED = "picture fig-samples of sample_images.ipynb"
AS_GIVEN = ("settings(", "Markdown(f")  # cells that show how the parameters were given, "auto" or by name


def verify(folder: Path) -> Found:
    """Make a report anew from its records; return what is the same, what is not and why that proves nothing here.

    The words, tables and pictures of its five notebooks are those that they give when they are executed again;
    report.html and report.pdf are what the last becomes; then the CSV files, samples.svg, the model card and, of the
    reference, the README.
    Raises UserError naming what differs although everything that makes bytes is as it was.
    """
    folder = Path(folder).absolute()
    study, values = reference.records(folder)
    if unasked := [run.folder.name for run in study.retrained if not run.has_weights and run.answers() is None]:
        cause = f"{folder}: {', '.join(unasked)} has neither weights nor what they say of the test images"
        raise UserError(cause, "take the folder whole from its repository, or make the report anew")
    why = departures(study, values)
    return compared(folder, study, values, *executed(folder, values), why)


def compared(folder: Path, study: Study, values: dict, again: dict, data: dict, why: list[str]) -> Found:
    """Compare a folder with its notebooks executed again, by name; ``why`` lists what may make other bytes here."""
    notebooks = {name: reference.notebook(folder, name) for name in again}
    made, there = reference.rebuilt(study, values), reference.kept(folder)
    drawn, kept = {}, {path.name: path.read_bytes() for path in [*folder.glob("report.*"), *folder.glob("*.svg")]}
    for name, notebook in notebooks.items():
        given, asked = (nb.metadata["papermill"]["parameters"] for nb in (again[name], notebook))
        added = {"runs_dir"} | {key for key in (*reference.KIND, "out") if given.get(key) != asked.get(key)}
        made, there = made | shown(again[name], name, added), there | shown(notebook, name, added)
        drawn, kept = drawn | pictures(again[name], name), kept | pictures(notebook, name)
    made |= data
    there |= {name: (folder / name).read_bytes() for name in data if (folder / name).is_file()}
    drawn["samples.svg"] = drawn[SAMPLED]["image/svg+xml"].encode()
    pages = report.rendered(notebooks["report"]) | drawn
    others = any(VERSION in reason for reason in why)  # a page is made from its notebook alone, on whatever processor
    excused = {name for name in pages if others or (why and name in drawn)}
    excused |= {name for name in made if why and name.startswith("how it was given")}
    made, there = made | pages, there | {name: kept.get(name) for name in pages}
    if moved(folder):  # the parameters that it was made with do not say where its runs are
        made, there = (
            {k: v for k, v in some.items() if not k.startswith("how it was given")} for some in (made, there)
        )
    wrong = [name for name in {**made, **there} if made.get(name) != there.get(name)]
    if bad := [name for name in wrong if name not in excused]:
        cause = f"{folder}: {', '.join(bad)} {'is' if len(bad) == 1 else 'are'} not what the records give"
        raise UserError(cause, "take the folder whole from its repository, or make the report anew")
    return [name for name in made if name not in wrong], wrong, why


def verdict(folder: Path, same: list[str], untold: list[str], why: list[str]) -> str:
    """Say in one line what `verify` found."""
    found = f"{folder}: {len(same)} parts are what the records give, byte by byte"
    if not untold:
        return f"{found}: verified."
    return f"{found}; not so {', '.join(untold)}, which proves nothing here ({'; '.join(why)}): verified but for these."


def moved(folder: Path) -> bool:
    """Say whether a report's runs lie beside it, other than those that every store finds."""
    runs = Path(folder).absolute() / "runs"
    return runs.is_dir() and not is_shipped(runs)


def executed(folder: Path, values: dict) -> tuple[dict, dict]:
    """Return the report's notebooks executed again on its records, by name, and the data they show; none is trained."""
    given = dict(reference.written(folder)[0])
    kind = {name: values[name] for name in reference.KIND}
    given |= {} if protocol.resolved(protocol.DEFAULTS | given) == tuple(kind.values()) else kind
    beside = Path(folder).absolute() / "runs"
    given |= {"runs_dir": str(beside)} if moved(folder) else {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in report.NOTEBOOKS:
            unwritten = {} if name == "report" else {"out": ""}
            report.execute(name, given | unwritten, Path(temporary) / f"{name}.ipynb")
        data = {f"{report.DATA}/{path.name}": path.read_bytes() for path in Path(temporary, report.DATA).glob("*.csv")}
        return {name: reference.notebook(temporary, name) for name in report.NOTEBOOKS}, data


def shown(notebook, name: str, added: set[str] = frozenset()) -> dict[str, object]:
    """Return each cell of the notebook of that name, its source and all that it shows but pictures, by a reader's name.

    Of the parameters given, those ``added`` are left out: where the runs lie, where the notebook writes, and on a
    machine that trains in another way how they were made.
    """
    cells = {}
    for number, cell in enumerate(notebook.cells, 1):
        said = [_words(output) for output in cell.get("outputs", [])]
        source = cell.source
        if "injected-parameters" in cell.metadata.get("tags", []):  # in any order
            source = sorted(line for line in source.splitlines() if line.partition(" =")[0] not in added)
        cells[_name(number, cell) + _of(name)] = (source, cell.metadata, said)
    return cells


def _name(number: int, cell) -> str:
    labels = [output.metadata["fmnist"]["label"] for output in cell.get("outputs", []) if _labelled(output)]
    given = "how it was given, " if cell.source.startswith(AS_GIVEN) else ""
    places = labels or [tag for tag in cell.metadata.get("tags", []) if tag != "injected-parameters"]
    return f"{given}{' '.join(places)}{' ' if places else ''}in cell {number}"


def _of(name: str) -> str:
    return "" if name == "report" else f" of {name}.ipynb"


def _labelled(output) -> bool:
    return "label" in output.get("metadata", {}).get("fmnist", {})


def _words(output) -> dict:
    return dict(output) | {"data": {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}}


def pictures(notebook, name: str) -> dict[str, dict]:
    """Return the data of each picture of the notebook of that name, by its label."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if _labelled(output)]
    drawn = {
        output.metadata["fmnist"]["label"]: {k: v for k, v in output.data.items() if k.startswith("image/")}
        for output in outputs
    }
    return {f"picture {label}{_of(name)}": data for label, data in drawn.items() if data}


def departures(study: Study, values: dict) -> list[str]:
    """Return what may make other bytes here: versions that are not the lock's, other vector units, another device."""
    lock = (ROOT / "constraints.txt").read_text("utf-8")
    found = []
    for name in MAKERS.split():
        locked = re.findall(rf"^{name}==([^\s;]+)", lock.replace("_", "-"), re.M | re.I)
        if (here := metadata.version(name).partition("+")[0]) not in locked:
            found.append(f"{name} {here}{VERSION}{' or '.join(locked)}")
    units = {run.record["environment"]["capability"] for run in study.every}
    if (mine := torch.backends.cpu.get_cpu_capability()) not in units:
        found.append(f"vector units {mine}, the runs had {', '.join(sorted(units))}")
    asked = protocol.resolved(protocol.DEFAULTS | {name: "auto" for name in reference.KIND})
    if asked != tuple(values[name] for name in reference.KIND):
        found.append(f"this machine trains by {', '.join(asked)}")
    return found
