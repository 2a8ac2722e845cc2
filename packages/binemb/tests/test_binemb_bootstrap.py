"""The paired bootstrap against scipy on literal resamples, normal theory, and methods known to differ or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from binemb.analogy import AnalogyResult
from binemb.bootstrap import paired_bootstrap, resampled_spearman
from binemb.codes import BinaryCodes
from binemb.errors import TooFewKnownError
from binemb.evaluation_sets import WordPairs
from binemb.neighbours import neighbour_recalls
from binemb.retrieval import evaluate_retrieval
from binemb.similarity import evaluate_similarity
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(n=st.integers(3, 40), levels=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_correlation_of_counted_items_is_that_of_repeated_items(n, levels, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, levels, n) / 7, generator.standard_normal(n).round(1)
    picks = generator.integers(0, n, (4, n))
    counts = np.stack([np.bincount(row, minlength=n) for row in picks])
    found = resampled_spearman(x, y, counts)
    for row, value in zip(picks, found, strict=True):
        if len(set(x[row])) == 1 or len(set(y[row])) == 1:
            assert value == 0
        else:
            assert value == pytest.approx(spearmanr(x[row], y[row])[0], abs=1e-12)  # pyright: ignore[reportArgumentType]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_the_interval_of_a_mean_is_the_normal_one(seed):
    shared, noise = gaussian(400, seed=seed), gaussian(400, seed=seed + 1)
    first, second = shared + 0.1 + 0.3 * noise, shared
    found = paired_bootstrap(first, second, resamples=4000)
    difference = (first - second).double()
    error = float(difference.std()) / 20
    assert found.difference == pytest.approx(float(difference.mean()), abs=1e-9)
    assert found.first - found.second == pytest.approx(found.difference)
    np.testing.assert_allclose(
        found.interval, [found.difference - 1.96 * error, found.difference + 1.96 * error], atol=0.25 * error
    )
    # pairing takes the shared part out
    unpaired = float((first.var() + second.var()).sqrt()) / 20
    assert found.interval[1] - found.interval[0] < 0.3 * 2 * 1.96 * unpaired
    assert (found.items, found.resamples) == (400, 4000)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for trial in range(200):
        first, second = 0.2 + gaussian(80, seed=2 * trial), gaussian(80, seed=2 * trial + 1)
        low, high = paired_bootstrap(first, second, resamples=400, confidence=0.8, seed=trial).interval
        held += low <= 0.2 <= high
    assert 140 <= held <= 178  # 160 expected, standard deviation 5.7


def test_share_not_above_is_small_for_the_better_method_and_large_for_the_worse():
    base = gaussian(300)
    better = base + 0.2 + 0.5 * gaussian(300, seed=1)
    assert paired_bootstrap(better, base).share_not_above < 0.001
    assert paired_bootstrap(base, better).share_not_above > 0.999
    same = paired_bootstrap(base, base)
    assert (same.difference, same.interval, same.share_not_above) == (0, (0, 0), 1)


def test_runs_of_several_seeds_are_averaged_in_each_resample():
    runs, other = [gaussian(50, seed=seed) for seed in range(3)], gaussian(50, seed=9)
    several = paired_bootstrap(runs, other, resamples=500)
    mean = paired_bootstrap(torch.stack(runs).double().mean(0), [other, other], resamples=500)
    assert several.difference == pytest.approx(mean.difference, abs=1e-12)
    assert several.interval == pytest.approx(mean.interval, abs=1e-12)


def test_blocks_do_not_matter_and_the_seed_does(monkeypatch):
    first, second = gaussian(37), gaussian(37, seed=1)
    whole = paired_bootstrap(first, second, resamples=300)
    for at_once in (1, 100, 1000):
        monkeypatch.setattr("binemb.bootstrap.RESAMPLED_ITEMS_AT_ONCE", at_once)
        assert paired_bootstrap(first, second, resamples=300) == whole
    assert paired_bootstrap(first, second, resamples=300, seed=1).interval != whole.interval


def noisy_similarity(noise: float, seed: int):
    vectors = gaussian(60, 16)
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 60, (300, 2))
    cosines = torch.nn.functional.cosine_similarity(vectors[rows[:, 0]], vectors[rows[:, 1]]).tolist()
    pairs = [(f"w{a}", f"w{b}", cosine) for (a, b), cosine in zip(rows.tolist(), cosines, strict=True)]
    blurred = vectors + noise * gaussian(60, 16, seed=seed)
    return evaluate_similarity(blurred, [f"w{row}" for row in range(60)], WordPairs("set", pairs))


def test_similarity_results():
    clean, noisy = [noisy_similarity(0.3, seed) for seed in (1, 2)], [noisy_similarity(0.6, seed) for seed in (3, 4)]
    found = paired_bootstrap(clean, noisy, resamples=1000)
    assert found.first == pytest.approx(np.mean([run.spearman for run in clean]), abs=1e-12)
    assert found.second == pytest.approx(np.mean([run.spearman for run in noisy]), abs=1e-12)
    assert found.interval[0] > 0
    assert found.share_not_above == 0
    assert found.items == 300
    # one method against nothing is its own interval
    alone = paired_bootstrap(torch.tensor(clean[0].cosines), torch.zeros(300), resamples=200)
    assert alone.second == 0


def test_analogy_retrieval_and_neighbour_results():
    outcomes = [tuple(bool(bit) for bit in row) for row in (gaussian(2, 90) > 0).tolist()]
    first, second = (AnalogyResult("set", sum(row) / 90, {"all": (sum(row), 90)}, 90, 1.0, row) for row in outcomes)
    found = paired_bootstrap(first, second)
    assert (found.first, found.second) == pytest.approx((first.accuracy, second.accuracy))
    queries, documents = gaussian(30, 24), gaussian(50, 24, seed=1)
    judgements = [dict.fromkeys(rows, 1) for rows in (queries @ documents.T).topk(5).indices.tolist()]
    exact = evaluate_retrieval(queries, documents, judgements)
    coarse = evaluate_retrieval(BinaryCodes.from_signs(queries), BinaryCodes.from_signs(documents), judgements)
    found = paired_bootstrap(exact, coarse)
    assert (found.first, found.second) == pytest.approx((exact.ndcg, coarse.ndcg))
    assert found.interval[0] > 0
    codes = BinaryCodes.from_signs(documents)
    recalls = [neighbour_recalls(rows, documents, k=3) for rows in (documents, codes, codes.truncate(8))]
    assert torch.equal(recalls[0], torch.ones(50))
    assert paired_bootstrap(recalls[1], recalls[2]).difference == pytest.approx(
        float(recalls[1].double().mean() - recalls[2].double().mean())
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_turning_the_methods_round_turns_the_signs_round(seed):
    first, second = gaussian(20, seed=seed), gaussian(20, seed=seed + 1)
    there, back = paired_bootstrap(first, second, resamples=200), paired_bootstrap(second, first, resamples=200)
    assume(there.difference != 0)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-12)
    assert there.share_not_above + back.share_not_above == pytest.approx(1)


def test_refusals():
    x = gaussian(5)
    similarity = noisy_similarity(0.1, 0)
    for arguments, error, message in (
        ((x, x[:4]), ValueError, "same items"),
        ((x, similarity), TypeError, "results of one kind, got SimilarityResult, Tensor"),
        (([], x), ValueError, "first holds no runs"),
        ((x, [3.0]), TypeError, "second must hold results or tensors, got float"),
        ((x[None], x), ValueError, r"first must be one outcome an item, got shape \(1, 5\)"),
        ((x[:2], x[:2]), TooFewKnownError, "at least 3 items, got 2"),
    ):
        with pytest.raises(error, match=message):
            paired_bootstrap(*arguments)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="resamples must be at least 100, got 10"):
        paired_bootstrap(x, x, resamples=10)
    with pytest.raises(ValueError, match=r"confidence must lie in \(0, 1\), got 95"):
        paired_bootstrap(x, x, confidence=95)
