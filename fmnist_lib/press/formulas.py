"""Say a formula in words, for who hears the page: a reader of PDF/UA has nothing else."""

import re
from functools import partial

from fmnist_lib.press.language import tr

COMMENT = re.compile(r"(?<!\\)%\s*(.*)")
RULES = (
    (r"\\(?:mathcal|mathbf|mathrm|text|hat|bar)\b", ""),
    (r"\\frac\{([^{}]*)\}\{([^{}]*)\}", " {1} over {2} "),
    (r"_(?:\{([^{}]*)\}|(\w))", " sub {1}{2} "),
    (r"\^(?:2|\{2\})", " squared "),
    (r"\^(?:\{([^{}]*)\}|(\w))", " to the power {1}{2} "),
    (r"\\times", " times "),
    (r"=", " equals "),
    (r"[\\{}]", ""),
)


def spoken(tex: str, language: str) -> str:
    """Return a formula in words: those of its own TeX comment (`% …`), or else its signs read from left to right."""
    if words := COMMENT.findall(tex):
        return " ".join(words).strip()
    for pattern, message in RULES:
        tex = re.sub(pattern, partial(_worded, tr(message, language)), tex)
    return " ".join(tex.split())


def _worded(words: str, found: re.Match) -> str:
    return words.format(found[0], *[group or "" for group in found.groups()])
