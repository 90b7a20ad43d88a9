"""A frozen encoder and a prompt of P learned vectors: prompt and head train, and nothing else is kept.

    deep    in each layer P keys and values stand before those of the tokens (Li & Liang 2021; P-tuning v2, Liu et al.
            2022): 2 D P numbers a layer, given to the library's model as `past_key_values`
    input   P vectors stand before the token embeddings (Lester et al. 2021): D P numbers

Tokens have the positions behind the prompt's, as in P-tuning v2. The head is linear and reads the encoder's own
sentence embedding; deep prompts have the encoder's dropout. The encoder is the model that the task's default teacher is
taught from, untaught, so that prompts of several tasks fit it, or its first `prompt.layers`; `prompt.body` names
another: a short name, a folder or a Hub id, `#pooler` behind it for BERT's pooler, as in PANDA.

Rate and length are those of PANDA's example (CB, BERT-large), the schedule that of its library; how its prompts are
drawn is unknown. Only what trains lies on disk: a record's size there is that of prompt and head; its parameters count
all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.errors import RequestError
from bench.inputs import texts
from bench.kind import Kind
from bench.network import Network
from bench.networks import places
from bench.networks.transformer import TransformerNetwork, load, tokenise
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task

CACHED = ("bert", "camembert", "electra", "roberta", "xlm-roberta")  # model types whose encoders take past_key_values
RECIPE = Optimiser(lr=1e-2, betas=(0.9, 0.999), weight_decay=0.0, warmup=0.0, schedule="linear")


class Prompt(Student):
    """A frozen encoder with a learned prompt, in every layer or before the input."""

    offers = {"embedding", "states", "prompt"}
    sizes = "LENGTH, as in 20"
    default = "20"
    frozen = True

    @dataclass(frozen=True)
    class Settings:
        place: Literal["deep", "input"] = "deep"
        body: str = ""  # none: what the task's default teacher is taught from
        layers: NonNegativeInt = 0  # of the body, the first ones; 0: all
        scale: PositiveFloat = 0.1  # standard deviation of the first values. Our choice
        rate: PositiveFloat = RECIPE.lr

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        if not re.fullmatch("[1-9][0-9]{0,2}", size or cls.default):
            raise RequestError(f"'prompt:{size}' is no size: give {cls.sizes}")
        return size or cls.default

    def body(self, task: Task) -> places.Place:
        """RequestError: none is named, and the task's default teacher is a student's shape."""
        reference = self.settings.body or task.track.teacher
        if not self.settings.body and ":" in reference:
            raise RequestError(f"{reference} is no encoder that takes a prompt: name one, --set prompt.body=MODEL")
        return places.locate(reference, task)

    def initial(self, task: Task) -> str:
        return self.body(task).identity

    def build(self, size: str, task: Task, teacher: Network | None) -> PromptNetwork:
        place, s = self.body(task), self.settings
        body = first_layers(load(place.path, place.pooling), s.layers)
        network = PromptNetwork(body, int(size), s.place == "deep", s.scale, task.goal)
        network.origin = f"{place.identity}, frozen"
        network.optimiser = Optimiser(**{**vars(RECIPE), "lr": s.rate})
        return network


def first_layers(body: TransformerNetwork, count: int) -> TransformerNetwork:
    """The encoder with these layers alone; 0: as it is. RequestError: it has fewer."""
    config = body.backbone.config
    if count > config.num_hidden_layers:
        raise RequestError(f"prompt.layers={count}: the encoder has {config.num_hidden_layers} layers")
    if count and config.model_type in CACHED:
        body.backbone.encoder.layer = body.backbone.encoder.layer[:count]
        config.num_hidden_layers = count
    return body


class PromptNetwork(Network):
    """`prompt`: (layers, 2, heads, P, D / heads) in every layer, keys first, or (P, D) before the input."""

    offers = frozenset(Prompt.offers)

    def __init__(self, body: TransformerNetwork, length: int, deep: bool, scale: float, goal: Kind) -> None:
        """RequestError: the encoder takes no prompt, or has too few positions for one of this length."""
        super().__init__()
        config = body.backbone.config
        if config.model_type not in CACHED:
            raise RequestError(f"encoders that take prompts are {', '.join(CACHED)}; this one is a {config.model_type}")
        room = config.max_position_embeddings - length - 2  # RoBERTa's positions begin at 2
        if room < 2:
            raise RequestError(
                f"a prompt of {length} leaves no position of {config.max_position_embeddings} for tokens"
            )
        self.body, self.length, self.deep, self.goal = body.requires_grad_(False), length, deep, goal
        self.tokenizer, self.max_length, self.width = body.tokenizer, min(body.max_length, room), body.width
        heads, width = config.num_attention_heads, config.hidden_size
        whole = (config.num_hidden_layers, 2, heads, length, width // heads) if deep else (length, width)
        self.prompt = nn.Parameter(scale * torch.randn(whole))
        self.dropout = nn.Dropout(config.hidden_dropout_prob if deep else 0.0)
        self.classifier = goal.head(body.width)

    @property
    def mean_prompt(self) -> Tensor:
        """The mean of the P vectors, those of all layers side by side: (2 D layers,) of a deep prompt, else (D,)."""
        return self.prompt.mean(-2).flatten()

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        return tokenise(self.tokenizer, texts(inputs), min(max_length or self.max_length, self.max_length))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        states = self.states(batch)
        body = Signals(mask=batch["attention_mask"], states=states, embedding=self.body.embed(states, batch))
        if "prompt" in want:
            body["prompt"] = self.mean_prompt.expand(len(states), -1)
        return self.goal.complete(body, self.classifier, batch)

    def states(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The encoder's last states of the tokens, (B, L, D), with the prompt before them."""
        ids, real = batch["input_ids"], batch["attention_mask"]
        segments = batch.get("token_type_ids")
        before = real.new_ones(len(ids), self.length)
        mask = self.readable(torch.cat([before, real], 1), ids.shape[1] + (0 if self.deep else self.length))
        if self.deep:
            given: dict[str, Any] = {"input_ids": ids, "past_key_values": self.cache(len(ids))}
        else:
            words = self.body.word_embeddings(ids)
            given = {"inputs_embeds": torch.cat([self.prompt.expand(len(ids), -1, -1), words], 1)}
            segments = None if segments is None else torch.cat([torch.zeros_like(before), segments], 1)
        if segments is not None:
            given["token_type_ids"] = segments
        found: Tensor = self.body.backbone(**given, attention_mask=mask).last_hidden_state
        return found[:, -ids.shape[1] :]

    def readable(self, mask: Tensor, queries: int) -> Tensor:
        """(B, P + L) as fused attention reads it, (B, 1, queries, P + L), which the library hands on without asking the
        device whether all of it is true."""
        if self.body.backbone.config._attn_implementation != "sdpa":
            return mask
        return mask[:, None, None, :].bool().expand(-1, -1, queries, -1)

    def cache(self, size: int) -> Any:
        """The prompt as keys and values that came before, for a batch of this size."""
        from transformers import DynamicCache

        layers = self.dropout(self.prompt)[:, :, None].expand(-1, -1, size, -1, -1, -1)
        return DynamicCache([(keys, values) for keys, values in layers])

    def bare(self, batch: dict[str, Tensor]) -> Tensor:
        """The encoder's embedding (B, D) without a prompt."""
        embedding: Tensor = self.body(batch, frozenset({"embedding"})).embedding
        return embedding
