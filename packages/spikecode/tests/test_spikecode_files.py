"""Files of trains and codecs: what comes back, and what is refused by name."""

from pathlib import Path

import pytest
import spikecode as sc
import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
CODEC = sc.SpikeCodec.fit(X, neurons=60, scheme="rate", position_period=20, seed=3).fit_prior(X).fit_linear(X)
SPARSE = sc.SpikeCodec.fit(X, neurons=60, max_rate=2.0, sigma=0.05)


@pytest.mark.parametrize("codec", [CODEC, SPARSE])
def test_trains_come_back(codec: sc.SpikeCodec, tmp_path: Path) -> None:
    train = codec.encode(X, first_token=9)
    train.save(tmp_path / "train")
    back = sc.SpikeTrain.load(tmp_path / "train")
    assert torch.equal(back.to_dense(), train.to_dense())
    assert (back.layout, back.first_token, back.clipped, back.dt) == (train.layout, 9, train.clipped, train.dt)
    assert torch.equal(codec.decode(back), codec.decode(train))


@pytest.mark.parametrize("scheme", ["poisson", "rate", "latency", sc.Phase(20), sc.Burst(3, 3)])
def test_codecs_come_back(scheme: str, tmp_path: Path) -> None:
    codec = sc.SpikeCodec.fit(X, neurons=60, scheme=scheme, sigma=0.05, background=1.0).fit_prior(X)
    codec.save(tmp_path / "codec")
    back = sc.SpikeCodec.load(tmp_path / "codec")
    counts = codec.encode_counts(X)
    assert torch.equal(back.encode_counts(X).dense(), counts.dense())
    for method in ("ml", "bayes"):
        assert torch.equal(back.decode_counts(counts, method), codec.decode_counts(counts, method))


def test_everything_of_a_codec_comes_back(tmp_path: Path) -> None:
    CODEC.save(tmp_path / "codec")
    back = sc.SpikeCodec.load(tmp_path / "codec")
    train = back.encode(X)
    assert torch.equal(train.to_dense(), CODEC.encode(X).to_dense())
    assert torch.equal(back.decode_positions(train), torch.arange(5))
    for method in ("linear", "bayes", "centre_of_mass"):
        assert torch.equal(back.decode(train, method), CODEC.decode(train, method))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    for name, thing in {"bits": CODEC.encode(X), "events": SPARSE.encode(X), "codec": CODEC}.items():
        thing.save(folder / name)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_named_errors(data, files: dict[str, bytes], tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="damaged"):
        (sc.SpikeCodec if name == "codec" else sc.SpikeTrain).load(path)


def test_other_kinds_newer_versions_and_missing_files_are_named(tmp_path: Path) -> None:
    CODEC.save(tmp_path / "codec")
    with pytest.raises(FileFormatError, match=r"expected a spikecode.train file, found spikecode.codec"):
        sc.SpikeTrain.load(tmp_path / "codec")
    write_tensor_file(tmp_path / "newer", {}, kind="spikecode.train", version=2, metadata={})
    with pytest.raises(FileFormatError, match="this release reads up to 1: upgrade it"):
        sc.SpikeTrain.load(tmp_path / "newer")
    with pytest.raises(FileNotFoundError, match="no such file"):
        sc.SpikeTrain.load(tmp_path / "nothing")


TRAIN_CHANGES = {
    "steps": {"steps": 0},
    "neurons": {"neurons": 2},
    "window": {"window": 3},
    "words": {"steps": 3},
    "missing fact": {"dt": None},
    "first token": {"first_token": -1},
}


@pytest.mark.parametrize("layout", ["bits", "events"])
@pytest.mark.parametrize("change", TRAIN_CHANGES.values(), ids=TRAIN_CHANGES)
def test_trains_that_do_not_fit_together_are_refused(layout: str, change: dict, tmp_path: Path) -> None:
    path = tmp_path / "train"
    (CODEC if layout == "bits" else SPARSE).encode(X).save(path)
    tensors, facts = read_tensor_file(path, kind="spikecode.train", version=1)
    write_tensor_file(path, tensors, kind="spikecode.train", version=1, metadata=facts | change)
    with pytest.raises(FileFormatError, match="not a usable spike train"):
        sc.SpikeTrain.load(path)


@pytest.mark.parametrize("wrong", ["first", "clipped", "words", "events", "offsets"])
def test_tensors_of_the_wrong_kind_are_refused(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "train"
    (SPARSE if wrong in ("events", "offsets") else CODEC).encode(X).save(path)
    tensors, facts = read_tensor_file(path, kind="spikecode.train", version=1)
    for other in (tensors[wrong].float(), tensors[wrong][:1], tensors[wrong] - 1000 if wrong != "clipped" else None):
        changed = {name: tensor for name, tensor in tensors.items() if name != wrong}
        if other is not None:
            changed[wrong] = other
        write_tensor_file(path, changed, kind="spikecode.train", version=1, metadata=facts)
        with pytest.raises(FileFormatError, match="not a usable spike train"):
            sc.SpikeTrain.load(path)


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"steps": "many"}, {"scheme": {"name": "morse"}}, {"scheme": {"name": "rate", "x": 1}},
     {"population": {"neurons": 5}}, {"seed": "none"}, {"position_period": 0},
     {"refractory": -1}, {"refractory": 1.5}],
)  # fmt: skip
def test_codecs_that_do_not_fit_together_are_refused(change: dict, tmp_path: Path) -> None:
    path = tmp_path / "codec"
    CODEC.save(path)
    tensors, facts = read_tensor_file(path, kind="spikecode.codec", version=1)
    write_tensor_file(path, tensors, kind="spikecode.codec", version=1, metadata=facts | change)
    with pytest.raises(FileFormatError, match="not a usable codec"):
        sc.SpikeCodec.load(path)


@pytest.mark.parametrize("name", ["prior", "weights"])
def test_decoders_that_cannot_be_used_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "codec"
    CODEC.save(path)
    tensors, facts = read_tensor_file(path, kind="spikecode.codec", version=1)
    for wrong in (tensors[name][..., :1], torch.full_like(tensors[name], torch.nan)):
        write_tensor_file(path, tensors | {name: wrong}, kind="spikecode.codec", version=1, metadata=facts)
        with pytest.raises(FileFormatError, match="not a usable codec"):
            sc.SpikeCodec.load(path)
