"""Token files: what is written is read, whatever interrupts the writing; what is damaged is named."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from ddp_utils import FileFormatError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spikeformer.token_shards import TokenShards
from spikeformer.token_stream import TokenArray, TokenStream
from spikeformer.token_writer import TokenShardWriter, write_token_shards

BYTES: dict[str, Any] = {"tokenizer": {"name": "bytes"}, "vocab_size": 257, "end_id": 256}
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
documents = st.lists(st.text(max_size=40), min_size=1, max_size=30)


def encode(text):
    return list(text.encode())


def joined(texts):
    """The tokens of documents, by the definition."""
    return [entry for text in texts for entry in [*text.encode(), 256]]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """Three shards of readable text."""
    texts = [f"document {number}, ünïcödé" for number in range(40)]
    write_token_shards(tmp_path / "tokens", texts, encode, **BYTES, shard_tokens=400)
    return tmp_path / "tokens"


@quick
@given(texts=documents, shard_tokens=st.integers(1, 200), data=st.data())
def test_round_trip(tmp_path_factory, texts, shard_tokens, data):
    """Any stretch of tokens, over any shards, and the bytes and characters of its text."""
    folder = tmp_path_factory.mktemp("tokens")
    tokens = write_token_shards(folder, texts, encode, **BYTES, shard_tokens=shard_tokens)
    expected = joined(texts)
    assert len(tokens) == len(expected)
    assert tokens.n_documents == len(texts)
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert tokens.read(start, stop).tolist() == expected[start:stop]
    assert tokens.measure(0, len(tokens)) == (len("".join(texts).encode()), len("".join(texts)))
    assert sum(shard.characters for shard in tokens.index.shards) == len("".join(texts))
    tokens.verify()


def test_width_follows_the_vocabulary(tmp_path):
    for vocab_size, width in ((65536, 2), (65537, 4)):
        arguments: dict[str, Any] = {"tokenizer": {"name": "t"}, "vocab_size": vocab_size, "end_id": 0}
        folder = tmp_path / str(vocab_size)
        tokens = write_token_shards(folder, ["x"], lambda _, last=vocab_size - 1: [last], **arguments)
        assert tokens.read(0, 2).tolist() == [vocab_size - 1, 0]
        assert (folder / "tokens-00000.bin").stat().st_size == 2 * width


def test_measure_of_other_tokens_is_the_share_of_the_shard(tmp_path):
    arguments: dict[str, Any] = {"tokenizer": {"name": "words"}, "vocab_size": 9, "end_id": 8}
    texts = ["äb c d", "efgh"]
    tokens = write_token_shards(tmp_path, texts, lambda t: range(len(t.split())), **arguments, shard_tokens=4)
    assert [shard.tokens for shard in tokens.index.shards] == [4, 2]
    assert tokens.measure(0, 6) == (11, 10)
    assert tokens.measure(2, 5) == (7 / 2 + 4 / 2, 6 / 2 + 4 / 2)


@quick
@given(texts=documents, shard_tokens=st.integers(1, 60), cut=st.integers(0, 30))
def test_an_interrupted_writing_goes_on_bit_identically(tmp_path_factory, texts, shard_tokens, cut):
    whole, resumed = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("resumed")
    write_token_shards(whole, texts, encode, **BYTES, shard_tokens=shard_tokens)
    calls = []

    def fails(text):
        calls.append(text)
        if len(calls) > cut:
            raise KeyboardInterrupt
        return encode(text)

    try:
        write_token_shards(resumed, texts, fails, **BYTES, shard_tokens=shard_tokens)
    except KeyboardInterrupt:
        if (resumed / "tokens-00000.bin").exists():
            with pytest.raises(FileFormatError, match="has not finished"):
                TokenShards(resumed)
        else:
            assert not list(resumed.iterdir())
    write_token_shards(resumed, texts, encode, **BYTES, shard_tokens=shard_tokens)
    assert contents(resumed) == contents(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from spikeformer.token_writer import write_token_shards
events, last, replace = 0, 0, Path.replace
def event():
    global events
    events += 1
    if events == last:
        os.kill(os.getpid(), signal.SIGKILL)
def killed_replace(self, target):
    event()
    replace(self, target)
    event()
texts = [f"document {number}" for number in range(12)]
def write(folder):
    write_token_shards(folder, texts, lambda text: list(text.encode()), tokenizer={"name": "bytes"}, vocab_size=257,
                       end_id=256, shard_tokens=50)
for last in range(1, int(sys.argv[1]) + 1):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    else:
        Path.replace = killed_replace
        write(Path(str(last)))
        os._exit(0)
"""


def test_killed_before_and_after_a_rename(tmp_path):
    """Of the index, of a shard, of the index that names it, and so on to the end."""
    texts = [f"document {number}" for number in range(12)]
    write_token_shards(tmp_path / "whole", texts, encode, **BYTES, shard_tokens=50)
    n_shards = len(list((tmp_path / "whole").glob("*.bin")))
    renames = 1 + 2 * n_shards + 1
    ended = subprocess.run([sys.executable, "-c", KILLED, str(2 * renames)], check=False, cwd=tmp_path)
    assert ended.returncode == 0
    for number in range(1, 2 * renames + 1):
        write_token_shards(tmp_path / str(number), texts, encode, **BYTES, shard_tokens=50)
        assert contents(tmp_path / str(number)) == contents(tmp_path / "whole")


def test_a_finished_folder_is_left_as_it_is(folder):
    before = contents(folder)
    again = write_token_shards(folder, iter(()), encode, **BYTES, shard_tokens=400)
    assert again.n_documents == 40
    assert contents(folder) == before


def test_a_shard_that_is_damaged_is_written_again(folder, caplog):
    """And those after it, from the first that does not match."""
    texts = [f"document {number}, ünïcödé" for number in range(40)]
    before, shard = contents(folder), folder / "tokens-00001.bin"
    changed = bytes([before[shard.name][0] ^ 1]) + before[shard.name][1:]
    for damage in (lambda: shard.write_bytes(changed), lambda: shard.write_bytes(changed[:-2]), shard.unlink):
        damage()
        caplog.clear()
        write_token_shards(folder, texts, encode, **BYTES, shard_tokens=400)
        assert contents(folder) == before
        assert [record.getMessage() for record in caplog.records] == [
            f"{shard}: missing or damaged; written again from here on"
        ]


def test_where_no_shard_was_finished_nothing_stays(tmp_path):
    """So other tokens may come; a folder that stood before is left, and after a kill an index alone binds nobody."""
    (tmp_path / "theirs").mkdir()
    for name in ("theirs", "ours"):
        with TokenShardWriter(tmp_path / name, **BYTES) as writer:
            writer.append(0, [1], n_bytes=1, n_characters=1)
            assert writer.tokens == 2
            assert sorted(path.name for path in (tmp_path / name).iterdir())[-1] == "index.json"
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    assert not list((tmp_path / "theirs").iterdir())
    TokenShardWriter(tmp_path / "killed", **BYTES)
    other: dict[str, Any] = {**BYTES, "vocab_size": 300}
    assert write_token_shards(tmp_path / "killed", ["x"], encode, **other).vocab_size == 300


def test_the_digest_tells_tokens_from_others(tmp_path):
    digests = [write_token_shards(tmp_path / text, [text], encode, **BYTES).digest for text in ("ab", "ac")]
    digests += [TokenArray.of_bytes(text).digest for text in ("ab", "ac")]
    assert len(set(digests)) == 4
    assert TokenShards(tmp_path / "ab").digest == digests[0]
    assert TokenArray.of_bytes("ab").digest == digests[2]


def test_other_tokens_are_refused(folder):
    with pytest.raises(ValueError, match="another vocab_size"):
        write_token_shards(folder, [], encode, **{**BYTES, "vocab_size": 300}, shard_tokens=400)
    with pytest.raises(ValueError, match="another shard_tokens"):
        write_token_shards(folder, [], encode, **BYTES, shard_tokens=500)


def test_what_cannot_be_written(tmp_path):
    with TokenShardWriter(tmp_path, **BYTES) as writer:
        with pytest.raises(ValueError, match="record 0: entries 5 to 257"):
            writer.append(0, [5, 257], n_bytes=1, n_characters=1)
        with pytest.raises(ValueError, match="integers"):
            writer.append(0, np.array([0.5]), n_bytes=1, n_characters=1)
        writer.append(3, [1], n_bytes=1, n_characters=1)
        with pytest.raises(ValueError, match="record 2 comes after record 3"):
            writer.append(2, [1], n_bytes=1, n_characters=1)
    with pytest.raises(ValueError, match="end_id"):
        TokenShardWriter(tmp_path / "b", tokenizer={"name": "x"}, vocab_size=5, end_id=5)
    with pytest.raises(ValueError, match="name"):
        TokenShardWriter(tmp_path / "b", tokenizer={}, vocab_size=5, end_id=4)


def test_parts_of_a_document(tmp_path):
    with TokenShardWriter(tmp_path, **BYTES) as writer:
        writer.append(0, [65], n_bytes=1, n_characters=1, ends=False)
        writer.append(1, [66], n_bytes=1, n_characters=1)
        tokens = writer.finish()
    assert tokens.read(0, 3).tolist() == [65, 66, 256]
    assert tokens.n_documents == 1


def test_an_empty_folder_of_tokens(tmp_path):
    tokens = write_token_shards(tmp_path, [], encode, **BYTES)
    assert len(tokens) == 0
    assert tokens.read(0, 0).tolist() == []
    assert tokens.measure(0, 0) == (0, 0)


def test_damage_is_named(folder):
    shard = folder / "tokens-00001.bin"
    content = bytearray(shard.read_bytes())
    content[20] ^= 1
    shard.write_bytes(content)
    tokens = TokenShards(folder)
    with pytest.raises(FileFormatError, match=r"tokens-00001\.bin: damaged: its checksum"):
        tokens.verify()
    content[21] = 9
    shard.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"tokens-00001\.bin: damaged: entry 2\d\d\d of a vocabulary of 257"):
        TokenShards(folder).read(0, len(tokens))
    shard.write_bytes(content[:-1])
    with pytest.raises(FileFormatError, match=r"tokens-00001\.bin: damaged: \d+ bytes"):
        TokenShards(folder)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"tokens-00001\.bin"):
        TokenShards(folder)
    with pytest.raises(FileNotFoundError, match="not a folder of tokens"):
        TokenShards(folder.parent)


@quick
@given(data=st.data())
def test_a_damaged_index_raises_the_named_error(folder, data):
    """Whatever byte changes or goes missing."""
    path = folder / "index.json"
    original = path.read_bytes()
    at = data.draw(st.integers(0, len(original) - 3))
    changed = original[:at] + bytes([original[at] ^ 0x15]) + original[at + 1 :]
    try:
        path.write_bytes(data.draw(st.sampled_from([original[:at], changed])))
        with pytest.raises(FileFormatError, match=r"index\.json"):
            TokenShards(folder)
    finally:
        path.write_bytes(original)


def test_a_newer_version_is_refused(folder):
    document = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(document | {"version": 2}))
    with pytest.raises(FileFormatError, match="version 2; this release reads version 1"):
        TokenShards(folder)


def test_reading_outside(folder):
    with pytest.raises(ValueError, match="is not within"):
        TokenShards(folder).read(5, 10**6)
    with pytest.raises(ValueError, match="is not within"):
        TokenArray.of_bytes("abc").read(-1, 2)
    with pytest.raises(ValueError, match="entries 0 to 7 are not within the vocabulary of 7"):
        TokenArray([0, 7], 7, n_bytes=2, n_characters=2)


def test_bytes_in_memory_equal_those_in_files(tmp_path):
    text = "Ein Text, größer als ASCII: 雨"
    tokens, array = write_token_shards(tmp_path, [text], encode, **BYTES), TokenArray.of_bytes(text)
    assert array.read(0, len(array)).tolist() == tokens.read(0, len(tokens)).tolist()
    characters = len(text.encode()[3:21].decode())
    assert array.measure(3, 21) == tokens.measure(3, 21) == (18, characters)


@quick
@given(n=st.integers(2, 400), streams=st.integers(1, 8), length=st.integers(1, 20), seed=st.integers(0, 9))
def test_streams_go_on_and_read_everything(n, streams, length, seed):
    """Each stream's next batch begins with the token after its last, and an epoch reads each token once."""
    source = TokenArray(range(n), n, n_bytes=n, n_characters=n)
    if n < streams * (length + 1):
        with pytest.raises(ValueError, match="do not fill"):
            TokenStream(source, streams, length, seed)
        return
    stream = TokenStream(source, streams, length, seed)
    everyone = range(streams)
    for step in range(3):
        tokens_BL, next_BL = stream.batch(step, everyone), stream.batch(step + 1, everyone)
        assert tokens_BL.shape == (streams, length + 1)
        assert tokens_BL[:, -1].tolist() == next_BL[:, 0].tolist()
        assert ((tokens_BL[:, 1:] - tokens_BL[:, :-1]) % n == 1).all()
        assert stream.batch(step, [streams - 1])[0].tolist() == tokens_BL[-1].tolist()
    if n % (streams * length) == 0:
        epoch = [stream.batch(step, everyone)[:, :-1] for step in range(round(stream.steps_per_epoch))]
        assert sorted(entry for batch in epoch for entry in batch.flatten().tolist()) == list(range(n))
