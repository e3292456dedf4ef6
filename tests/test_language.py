"""Every language says all that is said, and nothing that is no longer said; numbers as it writes them."""

import ast
import re
import string
from pathlib import Path

import nbformat
import pytest

from fmnist_lib import ROOT
from fmnist_lib.press import article, diagrams, formulas, tables
from fmnist_lib.press.language import LANGUAGES, catalogue, number, sentence, speak, tr
from fmnist_lib.study import (
    beyond,
    certainty,
    claims,
    conclusions,
    folds,
    parameters,
    protocol,
    provenance,
    readings,
    results,
    rule,
    sections,
    strategies,
    variance,
    weighing,
    wishes,
)
from fmnist_lib.study import tables as tables_of

SPOKEN = ("report", "certainty", "claims", "readings")  # the notebooks whose sentences every language has


def cells(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells


CELLS = cells("report")
PROSE = {cell.source for cell in CELLS if cell.cell_type == "markdown"}
SOURCES = [path.read_text("utf-8") for path in (ROOT / "fmnist_lib").rglob("*.py")]
SOURCES += [cell.source for name in SPOKEN for cell in cells(name) if cell.cell_type == "code"]
REASONS = {"not judged", "no verdict", "sizes", "a judgement", "reduced protocol", "another reading", "ties"}
REASONS |= {"{} of {} seeds", "not the seeds {}–{}", "zero variance", "not the judging protocol"}
REASONS |= {"a retraining of another length)"}  # as `press.tables.verdict` takes apart what `study.rule` says
OTHERS = {folds.CLOSED, folds.OPEN, folds.UNSURE, *strategies.STRATEGIES, *parameters.SOURCES, variance.TOGETHER}
SENTENCES = {
    value
    for name, value in (vars(conclusions) | vars(wishes)).items()
    if name.isupper() and isinstance(value, str) and " " in value
}
OTHERS |= {*wishes.WAYS, folds.REDUCED}
OTHERS |= {beyond.BASE, *beyond.WORDS.values(), "step", "gain", "total", "total low", "total high"}
OTHERS |= {
    *weighing.HEADS.values(),
    "source",
    "share",
    "low",
    "high",
    "test",
    "gap",
    "gap low",
    "gap high",
    "difference",
}
OTHERS |= {
    "reading",
    "accuracy",
    "images",
    "cost",
    "optimizer",
    "activation",
    "seeds",
}  # what the other studies' tables show
DECIDING = {
    "es": {
        "training": "entrenamiento", "validation": "validación", "test": "prueba", "accuracy": "exactitud",
        "loss": "pérdida", "Loss": "Pérdida", "Accuracy [%]": "Exactitud [%]", "epoch": "época", "epochs": "épocas",
        "Training loss": "Pérdida de entrenamiento", "Validation loss": "Pérdida de validación",
        "reproduced": "se reproduce", "not reproduced": "no se reproduce", "undecidable": "sin decidir",
        "no verdict": "sin veredicto", "not judged": "no se juzga", "the paper": "el trabajo", "paper": "trabajo",
        "ours": "nuestro", "low": "desde", "high": "hasta", "gap low": "brecha, desde", "gap high": "brecha, hasta",
        "total low": "total, desde", "total high": "total, hasta", "measured": "medido",
        "by operations": "por operaciones", "on its own fold": "en su propio pliegue", "on test": "en prueba",
        "closes the gap": "cierra la brecha", "leaves the gap": "deja abierta la brecha", "trained": "entrenada",
        "not trained yet": "sin entrenar todavía", "True class": "Clase real", "Predicted class": "Clase predicha",
        "accuracy, k: 3 − 5": "exactitud, k: 3 − 5", "log ratio": "log del cociente", "difference": "diferencia",
        "loss, p: 0.25 − 0.1": "pérdida, p: 0,25 − 0,1", "accuracy, p: 0.25 − 0.1": "exactitud, p: 0,25 − 0,1",
        "mean": "media", "one more run": "una corrida más", "seed": "semilla", "cost": "costo", "images": "imágenes",
    },
}  # fmt: skip
translated = pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])


def texts(*nodes) -> set[str]:
    parts = [part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return {part.value for part in parts if isinstance(part.value, str)}


def spoken() -> set[str]:
    """Return what the notebook and the library give to a function that translates, or assign to a caption."""
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source)):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in ("say", "tr", "sentence", "Figure", "Table"):
                first = 2 if name in ("Figure", "Table") else 0  # after what is shown and its label
                found |= texts(*(given for given in node.args[first:] if isinstance(given, ast.Constant)))
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
                "caption",
                "alt",
                "note",
                "state",
            ):
                found |= texts(node.value)
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "words":  # a caption besides
                found |= texts(node.value) if isinstance(node.value, ast.Constant) else set()
    return found - {""}


def told() -> set[str]:
    """Return the words of the report's tables and of what the library says through a name."""
    frame, values = results.frame([]), protocol.DEFAULTS
    read, environment = provenance.readings(values), tables_of.environment(frame)
    shown = [read, environment, tables_of.runs(frame), sections.overview({})]
    shown += [tables.claims_as_text(claims.judge(frame))]
    chosen = {text for reading in readings.READINGS.values() for text in readings.choices(reading)}
    chosen = {text for text in chosen if text.partition(" = ")[0] not in parameters.PARAMETERS}
    heads = {name for frame in shown for name in frame.columns}
    heads |= {name for pair in tables.numbers_as_text(certainty.among(frame)[:9]).columns for name in pair}
    heads |= {name for pair in tables.scores_as_text(tables_of.table_1(frame, 1)).columns for name in pair}
    parts = {part.words for part in claims.PARTS if re.search(r"\b[a-z]{2}", part.words)}
    units = {part.unit for part in claims.PARTS}
    rules = {message for _, message in formulas.RULES if message.strip("{}0123456789")}
    return {
        *heads, *read["what it is"], *environment["what it is"], *parts, *units, *rule.VERDICTS, *REASONS, *rules,
        *SENTENCES, *OTHERS, *(reading.words for reading in readings.READINGS.values()), *chosen,
        *diagrams.STAGES, *article.WORDS.values(), *claims.WORDS.values(), protocol.STAMP, protocol.OVER,
        tables_of.LINE,
    } - {""}  # fmt: skip


@translated
def test_nothing_is_untranslated_fuzzy_or_obsolete(language):
    messages = {message.id: message for message in catalogue(language) if message.id}
    said = PROSE | spoken() | told()
    constants = set().union(*(texts(ast.parse(source)) for source in SOURCES))
    assert sorted(said - messages.keys()) == [], "untranslated"
    assert sorted(name for name, message in messages.items() if message.fuzzy or not message.string) == []
    assert sorted(messages.keys() - said - constants) == [] and not catalogue(language).obsolete, "obsolete"


@translated
def test_a_translation_has_the_fields_the_formulas_and_the_references_of_its_message(language):
    def fields(text):
        return [(name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None]  # in its order

    for message in catalogue(language):
        if message.id and message.id not in PROSE:
            assert fields(message.id) == fields(message.string), message.id
        if message.id in PROSE:
            for mark in "$#*[`":
                assert message.id.count(mark) == message.string.count(mark), (mark, message.id)


@translated
def test_the_words_that_decide_are_those_of_a_dictionary_by_hand(language):
    assert {word: tr(word, language) for word in DECIDING[language]} == DECIDING[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_formula_is_said_in_words_and_none_in_tex(language):
    prose = "\n".join(tr(text, language) for text in PROSE)
    displayed = re.findall(r"\$\$(.+?)\$\$", prose, re.S)
    assert displayed and all(formulas.COMMENT.search(tex) for tex in displayed)
    inline = re.findall(r"\$([^$\n]+)\$", prose)
    said = [formulas.spoken(tex, language) for tex in displayed + inline]
    assert inline and not [words for words in said if re.search(r"[\\{}$^_%]", words)]


@translated
def test_one_word_for_the_paper_one_for_this_report_and_one_for_the_test_images(language):
    banned = {"es": ("artículo", "este trabajo", "el informe", "del informe", "en test", "conjunto de test")}[language]
    said = [message.string.lower() for message in catalogue(language) if message.id]
    assert [(word, text) for text in said for word in banned if word in text] == []


def test_a_sentence_writes_its_numbers_as_the_language_does_and_its_values_as_text():
    message = "{model} errs on {mistakes} of {images} images. {share:+.2f}"
    speak("es")
    assert sentence(message, model="<b>_x_", mistakes=1234, images=50_000, share=-0.5) == (
        r"\<b\>\_x\_ errs on 1.234 of 50.000 images. −0,50"
    )
    assert sentence("{state}", state="trained") == "entrenada" and tr("no such message") == "no such message"


@pytest.mark.parametrize("value", [0.125, 2.675, 1e6 / 3, -0.004, 92.44499999])
def test_a_number_is_rounded_as_python_rounds_it_in_every_language(value):
    english = f"{value:,.2f}".replace("-", "−")
    assert number(value, 2, "en") == english
    assert number(value, 2, "es") == english.translate(str.maketrans(",.", ".,"))


def test_the_catalogue_is_where_the_package_looks_for_it():
    assert LANGUAGES == ("en", "es") and Path(article.__file__).with_name("locale").is_dir()
