"""From vectors to a codec, codes, vectors again and judgement."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from binemb import load_parts, load_vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from neuro.codec_encode import concatenate
from neuro.config import ConfigError
from neuro.options import join_sources
from neuro.vector_files import SUFFIXES, write_parts
from neuro.word_codes import WordCodes
from sdquant import Codec, CodecCodes, CodecConfig

GLOVE, MINILM = "samples:glove-50d", "samples:minilm"


def glove(limit=2000):
    return load_vectors(GLOVE, limit=limit)


def test_run_folder(fitted):
    names = {path.name for path in fitted.iterdir()}
    assert names == {
        ".lock", "codec.sdq", "codes.safetensors", "codes.safetensors.words", "config.toml", "env.json", "plots",
        "report.html",
    }  # fmt: skip
    pictures = sorted((fitted / "plots").iterdir())
    assert [path.name for path in pictures] == ["bytes.png", "cosine.png", "distances.png"]
    page = (fitted / "report.html").read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|href)\s*=\s*"([^"]+)"', page)
    assert len(loaded) == 3
    assert all(value.startswith("data:image/png;base64,") for value in loaded)


def test_fit_is_that_of_the_library(neuro, fit, tmp_path):
    """Same codec, same codes; every byte that the figures count is on the disk."""
    ended = neuro("embed", "fit", *fit, "--seed", 3, "--out", "run", "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    vectors = glove()
    codec, codes = Codec.fit_encode(vectors.vectors, 15, config=CodecConfig(rounds=3), seed=3)
    kept = WordCodes.load(tmp_path / "run" / "codes.safetensors")
    assert Codec.load(tmp_path / "run" / "codec.sdq").codec_id == codec.codec_id
    assert torch.equal(kept.codes.stream, codes.stream)
    assert kept.words == vectors.words
    figures = summary["figures"]
    sizes = [(tmp_path / summary[name]).stat().st_size for name in ("codec", "codes")]
    assert figures["bytes_total"] == sum(sizes)
    assert figures["compression"] == pytest.approx(4 * 50 * 2000 / sum(sizes))
    assert figures["compression"] >= 15
    assert figures["identity"] == 1
    assert (summary["words"], summary["held_out"]) == (2000, 0)
    assert "held_out_rows" not in figures
    assert "fitting a codec 15x smaller than 2,000 words" in ended.err
    # encode does again what the fit did
    assert neuro("embed", "encode", "--model", "run", "--out", "c").code == 0
    for name in ("", ".words"):
        assert Path(f"c{name}").read_bytes() == Path(f"run/codes.safetensors{name}").read_bytes()


def test_held_out_words_are_kept_out_and_judged(neuro, fitted, fit):
    kept = WordCodes.load(fitted / "codes.safetensors").words
    words = glove().words
    assert len(kept) == 1900
    assert kept == [word for word in words if word in set(kept)]
    judged = json.loads(neuro("embed", "eval", "--model", fitted, "--out", "judged", "--json", "--quiet").out)
    figures = judged["figures"]
    assert (figures["rows"], figures["held_out_rows"]) == (1900, 100)
    codec = Codec.load(fitted / "codec.sdq")
    held = torch.stack([row for word, row in zip(words, glove().vectors, strict=True) if word not in set(kept)])
    again = codec.decode(codec.encode(held, verify=False))
    cosine = torch.nn.functional.cosine_similarity(torch.as_tensor(again), held).mean()
    assert figures["held_out_cosine"] == pytest.approx(float(cosine), abs=1e-6)
    other = neuro("embed", "fit", *fit, "--held-out", 100, "--seed", 1, "--out", "run", "--quiet", "--json")
    assert json.loads(other.out)["figures"]["held_out_rows"] == 100
    assert WordCodes.load(Path("run/codes.safetensors")).words != kept


def test_eval_says_what_fit_said(neuro, fit):
    fitting = neuro("embed", "fit", *fit, "--held-out", 50, "--out", "run", "--json", "--quiet")
    judged = neuro("embed", "eval", "--model", "run", "--json", "--quiet")
    assert (fitting.err, judged.err) == ("", "")
    assert json.loads(judged.out)["figures"] == json.loads(fitting.out)["figures"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_decode_is_that_of_the_library(neuro, fitted, suffix):
    """Every form holds every bit, and the words, and goes back in."""
    codes = fitted / "codes.safetensors"
    out = f"vectors{suffix}"
    ended = neuro("embed", "decode", "--codes", codes, "--model", fitted, "--out", out, "--json")
    assert json.loads(ended.out) == {"vectors": [out], "words": 1900, "dims": [50]}
    kept, read = WordCodes.load(codes), load_vectors(out)
    assert read.words == kept.words
    assert torch.equal(read.vectors, torch.as_tensor(Codec.load(fitted / "codec.sdq").decode(kept.codes)))
    assert neuro("embed", "encode", "--model", fitted / "codec.sdq", "--vectors", out, "--out", "again").code == 0


def test_several_sources_are_parts(neuro, quick_fit, tmp_path):
    for source, file, limit in ((GLOVE, "g.npy", 4000), (MINILM, "m.npy", 6000)):
        vectors = load_vectors(source, limit=limit)
        write_parts(tmp_path / file, vectors.words, [vectors.vectors])
    options = ["--vectors", "g.npy", "--vectors", "m.npy", "--limit", 700, *quick_fit]
    ended = neuro("embed", "fit", *options, "--held-out", 20, "--out", "run", "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert [(part["source"], part["dim"]) for part in summary["parts"]] == [("g.npy", 50), ("m.npy", 384)]
    assert "700 words x 50 from g.npy + 384 from m.npy" in ended.err
    assert json.loads(neuro("embed", "info", "run", "--json").out)["dims"] == [50, 384]
    command = ["embed", "decode", "--codes", "run/codes.safetensors", "--model", "run", "--out", "v.npy", "--json"]
    decoded = json.loads(neuro(*command).out)
    assert decoded == {"vectors": ["v.1.npy", "v.2.npy"], "words": 680, "dims": [50, 384]}
    kept, codec = WordCodes.load(Path("run/codes.safetensors")), Codec.load("run/codec.sdq")
    for file, given_ND, found_ND in zip(
        decoded["vectors"], load_parts("g.npy+m.npy"), codec.decode(kept.codes), strict=True
    ):
        read = load_vectors(file)
        assert read.words == kept.words
        assert torch.equal(read.vectors, found_ND)
        right_ND = given_ND.vectors[given_ND.rows(kept.words)]
        assert (read.vectors - right_ND).square().sum() < 0.8 * (right_ND - right_ND.mean(0)).square().sum()
    judging = neuro("embed", "eval", "--model", "run", "--json")
    assert judging.code == 0, judging.err
    judged = json.loads(judging.out)
    names = [f"{kind}{part}" for part in ("", ", part 1", ", part 2") for kind in ("float32", "codec")]
    assert [score["name"] for score in judged["scores"]] == names
    again = neuro("embed", "encode", "--model", "run", "--vectors", "g.npy+m.npy", "--limit", 300, "--out", "c")
    assert again.code == 0, again.err
    for other, has in ((["m.npy", "g.npy"], "384 + 50"), (["g.npy"], "50")):
        sources = [text for source in other for text in ("--vectors", source)]
        ended = neuro("embed", "encode", "--model", "run", *sources, "--out", "c")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert f"is for vectors of 50 + 384 values; {'+'.join(other)} has {has}" in ended.err


def test_eval_of_a_codec(neuro, fitted):
    ended = neuro("embed", "eval", "--model", fitted, "--out", "judged", "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    given, decoded = result["scores"]
    assert (given["name"], given["recall"], given["bytes_per_vector"]) == ("float32", 1, 200)
    assert decoded["compression"] == pytest.approx(result["figures"]["compression"])
    assert 0.3 < decoded["recall"] < 1
    assert 0 < decoded["analogy"] < given["analogy"]
    assert decoded["cosine"] == pytest.approx(result["figures"]["cosine"], abs=1e-6)
    assert decoded["similarity"]["wordsim353"] == pytest.approx(given["similarity"]["wordsim353"], abs=0.1)
    assert Path(result["report"]).read_text(encoding="utf-8").count("data:image/png;base64,") == 4
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in result["plots"])
    table = neuro("embed", "eval", "--model", fitted, "--out", "judged", "--quiet")
    assert "Beside float32" in table.out
    assert "found again" in table.out


def test_eval_encodes_other_vectors_anew(neuro, fitted, tmp_path):
    """The same words with other vectors: the codes that stand are not theirs."""
    vectors = glove()
    write_parts(tmp_path / "other.npy", vectors.words, [vectors.vectors.flip(0).contiguous()])
    command = ["embed", "eval", "--model", fitted, "--out", "judged", "--json"]
    for options, n_words in ((["--limit", 300], 300), (["--vectors", "other.npy"], 2000)):
        ended = neuro(*command, *options)
        assert ended.code == 0, ended.err
        figures = json.loads(ended.out)["figures"]
        assert (figures["rows"], "held_out_rows" in figures) == (n_words, False)
        assert figures["mse_over_variance"] < 0.2
        assert "codes of another codec or of other vectors; encoding anew" in ended.err


def test_a_codec_file_alone_needs_vectors(neuro, fitted, tmp_path):
    shutil.copy(fitted / "codec.sdq", tmp_path / "alone")
    for command in (["encode", "--out", "c"], ["eval", "--out", "e"]):
        ended = neuro("embed", *command, "--model", "alone")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "use --vectors" in ended.err
    assert neuro("embed", "encode", "--model", "alone", "--vectors", GLOVE, "--limit", 100, "--out", "c").code == 0


def test_metric_cosine(neuro, fit, tmp_path):
    ended = neuro("embed", "fit", *fit, "--metric", "cosine", "--out", "run", "--json")
    assert ended.code == 0, ended.err
    assert Codec.load(tmp_path / "run" / "codec.sdq").joining.metric == "cosine"
    neuro("embed", "decode", "--codes", "run/codes.safetensors", "--model", "run", "--out", "v.npy")
    lengths = load_vectors("v.npy").vectors.norm(dim=1)
    assert 0.5 < float(lengths.min()) <= float(lengths.max()) < 1.2


def test_dry_run_writes_nothing(neuro, fit, tmp_path):
    ended = neuro("embed", "fit", *fit, "--out", "run", "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    assert "would fit a codec" in ended.out
    (tmp_path / "c.toml").write_text(ended.out, encoding="utf-8")
    plan = json.loads(neuro("embed", "fit", "--config", "c.toml", "--dry-run", "--json").out)
    assert (plan["settings"]["compression"], plan["settings"]["codec"]["rounds"]) == (15, 3)
    assert plan["settings"]["vectors"] == {
        "source": GLOVE, "limit": 2000, "duplicates": "drop", "non_finite": "error",
        "sentence_model": "samples:all-MiniLM-L6-v2",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


def test_info(neuro, fitted):
    def about(path):
        ended = neuro("embed", "info", path, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    run, codec, codes = about(fitted), about(fitted / "codec.sdq"), about(fitted / "codes.safetensors")
    assert run == {"run": str(fitted), "finished": True, **codec, **codes}
    assert (codec["dims"], codec["metric"], codec["compression"]) == ([50], "euclidean", 15)
    assert codec["codec_bytes"] == (fitted / "codec.sdq").stat().st_size
    assert (codes["count"], codes["words"]) == (1900, True)
    assert codes["bits_per_word"] == codec["symbols"] * codec["bits_per_symbol"]
    words = about(fitted / "codes.safetensors.words")
    assert (words["count"], words["first"]) == (1900, WordCodes.load(fitted / "codes.safetensors").words[:5])
    shutil.copy(fitted / "codec.sdq", "codec.bin")  # told by the header, not by the name
    assert about("codec.bin")["codec_id"] == codec["codec_id"]
    assert neuro("embed", "encode", "--model", "codec.bin", "--vectors", GLOVE, "--limit", 9, "--out", "c").code == 0


def test_each_row_by_itself(neuro, fitted):
    command = ["embed", "encode", "--model", fitted, "--no-verify"]
    assert "not verified" in neuro(*command, "--out", "c").out
    neuro(*command, "--limit", 70, "--out", "few")
    whole, few = CodecCodes.load("c"), CodecCodes.load("few")
    assert torch.equal(whole[:70].symbols(), few.symbols())


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 40), max_size=4))
def test_shares_of_processes_join_to_the_whole(fitted, cuts):
    codec, rows_ND = Codec.load(fitted / "codec.sdq"), glove(40).vectors
    edges = [0, *sorted(cuts), 40]
    shares = [codec.encode(rows_ND[a:b], verify=False) for a, b in pairwise(edges)]
    whole, joined = codec.encode(rows_ND, verify=False), concatenate(shares)
    assert torch.equal(joined.stream, whole.stream)
    assert (len(joined), joined.codec_id) == (40, whole.codec_id)


@pytest.mark.slow
def test_encode_does_not_depend_on_processes(neuro_process, fitted, tmp_path):
    """1,999 words do not divide by 2."""
    for nproc in (1, 2):
        command = ["--model", fitted, "--limit", 1999, "--out", f"c{nproc}", "--nproc", nproc, "--json"]
        ended = neuro_process("embed", "encode", *command, "--no-verify")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["words"] == 1999
    assert (tmp_path / "c1").read_bytes() == (tmp_path / "c2").read_bytes()
    assert (tmp_path / "c1.words").read_bytes() == (tmp_path / "c2.words").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(
    words=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1, max_size=6, unique=True),
    dim=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_written_vectors_are_read_back_or_refused(tmp_path, suffix, words, dim, seed):
    vectors_ND = torch.randn(len(words), dim, generator=torch.Generator().manual_seed(seed)) * 10.0 ** (seed % 60 - 30)
    out = tmp_path / f"v{suffix}"
    out.unlink(missing_ok=True)
    plain = all(re.fullmatch(r"[^\s\x00-\x20]+", word) for word in words)
    with contextlib.nullcontext() if plain else contextlib.suppress(ConfigError):
        write_parts(out, words, [vectors_ND])
    if not out.exists():
        return
    read = load_vectors(out)
    assert read.words == words
    assert torch.equal(read.vectors, vectors_ND)


def test_sources_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x+y.txt").touch()
    assert join_sources(None) is None
    assert join_sources(["x+y.txt"]) == "x+y.txt"
    assert join_sources(["a", "b", "c"]) == "a+b+c"
    with pytest.raises(ValueError, match=r"x\+y\.txt: a name with \+"):
        join_sources(["a", "x+y.txt"])
