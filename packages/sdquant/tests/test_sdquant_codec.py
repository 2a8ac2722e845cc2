import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import sdquant as sd
import torch
from ddp_utils import FileFormatError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdquant.additive import additive_encode, round_codebooks
from sdquant.codec_fit import file_bytes
from sdquant.identity import mistaken
from sdquant.refinement import refinement_bytes, train_refinement
from torch import Tensor

GLOVE = Path(__file__).parents[4] / "shared" / "data" / "vectors" / "glove.6B.100d.top100k.f16.npy"
QUICK = sd.CodecConfig(rounds=3, restarts=8)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def words(n: int = 2_000, dim: int = 24, seed: int = 0) -> Tensor:
    """Vectors with a mean, a falling spectrum and groups, as embeddings have."""
    centres = 2 * gaussian(40, dim, seed=seed + 1)
    group = torch.randint(40, (n,), generator=torch.Generator().manual_seed(seed + 2))
    return (centres[group] + gaussian(n, dim, seed=seed + 3)) / torch.arange(1, dim + 1) ** 0.5 + 0.3


def found_again(x_ND: Tensor, decoded_ND: Tensor) -> Tensor:
    """By brute force in double precision: which rows have no other row nearer to their decoded selves."""
    distance_NN = torch.cdist(decoded_ND.double(), x_ND.double())
    same_NN = (x_ND[:, None] == x_ND[None]).all(2)
    own_N = distance_NN.diagonal()
    return (distance_NN.masked_fill(same_NN, math.inf).amin(1) > own_N) | same_NN.all(1)


@pytest.fixture(scope="module")
def fitted() -> tuple[Tensor, sd.Codec, sd.CodecCodes]:
    x = words()
    return x, *sd.Codec.fit_encode(x, 8, config=QUICK, seed=1)


def test_every_vector_is_found_again_within_the_bytes(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes]) -> None:
    x, codec, codes = fitted
    assert bool(found_again(x, codec.decode(codes)).all())  # pyright: ignore[reportArgumentType]
    assert file_bytes(codec) + file_bytes(codes) <= 4 * x.numel() / 8


def test_report_counts_what_is_on_disk_and_agrees_with_brute_force(
    fitted: tuple[Tensor, sd.Codec, sd.CodecCodes], tmp_path: Path
) -> None:
    x, codec, codes = fitted
    codec.save(tmp_path / "codec")
    codes.save(tmp_path / "codes")
    held_out = words(100, seed=50)
    report = codec.report(x, held_out=held_out, queries=len(x))
    assert report["bytes_total"] == (tmp_path / "codec").stat().st_size + (tmp_path / "codes").stat().st_size
    assert report["compression"] == pytest.approx(4 * x.numel() / report["bytes_total"])
    assert report["identity"] == 1
    decoded = codec.decode(codes)
    assert isinstance(decoded, Tensor)
    error = (decoded - x).double().square().sum() / (x - x.mean(0)).double().square().sum()
    assert report["mse_over_variance"] == pytest.approx(float(error), rel=1e-5)
    own = torch.eye(len(x), dtype=torch.bool)
    true = torch.cdist(x, x).masked_fill(own, math.inf).topk(10, largest=False).indices
    found = torch.cdist(x, decoded).masked_fill(own, math.inf).topk(10, largest=False).indices
    shared = sum(len(set(a) & set(b)) for a, b in zip(true.tolist(), found.tolist(), strict=True)) / true.numel()
    assert report["recall_asymmetric"] == pytest.approx(shared, abs=2e-3)
    again = codec.decode(codec.encode(held_out, verify=False))
    assert isinstance(again, Tensor)
    error = (again - held_out).double().square().sum() / (held_out - x.mean(0)).double().square().sum()
    assert report["held_out_mse_over_variance"] == pytest.approx(float(error), rel=1e-4)


def test_encode_gives_the_codes_of_the_fit_and_files_hold_them(
    fitted: tuple[Tensor, sd.Codec, sd.CodecCodes], tmp_path: Path
) -> None:
    x, codec, codes = fitted
    codec.save(tmp_path / "codec")
    codes.save(tmp_path / "codes")
    loaded, loaded_codes = sd.Codec.load(tmp_path / "codec"), sd.CodecCodes.load(tmp_path / "codes")
    assert torch.equal(loaded.decode(loaded_codes), codec.decode(codes))  # pyright: ignore[reportArgumentType]
    again = loaded.encode(x)
    assert torch.equal(again.stream, codes.stream)
    assert [rows.tolist() for rows, _ in again.escapes] == [rows.tolist() for rows, _ in codes.escapes]
    assert codes.nbytes == codes.stream.nbytes + codes.escape_bytes <= file_bytes(codes)


def test_unverified_rows_are_coded_by_themselves(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes]) -> None:
    x, codec, _ = fitted
    together = codec.encode(x[:50], verify=False).symbols()
    alone = torch.cat([codec.encode(row, verify=False).symbols() for row in x[:50].split(1)])
    assert torch.equal(together, alone)


def test_the_same_seed_gives_the_same_codec() -> None:
    x = words(600)
    first, second = (sd.Codec.fit(x, 4, config=QUICK, seed=3) for _ in range(2))
    other = sd.Codec.fit(x, 4, config=QUICK, seed=4)
    assert first.codec_id == second.codec_id != other.codec_id


def test_rows_that_the_bits_cannot_tell_apart_escape() -> None:
    """White vectors in hardly more bits than it takes to number them."""
    x = gaussian(6_000, 16)
    codec, codes = sd.Codec.fit_encode(x, 18, config=sd.CodecConfig(rounds=6, restarts=8))
    assert codes.n_escapes > 0
    assert codes.escape_bytes > 0
    decoded = codec.decode(codes)
    assert isinstance(decoded, Tensor)
    assert bool(found_again(x, decoded).all())
    report = codec.report(x)
    assert report["escape_rate"] == codes.n_escapes / 6_000
    assert report["bytes_escapes"] == codes.escape_bytes


def test_exceptions_come_back_exactly(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes]) -> None:
    """Vectors closer together than any code resolves."""
    x, codec, _ = fitted
    close = x[:1] + 1e-5 * gaussian(40, x.shape[1])
    codes = codec.encode(torch.cat([x[1:100], close]))
    rows, values = codes.exceptions
    assert len(rows) >= 30
    decoded = codec.decode(codes)
    assert isinstance(decoded, Tensor)
    assert torch.equal(decoded[rows], torch.cat([x[1:100], close])[rows])
    assert torch.equal(decoded[rows], values)


def test_codes_can_be_picked(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes]) -> None:
    x, codec, _ = fitted
    codes = codec.encode(torch.cat([x[:300], x[:1] + 1e-5 * gaussian(20, x.shape[1])]))
    whole = codec.decode(codes)
    mask = torch.arange(len(codes)) % 3 == 0
    for rows in (slice(10, 315, 7), [319, 0, 305, 305], mask, slice(0, 0)):
        picked = codes[rows]
        assert torch.equal(codec.decode(picked), whole[rows])  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(IndexError):
        codes[[320]]
    with pytest.raises(IndexError, match=r"codes\[i : i \+ 1\]"):
        codes[torch.tensor(3)]


def test_duplicates_share_a_code_and_are_counted() -> None:
    x = words(500)
    x = torch.cat([x, x[:7], -torch.zeros(2, x.shape[1]), torch.zeros(1, x.shape[1])])
    codec, codes = sd.Codec.fit_encode(x, 3, config=QUICK)
    report = codec.report(x)
    assert (report["rows"], report["distinct"], report["duplicates"]) == (510, 501, 9)
    assert report["identity"] == 1
    decoded = codec.decode(codes)
    assert torch.equal(decoded[:7], decoded[500:507])  # pyright: ignore[reportArgumentType]


def test_several_embeddings_are_decoded_each() -> None:
    a, b = words(800, 24), 40 * words(800, 30, seed=9)
    codec, codes = sd.Codec.fit_encode([a, b], 5, config=QUICK)
    parts = codec.decode(codes)
    assert isinstance(parts, list)
    for part, original in zip(parts, (a, b), strict=True):
        error = (part - original).square().sum() / (original - original.mean(0)).square().sum()
        assert part.shape == original.shape
        assert float(error) < 0.5
    lopsided = sd.CodecConfig(rounds=6, restarts=8, weights=(10.0, 1.0))
    weighted = sd.Codec.fit([a, b], 5, config=lopsided)
    favoured = weighted.decode(weighted.encode([a, b], verify=False))
    assert float((favoured[0] - a).square().sum()) < float((parts[0] - a).square().sum())
    with pytest.raises(ValueError, match=r"24 \+ 30, got 24"):
        codec.encode(a)
    with pytest.raises(ValueError, match="same rows, got 800 and 5"):
        codec.encode([a, b[:5]])


def test_cosine_codes_directions() -> None:
    x = words(800)
    lengths = torch.rand(800, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    config = sd.CodecConfig(metric="cosine", rounds=6, restarts=8)
    plain, scaled = (sd.Codec.fit(v, 4, config=config) for v in (x.double(), x.double() * lengths))
    assert plain.codec_id == scaled.codec_id
    assert plain.report(x)["identity"] == 1
    with pytest.raises(ValueError, match="row 3 is zero"):
        plain.encode(torch.cat([x[:3], torch.zeros(1, 24)]))


def test_refinement_learns_what_a_sum_cannot_express() -> None:
    """Third coordinates that are the product of two signs: a sum of an entry a sign leaves them at their mean."""
    signs = torch.randint(2, (4_096, 2), generator=torch.Generator().manual_seed(0)).float() * 2 - 1
    decoded = torch.cat([signs, torch.zeros(4_096, 1)], dim=1).repeat(1, 4)
    x = torch.cat([signs, signs.prod(1, keepdim=True)], dim=1).repeat(1, 4) + 0.1 * gaussian(4_096, 12)
    refinement = train_refinement(decoded[:2_048], x[:2_048], steps=100, seed=0)
    before, after = ((rows - x)[2_048:].square().mean() for rows in (decoded, refinement(decoded)))
    assert float(after) < 0.2 * float(before)


def test_refinement_is_kept_in_the_file(tmp_path: Path) -> None:
    x = words(1_500, 40)
    codec, codes = sd.Codec.fit_encode(
        x, 4, config=sd.CodecConfig(rounds=4, restarts=4, refinement=True, refinement_steps=5)
    )
    assert codec.decoder.refinement is not None
    codec.save(tmp_path / "codec")
    assert refinement_bytes(40) <= file_bytes(codec)
    loaded = sd.Codec.load(tmp_path / "codec")
    assert torch.equal(loaded.decode(codes), codec.decode(codes))  # pyright: ignore[reportArgumentType]
    unrefined = replace(codec.decoder, refinement=None).decode(codes.symbols()) + codec.decoder.mean_D
    assert not torch.allclose(codec.decode(codes), unrefined)  # pyright: ignore[reportArgumentType]


def test_wide_vectors_are_coded_in_blocks(tmp_path: Path) -> None:
    x = words(700, 600)
    codec, codes = sd.Codec.fit_encode(x, 30, config=sd.CodecConfig(bits_per_symbol=2, rounds=3, restarts=4))
    blocks = codec.decoder.blocks
    assert sum(block.dim for block in blocks) == 600
    assert max(block.dim for block in blocks) <= 300
    # the first dimensions vary most and get most of the symbols
    assert blocks[0].n_codebooks > blocks[-1].n_codebooks
    assert len(blocks) > 10  # block10 sorts before block2
    codec.save(tmp_path / "codec")
    assert sd.Codec.load(tmp_path / "codec").codec_id == codec.codec_id
    assert codec.report(x)["identity"] == 1
    assert len(codes) == 700


def test_equal_rows_are_one_vector() -> None:
    codec, codes = sd.Codec.fit_encode(torch.full((5_000, 32), 70_000.0), 8, config=QUICK)
    assert torch.equal(codec.decode(codes), torch.full((5_000, 32), 70_000.0))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("case", ["far from zero", "one long row", "neighbours in the last digit", "huge", "tiny"])
def test_identity_is_found_and_reported_at_any_scale(case: str) -> None:
    x = words(1_500)
    if case == "far from zero":
        x = x + 3e4
    elif case == "one long row":
        x[7] *= 1e3
    elif case == "neighbours in the last digit":
        x[1] = torch.nextafter(x[0], torch.tensor(torch.inf))
    else:
        x *= 1e4 if case == "huge" else 1e-6
    codec, codes = sd.Codec.fit_encode(x, 4, config=QUICK)
    assert codes.n_escapes <= 20
    assert bool(found_again(x, codec.decode(codes)).all())  # pyright: ignore[reportArgumentType]
    assert codec.report(x)["identity"] == 1


@pytest.mark.filterwarnings("ignore:Please use the new API:UserWarning")  # torch 2.9
def test_identity_does_not_depend_on_the_precision_that_a_program_allows() -> None:
    """Rows a little past the middle between their own vector and another, unit length in 256 dimensions."""
    x = torch.nn.functional.normalize(gaussian(400, 256))
    rows = torch.arange(0, 400, 2)
    own, other = x[rows], x[rows + 1]
    allowed = torch.get_float32_matmul_precision()
    try:
        for precision in ("highest", "medium"):
            torch.set_float32_matmul_precision(precision)
            for past, wrong in ((1e-4, True), (-1e-4, False)):
                between = (own + other) / 2 + past * (other - own)
                assert bool((mistaken(between, x, rows) == wrong).all())
            assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(allowed)


def test_codes_that_do_not_fit_are_named(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes]) -> None:
    _, codec, codes = fitted
    rows = torch.tensor([3])
    for wrong in (
        replace(codes, exceptions=(rows, torch.zeros(1, 1))),
        replace(codes, symbols_per_row=codes.symbols_per_row + 1),
        replace(codes, bits_per_symbol=codes.bits_per_symbol + 1),
        replace(codes, escapes=((rows, torch.zeros(1, 2, dtype=torch.uint8)),) * 9),
    ):
        with pytest.raises(ValueError, match="do not fit the codec they name"):
            codec.decode(wrong)


def test_nothing_touches_the_global_generator(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    config = sd.CodecConfig(rounds=2, restarts=2, refinement=True, refinement_steps=2)
    sd.Codec.fit(words(600, 16), 3, config=config).save(tmp_path / "codec")
    sd.Codec.load(tmp_path / "codec")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_low_compression_is_used_up() -> None:
    x = words(1_500, 60)
    codec, codes = sd.Codec.fit_encode(x, 6, config=sd.CodecConfig(rounds=2, restarts=2))
    assert 6 <= 4 * x.numel() / (file_bytes(codec) + file_bytes(codes)) < 6.6


def test_what_cannot_be_is_refused_with_the_reason() -> None:
    x = words(2_000, 8)
    with pytest.raises(sd.CompressionError, match=r"log2 = 10\.97: at most 23\.3 is possible for codes of one length"):
        sd.Codec.fit(x, 24)
    with pytest.raises(sd.CompressionError, match="too few for a codec"):
        sd.Codec.fit(x[:30], 10)
    with pytest.raises(sd.CompressionError, match="too few for a codec"):
        sd.Codec.fit(x[:1], 2)
    with pytest.raises(sd.CompressionError, match=r"was not reached: .* it is \d+\.\d at best"):
        sd.Codec.fit(gaussian(6_000, 8), 19, config=QUICK)
    with pytest.raises(sd.CompressionError, match=r"at least 1, got 0\.5"):
        sd.Codec.fit(x, 0.5)


def test_bad_vectors_are_named(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes]) -> None:
    x, codec, codes = fitted
    broken = x.clone()
    broken[5, 2] = math.nan
    with pytest.raises(ValueError, match="row 5 has a NaN"):
        sd.Codec.fit(broken, 8)
    with pytest.raises(ValueError, match="row 5 has a NaN"):
        codec.encode(broken)
    with pytest.raises(ValueError, match="for dimension\\(s\\) 24, got 23"):
        codec.encode(x[:, :23])
    with pytest.raises(ValueError, match="no rows"):
        sd.Codec.fit(x[:0], 8)
    with pytest.raises(TypeError, match="int64"):
        sd.Codec.fit(torch.ones(3, 4, dtype=torch.int64), 8)
    with pytest.raises(ValueError, match="too large for float32"):
        codec.encode(x.double() * 1e200)
    with pytest.raises(ValueError, match="weights: 1 positive numbers wanted"):
        sd.Codec.fit(x, 8, config=sd.CodecConfig(weights=(1.0, 2.0)))
    with pytest.raises(ValueError, match="metric must be"):
        sd.CodecConfig(metric="dot")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="bits_per_symbol must be one of"):
        sd.CodecConfig(bits_per_symbol=3)
    other = sd.Codec.fit(words(600), 4, config=QUICK)
    with pytest.raises(ValueError, match="decode them with the codec that made them"):
        other.decode(codes)
    assert len(codec.encode(x[:0])) == 0
    assert codec.decode(codec.encode(x[:0])).shape == (0, 24)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="at least two different rows"):
        codec.report(x[:1])
    with pytest.raises(ValueError, match="held_out has no rows"):
        codec.report(x, held_out=x[:0])
    with pytest.raises(ValueError, match=r"weights: \[2\.0\] for one embedding alone"):
        sd.Codec.fit(x, 8, config=sd.CodecConfig(weights=(2.0,)))
    with pytest.raises(ValueError, match="restarts must be a whole number from 0"):
        sd.CodecConfig(restarts=10**13)
    with pytest.raises(ValueError, match="dimension 4"):
        additive_encode(x[:, :3], round_codebooks(torch.ones(1, 2, 4)))
    with pytest.raises(sd.CompressionError, match="codec"):
        sd.Codec.fit(torch.ones(5, 24), 8)


@pytest.fixture(scope="module")
def files(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    x, codec, _ = fitted
    folder = tmp_path_factory.mktemp("files")
    codec.save(folder / "codec")
    codec.encode(torch.cat([x[:100], x[:1] + 1e-5 * gaussian(20, x.shape[1])])).save(folder / "codes")
    return {name: (folder / name).read_bytes() for name in ("codec", "codes")}


LOAD = {"codec": sd.Codec.load, "codes": sd.CodecCodes.load}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["codec", "codes"]), data=st.data())
def test_damaged_files_are_named(files: dict[str, bytes], tmp_path: Path, name: str, data: st.DataObject) -> None:
    whole = files[name]
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        place = data.draw(st.integers(0, 8 * len(whole) - 1))
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
    path = tmp_path / name
    path.write_bytes(damaged)
    with pytest.raises(FileFormatError, match=name):
        LOAD[name](path)


@pytest.mark.parametrize("name", ["codec", "codes"])
def test_newer_and_other_files_are_named(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    newer = files[name].replace(b'\\"version\\": \\"1\\"', b'\\"version\\": \\"2\\"')
    assert newer != files[name]
    (tmp_path / name).write_bytes(newer)
    with pytest.raises(FileFormatError, match="version '2'; this release reads up to 1"):
        LOAD[name](tmp_path / name)
    (tmp_path / "other").write_bytes(files["codes" if name == "codec" else "codec"])
    with pytest.raises(FileFormatError, match="expected a sdquant"):
        LOAD[name](tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        LOAD[name](tmp_path / "nowhere")


def test_a_codec_for_another_dimension_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "codec").write_bytes(files["codec"])
    assert sd.Codec.load(tmp_path / "codec", dim=24).dim == 24
    with pytest.raises(FileFormatError, match=r"dimension\(s\) \(24,\), not \(25,\)"):
        sd.Codec.load(tmp_path / "codec", dim=25)


def test_metadata_that_lies_is_refused(fitted: tuple[Tensor, sd.Codec, sd.CodecCodes], tmp_path: Path) -> None:
    """A file whose checksum is right and whose description is not."""
    from ddp_utils.tensor_file import read_tensor_file, write_tensor_file

    _, codec, codes = fitted
    codec.save(tmp_path / "codec")
    tensors, facts = read_tensor_file(tmp_path / "codec", kind="sdquant.codec", version=1)
    shape = facts["codebooks"]["block0"]
    for lie in (
        {"codebooks": {"block0": [shape[0] + 1, *shape[1:]]}},
        {"codebooks": {"block0": [10**9, 10**9, 10**9]}},
        {"codebooks": {"block0": ["a", 1, 2]}},
        {"joining": {**facts["joining"], "dims": [25]}},
        {"joining": {**facts["joining"], "scales": [0.0]}},
        {"config": {"rounds": -1}},
        {"config": {"restarts": 10**13}},
        {"joining": {**facts["joining"], "dims": [24.0]}},
        {"refinement_size": 1.0},
        {"compression": None},
    ):
        write_tensor_file(tmp_path / "lie", tensors, kind="sdquant.codec", version=1, metadata={**facts, **lie})
        with pytest.raises(FileFormatError, match="not a usable codec"):
            sd.Codec.load(tmp_path / "lie")
    codes.save(tmp_path / "codes")
    tensors, facts = read_tensor_file(tmp_path / "codes", kind="sdquant.codec_codes", version=1)
    for lie in (
        {"rows": 2001},
        {"rows": -1},
        {"bits": 9},
        {"symbols": 1.5},
        {"symbols": 0, "rows": 10**12},
        {"escapes": [[1, 2]]},
        {"escapes": 3},
    ):
        write_tensor_file(tmp_path / "lie", tensors, kind="sdquant.codec_codes", version=1, metadata={**facts, **lie})
        with pytest.raises(FileFormatError, match="not usable codec codes"):
            sd.CodecCodes.load(tmp_path / "lie")
    assert json.dumps(facts)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not GLOVE.exists(), reason="needs ../shared/data")
def test_words_at_forty_times_are_all_found_again() -> None:
    import numpy as np

    x = torch.from_numpy(np.load(GLOVE)[:10_000].astype(np.float32))
    codec, codes = sd.Codec.fit_encode(x, 40, config=sd.CodecConfig(metric="cosine", rounds=5))
    report = codec.report(x)
    assert report["compression"] >= 40
    assert report["identity"] == 1
    assert report["recall_asymmetric"] > 0.2
    assert len(codes) == 10_000
