"""timm networks in the place of DAN."""

import pytest
import timm
import torch

from finetune.labels import LabelError
from finetune.models.cnn import TimmCNNConfig

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def draw(side=64, batch=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    "name", ["resnet18", "efficientnet_b0", "convnext_atto", "mobilenetv3_small_050"]
)
def test_logits_are_timms_on_normalised_images(name):
    torch.manual_seed(0)
    config = TimmCNNConfig(name=name, expressions="rafdb_7", mean=MEAN, std=STD)
    model = config.build().eval()
    theirs = timm.create_model(name, num_classes=7).eval()
    theirs.load_state_dict(model.network.state_dict())
    images = draw()
    pixels = (images / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        features, logits = model.features_and_logits(images)
        torch.testing.assert_close(logits, theirs(pixels), rtol=1e-5, atol=1e-6)
        assert torch.equal(model(images).expression_logits, logits)
    assert features.shape == (2, model.num_features)
    assert model.labels.expressions.classes[0] == "Surprise"


@pytest.mark.parametrize("expressions", ["", "affectnet", "Neutral,Joy"])
def test_a_network_without_a_known_label_space_is_refused(expressions):
    with pytest.raises(LabelError, match="expected one of"):
        TimmCNNConfig(expressions=expressions)


@pytest.mark.parametrize("name", ["resnet_18", "resnet18.a1_in1k", ""])
def test_names_that_are_no_architecture_are_refused(name):
    with pytest.raises(ValueError, match="expected a timm architecture without a tag"):
        TimmCNNConfig(name=name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 0}, "image_size 0, expected at least 1"),
        ({"std": (0.2, 0.0, 0.2)}, "expected three positive numbers"),
        ({"std": (0.2, 0.2)}, "expected three positive numbers"),
        ({"mean": (0.2, 0.2)}, "expected three numbers"),
    ],
)
def test_an_input_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        TimmCNNConfig(**changes)
