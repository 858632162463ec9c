"""``python -m pxdask``."""

from pxdask.cli import main

main()
