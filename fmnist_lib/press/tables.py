"""The study's tables as texts: numbers as the language writes them, words for a reader."""

import re

import pandas as pd

from fmnist_lib.press.language import number, sentence, tr

PART = "{part}: {mean} {unit}, between {low} and {high} at {level:.2f} % (n = {n}); in the paper {paper}."
ALONE = "{part}: {mean} {unit} (n = {n}, so no interval); in the paper {paper}."
DIGITS = {"points": 2, "nats": 3, "epochs": 1, "log ratio": 2, "share": 2}  # decimals of an effect


def scores_as_text(table: pd.DataFrame, loss_digits: int = 3) -> pd.DataFrame:
    """Write Table I or II, a row a model: a column group a score (paper, ours ± sd, difference), n of seeds, runs.

    ``table`` is that of ``tables.beside_paper``: for each score its mean, its sd, the paper's value, the difference.
    """
    columns = {}
    for name, head, digits in (
        ("epoch", "Best epoch", 0),
        ("loss", "Loss", loss_digits),
        ("accuracy", "Accuracy [%]", 2),
    ):
        apart = table[f"{name} difference"]
        columns[head, "paper"] = [number(value, digits) for value in table[f"paper {name}"]]
        columns[head, "ours"] = [_ours(row, name, digits) for row in table.to_dict("records")]
        columns[head, "difference"] = [number(value, digits, sign="+") for value in apart]
    if (table["seeds"] > 1).any() or (table["n"] < table["seeds"]).any():
        columns["", "n"] = [f"{n} / {seeds}" for n, seeds in zip(table["n"], table["seeds"], strict=True)]
    if "numerics" in table:
        columns["", "computed by"] = list(table["numerics"])
    columns["", "run"] = [", ".join(ids) if len(ids) < 2 else tr("listed at the end") for ids in table["runs"]]
    return pd.DataFrame(columns, index=table.index.rename("Model"))


def numbers_as_text(found: pd.DataFrame, loss_digits: int = 3) -> pd.DataFrame:
    """Write `study.certainty.numbers`, a row a model: for each score the paper's value, our mean, one more run, t."""
    columns = {}
    for name, head, digits in (
        ("epoch", "Best epoch", 0),
        ("loss", "Loss", loss_digits),
        ("accuracy", "Accuracy [%]", 2),
    ):
        rows = found[found["score"] == name].set_index("model")
        columns[head, "paper"] = [number(value, digits) for value in rows["paper"]]
        columns[head, "mean"] = [number(value, digits + (name == "epoch")) for value in rows["mean"]]
        ends = zip(rows["least"], rows["most"], strict=True)
        columns[head, "one more run"] = [
            f"{number(low, digits)} … {number(high, digits)}" if n > 1 else "—"
            for (low, high), n in zip(ends, rows["n"], strict=True)
        ]
        columns[head, "t"] = [number(value, 1, sign="+") for value in rows["t"]]
    columns["", "n"] = [str(n) for n in rows["n"]]
    return pd.DataFrame(columns, index=rows.index.rename("Model"))


def _ours(row: dict, name: str, digits: int) -> str:
    if row["n"] == 0 and row["diverged"]:
        return tr("diverged")
    mean = number(row[name], digits + (name == "epoch" and row["n"] > 1))
    return f"{mean} ± {number(row[f'{name} sd'], digits)}" if row["n"] > 1 else mean


def claims_as_text(judged: pd.DataFrame) -> pd.DataFrame:
    """Write the claims, a row a part of each: its effect, the paper's, ours and its interval, n, the verdict.

    ``judged`` is the table of ``study.claims.judge``; a claim's words and verdict stand in its first row alone, and
    beside each part that is undecidable how many seeds would decide it, by the variance seen.
    """
    rows = []
    for row in judged.assign(again=judged["id"].duplicated()).to_dict("records"):
        digits = DIGITS.get(row["unit"], 0)
        paper, ours, low, high = (number(row[name], digits, sign="+") for name in ("paper", "mean", "low", "high"))
        interval = f"{low} … {high}" if row["n"] > 1 else "—"
        measured = f"{tr(row['part'])} [{tr(row['unit'])}]" if row["part"] else ""
        effect = f"{row['id']}. {': '.join(filter(None, ('' if row['again'] else tr(row['claim']), measured)))}"
        said = "" if row["again"] else verdict(row["verdict"])
        rows.append((effect, paper, ours, interval, str(row["n"]), said, number(row["seeds needed"])))
    told = pd.DataFrame(rows, columns=["Effect", "paper", "ours", "interval", "n", "verdict", "n to decide"])
    return told if judged["seeds needed"].notna().any() else told.drop(columns="n to decide")


def claim_as_markdown(rows: pd.DataFrame) -> str:
    """Say a claim's rows of `study.claims.judge`: a line a part, then the verdict, or why there is none."""
    lines = []
    for row in rows[rows["part"] != ""].to_dict("records"):
        digits = DIGITS.get(row["unit"], 0)
        numbers = {name: number(row[name], digits, sign="+") for name in ("mean", "low", "high", "paper")}
        about = {"part": row["part"], "unit": row["unit"], "n": row["n"], "level": 100 * row["level"]}
        lines.append("- " + sentence(PART if row["n"] > 1 else ALONE, **numbers, **about))
        if row["diverged"]:
            lines[-1] += " " + sentence("Left out because a run diverged: {n} seeds.", n=row["diverged"])
        if row["seeds needed"] > 0:
            lines[-1] += " " + sentence("By the variance seen, {n} seeds would decide it.", n=row["seeds needed"])
    said = verdict(rows["verdict"].iloc[0])
    return "\n".join([*lines, "", f"**{sentence('By the rule')}: {said}**"])


def verdict(text: str) -> str:
    """Translate a verdict, or why there is none, piece by piece, whatever numbers stand in it."""
    pieces = re.split(r"(: | \()", text)
    return "".join(tr(re.sub(r"\d+", "{}", piece)).format(*re.findall(r"\d+", piece)) for piece in pieces)


def patience_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Write `study.patience.patience_table` for a reader: counts out of all trainings, epochs out of all epochs."""
    rows = [
        (number(row.patience), f"{row.same} / {row.trainings}", f"{number(row.epochs, 1)} / {number(row.whole, 1)}")
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows, columns=["patience", "same best epoch", "epochs trained"])
