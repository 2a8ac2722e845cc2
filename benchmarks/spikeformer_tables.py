"""Tables of `results/spikeformer.json` and `results/spikeformer_quality.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.markdown import markdown


def neurons(results: dict[str, Any]) -> str:
    """Forward and backward of a layer of neurons."""
    part = results["neurons"]
    rows = []
    for name, value in part["seconds"].items():
        times = part["times_ours"].get(name)
        alone = part["alone"].get(name)
        by_itself = ["-", "-"]
        if alone is not None:
            seconds = alone["median_s"]
            by_itself = [f"{seconds * 1000:,.1f}", f"{seconds / part['alone']['spikeformer']['median_s']:,.1f}"]
        in_turn = [f"{value['median_s'] * 1000:,.1f}", "1.0" if times is None else f"{times['median']:,.1f}"]
        rows.append([name, *in_turn, *by_itself])
    size = f"T = {part['steps']}, {part['batch']} x {part['channels']:,}"
    columns = ["in turn, ms", "of spikeformer's time", "in a process of its own, ms", "of spikeformer's time"]
    return markdown([f"forward and backward, {size}", *columns], rows)


def models(results: dict[str, Any]) -> str:
    """Tokens a second of whole models."""
    found = {(row["task"], row["neurons"]): row["tokens_per_s"] for row in results["models"]["rows"]}
    tasks = dict.fromkeys(task for task, _ in found)
    rows = []
    for task in tasks:
        ours, theirs = found[task, "spikeformer"], found[task, "snntorch"]
        rows.append([task, f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}"])
    return markdown(["", "tokens/s", "the same model on snnTorch's neurons", "ratio"], rows)


def memory(results: dict[str, Any]) -> str:
    """Memory of generation against its length."""
    rows = [
        [
            f"{row['tokens']:,}",
            f"{row['state_bytes']:,}",
            "-" if row["peak_mib"] is None else f"{row['peak_mib']:.1f}",
        ]
        for row in results["memory"]
    ]
    return markdown(["tokens written", "bytes of state", "peak MiB"], rows)


def _bits(row: dict[str, Any]) -> list[str]:
    firing = "-" if row["firing"] is None else f"{row['firing']['rate']:.1%}"
    return [f"{row['bits_per_character']:.3f}", firing]


def language(results: dict[str, Any]) -> str:
    """Bits per character of the model and its twin."""
    rows = [
        [row["model"], f"{row['parameters']:,}", f"{row['trained_tokens'] / 1e6:.1f}", *_bits(row)]
        for row in results["language"]["rows"]
    ]
    columns = ["model", "parameters", "million bytes seen", "bits per character", "firing"]
    return markdown(columns, rows)


def samples(results: dict[str, Any]) -> str:
    """What the models write."""
    texts = [f"{name}:\n\n    {' '.join(text.split())}" for name, text in results["language"]["samples"].items()]
    return "\n\n".join(texts)


def rates(results: dict[str, Any]) -> str:
    """Bits per character of short runs at several learning rates."""
    if "rates" not in results:
        return "Not measured yet: run the command below."
    found = {(row["model"], row["learning_rate"]): row["bits_per_character"] for row in results["rates"]["rows"]}
    names, tried = (list(dict.fromkeys(key[i] for key in found)) for i in range(2))
    rows = [[str(name), *(f"{found[name, rate]:.3f}" for rate in tried)] for name in names]
    return markdown(["bits per character at a learning rate of", *(f"{rate:g}" for rate in tried)], rows)


def ablations(results: dict[str, Any]) -> str:
    """Bits per character with one thing changed."""
    rows = results["ablations"]["rows"]
    whole = next(row for row in rows if row["model"].startswith("spiking"))["bits_per_character"]
    cells = []
    for row in rows:
        bits, firing = _bits(row)
        cells.append([row["model"], bits, f"{row['bits_per_character'] - whole:+.3f}", firing])
    return markdown(["model", "bits per character", "against the first spiking one", "firing"], cells)


def recall(results: dict[str, Any]) -> str:
    """Items named after other tokens."""
    rows = [
        [row["model"], f"{row['distractors']:,}", f"{row['accuracy']:.1%}", f"{row['sequences_right']:.1%}"]
        for row in results["recall"]["rows"]
    ]
    chance = results["recall"]["rows"][0]["chance"]
    return markdown(["model", "tokens between", f"items right (chance {chance:.1%})", "sequences right"], rows)


def classes(results: dict[str, Any]) -> str:
    """Accuracy from scratch."""
    rows = [
        [row["set"], row["model"], f"{row['accuracy']:.1%} ± {row['half_interval']:.1%}", f"{row['judged']:,}"]
        for row in results["classes"]["rows"]
    ]
    return markdown(["sentences", "model", "accuracy, 95% interval", "judged"], rows)


def embeddings(results: dict[str, Any]) -> str:
    """Vectors found again through the spikes of LIF neurons."""
    rows = [
        [
            f"{row['neurons']:,} x {row['steps']}",
            f"{row['rate']:.1%}",
            f"{row['cosine']:.4f}",
            f"{row['entries'] - row['wrong']:,} of {row['entries']:,}",
        ]
        for row in results["embeddings"]["rows"]
    ]
    return markdown(["neurons x micro-steps", "firing", "cosine", "found again"], rows)


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "lif-neurons": ("spikeformer", neurons),
    "lif-models": ("spikeformer", models),
    "lif-memory": ("spikeformer", memory),
    "language": ("spikeformer_quality", language),
    "language-samples": ("spikeformer_quality", samples),
    "language-rates": ("spikeformer_quality", rates),
    "language-ablations": ("spikeformer_quality", ablations),
    "language-recall": ("spikeformer_quality", recall),
    "language-classes": ("spikeformer_quality", classes),
    "language-embeddings": ("spikeformer_quality", embeddings),
}
