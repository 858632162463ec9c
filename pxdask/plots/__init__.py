"""Figures made from stored datasets."""

from pxdask.plots.morphology import profiles_figure, write_profiles
from pxdask.plots.summary import summary_figure, write_summary

__all__ = ["profiles_figure", "summary_figure", "write_profiles", "write_summary"]
