"""Write the tables in README and docs anew from `results/*.json`.

    uv run python benchmarks/tables.py           rewrite them
    uv run python benchmarks/tables.py --check   fail if one is out of date

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, which have their packages' names

from benchmarks import (
    binemb_tables,
    codec_tables,
    evosnn_tables,
    lsm_tables,
    lsm_task_tables,
    spike_tables,
    spikeformer_tables,
)
from benchmarks.markdown import markdown

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/results/index.md",
    "docs/results/codecs.md",
    "docs/results/binary.md",
    "docs/results/spikes.md",
    "docs/results/spikeformer.md",
    "docs/results/evolution.md",
    "docs/results/liquid.md",
    "docs/guides/codecs.md",
    "packages/sdquant/README.md",
    "packages/binemb/README.md",
)
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def quickstart(results: dict[str, Any]) -> str:
    """The table that `neuro quickstart` ends in."""
    columns = ["code", "compares", "bytes", "ratio", "WordSim-353", "SimLex-999", "analogies", "recall@10", "cosine"]
    rows = [
        [
            score["name"],
            score["compared"],
            str(score["bytes_per_vector"]),
            f"{score['compression']:.1f}x",
            *(f"{value:.3f}" for value in score["similarity"].values()),
            f"{score['analogy']:.3f}",
            f"{score['recall']:.3f}",
            "-" if score["cosine"] is None else f"{score['cosine']:.4f}",
        ]
        for score in results["scores"]
    ]
    return markdown(columns, rows)


def frames(results: dict[str, Any]) -> str:
    """Cosine / recall@10 of decoded one-bit codes, by bits and order."""
    found = {(row["bits"], row["order"]): row for row in results["frames"]}
    bits = sorted({row["bits"] for row in results["frames"]})
    rows = [
        [str(n), *(f"{found[n, o]['cosine_held_out']:.4f} / {found[n, o]['recall_at_10']:.3f}" for o in range(4))]
        for n in bits
    ]
    return markdown(["bits", "memoryless", "order 1", "order 2", "order 3"], rows)


def walsh_hadamard(results: dict[str, Any]) -> str:
    """Bandwidth by dimension."""
    rows = [
        [
            str(row["dim"]),
            f"{row['fwht_gb_per_s']:.1f}",
            f"{row['copy_gb_per_s']:.1f}",
            f"{row['of_copy']:.0%}",
            f"{row['of_copy_new']:.0%}",
            f"{row['dense product_gb_per_s']:.1f}" if "dense product_gb_per_s" in row else "-",
        ]
        for row in results["walsh_hadamard"]
    ]
    columns = ["d", "fwht, GB/s", "copy, GB/s", "of copy", "of copy, both into new tensors", "dense product, GB/s"]
    return markdown(columns, rows)


def quantizers(results: dict[str, Any]) -> str:
    """Throughput by order."""
    rows = [
        [str(row["order"]), f"{row['kernel_msamples_per_s']:.0f}", f"{row['reference_msamples_per_s']:.1f}"]
        for row in results["quantizers"]
    ]
    return markdown(["order", "kernel, million samples/s", "torch reference"], rows)


def noise(results: dict[str, Any]) -> str:
    """Log-log slopes of the error of averages."""
    rows = [[str(row["order"]), f"{row['slope']:.3f}"] for row in results["noise"]]
    return markdown(["order", "slope"], rows)


def binary_embeddings(results: dict[str, Any]) -> str:
    """Errors of distances and inner products by method and bits."""
    found = {(row["method"], row["oversampling"], row["bits"]): row for row in results["binary_embeddings"]}
    bits = sorted({row["bits"] for row in results["binary_embeddings"]})
    rows = []
    for method, window in dict.fromkeys((m, w) for m, w, _ in found):
        cells = [method if window is None else f"{method}, W = {window}"]
        for n in bits:
            row = found.get((method, window, n))
            text = "-"
            if row is not None:
                text = f"{row['distance_error']:.3f} / {row['inner_product_error']:.3f} @ {row['bytes']}"
            cells.append(text)
        rows.append(cells)
    return markdown(["method", *(f"{n} bits" for n in bits)], rows)


def ternary_layers(results: dict[str, Any]) -> str:
    """Bytes, and times over those of float32 and bfloat16."""
    rows = []
    for row in results["ternary_layers"]:
        times, size = row["median_us"], row["bytes"]
        rows.append(
            [
                f"{row['size']} x {row['size']}, batch {row['batch']}",
                *(f"{size['float32'] / size[name]:.1f}x" for name in ("bfloat16", "base3", "two_bit")),
                f"{times['float32']:,.0f}",
                *(f"{times['float32'] / times[name]:.2f}" for name in ("bfloat16", "base3", "two_bit")),
            ]
        )
    columns = ["layer", "bfloat16 smaller", "base3 smaller", "two_bit smaller", "float32, us"]
    return markdown([*columns, "bfloat16 faster", "base3 faster", "two_bit faster"], rows)


def embedding_throughput(results: dict[str, Any]) -> str:
    """Vectors a second of binary embeddings."""
    rows = [
        [str(row["dim"]), f"{row['fast_per_s']:,.0f}", f"{row['gaussian_per_s']:,.0f}"]
        for row in results["embedding_throughput"]
    ]
    return markdown(["d", "fast, vectors/s", "gaussian, vectors/s"], rows)


def origin(results: dict[str, Any]) -> str:
    """Command and machine of a result file."""
    return f"From `{results['command']}` on {results['machine']}."


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "quickstart": ("quickstart", quickstart),
    "frames": ("sdquant", frames),
    "walsh-hadamard": ("sdquant", walsh_hadamard),
    "quantizers": ("sdquant", quantizers),
    "noise": ("sdquant", noise),
    "binary-embeddings": ("sdquant", binary_embeddings),
    "embedding-throughput": ("sdquant", embedding_throughput),
    "ternary-layers": ("sdquant", ternary_layers),
    "codecs": ("codecs", codec_tables.codecs),
    "codec-bytes": ("codecs", codec_tables.codec_bytes),
    "codec-code-bytes": ("codecs", codec_tables.code_bytes),
    "codec-symbols": ("codecs", codec_tables.symbols),
    "codec-blocks": ("codecs", codec_tables.blocks),
    "codec-ablation": ("codecs", codec_tables.ablation),
    "codec-encoding": ("codecs", codec_tables.encoding),
    "codec-growth": ("codecs", codec_tables.codec_growth),
    "spike-speed": ("spikecode", spike_tables.speed),
    "spike-errors": ("spikecode", spike_tables.errors),
    "spike-slopes": ("spikecode", spike_tables.slopes),
    "spike-robustness": ("spikecode", spike_tables.robustness),
    "spike-identity": ("spikecode", spike_tables.identity),
    "spike-growth": ("spikecode", spike_tables.growth),
    "evolution-targets": ("evosnn", evosnn_tables.targets),
    "evolution-plasticity": ("evosnn", evosnn_tables.plasticity),
    "evolution-speed": ("evosnn", evosnn_tables.speed),
    "evolution-growth": ("evosnn", evosnn_tables.growth),
    "evolution-steering": ("evosnn", evosnn_tables.steering),
    "search": ("binemb", binemb_tables.search),
    "growth": ("binemb", binemb_tables.growth),
    "binary-words": ("binemb_quality", binemb_tables.quality("words")),
    "binary-words-differences": ("binemb_quality", binemb_tables.differences("words")),
    "binary-minilm": ("binemb_quality", binemb_tables.quality("minilm")),
    "binary-minilm-differences": ("binemb_quality", binemb_tables.differences("minilm")),
    "binary-cranfield": ("binemb_quality", binemb_tables.cranfield),
    "binary-asymmetric": ("binemb_quality", binemb_tables.asymmetric),
    "binary-preset": ("binemb_quality", binemb_tables.preset),
    **spikeformer_tables.TABLES,
    **lsm_tables.TABLES,
    **lsm_task_tables.TABLES,
}


def render(text: str) -> str:
    """A page with its tables made anew."""

    def replace(match: re.Match[str]) -> str:
        source, table = TABLES[match.group(2)]
        results = json.loads((ROOT / "benchmarks" / "results" / f"{source}.json").read_text(encoding="utf-8"))
        return f"{match.group(1)}{table(results)}\n\n{origin(results)}\n{match.group(3)}"

    return BLOCK.sub(replace, text)


def main() -> None:
    """Rewrite or check all pages."""
    stale = []
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        if render(text) != text:
            stale.append(page)
            if "--check" not in sys.argv:
                path.write_text(render(text), encoding="utf-8")
    print("out of date:" if "--check" in sys.argv else "rewritten:", ", ".join(stale) or "none")
    if stale and "--check" in sys.argv:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
