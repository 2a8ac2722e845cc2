"""What comes back from spikes: error beside its limit, identity over a vocabulary, bits of the trains.

Shapes: n vectors, V vocabulary entries, D dimensions, N neurons a dimension, T bins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikecode.nearest import nearest_rows, separations

if TYPE_CHECKING:
    from spikecode.codec import Method, SpikeCodec

_COUNTS = 2**25  # counts held at a time
_BOUNDS = 1000  # vectors at which the bound is computed
_TRAIN_BINS = 2**28  # bins whose trains are written out to measure their size


@dataclass(frozen=True)
class ReconstructionReport:
    """How well vectors come back from their spikes.

    Args:
        tokens: vectors encoded, n.
        vocabulary: entries searched, V.
        neurons: neurons a dimension, N.
        steps: bins, T.
        method: the decoder.
        rmse: root mean square error, in units of the vectors.
        rmse_over_bound: the same with each value's error over its bound, 1 for a decoder at the limit; of up to 1,000
            vectors, evenly spread.
        cosine: mean cosine of decoded and given vectors.
        identity: share of tokens whose nearest vocabulary entry is the right one.
        wrong: tokens for which it is another.
        duplicates: entries whose vector another entry has too: either counts as right.
        bits_per_token: bits that the train of a token takes, 8 times its bytes in the smaller layout.
        vocabulary_bits: log2(V), the bits that name an entry.
        density: share of bins with a spike.
        measured_trains: tokens whose trains were written out for size and density.
        clipped: values outside the calibrated range.
    """

    tokens: int
    vocabulary: int
    neurons: int
    steps: int
    method: str
    rmse: float
    rmse_over_bound: float
    cosine: float
    identity: float
    wrong: int
    duplicates: int
    bits_per_token: float
    vocabulary_bits: float
    density: float
    measured_trains: int
    clipped: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


@dataclass(frozen=True)
class SmallestCode:
    """The least number of bins that brings every token back, for one number of neurons.

    Args:
        neurons: neurons a dimension, N.
        steps: least T that reaches the identity asked for; None where no T that was tried does.
        report: at that T, or at the greatest one tried.
    """

    neurons: int
    steps: int | None
    report: ReconstructionReport


def reconstruction_report(
    codec: SpikeCodec,
    x_nD: Tensor,
    vocabulary: Tensor | None = None,
    method: Method = "ml",
    *,
    separation_V: Tensor | None = None,
    first_token: int = 0,
    on_decoded: Callable[[Tensor], object] | None = None,
) -> ReconstructionReport:
    """Encode vectors, decode them, and compare.

    The nearest vocabulary entry is found exactly, over the whole vocabulary. A decoded vector closer to its own entry
    than half that entry's distance to the nearest other one is right without a search, by the triangle inequality.

    Args:
        codec: a fitted codec.
        x_nD: vectors, float, (n, D), n >= 1.
        vocabulary: entries that are searched, (V, D), V >= 2; x_nD itself by default. The right entry of a vector is
            the one nearest to it before it was encoded.
        method: "ml", "bayes", "centre_of_mass" or "linear".
        separation_V: `separations` of the vocabulary where the caller has them; computed here by default.
        first_token: number of the first vector in its corpus; keys the spikes.
        on_decoded: called with each block of decoded vectors, float32, (b, D), in order.

    Returns:
        The figures.

    Raises:
        ValueError: no vectors, dimensions disagree, NaN or infinity, or the decoder is not fitted.
    """
    table_VD = x_nD if vocabulary is None else vocabulary
    if x_nD.ndim != 2 or not len(x_nD) or table_VD.ndim != 2 or len(table_VD) < 2 or x_nD.shape[1] != table_VD.shape[1]:
        raise ValueError(
            "reconstruction_report: expected vectors of (n, D) and a vocabulary of two entries or more, got "
            f"{tuple(x_nD.shape)} and {tuple(table_VD.shape)}"
        )
    right_n = torch.arange(len(x_nD)) if vocabulary is None else nearest_rows(x_nD, table_VD)
    separation_V = separations(table_VD) if separation_V is None else separation_V
    squares = over_bound = cosine = 0.0
    wrong = clipped = bounds = 0
    for rows in torch.arange(len(x_nD)).split(max(1, _COUNTS // (codec.dim * codec.population.window))):
        block_nD = x_nD[rows]
        counts = codec.encode_counts(block_nD, first_token=first_token + int(rows[0]))
        decoded_nD = codec.decode_counts(counts, method=method)
        error_nD = (decoded_nD - block_nD).double()
        squares += float(error_nD.square().sum())
        part = slice(None, None, -(-len(x_nD) // _BOUNDS))
        bound_nD = codec.bound(block_nD[part])
        known_nD = bound_nD > 0  # 0 where a dimension has one value only
        over_bound += float((error_nD[part] / bound_nD)[known_nD].square().sum())
        bounds += int(known_nD.sum())
        cosine += float(torch.cosine_similarity(decoded_nD, block_nD).double().sum())
        wrong += _wrong(decoded_nD, table_VD, right_n[rows], separation_V)
        clipped += int(counts.clipped)
        if on_decoded is not None:
            on_decoded(decoded_nD)
    bits, density, measured = _train_size(codec, x_nD, first_token)
    return ReconstructionReport(
        tokens=len(x_nD),
        vocabulary=len(table_VD),
        neurons=codec.neurons,
        steps=codec.steps,
        method=method,
        rmse=math.sqrt(squares / x_nD.numel()),
        rmse_over_bound=math.sqrt(over_bound / bounds) if bounds else math.nan,
        cosine=cosine / len(x_nD),
        identity=1 - wrong / len(x_nD),
        wrong=wrong,
        duplicates=int((separation_V == 0).sum()),
        bits_per_token=bits,
        vocabulary_bits=math.log2(len(table_VD)),
        density=density,
        measured_trains=measured,
        clipped=clipped,
    )


def _wrong(decoded_nD: Tensor, table_VD: Tensor, right_n: Tensor, separation_V: Tensor) -> int:
    """Decoded vectors whose nearest entry is neither the right one nor equal to it."""
    away_n = (decoded_nD.double() - table_VD[right_n].double()).norm(dim=1)
    unsure = (away_n >= separation_V[right_n] / 2).nonzero()[:, 0]
    if not len(unsure):
        return 0
    found = nearest_rows(decoded_nD[unsure], table_VD)
    return int((table_VD[found] != table_VD[right_n[unsure]]).any(1).sum())


def _train_size(codec: SpikeCodec, x_nD: Tensor, first_token: int) -> tuple[float, float, int]:
    """Bits a token, density, and of how many trains."""
    bins = codec.dim * codec.neurons * codec.steps
    measured = min(len(x_nD), max(1, _TRAIN_BINS // bins), 64)
    train = codec.encode(x_nD[:measured], first_token=first_token)
    return 8 * train.nbytes / measured, float(train.density), measured


def smallest_code(
    x_nD: Tensor,
    identity: float = 1.0,
    neurons: Sequence[int] = (5, 10, 20, 50, 100, 250),
    steps: Sequence[int] = (1, 2, 5, 10, 20, 50, 100),
    *,
    method: Method = "ml",
    on_report: Callable[[ReconstructionReport], object] | None = None,
    **settings: Any,
) -> list[SmallestCode]:
    """For each N, the least T at which all vectors are found again among themselves.

    Args:
        x_nD: a vocabulary, float, (n, D), n >= 2.
        identity: share that must come back, in (0, 1].
        neurons: numbers of neurons a dimension to try.
        steps: numbers of bins to try, the least first.
        method: the decoder.
        on_report: called with each report, also of the codes that were too small.
        settings: further arguments of `SpikeCodec.fit`: density, scheme, seed and so on.

    Returns:
        One entry for each N, in increasing order.

    Raises:
        ValueError: identity outside (0, 1], nothing to try, or what `SpikeCodec.fit` refuses.
    """
    from spikecode.codec import SpikeCodec

    if not 0 < identity <= 1 or not neurons or not steps:
        raise ValueError(
            f"smallest_code: identity must be in (0, 1] and neurons and steps not empty, got {identity}, "
            f"{tuple(neurons)}, {tuple(steps)}"
        )
    separation_n = separations(x_nD)

    def first_that_reaches(n_neurons: int) -> SmallestCode:
        report = None
        for n_steps in _increasing(steps):
            codec = SpikeCodec.fit(x_nD, neurons=n_neurons, steps=n_steps, **settings)
            report = reconstruction_report(codec, x_nD, method=method, separation_V=separation_n)
            if on_report is not None:
                on_report(report)
            if report.identity >= identity:
                return SmallestCode(n_neurons, n_steps, report)
        assert report is not None
        return SmallestCode(n_neurons, None, report)

    return [first_that_reaches(n_neurons) for n_neurons in _increasing(neurons)]


def _increasing(values: Iterable[int]) -> list[int]:
    return sorted(set(values))
