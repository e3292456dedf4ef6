"""The article: the same numbers in HTML and PDF, markup as text, no network, no script."""

import functools
import hashlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from babel.messages import Message
from bs4 import BeautifulSoup
from nbconvert.exporters import get_exporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pypdf import PdfReader

from fmnist_lib import UserError
from fmnist_lib.press import language as words_of
from fmnist_lib.press.article import WIDGET, compose
from fmnist_lib.press.display import Figure, Table, looks_numeric, say
from fmnist_lib.press.formulas import spoken
from fmnist_lib.press.language import number
from fmnist_lib.press.render import ArticleHTMLExporter, ArticlePDFExporter

HOSTILE = r"<script>alert(1)</script> $x_1$ #h _a_ **b** @fig-loss \alpha -- {{ 7 }} `c`"
STAMP = "QUICK RUN · 2 epochs of 5,000 images · seeds 0 · cpu, bf16"


def markdown(source: str, *tags: str):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def shown(item, *tags: str):
    """A code cell that has shown `item`, as its kernel would have stored it."""
    if isinstance(item, (Figure, Table)):
        data, metadata = item._repr_mimebundle_()
    elif isinstance(item, pd.DataFrame):
        data, metadata = {"text/html": item.to_html(), "text/plain": str(item)}, {}
    elif isinstance(item, str):
        data, metadata = {"text/plain": repr(item)}, {}
    else:
        data, metadata = {"text/markdown": item.data}, {}
    output = new_output("display_data", data=data, metadata=metadata)
    return new_code_cell("secret_code()", outputs=[output], metadata={"tags": list(tags)})


@functools.cache
def curve(label: str, wide: bool = False, number: int = 0) -> Figure:
    figure, ax = plt.subplots(figsize=(7 if wide else 3.4, 2))
    ax.plot([1, 2, 3], [3, 1, 2])
    caption = f"Loss $\\mathcal{{L}}$ of {label} (cf. [Table II](#tab-b))."
    return Figure(figure, label, caption, f"A curve of {label}", number, wide)


def frame(columns: int = 3) -> pd.DataFrame:
    values = np.arange(14 * columns).reshape(14, columns) / 7
    names = pd.Index([f"CNN{k}-512-0.{k}" for k in range(14)], name="model")
    return pd.DataFrame(values, index=names, columns=[f"c{i}" for i in range(columns)])


def notebook(*cells, language: str = "en", date: str | None = "2026-03-14T09:26:53+00:00"):
    """A notebook with everything an article has, then `cells`; the same from call to call."""
    nb = new_notebook(metadata={"papermill": {"parameters": {"language": language}}})
    nb.cells = [
        *([shown(date, "date")] if date else []),
        markdown("# A classifier of $28 \\times 28$ images\n\nA. Author, *Somewhere*"),
        shown(say("We reproduce it."), "abstract"),
        shown(STAMP, "stamp"),
        shown(say("runs 3f9a · `make report`"), "foot"),
        markdown(
            "## Method\n\nSee [the second](#fig-b), [Figure 1](#fig-a), [Table II](#tab-b) and [Eq. (1)](#eq-loss)."
            "\n\n$$ a^2 $$ {#eq-loss}"
        ),
        shown(curve("fig-a")),
        shown(Table(frame(), "tab-a", "The sweep.")),
        markdown("#### Details\n\nText."),
        shown(curve("fig-b", wide=True)),
        shown(Table(frame(10), "tab-b", "Ours and theirs (see [Figure 1](#fig-a)).", wide=True, note="Runs 3f9a.")),
        *cells,
        markdown("## References\n\n1. H. Xiao. [arXiv](https://arxiv.org/abs/1708.07747), 2017."),
    ]
    for i, cell in enumerate(nb.cells):
        cell.id = f"cell-{i}"
    return nb


def html(nb, **options) -> BeautifulSoup:
    return BeautifulSoup(ArticleHTMLExporter(**options).from_notebook_node(nb)[0], "html.parser")


def pages(nb, **options) -> list[str]:
    pdf, _ = ArticlePDFExporter(**options).from_notebook_node(nb)
    return [page.extract_text().replace("\u00a0", " ") for page in PdfReader(BytesIO(pdf)).pages]


def squeezed(text: str) -> str:
    """The text without its white space, which a PDF places where it likes."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("words", [("en", "Figure", "Table"), ("es", "Figura", "Tabla")])
def test_captions_have_the_same_numbers_in_both_outputs(words):
    language, figure, table = words
    nb = notebook(language=language)
    expected = {f"{figure} 1. Loss", f"{figure} 2. Loss", f"{table} I. The", f"{table} II. Ours"}
    caption = rf"(?:{figure}|{table}) [\dIVX]+\. \w+"
    text = " ".join(c.get_text() for c in html(nb).select("figcaption"))
    in_html, in_pdf = (re.findall(caption, t) for t in (text.replace("\u00a0", " "), " ".join(pages(nb))))
    assert sorted(in_html) == sorted(in_pdf) == sorted(expected)


def test_references_lead_to_their_targets_under_the_target_s_number():
    page = html(notebook())
    links = {a["href"]: a.get_text().replace("\u00a0", " ") for a in page.select("main a[href^='#']")}
    assert links == {"#fig-a": "Figure 1", "#fig-b": "Figure 2", "#tab-b": "Table II", "#eq-loss": "Eq. (1)"}
    assert all(page.find(id=href[1:]) for href in links)
    assert "See Figure 2, Figure 1, Table II and Eq. (1)." in pages(notebook())[0].replace("\n", " ")


def test_each_table_and_picture_has_its_own_caption_note_source_and_words_for_ears_in_both_outputs():
    noted = Table(frame(2), "tab-own", "Own caption.", note="Own note.", runs=["r1"])
    nb = notebook(shown(noted))
    page = html(nb)
    table = page.select_one("#tab-own")
    assert [table.figcaption.get_text()[-12:], table.select_one(".note").get_text()] == ["Own caption.", "Own note."]
    assert table.select_one(".source").get_text() == "Source: Notebook.ipynb · r1"
    assert {cell["scope"] for cell in table.select("tbody th")} == {"row"}
    assert {cell["scope"] for cell in table.select("thead th")} == {"col"}
    assert {tuple(cell["class"]) for cell in table.select("td")} == {("number",)}
    assert [image["alt"] for image in page.find_all("img")] == ["A curve of fig-a", "A curve of fig-b"]
    contents = {a["href"]: a.get_text() for a in page.select("nav a")}
    assert len(contents) > 2 and all(page.find(id=href[1:]).get_text() == words for href, words in contents.items())
    source, _ = super(ArticlePDFExporter, ArticlePDFExporter()).from_notebook_node(nb)
    assert re.search(r"Own caption\.\],\s*note: \[Own note\.\],\s*source: \[Source: ", source)
    assert source.count("Own caption.") == 1 and "year: 2026, month: 3, day: 14)" in source
    assert 'align: left)[#"CNN1-512-0.1"]' in source and 'align: right)[#"0.143"]' in source
    assert [f'"A curve of fig-{name}"' in source for name in "ab"] == [True, True]


def test_a_section_of_a_name_that_was_there_before_has_an_anchor_of_its_own():
    page = html(notebook(*(markdown(f"## Twice\n\nText {i}.") for i in (1, 2))))
    one, two = [a["href"][1:] for a in page.select("nav a") if a.get_text().endswith("Twice")]
    assert [page.find(id=name).find_next("p").get_text() for name in (one, two)] == ["Text 1.", "Text 2."]


def test_the_runs_that_are_told_are_those_given_and_else_those_of_the_data():
    data = pd.DataFrame({"run": ["a", "b", "a"], "x": 1.0})
    told = [Table(data, "tab-x", "X.", data=data, runs=given).metadata["fmnist"]["runs"] for given in ((), ["c"])]
    assert told == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("exporter", "source", "named"),
    [
        (ArticleHTMLExporter, "See [Figure 1](#fig-los).", "fig-los"),
        (ArticleHTMLExporter, "See [there](#nowhere).", "nowhere"),
        (ArticleHTMLExporter, r"$\nosuchmacro{x}$", r"\nosuchmacro"),
        (ArticlePDFExporter, r"$\nosuchmacro{x}$", r"\nosuchmacro"),
    ],
)
def test_a_wrong_reference_or_an_unknown_macro_fails_the_build_by_name(exporter, source, named):
    with pytest.raises(UserError) as error:
        exporter().from_notebook_node(notebook(markdown(source)))
    assert named in error.value.cause and "\n" not in error.value.cause


def test_a_label_or_a_number_used_twice_fails_the_build():
    with pytest.raises(UserError, match="fig-a"):
        html(notebook(shown(curve("fig-a"))))
    with pytest.raises(UserError, match=r"Figure\s6"):
        html(notebook(shown(curve("fig-c", number=6)), shown(curve("fig-d", number=6))))


def test_what_has_the_paper_s_number_keeps_it_and_the_rest_goes_on_from_there():
    captions = html(notebook(shown(curve("fig-c", number=6)))).select("figcaption strong")
    numbers = [caption.get_text().replace("\u00a0", " ") for caption in captions]
    assert numbers == ["Figure 7.", "Table I.", "Figure 8.", "Table II.", "Figure 6."]


def test_html_asks_no_network_and_runs_no_script():
    remote = "![picture](https://example.org/a.png) <img src=https://example.org/b.png>"
    page = html(notebook(markdown(remote)))
    assert not page.select("script, link, iframe, object, embed, base, form")
    assert "default-src 'none'" in page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert not [tag for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
    assert all(image["src"].startswith("data:image/") for image in page.find_all("img"))
    styles = [s.get_text() for s in page.find_all("style")] + [t["style"] for t in page.select("[style]")]
    assert not re.search(r"url\(|@import|https?:", " ".join(styles))
    assert "secret_code" not in str(page)


def test_html_can_be_heard_and_walked_by_keyboard():
    page = html(notebook(language="es"))
    assert page.html["lang"] == "es"
    assert len(page.find_all("h1")) == 1 and page.main and page.header and page.footer
    levels = [int(h.name[1]) for h in page.find_all(re.compile("^h[1-6]$"))]
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(image.get("alt") for image in page.find_all("img"))
    assert all(cell.get("scope") in ("row", "col") for cell in page.find_all("th"))
    region = {"role": "region", "tabindex": "0"}
    assert all(table.find_parent(attrs=region) for table in page.find_all("table"))
    assert len({tag["id"] for tag in page.select("[id]")}) == len(page.select("[id]"))


def test_markup_in_a_value_reaches_both_outputs_as_text():
    error = new_output("error", ename="ValueError", evalue=HOSTILE, traceback=[])
    hostile = pd.DataFrame({"name": [HOSTILE], HOSTILE: [1.5]})
    places = [
        shown(HOSTILE, "foot"),
        shown(say("It is {value}.", value=HOSTILE)),
        shown(Table(hostile, "tab-x", "A {value}.", note="{value}", wide=True, value=HOSTILE)),
        shown(hostile),
        new_code_cell("x", outputs=[error]),
    ]
    nb, times = notebook(*places), 9  # a frame holds it twice, the foot is there beside the notebook's own
    page = html(nb)
    assert page.body.get_text().count(HOSTILE) == times and not page.find("script")
    assert squeezed("".join(pages(nb))).count(squeezed(HOSTILE)) >= times


def test_what_is_printed_is_shown_where_its_cell_says_so_and_nothing_has_the_colours_of_a_terminal():
    red = "\x1b[31m{}\x1b[0m".format
    printed = new_output("stream", name="stdout", text=red("printed"))
    error = new_output("error", ename="ValueError", evalue=red("wrong"), traceback=[])
    plain = new_output("display_data", data={"text/plain": red("plain")})
    widget = new_output("display_data", data={"text/plain": "HBox()", WIDGET: {}})
    tagged = new_code_cell(outputs=[printed], metadata={"tags": ["show-stdout"]})
    blocks = compose(new_notebook(cells=[new_code_cell(outputs=[printed, error, widget, plain]), tagged]), "en")[
        "blocks"
    ]
    assert [block["raw"] for block in blocks] == ["ValueError: wrong", "plain", "printed"]


def test_a_cell_over_several_rows_stays_so_and_those_beside_it_are_still_of_their_own_columns():
    names = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c"), ("d", "e")])
    (grid,) = compose(new_notebook(cells=[shown(pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=names))]), "en")["blocks"]
    rows = [[(cell["text"], cell["rows"], cell["numeric"]) for cell in row] for row in grid["rows"]]
    assert rows[0] == [("a", 2, False), ("b", 1, False), ("1.0", 1, True)]
    assert rows[1] == [("c", 1, False), ("2.0", 1, True)]


def test_a_figure_is_a_drawing_wherever_it_has_one_and_a_title_without_an_abstract_is_followed_by_text():
    article = compose(notebook(), "en")
    assert [block["mime"] for block in article["blocks"] if block["kind"] == "figure"] == ["image/svg+xml"] * 2
    assert article["byline"]["text"] == "A. Author, *Somewhere*"
    plain = compose(new_notebook(cells=[markdown("# Title\n\nOne.\n\nTwo.")]), "en")
    assert plain["byline"]["text"] == "" and plain["blocks"][0]["text"].split() == ["One.", "Two."]


def test_a_group_of_columns_has_its_name_over_all_of_them_and_what_is_true_is_a_word():
    columns = pd.MultiIndex.from_tuples([("loss", "ours"), ("loss", "paper"), ("best", "ours")])
    table = BeautifulSoup(
        Table(pd.DataFrame([[1.0, 2.0, True]], ["M"], columns), "tab-x", "").data["text/html"], "html.parser"
    )
    assert [(th.text, th["colspan"]) for th in table.select("[scope=colgroup]")] == [("loss", "2"), ("best", "1")]
    assert table.select("td")[-1].text == "True"


def test_the_stamp_is_on_every_page_and_the_foot_too():
    text = pages(notebook(*[markdown("word " * 900) for _ in range(3)]))
    assert len(text) > 2
    assert all(squeezed(STAMP) in squeezed(page) and "3f9a · make report" in page for page in text)
    page = html(notebook())
    assert STAMP in page.header.get_text() and STAMP in page.footer.get_text()


def test_a_table_taller_than_a_page_is_set_smaller_and_stays_above_the_foot():
    long = "A sentence that is longer than its column, which has to wrap once or twice, since it goes on and on. "
    rows = pd.DataFrame({"Effect": [f"{i}. {long}" for i in range(90)], "n": range(90), "verdict": ["not judged"] * 90})
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(shown(Table(rows, "tab-x", "All.", wide=True))))
    heights = {}
    for page in PdfReader(BytesIO(pdf)).pages:
        page.extract_text(visitor_text=lambda text, cm, tm, *_: heights.setdefault(text[:4], cm[5]))
    assert {"0. A", "89. "} <= heights.keys()
    assert heights["0. A"] > heights["89. "] > 60  # points from the lower edge, where the foot is


def test_a_column_s_table_has_its_caption_above_it_wherever_the_column_ends():
    cells = []
    for n in range(24):
        rows = pd.DataFrame({"model": [f"M{n}R{i}." for i in range(6)], "n": range(6)})
        cells += [markdown("word " * 23 * (n % 5 + 1)), shown(Table(rows, f"tab-{n}", f"Rows{n}."))]
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(*cells))
    places = {}
    for sheet, page in enumerate(PdfReader(BytesIO(pdf)).pages):

        def note(text, cm, tm, *_, sheet=sheet):
            column = (tm[4] or cm[4]) > 105 / 25.4 * 72  # points, of A4's half
            places.update({word: (sheet, column) for word in re.findall(r"Rows\d+\.|M\d+R0\.", text)})

        page.extract_text(visitor_text=note)
    assert len(places) == 48 and len(set(places.values())) > 6
    assert [n for n in range(24) if places[f"Rows{n}."] != places[f"M{n}R0."]] == []


def test_a_column_s_table_breaks_only_if_it_is_long():
    cells, lengths = [], [*[20] * 10, 190]
    for n, length in enumerate(lengths):
        rows = pd.DataFrame({"model": [f"T{n}R{i}." for i in range(length)], "n": range(length)})
        cells += [markdown("word " * 70 * (n % 4 + 1)), shown(Table(rows, f"tab-{n}", "Rows."))]
    pdf, places = ArticlePDFExporter().from_notebook_node(notebook(*cells))[0], {}
    for sheet, page in enumerate(PdfReader(BytesIO(pdf)).pages):

        def note(text, cm, tm, *_, sheet=sheet):
            for table in re.findall(r"T(\d+)R\d+\.", text):
                places.setdefault(int(table), set()).add((sheet, (tm[4] or cm[4]) > 105 / 25.4 * 72))

        page.extract_text(visitor_text=note)
    assert [len(places[n]) for n in range(10)] == [1] * 10 and len(places[10]) > 2


def test_what_floats_comes_before_the_next_section():
    cells = [shown(curve(f"fig-{n}", wide=True)) for n in range(9)]
    text = pages(notebook(*cells, markdown("## Later\n\nIts text.")))
    [later] = [sheet for sheet, page in enumerate(text) if "LATER" in page]
    where = [sheet for sheet, page in enumerate(text) for _ in re.findall(r"Figure \d+\. Loss", page)]
    assert len(where) == 11 and min(where) < later and max(where) <= later


def test_a_word_that_nothing_breaks_has_the_room_that_it_needs():
    said, hashed = "A long sentence that can go on in the next line, whatever ran beside it", "e" + "0" * 63
    rows = pd.DataFrame({"what": [said], "sum": [hashed]})
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(shown(Table(rows, "tab-x", "One.", wide=True))))
    starts = []
    for page in PdfReader(BytesIO(pdf)).pages:
        page.extract_text(visitor_text=lambda text, cm, tm, *_: hashed in text and starts.append(tm[4] or cm[4]))
    assert len(starts) == 1
    assert starts[0] + 64 * 4.5 <= (210 - 17) / 25.4 * 72  # points: digits half as wide as 9 pt, to A4's right margin


def test_of_many_columns_none_overlaps_the_next_though_one_wraps():
    row = {f"column {letter}": "abcdefghijklm" for letter in "ABCDEFGH"}
    rows = pd.DataFrame([row | {"commits": "6887a4a93b, c93a31d74b, ce125a7dbb", "newest": "2026-11-29"}])
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(shown(Table(rows, "tab-x", "One.", wide=True))))
    starts = {}
    for page in PdfReader(BytesIO(pdf)).pages:
        page.extract_text(visitor_text=lambda text, cm, *_: starts.setdefault(text.strip(), (cm[4], cm[0])))
    (commit, size), (newest, _) = starts["6887a4a93b,"], starts["2026-11-29"]
    assert commit + 11 * 4.5 * size <= newest  # points: digits half as wide as 9 pt, before they are scaled
    assert newest + 10 * 4.5 * size <= (210 - 17) / 25.4 * 72 + 1  # A4's right margin


@pytest.mark.parametrize("height", [2.0, 2.4, 2.8])
def test_a_figure_of_a_column_that_has_too_little_room_left_goes_to_the_next_page_whole(height):
    drawn = [plt.figure(figsize=size) for size in [(7, height)] * 3 + [(3.4, 3.4)]]
    for fig in drawn:
        fig.add_axes((0, 0, 1, 1))
    wide = [Figure(fig, f"fig-{n}", "Wide.", "Wide.", wide=True) for n, fig in enumerate(drawn[:3])]
    cells = [
        markdown("Before."),
        *map(shown, wide),
        markdown("Between. " * 180),
        shown(Figure(drawn[3], "fig-s", "Square.", "A.")),
    ]
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(*cells))
    captions = []
    for page in PdfReader(BytesIO(pdf)).pages:
        found = {"Wide.": [(297 - 21) / 25.4 * 72], "Square.": []}  # points: where a page begins
        page.extract_text(visitor_text=lambda text, cm, *_, found=found: found.get(text.strip(), []).append(cm[5]))
        captions += [(min(found["Wide."]), square) for square in found["Square."]]
    ((above, square),) = captions
    assert above - square > 84.5 / 25.4 * 72 and square > 22 / 25.4 * 72  # as high as it is wide, and above the foot


def test_a_figure_that_is_higher_than_a_page_leaves_none_empty_before_it():
    tall = plt.figure(figsize=(1, 5))
    tall.add_axes((0, 0, 1, 1))
    texts = pages(notebook(markdown("Between. " * 180), shown(Figure(tall, "fig-t", "Tall.", "A."))))
    assert "Tall." in [text for text in texts if "Between." in text][-1]  # where the text ends, beside it


def test_no_line_begins_with_a_percent_sign():
    said = " ".join(f"{'so' * (n % 7)} {n / 7:.1f} %" for n in range(300))
    celled = Table(
        pd.DataFrame({"name": ["a", "b"], "said": [said[:2000], said[2000:]]}), "tab-s", "Shares.", wide=True
    )
    lines = "\n".join(pages(notebook(markdown(said), shown(celled)))).splitlines()
    assert sum("%" in line for line in lines) > 60 and not [line for line in lines if line.strip().startswith("%")]


def test_a_number_and_its_unit_do_not_part_and_code_is_left_as_it_is():
    said = "Of 95 % in 2 s, of **4.5 %**, of 3\nMB, of 2 sons, of `5 %` and $6\\ %$."
    captioned = Figure(plt.figure(), "fig-u", "With its 95 % interval.", "A line at 95 %.")
    text = html(notebook(markdown(said), shown(captioned))).get_text()
    assert all(
        kept in text for kept in ("95\xa0%", "2\xa0s,", "4.5\xa0%", "3\xa0MB", "2 sons", "5 %", "95\xa0% interval")
    )


def test_a_list_of_code_is_set_ragged_and_keeps_its_references():
    listed = ", ".join(f"`value_{n} = {n}`" for n in range(40))
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(markdown(f"{listed}, see [this](#fig-a).")))
    gaps, text = [], ""
    for page in PdfReader(BytesIO(pdf)).pages:

        def stretched(operator, operands, *_):
            if operator == b"TJ":
                gaps.extend(-float(shift) for shift in operands[0] if isinstance(shift, int | float))

        text += page.extract_text(visitor_operand_before=stretched)
    assert "value_39" in text and "see Figure" in text.replace("\u00a0", " ")
    assert max(gaps) < 100  # thousandths of the letters' size; in a justified paragraph each gap of its own is wider


@pytest.mark.parametrize("exporter", [ArticleHTMLExporter, ArticlePDFExporter])
def test_a_rebuild_gives_the_same_bytes(exporter):
    first, second = (exporter().from_notebook_node(notebook())[0] for _ in range(2))
    assert first == second


def test_in_spanish_no_hyphen_stands_twice_where_a_line_breaks():
    nb = notebook(markdown("an imperative style, high-performance library " * 20), language="es")
    text = squeezed("".join(pages(nb)))
    assert text.count("high-performance") == 20 and "--" not in text


def test_the_date_is_the_newest_run_s_else_source_date_epoch_and_never_the_clock_s(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1660089600")
    assert "Dated: March 14, 2026" in html(notebook()).header.get_text()
    assert "Fecha: 10 de agosto de 2022" in pages(notebook(language="es", date=None))[0]
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert "Dated" not in html(notebook(date=None)).header.get_text()
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(date=None))
    assert not re.search(rb"(Create|Creation|Modify|Mod)Date", pdf)


def test_source_date_epoch_is_a_day_in_utc(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1660089600")
    assert compose(notebook(date=None), "en")["day"].tzinfo is UTC  # else another machine dates it otherwise


def test_each_markdown_cell_is_a_message_and_what_has_no_translation_stays(monkeypatch):
    spanish = words_of.catalogue("es")
    monkeypatch.setattr(words_of, "catalogue", lambda name: spanish if name == "es" else words_of.Catalog())
    monkeypatch.setitem(spanish._messages, "#### Details\n\nText.", Message("", "#### Detalles\n\nTexto."))
    page = html(notebook(language="en"), language="es")
    assert "Detalles" in page.get_text() and "Details" not in page.get_text()
    assert [h.get_text() for h in page.find_all("h2")] == ["I. Method", "II. References"]
    assert [h.get_text() for h in page.find_all("h3")] == ["A. Detalles"]
    with pytest.raises(UserError, match="'fr'"):
        html(notebook(), language="fr")


def test_the_data_of_a_table_stay_in_english_whatever_its_language():
    words_of.speak("es")
    shown = Table(pd.DataFrame({"loss": ["training"]}), "tab-x", "", words=["loss"]).data
    assert "entrenamiento" in shown["text/html"] and shown["text/csv"] == "loss\ntraining\n"


def test_sections_are_numbered_and_the_references_are_none():
    assert [head.get_text() for head in html(notebook()).find_all("h2")] == ["I. Method", "References"]


BARE = """
import hashlib, locale, sys
sys.path.insert(0, sys.argv[1])
locale.localeconv = lambda: {"decimal_point": ",", "thousands_sep": ".", "grouping": [3, 0]}
from test_render import ArticleHTMLExporter, ArticlePDFExporter, notebook
for exporter in ArticleHTMLExporter, ArticlePDFExporter:
    made = exporter().from_notebook_node(notebook())[0]
    print(hashlib.sha256(made if isinstance(made, bytes) else made.encode()).hexdigest())
"""


@pytest.mark.slow
def test_without_display_fonts_or_english_locale_figures_tables_html_and_pdf_are_the_same_bytes(tmp_path):
    bare = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    }
    nowhere = {"HOME": tmp_path, "MPLCONFIGDIR": tmp_path, "FONTCONFIG_FILE": os.devnull, "XDG_DATA_HOME": tmp_path}
    spanish = {"LANG": "es_AR.UTF-8", "LC_ALL": "es_AR.UTF-8", "LC_NUMERIC": "es_AR.UTF-8"}
    line = [sys.executable, "-c", BARE, str(Path(__file__).parent)]
    done = subprocess.run(line, env=bare | nowhere | spanish, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    made = [exporter().from_notebook_node(notebook())[0] for exporter in (ArticleHTMLExporter, ArticlePDFExporter)]
    digests = [hashlib.sha256(part if isinstance(part, bytes) else part.encode()).hexdigest() for part in made]
    assert done.stdout.split() == digests


@pytest.mark.parametrize("name", ["fmnist-html", "fmnist_pdf"])
def test_any_notebook_can_be_exported_through_the_registered_names(name):
    streams = [new_output("stream", name=n, text=f"on {n}") for n in ("stdout", "stderr")]
    plot = curve("fig-a").data  # without its metadata
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0%| | 0/3"}
    grouped = frame(2).T.set_index([["u", "u"], [1, 2]])
    nb = new_notebook(
        cells=[
            markdown("# 1. A plain notebook\n\nQuestion and answer."),
            new_code_cell("x", outputs=streams),
            new_code_cell("x", outputs=streams, metadata={"tags": ["show-stdout"]}),
            new_code_cell("x", outputs=[new_output("display_data", data=data) for data in (plot, widget)]),
            shown(frame().reset_index()),
            shown(grouped),
            markdown("# A second title\n\n| a | b |\n|--|--:|\n| 1 | 2 |\n\n@user wrote to a@b.org"),
        ]
    )
    output, resources = get_exporter(name)().from_notebook_node(nb, {"metadata": {"name": "plain"}})
    assert not resources.get("outputs")
    if name == "fmnist_pdf":
        text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(output)).pages)
    else:
        text = BeautifulSoup(output, "html.parser").body.get_text()
    assert all(words in text for words in ("1. A plain notebook", "on stdout", "CNN3-512-0.3", "@user wrote"))
    assert not any(words in text for words in ("on stderr", "0/3", "Figure 1", "Table I."))


def test_large_drawings_travel_as_png_and_svg_bytes_depend_on_the_drawing_alone():
    figure, ax = plt.subplots()
    ax.plot(np.random.default_rng(0).random(60_000), ",")
    assert "image/png" in Figure(figure, "fig-big", "Big.", "Dots").data
    assert curve.__wrapped__("fig-a").data == curve.__wrapped__("fig-a").data
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("value", "digits", "language", "sign", "text"),
    [
        (1234.567, 2, "en", "", "1,234.57"),
        (1204298, 0, "es", "", "1.204.298"),
        (-0.5, 1, "es", "+", "−0,5"),
        (0.5, 1, "en", "+", "+0.5"),
        (float("nan"), 1, "es", "", "—"),
    ],
)
def test_numbers_are_written_as_their_language_does(value, digits, language, sign, text):
    assert number(value, digits, language, sign) == text


def test_numeric_columns_are_told_from_names_and_dashes():
    assert looks_numeric(["1,204", "0.217 ± 0.002", "—", "−0,5 [−1, 0]", "92 %", "−1.50 … +0.24"])
    assert not looks_numeric(["CNN3-512-0.1", "1"]) and not looks_numeric(["—", ""])


def test_the_pdf_tells_ears_and_archives_what_they_ask_for():
    pdf, _ = ArticlePDFExporter().from_notebook_node(notebook(markdown("A side of $n_k$ and $x^2 = 4$ pixels.")))
    document = PdfReader(BytesIO(pdf))
    claimed = document.trailer["/Root"]["/Metadata"].get_object().get_data().decode()
    assert "<pdfuaid:part>1<" in claimed and "<pdfaid:part>2<" in claimed and "<pdfaid:conformance>A<" in claimed
    assert document.trailer["/Root"]["/Lang"] == "en" and document.trailer["/Root"]["/MarkInfo"]["/Marked"]
    elements = list(walked(document.trailer["/Root"]["/StructTreeRoot"]["/K"]))
    alternatives = {kind: {e.get("/Alt") for e in elements if e.get("/S") == kind} for kind in ("/Formula", "/Figure")}
    assert alternatives["/Formula"] == {"28 times 28", "a squared", "n sub k", "x squared equals 4", "L"}
    assert {"A curve of fig-a", "A curve of fig-b"} <= alternatives["/Figure"]


def walked(element):
    """Yield the elements of a PDF's structure tree."""
    element = element.get_object() if hasattr(element, "get_object") else element
    if isinstance(element, list):
        for child in element:
            yield from walked(child)
    elif isinstance(element, dict):
        yield element
        yield from walked(element.get("/K", []))


def test_a_formula_is_said_in_the_words_of_its_own_comment():
    assert spoken("% half of a\n\\frac{a}{2}", "en") == "half of a"
    assert spoken("\\frac{a}{2} \\times \\mathcal{L}_{10}", "es") == "a sobre 2 por L sub 10"
    nb = notebook(markdown("We say $\\frac{a}{2}$."), language="es")
    source, _ = super(ArticlePDFExporter, ArticlePDFExporter()).from_notebook_node(nb)
    assert 'alt: "a sobre 2"' in source and 'alt: "a over 2"' not in source


def test_stock_nbconvert_finds_the_alternative_text_of_a_figure():
    cell = shown(Figure(plt.figure(), "fig-x", "{name}.", "A view of {name}", name="CNN3-512 & co"))
    assert "<title>A view of CNN3-512 &amp; co</title>" in cell.outputs[0].data.pop("image/svg+xml")
    page, _ = get_exporter("html")(template_name="classic").from_notebook_node(new_notebook(cells=[cell]))
    assert [image["alt"] for image in BeautifulSoup(page, "html.parser").find_all("img")] == ["A view of CNN3-512 & co"]


def test_a_notebook_shows_caption_and_number_as_markdown_which_an_article_sets_once(monkeypatch):
    outputs = []

    def show(data, metadata, raw):
        outputs.append(new_output("display_data", data=data, metadata=metadata))

    monkeypatch.setattr("fmnist_lib.press.display.display", show)
    Figure(plt.figure(), "fig-c", "Loss.", "A curve", 6)._ipython_display_()
    Table(frame(), "tab-c", "Ours.", number=2)._ipython_display_()
    told = [output.data.get("text/markdown", "").replace("\u00a0", " ") for output in outputs]
    assert told[:3] == ['<a id="fig-c"></a>', "", "**Figure 6.** Loss."]  # a reference scrolls to above the figure
    assert told[3:] == ['<a id="tab-c"></a>', "**Table II.** Ours.", ""]
    page = html(new_notebook(cells=[new_code_cell("", outputs=outputs)]))
    assert page.main.get_text().count("Ours.") == 1


@pytest.mark.slow
def test_jupyterlab_s_menu_offers_two_articles_and_its_route_gives_them(tmp_path):
    nbformat.write(notebook(), tmp_path / "article.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = "--no-browser --allow-root --ip=127.0.0.1 --IdentityProvider.token="
    options += f" --port={port} --ServerApp.root_dir={tmp_path} --ServerApp.disable_check_xsrf=True"
    command = [sys.executable, "-m", "jupyter_server", *options.split()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            offered = json.loads(fetched(f"http://127.0.0.1:{port}/api/nbconvert"))
            assert {name for name in offered if "fmnist" in name} == {"fmnist_html", "fmnist_pdf"}
            for name, beginning in ("fmnist_html", b"<!doctype html>"), ("fmnist_pdf", b"%PDF"):
                made = fetched(f"http://127.0.0.1:{port}/nbconvert/{name}/article.ipynb")
                assert made.startswith(beginning)
        finally:
            server.terminate()


def fetched(address: str, patience: float = 60) -> bytes:
    """Read an address, waiting for its server to start."""
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(address, timeout=patience) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
