"""Keeping the firing rates of a global batch in their band, whatever way the batch is split.

Shapes: C neurons of a layer; N neurons of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from ddp_utils import gather_objects
from torch import Tensor

from spikeformer.membrane_control import neuron_report, rate_loss, report_metrics

SATURATION = 0.9  # spikes a micro-step
Rates = dict[str, Tensor]


def sum_rates(total: Rates, rates: Mapping[str, Tensor], weight: float) -> None:
    """Add weighted rates to a sum, in place.

    Args:
        total: the sum so far, float64, without gradient, (C,) each; empty at the start.
        rates: of every layer, (C,) each.
        weight: their share.
    """
    for name, rate_C in rates.items():
        part_C = weight * rate_C.detach().double()
        total[name] = total[name] + part_C if name in total else part_C


def reduce_rates(total: Mapping[str, Tensor]) -> Rates:
    """The sum of all processes' sums, in every process, on the CPU; every process calls it.

    Args:
        total: this process's sum, (C,) each; empty where it has seen nothing.
    """
    sizes = next(filter(None, gather_objects({name: len(rate_C) for name, rate_C in total.items()})), {})
    if not sizes:
        return {}
    flat_N = torch.cat(
        [total[name].cpu() if name in total else torch.zeros(size, dtype=torch.float64) for name, size in sizes.items()]
    )
    if dist.is_initialized():
        dist.all_reduce(flat_N)
    return dict(zip(sizes, flat_N.split(list(sizes.values())), strict=True))


def rate_slopes(rates: Mapping[str, Tensor], band: tuple[float, float]) -> Rates:
    """Derivative of the model's rate loss in the rate of every neuron.

        g = d / dr  mean over layers of rate_loss(r, band)

    The loss of a batch is a function of the batch's mean rates, so the losses of its parts do not add up to it. The
    sum of g r over neurons does add up, and has its gradient where the rates are those that g was taken at.

    Args:
        rates: of every layer, (C,) each.
        band: lowest and highest rate that cost nothing, spikes a micro-step.

    Returns:
        One slope a neuron, by the same names.
    """
    if not rates:
        return {}
    leaves = {name: rate_C.detach().clone().requires_grad_() for name, rate_C in rates.items()}
    with torch.enable_grad():
        loss = torch.stack([rate_loss(rate_C, band) for rate_C in leaves.values()]).mean()
        slopes = torch.autograd.grad(loss, list(leaves.values()))
    return dict(zip(leaves, slopes, strict=True))


def rate_push(rates: Mapping[str, Tensor], slopes: Mapping[str, Tensor]) -> Tensor | float:
    """Sum of slope times rate over all neurons: what is added to the loss; 0 without slopes.

    Args:
        rates: of every layer, with gradient, (C,) each.
        slopes: as `rate_slopes` gives them.
    """
    if not slopes:
        return 0.0
    return torch.stack([(slopes[name].to(rate_C) * rate_C).sum() for name, rate_C in rates.items()]).sum()


@dataclass(frozen=True)
class FiringFigures:
    """How the neurons of a model fire; the shares are those of `neuron_report` and make up 1.

    Args:
        rate: mean over all neurons, spikes a micro-step.
        dead: share of neurons that never fire.
        quiet: share that fires less than the band.
        in_band: share within it.
        busy: share that fires more, but is not saturated.
        saturated: share that fires in 90% of the micro-steps or more.
        layers: mean rate by layer and kind of neuron.
    """

    rate: float
    dead: float
    quiet: float
    in_band: float
    busy: float
    saturated: float
    layers: dict[str, float]

    @classmethod
    def of(cls, rates: Mapping[str, Tensor], band: tuple[float, float]) -> FiringFigures | None:
        """The figures of rates, (C,) each; None where there are no neurons.

        Args:
            rates: of every layer, spikes a micro-step.
            band: lowest and highest rate that cost nothing.
        """
        if not rates:
            return None
        bounded = {name: rate_C.detach().cpu().double().clamp(0, 1) for name, rate_C in rates.items()}  # sums round
        report = neuron_report(bounded, band, saturation=max(SATURATION, (1 + band[1]) / 2))
        shares = {name.removeprefix("neurons/"): share for name, share in report_metrics(report).items()}
        mean = float(torch.cat([rate_C.flatten() for rate_C in bounded.values()]).mean())
        return cls(rate=mean, **shares, layers={name: float(rate_C.mean()) for name, rate_C in bounded.items()})
