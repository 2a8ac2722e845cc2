"""Losses against closed forms, numerical gradients and the law of random hyperplanes."""

from __future__ import annotations

import math

import pytest
import torch
from binemb.losses import angular_similarity, reconstruction_loss, sign_straight_through, similarity_loss
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None)
@given(st.floats(0.1, 3), st.integers(0, 2**32 - 1))
def test_gradient_passes_inside_the_window_only(clip, seed):
    z = (2 * gaussian(4, 30, seed=seed)).requires_grad_()
    upstream = gaussian(4, 30, seed=seed + 1)
    signs = sign_straight_through(z, clip)
    signs.backward(upstream)
    assert torch.equal(signs, torch.where(z >= 0, 1.0, -1.0).double())
    assert z.grad is not None
    assert torch.equal(z.grad, torch.where(z.detach().abs() <= clip, upstream, 0.0))


def test_the_edge_of_the_window_and_zero():
    z = torch.tensor([0.0, -0.0, 1.5, -1.5, 1.5000001], requires_grad=True)
    signs = sign_straight_through(z)
    signs.sum().backward()
    assert signs.tolist() == [1, 1, 1, -1, 1]
    assert z.grad is not None
    assert z.grad.tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("cosine", [-0.95, -0.5, 0.0, 0.2, 0.7, 0.99])
def test_angular_similarity_is_the_agreement_of_random_hyperplanes(cosine):
    """Mean of B products of signs; its deviation is at most 1 / sqrt(B)."""
    n_planes = 400_000
    planes = gaussian(n_planes, 2, seed=1)
    other = torch.tensor([cosine, math.sqrt(1 - cosine**2)], dtype=torch.float64)
    agreement = (planes[:, 0].sign() * (planes @ other).sign()).mean()
    assert abs(float(agreement) - float(angular_similarity(torch.tensor(cosine)))) < 4 / math.sqrt(n_planes)


def test_angular_similarity_is_odd_and_monotone_and_bounded():
    cosines = torch.linspace(-1, 1, 101, dtype=torch.float64)
    values = angular_similarity(cosines)
    assert values[[0, -1]].tolist() == [-1, 1]
    assert (values.diff() > 0).all()
    torch.testing.assert_close(values, -values.flip(0))
    assert angular_similarity(torch.tensor([1.0000001, -1.0000001])).tolist() == [1, -1]


def test_reconstruction_is_zero_for_what_is_decoded_exactly_and_else_positive():
    assert reconstruction_loss(torch.eye(4).view(2, 2, 4), torch.eye(4).view(2, 2, 4)).tolist() == [0, 0]
    x = normalize(gaussian(3, 5, 7), dim=-1)
    assert reconstruction_loss(x, x).abs().max() < 1e-14
    assert (reconstruction_loss(x + 0.01 * gaussian(3, 5, 7, seed=1), x) > 0).all()


@settings(deadline=None)
@given(st.floats(0.1, 3), st.floats(-1, 1))
def test_reconstruction_in_closed_form(length, cosine):
    """A decoded vector of given length and angle: (1 - cos) + length^2 - 2 length cos + 1."""
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    decoded = length * torch.tensor([cosine, math.sqrt(1 - cosine**2)], dtype=torch.float64)
    expected = (1 - cosine) + length**2 - 2 * length * cosine + 1
    assert float(reconstruction_loss(decoded[None, None], x[None, None])) == pytest.approx(expected, abs=1e-12)


def test_similarity_against_loops():
    agreement, target = gaussian(2, 4, 4), gaussian(2, 4, 4, seed=1)
    for group, loss in enumerate(similarity_loss(agreement, target).tolist()):
        squares = [float(agreement[group, i, j] - target[group, i, j]) ** 2 for i in range(4) for j in range(4)]
        assert loss == pytest.approx(sum(squares) / 16, rel=1e-12)
    assert similarity_loss(target, target).tolist() == [0, 0]


@pytest.mark.parametrize("loss", [reconstruction_loss, similarity_loss])
def test_gradients_and_groups(loss):
    """Gradients are the numerical ones, and a group's loss does not depend on the other groups."""
    a, b = gaussian(3, 4, 4).requires_grad_(), gaussian(3, 4, 4, seed=1)
    assert torch.autograd.gradcheck(lambda value: loss(value, b), (a,))
    alone = torch.cat([loss(a[group : group + 1], b[group : group + 1]) for group in range(3)])
    torch.testing.assert_close(loss(a, b), alone, rtol=1e-12, atol=0)
