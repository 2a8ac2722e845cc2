"""`neuro spike train`, `generate` and `eval --model`: a text in, a model, text and figures out."""

from __future__ import annotations

import io
import json
import math
import shutil
import signal

import pytest
import torch
from ddp_utils import read_metrics
from neuro.config import ConfigError
from neuro.language_data import tokens_folder
from neuro.spike_generate import check
from neuro.spikeformer_settings import GenerateSettings
from neuro.text_tokenizers import load_tokenizer
from spikeformer import Spikeformer, generate, load_model
from spikeformer.language_model_evaluation import evaluate_language_model
from spikeformer.token_shards import TokenShards

TEXT = "".join(f"neuron {number % 7} fires, and the others rest. größer!\n" for number in range(400))
SIZES = {"model.dim": 16, "model.heads": 2, "model.layers": 1, "model.steps": 2, "model.mlp_ratio": 2}
SIZES |= {"train.global_batch": 4, "train.length": 32, "train.validate_every": 10, "train.checkpoint_every": 5}
SMALL = [argument for key, value in SIZES.items() for argument in ("--set", f"{key}={value}")]
SMALL += ["--device", "cpu", "--quiet"]


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


@pytest.fixture(scope="module", autouse=True)
def _short_samples():
    """A report's sample of few tokens: it takes most of the time of a short training."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("neuro.spike_train.SAMPLE_TOKENS", 20)
        yield


@pytest.fixture(scope="module")
def language_run(command, tmp_path_factory):
    """A spiking model and its twin, trained for a moment; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    ended = command(
        *("spike", "train", "--data", folder / "text.txt", "--twin", "--steps", 20, *SMALL),
        *("--out", folder / "run", "--json"),
    )
    assert ended.code == 0, ended.err
    return folder / "run", json.loads(ended.out)


def test_a_run_folder_is_whole(language_run):
    run, summary = language_run
    names = {"config.toml", "env.json", "metrics.jsonl", "checkpoints", "plots", "report.html", "model.safetensors"}
    assert names | {"dense", "tokens", "data.json"} <= {path.name for path in run.iterdir()}
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 1
    assert "Sample of the dense model" in page
    for kind, folder in (("spiking", run), ("dense", run / "dense")):
        facts = summary["models"][kind]
        model = load_model(folder / "model.safetensors")
        assert isinstance(model, Spikeformer) == (kind == "spiking")
        assert facts["parameters"] == sum(parameter.numel() for parameter in model.parameters())
        validation = TokenShards(run / "tokens" / "validation")
        again = evaluate_language_model(model, validation, streams=8)
        assert again.bits_per_character == pytest.approx(facts["bits_per_character"], rel=1e-4)
        assert facts["bits_per_character"] > facts["bits_per_byte"] > 0
        lines = read_metrics(folder)
        assert [line["step"] for line in lines] == [0, 10, 20]
        assert lines[-1]["bits_per_token"] < lines[0]["bits_per_token"]
    assert summary["models"]["spiking"]["firing"]["rate"] > 0
    assert summary["models"]["dense"]["firing"] is None


def test_generate_is_what_the_library_generates(neuro, language_run):
    run, _ = language_run
    options = ("--prompt", "größer", "-n", 30, "--temperature", 0.7, "--top-k", 9, "--seed", 3, "--device", "cpu")
    document = json.loads(neuro("spike", "generate", "--model", run, *options, "--json").out)
    tokenizer = load_tokenizer("bytes")
    start = list("größer".encode())
    model = load_model(run / "model.safetensors").eval()
    tokens = list(generate(model, start, 30, temperature=0.7, top_k=9, seed=3))
    assert document["text"] == "".join(tokenizer.pieces(iter([*start, *tokens])))
    assert document["tokens"] == 30
    assert neuro("spike", "generate", "--model", run, *options).out == document["text"] + "\n"
    assert neuro("spike", "generate", "--model", run / "dense", "-n", 5).code == 0


def test_generate_takes_settings_from_a_file(neuro, language_run, tmp_path):
    run, _ = language_run
    (tmp_path / "g.toml").write_text('tokens = 7\ntemperature = 0.0\ndevice = "cpu"\n')
    options = ("spike", "generate", "--model", run, "--config", "g.toml", "--json")
    assert json.loads(neuro(*options).out)["tokens"] == 7
    assert json.loads(neuro(*options, "--set", "tokens=3").out)["tokens"] == 3
    settings = json.loads(neuro(*options, "-n", 5, "--dry-run").out)["settings"]
    assert (settings["tokens"], settings["temperature"]) == (5, 0.0)


def test_generate_tells_its_speed_beside_the_text(neuro, language_run):
    run, _ = language_run
    options = ("spike", "generate", "--model", run, "-n", 2, "--device", "cpu")
    said, quiet = neuro(*options), neuro(*options, "--quiet")
    assert said.out == quiet.out
    assert "2 tokens, " in said.err
    assert quiet.err == ""


def test_generate_refuses_a_stdout_that_cannot_show_all_characters(language_run, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="iso-8859-1"))
    with pytest.raises(ConfigError, match="stdout: is iso-8859-1, texts need UTF-8; set PYTHONIOENCODING=utf-8"):
        check(language_run[0], "größer", GenerateSettings(device="cpu"))


def test_eval_of_a_model(neuro, language_run, tmp_path):
    run, summary = language_run
    ended = neuro("spike", "eval", "--model", run, "--out", "eval", "--json", "--quiet")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    for name in ("bits_per_token", "bits_per_byte", "bits_per_character"):
        assert document[name] == pytest.approx(summary["models"]["spiking"][name], rel=1e-4)
    assert document["energy"]["synaptic_operations"] > 0
    plots = {path.stem for path in (tmp_path / "eval" / "plots").glob("*.png")}
    assert plots == {"training", "rates", "raster"}
    assert (tmp_path / "eval" / "report.html").read_text(encoding="utf-8").count("data:image/png") == 3
    stored = json.loads((tmp_path / "eval" / "eval.json").read_text())
    assert stored["bits_per_character"] == document["bits_per_character"]
    refused(neuro("spike", "eval", "--model", run, "--out", "eval"), "--out eval: not empty")


def test_eval_on_another_text(neuro, language_run, tmp_path):
    """Counted by hand: bits of all tokens over the characters of the text."""
    run, _ = language_run
    text = "größer! und neuron 3 fires, 雨.\n" * 5
    (tmp_path / "other.txt").write_text(text, encoding="utf-8")
    options = ("--model", run / "dense", "--data", "other.txt", "--set", "streams=1", "--quiet")
    document = json.loads(neuro("spike", "eval", *options, "--out", "eval", "--json").out)
    model = load_model(run / "dense" / "model.safetensors").double()
    ids = torch.tensor([[*text.encode(), 256]])
    log_p = model(ids[:, :-1]).logits.log_softmax(-1)[0, torch.arange(ids.shape[1] - 1), ids[0, 1:]]
    bits = -log_p.sum().item() / math.log(2)
    assert document["bits_per_character"] == pytest.approx(bits / (len(text) - 1), rel=1e-3)
    assert document["bits_per_byte"] == pytest.approx(bits / (len(text.encode()) - 1), rel=1e-3)
    assert document["kind"] == "dense"
    assert document["energy"] is None


def test_other_tokens(neuro, tmp_path):
    """Word pieces: the model needs their vocabulary, and generates them without the folder of tokens."""
    (tmp_path / "t.txt").write_text(TEXT * 2, encoding="utf-8")
    tokenized = ("t.txt", "--documents", "line", "--tokenizer", "samples:minilm", "--quiet")
    assert neuro("data", "tokenize", *tokenized, "--out", "tokens").code == 0
    options = ("--data", "tokens", "--steps", 2, "--out", "run", *SMALL, "--set", "model.dim=4")
    refused(neuro("spike", "train", *options), "model.vocab_size: is 257", "--set model.vocab_size=30523")
    assert not (tmp_path / "run").exists()
    ended = neuro("spike", "train", *options, "--set", "model.vocab_size=30523")
    assert ended.code == 0, ended.err
    (tmp_path / "tokens").rename(tmp_path / "away")
    ended = neuro("spike", "generate", "--model", "run", "--prompt", "neuron 3", "-n", 3)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("neuron 3")
    refused(neuro("spike", "eval", "--model", "run"), "tokens: no tokens here")


@pytest.mark.slow
def test_stopped_and_resumed(neuro, started, wait_for, tmp_path):
    """SIGTERM ends it with 75 and --resume auto goes on; the model is that of a run in one go, bit for bit."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    options = ("--data", "text.txt", "--steps", 40, *SMALL)
    process = started("spike", "train", *options, "--out", "run")
    wait_for(tmp_path / "run" / "checkpoints" / "latest", process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    if process.returncode:  # it may have been done by then
        assert (process.returncode, "--resume auto --out run" in err) == (75, True), err
    refused(neuro("spike", "train", *options, "--out", "run"), "not empty")
    if process.returncode:
        refused(neuro("spike", "train", *options, "--seed", 4, "--out", "run", "--resume", "auto"), "another seed")
    assert neuro("spike", "train", "--out", "run", "--resume", "auto", "--quiet").code == 0
    assert neuro("spike", "train", *options, "--out", "whole").code == 0
    states = [load_model(tmp_path / name / "model.safetensors").state_dict() for name in ("run", "whole")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_defaults_need_no_arguments(neuro, tmp_path):
    """The small text that comes with gensim."""
    settings = json.loads(neuro("spike", "train", "--dry-run", "--json").out)["settings"]
    assert settings["data"]["source"] == "samples:lee"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--data", "missing"], "missing: no such file"),
        (["train", "--data", "samples:x"], "there is samples:lee"),
        (["train", "--data", "one.txt"], "one character, nothing is left to train on"),
        (["train", "--data", "short.txt"], "5 tokens do not fill 16 streams of 257"),
        (["train", "--set", "model.vocab_size=99", "--dry-run"], "model.vocab_size: is 99, the text has 257 tokens"),
        (["train", "--dense", "--twin"], "leave one of them out"),
        (["train", "--set", "model.head=3"], "did you mean model.heads"),
        (["train", "--set", "model.dim=30", "--set", "model.heads=4"], "dim"),
        (["train", "--set", "train.carry=0"], "carry must be at least 1"),
        (["generate", "--model", "missing"], "missing"),
        (["generate", "--model", "empty"], "empty: no data.json"),
        (["generate", "--prompt", "x"], "--model"),
        (["generate", "--model", "empty", "--set", "top_k=-1"], "must not be negative"),
        (["generate", "--model", "empty", "--set", "temprature=1"], "did you mean temperature"),
        (["generate", "--model", "empty", "--prompt", "a\udcffb"], "not UTF-8; write it in UTF-8"),
        (["generate", "--model", "empty", "--dry-run"], "empty: no data.json"),
        (["eval", "--model", "missing"], "missing"),
        (["eval", "--model", "empty", "--limit", "3"], "--limit: is for spike codes"),
        (["eval", "--data", "text.txt"], "name it with --model"),
    ],
)
def test_bad_input_is_one_line(neuro, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.txt").write_text("1")
    (tmp_path / "short.txt").write_text("short")
    refused(neuro("spike", *arguments), said)


def test_damage_is_named(neuro, language_run, tmp_path):
    """In a run folder that moved, and its tokens with it."""
    run, _ = language_run
    shutil.copytree(run, tmp_path / "run")
    for name in ("run", "run/dense"):
        assert tokens_folder(tmp_path / name).resolve() == (tmp_path / "run" / "tokens").resolve()
    shard = tmp_path / "run" / "tokens" / "train" / "tokens-00000.bin"
    shard.write_bytes(shard.read_bytes()[:-2] + b"\x07\x00")
    refused(neuro("spike", "train", "--data", "run/tokens", "--out", "b", *SMALL), "tokens-00000.bin: damaged")
    (tmp_path / "run" / "data.json").write_text("{")
    refused(neuro("spike", "generate", "--model", "run"), "data.json: damaged")
    model = tmp_path / "run" / "dense" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-40])
    refused(neuro("spike", "generate", "--model", "run/dense"), "model.safetensors")
    model.unlink()
    refused(neuro("spike", "generate", "--model", "run/dense"), "its training has not finished")


@pytest.mark.slow
def test_two_processes(neuro, neuro_process, language_run, tmp_path):
    """--nproc 2 trains the model of one process, up to rounding."""
    run, _ = language_run
    options = ("--data", run / "tokens", "--steps", 10, "--dense", *SMALL)
    ended = neuro_process("spike", "train", *options, "--nproc", 2, "--out", "two")
    assert ended.code == 0, ended.err
    assert neuro("spike", "train", *options, "--out", "one").code == 0
    bits = [read_metrics(tmp_path / name)[-1]["bits_per_token"] for name in ("one", "two")]
    assert bits[0] == pytest.approx(bits[1], rel=1e-3)
