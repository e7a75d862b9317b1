"""Program: ``python -m finetune.describe --data.kind K --data.root R``: what is in a copy."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finetune.data.annotations import AbsentError
from finetune.data.config import LabelledConfig
from finetune.data.opening import Collection, read_collection, splits_of
from finetune.describing.description import Description, describe
from finetune.describing.text import text
from pretrain.engine.config import parse_config
from pretrain.errors import UserError, exit_code
from pretrain.files import check_out, write_text

PROGRAM = "python -m finetune.describe"


@dataclass(frozen=True, kw_only=True)
class DescribeConfig:
    """Says what a collection holds, whether the copy is whole, and what its splits share.

    Attributes:
        data: the collection; without data.split every split of it that is there.
        images: look for the listed images; false is faster where there are many, far away.
        near_duplicates: look for images that two splits share under whatever name: equal files, and
            pictures that look alike, among up to 20,000 a split, evenly spaced; takes minutes.
        out: JSON file for the same numbers; null only prints.
    """

    data: LabelledConfig = field(default_factory=LabelledConfig)
    images: bool = True
    near_duplicates: bool = False
    out: str | None = None

    def __post_init__(self) -> None:
        """Refuses to compare images that are not looked for."""
        if self.near_duplicates and not self.images:
            raise ValueError("images False with near_duplicates, expected true")


def read_splits(config: LabelledConfig) -> tuple[list[Collection], dict[str, str]]:
    """The splits that a config names, or all that are there.

    Returns:
        Them, and the others with the reason why they are none.

    Raises:
        UserError: none is there, or one is there and is not as its format says.
    """
    wanted = splits_of(config) if config.split is None else (config.split,)
    found, missing = list[Collection](), dict[str, AbsentError]()
    for split in wanted:
        try:
            found.append(read_collection(replace(config, split=split)))
        except AbsentError as error:
            missing[split] = error
    if not found:
        first = next(iter(missing.values()))
        if len(missing) == 1:
            raise first
        raise UserError(f"none of {', '.join(missing)} is here: {first}")
    return found, {split: str(error) for split, error in missing.items()}


def describe_collection(config: DescribeConfig) -> tuple[Description, dict[str, Any]]:
    """Describes what a config names.

    Returns:
        The description, and the same in JSON values.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    collections, missing = read_splits(config.data)
    found = describe(
        collections, missing, look=config.images, near_duplicates=config.near_duplicates
    )
    data = config.data
    about = {"kind": data.kind, "root": data.root, "track": data.track}
    return found, about | {"drawn": collections[0].drawn} | found.to_json()


def _work() -> None:
    config = parse_config(DescribeConfig, None, PROGRAM)
    out = None if config.out is None else Path(os.path.expanduser(config.out))
    if out is not None:
        check_out(out, [], config.data.folder)
    found, record = describe_collection(config)
    data = config.data
    what = " ".join(name for name in (data.kind, data.track) if name)
    if out is not None:
        write_text(out, json.dumps(record, indent=1) + "\n")
    print(text(found, f"{what} in {data.root}" if data.root else what))


def main() -> int:
    """Describes and prints, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
