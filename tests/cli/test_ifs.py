"""The commands for cubes as a user meets them."""

import pytest
from typer.testing import CliRunner

from pxdask.cli.ifs import app
from pxdask.core.errors import ConfigError, DataError
from tests.io.ifs import cubes


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return {line[:12].strip(): line[12:] for line in result.output.splitlines()}


def test_show_says_how_a_manga_cube_is_read(tmp_path):
    facts = call("show", cubes.manga(tmp_path / "a.fits"))
    assert facts["kind"] == "manga"
    assert facts["shape"] == "5 wavelengths, 4 x 3 pixels"
    assert facts["wavelength"] == "3621.6 to 3624.93 Angstrom, vacuum"
    assert facts["LSF"] == "FWHM 1.81 Angstrom"
    assert facts["PSF"].startswith("FWHM 2.6 arcsec; reconstructed PSF of the header: 2.60, 2.50")
    assert facts["unit"] == "1E-17 erg/s/cm^2/Ang/spaxel; one is 1 of ours"
    assert facts["extinction"] == "to be corrected; E(B-V) 0.0200 mag by the file"


def test_show_says_what_was_converted_or_done_or_is_missing(tmp_path):
    facts = call("show", cubes.califa(tmp_path / "a.fits"))
    assert facts["wavelength"].endswith("air in the file, converted to vacuum")
    assert facts["extinction"] == "corrected already"
    facts = call("show", cubes.muse(tmp_path / "b.fits"))
    assert facts["extinction"].startswith("to be corrected; the file has no E(B-V)")


def test_show_of_what_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        call("show", tmp_path / "none.fits")
    path = cubes.generic(tmp_path / "a.fits")
    assert call("show", path, "--kind", "generic")["kind"] == "generic"
    with pytest.raises(ConfigError, match="kind is 'vimos'"):
        call("show", path, "--kind", "vimos")
