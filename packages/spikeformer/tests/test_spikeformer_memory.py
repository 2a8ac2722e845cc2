"""Working memory: slow traces against the plain loop, retention over long distances, segments without memory."""

from __future__ import annotations

import dataclasses
import math

import pytest
import spikeformer as sf
import torch
from spikeformer.retention import memory_decays, retention
from spikeformer.slow_trace import SlowTrace, slow_trace
from spikeformer.token_delays import TokenDelays, delayed

SMALL = sf.SpikeformerConfig(vocab_size=11, dim=32, heads=2, layers=1, steps=4, segment=6, chunk=4)


def tokens(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 11, (2, length), generator=torch.Generator().manual_seed(seed))


def loop(u_BLD, tau_H, y_BD):
    a_D = torch.exp(-1 / tau_H).repeat_interleave(u_BLD.shape[2] // len(tau_H))
    out = []
    for u_BD in u_BLD.unbind(1):
        y_BD = a_D * y_BD + (1 - a_D) * u_BD
        out.append(y_BD)
    return torch.stack(out, 1)


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_slow_trace_is_the_loop_in_values_and_gradients(chunk):
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(2, 10, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    y0 = torch.rand(2, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    tau = torch.tensor([1.5, 20.0, 2000.0], dtype=torch.float64, requires_grad=True)
    got, last = slow_trace(u, tau, y0, chunk=chunk)
    expected = loop(u, tau, y0)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(last, got[:, -1])
    weight = torch.rand(2, 10, 6, dtype=torch.float64, generator=generator)
    for a, b in zip(
        torch.autograd.grad((got * weight).sum(), (u, y0, tau)),
        torch.autograd.grad((expected * weight).sum(), (u, y0, tau)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_time_constants_stay_in_their_range():
    trace = SlowTrace(5, (20.0, 2000.0))
    with torch.no_grad():
        assert bool((trace.tau.diff() > 0).all())
        assert 20 < float(trace.tau.min()) < float(trace.tau.max()) < 2000
        trace.place_H.copy_(torch.tensor([-50.0, -1.0, 0.0, 1.0, 50.0]))
        torch.testing.assert_close(trace.tau[[0, 2, 4]], torch.tensor([20.0, 200.0, 2000.0]))


def test_trace_of_a_constant_rises_as_an_exponential():
    tau = torch.tensor([50.0], dtype=torch.float64)
    y, _ = slow_trace(torch.ones(1, 200, 1, dtype=torch.float64), tau)
    i = torch.arange(1, 201, dtype=torch.float64)
    torch.testing.assert_close(y[0, :, 0], 1 - torch.exp(-i / 50), rtol=1e-10, atol=0)


def test_slow_traces_of_sixteen_bits_forget():
    """In bfloat16 itself exp(-1 / 2000) is 1."""
    u, trace = torch.ones(1, 300, 2, dtype=torch.bfloat16), SlowTrace(2, (1999.0, 2001.0)).bfloat16()
    y, last = trace(u)
    i = torch.arange(1, 301)
    torch.testing.assert_close(y[0, :, 0].float(), 1 - torch.exp(-i / 2000), rtol=1e-2, atol=0)
    assert (y.dtype, last.dtype) == (torch.bfloat16, torch.float32)


def test_decays_are_geometric_up_to_two_thousand_tokens():
    tau_H = 1 / (1 - memory_decays(6).double())
    ratios = tau_H[1:] / tau_H[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(5), rtol=1e-3, atol=0)
    assert float(tau_H[-1]) == pytest.approx(2000, rel=1e-3)


def test_retention_recalls_over_a_thousand_tokens():
    """A pair stored once comes back by its key, weaker by lambda^distance, exactly; an orthogonal key gives nothing."""
    length, d = 1001, 8
    k, v, q = (torch.zeros(1, 1, 1, length, d, dtype=torch.float64) for _ in range(3))
    k[0, 0, 0, 0, 2], v[0, 0, 0, 0, 5] = 1, 1
    q[0, 0, 0, :, 2] = 1
    decay_H = torch.tensor([1 - 1 / 2000], dtype=torch.float64)
    o, _ = retention(q, k, v, decay_H, chunk=64)
    assert float(o[0, 0, 0, -1, 5]) == pytest.approx(math.exp(1000 * math.log1p(-1 / 2000)), rel=1e-10)
    assert not o[..., [0, 1, 2, 3, 4, 6, 7]].any()
    assert not retention(q.roll(1, -1), k, v, decay_H, chunk=64)[0].any()


@pytest.mark.parametrize("make", [sf.Spikeformer, sf.dense_twin])
@pytest.mark.parametrize("attention", ["linear", "softmax"])
def test_memory_reaches_beyond_a_segment_and_segments_do_not(make, attention):
    """Without memory, what lies before the last multiple of segment tokens is gone; with it, it is not."""
    x, changed = tokens(20), tokens(20)
    changed[:, :6] = (changed[:, :6] + 1 + tokens(6, seed=1) % 9) % 11
    for memory in (True, False):
        config = dataclasses.replace(SMALL, memory=memory, attention=attention)
        model = make(config).double()
        with torch.no_grad():
            difference = (model(x).logits - model(changed).logits).abs().amax((0, 2))
        assert difference[:6].min() > 0
        assert bool(difference[6:].any()) == memory


def test_segments_lie_at_absolute_positions():
    """A text that goes on in the middle of a segment is cleared at the same tokens as in one call."""
    model = sf.Spikeformer(dataclasses.replace(SMALL, memory=False)).double()
    x = tokens(15)
    with torch.no_grad():
        whole = model(x).logits
        first = model(x[:, :4])
        torch.testing.assert_close(model(x[:, 4:], first.state).logits, whole[:, 4:], rtol=1e-9, atol=1e-9)
        fresh = model(x[:, 6:12])
        assert not torch.allclose(model(x[:, 4:]).logits, whole[:, 4:])
    assert fresh.state.layers[0].trace is None


def test_state_has_a_size_that_does_not_grow():
    for attention, context in (("linear", 512), ("softmax", 9)):
        model = sf.Spikeformer(dataclasses.replace(SMALL, attention=attention, context=context))
        with torch.no_grad():
            sizes = [model(tokens(n)).state.nbytes for n in (8, 50, 200)]
        assert len(set(sizes)) == 1


@pytest.mark.parametrize("delays", [1, 2, 5])
@pytest.mark.parametrize("split", [0, 1, 3, 8])
def test_delays_are_a_causal_convolution_in_one_piece_or_two(delays, split):
    generator = torch.Generator().manual_seed(delays)
    x = torch.randn(2, 3, 9, 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(delays, 4, generator=generator, dtype=torch.float64)
    flat = torch.nn.functional.pad(x.reshape(6, 9, 4).mT, (delays - 1, 0))
    expected = torch.nn.functional.conv1d(flat, weight.flip(0).T[:, None], groups=4).mT.view(2, 3, 9, 4)
    parts, before = [], None
    for part in (x[:, :, :split], x[:, :, split:]) if split else (x,):
        out, before = delayed(part, weight, before)
        parts.append(out)
    torch.testing.assert_close(torch.cat(parts, 2), expected)
    assert before is not None
    assert torch.equal(before, x[:, :, 9 - delays + 1 :])


def test_delays_begin_without_delay():
    x = torch.randn(1, 1, 6, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(TokenDelays(3, 4)(x)[0], x)
