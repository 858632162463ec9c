"""Words that commands have in common."""

from __future__ import annotations


def number_of(count: int, noun: str, nouns: str | None = None) -> str:
    """Return how many there are of something, as ``1 galaxy`` or ``4 galaxies``.

    ``nouns`` are more than one [default: with an s].
    """
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"
