"""A parser of commands whose errors are told like all others."""

import argparse
import re

from fmnist_lib import UserError
from fmnist_lib.rules import near


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
        raise UserError(message, f"{near(given[1], known) if given else ''}see {self.prog} --help")
