"""The one command: check the parameters, run the notebooks in order, render the report. Torch is not imported here."""

import contextlib
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from fmnist_lib import ROOT, UserError, short
from fmnist_lib.rules import near
from fmnist_lib.runs.files import locked, refuse_shipped, write_file
from fmnist_lib.study import parameters, protocol

SHUTDOWN = 1.0  # seconds for a kernel to end by itself, so that Ctrl-C ends in two; its longer traceback takes as long
DATA = "data"  # the folder, beside a report, of what its figures and tables show
NOTEBOOKS = ("sample_images", "sweep", "retrain", "test_comparison", "report")
TAKEN = {*protocol.DEFAULTS, "model", "workers", "cluster", "samples", "samples_seed", "runs_dir", "data_dir", "out"}
MAKER = "maker"  # the file that says which process makes a report


def check(values: dict):
    """Raise UserError unless every parameter, and every training of the study, is possible."""
    if name := next((name for name in values if name not in TAKEN), None):
        parameters.known(name)
        fix = near(name, TAKEN) + "give it to a notebook that has it, with papermill"
        raise UserError(f"{name} is no parameter of a report", fix)
    checked = parameters.checked({"model": protocol.WINNER} | protocol.DEFAULTS | values)
    if checked.get("runs_dir") == "temporary":
        raise UserError('runs_dir = "temporary" ends with each notebook of a report', "name a folder, or leave it out")
    resolved = checked | {"device": "cpu", "precision": "fp32", "kernels": "torch"}
    chosen = [protocol.search(resolved["model"], resolved, seed) for seed in resolved["seed"]]
    for recipe in protocol.grid(resolved) + protocol.rivals(resolved) + chosen:
        protocol.retraining(recipe, 1, resolved)


def make(file: Path | None, overrides: dict, out: Path | None = None) -> Path:
    """Run the five notebooks with a params file and overrides; return the folder of the finished report.

    It is ``out``, the parameter of that name, or else ``reports/<file's name>``, with a hash of all parameters if there
    are overrides or the file is not the project's. Each notebook and the report are made aside and renamed when they
    are whole, so an older one survives a failure; two processes that make the same report take turns.
    """
    file = Path(file or ROOT / "params" / "quick.yaml")
    values = parameters.read_file(file) | overrides
    check(values)
    protocol.resolved(protocol.DEFAULTS | parameters.checked(values))  # a device that is not there is told at once
    out = Path(
        out or parameters.checked(values).get("out") or ROOT / "reports" / named(file, values, overrides)
    ).absolute()
    refuse_others(out)
    told = str(out.relative_to(ROOT) if out.is_relative_to(ROOT) else out)  # no machine's path in a project's report
    aside = out / ".making"
    with _turn(out / ".lock", aside / MAKER):
        shutil.rmtree(aside, ignore_errors=True)  # what a killed process left
        aside.mkdir()
        try:
            (aside / MAKER).write_text(f"process {os.getpid()} on {platform.node()}", "utf-8")
            made = set()
            for i, name in enumerate(NOTEBOOKS, 1):
                print(f"[{i}/{len(NOTEBOOKS)}] {name}", flush=True)
                execute(name, values | {"out": told}, aside / f"{name}.ipynb")
                for path in [*(aside / DATA).glob("*.csv"), aside / f"{name}.ipynb"]:
                    (out / DATA).mkdir(exist_ok=True)
                    os.replace(path, out / path.relative_to(aside))
                    made.add(path.name)
            for older in (path for path in (out / DATA).glob("*.csv") if path.name not in made):
                if older.name.startswith(("fig-", "tab-")):  # no more there; what is another's stays
                    older.unlink()
            _render(out / "report.ipynb", out, aside)
        finally:
            shutil.rmtree(aside, ignore_errors=True)  # it may be gone, with the folder around it
    return out


def refuse_others(out: Path):
    """Raise UserError unless a folder is new, empty, or one that reports are made in: there is the lock then."""
    refuse_shipped(out)
    visible = [path for path in out.iterdir() if not path.name.startswith(".")] if out.is_dir() else []
    if visible and ((out / "pyvenv.cfg").exists() or not (out / ".lock").exists()):  # uv locks its environments too
        fix = "give as out a folder that is new or empty"
        raise UserError(f"{out} holds {visible[0].name} and is no report's folder", fix)


@contextlib.contextmanager
def _turn(lock: Path, maker: Path):
    """Be the one process that makes a report, after waiting for another, which is named."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except UserError as error:
            if not isinstance(error.__cause__, TimeoutError):  # it cannot be made
                raise
            other = short(maker.read_text("utf-8")) if maker.is_file() else "another process"
            print(f"{lock.parent} is being made by {other}: waiting for its end.", flush=True)
            stack.enter_context(locked(lock))
        yield


def named(file: Path, values: dict, overrides: dict | None = None) -> str:
    """Name a folder after a params file, with a hash of all parameters if it is not the project's, or overridden."""
    overrides = {name: value for name, value in (overrides or {}).items() if name != "cluster"}  # no other report
    values = {name: value for name, value in values.items() if name != "cluster"}
    if not overrides and file.resolve().parent == ROOT / "params":
        return file.stem
    told = json.dumps(parameters.checked(values), sort_keys=True)
    return f"{file.stem}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def execute(name: str, values: dict, target: Path):
    """Run one notebook under papermill; UserError with the notebook's own last words if it fails.

    What its kernel writes for itself lies beside the target: no profile of the user's has a say, nor a full home.
    """
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    (profile := target.parent / "ipython").mkdir(exist_ok=True)
    again = "run the same command again: what is finished is kept"
    for logger in ("papermill", "papermill.translators", "papermill.parameterize", "asyncio"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # one file serves five notebooks; errors are told below
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            executed = papermill.execute_notebook(
                ROOT / "notebooks" / f"{name}.ipynb", target, values, kernel_name="python3", progress_bar=False,
                stdout_file=sys.stdout, stderr_file=sys.stderr,
                extra_arguments=["--IPKernelApp.log_level=50", "--InteractiveShell.xmode=Plain",
                                 f"--IPKernelApp.ipython_dir={profile}"],
                config=Config({"KernelManager": {"shutdown_wait_time": SHUTDOWN,
                                                 "connection_file": str(target.with_suffix(".json"))}}),
            )  # fmt: skip
    except PapermillExecutionError as error:
        cause, _, fix = error.evalue.partition("\nFix: ")
        raise UserError(f"notebooks/{name}.ipynb: {error.ename}: {cause}", fix or f"mend it and {again}") from error
    except RuntimeError as error:  # it ended, or never answered
        silent = "respond" in str(error)
        what = "never answered" if silent else "died, perhaps for want of memory"
        fix = "see that a program can reach another at 127.0.0.1 and the machine is not too busy, then " * silent
        raise UserError(f"notebooks/{name}.ipynb: its kernel {what} ({short(error)})", fix + again) from error
    executed.metadata["fmnist"] = {"file": target.name}
    for label, text in carried(executed):
        write_file(target.parent / DATA / f"{label}.csv", text.encode())
    nbformat.write(without_times(executed), target)


def carried(nb) -> Iterator[tuple[str, str]]:
    """Take the data of its figures and tables out of an executed notebook: their labels, and the CSV of each."""
    for output in (output for cell in nb.cells for output in cell.get("outputs", [])):
        about = output.get("metadata", {}).get("fmnist")
        if about and (text := output.data.pop("text/csv", None)):
            about["file"] = f"{DATA}/{about['label']}.csv"
            yield about["label"], text


def without_times(nb):
    """Return an executed notebook without what another execution would change: clocks, places, warnings."""
    given = nb.metadata["papermill"]["parameters"]
    nb.metadata["papermill"] = {"parameters": {name: value for name, value in given.items() if name != "cluster"}}
    for cell in nb.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"  # papermill draws one
            cell["source"] = re.sub(r"\n?^cluster = .*", "", cell["source"], flags=re.MULTILINE)
    return nb


def _render(notebook: Path, out: Path, aside: Path):
    """Write report.html and report.pdf beside the executed notebook."""
    import nbformat

    for name, content in rendered(nbformat.read(notebook, 4)).items():
        (aside / name).write_bytes(content)
        os.replace(aside / name, out / name)


def rendered(node) -> dict[str, bytes]:
    """Return the pages that an executed notebook becomes, by their names."""
    from fmnist_lib.press.render import ArticleHTMLExporter, ArticlePDFExporter

    html, _ = ArticleHTMLExporter().from_notebook_node(node)
    return {"report.html": html.encode(), "report.pdf": ArticlePDFExporter().from_notebook_node(node)[0]}
