"""What a liquid adds: tasks against its input alone and against itself with random partners.

    uv run --group bench python benchmarks/lsm_tasks.py [--small] [--only templates,series,digits,memory,reward]

Every comparison has the same filter, instants and readout, whose penalty is chosen on training data.
Controls: `input` (filtered input spikes), `expanded` (as many static random features of them as the liquid has),
`scrambled` (same numbers of synapses, weights and delays, random partners) and `scrambled, rate matched` (its recurrent
excitation turned up or down until it fires as often as the liquid does, as nearly as its steep onset lets it).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from lsm.cochlea import cochleagram
from lsm.controls import expanded, input_states
from lsm.cortical_columns import Wiring, cortex
from lsm.exponential_filter import filtered_spikes
from lsm.facilitated_memory import cue_spikes, held_item, working_memory
from lsm.group_ridge import nested_ridge
from lsm.intervals import mean_interval, paired_difference, wilson_interval
from lsm.kernel_rank import state_rank
from lsm.liquid import as_rows
from lsm.lyapunov import divergence_rate, moved_spike
from lsm.network import Network
from lsm.reward_learning import responses, reward_association, train_association
from lsm.spike_coding import integrate_and_fire
from lsm.spike_statistics import binned_counts, branching_parameter
from lsm.splits import leave_one_group_out, official_digit_split
from lsm.spoken_digits import read_spoken_digits
from lsm.task_series import delayed_series, narma10, normalised_error, random_series, series_as_spikes
from lsm.task_templates import jittered, poisson_spikes, template_streams

from benchmarks.common import parsed_parts, parser_of, write_results
from benchmarks.lsm_comparison import PENALTIES, liquid_of, networks, summary, validated

DIGITS = Path(__file__).parents[2] / "shared/data/audio/fsdd.tar.xz"


def main() -> None:
    """Run the parts that are asked for and write the figures."""
    parts = {
        "templates": templates, "series": series, "digits": digits, "memory": memory, "reward": reward,
        "measures": measures,
    }  # fmt: skip
    options, wanted, figures = parsed_parts(parser_of(__doc__ or ""), "lsm_tasks", parts)
    for part in wanted:
        start = time.perf_counter()
        figures[part] = parts[part](options.small)
        figures[part]["seconds"] = round(time.perf_counter() - start, 1)
        print(part, figures[part], flush=True)
        write_results("lsm_tasks", figures, options)


def templates(small: bool) -> dict[str, Any]:
    """Jittered templates of 40 channels at 20 Hz: which is it, which was before, and whether they differ."""
    segment, tau, seeds = 150.0, 20.0, range(2 if small else 5)
    n_train, n_test, neurons, columns = (60, 40, 1200, 8) if small else (240, 120, 3000, 12)
    tasks = ("now", "delayed", "exclusive_or")
    found: dict[str, dict[str, list[float]]] = {task: {} for task in tasks}
    rates: dict[str, list[float]] = {}
    for seed in seeds:
        train, test = (
            template_streams(n, segment=segment, seed=seed, part=part)
            for n, part in ((n_train, "train"), (n_test, "test"))
        )

        def build(seed: int = seed) -> Network:
            return cortex(
                columns, neurons, channels=40, wiring=Wiring(afferent=20.0, across=8.0, apical=-6.0), seed=seed
            )

        states = {"input": [input_states(s.spikes, s.duration, 40, instants=4, tau=tau) for s in (train, test)]}
        n_read = 0
        for name, make in networks(build, train.spikes[:6], [train.duration] * 6, seed).items():
            liquid = liquid_of(make(), tau=tau, instants=4)
            states[name] = [liquid.states(s.spikes, s.duration) for s in (train, test)]
            rates.setdefault(name, []).append(float(states[name][0].mean() / tau * 1000))
            n_read = liquid.n_read
        states["expanded"] = [expanded(x, n_read) for x in states["input"]]
        for name, (a, b) in states.items():
            for task in tasks:
                y, z = (getattr(s, task)()[:, 1:].ravel() for s in (train, test))
                answers = validated(as_rows(a[:, 1:], True), y, as_rows(b[:, 1:], True))
                found[task].setdefault(name, []).append(float((answers == z).mean()))
    setting = {
        "segment_ms": segment, "tau_ms": tau, "neurons": neurons, "columns": columns, "train_streams": n_train,
        "test_streams": n_test, "seeds": len(seeds),
    }  # fmt: skip
    return {"setting": setting, "rates_hz": rates} | {task: summary(values) for task, values in found.items()}


def series(small: bool) -> dict[str, Any]:
    """NARMA-10 and memory capacity: a value every 20 ms on 80 tuned channels."""
    hold, tau, delays, channels, washout = 20.0, 20.0, 15, 80, 20
    seeds = range(1 if small else 4)
    lengths, neurons, columns = ((400, 200), 1200, 8) if small else ((2000, 800), 2400, 12)
    found: dict[str, dict[str, list[float]]] = {"narma10_nrmse": {}, "memory_capacity": {}}
    curves: dict[str, list[list[float]]] = {}
    for seed in seeds:
        inputs = [random_series(n, seed=seed, part=part) for n, part in zip(lengths, ("train", "test"), strict=True)]
        spikes = [series_as_spikes(u, n_channels=channels, hold=hold, seed=seed + i) for i, u in enumerate(inputs)]
        targets = [np.column_stack([delayed_series(u, delays)[washout:-1], narma10(u)[washout + 1 :]]) for u in inputs]

        def build(seed: int = seed) -> Network:
            return cortex(columns, neurons, channels=channels, wiring=Wiring(column_delay=14.0), seed=seed)

        probe = [(t[t < 1000], i[t < 1000]) for t, i in spikes[:1]]
        states: dict[str, list[np.ndarray]] = {
            "input": [
                input_states([s], n * hold, channels, instants=n, tau=tau)[0]
                for s, n in zip(spikes, lengths, strict=True)
            ]
        }
        n_read = 0
        for name, make in networks(build, probe, [1000.0], seed).items():
            liquid = liquid_of(make(), tau=tau, instants=1)
            at = [hold * np.arange(1, n + 1) for n in lengths]
            states[name] = [liquid.state(s, n * hold, a) for s, n, a in zip(spikes, lengths, at, strict=True)]
            n_read = liquid.n_read
        states["expanded"] = [expanded(x[None], n_read)[0] for x in states["input"]]
        for name, (a, b) in states.items():
            answers = validated_columns(a[washout:-1], targets[0], b[washout:-1])
            found["narma10_nrmse"].setdefault(name, []).append(normalised_error(answers[:, -1], targets[1][:, -1]))
            squared = [_squared_correlation(answers[:, k], targets[1][:, k]) for k in range(delays)]
            curves.setdefault(name, []).append(squared)
            found["memory_capacity"].setdefault(name, []).append(float(np.sum(squared)))
    setting = {
        "hold_ms": hold, "tau_ms": tau, "neurons": neurons, "columns": columns, "values": lengths, "seeds": len(seeds),
    }  # fmt: skip
    return {
        "setting": setting,
        "narma10_nrmse": summary(found["narma10_nrmse"], higher_is_better=False),
        "memory_capacity": summary(found["memory_capacity"]),
        "memory_by_delay": {name: np.mean(rows, axis=0).round(4).tolist() for name, rows in curves.items()},
    }


def validated_columns(train_BF: np.ndarray, targets_BK: np.ndarray, test_BF: np.ndarray) -> np.ndarray:
    """Ridge answers with a penalty for each column, the best on the last fifth of the training rows."""
    cut = len(train_BF) * 4 // 5
    inner = _ridge_path(train_BF[:cut], targets_BK[:cut], train_BF[cut:])
    best_K = ((inner - targets_BK[cut:]) ** 2).mean(1).argmin(0)
    answers = _ridge_path(train_BF, targets_BK, test_BF)
    return np.stack([answers[best, :, k] for k, best in enumerate(best_K)], 1)


def _ridge_path(x_BF: np.ndarray, y_BK: np.ndarray, other_BF: np.ndarray) -> np.ndarray:
    """Ridge answers for every penalty from one decomposition, (P, B, K)."""
    x_BF = x_BF.astype(np.float64)
    mean_F, mean_K = x_BF.mean(0), y_BK.mean(0)
    centred = x_BF - mean_F
    values, vectors = np.linalg.eigh(centred.T @ centred)
    scale = max(values.sum() / len(values), 1e-12)
    rotated, projected = vectors.T @ (centred.T @ (y_BK - mean_K)), (other_BF - mean_F) @ vectors
    return np.stack([projected @ (rotated / (np.maximum(values, 0) + p * scale)[:, None]) + mean_K for p in PENALTIES])


def _squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1] ** 2) if a.std() > 1e-12 else 0.0


def digits(small: bool) -> dict[str, Any]:
    """Spoken digits of six speakers, read at one, two, four and eight instants of each word."""
    if not DIGITS.exists():
        return {"left_out": f"{DIGITS.name} is not there"}
    recordings = read_spoken_digits(DIGITS)
    if small:
        recordings = [r for r in recordings if r.index in (1, 12, 23) and r.digit < 4]
    neurons, columns, tau, finest = (1600, 4, 60.0, 8) if small else (6000, 8, 60.0, 8)
    labels, speakers = np.array([r.digit for r in recordings]), np.array([r.speaker for r in recordings])
    heard = [cochleagram(r.samples_T, r.rate, low=100.0, high=3600.0, smoothing=8.0) for r in recordings]
    samples = [integrate_and_fire(h, frame=5.0, rate=200.0) for h in heard]
    durations = [5.0 * len(h) + 50.0 for h in heard]

    def build() -> Network:
        return cortex(columns, neurons, layers=("23", "4", "6"), channels=64, wiring=DIGIT_WIRING, seed=0)

    speaker_folds = [(train, test) for _, train, test in leave_one_group_out(speakers)]
    splits = {
        "leave_one_speaker_out": (speaker_folds, speakers),
        "official": (
            [official_digit_split([r.index for r in recordings])],
            np.array([r.index % 5 for r in recordings]),
        ),
    }
    right: dict[tuple[str, int, str], np.ndarray] = {}
    out: dict[str, Any] = {
        "setting": {"neurons": neurons, "columns": columns, "tau_ms": tau, "recordings": len(recordings)}
    }

    def judge(name: str, states_BAN: np.ndarray, instants: Sequence[int] = (1, 2, 4, 8)) -> None:
        for n in instants:
            # the root makes the noise of a count of spikes the same at any rate; all methods get it
            rows = np.sqrt(as_rows(states_BAN[:, finest // n - 1 :: finest // n], False))
            for split, (folds, groups) in splits.items():
                found = nested_ridge(rows, labels, groups, folds, penalties=(0.3, 3.0, 30.0))
                tested = np.concatenate([test for _, test in folds])
                correct = (found.answers_I == labels)[tested]
                right[split, n, name] = correct
                entry = {
                    "accuracy": float(correct.mean()),
                    "interval": wilson_interval(int(correct.sum()), len(correct)),
                    "inner": float(np.mean(found.inner)),
                }
                if split == "leave_one_speaker_out":
                    entry["by_speaker"] = {
                        str(speakers[test[0]]): float((found.answers_I == labels)[test].mean()) for _, test in folds
                    }
                out.setdefault(split, {}).setdefault(f"instants={n}", {})[name] = entry
                print(split, n, name, round(entry["accuracy"], 4), flush=True)

    own = input_states(samples, durations, 64, instants=finest, tau=tau)
    judge("input", own)
    judge("input, tau=400", input_states(samples, durations, 64, instants=finest, tau=400.0), (1, 2))
    n_read = 0
    some = range(0, len(samples), max(1, len(samples) // 7))
    for name, make in networks(build, [samples[i] for i in some], [durations[i] for i in some], 0).items():
        if name == "scrambled":
            continue  # with these weights it fires nearly as often as the liquid: one of the two is enough
        liquid = liquid_of(make(), tau=tau, instants=finest)
        n_read = liquid.n_read
        judge(name, liquid.states(samples, durations))
    judge("expanded", expanded(own, n_read))
    for (split, n, name), correct in right.items():
        if name != "liquid":
            difference = paired_difference(right[split, n, "liquid"], correct)
            out[split][f"instants={n}"][name]["liquid_better_by"] = {
                "mean": difference.difference, "interval": difference.interval,
                "share_not_above": difference.share_not_above,
            }  # fmt: skip
    return out


DIGIT_WIRING = Wiring(afferent=10.0, column_delay=18.0, deep=35.0, spread=0.4, feedback=0.0, forward=12.0, up=11.0)


def memory(small: bool) -> dict[str, Any]:
    """An item held over a delay, with facilitation and without."""
    if not small:
        return {"4,000 neurons": held_items(4000, 0.5, range(10)), "10,000 neurons": held_items(10_000, 0.1, range(2))}
    return {"2,000 neurons": held_items(2000, 0.5, range(1))}


def held_items(neurons: int, step: float, seeds: range) -> dict[str, Any]:
    """How often the cued group alone fires 0.5 to 1.5 s after: more than twice as much as any other."""
    out: dict[str, Any] = {"setting": {"neurons": neurons, "step_ms": step, "seeds": len(seeds)}}
    for name, facilitation in (("facilitation", True), ("no facilitation", False)):
        held, cued, others = 0, [], []
        for seed in seeds:
            simulation = working_memory(neurons=neurons, facilitation=facilitation, seed=seed, step=step).build()
            item = seed % 5
            recording = simulation.run(2350.0, {"cue": cue_spikes(item, start=500.0, step=step)})
            best, rates = held_item(recording, 5, start=1350.0, end=2350.0)
            held += int(best == item and rates[item] > 2 * np.delete(rates, item).max())
            cued.append(float(rates[item]))
            others.append(float(np.delete(rates, item).mean()))
        interval = wilson_interval(held, len(seeds))
        out[name] = {"held": held, "interval": interval, "cued_hz": cued, "others_hz": others}
    return out


def reward(small: bool) -> dict[str, Any]:
    """A cue rewarded half a second later, with the gate and without."""
    trials, seeds = (10, range(1)) if small else (60, range(4))
    out: dict[str, Any] = {"setting": {"trials": trials, "reward_after_ms": 500.0, "seeds": len(seeds)}}
    for name, gate in (("gate", True), ("no gate", False)):
        weights, before, after = [], [], []
        for seed in seeds:
            simulation = reward_association(gate=gate, seed=seed).build(threads=1)
            before.append(responses(simulation, 5 if small else 20, seed=seed).tolist())
            weights.append(train_association(simulation, trials, seed=seed)[-1].tolist())
            after.append(responses(simulation, 5 if small else 20, seed=seed + 1000).tolist())
        gap = np.array(after)[:, 0] - np.array(after)[:, 1]
        out[name] = {
            "weights": weights,
            "spikes_before": before,
            "spikes_after": after,
            "preference": float(gap.mean()),
        }
        if len(gap) > 1:
            out[name]["preference_interval"] = mean_interval(gap)
    return out


def measures(small: bool) -> dict[str, Any]:
    """Ranks, divergence after one moved spike, and branching of the row of columns."""
    n, neurons = (12, 1200) if small else (100, 3000)
    build = lambda: cortex(12, neurons, channels=40, wiring=Wiring(afferent=20.0, across=5.0), seed=0)  # noqa: E731
    rng = np.random.default_rng(0)
    different = [poisson_spikes(40, 20.0, 400.0, rng) for _ in range(n)]
    alike = [jittered(different[0], 4.0, 400.0, rng) for _ in range(n)]
    out: dict[str, Any] = {}
    for name, make in networks(build, different[:6], [400.0] * 6, 0).items():
        liquid = liquid_of(make(), tau=20.0, instants=1)
        at = np.arange(220.0, 400.0, 10.0)
        rates = []
        for times, ids in different[: 4 if small else 20]:
            which = int(np.searchsorted(times, 200.0))
            moved = moved_spike(times, which=which, by=1.0)
            order = np.argsort(moved, kind="stable")
            first, second = liquid.state((times, ids), 400.0, at), liquid.state((moved[order], ids[order]), 400.0, at)
            rates.append(divergence_rate(first, second, at))
        finite = [r for r in rates if np.isfinite(r)]
        recording = liquid.simulation.run(400.0, {"in": different[1]})
        counts = binned_counts(*recording.spikes("23E"), recording.sizes["23E"], duration=400.0, bin_ms=4.0)
        out[name] = {
            "kernel_rank": state_rank(liquid.states(different, 400.0)[:, 0]),
            "generalisation_rank": state_rank(liquid.states(alike, 400.0)[:, 0]),
            "inputs": n,
            "divergence_per_s": float(np.median(finite)) if finite else None,
            "died_out": len(rates) - len(finite),
            "branching": branching_parameter(counts.sum(1)),
        }
    inputs = np.stack([filtered_spikes(t, i, 40, np.array([400.0]), tau=20.0)[0] for t, i in different])
    out["input"] = {"kernel_rank": state_rank(inputs), "inputs": n}
    return out


if __name__ == "__main__":
    main()
