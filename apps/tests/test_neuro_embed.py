"""From a trained run to codes, index, answers and judgement."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from binemb import BinaryCodes, MatryoshkaBinarizer, TooFewKnownError, load_vectors
from neuro.scoreboard import Missing

KING = "king - man + woman"


def test_run_folder(trained):
    names = {path.name for path in trained.iterdir()}
    assert names >= {"config.toml", "env.json", "metrics.jsonl", "checkpoints", "plots", "report.html"}
    assert {"model.safetensors", "codes.safetensors"} <= names
    assert (trained / "plots" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 3


def test_training_lowers_the_loss(neuro, glove, trained):
    """3 rounds beat one on the held-out words."""
    ended = neuro("embed", "train", *glove, "--set", "train.rounds=1", "--out", "one", "--json", "--quiet")
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["loss"] < json.loads(ended.out)["validation"]["loss"]


def test_train_says_one_json_document(neuro, random_vectors, small, tmp_path):
    random_vectors(2000)
    options = ["--vectors", "vectors.txt", *small, "--set", "train.steps=5", "--set", "train.rounds=2", "--out", "run"]
    ended = neuro("embed", "train", *options, "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert (summary["words"], summary["steps"], summary["rounds"], summary["bits"]) == (2000, 5, 2, [64, 128])
    assert MatryoshkaBinarizer.load(tmp_path / summary["model"]).bits == (64, 128)
    assert "2,000 words x 16 from vectors.txt; run folder run" in ended.err
    assert "training: 5/5 steps" in ended.err
    assert "rounds: 2/2" in ended.err
    assert "5 gradient steps, then 2 rounds" in (tmp_path / "run" / "report.html").read_text()


def test_quiet(neuro, random_vectors, small):
    random_vectors(2000)
    options = ["--vectors", "vectors.txt", *small, "--set", "train.rounds=1"]
    assert neuro("embed", "train", *options, "--out", "quiet", "--quiet", "--json").err == ""
    assert neuro("embed", "eval", "--model", "quiet", "--quiet", "--json").err == ""


@pytest.mark.parametrize("command", [["quickstart"], ["embed", "train"]])
def test_dry_run_writes_nothing(neuro, tmp_path, command):
    for options in ([], ["--out", "run"], ["--nproc", "2"], ["--resume", "auto"]):
        ended = neuro(*command, *options, "--dry-run")
        assert (ended.code, ended.err) == (0, "")
        assert "would run" in ended.out
        plan = json.loads(neuro(*command, *options, "--dry-run", "--json").out)
        assert plan["settings"]["bits"] == [256, 512, 1024]
        assert plan["resume"] is (None if "auto" not in options else plan["resume"])
    assert list(tmp_path.iterdir()) == []


def test_encode_equals_the_codes_of_training(neuro, trained, tmp_path):
    ended = neuro("embed", "encode", "--model", trained, "--out", "codes", "--json")
    facts = json.loads(ended.out)
    assert (facts["words"], facts["n_bits"], facts["bytes_per_vector"]) == (6000, 128, 16)
    assert facts["file_bytes"] == (tmp_path / "codes").stat().st_size
    assert (tmp_path / "codes").read_bytes() == (trained / "codes.safetensors").read_bytes()


def test_encode_a_prefix_and_fewer_words(neuro, trained, tmp_path):
    assert "64 bits, 8 bytes each" in neuro("embed", "encode", "--model", trained, "--out", "c", "--bits", 64).out
    whole = BinaryCodes.load(trained / "codes.safetensors")
    assert torch.equal(BinaryCodes.load(tmp_path / "c").packed, whole.packed[:, :8])
    neuro("embed", "encode", "--model", trained, "--out", "few", "--limit", 70)
    assert torch.equal(BinaryCodes.load(tmp_path / "few").packed, whole.packed[:70])


@pytest.mark.slow
def test_encode_does_not_depend_on_processes(neuro_process, trained, tmp_path):
    """5,999 words do not divide by 2."""
    for nproc in (1, 2):
        ended = neuro_process(
            "embed", "encode", "--model", trained, "--limit", 5999, "--out", f"c{nproc}", "--nproc", nproc, "--json"
        )
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["words"] == 5999
    assert (tmp_path / "c1").read_bytes() == (tmp_path / "c2").read_bytes()


def test_search_float(neuro, trained):
    found = json.loads(neuro("embed", "search", "--model", trained, "-q", KING, "--space", "float", "--json").out)
    answers = found[0]["answers"]
    assert found[0]["query"] == KING
    assert answers[0]["word"] == "queen"
    assert len(answers) == 10
    assert not {"king", "man", "woman"} & {answer["word"] for answer in answers}
    assert [a["similarity"] for a in answers] == sorted((a["similarity"] for a in answers), reverse=True)


@pytest.mark.parametrize("bits", [None, 64, 100])
def test_search_binary_is_exhaustive_hamming(neuro, trained, bits):
    """The distances are the least of all, by counting bits with numpy."""
    options = ["--bits", bits] if bits else []
    found = json.loads(neuro("embed", "search", "--model", trained, "-q", "paris", "-k", 7, *options, "--json").out)
    codes = BinaryCodes.load(trained / "codes.safetensors")
    bits_NB = np.unpackbits(codes.packed.numpy(), axis=1, bitorder="little")[:, : bits or 128]
    assert codes.words is not None
    query = codes.words.index("paris")
    distances = (bits_NB != bits_NB[query]).sum(1)
    answers = found[0]["answers"]
    assert [a["distance"] for a in answers] == sorted(np.delete(distances, query))[:7]
    for answer in answers:
        assert distances[codes.words.index(answer["word"])] == answer["distance"]
        assert answer["similarity"] == pytest.approx(1 - answer["distance"] / (bits or 128))


def test_search_an_index(neuro, trained):
    made = neuro("embed", "index", "--codes", trained / "codes.safetensors", "--bits", 64, "--out", "i", "--json")
    size = Path("i").stat().st_size
    facts = {"index": "i", "codes": 6000, "n_bits": 64, "kind": "flat", "parameters": {}, "file_bytes": size}
    assert json.loads(made.out) == facts
    query = ["embed", "search", "--model", trained, "-q", KING, "-k", 5, "--json"]
    by_index, by_prefix = (json.loads(neuro(*query, *more).out) for more in (["--index", "i"], ["--bits", 64]))
    distances = [[a["distance"] for a in found[0]["answers"]] for found in (by_index, by_prefix)]
    assert distances[0] == distances[1]
    refused = neuro(*query, "--index", "i", "--bits", 128)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "the index holds 64 bits" in refused.err


def test_an_index_of_another_run_is_refused(neuro, glove, trained):
    """By its words, and where these are the same, by its codes."""
    neuro("embed", "encode", "--model", trained, "--limit", 500, "--out", "few")
    neuro("embed", "index", "--codes", "few", "--out", "few-index")
    query = ["embed", "search", "--model", trained, "-q", "paris"]
    few = neuro(*query, "--index", "few-index")
    assert (few.code, few.out, few.err.count("\n")) == (2, "", 1)
    assert "few-index: of another vocabulary (500 words, the run has 6000)" in few.err
    assert neuro("embed", "train", *glove, "--seed", 1, "--set", "train.rounds=1", "--out", "other").code == 0
    neuro("embed", "index", "--codes", "other/codes.safetensors", "--out", "other-index")
    other = neuro(*query, "--index", "other-index")
    assert (other.code, other.out, other.err.count("\n")) == (2, "", 1)
    assert "other-index: of another model's codes" in other.err
    assert neuro("embed", "search", "--model", "other", "-q", "paris", "--index", "other-index").code == 0


def test_codes_of_another_model_are_not_trusted(neuro, glove, trained, tmp_path):
    """Same words, same levels: the codes beside the model are left alone and the answers are the model's."""
    assert neuro("embed", "train", *glove, "--seed", 1, "--set", "train.rounds=1", "--out", "other").code == 0
    own = neuro("embed", "search", "--model", trained, "-q", "paris", "--json")
    shutil.copy(trained / "model.safetensors", tmp_path / "other")
    mixed = neuro("embed", "search", "--model", "other", "-q", "paris", "--json")
    assert json.loads(mixed.out) == json.loads(own.out)
    assert "other/codes.safetensors: codes of another model" in mixed.err
    assert own.err == ""


def test_vectors_are_read_as_the_run_read_them(neuro, random_vectors, small):
    """encode, search and eval inherit what the run dropped; for other vectors --set says it, as the error does."""
    random_vectors(2000, edit={7: "qz6 nan " + " ".join(["0.5"] * 15)})
    options = ["--vectors", "vectors.txt", *small, "--set", "train.rounds=1", "--set", "vectors.non_finite=drop"]
    assert neuro("embed", "train", *options, "--out", "run").code == 0
    assert neuro("embed", "search", "--model", "run", "-q", "qz1").code == 0
    assert json.loads(neuro("embed", "encode", "--model", "run", "--out", "c", "--json").out)["words"] == 1999
    for command in (["encode", "--out", "c"], ["search", "-q", "qz1"]):
        named = ["embed", *command, "--model", "run", "--vectors", "vectors.txt"]
        assert neuro(*named).code == 0
        refused = neuro(*named, "--set", "vectors.non_finite=error")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "--set vectors.non_finite=drop leaves such rows out" in refused.err
        unknown = neuro(*named, "--set", "train.rounds=1")
        assert (unknown.code, unknown.err.count("\n")) == (2, 1)
        assert "unknown setting 'train.rounds'" in unknown.err
    assert json.loads(neuro("embed", "info", "vectors.txt", "--json").out)["dropped"]["non_finite"] == 1


def test_search_several_queries_as_tables(neuro, trained):
    ended = neuro("embed", "search", "--model", trained, "-q", "paris", "-q", KING, "-k", 3)
    assert ended.code == 0
    assert "bits apart" in ended.out
    assert KING in ended.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-q", "pariss"], "'paris'"),
        (["-q", "qqqqzzzz"], "is not among the 6000 words"),
        (["-q", ""], "expected a word"),
        (["-q", "king -"], "expected a word"),
        (["-q", "king man"], "put + or -"),
        (["-q", "paris", "--bits", 0], "[1, 128]"),
        (["-q", "paris", "--bits", -1], "[1, 128]"),
        (["-q", "paris", "--bits", 129], "[1, 128]"),
        (["-q", "paris", "--space", "float", "--bits", 64], "--bits"),
        (["-q", "paris", "--index", "missing"], "missing: no such file"),
        (["-q", "paris", "--vectors", "missing"], "no file 'missing'"),
        (["-q", "paris", "--limit", 10], "is not among the 10 words"),
    ],
)
def test_search_refuses(neuro, trained, options, said):
    ended = neuro("embed", "search", "--model", trained, *options)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err


def test_vectors_that_do_not_fit_the_model(neuro, trained, random_vectors):
    random_vectors(100)
    for command in (["search", "-q", "qz1"], ["encode", "--out", "c"], ["eval", "--out", "e"]):
        ended = neuro("embed", *command, "--model", trained, "--vectors", "vectors.txt")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "is for vectors of 50 values; vectors.txt has 16" in ended.err


def test_a_model_file_alone_needs_vectors(neuro, trained, tmp_path):
    shutil.copy(trained / "model.safetensors", tmp_path / "alone")
    ended = neuro("embed", "search", "--model", "alone", "-q", "paris")
    assert ended.code == 2
    assert "--vectors" in ended.err
    query = ["-q", "paris", "-k", 3, "--limit", 6000, "--vectors", "samples:glove-50d", "--json"]
    alone = neuro("embed", "search", "--model", "alone", *query)
    assert alone.out == neuro("embed", "search", "--model", trained, *query[:4], "--json").out


def test_eval(neuro, trained):
    ended = neuro("embed", "eval", "--model", trained, "--out", "judged", "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    scores = {score["name"]: score for score in result["scores"]}
    assert {"float32", "float32, prepared", "five-bit", "binary 64", "binary 128"} <= scores.keys()
    assert result["not_measured"] == {}
    assert scores["float32"]["analogy"] > 0.3
    for name, score in scores.items():
        asymmetric = score["analogy_asymmetric"]
        assert (asymmetric is not None) == (name in ("binary 64", "binary 128"))
    assert scores["binary 128"]["analogy_asymmetric"] > scores["binary 128"]["analogy"] > 0
    assert scores["float32, prepared"]["recall"] == 1
    assert 0 < scores["binary 64"]["recall"] < scores["binary 128"]["recall"] < scores["five-bit"]["recall"] <= 1
    assert 0 < scores["binary 64"]["cosine"] < scores["binary 128"]["cosine"] < scores["five-bit"]["cosine"] <= 1
    for score in scores.values():
        for name, (low, high) in score["intervals"].items():
            assert -1 <= low <= score["similarity"][name] <= high <= 1
    assert scores["binary 128"]["compression"] == 50 * 4 / 16
    assert len(result["plots"]) == 3
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "evaluating: " in ended.err


def test_eval_dry_run_writes_nothing(neuro, trained, tmp_path):
    before = sorted(trained.rglob("*"))
    settings = json.loads(neuro("embed", "eval", "--model", trained, "--dry-run", "--json", "--seed", 4).out)
    assert settings["seed"] == 4
    assert "would write" in neuro("embed", "eval", "--model", trained, "--dry-run", "--out", "judged").out
    assert list(tmp_path.iterdir()) == []
    assert sorted(trained.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "source", "limit"),
    [
        ([], "samples:glove-50d", 6000),
        (["--limit", 500], "samples:glove-50d", 500),
        (["--limit", 0], "samples:glove-50d", 0),
        (["--vectors", "samples:minilm"], "samples:minilm", 0),
        (["--vectors", "samples:minilm", "--limit", 7], "samples:minilm", 7),
    ],
)
def test_which_vectors_are_judged(neuro, trained, options, source, limit):
    """The run's own, unless others are named; 0 stands for all words."""
    settings = json.loads(neuro("embed", "eval", "--model", trained, "--dry-run", "--json", *options).out)
    assert (settings["vectors"]["source"], settings["vectors"]["limit"]) == (source, limit)


def test_eval_says_what_it_leaves_out(neuro, random_vectors, small):
    """A frame of 64 vectors does not span 96 dimensions."""
    random_vectors(1500, dim=96)
    options = ["--vectors", "vectors.txt", *small, "--set", "train.rounds=1", "--out", "run"]
    assert neuro("embed", "train", *options).code == 0
    sets = ["--set", "evaluation.pairs=[]", "--set", "evaluation.analogies="]
    result = json.loads(neuro("embed", "eval", "--model", "run", *sets, "--json").out)
    assert result["not_measured"].keys() == {"sigma-delta 64"}
    assert "at least 96 bits" in result["not_measured"]["sigma-delta 64"]
    assert any(score["name"].startswith("sigma-delta 128") for score in result["scores"])


def test_only_too_few_known_words_are_taken_as_not_measured():
    missing = Missing()

    def fail(error):
        raise error

    assert missing.attempt("a", lambda: fail(TooFewKnownError("only 0 of 9"))) is None
    assert missing.reasons == {"a": "only 0 of 9"}
    with pytest.raises(ValueError, match="another mistake"):
        missing.attempt("b", lambda: fail(ValueError("another mistake")))


def test_decode_is_that_of_the_model(neuro, trained):
    neuro("embed", "encode", "--model", trained, "--out", "c", "--bits", 64)
    ended = neuro("embed", "decode", "--codes", "c", "--model", trained, "--out", "v.npy", "--json")
    assert json.loads(ended.out) == {"vectors": ["v.npy"], "words": 6000, "dims": [50]}
    codes, read = BinaryCodes.load("c"), load_vectors("v.npy")
    assert read.words == codes.words
    assert torch.equal(read.vectors, MatryoshkaBinarizer.load(trained / "model.safetensors").decode(codes))
    codes.truncate(40).save("short")
    BinaryCodes(codes.packed, 64).save("bare")
    for name, said in (("short", "of prefixes [40]"), ("bare", "hold no words")):
        ended = neuro("embed", "decode", "--codes", name, "--model", trained, "--out", "w.npy")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert said in ended.err


@pytest.mark.parametrize("bits", [0, 129])
def test_a_prefix_that_is_not_there_is_refused_before_the_work(neuro, trained, bits):
    encode = ["embed", "encode", "--model", trained, "--vectors", "not-read.txt"]
    for command in (encode, ["embed", "index", "--codes", trained / "codes.safetensors"]):
        ended = neuro(*command, "--bits", bits, "--out", "x")
        assert (ended.code, ended.err) == (2, f"error: --bits {bits}: must lie in [1, 128]\n")


def test_eval_without_sets(neuro, trained):
    options = ["--set", "evaluation.pairs=[]", "--set", "evaluation.analogies=", "--limit", 500]
    ended = neuro("embed", "eval", "--model", trained, *options, "--out", "judged", "--quiet")
    assert ended.code == 0, ended.err
    assert "recall@10" in ended.out
    assert "analogy " not in ended.out.splitlines()[2]


def test_info(neuro, trained, random_vectors):
    def about(path):
        facts = neuro("embed", "info", path)
        assert facts.code == 0, facts.err
        document = json.loads(neuro("embed", "info", path, "--json").out)
        assert all(f"{name}: " in facts.out for name in document)
        return document

    run = about(trained)
    assert (run["finished"], run["checkpoints"], run["bits"]) == (True, [2, 3], [64, 128])
    assert run["last_validation"]["step"] == 3
    assert about(trained / "model.safetensors")["dim"] == 50
    codes = about(trained / "codes.safetensors")
    assert (codes["count"], codes["n_bits"], codes["levels"], codes["words"]) == (6000, 128, [64, 128], True)
    neuro("embed", "index", "--codes", trained / "codes.safetensors", "--out", "i.safetensors")
    assert about("i.safetensors")["count"] == 6000
    for name, kind in (("model", "model"), ("codes", "codes")):
        shutil.copy(trained / f"{name}.safetensors", f"{name}.bin")  # told by the header, not by the name
        assert kind in about(f"{name}.bin")
    vectors = random_vectors(20, edit={4: "qz1 " + " ".join(["0.5"] * 16)})
    assert about(vectors) == {
        "vectors": str(vectors),
        "words": 19,
        "dim": 16,
        "dropped": {"duplicate": 1, "non_finite": 0},
    }


def test_info_of_nothing_known(neuro, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "garbage").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "garbage.safetensors").write_bytes(bytes(range(256)) * 8)
    for name in ("missing", "folder", "garbage", "garbage.safetensors"):
        ended = neuro("embed", "info", name)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert name in ended.err


def test_outputs_that_cannot_be_written(neuro, trained, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    codes = trained / "codes.safetensors"
    for out in ("folder", "file/below"):
        for command in (["encode", "--model", trained], ["index", "--codes", codes]):
            ended = neuro("embed", *command, "--out", out)
            assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
            assert f"--out {out}: " in ended.err
    for command in (["train"], ["eval", "--model", trained]):
        ended = neuro("embed", *command, "--out", "file/below")
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert "file is a file, not a folder" in ended.err


def test_the_encoded_words_are_those_of_the_source(trained):
    codes = BinaryCodes.load(trained / "codes.safetensors")
    assert codes.words == load_vectors("samples:glove-50d", limit=6000).words
