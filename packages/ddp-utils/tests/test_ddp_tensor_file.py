"""A tensor file gives back what was written, or says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from ddp_utils.tensor_file import checksum
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

KIND = "test.kind"
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int8, torch.uint8, torch.bool]
CONTENT: tuple[dict[str, Tensor], dict[str, Any]] = (
    {"weights": torch.arange(12.0).reshape(3, 4), "codes": torch.tensor([1, 2, 255], dtype=torch.uint8)},
    {"words": ["one", "zwei"], "scale": 0.5},
)


def write(path: Path, version: int = 1, kind: str = KIND) -> bytes:
    write_tensor_file(path, CONTENT[0], kind=kind, version=version, metadata=CONTENT[1])
    return path.read_bytes()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@given(
    shapes=st.dictionaries(st.text("a.", min_size=1), st.tuples(st.lists(st.integers(0, 3)), st.sampled_from(DTYPES))),
    metadata=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.text("äx\0\n")),
    version=st.integers(1, 20),
)  # fmt: skip
def test_round_trip(tmp_path: Path, shapes: dict[str, Any], metadata: dict[str, Any], version: int) -> None:
    tensors = {name: torch.ones(shape).to(dtype) for name, (shape, dtype) in shapes.items()}
    path = tmp_path / "file"
    write_tensor_file(path, tensors, kind=KIND, version=version, metadata=metadata)
    back, described = read_tensor_file(path, kind=KIND, version=20)
    assert same(back, tensors)
    assert described == metadata


def test_views_tied_and_lazily_negated_tensors_are_written_as_they_read(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    z = torch.tensor([1 + 2j, 3 - 4j]).conj()
    tensors = {"base": base, "again": base, "part": base[:3], "even": base[::2], "conj": z, "imag": z.imag}
    write_tensor_file(tmp_path / "file", tensors, kind=KIND, version=1, metadata={})
    assert same(read_tensor_file(tmp_path / "file", kind=KIND, version=1)[0], tensors)


MUTATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 2000), st.integers(0, 7)),
        st.tuples(st.just("cut"), st.integers(0, 2000), st.just(0)),
        st.tuples(st.just("insert"), st.integers(0, 2000), st.integers(0, 255)),
        st.tuples(st.just("set"), st.integers(0, 2000), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=4,
)


def mutate(content: bytes, mutations: list[tuple[str, int, int]]) -> bytes:
    damaged = bytearray(content)
    for kind, place, value in mutations:
        at = place % max(len(damaged), 1)
        if kind == "cut":
            del damaged[at:]
        elif kind == "insert":
            damaged.insert(at, value)
        elif damaged:
            damaged[at] = damaged[at] ^ (1 << value) if kind == "flip" else value
    return bytes(damaged)


@settings(max_examples=600)
@given(MUTATIONS)
def test_a_changed_file_gives_the_named_error_or_the_same_content(tmp_path: Path, mutations: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(mutate(write(path), mutations))
    try:
        tensors, metadata = read_tensor_file(path, kind=KIND, version=9)
    except FileFormatError:
        return
    assert same(tensors, CONTENT[0])
    assert metadata == CONTENT[1]


def test_every_single_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = write(path)
    for position in range(0, 8 * len(content), 7):
        path.write_bytes(mutate(content, [("flip", position // 8, position % 8)]))
        try:
            tensors, metadata = read_tensor_file(path, kind=KIND, version=9)
        except FileFormatError:
            continue
        assert same(tensors, CONTENT[0])
        assert metadata == CONTENT[1]


def test_a_version_is_not_mistaken_for_another_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = write(path, version=1)
    path.write_bytes(content.replace(b'version\\": \\"1', b'version\\": \\"3'))
    with pytest.raises(FileFormatError, match="checksum"):
        read_tensor_file(path, kind=KIND, version=3)


def test_same_content_same_bytes(tmp_path: Path) -> None:
    files = [write(tmp_path / f"file-{i}", version=1) for i in range(8)]
    assert len(set(files)) == 1


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write(tmp_path / "ours", version=1)
    (tmp_path / "any").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize("version", ["2", "0", "-1", "", "1.0", "\u0661", "9" * 5000])
def test_a_version_that_is_not_known_is_refused(tmp_path: Path, version: str) -> None:
    path = tmp_path / "file"
    header = {"format": KIND, "version": version, "metadata": "{}"}
    header["sha256"] = checksum({}, json.dumps(header, sort_keys=True))
    save_file({}, path, metadata={"header": json.dumps(header)})
    with pytest.raises(FileFormatError, match="version"):
        read_tensor_file(path, kind=KIND, version=1)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "nonsense", "1" * 5000])
def test_metadata_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    save_file({}, path, metadata={"header": json.dumps({"format": KIND, "version": "1", "metadata": text})})
    with pytest.raises(FileFormatError, match="metadata"):
        read_tensor_file(path, kind=KIND, version=1, verify=False)


def test_another_kind_of_file_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "file", kind="other.kind")
    with pytest.raises(FileFormatError, match=r"expected a test\.kind file, found other\.kind"):
        read_tensor_file(tmp_path / "file", kind=KIND, version=1)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_tensor_file(tmp_path / "gone", kind=KIND, version=1)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    content = write(path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_tensor_file(path, {"x": torch.ones(3)}, kind=KIND, version=1, metadata={})
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_under_a_file_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "below")
