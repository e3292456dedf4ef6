"""The one command: check the parameters, run the notebooks in order, render the report. Torch is not imported here."""

import hashlib
import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from fmnist_lib import ROOT, UserError
from fmnist_lib.runs.files import locked, write_file
from fmnist_lib.study import parameters, protocol

SHUTDOWN = 1.0  # seconds for a kernel to end by itself, so that Ctrl-C ends in two; its longer traceback takes as long
DATA = "data"  # the folder, beside a report, of what its figures and tables show
NOTEBOOKS = ("sample_images", "sweep", "retrain", "test_comparison", "report")


def check(values: dict):
    """Raise UserError unless every parameter, and every training of the study, is possible."""
    checked = parameters.checked({"model": protocol.WINNER} | protocol.DEFAULTS | values)
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
    out = Path(out or parameters.checked(values).get("out") or ROOT / "reports" / _name(file, overrides)).absolute()
    told = str(out.relative_to(ROOT) if out.is_relative_to(ROOT) else out)  # no machine's path in a project's report
    with locked(out / ".lock"):
        aside = out / ".making"
        shutil.rmtree(aside, ignore_errors=True)  # what a killed process left
        aside.mkdir()
        try:
            for i, name in enumerate(NOTEBOOKS, 1):
                print(f"[{i}/{len(NOTEBOOKS)}] {name}", flush=True)
                _execute(name, values | {"out": told}, aside / f"{name}.ipynb")
                for path in [*(aside / DATA).glob("*.csv"), aside / f"{name}.ipynb"]:
                    (out / DATA).mkdir(exist_ok=True)
                    os.replace(path, out / path.relative_to(aside))
            _render(out / "report.ipynb", out, aside)
        finally:
            shutil.rmtree(aside)
    return out


def _name(file: Path, overrides: dict) -> str:
    if not overrides and file.resolve().parent == ROOT / "params":
        return file.stem
    values = parameters.checked(parameters.read_file(file) | overrides)
    return f"{file.stem}-{hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]}"


def _execute(name: str, values: dict, target: Path):
    """Run one notebook under papermill; UserError with the notebook's own last words if it fails."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    again = "run the same command again: what is finished is kept"
    for logger in ("papermill", "papermill.translators", "papermill.parameterize", "asyncio"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # one file serves five notebooks; errors are told below
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            executed = papermill.execute_notebook(
                ROOT / "notebooks" / f"{name}.ipynb", target, values, kernel_name="python3", progress_bar=False,
                stdout_file=sys.stdout, stderr_file=sys.stderr,
                extra_arguments=["--IPKernelApp.log_level=50", "--InteractiveShell.xmode=Plain"],
                config=Config({"KernelManager": {"shutdown_wait_time": SHUTDOWN}}),
            )  # fmt: skip
    except PapermillExecutionError as error:
        cause, _, fix = error.evalue.partition("\nFix: ")
        raise UserError(f"notebooks/{name}.ipynb: {error.ename}: {cause}", fix or f"mend it and {again}") from error
    except DeadKernelError as error:
        raise UserError(f"notebooks/{name}.ipynb: its kernel died, perhaps for want of memory", again) from error
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
    """Return an executed notebook without what another execution would change: clocks, and this machine's paths."""
    nb.metadata["papermill"] = {"parameters": nb.metadata["papermill"]["parameters"]}
    for cell in nb.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"  # papermill draws one
    return nb


def _render(notebook: Path, out: Path, aside: Path):
    """Write report.html and report.pdf beside the executed notebook."""
    import nbformat

    from fmnist_lib.press.render import ArticleHTMLExporter, ArticlePDFExporter

    node = nbformat.read(notebook, 4)
    for suffix, exporter in (("html", ArticleHTMLExporter), ("pdf", ArticlePDFExporter)):
        content, _ = exporter().from_notebook_node(node)
        made = aside / f"report.{suffix}"
        made.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.replace(made, out / made.name)
