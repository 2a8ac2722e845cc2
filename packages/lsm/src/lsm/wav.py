"""Reading recordings: PCM wav to samples, and a named error for everything else."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np

MOST_BYTES = 1 << 28


class AudioFileError(ValueError):
    """A file that is no whole PCM wav; the message says which and why."""


def read_wav(source: Path | str | bytes, *, name: str | None = None) -> tuple[int, np.ndarray]:
    """Read a PCM wav; several channels are averaged.

    Args:
        source: a path, or the bytes of a file.
        name: what to call it in errors; the path by default.

    Returns:
        Samples a second, and the samples, float32 (T,) in [-1, 1].

    Raises:
        AudioFileError: no wav, compressed, cut short, empty or too large.
        OSError: the path cannot be read.
    """
    if isinstance(source, bytes):
        name, content = name or "recording", source
    else:
        name = name or str(source)
        if Path(source).stat().st_size > MOST_BYTES:
            raise AudioFileError(f"{name}: larger than {MOST_BYTES} bytes")
        content = Path(source).read_bytes()
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, n_channels, width, n_frames = (
                file.getframerate(),
                file.getnchannels(),
                file.getsampwidth(),
                file.getnframes(),
            )
            if n_frames * n_channels * width > len(content):
                raise AudioFileError(f"{name}: cut short: {n_frames} frames are announced in {len(content)} bytes")
            raw = file.readframes(n_frames)
    except (wave.Error, EOFError, struct.error, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"{name}: no PCM wav file ({error or 'it ends too early'})") from error
    if (
        not rate
        or not n_channels
        or width not in (1, 2, 3, 4)
        or not n_frames
        or len(raw) != n_frames * n_channels * width
    ):
        raise AudioFileError(
            f"{name}: cut short or empty: {n_frames} frames of {n_channels} channels of {width} bytes, {rate} Hz"
        )
    return rate, _samples(raw, width).reshape(n_frames, n_channels).mean(1, dtype=np.float32)


def _samples(raw: bytes, width: int) -> np.ndarray:
    """PCM to float32: 8 bits are unsigned in wav, others signed and little-endian."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        bytes_S3 = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
        values = (bytes_S3[:, 0] << 8 | bytes_S3[:, 1] << 16 | bytes_S3[:, 2] << 24) >> 8
        return (values / 2**23).astype(np.float32)
    return (np.frombuffer(raw, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)
