"""Coding schemes: how the drive of a neuron becomes the bins of its spikes, one file each."""

from __future__ import annotations

from typing import Any

from spikecode.schemes.burst import Burst
from spikecode.schemes.latency import Latency
from spikecode.schemes.phase import Phase
from spikecode.schemes.poisson import Poisson
from spikecode.schemes.rate import Rate
from spikecode.schemes.scheme import Scheme

SCHEMES: dict[str, type[Scheme]] = {kind.name: kind for kind in (Poisson, Rate, Latency, Phase, Burst)}


def resolve_scheme(scheme: str | Scheme) -> Scheme:
    """Take a scheme or the name of one with its default parameters.

    Raises:
        ValueError: no scheme has this name.
    """
    if isinstance(scheme, Scheme):
        return scheme
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    return SCHEMES[scheme]()


def scheme_from_facts(facts: dict[str, Any]) -> Scheme:
    """Make the scheme that `Scheme.facts` describes."""
    facts = dict(facts)
    name = facts.pop("name")
    if name not in SCHEMES:
        raise ValueError(f"scheme {name!r} is unknown")
    return SCHEMES[name](**facts)
