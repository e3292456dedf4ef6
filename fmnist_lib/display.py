"""Show figures, tables and sentences in a notebook so that a report can number, caption and cite them.

Captions, notes and alternative texts are Markdown with TeX math; `[@fig-loss]` refers to the figure of that
label. Whatever comes from a parameter or a file goes through `literal` on its way into Markdown; the cells of
a table are text.
"""

import base64
import io
import itertools
import re
from html import escape

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown

from fmnist_lib import UserError
from fmnist_lib.language import number

SVG_LIMIT = 300_000  # bytes; a larger drawing, such as many garments, travels as PNG alone


def literal(value: object) -> str:
    """Escape a value so that Markdown shows its text as it is, markup and all."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(value).split()))


def say(language: str, **by_language: str) -> Markdown:
    """Choose the sentence of the current language: `say(language, en=f"…", es=f"…")`."""
    if language not in by_language:
        raise UserError(f"no text for language {language!r}", f"use one of: {', '.join(by_language)}")
    return Markdown(by_language[language])


def looks_numeric(texts: list[str]) -> bool:
    """Tell whether a column's texts are numbers, with signs, intervals, %, or dashes for the missing."""
    letters = re.compile(r"[^\s\d.,:;±+−–—%×·/()\[\]<>≤≥≈-]")
    return any(re.search(r"\d", text) for text in texts) and not any(map(letters.search, texts))


class Figure:
    """A matplotlib figure with its label (`fig-…`), caption and alt text; `wide` spans both columns."""

    def __init__(self, figure: plt.Figure, label: str, caption: str, alt: str, wide: bool = False):
        self.metadata = {"fmnist": {"label": label, "caption": caption, "alt": alt, "wide": wide}}
        png = _draw(figure, "png", dpi=150, metadata={"Software": None})
        self.data = {"image/png": base64.b64encode(png).decode()}  # JupyterLab shows no SVG of an untrusted notebook
        svg = _draw(figure, "svg", metadata={"Date": None})
        if len(svg) <= SVG_LIMIT:
            self.data["image/svg+xml"] = svg.decode()
        self.data["text/plain"] = caption
        plt.close(figure)  # else the notebook shows it a second time

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data, self.metadata


def _draw(figure: plt.Figure, kind: str, **options) -> bytes:
    """Save a figure as bytes that depend on the figure alone."""
    buffer = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "fmnist", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, bbox_inches="tight", pad_inches=0.02, **options)
    return buffer.getvalue()


class Table:
    """A DataFrame with its label (`tab-…`), caption and note; the index becomes the row headers.

    Without an index of its own, the frame's first column does. Floats get `digits` decimals (one number for
    all columns, or one for each); text stays text.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        label: str,
        caption: str,
        wide: bool = False,
        note: str | None = None,
        digits: int | dict[str, int] = 3,
        language: str = "en",
    ):
        self.metadata = {"fmnist": {"label": label, "caption": caption, "wide": wide, "note": note}}
        if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
            frame = frame.set_index(frame.columns[0])
        decimals = digits if isinstance(digits, dict) else dict.fromkeys(frame.columns, digits)
        texts = pd.DataFrame(
            {c: [_cell(v, decimals.get(c, 3), language) for v in frame[c]] for c in frame.columns},
            index=frame.index,
        )
        self.data = {"text/html": _html(texts), "text/plain": texts.to_string()}

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data, self.metadata


def markdown(texts: pd.DataFrame) -> str:
    """Write a frame of strings as a Markdown table, without its index; grouped column names are joined."""
    names = [" ".join(filter(None, name)) if isinstance(name, tuple) else name for name in texts.columns]
    sides = ["---:" if looks_numeric(list(texts[name])) else "---" for name in texts.columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, sides, *texts.itertuples(index=False)])


def _cell(value: object, digits: int, language: str) -> str:
    """Write one value of a table."""
    if pd.api.types.is_bool(value) or not pd.api.types.is_number(value):
        return "—" if pd.isna(value) else str(value)
    return number(value, 0 if pd.api.types.is_integer(value) else digits, language)


def _html(texts: pd.DataFrame) -> str:
    """Write a frame of strings as a table with real headers, each text escaped."""
    sides = ["right" if looks_numeric(list(texts[name])) else "left" for name in texts.columns]
    align = [f' style="text-align: {side}"' for side in sides]
    keys = [f'<th scope="col">{escape(str(name or ""))}</th>' for name in texts.index.names]
    *groups, names = [texts.columns.get_level_values(level) for level in range(texts.columns.nlevels)]
    rows = [["<td></td>" * len(keys), *_spans(level)] for level in groups]
    rows.append(keys + [f'<th scope="col"{a}>{escape(str(c))}</th>' for c, a in zip(names, align, strict=True)])
    head = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    rows = []
    for key, *cells in texts.itertuples():
        keys = key if isinstance(key, tuple) else (key,)
        row = [f'<th scope="row" style="text-align: left">{escape(str(k))}</th>' for k in keys]
        row += [f"<td{a}>{escape(text)}</td>" for text, a in zip(cells, align, strict=True)]
        rows.append(f"<tr>{''.join(row)}</tr>")
    return f"<table><thead>{head}</thead><tbody>\n{chr(10).join(rows)}\n</tbody></table>"


def _spans(level: pd.Index) -> list[str]:
    """Write one level of grouped column names, each over the columns of its group."""
    runs = [(name, len(list(group))) for name, group in itertools.groupby(level)]
    return [
        f'<th scope="colgroup" colspan="{n}" style="text-align: center">{escape(str(name))}</th>' for name, n in runs
    ]
