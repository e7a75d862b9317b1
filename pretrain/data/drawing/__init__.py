"""How a face state becomes pixels: the drawing side of the embedded faces.

`face.draw_face` is a pure function of a look (`look.py`: who), a state (`state.py`: what the face
does), a scene (`scene.py`: how it is seen) and, for the grain, a random generator:

1. Each part of the face outlines itself in face coordinates (`sketch.py`): `head`, `hair`, `eyes`,
   `brows`, `nose`, `mouth`, `signs`, `beard`, `glasses`, `occluders`.
2. The sketch projects all outlines at once: head pose, position, scale.
3. The parts are painted back to front in flat colours on a supersampled canvas (`pen.py`), which
   is then reduced.
4. Soft light, blush and shading are one product on the small image (`light.py`), which keeps a
   64-pixel face near a millisecond; then come the backdrop, grain, blur and JPEG (`scene.py`).

Face coordinates: the origin lies between eyes and nose, x to the viewer's right, y down, z out of
the face; the head is about 2 units wide and 2.6 high. A point of the face gets its depth from an
ellipsoid plus a lift (nose tip, chin), so yaw and pitch shift and foreshorten features.
"""
