"""`neuro evolve inspect`: what a genome holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from evosnn.drawing import draw_genome, source_names

from neuro.evolve_replay import load_genome
from neuro.output import check_writable

NEURON_COLUMNS = ("neuron", "tau_m, ms", "tau_s, ms", "threshold", "bias", "refractory", "beta", "synapses")
SYNAPSE_COLUMNS = ("synapse", "weight", "delay, ms")
_SHOWN = 20


def inspect(path: Path, draw: Path | None) -> dict[str, Any]:
    """Facts of a genome; draws it if asked to."""
    if draw is not None:
        check_writable(draw)
    genome = load_genome(path)
    names = source_names(genome)
    own = names[genome.n_afferents :]
    enabled = np.flatnonzero(genome.enabled)
    arriving = np.bincount(genome.target[enabled], minlength=genome.n_neurons)
    if draw is not None:
        draw_genome(genome, draw)
    return {
        "file": str(path),
        "digest": genome.digest(),
        "afferents": genome.n_afferents,
        "outputs": genome.n_outputs,
        "neurons": [
            {
                "name": own[n],
                "tau_m": float(genome.tau_m[n]),
                "tau_s": float(genome.tau_s[n]),
                "threshold": float(genome.threshold[n]),
                "bias": float(genome.bias[n]),
                "refractory": int(genome.refractory[n]),
                "beta": float(genome.beta[n]),
                "synapses": int(arriving[n]),
            }
            for n in range(genome.n_neurons)
        ],
        "synapses": [
            {
                "from": names[genome.source[e]],
                "to": own[genome.target[e]],
                "weight": float(genome.weight[e]),
                "delay": int(genome.delay[e]),
            }
            for e in enabled
        ],
        "disabled": genome.n_edges - len(enabled),
        "rule": asdict(genome.rule),
        "learns": genome.rule.learns and bool(genome.metadata.get("plastic", True)),
        "metadata": dict(genome.metadata),
    }


def in_words(facts: dict[str, Any]) -> str:
    """A genome in a sentence."""
    task = (facts["metadata"].get("task") or {}).get("name", "no task named")
    kind = "plastic" if facts["learns"] else "not plastic"
    return (
        f"{facts['file']}: {task}; {facts['afferents']} afferents, {len(facts['neurons'])} neurons, "
        f"{facts['outputs']} of them outputs, {len(facts['synapses'])} synapses, "
        f"{facts['disabled']} disabled; {kind}"
    )


def neuron_rows(facts: dict[str, Any]) -> list[list[str]]:
    """The neurons as a table."""
    rows = []
    for neuron in facts["neurons"]:
        figures = [f"{neuron[name]:.3g}" for name in ("tau_m", "tau_s", "threshold", "bias", "refractory", "beta")]
        rows.append([neuron["name"], *figures, str(neuron["synapses"])])
    return rows


def synapse_rows(facts: dict[str, Any]) -> list[list[str]]:
    """The strongest synapses as a table."""
    order = sorted(facts["synapses"], key=lambda synapse: -abs(synapse["weight"]))[:_SHOWN]
    return [[f"{each['from']} → {each['to']}", f"{each['weight']:+.3g}", str(each["delay"])] for each in order]
