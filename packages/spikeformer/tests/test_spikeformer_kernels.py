"""Every kernel of the LIF loop gives the reference's bits, for any shape; memory in use is never handed out twice."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeformer.kernels import cpu, in_use, output_memory, reference
from spikeformer.kernels.plan import LifPlan

PLANS = [
    LifPlan("subtract", learn=True),
    LifPlan("zero", bounds=(-1.0, 1.2), arctan=True, height=0.7, rate=3.0, learn=True),
    LifPlan("none"),
]

TRITON = """
import torch
from test_spikeformer_kernels import PLANS, check, inputs
from spikeformer.kernels import cuda
for k, plan in enumerate(PLANS):
    for dtype in (torch.float32, torch.float64):
        check(cuda, inputs(3, 2, 70, k, dtype, state=k != 1, carry=k != 2), plan)
print("same bits")
"""


def inputs(steps, n, channels, seed, dtype, *, state, carry):
    """Gradient of the spikes and of the last potential, current, state, beta and threshold."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    current, gradient = draw(steps, n, channels), draw(steps, n, channels)
    state_MC, carry_MC = draw(n, channels) if state else None, draw(n, channels) if carry else None
    return gradient, carry_MC, current, state_MC, draw(channels).sigmoid(), draw(channels).abs() + 0.3


def check(kernels, tensors, plan):
    """Bit-equal but for the sums over the neurons of a channel."""
    forward, expected = kernels.forward(*tensors[2:], plan=plan), reference.forward(*tensors[2:], plan=plan)
    assert torch.equal(forward[0], expected[0])
    assert torch.equal(forward[1], expected[1])
    backward, expected = kernels.backward(*tensors, plan=plan), reference.backward(*tensors, plan=plan)
    assert torch.equal(backward[0], expected[0])
    torch.testing.assert_close(backward[1], expected[1], rtol=0, atol=0)  # None for None
    for ours, other in zip(backward[2:], expected[2:], strict=True):
        assert (ours is not None) == plan.learn
        if ours is not None:
            torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from([1, 2, 63, 64, 700, 1024, 1025, 2100]),
    st.sampled_from(PLANS),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_cpu_equals_reference(steps, n, channels, plan, state, carry, seed):
    check(cpu, inputs(steps, n, channels, seed, torch.float32, state=state, carry=carry), plan)


def test_long_trains_fit_in_narrow_blocks(monkeypatch):
    """With scratch for few potentials, backward walks blocks of the least width, the last of each period narrower."""
    monkeypatch.setattr(cpu, "SCRATCH", 1)
    check(cpu, inputs(9, 2, 1100, 0, torch.float32, state=True, carry=True), PLANS[0])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.sampled_from([1, 65, 1025]), st.sampled_from(PLANS), st.booleans(), st.integers(0, 99))
def test_bfloat16_is_the_same_with_currents_widened_and_gradients_rounded(steps, channels, plan, state, seed):
    gradient, carry, current, start, *rest = inputs(steps, 3, channels, seed, torch.float32, state=state, carry=True)
    short = (gradient.bfloat16(), carry, current.bfloat16(), start, *rest)
    wide = (short[0].float(), carry, short[2].float(), start, *rest)
    spikes, membrane = cpu.forward(*short[2:], plan=plan)
    expected = cpu.forward(*wide[2:], plan=plan)
    assert spikes.dtype == torch.bfloat16
    assert torch.equal(spikes.float(), expected[0])
    assert torch.equal(membrane, expected[1])
    grads, expected = cpu.backward(*short, plan=plan), cpu.backward(*wide, plan=plan)
    assert torch.equal(grads[0], expected[0].bfloat16())
    for ours, other in zip(grads[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, other, rtol=0, atol=0)


def test_gradients_that_are_no_numbers_stay_so_in_bfloat16():
    gradient, _, current, _, *rest = inputs(2, 1, 64, 0, torch.float32, state=False, carry=False)
    gradient[1, 0, :4] = torch.tensor([float("nan"), float("inf"), -float("inf"), 3e38])
    gradient, current = gradient.bfloat16(), current.bfloat16()
    bfloat16 = cpu.backward(gradient, None, current, None, *rest, plan=PLANS[2])[0]
    wide = cpu.backward(gradient.float(), None, current.float(), None, *rest, plan=PLANS[2])[0]
    assert wide.isnan().any()
    assert wide.isinf().any()
    torch.testing.assert_close(bfloat16, wide.bfloat16(), rtol=0, atol=0, equal_nan=True)


def test_triton_equals_reference():
    """Interpreted, on tensors in host memory: Triton reads the variable when it is imported."""
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.run([sys.executable, "-c", TRITON], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "same bits\n", run.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("plan", PLANS)
def test_cuda_equals_reference(plan):
    from spikeformer.kernels import cuda

    tensors = [x.cuda() for x in inputs(30, 8, 500, 0, torch.float32, state=True, carry=True) if x is not None]
    forward, expected = cuda.forward(*tensors[2:], plan=plan), reference.forward(*tensors[2:], plan=plan)
    assert torch.equal(forward[0], expected[0])
    for ours, other in zip(cuda.backward(*tensors, plan=plan), reference.backward(*tensors, plan=plan), strict=True):
        if ours is not None and other is not None:
            torch.testing.assert_close(ours, other)


def test_names():
    assert in_use("cpu") == "numba"
    assert in_use("meta") == "torch reference"


@pytest.fixture
def _no_memory_kept():
    output_memory.release()
    yield
    output_memory.release()


@pytest.mark.usefixtures("_no_memory_kept")
def test_memory_is_taken_again_only_when_nothing_refers_to_it():
    shape = (3, output_memory.LEAST)
    whole = output_memory.empty(shape, torch.float32)
    address = whole.data_ptr()
    assert whole.is_contiguous()
    assert whole.shape == shape
    assert address % 64 == 0
    row = whole[2, 5:]
    del whole
    array = row.numpy()
    del row
    array[:] = 7
    other = output_memory.empty(shape, torch.float32)
    other.fill_(1)
    assert other.data_ptr() != address
    assert (array == 7).all()
    del array
    assert output_memory.kept_bytes() >= 12 * output_memory.LEAST
    assert output_memory.empty(shape, torch.float32).data_ptr() == address


@pytest.mark.usefixtures("_no_memory_kept")
def test_kept_memory_is_bounded():
    blocks = [output_memory.empty((output_memory.MOST_KEPT // 4,), torch.uint8) for _ in range(6)]
    assert output_memory.kept_bytes() == 0
    blocks.clear()
    assert output_memory.MOST_KEPT // 2 < output_memory.kept_bytes() <= output_memory.MOST_KEPT


class Interrupted(np.ndarray):
    """A block in whose presence the collector gives another one back."""

    @property
    def nbytes(self) -> int:
        output_memory._give_back(np.empty(output_memory.LEAST, np.uint8))
        return 0


@pytest.mark.usefixtures("_no_memory_kept")
def test_memory_may_come_back_while_some_is_taken():
    output_memory._give_back(np.empty(0, np.uint8).view(Interrupted))
    for _ in range(3):
        output_memory.empty((output_memory.LEAST,), torch.uint8)
    assert output_memory.kept_bytes() >= output_memory.LEAST
    output_memory.release()
    assert output_memory.kept_bytes() <= output_memory.LEAST
