"""Retrieval figures against trec_eval, rankings against brute force, and the layouts of test collections."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from binemb.codes import BinaryCodes
from binemb.errors import TooFewKnownError
from binemb.evaluation_sets import EvaluationSetError
from binemb.retrieval import evaluate_retrieval, retrieve
from binemb.retrieval_sets import load_judgements, load_retrieval_set
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytrec_eval = pytest.importorskip("pytrec_eval")
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
CRANFIELD = DATA / "retrieval" / "cranfield"


def gaussian(n: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def sides(kind: str, n_queries: int, n_documents: int, dim: int, seed: int):
    """Queries, documents and their exact scores as float64 (Q, N)."""
    queries, documents = gaussian(n_queries, dim, seed), gaussian(n_documents, dim, seed + 1)
    if kind != "float":
        documents = BinaryCodes.from_signs(documents)
    if kind == "codes":
        queries = BinaryCodes.from_signs(queries)
    q, d = (np.asarray(x.signs() if isinstance(x, BinaryCodes) else x, np.float64) for x in (queries, documents))
    if kind == "float":
        d = d / np.linalg.norm(d, axis=1, keepdims=True)
    return queries, documents, q @ d.T


def random_judgements(n_queries: int, n_documents: int, seed: int) -> list[dict[int, int]]:
    """Gains from -1, below which trec_eval crashes, to 4; some queries have no judgement, some no relevant document."""
    generator = np.random.default_rng(seed)
    judgements = []
    for _ in range(n_queries):
        rows = generator.choice(n_documents, generator.integers(0, n_documents + 1), replace=False).tolist()
        highest = int(generator.integers(0, 5))
        judgements.append({row: int(generator.integers(-1, highest + 1)) for row in rows})
    return judgements


def trec_eval(judgements: list[dict[int, int]], ranked: list[list[int]], k: int) -> dict[int, tuple[float, ...]]:
    """What trec_eval says of the first k of a ranking: nDCG, recall and reciprocal rank by query."""
    judged = {str(q): {str(row): gain for row, gain in gains.items()} for q, gains in enumerate(judgements)}
    evaluator = pytrec_eval.RelevanceEvaluator(judged, {f"ndcg_cut.{k}", f"recall.{k}", "recip_rank"})
    run = {str(q): {str(row): float(-rank) for rank, row in enumerate(rows[:k])} for q, rows in enumerate(ranked)}
    names = (f"ndcg_cut_{k}", f"recall_{k}", "recip_rank")
    return {int(q): tuple(found[name] for name in names) for q, found in evaluator.evaluate(run).items()}


@pytest.mark.parametrize("kind", ["float", "codes", "asymmetric"])
@settings(deadline=None, max_examples=40)
@given(n_queries=st.integers(1, 12), n_documents=st.integers(1, 40), k=st.integers(1, 45), seed=st.integers(0, 2**31))
def test_as_trec_eval(kind, n_queries, n_documents, k, seed):
    queries, documents, scores = sides(kind, n_queries, n_documents, 12, seed)
    if kind != "codes":  # sums of float32 that are as good as equal may come in either order
        assume(n_documents == 1 or np.diff(np.sort(scores, axis=1)).min() > 1e-4)
    judgements = random_judgements(n_queries, n_documents, seed)
    ranked = np.argsort(-scores, axis=1, kind="stable").tolist()
    expected = trec_eval(judgements, ranked, k)
    if not expected:
        with pytest.raises(TooFewKnownError, match="no query has any"):
            evaluate_retrieval(queries, documents, judgements, k=k)
        return
    found = evaluate_retrieval(queries, documents, judgements, k=k)
    assert (found.k, found.queries, found.counted) == (k, len(expected), tuple(sorted(expected)))
    per_query = np.array([found.ndcgs, found.recalls, found.reciprocal_ranks]).T
    right = np.array([expected[query] for query in found.counted])
    np.testing.assert_allclose(per_query, right, atol=1e-6)
    np.testing.assert_allclose([found.ndcg, found.recall, found.mrr], right.mean(0), atol=1e-6)


@pytest.mark.parametrize("block_rows", [1, 7, 16384])
@settings(deadline=None, max_examples=30)
@given(n_bits=st.integers(1, 12), k=st.integers(1, 30), seed=st.integers(0, 2**31))
def test_equal_distances_go_to_the_first_document(block_rows, n_bits, k, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("binemb.space.BLOCK_ROWS", block_rows)
        patch.setattr("binemb.retrieval.QUERIES_AT_ONCE", 4)
        queries, documents, scores = sides("codes", 9, 30, n_bits, seed)
        found = retrieve(queries, documents, k=k)
    assert found.tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()


def test_scores_of_either_sign_and_zero_are_in_order():
    documents = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [1.0, 1.0], [0.0, -1.0], [-1.0, 1.0], [1.0, 0.0]])
    assert retrieve(torch.tensor([[2.0, 0.0]]), documents, k=6).tolist() == [[5, 2, 0, 3, 4, 1]]


def test_a_query_without_relevant_documents_counts_and_an_unjudged_one_does_not():
    vectors = torch.eye(3)
    found = evaluate_retrieval(vectors, vectors, [{0: 1}, {1: 0}, {}], k=1)
    assert (found.ndcg, found.recall, found.mrr, found.queries) == (0.5, 0.5, 0.5, 2)


def test_refusals():
    x, codes = torch.eye(3), BinaryCodes.from_signs(torch.eye(3))
    with pytest.raises(ValueError, match="2 judgements for 3 queries"):
        evaluate_retrieval(x, x, [{}, {}])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        evaluate_retrieval(x, x, [{0: 1}] * 3, k=0)
    with pytest.raises(ValueError, match=r"judgements\[1\] names document 3; rows are 0 to 2"):
        evaluate_retrieval(x, x, [{0: 1}, {3: 1}, {}])
    with pytest.raises(TypeError, match="codes as queries need codes as documents"):
        evaluate_retrieval(codes, x, [{0: 1}] * 3)
    with pytest.raises(ValueError, match="queries are 2 wide, documents 3"):
        evaluate_retrieval(x[:, :2], codes, [{0: 1}] * 3)
    with pytest.raises(ValueError, match="documents hold NaN"):
        evaluate_retrieval(x, x / 0, [{0: 1}] * 3)
    with pytest.raises(ValueError, match=r"queries must be a float matrix, got torch\.int64"):
        evaluate_retrieval(x.long(), x, [{0: 1}] * 3)
    with pytest.raises(ValueError, match=r"k must lie in \[1, 3\], got 4"):
        retrieve(x, x, k=4)


def write_beir(folder: Path) -> Path:
    corpus = [{"_id": "d1", "title": "A", "text": "one"}, {"_id": "d2", "text": "two"}]
    queries = [{"_id": "q9", "text": "nine"}, {"_id": "q1", "text": "first"}, {"_id": "q2", "text": "second"}]
    (folder / "qrels").mkdir()
    for name, records in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td2\t2\nq1\td1\t1\nq2\td1\t0\n")
    return folder


def test_beir_layout(tmp_path):
    read = load_retrieval_set(write_beir(tmp_path))
    assert (read.document_ids, read.documents) == (["d1", "d2"], ["A one", "two"])
    assert (read.query_ids, read.queries) == (["q1", "q2"], ["first", "second"])
    assert read.judgements == [{0: 1}, {1: 2, 0: 0}]
    (tmp_path / "qrels" / "dev.tsv").write_text("q9\td2\t1\n")  # no header line
    dev = load_retrieval_set(tmp_path, layout="beir", split="dev")
    assert (dev.query_ids, dev.judgements) == (["q9"], [{1: 1}])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}\n{"_id"\n', "line 2: not JSON"),
        ("corpus.jsonl", '{"_id": 1, "text": "x"}\n', "line 1: expected texts under _id and text"),
        ("corpus.jsonl", "[]\n", "line 1: expected an object"),
        ("corpus.jsonl", '{"_id": "d1", "text": ""}\n\n{"_id": "d1", "text": ""}\n', "line 3: the _id 'd1' was given"),
        ("corpus.jsonl", "\n", "nothing in it"),
        ("queries.jsonl", b"\xff\n", "line 1: not UTF-8"),
        ("qrels/test.tsv", "q\td\ts\nq1\td1\t1\nq1 d2 1\n", "line 3: expected query, document, gain between tabs"),
        ("qrels/test.tsv", "q1\td1\t1\nq1\td2\thigh\n", "line 2: expected a whole number, found 'high'"),
        ("qrels/test.tsv", "q1\td7\t1\n", "line 1: judges the document 'd7', which is not in the collection"),
        ("qrels/test.tsv", "q7\td1\t1\n", "line 1: judges the query 'q7'"),
        ("qrels/test.tsv", "q1\td1\t1\nq1\td1\t1\n", "line 2: query q1, document d1 was judged before"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "no judgements in it"),
    ],
)
def test_damaged_beir_files(tmp_path, file, content, message):
    path = write_beir(tmp_path) / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(EvaluationSetError) as error:
        load_retrieval_set(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def write_cranfield(folder: Path) -> Path:
    (folder / "cran.all").write_text(
        ".I 1\n.T\na wing\n.A\nme\n.B\nj.\n.W\na wing\n  in a slipstream .\n"
        ".I 2\n.T\nheat .\n.W\n1.5 of .I\n.I 3\n.T\n.W\n"
    )
    (folder / "cran.qry").write_text(".I 001\n.W\nwings\nin air .\n.I 004\n.W\nheat .\n")
    (folder / "cranqrel").write_text("1 1 -1\n1 2 4 \r\n2 2 1\n2 3 5")
    return folder


def test_cranfield_layout(tmp_path):
    read = load_retrieval_set(write_cranfield(tmp_path))
    assert read.document_ids == ["1", "2", "3"]
    assert read.documents == ["a wing in a slipstream .", "heat . 1.5 of .I", ""]
    assert (read.query_ids, read.queries) == (["1", "2"], ["wings in air .", "heat ."])
    assert read.judgements == [{0: 5, 1: 1}, {1: 4, 2: 0}]
    (tmp_path / "QRelsCorrectedforTRECeval").write_text("2 0 3 1\r\n")
    assert load_retrieval_set(tmp_path).judgements == [{}, {2: 1}]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("cran.all", "text\n.I 1\n", "line 1: expected a record that begins with .I and its number, found 'text'"),
        ("cran.all", ".I 1\nloose\n", "line 2: expected a field such as .W, found 'loose'"),
        ("cran.all", ".I 1\n.W\nx\n.I one\n", "line 4: expected a record"),
        ("cran.all", ".I 1\n.W\nx\n.I 1\n.W\ny\n", "line 4: document 1 was given before"),
        ("cran.qry", "", "nothing in it"),
        ("cranqrel", "1 1 1\n3 1 1\n", "line 2: judges the query '3'"),
        ("cranqrel", "1 9 1\n", "line 1: judges the document '9'"),
        ("cranqrel", "1 1 6\n", "line 1: expected query, document, code (-1 or 1 to 5), found '1 1 6'"),
        ("QRelsCorrectedforTRECeval", "1 0 1\n", "line 1: expected query, 0, document, gain, found '1 0 1'"),
    ],
)
def test_damaged_cranfield_files(tmp_path, file, content, message):
    path = write_cranfield(tmp_path) / file
    path.write_text(content)
    with pytest.raises(EvaluationSetError) as error:
        load_retrieval_set(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("file", ["corpus.jsonl", "qrels/test.tsv", "cran.all", "cranqrel"])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text(alphabet='.IW 12\n\t-q{}[]":_idtextd', max_size=80).map(str.encode),
        st.integers(2, 2000).map(lambda depth: b"[" * 50 * depth),
    )
)
def test_any_bytes_give_a_set_or_the_named_error(tmp_path_factory, file, content):
    folder = tmp_path_factory.mktemp("set")
    (write_cranfield if "cran" in file else write_beir)(folder)
    (folder / file).write_bytes(content)
    try:
        read = load_retrieval_set(folder)
    except EvaluationSetError:
        return
    assert any(read.judgements)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_retrieval_set(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"must hold either corpus.jsonl or cran.qry"):
        load_retrieval_set(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must hold one cran.all\*"):
        load_retrieval_set(tmp_path, layout="cranfield")
    with pytest.raises(FileNotFoundError, match=r"qrels/dev.tsv: no such file"):
        load_retrieval_set(write_beir(tmp_path), split="dev")
    with pytest.raises(ValueError, match="layout must be auto, beir or cranfield, got 'trec'"):
        load_retrieval_set(tmp_path, layout="trec")  # pyright: ignore[reportArgumentType]


def test_judgements_as_trec_eval_reads_them(tmp_path):
    path = tmp_path / "qrels"
    path.write_text("q1 0 d2 1\nq1\tQ0\td1\t-1\r\nq2 0 d1 2")
    assert load_judgements(path) == {"q1": {"d2": 1, "d1": -1}, "q2": {"d1": 2}}


@pytest.mark.data
@pytest.mark.skipif(not CRANFIELD.is_dir(), reason="../shared/data is absent")
def test_cranfield_on_disk(tmp_path):
    """The known sizes; both judgement files say the same; a tf-idf ranking is judged as trec_eval judges it."""
    read = load_retrieval_set(CRANFIELD)
    assert (len(read.documents), len(read.queries), sum(map(len, read.judgements))) == (1400, 225, 1837)
    assert [row for row, text in enumerate(read.documents) if not text] == [470, 994]
    assert read.queries[2] == "what problems of heat conduction in composite slabs have been solved so far ."
    for name in ("cran.all.1400", "cran.qry", "cranqrel"):
        (tmp_path / name).symlink_to(CRANFIELD / name)
    assert load_retrieval_set(tmp_path).judgements == read.judgements
    judged = load_judgements(CRANFIELD / "QRelsCorrectedforTRECeval")

    words = [re.findall("[a-z]{3,}", text) for text in read.documents + read.queries]
    columns = {word: column for column, word in enumerate(sorted({word for text in words for word in text}))}
    counts = np.zeros((len(words), len(columns)), np.float32)
    for row, text in enumerate(words):
        np.add.at(counts[row], [columns[word] for word in text], 1)
    weights = np.log1p(counts) * np.log(1400 / (1 + (counts[:1400] > 0).sum(0)) + 1)
    documents, queries = torch.from_numpy(weights[:1400]), torch.from_numpy(weights[1400:])
    found = evaluate_retrieval(queries, documents, read.judgements, k=10)
    ranked = retrieve(queries, documents, k=10).tolist()
    run = {
        query: {read.document_ids[row]: float(-rank) for rank, row in enumerate(rows)}
        for query, rows in zip(read.query_ids, ranked, strict=True)
    }
    expected = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.10", "recip_rank"}).evaluate(run)
    for name, values in (
        ("ndcg_cut_10", found.ndcgs),
        ("recall_10", found.recalls),
        ("recip_rank", found.reciprocal_ranks),
    ):
        np.testing.assert_allclose(values, [expected[query][name] for query in read.query_ids], atol=1e-6)
    assert found.queries == 225
    assert 0.35 < found.ndcg < 0.6
