"""Pages of results: data in, HTML out."""

from pxdask.report.pages import galaxy_html, survey_html, viewer_html

__all__ = ["galaxy_html", "survey_html", "viewer_html"]
