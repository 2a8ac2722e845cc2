"""Vectors and their words as files that `load_vectors` reads back: npy or safetensors with a word list, or text."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ddp_utils import atomic_file
from ddp_utils.tensor_file import save_tensors
from torch import Tensor

from neuro.config import ConfigError

NPY, SAFETENSORS, TEXT = SUFFIXES = (".npy", ".safetensors", ".txt")
_BLOCK = 4096


def check_suffix(out: Path) -> None:
    """Refuse a name that does not say the form.

    Raises:
        ConfigError: its suffix is none of `SUFFIXES`.
    """
    if out.suffix not in SUFFIXES:
        raise ConfigError(
            f"--out {out}: the name says the form; end it in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )


def part_files(out: Path, n_parts: int) -> list[Path]:
    """Where the parts go: NAME.SUFFIX for one, NAME.1.SUFFIX, NAME.2.SUFFIX and so on for several."""
    if n_parts == 1:
        return [out]
    return [out.with_name(f"{out.stem}.{number}{out.suffix}") for number in range(1, n_parts + 1)]


def write_parts(out: Path, words: Sequence[str], parts: Sequence[Tensor]) -> list[Path]:
    """Write one file a part, and NAME.vocab.txt beside those that hold no words; none takes its place before all are
    whole.

    Args:
        out: the file asked for; its suffix says the form.
        words: N words.
        parts: vectors, float32, (N, D), on the CPU.

    Returns:
        The files of vectors.

    Raises:
        ConfigError: a word that the form cannot hold.
        OSError: a file cannot be written; what was there before is still there.
    """
    as_text = out.suffix == TEXT
    _check_words(words, out, as_text=as_text)
    files = part_files(out, len(parts))
    with contextlib.ExitStack() as whole:
        for file, vectors_ND in zip(files, parts, strict=True):
            if not as_text:
                word_list = whole.enter_context(atomic_file(file.with_suffix(".vocab.txt")))
                word_list.write_bytes("".join(f"{word}\n" for word in words).encode())
            temporary = whole.enter_context(atomic_file(file))
            if out.suffix == SAFETENSORS:
                save_tensors({"vectors": vectors_ND}, temporary)
            elif as_text:
                _write_text(temporary, words, vectors_ND)
            else:
                with temporary.open("wb") as stream:
                    np.save(stream, vectors_ND.numpy())
    return files


def _write_text(path: Path, words: Sequence[str], vectors_ND: Tensor) -> None:
    """The text form of word2vec; nine digits give every float32 back."""
    n_words, dim = vectors_ND.shape
    line = " ".join(["%.9g"] * dim)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(f"{n_words} {dim}\n")
        for start in range(0, n_words, _BLOCK):
            rows = vectors_ND[start : start + _BLOCK].tolist()
            for word, values in zip(words[start : start + _BLOCK], rows, strict=True):
                stream.write(f"{word} {line % tuple(values)}\n")


def _check_words(words: Sequence[str], out: Path, *, as_text: bool) -> None:
    for word in words:
        packed = word.encode()
        if as_text:
            fits = packed.split() == [packed]  # a reader cannot tell "route 66" from a word and a value
        else:
            fits = packed != b"" and b"\n" not in packed and not packed.endswith(b"\r")
        if not fits:
            mend = f"; {NPY} can" if as_text and packed.strip() else ""
            raise ConfigError(f"--out {out}: {out.suffix} files cannot hold the word {word!r}{mend}")
