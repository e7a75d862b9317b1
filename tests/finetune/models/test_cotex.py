"""Views that answer together."""

import pytest
import torch

from finetune.labels import LabelError
from finetune.models.cotex import CoTEXConfig

TINY = {"size": "tiny", "image_size": 32, "patch_size": 8}


def draw():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("combine", ["mean", "sum"])
def test_logits_of_the_views_are_put_together(views, combine):
    torch.manual_seed(0)
    model = CoTEXConfig(**TINY, views=views, combine=combine).build().eval()
    images, expected = draw(), 0
    with torch.no_grad():
        for view in model.views:
            token = view.encoder(images)[:, 0]
            expected = expected + token @ view.head.weight.T + view.head.bias
        found = model(images)
    expected = expected / views if combine == "mean" else expected
    torch.testing.assert_close(found.expression_logits, expected, rtol=1e-5, atol=1e-6)
    assert (found.valence_arousal, found.action_unit_logits) == (None, None)
    assert model.labels.expressions.classes == (
        *("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"views": 0}, "views 0, expected at least 1"), ({"combine": "max"}, "combine 'max'")],
)
def test_configs_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        CoTEXConfig(**changes)


def test_a_label_space_that_is_not_known_is_refused():
    with pytest.raises(LabelError):
        CoTEXConfig(expressions="six")
