"""A codec and the words it was made for: as `embed fit` makes it, and opened again.

Shapes: N words of the vocabulary, H held-out words, D dimensions of all parts together.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from binemb import WordVectors
from ddp_utils import keyed_generator
from sdquant import Codec, CodecCodes
from torch import Tensor

from neuro.config import ConfigError
from neuro.embed_run import read_parts
from neuro.embed_settings import VectorSettings
from neuro.file_kind import codec_file
from neuro.run_folder import CODES, CONFIG
from neuro.word_codes import WordCodes, identify

HELD_OUT_AT_MOST = 10_000  # words that a codec opened again is judged by
log = logging.getLogger("neuro")


@dataclass(frozen=True, eq=False)
class CodecRun:
    """A codec, its vocabulary and the codes of that.

    Args:
        codec: the codec.
        vocabulary: a part each, the same words in all.
        codes: of the vocabulary.
        held_out: words that the codec was not fitted to, a part each; no words if there are none.
    """

    codec: Codec
    vocabulary: list[WordVectors]
    codes: CodecCodes
    held_out: list[WordVectors]

    @property
    def words(self) -> list[str]:
        """The vocabulary's words."""
        return self.vocabulary[0].words

    @cached_property
    def joined_ND(self) -> Tensor:
        """Vectors as the codec compares them."""
        return self.codec.joining.join(tensors(self.vocabulary))

    @cached_property
    def decoded_ND(self) -> Tensor:
        """What the codes give back, to compare with `joined_ND`."""
        return self.codec.decode_joined(self.codes).cpu()

    @cached_property
    def held_out_HD(self) -> Tensor:
        """Held-out vectors as the codec compares them."""
        return self.codec.joining.join(tensors(self.held_out))

    @cached_property
    def held_out_decoded_HD(self) -> Tensor:
        """What codes of the held-out vectors, each by itself, give back."""
        codes = self.codec.encode(tensors(self.held_out), verify=False)
        return self.codec.decode_joined(codes).cpu()

    @property
    def word_codes(self) -> WordCodes:
        """The codes with their words."""
        return WordCodes(self.codes, self.words, identify(tensors(self.vocabulary)))


def tensors(parts: Sequence[WordVectors], device: torch.device | str = "cpu") -> list[Tensor]:
    """Vectors of the parts."""
    return [part.vectors.to(device) for part in parts]


def select(parts: Sequence[WordVectors], rows: Tensor) -> list[WordVectors]:
    """The same rows of every part."""
    return [part.select(rows) for part in parts]


def split_held_out(parts: Sequence[WordVectors], count: int, seed: int) -> tuple[list[WordVectors], list[WordVectors]]:
    """Take words out at random; both sides keep the order.

    Raises:
        ConfigError: no word would be left.
    """
    n_words = len(parts[0])
    if count >= n_words:
        raise ConfigError(f"held_out: {count} of {n_words} words; leave some to fit to")
    is_held_N = torch.zeros(n_words, dtype=torch.bool)
    is_held_N[torch.randperm(n_words, generator=keyed_generator(seed, "held-out"))[:count]] = True
    return select(parts, (~is_held_N).nonzero()[:, 0]), select(parts, is_held_N.nonzero()[:, 0])


def describe(parts: Sequence[WordVectors]) -> str:
    """One line on what was read and what was left out."""
    sources = " + ".join(f"{part.dim} from {part.source}" for part in parts)
    dropped = [
        f"{count:,} {reason.replace('_', ' ')}" + (f" in {part.source}" if len(parts) > 1 else "")
        for part in parts
        for reason, count in part.dropped.items()
        if count
    ]
    return f"{len(parts[0]):,} words x {sources}" + (f" (dropped: {', '.join(dropped)})" if dropped else "")


def check_directions(parts: Sequence[WordVectors], metric: str) -> None:
    """Refuse zero vectors where only directions count.

    Raises:
        ConfigError: naming the first such word.
    """
    for part in parts if metric == "cosine" else ():
        zero_N = (part.vectors == 0).all(dim=1)
        if zero_N.any():
            word = part.words[int(zero_N.nonzero()[0])]
            raise ConfigError(
                f"{part.source}: the vector of {word!r} is zero and has no direction to code by cosine; leave it out, "
                "or fit with --metric euclidean"
            )


def load_codec(path: Path) -> Codec:
    """Read the codec of a run folder or a file.

    Raises:
        FileNotFoundError: there is none.
        FileFormatError: it is damaged, newer, or no codec.
    """
    file = codec_file(path)
    if path.is_dir() and not file.is_file():
        raise FileNotFoundError(f"{file}: no such file: not a run folder of `embed fit`, or its fit has not finished")
    return Codec.load(file)


def read_for(codec: Codec, path: Path, settings: VectorSettings) -> list[WordVectors]:
    """Load the vectors that settings name, for a codec.

    Raises:
        ConfigError: none are named, or they do not fit the codec.
    """
    if not settings.source:
        raise ConfigError(f"{codec_file(path)}: no {CONFIG} beside it names the codec's vectors; use --vectors")
    parts = read_parts(settings)
    found = tuple(part.dim for part in parts)
    if found != codec.joining.dims:
        wanted, has = (" + ".join(map(str, dims)) for dims in (codec.joining.dims, found))
        raise ConfigError(f"{codec_file(path)}: is for vectors of {wanted} values; {settings.source} has {has}")
    check_directions(parts, codec.joining.metric)
    return parts


def open_codec_run(path: Path, settings: VectorSettings, device: torch.device) -> CodecRun:
    """Open a codec with the vectors that settings name.

    Where the codec's folder holds codes of words that are all among them, with these vectors, those words are the
    vocabulary and the other ones are held out, 10,000 at most; else all words are the vocabulary, and are encoded.

    Args:
        path: run folder of `embed fit`, or a codec's file.
        settings: what `resolve_for_model` found.
        device: where to encode.
    """
    codec = load_codec(path)
    parts = read_for(codec, path, settings)
    stored = codec_file(path).parent / CODES
    if stored.is_file():
        kept = WordCodes.load(stored)
        if kept.codes.codec_id == codec.codec_id and all(word in parts[0] for word in kept.words):
            rows = parts[0].rows(kept.words)
            vocabulary = select(parts, rows)
            if identify(tensors(vocabulary)) == kept.vectors_id:
                return CodecRun(codec, vocabulary, kept.codes, select(parts, _others(len(parts[0]), rows)))
        log.warning("%s: codes of another codec or of other vectors; encoding anew", stored)
    log.info("encoding %s", describe(parts))
    codes = codec.to(device).encode(tensors(parts, device))
    return CodecRun(codec, parts, codes, select(parts, torch.zeros(0, dtype=torch.int64)))


def _others(n_words: int, rows: Tensor) -> Tensor:
    """Rows that are not among these, or some of them if they are many."""
    is_other_N = torch.ones(n_words, dtype=torch.bool)
    is_other_N[rows] = False
    others = is_other_N.nonzero()[:, 0]
    order = torch.randperm(len(others), generator=keyed_generator(0, "others"))
    return others[order[:HELD_OUT_AT_MOST]].sort().values
