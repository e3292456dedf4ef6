"""The report's tables, each one function of a frame of runs (`results.frame`), for the notebooks and for `verify`."""

import hashlib
from collections.abc import Callable

import pandas as pd

from fmnist_lib import data, models
from fmnist_lib.study import networks, paper, results, stats

SCORES = ["epoch", "loss", "accuracy"]
VALIDATION = {"best_epoch": "epoch", "best_val_loss": "loss", "best_val_accuracy": "accuracy"}
TEST = {"epochs": "epoch", "test_loss": "loss", "test_accuracy": "accuracy"}


def validation(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: model, seed, best epoch, validation loss [nats] and accuracy [%] there, status, run."""
    return _scores(frame, VALIDATION)


def test(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run that was tested: model, epochs trained, test loss [nats] and accuracy [%], status, run."""
    tested = frame[frame["test_accuracy"].notna()]
    return _scores(tested.assign(model=tested["model"].map(paper.paper_name)), TEST)


def _scores(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Add what computed each run, if that is not the same for all: so that no table mixes them in silence."""
    scores = frame.drop(columns=["seed", "epoch"], errors="ignore").rename(columns={"weights_seed": "seed"} | names)
    scores = scores[["model", "seed", *SCORES, "status", "run"]].reset_index(drop=True)
    made = [_made(row) for row in frame.itertuples()]
    return scores.assign(numerics=made) if len(set(made)) > 1 else scores


def _made(row) -> str:
    """Say what computed a run, as far as it changes bits."""
    said = (row.device, row.precision, f"{row.kernels} kernels", f"torch {row.torch}", row.capability, row.variables)
    return ", ".join(text for text in said if isinstance(text, str))


def _apart(made: pd.Series) -> pd.Series:
    """Leave of what computed each run what is not the same for all."""
    parts = made.str.split(", ")
    alike = set.intersection(*map(set, parts)) if len(parts) else set()
    return parts.map(lambda some: ", ".join(part for part in some if part not in alike) or "—")


def retraining(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a search and its retraining: validation loss [nats] and accuracy [%] at the best epoch of the one,
    after the last of the other."""
    searches, again = (frame[frame["role"] == role] for role in ("search", "retraining"))
    pairs = searches.merge(again, on=["seed", "model"], suffixes=("", " again"))
    columns = {
        "model": "model",
        "weights_seed": "seed",
        "epochs again": "epochs",
        "best_val_loss": "loss, search",
        "last_val_loss again": "loss, retraining",
        "best_val_accuracy": "accuracy, search [%]",
        "last_val_accuracy again": "accuracy, retraining [%]",
    }
    return pairs[list(columns)].rename(columns=columns)


def table_1(frame: pd.DataFrame, seeds: int, models: list[str] = ()) -> pd.DataFrame:
    """Return the paper's Table I beside ours, as `beside_paper` does."""
    return beside_paper(validation(frame), paper.TABLE_1, seeds, models)


def table_2(frame: pd.DataFrame, seeds: int, models: list[str] = ()) -> pd.DataFrame:
    """Return the paper's Table II beside ours, as `beside_paper` does."""
    return beside_paper(test(frame), paper.TABLE_2, seeds, models)


def beside_paper(scores: pd.DataFrame, papers: dict, seeds: int, models: list[str] = ()) -> pd.DataFrame:
    """Return a row a model: the mean over its seeds, their sd and number, the paper's values and the difference.

    Rows come in the paper's order, other models after them; ``models`` get a row even without a run. A run that
    diverged is left out of the means; ``n`` tells.
    """
    present = {*scores["model"], *models}
    finished = scores[scores["status"] == "finished"]
    groups = finished.groupby("model")[SCORES]
    table = groups.mean().join(groups.std(ddof=1).add_suffix(" sd")).assign(n=groups.size())
    order = [*(model for model in papers if model in present), *sorted(present - set(papers))]
    theirs = pd.DataFrame.from_dict(papers, orient="index", columns=[f"paper {name}" for name in SCORES])
    table = table.reindex(order).join(theirs).assign(seeds=seeds)
    table["n"] = table["n"].fillna(0).astype(int)
    diverged = scores[scores["status"] == "diverged"].groupby("model").size()
    table["diverged"] = diverged.reindex(table.index, fill_value=0)
    ids = finished["run"].str.rsplit("-", n=1).str[-1].groupby(finished["model"]).agg(list)
    table["runs"] = [ids.get(model, []) for model in table.index]
    if "numerics" in scores:
        made = _apart(finished["numerics"]).groupby(finished["model"]).agg(lambda each: "; ".join(sorted(set(each))))
        table["numerics"] = made.reindex(table.index).fillna("—")
    for name in SCORES:
        table[f"{name} difference"] = table[name] - table[f"paper {name}"]
    return table.rename_axis("model")


def furthest(table: pd.DataFrame) -> dict | None:
    """Return which model of `table_2` is furthest from the paper, by how many points, and both orders of accuracy.

    Keys: model, difference, theirs, ours; None without a model that both have tested.
    """
    both = table.dropna(subset=["paper accuracy", "accuracy"])
    if both.empty:
        return None
    columns = {"theirs": "paper accuracy", "ours": "accuracy"}
    orders = {key: " > ".join(both[name].sort_values(ascending=False).index) for key, name in columns.items()}
    model = both["accuracy difference"].abs().idxmax()
    return {"model": model, "difference": both.loc[model, "accuracy difference"], **orders}


def cost(frame: pd.DataFrame, images: int, names: Callable[[str], str] = str) -> pd.DataFrame:
    """Return a row a model searched, by ``names`` of it: its size, what its best epoch costs, and its accuracy there.

    Columns: model, millions (of parameters), teraflop (operations of the products, which no machine changes), accuracy
    [%] on validation, the mean over seeds, with low and high of its interval: Student's over seeds, or of one
    run Wilson's over that many images.
    """
    costs = _costs(frame)
    groups = costs.assign(model=costs["model"].map(names)).groupby("model", sort=False)
    table = groups.mean().reset_index()
    each = [some["accuracy"].tolist() for _, some in groups]
    intervals = [stats.mean_interval(some) if len(some) > 1 else stats.wilson(*some, images) for some in each]
    return table.assign(low=[low for low, _ in intervals], high=[high for _, high in intervals])


def spent(frame: pd.DataFrame) -> pd.DataFrame:
    """Return millions (of parameters) and teraflop to the best epoch by the paper's name of each model.

    They are means over seeds; ANN-Juan's are those at the rate that each seed chose.
    """
    costs = _costs(results.chosen(frame))
    return costs.groupby(costs["model"].map(paper.paper_name))[["millions", "teraflop"]].mean()


def _costs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a search that finished: model, millions, teraflop to the best epoch, accuracy [%] there."""
    rows = frame[(frame["role"] == "search") & (frame["status"] == "finished")]
    readings = ["model", "padding", "activation", "output", "input_dropout", "nahuel_k"]
    built = [models.build(*row) for row in rows[readings].itertuples(index=False)]
    images_seen = rows["best_epoch"] * rows["train_images"]
    columns = {"model": rows["model"], "millions": [networks.parameters(model) / 1e6 for model in built]}
    columns |= {"teraflop": images_seen * [sum(networks.flop(model)) for model in built] / 1e12}
    columns |= {"accuracy": rows["best_val_accuracy"]}
    return pd.DataFrame(columns)


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: its folder's name, the epochs trained, and the start of its history's SHA-256."""
    return frame[["run", "trained", "history"]].set_axis(["run", "epochs", "SHA-256 of history.csv begins"], axis=1)


def environment(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the runs were made on and from: system, versions, device, precision, seeds, data, time."""
    kinds = zip(frame["device"], frame["precision"], frame["kernels"], strict=True)
    files = "".join(f"{name} {sha}\n" for name, (_, sha) in sorted(data.FILES.items()))
    rows = [
        ("System", each(frame, "system")),
        ("Processor", each(frame, "processor")),
        ("GPU", each(frame, "card")),
        ("Python", each(frame, "python")),
        ("PyTorch", each(frame, "torch")),
        ("Vector units", each(frame, "capability")),
        ("Variables that change bits", each(frame, "variables")),
        ("Commit", each(frame, "commit")),
        ("Device, precision, kernels", "; ".join(sorted({", ".join(kind) for kind in kinds}))),
        ("Seeds of the split", "; ".join(sorted(set(frame["split_seed"].astype(str))))),
        ("Seeds of the weights", "; ".join(sorted(set(frame["weights_seed"].astype(str))))),
        ("Data: SHA-256 of the list of SHA-256", hashlib.sha256(files.encode()).hexdigest()),
        ("Newest run", newest(frame) or "—"),
        ("Training, process hours by the clock (other work may have run beside)", frame["seconds"].sum() / 3600),
    ]
    return pd.DataFrame(rows, columns=["what it is", "value"])


def each(frame: pd.DataFrame, name: str) -> str:
    """Return the distinct values of a column, "—" without any."""
    return ", ".join(sorted(set(frame[name].dropna().astype(str)))) or "—"


def newest(frame: pd.DataFrame) -> str:
    """Return the date and time (UTC, ISO 8601) at which the newest run was finished, or "" without runs."""
    return max(frame["finished"], default="")


LINE = "{count} runs · newest run {date} · torch {torch} · {where} · git {commit}"  # at the foot of every page


def made(frame: pd.DataFrame) -> dict:
    """Return what `LINE` says of runs: how many, the date of the newest, torch, and the machine."""
    where = each(frame, "card") if frame["card"].notna().any() else each(frame, "processor")
    shown = {name: each(frame, name) for name in ("torch", "commit")}
    return shown | {"count": len(frame), "date": newest(frame)[:10] or "—", "where": where}
