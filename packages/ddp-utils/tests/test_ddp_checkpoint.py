"""A checkpoint comes back as it was saved, or is not used."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ddp_utils import (
    CheckpointError,
    Checkpoints,
    atomic_folder,
    capture_random_state,
    restore_random_state,
    seed_everything,
    verify_checkpoint,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


def save_steps(folder: Path, *steps: int, keep: int = 10) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep=keep)
    for step in steps:
        checkpoints.save(step, {"weights": torch.full((5,), float(step))}, rank_state={"rank": step})
    return checkpoints


def loaded_step(checkpoints: Checkpoints) -> int:
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded.state["weights"].tolist() == [float(loaded.step)] * 5
    assert loaded.rank_state == {"rank": loaded.step}
    return loaded.step


def damage(checkpoints: Checkpoints, step: int, name: str = "state.safetensors") -> None:
    path = checkpoints.path(step) / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)


def test_training_state_comes_back_and_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def build() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
        return model, optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=20)

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(16, 6)).square().mean().backward()
            optimizer.step()
            scheduler.step()

    seed_everything(0)
    parts = build()
    train(*parts, steps=4)
    names = ("model", "optimizer", "scheduler")
    state = {name: part.state_dict() for name, part in zip(names, parts, strict=True)}
    Checkpoints(tmp_path).save(4, state, rank_state=capture_random_state())
    train(*parts, steps=6)

    seed_everything(99)
    resumed = build()
    loaded = Checkpoints(tmp_path).load()
    assert loaded is not None
    for name, part in zip(names, resumed, strict=True):
        part.load_state_dict(loaded.state[name])
    restore_random_state(loaded.rank_state)
    train(*resumed, steps=6)
    for name, tensor in parts[0].state_dict().items():
        assert torch.equal(tensor, resumed[0].state_dict()[name]), name
    assert parts[2].state_dict() == resumed[2].state_dict()


def test_tied_and_overlapping_tensors_are_saved(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    state = {"a": base, "tied": base, "part": base[2:5], "columns": base.view(3, 4).T, "none": base[:0], "0d": base[3]}
    Checkpoints(tmp_path).save(0, state)
    loaded = Checkpoints(tmp_path).load()
    assert loaded is not None
    assert all(torch.equal(loaded.state[name], tensor) for name, tensor in state.items())


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "absent").load() is None
    assert not (tmp_path / "absent").exists()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one checkpoint, to be damaged and mended again."""
    folder = tmp_path_factory.mktemp("sound")
    state = {"weights": torch.arange(6.0), "text": "état", "nested": [(1, None), {2: float("nan")}]}
    return Checkpoints(folder).save(0, state, rank_state=capture_random_state())


@settings(max_examples=400)
@given(st.data())
def test_any_flipped_bit_and_any_truncation_is_found(sound: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in sound.rglob("*") if path.is_file())))
    content = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    damaged = bytearray(content)
    if data.draw(st.booleans()):
        damaged[bit // 8] ^= 1 << bit % 8
    else:
        del damaged[bit // 8 :]
    try:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=str(sound)):
            verify_checkpoint(sound)
        with pytest.raises(CheckpointError):
            Checkpoints(sound.parent).load(sound)
    finally:
        path.write_bytes(content)
    verify_checkpoint(sound)


def test_every_part_of_the_manifest_counts(sound: Path) -> None:
    path = sound / "manifest.json"
    content = path.read_bytes()
    try:
        for bit in range(0, 8 * len(content), 5):
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError):
                verify_checkpoint(sound)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "state.safetensors", "ranks.json"])
def test_a_missing_file_is_found(tmp_path: Path, name: str) -> None:
    checkpoints = save_steps(tmp_path, 1)
    (checkpoints.path(1) / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        verify_checkpoint(checkpoints.path(1))


def test_a_damaged_newest_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = save_steps(tmp_path, 1, 2, 3)
    damage(checkpoints, 3)
    assert loaded_step(checkpoints) == 2
    assert "damaged checkpoint" in caplog.text
    assert str(checkpoints.path(3)) in caplog.text
    damage(checkpoints, 2, "ranks.json")
    assert loaded_step(checkpoints) == 1
    damage(checkpoints, 1, "manifest.json")
    with pytest.raises(CheckpointError, match=r"every checkpoint is damaged \(steps \[1, 2, 3\]\)"):
        checkpoints.load()
    assert checkpoints.steps() == [1, 2, 3], "nothing is deleted: somebody may want to save what is left"


def seal(folder: Path, **changes: Any) -> None:
    """Change a manifest and make its own checksum fit, as another writer would."""
    manifest = {**json.loads((folder / "manifest.json").read_text(encoding="utf-8")), **changes}
    text = json.dumps({**manifest, "sha256": ""}, sort_keys=True)
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    checkpoints = save_steps(tmp_path, 1)
    seal(checkpoints.path(1), version=2)
    with pytest.raises(CheckpointError, match="version 2; this release reads up to 1"):
        verify_checkpoint(checkpoints.path(1))
    with pytest.raises(CheckpointError, match="version 2"):
        checkpoints.load(checkpoints.path(1))


@pytest.mark.parametrize(
    "changes",
    [{"step": None}, {"step": "x"}, {"version": "x"}, {"files": []}, {"files": {"state.json": 3}}, {"files": {}},
     {"format": "other"}],
)  # fmt: skip
def test_a_manifest_with_a_fitting_checksum_and_strange_content_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    checkpoints = save_steps(tmp_path, 1)
    (checkpoints.path(1) / "state.safetensors").unlink()
    seal(checkpoints.path(1), **changes)
    with pytest.raises(CheckpointError):
        checkpoints.load(checkpoints.path(1))


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "null null", "\ud800".encode("utf-8", "surrogatepass")])
def test_a_manifest_that_no_reader_survives_is_refused(tmp_path: Path, text: str | bytes) -> None:
    checkpoints = save_steps(tmp_path, 1)
    (checkpoints.path(1) / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CheckpointError):
        checkpoints.load()


@given(keep=st.integers(2, 4), steps=st.integers(1, 8))
@settings(max_examples=8)
def test_the_newest_stay(tmp_path_factory: pytest.TempPathFactory, keep: int, steps: int) -> None:
    checkpoints = save_steps(tmp_path_factory.mktemp("c"), *range(steps), keep=keep)
    assert checkpoints.steps() == list(range(steps))[-keep:]
    assert (checkpoints.folder / "latest").read_text(encoding="utf-8") == checkpoints.path(steps - 1).name + "\n"


def test_nothing_is_pruned_until_two_newer_ones_are_valid(tmp_path: Path) -> None:
    checkpoints = save_steps(tmp_path, 1, 2, keep=2)
    damage(checkpoints, 2)
    checkpoints = save_steps(tmp_path, 3, keep=2)
    assert checkpoints.steps() == [1, 2, 3], "1 is the only other valid one"
    damage(checkpoints, 3)
    assert loaded_step(checkpoints) == 1
    checkpoints = save_steps(tmp_path, 2, 3, keep=2)
    assert checkpoints.steps() == [2, 3]
    assert loaded_step(checkpoints) == 3


def test_keep_of_less_than_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Checkpoints(tmp_path, keep=1)


def test_a_branch_that_was_abandoned_does_not_come_back(tmp_path: Path) -> None:
    checkpoints = save_steps(tmp_path, 1, 2, 3, 4)
    checkpoints.load(checkpoints.path(2))
    checkpoints.save(3, {"weights": torch.full((5,), 3.0), "branch": "new"}, rank_state={"rank": 3})
    assert checkpoints.steps() == [1, 2, 3]
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded.state["branch"] == "new"


def test_a_save_that_fails_leaves_the_step_it_was_to_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = save_steps(tmp_path, 1)
    with pytest.raises(TypeError, match="cannot store a set"):
        checkpoints.save(1, {"weights": {1}})
    assert loaded_step(checkpoints) == 1

    rename, calls = os.rename, []

    def fail_second(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        rename(*args)

    monkeypatch.setattr("os.rename", fail_second)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(1, {"weights": torch.zeros(5)})
    monkeypatch.undo()
    assert loaded_step(checkpoints) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step-00000001"]


def test_a_folder_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "there"):
        pass


def test_leftovers_of_killed_writers_are_cleared_by_the_next_save(tmp_path: Path) -> None:
    checkpoints = save_steps(tmp_path, 1)
    (tmp_path / ".partial-step-00000002-abc").mkdir()
    (tmp_path / ".partial-latest-abc").write_text("x", encoding="utf-8")
    assert loaded_step(checkpoints) == 1
    save_steps(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step-00000001", "step-00000002"]


def test_the_arrangement_of_other_entries_does_not_matter(tmp_path: Path) -> None:
    checkpoints = save_steps(tmp_path, 7)
    for name in ("step-7", "step-00000009.old", "notes.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert loaded_step(checkpoints) == 7
    shutil.copytree(checkpoints.path(7), tmp_path / "elsewhere")
    loaded = checkpoints.load(tmp_path / "elsewhere")
    assert loaded is not None
    assert loaded.step == 7


def test_state_of_another_number_of_processes_has_no_rank_state(tmp_path: Path) -> None:
    from ddp_utils.checkpoint import _write_tree  # what a run of two processes leaves

    checkpoints = save_steps(tmp_path, 1)
    _write_tree(checkpoints.path(1), "ranks", [{"rank": 0}, {"rank": 1}])
    digests = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in checkpoints.path(1).iterdir()
        if path.name != "manifest.json"
    }
    seal(checkpoints.path(1), files=digests)
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded.rank_state is None


def test_a_file_size_limit_leaves_what_was_there(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_script("full_disk.py", "run", *map(str, (60, 150, 300, 800, 2000, 100_000)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_there(
    run_script: Callable[..., subprocess.CompletedProcess[str]], small_disk: Path
) -> None:
    done = run_script("full_disk.py", str(small_disk), "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No space left" in done.stdout


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        save_steps(tmp_path / "file" / "checkpoints", 1)


def test_a_read_only_folder_still_loads(tmp_path: Path) -> None:
    checkpoints = save_steps(tmp_path, 1)
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(OSError, match="denied"):
            save_steps(tmp_path, 2)
        assert loaded_step(checkpoints) == 1
    finally:
        tmp_path.chmod(0o700)
