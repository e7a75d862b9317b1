"""Small pictures in the page, and what stands there for a picture that is not."""

import base64
import io

import numpy as np
from label_files import write
from PIL import Image
from report_pages import Page

from finetune.data.config import LabelledConfig
from finetune.data.opening import Collection, read_collection
from finetune.reporting.thumbnails import SIDE, Thumbnails, encoded
from pretrain.errors import UserError


def picture(colour, size=(40, 40)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def collection(root, **images):
    """A manifest of a.png, b.png and c.png, of which these are there."""
    write(root / "validation.csv", "image,valence\na.png,0\nb.png,0.5\nc.png,1\n")
    for name, content in images.items():
        write(root / f"{name}.png", content)
    return read_collection(LabelledConfig(kind="manifest", root=str(root)))


def shown(element):
    """The pixels of an img."""
    kind, content = element["attributes"]["src"].split(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_a_row_has_its_own_image(tmp_path):
    whole = collection(tmp_path, a=picture("red"), b=picture("lime"), c=picture("blue"))
    thumbnails = Thumbnails(whole)
    assert thumbnails.problem == ""
    for row, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        [element] = Page(thumbnails.of(row, "a 'face'")).elements
        assert element["attributes"]["alt"] == "a 'face'"
        assert np.abs(shown(element)[20, 20].astype(int) - colour).max() < 4


def test_large_images_become_small_and_keep_their_shape():
    rng = np.random.default_rng(0)
    for height, width in [(1000, 500), (SIDE, SIDE), (30, 20), (2000, 1)]:
        pixels = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
        with Image.open(io.BytesIO(encoded(pixels))) as image:
            assert max(image.size) == min(SIDE, max(height, width))
            assert image.width == max(1, round(width * min(1, SIDE / height)))


def test_absent_and_unreadable_images_are_boxes_that_say_so(tmp_path):
    thumbnails = Thumbnails(collection(tmp_path, a=picture("red"), c=b"no <image>"))
    assert thumbnails.problem == "1 of 3 listed images are absent: b.png"
    assert Page(thumbnails.of(0, "")).elements[0]["tag"] == "img"
    assert Page(thumbnails.of(1, "")).texts("div") == ["absent"]
    assert Page(thumbnails.of(2, "")).texts("div") == ["unreadable: a text file, not an image"]


def test_without_any_image_there_is_no_box(tmp_path):
    thumbnails = Thumbnails(collection(tmp_path))
    assert thumbnails.problem == "3 of 3 listed images are absent: a.png, b.png, c.png"
    assert thumbnails.of(0, "") == ""


def test_images_that_cannot_be_opened_are_a_line(tmp_path):
    whole = collection(tmp_path)

    def open_images():
        raise UserError("the disk is gone, expected it here")

    thumbnails = Thumbnails(Collection("manifest", "validation", whole.annotations, open_images))
    assert thumbnails.problem == "the images cannot be opened: the disk is gone, expected it here"
    assert thumbnails.of(0, "") == ""
