"""Word similarity against scipy, on vectors and on codes with many ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from binemb import (
    BinaryCodes,
    MatryoshkaBinarizer,
    Preparation,
    WordPairs,
    evaluate_analogy,
    evaluate_similarity,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr


def words_of(n: int) -> list[str]:
    return [f"w{row}" for row in range(n)]


def random_pairs(n_pairs: int, n: int, seed: int, levels: int = 5) -> WordPairs:
    """Pairs of words with few different scores, so that there are ties."""
    generator = np.random.default_rng(seed)
    rows, scores = generator.integers(0, n, (n_pairs, 2)), generator.integers(0, levels, n_pairs)
    return WordPairs("random", [(f"w{a}", f"w{b}", float(s)) for (a, b), s in zip(rows, scores, strict=True)])


def rank_correlation(similarities, scores) -> float:
    return float(spearmanr(similarities, scores)[0])  # pyright: ignore[reportArgumentType]


def rows_and_scores(pairs: WordPairs) -> tuple[list[int], list[int], list[float]]:
    return (
        [int(a[1:]) for a, _, _ in pairs.pairs],
        [int(b[1:]) for _, b, _ in pairs.pairs],
        [score for _, _, score in pairs.pairs],
    )


@settings(deadline=None)
@given(n_pairs=st.integers(3, 60), n_bits=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_on_codes_as_scipy_on_counts_of_equal_bits(n_pairs, n_bits, seed):
    codes = BinaryCodes.from_signs(torch.randn(15, n_bits, generator=torch.Generator().manual_seed(seed)))
    pairs = random_pairs(n_pairs, 15, seed)
    left, right, scores = rows_and_scores(pairs)
    equal_bits = (codes.signs()[left] == codes.signs()[right]).sum(1).numpy()
    assume(len(set(equal_bits)) > 1 and len(set(scores)) > 1)
    found = evaluate_similarity(codes, words_of(15), pairs)
    assert found.spearman == pytest.approx(rank_correlation(equal_bits, scores), abs=1e-12)
    assert (found.pairs, found.coverage) == (n_pairs, 1.0)


@settings(deadline=None)
@given(n_pairs=st.integers(3, 60), seed=st.integers(0, 2**32 - 1))
def test_on_vectors_as_scipy_on_cosines(n_pairs, seed):
    vectors = torch.randn(15, 8, generator=torch.Generator().manual_seed(seed))
    pairs = random_pairs(n_pairs, 15, seed)
    left, right, scores = rows_and_scores(pairs)
    unit = vectors.double() / vectors.double().norm(dim=1, keepdim=True)
    cosines = (unit[left] * unit[right]).sum(1).numpy().round(6)
    assume(len(set(scores)) > 1 and len(set(cosines)) > 1)
    expected = rank_correlation(cosines, scores)
    # the last of six decimals may fall to either side: a swap of near-equal pairs
    assert evaluate_similarity(vectors, words_of(15), pairs).spearman == pytest.approx(expected, abs=1e-2)
    assert evaluate_similarity(7 * vectors, words_of(15), pairs).spearman == pytest.approx(expected, abs=1e-2)


def test_perfect_and_reversed_and_no_order():
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    pairs = [("w0", "w1", 3.0), ("w0", "w2", 2.0), ("w0", "w3", 1.0)]
    words = words_of(4)
    assert evaluate_similarity(vectors, words, WordPairs("up", pairs)).spearman == pytest.approx(1)
    down = WordPairs("down", [(a, b, -score) for a, b, score in pairs])
    assert evaluate_similarity(vectors, words, down).spearman == pytest.approx(-1)
    flat = WordPairs("flat", [(a, b, 1.0) for a, b, _ in pairs])
    assert evaluate_similarity(vectors, words, flat).spearman == 0


def test_the_interval_holds_the_value_and_shrinks_with_the_root_of_the_pairs():
    vectors = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 400, (1600, 2))
    scores = (unit[rows[:, 0]] * unit[rows[:, 1]]).sum(1).numpy() + 0.5 * generator.standard_normal(1600)
    pairs = [(f"w{a}", f"w{b}", float(score)) for (a, b), score in zip(rows, scores, strict=True)]
    widths = []
    for n_pairs in (100, 400, 1600):
        found = evaluate_similarity(vectors, words_of(400), WordPairs("noisy", pairs[:n_pairs]))
        low, high = found.interval
        assert low < found.spearman < high
        widths.append(high - low)
    for wide, narrow in ((widths[0], widths[1]), (widths[1], widths[2])):
        assert 1.4 < wide / narrow < 2.8
    again = evaluate_similarity(vectors, words_of(400), WordPairs("noisy", pairs))
    assert again == evaluate_similarity(vectors, words_of(400), WordPairs("noisy", pairs))
    assert again.interval != evaluate_similarity(vectors, words_of(400), WordPairs("noisy", pairs), seed=1).interval


def test_unknown_words_are_left_out_or_get_the_mean():
    vectors = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    known = [("w0", "w1", 1.0), ("w0", "W2", 2.0), ("w3", "w4", 5.0), ("w1", "w4", 3.0)]
    unknown = [("w0", "other", 4.0), ("x", "y", 0.5)]
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).double()
    cosines = np.array([float(unit[int(a[1:])] @ unit[int(b[1:])]) for a, b, _ in known])
    data = WordPairs("mixed", [known[0], unknown[0], *known[1:], unknown[1]])
    skipped = evaluate_similarity(vectors, words_of(5), data)
    assert (skipped.pairs, skipped.coverage) == (4, pytest.approx(4 / 6))
    assert skipped.spearman == pytest.approx(rank_correlation(cosines, [score for _, _, score in known]))
    filled = evaluate_similarity(vectors, words_of(5), data, out_of_vocabulary="mean")
    assert (filled.pairs, filled.coverage) == (6, pytest.approx(4 / 6))
    with_means = [*cosines, cosines.mean(), cosines.mean()]
    assert filled.spearman == pytest.approx(rank_correlation(with_means, [s for *_, s in known + unknown]))


def test_refusals():
    vectors, words = torch.eye(3), words_of(3)
    with pytest.raises(ValueError, match="3 rows for 2 words"):
        evaluate_similarity(vectors, words[:2], "wordsim353")
    with pytest.raises(ValueError, match="wordsim353: only 0 of 353 pairs have both words in the vocabulary"):
        evaluate_similarity(vectors, words, "wordsim353")
    with pytest.raises(ValueError, match="out_of_vocabulary must be skip or mean, got 'zero'"):
        evaluate_similarity(vectors, words, "wordsim353", out_of_vocabulary="zero")  # pyright: ignore[reportArgumentType]


def test_blocks_do_not_matter(monkeypatch):
    """`Space` covers all rows whatever the block."""
    import binemb.space

    codes = BinaryCodes.from_signs(torch.randn(23, 12, generator=torch.Generator().manual_seed(0)))
    for rows in (codes, torch.randn(23, 5, generator=torch.Generator().manual_seed(1))):
        whole = rows.signs() if isinstance(rows, BinaryCodes) else torch.nn.functional.normalize(rows, dim=1)
        for size in (1, 7, 23, 100):
            monkeypatch.setattr(binemb.space, "BLOCK_ROWS", size)
            space = binemb.space.Space(rows)
            torch.testing.assert_close(torch.cat([space.take(block) for block in space.blocks()]), whole)


def test_codes_of_word_vectors_keep_most_of_the_similarity(glove):
    """512 bits of random rotations: WordSim-353 within a few hundredths of the float vectors."""
    model = MatryoshkaBinarizer(Preparation.fit(glove.vectors), (512,))
    prepared = model.preparation(glove.vectors)
    float_result = evaluate_similarity(prepared, glove.words, "wordsim353")
    code_result = evaluate_similarity(model.encode(glove.vectors), glove.words, "wordsim353")
    assert float_result.spearman > 0.5
    assert abs(code_result.spearman - float_result.spearman) < 0.06
    assert code_result.pairs == float_result.pairs > 150


@pytest.mark.parametrize("evaluate", [evaluate_similarity, evaluate_analogy])
def test_what_is_no_vector_is_not_judged(glove, evaluate):
    """A NaN lost every comparison, and packed bytes passed for vectors: both gave a figure."""
    name = "google" if evaluate is evaluate_analogy else "wordsim353"
    vectors = glove.vectors.clone()
    vectors[7, 3] = torch.nan
    with pytest.raises(ValueError, match="1 rows hold NaN or infinity, the first is row 7"):
        evaluate(vectors, glove.words, name)
    with pytest.raises(TypeError, match=r"expected a floating-point torch tensor, got torch\.uint8"):
        evaluate(BinaryCodes.from_signs(glove.vectors).packed, glove.words, name)
