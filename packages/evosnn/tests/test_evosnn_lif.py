"""Neurons against closed forms, which no step size may change."""

import math

import numpy as np
import pytest
import torch
from evosnn.adaptive_threshold import adapt, effective_threshold
from evosnn.afferents import AfferentDrive
from evosnn.lif import exact_propagators
from evosnn.network import Network
from evosnn.rule import Rule
from network_genomes import make_genome
from scipy.linalg import expm


@pytest.mark.parametrize(("tau_m", "tau_s"), [(20.0, 5.0), (5.0, 20.0), (10.0, 10.0), (10.0, 10.0 + 1e-9), (3.0, 0.5)])
def test_propagators_are_the_matrix_exponential(tau_m, tau_s):
    """exp(A h) of d/dt (I, V, I_ext) = A (I, V, I_ext)."""
    a = np.array([[-1 / tau_s, 0, 0], [1 / tau_m, -1 / tau_m, 1 / tau_m], [0, 0, 0]])
    p22, p21, p20, p11 = (float(x) for x in exact_propagators(torch.tensor(tau_m), torch.tensor(tau_s), 0.7))
    expected = expm(np.array(a) * 0.7)
    tolerance = 1e-7 if tau_m != tau_s and abs(tau_m - tau_s) < 1 else 1e-12
    np.testing.assert_allclose([p11, p21, p22, p20], expected[[0, 1, 1, 1], [0, 0, 1, 2]], rtol=tolerance)


def run_silent(step_ms, duration_ms, *, bias, current, tau_m=13.0, tau_s=4.0):
    genome = make_genome(neurons=3, edges=0, tau_m=tau_m, tau_s=tau_s, threshold=1e5, bias=bias)
    network = Network([genome], step_ms=step_ms, dtype=torch.float64)
    state = network.initial_state()
    state.current_PN[:] = current
    network.run_(AfferentDrive(torch.zeros(1, 2)), state, round(duration_ms / step_ms))
    return state.membrane_PN[0, 0].item()


def test_step_size_does_not_matter_under_constant_current():
    """One step of 1 ms is ten of 0.1 ms, and both are the closed form."""
    tau_m, tau_s, bias, current = 13.0, 4.0, 0.8, 2.0
    for t in (1.0, 7.0, 50.0):
        coarse = run_silent(1.0, t, bias=bias, current=current)
        fine = run_silent(0.1, t, bias=bias, current=current)
        decay_m, decay_s = math.exp(-t / tau_m), math.exp(-t / tau_s)
        expected = bias * (1 - decay_m) + current * tau_s / (tau_m - tau_s) * (decay_m - decay_s)
        # genomes hold float32, so the closed form sees 13, 4 and float32(0.8)
        assert coarse == pytest.approx(fine, abs=1e-6)
        assert coarse == pytest.approx(expected, abs=1e-6)


def test_rate_under_constant_current_is_the_closed_form():
    """Interval = refractory + tau_m log(b / (b - threshold)), up to one step."""
    tau_m, bias, refractory = 20.0, 1.7, 3
    genome = make_genome(neurons=3, edges=0, tau_m=tau_m, threshold=1.0, bias=bias, refractory=refractory)
    network = Network([genome])
    counts_PN, first_PN = network.run_(AfferentDrive(torch.zeros(1, 2)), network.initial_state(), 2000)
    rise = math.ceil(tau_m * math.log(bias / (bias - 1)))
    assert first_PN[0, 0] == rise - 1
    assert counts_PN[0, 0] == 1 + (2000 - rise) // (rise + refractory)


def test_adaptation_lengthens_intervals_and_settles():
    """The threshold after n spikes is v_th + beta times the geometric sum."""
    a, rho = torch.zeros(1, 1), torch.full((1, 1), math.exp(-1 / 200))
    for _ in range(3000):
        a = adapt(a, torch.ones(1, 1), rho)
    assert a.item() == pytest.approx(1 / (1 - math.exp(-1 / 200)), rel=1e-4)
    assert effective_threshold(torch.ones(1, 1), torch.full((1, 1), 0.5), a, torch.zeros(1, 1)) == 1 + 0.5 * a
    options = {"neurons": 3, "edges": 0, "bias": 3.0, "tau_a": 500.0}
    network = Network([make_genome(beta=0.05, **options), make_genome(beta=0.0, **options)])
    spikes_TPN = network.record_(AfferentDrive(torch.zeros(2, 2)), network.initial_state(), 400).spikes_TPN
    adaptive, plain = (np.diff(spikes_TPN[:, p, 0].nonzero()[:, 0].numpy()) for p in (0, 1))
    assert len(set(plain)) == 1
    assert (np.diff(adaptive) >= -1).all()
    assert adaptive[-1] > 1.5 * adaptive[0]


def test_spike_arrives_after_its_delay():
    """Afferent spike in step 0, weight w, delay d: the current is 0 until step d and w right after it."""
    for delay in (1, 2, 17, 62):
        genome = make_genome(neurons=3, edges=1, source=[0], target=[1], weight=[0.25], delay=[delay])
        network = Network([genome])
        state = network.initial_state()
        for t in range(delay + 1):
            assert state.current_PN[0, 1] == 0, (delay, t)
            spikes_PC = torch.tensor([[1.0 if t == 0 else 0.0, 0.0]])
            _, state = network.step(None, state, afferents_PC=spikes_PC)
        assert state.current_PN[0, 1] == 0.25


def test_step_leaves_the_state_given():
    network = Network([make_genome(rule=Rule.triplet_hippocampus())])
    state = network.initial_state()
    before = after = state.clone()
    current_PN = torch.full((1, network.n_neurons), 5.0)
    for _ in range(5):
        _, after = network.step(current_PN, state, reward=1.0)
    for name, tensor in state.state_dict().items():
        assert torch.equal(tensor, getattr(before, name)), name
    assert not torch.equal(after.membrane_PN, before.membrane_PN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genomes": []}, "at least one genome"),
        ({"genomes": [make_genome(), make_genome(afferents=3)]}, "agree"),
        ({"step_ms": 0.0}, "step_ms"),
        ({"step_ms": 0.01}, "62 steps"),
        ({"dtype": torch.int32}, "dtype"),
        ({"kernel": "fast"}, "kernel"),
    ],
)
def test_bad_networks_are_named(change, message):
    options = {"genomes": [make_genome()], "step_ms": 1.0} | change
    with pytest.raises(ValueError, match=message):
        Network(options.pop("genomes"), **options)


def test_bad_runs_are_named():
    network = Network([make_genome()])
    state, drive = network.initial_state(), AfferentDrive(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="drive_PC"):
        network.run_(AfferentDrive(torch.zeros(1, 3)), state, 1)
    with pytest.raises(ValueError, match="reward_P"):
        network.run_(drive, state, 1, reward_P=torch.zeros(2))
    with pytest.raises(ValueError, match="steps"):
        network.run_(drive, state, -1)
    with pytest.raises(ValueError, match="external_PN must be finite"):
        network.step(torch.full((1, 3), torch.nan), state)
    with pytest.raises(ValueError, match="reward must be finite"):
        network.step(None, state, reward=torch.nan)
    with pytest.raises(ValueError, match="reward_P must have shape"):
        network.step(None, state, reward=torch.zeros(2))
    with pytest.raises(ValueError, match="mode"):
        AfferentDrive(torch.zeros(1, 2), mode="rate")  # pyright: ignore[reportArgumentType]


def test_afferents_spike_as_often_as_they_are_driven():
    """Accumulated: within one spike of the sum. Bernoulli: by a key, whatever the batch."""
    network = Network([make_genome(edges=0)] * 50)
    drive_PC = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    counts_PC = network.record_(AfferentDrive(drive_PC), network.initial_state(), 300).afferents_TPC.sum(0)
    assert ((counts_PC - 300 * drive_PC).abs() <= 0.51).all()
    key_P = torch.arange(50) * 7
    drive = AfferentDrive(drive_PC, "bernoulli", seed=5, key_P=key_P)
    spikes_TPC = network.record_(drive, network.initial_state(), 300).afferents_TPC
    z = (spikes_TPC.float().mean(0) - drive_PC) / (drive_PC * (1 - drive_PC) / 300).sqrt()
    assert z.abs().max() < 4.5
    assert 0.7 < z.std() < 1.3
    some = torch.tensor([31, 4])
    drive = AfferentDrive(drive_PC[some], "bernoulli", seed=5, key_P=key_P[some])
    again = network.rows(some)
    assert torch.equal(again.record_(drive, again.initial_state(), 300).afferents_TPC, spikes_TPC[:, some])
