"""`neuro embed eval --retrieval`: do a run's codes of documents find what people judged relevant?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from binemb import (
    BinaryCodes,
    MatryoshkaBinarizer,
    RetrievalResult,
    RetrievalSet,
    evaluate_retrieval,
    load_retrieval_set,
)
from ddp_utils import progress
from torch import Tensor

from neuro.comparisons import Comparison, compare, difference_text
from neuro.config import ConfigError
from neuro.embed_settings import EvaluationSettings, RetrievalSettings, VectorSettings
from neuro.plots import retrieval_against_bytes
from neuro.report import Section
from neuro.sentence_vectors import encode_texts

REFERENCE = "float32"


@dataclass(frozen=True)
class RetrievalScore:
    """A row of the table.

    Args:
        name: how documents are held, and queries compared with them.
        bytes_per_vector: of a document.
        ndcg: mean nDCG@k.
        recall: mean recall@k.
        mrr: mean reciprocal rank of the first relevant document among k.
    """

    name: str
    bytes_per_vector: int
    ndcg: float
    recall: float
    mrr: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


@dataclass(frozen=True)
class RetrievalEvaluation:
    """What was measured.

    Args:
        name: name of the test collection.
        documents: how many.
        queries: judged queries.
        sentence_model: what encoded them.
        k: documents a query that were looked at.
        scores: one a way to hold the documents.
        comparisons: nDCG@k of binary codes against float32.
        picture: PNG file.
    """

    name: str
    documents: int
    queries: int
    sentence_model: str
    k: int
    scores: list[RetrievalScore]
    comparisons: list[Comparison]
    picture: Path


def choose_sentence_model(settings: RetrievalSettings, vectors: VectorSettings) -> str:
    """The sentence model that queries and documents are encoded by: the one whose vectors the run was trained on.

    Args:
        settings: what was asked for.
        vectors: what the run was trained on, or what `--vectors` names in its stead.

    Raises:
        ConfigError: the run is of texts that another model encoded, or of other vectors and no model is named.
    """
    asked = settings.sentence_model
    if not vectors.holds_sentences:
        if not asked:
            raise ConfigError(
                "--retrieval: needs a model of a sentence model's vectors; train one by `neuro embed train --vectors "
                f"sentences:FILE`, or name the sentence model of {vectors.source or 'its vectors'} by --sentence-model"
            )
        return asked
    if asked not in ("", vectors.sentence_model):
        raise ConfigError(f"--sentence-model {asked}: the run is of vectors of {vectors.sentence_model}")
    return vectors.sentence_model


def evaluate(
    model: MatryoshkaBinarizer,
    settings: RetrievalSettings,
    evaluation: EvaluationSettings,
    *,
    sentence_model: str,
    seed: int,
    plots: Path,
    quiet: bool,
) -> RetrievalEvaluation:
    """Encode a test collection and judge exhaustive searches in float, by Hamming distance and asymmetric.

    Raises:
        FileNotFoundError, EvaluationSetError: the collection cannot be read.
        ConfigError: the sentence model's vectors are not of the width that the model was trained on.
        ModuleNotFoundError, ValueError: as for `encode_texts`.
    """
    data = load_retrieval_set(settings.path)
    with progress("encoding", len(data.documents) + len(data.queries), unit="texts", quiet=quiet) as bar:
        queries_QD = encode_texts(data.queries, sentence_model)
        if queries_QD.shape[1] != model.dim:
            raise ConfigError(
                f"--sentence-model {sentence_model}: its vectors have {queries_QD.shape[1]} values; the model is for "
                f"{model.dim}"
            )
        bar.advance(len(data.queries))
        documents_ND = encode_texts(data.documents, sentence_model)
        bar.advance(len(data.documents))
    results = _search(model, data, queries_QD, documents_ND, k=evaluation.k)
    scores = [
        RetrievalScore(name, size, result.ndcg, result.recall, result.mrr) for name, (size, result) in results.items()
    ]
    measure = f"nDCG@{evaluation.k}"
    outcomes = {name: {measure: result} for name, (_, result) in results.items()}
    return RetrievalEvaluation(
        data.name,
        len(data.documents),
        results[REFERENCE][1].queries,
        sentence_model,
        evaluation.k,
        scores,
        compare(outcomes, REFERENCE, resamples=evaluation.resamples, seed=seed),
        retrieval_against_bytes(scores, plots / "retrieval.png", k=evaluation.k),
    )


def _search(
    model: MatryoshkaBinarizer, data: RetrievalSet, queries_QD: Tensor, documents_ND: Tensor, *, k: int
) -> dict[str, tuple[int, RetrievalResult]]:
    """Name to bytes a document and result."""

    def judged(queries: Tensor | BinaryCodes, documents: Tensor | BinaryCodes) -> RetrievalResult:
        return evaluate_retrieval(queries, documents, data.judgements, k=k)

    size = 4 * model.dim
    prepared = judged(model.preparation(queries_QD), model.preparation(documents_ND))
    found = {REFERENCE: (size, judged(queries_QD, documents_ND)), "float32, prepared": (size, prepared)}
    queries, documents = model.encode(queries_QD), model.encode(documents_ND)
    for level in model.bits:
        part = documents.truncate(level)
        weights_QB = model.asymmetric_queries(queries_QD, n_bits=level)
        found[f"binary {level}"] = part.bytes_per_vector, judged(queries.truncate(level), part)
        found[f"binary {level}, asymmetric"] = part.bytes_per_vector, judged(weights_QB, part)
    return found


def retrieval_table(found: RetrievalEvaluation) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, as text."""
    differences = {comparison.code: difference_text(comparison.result) for comparison in found.comparisons}
    columns = ["documents as", "B/vector", f"nDCG@{found.k}", f"recall@{found.k}", f"MRR@{found.k}", "nDCG - float32"]
    rows = []
    for score in found.scores:
        figures = [f"{value:.3f}" for value in (score.ndcg, score.recall, score.mrr)]
        rows.append([score.name, f"{score.bytes_per_vector}", *figures, differences.get(score.name, "-")])
    return columns, rows


def retrieval_note(found: RetrievalEvaluation) -> str:
    """What was compared with what."""
    return (
        f"Exhaustive search over {found.documents:,} documents for {found.queries:,} judged queries, encoded by "
        f"{found.sentence_model}. float32: cosine. binary: Hamming distance of codes. asymmetric: the query in float "
        "against the document's decoded code. nDCG - float32: difference with its 95% interval over paired resamples "
        "of the queries. Models are stored once and not counted."
    )


def retrieval_sections(found: RetrievalEvaluation) -> list[Section]:
    """The evaluation as parts of a report."""
    columns, rows = retrieval_table(found)
    title = f"Retrieval: {found.name}"
    return [Section(title, columns=columns, rows=rows, note=retrieval_note(found), pictures=[found.picture])]
