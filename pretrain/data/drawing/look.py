"""How a subject looks."""

from dataclasses import dataclass

from pretrain.data.drawing.colours import Colour

HAIR_STYLES = ("short", "parted", "fringe", "long", "bob", "curly", "bun", "buzz", "bald", "scarf")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a subject looks. Colours are RGB 0..255; shape factors are near 1, offsets near 0.

    Attributes:
        skin: skin colour in neutral light.
        hair: hair, brow and beard colour.
        iris: eye colour.
        lips: lip colour.
        accent: colour of the scarf and of the glasses' frame.
        hair_style: one of `HAIR_STYLES`.
        beard: one of `BEARDS`.
        glasses: one of `GLASSES`.
        jaw: width of the jaw.
        chin: length of the chin.
        width: width of the head.
        eye_size: size of the eyes.
        eye_gap: distance between the eyes.
        eye_tilt: height of the outer eye corners, positive up.
        brow_thickness: thickness of the brows.
        brow_arch: arch of the brows.
        nose_width: width of the nose.
        nose_length: length of the nose.
        mouth_width: width of the mouth at rest.
        lip_fullness: fullness of the lips.
        age: strength of the permanent folds in [0, 1].
        resting_brow: 0..1, a resting brow that mimics AU4.
        resting_mouth: 0..1, a resting mouth that mimics AU15.
        lashes: strength of the lashes in [0, 1].
    """

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    accent: Colour
    hair_style: str
    beard: str
    glasses: str
    jaw: float
    chin: float
    width: float
    eye_size: float
    eye_gap: float
    eye_tilt: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    age: float
    resting_brow: float
    resting_mouth: float
    lashes: float
