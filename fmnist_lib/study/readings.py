"""The readings: each point that the paper leaves open, understood otherwise, one at a time and a few together."""

from dataclasses import dataclass, field

from fmnist_lib.study.paper import ANN_MODELS, TABLE_1, WINNER

NAHUEL = "CNN-Nahuel"
WIDE = "CNN5-512-0.1"  # the winner but for its k
PAIRS = (WINNER, WIDE, "CNN3-128-0.25", "CNN5-128-0.25")  # the first two of Table I, each with its k = 5
FINALISTS = (WINNER, NAHUEL, *ANN_MODELS)  # behind Table II
RETRAINING = {"retrain_images", "retrain_seed"}  # parameters that leave the searches as they are


@dataclass(frozen=True)
class Reading:
    """One understanding of the paper: what it changes, on which systems, and what was taken to the test images."""

    words: str
    systems: tuple[str, ...]  # that it touches and that are trained for it
    changes: dict = field(default_factory=dict)  # parameters
    tested: str = "retraining"  # or "search": its weights of minimum validation loss
    training_mode: bool = False  # dropout active and batch statistics on the test images

    @property
    def searched_anew(self) -> bool:
        """Say whether the searches too are others than the default's."""
        return bool(self.changes.keys() - RETRAINING) or "ANN-Juan-0" in self.systems

    @property
    def validated(self) -> bool:
        """Say whether it gives Table I, too: the default does, and what searches anew and is tested as usual."""
        usual = self.tested == "retraining" and not self.training_mode
        return usual and (self.searched_anew or not self.changes)


READINGS = {
    "default": Reading("as in this report", (*TABLE_1, NAHUEL, *ANN_MODELS)),
    "no_padding": Reading("no padding", (WINNER, WIDE, NAHUEL), {"padding": "0,0"}),
    "same_padding": Reading("padding that keeps the size", (*PAIRS, NAHUEL), {"padding": "same"}),
    "output_dropout": Reading("dropout and ReLU on the outputs", FINALISTS, {"output": "dropout_relu"}),
    "fixed_batches": Reading("the same batches every epoch", FINALISTS, {"shuffle": False}),
    "standardised": Reading("standardised pixels", FINALISTS, {"scaling": "standardised"}),
    "pixel_dropout": Reading("ANN-Juan: dropout on the pixels", ANN_MODELS, {"input_dropout": True}),
    "no_dropout": Reading("ANN-Juan: no dropout", ("ANN-Juan-0",)),
    "chosen_on_test": Reading("rivals' epochs chosen on test", FINALISTS[1:], {"validate_on": "test"}),
    "nahuel_k5": Reading("CNN-Nahuel: k = 5", (NAHUEL,), {"nahuel_k": 5}),
    "nahuel_batch": Reading("CNN-Nahuel: batches of 1,000", (NAHUEL,), {"batch": 1000}),
    "nahuel_both": Reading("CNN-Nahuel: k = 5, batches of 1,000", (NAHUEL,), {"nahuel_k": 5, "batch": 1000}),
    "all_images": Reading("retrained on all 60,000 images", FINALISTS, {"retrain_images": 60_000}),
    "same_seeds": Reading("retrained from the same seeds", FINALISTS, {"retrain_seed": 0}),
    "best_weights": Reading("the search's best weights tested", FINALISTS, tested="search"),
    "training_mode": Reading("tested in training mode", FINALISTS, training_mode=True),
    "mode_k5": Reading("CNN-Nahuel: k = 5, training mode", (NAHUEL,), {"nahuel_k": 5}, training_mode=True),
    "mode_batch": Reading(
        "CNN-Nahuel: batches of 1,000, training mode", (NAHUEL,), {"batch": 1000}, training_mode=True
    ),
}


def choices(reading: Reading) -> list[str]:
    """Return what a reading chooses otherwise, each as "name = value"."""
    told = [f"{name} = {value}" for name, value in reading.changes.items()]
    told += ["p = 0 in ANN-Juan"] if "ANN-Juan-0" in reading.systems else []
    told += ["search's best weights"] if reading.tested == "search" else []
    return told + (["training mode"] if reading.training_mode else [])


def named(asked: list[str]) -> list[str]:
    """Return the readings that are asked for, "all" being every one, after the default that they are held against."""
    return list(dict.fromkeys(["default", *(READINGS if "all" in asked else asked)]))
