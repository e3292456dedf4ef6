"""The paper's protocol: which trainings the study consists of, and what is chosen among them (section III)."""

from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import TYPE_CHECKING

from fmnist_lib import UserError
from fmnist_lib.recipe import IMAGES, Recipe, ann_name, cnn_name
from fmnist_lib.study.paper import PATIENCE, RIVALS, WINNER
from fmnist_lib.study.parameters import PARAMETERS, recipe_fields

if TYPE_CHECKING:  # pandas and torch come with them, and are not needed to check a parameter
    from fmnist_lib.runs.run import Run
    from fmnist_lib.runs.store import Store

QUICK, OTHERS = "QUICK RUN, not the paper's protocol", "Another protocol than the paper's"
STAMP = "{title} · {epochs} epochs of {images:,} images, patience {patience} · seeds: {seeds} · {run_on}"
OVER = STAMP + " · over seeds: {over}, patience {more}"  # where claims rest on seeds that a report takes in
OTHER = ("model", "workers", "samples", "samples_seed", "repeats", "runs_dir", "data_dir", "out")  # decide no number
OTHER += ("models", "lrs", "optimizers", "activations", "search_images", "search_epochs", "search_seeds")  # what the
OTHER += ("best", "replays", "picture", "sources", "cluster", "peak")  # paper wished for, and did not do
DEFAULTS = {
    name: p.default for name, p in PARAMETERS.items() if name not in OTHER and not name.startswith(("pair_", "reading"))
}


def grid(params: dict) -> list[Recipe]:
    """List the trainings of Table I: CNNk-n-p for every k, n, p and seed. UserError if one of them is impossible."""
    names = [cnn_name(k, n, p) for k in params["k"] for n in params["n"] for p in params["p"]]
    return [recipe for seed in params["seed"] for name in names for recipe in [search(name, params, seed)]]


def rivals(params: dict) -> list[Recipe]:
    """List the searches behind Table II: the rivals, of them ANN-Juan at each dropout rate, for every seed."""
    names = [name for name in RIVALS if name != "ANN-Juan"] + [ann_name(p) for p in params["ann_p"]]
    return [search(name, params, seed) for seed in params["seed"] for name in names]


def search(model: str, params: dict, seed: int) -> Recipe:
    """Return the training that looks for a model's best epoch.

    Seed 0 is the paper's; seed s draws the split from split_seed + s, and adds s to the other three seeds. The paper's
    winner trains all its epochs whatever the patience: what comes after its best one is a claim and a figure.
    """
    device, precision, kernels = resolved(params)
    varied = {name: params.get(name, 0) + seed for name in ("weights_seed", "order_seed", "dropout_seed")}
    split = params.get("split_seed", Recipe.split_seed) + seed
    others = {"ANN": "input_dropout", "CNN-Nahuel": "nahuel_k"}  # readings of one rival alone
    only = {name: getattr(Recipe, name) for rival, name in others.items() if not model.startswith(rival)}
    patience = 0 if model == WINNER else params.get("patience", 0)
    made_on = {"device": device, "precision": precision, "kernels": kernels}
    return Recipe(model, **recipe_fields(params, **varied, split_seed=split, patience=patience, **made_on, **only))


def resolved(params: dict) -> tuple[str, str, str]:
    """Return the device class, precision and kernels to use; torch is asked unless all are stated."""
    asked = params["device"], params["precision"], params.get("kernels", "auto")
    if "auto" not in asked:
        return asked
    from fmnist_lib.machine import resolve

    return resolve(*asked)


def retraining(recipe: Recipe, epochs: int, params: dict) -> Recipe:
    """Return the training of a search's model anew, for its best number of epochs, whose last weights are kept.

    ``retrain_seed`` is added to the seeds of weights, order and dropout: with 0 it repeats the search's first epochs.
    """
    images = params["retrain_images"]
    seeds = ("weights_seed", "order_seed", "dropout_seed")
    varied = {name: getattr(recipe, name) + params["retrain_seed"] for name in seeds}
    val = min(recipe.val_images, IMAGES - images)
    return replace(recipe, epochs=epochs, patience=0, keep="last", train_images=images, val_images=val, **varied)


def winner(trained: "list[Run]") -> str:
    """Name the model of highest validation accuracy at its best epoch, the mean over its seeds.

    Histories alone decide; a tie goes to the lower loss, then to the name. Runs that diverged do not take part;
    UserError if all did.
    """
    scores = {}
    for run in trained:
        if not run.diverged:
            scores.setdefault(run.recipe.model, []).append((run.best["val_accuracy"], -run.best["val_loss"]))
    if not scores:
        raise UserError("every run diverged: there is no winner", "lower lr, or look at the histories of the runs")
    mean = {
        model: tuple(sum(values) / len(values) for values in zip(*rows, strict=True)) for model, rows in scores.items()
    }
    return max(sorted(mean), key=mean.get)


def is_papers(params: dict) -> bool:
    """Say whether these parameters are the paper's protocol with this project's default readings.

    The patience of the judged runs changes no best epoch that was seen, and is no other protocol; the stamp names it.
    """
    free = ("device", "precision", "kernels", "language", "seed")
    drawn = ("split_seed", "weights_seed", "order_seed", "dropout_seed")  # not retrain_seed, which is a reading
    fixed = {name: value for name, value in DEFAULTS.items() if name not in (*free, *drawn)}
    given = fixed | {name: params[name] for name in fixed if name in params}
    given["patience"] = 0 if given["patience"] == PATIENCE else given["patience"]
    return all(
        (sorted(given[name]) if PARAMETERS[name].several else given[name]) == value for name, value in fixed.items()
    )


def is_reduced(params: dict) -> bool:
    """Say whether fewer images, epochs or networks than the paper's are trained."""
    sizes, several = ("epochs", "train_images", "val_images", "retrain_images"), ("k", "n", "p", "ann_p")
    fewer = any(params.get(name, DEFAULTS[name]) < DEFAULTS[name] for name in sizes)
    return fewer or any(not set(params.get(name, DEFAULTS[name])) >= set(DEFAULTS[name]) for name in several)


def stamped(params: dict) -> dict:
    """Return what `STAMP` says of these parameters: which protocol, how much, seeds, device and precision."""
    title = "The paper's protocol" if is_papers(params) else QUICK if is_reduced(params) else OTHERS
    seeds, run_on = ", ".join(map(str, params["seed"])), ", ".join(resolved(params)[:2])
    size = {
        "epochs": params["epochs"],
        "patience": params.get("patience", 0) or "none",
        "images": params["train_images"],
    }
    return {"title": title, "seeds": seeds, "run_on": run_on, **size}


def stamp(params: dict) -> str:
    """Return one line that says which protocol was run: what every page of a report carries."""
    return STAMP.format(**stamped(params))


def finalists(winners: list[str], searched: "list[Run]") -> "list[Run]":
    """Choose the searches behind Table II: the winners', the rivals', ANN-Juan's at the best rate of each seed."""
    anns: dict[int, list[Run]] = {}
    for run in searched:
        if run.recipe.model.startswith("ANN-Juan") and not run.diverged:
            anns.setdefault(run.recipe.split_seed, []).append(run)
    chosen = [run for name in [*winners, *RIVALS] for run in searched if run.recipe.model == name]
    return chosen + [run for some in anns.values() for run in some if run.recipe.model == winner(some)]


@dataclass
class Study:
    """The runs of a study that are there, and the recipes of those that are missing."""

    grid: "list[Run]" = field(default_factory=list)  # Table I
    searched: "list[Run]" = field(default_factory=list)  # the winners and the rivals
    retrained: "list[Run]" = field(default_factory=list)  # Table II, in its order
    winners: list[str] = field(default_factory=list)  # the paper's and, of a complete grid, ours if it is another
    missing: list[Recipe] = field(default_factory=list)

    @property
    def every(self) -> "list[Run]":
        """Return the runs, each once."""
        return list({run.recipe: run for run in self.grid + self.searched + self.retrained}.values())


def collect(params: dict, store: "Store") -> Study:
    """Find what has been trained of a study; nothing is trained."""
    study, params = Study(), DEFAULTS | params

    def found(recipes: list[Recipe]) -> "list[Run]":
        pairs = [(recipe, store.find(recipe)) for recipe in recipes]
        study.missing += [recipe for recipe, run in pairs if run is None]
        return [run for _, run in pairs if run is not None]

    study.grid = found(grid(params))
    ours = [] if study.missing else [winner(study.grid)]
    study.winners = list(dict.fromkeys([WINNER, *ours]))
    searches = [search(name, params, seed) for name in study.winners for seed in params["seed"]]
    study.searched = found(searches + rivals(params))
    chosen = finalists(study.winners, study.searched)
    study.retrained = found([retraining(run.recipe, run.best_epoch, params) for run in chosen])
    return study


def of_seeds(params: dict, store: "Store", whole: bool = False) -> Study:
    """Find what has been trained of a study, each seed with a winner of its own, as the paper's one has; or its whole
    seeds alone, those of which nothing is missing."""
    each = [collect(params | {"seed": [seed]}, store) for seed in params["seed"]]
    each = [study for study in each if not (whole and study.missing)]
    names = [part.name for part in fields(Study)]
    return Study(*(list(chain.from_iterable(getattr(study, name) for study in each)) for name in names))
