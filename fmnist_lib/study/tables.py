"""Tables I and II: the paper's own values beside ours."""

import math

import pandas as pd

from fmnist_lib.runs.run import Run
from fmnist_lib.study import paper
from fmnist_lib.study.paper import paper_name
from fmnist_lib.study.stats import percent

PAPER_TABLE_1, PAPER_TABLE_2 = paper.TABLE_1, paper.TABLE_2
SCORES = ["epoch", "loss", "accuracy"]


def validation_scores(runs: list[Run]) -> pd.DataFrame:
    """Return a row a run: model, seed, best epoch, validation loss [nats] and accuracy [%] there, status, run."""
    rows = []
    for run in runs:
        best, recipe = run.best, run.recipe
        scores = (int(best["epoch"]), best["val_loss"], percent(best["val_accuracy"]))
        rows.append((recipe.model, recipe.weights_seed, *scores, run.record["status"], run.folder.name))
    return _with_numerics(pd.DataFrame(rows, columns=["model", "seed", *SCORES, "status", "run"]), runs)


def test_scores(runs: list[Run], predictions: list[pd.DataFrame]) -> pd.DataFrame:
    """Return a row a retrained run: model, seed, epochs trained, test loss [nats] and accuracy [%], run."""
    rows = []
    for run, images in zip(runs, predictions, strict=True):
        accuracy = percent((images["predicted"] == images["label"]).mean())
        loss = math.fsum(images["loss"]) / len(images)  # exact, so the same on every machine
        scores = (run.recipe.epochs, loss, accuracy)
        rows.append(
            (paper_name(run.recipe.model), run.recipe.weights_seed, *scores, run.record["status"], run.folder.name)
        )
    return _with_numerics(pd.DataFrame(rows, columns=["model", "seed", *SCORES, "status", "run"]), runs)


def _with_numerics(scores: pd.DataFrame, runs: list[Run]) -> pd.DataFrame:
    """Add what computed each run, if that is not the same for all: so that no table mixes them in silence."""
    made = [", ".join((r.recipe.device, r.recipe.precision, f"torch {r.record['environment']['torch']}")) for r in runs]
    return scores.assign(numerics=made) if len(set(made)) > 1 else scores


def retrain_scores(searched: list[Run], retrained: list[Run]) -> pd.DataFrame:
    """Return a row a search and its retraining: validation loss [nats] and accuracy [%] at the best epoch of the one,
    after the last of the other."""
    last = [run.history.iloc[-1] for run in retrained]
    return pd.DataFrame(
        {
            "model": [run.recipe.model for run in searched],
            "seed": [run.recipe.weights_seed for run in searched],
            "epochs": [run.recipe.epochs for run in retrained],
            "loss, search": [run.best["val_loss"] for run in searched],
            "loss, retraining": [row["val_loss"] for row in last],
            "accuracy, search [%]": [percent(run.best["val_accuracy"]) for run in searched],
            "accuracy, retraining [%]": [percent(row["val_accuracy"]) for row in last],
        }
    )


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
    table = table.reindex(order).join(papers).assign(seeds=seeds)
    table["n"] = table["n"].fillna(0).astype(int)
    ids = finished["run"].str.rsplit("-", n=1).str[-1].groupby(finished["model"]).agg(list)
    table["diverged"] = [
        int((scores.loc[scores["model"] == model, "status"] == "diverged").sum()) for model in table.index
    ]
    table["runs"] = [ids.get(model, []) for model in table.index]
    if "numerics" in scores:
        made = finished.groupby("model")["numerics"].agg(lambda each: "; ".join(sorted(set(each))))
        table["numerics"] = made.reindex(table.index).fillna("—")
    for name in SCORES:
        table[f"{name} difference"] = table[name] - table[f"paper {name}"]
    return table.rename_axis("model")
