"""Innovation numbers: names of neurons and edges that follow from the structure alone.

The same split or the same connection has the same number wherever and whenever it is found, so that no counter is
shared by processes, and results do not depend on the order in which individuals are made.
"""

from __future__ import annotations

import functools
import hashlib

FIRST_HASHED = 1 << 40  # afferents and the neurons that a genome starts with count from 0


def _number(*parts: object) -> int:
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return FIRST_HASHED + int.from_bytes(digest, "little") % ((1 << 62) - FIRST_HASHED)


@functools.lru_cache(maxsize=1 << 17)
def edge_number(source_id: int, target_id: int) -> int:
    """Number of the edge between two nodes.

    Args:
        source_id: id of the afferent or neuron that it leaves.
        target_id: id of the neuron that it enters.

    Returns:
        An integer in [2**40, 2**62).
    """
    return _number("edge", int(source_id), int(target_id))


def neuron_number(origin: str, parent_id: int, occurrence: int = 0) -> int:
    """Number of a neuron that grew out of something.

    Args:
        origin: how it came to be: "split" of an edge, "copy" of a neuron.
        parent_id: number of that edge or neuron.
        occurrence: how many of the same origin and parent the genome has already, >= 0.

    Returns:
        An integer in [2**40, 2**62).
    """
    return _number(origin, int(parent_id), int(occurrence))
