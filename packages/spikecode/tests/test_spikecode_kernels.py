"""Every kernel gives the bits of the plain-torch reference, for any split of the work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import spikecode as sc
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikecode.decoders.likelihood import make_likelihood
from spikecode.encoding import _rows, kernel_plan
from spikecode.kernels import cpu, cpu_decode, list_spikes, reference, reference_decode
from spikecode.kernels.lattice import Lattice

CASES = [
    ("poisson", {}),
    ("poisson", {"refractory": 3.0, "max_rate": 200.0}),
    ("poisson", {"background": 5.0}),
    ("rate", {"max_rate": 700.0}),
    ("latency", {}),
    ("latency", {"background": 20.0}),
    ("phase", {}),
    ("burst", {}),
    ("poisson", {"position_period": 77}),
    ("rate", {"position_period": 4000}),
]

TRITON = """
import torch
from test_spikecode_kernels import CASES, prepared
from spikecode.kernels import cuda, reference

for scheme, options in CASES:
    # more than one word each, and as few as do: bins that are made one by one take long here
    steps = 129 if scheme == "poisson" and "refractory" not in options else 66
    rows, plan = prepared(scheme, options, steps, neurons=20, tokens=1, dim=2)
    words, statistic = cuda.generate(rows, plan, words=True, statistic=True)
    expected_words, expected = reference.generate(rows, plan, words=True, statistic=True)
    assert torch.equal(statistic, expected), (scheme, options, steps)
    assert torch.equal(words, expected_words), (scheme, options, steps)
    if scheme == "poisson":
        assert torch.equal(cuda.generate(rows, plan, words=False, statistic=True)[1], expected)
"""


def prepared(
    scheme: str, options: dict, steps: int, *, neurons: int = 90, tokens: int = 5, dim: int = 4, seed: int = 0
):
    x = torch.randn(tokens, dim, generator=torch.Generator().manual_seed(seed))
    codec = sc.SpikeCodec.fit(x, neurons=neurons, steps=steps, scheme=scheme, sigma=0.05, seed=seed, **options)
    u_nD, _ = codec.calibration.to_unit(x.double())
    return _rows(codec, u_nD, 70)[0], kernel_plan(codec, u_nD.device)


def both(module, rows, plan) -> tuple[torch.Tensor, torch.Tensor]:
    words, statistic = module.generate(rows, plan, words=True, statistic=True)
    assert words is not None
    assert statistic is not None
    return words, statistic


@settings(max_examples=40, deadline=None)
@given(case=st.sampled_from(CASES), steps=st.integers(26, 200), seed=st.integers(0, 10**6))
def test_compiled_trains_equal_the_reference(case, steps: int, seed: int) -> None:
    rows, plan = prepared(case[0], case[1], steps, seed=seed)
    words, statistic = both(cpu, rows, plan)
    expected_words, expected = both(reference, rows, plan)
    assert torch.equal(statistic, expected)
    assert torch.equal(words, expected_words)


def test_words_give_the_statistic_of_the_run_without_words() -> None:
    for scheme, options in CASES:
        rows, plan = prepared(scheme, options, 100)
        _, statistic = cpu.generate(rows, plan, words=False, statistic=True)
        assert statistic is not None
        assert torch.equal(statistic, both(cpu, rows, plan)[1])


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
def test_set_bits_are_counted(numbers: list[int]) -> None:
    words = torch.tensor(numbers)[:, None]
    expected = [(n & (2**64 - 1)).bit_count() for n in numbers]
    assert cpu.count_spikes(words).tolist() == expected
    assert reference.count_spikes(words).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(1, 200), seed=st.integers(0, 10**6), dtype=st.sampled_from([torch.int32, torch.int64]))
def test_spikes_are_listed(steps: int, seed: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    bits = torch.rand(6, 5, steps, generator=generator) < 0.3
    first = torch.randint(0, 9, (6,), generator=generator, dtype=torch.int32)
    expected = [(int(first[row]) + w) * steps + t for row, w, t in bits.nonzero().tolist()]
    offsets = torch.nn.functional.pad(bits.sum((1, 2)).cumsum(0), (1, 0))
    words = reference.words_of(bits)
    found = list_spikes(words, first, offsets, steps, dtype)
    assert found.dtype == dtype
    assert found.tolist() == expected
    by_reference = torch.empty_like(found)
    reference.list_spikes(words, first, offsets, steps, by_reference)
    assert torch.equal(by_reference, found)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 10**6))
def test_bins_survive_packing(steps: int, seed: int) -> None:
    bits = torch.rand(3, steps, generator=torch.Generator().manual_seed(seed)) < 0.3
    assert torch.equal(reference.bits_of(reference.words_of(bits), steps), bits)


@pytest.mark.parametrize("scheme", ["poisson", "rate", "latency", "phase", "burst"])
@pytest.mark.parametrize("background", [0.0, 2.0])
def test_compiled_decoders_agree_with_the_reference(scheme: str, background: float) -> None:
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x, neurons=200, scheme=scheme, sigma=0.05, background=background)
    counts = codec.encode_counts(x)
    values, first = counts.values_nDW.flatten(0, 1), counts.first_nD.reshape(-1)
    lattice = Lattice.of(codec.population)
    likelihood = make_likelihood(codec.population, codec.coding, codec.steps, 0)
    centres = [module.centre_of_mass(values, first, lattice) for module in (cpu_decode, reference_decode)]
    torch.testing.assert_close(centres[0], centres[1], rtol=1e-9, atol=1e-9)
    start = centres[0][0].clamp(0, 1)
    found = [m.fisher_scoring(values, first, start, likelihood, lattice, 25) for m in (cpu_decode, reference_decode)]
    bound = codec.population.sigma * 1e-3
    assert float((found[0][0] - found[1][0]).abs().max()) < bound
    grid = torch.linspace(0, 1, 7, dtype=torch.float64).expand(len(values), -1)
    one, other = (m.grid_likelihood(values, first, grid, likelihood, lattice) for m in (cpu_decode, reference_decode))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-3)


def test_trains_do_not_depend_on_threads() -> None:
    x = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x, neurons=300)
    threads = torch.get_num_threads()
    try:
        trains = []
        for n in (1, 2, 5):
            torch.set_num_threads(n)
            trains.append(codec.encode(x).words_nDWK)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(trains[0], train) for train in trains[1:])


def test_triton_kernels_equal_the_reference_when_interpreted() -> None:
    pytest.importorskip("triton", reason="needs Triton")
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", TRITON], check=True, timeout=240, env=environment)


@pytest.mark.parametrize(
    ("kind", "refractory"), [(0, False), (0, True), (1, False), (2, False), (3, False), (4, False)]
)
def test_triton_kernels_compile_for_cuda(kind: int, refractory: bool, tmp_path, monkeypatch) -> None:
    """Down to machine code for compute capability 9.0; no device is needed for this."""
    triton = pytest.importorskip("triton", reason="needs Triton")
    from spikecode.kernels import cuda
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = cuda._generate_kernel
    types = ["*i64"] * 3 + ["*i32"] + ["*i64"] * 2 + ["*i32", "i64"] + ["i32"] * 7
    constants = {"FRACTION_BITS": 20, "KIND": kind, "REFRACTORY": refractory, "WORDS": True, "STATISTIC": True}
    constants["BLOCK"] = 128
    names = kernel.arg_names
    signature = dict(zip(names, types, strict=False)) | dict.fromkeys(constants, "constexpr")
    constexprs = {(names.index(name),): value for name, value in constants.items()}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=constexprs)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32), options=cuda._OPTIONS).asm["cubin"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("case", CASES)
def test_cuda_gives_the_trains_of_the_cpu(case) -> None:
    scheme, options = case
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x, neurons=300, steps=130, scheme=scheme, sigma=0.05, **options)
    train, on_cuda = codec.encode(x), codec.to("cuda").encode(x)
    assert torch.equal(train.to_dense(), on_cuda.to_dense().cpu())
    decoded = codec.to("cuda").decode(on_cuda).cpu()
    torch.testing.assert_close(decoded, codec.decode(train), rtol=0, atol=1e-3)
