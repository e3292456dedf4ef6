"""How much of the spread on the test images is the training's luck and how much the test set's; shared mistakes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fmnist_lib.runs.run import Run
from fmnist_lib.study import stats
from fmnist_lib.study.paper import paper_name


def answered(runs: Sequence[Run]) -> dict[str, pd.DataFrame]:
    """Return by model the class predicted of each test image (a row an image, a column a run) of those that answered.

    The column `label` is the true class.
    """
    tables: dict[str, pd.DataFrame] = {}
    for run in runs:
        if (images := run.answers()) is not None:
            table = tables.setdefault(paper_name(run.recipe.model), pd.DataFrame({"label": images["label"]}))
            table[run.folder.name] = images["predicted"]
    return tables


def pairs(runs: Sequence[Run], model: str, other: str) -> pd.DataFrame:
    """Compare two models seed by seed on the same test images (McNemar).

    A row a split seed that has both: the images that only the one is right on, only the other, the exact p-value.
    """
    sets: dict[str, dict[int, np.ndarray]] = {model: {}, other: {}}
    for run in runs:
        if (name := paper_name(run.recipe.model)) in sets and (images := run.answers()) is not None:
            sets[name][run.recipe.split_seed] = (images["predicted"] == images["label"]).to_numpy()
    both = sorted(sets[model].keys() & sets[other].keys())
    rows = [(seed, *stats.mcnemar(sets[model][seed], sets[other][seed])) for seed in both]
    return pd.DataFrame(rows, columns=["split seed", f"only {model}", f"only {other}", "p"])


def right(answers: pd.DataFrame) -> np.ndarray:
    """Return of each image (row) and run (column) whether it is right."""
    return answers.drop(columns="label").to_numpy() == answers["label"].to_numpy()[:, None]


def spread(right: np.ndarray) -> dict[str, float]:
    """Take apart the spread of one model's test accuracy over seeds [images, seeds] (Jordan, arXiv:2304.01910).

    All are sd [points] of one accuracy, but for counts and for ``agreement``, the share of images of which two seeds
    are both right or both wrong. ``seen``: between the seeds, on these images. ``images``: what that would be if each
    image were right or wrong on its own, with the probability that its seeds show. ``networks``: what is left, by
    which the networks differ on any images (0 if nothing is). ``test set``: what other test images as many would
    change, the same for every seed. Each variance is unbiased; from fewer than two seeds all are nan.
    """
    n, seeds = right.shape
    names = ("seen", "images", "networks", "test set", "agreement")
    if seeds < 2:
        return {"seeds": seeds, **dict.fromkeys(names, np.nan)}
    p = right.mean(axis=1)
    unstable = p * (1 - p) * seeds / (seeds - 1)  # unbiased for each image's variance
    seen, alone = right.mean(axis=0).var(ddof=1), unstable.mean() / n
    shared = (p.var(ddof=1) - unstable.mean() / seeds) / n
    variances = (seen, alone, seen - alone, shared)
    sds = [100 * float(np.sqrt(max(variance, 0.0))) for variance in variances]
    return {"seeds": seeds, **dict(zip(names, [*sds, float(1 - 2 * unstable.mean())], strict=True))}


def spreads(answers: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `spread`'s row of each model."""
    return pd.DataFrame({model: spread(right(table)) for model, table in answers.items()}).T.rename_axis("model")


def shared_mistakes(answers: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the images that every network gets wrong: their label, the class most often predicted, its share.

    The index is the image's, from 0; those that most networks take for the same class come first.
    """
    if not answers:
        return pd.DataFrame(columns=["label", "predicted", "share"])
    label = next(iter(answers.values()))["label"]
    every = pd.concat([table.drop(columns="label") for table in answers.values()], axis=1)
    wrong = every[every.ne(label, axis=0).all(axis=1)]
    votes = np.stack([(wrong == c).mean(axis=1) for c in range(10)], axis=1)
    found = {"label": label[wrong.index], "predicted": votes.argmax(axis=1), "share": votes.max(axis=1)}
    return pd.DataFrame(found, index=wrong.index).sort_values("share", ascending=False, kind="stable")
