"""Spans of time in words, the same wherever they are shown."""

import pytest

from pxdask.core.spans import span_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0:00:00"),
        (59.6, "0:01:00"),
        (3 * 3600 + 125, "3:02:05"),
        (86_600.0, "1 day, 0:03:20"),
        (-2.0, "0:00:00"),  # a clock that is ahead
        (None, "unknown time"),
    ],
)
def test_spans(seconds, words):
    assert span_of(seconds) == words


def test_what_is_not_known_has_the_word_given():
    assert span_of(None, unknown="-") == "-"
    assert span_of(1.0, unknown="-") == "0:00:01"
