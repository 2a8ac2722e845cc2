"""Learning from a reward that comes later: through the gate, and only through it."""

from lsm.reward_learning import responses, reward_association, train_association


def test_the_rewarded_cue_comes_to_drive_the_choice_and_without_the_gate_nothing_changes():
    simulation = reward_association(seed=0).build(threads=1)
    before = responses(simulation, 5)
    weights = train_association(simulation, 40)
    after = responses(simulation, 5, seed=2)
    assert weights[-1, 0] > 1.5 * weights[0, 1]
    assert weights[-1, 0] - weights[0, 1] > 3 * abs(weights[-1, 1] - weights[0, 1])
    assert after[0] > before[0] + 5
    assert after[0] > after[1] + 5
    closed = reward_association(gate=False, seed=0).build(threads=1)
    weights = train_association(closed, 40)
    assert abs(weights[-1] - weights[0]).max() < 1e-3
