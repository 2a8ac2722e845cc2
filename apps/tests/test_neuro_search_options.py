"""Kinds of index and ways to search, against counting bits and multiplying matrices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from binemb import BinaryCodes, BinaryIndex, FloatIndex, MatryoshkaBinarizer, load_vectors
from torch.nn.functional import normalize

KINDS = {
    "flat": ([], {}),
    "ivf": (["n_lists=20", "n_probe=20"], {"n_lists": 20, "n_probe": 20, "seed": 0}),
    "hnsw": (["m=8"], {"m": 8, "ef_construction": 100, "ef_search": 64, "seed": 0}),
    "hash": (["hash_bits=8", "n_flips=3"], {"hash_bits": 8, "n_tables": 16, "n_flips": 3}),
}


@pytest.fixture
def query(neuro, trained):
    """Search for a word; returns what was found."""

    def ask(*options, word="paris", k=5):
        ended = neuro("embed", "search", "--model", trained, "-q", word, "-k", k, "--json", *options)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)[0]["answers"]

    return ask


@pytest.fixture
def index(neuro, trained):
    """Make an index of the run's codes."""

    def make(name, *options):
        ended = neuro("embed", "index", "--codes", trained / "codes.safetensors", "--out", name, "--json", *options)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return make


@pytest.fixture
def refused(neuro, trained):
    """Call a search that must be refused in one line; returns the line."""

    def call(*options):
        ended = neuro("embed", "search", "--model", trained, "-q", "paris", *options)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        return ended.err

    return call


def prepared_run(trained):
    """Model, codes and prepared vectors of the run."""
    model = MatryoshkaBinarizer.load(trained / "model.safetensors")
    codes = BinaryCodes.load(trained / "codes.safetensors")
    vectors_ND = load_vectors("samples:glove-50d", limit=6000).vectors
    return model, codes, model.preparation(vectors_ND).double()


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_index(neuro, query, index, kind):
    """Each is made as asked, described, and finds what exhaustive search finds (here with little left out)."""
    options, parameters = KINDS[kind]
    made = index("i", "--kind", kind, *(part for option in options for part in ("--set", f"index.{option}")))
    assert (made["kind"], made["parameters"], made["codes"]) == (kind, parameters, 6000)
    described = json.loads(neuro("embed", "info", "i", "--json").out)
    assert (described["kind"], described["parameters"], described["words"]) == (kind, parameters, True)
    exact = [answer["distance"] for answer in query()]
    found = [answer["distance"] for answer in query("--index", "i")]
    assert query("--index", "i", "--memory-map") == query("--index", "i")
    if kind in ("flat", "ivf"):  # all lists are read
        assert found == exact
    else:
        assert sum(found) <= 1.1 * sum(exact)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "index.n_lists=3"], "kind 'flat' has no parameter 'n_lists'"),
        (["--kind", "ivf", "--set", "index.m=3"], "kind 'ivf' has no parameter 'm'"),
        (["--kind", "hnsw", "--set", "index.m=1"], "m must lie in [2, 512]"),
        (["--kind", "ivf", "--set", "index.n_lists=7000"], "7000 lists need as many codes"),
        (["--kind", "hash", "--set", "index.hash_bits=32", "--set", "index.n_tables=9"], "128 bits"),
        (["--set", "index.n_list=3"], "did you mean index.n_lists?"),
        (["--bits", 129], "[1, 128]"),
    ],
)
def test_index_refuses(neuro, trained, tmp_path, options, said):
    ended = neuro("embed", "index", "--codes", trained / "codes.safetensors", "--out", "i", *options)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err
    assert not (tmp_path / "i").exists()


def test_tuned_searches(query, index, refused):
    """What may be read decides what is found: one list finds less than all; each option is for its kind alone."""
    index("i", "--kind", "ivf", "--set", "index.n_lists=64", "--set", "index.n_probe=1")
    exact = query(k=50)
    narrow, wide = query("--index", "i", k=50), query("--index", "i", "--n-probe", 64, k=50)
    assert [a["distance"] for a in wide] == [a["distance"] for a in exact]
    assert sum(a["distance"] for a in narrow) > sum(a["distance"] for a in exact)
    assert "no parameter 'ef_search'" in refused("--index", "i", "--ef-search", 10)
    assert "--n-probe: is for a search in an index file" in refused("--n-probe", 10)


def test_rescored_by_float_is_float_search(query):
    """With all codes on the shortlist the order is that of float search."""
    by_float = [answer["word"] for answer in query("--space", "float", k=8)]
    assert [answer["word"] for answer in query("--rescore", "float", "--oversample", 1000, k=8)] == by_float
    similarity = [answer["similarity"] for answer in query("--rescore", "float", "--oversample", 1000, k=8)]
    cosines = [answer["similarity"] for answer in query("--space", "float", k=8)]
    assert similarity == pytest.approx([(1 + cosine) / 2 for cosine in cosines], abs=1e-6)


@pytest.mark.parametrize("bits", [64, 128])
def test_rescored_asymmetric_orders_by_decoded_vectors(query, trained, bits):
    """Inner products of the float query with what the codes decode to, before it is scaled to unit length."""
    model, codes, prepared_ND = prepared_run(trained)
    assert codes.words is not None
    row = codes.words.index("paris")
    decoded_ND = codes.truncate(bits).signs().double() @ model.level_decoders()[model.bits.index(bits)].double()
    scores_N = decoded_ND @ normalize(prepared_ND[row], dim=0)
    order = [codes.words[other] for other in scores_N.argsort(descending=True).tolist() if other != row][:8]
    found = query("--bits", bits, "--rescore", "asymmetric", "--oversample", 1000, k=8)
    assert [answer["word"] for answer in found] == order


def test_funnel(query, index, trained):
    """By numpy: the 16 k + 16 nearest by 64 bits (the query's own word is asked for too), ordered by all bits."""
    _, codes, _ = prepared_run(trained)
    assert codes.words is not None
    bits_NB = np.unpackbits(codes.packed.numpy(), axis=1, bitorder="little")
    different_NB = bits_NB != bits_NB[codes.words.index("paris")]
    short = np.argsort(different_NB[:, :64].sum(1), kind="stable")[: 6 * 16]
    distances = sorted(different_NB[short].sum(1))[1:6]
    found = query("--shortlist-bits", 64)
    assert [answer["distance"] for answer in found] == distances
    index("i", "--bits", 64)
    assert query("--shortlist-bits", 64, "--index", "i") == found
    exact = query("--shortlist-bits", 64, "--oversample", 1000)
    assert [answer["distance"] for answer in exact] == [answer["distance"] for answer in query()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rescore", "float", "--shortlist-bits", 64], "choose one"),
        (["--oversample", 3], "is for --rescore or --shortlist-bits"),
        (["--memory-map"], "--memory-map: is for a search in an index file"),
        (["--space", "float", "--rescore", "float"], "leave them out with --space float"),
        (["--shortlist-bits", 200], "--shortlist-bits 200: must lie in [1, 128]"),
        (["--shortlist-bits", 128, "--bits", 64], "must be at most the 64 bits"),
        (["--rescore", "asymmetric", "--bits", 100], "[64, 128] bits; these have 100"),
    ],
)
def test_options_that_do_not_go_together(refused, options, said):
    assert said in refused(*options)


def test_a_funnel_needs_an_index_of_its_prefix(index, refused):
    index("i")
    assert "--shortlist-bits 64: the index holds 128 bits" in refused("--shortlist-bits", 64, "--index", "i")


def test_ids_that_do_not_count_the_words(refused, trained, tmp_path):
    codes = BinaryCodes.load(trained / "codes.safetensors")
    BinaryIndex(128).add(codes, torch.arange(len(codes)).flip(0)).save(tmp_path / "i")
    assert "its ids do not count the words" in refused("--index", "i")


def test_info_of_a_float_index(neuro, tmp_path):
    FloatIndex(4).add(torch.eye(4), words=["a", "b", "c", "d"]).save(tmp_path / "f")
    facts = {"float_index": "f", "count": 4, "dim": 4, "metric": "cosine", "words": True}
    assert json.loads(neuro("embed", "info", Path("f"), "--json").out) == facts
