import pytest
import scipy.linalg
import sdquant as sd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdquant.kernels import cpu, reference


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("bits", range(12))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_scipy(bits: int, dtype: torch.dtype) -> None:
    size = 1 << bits
    x = normal(3, size, seed=bits, dtype=dtype)
    expected = x.double() @ torch.from_numpy(scipy.linalg.hadamard(size)).double() / size**0.5
    # of the transform, and of the product, which adds `size` terms
    rounding = 50 * torch.finfo(dtype).eps + 2 * size**0.5 * torch.finfo(torch.float64).eps
    torch.testing.assert_close(sd.fwht(x).double(), expected, rtol=0, atol=rounding)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(0, 6), size=st.integers(0, 700), seed=st.integers(0, 10**6))
def test_block_transform_is_orthogonal_involution(rows: int, size: int, seed: int) -> None:
    x = normal(rows, size, seed=seed)
    y = sd.block_fwht(x)
    torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1))
    torch.testing.assert_close(sd.block_fwht(y), x)


def test_blocks_of_300() -> None:
    blocks = [scipy.linalg.hadamard(n) / n**0.5 for n in (256, 32, 8, 4)]
    expected = torch.from_numpy(scipy.linalg.block_diag(*blocks))
    torch.testing.assert_close(sd.block_fwht(torch.eye(300, dtype=torch.float64)), expected)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 40),
    size=st.integers(1, 600),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_compiled_kernel_equals_reference(rows: int, size: int, seed: int, dtype: torch.dtype) -> None:
    x = normal(rows, size, seed=seed, dtype=dtype)
    blocks = sd.power_of_two_blocks(size)
    assert torch.equal(cpu.fwht(x, blocks), reference.fwht(x, blocks))


@pytest.mark.parametrize("size", [1 << bits for bits in range(14)])
def test_compiled_kernel_equals_reference_at_powers_of_two(size: int) -> None:
    x = normal(5, size, seed=size, dtype=torch.float32)
    assert torch.equal(cpu.fwht(x, (size,)), reference.fwht(x, (size,)))


def test_gradients_of_both_orders() -> None:
    x = normal(2, 3, 8, seed=0).requires_grad_()
    y = normal(2, 12, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(sd.fwht, (x,))
    assert torch.autograd.gradgradcheck(sd.fwht, (x,))
    assert torch.autograd.gradcheck(sd.block_fwht, (y,))
    assert torch.autograd.gradgradcheck(sd.block_fwht, (y,))


def test_leading_axes_strides_and_other_types() -> None:
    x = normal(8, 5, 4, seed=2)
    torch.testing.assert_close(sd.fwht(x.movedim(0, -1))[1, 2], sd.fwht(x[:, 1, 2].contiguous()))
    half = sd.fwht(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), sd.fwht(x), rtol=0.05, atol=0.05)


def test_input_is_left_alone() -> None:
    x = normal(4, 64, seed=3)
    before = x.clone()
    sd.fwht(x)
    assert torch.equal(x, before)


def test_bad_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="power of two, got 300"):
        sd.fwht(torch.zeros(2, 300))
    with pytest.raises(ValueError, match="power of two, got 0"):
        sd.fwht(torch.zeros(2, 0))
    with pytest.raises(ValueError, match="scalar"):
        sd.block_fwht(torch.tensor(1.0))
    with pytest.raises(TypeError, match="int64"):
        sd.fwht(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least 0, got -1"):
        sd.power_of_two_blocks(-1)
