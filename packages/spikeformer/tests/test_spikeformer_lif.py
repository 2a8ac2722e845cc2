"""LIF neurons are snnTorch's, whatever the chunks, threads and compilers; learned parameters stay in bounds."""

import math
import warnings
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeformer.kernels import operators
from spikeformer.lif import LIF, lif_steps
from spikeformer.snntorch_interchange import from_snntorch, to_snntorch
from spikeformer.surrogate import Arctan, FastSigmoid

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import snntorch
    from snntorch import surrogate as theirs

RESETS = ["subtract", "zero", "none"]
PAIRS = [(FastSigmoid(25.0), theirs.fast_sigmoid(25)), (Arctan(2.0), theirs.atan(2.0))]


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def leaky_steps(leaky, current, membrane):
    """snnTorch's neurons, a step at a time."""
    spikes = []
    for current_t in current:
        spikes_t, membrane = leaky(current_t, membrane)
        spikes.append(spikes_t)
    return torch.stack(spikes), membrane


def gradients(spikes, membrane, inputs):
    """Of a weighted sum of both; snnTorch's spikes and their gradients are float32 whatever the potentials are."""
    weighted = (spikes * draw(*spikes.shape, seed=8).to(membrane.dtype)).sum()
    weighted = weighted + (membrane * draw(*membrane.shape, seed=9).to(membrane.dtype)).sum()
    return torch.autograd.grad(weighted, inputs, retain_graph=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("surrogate", "spike_grad"), PAIRS, ids=["fast_sigmoid", "arctan"])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_equals_snntorch(reset, surrogate, spike_grad, dtype, per_channel):
    """Spikes and potentials bit for bit; gradients of current, state, beta and threshold up to rounding."""
    steps, batch, channels = 30, 3, 7
    shape = (channels,) if per_channel else (1,)
    beta = (draw(*shape, seed=1, dtype=dtype).sigmoid()).requires_grad_()
    threshold = (draw(*shape, seed=2, dtype=dtype).abs() + 0.3).requires_grad_()
    current = draw(steps, batch, channels, seed=3, dtype=dtype).requires_grad_()
    state = draw(batch, channels, seed=4, dtype=dtype).requires_grad_()
    leaky = snntorch.Leaky(beta, cast("float", threshold), spike_grad=spike_grad, reset_mechanism=reset)
    expected = leaky_steps(leaky, current, state)
    actual = lif_steps(current, state, beta=beta, threshold=threshold, reset=reset, surrogate=surrogate)
    assert 0.02 < float(actual[0].detach().mean()) < 0.9
    assert torch.equal(actual[0], expected[0].to(dtype))
    assert torch.equal(actual[1], expected[1])
    inputs = (current, state, beta, threshold)
    rounding = 1e-5 if dtype == torch.float32 else 1e-12
    for ours, other in zip(gradients(*actual, inputs), gradients(*expected, inputs), strict=True):
        torch.testing.assert_close(ours, other, rtol=rounding, atol=rounding)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.data(), st.sampled_from(RESETS))
def test_chunks_join(steps, data, reset):
    """Two chunks with the state between them are one run, bit for bit, gradients included."""
    cut = data.draw(st.integers(1, steps - 1))
    current = draw(steps, 2, 5, seed=steps).requires_grad_()
    options = {"beta": 0.8, "threshold": 0.7, "reset": reset}
    whole, last = lif_steps(current, **options)
    first, state = lif_steps(current[:cut], **options)
    rest, end = lif_steps(current[cut:], state, **options)
    assert torch.equal(torch.cat([first, rest]), whole)
    assert torch.equal(end, last)
    joined = gradients(torch.cat([first, rest]), end, (current,))
    assert torch.equal(joined[0], gradients(whole, last, (current,))[0])


def test_detached_state_ends_the_gradient():
    current = draw(6, 4).requires_grad_()
    _, state = lif_steps(current[:3], beta=0.9, threshold=1.0)
    spikes, _ = lif_steps(current[3:], state.detach(), beta=0.9, threshold=1.0)
    (grad,) = torch.autograd.grad(spikes.sum(), current)
    assert not grad[:3].any()
    assert grad[3:].all()


def test_without_reset_a_constant_current_gives_a_geometric_series():
    _, membrane = lif_steps(torch.ones(20, 3, dtype=torch.float64), beta=0.5, threshold=1.5, reset="none")
    torch.testing.assert_close(membrane, torch.full((3,), (1 - 0.5**20) / (1 - 0.5), dtype=torch.float64))


def test_results_do_not_depend_on_threads_or_batch():
    """More neurons than a block and more work than one thread is worth."""
    current = draw(40, 9, 1100).requires_grad_()
    beta = torch.full((1100,), 0.9).requires_grad_()
    threads = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            spikes, membrane = lif_steps(current, beta=beta, threshold=1.0)
            results.append((spikes, membrane, *gradients(spikes, membrane, (current, beta))))
    finally:
        torch.set_num_threads(threads)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)
    alone, _ = lif_steps(current[:, 4:5], beta=beta, threshold=1.0)
    assert torch.equal(alone[:, 0], results[0][0][:, 4])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_currents_are_summed_in_float32(dtype):
    current = draw(25, 3, 8).to(dtype).requires_grad_()
    spikes, state = lif_steps(current, beta=0.95, threshold=1.0)
    expected, expected_state = lif_steps(current.float(), beta=0.95, threshold=1.0)
    assert spikes.dtype == dtype
    assert state.dtype == torch.float32
    assert torch.equal(spikes.float(), expected)
    assert torch.equal(state, expected_state)
    (grad,) = torch.autograd.grad(spikes.sum(), current, retain_graph=True)
    (expected_grad,) = torch.autograd.grad(expected.sum(), current)
    assert torch.equal(grad, expected_grad)


def test_clamp_bounds_the_potential_and_cuts_its_gradient():
    """Against autograd through torch.clamp."""
    current = (2 * draw(15, 40, dtype=torch.float64)).requires_grad_()
    spikes, membrane = lif_steps(current, beta=0.9, threshold=1.0, clamp=(-0.8, 1.3))
    expected, spike, bell = torch.zeros(40, dtype=torch.float64), torch.zeros(40), FastSigmoid().slope
    weighted = torch.zeros((), dtype=torch.float64)
    gradient = draw(15, 40, seed=1, dtype=torch.float64)
    for t in range(15):
        expected = (0.9 * expected + current[t] - spike).clamp(-0.8, 1.3)
        over = expected - 1.0
        spike = (over > 0).double().detach()
        assert torch.equal(spikes[t], spike)
        soft = over / (1 + bell * over.abs())  # its derivative is the surrogate's
        weighted = weighted + (soft * gradient[t]).sum()
    torch.testing.assert_close(membrane, expected)
    assert float(membrane.detach().min()) >= -0.8
    (grad,) = torch.autograd.grad((spikes * gradient).sum(), current)
    torch.testing.assert_close(grad, torch.autograd.grad(weighted, current)[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck reads it
@pytest.mark.parametrize("with_state", [False, True])
def test_operator_keeps_torchs_contract(with_state):
    """Schema, fake tensors, autograd registration and ahead-of-time tracing, as torch checks them."""
    current = draw(4, 2, 3).requires_grad_()
    state = draw(2, 3, seed=1).requires_grad_() if with_state else None
    beta, threshold = torch.rand(3).requires_grad_(), (torch.rand(3) + 0.5).requires_grad_()
    arguments = (current, state, beta, threshold, "subtract", [], [0.0, 1.0, 25.0])
    torch.library.opcheck(operators.lif_forward, arguments)


def test_compiles_without_a_graph_break():
    lif = LIF(5, beta=0.7, threshold=0.8, learn=True)
    weight = draw(5, 5).requires_grad_()

    def loss(current):
        spikes, state = lif(current @ weight)
        spikes, state = lif(spikes, state)
        return spikes.sum() + state.square().sum()

    current = draw(6, 2, 5)
    inputs = (weight, *lif.parameters())
    expected = torch.autograd.grad(loss(current), inputs)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for ours, plain in zip(torch.autograd.grad(compiled(current), inputs), expected, strict=True):
        torch.testing.assert_close(ours, plain)


def test_learned_parameters_stay_in_bounds():
    """Whatever an optimizer does to them; and they start where they were told."""
    lif = LIF(3, beta=torch.tensor([0.1, 0.5, 0.99]), threshold=torch.tensor([0.2, 1.0, 30.0]), learn=True)
    torch.testing.assert_close(lif.beta, torch.tensor([0.1, 0.5, 0.99]))
    torch.testing.assert_close(lif.threshold, torch.tensor([0.2, 1.0, 30.0]))
    optimizer = torch.optim.SGD(lif.parameters(), lr=1e4)
    for sign in (1, -1, -1):
        optimizer.zero_grad()
        spikes, state = lif(draw(10, 8, 3))
        (sign * (spikes.sum() + state.sum())).backward()
        optimizer.step()
        assert bool(((lif.beta >= 0) & (lif.beta <= 1) & (lif.threshold >= 0)).all())


def test_module_state_survives_saving():
    source = LIF(4, beta=0.3, threshold=2.0, learn=True)
    target = LIF(4, learn=True)
    target.load_state_dict(source.state_dict())
    assert torch.equal(target(draw(9, 4) * 3)[0], source(draw(9, 4) * 3)[0])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(("surrogate", "spike_grad"), PAIRS, ids=["fast_sigmoid", "arctan"])
@pytest.mark.parametrize("learn", [False, True])
def test_interchange_keeps_outputs_and_gradients(reset, surrogate, spike_grad, learn):
    beta, threshold = torch.tensor([0.2, 0.6, 0.95]), torch.tensor([0.4, 1.0, 1.7])
    leaky = snntorch.Leaky(
        beta,
        cast("float", threshold),  # its documentation allows tensors
        spike_grad=spike_grad,
        reset_mechanism=reset,
        learn_beta=learn,
        learn_threshold=learn,
    )
    lif = from_snntorch(leaky)
    assert (lif.reset, lif.surrogate, lif.learn, lif.channels) == (reset, surrogate, learn, 3)
    current = draw(12, 4, 3).requires_grad_()
    expected = leaky_steps(leaky, current, torch.zeros(4, 3))
    for actual in (lif(current), leaky_steps(to_snntorch(lif), current, torch.zeros(4, 3))):
        torch.testing.assert_close(actual[0], expected[0])
        torch.testing.assert_close(actual[1], expected[1], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradients(actual[0], actual[1], (current,)), gradients(*expected, (current,)))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"inhibition": True}, "inhibition"),
        ({"graded_spikes_factor": 2.0}, "graded_spikes_factor"),
        ({"reset_delay": False}, "reset_delay"),
        ({"init_hidden": True}, "init_hidden"),
        ({"learn_beta": True}, "learn_threshold"),
        ({"spike_grad": theirs.sigmoid()}, "fast_sigmoid or atan"),
    ],
)
@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
def test_interchange_refuses_what_has_no_counterpart(options, named):
    with pytest.raises(ValueError, match=named):
        from_snntorch(snntorch.Leaky(0.9, **options))


def test_interchange_refuses_other_neurons():
    with pytest.raises(TypeError, match="Synaptic"):
        from_snntorch(cast("Any", snntorch.Synaptic(0.9, 0.9)))
    with pytest.raises(ValueError, match="clamp"):
        to_snntorch(LIF(clamp=(-1.0, 2.0)))


@pytest.mark.parametrize(
    ("error", "match", "change"),
    [
        (ValueError, "beta must be in", {"beta": 1.5}),
        (ValueError, "threshold must be positive", {"threshold": 0.0}),
        (ValueError, "beta must have one value or one", {"beta": torch.rand(4)}),
        (ValueError, "reset must be one of subtract, zero, none", {"reset": "hard"}),
        (TypeError, "surrogate must be", {"surrogate": "atan"}),
        (ValueError, "clamp must be", {"clamp": (1.0, 0.0)}),
        (ValueError, r"state must have shape \(2, 3\)", {"state": torch.zeros(3)}),
        (TypeError, "state must be torch.float32", {"state": torch.zeros(2, 3, dtype=torch.float64)}),
        (TypeError, "current must be float64, float32", {"current": torch.ones(5, 2, 3, dtype=torch.int64)}),
        (ValueError, "current must be .* with T >= 1", {"current": torch.ones(0, 2, 3)}),
    ],
)
def test_errors_name_the_argument(error, match, change):
    arguments = {"current": torch.ones(5, 2, 3), "beta": 0.9, "threshold": 1.0} | change
    with pytest.raises(error, match=f"lif_steps: {match}"):
        lif_steps(**arguments)


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("beta must be inside", {"beta": 1.0, "learn": True}),
        ("threshold must be positive", {"threshold": -1.0}),
        ("beta has shape", {"channels": 3, "beta": torch.rand(4)}),
        ("channels must be", {"channels": 0}),
    ],
)
def test_module_errors(match, options):
    with pytest.raises(ValueError, match=f"LIF: {match}"):
        LIF(**options)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_surrogates_refuse_widths_that_are_none(value):
    with pytest.raises(ValueError, match="slope must be a positive finite number"):
        FastSigmoid(value)
    with pytest.raises(ValueError, match="alpha must be a positive finite number"):
        Arctan(value)
