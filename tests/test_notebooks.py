"""The notebooks as they are stored: no outputs, one parameters cell that papermill sees whole, the paper's defaults."""

import ast
import io
import json
import re
import symtable
import tokenize
from statistics import median

import nbformat
import papermill
import pytest
from bs4 import BeautifulSoup
from papermill.exceptions import PapermillExecutionError

from fmnist_lib import ROOT, UserError
from fmnist_lib.commands.report import NOTEBOOKS
from fmnist_lib.press.display import roman
from fmnist_lib.press.render import ArticleHTMLExporter
from fmnist_lib.study import parameters, protocol

# what the report does not run
APART = ["benchmark", "certainty", "claims", "cross_validation", "explore", "hyperparameters", "progress", "readings"]
APART += ["beyond", "tradeoff"]
CELLS = {name: nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4) for name in (*NOTEBOOKS, *APART)}
every_notebook = pytest.mark.parametrize("name", CELLS)


def code(name):
    return [cell for cell in CELLS[name].cells if cell.cell_type == "code"]


def cell_of_parameters(name):
    (cell,) = [cell for cell in code(name) if "parameters" in cell.metadata.get("tags", [])]
    return cell


def defaults(name):
    """Return what the parameters cell assigns, by running it."""
    assigned = {}
    exec(cell_of_parameters(name).source, assigned)
    return {key: assigned[key] for key in assigned["__annotations__"]}


def seen(name):
    """Return what papermill sees of the parameters, by name."""
    return papermill.inspect_notebook(ROOT / "notebooks" / f"{name}.ipynb")


def test_the_report_command_runs_every_notebook_but_those_apart():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == {*NOTEBOOKS, *APART}


@every_notebook
def test_a_notebook_is_stored_without_outputs_for_any_python_3_kernel(name):
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(name))
    assert CELLS[name].metadata.kernelspec.name == "python3"
    nbformat.validate(CELLS[name])


@every_notebook
def test_a_code_cell_but_the_parameters_has_at_most_25_lines(name):
    long = [cell for cell in code(name) if len(cell.source.splitlines()) > 25]
    assert [cell.id for cell in long if "parameters" not in cell.metadata.get("tags", [])] == []


def test_the_report_reads_as_a_paper_its_code_short_and_folded_but_for_the_parameters():
    cells = [cell for cell in code("report") if cell is not cell_of_parameters("report")]
    lines = [len(cell.source.splitlines()) for cell in cells]
    assert median(lines) <= 6 and max(lines) <= 15
    assert all(cell.metadata.jupyter.source_hidden for cell in cells)
    assert "source_hidden" not in cell_of_parameters("report").metadata.get("jupyter", {})


@pytest.mark.parametrize("name", ["sweep", "retrain", "test_comparison", "report"])
def test_the_article_of_a_notebook_that_trains_or_reports_carries_its_stamp_and_its_cell_of_parameters(name):
    (stamp,) = [cell for cell in code(name) if "stamp" in cell.metadata.get("tags", [])]
    assert "say(protocol.STAMP" in stamp.source and "**protocol.stamped(params)" in stamp.source
    assert [cell.source for cell in code(name)].count("settings(params, protocol.DEFAULTS)") == 1


def numbered(name):
    """Return the label and the number, as one writes them, of each figure and table that a notebook numbers itself."""
    for cell in code(name):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Figure", "Table"):
                given = {word.arg: word.value for word in node.keywords} | dict(enumerate(node.args))
                if (number := given.get("number") or given.get(4)) is None:
                    continue  # the report numbers what it takes of other studies in the order it comes
                count = ast.literal_eval(number)
                yield given[1].value, f"{node.func.id} {roman(count) if node.func.id == 'Table' else count}"


@every_notebook
def test_each_figure_and_table_has_a_number_of_its_own_and_is_called_by_it(name):
    numbers = dict(numbered(name))
    assert len(set(numbers.values())) == len(numbers) == len(list(numbered(name)))
    source = "\n".join(cell.source for cell in CELLS[name].cells)
    called = re.findall(r"\[([^\]]+)\]\(#((?:fig|tab)-[\w-]+)\)", source)
    assert [(words, label) for words, label in called if numbers.get(label, words) != words] == []
    later = [(words, label) for words, label in called if label not in numbers]  # what the page counts, and names so
    kinds = {"fig": "Figure", "tab": "Table"}
    assert [label for words, label in later if f'"{label}"' not in source or words != kinds[label[:3]]] == []


def test_what_the_paper_numbered_has_its_number_and_ours_come_after():
    numbers = dict(numbered("report"))
    papers = ("fig-convolution", "fig-layer", "fig-pooling", "fig-samples", "fig-architecture", "fig-loss")
    assert [numbers[label] for label in papers] == [f"Figure {n}" for n in range(1, 7)]
    assert (numbers["tab-validation"], numbers["tab-test"]) == ("Table I", "Table II")
    for name in CELLS:
        for label, number in numbered(name):
            if label in numbers:
                assert numbers[label] == number
    assert dict(numbered("sweep"))["tab-sweep"] == "Table I"


@every_notebook
def test_each_parameter_is_one_flat_annotated_commented_line(name):
    for line in cell_of_parameters(name).source.splitlines():
        assert re.fullmatch(r"\w+: (int|float|str|bool|list) = .+  # .+", line), line
        tokens = list(tokenize.generate_tokens(io.StringIO(line).readline))
        assert sum(token.string == "=" for token in tokens) == 1 and line.count("=") == 1, line
        assert "|" not in line.split(" = ")[0], line


@every_notebook
def test_papermill_sees_every_parameter_with_its_type_and_help(name):
    visible = seen(name)
    assert list(visible) == list(defaults(name))
    for parameter in visible.values():
        assert parameter["inferred_type_name"] not in ("", "None") and parameter["help"], parameter
    types = {key: type(value).__name__ for key, value in defaults(name).items()}
    assert types == {key: parameter["inferred_type_name"] for key, parameter in visible.items()}


@every_notebook
def test_the_defaults_are_the_papers_and_pass_their_own_check(name):
    stated = defaults(name)
    assert {key: stated[key] for key in stated if key in protocol.DEFAULTS} == {
        key: protocol.DEFAULTS[key] for key in stated if key in protocol.DEFAULTS
    }
    assert parameters.check(stated) == stated
    assert stated.get("model", protocol.WINNER) == protocol.WINNER


def test_a_parameter_has_one_default_and_one_meaning_in_all_notebooks():
    meanings = {}
    for name in CELLS:
        for key, parameter in seen(name).items():
            if key != "out":  # names the file that each notebook writes
                meanings.setdefault(key, {}).setdefault((parameter["default"], parameter["help"]), []).append(name)
    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}


@every_notebook
def test_one_params_file_with_the_names_of_all_notebooks_passes_the_check_of_each(name):
    everything = {key: value for other in CELLS for key, value in defaults(other).items()}
    cell = "# Parameters\n" + "\n".join(f"{key} = {value!r}" for key, value in everything.items())
    assert set(everything) > set(defaults(name))
    assert parameters.check({"In": [cell]} | everything) == everything
    with pytest.raises(UserError, match="unknown parameter 'kernal'"):
        parameters.check({"In": [cell + "\nkernal = 3"]} | everything)


@every_notebook
def test_nbmake_gives_small_values_to_parameters_that_the_notebook_has_and_a_private_store(name):
    mock = cell_of_parameters(name).metadata.nbmake["mock"]
    assert set(mock) <= set(defaults(name))
    assert parameters.checked(mock) == mock
    reads_what_is_there = name in ("explore",)  # and trains nothing
    assert "runs_dir" not in defaults(name) or reads_what_is_there or mock["runs_dir"] == "temporary"


@every_notebook
def test_the_first_thing_a_notebook_does_with_its_parameters_is_to_check_them(name):
    first = code(name)[1].source
    assert code(name)[0] is cell_of_parameters(name)
    imported = [line for line in first.splitlines() if "import" in line]
    assert imported == ["from fmnist_lib.study.parameters import check"] and "params = check(globals())" in first


@every_notebook
def test_no_other_cell_takes_the_name_of_one_of_the_notebook_s_parameters(name):
    names = set()
    for cell in code(name)[1:]:
        symbols = symtable.symtable(cell.source, name, "exec").get_symbols()
        names |= {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    assert names & set(defaults(name)) == set()  # else the cell that checks them could not run again


@pytest.mark.slow
def test_papermill_with_an_unknown_parameter_stops_at_the_first_cell_with_the_cause_and_the_fix(tmp_path, capfd):
    written = tmp_path / "out.ipynb"
    with pytest.raises(PapermillExecutionError) as error:
        papermill.execute_notebook(
            ROOT / "notebooks" / "sample_images.ipynb", written, {"kernal": 3}, progress_bar=False
        )
    assert error.value.ename == "UserError"
    assert error.value.evalue.startswith("unknown parameter 'kernal'\nFix: ")
    executed = [cell for cell in json.loads(written.read_text())["cells"] if cell.get("execution_count")]
    assert "check(globals())" in "".join(executed[-1]["source"]) and len(executed) <= 4


@pytest.mark.slow
def test_the_article_of_a_sweep_of_one_epoch_says_that_it_is_not_the_papers_protocol(tmp_path):
    small = {"k": 3, "n": 16, "p": 0.1, "epochs": 1, "train_images": 2000, "val_images": 500, "device": "cpu"}
    executed = papermill.execute_notebook(
        ROOT / "notebooks" / "sweep.ipynb",
        tmp_path / "out.ipynb",
        small | {"runs_dir": "temporary"},
        progress_bar=False,
    )
    page = BeautifulSoup(ArticleHTMLExporter().from_notebook_node(executed)[0], "html.parser")
    assert "QUICK RUN, not the paper's protocol · 1 epochs of 2,000 images, patience none" in page.header.get_text()
    bold = {strong.get_text() for strong in page.main.select("p strong")}
    assert {"epochs = 1", "train_images = 2000", "k = [3]"} <= bold and "batch = 500" not in bold
