"""Runs of texts: training on what a sentence model makes of them, searching by a text, judging retrieval."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from binemb import (
    BinaryCodes,
    MatryoshkaBinarizer,
    encode_sentences,
    evaluate_retrieval,
    evaluate_similarity,
    load_vectors,
    paired_bootstrap,
)

TOPICS = ("cats", "ships", "bread", "stars", "rain", "chess", "trains", "music")
THINGS = ("history", "price", "colour", "size", "future", "origin", "sound", "weight", "age", "use")
TEXTS = [f"The {thing} of {topic}." for topic in TOPICS for thing in THINGS]


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    """A test collection in the layout of BEIR: one relevant document a query."""
    folder = tmp_path_factory.mktemp("collection") / "topics"
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": str(row), "text": text} for row, text in enumerate(TEXTS)]
    queries = [{"_id": f"q{row}", "text": f"{THINGS[row % 10]}, {TOPICS[row // 10]}"} for row in range(0, 80, 7)]
    for name, records in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps(record) + "\n" for record in records]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    judgements = "".join(f"q{row}\t{row}\t1\n" for row in range(0, 80, 7))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judgements, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def of_texts(command, tmp_path_factory):
    """A finished run of texts; one is given twice, and a line is blank."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "texts.txt").write_text("\n".join([*TEXTS, "", TEXTS[0]]) + "\n", encoding="utf-8")
    small = ["--set", "train.global_batch=16", "--set", "train.group=8", "--set", "train.held_out=0.2"]
    options = ["--vectors", f"sentences:{folder / 'texts.txt'}", "--bits", "64,128", "--device", "cpu", *small]
    ended = command("embed", "train", *options, "--set", "train.rounds=2", "--out", folder / "run", "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert (summary["words"], summary["dropped"]["duplicate"]) == (80, 1)
    return folder / "run"


def test_search_by_a_text(neuro, of_texts):
    """A text finds itself, with no bit apart; the one in other words is near."""
    found = neuro("embed", "search", "--model", of_texts, "-q", TEXTS[13], "-q", "nautical vessels", "-k", 3, "--json")
    itself, near = (entry["answers"] for entry in json.loads(found.out))
    assert (itself[0]["word"], itself[0]["distance"]) == (TEXTS[13], 0)
    assert "ships" in near[0]["word"]


def test_retrieval(neuro, of_texts, collection):
    ended = neuro("embed", "eval", "--model", of_texts, "--retrieval", collection, "--out", "judged", "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    assert (result["documents"], result["queries"], result["k"]) == (80, 12, 10)
    scores = {score["name"]: score for score in result["scores"]}
    levels = [f"binary {level}{way}" for level in (64, 128) for way in ("", ", asymmetric")]
    assert list(scores) == ["float32", "float32, prepared", *levels]
    queries = [json.loads(line)["text"] for line in (collection / "queries.jsonl").read_text().splitlines()]
    judgements = [{row: 1} for row in range(0, 80, 7)]
    direct = evaluate_retrieval(encode_sentences(queries), encode_sentences(TEXTS), judgements)
    assert scores["float32"]["ndcg"] == pytest.approx(direct.ndcg, abs=1e-6)
    assert scores["float32"]["mrr"] == pytest.approx(direct.mrr, abs=1e-6)
    assert (scores["binary 64"]["bytes_per_vector"], scores["float32"]["bytes_per_vector"]) == (8, 1536)
    assert [comparison["code"] for comparison in result["comparisons"]] == levels
    for comparison in result["comparisons"]:
        difference = scores[comparison["code"]]["ndcg"] - scores["float32"]["ndcg"]
        assert comparison["difference"] == pytest.approx(difference)
        assert comparison["interval"][0] <= difference <= comparison["interval"][1]
    assert Path(result["picture"]).read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in Path(result["report"]).read_text(encoding="utf-8")


def test_retrieval_needs_a_model_of_sentences(neuro, trained, fitted, of_texts, collection):
    def refused(model, *options):
        ended = neuro("embed", "eval", "--model", model, *options, "--out", "judged")
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        return ended.err

    asked = ["--retrieval", collection]
    assert "--vectors sentences:FILE" in refused(trained, *asked)
    named = [*asked, "--sentence-model", "samples:all-MiniLM-L6-v2", "--quiet"]
    assert "its vectors have 384 values; the model is for 50" in refused(trained, *named)
    assert "the run is of vectors of samples:all-MiniLM-L6-v2" in refused(of_texts, *asked, "--sentence-model", "x")
    assert "--pairs: is for words" in refused(of_texts, *asked, "--pairs", "wordsim353")
    assert "holds a codec" in refused(fitted, *asked)
    assert "is for --retrieval" in refused(of_texts, "--sentence-model", "x")
    assert "no folder" in refused(of_texts, "--retrieval", "nowhere")


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (None, [], "no file 'texts.txt'"),
        (b"\n \n", [], "texts.txt: no text in it"),
        (b"caf\xe9\n", [], "texts.txt: not UTF-8"),
        (b"a\nb\na\n", ["--set", "vectors.duplicates=error"], "texts.txt: line 3: the text of line 1 again"),
    ],
)
def test_texts_that_cannot_be_read(neuro, tmp_path, content, options, said):
    if content is not None:
        (tmp_path / "texts.txt").write_bytes(content)
    ended = neuro("embed", "train", "--vectors", "sentences:texts.txt", *options, "--quiet")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err


def test_a_sentence_model_is_for_texts(neuro):
    ended = neuro("embed", "train", "--vectors", "samples:glove-50d", "--sentence-model", "x", "--dry-run")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "is for vectors of texts" in ended.err


def test_codes_beside_float(neuro, trained, tmp_path):
    """Intervals are those of `paired_bootstrap` on the set's pairs; decoded codes have rows of their own."""
    pairs = tmp_path / "men.txt"
    words = load_vectors("samples:glove-50d", limit=60).words[20:]
    pairs.write_text("".join(f"{a} {b} {i % 7}\n" for i, (a, b) in enumerate(pairwise(words))))
    options = ["--pairs", pairs, "--analogies", "", "--limit", 6000, "--out", "judged", "--json"]
    result = json.loads(neuro("embed", "eval", "--model", trained, *options).out)
    found = {(entry["code"], entry["measure"]): entry for entry in result["comparisons"]}
    codes = ["binary 64", "binary 128", "binary 64, decoded", "binary 128, decoded"]
    assert list(dict.fromkeys(code for code, _ in found)) == codes
    model = MatryoshkaBinarizer.load(trained / "model.safetensors")
    vectors = load_vectors("samples:glove-50d", limit=6000)
    part = BinaryCodes.load(trained / "codes.safetensors").truncate(64)
    sides = (part, model.preparation(vectors.vectors))
    expected = paired_bootstrap(*(evaluate_similarity(s, vectors.words, pairs) for s in sides), resamples=2000)
    assert found["binary 64", "men"]["difference"] == pytest.approx(expected.difference)
    assert found["binary 64", "men"]["interval"] == pytest.approx(expected.interval)
    assert found["binary 64, decoded", "recall@10"]["first"] > found["binary 64", "recall@10"]["first"] - 0.2
