"""A figure that notebooks show by themselves, with or without pyplot."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A matplotlib figure that is no part of pyplot's, and is shown where a cell returns it."""

    def _repr_png_(self) -> bytes:
        """Return it as a PNG file, which IPython asks for under this name."""
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
