"""Classifier and reconstruction."""

from __future__ import annotations

import pytest
import spikecode as sc
import spikeformer as sf
import torch
from torch import nn

CONFIG = sf.SpikeformerConfig(vocab_size=13, dim=24, heads=2, layers=1, steps=3, chunk=8)


def tokens(length: int, batch: int = 3) -> torch.Tensor:
    return torch.randint(0, 13, (batch, length), generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("dense", [False, True])
def test_what_stands_behind_a_text_does_not_matter(dense):
    """Texts of any length in one batch: the logits are those of each text alone."""
    classifier, x = sf.TextClassifier(CONFIG, 4, dense=dense).double(), tokens(12)
    lengths = torch.tensor([12, 5, 8])
    mask = torch.arange(12) < lengths[:, None]
    with torch.no_grad():
        together = classifier(x, mask).logits
        for b, n in enumerate(lengths.tolist()):
            alone = classifier(x[b : b + 1, :n]).logits
            torch.testing.assert_close(together[b : b + 1], alone, rtol=1e-9, atol=1e-9)


def test_classifier_learns_which_token_comes_first():
    """The class is in the first token only; 24 texts are learned by heart."""
    x = tokens(10, batch=24)
    classes = x[:, 0] % 2
    classifier = sf.TextClassifier(CONFIG, 2, seed=1)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier(x).logits, classes).backward()
        optimizer.step()
    with torch.no_grad():
        assert bool((classifier(x).logits.argmax(1) == classes).all())


def test_classifier_trains_all_it_has_and_refuses_bad_masks():
    classifier = sf.TextClassifier(sf.SpikeformerConfig(**{**CONFIG.to_dict(), **FIXED, "tie_embeddings": False}), 2)
    output = classifier(tokens(9))
    (output.logits.square().sum() + output.rate_loss).backward()
    assert not [name for name, p in classifier.named_parameters() if p.grad is None]
    with pytest.raises(TypeError, match="bool"):
        classifier(tokens(9), torch.ones(3, 9))
    with pytest.raises(ValueError, match="token in every text"):
        classifier(tokens(9), torch.arange(3)[:, None].expand(3, 9) > 0)
    with pytest.raises(ValueError, match="classes"):
        sf.TextClassifier(CONFIG, 1)


FIXED = {"rate_band": (0.02, 0.15), "tau_range": (20.0, 2000.0)}


def vocabulary(entries: int = 300, dims: int = 16) -> torch.Tensor:
    return torch.randn(entries, dims, generator=torch.Generator().manual_seed(7)) * 0.3 + 1


def test_every_embedding_comes_back_from_spikes_of_lif_neurons():
    """A least-squares decoder of an untrained population finds all entries; the mean of the vectors finds one."""
    table = vocabulary()
    encoder = sf.LIFEncoder(16, 256, 16)
    encoder.calibrate(table)
    head = sf.ReconstructionHead(256, 16, 16)
    with torch.no_grad():
        spikes = encoder(table)
        untrained = sf.vocabulary_identity(head(spikes), table)
        head.fit(spikes, table)
        report = sf.vocabulary_identity(head(spikes), table)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert untrained.wrong >= 299
    assert report.identity == 1.0
    assert report.wrong == 0
    assert report.cosine > 0.99


def test_fit_is_least_squares():
    """The decoder is the ridge solution of numpy's lstsq on the weighted spikes, bias included."""
    generator = torch.Generator().manual_seed(0)
    spikes = (torch.rand(4, 60, 5, generator=generator) < 0.3).float()
    x = torch.randn(60, 3, generator=generator)
    head = sf.ReconstructionHead(5, 3, 4)
    head.fit(spikes, x, ridge=1e-12)
    design = torch.cat([spikes.mean(0), torch.ones(60, 1)], 1).double()
    expected = torch.linalg.lstsq(design, x.double()).solution
    torch.testing.assert_close(head.decoder_CE.detach().double(), expected[:5], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.bias_E.detach().double(), expected[5], rtol=1e-4, atol=1e-5)


def test_spikes_of_a_population_code_go_in_as_they_are():
    """Trains of spikecode: time first, one float a neuron; the head finds the vocabulary in them."""
    table = vocabulary(100, 4)
    codec = sc.SpikeCodec.fit(table, neurons=30, steps=20, density=0.1, seed=0)
    spikes = sc.to_snntorch(codec.encode(table)).float()
    head = sf.ReconstructionHead(120, 4, 20)
    head.fit(spikes, table)
    with torch.no_grad():
        assert sf.vocabulary_identity(head(spikes), table).identity > 0.9
        wide = sf.SpikeformerConfig(vocab_size=100, dim=16, heads=2, layers=1, steps=20, input_dim=120)
        assert sf.Spikeformer(wide)(spikes[:, None]).logits.shape == (1, 100, 100)


def test_encoder_learns_by_surrogate_gradients():
    table = vocabulary(50, 6)
    encoder, head = sf.LIFEncoder(6, 32, 4, seed=2), sf.ReconstructionHead(32, 6, 4)
    encoder.calibrate(table)
    head.fit(encoder(table), table)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=3e-3)

    def loss() -> torch.Tensor:
        return (head(encoder(table)) - table).square().mean()

    before = float(loss().detach())
    for _ in range(80):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert float(loss().detach()) < 0.7 * before
    assert encoder.weight_CE.grad is not None


def test_identity_counts_what_is_wrong_and_what_is_double():
    table = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    report = sf.vocabulary_identity(torch.tensor([[0.1, 0.0], [0.9, 0.1], [1.0, 0.0], [0.2, 0.1]]), table)
    assert (report.identity, report.wrong, report.duplicates) == (0.75, 1, 2)


def test_reconstruction_refuses():
    encoder, head = sf.LIFEncoder(6, 8, 4), sf.ReconstructionHead(8, 6, 4)
    with pytest.raises(ValueError, match="vectors of"):
        encoder(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="two vectors"):
        encoder.calibrate(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="spikes of"):
        head(torch.zeros(5, 3, 8))
    with pytest.raises(ValueError, match="ridge"):
        head.fit(torch.zeros(4, 3, 8), torch.zeros(3, 6), ridge=0)
    with pytest.raises(ValueError, match="neurons"):
        sf.LIFEncoder(6, 0, 4)
