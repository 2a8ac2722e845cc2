"""Queries of words: what parses, what it means, what is refused."""

from __future__ import annotations

import re

import pytest
import torch
from binemb import ExpressionError, UnknownWordError, WordVectors, combine, parse_expression
from hypothesis import given, settings
from hypothesis import strategies as st

words = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=6).filter(
    lambda word: word not in ("+", "-") and word.split() == [word]
)
terms = st.lists(st.tuples(st.sampled_from([1, -1]), words), min_size=1, max_size=6)


@settings(deadline=None)
@given(terms=terms, leading_plus=st.booleans(), space=st.sampled_from([" ", "  ", "\t", " \n"]))
def test_what_is_written_is_read_back(terms, leading_plus, space):
    parts = [part for sign, word in terms for part in ("+" if sign > 0 else "-", word)]
    if terms[0][0] > 0 and not leading_plus:
        parts = parts[1:]
    assert parse_expression(space.join(parts)) == terms


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(["+", "-"]), words), max_size=6))
def test_exactly_the_sums_are_accepted(tokens):
    """A sum is: an optional sign, then words with one sign between each two."""
    signs = [token in ("+", "-") for token in tokens]
    rest = signs[1:] if signs[:1] == [True] else signs
    is_sum = len(rest) % 2 == 1 and all(sign == bool(place % 2) for place, sign in enumerate(rest))
    if is_sum:
        assert len(parse_expression(" ".join(tokens))) == signs.count(False)
    else:
        with pytest.raises(ExpressionError):
            parse_expression(" ".join(tokens))


def test_hyphens_inside_words_stay():
    assert parse_expression("new-york - u.s. + -ing") == [(1, "new-york"), (-1, "u.s."), (1, "-ing")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a word"),
        ("  ", "expected a word"),
        ("-", "expected a word"),
        ("king -", "expected a word"),
        ("king queen", r"put \+ or - between 'king' and 'queen'"),
        ("king - + queen", r"a word is missing before '\+'"),
        ("+ + king", r"a word is missing before '\+'"),
        ("+ - king", "a word is missing before '-'"),
    ],
)
def test_the_message_says_what_is_wrong(text, message):
    with pytest.raises(ExpressionError, match=message):
        parse_expression(text)


def test_combine_adds_signed_unit_vectors():
    vectors = WordVectors(["king", "man", "woman", "Paris"], torch.eye(4), "test")
    total, rows = combine(parse_expression("king - man + Woman"), vectors, vectors.vectors)
    assert total.tolist() == [1, -1, 1, 0]
    assert rows.tolist() == [0, 1, 2]
    assert combine(parse_expression("Paris + Paris"), vectors, vectors.vectors)[0].tolist() == [0, 0, 0, 2]
    for unknown in ("kingg", "paris", "KINGG"):
        with pytest.raises(UnknownWordError):
            combine(parse_expression(f"king + {unknown}"), vectors, vectors.vectors)


def test_king_minus_man_plus_woman(glove):
    unit_ND = torch.nn.functional.normalize(glove.vectors, dim=1)
    total, rows = combine(parse_expression("King - man + woman"), glove, unit_ND)
    scores = unit_ND @ total
    scores[rows] = -torch.inf
    assert glove.words[int(scores.argmax())] == "queen"


@pytest.mark.parametrize("text", ["king - king", "king - man + Man - king"])
def test_words_that_cancel_out_ask_for_nothing(text):
    vectors = WordVectors(["king", "man"], torch.eye(2), "test")
    with pytest.raises(ExpressionError, match=rf"query '{re.escape(text)}': its words cancel out"):
        combine(parse_expression(text), vectors, vectors.vectors)
