"""The recipe and the door: what is said in two ways is one run, what differs is another, what is wrong is refused."""

import hashlib
import json
import re
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from fmnist_lib import ROOT, UserError, models, recipe, rules
from fmnist_lib.recipe import Recipe
from fmnist_lib.study import parameters, protocol

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine too
CHOICES = {name: rule.schema["enum"] for name, rule in recipe.RULES.items() if "enum" in rule.schema}
PAPERS = protocol.DEFAULTS | {"device": "cpu", "precision": "fp32"}


def refused(made, *named):
    """Assert that a call is refused in one line of cause, which names these, and one line of fix."""
    with pytest.raises(UserError) as error:
        made()
    cause, fix = error.value.cause, error.value.fix
    assert all(name in cause for name in named), cause
    assert cause and fix and "\n" not in cause + fix
    assert str(error.value) == f"{cause}\nFix: {fix}"
    return fix


# Out of range (P3), and impossible together (P4)

SEEDS = ("split_seed", "weights_seed", "order_seed", "dropout_seed")
OUT_OF_RANGE = [
    *[{name: value} for name in SEEDS for value in (-1, 2**32, 1.0, None, True, "0")],
    *[{"batch": value} for value in (0, -1, 50_001, 500.0, None, True)],
    *[{name: value} for name in ("epochs", "train_images", "threads", "numerics") for value in (0, -1, 1.5, "1", True)],
    *[{"lr": value} for value in (0, -0.1, float("nan"), float("inf"), 10**400, None, "0.1", True)],
    *[{"optimizer": "sgd", "momentum": value} for value in (1.0, -0.1, float("nan"), None, 0.12345)],
    *[{name: value} for name in ("shuffle", "input_dropout") for value in (0, 1, "true", None)],
    *[{name: value} for name in CHOICES for value in ("none", "", None, 0, True)],
    {"train_images": 50_001},
    {"val_images": 10_001},
    {"val_images": -1},
    {"val_images": 0, "keep": "last", "train_images": 60_001},
    {"val_images": 0, "keep": "best"},
    {"momentum": 0.9},
    {"schedule": "one-cycle", "patience": 15},
    {"patience": 15, "schedule": "one-cycle"},
    {"input_dropout": True},
    {"fold": 1},
    {"folds": 1},
    {"folds": 6, "fold": 6},
    {"folds": 5},
]


@pytest.mark.parametrize("changes", OUT_OF_RANGE, ids=str)
def test_what_is_out_of_range_is_refused_by_name(changes):
    refused(lambda: Recipe("CNN3-512-0.1", **changes), list(changes)[-1])


@pytest.mark.parametrize("p", [1.0, 1, -0.1, float("nan"), None, True, "0.1", "0,1", 0.99999, 1e-5])
@pytest.mark.parametrize("name", [lambda p: recipe.cnn_name(3, 512, p), recipe.ann_name])
def test_a_dropout_rate_outside_0_to_1_or_with_more_decimals_than_a_name_shows_is_refused(name, p):
    refused(lambda: name(p), "p = ", type(p).__name__)


@pytest.mark.parametrize("n", [0, -1, 2**17, 512.0, None, True, "512"])
def test_a_dense_layer_without_neurons_is_refused(n):
    refused(lambda: recipe.cnn_name(3, n, 0.1), f"n = {n!r}")


@pytest.mark.parametrize("k", [2, 4, 0, -1, 31, 3.0, None, True])
def test_a_kernel_that_is_even_or_larger_than_the_image_is_refused(k):
    refused(lambda: recipe.cnn_name(k, 512, 0.1), f"k = {k!r}")


@pytest.mark.parametrize("model", ["CNN4-512-0.1", "CNN31-512-0.1", "CNN3-0-0.1", "CNN3-512-1.0", "ANN-Juan-1"])
def test_a_name_that_says_an_impossible_thing_is_refused(model):
    refused(lambda: Recipe(model), " = ")


@pytest.mark.parametrize("model", ["", "CNN", "CNN3-512", "CNN3-512-0,1", "cnn3-512-0.1", "ANN", "ANN-Juan", None, 3])
def test_a_name_of_no_model_is_refused(model):
    refused(lambda: Recipe(model), repr(model))


def test_a_kernel_that_does_not_fit_names_its_layer_and_what_that_layer_sees():
    fix = refused(lambda: Recipe("CNN11-512-0.1"), "k = 11", "second convolution", "10×10")
    assert "same" in fix
    refused(lambda: Recipe("CNN27-512-0.1", padding="0,0"), "k = 27", "second convolution", "1×1")
    assert Recipe("CNN11-512-0.1", padding="same").model == "CNN11-512-0.1"


# One meaning, one run (P6)


def test_the_id_is_the_hash_of_every_field_and_the_papers_winner_keeps_it():
    written = {
        "model": "CNN3-512-0.1", "padding": "1,0", "activation": "relu", "output": "plain", "input_dropout": False,
        "train_images": 50000, "val_images": 10000, "split_seed": 42, "folds": 0, "fold": 0,
        "validate_on": "validation", "scaling": "unit", "shuffle": True, "batch": 500, "epochs": 50,
        "optimizer": "adam", "lr": 0.001, "momentum": 0.0, "keep": "best", "weights_seed": 0, "order_seed": 0,
        "dropout_seed": 0, "device": "cpu", "precision": "bf16", "threads": 1, "numerics": 1,
    }  # fmt: skip
    winner = Recipe("CNN3-512-0.1", precision="bf16", numerics=1)
    assert json.loads(winner.json) == written
    text = json.dumps(dict(sorted(written.items())), indent=1) + "\n"
    assert hashlib.sha256(text.encode()).hexdigest().startswith(winner.id) and len(winner.id) == 10
    assert winner.name == "CNN3-512-0.1-s0-ed6c56cc40"  # the reference report's run is found under this name


EQUAL = [
    {"model": "CNN3-512-0.10"},
    {"model": "CNN03-512-.1"},
    {"lr": 1e-3},
    {"optimizer": "sgd", "momentum": -0.0},
    {"optimizer": "sgd", "momentum": 0},
]


@pytest.mark.parametrize("changes", EQUAL, ids=str)
def test_another_spelling_is_the_same_run(changes):
    plain = Recipe("CNN3-512-0.1", optimizer=changes.get("optimizer", "adam"))
    other = Recipe(**{"model": "CNN3-512-0.1"} | changes)
    assert other == plain and other.id == plain.id and other.name == plain.name


def test_a_whole_number_where_a_real_one_is_meant_is_the_same_run():
    assert Recipe("CNN3-8-0", lr=1).json == Recipe("CNN3-8-0.0", lr=1.0).json


# A base from which every field can be changed alone, and what else it may be.
BASE = Recipe("ANN-Juan-0.1", optimizer="sgd", folds=6, numerics=1)
RATES = st.integers(0, 9999).map(lambda i: i / 10_000)
NAMES = st.builds(recipe.cnn_name, st.sampled_from([1, 3, 5, 7, 9]), st.integers(1, 2048), RATES)
OTHERS = {name: st.sampled_from(choices) for name, choices in CHOICES.items()}
OTHERS |= {name: st.integers(0, 2**32 - 1) for name in SEEDS}
OTHERS |= {"shuffle": st.booleans(), "input_dropout": st.booleans(), "fold": st.integers(0, 5)}
OTHERS |= {"model": NAMES | st.builds(recipe.ann_name, RATES) | st.just("CNN-Nahuel"), "momentum": RATES}
OTHERS |= {"batch": st.integers(1, 50_000), "epochs": st.integers(1, 1000), "threads": st.integers(1, 64)}
OTHERS |= {"nahuel_k": st.sampled_from([1, 5, 7, 9])}
OTHERS |= {"smoothing": RATES, "flips": st.booleans(), "shifts": st.integers(0, 14), "averaging": RATES}
OTHERS |= {"lr": st.floats(1e-9, 100), "numerics": st.integers(1, 9), "patience": st.integers(0, 1000)}
OTHERS |= {"data_set": st.sampled_from(["squares", "digits"])}
# What only folds, engines, other houses and single models can change.
FIXED = ("fold", "numerics", "data_set", "input_dropout", "nahuel_k")
ALONE = {  # fields that a fold would fix
    "train_images": st.integers(500, 50_000),
    "val_images": st.integers(1, 10_000),
    "folds": st.just(0) | st.just(6),
}


def test_every_field_is_tried():
    assert {*OTHERS, *ALONE} == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("name", [*OTHERS, *ALONE])
@calm
@given(data=st.data())
def test_a_change_of_any_field_alone_is_another_run(name, data):
    base = replace(BASE, folds=0) if name in ALONE else BASE
    base = replace(BASE, model="CNN-Nahuel") if name == "nahuel_k" else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe.RULES, "numerics", rules.whole(1, 9))
        patch.setitem(recipe.RULES, "data_set", rules.one_of("Fashion-MNIST", "squares", "digits"))
        value = data.draw((OTHERS | ALONE)[name].filter(lambda value: value != getattr(base, name)))
        other = replace(base, **{name: value})
    assert other != base and other.id != base.id and other.name != base.name


@st.composite
def recipes(draw):
    """Draw a recipe of a random split."""
    independent = {name: values for name, values in OTHERS.items() if name not in FIXED}
    made = draw(st.fixed_dictionaries(independent))
    made |= {"train_images": draw(st.integers(made["batch"], 50_000)), "val_images": draw(ALONE["val_images"])}
    made["kernels"] = made["kernels"] if made["device"] == "cpu" else "torch"
    made["patience"] = made["patience"] if made["schedule"] == "constant" else 0
    return Recipe(**made | {"momentum": made["momentum"] if made["optimizer"] == "sgd" else 0})


@calm
@given(recipes(), st.randoms())
def test_json_reads_back_as_the_same_run_whatever_the_order_of_its_keys(made, random):
    pairs = list(json.loads(made.json).items())
    random.shuffle(pairs)
    again = Recipe(**dict(pairs))
    assert again == made and again.json == made.json and again.id == made.id
    later = {name for name in recipe.LATER if getattr(made, name) == getattr(Recipe, name)}
    assert set(dict(pairs)) == {field.name for field in fields(Recipe)} - later  # the defaults are written too


@calm
@given(recipes())
def test_defaults_left_out_are_the_same_run(made):
    changed = {name: value for name, value in asdict(made).items() if value != getattr(Recipe, name, None)}
    assert Recipe(**changed).id == made.id


@calm
@given(st.sampled_from(range(1, 28, 2)), st.integers(1, 65_536), RATES)
def test_a_name_says_all_and_is_read_back(k, n, p):
    assert recipe.parse(recipe.cnn_name(k, n, p)) == ("cnn", {"k": k, "n": n, "p": p})
    assert recipe.parse(recipe.ann_name(p)) == ("ann_juan", {"p": p})
    assert recipe.canonical(recipe.cnn_name(k, n, p)) == recipe.cnn_name(k, n, p)


def test_a_model_is_built_from_what_its_name_says():
    model = models.build("CNN5-16-0.25")
    assert model[0].kernel_size == (5, 5) and model[11].out_features == 16
    assert [layer.p for layer in model if hasattr(layer, "p")] == [0.25, 0.25]


# The door (P1, P2)


def injected(values):
    """Return a notebook's globals after papermill's own cell has run with these parameters."""
    cell = PythonTranslator().codify(values)
    names = {"In": ["", "k = [3, 5]", cell]}
    exec(cell, names)
    return names


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("epoch", "epochs"), ("seeds", "seed"), ("kernal", "kernels"), ("zzz", "")]
)
def test_an_unknown_parameter_is_refused_with_the_nearest_and_where_all_names_are(wrong, nearest):
    fix = refused(lambda: parameters.check(injected({wrong: 3})), repr(wrong))
    assert fix.startswith(f"did you mean {nearest}? " if nearest else "see ") and len(fix) < 120
    named = json.loads((ROOT / re.search(r"params/\S+", fix)[0]).read_text("utf-8"))["properties"]
    assert set(named) == set(parameters.NAMES)
    refused(lambda: parameters.checked({wrong: 3}), repr(wrong))


@pytest.mark.parametrize("name", [3, None, True, 1.5, ("k",)])
def test_a_parameter_whose_name_is_no_text_is_refused(name):
    refused(lambda: parameters.checked({name: 3}), repr(name))


def test_a_notebooks_other_variables_are_no_parameters():
    assert parameters.check({"In": ["kernal = 3"], "kernal": 3, "k": 3}) == {"k": [3]}


CELL = """epochs: int = 2  # passes over the training images
k: list = [3]
kernels = "torch"  # without its type any more"""


@pytest.mark.parametrize(
    ("ran", "given"),
    {
        "the parameters cell": ([CELL], {"epochs": 2, "k": [3], "kernels": "torch"}),
        "and what others assign": (
            [CELL, "p = 3e-5\nx: int = 4\nseed = None"],
            {"epochs": 2, "k": [3], "kernels": "torch"},
        ),
        "and papermill's": (
            [CELL, "# Parameters\nseed = 7\n"],
            {"epochs": 2, "k": [3], "kernels": "torch", "seed": [7]},
        ),
        "and a line for IPython": (["%matplotlib inline", CELL, "!ls"], {"epochs": 2, "k": [3], "kernels": "torch"}),
        "as it was run last": ([CELL.replace("epochs", "epoch"), CELL], {"epochs": 2, "k": [3], "kernels": "torch"}),
    }.values(),
)
def test_only_what_the_parameters_cells_name_is_a_parameter(ran, given):
    names = {"In": ["", *ran]}
    for cell in ran:
        exec(re.sub("(?m)^[%!].*", "", cell), names)
    assert parameters.check(names) == given


def test_a_misspelt_name_in_the_parameters_cell_is_refused():
    names = {"In": ["", CELL.replace("epochs", "epoch")]}
    exec(names["In"][1], names)
    assert "did you mean epochs?" in refused(lambda: parameters.check(names), "'epoch'")


CONVERTED = [
    ("k", "[3]", [3]), ("k", 3, [3]), ("k", "3", [3]), ("k", "[3, 5]", [3, 5]), ("k", [3, 3, 5], [3, 5]),
    ("shuffle", "false", False), ("shuffle", "true", True), ("input_dropout", False, False),
    ("n", "256", [256]), ("p", "[0.10, 0.25]", [0.1, 0.25]), ("p", 0, [0.0]), ("seed", "[0, 1]", [0, 1]),
    ("epochs", "8", 8), ("lr", "0.01", 0.01), ("lr", "1e-3", 0.001),
    ("retrain_images", "60000", 60_000), ("samples", "16", 16),
    ("padding", "1,0", "1,0"), ("padding", "0,0", "0,0"), ("out", "3", str(ROOT / "3")), ("language", "es", "es"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "meant"), CONVERTED)
def test_a_text_from_the_command_line_is_read_by_the_stated_rule(name, value, meant):
    read = parameters.check(injected({name: value}))[name]
    assert read == meant and type(read) is type(meant)
    assert [*map(type, read)] == [*map(type, meant)] if isinstance(read, list) else True


WRONG = [
    ("p", "0,1", "str"), ("p", "[0,1]", "int"), ("n", "many", "str"), ("n", "256.0", "float"),
    ("k", "null", "NoneType"),
    ("k", {}, "dict"), ("k", [[3]], "list"), ("k", [], ""), ("k", "[]", ""), ("n", "2001-99-99", "str"),
    ("shuffle", "0", "int"), ("epochs", [8], "list"), ("lr", "1e3", "float"), ("padding", "same ", "str"),
    ("out", 3, "int"), ("runs_dir", None, "NoneType"), ("samples", 0, "int"), ("workers", -1, "int"),
    ("device", "gpu", "str"), ("seed", "[0, -1]", "int"), ("retrain_seed", -1, "int"), ("retrain_images", 0, "int"),
    ("ann_p", 1.0, "float"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "kind"), WRONG)
def test_a_wrong_type_or_value_is_refused_by_name_and_the_type_received(name, value, kind):
    refused(lambda: parameters.checked({name: value}), f"{name} = ", kind)


@pytest.mark.parametrize("value", ["[0, 1", " [0 1", "0, 1]", "[0, 1]]", "[0, &a]"])
def test_what_looks_like_a_list_and_is_none_is_told_so(value):
    fix = refused(lambda: parameters.checked({"seed": value}), f"seed = {value!r} (str) is no list")
    assert '"[0]"' in fix and "both brackets" in fix
    refused(lambda: parameters.checked({"epochs": value}), f"epochs = {value!r} (str)")  # which takes no list


@pytest.mark.parametrize("text", ["- 3\n", "", "k: [3", "k: !!int x", "k: '\x00'", "3", "k: \ud83d"])
def test_a_params_file_that_does_not_read_is_refused(text, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(lambda: parameters.read_file(file), str(file))


def test_a_params_file_that_is_not_there_is_refused(tmp_path):
    refused(lambda: parameters.read_file(tmp_path / "none.yaml"), "none.yaml")


FILES = sorted((ROOT / "params").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_params_file_is_valid_and_makes_recipes(file):
    values = parameters.checked(parameters.read_file(file))
    assert values == parameters.read_file(file)  # nothing in it needs a conversion
    asked = PAPERS | values
    grid, rivals = protocol.grid(asked), protocol.rivals(asked)
    assert len({made.id for made in grid + rivals}) == len(grid) + len(rivals)
    assert len(grid) == len(asked["k"]) * len(asked["n"]) * len(asked["p"]) * len(asked["seed"])
    at_full_size = file.stem in ("paper", "rigorous", "folds", "readings", "search", "variance")
    assert protocol.is_papers(asked) == at_full_size


def test_the_papers_file_says_what_is_the_default_everywhere():
    values = parameters.checked(parameters.read_file(ROOT / "params" / "paper.yaml"))
    assert values == {name: protocol.DEFAULTS[name] for name in values}
    assert {name: getattr(Recipe, name) for name in parameters.recipe_fields(values)} == parameters.recipe_fields(
        values
    )
    assert protocol.grid(PAPERS | values | {"kernels": "torch"})[4] == Recipe("CNN3-512-0.1")


def test_the_seeds_of_a_repetition_are_its_own_and_seed_0_is_the_papers():
    first, second = (protocol.search("CNN3-512-0.1", PAPERS | {"weights_seed": 7}, seed) for seed in (0, 3))
    assert [getattr(first, name) for name in SEEDS] == [42, 7, 0, 0]
    assert [getattr(second, name) for name in SEEDS] == [45, 10, 3, 3]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates().map(str)
SCALARS |= st.sampled_from(["2001-99-99", "[3]", "0,1", "false", "1e-3", "256", "0.25", 3, 5, 128, 0.1, "cpu", "sgd"])
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)


@calm
@given(st.dictionaries(st.sampled_from(parameters.NAMES), VALUES, max_size=2))
def test_any_parameters_are_refused_or_mean_one_list_of_runs(values):
    try:
        checked = parameters.checked(values)
        made = protocol.grid(PAPERS | checked)
    except UserError as error:
        assert "\n" not in error.cause and error.fix
        return
    assert parameters.checked(checked) == checked
    assert made == protocol.grid(PAPERS | parameters.checked(checked))
    assert all(Recipe(**json.loads(one.json)) == one for one in made)


@calm
@given(st.dictionaries(st.sampled_from([field.name for field in fields(Recipe)]), VALUES, max_size=2))
def test_any_fields_are_refused_or_make_one_recipe(values):
    try:
        made = Recipe(**{"model": "CNN3-512-0.1"} | values)
    except UserError as error:
        assert "\n" not in error.cause and error.fix
    else:
        assert Recipe(**json.loads(made.json)).id == made.id
