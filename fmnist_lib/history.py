"""A training's curve: a row an epoch, as CSV that reads back bit for bit, and what no training can give."""

import math

import pandas as pd

from fmnist_lib.recipe import Recipe

COLUMNS = {"epoch": int, "train_loss": float, "val_loss": float, "val_accuracy": float}
TEST_IMAGES = 10_000  # they validate where the recipe says so


def history_csv(history: list[dict]) -> str:
    """Return the rows as CSV text that reads back bit for bit."""
    return pd.DataFrame(history, columns=[*COLUMNS]).to_csv(index=False, lineterminator="\n")


def parse_history(text: str) -> pd.DataFrame:
    """Read what `history_csv` wrote; ValueError if it is something else."""
    header, *rows = text.splitlines() or [""]
    if header != ",".join(COLUMNS) or not rows:
        raise ValueError(f"not the columns {', '.join(COLUMNS)} with a row an epoch")
    columns = zip(COLUMNS.items(), zip(*(row.split(",") for row in rows), strict=True), strict=True)
    return pd.DataFrame({name: [kind(v or "nan") for v in values] for (name, kind), values in columns})


def status(recipe: Recipe, history: list[dict] | pd.DataFrame) -> str | None:
    """Return how the training ended, "finished" or "diverged", or None if it goes on; ValueError for what none gives.

    A loss that is not finite ends it at once; a minimum of the validation loss that is ``patience`` epochs old too.
    """
    epochs, train, val, accuracy = pd.DataFrame(history, columns=[*COLUMNS]).to_dict("list").values()
    images = TEST_IMAGES if recipe.validate_on == "test" else recipe.val_images
    if epochs != list(range(1, len(epochs) + 1)):
        raise ValueError(f"the epochs are not 1 to {len(epochs)}")
    if len(epochs) > (end := _end(recipe, val)):
        raise ValueError(f"{len(epochs)} epochs where {end} are all")
    _check_scores(val, accuracy, images)
    losses = list(zip(train, val, strict=True)) if images else [(loss,) for loss in train]
    if any(loss < 0 for row in losses for loss in row) or not all(math.isfinite(v) for row in losses[:-1] for v in row):
        raise ValueError("a loss is below 0, or is not finite before the last epoch")
    if not all(map(math.isfinite, losses[-1])):
        return "diverged"
    return "finished" if len(epochs) == end else None


def _end(recipe: Recipe, losses: list[float]) -> int:
    """Return the epoch after which the training is over: the last, or the first at which patience is at its end."""
    patience, best = recipe.patience, 1
    for epoch, loss in enumerate(losses[: recipe.epochs], 1):
        best = epoch if loss < losses[best - 1] else best
        if patience and epoch - best >= patience:
            return epoch
    return recipe.epochs


def _check_scores(val: list[float], accuracy: list[float], images: int):
    if not images and not all(map(math.isnan, val + accuracy)):
        raise ValueError("there is a validation without images")
    if images and not all(0 <= a <= 1 and abs(a - round(a * images) / images) <= 1e-9 for a in accuracy):
        raise ValueError(f"an accuracy is not a share of {images} images")
