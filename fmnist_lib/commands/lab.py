"""JupyterLab on working copies of the notebooks, so that looking around changes nothing that is tracked."""

import re
from collections.abc import Sequence
from pathlib import Path

import nbformat

from fmnist_lib import ROOT, UserError, short
from fmnist_lib.commands import report
from fmnist_lib.runs.files import write_file
from fmnist_lib.study import parameters

LINE = re.compile(r"(?m)^(\w+)(: \w+ = )(.+?)(  # .+)$")  # of a parameters cell


def copies(file: Path | None = None) -> Path:
    """Write the working copies that are not there yet; return their folder: work/, or work/<name of the params file>.

    A file that is not the project's has a hash of its values behind its name. The values of a params file stand in the
    parameters cells of its copies. A copy that is there is kept as it is.
    """
    values = parameters.checked(parameters.read_file(file)) if file else {}
    folder = ROOT / "work" / (report.named(file, values) if file else "")
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted((ROOT / "notebooks").glob("*.ipynb"))
    kept = [source.name for source in sources if (folder / source.name).exists()]
    if kept:
        print(f"Kept as they are: {', '.join(kept)}")
    for source in sources:
        if source.name not in kept:
            written = nbformat.writes(with_values(nbformat.read(source, 4), values))
            write_file(folder / source.name, written.encode())
    return folder


def with_values(notebook, values: dict):
    """Put values in place of the defaults in a notebook's parameters cell, and below them those of other names."""

    def line(found: re.Match) -> str:
        name, types, default, comment = found.groups()
        return f"{name}{types}{repr(values[name]) if name in values else default}{comment}"

    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            listed = {found[1] for found in LINE.finditer(cell.source)}
            others = [f"{name} = {value!r}" for name, value in values.items() if name not in listed]
            cell.source = "\n".join([LINE.sub(line, cell.source), *others])
    return notebook


def told(words: list[str | None]) -> tuple[str | None, list[str]]:
    """Divide what follows the command into the params file, if one is named, and JupyterLab's own options."""
    given = [word for word in words if word]
    file = given.pop(0) if given and not given[0].startswith("-") else None
    if given and not given[0].startswith("-"):
        raise UserError(
            f"{short(given[0])} after {short(file)}", "name one params file; JupyterLab's options follow --"
        )
    return file, given


def start(file: Path | None = None, options: Sequence[str] = ()):
    """Open JupyterLab on the working copies, with options of its own, until it is ended."""
    from jupyterlab.labapp import LabApp

    folder = copies(file)
    print(
        f"Working copies: {folder.relative_to(ROOT)}/ (not tracked; rename one, and the next start brings a new copy)"
    )
    LabApp.launch_instance([str(folder), *options])  # in this process, so that Ctrl-C is JupyterLab's own
