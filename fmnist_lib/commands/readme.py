"""What the README, and LEEME.md in Spanish, say of the reference: between marks, computed, never typed."""

import re
from pathlib import Path

import pandas as pd

from fmnist_lib import UserError
from fmnist_lib.commands import floors
from fmnist_lib.press.display import markdown
from fmnist_lib.press.language import sentence, speak, tr
from fmnist_lib.press.tables import scores_as_text
from fmnist_lib.runs.files import SHIPPED, write_file
from fmnist_lib.study import certainty, claims, conclusions, protocol, results, sections, tables
from fmnist_lib.study.protocol import Study

PAGES = {"README.md": "en", "LEEME.md": "es"}
TESTED = {"cnn": protocol.WINNER, "nahuel": "CNN-Nahuel", "ann": "ANN-Juan"}
FOUND = (
    "Of the {models} networks that the paper compares on the test images, its winner {winner} is right on "
    "{cnn[accuracy]:.2f} % of them (in the paper {cnn[paper accuracy]:.2f} %), CNN-Nahuel on {nahuel[accuracy]:.2f} % "
    "({nahuel[paper accuracy]:.2f} %) and ANN-Juan, without convolutions, on {ann[accuracy]:.2f} % "
    "({ann[paper accuracy]:.2f} %)."
)
Told = tuple[str, dict]  # a message and its numbers
BENCHMARK = SHIPPED / "benchmark" / "benchmark.csv"


def pages(study: Study, values: dict) -> dict[tuple[str, str], str]:
    """Return what each page says of a study, by its name and that of the place."""
    languages, seeds = PAGES.items(), over_seeds(study, values, sections.of(values))
    return {(page, name): text for page, said in languages for name, text in blocks(study, values, said, seeds).items()}


def blocks(study: Study, values: dict, language: str, over_seeds: list[Told]) -> dict[str, str]:
    """Return what the README says, by the name of the place: Tables I and II, how they were made, the benchmark.

    What was found is told of one seed and then ``over_seeds``. In Spanish there is no benchmark.
    """
    speak(language)
    every, seeds = results.frame(study.every, values["split_seed"]), len(values["seed"])
    table1 = tables.table_1(results.frame(study.grid, values["split_seed"]), seeds)
    table2 = tables.table_2(results.frame(study.retrained, values["split_seed"]), seeds)
    told = [(protocol.STAMP, protocol.stamped(values)), (tables.LINE, tables.made(every))]
    made = _bare(" · ".join(sentence(message, **given) for message, given in told))
    tested = {name: table2.loc[model] for name, model in TESTED.items()}
    found = sentence(FOUND, winner=protocol.WINNER, models=len(tested), **tested)
    found = "\n\n".join([found, *(_bare(sentence(message, **numbers)) for message, numbers in over_seeds)])
    said = {"found": found, "table 1": side_by_side(table1, 3), "table 2": side_by_side(table2, 4), "made": made}
    shown = BENCHMARK.exists() and language == "en"
    return said | ({"speed": floors.readme_table(pd.read_csv(BENCHMARK)).strip()} if shown else {})


def over_seeds(study: Study, values: dict, taken: dict) -> list[Told]:
    """Return what several seeds conclude of the paper's numbers and of its claims, as messages and their numbers.

    Of one seed that is nothing; ``taken`` are the studies that `sections.of` has.
    """
    _, frame = sections.over_seeds(values, study, taken)
    if frame["seed"].nunique() < 2:
        return []
    judged = claims.judge(frame, results.seconds_an_epoch())
    told = conclusions.certainty(certainty.among(frame), certainty.held_out(frame))
    return [told, conclusions.claims(judged)]


def _bare(text: str) -> str:
    """Take out the signs before what Markdown could read as markup: models' names and numbers hold none."""
    return re.sub(r"\\(\W)", r"\1", text)


def side_by_side(table: pd.DataFrame, loss_digits: int) -> str:
    """Write `tables.beside_paper`'s table in Markdown, ours before the paper's in brackets."""
    texts = scores_as_text(table, loss_digits)
    names = [group for group in texts.columns.unique(0) if group]
    columns = {tr(name): texts[name, "ours"] + " (" + texts[name, "paper"] + ")" for name in names}
    return markdown(pd.DataFrame(columns).rename_axis(tr("Model")).reset_index())


def fill(page: Path, name: str, block: str):
    """Write a block between a page's marks ``<!-- name -->`` and ``<!-- /name -->``; UserError if it has none."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    text, n = marks.subn(lambda found: f"{found[1]}\n{block.strip()}\n\n{found[2]}", page.read_text("utf-8"))
    if n != 1:
        raise UserError(
            f"{page} has {n} places for {name!r}", f"write <!-- {name} --> and <!-- /{name} --> there, once"
        )
    write_file(page, text.encode())


def filled(folder: Path) -> dict[tuple[str, str], str]:
    """Return what stands between the marks of the pages in a folder."""
    marked = re.compile(r"<!-- ([^/].*?) -->\n\n(.*?)\n\n<!-- /\1 -->", re.S)
    texts = {page: (folder / page).read_text("utf-8") for page in PAGES if (folder / page).is_file()}
    return {(page, name): block for page, text in texts.items() for name, block in marked.findall(text)}
