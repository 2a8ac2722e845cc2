"""Training a language model: the same sums however a batch is split, carried state, resuming, evaluation."""

from __future__ import annotations

import json
import math
import os
import runpy
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ddp_utils import Stopped, TooManyBadBatchesError, read_metrics
from spikeformer.carried_state import join_states
from spikeformer.config import SpikeformerConfig
from spikeformer.dense import dense_twin
from spikeformer.language_model_config import LanguageModelConfig
from spikeformer.language_model_evaluation import evaluate_language_model
from spikeformer.language_model_run import LanguageModelRun
from spikeformer.language_model_step import make_optimizer, step_gradients
from spikeformer.language_model_training import train_language_model
from spikeformer.model import Spikeformer
from spikeformer.rate_control import rate_slopes
from spikeformer.token_stream import TokenArray, TokenStream

TINY = SpikeformerConfig(vocab_size=257, dim=16, heads=2, layers=2, steps=2, mlp_ratio=2)
TEXT = "the spikes of a neuron carry the meaning of the words, größer als man denkt. " * 12
QUICK: dict[str, Any] = {
    "global_batch": 3,
    "length": 16,
    "validate_every": 2,
    "checkpoint_every": 2,
    "validation_streams": 2,
}
SCRIPT = Path(__file__).parent / "scripts" / "train_language_model.py"


def text():
    return TokenArray.of_bytes(TEXT)


def held_out():
    return TokenArray.of_bytes("the words carry the meaning of a neuron. " * 3)


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def same(a, b, **tolerance):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], **tolerance)


@pytest.mark.parametrize("micro_batch", [1, 2, 3])
def test_micro_batches_have_the_gradient_of_the_whole(micro_batch):
    """Against the loss as it is written, of one forward pass over all streams."""
    model = Spikeformer(TINY).double()
    tokens_BL = TokenStream(text(), 3, 16).batch(0, range(3))
    state = model(TokenStream(text(), 3, 16, seed=1).batch(0, range(3))).state.detach()
    out = model(tokens_BL[:, :-1], state)
    push = {name: torch.linspace(-1, 1, len(rate_C), dtype=torch.float64) for name, rate_C in out.channel_rates.items()}
    log_p_BLV = out.logits.log_softmax(-1)
    loss = -torch.stack([log_p_BLV[b, i, tokens_BL[b, i + 1]] for b in range(3) for i in range(16)]).mean()
    pushed = torch.stack([(push[name] * rate_C).sum() for name, rate_C in out.channel_rates.items()])
    (loss + pushed.sum()).backward()
    expected = gradients(model)
    model.zero_grad(set_to_none=True)
    found = step_gradients(model, tokens_BL, state, micro_batch=micro_batch, global_batch=3, push=push)
    same(gradients(model), expected, rtol=1e-9, atol=1e-12)
    assert float(found.nats) == pytest.approx(loss.item(), rel=1e-12)
    assert found.state is not None
    same(found.state.to_dict(), out.state.detach().to_dict(), rtol=1e-9, atol=1e-12)
    same(found.rates, {name: rate_C.detach().double() for name, rate_C in out.channel_rates.items()})


def test_the_push_is_the_gradient_of_the_rate_loss():
    """Where the slopes are taken at the rates of the batch itself."""
    band = (0.2, 0.25)
    model = Spikeformer(replace(TINY, rate_band=band)).double()
    tokens_BL = TokenStream(text(), 3, 16).batch(0, range(3))
    out = model(tokens_BL[:, :-1])
    (torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), tokens_BL[:, 1:].flatten()) + out.rate_loss).backward()
    assert out.rate_loss.item() > 0
    expected = gradients(model)
    model.zero_grad(set_to_none=True)
    slopes = rate_slopes(out.channel_rates, band)
    step_gradients(model, tokens_BL, None, micro_batch=3, global_batch=3, push=slopes)
    same(gradients(model), expected, rtol=1e-6, atol=1e-9)


def test_states_join_and_come_apart():
    model = Spikeformer(TINY)
    state = model(TokenStream(text(), 5, 16).batch(0, range(5))).state.detach()
    parts = [state.select(torch.tensor(rows)) for rows in ([0, 1], [2], [3, 4])]
    same(join_states(parts).to_dict(), state.to_dict(), rtol=0, atol=0)
    later = model(torch.zeros(1, 3, dtype=torch.int64), parts[1]).state
    with pytest.raises(ValueError, match="expected states at one position"):
        join_states([parts[0], later])


@pytest.mark.parametrize("carry", [1, 3])
def test_state_is_carried_from_step_to_step(carry):
    """With a learning rate of nothing, three steps end in the state of a text read at once; or of its last step."""
    model = Spikeformer(TINY).double()
    stream = TokenStream(text(), 3, 16)
    config = LanguageModelConfig(**QUICK, steps=3, carry=carry, learning_rate=1e-30, weight_decay=0.0)
    run = LanguageModelRun(model, stream, held_out(), config, None)
    for _ in range(3):
        run.advance()
    read = [stream.batch(step, range(3))[:, :-1] for step in range(3)]
    expected = model(torch.cat(read[3 - carry :], 1)).state.detach()
    assert run.carried is not None
    same(run.carried.to_dict(), expected.to_dict(), rtol=1e-9, atol=1e-12)
    run.step = 3 * carry
    run.advance()
    fresh = model(stream.batch(3 * carry, range(3))[:, :-1]).state.detach()
    same(run.carried.to_dict(), fresh.to_dict(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [Spikeformer, dense_twin])
def test_training_learns(make, tmp_path):
    """Far below the entropy of single bytes; what it returns and leaves is the best validation's."""
    model = make(TINY)
    config = LanguageModelConfig(global_batch=4, length=32, steps=60, learning_rate=3e-2, validate_every=20)
    figures = train_language_model(model, text(), held_out(), config, run_folder=tmp_path)
    counts = torch.bincount(torch.from_numpy(held_out().ids_n)).double()
    entropy = -sum(p * math.log2(p) for p in (counts / counts.sum()).tolist() if p)
    assert figures.bits_per_token < 0.9 * entropy
    again = evaluate_language_model(model, held_out(), streams=8)
    assert again.bits_per_token == pytest.approx(figures.bits_per_token, rel=1e-5)
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [0, 20, 40, 60]
    assert min(line["bits_per_token"] for line in lines) == figures.bits_per_token
    assert lines[0]["bits_per_token"] == pytest.approx(8, abs=1)
    spiking = make is Spikeformer
    assert ("train_dead" in lines[-1]) == spiking
    assert (figures.firing is not None) == spiking


def test_rates_are_brought_into_the_band(tmp_path):
    """From far below the band, with nothing but the weight of the rate loss to tell the runs apart."""
    config = replace(TINY, threshold=2.0, rate_band=(0.3, 0.5))
    rates = {}
    for weight in (0.0, 20.0):
        options = LanguageModelConfig(**{**QUICK, "validate_every": 40}, steps=40, rate_weight=weight)
        model = Spikeformer(config)
        train_language_model(model, text(), held_out(), options, run_folder=tmp_path / str(weight))
        rates[weight] = read_metrics(tmp_path / str(weight))[-1]["rate"]
    assert rates[0.0] < 0.2
    assert rates[20.0] > 1.3 * rates[0.0]


def stop_after(step):
    def on_step(done):
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_step


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_resumed_is_bit_identical(tmp_path, stopped_after, monkeypatch):
    """Metrics too, by a clock on which every step takes a second."""
    monkeypatch.setattr("spikeformer.language_model_run.time", SimpleNamespace(perf_counter=count().__next__))
    config = LanguageModelConfig(**QUICK, steps=5, carry=4)
    whole, resumed = Spikeformer(TINY), Spikeformer(TINY)
    train_language_model(whole, text(), held_out(), config, run_folder=tmp_path / "whole")
    folder = tmp_path / "resumed"
    with pytest.raises(Stopped, match=f"after step {stopped_after} of 5"):
        train_language_model(resumed, text(), held_out(), config, run_folder=folder, on_step=stop_after(stopped_after))
    other = Spikeformer(TINY, seed=9)
    train_language_model(other, text(), held_out(), config, run_folder=folder, resume="auto")
    same(other.state_dict(), whole.state_dict(), rtol=0, atol=0)
    lines = [read_metrics(tmp_path / name) for name in ("whole", "resumed")]
    assert lines[0] == lines[1]


def test_another_runs_checkpoint_is_refused(tmp_path):
    config = LanguageModelConfig(**QUICK, steps=2)
    train_language_model(Spikeformer(TINY), text(), held_out(), config, run_folder=tmp_path)
    longer = LanguageModelConfig(**QUICK, steps=3)
    with pytest.raises(ValueError, match="trained with other config"):
        train_language_model(Spikeformer(TINY), text(), held_out(), longer, run_folder=tmp_path, resume="auto")
    with pytest.raises(ValueError, match="trained with other model"):
        train_language_model(dense_twin(TINY), text(), held_out(), config, run_folder=tmp_path, resume="auto")
    crossed = TokenArray.of_bytes("X" * (len(text()) - 1))
    for pair in ((crossed, held_out()), (text(), TokenArray.of_bytes("X" * (len(held_out()) - 1)))):
        with pytest.raises(ValueError, match="trained with other tokens"):
            train_language_model(Spikeformer(TINY), *pair, config, run_folder=tmp_path, resume="auto")
    with pytest.raises(ValueError, match="needs the run_folder"):
        train_language_model(Spikeformer(TINY), text(), held_out(), config, resume="auto")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What two processes found, each by itself; see the script."""
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parent)}
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), "2"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_two_processes_train_as_one(two_processes, tmp_path):
    """Gradients, parameters after some steps, carried state and evaluation, in float64; three streams on two."""
    expected = runpy.run_path(str(SCRIPT))["results"](tmp_path)
    for found in two_processes:
        for what in ("gradients", "parameters", "carried", "rates"):
            same(found[what], expected[what], rtol=1e-6, atol=1e-9)
        assert found["figures"] == pytest.approx(expected["figures"], rel=1e-9)
    same(two_processes[0]["parameters"], two_processes[1]["parameters"], rtol=0, atol=0)


def test_a_bad_batch_is_skipped_and_forgotten(tmp_path):
    """The parameters stay; the state that it spoilt is dropped; more of them are an error."""
    model = Spikeformer(TINY)
    run = LanguageModelRun(model, TokenStream(text(), 3, 16), held_out(), LanguageModelConfig(**QUICK, steps=9), None)
    run.advance()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    spoilt = model.register_forward_hook(lambda module, given, out: replace_logits(out))
    run.advance()
    assert run.carried is None
    same(model.state_dict(), before, rtol=0, atol=0)
    with pytest.raises(TooManyBadBatchesError, match="stream 0"):
        run.advance()
    spoilt.remove()


def replace_logits(out):
    return replace(out, logits=out.logits * math.nan)


@pytest.mark.slow
def test_bf16_trains():
    config = LanguageModelConfig(**QUICK, steps=4, precision="bf16")
    figures = train_language_model(dense_twin(TINY), text(), held_out(), config)
    assert figures.bits_per_token < 9


def test_weight_decay_is_for_matrices():
    model = Spikeformer(TINY)
    decayed, free = make_optimizer(model, LanguageModelConfig(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert any(parameter is model.embedding_VD for parameter in decayed["params"])
    assert all(parameter.ndim < 2 for parameter in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize("make", [Spikeformer, dense_twin])
@pytest.mark.parametrize("length", [7, 1000])
def test_evaluation_is_that_of_the_text_read_at_once(make, length):
    """One stream: every token but the first, from all before it; bytes and characters of the text itself."""
    model, source = make(TINY).double(), held_out()
    found = evaluate_language_model(model, source, streams=1, length=length)
    tokens = torch.from_numpy(source.ids_n)[None]
    out = model(tokens[:, :-1])
    bits = -out.logits.log_softmax(-1)[0, torch.arange(len(source) - 1), tokens[0, 1:]].sum().item() / math.log(2)
    assert found.tokens == len(source) - 1
    assert found.bits_per_token == pytest.approx(bits / (len(source) - 1), rel=1e-6)
    assert found.perplexity == pytest.approx(math.exp(bits * math.log(2) / (len(source) - 1)), rel=1e-6)
    characters = len("the words carry the meaning of a neuron. " * 3)
    assert found.bits_per_byte == pytest.approx(bits / (characters - 1), rel=1e-6)
    if found.firing is not None:
        assert make is Spikeformer
        for name, rate in found.firing.layers.items():
            assert rate == pytest.approx(float(out.rates[name]), rel=1e-5)
    else:
        assert make is dense_twin


def test_evaluation_counts_characters():
    source = TokenArray.of_bytes("größer 雨 " * 20)
    found = evaluate_language_model(dense_twin(TINY), source, streams=3)
    n_bytes, n_characters = 20 * len("größer 雨 ".encode()) - 1, 20 * len("größer 雨 ") - 1
    assert found.bits_per_byte * n_bytes == pytest.approx(found.bits_per_character * n_characters)
    assert found.bits_per_byte * n_bytes == pytest.approx(found.bits_per_token * found.tokens)


def test_parts_are_read_from_an_empty_state():
    """Several streams are several texts, each given one token of the one before."""
    model, source = dense_twin(TINY).double(), held_out()
    n = len(source) - 1
    whole = evaluate_language_model(model, source, streams=5, length=11)
    edges = [n * stream // 5 for stream in range(6)]
    bits = 0.0
    for first, last in pairwise(edges):
        part = TokenArray(source.ids_n[first : last + 1], 257, n_bytes=1, n_characters=1)
        bits += evaluate_language_model(model, part, streams=1).bits_per_token * (last - first)
    assert whole.bits_per_token == pytest.approx(bits / n, rel=1e-6)


def test_what_does_not_fit_is_refused():
    model = Spikeformer(TINY)
    wide = TokenArray([0] * 90, 300, n_bytes=90, n_characters=90)
    with pytest.raises(
        ValueError, match="train_language_model: the text has a vocabulary of 300, the model one of 257"
    ):
        train_language_model(model, wide, held_out(), LanguageModelConfig(**QUICK))
    short = TokenArray.of_bytes("short of words")
    with pytest.raises(ValueError, match=r"15 tokens do not fill 3 streams of 17; 7 streams of length 1 fit"):
        train_language_model(model, short, held_out(), LanguageModelConfig(**QUICK))
    with pytest.raises(ValueError, match="a text of 2 tokens"):
        evaluate_language_model(model, TokenArray([1], 257, n_bytes=1, n_characters=1))


WRONG: dict[str, Any] = {
    "steps": 0,
    "carry": 0,
    "micro_batch": -1,
    "learning_rate": 0,
    "rate_weight": -1,
    "warmup": 1.0,
    "keep": 1,
}
WRONG |= {"final_rate": 1.5, "bad_batches": 2, "clip_norm": math.inf, "weight_decay": math.nan}


@pytest.mark.parametrize("wrong", WRONG)
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(ValueError, match=wrong):
        LanguageModelConfig(**{wrong: WRONG[wrong]})


def test_learning_rate_schedule():
    config = LanguageModelConfig(steps=100, warmup=0.1, learning_rate=1.0, final_rate=0.2)
    rates = [config.learning_rate_at(step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (k + 1) for k in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.6)
    assert rates[100] == pytest.approx(0.2)
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_figures_are_json():
    figures = evaluate_language_model(Spikeformer(TINY), held_out())
    assert type(figures).from_dict(json.loads(json.dumps(figures.to_dict()))) == figures
