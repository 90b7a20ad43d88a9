"""A shared body of transformer layers and several heads of layers on it, each with a classifier of its own (MHS).

    x     = layers 1 ... b of the body, after its embeddings
    z_i   = classifier_i(layers of head i, h of them, read x)                  i = 1 ... k
    p     = 1/k sum_i softmax(z_i)
    z     = log p + 1/k sum_i log sum exp z_i         whose softmax is p; of one head z = z_1

`2B-3H1` has a body of 2 layers and 3 heads of 1. It starts as `bert` of b + h layers does: body and embeddings from
that network, and each head as a copy of its last layers and its classifier, so that all heads are alike at first.

Matsubara et al., "Ensemble Transformer for Efficient and Accurate Ranking Tasks: an Application to Question Answering
Systems", Findings of EMNLP 2022, arXiv:2201.05767 (CERBERUS); names, start and the mean of probabilities as in the code
amazon-science/wqa-cerberus, whose heads have classifiers that start apart where the checkpoint has none. Heads run one
after the other: a device may overlap them, and nothing here counts on it.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.errors import RequestError
from bench.inputs import texts
from bench.network import Network, Shape
from bench.networks.transformer import TransformerClassifier, run, tokenise
from bench.signals import Signals
from bench.student import Known, Outline, Student
from bench.students.bert import Bert
from bench.task import Task

SIZE = re.compile("(0|[1-9][0-9]{0,2})B-([1-9][0-9]?)H([1-9][0-9]{0,2})", re.IGNORECASE)


class Mhs(Student):
    """A shared body of transformer layers with several heads, whose probabilities are averaged (CERBERUS)."""

    offers = frozenset({"embedding", "logits.heads"})
    kinds = frozenset({"classify"})
    sizes = "BODYB-HEADSHLAYERS, as in 2B-3H1: 2 shared layers, 3 heads of 1 layer"
    default = "2B-3H1"

    @dataclass(frozen=True)
    class Settings:
        init: str = "auto"  # as of bert: auto, random, first, last, gap, a path or Hub id

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        if not SIZE.fullmatch(size or cls.default):
            raise RequestError(f"'mhs:{size}' is no size: give {cls.sizes}")
        return (size or cls.default).upper()

    def initial(self, task: Task) -> str:
        return Bert(Bert.Settings(init=self.settings.init)).initial(task)

    def build(self, size: str, task: Task, teacher: Network | None) -> ForkedNetwork:
        body, heads, layers = (int(number) for number in SIZE.fullmatch(size).groups())
        single: Any = Bert(Bert.Settings(init=self.settings.init)).build(str(body + layers), task, teacher)
        return ForkedNetwork(single, body, heads)

    def outlines(self, size: str, known: Known) -> Iterator[Outline]:
        body, heads, layers = (int(number) for number in SIZE.fullmatch(size).groups())
        for whole in Bert(Bert.Settings(init=self.settings.init)).outlines(str(body + layers), known):
            single: Any = whole.network
            yield Outline(ForkedNetwork(single, body, heads))


class ForkedNetwork(Network):
    """`logits.heads` are those of each head; `embedding` is the mean of what their classifiers' last layers read."""

    offers = Mhs.offers | {"logits"}

    def __init__(self, single: TransformerClassifier, body: int, heads: int) -> None:
        """The classifier's layers from number `body` on become the heads, k times."""
        super().__init__()
        self.tokenizer, self.max_length, self.goal = single.tokenizer, single.max_length, single.goal
        self.width, self.origin, self.optimiser = single.width, single.origin, single.optimiser
        self.shape = Shape(single.shape.layers, single.shape.heads)
        self.body = cut(copy.deepcopy(single.backbone), slice(body))
        if getattr(self.body, "pooler", None) is not None:
            self.body.pooler = None
        self.heads = nn.ModuleList(without_body(single, body) for _ in range(heads))

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        return tokenise(self.tokenizer, texts(inputs), min(max_length or self.max_length, self.max_length))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        out, found = run(self.body, batch, frozenset())
        shared = {"inputs_embeds": out.last_hidden_state, "attention_mask": batch["attention_mask"]}
        heads = [head(shared, want) for head in self.heads]
        logits = [head.logits for head in heads]
        if "embedding" in want:
            found["embedding"] = torch.stack([head.embedding for head in heads]).mean(0)
        if "logits.heads" in want:
            found["logits.heads"] = tuple(logits)
        return Signals(found, logits=averaged(torch.stack(logits)))


def averaged(logits: Tensor) -> Tensor:
    """Logits (B, C) whose softmax is the mean of the heads' softmax, of logits (K, B, C)."""
    sizes = logits.logsumexp(-1, keepdim=True)
    return (logits - sizes).logsumexp(0) - math.log(len(logits)) + sizes.mean(0)


def without_body(single: TransformerClassifier, body: int) -> TransformerClassifier:
    """A copy that reads what the body gives in place of embeddings."""
    head = copy.deepcopy(single)
    head.model.base_model.embeddings = Given()
    if hasattr(head.model.base_model, "embeddings_project"):  # ELECTRA, where they are narrower than the layers
        head.model.base_model.embeddings_project = nn.Identity()
    cut(head.model.base_model, slice(body, None))
    return head


class Given(nn.Module):
    """In the place of embeddings: what the model is given as such."""

    def forward(self, *others: Any, inputs_embeds: Tensor | None = None, **more: Any) -> Tensor:
        return inputs_embeds


def cut(backbone: Any, kept: slice) -> Any:
    """The backbone with these layers alone. RequestError: it has no list of layers."""
    for module in backbone.modules():
        if isinstance(getattr(module, "layer", None), nn.ModuleList):
            module.layer = module.layer[kept]
            return backbone
    raise RequestError(f"mhs cannot share layers of {type(backbone).__name__}, which has no list of layers")
