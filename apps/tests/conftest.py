"""A trained run that the tests share, and two ways to call the program: in this process, and in one of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from neuro.__main__ import guarded
from neuro.cli import app

settings.register_profile("neuro", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("neuro")

LOGGERS = ("ddp_utils", "sdquant", "binemb", "spikecode", "spikeformer", "evosnn", "lsm", "neuro")
SMALL = ("--bits", "64,128", "--device", "cpu", "--set", "train.global_batch=512", "--set", "train.group=128")
SMALL = (*SMALL, "--set", "train.fitted_rows=2000")
GLOVE = ("--vectors", "samples:glove-50d", "--limit", "6000", *SMALL)


QUICK_FIT = ("--compression", "15", "--set", "codec.rounds=3", "--device", "cpu")
FIT = ("--vectors", "samples:glove-50d", "--limit", "2000", *QUICK_FIT)


@dataclass(frozen=True)
class Ended:
    """How a call of the program ended."""

    code: int
    out: str
    err: str


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """One thread, as in the processes of their own, and no trace of a command in this process afterwards."""
    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    loggers = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate) for name in LOGGERS}
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        signal.signal(signal.SIGTERM, handler)
        for name, (handlers, propagate) in loggers.items():
            logger = logging.getLogger(name)
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(levels[name])


def call(*arguments: object) -> Ended:
    """Run a command in this process, as `main` does."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["neuro", *map(str, arguments)]
    try:
        with undisturbed(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = guarded(lambda: app(standalone_mode=False))
    finally:
        sys.argv = argv
    return Ended(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def command() -> Callable[..., Ended]:
    """Run a command in this process, for fixtures that last a session."""
    return call


@pytest.fixture
def neuro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command in this process, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture(scope="session")
def program() -> list[str]:
    """Command line of the program in a process of its own, where a warning is an error."""
    return [sys.executable, "-W", "error", "-m", "neuro"]


@pytest.fixture
def started(program: list[str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program, or another command line, in the test's own folder; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object, by: Sequence[str] = program) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*by, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def neuro_process(started: Callable[..., subprocess.Popen[str]]) -> Callable[..., Ended]:
    """Run a command in a process of its own."""

    def run(*arguments: object) -> Ended:
        process = started(*arguments)
        out, err = process.communicate(timeout=240)
        return Ended(process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def small() -> tuple[str, ...]:
    """Options of a training that takes a moment, on whatever vectors."""
    return SMALL


@pytest.fixture(scope="session")
def glove() -> tuple[str, ...]:
    """Options of a training that takes a moment, on words that people know."""
    return GLOVE


@pytest.fixture(scope="session")
def short(glove: tuple[str, ...]) -> tuple[str, ...]:
    """Options of the run that `trained` holds."""
    return (*glove, "--set", "train.rounds=3")


@pytest.fixture(scope="session")
def trained(short: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    ended = call("embed", "train", *short, "--out", folder)
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture(scope="session")
def quick_fit() -> tuple[str, ...]:
    """Options of a fit that takes a moment, on whatever vectors."""
    return QUICK_FIT


@pytest.fixture(scope="session")
def fit() -> tuple[str, ...]:
    """Options of the run that `fitted` holds, but for the words held out."""
    return FIT


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted codec with 100 words held out; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    ended = call("embed", "fit", *FIT, "--held-out", 100, "--out", folder)
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def wait_for() -> Callable[[Path, subprocess.Popen[str]], None]:
    """Wait until a path stands, while a process runs."""

    def wait(path: Path, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 120
        while not path.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"no {path}"
            time.sleep(0.005)

    return wait


@pytest.fixture
def random_vectors(tmp_path: Path) -> Callable[..., Path]:
    """Write a GloVe text file of words that no evaluation set knows; `edit` changes lines by number, from 1."""

    def write(n: int, *, dim: int = 16, edit: dict[int, str] | None = None) -> Path:
        values_ND = torch.randn(n, dim, generator=torch.Generator().manual_seed(0)).tolist()
        lines = [f"qz{row} " + " ".join(f"{value:.4f}" for value in values) for row, values in enumerate(values_ND)]
        for number, text in (edit or {}).items():
            lines[number - 1] = text
        path = tmp_path / "vectors.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
