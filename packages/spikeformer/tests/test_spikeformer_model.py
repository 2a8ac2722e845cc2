"""The model as a whole: causal, streaming, binary between its linear layers, the same for the same seed."""

from __future__ import annotations

import dataclasses

import pytest
import spikeformer as sf
import torch
from spikeformer.token_model import position_period
from torch import nn

SMALL = sf.SpikeformerConfig(vocab_size=19, dim=24, heads=3, layers=2, steps=3, segment=10, context=9, chunk=4)
VARIANTS = [
    pytest.param({"attention": mode, **more}, id=f"{mode}-{name}")
    for mode in ("linear", "coincidence", "softmax")
    for name, more in (("memory", {}), ("segments", {"memory": False}), ("delay", {"learn_delay": True}))
]
MAKERS = [sf.Spikeformer, sf.dense_twin]


def tokens(length: int, seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 19, (batch, length), generator=torch.Generator().manual_seed(seed))


def config(**changes) -> sf.SpikeformerConfig:
    return dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("changes", VARIANTS)
def test_streaming_is_batch(make, changes):
    """In float64, parts with the state handed on give the logits and the state of one call, single tokens too."""
    model = make(config(**changes), seed=1).double()
    x = tokens(33)
    with torch.no_grad():
        whole = model(x)
        state, logits = None, []
        for part in x.split([7, 1, 1, 13, 11], 1):
            output = model(part, state)
            state = output.state
            logits.append(output.logits)
    torch.testing.assert_close(torch.cat(logits, 1), whole.logits, rtol=1e-9, atol=1e-9)
    assert state is not None
    assert state.position == whole.state.position == 33
    for name, tensor in whole.state.to_dict().items():
        torch.testing.assert_close(state.to_dict()[name], tensor, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("attention", ["linear", "coincidence", "softmax"])
def test_outputs_before_a_changed_token_are_the_same_bits(make, attention):
    model, x = make(config(attention=attention)), tokens(21)
    with torch.no_grad():
        before = model(x).logits
        for j in (1, 8, 20):
            changed = x.clone()
            changed[:, j] = (changed[:, j] + 1) % 19
            after = model(changed).logits
            assert torch.equal(after[:, :j], before[:, :j])
            assert not torch.equal(after[:, j], before[:, j])


@pytest.mark.parametrize("attention", ["linear", "coincidence", "softmax"])
def test_linear_layers_get_spikes(attention):
    """All but the trace's feedback and the readout: 0 and 1, and both of them."""
    model, seen = sf.Spikeformer(config(attention=attention, tie_embeddings=False)), {}

    def look(name: str):
        return lambda module, inputs: seen.update({name: inputs[0].unique().tolist()})

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(look(name))
    model(tokens(30))
    graded = {name for name, values in seen.items() if values != [0.0, 1.0]}
    assert graded == {"readout", "blocks.0.trace_out", "blocks.1.trace_out"}
    assert len(seen) == 2 * 5 + 1


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
@pytest.mark.parametrize("attention", ["linear", "coincidence", "softmax"])
def test_untrained_neurons_fire_in_five_to_fifteen_percent_at_every_depth(steps, attention):
    big = config(vocab_size=256, dim=64, heads=4, layers=6, steps=steps, attention=attention, context=64)
    x = torch.randint(0, 256, (4, 96), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        output = sf.Spikeformer(big, seed=2)(x)
    assert len(output.rates) == 6 * 7
    by_layer = [
        sum(float(rate_C.sum()) for name, rate_C in output.channel_rates.items() if name.startswith(f"layers.{i}."))
        / (64 * (6 + 4))
        for i in range(6)
    ]
    assert all(0.05 <= rate <= 0.15 for rate in by_layer), by_layer
    assert all(0.02 <= float(rate) <= 0.2 for rate in output.rates.values()), output.rates


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("changes", VARIANTS)
def test_every_parameter_learns(make, changes):
    model = make(config(**changes, tie_embeddings=False))
    output = model(tokens(40))
    (nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), tokens(40)[:, 1:].flatten())).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@pytest.mark.parametrize("make", MAKERS)
def test_seed_alone_makes_the_model_and_the_global_generator_is_left_alone(make):
    before = torch.get_rng_state()
    a, b, other = make(SMALL, seed=5), make(SMALL, seed=5), make(SMALL, seed=6)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name]), name
    assert not torch.equal(a.get_parameter("blocks.0.qkv.weight"), other.get_parameter("blocks.0.qkv.weight"))
    torch.set_rng_state(before)


def test_twin_has_the_same_linear_layers_and_lacks_the_neurons_parameters():
    spiking, dense = sf.Spikeformer(SMALL), sf.dense_twin(SMALL)
    shapes = {name: p.shape for name, p in dense.named_parameters()}
    own = {name: p.numel() for name, p in spiking.named_parameters() if name not in shapes}
    assert {name: p.shape for name, p in spiking.named_parameters() if name in shapes} == shapes
    assert sum(own.values()) == 2 * (2 * (6 + 4) + 1) * 24 + 2 * 3 * 24  # (2 (6 + mlp_ratio) + 1) D a layer, 2 T D
    output = dense(tokens(5))
    assert output.rates == {}
    assert float(output.rate_loss) == 0


def test_rates_are_the_spikes_counted():
    model, seen = sf.Spikeformer(SMALL), []
    model.get_submodule("blocks.1.mlp_lif").register_forward_hook(lambda module, inputs, result: seen.append(result[0]))
    output = model(tokens(11))
    torch.testing.assert_close(output.channel_rates["layers.1.mlp"], seen[0].mean((0, 1, 2)))
    torch.testing.assert_close(output.rates["layers.1.mlp"], seen[0].detach().mean())
    expected = [sf.rate_loss(rate_C, SMALL.rate_band) for rate_C in output.channel_rates.values()]
    torch.testing.assert_close(output.rate_loss, torch.stack(expected).mean())


def test_position_wraps_without_a_jump():
    """Just before the position comes round, streaming is still batch."""
    for make in MAKERS:
        model = make(config(memory=False, attention="linear")).double()
        x = tokens(12, batch=1)
        period = position_period(model.config)
        with torch.no_grad():
            start = model(x[:, :1]).state
            near = dataclasses.replace(start, position=period - 6)
            whole = model(x, near)
            state, logits = near, []
            for part in x.split(1, 1):
                output = model(part, state)
                state = output.state
                logits.append(output.logits)
        assert state.position == 6
        torch.testing.assert_close(torch.cat(logits, 1), whole.logits, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", MAKERS)
def test_rows_do_not_depend_on_their_batch(make):
    model, x = make(SMALL).double(), tokens(15, batch=5)
    with torch.no_grad():
        together = model(x)
        for b in (0, 3):
            alone = model(x[b : b + 1])
            torch.testing.assert_close(alone.logits[0], together.logits[b], rtol=1e-9, atol=1e-9)
            picked = together.state.select(torch.tensor([b])).to_dict()
            for name, tensor in alone.state.to_dict().items():
                torch.testing.assert_close(picked[name], tensor, rtol=1e-9, atol=1e-9)


def test_state_goes_through_flat_tensors_and_carries_gradient_until_detached():
    model = sf.Spikeformer(SMALL)
    state = model(tokens(8)).state
    again = sf.SpikeformerState.from_dict(state.to_dict())
    assert again.position == 8
    assert torch.equal(model(tokens(4), again).logits, model(tokens(4), state).logits)
    assert all(t.requires_grad for t in state.layers[1].tensors().values())
    assert not any(t.requires_grad for t in state.detach().layers[1].tensors().values())
    mask = torch.tensor([False, True])
    assert torch.equal(state.select(mask).layers[0].trace, state.layers[0].trace[1:])
    with pytest.raises(ValueError, match="unknown tensor"):
        sf.SpikeformerState.from_dict({**state.to_dict(), "layers.0.notes": torch.zeros(1)})
    with pytest.raises(ValueError, match="expected position"):
        sf.SpikeformerState.from_dict({"position": torch.tensor(0)})


def test_spike_trains_in_place_of_tokens():
    wide = config(input_dim=10)
    trains = (torch.rand(3, 2, 7, 10, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    for make in MAKERS:
        model = make(wide)
        logits = model(trains).logits
        assert logits.shape == (2, 7, 19)
        other = trains.clone()
        other[:, :, 4] = 1 - other[:, :, 4]
        assert torch.equal(model(other).logits[:, :4], logits[:, :4])
        assert not torch.equal(model(other).logits[:, 4], logits[:, 4])
        with pytest.raises(ValueError, match="spike trains of"):
            model(trains[:2])
    with pytest.raises(ValueError, match="input_dim"):
        sf.Spikeformer(SMALL)(trains)


class Ternary(nn.Linear):
    """A stand-in for 1.58-bit layers: weights of three values, learned straight through."""

    def forward(self, input):  # noqa: A002 - the name in nn.Linear
        scale = self.weight.abs().mean()
        rounded = (self.weight / scale).round().clamp(-1, 1) * scale
        return nn.functional.linear(input, self.weight + (rounded - self.weight).detach(), self.bias)


def test_linear_factory_makes_all_layers_between_spikes():
    model = sf.Spikeformer(config(tie_embeddings=False), linear=Ternary)
    kinds = {name: type(module) for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert {name for name, kind in kinds.items() if kind is nn.Linear} == {"readout"}
    assert sum(kind is Ternary for kind in kinds.values()) == 2 * 5
    model(tokens(6)).logits.sum().backward()
    gradient = model.get_parameter("blocks.0.down.weight").grad
    assert gradient is not None
    assert gradient.any()
    with pytest.raises(TypeError, match="linear must give"):
        sf.Spikeformer(SMALL, linear=lambda *args, **kwargs: nn.Identity())


def test_autocast_keeps_the_memories_in_float32():
    model = sf.Spikeformer(SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(tokens(9))
    assert {t.dtype for layer in output.state.layers for t in layer.tensors().values()} == {torch.float32}


def test_user_errors():
    model = sf.Spikeformer(SMALL)
    with pytest.raises(ValueError, match="from 0 to 18"):
        model(torch.full((1, 3), 19))
    with pytest.raises(ValueError, match="tokens of"):
        model(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(TypeError, match="int64"):
        model(torch.zeros(1, 3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="3 sequences does not fit"):
        model(tokens(3), model(tokens(3, batch=3)).state)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"dim": 25}, ValueError, "multiple of heads"),
        ({"steps": 65}, ValueError, "at most 64"),
        ({"layers": 0}, ValueError, "layers must be at least 1"),
        ({"dim": 24.0}, TypeError, "dim must be a whole number"),
        ({"attention": "quadratic"}, ValueError, "attention must be one of"),
        ({"beta": 1.0}, ValueError, "beta must be between"),
        ({"rate_band": (0.2, 0.1)}, ValueError, "rate_band"),
        ({"tau_range": (0.0, 10.0)}, ValueError, "tau_range"),
        ({"phase": False, "learn_delay": True}, ValueError, "learn_delay"),
        ({"memory": 1}, TypeError, "memory must be True or False"),
    ],
)
def test_configuration_refuses(changes, error, words):
    with pytest.raises(error, match=words):
        config(**changes)
