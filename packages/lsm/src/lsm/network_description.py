"""A network's description as JSON and arrays, and back."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import types
import typing
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsm.dc import DC
from lsm.network import Network
from lsm.neuron import Neuron
from lsm.poisson import Poisson
from lsm.projection import Projection
from lsm.synapse import check_synapse

MODULES = {
    "LIF": "lsm.lif",
    "AdaptiveLIF": "lsm.adaptive_lif",
    "ConductanceLIF": "lsm.conductance_lif",
    "Izhikevich": "lsm.izhikevich",
    "Constant": "lsm.distributions",
    "Listed": "lsm.distributions",
    "Normal": "lsm.distributions",
    "Uniform": "lsm.distributions",
    "Poisson": "lsm.poisson",
    "DC": "lsm.dc",
    "AllToAll": "lsm.all_to_all",
    "DistanceBernoulli": "lsm.distance_bernoulli",
    "Explicit": "lsm.explicit",
    "FixedIndegree": "lsm.fixed_indegree",
    "FixedOutdegree": "lsm.fixed_outdegree",
    "FixedTotalNumber": "lsm.fixed_total_number",
    "OneToOne": "lsm.one_to_one",
    "PairwiseBernoulli": "lsm.pairwise_bernoulli",
    "SpatialIndegree": "lsm.spatial_indegree",
    "ShortTerm": "lsm.short_term",
    "STDP": "lsm.stdp",
    "DopamineSTDP": "lsm.dopamine",
}
"""Where the classes are that a description may name; nothing else is imported."""

Arrays = dict[str, NDArray[Any]]


def describe(network: Network) -> tuple[dict[str, Any], Arrays]:
    """Put a network into words.

    Args:
        network: built or not.

    Returns:
        A JSON-able description, and the arrays that it refers to by name.
    """
    arrays: Arrays = {}
    populations = [
        {"name": p.name, "n": p.n, "model": _written(p.model, arrays), "positions": _written(p.positions, arrays)}
        for p in network.populations
    ]
    projections = [
        {
            field.name: _written(getattr(p, field.name), arrays)
            for field in dataclasses.fields(Projection)
            if field.name not in ("index", "pre", "post")
        }
        | {"pre": p.pre.name, "post": p.post.name}
        for p in network.projections
    ]
    drives = [{"population": p.name, "source": _written(source, arrays)} for p, source in network.drives]
    facts = {"seed": network.seed, "step": network.step}
    return facts | {"populations": populations, "projections": projections, "drives": drives}, arrays


def described(facts: dict[str, Any], arrays: Arrays) -> Network:
    """Make the network of a description.

    Args:
        facts: of `describe`.
        arrays: of `describe`.

    Raises:
        ValueError: the description is not one of a network; also KeyError, TypeError or AttributeError.
    """
    network = Network(seed=_whole(facts["seed"]), step=float(facts["step"]))
    for entry in facts["populations"]:
        model, positions = _read(entry["model"], arrays), _read(entry["positions"], arrays)
        name, n = str(entry["name"]), _whole(entry["n"])
        if not (_fits(model, Neuron | None) and _fits(positions, np.ndarray | None)):
            raise TypeError(f"{name!r} cannot have a model {model!r}")
        if model is None:
            network.inputs(name, n, positions=positions)
        else:
            network.population(name, n, model, positions=positions)
    for entry in facts["projections"]:
        parts = {name: _read(value, arrays) for name, value in entry.items() if name not in ("pre", "post")}
        hints = _hints(Projection)
        for name, part in parts.items():
            if not _fits(part, hints[name]):
                raise TypeError(f"a projection's {name} cannot be {part!r}")
        pre, post = network.find(str(entry["pre"])), network.find(str(entry["post"]))
        added = Projection(index=len(network.projections), pre=pre, post=post, **parts)
        if post.model is None or not 0 <= added.receptor < len(post.receptors):
            raise ValueError(f"{post.name!r} has no receptor {added.receptor!r}")
        network.on_grid(added.delay)
        check_synapse(added.synapse, added.weight, added.delay)
        added.rule.check(added.pair(network.seed))
        network.projections.append(added)
    for entry in facts["drives"]:
        source = _read(entry["source"], arrays)
        if not _fits(source, Poisson | DC):
            raise TypeError(f"a drive cannot be {source!r}")
        network.drive(str(entry["population"]), source)
    return network


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a whole number is needed, got {value!r}")
    return value


def _written(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, np.ndarray):
        name = f"array.{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        assert name in MODULES, f"{name} cannot be saved: it is not in MODULES"
        fields = {f.name: _written(getattr(value, f.name), arrays) for f in dataclasses.fields(value) if f.init}
        return {"class": name, "fields": fields}
    if isinstance(value, tuple | list):
        return {"tuple": [_written(item, arrays) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    assert value is None or isinstance(value, bool | int | float | str), f"cannot be saved: {value!r}"
    return value


def _read(value: Any, arrays: Arrays) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "tuple" in value:
        return tuple(_read(item, arrays) for item in value["tuple"])
    name = value["class"]
    found = getattr(importlib.import_module(MODULES[name]), name)
    fields = {field: _read(item, arrays) for field, item in value["fields"].items()}
    hints = _hints(found)
    for field, item in fields.items():
        if not _fits(item, hints[field]):
            raise TypeError(f"{name}: {field} cannot be {item!r}")
    return found(**fields)


@functools.cache
def _hints(of_class: type) -> dict[str, Any]:
    return typing.get_type_hints(of_class)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a field's annotation says; contents of arrays and tuples are for the class to check."""
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin is Literal:
        return isinstance(value, str) and value in typing.get_args(hint)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if getattr(origin, "_is_protocol", False):
        return dataclasses.is_dataclass(value) and all(hasattr(value, name) for name in dir(origin) if name[0] != "_")
    return origin is Any or (isinstance(origin, type) and isinstance(value, origin))
