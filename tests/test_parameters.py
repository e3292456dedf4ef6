"""Any parameters at all: refused in two lines before anything is read, or one list of trainings; never a traceback."""

import json
import os
import random
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import jsonschema
import nbformat
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fmnist_lib import ROOT, UserError, data
from fmnist_lib.commands import report
from fmnist_lib.recipe import Recipe
from fmnist_lib.study import parameters, plain_yaml, protocol
from fmnist_lib.workers import download

many = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
RIGHT = {
    "k": [3, 5, 7], "n": [1, 128], "p": [0, 0.1, 0.25], "ann_p": [0.1], "seed": [0, 1, 7], "epochs": [1, 50],
    "batch": [1, 500], "train_images": [400, 50_000], "val_images": [200, 10_000], "retrain_images": [400, 60_000],
    "retrain_seed": [0, 1000], "model": ["CNN3-512-0.1", "ANN-Juan-0.10"], "padding": ["same", "0,0"],
    "optimizer": ["sgd", "adamw"], "lr": [1, 0.01], "shuffle": [True, False], "output": ["dropout_relu"],
    "scaling": ["standardised"], "activation": ["leaky_relu"], "momentum": [0.9], "split_seed": [0, 42],
    "language": ["es"], "device": ["auto", "cuda"], "precision": ["bf16"], "workers": [0, 2], "samples": [16],
}  # fmt: skip
EXTREME = [-1, 2**32, 10**400, -0.0, 1e-300, 1e308, float("inf"), float("nan"), 59_999, 60_000, 60_001, 2**31]
ODD = ["", " ", "0,1", "3\n5", "[3", "[3, 5]", "{k: 3}", "null", "true", "1e-3", "0x1F", "0b1", "1_000", "2001-02-30"]
ODD += ["2001-12-14t21:59:43.10-05:00", "!!python/object/apply:os.getcwd []", "&a [*a]", "<script>", "../..", "ñ", "\0"]
ODD += ["190:20:30", "=", "~", "CNN4-8-0.1", "CNN27-8-0.1", "\ud83d"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(EXTREME + ODD)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
GARBAGE = st.text(max_size=6) | st.sampled_from(["kernal", "K", "k ", "epoch", "__class__", "k\n", "", "In"])
ONE = st.sampled_from(sorted(RIGHT)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(RIGHT[name])))
ONE |= st.tuples(st.sampled_from(parameters.NAMES), ANYTHING) | st.tuples(GARBAGE, ANYTHING)
PAIRS = st.lists(ONE, max_size=4).map(dict)


def trainings(values: dict) -> list[Recipe]:
    """Return all trainings that the report of these parameters consists of, each retrained after one epoch."""
    asked = parameters.checked(protocol.DEFAULTS | values) | {"device": "cpu", "precision": "fp32"}
    searches = protocol.grid(asked) + protocol.rivals(asked)
    return searches + [protocol.retraining(recipe, 1, asked) for recipe in searches]


def refused_or_one_list(values: dict):
    """Check the parameters as the command does, before all else; None if they are refused, and how."""
    try:
        report.check(values)
    except UserError as error:
        assert error.cause and error.fix and "\n" not in error.cause + error.fix
        assert str(error) == f"{error.cause}\nFix: {error.fix}"
        return None
    made = trainings(values)
    assert made == trainings(values) and all(Recipe(**json.loads(recipe.json)) == recipe for recipe in made)
    turned = list(values.items())
    random.Random(0).shuffle(turned)
    assert trainings(dict(turned)) == made == trainings(protocol.DEFAULTS | values)  # nor order nor defaults matter
    return made


@pytest.fixture(autouse=True)
def nothing_is_read(monkeypatch):
    for module, name in ((download, "fetch"), (data, "load"), (data, "raw_folder")):
        monkeypatch.setattr(module, name, pytest.fail)


@many
@given(PAIRS)
@example({"k": "0x" + "f" * 5000})
@example({"k": "[" * 5000})
@example({"k": "9" * 5000})
@example({"model": "CNN4-8-0.1"})
@example({"seed": [2**32 - 1]})
@example({"retrain_seed": 2**32 - 1})
def test_any_values_are_refused_in_two_lines_or_are_one_list_of_trainings(values):
    refused_or_one_list(values)


def as_text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@many
@given(PAIRS)
def test_the_same_values_as_texts_of_the_command_line_never_end_in_a_traceback(values):
    made = refused_or_one_list({name: as_text(value) for name, value in values.items()})
    if made and all(name in RIGHT and value in RIGHT[name] for name, value in values.items()):
        assert made == trainings(values)  # what is right is the same in both spellings


@many
@given(st.dictionaries(SCALARS | GARBAGE, ANYTHING, max_size=2) | PAIRS | st.text(max_size=60) | ANYTHING)
@example("k: " + "[" * 5000)
@example("k: 0x" + "f" * 5000)
@example("k: &a [*a]")
@example("<<: 3")
@example("? [k]\n: 3")
def test_any_params_file_is_refused_in_two_lines_or_is_one_list_of_trainings(content):
    text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
    with TemporaryDirectory() as place:
        file = Path(place, "mine.yaml")
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            values = parameters.read_file(file)
        except UserError as error:
            assert error.cause and error.fix and "\n" not in error.cause + error.fix
        else:
            refused_or_one_list(values)


FORMS = {
    "as they are": lambda values: values,
    "as texts": lambda values: {name: as_text(value) for name, value in values.items()},
    "as YAML": lambda values: plain_yaml.load(yaml.safe_dump(values, allow_unicode=True)),
}


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_20_000_sets_of_parameters_are_refused_in_two_short_lines_or_accepted(form):
    @settings(many, max_examples=20_000)
    @given(PAIRS)
    def one(values):
        try:
            report.check(form(values))
        except (UserError, yaml.YAMLError) as error:
            assert form is FORMS["as YAML"] or isinstance(error, UserError)
            assert len(str(error)) < 2500

    one()


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_what_is_right_alone_is_accepted(name):  # so that the above is not one long refusal
    needs = {
        "momentum": {"optimizer": "sgd"},
        "batch": {},
        "train_images": {"batch": 400},
        "retrain_images": {"batch": 400},
    }
    for value in RIGHT[name]:
        assert refused_or_one_list({name: value} | needs.get(name, {}))


# As people and YAML 1.2 mean it

MEANT = {
    "010": 10, "+7": 7, "0o17": 15, "0x1F": 31, "1e-3": 0.001, "1.5E3": 1500.0, ".5": 0.5, "5.": 5.0,  # numbers
    "1:30": "1:30", "1_000": "1_000", "0b1": "0b1", "2022-06-01": "2022-06-01", "3 5": "3 5", "١": "١",  # texts
    "yes": "yes", "No": "No", "on": "on", "true": True, "FALSE": False, "tRue": "tRue", "null": None, "~": None,
    "[3, '010', [x]]": [3, "010", ["x"]], "{a: 1}": {"a": 1}, "=": "=", "<<": "<<",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), MEANT.items())
def test_numbers_are_those_of_yaml_1_2_and_all_that_is_not_plainly_one_is_text(text, value):
    assert plain_yaml.load(text) == value and type(plain_yaml.load(text)) is type(value)
    assert plain_yaml.load(f"k: {text}\n") == {"k": value}


def test_on_a_command_line_a_list_of_texts_is_written_like_one_of_numbers():
    told = {"optimizers": "[sgd]", "models": "[CNN3-512-0.1, ANN-Juan-0.1]", "k": "[3]", "activations": "relu"}
    meant = {"optimizers": ["sgd"], "models": ["CNN3-512-0.1", "ANN-Juan-0.1"], "k": [3], "activations": ["relu"]}
    assert parameters.checked(told) == meant
    for half in ("[adam", "adam, sgd]"):
        with pytest.raises(UserError, match="no list that can be read") as error:
            parameters.checked({"optimizers": half})
        assert 'the list of optimizers as "[adam, sgd]"' in error.value.fix


@given(st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back(number):
    assert plain_yaml.load(json.dumps(number)) == plain_yaml.load(f"- {number!r}")[0] == number


REFUSED = {
    "timestamp": "k: !!timestamp x", "bool": "shuffle: !!bool x", "a tag": "k: ! 3", "an own tag": "k: !mine 3",
    "twice": "k: 3\nn: 1\nk: 5", "twice in depth": "k: {a: 1, a: 1}", "anchor": "k: &a 3", "alias": "k: *a",
    "itself": "k: &a [*a]", "deep": "k: " + "[" * 9 + "]" * 9, "deeper": "k: " + "[" * 15_000,
    "long": "k: " + "3" * 10**6, "two": "k: 3\n---\nk: 5", "digits": "k: " + "9" * 5000,
    "hexadecimal": "k: 0x" + "f" * 19_000, "a control": "k: '\0'",
}  # fmt: skip
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(9 * ['*' + before])}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("content", [*REFUSED.values(), LAUGHS], ids=[*REFUSED, "a billion laughs"])
def test_what_grows_or_says_a_thing_twice_is_refused_at_once_in_two_short_lines(content, tmp_path):
    (tmp_path / "mine.yaml").write_text(content)
    began = time.process_time()
    with pytest.raises(UserError) as error:
        parameters.checked(parameters.read_file(tmp_path / "mine.yaml"))
    assert time.process_time() - began < 2
    assert "\n" not in error.value.cause + error.value.fix and len(error.value.cause) < 500


def test_which_name_comes_twice_is_said_with_its_line(tmp_path):
    (tmp_path / "mine.yaml").write_text(REFUSED["twice"])
    with pytest.raises(UserError, match="'k' is there twice, line 1"):
        parameters.read_file(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("CNN3-512-01", "model = 'CNN3-512-01': p = 1.0 (float)\nFix: did you mean CNN3-512-0.1? "),
        ("CNN4-512-0.1", "model = 'CNN4-512-0.1': k = 4 (int)\nFix: did you mean CNN5-512-0.1? "),
        ("CNN-Nahual", "model = 'CNN-Nahual' is no model's name\nFix: did you mean CNN-Nahuel? "),
        ("cnn3-512-0.1", "model = 'cnn3-512-0.1' is no model's name\nFix: did you mean CNN3-512-0.1? "),
        ("CNN" + "9" * 5000 + "-512-0.1", "no model's name"),
    ],
)
def test_a_typo_in_a_model_s_name_is_said_to_be_one_with_what_is_near(given, said):
    for name in ("model", "models"):
        with pytest.raises(UserError) as error:
            parameters.checked({name: given})
        assert said in str(error.value), str(error.value)


def test_a_gpu_is_called_cuda():
    with pytest.raises(UserError, match=r"did you mean cuda\?"):
        parameters.checked({"device": "gpu"})


def test_lists_that_make_millions_of_trainings_are_refused_before_they_are_counted_out():
    began = time.process_time()
    with pytest.raises(UserError, match="make 18,000,000 trainings"):
        parameters.checked({"k": [3, 5], "n": list(range(1, 3001)), "seed": list(range(3000))})
    assert time.process_time() - began < 2
    with pytest.raises(UserError, match="make 16,000 trainings"):
        parameters.checked({"k": [3, 5], "n": [8, 16], "lrs": [1 / i for i in range(1, 2001)], "search_seeds": [1, 2]})
    with pytest.raises(UserError, match="make 2,000,000 trainings"):
        parameters.checked({"ann_p": [i / 2000 for i in range(1000)], "seed": list(range(2000))})
    assert len(parameters.checked({"k": [3], "n": [1, 2], "seed": list(range(5000))})["seed"]) == 5000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
def test_a_pipe_in_place_of_a_params_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "mine.yaml")
    with pytest.raises(UserError, match="no regular file"):
        parameters.read_file(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    "value", ["a" * 5_800_000, ["b" * 5_800_000], {"c": "d" * 5_800_000}, b"e" * 5_800_000], ids=type
)
@pytest.mark.parametrize("name", ["k", "model", "language", "out", "nosuch" * 10**6])
def test_a_value_of_megabytes_is_told_in_few_signs(name, value):
    try:
        parameters.checked({name: value})
    except UserError as error:
        assert len(error.cause) < 500 and len(str(error)) < 1500
    else:
        assert name == "out"  # which may be any text; the system says how long a path is


@pytest.mark.parametrize("name", ["out", "runs_dir", "data_dir"])
@pytest.mark.parametrize("value", ["a\0b", "a\nb", "\x1b[2J", "\ud83d", "~nobody-of-this-name/x"])
def test_a_path_that_no_system_has_is_refused_in_two_lines(name, value):
    with pytest.raises(UserError) as error:
        parameters.checked({name: value})
    assert error.value.cause.isprintable() and error.value.fix.isprintable()


# One line a parameter


def test_the_schema_for_editors_is_the_parameters_own_and_every_params_file_names_and_keeps_it():
    schema = json.loads((ROOT / "params" / "schema.json").read_text("utf-8"))
    assert schema == parameters.schema()
    for file in (ROOT / "params").glob("*.yaml"):
        assert file.read_text("utf-8").splitlines()[0] == "# yaml-language-server: $schema=schema.json"
        jsonschema.validate(yaml.safe_load(file.read_text("utf-8")), schema)


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_the_schema_allows_what_the_door_lets_in(name):
    for value in RIGHT[name]:
        jsonschema.validate({name: value}, parameters.schema())


@pytest.mark.parametrize("wrong", [{"k": []}, {"k": "3"}, {"epochs": 0}, {"p": 1}, {"kernal": 3}, {"optimizer": "SGD"}])
def test_the_schema_refuses_what_the_door_refuses(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, parameters.schema())


def test_every_notebook_says_of_a_parameter_what_its_line_says():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, 4).cells
        (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        for name, meaning in re.findall(r"^(\w+): .*?  # (.*)$", cell.source, re.M):
            assert meaning == parameters.PARAMETERS[name].meaning or name == "out", (path.stem, name)
