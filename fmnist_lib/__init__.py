"""The library behind the notebooks: Fashion-MNIST classifiers after R. Magallanes Saunders (2022).

The core, a thin library of models and training:

    data                        verified images as tensors on a device; splits and folds
    models                      the networks, lists of layers to be read aloud
    training                    fit, predict, evaluate; private random streams
    kernels/                    the same layers, faster on a CPU: in PyTorch alone (fused), or compiled by numba
    machine                     CPU or CUDA, bf16 or fp32, and which machine this is
    recipe, rules               everything that decides one training, and its id; what a value may be

and four wings:

    runs/       a recipe that has been trained, on disk
        download, files         the data set, from whichever source answers; whole or not at all, locks, signals
        record, contents        run.json, strict and sealed; curve, answers and tensors, and what of them is believed
        run, store, pack        one run in its folder; a folder of runs: find, write, list, verify; many in one file
        checkpoint, job, sweep  what a training goes on from; one training, resumable; many
    study/      the paper's questions, in numbers; knows no language
        parameters, plain_yaml, paper           every parameter in one line; how it is read; what the paper says
        protocol                which trainings the study consists of, and who wins
        provenance              how a report reads what the paper leaves open; the command that makes it
        results, tables         all runs as one tidy frame; every table a function of it
        stats, claims, rule     intervals and tests; each claim an effect; what one interval says
        certainty, effects, ranks, luck         many seeds: where one run should lie; what k, n and p do; who is first
        opinions, gap, mode, conduct            beside the claims: other methods; from validation to test; training mode
        readings, weighing      the text understood otherwise, and which understanding gives its numbers
        variance                which of split, weights, order and dropout the spread over seeds comes from
        sections, conclusions   the studies that a report takes in; what each concludes, a sentence and its numbers
        patience, tradeoff      what stopping early would have saved; what accuracy costs
        folds                   cross-validation
        search, strategies      six hyperparameters, what each is worth; ways of searching them, replayed
        compare                 any runs as one frame, any two against each other
    press/      numbers into pages; knows neither runs nor torch
        language, locale/       words and numbers: English in the code, a catalogue for any other
        figures, charts, intervals, specification, diagrams, tables, display    what a notebook shows
        article, typeset, formulas, render, templates/      an executed notebook as HTML and PDF
    commands/   one file for each thing that one can do: report, plan, lab, runs, reference, publish, verify, predict,
                card, benchmark, floors, calm

The core imports the core, runs the core and runs, study these and study, press only itself, commands everything.
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
