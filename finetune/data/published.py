"""What is published of the collections: counts that a whole copy, read right, has to give.

Only counts that a reader here must find exactly: rows of the lists, not images that a paper speaks
of. Where releases of a collection differ, what they share. Collections that are missing publish
none, or none that we are sure of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from finetune.data.columns import WHOLE
from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES


@dataclass(frozen=True, kw_only=True)
class Published:
    """Counts of one split.

    Attributes:
        totals: by the names of :data:`finetune.describing.summary.TOTALS`.
        classes: rows by expression.
        units: rows in which an action unit is present, by its name.
        source: who says so.
    """

    totals: Mapping[str, int]
    classes: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, int] = field(default_factory=dict)
    source: str


def _classes(space: str, counts: Sequence[int]) -> dict[str, int]:
    return dict(zip(EXPRESSION_SPACES[space].classes, counts, strict=True))


def _units(space: str, counts: Sequence[int]) -> dict[str, int]:
    return dict(zip(ACTION_UNIT_SPACES[space].names, counts, strict=True))


_ABAW = "the organisers' description of the challenge and its files"
_FER2013 = "Goodfellow et al., ICONIP 2013; the classes as counted in its file"
_RAFDB = "Li, Deng, Du, CVPR 2017; the classes as counted in its file"

#: By kind and split.
PUBLISHED: Mapping[tuple[str, str], Published] = {
    ("aff_wild2_mtl", "train"): Published(
        totals={
            "rows": 142_382,
            "duplicate_rows": 951,
            "videos": 257,
            "valence_arousal": 103_917,
            "expression": 90_645,
            "action_units": 103_316,
            "no_task": 49,
        },
        classes=_classes(
            "aff_wild2_8", (23_976, 4_555, 3_168, 3_122, 18_135, 7_609, 5_228, 24_852)
        ),
        units=_units(
            "aff_wild2_12",
            (
                *(18_713, 8_745, 20_342, 30_605, 41_337, 38_286),
                *(26_783, 2_460, 2_980, 5_003, 70_584, 10_756),
            ),
        ),
        source=_ABAW,
    ),
    ("aff_wild2_mtl", "validation"): Published(
        totals={
            "rows": 26_876,
            "duplicate_rows": 210,
            "videos": 50,
            "valence_arousal": 26_876,
            "expression": 15_440,
            "action_units": 26_876,
        },
        classes=_classes("aff_wild2_8", (1_886, 487, 565, 1_254, 3_751, 1_893, 1_003, 4_601)),
        units=_units(
            "aff_wild2_12",
            (5_531, 2_554, 5_442, 8_818, 13_224, 11_421, 8_319, 782, 757, 808, 20_427, 2_934),
        ),
        source=_ABAW,
    ),
    ("aff_wild2_mtl", "test"): Published(
        totals={"rows": 51_159, "duplicate_rows": 718, "videos": 82}, source=_ABAW
    ),
    ("lsd", "train"): Published(totals={"rows": 277_251}, source=_ABAW),
    ("lsd", "validation"): Published(totals={"rows": 4_670}, source=_ABAW),
    ("lsd", "test"): Published(totals={"rows": 106_120}, source=_ABAW),
    # The rows differ between the releases of 2017 and 2021, those with an expression do not.
    ("affectnet", "train"): Published(
        totals={"expression": 287_651},
        classes=_classes(
            "affectnet_8", (74_874, 134_415, 25_459, 14_090, 6_378, 3_803, 24_882, 3_750)
        ),
        source="Mollahosseini, Hasani, Mahoor, IEEE TAC 2019, and the release of 2021",
    ),
    ("rafdb", "train"): Published(
        totals={"rows": 12_271},
        classes=_classes("rafdb_7", (1_290, 281, 717, 4_772, 1_982, 705, 2_524)),
        source=_RAFDB,
    ),
    ("rafdb", "test"): Published(
        totals={"rows": 3_068},
        classes=_classes("rafdb_7", (329, 74, 160, 1_185, 478, 162, 680)),
        source=_RAFDB,
    ),
    ("fer2013", "train"): Published(
        totals={"rows": 28_709},
        classes=_classes("fer2013_7", (3_995, 436, 4_097, 7_215, 4_830, 3_171, 4_965)),
        source=_FER2013,
    ),
    ("fer2013", "validation"): Published(
        totals={"rows": 3_589},
        classes=_classes("fer2013_7", (467, 56, 496, 895, 653, 415, 607)),
        source=_FER2013,
    ),
    ("fer2013", "test"): Published(
        totals={"rows": 3_589},
        classes=_classes("fer2013_7", (491, 55, 528, 879, 594, 416, 626)),
        source=_FER2013,
    ),
    ("ckplus", WHOLE): Published(
        totals={"rows": 593, "subjects": 123, "expression": 327},
        classes=_classes("ckplus_8", (0, 45, 18, 59, 25, 69, 28, 83)),
        source="Lucey et al., CVPR Workshops 2010",
    ),
    ("disfa", WHOLE): Published(
        totals={"videos": 27, "subjects": 27}, source="Mavadati et al., IEEE TAC 2013"
    ),
    ("afew_va", WHOLE): Published(totals={"videos": 600}, source="Kossaifi et al., IVC 2017"),
    ("raf_au", WHOLE): Published(totals={"rows": 4_601}, source="Yan et al., ACCV 2020"),
}
