"""Configs: frozen dataclasses filled from YAML files and dotted overrides, errors on one line.

The parsing is jsonargparse's. What is added here: duplicate YAML keys are refused, ``--config`` is
read before every override wherever it stands, every error (``__post_init__`` included) becomes one
line that names the file or option and the key, and a field can say that it may change on resume.

A field whose type derives from :class:`Choice` takes any subclass of it: in YAML ``class_path`` and
``init_args``, as an option ``--field NAME --field.key value``.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from pretrain.errors import UserError

Config = TypeVar("Config")


class ConfigError(UserError):
    """A config file or an option that cannot be used."""


class Choice:
    """Base of frozen dataclasses of which a config names one."""


def operational(default: Any) -> Any:
    """A dataclass field that may differ when a run is resumed (paths, workers, logging).

    Args:
        default: the field's default value (immutable).
    """
    return dataclasses.field(default=default, metadata={"operational": True})


def defining_fields(config: Any, prefix: str = "") -> dict[str, Any]:
    """The fields that define a run, as ``{"optim.base_lr": 1.5e-4, ...}`` with JSON values.

    Two runs with equal defining fields on the same data are the same experiment; fields made with
    :func:`operational` are left out, whole sections included.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if field.metadata.get("operational"):
            continue
        key, value = f"{prefix}{field.name}", getattr(config, field.name)
        if isinstance(value, Choice):
            found[key] = type(value).__name__
        if dataclasses.is_dataclass(value):
            found |= defining_fields(value, f"{key}.")
        else:
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def default_fields(config: Any, prefix: str = "") -> dict[str, Any]:
    """The defaults of :func:`defining_fields`, of the same sections and choices.

    A run that was saved before a field existed was made with its default, since a new option may
    not change what happens without it.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if field.metadata.get("operational"):
            continue
        key, value = f"{prefix}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found |= default_fields(value, f"{key}.")
        elif field.default is not dataclasses.MISSING:
            found[key] = list(field.default) if isinstance(field.default, tuple) else field.default
    return found


def parse_config(
    config_class: type[Config],
    argv: Sequence[str] | None,
    program: str,
    positionals: Sequence[str] = (),
    lists: Sequence[str] = (),
) -> Config:
    """Reads a config from ``--config FILE`` and dotted overrides.

    Args:
        config_class: a frozen dataclass, its fields documented under ``Attributes:``.
        argv: the arguments after the program's name; None takes ``sys.argv``.
        program: how the program is called, for ``--help``.
        positionals: fields that arguments without an option fill, in this order.
        lists: fields whose option takes several words, up to the next option.

    Returns:
        The config. ``--help`` and ``--print_config`` print and exit with 0.

    Raises:
        ConfigError: an unknown key, a wrong type, a refused value, an unreadable file.
    """
    given = _gather_lists(sys.argv[1:] if argv is None else argv, lists)
    named = _name_positionals(given, positionals)
    arguments = _keep_nulls(_config_first(named), config_class)
    parser = _parser(config_class, " ".join([program, *(p.upper() for p in positionals)]))
    files = [Path(value) for option, value in _options(arguments) if option == "config" and value]
    for file in files:
        _refuse_duplicate_keys(file)
    try:
        parsed = parser.parse_args(arguments)
        return _build(config_class, parsed, "")
    except (ArgumentError, ConfigError) as error:
        raise ConfigError(_one_line(str(error), parser, arguments, files)) from None


def dump_config(config: Any) -> str:
    """The config as YAML that :func:`parse_config` reads back to an equal config."""
    return yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True)


def _parser(config_class: type[Any], program: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog=program,
        description=(config_class.__doc__ or "").split("\n\n")[0],
        exit_on_error=False,
        allow_abbrev=False,  # "--model.dec" must not quietly mean another option tomorrow
    )
    parser.usage = f"{program} --config FILE [--key value ...]"
    parser.add_argument("--config", action="config", help="YAML file; options override it.")
    set_parsing_settings(subclasses_enabled=_choices(config_class))
    parser.add_class_arguments(config_class, fail_untyped=True)
    return parser


def _choices(config_class: type[Any]) -> list[type | str]:
    """The types of fields that take a choice, at any depth."""
    hints = [hint for hint in get_type_hints(config_class).values() if isinstance(hint, type)]
    sections = [hint for hint in hints if dataclasses.is_dataclass(hint)]
    found: list[type | str] = [hint for hint in sections if issubclass(hint, Choice)]
    return found + [choice for section in sections for choice in _choices(section)]


def _build(config_class: type[Config], values: Namespace, prefix: str) -> Config:
    """Instantiates nested dataclasses bottom up, so that a refusal can name its full key."""
    hints = get_type_hints(config_class)
    arguments: dict[str, Any] = {}
    for field in _fields(config_class):
        value = values[field.name]
        if dataclasses.is_dataclass(hints[field.name]):
            if not isinstance(value, Namespace):
                raise ConfigError(
                    f"{prefix}{field.name}: got {value!r}, expected a section of keys"
                )
            section = hints[field.name]
            if issubclass(section, Choice):
                module, _, name = value.class_path.rpartition(".")
                kinds = _leaves(section)
                section = getattr(importlib.import_module(module), name)
                if section not in kinds:
                    known = ", ".join(kind.__name__ for kind in kinds)
                    raise ConfigError(
                        f"{prefix}{field.name}: got '{name}', expected one of {known}"
                    )
                value = value.init_args
            value = _build(section, value, f"{prefix}{field.name}.")
        numbers = value if isinstance(value, tuple | list) else [value]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise ConfigError(f"{prefix}{field.name}: got {value}, expected finite numbers")
        arguments[field.name] = value
    try:
        return config_class(**arguments)
    except ValueError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _fields(config: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(config)


def _plain(value: Any) -> Any:
    """Sections as mappings and tuples as lists, so that safe YAML can hold them."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in _fields(value)}
        if not isinstance(value, Choice):
            return fields
        kind = type(value)
        return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": fields}
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Pairs of (option, value) for ``--option value`` and ``--option=value``."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--"):
            option, equals, value = argument[2:].partition("=")
            following = arguments[position + 1] if position + 1 < len(arguments) else None
            yield option, value if equals else following


def _name_positionals(arguments: Sequence[str], positionals: Sequence[str]) -> list[str]:
    """``a b --size 8`` as ``--source=a --out=b --size 8``; every option but two takes a value."""
    if not positionals:
        return list(arguments)
    named, free, position = list[str](), list[str](), 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if not argument.startswith("-"):
            free.append(argument)
            continue
        named.append(argument)
        alone = "=" in argument or argument in ("-h", "--help", "--print_config")
        if not alone and position < len(arguments):
            named.append(arguments[position])
            position += 1
    if len(free) > len(positionals):
        raise ConfigError(
            f"got {' '.join(map(repr, free))}, expected at most {len(positionals)} arguments"
            f" without an option: {' '.join(name.upper() for name in positionals)}"
        )
    given = {option for option, _ in _options(named)}
    for name, value in zip(positionals, free, strict=False):
        if name in given:
            raise ConfigError(f"{name}: given twice, as '{value}' and as --{name}, expected once")
    return [f"--{name}={value}" for name, value in zip(positionals, free, strict=False)] + named


def _gather_lists(arguments: Sequence[str], lists: Sequence[str]) -> list[str]:
    """``--model a b --size 8`` as ``--model=["a", "b"] --size 8``; a list in YAML stays one."""
    gathered, position = list[str](), 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        words = list[str]()
        while argument.removeprefix("--") in lists and position < len(arguments):
            if arguments[position].startswith("--"):
                break
            words.append(arguments[position])
            position += 1
        name = argument.removeprefix("--")
        if name in lists and any(a.partition("=")[0] == argument for a in gathered):
            raise ConfigError(f"--{name}: given twice, expected once with all its words")
        one_list = len(words) == 1 and words[0].startswith("[") and words[0].endswith("]")
        gathered.append(
            f"{argument}={words[0] if one_list else json.dumps(words)}" if words else argument
        )
    return gathered


def _keep_nulls(arguments: Sequence[str], config_class: type[Any]) -> list[str]:
    """``--method.watch.encoder null`` as ``--method.watch={"encoder": null}``.

    jsonargparse makes the text "None" of a null in a section of a choice.
    """
    nullable = {
        f"--{name}.{section}.{key}"
        for name, choice in get_type_hints(config_class).items()
        if isinstance(choice, type) and issubclass(choice, Choice)
        for kind in _leaves(choice)
        for section, inner in get_type_hints(kind).items()
        if dataclasses.is_dataclass(inner)
        for key, hint in get_type_hints(inner).items()
        if type(None) in get_args(hint)
    }
    kept, position = list[str](), 0
    while position < len(arguments):
        option, equals, value = arguments[position].partition("=")
        given = [value] if equals else arguments[position + 1 : position + 2]
        if option in nullable and given and given[0] in ("null", "~"):
            section, _, key = option.rpartition(".")
            kept.append(f"{section}={json.dumps({key: None})}")
            position += 1 if equals else 2
        else:
            kept.append(arguments[position])
            position += 1
    return kept


def _config_first(arguments: Sequence[str]) -> list[str]:
    """Moves ``--config FILE`` to the front: an override wins wherever it was typed."""
    first: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(arguments):
        takes = 2 if arguments[position] == "--config" else 1
        target = first if arguments[position].partition("=")[0] == "--config" else rest
        target += arguments[position : position + takes]
        position += takes
    return first + rest


def _refuse_duplicate_keys(file: Path) -> None:
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}, expected a YAML config file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}: got no mapping, expected 'key: value' lines")
    pending: list[tuple[str, yaml.Node]] = [("", node)]
    visited: set[int] = set()  # an anchor may lead back to its own mapping
    while pending:
        prefix, mapping = pending.pop()
        if not isinstance(mapping, yaml.MappingNode) or id(mapping) in visited:
            continue
        visited.add(id(mapping))
        seen: dict[str, int] = {}
        for key, value in mapping.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise ConfigError(
                    f"{file}:{line}: key '{prefix}{name}' is given twice (first on line"
                    f" {seen[name]}), expected once"
                )
            seen[name] = line
            pending.append((f"{prefix}{name}.", value))


def _leaves(choice: type) -> list[type]:
    """The classes that a choice may be: those that nothing derives from."""
    below: list[type] = choice.__subclasses__()
    return [leaf for kind in below for leaf in _leaves(kind)] if below else [choice]


def _names(parser: ArgumentParser, message: str) -> str:
    """What may stand for a choice, by name."""
    key = re.match(r"[\w.]*", message)[0].rstrip(".")  # type: ignore[index]
    for action in parser._actions:
        choice = getattr(action, "_typehint", None)
        if action.dest == key and isinstance(choice, type):
            return ", ".join(kind.__name__ for kind in _leaves(choice))
    return "the known ones"


def _one_line(
    message: str, parser: ArgumentParser, arguments: Sequence[str], files: Sequence[Path]
) -> str:
    """Says where the value came from and, for an unknown key, which one is nearest."""
    message = re.sub(r"<class '(\w+)'>", r"\1", " ".join(message.split()))
    message = re.sub(r'^Parser key "([^"]+)": ', r"\1: ", message)
    section = ""
    if chosen := re.match(r"([\w.]+): Problem with given class_path '[^']*': ", message):
        section = f"{chosen[1]}."  # what follows is about a key of the choice
        message = re.sub(r'^Parser key "([^"]+)": ', r"\1: ", message[chosen.end() :])
    message = re.sub(
        r"Expected a dot import path string: (.*)|Import path (.*) does not .*",
        lambda found: f"got '{found[1] or found[2]}', expected one of {_names(parser, message)}",
        message,
    )
    if union := re.search(r"Does not validate.*Subtypes: \[(.*?)\].*Given value: (.*)", message):
        expected = union[1].replace(", ", " or ").replace("NoneType", "null")
        message = f"{message[: union.start()]}got '{union[2]}', expected {expected}"
    message = re.sub(r"Expected an? (.+?)\. Got value: (.*)", r"got '\2', expected \1", message)
    if unknown := re.match(r"unrecognized arguments?: --([\w.]+)", message):
        key = unknown[1]
    elif unknown := re.match(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message):
        key = f"{unknown[1]}.{unknown[2]}"
    elif unknown := re.match(r".*Option '([\w.]+)' is not accepted", message):
        key = unknown[1]
    else:
        key = re.match(r"[\w.]*", message)[0].rstrip(".")  # type: ignore[index]
    if section:
        key, message = f"{section}{key}", f"{section}{message}"
    if unknown:
        keys = set(parser.get_defaults().keys(branches=False)) - {"config"}
        known = sorted(name.replace(".init_args.", ".") for name in keys)
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        meant = f", expected perhaps '{close[0]}'" if close and close[0] != key else ""
        message = f"{key}: unknown key{meant}"
    typed = any(option == key for option, _ in _options(arguments))
    where = "" if typed or not files else f"{', '.join(map(str, files))}: "
    return f"{where}{'--' if typed else ''}{message}"
