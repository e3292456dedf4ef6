"""A parser of commands whose errors are told like all others, and how all are told."""

import argparse
import contextlib
import os
import re
import sys

from fmnist_lib import Stopped, UserError
from fmnist_lib.rules import near

AGAIN = "see that all it writes to is there and has room, then run the same command again: what is done is kept"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines, like all others here."""

    def parse_known_args(self, args=None, namespace=None):
        """Parse as argparse does, and refuse here what a command does not know: it knows what is near."""
        known, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest

    def error(self, message: str):
        """Raise UserError with argparse's own words, what is near, and where the help is."""
        known = [*self._option_string_actions, *re.findall(r"\w+", message.partition("choose from")[2])]
        given = re.search(r"(?:invalid choice: '|unrecognized arguments: )([\w-]+)", message)
        hint = near(given[1], known) if given else ""
        if half := re.match(r"argument (-\S+): expected", message):
            option = self._option_string_actions[half[1]]
            values = option.metavar if isinstance(option.metavar, tuple) else (option.metavar,)
            hint = f"give {' '.join([half[1], *values])} ({option.help}), or "
        raise UserError(message, f"{hint}see {self.prog} --help")

    def exit(self, status=0, message=None):
        """End after the help, where what cannot be printed is told as anywhere."""
        sys.stdout.flush()
        super().exit(status, message)


def told(error: UserError | OSError | KeyboardInterrupt) -> int:
    """Say on stderr why a command ends, and return its exit code; what cannot be printed any more is dropped."""
    code, said = 1, f"Error: {error}"
    if isinstance(error, KeyboardInterrupt):
        code, said = 130, str(Stopped())
    elif isinstance(error, BrokenPipeError) and _unread():
        code, said = 128 + 13, ""  # in silence, as other tools at SIGPIPE
    elif isinstance(error, OSError):  # of a file, or of what is printed
        said = f"Error: {UserError(f'{type(error).__name__}: {error}', AGAIN)}"
    with contextlib.suppress(OSError):
        print(said, end="\n" * bool(said), file=sys.stderr, flush=True)
    try:
        sys.stdout.flush()
    except OSError:  # else Python tries once more, and says so
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _unread() -> bool:
    """Say whether the reader of what is printed has gone, for pipes break between processes too."""
    try:
        print(flush=True)
    except BrokenPipeError:
        return True
    return False
