"""`neuro spike`: real vectors and texts through spikes and back, and what it refuses."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pytest
from binemb import load_vectors
from spikecode import SpikeCodec, SpikeTrain

SMALL = ("--neurons", 30, "--steps", 20)
TEXTS = ["the spikes carry meaning.", "where is the train station?", "a neuron fires, or it does not!"]


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, "")
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


@pytest.fixture(scope="session")
def train_of_words(command, tmp_path_factory):
    """Trains of 200 real word vectors; tests read them and never write to them."""
    path = tmp_path_factory.mktemp("words") / "words.spikes"
    ended = command("spike", "encode", "--vectors", "samples:glove-50d", "--limit", 200, *SMALL, "--out", path)
    assert ended.code == 0, ended.err
    return path


@pytest.fixture
def copies(train_of_words, tmp_path):
    """The three files, for a test to damage."""
    for name in ("", ".codec", ".about"):
        shutil.copy(f"{train_of_words}{name}", tmp_path / f"copy{name}")
    return tmp_path / "copy"


def test_texts_come_back(neuro, tmp_path):
    (tmp_path / "texts.txt").write_text("\n\n".join(TEXTS) + "\n", encoding="utf-8")
    ended = neuro("spike", "encode", "--text", "texts.txt", *SMALL, "--out", "texts.spikes", "--json")
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert (facts["texts"], facts["dimensions"], facts["neurons"], facts["steps"]) == (3, 384, 30, 20)
    assert facts["density"] == pytest.approx(0.05, abs=0.002)
    ended = neuro("spike", "decode", "--train", "texts.spikes")
    assert (ended.code, ended.out.splitlines()) == (0, TEXTS)
    ended = neuro("spike", "decode", "--train", "texts.spikes", "--out", "again.txt")
    assert ended.code == 0, ended.err
    assert (tmp_path / "again.txt").read_text().splitlines() == TEXTS


def test_text_from_the_standard_input(neuro, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXTS[0]))
    assert neuro("spike", "encode", "--text", "-", *SMALL, "--out", "t").code == 0
    assert neuro("spike", "decode", "--train", "t").out == TEXTS[0] + "\n"


def test_vectors_come_back(neuro, train_of_words, tmp_path):
    ended = neuro("spike", "decode", "--train", train_of_words, "--out", "decoded.npy", "--json")
    assert ended.code == 0, ended.err
    given, decoded = load_vectors("samples:glove-50d", limit=200), load_vectors(str(tmp_path / "decoded.npy"))
    assert decoded.words == given.words
    codec = SpikeCodec.load(f"{train_of_words}.codec")
    assert np.array_equal(decoded.vectors, codec.decode(SpikeTrain.load(train_of_words)))
    assert neuro("spike", "decode", "--train", train_of_words, "--out", "lost.npy", "--lost", "0.2").code == 0
    told = codec.decode(SpikeTrain.load(train_of_words), lost=0.2)
    assert np.array_equal(load_vectors(str(tmp_path / "lost.npy")).vectors, told)
    assert not np.array_equal(told, decoded.vectors)
    scale = (decoded.vectors - given.vectors).double() / codec.bound(given.vectors)
    assert float(scale.square().mean().sqrt()) < 1.5


def test_a_codec_is_used_again(neuro, train_of_words, tmp_path):
    """More words with the codec of others: the same codec, and values beyond its range are counted."""
    options = ("--vectors", "samples:glove-50d", "--limit", 400, "--codec", f"{train_of_words}.codec", "--out", "more")
    ended = neuro("spike", "encode", *options, "--json")
    assert ended.code == 0, ended.err
    x_nD = load_vectors("samples:glove-50d", limit=400).vectors
    calibration = SpikeCodec.load(f"{train_of_words}.codec").calibration
    outside = int(((x_nD < calibration.low_D) | (x_nD > calibration.high_D)).sum())
    assert json.loads(ended.out)["clipped"] == outside > 0
    assert f"{outside} values lie outside" in ended.err
    first = SpikeTrain.load(tmp_path / "more")[:200].counts()
    assert np.array_equal(first, SpikeTrain.load(train_of_words).counts())


def test_defaults_need_no_arguments(neuro):
    """100 input embeddings of the sample model."""
    ended = neuro("spike", "encode", *SMALL, "--out", "t", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["tokens"] == 100


def test_eval(neuro, tmp_path):
    options = ("--vectors", "samples:glove-50d", "--limit", 2000, "--neurons", "10,40", "--steps", "5,40")
    binary = ("--set", "binary.bits=64", "--set", "binary.fitted_words=1000", "--set", "evaluation.queries=100")
    ended = neuro("spike", "eval", *options, *binary, "--out", "run", "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    small, large = document["codes"]
    assert large["identity"] == 1.0
    assert large["rmse"] < small["rmse"]
    assert large["bits_per_token"] > small["bits_per_token"] > large["vocabulary_bits"]
    scores = {score["name"]: score for score in document["scores"]}
    names = ["float32", "spikes 10 x 5", "spikes 40 x 40", "float32, prepared", "binary 64", "binary 64, decoded"]
    assert list(scores) == names
    exact, spikes = scores["float32"], scores["spikes 40 x 40"]
    assert spikes["recall"] > 0.95
    assert spikes["similarity"]["wordsim353"] == pytest.approx(exact["similarity"]["wordsim353"], abs=0.02)
    assert spikes["analogy"] == pytest.approx(exact["analogy"], abs=0.03)
    plots = {"raster", "tuning", "rates", "decoded", "quality"}
    assert {path.stem for path in (tmp_path / "run" / "plots").glob("*.png")} == plots
    assert "spikes 40 x 40" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "run" / "eval.json").read_text())["codes"] == document["codes"]
    refused(neuro("spike", "eval", *options, "--out", "run"), "--out run: not empty")


def test_eval_of_the_whole_table_is_the_default(neuro, tmp_path):
    ended = neuro("spike", "eval", "--dry-run", "--json")
    settings = json.loads(ended.out)["settings"]
    assert settings["vectors"]["source"] == "samples:minilm"
    assert settings["vectors"]["limit"] == 0
    assert not list(tmp_path.iterdir())


def test_words_that_no_set_knows(neuro, random_vectors):
    path = random_vectors(30)
    ended = neuro("spike", "eval", "--vectors", path, *("--neurons", 20), *("--steps", 10), "--set", "binary.bits=0")
    assert ended.code == 0, ended.err
    assert "Not measured (-)" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encode", "--text", "missing.txt", "--out", "t"], "missing.txt: No such file"),
        (["encode", "--text", "empty.txt", "--out", "t"], "--text empty.txt: no text in it"),
        (["encode", "--text", "long.txt", "--out", "t"], "600 tokens, and at most 512"),
        (["encode", "--text", "bytes.txt", "--out", "t"], "not UTF-8"),
        (["encode", "--text", "empty.txt", "--limit", "3", "--out", "t"], "--limit: is for vectors"),
        (["encode", "--text-model", "m", "--out", "t"], "add --text FILE"),
        (["encode", "--text", "one.txt", "--text-model", "./nowhere", "--out", "t"], "no such folder"),
        (["encode", "--density", "1.5", "--out", "t"], "density"),
        (["encode", "--codec", "c", "--neurons", "3", "--out", "t"], "--neurons: belongs to the fit"),
        (["encode", "--codec", "missing", "--out", "t"], "missing: no such file"),
        (["encode", "--set", "code.neuron=3", "--out", "t"], "did you mean code.neurons"),
        (["encode", "--set", "code.max_rate=5000", "--out", "t"], "max_rate"),
        (
            ["encode", "--vectors", "samples:glove-50d", "--neurons", "100000", "--steps", "9999", "--out", "t"],
            "lower --limit",
        ),
        (["encode", "--out", "."], "is a folder"),
        (["decode", "--train", "missing"], "missing: no such train file"),
        (["eval", "--neurons", "20,x"], "--neurons: expected numbers"),
        (["eval", "--neurons", "20", "--steps", "5,10"], "as many"),
        (["eval", "--pairs", "nowhere.tsv"], "nowhere.tsv"),
    ],
)
def test_bad_input_is_one_line(neuro, tmp_path, arguments, said):
    (tmp_path / "empty.txt").write_text(" \n\n")
    (tmp_path / "one.txt").write_text("one\n")
    (tmp_path / "long.txt").write_text("word " * 600)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    refused(neuro("spike", *arguments), said)
    assert not (tmp_path / "t").exists()


def test_vectors_need_a_file_to_go_to(neuro, train_of_words):
    refused(neuro("spike", "decode", "--train", train_of_words), "holds vectors", "--out NAME.npy")
    refused(neuro("spike", "decode", "--train", train_of_words, "--out", "v.bin"), "the name says the form")
    mean = ("--method", "centre_of_mass", "--lost", "0.1")
    refused(neuro("spike", "decode", "--train", train_of_words, "--out", "v.npy", *mean), "--lost: is for --method ml")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["", ".codec", ".about"])
def test_damaged_files(neuro, copies, name):
    file = copies.with_name(f"copy{name}")
    flip(file)
    refused(neuro("spike", "decode", "--train", copies, "--out", "v.npy"), "copy")
    os.truncate(file, file.stat().st_size // 2)
    refused(neuro("spike", "decode", "--train", copies, "--out", "v.npy"), "copy")
    file.unlink()
    refused(neuro("spike", "decode", "--train", copies, "--out", "v.npy"), f"copy{name}: no such")


def test_the_codec_of_another_train(neuro, copies):
    neuro("spike", "encode", "--vectors", "samples:glove-50d", "--limit", 50, *SMALL, "--out", "other")
    shutil.copy(copies.with_name("other.codec"), copies.with_name("copy.codec"))
    refused(neuro("spike", "decode", "--train", copies, "--out", "v.npy"), "belongs to another codec")
