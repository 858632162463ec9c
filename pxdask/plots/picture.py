"""Figures that notebooks show by themselves, and that are written as PNG files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pxdask.core.files import replacing


class Picture(Figure):
    """A matplotlib figure on white that is no part of pyplot's; cells that return it show it.

    Parameters
    ----------
    **settings
        Those of `matplotlib.figure.Figure`.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  those of matplotlib
        super().__init__(**({"facecolor": "white"} | settings))
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        """Return it as a PNG file, which IPython asks for under this name."""
        return png_bytes(self)


def png_bytes(figure: Figure, *, dpi: float | None = None, about: str | None = None) -> bytes:
    """Return a figure as a PNG file, equal bytes for equal content.

    Parameters
    ----------
    figure : Figure
        What to draw.
    dpi : float, optional
        Pixels per inch; default: matplotlib's setting, which is the figure's own.
    about : str, optional
        The file's text named Description.
    """
    file = BytesIO()
    # without matplotlib's name and version, which it would write
    words = {"Software": None, "Description": about}
    figure.savefig(file, format="png", dpi=dpi, metadata=words)
    return file.getvalue()


def write_png(path: str | Path, figure: Figure, *, dpi: float, about: str | None = None) -> None:
    """Write a figure as a PNG file: whole or not at all, equal bytes for equal content.

    Parameters
    ----------
    path : path
        The file, which is replaced if it is there.
    figure, dpi, about
        See `png_bytes`.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    with replacing(Path(path)) as part:
        part.write_bytes(png_bytes(figure, dpi=dpi, about=about))
