"""Pictures that look alike: a 256-bit difference hash, and a search that stays linear.

Source: Krawetz, "Kind of like that", hackerfactor.com 2013 (difference hash); the bands are those
of Norouzi, Punjani & Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Bytes of a hash.
HASH_BYTES = 32

#: Bits that two hashes of one picture may differ in. On 4,125 photographs of faces, copies saved
#: as JPEG of quality 40 to 75 or resized to 60 and 200 % differed in up to 13 bits, different
#: photographs in 17 and more (up to 29: frames of one film), different people in 32 and more.
THRESHOLD = 16

#: Pairs that agree in all bits of one band are compared. 12 bands find every pair up to 11 bits
#: apart and 99 % of those 16 apart, and few faces share a band by chance.
_BANDS = 12

#: Pictures after it that one is compared with in a band: a bound where thousands look alike.
_REACH = 128

_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def difference_hash(image: Image.Image) -> bytes:
    """Whether brightness rises from cell to cell: 128 bits along rows, 128 along columns.

    Args:
        image: of any size; the hash sees it as a square.
    """
    grey = image.convert("L")
    across = np.asarray(grey.resize((17, 8), Image.Resampling.BILINEAR))
    down = np.asarray(grey.resize((16, 9), Image.Resampling.BILINEAR))
    rises = (across[:, 1:] > across[:, :-1], down[1:] > down[:-1])
    return np.packbits(np.concatenate([rise.ravel() for rise in rises])).tobytes()


def near_pairs(
    hashes: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each picture with the earlier one that looks most like it.

    One pair a picture at most, so that a film of n frames gives n pairs and not n squared.

    Args:
        hashes: [n, 32].

    Returns:
        The later pictures of the pairs [p], sorted; the earlier ones [p]; their distances in bits
        [p], up to :data:`THRESHOLD`.
    """
    unique, first, group = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)  # NumPy 2.0 gave it another shape
    # Equal hashes are paired with the first of them; only these are compared with others.
    order = np.argsort(first, kind="stable")
    firsts = first[order]
    found, distance = _nearest_of_unique(unique[order])
    copies = np.flatnonzero(first[group] != np.arange(len(hashes)))
    alike = np.flatnonzero(distance <= THRESHOLD)
    later = np.concatenate([copies, firsts[alike]])
    earlier = np.concatenate([first[group][copies], firsts[found[alike]]])
    distances = np.concatenate([np.zeros(len(copies), np.int64), distance[alike]])
    by_position = np.argsort(later)
    return later[by_position], earlier[by_position], distances[by_position]


def _nearest_of_unique(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    earlier = np.zeros(len(hashes), np.int64)  # counts where the distance is in reach
    distance = np.full(len(hashes), THRESHOLD + 1, np.int64)
    for band in range(_BANDS):
        keys = _band(hashes, band)
        order = np.argsort(keys, kind="stable")  # within a key, earlier pictures come first
        keys = keys[order]
        for step in range(1, min(_REACH, len(order) - 1) + 1):
            (at,) = np.nonzero(keys[:-step] == keys[step:])
            if not len(at):  # sorted keys: nor are any equal that lie further apart
                break
            one, other = order[at], order[at + step]
            bits = _distances(hashes, one, other)
            better = (bits < distance[other]) | ((bits == distance[other]) & (one < earlier[other]))
            one, other = one[better], other[better]
            earlier[other], distance[other] = one, bits[better]
    return earlier, distance


def _band(hashes: NDArray[np.uint8], band: int) -> NDArray[np.uint64]:
    """Every 12th bit: neighbouring bits of a face agree too often to tell faces apart."""
    keys = np.zeros(len(hashes), np.uint64)
    for bit in range(band, 8 * HASH_BYTES, _BANDS):
        value = (hashes[:, bit // 8] >> np.uint8(7 - bit % 8)) & np.uint8(1)
        keys = (keys << np.uint64(1)) | value.astype(np.uint64)
    return keys


def _distances(
    hashes: NDArray[np.uint8], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.int64]:
    found = np.empty(len(one), np.int64)
    for start in range(0, len(one), 65536):  # bounds the memory
        part = slice(start, start + 65536)
        found[part] = _ONES[hashes[one[part]] ^ hashes[other[part]]].sum(axis=1, dtype=np.int64)
    return found
