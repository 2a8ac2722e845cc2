"""Speed and memory of spikeformer: its neurons beside those of snnTorch, spikingjelly and norse, and whole models.

uv run --group bench python benchmarks/spikeformer.py
uv run --group bench python benchmarks/spikeformer.py --only models    one part; the others stay as they are

Parts: neurons (forward and backward of LIF neurons), growth (the same against steps), models (training and generation
of one model, on these neurons and on those of snnTorch), memory (of generation against its length).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import copy
import json
import math
import subprocess
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import spikeformer as sf
import torch
from spikeformer.kernels import in_use
from spikeformer.lif import lif_steps
from spikeformer.surrogate import Arctan
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.common import interleaved, parsed_parts, parser_of, peak_mib, slope, write_results

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
    by_themselves = {name: in_own_process(name, small=small) for name in runs}
    figures = {"seconds": seconds, "times_ours": times, "alone": by_themselves, "firing_rates": rates}
    return {**size, **figures, "kernels": in_use("cpu")}


def in_own_process(name: str, *, small: bool) -> dict[str, float]:
    """The same of one library in a process of its own, as its users run it.

    What one library frees the allocator hands to the next: in one process, tensors of all sizes come from memory that
    is mapped already. Alone, a library pays for the pages that it asks for.
    """
    command = [sys.executable, __file__, "--alone", name, "--threads", str(torch.get_num_threads())]
    command += ["--small"] if small else []
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def alone(name: str, *, small: bool) -> dict[str, float]:
    """Seconds of forward and backward of one library."""
    current_TBC, gradient_TBC = _inputs(SMALL_SIZE if small else SIZE)
    run = ours if name == "spikeformer" else PEERS[name][1]()
    return interleaved({name: _work(run, current_TBC, gradient_TBC)})[name]


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


class SnnTorchLIF(nn.Module):
    """`snntorch.Leaky` in place of a `spikeformer.LIF`, with its values: micro-steps in a loop."""

    def __init__(self, lif: sf.LIF) -> None:
        super().__init__()
        self.leaky = sf.to_snntorch(lif)

    def forward(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and the last membrane, as of `spikeformer.LIF`."""
        membrane = torch.zeros_like(current[0])
        spikes = []
        for current_t in current:
            spikes_t, membrane = self.leaky(current_t, membrane)
            spikes.append(spikes_t)
        return torch.stack(spikes), membrane


def on_snntorch(model: sf.Spikeformer) -> sf.Spikeformer:
    """A copy of a model with snnTorch's neurons."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, sf.LIF):
                setattr(module, name, SnnTorchLIF(child))
    return model


def models(*, small: bool) -> dict[str, Any]:
    """Tokens a second of training steps and of generation, on either neurons, in turn; float32 and bfloat16."""
    sizes: dict[str, Any] = {"dim": 32, "heads": 2, "layers": 1} if small else {"dim": 128, "heads": 4, "layers": 3}
    batch, length, written = (2, 32, 4) if small else (16, 256, 64)
    model = sf.Spikeformer(sf.SpikeformerConfig(vocab_size=257, **sizes))
    both = {"spikeformer": model} | ({"snntorch": on_snntorch(model)} if find_spec("snntorch") else {})
    tokens_BL = torch.randint(257, (batch, length), generator=torch.Generator().manual_seed(0))

    def step(model: sf.Spikeformer, dtype: torch.dtype) -> None:
        model.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            output = model(tokens_BL)
            loss = functional.cross_entropy(output.logits.flatten(0, 1).float(), tokens_BL.flatten())
        (loss + output.rate_loss).backward()

    work: dict[str, Callable[[], object]] = {}
    for name, kind in both.items():
        work[f"training, {name}"] = lambda kind=kind: step(kind, torch.float32)
        work[f"training in bfloat16, {name}"] = lambda kind=kind: step(kind, torch.bfloat16)
        work[f"generation, {name}"] = lambda kind=kind: list(sf.generate(kind, [1, 2, 3], written))
    seconds = interleaved(work, repeats=2 if small else 5)
    rows = []
    for name, value in seconds.items():
        task, neurons = name.split(", ")
        tokens = written if task == "generation" else batch * length
        rows.append({"task": task, "neurons": neurons, **value, "tokens_per_s": tokens / value["median_s"]})
    same = len({float(kind(tokens_BL).logits.detach().double().sum()) for kind in both.values()}) == 1
    return {**sizes, "batch": batch, "length": length, "rows": rows, "same_logits": same}


def memory(*, small: bool) -> list[dict[str, Any]]:
    """Bytes that a model carries, and takes at most, while it goes on with a text."""
    sizes: dict[str, Any] = {"dim": 32, "heads": 2, "layers": 1} if small else {"dim": 128, "heads": 4, "layers": 3}
    model = sf.Spikeformer(sf.SpikeformerConfig(vocab_size=257, **sizes))
    rows = []
    for length in (16, 64) if small else (100, 1000, 4000):

        def write(length: int = length) -> None:
            for _token in sf.generate(model, [1, 2, 3], length):
                pass

        with torch.no_grad():
            state = model(torch.ones(1, length, dtype=torch.int64)).state
        rows.append({"tokens": length, "state_bytes": state.nbytes, "peak_mib": peak_mib(write)})
    return rows


PARTS: dict[str, Callable[..., Any]] = {
    "neurons": beside_others,
    "growth": growth,
    "models": models,
    "memory": memory,
}


def main() -> None:
    """Measure the parts asked for and write `results/spikeformer.json`."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--alone", metavar="LIBRARY", help="time one library's neurons and print that")
    options, names, figures = parsed_parts(parser, "spikeformer", PARTS)
    if options.alone:
        print(json.dumps(alone(options.alone, small=options.small)))
        return
    for name in names:
        figures[name] = PARTS[name](small=options.small)
        write_results("spikeformer", figures, options)


if __name__ == "__main__":
    main()
