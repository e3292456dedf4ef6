"""Parameters at the door: names, types and ranges, checked before data is read or torch is imported."""

import ast
import difflib
from dataclasses import fields
from pathlib import Path

import yaml

from fmnist_lib import ROOT, UserError, recipe
from fmnist_lib.recipe import Recipe

# Parameters of the notebooks that are no field of a recipe; the lists take one value or several.
LISTS = ("k", "n", "p", "ann_p", "seed")
PATHS = ("runs_dir", "data_dir", "out")
TEXTS = ("model", *PATHS)
COUNTS = {"workers": (0, 1024), "samples": (1, 100), "repeats": (1, 100)}
COUNTS |= {"pair_epochs": (1, 100_000), "pair_images": (1, recipe.IMAGES), "pair_seeds": (2, 100)}
SEEDS = ("samples_seed", "retrain_seed")
CHOICES = {
    "language": ("en", "es"),
    "device": ("auto", *recipe.CHOICES["device"]),
    "precision": ("auto", *recipe.CHOICES["precision"]),
    "kernels": ("auto", *recipe.CHOICES["kernels"]),
}
FIELDS = tuple(field.name for field in fields(Recipe) if field.name not in ("model", "keep", "threads", "numerics"))
NAMES = tuple(sorted({*FIELDS, *LISTS, *TEXTS, *COUNTS, *SEEDS, *CHOICES, "retrain_images"}))


def check(values: dict) -> dict:
    """Return a notebook's parameters in their own types, from its `globals()`.

    A string given for a parameter that is no text is read as YAML ("[3]" is a list, "false" is false); a relative
    path is one from the project's root, wherever the notebook runs. Raises UserError for a name that no notebook has,
    a wrong type, or a value out of range.
    """
    for name in _injected(values.get("In", [])):
        known(name)
    return checked({name: values[name] for name in NAMES if name in values})


def _injected(cells: list[str]) -> list[str]:
    """Return the names that papermill's cell assigned in this kernel."""
    source = next((cell for cell in cells if cell.startswith("# Parameters\n")), "")
    return [target.id for node in ast.parse(source).body for target in node.targets]


def known(name: str):
    """Raise UserError with the nearest and all valid names unless some notebook has this parameter."""
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"unknown parameter {name!r}", f"{hint}the parameters are {', '.join(NAMES)}")


def checked(params: dict) -> dict:
    """Return every parameter checked and in its own type; UserError otherwise."""
    try:
        for name in params:
            known(name)
        return {name: _one(name, _parsed(name, value)) for name, value in params.items()}
    except (ValueError, RuntimeError) as error:  # 5,000 digits, a list 5,000 deep, the home of nobody: not to be shown
        raise UserError(f"a value that cannot be read: {error}", "give the values that are meant, shorter") from error


def _parsed(name: str, value):
    text = name in TEXTS or name in CHOICES or name in recipe.CHOICES
    if text or not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):  # ValueError: what looks like a date and is none
        return value


def _one(name: str, value):
    if name in LISTS:
        elements = value if isinstance(value, list) else [value]
        if not elements:
            raise UserError(f"{name} = []", f"give {name} at least one value")
        return list(dict.fromkeys(recipe.checked(name, element) for element in elements))
    if name == "model":
        return recipe.canonical(value)
    if name in TEXTS:
        recipe.required(isinstance(value, str), name, value, "a text")
        return str(ROOT / Path(value).expanduser()) if name in PATHS and value not in ("", "temporary") else value
    if name in CHOICES:
        return recipe.required(value in CHOICES[name], name, value, "one of " + ", ".join(CHOICES[name]))
    if name in COUNTS:
        low, high = COUNTS[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        return recipe.required(whole and low <= value <= high, name, value, f"a whole number from {low} to {high}")
    return recipe.checked(name, value)


def read_file(path: Path) -> dict:
    """Read a params file (YAML, safely); UserError if it is missing or no mapping of names to values."""
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(
            f"cannot read {path}: {' '.join(str(error).split())}", "name a file such as params/quick.yaml"
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no parameters", "write one `name: value` a line, as in params/quick.yaml")
    return values


def recipe_fields(params: dict, **changes) -> dict:
    """Return those parameters that are fields of a recipe, with changes."""
    return {name: params[name] for name in FIELDS if name in params} | changes
