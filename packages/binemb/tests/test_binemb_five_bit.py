"""Five-bit codes: exact packing, the quantizer's bound, and what it costs in similarity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from binemb.five_bit import FiveBit, bit_planes, pack_five_bit, unpack_five_bit
from binemb.vectors import load_vectors
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

levels = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 31))


def gaussian(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


@given(levels)
def test_pack_is_numpy_packbits_and_exact(levels_ND):
    """The row is one string of bits, each level's highest bit first, packed as numpy.packbits packs."""
    n, dim = levels_ND.shape
    padded = np.pad(levels_ND, ((0, 0), (0, -dim % 8)))
    bits = np.unpackbits(padded[:, :, None], axis=2)[:, :, 3:].reshape(n, -1)
    packed_NB = pack_five_bit(torch.from_numpy(levels_ND))
    np.testing.assert_array_equal(packed_NB.numpy(), np.packbits(bits, axis=1))
    np.testing.assert_array_equal(unpack_five_bit(packed_NB, dim).numpy(), levels_ND)


@given(levels)
def test_bit_planes_add_up_to_levels(levels_ND):
    n, dim = levels_ND.shape
    planes = bit_planes(pack_five_bit(torch.from_numpy(levels_ND)), dim).numpy()
    assert planes.shape == (5, n, -(-dim // 8))
    bits = np.unpackbits(planes, axis=2)
    np.testing.assert_array_equal(np.tensordot([16, 8, 4, 2, 1], bits[:, :, :dim], axes=1), levels_ND)
    assert not bits[:, :, dim:].any()


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 30),
    dim=st.integers(2, 50),
    quantile=st.floats(0.5, 1.0),
)
def test_error_is_at_most_half_a_step_inside_the_clip(seed, n, dim, quantile):
    x_ND = gaussian(n, dim, seed)
    unit_ND = torch.nn.functional.normalize(x_ND, dim=1)
    code = FiveBit.fit(x_ND, quantile)
    levels_ND = unpack_five_bit(code.encode(x_ND), dim)
    x_hat_ND = code.clip * (2 * levels_ND.float() - 31) / 32
    inside_ND = unit_ND.abs() <= code.clip
    assert ((unit_ND - x_hat_ND).abs()[inside_ND] <= code.clip / 32 * (1 + 1e-4)).all()
    assert (levels_ND[unit_ND > code.clip] == 31).all()
    assert (levels_ND[unit_ND < -code.clip] == 0).all()


def test_decode_is_the_renormalised_level():
    x_ND = gaussian(20, 13)
    code = FiveBit.fit(x_ND)
    levels_ND = unpack_five_bit(code.encode(x_ND), 13)
    expected = torch.nn.functional.normalize(code.clip * (2 * levels_ND.double() - 31) / 32, dim=1)
    decoded_ND = code.decode(code.encode(x_ND))
    assert decoded_ND.dtype == torch.float32
    torch.testing.assert_close(decoded_ND.double(), expected, rtol=1e-6, atol=1e-7)


def test_clip_is_the_quantile():
    """At least the asked share of the values lies inside, and no smaller clip would do."""
    x_ND = gaussian(100, 37)
    absolute = torch.nn.functional.normalize(x_ND, dim=1).abs()
    for quantile in (0.5, 0.9, 0.99, 1.0):
        clip = FiveBit.fit(x_ND, quantile).clip
        assert (absolute <= clip * (1 + 1e-6)).double().mean() >= quantile
        assert (absolute < clip * (1 - 1e-6)).double().mean() < quantile


@pytest.mark.parametrize("scale", [1e-38, 1e-6, 1.0, 1e6, 1e38])
def test_length_does_not_matter(scale):
    x_ND = gaussian(10, 24).clamp(-3, 3)
    code = FiveBit.fit(x_ND)
    near = unpack_five_bit(code.encode(x_ND * scale), 24).int() - unpack_five_bit(code.encode(x_ND), 24).int()
    # A value on the edge of two cells may fall to either by rounding.
    assert near.abs().max() <= 1
    assert (near != 0).float().mean() < 0.02


def test_highest_plane_is_the_sign():
    x_ND = gaussian(10, 21)
    code = FiveBit.fit(x_ND)
    expected = np.packbits((x_ND >= 0).numpy(), axis=1)
    np.testing.assert_array_equal(bit_planes(code.encode(x_ND), 21)[0].numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read_as_they_are(dtype):
    x_ND = gaussian(50, 16).to(dtype)
    code = FiveBit.fit(x_ND)
    difference = unpack_five_bit(code.encode(x_ND), 16).int() - unpack_five_bit(code.encode(x_ND.float()), 16).int()
    assert (difference != 0).float().mean() < 0.01


def test_refusals():
    code = FiveBit(10, 0.5)
    x_ND = gaussian(3, 10)
    with pytest.raises(ValueError, match=r"10 values take codes of shape \(N, 10\), got \(3, 5\)"):
        code.decode(torch.zeros(3, 5, dtype=torch.uint8))
    with pytest.raises(ValueError, match="the padding after 10 values is not zero"):
        code.decode(torch.full((3, 10), 255, dtype=torch.uint8))
    with pytest.raises(ValueError, match="expected vectors of 10 values, got 11"):
        code.encode(gaussian(3, 11))
    with pytest.raises(TypeError, match=r"levels must be uint8, got torch\.int64"):
        pack_five_bit(torch.zeros(3, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"levels must be 0\.\.31, got 32"):
        pack_five_bit(torch.full((1, 8), 32, dtype=torch.uint8))
    for bad in (float("nan"), float("inf")):
        x_ND[1, 4] = bad
        with pytest.raises(ValueError, match=r"FiveBit\.encode: row 1 has NaN or infinite values"):
            code.encode(x_ND)
    x_ND[1] = 0
    with pytest.raises(ValueError, match=r"FiveBit\.encode: row 1 is zero and has no direction"):
        code.encode(x_ND)
    with pytest.raises(ValueError, match="take a higher clip_quantile"):
        FiveBit.fit(torch.eye(10), 0.5)
    with pytest.raises(ValueError, match=r"clip_quantile must be in \(0, 1\], got 1.5"):
        FiveBit.fit(gaussian(3, 4), 1.5)
    with pytest.raises(ValueError, match=r"clip must be in \(0, 1\], got 0"):
        FiveBit(3, 0)


def test_no_rows():
    code = FiveBit(10, 0.5)
    packed_NB = code.encode(torch.zeros(0, 10))
    assert packed_NB.shape == (0, 10)
    assert code.decode(packed_NB).shape == (0, 10)


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "wordsim").is_dir(), reason="../shared/data is absent")
def test_word_similarity_is_kept_on_glove_100():
    """Five bits lose no rank correlation on MEN; the clip at 0.999 is why: the largest value as clip does lose."""
    read = load_vectors(DATA / "vectors" / "glove.6B.100d.top100k.f16.npy")
    pairs = [line.split() for line in (DATA / "wordsim" / "EN-MEN-TR-3k.txt").read_text(encoding="utf-8").splitlines()]
    vocabulary = set(read.words)
    known = [(a, b, float(gold)) for a, b, gold in pairs if {a, b} <= vocabulary]
    left, right = read.rows([a for a, _, _ in known]), read.rows([b for _, b, _ in known])

    def spearman(vectors_ND):
        cosines = torch.nn.functional.cosine_similarity(vectors_ND[left], vectors_ND[right])
        return float(spearmanr(cosines.numpy(), [gold for _, _, gold in known])[0])  # pyright: ignore[reportArgumentType]

    decoded = {q: (code := FiveBit.fit(read.vectors, q)).decode(code.encode(read.vectors)) for q in (0.999, 1.0)}
    assert spearman(decoded[0.999]) > spearman(read.vectors)
    assert spearman(decoded[0.999]) > spearman(decoded[1.0]) + 0.005
