"""Small labelled images that tests make: what an image shows is as bright as its label says."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def labelled_list(folder: Path, subjects: int = 8, each: int = 6, side: int = 32) -> Path:
    """:func:`labelled_images` of the first subjects, in ``list.csv``; returns the list."""
    return labelled_images(folder, "list", range(subjects), each, side)


def labelled_images(
    folder: Path, name: str, subjects: Iterable[int], each: int = 6, side: int = 32
) -> Path:
    """Writes images ``sN/M.png`` and ``NAME.csv``, a list of them; returns the list.

    Odd images are bright and happy, even ones dark and neutral; the valence is the brightness.
    """
    rng = np.random.default_rng(0)
    rows = ["image,subject,expression,valence"]
    for subject in subjects:
        (folder / f"s{subject}").mkdir(parents=True, exist_ok=True)
        for number in range(each):
            happy = number % 2
            pixels = rng.integers(0, 90, (side, side, 3)) + (60 + 80 * happy)
            image = f"s{subject}/{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / image)
            kind = "Happiness" if happy else "Neutral"
            rows.append(f"{image},person {subject},{kind},{0.4 * happy + 0.02 * subject:.3f}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(rows) + "\n")
    return path
