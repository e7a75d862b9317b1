"""Which labelled images are trained on, and which are held out for what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from finetune.data.config import SYNTHETIC, LabelledConfig
from finetune.data.sound.sounds import SoundConfig
from finetune.labels import MAPPINGS
from pretrain.data.colour import ColourConfig
from pretrain.data.config import AugmentedConfig
from pretrain.engine.optim import OptimConfig

#: The sum of what all labelled tasks score: P_MTL where there are three.
SUM = "sum"

#: Other numbers by which weights can be chosen: the larger, the better.
METRICS = (
    *("p_mtl", "p_va", "p_expr", "p_au", "lsd_f1", "macro_f1", "macro_f1_of_occurring"),
    *("weighted_f1", "accuracy", "mean_recall", "mean_unit_f1", "unit_accuracy"),
    *("abaw_2020_expression", "abaw_2020_action_units"),
)

#: The training images that a share leaves out.
REST = "rest"


@dataclass(frozen=True, kw_only=True)
class TrainDataConfig(AugmentedConfig, LabelledConfig):
    """The images to train on, and what is done to them.

    Attributes:
        split: train, validation, test or all, as far as the kind has it.
        colour: colour jitter.
        mapping: how expressions without a counterpart in the model's are counted; null: as
            missing, or contempt_to_other.
        share: share of the training groups (recordings, people, else images) that is used, in
            (0, 1], drawn by seed.
        unlabelled: images without labels, for systems that are trained on masked views: rest (the
            training images that share leaves out) or what data.source of stage one may be; null:
            none.
        unlabelled_passes: passes over them in an epoch.
    """

    split: str | None = "train"
    colour: ColourConfig = field(default_factory=ColourConfig)
    mapping: str | None = None
    share: float = 1.0
    unlabelled: str | None = None
    unlabelled_passes: float = 1.0

    def __post_init__(self) -> None:
        """Refuses what either part refuses, an unknown mapping, and a share of nothing."""
        LabelledConfig.__post_init__(self)
        AugmentedConfig.__post_init__(self)
        if self.mapping is not None and self.mapping not in MAPPINGS:
            raise ValueError(
                f"mapping {self.mapping!r}, expected null or one of {', '.join(MAPPINGS)}"
            )
        if not 0 < self.share <= 1:
            raise ValueError(f"share {self.share}, expected in (0, 1]")
        if self.unlabelled == REST and self.share == 1:
            raise ValueError("unlabelled rest with share 1, expected a share below")
        if not 0 < self.unlabelled_passes <= 1000:
            raise ValueError(f"unlabelled_passes {self.unlabelled_passes}, expected in (0, 1000]")


@dataclass(frozen=True, kw_only=True)
class HeldOutConfig:
    """Labelled images that are scored in the end.

    Attributes:
        split: of them; null: none are scored.
        kind: of another collection (as data.kind); null: the one that is trained on.
        root: its folder.
        track: VA, EXPR or AU, for aff_wild2_video alone.
        sound: of another collection's videos.
        count: drawn faces of the split, for kind synthetic; null: as many as in training.
        style: of the drawn faces, for kind synthetic; null: as in training.
        every_epochs: score them on the way as well, for the log; null: in the end only.
    """

    split: str | None = "validation"
    kind: str | None = None
    root: str | None = field(default=None, metadata={"operational": True})
    track: str | None = None
    sound: SoundConfig = field(default_factory=SoundConfig)
    count: int | None = None
    style: str | None = None
    every_epochs: float | None = field(default=None, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses a root without a kind, and an interval that is none."""
        if self.kind is None and (self.root is not None or self.track is not None):
            raise ValueError("root or track without a kind, expected a kind or neither")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count {self.count}, expected at least 1 or null")
        if self.every_epochs is not None and self.every_epochs <= 0:
            raise ValueError(f"every_epochs {self.every_epochs}, expected > 0 or null")

    def labelled(self, data: TrainDataConfig) -> LabelledConfig:
        """What to read."""
        assert self.split is not None
        kind = self.kind or data.kind
        given = {"count": self.count, "style": self.style}
        drawn: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        if drawn and kind != SYNTHETIC:
            name, value = next(iter(drawn.items()))
            raise ValueError(f"validation.{name} {value} with kind {kind!r}, expected null")
        return LabelledConfig(
            kind=kind,
            root=self.root if self.kind else data.root,
            split=self.split,
            track=self.track if self.kind else data.track,
            expressions=data.expressions,
            sound=self.sound if self.kind else data.sound,
            synthetic=replace(data.synthetic, **drawn),
        )


@dataclass(frozen=True, kw_only=True)
class SelectionConfig:
    """Which weights are kept. Without a split or a share: the last ones.

    Attributes:
        split: of the collection that is trained on, on which the best weights are chosen; not the
            one that is scored; null: none.
        share: share of the training groups (recordings, people, else images) that is held out of
            training for it, in [0, 0.5]; 0: none.
        every_epochs: how often weights are looked at.
        metric: what has to be largest: sum (of the mean CCC, the macro-F1 of expressions and the
            mean F1 of AUs, as far as they are labelled), or another score that is one number.
    """

    split: str | None = None
    share: float = 0.0
    every_epochs: float = 1.0
    metric: str = SUM

    def __post_init__(self) -> None:
        """Refuses two ways at once, and numbers out of range."""
        if not 0 <= self.share <= 0.5:
            raise ValueError(f"share {self.share}, expected in [0, 0.5]")
        if self.split is not None and self.share:
            raise ValueError(f"split {self.split!r} and share {self.share}, expected one of them")
        if self.every_epochs <= 0:
            raise ValueError(f"every_epochs {self.every_epochs}, expected > 0")
        if self.metric != SUM and self.metric not in METRICS:
            raise ValueError(
                f"metric {self.metric!r}, expected {SUM} or one of {', '.join(METRICS)}"
            )

    @property
    def wanted(self) -> bool:
        """Whether weights are chosen at all."""
        return self.split is not None or self.share > 0


@dataclass(frozen=True, kw_only=True)
class FinetuneOptimConfig(OptimConfig):
    """AdamW, learning rates that fall with depth, linear warm-up and half-cosine decay.

    Attributes:
        base_lr: learning rate of heads for 256 images a step; the peak is base_lr *
            global_batch_size / 256.
        layer_decay: factor on the learning rate a layer below the heads, in (0, 1]; 1 gives all
            layers the same. Only encoders of the ViT kind have layers.
    """

    base_lr: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_epochs: float = 5.0
    min_lr: float = 1e-6
    layer_decay: float = 0.65

    def __post_init__(self) -> None:
        """Refuses values outside their ranges."""
        super().__post_init__()
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay {self.layer_decay}, expected in (0, 1]")
