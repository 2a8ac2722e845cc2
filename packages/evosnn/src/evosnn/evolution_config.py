"""Settings of an evolution: nested, frozen, validated."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from evosnn.rule import Rule
from evosnn.value_ranges import NOT_NEGATIVE, PROBABILITY, check_ranges


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """The genomes of generation 0: outputs and a few hidden neurons, sparse, each drawn anew.

    Args:
        neurons: neurons a genome starts with; more where the task has more outputs. >= 1.
        connect: probability of an edge from an afferent to a neuron.
        recurrent: probability of an edge between two neurons, where `reach` is 0.
        reach: above 0, two neurons are connected with probability C exp(-(D / reach)^2) instead, by their distance in
            space (positions are uniform in [-1, 1]^3) and their kinds; see `distance_connectivity`. >= 0.
        weight: mean strength of an afferent's synapses, in units in which one afferent of drive 1, alone, holds a
            neuron at its threshold; > 0. Larger: initial networks fire more.
        inhibitory: probability that a weight (or, under Dale's law, a neuron) is negative.
        longest_delay: delays are drawn log-uniformly from 1 to this, in ms, 1 to 62.
        tau_m_low: least membrane time constant, in ms; they are drawn log-uniformly.
        tau_m_high: greatest membrane time constant, in ms.
        tau_s_low: least synaptic time constant, in ms; likewise.
        tau_s_high: greatest synaptic time constant, in ms.
        adaptive: probability that a neuron has an adaptive threshold.
        bias: mean constant input, in thresholds: above 1 a neuron fires on its own, and inputs modulate it.
        bias_spread: standard deviation of the constant input.
        opponent: probability that what a neuron hears of the negative part of an observation value is the mirror of
            what it hears of the positive part: the same strength and delay, the other sign ("rate" encoding).
    """

    neurons: int = 3
    connect: float = 0.9
    recurrent: float = 0.5
    reach: float = 0.0
    weight: float = 4.0
    inhibitory: float = 0.5
    longest_delay: int = 10
    tau_m_low: float = 2.0
    tau_m_high: float = 15.0
    tau_s_low: float = 1.0
    tau_s_high: float = 5.0
    adaptive: float = 0.2
    bias: float = 1.0
    bias_spread: float = 0.2
    opponent: float = 0.8

    def __post_init__(self) -> None:
        check_ranges(
            self,
            neurons=(1, 10_000),
            connect=PROBABILITY,
            recurrent=PROBABILITY,
            reach=NOT_NEGATIVE,
            weight=(1e-6, 1e6),
            inhibitory=PROBABILITY,
            longest_delay=(1, 62),
            tau_m_low=(1e-2, self.tau_m_high),
            tau_m_high=(1e-2, 1e5),
            tau_s_low=(1e-2, self.tau_s_high),
            tau_s_high=(1e-2, 1e5),
            adaptive=PROBABILITY,
            bias=(-1e6, 1e6),
            bias_spread=NOT_NEGATIVE,
            opponent=PROBABILITY,
        )


@dataclass(frozen=True, kw_only=True)
class MutationConfig:
    """How a child differs from its parents. Rates are probabilities a child, but for those said to be a share.

    Args:
        weight_rate: weights are perturbed.
        weight_share: share of the edges that a perturbation of the weights reaches.
        weight_size: scale of the change of a weight, in units of the mean strength of the network's weights. The step
            of one child is this times a log-uniform factor from 0.05 to 2.
        weight_reset: share of the reached edges that get a new weight instead.
        mirror: probability that a child's changes of weights are mirrored between opponent afferents.
        neuron_rate: parameters of neurons (time constants, refractory period, bias, adaptation) are perturbed.
        neuron_size: scale of that change, in natural logarithms of the parameter.
        delay_rate: delays are perturbed.
        add_edge: a new edge.
        remove_edge: an edge is taken out.
        toggle_edge: an edge is enabled or disabled.
        add_neuron: an edge is split by a relay neuron.
        remove_neuron: a hidden neuron is taken out.
        duplicate: a hidden neuron is copied with its edges, and both send half.
        rewire: an edge gets another source.
        prune_below: edges weaker than this times the mean strength are taken out of children, >= 0; 0 for never.
        rule_rate: plasticity coefficients are perturbed (where rules evolve).
        rule_size: scale of that change, in natural logarithms of the coefficient.
        plasticity_drift: log change a generation of every child's learning rates; a hand for who steers.
        most_neurons: no genome grows beyond this.
        most_edges: nor beyond this.
    """

    weight_rate: float = 0.9
    weight_share: float = 0.5
    weight_size: float = 0.8
    weight_reset: float = 0.05
    mirror: float = 0.5
    neuron_rate: float = 0.4
    neuron_size: float = 0.3
    delay_rate: float = 0.2
    add_edge: float = 0.25
    remove_edge: float = 0.1
    toggle_edge: float = 0.03
    add_neuron: float = 0.1
    remove_neuron: float = 0.04
    duplicate: float = 0.05
    rewire: float = 0.1
    prune_below: float = 0.0
    rule_rate: float = 0.3
    rule_size: float = 0.4
    plasticity_drift: float = 0.0
    most_neurons: int = 32
    most_edges: int = 256

    def __post_init__(self) -> None:
        names = [item.name for item in fields(self)]
        rates = [n for n in names if n.endswith(("_rate", "_share", "_reset", "_edge", "_neuron"))]
        check_ranges(self, **dict.fromkeys([*rates, "duplicate", "rewire", "mirror"], PROBABILITY))
        check_ranges(self, **dict.fromkeys(["weight_size", "neuron_size", "rule_size", "prune_below"], NOT_NEGATIVE))
        check_ranges(self, plasticity_drift=(-10.0, 10.0), most_neurons=(1, 100_000), most_edges=(1, 10_000_000))


@dataclass(frozen=True, kw_only=True)
class SpeciationConfig:
    """Which genomes compete with each other.

    Args:
        species: number of species that the distance threshold is steered to, >= 1; 1: no species.
        disjoint: weight of the share of edges that only one of two genomes has, >= 0.
        weights: weight of the mean difference of weights, in units of their mean strength, >= 0.
        neurons: weight of the mean log difference of the outputs' time constants, >= 0.
        stagnation: a species without a new best for this many generations leaves no children (the best species always
            does), >= 1.
    """

    species: int = 8
    disjoint: float = 1.0
    weights: float = 0.5
    neurons: float = 0.3
    stagnation: int = 15

    def __post_init__(self) -> None:
        check_ranges(self, species=(1, 10_000), stagnation=(1, 1_000_000))
        check_ranges(self, **dict.fromkeys(["disjoint", "weights", "neurons"], NOT_NEGATIVE))


@dataclass(frozen=True, kw_only=True)
class SelectionConfig:
    """Who has children.

    Args:
        survival: share of a species that may have children, best first, (0, 1].
        tournament: the better of this many drawn survivors becomes a parent, >= 1. Larger: more pressure.
        elites: share of the population that goes on unchanged, best first; at least one individual does.
        crossover: probability that a child has two parents.
        immigrants: share of children that are drawn anew like generation 0.
    """

    survival: float = 0.3
    tournament: int = 2
    elites: float = 0.03
    crossover: float = 0.4
    immigrants: float = 0.03

    def __post_init__(self) -> None:
        check_ranges(self, survival=(1e-6, 1.0), tournament=(1, 1_000_000), elites=(0.0, 0.5))
        check_ranges(self, crossover=PROBABILITY, immigrants=PROBABILITY)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How fitness is measured.

    Args:
        episodes: episodes of each individual a generation, with the same seeds for all, >= 1.
        finalists: how many of the best are measured again on more episodes before parents are chosen, >= 0.
        final_episodes: how many more, >= 0.
        claim_episodes: episodes on which a champion must hold the target before a run says that it is solved, >= 1.
    """

    episodes: int = 1
    finalists: int = 8
    final_episodes: int = 8
    claim_episodes: int = 100

    def __post_init__(self) -> None:
        check_ranges(self, episodes=(1, 100_000), finalists=(0, 1_000_000), final_episodes=(0, 100_000))
        check_ranges(self, claim_episodes=(1, 100_000))


@dataclass(frozen=True, kw_only=True)
class EvolutionConfig:
    """All settings of an `Evolution`.

    Args:
        start: generation 0.
        mutation: how children differ.
        speciation: who competes with whom.
        selection: who has children.
        evaluation: how fitness is measured.
        rule: plasticity that generation 0 has; by default none.
        plastic: networks learn during their life, by the rule. False: weights stay as they are born, whatever it says.
        evolve_rule: plasticity coefficients are inherited with mutations, and drawn around `rule` at the start; those
            that are 0 stay 0.
        dale: all edges of a neuron have the neuron's sign.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value is out of its range, or a rule is to evolve that changes nothing.
    """

    start: StartConfig = field(default_factory=StartConfig)
    mutation: MutationConfig = field(default_factory=MutationConfig)
    speciation: SpeciationConfig = field(default_factory=SpeciationConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    rule: Rule = field(default_factory=Rule.off)
    plastic: bool = True
    evolve_rule: bool = False
    dale: bool = False

    def __post_init__(self) -> None:
        for name, kind in (SECTIONS | {"rule": Rule, "plastic": bool, "evolve_rule": bool, "dale": bool}).items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"EvolutionConfig: {name} must be a {kind.__name__}, got {getattr(self, name)!r}")
        if self.evolve_rule and not self.learns:
            lacks = "plastic=True" if self.rule.learns else "a rule that learns, such as Rule.mstdpet()"
            raise ValueError(f"EvolutionConfig: evolve_rule=True needs {lacks}: nothing else would come of it")

    @property
    def learns(self) -> bool:
        """Whether networks change while they live."""
        return self.plastic and self.rule.learns

    def adjusted(self, **settings: Any) -> EvolutionConfig:
        """The configuration with other values in some settings, named without their section.

        Args:
            settings: for example `weight_size=0.5, tournament=4`.

        Raises:
            TypeError: a value is of another type.
            ValueError: there is no such setting (the nearest is named), or a value is out of its range.
        """
        homes = {item.name: section for section, kind in SECTIONS.items() for item in fields(kind)}
        homes |= dict.fromkeys(["plastic", "evolve_rule", "dale"], "")
        changes: dict[str, dict[str, Any]] = {}
        for name, value in settings.items():
            if name not in homes:
                raise ValueError(f"adjust: no setting {name!r}{_nearest(name, list(homes))}")
            changes.setdefault(homes[name], {})[name] = value
        own = changes.pop("", {})
        return replace(self, **{s: replace(getattr(self, s), **values) for s, values in changes.items()}, **own)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `from_dict` takes them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvolutionConfig:
        """A configuration from nested plain values; what is not given is as by default.

        Raises:
            TypeError: a value is of another type.
            ValueError: a key is not known (the nearest is named), or a value is out of its range.
        """
        kinds: dict[str, Any] = SECTIONS | {"rule": Rule}
        _check_keys("", values, [item.name for item in fields(cls)])
        made = dict(values)
        for name, kind in kinds.items():
            if name in made and not isinstance(made[name], kind):
                if not isinstance(made[name], Mapping):
                    raise TypeError(f"EvolutionConfig: {name} must be a table of settings, got {made[name]!r}")
                _check_keys(f"{name}.", made[name], [item.name for item in fields(kind)])
                made[name] = kind(**made[name])
        return cls(**made)


SECTIONS: dict[str, type] = {
    "start": StartConfig,
    "mutation": MutationConfig,
    "speciation": SpeciationConfig,
    "selection": SelectionConfig,
    "evaluation": EvaluationConfig,
}


def _check_keys(prefix: str, values: Mapping[str, Any], known: list[str]) -> None:
    for key in values:
        if key not in known:
            raise ValueError(f"evolution config: no setting {prefix + key!r}{_nearest(key, known)}")


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"
