"""What a codec makes of a vocabulary: every byte, identity, neighbours, errors.

Shapes: N rows, U distinct rows, Q queries, D dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from ddp_utils import keyed_generator
from torch import Tensor

from sdquant.codec_fit import file_bytes
from sdquant.codec_input import Parts, distinct_rows
from sdquant.identity import mistaken, nearest

if TYPE_CHECKING:
    from sdquant.codec import Codec
    from sdquant.codec_codes import CodecCodes

_PAIRS = 20_000


def report(
    codec: Codec,
    x: Parts,
    *,
    codes: CodecCodes | None = None,
    held_out: Parts | None = None,
    queries: int = 1000,
    k: int = 10,
) -> dict[str, Any]:
    """Measure a codec on a vocabulary.

    Args:
        codec: the codec.
        x: the vocabulary, (N, D) or parts.
        codes: codec.encode(x), where it is there already.
        held_out: vectors that the codec was not fitted to, of the same kind: asked for in the vocabulary too.
        queries: vectors of the vocabulary asked for, at most.
        k: neighbours a query.

    Returns:
        Figures by name:

        - rows, distinct, duplicates, dim: of the vocabulary, in float32 as the codec compares it.
        - symbols, bits_per_symbol, refinement: of the codec.
        - bytes_codes, bytes_escapes, bytes_codec, bytes_total: of the files; bytes_escapes is a part of bytes_codes.
        - bytes_per_row, bits_per_row, compression: all bytes over the rows; 4 D over that.
        - escape_rate, exceptions: rows with more bits than the others, over all; rows kept as they are.
        - identity: share of distinct rows that are nearest to their decoded selves, by exhaustive search.
        - recall_asymmetric: of a row's k nearest others, the share among the k nearest decoded others.
        - recall_symmetric: the same, asked with the decoded row.
        - mse_over_variance: mean squared error over mean squared distance from the mean.
        - distance_distortion: mean of |decoded distance / distance - 1| over random pairs.
        - held_out_rows, held_out_recall_asymmetric, held_out_mse_over_variance: with held_out.

        Under metric "cosine", neighbours are those of greatest cosine; else of least distance.

    Raises:
        TypeError, ValueError: as `Codec.encode`; queries or k below 1, fewer than two
            different rows, or no held-out rows.
    """
    if queries < 1 or k < 1:
        raise ValueError(f"report: queries and k must be positive, got {queries} and {k}")
    joined_ND = codec.joining.join(x)
    codes = codec.encode(x) if codes is None else codes
    if len(codes) != len(joined_ND):
        raise ValueError(f"codes: of {len(codes)} rows, x has {len(joined_ND)}")
    first_U, _ = distinct_rows(joined_ND)
    if len(first_U) < 2:
        raise ValueError("report: at least two different rows are needed to compare anything")
    if held_out is not None and not len(held_out if isinstance(held_out, Tensor) else held_out[0]):
        raise ValueError("report: held_out has no rows")
    decoded_ND = codec.decode_joined(codes).to(joined_ND.device)
    first_U = first_U.to(joined_ND.device)
    wrong_U = mistaken(decoded_ND[first_U], joined_ND[first_U], torch.arange(len(first_U), device=joined_ND.device))
    bytes_codes, bytes_codec = file_bytes(codes), file_bytes(codec)
    total = bytes_codes + bytes_codec
    variance = float((joined_ND - joined_ND.mean(dim=0)).double().square().sum())
    searched_ND, sought_ND = _as_compared(codec, decoded_ND), _as_compared(codec, joined_ND)
    picked_Q = torch.randperm(len(joined_ND), generator=keyed_generator(0, "codec.queries"))[:queries]
    picked_Q = picked_Q.to(joined_ND.device)
    true_QK = neighbours(sought_ND[picked_Q], sought_ND, k, without=picked_Q)
    figures: dict[str, Any] = {
        "rows": len(joined_ND),
        "distinct": len(first_U),
        "duplicates": len(joined_ND) - len(first_U),
        "dim": codec.dim,
        "bits_per_symbol": codec.decoder.bits_per_symbol,
        "symbols": codec.decoder.n_symbols,
        "refinement": codec.decoder.refinement is not None,
        "bytes_codes": bytes_codes,
        "bytes_escapes": codes.escape_bytes,
        "bytes_codec": bytes_codec,
        "bytes_total": total,
        "bytes_per_row": total / len(joined_ND),
        "bits_per_row": 8 * total / len(joined_ND),
        "compression": 4 * codec.dim * len(joined_ND) / total,
        "escape_rate": codes.n_escapes / len(joined_ND),
        "exceptions": len(codes.exceptions[0]),
        "identity": 1 - float(wrong_U.double().mean()),
        "recall_asymmetric": overlap(true_QK, neighbours(sought_ND[picked_Q], searched_ND, k, without=picked_Q)),
        "recall_symmetric": overlap(true_QK, neighbours(searched_ND[picked_Q], searched_ND, k, without=picked_Q)),
        "mse_over_variance": float((decoded_ND - joined_ND).double().square().sum()) / variance,
        "distance_distortion": _distortion(joined_ND, decoded_ND),
    }
    if held_out is not None:
        held_HD = codec.joining.join(held_out)
        again_HD = codec.decode_joined(codec.encode(held_out, verify=False)).to(held_HD.device)
        asked_HD = _as_compared(codec, held_HD)
        held_variance = float((held_HD - joined_ND.mean(dim=0)).double().square().sum())
        figures |= {
            "held_out_rows": len(held_HD),
            "held_out_recall_asymmetric": overlap(
                neighbours(asked_HD, sought_ND, k), neighbours(asked_HD, searched_ND, k)
            ),
            "held_out_mse_over_variance": float((again_HD - held_HD).double().square().sum()) / held_variance,
        }
    return figures


def neighbours(queries_QD: Tensor, vectors_ND: Tensor, k: int, *, without: Tensor | None = None) -> Tensor:
    """The k nearest vectors of each query, int64, (Q, k); without: one vector a query that does not count, (Q,)."""
    k = min(k, len(vectors_ND) - (without is not None))
    if without is None:
        return nearest(queries_QD, vectors_ND, k)
    found_QK = nearest(queries_QD, vectors_ND, k + 1)
    own_QK = found_QK == without[:, None]
    own_QK[:, -1] |= ~own_QK.any(dim=1)  # where the own row is not among them, the last goes
    return found_QK[~own_QK].view(len(found_QK), k)


def overlap(true_QK: Tensor, found_QK: Tensor) -> float:
    """Mean share of true neighbours found; NaN where there are none to find."""
    return float((true_QK[:, :, None] == found_QK[:, None, :]).any(dim=2).double().mean())


def _as_compared(codec: Codec, rows_ND: Tensor) -> Tensor:
    if codec.joining.metric == "euclidean":
        return rows_ND
    return rows_ND / rows_ND.norm(dim=1, keepdim=True).clamp(min=1e-30)


def _distortion(x_ND: Tensor, decoded_ND: Tensor) -> float:
    generator = keyed_generator(0, "codec.pairs")
    left, right = (torch.randint(len(x_ND), (_PAIRS,), generator=generator).to(x_ND.device) for _ in range(2))
    true_P = (x_ND[left] - x_ND[right]).norm(dim=1)
    found_P = (decoded_ND[left] - decoded_ND[right]).norm(dim=1)
    apart_P = true_P > 0
    return float((found_P[apart_P] / true_P[apart_P] - 1).abs().double().mean())
