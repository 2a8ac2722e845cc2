import copy
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import sdquant as sd
import torch
from ddp_utils import read_tensor_file, write_tensor_file
from hypothesis import given, settings
from hypothesis import strategies as st
from sdquant.ternary import TernaryLayout
from torch import nn

LAYOUTS: tuple[TernaryLayout, ...] = ("base3", "two_bit")


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def make_layer(
    inputs: int, outputs: int, *, bias: bool = True, seed: int = 0, dtype: torch.dtype = torch.float32
) -> sd.BitLinear:
    layer = sd.BitLinear(inputs, outputs, bias=bias, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(normal(outputs, inputs, seed=seed))
        if bias:
            layer.bias.copy_(normal(outputs, seed=seed + 1))
    return layer


def quantized_parts(layer: sd.BitLinear, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Q(x) and Q(W) in float64, by the formulas of the paper."""
    weight, x = layer.weight.detach().double(), x.detach().double()
    scale_w = weight.abs().mean()
    scale_x = x.abs().amax(-1, keepdim=True) / 127
    return (x / scale_x).round() * scale_x, (weight / scale_w).round().clamp(-1, 1) * scale_w


def test_forward_is_the_product_of_the_rounded_parts() -> None:
    layer, x = make_layer(70, 33, dtype=torch.float64), normal(4, 5, 70, seed=2, dtype=torch.float64)
    x_hat, w_hat = quantized_parts(layer, x)
    torch.testing.assert_close(layer(x), x_hat @ w_hat.T + layer.bias)


def test_gradient_is_straight_through() -> None:
    """As if the layer were linear in x and W at the rounded values, for a zero token and clipped weights too."""
    layer, x = make_layer(20, 7, dtype=torch.float64), normal(2, 3, 20, seed=3, dtype=torch.float64)
    x[0, 0] = 0
    x.requires_grad_()
    grad = normal(2, 3, 7, seed=4, dtype=torch.float64)
    layer(x).backward(grad)
    x_hat, w_hat = quantized_parts(layer, x)
    x_hat[0, 0] = 0
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    torch.testing.assert_close(x.grad, grad @ w_hat)
    torch.testing.assert_close(layer.weight.grad, grad.reshape(-1, 7).T @ x_hat.reshape(-1, 20))
    torch.testing.assert_close(layer.bias.grad, grad.sum((0, 1)))


def test_learns_a_ternary_map() -> None:
    """Training finds the trits of a layer from its outputs."""
    teacher, x = make_layer(12, 6, bias=False), normal(512, 12, seed=5)
    student = make_layer(12, 6, bias=False, seed=9)
    y = teacher(x).detach()
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = (student(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0]
    assert float((student.pack().trits() == teacher.pack().trits()).float().mean()) > 0.95


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.integers(1, 400),
    outputs=st.integers(1, 30),
    tokens=st.integers(0, 9),
    bias=st.booleans(),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10**6),
)
def test_packed_layer_equals_the_layer_bit_for_bit(
    inputs: int, outputs: int, tokens: int, bias: bool, layout: TernaryLayout, dtype: torch.dtype, seed: int
) -> None:
    layer = make_layer(inputs, outputs, bias=bias, seed=seed, dtype=dtype)
    packed = layer.pack(layout)
    x = normal(tokens, inputs, seed=seed + 2, dtype=dtype)
    assert torch.equal(packed(x), layer(x))
    assert torch.equal(packed.trits(), sd.quantize_ternary(layer.weight.detach())[0])
    assert packed.packed.numel() == outputs * math.ceil(inputs / {"base3": 5, "two_bit": 4}[layout])


def test_a_token_does_not_depend_on_its_batch() -> None:
    packed, x = make_layer(300, 40).pack(), normal(17, 300, seed=6)
    whole = packed(x)
    assert torch.equal(torch.stack([packed(token) for token in x]), whole)
    assert torch.equal(packed(x.reshape(1, 17, 300))[0], whole)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_agrees_to_its_rounding(dtype: torch.dtype) -> None:
    """float16 does not overflow either: 4,096 equal inputs reach the largest sum."""
    layer = make_layer(4096, 3, bias=False, dtype=dtype)
    with torch.no_grad():
        layer.weight.fill_(0.01)
    x = torch.ones(2, 4096, dtype=dtype)
    tolerance = 4 * torch.finfo(dtype).eps
    for y in (layer(x), layer.pack()(x)):
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), torch.full((2, 3), 40.96).double(), rtol=tolerance, atol=0)


def test_autocast_computes_in_its_dtype_and_gives_gradients_in_the_parameters() -> None:
    layer, x = make_layer(64, 16), normal(5, 64, seed=7).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
        assert y.dtype == torch.bfloat16
        assert layer(y.detach().repeat(1, 4)).shape == (5, 16)
    torch.testing.assert_close(y.float(), layer(x), rtol=0.02, atol=0.2)
    y.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_token_is_nan_and_spoils_no_other(bad: float) -> None:
    layer, x = make_layer(30, 4), normal(3, 30, seed=8)
    good = layer(x)
    x[1, 7] = bad
    for y in (layer(x), layer.pack()(x)):
        assert bool(y[1].isnan().all())
        assert torch.equal(y[[0, 2]], good[[0, 2]])


def test_zero_rows_zero_tokens_and_zero_weights() -> None:
    layer = make_layer(30, 4)
    for module in (layer, layer.pack()):
        assert module(torch.zeros(0, 30)).shape == (0, 4)
        assert torch.equal(module(torch.zeros(2, 30)), layer.bias.detach().expand(2, 4))
    with torch.no_grad():
        layer.weight.zero_()
    for module in (layer, layer.pack()):
        assert torch.equal(module(normal(2, 30, seed=0)), layer.bias.detach().expand(2, 4))


def test_bad_arguments_are_named() -> None:
    layer = make_layer(30, 4)
    for module, name in ((layer, "BitLinear"), (layer.pack(), "PackedBitLinear")):
        with pytest.raises(ValueError, match=rf"^{name}: expected input \(\.\.\., 30\), got \(2, 29\)"):
            module(torch.zeros(2, 29))
        with pytest.raises(ValueError, match=r"got \(\)"):
            module(torch.tensor(1.0))
        with pytest.raises(TypeError, match=r"torch\.float32 as the layer is, got torch\.float64"):
            module(torch.zeros(2, 30, dtype=torch.float64))
        with pytest.raises(TypeError, match=r"torch\.int64"):
            module(torch.zeros(2, 30, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least 1, got 0, 4"):
        sd.BitLinear(0, 4)
    with pytest.raises(ValueError, match="at least 1, got 4, 0"):
        sd.PackedBitLinear(4, 0)
    with pytest.raises(ValueError, match="'base3' or 'two_bit', got 'five'"):
        layer.pack("five")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"trits must have shape \(4, 30\), got \(30, 4\)"):
        layer.pack().set_weight(torch.zeros(30, 4, dtype=torch.int8), torch.tensor(1.0))
    with torch.no_grad():
        layer.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        layer.pack()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_state_survives_safetensors_bit_for_bit(layout: TernaryLayout, tmp_path: Path) -> None:
    packed, x = make_layer(33, 5).pack(layout), normal(6, 33, seed=1)
    safetensors.torch.save_file(packed.state_dict(), tmp_path / "layer.safetensors")
    loaded = sd.PackedBitLinear(33, 5, layout=layout)
    assert bool((loaded(x) == 0).all())
    loaded.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
    assert torch.equal(loaded(x), packed(x))
    state, before = loaded.state_dict(), packed.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_a_state_that_does_not_fit_is_refused() -> None:
    state = make_layer(2, 5).pack("two_bit").state_dict()
    with pytest.raises(RuntimeError, match="packed_base3"):
        sd.PackedBitLinear(2, 5).load_state_dict(state)
    layer = sd.PackedBitLinear(2, 5, layout="two_bit")
    with pytest.raises(RuntimeError, match="no bit pair 11"):
        layer.load_state_dict(state | {"packed_two_bit": torch.full((5, 1), 255, dtype=torch.uint8)})
    with pytest.raises(RuntimeError, match="scale: must be finite"):
        layer.load_state_dict(state | {"scale": torch.tensor(math.nan)})
    with pytest.raises(RuntimeError, match="bias: must be finite"):
        layer.load_state_dict(state | {"bias": torch.full((5,), math.inf)})


class Attention(nn.Module):
    """The shape of a transformer library's model: named projections, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: nn.Linear(32, 32, bias=name != "k_proj") for name in ("q_proj", "k_proj", "o_proj")})
            for _ in range(2)
        )
        self.lm_head = nn.Linear(32, 50, bias=False)
        self.lm_head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            scores = layer["q_proj"](x) @ layer["k_proj"](x).mT / 32**0.5
            x = x + layer["o_proj"](scores.softmax(-1) @ x)
        return self.lm_head(x)


def kinds(model: nn.Module, kind: type[nn.Module]) -> set[str]:
    return {name for name, part in model.named_modules() if type(part) is kind}


def test_quantize_model_chooses_by_name_and_copies() -> None:
    torch.manual_seed(0)
    model = Attention()
    state = copy.deepcopy(model.state_dict())
    changed = sd.quantize_model(model, skip=("lm_head", "*.o_proj"))
    assert kinds(changed, sd.BitLinear) == {f"layers.{i}.{name}_proj" for i in (0, 1) for name in "qk"}
    assert not kinds(model, sd.BitLinear)
    assert changed.state_dict().keys() == state.keys()
    assert all(torch.equal(changed.state_dict()[name], value) for name, value in state.items())
    assert kinds(sd.quantize_model(model, only=("lm_head",)), sd.BitLinear) == {"lm_head"}
    assert sd.quantize_model(model, inplace=True) is model
    assert len(kinds(model, sd.BitLinear)) == 7


def test_tied_weights_stay_tied_and_learn_together() -> None:
    model: Any = sd.quantize_model(Attention())
    assert model.lm_head.weight is model.embedding.weight
    assert len(list(model.parameters())) == len(list(Attention().parameters()))
    model(torch.arange(6)[None]).square().sum().backward()
    assert bool((model.embedding.weight.grad != 0).any(1).all())


def test_a_layer_used_twice_stays_one() -> None:
    shared = nn.Linear(4, 4)
    model: Any = sd.quantize_model(nn.Sequential(shared, nn.ReLU(), shared))
    assert model[0] is model[2]
    packed: Any = sd.pack_model(model)
    assert packed[0] is packed[2]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packed_model_gives_the_same_and_round_trips_through_a_file(layout: TernaryLayout, tmp_path: Path) -> None:
    model, ids = sd.quantize_model(Attention()), torch.arange(20).reshape(2, 10)
    expected = model(ids)
    packed = sd.pack_model(model, layout)
    assert not kinds(packed, sd.BitLinear)
    assert torch.equal(packed(ids), expected)
    write_tensor_file(tmp_path / "model", packed.state_dict(), kind="test.model", version=1, metadata={})
    empty = sd.pack_model(sd.quantize_model(Attention()), layout)
    tensors, _ = read_tensor_file(tmp_path / "model", kind="test.model", version=1)
    empty.load_state_dict(tensors)
    assert torch.equal(empty(ids), expected)


def test_torch_encoders_do_not_bypass_the_layers() -> None:
    """In evaluation torch's encoder would read the weights past the layers' forwards."""
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 64, dropout=0.0, batch_first=True), 2, enable_nested_tensor=True
    )
    model = sd.quantize_model(encoder).eval()
    assert kinds(model, sd.BitLinear) == {f"layers.{i}.linear{k}" for i in (0, 1) for k in (1, 2)}
    x, padding = normal(3, 5, 16, seed=0), torch.tensor([[False] * 5, [False] * 4 + [True], [False] * 5])
    expected = model(x, src_key_padding_mask=padding)  # with gradients, the plain path
    packed = sd.pack_model(model)
    assert not torch.allclose(expected, encoder.eval()(x, src_key_padding_mask=padding), atol=1e-3)
    with torch.inference_mode():
        torch.testing.assert_close(model(x, src_key_padding_mask=padding), expected)
        torch.testing.assert_close(packed(x, src_key_padding_mask=padding), expected)


def test_a_lone_layer_is_replaced() -> None:
    layer = sd.quantize_model(nn.Linear(4, 3))
    assert isinstance(layer, sd.BitLinear)
    assert isinstance(sd.pack_model(layer), sd.PackedBitLinear)


def test_bad_models_and_patterns_are_named() -> None:
    model = Attention()
    with pytest.raises(ValueError, match="quantize_model: the model has no Linear layer"):
        sd.quantize_model(nn.ReLU())
    with pytest.raises(ValueError, match="pack_model: the model has no BitLinear layer"):
        sd.pack_model(model)
    with pytest.raises(ValueError, match=r"skip pattern 'head' matches none of layers\.0\.q_proj"):
        sd.quantize_model(model, skip=("head",))
    with pytest.raises(TypeError, match="only must be a sequence of patterns, got the string 'lm_head'"):
        sd.quantize_model(model, only="lm_head")
    model.lm_head.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="'lm_head' has hooks"):
        sd.quantize_model(model)
