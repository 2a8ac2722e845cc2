"""A cue that is followed by reward, though later, comes to drive a choice: learning that dopamine gates."""

from __future__ import annotations

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

from lsm.all_to_all import AllToAll
from lsm.dopamine import DopamineSTDP
from lsm.lif import LIF
from lsm.midbrain import add_dopamine
from lsm.network import Network
from lsm.poisson import Poisson
from lsm.simulation import Simulation

CHANNELS, CUES, CUE_AT, VOLLEY, TRIAL = 50, 2, 100.0, 10.0, 2000.0
POOL, POOL_RATE = 100, 4.0
START, LARGEST = 1.15, 4.0


def reward_association(*, gate: bool = True, seed: int = 0, step: float = 1.0) -> Network:
    """Two cues of 50 channels each, a population "choice" of 20 noisy neurons, and a dopaminergic pool.

    Every channel drives every neuron of "choice" through `DopamineSTDP`: spikes mark the synapses, and a burst of the
    pool "DA" (inputs "reward", see `add_dopamine`) makes weight of what is still marked, tau_c = 1 s.

    Args:
        gate: False cuts the synapses off from the pool: rewards come, and dopamine stays at its baseline.
        seed: of all that is drawn.
        step: ms.

    References:
        Izhikevich (2007), Solving the distal reward problem through linkage of STDP and dopamine signaling, Cerebral
        Cortex 17(10).
    """
    net = Network(seed=seed, step=step)
    net.inputs("cue", CUES * CHANNELS)
    neuron = LIF(tau_m=20.0, threshold=15.0, refractory=2.0, synapse="exponential", tau_syn=4.0, capacitance=20.0)
    net.population("choice", 20, neuron)
    net.drive("choice", Poisson(rate=400.0, weight=4.0))
    add_dopamine(net, neurons=POOL)
    # the pool's background alone must change nothing: its mean level is its spikes a ms
    background = POOL * POOL_RATE / 1000.0 if gate else 0.0
    rule = DopamineSTDP(
        A_plus=1e-3, A_minus=1e-3, tau_plus=20.0, tau_minus=20.0, tau_c=1000.0, tau_n=200.0, baseline=background,
        w_min=0.0, w_max=LARGEST, dopamine="DA" if gate else "",
    )  # fmt: skip
    net.connect("cue", "choice", AllToAll(), weight=START, delay=step, synapse=rule)
    return net


def train_association(
    simulation: Simulation, trials: int, *, rewarded: int = 0, reward_after: float = 500.0, seed: int = 0
) -> np.ndarray:
    """Show cues in random order; the rewarded one is followed by a burst on "reward".

    Args:
        simulation: of `reward_association`.
        trials: of 2 s each, half of them with each cue.
        rewarded: the cue that is followed by reward, 0 or 1.
        reward_after: ms from the cue to the reward.
        seed: keys order and spikes.

    Returns:
        Mean weight of the synapses of each cue after each trial, (trials, 2).
    """
    rng = keyed_numpy_generator(seed, "trials of cues")
    learning = next(p for p in simulation.network.projections if isinstance(p.synapse, DopamineSTDP))
    means = np.empty((trials, CUES))
    for trial, cue in enumerate(rng.permutation(np.arange(trials) % CUES)):
        inputs = {"cue": cue_volley(int(cue), rng)}
        if cue == rewarded:
            inputs["reward"] = (np.full(10, CUE_AT + reward_after), np.arange(10))
        simulation.run(TRIAL, inputs, record=False)
        weights, sources, _ = simulation.weights(learning)
        means[trial] = [weights[sources // CHANNELS == number].mean() for number in range(CUES)]
    return means


def responses(simulation: Simulation, repeats: int = 20, *, seed: int = 1) -> np.ndarray:
    """Spikes of "choice" in the 50 ms after each cue, mean over repeats, less those of 50 ms without a cue, (2,).

    No reward is given; marks that are left move weights a little where the gate is open.
    """
    rng = keyed_numpy_generator(seed, "cues of the test")
    found = np.zeros(CUES)
    for cue in list(range(CUES)) * repeats:
        start = simulation.time
        times, _ = simulation.run(TRIAL, {"cue": cue_volley(cue, rng)}, record=["choice"]).spikes("choice")
        after = times - start - CUE_AT
        found[cue] += ((after > 0) & (after <= 50)).sum() - ((after > 1000) & (after <= 1050)).sum()
    return found / repeats


def cue_volley(cue: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One spike of each channel of a cue within 10 ms."""
    return CUE_AT + rng.uniform(0, VOLLEY, CHANNELS), cue * CHANNELS + np.arange(CHANNELS)
