"""What a report says of how it was made: how it reads what the paper leaves open, and the command that makes it."""

import json
import shlex

import pandas as pd

from fmnist_lib import ROOT
from fmnist_lib.runs.files import SHIPPED
from fmnist_lib.study.paper import WINNER
from fmnist_lib.study.parameters import checked, read_file
from fmnist_lib.study.protocol import DEFAULTS, OTHER, retraining, search

REFERENCE = SHIPPED


def readings(params: dict) -> pd.DataFrame:
    """List how each point that was found open in the paper is read, under the parameter's own name."""
    meanings = {
        "padding": "padding of the first and of the second convolution",
        "output": "what follows the ten outputs (plain: nothing)",
        "scaling": "pixels in [0, 1] (unit), or standardised",
        "shuffle": "new batches every epoch",
        "batch": "images a step (the batch), for the rivals too",
        "nahuel_k": "CNN-Nahuel: its kernel size",
        "ann_p": "dropout rates tried for ANN-Juan",
        "input_dropout": "ANN-Juan: dropout on the pixels",
        "split_seed": "seed of the split",
        "weights_seed": "seed of the initial weights",
        "order_seed": "seed of the order of the images",
        "dropout_seed": "seed of dropout",
        "retrain_seed": "added to the seeds for the retraining",
        "retrain_images": "images to retrain on",
        "keep": "weights of the retraining that are tested (last: of its last epoch)",
        "precision": "precision of the training; every score is computed in fp32",
    }
    again = retraining(search(WINNER, DEFAULTS | params, 0), 1, DEFAULTS | params)
    known = DEFAULTS | params | {name: getattr(again, name) for name in ("keep", "precision")}
    rows = [(name, meaning, str(known[name]).lower()) for name, meaning in meanings.items()]
    return pd.DataFrame(rows, columns=["parameter", "what it is", "value"])


def command(values: dict) -> str:
    """Return the command that makes the report of these parameters again, into the same folder."""
    if values.get("out") == str(REFERENCE):
        return "python -m fmnist_lib reference"
    best, changed = min(
        (_overrides(name, DEFAULTS | values) for name in ("quick", "paper", "rigorous", "smoke")),
        key=lambda pair: len(pair[1]),
    )
    changed |= {"runs_dir": values["runs_dir"]} if values.get("runs_dir") else {}
    by_itself = str(ROOT / "reports" / best)  # and "-" with a hash where there are overrides
    if values.get("out") and not (values["out"].startswith(f"{by_itself}-") if changed else values["out"] == by_itself):
        changed["out"] = values["out"]
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in changed.items()}
    overrides = [f"-p {name} {shlex.quote(text.removeprefix(f'{ROOT}/'))}" for name, text in texts.items()]
    return " ".join(["python -m fmnist_lib report", f"params/{best}.yaml", *overrides])


def _overrides(file: str, values: dict) -> tuple[str, dict]:
    """Return a params file's name and what of these values differs from what it states."""
    stated = DEFAULTS | checked(read_file(ROOT / "params" / f"{file}.yaml"))
    return file, {name: v for name, v in values.items() if name not in OTHER and stated.get(name, v) != v}
