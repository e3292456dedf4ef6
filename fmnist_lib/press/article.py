"""Read an executed notebook into an article: front matter, and blocks of text, figures and tables, numbered.

What stands in a block is still Markdown, plain text or image data; `render` sets it.
"""

import ast
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from babel.dates import format_date
from bs4 import BeautifulSoup
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from fmnist_lib import UserError
from fmnist_lib.press.display import looks_numeric, numbered
from fmnist_lib.press.language import LANGUAGES, literal, tr

PLACES = ("abstract", "stamp", "foot", "date")  # the tags of cells with a place of their own
MIMES = ("image/svg+xml", "image/png", "image/jpeg", "text/html", "text/markdown", "text/latex", "text/plain")
WORDS = {
    "dated": "Dated: {}",
    "skip": "Skip to the text",
    "contents": "Contents",
    "table": "Table",
    "scroll": "scroll for more",
    "references": "References",
    "source": "Source",
    "undescribed": "Plot without a description",
}
RUNS = "tab-runs"  # the label of a table that lists an article's runs
WIDGET = "application/vnd.jupyter.widget-view+json"


def compose(nb, language: str, file: str = "") -> dict:
    """Read a notebook into an article in a language: front matter and blocks, their Markdown as it is.

    Markdown cells are translated, each as one message. With an abstract, the second paragraph of the title's cell is
    the authors' line. Figures and tables name their source: the notebook's ``file``, unless it says its own name, the
    data beside it, the runs. Raises UserError on an unknown language or a label used twice.
    """
    if language not in LANGUAGES:
        raise UserError(f"no report language {language!r}", f"use one of: {', '.join(LANGUAGES)}")
    cells = [NotebookNode(cell, source=tr(cell.source, language)) for cell in nb.cells]
    front = {name: "\n\n".join(_words(cell) for cell in cells if name in _tags(cell)) for name in PLACES}
    front |= {"title": "", "byline": ""}
    blocks, day = [], _date(front["date"])
    for cell in (cell for cell in cells if not _tags(cell) & set(PLACES)):
        if cell.cell_type == "markdown" and cell.source.startswith("# ") and not front["title"]:
            front["title"], front["byline"], rest = _title(cell.source, authors=bool(front["abstract"]))
            blocks.append({"kind": "text", "text": rest})
        else:
            blocks += _blocks(cell)
    words = {name: tr(text, language) for name, text in WORDS.items()} | {"language": language}
    words["dated"] = words["dated"].format(format_date(day, "long", locale=language)) if day else ""
    article = {name: {"kind": "front", "text": text} for name, text in front.items()}
    labels = _number(blocks, language)
    for block in blocks:
        if block.get("label"):
            block["source"] = _source(block, nb.metadata.get("fmnist", {}).get("file", file), labels, language)
    return article | {"words": words, "day": day, "blocks": blocks, "labels": labels}


def _source(block: dict, notebook: str, labels: dict[str, str], language: str) -> str:
    """Write where a figure or table comes from: links to notebook and data, its runs by name or by their table."""
    links = [f"[{literal(file)}](<{file}>)" for file in (notebook, block.get("linked", "")) if file]
    names = block.get("runs", [])
    if len(names) > 2 and RUNS in labels and block["label"] != RUNS:
        links.append(f"{tr('{} runs', language).format(len(names))}, [{labels[RUNS]}](#{RUNS})")
    elif block["label"] != RUNS:  # which names its runs itself
        links += [f"`{name}`" for name in names]
    return " · ".join(links)


def _tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _title(source: str, authors: bool) -> tuple[str, str, str]:
    """Split the title's cell into its heading, the authors' line if there is one, and the rest."""
    title, _, rest = source.partition("\n")
    byline, _, rest = rest.strip().partition("\n\n") if authors else ("", "", rest)
    return title, byline, rest


def _words(cell) -> str:
    """Read a cell with a place of its own as Markdown."""
    return "\n\n".join(block.get("text") or _literal(block.get("raw", "")) for block in _blocks(cell))


def _literal(text: str) -> str:
    """Escape plain text, which for a string shown by a cell is its Python literal."""
    return literal(ast.literal_eval(text) if text.startswith(("'", '"')) else text)


def _blocks(cell) -> Iterator[dict]:
    """Read a cell into the blocks it shows: its Markdown, or its outputs."""
    if cell.cell_type == "markdown":
        yield {"kind": "text", "text": cell.source}
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            yield {"kind": "error", "raw": strip_ansi(f"{output.ename}: {output.evalue}")}
        elif output.output_type != "stream":
            yield from _shown(output)
        elif output.name == "stdout" and _tags(cell) & {"show-stdout", *PLACES}:
            yield {"kind": "raw", "raw": strip_ansi(output.text)}


def _shown(output) -> Iterator[dict]:
    """Read one display output as a figure, a table, Markdown or plain text; a widget or a caption shows nothing."""
    shown = WIDGET not in output.data and "captions" not in output.metadata  # a caption is set with what it names
    mime = next((m for m in MIMES if shown and m in output.data), "")
    about = dict(output.metadata.get("fmnist", {}))
    value, caption = output.data.get(mime), {"count": 0, "linked": about.pop("file", ""), **about}
    if mime.startswith("image/"):
        file = os.path.basename(output.metadata.get("filenames", {}).get(mime, ""))
        yield {**caption, "kind": "figure", "mime": mime, "data": value, "file": file}
    elif mime == "text/html":
        html = BeautifulSoup(value, "html.parser")
        yield {**caption, **_grid(html.table)} if html.table else {"kind": "raw", "raw": html.get_text()}
    elif mime in ("text/markdown", "text/latex"):
        yield {"kind": "text", "text": value}
    elif mime:
        yield {"kind": "raw", "raw": strip_ansi(value)}


def _grid(table) -> dict:
    """Read an HTML table into rows of cells; columns count from the right, where no cell spans rows."""
    rows = [[_cell(cell) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]
    heads, width = len(table.select("thead tr")), max(sum(cell["columns"] for cell in row) for row in rows)
    columns = [[row[-i]["text"] for row in rows[heads:] if len(row) >= i] for i in range(width, 0, -1)]
    for row in rows:
        for cell, column in zip(reversed(row), reversed(columns), strict=False):
            cell["numeric"] = cell["columns"] == 1 and looks_numeric(column)
    longest = [max(map(len, column), default=0) for column in columns]
    wraps = [len(text := max(column, key=len, default="")) > 30 and " " in text for column in columns]
    return {"kind": "table", "heads": rows[:heads], "rows": rows[heads:], "longest": longest, "wraps": wraps}


def _cell(cell) -> dict:
    """Read a table cell: its text, whether it is a header, and how many columns and rows it spans."""
    text = re.sub(r"[ \t\n]+", " ", cell.get_text()).strip(" ")
    spans = {"columns": int(cell.get("colspan", 1)), "rows": int(cell.get("rowspan", 1))}
    return {"text": text, "head": cell.name == "th", **spans}


def _number(blocks: list[dict], language: str) -> dict[str, str]:
    """Number the labelled figures, tables and equations; map each label to the words of a reference to it.

    Those that were given a number keep it, the others go on from the highest.
    """
    labels, labelled = {}, [block for block in blocks if block["kind"] in ("figure", "table") and "label" in block]
    counts = {kind: max((b["count"] for b in labelled if b["kind"] == kind), default=0) for kind in ("figure", "table")}
    for block in labelled:
        counts[block["kind"]] += not block["count"]
        block["number"] = numbered(block["kind"], block["count"] or counts[block["kind"]], language)
        if block["label"] in labels or block["number"] in labels.values():
            raise UserError(f"{block['label']!r} is used twice, or {block['number']} is", "rename one of the two")
        labels[block["label"]] = block["number"]
    equations = re.findall(r"\{#(eq-[\w-]+)\}", "\n".join(b.get("text", "") for b in blocks))
    return labels | {name: f"{tr('Eq.', language)}\u00a0({n})" for n, name in enumerate(equations, 1)}


def _date(shown: str) -> datetime | None:
    """Find the date of the article: the one its notebook shows, else SOURCE_DATE_EPOCH, never that of the build."""
    if date := re.search(r"\d{4}-\d\d-\d\d", shown.replace("\\", "")):
        return datetime.fromisoformat(date[0])
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else None
