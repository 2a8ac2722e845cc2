"""A liquid state machine: a network that is driven by spikes, and a readout of its filtered spikes.

Legend: B samples, A instants, N neurons that are read, F = A N features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from lsm.checks import require_whole
from lsm.delta_rule import DeltaRuleReadout
from lsm.exponential_filter import filtered_spikes
from lsm.logistic import LogisticReadout
from lsm.network import Network
from lsm.ridge import RidgeReadout

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Sample = tuple[np.ndarray, np.ndarray] | Mapping[str, tuple[np.ndarray, np.ndarray]]


class Readout(Protocol):
    """What learns from states."""

    def fit(self, states_BF: np.ndarray, targets: np.ndarray) -> Any:
        """Learn."""
        ...

    def predict(self, states_BF: np.ndarray) -> np.ndarray:
        """Answer."""
        ...

    def score(self, states_BF: np.ndarray, targets: np.ndarray) -> float:
        """Share of right labels, or R^2."""
        ...


READOUTS: dict[str, type[Any]] = {"ridge": RidgeReadout, "logistic": LogisticReadout, "delta": DeltaRuleReadout}


class LiquidStateMachine:
    """A network and a readout that learns; the network does not.

    Each sample starts from the network's first state and at time 0, so Poisson drives draw the same spikes for every
    sample; what synapses that learn have learnt stays. The liquid's state at an instant is each neuron's spikes,
    low-pass filtered with tau; a sample is read at several instants.

    Args:
        network: what computes; it is built at once.
        readout: "ridge", "logistic", "delta", or an object with fit, predict and score.
        tau: of the filter, ms, > 0.
        instants: how many instants of a sample are read, equally spaced, the last at its end.
        of: names of the populations that are read; all but inputs by default.
        inputs: name of the population that takes a sample's spikes; the first inputs of the network by default.
        device: as in `Network.build`.
        threads: as in `Network.build`.
        group: as in `Network.build`; "alone" where every process runs samples of its own.
        precision: as in `Network.build`.
        procedural: as in `Network.build`.

    Raises:
        ValueError: an argument is out of its range, a population is unknown or named twice, or there are no inputs.

    References:
        Maass, Natschlaeger, Markram (2002), Real-time computing without stable states, Neural Computation 14(11).
    """

    def __init__(
        self,
        network: Network,
        readout: Literal["ridge", "logistic", "delta"] | Readout = "ridge",
        *,
        tau: float = 30.0,
        instants: int = 1,
        of: Sequence[str] | None = None,
        inputs: str | None = None,
        device: str = "auto",
        threads: int | None = None,
        group: ProcessGroup | Literal["alone"] | None = None,
        precision: Literal["float32", "float64"] = "float32",
        procedural: bool = False,
    ) -> None:
        if isinstance(readout, str):
            if readout not in READOUTS:
                raise ValueError(f"LiquidStateMachine: readout must be one of {', '.join(READOUTS)}, got {readout!r}")
            learner: Readout = READOUTS[readout]()
        else:
            learner = readout
        require_whole("LiquidStateMachine: instants", instants, 1)
        if not tau > 0:
            raise ValueError(f"LiquidStateMachine: tau > 0, got {tau} ms")
        channels = [population.name for population in network.populations if population.model is None]
        if inputs is None and not channels:
            raise ValueError("LiquidStateMachine: the network has no inputs")
        self.network, self.readout, self.tau, self.instants = network, learner, tau, instants
        self.inputs = network.find(inputs or channels[0]).name
        names = [p.name for p in network.populations if p.model is not None] if of is None else list(of)
        self.read = [network.find(name) for name in names]
        if len({population.name for population in self.read}) < len(names):
            raise ValueError(f"LiquidStateMachine: a population can be read once, got {', '.join(map(str, names))}")
        self._each: bool | None = None
        self.simulation = network.build(
            device, precision=precision, threads=threads, group=group, procedural=procedural
        )

    @property
    def n_read(self) -> int:
        """Neurons that are read."""
        return sum(population.n for population in self.read)

    def state(self, sample: Sample, duration: float, at_A: np.ndarray | None = None) -> np.ndarray:
        """States of one sample.

        Args:
            sample: (times in ms, channels) for the input population, or a mapping for several.
            duration: ms; it is rounded up to whole steps.
            at_A: instants in ms; equally spaced by default.

        Returns:
            float32, (A, N).
        """
        step = self.network.step
        duration = float(np.ceil(duration / step - 1e-6)) * step
        given = sample if isinstance(sample, Mapping) else {self.inputs: sample}
        self.simulation.reset()
        recording = self.simulation.run(duration, given, record=[population.name for population in self.read])
        if at_A is None:
            at_A = duration * np.arange(1, self.instants + 1) / self.instants
        place_G = np.full(self.network.n_neurons, -1, np.int32)
        column = 0
        for population in self.read:
            place_G[population.first : population.first + population.n] = np.arange(column, column + population.n)
            column += population.n
        return filtered_spikes(recording.times, place_G[recording.ids], column, at_A + 1e-6 * step, tau=self.tau)

    def iterate(self, samples: Sequence[Sample], durations: float | Sequence[float]) -> Iterator[np.ndarray]:
        """States of one sample after the other, float32 (A, N) each."""
        lengths = np.broadcast_to(np.asarray(durations, np.float64), (len(samples),))
        for sample, duration in zip(samples, lengths, strict=True):
            yield self.state(sample, float(duration))

    def states(self, samples: Sequence[Sample], durations: float | Sequence[float]) -> np.ndarray:
        """States of several samples.

        Args:
            samples: as in `state`.
            durations: ms, one for all or one each.

        Returns:
            float32, (B, A, N).
        """
        states_BAN = np.empty((len(samples), self.instants, self.n_read), np.float32)
        for row, state_AN in enumerate(self.iterate(samples, durations)):
            states_BAN[row] = state_AN
        return states_BAN

    def fit(
        self, samples: Sequence[Sample], targets: np.ndarray, *, durations: float | Sequence[float] | None = None
    ) -> LiquidStateMachine:
        """Run the samples and learn the readout.

        Args:
            samples: as in `state`.
            targets: one a sample, (B,): the states of its instants are joined; or one an instant, (B, A): each instant
                is a row.
            durations: ms; until the last spike of each sample by default.

        Raises:
            ValueError: targets are not as many as samples or instants.
        """
        return self.fit_states(self.states(samples, _durations(samples, durations)), targets)

    def fit_states(self, states_BAN: np.ndarray, targets: np.ndarray) -> LiquidStateMachine:
        """Learn the readout from states that were taken before."""
        targets = _fitting(targets, states_BAN)
        self.readout.fit(as_rows(states_BAN, targets.ndim == 2), targets.ravel())
        self._each = targets.ndim == 2
        return self

    def predict(self, samples: Sequence[Sample], *, durations: float | Sequence[float] | None = None) -> np.ndarray:
        """Answers, (B,) or (B, A) as the targets were."""
        each = self._learnt()
        states_BAN = self.states(samples, _durations(samples, durations))
        answers = self.readout.predict(as_rows(states_BAN, each))
        return answers.reshape(len(samples), -1) if each else answers

    def score(
        self, samples: Sequence[Sample], targets: np.ndarray, *, durations: float | Sequence[float] | None = None
    ) -> float:
        """Share of right labels, or R^2 of values; targets as in `fit`."""
        each = self._learnt()
        if (np.ndim(targets) == 2) != each:
            raise ValueError(f"LiquidStateMachine: learnt one target {'an instant' if each else 'a sample'}")
        states_BAN = self.states(samples, _durations(samples, durations))
        return self.readout.score(as_rows(states_BAN, each), _fitting(targets, states_BAN).ravel())

    def _learnt(self) -> bool:
        """Whether targets were one an instant."""
        if self._each is None:
            raise ValueError("LiquidStateMachine: not fitted yet")
        return self._each


def as_rows(states_BAN: np.ndarray, each_instant: bool) -> np.ndarray:
    """(B, A, N) to one row a sample, (B, A N), or one row an instant, (B A, N)."""
    n_samples, n_instants, n_neurons = states_BAN.shape
    shape = (n_samples * n_instants, n_neurons) if each_instant else (n_samples, n_instants * n_neurons)
    return np.ascontiguousarray(states_BAN).reshape(shape)


def _fitting(targets: np.ndarray, states_BAN: np.ndarray) -> np.ndarray:
    targets, (n_samples, n_instants, _) = np.asarray(targets), np.shape(states_BAN)
    if targets.shape not in ((n_samples,), (n_samples, n_instants)):
        allowed = f"({n_samples},) or ({n_samples}, {n_instants})"
        raise ValueError(f"LiquidStateMachine: targets must be {allowed}, got shape {targets.shape}")
    return targets


def _durations(samples: Sequence[Sample], durations: float | Sequence[float] | None) -> float | Sequence[float]:
    if durations is not None:
        return durations
    ends = []
    for sample in samples:
        parts = sample.values() if isinstance(sample, Mapping) else [sample]
        ends.append(max((float(np.max(times)) for times, _ in parts if len(times)), default=0.0))
    if not all(ends):
        raise ValueError("LiquidStateMachine: a sample without spikes needs durations")
    return ends
