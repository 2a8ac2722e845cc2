"""Drawings and films show what happened."""

from __future__ import annotations

import numpy as np
import pytest
from evosnn import Genome, Rule
from evosnn.drawing import afferent_names, draw_genome, plot_history, plot_network, plot_raster, plot_weights
from evosnn.film import moving_pictures, plot_strip, save_film, task_picture
from evosnn.interface import Interface
from evosnn.life import live
from evosnn.rollout import rollout
from PIL import Image


def genome_for(task: str, *, rule: Rule | None = None, seed: int = 0) -> Genome:
    """Three or more neurons, all afferents to all of them, for a task."""
    interface = Interface.for_task(task, plastic=rule is not None)
    rng = np.random.default_rng(seed)
    C, N = interface.n_afferents, max(3, interface.n_outputs)
    E = C * N
    return Genome(
        n_afferents=C,
        n_outputs=interface.n_outputs,
        neuron_id=np.arange(C, C + N),
        is_output=np.arange(N) < interface.n_outputs,
        sign=np.ones(N),
        tau_m=np.full(N, 10.0),
        tau_s=np.full(N, 5.0),
        threshold=np.ones(N),
        refractory=np.ones(N),
        bias=np.full(N, 1.1),
        tau_a=np.full(N, 100.0),
        beta=np.zeros(N),
        position=rng.normal(size=(N, 3)),
        edge_id=np.arange(E),
        source=np.repeat(np.arange(C), N),
        target=np.tile(np.arange(N), C),
        weight=rng.normal(size=E),
        delay=np.ones(E),
        enabled=np.arange(E) != 1,
        rule=rule or Rule.off(),
        metadata=interface.metadata(),
    )


@pytest.mark.parametrize("task", ["CartPole-v1", "XOR"])
def test_a_life_is_what_the_rollout_scores(task):
    genome = genome_for(task)
    life = live(genome, 5)
    result = rollout([genome], Interface.from_metadata(genome.metadata), [5])
    assert life.score == result.score_PK.item()
    assert len(life) == result.steps_PK.item()
    assert life.spikes_MN.sum() == result.spikes_PK.item()
    assert bool(life.frames) == (task == "CartPole-v1")


def test_learned_weights_are_those_at_the_end():
    genome = genome_for("XOR", rule=Rule.pair(direct=1.0))
    life = live(genome, 1, frames=False)
    assert (life.weights_TE[:, 1] == genome.weight[1]).all()  # disabled
    assert (life.weights_TE[-1] != genome.weight)[genome.enabled].any()
    figure = plot_weights(life)
    moved = (np.ptp(life.weights_TE, axis=0) > 0).sum()
    assert f"{genome.n_enabled} weights" in figure.axes[0].get_title(loc="left")
    assert f"{moved} of them" in figure.axes[0].get_title(loc="left")


def test_a_drawing_has_every_enabled_edge(tmp_path):
    genome = genome_for("CartPole-v1")
    axis = plot_network(genome).axes[0]
    arrows = [text for text in axis.texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == genome.n_enabled
    assert afferent_names(genome)[:3] == ["x0+", "x0−", "x1+"]
    for name in ("net.png", "net.svg"):
        draw_genome(genome, tmp_path / name)
    with Image.open(tmp_path / "net.png") as picture:
        assert picture.format == "PNG"
    assert "<svg" in (tmp_path / "net.svg").read_text()
    with pytest.raises(ValueError, match="expected a name ending in"):
        draw_genome(genome, tmp_path / "net.doc")
    with pytest.raises(ValueError, match="weights"):
        plot_network(genome, np.zeros(3, np.float32))


def test_a_raster_has_every_spike():
    life = live(genome_for("CartPole-v1"), 0, frames=False)
    raster = plot_raster(life).axes[0]
    drawn = sum(len(lines.get_paths()) for lines in raster.collections)
    assert drawn == life.spikes_MN.sum() + life.afferents_MC.sum()


def test_films(tmp_path, monkeypatch):
    life = live(genome_for("CartPole-v1"), 0)
    assert len(plot_strip(life, 4).axes) == 3 + 4
    save_film(life, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert getattr(film, "n_frames", 1) == len(life)
    pictures = list(moving_pictures(life))
    assert len(pictures) == len(life)
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert (pictures[0] != pictures[-1]).any()
    with pytest.raises(ValueError, match=r"\.png, \.gif, \.mp4"):
        save_film(life, tmp_path / "film.avi")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="ffmpeg"):
        save_film(life, tmp_path / "film.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.gif"]


def test_a_task_without_pictures_shows_its_observations():
    life = live(genome_for("XOR"), 0)
    first, second = task_picture(life, 0), task_picture(life, 1)
    assert first.dtype == np.uint8
    assert (first != second).any()


def test_history():
    record = {"best": 2.0, "q10": 0.0, "q25": 0.5, "median": 1.0, "q75": 1.5, "q90": 1.8}
    record |= {"neurons": 3.0, "edges": 9.0, "species": 2.0}
    figure = plot_history([{"generation": g, **record} for g in range(3)], target=3.0)
    assert np.asarray(figure.axes[0].lines[1].get_ydata()).tolist() == [2.0] * 3
    with pytest.raises(ValueError, match="no generation"):
        plot_history([])
