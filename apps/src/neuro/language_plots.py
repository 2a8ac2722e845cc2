"""Pictures of spiking language models, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neuro.plots import new_figure, save_figure

COLOURS = {"spiking": "tab:purple", "dense": "tab:blue"}
_NEURONS = 48  # of each layer, drawn in a raster


def training_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> Path:
    """Bits a token, firing rates, neurons outside the band and tokens a second against the step.

    Args:
        runs: lines of `metrics.jsonl` by the name of the model.
        path: where the picture goes.
    """
    spiking = [line for lines in runs.values() for line in lines if "rate" in line]
    figure, axes = new_figure(4 if spiking else 2)
    for name, lines in runs.items():
        colour = COLOURS[name]
        _draw(axes[0], lines, "bits_per_token", f"{name}, validation", colour, "-")
        _draw(axes[0], lines, "train_bits_per_token", f"{name}, training", colour, ":")
        _draw(axes[1], lines, "tokens_per_second", name, colour, "-")
    axes[0].set(xlabel="step", ylabel="bits a token")
    axes[1].set(xlabel="step", ylabel="tokens a second")
    axes[0].legend()
    if spiking:
        kinds = sorted({key for key in spiking[-1] if key.startswith("rate_layers.")})
        for kind in kinds:
            _draw(axes[2], spiking, kind, kind.removeprefix("rate_layers."), None, "-")
        axes[2].set(xlabel="step", ylabel="spikes a neuron and micro-step")
        axes[2].legend(fontsize="x-small", ncols=2)
        for kind, colour in (("dead", "black"), ("quiet", "grey"), ("busy", "tab:orange"), ("saturated", "tab:red")):
            _draw(axes[3], spiking, kind, kind, colour, "-")
        axes[3].set(xlabel="step", ylabel="share of neurons")
        axes[3].legend()
    return save_figure(figure, path)


def _draw(axis: Any, lines: Sequence[Mapping[str, Any]], key: str, label: str, colour: str | None, style: str) -> None:
    points = [(line["step"], line[key]) for line in lines if key in line]
    if points:
        axis.plot(*zip(*points, strict=True), style, color=colour, marker=".", label=label)


def rates_by_layer(layers: Mapping[str, float], band: tuple[float, float], path: Path) -> Path:
    """Mean firing rate of every layer and kind of neuron, and the band they are held in.

    Args:
        layers: rates by "layers.I.KIND".
        band: lowest and highest rate that cost nothing.
        path: where the picture goes.
    """
    figure, (axis,) = new_figure(1)
    figure.set_figwidth(9)
    names = [name.removeprefix("layers.") for name in layers]
    axis.bar(names, list(layers.values()), color=COLOURS["spiking"])
    axis.axhspan(*band, color="tab:green", alpha=0.12, label="band")
    axis.tick_params(axis="x", rotation=60)
    axis.set(ylabel="spikes a neuron and micro-step")
    axis.legend()
    return save_figure(figure, path)


def raster(spikes: Mapping[str, Tensor], pieces: Sequence[str], path: Path) -> Path:
    """Spikes of some neurons of every layer over the tokens of a sentence, micro-steps side by side within a token.

    Args:
        spikes: of neurons by name, (T, L, C).
        pieces: the text of each token, L.
        path: where the picture goes.
    """
    figure, axes = new_figure(len(spikes), height=3.2)
    for axis, (name, spikes_TLC) in zip(axes, spikes.items(), strict=True):
        n_steps, length, width = spikes_TLC.shape
        shown = torch.linspace(0, width - 1, min(width, _NEURONS)).long()
        times, neurons = spikes_TLC[:, :, shown].permute(1, 0, 2).reshape(length * n_steps, -1).nonzero(as_tuple=True)
        axis.scatter(times / n_steps, neurons, s=1.5, c="black", marker="|")
        axis.set(title=name, ylabel="neuron", xlim=(-0.5, length))
        axis.set_xticks(range(length), [repr(piece)[1:-1] for piece in pieces], fontsize=5)
        axis.grid(False)
    return save_figure(figure, path)
