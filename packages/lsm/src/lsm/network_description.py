"""A network's description as JSON and arrays, and back."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm.network import Network
from lsm.projection import Projection

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
        if model is None:
            network.inputs(name, n, positions=positions)
        else:
            network.population(name, n, model, positions=positions)
    for entry in facts["projections"]:
        parts = {name: _read(value, arrays) for name, value in entry.items() if name not in ("pre", "post")}
        pre, post = network.find(entry["pre"]), network.find(entry["post"])
        added = Projection(index=len(network.projections), pre=pre, post=post, **parts)
        if post.model is None or not 0 <= added.receptor < len(post.receptors):
            raise ValueError(f"{post.name!r} has no receptor {added.receptor!r}")
        added.rule.check(added.pair(network.seed))
        network.projections.append(added)
    for entry in facts["drives"]:
        network.drive(str(entry["population"]), _read(entry["source"], arrays))
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
    return found(**{field: _read(item, arrays) for field, item in value["fields"].items()})
