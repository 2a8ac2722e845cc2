"""Parameters of the kinds of binary index."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import comb
from typing import ClassVar, Literal, TypedDict, get_args

IndexKind = Literal["flat", "ivf", "hnsw", "hash"]
MOST_LOOKUPS = 2**20


class IndexParameters(TypedDict, total=False):
    """What `BinaryIndex` takes by name; each kind takes its own, described in the class that is named for it here.

    `IvfParameters`: n_lists, n_probe, seed. `HnswParameters`: m, ef_construction, ef_search, seed. `HashParameters`:
    hash_bits, n_tables, n_flips.
    """

    n_lists: int | None
    n_probe: int | None
    m: int
    ef_construction: int
    ef_search: int
    hash_bits: int | None
    n_tables: int | None
    n_flips: int
    seed: int


@dataclass(frozen=True)
class FlatParameters:
    """Exact search has none."""

    RANGES: ClassVar[dict[str, tuple[int, int]]] = {}
    IN_SEARCH: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if isinstance(value, bool):
                raise TypeError(f"BinaryIndex: {field.name} must be a whole number, got {value!r}")
            try:
                number = operator.index(value)  # pyright: ignore[reportArgumentType] - what is no number is refused
            except TypeError:
                raise TypeError(f"BinaryIndex: {field.name} must be a whole number, got {value!r}") from None
            low, high = self.RANGES.get(field.name, (number, number))
            if not low <= number <= high:
                raise ValueError(f"BinaryIndex: {field.name} must lie in [{low}, {high}], got {number}")
            object.__setattr__(self, field.name, number)

    def check_width(self, n_bits: int) -> None:
        """Refuse parameters that codes of n_bits bits cannot have.

        Raises:
            ValueError: they do not fit.
        """


@dataclass(frozen=True)
class IvfParameters(FlatParameters):
    """An inverted file: codes in lists by their nearest of n_lists centroids, of which a search reads n_probe.

    A search costs n_lists + n * n_probe / n_lists comparisons, where the lists are equally long.

    Args:
        n_lists: lists, at most as many as training codes. By default 4 sqrt(n) of the n codes trained on, at most
            n / 39 and 16,384.
        n_probe: lists read a query. By default n_lists / 16, at least 8. All of them, or more, make the search
            exact.
        seed: keys the draw of the training sample and of the first centroids.
    """

    n_lists: int | None = None
    n_probe: int | None = None
    seed: int = 0
    RANGES: ClassVar = {"n_lists": (1, 2**24), "n_probe": (1, 2**24)}
    IN_SEARCH: ClassVar = ("n_probe",)

    def resolved(self, count: int) -> IvfParameters:
        """The parameters with the defaults that `count` training codes give, count >= 1."""
        n_lists = self.n_lists or max(1, min(round(4 * count**0.5), count // 39, 16384))
        n_probe = self.n_probe or max(8, n_lists // 16)
        return replace(self, n_lists=n_lists, n_probe=min(n_probe, n_lists))


@dataclass(frozen=True)
class HnswParameters(FlatParameters):
    """A hierarchy of navigable graphs; a search follows links and keeps the ef_search best codes met.

    Args:
        m: links a code and level, 2 m on the lowest; 8 m bytes a code.
        ef_construction: best codes kept while a code's links are sought.
        ef_search: best codes kept in a search; where more hits are asked for, as many as those.
        seed: keys the draw of the levels.

    References:
        Malkov, Yashunin (2018), IEEE TPAMI 42(4), arXiv:1603.09320, algorithms 1 to 5.
    """

    m: int = 32
    ef_construction: int = 100
    ef_search: int = 64
    seed: int = 0
    RANGES: ClassVar = {"m": (2, 512), "ef_construction": (1, 2**16), "ef_search": (1, 2**20)}
    IN_SEARCH: ClassVar = ("ef_search",)


@dataclass(frozen=True)
class HashParameters(FlatParameters):
    """Hash tables on n_tables pieces of hash_bits bits each, the first of the code; buckets within n_flips are read.

    A search looks up n_tables * sum_{i <= n_flips} C(hash_bits, i) buckets of about n / 2^hash_bits codes each. It
    meets every code within n_tables (n_flips + 1) - 1 bits of the query. That suits near duplicates; neighbours at a
    fifth of the bits and more are cheaper to find by another kind, even by comparing with every code.

    Args:
        hash_bits: bits a piece. By default 16, or all bits of a shorter code.
        n_tables: pieces. By default as many as fit into the code, at most 16.
        n_flips: bits of a piece in which a bucket may differ from the query's.

    References:
        Norouzi, Punjani, Fleet (2012), CVPR, arXiv:1307.2982, section 3.
    """

    hash_bits: int | None = None
    n_tables: int | None = None
    n_flips: int = 1
    RANGES: ClassVar = {"hash_bits": (1, 32), "n_tables": (1, 4096), "n_flips": (0, 32)}
    IN_SEARCH: ClassVar = ("n_flips",)

    def resolved(self, n_bits: int) -> HashParameters:
        """The parameters with the defaults for codes of n_bits bits."""
        hash_bits = self.hash_bits or min(16, n_bits)
        return replace(self, hash_bits=hash_bits, n_tables=self.n_tables or max(1, min(16, n_bits // hash_bits)))

    def check_width(self, n_bits: int) -> None:
        """Refuse pieces that do not fit into the code, and flips that would look up more than 2^20 buckets a query."""
        full = self.resolved(n_bits)
        assert full.hash_bits is not None
        assert full.n_tables is not None
        if full.hash_bits * full.n_tables > n_bits:
            raise ValueError(
                f"BinaryIndex: n_tables * hash_bits must be at most the code's {n_bits} bits, got {full.n_tables} * "
                f"{full.hash_bits}"
            )
        if full.n_flips > full.hash_bits:
            raise ValueError(f"BinaryIndex: n_flips must be at most hash_bits, {full.hash_bits}, got {full.n_flips}")
        lookups = full.n_tables * sum(comb(full.hash_bits, flips) for flips in range(full.n_flips + 1))
        if lookups > MOST_LOOKUPS:
            raise ValueError(
                f"BinaryIndex: n_flips={full.n_flips} looks up {lookups} buckets a query, at most {MOST_LOOKUPS} are "
                "allowed; take fewer flips or another kind"
            )


PARAMETERS: dict[str, type[FlatParameters]] = {
    "flat": FlatParameters,
    "ivf": IvfParameters,
    "hnsw": HnswParameters,
    "hash": HashParameters,
}


def parameters_of(kind: IndexKind, given: Mapping[str, object], n_bits: int) -> FlatParameters:
    """Checked parameters of a kind.

    Args:
        kind: kind of index.
        given: parameters by name; those left out have their defaults.
        n_bits: bits a code.

    Raises:
        TypeError: a parameter that the kind does not have, or one that is no whole number.
        ValueError: an unknown kind, or a value out of range.
    """
    if kind not in get_args(IndexKind):
        raise ValueError(f"BinaryIndex: kind must be one of {', '.join(get_args(IndexKind))}, got {kind!r}")
    allowed = [field.name for field in fields(PARAMETERS[kind])]
    refuse_unknown("BinaryIndex", kind, given, allowed)
    parameters = PARAMETERS[kind](**given)
    parameters.check_width(n_bits)
    return parameters


def tuned(kind: IndexKind, current: Mapping[str, object], given: Mapping[str, object], n_bits: int) -> FlatParameters:
    """The current parameters with others for the search; errors as `parameters_of`."""
    refuse_unknown("tune", kind, given, list(PARAMETERS[kind].IN_SEARCH))
    return parameters_of(kind, {**current, **given}, n_bits)


def refuse_unknown(function: str, kind: str, given: Mapping[str, object], allowed: list[str]) -> None:
    """Refuse parameters that a kind does not have.

    Raises:
        TypeError: one of those given is not allowed; the message names those that are.
    """
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; it takes {', '.join(allowed) or 'none'}"
            raise TypeError(f"{function}: kind {kind!r} has no parameter {name!r}{hint}")
