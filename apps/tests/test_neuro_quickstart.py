"""The whole job in one go, on known words and on words that nobody knows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

QUERIES = ("paris", "guitar", "king - man + woman", "tokyo - japan + france")


@pytest.fixture
def quick(small):
    """Options of a short quickstart."""
    return (*small, "--set", "train.rounds=2", "--set", "evaluation.queries=200")


def tags_that_load(page):
    """Values of attributes and style sheets that a browser would fetch."""
    return re.findall(r'(?:src|href|action|data)\s*=\s*["\']?([^"\'\s>]+)', page) + re.findall(r"url\(([^)]*)\)", page)


def test_json(neuro, quick):
    options = ["--vectors", "samples:glove-50d", "--limit", 8000, *quick]
    ended = neuro("quickstart", *options, "--out", "run", "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    assert (result["words"], result["not_measured"], result["not_answered"]) == (8000, {}, {})
    names = [score["name"] for score in result["scores"]]
    assert names[:5] == ["float32", "float32, prepared", "five-bit", "binary 64", "binary 128"]
    for score in result["scores"]:
        figures = [score["analogy"], score["recall"], *score["similarity"].values()]
        assert all(0 <= figure <= 1 for figure in figures)
        assert (score["cosine"] is None) == score["name"].startswith("float32")
        assert 0 < (score["cosine"] or 1) <= 1
    assert result["scores"][0]["analogy"] > 0.3
    assert tuple(result["searches"]) == QUERIES
    assert all(len(found["float"]) == len(found["binary"]) == 5 for found in result["searches"].values())
    page = Path(result["report"]).read_text(encoding="utf-8")
    pictures = sorted(Path("run/plots").glob("*.png"))
    assert [path.stem for path in pictures] == ["agreement", "quality", "reconstruction", "training"]
    loaded = tags_that_load(page)
    assert len(loaded) == len(pictures)
    assert all(value.startswith("data:image/png;base64,") for value in loaded)
    assert "<script" not in page
    assert "<link" not in page
    # what it advises next works on its folder
    search = neuro("embed", "search", "--model", "run", "-q", "king - man + woman", "-k", 5, "--json")
    assert [a["word"] for a in json.loads(search.out)[0]["answers"]] == [
        a["word"] for a in result["searches"]["king - man + woman"]["binary"]
    ]
    assert neuro("embed", "info", "run").code == 0


def test_words_that_nobody_knows(neuro, quick, random_vectors):
    """What cannot be measured or answered is "-" with the reason; the rest is there."""
    random_vectors(1000)
    ended = neuro("quickstart", "--vectors", "vectors.txt", *quick, "--out", "run")
    assert ended.code == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines()]
    row = next(row for row in rows if row[:2] == ["binary", "64"])
    assert row[5:8] == ["-", "-", "-"]
    assert 0 < float(row[8]) <= 1
    page = Path("run/report.html").read_text(encoding="utf-8")
    for text in (ended.out, page.replace("&#39;", "'")):
        assert "Not measured (-): wordsim353: only 0 of 353 pairs" in text
        assert "Not measured (-): google: no question has all four words" in text
        assert "Not answered (-): 'paris' is not among the 1000 words of vectors.txt" in text
    advised = re.search(r'embed search --model run --query "(\S+)"', ended.out)
    assert advised
    assert neuro("embed", "search", "--model", "run", "-q", advised[1]).code == 0


def test_words_that_nobody_knows_as_json(neuro, quick, random_vectors):
    random_vectors(1000)
    options = ["--vectors", "vectors.txt", *quick, "--set", 'queries=["qz1", "qz1 - qz2 + nowhere"]']
    ended = neuro("quickstart", *options, "--set", "evaluation.k=5000", "--out", "run", "--json", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    result = json.loads(ended.out)
    assert result["not_measured"].keys() == {"wordsim353", "simlex999", "google", "recall@5000"}
    assert result["not_answered"].keys() == {"qz1 - qz2 + nowhere"}
    assert result["searches"].keys() == {"qz1"}
    assert {score["recall"] for score in result["scores"]} == {None}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("evaluation.analogies=nowhere", "nowhere: neither a file nor one of"),
        ('evaluation.pairs=["wordsim353", "nowhere"]', "nowhere: neither a file nor one of"),
        ('evaluation.pairs=["damaged"]', "damaged: line 2"),
        ('queries=["paris -"]', "query 'paris -'"),
        ("evaluation.k=0", "evaluation.k"),
    ],
)
def test_bad_evaluation_is_known_before_training(neuro, tmp_path, setting, said):
    (tmp_path / "damaged").write_text("cat dog 7\ncat dog\n", encoding="utf-8")
    ended = neuro("quickstart", "--set", setting, "--out", "run")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_stopped_while_judging(neuro, quick, random_vectors, monkeypatch):
    """Resumable, and the judging goes on from the trained model."""
    random_vectors(1000)
    options = ["--vectors", "vectors.txt", *quick]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("neuro.quickstart.evaluate", interrupt)
        ended = neuro("quickstart", *options)
    assert ended.code == 75
    assert "--resume auto --out runs/" in ended.err.splitlines()[-1]
    ended = neuro("quickstart", *options, "--resume", "auto", "--json")
    assert ended.code == 0, ended.err
    assert f"resumed from {json.loads(ended.out)['run']}/checkpoints/step-00000002" in ended.err


@pytest.mark.slow
def test_two_processes(neuro_process, quick, random_vectors):
    random_vectors(1000)
    ended = neuro_process("quickstart", "--vectors", "vectors.txt", *quick, "--out", "run", "--nproc", 2, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["words"] == 1000
