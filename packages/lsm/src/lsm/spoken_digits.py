"""Spoken digits from a folder or an archive in the layout of the free spoken digit dataset.

digit_speaker_index.wav,   for example 7_jackson_32.wav
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath

import numpy as np

from lsm.wav import MOST_BYTES, AudioFileError, read_wav

NAME = re.compile(r"(\d)_([^_/\\]+)_(\d{1,6})\.wav", re.IGNORECASE)


@dataclass(frozen=True)
class SpokenDigit:
    """One recording.

    Args:
        digit: 0 to 9.
        speaker: who says it.
        index: which of the speaker's recordings of that digit.
        rate: samples a second.
        samples_T: float32 in [-1, 1].
    """

    digit: int
    speaker: str
    index: int
    rate: int
    samples_T: np.ndarray

    @property
    def duration(self) -> float:
        """Length in ms."""
        return 1000.0 * len(self.samples_T) / self.rate


def read_spoken_digits(path: Path | str) -> list[SpokenDigit]:
    """Read all recordings whose names follow the layout; other files are passed over.

    Nothing of an archive is written to the disk, links in it are not followed, and what a member may take is bounded.

    Args:
        path: a folder (searched through), or a tar archive (plain, gz, bz2, xz).

    Returns:
        Sorted by digit, speaker and index.

    Raises:
        AudioFileError: no such recordings, a damaged archive, or a recording that is no wav.
        OSError: the path cannot be read.
    """
    path = Path(path)
    found = sorted(
        _from_folder(path) if path.is_dir() else _from_archive(path), key=lambda r: (r.digit, r.speaker, r.index)
    )
    if not found:
        raise AudioFileError(f"{path}: holds no file named like 7_jackson_32.wav (digit_speaker_index.wav)")
    return found


def _from_folder(path: Path) -> Iterator[SpokenDigit]:
    for file in sorted(path.rglob("*")):
        if (match := NAME.fullmatch(file.name)) and file.is_file():
            yield _recording(match, *read_wav(file))


def _from_archive(path: Path) -> Iterator[SpokenDigit]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                match = NAME.fullmatch(PurePosixPath(member.name).name)
                if match is None or not member.isfile():
                    continue
                if member.size > MOST_BYTES:
                    raise AudioFileError(f"{path}: {member.name} is larger than {MOST_BYTES} bytes")
                file = archive.extractfile(member)
                assert file is not None
                yield _recording(match, *read_wav(file.read(), name=f"{path}: {member.name}"))
    except (tarfile.TarError, EOFError, LZMAError, zlib.error) as error:
        raise AudioFileError(f"{path}: no whole tar archive ({error})") from error


def _recording(match: re.Match[str], rate: int, samples_T: np.ndarray) -> SpokenDigit:
    return SpokenDigit(int(match[1]), match[2], int(match[3]), rate, samples_T)
