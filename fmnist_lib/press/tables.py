"""The study's tables as texts: numbers as the language writes them, words for a reader."""

import math
import re

import pandas as pd

from fmnist_lib.press.language import number, sentence, tr

PART = "{part}: {mean} {unit}, between {low} and {high} at {level:.2f} % (n = {n}); in the paper {paper}."
ALONE = "{part}: {mean} {unit} (n = {n}, so no interval); in the paper {paper}."
REFUTED = "{id}. {claim}: {part} is {mean} {unit}, between {low} and {high}; the claim holds if it is {holds}."
DIGITS = {"points": 2, "nats": 3, "epochs": 1, "log ratio": 2, "share": 2}  # decimals of an effect


def _heads(loss_digits: int) -> list[tuple[str, str, int]]:
    """Return of each score its name, its head and its decimals."""
    return [("epoch", "Best epoch", 0), ("loss", "Loss", loss_digits), ("accuracy", "Accuracy [%]", 2)]


def scores_as_text(table: pd.DataFrame, loss_digits: int = 3) -> pd.DataFrame:
    """Write Table I or II, a row a model: a column group a score (paper, ours ± sd, difference), n of seeds, its run.

    ``table`` is that of ``tables.beside_paper``: for each score its mean, its sd, the paper's value, the difference.
    Where a model has several runs, none is named.
    """
    columns = {}
    for name, head, digits in _heads(loss_digits):
        apart = table[f"{name} difference"]
        columns[head, "paper"] = [number(value, digits) for value in table[f"paper {name}"]]
        columns[head, "ours"] = [_ours(row, name, digits) for row in table.to_dict("records")]
        columns[head, "difference"] = [number(value, digits, sign="+") for value in apart]
    if (table["seeds"] > 1).any() or (table["n"] < table["seeds"]).any():
        columns["", "n"] = [f"{n} / {seeds}" for n, seeds in zip(table["n"], table["seeds"], strict=True)]
    if "numerics" in table:
        columns["", "computed by"] = list(table["numerics"])
    if max(map(len, table["runs"]), default=0) < 2:
        columns["", "run"] = ["".join(ids) for ids in table["runs"]]
    return pd.DataFrame(columns, index=table.index.rename("Model"))


def numbers_as_text(found: pd.DataFrame, loss_digits: int = 3) -> pd.DataFrame:
    """Write `study.certainty.numbers`, a row a model: for each score the paper's value, our mean, one more run, t."""
    columns = {}
    for name, head, digits in _heads(loss_digits):
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
    """Write the claims, a row a part of each: its effect, when it holds, the paper's, ours, the verdict.

    ``judged`` is the table of ``study.claims.judge``; a claim's words and verdict stand in its first row alone, and
    beside each undecided part of one that is undecidable how many seeds would decide it, by mean and spread as seen.
    """
    rows = []
    for row in judged.assign(again=judged["id"].duplicated()).to_dict("records"):
        digits = DIGITS.get(row["unit"], 0)
        paper, ours, low, high = (number(row[name], digits, sign="+") for name in ("paper", "mean", "low", "high"))
        interval = f"{low} … {high}" if row["n"] > 1 else "—"
        measured = f"{tr(row['part'])} [{tr(row['unit'])}]" if row["part"] else ""
        effect = f"{row['id']}. {': '.join(filter(None, ('' if row['again'] else tr(row['claim']), measured)))}"
        said = "" if row["again"] else verdict(row["verdict"])
        n = str(row["n"]) if row["part"] else "—"
        needed = _needed(row) if row["says"] == row["verdict"] else ""
        rows.append((effect, holds(row).replace(" ", "\u00a0"), paper, ours, interval, n, said, needed))
    heads = ["Effect", "holds if", "paper", "ours", "interval", "n", "verdict", "seeds to decide"]
    told = pd.DataFrame(rows, columns=heads)
    return told if told["seeds to decide"].any() else told.drop(columns="seeds to decide")


def holds(row: dict) -> str:
    """Write when an effect holds, by its kind and margin; in brackets what counts as negligible."""
    if not row["part"]:
        return "—"
    margin = number(row["margin"], DIGITS[row["unit"]])
    forms = {"greater": "> 0 (±{})", "less": "< 0 (±{})", "none": tr("within ±{}"), "below": "< {}", "above": "> {}"}
    return forms[row["kind"]].format(margin)


def _needed(row: dict) -> str:
    needed = row["seeds needed"]
    return "" if pd.isna(needed) else number(needed) if math.isfinite(needed) else tr("too many")


def refuted_as_markdown(rows: pd.DataFrame) -> str:
    """Say, a line a part, what decides that a claim is not reproduced: rows of `study.claims.refuted`; "" for none."""
    lines = []
    for row in rows.to_dict("records"):
        numbers = {name: number(row[name], DIGITS[row["unit"]], sign="+") for name in ("mean", "low", "high")}
        told = {name: row[name] for name in ("id", "claim", "part", "unit")}
        lines.append("- " + sentence(REFUTED, **numbers, **told, holds=holds(row)))
    return "\n".join(lines)


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
        if needed := _needed(row):
            lines[-1] += " " + sentence("Seeds that would decide it, by the mean and the spread seen: {n}.", n=needed)
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
