"""The paper's claims: each an effect measured once a seed, judged by a rule that was fixed before the data."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from fmnist_lib.protocol import WINNER, Study
from fmnist_lib.runs import Run
from fmnist_lib.stats import Effect, mean_interval, verdicts
from fmnist_lib.tables import PAPER_TABLE_1, PAPER_TABLE_2, SCORES, paper_name

POINTS, NATS = 0.2, 0.01  # what counts as no difference: percentage points of accuracy, nats of loss
FIRST = list(PAPER_TABLE_1)[:4]  # "the first models of Table I"


@dataclass(frozen=True)
class Claim:
    """A claim in the paper's words, how its effect follows from the scores, its sign (0: none) and its margin."""

    en: str
    es: str
    effect: Callable[[pd.DataFrame], pd.Series]
    sign: int
    margin: float
    unit: str
    digits: int


def _of(scores: pd.DataFrame, score: str, pattern: str) -> pd.Series:
    """Average a score over the grid's models whose name matches, leaving out seeds that lack one."""
    names = [f"{score} {model}" for model in PAPER_TABLE_1 if pattern in f"{model}|"]
    return scores.reindex(columns=names).mean(axis=1, skipna=False)


def _less(scores: pd.DataFrame, a: str, b: str) -> pd.Series:
    """Subtract one column from another, missing where either is."""
    both = scores.reindex(columns=[a, b])
    return both[a] - both[b]


def _inside(epochs: pd.Series, low: int, high: int) -> pd.Series:
    return pd.concat([epochs - low, high - epochs], axis=1).min(axis=1, skipna=False)


CLAIMS = [
    Claim("The first models of Table I do not differ: the winner against the next three",
          "Los primeros modelos de la Tabla I no difieren: el ganador contra los tres siguientes",
          lambda s: sum(_less(s, f"accuracy {FIRST[0]}", f"accuracy {other}") / 3 for other in FIRST[1:]),
          0, POINTS, "points", 2),
    Claim("k = 3 is more accurate than k = 5", "k = 3 es más exacto que k = 5",
          lambda s: _of(s, "accuracy", "CNN3") - _of(s, "accuracy", "CNN5"), 1, POINTS, "points", 2),
    Claim("p = 0.25 gives a lower loss than p = 0.1", "p = 0,25 da menor pérdida que p = 0,1",
          lambda s: _of(s, "loss", "-0.25|") - _of(s, "loss", "-0.1|"), -1, NATS, "nats", 3),
    Claim("p does not change the accuracy", "p no cambia la exactitud",
          lambda s: _of(s, "accuracy", "-0.25|") - _of(s, "accuracy", "-0.1|"), 0, POINTS, "points", 2),
    Claim("n does not change the accuracy: 512 against 128", "n no cambia la exactitud: 512 contra 128",
          lambda s: _of(s, "accuracy", "-512-") - _of(s, "accuracy", "-128-"), 0, POINTS, "points", 2),
    Claim("Best epochs lie between 9 and 23: distance of their mean from the nearer end",
          "Las épocas óptimas están entre 9 y 23: distancia de su media al extremo más cercano",
          lambda s: _inside(_of(s, "epoch", "CNN"), 9, 23), 1, 0.0, "epochs", 1),
    Claim("Validation loss rises after the best epoch", "La pérdida de validación sube después de la época óptima",
          lambda s: _of(s, "rise", "CNN"), 1, NATS, "nats", 3),
    Claim("Training loss keeps falling after the best epoch",
          "La pérdida de entrenamiento sigue bajando después de la época óptima",
          lambda s: _of(s, "fall", "CNN"), -1, NATS, "nats", 3),
    Claim("The winner is more accurate on validation than on test",
          "El ganador es más exacto en validación que en test",
          lambda s: _less(s, f"accuracy {WINNER}", f"test {WINNER}"),
          1, POINTS, "points", 2),
    Claim("The CNN is more accurate on test than the ANN", "La CNN es más exacta en test que la ANN",
          lambda s: _less(s, f"test {WINNER}", "test ANN-Juan"), 1, POINTS, "points", 2),
    Claim("The CNN needs fewer epochs than the ANN", "La CNN necesita menos épocas que la ANN",
          lambda s: _less(s, f"epochs {WINNER}", "epochs ANN-Juan"), -1, 0.0, "epochs", 1),
    Claim("The CNN takes longer to train than the ANN", "La CNN tarda más en entrenarse que la ANN",
          lambda s: _less(s, f"seconds {WINNER}", "seconds ANN-Juan"), 1, 0.0, "seconds", 0),
    Claim("The CNN owes its advantage to having more parameters: CNN3-128, which has fewer, against the ANN",
          "La CNN debe su ventaja a tener más parámetros: CNN3-128, que tiene menos, contra la ANN",
          lambda s: _of(s, "accuracy", "CNN3-128-") - s.reindex(columns=["accuracy ANN-Juan"])["accuracy ANN-Juan"],
          -1, POINTS, "points", 2),
]  # fmt: skip


def judge(study: Study, first_split_seed: int, language: str = "en") -> pd.DataFrame:
    """Return a row a claim: its words, the paper's own effect, ours (mean, low, high over seeds), n, verdict, unit."""
    ours, papers = scores(study, first_split_seed), paper_scores()
    effects = [Effect(tuple(claim.effect(ours).dropna()), claim.sign, claim.margin) for claim in CLAIMS]
    rows = []
    for claim, effect, verdict in zip(CLAIMS, effects, verdicts(effects), strict=True):
        low, high = mean_interval(effect.values)
        paper = claim.effect(papers).mean()
        n = len(effect.values)
        rows.append((getattr(claim, language), paper, effect.mean, low, high, n, verdict, claim.unit, claim.digits))
    return pd.DataFrame(rows, columns=["claim", "paper", "ours", "low", "high", "n", "verdict", "unit", "digits"])


def scores(study: Study, first_split_seed: int) -> pd.DataFrame:
    """Lay out a study's runs, a row a repetition, under columns such as "accuracy CNN3-512-0.1".

    Of the searches: epoch, of minimum validation loss; loss [nats] and accuracy [%] there, on validation; rise and fall
    [nats], of the validation and the training loss from there to the last epoch. Of the retrainings: test [%], epochs
    and seconds.
    """
    rows, chosen = {}, {run.recipe.model for run in study.retrained}

    def enter(run: Run, **values):
        row = rows.setdefault(run.recipe.split_seed - first_split_seed, {})
        row |= {f"{name} {paper_name(run.recipe.model)}": value for name, value in values.items()}

    for run in filter(lambda run: _kept(run, chosen), study.grid + study.searched):
        best, last = run.best, run.history.iloc[-1]
        rise, fall = (last[name] - best[name] for name in ("val_loss", "train_loss"))
        accuracy = 100 * best["val_accuracy"]
        enter(run, epoch=run.best_epoch, loss=best["val_loss"], accuracy=accuracy, rise=rise, fall=fall)
    for run in study.retrained:
        if (images := run.test()) is not None:
            accuracy = 100 * (images["predicted"] == images["label"]).mean()
            enter(run, test=accuracy, epochs=run.recipe.epochs, seconds=run.record["seconds"])
    return pd.DataFrame.from_dict(rows, orient="index").sort_index()


def paper_scores() -> pd.DataFrame:
    """Lay out the paper's own tables in the same way, in one row."""
    searched = {model: dict(zip(SCORES, values, strict=True)) for model, values in PAPER_TABLE_1.items()}
    tested = {model: {"epochs": epochs, "test": accuracy} for model, (epochs, _, accuracy) in PAPER_TABLE_2.items()}
    cells = [(model, scores) for table in (searched, tested) for model, scores in table.items()]
    return pd.DataFrame([{f"{score} {model}": v for model, scores in cells for score, v in scores.items()}])


def _kept(run: Run, chosen: set[str]) -> bool:
    return not run.diverged and (not run.recipe.model.startswith("ANN") or run.recipe.model in chosen)
