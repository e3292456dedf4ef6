"""What other methods say of the claims' effects. They judge nothing (reports/PREREGISTRATION.md)."""

import numpy as np
import pandas as pd

from fmnist_lib.study import claims, effects, results, stats
from fmnist_lib.study.claims import Part
from fmnist_lib.study.paper import TABLE_1


def opinions(judged: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row a part: on which side of 0 (or of its bound) its effect is, by the rule and by other methods.

    Columns: id, part, n; rule, bootstrap (BCa), signs flipped, sign test, mixed model: +, − or 0 (undecided) at the
    level of the claim's family, "" where a method does not apply or, of so few seeds, cannot decide; differs: which of
    them say something else; sign p, the exact sign test's.
    """
    rows = []
    for part in claims.PARTS:
        level, effect = claims.level(part.claim), part.effect(scores).dropna()
        at = part.margin if part.kind in ("below", "above") else 0.0
        found = {"rule": _side(*stats.mean_interval(effect, level), at)}
        found["bootstrap"] = _side(*stats.bca_interval(effect, level), at)
        found["signs flipped"] = _by_p(stats.sign_flip(effect, at), effect, at, level)
        sides = np.sign((effect - at).round(9))  # of which most decide, not the mean of the effect
        found["sign test"] = _by_p(stats.sign_test(effect, at), sides[sides != 0], 0.0, level)
        found["mixed model"] = _side(*mixed(part, scores, level), at)
        differs = [name for name, side in found.items() if side and side != found["rule"]]
        about = {"id": part.claim, "part": part.words, "n": len(effect)}
        rows.append(about | found | {"differs": ", ".join(differs), "sign p": stats.sign_test(effect, at)})
    order = {claim: i for i, claim in enumerate(judged["id"].unique())}
    return pd.DataFrame(rows).sort_values("id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)


def mixed(part: Part, scores: pd.DataFrame, level: float) -> tuple[float, float]:
    """Return the mixed model's interval of a part that is a contrast of Table I's networks; else (nan, nan)."""
    for score in ("accuracy", "loss"):
        unit = pd.DataFrame(0.0, index=list(TABLE_1), columns=results.papers().columns)
        for model in TABLE_1:
            unit.loc[model, (score, model)] = 1.0
        with np.errstate(all="ignore"):
            weights = part.effect(unit).reindex(unit.index).fillna(0.0)
        if weights.abs().sum() > 0 and abs(weights.sum()) < 1e-9:
            return effects.contrast(scores[score], weights, level)
    return np.nan, np.nan


def _side(low: float, high: float, at: float) -> str:
    return "" if np.isnan(low) else "+" if low > at else "−" if high < at else "0"


def _by_p(p: float, effect: pd.Series, at: float, level: float) -> str:
    if 2 * 0.5 ** len(effect) >= 1 - level:  # so few seeds that no effect whatever has a p below it
        return ""
    return "0" if p >= 1 - level else "+" if effect.mean() > at else "−"
