"""What a reader is told, cell by cell: texts, columns and conclusions whose numbers were put in by hand."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from test_tables_stats import trained

from fmnist_lib import ROOT
from fmnist_lib.commands import plan
from fmnist_lib.press import display
from fmnist_lib.press.language import LOCALE
from fmnist_lib.press.tables import numbers_as_text, patience_as_text, scores_as_text
from fmnist_lib.recipe import Recipe
from fmnist_lib.study import (
    conclusions,
    parameters,
    protocol,
    provenance,
    ranks,
    results,
    sections,
    stats,
    strategies,
    tables,
    tradeoff,
    wishes,
)

# Tables


def test_one_more_run_lies_between_least_and_most_and_not_in_the_interval_of_the_mean():
    rows = [
        {
            "model": "M",
            "score": score,
            "paper": 1,
            "mean": 2,
            "low": 3,
            "high": 4,
            "least": 5,
            "most": 6,
            "t": -7,
            "n": 8,
        }
        for score in ("epoch", "loss", "accuracy")
    ]
    (row,) = numbers_as_text(pd.DataFrame(rows), loss_digits=4).to_dict("records")
    loss = [row["Loss", name] for name in ("paper", "mean", "one more run", "t")]
    assert loss == ["1.0000", "2.0000", "5.0000 … 6.0000", "−7.0"]
    assert row["Best epoch", "one more run"] == "5 … 6" and row["Accuracy [%]", "one more run"] == "5.00 … 6.00"
    assert row["", "n"] == "8"
    (one,) = numbers_as_text(pd.DataFrame(rows).assign(n=1, least=np.nan, most=np.nan)).to_dict("records")
    assert one["Loss", "one more run"] == "—"


def test_a_mean_over_seeds_stands_with_the_sd_of_one_of_them():
    row = {"n": 4, "seeds": 4, "runs": ["a", "b", "c", "d"]}
    for name, ours, sd in (("epoch", 13.0, 2.0), ("loss", 0.25, 0.02), ("accuracy", 92.0, 0.4)):
        row |= {name: ours, f"{name} sd": sd, f"paper {name}": 1.0, f"{name} difference": ours - 1}
    (told,) = scores_as_text(pd.DataFrame([row], index=["M"])).to_dict("records")
    assert told["Accuracy [%]", "ours"] == "92.00 ± 0.40" and told["Loss", "ours"] == "0.250 ± 0.020"
    assert told["Best epoch", "ours"] == "13.0 ± 2" and told["Accuracy [%]", "difference"] == "+91.00"
    assert told["Accuracy [%]", "paper"] == "1.00" and told["", "n"] == "4 / 4"


def test_a_patience_is_told_with_the_trainings_whose_best_epoch_it_keeps():
    table = pd.DataFrame([(5, 11, 15, 19.1, 50.0)], columns=["patience", "same", "trainings", "epochs", "whole"])
    assert patience_as_text(table).to_numpy().tolist() == [["5", "11 / 15", "19.1 / 50.0"]]


def test_of_the_parameters_given_those_that_are_not_the_papers_are_bold_and_no_folder_is_told():
    given = {"k": [3], "lr": 0.001, "device": "cpu", "runs_dir": "there", "out": "here"}
    told = display.settings(given, {"k": [3, 5], "lr": 0.001, "device": "auto"}).data
    assert told == "Given: **`k = [3]`**, `lr = 0.001`, `device = 'cpu'`."


MADE = pd.DataFrame(
    {
        "system": "Linux", "processor": ["P1", "P2"], "card": [None, "C"], "python": "3", "torch": ["2", "2"],
        "capability": ["AVX2", "AVX512"], "variables": None, "commit": ["c", "d"], "device": ["cpu", "cuda"],
        "precision": ["bf16", "fp32"], "kernels": "torch", "split_seed": [42, 43], "weights_seed": [7, 8],
        "finished": ["2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"], "seconds": [3600.0, 1800.0],
    }
)  # fmt: skip


def test_a_run_is_told_with_the_epochs_that_it_was_trained(tmp_path):
    run = trained(tmp_path, "ANN-Juan-0.1", losses=(0.3, 0.2, 0.4), epochs=9, patience=1)
    assert tables.runs(results.frame([run]))[["run", "epochs"]].to_numpy().tolist() == [[run.folder.name, 3]]


def test_what_runs_were_made_on_is_told_of_all_of_them():
    told = tables.environment(MADE).set_index("what it is")["value"]
    assert told["Seeds of the split"] == "42; 43" and told["Seeds of the weights"] == "7; 8"
    assert told["Device, precision, kernels"] == "cpu, bf16, torch; cuda, fp32, torch"
    assert told["Newest run"] == "2026-02-01T00:00:00Z" and told["Processor"] == "P1, P2" and told["GPU"] == "C"
    assert told["Training, process hours by the clock (other work may have run beside)"] == pytest.approx(1.5)


def test_the_foot_names_the_card_where_there_is_one_and_the_newest_date():
    assert tables.made(MADE)["where"] == "C" and tables.made(MADE.assign(card=None))["where"] == "P1, P2"
    assert tables.made(MADE)["date"] == "2026-02-01" and tables.made(MADE)["count"] == 2


def test_the_words_of_a_reading_are_those_of_its_parameter():
    meanings = provenance.readings(protocol.DEFAULTS | {"device": "cpu"}).set_index("parameter")["what it is"]
    for name in ("split", "weights", "order", "dropout"):
        assert name in meanings[f"{name}_seed"], name
    assert "retraining" in meanings["retrain_seed"] and "retrain" in meanings["retrain_images"]


def test_the_reading_of_the_weights_that_meet_the_test_images_is_the_retrainings():
    told = provenance.readings(protocol.DEFAULTS | {"device": "cpu", "precision": "bf16", "kernels": "torch"})
    assert told.set_index("parameter")["value"][["keep", "precision"]].tolist() == ["last", "bf16"]


def test_a_point_that_the_paper_leaves_open_is_told_as_it_was_given():
    given = {"padding": "same", "shuffle": False, "nahuel_k": 5, "ann_p": [0.5], "retrain_seed": 7, "split_seed": 8}
    told = provenance.readings(given | {"device": "cpu", "precision": "bf16", "kernels": "torch"})
    values = told.set_index("parameter")["value"]
    assert values[list(given)].tolist() == ["same", "false", "5", "[0.5]", "7", "8"] and values["scaling"] == "unit"


def test_the_stamp_tells_the_device_and_the_precision():
    told = protocol.stamped(protocol.DEFAULTS | {"device": "cpu", "precision": "bf16", "kernels": "torch"})
    assert told["run_on"] == "cpu, bf16"


def test_the_stamp_tells_the_images_that_are_trained_on():
    told = protocol.stamped(protocol.DEFAULTS | {"device": "cpu", "train_images": 123, "val_images": 45, "epochs": 6})
    assert (told["images"], told["epochs"], told["patience"]) == (123, 6, "none")
    stopped = protocol.stamped(protocol.DEFAULTS | {"device": "cpu", "patience": 15})
    assert stopped["patience"] == 15


def test_a_study_is_dated_by_its_newest_run(monkeypatch):
    frame = MADE.assign(seed=[11, 12])
    monkeypatch.setattr(sections.results, "frame", lambda *_: frame)
    params = {"device": "cpu", "precision": "bf16", "kernels": "numba", "split_seed": 42}
    (row,) = sections.overview({"folds": sections.Section(params, [], "cross_validation")}).to_dict("records")
    assert row["newest run"] == "2026-02-01" and row["seeds"] == "11–12" and row["commits"] == "c, d"


def test_the_end_of_a_strategy_is_the_mean_over_its_replays():
    rows = [("s", 1, replay, paid, regret) for replay, paid, regret in ((0, 0.1, 9.0), (0, 0.2, 1.0), (1, 0.6, 2.0))]
    replays = pd.DataFrame(rows, columns=["strategy", "seed", "replay", "paid", "regret"])
    (end,) = strategies.ends(replays).to_dict("records")
    assert (end["paid"], end["regret"], end["n"]) == (pytest.approx(0.4), pytest.approx(1.5), 2)


# Params files, by hand from the paper and from what each study says that it is


def stated(name):
    return parameters.checked(parameters.read_file(ROOT / "params" / f"{name}.yaml"))


def test_the_papers_params_are_its_protocol():
    grid = {"k": [3, 5], "n": [128, 256, 512], "p": [0.1, 0.25]}
    run = {"train_images": 50_000, "val_images": 10_000, "batch": 500, "epochs": 50, "optimizer": "adam", "lr": 0.001}
    for name in ("paper", "rigorous"):
        assert grid | run == {key: stated(name)[key] for key in grid | run}, name
    assert stated("paper").get("patience", 0) == 0 and stated("rigorous")["patience"] == 15
    for name in ("folds", "readings", "variance", "search"):
        asked = protocol.DEFAULTS | stated(name)
        assert run | {"patience": 15} == {key: asked[key] for key in (*run, "patience")}, name


def test_what_goes_beyond_the_paper_is_as_its_params_say():
    added = {"peak": 0.003, "smoothing": 0.1, "flips": True, "shifts": 2, "averaging": 0.998, "schedule": "one-cycle"}
    assert added == {name: stated("beyond")[name] for name in added}


# Another language tells the same numbers


def digits(text):
    """Count the numbers in a text, whatever its signs of thousands and decimals; those of formats are left out."""
    plain = re.sub(r"\{[^}]*\}|%\([^)]*\)\w|\(#[^)]*\)|`[^`]*`", "", text)
    return Counter(re.sub(r"[.,\s]", "", number) for number in re.findall(r"\d+(?:[.,]\d+)*", plain))


@pytest.mark.parametrize("path", sorted(LOCALE.glob("*.po")), ids=lambda path: path.stem)
def test_a_translation_has_the_numbers_of_the_original(path):
    with path.open("rb") as file:
        messages = [m for m in read_po(file) if m.id and m.string and not isinstance(m.id, tuple)]
    assert len(messages) > 100
    assert [(m.id, m.string) for m in messages if digits(m.id) != digits(m.string)] == []


# Conclusions


def test_chance_puts_one_in_twenty_of_the_numbers_that_can_be_told_outside():
    found = pd.DataFrame({"inside": [True] * 30 + [False] * 10 + [np.nan] * 60, "n": 10})
    _, values = conclusions.certainty(found)
    assert (values["of"], values["outside"], values["chance"]) == (40, 10, pytest.approx(2.0))
    message, values = conclusions.certainty(found, [3, 0, 9, 1])
    assert message == conclusions.INSIDE_BESIDE and (values["fewest"], values["most"], values["of"]) == (0, 9, 40)
    assert conclusions.certainty(found, [])[0] == conclusions.INSIDE
    assert conclusions.certainty(found.assign(inside=np.nan), [0]) == (conclusions.ONCE, {})


def test_the_trade_is_told_by_the_operations_and_the_front_is_theirs():
    columns = ["model", "accuracy", "seconds", "teraflop", "millions", "epochs"]
    rows = [("ANN-Juan", 90.0, 1.0, 2.0, 3.0, 4.0), ("CNN3-512-0.1", 93.0, 2.0, 6.0, 12.0, 20.0)]
    rows += [("CNN3-128-0.1", 92.0, 3.0, 7.0, 1.0, 30.0)]
    table = pd.DataFrame(rows, columns=columns)
    scores = pd.DataFrame({"ANN-Juan": [90.0, 90.2], "CNN3-512-0.1": [93.0, 93.1], "CNN3-128-0.1": [92.0, 92.1]})
    curve = pd.DataFrame({"patience": [3], "saved": [50.0], "worst": [0.0], "n": [7]})
    _, values = wishes.trading(table, curve, scores)
    assert (values["seconds"], values["flop"], values["size"]) == (2.0, 3.0, 4.0)
    assert values["front"] == "ANN-Juan, CNN3-512-0.1"  # by parameters the third would be first


def test_no_training_loses_less_than_nothing_by_a_patience_that_helps_another():
    better = pd.DataFrame({"val_loss": [2.0, 3, 3, 1], "val_accuracy": [0.9, 0.1, 0.1, 0.5]})  # cut, it is better
    curve = tradeoff.patience_curve([better], (2,)).iloc[0]
    assert curve["worst"] == curve["lost"] == pytest.approx(-40.0)


def test_a_rank_has_the_interval_that_leaves_a_fortieth_on_each_side():
    """Only if all three seeds drawn are the last is b first: with probability 1/27, between 1/40 and 1/20."""
    found = ranks.ranks(pd.DataFrame({"a": [2.0, 2.0, 0.0], "b": [1.0, 1.0, 0.4]}))
    assert found.loc["b", "first"] == pytest.approx(1 / 27, abs=0.006)
    assert found[["low", "high"]].to_numpy().tolist() == [[1, 2], [1, 2]]


def test_the_standard_error_of_an_accuracy_is_the_binomials():
    assert stats.standard_error(92.0, 10_000) == pytest.approx(100 * np.sqrt(0.92 * 0.08 / 10_000))


# The plan


def test_a_plan_takes_the_seconds_of_an_image_times_its_images_and_epochs_over_the_cores(monkeypatch):
    frame = pd.DataFrame({"model": ["M", "M"], "seconds": [10.0, 40.0], "epochs": [5, 10], "train_images": [2, 4]})
    rates = plan._rates(frame)
    assert rates.to_dict() == {"M": pytest.approx(1.0)}
    missing, asked = [Recipe("CNN3-8-0", train_images=600, val_images=100, epochs=3)] * 2, []  # by two studies
    monkeypatch.setattr(
        protocol, "collect", lambda _, store: asked.append(store.folder) or protocol.Study(missing=missing)
    )
    monkeypatch.setattr("fmnist_lib.workers.pool.cores", lambda: 2)
    row = plan._plan(ROOT / "params" / "quick.yaml", {"device": "cpu"}, rates)
    assert row["about"] == "15 min" and row["trainings missing"] == 1  # 600 × 3 s on two cores
    given = {"device": "cpu", "epochs": 6, "train_images": 12_345, "val_images": 67, "runs_dir": "/own"}
    own = plan._plan(ROOT / "params" / "quick.yaml", given, pd.Series({"CNN3-8-0": 2.0, "M": 9.0}))
    assert own["about"] == "30 min" and own["each"] == "6 epochs of 12,345 images"
    assert asked == [ROOT / "runs", Path("/own")]
