"""What evaluations say of each item, and MEN's lemma form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from binemb.analogy import answer_analogies, evaluate_analogy
from binemb.codes import BinaryCodes
from binemb.evaluation_sets import Analogies, WordPairs, load_word_pairs
from binemb.neighbours import evaluate_neighbours, exact_neighbours, neighbour_recalls
from binemb.similarity import evaluate_similarity
from binemb.space import Space
from scipy.stats import spearmanr

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def gaussian(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def test_similarity_keeps_its_pairs_in_the_order_of_the_set():
    vectors, words = gaussian(6, 8), list("abcdef")
    pairs = [("a", "b", 1.0), ("x", "c", 2.0), ("C", "d", 4.0), ("e", "f", 3.0), ("a", "f", 2.5)]
    cosines = torch.nn.functional.cosine_similarity(vectors[[0, 2, 4, 0]], vectors[[1, 3, 5, 5]]).double().numpy()
    skipped = evaluate_similarity(vectors, words, WordPairs("set", pairs))
    np.testing.assert_allclose(skipped.cosines, cosines, atol=1e-6)
    assert skipped.scores == (1, 4, 3, 2.5)
    filled = evaluate_similarity(vectors, words, WordPairs("set", pairs), out_of_vocabulary="mean")
    np.testing.assert_allclose(filled.cosines, np.insert(cosines, 1, cosines.mean()), atol=1e-6)
    assert filled.scores == tuple(score for _, _, score in pairs)
    for found in (skipped, filled):
        expected = spearmanr(found.cosines, found.scores)[0]
        assert found.spearman == pytest.approx(expected)  # pyright: ignore[reportArgumentType]
        assert "cosines" not in repr(found)


def test_analogies_keep_their_answers_in_the_order_of_the_set():
    codes, words = BinaryCodes.from_signs(gaussian(40, 16)), [f"w{row}" for row in range(40)]
    generator = np.random.default_rng(0)
    asked = torch.tensor(np.array([generator.choice(40, 3, replace=False) for _ in range(30)]))
    answers = answer_analogies(Space(codes), asked)
    answers[::3] = (answers[::3] + 1) % 40  # every third expects another word
    rows = torch.cat([asked, answers[:, None]], 1).tolist()
    questions: list[tuple[str, str, str, str]] = [(f"w{a}", f"w{b}", f"w{c}", f"w{d}") for a, b, c, d in rows]
    data = Analogies("set", {"one": questions[:10], "two": [("no", "such", "w1", "w2"), *questions[10:]]})
    found = evaluate_analogy(codes, words, data)
    assert found.outcomes == tuple(number % 3 != 0 for number in range(30))
    assert found.accuracy == sum(found.outcomes) / 30
    assert found.sections["one"] == (sum(found.outcomes[:10]), 10)


def test_recall_of_each_query_is_counted_by_hand():
    vectors = gaussian(60, 8)
    codes = BinaryCodes.from_signs(gaussian(8, 24, 1).T.contiguous() @ vectors.T).signs().T
    codes = BinaryCodes.from_signs(codes)
    recalls = neighbour_recalls(codes, vectors, k=5)
    right, found = (exact_neighbours(rows, torch.arange(60), 5).tolist() for rows in (vectors, codes))
    assert recalls.tolist() == pytest.approx([len({*a} & {*b}) / 5 for a, b in zip(right, found, strict=True)])
    assert evaluate_neighbours(codes, vectors, k=5) == pytest.approx(float(recalls.mean()))
    few = neighbour_recalls(codes, vectors, k=5, queries=7, seed=3)
    assert few.shape == (7,)
    assert float(few.mean()) == pytest.approx(evaluate_neighbours(codes, vectors, k=5, queries=7, seed=3))


def test_word_classes_are_cut_off_where_every_word_has_one(tmp_path):
    path = tmp_path / "MEN_lemma.txt"
    path.write_text("sun-n sunlight-n 50.0\nrun-v fast-j 31.0\nx-ray-n picture-n 12\n")
    assert load_word_pairs(path).pairs == [("sun", "sunlight", 50), ("run", "fast", 31), ("x-ray", "picture", 12)]
    path.write_text("sun-n sunlight 50.0\nvitamin-a vitamin-j 3\n")
    assert load_word_pairs(path).pairs == [("sun-n", "sunlight", 50), ("vitamin-a", "vitamin-j", 3)]


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "wordsim").is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("MEN-TR-3k", ("sun", "sunlight", 50.0)),
        ("RG-65", ("gem", "jewel", 3.94)),
        ("MTurk-771", ("access", "gateway", 3.791666667)),
        ("SIMLEX-999", ("old", "new", 1.58)),
        ("WS-353-ALL", ("love", "sex", 6.77)),
    ],
)
def test_sets_by_path(glove, name, first):
    path = DATA / "wordsim" / f"EN-{name}.txt"
    assert load_word_pairs(path).pairs[0] == first
    found = evaluate_similarity(glove.vectors, glove.words, path)
    assert found.name == f"EN-{name}"
    assert len(found.cosines) == len(found.scores) == found.pairs
    assert found.spearman > 0.1
