"""Evaluation sets: the forms that are read, what is wrong named with its line, and the sizes of known sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from binemb import Analogies, EvaluationSetError, WordPairs, load_analogies, load_word_pairs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("separator", ["\t", ",", " ", "  ", ", "])
@pytest.mark.parametrize("header", ["", "word1{0}word2{0}score\n", "# a comment\nWord 1{0}Word 2{0}Human (mean)\n"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_pairs_in_the_usual_forms(tmp_path, separator, header, line_end):
    body = "\n".join(separator.join(fields) for fields in (("tiger", "cat", "7.35"), ("café", "tea", "-1e-1", "more")))
    content = (header.format(separator) + body + "\n\n# end\n").replace("\n", line_end)
    read = load_word_pairs(write(tmp_path / "set.csv", "\ufeff" + content))
    assert read == WordPairs("set", [("tiger", "cat", 7.35), ("café", "tea", -0.1)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b 1\nc d\n", "line 2: expected word, word, score, found 'c d'"),
        ("# c\n\na b 1\n\nc d high\n", "line 5: expected word, word, score, found 'c d high'"),
        ("word1 word2 score\na b high\nc d 1\n", "line 2: expected word, word, score, found 'a b high'"),
        ("a b 1\nc d nan\n", "line 2: expected word, word, score, found 'c d nan'"),
        ("a b 1\nc d inf\n", "line 2"),
        ("a b 1\u2028\nc d 1\u0085\ne f\n", "line 3: expected word, word, score, found 'e f'"),
        ("just prose\n", "line 1"),
        ("", "no word pairs in it"),
        ("# only\nword1 word2 score\n", "no word pairs in it"),
        (b"a b 1\n\xff\xfe c 2\n", "not UTF-8 text"),
    ],
)
def test_pairs_that_are_refused(tmp_path, content, message):
    path = write(tmp_path / "set.txt", content)
    with pytest.raises(EvaluationSetError) as error:
        load_word_pairs(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_analogies_with_and_without_sections(tmp_path):
    read = load_analogies(write(tmp_path / "set.txt", "a b c d\n: first one\r\ne f g h\n\n:second\ni j k l\nm n o p"))
    first, second = ("e", "f", "g", "h"), [("i", "j", "k", "l"), ("m", "n", "o", "p")]
    assert read == Analogies("set", {"all": [("a", "b", "c", "d")], "first one": [first], "second": second})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (": x\na b c d\na b c\n", "line 3: expected four words, found 3: 'a b c'"),
        ("a b c d e\n", "line 1: expected four words, found 5"),
        (": x\n", "no questions in it"),
        ("", "no questions in it"),
        (b"\x80\x81\n", "not UTF-8 text"),
    ],
)
def test_analogies_that_are_refused(tmp_path, content, message):
    path = write(tmp_path / "set.txt", content)
    with pytest.raises(EvaluationSetError) as error:
        load_analogies(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("load", [load_word_pairs, load_analogies])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=80), st.text(alphabet="ab1. ,\t\n#:é", max_size=60).map(str.encode)))
def test_any_bytes_give_a_set_or_the_named_error(tmp_path, load, content):
    try:
        read = load(write(tmp_path / "any", content))
    except EvaluationSetError:
        return
    assert read.pairs if isinstance(read, WordPairs) else read.sections


def test_the_sets_that_come_with_gensim():
    assert [(len(load_word_pairs(name).pairs), load_word_pairs(name).name) for name in ("wordsim353", "simlex999")] == [
        (353, "wordsim353"),
        (999, "simlex999"),
    ]
    google = load_analogies("google")
    assert (len(google.sections), sum(map(len, google.sections.values()))) == (14, 19_544)
    assert google.sections["family"][0] == ("boy", "girl", "brother", "sister")
    for load in (load_word_pairs, load_analogies):
        with pytest.raises(
            FileNotFoundError, match=r"wordsim: neither a file nor one of wordsim353, simlex999, google"
        ):
            load("wordsim")


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "wordsim").is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("name", "n_pairs"),
    [("MEN-TR-3k", 3000), ("MTurk-771", 771), ("RG-65", 65), ("SIMLEX-999", 999), ("WS-353-ALL", 353)],
)
def test_the_sets_on_disk(name, n_pairs):
    read = load_word_pairs(DATA / "wordsim" / f"EN-{name}.txt")
    assert (read.name, len(read.pairs)) == (f"EN-{name}", n_pairs)
    assert all(a and b and score >= 0 for a, b, score in read.pairs)
