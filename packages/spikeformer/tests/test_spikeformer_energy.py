"""Operations against counts by hand, and generation."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import spikeformer as sf
import torch
from spikeformer.attention import mix_neighbours
from spikeformer.generation import draw_token

CONFIG = sf.SpikeformerConfig(vocab_size=20, dim=16, heads=2, layers=2, steps=3, chunk=8, context=6)


def test_additions_are_spikes_times_the_weights_they_meet():
    """Counted spike by spike in the linear layers, and match by match in the attention."""
    model = sf.Spikeformer(CONFIG)
    met, tokens = [], torch.randint(0, 20, (2, 9), generator=torch.Generator().manual_seed(0))

    def count(module, inputs, result):
        met.append(float(inputs[0].detach().sum()) * module.out_features)

    for block in model.blocks:
        for name in ("qkv", "out", "up", "down"):
            block.get_submodule(name).register_forward_hook(count)
    output = model(tokens)
    report = sf.energy_report(model, output)
    assert report.additions["linear"] == pytest.approx(sum(met) / 18, rel=1e-5)
    assert report.synaptic_operations == pytest.approx(sum(report.additions.values()))


def test_silence_costs_no_addition_and_full_fire_t_times_the_dense_multiply_adds():
    names = sf.Spikeformer(CONFIG)(torch.zeros(1, 2, dtype=torch.int64)).rates
    silent, full = (sf.energy_report(CONFIG, dict.fromkeys(names, rate)) for rate in (0.0, 1.0))
    assert silent.synaptic_operations == 0
    dense = 2 * (4 * 16 * 16 + 2 * 16 * 64)
    assert full.dense_multiply_adds["linear"] == dense
    assert full.additions["linear"] == 3 * dense
    matches, inhibition = 2 * 2 * 8 * 8, 2 * 2 * 8  # write and read, heads, d x d; keys and values, heads, d
    assert full.additions["attention"] == 2 * 3 * (matches + inhibition)  # layers, T
    nanojoule = (0.9 * full.synaptic_operations + 4.6 * sum(full.multiply_adds.values())) / 1000
    assert full.spiking_nanojoule == pytest.approx(nanojoule)
    assert full.ratio == pytest.approx(full.dense_nanojoule / full.spiking_nanojoule)
    assert silent.ratio > full.ratio


def test_spike_trains_are_taken_in_by_multiply_adds_in_both_models():
    config = dataclasses.replace(CONFIG, input_dim=5)
    rates = sf.Spikeformer(config)(torch.zeros(3, 1, 2, 5)).rates
    without, report = (sf.energy_report(c, rates) for c in (CONFIG, config))
    for name in ("multiply_adds", "dense_multiply_adds"):
        assert sum(getattr(report, name).values()) - sum(getattr(without, name).values()) == 3 * 5 * 16


@pytest.mark.parametrize("attention", ["linear", "coincidence"])
def test_keys_between_two_shifts_are_counted_as_they_are(attention):
    """Against what is not zero in random spikes that are mixed."""
    q, k, v = (torch.rand(3, 3, 50, 2, 40, 8, generator=torch.Generator().manual_seed(0)) < 0.05).float()
    mixed = mix_neighbours(k, torch.full((2,), 0.3))
    names = sf.Spikeformer(CONFIG)(torch.zeros(1, 2, dtype=torch.int64)).rates
    kinds = {"query": float(q.mean()), "key": float(k.mean()), "value": float(v.mean())}
    rates = {name: kinds.get(name.rpartition(".")[2], 0.0) for name in names}
    config = dataclasses.replace(CONFIG, attention=attention)
    fixed, learned = (
        sf.energy_report(dataclasses.replace(config, learn_delay=x), rates, keys=6) for x in (False, True)
    )
    met, density = 2 * 3 * 16, float((mixed != 0).double().mean())  # layers, T, channels
    if attention == "linear":
        expected = met * (8 * (density * kinds["value"] + kinds["query"]) + density + kinds["value"])
    else:
        expected = met * (6 * (density * kinds["query"] + kinds["value"]) + density)
    assert fixed.additions["attention"] < expected <= learned.additions["attention"] < 1.03 * expected
    assert learned.multiply_adds["attention"] - fixed.multiply_adds["attention"] == met


def test_windowed_attention_grows_with_its_keys():
    config = dataclasses.replace(CONFIG, attention="coincidence")
    rates = {f"layers.{i}.{kind}": 0.1 for i in range(2) for kind in ("input", "query", "key", "value", "attention")}
    rates |= {f"layers.{i}.{kind}": 0.1 for i in range(2) for kind in ("mlp_input", "mlp")}
    few, many = (sf.energy_report(config, rates, keys=n) for n in (10, 30))
    channels = 2 * 3 * 16  # of all layers and micro-steps
    assert many.additions["attention"] - few.additions["attention"] == pytest.approx(channels * 20 * (0.1 * 0.1 + 0.1))
    assert few.additions["attention"] == pytest.approx(channels * (10 * (0.1 * 0.1 + 0.1) + 0.1))  # 0.1: inhibition
    assert many.multiply_adds["inhibition"] - few.multiply_adds["inhibition"] == 2 * 2 * 20  # layers, heads
    with pytest.raises(ValueError, match=r"missing, layers.0.input"):
        sf.energy_report(config, {})


@pytest.mark.parametrize("make", [sf.Spikeformer, sf.dense_twin])
@pytest.mark.parametrize("attention", ["linear", "softmax"])
def test_generation_is_reading_with_one_token_more_each_time(make, attention):
    """Greedy, in float64: each token is the most likely one after the whole text so far, read at once."""
    model = make(dataclasses.replace(CONFIG, attention=attention)).double()
    text = [3, 1, 4, 1, 5]
    for token in sf.generate(model, text, 8, temperature=0):
        with torch.no_grad():
            assert token == int(model(torch.tensor([text])).logits[0, -1].argmax())
        text = [*text, token]


def test_the_seed_makes_the_text():
    model = sf.Spikeformer(CONFIG)
    a, b, c = (list(sf.generate(model, [1, 2], 30, seed=seed)) for seed in (0, 0, 1))
    assert a == b != c
    head = list(itertools.islice(sf.generate(model, torch.tensor([1, 2]), 1000, seed=0), 30))
    assert head == a
    with torch.no_grad():
        state = model(torch.tensor([[1, 2, *a[:-1]]])).state
    assert (
        list(sf.generate(model, [a[-1]], 3, seed=0, state=state)) == list(sf.generate(model, [1, 2], 33, seed=0))[30:]
    )


def test_draws_have_the_softmax_distribution():
    logits = torch.tensor([0.0, 1.0, -torch.inf, 2.0, 0.5])
    drawn = torch.tensor([draw_token(logits, 0.7, 0, seed=1, position=i) for i in range(3000)])
    share = torch.bincount(drawn, minlength=5) / 3000
    expected = torch.softmax(logits / 0.7, 0)
    assert bool(((share - expected).abs() < 4 * (expected * (1 - expected) / 3000).sqrt() + 1e-9).all())
    top = {draw_token(logits, 1.0, 2, seed=1, position=i) for i in range(200)}
    assert top == {1, 3}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_refused(temperature, bad):
    with pytest.raises(ValueError, match="logits at position 7 must be finite"):
        draw_token(torch.tensor([0.0, bad, 1.0]), temperature, 0, seed=0, position=7)
    with pytest.raises(ValueError, match="must be finite"):
        draw_token(torch.full((3,), -torch.inf), temperature, 0, seed=0, position=7)
    model = sf.Spikeformer(CONFIG)
    with torch.no_grad():
        model.final_norm.weight[0] = bad
    with pytest.raises(ValueError, match="logits at position 2 must be finite"):
        next(sf.generate(model, [1, 2], 1, temperature=temperature))


@pytest.mark.parametrize("logits", [[3.0, 5.0, 5.0], [-3.0, -2.0, -9.0], [-1.0, 0.0, -torch.inf]])
def test_a_temperature_that_overflows_is_zero(logits):
    assert {draw_token(torch.tensor(logits), 5e-324, 0, seed=0, position=i) for i in range(20)} == {1}


def test_generation_refuses():
    model = sf.Spikeformer(CONFIG)
    for arguments, words in (
        (([], 3), "L >= 1"),
        (([1], -1), "n must be"),
        (([20], 1), "from 0 to 19"),
    ):
        with pytest.raises(ValueError, match=words):
            list(sf.generate(model, *arguments))
    with pytest.raises(ValueError, match="temperature"):
        sf.generate(model, [1], 1, temperature=-1)
    with pytest.raises(TypeError, match="whole numbers"):
        sf.generate(model, torch.tensor([0.5]), 1)
