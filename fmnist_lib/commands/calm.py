"""papermill in a terminal: the two lines of an error that the user can mend, without the tracebacks above them.

papermill loads this with its engines. It changes nothing but what a process shows when one of these ends it.
"""

import sys

OURS = {"UserError": "Error: ", "Stopped": ""}  # the names of ours, and what stands before their words


def calm(kind, error, trace):
    """Show an exception that nobody caught as `sys.excepthook` does; of a notebook's own words these words alone."""
    if (name := getattr(error, "ename", None)) in OURS:
        print(f"{OURS[name]}{error.evalue}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = calm
