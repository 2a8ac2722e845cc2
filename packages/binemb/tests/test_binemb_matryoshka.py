"""The nested code: what a bit is, that every prefix decodes, and that the file keeps the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from binemb import BinaryCodes, MatryoshkaBinarizer, Preparation, stacked_rotations
from binemb.matryoshka import check_levels
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

LEVELS = (8, 24, 64)


def gaussian(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def x() -> torch.Tensor:
    return gaussian(1000, 10) + 0.5


@pytest.fixture
def model(x) -> MatryoshkaBinarizer:
    """With weights that are no rotations and biases that are not zero."""
    model = MatryoshkaBinarizer(Preparation.fit(x), LEVELS, seed=3)
    with torch.no_grad():
        model.weight_BD.add_(0.3 * gaussian(64, 10, 1))
        model.bias_B.add_(0.1 * gaussian(1, 64, 2)[0])
    model.fit_decoders(model.preparation(x))
    return model.eval()


@settings(deadline=None)
@given(dim=st.integers(1, 12), n_bits=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_rotations_are_orthonormal_and_nested(dim, n_bits, seed):
    rows_BD = stacked_rotations(dim, n_bits, seed=seed)
    for block in rows_BD.split(dim):
        torch.testing.assert_close(block @ block.T, torch.eye(len(block)), rtol=0, atol=1e-5)
    assert torch.equal(rows_BD, stacked_rotations(dim, n_bits + 7, seed=seed)[:n_bits])
    assert not torch.equal(rows_BD, stacked_rotations(dim, n_bits, seed=seed + 1)) or dim == 1


def test_rotations_have_no_preferred_direction():
    """Row by row the mean over draws is zero and the covariance I / D, as for a uniform draw."""
    rows = torch.stack([stacked_rotations(3, 3, seed=seed) for seed in range(3000)])
    assert rows.mean(0).abs().max() < 4 / np.sqrt(3 * 3000)
    covariance_BDD = torch.einsum("nbi,nbj->bij", rows, rows) / len(rows)
    torch.testing.assert_close(covariance_BDD, torch.eye(3).expand(3, 3, 3) / 3, rtol=0, atol=0.03)


def test_a_bit_is_the_sign_of_its_activation(x, model):
    """numpy in double precision, from the stored tensors."""
    state = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    components = state["preparation.components_KD"]
    centred = x.double().numpy() - state["preparation.mean_D"]
    prepared = centred - centred @ components.T @ components
    prepared /= np.linalg.norm(prepared, axis=1, keepdims=True)
    expected = prepared @ state["weight_BD"].T + state["bias_B"] >= 0
    codes = model.encode(x)
    np.testing.assert_array_equal(codes.packed.numpy(), np.packbits(expected, axis=1, bitorder="little"))
    assert (codes.n_bits, codes.levels, codes.words) == (64, LEVELS, None)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_codes_do_not_depend_on_the_batch(monkeypatch, x, model, rows):
    whole = model.encode(x).packed
    assert torch.equal(torch.cat([model.encode(part).packed for part in x.split(rows)]), whole)
    assert torch.equal(model.encode(x.double()).packed, whole)
    monkeypatch.setattr("binemb.matryoshka.ENCODE_ROWS", rows)
    assert torch.equal(model.encode(x).packed, whole)


def test_length_matters_not_in_the_prepared_space(x, model):
    prepared = model.preparation(x.double())
    assert torch.equal(model.encode_prepared(7.5 * prepared).packed, model.encode(x).packed)


@pytest.mark.parametrize("level", range(3))
def test_a_prefix_decodes_to_its_level(x, model, level):
    codes = model.encode(x)
    expected = model.decode_levels(codes.signs())[level].detach()
    prefix = codes.truncate(LEVELS[level])
    decoded = model.decode(prefix)
    torch.testing.assert_close(decoded, normalize(expected, dim=1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(decoded.norm(dim=1), torch.ones(1000))
    reference, signs = np.zeros((1000, 10)), codes.signs().numpy()
    for bits, decoder in zip(LEVELS[: level + 1], model.decoders, strict=False):
        reference += signs[:, :bits] @ decoder.detach().double().numpy()
    np.testing.assert_allclose(expected, reference, atol=1e-4)


def test_a_longer_prefix_decodes_better(x, model):
    prepared, codes = model.preparation(x), model.encode(x)
    cosines = [float((model.decode(codes.truncate(level)) * prepared).sum(1).mean()) for level in LEVELS]
    assert cosines == sorted(cosines)
    assert cosines[-1] > 0.9


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_decoders_solve_the_ridge_problem(x, model, ridge):
    """Ridge regression is least squares with rows sqrt(ridge) I for targets zero; level after level."""
    prepared = model.preparation(x)[:500]
    model.fit_decoders(prepared, ridge=ridge)
    signs = np.where(model.activations(prepared).detach().numpy() >= 0, 1.0, -1.0)
    residual = prepared.double().numpy()
    for level, decoder in zip(LEVELS, model.decoders, strict=True):
        design = np.vstack([signs[:, :level] / np.sqrt(500), np.sqrt(ridge) * np.eye(level)])
        expected = np.linalg.lstsq(design, np.vstack([residual / np.sqrt(500), np.zeros((level, 10))]), rcond=None)[0]
        np.testing.assert_allclose(decoder.detach().numpy(), expected, atol=2e-4 * np.abs(expected).max())
        residual = residual - signs[:, :level] @ expected


def test_decoders_of_double_vectors_are_the_same(x, model):
    prepared = model.preparation(x)
    model.fit_decoders(prepared)
    expected = [decoder.detach().clone() for decoder in model.decoders]
    model.fit_decoders(prepared.double())
    assert all(torch.equal(a, b) for a, b in zip(model.decoders, expected, strict=True))


def test_given_weights_are_taken_and_not_shared(x):
    weights = gaussian(16, 10)
    model = MatryoshkaBinarizer(Preparation.fit(x), (16,), weight_BD=weights)
    assert torch.equal(model.weight_BD, weights)
    with torch.no_grad():
        model.weight_BD.zero_()
    assert weights.abs().min() > 0
    with pytest.raises(ValueError, match=r"weight_BD: expected shape \(16, 10\), got \(10, 16\)"):
        MatryoshkaBinarizer(Preparation.fit(x), (16,), weight_BD=weights.T)


def test_a_file_gives_back_the_model(tmp_path, x, model):
    model.save(tmp_path / "model")
    loaded = MatryoshkaBinarizer.load(tmp_path / "model")
    assert not loaded.training
    assert loaded.bits == model.bits
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    codes = loaded.encode(x)
    assert torch.equal(codes.packed, model.encode(x).packed)
    assert torch.equal(loaded.decode(codes), model.decode(codes))


def test_the_same_model_is_the_same_bytes(tmp_path, model):
    model.save(tmp_path / "first")
    MatryoshkaBinarizer.load(tmp_path / "first").save(tmp_path / "second")
    model.save(tmp_path / "third")
    first = (tmp_path / "first").read_bytes()
    assert (tmp_path / "second").read_bytes() == first
    assert (tmp_path / "third").read_bytes() == first


def test_no_codes_decode_to_no_vectors(model):
    assert model.decode(BinaryCodes(torch.zeros(0, 8, dtype=torch.uint8), 64, LEVELS)).shape == (0, 10)


def test_refusals(x, model):
    with pytest.raises(ValueError, match=r"codes have 16 bits, the model's levels are \(8, 24, 64\)"):
        model.decode(model.encode(x).truncate(16))
    for encode in (model.encode, model.encode_prepared):
        with pytest.raises(ValueError, match="expected vectors of 10 dimensions, got 9"):
            encode(x[:, :9])
        with pytest.raises(ValueError, match="1 rows hold NaN or infinity, the first is row 2"):
            encode(x[:5].clone().index_fill_(0, torch.tensor([2]), torch.nan))
        with pytest.raises(TypeError, match="expected a floating-point torch tensor"):
            encode(x.int())
    for bits in ((), (16, 8), (8, 8), (0, 8), (-8, 8), (65544,)):
        with pytest.raises(ValueError, match="bits: expected ascending prefix lengths up to 65536"):
            MatryoshkaBinarizer(model.preparation, bits)
    with pytest.raises(ValueError, match=r"bits: prefixes must be multiples of 8 \(whole bytes\), got \[8, 12\]"):
        MatryoshkaBinarizer(model.preparation, (8, 12))


@pytest.mark.parametrize("bits", [64, (64.0,), ("64",)])
def test_bits_that_are_no_whole_numbers_are_named(bits):
    with pytest.raises(TypeError, match="bits: expected several whole numbers such as"):
        check_levels(bits)
