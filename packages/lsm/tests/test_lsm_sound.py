"""Sound to spikes: known tones, exact spike times, files that are not what they say."""

import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lsm.cochlea import cochleagram, erb_centres
from lsm.spike_coding import bens_spiker, integrate_and_fire, latencies, level_crossings
from lsm.splits import leave_one_group_out, official_digit_split
from lsm.spoken_digits import read_spoken_digits
from lsm.wav import AudioFileError, read_wav

DIGITS = Path(__file__).parents[3].parent / "shared/data/audio/fsdd.tar.xz"


def wav_bytes(samples_T, *, rate=8000, width=2, channels=1):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        if width == 1:
            raw = np.round(np.asarray(samples_T) * 127 + 128).astype(np.uint8).tobytes()
        else:
            integers = np.round(np.asarray(samples_T) * (2 ** (8 * width - 1) - 1)).astype("<i4")
            raw = integers.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
        file.writeframes(raw)
    return buffer.getvalue()


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(-0.99, 0.99)), st.sampled_from([1, 2, 3, 4]))
def test_wav_of_any_width_comes_back(samples_T, width):
    rate, read_T = read_wav(wav_bytes(samples_T, width=width, rate=11025))
    assert rate == 11025
    np.testing.assert_allclose(read_T, samples_T, atol=2.0 ** -(8 * width - 2) + 1e-6)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_wav_gives_the_named_error_or_samples(data):
    content = bytearray(wav_bytes(np.linspace(-0.5, 0.5, 40)))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        _, read_T = read_wav(cut)
    except AudioFileError:
        return
    assert len(read_T) <= len(cut)
    assert np.isfinite(read_T).all()


def test_digits_from_folder_and_archive_are_the_same(tmp_path):
    rng = np.random.default_rng(0)
    names = ["3_anna_12.wav", "0_bo_4.wav", "3_anna_2.wav"]
    contents = {name: wav_bytes(rng.uniform(-0.5, 0.5, 80 + i)) for i, name in enumerate(names)}
    folder = tmp_path / "folder" / "recordings"
    folder.mkdir(parents=True)
    with tarfile.open(tmp_path / "digits.tar.xz", "w:xz") as archive:
        for name, content in (contents | {"README.md": b"text"}).items():
            (folder / name).write_bytes(content)
            member = tarfile.TarInfo(f"../../recordings/{name}")  # a path that would leave the folder is harmless here
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("9_eve_0.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    first, second = read_spoken_digits(tmp_path / "folder"), read_spoken_digits(tmp_path / "digits.tar.xz")
    assert [(r.digit, r.speaker, r.index) for r in first] == [(0, "bo", 4), (3, "anna", 2), (3, "anna", 12)]
    assert [r.duration for r in first] == [81 / 8, 82 / 8, 80 / 8]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.samples_T, b.samples_T)


def test_what_is_no_recording_is_named(tmp_path):
    (tmp_path / "1_anna_0.wav").write_bytes(b"ID3 this is an mp3")
    with pytest.raises(AudioFileError, match=r"1_anna_0\.wav: no PCM wav"):
        read_spoken_digits(tmp_path)
    (tmp_path / "no.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(AudioFileError, match="no whole tar"):
        read_spoken_digits(tmp_path / "no.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioFileError, match="digit_speaker_index"):
        read_spoken_digits(tmp_path / "empty")


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not DIGITS.exists(), reason="the recordings are not there")
def test_free_spoken_digits():
    """3,000 recordings: 50 of each digit by each of six speakers; 300 are the official test."""
    recordings = read_spoken_digits(DIGITS)
    assert len(recordings) == 3000
    assert len({(r.digit, r.speaker) for r in recordings}) == 60
    train, test = official_digit_split([r.index for r in recordings])
    assert (len(train), len(test)) == (2700, 300)


def test_a_tone_is_loudest_in_its_channel():
    centres_C = erb_centres(32, 100, 3500)
    assert np.allclose(centres_C[[0, -1]], [100, 3500])
    t = np.arange(4000) / 8000
    for channel in (3, 12, 25):
        sound_T = np.sin(2 * np.pi * centres_C[channel] * t)
        loud_MC = cochleagram(sound_T, 8000, n_channels=32, low=100, high=3500)
        assert loud_MC.shape == (100, 32)
        assert loud_MC[50:].mean(0).argmax() == channel
        assert 0 <= loud_MC.min() <= loud_MC.max() <= 1


def test_loudness_of_a_recording_does_not_matter():
    sound_T = np.random.default_rng(0).normal(size=2000)
    np.testing.assert_allclose(cochleagram(sound_T, 8000), cochleagram(0.01 * sound_T, 8000), atol=1e-5)
    assert not cochleagram(np.zeros(100), 8000).any()


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.floats(0, 1)))
def test_integrated_spikes_follow_the_signal(values_MC):
    """Up to any instant, the spikes of a channel are its integral, within half a spike of one fibre."""
    frame, rate, fibres = 5.0, 400.0, 4
    times, ids = integrate_and_fire(values_MC, frame=frame, rate=rate, fibres=fibres, start=10.0)
    assert (np.diff(times) >= 0).all()
    for end in range(1, len(values_MC) + 1):
        now = times <= 10.0 + frame * end + 1e-9
        counts_C = np.bincount(ids[now] // fibres, minlength=values_MC.shape[1])
        integral_C = values_MC[:end].sum(0) * rate * frame / 1000 * fibres
        assert (np.abs(counts_C - integral_C) <= 0.5 + 1e-6).all()


def test_constant_signal_gives_regular_spikes():
    times, ids = integrate_and_fire(np.full((20, 1), 0.5), frame=5.0, rate=100.0)
    np.testing.assert_allclose(times, 10.0 + 20.0 * np.arange(5))
    assert not ids.any()


def test_bens_spikes_give_the_signal_back():
    """What was made of spikes and the filter is found again; a smooth signal comes back within a tenth."""
    filter_L = np.hanning(22)[1:-1]
    spikes = np.zeros(200)
    spikes[[10, 40, 46, 90, 170]] = 1
    made = np.convolve(spikes, filter_L)[:200, None]
    times, _ = bens_spiker(made, filter_L, frame=1.0)
    np.testing.assert_array_equal(times, np.flatnonzero(spikes) + 1.0)
    smooth = 3.0 * (1 - np.cos(2 * np.pi * np.arange(400) / 200))[:, None]
    times, _ = bens_spiker(smooth, filter_L, frame=1.0)
    again = np.convolve(np.bincount(times.astype(int) - 1, minlength=400), filter_L)[:400]
    assert np.corrcoef(again, smooth[:, 0])[0, 1] > 0.99


def test_level_crossings_of_a_ramp_and_latencies():
    ramp = np.linspace(0, 1, 11)[:, None]
    times, ids = level_crossings(np.concatenate([ramp, ramp[-2::-1]]), np.array([0.25, 0.55]), frame=10.0)
    np.testing.assert_allclose(times, [35.0, 65.0, 155.0, 185.0])
    np.testing.assert_array_equal(ids, [0, 2, 3, 1])
    times, ids = latencies(np.array([0.0, 1.0, 0.25]), window=20.0, start=5.0)
    np.testing.assert_allclose(times, [5.0, 20.0])
    np.testing.assert_array_equal(ids, [1, 2])


def test_folds_share_no_speaker():
    speakers = np.array(["b", "a", "c", "a", "b"])
    folds = list(leave_one_group_out(speakers))
    assert [name for name, _, _ in folds] == ["a", "b", "c"]
    for name, train, test in folds:
        assert set(speakers[test]) == {name}
        assert name not in speakers[train]
        assert len(train) + len(test) == 5
    with pytest.raises(ValueError, match="two groups"):
        list(leave_one_group_out(["a", "a"]))
    with pytest.raises(ValueError, match="below 5"):
        official_digit_split([7, 8])


def test_bad_sound_is_named():
    for arguments, message in [
        ({"high": 5000.0}, "low < high"),
        ({"frame": 0.01}, "frame"),
        ({"power": 0.0}, "power"),
    ]:
        with pytest.raises(ValueError, match=message):
            cochleagram(np.ones(100), 8000, **arguments)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="finite"):
        cochleagram(np.array([np.nan]), 8000)
    with pytest.raises(ValueError, match="not be negative"):
        integrate_and_fire(-np.ones((2, 2)), frame=1.0)
    with pytest.raises(ValueError, match="filter"):
        bens_spiker(np.ones((2, 2)), np.zeros(3), frame=1.0)
