"""What a user, a disk or a wrong file can do to a run: one clear line, the right code, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import torch
from ddp_utils import lock_run_folder, verify_checkpoint
from safetensors.torch import load_file

RUN = ("--set", "train.rounds=3")


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, "")
    assert [line for line in lines if line.startswith(("error: ", "stopped: "))] == lines[-1:]
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


@pytest.fixture
def run_copy(trained, tmp_path):
    """A copy of the trained run that a test may damage."""
    return shutil.copytree(trained, tmp_path / "run")


def flip(path, at):
    """Turn one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


DAMAGE = {
    "truncated": lambda folder: os.truncate(folder / "state.safetensors", 1000),
    "bit flipped": lambda folder: flip(folder / "state.safetensors", -5),
    "manifest flipped": lambda folder: flip(folder / "manifest.json", 40),
    "file gone": lambda folder: (folder / "state.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_newest_checkpoint(neuro, trained, run_copy, damage):
    """The one before is used, with a warning, and the run ends as the undamaged one did."""
    (run_copy / "model.safetensors").unlink()
    DAMAGE[damage](run_copy / "checkpoints" / "step-00000003")
    ended = neuro("embed", "train", "--resume", "auto", "--out", "run")
    assert ended.code == 0, ended.err
    assert "WARNING damaged checkpoint" in ended.err
    assert "resumed from run/checkpoints/step-00000002" in ended.err
    for name in ("model.safetensors", "codes.safetensors", "metrics.jsonl"):
        assert (run_copy / name).read_bytes() == (trained / name).read_bytes()
    verify_checkpoint(run_copy / "checkpoints" / "step-00000003")


def test_all_checkpoints_damaged(neuro, run_copy):
    for folder in (run_copy / "checkpoints").glob("step-*"):
        DAMAGE["bit flipped"](folder)
    before = (run_copy / "model.safetensors").read_bytes()
    refused(neuro("embed", "train", "--resume", "auto", "--out", "run"), "every checkpoint is damaged")
    assert (run_copy / "model.safetensors").read_bytes() == before


def test_resume_with_other_settings_leaves_the_run_as_it_is(neuro, run_copy):
    before = (run_copy / "config.toml").read_bytes()
    options = [["--bits", "64"], ["--limit", 5000], ["--set", "train.rounds=6"], ["--seed", 1]]
    for option, key in zip(options, ("bits", "vectors.limit", "train.rounds", "seed"), strict=True):
        for resume in (["--resume", "auto", "--out", "run"], ["--resume", "run"]):
            for more in ([], ["--dry-run"]):
                refused(neuro("embed", "train", *resume, *option, *more), f"was begun with another {key};")
    assert (run_copy / "config.toml").read_bytes() == before


def test_new_run_over_an_old_one(neuro, run_copy):
    before = {path: path.stat().st_mtime_ns for path in run_copy.rglob("*")}
    refused(neuro("embed", "train", "--out", "run"), "--out run: not empty", "--resume auto")
    refused(neuro("embed", "train", "--out", "run", "--resume", "never"), "--out run: not empty")
    assert {path: path.stat().st_mtime_ns for path in run_copy.rglob("*")} == before


def test_a_branch_over_another_run(neuro, trained, run_copy):
    before = {path: path.stat().st_mtime_ns for path in run_copy.rglob("*")}
    for source in (trained, trained / "checkpoints" / "step-00000002"):
        for more in ([], ["--dry-run"]):
            refused(neuro("embed", "train", "--resume", source, "--out", "run", *more), "--out run: not empty")
    assert {path: path.stat().st_mtime_ns for path in run_copy.rglob("*")} == before


def test_another_spelling_of_the_same_run(neuro, trained, run_copy):
    for source, out in (("run", run_copy), (run_copy, "run"), ("run/checkpoints/step-00000002", run_copy)):
        (run_copy / "model.safetensors").unlink()
        ended = neuro("embed", "train", "--resume", source, "--out", out)
        assert ended.code == 0, ended.err
        assert (run_copy / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_a_branch_passes_over_a_damaged_checkpoint(neuro, trained, run_copy, tmp_path):
    flip(run_copy / "checkpoints" / "step-00000003" / "state.safetensors", -5)
    ended = neuro("embed", "train", "--resume", "run", "--out", "branch")
    assert ended.code == 0, ended.err
    assert "WARNING damaged checkpoint" in ended.err
    assert "resumed from run/checkpoints/step-00000002" in ended.err
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "branch" / name).read_bytes() == (trained / name).read_bytes()
    flip(run_copy / "checkpoints" / "step-00000002" / "state.safetensors", -5)
    refused(neuro("embed", "train", "--resume", "run", "--out", "third"), "every checkpoint is damaged")


def test_a_branch_without_its_metrics(neuro, run_copy, tmp_path):
    (run_copy / "metrics.jsonl").unlink()
    refused(neuro("embed", "train", "--resume", "run", "--out", "branch"), "run/metrics.jsonl: no lines up to step 3")


def test_what_a_killed_writer_left(neuro, random_vectors, small, tmp_path):
    """It is no run, and it is swept when one begins."""
    random_vectors(2000)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".partial-model.safetensors-0123abcd").write_bytes(b"half")
    ended = neuro("embed", "train", "--vectors", "vectors.txt", *small, "--set", "train.rounds=1", "--out", "run")
    assert ended.code == 0, ended.err
    assert not list((tmp_path / "run").glob(".partial-*"))


@pytest.mark.parametrize("command", [["quickstart"], ["embed", "train"], ["embed", "encode", "--model", "run"]])
def test_one_gpu_for_several_processes(neuro, tmp_path, command):
    refused(neuro(*command, "--out", "out", "--device", "cuda:0", "--nproc", 2), "--device cuda:0", "--device cuda,")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_failed_before_training_can_be_begun_again(neuro, random_vectors, small):
    options = ["--vectors", "vectors.txt", *small, "--set", "train.rounds=1", "--out", "run"]
    refused(neuro("embed", "train", *options), "vectors.txt")
    random_vectors(2000)
    assert neuro("embed", "train", *options).code == 0


@pytest.mark.parametrize("resume", ["nothing", "run/plots", "run/model.safetensors"])
def test_resume_from_what_is_no_run(neuro, run_copy, resume):
    refused(neuro("embed", "train", "--resume", resume), f"--resume {resume}: ")


def test_run_folder_in_use(neuro, run_copy):
    with lock_run_folder(run_copy):
        refused(neuro("embed", "train", "--resume", "auto", "--out", "run"), "another process", code=1)


@pytest.mark.parametrize("how", ["truncated", "bit flipped", "emptied"])
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("model.safetensors", ["search", "--model", "run", "-q", "paris"]),
        ("model.safetensors", ["eval", "--model", "run"]),
        ("model.safetensors", ["encode", "--model", "run", "--out", "c"]),
        ("model.safetensors", ["info", "run"]),
        ("codes.safetensors", ["search", "--model", "run", "-q", "paris"]),
        ("codes.safetensors", ["index", "--codes", "run/codes.safetensors", "--out", "i"]),
        ("codes.safetensors", ["info", "run/codes.safetensors"]),
        ("index.safetensors", ["search", "--model", "run", "-q", "paris", "--index", "run/index.safetensors"]),
    ],
)
def test_damaged_file(neuro, run_copy, name, command, how):
    path = run_copy / name
    if name == "index.safetensors":
        neuro("embed", "index", "--codes", "run/codes.safetensors", "--out", path)
    if how == "bit flipped":
        flip(path, -100)
    else:
        os.truncate(path, 0 if how == "emptied" else path.stat().st_size // 2)
    refused(neuro("embed", *command), f"run/{name}: ")


def test_a_file_of_another_kind(neuro, run_copy):
    refused(neuro("embed", "index", "--codes", "run/model.safetensors", "--out", "i"), "expected a binemb.codes file")
    search = ["embed", "search", "--model", "run", "-q", "paris"]
    refused(neuro(*search, "--index", "run/codes.safetensors"), "expected a binemb.index file")
    refused(neuro("embed", "search", "--model", "run/plots/training.png", "-q", "paris"), "training.png")
    refused(neuro("embed", "search", "--model", "run/plots", "-q", "paris"), "not a run folder")
    refused(neuro("embed", "search", "--model", "missing", "-q", "paris"), "missing: no such run folder")


def test_unreadable_vectors(neuro, tmp_path, small):
    (tmp_path / "folder").mkdir()
    (tmp_path / "garbage").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "empty").touch()
    for name in ("folder", "missing", "garbage", "empty", "samples:glove-51d"):
        refused(neuro("embed", "train", "--vectors", name, *small), name.removeprefix("samples:"))


def test_malformed_line(neuro, random_vectors, small):
    random_vectors(2000, edit={1234: "qz1233 0.5 oops " + " ".join(["0.5"] * 14)})
    refused(neuro("embed", "train", "--vectors", "vectors.txt", *small), "vectors.txt: line 1234: ", "'oops'")


def test_non_finite_vectors(neuro, random_vectors, small):
    bad = {row: f"qz{row - 1} nan " + " ".join(["0.5"] * 15) for row in (7, 99, 1500)}
    random_vectors(2000, edit=bad)
    options = ["--vectors", "vectors.txt", *small, "--set", "train.rounds=1"]
    refused(neuro("embed", "train", *options), "vectors.txt: line 7: ", "non_finite")
    ended = neuro("embed", "train", *options, "--set", "vectors.non_finite=drop", "--out", "run")
    assert ended.code == 0
    assert "1,997 words x 16 from vectors.txt (dropped: 3 non finite)" in ended.err


def test_too_few_vectors(neuro, random_vectors, small):
    random_vectors(100)
    refused(neuro("embed", "train", "--vectors", "vectors.txt", *small), "100 vectors")


def test_diverged(neuro, random_vectors, small):
    random_vectors(2000)
    options = ["--vectors", "vectors.txt", *small, "--set", "train.steps=30", "--set", "train.learning_rate=1e30"]
    refused(neuro("embed", "train", *options), "bad batch", "lower the learning rate", code=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_no_cuda_device(neuro, tmp_path, trained):
    refused(neuro("embed", "train", "--device", "cuda", "--out", "run"), "'cuda'", "--device cpu")
    refused(neuro("embed", "encode", "--model", trained, "--device", "cuda", "--out", "c"), "--device cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, and a way to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a file system: {mounted.stderr.strip()}")
    yield folder, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk(neuro, glove, small_disk, tmp_path):
    """What was saved before stands, and the run ends as one that had room, once there is room."""
    folder, resize = small_disk
    options = [*glove, "--bits", "64,256", "--set", "train.rounds=16", "--set", "train.keep=20"]
    ended = neuro("embed", "train", *options, "--out", folder / "run")
    refused(ended, "No space left on device", code=1)
    saved = sorted((folder / "run" / "checkpoints").glob("step-*"))
    assert 0 < len(saved) < 16
    for checkpoint in saved:
        verify_checkpoint(checkpoint)
    resize("64m")
    ended = neuro("embed", "train", "--resume", folder / "run")
    assert ended.code == 0, ended.err
    assert f"resumed from {saved[-1]}" in ended.err
    assert neuro("embed", "train", *options, "--out", tmp_path / "roomy").code == 0
    ends = [load_file(run / "model.safetensors") for run in (folder / "run", tmp_path / "roomy")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[1])


def test_full_disk_keeps_the_codes_that_stand(neuro, trained, small_disk):
    folder, _ = small_disk
    assert neuro("embed", "encode", "--model", trained, "--out", folder / "codes", "--limit", 6000).code == 0
    before = (folder / "codes").read_bytes()
    ended = neuro("embed", "encode", "--model", trained, "--out", folder / "codes", "--limit", 400_000)
    refused(ended, "No space left on device", code=1)
    assert (folder / "codes").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["codes"]


def test_interrupt_inside_a_callback_from_c_is_not_lost():
    code = """
import ctypes, time
from neuro.interrupts import keep_interrupts

keep_interrupts()

@ctypes.CFUNCTYPE(None)
def callback():
    raise KeyboardInterrupt

callback()  # Python ignores what is raised in here
try:
    time.sleep(100)
except KeyboardInterrupt:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("stopped\n", "")
