"""What the tests share."""

from pathlib import Path

import pytest

from fmnist_lib import data


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the project's verified raw files, fetched if need be."""
    return data.fetch()
