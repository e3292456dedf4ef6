"""A study from its parameters to its last test answer: what is missing is trained, nothing is trained twice."""

from pathlib import Path

from fmnist_lib.runs.store import Store
from fmnist_lib.study import answers, protocol
from fmnist_lib.study.protocol import Study
from fmnist_lib.workers import sweep


def conduct(params: dict, store: Store, data_dir: Path | str = "") -> Study:
    """Train what is missing of a study, searches before the retrainings they decide, and ask the test images.

    With all of it there, nothing is trained; the records may be without weights where the answers are kept.
    """
    study = protocol.of_seeds(params, store)
    on = sweep.where(params)
    while study.missing:
        sweep.train(study.missing, store, data_dir, weights=True, **on)
        study = protocol.of_seeds(params, store)
    for run in sweep.train([run.recipe for run in study.retrained], store, data_dir, weights=True, **on):
        answers.on_test(run, data_dir)
    return study
