"""Drawn faces with labels: the default data, with named dials and known ceilings.

If valence and arousal (VA) simply followed from expression and action units (AUs), a method that
predicts VA from their scores would be right by construction. So what each label shares with the
others is a dial, and `ceilings` measures what any method could reach.

The state of a face is a set of independent standard normals (`Latents`): a still draws them once,
from the stationary distribution; a video (`frames_per_video`) lets them wander (Ornstein-Uhlenbeck)
and passes them to the same `face_state`.

    expression    softmax of closeness to the class prototypes in the VA plane
    AUs           Du, Tao & Martinez (PNAS 2014) x gain + residual + speech on AU25/26
    VA            rho * f(expression, AUs) + (1 - rho) * hidden, rescaled to a constant spread;
                  hidden shows only in gaze, lids, blush and head droop

Dials of `SyntheticConfig`: `task_coupling` (how much the three share: the states behind expression
and AUs correlate by it, and rho becomes rho * coupling), `score_sufficiency` (rho) and
`redundancy` ("local": what expression moves shows from the nose downward only and the hidden part
of VA in the eyes only, other AUs keep their residual; "wide": all over the face).

An expression also has a sign of its own that is no AU (smile lines, tears, ...), else it could not
be seen at task coupling 0. At coupling 0 rho has no effect: VA is the hidden part alone.

Where things are: `config` (the dials), `expressions` (classes, their AUs and their place in the VA
plane), `subjects` (people), `affect` (latents to face state), `annotation` (face state to labels),
`nuisance` (pose, light, occluders), `videos` (how states wander), `faces` (all of it by index),
`ceilings`.

Ceilings, measured with `ceilings(SyntheticConfig(score_sufficiency=rho), samples=60_000)` of
`pretrain.data.synthetic.ceilings`: the best CCC on noisy labels from the true expression and AU
scores alone, and from all latents.

    rho                          0.3           0.6           1
    scores, valence / arousal    .382 / .360   .808 / .760   .967 / .910
    latents, valence / arousal   .965 / .900   .966 / .905   .967 / .910

At every rho, given either: expression accuracy .794 and macro F1 .768, mean AU F1 .938. Pixels
know less than the latents (occluders, blur, small size), so a model stays below these.
"""

from pretrain.data.synthetic.config import SyntheticConfig
from pretrain.data.synthetic.faces import SyntheticFaces

__all__ = ["SyntheticConfig", "SyntheticFaces"]
