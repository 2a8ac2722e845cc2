"""A colliculus where places compete, and what a memory says to the cortex that it hears."""

from __future__ import annotations

import lsm
import numpy as np
from lsm.memory_loop import PREFIX, add_memory_loop
from lsm.midbrain import SHEET_U, add_midbrain

ITEM, ITEMS = 2, 5
WEAK, STRONG = 40.0, 100.0  # Hz of an afferent


def test_a_memory_speaks_to_the_band_of_the_cortex_that_it_hears() -> None:
    net = lsm.cortex(1, 1000, channels=40, seed=0)
    add_memory_loop(net, items=ITEMS, back=20.0)
    places = net.find("23E").positions
    assert places is not None
    cue = lsm.cue_spikes(ITEM, start=100.0, step=1.0)
    _, ids = net.build(threads=1).run(450.0, {f"{PREFIX}cue": cue}, record="23E").spikes("23E")
    band = (places[:, 1] * ITEMS).astype(int)
    rates = np.bincount(band[ids], minlength=ITEMS) / np.bincount(band)
    assert rates[ITEM] > 1.0
    assert rates[ITEM] > 5 * np.delete(rates, ITEM).max()


def colliculus() -> tuple[lsm.Simulation, np.ndarray]:
    """A sheet under 400 afferents in the order of their places, and where its neurons stand along u."""
    net = lsm.Network(seed=0, step=1.0)
    y = (np.arange(400) + 0.5) / 400
    net.inputs("23E", 400, positions=np.column_stack([np.full(400, 0.5), y, np.zeros(400)]))
    add_midbrain(net, neurons=2000)
    places = net.find("SCe").positions
    assert places is not None
    return net.build(threads=1), places[:, 0]


def responses(sim: lsm.Simulation, u_N: np.ndarray, *stimuli: tuple[float, float]) -> np.ndarray:
    """Spikes of each neuron of the sheet within 500 ms under Poisson afferents at some places, (u, rate in Hz)."""
    parts = []
    for u, rate in stimuli:
        afferents = np.flatnonzero(np.abs((np.arange(400) + 0.5) / 400 * SHEET_U - u) < 0.15)
        times, ids = lsm.poisson_spikes(len(afferents), rate, 500.0, np.random.default_rng(round(100 * u)))
        parts.append((times, afferents[ids]))
    sim.reset()
    times, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
    _, ids = sim.run(500.0, {"23E": (times, ids)}, record="SCe").spikes("SCe")
    return np.bincount(ids, minlength=len(u_N))


def test_near_places_of_the_colliculus_help_and_far_ones_hinder_each_other() -> None:
    """A Mexican hat: the answer at one place, beside a second place at some distance."""
    sim, u_N = colliculus()
    at = np.abs(u_N - 1.5) < 0.15
    alone = responses(sim, u_N, (1.5, WEAK))
    assert alone[at].mean() > 3 * alone[np.abs(u_N - 1.5) > 1.0].mean()  # the map is kept
    assert responses(sim, u_N, (1.5, WEAK), (1.8, WEAK))[at].mean() > 1.2 * alone[at].mean()
    assert responses(sim, u_N, (1.5, WEAK), (2.7, STRONG))[at].mean() < 0.8 * alone[at].mean()
