import math

import pytest
import sdquant as sd
import torch
from hypothesis import given
from hypothesis import strategies as st

shapes = st.lists(st.integers(0, 7), max_size=4).map(tuple)


@given(shape=shapes, seed=st.integers(0, 10**6), dtype=st.sampled_from([torch.int8, torch.int64]))
def test_packing_round_trips_at_five_a_byte(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> None:
    trits = torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    packed = sd.pack_ternary(trits)
    assert packed.dtype == torch.uint8
    assert packed.shape == (math.ceil(math.prod(shape) / 5),)
    assert torch.equal(sd.unpack_ternary(packed, shape), trits.to(torch.int8))


def test_every_byte_value_round_trips() -> None:
    packed = torch.arange(243).to(torch.uint8)
    assert torch.equal(sd.pack_ternary(sd.unpack_ternary(packed, (243, 5))), packed)


def test_layout_is_base_three_from_the_first_trit() -> None:
    assert sd.pack_ternary(torch.tensor([1, -1, 0, -1, 1])).tolist() == [2 + 0 * 3 + 1 * 9 + 0 * 27 + 2 * 81]


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_quantizer_is_absmean_and_keeps_within_half_a_scale(seed: int, scale: float) -> None:
    w = torch.randn(13, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    trits, found = sd.quantize_ternary(w)
    assert float(found) == pytest.approx(float(w.abs().sum()) / w.numel())
    inside = w.abs() <= 1.5 * found
    assert bool(((w - trits * found).abs()[inside] <= found / 2 * (1 + 1e-12)).all())
    assert torch.equal(trits[~inside], w[~inside].sign().to(torch.int8))


def test_ternary_weights_with_no_zeros_are_their_own_quantization() -> None:
    w = torch.tensor([[0.5, -0.5], [-0.5, 0.5]])
    trits, scale = sd.quantize_ternary(w)
    assert torch.equal(trits * scale, w)


def test_zero_weights_have_zero_scale() -> None:
    trits, scale = sd.quantize_ternary(torch.zeros(3, 2))
    assert not bool(trits.any())
    assert float(scale) == 0


def test_bad_weights_and_trits_are_named() -> None:
    with pytest.raises(TypeError, match="int64"):
        sd.quantize_ternary(torch.tensor([1]))
    with pytest.raises(ValueError, match="at least one weight"):
        sd.quantize_ternary(torch.zeros(0))
    with pytest.raises(ValueError, match="NaN"):
        sd.quantize_ternary(torch.tensor([math.nan]))
    with pytest.raises(ValueError, match="found 2"):
        sd.pack_ternary(torch.tensor([0, 2]))
    with pytest.raises(TypeError, match="float32"):
        sd.pack_ternary(torch.zeros(2))


def test_bad_bytes_are_named() -> None:
    with pytest.raises(ValueError, match="at most 242, found 243"):
        sd.unpack_ternary(torch.tensor([243], dtype=torch.uint8), (5,))
    with pytest.raises(ValueError, match=r"shape \(6,\) takes packed of shape \(2,\), got \(1,\)"):
        sd.unpack_ternary(torch.tensor([0], dtype=torch.uint8), (6,))
    with pytest.raises(ValueError, match="not filled with zero trits"):
        sd.unpack_ternary(torch.tensor([0], dtype=torch.uint8), (4,))
    with pytest.raises(ValueError, match="takes packed"):
        sd.unpack_ternary(torch.tensor([0], dtype=torch.uint8), (-1, -5))
    with pytest.raises(TypeError, match="int64"):
        sd.unpack_ternary(torch.tensor([0]), (5,))
