"""What a report's records give: its tables as files, any run trained anew, the card and the README of the reference."""

import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd

from fmnist_lib import ROOT, Stopped, UserError, short
from fmnist_lib.commands import card, readme
from fmnist_lib.press.language import speak
from fmnist_lib.recipe import KIND, KINDS, NUMERICS
from fmnist_lib.runs import record
from fmnist_lib.runs.files import SHIPPED, read_file
from fmnist_lib.runs.run import Run, read
from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers, parameters, protocol, results, tables
from fmnist_lib.study.protocol import Study
from fmnist_lib.workers import sweep

FOLDER = SHIPPED
PAGES = ROOT  # where README.md and LEEME.md are
LARGEST = 50_000_000  # bytes of a report's notebook; the reference has 2 % of it
MODEL_CARD = "README.md"  # of a run: shown where the folder is opened in a browser


def records(folder: Path) -> tuple[Study, dict]:
    """Return the study that a report's records amount to, every file verified, and the report's parameters.

    The runs lie beside it in runs/ or, while it is where it was made, where its parameters say. Of several devices,
    precisions and kernels those are taken whose runs the report lists; what else lies there is not read. Raises
    UserError for a run that is missing or damaged.
    """
    given, listed = stated(folder), written(folder)[1].get("tab-runs") or ""
    beside, moved = Path(folder).absolute() / "runs", Path(given.get("out", "")) != Path(folder).absolute()
    store = Store(beside, shipped=False) if beside.is_dir() or moved else Store(given.get("runs_dir", ""))
    kinds = [dict(zip(KIND, kind, strict=True)) for kind in KINDS]
    alike = [kind for kind in kinds if all(given.get(name, "auto") in ("auto", kind[name]) for name in KIND)]
    found = [(protocol.collect(given | kind, store), protocol.DEFAULTS | given | kind) for kind in alike]
    study, values = max(found, key=lambda pair: (_count(pair[0], listed), -len(pair[0].missing)))
    if not study.every:
        raise UserError(f"{store.folder} holds no runs of {folder}", "name a report with its runs in runs/ beside it")
    if study.missing:
        names = ", ".join(recipe.name for recipe in study.missing)
        raise UserError(
            f"{store.folder} lacks {names}", "take the folder whole from the commit that made it, or make it anew"
        )
    return study, values


def as_here(values: dict) -> dict:
    """Return parameters that state how this machine trains: wherever such a report is made again, it is the same."""
    asked = protocol.DEFAULTS | parameters.checked(values)
    return values | dict(zip(KIND, protocol.resolved(asked), strict=True))


def refuse_another_protocol(values: dict):
    """Raise UserError unless these parameters leave the reference what it is: the paper's protocol."""
    if not protocol.is_papers(protocol.DEFAULTS | parameters.checked(values)):
        fix = "make a report of your own of it: fmnist report paper, with the same -p"
        raise UserError("reports/reference is the paper's protocol, and these parameters are another", fix)


def _count(study: Study, listed: str) -> int:
    return sum(run.folder.name in listed for run in study.every)


def stated(folder: Path) -> dict:
    """Return the parameters that a report was made with."""
    return parameters.checked(written(folder)[0])


def rebuilt(study: Study, values: dict) -> dict[str, str]:
    """Return a report's files but its pages, made from its records: CSV, model card, README's blocks, by name."""
    speak(values["language"])
    grid, retrained = (frame(some, values) for some in (study.grid, study.retrained))
    winners = [run for run in study.searched + study.retrained if run.recipe.model in study.winners]
    files = {"table1.csv": tables.validation(grid), "table2.csv": tables.test(retrained)}
    files |= {"retrain.csv": tables.retraining(frame(winners, values))}
    made = {name: table.to_csv(index=False) for name, table in files.items()}
    carded = [run for run in study.retrained if (run.folder / MODEL_CARD).exists()]
    made |= {f"runs/{run.folder.name}/{MODEL_CARD}": card.text(run) for run in carded}
    said = readme.pages(study, values) if carded else {}
    return made | {f"{name} in {page}": block for (page, name), block in said.items()}


def frame(runs: list[Run], values: dict) -> pd.DataFrame:
    """Lay out runs of a report's parameters (`results.frame`)."""
    return results.frame(runs, values["split_seed"])


def kept(folder: Path) -> dict[str, str]:
    """Return what a report's folder, and for the reference the README, hold under the names of `rebuilt`."""
    paths = [*Path(folder).glob("*.csv"), *Path(folder).glob(f"runs/*/{MODEL_CARD}")]
    files = {path.relative_to(folder).as_posix(): path.read_bytes().decode(errors="replace") for path in paths}
    said = readme.filled(PAGES) if any(name.endswith(MODEL_CARD) for name in files) else {}
    return files | {f"{name} in {page}": block for (page, name), block in said.items()}


def written(folder: Path) -> tuple[dict, dict[str, str]]:
    """Return what a report's notebook says: its parameters, and its tables' HTML by label; UserError if it is none."""
    return _told(notebook(folder))


def _told(nb) -> tuple[dict, dict[str, str]]:
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    labelled = [output for output in outputs if "fmnist" in output.get("metadata", {})]
    shown = {output.metadata["fmnist"]["label"]: output.data.get("text/html") for output in labelled}
    return dict(nb.metadata["papermill"]["parameters"]), shown


def notebook(folder: Path, name: str = "report"):
    """Return a report's executed notebook of that name; UserError if it is none."""
    path = Path(folder) / f"{name}.ipynb"
    try:
        nb = nbformat.reads(read_file(path, LARGEST).decode(), 4)
        nbformat.validate(nb)
        if not all(isinstance(label, str) for label in _told(nb)[1]):
            raise ValueError("a label is no text")
        if not isinstance(nb.metadata["papermill"]["parameters"], dict):
            raise ValueError("its parameters have no names")
        return nb
    except (*record.UNREADABLE, nbformat.ValidationError) as error:
        cause = f"{path} is no notebook of a report ({type(error).__name__}: {short(error)})"
        if name == "report" and isinstance(error, FileNotFoundError | NotADirectoryError):
            cause = f"there is no report in {folder}: {path.name} is missing"
        raise UserError(cause, "name the folder of a report, such as reports/reference") from error


def retrain(folder: Path, name: str, data_dir: Path | None = None, cluster: str = "") -> list[str]:
    """Train the runs of a report whose names begin so once more, elsewhere; return a line each on how they compare."""
    chosen = begins(folder, name)
    with tempfile.TemporaryDirectory() as temporary:
        todo = [replace(run.recipe, numerics=NUMERICS) for run in chosen]  # by this engine, whichever trained them
        try:
            again = sweep.train(todo, Store(temporary, shipped=False), data_dir, cluster=cluster)
        except Stopped:
            fix = "run it again: it begins anew, as nothing of a comparison is kept"
            raise UserError("the trainings were stopped, and compared with nothing", fix) from None
        for run, other in zip(chosen, again, strict=True):
            if record.TEST in run.record["files"]:
                answers.on_test(other, data_dir)
        return [compared(run, read(other.folder)) for run, other in zip(chosen, again, strict=True)]


def begins(folder: Path, name: str) -> list[Run]:
    """Return the runs of a report whose names begin so; UserError if none does."""
    study, _ = records(folder)
    chosen = [run for run in study.every if name and run.folder.name.startswith(name)]
    if not chosen:
        names = ", ".join(run.folder.name for run in study.every)
        raise UserError(f"{folder} has no run {name}…", f"give the beginning of one of {names}")
    return chosen


def compared(run: Run, again: Run) -> str:
    """Say whether two runs of one recipe are the same bits, or how far from each other their curves are."""
    files, others = run.record["files"], again.record["files"]
    if all(others[name] == files[name] for name in (record.HISTORY, record.WEIGHTS)):
        if record.TEST not in files:
            return f"{run.folder.name}: bit-identical, history and weights"
        if others[record.TEST] == files[record.TEST]:
            return f"{run.folder.name}: bit-identical, history, weights and test answers"
        right = [100 * (each["predicted"] == each["label"]).mean() for each in (again.answers(), run.answers())]
        return (
            f"{run.folder.name}: bit-identical, history and weights, but these weights do not give its test answers: "
            f"here {right[0]:.2f} % are right, there {right[1]:.2f} %"
        )
    apart = (run.history - again.history).abs().max()
    best = [f"{100 * one.best['val_accuracy']:.2f} % at epoch {one.best_epoch}" for one in (run, again)]
    return (
        f"{run.folder.name}: not bit-identical. Here {best[1]}, there {best[0]}; in no epoch further apart than "
        f"{apart['val_loss']:.4f} nats and {100 * apart['val_accuracy']:.2f} points on validation"
    )


def winner(folder: Path = FOLDER) -> Run:
    """Return the paper's winner, retrained, of a report that ships its weights."""
    for run in records(folder)[0].retrained:
        if run.recipe.model == protocol.WINNER and run.has_weights:
            return run
    raise UserError(f"{folder} has no weights of {protocol.WINNER}", "take the folder whole from its repository")
