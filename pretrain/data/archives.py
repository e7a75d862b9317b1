"""Images inside a zip or tar, read where they lie, without unpacking.

An archive is indexed once. From then on a member is a position in the file and is read with
``pread``, which takes the position as an argument: loader processes that share the descriptor
cannot move it under each other.
"""

from __future__ import annotations

import os
import stat
import struct
import tarfile
import weakref
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from pretrain.data.images import SUFFIXES, BadImage, Pixels, decode
from pretrain.data.sources import Source, SourceError

#: Larger members are refused unread. The largest image that is decoded is smaller than this.
_MAX_BYTES = 2**30

#: First bytes of compressed files, and what takes the compression off.
_COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"\x1f\x9d": "uncompress",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\0": "unxz",
    b"LZIP": "lzip -d",
    b"\x04\x22\x4d\x18": "unlz4",
    b"\x28\xb5\x2f\xfd": "unzstd",
}

_ZIP_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ZIP_ENCRYPTED, _ZIP_NAME_IS_UTF8 = 0x1, 0x800
_ZIP_MADE_ON_UNIX = 3


class _Archive(Source):
    """What zip and tar share: an open file, sorted names, and where each member lies.

    Args:
        path: the file.
        kind: what an error says was expected.
    """

    _columns: int  #: numbers that describe a member

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        try:
            if path.exists() and not path.is_file():
                raise SourceError(f"{path}: not a file, expected a {kind} archive")
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}, expected a {kind} archive") from None
        weakref.finalize(self, os.close, self._descriptor)
        rows: dict[str, int] = {}
        values = array("q")
        try:
            with open(self._descriptor, "rb", closefd=False) as file:
                for name, row in self._members(file):
                    # Unpacking overwrites an earlier file of the same name: the last one counts.
                    if row:
                        rows[name] = len(values) // self._columns
                        values.extend(row)
                    else:
                        rows.pop(name, None)
        except SourceError:
            raise
        # What zipfile and tarfile raise on damaged files, beside their own errors.
        except (zipfile.BadZipFile, tarfile.TarError, ArithmeticError, ValueError) as error:
            raise SourceError(self._damage(error)) from None
        except (NotImplementedError, EOFError, OSError, struct.error) as error:
            raise SourceError(self._damage(error)) from None
        self.names = sorted(name for name in rows if _is_image(name))
        if not self.names:
            raise SourceError(
                f"{path}: no images, expected files ending in {' '.join(sorted(SUFFIXES))}"
            )
        order = np.fromiter((rows[name] for name in self.names), np.int64, len(self.names))
        self._table = np.array(values, np.int64).reshape(-1, self._columns)[order]
        # Copies: the index's own strings lie all over its memory, and would keep it from use.
        self.names = [f" {name}"[1:] for name in self.names]

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        return decode(self.encoded(index), f"{self.path}/{self.names[index]}")

    def encoded(self, index: int) -> bytes:
        """See :class:`Source`."""
        row = [int(value) for value in self._table[index]]
        return self._content(row, f"{self.path}/{self.names[index]}")

    def _members(self, file: IO[bytes]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and row of numbers of each member in order; no row: what takes a name away."""
        raise NotImplementedError

    def _content(self, row: list[int], name: str) -> bytes:
        """The bytes of the member that a row describes."""
        raise NotImplementedError

    def _read(self, offset: int, size: int, name: str) -> bytes:
        if size > _MAX_BYTES:
            raise BadImage(name, f"{size} bytes, expected at most {_MAX_BYTES}")
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise BadImage(name, error.strerror or str(error)) from None
        if len(data) < size:
            raise BadImage(name, f"cut off: the archive ends after {len(data)} of {size} bytes")
        return data

    def _damage(self, error: Exception) -> str:
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{self.path}: cut off, damaged or no archive ({reason}), expected a {self.kind}"


def _normal(name: str) -> str:
    """The name that a file has below the folder it is unpacked into."""
    if name.startswith(("./", "/")) or "//" in name or "/./" in name:
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


def _is_image(name: str) -> bool:
    """Whether a folder source would list it, or the Mac wrote it beside a file that it would."""
    hidden = name.startswith((".", "__MACOSX/")) or "/." in name
    return not hidden and os.path.splitext(name)[1].lower() in SUFFIXES


class ZipSource(_Archive):
    """The images in a zip, stored or deflated, by their path inside.

    Args:
        path: the archive.

    Raises:
        SourceError: it cannot be read, is no whole zip, or holds no images.
    """

    _columns = 6  # position, size in the archive, size, checksum, method, encrypted

    def __init__(self, path: Path) -> None:
        super().__init__(path, "zip")

    def _members(self, file: IO[bytes]) -> Iterator[tuple[str, tuple[int, ...]]]:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                name, mode = _zip_name(info), info.external_attr >> 16
                if info.is_dir():
                    continue
                if info.create_system == _ZIP_MADE_ON_UNIX and stat.S_ISLNK(mode):
                    yield name, ()
                else:
                    sizes = info.compress_size, info.file_size
                    how = info.compress_type, info.flag_bits & _ZIP_ENCRYPTED
                    yield name, (info.header_offset, *sizes, info.CRC, *how)

    def _content(self, row: list[int], name: str) -> bytes:
        offset, packed_size, size, crc, method, encrypted = row
        if encrypted:
            raise BadImage(name, "encrypted, expected a member without a password")
        if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadImage(name, f"zip method {method}, expected 0 (stored) or 8 (deflated)")
        if size > _MAX_BYTES:
            raise BadImage(name, f"{size} bytes, expected at most {_MAX_BYTES}")
        header = self._read(offset, _ZIP_LOCAL_HEADER.size, name)
        signature, name_length, extra_length = _ZIP_LOCAL_HEADER.unpack(header)
        if signature != b"PK\3\4":
            raise BadImage(name, f"damaged in the archive: no member at byte {offset}")
        data = self._read(offset + len(header) + name_length + extra_length, packed_size, name)
        if method == zipfile.ZIP_DEFLATED:
            data = _inflate(data, size, name)
        if len(data) != size:
            raise BadImage(name, f"damaged in the archive: not the {size} bytes it should have")
        if zlib.crc32(data) != crc:
            raise BadImage(name, "damaged in the archive: its checksum differs")
        return data


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as the folder that was packed had it.

    Zips from Unix hold the bytes of the file system, whatever they mean, and do not always say when
    that is UTF-8; zipfile reads all that is not declared as UTF-8 in the alphabet of MS-DOS.
    """
    name = info.filename
    unsaid = not info.flag_bits & _ZIP_NAME_IS_UTF8 and not name.isascii()
    if unsaid and info.create_system == _ZIP_MADE_ON_UNIX:
        name = info.orig_filename.encode("cp437").decode("utf-8", "surrogateescape")
    return _normal(name)


def _inflate(data: bytes, size: int, name: str) -> bytes:
    """Takes the compression off, never into more than one byte above the declared size."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    except zlib.error as error:
        raise BadImage(name, f"damaged in the archive: {error}") from None


class TarSource(_Archive):
    """The images in an uncompressed tar, by their path inside.

    Hard links are images of their own; symbolic links and devices are left out.

    Args:
        path: the archive.

    Raises:
        SourceError: it cannot be read, is compressed or no tar, or holds no images.
    """

    _columns = 3  # position, size, sparse

    def __init__(self, path: Path) -> None:
        super().__init__(path, "tar")

    def _members(self, file: IO[bytes]) -> Iterator[tuple[str, tuple[int, ...]]]:
        start = file.read(max(map(len, _COMPRESSED)))
        file.seek(0)
        for magic, program in _COMPRESSED.items():
            if start.startswith(magic):
                raise SourceError(
                    f"{self.path}: compressed, expected a plain tar, in which images can be reached"
                    f" one by one (decompress it with {program})"
                )
        places: dict[str, tuple[int, int, int]] = {}  # of every file: a link may lead to any
        for member in _tar_members(file, self.path):
            name = _normal(member.name)
            if member.islnk():
                place = places.get(_normal(member.linkname))
            elif member.isreg():
                place = member.offset_data, member.size, int(member.issparse())
            else:
                place = None
            if place is None:
                places.pop(name, None)
                yield name, ()
            else:
                places[name] = place
                yield name, place

    def _content(self, row: list[int], name: str) -> bytes:
        offset, size, sparse = row
        if sparse:
            raise BadImage(name, "stored as a sparse file, expected a plain one")
        return self._read(offset, size, name)


def _tar_members(file: IO[bytes], path: Path) -> Iterator[tarfile.TarInfo]:
    """The members as they come, none of them kept."""
    with tarfile.open(
        fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        last = -1
        while True:
            try:
                member = archive.next()
            except tarfile.ReadError:
                if archive.offset > os.fstat(file.fileno()).st_size:
                    raise SourceError(
                        f"{path}: cut off inside of its last file, expected a whole tar"
                    ) from None
                raise
            if member is None:
                break
            if member.size < 0 or member.offset <= last:  # would lead back to where it came from
                raise tarfile.ReadError(f"a member of {member.size} bytes")
            last = member.offset
            yield member
            archive.members.clear()  # type: ignore[attr-defined] # a million would fill gigabytes
        # tarfile takes anything but a header for the end; only zeros, or nothing, are one.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise SourceError(f"{path}: damaged at byte {archive.offset}, expected a tar header")
