"""The dials of the drawn faces."""

from dataclasses import dataclass

from pretrain.data.generated import check_integers

SPLITS = ("pretrain", "cnn", "train", "development", "test")
SUBJECTS_PER_SPLIT = 100_000


@dataclass(frozen=True, kw_only=True)
class Style:
    """What distinguishes one kind of recording.

    Attributes:
        gain: factor on the AUs that an expression moves.
        posed: whether images gather around the class prototypes (else they roam the VA plane).
        yaw: standard deviation of the head turn in degrees, cut at 40.
        roll: standard deviation of the head tilt in degrees.
        occluded: share of images with an occluder.
        degraded: share of images with blur, and of images with a JPEG round trip.
        grain: mean grain in grey levels.
    """

    gain: float
    posed: bool
    yaw: float
    roll: float
    occluded: float
    degraded: float
    grain: float


STYLES = {
    "posed": Style(gain=1.15, posed=True, yaw=4, roll=2, occluded=0, degraded=0.1, grain=2),
    "wild": Style(gain=1.0, posed=False, yaw=16, roll=7, occluded=0.15, degraded=0.3, grain=3),
    "exaggerated": Style(gain=1.4, posed=False, yaw=10, roll=8, occluded=0.05, degraded=0, grain=0),
}


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Which drawn faces, and what their labels share.

    Attributes:
        count: number of images.
        size: pixels a side, 32..512.
        subjects: number of subjects the images are spread over, 1..100000.
        split: pretrain, cnn, train, development or test; no subject is in two of them.
        style: posed (stills near the class prototypes), wild or exaggerated.
        task_coupling: 0, 0.5 or 1: how much expression, AUs and VA share.
        score_sufficiency: rho, 0.3, 0.6 or 1: what expression and AU scores can know of VA.
        redundancy: local (affect shows in one region) or wide (face-wide).
        overlap: whether images may have labels of both expression and AUs; false: of one of them.
        frames_per_video: 0: stills; else images are the frames of videos, so many of each, five a
            second, with gaps in their numbers.
        voice_share: share of the variance of arousal that only the voice tells, in [0, 1]; above 0
            for videos alone.
        silent_share: share of the videos that have no sound.
        seed: seed of everything, 0 or more.
    """

    count: int = 20_000
    size: int = 64
    subjects: int = 400
    split: str = "pretrain"
    style: str = "wild"
    task_coupling: float = 1.0
    score_sufficiency: float = 0.6
    redundancy: str = "wide"
    overlap: bool = True
    frames_per_video: int = 0
    voice_share: float = 0.0
    silent_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside the documented ranges."""
        check_integers(
            self,
            count=(1, 10**9),
            size=(32, 512),
            subjects=(1, SUBJECTS_PER_SPLIT),
            frames_per_video=(0, 10_000),
            seed=(0, 2**63),
        )
        for name, choices in (
            ("split", SPLITS),
            ("style", tuple(STYLES)),
            ("task_coupling", (0.0, 0.5, 1.0)),
            ("score_sufficiency", (0.3, 0.6, 1.0)),
            ("redundancy", ("local", "wide")),
        ):
            value = getattr(self, name)
            if value not in choices:
                options = ", ".join(str(choice) for choice in choices)
                raise ValueError(f"{name} {value!r}, expected one of {options}")
        for name in ("voice_share", "silent_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected in [0, 1]")
        if self.voice_share and not self.frames_per_video:
            raise ValueError(f"voice_share {self.voice_share} with stills, expected 0")
        if self.frames_per_video and STYLES[self.style].posed:
            raise ValueError(
                f"frames_per_video {self.frames_per_video} with style {self.style}, expected 0:"
                " posed faces are stills"
            )
