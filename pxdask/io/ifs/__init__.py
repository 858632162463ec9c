"""Integral-field cubes as their surveys deliver them, in one form.

`read_ifs_header` finds what is where in a file and what its numbers mean, without reading
pixels; `read_ifs` reads some wavelengths of it.
"""

from pxdask.io.ifs.header import IfsHeader, read_ifs_header
from pxdask.io.ifs.read import read_ifs

__all__ = ["IfsHeader", "read_ifs", "read_ifs_header"]
