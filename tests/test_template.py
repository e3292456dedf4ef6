"""Make it your study: what TEMPLATE.md says is done in a copy, and a report of another data set comes out."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from fmnist_lib import ROOT
from fmnist_lib.commands import report
from fmnist_lib.data import FILES

STEPS = re.findall(r"```diff (\S+)\n(.*?)```", (ROOT / "TEMPLATE.md").read_text("utf-8"), re.S)
SMALL = {"n": "16", "device": "cpu", "precision": "fp32", "kernels": "torch"}  # nothing to compile anew


def change(path, diff):
    """Make the change of a diff in a file that holds its old lines exactly once."""
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
    text = path.read_text("utf-8")
    assert text.count(old) == 1, (path.name, old)
    path.write_text(text.replace(old, new), "utf-8")


def squares(raw):
    """Write another data set of the same shape: a bright square whose place is its class, on noise."""
    rng, raw = np.random.default_rng(0), raw / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images = rng.integers(0, 64, (count, 28, 28), dtype=np.uint8)
        for n in range(10):
            images[labels == n, 4 + 11 * (n // 5) : 12 + 11 * (n // 5), 5 * (n % 5) : 5 * (n % 5) + 6] += 150
        heads = {"images": bytes.fromhex("00000803"), "labels": bytes.fromhex("00000801")}
        sizes = {"images": (count, 28, 28), "labels": (count,)}
        for kind, array in (("images", images), ("labels", labels)):
            head = heads[kind] + np.array(sizes[kind], ">i4").tobytes()
            (raw / f"{part}-{kind}-idx{len(sizes[kind])}-ubyte").write_bytes(head + array.tobytes())
    return {name: hashlib.sha256((raw / name).read_bytes()).hexdigest() for name in FILES}


def test_the_template_s_changes_are_at_most_six_files_and_fit_the_house(tmp_path):
    assert len({name for name, _ in STEPS}) <= 6 and len(STEPS) >= 8
    for name in {name for name, _ in STEPS}:
        copy = tmp_path / os.path.basename(name)
        shutil.copy(ROOT / name, copy)
        for diff in (diff for other, diff in STEPS if other == name):
            change(copy, diff)


@pytest.mark.slow
def test_another_data_set_with_one_more_model_and_claim_gives_its_own_report(tmp_path):
    house = tmp_path / "house"
    for name in ("fmnist_lib", "notebooks", "params", "reports"):
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, diff in STEPS:
        change(house / name, diff)
    data = house / "fmnist_lib" / "data.py"
    for name, digest in squares(house / "data").items():
        data.write_text(data.read_text("utf-8").replace(FILES[name][1], digest), "utf-8")
    given = [word for name, value in SMALL.items() for word in ("-p", name, value)]
    done = subprocess.run(
        [sys.executable, "-m", "fmnist_lib", "report", "smoke", *given, "-p", "out", "reports/mine"],
        cwd=house, env=os.environ | {"PYTHONPATH": str(house)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mine = house / "reports" / "mine"
    for name in report.NOTEBOOKS:
        cells = nbformat.read(mine / f"{name}.ipynb", 4).cells
        assert all(cell.execution_count for cell in cells if cell.cell_type == "code"), name
    assert (mine / "retrain.csv").exists() and (mine / "report.pdf").read_bytes().startswith(b"%PDF")
    assert "QUICK RUN" in (mine / "report.html").read_text("utf-8")
    assert pd.read_csv(mine / "table1.csv")["model"].tolist() == ["CNN3-16-0.1"]
    page = BeautifulSoup((mine / "report.html").read_text("utf-8"), "html.parser")
    assert page.h1.get_text() == "Convolutional classifiers on squares"
    tested = pd.read_csv(mine / "table2.csv").set_index("model")["accuracy"]
    assert {"CNN3-512-0.1", "CNN-Nahuel"} <= set(tested.index)
    assert tested["Softmax"] > 50  # ten squares are easy: it learned, and from these images
    claims = page.select_one("#tab-claims").get_text()
    assert "M1. Convolutions beat a linear classifier" in claims
    shown = nbformat.read(mine / "sample_images.ipynb", 4)
    assert "square 3" in str(shown)
    found = [sys.executable, "-c", "from fmnist_lib.study import sections; print(*sections.collect())"]
    told = subprocess.run(found, cwd=house, env=os.environ | {"PYTHONPATH": str(house)}, capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.strip() == ""  # none of the runs that are shipped, on other images
