"""What the repository ships is found like one's own runs, and only read; a pack is safe and quick, or refused."""

import io
import os
import pickle
import random
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from test_records import forge
from test_runs import HISTORY, OTHER, RECIPE, SOURCE, TIMES, answers_of, empty, environment, truncate, write

from fmnist_lib import ROOT, UserError, training
from fmnist_lib.commands import pack as packing
from fmnist_lib.commands import reference, runs
from fmnist_lib.commands.line import main
from fmnist_lib.runs import checkpoint, contents, files, pack, record
from fmnist_lib.runs.run import lock, read
from fmnist_lib.runs.store import Store, places
from fmnist_lib.study import answers, compare, parameters, protocol, results, rule
from fmnist_lib.workers import sweep


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The reports of a repository that ships a pack of two runs, one of them with its answers, and no more."""
    monkeypatch.setattr(pack, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "reports" / "reference")
    write(tmp_path / "made"), write(tmp_path / "made", OTHER).attach(record.TEST, contents.pack_answers(answers_of()))
    assert packing.add(Store(tmp_path / "made"), tmp_path / "reports" / "study" / "records.zip") == 2
    return tmp_path / "reports"


@pytest.fixture
def packed(shipped):
    return shipped / "study" / "records.zip"


def state(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}


# Found like one's own


def test_a_packed_run_reads_back_as_it_was_written_and_nothing_is_trained(tmp_path, shipped, monkeypatch):
    monkeypatch.setattr(training, "fit", pytest.fail)
    first, second = sweep.train([RECIPE, OTHER], Store(tmp_path / "runs"))
    assert first.history.to_dict("records") == HISTORY and (first.recipe, second.recipe) == (RECIPE, OTHER)
    assert first.record == read(tmp_path / "made" / RECIPE.name).record and first.folder.name == RECIPE.name
    assert answers.on_test(second).equals(read(tmp_path / "made" / OTHER.name).answers())
    assert not (tmp_path / "runs").exists()


def test_what_is_packed_is_among_every_run_and_ones_own_comes_instead(tmp_path, shipped):
    own = write(tmp_path / "runs", torch="9.9")
    found = {run.folder.name: run for run in compare.every(Store(tmp_path / "runs"))}
    assert found.keys() == {RECIPE.name, OTHER.name} and found[RECIPE.name].folder == own.folder
    assert found[OTHER.name].answers().equals(read(tmp_path / "made" / OTHER.name).answers())


def test_where_weights_are_asked_a_shipped_run_counts_by_its_answers_alone(tmp_path, shipped):
    store = Store(tmp_path / "runs")
    assert store.missing([RECIPE, OTHER]) == [] and store.missing([RECIPE, OTHER], weights=True) == [RECIPE]
    with pytest.raises(UserError, match="without its weights"):
        store.find(RECIPE).weights()


@pytest.mark.parametrize("first", ["a", "z"])
def test_of_several_shipped_records_of_a_run_the_oldest_with_answers_is_taken(tmp_path, shipped, first):
    write(tmp_path / "more").attach(record.TEST, contents.pack_answers(answers_of()))
    read(tmp_path / "more" / RECIPE.name).attach(record.MODE, contents.pack_answers(answers_of()))
    packing.add(Store(tmp_path / "more", shipped=False), shipped / first / "records.zip")
    found = Store(tmp_path / "runs").find(RECIPE)
    assert {record.TEST, record.MODE} < found.record["files"].keys() and found.answers(record.MODE) is not None
    assert Store(tmp_path / "runs").missing([RECIPE], weights=True) == []


def test_of_two_shipped_records_that_with_answers_counts_more_than_that_with_weights(tmp_path, shipped):
    weighed = write(tmp_path / "weighed", OTHER)
    assert weighed.has_weights and weighed.answers() is None
    shutil.copytree(tmp_path / "weighed", shipped / "reference" / "runs")
    assert Store(tmp_path / "runs").find(OTHER, weights=True).answers() is not None


@pytest.mark.parametrize("name", [record.TEST, record.MODE])
def test_a_shipped_answer_that_is_changed_in_one_byte_is_no_answer(tmp_path, shipped, name):
    run = write(tmp_path / "more")
    for mode in (record.TEST, record.MODE):
        run.attach(mode, contents.pack_answers(answers_of()))
    packing.add(Store(tmp_path / "more", shipped=False), shipped / "a" / "records.zip")
    path = shipped / "a" / "records.zip"
    with zipfile.ZipFile(path) as archive:
        kept = {entry: archive.read(entry) for entry in archive.namelist()}
    entry = f"{RECIPE.name}/{name}"
    kept[entry] = kept[entry][:-1] + bytes([kept[entry][-1] ^ 1])
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in kept.items():
            archive.writestr(each, content)
    with pytest.raises(UserError, match=f"{re.escape(name)} is damaged"):
        Store(tmp_path / "runs").find(RECIPE)


def test_a_shipped_folder_is_found_too_and_a_store_goes_to_another_process(tmp_path, shipped):
    shutil.copytree(tmp_path / "made", shipped / "reference" / "runs")
    (shipped / "study" / "records.zip").unlink()
    store = pickle.loads(pickle.dumps(Store(tmp_path / "runs")))
    assert store.find(RECIPE).folder == shipped / "reference" / "runs" / RECIPE.name and len(store.names_shipped()) == 2
    assert store.missing([RECIPE], weights=True) == [RECIPE]  # its answers could not be kept there


def test_ones_own_run_comes_first_and_a_damaged_one_gives_way_to_the_shipped_one(tmp_path, shipped, capsys):
    own = write(tmp_path / "runs", torch="9.9")
    store = Store(tmp_path / "runs")
    assert store.find(RECIPE).record["environment"]["torch"] == "9.9"
    truncate(own.folder / "history.csv")
    with pytest.raises(UserError, match=r"runs.*history\.csv is damaged.*\nFix: set it aside"):
        store.find(RECIPE)
    assert store.missing([RECIPE]) == [] and "Set aside" in capsys.readouterr().out
    assert store.find(RECIPE).record["environment"]["torch"] == "2.11.0"


def test_a_temporary_store_and_one_that_is_told_so_see_only_their_own(tmp_path, shipped):
    for store in (Store("temporary"), Store(tmp_path / "runs", shipped=False)):
        assert store.missing([RECIPE]) == [RECIPE] and store.names_shipped() == set()


def test_a_temporary_store_ends_with_its_process_and_with_all_that_it_holds():
    lines = "from fmnist_lib.runs.store import Store; place = Store('temporary').folder; (place / 'x').write_text('')"
    done = subprocess.run([sys.executable, "-c", f"{lines}; print(place)"], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name.startswith("runs-") and not Path(done.stdout.strip()).exists()


def test_every_run_of_the_reference_is_found_and_none_is_listed_as_ones_own(tmp_path):
    store = Store(tmp_path)
    shipped = Store(reference.FOLDER / "runs", shipped=False)
    recipes = [read(place).recipe for place in places(shipped.folder, record.RECORD)]
    assert store.missing(recipes) == [] and len(recipes) >= 19 and len(store.names_shipped()) >= len(recipes)
    assert runs.frame(store).empty and len(runs.frame(shipped)) == len(recipes)


def test_a_fresh_clone_has_nothing_to_train_for_the_papers_protocol(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "fit", pytest.fail)
    kind = vars(read(next(reference.FOLDER.glob("runs/CNN3-512-0.1-s0-*"))).recipe)
    params = protocol.DEFAULTS | {name: kind[name] for name in ("device", "precision", "kernels")}
    study = protocol.collect(params, Store(tmp_path))
    assert not study.missing and len(study.grid) == 12 and len(study.every) >= 18
    again = sweep.train([run.recipe for run in study.retrained], Store(tmp_path), weights=True)
    assert [run.folder for run in again] == [run.folder for run in study.retrained]
    assert capsys.readouterr().out == ""


def test_before_it_trains_a_sweep_says_which_shipped_runs_differ_in_what_they_were_made_on_alone(
    tmp_path, shipped, capsys
):
    asked = [replace(RECIPE, precision="bf16"), replace(OTHER, precision="bf16", kernels="numba"), RECIPE]
    sweep.tell_alike(asked, Store(tmp_path / "runs"))
    (line,) = capsys.readouterr().out.splitlines()
    assert "2 of these 3 runs" in line and "-p device cpu -p precision fp32 -p kernels torch" in line
    sweep.tell_alike([replace(RECIPE, epochs=3)], Store(tmp_path / "runs"))
    sweep.tell_alike(asked, Store("temporary"))
    assert capsys.readouterr().out == ""


# Only read


@pytest.mark.parametrize("kind", ["packed", "folder"])
def test_what_is_shipped_is_never_written_set_aside_locked_or_tidied(tmp_path, shipped, kind):
    shutil.copytree(tmp_path / "made", shipped / "reference" / "runs")
    (shipped / "reference" / "runs" / RECIPE.name / "checkpoint").touch()
    if kind == "folder":
        (shipped / "study" / "records.zip").unlink()
        own = Store(shipped / "study" / ".." / "reference" / "runs")
    else:
        own = Store(shipped / "study" / "records.zip")
    before, run = state(shipped), Store(tmp_path / "runs").find(OTHER)
    checkpoint.tidy(Store(shipped / "reference" / "runs").find(RECIPE))
    for refused in (
        lambda: run.attach(record.TEST, b""),
        lambda: lock(run.folder).__enter__(),
        lambda: own.set_aside(RECIPE),
        lambda: own.write(RECIPE, HISTORY, {}, TIMES, (environment(), SOURCE)),
        lambda: sweep.train([replace(RECIPE, epochs=3)], own),
        lambda: files.write_file(shipped / "reference" / "table1.csv", b""),
    ):
        with pytest.raises(UserError, match="only read"):
            refused()
    assert state(shipped) == before


def test_a_damaged_shipped_run_is_named_and_stays_with_a_fix_that_takes_it_from_the_repository(tmp_path, shipped):
    shutil.copytree(tmp_path / "made", place := shipped / "reference" / "runs")
    (shipped / "study" / "records.zip").unlink()
    empty(place / RECIPE.name / "history.csv")
    for store in (Store(tmp_path / "runs"), Store(place)):
        with pytest.raises(
            UserError, match=r"history\.csv is damaged.*\nFix: move .* elsewhere; .* git checkout -- \S*csv$"
        ):
            store.missing([RECIPE, OTHER])
    assert (place / RECIPE.name).exists() and not list(tmp_path.rglob(".damaged*"))


def test_of_a_damaged_run_in_a_pack_the_pack_is_taken_from_the_repository(tmp_path, packed):
    packed.write_bytes(packed.read_bytes().replace(b"0.9", b"0.8"))  # the accuracies of its curves
    with pytest.raises(UserError, match=r"history\.csv is damaged") as error:
        Store(tmp_path / "runs").find(RECIPE)
    assert error.value.fix == f"move {packed} elsewhere; then pack your own again, or: git checkout -- {packed}"


def test_a_command_that_a_fix_gives_holds_whatever_a_path_is_called(tmp_path):
    path = tmp_path / 'it\'s "$(touch x)"' / "records.zip"
    assert shlex.split(record.damaged(path, "?").fix.partition("or: ")[2]) == ["git", "checkout", "--", str(path)]


# The file


def test_a_pack_is_the_same_bytes_again_without_weights_and_grows_by_what_is_new(tmp_path, packed):
    first = packed.read_bytes()
    packing.add(Store(tmp_path / "made"), packed)
    assert packed.read_bytes() == first
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            assert archive.read(name) == (tmp_path / "made" / name).read_bytes()
        names = {"recipe.json", "history.csv", "run.json"}
        assert {Path(name).name for name in archive.namelist()} == names | {record.TEST}
    write(tmp_path / "more", replace(RECIPE, weights_seed=7))
    assert main(["pack", str(tmp_path / "more"), str(packed)]) == 0
    with zipfile.ZipFile(packed) as archive:
        assert len(archive.namelist()) == 10 and archive.testzip() is None
    assert Store(tmp_path / "runs").missing([RECIPE, OTHER, replace(RECIPE, weights_seed=7)]) == []


def test_answers_attached_since_take_the_older_records_place_in_a_pack(tmp_path, packed):
    assert Store(packed, shipped=False).find(RECIPE).answers() is None
    read(tmp_path / "made" / RECIPE.name).attach(record.TEST, contents.pack_answers(answers_of()))
    packing.add(Store(tmp_path / "made"), packed)
    assert Store(packed, shipped=False).find(RECIPE).answers()["predicted"].sum() == 1000


def test_a_record_with_fewer_answers_takes_no_older_ones_place_in_a_pack(tmp_path, packed):
    for mode in (record.TEST, record.MODE):
        read(tmp_path / "made" / RECIPE.name).attach(mode, contents.pack_answers(answers_of()))
    packing.add(Store(tmp_path / "made"), packed)
    write(tmp_path / "poorer").attach(record.TEST, contents.pack_answers(answers_of()))
    assert packing.add(Store(tmp_path / "poorer"), packed) == 2
    assert Store(packed, shipped=False).find(RECIPE).answers(record.MODE) is not None


def test_a_damaged_run_is_not_packed_and_the_older_pack_stays(tmp_path, packed, capsys):
    before = packed.read_bytes()
    truncate(write(tmp_path / "more", replace(RECIPE, weights_seed=7)).folder / "history.csv")
    assert main(["pack", str(tmp_path / "more"), str(packed)]) == 1
    assert "history.csv is damaged" in capsys.readouterr().err and packed.read_bytes() == before


@pytest.mark.parametrize(
    ("folder", "name", "cause"),
    [
        ("more", "notes.md", "is no name of a pack"),
        ("more", "notes.zip", "is there, and is no pack of runs"),
        ("more", "photos.zip", "is there, and is no pack of runs"),
        ("nowhere", "new.zip", "no finished run in"),
        ("empty", "new.zip", "no finished run in"),
    ],
)
def test_no_typo_writes_over_a_file_that_is_no_pack_or_makes_one_without_runs(tmp_path, capsys, folder, name, cause):
    write(tmp_path / "more", RECIPE), (tmp_path / "empty").mkdir()
    before = {path: path.write_text("mine") and b"mine" for path in (tmp_path / "notes.md", tmp_path / "notes.zip")}
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photo.txt", "mine")
    before[tmp_path / "photos.zip"] = (tmp_path / "photos.zip").read_bytes()
    assert main(["pack", str(tmp_path / folder), str(tmp_path / name)]) == 1
    assert cause in capsys.readouterr().err and {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "new.zip").exists()


def test_a_pack_is_listed_and_verified_like_a_folder(packed, capsys):
    assert len(runs.frame(Store(packed))) == 2 and runs.judged(Store(packed)) == (2, [])
    assert main(["runs", "verify", "--runs-dir", str(packed)]) == 0 and "2 runs" in capsys.readouterr().out


def zipped(*entries, compression=zipfile.ZIP_STORED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return made.getvalue()


NAME = f"{RECIPE.name}/run.json"
BAD = {
    "no zip": lambda _: b"PK", "nothing": lambda _: b"", "cut": lambda good: good[:-30],
    "compressed": lambda _: zipped((NAME, b"0" * 10**7), compression=zipfile.ZIP_DEFLATED),
    "a file twice": lambda _: zipped((NAME, b"{}"), (NAME, b"{}")),
    "encrypted": lambda good: good.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
    **{name: lambda _, name=name: zipped((name, b"{}")) for name in (
        "../x/run.json", "/x/run.json", "x/y/run.json", "run.json", "../run.json", "x/weights.safetensors",
        "x\\run.json", "x/", "//", "é/run.json", "x/run.json.gz", "x\n/run.json",
    )},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("how", BAD.values(), ids=BAD)
def test_what_no_pack_holds_is_refused_before_anything_of_it_is_read(tmp_path, packed, how):
    packed.write_bytes(how(packed.read_bytes()))
    with pytest.raises(UserError, match=r"records\.zip is damaged: .*\nFix: move .*records.zip elsewhere"):
        Store(tmp_path / "runs").find(RECIPE)


def test_one_content_under_two_names_is_not_more_than_the_file_holds(tmp_path, packed):
    content = zipped(*[(f"a{i}/run.json", b"0" * 10**6) for i in range(9)])
    entries, first = content.index(b"PK\x01\x02"), content.index(b"PK\x03\x04", 4)
    directory = content[entries:]
    for i in range(1, 9):  # all point to the first, and the rest is cut away
        directory = directory.replace((i * first).to_bytes(4, "little") + b"a%d" % i, bytes(4) + b"a%d" % i)
    end = directory.rindex(b"PK\x05\x06")
    directory = directory[: end + 16] + first.to_bytes(4, "little") + directory[end + 20 :]
    packed.write_bytes(content[:first] + directory)
    with pytest.raises(UserError, match="damaged"):
        Store(tmp_path / "runs").find(RECIPE)


def test_a_pack_of_gigabytes_is_refused_unread(tmp_path, packed):
    os.truncate(packed, 3 * 10**9)
    with pytest.raises(UserError, match="more than"):
        Store(tmp_path / "runs").find(RECIPE)


def test_of_300_packs_with_a_changed_byte_none_gives_another_run(tmp_path, packed):
    draw, whole, good = random.Random(0), packed.read_bytes(), Store(packed).find(RECIPE)
    for _ in range(300):
        at = draw.randrange(len(whole))
        packed.write_bytes(whole[:at] + bytes([whole[at] ^ draw.randrange(1, 256)]) + whole[at + 1 :])
        pack._opened.cache_clear()
        try:
            found = Store(tmp_path / "runs").find(RECIPE)
        except UserError as error:
            assert len(str(error).splitlines()) == 2
            continue
        assert found is None or (found.record == good.record and found.history.equals(good.history))


def test_a_forged_run_in_a_pack_is_refused_by_its_seal(tmp_path, packed):
    content = packed.read_bytes()
    packed.write_bytes(content.replace(b'"status": "finished"', b'"status": "diverged"'))
    with pytest.raises(UserError, match=rf"records\.zip/{RECIPE.name}/run\.json is damaged"):
        Store(tmp_path / "runs").find(RECIPE)
    forge(tmp_path / "made" / RECIPE.name, "history.csv", b"epoch\n")
    with pytest.raises(UserError, match="history"):
        packing.write(packed, [tmp_path / "made" / RECIPE.name])


def test_a_pack_that_could_not_be_read_again_is_not_written(tmp_path, packed, monkeypatch):
    before = packed.read_bytes()
    shutil.copytree(tmp_path / "made" / RECIPE.name, tmp_path / "more" / f"{RECIPE.name} (copy)")
    with pytest.raises(UserError, match=r"records.zip is not written: .*\(copy\)/.* is no file of a run"):
        packing.add(Store(tmp_path / "more", shipped=False), packed)
    monkeypatch.setattr(packing, "LARGEST", len(before) - 1)
    with pytest.raises(UserError, match="bytes are not enough"):
        packing.add(Store(tmp_path / "made", shipped=False), packed)
    assert packed.read_bytes() == before


def test_two_processes_that_extend_a_pack_take_turns(tmp_path, packed, monkeypatch):
    whole, alone = packing._add, []

    def watched(store, path):
        with pytest.raises(UserError), files.locked(path.with_name(f".{path.name}.lock"), wait=False):
            pass
        return alone.append(path) or whole(store, path)

    monkeypatch.setattr(packing, "_add", watched)
    assert packing.add(Store(tmp_path / "made", shipped=False), tmp_path / "new.zip") == 2 and len(alone) == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX links")
def test_a_pack_that_leads_nowhere_is_named(tmp_path, packed):
    packed.unlink()
    packed.symlink_to(tmp_path / "nowhere.zip")
    with pytest.raises(UserError, match=r"records\.zip is damaged"):
        Store(tmp_path / "runs").find(RECIPE)


def test_nothing_is_under_way_in_a_pack(packed):
    assert next(runs.watch(str(packed))) == "2 finished, 0 under way, 0 interrupted"


def test_a_pack_s_directory_is_read_once_for_a_hundred_runs(tmp_path, packed, monkeypatch):
    recipes = [replace(RECIPE, weights_seed=seed) for seed in range(100)]
    for recipe in recipes:
        Store(tmp_path / "many").write(recipe, HISTORY, {}, TIMES, (environment(), SOURCE))
    packing.add(Store(tmp_path / "many"), packed)
    opened, usual = [], zipfile.ZipFile.__init__
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *given, **named: opened.append(usual(*given, **named)))
    assert Store(tmp_path / "runs").missing(recipes) == [] and len(opened) <= len(pack.shipped())


def test_git_ships_a_pack_and_its_bytes_as_they_are():
    names = ["reports/seeds/records.zip", "reports/seeds/report.html", "reports/reference/table1.csv"]
    asked = ["git", "check-ignore", "--no-index", *names]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    if said.returncode > 1:
        pytest.skip("not a git checkout")
    assert said.stdout.split() == ["reports/seeds/report.html"]


JUDGED = protocol.DEFAULTS | parameters.read_file(ROOT / "params" / "rigorous.yaml")
JUDGED |= {"device": "cpu", "precision": "bf16", "kernels": "numba"}


def test_all_that_a_report_over_the_judging_seeds_needs_is_shipped(tmp_path):
    study = protocol.collect(JUDGED, Store(tmp_path))
    assert study.missing == [] and len(study.winners) == 2  # the paper's, and the best of all seeds together
    assert all(run.answers() is not None for run in study.retrained) and len(study.retrained) == 4 * 10


@pytest.mark.parametrize("path", sorted((ROOT / "reports" / "seeds").glob("records-*.zip")), ids=lambda path: path.stem)
def test_a_shipped_judging_seed_is_whole_and_sound_and_was_trained_as_registered_from_one_commit(path):
    store, seed = Store(path, shipped=False), int(path.stem.partition("-")[2])
    count, errors = runs.judged(store)
    study = protocol.collect(JUDGED | {"seed": [seed]}, store)
    assert (errors, study.missing) == ([], []) and count == len(study.every) >= 18
    assert all(run.answers() is not None for run in study.retrained)
    sources = [run.record["source"] for run in study.every]
    assert len({(source["commit"], source["lock"], source["preregistration"]) for source in sources}) == 1
    assert sources[0]["preregistration"] and not any(source["changed"] for source in sources)
    assert rule.departures(results.frame(study.every)) == {}
