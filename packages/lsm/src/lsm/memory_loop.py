"""A working memory that hears a cortex and speaks to it."""

from __future__ import annotations

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

from lsm.checks import require_finite, require_whole
from lsm.distributions import Uniform
from lsm.explicit import Explicit
from lsm.facilitated_memory import add_working_memory
from lsm.network import Network

PREFIX = "wm."


def add_memory_loop(
    net: Network,
    *,
    items: int = 5,
    neurons: int = 2_000,
    into: float = 0.6,
    back: float = 1.0,
    synapses: int = 40,
    facilitation: bool = True,
) -> None:
    """Add a working memory whose groups each listen to one band of the map, and excite it in return.

    Group i hears layers 2/3 and 5 at y in [i / items, (i + 1) / items), of all columns, and excites 2/3 there.

    Args:
        net: with populations as of `cortex`.
        items: groups.
        neurons: of the working memory.
        into: weight of a cortical synapse on a group, mV.
        back: weight of a group's synapse on layer 2/3, mV of lasting input.
        synapses: that each neuron of a group takes from the cortex, half from each layer; and 10 that each neuron of
            layer 2/3 takes back.
        facilitation: as in `working_memory`; without it nothing is held.

    Raises:
        ValueError: an argument out of its range.
    """
    require_finite("add_memory_loop: into", into)
    require_finite("add_memory_loop: back", back)
    require_whole("add_memory_loop: synapses", synapses, 0)
    groups, _, _ = add_working_memory(net, items=items, neurons=neurons, facilitation=facilitation, prefix=PREFIX)
    names = [p.name for p in net.populations]
    sources = [net.find(name) for name in ("23E", "5E") if name in names]
    rng = keyed_numpy_generator(net.seed, "wiring of the working memory")
    for item, group in enumerate(groups):
        for layer in sources:
            assert layer.positions is not None
            band = np.flatnonzero((layer.positions[:, 1] * items).astype(int) == item)
            if not len(band):
                continue
            k = synapses // len(sources)
            drawn = Explicit(rng.choice(band, group.n * k), np.repeat(np.arange(group.n), k))
            net.connect(layer, group, drawn, weight=into, delay=Uniform(2.0, 10.0))
            if layer.name == "23E":
                returned = Explicit(rng.integers(0, group.n, len(band) * 10), np.repeat(band, 10))
                net.connect(group, layer, returned, weight=back, delay=Uniform(2.0, 10.0))
