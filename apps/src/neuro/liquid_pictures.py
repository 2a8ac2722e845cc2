"""Pictures of a simulation, by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lsm.activity_plots import plot_avalanches, plot_spectrum
from lsm.connectivity_plots import plot_connectivity
from lsm.figures import save_figure
from lsm.layout_plots import plot_layout
from lsm.network_graph import plot_populations, population_graph
from lsm.raster_plots import plot_raster, plot_rate_histogram, plot_rates, plot_rates_over_time
from lsm.spike_statistics import avalanche_sizes

from neuro.config import ConfigError
from neuro.liquid_spikes import Spikes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN_MS = 300.0  # of a raster
_MOST_PANELS, _MOST_NAMES = 24, 60
PUBLISHED = {"23E": 0.903, "23I": 2.965, "4E": 4.414, "4I": 5.876, "5E": 7.569, "5I": 8.633, "6E": 1.105, "6I": 7.829}
log = logging.getLogger("neuro")


def raster(spikes: Spikes) -> Figure:
    """The last part of the spikes."""
    begin = max(spikes.begin, spikes.end - _SHOWN_MS)
    return plot_raster(spikes.times, spikes.ids, spikes.sizes, begin=begin, end=spikes.end)


def rates(spikes: Spikes) -> Figure:
    """Mean rates; of a microcircuit beside those of the full model."""
    beside: dict[str, dict[str, float]] = {"simulated": spikes.rates()}
    if set(spikes.sizes) == set(PUBLISHED):
        beside["full model, published"] = PUBLISHED
    return plot_rates(beside, title=f"{spikes.duration:,.0f} ms")


def activity(spikes: Spikes) -> Figure:
    """Rates over time."""
    width = max(1.0, spikes.duration / 400)
    return plot_rates_over_time(spikes.times, spikes.ids, spikes.sizes, begin=spikes.begin, end=spikes.end, width=width)


def histogram(spikes: Spikes) -> Figure:
    """Rates of single neurons."""
    return plot_rate_histogram(spikes.counts(), spikes.sizes, spikes.duration)


def spectrum(spikes: Spikes) -> Figure:
    """Power of the populations' rates."""
    return plot_spectrum(spikes.times, spikes.ids, spikes.sizes, begin=spikes.begin, end=spikes.end)


def avalanches(spikes: Spikes) -> Figure:
    """Sizes of avalanches of all spikes, in bins as long as the mean time between two of them."""
    between = spikes.duration / max(len(spikes.times), 1)
    edges = np.arange(spikes.begin, spikes.end + between, between)
    return plot_avalanches(avalanche_sizes(np.histogram(spikes.times, edges)[0]))


def connectivity(spikes: Spikes) -> Figure:
    """In-degrees between populations."""
    names = list(spikes.sizes)
    place = {name: i for i, name in enumerate(names)}
    matrix_TS = np.zeros((len(names), len(names)))
    for source, target, n in spikes.network["synapses"]:
        matrix_TS[place[target], place[source]] += n / max(spikes.sizes[target], 1)
    return plot_connectivity(matrix_TS, names, label="synapses a target")


def graph(spikes: Spikes) -> Figure:
    """Populations and their projections."""
    return plot_populations(graph_of(spikes))


def graph_of(spikes: Spikes) -> Any:
    """Populations and their projections, for networkx."""
    synapses = {(source, target): round(n) for source, target, n in spikes.network["synapses"]}
    return population_graph(spikes.sizes, synapses)


def layout(spikes: Spikes) -> Figure:
    """Neurons in space."""
    if spikes.positions_N3 is None:
        raise ConfigError("layout: the network's neurons have no places")
    return plot_layout(spikes.positions_N3, spikes.sizes, downwards=spikes.network.get("name") == "cortex")


PICTURES: dict[str, Callable[[Spikes], Figure]] = {
    "raster": raster,
    "rates": rates,
    "activity": activity,
    "histogram": histogram,
    "spectrum": spectrum,
    "avalanches": avalanches,
    "connectivity": connectivity,
    "graph": graph,
    "layout": layout,
}


def suitable(spikes: Spikes) -> list[str]:
    """Names of the pictures that such spikes allow."""
    few = len(spikes.sizes) <= _MOST_PANELS
    allowed = {
        "activity": few,
        "spectrum": few and spikes.duration >= 100,
        "avalanches": len(spikes.times) >= 100,
        "histogram": few,
        "connectivity": bool(spikes.network.get("synapses")) and len(spikes.sizes) <= _MOST_NAMES,
        "graph": bool(spikes.network.get("synapses")) and few,
        "layout": spikes.positions_N3 is not None,
    }
    return [name for name in PICTURES if allowed.get(name, True)]


def draw_all(spikes: Spikes, folder: Path) -> dict[str, Path]:
    """Draw what can be drawn; a picture that the spikes do not allow is said and left out."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name in suitable(spikes):
        try:
            drawn[name] = save_figure(PICTURES[name](spikes), folder / f"{name}.png")
        except ValueError as error:
            log.warning("no picture %s: %s", name, error)
    return drawn
