"""The paper's numbers among ours: what many seeds of one protocol say that one run of it should give."""

import numpy as np
import pandas as pd
from scipy.stats import t as students

from fmnist_lib.study import stats
from fmnist_lib.study.paper import TABLE_1, TABLE_2
from fmnist_lib.study.tables import SCORES, test, validation

PAPERS = (TABLE_1, TABLE_2)


def numbers(scores: pd.DataFrame, papers: dict, level: float = 0.95) -> pd.DataFrame:
    """Return a row a number of the paper's table: where our seeds' mean lies, and where one more run should.

    ``scores`` is the table of `tables.validation` or `tables.test`, ``papers`` `paper.TABLE_1` or `TABLE_2`. Columns:
    model, score (epoch, loss [nats], accuracy [%]), paper, n, mean, low, high (of the mean), least, most (of one more
    run), t (the paper's distance in the sd of one more run), inside, each (a list). Without two seeds low to inside are
    nan. Runs that diverged are left out.
    """
    finished, rows = scores[scores["status"] == "finished"].drop_duplicates("run"), []
    for model, said in papers.items():
        for score, value in zip(SCORES, said, strict=True):
            each = finished.loc[finished["model"] == model, score].astype(float).tolist()
            low, high = stats.mean_interval(each, level)
            least, most = stats.prediction_interval(each, level)
            row = {"model": model, "score": score, "paper": value, "n": len(each), "low": low, "high": high}
            row |= {"mean": np.mean(each) if each else np.nan, "least": least, "most": most, "each": each}
            t = stats.prediction_t(value, each)  # nan from seeds that agree to the last bit: no spread, no distance
            rows.append(row | {"t": t, "inside": least <= value <= most if np.isfinite(t) else np.nan})
    return pd.DataFrame(rows)


def among(frame: pd.DataFrame, papers: tuple[dict, dict] = PAPERS) -> pd.DataFrame:
    """Return `numbers` of both of the paper's tables, which the column `table` names, from `results.frame`'s runs.

    The winner's best epoch stands in both of them, and counts once: in Table II its ``inside`` is nan.
    """
    one, two = (numbers(ours, theirs) for ours, theirs in zip(_tables(frame), papers, strict=True))
    again = two["score"].eq("epoch") & two["model"].isin(TABLE_1)
    two["inside"] = two["inside"].mask(again)
    return pd.concat([one.assign(table="I"), two.assign(table="II")], ignore_index=True)


def held_out(frame: pd.DataFrame) -> list[int]:
    """Return for each seed how many of its own numbers would lie outside, were it the paper and the others ours.

    What the numbers of one table have in common, its split and its chance, makes these counts differ by more than
    independent numbers would. Empty from fewer than three seeds.
    """
    counts = []
    for seed, own in frame.groupby("seed") if frame["seed"].nunique() > 2 else ():
        said = [scores[scores["status"] == "finished"].set_index("model")[list(SCORES)] for scores in _tables(own)]
        papers = tuple(
            table[table.index.isin(names)].T.to_dict("list") for table, names in zip(said, PAPERS, strict=True)
        )
        counts.append(len(outside(among(frame[frame["seed"] != seed], papers))))
    return counts


def _tables(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return validation(frame[frame["role"] == "search"]), test(frame[frame["role"] == "retraining"])


def outside(found: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers of the paper that lie outside, the least likely first."""
    apart = found[found["inside"].eq(False)]
    p = 2 * students.sf(apart["t"].abs().astype(float), apart["n"] - 1)
    return apart.assign(p=p).sort_values("p", kind="stable")


def papers_rank(ranked: pd.DataFrame, papers: dict) -> pd.DataFrame:
    """Add to `ranks.ranks`'s table the rank [1 is the highest] of each model's accuracy in the paper."""
    theirs = accuracies(papers).rank(ascending=False, method="min")
    return ranked.assign(paper=theirs).rename_axis("model").reset_index()


def accuracies(papers: dict) -> pd.Series:
    """Return each model's accuracy [%] in the paper."""
    return pd.Series({model: accuracy for model, (_, _, accuracy) in papers.items()})
