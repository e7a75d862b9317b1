"""s-Aff-Wild2 at its full size, made up: every count that is published, frames and values by chance."""

from pathlib import Path

import numpy as np

HEADER = "image,valence,arousal,expression,aus"
TRAIN, VALIDATION = "training_set_annotations.txt", "validation_set_annotations.txt"
TEST = "MTL_Challenge_test_set_release.txt"

#: Counts of the release, typed from its description: classes 0 to 7, action units in its order.
CLASSES = {
    TRAIN: [23976, 4555, 3168, 3122, 18135, 7609, 5228, 24852],
    VALIDATION: [1886, 487, 565, 1254, 3751, 1893, 1003, 4601],
}
UNITS = {
    TRAIN: [18713, 8745, 20342, 30605, 41337, 38286, 26783, 2460, 2980, 5003, 70584, 10756],
    VALIDATION: [5531, 2554, 5442, 8818, 13224, 11421, 8319, 782, 757, 808, 20427, 2934],
}
#: Rows, duplicates among them, videos.
SIZES = {TRAIN: (142_382, 951, 257), VALIDATION: (26_876, 210, 50), TEST: (51_159, 718, 82)}

#: Rows by what is labelled: (valence-arousal, expression, action units). They add up to the
#: published 103,917, 90,645 and 103,316 rows, with 37 % of all three and 49 of none.
PATTERN = {
    TRAIN: {
        (1, 1, 1): 52_681,
        (1, 0, 1): 50_183,
        (1, 0, 0): 1_053,
        (0, 0, 1): 452,
        (0, 1, 0): 37_964,
        (0, 0, 0): 49,
    },
    VALIDATION: {(1, 1, 1): 15_440, (1, 0, 1): 11_436},
}


def write_release(root: Path, seed: int = 0) -> None:
    """Writes the three files; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    first = 0
    for name, (rows, again, videos) in SIZES.items():
        images = _images(rng, rows, again, range(first, first + videos))
        first += videos
        lines = ["image", *images]
        if name != TEST:
            cells = _labels(rng, name)
            lines = [HEADER, *map(",".join, zip(images, *cells, strict=True))]
        (root / name).write_text("\n".join(lines) + "\n")


def _images(rng, rows, again, videos):
    """Sparse frames, video by video; a duplicate stands after its image."""
    counts = rng.multinomial(rows - again, rng.dirichlet(np.full(len(videos), 2.0)))
    images = [
        f"{video}/{frame:05d}.jpg"
        for video, count in zip(videos, counts.tolist(), strict=True)
        for frame in np.cumsum(rng.integers(1, 50, count)).tolist()
    ]
    twice = set(rng.choice(len(images), again, replace=False).tolist())
    return [image for row, image in enumerate(images) for _ in range(1 + (row in twice))]


def _labels(rng, name):
    kinds = list(PATTERN[name])
    pattern = np.repeat(kinds, list(PATTERN[name].values()), axis=0)
    affect, expression, units = rng.permutation(pattern).T.astype(bool)
    n = len(affect)
    for values in rng.uniform(-1, 1, (2, n)):
        yield [f"{v:.3f}" if known else "-5.0" for v, known in zip(values, affect, strict=True)]
    codes = np.full(n, -1)
    codes[expression] = rng.permutation(np.repeat(np.arange(8), CLASSES[name]))
    yield list(map(str, codes.tolist()))
    labelled = np.flatnonzero(units)
    for count in UNITS[name]:
        present = np.full(n, -1)
        present[labelled] = 0
        present[rng.choice(labelled, count, replace=False)] = 1
        yield list(map(str, present.tolist()))
