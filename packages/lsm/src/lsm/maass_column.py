"""The classic liquid: a small column with dynamic synapses."""

from __future__ import annotations

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

from lsm.dc import DC
from lsm.distance_bernoulli import DistanceBernoulli
from lsm.distributions import Normal, Uniform
from lsm.fixed_indegree import FixedIndegree
from lsm.lif import LIF
from lsm.network import Network
from lsm.short_term import ShortTerm

PROBABILITY = {"EE": 0.3, "EI": 0.2, "IE": 0.4, "II": 0.1}
DYNAMICS = {
    "EE": ShortTerm(U=0.5, tau_rec=1100.0, tau_fac=50.0),
    "EI": ShortTerm(U=0.05, tau_rec=125.0, tau_fac=1200.0),
    "IE": ShortTerm(U=0.25, tau_rec=700.0, tau_fac=20.0),
    "II": ShortTerm(U=0.32, tau_rec=144.0, tau_fac=60.0),
}
DELAY = {"EE": 1.5, "EI": 0.8, "IE": 0.8, "II": 0.8}
WEIGHT = {"EE": 30.0, "EI": 60.0, "IE": -19.0, "II": -19.0}
REACH, INHIBITORY, SIDE = 2.0, 0.2, 3


def maass(
    neurons: int = 135,
    *,
    inputs: int = 40,
    afferents: int = 4,
    weight: float = 18.0,
    strength: float = 1.0,
    seed: int = 0,
    step: float = 0.1,
) -> Network:
    """Integrate-and-fire neurons on the whole-numbered points of a 3 x 3 x n/9 column, one in five inhibitory.

    A pair at distance D is connected with probability C exp(-(D / 2)^2), C = .3 (EE), .2 (E to I), .4 (I to E), .1
    (II). All synapses are dynamic. Membranes of 30 ms, threshold 15 mV, reset 13.5 mV, a background of 13.5 mV,
    refractory for 3 ms (E) or 2 ms (I); currents decay with 3 ms (E) or 6 ms (I). Populations "E" and "I", inputs "in".

    Args:
        neurons: n, >= 9.
        inputs: channels.
        afferents: channels that each neuron hears, drawn at random.
        weight: of the input, in mV of lasting input (pA through 1 GOhm).
        strength: factor of the recurrent weights.
        seed: of all that is drawn.
        step: ms.

    References:
        Maass, Natschlaeger, Markram (2002), Neural Computation 14(11), appendix B.

    Departs from:
        Weights are normal with half their mean as spread, cut at 0, instead of gamma distributed; the membranes start
        uniformly between reset and threshold.
    """
    if neurons < 9 or inputs < 1 or afferents < 0:
        raise ValueError(f"maass: needs 9 neurons, one input, afferents >= 0, got {neurons}, {inputs}, {afferents}")
    net = Network(seed=seed, step=step)
    n_inhibitory = round(INHIBITORY * neurons)
    points = np.stack(np.unravel_index(np.arange(neurons), (-(-neurons // SIDE**2), SIDE, SIDE)), 1).astype(np.float64)
    order = keyed_numpy_generator(seed, "which are inhibitory").permutation(neurons)
    chosen = {"E": np.sort(order[n_inhibitory:]), "I": np.sort(order[:n_inhibitory])}
    net.inputs("in", inputs)
    for kind, members in chosen.items():
        neuron = LIF(
            tau_m=30.0, threshold=15.0, reset=13.5, refractory=3.0 if kind == "E" else 2.0, synapse="exponential",
            tau_syn=3.0, tau_syn_in=6.0, capacitance=30.0, initial=Uniform(13.5, 14.9),
        )  # fmt: skip
        net.population(kind, len(members), neuron, positions=points[members])
        net.drive(kind, DC(voltage=13.5))
        if afferents:
            net.connect("in", kind, FixedIndegree(afferents), weight=weight, delay=step)
    for pair, probability in PROBABILITY.items():
        mean = WEIGHT[pair] * strength
        bounds = {"low": 0.0} if mean > 0 else {"high": 0.0}
        net.connect(
            pair[0], pair[1], DistanceBernoulli(probability, REACH), weight=Normal(mean, abs(mean) / 2, **bounds),
            delay=DELAY[pair], synapse=DYNAMICS[pair],
        )  # fmt: skip
    return net
