import itertools
import math
from typing import Any

import numpy as np
import pytest
import sdquant as sd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdquant.analysis import block_noise
from sdquant.condensation import Condensation
from torch.nn.functional import normalize


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ball(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Directions at lengths of 0.3 to 1."""
    lengths = torch.rand(n, 1, generator=torch.Generator().manual_seed(seed + 1)) * 0.7 + 0.3
    return normalize(normal(n, dim, seed=seed), dim=1) * lengths


@given(order=st.integers(1, 3), length=st.integers(1, 300))
def test_window_is_the_convolution_of_as_many_boxes(order: int, length: int) -> None:
    """Against numpy, boxes equal or one apart; and where the papers' W = r L - r + 1 holds, exactly equal."""
    window = sd.condensation_window(order, length)
    total = length + order - 1
    boxes = [total // order + (j >= order - total % order) for j in range(order)]
    expected = np.ones(1)
    for box in boxes:
        expected = np.convolve(expected, np.ones(box))
    assert window.dtype == torch.int64
    assert window.tolist() == expected.tolist()


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("length", [61, 62, 63, 64])
def test_window_leaves_little_of_the_shaped_state(order: int, length: int) -> None:
    """norm1(v H) stays bounded by a constant of the order, for all remainders of the length, as norm1(v) grows."""
    lags, coefficients = sd.filter_taps(order)
    transfer = np.zeros(max(lags) + 1)
    transfer[0] = 1
    transfer[list(lags)] -= [float(h) for h in coefficients]
    left = np.abs(np.convolve(sd.condensation_window(order, length).numpy()[::-1], transfer)).sum()
    # (1 - z)^order leaves 2^order ones of the boxes; the rest of the filter multiplies that by its own norm1.
    assert left <= 2**order * np.abs(np.polydiv(transfer[::-1], np.poly(np.ones(order)))[0]).sum() + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    order=st.integers(1, 3),
    blocks=st.integers(1, 6),
    length=st.integers(1, 40),
    n=st.integers(0, 5),
    seed=st.integers(0, 999),
)
def test_condensed_integers_are_the_weighted_sums_and_store_exactly(
    order: int, blocks: int, length: int, n: int, seed: int
) -> None:
    condensation = Condensation(order, blocks * length, blocks)
    q = torch.randint(0, 2, (n, blocks * length), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    z = condensation(sd.Codes(sd.pack_bits(q), blocks * length))
    expected = q.reshape(n, blocks, length).numpy() @ sd.condensation_window(order, length).numpy()
    assert np.array_equal(z.numpy(), expected)
    packed = condensation.pack(z)
    assert packed.shape == (n, condensation.bytes_per_vector["packed"])
    assert condensation.bytes_per_vector["packed"] <= math.ceil(blocks * (math.ceil(order * math.log2(length)) + 1) / 8)
    assert torch.equal(condensation.unpack(packed), z)
    assert condensation.unpack(packed).dtype == z.dtype


def test_integers_beyond_float32_are_exact() -> None:
    """All bits alike give the sum of the window, here above 2^24, in int32."""
    condensation = Condensation(3, 1000, 1)
    codes = sd.Codes(sd.pack_bits(torch.ones(1, 1000)), 1000)
    assert condensation(codes).dtype == torch.int32
    assert int(condensation(codes)) == 334 * 334 * 334 == condensation.peak > 2**24


@pytest.mark.parametrize("transform", ["fast", "gaussian"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_estimates_are_right_on_average_over_embeddings(order: int, transform) -> None:
    """Inner products have no bias, squared distances that of the noise, and the spread is that of P dimensions."""
    x = ball(40, 30)
    pairs = torch.triu_indices(40, 40, 1)
    share = block_noise(order, 64)
    inner, square, l1 = [], [], []
    for seed in range(80):
        embedding = sd.BinaryEmbedding(30, 64 * 32, order, 32, transform=transform, seed=seed)
        codes = embedding.encode(x)
        inner.append((embedding.inner_product(codes, codes) - x @ x.T)[*pairs])
        square.append(embedding.distance(codes, codes)[*pairs].square() / torch.cdist(x, x)[*pairs].square())
        l1.append(embedding.distance(codes, codes, norm="l1")[*pairs] / torch.cdist(x, x)[*pairs])
    assert float(torch.stack(inner).mean()) == pytest.approx(0, abs=0.01)
    expected = 1 + 2 * share**2 * float(torch.cdist(x, x)[*pairs].pow(-2).mean())
    assert float(torch.stack(square).mean()) == pytest.approx(expected, abs=0.02)
    assert float(torch.stack(square).std()) == pytest.approx(math.sqrt(2 / 32), rel=0.15)
    # E norm1 of P normals is exact for the noise-free part; the noise adds as to l2.
    assert float(torch.stack(l1).mean()) == pytest.approx(math.sqrt(expected), abs=0.02)


def test_mean_l1_and_l2_distances_agree_with_dense_measurements() -> None:
    """z / (norm2(v) s) is near V A x / norm2(v): both norms estimate as they do without quantization."""
    x = ball(20, 10)
    embedding = sd.BinaryEmbedding(10, 256 * 16, 3, 16, transform="gaussian")
    window = sd.condensation_window(3, 256).double()
    measured = (x.double() @ embedding.measurement.matrix_DM).reshape(20, 16, 256) @ window / window.norm()
    codes = embedding.encode(x)
    l2, l1 = embedding.distance(codes, codes).double(), embedding.distance(codes, codes, norm="l1").double()
    torch.testing.assert_close(l2, torch.cdist(measured, measured) / 4, atol=5e-3, rtol=0)
    torch.testing.assert_close(
        l1, torch.cdist(measured, measured, p=1) * math.sqrt(math.pi / 2) / 16, atol=5e-3, rtol=0
    )
    inner = embedding.inner_product(codes, codes).double()
    torch.testing.assert_close(inner, measured @ measured.T / 16, atol=5e-3, rtol=0)


def test_error_of_the_bits_falls_with_the_order() -> None:
    """At 64 bits a block orders 2 and 3 leave a third of the noise of order 1 at most, of the same measurements."""
    x = ball(50, 20)

    def noise(order: int) -> float:
        embedding = sd.BinaryEmbedding(20, 64 * 64, order, 64, transform="gaussian")
        window = sd.condensation_window(order, 64).double()
        signal = (x.double() @ embedding.measurement.matrix_DM).reshape(50, 64, 64) @ window
        z = embedding.condense(embedding.encode(x)).double() / embedding.scale
        return float((z - signal).norm() / signal.norm())

    assert noise(2) < noise(1) / 3
    assert noise(3) < noise(1) / 3


@pytest.mark.parametrize("dim", [64, 100, 300])
def test_fast_blocks_see_all_dimensions(dim: int) -> None:
    """A unit vector in one coordinate is estimated as any other: block sums of plain Hadamard rows would miss it."""
    x = torch.cat([torch.eye(dim)[:30], normalize(normal(30, dim), dim=1)])
    errors = []
    for seed in range(8):
        embedding = sd.BinaryEmbedding(dim, 64 * 64, 2, 64, seed=seed)
        codes = embedding.encode(x)
        errors.append(embedding.distance(codes, codes, norm="l1") / torch.cdist(x, x) - 1)
    off = ~torch.eye(30, dtype=torch.bool)
    mean = torch.stack(errors)
    assert float(mean[:, :30, :30][:, off].mean()) == pytest.approx(0, abs=0.02)
    assert float(mean[:, 30:, 30:][:, off].mean()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("transform", ["fast", "gaussian"])
def test_order_zero_estimates_angles(transform) -> None:
    """2 sin(theta / 2) and cos(theta) with theta = pi hamming / M, for rows of any length."""
    x = normal(40, 30)
    embedding = sd.BinaryEmbedding(30, 4096, 0, transform=transform)
    codes = embedding.encode(x)
    hamming = (codes.unpack()[:, None] != codes.unpack()).sum(2)
    theta = math.pi * hamming / 4096
    torch.testing.assert_close(embedding.inner_product(codes, codes), theta.cos(), atol=1e-6, rtol=0)
    torch.testing.assert_close(embedding.distance(codes, codes), 2 * (theta / 2).sin(), atol=1e-6, rtol=0)
    unit = normalize(x, dim=1)
    torch.testing.assert_close(embedding.inner_product(codes, codes), unit @ unit.T, atol=0.1, rtol=0)
    assert torch.equal(embedding.encode(1e-20 * x.double()).packed, embedding.encode(1e20 * x.double()).packed)


@pytest.mark.parametrize(("order", "transform"), list(itertools.product((0, 1, 3), ("fast", "gaussian"))))
def test_results_do_not_depend_on_batch_or_threads(order: int, transform, monkeypatch) -> None:
    x = ball(300, 40) * 1.3
    embedding = sd.BinaryEmbedding(40, 1024, order, None if order == 0 else 32, transform=transform, overload="clip")
    codes = embedding.encode(x)
    alone = torch.cat([embedding.encode(row[None]).packed for row in x[::37]])
    assert torch.equal(codes.packed[::37], alone)
    whole = embedding.distance(codes, codes), embedding.inner_product(codes, codes)
    condensed = embedding.condense(codes)
    monkeypatch.setattr("sdquant.binary_embedding._CHUNK_ELEMENTS", 1024 * 7)
    monkeypatch.setattr("sdquant.binary_embedding._TILE_ROWS", 11)
    monkeypatch.setattr("sdquant.condensation._CHUNK_ELEMENTS", 1024 * 7)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert torch.equal(embedding.encode(x).packed, codes.packed)
        assert torch.equal(embedding.distance(codes, condensed), whole[0])
        assert torch.equal(embedding.inner_product(condensed, codes), whole[1])
        assert torch.equal(embedding.unpack(embedding.pack(condensed)), condensed)
    finally:
        torch.set_num_threads(threads)


def test_embedding_is_a_function_of_its_arguments() -> None:
    x = ball(5, 12)
    first, again, other = (sd.BinaryEmbedding(12, 640, 2, 10, seed=seed).encode(x).packed for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_distance_is_zero_to_itself_and_symmetric() -> None:
    embedding = sd.BinaryEmbedding(12, 640, 2, 10)
    codes = embedding.encode(ball(9, 12))
    distance = embedding.distance(codes, codes)
    assert bool((distance.diagonal() == 0).all())
    assert torch.equal(distance, distance.T)
    assert torch.equal(embedding.distance(codes, codes[:4]), distance[:, :4])


def test_radius_scales_the_estimates() -> None:
    x = ball(9, 12).double()
    small, large = sd.BinaryEmbedding(12, 640, 2, 10), sd.BinaryEmbedding(12, 640, 2, 10, radius=50)
    codes = small.encode(x)
    assert torch.equal(large.encode(50 * x).packed, codes.packed)
    torch.testing.assert_close(large.distance(codes, codes), 50 * small.distance(codes, codes))
    torch.testing.assert_close(large.inner_product(codes, codes), 2500 * small.inner_product(codes, codes))


def test_vectors_beyond_the_radius_are_an_error_or_shortened() -> None:
    x = normalize(normal(20, 12), dim=1)
    with pytest.raises(ValueError, match=r"norms up to radius=1, found 1\.5"):
        sd.BinaryEmbedding(12, 640).encode(x * 1.5)
    clipping = sd.BinaryEmbedding(12, 640, overload="clip")
    assert torch.equal(clipping.encode(x.double() * 8).packed, clipping.encode(x.double()).packed)


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_samples_are_beyond_the_limit_as_often_as_said(load: float) -> None:
    x = normalize(normal(200, 64), dim=1)
    embedding = sd.BinaryEmbedding(64, 4096, 2, load=load, transform="gaussian")
    assert embedding.overload_rate(x) == pytest.approx(math.erfc(1 / load / math.sqrt(2)), rel=0.05)
    assert sd.BinaryEmbedding(64, 4096, 0).overload_rate(x) == 0
    assert embedding.overload_rate(x[:0]) == 0


def test_a_row_that_unsettles_the_quantizer_is_named() -> None:
    """A vector in line with a row of A is one great sample, which order 3 does not survive."""
    embedding = sd.BinaryEmbedding(1024, 4096, 3)
    rows = torch.stack([normal(1024), embedding.measurement.fast_jl.matrix()[5]])
    with pytest.raises(ValueError, match=r"row 1 of x drives order 3 out of its stable range at load=0\.8"):
        embedding.encode(normalize(rows, dim=1))


@pytest.mark.parametrize("order", [0, 2])
def test_no_rows(order: int) -> None:
    embedding = sd.BinaryEmbedding(12, 640, order)
    codes = embedding.encode(torch.zeros(0, 12))
    assert len(codes) == 0
    some = embedding.encode(ball(3, 12))
    assert embedding.distance(codes, some).shape == (0, 3)
    assert embedding.inner_product(some, codes).shape == (3, 0)
    assert embedding.unpack(embedding.pack(embedding.condense(codes))).shape == (0, embedding.blocks)


def test_a_zero_vector_has_length_zero() -> None:
    embedding = sd.BinaryEmbedding(12, 64 * 256, 3)
    codes = embedding.encode(torch.cat([torch.zeros(1, 12), ball(3, 12)]))
    assert float(embedding.inner_product(codes, codes)[0, 0]) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_bits": 1000}, "multiple of blocks=64, got n_bits=1000; the nearest is 960 or 1024"),
        ({"n_bits": 10}, "got n_bits=10; the nearest is 64"),
        ({"n_bits": 0}, "n_bits and blocks must be at least 1, got 0 and 64"),
        ({"blocks": 0}, "n_bits and blocks must be at least 1, got 640 and 0"),
        ({"dim": 0}, "dim and out must be at least 1, got dim=0"),
        ({"order": 4}, "order must be 0, 1, 2 or 3, got 4"),
        ({"order": 0, "blocks": 64}, "blocks must be n_bits=640 or left out, got blocks=64"),
        ({"order": 0, "radius": 2.0}, r"takes no scale, got radius=2\.0"),
        ({"order": 0, "load": 0.5}, r"takes no scale, got radius=None, load=0\.5"),
        ({"radius": 0.0}, r"radius must be positive and finite, got 0\.0"),
        ({"radius": math.nan}, "radius must be positive and finite, got nan"),
        ({"load": 1.1}, r"load must be in \(0, 1\], got 1\.1"),
        ({"transform": "dct"}, "transform must be 'fast' or 'gaussian', got 'dct'"),
        ({"overload": "allow"}, "overload must be 'error' or 'clip', got 'allow'"),
        ({"order": 3, "n_bits": 64 * 1000}, "order 3 with 1000 bits a block makes sums beyond the exact integers"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"dim": 12, "n_bits": 640} | arguments
    with pytest.raises(ValueError, match=message):
        sd.BinaryEmbedding(**values)


def test_bad_vectors_and_codes_are_named() -> None:
    embedding = sd.BinaryEmbedding(12, 640)
    codes = embedding.encode(ball(3, 12))
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="x must be finite"):
            embedding.encode(torch.full((2, 12), bad))
    with pytest.raises(ValueError, match=r"shape \(n, 12\), got \(3, 11\)"):
        embedding.encode(torch.zeros(3, 11))
    with pytest.raises(ValueError, match=r"shape \(n, 12\), got \(12,\)"):
        embedding.encode(torch.zeros(12))
    with pytest.raises(TypeError, match=r"float32 or float64, got torch\.float16"):
        embedding.encode(torch.zeros(3, 12).half())
    with pytest.raises(ValueError, match="no row of x may be zero"):
        sd.BinaryEmbedding(12, 640, 0).encode(torch.zeros(3, 12))
    with pytest.raises(ValueError, match="takes codes of 640 bits, got 1280"):
        embedding.distance(codes, sd.BinaryEmbedding(12, 1280).encode(ball(3, 12)))
    with pytest.raises(ValueError, match="norm must be 'l2' or 'l1', got 'l3'"):
        embedding.distance(codes, codes, norm="l3")  # pyright: ignore[reportArgumentType]
    signs = sd.BinaryEmbedding(12, 640, 0)
    with pytest.raises(ValueError, match="one estimate norm='l2', got norm='l1'"):
        signs.distance(codes, codes, norm="l1")
    with pytest.raises(TypeError, match=r"must be sdquant\.Codes, got list"):
        embedding.condense([1])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"signed integer tensor, got torch\.uint8"):
        embedding.distance(codes.packed, codes)
    condensed = embedding.condense(codes)
    with pytest.raises(ValueError, match=r"shape \(n, 64\), got \(3, 63\)"):
        embedding.distance(condensed[:, 1:], codes)
    peak = 5 * 6
    with pytest.raises(ValueError, match=rf"even numbers in \[-{peak}, {peak}\]"):
        embedding.distance(condensed + 1, codes)
    with pytest.raises(ValueError, match="found another"):
        embedding.pack(torch.full((1, 64), peak + 2))
    with pytest.raises(ValueError, match=f"a number beyond {peak}"):
        embedding.unpack(torch.full((1, 40), 255, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"take shape \(n, 40\), got \(1, 39\)"):
        embedding.unpack(torch.zeros(1, 39, dtype=torch.uint8))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("order", [0, 2])
def test_cuda_estimates_agree_with_cpu(order: int) -> None:
    x = ball(50, 30)
    embedding = sd.BinaryEmbedding(30, 4096, order)
    codes = embedding.encode(x)
    expected = embedding.distance(codes, codes)
    on_device = embedding.cuda()
    found = on_device.encode(x.cuda())
    assert float((found.unpack().cpu() == codes.unpack()).double().mean()) > 0.9
    torch.testing.assert_close(on_device.distance(found, found).cpu(), expected, atol=0.05, rtol=0)
