"""Zips and tars: the same images as the folder, read by several processes, and what is refused."""

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.archives import TarSource, ZipSource
from pretrain.data.images import BadImage
from pretrain.data.sources import FolderSource, SourceError

OPENERS = {"zip": ZipSource, "tar": TarSource}


def png(value, size=(2, 3)):
    stream = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def pack(path, members):
    """Writes (name, bytes) pairs in this order; the path's ending decides how."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for number, (name, data) in enumerate(members):
                info = zipfile.ZipInfo(name)
                info.compress_type = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2]
                archive.writestr(info, data)
    else:
        with tarfile.open(path, "w") as archive:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def value(source, index):
    """What the image was painted with."""
    pixels = source.image(index)
    assert (pixels == pixels[0, 0, 0]).all()
    return int(pixels[0, 0, 0])


def refusal(kind, path):
    with pytest.raises(SourceError) as caught:
        OPENERS[kind](path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert "expected" in message
    return message


def bad(source, index):
    with pytest.raises(BadImage) as caught:
        source.image(index)
    assert caught.value.name == f"{source.path}/{source.names[index]}"
    return caught.value.reason


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", OPENERS)
class TestEveryArchive:
    def test_its_images_are_those_of_the_folder_it_was_packed_from(self, tmp_path, kind):
        names = ["b.png", "a/z.png", "a/b/c/deep.PNG", "ünï/日本.png", "with space.png", "B.png"]
        for number, name in enumerate(names):
            (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / name).write_bytes(png(number))
        members = [(name, png(number)) for number, name in enumerate(names)]
        source = OPENERS[kind](pack(tmp_path / f"x.{kind}", members))
        folder = FolderSource(tmp_path / "folder")
        assert list(source.names) == list(folder.names)
        for index in range(len(names)):
            np.testing.assert_array_equal(source.image(index), folder.image(index))

    def test_what_a_folder_would_not_list_is_left_out(self, tmp_path, kind):
        listed = [("a.png", png(1)), ("album.png/b.png", png(2)), ("a..b/c.d.png", png(3))]
        left_out = [
            ".hidden.png",
            ".cache/x.png",
            "a/.b/x.png",
            "../out.png",
            "__MACOSX/x.png",
            "__MACOSX/._a.png",
            "notes.txt",
            "png",
            "a.png.tmp",
        ]
        members = [(name, b"?") for name in left_out]
        source = OPENERS[kind](pack(tmp_path / f"x.{kind}", [*members, *listed]))
        assert list(source.names) == ["a..b/c.d.png", "a.png", "album.png/b.png"]
        assert [value(source, index) for index in range(3)] == [3, 1, 2]

    def test_names_are_those_after_unpacking(self, tmp_path, kind):
        members = [("./a.png", png(1)), ("b//./c.png", png(2)), ("/d.png", png(3))]
        source = OPENERS[kind](pack(tmp_path / f"x.{kind}", members))
        assert list(source.names) == ["a.png", "b/c.png", "d.png"]
        assert [value(source, index) for index in range(3)] == [1, 2, 3]

    def test_of_a_repeated_name_the_last_member_counts(self, tmp_path, kind):
        members = [("a.png", png(1)), ("b.png", png(2)), ("./a.png", png(3)), ("c.png", png(4))]
        source = OPENERS[kind](pack(tmp_path / f"x.{kind}", members))
        assert list(source.names) == ["a.png", "b.png", "c.png"]
        assert [value(source, index) for index in range(3)] == [3, 2, 4]

    def test_a_folder_is_no_image_whatever_its_name(self, tmp_path, kind):
        path = tmp_path / f"x.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("./album.png/", b"")
                archive.writestr("a.png", png(1))
        else:
            with tarfile.open(path, "w") as archive:
                archive.addfile(link("album.png", "", tarfile.DIRTYPE))
                info = tarfile.TarInfo("a.png")
                info.size = len(png(1))
                archive.addfile(info, io.BytesIO(png(1)))
        assert list(OPENERS[kind](path).names) == ["a.png"]

    def test_damaged_images_are_refused_by_name_and_the_others_read(self, tmp_path, kind):
        members = [("a.png", b"no image"), ("b.png", png(7)), ("c.png", b"")]
        source = OPENERS[kind](pack(tmp_path / f"x.{kind}", members))
        assert bad(source, 0) == "a text file, not an image"
        assert value(source, 1) == 7
        assert bad(source, 2) == "empty file (0 bytes)"

    def test_an_archive_without_images_is_refused(self, tmp_path, kind):
        assert "no images" in refusal(kind, pack(tmp_path / f"x.{kind}", []))
        assert ".jpg" in refusal(kind, pack(tmp_path / f"y.{kind}", [("notes.txt", b"-")]))

    @pytest.mark.parametrize(
        "content", [b"", b"no archive", b"PK\3\4" + b"x" * 2000, b"\xff" * 1024]
    )
    def test_what_is_no_archive_is_refused(self, tmp_path, kind, content):
        path = tmp_path / f"x.{kind}"
        path.write_bytes(content)
        if kind == "tar" and not content:
            assert "tar" in refusal(kind, path)
        else:
            assert "no archive" in refusal(kind, path)

    def test_a_missing_file_and_a_folder_are_refused(self, tmp_path, kind):
        assert "No such file" in refusal(kind, tmp_path / f"x.{kind}")
        (tmp_path / f"y.{kind}").mkdir()
        assert "not a file" in refusal(kind, tmp_path / f"y.{kind}")
        os.mkfifo(tmp_path / f"z.{kind}")
        assert "not a file" in refusal(kind, tmp_path / f"z.{kind}")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_an_unreadable_file_is_refused(self, tmp_path, kind):
        path = pack(tmp_path / f"x.{kind}", [("a.png", png(1))])
        path.chmod(0)
        assert "Permission denied" in refusal(kind, path)

    def test_a_file_that_shrank_since_is_refused_image_by_image(self, tmp_path, kind):
        path = pack(tmp_path / f"x.{kind}", [("a.png", png(1)), ("b.png", png(2, (300, 300)))])
        source = OPENERS[kind](path)
        os.truncate(path, 1024 + 512 + 20 if kind == "tar" else 150)
        assert value(source, 0) == 1
        assert bad(source, 1).startswith("cut off")

    def test_processes_read_it_at_the_same_time(self, tmp_path, kind):
        members = [(f"{i}.png", png(i, (40, 40))) for i in range(100, 200)]
        source = OPENERS[kind](pack(tmp_path / f"x.{kind}", members))
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                right = all(value(source, i % 100) == 100 + i % 100 for i in range(500))
                os._exit(0 if right else 1)
            children.append(child)
        assert all(value(source, i % 100) == 100 + i % 100 for i in range(500))
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]

    def test_its_descriptor_goes_with_it(self, tmp_path, kind):
        path = pack(tmp_path / f"x.{kind}", [("a.png", png(1))])
        before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
        for _ in range(5):
            OPENERS[kind](path).image(0)
        if sys.platform == "linux":
            assert len(os.listdir("/proc/self/fd")) == before

    @settings(deadline=None)
    @given(data=st.data())
    def test_flipped_bytes_end_in_one_of_our_errors(self, tmp_path_factory, kind, data):
        path = tmp_path_factory.mktemp("flip") / f"x.{kind}"
        pack(path, [("a.png", png(1)), ("b.png", png(2))])
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            source = OPENERS[kind](path)
            for index in range(len(source.names)):
                assert source.image(index).dtype == np.uint8
        except (SourceError, BadImage) as error:
            assert "\n" not in str(error)


class TestZip:
    def patched(self, tmp_path, field, number, *, central):
        """A zip of one deflated image in which a field of the header or directory is changed."""
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", png(5))
        content = bytearray(path.read_bytes())
        start = content.index(b"PK\1\2") if central else 0
        place, form = field
        struct.pack_into(form, content, start + place, number)
        path.write_bytes(content)
        return ZipSource(path)

    def test_a_changed_byte_is_noticed_by_the_checksum(self, tmp_path):
        path = pack(tmp_path / "x.zip", [("a.png", png(5))])  # stored
        content = bytearray(path.read_bytes())
        content[content.index(b"IDAT") - 6] ^= 1  # in the header chunk
        path.write_bytes(content)
        assert bad(ZipSource(path), 0) == "damaged in the archive: its checksum differs"

    def test_a_broken_compression_is_refused(self, tmp_path):
        name_ends = 30 + len("a.png")
        source = self.patched(tmp_path, (name_ends, "<H"), 0xFFFF, central=False)
        assert bad(source, 0).startswith("damaged in the archive: ")

    def test_a_size_that_is_too_small_does_not_cut_the_image(self, tmp_path):
        source = self.patched(tmp_path, (24, "<L"), len(png(5)) - 1, central=True)
        assert "not the" in bad(source, 0)

    def test_a_bomb_is_not_unpacked(self, tmp_path):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", bytes(64 * 2**20))
        content = bytearray(path.read_bytes())
        struct.pack_into("<L", content, content.index(b"PK\1\2") + 24, 100)  # it says: 100 bytes
        path.write_bytes(content)
        source = ZipSource(path)
        import tracemalloc

        tracemalloc.start()
        reason = bad(source, 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reason == "damaged in the archive: not the 100 bytes it should have"
        assert peak < 2**20

    def test_a_member_that_claims_gigabytes_is_refused_unread(self, tmp_path):
        source = self.patched(tmp_path, (24, "<L"), 2**31, central=True)
        assert "at most" in bad(source, 0)

    def test_an_encrypted_member_is_refused(self, tmp_path):
        source = self.patched(tmp_path, (8, "<H"), 1, central=True)
        assert "encrypted" in bad(source, 0)

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_compressions_are_refused(self, tmp_path, method):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", png(1), compress_type=method)
            archive.writestr("b.png", png(2), compress_type=zipfile.ZIP_DEFLATED)
        source = ZipSource(path)
        assert f"zip method {method}" in bad(source, 0)
        assert value(source, 1) == 2

    def test_a_wrong_position_is_refused(self, tmp_path):
        source = self.patched(tmp_path, (42, "<L"), 3, central=True)
        assert bad(source, 0) == "damaged in the archive: no member at byte 3"

    def test_the_local_extra_field_may_differ_from_the_directorys(self, tmp_path):
        data = png(9)
        local = struct.pack(
            "<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, zlib.crc32(data), len(data), len(data), 5, 8
        )
        local += b"a.png" + struct.pack("<2HL", 0x9999, 4, 0) + data
        central = struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", 20, 20, 0, 0, 0, 0),
            *(zlib.crc32(data), len(data), len(data), 5, 0, 0, 0, 0, 0, 0),
        )
        central += b"a.png"
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
        (tmp_path / "x.zip").write_bytes(local + central + end)
        assert value(ZipSource(tmp_path / "x.zip"), 0) == 9

    def test_one_that_was_written_to_a_pipe_is_read(self, tmp_path):
        # Sizes and checksum then follow the data, and the local header has zeros.
        class Pipe(io.RawIOBase):
            def __init__(self):
                self.content = b""

            def writable(self):
                return True

            def write(self, data):
                self.content += bytes(data)
                return len(data)

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", png(3))
            archive.writestr("b.png", png(4))
        (tmp_path / "x.zip").write_bytes(pipe.content)
        source = ZipSource(tmp_path / "x.zip")
        assert [value(source, 0), value(source, 1)] == [3, 4]

    def test_one_behind_a_program_is_read(self, tmp_path):
        path = pack(tmp_path / "x.zip", [("a.png", png(3))])
        path.write_bytes(b"#!/bin/sh\n" * 30 + path.read_bytes())
        assert value(ZipSource(path), 0) == 3

    def test_large_sizes_fields_are_read(self, tmp_path):
        with (
            zipfile.ZipFile(tmp_path / "x.zip", "w") as archive,
            archive.open("a.png", "w", force_zip64=True) as member,
        ):
            member.write(png(6))
        assert value(ZipSource(tmp_path / "x.zip"), 0) == 6

    @pytest.mark.parametrize(
        ("system", "raw", "name"),
        [
            (3, b"caf\xe9.png", "caf\udce9.png"),  # Unix: bytes, as the folder names them
            (3, "café.png".encode(), "café.png"),  # Unix: UTF-8 that does not say so
            (0, b"caf\x82.png", "café.png"),  # MS-DOS: its own alphabet
        ],
    )
    def test_names_that_do_not_say_their_alphabet(self, tmp_path, system, raw, name):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            info = zipfile.ZipInfo("x" * len(raw))
            info.create_system = system
            archive.writestr(info, png(8))
        path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
        source = ZipSource(path)
        assert list(source.names) == [name]
        assert value(source, 0) == 8

    def test_symbolic_links_are_left_out(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            info = zipfile.ZipInfo("link.png")
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, "a.png")
            archive.writestr("a.png", png(1))
        assert list(ZipSource(tmp_path / "x.zip").names) == ["a.png"]

    def test_a_truncated_one_is_refused(self, tmp_path):
        path = pack(tmp_path / "x.zip", [(f"{i}.png", png(i)) for i in range(20)])
        content = path.read_bytes()
        for length in (30, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            assert "cut off" in refusal("zip", path)


class TestTar:
    def write(self, path, *members, form=tarfile.GNU_FORMAT):
        with tarfile.open(path, "w", format=form) as archive:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    archive.addfile(member)
                else:
                    info = tarfile.TarInfo(member[0])
                    info.size = len(member[1])
                    archive.addfile(info, io.BytesIO(member[1]))
        return path

    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_every_format_is_read(self, tmp_path, form):
        names = [f"{'deep/' * 20}{'long' * 20}.png", "a.png"]
        if form != tarfile.USTAR_FORMAT:
            names.append(f"{'x' * 200}.png")
        members = [(name, png(i)) for i, name in enumerate(names)]
        source = TarSource(self.write(tmp_path / "x.tar", *members, form=form))
        assert list(source.names) == sorted(names)
        assert [value(source, i) for i in range(len(names))] == [
            names.index(name) for name in sorted(names)
        ]

    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_names_that_are_no_utf8_are_read(self, tmp_path, form):
        path = tmp_path / "x.tar"
        self.write(path, ("caf\udce9.png", png(1)), ("日本.png", png(2)), form=form)
        source = TarSource(path)
        assert list(source.names) == sorted(["caf\udce9.png", "日本.png"])
        assert sorted(value(source, i) for i in range(2)) == [1, 2]

    def test_hard_links_are_images_of_their_own(self, tmp_path):
        path = self.write(
            tmp_path / "x.tar",
            (".store/data", png(1)),
            link("./a.png", "./.store/data", tarfile.LNKTYPE),
            ("b.png", png(2)),
            link("c.png", "b.png", tarfile.LNKTYPE),
            link("d.png", "c.png", tarfile.LNKTYPE),
            ("b.png", png(3)),  # replaces the name, not what it was linked to
            link("e.png", "b.png", tarfile.LNKTYPE),
        )
        source = TarSource(path)
        assert list(source.names) == [f"{letter}.png" for letter in "abcde"]
        assert [value(source, i) for i in range(5)] == [1, 3, 2, 2, 3]

    def test_links_and_devices_are_left_out(self, tmp_path):
        path = self.write(
            tmp_path / "x.tar",
            ("a.png", png(1)),
            link("link.png", "a.png", tarfile.SYMTYPE),
            link("pipe.png", "", tarfile.FIFOTYPE),
            link("device.png", "", tarfile.CHRTYPE),
            link("dangling.png", "nowhere.png", tarfile.LNKTYPE),
            ("b.png", png(2)),
            link("b.png", "a.png", tarfile.SYMTYPE),  # replaces the file
        )
        assert list(TarSource(path).names) == ["a.png"]

    @pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
    def test_a_compressed_one_is_refused_by_its_content(self, tmp_path, ending):
        plain = self.write(tmp_path / "plain.tar", ("a.png", png(1)))
        with tarfile.open(
            tmp_path / "x.tar", f"w:{ending}"
        ) as archive:  # no word of it in the name
            archive.add(plain, "a.png")
        message = refusal("tar", tmp_path / "x.tar")
        assert "decompress" in message

    def test_one_that_is_only_named_as_compressed_is_read(self, tmp_path):
        assert value(TarSource(self.write(tmp_path / "x.tar.gz", ("a.png", png(1)))), 0) == 1

    def test_one_that_is_cut_off_is_refused(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, "PNG")
        path = self.write(tmp_path / "x.tar", ("a.png", png(1)), ("b.png", stream.getvalue()))
        os.truncate(path, 512 + 512 + 512 + 700)  # half a download: it must not be half a dataset
        assert "cut off inside of its last file" in refusal("tar", path)

    @pytest.mark.parametrize("blocks", [0, 1, 2, 20])
    def test_any_number_of_zero_blocks_may_end_it(self, tmp_path, blocks):
        path = self.write(tmp_path / "x.tar", ("a.png", png(1)))
        path.write_bytes(path.read_bytes()[:1024] + bytes(512 * blocks))
        assert value(TarSource(path), 0) == 1

    @pytest.mark.parametrize("length", [512, 100])
    def test_a_damaged_header_does_not_pass_for_the_end(self, tmp_path, length):
        path = self.write(tmp_path / "x.tar", *[(f"{i}.png", png(i)) for i in range(4)])
        content = path.read_bytes()
        path.write_bytes(content[:2048] + b"\xaa" * length + content[2560 : 2560 * (length == 512)])
        assert "damaged at byte 2048" in refusal("tar", path)

    def test_a_member_of_negative_size_does_not_lead_in_circles(self, tmp_path):
        path = self.write(tmp_path / "x.tar", ("a.png", png(1)), ("b.png", png(2)))
        first = path.read_bytes()[:2048]
        header = bytearray(first[:512])
        # From behind this third header back to the second one, in GNU's binary numbers.
        header[124:136] = b"\xff" + (256**11 - 1536).to_bytes(11, "big")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path.write_bytes(first + header + bytes(1024))
        refusal("tar", path)

    def test_a_sparse_member_is_refused(self, tmp_path):
        holes = tmp_path / "a.png"
        with holes.open("wb") as file:
            file.truncate(2**20)
            file.seek(0)
            file.write(png(1))
        made = subprocess.run(
            ["tar", "--sparse", "-C", tmp_path, "-cf", tmp_path / "x.tar", "a.png"], check=False
        )
        if made.returncode or (tmp_path / "x.tar").stat().st_size > 2**19:
            pytest.skip("this tar or file system keeps no holes")
        assert "sparse" in bad(TarSource(tmp_path / "x.tar"), 0)


def test_a_gzip_is_no_zip(tmp_path):
    (tmp_path / "x.zip").write_bytes(gzip.compress(png(1)))
    refusal("zip", tmp_path / "x.zip")
