"""What the parameters cells of a notebook name, as its kernel ran them."""

import ast
from collections.abc import Collection

INJECTED = "# Parameters\n"  # papermill's cell begins so


def named(cells: list[str], parameters: Collection[str]) -> set[str]:
    """Return the names to which the last parameters cell and the last of papermill's gave values.

    ``cells`` are a kernel's `In`. A parameters cell is one that annotates at least one of ``parameters``, as those of
    the project's notebooks do; what other cells assign, though it be called like a parameter, is none.
    """
    stated, injected = [], []
    for cell in cells:
        try:
            lines = [line for line in ast.parse(cell).body if isinstance(line, ast.Assign | ast.AnnAssign)]
        except SyntaxError:  # a line for IPython
            continue
        names = [ast.unparse(line.target if isinstance(line, ast.AnnAssign) else line.targets[0]) for line in lines]
        if cell.startswith(INJECTED):
            injected = names
        elif {name for name, line in zip(names, lines, strict=True) if isinstance(line, ast.AnnAssign)} & {*parameters}:
            stated = [name for name in names if name.isidentifier()]
    return {*stated, *injected}
