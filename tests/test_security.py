"""What the library never does: run what it reads, ask a network, share its temporary files, trust a download."""

import ast
import gzip
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from fmnist_lib import ROOT, UserError, data
from fmnist_lib.runs.store import Store
from fmnist_lib.study import parameters
from fmnist_lib.workers import download

LIBRARY = sorted((ROOT / "fmnist_lib").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """List the calls in a file, each with the dotted name that is called."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def modules(tree: ast.AST) -> set[str]:
    """Name the modules that a file imports, anywhere in it, by their first part."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text("utf-8"))


every_module = pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)


# No code in what is read


RUNS_CODE = {"eval", "exec", "compile", "__import__", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
RUNS_CODE |= {"pd.read_pickle", "np.load", "runpy.run_path", "importlib.import_module"}


@every_module
def test_no_module_unpickles_or_runs_what_it_reads(path):
    assert not {name for name, _ in calls(tree(path))} & RUNS_CODE
    assert not modules(tree(path)) & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    assert "allow_pickle" not in path.read_text("utf-8")


CODE = ("object/apply:os.system [exit]", "object/new:os.system [exit]", "name:os.system", "module:os")


@pytest.mark.parametrize("tag", CODE)
def test_yaml_that_names_code_is_refused_and_runs_none(tmp_path, tag, monkeypatch):
    monkeypatch.setattr(os, "system", pytest.fail)
    (tmp_path / "mine.yaml").write_text(f"k: !!python/{tag}\n")
    with pytest.raises(UserError, match=r"cannot read .*mine\.yaml"):
        parameters.read_file(tmp_path / "mine.yaml")
    with pytest.raises(UserError, match="k = "):
        parameters.checked({"k": f"!!python/{tag}"})


# No shell


@every_module
def test_no_module_calls_a_shell(path):
    found = calls(tree(path))
    assert not [name for name, _ in found if re.match(r"os\.(system|popen|exec|spawn|posix_spawn)", name)]
    processes = [call for name, call in found if name.startswith("subprocess.") or name == "_call"]
    assert not [word for call in processes for word in call.keywords if word.arg == "shell"]
    assert not [call for call in processes if isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)]


def test_what_is_handed_to_a_process_is_a_list_of_words(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: seen.append((command, options)) or DONE)
    download._call(["apt-get", "$(touch x); `y`"], tmp_path, 1)
    ((command, options),) = seen
    assert command == ["apt-get", "$(touch x); `y`"] and "shell" not in options and options["timeout"] == 1


DONE = subprocess.CompletedProcess([], 0, "", "")


# No network, and nobody is told

DEAF = """
import socket, sys
ASKED = {"socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request", "subprocess.Popen", "os.system"}

def forbidden(*arguments, **_):
    raise SystemExit(f"the network was asked: {arguments}")

socket.getaddrinfo = socket.create_connection = forbidden
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = forbidden
sys.addaudithook(lambda event, arguments: forbidden(event, arguments) if event in ASKED else None)
"""


@pytest.mark.slow
def test_importing_every_module_asks_no_network_and_writes_nothing(tmp_path):
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in LIBRARY]
    names = [".".join(names) for names in parts if names[-1] not in ("__init__", "__main__")]
    code = "\n".join([DEAF, *(f"import {name}" for name in names)])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_trap_for_the_network_works():
    for ask in ("socket.create_connection(('127.0.0.1', 9))", "socket.socket().connect(('127.0.0.1', 9))"):
        done = subprocess.run([sys.executable, "-c", DEAF + ask], capture_output=True, text=True, timeout=60)
        assert "the network was asked" in done.stderr


TELLS = {"requests", "urllib", "http", "httpx", "aiohttp", "ftplib", "smtplib", "wandb", "mlflow", "sentry_sdk"}


@every_module
def test_only_the_data_set_is_ever_fetched(path):
    found = modules(tree(path))
    assert not found & TELLS
    assert "socket" not in found or path.stem == "download"  # for the time after which a silent mirror is given up
    assert not [
        name for name, _ in calls(tree(path)) if "urlretrieve" in name or "urlopen" in name or name.endswith("download")
    ]


def test_no_notebook_has_a_cell_that_asks_a_network_or_a_shell():
    for path in NOTEBOOKS:
        cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        assert not re.findall(r"requests|urllib|subprocess|os\.system|^\s*[!%]", "\n".join(cells), re.M), path


# Private temporary files


@every_module
def test_temporary_files_have_unguessable_names_or_lie_beside_their_target(path):
    names = {name.split(".")[-1] for name, _ in calls(tree(path))}
    assert not names & {"mktemp", "tmpnam", "NamedTemporaryFile", "gettempdir"}
    assert not re.search(r"""["']/(var/)?tmp\b""", path.read_text("utf-8"))


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_temporary_folder_of_runs_is_the_users_alone():
    place = Store("temporary").folder
    assert stat.S_IMODE(place.stat().st_mode) == 0o700 and place.parent == Path(tempfile.gettempdir())
    assert Store("temporary").folder != place


# Nothing that was fetched is used before it is verified


@pytest.mark.parametrize("what", ["other bytes", "a bomb of zeros"])
def test_what_a_source_gives_is_verified_before_it_has_a_name(tmp_path, monkeypatch, what):
    raw, source, seen = tmp_path / "FashionMNIST" / "raw", tmp_path / "source", []
    source.mkdir()
    for name, (size, _) in data.FILES.items():
        (source / f"{name}.gz").write_bytes(gzip.compress(bytes(size) if what == "a bomb of zeros" else b"evil"))
    monkeypatch.setattr(download, "DEBIAN_FOLDER", source)
    monkeypatch.setattr(download, "_put", lambda *written: seen.append(written))
    with pytest.raises(UserError, match="SHA-256"):
        download.fetch(tmp_path, offline=True)
    assert not seen and not list(raw.glob("[!.]*"))
