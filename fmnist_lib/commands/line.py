"""The command line: ``fmnist report``, ``lab``, ``runs``, ``predict``, ``verify``, ``reference``, ``fetch``."""

import argparse
import contextlib
import os
import signal
import sys
from importlib.metadata import version

from fmnist_lib import UserError, short
from fmnist_lib.commands.parser import Parser, told

ABOUT = "Fashion-MNIST classifiers after R. Magallanes Saunders (2022): train, report, verify, predict."
EXAMPLES = """examples:
  fmnist report                        what each report would train, and for how long; does nothing
  fmnist report quick                  a look in minutes: reports/quick/report.html and report.pdf
  fmnist report paper -p seed "[0, 1]"  the paper's protocol over two seeds, in a folder of its own
  fmnist lab quick                     JupyterLab on working copies, with quick's parameters in them
  fmnist runs --watch                  what is being trained now, whoever trains it
  fmnist verify reports/reference      a report made anew from its records, and compared
  fmnist predict --invert shirt.jpg    which garment is this? (a dark one on a light background)

Every command also works as: python -m fmnist_lib COMMAND"""


def parser() -> Parser:
    """Build the parser of all commands; each option set ``run`` to the function that does it."""
    whole = Parser("fmnist", description=ABOUT, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole.add_argument("--version", action="version", version=f"fmnist {version('fmnist-lib')}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def command(name: str, run, words: str) -> Parser:
        added = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        added.set_defaults(run=run)
        return added

    report = command("report", run_report, "train what is missing and make a report")
    report.add_argument("file", nargs="?", help="a params file, or its bare name: quick, paper, rigorous, smoke")
    lab = command("lab", run_lab, "open JupyterLab on working copies of the notebooks, in work/")
    lab.add_argument("file", nargs="?", help="a params file, or the bare name of any in params/, for the copies")
    lab.add_argument("options", nargs="*", metavar="-- OPTION", help="JupyterLab's own: -- --no-browser --port 8899")
    runs = command("runs", run_runs, "list the runs, watch those under way, or verify their files")
    said = "list (the default) or verify"
    runs.add_argument("what", nargs="?", choices=["list", "verify"], default="list", help=said)
    runs.add_argument("--watch", action="store_true", help="show what is being trained for as long as something is")
    runs.add_argument("--runs-dir", default="", metavar="FOLDER", help="the folder of runs; runs/ unless given")
    predict = command("predict", run_predict, "name the garment in a picture")
    predict.add_argument("pictures", nargs="+", metavar="PICTURE", help="28×28 as in the data set, or any other size")
    predict.add_argument("--invert", action="store_true", help="for pictures with a light background")
    verify = command("verify", run_verify, "make a report anew from its records and compare every byte")
    verify.add_argument("folder", metavar="FOLDER", help="a report, such as reports/reference or your own")
    verify.add_argument("--retrain", metavar="RUN", help="train the runs whose names begin so again, aside")
    reference = command("reference", run_reference, "run the paper's protocol into reports/reference, which is tracked")
    for one in (report, reference):
        one.add_argument(
            "-p",
            nargs=2,
            action="append",
            default=[],
            metavar=("NAME", "VALUE"),
            help="override a parameter, e.g. -p epochs 3",
        )
    for one in (report, verify, reference):
        one.add_argument("--cluster", default="", metavar="WHERE", help="train on local or tcp://host:port, by Dask")
    fetch = command("fetch", run_fetch, "get the data set and verify it")
    fetch.add_argument("--data-dir", default="", metavar="FOLDER", help="where to; data/ unless given")
    pack = command("pack", run_pack, "put the records of finished runs into one file")
    pack.add_argument("runs_dir", metavar="FOLDER", help="the folder of runs")
    pack.add_argument("pack", metavar="PACK", help="such as reports/seeds/records.zip; extended if it is there")
    command("schema", run_schema, "print the JSON Schema of params files")
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 1 after an error that is explained, 130 interrupted, 141 if nobody reads any more."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be text
    try:
        options = parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()  # here a full disk or a closed pipe shows
    except (UserError, OSError, KeyboardInterrupt) as error:
        return told(error)
    return 0


def run_report(options):
    """Make a report and say where it is; without a name, say what each would take."""
    from fmnist_lib.commands import plan, report

    values = plan.given(options)
    if options.file is None:
        table = plan.plans(values).to_string(index=False)
        print("Nothing was done. What there is to make, how many trainings it lacks, and about how long these take if\n"
              "these cores are as fast as reports/reference's, in bf16 (it is measured before it begins). The best of\n"
              "a search are retrained after it: until they are known, these trainings are not counted.\n")  # fmt: skip
        print(table)
        return
    folder = report.make(plan.reports_file(options.file), values)
    print(f"Done: {folder / 'report.html'} and report.pdf")


def run_lab(options):
    """Open JupyterLab on working copies, with the values of a params file in them if one is named."""
    from fmnist_lib.commands import lab, plan

    file, own = lab.told([options.file, *options.options])
    lab.start(file and plan.params_file(file), own)


def run_reference(options):
    """Make the paper's report, and the one that is tracked from it: its runs, the README's tables, the model card."""
    from fmnist_lib import ROOT
    from fmnist_lib.commands import plan, publish, reference, report

    values = reference.as_here(plan.given(options))
    reference.refuse_another_protocol(values)
    publish.publish(report.make(ROOT / "params" / "paper.yaml", values))
    print(f"Done: {reference.FOLDER / 'report.html'} and report.pdf")


def run_verify(options):
    """Say what of a report is what its records give, how runs that are trained anew compare, and a verdict."""
    from fmnist_lib.commands import reference, verify

    if options.cluster and options.retrain is None:
        raise UserError("--cluster without --retrain", "add --retrain: nothing else of verify trains")
    if options.retrain is not None:
        reference.begins(options.folder, options.retrain)  # a name that is none is told at once
    found = verify.verify(options.folder)
    print(*(f"same bytes: {name}" for name in found[0]), sep="\n")
    if options.retrain is not None:
        print(*reference.retrain(options.folder, options.retrain, cluster=options.cluster), sep="\n")
    print(verify.verdict(options.folder, *found))


def run_predict(options):
    """Name the garment in each picture, by the winner of the reference."""
    from fmnist_lib.commands import predict, reference

    run = reference.winner()
    for path in options.pictures:
        image = predict.picture(path, options.invert)
        (likely,) = predict.classify(run, image)
        print(f"{short(path)}: {', '.join(f'{name} {100 * probability:.1f} %' for name, probability in likely[:3])}")
        if doubt := predict.doubt(image, options.invert):
            print(f"{short(path)}: {doubt}", file=sys.stderr)


def run_runs(options):
    """Print the runs as a table, or those under way, or a line for each file that is damaged."""
    from fmnist_lib.commands import runs

    if options.watch and options.what == "verify":
        raise UserError("runs verify --watch asks for two things", "ask for one of them at a time")
    store = runs.opened(options.runs_dir, needed=options.what == "verify")
    if options.watch:
        with contextlib.suppress(KeyboardInterrupt):
            for lines in runs.watch(options.runs_dir):
                print(lines, flush=True)
    elif options.what == "verify":
        print(f"Every file of {runs.verified(store)} runs has its SHA-256.")
    else:
        table = runs.listing(store)
        print("No runs yet." if table.empty else table.to_string(index=False))
        print(
            f"Shipped with the repository: {len(store.names_shipped())} runs. Notebooks find those made as they would."
        )


def run_pack(options):
    """Pack the finished runs of a folder, and say how many the pack holds."""
    from pathlib import Path

    from fmnist_lib.commands import pack
    from fmnist_lib.runs.store import Store

    count = pack.add(Store(options.runs_dir, shipped=False), Path(options.pack).absolute())
    print(f"{options.pack} holds {count} runs.")


def run_schema(options):
    """Print what a params file may say."""
    import json

    from fmnist_lib.study import parameters

    print(json.dumps(parameters.schema(), indent=1, ensure_ascii=False))


def run_fetch(options):
    """Fetch the data set and say where it is."""
    from fmnist_lib.workers import download

    print(download.fetch(options.data_dir))
