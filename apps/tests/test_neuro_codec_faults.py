"""What a user, a disk or a wrong file can do to a codec: one clear line, the right code, nothing half done."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
import torch
from binemb import load_vectors
from ddp_utils import read_tensor_file, write_tensor_file
from neuro.vector_files import write_parts
from sdquant import CodecCodes


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    errors = [line for line in ended.err.splitlines() if line.startswith(("error: ", "stopped: "))]
    assert (ended.code, ended.out, errors) == (code, "", ended.err.splitlines()[-1:])
    assert "Traceback" not in ended.err
    for text in said:
        assert text in errors[0]


@pytest.fixture
def run_copy(fitted, tmp_path):
    """A copy of the fitted run that a test may damage."""
    return shutil.copytree(fitted, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--compression", 500], "compression=500 leaves"),
        (["--compression", 100], "compression=100"),
        (["--held-out", 2000], "held_out: 2000 of 2000 words"),
        (["--compression", 0.5], "compression must be at least 1"),
        (["--set", "codec.round=3"], "did you mean codec.rounds?"),
        (["--set", "codec.rounds=0"], "rounds"),
        (["--set", "codec.weights=[1, 2]"], "weights: 1 positive numbers"),
        (["--vectors", "missing"], "no file 'missing'"),
        (["--device", "tpu"], "'tpu'"),
        (["--out", "file/below"], "file is a file, not a folder"),
        (["--vectors", "samples:glove-50d", "--vectors", "other.txt"], "no word in common"),
    ],
)
def test_fit_refuses(neuro, fit, tmp_path, options, said):
    """And leaves no trace."""
    (tmp_path / "file").touch()
    (tmp_path / "other.txt").write_text("qz1 1 2\nqz2 3 4\n", encoding="utf-8")
    vectors = () if "--vectors" in options else fit[:2]
    out = () if "--out" in options else ("--out", "run")
    refused(neuro("embed", "fit", *vectors, *fit[2:], *options, *out), said)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other.txt"}


def test_fit_over_a_run(neuro, fit, run_copy):
    before = {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()}
    refused(neuro("embed", "fit", *fit, "--out", "run"), "--out run: not empty; choose another folder")
    assert {path: path.read_bytes() for path in run_copy.rglob("*") if path.is_file()} == before


def test_no_direction(neuro, quick_fit, fitted, tmp_path):
    vectors = load_vectors("samples:glove-50d", limit=2000)
    vectors.vectors[7] = 0
    write_parts(tmp_path / "z.npy", vectors.words, [vectors.vectors])
    command = ["embed", "fit", "--vectors", "z.npy", *quick_fit]
    refused(neuro(*command, "--metric", "cosine", "--out", "run"), f"z.npy: the vector of {vectors.words[7]!r} is zero")
    assert not (tmp_path / "run").exists()
    assert neuro(*command, "--out", "run").code == 0


def test_one_process_fits(neuro, fit, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(neuro("embed", "fit", *fit, "--out", "run"), "embed fit: is the work of one process")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_fit_leaves_nothing(started, fit, tmp_path, wait_for, number):
    process = started("embed", "fit", *fit, "--set", "codec.rounds=100000", "--out", "deep/run")
    wait_for(tmp_path / "deep" / "run" / ".lock", process)
    while "symbols of" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    last, out = process.stderr.read(), process.stdout.read()
    assert (process.wait(60), out, last) == (130, "", "stopped: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_at_the_end_of_a_fit(neuro, fit, tmp_path, monkeypatch):
    """The codec is whole by then, and is not left without its codes."""

    def fail(self, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(CodecCodes, "save", fail)
    monkeypatch.setattr("sdquant.codec_fit.file_bytes", lambda saved: 12_000)
    refused(neuro("embed", "fit", *fit, "--out", "run"), "No space left on device", code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_stands(neuro, fitted, tmp_path, monkeypatch):
    encode = ["embed", "encode", "--model", fitted, "--out", "c"]
    decode = ["embed", "decode", "--codes", fitted / "codes.safetensors", "--model", fitted, "--out", "v.npy"]
    assert neuro(*encode).code == neuro(*decode).code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuro.word_codes.write_tensor_file", fail)
    monkeypatch.setattr("neuro.vector_files.np.save", fail)
    for command in (encode, decode):
        refused(neuro(*command, *(["--limit", 100] if command is encode else [])), "No space left", code=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


COMMANDS = {
    "codec.sdq": (
        ["info", "run"],
        ["info", "run/codec.sdq"],
        ["encode", "--model", "run", "--out", "c"],
        ["eval", "--model", "run"],
        ["decode", "--codes", "run/codes.safetensors", "--model", "run", "--out", "v.npy"],
    ),
    "codes.safetensors": (
        ["info", "run/codes.safetensors"],
        ["eval", "--model", "run"],
        ["decode", "--codes", "run/codes.safetensors", "--model", "run", "--out", "v.npy"],
    ),
}
COMMANDS["codes.safetensors.words"] = (*COMMANDS["codes.safetensors"][1:], ["info", "run/codes.safetensors.words"])


@pytest.mark.parametrize("how", ["truncated", "bit flipped", "emptied", "newer"])
@pytest.mark.parametrize("name", COMMANDS)
def test_damaged_file(neuro, run_copy, tmp_path, name, how):
    path = run_copy / name
    kind = {"codec.sdq": "sdquant.codec", "codes.safetensors": "sdquant.codec_codes"}.get(name, "neuro.words")
    if how == "newer":
        tensors, facts = read_tensor_file(path, kind=kind, version=1)
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        write_tensor_file(path, tensors, kind=kind, version=2, metadata=facts)
    elif how == "bit flipped":
        content = bytearray(path.read_bytes())
        content[-100] ^= 4
        path.write_bytes(content)
    else:
        os.truncate(path, 0 if how == "emptied" else path.stat().st_size // 2)
    before = sorted(tmp_path.rglob("*"))
    for command in COMMANDS[name]:
        refused(neuro("embed", *command), f"run/{name}: ", *(["upgrade it"] if how == "newer" else []))
    assert sorted(tmp_path.rglob("*")) == before


def test_words_that_are_gone_or_of_other_codes(neuro, run_copy):
    decode = ["embed", "decode", "--codes", "run/codes.safetensors", "--model", "run", "--out", "v.npy"]
    words = run_copy / "codes.safetensors.words"
    assert neuro("embed", "encode", "--model", "run", "--out", "c", "--limit", 1900).code == 0
    shutil.copy("c.words", words)
    refused(neuro(*decode), "codes.safetensors.words: holds the words of other codes")
    words.unlink()
    refused(neuro(*decode), "codes.safetensors.words: no such file", "keep the two together")
    assert "words: False" in neuro("embed", "info", "run").out


def test_codes_of_another_codec(neuro, fit, run_copy):
    assert neuro("embed", "fit", *fit, "--seed", 5, "--out", "other", "--quiet").code == 0
    command = ["embed", "decode", "--codes", "run/codes.safetensors", "--model", "other", "--out", "v.npy"]
    refused(neuro(*command), "codes: made by codec", "decode them with the codec that made them")


def test_other_dimensions(neuro, fitted, random_vectors):
    random_vectors(100)
    for command in (["encode", "--out", "c"], ["eval", "--out", "e"]):
        ended = neuro("embed", *command, "--model", fitted, "--vectors", "vectors.txt")
        refused(ended, "codec.sdq: is for vectors of 50 values; vectors.txt has 16")


def test_files_of_another_kind(neuro, fitted, trained, tmp_path):
    codes, model = fitted / "codes.safetensors", trained / "model.safetensors"
    decode = ["embed", "decode", "--out", "v.npy"]
    refused(
        neuro(*decode, "--codes", codes, "--model", model), "expected a sdquant.codec file, found binemb.matryoshka"
    )
    refused(neuro(*decode, "--codes", codes, "--model", trained), "not a run folder of `embed fit`")
    refused(
        neuro(*decode, "--codes", trained / "codes.safetensors", "--model", fitted),
        "holds a codec of `embed fit`; this takes a run of `embed train`",
    )
    refused(neuro(*decode, "--codes", "missing", "--model", fitted), "missing: no such file")
    refused(neuro(*decode, "--codes", codes, "--model", "missing"), "missing: no such file")
    refused(neuro("embed", "index", "--codes", codes, "--out", "i"), "found sdquant.codec_codes")
    for path in (fitted, fitted / "codec.sdq"):
        refused(neuro("embed", "search", "--model", path, "-q", "paris"), "holds a codec of `embed fit`")
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_other_kind(neuro, fitted, trained, tmp_path):
    encode = ["embed", "encode", "--out", "c", "--model"]
    refused(neuro(*encode, fitted, "--bits", 64), "--bits 64")
    refused(neuro(*encode, trained, "--no-verify"), "--no-verify")
    refused(neuro(*encode, fitted, "--nproc", 2), "--nproc 2", "--no-verify")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_written(neuro, fitted, tmp_path):
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").touch()
    codes = fitted / "codes.safetensors"
    for out in ("folder.npy", "file/below.npy"):
        for command in (["encode"], ["decode", "--codes", codes]):
            refused(neuro("embed", *command, "--model", fitted, "--out", out), f"--out {out}: ")
    for out in ("v", "v.bin", "v.npy.gz"):
        refused(neuro("embed", "decode", "--codes", codes, "--model", fitted, "--out", out), f"--out {out}: ", ".npy")


def test_words_that_text_cannot_hold(neuro, quick_fit, tmp_path):
    words = [f"w{i}" for i in range(2000)]
    words[3] = "route 66"
    vectors_ND = load_vectors("samples:glove-50d", limit=2000).vectors
    write_parts(tmp_path / "s.npy", words, [vectors_ND])
    assert neuro("embed", "fit", "--vectors", "s.npy", *quick_fit, "--out", "run").code == 0
    decode = ["embed", "decode", "--codes", "run/codes.safetensors", "--model", "run", "--out"]
    refused(neuro(*decode, "v.txt"), "cannot hold the word 'route 66'; .npy can")
    assert neuro(*decode, "v.npy").code == 0
    assert load_vectors("v.npy").words == words
    assert not torch.equal(load_vectors("v.npy").vectors, vectors_ND)
