"""Every kernel does what the plain-torch reference does, and each individual as if it were alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from evosnn import kernels
from evosnn.afferents import AfferentDrive
from evosnn.kernels import cuda_blocks
from evosnn.network import Network
from evosnn.network_parameters import COEFFICIENTS
from evosnn.network_state import NetworkState
from evosnn.rule import Rule
from hypothesis import given, settings
from hypothesis import strategies as st
from network_genomes import RULES, make_genome, random_genome

TRITON = """
from test_evosnn_kernels import check_triton_once
check_triton_once("cpu")
"""


def assert_same(state: NetworkState, expected: NetworkState, *, exact: bool = True) -> None:
    for name, tensor in state.state_dict().items():
        other = expected.state_dict()[name].to(tensor.device)
        if exact:
            assert torch.equal(tensor, other), name
        else:
            torch.testing.assert_close(
                tensor, other, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
            )


def genomes_of(seed: int, n: int, **sizes) -> list:
    rng = np.random.default_rng(seed)
    rules = [*RULES.values()]
    return [random_genome(rng, rules[int(rng.integers(len(rules)))], **sizes) for _ in range(n)]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(["accumulate", "bernoulli", "spikes"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    steps=st.integers(0, 40),
    most_neurons=st.sampled_from([3, 9, 20]),
    most_edges=st.sampled_from([0, 12, 90]),
    afferents=st.integers(1, 9),
    options=st.fixed_dictionaries({name: st.booleans() for name in ("reward", "active", "external", "plastic")}),
)
def test_numba_equals_reference(seed, mode, dtype, steps, most_neurons, most_edges, afferents, options):
    """Bit for bit, also where networks are of many sizes, inactive, rewarded and driven from outside."""
    pytest.importorskip("numba")
    genomes = genomes_of(seed, 7, most_neurons=most_neurons, most_edges=most_edges, afferents=afferents)
    plastic = options["plastic"]
    fast = Network(genomes, dtype=dtype, plastic=plastic)
    plain = Network(genomes, dtype=dtype, plastic=plastic, kernel="reference")
    state, expected = fast.initial_state(), plain.initial_state()
    rng = torch.Generator().manual_seed(seed)
    for _ in range(3):
        drive = AfferentDrive(torch.rand(7, afferents, generator=rng) * 0.6, mode, seed=seed)
        inputs = {
            "reward_P": torch.randn(7, generator=rng) if options["reward"] else None,
            "active_P": torch.rand(7, generator=rng) < 0.7 if options["active"] else None,
            "external_PN": torch.rand(7, fast.n_neurons, generator=rng) if options["external"] else None,
        }
        results = fast.run_(drive, state, steps, **inputs)
        for result, other in zip(results, plain.run_(drive, expected, steps, **inputs), strict=True):
            assert torch.equal(result, other)
        # exp of synaptic scaling is the last bit's business of two libraries
        assert_same(state, expected, exact=not any(genome.rule.scaling for genome in genomes))


def test_alone_as_among_4096():
    """The same individual, alone and in a population, with all plasticity on, after 400 steps: the same bits."""
    genomes = genomes_of(0, 4096, most_neurons=8, most_edges=24)
    everyone = Network(genomes)
    state = everyone.initial_state()
    rng = torch.Generator().manual_seed(0)
    drive_PC, reward_P = torch.rand(4096, 4, generator=rng) * 0.5, torch.randn(4096, generator=rng)
    key_P = torch.arange(4096) + 99
    counts_PN = torch.zeros(0)
    for _ in range(20):
        counts_PN, _ = everyone.run_(AfferentDrive(drive_PC, "bernoulli", 3, key_P), state, 20, reward_P=reward_P)
    assert counts_PN.sum() > 4096
    for i in (0, 17, 2049, 4095):
        alone = Network([genomes[i]])
        own = alone.initial_state()
        row, own_counts_PN = slice(i, i + 1), torch.zeros(0)
        for _ in range(20):
            drive = AfferentDrive(drive_PC[row], "bernoulli", 3, key_P[row])
            own_counts_PN, _ = alone.run_(drive, own, 20, reward_P=reward_P[row])
        n, e = alone.n_neurons, genomes[i].n_enabled
        assert torch.equal(own_counts_PN[0], counts_PN[i, :n])
        assert torch.equal(own.neuron_PFN[0, :, :n], state.neuron_PFN[i, :, :n])
        assert torch.equal(own.synapse_PGE[0, :, :e], state.synapse_PGE[i, :, :e])
        assert torch.equal(own.modulation_PM[0], state.modulation_PM[i])
        assert torch.equal(own.history_PS[0], state.history_PS[i, : 4 + n])


@pytest.mark.parametrize("rule", [Rule.off(), Rule.pair(direct=20.0), Rule.reward_stdp(reward=0.02)])
def test_nothing_of_a_row_reaches_the_next(rule):
    """Networks without edges, or with all of them disabled, behind one of many edges that spike all the time."""
    busy = make_genome(neurons=9, edges=70, bias=1.5, rule=rule, delay=np.arange(70) % 9 + 1)
    empty = make_genome(neurons=4, edges=0, bias=1.2, rule=rule)
    genomes = [busy, empty, busy, busy.replace(enabled=np.zeros(70, bool)), empty]
    drive_PC, reward_P = torch.full((5, 2), 0.9), torch.ones(5)
    together = Network(genomes)
    state = together.initial_state()
    counts_PN, _ = together.run_(AfferentDrive(drive_PC), state, 50, reward_P=reward_P)
    for row, genome in enumerate(genomes):
        alone, one = Network([genome]), slice(row, row + 1)
        own, n = alone.initial_state(), genome.n_neurons
        own_counts_PN, _ = alone.run_(AfferentDrive(drive_PC[one]), own, 50, reward_P=reward_P[one])
        assert torch.equal(own_counts_PN[0], counts_PN[row, :n])
        assert torch.equal(own.neuron_PFN[0, :, :n], state.neuron_PFN[row, :, :n])
    assert not state.current_PN[[1, 3, 4]].any()


def test_many_short_runs_are_one_long_run():
    network = Network(genomes_of(5, 30))
    one, many = network.initial_state(), network.initial_state()
    drive = AfferentDrive(torch.rand(30, 4, generator=torch.Generator().manual_seed(1)) * 0.5, "bernoulli")
    counts_PN, first_PN = network.run_(drive, one, 77, reward_P=torch.ones(30))
    parts = [
        network.run_(drive, many, k, reward_P=torch.ones(30) if i == 0 else None) for i, k in enumerate([1, 16, 60])
    ]
    assert torch.equal(counts_PN, torch.stack([part[0] for part in parts]).sum(0, dtype=torch.int32))
    assert torch.equal(first_PN == 77, counts_PN == 0)
    assert_same(many, one)


def test_threads_and_rows_do_not_matter():
    network = Network(genomes_of(6, 600))
    drive = AfferentDrive(torch.rand(600, 4, generator=torch.Generator().manual_seed(1)) * 0.5)
    states = []
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            states.append(network.initial_state())
            network.run_(drive, states[-1], 50)
    finally:
        torch.set_num_threads(before)
    assert_same(states[1], states[0])
    index = torch.randperm(600, generator=torch.Generator().manual_seed(2))[:50].repeat(2)
    some = network.rows(index)
    state = some.initial_state()
    some.run_(AfferentDrive(drive.drive_PC[index]), state, 50)
    assert_same(state, states[0].rows(index))


def test_inactive_rows_do_not_change():
    network = Network(genomes_of(7, 20))
    state = network.initial_state()
    drive = AfferentDrive(torch.full((20, 4), 0.5))
    network.run_(drive, state, 30)
    before = state.clone()
    active_P = torch.arange(20) % 3 == 0
    counts_PN, first_PN = network.run_(drive, state, 30, active_P=active_P, reward_P=torch.ones(20))
    assert_same(state.rows(~active_P), before.rows(~active_P))
    assert not counts_PN[~active_P].any()
    assert (first_PN[~active_P] == 30).all()
    assert (state.time_P == torch.where(active_P, 60, 30)).all()


def test_state_survives_its_dictionary():
    network = Network(genomes_of(8, 5))
    state = network.initial_state()
    network.run_(AfferentDrive(torch.full((5, 4), 0.5)), state, 30)
    assert_same(NetworkState.from_state_dict(state.state_dict()), state)
    other = network.initial_state()
    other.set_rows_(torch.arange(5), state)
    assert_same(other, state)
    with pytest.raises(ValueError, match="NetworkState"):
        NetworkState.from_state_dict({})


def check_triton_once(device: str, n: int = 5) -> None:
    """The Triton kernel against the reference, on `device` or interpreted."""
    from evosnn.kernels import cuda, reference

    genomes = genomes_of(11, n, most_neurons=9, most_edges=20)
    implementation = kernels._implementation
    network, plain = Network(genomes, device=device), Network(genomes, kernel="reference")
    kernels._implementation = lambda state: cuda if len(state) == n else reference
    try:
        state, expected = network.initial_state(), plain.initial_state()
        rng = torch.Generator().manual_seed(0)
        active_P = torch.arange(n) != 2
        expected_PN = (torch.zeros(0), torch.zeros(0))
        for k, mode in enumerate(("accumulate", "bernoulli", "spikes")):
            drive_PC, reward_P = torch.rand(n, 4, generator=rng) * 0.6, torch.randn(n, generator=rng)
            inputs = {"reward_P": reward_P, "active_P": active_P} if k else {}
            if k == 2:
                inputs["external_PN"] = torch.rand(n, network.n_neurons, generator=rng)
            expected_PN = plain.run_(AfferentDrive(drive_PC, mode, 4), expected, 11, **inputs)
            moved = {name: tensor.to(device) for name, tensor in inputs.items()}
            result_PN = network.run_(AfferentDrive(drive_PC.to(device), mode, 4), state, 11, **moved)
            for result, other in zip(result_PN, expected_PN, strict=True):
                assert torch.equal(result.cpu(), other), mode
        assert expected_PN[0].sum() > 0
        assert_same(state, expected, exact=False)
    finally:
        kernels._implementation = implementation


def test_triton_kernel_equals_the_reference_when_interpreted() -> None:
    pytest.importorskip("triton", reason="needs Triton")
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", TRITON], check=True, timeout=240, env=environment)


def test_triton_kernel_compiles_for_cuda(tmp_path, monkeypatch) -> None:
    """Down to machine code for compute capability 9.0; no device is needed for this."""
    triton = pytest.importorskip("triton", reason="needs Triton")
    from evosnn.kernels import cuda
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = cuda._run_kernel
    floats, words = "*fp32", "*i64"
    types = [floats, "*i32", *[floats] * 5, words, floats, words, floats, words, floats, floats, "*i8", "*i32", "*i32"]
    types += ["fp32", "i32", "i32", "i32"]
    constants = {"MODE": 1, "WITH_EXTERNAL": True, "WITH_REWARD": True, "NEURONS": 8, "EDGES": 24}
    blocks = cuda_blocks.blocks_of(8, 8, 24)
    warps = {"num_warps": blocks.pop("num_warps")}
    constants |= blocks
    names = kernel.arg_names
    signature = dict(zip(names, types, strict=False)) | dict.fromkeys(constants, "constexpr")
    constexprs = {(names.index(name),): value for name, value in constants.items()}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=constexprs)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32), options=cuda.OPTIONS | warps).asm["cubin"]


def test_genomes_too_large_for_the_triton_kernel_are_refused() -> None:
    """Larger blocks are shared among more warps, 64 elements a thread, as far as warps go."""
    assert cuda_blocks.blocks_of(3, 3, 24) == {"BLOCK_C": 4, "BLOCK_N": 4, "BLOCK_E": 32, "num_warps": 1}
    assert cuda_blocks.blocks_of(10, 32, 256) == {"BLOCK_C": 16, "BLOCK_N": 32, "BLOCK_E": 256, "num_warps": 8}
    assert cuda_blocks.blocks_of(60, 60, 1024)["num_warps"] == cuda_blocks.MOST_WARPS
    with pytest.raises(ValueError, match="4097 synapses of 60 neurons and 4 afferents are too many"):
        cuda_blocks.blocks_of(4, 60, 4097)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_what_the_cpu_gives() -> None:
    check_triton_once("cuda", 200)


def test_kernel_in_use_is_named():
    assert kernels.in_use("cpu") in {"numba", "torch reference"}
    assert kernels.in_use("cuda:0") in {"triton", "torch reference"}
    assert kernels.in_use("meta") == "torch reference"
    assert len(set(COEFFICIENTS)) == len(COEFFICIENTS)
