"""Damaged and forged files of codes, indexes and models: only FileFormatError or the same content comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from binemb import BinaryCodes, BinaryIndex, MatryoshkaBinarizer, Preparation
from binemb.float_index import FloatIndex
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VECTORS = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
LOADERS: dict[str, Callable[[Path], Any]] = {
    "codes": BinaryCodes.load,
    "index": BinaryIndex.load,
    "ivf": BinaryIndex.load,
    "hnsw": BinaryIndex.load,
    "hash": BinaryIndex.load,
    "float_index": FloatIndex.load,
    "matryoshka": MatryoshkaBinarizer.load,
}
KINDS = list(LOADERS)
FORMATS = {kind: "binemb.index" if kind in ("ivf", "hnsw", "hash") else f"binemb.{kind}" for kind in KINDS}
VERSIONS = {kind: 2 if FORMATS[kind] in ("binemb.index", "binemb.matryoshka") else 1 for kind in KINDS}


def content(loaded: Any) -> tuple[dict[str, torch.Tensor], object]:
    """Everything that a loaded object holds."""
    if isinstance(loaded, BinaryCodes):
        return {"packed": loaded.packed}, (loaded.n_bits, loaded.levels, loaded.words)
    if isinstance(loaded, BinaryIndex):
        hits = loaded.search(BinaryCodes.from_signs(torch.ones(1, loaded.n_bits)), len(loaded))
        order = hits.ids.argsort(1)
        return {"ids": hits.ids.gather(1, order), "distances": hits.distances.gather(1, order)}, loaded.n_bits
    if isinstance(loaded, FloatIndex):
        return {"ids": loaded.ids, "vectors": loaded.vectors}, (loaded.metric, loaded.words)
    return dict(loaded.state_dict()), loaded.bits


def assert_same_content(loaded: Any, original: Any) -> None:
    (tensors, rest), (expected, expected_rest) = content(loaded), content(original)
    assert rest == expected_rest
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    model = MatryoshkaBinarizer(Preparation.fit(VECTORS), (8, 16))
    model.fit_decoders(model.preparation(VECTORS))
    model.save(folder / "matryoshka")
    codes = model.encode(VECTORS).truncate(13)
    BinaryCodes(codes.packed, 13, codes.levels, [f"w{row}" for row in range(30)]).save(folder / "codes")
    BinaryIndex(13).add(codes, torch.arange(100, 130)).save(folder / "index")
    BinaryIndex(13, "ivf", n_lists=4).add(codes).save(folder / "ivf")
    BinaryIndex(13, "hnsw", m=3).add(codes).save(folder / "hnsw")
    BinaryIndex(13, "hash", hash_bits=4).add(codes).save(folder / "hash")
    FloatIndex(6).add(VECTORS, torch.arange(100, 130), words=list(map(str, range(30)))).save(folder / "float_index")
    return folder


@st.composite
def mutations(draw):
    """Change, insert or cut bytes; positions are fractions of the file or offsets into its head."""
    place = st.one_of(st.floats(0, 1, exclude_max=True), st.integers(0, 400))
    step = st.one_of(
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("set"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), place, st.just(0)),
    )
    return draw(st.lists(step, min_size=1, max_size=3))


def mutate(data: bytearray, steps) -> bytes:
    for kind, place, what in steps:
        at = min(place if isinstance(place, int) else int(place * len(data)), max(len(data) - 1, 0))
        if kind == "flip" and data:
            data[at] ^= 1 << what
        elif kind == "set":
            data[at : at + len(what)] = what
        elif kind == "insert":
            data[at:at] = what
        elif kind == "cut":
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=mutations())
def test_a_damaged_file_is_refused_or_says_the_same(folder, tmp_path, kind, steps):
    damaged = tmp_path / kind
    damaged.unlink(missing_ok=True)  # the file may still be mapped: write a new one
    damaged.write_bytes(mutate(bytearray((folder / kind).read_bytes()), steps))
    loaded, message = None, ""
    try:
        loaded = LOADERS[kind](damaged)
    except FileFormatError as error:
        message = str(error)
    if loaded is None:
        assert message.startswith(str(damaged))
    else:
        assert_same_content(loaded, LOADERS[kind](folder / kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_refused(folder, tmp_path, kind):
    data = (folder / kind).read_bytes()
    for end in {*range(0, len(data), 17), len(data) - 1}:
        (tmp_path / str(end)).write_bytes(data[:end])
        with pytest.raises(FileFormatError):
            LOADERS[kind](tmp_path / str(end))


@pytest.mark.parametrize("kind", KINDS)
def test_another_version_or_kind_is_refused(folder, tmp_path, kind):
    name, version = FORMATS[kind], VERSIONS[kind]
    tensors, metadata = read_tensor_file(folder / kind, kind=name, version=version)
    write_tensor_file(tmp_path / "newer", tensors, kind=name, version=version + 1, metadata=metadata)
    with pytest.raises(FileFormatError, match=rf"version '{version + 1}'; this release reads up to {version}"):
        LOADERS[kind](tmp_path / "newer")
    for other in KINDS:
        if FORMATS[other] != name:
            with pytest.raises(FileFormatError, match=f"expected a {name} file, found {FORMATS[other]}"):
                LOADERS[kind](folder / other)
    with pytest.raises(FileNotFoundError):
        LOADERS[kind](tmp_path / "absent")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from([13, 8, 16])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
tensors_of_any_kind = st.builds(
    lambda shape, dtype: torch.ones(shape, dtype=dtype),
    st.lists(st.integers(0, 9), max_size=3),
    st.sampled_from([torch.uint8, torch.int64, torch.float32, torch.float64, torch.bfloat16, torch.bool]),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_forged_file_with_a_right_checksum_is_refused_or_sound(folder, tmp_path, kind, data):
    """Whoever can write the file can write its checksum: fields of another type and missing ones are found."""
    tensors, metadata = read_tensor_file(folder / kind, kind=FORMATS[kind], version=VERSIONS[kind])
    place = data.draw(st.sampled_from([*tensors, *metadata]))
    if data.draw(st.booleans()):
        del (tensors if place in tensors else metadata)[place]
    elif place in tensors:
        tensors[place] = data.draw(tensors_of_any_kind)
    else:
        metadata[place] = data.draw(json_values)
    (tmp_path / kind).unlink(missing_ok=True)
    write_tensor_file(tmp_path / kind, tensors, kind=FORMATS[kind], version=VERSIONS[kind], metadata=metadata)
    try:
        loaded = LOADERS[kind](tmp_path / kind)
    except FileFormatError:
        return
    if isinstance(loaded, BinaryIndex):
        loaded.add(BinaryCodes.from_signs(torch.ones(40, loaded.n_bits)))
    if isinstance(loaded, FloatIndex):
        loaded.add(torch.ones(1, loaded.dim)).search(torch.ones(2, loaded.dim), 3)
    content(loaded)
    if isinstance(loaded, MatryoshkaBinarizer):
        loaded.decode(loaded.encode(torch.ones(2, loaded.dim)))


@pytest.mark.parametrize(("name", "value"), [("bias_B", float("nan")), ("weight_BD", float("inf"))])
def test_a_model_with_values_that_are_not_finite_is_refused(folder, tmp_path, name, value):
    tensors, metadata = read_tensor_file(folder / "matryoshka", kind="binemb.matryoshka", version=2)
    tensors[name] = torch.full_like(tensors[name], value)
    write_tensor_file(tmp_path / "model", tensors, kind="binemb.matryoshka", version=2, metadata=metadata)
    with pytest.raises(FileFormatError, match=f"{name} holds other than finite float32 values"):
        MatryoshkaBinarizer.load(tmp_path / "model")


def test_a_small_file_cannot_ask_for_much_memory(folder, tmp_path):
    """Level lengths and widths are compared with the stored tensors before a model of that size is made."""
    tensors, metadata = read_tensor_file(folder / "matryoshka", kind="binemb.matryoshka", version=2)
    tensors["preparation.mean_D"] = torch.zeros(10**6)
    tensors["preparation.components_KD"] = torch.zeros(0, 10**6)
    metadata |= {"dim": 10**6, "bits": list(range(8, 65537, 8))}
    write_tensor_file(tmp_path / "model", tensors, kind="binemb.matryoshka", version=2, metadata=metadata)
    with pytest.raises(FileFormatError, match="its tensors are not those of"):
        MatryoshkaBinarizer.load(tmp_path / "model")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["ivf", "hnsw", "hash"]), data=st.data())
def test_a_forged_index_structure_or_parameter_is_refused_or_sound(folder, tmp_path, kind, data):
    """Numbers of the right type and shape, but others: searches must stay inside the index."""
    tensors, metadata = read_tensor_file(folder / kind, kind="binemb.index", version=2)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    place = data.draw(st.sampled_from(sorted({*tensors, *metadata["parameters"]} - {"packed", "ids"})))
    if place in tensors:
        numbers = tensors[place].view(-1)
        where = data.draw(st.lists(st.integers(0, len(numbers) - 1), min_size=1, max_size=30))
        limits = torch.iinfo(numbers.dtype)
        values = data.draw(st.sampled_from([-1, 0, 1, 2, 3, 29, 30, limits.max, limits.min]))
        numbers[where] = max(min(values, limits.max), limits.min)
    else:
        metadata["parameters"][place] = data.draw(st.one_of(st.integers(-3, 40), st.none(), json_values))
    (tmp_path / kind).unlink(missing_ok=True)
    write_tensor_file(tmp_path / kind, tensors, kind="binemb.index", version=2, metadata=metadata)
    try:
        loaded = BinaryIndex.load(tmp_path / kind)
    except FileFormatError:
        return
    codes = BinaryCodes.from_signs(torch.randn(50, 13, generator=torch.Generator().manual_seed(0)))
    found = loaded.search(codes, 40).ids
    assert found.shape == (50, 30)
    loaded.add(codes)
    assert all(len(set(row)) == 60 for row in loaded.search(codes, 60).ids.tolist())
