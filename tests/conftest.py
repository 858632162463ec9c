"""What all tests share."""

import os

import pytest
from hypothesis import settings

# Where a failure would be somebody else's surprise, the examples are always the same; at the desk
# they are new each time, and find what nobody thought of.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)
SHARED = os.environ.get("CI") or os.environ.get("PXDASK_TEST_ALL")
settings.load_profile("same" if SHARED else "new")

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Let a test that lacks a component fail where all components are promised.

    Only the real data and an accelerator may be absent: no installation brings them.
    """
    report = yield
    if os.environ.get("PXDASK_TEST_ALL") == "1" and report.skipped:
        absent = any(item.get_closest_marker(mark) for mark in ("data", "gpu"))
        allowed = absent or hasattr(report, "wasxfail")
        if not allowed:
            report.outcome = "failed"
            report.longrepr = f"PXDASK_TEST_ALL is set, yet it would skip: {report.longrepr}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _any_dashboard_port():
    """Let tests that run side by side have a dashboard each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pxdask.cluster.clients.DASHBOARD_PORT", 0)
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep products of the tests out of the user's cache, but share them among workers;
    keep the user's filters out of the tests.

    Of the session, because fixtures of modules make products too.
    """
    root = tmp_path_factory.getbasetemp()
    shared = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PXDASK_CACHE", str(shared / "pxdask-cache"))
        patch.setenv("PXDASK_HOME", str(root / "pxdask-home"))
        yield
