"""Descriptions of clusters: YAML files, or the bare name of a kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pxdask.core.documents import load_yaml
from pxdask.core.errors import ConfigError

KINDS = ("local", "address", "slurm", "pbs", "lsf", "sge", "oar", "moab", "htcondor", "mpi")
"""All kinds of clusters."""


def read_cluster_file(path: Path) -> dict[str, Any]:
    """Return the kind and options in a YAML file, to be given to `connect`.

    Raises
    ------
    ConfigError
        If the file cannot be read or names no kind.
    """
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the cluster file {path}: {error}") from error
    if not isinstance(values, dict) or "kind" not in values:
        raise ConfigError(f"{path} must be a mapping with a 'kind', such as 'kind: local'")
    if unnamed := [key for key in values if not isinstance(key, str)]:
        raise ConfigError(f"{path}: options are named by text; found {unnamed[0]!r}")
    return values


def cluster_options(file_or_kind: str | Path) -> dict[str, Any]:
    """Return the kind and options of a cluster: of a file, or a kind with its defaults.

    Raises
    ------
    ConfigError
        If it is neither; see also `read_cluster_file`.
    """
    path = Path(file_or_kind)
    if path.is_file():
        return read_cluster_file(path)
    if str(file_or_kind) in KINDS:
        return {"kind": str(file_or_kind)}
    raise ConfigError(
        f"there is no cluster file {str(file_or_kind)!r}, and no such kind:"
        f" known are {', '.join(KINDS)}"
    )
