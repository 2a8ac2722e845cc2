"""What the program says of itself, and how it takes what it does not understand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from neuro.cli import app


def _commands(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


COMMANDS = list(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(neuro, command):
    ended = neuro(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Usage: neuro " + " ".join(command) in ended.out


def test_all_commands_are_there():
    verbs = {"fit", "train", "encode", "decode", "index", "search", "eval", "info"}
    assert {("quickstart",), ("env",), *(("embed", verb) for verb in verbs)} <= set(COMMANDS)
    assert {("spike", verb) for verb in ("encode", "decode", "train", "generate", "eval")} <= set(COMMANDS)
    assert {("evolve", verb) for verb in ("run", "steer", "replay", "inspect")} <= set(COMMANDS)
    assert {("liquid", verb) for verb in ("build", "simulate", "train", "eval", "plot")} <= set(COMMANDS)
    assert {("data", verb) for verb in ("tokenize", "info")} <= set(COMMANDS)


def test_help_is_fast():
    """The best of several: a busy machine slows a start, it never speeds one up. The first start compiles."""
    best, script = float("inf"), Path(sys.executable).with_name("neuro")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(12):
        start = time.perf_counter()
        subprocess.run([script, "--help"], check=True, capture_output=True, env=environment)
        best = min(best, time.perf_counter() - start)
        if best < 0.5:
            break
    assert best < 0.5


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_loads_nothing_heavy(command):
    code = (
        "import sys\nfrom neuro.cli import app\n"
        f"app({[*command, '--help']!r}, standalone_mode=False)\n"
        "print('heavy', sorted({'torch', 'numpy', 'faiss', 'matplotlib', 'pydantic', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] in ("heavy []", "heavy ['pydantic']")  # typer itself may load pydantic


def test_version(neuro):
    ended = neuro("--version")
    assert ended.code == 0
    assert f"neuro {version('neuro')}\n" in ended.out


def test_env(neuro):
    facts = json.loads(neuro("env", "--json").out)
    assert facts["packages"]["neuro"] == version("neuro")
    assert facts["kernels"]["sdquant on cpu"]
    assert facts["kernels"]["spikecode on cpu"]
    assert facts["kernels"]["evosnn on cpu"]
    assert facts["kernels"]["lsm on cpu"] == "numba"
    text = neuro("env").out
    assert all(f"{name}:" in text for name in facts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["embed", "trian"], "Did you mean 'train'"),
        (["embed", "train", "--limt", "3"], "--limit"),
        (["embed", "train", "--nproc", "0"], "--nproc"),
        (["embed", "fit", "--nproc", "2"], "--nproc"),
        (["embed", "fit", "--metric", "manhattan"], "--metric"),
        (["embed", "fit", "--compression", "much"], "--compression"),
        (["embed", "fit", "--held-out", "-1"], "--held-out"),
        (["embed", "decode", "--codes", "c", "--out", "v.npy"], "--model"),
        (["embed", "train", "--limit", "-1"], "--limit"),
        (["spike", "generate", "--model", "run", "--temperature", "-1"], "--temperature"),
        (["spike", "train", "--steps", "0"], "--steps"),
        (["data", "tokenize", "a.txt", "--documents", "page"], "--documents"),
        (["data", "info"], "folder"),
        (["evolve", "run", "--population", "1"], "--population"),
        (["evolve", "steer", "--agents", "dice"], "--agents"),
        (["evolve", "replay"], "GENOME"),
        (["liquid", "build", "--neurons", "0"], "--neurons"),
        (["liquid", "plot"], "RUN"),
        (["embed", "train", "--limit", "many"], "--limit"),
        (["embed", "search", "--model", "run"], "--query"),
        (["embed", "search", "--query", "paris"], "--model"),
        (["embed", "search", "--model", "run", "--query", "paris", "-k", "0"], "-k"),
        (["embed", "index", "--codes", "a", "--out", "b", "--kind", "trees"], "--kind"),
    ],
)
def test_bad_usage_is_one_line(neuro, arguments, said):
    ended = neuro(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith("error: ")
    assert said in ended.err
    assert "--help" in ended.err


def test_no_command_shows_help(neuro):
    for arguments in ([], ["embed"]):
        ended = neuro(*arguments)
        assert ended.code == 2
        assert "Usage: neuro" in ended.out
        assert ended.err == ""


def test_debug_shows_a_traceback(neuro_process):
    """--debug may stand behind the command."""
    ended = neuro_process("embed", "info", "missing", "--debug")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "missing: no such file" in ended.err


def test_completion_script(neuro, monkeypatch):
    """Bash asks the program what may follow."""
    monkeypatch.setenv("_NEURO_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "neuro embed tr")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert "train" in neuro().out
