"""Numbers of things agree with their nouns."""

import pytest

from pxdask.cli.words import number_of


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((0, "file"), "0 files"),
        ((1, "file"), "1 file"),
        ((1, "galaxy", "galaxies"), "1 galaxy"),
        ((4, "galaxy", "galaxies"), "4 galaxies"),
    ],
)
def test_one_is_not_many(words, text):
    assert number_of(*words) == text
