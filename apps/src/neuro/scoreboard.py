"""Judging every code of the same vectors by the same measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from binemb import (
    BinaryCodes,
    FiveBit,
    MatryoshkaBinarizer,
    TooFewKnownError,
    evaluate_analogy,
    evaluate_similarity,
    load_analogies,
    load_word_pairs,
    neighbour_recalls,
)
from sdquant import FrameQuantizer
from torch import Tensor
from torch.nn.functional import cosine_similarity

from neuro.comparisons import Outcomes
from neuro.embed_settings import EvaluationSettings

T = TypeVar("T")
ABOUT_PREPARED = (
    "Prepared: mean and leading principal components dropped, unit length; all codes hold prepared vectors. B/vector "
    "counts the code; models and frames are stored once."
)


@dataclass(frozen=True)
class Candidate:
    """One way to hold the vectors.

    Args:
        name: what the tables call it.
        bytes_per_vector: size of one code, the mean of them where they differ.
        compare: rows that are compared: vectors, decoded vectors, or binary codes.
        decoded: what decodes from the code, or None for the vectors themselves.
        fixed_bytes: size of what decodes all codes: stored once.
        decoder: the model of binary codes, for comparisons of decoded vectors with bits.
    """

    name: str
    bytes_per_vector: float
    compare: Tensor | BinaryCodes
    decoded: Tensor | None
    fixed_bytes: int = 0
    decoder: MatryoshkaBinarizer | None = None


@dataclass(frozen=True)
class Score:
    """A row of the table.

    Args:
        name: the code.
        compared: what a comparison costs: "float", "decoded" or "bits".
        bytes_per_vector: bytes of one code, the mean where they differ.
        fixed_bytes: bytes of model or codebook, stored once.
        compression: float32 bytes over code bytes.
        similarity: set to Spearman correlation; None where the vocabulary does not allow it.
        intervals: set to its 95% bootstrap interval, or None.
        analogy: accuracy, or None if none was asked for or the vocabulary does not allow it.
        analogy_asymmetric: accuracy of binary codes with the question's words decoded; None for all else.
        recall: recall@k of the prepared vectors' exact neighbours; None for k or fewer words.
        cosine: mean cosine of decoded and prepared vectors; None where nothing is decoded.
    """

    name: str
    compared: str
    bytes_per_vector: float
    fixed_bytes: int
    compression: float
    similarity: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    analogy: float | None
    analogy_asymmetric: float | None
    recall: float | None
    cosine: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


class Missing:
    """What could not be measured on these words, and why."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def attempt(self, name: str, measure: Callable[[], T]) -> T | None:
        """The measure's result, or None after noting why there is none."""
        try:
            return measure()
        except TooFewKnownError as error:
            self.reasons[name] = str(error)
            return None


def nbytes(module: Any) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(tensor.nbytes for tensor in module.state_dict().values())


def candidates(
    vectors_ND: Tensor, model: MatryoshkaBinarizer, codes: BinaryCodes, *, seed: int, frames: bool = True
) -> list[Candidate]:
    """Float vectors, five-bit codes, every binary prefix by its bits and by what decodes from them, sigma-delta codes.

    All codes are of the prepared vectors, so that they differ in nothing but the code.

    Args:
        vectors_ND: the vectors as they came, float32, (N, D).
        model: the trained model.
        codes: its codes of the vectors.
        seed: keys the sigma-delta frames.
        frames: include the sigma-delta codes (for prefixes of at least D bits).
    """
    prepared_ND = model.preparation(vectors_ND)
    float_bytes = 4 * model.dim
    found = [
        Candidate("float32", float_bytes, vectors_ND, None),
        Candidate("float32, prepared", float_bytes, prepared_ND, None, nbytes(model.preparation)),
    ]
    five_bit = FiveBit.fit(prepared_ND)
    packed = five_bit.encode(prepared_ND)
    decoded = five_bit.decode(packed)
    found.append(Candidate("five-bit", packed.shape[1], decoded, decoded, nbytes(model.preparation) + 4))
    by_decoding = []
    for level in codes.levels:
        part = codes.truncate(level)
        decoders = sum(
            decoder.nbytes for bits, decoder in zip(model.bits, model.decoders, strict=True) if bits <= level
        )
        fixed = nbytes(model.preparation) + 4 * level * (model.dim + 1) + decoders
        decoded = model.decode(part)
        found.append(Candidate(f"binary {level}", part.bytes_per_vector, part, decoded, fixed, model))
        by_decoding.append(Candidate(f"binary {level}, decoded", part.bytes_per_vector, decoded, decoded, fixed))
    found += by_decoding
    for level in codes.levels if frames else ():
        if level >= model.dim:
            quantizer = FrameQuantizer(model.dim, level, seed=seed).fit(prepared_ND)
            bits = quantizer.encode(prepared_ND)
            decoded = quantizer.decode(bits)
            name = f"sigma-delta {level} (order {quantizer.order})"
            fixed = nbytes(model.preparation) + nbytes(quantizer)
            found.append(Candidate(name, bits.shape[1], decoded, decoded, fixed))
    return found


def unframed(dim: int, levels: Iterable[int]) -> dict[str, str]:
    """Name to reason of the sigma-delta codes that `candidates` leaves out: a frame has no fewer vectors than axes."""
    return {
        f"sigma-delta {level}": f"sigma-delta {level}: its frame needs at least {dim} bits for {dim} dimensions"
        for level in levels
        if level < dim
    }


def judge(
    found: list[Candidate],
    words: list[str],
    reference_ND: Tensor,
    settings: EvaluationSettings,
    *,
    seed: int,
    on_done: Callable[[str], None],
) -> tuple[list[Score], dict[str, str], Outcomes]:
    """Score every candidate; the exact neighbours are those of the reference, which decoded vectors should equal.

    Returns:
        The scores; measure to reason for what could not be measured; code to measure to outcomes of the others.
    """
    pairs = [load_word_pairs(name) for name in settings.pairs]
    questions = load_analogies(settings.analogies) if settings.analogies else None
    missing = Missing()
    scores: list[Score] = []
    outcomes: Outcomes = {}
    for candidate in found:
        rows = candidate.compare
        results = {
            data.name: missing.attempt(data.name, partial(evaluate_similarity, rows, words, data, seed=seed))
            for data in pairs
        }
        analogy = questions and missing.attempt(
            questions.name, partial(evaluate_analogy, rows, words, questions, method=settings.method)
        )
        asymmetric = None
        if questions and analogy and settings.asymmetric and candidate.decoder is not None:
            asymmetric = evaluate_analogy(rows, words, questions, method=settings.method, decoder=candidate.decoder)
        recalls = missing.attempt(
            f"recall@{settings.k}",
            partial(neighbour_recalls, rows, reference_ND, k=settings.k, queries=settings.queries, seed=seed),
        )
        cosine = None if candidate.decoded is None else float(cosine_similarity(candidate.decoded, reference_ND).mean())
        bits = isinstance(rows, BinaryCodes)
        scores.append(
            Score(
                name=candidate.name,
                compared="bits" if bits else "float" if candidate.decoded is None else "decoded",
                bytes_per_vector=candidate.bytes_per_vector,
                fixed_bytes=candidate.fixed_bytes,
                compression=4 * reference_ND.shape[1] / candidate.bytes_per_vector,
                similarity={name: result and result.spearman for name, result in results.items()},
                intervals={name: result and result.interval for name, result in results.items()},
                analogy=analogy.accuracy if analogy else None,
                analogy_asymmetric=asymmetric.accuracy if asymmetric else None,
                recall=None if recalls is None else float(recalls.mean()),
                cosine=cosine,
            )
        )
        found_here = {**results, questions.name if questions else "": analogy, f"recall@{settings.k}": recalls}
        outcomes[candidate.name] = {name: outcome for name, outcome in found_here.items() if outcome is not None}
        on_done(candidate.name)
    return scores, missing.reasons, outcomes


def check_sets(settings: EvaluationSettings) -> None:
    """Read the evaluation sets, so that a missing or damaged one is known before the work that they judge.

    Raises:
        FileNotFoundError, EvaluationSetError: one of them cannot be read.
    """
    for name in settings.pairs:
        load_word_pairs(name)
    if settings.analogies:
        load_analogies(settings.analogies)


def score_table(scores: list[Score], settings: EvaluationSettings) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, as text."""
    sets = list(scores[0].similarity)
    columns = ["code", "compares", "B/vector", "ratio", *sets]
    has_asymmetric = any(score.analogy_asymmetric is not None for score in scores)
    columns += ["analogy"] * bool(settings.analogies) + ["asymmetric"] * has_asymmetric
    columns += [f"recall@{settings.k}", "cosine"]
    rows = []
    for score in scores:
        analogy = [_figure(score.analogy)] * bool(settings.analogies)
        analogy += [_figure(score.analogy_asymmetric)] * has_asymmetric
        figures = [_figure(score.similarity[name]) for name in sets]
        row = [
            score.name,
            score.compared,
            f"{round(score.bytes_per_vector, 2):g}",
            f"{score.compression:.1f}x",
            *figures,
        ]
        rows.append([*row, *analogy, _figure(score.recall), _figure(score.cosine, digits=4)])
    return columns, rows


def _figure(value: float | None, *, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def score_notes(settings: EvaluationSettings, missing: dict[str, str], *, about: str = ABOUT_PREPARED) -> str:
    """What the table's columns mean, and why some have no figures."""
    exact = "prepared float32 vectors" if about is ABOUT_PREPARED else "float32 vectors"
    notes = (
        f"Similarity sets: Spearman correlation with people's scores. Analogy: share right. recall@{settings.k}: share "
        f"of the exact {settings.k} nearest neighbours of the {exact} that the code returns. Cosine: of decoded and "
        f"{exact.replace(' float32', '')}. {about}"
    )
    if about is ABOUT_PREPARED and settings.analogies and settings.asymmetric:
        notes += " Asymmetric: analogies by decoded question words against the bits of the candidates."
    return " ".join([notes, *(f"Not measured (-): {reason}." for reason in missing.values())])
