"""A notebook in a real JupyterLab: its figures suit the theme, and a reference scrolls to what it names."""

import io
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from test_browser import BROWSER, browser  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.skipif(not BROWSER, reason="no chromium here"), pytest.mark.slow]
SHOWN = """import matplotlib.pyplot as plt
import pandas as pd
from fmnist_lib.press.display import Figure, Table
fig, ax = plt.subplots()
ax.bar([1], [1])
Figure(fig, "fig-bar", "A bar.", "A bar.", number=1)"""
TABLE = """Table(pd.DataFrame({"a": range(30)}), "tab-rows", "Thirty rows.", number=1)"""
EMPTY = "<br>" * 40  # a screen of nothing, so that the page has to be scrolled
PATIENCE = 60_000  # ms, on a machine that does much else


@pytest.fixture(scope="module", params=["Light", "Dark"])
def lab(request, tmp_path_factory):
    """The address of a notebook in a JupyterLab of that theme, and the theme."""
    folder = tmp_path_factory.mktemp("lab ñ")
    references = "See [Figure 1](#fig-bar) and [Table I](#tab-rows)."
    cells = [references, EMPTY], [SHOWN], [EMPTY], [TABLE], [EMPTY]
    kinds = new_markdown_cell, new_code_cell, new_markdown_cell, new_code_cell, new_markdown_cell
    notebook = new_notebook(cells=[kind("\n\n".join(text)) for kind, text in zip(kinds, cells, strict=True)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "shown.ipynb")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"theme": f"JupyterLab {request.param}"}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port, token = free.getsockname()[1], secrets.token_hex(8)
    options = "--no-browser", "--allow-root", f"--port={port}", f"--IdentityProvider.token={token}"
    places = {"JUPYTERLAB_SETTINGS_DIR": folder / "settings", "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces"}
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
    environment = os.environ | {name: str(place) for name, place in places.items()}
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token={token}", server)
        yield f"{address}/lab/tree/shown.ipynb?token={token}", request.param
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(address: str, server: subprocess.Popen):
    for _ in range(300):
        assert server.poll() is None
        try:
            return urlopen(address).close()
        except OSError:
            time.sleep(0.3)
    pytest.fail("JupyterLab does not answer")


@pytest.fixture(scope="module")
def page(browser, lab):  # noqa: F811
    """The notebook after Run All, on a desktop whose own scheme is the other one."""
    address, theme = lab
    scheme = "light" if theme == "Dark" else "dark"
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # run before, the notebook asks for a kernel
    page.click("text=Run >> nth=0")
    page.click("text=Run All Cells >> nth=0")
    page.wait_for_selector(".jp-RenderedSVG img", state="attached")
    page.wait_for_selector(".jp-OutputArea table", state="attached")
    yield page
    page.close()


def test_a_figure_is_light_or_dark_as_the_theme_and_not_as_the_desktop(page, lab):
    image = page.locator(".jp-RenderedSVG img").first
    image.scroll_into_view_if_needed()
    corner = Image.open(io.BytesIO(image.screenshot())).convert("L").getpixel((3, 3))
    assert corner > 250 if lab[1] == "Light" else corner < 40


@pytest.mark.parametrize(("reference", "target"), [("Figure 1", "svg"), ("Table I", "table")])
def test_a_reference_scrolls_to_the_top_of_what_it_names(page, reference, target):
    shown = page.locator({"svg": ".jp-RenderedSVG img", "table": ".jp-OutputArea table"}[target]).first
    link = page.get_by_role("link", name=reference)
    link.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    link.click()
    panel = page.locator(".jp-WindowedPanel-outer").bounding_box()
    for _ in range(40):  # it scrolls in time of its own
        box = shown.bounding_box()
        if box and panel["y"] <= box["y"] <= panel["y"] + panel["height"] / 2:
            return
        page.wait_for_timeout(250)
    pytest.fail(f"{reference} is at {box}, the notebook at {panel}")
