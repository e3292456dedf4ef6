"""Set an article's Markdown as HTML or Typst, its sections, equations and references resolved on the way.

pandoc parses all the article's Markdown in one go, each piece on its own as a notebook does; sections,
equations and references are resolved in that tree, and pandoc writes it out again: so both outputs carry the
same numbers.
"""

import ctypes
import json
import re
import signal
import subprocess
import sys

import pypandoc
from nbformat.v4 import new_markdown_cell, new_notebook, writes
from pandocfilters import Header, Link, Math, Para, RawBlock, RawInline, Str, stringify, walk

from fmnist_lib import UserError, short
from fmnist_lib.press.article import PLACES
from fmnist_lib.press.display import roman
from fmnist_lib.press.formulas import spoken

MARKDOWN = "ipynb-raw_html-citations+smart"
WRITERS = {"html5": ("html5", "--mathml"), "typst": ("typst", "--shift-heading-level-by=-1")}
PROSE = ("text", "caption", "note", "alt", "source")  # the fields of a block that hold Markdown
SECONDS, MEMORY = 60, "-M2g"  # of pandoc, which takes a second and 200 MB for the whole report
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# In pandoc's tree, what is between a number and its unit
PARTED = r'(?<=\d)"\},\{"t":"(?:Space|SoftBreak)"\},\{"t":"Str","c":"(?=%|(?:[µm]?s|min|[kMGT]i?B|teraflop)\b)'
BREAK = "\x1e"  # ASCII's record separator, between pieces on their way through pandoc


def typeset(article: dict, to: str) -> dict:
    """Set the article's Markdown as html5 or typst, in place, bare words as `…_plain`; add its sections.

    Raises UserError on a reference without a target and on TeX that pandoc does not know.
    """
    front = [article[name] for name in ("title", "byline", *PLACES)]
    pieces = [(block, name) for block in (*front, *article["blocks"]) for name in PROSE if block.get(name)]
    cells = [new_markdown_cell(block[name].replace(BREAK, "")) for block, name in pieces]
    read = _pandoc(writes(new_notebook(cells=cells)), MARKDOWN, "json")
    tree = json.loads(re.sub(PARTED, "\u00a0", read))
    resolve, content = _Resolver(article["labels"], article["words"]), []
    for (block, name), cell in zip(pieces, tree["blocks"], strict=True):
        part = cell["c"][1]
        if block is article["title"]:
            part = [Para(part[0]["c"][2])]  # the words of its heading
        part = walk(part, resolve, to, {})
        block[f"{name}_plain"] = stringify(part)
        if block["kind"] != "text" and [p["t"] for p in part] == ["Para"]:
            part[0]["t"] = "Plain"  # without a paragraph's tags
        content += [*part, RawBlock(to, BREAK)]
    if missing := resolve.cited - resolve.targets:
        raise UserError(f"the reference {min(missing)!r} has no target", "correct its label, or the target's")
    written = _pandoc(json.dumps(tree | {"blocks": content}), "json", *WRITERS[to])
    for (block, name), text in zip(pieces, written.split(BREAK), strict=False):
        block[name] = text.strip()
    return article | {"sections": resolve.sections}


def _pandoc(source: str, read: str, write: str, *options: str) -> str:
    """Convert by the pandoc of pypandoc_binary; what it would only warn of is a UserError."""
    options = ["--fail-if-warnings", "--wrap=none", "--syntax-highlighting=none", *options]
    command = [pypandoc.get_pandoc_path(), "-f", read, "-t", write, *options, "+RTS", MEMORY, "-RTS"]
    limits = {"timeout": SECONDS, "preexec_fn": LIBC and _end_with_parent}
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, **limits)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"pandoc is not done after {SECONDS} seconds", "write the Markdown simpler") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        warning = " ".join(said.partition("[WARNING] ")[2].split()).partition(" expecting")[0]
        raise UserError(f"pandoc: {short(warning or said)}", "correct the TeX or the Markdown")
    return done.stdout.decode()


def _end_with_parent():
    """Let Linux kill this process when the one that started it ends, however it ends."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def quoted(text: str) -> str:
    """Write a string literal as Typst and CSS read it."""
    return json.dumps(re.sub(r"[\0-\x08\x0b-\x1f]", " ", text), ensure_ascii=False)


class _Resolver:
    """Number the sections; turn references and labelled equations into links and targets, as a pandoc filter.

    `cited` and `targets` collect identifiers; `sections` lists level, identifier and words for the contents.
    """

    def __init__(self, labels: dict[str, str], words: dict[str, str]):
        self.labels, self.words, self.targets = labels, words, {name for name in labels if not name.startswith("eq-")}
        self.cited, self.sections, self.path = set(), [], []

    def __call__(self, kind: str, content, to: str, meta: dict):
        if kind in ("Para", "Math"):
            return (self.paragraph if kind == "Para" else self.math)(content, to)
        change = {"Header": self.header, "Link": self.link, "Image": self.link}.get(kind)
        return change(*content) if change else None

    def header(self, level: int, attributes: list, words: list) -> dict:
        """Number a section I., A., 1., by its place below the title; never skip a level."""
        depth = max(1, min(level - 1, len(self.path) + 1))
        self.path = [*self.path, 0][:depth]
        if stringify(words) != self.words["references"]:
            self.path[-1] += 1
            mark = (roman, lambda n: chr(64 + n), str)[min(depth, 3) - 1](self.path[-1])
            words = [Str(f"{mark}. "), *words]
        while attributes[0] in self.targets:
            attributes[0] += "-"
        self.targets.add(attributes[0])
        self.sections.append({"level": depth, "id": attributes[0], "words": stringify(words)})
        return Header(depth + 1, attributes, words)

    def paragraph(self, content: list, to: str) -> dict | list | None:
        """Number an equation; set a list of code, which no hyphen breaks, ragged."""
        if to == "typst" and json.dumps(content).count('"t": "Code"') > 3:
            return [RawBlock(to, "#[#set par(justify: false)"), Para(content), RawBlock(to, "]")]
        return self.equation(content, to)

    def equation(self, content: list, to: str) -> dict | None:
        """Give a display formula that ends with {#eq-…} its number."""
        label = re.fullmatch(r"\{#(eq-[\w-]+)\}", stringify(content[-1:]))
        if not label or content[0]["t"] != "Math":
            return None
        name, number = label[1], self.labels[label[1]].partition("\u00a0")[2]
        self.targets.add(name)
        before, after = {
            "html5": (f'<span class="equation" id="{name}">', f"<span>{number}</span></span>"),
            "typst": (f'#numbered("{number}")[', f"] <{name}>"),
        }[to]
        return Para([RawInline(to, before), content[0], RawInline(to, after)])

    def math(self, content: list, to: str) -> list | None:
        """Give a formula its alternative text; MathML is read out as it is."""
        if to != "typst":
            return None
        said = quoted(spoken(content[1], self.words["language"]))
        return [RawInline(to, f"#[#set math.equation(alt: {said})\n"), Math(*content), RawInline(to, "];")]

    def link(self, attributes: list, words: list, target: list) -> dict:
        """Name a target within the article by its number; an image from elsewhere becomes a link as well."""
        name = target[0].removeprefix("#")
        if target[0].startswith("#"):
            self.cited.add(name)
        return Link(attributes, [Str(self.labels[name])] if name in self.labels else words, target)
