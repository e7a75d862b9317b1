from collections.abc import Iterator

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
