import numpy as np
import pytest
import xarray as xr
from astropy.wcs import WCS

from pxdask.core.errors import DataError
from pxdask.core.flags import Flag, flag_attrs
from pxdask.core.morphology import RadialConfig
from pxdask.core.schema import BINS, FIT, IMAGE, MAPS, QUANTILES
from pxdask.fitting import MapStage
from pxdask.images.shapes import Ellipse
from pxdask.morphology.ellipses import Geometry, geometry_of
from pxdask.morphology.radial import radial_profiles
from pxdask.morphology.radial_stage import RadialStage
from pxdask.testing import check_stage

RA, DEC, SCALE = 150.0, 2.0, 0.2
RATIO, ANGLE = 0.6, 30.0
EXPONENTIAL = 1.67834699  # half-light radius of a disc in scale lengths
ROW = {"id": "disc", "ra": RA, "dec": DEC, "redshift": 0.1}
SIGMA = 0.9944579  # of the standard normal, at QUANTILES[2]


def pixel_radius(n_pixel, *, ratio=RATIO, angle=ANGLE):
    """Semi-major axis through pixels [pix], north up and east left."""
    y, x = np.indices((n_pixel, n_pixel)) - 0.5 * (n_pixel - 1)
    east, north = -x, y
    sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    return np.hypot(north * cos + east * sin, (east * cos - north * sin) / ratio)


def galaxy(
    *, n_pixel=121, mass_length=5.0, light_length=7.0, error=1e-4, reach=55.0, block=1, gap=None
):
    """An inclined exponential disc whose mass is more compact than its light, bins of blocks."""
    radius = pixel_radius(n_pixel)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [RA, DEC], [0.5 * (n_pixel + 1)] * 2
    wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
    region = radius < reach
    y, x = np.indices(radius.shape) // block
    label = np.where(region, 1000 * y + x, -1)
    bin_map = np.unique(label, return_inverse=True)[1].reshape(label.shape).astype("i4") - 1
    lengths = [light_length, mass_length]  # the red band has the form of the mass
    flux = np.array([np.exp(-radius / length) / length**2 for length in lengths])
    bands = {
        "band": ("band", np.array(["blue", "red"], object), IMAGE.attrs("band")),
        "pivot_wave": ("band", np.array([4e3, 8e3]), IMAGE.attrs("pivot_wave")),
    }
    pixels = ("band", "y", "x")
    cube = xr.Dataset(
        {
            "flux": (pixels, flux.astype("f4"), IMAGE.attrs("flux")),
            "flux_err": (pixels, np.full(flux.shape, 1e-6, "f4"), IMAGE.attrs("flux_err")),
            "flags": (pixels, np.zeros(flux.shape, "u2"), flag_attrs() | IMAGE.attrs("flags")),
            "psf_fwhm": ("band", np.full(2, 0.5), IMAGE.attrs("psf_fwhm")),
            "noise_area": ("band", np.ones(2), IMAGE.attrs("noise_area")),
            "region": (("y", "x"), region, IMAGE.attrs("region")),
        },
        bands,
        {"schema": IMAGE.tag, "wcs": wcs.to_header_string()},
    )
    members = bin_map[region]
    n_bin = members.max() + 1
    count = np.bincount(members)

    def summed(image):
        return np.bincount(members, weights=image[region], minlength=n_bin)

    fluxes = np.array([summed(image) for image in flux]).T
    of_bins = ("bin", "band")
    bins = xr.Dataset(
        {
            "bin_map": (("y", "x"), bin_map, BINS.attrs("bin_map")),
            "flux": (of_bins, fluxes, BINS.attrs("flux")),
            "flux_err": (of_bins, fluxes / 100, BINS.attrs("flux_err")),
            "n_pix": ("bin", count.astype("i4"), BINS.attrs("n_pix")),
            "flags": (of_bins, np.zeros(fluxes.shape, "u2"), flag_attrs() | BINS.attrs("flags")),
        },
        bands,
        {"schema": BINS.tag},
    )
    log_mass = 10 + np.log10(summed(np.exp(-radius / mass_length)))
    mean_radius = summed(radius) / count
    medians = {
        "log_mass": (log_mass, "dex(Msun)"),
        "log_sfr": (np.log10(summed(np.exp(-radius / light_length))), "dex(Msun / yr)"),
        "log_mw_age": (1 - 0.02 * mean_radius, "dex(Gyr)"),
        "av": (0.05 * mean_radius, "mag"),
    }
    widths = error * np.array([-SIGMA, 0.0, SIGMA])
    variables = {
        name: (("bin", "quantile"), value[:, None] + widths, {"units": unit, "long_name": name})
        for name, (value, unit) in medians.items()
    }
    blank = np.full(n_bin, 1.0)
    numbers = {name: ("bin", blank, FIT.attrs(name)) for name in ("chi2", "n_eff", "ln_evidence")}
    numbers["n_used"] = ("bin", np.full(n_bin, 2, "i4"), FIT.attrs("n_used"))
    numbers["model_flux"] = (of_bins, fluxes, FIT.attrs("model_flux"))
    quantile = ("quantile", np.array(QUANTILES), FIT.attrs("quantile"))
    fit = xr.Dataset(variables | numbers, bands | {"quantile": quantile}, {"schema": FIT.tag})
    if gap is not None:
        lost = np.unique(bin_map[(radius < gap) & region])
        for name in medians:
            fit[name].values[lost] = np.nan
    maps = MapStage().run(ROW, cube=cube, bins=bins, fit=FIT.validate(fit))
    return {"cube": IMAGE.validate(cube), "bins": BINS.validate(bins), "fit": fit, "maps": maps}


DISC = galaxy()
R_EFF = EXPONENTIAL * 7.0 * SCALE
TRUE = Geometry(Ellipse(RA, DEC, R_EFF, RATIO * R_EFF, ANGLE, "morphology"), "blue")


def profiles(made=DISC, geometry=TRUE, seed=1, **settings):
    config = RadialConfig(**({"step": 0.5, "n_draws": 30} | settings))
    parts = {name: made[name] for name in ("bins", "fit")}
    rng = np.random.default_rng(seed)
    return radial_profiles(made["maps"], made["cube"], geometry, config=config, rng=rng, **parts)


def fitted(r_eff=(1.0, 2.0), *, ellip=0.4, snr=(50.0, 30.0), flags=0, east=0.0, north=0.0):
    """What geometry is read of in morphology/1."""
    dims = ("source", "band", "quantile")
    spread = np.array([0.9, 1.0, 1.1])
    values = {"r_eff": r_eff, "ellip": ellip, "theta": ANGLE, "xc": east, "yc": north}
    return xr.Dataset(
        {
            **{
                name: (dims, np.broadcast_to(np.array(value), (2,))[None, :, None] * spread)
                for name, value in values.items()
            },
            "snr": (("source", "band"), np.array([snr])),
            "flags": ("source", np.array([flags], "u2")),
        },
        {"band": ["blue", "red"], "pivot_wave": ("band", [4e3, 8e3]), "quantile": list(QUANTILES)},
    )


def test_contract():
    check_stage(RadialStage(RadialConfig(n_draws=20), fitted=False), ROW, DISC)
    assert RadialStage().inputs == ("cube", "bins", "fit", "maps", "morphology")


def test_sizes_of_an_exponential_disc():
    # pixels of a fifth of the length, integrated as if constant: sizes grow by 0.2 %; the region
    # ends at 8 lengths of the light, beyond which 0.3 % of it are
    found = profiles()
    mass, light = EXPONENTIAL * 5.0 * SCALE, EXPONENTIAL * 7.0 * SCALE
    assert found["half_mass"].values[1] == pytest.approx(mass, rel=5e-3)
    assert found["half_sfr"].values[1] == pytest.approx(light, rel=1e-2)
    np.testing.assert_allclose(found["half_light"].values[:, 1], [light, mass], rtol=1e-2)
    # one estimator: of the same form, the same size
    assert found["mass_to_light"].values[1, 1] == pytest.approx(1.0, abs=1e-3)
    assert found["mass_to_light"].values[0, 1] == pytest.approx(5 / 7, rel=1e-2)
    assert float(found["half_mass_of_medians"]) == pytest.approx(mass, rel=5e-3)


def test_profiles_of_an_exponential_disc():
    found = profiles()
    edges = R_EFF / SCALE / 5.0 * np.append(0, 0.5 * np.arange(1, 9))  # in lengths of the mass
    inside = 1 - (1 + edges) * np.exp(-edges)
    per_pixel = 2 * 25 * np.diff(inside) / np.diff(edges**2) * 1e10 / 25
    log_area = 2 * np.log10(DISC["maps"].attrs["kpc_per_pixel"])
    # pixels as constant blocks are 0.3 % brighter than the curve on average: 2e-3 dex
    np.testing.assert_allclose(
        found["log_mass_density"].values[:, 1], np.log10(per_pixel) - log_area, atol=4e-3
    )
    assert found["covered"].values.min() == pytest.approx(1.0, abs=1e-6)
    middle = found["radius"].values * R_EFF / SCALE
    np.testing.assert_allclose(found["radius_arcsec"], middle * SCALE)
    kpc = found.attrs["kpc_per_arcsec"] * SCALE
    np.testing.assert_allclose(found["radius_kpc"], middle * kpc)
    assert kpc == pytest.approx(DISC["maps"].attrs["kpc_per_pixel"], rel=1e-6)
    assert found["log_mass_density"].attrs["units"] == "dex(Msun / kpc2)"


@pytest.mark.parametrize("weight", ["mass", "area"])
def test_means_are_weighted_as_asked_and_ages_are_not_averaged_as_logarithms(weight):
    found = profiles(weight=weight)
    radius, mass = pixel_radius(121), np.exp(-pixel_radius(121) / 5.0)
    ring = (radius >= R_EFF / SCALE) & (radius < 1.5 * R_EFF / SCALE)
    weights = mass[ring] if weight == "mass" else None
    age = np.average(10 ** (1 - 0.02 * radius[ring]), weights=weights)
    # whole pixels stand for parts of them here: 1e-3 of a ring of 300
    assert found["log_mw_age"].values[2, 1] == pytest.approx(np.log10(age), abs=2e-3)
    av = np.average(0.05 * radius[ring], weights=weights)
    assert found["av"].values[2, 1] == pytest.approx(av, rel=5e-3)
    assert weight in found["av"].attrs["long_name"]


def test_errors_fall_with_the_bins_of_a_ring():
    # N equal, independent bins of small error s [dex]: the mean has s / sqrt(N)
    error = 0.02
    made = galaxy(n_pixel=81, mass_length=1e4, light_length=1e4, error=error, reach=38.0, block=4)
    geometry = Geometry(Ellipse(RA, DEC, 4.0, 4.0 * RATIO, ANGLE, "morphology"), "blue")
    found = profiles(made, geometry, n_draws=4000, step=0.5, reach=1.5)
    low, _, high = found["log_mass_density"].values.T
    want = error / np.sqrt(found["n_bin"].values)
    # the width of 4000 draws is known to 2.2 %: 3.5 sigma
    np.testing.assert_allclose((high - low) / 2 / SIGMA, want, rtol=0.08)
    low, _, high = found["av"].values.T
    np.testing.assert_allclose((high - low) / 2 / SIGMA, want, rtol=0.08)


def test_kept_samples_are_used_whole():
    # mass and age are tied in each sample: so are the ring's mean age and the quantiles
    made = dict(galaxy(n_pixel=41, block=41, reach=18.0))  # one bin
    fit = made["fit"].copy()
    samples = np.linspace(9.0, 10.0, 11, dtype="f4")[None]
    for name in ("log_mass", "log_sfr", "log_mw_age", "av"):
        fit[f"{name}_samples"] = ("bin", "sample"), samples, {"units": "", "long_name": ""}
    made["fit"] = fit
    geometry = Geometry(Ellipse(RA, DEC, 2.0, 1.2, ANGLE, "morphology"), "blue")
    found = profiles(made, geometry, n_draws=2000, step=1.0, reach=1.0)
    np.testing.assert_allclose(found["av"].values[0], [9.2, 9.5, 9.8], atol=0.11)
    np.testing.assert_allclose(found["log_mw_age"].values[0], found["av"].values[0], atol=1e-6)


def test_a_gap_is_flagged_and_rings_in_it_are_nan():
    found = profiles(galaxy(n_pixel=61, reach=28.0, gap=4.0), step=0.25)
    assert np.isnan(found["log_mass_density"].values[0]).all()
    assert np.isfinite(found["log_mass_density"].values[2]).all()
    assert int(found["flags"]) == int(Flag.EDGE)
    assert int(profiles()["flags"]) == 0


def test_a_band_without_all_pixels_has_no_size():
    made = dict(DISC)
    made["cube"] = DISC["cube"].copy(deep=True)
    made["cube"]["flux"].values[0, :40] = np.nan
    found = profiles(made)
    assert np.isnan(found["half_light"].values[0]).all()
    assert np.isfinite(found["half_light"].values[1]).all()
    with pytest.raises(DataError, match=r"blue.*radial\.band"):
        profiles(made, geometry_of(made["cube"], None, ra=RA, dec=DEC, band="blue"))


def test_nothing_fitted_is_an_error():
    with pytest.raises(DataError, match="no bin has a posterior"):
        profiles(galaxy(n_pixel=31, reach=12.0, gap=20.0))
    with pytest.raises(DataError, match="galaxy disc: no radial profiles"):
        RadialStage(fitted=False).run(ROW, **galaxy(n_pixel=31, reach=12.0, gap=20.0))


def test_inputs_of_different_pixels_are_refused():
    made = DISC | {"cube": galaxy(n_pixel=31, reach=12.0)["cube"]}
    with pytest.raises(DataError, match=r"\(31, 31\).*\(121, 121\)"):
        RadialStage(fitted=False).run(ROW, **made)


def test_without_a_fit_the_ellipse_is_that_of_the_light():
    found = RadialStage(RadialConfig(n_draws=50), fitted=False).run(ROW, **DISC)
    assert found.attrs["r_eff_source"] == "moments"
    assert found.attrs["r_eff_band"] == "red"
    # moments of a disc in a region of its own form
    assert found.attrs["axis_ratio"] == pytest.approx(RATIO, abs=0.01)
    assert found.attrs["angle"] == pytest.approx(ANGLE, abs=0.5)
    assert found.attrs["r_eff"] == pytest.approx(EXPONENTIAL * 5.0 * SCALE, rel=0.01)


def test_the_ellipse_is_that_of_the_fit():
    one = geometry_of(DISC["cube"], fitted(east=1.0, north=-2.0), ra=RA, dec=DEC)
    assert (one.band, one.fitted, one.ellipse.semi_major) == ("red", True, 2.0)
    assert one.ellipse.semi_minor == pytest.approx(1.2)
    assert one.ellipse.angle == ANGLE
    assert one.ellipse.dec == pytest.approx(DEC - 2 / 3600, abs=1e-9)
    east = (one.ellipse.ra - RA) * np.cos(np.radians(DEC)) * 3600
    assert east == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("morphology", "wanted", "found"),
    [
        (fitted(snr=(50.0, 3.0)), None, ("blue", "morphology")),
        (fitted(), "blue", ("blue", "morphology")),
        (fitted(r_eff=(1.0, np.nan)), "red", ("blue", "morphology")),
        (fitted(r_eff=(np.nan, np.nan)), None, ("red", "moments")),
        (fitted(flags=int(Flag.OFF_CENTRE)), None, ("red", "moments")),
        (None, "blue", ("blue", "moments")),
    ],
)
def test_which_ellipse(morphology, wanted, found):
    one = geometry_of(DISC["cube"], morphology, ra=RA, dec=DEC, band=wanted)
    assert (one.band, one.ellipse.source) == found


def with_disc(*, bulge_fraction=(0.4, 0.95), disc_r_eff=(3.0, 5.0)):
    """A bulge, as of `fitted`, in a disc."""
    bulge = fitted()
    dims, spread = bulge["r_eff"].dims, np.array([0.9, 1.0, 1.1])
    values = {
        "bulge_fraction": bulge_fraction,
        "disc_r_eff": disc_r_eff,
        "disc_ellip": (0.7, 0.7),
        "disc_theta": (200.0, 200.0),
    }
    return bulge.assign(
        {name: (dims, np.array(value)[None, :, None] * spread) for name, value in values.items()}
    )


@pytest.mark.parametrize(
    ("changes", "r_eff", "ratio", "angle"),
    [
        ({}, 2.0, 0.6, ANGLE),  # in the red band the disc has a twentieth of the light
        ({"bulge_fraction": (0.4, 0.4)}, 5.0, 0.3, 20.0),
        ({"bulge_fraction": (0.4, 0.4), "disc_r_eff": (3.0, np.nan)}, 2.0, 0.6, ANGLE),
    ],
)
def test_the_ellipse_is_that_of_the_disc_where_it_is_known(changes, r_eff, ratio, angle):
    one = geometry_of(DISC["cube"], with_disc(**changes), ra=RA, dec=DEC, band="red")
    assert (one.band, one.fitted, one.ellipse.semi_major) == ("red", True, r_eff)
    assert one.ellipse.semi_minor == pytest.approx(ratio * r_eff)
    assert one.ellipse.angle == pytest.approx(angle)


def test_a_point_has_no_ellipse():
    point = fitted().drop_vars(["r_eff", "ellip", "theta"])
    assert not geometry_of(DISC["cube"], point, ra=RA, dec=DEC).fitted


def test_maps_hold_all_profiles():
    names = {str(name) for name in DISC["maps"].data_vars}
    found = {str(name) for name in profiles().data_vars}
    assert names - found == {"log_mass", "log_sfr"}  # told as densities
    assert MAPS.tag == DISC["maps"].attrs["schema"]
