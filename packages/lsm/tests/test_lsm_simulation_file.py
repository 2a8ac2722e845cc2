"""Saved simulations: they go on to the last bit, and what is no such file is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lsm
import numpy as np
import pytest
import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsm.simulation_file import KIND, VERSION, load
from lsm.simulation_state import state_of
from test_lsm_plasticity import MODELS, SHORT, balanced, changing


@pytest.mark.parametrize("synapse", MODELS, ids=repr)
@pytest.mark.parametrize("until", [0.7, 100.0])
def test_a_saved_simulation_goes_on_to_the_last_bit(synapse: object, until: float, tmp_path: Path) -> None:
    """With spikes in flight, and on other partitions than it was saved from."""
    whole, saved = balanced(synapse, partitions=2), balanced(synapse, partitions=2)
    whole.run(until)
    saved.run(until)
    saved.save(tmp_path / "net.lsm")
    loaded = load(tmp_path / "net.lsm", partitions=8, threads=1)
    assert loaded.time == saved.time
    a, b = whole.run(60.0), loaded.run(60.0)
    assert len(a) > 100
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.times, b.times)
    assert whole.events == loaded.events
    of_whole, of_loaded = state_of(whole), state_of(loaded)
    assert of_whole.keys() == of_loaded.keys()
    for name, array in of_whole.items():
        np.testing.assert_array_equal(array, of_loaded[name], err_msg=name)
    for x, y in zip(changing(whole), changing(loaded), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_same_simulation_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, partitions in (("a", 1), ("b", 8)):
        simulation = balanced(MODELS[2], partitions=partitions)
        simulation.run(50.0)
        simulation.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    load(tmp_path / "a").save(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for number, synapse in enumerate((SHORT, MODELS[-1])):
        simulation = balanced(synapse)
        simulation.run(30.0)
        paths.append(folder / f"{number}.lsm")
        simulation.save(paths[-1])
    return paths


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_named_errors(data: Any, files: list[Path], tmp_path: Path) -> None:
    content = bytearray(data.draw(st.sampled_from(files)).read_bytes())
    how = data.draw(st.sampled_from(["cut", "flip", "lengthen"]))
    # the header and the tensors' names are the first few kB, and deserve half of the flips
    at = data.draw(st.one_of(st.integers(0, 3000), st.integers(0, len(content) - 1)))
    if how == "cut":
        del content[at:]
    elif how == "flip":
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        content += data.draw(st.binary(min_size=1, max_size=50))
    path = tmp_path / "damaged.lsm"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"damaged\.lsm"):
        load(path)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the leaves of a JSON document are."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [path for key, item in items for path in _paths(item, (*at, key))]
    return [at]


# no numbers that describe a network which is large, but fits
NUMBERS = st.sampled_from([-(2**70), -1, 0, 1, 3, 2**70, -1.5, 0.0, 0.3, 1e300, float("inf"), float("nan")])
NONSENSE = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=3), st.just([]), st.just({}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_whole_file_with_a_false_description_is_a_named_error_or_a_network(
    data: Any, files: list[Path], tmp_path: Path
) -> None:
    """A description with one entry changed, its checksum right: it describes another network or none."""
    tensors, facts = read_tensor_file(data.draw(st.sampled_from(files)), kind=KIND, version=VERSION)
    path = data.draw(st.sampled_from(_paths(facts)))
    parent = facts
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(NONSENSE)
    write_tensor_file(
        tmp_path / "false.lsm", tensors, kind=KIND, version=VERSION, metadata=json.loads(json.dumps(facts))
    )
    try:
        simulation = load(tmp_path / "false.lsm", threads=1)
    except (FileFormatError, lsm.NetworkTooLarge) as error:
        assert isinstance(error, lsm.NetworkTooLarge) or "false.lsm" in str(error)  # noqa: PT017 - either is right
    else:
        simulation.run(1.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_state_that_is_none_of_the_network_is_a_named_error(data: Any, files: list[Path], tmp_path: Path) -> None:
    """A tensor left out, cut, of another type, or with a number that no simulation has."""
    tensors, facts = read_tensor_file(data.draw(st.sampled_from(files)), kind=KIND, version=VERSION)
    name = data.draw(st.sampled_from(sorted(tensors)))
    tensor = tensors.pop(name).clone()
    how = data.draw(st.sampled_from(["absent", "cut", "type", "number"]))
    if how == "cut":
        tensors[name] = tensor.reshape(-1)[: max(0, tensor.numel() - 1)].clone() if tensor.numel() else torch.zeros(3)
    elif how == "type":
        tensors[name] = tensor.to(torch.float16)
    elif how == "number":
        tensors[name] = tensor
        if not tensor.numel():
            return
        at = data.draw(st.integers(0, tensor.numel() - 1))
        tensor.view(-1)[at] = float("nan") if tensor.is_floating_point() else torch.iinfo(tensor.dtype).max
        if not tensor.is_floating_point() and name == "state.neurons.clock":
            return  # a long refractory period
    write_tensor_file(tmp_path / "false.lsm", tensors, kind=KIND, version=VERSION, metadata=facts)
    with pytest.raises(FileFormatError, match=r"false\.lsm: not a usable simulation"):
        load(tmp_path / "false.lsm", threads=1)


def test_other_kinds_newer_versions_and_missing_files_are_named(tmp_path: Path) -> None:
    write_tensor_file(tmp_path / "codes", {}, kind="binemb.codes", version=1, metadata={})
    with pytest.raises(FileFormatError, match=r"expected a lsm.simulation file, found binemb.codes"):
        load(tmp_path / "codes")
    write_tensor_file(tmp_path / "newer", {}, kind=KIND, version=VERSION + 1, metadata={})
    with pytest.raises(FileFormatError, match="upgrade it"):
        load(tmp_path / "newer")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "nothing")


def test_an_unwritable_place_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        balanced(None).save(tmp_path / "file" / "net.lsm")
    assert (tmp_path / "file").read_text() == "no folder"
