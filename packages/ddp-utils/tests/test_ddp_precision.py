"""Mixed precision computes in the type that was asked for."""

from __future__ import annotations

import pytest
import torch
from ddp_utils import Precision, PrecisionName
from torch import Tensor, nn

CPU = torch.device("cpu")


def train(name: PrecisionName | None, device: torch.device, clip: float | None = None) -> list[Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    precision = Precision(name, device) if name else None
    inputs = torch.randn(4, 8).to(device)
    for _ in range(5):
        optimizer.zero_grad()
        if precision is None:
            model(inputs).square().mean().backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
        else:
            with precision.autocast():
                loss = model(inputs).square().mean()
            precision.backward(loss)
            precision.unscale(optimizer)
            precision.step(optimizer, model.parameters(), clip=clip)
    return [parameter.detach().cpu() for parameter in model.parameters()]


@pytest.mark.parametrize("clip", [None, 0.01])
def test_fp32_is_plain_training(clip: float | None) -> None:
    for plain, precise in zip(train(None, CPU, clip), train("fp32", CPU, clip), strict=True):
        assert torch.equal(plain, precise)


def test_bf16_multiplies_in_bfloat16_and_keeps_float32_parameters() -> None:
    layer, precision = nn.Linear(4, 4), Precision("bf16", CPU)
    with precision.autocast():
        assert layer(torch.ones(2, 4)).dtype == torch.bfloat16
    assert layer(torch.ones(2, 4)).dtype == torch.float32
    for plain, rounded in zip(train(None, CPU), train("bf16", CPU), strict=True):
        assert rounded.dtype == torch.float32
        assert not torch.equal(plain, rounded)
        torch.testing.assert_close(plain, rounded, rtol=0.02, atol=0.02)


def test_the_norm_before_clipping_is_returned() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    parameter.grad = torch.tensor([3.0, 4.0])
    assert Precision("fp32", CPU).step(optimizer, [parameter], clip=1.0) == pytest.approx(5.0)
    torch.testing.assert_close(parameter.detach(), torch.tensor([-0.6, -0.8]))
    assert Precision("fp32", CPU).step(optimizer, [parameter]) is None


def test_fp16_on_the_cpu_and_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="fp16 needs a CUDA device"):
        Precision("fp16", CPU)
    with pytest.raises(ValueError, match="expected one of fp32, bf16, fp16, got 'int8'"):
        Precision("int8", CPU)  # pyright: ignore[reportArgumentType]


def test_state_of_an_unscaled_run_loads_anywhere() -> None:
    assert not Precision("fp32", CPU).scaled
    Precision("bf16", CPU).load_state_dict(Precision("fp32", CPU).state_dict())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_fp16_skips_an_overflowed_step_and_lowers_the_scale() -> None:
    device = torch.device("cuda")
    parameter = nn.Parameter(torch.ones(2, device=device))
    optimizer, precision = torch.optim.SGD([parameter], lr=1.0), Precision("fp16", device)
    assert precision.scaled
    precision.backward((parameter * float("inf")).sum())
    before = precision.state_dict()["scale"]
    precision.unscale(optimizer)
    precision.step(optimizer)
    assert torch.equal(parameter.detach().cpu(), torch.ones(2))
    assert precision.state_dict()["scale"] < before
