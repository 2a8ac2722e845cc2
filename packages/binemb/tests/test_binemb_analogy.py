"""Analogies against a literal implementation and against gensim."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from binemb import Analogies, BinaryCodes, evaluate_analogy, load_analogies
from binemb.analogy import answer_analogies
from binemb.space import Space
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st

Score = Callable[[np.ndarray, int, int, int, int], float]


def add(cosine: np.ndarray, d: int, a: int, b: int, c: int) -> float:
    return cosine[d, b] - cosine[d, a] + cosine[d, c]


def mul(cosine: np.ndarray, d: int, a: int, b: int, c: int) -> float:
    near = (1 + cosine) / 2
    return near[d, b] * near[d, c] / (near[d, a] + 0.001)


SCORES: dict[str, Score] = {"add": add, "mul": mul}


def cosines_of(rows: torch.Tensor | BinaryCodes) -> np.ndarray:
    x = (rows.signs() if isinstance(rows, BinaryCodes) else rows).double().numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def scores_of(cosine: np.ndarray, question: list[int], method: str) -> list[float]:
    """Score of every word, one at a time; the three given ones are out."""
    return [
        -np.inf if d in question else SCORES[method](cosine, d, *question)  # pyright: ignore[reportCallIssue]
        for d in range(len(cosine))
    ]


def random_questions(n: int, count: int, seed: int) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.tensor(np.array([generator.choice(n, 3, replace=False) for _ in range(count)]))


@pytest.mark.parametrize("method", ["add", "mul"])
@settings(deadline=None)
@given(n=st.integers(4, 30), seed=st.integers(0, 2**32 - 1))
def test_on_vectors_as_written_out(method, n, seed):
    rows = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    questions = random_questions(n, 10, seed)
    answers = answer_analogies(Space(rows), questions, method=method).tolist()
    cosine = cosines_of(rows)
    for question, answer in zip(questions.tolist(), answers, strict=True):
        scores = scores_of(cosine, question, method)
        assert answer not in question
        # in mul a word opposite to a has a score near 1000, and single precision decides
        assert scores[answer] == pytest.approx(max(scores), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("method", ["add", "mul"])
@settings(deadline=None)
@given(n=st.integers(4, 30), n_bits=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_on_codes_as_written_out_on_signs(method, n, n_bits, seed):
    codes = BinaryCodes.from_signs(torch.randn(n, n_bits, generator=torch.Generator().manual_seed(seed)))
    questions = random_questions(n, 10, seed)
    answers = answer_analogies(Space(codes), questions, method=method).tolist()
    signs = codes.signs().long().numpy()
    for question, answer in zip(questions.tolist(), answers, strict=True):
        if method == "add":  # integers: equal scores are equal, and the first word wins
            a, b, c = signs[question]
            counts = signs @ (b - a + c)
            counts[question] = np.iinfo(np.int64).min
            assert answer == counts.argmax()
        else:
            scores = scores_of(cosines_of(codes), question, method)
            assert answer not in question
            assert scores[answer] == pytest.approx(max(scores), rel=1e-5)


@pytest.mark.parametrize("method", ["add", "mul"])
@pytest.mark.parametrize("block_rows", [1, 7, 50])
def test_blocks_do_not_matter(monkeypatch, method, block_rows):
    codes = BinaryCodes.from_signs(torch.randn(50, 12, generator=torch.Generator().manual_seed(0)))
    questions = random_questions(50, 300, 0)
    whole = answer_analogies(Space(codes), questions, method=method)
    monkeypatch.setattr("binemb.space.BLOCK_ROWS", block_rows)
    monkeypatch.setattr("binemb.analogy.QUESTIONS_AT_ONCE", 11)
    assert torch.equal(answer_analogies(Space(codes), questions, method=method), whole)


@pytest.fixture(scope="module")
def small_model():
    from binemb import MatryoshkaBinarizer, Preparation

    x = torch.randn(60, 16, generator=torch.Generator().manual_seed(0))
    model = MatryoshkaBinarizer(Preparation.fit(x), (64, 128))
    model.fit_decoders(model.preparation(x))
    return x, model


@pytest.fixture(scope="module")
def google_part(tmp_path_factory):
    """Every fourth question of the Google set, as a file that gensim reads too."""
    path = tmp_path_factory.mktemp("analogies") / "part.txt"
    lines = []
    for title, questions in load_analogies("google").sections.items():
        lines += [f": {title}", *(" ".join(question) for question in questions[::4])]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_as_gensim_on_word_vectors(glove, google_part):
    """gensim compares in upper case, binemb as written, then in lower case: for an all lower-case vocabulary both
    take the same questions."""
    keyed = KeyedVectors(50)
    keyed.add_vectors(glove.words, glove.vectors.numpy())
    accuracy, sections = keyed.evaluate_word_analogies(str(google_part))
    found = evaluate_analogy(glove.vectors, glove.words, google_part)
    asked = {part["section"]: len(part["correct"]) + len(part["incorrect"]) for part in sections}
    right = {part["section"]: len(part["correct"]) for part in sections}
    assert found.questions == asked.pop("Total accuracy") > 500
    assert {title: counts[1] for title, counts in found.sections.items()} == {t: n for t, n in asked.items() if n}
    assert all(abs(counts[0] - right[title]) <= 1 for title, counts in found.sections.items())
    assert found.accuracy == pytest.approx(accuracy, abs=2 / found.questions)


def test_codes_keep_analogies_with_enough_bits(glove, google_part):
    from binemb import MatryoshkaBinarizer, Preparation

    model = MatryoshkaBinarizer(Preparation.fit(glove.vectors), (64, 2048))
    codes = model.encode(glove.vectors)
    exact = evaluate_analogy(model.preparation(glove.vectors), glove.words, google_part).accuracy
    long = evaluate_analogy(codes, glove.words, google_part).accuracy
    short = evaluate_analogy(codes.truncate(64), glove.words, google_part).accuracy
    assert short < 0.7 * exact
    assert long > 0.85 * exact


def test_sections_and_coverage():
    """b - a + c hits d exactly; a question with an unknown word is not asked."""
    words = ["man", "king", "woman", "queen", "x"]
    vectors = torch.tensor([[1.0, 0, 0.2], [1, 1, 0.2], [0, 0, 0.2], [0.0, 1, 0.2], [-1, -1, -0.2]])
    sections = {
        "right": [("man", "king", "Woman", "queen")],
        "mixed": [("man", "king", "woman", "x"), ("man", "king", "woman", "queen"), ("man", "king", "woman", "duke")],
        "unknown": [("a", "b", "c", "d")],
    }
    result = evaluate_analogy(vectors, words, Analogies("small", sections))
    assert result.sections == {"right": (1, 1), "mixed": (1, 2)}
    assert (result.name, result.questions) == ("small", 3)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.coverage == pytest.approx(3 / 5)


def test_refusals():
    words = ["a", "b", "c"]
    with pytest.raises(ValueError, match="3 rows for 2 words"):
        evaluate_analogy(torch.eye(3), words[:2])
    with pytest.raises(ValueError, match="method must be add or mul, got 'div'"):
        evaluate_analogy(torch.eye(3), words, method="div")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="google: no question has all four words in the vocabulary"):
        evaluate_analogy(torch.eye(3), words)


@pytest.mark.parametrize("method", ["add", "mul"])
def test_asymmetric_as_written_out_on_decoded_vectors(small_model, method):
    """Candidates are D^T s as it is, the question's words the same at unit length."""
    x, model = small_model
    codes = model.encode(x).truncate(64)
    words = [f"w{row}" for row in range(len(x))]
    questions = random_questions(len(x), 40, 0)
    candidates = codes.signs().double().numpy() @ model.level_decoders()[0].double().numpy()
    asked = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    near = asked @ candidates.T
    for question in questions.tolist():
        scores = scores_of(near.T, question, method)
        named = (*(words[row] for row in question), words[int(np.argmax(scores))])
        found = evaluate_analogy(codes, words, Analogies("one", {"s": [named]}), method=method, decoder=model)
        assert found.accuracy == 1


def test_asymmetric_answers_more_than_hamming(glove, google_part):
    from binemb import MatryoshkaBinarizer, TrainConfig

    config = TrainConfig(rounds=0, group=64, global_batch=256)
    model = MatryoshkaBinarizer.fit(glove.vectors, (512,), config=config)
    codes = model.encode(glove.vectors)
    hamming = evaluate_analogy(codes, glove.words, google_part).accuracy
    assert evaluate_analogy(codes, glove.words, google_part, decoder=model).accuracy > hamming + 0.01


def test_asymmetric_refusals(small_model):
    x, model = small_model
    words = [f"w{row}" for row in range(len(x))]
    with pytest.raises(TypeError, match="decoder is for codes"):
        evaluate_analogy(x, words, decoder=model)
    with pytest.raises(ValueError, match=r"codes have 40 bits, the model's levels are \(64, 128\)"):
        evaluate_analogy(model.encode(x).truncate(40), words, decoder=model)
