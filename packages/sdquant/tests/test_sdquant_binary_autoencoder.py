"""The model: bits that are sigma-delta of the encoder, gradients through them, codes and files that come back."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import sdquant as sd
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

QUANTIZERS = ["greedy", "sd1", "sd2", "sd3"]
KIND, VERSION = "sdquant.autoencoder", 1


def vectors(n: int = 300, dim: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator) * torch.linspace(2, 0.5, dim) + 1


def started(quantizer: Any = "greedy", ternary: bool = True, bits: int = 20, hidden: int = 8) -> sd.BinaryAutoencoder:
    model = sd.BinaryAutoencoder(12, bits, quantizer, ternary, hidden=hidden)
    model.start(vectors())
    return model


def decoded(model: sd.BinaryAutoencoder, codes: sd.Codes) -> torch.Tensor:
    x = model.decode(codes)
    assert isinstance(x, torch.Tensor)
    return x


@pytest.mark.parametrize("order", range(4))
def test_bits_are_the_quantizer_of_that_order_on_the_encoder(order):
    model = started(QUANTIZERS[order])
    z = ((vectors() - vectors().mean(0)) / model.size).double()
    weights = {name: tensor.double() for name, tensor in model.encoder.state_dict().items()}
    hidden = (z @ weights["expand.weight"].T + weights["expand.bias"]).clamp(min=0)
    y = z @ weights["direct.weight"].T + weights["direct.bias"] + hidden @ weights["contract.weight"].T
    expected = sd.sigma_delta(y.detach(), order, overload="clip")
    assert float((model.encode(vectors()).unpack() == expected).double().mean()) > 0.999


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_the_gradient_passes_straight_through_the_bits(quantizer):
    """What arrives at the encoder's output is what leaves the decoder's input, but where y was clipped."""
    model = started(quantizer, ternary=False, hidden=0)
    z = torch.randn(50, 12, generator=torch.Generator().manual_seed(1))
    y = model.encoder(z)
    y.retain_grad()
    model.decoder(model.sigma_delta(y)).square().sum().backward()
    with torch.no_grad():
        bits = model.sigma_delta(y)
        assert isinstance(model.decoder.direct, nn.Linear)
        at_bits = 2 * model.decoder(bits) @ model.decoder.direct.weight
    inside = y.detach().abs() <= sd.stability_limit(QUANTIZERS.index(quantizer))
    assert y.grad is not None
    assert 0.3 < float(inside.float().mean()) < 1
    torch.testing.assert_close(y.grad, at_bits * inside, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_the_start_is_decoded_by_least_squares(quantizer):
    """No other linear map of the same bits comes closer than the ridge allows."""
    x = vectors()
    model = started(quantizer, ternary=False, hidden=0)
    bits = model.encode(x).unpack().double()
    centred = (x - x.mean(0)).double()
    best = bits @ torch.linalg.lstsq(bits, centred).solution
    found = (decoded(model, model.encode(x)) - x.mean(0)).double()
    assert float((found - centred).square().mean()) < 1.01 * float((best - centred).square().mean())


def test_the_ternary_start_is_near_least_squares():
    """One ternary matrix has a fifth of the power of normal weights as noise, two have a twenty-fifth."""
    x = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0)) * torch.linspace(2, 0.5, 32)

    def variance_left(ternary: bool) -> float:
        model = sd.BinaryAutoencoder(32, 32, ternary=ternary, hidden=0)
        model.start(x)
        return float((decoded(model, model.encode(x)) - x).square().mean() / x.square().mean())

    explained = 1 - variance_left(ternary=False)
    assert variance_left(ternary=False) < variance_left(ternary=True) < 1 - 0.925 * explained


def test_the_start_codes_principal_components():
    """With fewer bits than dimensions, what lies across the principal components moves no bit."""
    x = vectors(2000)
    model = sd.BinaryAutoencoder(12, 4, ternary=False, hidden=0)
    model.start(x)
    _, directions = torch.linalg.eigh(torch.cov(x.T))
    assert isinstance(model.encoder.direct, nn.Linear)
    seen = model.encoder.direct.weight.detach() @ directions
    assert float(seen[:, :8].norm()) < 0.05 * float(seen[:, 8:].norm())


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 300), max_size=4),
    quantizer=st.sampled_from(QUANTIZERS),
    ternary=st.booleans(),
    bits=st.integers(1, 40),
)
def test_neither_codes_nor_vectors_depend_on_those_beside_them(cuts, quantizer, ternary, bits):
    model = started(quantizer, ternary, bits)
    x, edges = vectors(), [0, *sorted(cuts), 300]
    pieces = [x[a:b] for a, b in pairwise(edges)]
    codes = model.encode(x)
    assert (len(codes), codes.n_bits) == (300, bits)
    assert torch.equal(torch.cat([model.encode(piece).packed for piece in pieces]), codes.packed)
    joined = torch.cat([decoded(model, codes[a:b]) for a, b in pairwise(edges)])
    assert torch.equal(joined, decoded(model, codes))


@pytest.mark.parametrize("ternary", [True, False])
@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_files_come_back_bit_for_bit(tmp_path, quantizer, hidden, ternary):
    model = started(quantizer, ternary, hidden=hidden)
    model.save(tmp_path / "model")
    loaded = sd.BinaryAutoencoder.load(tmp_path / "model")
    codes = model.encode(vectors())
    assert torch.equal(loaded.encode(vectors()).packed, codes.packed)
    assert torch.equal(decoded(loaded, codes), decoded(model, codes))
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_ternary_decoder_is_stored_five_weights_a_byte(tmp_path):
    started(bits=40, hidden=64).save(tmp_path / "model")
    tensors, _ = read_tensor_file(tmp_path / "model", kind=KIND, version=VERSION)
    stored = {name: tensor.nbytes for name, tensor in tensors.items() if "packed" in name}
    rows = {"direct": (12, 40), "rest": (12, 40), "expand": (64, 40), "contract": (12, 64)}
    assert stored == {f"decoder.{name}.packed_base3": o * math.ceil(k / 5) for name, (o, k) in rows.items()}


def test_concatenated_models_come_back_part_by_part(tmp_path):
    parts = [vectors(), 1000 * vectors(dim=5, seed=1).double()]
    model = sd.BinaryAutoencoder([12, 5], 200, ternary=False, hidden=0)
    model.start(parts)
    model.save(tmp_path / "model")
    for each in (model, sd.BinaryAutoencoder.load(tmp_path / "model")):
        for part, estimate in zip(parts, each.decode(each.encode(parts)), strict=True):
            assert estimate.dtype == torch.float32
            assert float((estimate - part).square().mean() / (part - part.mean(0)).square().mean()) < 0.1


def test_weights_say_which_part_counts():
    parts = [vectors(seed=2), vectors(seed=3)]

    def error_of_first(weight: float) -> float:
        model = sd.BinaryAutoencoder([12, 12], 12, ternary=False, hidden=0)
        model.start(parts, weights=[weight, 1])
        return float((model.decode(model.encode(parts))[0] - parts[0]).square().mean())

    assert error_of_first(10) < 0.7 * error_of_first(0.1)


def test_cosine_codes_directions():
    model = sd.BinaryAutoencoder(12, 20, hidden=0)
    model.start(vectors(), metric="cosine")
    lengths = torch.rand(300, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    assert torch.equal(model.encode(vectors()).packed, model.encode(vectors() * lengths).packed)


def test_no_vectors_have_no_codes():
    model = started()
    codes = model.encode(vectors()[:0])
    assert len(codes) == 0
    assert decoded(model, codes).shape == (0, 12)


def test_input_that_is_refused():
    model = started()
    for bad, message in ((torch.nan, "row 7 has a NaN"), (torch.inf, "row 7 has a NaN or an infinity")):
        with pytest.raises(ValueError, match=message):
            model.encode(vectors().index_fill(0, torch.tensor(7), bad))
    with pytest.raises(ValueError, match="dimension"):
        model.encode(vectors(dim=13))
    with pytest.raises(TypeError, match="floating"):
        model.encode(vectors().long())
    with pytest.raises(ValueError, match=r"dimension \(12,\), got \(13,\)"):
        model.start(vectors(dim=13))
    with pytest.raises(ValueError, match="all the same"):
        model.start(vectors(1))
    with pytest.raises(ValueError, match="no rows"):
        model.start(vectors(0))
    with pytest.raises(ValueError, match="codes have 8 bits, the model has 20"):
        model.decode(sd.Codes(torch.zeros(1, 1, dtype=torch.uint8), 8))
    with pytest.raises(TypeError, match="must be Codes, got Tensor"):
        model.decode(torch.zeros(1, 3, dtype=torch.uint8))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no trits"):
        started(ternary=False).pack()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim must be"),
        ({"dim": [3, 0]}, "dim must be"),
        ({"dim": []}, "dim must be"),
        ({"bits": 0}, "bits must be 1 to 65536, got 0"),
        ({"bits": 65537}, "bits must be 1 to 65536"),
        ({"quantizer": "sd4"}, "quantizer must be one of .* got 'sd4'"),
        ({"hidden": -1}, "hidden must be at least 0, got -1"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sd.BinaryAutoencoder(**{"dim": 3, "bits": 8, **arguments})


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    model = sd.BinaryAutoencoder(3, 8, hidden=2)
    model.save(folder / "model")
    content = bytearray((folder / "model").read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (folder / "bad").write_bytes(content)
    try:
        loaded = sd.BinaryAutoencoder.load(folder / "bad")
    except FileFormatError:
        return
    loaded.save(folder / "again")  # a bit of the container that says nothing
    assert (folder / "again").read_bytes() == (folder / "model").read_bytes()


WRONG_FACTS: list[dict[str, Any]] = [
    {"dims": [13]},
    {"dims": []},
    {"dims": [12.0]},
    {"dims": ["12"]},
    {"dims": 12},
    {"dims": [6, 6]},
    {"dims": [-12]},
    {"dims": [10**30]},
    {"scales": [0.0]},
    {"scales": [math.nan]},
    {"scales": []},
    {"scales": ["1"]},
    {"metric": "manhattan"},
    {"bits": 21},
    {"bits": True},
    {"bits": 10**9},
    {"bits": None},
    {"quantizer": "sd9"},
    {"quantizer": 1},
    {"ternary": False},
    {"ternary": 1},
    {"hidden": 9},
    {"hidden": -1},
    {"hidden": 10**15},
    {"seed": "0"},
]


@pytest.mark.parametrize("wrong", WRONG_FACTS)
def test_wrong_descriptions_are_refused(tmp_path, wrong):
    """With a checksum that fits: written by another program."""
    started().save(tmp_path / "model")
    tensors, facts = read_tensor_file(tmp_path / "model", kind=KIND, version=VERSION)
    write_tensor_file(tmp_path / "bad", tensors, kind=KIND, version=VERSION, metadata={**facts, **wrong})
    with pytest.raises(FileFormatError, match="not a usable autoencoder"):
        sd.BinaryAutoencoder.load(tmp_path / "bad")


@pytest.mark.parametrize("ternary", [True, False])
def test_wrong_tensors_are_refused(tmp_path, ternary):
    started(ternary=ternary).save(tmp_path / "model")
    tensors, facts = read_tensor_file(tmp_path / "model", kind=KIND, version=VERSION)

    def refuse(changed: dict[str, torch.Tensor]) -> None:
        write_tensor_file(tmp_path / "bad", changed, kind=KIND, version=VERSION, metadata=facts)
        with pytest.raises(FileFormatError, match="not a usable autoencoder"):
            sd.BinaryAutoencoder.load(tmp_path / "bad")

    for name, tensor in tensors.items():
        refuse({other: kept for other, kept in tensors.items() if other != name})
        refuse({**tensors, name: tensor.to(torch.float64 if tensor.is_floating_point() else torch.int32)})
        refuse({**tensors, name: tensor[None]})
        if tensor.is_floating_point():
            for bad in (torch.nan, torch.inf):
                refuse({**tensors, name: torch.full_like(tensor, bad)})
        else:
            refuse({**tensors, name: torch.full_like(tensor, 255)})
    refuse({**tensors, "size": torch.tensor(0.0)})
    refuse({**tensors, "more": torch.zeros(1)})
    for missing in facts:
        rest = {name: value for name, value in facts.items() if name != missing}
        write_tensor_file(tmp_path / "bad", tensors, kind=KIND, version=VERSION, metadata=rest)
        with pytest.raises(FileFormatError, match="not a usable autoencoder"):
            sd.BinaryAutoencoder.load(tmp_path / "bad")


def test_packing_changes_nothing_but_the_storage():
    """An unpacked decoder computes what its packed copy does, so that training sees what users will get."""
    model = started()
    packed = model.pack()
    codes = model.encode(vectors())
    assert torch.equal(decoded(packed, codes), decoded(model, codes))
    assert torch.equal(packed.encode(vectors()).packed, codes.packed)
    assert any(isinstance(layer, sd.BitLinear) for layer in model.modules())
    assert not any(isinstance(layer, sd.BitLinear) for layer in packed.modules())
