from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from pretrain.engine.config import (
    Choice,
    ConfigError,
    default_fields,
    defining_fields,
    dump_config,
    operational,
    parse_config,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A section.

    Attributes:
        rate: a rate in (0, 1].
        bounds: two numbers.
        limit: a number or null.
    """

    rate: float = 0.5
    bounds: tuple[float, float] = (0.25, 1.0)
    limit: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate {self.rate}, expected in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A program.

    Attributes:
        seed: the seed.
        where: a path.
        inner: the section.
    """

    seed: int = 0
    where: str = operational("here")
    inner: Inner = field(default_factory=Inner)


def parse(*arguments: str) -> Outer:
    return parse_config(Outer, arguments, "program")


def write(folder: Path, text: str, name: str = "some.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def refusal(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_file_and_overrides_are_layered(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 3\ninner: {rate: 0.25}\n")
    assert parse() == Outer()
    assert parse("--config", file) == Outer(seed=3, inner=Inner(rate=0.25))
    assert parse("--config", file, "--seed", "4").seed == 4


def test_an_override_wins_even_when_typed_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 3\n")
    assert parse("--seed", "4", "--config", file).seed == 4
    assert parse("--seed=4", f"--config={file}").seed == 4


def test_a_config_loads_back_equal(tmp_path: Path) -> None:
    config = Outer(seed=7, where="a b: #c", inner=Inner(rate=1e-7, bounds=(0.1, 2e5), limit=3.0))
    assert parse("--config", write(tmp_path, dump_config(config))) == config


def test_print_config_loads_back_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse("--seed", "5", "--inner.rate", "1e-3", "--print_config")
    assert left.value.code == 0
    file = write(tmp_path, capsys.readouterr().out)
    assert parse("--config", file) == Outer(seed=5, inner=Inner(rate=1e-3))


def test_help_gives_type_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "--inner.rate RATE a rate in (0, 1]. (type: float, default: 0.5)" in text


def test_small_numbers_in_yaml_are_numbers(tmp_path: Path) -> None:
    # YAML 1.1 reads 1e-4, without a dot, as text.
    assert parse("--config", write(tmp_path, "inner: {rate: 1e-4}\n")).inner.rate == 1e-4


def test_unknown_keys_are_refused_with_file_and_nearest_key(tmp_path: Path) -> None:
    file = write(tmp_path, "inner: {rat: 0.5}\n")
    assert (
        refusal("--config", file)
        == f"{file}: inner.rat: unknown key, expected perhaps 'inner.rate'"
    )
    assert refusal("--inner.rat", "1") == "--inner.rat: unknown key, expected perhaps 'inner.rate'"
    assert "sead: unknown key, expected perhaps 'seed'" in refusal("--sead=1")
    assert "sead: unknown key" in refusal("--config", write(tmp_path, "sead: 1\n"))


def test_wrong_types_name_got_and_expected(tmp_path: Path) -> None:
    assert refusal("--seed", "x") == "--seed: got 'x', expected int"
    assert refusal("--inner.limit", "x") == "--inner.limit: got 'x', expected float or null"
    file = write(tmp_path, "seed: 1.5\n")
    assert refusal("--config", file) == f"{file}: seed: got '1.5', expected int"
    assert "inner" in refusal("--config", write(tmp_path, "inner: 3\n"))


def test_refused_values_name_their_whole_key(tmp_path: Path) -> None:
    assert refusal("--inner.rate", "2") == "--inner.rate 2.0, expected in (0, 1]"
    file = write(tmp_path, "inner: {rate: 2}\n")
    assert refusal("--config", file) == f"{file}: inner.rate 2.0, expected in (0, 1]"


@pytest.mark.parametrize("value", [".inf", ".nan", "-.inf"])
def test_numbers_must_be_finite(tmp_path: Path, value: str) -> None:
    file = write(tmp_path, f"inner: {{limit: {value}}}\n")
    assert f"{file}: inner.limit: got" in refusal("--config", file)
    assert "inner.bounds" in refusal("--inner.bounds", f"[0.5, {value}]")


def test_an_anchor_that_holds_itself_is_refused(tmp_path: Path) -> None:
    refusal("--config", write(tmp_path, "inner: &a\n  rate: *a\n"))


def test_duplicate_keys_are_refused_with_their_line(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 1\ninner:\n  rate: 1\n  rate: 0.5\n")
    assert f"{file}:4: key 'inner.rate' is given twice (first on line 3)" in refusal(
        "--config", file
    )


@pytest.mark.parametrize("text", ["seed: [1", "- 1\n", "", "\tseed: 1", "seed: 1\n---\nseed: 2\n"])
def test_files_that_are_no_mapping_are_refused_by_name(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    assert refusal("--config", file).startswith(file)


def test_missing_file_and_stray_words_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal("--config", str(tmp_path / "none.yaml"))
    assert "extra" in refusal("extra")
    refusal("--config")
    refusal("--seed")


def test_defining_fields_leave_operational_ones_out() -> None:
    assert defining_fields(Outer()) == {
        "seed": 0,
        "inner.rate": 0.5,
        "inner.bounds": [0.25, 1.0],
        "inner.limit": None,
    }


def test_dump_is_plain_yaml() -> None:
    assert yaml.safe_load(dump_config(Outer()))["inner"]["bounds"] == [0.25, 1.0]


def parse_positionals(*arguments: str) -> Outer:
    return parse_config(Outer, arguments, "program", ("where", "seed"))


def test_arguments_without_an_option_fill_the_named_fields_in_order(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 3\nwhere: file\n")
    assert parse_positionals() == Outer()
    assert parse_positionals("a") == Outer(where="a")
    assert parse_positionals("a", "--inner.rate", "0.25", "7") == Outer(
        where="a", seed=7, inner=Inner(rate=0.25)
    )
    assert parse_positionals("--inner.rate=0.25", "a b: #c=1") == Outer(
        where="a b: #c=1", inner=Inner(rate=0.25)
    )
    assert parse_positionals("a", "--config", file) == Outer(where="a", seed=3)
    assert parse_positionals("--config", file, "--seed", "4", "a") == Outer(where="a", seed=4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("a", "1", "b"),
            "got 'a' '1' 'b', expected at most 2 arguments without an option: WHERE SEED",
        ),
        (("a", "--where", "b"), "where: given twice, as 'a' and as --where, expected once"),
        (("a", "1", "--seed=2"), "seed: given twice, as '1' and as --seed, expected once"),
        (("a", "x"), "--seed: got 'x', expected int"),
        (("a", "--sead", "1"), "sead: unknown key, expected perhaps 'seed'"),
    ],
)
def test_too_many_or_doubled_arguments_are_one_line(
    arguments: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_positionals(*arguments)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_help_names_the_arguments_without_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_positionals("a", "--help")
    assert "usage: program WHERE SEED --config" in " ".join(capsys.readouterr().out.split())


def test_print_config_takes_no_argument_away(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse_positionals("--print_config", "a")
    assert left.value.code == 0
    assert "where: a" in capsys.readouterr().out


def test_defaults_are_those_of_the_sections_at_hand() -> None:
    changed = parse("--seed", "5", "--inner.rate", "1e-3", "--inner.bounds", "[0, 1]")
    assert default_fields(changed) == defining_fields(Outer())
    assert default_fields(changed).keys() == defining_fields(changed).keys()


@dataclass(frozen=True, kw_only=True)
class Several:
    """A program.

    Attributes:
        names: some.
        seed: the seed.
    """

    names: tuple[str, ...] = ()
    seed: int = 0


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), ()),
        (("--names", "a"), ("a",)),
        (("--names", "a", "b c", "--seed", "3"), ("a", "b c")),
        (("--seed", "3", "--names", "a", '"b"'), ("a", '"b"')),
        (("--names", '["a", "b"]'), ("a", "b")),
        (('--names=["a", "b"]',), ("a", "b")),
    ],
)
def test_a_list_takes_all_words_up_to_the_next_option(
    arguments: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert parse_config(Several, arguments, "program", lists=("names",)).names == names


def test_a_list_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="--names: given twice, expected once"):
        parse_config(Several, ("--names", "a", "--names", "b"), "program", lists=("names",))


def test_a_list_without_a_word_is_refused() -> None:
    with pytest.raises(ConfigError):
        parse_config(Several, ("--names", "--seed", "3"), "program", lists=("names",))


@dataclass(frozen=True, kw_only=True)
class Shape(Choice):
    """A choice.

    Attributes:
        name: what it is called.
    """

    name: str = "it"


@dataclass(frozen=True, kw_only=True)
class Circle(Shape):
    """Round.

    Attributes:
        radius: of it.
    """

    radius: int = 1


@dataclass(frozen=True, kw_only=True)
class Square(Shape):
    """Not round.

    Attributes:
        side: of it.
        inner: a section inside.
    """

    side: int = 2
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A program.

    Attributes:
        shape: what is drawn.
        seed: the seed.
    """

    shape: Shape = field(default_factory=Circle)
    seed: int = 0


def drawing(*arguments: str) -> Drawing:
    return parse_config(Drawing, arguments, "program")


def test_a_choice_is_named_and_its_keys_are_set() -> None:
    assert drawing() == Drawing()
    assert drawing("--shape.radius", "4").shape == Circle(radius=4)
    made = drawing("--shape", "Square", "--shape.inner.rate", "0.25")
    assert made.shape == Square(inner=Inner(rate=0.25))


@pytest.mark.parametrize(
    "null",
    [("--shape.inner.limit", "null"), ("--shape.inner.limit=~",), ("--shape.inner.limit=null",)],
)
def test_null_is_none_in_a_section_of_a_choice(null: tuple[str, ...]) -> None:
    before = ("--shape", "Square", "--shape.inner.rate", "0.25", "--shape.inner.limit", "3")
    assert drawing(*before).shape == Square(inner=Inner(rate=0.25, limit=3))
    assert drawing(*before, *null).shape == Square(inner=Inner(rate=0.25, limit=None))
    assert drawing(*before, *null, "--shape.inner.limit", "4").shape == Square(
        inner=Inner(rate=0.25, limit=4)
    )
    with pytest.raises(ConfigError, match=r"^--shape\.inner.*expected float"):
        drawing("--shape", "Square", "--shape.inner.rate", "null")


def test_a_choice_survives_printing_and_dumping(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = drawing("--shape", "Square", "--shape.side", "7")
    with pytest.raises(SystemExit):
        drawing("--shape", "Square", "--shape.side", "7", "--print_config")
    for text in (capsys.readouterr().out, dump_config(made)):
        file = tmp_path / "drawing.yaml"
        file.write_text(text)
        assert drawing("--config", str(file)) == made
        assert drawing("--config", str(file), "--shape.side", "8").shape == Square(side=8)


def test_which_choice_it_is_defines_a_run() -> None:
    fields = defining_fields(drawing("--shape", "Square"))
    assert fields["shape"] == "Square"
    assert fields["shape.inner.rate"] == 0.5
    assert "shape.radius" not in fields


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shape", "Triangle"), "--shape: got 'Triangle', expected one of Circle, Square"),
        (("--shape.radios", "4"), "shape.radios: unknown key, expected perhaps 'shape.radius'"),
        (("--shape", "Square", "--shape.radius", "4"), "--shape.radius: unknown key"),
        (("--shape.radius", "big"), "--shape.radius: got 'big', expected int"),
        (("--shape", "Square", "--shape.inner.rate", "2"), "--shape.inner.rate 2.0, expected in"),
    ],
)
def test_errors_inside_a_choice_name_their_whole_key(
    arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        drawing(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
