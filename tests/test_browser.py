"""The article in a real browser: at no width, nor in print, does a table or figure hide what it has to say."""

import io
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_render import curve, html, markdown, notebook, shown

from fmnist_lib.press import diagrams
from fmnist_lib.press.display import Table
from fmnist_lib.press.drawing import svg

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)
WIDTHS = (390, 640, 768, 1280, 1440, 1920)  # CSS pixels; 640 is a window of 1280 at a zoom of 200 %
pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium here")

# Of each picture and table: its box, what can be seen of it, whether it says that there is more, and its letters' size.
MEASURE = """() => [...document.querySelectorAll('main img, main table')].map(shown => {
  const scroll = shown.closest('.scroll'), box = shown.getBoundingClientRect();
  const seen = (scroll ?? shown.parentElement).getBoundingClientRect(), hint = scroll?.querySelector('.hint');
  return {what: shown.closest('figure')?.id, left: seen.left, right: seen.right, width: box.width,
          whole: box.left >= seen.left - 1 && box.right <= seen.right + 1, hinted: hint?.checkVisibility() ?? false,
          letter: shown.tagName == 'TABLE' ? parseFloat(getComputedStyle(shown).fontSize) : null}
})"""
LIST = """() => {
    const list = document.querySelector('nav'), box = list.getBoundingClientRect()
    return getComputedStyle(list).position === 'sticky' ? [box.left, box.right] : [0, 0]  // else it lies above the text
}"""


@pytest.fixture(scope="module")
def article(tmp_path_factory):
    """An article with all that is wide: a table of prose and verdicts, Table I, figures over both columns."""
    effects = [f"The first models of Table {n} do not differ: the winner against the next three" for n in "III"]
    verdicts = pd.DataFrame({"Effect": effects, "paper": "+0.23", "95 % CI": "−0.20 … +0.21", "verdict": "undecidable"})
    verdicts["seeds to decide"] = "a thousand times too many"
    scores = pd.DataFrame({f"score {n}": [f"{n / 7:.4f}"] * 3 for n in range(10)}, ["CNN3-128-0.25"] * 3)
    groups = [("Loss", "paper"), ("Loss", "ours"), ("", "run")]
    grouped = pd.DataFrame([["0.217", "0.219", "412e769f1e"]], ["CNN3"], pd.MultiIndex.from_tuples(groups))
    cells = [
        markdown("## Results\n\n`" + "x" * 200 + "`"),
        shown(curve("fig-c", wide=True)),
        shown(Table(verdicts, "tab-c", "The claims.", wide=True)),
        shown(Table(scores.rename_axis("model"), "tab-d", "The scores.", wide=True)),
        shown(Table(grouped.rename_axis("model"), "tab-e", "By groups.", wide=True, note="One run.")),
    ]
    path = tmp_path_factory.mktemp("page") / "article.html"
    path.write_text(str(html(notebook(*cells))))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with pytest.importorskip("playwright.sync_api").sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=OPTIONS.split())
        yield started
        started.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_a_table_or_figure_does_not_show_at_once_it_says_and_scrolls_to(browser, article, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(article)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    _, beside = page.evaluate(LIST)
    measured = page.evaluate(MEASURE)
    assert {"fig-a", "fig-c", "tab-c", "tab-d"} <= {one["what"] for one in measured}
    for one in measured:
        assert one["left"] >= max(beside, 0) and one["right"] <= width, f"{one} lies under the contents or off the page"
        assert one["hinted"] != one["whole"], f"{one} is cut without a hint, or whole with one"
        assert (one["letter"] or 12) >= 12 and (one["letter"] or one["width"] > 300)
        assert one["whole"] or width < 1280, f"{one} is cut on a desk"
    page.close()


@pytest.mark.parametrize("table", ["tab-c", "tab-d"])
def test_scrolled_to_the_end_the_last_column_is_seen_beside_the_name_of_its_row(browser, article, table):
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(article)
    page.evaluate(f"document.querySelector('#{table} .scroll').scrollLeft = 9999")
    assert page.evaluate(f"document.querySelector('#{table} .scroll').scrollLeft") > 0
    seen, head, name, last = (
        page.locator(f"#{table} {part}").first.bounding_box()
        for part in (".scroll", "thead th", "tbody th", "tbody td:last-child")
    )
    assert head["x"] == name["x"] == pytest.approx(seen["x"], abs=1) and name["width"] < seen["width"] / 2
    assert last["x"] + last["width"] <= seen["x"] + seen["width"] + 1
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_caption_a_note_and_a_source_begin_where_their_table_or_figure_does(browser, article, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(article)
    parts = "[...shown.querySelectorAll('img, table, figcaption, .note, .source')]"
    lefts = f"{parts}.map(part => part.getBoundingClientRect().left)"
    found = page.evaluate(f"[...document.querySelectorAll('main figure')].map(shown => {lefts})")
    assert all(len(some) > 1 and max(some) - min(some) < 1 for some in found), found
    page.close()


def test_in_a_head_only_a_group_with_a_name_has_a_rule_of_its_own(browser, article):
    page = browser.new_page()
    page.goto(article)
    rules = "cell => [cell.textContent, getComputedStyle(cell).borderBottomWidth]"
    found = page.evaluate(f"[...document.querySelectorAll('#tab-e thead tr:first-child > *')].map({rules})")
    assert found == [["", "0px"], ["Loss", "1px"], ["", "0px"]]
    page.close()


def test_a_dark_page_is_as_dark_as_its_figures(browser, article):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page.goto(article)
    page.evaluate("document.querySelector('#fig-c').scrollIntoView()")
    box = page.locator("#fig-c img").bounding_box()
    photo = plt.imread(io.BytesIO(page.screenshot()))
    inside, beside = (photo[int(box["y"]) + 3, int(box["x"]) + dx, :3] for dx in (3, -9))
    assert inside.max() < 0.2 and inside.tolist() == beside.tolist()
    page.close()


def test_on_a_dark_page_feature_maps_keep_their_light_and_a_garment_does_not(browser):
    stages = [np.pad([[[1.0]]], ((0, 0), (0, side - 1), (0, side - 1))) for side in (28, 28, 14)]
    ax = plt.subplots(figsize=(7, 3.4))[1]
    drawn = svg(diagrams.conv_layer(ax, np.zeros((28, 28)), *stages, channels=[0]).figure, "")
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    plt.close(ax.figure)
    page.set_content(drawn.partition("?>")[2])
    photo = plt.imread(io.BytesIO(page.screenshot()))
    boxes = [image.bounding_box() for image in page.locator("image").all()]
    tones = [photo[int(b["y"] + b["height"] / 2), int(b["x"] + b["width"] / 2), :3].mean() for b in boxes]
    assert len(tones) == 4 and tones[0] < 0.2 and min(tones[1:]) > 0.8  # white on paper, all four
    page.close()


def test_print_has_no_contents_no_hints_and_all_of_each_table(browser, article):
    page = browser.new_page(viewport={"width": 658, "height": 900})  # CSS pixels of A4 between its margins
    page.goto(article)
    page.emulate_media(media="print")
    assert not any(page.locator(name).first.is_visible() for name in ("nav", ".skip", ".hint"))
    assert all(one["right"] <= 658 for one in page.evaluate(MEASURE))
    page.close()
