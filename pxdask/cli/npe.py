"""Commands of ``pxdask npe``: train, check, show, noise."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pxdask.core.errors import ConfigError
from pxdask.core.files import refuse_existing
from pxdask.core.spans import span_of

if TYPE_CHECKING:
    from pxdask.npe import Network, NoiseModel
    from pxdask.survey.networks.calibrate import Calibration

EXIT_MISMATCH = 1
"""The network is not of the settings."""

SUFFIX = ".zarr.zip"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Networks that know posteriors at once: train them, check them, look at them.",
)
out = Console()

ConfigFile = Annotated[
    Path, typer.Argument(help="settings of a survey, or of a catalogue of photometry: YAML")
]
Catalog = Annotated[
    Path | None,
    typer.Argument(help="catalogue, whose redshifts the network is to know; or fit.npe.redshift"),
]
NetworkFile = Annotated[Path, typer.Argument(help="network, by `pxdask npe train`")]
NewNetwork = Annotated[Path, typer.Option("--out", "-o", help=f"file to be, ending in {SUFFIX}")]
NewNoise = Annotated[Path, typer.Option("--out", "-o", help="file to be, such as noise.json")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="what {data_root} in templates stands for [default: $PXDASK_DATA_ROOT]"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what is there")]


@app.command()
def train(
    config: ConfigFile,
    catalog: Catalog = None,
    *,
    path: NewNetwork,
    n_mocks: Annotated[
        int | None, typer.Option(help="mock SEDs [default: the settings']", min=1)
    ] = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a network for the settings; killed, it goes on where it was.

    It is the one that `pxdask run` would train by itself. Name the file as fit.npe.network.
    """
    from pxdask.io.filters import load_filters  # noqa: PLC0415  slow to import, as all below
    from pxdask.io.stores import publish  # noqa: PLC0415
    from pxdask.survey.networks.given import shown_training  # noqa: PLC0415
    from pxdask.survey.networks.trainings import training_of  # noqa: PLC0415
    from pxdask.survey.networks.wanted import wanted_of  # noqa: PLC0415
    from pxdask.survey.products import ssp_dataset  # noqa: PLC0415

    if not path.name.endswith(SUFFIX):
        raise ConfigError(f"--out is {path}; wanted a name that ends in {SUFFIX}")
    refuse_existing(path, overwrite=overwrite)
    changes = {} if n_mocks is None else {"n_mocks": n_mocks}
    wanted = wanted_of(config, catalog, root=data_root, changes=changes)
    curves = load_filters([name for _, name in wanted.bands])
    training = training_of(wanted, ssp=ssp_dataset(wanted.models.ssp), curves=curves)
    checkpoint = path.with_name(f".{path.name}-{training.key}")
    goes_on, start = bool(_kept(checkpoint)), time.monotonic()
    with shown_training() as report:
        network = training.network(report=report, checkpoint=checkpoint)
    took = span_of(time.monotonic() - start)
    publish(network.to_dataset(), path)
    for kept in _kept(checkpoint):
        kept.unlink(missing_ok=True)
    facts = _facts(network, path)
    for name in ("file", "bands", "targets", "redshift", "training", "loss"):
        _say(f"{name}: {facts[name]}")
    _say(f"time: {took}" + (", since it went on" if goes_on else ""))
    out.print(_figures(network))


@app.command()
def check(
    network: NetworkFile,
    config: ConfigFile,
    catalog: Catalog = None,
    *,
    n_mocks: Annotated[
        int, typer.Option(help="fresh mocks that figures are of; 0: none", min=0)
    ] = 2000,
    data_root: DataRoot = None,
) -> None:
    """Tell whether a network is of the settings, and how well calibrated it is."""
    from pxdask.io.filters import load_filters  # noqa: PLC0415  slow to import, as all below
    from pxdask.survey.networks.calibrate import calibration  # noqa: PLC0415
    from pxdask.survey.networks.given import load_given, network_fault  # noqa: PLC0415
    from pxdask.survey.networks.wanted import wanted_of  # noqa: PLC0415
    from pxdask.survey.products import ssp_dataset  # noqa: PLC0415

    found = load_given(str(network))
    wanted = wanted_of(config, catalog, root=data_root)
    curves = load_filters([name for _, name in wanted.bands])
    ssp = ssp_dataset(wanted.models.ssp)
    faults = [network_fault(found, wanted, ssp=ssp, curves=curves)]
    if wanted.redshifts is not None and found.redshift is not None:
        low, high = found.redshift
        least, greatest = wanted.redshifts
        if least < low or greatest > high:
            faults.append(
                f"redshift: the network knows {low:g} to {high:g}; the catalogue has"
                f" {least:g} to {greatest:g}"
            )
    if any(faults):
        for fault in filter(None, faults):
            _say(fault)
        raise typer.Exit(EXIT_MISMATCH)
    _say(f"{network} is of these bands, models and priors")
    if n_mocks:
        with out.status(f"drawing the posteriors of {n_mocks} fresh mocks"):
            told = calibration(found, ssp=ssp, curves=curves, n=n_mocks)
        out.print(_calibration(told))
        _say(
            f"joint coverage (TARP): {told.tarp:.3f} off at most, of {told.n_mock} mocks;"
            f" {told.tarp_noise:.3f} is their own scatter"
        )


@app.command()
def show(path: NetworkFile) -> None:
    """Show what a network knows, how it was trained, and how well."""
    from pxdask.npe import NoiseModel  # noqa: PLC0415  slow to import, as all below
    from pxdask.survey.networks.given import load_given  # noqa: PLC0415

    network = load_given(str(path))
    for name, value in _facts(network, path).items():
        _say(f"{name}: {value}")
    out.print(_priors(network))
    out.print(_bands(network))
    out.print(_noise(NoiseModel.from_json(network.noise_json)))
    out.print(_figures(network))


@app.command()
def noise(
    run: Annotated[str, typer.Argument(help="folder of a run, or s3://bucket/run")],
    *,
    path: NewNoise,
    of: Annotated[str, typer.Option(help="what noise is measured of: bins or pixels")] = "bins",
    overwrite: Overwrite = False,
) -> None:
    """Measure the noise of a run's bins, or of its pixels, for fit.npe.noise."""
    from pxdask.core.files import write_text  # noqa: PLC0415
    from pxdask.survey.networks.calibrate import noise_of_run  # noqa: PLC0415  slow to import
    from pxdask.survey.results import open_run  # noqa: PLC0415

    refuse_existing(path, overwrite=overwrite)
    model, n_sed = noise_of_run(open_run(run), of=of)
    write_text(model.to_json() + "\n", path)
    _say(f"{path}: noise of {n_sed} {of}")
    out.print(_noise(model))


def _kept(checkpoint: Path) -> list[Path]:
    """Return the files in which a training keeps its state."""
    return list(checkpoint.parent.glob(f"{checkpoint.name}-*.npz"))


def _facts(network: Network, path: Path) -> dict[str, str]:
    """Return what is to be told of a network in one line each."""
    origin, npe = network.origin, network.settings["npe"]
    models = network.models.model_dump(mode="json")
    left_out = ("priors", "stored", "redshift_step", "n_models", "derived", "sampling")
    redshift = "free: a target" if network.redshift is None else _range(network.redshift)
    n_weight = network.to_dataset()["weights"].size
    epochs = [int(row.size) for row in (loss[loss == loss] for loss in network.loss)]  # noqa: PLR0124  not NaN
    return {
        "file": f"{path}, {_size(path)}",
        "bands": ", ".join(network.bands),
        "targets": ", ".join((*network.names, "log_mass")),
        "redshift": redshift,
        "density": f"{network.densities[0].form}, {len(network.densities)} of them,"
        f" {n_weight} weights",
        "training": f"{origin.get('n_mocks')} mocks, seed {origin.get('seed')},"
        f" {', '.join(map(str, epochs))} passes; S/N {_range(npe['snr'])};"
        f" {npe['missing']:.0%} of the mocks lose bands",
        "loss": ", ".join(
            f"{float(loss[loss == loss].min()):.4f}"  # noqa: PLR0124  not NaN
            for loss in network.held_loss
        )
        + " at best, of mocks held out",
        "likelihood": f"{network.settings['likelihood']}, systematic error"
        f" {network.settings['systematic_error']:g} of the flux",
        "populations": ", ".join(f"{k} {v}" for k, v in origin.get("ssp", {}).items()),
        **{name: str(value) for name, value in models.items() if name not in left_out},
    }


def _priors(network: Network) -> Table:
    """Return a table of the priors of all parameters."""
    from pxdask.sps.parameters import parameter, prior_configs  # noqa: PLC0415  slow to import

    table = Table(title="priors")
    for column in ("name", "unit", "prior", "low", "high", "meaning"):
        table.add_column(escape(column))
    for name, prior in prior_configs(network.models).items():
        values: dict[str, Any] = prior.model_dump(mode="json")
        low, high = values.get("low", values.get("value")), values.get("high")
        one = parameter(name)
        table.add_row(
            name,
            one.unit,
            str(values["kind"]),
            *("" if end is None else f"{end:.6g}" for end in (low, high)),
            one.meaning,
        )
    return table


def _bands(network: Network) -> Table:
    """Return a table of the bands."""
    table = Table(title="bands")
    for column in ("band", "pivot [Angstrom]", "filter digest"):
        table.add_column(escape(column))
    for band, wave, digest in zip(network.bands, network.pivot_wave, network.filters, strict=True):
        table.add_row(band, f"{wave:.0f}", digest)
    return table


def _noise(model: NoiseModel) -> Table:
    """Return a table of the noise of each band."""
    table = Table(title="noise")
    for column in (
        "band",
        "depth, 1 sigma [uJy]",
        "scatter [dex]",
        "photon variance / flux [uJy]",
        "present",
    ):
        table.add_column(escape(column))
    present = model.shares @ model.patterns
    for k, band in enumerate(model.bands):
        table.add_row(
            band,
            f"{model.depth[k]:.4g}",
            f"{model.covariance[k, k] ** 0.5:.3f}",
            f"{model.photon[k]:.3g}",
            f"{present[k]:.0%}",
        )
    return table


def _figures(network: Network) -> Table:
    """Return a table of the figures of merit of a training."""
    table = Table(title="mocks not learnt from")
    table.add_column("target")
    targets = (*network.names, "log_mass")
    figures = {k: v for k, v in sorted(network.figures.items()) if v.shape == (len(targets),)}
    for name in figures:
        table.add_column(name)
    for k, target in enumerate(targets):
        table.add_row(target, *(f"{values[k]:.3g}" for values in figures.values()))
    return table


def _calibration(told: Calibration) -> Table:
    """Return a table of the calibration of each target."""
    table = Table(title=f"{told.n_mock} fresh mocks, draws not re-weighted")
    for column in ("target", "coverage of 68 %", "SBC: KS distance", "SBC: p"):
        table.add_column(escape(column))
    for k, name in enumerate(told.names):
        table.add_row(
            name,
            f"{told.coverage[k]:.3f}",
            f"{told.distance[k]:.4f}",
            f"{told.p_value[k]:.3g}",
        )
    return table


def _range(ends: tuple[float, float]) -> str:
    """Return a range in words."""
    return f"{ends[0]:g}" if ends[0] == ends[1] else f"{ends[0]:g} to {ends[1]:g}"


def _size(path: Path) -> str:
    """Return the size of a file."""
    return f"{path.stat().st_size / 1e6:.2f} MB"


def _say(text: str) -> None:
    """Print a line as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
