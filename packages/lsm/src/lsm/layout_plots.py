"""Where neurons stand: columns and layers in three dimensions. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm.figures import BLUE, GREY, RED, Sizes, colours_of, new_figure, offsets_of
from lsm.raster_plots import shown_neurons

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS, _LINES = 6000, 250


def plot_layout(
    positions_N3: ArrayLike,
    sizes: Sizes,
    *,
    edges_E2: ArrayLike | None = None,
    inhibitory: Collection[str] | None = None,
    unit: str = "",
    downwards: bool = False,
) -> Figure:
    """Neurons in space, excitatory in blue and inhibitory in red, populations by depth of colour; some connections.

    Args:
        positions_N3: x, y, z of every neuron, (N, 3).
        sizes: neurons by population, in the order of their ids.
        edges_E2: source and target of connections, global ids, (E, 2); of many, some are drawn.
        inhibitory: names of the populations drawn in red; those ending in I without it.
        unit: of the positions, such as "mm".
        downwards: z is a depth and grows downwards.

    Raises:
        ValueError: not as many positions as neurons, or an edge names a neuron that is not there.
    """
    positions_N3 = np.asarray(positions_N3, dtype=np.float64)
    total = sum(sizes.values())
    if positions_N3.shape != (total, 3):
        raise ValueError(f"plot_layout: expected positions of shape {(total, 3)}, got {positions_N3.shape}")
    figure, _ = new_figure(size=(7.2, 6.2))
    figure.clear()
    axis: Any = figure.add_subplot(projection="3d")
    if edges_E2 is not None:
        _draw_edges(axis, positions_N3, np.asarray(edges_E2, dtype=np.int64), total)
    shown, colours = shown_neurons(sizes, _POINTS), colours_of(list(sizes), inhibitory)
    size = float(np.clip(12000 / max(sum(map(len, shown.values())), 1), 1.5, 40))
    tones = _tones(colours)
    for name, first in offsets_of(sizes).items():
        x, y, z = positions_N3[first + shown[name]].T
        axis.scatter(x, y, z, s=size, color=tones[name], alpha=0.85, linewidths=0, label=f"{name}: {sizes[name]:,}")
    spans = np.ptp(positions_N3, axis=0) if total else np.ones(3)
    # a sheet is not drawn as a cube, and a tall column not as a needle
    axis.set_box_aspect(np.clip(spans / max(float(spans.max()), 1e-12), 0.3, 1.0))
    label = f" ({unit})" if unit else ""
    axis.set(xlabel=f"x{label}", ylabel=f"y{label}", zlabel=f"z{label}")
    if downwards:
        axis.invert_zaxis()
    axis.xaxis.pane.set_alpha(0.1)
    axis.yaxis.pane.set_alpha(0.1)
    axis.zaxis.pane.set_alpha(0.1)
    axis.locator_params(nbins=5)
    figure.legend(loc="outside right upper", fontsize="x-small", frameon=False, markerscale=max(1.0, 4 / size))
    return figure


def _tones(colours: dict[str, str]) -> dict[str, Any]:
    """Populations of one kind from light to dark."""
    import matplotlib as mpl

    tones = {}
    for colour, cmap in ((BLUE, "Blues"), (RED, "Reds")):
        names = [name for name, own in colours.items() if own == colour]
        for name, depth in zip(names, np.linspace(0.45, 0.95, len(names)), strict=True):
            tones[name] = mpl.colormaps[cmap](depth)
    return tones


def _draw_edges(axis: Any, positions_N3: NDArray[np.float64], edges_E2: NDArray[np.int64], total: int) -> None:
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    if edges_E2.ndim != 2 or edges_E2.shape[1:] != (2,):
        raise ValueError(f"plot_layout: expected edges of shape (E, 2), got {edges_E2.shape}")
    if len(edges_E2) and not (edges_E2.min() >= 0 and edges_E2.max() < total):
        raise ValueError(f"plot_layout: an edge names a neuron beyond 0 to {total - 1}")
    some = edges_E2[:: -(-len(edges_E2) // _LINES)] if len(edges_E2) else edges_E2
    axis.add_collection3d(Line3DCollection(positions_N3[some], colors=GREY, linewidths=0.4, alpha=0.4))
