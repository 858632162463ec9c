"""The references are consistent: ADS's codes repeat year, volume, page and first author."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxdask.survey.exchange.references import Reference, bibtex, references

ALL = references()
JOURNALS = {
    "A&A": "Astronomy and Astrophysics",
    "A&AS": "Astronomy and Astrophysics Supplement Series",
    "AJ": "The Astronomical Journal",
    "ApJ": "The Astrophysical Journal",
    "ApJS": "The Astrophysical Journal Supplement Series",
    "BAAA": "Boletin de la Asociacion Argentina de Astronomia",
    "CAMCS": "Communications in Applied Mathematics and Computational Science",
    "CSE": "Computing in Science and Engineering",
    "JOSS": "The Journal of Open Source Software",
    "MNRAS": "Monthly Notices of the Royal Astronomical Society",
    "NatMe": "Nature Methods",
    "Natur": "Nature",
    "PASA": "Publications of the Astronomical Society of Australia",
    "PASJ": "Publications of the Astronomical Society of Japan",
    "PASP": "Publications of the Astronomical Society of the Pacific",
    "PNAS": "Proceedings of the National Academy of Science",
    "RMxAA": "Revista Mexicana de Astronomia y Astrofisica",
    "SoPh": "Solar Physics",
}
DOIS = {
    "The Astrophysical Journal": r"10\.(1086|(1088|3847)/(0004-637X|2041-8205|1538-4357))",
    "The Astronomical Journal": r"10\.(1086/|1088/0004-6256/|3847/1538-3881/)",
    "Astronomy and Astrophysics": r"10\.1051/0004-6361[/:]\d+",
    "Monthly Notices of the Royal Astronomical Society": r"10\.(1093/mnras/|1046/j\.|1111/j\.)",
    "The Journal of Open Source Software": r"10\.21105/joss\.\d{5}",
}


def code(entry):
    found = re.search(r"abs/(.{19,})$", entry.fields.get("adsurl", "").replace("%26", "&"))
    return found and found[1]


def plain(text):
    bare = re.sub(r"\\.|[{}']", "", text)
    return unicodedata.normalize("NFKD", bare).strip()


@pytest.mark.parametrize("key", [key for key, entry in ALL.items() if code(entry)])
def test_fields_are_those_of_the_ads_code(key):
    entry, bibcode = ALL[key], code(ALL[key])
    fields = entry.fields
    assert len(bibcode) == 19
    assert bibcode[:4] == fields["year"]
    letters = fields["journal"].endswith(" Letters")
    name = fields["journal"].removesuffix(" Letters")
    assert JOURNALS[bibcode[4:9].strip(".") if bibcode[4:9] != "PNAS." else "PNAS"] == name
    assert bibcode[9:13].strip(".") == fields["volume"]
    section, page = bibcode[13], bibcode[14:18].strip(".")
    given = re.match(r"([A-Z]|e)?0*(\d+)$", fields["pages"])
    if re.match(r"[a-z]", section):  # issue as a letter, and the page within it: 028001 is b8001
        assert fields["pages"].endswith(page)
    else:
        assert given[2].endswith(page), "the page"
        assert (section + page).strip(".").lstrip("ASL") == given[2]
        if letters:
            assert section == "L"
    assert plain(fields["author"])[0] == bibcode[18], "the first author"


@pytest.mark.parametrize("key", [key for key, one in ALL.items() if "doi" in one.fields])
def test_dois_have_the_form_of_their_journal(key):
    fields = ALL[key].fields
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields["doi"])
    if pattern := DOIS.get(fields.get("journal", "").removesuffix(" Letters")):
        assert re.match(pattern, fields["doi"], re.IGNORECASE)


def test_dois_that_repeat_volume_and_page():
    """Those of IOP from 1999 to 2015 do, and those of JOSS the number of the paper."""
    seen = 0
    for entry in ALL.values():
        parts = entry.fields.get("doi", "").split("/")
        if parts[0] == "10.1088" and len(parts) == 5:
            assert parts[2] == entry.fields["volume"]
            assert parts[4].lstrip("L") == entry.fields["pages"].lstrip("L")
            seen += 1
        if parts[0] == "10.21105":
            assert int(parts[1].removeprefix("joss.")) == int(entry.fields["pages"])
            seen += 1
    assert seen > 10


def test_no_reference_is_there_twice_or_has_nowhere_to_look():
    dois = [entry.fields["doi"] for entry in ALL.values() if "doi" in entry.fields]
    assert len(dois) == len(set(dois))
    for key, entry in ALL.items():
        assert {"author", "title"} <= set(entry.fields), key
        assert {"doi", "adsurl", "url"} & set(entry.fields), key
    assert len(ALL) > 90


def test_keys_tell_author_and_year():
    for key, entry in ALL.items():
        if found := re.search(r"(\d{4})[a-z]*$", key):
            assert entry.fields.get("year", found[1]) == found[1]


def test_braces_are_balanced_as_bibtex_wants():
    for entry in ALL.values():
        text = entry.bibtex()
        depth = 0
        for letter in text:
            depth += {"{": 1, "}": -1}.get(letter, 0)
            assert depth >= 0
        assert depth == 0
        assert text.isascii()


def test_an_entry_by_hand():
    entry = ALL["Abdurrouf2021"]
    assert entry.text() == (
        "Abdurro'uf et al. 2021, Introducing piXedfit: A Spectral Energy Distribution Fitting Code"
        " Designed for Resolved Sources, The Astrophysical Journal Supplement Series, 254, 15,"
        " doi:10.3847/1538-4365/abebe2"
    )
    assert entry.bibtex().startswith("@article{Abdurrouf2021,\n  author = {{Abdurro'uf} and Lin,")
    assert ALL["Charlot2000"].text().startswith("Charlot & Fall 2000, ")
    assert ALL["Sersic1963"].text().startswith("S\u00e9rsic 1963, ")
    assert bibtex([entry, ALL["Madau1995"]]).count("\n@article{") == 1


@given(st.lists(st.from_regex(r"[A-Z][a-z]{1,8}, [A-Z]\.", fullmatch=True), min_size=1, max_size=6))
def test_up_to_three_authors_are_named(names):
    text = Reference("x", "article", {"author": " and ".join(names)}).text()
    families = [name.partition(",")[0] for name in names]
    if len(names) > 3:
        assert text == f"{families[0]} et al."
    else:
        assert re.split(r", | & ", text) == families
