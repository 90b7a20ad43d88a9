"""What the specification of the compact biomedical models expects of distilled masked language models, in small.

Two languages of numbers: in each, the next piece is the one before it plus a step of that language. A hidden piece is
known from its neighbours, so a model of a language has little perplexity there and much in the other.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.baselines.distilbiobert import Distilbiobert
from bench.data.masked import MaskedTokens
from bench.data.tokens import TokenArrays
from bench.inputs import Batch
from bench.kinds.mask import Mask
from bench.method import Run
from bench.network import Shape
from bench.networks.transformer import TransformerClassifier
from bench.task import Track

GOAL, SIZE, SPECIAL = Mask(), 24, 4
WANT = frozenset({"logits", "hidden"})


def language(step: int, seed: int, texts: int = 400) -> MaskedTokens:
    starts = np.random.default_rng(seed).integers(SIZE, size=texts)
    rows = [[1, *(SPECIAL + (s + step * np.arange(12)) % SIZE).tolist(), 2] for s in starts]
    return MaskedTokens(TokenArrays.of(rows), 3, SPECIAL + SIZE, [0, 1, 2, 3])


def model(layers: int, seed: int) -> nn.Module:
    from types import SimpleNamespace

    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=SPECIAL + SIZE, hidden_size=32, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=16, hidden_dropout_prob=0, attention_probs_dropout_prob=0,
    )  # fmt: skip
    tokenizer = SimpleNamespace(mask_token_id=3)
    return TransformerClassifier(BertForMaskedLM(config), tokenizer, 16, GOAL)


def perplexity(network: nn.Module, data: MaskedTokens) -> float:
    with torch.no_grad():
        found = GOAL.decode(network(data.batch(np.arange(len(data))), WANT))
    return float(np.exp(-np.concatenate(found)[:, 1].mean()))


def train(network: nn.Module, data: MaskedTokens, updates: int, losses=None, teacher: nn.Module | None = None) -> None:
    optimiser, rng = torch.optim.AdamW(network.parameters(), 3e-3), np.random.default_rng(0)
    losses = losses or (lambda s, t, b: {"hard": GOAL.loss(s, b)})
    for step in range(updates):
        batch = data.batch(rng.integers(len(data), size=16) + len(data) * step)
        with torch.no_grad():
            told = teacher(batch, WANT) if teacher else None
        optimiser.zero_grad()
        sum(losses(network(batch, WANT), told, Batch(torch.arange(16), 1)).values()).backward()
        optimiser.step()


@pytest.fixture(scope="module")
def teacher() -> nn.Module:
    network = model(2, 0)
    train(network, language(1, 0), 300)
    return network.eval()


def test_a_distilled_model_is_less_perplexed_than_one_without_a_teacher(teacher) -> None:
    """(h) (ii): at equal steps."""
    data, fresh = language(1, 1, 60), language(1, 2)
    shape = Shape(2, 2, (32,) * 3)
    task = type("Task", (), {"goal": GOAL, "kind": "mask"})()
    run = Run(task, Track(updates=1, batch_size=16), 32, 32, 0, student_shape=shape, teacher_shape=shape)
    method = Distilbiobert(Distilbiobert.Settings(corpus=""), run)
    alone, distilled = model(2, 1), model(2, 1)
    train(alone, data, 100)
    train(distilled, data, 100, method.losses, teacher)
    assert perplexity(teacher, fresh) < perplexity(distilled, fresh) < perplexity(alone, fresh) < SIZE


def test_going_on_with_another_language_forgets_the_first(teacher) -> None:
    """(h) (iii): perplexity falls on the new text and rises on the old."""
    import copy

    first, second = language(1, 3), language(5, 4)
    network = copy.deepcopy(teacher)
    before = perplexity(network, first), perplexity(network, second)
    train(network, second, 60)
    after = perplexity(network, first), perplexity(network, second)
    assert after[1] < before[1]
    assert after[0] > before[0]
