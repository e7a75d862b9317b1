"""The dials refuse what they do not know."""

import pytest

from pretrain.data.synthetic import SyntheticConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0),
        ("count", 2.5),
        ("size", 31),
        ("size", 513),
        ("size", True),
        ("subjects", 0),
        ("subjects", 100_001),
        ("split", "validation"),
        ("style", "cartoon"),
        ("task_coupling", 0.7),
        ("score_sufficiency", 0.5),
        ("redundancy", "none"),
        ("seed", -1),
    ],
)
def test_a_refused_value_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} {value!r}, expected "):
        SyntheticConfig(**{name: value})  # type: ignore[arg-type]
