"""Words and numbers of a language: English stands in the code and the notebooks, Spanish in `locale/es.po`."""

import functools
import math
import re
import string
from decimal import Decimal
from numbers import Real
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from fmnist_lib import UserError

LOCALE = Path(__file__).parent / "locale"
LANGUAGES = ("en", *sorted(path.stem for path in LOCALE.glob("*.po")))
_current = "en"  # as in gettext, a process speaks one language at a time


def speak(language: str):
    """Speak a language from now on in what is shown; UserError if there is no catalogue of it."""
    if language not in LANGUAGES:
        raise UserError(f"no report language {language!r}", f"use one of: {', '.join(LANGUAGES)}")
    global _current
    _current = language


def current() -> str:
    """Return the language of what is shown."""
    return _current


@functools.cache
def catalogue(language: str) -> Catalog:
    """Read a language's catalogue; that of English is empty."""
    path = LOCALE / f"{language}.po"
    return read_po(path.open("rb"), locale=language) if path.exists() else Catalog(locale=language)


def tr(message: str, language: str | None = None) -> str:
    """Translate a message; one that the catalogue lacks stays as it is."""
    entry = message and catalogue(language or current()).get(message)  # under "" lies the catalogue's header
    return entry.string if entry and entry.string and not entry.fuzzy else message


def number(value: float, digits: int = 0, language: str | None = None, sign: str = "") -> str:
    """Write a number for prose and tables: 1,204.50 in English, 1.204,50 in Spanish; a missing one is a dash.

    `sign="+"` shows the plus as well; the minus is a real one.
    """
    if value is None or not math.isfinite(value):
        return "—"
    rounded = Decimal(f"{value:{sign}.{digits}f}")  # as Python rounds it, in any language
    text = format_decimal(abs(rounded), f"#,##0.{'0' * digits}".rstrip("."), locale=language or current())
    return f"{'−' if rounded.is_signed() else sign}{text}"


def literal(value: object) -> str:
    """Escape a value so that Markdown shows its text as it is, markup and all."""
    text = " ".join(str(value).split())
    return text if re.fullmatch(r"[^\W_]+([-.][^\W_]+)*", text) else re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


class _Sentence(string.Formatter):
    """Fill in a template's values: numbers as the language writes them, by `+` and `.2f`; all else as literal text."""

    def format_field(self, value, spec: str) -> str:
        if isinstance(value, Real) and not isinstance(value, bool):
            sign, digits = re.fullmatch(r"(\+?),?(?:\.(\d+)f)?", spec).groups()
            return number(value, int(digits or 0), sign=sign)
        return literal(tr(str(value)))


def sentence(message: str, **values) -> str:
    """Translate a template and fill in its values, as Markdown: `sentence("{share:.1f} % of {n} images", …)`."""
    return _Sentence().vformat(tr(message), (), values) if values else tr(message)
