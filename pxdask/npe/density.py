"""Conditional densities of targets given inputs: made of weights, drawn from without JAX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from scipy.special import log_softmax

from pxdask.core.errors import ConfigError
from pxdask.kernels.autoregressive import chain_draw, chain_ln_density
from pxdask.kernels.conditional_mixture import mixture_draw, mixture_ln_density
from pxdask.kernels.dense_layers import trunk_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Singles = NDArray[np.float32]
    Floats = NDArray[np.float64]

Form = Literal["mixture", "autoregressive", "classes"]
"""How a density is made; see `MixtureDensity`, `AutoregressiveDensity` and `Classes`."""


@dataclass(frozen=True)
class Shape:
    """Numbers that the shapes of all weights follow from.

    Attributes
    ----------
    n_input : int
        Inputs of an SED.
    n_dim : int
        Targets.
    hidden, n_layers : int
        Width and number of the layers that all targets share.
    n_components : int
        Gaussians of each mixture, or classes.
    head : int
        Width of each target's own layer; for autoregressive densities only.
    """

    n_input: int
    n_dim: int
    hidden: int
    n_layers: int
    n_components: int
    head: int

    @property
    def n_triangle(self) -> int:
        """Number of elements of a lower triangular matrix of the targets."""
        return self.n_dim * (self.n_dim + 1) // 2


class Density(Protocol):
    """A density of targets y given inputs, with float32 weights.

    Each SED's numbers depend on its own inputs and generator alone, to the last bit.
    """

    @property
    def form(self) -> Form:
        """Name of the form."""
        ...

    @property
    def shape(self) -> Shape:
        """Numbers of inputs, targets, layers."""
        ...

    @property
    def weights(self) -> Mapping[str, Singles]:
        """Weights by name; shapes as `weight_shapes` says."""
        ...

    def draw(
        self, inputs: Singles, rngs: Sequence[np.random.Generator], *, n_draws: int
    ) -> tuple[Singles, Floats]:
        """Return draws and their densities.

        Parameters
        ----------
        inputs : (n_sed, n_input) float32
            Finite.
        rngs : sequence of n_sed numpy.random.Generator
            Each SED's own.
        n_draws : int
            Draws of each SED.

        Returns
        -------
        y : (n_sed, n_draws, n_dim) float32
            Targets.
        ln_density : (n_sed, n_draws) float64
            Natural log of the density there.
        """
        ...

    def ln_density(self, inputs: Singles, y: Singles) -> Floats:
        """Return the natural log of the density, (n_sed, n_draws).

        Parameters
        ----------
        inputs : (n_sed, n_input) float32
            Finite.
        y : (n_sed, n_draws, n_dim) float32
            Targets.
        """
        ...

    def broadened(self, factor: float) -> Density:
        """Return a density whose Gaussians have deviations greater by a factor."""
        ...


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """A mixture of Gaussians of full covariance, whose parameters are outputs of a network.

    Attributes
    ----------
    shape : Shape
        Numbers of inputs, targets, layers.
    weights : dict of float32 arrays
        As `weight_shapes` says.

    Notes
    -----
    Bishop 1994 (Aston University NCRG/94/004); precision roots as Williams 1996 (Neural Comput.
    8, 843).
    """

    shape: Shape
    weights: Mapping[str, Singles]
    form: Literal["mixture"] = "mixture"

    def draw(
        self, inputs: Singles, rngs: Sequence[np.random.Generator], *, n_draws: int
    ) -> tuple[Singles, Floats]:
        """Return draws and their densities; see `Density.draw`."""
        shape, outputs = self.shape, _outputs(self, inputs)
        y = np.empty((len(inputs), n_draws, shape.n_dim), np.float32)
        ln_density = np.empty((len(inputs), n_draws))
        for sed, rng in enumerate(rngs):
            uniform = rng.random(n_draws, np.float32)
            normal = rng.standard_normal((n_draws, shape.n_dim), np.float32)
            mixture_draw(outputs[sed], shape.n_components, uniform, normal, y[sed], ln_density[sed])
        return y, ln_density

    def ln_density(self, inputs: Singles, y: Singles) -> Floats:
        """Return the natural log of the density; see `Density.ln_density`."""
        outputs = _outputs(self, inputs)
        found = np.empty(y.shape[:2])
        for sed in range(len(inputs)):
            mixture_ln_density(outputs[sed], self.shape.n_components, y[sed], found[sed])
        return found

    def broadened(self, factor: float) -> MixtureDensity:
        """Return a density of Gaussians as much wider; see `Density.broadened`."""
        shape, last = self.shape, self.weights["last"].copy()
        bias = self.weights["last_bias"].copy()
        rows, columns = np.tril_indices(shape.n_dim)
        root = np.arange(len(bias))[shape.n_components * (1 + shape.n_dim) :]
        # of precision roots the diagonals are logarithms, and the others as they are
        logs = np.tile(rows == columns, shape.n_components)
        bias[root[logs]] -= np.float32(math.log(factor))
        last[root[~logs]] /= np.float32(factor)
        bias[root[~logs]] /= np.float32(factor)
        return MixtureDensity(shape, {**self.weights, "last": last, "last_bias": bias})


@dataclass(frozen=True, eq=False)
class AutoregressiveDensity:
    """One target after the other, each a mixture of Gaussians given those before it.

    The targets are first taken to the frame z of one Gaussian, ``y = mean + root z``, which the
    network gives for each SED; mixtures tell how z differs from a standard normal. So what they
    have to know does not narrow where data are good.

    Attributes
    ----------
    shape : Shape
        Numbers of inputs, targets, layers.
    weights : dict of float32 arrays
        As `weight_shapes` says.

    Notes
    -----
    RNADE: Uria, Murray & Larochelle 2013 (arXiv:1306.0186), with an affine layer in front, as in
    Papamakarios, Pavlakou & Murray 2017 (arXiv:1705.07057).
    """

    shape: Shape
    weights: Mapping[str, Singles]
    form: Literal["autoregressive"] = "autoregressive"

    def draw(
        self, inputs: Singles, rngs: Sequence[np.random.Generator], *, n_draws: int
    ) -> tuple[Singles, Floats]:
        """Return draws and their densities; see `Density.draw`."""
        n_dim, outputs, chain = self.shape.n_dim, _outputs(self, inputs), self._chain()
        y = np.empty((len(inputs), n_draws, n_dim), np.float32)
        ln_density = np.empty((len(inputs), n_draws))
        for sed, rng in enumerate(rngs):
            uniform = rng.random((n_dim, n_draws), np.float32)
            normal = rng.standard_normal((n_dim, n_draws), np.float32)
            chain_draw(outputs[sed], *chain, uniform, normal, y[sed], ln_density[sed])
        return y, ln_density

    def ln_density(self, inputs: Singles, y: Singles) -> Floats:
        """Return the natural log of the density; see `Density.ln_density`."""
        outputs, chain = _outputs(self, inputs), self._chain()
        found = np.empty(y.shape[:2])
        for sed in range(len(inputs)):
            chain_ln_density(outputs[sed], *chain, y[sed], found[sed])
        return found

    def broadened(self, factor: float) -> AutoregressiveDensity:
        """Return a density of Gaussians as much wider; see `Density.broadened`.

        Each target's, given those before it.
        """
        bias = self.weights["component_bias"].copy()
        bias[:, 2 * self.shape.n_components :] += np.float32(math.log(factor))
        return AutoregressiveDensity(self.shape, {**self.weights, "component_bias": bias})

    def _chain(self) -> tuple[Singles, Singles, Singles]:
        """Return the weights that each draw passes through."""
        weights = self.weights
        return weights["before"], weights["component"], weights["component_bias"]


@dataclass(frozen=True, eq=False)
class Classes:
    """Probabilities of classes, of which an SED has one.

    Attributes
    ----------
    shape : Shape
        Numbers of inputs and layers; ``n_components`` is that of classes.
    weights : dict of float32 arrays
        As `weight_shapes` says.

    Notes
    -----
    Bridle 1990 (in Neurocomputing, eds. Fogelman Soulie & Herault, Springer, 227).
    """

    shape: Shape
    weights: Mapping[str, Singles]
    form: Literal["classes"] = "classes"

    def ln_shares(self, inputs: Singles) -> Floats:
        """Return the natural logs of the probabilities (n_sed, n_class) given inputs.

        Parameters
        ----------
        inputs : (n_sed, n_input) float32
            Finite. Each SED's numbers depend on its own alone, to the last bit.
        """
        outputs = _outputs(self, inputs).astype(np.float64)
        return np.asarray(log_softmax(outputs, axis=1))


def weight_shapes(form: Form, shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a density's weights by name, in the order they are stored.

    Parameters
    ----------
    form : {"mixture", "autoregressive", "classes"}
        Which density.
    shape : Shape
        Its numbers.

    Returns
    -------
    shapes : dict of tuple of int
        ``first``, ``trunk`` and ``last`` make outputs of inputs. Outputs of a mixture: ln
        weights (n_components,), means (n_components, n_dim), lower triangles of precision
        roots (n_components, n_triangle), the diagonals' logarithms. Of classes: ln weights
        (n_components,). Of an autoregressive
        density: mean (n_dim,), lower triangle of the root, the diagonal's logarithm, and what
        each target's own layer adds (n_dim, head); ``before`` is what that layer makes of the
        targets before, ``component`` what it makes the ln weights, means and ln deviations of,
        each (n_components,).
    """
    d, hidden, k = shape.n_dim, shape.hidden, shape.n_components
    if form == "mixture":
        n_output = k * (1 + d + shape.n_triangle)
    elif form == "classes":
        n_output = k
    else:
        n_output = d + shape.n_triangle + d * shape.head
    shapes: dict[str, tuple[int, ...]] = {
        "first": (hidden, shape.n_input),
        "first_bias": (hidden,),
        "trunk": (shape.n_layers - 1, hidden, hidden),
        "trunk_bias": (shape.n_layers - 1, hidden),
        "last": (n_output, hidden),
        "last_bias": (n_output,),
    }
    if form == "autoregressive":
        shapes["before"] = (d, shape.head, d)
        shapes["component"] = (d, 3 * k, shape.head)
        shapes["component_bias"] = (d, 3 * k)
    return shapes


def make_density(
    form: Literal["mixture", "autoregressive"], shape: Shape, weights: Mapping[str, Singles]
) -> Density:
    """Return the density of some weights.

    Raises
    ------
    ConfigError
        If the weights do not have the names and shapes that `weight_shapes` says.
    """
    own = _checked(form, shape, weights)
    return MixtureDensity(shape, own) if form == "mixture" else AutoregressiveDensity(shape, own)


def make_classes(shape: Shape, weights: Mapping[str, Singles]) -> Classes:
    """Return the classes of some weights.

    Raises
    ------
    ConfigError
        As `make_density`.
    """
    return Classes(shape, _checked("classes", shape, weights))


def _checked(form: Form, shape: Shape, weights: Mapping[str, Singles]) -> dict[str, Singles]:
    """Return weights of single precision, in their order."""
    wanted = weight_shapes(form, shape)
    found = {name: np.shape(value) for name, value in weights.items()}
    if found != wanted:
        raise ConfigError(
            f"weights of shapes {found} are not of a {form} density of {shape}, which has {wanted};"
            " train the network again"
        )
    return {name: np.ascontiguousarray(weights[name], np.float32) for name in wanted}


def flat_weights(density: Density | Classes) -> Singles:
    """Return the weights of a density end to end, (n_weight,)."""
    names = weight_shapes(density.form, density.shape)
    return np.concatenate([density.weights[name].ravel() for name in names])


def unflat_weights(form: Form, shape: Shape, flat: Singles) -> dict[str, Singles]:
    """Return weights by name of those end to end; inverse of `flat_weights`.

    Raises
    ------
    ConfigError
        If they are not as many as the density has.
    """
    shapes = weight_shapes(form, shape)
    ends = np.cumsum([int(np.prod(each)) for each in shapes.values()])
    if flat.size != ends[-1]:
        raise ConfigError(
            f"{flat.size} weights; a {form} density of {shape} has {ends[-1]}: the network is"
            " damaged, train it again"
        )
    pieces = np.split(flat, ends[:-1])
    return {
        name: piece.reshape(each)
        for (name, each), piece in zip(shapes.items(), pieces, strict=True)
    }


def _outputs(density: MixtureDensity | AutoregressiveDensity | Classes, inputs: Singles) -> Singles:
    """Return what the layers that all targets share make of inputs, (n_sed, n_output)."""
    if inputs.shape[1] != density.shape.n_input:
        raise ConfigError(
            f"an SED has {inputs.shape[1]} inputs, the network wants {density.shape.n_input}: it is"
            " of another version of pxdask, train it again"
        )
    names = ("first", "first_bias", "trunk", "trunk_bias", "last", "last_bias")
    single = np.ascontiguousarray(inputs, np.float32)
    return trunk_outputs(single, *(density.weights[name] for name in names))
