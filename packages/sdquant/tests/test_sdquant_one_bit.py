from fractions import Fraction

import numpy as np
import pytest
import sdquant as sd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdquant.kernels import cpu, reference

ORDERS = (0, 1, 2, 3)


def uniform(*shape: int, limit: float, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator, dtype=dtype) * 2 - 1) * limit


def shaping_matrix(m: int, order: int) -> torch.Tensor:
    """H: ones on the diagonal, -h_j on the n_j-th diagonal below it."""
    h = torch.eye(m, dtype=torch.float64)
    for lag, coefficient in zip(*sd.filter_taps(order), strict=True):
        for i in range(lag, m):
            h[i, i - lag] = -float(coefficient)
    return h


@pytest.mark.parametrize("order", [1, 2, 3])
def test_filters_annihilate_polynomials(order: int) -> None:
    """1 - sum_j h_j z^n_j vanishes to the order at z = 1: sum h_j = 1, and sum h_j n_j^k = 0 for 0 < k < order."""
    lags, coefficients = sd.filter_taps(order)
    moments = [sum(h * lag**k for lag, h in zip(lags, coefficients, strict=True)) for k in range(order)]
    assert moments == [1] + [0] * (order - 1)


def test_published_taps_and_limits() -> None:
    assert sd.filter_taps(3) == ((1, 7, 25), (Fraction(175, 144), Fraction(-25, 108), Fraction(7, 432)))
    assert sd.filter_taps(2) == ((1, 7), (Fraction(7, 6), Fraction(-1, 6)))
    assert [sd.stability_limit(order) for order in (1, 2)] == pytest.approx([1, 2 / 3])
    assert sd.stability_limit(3) == pytest.approx(0.53704, abs=5e-6)


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from(ORDERS),
    rows=st.integers(0, 70),
    m=st.integers(0, 200),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_state_stays_within_one_inside_the_limit(order: int, rows: int, m: int, seed: int, dtype: torch.dtype) -> None:
    y = uniform(rows, m, limit=sd.stability_limit(order), seed=seed, dtype=dtype)
    q, v = sd.sigma_delta_states(y, order)
    assert q.dtype == torch.int8
    assert q.shape == y.shape
    assert v.dtype == dtype
    assert bool((q.abs() == 1).all())
    assert bool((v.abs() <= 1 + 8 * torch.finfo(dtype).eps).all())


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_state_stays_within_one_at_the_limit(order: int, sign: float) -> None:
    """A constant input at mu is the worst case of the bound."""
    y = torch.full((1, 20_000), sign * sd.stability_limit(order), dtype=torch.float64)
    assert float(sd.sigma_delta_states(y, order)[1].abs().max()) <= 1 + 1e-12


@settings(max_examples=25, deadline=None)
@given(order=st.sampled_from(ORDERS), m=st.integers(1, 120), seed=st.integers(0, 10**6))
def test_error_is_the_shaped_state(order: int, m: int, seed: int) -> None:
    """y - q = H v, and unshape inverts H."""
    y = uniform(3, m, limit=sd.stability_limit(order), seed=seed)
    q, v = sd.sigma_delta_states(y, order)
    torch.testing.assert_close(y - q, v @ shaping_matrix(m, order).T, rtol=0, atol=1e-12)
    torch.testing.assert_close(sd.unshape(y - q, order), v, rtol=0, atol=1e-9)


def averaged_error(order: int, box_order: int, lengths: list[int]) -> list[float]:
    """Root mean square error of the box_order-fold box average over lambda samples, over inputs and phases."""
    y = uniform(64, 1, limit=0.5, seed=order).expand(64, 3 * max(lengths) + 64)
    error = (y - sd.sigma_delta(y, order)).numpy()
    found = []
    for length in lengths:
        averaged = error
        for _ in range(box_order):
            total = np.cumsum(np.pad(averaged, ((0, 0), (1, 0))), axis=1)
            averaged = (total[:, length:] - total[:, :-length]) / length
        found.append(float(np.sqrt(np.mean(averaged**2))))
    return found


@pytest.mark.parametrize("order", [1, 2, 3])
def test_error_of_averages_falls_with_the_order(order: int) -> None:
    """Log-log slope within 10% of -order from 64 to 4096 samples, and no fall without memory."""
    lengths = [64, 128, 256, 512, 1024, 2048, 4096]
    slope = np.polyfit(np.log(lengths), np.log(averaged_error(order, order, lengths)), 1)[0]
    assert slope == pytest.approx(-order, rel=0.1)
    memoryless = averaged_error(0, order, lengths)
    assert memoryless[-1] == pytest.approx(memoryless[0], rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from([1, 2, 3]),
    rows=st.integers(0, 70),
    m=st.integers(0, 150),
    limit=st.floats(0, 1.5),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_compiled_kernel_equals_reference(
    order: int, rows: int, m: int, limit: float, seed: int, dtype: torch.dtype
) -> None:
    """Bit for bit, bits and states, beyond the stable range too."""
    y = uniform(rows, m, limit=limit, seed=seed, dtype=dtype)
    lags, coefficients = sd.filter_taps(order)
    taps = tuple(float(h) for h in coefficients)
    q, v = cpu.sigma_delta(y, lags, taps, states=True)
    expected_q, expected_v = reference.sigma_delta(y, lags, taps, states=True)
    assert v is not None
    assert expected_v is not None
    assert torch.equal(q, expected_q)
    assert torch.equal(v, expected_v)


def test_rows_do_not_depend_on_threads_or_batch() -> None:
    y = uniform(500, 400, limit=0.5, seed=5)
    alone = torch.stack([sd.sigma_delta(row, 3) for row in y[::50]])
    assert torch.equal(sd.sigma_delta(y, 3)[::50], alone)


def test_greedy_is_the_sign_with_sign_of_zero_plus_one() -> None:
    y = torch.tensor([-3.0, -0.0, 0.0, 1e-30, -1e-30, 5.0])
    assert sd.greedy(y).tolist() == [-1, 1, 1, 1, -1, 1]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(0,), (1,), (2, 0), (0, 5), (3, 4, 6), (24,)])
def test_small_shapes(order: int, shape: tuple[int, ...]) -> None:
    """Short series start from a zero state, so their first bit is the sign of the first sample."""
    y = uniform(*shape, limit=0.5, seed=1)
    q = sd.sigma_delta(y, order)
    assert q.shape == shape
    assert torch.equal(q[..., :1], sd.greedy(y[..., :1]))


def test_strided_input_is_read_in_its_own_order() -> None:
    y = uniform(40, 30, limit=0.5, seed=2)
    assert torch.equal(sd.sigma_delta(y.T, 2), sd.sigma_delta(y.T.contiguous(), 2))


def test_overload_error_names_limit_and_maximum() -> None:
    with pytest.raises(ValueError, match=r"mu = 0\.66\d+, found max\|y\| = 0\.9"):
        sd.sigma_delta(torch.tensor([0.1, -0.9]), 2)


def test_clip_is_the_quantizer_of_the_clipped_input() -> None:
    y = uniform(5, 100, limit=2.0, seed=3)
    mu = sd.stability_limit(2)
    assert torch.equal(sd.sigma_delta(y, 2, overload="clip"), sd.sigma_delta(y.clamp(-mu, mu), 2))


def test_allow_lets_the_state_grow() -> None:
    y = torch.full((1, 100), 1.5, dtype=torch.float64)
    assert float(sd.sigma_delta_states(y, 1, overload="allow")[1][0, -1]) == pytest.approx(50)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("overload", ["error", "clip", "allow"])
def test_non_finite_input_is_refused(bad: float, overload: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        sd.sigma_delta(torch.tensor([0.0, bad]), 1, overload=overload)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="finite"):
        sd.greedy(torch.tensor([bad]))


def test_bad_arguments_are_named() -> None:
    y = torch.zeros(3)
    with pytest.raises(ValueError, match=r"order must be .* got 4"):
        sd.sigma_delta(y, 4)
    with pytest.raises(ValueError, match="'error', 'clip' or 'allow', got 'wrap'"):
        sd.sigma_delta(y, 1, overload="wrap")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="float16"):
        sd.sigma_delta(y.half(), 1)
    with pytest.raises(ValueError, match="time axis"):
        sd.sigma_delta(torch.tensor(0.5), 1)
    with pytest.raises(ValueError, match="overload"):
        sd.SigmaDelta(1, overload="wrap")  # pyright: ignore[reportArgumentType]


def test_module_passes_gradient_straight_through_and_stops_it_where_clipped() -> None:
    y = torch.tensor([0.2, -0.4, 0.9, -2.0], requires_grad=True)
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    q = sd.SigmaDelta(2)(y)
    assert torch.equal(q, sd.sigma_delta(y.detach(), 2, overload="clip").float())
    (q * weight).sum().backward()
    assert y.grad is not None
    assert y.grad.tolist() == [1.0, 2.0, 0.0, 0.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("order", [1, 2, 3])
def test_cuda_equals_cpu(order: int) -> None:
    y = uniform(33, 100, limit=0.5, seed=6, dtype=torch.float32)
    assert torch.equal(sd.sigma_delta(y.cuda(), order).cpu(), sd.sigma_delta(y, order))
