"""The drawn faces by index: image, true state and labels."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.face import draw_face
from pretrain.data.drawing.state import FaceState
from pretrain.data.generated import GeneratedNames
from pretrain.data.order import mix
from pretrain.data.sources import LabelledSource
from pretrain.data.synthetic.affect import Latents, face_state
from pretrain.data.synthetic.annotation import Labels, annotate, withhold
from pretrain.data.synthetic.config import SPLITS, STYLES, SUBJECTS_PER_SPLIT, SyntheticConfig
from pretrain.data.synthetic.expressions import EXPRESSIONS
from pretrain.data.synthetic.nuisance import draw_scene
from pretrain.data.synthetic.subjects import Subject, subject


@dataclass(frozen=True, kw_only=True, eq=False)
class Chances:
    """Everything random about one image, by what it decides.

    Attributes:
        who: the subject.
        pose: [3] uniforms, the classes that a posed still aims at.
        latents: [26] standard normals, the state of the face.
        missing: one uniform, which labels are missing.
        annotation: [19] uniforms, confusion and missed AUs.
        raters: [8] standard normals, the raters' errors.
        scene_uniforms: [32] for the nuisance.
        scene_normals: [24] for the nuisance.
        grain: generator of the sensor noise.
    """

    who: Subject
    pose: list[float]
    latents: NDArray[np.float64]
    missing: float
    annotation: list[float]
    raters: NDArray[np.float64]
    scene_uniforms: list[float]
    scene_normals: list[float]
    grain: np.random.Generator


class SyntheticFaces(LabelledSource):
    """Drawn faces, each a pure function of (config, index).

    Source: our own construction; AU table of Du, Tao & Martinez, "Compound facial expressions of
    emotion", PNAS 2014; class means of AffectNet.
    """

    def __init__(self, config: SyntheticConfig) -> None:
        """Prepare the list of subjects; draws nothing."""
        self.config = config
        self._split = SPLITS.index(config.split)
        key = mix(
            mix(np.uint64(config.seed), self._split), np.arange(config.count, dtype=np.uint64)
        )
        first = self._split * SUBJECTS_PER_SPLIT
        self._subjects = (key % np.uint64(config.subjects)).astype(np.int64) + first
        self.names = GeneratedNames(config.count, partial(_name, self._subjects))

    def __len__(self) -> int:
        return self.config.count

    def image(self, index: int) -> NDArray[np.uint8]:
        """[size, size, 3] uint8 RGB."""
        chances = self._chances(index)
        style = STYLES[self.config.style]
        scene = draw_scene(style, chances.scene_uniforms, chances.scene_normals)
        state = self._state(chances)
        return draw_face(chances.who.look, state, scene, self.config.size, chances.grain)

    def state(self, index: int) -> FaceState:
        """The true state of an image."""
        return self._state(self._chances(index))

    def labels(self, index: int) -> Labels:
        """What the annotators recorded of an image.

        Returns:
            `subject`; `valence` and `arousal` in [-1, 1]; `expression`, a name of `EXPRESSIONS`;
            `AU1` ... `AU26`, 0.0 or 1.0. None is a missing label; missing is decided per image.
        """
        chances = self._chances(index)
        labels = annotate(self._state(chances), chances.raters, chances.annotation)
        return {"subject": chances.who.name, **withhold(labels, chances.missing)}

    def state_and_all_labels(self, index: int) -> tuple[FaceState, Labels]:
        """The true state of an image and its labels, had none gone missing."""
        chances = self._chances(index)
        state = self._state(chances)
        return state, annotate(state, chances.raters, chances.annotation)

    def _chances(self, index: int) -> Chances:
        at = range(len(self))[index]
        rng = np.random.Generator(np.random.PCG64((self.config.seed, 2, self._split, at)))
        u, z = rng.random(64).tolist(), rng.standard_normal(64)
        return Chances(
            who=subject(self.config.seed, int(self._subjects[at])),
            pose=u[0:3],
            latents=z[0:26],
            missing=u[3],
            annotation=u[4:23],
            raters=z[26:34],
            scene_uniforms=u[32:64],
            scene_normals=z[40:64].tolist(),
            grain=rng,
        )

    def _state(self, chances: Chances) -> FaceState:
        u, z = chances.pose, chances.latents
        pose = int(u[0] * len(EXPRESSIONS))
        other = pose if u[1] < self.config.task_coupling else int(u[2] * len(EXPRESSIONS))
        latents = Latents(
            core=z[0:2],
            expression=z[2:4],
            action_units=z[4:6],
            hidden=z[6:8],
            residual=z[8:24],
            speech=float(z[24]),
            gaze=float(z[25]),
            posed=(pose, other),
        )
        return face_state(latents, chances.who, self.config)


def _name(subjects: NDArray[np.int64], index: int) -> str:
    return f"s{subjects[index]:06d}/{index:07d}"
