"""`neuro liquid build`: a network drawn, measured and saved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ddp_utils import process_group, setup_logging

from neuro.config import ConfigError
from neuro.liquid_network import SAVED, build_network, describe_network, held_by_all, in_bytes, size_of
from neuro.liquid_settings import LiquidBuildSettings
from neuro.output import check_writable


def plan(settings: LiquidBuildSettings) -> dict[str, Any]:
    """What would be built: sizes and bytes."""
    net = describe_network(settings.network, settings.seed)
    return {"network": settings.network.name, **size_of(net, settings.engine)}


def build(settings: LiquidBuildSettings, out: Path, *, quiet: bool) -> dict[str, Any] | None:
    """Build, measure, save; returns the summary in the main process, None in others."""
    if out.suffix != SAVED:
        raise ConfigError(f"--out {out}: expected a name ending in {SAVED}")
    check_writable(out)
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        facts, start = plan(settings), time.perf_counter()
        sim = build_network(settings.network, settings.engine, seed=settings.seed, device=settings.device)
        seconds = time.perf_counter() - start
        sim.save(out)
        held = held_by_all(sim)
        if not world.is_main:
            return None
        return {
            **facts,
            "synapses": held["synapses"],
            "bytes": held["bytes"],
            "bytes_per_synapse": held["synapse_bytes"] / max(1, held["synapses"]),
            "seconds": seconds,
            "file": str(out),
        }


def in_words(facts: dict[str, Any]) -> str:
    """A network in a sentence."""
    built = "synapses" in facts
    synapses = f"{facts['synapses']:,} synapses" if built else f"about {facts['synapses_expected']:,} synapses"
    memory = in_bytes(facts["bytes"]) if built else f"about {in_bytes(facts['bytes_estimated'])}"
    where = f"{facts['neurons']:,} neurons in {len(facts['populations'])} populations"
    text = f"{facts['network']}: {where}, {synapses}, {memory}"
    if built:
        text += f", {facts['bytes_per_synapse']:.2f} bytes a synapse; built in {facts['seconds']:.1f} s"
    return text
