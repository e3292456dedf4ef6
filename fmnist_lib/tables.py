"""Tables I and II: the paper's own values beside ours."""

import pandas as pd

from fmnist_lib.runs import Run

# model: best epoch, loss [nats], accuracy [%]
PAPER_TABLE_1 = {  # on validation
    "CNN3-512-0.1": (13, 0.217, 92.44),
    "CNN3-128-0.25": (17, 0.214, 92.38),
    "CNN3-128-0.1": (16, 0.228, 92.15),
    "CNN3-256-0.25": (15, 0.213, 92.10),
    "CNN3-512-0.25": (11, 0.214, 91.95),
    "CNN3-256-0.1": (14, 0.238, 91.72),
    "CNN5-512-0.25": (11, 0.231, 91.62),
    "CNN5-128-0.25": (23, 0.237, 91.55),
    "CNN5-512-0.1": (11, 0.251, 91.46),
    "CNN5-256-0.25": (10, 0.236, 91.40),
    "CNN5-256-0.1": (14, 0.258, 91.27),
    "CNN5-128-0.1": (9, 0.248, 90.81),
}
PAPER_TABLE_2 = {  # on test
    "CNN3-512-0.1": (13, 0.2667, 90.89),
    "CNN-Nahuel": (19, 0.2845, 90.11),
    "ANN-Juan-0.25": (28, 0.3131, 89.26),
}
SCORES = ["epoch", "loss", "accuracy"]


def validation_scores(runs: list[Run]) -> pd.DataFrame:
    """Return a row a run: model, seed, best epoch, validation loss [nats] and accuracy [%] there, status, run."""
    rows = []
    for run in runs:
        best, recipe = run.best, run.recipe
        scores = (int(best["epoch"]), best["val_loss"], 100 * best["val_accuracy"])
        rows.append((recipe.model, recipe.weights_seed, *scores, run.record["status"], run.folder.name))
    return pd.DataFrame(rows, columns=["model", "seed", *SCORES, "status", "run"])


def test_scores(runs: list[Run], predictions: list[pd.DataFrame]) -> pd.DataFrame:
    """Return a row a retrained run: model, seed, epochs trained, test loss [nats] and accuracy [%], run."""
    rows = []
    for run, images in zip(runs, predictions, strict=True):
        accuracy = 100 * (images["predicted"] == images["label"]).mean()
        scores = (run.recipe.epochs, images["loss"].mean(), accuracy)
        rows.append((run.recipe.model, run.recipe.weights_seed, *scores, run.record["status"], run.folder.name))
    return pd.DataFrame(rows, columns=["model", "seed", *SCORES, "status", "run"])


def beside_paper(scores: pd.DataFrame, paper: dict, seeds: int, models: list[str] = ()) -> pd.DataFrame:
    """Return a row a model: the mean over its seeds, their sd and number, the paper's values and the difference.

    Rows come in the paper's order, other models after them; ``models`` get a row even without a run. A run that
    diverged is left out of the means; ``n`` tells.
    """
    present = {*scores["model"], *models}
    finished = scores[scores["status"] == "finished"].drop_duplicates("run")
    groups = finished.groupby("model")[SCORES]
    table = groups.mean().join(groups.std(ddof=1).add_suffix(" sd")).assign(n=groups.size())
    order = [*(model for model in paper if model in present), *sorted(present - set(paper))]
    papers = pd.DataFrame.from_dict(paper, orient="index", columns=[f"paper {name}" for name in SCORES])
    table = table.join(papers).reindex(order).assign(seeds=seeds)
    table["n"] = table["n"].fillna(0).astype(int)
    for name in SCORES:
        table[f"{name} difference"] = table[name] - table[f"paper {name}"]
    return table.rename_axis("model")


DIGITS = {"epoch": 0, "loss": 4, "accuracy": 2}
WORDS = {
    "en": {"model": "Model", "epoch": "Best epoch", "loss": "Loss", "accuracy": "Accuracy [%]", "paper": "paper",
           "ours": "ours", "difference": "difference", "diverged": "diverged", "missing": "missing", "runs": "n"},
    "es": {"model": "Modelo", "epoch": "Época óptima", "loss": "Pérdida", "accuracy": "Exactitud [%]", "paper": "paper",
           "ours": "nuestro", "difference": "diferencia", "diverged": "divergió", "missing": "falta", "runs": "n"},
}  # fmt: skip


def readable(table: pd.DataFrame, language: str = "en", loss_digits: int = 3) -> pd.DataFrame:
    """Return `beside_paper`'s table as text: a column group a score (paper, ours ± sd, difference), and n of seeds."""
    words, columns = WORDS[language], {}
    for name in SCORES:
        digits = loss_digits if name == "loss" else DIGITS[name]
        group = words[name]
        columns[group, words["paper"]] = [_text(value, digits, language) for value in table[f"paper {name}"]]
        columns[group, words["ours"]] = [
            _text(mean, 1 if name == "epoch" and n > 1 else digits, language)
            + (f" ± {_text(sd, digits, language)}" if n > 1 else "")
            for mean, sd, n in zip(table[name], table[f"{name} sd"], table["n"], strict=True)
        ]
        columns[group, words["difference"]] = [_text(v, digits, language, "+") for v in table[f"{name} difference"]]
    if (table["seeds"] > 1).any() or (table["n"] < table["seeds"]).any():
        columns[words["runs"], ""] = [f"{n} / {seeds}" for n, seeds in zip(table["n"], table["seeds"], strict=True)]
    return pd.DataFrame(columns, index=table.index.rename(words["model"]))


def _text(value: float, digits: int, language: str, sign: str = "-") -> str:
    if pd.isna(value):
        return "–"
    text = f"{value:{sign}.{digits}f}".replace("-", "−")
    return text.replace(".", ",") if language == "es" else text
