"""Vision transformers: DeiT's parameters, its two heads, attention, and outputs that do not depend on the batch."""

from __future__ import annotations

import copy

import pytest
import torch

from bench.errors import RequestError
from bench.network import Network
from bench.students.vit import ViT
from tests.students.pictures import TASKS, check_network, count, read, task


def build(size: str = "2x48x3", distillation: bool = False, **given):
    torch.manual_seed(0)
    return ViT(ViT.Settings(distillation=distillation)).build(ViT.check(size), task(**given), None)


@pytest.mark.parametrize(
    ("size", "plain", "distilled"), [("tiny", 5.72, 5.91), ("small", 22.05, 22.44), ("base", 86.57, 87.34)]
)
def test_parameters_of_deit(size, plain, distilled):
    """1000 classes, 224 pixels; on the meta device, where nothing is computed."""
    with torch.device("meta"):
        found = [count(vit_on_meta(size, distillation)) for distillation in (False, True)]
    assert [round(n / 1e6, 2) for n in found] == [plain, distilled]


def bare(network, task):
    """An image network that looks at no images."""
    Network.__init__(network)
    network.goal = task.goal


def vit_on_meta(size: str, distillation: bool):
    from bench.data import images
    from bench.students import vit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images.ImageNetwork, "__init__", bare)
        return vit.ViTNetwork(*vit.numbers(vit.NAMED[size]), distillation, task(224, 1000))


@pytest.mark.parametrize("distillation", [False, True])
@pytest.mark.parametrize("given", TASKS)
def test_signals(given, distillation):
    network = build(distillation=distillation, **given)
    signals = check_network(network, given)
    tokens = (given["side"] // 4) ** 2 + 1 + distillation
    assert [tuple(h.shape) for h in signals.hidden] == [(4, tokens, 48)] * 3
    assert [tuple(a.shape) for a in signals.attention_scores] == [(4, 3, tokens, tokens)] * 2
    assert [tuple(q.shape) for q in signals.queries] == [(4, 3, tokens, 16)] * 2
    assert signals.mask.shape == (4, tokens) and bool(signals.mask.all())
    products = signals.queries[1] @ signals.keys[1].transpose(-1, -2) / 4
    torch.testing.assert_close(products, signals.attention_scores[1])
    torch.testing.assert_close(network.backbone.layernorm(signals.hidden[-1])[:, 0], signals.embedding)
    assert ("logits.distilled" in signals) == distillation == ("logits.distilled" in network.offers)


def test_patches_by_the_size_of_the_images():
    assert build(side=64).backbone.embeddings.position_embeddings.shape[1] == 16**2 + 1
    assert build("1x8", side=96).backbone.embeddings.position_embeddings.shape[1] == 6**2 + 1


def test_first_weights_are_deits():
    """transformers starts tokens and positions of DeiT at 0."""
    network = build("1x192", distillation=True)
    embeddings = network.backbone.embeddings
    assert embeddings.position_embeddings.shape[1] == 64 + 2  # sanity (i): patches, class, distillation
    for parameter in (embeddings.position_embeddings, embeddings.cls_token, embeddings.distillation_token):
        assert 0.015 < parameter.detach().std().item() < 0.025
    assert not network.heads[1].bias.any()


@torch.no_grad()
def test_swapping_the_heads_leaves_evaluation_as_it_is():
    """Sanity (i): the average does not tell the heads apart when their outputs are swapped."""
    network = build(distillation=True).eval()
    signals = read(network, {"logits", "logits.distilled"})
    tokens = network.backbone(network.encode(task().examples("supervised").inputs).batch(range(4))["pixels"])[0]
    by_class, by_distillation = network.heads[0](tokens[:, 0]), network.heads[1](tokens[:, 1])
    torch.testing.assert_close(signals.logits, (by_distillation + by_class) / 2)
    torch.testing.assert_close(signals["logits.distilled"], by_distillation)
    trained = read(network.train(), {"logits"})
    torch.testing.assert_close(trained.logits, by_class)
    torch.testing.assert_close(trained["logits.distilled"], by_distillation)


def test_without_a_distillation_loss_its_head_learns_nothing_and_its_token_does():
    """Sanity (iv): the token still takes part in attention."""
    network = build(distillation=True).train()
    signals = read(network, {"logits"})
    (signals.logits.square().mean() + 0 * signals["logits.distilled"].mean()).backward()
    assert all(float(p.grad.abs().max()) == 0 for p in network.heads[1].parameters())
    assert float(network.backbone.embeddings.distillation_token.grad.abs().max()) > 0


@torch.no_grad()
def test_reading_attention_changes_nothing():
    network = build().eval()
    before = read(network, {"logits"}).logits
    read(network, {"logits", "attention_scores", "hidden"})
    assert torch.equal(read(network, {"logits"}).logits, before)


@pytest.mark.parametrize("size", ["huge", "6", "6x", "x192", "0x192", "6x192x0", "6x192x3x4", "tinyx4"])
def test_malformed_sizes(size):
    with pytest.raises(RequestError, match="vit:tiny, small, base or LAYERSxWIDTH"):
        ViT.check(size)


def test_heads_must_divide_the_width():
    with pytest.raises(RequestError, match="does not divide into 5 heads"):
        ViT.check("2x48x5")


def test_one_name_for_one_shape():
    names = {"": "tiny", "12x192": "tiny", "12x384x6": "small", "6x192x3": "6x192", "6x192x6": "6x192x6"}
    assert {size: ViT.check(size) for size in names} == names


def test_the_recipe_is_deits():
    o = copy.copy(build("1x8").optimiser)
    assert (o.kind, o.lr, o.betas, o.weight_decay, o.schedule, o.clip) == (
        "adamw", 5e-4, (0.9, 0.999), 0.05, "cosine", 0,
    )  # fmt: skip


@pytest.mark.parametrize("distillation", [False, True])
def test_stochastic_depth_leaves_whole_branches_out_and_keeps_the_mean(distillation):
    settings = ViT.Settings(distillation=distillation, drop_path=0.4)
    torch.manual_seed(0)
    network = ViT(settings).build("3x48x3", task(), None)
    assert [layer.dropout.rate for layer in network.backbone.layers] == [0.0, 0.2, 0.4]
    drop, x = network.backbone.layers[2].dropout, torch.ones(4000, 2, 3)
    out = drop.train()(x)
    assert sorted(set(out[:, 0, 0].tolist())) == [0.0, pytest.approx(1 / 0.6)]
    assert bool((out == out[:, :1, :1]).all())  # of an input all or nothing
    assert out.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(x), x)
    torch.manual_seed(0)
    plain = ViT(ViT.Settings(distillation=distillation)).build("3x48x3", task(), None)
    assert torch.equal(*(read(n.eval(), ["logits"]).logits for n in (plain, network)))
    assert not torch.equal(*(read(n.train(), ["logits"]).logits for n in (plain, network)))
