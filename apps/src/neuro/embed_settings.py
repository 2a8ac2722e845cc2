"""Settings of `neuro embed` and `neuro quickstart`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from binemb.train_config import TrainConfig
from sdquant import CodecConfig

SENTENCES = "sentences:"
SAMPLE_SENTENCE_MODEL = "samples:all-MiniLM-L6-v2"


@dataclass(frozen=True)
class VectorSettings:
    """Which vectors.

    Args:
        source: sample name, file, hf:MODEL, several of these joined by +, or sentences:FILE with one text a line.
        limit: words to read, from the start; 0 for all.
        duplicates: "drop" or "error".
        non_finite: "error" or "drop" rows with NaN or infinity.
        sentence_model: encodes the texts of sentences:FILE; a folder or hub name of sentence-transformers, or the
            sample.
    """

    source: str = "samples:glove-50d"
    limit: int = 0
    duplicates: Literal["drop", "error"] = "drop"
    non_finite: Literal["error", "drop"] = "error"
    sentence_model: str = SAMPLE_SENTENCE_MODEL

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"vectors.limit must be 0 (all) or positive, got {self.limit}")
        if not self.sentence_model:
            raise ValueError("vectors.sentence_model must name a model, got ''")
        if self.sentence_model != SAMPLE_SENTENCE_MODEL and self.source and not self.holds_sentences:
            raise ValueError(
                f"vectors.sentence_model is for vectors of texts, {SENTENCES}FILE; the source is {self.source!r}"
            )

    @property
    def holds_sentences(self) -> bool:
        """True where texts are encoded."""
        return self.source.startswith(SENTENCES)


@dataclass(frozen=True)
class EvaluationSettings:
    """How codes are judged.

    Args:
        pairs: word similarity sets, by name or path.
        analogies: analogy set, by name or path; "" for none.
        method: "add" (3CosAdd) or "mul" (3CosMul).
        asymmetric: answer analogies by binary codes also with the question's words decoded and the candidates as bits.
        k: neighbours a query of the recall.
        queries: words asked for in the recall.
        resamples: resamples of the intervals of differences, >= 100.
    """

    pairs: tuple[str, ...] = ("wordsim353", "simlex999")
    analogies: str = "google"
    method: Literal["add", "mul"] = "add"
    asymmetric: bool = True
    k: int = 10
    queries: int = 1000
    resamples: int = 2000

    def __post_init__(self) -> None:
        if self.k < 1 or self.queries < 1:
            raise ValueError(f"evaluation.k and evaluation.queries must be positive, got {self.k} and {self.queries}")
        if self.resamples < 100:
            raise ValueError(f"evaluation.resamples must be at least 100, got {self.resamples}")


@dataclass(frozen=True)
class RetrievalSettings:
    """Which test collection of retrieval.

    Args:
        path: folder in the layout of BEIR or of Cranfield; "" for none.
        sentence_model: encodes queries and documents; "" for the one that the run's texts were encoded by.
    """

    path: str = ""
    sentence_model: str = ""

    def __post_init__(self) -> None:
        if self.sentence_model and not self.path:
            raise ValueError("retrieval.sentence_model is for --retrieval; leave it out, or name a test collection")


@dataclass(frozen=True)
class IndexSettings:
    """Parameters of an index; each kind takes its own, described in `binemb.index_parameters`.

    Args:
        n_lists: of ivf: lists.
        n_probe: of ivf: lists read a query.
        m: of hnsw: links a code and level.
        ef_construction: of hnsw: best codes kept while links are sought.
        ef_search: of hnsw: best codes kept in a search.
        hash_bits: of hash: bits a piece.
        n_tables: of hash: pieces.
        n_flips: of hash: bits in which a bucket may differ.
        seed: of ivf and hnsw: keys what is drawn.
    """

    n_lists: int | None = None
    n_probe: int | None = None
    m: int | None = None
    ef_construction: int | None = None
    ef_search: int | None = None
    hash_bits: int | None = None
    n_tables: int | None = None
    n_flips: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class EmbedIndexSettings:
    """Settings of `neuro embed index`."""

    index: IndexSettings = field(default_factory=IndexSettings)


@dataclass(frozen=True)
class EmbedTrainSettings:
    """Settings of `neuro embed train`."""

    vectors: VectorSettings = field(default_factory=VectorSettings)
    bits: tuple[int, ...] = (256, 512, 1024)
    seed: int = 0
    device: str = "auto"
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        from binemb.matryoshka import check_levels

        check_levels(self.bits)


@dataclass(frozen=True)
class EmbedFitSettings:
    """Settings of `neuro embed fit`.

    Args:
        vectors: which; sources joined by + are parts of one codec, each decoded by itself.
        compression: bytes of the vectors in float32 over bytes of codec and codes, at least.
        held_out: words to keep out of the fit and to judge it by.
        seed: keys the fit and the choice of the held-out words.
        device: where to fit.
        codec: how to fit.
    """

    vectors: VectorSettings = field(default_factory=VectorSettings)
    compression: float = 50.0
    held_out: int = 0
    seed: int = 0
    device: str = "auto"
    codec: CodecConfig = field(default_factory=CodecConfig)

    def __post_init__(self) -> None:
        if self.held_out < 0:
            raise ValueError(f"held_out must not be negative, got {self.held_out}")
        if not 1 <= self.compression < float("inf"):
            raise ValueError(f"compression must be at least 1, got {self.compression}")


@dataclass(frozen=True)
class TrainedSettings:
    """Settings of what works on a trained model; empty vectors.source means those the model was trained on."""

    vectors: VectorSettings = field(default_factory=lambda: VectorSettings(source=""))


@dataclass(frozen=True)
class EmbedEvalSettings(TrainedSettings):
    """Settings of `neuro embed eval`."""

    seed: int = 0
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)


@dataclass(frozen=True)
class QuickstartSettings:
    """Settings of `neuro quickstart`."""

    vectors: VectorSettings = field(default_factory=lambda: VectorSettings(limit=50_000))
    bits: tuple[int, ...] = (256, 512, 1024)
    seed: int = 0
    device: str = "auto"
    # short of `embed train`'s own rounds and rows: done within about a minute
    train: TrainConfig = field(default_factory=lambda: TrainConfig(rounds=4, fitted_rows=16_384))
    evaluation: EvaluationSettings = field(default_factory=lambda: EvaluationSettings(asymmetric=False))
    queries: tuple[str, ...] = ("paris", "guitar", "king - man + woman", "tokyo - japan + france")

    def __post_init__(self) -> None:
        from binemb.expression import parse_expression
        from binemb.matryoshka import check_levels

        check_levels(self.bits)
        for query in self.queries if not self.vectors.holds_sentences else ():
            parse_expression(query)
