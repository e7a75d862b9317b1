"""Stage two: affect recognition on pretrained encoders."""

from typing import Any

__all__ = ["load_model"]


def __getattr__(name: str) -> Any:
    """Opens ``finetune.load`` on first use: arithmetic on tables needs no torch."""
    if name in __all__:
        from finetune import load

        return getattr(load, name)
    raise AttributeError(f"module 'finetune' has no attribute {name!r}")
