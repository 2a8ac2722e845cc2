"""Networks as networkx graphs: populations, or every neuron. Needs networkx (extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lsm.figures import BLUE, RED, Sizes, colours_of, new_figure, offsets_of

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.figure import Figure

_MOST_EDGES = 5_000_000


def population_graph(
    sizes: Sizes, synapses: Mapping[tuple[str, str], int], **facts: Mapping[tuple[str, str], Any]
) -> nx.DiGraph:
    """Populations as nodes, with their numbers of neurons; their projections as edges.

    Args:
        sizes: neurons by population.
        synapses: by (source, target).
        **facts: further figures of edges by (source, target), such as `weight` or `delay`.

    Returns:
        A `networkx.DiGraph` with `neurons` at nodes, `synapses`, `indegree` and the facts at edges.

    Raises:
        ValueError: a projection of a population that is not there.
    """
    import networkx as nx

    graph: nx.DiGraph = nx.DiGraph()
    for name, n in sizes.items():
        graph.add_node(name, neurons=int(n))
    for (source, target), n in synapses.items():
        for name in (source, target):
            if name not in sizes:
                raise ValueError(f"population_graph: no population {name!r} among {', '.join(sizes)}")
        own = {key: values[source, target] for key, values in facts.items() if (source, target) in values}
        graph.add_edge(source, target, synapses=int(n), indegree=n / max(sizes[target], 1), **own)
    return graph


def neuron_graph(
    sizes: Sizes,
    sources: ArrayLike,
    targets: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    delays: ArrayLike | None = None,
) -> nx.MultiDiGraph:
    """Every neuron as a node and every synapse as an edge; for small networks.

    Args:
        sizes: neurons by population, in the order of their ids.
        sources: global ids, (E,).
        targets: global ids, (E,).
        weights: in mV or pA, (E,).
        delays: in ms, (E,).

    Returns:
        A `networkx.MultiDiGraph` with `population` at nodes, `weight` and `delay` at edges.

    Raises:
        ValueError: arrays of different lengths, ids that are not there, or more than 5 million synapses.
    """
    import networkx as nx

    columns = {"sources": np.asarray(sources), "targets": np.asarray(targets)}
    columns |= {name: np.asarray(v) for name, v in (("weights", weights), ("delays", delays)) if v is not None}
    n_edges = len(columns["sources"])
    if any(values.shape != (n_edges,) for values in columns.values()):
        shapes = ", ".join(f"{name} {values.shape}" for name, values in columns.items())
        raise ValueError(f"neuron_graph: expected arrays of one length, got {shapes}")
    if n_edges > _MOST_EDGES:
        raise ValueError(f"neuron_graph: {n_edges:,} synapses are too many for networkx; it takes {_MOST_EDGES:,}")
    total = sum(sizes.values())
    for name in ("sources", "targets"):
        values = columns[name]
        if n_edges and not (values.min() >= 0 and values.max() < total):
            raise ValueError(f"neuron_graph: {name} must lie in 0 to {total - 1}, got {values.min()} to {values.max()}")
    graph: nx.MultiDiGraph = nx.MultiDiGraph()
    for name, first in offsets_of(sizes).items():
        graph.add_nodes_from(range(first, first + sizes[name]), population=name)
    names = [{"weights": "weight", "delays": "delay"}[name] for name in list(columns)[2:]]
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    graph.add_edges_from((row[0], row[1], dict(zip(names, row[2:], strict=True))) for row in rows)
    return graph


def plot_populations(graph: nx.DiGraph, *, layers: Sequence[Sequence[str]] | None = None) -> Figure:
    """A graph of populations: nodes by their neurons, arrows by in-degree, red from what inhibits.

    Args:
        graph: of `population_graph`.
        layers: names from top to bottom, those of a layer beside each other; one circle without it.

    Raises:
        ValueError: a layer names a population that the graph does not have.
    """
    import networkx as nx

    if layers is None:
        place = nx.circular_layout(graph)
    else:
        unknown = [name for layer in layers for name in layer if name not in graph]
        if unknown:
            raise ValueError(f"plot_populations: no population {', '.join(unknown)} in the graph")
        place = {
            name: np.array([(i - (len(layer) - 1) / 2) + 0.12 * (-1) ** depth, -float(depth)])
            for depth, layer in enumerate(layers)
            for i, name in enumerate(layer)
        }
    shown = graph.subgraph(place)
    figure, (axis,) = new_figure(size=(6.4, 5.6))
    colours = colours_of(list(shown), None)
    neurons = np.array([shown.nodes[name]["neurons"] for name in shown], dtype=np.float64)
    sizes = 300 + 1500 * np.sqrt(neurons / max(float(neurons.max(initial=1)), 1))
    edges = sorted(shown.edges(data=True), key=lambda edge: edge[2]["indegree"])
    most = max((edge[2]["indegree"] for edge in edges), default=1) or 1
    share = [edge[2]["indegree"] / most for edge in edges]
    nx.draw_networkx_edges(
        shown,
        place,
        ax=axis,
        edgelist=[(source, target) for source, target, _ in edges],
        edge_color=[RED if colours[source] == RED else BLUE for source, _, _ in edges],
        width=[0.4 + 3 * value for value in share],
        alpha=[0.15 + 0.7 * value for value in share],
        node_size=sizes.tolist(),
        connectionstyle="arc3,rad=0.12",
        arrowsize=9,
    )
    nx.draw_networkx_nodes(
        shown,
        place,
        ax=axis,
        node_size=sizes.tolist(),
        node_color=[colours[name] for name in shown],
        edgecolors="white",
    )
    nx.draw_networkx_labels(shown, place, ax=axis, font_size=8, font_color="white")
    axis.set_axis_off()
    axis.margins(0.15)
    axis.set_title("arrows by in-degree, the greatest " + f"{most:,.0f}", fontsize="medium", loc="left")
    return figure
