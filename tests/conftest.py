from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps its state per process; every test starts without one, and on one thread.

    Tiny tensors gain nothing from a second thread, and on a busy machine threads wait for each other.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    yield
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    PartialState._reset_state()


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    from gans import save_tiny_encoder  # few tests need the models that it imports

    return save_tiny_encoder(tmp_path_factory.mktemp("mae") / "encoder")


@pytest.fixture(scope="session")
def trained_gan(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: str) -> Path:
    from gans import train_gan

    torch.set_num_threads(1)
    return train_gan(tmp_path_factory.mktemp("gan") / "run", tiny_encoder)
