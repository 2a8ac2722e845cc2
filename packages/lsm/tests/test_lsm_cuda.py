"""The Triton kernels: interpreted on the CPU beside the compiled engine, and compiled for a device out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lsm
import pytest
import torch
from cuda_networks import KINDS, assert_cuda_is_cpu

needs_triton = pytest.importorskip("triton", reason="needs Triton")


@pytest.mark.slow
def test_interpreted_kernels_give_the_bits_of_the_compiled_engine() -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-m", "cuda_networks"], check=True, timeout=280, env=environment)


I64, I32 = "i64", "i32"
SIGNATURES: dict[str, tuple[list[str], dict[str, int]]] = {
    "deliver": (
        ["*i64", "*i32", "*i32", "*i32", "*i16", "*i32", "*i32", "*i64", "*i64", I32, I32, I32, I32],
        {"MASK": 0xFFFF, "HALF": 16, "BLOCK": 256},
    ),
    "drive": (["*i32", "*i64", "*i64", "*i64", I32, I32, I32, I32, I32], {"halvings": 6, "BLOCK": 256}),
    "update": (["*fp32", "*fp32", "*i16", "*i32", "*i32", I32, I32, I32], {"MODEL": 3, "SECOND_ROW": 1, "BLOCK": 256}),
    "give_inputs": (["*i64", "*i32", "*i32", "*i64", "*i64", I32, I32], {"BLOCK": 256}),
    "list_fired": (["*i32"] * 3 + ["*i64", "*i32", "*i32", "*i64", I32, I32, I32], {"BLOCK": 256, "COLUMNS": 8}),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_kernels_compile_for_cuda(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to machine code for compute capability 9.0; no device is needed for this."""
    import triton
    from lsm.kernels import cuda
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types, constants = SIGNATURES[name]
    kernel = getattr(cuda, name)
    names = kernel.arg_names
    assert len(names) == len(types) + len(constants)
    signature = dict(zip(names, types, strict=False)) | dict.fromkeys(constants, "constexpr")
    constexprs = {(names.index(constant),): value for constant, value in constants.items()}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=constexprs)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32), options=cuda.OPTIONS).asm["cubin"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_cuda_gives_the_bits_of_the_cpu(kind: str, precision: Any) -> None:
    assert_cuda_is_cpu(kind, precision, 60.0, 30.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_device_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    network = lsm.Network()
    network.population("E", 3, lsm.LIF())
    with pytest.raises(ValueError, match="torch sees no CUDA device; use device='cpu'"):
        network.build("cuda")


@pytest.mark.parametrize("what", ["model", "synapse"])
def test_what_has_no_kernel_is_a_named_error(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsm.kernels.run.check_cuda", lambda processes, number: 1)
    network = lsm.Network()
    cells = network.population("E", 3, lsm.Izhikevich() if what == "model" else lsm.LIF())
    network.connect(cells, cells, lsm.AllToAll(), weight=1.0, delay=1.0, synapse=lsm.ShortTerm(U=0.5, tau_rec=1.0))
    with pytest.raises(ValueError, match="use device='cpu'"):
        network.build("cuda")
