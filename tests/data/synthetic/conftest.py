import pytest

from pretrain.data.drawing.state import FaceState
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.synthetic.annotation import Labels


@pytest.fixture(scope="session")
def faces() -> SyntheticFaces:
    return SyntheticFaces(SyntheticConfig(count=4000))


@pytest.fixture(scope="session")
def states(faces: SyntheticFaces) -> list[FaceState]:
    return [faces.state(i) for i in range(len(faces))]


@pytest.fixture(scope="session")
def labels(faces: SyntheticFaces) -> list[Labels]:
    return [faces.labels(i) for i in range(len(faces))]
