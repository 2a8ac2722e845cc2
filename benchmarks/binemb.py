"""binemb: reading, training, encoding, search beside raw faiss, analogies, and how time grows with the vocabulary.

uv run --group bench python benchmarks/binemb.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import binemb
import faiss
import numpy as np
import torch
from binemb.index_parameters import IndexKind

from benchmarks.common import interleaved, parsed, parser_of, slope, write_results

BITS = (256, 512, 1024)
KINDS: tuple[IndexKind, ...] = ("flat", "ivf", "hnsw", "hash")
K = 10


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


def raw_index(kind: str, packed: np.ndarray, parameters: dict[str, Any]) -> tuple[Any, float]:
    """faiss's own index of the same kind and parameters, and the seconds it took to fill."""
    width = 8 * packed.shape[1]
    start = time.perf_counter()
    match kind:
        case "ivf":
            raw: Any = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(width), width, parameters["n_lists"])
            raw.cp.max_points_per_centroid = 39  # the least that faiss does not warn about
            raw.train(packed)
            raw.nprobe = parameters["n_probe"]
        case "hnsw":
            raw = faiss.IndexBinaryHNSW(width, parameters["m"])
            raw.hnsw.efConstruction, raw.hnsw.efSearch = parameters["ef_construction"], parameters["ef_search"]
        case "hash":
            raw = faiss.IndexBinaryMultiHash(width, parameters["n_tables"], parameters["hash_bits"])
            raw.nflip = parameters["n_flips"]
        case _:
            raw = faiss.IndexBinaryFlat(width)
    raw.add(packed)
    return raw, time.perf_counter() - start


def search(codes: binemb.BinaryCodes, kind: IndexKind, n_queries: int, folder: Path, device: str) -> dict[str, Any]:
    """One kind of index: filled, saved, mapped and searched, beside the raw faiss calls."""
    queries = codes[:: len(codes) // n_queries][:n_queries]
    packed = queries.packed.numpy()
    filled, fill_s = timed(lambda: binemb.BinaryIndex(codes.n_bits, kind, device=device).add(codes))
    path = folder / f"{kind}.index"
    _, save_s = timed(filled.save, path)
    index, map_s = timed(binemb.BinaryIndex.load, path, device=device, memory_map=True)
    raw, raw_fill_s = raw_index(kind, codes.packed.numpy(), index.parameters)
    times = interleaved({"binemb": lambda: index.search(queries, K), "faiss": lambda: raw.search(packed, K)}, repeats=5)
    farthest = binemb.BinaryIndex(codes.n_bits).add(codes).search(queries, K).distances[:, -1:]
    distances = torch.from_numpy(raw.search(packed, K)[0])
    return {
        "kind": kind,
        "parameters": index.parameters,
        "bits": codes.n_bits,
        "codes": len(codes),
        "fill_s": fill_s,
        "faiss_fill_s": raw_fill_s,
        "save_s": save_s,
        "map_s": map_s,
        "file_mib": path.stat().st_size / 2**20,
        **{f"{name}_queries_per_s": n_queries / f["median_s"] for name, f in times.items()},
        "ratio": times["faiss"]["median_s"] / times["binemb"]["median_s"],
        "recall": float((index.search(queries, K).distances <= farthest).float().mean()),
        "faiss_recall": float((distances <= farthest).float().mean()),
    }


def timed(function: Any, *args: Any, **kwargs: Any) -> tuple[Any, float]:
    """A result and the seconds it took."""
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return result, time.perf_counter() - start


def stages(words: int, config: binemb.TrainConfig, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of each stage for so many words, and the memory that a process of its own needs for them."""
    torch.set_num_threads(options.threads)
    vectors, load_s = timed(binemb.load_vectors, "samples:glove-50d", limit=words)
    model, train_s = timed(binemb.train_binarizer, vectors.vectors, BITS, config, device=options.device)
    codes, encode_s = timed(model.encode, vectors.vectors)
    analogy, analogy_s = timed(binemb.evaluate_analogy, codes, vectors.words)
    return {
        "words": words,
        "load_s": load_s,
        "train_s": train_s,
        "encode_s": encode_s,
        "analogy_s": analogy_s,
        "analogy_questions": analogy.questions,
        "analogy_accuracy": analogy.accuracy,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def growth(sizes: list[int], config: binemb.TrainConfig, options: argparse.Namespace) -> dict[str, Any]:
    """The stages against the number of words, and log-log slopes."""
    rows = []
    for words in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            rows.append(process.submit(stages, words, config, options).result())
        print(rows[-1], flush=True)
    names = ("load_s", "train_s", "encode_s", "analogy_s", "peak_mib")
    return {"growth": rows, "slopes": {name: slope(rows, "words", name) for name in names}}


def main() -> None:
    """Run all parts and write `results/binemb.json`."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--device", default="cpu", help="where to train and search: cpu, cuda or cuda:N")
    options = parsed(parser)
    faiss.omp_set_num_threads(options.threads)
    small = options.small
    words = 5_000 if small else 400_000
    config = binemb.TrainConfig(global_batch=512, group=128, rounds=1) if small else binemb.TrainConfig()
    grown = growth([2_000, 4_000] if small else [50_000, 100_000, 200_000, 400_000], config, options)
    vectors = binemb.load_vectors("samples:glove-50d", limit=words)
    model = binemb.train_binarizer(vectors.vectors, BITS, config, device=options.device)
    codes = model.encode(vectors.vectors)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for bits in BITS:
            for kind in KINDS if bits == BITS[-1] else KINDS[:1]:
                n_queries = 100 if small else 1000
                rows.append(search(codes.truncate(bits), kind, n_queries, Path(folder), options.device))
                print(rows[-1], flush=True)
    write_results("binemb", {"reading": reading(min(words, 100_000)), "search": rows, **grown}, options)


if __name__ == "__main__":
    main()
