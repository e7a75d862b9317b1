"""A tree of label files for every kind that reads files, the challenges' and ours beside TREES."""

from dataclasses import dataclass

from label_files import TREES, write

from finetune.data.config import LabelledConfig

_MTL = "image,valence,arousal,expression,aus\n"
_UNITS = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26\n"
_EIGHT = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"


@dataclass(frozen=True)
class Tree:
    """Files, and how they are read."""

    kind: str
    split: str
    files: dict
    track: str | None = None

    def lay_out(self, root):
        """Writes the files and returns the config that reads them."""
        for name, content in self.files.items():
            write(root / name, content)
        return LabelledConfig(kind=self.kind, root=str(root), split=self.split, track=self.track)


#: By name; every one has rows whose labels are all different.
EVERY = {
    **{name: Tree(name.split()[0], split, files) for name, (split, files) in TREES.items()},
    "aff_wild2_mtl": Tree(
        "aff_wild2_mtl",
        "train",
        {
            "training_set_annotations.txt": _MTL
            + "426/00001.jpg,0.00,0.05,0,0,0,1,0,0,0,0,0,0,0,1,0\n"
            + "426/00003.jpg,-0.5,0.25,-1,1,0,0,0,0,0,0,0,0,0,0,0\n"
            + "video45_1/00050.jpg,-5,-5,7,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1\n"
            + "426/00001.jpg,0.00,0.05,0,0,0,1,0,0,0,0,0,0,0,1,0\n"
            + "9_left/00002.jpg,1,-1,3,0,1,0,1,0,1,0,1,0,1,0,1\n"
        },
    ),
    "aff_wild2_mtl test": Tree(
        "aff_wild2_mtl",
        "test",
        {
            "MTL_Challenge_test_set_release.txt": "image\n7/00001.jpg\nvideo2_1/00009.jpg\n"
            "7/00001.jpg\n7/00004.jpg\n"
        },
    ),
    "aff_wild2_video VA": Tree(
        "aff_wild2_video",
        "validation",
        {
            "VA_Estimation_Challenge/Validation_Set/10_left.txt": "valence,arousal\n0.12,-0.05\n"
            "-5,-5\n1,-1\n",
            "VA_Estimation_Challenge/Validation_Set/9.txt": "valence,arousal\n-0.25,0.5\n",
        },
        "VA",
    ),
    "aff_wild2_video EXPR": Tree(
        "aff_wild2_video",
        "train",
        {
            "EXPR_Classification_Challenge/Train_Set/3.txt": _EIGHT + "4\n-1\n7\n",
            "EXPR_Classification_Challenge/Train_Set/4.txt": _EIGHT + "0\n",
        },
        "EXPR",
    ),
    "aff_wild2_video AU": Tree(
        "aff_wild2_video",
        "train",
        {
            "AU_Detection_Challenge/Train_Set/3.txt": _UNITS
            + "0,1,0,0,0,0,1,0,0,0,1,0\n-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1\n",
            "AU_Detection_Challenge/Train_Set/8.txt": _UNITS + "1,0,0,0,1,0,0,0,-1,0,0,1\n",
        },
        "AU",
    ),
    "lsd": Tree(
        "lsd",
        "train",
        {
            f"training_set_synthetic_images/{folder}/{number}.jpg": ""
            for place, folder in enumerate(
                ("ANGRER", "DISGUST", "FEAR", "HAPPINESS", "SADNESS", "SURPRISE"), start=1
            )
            for number in range(place)
        },
    ),
    "lsd test": Tree(
        "lsd",
        "test",
        {"LSD_Challenge_test_set_release.txt": "image\n1.jpg\n0.jpg\n10.jpg\n1.jpg\n"},
    ),
    "manifest": Tree(
        "manifest",
        "train",
        {
            "train.csv": "image,valence,arousal,expression,AU1,AU12,subject,video,frame,note\n"
            'a/1.jpg,0.25,-0.1,Happiness,0,1,s1,a,1,"x, y"\n'
            "b.jpg,,,neutral,,,s2,b,1,\n"
            "b.jpg,-1,1,,1,,s2,b,7,z\n"
        },
    ),
}

#: Those whose labels are text with one comma-separated row a line.
TEXTS = [
    name
    for name, tree in EVERY.items()
    if all(content for content in tree.files.values()) and name != "affectnet folders"
]
