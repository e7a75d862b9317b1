"""Damaged input: each file is decoded right or refused by name, and a run lives with it."""

import json
import random
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damaged import NOISE, ODD, Case, corpus, encode, exif, whole_files, write_odd

from pretrain.data import images
from pretrain.data.config import DataConfig
from pretrain.data.images import BadImage, Pixels, decode
from pretrain.data.sources import FolderSource
from pretrain.engine.checkpoint import CheckpointConfig
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.loop import BadImagesError, LoopConfig
from pretrain.engine.optim import OptimConfig
from pretrain.engine.tracking import LogConfig
from pretrain.models.mae import DecoderConfig, MAEConfig
from pretrain.train import PretrainConfig, pretrain


def outcome(data: bytes | Path, name: str) -> Pixels | str:
    """Pixels, or the reason of a refusal that has the promised form."""
    try:
        pixels = decode(data, name)
    except BadImage as error:
        assert str(error) == f"{error.name}: {error.reason}"
        assert str(error).isprintable()
        assert 5 < len(error.reason) < 200
        return error.reason
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.size
    return pixels


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_every_file_is_decoded_right_or_refused(case: Case, tmp_path: Path) -> None:
    got = outcome(case.data, case.name)
    path = tmp_path / case.name
    path.write_bytes(case.data)
    np.testing.assert_array_equal(outcome(path, case.name), got)
    if case.either:
        return
    if case.pixels is None:
        assert isinstance(got, str)
        assert case.reason in got
    else:
        assert not isinstance(got, str), got
        assert got.shape == case.pixels.shape
        difference = np.abs(got.astype(int) - case.pixels.astype(int))
        assert difference.mean() <= case.tolerance


def test_what_cannot_be_read_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    write_odd(tmp_path)
    source = FolderSource(tmp_path)
    assert set(source.names) == ODD
    reasons = {}
    for index, name in enumerate(source.names):
        with pytest.raises(BadImage) as caught:
            source.image(index)
        assert "\n" not in str(caught.value)
        str(caught.value).encode()  # so that a log can hold it
        reasons[name] = caught.value.reason
    assert reasons["pipe.jpg"] == reasons["device.jpg"] == "not a regular file"
    assert reasons["dangling.jpg"] == "No such file or directory"
    assert reasons["line\nbreak.jpg"] == "empty file (0 bytes)"


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    assert outcome(tmp_path / ("long" * 100 + ".jpg"), "x.jpg") == "File name too long"


def test_claims_of_a_huge_size_cost_no_memory(tmp_path: Path) -> None:
    bombs = [case for case in corpus() if "bomb" in case.name or case.name == "large.png"]
    assert len(bombs) == 10
    for case in bombs:
        (tmp_path / case.name).write_bytes(case.data)
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from pretrain.data.images import BadImage, decode\n"
        "def peak():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "refused = 0\n"
        "for path in [Path('/dev/null'), *Path(sys.argv[1]).iterdir()]:\n"
        "    if path.name != 'null' and not refused:\n"
        "        before = peak()\n"  # after the first use of everything
        "    try:\n"
        "        decode(path, 'x')\n"
        "    except BadImage:\n"
        "        refused += path.name != 'null'\n"
        "print(refused, (peak() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    refused, megabytes = map(int, done.stdout.split())
    assert refused == len(bombs)
    assert megabytes < 80


# ------------------------------------------------------------------------------------------- chance


def test_thousands_of_mutations_give_pixels_or_a_refusal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Damaged sizes are honest up to the limit; a low one keeps the test small.
    monkeypatch.setattr(images, "MAX_PIXELS", 1_000_000)
    # libtiff writes notes of its own on stderr, which Pillow cannot switch off.
    files = [data for name, data in whole_files().items() if not name.endswith(".tif")]
    draw = random.Random(0)
    decoded = 0
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        for number in range(3000):
            damaged = bytearray(files[number % len(files)])
            among = draw.choice((120, len(damaged)))  # half of them in the header
            for _ in range(draw.choice((1, 1, 2, 4, 16))):
                place = draw.randrange(min(among, len(damaged)))
                damaged[place] = draw.choice((0, 255, draw.randrange(256)))
            decoded += not isinstance(outcome(bytes(damaged), "x"), str)
    assert 300 < decoded < 2700  # so both were tried
    assert not noted
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_broken_exif_never_costs_the_image(kind: str) -> None:
    """Turned or not: what the bytes say then is not ours to know."""
    fields = [(0x112, 3, 1, b"\0\6\0\0"), (0x11A, 5, 1, b"\0\0\0\x3e"), (0x128, 3, 1, b"\0\2\0\0")]
    whole = exif(*fields, (0x10F, 2, 4, b"abc\0")) + bytes([0, 0, 0, 72, 0, 0, 0, 1])
    draw = random.Random(1)
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(draw.choice((1, 2, 4, 8))):
            broken[draw.randrange(6, len(broken))] = draw.choice((0, 255, draw.randrange(256)))
        got = outcome(encode(NOISE, kind, exif=bytes(broken)), "x")
        assert not isinstance(got, str), got
        assert got.shape in ((40, 56, 3), (56, 40, 3))


# -------------------------------------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, a good image after each of its files, and everything odd."""
    root = tmp_path_factory.mktemp("collection")
    for number, case in enumerate(corpus()):
        (root / f"{number:03}-{case.name}").write_bytes(case.data)
        (root / f"{number:03}-~good.png").write_bytes(encode(NOISE[: 20 + number % 20]))
    write_odd(root)
    while len(FolderSource(root).names) % 16:  # an epoch takes every image
        (root / f"~{len(FolderSource(root).names)}.png").write_bytes(encode(NOISE))
    return root


def config(root: Path, folder: Path, data: DataConfig) -> PretrainConfig:
    return PretrainConfig(
        output_dir=str(folder),
        pictures=4,
        model=MAEConfig(
            size="tiny",
            image_size=16,
            patch_size=8,
            decoder=DecoderConfig(embed_dim=32, depth=1, num_heads=2),
        ),
        data=replace(data, source=str(root)),
        training=LoopConfig(epochs=1, global_batch_size=16),
        optim=OptimConfig(warmup_epochs=0.5),
        checkpoint=CheckpointConfig(every_minutes=None),
        log=LogConfig(every_steps=5, trackers=()),
        runtime=RuntimeConfig(threads=1),
    )


def test_a_run_over_damaged_files_ends_well_and_names_them_all(
    collection: Path, tmp_path: Path
) -> None:
    assert pretrain(config(collection, tmp_path, DataConfig(workers=1, max_bad_share=1.0)))
    end = json.loads((tmp_path / "run.json").read_text())["starts"][0]["end"]
    assert end["complete"] is True
    bad = end["bad_images"]

    def printed(name: str) -> str:
        return BadImage(str(collection / name), "").name

    cases = {printed(f"{n:03}-{case.name}"): case for n, case in enumerate(corpus())}
    odd = {printed(name) for name in ODD}
    refused = {name for name, case in cases.items() if case.pixels is None and not case.either}
    unsure = {name for name, case in cases.items() if case.either}
    assert refused | odd <= bad.keys() <= refused | odd | unsure
    for name in refused:
        assert cases[name].reason in bad[name]


def test_a_run_over_damaged_files_stops_at_the_default_limit(
    collection: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        BadImagesError, match=r"images seen are bad .*expected at most 1 % "
    ) as caught:
        pretrain(config(collection, tmp_path, DataConfig(workers=0)))
    assert "\n" not in str(caught.value)
    assert str(collection) in str(caught.value)


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_limit_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"max_bad_share .* expected in \[0, 1\]"):
        DataConfig(max_bad_share=share)
