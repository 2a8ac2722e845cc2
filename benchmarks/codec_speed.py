"""Seconds of codecs: beside faiss, and against vectors, bits and dimensions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import faiss
import torch
from sdquant.additive import additive_decode, additive_encode, fit_codebooks
from sdquant.identity import mistaken
from torch import Tensor

from benchmarks.common import interleaved, slope


def encoding_beside_rq(parts: list[Tensor], *, small: bool) -> list[dict[str, Any]]:
    """Vectors a second at 8 code bytes, ours and RQ's in turn."""
    sample = parts[0][: 500 if small else 20_000].contiguous()
    dim = sample.shape[1]
    rq = faiss.ResidualQuantizer(dim, 2 if small else 8, 4 if small else 8)
    rq.use_beam_LUT = 1  # the same codes, twice as fast
    rq.train(sample.numpy())
    work: dict[str, Callable[[], object]] = {"RQ 8x8": lambda: rq.compute_codes(sample.numpy())}
    for count, bits in ((4, 4),) if small else ((16, 4), (10, 6), (8, 8)):
        codebooks, _ = fit_codebooks(sample, count, 1 << bits, rounds=2)
        work[f"{count}x{bits}"] = lambda c=codebooks: additive_encode(sample, c)
    times = interleaved(work, repeats=1 if small else 5)
    return [
        {"code": name, "encoded_per_s": len(sample) / f["median_s"], "fastest": len(sample) / f["min_s"]}
        for name, f in times.items()
    ]


def growth(parts: list[Tensor], *, small: bool) -> list[dict[str, Any]]:
    """Seconds to fit (5 rounds), encode and verify, against vectors, bits and dimensions."""
    base = {"rows": 1_000, "bits": 16, "dim": 16} if small else {"rows": 20_000, "bits": 64, "dim": 64}
    steps = {"rows": (500, 1_000), "bits": (8, 16), "dim": (8, 16)}
    if not small:
        steps = {"rows": (10_000, 20_000, 40_000, 80_000), "bits": (32, 64, 128, 256), "dim": (16, 32, 64, 100)}
    results = []
    for varied, values in steps.items():
        for value in values:
            size = {**base, varied: value}
            x = parts[0][: size["rows"], : size["dim"]].contiguous()
            start = time.perf_counter()
            codebooks, _ = fit_codebooks(x, size["bits"] // 4, 16, rounds=5)
            fitted = time.perf_counter()
            codes = additive_encode(x, codebooks)
            encoded = time.perf_counter()
            mistaken(additive_decode(codes, codebooks), x, torch.arange(len(x)))
            verified = time.perf_counter()
            seconds = {"fit_s": fitted - start, "encode_s": encoded - fitted, "verify_s": verified - encoded}
            results.append({"varied": varied, **size, **seconds})
            print(results[-1], flush=True)
    return results


def slopes(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Log-log slopes of the seconds of each stage."""
    found: dict[str, dict[str, float]] = {}
    for varied in dict.fromkeys(row["varied"] for row in rows):
        part = [row for row in rows if row["varied"] == varied]
        found[varied] = {stage: slope(part, varied, stage) for stage in ("fit_s", "encode_s", "verify_s")}
    return found
