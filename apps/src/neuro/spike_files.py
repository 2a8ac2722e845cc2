"""Spike trains as files: FILE, FILE.codec, which decodes it, and FILE.about, which says what was encoded.

FILE.about knows the checksums of the other two: a train never comes with the codec or the words of another.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from binemb.codes import pack_words, unpack_words
from ddp_utils import FileFormatError, atomic_file, read_tensor_file, write_tensor_file
from spikecode import SpikeCodec, SpikeTrain

from neuro.spike_settings import TextSettings

KIND, VERSION = "neuro.spikes", 1


@dataclass(frozen=True, eq=False)
class SpikeFile:
    """A train, its codec, and what it stands for.

    Args:
        train: n rows.
        codec: what encoded them.
        words: the words of n vectors; empty for texts.
        lengths: tokens of each text, in the order of the rows; empty for vectors.
        text: whose tokens the texts are made of; None for vectors.
    """

    train: SpikeTrain
    codec: SpikeCodec
    words: list[str]
    lengths: list[int]
    text: TextSettings | None

    def save(self, path: Path) -> None:
        """Write the three files; none takes its place before all are whole.

        Raises:
            OSError: a file cannot be written; what was there before is still there.
            ValueError: a word holds a line break.
        """
        with contextlib.ExitStack() as whole:
            about, codec, train = (whole.enter_context(atomic_file(file)) for file in (*_beside(path)[::-1], path))
            self.train.save(train)
            self.codec.save(codec)
            facts: dict[str, Any] = {"count": len(self.words), "lengths": self.lengths}
            facts |= {"text": self.text and asdict(self.text), "train": _digest(train), "codec": _digest(codec)}
            write_tensor_file(about, {"words": pack_words(self.words)}, kind=KIND, version=VERSION, metadata=facts)

    @classmethod
    def load(cls, path: Path) -> SpikeFile:
        """Read the three files.

        Raises:
            FileNotFoundError: there is no such train, or one of the files beside it is not there.
            FileFormatError: one of them is damaged, of another kind or newer; or they do not belong together.
        """
        codec_file, about = _beside(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such train file")
        for beside in (codec_file, about):
            if not beside.is_file():
                raise FileNotFoundError(f"{beside}: no such file: it belongs to {path}; keep the three together")
        train = SpikeTrain.load(path)
        tensors, facts = read_tensor_file(about, kind=KIND, version=VERSION)
        for file, name in ((path, "train"), (codec_file, "codec")):
            if facts.get(name) != _digest(file):
                raise FileFormatError(f"{about}: belongs to another {name} than {file}; encode again")
        try:
            words = unpack_words(tensors["words"], facts["count"])
            lengths = [int(length) for length in facts["lengths"]]
            text = TextSettings(**facts["text"]) if facts["text"] else None
            rows = sum(lengths) if text else len(words)
            if rows != train.shape[0]:
                raise ValueError(f"{rows} words or tokens for {train.shape[0]} rows")
        except (KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"{about}: not usable: {error}") from error
        return cls(train, SpikeCodec.load(codec_file), words, lengths, text)


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}.codec"), path.with_name(f"{path.name}.about")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
