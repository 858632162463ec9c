"""The region of a cube as the settings choose it: segments, shapes, neighbours, stars."""

import numpy as np
import pytest

from pxdask.core.config import ImageConfig
from pxdask.core.errors import DataError
from pxdask.core.flags import Flag
from pxdask.core.schema import IMAGE
from pxdask.images import CubeStage, ImageStage
from tests.images.skies import DEC, RA, band, grid, raw, stars

GALAXY = {"id": "g1", "ra": RA, "dec": DEC, "r50": 4.0, "q": 0.5, "pa": 90.0, "text": "x"}
ON = grid(0.5, 61)


def image(name, flux, *, on=ON, pivot=5000.0):
    stage = ImageStage(band(name, fwhm=2.0), ImageConfig(), on, None, pivot)
    return stage.run(GALAXY, raw=raw(on, flux, 1.0, fwhm=2.0))


def blob(east, north, *, flux=2000.0, fwhm=4.0, on=ON):
    return stars(on, fwhm=fwhm, positions=[(east, north)], fluxes=[flux])


def cube(images, *, table=(), galaxy=GALAXY, **region):
    stage = CubeStage(ImageConfig(region=region), tuple(images), table)
    return IMAGE.validate(stage.run(galaxy, **images))


def masked(done):
    return (done["flags"].values & int(Flag.MASKED)) > 0


def test_shapes_take_numbers_and_columns():
    images = {"r": image("r", blob(0, 0))}
    given = cube(images, kind="ellipse", semi_major="6 arcsec", axis_ratio=0.5, angle=90.0)
    # pi 6 3 arcsec2 in pixels of 0.25
    assert given["region"].values.sum() == pytest.approx(np.pi * 18 * 4, rel=0.03)
    assert given["region"].values[30, 19:42].all()
    assert not given["region"].values[38, 30]
    assert given.attrs["region_kind"] == "ellipse"
    assert given.attrs["region_source"] == "given"
    assert given.attrs["region_semi_minor"] == 3.0
    column = cube(images, kind="ellipse", semi_major="r50", axis_ratio="q", angle="pa")
    assert column.attrs["region_semi_major"] == 4.0
    assert column.attrs["region_angle"] == 90.0
    circle = cube(images, kind="circle", radius=5.0)["region"].values
    assert circle.sum() == pytest.approx(np.pi * 25 * 4, rel=0.03)
    rectangle = cube(images, kind="rectangle", length=10.2, width=4.2, angle=0.0)
    assert rectangle["region"].values.sum() == 21 * 9
    assert rectangle.attrs["region_length"] == 10.2
    for wrong in ("text", "absent"):
        with pytest.raises(DataError, match=f"^galaxy 'g1': column '{wrong}'"):
            cube(images, kind="circle", radius=wrong)
    with pytest.raises(DataError, match="axis_ratio"):
        cube(images, kind="ellipse", semi_major=5.0, axis_ratio="r50")
    with pytest.raises(DataError, match="wanted above 0"):
        cube(images, kind="circle", radius="r50", galaxy={**GALAXY, "r50": -1.0})


def test_a_shape_that_leaves_the_stamp_is_told(caplog):
    images = {"r": image("r", blob(0, 0))}
    cube(images, kind="circle", radius=14.0)
    assert "border" not in caplog.text
    cube(images, kind="circle", radius=16.0)
    assert "border of the stamp" in caplog.text


def test_a_shape_needs_no_detection():
    empty = {"r": image("r", np.zeros(ON.shape))}
    done = cube(empty, kind="circle", radius=5.0, mask_neighbours=True)
    assert done["region"].values.sum() > 300
    assert not masked(done).any()


def test_pixels_without_any_data_are_in_no_shape():
    flux = blob(0, 0)
    flux[:, 35:] = np.nan
    region = cube({"r": image("r", flux)}, kind="circle", radius=5.0)["region"].values
    assert not region[:, 35:].any()
    assert region[30, 30]
    both = cube({"r": image("r", flux), "g": image("g", blob(0, 0))}, kind="circle", radius=5.0)
    assert both["region"].values[30, 38]


@pytest.mark.parametrize(("angle", "flip"), [(0.0, False), (0.8, True)])
def test_measured_ellipses_are_on_the_middle_band(angle, flip):
    on = grid(0.5, 81, angle=angle, flip=flip)
    long = sum(blob(0, 0.5 * k, flux=300.0, on=on) for k in range(-8, 9))  # along north
    images = {
        name: image(name, flux, on=on, pivot=pivot)
        for name, flux, pivot in (
            ("z", blob(0, 0, on=on), 9000.0),
            ("g", blob(0, 0, on=on), 4700.0),
            ("r", long, 6200.0),
        )
    }
    done = cube(images, kind="ellipse", measured=True)
    assert done.attrs["region_source"] == "isophote"
    assert (done.attrs["region_angle"] + 90) % 180 - 90 == pytest.approx(0.0, abs=2.0)
    ratio = done.attrs["region_semi_minor"] / done.attrs["region_semi_major"]
    assert 0.4 < ratio < 0.8
    other = cube(images, kind="ellipse", measured=True, measure_band="g")
    assert other.attrs["region_semi_minor"] / other.attrs["region_semi_major"] > 0.95
    sized = cube(images, kind="ellipse", measured=True, semi_major=12.0)
    assert sized.attrs["region_semi_major"] == 12.0
    assert sized.attrs["region_semi_minor"] == pytest.approx(12.0 * ratio)


def test_a_measured_ellipse_that_cannot_be_is_told():
    plateau = np.zeros(ON.shape)
    plateau[25:36, 28:33] = 50.0
    done = cube({"r": image("r", plateau)}, kind="ellipse", measured=True)
    assert done.attrs["region_source"] == "moments"
    assert done.attrs["region_semi_major"] == pytest.approx(2 * 11 / np.sqrt(12) * 0.5, rel=0.02)
    with pytest.raises(DataError, match="nothing detected"):
        cube({"r": image("r", np.zeros(ON.shape))}, kind="ellipse", measured=True)


def test_neighbours_leave_the_region_and_are_flagged():
    images = {"g": image("g", blob(0, 0) + blob(7, 0)), "r": image("r", blob(0, 0) + blob(7, 0))}
    open_ = cube(images, kind="circle", radius=9.0)
    closed = cube(images, kind="circle", radius=9.0, mask_neighbours=True)
    x = 30 - 14  # seven arcsec east
    assert open_["region"].values[30, x]
    assert not masked(open_).any()
    assert not closed["region"].values[30, x]
    assert masked(closed)[:, 30, x].all()
    assert closed["region"].values[30, 30]
    assert not masked(closed)[:, 30, 30].any()
    assert not np.any(closed["region"].values & masked(closed).any(axis=0))
    np.testing.assert_array_equal(closed["flux"], open_["flux"])
    assert "masked" in closed["flags"].attrs["flag_meanings"]
    assert not masked_in(images["g"])


def masked_in(dataset):
    """The inputs stay as they were."""
    return bool(np.any(dataset["flags"].values & int(Flag.MASKED)))


def test_a_band_that_blends_does_not_outvote_those_that_do_not():
    apart = blob(0, 0, fwhm=2.5) + blob(4.5, 0, fwhm=2.5)
    merged = blob(0, 0, fwhm=6.0) + blob(4.5, 0, fwhm=6.0)
    images = {"g": image("g", apart), "r": image("r", merged)}
    x = 30 - 9
    assert cube(images, threshold=2.0)["region"].values[30, x]
    done = cube(images, threshold=2.0, mask_neighbours=True)
    assert not done["region"].values[30, x]
    assert done["region"].values[30, 30]


def test_stars_are_cut_out_and_what_they_separate_stays():
    images = {"r": image("r", blob(0, 0))}
    whole = cube(images, threshold=2.0)["region"].values
    table = (*((RA, DEC + dy / 3600, 1.0) for dy in (-4.0, 3.0)), (RA + 90, 0.0, 5.0))
    done = cube(images, threshold=2.0, table=table)
    assert masked(done)[0, 36, 30]
    assert not done["region"].values[36, 30]
    np.testing.assert_array_equal(done["region"].values, whole & ~masked(done)[0])
    east = np.arange(-8, 9) / 3600 / np.cos(np.radians(DEC))
    wall = tuple((RA + e, DEC + 2 / 3600, 0.9) for e in east)
    cut = cube(images, threshold=2.0, table=wall)["region"].values
    assert cut[30, 30]
    assert not cut[34].any()
    assert cut[36, 30]  # beyond the wall of stars


def test_a_masked_galaxy_is_told(caplog):
    images = {"r": image("r", blob(0, 0))}
    done = cube(images, table=((RA, DEC, 1.0),))
    assert done["region"].values.any()
    assert "nucleus" in caplog.text
    with pytest.raises(DataError, match=r"'g1'.*no pixel.*star table"):
        cube(images, table=((RA, DEC, 60.0),))


def test_settings_change_with_whatever_changes_the_region():
    def settings(table=(), **region):
        return CubeStage(ImageConfig(region=region), ("r",), table).settings()

    base = settings()
    others = [
        settings(table=((RA, DEC, 1.0),)),
        settings(table=((RA, DEC, 2.0),)),
        settings(mask_neighbours=True),
        settings(kind="circle", radius=3.0),
        settings(kind="circle", radius="r50"),
        settings(kind="ellipse", measured=True),
        settings(kind="ellipse", measured=True, measure_band="r"),
    ]
    texts = {str(values) for values in [base, *others]}
    assert len(texts) == 1 + len(others)
    # a path is not what it leads to
    assert settings(stars="{data_root}/a.ecsv") == base
