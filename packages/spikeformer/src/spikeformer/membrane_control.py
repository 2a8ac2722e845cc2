"""Keeping neurons useful: losses that hold firing rates and potentials in a band, and a count of those outside.

Why a neuron that never fires can be brought back: its rate is 0, but the gradient of a loss on the rate goes through
each spike by the surrogate derivative at u = membrane - threshold, which for the surrogates here is above 0 everywhere:
1 / (1 + 25 * 0.5)^2 = 0.5% of its height half a threshold below. Both sides have the same scale, so that a few silent
neurons do not outweigh many that fire too often.

Shapes: C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

RATE_BAND = (0.02, 0.15)


def firing_rates(spikes: Tensor) -> Tensor:
    """Share of steps at which each channel fires, over all but the last axis.

    Args:
        spikes: 0 or 1, (..., C).

    Returns:
        Rates in [0, 1], at least float32, (C,), with gradients to the spikes.

    Raises:
        ValueError: there is no spike to average, or no axis beside C.
    """
    if spikes.ndim < 2 or not spikes.numel():
        raise ValueError(f"firing_rates: spikes must be (..., C) with elements, got shape {tuple(spikes.shape)}")
    dtype = torch.promote_types(spikes.dtype, torch.float32)
    return spikes.mean(tuple(range(spikes.ndim - 1)), dtype=dtype)


def rate_loss(rates: Tensor, band: tuple[float, float] = RATE_BAND) -> Tensor:
    """Push firing rates into a band.

        loss = mean over channels of (relu(low - r)^2 + relu(r - high)^2) / high^2

    It is 0 inside the band, (low / high)^2 for a channel that never fires, and 1 for one at twice the upper end.

    Args:
        rates: r, share of steps with a spike, in [0, 1], any shape, with gradients: those of `firing_rates`.
        band: low and high, 0 < low < high < 1.

    Returns:
        The loss, a scalar >= 0.

    Raises:
        ValueError: band is out of range, or there are no rates.

    References:
        Zenke, Vogels (2021), The Remarkable Robustness of Surrogate Gradient Learning, Neural Computation 33(4),
        doi:10.1162/neco_a_01367, "spike train regularization" of lower and upper activity bounds.

    Departs from: sums of counts there; shares of steps here, in units of the upper end.
    """
    low, high = _check_band("rate_loss", band)
    if not rates.numel():
        raise ValueError(f"rate_loss: rates must have elements, got shape {tuple(rates.shape)}")
    below, above = torch.relu(low - rates) / high, torch.relu(rates - high) / high
    return (below * below + above * above).mean()


def membrane_loss(membrane: Tensor, threshold: float | Tensor, band: tuple[float, float] = (-1.0, 2.0)) -> Tensor:
    """Hold potentials where surrogate gradients are not small, without cutting them off as `clamp` of `lif_steps` does.

        loss = mean of relu(low - m / threshold)^2 + relu(m / threshold - high)^2

    Args:
        membrane: m, states of `lif_steps`, (..., C).
        threshold: a number or (C,), > 0.
        band: low and high in thresholds, low < high.

    Returns:
        The loss, a scalar >= 0.

    Raises:
        ValueError: band is not ordered, or there are no potentials.
    """
    low, high = band
    if not low < high:
        raise ValueError(f"membrane_loss: band must be (low, high) with low < high, got {band}")
    if not membrane.numel():
        raise ValueError(f"membrane_loss: membrane must have elements, got shape {tuple(membrane.shape)}")
    scaled = membrane / threshold
    below, above = torch.relu(low - scaled), torch.relu(scaled - high)
    return (below * below + above * above).mean()


@dataclass(frozen=True)
class NeuronCounts:
    """How many channels of a layer are where; the five kinds make up all of them.

    Args:
        dead: never fire.
        quiet: fire, below the band.
        in_band: within it, ends included.
        busy: above the band, not saturated.
        saturated: fire at nearly every step.
    """

    dead: int
    quiet: int
    in_band: int
    busy: int
    saturated: int

    @property
    def total(self) -> int:
        """Number of channels."""
        return self.dead + self.quiet + self.in_band + self.busy + self.saturated


def neuron_report(
    rates: Mapping[str, Tensor], band: tuple[float, float] = RATE_BAND, *, saturation: float = 0.9
) -> dict[str, NeuronCounts]:
    """Count dead, quiet, busy and saturated channels of each layer.

    Args:
        rates: layer name to the rates of its channels, of as many steps as a rate is to be judged by, any shape.
        band: low and high, 0 < low < high < 1.
        saturation: least rate of a saturated channel, above `high`, at most 1.

    Returns:
        Layer name to its counts.

    Raises:
        ValueError: band or saturation is out of range, or a rate is not in [0, 1].
    """
    low, high = _check_band("neuron_report", band)
    if not high < saturation <= 1:
        raise ValueError(f"neuron_report: saturation must be above the band's {high} and at most 1, got {saturation}")
    report = {}
    for name, rates_C in rates.items():
        rates_C = rates_C.detach()
        if not bool(((rates_C >= 0) & (rates_C <= 1)).all()):
            raise ValueError(
                f"neuron_report: rates of {name!r} must be in [0, 1], got {rates_C.min()} to {rates_C.max()}"
            )
        dead, quiet = rates_C == 0, (rates_C > 0) & (rates_C < low)
        busy, saturated = (rates_C > high) & (rates_C < saturation), rates_C >= saturation
        inside = (rates_C >= low) & (rates_C <= high)
        counts = torch.stack([kind_C.sum() for kind_C in (dead, quiet, inside, busy, saturated)]).tolist()
        report[name] = NeuronCounts(*counts)
    return report


def report_metrics(report: Mapping[str, NeuronCounts]) -> dict[str, float]:
    """Shares of all channels together, for a training log.

    Args:
        report: what `neuron_report` gave, with a channel at least.

    Returns:
        "neurons/dead", "neurons/quiet", "neurons/in_band", "neurons/busy" and "neurons/saturated" to shares in [0, 1].

    Raises:
        ValueError: there are no channels.
    """
    total = sum(counts.total for counts in report.values())
    if not total:
        raise ValueError("report_metrics: the report has no channels")
    names = NeuronCounts.__dataclass_fields__
    counts = [asdict(layer) for layer in report.values()]
    return {f"neurons/{name}": sum(layer[name] for layer in counts) / total for name in names}


def _check_band(caller: str, band: tuple[float, float]) -> tuple[float, float]:
    low, high = band
    if not 0 < low < high < 1:
        raise ValueError(f"{caller}: band must be (low, high) with 0 < low < high < 1, got {band}")
    return low, high
