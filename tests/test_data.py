"""The data: what is loaded is the data set or nothing (faults D1 to D6); splits and folds."""

import errno
import gzip
import hashlib
import io
import multiprocessing
import os
import random
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
import tracemalloc
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hostile import in_place_of, refused
from torch.utils.data import random_split
from torchvision.datasets import FashionMNIST

from fmnist_lib import UserError, data, recipe
from fmnist_lib.workers import download

LABELS = "t10k-labels-idx1-ubyte"
RAW = Path("FashionMNIST", "raw")
HTML = b"<!DOCTYPE html><title>404 Not Found</title>"
pytestmark = pytest.mark.filterwarnings("ignore:.*was damaged. replaced")
fork = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


@pytest.fixture
def folder(data_dir, tmp_path):
    """A data folder of links to the verified files, to be damaged at will."""
    (tmp_path / RAW).mkdir(parents=True)
    for name in data.FILES:
        (tmp_path / RAW / name).symlink_to(data_dir / name)
    return tmp_path


@pytest.fixture
def debian(monkeypatch, tmp_path_factory):
    """What Debian's package installs, were the data set 60 and 10 images instead of thousands."""
    place, files = tmp_path_factory.mktemp("debian"), {}
    for name in data.FILES:
        count = 60 if name.startswith("train") else 10
        header = struct.pack(">4i", 2051, count, 28, 28) if "images" in name else struct.pack(">2i", 2049, count)
        content = header + random.Random(name).randbytes(count * (784 if "images" in name else 1))
        (place / f"{name}.gz").write_bytes(gzip.compress(content))
        files[name] = len(content), hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(data, "FILES", files)
    return place


@pytest.fixture
def isolated(monkeypatch, tmp_path):
    """No source but the data folder itself, whatever this machine has."""
    monkeypatch.setattr(download, "DEBIAN_FOLDER", tmp_path / "not installed")
    monkeypatch.setattr(download, "_from_mirrors", unreachable)
    monkeypatch.setattr(download, "_from_apt", unreachable)


def unreachable(*_, **__):
    raise OSError("unreachable")


def replace(path: Path, content: bytes):
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def names_in(place: Path) -> set[str]:
    """The files that have a name there; hidden ones do not count."""
    return {path.name for path in place.glob("[!.]*")}


def is_complete(raw: Path) -> bool:
    return all(hashlib.sha256((raw / n).read_bytes()).hexdigest() == sha for n, (_, sha) in data.FILES.items())


# What is loaded


@pytest.mark.parametrize("part", ["train", "test"])
def test_loaded_images_and_labels_are_those_torchvision_reads(data_dir, part):
    images, labels = data.load(part, data_dir=data_dir)
    reference = FashionMNIST(data_dir.parents[1], train=part == "train")
    assert images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert torch.equal(images, reference.data[:, None]) and torch.equal(labels, reference.targets)


def test_classes_are_torchvisions_and_sizes_those_of_the_files(data_dir):
    assert list(data.CLASSES) == FashionMNIST.classes
    assert {name: (data_dir / name).stat().st_size for name in data.FILES} == {
        name: size for name, (size, _) in data.FILES.items()
    }


def test_other_files_want_another_name_in_every_recipe():
    listed = "".join(f"{name} {sha}\n" for name, (_, sha) in sorted(data.FILES.items()))
    ours = "daf9de4cf12669ecda2c289b235db8654ca1a41e08fab265b0fc64c56f960be8"  # as every report of Fashion-MNIST names
    same = hashlib.sha256(listed.encode()).hexdigest() == ours
    assert same == (recipe.DATA_SET == "Fashion-MNIST") == (recipe.LATER["data_set"] == recipe.DATA_SET)


# D3, D4: only the data set's own bytes are loaded


@settings(max_examples=20, deadline=None)
@given(position=st.integers(0, data.FILES[LABELS][0] - 1), bit=st.integers(0, 7))
def test_d3_one_flipped_bit_anywhere_is_refused_by_name(data_dir, position, bit):
    content = bytearray((data_dir / LABELS).read_bytes())
    content[position] ^= 1 << bit
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / LABELS).write_bytes(content)
        with pytest.raises(UserError, match=f"{LABELS}.*SHA-256 .*expected 10,008 with 0402a96d92fd"):
            data._pixels(Path(place) / LABELS, header=8)


@pytest.mark.parametrize("name", data.FILES)
def test_d3_a_truncated_or_missing_file_is_refused_by_name_with_a_fix(data_dir, folder, name):
    part = "train" if name.startswith("train") else "test"
    replace(folder / RAW / name, (data_dir / name).read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{name} .*SHA-256 [\s\S]*Fix: .*fetch"):
        data.load(part, data_dir=folder)
    (folder / RAW / name).unlink()
    with pytest.raises(UserError, match=rf"{name} .*missing\nFix: .*fetch"):
        data.load(part, data_dir=folder)


def test_the_command_that_gets_the_data_holds_whatever_its_folder_is_called(tmp_path):
    place = tmp_path / "it's $(touch x)"
    with pytest.raises(UserError) as error:
        data.load("test", data_dir=place)
    raw = str(place / "FashionMNIST" / "raw")
    assert shlex.split(error.value.fix) == ["run", "fmnist", "fetch", "--data-dir", raw] and data.raw_folder(
        raw
    ) == Path(raw)


def test_d4_train_and_test_swapped_are_refused(folder):
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        train, test = folder / RAW / f"train-{kind}", folder / RAW / f"t10k-{kind}"
        spare = train.rename(folder / kind)
        test.rename(train)
        spare.rename(test)
    for part in ("train", "test"):
        with pytest.raises(UserError, match="is not the data set's"):
            data.load(part, data_dir=folder)


def test_d4_another_data_set_of_the_same_sizes_and_headers_such_as_mnist_is_refused(data_dir, folder, isolated):
    for name, (size, _) in data.FILES.items():
        header = (data_dir / name).read_bytes()[: 16 if "images" in name else 8]
        replace(folder / RAW / name, header.ljust(size, b"\1"))
    for part in ("train", "test"):
        with pytest.raises(UserError, match="is not the data set's"):
            data.load(part, data_dir=folder)
    with pytest.raises(UserError, match="lacks train-images"):
        download.fetch(folder)


def test_d3_fetch_replaces_a_damaged_file_and_keeps_it_beside(debian, isolated, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "DEBIAN_FOLDER", debian)
    raw = download.fetch(tmp_path)
    for i in (1, 2):  # nor does a second take the place of the first
        replace(raw / LABELS, b"damaged %d" % i)
        with pytest.warns(UserWarning, match=f"{LABELS}.damaged-{i}"):
            download.fetch(tmp_path)
        assert is_complete(raw) and (raw / f"{LABELS}.damaged-{i}").read_bytes() == b"damaged %d" % i
    assert (raw / f"{LABELS}.damaged-1").read_bytes() == b"damaged 1"


def test_d3_a_damaged_file_stays_until_a_good_one_is_there(folder, isolated):
    replace(folder / RAW / LABELS, b"damaged")
    with pytest.raises(UserError, match=rf"lacks {LABELS} \(7 bytes"):
        download.fetch(folder)
    assert (folder / RAW / LABELS).read_bytes() == b"damaged"


def test_what_is_wrong_is_told_once_of_all_files_of_which_it_is(folder, isolated):
    first, *others = data.FILES
    replace(folder / RAW / LABELS, b"damaged")
    for name in {*others} - {LABELS}:
        (folder / RAW / name).unlink()
    with pytest.raises(UserError) as error:
        download.fetch(folder)
    told, _, tried = error.value.cause.partition("; tried ")
    groups = told.split(" lacks ")[1].split("; ")
    missing = ", ".join(name for name in others if name != LABELS)
    assert {f"{missing} (missing)"} == {group for group in groups if LABELS not in group} and first not in told
    assert [group.split(" (")[0] for group in groups if LABELS in group] == [LABELS] and "(unreachable)" in tried


def test_files_of_another_data_set_are_never_replaced_by_these(debian, folder, monkeypatch):
    monkeypatch.setattr(download, "DEBIAN_FOLDER", debian)
    monkeypatch.setattr(download, "DATA_SET", "squares")
    replace(folder / RAW / LABELS, b"mine")
    attempts = forbid_network(monkeypatch)
    with pytest.raises(UserError, match=rf"lacks what is listed as squares: .*{LABELS} \(4 bytes") as error:
        download.fetch(folder)
    assert "SHA-256 into FILES of fmnist_lib/data.py" in str(error.value)
    assert (folder / RAW / LABELS).read_bytes() == b"mine" and not attempts


# D1: offline


def forbid_network(monkeypatch) -> list:
    attempts = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: attempts.append(args))
    monkeypatch.setattr(socket.socket, "connect", lambda *args: attempts.append(args))
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: attempts.append(args))
    return attempts


def test_d1_offline_with_the_data_present_works_and_asks_no_network(folder, monkeypatch):
    attempts = forbid_network(monkeypatch)
    assert download.fetch(folder) == download.fetch(folder, offline=True) == folder / RAW
    assert not attempts


def test_d1_offline_without_data_names_files_folder_and_every_way(tmp_path, monkeypatch):
    attempts = forbid_network(monkeypatch)
    monkeypatch.setattr(download, "DEBIAN_FOLDER", tmp_path / "not installed")
    with pytest.raises(UserError) as error:
        download.fetch(tmp_path, offline=True)
    ways = ["online", "apt install dataset-fashion-mnist", "zalandoresearch/fashion-mnist", "data_dir"]
    assert all(name in error.value.cause for name in [*data.FILES, str(tmp_path / RAW)])
    assert all(way in error.value.fix for way in ways)
    assert "\n" not in error.value.cause + error.value.fix and not attempts


@pytest.mark.parametrize("source", ["gz files in the folder", "debian installed"])
def test_d1_offline_sources_on_this_machine_are_enough(debian, tmp_path, monkeypatch, source):
    attempts = forbid_network(monkeypatch)
    if source == "debian installed":
        monkeypatch.setattr(download, "DEBIAN_FOLDER", debian)
    else:
        monkeypatch.setattr(download, "DEBIAN_FOLDER", tmp_path / "not installed")
        shutil.copytree(debian, tmp_path / RAW)
    assert is_complete(download.fetch(tmp_path, offline=True)) and not attempts


def mirror_at(monkeypatch, port: int):
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{port}/"])
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_d1_a_silent_mirror_is_given_up_and_the_default_timeout_restored(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SILENCE", 0.2)
    before, start = socket.getdefaulttimeout(), time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        mirror_at(monkeypatch, silent.getsockname()[1])
        with pytest.raises((OSError, RuntimeError), match="timed out"):
            download._from_mirrors(tmp_path)
    assert time.monotonic() - start < 5
    assert socket.getdefaulttimeout() == before


def test_d1_no_wait_for_the_network_is_longer_than_20_seconds():
    assert 0 < download.SILENCE <= 20
    assert download.APT_CONF.format(folder="", silence=download.SILENCE).count(f'Timeout "{download.SILENCE}"') == 2


# D2: downloads that go wrong


class Mirror(SimpleHTTPRequestHandler):
    """A mirror that answers as its server's `answer` says: whole, cut in half, or with a page of HTML."""

    def do_GET(self):
        content = Path(self.directory, self.path.strip("/")).read_bytes()
        sent = {"whole": content, "half": content[: len(content) // 2], "html": HTML}[self.server.answer]
        self.send_response(200)
        self.send_header("Content-Length", str(len(HTML if self.server.answer == "html" else content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(sent)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(debian, monkeypatch):
    """The mirrors' place taken by a server of this machine, reached through torchvision's own class."""
    md5 = {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in debian.glob("*.gz")}
    monkeypatch.setattr(FashionMNIST, "resources", list(md5.items()))
    monkeypatch.setattr(download, "_from_apt", unreachable)
    monkeypatch.setattr(download, "DEBIAN_FOLDER", Path("not installed"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, directory=debian)) as server:
        mirror_at(monkeypatch, server.server_port)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("answer", ["half", "html"])
def test_d2_a_bad_download_leaves_nothing_under_the_final_name_and_a_retry_succeeds(mirror, tmp_path, answer):
    mirror.answer = answer
    with pytest.raises(UserError, match="mirrors"):
        download.fetch(tmp_path)
    assert not names_in(tmp_path / RAW)
    mirror.answer = "whole"
    assert is_complete(download.fetch(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [lambda gz: gz[: len(gz) // 2], lambda _: HTML, lambda _: gzip.compress(HTML)],
    ids=["half", "html", "html compressed"],
)
def test_d2_a_bad_gz_file_in_the_folder_gives_nothing_and_the_next_source_is_asked(
    debian, isolated, tmp_path, monkeypatch, damage
):
    shutil.copytree(debian, tmp_path / RAW)
    for path in (tmp_path / RAW).iterdir():
        path.write_bytes(damage(path.read_bytes()))
    gz = names_in(tmp_path / RAW)
    with pytest.raises(UserError, match="lacks"):
        download.fetch(tmp_path)
    assert names_in(tmp_path / RAW) == gz
    monkeypatch.setattr(download, "_from_apt", lambda _: debian)
    assert is_complete(download.fetch(tmp_path))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_d2_a_full_disk_leaves_nothing_under_the_final_name_and_a_retry_succeeds(
    debian, isolated, tmp_path, monkeypatch, step
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "DEBIAN_FOLDER", debian)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(UserError, match=f"{RAW}.*No space left"):
            download.fetch(tmp_path)
    assert {path.name for path in (tmp_path / RAW).iterdir()} == {".fetch.lock"}
    assert is_complete(download.fetch(tmp_path))


# What is read is never more than the data set's


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "gigabytes", "nothing"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
def test_what_stands_in_the_place_of_a_raw_file_is_neither_waited_for_nor_read(debian, isolated, tmp_path, what):
    (tmp_path / RAW).mkdir(parents=True)
    in_place_of(tmp_path / RAW / LABELS, what)
    expected = {"nothing": "missing", "gigabytes": "more than 18 bytes"}.get(what, "no regular file")
    refused(data._pixels, tmp_path / RAW / LABELS, 8, said=expected)
    refused(download.fetch, tmp_path, said=f"{LABELS} ({expected}")
    shutil.copytree(debian, tmp_path / RAW, dirs_exist_ok=True)
    assert is_complete(download.fetch(tmp_path))
    assert os.path.lexists(tmp_path / RAW / f"{LABELS}.damaged-1") == (what != "nothing")


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "gigabytes"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
def test_what_stands_in_the_place_of_a_gz_file_is_neither_waited_for_nor_read(debian, isolated, tmp_path, what):
    shutil.copytree(debian, tmp_path / RAW)
    in_place_of(tmp_path / RAW / f"{LABELS}.gz", what)
    refused(download.fetch, tmp_path, said="lacks")


@pytest.mark.skipif(not shutil.which("true"), reason="POSIX")
def test_a_bomb_in_a_gz_file_takes_little_memory(debian, isolated, tmp_path):
    shutil.copytree(debian, tmp_path / RAW)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(10**6)) for _ in range(100)) + packer.flush()
    tracemalloc.start()
    try:
        data.FILES[LABELS] = 10**5, data.FILES[LABELS][1]  # as many packed bytes as are read at all
        replace(tmp_path / RAW / f"{LABELS}.gz", bomb[: 10**5])
        refused(download.fetch, tmp_path, said="more than 100,000 bytes")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def deb_of(members: dict, kind="xz", name=b"data.tar.xz") -> bytes:
    """Write a Debian package, an `ar` archive, of these files: content by name, or a TarInfo by name."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:
        for path, content in members.items():
            about = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(path)
            about.size = 0 if about is content else len(content)
            archive.addfile(about, None if about is content else io.BytesIO(content))
    parts = {b"debian-binary": b"2.0\n", b"control.tar.xz": b"odd", name: file.getvalue()}
    return b"!<arch>\n" + b"".join(
        b"%-16b%-12d%-6d%-6d%-8d%-10d`\n%b%b" % (part, 0, 0, 0, 100644, len(held), held, b"\n" * (len(held) % 2))
        for part, held in parts.items()
    )


@pytest.fixture
def package(debian, isolated, monkeypatch, tmp_path_factory):
    """Let apt download a package of these members and bytes, and return the data folder it is fetched into."""
    started, unpacked = [], f".{download.DEBIAN_FOLDER}"
    good = {f"{unpacked}/{path.name}": path.read_bytes() for path in debian.iterdir()}

    def fetch(change=lambda good: deb_of(good)):
        def call(command, folder, seconds):
            started.append(command[0])
            if "download" in command:
                Path(folder, "dataset-fashion-mnist_1_all.deb").write_bytes(change(good))

        place = tmp_path_factory.mktemp("data")
        monkeypatch.setattr(download, "_call", call)
        download.fetch(place)
        assert set(started) == {"apt-get"}
        return place / RAW

    monkeypatch.setattr(download, "_from_apt", FROM_APT)
    monkeypatch.setattr(download, "MOST", 2 * 10**7)
    return fetch


FROM_APT = download._from_apt


def test_debians_package_is_unpacked_by_no_program_and_by_its_own_names_alone(package, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = tmp_path / "mine"
    before.write_text("mine")
    link = tarfile.TarInfo("./link")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    evil = {"./link": link, "./link/mine": b"evil", str(before): b"evil", "../mine": b"evil"}
    assert is_complete(package(lambda good: deb_of(evil | good)))
    assert before.read_text() == "mine" and [path.name for path in tmp_path.iterdir()] == ["mine"]


def without(good, name=LABELS):
    return {path: content for path, content in good.items() if name not in path}


def linked(good):
    link = tarfile.TarInfo(next(path for path in good if LABELS in path))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return without(good) | {link.name: link}


BAD = {
    "no archive": lambda good: b"evil", "no data": lambda good: deb_of(good, name=b"other.tar.xz"),
    "cut": lambda good: deb_of(good)[:-5000], "a file missing": lambda good: deb_of(without(good)),
    "a link": lambda good: deb_of(linked(good)), "not xz": lambda good: deb_of(good, "gz"),
    "a bomb": lambda good: deb_of({"./zeros": bytes(3 * 10**7)} | good), "an empty one": lambda good: b"!<arch>\n",
}  # fmt: skip


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_bad_package_gives_nothing(package, change):
    refused(package, change, said="apt (")


def test_no_home_and_no_room_for_temporary_files_do_not_keep_from_what_is_here(debian, isolated, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", unreachable)
    shutil.copytree(debian, tmp_path / RAW)
    assert is_complete(download.fetch(tmp_path))


def test_the_home_of_nobody_is_refused():
    refused(download.fetch, "~nobody-of-this-name/x", said="~nobody-of-this-name")


# D5: several processes


@pytest.mark.skipif(fork is None, reason="needs fork")
def test_d5_of_two_processes_at_once_one_fetches_and_both_have_good_data(debian, isolated, tmp_path, monkeypatch):
    start, fetched, good = fork.Barrier(2), fork.SimpleQueue(), fork.SimpleQueue()

    def source(_):
        fetched.put(os.getpid())
        return debian

    def fetch():
        start.wait()
        good.put(is_complete(download.fetch(tmp_path)))

    monkeypatch.setattr(download, "_from_apt", source)
    processes = [fork.Process(target=fetch) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert good.get() and good.get()
    assert fetched.get() and fetched.empty()


@pytest.mark.skipif(fork is None, reason="needs fork")
def test_d5_a_fetch_killed_while_writing_is_taken_up_by_the_next(debian, isolated, tmp_path, monkeypatch):
    def fetch_and_die():
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        download.fetch(tmp_path)

    monkeypatch.setattr(download, "DEBIAN_FOLDER", debian)
    process = fork.Process(target=fetch_and_die)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL and not names_in(tmp_path / RAW)
    assert is_complete(download.fetch(tmp_path)) and not list((tmp_path / RAW).glob(".*.tmp"))


# D6: where the folder is


def test_d6_a_path_with_spaces_and_letters_is_filled_from_any_directory(debian, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "DEBIAN_FOLDER", debian)
    monkeypatch.chdir(tmp_path)
    raw = download.fetch("un año de datos")
    monkeypatch.chdir("/")
    assert raw == tmp_path / "un año de datos" / RAW and is_complete(raw)
    assert download.fetch(raw) == download.fetch(raw.parents[1]) == raw


def test_d6_a_linked_folder_works(data_dir, tmp_path):
    linked = tmp_path / "un año de datos"
    linked.symlink_to(data_dir.parents[1])
    assert download.fetch(linked, offline=True) == linked / RAW
    assert len(data.load("test", data_dir=linked)[1]) == 10_000


@pytest.fixture
def read_only():
    """A data folder, and what makes it read-only: for root, by being an ordinary user until the test ends."""

    def close():
        raw.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(65534)

    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        raw = Path(place) / RAW
        raw.mkdir(parents=True)
        Path(place).chmod(0o755)
        yield Path(place), close
        os.seteuid(os.getuid())
        raw.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_d6_a_read_only_folder_with_the_data_works(data_dir, read_only):
    folder, close = read_only
    for name in data.FILES:
        shutil.copy(data_dir / name, folder / RAW)
    close()
    assert download.fetch(folder) == folder / RAW
    assert len(data.load("test", data_dir=folder)[0]) == 10_000
    assert not list((folder / RAW).glob(".*"))


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_d6_a_read_only_folder_without_the_data_is_named_with_a_fix(read_only):
    folder, close = read_only
    close()
    with pytest.raises(UserError, match=f"{folder / RAW}.*Permission denied.*\nFix: .*another folder"):
        download.fetch(folder, offline=True)


# Apt, for real where it is reachable


def apt_reachable() -> bool:
    """Say whether this machine has apt, and finds the host of its first source."""
    if not shutil.which("apt-get"):
        return False
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True)
    try:
        return bool(socket.getaddrinfo(urlsplit(listed.stdout.split()[0]).hostname, 80))
    except (OSError, IndexError):
        return False


@pytest.mark.slow
@pytest.mark.skipif(not apt_reachable(), reason="needs apt and a source that it can reach")
def test_d1_apt_alone_brings_the_data_and_leaves_the_system_as_it_was(tmp_path):
    def system():
        folders = (Path("/var/lib/apt/lists"), Path("/var/cache/apt"), Path("/var/lib/dpkg"))
        return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}

    before = system()
    contents = download._contents(download._from_apt(tmp_path), data.FILES)
    assert {n: hashlib.sha256(c).hexdigest() for n, c in contents.items()} == {n: s for n, (_, s) in data.FILES.items()}
    assert system() == before


# Splits and folds


@pytest.mark.parametrize("seed, train, val", [(0, 50_000, 10_000), (7, 60_000, 0), (3, 1_000, 200), (2022, 0, 1)])
@pytest.mark.filterwarnings("ignore:Length of split")
def test_split_is_random_split_itself(seed, train, val):
    lengths = [train, val, 60_000 - train - val]
    parts = random_split(range(60_000), lengths, torch.Generator().manual_seed(seed))
    for ours, theirs in zip(data.split(seed, train, val), parts, strict=False):
        assert ours.dtype == torch.int64 and ours.tolist() == list(theirs.indices)


def test_the_papers_split_is_random_split_in_two_and_never_changes():
    training, validation = data.split(0)
    two = random_split(range(60_000), [50_000, 10_000], torch.Generator().manual_seed(0))
    assert [training.tolist(), validation.tolist()] == [list(part.indices) for part in two]
    assert hashlib.sha256(torch.cat([training, validation]).numpy().tobytes()).hexdigest()[:16] == "4c226c41bdd65c9e"


def test_a_split_of_more_images_than_there_are_is_refused():
    with pytest.raises(RuntimeError):
        data.split(0, 50_000, 10_001)


def test_split_and_fold_leave_the_default_generator_alone():
    before = torch.get_rng_state()
    data.split(1), data.fold(1, 5, 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("folds", [2, 5, 6, 7])
def test_folds_are_disjoint_equal_and_cover_everything_once(folds):
    pairs = [data.fold(11, folds, fold) for fold in range(folds)]
    inside = torch.cat([validation for _, validation in pairs])
    assert sorted(inside.tolist()) == list(range(60_000))
    assert {len(validation) for _, validation in pairs} <= {60_000 // folds, -(-60_000 // folds)}
    for training, validation in pairs:
        assert sorted(torch.cat([training, validation]).tolist()) == list(range(60_000))


def test_another_seed_gives_another_split_and_other_folds():
    assert not torch.equal(data.split(0)[1], data.split(1)[1])
    assert not torch.equal(data.fold(0, 5, 2)[1], data.fold(1, 5, 2)[1])
