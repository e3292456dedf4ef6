"""Where a report's numbers come from: its runs, what they cost, the machine, the data, the command."""

import hashlib
import json

import pandas as pd

from fmnist_lib import data, models, params, protocol
from fmnist_lib.language import number
from fmnist_lib.protocol import Study
from fmnist_lib.runs import Run
from fmnist_lib.study import stats

PROTOCOL_FILES = ("quick", "paper", "rigorous", "smoke")


def every(study: Study) -> list[Run]:
    """Return the study's runs, each once."""
    return list({run.folder: run for run in study.grid + study.searched + study.retrained}.values())


def newest(study: Study) -> str:
    """Return the date and time (UTC, ISO 8601) at which the newest run was finished, or "" without runs."""
    return max((run.record["finished"] for run in every(study)), default="")


def _distinct(study: Study, name: str) -> str:
    return ", ".join(sorted({str(run.record["environment"][name]) for run in every(study)} - {"None"})) or "–"


def line(study: Study, language: str = "en") -> str:
    """Return one line of provenance for the foot of every page."""
    runs, newest_run = {"en": ("runs", "newest run"), "es": ("corridas", "la más reciente")}[language]
    where = _distinct(study, "card") if _distinct(study, "card") != "–" else _distinct(study, "processor")
    count, date = len(every(study)), newest(study)[:10] or "–"
    return f"{count} {runs} · {newest_run} {date} · torch {_distinct(study, 'torch')} · {where}"


def command(values: dict) -> str:
    """Return the command that makes the report of these parameters again."""
    ignored = ("out", "runs_dir", "data_dir", "workers", "samples", "samples_seed")
    best = min((_overrides(name, values, ignored) for name in PROTOCOL_FILES), key=lambda pair: len(pair[1]))
    return " ".join(["python -m fmnist_lib report", f"params/{best[0]}.yaml", *best[1]])


def _overrides(file: str, values: dict, ignored: tuple) -> tuple[str, list[str]]:
    stated = protocol.DEFAULTS | params.checked(params.read_file(params.ROOT / "params" / f"{file}.yaml"))
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


def runs_table(study: Study, language: str = "en") -> pd.DataFrame:
    """Return a row a run: its folder's name, epochs, seconds, and the start of its history's SHA-256."""
    heads = {"en": ("run", "epochs", "seconds", "SHA-256 of history.csv"),
             "es": ("corrida", "épocas", "segundos", "SHA-256 de history.csv")}[language]  # fmt: skip
    rows = [
        (
            run.folder.name,
            len(run.history),
            round(run.record["seconds"]),
            run.record["files"]["history.csv"]["sha256"][:16],
        )
        for run in every(study)
    ]
    return pd.DataFrame(rows, columns=heads)


def environment_table(study: Study, language: str = "en") -> pd.DataFrame:
    """Return what the runs were made on and from: system, versions, device, precision, seeds, data, time."""
    recipes = [run.recipe for run in every(study)]
    hours = sum(run.record["seconds"] for run in every(study)) / 3600
    files = "".join(f"{name} {sha}\n" for name, (_, sha) in sorted(data.FILES.items()))

    def each(*names: str) -> str:
        return "; ".join(sorted({", ".join(str(getattr(recipe, name)) for name in names) for recipe in recipes}))

    rows = [
        ("System", "Sistema", _distinct(study, "system")),
        ("Processor", "Procesador", _distinct(study, "processor")),
        ("Card", "Placa", _distinct(study, "card")),
        ("Python", "Python", _distinct(study, "python")),
        ("PyTorch", "PyTorch", _distinct(study, "torch")),
        ("Device, precision", "Dispositivo, precisión", each("device", "precision")),
        ("Seeds of the split", "Semillas de la división", each("split_seed")),
        ("Seeds of the weights", "Semillas de los pesos", each("weights_seed")),
        ("Data: SHA-256 of the list of SHA-256", "Datos: SHA-256 de la lista de SHA-256", _sha256(files)),
        ("Newest run", "Corrida más reciente", newest(study) or "–"),
        ("Training, process hours", "Entrenamiento, horas de proceso", number(hours, 2, language)),
    ]
    names, values = [row[language == "es"] for row in rows], [row[2] for row in rows]
    return pd.DataFrame({" ": names, {"en": "value", "es": "valor"}[language]: values})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
