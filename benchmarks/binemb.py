"""binemb: reading, training, encoding, search beside raw faiss, analogies, and how time grows with the vocabulary.

uv run --group bench python benchmarks/binemb.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import resource
import tempfile
import time
from typing import Any

import binemb
import faiss
import torch

from benchmarks.common import arguments, interleaved, write_results


def reading(words: int) -> dict[str, float]:
    """GloVe text, our reader beside gensim's."""
    from gensim.models import KeyedVectors

    sample = binemb.load_vectors("samples:glove-50d", limit=words)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "glove.txt")
        lines = (
            f"{word} {' '.join(f'{value:.5f}' for value in row)}"
            for word, row in zip(sample.words, sample.vectors.tolist(), strict=True)
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        times = interleaved(
            {
                "binemb": lambda: binemb.load_vectors(str(path)),
                "gensim": lambda: KeyedVectors.load_word2vec_format(str(path), no_header=True),
            },
            repeats=3,
        )
    return {f"{name}_words_per_s": words / figures["median_s"] for name, figures in times.items()}


def search(codes: binemb.BinaryCodes, n_queries: int) -> dict[str, Any]:
    """Queries a second of the flat index, beside the raw faiss call on the same bytes."""
    index = binemb.BinaryIndex(codes.n_bits).add(codes)
    raw = faiss.IndexBinaryFlat(codes.n_bits)
    raw.add(codes.packed.numpy())
    queries = codes[:n_queries]
    packed = queries.packed.numpy()
    times = interleaved({"binemb": lambda: index.search(queries, 10), "faiss": lambda: raw.search(packed, 10)})
    rates: dict[str, Any] = {f"{name}_queries_per_s": n_queries / f["median_s"] for name, f in times.items()}
    return {
        "bits": codes.n_bits,
        "codes": len(codes),
        **rates,
        "ratio": times["faiss"]["median_s"] / times["binemb"]["median_s"],
    }


def timed(function: Any, *args: Any, **kwargs: Any) -> tuple[Any, float]:
    """A result and the seconds it took."""
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return result, time.perf_counter() - start


def growth(sizes: list[int], config: binemb.TrainConfig) -> list[dict[str, float]]:
    """Seconds of each stage against the number of words."""
    rows = []
    for words in sizes:
        vectors, load_s = timed(binemb.load_vectors, "samples:glove-50d", limit=words)
        model, train_s = timed(binemb.MatryoshkaBinarizer.fit, vectors.vectors, (256, 512, 1024), config=config)
        codes, encode_s = timed(model.encode, vectors.vectors)
        analogy, analogy_s = timed(binemb.evaluate_analogy, codes, vectors.words)
        rows.append(
            {
                "words": words,
                "load_s": load_s,
                "train_s": train_s,
                "encode_s": encode_s,
                "analogy_s": analogy_s,
                "analogy_questions": analogy.questions,
                "analogy_accuracy": analogy.accuracy,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    return rows


def main() -> None:
    """Run all parts and write `results/binemb.json`."""
    options = arguments(__doc__ or "")
    faiss.omp_set_num_threads(options.threads)
    small = options.small
    words = 5_000 if small else 100_000
    vectors = binemb.load_vectors("samples:glove-50d", limit=words)
    config = binemb.TrainConfig(steps=10, global_batch=512, group=128) if small else binemb.TrainConfig()
    codes = binemb.MatryoshkaBinarizer.fit(vectors.vectors, (256, 512, 1024), config=config).encode(vectors.vectors)
    figures = {
        "reading": reading(words),
        "search": [search(codes.truncate(bits), 100 if small else 1000) for bits in (256, 512, 1024)],
        "growth": growth([2_000, 4_000] if small else [25_000, 50_000, 100_000, 200_000, 400_000], config),
    }
    write_results("binemb", figures, options)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
