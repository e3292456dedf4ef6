"""The house stays in order: nothing imports upwards, no file grows long, one set of versions, no one's own paths."""

import ast
import re
import subprocess
import tomllib
from graphlib import TopologicalSorter

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from fmnist_lib import ROOT

HOUSE = ROOT / "fmnist_lib"
PATHS = [path for path in HOUSE.rglob("*.py") if path.stem != "__init__"] + [HOUSE / "kernels" / "__init__.py"]
LIBRARY = {".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__"): path for path in PATHS}
PRESS = {name: path for name, path in LIBRARY.items() if name.startswith("press.")}


def imports(path):
    """List the modules that a file imports anywhere in it, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def neighbours(path):
    named = [f"{name}." for name in imports(path)]
    among = [[module for module in LIBRARY if name.startswith(f"fmnist_lib.{module}.")] for name in named]
    return {max(modules, key=len) for modules in among if modules}


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


WINGS = {  # whom each may import; the core is what lies beside `__init__`, which is open to all
    "core": {"core", "kernels"},
    "kernels": {"core", "kernels"},
    "runs": {"core", "runs"},
    "workers": {"core", "runs", "workers"},
    "study": {"core", "kernels", "runs", "workers", "study"},
    "press": {"press"},
    "commands": {"core", "kernels", "runs", "workers", "study", "press", "commands"},
}


def wing(module):
    first = module.split(".")[0]
    return "commands" if module == "__main__" else first if (HOUSE / first).is_dir() else "core"


def test_every_wing_imports_only_what_it_may_and_nothing_imports_in_a_circle():
    graph = {name: neighbours(path) for name, path in LIBRARY.items()}
    assert [(a, b) for a in graph for b in graph[a] if wing(b) not in WINGS[wing(a)]] == []
    TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_the_press_needs_no_torch():
    for path in PRESS.values():
        assert not [other for other in imports(path) if other.split(".")[0] in ("torch", "torchvision")]


@pytest.mark.parametrize("name", ("study.parameters", "study.protocol", "recipe", "commands.report", "commands.line"))
def test_what_checks_parameters_does_not_import_torch(name):
    assert not [other for other in imports(LIBRARY[name]) if other.split(".")[0] == "torch"]


def test_no_notebook_imports_another():
    paths = [*(ROOT / "notebooks").glob("*.ipynb")]
    pattern = re.compile(rf"^\s*(?:import|from) (?:{'|'.join(path.stem for path in paths)})\b|%run", re.M)
    assert pattern.search("x = 1\nfrom sweep import table")
    for path in paths:
        assert not [cell.source for cell in nbformat.read(path, 4).cells if pattern.search(cell.source)]


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_no_file_of_the_library_is_over_200_lines(name):
    assert len(LIBRARY[name].read_text("utf-8").splitlines()) <= 200


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [line for line in project["dependencies"] + extras if Requirement(line).name != project["name"]]


def pinned():
    """Return the versions to which each name of constraints.txt is pinned, one a platform."""
    versions = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line.split(" #")[0])
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            versions.setdefault(canonicalize_name(requirement.name), []).append(Version(specifier.version))
    return versions


@pytest.mark.parametrize("stated", requirements())
def test_every_dependency_is_pinned_within_its_range(stated):
    requirement = Requirement(stated)
    versions = pinned()[canonicalize_name(requirement.name)]
    assert versions and all(version in requirement.specifier for version in versions)


def test_what_the_library_imports_is_a_stated_dependency():
    known = {
        "yaml": "pyyaml",
        "bs4": "beautifulsoup4",
        "IPython": "ipykernel",
        "pypandoc": "pypandoc-binary",
        "llvmlite": "numba",
    }
    known |= {
        "PIL": "pillow",
        "llvmlite": "numba",
        "nbformat": "nbconvert",
        "nbclient": "papermill",
        "traitlets": "nbconvert",
        "jinja2": "nbconvert",
    }
    stated = {canonicalize_name(Requirement(line).name) for line in requirements()}
    used = {name.split(".")[0] for path in LIBRARY.values() for name in imports(path)}
    foreign = used - {"fmnist_lib", "None"} - set(__import__("sys").stdlib_module_names)
    assert {canonicalize_name(known.get(name, name)) for name in foreign} <= stated


def test_conda_takes_its_versions_from_the_same_two_files():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *packages, pip = environment["dependencies"]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert [name for name in packages if re.search(r"\d", name)] == [f"python{python}"]
    options = " ".join(pip["pip"])
    assert re.search(r"(-c|--constraint)[ =]constraints\.txt", options)
    assert re.search(r"(-e|--editable)[ =]\.\[test\]", options) and not re.search(r"\d", options)


def test_no_file_names_a_path_of_some_machine():
    elsewhere = re.compile(r"""(?:^|[\s"'`(=:,])/(?:work|home|root|Users|farm|tmp)/""")
    texts = [
        path
        for path in tracked()
        if path.suffix
        in {
            ".py",
            ".md",
            ".toml",
            ".txt",
            ".yml",
            ".yaml",
            ".ipynb",
            ".cff",
            ".typ",
            ".html",
            ".css",
            ".json",
            ".po",
            ".csv",
            "",
        }
    ]
    found = [
        (path.name, line) for path in texts for line in path.read_text("utf-8").splitlines() if elsewhere.search(line)
    ]
    assert [line for name, line in found if name != "test_layout.py"] == []


def faults():
    """Return the rows of the table of faults: identifier, what goes wrong, what happens, the tests."""
    lines = (ROOT / "tests" / "README.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in rows[2:] if not row[0].startswith("**")]


def test_every_fault_has_a_row_and_every_test_named_in_a_row_exists():
    counts = {"P": 7, "D": 6, "T": 6, "S": 14, "N": 8}
    assert {f"{part}{n}" for part, count in counts.items() for n in range(1, count + 1)} <= {row[0] for row in faults()}
    for *_, named in faults():
        stem, resolved = None, 0
        for name in re.findall(r"`([^`]+)`", named):
            if name.startswith("test_"):
                stem, resolved = name, resolved + (ROOT / "tests" / f"{name}.py").exists()
            elif not name.startswith("pytest "):
                beginning = re.escape(re.sub(r"…?(\[.*\])?$", "", name))
                source = (ROOT / "tests" / f"{stem}.py").read_text("utf-8")
                assert re.search(rf"^def test_{beginning}", source, re.M), f"{stem}: {name}"
        assert resolved, named


def test_a_package_of_the_library_has_every_file_that_git_has():
    held = {path.relative_to(ROOT).as_posix() for path in tracked() if path.is_relative_to(ROOT / "fmnist_lib")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = [path.parent for path in (ROOT / "fmnist_lib").rglob("__init__.py")]
    folders = {".".join(path.relative_to(ROOT).parts): path for path in found}
    packed = {path for folder in folders.values() for path in folder.glob("*.py")}
    data = project["package-data"].items()
    packed |= {path for name, patterns in data for pattern in patterns for path in folders[name].glob(pattern)}
    assert held - {path.relative_to(ROOT).as_posix() for path in packed} == set()
