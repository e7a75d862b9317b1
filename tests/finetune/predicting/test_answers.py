"""Answers for a list: each image once, in order, exactly; what is bad; how it ends."""

import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from finetune.labels import ActionUnitSpace, Predictions, expression_space
from finetune.models.affect import AffectModel, ModelConfig
from finetune.models.label_spaces import LabelSpaces
from finetune.predicting.answers import PredictionError, predict
from pretrain.data.images import BadImage
from pretrain.data.loader import HungWorkersError
from pretrain.data.sources import Source, SourceError
from pretrain.engine.launching import RuntimeConfig
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import Interrupted, StopSignal

SIDE = 8
THREE = expression_space("Neutral,Fear,Anger")


class Pictures(Source):
    """Images in memory; a text in place of one is why it is bad."""

    def __init__(self, pictures, names=None):
        self.pictures = pictures
        self.names = names or [f"{row}.jpg" for row in range(len(pictures))]

    def image(self, index):
        if isinstance(self.pictures[index], str):
            raise BadImage(f"/disk/{self.names[index]}", self.pictures[index])
        return self.pictures[index]


class Halves(AffectModel):
    """Answers with the mean brightness, in [0, 1], of the left and of the right half."""

    def __init__(self, labels=None, scale=1.0):
        labels = labels or LabelSpaces(
            expressions=THREE, action_units=ActionUnitSpace("one", (4,)), valence_arousal=True
        )
        super().__init__(ModelConfig(image_size=SIDE), labels)
        self.scale, self.seen = scale, []
        self.noise = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))

    def forward(self, images):
        assert images.dtype == torch.uint8
        assert torch.is_inference_mode_enabled()
        self.seen.append(tuple(images.shape))
        left, right = (half.float().mean((1, 2, 3)) / 255 for half in images.split(SIDE // 2, 3))
        # Dropout of 1 with probability 0.5 in training mode would double or lose it.
        left = self.noise(left)
        labels = self.labels
        return Predictions(
            valence_arousal=self.scale * torch.stack([left, -right], 1)
            if labels.valence_arousal
            else None,
            expression_logits=torch.stack([left, right, left - right], 1)
            if labels.expressions
            else None,
            action_unit_logits=(left - 2 * right)[:, None] if labels.action_units else None,
        )


def pictures(n=11, seed=0):
    """Every one is another."""
    return list(np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8))


def by_hand(images):
    """What Halves has to answer, in float64."""
    left, right = (np.stack(images) / 255)[:, :, :4], (np.stack(images) / 255)[:, :, 4:]
    left, right = left.mean((1, 2, 3)), right.mean((1, 2, 3))
    powers = np.exp(np.stack([left, right, left - right], 1))
    return (
        np.stack([left, -right], 1),
        powers / powers.sum(1, keepdims=True),
        1 / (1 + np.exp(2 * right - left))[:, None],
    )


@pytest.fixture
def ask():
    runtime = Runtime(RuntimeConfig(threads=1))

    def ask(images, model=None, **options):
        source = Pictures(images) if isinstance(images, list) else images
        model = (Halves() if model is None else model).to(runtime.device)
        options = {"batch_size": 4, "workers": 0, **options}
        return predict(model, source, runtime=runtime, **options)

    return ask


def values(answers):
    return answers.valence_arousal, answers.expression, answers.action_units


def test_every_row_is_the_answer_for_its_image(ask):
    images = pictures()
    found = ask(images)
    for got, expected in zip(values(found), by_hand(images), strict=True):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.expression.sum(1), 1, rtol=0, atol=1e-15)
    assert (dict(found.bad), found.elongated) == ({}, 0)


@pytest.mark.parametrize("batch_size", [1, 3, 11, 64])
@pytest.mark.parametrize("workers", [0, 2])
def test_rows_are_in_order_whatever_the_batches_and_workers(ask, batch_size, workers):
    images = pictures()
    images[7] = images[2]  # listed twice, answered twice
    found = ask(images, batch_size=batch_size, workers=workers)
    for got, expected in zip(values(found), by_hand(images), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def test_the_model_sees_whole_batches_alone(ask):
    model = Halves()
    ask(pictures(11), model, batch_size=4)
    assert model.seen == [(4, 3, SIDE, SIDE)] * 3


def test_a_flip_averages_the_answers_for_an_image_and_its_mirror_image(ask):
    images = pictures()
    mirrored = [image[:, ::-1] for image in images]
    found = ask(images, flip=True)
    for got, one, other in zip(values(found), by_hand(images), by_hand(mirrored), strict=True):
        np.testing.assert_allclose(got, (one + other) / 2, rtol=0, atol=1e-6)
    assert np.abs(found.expression - by_hand(images)[1]).max() > 1e-3


def test_with_a_flip_mirrored_images_have_the_same_answers_bit_for_bit(ask):
    images = pictures()
    found = ask(images, flip=True)
    mirrored = ask([image[:, ::-1].copy() for image in images], flip=True)
    for one, other in zip(values(found), values(mirrored), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_is_a_row_of_nan_and_named_as_in_the_list(ask, workers):
    images = pictures()
    broken = [*images]
    broken[3] = broken[8] = "truncated"
    broken[10] = "absent"
    names = ["a", "b", "c", "twice", "e", "f", "g", "h", "twice", "j", "k"]
    found = ask(Pictures(broken, names), workers=workers)
    assert dict(found.bad) == {"twice": "truncated", "k": "absent"}
    for got, expected in zip(values(found), by_hand(images), strict=True):
        assert np.isnan(got[[3, 8, 10]]).all()
        kept = [0, 1, 2, 4, 5, 6, 7, 9]
        np.testing.assert_allclose(got[kept], expected[kept], rtol=0, atol=1e-6)


def test_bad_images_alone_are_one_line(ask):
    with pytest.raises(PredictionError) as caught:
        ask(["empty file (0 bytes)", "absent"])
    assert str(caught.value) == (
        "got no image that can be read among 2, '0.jpg' (empty file (0 bytes)) for one,"
        " expected some"
    )


def test_valence_and_arousal_stay_in_range_and_a_mean_is_taken_before(ask):
    bright = np.full((SIDE, SIDE, 3), 255, np.uint8)
    bright[:, SIDE // 2 :] = 51
    found = ask([bright], Halves(scale=2.0)).valence_arousal
    np.testing.assert_allclose(found, [[1, -0.4]], atol=1e-6)  # 2 and -0.4
    found = ask([bright], Halves(scale=1.5), flip=True).valence_arousal
    np.testing.assert_allclose(found, [[0.9, -0.9]], atol=1e-6)  # of 1.5 and 0.3


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (LabelSpaces(valence_arousal=True), "valence_arousal"),
        (LabelSpaces(expressions=THREE), "expression"),
        (LabelSpaces(action_units=ActionUnitSpace("one", (4,))), "action_units"),
    ],
)
def test_a_task_that_the_model_does_not_answer_is_none(ask, labels, task):
    found = ask(pictures(2), Halves(labels))
    for name in ("valence_arousal", "expression", "action_units"):
        assert (getattr(found, name) is not None) == (name == task)


def test_every_part_of_the_model_is_put_back_into_its_mode(ask):
    model = Halves().train()
    model.noise[1].eval()
    images = pictures()
    found = ask(images, model)
    modes = [model.training, model.noise.training, *(part.training for part in model.noise)]
    assert modes == [True, True, True, False]
    np.testing.assert_allclose(found.valence_arousal, by_hand(images)[0], atol=1e-6)
    model.eval()
    ask(images, model)
    assert not any(module.training for module in model.modules())


def test_modes_are_put_back_after_an_error_as_well(ask):
    model = Halves().train()
    with pytest.raises(PredictionError):
        ask(["bad"], model)
    assert all(module.training for module in model.modules())


def test_an_answer_that_is_no_number_is_named_and_no_null_row(ask):
    with pytest.raises(PredictionError) as caught:
        ask(["bad", *pictures(2)], Halves(scale=float("nan")))
    assert str(caught.value).startswith(
        "the model's valence_arousal of '1.jpg' is no number, expected one"
    )


def test_the_square_in_the_middle_is_seen_and_elongated_images_are_counted(ask):
    rng = np.random.default_rng(0)
    shapes = [(8, 8), (8, 12), (8, 13), (13, 8), (8, 16), (20, 8)]  # 1.5, 1.625 and on
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    squares = [
        image[(h - 8) // 2 :][:8, (w - 8) // 2 :][:, :8]
        for image, (h, w) in zip(images, shapes, strict=True)
    ]
    found = ask(images)
    assert found.elongated == 4
    even = [0, 1, 4, 5]  # an odd rest may lie on either side
    expected = by_hand(squares)[1]
    np.testing.assert_allclose(found.expression[even], expected[even], rtol=0, atol=1e-6)


def test_a_picture_that_was_packed_square_keeps_its_own_shape(ask):
    class Packed(Pictures):
        def aspect(self, index):
            return 2.0

    assert ask(Packed(pictures(3))).elongated == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_users_error_of_the_source_keeps_its_type_and_message(ask, workers):
    class Closed(Pictures):
        def image(self, index):
            raise SourceError("the archive is gone, expected it open")

    with pytest.raises(SourceError, match=r"^the archive is gone, expected it open$"):
        ask(Closed(pictures(3)), workers=workers)
    assert not multiprocessing.active_children()


def test_a_fault_of_the_program_is_no_users_error(ask):
    class Faulty(Pictures):
        def image(self, index):
            raise KeyError("ours")

    with pytest.raises(KeyError):
        ask(Faulty(pictures(3)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_stop_signal_ends_it_after_the_batch_at_hand(ask, number):
    class Stopping(Pictures):
        def image(self, index):
            if index == 5:
                os.kill(os.getpid(), number)
            return super().image(index)

    model = Halves()
    with StopSignal() as stop, pytest.raises(Interrupted):
        ask(Stopping(pictures(40)), model, stop=stop)
    assert len(model.seen) == 2


def test_hung_workers_end_it(ask):
    class Stuck(Pictures):
        def image(self, index):
            if index == 5:
                threading.Event().wait()
            return super().image(index)

    with pytest.raises(HungWorkersError, match="gave no batch for 1 s"):
        ask(Stuck(pictures()), workers=1, timeout_seconds=1)
    assert not multiprocessing.active_children()


def test_half_precision_answers_nearly_the_same():
    class Wide(Halves):
        """Something that autocast computes in bfloat16."""

        def __init__(self):
            super().__init__()
            self.project = nn.Linear(3 * SIDE * SIDE, 3)

        def forward(self, images):
            self.precision = self.project(images.float().flatten(1) / 255).dtype
            return Predictions(expression_logits=self.project(images.float().flatten(1) / 255))

    runtime = Runtime(RuntimeConfig(threads=1, precision="bf16"))
    model = Wide().to(runtime.device)
    images = Pictures(pictures())
    found = predict(model, images, runtime=runtime, batch_size=4, workers=0)
    assert model.precision == torch.bfloat16
    logits = model.project(torch.tensor(np.stack(images.pictures)).permute(0, 3, 1, 2).flatten(1).float().to(runtime.device) / 255)  # fmt: skip
    np.testing.assert_allclose(found.expression, logits.softmax(1).tolist(), atol=2e-2)
    np.testing.assert_allclose(found.expression.sum(1), 1, rtol=0, atol=1e-15)
