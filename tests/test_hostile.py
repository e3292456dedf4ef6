"""What a hostile file, a full disk or a typo can start, fill, hang or overwrite: nothing, and two lines say so."""

import io
import os
import random
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from fmnist_lib import UserError
from fmnist_lib.commands import predict

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")


def refused(call, *arguments, said="") -> UserError:
    """Assert that a call is refused in two short printable lines, at once."""
    began = time.process_time()
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert time.process_time() - began < 5
    cause, fix = error.value.cause, error.value.fix
    assert cause.isprintable() and fix.isprintable() and len(cause) < 1000 and said in cause
    return error.value


def in_place_of(path, what):
    """Put a pipe, an endless device, a folder, gigabytes of zeros or nothing in the place of a file."""
    path.unlink(missing_ok=True)
    if what == "gigabytes":
        path.touch()
        os.truncate(path, 3 * 10**9)  # that are not on the disk
    else:
        {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir, "nothing": str}[what](
            path
        )


# Pictures

GARMENT = (np.arange(784).reshape(28, 28) * 7 % 256).astype(np.uint8)


def saved(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, kind, **options)
    return file.getvalue()


def read(tmp_path, content: bytes):
    (tmp_path / "a.png").write_bytes(content)
    return predict.picture(tmp_path / "a.png")


@pytest.mark.parametrize("kind", predict.FORMATS)
def test_a_picture_of_any_named_format_is_read_whatever_its_name(tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    shown = read(tmp_path, saved(GARMENT, kind, **options)).numpy()[0, 0].astype(int)
    assert np.abs(shown - GARMENT).max() <= (3 if kind == "JPEG" else 1)


def test_no_program_is_started_for_a_picture_of_another_format(tmp_path, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", pytest.fail)
    refused(read, tmp_path, saved(Image.fromarray(GARMENT), "EPS"), said="cannot identify")
    read(tmp_path, saved(GARMENT))
    for kind in ("PPM", "TGA", "PCX", "ICO", "JPEG2000", "DDS", "SGI"):
        refused(read, tmp_path, saved(Image.fromarray(GARMENT), kind), said="cannot identify")


def test_the_16_bits_of_a_png_are_scaled_by_their_range(tmp_path):
    fine = GARMENT.astype(np.uint16) * 257
    assert np.array_equal(read(tmp_path, saved(fine)).numpy()[0, 0], GARMENT)
    assert read(tmp_path, saved(np.full((28, 28), 2**15, np.uint16))).unique().tolist() == [128]


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32], ids=lambda kind: kind.__name__)
def test_numbers_without_a_stated_range_are_refused(tmp_path, kind):
    refused(read, tmp_path, saved(GARMENT.astype(kind), "TIFF"), said="no stated range")


def test_a_picture_is_measured_before_it_is_decoded(tmp_path):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 6_000, 6_000, 8, 0, 0, 0, 0))
    packed = chunk(b"IDAT", zlib.compress(bytes(6_001) * 6_000)) + chunk(b"IEND", b"")
    refused(read, tmp_path, b"\x89PNG\r\n\x1a\n" + head + packed, said="36,000,000 pixels are more than 30,000,000")


@posix
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "gigabytes", "nothing"])
def test_what_stands_in_the_place_of_a_picture_is_neither_waited_for_nor_read(tmp_path, what):
    in_place_of(tmp_path / "a.png", what)
    refused(predict.picture, tmp_path / "a.png", said="a.png")


def mutated(draw: random.Random, whole: bytes) -> bytes:
    """Return a content with a byte changed, a part cut out, repeated, or replaced by others."""
    at, length = draw.randrange(len(whole) + 1), draw.choice((1, 1, 1, 4, 40))
    middle = draw.choice((draw.randbytes(length), b"", bytes(length), b"\xff" * length, whole[at : at + length] * 3))
    return whole[:at] + middle + whole[at + draw.choice((0, length, len(whole))) :]


@pytest.mark.parametrize("kind", predict.FORMATS)
def test_300_mutations_of_a_picture_are_read_or_refused(tmp_path, kind):
    draw, whole = random.Random(kind), saved(GARMENT, kind)
    for _ in range(300):
        try:
            assert read(tmp_path, mutated(draw, whole)).shape == (1, 1, 28, 28)
        except UserError as error:
            assert error.cause.isprintable() and len(error.cause) < 1000
