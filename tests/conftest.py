"""What the tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

from fmnist_lib.press.language import speak
from fmnist_lib.workers import download

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


def pytest_make_parametrize_id(val, argname):
    """Name no test by bytes: those of a compressor hold a clock, and two workers must collect the same names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the project's verified raw files, fetched if need be."""
    return download.fetch()


@pytest.fixture(autouse=True)
def english():
    """Leave no test another's language."""
    yield
    speak("en")
