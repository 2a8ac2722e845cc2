"""Plasticity against the values that the papers' equations give."""

import itertools
import math

import numpy as np
import pytest
import torch
from evosnn.afferents import AfferentDrive
from evosnn.incoming_normalization import incoming_sum, normalization_factor
from evosnn.mstdpet import mstdpet_change, mstdpet_eligibility
from evosnn.network import Network
from evosnn.network_state import DOPAMINE, ELIGIBILITY
from evosnn.pair_stdp import decayed_trace, pair_stdp_change
from evosnn.reward_stdp import centred_reward
from evosnn.rule import Rule
from evosnn.synaptic_scaling import scaling_factor
from evosnn.triplet_stdp import triplet_stdp_change
from evosnn.weight_bounds import bounded_change
from network_genomes import RULES, make_genome, random_genome

W0 = 5.0


def weight_after(rule: Rule, pre_ms, post_ms, *, softness=0.0) -> list[float]:
    """Weight of one synapse after each step, its arrivals and its target's spikes given.

    Afferent 0 reaches neuron 0 over the synapse (delay 1, so it is sent a step before it arrives); neuron 0 is made to
    spike by an external current so strong that nothing else matters.
    """
    rule = rule.replace(softness=softness)
    genome = make_genome(
        neurons=3, edges=1, source=[0], target=[0], weight=[W0], delay=[1], threshold=1e5, refractory=0, rule=rule
    )
    network = Network([genome], dtype=torch.float64)
    state = network.initial_state()
    weights = []
    for t in range(-1, max(*pre_ms, *post_ms) + 2):
        spikes_PC = torch.tensor([[float(t + 1 in pre_ms), 0.0]])
        current_PN = torch.zeros(1, 3)
        current_PN[0, 0] = 1e9 if t in post_ms else 0.0
        spikes_PN, state = network.step(current_PN, state, afferents_PC=spikes_PC)
        assert spikes_PN[0, 0] == (t in post_ms)
        weights.append(state.strength_PE[0, 0].item())
    return weights


@pytest.mark.parametrize(
    ("hz", "lag_ms", "expected"),
    [
        (10, 10, 2.0413e-3),
        (20, 10, 4.0583e-3),
        (40, 10, 1.01952e-2),
        (10, -10, -5.5413e-3),
        (20, -10, -5.6746e-3),
        (40, -10, 3.9456e-3),
    ],
)
def test_triplet_rule_at_steady_state(hz, lag_ms, expected):
    """Change for each pair of a long regular train, minimal visual-cortex set."""
    period = 1000 // hz
    n_pairs = 1200 // period + 8
    pre = [20 + k * period for k in range(n_pairs)]
    post = [t + lag_ms for t in pre]
    weights = weight_after(Rule.triplet_visual_cortex(), pre, post)
    change = weights[-1] - weights[-1 - period]
    assert change == pytest.approx(expected, rel=2e-4)


def test_first_pair_of_the_minimal_triplet_rule_changes_nothing():
    """Potentiation needs an earlier spike of the target; depression needs none."""
    assert weight_after(Rule.triplet_visual_cortex(), [20], [30])[-1] == W0
    expected = W0 - 7.1e-3 * math.exp(-10 / 33.7)
    assert weight_after(Rule.triplet_visual_cortex(), [30], [20])[-1] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("rule", [Rule.triplet_hippocampus(), Rule.pair(direct=2.0)])
def test_any_trains_give_the_sums_over_pairs_and_triplets(rule):
    """The traces are the exponential sums of the equations, all to all."""
    rng = np.random.default_rng(0)
    pre = sorted({int(t) for t in rng.integers(5, 300, 25)})
    post = sorted({int(t) for t in rng.integers(5, 300, 25)})

    def traced(times, t, tau):
        return sum(math.exp(-(t - s) / tau) for s in times if s < t)

    change = 0.0
    for t in post:
        change += traced(pre, t, rule.tau_plus) * (rule.a2_plus + rule.a3_plus * traced(post, t, rule.tau_y))
    for t in pre:
        change -= traced(post, t, rule.tau_minus) * (rule.a2_minus + rule.a3_minus * traced(pre, t, rule.tau_x))
    expected = W0 + rule.direct * change
    assert weight_after(rule, pre, post)[-1] == pytest.approx(expected, abs=1e-7)


def test_pair_rule_is_the_triplet_rule_without_triplets():
    rng = torch.Generator().manual_seed(0)
    pre, post, r1, r2, o1, o2 = (torch.rand(3, 4, generator=rng) for _ in range(6))
    pair = pair_stdp_change(pre.round(), post.round(), r1, o1, a2_plus=0.3, a2_minus=0.2)
    options = {"a2_plus": 0.3, "a3_plus": 0.0, "a2_minus": 0.2, "a3_minus": 0.0}
    assert torch.equal(triplet_stdp_change(pre.round(), post.round(), r1, r2, o1, o2, **options), pair)


def rewarded(rule, *, eligibility, dopamine=0.0, steps=1, delay=0, reward=None, dtype=torch.float64):
    """Weight change of a silent synapse whose eligibility is given, `reward` coming after `delay` steps."""
    genome = make_genome(neurons=3, edges=1, source=[0], target=[0], weight=[0.0], threshold=1e5, rule=rule)
    network = Network([genome], dtype=dtype)
    state = network.initial_state()
    state.synapse_PGE[0, ELIGIBILITY, 0] = eligibility
    state.modulation_PM[0, DOPAMINE] = dopamine
    silent = AfferentDrive(torch.zeros(1, 2))
    network.run_(silent, state, delay)
    reward_P = None if reward is None else torch.tensor([reward])
    network.run_(silent, state, steps, reward_P=reward_P)
    return state.strength_PE[0, 0].item()


def test_dopamine_a_second_late_still_teaches():
    """c0 = 1 decays for 1000 ms, then n = 1 comes: the integral of c n is exp(-1) / (1/1000 + 1/200) = 61.313."""
    rule = Rule.reward_stdp(w_max=1e4)
    change = rewarded(rule, eligibility=1.0, delay=1000, steps=8000, reward=200.0)
    assert change == pytest.approx(61.313, abs=5e-4)


def test_baseline_of_dopamine_is_subtracted():
    """Without dopamine, and with a negative baseline, w grows by -b times the integral of c."""
    rule = Rule.reward_stdp(w_max=1e4, baseline=-0.01)
    assert rewarded(rule, eligibility=1.0, steps=20000) == pytest.approx(0.01 * 1000, rel=1e-6)


def test_mstdpet_in_a_network_is_the_paper():
    """Florian's z and w beside a network with `reward` = gamma / tau_z, on random spikes and rewards."""
    rule = Rule.mstdpet(reward=0.2 / 25, w_max=1e4)
    genome = make_genome(
        neurons=3, edges=1, source=[0], target=[0], weight=[W0], threshold=1e5, refractory=0, rule=rule
    )
    network = Network([genome], dtype=torch.float64)
    state = network.initial_state()
    rng = np.random.default_rng(1)
    r1, o1, z, w = torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1), torch.full((1, 1), W0)
    r1, o1, z, w = (x.double() for x in (r1, o1, z, w))
    pre = torch.zeros(1, 1).double()
    decay = math.exp(-1 / 20)
    for _ in range(400):
        sent, post, reward = float(rng.random() < 0.1), float(rng.random() < 0.1), float(rng.normal())
        post_PE = torch.tensor([[post]]).double()
        current_PN = torch.tensor([[1e9 * post, 0.0, 0.0]])
        _, state = network.step(current_PN, state, reward=reward, afferents_PC=torch.tensor([[sent, 0.0]]))
        stdp = pair_stdp_change(pre, post_PE, r1, o1, a2_plus=1.0, a2_minus=1.0)
        z = mstdpet_eligibility(z, stdp, decay=math.exp(-1 / 25), tau_z=25.0)
        # the network's eligibility decays after its spikes have been added, the paper's before
        w += mstdpet_change(z, torch.tensor([reward]).double(), gamma=0.2)
        r1, o1 = decayed_trace(r1, pre, decay), decayed_trace(o1, post_PE, decay)
        pre = torch.tensor([[sent]]).double()
        assert state.strength_PE[0, 0].item() == pytest.approx(w.item(), abs=1e-6)
    assert abs(w.item() - W0) > 0.01


def test_running_mean_of_rewards_is_subtracted():
    mean = torch.zeros(1)
    seen = []
    for reward in (1.0,) * 200:
        centred, mean = centred_reward(torch.tensor([reward]), mean, 0.05)
        seen.append(centred.item())
    np.testing.assert_allclose(seen, 0.95 ** np.arange(200), rtol=1e-3, atol=1e-6)
    assert rewarded(Rule.reward_stdp(centre=0.0), eligibility=1.0, reward=3.0) > 0


def test_bounds_hard_and_soft():
    """Hard: the change as it is, cut at the bound. Soft: in proportion to what is left, so the bound is not reached."""
    w, big = torch.tensor([[0.0, 0.3, 1.0]]), torch.tensor(1.0)
    hard, soft = torch.tensor(0.0), torch.tensor(1.0)
    assert bounded_change(w, torch.full_like(w, 0.5), big, hard).tolist() == [[0.5, pytest.approx(0.8), 1.0]]
    assert bounded_change(w, torch.full_like(w, -0.5), big, hard).tolist() == [[0.0, 0.0, 0.5]]
    assert bounded_change(w, torch.full_like(w, 0.5), big, soft).tolist() == [[0.5, pytest.approx(0.65), 1.0]]
    assert bounded_change(w, torch.full_like(w, -0.5), big, soft).tolist() == [[0.0, pytest.approx(0.15), 0.5]]


def test_normalisation_restores_the_sum():
    rng = torch.Generator().manual_seed(0)
    strength_PE, target_PE = torch.rand(5, 20, generator=rng), torch.randint(0, 4, (5, 20), generator=rng)
    excitatory_PE = torch.rand(5, 20, generator=rng) < 0.7
    sum_PN = incoming_sum(strength_PE, target_PE, excitatory_PE, 4)
    factor_PN = normalization_factor(sum_PN, torch.full_like(sum_PN, 3.0), 1.0)
    after_PE = torch.where(excitatory_PE, strength_PE * factor_PN.gather(1, target_PE), strength_PE)
    after_PN = incoming_sum(after_PE, target_PE, excitatory_PE, 4)
    torch.testing.assert_close(after_PN[sum_PN > 0], torch.full_like(after_PN[sum_PN > 0], 3.0))


def test_scaling_is_exponential_in_the_error():
    rate_PN = torch.tensor([[0.0, 10.0, 20.0]])
    factor_PN = scaling_factor(rate_PN, eta=0.01, target_hz=10.0, duration_ms=5.0)
    torch.testing.assert_close(factor_PN, torch.tensor([[math.exp(0.05), 1.0, math.exp(-0.05)]]))


@pytest.mark.parametrize("name", list(RULES))
def test_signs_bounds_and_delays_are_kept(name):
    """Whatever happens to them, weights stay in [0, w_max] of their sign, and delays and wiring as they are."""
    rng = np.random.default_rng(7)
    rule = RULES[name].replace(w_max=4.0)
    genomes = [random_genome(rng, rule) for _ in range(40)]
    network = Network(genomes)
    state = network.initial_state()
    delay_PE, sign_PE = network.delay_PE.clone(), network.sign_PE.clone()
    drive = AfferentDrive(torch.rand(40, 4, generator=torch.Generator().manual_seed(0)) * 0.5)
    before_PE = weights_PE = network.weights(state)
    for k in range(60):
        network.run_(drive, state, 10, reward_P=torch.randn(40, generator=torch.Generator().manual_seed(k)))
        weights_PE = network.weights(state)
        assert (weights_PE * sign_PE >= 0).all()
        if rule.learns:
            assert (weights_PE.abs() <= rule.w_max).all()
        assert state.neuron_PFN.isfinite().all()
    assert torch.equal(network.delay_PE, delay_PE)
    changed = not torch.equal(weights_PE, before_PE) or state.offset_PN.any().item()
    assert changed == rule.learns
    for p, genome in enumerate(genomes):
        learned_E = network.learned_weight(state, p, genome)
        np.testing.assert_array_equal(np.sign(learned_E) * np.sign(genome.weight) >= 0, True)
        np.testing.assert_array_equal(learned_E[~genome.enabled], genome.weight[~genome.enabled])


def test_frozen_networks_do_not_learn():
    rng = np.random.default_rng(3)
    genomes = [random_genome(rng, RULES["all"]) for _ in range(20)]
    network = Network(genomes, plastic=False)
    state = network.initial_state()
    before = state.clone()
    counts_PN, _ = network.run_(AfferentDrive(torch.full((20, 4), 0.4)), state, 200, reward_P=torch.ones(20))
    assert counts_PN.sum() > 100
    assert torch.equal(state.strength_PE, before.strength_PE)
    assert torch.equal(state.offset_PN, before.offset_PN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau_plus": 0.0}, "tau_plus"),
        ({"tau_n": -1.0}, "tau_n"),
        ({"softness": 1.5}, "softness"),
        ({"a2_plus": math.nan}, "a2_plus"),
        ({"w_max": True}, "w_max"),
    ],
)
def test_bad_coefficients_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Rule(**change)


def homeostatic_rates(rule: Rule, gain: float) -> np.ndarray:
    """Rates of neurons before their input changes, right after, and when homeostasis has had its time, in Hz."""
    n_rows = 12
    rng = np.random.default_rng(5)
    genomes = []
    for _ in range(n_rows):
        weight = rng.uniform(0.6, 1.4, 24) * 0.5
        genomes.append(
            make_genome(
                afferents=12, neurons=3, outputs=2, edges=24, source=np.arange(24) % 12, target=np.repeat([0, 1], 12),
                weight=weight, refractory=2, rule=rule,
            )
        )  # fmt: skip
    network = Network(genomes)
    state = network.initial_state()

    def run(drive, seconds, seed):
        counts_PN = torch.zeros(n_rows, 3)
        for k in range(seconds):
            afferents = AfferentDrive(torch.full((n_rows, 12), drive), "bernoulli", seed=1000 * seed + k)
            counts_PN = counts_PN + network.run_(afferents, state, 1000)[0]
        return counts_PN[:, :2].numpy() / seconds

    drive = 0.06
    run(drive, 80, 1)
    before = run(drive, 20, 2)
    shocked = run(drive * gain, 2, 3)
    run(drive * gain, 80, 4)
    return np.stack([x.mean(1) for x in (before, shocked, run(drive * gain, 20, 5))])


@pytest.mark.parametrize(("kind", "gain"), [*itertools.product(["scaling", "intrinsic"], [0.5, 2.0])])
def test_homeostasis_brings_rates_back(kind, gain):
    """Input halved or doubled: rates come back to within 20% of the target, and do not with homeostasis off."""
    target = 20.0
    rules = {
        "scaling": Rule.off().replace(scaling=2e-4, tau_rate=2000.0, target_hz=target, w_max=100.0),
        "intrinsic": Rule.off().replace(intrinsic=0.005, target_hz=target),
    }
    before, shocked, after = homeostatic_rates(rules[kind], gain)
    np.testing.assert_allclose(before, target, rtol=0.2)
    assert (np.abs(shocked / target - 1) > 0.2).all()
    np.testing.assert_allclose(after, target, rtol=0.2)


def test_without_homeostasis_rates_stay_away():
    for gain in (0.5, 2.0):
        before, _, after = homeostatic_rates(Rule.off(), gain)
        assert (np.abs(after / before - 1) > 0.3).all()
