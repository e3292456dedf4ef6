"""The library behind the notebooks: Fashion-MNIST classifiers after R. Magallanes Saunders (2022).

The map of the house, from the ground up; nothing imports upwards:

    recipe, params                       what decides a training's numbers; parameters at the door
    data, models, fused                  the images on a device; the networks; their faster equals
    training                             one engine
    files, faults                        whole or not at all; SIGTERM and want of memory
    origin, records                      the machine and the source of a run; its run.json, strict and sealed
    history, answers, tensors            what a run consists of, and what of it can be believed
    runs, checkpoints, inventory         a recipe and its run on disk; what it goes on from; what lies in a folder
    protocol, evaluation, sweep          the paper's trainings; the test images; training what is missing
    study                                what the paper says; one frame of all runs; statistics; claims and their rule
    tables, claims, provenance, card     Tables I and II; verdicts; where the numbers come from; of the winner's weights
    press/                               numbers into pages; knows neither runs nor torch
        language, locale/                words and numbers: English in the code, a catalogue for any other
        figures, diagrams, tables        one function a figure; the study's tables as texts
        display                          what a notebook shows, with its number and caption
        article, typeset, formulas       an executed notebook read, numbered and set
        render, templates/               as HTML and PDF, for nbconvert and JupyterLab's menu
    report                               the one command
    reference                            a report held against its records
    benchmark                            what training costs, for a notebook of its own
    notebooks/                           where the study is told, in the order it is read
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class UserError(Exception):
    """An error that the user can mend: what is wrong in one line, and how to fix it in another."""

    def __init__(self, cause: str, fix: str):
        super().__init__(cause, fix)
        self.cause, self.fix = cause, fix

    def __str__(self) -> str:
        return f"{self.cause}\nFix: {self.fix}"

    def _render_traceback_(self) -> list[str]:
        """Show IPython the two lines in place of a traceback through the library."""
        return [f"{type(self).__name__}: {self.cause}", f"Fix: {self.fix}"]
