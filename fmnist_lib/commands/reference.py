"""A report held against the records that it ships: each table rebuilt from them, any run trained anew."""

import re
import tempfile
from pathlib import Path

import nbformat
import pandas as pd

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands import card, floors
from fmnist_lib.press.display import Table, markdown
from fmnist_lib.press.language import sentence, speak, tr
from fmnist_lib.press.tables import claims_as_text, patience_as_text, scores_as_text
from fmnist_lib.runs import record, sweep
from fmnist_lib.runs.files import write_file
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.study import claims, parameters, protocol, results, tables
from fmnist_lib.study.patience import patience_table, whole_curves
from fmnist_lib.study.protocol import Study

FOLDER = ROOT / "reports" / "reference"
README, LEEME = ROOT / "README.md", "LEEME.md"  # the Spanish one lies beside it
TESTED = {"cnn": protocol.WINNER, "nahuel": "CNN-Nahuel", "ann": "ANN-Juan"}
FOUND = (
    "Of the {models} networks that the paper compares, its winner {winner} is right on {cnn[accuracy]:.2f} % of the "
    "test images (in the paper {cnn[paper accuracy]:.2f} %), CNN-Nahuel on {nahuel[accuracy]:.2f} % "
    "({nahuel[paper accuracy]:.2f} %) and ANN-Juan, without convolutions, on {ann[accuracy]:.2f} % "
    "({ann[paper accuracy]:.2f} %)."
)
MODEL_CARD = "README.md"  # of a run: shown where the folder is opened in a browser


def records(folder: Path) -> tuple[Study, dict]:
    """Return the study that a report's records amount to, every file verified, and the report's parameters.

    Device and precision are those of the records. Raises UserError for a run that is missing, damaged or of a kind of
    its own.
    """
    notebook, runs_dir = Path(folder) / "report.ipynb", Path(folder).absolute() / "runs"
    if not (notebook.exists() and runs_dir.is_dir()):
        raise UserError(f"{folder} is no report with its runs beside it", "name a folder such as reports/reference")
    stated = parameters.checked(nbformat.read(notebook, 4).metadata["papermill"]["parameters"])
    listed = Store(runs_dir).frame().reindex(columns=["device", "precision", "kernels"])
    kinds = listed.dropna().drop_duplicates().to_dict("records")
    if len(kinds) != 1:
        raise UserError(f"{runs_dir} holds runs of {kinds or 'no kind'}", "keep those of one device and precision")
    values = protocol.DEFAULTS | stated | kinds[0]
    study = protocol.collect(values, Store(runs_dir))
    if study.missing:
        names = ", ".join(recipe.name for recipe in study.missing)
        raise UserError(f"{runs_dir} lacks {names}", "take the folder whole from its repository, or make it anew")
    return study, values


def rebuilt(study: Study, values: dict) -> dict[str, str]:
    """Return every table of a report, made from its records: the CSV files by name, the notebook's HTML by label."""
    speak(values["language"])
    every, grid, retrained = (frame(some, values) for some in (study.every, study.grid, study.retrained))
    seeds = len(values["seed"])
    winners = [run for run in study.searched + study.retrained if run.recipe.model in study.winners]
    files = {"table1.csv": tables.validation(grid), "table2.csv": tables.test(retrained)}
    files |= {"retrain.csv": tables.retraining(frame(winners, values))}
    shown = {
        "tab-validation": scores_as_text(tables.table_1(grid, seeds)),
        "tab-test": scores_as_text(tables.table_2(retrained, seeds), loss_digits=4),
        "tab-claims": claims_as_text(claims.judge(every)),
        "tab-patience": patience_as_text(patience_table(whole_curves(study.every))),
        "tab-runs": tables.runs(every),
        "tab-environment": tables.environment(every),
    }
    made = {name: table.to_csv(index=False) for name, table in files.items()}
    made |= {label: Table(table, label, "", digits=2, words=[" "]).data["text/html"] for label, table in shown.items()}
    carded = [run for run in study.retrained if (run.folder / MODEL_CARD).exists()]
    return made | {f"runs/{run.folder.name}/{MODEL_CARD}": card.text(run) for run in carded}


def frame(runs: list[Run], values: dict) -> pd.DataFrame:
    """Lay out runs of a report's parameters (`results.frame`)."""
    return results.frame(runs, values["split_seed"])


def kept(folder: Path) -> dict[str, str]:
    """Return what a report's folder holds under the names of `rebuilt`."""
    paths = [*Path(folder).glob("*.csv"), *Path(folder).glob(f"runs/*/{MODEL_CARD}")]
    files = {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in paths}
    cells = nbformat.read(Path(folder) / "report.ipynb", 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "fmnist" in output.get("metadata", {})]
    return files | {output.metadata["fmnist"]["label"]: output.data.get("text/html") for output in outputs}


def verify(folder: Path) -> list[str]:
    """Rebuild every table of a report from its records; return the names of those found the same, byte by byte.

    Raises UserError naming those that differ.
    """
    made, there = rebuilt(*records(folder)), kept(folder)
    if wrong := [name for name in made if there.get(name) != made[name]]:
        cause = f"{folder}: {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not what the records give"
        raise UserError(cause, "take the folder whole from its repository, or make the report anew")
    return list(made)


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
    for page, language in ((readme, "en"), (readme.with_name(LEEME), "es")):
        for name, block in blocks(study, values, language).items() if page.exists() else ():
            fill(page, name, block)


def blocks(study: Study, values: dict, language: str = "en") -> dict[str, str]:
    """Return what the README says, by the name of the place: Tables I and II, how they were made, the benchmark.

    In Spanish there is no benchmark.
    """
    speak(language)
    every, seeds = frame(study.every, values), len(values["seed"])
    table1 = tables.table_1(frame(study.grid, values), seeds)
    table2 = tables.table_2(frame(study.retrained, values), seeds)
    hours = every["seconds"].sum() / 3600
    told = [(protocol.STAMP, protocol.stamped(values)), (tables.LINE, tables.made(every))]
    told += [("{hours:.1f} hours of one core", {"hours": hours})]
    made = re.sub(r"\\(\W)", r"\1", " · ".join(sentence(message, **given) for message, given in told))  # as bare text
    tested = {name: table2.loc[model] for name, model in TESTED.items()}
    found = sentence(FOUND, winner=protocol.WINNER, models=len(table1), **tested)
    said = {"found": found, "table 1": side_by_side(table1, 3), "table 2": side_by_side(table2, 4), "made": made}
    measured = FOLDER / "benchmark" / "benchmark.csv"
    shown = measured.exists() and language == "en"
    return said | ({"speed": floors.readme_table(pd.read_csv(measured)).strip()} if shown else {})


def side_by_side(table: pd.DataFrame, loss_digits: int) -> str:
    """Write `tables.beside_paper`'s table in Markdown, ours before the paper's in brackets."""
    texts = scores_as_text(table, loss_digits)
    names = [group for group in texts.columns.unique(0) if group]
    columns = {tr(name): texts[name, "ours"] + " (" + texts[name, "paper"] + ")" for name in names}
    return markdown(pd.DataFrame(columns).rename_axis(tr("Model")).reset_index())


def fill(page: Path, name: str, block: str):
    """Write a block between a page's marks ``<!-- name -->`` and ``<!-- /name -->``; UserError if it has none."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    text, n = marks.subn(lambda found: f"{found[1]}\n{block.strip()}\n\n{found[2]}", page.read_text("utf-8"))
    if n != 1:
        raise UserError(
            f"{page} has {n} places for {name!r}", f"write <!-- {name} --> and <!-- /{name} --> there, once"
        )
    write_file(page, text.encode())
