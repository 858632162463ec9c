"""A made-up SPS_HOME for the real python-fsps, and the product made of it."""

import pytest

from tests.sps.fsps.shared import shared_home, shared_product


def pytest_collection_modifyitems(items):
    """Mark as slow what needs the product: the first such test makes it, in some seconds."""
    for item in items:
        if "product" in getattr(item, "fixturenames", ()) and __package__ in item.module.__name__:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder that python-fsps 0.5 runs on."""
    return shared_home(tmp_path_factory)


@pytest.fixture(scope="session")
def product(tmp_path_factory):
    """Its SSP product, at the nodes of the nebular tables."""
    return shared_product(tmp_path_factory)
