"""What binary codes keep of words and sentences, beside other ways to the same bytes.

uv run --group bench python benchmarks/binemb_quality.py                      all parts, hours
uv run --group bench python benchmarks/binemb_quality.py --only words         one part; the others stay as they are

Parts: words (GloVe 100-d, 100,000 words), minilm (all-MiniLM-L6-v2 on words as texts: the first 20,000
and those of the sets), cranfield (retrieval with MiniLM), preset (1024 to 8192 bits of 400,000 words, 2 processes).
All methods code the same prepared vectors: mean (and for GloVe two principal components) dropped, unit length.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import argparse
import logging
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import binemb
import faiss
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks import binemb_peers as peers
from benchmarks.binemb_judge import Judge, word_sets
from benchmarks.common import parsed_parts, parser_of, write_results
from benchmarks.shared_data import DATA, glove

LEVELS = (64, 128, 256, 512, 1024)
SMALL = (64, 128)
ALONE = 512  # bits up to which each size also has models of its own, and PQ: beyond, most methods are near to float
Save = Callable[[dict[str, Any]], None]
RIVALS = {
    "binemb, Hamming": ("random rotations, Hamming", "ITQ, Hamming", "binemb of one size, Hamming"),
    "binemb of one size, Hamming": ("sentence-transformers binary",),
    "binemb, decoded": ("binemb of one size, decoded",),
    "binemb of one size without pull, decoded": ("PQ, decoded", "OPQ, decoded", "RaBitQ"),
}
PRESET_ROUNDS = 2  # each is minutes long at 8192 bits


def with_asked_words(vectors: binemb.WordVectors, count: int, *, small: bool = False) -> binemb.WordVectors:
    """The first words, and all that the sets ask for (for a test of the script: the first set)."""
    sets = word_sets()[:1] if small else word_sets()
    asked = {word.lower() for data in sets for a, b, _ in data.pairs for word in (a, b)}
    questions = list(binemb.load_analogies("google").sections.values())[: 1 if small else None]
    asked |= {word.lower() for section in questions for question in section for word in question}
    rows = [row for row, word in enumerate(vectors.words) if row < count or word in asked]
    return binemb.WordVectors([vectors.words[row] for row in rows], vectors.vectors[rows], vectors.source)


def config_of(*, small: bool, components: int = 2, pull: float = 0.5) -> binemb.TrainConfig:
    """The defaults; smaller batches where there are few words."""
    group, batch = (64, 256) if small else (256, 2048)
    return binemb.TrainConfig(components=components, pull=pull, group=group, global_batch=batch)


def compared(
    words: list[str], vectors_ND: Tensor, components: int, levels: tuple[int, ...], save: Save, *, small: bool
) -> None:
    """Every method at every size."""
    preparation = binemb.Preparation.fit(vectors_ND, components=components)
    prepared_ND = preparation(vectors_ND)
    seeds = range(1 if small else 5)
    dim = prepared_ND.shape[1]
    n_signs = 8 * -(-dim // 8)  # what the signs of the values take
    judge = Judge(words, prepared_ND, 100 if small else 1000)

    def fit(bits: tuple[int, ...], seed: int, pull: float) -> binemb.MatryoshkaBinarizer:
        config = config_of(small=small, components=components, pull=pull)
        return binemb.MatryoshkaBinarizer.fit(vectors_ND, bits, seed=seed, config=config)

    judge.score("float32", 4 * dim, [vectors_ND])
    judge.score("float32, prepared", 4 * dim, [prepared_ND])
    judge.score("sentence-transformers int8", dim, [peers.int8_decoded(prepared_ND)])
    judge.score("sentence-transformers binary", n_signs // 8, [peers.sign_codes(prepared_ND)])
    nested = [fit(levels, seed, pull=0.5) for seed in seeds]
    whole = [model.encode(vectors_ND) for model in nested]
    for bits in sorted({*levels, min(n_signs, max(levels))}):
        n_bytes = bits // 8
        judge.score("binemb, Hamming", n_bytes, (code.truncate(bits) for code in whole))
        if bits <= ALONE:
            alone = [fit((bits,), seed, pull=0.5) for seed in seeds]
            codes = [model.encode(vectors_ND) for model in alone]
            judge.score("binemb of one size, Hamming", n_bytes, codes)
            decoded = (model.decode(code) for model, code in zip(alone, codes, strict=True))
            judge.score("binemb of one size, decoded", n_bytes, decoded)
        if bits not in levels:
            continue
        decoded = (model.decode(code.truncate(bits)) for model, code in zip(nested, whole, strict=True))
        judge.score("binemb, decoded", n_bytes, decoded)
        if bits <= ALONE:
            free = (fit((bits,), seed, pull=0.0) for seed in seeds)
            decoded = (model.decode(model.encode(vectors_ND)) for model in free)
            judge.score("binemb of one size without pull, decoded", n_bytes, decoded)
            sizes = peers.product_sizes(prepared_ND, n_bytes)
            judge.score("PQ, decoded", n_bytes, peers.product_decoded(prepared_ND, sizes, seeds))
            judge.score("OPQ, decoded", n_bytes, peers.product_decoded(prepared_ND, sizes[:1], seeds[:1], rotated=True))
        judge.score("random rotations, Hamming", n_bytes, (peers.random_signs(prepared_ND, bits, s) for s in seeds))
        judge.score("ITQ, Hamming", n_bytes, (peers.itq_signs(prepared_ND, bits, s) for s in seeds))
        found = peers.rabitq_recalls(prepared_ND, n_bytes, judge.asked, judge.right)
        if found is not None:
            judge.add("RaBitQ", n_bytes, {"recall": [found]})
        save({"vectors": len(words), "dim": dim, "rows": judge.rows})
    sizes = sorted({bytes_ for _, bytes_ in judge.kept})
    differences = [row for ours, others in RIVALS.items() for row in judge.differences(ours, others, sizes)]
    save({"vectors": len(words), "dim": dim, "rows": judge.rows, "differences": differences})


def words_part(save: Save, *, small: bool) -> None:
    """GloVe."""
    vectors = with_asked_words(glove(50_000), 1500, small=True) if small else glove(100_000)
    compared(vectors.words, vectors.vectors, 2, SMALL if small else LEVELS, save, small=small)


def asymmetric_part(save: Save, *, small: bool) -> None:
    """The nested models of GloVe again: bits alone, and decoded questions and float queries against bits."""
    vectors = with_asked_words(glove(50_000), 1500, small=True) if small else glove(100_000)
    levels = SMALL if small else LEVELS
    prepared_ND = binemb.Preparation.fit(vectors.vectors, components=2)(vectors.vectors)
    judge = Judge(vectors.words, prepared_ND, 100 if small else 1000)
    figures: dict[str, Any] = {"vectors": len(vectors.words), "rows": []}
    figures["float_analogy"] = binemb.evaluate_analogy(prepared_ND, vectors.words).accuracy
    for seed in range(1 if small else 3):
        model = binemb.MatryoshkaBinarizer.fit(vectors.vectors, levels, seed=seed, config=config_of(small=small))
        codes = model.encode(vectors.vectors)
        for bits in levels[-1:] if small else (256, 1024):
            row = {"seed": seed, "bits": bits, **judge.asymmetric(model, codes.truncate(bits), vectors.vectors)}
            figures["rows"].append(row)
            print(row, flush=True)
            save(figures)


def minilm_part(save: Save, *, small: bool) -> None:
    """MiniLM's vectors of words as texts."""
    words = with_asked_words(glove(100_000), 1200 if small else 20_000, small=small).words
    compared(words, binemb.encode_sentences(words), 0, SMALL if small else LEVELS[:-1], save, small=small)


def cranfield_part(save: Save, *, small: bool) -> None:
    """nDCG@10 of MiniLM on Cranfield; the codes are fitted to the sentences of the documents."""
    folder = DATA / "retrieval" / "cranfield"
    if not folder.exists():
        return save({"rows": []})
    data = binemb.load_retrieval_set(folder)
    if small:
        data = replace(data, documents=data.documents[:100], judgements=_among(data.judgements, 100))
    texts = data.documents
    sentences = [part.strip() for text in texts for part in text.split(" . ") if len(part.split()) > 3]
    sentences = sentences[: 300 if small else None]
    gains = data.judgements
    documents, queries = binemb.encode_sentences(texts), binemb.encode_sentences(data.queries)
    fitted = torch.cat([documents, binemb.encode_sentences(sentences)])
    levels = SMALL if small else LEVELS
    seeds = 1 if small else 5
    rows = [_retrieval("float32", 4 * documents.shape[1], [binemb.evaluate_retrieval(queries, documents, gains)])]
    preparation = binemb.Preparation.fit(fitted, components=0)
    d, q, f = preparation(documents), preparation(queries), preparation(fitted)
    rows.append(_retrieval("float32, prepared", 4 * d.shape[1], [binemb.evaluate_retrieval(q, d, gains)]))
    config = config_of(small=small, components=0)
    models = [binemb.MatryoshkaBinarizer.fit(fitted, levels, seed=s, config=config) for s in range(seeds)]
    coded = [(model, model.encode(queries), model.encode(documents)) for model in models]
    signs = peers.sign_codes(torch.cat([q, d]))
    found = binemb.evaluate_retrieval(signs[: len(q)], signs[len(q) :], gains)
    rows.append(_retrieval("sentence-transformers binary", d.shape[1] // 8, [found]))
    for bits in levels:
        results: dict[str, list[Any]] = {"binemb, Hamming": [], "binemb, decoded": []}
        results |= {"random rotations, Hamming": [], "ITQ, Hamming": []}
        for seed, (model, query_codes, document_codes) in enumerate(coded):
            short = document_codes.truncate(bits)
            results["binemb, Hamming"].append(binemb.evaluate_retrieval(query_codes.truncate(bits), short, gains))
            results["binemb, decoded"].append(binemb.evaluate_retrieval(q, model.decode(short), gains))
            everything = torch.cat([q, d, f])
            for name, make in (("random rotations", peers.random_signs), ("ITQ", peers.itq_signs)):
                part = make(everything, bits, seed)
                found = binemb.evaluate_retrieval(part[: len(q)], part[len(q) : len(q) + len(d)], gains)
                results[f"{name}, Hamming"].append(found)
        if bits <= ALONE:
            corpus = torch.cat([d, f])
            products = peers.product_decoded(corpus, peers.product_sizes(corpus, bits // 8), range(seeds))
            results["PQ, decoded"] = [binemb.evaluate_retrieval(q, product[: len(d)], gains) for product in products]
        scored = {name: _retrieval(name, bits // 8, found) for name, found in results.items()}
        for name in ("random rotations, Hamming", "ITQ, Hamming"):
            better = binemb.paired_bootstrap(results["binemb, Hamming"], results[name], resamples=1000)
            scored["binemb, Hamming"][f"above {name}"] = [better.difference, *better.interval]
        rows += scored.values()
    return save({"documents": len(texts), "queries": len(data.queries), "fitted": len(fitted), "rows": rows})


def _among(judgements: list[dict[int, int]], count: int) -> list[dict[int, int]]:
    return [{row: gain for row, gain in judged.items() if row < count} for judged in judgements]


def _retrieval(method: str, n_bytes: float, results: list[Any]) -> dict[str, Any]:
    row = {"method": method, "bytes": n_bytes, "seeds": len(results)}
    row |= {name: sum(getattr(r, name) for r in results) / len(results) for name in ("ndcg", "recall", "mrr")}
    row["ndcg_seeds"] = [r.ndcg for r in results]
    print(row, flush=True)
    return row


def preset_part(save: Save, *, small: bool) -> None:
    """`neuro embed train --nproc 2` on the largest sample; cosine of held-out words at every level."""
    from ddp_utils import split_held_out

    levels = (128, 256) if small else (1024, 2048, 4096, 8192)
    limit = 3_000 if small else 400_000
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "neuro", "embed", "train", "--vectors", "samples:glove-50d", "--quiet"]
        command += [
            "--set",
            f"train.rounds={PRESET_ROUNDS}",
            "--limit",
            str(limit),
            "--bits",
            ",".join(map(str, levels)),
            "--nproc",
            "2",
            "--out",
            f"{folder}/run",
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        model = binemb.MatryoshkaBinarizer.load(f"{folder}/run/model.safetensors")
        vectors = binemb.load_vectors("samples:glove-50d", limit=limit).vectors
        _, held_out = split_held_out(limit, binemb.TrainConfig(), seed=0)
        start = time.perf_counter()
        codes = model.encode(vectors[held_out])
        rate = len(held_out) / (time.perf_counter() - start)
        exact = model.preparation(vectors[held_out])
        rows = []
        for level in levels:
            cosines = cosine_similarity(model.decode(codes.truncate(level)), exact)
            rows.append({"bits": level, "cosine": float(cosines.mean()), "least_cosine": float(cosines.min())})
    save({"words": limit, "seconds": seconds, "encoded_per_s": rate, "held_out": len(held_out), "rows": rows})


PARTS = {
    "words": words_part,
    "asymmetric": asymmetric_part,
    "minilm": minilm_part,
    "cranfield": cranfield_part,
    "preset": preset_part,
}


def _publish(figures: dict[str, Any], name: str, options: argparse.Namespace, found: dict[str, Any]) -> None:
    figures[name] = found
    write_results("binemb_quality", figures, options)


def main() -> None:
    """Run the parts asked for and write `results/binemb_quality.json`."""
    options, names, figures = parsed_parts(parser_of(__doc__ or ""), "binemb_quality", PARTS)
    faiss.omp_set_num_threads(options.threads)
    logging.disable(logging.INFO)
    for name in names:
        PARTS[name](partial(_publish, figures, name, options), small=options.small)


if __name__ == "__main__":
    main()
