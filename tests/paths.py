"""Where the real survey data are, for tests marked ``data``."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def real_data(name):
    """Return the folder of one real data set, or skip the test, saying what is missing."""
    root = Path(os.environ.get("PXDASK_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / name).is_dir():
        pytest.skip(f"no real data in {root / name}: set PXDASK_TEST_DATA to their folder")
    return root / name
