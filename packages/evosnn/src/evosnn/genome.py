"""What evolves: one plastic spiking network as arrays, and its file.

Axes: C afferents, N neurons, E edges. Sources are numbered afferents first, then neurons: source c < C is afferent c,
source C + n is neuron n. The first A neurons are the outputs.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file

from evosnn.rule import Rule

if TYPE_CHECKING:
    from evosnn.policy import Policy

KIND, VERSION = "evosnn.genome", 1
LONGEST_DELAY = 62  # a step of a source's history is a bit of an int64

NEURON_ARRAYS: dict[str, type] = {
    "neuron_id": np.int64,
    "is_output": np.bool_,
    "sign": np.int8,
    "tau_m": np.float32,
    "tau_s": np.float32,
    "threshold": np.float32,
    "refractory": np.int32,
    "bias": np.float32,
    "tau_a": np.float32,
    "beta": np.float32,
    "position": np.float32,
}
EDGE_ARRAYS: dict[str, type] = {
    "edge_id": np.int64,
    "source": np.int32,
    "target": np.int32,
    "weight": np.float32,
    "delay": np.int32,
    "enabled": np.bool_,
}
ARRAYS = NEURON_ARRAYS | EDGE_ARRAYS


@dataclass(frozen=True, kw_only=True, eq=False)
class Genome:
    """The description that a network is grown from.

    Arrays are kept as read-only copies. Two genomes are equal if all of their content is.

    Args:
        n_afferents: spike channels C of the encoded observation, >= 0.
        n_outputs: output neurons A, >= 1; they are the first A neurons.
        neuron_id: number of each neuron, distinct, > = n_afferents, int64 (N,). Afferent c has id c.
        is_output: True for the first A neurons, bool (N,).
        sign: +1 or -1, the sign of what a neuron sends where edges follow Dale's law, int8 (N,).
        tau_m: membrane time constant in ms, > 0, float32 (N,).
        tau_s: synaptic time constant in ms, > 0, float32 (N,).
        threshold: membrane value at which a neuron spikes, > 0, float32 (N,). The unit of everything: rest is 0.
        refractory: ms without a spike after a spike, >= 0, int32 (N,).
        bias: constant input, in units of the membrane, float32 (N,).
        tau_a: time constant of the adaptive threshold in ms, > 0, float32 (N,).
        beta: rise of the threshold with each own spike, >= 0; 0 for a plain LIF neuron, float32 (N,).
        position: place in space, in units of the mean spacing, float32 (N, 3).
        edge_id: innovation number of each edge, distinct, int64 (E,).
        source: in [0, C + N), int32 (E,).
        target: in [0, N), int32 (E,).
        weight: its sign is kept by every plasticity rule, float32 (E,).
        delay: ms from a spike to its arrival, 1 to 62, int32 (E,).
        enabled: a disabled edge is inherited, and not in the network, bool (E,).
        rule: plasticity coefficients of all edges and neurons.
        metadata: JSON-able description of what the network is for: task, encoder, decoder.

    Raises:
        ValueError: an array has another shape, is not finite, or is out of its range.
    """

    n_afferents: int
    n_outputs: int
    neuron_id: np.ndarray
    is_output: np.ndarray
    sign: np.ndarray
    tau_m: np.ndarray
    tau_s: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray
    bias: np.ndarray
    tau_a: np.ndarray
    beta: np.ndarray
    position: np.ndarray
    edge_id: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    delay: np.ndarray
    enabled: np.ndarray
    rule: Rule
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, dtype in ARRAYS.items():
            array = _exact(name, getattr(self, name), dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "metadata", dict(self.metadata))
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        for name in ("n_afferents", "n_outputs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"Genome: {name} must be a whole number, got {value!r}")
        n_neurons, n_edges = self.n_neurons, self.n_edges
        if self.n_afferents < 0 or not 1 <= self.n_outputs <= n_neurons:
            raise ValueError(
                f"Genome: got n_afferents={self.n_afferents}, n_outputs={self.n_outputs} with {n_neurons} neurons; "
                "afferents must be >= 0, outputs 1 to the number of neurons"
            )
        for name in ARRAYS:
            rows = n_neurons if name in NEURON_ARRAYS else n_edges
            expected = (rows, 3) if name == "position" else (rows,)
            if getattr(self, name).shape != expected:
                raise ValueError(f"Genome: {name} must have shape {expected}, got {getattr(self, name).shape}")

    def _check_values(self) -> None:
        n_outputs = self.n_outputs
        if not (self.is_output[:n_outputs].all() and not self.is_output[n_outputs:].any()):
            raise ValueError(f"Genome: is_output must be True for the first {n_outputs} neurons and False for others")
        allowed = {
            "neuron_id": (self.n_afferents, math.inf),
            "tau_m": (1e-3, 1e6),
            "tau_s": (1e-3, 1e6),
            "threshold": (1e-6, 1e6),
            "refractory": (0, 1e6),
            "bias": (-1e6, 1e6),
            "tau_a": (1e-3, 1e8),
            "beta": (0, 1e6),
            "position": (-1e6, 1e6),
            "source": (0, self.n_afferents + self.n_neurons - 1),
            "target": (0, self.n_neurons - 1),
            "weight": (-1e6, 1e6),
            "delay": (1, LONGEST_DELAY),
        }
        for name, (low, high) in allowed.items():
            values = getattr(self, name)
            if values.size and not (values.min() >= low and values.max() <= high):  # NaN fails both
                raise ValueError(f"Genome: {name} must lie in [{low:g}, {high:g}], got {values.tolist()}")
        if not (np.abs(self.sign) == 1).all():
            raise ValueError(f"Genome: sign must be +1 or -1, got {self.sign.tolist()}")
        for name in ("neuron_id", "edge_id"):
            values = getattr(self, name)
            if len(set(values.tolist())) != len(values):
                raise ValueError(f"Genome: {name} has numbers that are there twice")
        if not isinstance(self.rule, Rule):
            raise ValueError(f"Genome: rule must be a Rule, got {type(self.rule).__name__}")

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.neuron_id)

    @property
    def n_edges(self) -> int:
        """Number of edges E, disabled ones included."""
        return len(self.edge_id)

    @property
    def n_enabled(self) -> int:
        """Number of edges that are in the network."""
        return int(self.enabled.sum())

    def source_ids(self) -> np.ndarray:
        """Ids of all sources, int64 (C + N,): afferents have the ids 0 to C - 1."""
        return np.concatenate([np.arange(self.n_afferents, dtype=np.int64), self.neuron_id])

    def replace(self, **changes: Any) -> Genome:
        """The genome with other values in some fields.

        Raises:
            ValueError: as for `Genome`.
        """
        return replace(self, **changes)

    def derive(self, **changes: Any) -> Genome:
        """The genome with other values in some fields, unchecked: for changes that keep what a genome promises."""
        made = object.__new__(Genome)
        made.__dict__.update(self.__dict__)
        for name, value in changes.items():
            if name in ARRAYS:
                value = np.array(value, dtype=ARRAYS[name])
                value.setflags(write=False)
            made.__dict__[name] = value
        return made

    def digest(self) -> str:
        """BLAKE2b of all content: equal for equal genomes, on every machine."""
        state = hashlib.blake2b(self._description().encode(), digest_size=16)
        for name in ARRAYS:
            state.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return state.hexdigest()

    def _description(self) -> str:
        facts = {
            "n_afferents": self.n_afferents,
            "n_outputs": self.n_outputs,
            "rule": asdict(self.rule),
            "metadata": self.metadata,
        }
        return json.dumps(facts, sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genome) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def save(self, path: str | Path) -> None:
        """Write the genome as one file (safetensors with a format name, a version and a checksum).

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        tensors = {name: torch.from_numpy(np.array(getattr(self, name))) for name in ARRAYS}
        write_tensor_file(path, tensors, kind=KIND, version=VERSION, metadata=json.loads(self._description()))

    @classmethod
    def load(cls, path: str | Path) -> Genome:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: damaged, of another kind or a newer version.
        """
        tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
        try:
            return genome_from_state({name: tensor.numpy() for name, tensor in tensors.items()} | {"facts": facts})
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise FileFormatError(f"{path}: not a usable genome: {error}") from error

    def policy(self, **options: Any) -> Policy:
        """The genome as a policy, observation to action, that drives any gymnasium environment; see `Policy`."""
        from evosnn.policy import Policy

        return Policy(self, **options)

    def draw(self, path: str | Path, **options: Any) -> Path:
        """Draw the network to a picture; see `evosnn.drawing`."""
        from evosnn.drawing import draw_genome

        return draw_genome(self, path, **options)


def _exact(name: str, values: Any, dtype: type) -> np.ndarray:
    """A copy in another type, that of whole numbers only where it holds the same numbers."""
    given = np.asarray(values)
    with np.errstate(invalid="ignore"):  # of NaN, which then differs
        array = given.astype(dtype)
    if not np.issubdtype(dtype, np.floating) and not np.array_equal(array, given):
        raise ValueError(f"Genome: {name} must hold whole numbers that fit {np.dtype(dtype)}, got {given.tolist()}")
    return array


def genome_state(genome: Genome) -> dict[str, Any]:
    """The genome as arrays and plain values, for checkpoints: `genome_from_state` makes it again."""
    return {name: getattr(genome, name) for name in ARRAYS} | {"facts": json.loads(genome._description())}


def genome_from_state(state: Mapping[str, Any]) -> Genome:
    """A genome from what `genome_state` gave.

    Raises:
        ValueError: something is missing, of another type, or out of its range.
    """
    facts = state["facts"]
    if set(state) != {*ARRAYS, "facts"} or set(facts) != {"n_afferents", "n_outputs", "rule", "metadata"}:
        raise ValueError(f"fields of a genome are missing or unknown: {sorted(state)}, {sorted(facts)}")
    for name, dtype in ARRAYS.items():
        if state[name].dtype != dtype:
            raise ValueError(f"{name} is {state[name].dtype}, expected {np.dtype(dtype)}")
    known = {item.name for item in fields(Rule)}
    if set(facts["rule"]) != known:
        raise ValueError(f"rule: expected {sorted(known)}, got {sorted(facts['rule'])}")
    return Genome(
        n_afferents=facts["n_afferents"],
        n_outputs=facts["n_outputs"],
        **{name: state[name] for name in ARRAYS},
        rule=Rule(**facts["rule"]),
        metadata=facts["metadata"],
    )
