"""Stage one: masked-autoencoder pretraining on faces, and the engine both stages stand on."""

from typing import Any

__all__ = ["load_encoder", "load_mae"]


def __getattr__(name: str) -> Any:
    """Opens ``pretrain.load`` on first use: importing a submodule does not import the models."""
    if name in __all__:
        from pretrain import load

        return getattr(load, name)
    raise AttributeError(f"module 'pretrain' has no attribute {name!r}")
