"""Evolving Connectivity: an evolution strategy over the probabilities that connections exist.

Axes: P sampled networks, S sources, N neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ddp_utils import keyed_numpy_generator

from evosnn.champions import Champion
from evosnn.evaluation import Evaluator, FitnessError, check_finite
from evosnn.evolution_checkpoint import EvolutionStateError, check_identity, pack_champions, unpack_champions
from evosnn.evolution_config import EvaluationConfig, SpeciationConfig
from evosnn.genome import Genome
from evosnn.initial_genome import unit_weight
from evosnn.innovation import edge_number
from evosnn.interface import Interface
from evosnn.population_statistics import population_statistics
from evosnn.rule import Rule
from evosnn.search import Search
from evosnn.task_evaluator import TaskEvaluator, suitable_interface
from evosnn.tasks.task import Task
from evosnn.value_ranges import check_ranges


@dataclass(frozen=True, kw_only=True)
class ConnectivityConfig:
    """Settings of a `ConnectivityEvolution`.

    Args:
        neurons: neurons N of every network, at least as many as the task has outputs, >= 1.
        weight: magnitude of every weight, in units in which one afferent of drive 1 holds a neuron at its threshold.
        inhibitory: probability that a neuron, or a connection of an afferent, inhibits.
        probability: probability of each connection at the start, in (0, 1).
        rate: learning rate of the probabilities, > 0.
        margin: probabilities stay in [margin, 1 - margin], so that exploration never ends, in (0, 0.5).
        tau_m: membrane time constant of all neurons in ms, > 0.
        tau_s: synaptic time constant of all neurons in ms, > 0.
        bias: constant input of all neurons, in thresholds.
        episodes: episodes of each network a generation, >= 1.
    """

    neurons: int = 32
    weight: float = 1.0
    inhibitory: float = 0.5
    probability: float = 0.5
    rate: float = 0.15
    margin: float = 1e-3
    tau_m: float = 10.0
    tau_s: float = 3.0
    bias: float = 0.8
    episodes: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, neurons=(1, 100_000), weight=(1e-6, 1e6), inhibitory=(0.0, 1.0), rate=(1e-9, 1e3))
        check_ranges(self, margin=(1e-9, 0.49), probability=(self.margin, 1 - self.margin), episodes=(1, 100_000))
        check_ranges(self, tau_m=(1e-2, 1e5), tau_s=(1e-2, 1e5), bias=(-1e6, 1e6))


class ConnectivityEvolution(Search):
    """Natural evolution strategy over connection probabilities; weights have one magnitude, and signs by their source.

        theta_sn ~ Bernoulli(rho_sn),   g_sn = mean_p u_p (theta_psn - rho_sn),   rho <- clip(rho + rate g)

    with u the centred ranks of the fitness, brought to unit standard deviation. Networks are sampled in mirrored pairs
    (uniforms v and 1 - v), which halves the noise of g.

    A neuron sends with one sign through all its connections; an afferent's connections have signs of their own, drawn
    once.

        search = ConnectivityEvolution("CartPole-v1", population=256, seed=0)
        result = search.run(generations=50, target=475)
        result.best.save("cartpole.genome")

    or, with a fitness of one's own, by `ask` and `tell`.

    Args:
        task: name of a task, a `Task` or an `Interface`; None: an evaluator is given. Networks do not learn within a
            life.
        population: networks sampled a generation, even, >= 2.
        seed: everything random depends on it.
        config: settings.
        evaluator: what measures genomes instead of a task's closed loop.
        device: where networks and episodes live.

    Raises:
        ValueError: an argument is out of its range, or there is no such task.

    References:
        Wang, Sun, Li, Ding, Lin, Zhang, Chen (2023), Evolving Connectivity for Recurrent Spiking Neural Networks,
            arXiv 2305.17650.

    Departs from:
        the reference: ranks instead of raw fitness, mirrored samples, and any bias or time constant of LIF neurons.
    """

    def __init__(
        self,
        task: str | Task | Interface | None = None,
        *,
        population: int = 256,
        seed: int = 0,
        config: ConnectivityConfig | None = None,
        evaluator: Evaluator | None = None,
        device: str = "cpu",
    ) -> None:
        if isinstance(population, bool) or not isinstance(population, int) or population < 2 or population % 2:
            raise ValueError(f"ConnectivityEvolution: population must be even and at least 2, got {population!r}")
        if (task is None) == (evaluator is None):
            raise ValueError("ConnectivityEvolution: give either a task or an evaluator")
        if task is not None:
            interface = task if isinstance(task, Interface) else suitable_interface(task, plastic=False)
            evaluator = TaskEvaluator(interface, device=device)
        assert evaluator is not None
        self.config = config or ConnectivityConfig()
        if self.config.neurons < evaluator.n_outputs:
            raise ValueError(
                f"ConnectivityEvolution: config.neurons is {self.config.neurons}, the task needs {evaluator.n_outputs}"
            )
        super().__init__(evaluator, population, seed)
        self._asked: list[Genome] | None = None
        self._rate_P = np.full(population, np.nan)
        n_sources, n_neurons = evaluator.n_afferents + self.config.neurons, self.config.neurons
        self.probability_SN = np.full((n_sources, n_neurons), self.config.probability)
        fixed = keyed_numpy_generator(seed, "connectivity.fixed")
        sign_SN = np.where(fixed.random((n_sources, n_neurons)) < self.config.inhibitory, -1, 1)
        own = fixed.random(n_neurons) < self.config.inhibitory
        sign_SN[evaluator.n_afferents :] = np.where(own, -1, 1)[:, None]
        self._sign_SN, self._position_N3 = sign_SN, fixed.uniform(-1.0, 1.0, (n_neurons, 3))
        c = evaluator.n_afferents
        self._number_SN = np.array([[edge_number(s, c + t) for t in range(n_neurons)] for s in range(n_sources)])

    def _sample(self) -> np.ndarray:
        """Connections of all networks of this generation: bool (P, S, N)."""
        shape = self.probability_SN.shape
        pairs = [
            keyed_numpy_generator(self.seed, f"connectivity.{self.generation}", k).random(shape)
            for k in range(self.population // 2)
        ]
        return np.stack(
            [chosen for v_SN in pairs for chosen in (v_SN < self.probability_SN, v_SN > 1 - self.probability_SN)]
        )

    def ask(self) -> list[Genome]:
        """The networks of the present generation, P genomes."""
        if self._asked is None:
            self._asked = [self._genome(connected_SN) for connected_SN in self._sample()]
        return list(self._asked)

    def best(self) -> Genome:
        """The network of all connections that are more likely than not."""
        return self._genome(self.probability_SN > 0.5)

    def measure(self) -> np.ndarray:
        """Fitness of the present generation: the mean score of each network's episodes, float64 (P,)."""
        fitness_P, self._rate_P = self.measurement.fitness(self.ask(), self.generation, self.evaluation)
        return fitness_P

    @property
    def evaluation(self) -> EvaluationConfig:
        """How fitness is measured: all networks alike, and who reaches the target on the episodes of a claim."""
        return EvaluationConfig(episodes=self.config.episodes, finalists=0)

    def _contenders(self) -> list[Champion]:
        """The best samples, and the network of the likely connections."""
        return [*super()._contenders(), Champion(self.best(), -np.inf, self.generation)]

    def tell(self, fitness: Sequence[float] | np.ndarray) -> dict[str, Any]:
        """Take the fitness of the present generation and move the probabilities.

        Args:
            fitness: one finite number a network, in the order of `ask`; larger is better. (P,).

        Returns:
            The record of the generation: its number, its figures (see `population_statistics`, but for species and
            rules), `decided` (share of the probabilities that are beyond 0.1 and 0.9) and `episodes` (lived so far).

        Raises:
            FitnessError: not one finite number a network.
        """
        fitness_P = np.asarray(fitness, np.float64)
        if fitness_P.shape != (self.population,):
            raise FitnessError(f"tell: expected {self.population} fitness values, got shape {fitness_P.shape}")
        check_finite(fitness_P)
        utility_P = centred_ranks(fitness_P)
        moved_SN = np.tensordot(utility_P, self._sample() - self.probability_SN, axes=1) / self.population
        margin = self.config.margin
        self.probability_SN = np.clip(self.probability_SN + self.config.rate * moved_SN, margin, 1 - margin)
        decided = (self.probability_SN < 0.1) | (self.probability_SN > 0.9)
        genomes = self.ask()
        best = int(fitness_P.argmax())
        self.champions.offer(Champion(genomes[best], float(fitness_P[best]), self.generation))
        figures = population_statistics(genomes, fitness_P, (), self._rate_P, SpeciationConfig())
        record = {
            "generation": self.generation,
            **{name: value for name, value in figures.items() if name not in ("species", "direct", "reward")},
            "decided": float(decided.mean()),
            "episodes": self.episodes,
        }
        self.history.append(record)
        self.generation += 1
        self._asked, self._rate_P = None, np.full(self.population, np.nan)
        return dict(record)

    def _genome(self, connected_SN: np.ndarray) -> Genome:
        evaluator, config = self.measurement.evaluator, self.config
        n, c = config.neurons, evaluator.n_afferents
        source, target = np.nonzero(connected_SN)
        each = np.ones(n)
        unit = unit_weight(config.tau_m * each, config.tau_s * each, each)
        return Genome(
            n_afferents=c,
            n_outputs=evaluator.n_outputs,
            neuron_id=c + np.arange(n),
            is_output=np.arange(n) < evaluator.n_outputs,
            sign=self._sign_SN[c:, 0],
            tau_m=config.tau_m * each,
            tau_s=config.tau_s * each,
            threshold=each,
            refractory=0 * each,
            bias=config.bias * each,
            tau_a=200.0 * each,
            beta=0 * each,
            position=self._position_N3,
            edge_id=self._number_SN[source, target],
            source=source,
            target=target,
            weight=self._sign_SN[source, target] * config.weight * unit[target],
            delay=np.ones(len(source)),
            enabled=np.ones(len(source)),
            rule=Rule.off(),
            metadata=evaluator.metadata,
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the next generations depend on."""
        return {
            **self._identity(),
            "generation": self.generation,
            "episodes": self.episodes,
            "probability": self.probability_SN,
            "history": self.history,
            "champions": pack_champions(self.champions),
        }

    def _identity(self) -> dict[str, Any]:
        metadata = dict(self.measurement.evaluator.metadata)
        return {"seed": self.seed, "population": self.population, "config": asdict(self.config), "metadata": metadata}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            EvolutionStateError: it is not one, or of another run.
        """
        check_identity(state, self._identity())
        try:
            probability_SN = np.array(state["probability"], np.float64)
            if (
                probability_SN.shape != self.probability_SN.shape
                or not ((probability_SN > 0) & (probability_SN < 1)).all()
            ):
                raise ValueError("probabilities of another shape, or not in (0, 1)")
            self.champions = unpack_champions(state["champions"])
            self.history = [dict(record) for record in state["history"]]
            self.generation, self.measurement.episodes = state["generation"], state["episodes"]
        except (KeyError, TypeError, ValueError) as error:
            raise EvolutionStateError(f"checkpoint: not the state of a connectivity evolution: {error}") from error
        self.probability_SN, self._asked = probability_SN, None
        self._rate_P = np.full(self.population, np.nan)


def centred_ranks(fitness_P: np.ndarray) -> np.ndarray:
    """Ranks of the fitness with mean 0 and standard deviation 1; equals share theirs, and all equals give 0.

    Args:
        fitness_P: finite, (P,).
    """
    _, level, counts = np.unique(fitness_P, return_inverse=True, return_counts=True)
    rank_P = (np.cumsum(counts) - (counts - 1) / 2)[level]
    rank_P -= rank_P.mean()
    return rank_P / rank_P.std() if rank_P.std() > 0 else rank_P
