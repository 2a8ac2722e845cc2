"""The description of a network, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from lsm.checks import require_whole
from lsm.connection_rule import Rule
from lsm.dc import DC
from lsm.distributions import Distribution, Listed, Normal, Uniform, as_distribution
from lsm.dopamine import DopamineSTDP
from lsm.explicit import Explicit
from lsm.neuron import Neuron
from lsm.poisson import MOST_PER_STEP, Poisson
from lsm.projection import Population, Projection
from lsm.synapse import Synapse, check_synapse

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from lsm.simulation import Simulation

Populations = Population | str | Sequence[Population | str]
Value = float | Normal | Uniform | ArrayLike
MOST_NEURONS = 1 << 31


class Network:
    """Populations, projections and drives; `build` draws the synapses and gives a simulation.

    Args:
        seed: of all that is drawn.
        step: of the simulation, ms, > 0.

    Raises:
        ValueError: step is not positive.
    """

    def __init__(self, *, seed: int = 0, step: float = 0.1) -> None:
        if not (step > 0 and math.isfinite(step)):
            raise ValueError(f"Network: step must be > 0 ms, got {step}")
        self.seed, self.step = int(seed), float(step)
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.drives: list[tuple[Population, Poisson | DC]] = []
        self._frozen = False

    @property
    def n_neurons(self) -> int:
        """Neurons of all populations, inputs among them."""
        return sum(population.n for population in self.populations)

    def population(self, name: str, n: int, model: Neuron, *, positions: ArrayLike | None = None) -> Population:
        """Add neurons.

        Args:
            name: of the population, new in this network.
            n: number of neurons, >= 1.
            model: for example LIF.
            positions: places of the neurons, (n, 2) or (n, 3).

        Returns:
            The population.

        Raises:
            ValueError: the name is taken, n is below 1, positions do not fit, or the network is built.
            TypeError: the model is none, such as a class instead of an object of it.
        """
        if isinstance(model, type) or not hasattr(model, "receptors"):
            raise TypeError(f"population: model must be a neuron such as lsm.LIF(), got {model!r}")
        return self._add(name, n, model, positions)

    def inputs(self, name: str, n: int, *, positions: ArrayLike | None = None) -> Population:
        """Add channels whose spikes are given to `Simulation.run`.

        Args:
            name: of the population, new in this network.
            n: number of channels, >= 1.
            positions: places of the channels, (n, 2) or (n, 3).

        Returns:
            The population.

        Raises:
            ValueError: the name is taken, n is below 1, positions do not fit, or the network is built.
        """
        return self._add(name, n, None, positions)

    def _add(self, name: str, n: int, model: Neuron | None, positions: ArrayLike | None) -> Population:
        self._check_open()
        if any(population.name == name for population in self.populations):
            raise ValueError(f"Network: there is a population {name!r} already")
        require_whole(f"Network: neurons of {name!r}", n, 1)
        if self.n_neurons + n >= MOST_NEURONS:
            raise ValueError(
                f"Network: {name!r} must have at most {MOST_NEURONS - 1 - self.n_neurons} neurons, got {n}"
            )
        places = None
        if positions is not None:
            places = np.asarray(positions, np.float64)
            if places.ndim != 2 or len(places) != n or places.shape[1] not in (2, 3) or not np.isfinite(places).all():
                raise ValueError(f"Network: positions of {name!r} must be finite, ({n}, 3), got {places.shape}")
            places = np.pad(places, ((0, 0), (0, 3 - places.shape[1])))
        added = Population(len(self.populations), name, int(n), model, self.n_neurons, places)
        self.populations.append(added)
        return added

    def connect(
        self,
        pre: Populations,
        post: Populations,
        rule: Rule,
        *,
        weight: Value,
        delay: Value,
        synapse: Synapse | None = None,
    ) -> None:
        """Connect every source population with every target population.

        Args:
            pre: source populations or their names.
            post: target populations or their names.
            rule: which synapses there are between a pair.
            weight: in the unit of the targets' synapses (mV for delta, pA for exponential); its sign, that of the mean
                of a distribution, picks the receptor where targets have two.
            delay: ms, rounded to steps, at least one. A normal distribution is drawn again while below half a step.
            synapse: how the weight changes; None for a static one.

        Raises:
            ValueError: a population is unknown, a delay is below the step, a weight is not finite, or the rule cannot
                connect the pair; nothing is connected then.
            TypeError: the rule, a weight or a delay is of another type.
        """
        self._check_open()
        if isinstance(rule, type) or not hasattr(rule, "draws"):
            raise TypeError(f"connect: rule must be one such as lsm.FixedIndegree(100), got {rule!r}")
        weights, delays = as_distribution(weight, "connect: weight"), as_distribution(delay, "connect: delay")
        delays = self.on_grid(delays)
        check_synapse(synapse, weights, delays)
        if isinstance(synapse, DopamineSTDP) and synapse.dopamine:
            self.find(synapse.dopamine)
        added: list[Projection] = []
        for source in self._all(pre):
            for target in self._all(post):
                if target.model is None:
                    raise ValueError(f"connect: {target.name!r} holds inputs, which receive no spikes")
                row = 0 if len(target.receptors) == 1 else _receptor(weights)
                for values in (weights, delays):
                    if isinstance(values, Listed) and not (
                        isinstance(rule, Explicit) and len(rule) == len(values.table)
                    ):
                        n = len(values.table)
                        raise ValueError(f"connect: an array of {n} weights or delays needs Explicit with {n} synapses")
                index = len(self.projections) + len(added)
                added.append(Projection(index, source, target, rule, weights, delays, row, synapse))
                rule.check(added[-1].pair(self.seed))
        self.projections += added

    def drive(self, populations: Populations, source: Poisson | DC) -> None:
        """Give every neuron of some populations external input, in addition to what they have.

        Args:
            populations: populations or their names.
            source: Poisson or DC.

        Raises:
            ValueError: a population is unknown or holds inputs, or a rate is too high for the step.
            TypeError: the source is neither Poisson nor DC.
        """
        self._check_open()
        if not isinstance(source, Poisson | DC):
            raise TypeError(f"drive: source must be lsm.Poisson(...) or lsm.DC(...), got {source!r}")
        if isinstance(source, Poisson) and source.rate * self.step / 1000 > MOST_PER_STEP:
            raise ValueError(f"drive: rate must give at most {MOST_PER_STEP:.0f} spikes a step, got {source.rate} Hz")
        targets = self._all(populations)
        for target in targets:
            if target.model is None:
                raise ValueError(f"drive: {target.name!r} holds inputs, which receive nothing")
        self.drives += [(target, source) for target in targets]

    def build(
        self,
        device: str = "auto",
        *,
        precision: Literal["float32", "float64"] = "float32",
        threads: int | None = None,
        partitions: int | None = None,
        group: ProcessGroup | Literal["alone"] | None = None,
        procedural: bool = False,
    ) -> Simulation:
        """Draw all synapses; the description cannot change afterwards.

        Args:
            device: "auto" and "cpu" (compiled), "cuda" or "cuda:i" (Triton, static stored synapses and LIF neurons
                only; not timed yet), or "reference" (plain numpy, slow).
            precision: of the neurons' states.
            threads: of the simulation; as many as numba uses by default (NUMBA_NUM_THREADS). Results do not depend on
                it.
            partitions: parts that threads share out, a power of two up to 64; picked by default.
            group: processes that share the network, each with synapses of its own; all by default, where
                torch.distributed has been initialised; "alone" for this one alone. Every one of them builds, runs and
                saves at the same time, and gets all spikes.
            procedural: keep no synapses of projections by `FixedOutdegree` with a constant weight and delay that do
                not learn: they are drawn again at each spike. The spikes are the same, memory far less.

        Returns:
            The simulation at time 0.

        Raises:
            ValueError: an argument is none of these.
            NetworkTooLarge: the network will not fit in memory.
        """
        from lsm.simulation import Simulation

        self._frozen = True
        return Simulation(
            self,
            device,
            precision=precision,
            threads=threads,
            partitions=partitions,
            group=group,
            procedural=procedural,
        )

    def estimated_bytes(self, *, precision: Literal["float32", "float64"] = "float32", procedural: bool = False) -> int:
        """Memory that a simulation will take at most, from the mean numbers of synapses; nothing is drawn.

        Args:
            precision: as in `build`.
            procedural: as in `build`.

        Returns:
            Bytes.
        """
        from lsm.kernels.numba_jit import default_threads
        from lsm.plan import plan_simulation

        plan = plan_simulation(self, default_threads(), procedural=procedural)
        return plan.n_bytes(self, real=8 if precision == "float64" else 4)

    def find(self, name: Population | str) -> Population:
        """Look a population up by its name, or see that it is one of this network.

        Raises:
            ValueError: it is not.
        """
        for population in self.populations:
            if population is name or population.name == name:
                return population
        known = ", ".join(repr(population.name) for population in self.populations)
        raise ValueError(f"Network: no population {getattr(name, 'name', name)!r}, there are {known or 'none yet'}")

    def _all(self, populations: Populations) -> list[Population]:
        if isinstance(populations, Population | str):
            return [self.find(populations)]
        return [self.find(population) for population in populations]

    def _check_open(self) -> None:
        if self._frozen:
            raise ValueError("Network: the network is built; describe a new one")

    def on_grid(self, delays: Distribution) -> Distribution:
        """Delays with no draw below half a step.

        Args:
            delays: ms.

        Raises:
            ValueError: a delay is below the step.
        """
        half = self.step / 2
        if isinstance(delays, Normal) and delays.low < half:
            if delays.high < half:
                raise ValueError(f"connect: delays up to {delays.high} ms are below the step of {self.step} ms")
            delays = Normal(delays.mean, delays.sd, half, delays.high)
        if isinstance(delays, Listed) and not len(delays.table):
            return delays
        if round(delays.bounds[0] / self.step) < 1 and not isinstance(delays, Normal):
            raise ValueError(f"connect: delay {delays.bounds[0]} ms is below the step of {self.step} ms")
        return delays


def whole_steps(name: str, duration: float, step: float) -> int:
    """Steps in a time.

    Args:
        name: how an error calls the time.
        duration: ms.
        step: ms.

    Returns:
        Number of steps.

    Raises:
        ValueError: duration is negative or no whole number of steps.
    """
    if math.isfinite(duration) and duration >= 0:
        steps = round(duration / step)
        if abs(steps * step - duration) <= 1e-6 * step * max(1, steps):
            return steps
    raise ValueError(f"{name} must be a whole number of steps of {step} ms, got {duration}")


def _receptor(weights: Distribution) -> int:
    low, high = weights.bounds
    if low < 0 < high:
        raise ValueError(
            f"connect: weights for two receptors must have one sign, got {low:g} to {high:g}; bound the distribution"
        )
    return int(low < 0)
