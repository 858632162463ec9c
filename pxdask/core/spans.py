"""Spans of time in words."""

from __future__ import annotations

from datetime import timedelta


def span_of(seconds: float | None, *, unknown: str = "unknown time") -> str:
    """Return a span of time as days, hours, minutes and seconds, such as ``1 day, 0:03:20``.

    Parameters
    ----------
    seconds : float or None
        Rounded to whole ones; less than none is none, as clocks of two machines may have it [s].
    unknown : str
        What None is called.
    """
    return unknown if seconds is None else str(timedelta(seconds=round(max(0.0, seconds))))
