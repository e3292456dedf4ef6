"""A report held against its records: executed anew and set anew, its words, tables, pictures and pages byte by byte."""

import ast
import re
import shlex
import tempfile
from importlib import metadata
from pathlib import Path

import torch

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import reference, report
from fmnist_lib.recipe import KIND
from fmnist_lib.runs import record
from fmnist_lib.runs.files import read_file, write_file
from fmnist_lib.study import protocol
from fmnist_lib.study.protocol import Study

Found = tuple[list[str], list[str], list[str]]  # parts that are the same, that are not, and why
MAKERS = "torch numpy pandas scipy statsmodels matplotlib seaborn babel nbconvert beautifulsoup4 jinja2 typst"
MAKERS += " pypandoc-binary"  # whose other versions may write other bytes
VERSION = ", the lock has "
UNITS = "vector units"
ELSEWHERE = ("runs_dir", "data_dir", "workers", "cluster")  # what no file may lead to
PLACES = (*ELSEWHERE, "out")  # which decide no word of a report
PLACED = re.compile(r" -p (runs_dir|out) ([\w./~-]+|'[^'\n]*')")  # in the command that makes a report again
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
    if unasked := [run.folder.name for run in study.retrained if run.answers() is None]:
        cause = f"{folder}: {', '.join(unasked)} lacks what its weights say of the test images"
        raise UserError(cause, "take the folder whole from the commit that made it, or make the report anew")
    if (model := values.get("model", protocol.WINNER)) not in study.winners:
        raise UserError(f"{folder} retrains {model}, and not the paper's winner alone", "make it without model")
    why = departures(study, values)
    return compared(folder, study, values, *executed(folder, study, values), why)


def compared(folder: Path, study: Study, values: dict, again: dict, data: dict, why: list[str]) -> Found:
    """Compare a folder with its notebooks executed again, by name; ``why`` lists what may make other bytes here."""
    notebooks = {name: reference.notebook(folder, name) for name in again}
    made, there = reference.rebuilt(study, values), reference.kept(folder)
    drawn, kept = {}, {path.name: _bytes(path) for path in [*folder.glob("report.[hp]*"), *folder.glob("*.svg")]}
    for name, notebook in notebooks.items():
        kinds = (nb.metadata["papermill"]["parameters"] for nb in (again[name], notebook))
        asked = {tuple(given.get(key) for key in KIND) for given in kinds}
        added = {*PLACES, *(KIND if len(asked) > 1 else ())}
        made, there = made | shown(again[name], name, added), there | shown(notebook, name, added)
        drawn, kept = drawn | pictures(again[name], name), kept | pictures(notebook, name)
    made |= data
    there |= {f"{report.DATA}/{path.name}": _bytes(path) for path in folder.glob(f"{report.DATA}/*.csv")}
    drawn["samples.svg"] = drawn[SAMPLED]["image/svg+xml"].encode()
    pages = report.rendered(notebooks["report"]) | drawn
    others = any(VERSION in reason for reason in why)  # a page is made from its notebook alone, on whatever processor
    units = any(UNITS in reason for reason in why)
    excused = {name for name in pages if others or (units and name in drawn)}
    excused |= {name for name in made if why and name.startswith("how it was given")}
    made, there = made | pages, there | {name: kept.get(name) for name in pages.keys() | kept.keys()}
    wrong = [name for name in {**made, **there} if made.get(name) != there.get(name)]
    if bad := [name for name in wrong if name not in excused]:
        cause = f"{folder}: {', '.join(bad)} {'is' if len(bad) == 1 else 'are'} not what the records give"
        raise UserError(cause, "take the folder whole from the commit that made it, or make the report anew")
    return [name for name in made if name not in wrong], wrong, why


def verdict(folder: Path, same: list[str], untold: list[str], why: list[str]) -> str:
    """Say in one line what `verify` found."""
    found = f"{folder}: {len(same)} parts are what the records give, byte by byte"
    if not untold:
        return f"{found}: verified."
    return f"{found}; not so {', '.join(untold)}, which proves nothing here ({'; '.join(why)}): verified but for these."


def executed(folder: Path, study: Study, values: dict) -> tuple[dict, dict]:
    """Return the report's notebooks executed again, by name, and the data they show.

    They read a copy of the study's records and nothing else of what the report's parameters name: nothing is trained,
    asked of another machine, or written where the report or its runs are.
    """
    given = {name: value for name, value in reference.written(folder)[0].items() if name not in ELSEWHERE}
    kind = {name: values[name] for name in KIND}
    given |= {} if protocol.resolved(protocol.DEFAULTS | given) == tuple(kind.values()) else kind
    with tempfile.TemporaryDirectory() as temporary:
        given["runs_dir"] = str(Path(temporary) / "runs")
        for run in (run for run in study.every if isinstance(run.folder, Path)):  # what is in a pack is found anyway
            for name in record.LIMITS:  # and nothing else that lies there
                if (run.folder / name).is_file():
                    content = read_file(run.folder / name, record.LIMITS[name])
                    write_file(Path(given["runs_dir"]) / run.folder.name / name, content)
        for name in report.NOTEBOOKS:
            unwritten = {} if name == "report" else {"out": ""}
            report.execute(name, given | unwritten, Path(temporary) / f"{name}.ipynb")
        data = {f"{report.DATA}/{path.name}": path.read_bytes() for path in Path(temporary, report.DATA).glob("*.csv")}
        return {name: reference.notebook(temporary, name) for name in report.NOTEBOOKS}, data


def shown(notebook, name: str, added: set[str] = frozenset()) -> dict[str, object]:
    """Return each cell of the notebook of that name, and all that it shows but figures, by a reader's name; and what is
    said of the notebook itself.

    Of the parameters given, those ``added`` are left out: where runs and data lie, where the notebook writes, and on a
    machine that trains in another way how they were made; of what the other notebooks print while they train, all.
    """
    told = notebook.metadata["papermill"]["parameters"]
    given = {key: value for key, value in told.items() if key not in added}
    cells = {f"what is said of {name}.ipynb": (given, notebook.metadata.get("fmnist"))}
    for number, cell in enumerate(notebook.cells, 1):
        outputs = [o for o in cell.get("outputs", []) if name == "report" or o.output_type != "stream"]
        said = [_words(output, shlex.quote(str(told.get("out", "")))) for output in outputs]
        source = cell.source
        if "injected-parameters" in cell.metadata.get("tags", []):  # in any order
            source = sorted(line for line in source.splitlines() if _key(line) not in added)
        about = (cell.cell_type, cell.metadata, cell.get("attachments"), cell.get("execution_count"))
        cells[_name(number, cell) + _of(name)] = (source, about, said)
    return cells


def _key(line: str) -> str | None:
    """Return the name that a line gives one value to, or None if it does anything else."""
    try:
        (told,) = ast.parse(line).body
        ast.literal_eval(told.value)
        return told.targets[0].id if isinstance(told, ast.Assign) and len(told.targets) == 1 else None
    except (AttributeError, SyntaxError, ValueError, RecursionError, MemoryError):  # the last two of too deep a line
        return None


def _bytes(path: Path) -> bytes | None:
    """Return the content of a file, None of what is none or larger than any of a report."""
    try:
        return read_file(path, reference.LARGEST)
    except (OSError, ValueError):
        return None


def _name(number: int, cell) -> str:
    labels = [output.metadata["fmnist"]["label"] for output in cell.get("outputs", []) if _labelled(output)]
    given = "how it was given, " if cell.source.startswith(AS_GIVEN) else ""
    places = labels or [tag for tag in cell.metadata.get("tags", []) if tag != "injected-parameters"]
    return f"{given}{' '.join(places)}{' ' if places else ''}in cell {number}"


def _of(name: str) -> str:
    return "" if name == "report" else f" of {name}.ipynb"


def _labelled(output) -> bool:
    return "label" in output.get("metadata", {}).get("fmnist", {})


def _words(output, out: str) -> dict:
    """Return an output without the picture of a figure, which is compared by itself, and without where its runs lay and
    that it writes to ``out``, which a command says only if it has to."""
    told = {k: v for k, v in output.get("data", {}).items() if not (_labelled(output) and k.startswith("image/"))}

    def placed(found: re.Match) -> str:
        return "" if found[1] == "runs_dir" or found[2] == out else found[0]

    return dict(output) | {"data": {k: PLACED.sub(placed, v) if isinstance(v, str) else v for k, v in told.items()}}


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
        found.append(f"{UNITS} {mine}, the runs had {', '.join(sorted(units))}")
    asked = protocol.resolved(protocol.DEFAULTS | {name: "auto" for name in KIND})
    if asked != tuple(values[name] for name in KIND):
        found.append(f"this machine trains by {', '.join(asked)}")
    return found
