"""What a report would train, and for how long, before anything is done."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from fmnist_lib import ROOT, UserError, short
from fmnist_lib.commands.report import check
from fmnist_lib.rules import near
from fmnist_lib.runs.files import SHIPPED
from fmnist_lib.study import parameters, protocol

if TYPE_CHECKING:  # what is refused is refused before pandas and torch are imported
    import pandas as pd

PARAMS = ROOT / "params"


def params_file(name: str) -> Path:
    """Return the params file of a path or of a bare name, such as quick; UserError with the nearest if none is."""
    given, own = Path(name), PARAMS / f"{name}.yaml"
    if given.exists() and not given.is_dir():
        return given
    if own.is_file():
        return own
    names = [path.stem for path in named()]
    fix = f"{near(given.stem, names)}give one of {', '.join(names)}, or the path of a YAML file"
    place = "" if given.is_absolute() else f" in {Path.cwd()}"
    raise UserError(f"there is no params file {name}{place}", fix)


def reports_file(name: str) -> Path:
    """Return `params_file`'s, unless it is one of the project's that states another notebook's study: UserError."""
    path = params_file(name)
    if path.resolve().parent == PARAMS and not _states_grid(parameters.read_file(path)):
        from fmnist_lib.study.sections import STUDIES

        study = path.stem.removesuffix("-quick")
        if study not in STUDIES:  # one's own
            return path
        fix = f"papermill notebooks/{STUDIES[study][0]}.ipynb out.ipynb -f params/{path.name}"
        raise UserError(f"params/{path.name} is of another notebook than the report's", fix)
    return path


def named() -> list[Path]:
    """List the project's params files that state a report's grid, the cheapest first."""
    costs = {}
    for path in sorted(PARAMS.glob("*.yaml")):
        try:
            given = parameters.read_file(path)
            values = protocol.DEFAULTS | parameters.checked(given)
        except UserError as error:
            print(f"params/{path.name} is left out: {error.cause}")
            continue
        if _states_grid(given):
            costs[path] = values["epochs"] * values["train_images"] * len(values["seed"])
    return sorted(costs, key=costs.get)


def _states_grid(values: dict) -> bool:
    return {"k", "n", "p"} <= values.keys() and not {"lrs", "sources"} & values.keys()


def plans(overrides: dict) -> "pd.DataFrame":
    """Return a row a params file: its command and protocol, what is missing, about how long; with overrides quick's.

    How long: by the records of reports/reference, if each core here is as fast as the one that made them.
    """
    files = [PARAMS / "quick.yaml"] if overrides else named()
    given = {path: parameters.read_file(path) | overrides for path in files}
    for values in given.values():
        check(values)
    import pandas as pd

    from fmnist_lib.commands.runs import frame
    from fmnist_lib.runs.store import Store

    rates = _rates(frame(Store(SHIPPED / "runs")))
    return pd.DataFrame([_plan(path, values, rates) for path, values in given.items()])


def _rates(frame: "pd.DataFrame") -> "pd.Series":
    """Return the seconds that an image takes in training, by model; none of a folder without runs."""
    known = frame.reindex(columns=["model", "seconds", "epochs", "train_images"]).dropna(subset=["seconds"])
    return (known["seconds"] / (known["epochs"] * known["train_images"])).groupby(known["model"]).mean()


def _plan(path: Path, values: dict, rates: "pd.Series") -> dict:
    from fmnist_lib.runs.store import Store
    from fmnist_lib.workers.pool import cores
    from fmnist_lib.workers.sweep import lasting

    values = protocol.DEFAULTS | parameters.checked(values)
    missing = list(dict.fromkeys(protocol.collect(values, Store(values.get("runs_dir", ""))).missing))
    seconds = sum(rates.get(r.model, rates.max()) * r.train_images * r.epochs for r in missing) / cores()
    what = f"{values['epochs']} epochs of {values['train_images']:,} images"
    row = {"command": f"fmnist report {path.stem}", "each": what, "seeds": len(values["seed"])}
    told = "–" if math.isnan(seconds) else "< 1 min" if missing and seconds < 60 else lasting(seconds)
    return row | {"trainings missing": len(missing), "about": told}


def given(options) -> dict[str, str]:
    """Return the parameters of -p and --cluster; UserError for one that is given twice."""
    pairs = options.p + [["cluster", options.cluster]] * bool(options.cluster)
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"-p {short(twice)} is given twice", "give it once; several values are a list, as '[3, 5]'")
    return dict(pairs)
