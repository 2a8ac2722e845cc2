"""spikeformer's LIF neurons beside those of snnTorch, spikingjelly and norse: forward and backward on the CPU.

uv run --group bench python benchmarks/spikeformer_neurons.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import argparse
import math
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from spikeformer.kernels import in_use
from spikeformer.lif import lif_steps
from spikeformer.surrogate import Arctan
from torch import Tensor

from benchmarks.common import interleaved, parsed, parser_of, slope, write_results

BETA = 0.9
SIZE = {"steps": 100, "batch": 64, "channels": 1024}
SMALL_SIZE = {"steps": 8, "batch": 2, "channels": 64}
Neurons = Callable[[Tensor], Tensor]


def ours(current_TBC: Tensor) -> Tensor:
    """Spikes of this package."""
    return lif_steps(current_TBC, beta=BETA, threshold=1.0, surrogate=Arctan(2.0))[0]


def of_snntorch() -> Neurons:
    """`snntorch.Leaky`, called a step at a time, as its documentation does."""
    leaky = import_module("snntorch").Leaky(beta=BETA, spike_grad=import_module("snntorch.surrogate").atan(2.0))

    def run(current_TBC: Tensor) -> Tensor:
        membrane_BC = torch.zeros_like(current_TBC[0])
        spikes = []
        for current_BC in current_TBC:
            spikes_BC, membrane_BC = leaky(current_BC, membrane_BC)
            spikes.append(spikes_BC)
        return torch.stack(spikes)

    return run


def of_spikingjelly() -> Neurons:
    """`LIFNode` in multi-step mode with its reset detached, as its documentation recommends for speed."""
    based = "spikingjelly.activation_based"
    surrogate = import_module(f"{based}.surrogate").ATan(alpha=2.0)
    node = import_module(f"{based}.neuron").LIFNode(
        tau=1 / (1 - BETA),
        decay_input=False,
        v_reset=None,
        surrogate_function=surrogate,
        detach_reset=True,
        step_mode="m",
    )

    def run(current_TBC: Tensor) -> Tensor:
        node.reset()
        return node(current_TBC)

    return run


def of_norse() -> Neurons:
    """`LIFBoxCell`, its model of a membrane alone, a step at a time; it resets to zero.

    Its inputs decay too, so its potentials, and its threshold here, are 1 - beta of the others'.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it uses what torch will drop
        norse = import_module("norse.torch")
    parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(1000 * (1 - BETA)), v_th=torch.tensor(1 - BETA))
    cell = norse.LIFBoxCell(parameters, dt=0.001)

    def run(current_TBC: Tensor) -> Tensor:
        state, spikes = None, []
        for current_BC in current_TBC:
            spikes_BC, state = cell(current_BC, state)
            spikes.append(spikes_BC)
        return torch.stack(spikes)

    return run


PEERS: dict[str, tuple[str, Callable[[], Neurons]]] = {
    "snntorch.Leaky": ("snntorch", of_snntorch),
    "spikingjelly LIFNode": ("spikingjelly", of_spikingjelly),
    "norse LIFBoxCell": ("norse", of_norse),
}


def _work(run: Neurons, current_TBC: Tensor, gradient_TBC: Tensor) -> Callable[[], None]:
    def forward_and_backward() -> None:
        current_TBC.grad = None
        run(current_TBC).backward(gradient_TBC)

    return forward_and_backward


def _inputs(size: dict[str, int]) -> tuple[Tensor, Tensor]:
    """Currents that make some neurons fire at every step, and a gradient of the spikes."""
    generator = torch.Generator().manual_seed(0)
    shape = (size["steps"], size["batch"], size["channels"])
    current_TBC = torch.randn(shape, generator=generator).mul_(0.5).requires_grad_()
    return current_TBC, torch.randn(shape, generator=generator)


def beside_others(*, small: bool) -> dict[str, Any]:
    """Forward and `spikes.backward(gradient)` of each library, in turn on the same currents."""
    size = SMALL_SIZE if small else SIZE
    current_TBC, gradient_TBC = _inputs(size)
    runs = {"spikeformer": ours} | {name: make() for name, (package, make) in PEERS.items() if find_spec(package)}
    work: dict[str, Callable[[], object]] = {name: _work(run, current_TBC, gradient_TBC) for name, run in runs.items()}
    target = torch.empty_like(gradient_TBC)
    work["copy of the tensor"] = lambda: target.copy_(gradient_TBC)
    seconds = interleaved(work)
    mine = seconds["spikeformer"]
    times = {
        name: {
            "median": value["median_s"] / mine["median_s"],
            "least": value["min_s"] / mine["max_s"],
            "greatest": value["max_s"] / mine["min_s"],
        }
        for name, value in seconds.items()
        if name != "spikeformer"
    }
    rates = {name: float(run(current_TBC).detach().mean()) for name, run in runs.items()}
    return {**size, "seconds": seconds, "times_ours": times, "firing_rates": rates, "kernels": in_use("cpu")}


def growth(*, small: bool) -> dict[str, Any]:
    """Time of forward and backward against the number of steps and of neurons."""
    size = SMALL_SIZE if small else SIZE
    rows = []
    for steps in (size["steps"] // 4, size["steps"] // 2, size["steps"], 2 * size["steps"]):
        current_TBC, gradient_TBC = _inputs({**size, "steps": steps})
        seconds = interleaved({"lif": _work(ours, current_TBC, gradient_TBC)})["lif"]["median_s"]
        neuron_steps = current_TBC.numel()
        rows.append({"steps": steps, "seconds": seconds, "ns_a_neuron_and_step": 1e9 * seconds / neuron_steps})
    exponent = slope(rows, "steps", "seconds")
    return {"rows": rows, "slope": exponent if math.isfinite(exponent) else None}


def neurons(options: argparse.Namespace) -> dict[str, Any]:
    """All figures of the neurons.

    Args:
        options: those of `benchmarks.common.parser_of`.
    """
    return {"beside_others": beside_others(small=options.small), "growth": growth(small=options.small)}


def main() -> None:
    """Measure and write `results/spikeformer_neurons.json`."""
    options = parsed(parser_of(__doc__ or ""))
    write_results("spikeformer_neurons", neurons(options), options)


if __name__ == "__main__":
    main()
