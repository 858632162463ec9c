"""What some tests need beyond the package and its dependencies: queues, MPI, a browser, a store."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

_SYSTEM = os.pathsep.join(["/usr/sbin", "/sbin", "/usr/local/sbin"])
"""Folders of daemons, which are not on everybody's PATH."""

_DEBIAN = {
    "slurmctld": "slurmctld slurmd slurm-client munge",
    "unshare": "util-linux iproute2",
    "chromium": "chromium fonts-dejavu-core",
}
"""Debian packages of programs."""

_PYPI = {
    "mpirun": "mpi4py mpich",
    "moto": "'moto[server]' s3fs",
    "dask_jobqueue": "dask-jobqueue",
    "dask_mpi": "dask-mpi mpi4py mpich",
    "cryptography": "cryptography",
    "playwright": "playwright",
}
"""Python packages of modules and programs."""

_WITH = {
    "slurmctld": ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scancel", "dask_jobqueue"),
    "chromium": ("chromium", "playwright"),
    "dask_mpi": ("dask_mpi", "mpirun"),
    "moto": ("moto", "s3fs", "flask"),
}
"""Programs and modules that a component consists of; one not named here is just itself."""


def find_program(name):
    """Return the path of a program: of this Python's environment, or of the system; or None."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), _SYSTEM])
    return shutil.which(name, path=path)


def missing(component):
    """Return the programs and modules of a component that are not installed."""
    parts = _WITH.get(component, (component,))
    return [
        part
        for part in parts
        if find_program(part) is None and importlib.util.find_spec(part) is None
    ]


def need(*components):
    """Skip the test, saying what to install, unless all components are here.

    Where everything is promised (PXDASK_TEST_ALL=1), the test fails instead.
    """
    for component in components:
        if absent := missing(component):
            commands = [
                f"{how} {names[component]}"
                for how, names in (("apt-get install", _DEBIAN), ("pip install", _PYPI))
                if component in names
            ]
            advice = " and ".join(commands) or f"install {component}"
            reason = f"needs {', '.join(absent)}: {advice}"
            if os.environ.get("PXDASK_TEST_ALL") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
