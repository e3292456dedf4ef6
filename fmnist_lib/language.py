"""Numbers as a language writes them."""

import math


def number(value: float, digits: int = 0, language: str = "en", sign: str = "") -> str:
    """Write a number for prose and tables: 1,204.50 in English, 1 204,50 in Spanish; a missing one is a dash.

    `sign="+"` shows the plus as well; the minus is a real one.
    """
    if value is None or not math.isfinite(value):
        return "—"
    text = f"{value:{sign},.{digits}f}".replace("-", "−")
    return text.translate({ord(","): "\u202f", ord("."): ","}) if language == "es" else text
