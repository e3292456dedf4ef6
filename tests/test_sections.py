"""The studies that a report takes in: there where their records are, else left out; no verdict from nine seeds."""

import ast
import hashlib
import shutil

import matplotlib
import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

matplotlib.use("Agg")
from test_claims import JUDGED, made_up
from test_tables_stats import ENVIRONMENT, images_of

from fmnist_lib import ROOT
from fmnist_lib.commands import pack as packing
from fmnist_lib.commands import readme
from fmnist_lib.press.display import Figure, Table, say
from fmnist_lib.press.language import sentence
from fmnist_lib.runs import contents, pack, record
from fmnist_lib.runs.store import Store
from fmnist_lib.study import (
    beyond,
    claims,
    conclusions,
    folds,
    mode,
    parameters,
    protocol,
    results,
    rule,
    search,
    sections,
    tables,
    variance,
    weighing,
    wishes,
)
from fmnist_lib.study.paper import WINNER
from fmnist_lib.study.readings import READINGS

SOURCE = record.source()
KIND = {"device": "cpu", "precision": "fp32", "kernels": "torch"}
SMALL = {  # what the params files ask for, as few as make a study
    "search": {"k": [3], "n": [128], "p": [0.1, 0.25], "optimizers": ["adam"], "lrs": [0.001], "best": 1, "replays": 2},
    "variance": {"sources": ["weights", "order"]},
    "beyond": {"seed": [11, 12, 13], "smoothing": 0.0, "flips": False, "averaging": 0.0},
}
CELLS = nbformat.read(ROOT / "notebooks" / "report.ipynb", 4).cells
HEADINGS = {
    "rigorous": ("Over seeds", "Tables I and II over seeds", "Accuracy against compute"),
    "variance": ("Where the spread comes from",),
    "readings": ("Does another reading give the paper's numbers?",),
    "folds": ("Cross-validation",),
    "course": (),  # a sentence under the folds
    "search": ("How to search",),
    "beyond": ("Beyond the paper",),
}


def write(place, recipe, rng):
    """Make up a run: the loss falls for two or three epochs and rises from there; it has answered if it is the last."""
    best = recipe.epochs if recipe.keep == "last" else int(rng.integers(2, 4))
    length = min(recipe.epochs, best + recipe.patience) if recipe.patience else recipe.epochs
    losses = [0.3 + 0.01 * abs(best - epoch) + 0.001 * rng.random() for epoch in range(1, length + 1)]
    rows = [(i, loss, loss, rng.integers(9000, 9200) / 1e4) for i, loss in enumerate(losses, 1)]
    history = [dict(zip(contents.COLUMNS, row, strict=True)) for row in rows]
    times = {"seconds": 1.0, "finished": "2026-01-01T00:00:00Z"}
    run = Store(place).write(recipe, history, {}, times, (ENVIRONMENT, SOURCE))
    if recipe.keep == "last" or recipe.folds:
        answer(run, rng)


def answer(run, rng):
    """Make up what a run says of the test images, right on nine of ten and some more; better the more is new in it."""
    run.attach(
        record.TEST, contents.pack_answers(images_of(0.9 + 0.01 * rng.random() + 0.02 * bool(run.recipe.shifts)))
    )


def asked(name, kind=KIND):
    return protocol.DEFAULTS | parameters.checked(sections.read_file(ROOT / "params" / f"{name}.yaml")) | kind


def train(place, listed):
    """Make up what is missing of the trainings that a function lists from what is there, until nothing is."""
    rng = np.random.default_rng(0)
    while todo := listed(Store(place, shipped=False)):
        for recipe in todo:
            write(place, recipe, rng)


def train_seeds(place, seeds, kind=KIND):
    params = asked("rigorous", kind) | {"seed": list(seeds)}
    train(place, lambda store: protocol.of_seeds(params, store).missing)


def train_all(place):
    """Make up three seeds of the main study, one reading beside the default, and all of the others."""
    train_seeds(place, [11, 12, 13])
    params = asked("readings")
    train(place, lambda store: store.missing(weighing.recipes(["default", "nahuel_k5"], params, store)))
    for run in weighing.whole("default", params, Store(place, shipped=False))[1]:  # their weights are nowhere
        run.attach(record.MODE, contents.pack_answers(images_of(0.85 + 0.0001 * run.recipe.split_seed)))
    for name in ("folds", "course"):
        train(place, lambda store, name=name: store.missing(folds.recipes(asked(name))))
    params = asked("search")
    train(place, lambda store: store.missing(search.recipes(params)))
    table = search.frame(Store(place, shipped=False).whole(search.recipes(params)))
    train(place, lambda store: store.missing(search.at_full_size(table, params)))
    train(place, lambda store: store.missing(variance.recipes(asked("variance"))))
    climbs = list(beyond.recipes(asked("beyond")).values())  # the first step is the winner's search of `train_seeds`
    train(place, lambda store: store.missing(climbs))
    for run in Store(place, shipped=False).whole(climbs):
        answer(run, np.random.default_rng(0))


@pytest.fixture(scope="module", autouse=True)
def small():
    """Ask for less than the params files do, in one kind of training alone."""
    with pytest.MonkeyPatch.context() as patch:
        whole = sections.read_file
        patch.setattr(sections, "read_file", lambda path: whole(path) | SMALL.get(path.stem, {}))
        patch.setattr(sections, "KINDS", [tuple(KIND.values())])
        yield patch


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    place = tmp_path_factory.mktemp("all")
    train_all(place)
    return place


@pytest.fixture(scope="module")
def taken(trained):
    return sections.collect(Store(trained, shipped=False))


# What is there


def test_every_study_is_found_whole_with_the_runs_that_its_own_list_names(taken):
    assert list(taken) == list(sections.STUDIES) and set(taken) == set(HEADINGS)
    assert {run.recipe for run in taken["folds"].runs} == set(folds.recipes(asked("folds")))
    assert {run.recipe for run in taken["course"].runs} == set(folds.recipes(asked("course")))
    assert {run.recipe for run in taken["variance"].runs} == set(variance.recipes(asked("variance")))
    few, full = search.apart(taken["search"].runs, asked("search"))
    assert [run.recipe for run in few] == search.recipes(asked("search")) and {r.recipe.train_images for r in full} == {
        50_000
    }
    assert [run.recipe for run in taken["beyond"].runs] == list(beyond.recipes(asked("beyond")).values())
    assert {run.recipe.split_seed for run in taken["rigorous"].runs} == {53, 54, 55}
    assert sorted({run.recipe.nahuel_k for run in taken["readings"].runs}) == [3, 5]
    table = sections.overview(taken).set_index("parameters")
    assert table["runs"].to_dict() == {f"{name}.yaml": len(part.runs) for name, part in taken.items()}
    assert all((ROOT / "params" / name).is_file() for name in table.index)
    assert all((ROOT / "notebooks" / name).is_file() for name in table["notebook"])
    assert table["seeds"][["rigorous.yaml", "folds.yaml"]].tolist() == ["11–13", "11"]
    made = taken["rigorous"].runs[0].record
    assert table["processor"]["rigorous.yaml"] == made["environment"]["processor"]
    assert table["vector units"]["rigorous.yaml"] == made["environment"]["capability"]
    assert table["commits"]["rigorous.yaml"] == table["commits"]["folds.yaml"]
    assert table["commits"]["rigorous.yaml"].split()[0] == (made["source"]["commit"] or "—")[:7]  # none without git


def test_numbers_that_follow_one_another_are_told_by_their_ends():
    assert sections.spans([13, 11, 12, 20, 1, 11, 22, 21]) == "1, 11–13, 20–22" and sections.spans([]) == ""


GONE = {  # one run less: the study is left out, or what of it is whole stays
    "rigorous": lambda part: next(r for r in part.runs if r.recipe.weights_seed == 13),
    "readings": lambda part: next(r for r in part.runs if r.recipe.nahuel_k == 5 and r.recipe.keep == "last"),
    "folds": lambda part: part.runs[4],
    "course": lambda part: part.runs[5],
    "search": lambda part: part.runs[-1],
    "variance": lambda part: part.runs[0],
    "beyond": lambda part: part.runs[-1],
}


@pytest.mark.parametrize("name", GONE)
def test_a_study_that_lacks_a_run_is_left_out_and_of_seeds_the_whole_ones_stay(name, taken, trained, tmp_path):
    place = tmp_path / GONE[name](taken[name]).folder.name
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(place)
    store = Store(tmp_path, shipped=False)
    part, left = taken[name], sections.STUDIES[name][1](asked(name), store)
    if name == "rigorous":
        assert {run.recipe.split_seed for run in left} == {53, 54} and len(left) < len(part.runs)
    elif name == "readings":
        assert {run.recipe.nahuel_k for run in part.runs} == {3, 5} and {run.recipe.nahuel_k for run in left} == {3}
    else:
        assert left == []


def test_of_one_seed_there_is_no_study_over_seeds_and_of_the_default_alone_none_of_readings(tmp_path):
    train_seeds(tmp_path, [11])
    assert sections.collect(Store(tmp_path, shipped=False)) == {}
    train_seeds(tmp_path, [12, 13])
    assert list(sections.collect(Store(tmp_path, shipped=False))) == ["rigorous"]


def test_of_two_kinds_that_is_taken_which_has_more_runs_and_they_are_never_mixed(tmp_path, small):
    other = KIND | {"precision": "bf16"}
    train_seeds(tmp_path, [11, 12], KIND), train_seeds(tmp_path, [12, 13, 14], other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "KINDS", [tuple(KIND.values()), tuple(other.values())])
        part = sections.collect(Store(tmp_path, shipped=False))["rigorous"]
    assert {run.recipe.precision for run in part.runs} == {"bf16"} and part.params["precision"] == "bf16"
    assert {run.recipe.split_seed for run in part.runs} == {54, 55, 56}


def test_each_seed_has_a_winner_of_its_own_and_nothing_of_another_seeds_is_missing(trained):
    params, store = asked("rigorous") | {"seed": [11, 12, 13]}, Store(trained, shipped=False)
    study = protocol.of_seeds(params, store)
    each = [protocol.collect(params | {"seed": [seed]}, store) for seed in params["seed"]]
    owns = [protocol.winner(one.grid) for one in each]
    assert study.missing == [] and len(set(owns)) > 1
    retrained = {(run.recipe.split_seed, run.recipe.model) for run in study.retrained}
    assert {(53 + i, model) for i, own in enumerate(owns) for model in (own, protocol.WINNER)} <= retrained
    whole = protocol.of_seeds(params | {"seed": [11, 14]}, store, whole=True)
    assert [run.recipe for run in whole.every] == [run.recipe for run in each[0].every] and whole.missing == []


def test_a_report_of_another_protocol_takes_nothing_in_and_one_of_several_seeds_rests_on_its_own(taken, monkeypatch):
    monkeypatch.setattr(sections, "collect", lambda: taken)
    papers, study = protocol.DEFAULTS | KIND, protocol.Study(grid=taken["folds"].runs)
    assert sections.of(papers) == taken and sections.of(papers | {"epochs": 3}) == {}
    runs, frame = sections.over_seeds(papers, study, taken)
    assert runs == taken["rigorous"].runs and set(frame["seed"]) == {11, 12, 13}
    for params, some in ((papers | {"seed": [0, 1]}, taken), (papers, {})):
        assert sections.over_seeds(params, study, some)[0] == study.every


# What is said


@pytest.mark.parametrize(
    ("seeds", "change"), [(range(11, 20), {}), (JUDGED, {"train_images": 1000}), (range(1, 11), {})]
)
def test_from_nine_seeds_a_reduced_protocol_or_seeds_that_do_not_judge_there_is_no_verdict_word(seeds, change):
    judged = claims.judge(made_up(seeds).assign(**change))
    message, values = conclusions.claims(judged)
    told = sentence(message, **values)
    assert message == conclusions.UNJUDGED and f"n = {len(list(seeds))}" in told
    assert not [word for word in rule.VERDICTS if word in told or word in set(judged["verdict"])]
    if change:
        assert set(judged["verdict"]) == {"not judged: reduced protocol", *claims.UNJUDGED.values()}


def test_ten_judging_seeds_have_their_verdicts_counted():
    judged = claims.judge(made_up())
    message, values = conclusions.claims(judged)
    each = judged[~judged["id"].isin(["S7", "S14"])].drop_duplicates("id")["verdict"]  # which have no effect
    assert message == conclusions.VERDICTS and (values["n"], values["patience"]) == (10, 15)
    assert (values["S"], values["P"], values["claims"]) == (12, 5, 17)
    told = sentence(message, **values).replace("\\", "")
    words = ["Reproduced", "in sign, but negligible in size", "not reproduced", "undecidable"]
    named = judged.set_index("id")["verdict"]
    for word, shown in zip(rule.VERDICTS, words, strict=True):
        count, ids = (each == word).sum(), named.index[(named == word) & ~named.index.duplicated()]
        expected = f"{count} ({', '.join(ids)})" if count else "none"
        assert f" {shown}: {expected};" in told
    rest = [claim for claim, verdict in named[~named.index.duplicated()].items() if verdict not in rule.VERDICTS]
    rest = [claim for claim in rest if claim not in claims.UNJUDGED]  # by ties, or for want of the seconds
    assert told.endswith(f"without a verdict: {len(rest)} ({', '.join(rest)}).") and rest


def test_a_claim_that_a_diverged_run_takes_out_is_told_to_be_without_a_verdict():
    frame = made_up()
    gone = (frame["seed"] == 15) & frame["model"].str.startswith("CNN5-")
    message, values = conclusions.claims(claims.judge(frame[~gone]))
    assert message == conclusions.VERDICTS
    assert values["told"]["rest"] == "6 (S11, P1, P2, P3, P4, P5)"  # there are no seconds either


def test_the_readme_says_what_several_seeds_conclude_and_nothing_of_one(taken):
    papers, study = protocol.DEFAULTS | KIND, protocol.Study()
    assert readme.over_seeds(study, papers, {}) == []
    certain, judged = (sentence(message, **told) for message, told in readme.over_seeds(study, papers, taken))
    assert certain.startswith("With 3 seeds, ") and "(n = 3)" in judged


def test_the_wide_default_is_that_of_all_judging_seeds_or_of_none(taken, trained, monkeypatch):
    params, store = taken["readings"].params | {"seed": [11, 12]}, Store(trained, shipped=False)
    assert weighing.wide(params, store).empty  # of the ten there are three
    monkeypatch.setattr(weighing.rule, "JUDGING_SEEDS", (11, 12, 13))
    more = weighing.wide(params, store)
    seeds = more[more["table"] == "I"].groupby("model")["seed"].nunique()
    assert set(more["reading"]) == {"default"} and seeds.eq(3).all()


def test_the_likeliest_reading_is_told_beside_the_default_on_the_same_numbers(taken, trained):
    params, store = taken["readings"].params, Store(trained, shipped=False)
    found = weighing.recorded(list(READINGS), params, store)
    assert set(found["reading"]) == {"default", "nahuel_k5", "training_mode"}
    tested = found[(found["reading"] == "training_mode") & (found["seed"] == 12)]
    assert len(tested) == 3 and tested["accuracy"].tolist() == pytest.approx([100 * (0.85 + 0.0054)] * 3)
    scored = weighing.score(weighing.weigh(found))
    message, values = conclusions.readings(scored, 3)
    likeliest = scored.drop(index="default")["better"].idxmax()
    assert message == conclusions.LIKELIEST and values["words"] == READINGS[likeliest].words
    assert values["better"] == scored.loc[likeliest, "better"] and (values["others"], values["known"]) == (2, 17)
    assert set(mode.cost(taken["rigorous"].runs, WINNER).index) == {53, 54, 55}
    assert conclusions.readings(scored.loc[["default"]], 3) == (conclusions.UNWEIGHED, {})


def test_beyond_the_paper_the_steps_that_add_most_and_least_are_named_with_their_own_seeds():
    rows = [
        ("a", 1, 80.0),
        ("a", 2, 82.0),
        ("b", 1, 81.0),
        ("b", 2, 84.0),
        ("shifts", 1, 90.0),
        ("d", 1, 85.0),
        ("d", 2, 85.0),
    ]
    ladder = beyond.ladder(pd.DataFrame(rows, columns=["step", "seed", "test"])).assign(validation=[80, 91, 92, 91.5])
    message, values = wishes.climbing(ladder, "CNN3-4-0")
    told = sentence(message, **values)
    assert "In 3 steps CNN3-4-0 goes from 81.00 % to 85.00 % on test, by +4.00 points" in told
    assert "shifts adds the most, +9.00 points (n = 1), and d the least, −5.00 (n = 1)" in told
    assert (
        "best on validation, shifts, has 90.00 % on test; of those without augmentation it is b, with 82.50 %" in told
    )
    assert "%, −10.90 points from 93.4 %, the best result" in told
    once = sentence(*(pair := wishes.climbing(ladder.iloc[:2], "CNN3-4-0"))[:1], **pair[1])
    assert once.startswith("With b CNN3-4-0 goes from 81.00 % to 82.50 % on test") and "adds the most" not in once
    assert "b is best on validation and has 82.50 % on test, −10.90 points" in once


def test_what_lacks_its_test_answers_is_no_study_beyond_the_paper(trained, tmp_path):
    listed, rng = beyond.recipes(asked("beyond")), np.random.default_rng(0)
    for recipe in listed.values():
        write(tmp_path, recipe, rng)
    store = Store(tmp_path, shipped=False)
    assert store.missing(list(listed.values())) == [] and sections.climbed(asked("beyond"), store) == []
    for run in store.whole(list(listed.values())):
        answer(run, rng)
    assert len(sections.climbed(asked("beyond"), store)) == len(listed)


# The report


def shown(cell, names):
    """Run a cell's code and return what its last line shows."""
    *body, last = ast.parse(cell.source).body
    exec(compile(ast.Module(body, []), cell.id, "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), cell.id, "eval"), names)
    exec(compile(ast.Module([last], []), cell.id, "exec"), names)


def said(reports, data_dir, monkeypatch, study=None):
    """Run the report's cells that rest on other studies, with what is shipped there; return what each shows."""
    monkeypatch.setattr(pack, "REPORTS", reports)
    first = [f"report-{n}" for n in ("01", "02", "03", "04", "05", "06")]
    wanted = [
        "report-08",
        "report-09",
        "report-10",
        "report-rule",
        "report-seeds",
        *(f"report-{n}" for n in [*range(59, 67), *range(69, 86), "85b", *range(86, 98)]),
    ]
    cells = {cell.id: cell for cell in CELLS}
    names = {"data_folder": data_dir}
    for name in first:
        shown(cells[name], names)
        names |= KIND if name == "report-01" else {}
        if name == "report-02":
            names["params"] |= {"runs_dir": str(reports / "none")}
    names["study"] = study or names["study"]
    return {name: shown(cells[name], names) for name in wanted}


def headings(outputs):
    texts = [output.data for output in outputs.values() if hasattr(output, "data") and isinstance(output.data, str)]
    return [text.split("\n")[0].lstrip("# ") for text in texts if text.startswith("#")]


def assert_course_told(text, runs):
    """Hold the sentence of the course's folds against a computation by hand."""
    valid = np.array([run.best["val_accuracy"] for run in runs])
    test = np.array([(run.answers()["label"] == run.answers()["predicted"]).mean() for run in runs])
    gaps = 100 * (valid - test)
    half = t.ppf(0.975, 5) * gaps.std(ddof=1) * np.sqrt(1 / 6 + 1 / 5)
    low, high = 100 * np.array(proportion_confint(round(10_000 * valid.sum()), 60_000, method="wilson"))
    signed = [f"{value:+.2f}".replace("-", "−") for value in (gaps.mean(), gaps.mean() - half, gaps.mean() + half)]
    assert "in batches of 1,000 for 25 epochs" in text and text.endswith(
        "Table II of the paper has 90.11 %. One split, seed 0."
    )
    assert f"CNN-Nahuel is right on {100 * valid.mean():.2f} % [{low:.2f}, {high:.2f}] of 60,000 images" in text
    assert f"over 6 folds, on {100 * test.mean():.2f} % of the test images, a gap of {signed[0]} points" in text
    assert f"[{signed[1]}, {signed[2]}]" in text


def test_the_report_has_a_section_a_study_with_its_table_or_figure_where_the_records_are_shipped(
    taken, trained, data_dir, tmp_path, monkeypatch
):
    packing.add(Store(trained, shipped=False), tmp_path / "reports" / "all" / "records.zip")
    recipe = protocol.search(WINNER, protocol.DEFAULTS | KIND | {"epochs": 9}, 0)
    write(tmp_path, recipe, np.random.default_rng(0))
    runs = Store(tmp_path, shipped=False).whole([recipe])
    outputs = said(tmp_path / "reports", data_dir, monkeypatch, protocol.Study(grid=runs, searched=runs))
    expected = {heading for some in HEADINGS.values() for heading in some} | {"Over seeds, and other studies"}
    assert set(headings(outputs)) == expected
    labels = {output.metadata["fmnist"]["label"] for output in outputs.values() if isinstance(output, (Figure, Table))}
    assert labels >= {
        "tab-studies",
        "tab-seeds-validation",
        "tab-seeds-test",
        "tab-sources",
        "tab-weighed",
        "fig-weighed",
    }
    assert labels >= {"tab-cross-validation", "fig-cross-validation", "tab-search", "fig-search", "fig-tradeoff"}
    assert READINGS["training_mode"].words in outputs["report-80"].data["text/html"]
    assert labels >= {"tab-ladder", "fig-ladder"} and "best on validation" in outputs["report-94"].data
    assert (
        "fig-regret" in labels and "none of 1 full-length trainings" in outputs["report-91"].data
    )  # once, though it is in the grid and the winner's
    for kind in (Figure, Table):  # so that the numbers go on without a gap, whichever study is not there
        counts = [output.metadata["fmnist"]["count"] for output in outputs.values() if isinstance(output, kind)]
        assert counts[:3] == list(range(counts[0], counts[0] + 3)) and not any(counts[3:])
    assert outputs["report-08"].data.endswith(r"seeds: 0 · cpu\, fp32 · over seeds: 11–13, patience 15")
    total = len({run.recipe for part in taken.values() for run in part.runs} | {recipe})
    assert outputs["report-09"].data.startswith(f"{total} runs · newest run 2026-01-01")
    assert (
        hashlib.sha256((ROOT / "reports" / "PREREGISTRATION.md").read_bytes()).hexdigest()
        in (outputs["report-71"].metadata["fmnist"]["note"])
    )
    assert outputs["report-10"].data == "2026-01-01"  # the newest run's, of the other studies too
    assert_course_told(outputs["report-85b"].data, taken["course"].runs)
    assert "n = 3" in outputs["report-rule"].data and "With 3 seeds" in outputs["report-seeds"].data


def test_the_report_of_one_seed_has_none_of_them_where_nothing_is_shipped(data_dir, tmp_path, monkeypatch):
    outputs = said(tmp_path / "reports", data_dir, monkeypatch)
    told = {name: output for name, output in outputs.items() if output is not None}
    assert (
        set(told) == {"report-08", "report-09", "report-10", "report-rule"} and "no verdict" in told["report-rule"].data
    )
    assert told["report-10"].data == ""


def test_of_a_grid_that_is_not_whole_nobody_is_called_the_winner(tmp_path):
    recipe = protocol.search("CNN3-128-0.1", protocol.DEFAULTS | KIND | {"epochs": 9}, 0)
    write(tmp_path, recipe, np.random.default_rng(0))
    found = results.frame(Store(tmp_path, shipped=False).whole([recipe]))
    names = {"study": protocol.Study(winners=[WINNER]), "WINNER": WINNER, "say": say}
    names |= {"row": lambda table, model: table.reindex([model]).iloc[0]}
    cells = {cell.id: cell for cell in CELLS}
    for models in ([WINNER], [WINNER, recipe.model]):
        table1 = tables.table_1(found, 1, models)
        names |= {"table1": table1, "searched": table1.loc[WINNER]}
        assert shown(cells["report-27"], names) is None
        assert "Over 1 models" in shown(cells["report-27b"], names).data
