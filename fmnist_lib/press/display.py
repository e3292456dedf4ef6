"""Show figures, tables and sentences in a notebook so that a report can number, caption and cite them.

Captions, notes and alternative texts are English templates of Markdown with TeX math, translated and filled in as
`language.sentence` does. `[Figure 6](#fig-loss)` refers to the figure of that label, under whatever number it has. The
cells of a table are text.
"""

import base64
import itertools
import re
from collections.abc import Sequence
from html import escape

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from fmnist_lib.press.drawing import SVG_LIMIT, png, svg
from fmnist_lib.press.language import number, sentence, tr

PRECISE = "%.12g"  # of a number in a CSV: the last bits are the processor's


def say(message: str, **values) -> Markdown:
    """Say a sentence in the language of the notebook: `say("{model} reaches {accuracy:.2f} %.", …)`."""
    return Markdown(sentence(message, **values))


def settings(params: dict, papers: dict) -> Markdown:
    """List the parameters that a notebook was given, in bold where they differ from the paper's; not where it ran."""
    shown = []
    for name, value in params.items():
        if name not in ("out", "runs_dir", "data_dir", "language", "workers", "cluster"):
            mark = "" if papers.get(name, value) in (value, "auto") else "**"
            shown.append(f"{mark}`{name} = {value!r}`{mark}")
    return Markdown(sentence("Given:") + " " + ", ".join(shown) + ".")


def roman(n: int) -> str:
    """Write 4 as IV."""
    numerals = ((50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
    return next((numeral + roman(n - value) for value, numeral in numerals if n >= value), "")


def numbered(kind: str, count: int, language: str | None = None) -> str:
    """Name the figure or table of a number: Figure 6, Table II."""
    word = {"figure": tr("Figure", language), "table": tr("Table", language)}[kind]
    return f"{word}\u00a0{roman(count) if kind == 'table' else count}"


def looks_numeric(texts: list[str]) -> bool:
    """Tell whether a column's texts are numbers, with signs, intervals, %, or dashes for the missing."""
    letters = re.compile(r"[^\s\d.,:;…±+−–—%×·/()\[\]<>≤≥≈-]")
    return any(re.search(r"\d", text) for text in texts) and not any(map(letters.search, texts))


class _Captioned:
    """What a notebook shows with a number and a caption, which JupyterLab sets as Markdown of its own."""

    kind = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data, self.metadata

    def _ipython_display_(self):
        anchor, words = ({"text/markdown": text} for text in self.caption())
        around = {"captions": self.metadata["fmnist"]["label"]}
        display(anchor, metadata=around, raw=True)  # above it, where a reference to it scrolls to
        shown = [(self.data, self.metadata), (words, around)]
        for data, metadata in shown if self.kind == "figure" else reversed(shown):
            display(data, metadata=metadata, raw=True)

    def carry(self, data: pd.DataFrame | None, runs: Sequence[str]):
        """Take along the data behind it as CSV, and the names of its runs: those given, or those in a column run."""
        if data is not None:
            index = not isinstance(data.index, pd.RangeIndex)
            self.data["text/csv"] = data.to_csv(index=index, lineterminator="\n", float_format=PRECISE)
            runs = runs if len(runs) or "run" not in data else data["run"]
        self.metadata["fmnist"]["runs"] = list(dict.fromkeys(runs))

    def caption(self) -> tuple[str, str]:
        """Write, as Markdown, an anchor for references, and the caption: its number if it has one, its words."""
        label, words, count = (self.metadata["fmnist"][name] for name in ("label", "caption", "count"))
        number = f"**{numbered(self.kind, count)}.** " if count else ""
        return f'<a id="{label}"></a>', f"{number}{words}"


class Figure(_Captioned):
    """A matplotlib figure with its label (`fig-…`), caption, alternative text and number; `wide` spans both columns.

    ``data`` is what it draws, for a report to keep beside it; ``runs`` names the runs it comes from.
    """

    kind = "figure"

    def __init__(
        self,
        figure: plt.Figure,
        label: str,
        caption: str,
        alt: str,
        number: int = 0,
        wide: bool = False,
        data: pd.DataFrame | None = None,
        runs: Sequence[str] = (),
        **values,
    ):
        caption, alt = sentence(caption, **values), sentence(alt, **values)
        about = {"label": label, "caption": caption, "alt": alt, "wide": wide, "count": number}
        plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", alt)
        self.metadata = {"fmnist": about, "alt": plain}  # nbconvert's own templates read `alt` for a PNG
        # JupyterLab shows no SVG of an untrusted notebook
        self.data = {"image/png": base64.b64encode(png(figure)).decode()}
        if len(drawn := svg(figure, plain)) <= SVG_LIMIT:
            self.data["image/svg+xml"] = drawn
        self.data["text/plain"] = caption
        self.carry(data, runs)
        plt.close(figure)  # else the notebook shows it a second time


class Table(_Captioned):
    """A DataFrame with its label (`tab-…`), caption, number and note; the index becomes the row headers.

    Without an index of its own, the frame's first column does. Floats get `digits` decimals (one number for
    all columns, or one for each). Column names are translated, and the texts in columns of ``words``. ``data`` and
    ``runs`` are as in `Figure`; the frame itself is the data unless other is given.
    """

    kind = "table"

    def __init__(
        self,
        frame: pd.DataFrame,
        label: str,
        caption: str,
        number: int = 0,
        wide: bool = False,
        note: str = "",
        digits: int | dict[str, int] = 3,
        words: Sequence[str] = (),
        data: pd.DataFrame | None = None,
        runs: Sequence[str] = (),
        **values,
    ):
        caption, note = sentence(caption, **values), sentence(note, **values)
        self.metadata = {"fmnist": {"label": label, "caption": caption, "wide": wide, "note": note, "count": number}}
        given, frame = frame, frame.assign(**{name: frame[name].map(tr) for name in words if name in frame})
        if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
            frame = frame.set_index(frame.columns[0])
        decimals = digits if isinstance(digits, dict) else dict.fromkeys(frame.columns, digits)
        texts = pd.DataFrame({c: [_cell(v, decimals.get(c, 3)) for v in frame[c]] for c in frame.columns}, frame.index)
        self.data = {"text/html": _html(texts), "text/plain": texts.to_string()}
        self.carry(given if data is None else data, runs)


def markdown(texts: pd.DataFrame) -> str:
    """Write a frame of strings as a Markdown table, without its index; grouped column names are joined."""
    names = [" ".join(filter(None, name)) if isinstance(name, tuple) else name for name in texts.columns]
    sides = ["---:" if looks_numeric(list(texts[name])) else "---" for name in texts.columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, sides, *texts.itertuples(index=False)])


def _cell(value: object, digits: int) -> str:
    """Write one value of a table."""
    if pd.api.types.is_bool(value) or not pd.api.types.is_number(value):
        return "—" if pd.isna(value) else str(value)
    return number(value, 0 if pd.api.types.is_integer(value) else digits)


def _html(texts: pd.DataFrame) -> str:
    """Write a frame of strings as a table with real headers, each text escaped."""
    sides = ["right" if looks_numeric(list(texts[name])) else "left" for name in texts.columns]
    align = [f' style="text-align: {side}"' for side in sides]
    keys = [f'<th scope="col">{_text(name or "")}</th>' for name in texts.index.names]
    *groups, names = [texts.columns.get_level_values(level) for level in range(texts.columns.nlevels)]
    rows = [["<td></td>" * len(keys), *_spans(level)] for level in groups]
    rows.append(keys + [f'<th scope="col"{a}>{_text(c)}</th>' for c, a in zip(names, align, strict=True)])
    head = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    rows = []
    for key, *cells in texts.itertuples():
        keys = key if isinstance(key, tuple) else (key,)
        row = [f'<th scope="row" style="text-align: left">{escape(str(k))}</th>' for k in keys]
        row += [f"<td{a}>{escape(text)}</td>" for text, a in zip(cells, align, strict=True)]
        rows.append(f"<tr>{''.join(row)}</tr>")
    return f"<table><thead>{head}</thead><tbody>\n{chr(10).join(rows)}\n</tbody></table>"


def _text(name: object) -> str:
    return escape(tr(str(name)))


def _spans(level: pd.Index) -> list[str]:
    """Write one level of grouped column names, each over the columns of its group."""
    runs = [(name, len(list(group))) for name, group in itertools.groupby(level)]
    return [f'<th scope="colgroup" colspan="{n}" style="text-align: center">{_text(name)}</th>' for name, n in runs]
