"""Where a report's numbers come from: its runs, what they cost, the machine, the data, the command."""

import hashlib
import json

import pandas as pd

from fmnist_lib import ROOT, data, models
from fmnist_lib.runs.run import Run
from fmnist_lib.study import parameters, protocol, stats
from fmnist_lib.study.protocol import Study

LINE = "{count} runs · newest run {date} · torch {torch} · {where}"  # at the foot of every page
PROTOCOL_FILES = ("quick", "paper", "rigorous", "smoke")


def every(study: Study) -> list[Run]:
    """Return the study's runs, each once."""
    return list({run.folder: run for run in study.grid + study.searched + study.retrained}.values())


def newest(study: Study) -> str:
    """Return the date and time (UTC, ISO 8601) at which the newest run was finished, or "" without runs."""
    return max((run.record["finished"] for run in every(study)), default="")


def _distinct(study: Study, name: str) -> str:
    return ", ".join(sorted({str(run.record["environment"][name]) for run in every(study)} - {"None"})) or "–"


def made(study: Study) -> dict:
    """Return what `LINE` says of a study's runs: how many, the date of the newest, torch, and the machine."""
    card = _distinct(study, "card")
    where = card if card != "–" else _distinct(study, "processor")
    date, torch = newest(study)[:10] or "–", _distinct(study, "torch")
    return {"count": len(every(study)), "date": date, "torch": torch, "where": where}


def line(study: Study) -> str:
    """Return one line of provenance."""
    return LINE.format(**made(study))


def command(values: dict) -> str:
    """Return the command that makes the report of these parameters again."""
    ignored = ("out", "runs_dir", "data_dir", "workers", "samples", "samples_seed")
    best = min((_overrides(name, values, ignored) for name in PROTOCOL_FILES), key=lambda pair: len(pair[1]))
    return " ".join(["python -m fmnist_lib report", f"params/{best[0]}.yaml", *best[1]])


def _overrides(file: str, values: dict, ignored: tuple) -> tuple[str, list[str]]:
    stated = protocol.DEFAULTS | parameters.checked(parameters.read_file(ROOT / "params" / f"{file}.yaml"))
    changed = {name: v for name, v in values.items() if name not in ignored and stated.get(name, v) != v}
    return file, [f"-p {name} '{json.dumps(v) if not isinstance(v, str) else v}'" for name, v in changed.items()]


def cost(study: Study, images: int) -> pd.DataFrame:
    """Return a row a model searched: its size, training times, mean validation accuracy [%] and interval."""
    rows = [
        {
            "model": run.recipe.model,
            "millions": models.parameters(models.build(run.recipe.model, run.recipe.padding)) / 1e6,
            "seconds": run.record["seconds"] / len(run.history) * run.best_epoch,
            "seconds an epoch": run.record["seconds"] / len(run.history),
            "accuracy": 100 * run.best["val_accuracy"],
        }
        for run in {run.folder: run for run in study.grid + study.searched}.values()
        if not run.diverged
    ]
    table = pd.DataFrame(rows, columns=["model", "millions", "seconds", "seconds an epoch", "accuracy"])
    table = table.groupby("model", as_index=False, sort=False).mean()
    intervals = [stats.wilson(accuracy, images) for accuracy in table["accuracy"]]
    return table.assign(low=[low for low, _ in intervals], high=[high for _, high in intervals])


def runs_table(study: Study) -> pd.DataFrame:
    """Return a row a run: its folder's name, epochs, seconds, and the start of its history's SHA-256."""
    rows = [
        (
            run.folder.name,
            len(run.history),
            round(run.record["seconds"]),
            run.record["files"]["history.csv"]["sha256"][:16],
        )
        for run in every(study)
    ]
    return pd.DataFrame(rows, columns=["run", "epochs", "seconds", "SHA-256 of history.csv"])


def environment_table(study: Study) -> pd.DataFrame:
    """Return what the runs were made on and from: system, versions, device, precision, seeds, data, time."""
    recipes = [run.recipe for run in every(study)]
    hours = sum(run.record["seconds"] for run in every(study)) / 3600
    files = "".join(f"{name} {sha}\n" for name, (_, sha) in sorted(data.FILES.items()))

    def each(*names: str) -> str:
        return "; ".join(sorted({", ".join(str(getattr(recipe, name)) for name in names) for recipe in recipes}))

    rows = [
        ("System", _distinct(study, "system")),
        ("Processor", _distinct(study, "processor")),
        ("Card", _distinct(study, "card")),
        ("Python", _distinct(study, "python")),
        ("PyTorch", _distinct(study, "torch")),
        ("Device, precision", each("device", "precision")),
        ("Seeds of the split", each("split_seed")),
        ("Seeds of the weights", each("weights_seed")),
        ("Data: SHA-256 of the list of SHA-256", _sha256(files)),
        ("Newest run", newest(study) or "–"),
        ("Training, process hours", hours),
    ]
    return pd.DataFrame(rows, columns=[" ", "value"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
