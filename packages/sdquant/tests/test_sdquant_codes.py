from pathlib import Path

import pytest
import sdquant as sd
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def bits(n: int, m: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 2, (n, m), generator=torch.Generator().manual_seed(seed)).to(torch.int8) * 2 - 1


def make(n: int, m: int, seed: int = 0) -> sd.Codes:
    return sd.Codes(sd.pack_bits(bits(n, m, seed)), m)


@given(n=st.integers(0, 9), m=st.integers(1, 40), seed=st.integers(0, 10**6))
def test_codes_know_their_size_and_bits(n: int, m: int, seed: int) -> None:
    codes = make(n, m, seed)
    assert len(codes) == n
    assert codes.n_bits == m
    assert codes.packed.shape == (n, -(-m // 8))
    assert torch.equal(codes.unpack(), bits(n, m, seed))


@pytest.mark.parametrize(
    "rows",
    [
        slice(2, 5),
        slice(None, None, 3),
        slice(3, 3),
        [4, 0, -1],
        [],
        [True, False] * 4,
        torch.tensor([7, 7, 1]),
        torch.tensor([7, 7, 1], dtype=torch.uint8),
        torch.arange(8) % 3 == 0,
    ],
)
def test_indexing_takes_the_rows_that_it_takes_of_a_tensor(rows) -> None:
    codes = make(8, 13)
    expected = torch.arange(8)[rows.long() if torch.is_tensor(rows) and rows.dtype == torch.uint8 else rows]
    assert torch.equal(codes[rows].unpack(), bits(8, 13)[expected])


@pytest.mark.parametrize("rows", [3, 1.5, "a", None, [0.5], torch.tensor(2), torch.tensor([1.0]), torch.zeros(1, 1)])
def test_other_indices_are_named(rows) -> None:
    with pytest.raises(TypeError, match=r"Codes: index by a slice, a list or a tensor \(k,\)"):
        make(8, 13)[rows]


@pytest.mark.parametrize("rows", [[8], torch.tensor([-9]), [True] * 7])
def test_rows_that_are_not_there_are_an_index_error(rows) -> None:
    with pytest.raises(IndexError):
        make(8, 13)[rows]


def test_what_cannot_be_codes_is_named() -> None:
    good = sd.pack_bits(bits(2, 13))
    with pytest.raises(TypeError, match=r"must be a uint8 tensor, got torch\.int64"):
        sd.Codes(good.long(), 13)
    with pytest.raises(TypeError, match="must be a uint8 tensor"):
        sd.Codes([[1]], 8)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        sd.Codes(good, 13.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"17 bits take packed of shape \(n, 3\), got \(2, 2\)"):
        sd.Codes(good, 17)
    with pytest.raises(ValueError, match=r"13 bits take packed of shape \(n, 2\), got \(2,\)"):
        sd.Codes(good[:, 0], 13)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sd.Codes(good[:, :0], 0)
    with pytest.raises(ValueError, match="beyond the 13"):
        sd.Codes(good | 1 << 5, 13)


@pytest.mark.parametrize("n", [0, 30])
def test_file_round_trip(tmp_path: Path, n: int) -> None:
    make(n, 13).save(tmp_path / "codes")
    loaded = sd.Codes.load(tmp_path / "codes")
    assert loaded.n_bits == 13
    assert torch.equal(loaded.unpack(), bits(n, 13))


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("codes") / "codes"
    make(30, 13).save(path)
    return path.read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), content=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_a_damaged_file_is_refused_or_says_the_same(
    stored: bytes, tmp_path: Path, at: float, content: bytes, cut: bool
) -> None:
    data = bytearray(stored)
    place = int(at * len(data))
    if cut:
        del data[place:]
    else:
        data[place : place + len(content)] = content
    path = tmp_path / "damaged"
    path.unlink(missing_ok=True)  # the file may still be mapped: write a new one
    path.write_bytes(data)
    loaded, message = None, ""
    try:
        loaded = sd.Codes.load(path)
    except FileFormatError as error:
        message = str(error)
    if loaded is None:
        assert message.startswith(str(path))
    else:
        assert torch.equal(loaded.unpack(), bits(30, 13))


json_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)
tensors = st.builds(
    lambda shape, dtype: torch.ones(shape, dtype=dtype),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from([torch.uint8, torch.int64, torch.float32, torch.bool]),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_bits=st.none() | json_values, packed=st.none() | tensors)
def test_a_forged_file_with_a_right_checksum_is_refused_or_sound(tmp_path: Path, n_bits, packed) -> None:
    """Whoever can write the file can write its checksum."""
    path = tmp_path / "forged"
    path.unlink(missing_ok=True)
    write_tensor_file(
        path,
        {} if packed is None else {"packed": packed},
        kind="sdquant.codes",
        version=1,
        metadata={} if n_bits is None else {"n_bits": n_bits},
    )
    try:
        loaded = sd.Codes.load(path)
    except FileFormatError:
        return
    assert torch.equal(sd.pack_bits(loaded.unpack()), loaded.packed)


def test_another_version_or_kind_is_refused(tmp_path: Path, stored: bytes) -> None:
    (tmp_path / "codes").write_bytes(stored)
    found, metadata = read_tensor_file(tmp_path / "codes", kind="sdquant.codes", version=1)
    for kind, version in (("sdquant.codes", 2), ("binemb.codes", 1)):
        write_tensor_file(tmp_path / "other", found, kind=kind, version=version, metadata=metadata)
        with pytest.raises(FileFormatError, match=r"version '2'|expected a sdquant\.codes"):
            sd.Codes.load(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        sd.Codes.load(tmp_path / "absent")
