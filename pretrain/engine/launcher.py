"""What a launcher said to its processes: in the environment, and on its own command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import psutil
import yaml

from pretrain.errors import UserError

#: What torchrun and accelerate launch tell each of several processes.
_RENDEZVOUS = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class LaunchError(UserError):
    """The launcher started something else than what was asked for."""


def processes(name: str = "WORLD_SIZE") -> int:
    """A number of processes that the launcher told this one; 1 without a launcher.

    Raises:
        LaunchError: what it told is no number.
    """
    return number(name, 1)


def number(name: str, default: int) -> int:
    """A whole number of the launcher's environment.

    Raises:
        LaunchError: it is none.
    """
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise LaunchError(f"launcher: {name} {text!r}, expected a whole number") from None


def refuse_no_rendezvous() -> None:
    """Without it Accelerate would start a single process.

    Raises:
        LaunchError: there are to be several processes, and nothing to meet at.
    """
    if processes() > 1 and (missing := [name for name in _RENDEZVOUS if name not in os.environ]):
        raise LaunchError(
            f"launcher: WORLD_SIZE {processes()} without {', '.join(missing)}, expected torchrun or"
            " accelerate launch, which set them"
        )


def processes_asked_for() -> int | None:
    """``--num_processes`` of the ``accelerate launch`` above us, or that of its config file.

    With ``--cpu --num_processes 2``, or MULTI_CPU in a file, it starts a single process and says
    nothing; the command line is the only trace of what was asked.
    """
    try:
        parent = psutil.Process().parent()
        command = parent.cmdline() if parent else []
    except psutil.Error:
        return None
    if "launch" not in command or not any("accelerate" in word for word in command):
        return None
    asked = _launcher_options(command[command.index("launch") + 1 :])
    if "num_processes" in asked:
        return int(asked["num_processes"])
    from accelerate.commands.config import default_config_file  # what "accelerate config" wrote

    if "config_file" not in asked and "--cpu" in command:
        return None  # then it does not read it
    try:
        file = Path(asked.get("config_file", default_config_file))
        return int(yaml.safe_load(file.read_text(encoding="utf-8"))["num_processes"])
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError):
        return None  # the launcher has read it, and taken what it could


def _launcher_options(words: Sequence[str]) -> dict[str, str]:
    """Those of a command line that decide how many processes it starts."""
    found = dict[str, str]()
    for position, word in enumerate(words):
        option, _, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if option.startswith("--") and name in ("num_processes", "config_file"):
            found[name] = value or words[position + 1]
        if word.endswith(".py"):
            break  # what follows are the program's own options
    return found
