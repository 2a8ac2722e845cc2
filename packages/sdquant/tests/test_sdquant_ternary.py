import math

import pytest
import sdquant as sd
import torch
from hypothesis import given
from hypothesis import strategies as st
from sdquant.packed_linear import int8_activations
from sdquant.ternary import TernaryLayout

shapes = st.lists(st.integers(0, 7), max_size=4).map(tuple)


LAYOUTS = ("base3", "two_bit")
TRITS_A_BYTE = {"base3": 5, "two_bit": 4}


@given(
    shape=shapes,
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.int8, torch.int64]),
    layout=st.sampled_from(LAYOUTS),
)
def test_packing_round_trips_in_the_fewest_bytes(
    shape: tuple[int, ...], seed: int, dtype: torch.dtype, layout: TernaryLayout
) -> None:
    trits = torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    packed = sd.pack_ternary(trits, layout)
    assert packed.dtype == torch.uint8
    assert packed.shape == (math.ceil(math.prod(shape) / TRITS_A_BYTE[layout]),)
    assert torch.equal(sd.unpack_ternary(packed, shape, layout), trits.to(torch.int8))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_byte_either_round_trips_or_is_refused(layout: TernaryLayout) -> None:
    n = TRITS_A_BYTE[layout]
    accepted = []
    for value in range(256):
        byte = torch.tensor([value], dtype=torch.uint8)
        try:
            trits = sd.unpack_ternary(byte, (n,), layout)
        except ValueError:
            continue
        assert torch.equal(sd.pack_ternary(trits, layout), byte)
        accepted.append(value)
    assert len(accepted) == 3**n


def test_layout_is_base_three_or_four_from_the_first_trit() -> None:
    trits = torch.tensor([1, -1, 0, -1, 1])
    assert sd.pack_ternary(trits).tolist() == [2 + 0 * 3 + 1 * 9 + 0 * 27 + 2 * 81]
    assert sd.pack_ternary(trits, "two_bit").tolist() == [0b00_01_00_10, 0b01_01_01_10]


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
    with pytest.raises(ValueError, match="hold no bit pair 11, found 12"):
        sd.unpack_ternary(torch.tensor([0b1100], dtype=torch.uint8), (4,), "two_bit")
    with pytest.raises(ValueError, match="'base3' or 'two_bit', got 'five'"):
        sd.pack_ternary(torch.tensor([0]), "five")  # pyright: ignore[reportArgumentType]


@given(
    seed=st.integers(0, 10**6), exponent=st.integers(-45, 38), dtype=st.sampled_from([torch.float32, torch.bfloat16])
)
def test_activations_are_within_half_a_step_of_their_token(seed: int, exponent: int, dtype: torch.dtype) -> None:
    """Down to subnormal tokens, whose step underflows: then the error is that of storing 0."""
    x = (torch.rand(5, 33, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1) * 10.0**exponent
    x = x.to(dtype)
    values, scale = int8_activations(x)
    peak = x.double().abs().amax(-1, keepdim=True)
    assert int(values.abs().max()) <= 127
    tiny = 127 * torch.finfo(torch.float32).smallest_normal
    assert bool((values.abs().amax(-1, keepdim=True) == 127)[peak > tiny].all())
    error = (values.double() * scale.double() - x.double()).abs()
    assert bool((error <= torch.where(peak > tiny, peak / 254 * (1 + 1e-4), peak)).all())


def test_a_step_that_is_rounded_down_does_not_overflow() -> None:
    """2.5e-43 / 127 is stored as 1.4e-45: the peak is 178 of these steps."""
    values, scale = int8_activations(torch.tensor([[2.5e-43, -2.5e-43]]))
    assert values.tolist() == [[127, -127]]
    assert float(scale) > 0


def test_tokens_that_cannot_be_scaled() -> None:
    x = torch.tensor([[0.0, -0.0], [math.nan, 1.0], [math.inf, 1.0], [-math.inf, math.inf]])
    values, scale = int8_activations(x)
    assert not bool(values.any())
    assert float(scale[0]) == 0
    assert bool(scale[1:].isnan().all())
