"""The library behind the notebooks: Fashion-MNIST classifiers after R. Magallanes Saunders (2022).

The core, a thin library of models and training:

    data                        verified images as tensors on a device; splits and folds
    models                      the networks, lists of layers to be read aloud
    training                    fit, predict, evaluate; private random streams
    modern                      what came after the paper: schedule, averaging, varied images
    kernels/                    the same layers, faster on a CPU: in PyTorch alone (fused), or compiled by numba
    machine                     CPU or CUDA, bf16 or fp32, and which machine this is
    recipe, rules               everything that decides one training, and its id; what a value may be

and five wings, whose own docstrings say what they are and list their files: runs, workers, study, press, commands.
Each imports what stands before it, press only itself.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def short(text: object, most: int = 200) -> str:
    """Return what others wrote as one printable line of at most so many characters, its middle left out."""
    line, end = str(text), most // 4
    line = line if len(line) <= most else f"{line[: most - end - 3]} … {line[-end:]}"
    line = " ".join(part.strip() for part in line.splitlines())
    return "".join(sign if sign.isprintable() else " " for sign in line)  # no orders to a terminal


class UserError(Exception):
    """An error that the user can mend: what is wrong in one line, and how to fix it in another."""

    def __init__(self, cause: str, fix: str):
        self.cause, self.fix = short(cause, 2_000), short(fix, 2_000)
        super().__init__(self.cause, self.fix)

    def __str__(self) -> str:
        return f"{self.cause}\nFix: {self.fix}"

    def _render_traceback_(self) -> list[str]:
        """Show IPython the two lines in place of a traceback through the library."""
        return [f"{type(self).__name__}: {self.cause}", f"Fix: {self.fix}"]


class Stopped(KeyboardInterrupt):
    """A training that was ended from outside, which is no error: one calm line."""

    def __str__(self) -> str:
        return "Stopped. What is finished is kept; the same command or cell goes on from there."

    def _render_traceback_(self) -> list[str]:
        """Show IPython this line in place of a traceback."""
        return [str(self)]
