"""Standard evaluation sets, by name or from files."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass
from pathlib import Path

_WORD_CLASS = re.compile(r"(.+)-[nvja]")
_IN_GENSIM = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt", "google": "questions-words.txt"}


class EvaluationSetError(ValueError):
    """An evaluation set that cannot be read; the message names file and line."""


@dataclass(frozen=True)
class WordPairs:
    """Pairs of words with the similarity that people gave them.

    Args:
        name: name of the set.
        pairs: (word, word, score).
    """

    name: str
    pairs: list[tuple[str, str, float]]


@dataclass(frozen=True)
class Analogies:
    """Questions "a is to b as c is to d", by section.

    Args:
        name: name of the set.
        sections: section title to questions (a, b, c, d).
    """

    name: str
    sections: dict[str, list[tuple[str, str, str, str]]]


def find_set(name: str | Path) -> Path:
    """Path of a set: "wordsim353", "simlex999" and "google" come with gensim, anything else is a file.

    Raises:
        FileNotFoundError: neither a known name nor a file.
    """
    if str(name) in _IN_GENSIM:
        spec = importlib.util.find_spec("gensim")
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"{name}: gensim, which carries this set, is not installed: pip install gensim")
        return Path(spec.origin).parent / "test" / "test_data" / _IN_GENSIM[str(name)]
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"{name}: neither a file nor one of {', '.join(_IN_GENSIM)}")
    return path


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvaluationSetError(f"{path}: not UTF-8 text: {error}") from error
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def load_word_pairs(name: str | Path) -> WordPairs:
    """Read word, word, score a line, separated by tabs, commas or blanks; comments (#) and a header line are skipped.

    Fields after the score are passed over. Where every word of the file carries a word class (`sun-n`, as in the
    lemma form of MEN: n, v, j or a), the class is cut off.

    Args:
        name: "wordsim353", "simlex999", or a file, such as those of MEN, RG-65 and MTurk-771.

    Returns:
        The pairs, in the order of the file.

    Raises:
        FileNotFoundError: no such set.
        EvaluationSetError: a line that is none of these.
    """
    path = find_set(name)
    pairs = []
    lines = [(number, line) for number, line in _lines(path) if not line.startswith("#")]
    for position, (number, line) in enumerate(lines):
        fields = line.replace("\t", " ").replace(",", " ").split()
        score = _number(fields[2]) if len(fields) >= 3 else None
        if score is None:
            if position == 0 and len(fields) >= 3:
                continue  # a header line
            raise EvaluationSetError(f"{path}: line {number}: expected word, word, score, found {line[:60]!r}")
        pairs.append((fields[0], fields[1], score))
    if not pairs:
        raise EvaluationSetError(f"{path}: no word pairs in it")
    tagged = [(_WORD_CLASS.fullmatch(a), _WORD_CLASS.fullmatch(b), score) for a, b, score in pairs]
    if all(a and b for a, b, _ in tagged):
        pairs = [(a[1], b[1], score) for a, b, score in tagged if a and b]
    return WordPairs(str(name) if str(name) in _IN_GENSIM else path.stem, pairs)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def load_analogies(name: str | Path = "google") -> Analogies:
    """Read four words a line, with section titles on lines that start with a colon.

    Raises:
        FileNotFoundError: no such set.
        EvaluationSetError: a line that is neither.
    """
    path = find_set(name)
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    title = "all"
    for number, line in _lines(path):
        if line.startswith(":"):
            title = line[1:].strip()
            continue
        fields = line.split()
        if len(fields) != 4:
            raise EvaluationSetError(f"{path}: line {number}: expected four words, found {len(fields)}: {line[:60]!r}")
        sections.setdefault(title, []).append((fields[0], fields[1], fields[2], fields[3]))
    if not sections:
        raise EvaluationSetError(f"{path}: no questions in it")
    return Analogies(str(name) if str(name) in _IN_GENSIM else path.stem, sections)


def row_of(word: str, rows: dict[str, int]) -> int | None:
    """Row of a word as written, else in lower case, else None."""
    return rows.get(word, rows.get(word.lower()))
