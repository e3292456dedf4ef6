"""What a value may be: a rule tests it, says what it expects, and is written as JSON Schema."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fmnist_lib import UserError, short


@dataclass(frozen=True)
class Rule:
    """State what a value may be: in words, as a test, as JSON Schema; and how it gets its own type."""

    expected: str
    ok: Callable[[object], bool]
    schema: dict
    own: Callable = lambda value: value

    @property
    def text(self) -> bool:
        """Say whether a text is meant as it stands, and never read as a number or a list."""
        return "enum" in self.schema or self.schema.get("type") == "string"

    def checked(self, name: str, value, shown: str = ""):
        """Return the value in its own type; else raise UserError: what was received (``shown``), near and expected."""
        hint = "" if (ok := self.ok(value)) else near(value, self.schema.get("enum", ()))
        return self.own(required(ok, name, value, self.expected, hint, shown))


def required(ok: bool, name: str, value, expected: str, hint: str = "", shown: str = ""):
    """Return the value if it is ok; else raise UserError with the name, what was received and what was expected."""
    if not ok:
        cause = f"{shown or name} = {short(repr(value))} ({type(value).__name__})"
        raise UserError(cause, f"{hint}give {name} {expected}")
    return value


def near(given: object, names: Iterable[str]) -> str:
    """Return "did you mean …? " with the name most like what was given, or "" if none is."""
    like = "cuda" if given == "gpu" else short(given)  # a synonym, which no likeness of letters leads to
    return "".join(f"did you mean {name}? " for name in difflib.get_close_matches(like, names, 1))


def one_of(*choices: str) -> Rule:
    """Allow these texts."""
    return Rule("one of " + ", ".join(map(repr, choices)), lambda value: value in choices, {"enum": list(choices)})


def whole(low: int, high: int) -> Rule:
    """Allow the whole numbers from low to high, both included."""
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Rule(f"a whole number from {low} to {high}", lambda value: _whole(value) and low <= value <= high, schema)


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value) -> bool:
    return _whole(value) or isinstance(value, float)


FLAG = Rule("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})
SEED = whole(0, 2**32 - 1)
RATE = Rule(
    "a number above 0 and at most 100, as 0.001",
    lambda value: _number(value) and 0 < value <= 100,
    {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
    float,
)
SHARE = Rule(
    "a number from 0 to below 1, of at most four decimals, as 0.25",
    lambda value: _number(value) and 0 <= value < 1 and round(value, 4) == value,  # as it stands in a model's name
    {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    lambda value: 0.0 + value,  # minus zero is zero
)
