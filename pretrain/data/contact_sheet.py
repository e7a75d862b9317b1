"""Program: ``python -m pretrain.data.contact_sheet``: embedded faces on one sheet, to look at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.synthetic.expressions import EXPRESSIONS
from pretrain.engine.config import parse_config
from pretrain.engine.pictures import Picture, image_grid
from pretrain.errors import exit_code


@dataclass(frozen=True, kw_only=True)
class ContactSheetConfig:
    """Draws a sheet with a column for each expression.

    Attributes:
        out: the PNG.
        size: pixels a side of a face.
        posed: rows of posed faces.
        wild: rows of faces as they are drawn for training.
        seed: which faces.
    """

    out: str = "runs/faces.png"
    size: int = 96
    posed: int = 3
    wild: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses an empty sheet."""
        if self.posed < 0 or self.wild < 0 or self.posed + self.wild == 0:
            raise ValueError(f"posed {self.posed}, expected at least one row with wild {self.wild}")


def draw_sheet(config: ContactSheetConfig) -> None:
    """Writes the sheet."""
    columns: dict[str, list[Picture]] = {name: [] for name in EXPRESSIONS}
    for style, rows in (("posed", config.posed), ("wild", config.wild)):
        faces = SyntheticFaces(
            SyntheticConfig(
                count=100_000, size=config.size, subjects=1000, style=style, seed=config.seed
            )
        )
        for name, stack in columns.items():
            matches = _of_expression(faces, name)
            stack += [faces.image(next(matches)) for _ in range(rows)]
    image_grid(columns, Path(config.out))


def _of_expression(faces: SyntheticFaces, name: str) -> Iterator[int]:
    return (index for index in range(len(faces)) if faces.state(index).expression == name)


def _work() -> None:
    config = parse_config(ContactSheetConfig, None, "python -m pretrain.data.contact_sheet")
    draw_sheet(config)
    print(config.out)


def main() -> int:
    """Draws, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
