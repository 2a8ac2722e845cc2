"""A liquid beside its controls: the same filter, instants and readout for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from lsm.controls import scrambled
from lsm.intervals import mean_interval
from lsm.liquid import LiquidStateMachine
from lsm.network import Network
from lsm.ridge import RidgeReadout

PENALTIES = 10.0 ** np.arange(-3, 2.1, 0.5)
READ = ("4E", "23E", "5E", "6E")
Build = Callable[[], Network]
Samples = Sequence[tuple[np.ndarray, np.ndarray]]


def liquid_of(network: Network, *, tau: float, instants: int, of: Sequence[str] = READ) -> LiquidStateMachine:
    """A liquid on one thread, read at the layers that it has."""
    there = {population.name for population in network.populations}
    return LiquidStateMachine(network, tau=tau, instants=instants, of=[n for n in of if n in there], threads=1)


def spikes_of(network: Network, samples: Samples, durations: Sequence[float], most: float = np.inf) -> int:
    """Spikes of all neurons in some samples; it stops when there are more than `most`."""
    simulation, total = network.build(threads=1), 0
    for sample, duration in zip(samples, durations, strict=True):
        simulation.reset()
        counts = simulation.run(float(np.ceil(duration)), {"in": sample}, record=False).counts
        total += sum(n for name, n in counts.items() if name != "in")
        if total > most:
            break
    return total


def matching_gain(build: Build, samples: Samples, durations: Sequence[float], seed: int) -> float:
    """Gain at which the scrambled network spikes as often as the structured one, by bisection in [0.5, 8]."""
    target, low, high = spikes_of(build(), samples, durations), 0.5, 8.0
    for _ in range(8):
        middle = float(np.sqrt(low * high))
        spikes = spikes_of(scrambled(build(), seed=seed, gain=middle), samples, durations, most=3 * target)
        low, high = (low, middle) if spikes > target else (middle, high)
    return float(np.sqrt(low * high))


def networks(build: Build, samples: Samples, durations: Sequence[float], seed: int) -> dict[str, Build]:
    """The liquid and its two scrambled versions."""
    gain = matching_gain(build, samples, durations, seed)
    return {
        "liquid": build,
        "scrambled": lambda: scrambled(build(), seed=seed),
        "scrambled, rate matched": lambda: scrambled(build(), seed=seed, gain=gain),
    }


def validated(train_BF: np.ndarray, targets: np.ndarray, test_BF: np.ndarray) -> np.ndarray:
    """Answers of a ridge readout whose penalty is the best on the last fifth of the training rows."""
    cut = len(train_BF) * 4 // 5
    scores = [
        RidgeReadout(p).fit(train_BF[:cut], targets[:cut]).score(train_BF[cut:], targets[cut:]) for p in PENALTIES
    ]
    return RidgeReadout(PENALTIES[int(np.argmax(scores))]).fit(train_BF, targets).predict(test_BF)


def summary(values_by_method: dict[str, list[float]], higher_is_better: bool = True) -> dict[str, Any]:
    """Mean over seeds with its interval, and the liquid's advantage over each control, paired by seed."""
    out: dict[str, Any] = {}
    for name, values in values_by_method.items():
        out[name] = {"mean": float(np.mean(values)), "values": values}
        if len(values) > 1:
            out[name]["interval"] = mean_interval(np.array(values))
            if name != "liquid":
                sign = 1 if higher_is_better else -1
                better = sign * (np.array(values_by_method["liquid"]) - np.array(values))
                out[name]["liquid_better_by"] = {"mean": float(better.mean()), "interval": mean_interval(better)}
    return out
