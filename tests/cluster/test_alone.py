"""A process of one's own: results and errors come back; its death is told, and only its own."""

import re
import sys
import time

import pytest

from pxdask.cluster import alone
from pxdask.cluster.alone import DiedAloneError, run_alone
from pxdask.core.errors import DataError
from tests.survey.hazards import broken, exit_with, greedy, poison, work


def bad_galaxy(name):
    raise DataError(f"{name} is bad")


def loud():
    sys.stdout.write("this is no answer")
    return 7


def test_a_result_comes_back():
    assert run_alone(work, 21) == 42
    assert run_alone(loud) == 7


def test_what_it_raises_is_raised_here():
    with pytest.raises(ValueError, match="no good"):
        run_alone(broken, 0)
    with pytest.raises(DataError, match="g07 is bad"):
        run_alone(bad_galaxy, "g07")


def test_its_death_is_told(tmp_path):
    with pytest.raises(DiedAloneError, match=re.escape("signal 9 (SIGKILL), as when memory")):
        run_alone(poison, str(tmp_path))
    with pytest.raises(DiedAloneError, match="exit code 3"):
        run_alone(exit_with, 3)


def test_it_may_not_use_more_memory_than_a_worker(monkeypatch):
    monkeypatch.setattr(alone, "_memory_limit", lambda: 200_000_000)
    begin = time.monotonic()
    with pytest.raises(DiedAloneError, match=r"GB of memory, a worker may use 0\.2 GB"):
        run_alone(greedy, 400_000_000)
    assert time.monotonic() - begin < 25
