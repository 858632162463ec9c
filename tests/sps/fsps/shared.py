"""The made-up SPS_HOME and a product of it: made once, by whichever test process comes first."""

import fcntl
import os
from importlib.metadata import PackageNotFoundError, version

import pytest

from pxdask.io.stores import publish, read
from pxdask.sps.fsps import extract_ssp
from tests.sps.fsps.made_up_home import make_home

STEPS = {"log_u_step": 0.5, "gas_step": 1.0}
"""The product of the tests has the nodes of the nebular tables and no others."""


def need_fsps():
    """Skip where there is no python-fsps of the kind that the made-up data are for."""
    try:
        found = version("fsps")
    except PackageNotFoundError:
        pytest.skip("python-fsps is not installed")
    if not found.startswith("0.5."):
        pytest.skip(f"the made-up SPS_HOME is for fsps 0.5; found {found}")


def shared_path(tmp_path_factory, name, make):
    """Return a path that all test processes share, made by the first to want it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    path = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = root / f"part-{name}"
            make(part)
            part.rename(path)
    return path


def shared_home(tmp_path_factory):
    """Return the made-up SPS_HOME."""
    need_fsps()
    return shared_path(tmp_path_factory, "sps_home", make_home)


def shared_product(tmp_path_factory):
    """Return the product of the made-up SPS_HOME."""
    home = shared_home(tmp_path_factory)

    def make(path):
        publish(extract_ssp(home, **STEPS), path)

    return read(shared_path(tmp_path_factory, "fsps.zarr.zip", make))
