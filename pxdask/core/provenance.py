"""Content keys, equal exactly when the work is equal; and what made a result."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMERICAL_PACKAGES = (
    "pxdask",
    "numpy",
    "scipy",
    "numba",
    "astropy",
    "reproject",
    "photutils",
    "sep",
    "xarray",
    "zarr",
    "numcodecs",
)

_GIT_TIMEOUT_S = 60.0


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(value: object, *, n_bytes: int = 8) -> str:
    """Return a stable hexadecimal key of any JSON value.

    Parameters
    ----------
    value : JSON value
        What is named; NaN and infinities raise ValueError.
    n_bytes : int
        Length of the key [bytes].

    Returns
    -------
    key : str
        blake2b digest of the canonical JSON, ``2 * n_bytes`` characters.
    """
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=n_bytes).hexdigest()


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide numbers and bytes."""
    found = {"python": platform.python_version()}
    for name in NUMERICAL_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


@lru_cache(maxsize=1)
def code_state() -> dict[str, str | bool]:
    """Return the state of the package's own code, where that is a git checkout; else nothing.

    ``commit`` is the last one that changed the package, so that commits of documents or tests
    change no output; ``modified`` says whether files of the package differ from it. Looked up
    once a process.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():  # not that of a project around an environment
        return {}
    commit = _git(package, "log", "-1", "--format=%H", "--", ".")
    changes = _git(package, "status", "--porcelain", "--", ".")
    if not commit or changes is None:
        return {}
    return {"commit": commit, "modified": bool(changes)}


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, of: str = ""
) -> list[tuple[str, Any, Any]]:
    """Return the single settings that differ, by dotted name: (name, old value, new value)."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*old, *new}):
        there, given = old.get(name), new.get(name)
        if isinstance(there, dict) and isinstance(given, dict):
            found += differences(there, given, of=f"{of}{name}.")
        elif there != given:
            found.append((f"{of}{name}", there, given))
    return found


def _git(folder: Path, *words: str) -> str | None:
    """Return what git answers; None where there is no git or it has no answer."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(  # noqa: S603  fixed words, no shell
            command, capture_output=True, text=True, check=True, timeout=_GIT_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
