"""The packing program from outside: exit codes, one-line errors, kills, full disks, damage."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from programs import run, start

from pretrain import pack as program
from pretrain.data.config import SourceConfig
from pretrain.data.opening import open_source
from pretrain.data.packing.format import PackSettings, read_manifest
from pretrain.data.packing.pack import pack
from pretrain.data.shards import PACK, ShardSource
from pretrain.data.sources import FolderSource
from pretrain.errors import UserError

PROGRAM = ("-m", "pretrain.pack")
SMALL = ("--shard_images", "10", "--min_side", "8", "--size", "64")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 noisy images that take a while; each twenty names of one file."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
        first = folder / f"000-{number:02d}.png"
        Image.fromarray(pixels).save(first)
        for copy in range(1, 20):
            os.link(first, folder / f"{copy:03d}-{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its pack, made in one go."""
    folder = tmp_path_factory.mktemp("whole")
    settings = PackSettings(size=64, min_side=8, shard_images=10, duplicates="keep")
    source = FolderSource(images)
    pack(source, folder, settings, origin=str(images), workers=2, progress=lambda done: None)
    return folder


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """A copy of the pack, to be damaged."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """The pack's bytes; the summary tells how long it took."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "summary.txt"}


def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """The program in this process: exit code, stdout, stderr."""
    monkeypatch.setattr("sys.argv", ["pack", *map(str, arguments)])
    code = program.main()
    output, errors = capsys.readouterr()
    return code, output, errors


def wait_for_a_shard(process: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    """Until the first one is committed; the program's workers."""
    deadline = time.monotonic() + 60
    while not (folder / "shard-00000.parquet").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
    return psutil.Process(process.pid).children(recursive=True)


def test_killed_at_any_instant_it_goes_on_to_the_identical_pack(
    images: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pack"
    arguments = (*PROGRAM, images, folder, *SMALL, "--duplicates", "keep", "--workers", "1")
    process = start(*arguments)
    workers = wait_for_a_shard(process, folder)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert read_manifest(folder).contents is None
    code, output, errors = run(*arguments)
    assert (code, errors) == (0, "")
    assert f"packed {240:>22,}" in output
    assert files(folder) == files(whole)
    assert ".lock" not in os.listdir(folder)


def test_ctrl_c_ends_it_with_one_line_and_without_orphans(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    process = start(*PROGRAM, images, folder, *SMALL, "--duplicates", "keep", "--workers", "2")
    workers = wait_for_a_shard(process, folder)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (130, "")
    assert errors == "interrupted; the same command goes on\n"
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_killed_worker_is_one_line(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    process = start(*PROGRAM, images, folder, *SMALL, "--duplicates", "keep", "--workers", "2")
    workers = wait_for_a_shard(process, folder)
    workers[0].kill()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert errors.startswith(f"error: worker process {workers[0].pid}: killed by signal 9")
    assert errors.count("\n") == 1
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    images: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pack"
    arguments = (images, folder, *SMALL, "--duplicates", "keep", "--workers", "2")
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        " resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY));"
        " runpy.run_module('pretrain.pack', run_name='__main__', alter_sys=True)"
    )
    code, output, errors = run("-c", limited, *arguments)
    assert (code, output) == (2, "")
    assert (
        errors == f"error: {folder}: File too large; with that mended, the same command goes on\n"
    )
    assert os.listdir(folder) == [PACK]
    assert run(*PROGRAM, *arguments)[0] == 0
    assert files(folder) == files(whole)


@pytest.mark.skipif(
    not os.path.isdir("/proc"), reason="needs a folder where even root cannot write"
)
def test_a_folder_that_cannot_be_written_is_one_line(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output, errors = call(capsys, monkeypatch, images, "/proc/pack")
    assert (code, output) == (2, "")
    assert errors.startswith("error: /proc/pack: No such file or directory; with that mended")
    assert errors.count("\n") == 1


def test_packing_and_verifying_say_what_they_did(
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "pack"
    arguments = (images, folder, "--format", "raw", "--size", "16")
    code, output, errors = call(capsys, monkeypatch, *arguments)
    assert (code, errors) == (0, "")
    assert output == (folder / "summary.txt").read_text()
    assert "exact duplicates          228   dropped" in output
    assert len(ShardSource(folder).names) == 12
    code, output, errors = call(capsys, monkeypatch, *arguments)
    assert (code, errors) == (0, "")
    assert output == f"{folder}: finished before, 12 images; nothing to do\n"
    code, output, errors = call(capsys, monkeypatch, "--verify", folder)
    assert (code, errors) == (0, "")
    assert output == f"{folder}: 12 images, {12 * 16 * 16 * 3:,} bytes, 1 shards: whole\n"
    code, output, errors = call(capsys, monkeypatch, *arguments, "--size", "32")
    assert (code, output) == (2, "")
    assert errors.startswith(f"error: {folder}: holds a pack made with size 16 (now 32); expected")


def test_progress_is_a_line_from_time_to_time(
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "_SAY_SECONDS", 0)
    code, _, errors = call(capsys, monkeypatch, images, tmp_path / "pack", *SMALL)
    assert code == 0
    lines = errors.splitlines()
    assert lines[-1].startswith("packed 240 of 240 images, ")
    assert lines[-1].endswith(" images/s")


def verdict(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Lines of a verification that must find damage: the damaged ones."""
    code, output, errors = call(capsys, monkeypatch, "--verify", folder)
    assert (code, output) == (2, "")
    *found, last = errors.splitlines()
    count = f"{len(found)} faults, named above, expected none"
    assert last.startswith(f"error: {folder}: 240 images, ")
    assert last.endswith(count)
    return found


def test_verify_names_every_picture_with_a_flipped_byte(
    damaged: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = damaged / "shard-00003.bin"
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    content[-1] ^= 128
    data.write_bytes(content)
    names = ShardSource(damaged).names
    assert verdict(damaged, capsys, monkeypatch) == [
        f"{data}: {names[at]}: other bytes than were packed" for at in (30, 39)
    ]


def test_verify_names_truncated_and_lost_files(
    damaged: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = damaged / "shard-00002.bin"
    data.write_bytes(data.read_bytes()[:1000])
    (damaged / "shard-00005.bin").unlink()
    (damaged / "shard-00006.parquet").unlink()
    index = damaged / "shard-00007.parquet"
    index.write_bytes(index.read_bytes()[:-9])
    found = verdict(damaged, capsys, monkeypatch)
    assert [Path(line.split(":")[0]).name for line in found] == [
        "shard-00002.bin",
        "shard-00005.bin",
        "shard-00006.parquet",
        "shard-00007.parquet",
    ]
    assert found[0].startswith(f"{data}: 1000 bytes, expected ")


def rewrite(index: Path, column: str, values: list[int]) -> None:
    """Another column in an index, with good checksums."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(index)
    at = table.schema.get_field_index(column)
    field = table.schema.field(at)
    pq.write_table(table.set_column(at, field, pa.array(values, field.type)), index)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("height", [64] * 9 + [63], "64 x 64 px, expected 64 x 63 px"),
        ("offset", [0] * 10, "pictures that overlap or leave gaps"),
        ("source_index", [*range(30, 39), 30], "in another order than in their source"),
        ("source_index", list(range(29, 39)), "in another order than in their source"),
    ],
)
def test_verify_finds_an_index_that_does_not_fit(
    damaged: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    column: str,
    values: list[int],
    expected: str,
) -> None:
    rewrite(damaged / "shard-00003.parquet", column, values)
    (found,) = verdict(damaged, capsys, monkeypatch)
    assert "shard-00003" in found
    assert expected in found


def test_verify_finds_wrong_counts_and_refuses_unfinished_packs(
    damaged: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = json.loads((damaged / PACK).read_text())
    values["contents"]["bytes"] += 1
    (damaged / PACK).write_text(json.dumps(values))
    (found,) = verdict(damaged, capsys, monkeypatch)
    assert f"bytes {values['contents']['bytes']}, expected" in found
    (damaged / PACK).write_text(json.dumps(values | {"complete": False}))
    code, _, errors = call(capsys, monkeypatch, "--verify", damaged)
    assert code == 2
    assert errors.startswith(f"error: {damaged}: an unfinished pack")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "out: got neither of out and verify, expected SOURCE OUT or --verify PACK"),
        (("a", "b", "--verify", "c"), "--out: got both of out and verify"),
        (("a", "b", "c"), "got 'a' 'b' 'c', expected at most 2 arguments without an option"),
        (("a", "b", "--source", "c"), "source: given twice, as 'a' and as --source"),
        (("/nowhere/at all", "b"), "/nowhere/at all: no such folder"),
        (("a", "b", "--format", "raw", "--fit", "keep"), "--fit 'keep' with format raw"),
        (("a", "b", "--workers", "0"), "--workers 0, expected in 1..1024"),
        (("a", "b", "--shards", "0"), "--shards: unknown key, expected perhaps 'shard_images'"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: tuple[str, ...],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, output, errors = call(capsys, monkeypatch, *arguments)
    assert (code, output) == (2, "")
    assert errors.startswith(f"error: {expected}")
    assert errors.count("\n") == 1


def test_fit_follows_the_format_where_it_is_not_given() -> None:
    assert program.PackConfig(out="x").settings().fit == "keep"
    assert program.PackConfig(out="x", format="raw").settings().fit == "squash"
    assert program.PackConfig(out="x", format="raw", fit="crop").settings().fit == "crop"


def test_a_jpeg_with_broken_exif_is_packed_as_it_is_read(tmp_path, capfd):
    folder = tmp_path / "in"
    folder.mkdir()
    for index, exif in enumerate((b"Exif\0\0garbage-not-tiff", b"Exif\0\0II*\0\xff\xff\xff\xff")):
        pixels = np.random.default_rng(index).integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.jpg", exif=exif, dpi=(72, 72))
    code, _, errors = run("-m", "pretrain.pack", folder, tmp_path / "out", "--workers", 1)
    assert (code, errors) == (0, "")
    packed = ShardSource(tmp_path / "out")
    for index, name in enumerate(packed.names):
        assert packed.encoded(index) == (folder / name).read_bytes()


def refusal_of(*arguments):
    code, _, errors = run("-m", "pretrain.pack", *arguments)
    assert code == 2
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


def test_what_would_do_another_thing_than_asked_is_refused(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    assert "lies in the source" in refusal_of(folder, folder / "data")
    assert "source ''" in refusal_of("", tmp_path / "out")
    assert "out ''" in refusal_of(folder, "")
    assert "expected 1: a pack holds every image once" in refusal_of(
        "--source", "mixture", "--mixture", f'{{"{folder}": 0.5}}', "--out", tmp_path / "out"
    )
    assert "no such folder" in refusal_of("~nobody/x", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_finished_pack_that_has_lost_a_file_is_not_called_finished(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    assert run("-m", "pretrain.pack", folder, tmp_path / "out")[0] == 0
    (tmp_path / "out" / "shard-00000.parquet").unlink()
    assert "shard-00000.parquet" in refusal_of(folder, tmp_path / "out")
    (tmp_path / "out" / "pack.json").unlink()  # copied without it: said so by whoever opens it
    with pytest.raises(UserError, match=r"pack\.json"):
        open_source(SourceConfig(source=str(tmp_path / "out")))
