"""A network described in TOML, for `neuro liquid --network FILE.toml`.

step = 0.1                                   # ms

[[input]]
name = "in"
channels = 40

[[population]]
name = "E"
neurons = 800
model = "lif"                                # its constants beside it
tau_m = 20.0
threshold = 20.0
box = [1.0, 1.0, 0.2]                        # neurons stand at random in it; for rules of distance

[[projection]]
from = ["in", "E"]
to = "E"
rule = "fixed_indegree"                      # its numbers beside it
k = 10
weight = { mean = 0.1, sd = 0.01 }           # or a number, or { low = ..., high = ... }
delay = 1.5
synapse = { kind = "short_term", U = 0.5, tau_rec = 800.0, tau_fac = 0.0 }

[[drive]]
to = "E"
kind = "poisson"
rate = 8000.0                                # Hz
weight = 0.1
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import keyed_numpy_generator
from lsm import Network, Normal, Uniform
from lsm.network_description import MODULES

from neuro.config import ConfigError

MODELS = ("LIF", "AdaptiveLIF", "ConductanceLIF", "Izhikevich")
RULES = ("AllToAll", "DistanceBernoulli", "FixedIndegree", "FixedOutdegree", "FixedTotalNumber", "OneToOne")
RULES = (*RULES, "PairwiseBernoulli", "SpatialIndegree")
SYNAPSES = ("ShortTerm", "STDP", "DopamineSTDP")
DRIVES = ("Poisson", "DC")
Table = Mapping[str, Any]


def read_network(path: Path, seed: int) -> Network:
    """Describe the network of a file.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: not TOML, a key that is not known, or a value that is not allowed; the message says where.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    known = ("step", "input", "population", "projection", "drive")
    _check_keys(str(path), document, known)
    net = _tried(str(path), lambda: Network(seed=seed, step=document.get("step", 0.1)))
    parts: dict[str, Callable[[str, Table, Network], None]] = {
        "input": _input,
        "population": _population,
        "projection": _projection,
        "drive": _drive,
    }
    for section, add in parts.items():
        tables = document.get(section, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ConfigError(f"{path}: {section}: expected tables [[{section}]]")
        for number, table in enumerate(tables, 1):
            where = f"{path}: {section} {number}"
            _tried(where, lambda add=add, where=where, table=table: add(where, table, net))
    if not net.populations:
        raise ConfigError(f"{path}: no [[population]] in it")
    return net


def _input(where: str, table: Table, net: Network) -> None:
    _check_keys(where, table, ("name", "channels", "box", "origin"), needed=("name", "channels"))
    net.inputs(table["name"], table["channels"], positions=_places(table, table["channels"], net.seed))


def _population(where: str, table: Table, net: Network) -> None:
    own = ("name", "neurons", "model", "box", "origin")
    needed = [name for name in own[:3] if name not in table]
    if needed:
        raise ConfigError(f"{where}: {needed[0]!r} is missing")
    model = _made(where, "model", MODELS, table["model"], {k: v for k, v in table.items() if k not in own}, own)
    net.population(table["name"], table["neurons"], model, positions=_places(table, table["neurons"], net.seed))


def _projection(where: str, table: Table, net: Network) -> None:
    own = ("from", "to", "rule", "weight", "delay", "synapse")
    needed = [name for name in own[:5] if name not in table]
    if needed:
        raise ConfigError(f"{where}: {needed[0]!r} is missing")
    rule = _made(where, "rule", RULES, table["rule"], {k: v for k, v in table.items() if k not in own}, own)
    extra: dict[str, Any] = {}
    if "synapse" in table:
        if not isinstance(table["synapse"], dict) or "kind" not in table["synapse"]:
            raise ConfigError(f"{where}: synapse: expected a table with `kind`, got {table['synapse']!r}")
        constants = {k: v for k, v in table["synapse"].items() if k != "kind"}
        extra["synapse"] = _made(f"{where}: synapse", "kind", SYNAPSES, table["synapse"]["kind"], constants, ())
    weight, delay = (_distribution(f"{where}: {name}", table[name]) for name in ("weight", "delay"))
    net.connect(table["from"], table["to"], rule, weight=weight, delay=delay, **extra)


def _drive(where: str, table: Table, net: Network) -> None:
    own = ("to", "kind")
    needed = [name for name in own if name not in table]
    if needed:
        raise ConfigError(f"{where}: {needed[0]!r} is missing")
    constants = {k: v for k, v in table.items() if k not in own}
    net.drive(table["to"], _made(where, "kind", DRIVES, table["kind"], constants, own))


def _made(where: str, what: str, classes: Iterable[str], kind: Any, constants: Table, own: Iterable[str]) -> Any:
    """An object of the class that is named in small letters, with its constants."""
    names = {_snake(name): name for name in classes if importlib.util.find_spec(MODULES[name])}
    if kind not in names:
        close = difflib.get_close_matches(str(kind), names, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(names)}"
        raise ConfigError(f"{where}: no {what} {kind!r}{hint}")
    made = getattr(importlib.import_module(MODULES[names[kind]]), names[kind])
    fields = {field.name.rstrip("_"): field.name for field in dataclasses.fields(made) if field.init}
    _check_keys(where, constants, (*fields, *own))
    values = {fields[k]: _distribution(f"{where}: {k}", v) if isinstance(v, dict) else v for k, v in constants.items()}
    return made(**values)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _distribution(where: str, value: Any) -> Any:
    if not isinstance(value, dict):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{where}: expected a number, {{ mean, sd }} or {{ low, high }}, got {value!r}")
        return float(value)
    made = Normal if "mean" in value else Uniform
    fields = [field.name for field in dataclasses.fields(made)]
    _check_keys(where, value, fields, needed=("mean", "sd") if made is Normal else ("low", "high"))
    return made(**value)


def _places(table: Table, n: int, seed: int) -> np.ndarray | None:
    if "box" not in table:
        return None
    box, origin = (np.asarray(table.get(name, [0.0]), np.float64) for name in ("box", "origin"))
    if box.ndim != 1 or len(box) not in (2, 3) or (len(origin) not in (1, len(box))):
        raise ConfigError(f"box and origin: expected two or three numbers each, got {table['box']!r}")
    rng = keyed_numpy_generator(seed, f"positions of {table['name']}")
    return origin + box * rng.random((n, len(box)))


def _check_keys(where: str, table: Table, known: Iterable[str], needed: Iterable[str] = ()) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}{hint}")
    for key in needed:
        if key not in table:
            raise ConfigError(f"{where}: {key!r} is missing")


def _tried(where: str, work: Callable[[], Any]) -> Any:
    """What the library refuses is said with its place in the file."""
    try:
        return work()
    except ConfigError as error:
        said = str(error)
        raise (error if said.startswith(where) else ConfigError(f"{where}: {said}")) from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from error
