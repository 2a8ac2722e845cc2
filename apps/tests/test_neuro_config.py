"""Settings: what holds over what, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from binemb import LossWeights, TrainConfig
from hypothesis import given
from hypothesis import strategies as st
from neuro.config import ConfigError, resolve, to_toml
from neuro.embed_settings import (
    EmbedEvalSettings,
    EmbedFitSettings,
    EmbedTrainSettings,
    QuickstartSettings,
    VectorSettings,
)
from sdquant import CodecConfig


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    steps: int = 10
    name: str = "none"
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)


def test_precedence(tmp_path):
    base, file = tmp_path / "base.toml", tmp_path / "file.toml"
    base.write_text('steps = 1\nname = "base"\nsizes = [3]\ninner.rate = 0.5\n', encoding="utf-8")
    file.write_text('steps = 2\nname = "file"\nsizes = [4]\n', encoding="utf-8")
    found = resolve(Outer, base=base, file=file, assignments=["steps=3", "name=set"], flags={"steps": 4, "name": None})
    assert found == Outer(steps=4, name="set", sizes=(4,), inner=Inner(rate=0.5, kind="a"))


def test_a_section_keeps_the_defaults_that_its_command_gives_it(neuro):
    """They are not those of the section's own class."""
    judged = resolve(EmbedEvalSettings, flags={"vectors.limit": 500}).vectors
    assert judged == VectorSettings(source="", limit=500)
    quick = resolve(QuickstartSettings, flags={"vectors.source": "x"}).vectors
    assert quick == VectorSettings(source="x", limit=50_000)
    dry = neuro("quickstart", "--set", "vectors.non_finite=drop", "--dry-run", "--json")
    assert json.loads(dry.out)["settings"]["vectors"]["limit"] == 50_000


def test_precedence_on_the_command_line(neuro, tmp_path):
    (tmp_path / "c.toml").write_text("seed = 1\n[train]\nsteps = 11\ngroup = 64\n", encoding="utf-8")
    options = ["--config", "c.toml", "--set", "train.steps=22", "--set", "seed=2", "--seed", 3]
    settings = json.loads(neuro("embed", "train", "--dry-run", "--json", *options).out)["settings"]
    assert (settings["seed"], settings["train"]["steps"], settings["train"]["group"]) == (3, 22, 64)
    assert settings["train"]["patience"] == TrainConfig().patience


@given(
    steps=st.integers(-(2**62), 2**62),
    name=st.text(st.characters(codec="utf-8")),
    sizes=st.lists(st.integers(-(2**62), 2**62)),
    rate=st.floats(allow_nan=False),
)
def test_toml_round_trip(tmp_path, steps, name, sizes, rate):
    settings = Outer(steps, name, tuple(sizes), Inner(rate, "b"))
    file = tmp_path / "round.toml"
    file.write_text(to_toml(settings), encoding="utf-8")
    assert resolve(Outer, file=file, flags={}) == settings


@pytest.mark.parametrize(
    "settings",
    [
        EmbedTrainSettings(),
        EmbedTrainSettings(
            VectorSettings("a b+ü.txt", 7), (8, 64), -5, "cpu", TrainConfig(weights=LossWeights(0.0, 2))
        ),
        QuickstartSettings(queries=('"quoted" - back\\slash',)),
        EmbedFitSettings(),
        EmbedFitSettings(codec=CodecConfig(metric="cosine", weights=(1.0, 2.5), bits_per_symbol=4)),
    ],
)
def test_settings_round_trip(tmp_path, settings):
    file = tmp_path / "round.toml"
    file.write_text(to_toml(settings), encoding="utf-8")
    assert resolve(type(settings), file=file, flags={}) == settings


BAD_FILES = [
    ("[train]\nstep = 3\n", "did you mean train.steps?"),
    ("sead = 3\n", "did you mean seed?"),
    ("zzzzzzzz = 3\n", "unknown setting 'zzzzzzzz'"),
    ("train = 3\n", "'train' is a section"),
    ('[train]\nsteps = "many"\n', "train.steps: "),
    ('[train]\nsteps = "3"\n', "train.steps: "),
    ("[train]\nsteps = true\n", "train.steps: "),
    ("[train]\nsteps = 1.5\n", "train.steps: "),
    ("[train]\nsteps = 2020-01-01\n", "train.steps: "),
    ("[train]\nsteps = -1\n", "steps must be at least 0"),
    ("[train]\nlearning_rate = nan\n", "learning_rate"),
    ('[train]\nprecision = "fp8"\n', "'fp32', 'bf16' or 'fp16'"),
    ("bits = 64\n", "bits: "),
    ("bits = [64\n", "not valid TOML"),
    ("seed = 1\nseed = 2\n", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "said"), BAD_FILES)
def test_bad_file(neuro, tmp_path, text, said):
    """Refused with the file's name in one line, by --dry-run and by the run alike."""
    (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
    for more in ([], ["--dry-run"]):
        ended = neuro("embed", "train", "--config", "bad.toml", "--out", "run", *more)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert ended.err.startswith("error: bad.toml: ")
        assert said in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.step=3", "did you mean train.steps?"),
        ("steps=3", "did you mean train.steps?"),
        ("train.steps", "expected section.key=value"),
        ("=3", "unknown setting ''"),
        ("train.steps=many", "got 'many'"),
        ("train.steps=", "got ''"),
        ("train.weights.similarity=-1", "loss weights"),
        ("train.global_batch=100", "not a multiple of group"),
        ("vectors.limit=-1", "vectors.limit must be 0"),
        ("bits=[64, 100]", "multiples of 8"),
    ],
)
def test_bad_assignment(neuro, setting, said):
    ended = neuro("embed", "train", "--dry-run", "--set", setting)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "--set" in ended.err
    assert said in ended.err


@pytest.mark.parametrize("bits", ["64,,128", "", "a", "128,64", "0", "-8", "64,65", "64,64"])
def test_bad_bits(neuro, bits):
    ended = neuro("embed", "train", "--dry-run", "--bits", bits)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "bits: " in ended.err


def test_unreadable_files(neuro, tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'device = "\xff"\n')
    (tmp_path / "folder").mkdir()
    for name in ("latin.toml", "folder", "missing.toml"):
        ended = neuro("embed", "train", "--dry-run", "--config", name)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert ended.err.startswith(f"error: {name}: ")


def test_error_names_where_the_value_came_from():
    with pytest.raises(ConfigError, match=r"^--set: inner\.kind: .*got 'c'$"):
        resolve(Outer, assignments=["inner.kind=c"], flags={"steps": 3})


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:99"])
def test_bad_device(neuro, tmp_path, device):
    for more in ([], ["--dry-run"]):
        ended = neuro("embed", "train", "--device", device, "--out", "run", *more)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert device in ended.err
    assert not (tmp_path / "run").exists()
