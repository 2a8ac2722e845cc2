"""Checkpoints that survive kills, full disks and bit rot.

CHECKPOINTS/
    step-00000100/          renamed into place when it is whole and on the disk
        manifest.json       format, version, step, SHA-256 and size of every file, and a checksum of itself
        state.json          the state's tree; tensors by name
        state.safetensors   the state's tensors
        ranks.json, ranks.safetensors    one entry a process: its random states and what else is its own
        sharded/            torch.distributed.checkpoint's files, if the run has sharded state
    latest                  name of the newest folder, replaced atomically
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ddp_utils.atomic import (
    TEMPORARY_PREFIX,
    atomic_file,
    atomic_folder,
    fsync_path,
    remove_leftovers,
    settle_replacements,
)
from ddp_utils.distributed import (
    all_true,
    broadcast_object,
    gather_objects,
    raise_together,
    rank,
    run_on_main,
    world_size,
)
from ddp_utils.state_tree import flatten_state, unflatten_state
from ddp_utils.tensor_file import save_tensors

FORMAT, VERSION = "ddp-utils.checkpoint", 1
STEP_FOLDER = re.compile(r"step-(\d{8,})")
KEEP_AT_LEAST = 2

log = logging.getLogger("ddp_utils")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Args:
        step: the step it was taken after.
        state: what all processes share, as it was given to `save`.
        rank_state: this process's own part, or None if the run had another number of processes then.
        folder: where it was read from.
    """

    step: int
    state: dict[str, Any]
    rank_state: Any
    folder: Path


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _self_digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps({**manifest, "sha256": ""}, sort_keys=True).encode()).hexdigest()


def _write_tree(folder: Path, name: str, state: Any) -> None:
    tree, tensors = flatten_state(state)
    save_tensors(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(tree, allow_nan=False), encoding="utf-8")


def _read_tree(folder: Path, name: str) -> Any:
    try:
        tree = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return unflatten_state(tree, load_file(folder / f"{name}.safetensors"))
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: unreadable {name}: {error}") from error


@contextlib.contextmanager
def _sharded_failures_as(kind: type[Exception], what: str) -> Iterator[None]:
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # a single process is no mistake
            yield
    except CheckpointException as error:  # no subclass of Exception: it would pass by every handler
        raise kind(f"{what}: {error}") from error


def verify_checkpoint(folder: Path) -> dict[str, Any]:
    """Check a checkpoint's manifest and the hash of every file in it.

    Returns:
        The manifest.

    Raises:
        CheckpointError: missing, truncated, changed, or of a newer version.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        damaged = manifest["format"] != FORMAT or manifest["sha256"] != _self_digest(manifest)
        if damaged or not isinstance(manifest["step"], int):
            raise CheckpointError(f"{folder}: manifest.json is damaged")
        if manifest["version"] > VERSION:
            raise CheckpointError(
                f"{folder}: checkpoint version {manifest['version']}; this release reads up to {VERSION}: upgrade it"
            )
        for name, expected in manifest["files"].items():
            path = folder / name
            if path.stat().st_size != expected["bytes"]:
                raise CheckpointError(f"{path}: {path.stat().st_size} bytes, the manifest says {expected['bytes']}")
            if _digest(path) != expected:
                raise CheckpointError(f"{path}: contents do not match the manifest's SHA-256")
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder}: unreadable checkpoint: {error}") from error
    return manifest


class Checkpoints:
    """The checkpoints of one run.

    Every method is called by all processes together; only the main one writes (sharded state excepted). The folder is
    on a file system that all processes share.

    Args:
        folder: where they stand, usually `RUN_DIR/checkpoints`.
        keep: how many of the newest stay, >= 2: an older one goes only after two valid newer ones stand.

    Raises:
        ValueError: keep is less than 2.
    """

    def __init__(self, folder: str | Path, *, keep: int = 3) -> None:
        if keep < KEEP_AT_LEAST:
            raise ValueError(f"Checkpoints: keep must be at least {KEEP_AT_LEAST}, got {keep}")
        self.folder = Path(folder)
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps of the folders that stand here, oldest first; not verified."""
        if not self.folder.is_dir():
            return []
        found = (STEP_FOLDER.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    def path(self, step: int) -> Path:
        """Folder of a step's checkpoint."""
        return self.folder / f"step-{step:08d}"

    def save(
        self, step: int, state: Mapping[str, Any], *, rank_state: Any = None, sharded: dict[str, Any] | None = None
    ) -> Path:
        """Write the checkpoint of a step; when this returns it is on the disk and `latest` points to it.

        Args:
            step: how many steps are done, >= 0.
            state: what all processes share: model, optimizer, scheduler, scaler, data position, configuration.
            rank_state: this process's own part, such as `capture_random_state()`.
            sharded: state dict of DTensors or sharded tensors; every process writes its shards.

        Returns:
            The checkpoint's folder.

        Raises:
            OSError: it could not be written; the earlier checkpoints still stand.
        """
        target = self.path(step)
        staging = broadcast_object(self.folder / f"{TEMPORARY_PREFIX}sharded-{step}") if sharded is not None else None
        if sharded is not None and staging is not None:
            from torch.distributed.checkpoint.state_dict_saver import save as save_sharded

            run_on_main(lambda: (remove_leftovers(self.folder), staging.mkdir(parents=True))[1])
            with _sharded_failures_as(OSError, f"cannot write {staging}"):
                save_sharded(sharded, checkpoint_id=staging, no_dist=world_size() == 1)
        ranks = gather_objects(rank_state)
        run_on_main(self._write, step, target, dict(state), ranks, staging)
        return target

    def _write(self, step: int, target: Path, state: dict[str, Any], ranks: list[Any], staging: Path | None) -> None:
        if staging is None:
            remove_leftovers(self.folder)
        # replace: a run that resumed from an earlier step passes this one again
        with atomic_folder(target, replace=True) as temporary:
            _write_tree(temporary, "state", state)
            _write_tree(temporary, "ranks", ranks)
            if staging is not None:
                staging.rename(temporary / "sharded")
            files = sorted(path for path in temporary.rglob("*") if path.is_file())
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "step": step,
                "world_size": len(ranks),
                "torch": torch.__version__,
                "files": {str(path.relative_to(temporary)): _digest(path) for path in files},
            }
            manifest["sha256"] = _self_digest(manifest)
            (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        self._point_to(target)
        self._prune(newest=step)

    def _point_to(self, target: Path) -> None:
        with atomic_file(self.folder / "latest") as temporary:
            temporary.write_text(target.name + "\n", encoding="utf-8")

    def _prune(self, newest: int) -> None:
        """Drop the steps of an abandoned branch, and old ones once two newer ones are known to be valid."""
        for step in (step for step in self.steps() if step > newest):
            log.warning("removing %s: the run went on from an earlier step", self.path(step))
            shutil.rmtree(self.path(step))
        standing = list(reversed(self.steps()))
        superseded = standing[self.keep :]
        if superseded and sum(map(self._is_valid, standing[:KEEP_AT_LEAST])) == KEEP_AT_LEAST:
            for step in superseded:
                shutil.rmtree(self.path(step))
        fsync_path(self.folder)

    def _is_valid(self, step: int) -> bool:
        try:
            verify_checkpoint(self.path(step))
        except CheckpointError as error:
            log.warning("damaged checkpoint: %s", error)
            return False
        return True

    def load(self, path: str | Path | None = None, *, sharded: dict[str, Any] | None = None) -> Checkpoint | None:
        """Load the newest valid checkpoint, or the one at a path.

        A damaged one is skipped with a warning and the one before it used. All processes load the same step.

        Args:
            path: a checkpoint folder; None for the newest valid one here.
            sharded: state dict to fill in place from the sharded part.

        Returns:
            The checkpoint, or None if there is none here.

        Raises:
            CheckpointError: the one asked for is damaged, all that stand here are, or processes see different ones.
        """
        folder = self._agreed_folder() if path is None else Path(path)
        if folder is None:
            return None
        failure, loaded = None, None
        try:
            manifest = verify_checkpoint(folder)
            ranks = _read_tree(folder, "ranks")
            own = ranks[rank()] if len(ranks) == world_size() else None
            loaded = Checkpoint(manifest["step"], _read_tree(folder, "state"), own, folder)
            if sharded is not None and "sharded/.metadata" not in manifest["files"]:
                raise CheckpointError(f"{folder}: no sharded state in this checkpoint")
        except CheckpointError as error:
            failure = error
        raise_together(failure)
        if sharded is not None:
            from torch.distributed.checkpoint.state_dict_loader import load as load_sharded

            with _sharded_failures_as(CheckpointError, f"{folder}: unreadable sharded state"):
                load_sharded(sharded, checkpoint_id=folder / "sharded", no_dist=world_size() == 1)
        return loaded

    def _agreed_folder(self) -> Path | None:
        run_on_main(settle_replacements, self.folder)
        steps = self.steps()
        seen = gather_objects(steps)
        if any(other != seen[0] for other in seen):
            raise CheckpointError(
                f"{self.folder}: processes see different checkpoints {seen}: put the run folder on a shared file system"
            )
        for step in reversed(steps):
            if all_true(self._is_valid(step)):
                return self.path(step)
        if steps:
            raise CheckpointError(f"{self.folder}: every checkpoint is damaged (steps {steps}); start anew elsewhere")
        return None
