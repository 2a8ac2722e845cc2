"""Files of models: what is written comes back, what is damaged or foreign is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import spikeformer as sf
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spikeformer.model_file import KIND, VERSION
from torch import nn

CONFIG = sf.SpikeformerConfig(
    vocab_size=9, dim=8, heads=2, layers=2, steps=2, attention="softmax", learn_delay=True, input_dim=3,
    tie_embeddings=False, rate_band=(0.01, 0.2),
)  # fmt: skip


@pytest.mark.parametrize("make", [sf.Spikeformer, sf.dense_twin])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_round_trip(tmp_path, make, dtype):
    model = make(CONFIG, seed=3).to(dtype)
    sf.save_model(tmp_path / "model", model)
    again = sf.load_model(tmp_path / "model")
    assert type(again) is type(model)
    assert again.config == CONFIG
    x = torch.tensor([[1, 2, 8, 0]])
    with torch.no_grad():
        assert torch.equal(again(x).logits, model(x).logits)


def test_configuration_goes_through_json():
    assert sf.SpikeformerConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG
    with pytest.raises(ValueError, match="unknown depth"):
        sf.SpikeformerConfig.from_dict({"depth": 3})


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_named(tmp_path, data):
    """Any changed byte, and any truncation."""
    path = tmp_path / "model"
    sf.save_model(path, sf.Spikeformer(CONFIG))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:place])
    else:
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[place + 1 :]
        )
    with pytest.raises(FileFormatError, match="model"):
        sf.load_model(path)


def rewritten(path, **changes) -> None:
    """A file with a right checksum whose metadata say something else."""
    tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    version = changes.pop("version", VERSION)
    facts["config"] |= changes.pop("config", {})
    write_tensor_file(path, tensors, kind=KIND, version=version, metadata={**facts, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"version": VERSION + 1},
        {"model": "liquid"},
        {"config": {"vocab_size": 10**12}},
        {"config": {"layers": 10**9}},
        {"config": {"mlp_ratio": 10**9}},
        {"config": {"input_dim": 10**9}},
        {"config": {"depth": 2}},
        {"config": {"heads": 3}},
        {"config": {"learn_delay": False}},
        {"config": {"dim": "wide"}},
    ],
    ids=str,
)
def test_a_file_that_does_not_fit_its_description_is_refused_before_memory_is_taken(tmp_path, changes):
    sf.save_model(tmp_path / "model", sf.Spikeformer(CONFIG))
    rewritten(tmp_path / "model", **changes)
    with pytest.raises(FileFormatError, match="model"):
        sf.load_model(tmp_path / "model")


class OtherLinear(nn.Linear):
    pass


def test_other_linear_layers_must_be_named(tmp_path):
    sf.save_model(tmp_path / "model", sf.Spikeformer(CONFIG, linear=OtherLinear))
    with pytest.raises(ValueError, match="linear=OtherLinear"):
        sf.load_model(tmp_path / "model")
    assert isinstance(sf.load_model(tmp_path / "model", linear=OtherLinear).get_submodule("blocks.0.qkv"), OtherLinear)


def test_only_models_are_saved(tmp_path):
    with pytest.raises(TypeError, match="expected a Spikeformer"):
        sf.save_model(tmp_path / "model", nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        sf.load_model(tmp_path / "model")
    sf.save_model(tmp_path / "model", sf.Spikeformer(dataclasses.replace(CONFIG, layers=1)))
    assert sf.load_model(tmp_path / "model").config.layers == 1


README = Path(__file__).parent.parent / "README.md"


def test_the_readme_example_runs_alone(tmp_path):
    (example,) = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    subprocess.run([sys.executable, "-W", "error", "-c", example], cwd=tmp_path, check=True, timeout=120)


def test_the_readme_names_every_module_and_every_public_name():
    text = README.read_text(encoding="utf-8")
    table = text[text.index("## Modules") : text.index("## Training")]
    named = set(re.findall(r"`(\w+)`", table))
    modules = {path.stem for path in Path(sf.__file__).parent.glob("*.py")} - {"__init__"} | {"kernels"}
    assert modules | set(sf.__all__) <= named
    assert named <= modules | set(sf.__all__)
