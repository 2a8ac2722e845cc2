"""What spiking language models learn beside their dense twins: text, recall, classes of sentences, embeddings.

uv run --group bench python benchmarks/spikeformer_quality.py                    all parts, hours
uv run --group bench python benchmarks/spikeformer_quality.py --only recall      one part; the others stay as they are

Parts: rates (short runs at several learning rates), language (bytes of 14.7 MB of English), ablations (shorter, with
one thing changed in each), recall (items over 1,000 tokens), classes (subjectivity and polarity of sentences),
embeddings (the vocabulary of MiniLM).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import functools
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import spikeformer as sf
import torch
from ddp_utils import keyed_generator, read_metrics

from benchmarks.common import parsed_parts, parser_of, write_results
from benchmarks.shared_data import english, labelled_sentences, split_text

Save = Callable[[Any], None]
COMMON = {"vocab_size": 257, "rate_band": (0.02, 0.1), "surrogate": "arctan", "surrogate_slope": 2.0}
MODEL = {**COMMON, "dim": 128, "heads": 4, "layers": 3}
ABLATED = {**COMMON, "dim": 96, "heads": 4, "layers": 3}
SMALL_MODEL = {**COMMON, "dim": 32, "heads": 2, "layers": 2}
UPDATES = 1000
TRAINING = {"global_batch": 16, "length": 256, "learning_rate": 1e-2}
SHORT_UPDATES = 200
SHORT = {"global_batch": 8, "length": 128, "learning_rate": 1e-2}
RATES = (5e-3, 1e-2, 2e-2)
SMALL = {"global_batch": 4, "length": 64}
SAMPLE = 400  # bytes that each model writes


@functools.cache
def texts(*, small: bool) -> tuple[sf.TokenArray, sf.TokenArray, sf.TokenArray]:
    """Bytes to train on, to choose a step by, and to judge by."""
    parts = split_text(english()[:40_000], lines=10, every=6) if small else split_text(english())
    train, choose, judge = (sf.TokenArray.of_bytes(part) for part in parts)
    return train, choose, judge


def trained(
    name: str, base: dict[str, Any], training: dict[str, Any], updates: int, *, dense: bool = False, **changed: Any
) -> tuple[Any, dict[str, Any]]:
    """A model and its figures, with some of its configuration changed."""
    small = base is SMALL_MODEL
    config = sf.SpikeformerConfig(**{**base, **changed})
    model = sf.dense_twin(config) if dense else sf.Spikeformer(config)
    checks = {"validate_every": max(1, updates // 10), "patience": updates, "validation_streams": 64}
    options = sf.LanguageModelConfig(steps=updates, precision="fp32", **{**checks, **training})
    train, choose, judge = texts(small=small)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        sf.train_language_model(model, train, choose, options, run_folder=Path(folder))
        seconds = time.perf_counter() - start
        curve = [
            {"step": line["step"], "bits_per_character": line["bits_per_character"]}
            for line in read_metrics(Path(folder))
            if "bits_per_character" in line
        ]
    figures = sf.evaluate_language_model(model, judge, streams=1, length=1024)
    row = {
        "model": name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "updates": updates,
        "trained_tokens": updates * options.global_batch * options.length,
        "seconds": seconds,
        **figures.to_dict(),
        "curve": curve,
    }
    print(row, flush=True)
    return model, row


def written(model: Any, prompt: str, n: int) -> str:
    """What a model goes on to write."""
    tokens = sf.generate(model, list(prompt.encode()), n, temperature=0.8, top_k=40, seed=0)
    return prompt + bytes(token for token in tokens if token < 256).decode(errors="replace")


def rates(save: Save, *, small: bool) -> None:
    """Short runs of both kinds at several learning rates: neither is to suffer from the other's."""
    rows = []
    for rate in RATES:
        for name, dense in (("dense twin", True), ("spiking", False)):
            sizes = (SMALL_MODEL, SMALL, 2) if small else (ABLATED, SHORT, SHORT_UPDATES)
            base, training, updates = sizes
            row = trained(name, base, {**training, "learning_rate": rate}, updates, dense=dense)[1]
            rows.append({**row, "learning_rate": rate})
            save({"rows": rows})


def language(save: Save, *, small: bool) -> None:
    """Spiking model and dense twin on the same tokens."""
    rows, samples = [], {}
    for name, dense in (("dense twin", True), ("spiking", False)):
        sizes = (SMALL_MODEL, SMALL, 4) if small else (MODEL, TRAINING, UPDATES)
        model, row = trained(name, *sizes, dense=dense)
        if not dense:
            probe = torch.randint(97, 123, (1, 64), generator=keyed_generator(0, "probe"))
            row["energy"] = sf.energy_report(model, model(probe)).to_dict()
        rows.append(row)
        samples[name] = written(model, "the film ", 20 if small else SAMPLE)
        save({"rows": rows, "samples": samples})


ABLATIONS: dict[str, dict[str, Any]] = {
    "dense twin": {"dense": True},
    "spiking, T = 4": {},
    "without phases": {"phase": False},
    "without memory": {"memory": False, "segment": 64},
    "without delays": {"delays": 1},
    "coincidence": {"attention": "coincidence", "context": 128},
    "softmax": {"attention": "softmax", "context": 128},
    "T = 1": {"steps": 1},
    "T = 2": {"steps": 2},
    "T = 8": {"steps": 8},
}


def ablations(save: Save, *, small: bool) -> None:
    """Short runs with one thing changed in each."""
    rows = []
    for name, changed in list(ABLATIONS.items())[: 4 if small else None]:
        sizes = (SMALL_MODEL, SMALL, 3) if small else (ABLATED, SHORT, SHORT_UPDATES)
        rows.append(trained(name, *sizes, **changed)[1])
        save({"rows": rows})


def recall(save: Save, *, small: bool) -> None:
    """Items shown before 1,000 other tokens, with and without working memory."""
    task = sf.RecallTask(items=2, distractors=16) if small else sf.RecallTask(items=4, distractors=1000)
    rows = []
    for name, changed in (("with memory", {}), ("without memory", {"memory": False, "segment": 64})):
        config = sf.SpikeformerConfig(vocab_size=task.vocab_size, dim=64, heads=4, layers=2, **changed)
        start = time.perf_counter()
        model = sf.Spikeformer(config)
        sizes: dict[str, Any] = {"steps": 4, "judged": 16} if small else {"steps": 800, "judged": 256}
        figures = sf.train_recall(model, task, learning_rate=1e-2, **sizes)
        rows.append({"model": name, "distractors": task.distractors, **figures.to_dict()})
        rows[-1]["seconds"] = time.perf_counter() - start
        print(rows[-1], flush=True)
        save({"rows": rows})


def classes(save: Save, *, small: bool) -> None:
    """Sentences by their words, nine tenths to train on; spiking and dense, from scratch."""
    rows = []
    for name in ("subjectivity", "polarity"):
        sentences, labels = labelled_sentences(name)
        order = torch.randperm(len(sentences), generator=keyed_generator(0, name)).tolist()[: 60 if small else None]
        cut = len(order) // 10
        words = [re.findall(r"\S+", sentence) for sentence in sentences]
        counts = Counter(word for row in order[cut:] for word in words[row])
        known = {word: i + 2 for i, (word, count) in enumerate(counts.most_common(10_000)) if count > 1}
        tokens = [[known.get(word, 1) for word in sentence] for sentence in words]
        test, train = order[:cut], order[cut:]
        for kind, dense in (("spiking", False), ("dense twin", True)):
            config = sf.SpikeformerConfig(vocab_size=len(known) + 2, dim=64, heads=2, layers=1, rate_band=(0.02, 0.1))
            model = sf.TextClassifier(config, 2, dense=dense)
            start = time.perf_counter()
            sf.train_classifier(model, [tokens[i] for i in train], [labels[i] for i in train], epochs=1 if small else 4)
            accuracy = sf.classifier_accuracy(model, [tokens[i] for i in test], [labels[i] for i in test])
            half = 1.96 * (accuracy * (1 - accuracy) / cut) ** 0.5
            rows.append({"set": name, "model": kind, "accuracy": accuracy, "half_interval": half, "judged": cut})
            rows[-1]["seconds"] = time.perf_counter() - start
            print(rows[-1], flush=True)
            save({"rows": rows})


def embeddings(save: Save, *, small: bool) -> None:
    """Input embeddings of MiniLM into spikes of LIF neurons and out again by least squares."""
    import spikecode as sc

    table_VE = sc.LanguageModel.load("samples:minilm", 0).embeddings_VD[: 2000 if small else None]
    rows = []
    for neurons, steps in ((256, 4),) if small else ((768, 4), (1536, 4), (1536, 8), (3072, 8)):
        encoder = sf.LIFEncoder(table_VE.shape[1], neurons, steps)
        encoder.calibrate(table_VE)
        head = sf.ReconstructionHead(neurons, table_VE.shape[1], steps)
        with torch.no_grad():
            spikes_TVC = encoder(table_VE)
            head.fit(spikes_TVC, table_VE)
            found = sf.vocabulary_identity(head(spikes_TVC), table_VE)
        rate = float(spikes_TVC.mean())
        rows.append({"neurons": neurons, "steps": steps, "rate": rate, "entries": len(table_VE), **found.to_dict()})
        print(rows[-1], flush=True)
        save({"rows": rows})


PARTS = {
    "rates": rates,
    "language": language,
    "ablations": ablations,
    "recall": recall,
    "classes": classes,
    "embeddings": embeddings,
}


def main() -> None:
    """Run the parts asked for and write `results/spikeformer_quality.json`."""
    options, names, figures = parsed_parts(parser_of(__doc__ or ""), "spikeformer_quality", PARTS)
    for name in names:

        def save(found: Any, name: str = name) -> None:
            figures[name] = found
            write_results("spikeformer_quality", figures, options)

        PARTS[name](save, small=options.small)


if __name__ == "__main__":
    main()
