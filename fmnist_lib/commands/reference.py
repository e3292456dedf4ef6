"""What a report's records give: its tables as files, any run trained anew, the card and the README of the reference."""

import re
import tempfile
from pathlib import Path

import nbformat
import pandas as pd

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import card, floors
from fmnist_lib.press.display import markdown
from fmnist_lib.press.language import speak
from fmnist_lib.press.tables import scores_as_text
from fmnist_lib.runs import record, sweep
from fmnist_lib.runs.files import write_file
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.study import parameters, protocol, results, tables
from fmnist_lib.study.protocol import Study

FOLDER = ROOT / "reports" / "reference"
README = ROOT / "README.md"
KIND = ("device", "precision", "kernels")
MODEL_CARD = "README.md"  # of a run: shown where the folder is opened in a browser


def records(folder: Path) -> tuple[Study, dict]:
    """Return the study that a report's records amount to, every file verified, and the report's parameters.

    The runs lie beside it in runs/ or, while it is where it was made, where its parameters say. Of several devices,
    precisions and kernels that lie there, those are taken by which the study is whole and which the report lists.
    Raises UserError for a run that is missing or damaged.
    """
    notebook, beside = Path(folder) / "report.ipynb", Path(folder).absolute() / "runs"
    if not notebook.exists():
        raise UserError(f"{folder} is no report", "name a folder with a report.ipynb, such as reports/reference")
    text = notebook.read_text("utf-8")
    stated = parameters.checked(nbformat.reads(text, 4).metadata["papermill"]["parameters"])
    moved = Path(stated.get("out", "")) != Path(folder).absolute()
    store = Store(beside if beside.is_dir() or moved else stated.get("runs_dir", ""))
    found = store.frame().reindex(columns=KIND).dropna().drop_duplicates().to_dict("records")
    kinds = [kind for kind in found if all(stated.get(name, "auto") in ("auto", kind[name]) for name in KIND)]
    if not kinds:
        raise UserError(f"{store.folder} holds no runs of {folder}", "name a report with its runs in runs/ beside it")
    studies = [
        (protocol.collect(values, store), values) for kind in kinds for values in [protocol.DEFAULTS | stated | kind]
    ]
    listed = [sum(run.folder.name in text for run in study.every) for study, _ in studies]
    study, values = min(studies, key=lambda pair: (len(pair[0].missing), -listed[studies.index(pair)]))
    if study.missing:
        names = ", ".join(recipe.name for recipe in study.missing)
        raise UserError(f"{store.folder} lacks {names}", "take the folder whole from its repository, or make it anew")
    return study, values


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
    return made | {f"the README's {name}": block for name, block in blocks(study, values).items() if carded}


def frame(runs: list[Run], values: dict) -> pd.DataFrame:
    """Lay out runs of a report's parameters (`results.frame`)."""
    return results.frame(runs, values["split_seed"])


def kept(folder: Path) -> dict[str, str]:
    """Return what a report's folder, and for the reference the README, hold under the names of `rebuilt`."""
    paths = [*Path(folder).glob("*.csv"), *Path(folder).glob(f"runs/*/{MODEL_CARD}")]
    files = {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in paths}
    said = re.findall(r"<!-- ([^/].*?) -->\n\n(.*?)\n\n<!-- /\1 -->", README.read_text("utf-8"), re.S)
    shipped = any(name.endswith(MODEL_CARD) for name in files)
    return files | {f"the README's {name}": block for name, block in said if shipped}


def retrain(folder: Path, name: str, data_dir: Path | None = None) -> list[str]:
    """Train the runs of a report whose names begin so once more, elsewhere; return a line each on how they compare."""
    study, _ = records(folder)
    chosen = [run for run in study.every if run.folder.name.startswith(name)]
    if not chosen:
        names = ", ".join(run.folder.name for run in study.every)
        raise UserError(f"{folder} has no run {name}…", f"give the beginning of one of {names}")

    with tempfile.TemporaryDirectory() as temporary:
        again = sweep.train([run.recipe for run in chosen], Store(Path(temporary)), data_dir)
        return [compared(run, other) for run, other in zip(chosen, again, strict=True)]


def compared(run: Run, again: Run) -> str:
    """Say whether two runs of one recipe are the same bits, or how far from each other their curves are."""
    if all(again.record["files"][name] == run.record["files"][name] for name in ("history.csv", record.WEIGHTS)):
        return f"{run.folder.name}: bit-identical, history and weights"
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
    raise UserError(f"{folder} has no weights of {protocol.WINNER}", "train them: make reference")


def publish(folder: Path = FOLDER, readme: Path = README):
    """Write what follows from a report: the winner's model card beside its weights, the README's tables."""
    study, values = records(folder)
    run = winner(folder)
    write_file(run.folder / MODEL_CARD, card.text(run).encode())
    for name, block in blocks(study, values).items():
        fill(readme, name, block)


def blocks(study: Study, values: dict) -> dict[str, str]:
    """Return what the README says, by the name of the place: Tables I and II, how they were made, the benchmark."""

    speak("en")
    every, seeds = frame(study.every, values), len(values["seed"])
    table1 = tables.table_1(frame(study.grid, values), seeds)
    table2 = tables.table_2(frame(study.retrained, values), seeds)
    made = f"{protocol.stamp(values)} · {tables.LINE.format(**tables.made(every))}"
    said = {"table 1": side_by_side(table1, 3), "table 2": side_by_side(table2, 4), "made": made}
    measured = FOLDER / "benchmark" / "benchmark.csv"
    return said | ({"speed": floors.readme_table(pd.read_csv(measured)).strip()} if measured.exists() else {})


def side_by_side(table: pd.DataFrame, loss_digits: int) -> str:
    """Write `tables.beside_paper`'s table in Markdown, ours before the paper's in brackets."""
    texts = scores_as_text(table, loss_digits)
    names = [group for group in texts.columns.unique(0) if group]
    columns = {name: texts[name, "ours"] + " (" + texts[name, "paper"] + ")" for name in names}
    return markdown(pd.DataFrame(columns).reset_index())


def fill(page: Path, name: str, block: str):
    """Write a block between a page's marks ``<!-- name -->`` and ``<!-- /name -->``; UserError if it has none."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    text, n = marks.subn(lambda found: f"{found[1]}\n{block.strip()}\n\n{found[2]}", page.read_text("utf-8"))
    if n != 1:
        raise UserError(
            f"{page} has {n} places for {name!r}", f"write <!-- {name} --> and <!-- /{name} --> there, once"
        )
    write_file(page, text.encode())
