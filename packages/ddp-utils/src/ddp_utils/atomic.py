"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_PREFIX = ".partial-"


def fsync_path(path: Path) -> None:
    """Push a file's or folder's contents to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.parent / f"{TEMPORARY_PREFIX}{target.name}-{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside the target, then put it in the target's place.

    What was there before stays until the new file is whole and on the disk, whatever happens in between: a full disk,
    a signal, a power cut.

    Args:
        target: the file's final path. Missing parent folders are made.

    Yields:
        The temporary path to write to.
    """
    temporary = _temporary_beside(target)
    try:
        yield temporary
        fsync_path(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(target.parent)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name beside the target, then rename it to the target.

    Args:
        target: the folder's final path, which must not exist yet. Missing parent folders are made.

    Yields:
        The temporary folder to write into.

    Raises:
        FileExistsError: the target exists.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    temporary = _temporary_beside(target)
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            fsync_path(path)
        fsync_path(temporary)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    fsync_path(target.parent)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left half done in a folder that only this process writes to."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
