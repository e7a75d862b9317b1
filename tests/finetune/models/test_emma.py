"""EMMA: what reads what, in which order, and what stays frozen."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from finetune.labels import LabelError
from finetune.models.cnn import TimmCNNConfig
from finetune.models.dan import DANConfig
from finetune.models.emma import PRESETS, EMMAConfig

TINY = {"size": "tiny", "image_size": 32, "patch_size": 8, "drop_path_rate": 0.0}
CNN = TimmCNNConfig(name="resnet10t", expressions="rafdb_7")  # small, in an order of its own
PAPER = replace(PRESETS["paper"], **TINY, cnn=CNN)


def build(config=PAPER, seed=0):
    """A model whose every parameter and statistic differs from its initial value."""
    torch.manual_seed(seed)
    model = config.build()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.dtype.is_floating_point:
                value.add_(torch.rand_like(value) * 0.05)
    return model.eval()


def draw(batch=3, side=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)


def linear_relu_linear(tensors, name, values):
    hidden = (values @ tensors[f"{name}.0.weight"].T + tensors[f"{name}.0.bias"]).relu()
    return hidden @ tensors[f"{name}.2.weight"].T + tensors[f"{name}.2.bias"]


@torch.no_grad()
def restated(model, images, *, probabilities=False, parts=("cnn", "expression", "units")):
    """The paper's text: 28 scores, CNN, expressions, action units, give valence and arousal."""
    tensors = model.state_dict()
    token = model.encoder(images)[:, 0]
    both = linear_relu_linear(tensors, "head", token)
    expression, units = both[:, :8], both[:, 8:]
    pieces = {"expression": expression, "units": units, "token": token}
    if model.cnn is not None:
        pieces["cnn_features"], pieces["cnn"] = model.cnn.features_and_logits(images)
    if probabilities:
        for name in {"cnn", "expression"} & pieces.keys():
            pieces[name] = F.softmax(pieces[name], 1)
        pieces["units"] = torch.sigmoid(units)
    answer = linear_relu_linear(tensors, "va_head", torch.cat([pieces[p] for p in parts], 1))
    return answer, expression, units


def assert_answers(model, expected, tanh=False):
    with torch.no_grad():
        found = model(draw())
    valence_arousal, expression, units = expected
    valence_arousal = valence_arousal.tanh() if tanh else valence_arousal
    torch.testing.assert_close(found.valence_arousal, valence_arousal, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.expression_logits, expression, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.action_unit_logits, units, rtol=1e-5, atol=1e-6)


def test_the_paper_preset_is_the_papers_text():
    model = build()
    assert_answers(model, restated(model, draw()))
    assert model.head[0].weight.shape == (512, 192)
    assert model.va_head[0].weight.shape == (256, 7 + 8 + 12)


def test_the_default_preset_reads_probabilities_and_stays_in_range():
    model = build(replace(PRESETS["default"], **TINY, cnn=CNN))
    assert_answers(model, restated(model, draw(), probabilities=True), tanh=True)


def test_presets_have_the_published_sizes():
    for config in PRESETS.values():
        assert (config.size, config.image_size, config.patch_size) == ("base", 224, 16)
        assert (config.hidden, config.va_hidden, config.drop_path_rate) == (512, 256, 0.1)
        assert config.cnn == DANConfig()
    assert (PRESETS["paper"].scores, PRESETS["paper"].va_output) == ("logits", "raw")


@pytest.mark.parametrize(
    ("va_input", "cnn", "parts"),
    [
        ("scores", None, ("expression", "units")),
        ("features", None, ("token",)),
        ("cnn_scores", CNN, ("cnn",)),
        ("features_and_cnn_scores", CNN, ("token", "cnn")),
        ("features_of_both", CNN, ("token", "cnn_features")),
    ],
)
def test_the_models_it_is_compared_with_read_what_they_say(va_input, cnn, parts):
    config = replace(PAPER, va_input=va_input, cnn=cnn)
    model = build(config)
    assert_answers(model, restated(model, draw(), parts=parts))
    equal = replace(config, va_parameters=7938).build().va_head
    found = sum(parameter.numel() for parameter in equal.parameters())
    assert abs(found - 7938) <= (equal[0].in_features + 3) / 2


# Order: a model whose columns are permuted gives other answers by these tests.


def test_expressions_come_first_and_action_units_after_them():
    model = build(replace(PAPER, expressions="lsd_6", action_units="aff_wild_8", cnn=None))
    with torch.no_grad():
        model.head[2].weight.zero_()
        model.head[2].bias.copy_(torch.arange(14.0))
        found = model(draw(batch=1))
    assert found.expression_logits.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert found.action_unit_logits.tolist() == [[6, 7, 8, 9, 10, 11, 12, 13]]
    assert model.labels.expressions.classes[0] == "Anger"
    assert model.labels.action_units.names[-1] == "AU25"


def test_valence_comes_before_arousal():
    model = build()
    with torch.no_grad():
        model.va_head[2].weight.zero_()
        model.va_head[2].bias.copy_(torch.tensor([0.25, -0.5]))
        assert model(draw(batch=1)).valence_arousal.tolist() == [[0.25, -0.5]]
    assert model.labels.valence_arousal


@pytest.mark.parametrize(
    ("column", "part", "index"),
    [(0, "cnn", 0), (6, "cnn", 6), (7, "expression", 0), (14, "expression", 7), (15, "units", 0)],
)
def test_each_column_of_the_scores_is_where_the_paper_has_it(column, part, index):
    model, images = build(), draw()
    with torch.no_grad():
        for parameter in model.va_head.parameters():
            parameter.zero_()
        model.va_head[0].weight[0, column], model.va_head[0].bias[0] = 1.0, 100.0
        model.va_head[2].weight[0, 0] = 1.0
        found = model(images)
        scores = {
            "cnn": model.cnn(images).expression_logits,
            "expression": found.expression_logits,
            "units": found.action_unit_logits,
        }
    expected = scores[part][:, index] + 100
    torch.testing.assert_close(found.valence_arousal[:, 0], expected)


def test_the_cnn_keeps_its_own_label_space():
    model = build()
    assert model.cnn.labels.expressions.name == "rafdb_7"
    assert model.labels.expressions.name == "aff_wild2_8"


# Frozen.


def statistics(model):
    return {name: value.clone() for name, value in model.cnn.state_dict().items()}


@pytest.mark.parametrize(
    "provoke",
    [
        lambda model: model.train(),
        lambda model: model.cnn.train(),
        lambda model: [module.train() for module in model.modules()],
        lambda model: model.cnn.network.train(),
    ],
)
def test_a_training_step_leaves_the_cnn_as_it_was(provoke):
    model, images = build(), draw()
    quiet = model(images).valence_arousal
    before = statistics(model)
    model.train()
    provoke(model)
    optimiser = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.1)
    found = model(images)
    torch.testing.assert_close(found.valence_arousal, quiet)  # drop path is 0: no other chance
    (found.valence_arousal.sum() + found.expression_logits.sum()).backward()
    assert all(parameter.grad is None for parameter in model.cnn.parameters())
    optimiser.step()
    assert all(torch.equal(before[name], value) for name, value in model.cnn.state_dict().items())
    assert not torch.equal(model(images).valence_arousal, quiet)


def test_no_gradient_reaches_the_cnn_even_where_it_asks_for_one():
    model = build().requires_grad_(True).train()
    found = model(draw())
    (found.valence_arousal.sum() + found.action_unit_logits.sum()).backward()
    assert all(parameter.grad is None for parameter in model.cnn.parameters())


def test_train_and_eval_reach_all_but_the_cnn():
    model = build().train()
    assert model.training
    assert model.encoder.training
    assert not any(module.training for module in model.cnn.modules())
    assert not model.eval().encoder.training


def test_every_head_and_the_encoder_learn_from_each_task():
    model = build().train()
    found = model(draw())
    found.valence_arousal.sum().backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    assert model.head[2].weight.grad.abs().sum() > 0


def test_detached_scores_keep_valence_and_arousal_away_from_the_encoder():
    model = build(replace(PAPER, detach_scores=True)).train()
    model(draw()).valence_arousal.sum().backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None}
    assert reached == {n for n, _ in model.named_parameters() if n.startswith("va_head.")}
    attached = build()
    with torch.no_grad():
        assert torch.equal(model.eval()(draw()).valence_arousal, attached(draw()).valence_arousal)


def test_drop_path_is_asked_of_the_encoder():
    model = build(replace(PAPER, drop_path_rate=0.5)).train()
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in model.encoder.blocks]
    assert rates == pytest.approx([0.5 * block / 11 for block in range(12)])


# Refusals.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"va_input": "everything"}, "va_input 'everything', expected one of scores, features"),
        ({"scores": "odds"}, "scores 'odds', expected one of logits, probabilities"),
        ({"va_output": "relu"}, "va_output 'relu', expected one of raw, tanh"),
        ({"va_parameters": 0}, "va_parameters 0, expected at least 1 or null"),
        ({"hidden": 0}, "hidden 0, expected at least 1"),
        ({"va_input": "features"}, "a cnn with va_input 'features', expected none"),
        ({"va_input": "cnn_scores", "cnn": None}, "no cnn with va_input 'cnn_scores'"),
        ({"va_input": "features_of_both", "cnn": None}, "no cnn with va_input 'features_of_both'"),
        ({"va_input": "cnn_scores", "detach_scores": True}, "expected va_input 'scores'"),
        ({"size": "giant"}, "size 'giant', expected one of tiny"),
        ({"patch_size": 15}, "patch_size 15 does not divide image_size 224"),
        ({"image_size": 112}, "image_size 112, expected a multiple of 32 for DAN"),
        ({"drop_path_rate": 1.0}, "drop_path_rate 1.0"),
        ({"norm_eps": 0.0}, "norm_eps 0.0, expected > 0"),
    ],
)
def test_configs_that_cannot_be_or_have_options_without_effect_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        EMMAConfig(**changes)


@pytest.mark.parametrize("changes", [{"expressions": "eight"}, {"action_units": "twelve"}])
def test_label_spaces_that_are_not_known_are_refused(changes):
    with pytest.raises(LabelError):
        EMMAConfig(**changes)
