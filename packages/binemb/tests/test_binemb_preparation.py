"""Preparation against numpy's singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from binemb import Preparation
from hypothesis import given, settings
from hypothesis import strategies as st


def planted(n: int, dim: int, count: int, seed: int = 0) -> np.ndarray:
    """Noise with `count` strong directions and an offset, float64, (n, dim)."""
    generator = np.random.default_rng(seed)
    directions = np.linalg.qr(generator.standard_normal((dim, dim)))[0][:count]
    strengths = generator.standard_normal((n, count)) * np.linspace(20, 8, count)
    return generator.standard_normal((n, dim)) + strengths @ directions + 5 * generator.standard_normal(dim)


@settings(deadline=None)
@given(n=st.integers(60, 120), dim=st.integers(4, 12), count=st.integers(0, 3), seed=st.integers(0, 2**32 - 1))
def test_drops_mean_and_leading_components_as_numpy_finds_them(n, dim, count, seed):
    x = planted(n, dim, count, seed)
    preparation = Preparation.fit(torch.from_numpy(x), components=count)
    centred = x - x.mean(0)
    leading = np.linalg.svd(centred, full_matrices=False)[2][:count]
    np.testing.assert_allclose(preparation.mean_D, x.mean(0), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(np.abs((preparation.components_KD.double().numpy() * leading).sum(1)), 1, atol=1e-5)
    rest = centred - centred @ leading.T @ leading
    length = np.linalg.norm(rest, axis=1, keepdims=True)  # rounding is that of x: short rests have larger angles
    for dtype in (torch.float64, torch.float32):
        np.testing.assert_allclose(length * preparation(torch.from_numpy(x).to(dtype)).numpy(), rest, atol=1e-4)


def test_components_are_orthonormal_and_have_one_sign():
    x = torch.from_numpy(planted(200, 9, 3))
    components_KD = Preparation.fit(x, components=3).components_KD
    torch.testing.assert_close(components_KD @ components_KD.T, torch.eye(3), rtol=0, atol=1e-6)
    assert (components_KD.gather(1, components_KD.abs().argmax(1, keepdim=True)) > 0).all()
    torch.testing.assert_close(Preparation.fit(x.flip(0), components=3).components_KD, components_KD)


def test_prepared_vectors_have_unit_length_and_nothing_of_the_components():
    x = torch.from_numpy(planted(200, 9, 2))
    preparation = Preparation.fit(x, components=2)
    prepared = preparation(x)
    torch.testing.assert_close(prepared.norm(dim=1), torch.ones(200, dtype=torch.float64))
    assert (prepared @ preparation.components_KD.double().T).abs().max() < 1e-5
    assert preparation(preparation.mean_D[None]).tolist() == [[0.0] * 9]


def test_precision_follows_the_input():
    x = torch.from_numpy(planted(50, 8, 2))
    preparation = Preparation.fit(x)
    mean, components = preparation.mean_D.double(), preparation.components_KD.double()
    centred = x - mean
    rest = centred - centred @ components.T @ components
    prepared = preparation(x)
    assert prepared.dtype == torch.float64
    torch.testing.assert_close(prepared, rest / rest.norm(dim=1, keepdim=True), rtol=1e-12, atol=1e-12)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert preparation(x.to(dtype)).dtype == torch.float32


def test_refusals():
    x = torch.from_numpy(planted(20, 5, 1))
    for components in (-1, 5):
        with pytest.raises(ValueError, match=rf"components must lie in \[0, 4\], got {components}"):
            Preparation.fit(x, components=components)
    with pytest.raises(TypeError, match=r"expected a floating-point torch tensor, got torch\.int64"):
        Preparation.fit(x.long())
    with pytest.raises(TypeError, match="got ndarray"):
        Preparation.fit(x.numpy())  # pyright: ignore[reportArgumentType]
    for shape in ((0, 5), (5,), (2, 3, 4)):
        with pytest.raises(ValueError, match="expected a matrix with at least one row"):
            Preparation.fit(torch.zeros(shape))
    x[[3, 7]] = torch.nan
    x[11, 2] = torch.inf
    with pytest.raises(ValueError, match=r"Preparation\.fit: 3 rows hold NaN or infinity, the first is row 3"):
        Preparation.fit(x)
