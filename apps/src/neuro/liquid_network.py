"""Networks by name, from a TOML description, or as they were saved; and what they are before they are built."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import Any

import lsm
from ddp_utils import gather_objects

from neuro.config import ConfigError
from neuro.liquid_description import read_network
from neuro.liquid_settings import BUILDERS, EngineSettings, NetworkSettings

SAVED = ".lsm"
OPTIONS = {
    "maass": ("neurons", "channels"),
    "microcircuit": ("scale",),
    "cortex": ("neurons", "columns", "midbrain", "working_memory", "channels"),
    "working_memory": ("neurons",),
}
"""Which settings each builder has."""


def describe_network(settings: NetworkSettings, seed: int, *, channels: int | None = None) -> lsm.Network:
    """The network that the settings name, not built.

    Args:
        settings: which.
        seed: of all that is drawn.
        channels: of the inputs of a builder that has some; the settings' own without it.

    Raises:
        ConfigError: no such builder, a setting that it does not have, or a description that cannot be used.
        FileNotFoundError: no such file.
    """
    check_options(settings)
    name = settings.name
    if is_saved(settings):
        raise ConfigError(f"--network {name}: is a saved simulation, and a description is needed here")
    neurons: dict[str, Any] = {"neurons": settings.neurons} if settings.neurons else {}
    channels = channels or settings.channels
    if name == "maass":
        return lsm.maass(**neurons, **({"inputs": channels} if channels else {}), seed=seed)
    if name == "microcircuit":
        return lsm.microcircuit(settings.scale, seed=seed)
    if name == "cortex":
        parts: dict[str, Any] = {"midbrain": settings.midbrain, "working_memory": settings.working_memory}
        inputs: dict[str, Any] = {"channels": channels} if channels else {}
        return lsm.cortex(settings.columns, **neurons, **inputs, **parts, seed=seed)
    if name == "working_memory":
        return lsm.working_memory(**neurons, seed=seed)
    if name.endswith(".toml") or Path(name).is_file():
        return read_network(Path(name), seed)
    close = difflib.get_close_matches(name, BUILDERS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(BUILDERS)}, FILE.toml and FILE{SAVED}"
    raise ConfigError(f"--network {name}: no such network; {hint}")


def check_options(settings: NetworkSettings) -> None:
    """Refuse settings that a network does not have.

    Raises:
        ConfigError: one of them is not the default.
    """
    known = OPTIONS.get(settings.name, ())
    for option in dataclasses.fields(NetworkSettings):
        if option.name not in ("name", *known) and getattr(settings, option.name) != option.default:
            owners = ", ".join(name for name, options in OPTIONS.items() if option.name in options)
            raise ConfigError(f"network.{option.name} is a setting of {owners}; --network {settings.name} has none")


def is_saved(settings: NetworkSettings) -> bool:
    """True if the settings name a saved simulation."""
    return settings.name.endswith(SAVED)


def build_network(settings: NetworkSettings, engine: EngineSettings, *, seed: int, device: str) -> lsm.Simulation:
    """Build, or load what was saved.

    Raises:
        NetworkTooLarge: it will not fit in memory.
        FileFormatError: a saved simulation is damaged.
    """
    threads = engine.threads or None
    check_options(settings)
    if is_saved(settings):
        return lsm.load(settings.name, device, threads=threads)
    net = describe_network(settings, seed)
    return net.build(device, precision=engine.precision, threads=threads, procedural=engine.procedural)


def size_of(net: lsm.Network, engine: EngineSettings) -> dict[str, Any]:
    """What a network is, before it is built: populations, mean numbers of synapses, bytes."""
    expected = [projection.rule.expected(projection.pair(net.seed)) for projection in net.projections]
    return {
        "neurons": net.n_neurons,
        "populations": {population.name: population.n for population in net.populations},
        "projections": len(net.projections),
        "synapses_expected": round(sum(expected)),
        "bytes_estimated": net.estimated_bytes(precision=engine.precision, procedural=engine.procedural),
    }


def held_by_all(sim: lsm.Simulation) -> dict[str, int]:
    """Synapses and bytes of all processes that share a network; every one of them calls it."""
    parts = gather_objects((sim.synapses, sim.n_bytes, sim.synapse_bytes))
    return {name: sum(part[i] for part in parts) for i, name in enumerate(("synapses", "bytes", "synapse_bytes"))}


def synapses_between(net: lsm.Network) -> dict[tuple[str, str], float]:
    """Mean number of synapses of each pair of populations, (source, target)."""
    found: dict[tuple[str, str], float] = {}
    for projection in net.projections:
        pair = (projection.pre.name, projection.post.name)
        found[pair] = found.get(pair, 0.0) + projection.rule.expected(projection.pair(net.seed))
    return found


def in_bytes(n: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    raise AssertionError
