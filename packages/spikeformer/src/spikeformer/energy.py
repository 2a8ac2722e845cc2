"""Work of a model a token: additions driven by spikes, against the multiply-adds of its dense twin.

Symbols: T micro-steps, D channels, F hidden channels of the MLP, H heads, d channels of a head, V tokens, n keys, I
channels of spike trains that come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from spikeformer.config import SpikeformerConfig
from spikeformer.token_model import SpikeformerOutput, TokenModel

ADD_PICOJOULE = 0.9
MULTIPLY_ADD_PICOJOULE = 4.6
_NORM = 3  # multiply-adds a channel: mean, variance, scale
_KINDS = ("input", "query", "key", "value", "attention", "mlp_input", "mlp")


@dataclass(frozen=True)
class EnergyReport:
    """Operations and energy of a token.

    Args:
        additions: by part of the spiking model, driven by spikes: one for each spike and each weight it meets.
        multiply_adds: by part of the spiking model, whether neurons fire or not.
        dense_multiply_adds: by part of the dense twin.
        spiking_nanojoule: of the spiking model.
        dense_nanojoule: of the dense twin.
        ratio: dense over spiking.
        assumptions: what the energies rest on.
    """

    additions: dict[str, float]
    multiply_adds: dict[str, float]
    dense_multiply_adds: dict[str, float]
    spiking_nanojoule: float
    dense_nanojoule: float
    ratio: float
    assumptions: str

    @property
    def synaptic_operations(self) -> float:
        """Additions driven by spikes, all parts."""
        return sum(self.additions.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {**asdict(self), "synaptic_operations": self.synaptic_operations}


def energy_report(
    model: TokenModel | SpikeformerConfig,
    rates: SpikeformerOutput | Mapping[str, Tensor | float],
    *,
    keys: int | None = None,
    add: float = ADD_PICOJOULE,
    multiply_add: float = MULTIPLY_ADD_PICOJOULE,
) -> EnergyReport:
    """Count the operations of a token and what they would cost.

    A spike costs one addition for each weight it meets; a layer with n inputs, m outputs and firing rate r takes
    T r n m of them a token, where the dense twin takes n m multiply-adds. Membranes, norms, the decay of the memory,
    the slow trace and the readout are counted as multiply-adds in full. So is, in both models, the layer that takes
    spike trains in where the configuration has input_dim: they may be currents. With learn_delay the keys are mixtures
    of two shifts: T D multiply-adds, and twice as many that are not zero, at most. Inhibition is taken off apart from
    the spikes of the queries: each key spike adds its c to one number, which the mode "linear" keeps by value channel,
    with a decay, and the others subtract from the scores of that key. Memory traffic is not counted.

    Args:
        model: a `Spikeformer`, or its configuration.
        rates: an output of the model, or its `rates` (or means of them over a text).
        keys: n, keys that a token looks back on in the modes "coincidence" and "softmax"; config.context by default.
        add: energy of an addition in pJ.
        multiply_add: energy of a multiplication with addition in pJ.

    Returns:
        Operations by part, energies and their ratio.

    Raises:
        ValueError: rates of a layer are missing, as in the output of a dense twin.

    References:
        Horowitz (2014), ISSCC, doi 10.1109/ISSCC.2014.6757323, figure 1.1.9: 45 nm, 0.9 V, float32: 0.9 pJ an addition,
        3.7 pJ a multiplication.
    """
    config = model.config if isinstance(model, TokenModel) else model
    given = rates.rates if isinstance(rates, SpikeformerOutput) else rates
    wanted = [f"layers.{i}.{kind}" for i in range(config.layers) for kind in _KINDS]
    missing = [name for name in wanted if name not in given]
    if missing:
        raise ValueError(f"energy_report: rates of {len(missing)} layers are missing, {missing[0]} first")
    keys = config.context if keys is None else keys
    layers = [{kind: float(given[f"layers.{i}.{kind}"]) for kind in _KINDS} for i in range(config.layers)]
    additions: dict[str, float] = {"linear": 0.0, "attention": 0.0}
    for rate in layers:
        linear, attention = _spike_additions(config, rate, keys)
        additions["linear"] += linear
        additions["attention"] += attention
    multiply_adds = _spiking_multiply_adds(config, keys)
    dense = _dense_multiply_adds(config, keys)
    spiking_pj = add * sum(additions.values()) + multiply_add * sum(multiply_adds.values())
    dense_pj = multiply_add * sum(dense.values())
    return EnergyReport(
        additions=additions,
        multiply_adds=multiply_adds,
        dense_multiply_adds=dense,
        spiking_nanojoule=spiking_pj / 1000,
        dense_nanojoule=dense_pj / 1000,
        ratio=dense_pj / spiking_pj,
        assumptions=f"{add} pJ an addition, {multiply_add} pJ a multiply-add (defaults: float32 at 45 nm, Horowitz "
        "2014); no memory traffic",
    )


def _spike_additions(config: SpikeformerConfig, rate: dict[str, float], keys: int) -> tuple[float, float]:
    """Additions of one block: linear layers, attention."""
    T, D, F, d = config.steps, config.dim, config.mlp_ratio * config.dim, config.head_dim
    linear = rate["input"] * 3 * D * D + rate["attention"] * D * D + rate["mlp_input"] * D * F + rate["mlp"] * F * D
    key = min(1.0, 2 * rate["key"]) if config.learn_delay else rate["key"]
    if config.attention == "linear":
        attention = key * rate["value"] * D * d + rate["query"] * D * d
        inhibition = (key + rate["value"]) * D
    else:
        attention = keys * D * (rate["query"] * key + rate["value"])
        inhibition = key * D
    return T * linear, T * (attention + inhibition)


def _spiking_multiply_adds(config: SpikeformerConfig, keys: int) -> dict[str, float]:
    """Of all blocks, whatever fires."""
    T, D, F = config.steps, config.dim, config.mlp_ratio * config.dim
    neurons = T * (6 * D + F)
    attention = {"linear": T * D * config.head_dim, "coincidence": 0, "softmax": config.heads * keys}
    inhibition = 2 * T * D if config.attention == "linear" else config.heads * keys
    return {
        "neurons": float(config.layers * neurons),
        "norms": float(_NORM * T * D * (3 * config.layers + 1)),
        "delays": float(config.layers * T * config.delays * D),
        "attention": float(config.layers * (attention[config.attention] + (T * D if config.learn_delay else 0))),
        "inhibition": float(config.layers * inhibition),
        "memory": float(config.layers * (D * D + 2 * D) if config.memory else 0),
        "input": float(T * D * (config.input_dim or 0)),
        "embedding": float(T * D),
        "readout": float(config.vocab_size * D),
    }


def _dense_multiply_adds(config: SpikeformerConfig, keys: int) -> dict[str, float]:
    D, F = config.dim, config.mlp_ratio * config.dim
    attention = 3 * D * config.head_dim if config.attention == "linear" else 2 * keys * D + config.heads * keys
    return {
        "linear": float(config.layers * (4 * D * D + 2 * D * F)),
        "norms": float(_NORM * D * (3 * config.layers + 1)),
        "delays": float(config.layers * config.delays * D),
        "activations": float(config.layers * F),
        "attention": float(config.layers * (attention + (2 * D if config.phase else 0))),
        "memory": float(config.layers * (D * D + 2 * D) if config.memory else 0),
        "input": float(config.steps * D * (config.input_dim or 0)),
        "readout": float(config.vocab_size * D),
    }
