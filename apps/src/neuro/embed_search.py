"""Searches in a trained run: words, sums of words and texts, in float and in binary."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from binemb import BinaryIndex, Hits, combine, funnel_search, parse_expression
from torch import Tensor

from neuro.config import ConfigError
from neuro.embed_run import TrainedRun

SearchSpace = Literal["binary", "float"]
Rescoring = Literal["none", "asymmetric", "float"]
CHECKED = 16  # rows whose codes an index must hold
OVERSAMPLE, FUNNEL_OVERSAMPLE = 4, 16


@dataclass(frozen=True)
class Answer:
    """One word or text found.

    Args:
        word: the word or text.
        similarity: cosine in float space; share of agreeing bits in binary space, and (1 + cosine) / 2 of the cosine
            that was scored by where the codes found were scored again.
        distance: differing bits, in binary space.
    """

    word: str
    similarity: float
    distance: int | None = None


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Args:
        space: "binary" encodes the query and compares bits; "float" compares prepared vectors.
        n_bits: prefix to compare; all bits by default. Of a funnel the prefix that orders what was found.
        index: an index that `embed index` made of this run's codes; by default one is built from the run's codes.
        rescore: score what was found again: "asymmetric", float query against code; "float", float against float.
        oversample: codes found a hit, >= 1; only with `rescore` (by default 4) or `shortlist_bits` (by default 16).
        shortlist_bits: a funnel: find by this prefix, order by `n_bits`.
        memory_map: leave the index's codes in the file.
        tuned: what a search in the index may cost, by name: n_probe, ef_search, n_flips.

    Raises:
        ConfigError: options that do not go together.
    """

    space: SearchSpace = "binary"
    n_bits: int | None = None
    index: Path | None = None
    rescore: Rescoring = "none"
    oversample: int | None = None
    shortlist_bits: int | None = None
    memory_map: bool = False
    tuned: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tuning = [f"--{name.replace('_', '-')}" for name in self.tuned]
        if self.space == "float" and replace(self, space="binary") != SearchOptions():
            raise ConfigError(
                "--bits, --index, --rescore, --oversample, --shortlist-bits, --memory-map, --n-probe, --ef-search and "
                "--n-flips are for the binary space; leave them out with --space float"
            )
        if self.index is None and (self.memory_map or tuning):
            named = tuning[0] if tuning else "--memory-map"
            raise ConfigError(f"{named}: is for a search in an index file; name one by --index")
        if self.rescore != "none" and self.shortlist_bits is not None:
            raise ConfigError(
                f"--rescore {self.rescore} and --shortlist-bits {self.shortlist_bits}: both order what was found; "
                "choose one"
            )
        if self.oversample is not None and self.rescore == "none" and self.shortlist_bits is None:
            raise ConfigError(f"--oversample {self.oversample}: is for --rescore or --shortlist-bits; add one of them")


class Searcher:
    """Answers queries over the vocabulary of a run; an index is read or built once, for the first query.

    Args:
        run: the trained run.
        options: how to search.

    Raises:
        ConfigError: options that do not fit the run's model.
    """

    def __init__(self, run: TrainedRun, options: SearchOptions | None = None) -> None:
        self.run, self.options = run, options or SearchOptions()
        levels = run.model.bits
        for name, n_bits in (("--bits", self.options.n_bits), ("--shortlist-bits", self.options.shortlist_bits)):
            if n_bits is not None and not 1 <= n_bits <= levels[-1]:
                raise ConfigError(f"{name} {n_bits}: must lie in [1, {levels[-1]}]")
        self.n_bits = self.options.n_bits or levels[-1]
        shortlist_bits = self.options.shortlist_bits
        if shortlist_bits is not None and shortlist_bits > self.n_bits:
            raise ConfigError(f"--shortlist-bits {shortlist_bits}: must be at most the {self.n_bits} bits that order")

    def nearest(self, query: str, *, k: int) -> list[Answer]:
        """Nearest words of a query; the query's own words are left out.

        Args:
            query: "paris", or "king - man + woman"; a text where the run's vocabulary is one of texts.
            k: how many, >= 1.

        Raises:
            ValueError: k or the index do not fit; ExpressionError, UnknownWordError: the query does not.
        """
        if k < 1:
            raise ConfigError(f"-k must be at least 1, got {k}")
        query_D, own_rows = self._read_query(query)
        wanted = min(k + len(own_rows), len(self.run.vectors))
        words = self.run.vectors.words
        if self.options.space == "float":
            found = (self.run.prepared_ND @ torch.nn.functional.normalize(query_D, dim=0)).topk(wanted)
            pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
            answers = [(row, Answer(words[row], score)) for row, score in pairs]
        else:
            hits = self._hits(query_D, wanted)
            answers = [
                (row, Answer(words[row], float(hits.similarity[0, i]), int(hits.distances[0, i])))
                for i, row in enumerate(hits.ids[0].tolist())
            ]
        own = set(own_rows.tolist())
        return [answer for row, answer in answers if row not in own][:k]

    def _read_query(self, query: str) -> tuple[Tensor, Tensor]:
        """The query in the prepared space, (D,), and the rows of its own words."""
        if self.run.sentence_model is None:
            return combine(parse_expression(query), self.run.vectors, self.run.prepared_ND)
        from neuro.sentence_vectors import encode_texts

        if not query.strip():
            raise ConfigError("--query: expected a text, got an empty one")
        encoded_1D = encode_texts([query.strip()], self.run.sentence_model)
        return self.run.model.preparation(encoded_1D)[0], torch.zeros(0, dtype=torch.int64)

    def _hits(self, query_D: Tensor, wanted: int) -> Hits:
        index, options = self._index, self.options
        queries = self.run.model.encode_prepared(query_D[None])
        if options.shortlist_bits is not None:
            return funnel_search(
                self.run.codes,
                queries,
                wanted,
                shortlist_bits=options.shortlist_bits,
                final_bits=self.n_bits,
                oversample=options.oversample or FUNNEL_OVERSAMPLE,
                index=index,
            )
        queries = queries.truncate(index.n_bits)
        oversample = options.oversample or OVERSAMPLE
        if options.rescore == "asymmetric":
            weights_1B = self._asymmetric_weights(query_D, index.n_bits)
            return index.search(queries, wanted, rescore="asymmetric", oversample=oversample, weights_QB=weights_1B)
        if options.rescore == "float":
            vectors_ND = self.run.prepared_ND
            queries_1D = query_D[None]
            return index.search(
                queries, wanted, rescore="float", oversample=oversample, queries_QD=queries_1D, vectors_ND=vectors_ND
            )
        return index.search(queries, wanted)

    def _asymmetric_weights(self, query_D: Tensor, n_bits: int) -> Tensor:
        """What scores codes of n_bits bits by the inner product of the query and the decoded vector, (1, n_bits)."""
        levels = self.run.model.bits
        if n_bits not in levels:
            raise ConfigError(
                f"--rescore asymmetric: needs codes that decode, of {list(levels)} bits; these have {n_bits}"
            )
        return (query_D.double() @ self.run.model.level_decoders()[levels.index(n_bits)].double().T).float()[None]

    @cached_property
    def _index(self) -> BinaryIndex:
        path, wanted = self.options.index, self.options.shortlist_bits or self.options.n_bits
        if path is None:
            codes = self.run.codes if wanted is None else self.run.codes.truncate(wanted)
            return BinaryIndex(codes.n_bits).add(codes)
        index = BinaryIndex.load(path, memory_map=self.options.memory_map)
        if wanted not in (None, index.n_bits):
            option = "--bits" if self.options.shortlist_bits is None else "--shortlist-bits"
            raise ConfigError(f"{option} {wanted}: the index holds {index.n_bits} bits; make one for {wanted}")
        if index.n_bits > self.run.model.bits[-1]:
            raise ConfigError(
                f"--index {path}: of {index.n_bits} bits, the model has {self.run.model.bits[-1]}: it is of another run"
            )
        _check_vocabulary(index, self.run, path)
        try:
            return index.tune(**self.options.tuned) if self.options.tuned else index
        except (TypeError, ValueError) as error:
            raise ConfigError(f"--index {path}: {error}") from error


def _check_vocabulary(index: BinaryIndex, run: TrainedRun, path: Path) -> None:
    """Refuse an index of other words, or of another model's codes of the same words."""
    if len(index) != len(run.vectors) or index.words not in (None, run.vectors.words):
        raise ConfigError(
            f"--index {path}: of another vocabulary ({len(index)} words, the run has {len(run.vectors)}); give the "
            "--vectors and --limit that were encoded"
        )
    if not torch.equal(index.ids, torch.arange(len(index))):
        raise ConfigError(f"--index {path}: its ids do not count the words; make it by `neuro embed index`")
    first = run.encode_first(CHECKED).truncate(index.n_bits)
    if not torch.equal(index.packed[:CHECKED], first.packed):
        raise ConfigError(f"--index {path}: of another model's codes; index the codes of this one")
