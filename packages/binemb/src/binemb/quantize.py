"""Learned codes where sentence-transformers expects its own."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from binemb.codes import BinaryCodes
from binemb.matryoshka import MatryoshkaBinarizer

# the same eight bits from the other end
_TURNED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), axis=1).ravel()


def quantize_embeddings(
    embeddings: Tensor | np.ndarray | list[Tensor] | list[np.ndarray],
    precision: Literal["binary", "ubinary"] = "ubinary",
    *,
    model: MatryoshkaBinarizer,
    n_bits: int | None = None,
) -> Any:
    """Learned binary codes in the form of `sentence_transformers.util.quantize_embeddings`, which takes signs.

    What comes out goes where its result goes: `semantic_search_faiss(..., corpus_precision="ubinary")`, or usearch.
    A packed byte holds eight bits with the first one the most significant, as `numpy.packbits` packs by itself;
    `BinaryCodes` has the first one least significant, and `to_big_endian` turns one into the other.

    Args:
        embeddings: float vectors (N, D), one vector (D,), a list of vectors, or a list of matrices; Tensors or arrays.
        precision: "ubinary" for uint8, "binary" for the same bytes less 128, int8.
        model: the binarizer, fitted to such embeddings.
        n_bits: prefix of the codes to take, 1 to the model's number; None for all.

    Returns:
        An array (N, ceil(n_bits / 8)), (ceil(n_bits / 8),) for one vector, or a list of arrays for a list of matrices;
        an empty list for an empty list.

    Raises:
        TypeError, ValueError: embeddings that are not float, finite or of the model's width, another precision, or
            n_bits out of range.
    """
    if precision not in ("binary", "ubinary"):
        raise ValueError(
            f"quantize_embeddings: precision must be 'binary' or 'ubinary', got {precision!r}; "
            "for int8 and float32 use sentence_transformers.util.quantize_embeddings"
        )
    n_bits = model.bits[-1] if n_bits is None else n_bits
    if not 1 <= n_bits <= model.bits[-1]:
        raise ValueError(f"quantize_embeddings: n_bits must lie in [1, {model.bits[-1]}], got {n_bits}")
    if isinstance(embeddings, list):
        tensors = [torch.as_tensor(embedding) for embedding in embeddings]
        if not tensors:
            return []
        if tensors[0].ndim == 2:
            return [quantize_embeddings(matrix, precision, model=model, n_bits=n_bits) for matrix in tensors]
        vectors_ND = torch.stack(tensors)
    else:
        vectors_ND = torch.as_tensor(embeddings)
    matrix_ND = vectors_ND.unsqueeze(0) if vectors_ND.ndim == 1 else vectors_ND
    if matrix_ND.ndim == 2 and not len(matrix_ND):
        packed = np.zeros((0, -(-n_bits // 8)), np.uint8)
    else:
        packed = to_big_endian(model.encode(matrix_ND).truncate(n_bits))
    if precision == "binary":
        packed = (packed - 128).astype(np.int8)
    return packed[0] if vectors_ND.ndim == 1 else packed


def to_big_endian(codes: BinaryCodes) -> np.ndarray:
    """Packed codes with the first bit the most significant of its byte, as `numpy.packbits` packs without bitorder.

    Args:
        codes: n codes.

    Returns:
        uint8, (n, ceil(n_bits / 8)); unused bits, the last ones of the last byte, are clear.
    """
    return _TURNED[codes.packed.numpy()]
