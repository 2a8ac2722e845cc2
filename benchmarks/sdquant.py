"""sdquant: transforms, quantizers, 1.58-bit layers, one-bit codes of real vectors; codecs have `codecs.py`.

uv run --group bench python benchmarks/sdquant.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sdquant as sd
import torch
from binemb import Preparation, evaluate_neighbours, load_vectors
from scipy.linalg import hadamard
from sdquant.kernels import cpu
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from benchmarks.common import arguments, interleaved, write_results

BATCH_BYTES = 64 * 2**20


def walsh_hadamard(*, small: bool) -> list[dict[str, Any]]:
    """Bandwidth of the transform and of a copy, into memory that is there and into new tensors, and a dense product."""
    rows = []
    for dim in (256, 1024) if small else (256, 512, 1024, 2048, 4096, 8192):
        x = torch.randn((2**20 if small else BATCH_BYTES) // (4 * dim), dim)
        out = torch.empty_like(x)
        work: dict[str, Callable[[], object]] = {
            "fwht": lambda x=x, out=out: cpu.fwht(x, (x.shape[1],), out_ND=out),
            "copy": lambda x=x, out=out: out.copy_(x),
            "fwht, new": lambda x=x: sd.fwht(x),
            "copy, new": lambda x=x: x.clone(),
        }
        if dim <= 1024:
            matrix = torch.from_numpy(hadamard(dim).astype(np.float32)) / math.sqrt(dim)
            work["dense product"] = lambda x=x, m=matrix: x @ m
        times = interleaved(work)
        gigabytes = 2 * x.nbytes / 1e9
        row: dict[str, Any] = {"dim": dim, "rows": len(x)}
        for name, figures in times.items():
            row[f"{name}_gb_per_s"] = gigabytes / figures["median_s"]
        row["of_copy"] = times["copy"]["median_s"] / times["fwht"]["median_s"]
        row["of_copy_new"] = times["copy, new"]["median_s"] / times["fwht, new"]["median_s"]
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


def binary_embeddings(*, small: bool) -> list[dict[str, Any]]:
    """Errors of distances and inner products of word vectors against bits: orders, signs, QJL, Gaussian projection."""
    words = 200 if small else 2_000
    x = Preparation.fit((vectors := load_vectors("samples:glove-50d", limit=words).vectors), components=0)(vectors)
    return sd.analysis.jl_report(x, bits=(256,) if small else (256, 512, 1024, 2048, 4096))


def noise(*, small: bool) -> list[dict[str, Any]]:
    """SQNR against oversampling, and its slopes."""
    rows = sd.analysis.sqnr(n_inputs=20) if small else sd.analysis.sqnr()
    return [{"order": order, "slope": slope} for order, slope in sd.analysis.sqnr_slopes(rows).items()]


def ternary_layers(*, small: bool) -> list[dict[str, Any]]:
    """Memory and time of packed 1.58-bit layers, beside nn.Linear in float32 and bfloat16."""
    rows = []
    for size in (256,) if small else (1024, 4096):
        linear = nn.Linear(size, size)
        ternary = sd.BitLinear.from_linear(linear)
        layers = {
            "float32": linear,
            "bfloat16": nn.Linear(size, size).bfloat16(),
            "base3": ternary.pack("base3"),
            "two_bit": ternary.pack("two_bit"),
        }
        n_bytes = {name: sum(t.nbytes for t in layer.state_dict().values()) for name, layer in layers.items()}
        for batch in (1, 16, 256):
            x = torch.randn(batch, size, generator=torch.Generator().manual_seed(0))
            inputs = {name: x.bfloat16() if name == "bfloat16" else x for name in layers}
            with torch.inference_mode():
                times = interleaved({name: lambda f=layers[name], x=inputs[name]: f(x) for name in layers}, repeats=21)
            row: dict[str, Any] = {"size": size, "batch": batch, "bytes": n_bytes}
            row["median_us"] = {name: 1e6 * figures["median_s"] for name, figures in times.items()}
            rows.append(row)
    return rows


def embedding_throughput(*, small: bool) -> list[dict[str, Any]]:
    """Vectors a second that `BinaryEmbedding` encodes, by dimension and transform."""
    rows = []
    for dim in (100,) if small else (100, 384, 1536):
        x = torch.randn(500 if small else 4_000, dim, generator=torch.Generator().manual_seed(0))
        x /= x.norm(dim=1, keepdim=True)
        work = {
            kind: sd.BinaryEmbedding(dim, 4096, order=1, blocks=256, transform=kind) for kind in ("fast", "gaussian")
        }
        times = interleaved({kind: lambda e=e, x=x: e.encode(x) for kind, e in work.items()}, repeats=5)
        rows.append({"dim": dim, "bits": 4096} | {f"{k}_per_s": len(x) / f["median_s"] for k, f in times.items()})
    return rows


def main() -> None:
    """Run all parts and write `results/sdquant.json`."""
    options = arguments(__doc__ or "")
    figures = {
        "walsh_hadamard": walsh_hadamard(small=options.small),
        "quantizers": quantizers(small=options.small),
        "frames": frames(small=options.small),
        "noise": noise(small=options.small),
        "binary_embeddings": binary_embeddings(small=options.small),
        "embedding_throughput": embedding_throughput(small=options.small),
        "ternary_layers": ternary_layers(small=options.small),
    }
    write_results("sdquant", figures, options)


if __name__ == "__main__":
    main()
