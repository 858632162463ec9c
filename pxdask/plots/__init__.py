"""Figures made from stored datasets."""

from pxdask.plots.summary import summary_figure, write_summary

__all__ = ["summary_figure", "write_summary"]
