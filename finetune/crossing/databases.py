"""The list of databases: a YAML file, a name and the options of its labels each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from finetune.data.config import LabelledConfig
from finetune.labels import MAPPINGS
from pretrain.engine.config import ConfigError, parse_config
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Database(LabelledConfig):
    """Labelled images that models are tested on.

    Attributes:
        mapping: how expressions without a counterpart are counted; null, or contempt_to_other.
    """

    mapping: str | None = None

    def __post_init__(self) -> None:
        """Refuses an unknown mapping, and what any labels refuse."""
        super().__post_init__()
        if self.mapping is not None and self.mapping not in MAPPINGS:
            raise ValueError(
                f"mapping {self.mapping!r}, expected null or one of {', '.join(MAPPINGS)}"
            )


def read_databases(file: Path) -> dict[str, Database]:
    """Reads a list of databases, in its order.

    Args:
        file: ``NAME: {kind: K, root: R, split: S, mapping: M}`` for each.

    Raises:
        UserError: no such file, no such form, or an option that cannot be; the message is one line.
    """
    known = _mapping(file)
    if not known:
        raise UserError(f"{file}: no database, expected NAME: {{kind: K, root: R}} lines")
    return {name: _database(file, name, options) for name, options in known.items()}


def _mapping(file: Path) -> Mapping[str, Any]:
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        known = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}, expected a YAML list of databases") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{file}: got no mapping, expected NAME: {{kind: K, root: R}} lines")
    names = [str(yaml.safe_load(str(key.value))) for key, _ in node.value]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{file}: {twice[0]} is there twice, expected every name once")
    return {str(name): options for name, options in known.items()}


def _database(file: Path, name: str, options: Any) -> Database:
    if not name or any(character in name for character in '/\\|"') or not name.isprintable():
        raise UserError(f"{file}: name {name!r}, expected one that a file may have")
    if not isinstance(options, Mapping):
        raise UserError(f"{file}: {name}: got {options!r}, expected {{kind: K, root: R}}")
    keys = [field.name for field in fields(Database)]
    if unknown := [str(key) for key in options if key not in keys]:
        raise UserError(f"{file}: {name}: key '{unknown[0]}', expected some of {', '.join(keys)}")
    argv = [f"--{key}={_written(value)}" for key, value in options.items()]
    try:
        return parse_config(Database, argv, "")
    except ConfigError as error:
        raise UserError(f"{file}: {name}: {str(error).removeprefix('--')}") from None


def _written(value: Any) -> str:
    plain = value is None or isinstance(value, bool | int | float | list | Mapping)
    return json.dumps(value, default=str) if plain else str(value)
