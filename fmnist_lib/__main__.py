"""The command line: ``python -m fmnist_lib report``, ``reference``, ``verify``, ``predict``, ``runs``, ``fetch``."""

import argparse
import signal
import sys

from fmnist_lib import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 1 after an error that has been explained, or 130 after an interruption."""
    parser = argparse.ArgumentParser(prog="python -m fmnist_lib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    report = commands.add_parser("report", help="train what is missing and make the report")
    report.add_argument("file", nargs="?", help="a params file; params/quick.yaml unless given")
    report.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="override a parameter"
    )
    report.set_defaults(run=run_report)
    commands.add_parser("reference", help="the paper's protocol into reports/reference").set_defaults(run=run_reference)
    verify = commands.add_parser("verify", help="rebuild a report's tables from its records and compare them")
    verify.add_argument("folder", help="a report with its runs beside it, such as reports/reference")
    verify.add_argument("--retrain", metavar="RUN", help="train anew, elsewhere, the runs whose names begin so")
    verify.set_defaults(run=run_verify)
    predict = commands.add_parser("predict", help="name the garment in a picture")
    predict.add_argument("pictures", nargs="+", metavar="PICTURE", help="28×28 as in the data set, or any other size")
    predict.add_argument("--invert", action="store_true", help="for pictures with a light background")
    predict.set_defaults(run=run_predict)
    listing = commands.add_parser("runs", help="list the runs, or compare their files with their SHA-256")
    listing.add_argument("what", nargs="?", choices=["list", "verify"], default="list")
    listing.add_argument("--runs-dir", default="", help="the folder of runs; the project's runs/ unless given")
    listing.set_defaults(run=run_runs)
    pack = commands.add_parser("pack", help="put the records of finished runs into one file")
    pack.add_argument("runs_dir", help="the folder of runs")
    pack.add_argument("pack", help="such as reports/seeds/records.zip, which all find; extended if it is there")
    pack.set_defaults(run=run_pack)
    schema = commands.add_parser("schema", help="print the JSON Schema of params files, as params/schema.json has it")
    schema.set_defaults(run=run_schema)
    fetch = commands.add_parser("fetch", help="get the data set and verify it")
    fetch.add_argument("--data-dir", default="", help="where to; the project's data/ unless given")
    fetch.set_defaults(run=run_fetch)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where it stopped.", file=sys.stderr)
        return 130
    return 0


def run_report(options):
    """Make a report and say where it is."""
    from fmnist_lib.commands import report

    folder = report.make(options.file, dict(options.p))
    print(f"Done: {folder / 'report.html'} and report.pdf")


def run_reference(options):
    """Make the paper's report, and the one that is tracked from it: its runs, the README's tables, the model card."""
    from fmnist_lib import ROOT
    from fmnist_lib.commands import publish, reference, report

    publish.publish(report.make(ROOT / "params" / "paper.yaml", {}))
    print(f"Done: {reference.FOLDER / 'report.html'} and report.pdf")


def run_verify(options):
    """Say which tables are what the records give, and how runs that are trained anew compare."""
    from fmnist_lib.commands import reference

    for name in reference.verify(options.folder):
        print(f"same bytes: {name}")
    if options.retrain:
        print(*reference.retrain(options.folder, options.retrain), sep="\n")


def run_predict(options):
    """Name the garment in each picture, by the winner of the reference."""
    from fmnist_lib.commands import predict, reference

    run = reference.winner()
    for path in options.pictures:
        (likely,) = predict.classify(run, predict.picture(path, options.invert))
        print(f"{path}: {', '.join(f'{name} {100 * probability:.1f} %' for name, probability in likely[:3])}")


def run_runs(options):
    """Print the runs, a line each; or verify them, and print a line for each file that is damaged."""
    from fmnist_lib.runs.store import Store

    store = Store(options.runs_dir)
    if options.what == "verify":
        count, errors = store.verify()
        for error in errors:
            print(f"{error.cause}. Fix: {error.fix}")
        if errors:
            raise UserError(
                f"{len(errors)} damaged files in {count} runs", "run the sweep again: it redoes these runs alone"
            )
        print(f"Every file of {count} runs has its SHA-256.")
        return
    frame = store.frame()
    columns = ["run", "status", "epochs", "best_epoch", "best_val_loss", "best_val_accuracy"]
    columns += ["device", "precision", "torch", "seconds", "megabytes"]
    listed = frame.reindex(columns=columns).convert_dtypes()
    print("No runs yet." if frame.empty else listed.to_string(index=False, na_rep=""))
    print(f"Shipped with the repository, and found by every notebook: {len(store.names_shipped())} runs.")


def run_pack(options):
    """Pack the finished runs of a folder, and say how many the pack holds."""
    from pathlib import Path

    from fmnist_lib.runs.store import Store

    count = Store(options.runs_dir, shipped=False).pack(Path(options.pack).absolute())
    print(f"{options.pack} holds {count} runs.")


def run_schema(options):
    """Print what a params file may say."""
    import json

    from fmnist_lib.study import parameters

    print(json.dumps(parameters.schema(), indent=1, ensure_ascii=False))


def run_fetch(options):
    """Fetch the data set and say where it is."""
    from fmnist_lib.runs import download

    print(download.fetch(options.data_dir))


if __name__ == "__main__":
    sys.exit(main())
