"""Errors, told apart by what the survey must do next."""


class PxdaskError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(PxdaskError, ValueError):
    """The run cannot start: a setting, a catalogue row or an input is wrong."""


class SchemaError(PxdaskError, ValueError):
    """A Dataset does not have the form its schema declares."""


class DataError(PxdaskError, ValueError):
    """A galaxy cannot be processed; trying again would fail again."""


class StoreError(PxdaskError, OSError):
    """A file could not be read or written; trying again may succeed."""


class DamagedError(StoreError):
    """A published file does not hold what was written; it must be made again."""


class ClusterError(PxdaskError, RuntimeError):
    """What carries out the run is gone, or died of it; what is published is kept."""


def brief(value: object, *, length: int = 80) -> str:
    """Return a value's text for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."
