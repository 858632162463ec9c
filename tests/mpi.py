"""Running a program under a real ``mpirun``, on this machine alone."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

_ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
"""Before a command: a network of its own, with nothing but loopback."""


@cache
def _prefix():
    """Return `_ALONE` where the system allows it."""
    if shutil.which("unshare") is None:
        return ()
    tried = subprocess.run([*_ALONE, "ip", "link"], capture_output=True, check=False)
    return _ALONE if tried.returncode == 0 and b"UP" in tried.stdout else ()


def mpirun(n_rank, *words, timeout=300):
    """Run a Python program on some ranks; skip the test where there is no MPI."""
    launcher = Path(sys.executable).parent / "mpirun"
    if not launcher.is_file():
        pytest.skip(f"no {launcher}: pip install mpi4py mpich")
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "FI_TCP_IFACE": "lo"}
    return subprocess.run(
        [*_prefix(), launcher, "-n", str(n_rank), sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, **settings},
    )
