"""Make each small wrong change of mutants.toml in a copy of the project, run the tests concerned, tell who survives.

`make mutants` tries them all; `python tests/mutants.py WORD` those alone that have the word in what they are or where.
A change whose `before` does not stand in its file exactly once is stale, and so is the list.
"""

import contextlib
import io
import multiprocessing
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("fmnist_lib", "tests", "notebooks", "params")  # the rest is linked
# Not papermill: its entry point would import this library before the copy is there.
IMPORTED = "torch torch._dynamo pandas scipy.stats statsmodels.stats.weightstats matplotlib.pyplot seaborn numba"
IMPORTED += " nbconvert pypandoc typst hypothesis pytest PIL.Image babel.numbers"  # once, before the forks
PYTEST = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
FAILED = 1  # pytest's exit status where a test failed; any other but 0 says that the tests did not run
SECONDS = 300  # for the tests of one change
FORKS = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Mutant:
    """A wrong change: what it is, in which file, which text becomes which, and the tests that should notice."""

    what: str
    file: str
    before: str
    after: str
    tests: str

    @property
    def stale(self) -> bool:
        """Say whether the text to be changed is not there exactly once, or would not change."""
        return (ROOT / self.file).read_text("utf-8").count(self.before) != 1 or self.before == self.after


def listed() -> list[Mutant]:
    """Read the list: in each `[[group]]` the changes that its tests should notice, or those named with the change."""
    groups = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["group"]
    return [Mutant(**{"tests": group["tests"]} | mutant) for group in groups for mutant in group["mutants"]]


def copy(folder: Path):
    """Lay out the project in a folder: what may change copied, with the compiled kernels' cache, the rest linked."""
    for path in ROOT.iterdir():
        if path.name in COPIED:
            shutil.copytree(path, folder / path.name)
        elif not path.name.startswith("."):
            (folder / path.name).symlink_to(path.resolve())


def tested(folder: Path, tests: str):
    """Run these tests of the copy, and end with pytest's exit status; to be called in a process of its own."""
    os.setsid()
    os.chdir(folder)
    os.environ["PYTHONPATH"] = sys.path[0] = str(folder)
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        import pytest

        status = int(pytest.main([*PYTEST, *shlex.split(tests)]))
    library = sys.modules.get("fmnist_lib")
    wrong = library is None or not Path(library.__file__).is_relative_to(folder)
    os._exit(99 if wrong else status)  # whatever threads the tests have left


def tried(mutant: Mutant) -> int:
    """Return pytest's exit status on a copy with this change; -9 for tests that take too long, which says nothing."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        copy(folder := Path(place).resolve())
        changed = folder / mutant.file
        changed.write_text(changed.read_text("utf-8").replace(mutant.before, mutant.after), "utf-8")
        process = FORKS.Process(target=tested, args=(folder, mutant.tests))
        process.start()
        process.join(SECONDS)
        with contextlib.suppress(ProcessLookupError):  # it and what it has started
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return process.exitcode


def told(mutant: Mutant, status: int, unchanged: bool) -> bool:
    """Say whether this is not as it should be, after printing why."""
    if bad := status != (0 if unchanged else FAILED):
        how = "fails without any change" if unchanged else "survived" if status == 0 else f"was not tried ({status})"
        print(f"{how}: {mutant.what} ({mutant.file}), by {mutant.tests}", flush=True)
    return bad


def main(words: list[str]) -> int:
    """Try the changes; print the survivors and those whose tests did not run; return 1 if there are any."""
    mutants = [m for m in listed() if all(word in f"{m.what} {m.file}" for word in words)]
    if stale := [mutant for mutant in mutants if mutant.stale]:
        print(*(f"stale: {m.file}: {m.before!r} ({m.what})" for m in stale), sep="\n")
        return 1
    unchanged = [Mutant("nothing", "tests/mutants.py", "", "", tests) for tests in {m.tests for m in mutants}]
    began = time.monotonic()
    FORKS.set_forkserver_preload(IMPORTED.split())
    os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        statuses = tqdm(pool.map(tried, mutants + unchanged), total=len(mutants + unchanged), mininterval=5)
        found = zip(mutants + unchanged, statuses, strict=True)
        bad = [mutant for mutant, status in found if told(mutant, status, mutant in unchanged)]
    print(f"{len(mutants)} changes, {len(bad)} not noticed, in {(time.monotonic() - began) / 60:.1f} minutes")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
