"""Which kernels run where, and that each equals the reference bit for bit."""

import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import sdquant as sd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdquant import kernels
from sdquant.kernels import cpu, cpu_ternary, reference

PLACES = {"base3": (1, 3, 9, 27, 81), "two_bit": (1, 4, 16, 64)}

SHARED = """
import torch
import sdquant as sd
from sdquant.kernels import reference
from test_sdquant_kernels import PLACES, packed_rows

generator = torch.Generator().manual_seed(0)


def check_ternary_linear(module):
    for layout, places in PLACES.items():
        for n, k, o in [(1, 1, 1), (1, 64, 4), (3, 300, 7), (5, 1000, 33), (70, 321, 130), (0, 5, 3)]:
            x = torch.randint(-127, 128, (n, k), generator=generator).to(torch.int8)
            packed = packed_rows(torch.randint(-1, 2, (o, k), generator=generator).to(torch.int8), layout)
            found = module.ternary_linear(x, packed, places)
            assert torch.equal(found, reference.ternary_linear(x, packed, places)), (layout, n, k, o)
"""

TRITON = """
from sdquant.kernels import cuda

for dtype in (torch.float32, torch.float64):
    for order in range(4):
        lags, coefficients = sd.filter_taps(order)
        taps = tuple(map(float, coefficients))
        for shape in ((37, 70), (1, 3), (0, 4), (4, 0)):
            y = (torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1) * 0.7
            q, v = cuda.sigma_delta(y, lags, taps, states=True)
            expected_q, expected_v = reference.sigma_delta(y, lags, taps, states=True)
            assert torch.equal(q, expected_q) and torch.equal(v, expected_v), (dtype, order, shape)
            q, v = cuda.sigma_delta(y, lags, taps, states=False)
            assert torch.equal(q, expected_q) and v is None
    for rows, blocks in ((5, (1,)), (0, (4,)), (70, (256, 32, 8, 4)), (2, (8192,)), (2, (32768,)), (5, (4, 1))):
        x = torch.randn(rows, sum(blocks), generator=generator, dtype=dtype)
        assert torch.equal(cuda.fwht(x, blocks), reference.fwht(x, blocks)), (dtype, blocks)
check_ternary_linear(cuda)
"""


def packed_rows(trits_OK: torch.Tensor, layout: str) -> torch.Tensor:
    """Rows of trits, each filled up to whole bytes."""
    filled = torch.nn.functional.pad(trits_OK, (0, -trits_OK.shape[1] % len(PLACES[layout])))
    return sd.pack_ternary(filled, layout).reshape(len(trits_OK), -1)  # pyright: ignore[reportArgumentType]


def run(code: str, **environment: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    subprocess.run(
        [sys.executable, "-c", SHARED + code],
        check=True,
        timeout=240,
        env=os.environ | {"PYTHONPATH": path} | environment,
    )


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.integers(0, 11),
    inputs=st.integers(1, 700),
    outputs=st.integers(1, 40),
    layout=st.sampled_from(sorted(PLACES)),
    seed=st.integers(0, 10**6),
)
def test_compiled_ternary_product_is_exact(tokens: int, inputs: int, outputs: int, layout: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-128, 128, (tokens, inputs), generator=generator).to(torch.int8)
    trits = torch.randint(-1, 2, (outputs, inputs), generator=generator).to(torch.int8)
    expected = (x.long() @ trits.long().T).int()
    packed = packed_rows(trits, layout)
    assert torch.equal(cpu_ternary.ternary_linear(x, packed, PLACES[layout]), expected)
    assert torch.equal(reference.ternary_linear(x, packed, PLACES[layout]), expected)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.floats(width=32) | st.sampled_from([0.0, 1.0, math.nan, math.inf]), min_size=7, max_size=7),
        max_size=5,
    ),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_compiled_activations_equal_reference(rows: list[list[float]], dtype: torch.dtype) -> None:
    x = torch.tensor(rows, dtype=dtype).reshape(len(rows), 7)
    values, scale = cpu_ternary.int8_activations(x)
    expected_values, expected_scale = reference.int8_activations(x)
    assert torch.equal(values, expected_values)
    torch.testing.assert_close(scale, expected_scale, rtol=0, atol=0, equal_nan=True)


def test_sums_of_very_wide_layers_are_exact() -> None:
    """Beyond the 2^24 that float32 counts to."""
    inputs = 140_001
    x = torch.full((1, inputs), 127, dtype=torch.int8)
    packed = packed_rows(torch.ones(1, inputs, dtype=torch.int8), "base3")
    for module in (cpu_ternary, reference):
        assert int(module.ternary_linear(x, packed, PLACES["base3"])) == 127 * inputs


def test_rows_do_not_depend_on_threads_or_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-127, 128, (9, 2000), generator=generator).to(torch.int8)
    packed = packed_rows(torch.randint(-1, 2, (701, 2000), generator=generator).to(torch.int8), "base3")
    whole = cpu_ternary.ternary_linear(x, packed, PLACES["base3"])
    assert torch.equal(cpu_ternary.ternary_linear(x[3:4], packed[5:8], PLACES["base3"]), whole[3:4, 5:8])
    threads = torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            assert torch.equal(cpu_ternary.ternary_linear(x, packed, PLACES["base3"]), whole)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_ternary_product_without_byte_dot_products(tmp_path: Path) -> None:
    """The plain code for machines without VNNI, and fwht without fused multiply-add."""
    code = """
from sdquant.kernels import cpu, cpu_ternary, simd_ternary

assert not simd_ternary._has_vnni()
check_ternary_linear(cpu_ternary)
for size in (16, 512):
    x = torch.randn(3, size, generator=generator)
    assert torch.equal(cpu.fwht(x, (size,)), reference.fwht(x, (size,)))
"""
    run(code, NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(tmp_path))


def test_triton_kernels_equal_the_reference_when_interpreted() -> None:
    pytest.importorskip("triton", reason="needs Triton")
    run(TRITON, TRITON_INTERPRET="1")


def test_triton_kernels_compile_for_cuda_without_fusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to machine code for compute capability 9.0; no device is needed for this."""
    triton = pytest.importorskip("triton", reason="needs Triton")
    from sdquant.kernels import cuda
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    def compiled(kernel: object, types: str, constants: dict[str, object]) -> str:
        names = kernel.arg_names  # pyright: ignore[reportAttributeAccessIssue]
        signature = dict(zip(names, types.split(), strict=False)) | dict.fromkeys(constants, "constexpr")
        source = triton.compiler.ASTSource(
            fn=kernel,
            signature=signature,
            constexprs={(names.index(name),): value for name, value in constants.items()},
        )
        result = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=cuda._EXACT)
        assert result.asm["cubin"]
        return result.asm["ptx"]

    taps = {"N_TAPS": 2, "LAGS": (1, 7), "COEFFICIENTS": (7 / 6, -1 / 6)}
    recursion = compiled(
        cuda._sigma_delta_kernel, "*fp32 *i8 *fp32 *fp32 i32 i32", taps | {"STATES": True, "RING": 32, "BLOCK": 32}
    )
    transform = compiled(
        cuda._fwht_kernel,
        "*fp32 *fp32 i32 i32 i32 i32 i32",
        {"SCALE": 0.0625, "ROWS": 4, "LOG_SIZE": 8, "COLUMNS": 1},
    )
    assert "fma." not in recursion + transform
    product = compiled(
        cuda._ternary_linear_kernel,
        "*i8 *u8 *i32 i32 i32 i32",
        {"BASE": 3, "PLACES": 5, "BLOCK_N": 16, "BLOCK_O": 64, "BLOCK_B": 64},
    )
    assert "mma." in product


def test_kernels_name_what_runs() -> None:
    names = ("sigma_delta", "fwht", "int8_activations", "ternary_linear", "additive_search")
    assert kernels.in_use("cpu") == dict.fromkeys(names, "numba")
    assert kernels.in_use("meta") == dict.fromkeys(names, "torch reference")


def test_cuda_without_triton_warns_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_has_triton", lambda: True)
    found = kernels.in_use("cuda:0")
    assert {found.pop("int8_activations"), found.pop("additive_search")} == {"torch reference"}
    assert set(found.values()) == {"triton"}
    monkeypatch.setattr(kernels, "_has_triton", lambda: False)
    assert set(kernels.in_use("cuda:0").values()) == {"torch reference"}
    kernels._warn_without_triton.cache_clear()
    with pytest.warns(UserWarning, match="Triton is not installed"):
        assert kernels._implementation(torch.device("cuda"), "fwht") is reference
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels._implementation(torch.device("cuda"), "fwht") is reference


def test_without_numba_the_reference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    y = torch.rand(4, 50, generator=torch.Generator().manual_seed(4)) * 0.5
    expected = sd.sigma_delta(y, 3)
    monkeypatch.setattr(kernels, "_has_numba", lambda: False)
    monkeypatch.setattr(cpu, "sigma_delta", None)
    assert set(kernels.in_use().values()) == {"torch reference"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(sd.sigma_delta(y, 3), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_transform_equals_cpu(dtype: torch.dtype) -> None:
    assert kernels.in_use("cuda")["fwht"] == "triton"
    for rows, size in ((33, 300), (5, 8192), (3, 1 << 16)):
        x = torch.randn(rows, size, generator=torch.Generator().manual_seed(size), dtype=dtype)
        assert torch.equal(sd.block_fwht(x.cuda()).cpu(), sd.block_fwht(x))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", sorted(PLACES))
def test_cuda_ternary_product_equals_cpu(layout: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for tokens, inputs, outputs in ((1, 300, 192), (70, 1024, 1024)):
        x = torch.randint(-127, 128, (tokens, inputs), generator=generator).to(torch.int8)
        packed = packed_rows(torch.randint(-1, 2, (outputs, inputs), generator=generator).to(torch.int8), layout)
        found = kernels.ternary_linear(x.cuda(), packed.cuda(), PLACES[layout]).cpu()
        assert torch.equal(found, kernels.ternary_linear(x, packed, PLACES[layout]))
