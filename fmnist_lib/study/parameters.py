"""Parameters at the door: one line each; names, types and ranges are checked before data is read or torch imported."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from fmnist_lib import ROOT, UserError, short
from fmnist_lib.recipe import IMAGES, NAMED, Recipe, canonical
from fmnist_lib.rules import RATE, SEED, SHARE, Rule, near, one_of, required, whole
from fmnist_lib.runs import files
from fmnist_lib.study import cells, plain_yaml
from fmnist_lib.study.paper import COMPARED, GRID, TABLE_1, WINNER
from fmnist_lib.study.readings import READINGS


@dataclass(frozen=True)
class Parameter:
    """A parameter of the notebooks: the paper's value or none, what it may be, what it means, whether it is a list."""

    default: object
    rule: Rule
    meaning: str
    several: bool = False


def text(own: Callable[[str], str] = str) -> Rule:
    """Allow any text."""
    return Rule("a text", lambda value: isinstance(value, str), {"type": "string"}, own)


def _path(value: str) -> str:
    """Start a relative path at the project's root; "temporary" is a folder of runs that ends with the process."""
    plain = not re.search(r"[\0-\x1f\x7f\ud800-\udfff]", value)
    required(plain, "a path", value, "without signs that cannot be printed")
    return str(ROOT / Path(value).expanduser()) if value not in ("", "temporary") else value


def _model(value: str) -> str:
    try:
        return canonical(value)
    except UserError as error:
        said = error.cause if error.cause.startswith("model = ") else f"model = {short(repr(value))}: {error.cause}"
        raise UserError(said, near(value, [*TABLE_1, *COMPARED]) + error.fix) from None


SOURCES = ("split", "weights", "order", "dropout")  # of chance, a seed each
ALONE = "what alone varies in trainings of the winner, or none; one or several"


def _cluster(value: str) -> str:
    known = re.fullmatch(r"(local|(tcp|tls)://[\w.:\[\]-]+:\d{1,5})?", value, re.ASCII)
    return required(bool(known), "cluster", value, '"", local, or an address as tcp://host:8786')


UNASKED = ("model", "keep", "data_set", "threads", "numerics")
FIELDS = tuple(field.name for field in fields(Recipe) if field.name not in UNASKED)
PARAMETERS = {
    field.name: Parameter(field.default, field.metadata["rule"], field.metadata["meaning"])
    for field in fields(Recipe)
    if field.name in FIELDS
}
PARAMETERS |= {
    "model": Parameter(WINNER, text(_model), "the paper's winner"),
    "k": Parameter(GRID["k"], NAMED["k"], "kernel size of both convolutions, odd; one value or several", True),
    "n": Parameter(GRID["n"], NAMED["n"], "neurons of the dense layer; one value or several", True),
    "p": Parameter(GRID["p"], NAMED["p"], "dropout rate, from 0 to below 1; one value or several", True),
    "ann_p": Parameter([0.1, 0.25], SHARE, "dropout rates searched for ANN-Juan; one value or several", True),
    "reading": Parameter(["all"], one_of("all", *READINGS), "understandings of the paper's text; one or several", True),
    "sources": Parameter(["none"], one_of("none", *SOURCES), ALONE, True),
    "seed": Parameter([0], SEED, "repetitions, each with its own split, weights, order and dropout", True),
    "retrain_seed": Parameter(1000, SEED, "added to the seeds of weights, order and dropout; 0 repeats the search"),
    "retrain_images": Parameter(50_000, whole(1, IMAGES), "images to retrain on; 60000 takes those of validation too"),
    "device": Parameter("auto", one_of("auto", "cpu", "cuda"), "auto, cpu or cuda"),
    "precision": Parameter("auto", one_of("auto", "fp32", "bf16"), "of the training: auto, fp32 or bf16"),
    "kernels": Parameter("auto", one_of("auto", "torch", "numba"), "of a CPU: auto, torch or numba"),
    "language": Parameter("en", one_of("en", "es"), "en or es"),
    "models": Parameter(list(COMPARED), text(_model), "networks to compare; one name or several", True),
    "lrs": Parameter([0.0003, 0.001, 0.003], RATE, "learning rates to search: Adam's; SGD's are 30-fold", True),
    "optimizers": Parameter(["adam", "sgd"], one_of("adam", "sgd"), "to search; sgd with Nesterov's momentum", True),
    "activations": Parameter(["relu", "leaky_relu"], one_of("relu", "leaky_relu"), "to search", True),
    "search_images": Parameter(10_000, whole(1, IMAGES), "images to train on in the search"),
    "search_epochs": Parameter(20, whole(1, 100_000), "passes over them in the search"),
    "search_seeds": Parameter([1, 2], SEED, "repetitions of the search, each judged by the others", True),
    "best": Parameter(5, whole(1, 100), "configurations of the search to train at full size"),
    "replays": Parameter(200, whole(1, 100_000), "searches replayed by each strategy"),
    "peak": Parameter(0.003, RATE, "learning rate at the peak of one cycle"),
    "picture": Parameter("", text(_path), "a picture to classify; empty is the first test image"),
    "workers": Parameter(0, whole(0, 1024), "processes on a CPU; 0 is one a core"),
    "cluster": Parameter(
        "", text(_cluster), "where to train: empty is here; or local, or a Dask scheduler's tcp://host:port"
    ),
    "samples": Parameter(32, whole(1, 100), "images to show"),
    "samples_seed": Parameter(0, SEED, "which ones"),
    "repeats": Parameter(5, whole(1, 100), "measurements of each quantity, after one to warm up"),
    "pair_epochs": Parameter(3, whole(1, 100_000), "of the trainings in both precisions; 50 on CUDA"),
    "pair_images": Parameter(20_000, whole(1, IMAGES), "of the trainings in both precisions; 50000 on CUDA"),
    "pair_seeds": Parameter(5, whole(2, 100), "pairs of trainings for each of three models"),
    "runs_dir": Parameter("", text(_path), "where runs are kept; empty is the project's runs/"),
    "data_dir": Parameter("", text(_path), "where the data set is; empty is the project's data/"),
    "out": Parameter("", text(_path), "folder for what is written; empty writes none"),
}
NAMES = tuple(sorted(PARAMETERS))
CROSSED = ("k", "n", "p", "ann_p", "seed", "lrs", "optimizers", "activations", "search_seeds")  # each with each
BRACKET = re.compile(r"^\s*\[|\]\s*$")
LINES = "write one `name: value` a line, as in params/quick.yaml"
MOST = 10_000  # trainings of one sweep, for a typo in a list is soon a million


def check(values: dict) -> dict:
    """Return a notebook's parameters in their own types, from its `globals()`.

    A string given for a parameter that is no text, or for a list, is read as YAML 1.2 ("[3]" is a list, "false" is
    false); a relative path is one from the project's root, wherever the notebook runs. Raises UserError for a name that
    no notebook has, a wrong type, or a value out of range.
    """
    given = cells.named(values.get("In", []), NAMES) or {*NAMES}
    for name in sorted(given):
        known(name)
    return checked({name: values[name] for name in sorted(given) if name in values})


def known(name: str):
    """Raise UserError with the nearest name, and where all are, unless some notebook has this parameter."""
    if name not in NAMES:
        fix = f"{near(name, NAMES)}see the top of each notebook, or params/schema.json for all"
        raise UserError(f"unknown parameter {short(repr(name))}", fix)


def checked(params: dict) -> dict:
    """Return every parameter checked and in its own type; UserError otherwise."""
    try:
        for name in params:
            known(name)
        made = {name: _one(name, _parsed(name, value)) for name, value in params.items()}
    except (ValueError, RuntimeError) as error:  # 5,000 digits, a list 5,000 deep, the home of nobody: not to be shown
        fix = "give the values that are meant, shorter"
        raise UserError(f"a value that cannot be read: {short(error)}", fix) from error
    lists = [name for name in CROSSED if name in made]
    if (n := math.prod(len(made[name]) for name in lists)) > MOST:
        raise UserError(f"{', '.join(lists)} make {n:,} trainings, more than {MOST:,}", "give fewer of them at a time")
    return made


def _parsed(name: str, value):
    parameter = PARAMETERS[name]
    listed = parameter.several and isinstance(value, str) and BRACKET.search(value)
    if not isinstance(value, str) or (parameter.rule.text and not listed):
        return value
    try:
        read = plain_yaml.load(value)
    except yaml.YAMLError:
        read = value
    if listed and isinstance(read, str):
        some = ", ".join(str(value) for value in parameter.default)
        fix = f'write the list of {name} as "[{some}]", with commas between the values and both brackets'
        raise UserError(f"{name} = {short(repr(value))} (str) is no list that can be read", fix)
    return read


def _one(name: str, value):
    parameter = PARAMETERS[name]
    if not parameter.several:
        return parameter.rule.checked(name, value)
    elements = value if isinstance(value, list) else [value]
    if not elements:
        raise UserError(f"{name} = []", f"give {name} at least one value")
    shown = f"{name} = {short(repr(value))}, where one" if isinstance(value, list) else name  # the list whole
    return list(dict.fromkeys(parameter.rule.checked(name, element, shown) for element in elements))


def read_file(path: Path) -> dict:
    """Read a params file (`plain_yaml`); UserError if it is missing or no mapping of names to values."""
    try:
        values = plain_yaml.load(files.read_file(Path(path), 4 * plain_yaml.MOST).decode())
    except (OSError, yaml.YAMLError, ValueError) as error:
        fix = LINES if Path(path).is_file() else "give params/quick.yaml"
        raise UserError(f"cannot read {path}: {short(error)}", fix) from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no parameters", LINES)
    return values


def recipe_fields(params: dict, **changes) -> dict:
    """Return those parameters that are fields of a recipe, with changes."""
    return {name: params[name] for name in FIELDS if name in params} | changes


def schema() -> dict:
    """Return the JSON Schema of a params file, by which an editor completes and checks it."""
    properties = {}
    for name, parameter in sorted(PARAMETERS.items()):
        one = parameter.rule.schema
        given = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]} if parameter.several else one
        properties[name] = {"description": parameter.meaning, "default": parameter.default, **given}
    address = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": address, "type": "object", "additionalProperties": False, "properties": properties}
