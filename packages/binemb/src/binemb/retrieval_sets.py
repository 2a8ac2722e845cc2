"""Test collections of retrieval: documents, queries and judgements, from files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from binemb.evaluation_sets import EvaluationSetError

RetrievalLayout = Literal["auto", "beir", "cranfield"]
Judgement: TypeAlias = tuple[int, str, str, int]
"""Line, query, document and gain."""

_CRANFIELD_GAINS = {-1: 5, 1: 4, 2: 3, 3: 2, 4: 1, 5: 0}
_CRANFIELD_JUDGEMENTS = ("QRelsCorrectedforTRECeval", "cranqrel")
_SMART_FIELD = re.compile(r"\.([A-Z])\s*")
_SMART_RECORD = re.compile(r"\.I\s+(\d+)\s*")


@dataclass(frozen=True)
class RetrievalSet:
    """A test collection.

    Args:
        name: name of the folder.
        query_ids: what each of the Q queries is called.
        queries: their texts.
        document_ids: what each of the N documents is called.
        documents: their texts; some collections have empty ones.
        judgements: for each query, gain by document row, as `evaluate_retrieval` takes them.
    """

    name: str
    query_ids: list[str]
    queries: list[str]
    document_ids: list[str]
    documents: list[str]
    judgements: list[dict[int, int]]


def load_retrieval_set(path: str | Path, *, layout: RetrievalLayout = "auto", split: str = "test") -> RetrievalSet:
    """Read a folder in one of two layouts.

    beir: `corpus.jsonl` (_id, title, text), `queries.jsonl` (_id, text) and `qrels/SPLIT.tsv` (query, document, gain,
    with a header line). A document is its title, a blank and its text. Queries that the split does not judge are left
    out, as in BEIR.

    cranfield: `cran.all*` and `cran.qry` as SMART wrote them, and `QRelsCorrectedforTRECeval` or else `cranqrel`.
    The numbers in `cran.qry` have gaps and the judgements do not use them: they count the queries from 1, and so does
    `query_ids`. A document is its title and its text, the title once where the text begins with it; two are empty.
    `cranqrel` has codes where 1 is a complete answer and 4 of minimum interest; they become the gains of
    `QRelsCorrectedforTRECeval`, 4 to 1. Its code -1, which no description explains, is given to one document a query
    and becomes gain 5, as there: these documents share more words with their query than those of any other code
    (half of them are among the first three of a tf-idf ranking, those of code 1 among the first 23).

    Args:
        path: the folder.
        layout: "beir", "cranfield", or "auto" for the one whose files are there.
        split: which judgements of the beir layout; the cranfield layout has one set of judgements.

    Raises:
        FileNotFoundError: the folder or a file of the layout is missing.
        EvaluationSetError: a file that is damaged or does not agree with the others; the message names file and line.
        ValueError: an unknown layout.

    References:
        Thakur et al. (2021), BEIR, arXiv 2104.08663. Cleverdon (1967), The Cranfield tests on index language devices,
        Aslib Proceedings 19(6).
    """
    if layout not in ("auto", "beir", "cranfield"):
        raise ValueError(f"load_retrieval_set: layout must be auto, beir or cranfield, got {layout!r}")
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"load_retrieval_set: no folder {folder}")
    if layout == "auto":
        markers = {"beir": "corpus.jsonl", "cranfield": "cran.qry"}
        fitting = [name for name, marker in markers.items() if (folder / marker).is_file()]
        if len(fitting) != 1:
            raise FileNotFoundError(f"load_retrieval_set: {folder} must hold either corpus.jsonl or cran.qry")
        layout = "beir" if fitting == ["beir"] else "cranfield"
    return _read_beir(folder, split) if layout == "beir" else _read_cranfield(folder)


def load_judgements(path: str | Path) -> dict[str, dict[str, int]]:
    """Read judgements as trec_eval does: query, a field that is not used, document and gain a line, blanks between.

    Args:
        path: the file.

    Returns:
        Gain by query and document, in the order of the file. `pytrec_eval` takes it as it is.

    Raises:
        FileNotFoundError: no such file.
        EvaluationSetError: a line that is none of these, or a document judged twice for a query.
    """
    return _collect(Path(path), _trec_lines(Path(path)))


def _read_beir(folder: Path, split: str) -> RetrievalSet:
    documents = _read_jsonl(folder / "corpus.jsonl")
    queries = _read_jsonl(folder / "queries.jsonl")
    path = folder / "qrels" / f"{split}.tsv"
    judged = _collect(path, _beir_lines(path), queries, documents)
    return _assemble(folder, {name: queries[name] for name in queries if name in judged}, documents, judged)


def _read_jsonl(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, line in _lines(path):
        try:
            record: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EvaluationSetError(f"{path}: line {number}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise _wrong(path, number, "an object", line)
        fields = [record.get("_id"), record.get("title", ""), record.get("text")]
        if not all(isinstance(value, str) for value in fields):
            raise _wrong(path, number, "texts under _id and text (and title)", line)
        name, title, text = fields
        if name in texts:
            raise EvaluationSetError(f"{path}: line {number}: the _id {name!r} was given before")
        texts[name] = f"{title} {text}".strip()
    if not texts:
        raise EvaluationSetError(f"{path}: nothing in it")
    return texts


def _read_cranfield(folder: Path) -> RetrievalSet:
    document_files = sorted(folder.glob("cran.all*"))
    judgement_files = [folder / name for name in _CRANFIELD_JUDGEMENTS if (folder / name).is_file()]
    if len(document_files) != 1 or not judgement_files:
        raise FileNotFoundError(
            f"load_retrieval_set: {folder} must hold one cran.all* and {' or '.join(_CRANFIELD_JUDGEMENTS)}"
        )
    documents: dict[str, str] = {}
    for number, name, fields in _read_smart(document_files[0]):
        title, text = fields.get("T", ""), fields.get("W", "")
        if name in documents:
            raise EvaluationSetError(f"{document_files[0]}: line {number}: document {name} was given before")
        documents[name] = text if text.startswith(title) else f"{title} {text}".strip()
    records = _read_smart(folder / "cran.qry")
    queries = {str(position): fields.get("W", "") for position, (_, _, fields) in enumerate(records, 1)}
    path = judgement_files[0]
    lines = _cranqrel_lines(path) if path.name == "cranqrel" else _trec_lines(path)
    return _assemble(folder, queries, documents, _collect(path, lines, queries, documents))


def _read_smart(path: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Line, number and fields of each record; runs of white space in a field become one blank."""
    number, name, field = 0, None, ""
    fields: dict[str, list[str]] = {}
    for line_number, line in _lines(path):
        record, opened = _SMART_RECORD.fullmatch(line), _SMART_FIELD.fullmatch(line)
        if record:
            if name is not None:
                yield number, name, {key: " ".join(words) for key, words in fields.items()}
            number, name, field, fields = line_number, str(int(record[1])), "", {}
        elif name is None or line.startswith(".I"):
            raise _wrong(path, line_number, "a record that begins with .I and its number", line)
        elif opened:
            field = opened[1]
        elif field:
            fields.setdefault(field, []).extend(line.split())
        else:
            raise _wrong(path, line_number, "a field such as .W", line)
    if name is None:
        raise EvaluationSetError(f"{path}: nothing in it")
    yield number, name, {key: " ".join(words) for key, words in fields.items()}


def _trec_lines(path: Path) -> Iterator[Judgement]:
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) != 4:
            raise _wrong(path, number, "query, 0, document, gain", line)
        yield number, fields[0], fields[2], _whole(path, number, fields[3])


def _beir_lines(path: Path) -> Iterator[Judgement]:
    for position, (number, line) in enumerate(_lines(path)):
        fields = line.split("\t")
        if len(fields) != 3:
            raise _wrong(path, number, "query, document, gain between tabs", line)
        if position or _is_whole(fields[2]):  # else the header line
            yield number, fields[0], fields[1], _whole(path, number, fields[2])


def _cranqrel_lines(path: Path) -> Iterator[Judgement]:
    for number, line in _lines(path):
        fields = line.split()
        code = _whole(path, number, fields[2]) if len(fields) == 3 else None
        if code not in _CRANFIELD_GAINS:
            raise _wrong(path, number, "query, document, code (-1 or 1 to 5)", line)
        yield number, fields[0], fields[1], _CRANFIELD_GAINS[code]


def _collect(
    path: Path,
    lines: Iterator[Judgement],
    queries: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
) -> dict[str, dict[str, int]]:
    """Gain by query and document; names outside the collection, if that is given, are refused."""
    judged: dict[str, dict[str, int]] = {}
    for number, query, document, gain in lines:
        for kind, name, known in (("query", query, queries), ("document", document, documents)):
            if known is not None and name not in known:
                raise EvaluationSetError(
                    f"{path}: line {number}: judges the {kind} {name!r}, which is not in the collection"
                )
        gains = judged.setdefault(query, {})
        if document in gains:
            raise EvaluationSetError(f"{path}: line {number}: query {query}, document {document} was judged before")
        gains[document] = gain
    if not judged:
        raise EvaluationSetError(f"{path}: no judgements in it")
    return judged


def _assemble(
    folder: Path, queries: dict[str, str], documents: dict[str, str], judged: dict[str, dict[str, int]]
) -> RetrievalSet:
    rows = {name: row for row, name in enumerate(documents)}
    judgements = [{rows[document]: gain for document, gain in judged.get(name, {}).items()} for name in queries]
    return RetrievalSet(
        folder.resolve().name,
        list(queries),
        list(queries.values()),
        list(documents),
        list(documents.values()),
        judgements,
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers; only line feeds end one."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            except UnicodeDecodeError as error:
                raise EvaluationSetError(f"{path}: line {number}: not UTF-8 text: {error}") from error
            if line.strip():
                yield number, line


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d{1,9}\s*", text, re.ASCII) is not None


def _whole(path: Path, number: int, text: str) -> int:
    if not _is_whole(text):
        raise EvaluationSetError(f"{path}: line {number}: expected a whole number, found {text[:60]!r}")
    return int(text)


def _wrong(path: Path, number: int, expected: str, line: str) -> EvaluationSetError:
    return EvaluationSetError(f"{path}: line {number}: expected {expected}, found {line[:60]!r}")
