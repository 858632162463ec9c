"""A made-up SPS_HOME on which the real Fortran of fsps 0.5 runs, in place of 1 GB of data.

Formats are those that FSPS 4.0 reads (MIST isochrones, C3K_LR spectra, DL07 dust); numbers are
not stellar physics. They are near enough for comparisons to mean something: stars that follow a
mass-luminosity relation, with breaks at 912 and 3700 Angstrom; recombination lines of the right
strength for the ionising photons; forbidden lines that depend on metallicity and ionisation; dust
that emits 137 Lsun per Msun and unit of starlight.
"""

import numpy as np

PLANCK, LIGHT, BOLTZMANN = 6.62607015e-27, 2.99792458e10, 1.380649e-16
"""In cgs units."""
LSUN = 3.839e33
"""As FSPS has it [erg s-1]."""
FEH = np.round(np.arange(-2.5, 0.51, 0.25), 2)
_LN_WAVE = np.linspace(np.log(100), np.log(1e8), 20001)
_DENSITY = 1 + 2 * (np.tanh((_LN_WAVE - 6.8) * 1.5) - np.tanh((_LN_WAVE - 9.2) * 1.5))
WAVE = np.exp(
    np.interp(np.linspace(0, np.sum(_DENSITY), 1936), np.cumsum(_DENSITY) - _DENSITY[0], _LN_WAVE)
)
"""As many wavelengths as the C3K_LR library has, finest at 1000-9000 Angstrom [Angstrom]. Their
steps vary smoothly, for bins around them to be centred on them."""
LOG_T = np.log10(np.geomspace(2500, 50000, 80))
GAS = np.array([-1.98, -1.5, -1.0, -0.6, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.198])
YOUNG = np.array([0.5, 1, 2, 3, 4, 5, 6, 7, 10, 20]) * 1e6
LOG_U = np.arange(-4, -0.9, 0.5)
U_MIN = (
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
    0.5,
    0.7,
    0.8,
    1,
    1.2,
    1.5,
    2,
    2.5,
    3,
    4,
    5,
    7,
    8,
    12,
    15,
    20,
    25,
)
TAU_AGN = (5, 10, 20, 30, 40, 60, 80, 100, 150)
HYDROGEN = {
    1215.67: 23.0, 4102.89: 0.26, 4341.69: 0.47, 4862.71: 1.0, 6564.6: 2.87, 12821.58: 0.16,
    18756.4: 0.33,
}  # fmt: skip
"""Recombination lines [Angstrom] in units of H beta."""
METALS = {
    3727.1: (1.2, -0.3), 3729.86: (1.6, -0.3), 4960.295: (1.3, 0.5), 5008.24: (4.0, 0.5),
    6549.86: (0.2, -0.2), 6585.27: (0.6, -0.2), 6718.294: (0.3, -0.4), 6732.673: (0.22, -0.4),
    9071.1: (0.2, 0.2), 9533.2: (0.5, 0.2),
}  # fmt: skip
"""Forbidden lines: strength in units of H beta at log U = -2.5, and slope with log U."""


def make_home(home):
    """Write all files that FSPS opens at its start, and the user's IMF, below ``home``."""
    _spectra(home)
    _isochrones(home)
    _other_stars(home)
    _dust(home)
    _nebulae(home)
    _bands(home)


def _write(home, name, text):
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _link(home, first, *others):
    """Give a file more names."""
    for name in others:
        (home / name).hardlink_to(home / first)


def _column(values, form="%.8g"):
    return "".join(form % value + "\n" for value in values)


def _row(values, form="%.6g"):
    return " ".join(form % value for value in values) + "\n"


def _repeated(values, form="%.4e"):
    """A row in which equal neighbours are one token, as Fortran reads them: 3*0.5."""
    texts, tokens = [form % value for value in values], []
    starts = [i for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]]
    for start, stop in zip(starts, [*starts[1:], len(texts)], strict=True):
        tokens.append(f"{stop - start}*{texts[start]}" if stop - start > 1 else texts[start])
    return " ".join(tokens) + "\n"


def _planck(wave, temperature):
    """Planck's law per unit frequency of unit integral [Hz-1], (temperature, wave [Angstrom])."""
    frequency = LIGHT / (wave * 1e-8)
    x = np.clip(PLANCK * frequency / (BOLTZMANN * temperature[:, None]), 1e-9, 600)
    shape = frequency**3 / np.expm1(x)
    return shape / np.abs(np.trapezoid(shape, frequency, axis=1))[:, None]


def _star(wave, log_t, feh):
    """Flux of unit luminosity [Hz-1] with an ionisation edge, a Balmer break and metal lines."""
    temperature = 10**log_t
    flux = _planck(wave, temperature)
    edge = 1 + 4 * np.clip((4.7 - log_t) / 0.4, 0, 1)[:, None]
    cool = 1 / (1 + np.exp((log_t[:, None] - 3.8) / 0.04))
    balmer = 0.65 * np.exp(-(((log_t[:, None] - 4) / 0.12) ** 2))
    metals = 10 ** (0.25 * feh) * cool
    flux *= np.where(wave < 912, np.exp(-edge), 1.0)
    flux *= 1 - balmer / (1 + np.exp(np.clip((wave - 3700) / 40, -50, 50)))
    flux *= 1 - 0.4 * metals / (1 + np.exp(np.clip((wave - 3990) / 30, -50, 50)))
    return flux / np.abs(np.trapezoid(flux, LIGHT / (wave * 1e-8), axis=1))[:, None]


def _spectra(home):
    """The main library: Eddington fluxes, the same at all gravities."""
    folder = "SPECTRA/C3K/c3k_lr/"
    log_g = np.arange(-1, 5.51, 0.5)
    _write(home, folder + "c3k_lr.lambda", _column(WAVE))
    _write(home, folder + "c3k_lr.res", _column(np.full(WAVE.size, -300.0)))
    _write(home, folder + "logt.dat", _column(LOG_T))
    _write(home, folder + "logg.dat", _column(log_g))
    _write(home, folder + "c3k_lr_zlegend.dat", _column(FEH, "%+.2f"))
    surface = 5.670374e-5 * 10 ** (4 * LOG_T) / (4 * np.pi)
    names = [f"{folder}c3k_lr_feh{feh:+.2f}_afe+0.0.spec.bin" for feh in FEH]
    for i in range(0, FEH.size, 4):
        flux = (surface[:, None] * _star(WAVE, LOG_T, FEH[i])).astype("<f4")
        np.broadcast_to(flux, (log_g.size, *flux.shape)).tofile(home / names[i])
        _link(home, *names[i : i + 4])


def _isochrones(home):
    """A main sequence up to the turn-off, and a giant branch."""
    names = [f"{'m' if feh < 0 else 'p'}{abs(feh) * 100:03.0f}" for feh in FEH]
    rows = (f"{name} {feh:5.2f}\n" for name, feh in zip(names, FEH, strict=True))
    _write(home, "ISOCHRONES/MIST/zlegend.dat", "".join(rows))
    for name, feh in zip(names, FEH, strict=True):
        blocks = [_isochrone(log_age, feh) for log_age in np.round(np.arange(107) * 0.05 + 5, 2)]
        path = f"ISOCHRONES/MIST/isoc_feh_{name}_afe_p0_vvcrit0.4_full.dat"
        _write(home, path, "".join(blocks))


def _isochrone(log_age, feh):
    """Rows of log age, initial and present mass, log L, log T, log g, C/O, phase, log Mdot."""
    turn_off = min(10 ** ((10 - log_age) / 2.5), 100.0)
    mass = np.geomspace(0.08, turn_off, 60)
    log_m = np.log10(mass)
    log_l = np.select(
        [mass < 0.43, mass < 2, mass < 55],
        [np.log10(0.23) + 2.3 * log_m, 4 * log_m, 0.15 + 3.5 * log_m],
        4.5 + log_m,
    )
    log_t = 3.762 + 0.25 * log_l - 0.5 * np.where(mass < 1, 0.8, 0.57) * log_m - 0.03 * feh
    x = np.linspace(0, 1, 15)
    cool = 3.55 - 0.04 * feh
    giants = (
        turn_off * (1 + np.linspace(1e-4, 0.06, x.size)),
        log_l[-1] + max(0.0, 3.2 - log_l[-1]) * x,
        log_t[-1] + (cool - log_t[-1]) * np.minimum(1, 2 * x),
        np.where(x < 0.7, 2.0, np.where(x < 0.85, 3.0, 5.0)),
    )
    dwarfs = (mass, log_l, log_t, np.zeros(mass.size))
    mass, log_l, log_t, phase = (np.concatenate(both) for both in zip(dwarfs, giants, strict=True))
    log_g = np.log10(mass) - log_l + 4 * log_t - 10.61
    rows = zip(mass, log_l, log_t, log_g, phase, strict=True)
    return "# log age, Mini, Mact, log L, log T, log g, C/O, phase, log Mdot\n" + "".join(
        f"{log_age:.2f} {m:.6f} {0.97 * m:.5f} {el:.4f} {t:.4f} {g:.3f} 0.48 {p:.1f} -99.0\n"
        for m, el, t, g, p in rows
    )


def _other_stars(home):
    """O stars like those of the main library; stars that no isochrone here has, as constants."""
    hot, agb, xrb = "SPECTRA/Hot_spectra/", "SPECTRA/AGB_spectra/", "SPECTRA/xrb/"
    metallicities = (1e-4, 1e-3, 2e-3, 3e-3, 4e-3, 6e-3, 8e-3, 0.01, 0.014, 0.02, 0.03, 0.04)
    log_t, wave = np.linspace(4.40, 4.70, 11), np.geomspace(90, 1e6, 5508)
    _write(home, hot + "WMBASIC.teff", _column(log_t))
    _write(home, hot + "WMBASIC_zlegend.dat", _column(metallicities, "%6.4f"))
    flux = np.tile(_star(wave, log_t, 0.0), (3, 1)).T
    text = "".join(f"{x:.7g} " + _row(row, "%.4e") for x, row in zip(wave, flux, strict=True))
    names = [f"{hot}WMBASIC_z{z:6.4f}.spec" for z in metallicities]
    _write(home, names[0], text)
    _link(home, *names)
    _write(home, hot + "ipagb.teff", _column(np.linspace(5e4, 2e5, 14)))
    text = "".join(f"{x:.6g} 14*1e-17\n" for x in np.geomspace(5, 1e5, 9281))
    for kind in ("solar", "halo"):
        _write(home, hot + f"ipagb_{kind}.spec", text)
    blocks = (f"0 {z:.4f}\n1963*1e-20\n" for z in (0.001, 0.004, 0.008, 0.02, 0.04))
    text = _row(np.geomspace(91, 1.6e6, 1963)) + "".join(block * 12 for block in blocks)
    for kind in ("WN", "WC"):
        _write(home, hot + f"CMFGEN_{kind}.teff", _column(np.log10(np.linspace(3e4, 1.4e5, 12))))
        _write(home, hot + f"CMFGEN_{kind}_Zall.spec", text)
    temperatures = enumerate(np.linspace(2500, 3900, 9))
    oxygen = "".join(f"{i} 22*{t:.1f}\n" for i, t in temperatures)
    _write(home, agb + "Orich.teff", "#\n0 " + _row(np.linspace(-2, 0.2, 22)) + oxygen)
    carbon = "".join(f"{i} {t:.1f}\n" for i, t in enumerate(np.linspace(2500, 3500, 5)))
    _write(home, agb + "Crich.teff", "#\n" + carbon)
    _write(home, agb + "Crich_Aringer.teff", _column(np.linspace(2600, 3800, 9)))
    for name, n_wave, n_star in (
        ("Orich", 6146, 9),
        ("Crich", 6146, 5),
        ("Crich_Aringer", 9032, 9),
    ):
        rows = (f"{x:.6g} {n_star}*1e-15\n" for x in np.geomspace(3000, 1e6, n_wave))
        _write(home, agb + f"{name}.spec", "".join(rows))
    _write(home, xrb + "xsp.lambda", _column(np.geomspace(1, 1e6, 15000)))
    for feh in (-1.3, -1.0, -0.8, -0.7, -0.5, -0.4, -0.3, -0.2, 0.0, 0.2, 0.3):
        _write(home, xrb + f"xsp_feh{feh:+.2f}.spec", "15000*1e-60\n" * 10)


def _dust(home):
    """Grey bodies and PAH features; a torus of clouds; curves that no test uses."""
    wave = np.geomspace(1, 1e4, 1001)
    frequency = LIGHT / (wave * 1e-4)
    features = {3.3: 0.2, 6.2: 1.0, 7.7: 2.5, 8.6: 0.7, 11.3: 1.2, 12.7: 0.5}
    pah = sum(
        height * np.exp(-0.5 * (np.log(wave / x) / 0.05) ** 2) for x, height in features.items()
    )
    pah /= np.abs(np.trapezoid(pah, frequency))
    for i in range(7):
        columns, share = [], 0.05 + 0.035 * i
        for u in U_MIN:
            mean = np.log(1e6 / u) / (1 / u - 1e-6)
            for temperature, power in ((17.5 * u ** (1 / 6), u), (28 * u ** (1 / 6), mean)):
                grey = frequency**2 * _planck(wave * 1e4, np.array([temperature]))[0]
                grey /= np.abs(np.trapezoid(grey, frequency))
                columns.append(
                    137 * power * 3.21e-3 / (4 * np.pi) * ((1 - share) * grey + share * pah)
                )
        text = "".join(
            f"{x:.5g} " + _row(row, "%.4e")
            for x, row in zip(wave, np.array(columns).T, strict=True)
        )
        _write(home, f"dust/dustem/DL07_MW3.1_{i}0.dat", "# made up\n# micron\n" + text)
    wave = np.geomspace(100, 9e7, 125)
    tori = _planck(wave, 1200 / np.sqrt(np.array(TAU_AGN)))
    rows = (f"{x:.5g} " + _row(row, "%.4e") for x, row in zip(wave, tori.T, strict=True))
    header = "#\n#\n#\n" + _row(TAU_AGN)
    _write(home, "dust/Nenkova08_y010_torusg_n10_q2.0.dat", header + "".join(rows))
    shells = (
        f"{t:.1f} {x:.4f}\n4*1.0\n"
        for t in np.linspace(2e3, 4e3, 6)
        for x in np.linspace(-5, 2, 50)
    )
    text = "4\n1e2 1e4 1e6 1e8\n" + "".join(shells)
    for kind in ("Orich", "Crich"):
        _write(home, f"dust/dusty/{kind}_dusty.spec", text)
    rows = (
        f"{x:.1f} 0 6*{0.1 * (i + 1) * 5500 / x:.4f}\n"
        for i in range(18)
        for x in np.geomspace(1000, 30000, 25)
    )
    text = "#\n#\n#\n" + "".join(rows)
    for kind in "hc":
        _write(home, f"dust/alldirty_{kind}.dat", text)
    rows = (f"{x:.4f} 0 {0.55 / x:.4f}\n" for x in np.geomspace(2.2, 0.1, 30))
    _write(home, "dust/Gordon03_table4.dat", "".join(rows))


def _nebulae(home):
    """Lines [Lsun] and continuum [Lsun Hz-1] per ionising photon, on the grid of the real files."""
    faint = 1.003 ** np.arange(166 - len(HYDROGEN) - len(METALS)) * 2e4
    lines = np.sort([*HYDROGEN, *METALS, *faint])
    h_beta = 4.76e-13 / LSUN
    wave = np.geomspace(91, 1.6e6, 1963)
    # recombination with jumps, in steps of some ten wavelengths; nothing below the Lyman limit
    steps = wave[np.arange(wave.size) // 16 * 16]
    smooth = 1e-60 * np.exp(-2e3 / steps) * (1 + 2 * (steps < 3646) + (steps < 8204))
    smooth[steps < 912] = 0
    texts = {"lines": "# made up\n" + _row(lines), "cont": "# made up\n" + _row(wave)}
    for z in GAS:
        for age in YOUNG:
            for u in LOG_U:
                hard = 1 - 0.3 * np.log10(age / 1e6)
                strength = dict.fromkeys(faint, 1e-3) | HYDROGEN
                for line, (height, slope) in METALS.items():
                    curve = 10 ** (slope * (u + 2.5) - 0.8 * (z + 0.3) ** 2)
                    strength[line] = height * hard * curve
                head = f"{z:.4f} {age:.3e} {u:.2f}\n"
                texts["lines"] += head + _row([strength[x] * h_beta for x in lines], "%.5e")
                texts["cont"] += head + _repeated(smooth * (1 + 0.1 * (u + 2.5) - 0.1 * z))
    for kind, text in texts.items():
        _write(home, f"nebular/ZAU_ND_mist.{kind}", text)
        _link(home, f"nebular/ZAU_ND_mist.{kind}", f"nebular/ZAU_WD_mist.{kind}")
    _write(home, "data/emlines_info.dat", "".join(f"{x:.3f},line {x:.1f}\n" for x in lines))


def _bands(home):
    """Bands and indices: many, as FSPS wants them, and of no use here; an IMF of three slopes."""
    centres = np.geomspace(1500, 5e6, 159)
    curve = "".join(
        f"# band{i:03d}\n"
        + "".join(
            f"{x * (1 + 0.06 * y):.3f} {np.exp(-y * y / 2):.5f}\n" for y in np.linspace(-3, 3, 25)
        )
        for i, x in enumerate(centres, start=1)
    )
    _write(home, "data/allfilters.dat", curve + "#\n")
    for name, low in (("A0V_KURUCZ_92", 90), ("SUN_STScI", 1000)):
        rows = (f"{x:.4f} {1e-23:.5e}\n" for x in np.geomspace(low, 1e6, 1221))
        header = "# made up\n" if name.startswith("A0V") else ""
        _write(home, f"SPECTRA/{name}.SED", header + "".join(rows))
    names = "".join(f"{i}\tband{i:03d}\tmade up\n" for i in range(1, 160))
    _write(home, "data/FILTER_LIST", names)
    _write(home, "data/allindices.dat", "#\n" * 4 + "4000 4100 3900 3950 4150 4200 1\n" * 30)
    _write(home, "data/imf.dat", "0.08 0.5 1.3\n0.5 1.0 2.2\n1.0 120.0 2.7\n")
