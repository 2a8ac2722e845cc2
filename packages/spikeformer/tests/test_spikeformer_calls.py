"""Calls of a model: in 16 bits, compiled, with tokens and states that do not fit."""

from __future__ import annotations

import dataclasses

import pytest
import spikeformer as sf
import torch

SMALL = sf.SpikeformerConfig(vocab_size=19, dim=24, heads=3, layers=2, steps=3, segment=10, context=9, chunk=4)
MAKERS = [sf.Spikeformer, sf.dense_twin]


def tokens(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 19, (2, length), generator=torch.Generator().manual_seed(seed))


def config(**changes) -> sf.SpikeformerConfig:
    return dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attention", ["linear", "softmax"])
def test_models_of_sixteen_bits_run(make, dtype, attention):
    """Near float32 over a long text; and its decays are not rounded for good."""
    x, whole = tokens(300), make(config(attention=attention))
    short = make(config(attention=attention)).to(dtype)
    rounded = make(config(attention=attention))
    rounded.load_state_dict({name: tensor.to(dtype) for name, tensor in whole.state_dict().items()})
    with torch.no_grad():
        expected, found = whole(x).logits, short(x)
        assert found.logits.dtype == dtype
        assert float((found.logits - expected).std()) < 0.15 * float(expected.std())
        again = short(x[:, 7:], short(x[:, :7]).state)
        assert float((again.logits - expected[:, 7:]).std()) < 0.15 * float(expected.std())
        assert torch.equal(short.float()(x).logits, rounded(x).logits)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch 2.9 of its own doing
@pytest.mark.parametrize("make", MAKERS)
def test_the_model_is_one_graph(make):
    torch.compiler.reset()
    model = make(config(layers=1))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    found = expected = None
    for seed in range(4):
        found = compiled(tokens(5, seed), found and found.state.detach())
        expected = model(tokens(5, seed), expected and expected.state.detach())
        assert torch.equal(found.logits, expected.logits)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": 1}, "1 layers does not fit 2 layers"),
        ({"heads": 2}, "2 heads does not fit 3 heads"),
        ({"dim": 48}, "16 head_dim does not fit 8 head_dim"),
        ({"delays": 2}, "1 delayed tokens does not fit 3 delayed tokens"),
        ({"attention": "softmax"}, "keys, values, trace, delayed does not fit attention='linear'"),
        ({"memory": False}, "memory, delayed does not fit attention='linear', memory=True"),
    ],
)
def test_a_state_of_another_model_is_refused(make, changes, words):
    with pytest.raises(ValueError, match=f"a state of {words}"):
        make(SMALL)(tokens(3), make(config(**changes))(tokens(3)).state)


@pytest.mark.parametrize("delays", [1, 4])
def test_a_twins_state_is_refused(delays):
    with pytest.raises(ValueError, match="1 micro-steps does not fit 3 micro-steps"):
        sf.Spikeformer(config(delays=delays))(tokens(1), sf.dense_twin(config(delays=delays))(tokens(1)).state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tokens_are_checked_on_cuda():
    with pytest.raises(ValueError, match="from 0 to 18"):
        sf.Spikeformer(SMALL).cuda()(torch.full((1, 3), 19, device="cuda"))
