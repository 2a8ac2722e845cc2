"""Binarized sentence encoders in the Massive Text Embedding Benchmark (mteb 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from ddp_utils.tensor_file import checksum
from torch import Tensor
from torch.nn.functional import normalize

from binemb.matryoshka import MatryoshkaBinarizer
from binemb.sentences import require

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import EncoderProtocol, ModelMeta
    from mteb.types import BatchedInput, PromptType
    from sentence_transformers import SentenceTransformer
    from torch.utils.data import DataLoader


class BinarizedEncoder:
    """A sentence encoder whose vectors went through binary codes, as mteb's tasks take it (`EncoderProtocol`).

    Queries and documents are both coded. The similarity is the cosine of what `encode` returns: for "signs" that is
    1 - 2 h / B with h the Hamming distance, so tasks rank by it. Where mteb takes other distances of the vectors
    (Euclidean, Manhattan), they are monotone in h too.

        mteb.evaluate(BinarizedEncoder(encoder, model, n_bits=256), mteb.get_tasks(tasks=["STSBenchmark"]))

    Args:
        encoder: a `SentenceTransformer`, or any encoder of mteb; it handles prompts and batches.
        model: the binarizer, fitted to the encoder's vectors.
        n_bits: prefix of the codes, 1 to the model's number; None for all.
        vectors: "signs" gives +1 and -1, (N, n_bits); "decoded" the unit vectors that the codes decode to, (N, D), for
            which n_bits must be one of the model's levels.

    Attributes:
        mteb_model_meta: the encoder's, with the number of bits, the kind of vectors and a checksum of the binarizer,
            so that cached results of different binarizers are kept apart.

    Raises:
        ModuleNotFoundError: mteb is not installed.
        ValueError: n_bits or vectors is not allowed.

    References:
        Muennighoff et al. (2023), MTEB: massive text embedding benchmark, arXiv 2210.07316.
    """

    mteb_model_meta: ModelMeta

    def __init__(
        self,
        encoder: SentenceTransformer | EncoderProtocol,
        model: MatryoshkaBinarizer,
        *,
        n_bits: int | None = None,
        vectors: Literal["signs", "decoded"] = "signs",
    ) -> None:
        require("mteb", "mteb", "BinarizedEncoder")
        from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper
        from mteb.models.model_meta import ScoringFunction
        from sentence_transformers import SentenceTransformer

        n_bits = model.bits[-1] if n_bits is None else n_bits
        if not 1 <= n_bits <= model.bits[-1]:
            raise ValueError(f"BinarizedEncoder: n_bits must lie in [1, {model.bits[-1]}], got {n_bits}")
        if vectors not in ("signs", "decoded"):
            raise ValueError(f"BinarizedEncoder: vectors must be 'signs' or 'decoded', got {vectors!r}")
        if vectors == "decoded" and n_bits not in model.bits:
            raise ValueError(f"BinarizedEncoder: decoded vectors need n_bits in {model.bits}, got {n_bits}")
        if isinstance(encoder, SentenceTransformer):
            self.encoder: Any = SentenceTransformerEncoderWrapper(encoder)
        else:
            self.encoder = encoder
        self.model, self.n_bits, self.vectors = model, n_bits, vectors
        meta: ModelMeta = self.encoder.mteb_model_meta or ModelMeta.create_empty()
        settings = {
            "binemb_bits": n_bits,
            "binemb_vectors": vectors,
            "binemb_model": checksum(model.state_dict(), "")[:16],
        }
        self.mteb_model_meta = meta.model_copy(
            update={
                "experiment_kwargs": {**(meta.experiment_kwargs or {}), **settings},
                "embed_dim": n_bits if vectors == "signs" else meta.embed_dim,
                "similarity_fn_name": ScoringFunction.COSINE,
            }
        )

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Vectors of a task's texts after binarization.

        Args:
            inputs: batches of texts.
            task_metadata: the task, from which the encoder chooses a prompt.
            hf_split: split of the data.
            hf_subset: subset of the data.
            prompt_type: whether the texts are queries or documents.
            kwargs: what mteb passes to the encoder (batch_size, show_progress_bar).

        Returns:
            Float32, (N, n_bits) of +1 and -1, or (N, D) unit vectors.
        """
        embeddings = self.encoder.encode(
            inputs,
            task_metadata=task_metadata,
            hf_split=hf_split,
            hf_subset=hf_subset,
            prompt_type=prompt_type,
            **kwargs,
        )
        codes = self.model.encode(torch.as_tensor(embeddings)).truncate(self.n_bits)
        return (codes.signs() if self.vectors == "signs" else self.model.decode(codes)).numpy()

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Cosine of every pair, float32, (N1, N2).

        Args:
            embeddings1: array or tensor (N1, d), or one vector (d,).
            embeddings2: array or tensor (N2, d), or one vector (d,).
        """
        return _unit(embeddings1) @ _unit(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Cosine of each vector with the one in its place, float32, (N,).

        Args:
            embeddings1: array or tensor (N, d).
            embeddings2: array or tensor (N, d).
        """
        return (_unit(embeddings1) * _unit(embeddings2)).sum(1)


def _unit(vectors: Any) -> Tensor:
    return normalize(torch.atleast_2d(torch.as_tensor(vectors).float()), dim=1)
