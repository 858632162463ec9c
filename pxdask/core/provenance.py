"""Content keys: equal exactly when the work is equal."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version

NUMERICAL_PACKAGES = (
    "pxdask",
    "numpy",
    "scipy",
    "numba",
    "astropy",
    "reproject",
    "photutils",
    "sep",
)


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
    """Return the installed versions of the packages that decide the numbers."""
    found = {}
    for name in NUMERICAL_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
