"""Every YAML in the repository: it parses, comes back equal, and says what it is for."""

import re
from pathlib import Path

import pytest

from finetune.train import FinetuneConfig
from pretrain.engine.config import dump_config, parse_config
from pretrain.run import RunConfig
from pretrain.train import PretrainConfig

FILES = sorted(
    file
    for folder in ("pretrain", "finetune")
    for file in (Path(__file__).parents[1] / "configs" / folder).glob("*.yaml")
)


def config_class(file: Path) -> type[RunConfig]:
    stage_one = file.parent.name == "pretrain" or file.stem.endswith("_pretrain")
    return PretrainConfig if stage_one else FinetuneConfig


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_survives_printing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = config_class(file)
    config = parse_config(kind, ["--config", str(file)], "program")
    with pytest.raises(SystemExit) as left:
        parse_config(kind, ["--config", str(file), "--print_config"], "program")
    assert left.value.code == 0
    for name, text in (("printed", capsys.readouterr().out), ("dumped", dump_config(config))):
        copy = tmp_path / f"{name}.yaml"
        copy.write_text(text)
        assert parse_config(kind, ["--config", str(copy)], "program") == config


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_opens_with_its_command(file: Path) -> None:
    header = [line for line in file.read_text().splitlines() if line.startswith("#")]
    assert any(re.match(r"# Command: +(accelerate launch|bash launch/)", line) for line in header)
    assert any(line.startswith("# Hardware:") for line in header)


def test_runs_do_not_share_a_folder() -> None:
    configs = [
        parse_config(config_class(file), ["--config", str(file)], "program") for file in FILES
    ]
    assert len({config.output_dir for config in configs}) == len(FILES)
    assert {"smoke", "tiny", "paper", "face", "large"} <= {file.stem for file in FILES}
