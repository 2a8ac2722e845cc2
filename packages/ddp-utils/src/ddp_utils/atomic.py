"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_PREFIX = ".partial-"
REPLACED_PREFIX = ".replaced-"


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
def atomic_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary name beside the target, then rename it to the target.

    A target that stands already is set aside, as ".replaced-NAME", until the new one is in its place. What a kill
    between these two renames leaves is put right by `settle_replacements`.

    Args:
        target: the folder's final path. Missing parent folders are made.
        replace: allow a target that exists already.

    Yields:
        The temporary folder to write into.

    Raises:
        FileExistsError: the target exists and is not to be replaced.
    """
    if target.exists() and not replace:
        raise FileExistsError(f"{target} exists already")
    temporary = _temporary_beside(target)
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            fsync_path(path)
        fsync_path(temporary)
        if replace and target.exists():
            target.rename(target.with_name(REPLACED_PREFIX + target.name))
        temporary.rename(target)
        fsync_path(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        settle_replacements(target.parent)


def settle_replacements(folder: Path) -> None:
    """Put back what was set aside and not replaced; delete what was replaced."""
    for aside in folder.glob(f"{REPLACED_PREFIX}*"):
        target = aside.with_name(aside.name.removeprefix(REPLACED_PREFIX))
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left half done in a folder that only this process writes to."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
