"""Search that narrows down: a short prefix of nested codes finds candidates, a longer one orders them."""

from __future__ import annotations

from binemb.codes import BinaryCodes
from binemb.hits import Hits
from binemb.index import BinaryIndex
from binemb.rescore import best, shortlist_distances


def funnel_search(
    codes: BinaryCodes,
    queries: BinaryCodes,
    k: int = 10,
    *,
    shortlist_bits: int = 1024,
    final_bits: int | None = None,
    oversample: int = 16,
    index: BinaryIndex | None = None,
) -> Hits:
    """The k nearest codes among the k * oversample whose prefixes are nearest.

    Of the long codes only those on the shortlists are read, so they may stay in a mapped file. For the search of the
    prefixes a contiguous copy of them is made, n * shortlist_bits / 8 bytes, unless an index of them is given: make
    one, of any kind, for more than one call.

    Args:
        codes: n codes to search.
        queries: Q codes of at least final_bits bits.
        k: hits a query, >= 1; if there are fewer codes, all come back.
        shortlist_bits: bits of the prefix that finds candidates.
        final_bits: bits of the prefix that orders them; all bits of the codes by default.
        oversample: candidates a hit, >= 1.
        index: an index of `codes.truncate(shortlist_bits)`, in the same order; its ids are returned.

    Returns:
        Hits with distances and similarity over final_bits; equal distances come in the order of the rows.

    Raises:
        ValueError: the prefixes do not fit the codes, the queries or each other, the index is not of these codes'
            number and prefix, or a number is below 1.
    """
    if final_bits is None:
        final_bits = codes.n_bits
    if not 1 <= shortlist_bits <= final_bits <= codes.n_bits:
        raise ValueError(
            f"funnel_search: needs 1 <= shortlist_bits <= final_bits <= {codes.n_bits}, the codes' bits, got "
            f"{shortlist_bits} and {final_bits}"
        )
    if queries.n_bits < final_bits:
        raise ValueError(f"funnel_search: final_bits is {final_bits}, the queries have {queries.n_bits} bits")
    if k < 1 or oversample < 1:
        raise ValueError(f"funnel_search: k and oversample must be at least 1, got {k} and {oversample}")
    if index is None:
        index = BinaryIndex(shortlist_bits).add(codes.truncate(shortlist_bits))
    if index.n_bits != shortlist_bits or len(index) != len(codes):
        raise ValueError(
            f"funnel_search: the index holds {len(index)} codes of {index.n_bits} bits, needed are {len(codes)} of "
            f"{shortlist_bits}"
        )
    rows = index.nearest_rows(queries.truncate(shortlist_bits), k * oversample)[1].sort(1).values
    distances = shortlist_distances(codes, queries, rows, final_bits)
    places = best(-distances, k)
    nearest = distances.gather(1, places)
    return Hits(index.ids[rows.gather(1, places)], nearest, 1 - nearest.float() / final_bits)
