"""Small networks of each kind of neuron that the CUDA kernels know, and what they must give.

python -m cuda_networks: checks them with TRITON_INTERPRET=1, where kernels run on the CPU.
"""

from __future__ import annotations

from typing import Any

import lsm
import numpy as np

KINDS: dict[str, tuple[Any, float]] = {  # neurons, scale of the weights
    "delta": (lsm.LIF(tau_m=20.0, threshold=20.0, refractory=1.0), 1.0),
    "one": (lsm.LIF(tau_m=20.0, threshold=20.0, synapse="exponential", tau_syn=2.0), 300.0),
    "two": (lsm.LIF(tau_m=20.0, threshold=20.0, synapse="exponential", tau_syn=2.0, tau_syn_in=3.0), 300.0),
}


def network(kind: str) -> lsm.Network:
    """Inputs, constant and distributed weights and delays, Poisson drive."""
    cell, scale = KINDS[kind]
    net = lsm.Network(seed=4)
    given, e, i = net.inputs("in", 20), net.population("E", 130, cell), net.population("I", 40, cell)
    net.connect(given, e, lsm.FixedIndegree(3), weight=3 * scale, delay=0.5)
    net.connect(e, [e, i], lsm.FixedIndegree(10), weight=0.5 * scale, delay=1.5)
    weight = lsm.Normal(-2 * scale, 0.2 * scale, high=-0.1 * scale)
    net.connect(i, [e, i], lsm.FixedIndegree(4), weight=weight, delay=lsm.Uniform(0.5, 2.0))
    net.drive([e, i], lsm.Poisson(rate=8000.0, weight=0.16 * scale))
    return net


def assert_cuda_is_cpu(kind: str, precision: Any, first: float, second: float) -> None:
    """Two runs, the first with inputs: spikes, events and states to the last bit."""
    rng = np.random.default_rng(0)
    inputs = {"in": (rng.uniform(0, first, 60), rng.integers(0, 20, 60))}
    cpu = network(kind).build("cpu", precision=precision, partitions=2)
    cuda = network(kind).build("cuda", precision=precision)
    spikes = 0
    for duration, given in ((first, inputs), (second, {})):
        a, b = cpu.run(duration, inputs=given), cuda.run(duration, inputs=given)
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.times, b.times)
        spikes += len(a)
    assert spikes > 100
    assert cpu.events == cuda.events
    np.testing.assert_array_equal(cpu.neurons.state, cuda.neurons.state)
    np.testing.assert_array_equal(cpu.neurons.clock, cuda.neurons.clock)


if __name__ == "__main__":
    assert_cuda_is_cpu("delta", "float32", 7.0, 1.0)
    assert_cuda_is_cpu("two", "float64", 5.0, 1.0)
