"""The model card: what weights are, what they achieve, and what they are not for."""

from pathlib import Path

import pandas as pd

from fmnist_lib import data, models
from fmnist_lib.press.display import markdown
from fmnist_lib.runs import record
from fmnist_lib.runs.run import Run
from fmnist_lib.study import networks, paper, stats

TEMPLATE = Path(__file__).parent / "model_card.md"


def text(run: Run) -> str:
    """Return the model card of a tested run in Markdown, every number computed from the run's files."""
    tested, recipe, environment = run.answers(), run.recipe, run.record["environment"]
    weights, (_, paper_loss, paper_accuracy) = run.record["files"][record.WEIGHTS], paper.TABLE_2[recipe.model]
    accuracy = 100 * (tested["predicted"] == tested["label"]).mean()
    low, high = stats.wilson(accuracy, len(tested))
    loss_low, loss_high = stats.mean_interval(tested["loss"])
    confidence = 100 * tested["probability"].mean()
    return TEMPLATE.read_text("utf-8").format(
        **vars(recipe), parameters=networks.parameters(models.of(recipe)),
        megabytes=weights["bytes"] / 1e6, sha256=weights["sha256"], torch=environment["torch"],
        processor=environment["card"] or environment["processor"],
        accuracy=accuracy, low=low, high=high, loss=tested["loss"].mean(), loss_low=loss_low, loss_high=loss_high,
        paper_accuracy=paper_accuracy, paper_loss=paper_loss, confidence=confidence,
        calibration="above" if confidence > high else "below" if confidence < low else "within",
        classes=markdown(by_class(tested)),
    )  # fmt: skip


def by_class(tested: pd.DataFrame) -> pd.DataFrame:
    """Return a row a class, as text: its images found (Wilson's interval), its answers that are right, its rival."""
    rows = []
    for label, name in enumerate(data.CLASSES):
        of_class, answers = tested[tested["label"] == label], tested[tested["predicted"] == label]
        found, right = (100 * (some["label"] == some["predicted"]).mean() for some in (of_class, answers))
        low, high = stats.wilson(found, len(of_class))
        missed = of_class.loc[of_class["predicted"] != label, "predicted"].value_counts().sort_index()
        rival = f"{data.CLASSES[missed.idxmax()]} ({missed.max()})" if len(missed) else "—"
        rows.append((name, f"{found:.1f} ({low:.1f} to {high:.1f})", f"{right:.1f}", rival))
    columns = ["class", "found of its images [%]", "right of its answers [%]", "most often taken for (images)"]
    return pd.DataFrame(rows, columns=columns)
