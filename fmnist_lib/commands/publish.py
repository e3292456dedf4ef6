"""The one report that the repository ships, with the records of its runs; nothing else writes it."""

import shutil
from pathlib import Path

from fmnist_lib import UserError
from fmnist_lib.commands import card, readme, reference
from fmnist_lib.commands.report import DATA
from fmnist_lib.runs import record
from fmnist_lib.runs.files import write_file
from fmnist_lib.runs.pack import REPORTS
from fmnist_lib.runs.run import Run
from fmnist_lib.runs.store import Store
from fmnist_lib.study import protocol


def publish(report: Path, folder: Path = reference.FOLDER, pages: Path = reference.PAGES):
    """Bring a report, its runs' records and the benchmarks beside it to where they are shipped; write what follows.

    That is the winner's model card beside its weights, which are the only ones, and what README.md and LEEME.md say.
    """
    values = protocol.DEFAULTS | reference.stated(report)
    study = protocol.collect(values, Store(values.get("runs_dir", "")))
    if study.missing:  # else what is shipped of them would be removed
        raise UserError(f"{report} lacks {len(study.missing)} of its runs", "make the report first")
    for run in study.every:
        _ship(run, folder / "runs" / run.folder.name)
    listed = {run.folder.name for run in study.every}
    for older in [path.parent for path in folder.glob(f"runs/*/{record.RECORD}") if path.parent.name not in listed]:
        shutil.rmtree(older)
    for older in [path for path in folder.glob(f"{DATA}/*.csv") if not (report / DATA / path.name).exists()]:
        older.unlink()
    measured = {path: path.relative_to(REPORTS) for path in REPORTS.glob("benchmark*/*")}
    shown = {path: path.relative_to(report) for path in (*report.iterdir(), *report.glob(f"{DATA}/*.csv"))}
    for path, name in (shown | measured).items():
        if path.suffix in (".ipynb", ".csv", ".svg", ".html", ".pdf"):
            write_file(folder / name, path.read_bytes(), publish=True)

    study, values = reference.records(folder)
    run = reference.winner(folder)
    write_file(run.folder / reference.MODEL_CARD, card.text(run).encode(), publish=True)
    for (page, name), block in readme.pages(study, values).items():
        if (pages / page).exists():
            readme.fill(pages / page, name, block)


def _ship(run: Run, place: Path):
    """Write a run's record where it is shipped, run.json last; the weights of the paper's winner, retrained, too."""
    winner = run.recipe.model == protocol.WINNER and run.recipe.keep == "last"
    names = [name for name in run.record["files"] if name != record.WEIGHTS or (winner and run.has_weights)]
    for name in [*names, record.RECORD]:
        write_file(place / name, (run.folder / name).read_bytes(), publish=True)
