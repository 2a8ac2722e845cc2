"""A row of cortical columns, each with layers, that hand on what they hear.

Legend: places are (x, y, z): x counts columns, y in [0, 1) is the place in the map (for sound, pitch), z is depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

from lsm.distributions import Normal, Uniform
from lsm.lif import LIF
from lsm.network import Network
from lsm.projection import Population
from lsm.topography import column_places, near_in_column

SHARES = {
    "1I": 0.02, "23E": 0.27, "23I": 0.07, "4E": 0.24, "4I": 0.06, "5E": 0.18, "5I": 0.05, "6E": 0.09, "6I": 0.02,
}  # fmt: skip
DEPTHS = {"1": 0.05, "23": 0.3, "4": 0.55, "5": 0.75, "6": 0.92}
LAYERS = ("1", "23", "4", "5", "6")


@dataclass(frozen=True)
class Wiring:
    """Strengths (pA through 1 GOhm, so mV of lasting input), reaches (in y) and delays (ms) of the columns.

    Args:
        afferent: weight of the input to layer 4.
        afferent_inhibit: weight of as many inhibitory synapses of the input to layer 4, <= 0: relay neurons stand for
            interneurons, so that a neuron hears differences between channels and instants.
        afferent_delay: greatest delay of the input.
        deep: weight of the input to layer 6 of all columns: of each neuron, ten excitatory synapses of this strength
            and ten inhibitory ones (interneurons are not modelled there), from channels of any place.
        deep_delay: greatest delay of those.
        forward: weight of a column's layer 2/3 to the next column's layer 4.
        up: weight of layer 4 to layer 2/3, and of 2/3 to 5 and 5 to 6.
        across: weight of layer 2/3 of any column to layer 5.
        excite: weight of excitatory neurons to the inhibitory ones of their layer.
        inhibit: weight of inhibitory neurons to their layer, < 0.
        apical: weight of layer 1, < 0.
        feedback: weight of layer 6 to layer 4 of its own column and the one before.
        reach: standard deviation of y of excitatory wiring.
        surround: the same of wiring to and from inhibitory neurons.
        column_delay: from column to column.
        spread: standard deviation of weights, in units of the mean.
    """

    afferent: float = 9.0
    afferent_inhibit: float = 0.0
    afferent_delay: float = 3.0
    deep: float = 0.0
    deep_delay: float = 50.0
    forward: float = 13.0
    up: float = 11.0
    across: float = 6.0
    excite: float = 4.5
    inhibit: float = -6.0
    apical: float = -3.0
    feedback: float = 0.6
    reach: float = 0.05
    surround: float = 0.12
    column_delay: float = 10.0
    spread: float = 0.2


def cortex(
    columns: int = 4,
    neurons: int = 4_000,
    *,
    layers: tuple[str, ...] = LAYERS,
    channels: int = 64,
    midbrain: bool = False,
    working_memory: bool = False,
    wiring: Wiring | None = None,
    seed: int = 0,
    step: float = 1.0,
) -> Network:
    """Columns in a row, each of which keeps the map of the input and passes it on.

    Input enters layer 4 of the first column (and, with `deep`, layer 6 of all). In each column layer 4 drives 2/3, 2/3
    drives 5 and 5 drives 6, each neuron near its own place in the map. Layer 2/3 drives layer 4 of the next column
    after a delay, so that a row of columns holds the last stretch of the input, one stage a column. Layer 5 hears layer
    2/3 of all columns, which joins what is now with what was. Layer 6 feeds back to layer 4 of its own column and the
    one before. Layer 1 is inhibitory, hears layer 5 and acts on the apical dendrites of 2/3 and 5: an addition to the
    published circuits. Every layer is one population across all columns.

    Args:
        columns: in the row, >= 1.
        neurons: of all columns together, without midbrain and working memory.
        layers: which there are; 4 and 23 always.
        channels: input channels, at equal distances along y.
        midbrain: add `add_midbrain`.
        working_memory: add a working memory that hears 2/3 and 5 and projects back to 2/3.
        wiring: strengths.
        seed: of all that is drawn.
        step: ms.

    Returns:
        The network; its inputs are "in".

    Raises:
        ValueError: an argument out of its range.

    References:
        Douglas, Martin (2004), Neuronal circuits of the neocortex, Annu. Rev. Neurosci. 27: the order of the layers.
        Markov et al. (2014), Anatomy of hierarchy, J. Comp. Neurol. 522: forward from 2/3 to 4, back from deep layers.
    """
    layers = tuple(layers)
    if columns < 1 or channels < 1 or neurons < 40 * columns:
        raise ValueError(
            f"cortex: needs columns >= 1, channels >= 1, 40 neurons a column, got {columns}, {channels}, {neurons}"
        )
    if not set(layers) <= set(LAYERS) or not {"23", "4"} <= set(layers):
        raise ValueError(f"cortex: layers must be some of {LAYERS}, with 23 and 4, got {layers}")
    w = wiring or Wiring()
    net = Network(seed=seed, step=step)
    places = np.column_stack([np.zeros(channels), (np.arange(channels) + 0.5) / channels, np.full(channels, 1.0)])
    net.inputs("in", channels, positions=places)
    shares = {name: share for name, share in SHARES.items() if name[:-1] in layers}
    total = sum(shares.values())
    for name, share in shares.items():
        rng = keyed_numpy_generator(seed, f"places of {name}")
        n = max(columns, round(neurons * share / total / columns) * columns)
        neuron = LIF(
            tau_m=20.0 if name.endswith("E") else 10.0, threshold=15.0, refractory=2.0, synapse="exponential",
            tau_syn=4.0, capacitance=20.0 if name.endswith("E") else 10.0,
        )  # fmt: skip
        net.population(name, n, neuron, positions=column_places(n, columns, DEPTHS[name[:-1]], rng))
    _wire(net, layers, w)
    if midbrain:
        from lsm.midbrain import add_midbrain

        add_midbrain(net)
    if working_memory:
        from lsm.memory_loop import add_memory_loop

        add_memory_loop(net)
    return net


def _wire(net: Network, layers: tuple[str, ...], w: Wiring) -> None:
    join = _Joiner(net, w.spread)
    slow = Normal(w.column_delay, w.column_delay / 10, low=net.step)
    for kind, k, reach in (("E", 10, w.reach), ("I", 10, w.surround)):
        late = Uniform(1.0, w.afferent_delay if kind == "E" else 3.0)
        join("in", f"4{kind}", k, reach, w.afferent if kind == "E" else w.excite, late)
        join("23E", f"4{kind}", 2 * k, reach, w.forward if kind == "E" else w.excite, slow, back=1)
    join("in", "4E", 10, w.surround, w.afferent_inhibit, Uniform(1.0, w.afferent_delay))
    join("4E", "23E", 20, w.reach, w.up, Uniform(1.0, 3.0))
    if "5" in layers:
        join("23E", "5E", 10, w.reach, w.up, Uniform(1.0, 3.0))
        join("23E", "5E", 20, None, w.across, Uniform(2.0, 12.0), back=None)
        join("23E", "5I", 20, None, w.excite, Uniform(2.0, 12.0), back=None)
    if "6" in layers and "5" in layers:
        join("5E", "6E", 20, w.reach, w.up, Uniform(1.0, 3.0))
    if "6" in layers:
        for sign in (1.0, -1.0):
            join("in", "6E", 10, None, sign * w.deep, Uniform(1.0, w.deep_delay), back=None)
        join("6E", "4E", 10, w.surround, w.feedback, Uniform(1.0, 3.0))
        join("6E", "4E", 10, w.surround, w.feedback, slow, back=-1)
        join("6E", "4I", 10, w.surround, w.feedback, Uniform(1.0, 3.0))
    if "1" in layers:
        join("5E" if "5" in layers else "23E", "1I", 20, w.surround, w.excite, Uniform(1.0, 3.0))
        for target in ("23E", *(("5E",) if "5" in layers else ())):
            join("1I", target, 10, None, w.apical, Uniform(1.0, 3.0))
    for layer in layers:
        if layer != "1":
            join(f"{layer}E", f"{layer}I", 20, w.surround, w.excite, Uniform(1.0, 2.0))
            join(f"{layer}I", f"{layer}E", 10, w.surround, w.inhibit, Uniform(1.0, 2.0))


class _Joiner:
    """Connects two populations of a network by places, each pair with draws of its own."""

    def __init__(self, net: Network, spread: float) -> None:
        self.net, self.spread = net, spread

    def __call__(
        self, pre: str, post: str, k: int, reach: float | None, weight: float, delay: Normal | Uniform,
        *, back: int | None = 0,
    ) -> None:  # fmt: skip
        if not weight:
            return
        source, target = self.net.find(pre), self.net.find(post)
        rng = keyed_numpy_generator(self.net.seed, f"wiring {pre} to {post}", len(self.net.projections))
        rule = near_in_column(_places(source), _places(target), k, reach, rng, back=back)
        if not len(rule):
            return
        bounds = {"low": 0.0} if weight > 0 else {"high": 0.0}
        weights = Normal(weight, self.spread * abs(weight), **bounds) if self.spread else weight
        self.net.connect(source, target, rule, weight=weights, delay=delay)


def _places(population: Population) -> np.ndarray:
    assert population.positions is not None
    return population.positions
