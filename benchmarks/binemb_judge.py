"""Scoring of one set of prepared vectors in many forms, with what paired comparisons need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import binemb
import torch
from ddp_utils import keyed_generator
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks.shared_data import DATA

K = 10
RESAMPLES = 400


def word_sets() -> list[binemb.WordPairs]:
    """The similarity sets of the shared data, or those that come with gensim."""
    files = sorted((DATA / "wordsim").glob("*.txt"))
    return [binemb.load_word_pairs(file) for file in files or ("wordsim353", "simlex999")]


class Judge:
    """Scores rows of one set of prepared vectors, and remembers what paired comparisons need."""

    def __init__(self, words: list[str], prepared_ND: Tensor, queries: int) -> None:
        self.words, self.prepared_ND, self.queries = words, prepared_ND, queries
        self.sets = word_sets()
        self.rows: list[dict[str, Any]] = []
        self.kept: dict[tuple[str, int], dict[str, list[Any]]] = {}
        order = torch.randperm(len(prepared_ND), generator=keyed_generator(0, "queries"))
        self.asked = order[:queries].sort().values
        self.right = binemb.exact_neighbours(prepared_ND, self.asked, K)

    def score(self, method: str, n_bytes: int, made: Iterable[Tensor | binemb.BinaryCodes]) -> None:
        """Mean over what a method made with each seed of every measure; of floats' analogies for the first seed."""
        results: dict[str, list[Any]] = {}
        for seed, rows in enumerate(made):
            for data in self.sets:
                results.setdefault(data.name, []).append(binemb.evaluate_similarity(rows, self.words, data))
            if seed == 0 or not isinstance(rows, Tensor):  # slow between floats
                results.setdefault("analogy", []).append(binemb.evaluate_analogy(rows, self.words))
            recalls = binemb.neighbour_recalls(rows, self.prepared_ND, k=K, queries=self.queries, seed=0)
            results.setdefault("recall", []).append(recalls)
            if isinstance(rows, Tensor):
                cosines = cosine_similarity(rows.float(), self.prepared_ND)
                results.setdefault("cosine", []).append(cosines)
        self.add(method, n_bytes, results)

    def asymmetric(
        self, model: binemb.MatryoshkaBinarizer, codes: binemb.BinaryCodes, vectors_ND: Tensor
    ) -> dict[str, float]:
        """Analogies and recall by bits alone, and of decoded words and float queries against bits."""
        weights_QB = model.asymmetric_queries(vectors_ND[self.asked], n_bits=codes.n_bits)
        return {
            "analogy": binemb.evaluate_analogy(codes, self.words).accuracy,
            "analogy_asymmetric": binemb.evaluate_analogy(codes, self.words, decoder=model).accuracy,
            "recall": self._recall(binemb.retrieve(codes[self.asked], codes, k=K + 1)),
            "recall_asymmetric": self._recall(binemb.retrieve(weights_QB, codes, k=K + 1)),
        }

    def _recall(self, found_QK: Tensor) -> float:
        """Share of the right neighbours among the first K rows found that are not the query itself."""
        others = found_QK != self.asked[:, None]
        others[:, -1] &= ~others.all(1)  # a query that did not find itself has one too many
        found = found_QK[others].view(-1, K)
        return float((self.right[:, :, None] == found[:, None, :]).any(2).float().mean())

    def add(self, method: str, n_bytes: int, results: dict[str, list[Any]]) -> None:
        """A row of means, and the results themselves for `differences`."""
        means = {name: sum(map(_value, found)) / len(found) for name, found in results.items()}
        spread = {f"{name}_seeds": [_value(each) for each in found] for name, found in results.items()}
        row = {"method": method, "bytes": n_bytes, "seeds": len(results["recall"]), **means, **spread}
        self.rows.append(row)
        self.kept[method, n_bytes] = results
        print({name: round(value, 4) for name, value in row.items() if isinstance(value, float)}, method, flush=True)

    def differences(self, ours: str, others: Sequence[str], sizes: Sequence[int]) -> list[dict[str, Any]]:
        """Paired bootstrap of ours against each of the others at the same bytes."""
        found = []
        for n_bytes in sizes:
            for other in others:
                if (other, n_bytes) not in self.kept or (ours, n_bytes) not in self.kept:
                    continue
                mine, theirs = self.kept[ours, n_bytes], self.kept[other, n_bytes]
                for name in mine.keys() & theirs.keys() - {"cosine"}:
                    result = binemb.paired_bootstrap(mine[name], theirs[name], resamples=RESAMPLES)
                    found.append(
                        {
                            "bytes": n_bytes,
                            "ours": ours,
                            "other": other,
                            "measure": name,
                            "difference": result.difference,
                            "low": result.interval[0],
                            "high": result.interval[1],
                        }
                    )
        return sorted(found, key=lambda row: (row["bytes"], row["other"], row["measure"]))


def _value(result: Any) -> float:
    if isinstance(result, Tensor):
        return float(result.double().mean())
    return float(result.spearman if isinstance(result, binemb.SimilarityResult) else result.accuracy)
