"""Pictures of connections: matrix of populations, weights and delays, eigenvalues. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lsm.figures import BLUE, GREY, RED, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NUMBERS = 16  # populations up to which every field of the matrix says its number
_POINTS = 200_000


def plot_connectivity(matrix_TS: ArrayLike, names: Sequence[str], *, label: str = "connection probability") -> Figure:
    """What each population receives from each: rows are targets, columns sources.

    Args:
        matrix_TS: probability, in-degree or mean weight, (n, n). Negative values are drawn in red.
        names: of the n populations.
        label: what the numbers are.

    Raises:
        ValueError: the matrix is not (n, n).
    """
    matrix_TS = np.asarray(matrix_TS, dtype=np.float64)
    n = len(names)
    if matrix_TS.shape != (n, n):
        raise ValueError(f"plot_connectivity: expected a matrix of shape {(n, n)}, got {matrix_TS.shape}")
    side = min(max(3.6, 1.6 + 0.5 * n), 9.0)
    figure, (axis,) = new_figure(size=(side + 0.8, side))
    most = float(np.abs(matrix_TS).max(initial=0)) or 1.0
    signed = bool((matrix_TS < 0).any())
    image = axis.imshow(matrix_TS, cmap="RdBu" if signed else "Blues", vmin=-most if signed else 0, vmax=most)
    figure.colorbar(image, ax=axis, label=label, shrink=0.8)
    axis.set_xticks(range(n), names, rotation=90 if n > _MOST_NUMBERS else 0)
    axis.set_yticks(range(n), names)
    axis.set(xlabel="from", ylabel="to")
    axis.spines[:].set_visible(False)
    if n <= _MOST_NUMBERS:
        for target, source in np.argwhere(matrix_TS != 0):
            value = matrix_TS[target, source]
            colour = "white" if abs(value) > 0.55 * most else "black"
            text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
            axis.text(source, target, text, ha="center", va="center", fontsize=6.5, color=colour)
    return figure


def plot_weights_and_delays(weights: Mapping[str, ArrayLike], delays: Mapping[str, ArrayLike]) -> Figure:
    """Histograms of weights and delays, a line a projection; a value that all synapses share is one line upright.

    Args:
        weights: by projection, in mV or pA.
        delays: by projection, in ms.

    Raises:
        ValueError: no projection, or no synapse in any.
    """
    if not weights or not delays:
        raise ValueError("plot_weights_and_delays: expected at least one projection")
    figure, (left, right) = new_figure(columns=2, size=(8.4, 3.4))
    for axis, parts, label in ((left, weights, "weight (mV or pA)"), (right, delays, "delay (ms)")):
        arrays = {name: np.ravel(np.asarray(values, dtype=np.float64)) for name, values in parts.items()}
        arrays = {name: values[:: -(-len(values) // _POINTS)] for name, values in arrays.items() if len(values)}
        if not arrays:
            raise ValueError("plot_weights_and_delays: the projections hold no synapse")
        low = min(float(values.min()) for values in arrays.values())
        high = max(float(values.max()) for values in arrays.values())
        steps = np.unique(np.concatenate([np.unique(values) for values in arrays.values()]))
        # values on a grid, as delays are, get a bin each: others would beat with the grid
        edges = _edges(low, high, steps)
        for number, (name, values) in enumerate(arrays.items()):
            colour = f"C{number % 10}"
            if values.min() == values.max():
                axis.axvline(values[0], color=colour, linewidth=1.2, label=f"{name}: {values[0]:.4g}")
                continue
            share = np.histogram(values, edges)[0] / len(values)
            axis.stairs(share, edges, color=colour, label=f"{name}: {values.mean():.3g} ± {values.std():.2g}")
        axis.set(xlabel=label, ylabel="share of synapses", ylim=(0, None))
        axis.legend(frameon=False, fontsize="x-small")
    return figure


def plot_eigenvalues(matrix_NN: ArrayLike, *, title: str = "") -> Figure:
    """Eigenvalues of a matrix of weights in the complex plane, with the circle of its spectral radius and of 1.

    Args:
        matrix_NN: square, row is target, (N, N).
        title: above the panel.

    Raises:
        ValueError: not square.
    """
    matrix_NN = np.asarray(matrix_NN, dtype=np.float64)
    if matrix_NN.ndim != 2 or matrix_NN.shape[0] != matrix_NN.shape[1]:
        raise ValueError(f"plot_eigenvalues: expected a square matrix, got shape {matrix_NN.shape}")
    values = np.linalg.eigvals(matrix_NN)
    radius = float(np.abs(values).max(initial=0))
    figure, (axis,) = new_figure(size=(4.6, 4.4))
    axis.scatter(values.real, values.imag, s=8, color=BLUE, linewidths=0)
    angle = np.linspace(0, 2 * np.pi, 200)
    circles: tuple[tuple[float, dict[str, Any], str], ...] = (
        (radius, {"color": RED, "linewidth": 1.0}, f"spectral radius {radius:.3g}"),
        (1.0, {"color": GREY, "linewidth": 0.8, "linestyle": "--"}, "1"),
    )
    for size, style, name in circles:
        if size <= 3 * radius or size == radius:
            axis.plot(size * np.cos(angle), size * np.sin(angle), label=name, **style)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xlabel="real part", ylabel="imaginary part")
    axis.set_title(title, fontsize="medium", loc="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    return figure


def _edges(low: float, high: float, steps: Any) -> Any:
    if 1 < len(steps) <= 200:
        gap = float(np.diff(steps).min())
        if gap > 0 and (high - low) / gap <= 400:
            return np.arange(low - gap / 2, high + gap, gap)
    return np.linspace(low, high, 61) if high > low else np.array([low - 0.5, high + 0.5])
