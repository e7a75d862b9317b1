"""Images of one list that are, or look like, images of another: names do not tell.

A photograph that lies in two splits under two names is known to a model that was trained on one.
Files are compared byte for byte, pictures by their difference hash
(:mod:`pretrain.data.packing.near_duplicates`). That module's search gives each picture one earlier
picture, which may be of its own list and hide one of the other; here every two are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from finetune.data.images import LabelledImages
from pretrain.data.images import BadImage, decode
from pretrain.data.packing.near_duplicates import HASH_BYTES, THRESHOLD, difference_hash

#: Images that are compared with all others at once: bounds the memory.
_BLOCK = 1024

#: Pairs that a message names.
_NAMED = 3


@dataclass(frozen=True)
class Looks:
    """What tells n images apart without keeping them.

    Attributes:
        names: of the images.
        files: 16 bytes an image, equal for equal files only; of the pixels where there is no file.
        hashes: [n, 32], difference hashes.
        of: images that there are; some of them may have been left out, or be unreadable.
    """

    names: tuple[str, ...]
    files: tuple[bytes, ...]
    hashes: NDArray[np.uint8]
    of: int

    def __len__(self) -> int:
        """Number of images that were looked at."""
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """An image and the one of another list that looks most like it.

    Attributes:
        image: its name.
        like: the name of the other one.
        same_file: whether both are equal byte for byte.
        bits: that their hashes differ in, up to :data:`THRESHOLD`; 0 for the same file.
    """

    image: str
    like: str
    same_file: bool
    bits: int

    def __str__(self) -> str:
        """As a message names it."""
        if self.same_file:
            return f"{self.image} = {self.like}"
        return f"{self.image} ~ {self.like}, {self.bits} bits apart"


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What of a list is, or looks like, an image of another, under whatever name.

    Attributes:
        one: what the first list is called.
        other: what the second is called.
        compared: images of the first, and of the second, that were looked at.
        of: images of the first, and of the second, that there are.
        pairs: images of the second, each with the one of the first that it is or looks like.
    """

    one: str
    other: str
    compared: tuple[int, int]
    of: tuple[int, int]
    pairs: tuple[LookAlike, ...]

    @property
    def counted(self) -> str:
        """How many were compared, in words."""
        (first, second), (all_first, all_second) = self.compared, self.of
        return f"; compared {second:,} of {all_second:,} with {first:,} of {all_first:,}"

    def line(self, *, same_file: bool) -> str:
        """The pairs of equal files, or of pictures that look alike, in words; "": there are none.

        Args:
            same_file: which of the two.
        """
        pairs = [pair for pair in self.pairs if pair.same_file == same_file]
        if not pairs:
            return ""
        nearest = sorted(pairs, key=lambda pair: pair.bits)[:_NAMED]
        more = "; ..." if len(pairs) > _NAMED else ""
        what = "are files of" if same_file else "look like images of"
        return (
            f"images of {self.other} that {what} {self.one}: {len(pairs):,}"
            f" ({'; '.join(map(str, nearest))}{more}){self.counted}"
        )


def look_at(images: LabelledImages, most: int) -> Looks:
    """Reads and decodes images, about a millisecond each where they are near; a bar shows it.

    An image that is listed twice is looked at once; absent and unreadable ones are left out.

    Args:
        images: of a list.
        most: images that are looked at, evenly spaced over the list.
    """
    absent = {images.names[row] for row in images.absent}
    first = dict[str, int]()
    for row, name in enumerate(images.names):
        if name not in absent:
            first.setdefault(name, row)
    rows, count = list(first.values()), min(most, len(first))
    names, files, hashes = list[str](), list[bytes](), list[bytes]()
    spaced = [rows[place * len(rows) // count] for place in range(count)]
    for row in tqdm(spaced, unit="image", disable=None, leave=False):
        try:
            file, picture = _look(images, row)
        except BadImage:
            continue
        names.append(images.names[row])
        files.append(file)
        hashes.append(picture)
    table = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)
    return Looks(tuple(names), tuple(files), table, len(rows))


def likenesses(lists: Mapping[str, Looks]) -> list[Likeness]:
    """Compares every two lists.

    Args:
        lists: by what they are called.
    """
    return [
        Likeness(
            one=one,
            other=other,
            compared=(len(lists[one]), len(lists[other])),
            of=(lists[one].of, lists[other].of),
            pairs=_pairs(lists[other], lists[one]),
        )
        for one, other in combinations(lists, 2)
    ]


def _pairs(images: Looks, others: Looks) -> tuple[LookAlike, ...]:
    """The images that are, or look like, one of the others, each with the one that is nearest."""
    same = dict(zip(reversed(others.files), reversed(others.names), strict=True))
    place, bits = _nearest(images.hashes, others.hashes)
    found = list[LookAlike]()
    for row, (name, file) in enumerate(zip(images.names, images.files, strict=True)):
        if file in same:
            found.append(LookAlike(image=name, like=same[file], same_file=True, bits=0))
        elif bits[row] <= THRESHOLD:
            like = others.names[place[row]]
            found.append(LookAlike(image=name, like=like, same_file=False, bits=int(bits[row])))
    return tuple(found)


def _look(images: LabelledImages, row: int) -> tuple[bytes, bytes]:
    data = images.encoded(row)
    pixels = images.image(row) if data is None else decode(data, images.names[row])
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{pixels.shape}".encode() + pixels.tobytes() if data is None else data)
    return digest.digest(), difference_hash(Image.fromarray(pixels))


def _nearest(
    hashes: NDArray[np.uint8], others: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of the nearest others [n], and the bits that differ [n]; none is far away.

    Of vectors of 1 and -1, a product is what agrees less what differs: BLAS compares 20,000 hashes
    with 20,000 in seconds, exactly.
    """
    place = np.zeros(len(hashes), np.int64)
    bits = np.full(len(hashes), 8 * HASH_BYTES, np.int64)
    if not len(others):
        return place, bits
    theirs = _signs(others).T
    for start in range(0, len(hashes), _BLOCK):
        block = slice(start, start + _BLOCK)
        agreement = _signs(hashes[block]) @ theirs
        place[block] = agreement.argmax(1)
        bits[block] = (8 * HASH_BYTES - agreement.max(1).astype(np.int64)) // 2
    return place, bits


def _signs(hashes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 256], 1 and -1."""
    return 2 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1
