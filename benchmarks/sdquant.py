"""sdquant: Walsh-Hadamard against a copy, quantizer throughput, reconstruction of real vectors from one-bit codes.

uv run --group bench python benchmarks/sdquant.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import math
from typing import Any

import numpy as np
import sdquant as sd
import torch
from binemb import Preparation, evaluate_neighbours, load_vectors
from scipy.linalg import hadamard
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks.common import arguments, interleaved, write_results

BATCH_BYTES = 64 * 2**20


def walsh_hadamard(*, small: bool) -> list[dict[str, Any]]:
    """Bandwidth of the transform into a new tensor, beside `clone` of the same batch and a dense product."""
    rows = []
    for dim in (256, 1024) if small else (256, 512, 1024, 2048, 4096, 8192):
        x = torch.randn((2**20 if small else BATCH_BYTES) // (4 * dim), dim)
        work = {"fwht": lambda x=x: sd.fwht(x), "copy": lambda x=x: x.clone()}
        if dim <= 1024:
            matrix = torch.from_numpy(hadamard(dim).astype(np.float32)) / math.sqrt(dim)
            work["dense product"] = lambda x=x, m=matrix: x @ m
        times = interleaved(work)
        gigabytes = 2 * x.nbytes / 1e9
        row: dict[str, Any] = {"dim": dim, "rows": len(x)}
        for name, figures in times.items():
            row[f"{name}_gb_per_s"] = gigabytes / figures["median_s"]
        row["of_copy"] = times["copy"]["median_s"] / times["fwht"]["median_s"]
        rows.append(row)
    return rows


def quantizers(*, small: bool) -> list[dict[str, Any]]:
    """Samples a second of each order, kernel beside torch reference."""
    y = torch.empty(200 if small else 20_000, 1024).uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(0))
    rows = []
    for order in (1, 2, 3):
        times = interleaved(
            {"kernel": lambda o=order: sd.sigma_delta(y, order=o), "reference": lambda o=order: reference(y, o)},
            repeats=5,
        )
        rate = {name: y.numel() / figures["median_s"] / 1e6 for name, figures in times.items()}
        rows.append(
            {"order": order, "kernel_msamples_per_s": rate["kernel"], "reference_msamples_per_s": rate["reference"]}
        )
    return rows


def reference(y: Tensor, order: int) -> Tensor:
    """The plain-torch recursion on the same input."""
    from sdquant.kernels import reference as kernels

    lags, coefficients = sd.filter_taps(order)
    return kernels.sigma_delta(y, lags, tuple(float(c) for c in coefficients), states=False)[0]


def frames(*, small: bool) -> list[dict[str, Any]]:
    """Cosine and recall@10 of GloVe vectors decoded from one-bit codes; fitted on every second word."""
    vectors = load_vectors("samples:glove-50d", limit=4000 if small else 50_000).vectors
    x = Preparation.fit(vectors, components=0)(vectors)
    rows = []
    for n_bits in (128, 256) if small else (64, 128, 256, 512, 1024, 2048):
        for order in range(4):
            quantizer = sd.FrameQuantizer(50, n_bits, order, seed=0).fit(x[::2])
            decoded = quantizer.decode(quantizer.encode(x))
            held_out = cosine_similarity(decoded, x)[1::2].mean()
            recall = evaluate_neighbours(decoded, x, k=10, queries=500)
            rows.append({"bits": n_bits, "order": order, "cosine_held_out": float(held_out), "recall_at_10": recall})
    return rows


def main() -> None:
    """Run all parts and write `results/sdquant.json`."""
    options = arguments(__doc__ or "")
    figures = {
        "walsh_hadamard": walsh_hadamard(small=options.small),
        "quantizers": quantizers(small=options.small),
        "frames": frames(small=options.small),
    }
    write_results("sdquant", figures, options)


if __name__ == "__main__":
    main()
