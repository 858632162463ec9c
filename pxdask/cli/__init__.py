"""The command line."""

from pxdask.cli.app import main

__all__ = ["main"]
