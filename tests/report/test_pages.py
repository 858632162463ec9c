"""Pages say what they are given, whatever is in it."""

import json
import re
from html.parser import HTMLParser

import numpy as np

from pxdask.core.flags import Flag
from pxdask.report import galaxy_html, survey_html
from pxdask.report.flags import EXPLAINED, flag_counts
from pxdask.report.pages import (
    Column,
    FlagCount,
    GalaxyPage,
    GalaxyRow,
    Picture,
    SurveyPage,
    Table,
)

EVIL = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "img", "br", "input"}


class Balanced(HTMLParser):
    """Notes elements that are not closed in order, and external addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.outside, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href") and re.match(r"https?:|//", value or ""):
                self.outside.append(value)
            if name == "id":
                self.ids.append(value)
            if tag == "img" and name == "alt":
                assert value
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def checked(text):
    page = Balanced()
    page.feed(text)
    assert page.faults == []
    assert page.open == []
    assert page.outside == []
    assert len(page.ids) == len(set(page.ids))
    return text


def survey(**changes):
    values = {
        "name": "mini",
        "place": "/run",
        "made": "today",
        "counts": {"done": 2, "failed": 1},
        "tables": (Table("Stages", ("stage", "done"), (("fit", "3"),)),),
        "reasons": ((1, EVIL),),
        "columns": (Column("z", "z"), Column("log_mass", "log M★", "M☉")),
        "settings": "name: mini",
    }
    return SurveyPage(**{**values, **changes})


def test_a_survey_has_its_rows():
    rows = [
        GalaxyRow("a", "done", has_page=True, has_picture=True, values=(0.1, 10.5)),
        GalaxyRow(EVIL, "failed", has_page=False, has_picture=False, values=(None, None)),
    ]
    text = checked("".join(survey_html(survey(), (row.json() for row in rows))))
    found = json.loads(re.search(r'id="rows">(.*?)</script>', text, re.DOTALL)[1])
    assert found == [["a", "done", 1, 1, 0.1, 10.5], [EVIL, "failed", 0, 0, None, None]]
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', text, re.DOTALL)[1])
    assert facts["columns"][1]["unit"] == "M☉"
    assert "<img" not in text


def test_a_survey_without_galaxies():
    text = checked("".join(survey_html(survey(counts={}, reasons=()), ())))
    assert json.loads(re.search(r'id="rows">(.*?)</script>', text, re.DOTALL)[1]) == []
    assert "Failures by reason" not in text


def test_rows_are_read_one_by_one():
    """Pieces of the page come out while rows go in: no list of all of them is made."""
    seen = []

    def rows():
        for n in range(1000):
            seen.append(n)
            yield f'["g{n}","done",0,0]'

    for piece in survey_html(survey(), rows()):
        if '"g10"' in piece:
            break
    assert len(seen) < 500


def test_a_galaxy_page_escapes_what_others_wrote():
    page = GalaxyPage(
        name="a",
        survey=EVIL,
        state="failed",
        facts=(("RA", EVIL),),
        faults=(EVIL,),
        maps=(Picture("Image", f'the "{EVIL}"', b"png", 10, 10),),
        results=(Table(EVIL, ("x", EVIL), ((EVIL, EVIL),), note=EVIL, words=(EVIL,)),),
        provenance=(Table("Tasks", ("a",), ((EVIL,),)),),
        flags=(FlagCount("edge", 3, EVIL, EVIL),),
        n_bin=4,
        settings=EVIL,
        previous="b+c",
    )
    text = checked(galaxy_html(page))
    assert "onerror=alert(1)>" not in text
    assert text.count("<img ") == 1
    assert 'src="data:image/png;base64,cG5n"' in text
    assert 'href="b%2Bc.html"' in text
    assert "3" in text


def test_every_flag_is_explained():
    assert set(EXPLAINED) == set(Flag)
    assert all(meaning and advice for meaning, advice in EXPLAINED.values())


def test_a_bin_counts_once_for_a_flag():
    bits = np.array([[4, 4, 12], [0, 0, 0], [8, 0, 0]], np.uint16)
    assert [(one.name, one.count) for one in flag_counts(bits)] == [("edge", 1), ("low_snr", 2)]
    assert [one.count for one in flag_counts(bits[:, 2])] == [1, 1]
    assert flag_counts(np.zeros(0, np.uint16)) == ()
