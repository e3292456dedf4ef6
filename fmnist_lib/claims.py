"""The table of claims as a report shows it, in its language."""

import pandas as pd

from fmnist_lib.language import number
from fmnist_lib.protocol import Study
from fmnist_lib.study import claims, results, rule

DIGITS = {"points": 2, "nats": 3, "epochs": 1, "log ratio": 2, "share": 2}
SPANISH = {
    "S1": "Los primeros modelos de la Tabla I no difieren",
    "S2": "El ganador tiene la mayor exactitud en validación",
    "S3": "La época óptima y la pérdida del ganador están entre las más bajas",
    "S4": "La pérdida de entrenamiento sigue bajando después de la época óptima",
    "S5": "La de validación sube después de ella: sobreajuste, no subajuste",
    "S6": "El ganador es más exacto en validación que en test",
    "S7": "Eso es un sesgo del conjunto de validación",
    "S8": "Los modelos convolucionales rinden más en test",
    "S9": "La diferencia no es grande",
    "S10": "Necesitan bastantes menos épocas",
    "S11": "Tardan más en entrenarse",
    "S12": "Puede deberse a tener más parámetros: CNN3-128, que tiene menos, contra ANN-Juan",
    "S13": "En test el ganador está antes que CNN-Nahuel",
    "S14": "El costo de cómputo no parece justificado por la mejora",
    "P1": "k = 3 es más exacto que k = 5",
    "P2": "p = 0,25 da menor pérdida que p = 0,1",
    "P3": "p no cambia la exactitud",
    "P4": "n no cambia la exactitud",
    "P5": "Las épocas óptimas están entre 9 y 23",
}
PHRASES = {
    "not judged": "no se juzga", "no verdict": "sin veredicto", "a judgement": "un juicio", "sizes": "tamaños",
    "not reproduced": "no se reproduce", "in sign, negligible in size": "en signo, de tamaño despreciable",
    "reproduced": "se reproduce", "undecidable": "indecidible", "reduced protocol": "protocolo reducido",
    "another reading": "otra lectura", "not the seeds": "no son las semillas", "zero variance": "varianza nula",
    "not the judging protocol": "no es el protocolo que se juzga", "ties": "empates",
    "seeds": "semillas", " of ": " de ",
    "a retraining": "un reentrenamiento", "another length": "otra longitud",
    "best epoch": "época óptima", "accuracy": "exactitud", "loss": "pérdida", "winner": "ganador", "other": "otros",
    "validation": "validación", "share": "parte", "the twelve": "las doce", "epoch": "época",
    "points": "puntos", "log ratio": "log del cociente",
}  # fmt: skip
VERDICTS = {"en": {verdict: verdict for verdict in rule.VERDICTS}}
VERDICTS["es"] = {verdict: PHRASES[verdict] for verdict in rule.VERDICTS}


def judge(study: Study, first_split_seed: int, language: str = "en") -> pd.DataFrame:
    """Return `study.claims.judge`'s table of a study's runs, the verdict of each claim in its first row alone."""
    runs = study.grid + study.searched + study.retrained
    table = claims.judge(results.frame(runs, first_split_seed))
    table.loc[table["id"].duplicated(), "verdict"] = ""
    return table.assign(claim=table["id"].map(SPANISH)) if language == "es" else table


def readable(judged: pd.DataFrame, language: str = "en") -> pd.DataFrame:
    """Return that table as text, for a report."""
    heads = ["Effect", "paper", "ours", "interval", "n", "verdict"]
    if language == "es":
        heads = ["Efecto", "informe", "nuestro", "intervalo", "n", "veredicto"]
    return pd.DataFrame([_told(row, language) for row in judged.to_dict("records")], columns=heads)


def _told(row: dict, language: str) -> tuple[str, ...]:
    digits = DIGITS.get(row["unit"], 0)
    paper, ours, low, high = (number(row[name], digits, language, "+") for name in ("paper", "mean", "low", "high"))
    measured = _in(f"{row['part']} [{row['unit']}]", language) if row["part"] else ""
    effect = f"{row['id']}. {row['claim']}" + (f": {measured}" if measured else "")
    interval = f"{low} … {high}" if row["n"] > 1 else "—"
    return effect, paper, ours, interval, str(row["n"]), _in(row["verdict"], language)


def _in(text: str, language: str) -> str:
    for english, spanish in PHRASES.items() if language == "es" else ():
        text = text.replace(english, spanish)
    return text
