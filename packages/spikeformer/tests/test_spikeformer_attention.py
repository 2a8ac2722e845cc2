"""Phase-shifted attention: what the phases do, and each mode against its plain formula."""

from __future__ import annotations

import pytest
import spikeformer as sf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeformer.attention import AttentionState
from spikeformer.phase import FRACTION, shift_in_time, split_heads
from spikeformer.retention import memory_decays

T, B, H, L, D = 4, 2, 3, 13, 5
ONE_H = torch.ones(H)
MODES = ("linear", "coincidence", "softmax")


def spikes(seed: int, *, length: int = L, rate: float = 0.4, steps: int = T) -> torch.Tensor:
    """Three spike tensors, (3, T, B, H, L, d)."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(3, steps, B, H, length, D, generator=generator) < rate).double()


def scores(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """S_ij = sum_t <q_i[t], k_j[t]>, the plain sum: (B, H, L, L)."""
    return torch.stack([q[t] @ k[t].mT for t in range(len(q))]).sum(0)


def shifted_by_hand(x: torch.Tensor, shift_LH: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(x)
    for t in range(x.shape[0]):
        for h in range(x.shape[2]):
            for i in range(x.shape[3]):
                y[t, :, h, i] = x[(t - int(shift_LH[i, h])) % x.shape[0], :, h, i]
    return y


def brute_force(q, k, v, mode, table, *, decay_H=ONE_H, alpha=1.0, context=512):
    """The formulas of the docstring, token by token."""
    q, k = shifted_by_hand(q, table.query_LH), shifted_by_hand(k, table.key_LH)
    out = torch.zeros_like(v)
    for i in range(q.shape[3]):
        keys = range(max(0, i - context + 1), i + 1)
        if mode == "linear":
            for t in range(q.shape[0]):
                for j in range(i + 1):
                    match = (q[t, :, :, i] * k[t, :, :, j]).sum(-1) * decay_H ** (i - j)
                    out[t, :, :, i] += alpha * match[..., None] * v[t, :, :, j]
            continue
        match = torch.stack([alpha * (q[:, :, :, i] * k[:, :, :, j]).sum((0, 3)) for j in keys], -1)
        weight = match.softmax(-1) if mode == "softmax" else match
        for n, j in enumerate(keys):
            out[:, :, :, i] += weight[..., n, None] * v[:, :, :, j]
    return out


def test_equal_shift_leaves_scores_and_shift_of_keys_alone_does_not():
    """Only the shift of keys against queries carries anything: exactly."""
    q, k, _ = spikes(0)
    for r in range(T):
        everywhere = torch.full((L, H), r)
        assert torch.equal(scores(shift_in_time(q, everywhere), shift_in_time(k, everywhere)), scores(q, k))
        alone = scores(q, shift_in_time(k, everywhere))
        assert torch.equal(alone, scores(q, k)) == (r == 0)


def test_scores_depend_on_relative_phase_alone():
    """The same tokens at positions with the same differences of phase score the same, elsewhere they do not."""
    q, k, _ = spikes(1)

    def at(start: int) -> tuple[torch.Tensor, torch.Tensor]:
        table = sf.phases(H, L, T, start=start)
        relative = (table.query_LH[:, None] - table.key_LH[None]) % T
        return scores(shift_in_time(q, table.query_LH), shift_in_time(k, table.key_LH)), relative

    (base, phase), seen = at(0), set()
    for start in range(1, 12):
        moved, moved_phase = at(start)
        same = (moved_phase == phase).permute(2, 0, 1)
        assert torch.equal(moved[:, same], base[:, same])
        seen.add(bool(same.all()))
        if not same.all():
            assert not torch.equal(moved, base)
    assert seen == {True, False}


def test_phases_are_those_of_the_formula_and_come_again():
    table = sf.phases(4, 50, 4, base=16.0)  # omega = 1, 1/2, 1/4, 1/8
    position = torch.arange(50.0, dtype=torch.float64)
    for h in range(4):
        expected = torch.floor(position / 2**h + 0.5).long() % 4
        assert torch.equal(table.query_LH[:, h], expected)
        assert torch.equal((table.key_LH - table.query_LH)[:, h] % 4, torch.full((50,), h))
    period = 4 * FRACTION
    for start in (7, period - 3):
        a, b = sf.phases(5, 9, 4, start=start), sf.phases(5, 9, 4, start=start + 1000 * period)
        assert torch.equal(a.query_LH, b.query_LH)
        assert torch.equal(a.key_LH, b.key_LH)
    joined = torch.cat([sf.phases(3, 20, 8).query_LH, sf.phases(3, 5, 8, start=20).query_LH])
    assert torch.equal(joined, sf.phases(3, 25, 8).query_LH)


def test_heads_of_a_joint_tensor_are_those_shifted_one_by_one():
    q, k, v = spikes(2)
    joint = torch.stack([q, k, v]).permute(1, 2, 4, 0, 3, 5).reshape(T, B, L, 3 * H * D)
    table = sf.phases(H, L, T, start=5)
    expected = shifted_by_hand(q, table.query_LH), shifted_by_hand(k, table.key_LH), v
    for got, want in zip(split_heads(joint, table, H), expected, strict=True):
        assert torch.equal(got, want)
    for got, want in zip(split_heads(joint, None, H), (q, k, v), strict=True):
        assert torch.equal(got, want)
    assert torch.equal(shift_in_time(q, table.query_LH), expected[0])


def test_gradient_of_the_shift_is_the_shift_back():
    x = torch.randn(T, B, H, L, D, dtype=torch.float64, requires_grad=True)
    table = sf.phases(H, L, T)
    shift_in_time(x, table.query_LH).backward(g := torch.randn_like(x))
    assert x.grad is not None
    assert torch.equal(x.grad, shifted_by_hand(g, -table.query_LH % T))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_modes_are_their_formulas(mode, chunk):
    """The chunked form is the masked quadratic; the windowed ones look back on context keys."""
    q, k, v = spikes(3)
    table, decay_H = sf.phases(H, L, T), torch.tensor([0.5, 0.9, 1.0], dtype=torch.float64)
    got, _ = sf.pssa(q, k, v, mode=mode, phases=table, decay_H=decay_H, alpha=0.3, context=6, chunk=chunk)
    expected = brute_force(q, k, v, mode, table, decay_H=decay_H, alpha=0.3, context=6)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_inhibition_is_taken_off_the_shifted_queries(mode):
    q, k, v = spikes(21)
    table = sf.phases(H, L, T)
    inhibition_Hd = torch.rand(H, D, generator=torch.Generator().manual_seed(22)).double()
    out, _ = sf.pssa(q, k, v, mode=mode, phases=table, inhibition_Hd=inhibition_Hd, decay_H=ONE_H)
    torch.testing.assert_close(out, brute_force(q - inhibition_Hd[:, None], k, v, mode, table))


def test_inhibition_at_the_rate_takes_off_what_coincides_by_chance():
    """Spikes drawn apart: scores far above zero in the mean without it, at zero with it."""
    rate, steps, length = 0.1, 8, 400
    q, k, v = spikes(23, rate=rate, steps=steps, length=length)
    v = torch.ones_like(v)
    means = []
    for inhibition_Hd in (None, torch.full((H, D), rate)):
        out, _ = sf.pssa(q, k, v, mode="linear", inhibition_Hd=inhibition_Hd, decay_H=torch.full((H,), 0.9))
        means.append(float(out[:, :, :, 50:].mean()))
    assert means[0] == pytest.approx(10 * D * rate * rate, rel=0.1)
    assert abs(means[1]) < 0.05 * means[0]


@pytest.mark.parametrize("mode", MODES)
def test_alpha_of_each_head_scales_its_scores(mode):
    q, k, v = spikes(4)
    alpha = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    together, _ = sf.pssa(q, k, v, mode=mode, alpha=alpha)
    for h in range(H):
        alone, _ = sf.pssa(q, k, v, mode=mode, alpha=float(alpha[h]))
        torch.testing.assert_close(together[:, :, h], alone[:, :, h], rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(MODES), st.lists(st.integers(1, 6), min_size=1, max_size=7), st.integers(1, 9), st.integers(1, 9)
)
def test_streaming_is_the_whole_for_any_split(mode, parts, chunk, context):
    """Any split, single tokens among them, gives the outputs and the state of one call."""
    length = sum(parts)
    q, k, v = spikes(5, length=length)
    whole, end = sf.pssa(q, k, v, mode=mode, phases=sf.phases(H, length, T), context=context, chunk=chunk)
    state, outputs, start = None, [], 0
    for n in parts:
        piece = (x[:, :, :, start : start + n] for x in (q, k, v))
        table = sf.phases(H, n, T, start=start)
        output, state = sf.pssa(*piece, mode=mode, phases=table, context=context, chunk=chunk, state=state)
        outputs.append(output)
        start += n
    torch.testing.assert_close(torch.cat(outputs, 3), whole, rtol=1e-12, atol=1e-12)
    for name in ("memory", "keys", "values"):
        a, b = getattr(state, name), getattr(end, name)
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_later_tokens_do_not_change_earlier_outputs(mode):
    """Bit for bit, in float32, with a chunk and a window border before and behind the changed token."""
    q, k, v = (x.float() for x in spikes(6))
    table = sf.phases(H, L, T)
    before, _ = sf.pssa(q, k, v, mode=mode, phases=table, chunk=4, context=5)
    for j in (3, 8, L - 1):
        changed = [x.clone() for x in (q, k, v)]
        for x in changed:
            x[:, :, :, j] = 1 - x[:, :, :, j]
        after, _ = sf.pssa(*changed, mode=mode, phases=table, chunk=4, context=5)
        assert torch.equal(after[:, :, :, :j], before[:, :, :, :j])
        assert not torch.equal(after[:, :, :, j], before[:, :, :, j])


def test_a_delay_between_two_shifts_mixes_them_and_is_learned():
    q, k, v = spikes(7)
    table = sf.phases(H, L, T, key_offset=False)

    def at(delay: float) -> torch.Tensor:
        delay_H = torch.full((H,), delay, dtype=torch.float64)
        return sf.pssa(q, k, v, mode="coincidence", phases=table, delay_H=delay_H)[0]

    later = sf.PhaseShifts(table.query_LH, (table.query_LH + 2) % T, T)
    torch.testing.assert_close(at(2.0), sf.pssa(q, k, v, mode="coincidence", phases=later)[0])
    torch.testing.assert_close(at(1.25), 0.75 * at(1.0) + 0.25 * at(2.0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(at(3.5), at(-0.5), rtol=1e-12, atol=1e-12)  # circular
    delay_H = torch.full((H,), 1.3, dtype=torch.float64, requires_grad=True)
    sf.pssa(q, k, v, mode="coincidence", phases=table, delay_H=delay_H)[0].sum().backward()
    slope = (at(2.0) - at(1.0)).sum((0, 1, 3, 4))
    torch.testing.assert_close(delay_H.grad, slope)


def test_gradients_are_those_of_the_plain_formula():
    q, k, v = (x.requires_grad_() for x in spikes(8))
    table, decay_H = sf.phases(H, L, T), memory_decays(H).double()
    weight = torch.randn(T, B, H, L, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    got = torch.autograd.grad((sf.pssa(q, k, v, mode="linear", phases=table, chunk=4)[0] * weight).sum(), (q, k, v))
    plain = brute_force(q, k, v, "linear", table, decay_H=decay_H)
    for a, b in zip(got, torch.autograd.grad((plain * weight).sum(), (q, k, v)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_windows_keep_spikes_as_bool_and_no_more_than_the_context():
    q, k, v = spikes(9)
    state = None
    for _ in range(4):
        _, state = sf.pssa(q, k, v, mode="softmax", context=7, state=state)
    assert state is not None
    assert state.keys is not None
    assert state.keys.dtype == torch.bool
    assert state.keys.shape == (T, B, H, 6, D)


def test_user_errors_name_the_argument():
    q, k, v = spikes(10)
    with pytest.raises(ValueError, match="mode must be"):
        sf.pssa(q, k, v, mode="quadratic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one shape"):
        sf.pssa(q, k[:, :, :, 1:], v, mode="linear")
    with pytest.raises(ValueError, match="phases of 8"):
        sf.pssa(q, k, v, mode="linear", phases=sf.phases(H, L, 8))
    with pytest.raises(ValueError, match="do not fit"):
        sf.pssa(q, k, v, mode="linear", phases=sf.phases(H, L + 1, T))
    with pytest.raises(ValueError, match="decay_H"):
        sf.pssa(q, k, v, mode="linear", decay_H=torch.ones(H + 1))
    with pytest.raises(ValueError, match="not one of mode"):
        sf.pssa(q, k, v, mode="linear", state=AttentionState(keys=k, values=v))
    with pytest.raises(ValueError, match="chunk"):
        sf.pssa(q, k, v, mode="linear", chunk=0)
    with pytest.raises(ValueError, match="steps"):
        sf.phases(H, L, 0)
