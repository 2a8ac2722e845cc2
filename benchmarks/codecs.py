"""sdquant.Codec beside faiss on GloVe, MiniLM's word vectors and both together: bytes, identity, neighbours, speed.

uv run --group bench python benchmarks/codecs.py                       all parts, an hour or more
uv run --group bench python benchmarks/codecs.py --only symbols,speed  these parts; the others stay as they are

All vectors are centred and of unit length, 1,000 of them held out; all methods see the same ones and are compared by
cosine, which serves the peers better than distance. Peers' tables count half of what faiss keeps.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import sdquant as sd
import torch
from binemb import load_vectors
from ddp_utils import keyed_generator
from sdquant.additive import additive_decode, additive_encode, fit_codebooks
from sdquant.codec_report import neighbours, overlap
from sdquant.identity import mistaken
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks import codec_peers, codec_speed
from benchmarks.common import parsed, parser_of, write_results
from benchmarks.shared_data import glove

COMPRESSIONS = (50, 100)
CHECKED = 20_000  # vectors that a peer's identity is measured on, each against all


def prepared(vectors_ND: Tensor) -> Tensor:
    """Centred, of unit length."""
    return normalize(vectors_ND - vectors_ND.mean(0))


def datasets(*, small: bool) -> dict[str, list[Tensor]]:
    """Name to the parts of the vectors: one matrix, or two of the same words."""
    words = glove(3_000 if small else 100_000)
    vectors = prepared(words.vectors)
    pieces = load_vectors("samples:minilm", limit=3_000 if small else None)
    minilm = prepared(pieces.vectors)
    row = {word: i for i, word in enumerate(pieces.words)}
    common = [(i, row[word]) for i, word in enumerate(words.words) if word in row]
    left, right = (torch.tensor(rows) for rows in zip(*common, strict=True))
    return {
        f"GloVe {vectors.shape[1]}-d": [vectors],
        "MiniLM word vectors": [minilm],
        "GloVe + MiniLM": [prepared(vectors[left]), prepared(minilm[right])],
    }


def split(parts: list[Tensor], held_out: int) -> tuple[list[Tensor], list[Tensor]]:
    """Vocabulary and held-out rows."""
    order = torch.randperm(len(parts[0]), generator=keyed_generator(0, "benchmark.held_out"))
    return [part[order[held_out:]] for part in parts], [part[order[:held_out]] for part in parts]


def judge_peer(peer: codec_peers.Peer, vocabulary: Tensor, held_out: Tensor, queries: int) -> dict[str, Any]:
    """Figures of a peer, as `Codec.report` defines them."""
    made = codec_peers.run(peer, vocabulary.numpy(), held_out.numpy())
    decoded, again = torch.from_numpy(made.vocabulary).float(), torch.from_numpy(made.held_out).float()
    mean = vocabulary.mean(0)
    own = torch.arange(0, len(vocabulary), max(1, len(vocabulary) // CHECKED))
    picked = torch.randperm(len(vocabulary), generator=keyed_generator(0, "codec.queries"))[:queries]
    searched = normalize(decoded)
    true = neighbours(vocabulary[picked], vocabulary, 10, without=picked)
    return {
        "method": peer.name,
        "setting": peer.setting,
        "code_bytes": peer.code_bytes,
        "table_bytes": peer.table_bytes / len(vocabulary),
        "total_bytes": peer.code_bytes + peer.table_bytes / len(vocabulary),
        "identity": 1 - float(mistaken(decoded[own], vocabulary, own).double().mean()),
        "recall": overlap(true, neighbours(vocabulary[picked], searched, 10, without=picked)),
        "recall_held_out": overlap(neighbours(held_out, vocabulary, 10), neighbours(held_out, searched, 10)),
        "mse": float((decoded - vocabulary).square().sum() / (vocabulary - mean).square().sum()),
        "mse_held_out": float((again - held_out).square().sum() / (held_out - mean).square().sum()),
        "train_s": made.train_s,
        "encoded_per_s": len(vocabulary) / made.encode_s,
    }


def judge_codec(
    parts: list[Tensor], held_out: list[Tensor], compression: float, queries: int, config: sd.CodecConfig
) -> dict[str, Any]:
    """Figures of the codec."""
    start = time.perf_counter()
    codec, codes = sd.Codec.fit_encode(parts, compression, config=config)
    fitted = time.perf_counter()
    codec.encode(parts, verify=False)
    encoded = time.perf_counter()
    codec.encode(parts)
    verified = time.perf_counter()
    found = codec.report(parts, codes=codes, held_out=held_out, queries=queries)
    rows = found["rows"]
    return {
        "method": "sdquant.Codec",
        "setting": f"{found['symbols']}x{found['bits_per_symbol']}" + (" + refinement" if found["refinement"] else ""),
        "code_bytes": (found["bytes_codes"] - found["bytes_escapes"]) / rows,
        "escape_bytes": found["bytes_escapes"] / rows,
        "table_bytes": found["bytes_codec"] / rows,
        "total_bytes": found["bytes_per_row"],
        "identity": found["identity"],
        "recall": found["recall_asymmetric"],
        "recall_symmetric": found["recall_symmetric"],
        "recall_held_out": found["held_out_recall_asymmetric"],
        "mse": found["mse_over_variance"],
        "mse_held_out": found["held_out_mse_over_variance"],
        "train_s": fitted - start,
        "encoded_per_s": rows / (encoded - fitted),
        "verified_per_s": rows / (verified - encoded),
        "escape_rate": found["escape_rate"],
        "exceptions": found["exceptions"],
        "duplicates": found["duplicates"],
        "distance_distortion": found["distance_distortion"],
    }


def equal_total_bytes(
    name: str, parts: list[Tensor], compression: float, *, peers: bool, small: bool
) -> list[dict[str, Any]]:
    """The codec and every faiss family at the same bytes, tables spread over the vocabulary."""
    vocabulary, held_out = split(parts, 100 if small else 1_000)
    joined, joined_held_out = (normalize(torch.cat(rows, dim=1)) for rows in (vocabulary, held_out))
    dim, queries = joined.shape[1], 200 if small else 1_000
    config = sd.CodecConfig(metric="cosine", rounds=3 if small else 60)
    facts = {"data": name, "rows": len(joined), "dim": dim, "compression": compression}
    ours = judge_codec(vocabulary, held_out, compression, queries, config)
    print(facts, ours, flush=True)
    best: dict[str, dict[str, Any]] = {}
    for peer in codec_peers.within(4 * dim / compression, len(joined), dim) if peers else ():
        found = judge_peer(peer, joined, joined_held_out, queries)
        print(found, flush=True)
        if peer.name not in best or found["recall_held_out"] > best[peer.name]["recall_held_out"]:
            best[peer.name] = found
    return [{**facts, **found} for found in (ours, *best.values())]


def equal_code_bytes(parts: list[Tensor], *, small: bool) -> list[dict[str, Any]]:
    """Codes of 8 bytes, tables apart."""
    (vocabulary,), (held_out,) = split(parts, 100 if small else 1_000)
    dim, queries = vocabulary.shape[1], 200 if small else 1_000
    rows: list[dict[str, Any]] = []
    for n_bytes in (2,) if small else (8,):
        entries = codec_peers.TABLE_BYTES * n_bytes * 256 * dim

        def train(x: np.ndarray, n_bytes: int = n_bytes) -> Any:
            codebooks, _ = fit_codebooks(torch.from_numpy(x), n_bytes, 256, rounds=2 if small else 30)

            def encode(v: np.ndarray) -> np.ndarray:
                return additive_encode(torch.from_numpy(v), codebooks).numpy()

            return encode, lambda c: additive_decode(torch.from_numpy(c), codebooks).numpy()

        ours = codec_peers.Peer("sdquant.Codec", f"{n_bytes}x8", n_bytes, entries * 6 / 16, train)
        peers = [ours, codec_peers.additive(dim, n_bytes, 8)]
        if not small:
            peers += [codec_peers.product(dim, n_bytes, 8, rotated=rotated) for rotated in (False, True)]
            peers.append(codec_peers.itq(dim, min(dim, 8 * n_bytes)))
        for peer in peers:
            found = judge_peer(peer, vocabulary, held_out, queries)
            print(found, flush=True)
            rows.append({"bytes": n_bytes, **found})
    return rows


def symbols(parts: list[Tensor], *, small: bool) -> list[dict[str, Any]]:
    """Squared error of 60 to 64 bits in symbols of 1 to 8: what a bit of each is worth."""
    (vocabulary,), _ = split(parts, 1_000)
    vocabulary = vocabulary[: 1_000 if small else 20_000]
    rows = []
    for bits, count in ((4, 4),) if small else ((1, 64), (2, 32), (4, 16), (6, 10), (8, 8)):
        codebooks, _ = fit_codebooks(vocabulary, count, 1 << bits, rounds=2 if small else 20)
        for restarts in (0, 8, 32, 128) if bits == 4 and not small else (32,):
            start = time.perf_counter()
            codes = additive_encode(vocabulary, codebooks, restarts=restarts)
            seconds = time.perf_counter() - start
            error = float((additive_decode(codes, codebooks) - vocabulary).square().sum() / len(vocabulary))
            rows.append(
                {
                    "bits_per_symbol": bits,
                    "symbols": count,
                    "restarts": restarts,
                    "mse": error,
                    "encoded_per_s": len(vocabulary) / seconds,
                }
            )
            print(rows[-1], flush=True)
    return rows


def blocks(parts: list[Tensor], *, small: bool) -> list[dict[str, Any]]:
    """Squared error of 60 bits when dimensions are cut into blocks that are coded by themselves."""
    (vocabulary,), _ = split(parts, 1_000)
    vocabulary = vocabulary[: 1_000 if small else 20_000]
    rows = []
    for n_blocks in (1, 2) if small else (1, 2, 4, 8):
        error = 0.0
        for part, count in zip(vocabulary.tensor_split(n_blocks, dim=1), split_evenly(15, n_blocks), strict=True):
            codebooks, codes = fit_codebooks(part.contiguous(), count, 16, rounds=2 if small else 20)
            error += float((additive_decode(codes, codebooks) - part).square().sum())
        rows.append({"blocks": n_blocks, "symbols": 15, "bits_per_symbol": 4, "mse": error / len(vocabulary)})
        print(rows[-1], flush=True)
    return rows


def split_evenly(total: int, parts: int) -> list[int]:
    """Whole numbers that differ by at most one."""
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]


def ablation(parts: list[Tensor], *, small: bool) -> list[dict[str, Any]]:
    """The codec at 50x of 20,000 vectors with the residual network, and without."""
    vocabulary, held_out = split([parts[0][: 1_000 if small else 21_000]], 100 if small else 1_000)
    rows = []
    for refinement in (False, True):
        config = sd.CodecConfig(metric="cosine", bits_per_symbol=4, refinement=refinement, rounds=2 if small else 20)
        row = judge_codec(vocabulary, held_out, 15 if small else 50, 200 if small else 1_000, config)
        rows.append({"refinement": refinement, **row})
        print(rows[-1], flush=True)
    return rows


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "code_bytes": lambda parts, small: {"equal_code_bytes": equal_code_bytes(parts, small=small)},
    "symbols": lambda parts, small: {
        "symbols": symbols(parts, small=small),
        "blocks": blocks(parts, small=small),
        "ablation": ablation(parts, small=small),
    },
    "speed": lambda parts, small: {
        "growth": (grown := codec_speed.growth(parts, small=small)),
        "slopes": codec_speed.slopes(grown),
        "encoding": codec_speed.encoding_beside_rq(parts, small=small),
    },
}


def main() -> None:
    """Run parts and write `results/codecs.json`."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--only", help="parts to run, separated by commas")
    parser.add_argument("--no-peers", action="store_true", help="the codec alone, at equal total bytes")
    options = parsed(parser)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    faiss.omp_set_num_threads(options.threads)
    data = datasets(small=options.small)
    comparisons = {f"{name} {c}x": (name, c) for name in data for c in ((20,) if options.small else COMPRESSIONS)}
    names = [*comparisons, *PARTS] if options.only is None else options.only.split(",")
    if unknown := set(names) - {*comparisons, *PARTS}:
        parser.error(f"no parts {unknown}; there are {[*comparisons, *PARTS]}")
    path = options.out / "codecs.json"
    figures = json.loads(path.read_text("utf-8")) if options.only else {"equal_total_bytes": {}}
    for name in names:
        if name in comparisons:
            source, compression = comparisons[name]
            figures["equal_total_bytes"][name] = equal_total_bytes(
                source, data[source], compression, peers=not options.no_peers, small=options.small
            )
        else:
            figures |= PARTS[name](next(iter(data.values())), small=options.small)
        write_results("codecs", figures, options)


if __name__ == "__main__":
    main()
