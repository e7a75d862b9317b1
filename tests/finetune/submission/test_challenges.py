"""What each challenge asks for: names, headers and spaces, restated."""

import pytest

from finetune.submission.challenges import CHALLENGES, ChallengeError, challenge

TWELVE = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
EIGHT = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
CLASSES = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"


@pytest.mark.parametrize(
    ("name", "header", "columns", "classes"),
    [
        (
            "abaw_mtl",
            "image,valence,arousal,expression,aus",
            f"valence,arousal,expression,{TWELVE}",
            f"{CLASSES},Other",
        ),
        ("abaw_lsd", "image,expression", "expression", CLASSES.removeprefix("Neutral,")),
        ("abaw_va", "image_location,valence,arousal", "valence,arousal", ""),
        ("abaw_expr", f"image_location,{CLASSES},Other", "expression", f"{CLASSES},Other"),
        ("abaw_au", f"image_location,{TWELVE}", TWELVE, ""),
        ("abaw1_va", "valence,arousal", "valence,arousal", ""),
        ("abaw1_expr", CLASSES, "expression", CLASSES),
        ("abaw1_au", EIGHT, EIGHT, ""),
        ("abaw2_va", "valence,arousal", "valence,arousal", ""),
        ("abaw2_expr", CLASSES, "expression", CLASSES),
        ("abaw2_au", TWELVE, TWELVE, ""),
        ("abaw3_va", "valence,arousal", "valence,arousal", ""),
        ("abaw3_expr", f"{CLASSES},Other", "expression", f"{CLASSES},Other"),
        ("abaw3_au", TWELVE, TWELVE, ""),
    ],
)
def test_what_is_asked_for(name, header, columns, classes):
    asked = challenge(name)
    assert asked.header == header
    assert ",".join(asked.columns) == columns
    assert ",".join(asked.expressions.classes if asked.expressions else ()) == classes
    assert asked.per_video == (name[4] in "123")


def test_there_are_no_others():
    assert len(CHALLENGES) == 14
    with pytest.raises(
        ChallengeError, match="challenge 'abaw', expected one of abaw_mtl, abaw_lsd,"
    ):
        challenge("abaw")
