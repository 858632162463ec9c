"""YAML from anywhere: plain values only, and no more of them than a person would write."""

from __future__ import annotations

import yaml

MAX_VALUES = 1_000_000
"""Values of a document with all aliases written out."""


def load_yaml(text: str) -> object:
    """Return the plain values in a YAML text.

    Tags that name Python objects are refused. So is a text whose aliases (``*name``) stand for
    more than `MAX_VALUES` values: a few lines of aliases of aliases make billions, which cost
    nothing until somebody looks at them.

    Raises
    ------
    yaml.YAMLError
        If it is not such YAML.
    """
    try:
        found: object = yaml.safe_load(text)
        size = _size(found, {})
    except RecursionError as error:
        raise yaml.YAMLError("its values are nested too deep") from error
    if size > MAX_VALUES:
        raise yaml.YAMLError(f"its aliases stand for {size:.3g} values, more than {MAX_VALUES:,}")
    return found


def _size(value: object, known: dict[int, int]) -> int:
    """Return the number of values in a value, aliases written out.

    A value that holds itself counts as too many. ``known`` holds what is known of each list and
    mapping, by its identity.
    """
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        parts = list(value)
    else:
        return 1
    if id(value) not in known:
        known[id(value)] = MAX_VALUES + 1  # while it is open: an alias of it is within it
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]
