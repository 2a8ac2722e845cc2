"""Draw the pictures of the docs from `results/*.json`.

uv run python benchmarks/pictures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import json
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import evosnn
import lsm
import matplotlib.pyplot as plt
import sdquant as sd
import spikecode as sc
from evosnn.drawing import plot_network, save_figure
from evosnn.film import plot_strip
from neuro.evolve_plots import steering_comparison

RESULTS = Path(__file__).parent / "results"
ASSETS = Path(__file__).parents[1] / "docs" / "assets"
STYLE = {"sdquant.Codec": {"color": "black", "marker": "o", "s": 60, "zorder": 3}}
MARKERS = {"PQ": "s", "OPQ": "D", "RQ": "^", "LSQ": "v", "ITQ": "P", "RaBitQ": "X"}
COLOURS = dict(zip(MARKERS, ("C0", "C1", "C2", "C3", "C4", "C5"), strict=True))


def codec_recall(results: dict[str, Any]) -> None:
    """Recall on held-out words against all bytes, a panel a data set."""
    rows = [row for part in results["equal_total_bytes"].values() for row in part]
    names = list(dict.fromkeys(row["data"] for row in rows))
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 3.6), layout="constrained")
    for name, axis in zip(names, axes, strict=True):
        for method in dict.fromkeys(row["method"] for row in rows):
            part = sorted(
                (row["total_bytes"], row["recall_held_out"])
                for row in rows
                if row["data"] == name and row["method"] == method
            )
            if part:
                style: dict[str, Any] = STYLE.get(method) or {
                    "marker": MARKERS[method],
                    "color": COLOURS[method],
                    "s": 40,
                }
                axis.scatter(*zip(*part, strict=True), **style)
        axis.set(title=name, xlabel="bytes a vector, everything counted", ylim=(0, 0.8))
    axes[0].set_ylabel("recall@10, held-out queries")
    for method in dict.fromkeys(row["method"] for row in rows):
        style = STYLE.get(method) or {"marker": MARKERS[method], "color": COLOURS[method], "s": 40}
        axes[0].scatter([], [], label=method, **style)
    axes[0].legend(fontsize=8, ncols=2)
    figure.savefig(ASSETS / "codec-recall.png", dpi=110)


def codec_growth(results: dict[str, Any]) -> None:
    """Seconds of each stage against vectors, bits and dimensions, with the fitted log-log slope."""
    figure, axes = plt.subplots(1, 3, figsize=(12.6, 3.6), layout="constrained")
    names = {"rows": "vectors", "bits": "bits", "dim": "dimensions"}
    for axis, (varied, label) in zip(axes, names.items(), strict=True):
        part = [row for row in results["growth"] if row["varied"] == varied]
        for stage, title in (("fit_s", "fit, 5 rounds"), ("encode_s", "encode"), ("verify_s", "verify")):
            slope = results["slopes"][varied][stage]
            axis.loglog(
                [row[varied] for row in part], [row[stage] for row in part], "o-", label=f"{title}: slope {slope:.2f}"
            )
        ticks = [row[varied] for row in part]
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_xlabel(label)
        axis.legend(fontsize=8)
    axes[0].set_ylabel("seconds")
    figure.savefig(ASSETS / "codec-growth.png", dpi=110)


def spike_pictures(results: dict[str, Any]) -> None:
    """Errors at 1000 Hz against N and T, and the raster of a token of MiniLM."""
    rows = [row for row in results["errors"] if row["max_rate"] == 1000]
    sc.plot_error_curves(rows).savefig(ASSETS / "spike-errors.png")
    x_VD = sc.LanguageModel.load("samples:minilm", 0).embeddings_VD
    codec = sc.SpikeCodec.fit(x_VD, neurons=500, steps=100, density=0.05, seed=0)
    sc.plot_raster(codec, codec.encode(x_VD[2000:2001]), x_VD[2000:2001]).savefig(ASSETS / "spike-raster.png")


def language_curves(results: dict[str, Any]) -> None:
    """Bits per character of the spiking language model and its dense twin while they are trained."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for row in results["language"]["rows"]:
        curve = [(point["step"], point["bits_per_character"]) for point in row["curve"] if point["step"]]
        axes.plot(*zip(*curve, strict=True), marker="o", markersize=3, label=row["model"])
    axes.set(xlabel="training steps of 4,096 bytes", ylabel="bits per character of text to choose by")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(ASSETS / "language-curves.png", dpi=110)


def evolution_pictures() -> None:
    """A network that was evolved to balance a pole, and an episode of it."""
    best = evosnn.Evolution("CartPole-v1", population=64, seed=0).run(50, 475).best
    save_figure(plot_network(best), ASSETS / "evolution-network.png")
    save_figure(plot_strip(evosnn.live(best, 3)), ASSETS / "evolution-life.png")


def liquid_activity(scale: float = 1.0) -> None:
    """Spikes of the microcircuit, its connections, and where the neurons of a cortex stand."""
    net = lsm.microcircuit(scale, seed=0)
    sim = net.build()
    sim.run(500.0, record=False)
    recording = sim.run(300.0)
    span = {"begin": recording.times.min(), "end": recording.times.max()}
    raster = lsm.plot_raster(recording.times, recording.ids, recording.sizes, **span)
    lsm.save_figure(raster, ASSETS / "liquid-raster.png")
    names = list(recording.sizes)
    degrees = [[0.0] * len(names) for _ in names]
    for projection in net.projections:
        place = names.index(projection.post.name), names.index(projection.pre.name)
        degrees[place[0]][place[1]] += projection.rule.expected(projection.pair(net.seed)) / projection.post.n
    lsm.save_figure(lsm.plot_connectivity(degrees, names, label="synapses a neuron"), ASSETS / "liquid-connections.png")
    cortex = lsm.cortex(3, 4000, seed=0)
    where = [population.positions for population in cortex.populations]
    places = [place for part in where if part is not None for place in part]
    layout = lsm.plot_layout(places, {p.name: p.n for p in cortex.populations}, downwards=True)
    lsm.save_figure(layout, ASSETS / "liquid-layout.png")


def liquid_rates(results: dict[str, Any]) -> None:
    """Rates of the full microcircuit beside the published ones."""
    if "full" not in results:
        return
    rates = {"lsm, full size": results["full"]["rows"][0]["rates"], "published": results["full"]["published"]}
    lsm.save_figure(lsm.plot_rates(rates), ASSETS / "liquid-rates.png")


def liquid_growth(results: dict[str, Any]) -> None:
    """Seconds and memory against the number of neurons, with the fitted log-log slopes."""
    if "growth" not in results:
        return
    figure, axes = plt.subplots(1, 3, figsize=(12.6, 3.6), layout="constrained")
    panels = {"median_s": "seconds of 200 ms", "build_s": "seconds of building", "peak_bytes": "GiB at most"}
    for axis, (figure_name, label) in zip(axes, panels.items(), strict=True):
        unit = 2**30 if figure_name == "peak_bytes" else 1.0
        for simulator, slopes in results["growth"]["slopes"].items():
            own = [row for row in results["growth"]["rows"] if row["simulator"] == simulator]
            values = [row[figure_name] / unit for row in own]
            name = f"{simulator}: slope {slopes[figure_name]:.2f}" if figure_name in slopes else simulator
            axis.loglog([row["neurons"] for row in own], values, "o-", label=name)
        axis.set(xlabel=f"neurons, {results['growth']['indegree']:,} synapses each", ylabel=label)
        sizes = sorted({row["neurons"] for row in results["growth"]["rows"]})
        axis.set_xticks(sizes, [f"{size / 1000:g} k" for size in sizes], fontsize=8)
        axis.set_xticks([], minor=True)
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(ASSETS / "liquid-growth.png", dpi=110)


def main() -> None:
    """Draw all."""
    evolution_pictures()
    liquid_activity()
    liquid = json.loads((RESULTS / "lsm.json").read_text("utf-8"))
    liquid_rates(liquid)
    liquid_growth(liquid)
    names = ("codecs", "sdquant", "spikecode", "spikeformer_quality", "evosnn")
    codecs, sdquant, spikecode, language, evolution = (
        json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in names
    )
    steered = evolution["steering"]
    steering_comparison(steered["rows"], steered["compared"], ASSETS / "evolution-steering.png")
    language_curves(language)
    spike_pictures(spikecode)
    codec_recall(codecs)
    codec_growth(codecs)
    sd.analysis.plot_jl_report(sdquant["binary_embeddings"]).savefig(ASSETS / "jl-report.png", dpi=110)


if __name__ == "__main__":
    main()
