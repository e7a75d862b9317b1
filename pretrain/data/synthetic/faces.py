"""The drawn faces by index: image, true state and labels."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.face import draw_face
from pretrain.data.drawing.state import FaceState
from pretrain.data.generated import GeneratedNames
from pretrain.data.order import mix
from pretrain.data.sources import LabelledSource
from pretrain.data.synthetic import videos
from pretrain.data.synthetic.affect import Latents, face_state, heard_arousal
from pretrain.data.synthetic.annotation import Labels, annotate, withhold
from pretrain.data.synthetic.config import SPLITS, STYLES, SUBJECTS_PER_SPLIT, SyntheticConfig
from pretrain.data.synthetic.expressions import EXPRESSIONS
from pretrain.data.synthetic.nuisance import draw_scene
from pretrain.data.synthetic.subjects import Subject, subject
from pretrain.data.synthetic.voice import speak


@dataclass(frozen=True, kw_only=True, eq=False)
class Chances:
    """Everything random about one image, by what it decides.

    Attributes:
        who: the subject.
        pose: [3] uniforms, the classes that a posed still aims at.
        latents: [26] standard normals, the state of the face.
        lagged: [26] the state that annotators of valence and arousal see; of a still the same.
        voice: what the voice tells, now and then; of a still nothing.
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
    lagged: NDArray[np.float64]
    voice: tuple[float, float]
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
        recordings = np.arange(config.count, dtype=np.uint64)
        if config.frames_per_video:
            recordings //= np.uint64(config.frames_per_video)
        key = mix(mix(np.uint64(config.seed), self._split), recordings)
        first = self._split * SUBJECTS_PER_SPLIT
        self._subjects = (key % np.uint64(config.subjects)).astype(np.int64) + first
        self.names = GeneratedNames(
            config.count, self._frame_name if config.frames_per_video else self._still_name
        )

    def __len__(self) -> int:
        return self.config.count

    def image(self, index: int) -> NDArray[np.uint8]:
        """[size, size, 3] uint8 RGB."""
        chances = self._chances(index)
        style = STYLES[self.config.style]
        scene = draw_scene(style, chances.scene_uniforms, chances.scene_normals)
        state = self._state(chances, chances.latents, chances.voice[0])
        return draw_face(chances.who.look, state, scene, self.config.size, chances.grain)

    def state(self, index: int) -> FaceState:
        """The true state of an image."""
        chances = self._chances(index)
        return self._state(chances, chances.latents, chances.voice[0])

    def video(self, index: int) -> tuple[str, int] | None:
        """Name of the video of an image, and the number of its frame; None: a still."""
        length = self.config.frames_per_video
        if not length:
            return None
        at = range(len(self))[index]
        video, place = divmod(at, length)
        return self._video_name(at), int(self._path(video).frames[place])

    def voice(self, video: int) -> NDArray[np.float32] | None:
        """Sound of a video by its number, at 16 kHz, from its first frame on; None: silent."""
        config = self.config
        rng = np.random.Generator(np.random.PCG64((config.seed, 6, self._split, video)))
        if rng.random() < config.silent_share:
            return None
        known = self._path(video)
        return speak(known.voice[known.delay :], rng)

    def labels(self, index: int) -> Labels:
        """What the annotators recorded of an image.

        Returns:
            `subject`; `valence` and `arousal` in [-1, 1]; `expression`, a name of `EXPRESSIONS`;
            `AU1` ... `AU26`, 0.0 or 1.0. None is a missing label; missing is decided per image.
        """
        chances = self._chances(index)
        return {
            "subject": chances.who.name,
            **withhold(self._annotated(chances), chances.missing, self.config.overlap),
        }

    def state_and_all_labels(self, index: int) -> tuple[FaceState, Labels]:
        """The true state of an image and its labels, had none gone missing."""
        chances = self._chances(index)
        state = self._state(chances, chances.latents, chances.voice[0])
        return state, self._annotated(chances)

    def _annotated(self, chances: Chances) -> Labels:
        state = self._state(chances, chances.latents, chances.voice[0])
        labels = annotate(state, chances.raters, chances.annotation)
        if chances.lagged is chances.latents:
            return labels
        late = self._state(chances, chances.lagged, chances.voice[1])
        affect = annotate(late, chances.raters, chances.annotation)
        return labels | {name: affect[name] for name in ("valence", "arousal")}

    def _chances(self, index: int) -> Chances:
        at = range(len(self))[index]
        length = self.config.frames_per_video
        chances = self._draws(at, 2, at) if not length else self._draws(at, 3, at // length)
        if not length:
            return chances
        found, place = self._path(at // length), at % length
        frame, still = int(found.frames[place]) - 1, chances.scene_normals
        return replace(
            chances,
            latents=found.latents[place],
            lagged=found.lagged[place],
            voice=(float(found.voice[frame + found.delay]), float(found.voice[frame])),
            annotation=found.annotation[place].tolist(),
            raters=found.raters[place],
            scene_normals=[*found.pose[place].tolist(), *still[len(found.pose[place]) :]],
            grain=np.random.Generator(np.random.PCG64((self.config.seed, 5, self._split, at))),
        )

    def _path(self, video: int) -> videos.Path:
        config = self.config
        return videos.path(config.seed, self._split, video, config.frames_per_video)

    def _draws(self, at: int, purpose: int, number: int) -> Chances:
        """What is drawn once for a still, or for a whole video."""
        rng = np.random.Generator(np.random.PCG64((self.config.seed, purpose, self._split, number)))
        u, z = rng.random(64).tolist(), rng.standard_normal(64)
        state = z[0:26]
        return Chances(
            who=subject(self.config.seed, int(self._subjects[at])),
            pose=u[0:3],
            latents=state,
            lagged=state,
            voice=(0.0, 0.0),
            missing=u[3],
            annotation=u[4:23],
            raters=z[26:34],
            scene_uniforms=u[32:64],
            scene_normals=z[40:64].tolist(),
            grain=rng,
        )

    def _state(self, chances: Chances, z: NDArray[np.float64], voice: float) -> FaceState:
        u = chances.pose
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
        shown = face_state(latents, chances.who, self.config)
        share = self.config.voice_share
        return (
            replace(shown, arousal=heard_arousal(shown.arousal, voice, share)) if share else shown
        )

    def _still_name(self, index: int) -> str:
        return f"s{self._subjects[index]:06d}/{index:07d}"

    def _video_name(self, index: int) -> str:
        return f"s{self._subjects[index]:06d}-v{index // self.config.frames_per_video:05d}"

    def _frame_name(self, index: int) -> str:
        known = self.video(index)
        assert known is not None
        return f"{known[0]}/{known[1]:05d}"
