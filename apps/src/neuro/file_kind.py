"""What kind of file this is, by its header and not by its name."""

from __future__ import annotations

import json
from pathlib import Path

from neuro.run_folder import CODEC

CODEC_KIND, CODEC_CODES_KIND = "sdquant.codec", "sdquant.codec_codes"
BINARY_CODES_KIND = "binemb.codes"


def kind_of(path: Path) -> str:
    """The format that a safetensors file of ours names; "" for any other file.

    Raises:
        FileFormatError: a safetensors file whose header is damaged.
    """
    from binemb.vectors import detect_format
    from ddp_utils import FileFormatError
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        if detect_format(file.read(4096)) != "safetensors":
            return ""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
    except (SafetensorError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: not a readable safetensors file (truncated or damaged): {error}") from error
    return str(header.get("format", "")) if isinstance(header, dict) else ""


def codec_file(path: Path) -> Path:
    """The codec's file, of a run folder or of itself."""
    return path / CODEC if path.is_dir() else path


def holds_codec(path: Path) -> bool:
    """True for a run folder of `embed fit` and for a codec's file, damaged ones by their name."""
    file = codec_file(path)
    return file.is_file() and (file.suffix == Path(CODEC).suffix or kind_of(file) == CODEC_KIND)
