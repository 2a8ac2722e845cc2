"""Working memory in facilitated synapses."""

from __future__ import annotations

import numpy as np

from lsm.dc import DC
from lsm.explicit import Explicit
from lsm.fixed_indegree import FixedIndegree
from lsm.lif import LIF
from lsm.network import Network
from lsm.poisson import Poisson
from lsm.projection import Population
from lsm.recording import Recording
from lsm.short_term import ShortTerm
from lsm.task_templates import Spikes

CONNECTED, CODING = 0.2, 0.1
E_TO_I, I_TO_E, I_TO_I, BASELINE, POTENTIATED = 0.135, -0.25, -0.20, 0.10, 0.45
DRIVE_E, DRIVE_I, DRIVE_SPREAD, CUE = 23.7, 20.5, 1.0, 1.15
NOISE_WEIGHT = 0.1
FACILITATION = ShortTerm(U=0.2, tau_rec=200.0, tau_fac=1500.0)
NO_FACILITATION = ShortTerm(U=0.2, tau_rec=200.0, tau_fac=0.0)


def working_memory(
    items: int = 5,
    *,
    neurons: int = 10_000,
    facilitation: bool = True,
    drive: float = DRIVE_E,
    seed: int = 0,
    step: float = 0.1,
) -> Network:
    """Groups of neurons that hold what they were shown in the facilitation of the synapses within each group.

    A cue makes a group fire; the calcium that is left in its terminals (u, decaying with 1.5 s) makes its synapses
    stronger than others, so that it fires again without any cue, in bursts or steadily, and so refreshes itself.

    Populations "item0".."itemN" and "rest" (excitatory), "inhibitory", and the inputs "cue" (one channel a group: see
    `cue_spikes`). With fewer neurons than 10,000, weights of recurrent synapses grow in proportion, which keeps the
    mean of the input.

    Args:
        items: groups, each 10% of the excitatory neurons, 1 to 10.
        neurons: in all, 80% excitatory.
        facilitation: False sets tau_fac to 0: u is always U.
        drive: mean external input of excitatory neurons, mV.
        seed: of all that is drawn.
        step: ms.

    Raises:
        ValueError: an argument out of its range.

    References:
        Mongillo, Barak, Tsodyks (2008), Synaptic theory of working memory, Science 319, and its supporting material.

    Departs from:
        In-degrees are fixed; the external noise is Poisson with the same mean and variance.
    """
    net = Network(seed=seed, step=step)
    add_working_memory(net, items=items, neurons=neurons, facilitation=facilitation, drive=drive)
    return net


def add_working_memory(
    net: Network,
    *,
    items: int = 5,
    neurons: int = 10_000,
    facilitation: bool = True,
    drive: float = DRIVE_E,
    prefix: str = "",
) -> tuple[list[Population], Population, Population]:
    """Add the populations of `working_memory` to a network; names begin with a prefix.

    Returns:
        The groups, the other excitatory neurons, and the inhibitory ones.
    """
    if not 1 <= items <= round(1 / CODING) or neurons < 100:
        raise ValueError(f"working_memory: needs 1 to 10 items and 100 neurons, got {items} and {neurons}")
    n_excitatory = round(0.8 * neurons)
    group = round(CODING * n_excitatory)
    excitatory = LIF(tau_m=15.0, threshold=20.0, reset=16.0, refractory=2.0, synapse="delta")
    inhibitory = LIF(tau_m=10.0, threshold=20.0, reset=13.0, refractory=2.0, synapse="delta")
    groups = [net.population(f"{prefix}item{i}", group, excitatory) for i in range(items)]
    rest_n = n_excitatory - items * group
    rest = [net.population(f"{prefix}rest", rest_n, excitatory)] if rest_n else []
    inhibition = net.population(f"{prefix}inhibitory", neurons - n_excitatory, inhibitory)
    cue = net.inputs(f"{prefix}cue", items)
    larger = 10_000 / neurons
    synapse = FACILITATION if facilitation else NO_FACILITATION
    every = [*groups, *rest]
    for source in every:
        rule = FixedIndegree(max(1, round(CONNECTED * source.n)))
        for target in every:
            weight = POTENTIATED if source is target and source in groups else BASELINE
            net.connect(source, target, rule, weight=weight * larger, synapse=synapse, delay=1.0)
        net.connect(source, inhibition, rule, weight=E_TO_I * larger, delay=1.0)
    rule = FixedIndegree(max(1, round(CONNECTED * inhibition.n)))
    net.connect(inhibition, every, rule, weight=I_TO_E * larger, delay=1.0)
    net.connect(inhibition, inhibition, rule, weight=I_TO_I * larger, delay=1.0)
    for populations, mean, tau_m in ((every, drive, 15.0), ([inhibition], DRIVE_I, 10.0)):
        # white noise of strength sigma gives w^2 rate tau = sigma^2 for Poisson jumps of w
        rate = 1000.0 * DRIVE_SPREAD**2 / (NOISE_WEIGHT**2 * tau_m)
        net.drive(populations, Poisson(rate=rate, weight=NOISE_WEIGHT))
        net.drive(populations, DC(voltage=mean - NOISE_WEIGHT * rate * tau_m / 1000.0))
    jump = (CUE - 1) * drive * net.step / 15.0
    for number, target in enumerate(groups):
        listed = Explicit(np.full(target.n, number), np.arange(target.n))
        net.connect(cue, target, listed, weight=jump, delay=net.step)
    return groups, rest[0] if rest else groups[-1], inhibition


def cue_spikes(item: int, *, start: float, duration: float = 350.0, step: float = 0.1) -> Spikes:
    """Spikes for the inputs "cue" that raise a group's external drive by 15% for a while: one every step.

    Args:
        item: number of the group.
        start: ms.
        duration: ms.
        step: of the network, ms.
    """
    times = start + step * np.arange(1, round(duration / step) + 1)
    return times, np.full(len(times), item, np.int64)


def held_item(
    recording: Recording, items: int, *, start: float, end: float, prefix: str = ""
) -> tuple[int, np.ndarray]:
    """Which group fires most in a stretch of a recording.

    Args:
        recording: with the spikes of the groups.
        items: groups.
        start: of the stretch, ms since the simulation began.
        end: of the stretch.
        prefix: of the populations' names.

    Returns:
        The group, and the rate of each group in Hz, (items,).
    """
    rates = np.zeros(items)
    for item in range(items):
        times, _ = recording.spikes(f"{prefix}item{item}")
        spikes = ((times > start) & (times <= end)).sum()
        rates[item] = spikes / recording.sizes[f"{prefix}item{item}"] / (end - start) * 1000
    return int(rates.argmax()), rates
