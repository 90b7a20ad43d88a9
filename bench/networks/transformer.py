"""Any transformers encoder as a `Network`: backbone, then the modules that turn its tokens into an embedding."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.tokens import Lists, TokenArrays, first_pieces, spaced, tokens
from bench.errors import RequestError, reason
from bench.inputs import Texts, texts
from bench.kind import Kind
from bench.network import Network
from bench.networks import attention, sentences
from bench.networks.architectures import head_of, last_linear, last_real, shape_of
from bench.networks.attention import WANTED, tapped
from bench.networks.fingerprints import rules_of
from bench.networks.places import TOGETHER, Place, check
from bench.networks.sentences import Pooler, give_padding, limit_of, make_pooling, tokens_of, with_prompt
from bench.networks.trials import TEXTS, check_batches, exposed, near
from bench.networks.weights import check_weights
from bench.signals import Signals
from bench.student import Outline

LINES = ".onnx"  # a recogniser of text lines, which a package ships
POOLINGS = ("mean", "cls", "max", "pooler")
READ = ("input_ids", "inputs_embeds", "attention_mask", "token_type_ids")  # of a batch, by the models of the library


class TransformerNetwork(Network):
    """Backbone (a transformers model) and head (sentence-transformers modules: pooling, dense, normalisation)."""

    plan: Mapping[str, Any] = {}  # of what was taken from it (`bench.networks.pruned`); empty: it is whole
    roles: Sequence[str] = ()  # what stands before queries and before documents; empty: `prompt`, as before all texts

    def __init__(
        self, backbone: Any, head: Sequence[nn.Module], tokenizer: Any, max_length: int, width: int, prompt: str = "",
        roles: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`prompt` stands before every text; in pools of queries and documents the one of its role does."""
        super().__init__()
        self.backbone, self.head = backbone, nn.ModuleList(head)
        self.tokenizer, self.max_length, self.width = tokenizer, max_length, width
        self.shape = shape_of(backbone.config)
        self.prompt, self.before = prompt, tokens_of(prompt, tokenizer)
        if roles:  # others keep their keys in the store
            self.roles = list(roles)

    @cached_property
    def offers(self) -> frozenset[str]:  # type: ignore[override]
        found = given_by(self.backbone)
        return found | {"embedding", "states"} | ({"pooled"} if "hidden" in found else set())

    @property
    def word_embeddings(self) -> nn.Embedding:
        """The backbone's token table, for students that borrow it."""
        return self.backbone.get_input_embeddings()

    @property
    def lender(self) -> Network:
        if not self.instead:
            return self
        own = self.backbone, [*self.head], self.tokenizer, self.max_length, self.width
        return TransformerNetwork(*own, self.prompt, self.roles)

    def blueprint(self) -> dict[str, Any]:
        return dict(self.plan)

    def __getstate__(self) -> dict[str, Any]:
        """To be sent to another process: without the closures that transformers hooks in for hidden states."""
        unhook(self.backbone)
        return self.__dict__.copy()

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        given = with_prompt(texts(inputs), self.prompt, self.roles)
        return tokenise(self.tokenizer, given, min(max_length or self.max_length, self.max_length))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        out, found = run(self.backbone, batch, want)
        if want & {"embedding", "vectors"}:
            found["embedding"] = self.embed(out.last_hidden_state, batch, getattr(out, "pooler_output", None))
            found["vectors"] = found["embedding"] if self.instead else None
        if "pooled" in want:
            found["pooled"] = tuple(self.embed(tokens, batch) for tokens in out.hidden_states)
        return Signals(found, states=out.last_hidden_state if "states" in want else None)

    def embed(self, tokens: Tensor, batch: dict[str, Tensor], pooler_output: Tensor | None = None) -> Tensor:
        """What the head makes of token vectors (B, L, D); `pooler_output`: the backbone's of them, where it has it."""
        features: dict[str, Any] = {"token_embeddings": tokens, "attention_mask": batch["attention_mask"]}
        if self.before:
            features["prompt_length"] = self.before
        if any(isinstance(module, Pooler) for module in self.head):
            features["pooler_output"] = self.backbone.pooler(tokens) if pooler_output is None else pooler_output
        for module in self.head:
            features = module(features)
        found: Tensor = features["sentence_embedding"]
        return found


class TransformerClassifier(Network):
    """A transformers model with the head that the library has for this kind of task.

    The kind's feature is what the head's last linear layer reads.
    """

    plan: Mapping[str, Any] = {}  # as above

    def __init__(self, model: Any, tokenizer: Any, max_length: int, goal: Kind) -> None:
        super().__init__()
        self.model, self.tokenizer, self.max_length, self.goal = model, tokenizer, max_length, goal
        self.shape = shape_of(model.config)
        self.width = last_linear(model).in_features

    @cached_property
    def offers(self) -> frozenset[str]:  # type: ignore[override]
        return given_by(self.backbone) | {self.goal.output, self.goal.feature}

    @property
    def backbone(self) -> Any:
        return self.model.base_model

    @property
    def word_embeddings(self) -> nn.Embedding:
        return self.model.get_input_embeddings()

    def blueprint(self) -> dict[str, Any]:
        return dict(self.plan)

    def __getstate__(self) -> dict[str, Any]:
        unhook(self.model)
        return self.__dict__.copy()

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Any:
        given, limit = texts(inputs), min(max_length or self.max_length, self.max_length)
        plain = lambda: tokenise(self.tokenizer, given, limit)  # noqa: E731
        return self.goal.read(self.tokenizer, lambda: rules_of(self.tokenizer), given, limit, plain)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        read: list[Tensor] = []
        hooks = []
        if self.goal.feature in want:
            hooks.append(last_linear(self.model).register_forward_pre_hook(lambda _, given: read.append(given[0])))
        if self.goal.early:
            chosen = lambda _, given: (self.goal.select(given[0], batch), *given[1:])  # noqa: E731
            hooks.append(head_of(self.model).register_forward_pre_hook(chosen))
        try:
            out, found = run(self.model, batch, want)
        finally:
            for hook in hooks:
                hook.remove()
        if read:
            found[self.goal.feature] = self.read_by_head(read[0], batch)
        logits = self.goal.logits(out)
        logits = logits if self.goal.early else self.goal.select(logits, batch)
        return self.goal.complete(Signals(found, logits=logits), None, batch)

    def read_by_head(self, tokens: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Of what the last layer reads, the vector of an input (B, D) where a decoder's head reads every token and
        takes the last one's logits; anything else as it is."""
        if self.goal.feature != "embedding" or tokens.ndim < 3:
            return tokens
        last = last_real(batch["input_ids"], self.model.config.pad_token_id)
        return tokens[torch.arange(len(last), device=last.device), last]


def given_by(backbone: Any) -> frozenset[str]:
    """The signals of tokens that a model of the library gives."""
    return exposed(backbone, lambda batch, want: run(backbone, batch, want)[1], shape_of(backbone.config).layers)


def run(model: Any, batch: Mapping[str, Tensor], want: frozenset[str]) -> tuple[Any, dict[str, Any]]:
    """(the model's output, the wanted token-level signals and their mask)."""
    noting = bool(want & WANTED)
    ours = noting or torch.is_grad_enabled()
    taps: AbstractContextManager[list[attention.Tap]] = tapped(model, noting) if ours else nullcontext([])
    read = {name: batch[name] for name in accepted(model.__class__) if name in batch}
    with taps as noted:
        out = model(**read, output_hidden_states=bool(want & {"hidden", "pooled"}))
    found: dict[str, Any] = attention.signals(noted, want, batch["attention_mask"])
    found["mask"] = batch["attention_mask"]
    if "hidden" in want:
        found["hidden"] = tuple(out.hidden_states)
    return out, found


@cache
def accepted(model: Any) -> tuple[str, ...]:
    """Those of READ that a class of models takes: of some, tokenizers give segments that they have none of."""
    known = inspect.signature(model.forward).parameters
    return tuple(name for name in READ if name in known)


def tokenise(tokenizer: Any, inputs: Texts, limit: int) -> TokenArrays:
    """Texts or pairs of texts as the model's own tokenizer reads them; the longer text of a pair is cut first."""

    def read(chunk: Texts, most: int) -> dict[str, Lists]:
        given = [spaced(column) if chunk.split else list(column) for column in chunk.columns]
        found = tokenizer(*given, truncation=True, max_length=most, padding=False, is_split_into_words=chunk.split)
        lists: dict[str, Lists] = {
            "ids": [ids or [pad] for ids in found["input_ids"]]
        }  # without special tokens nothing is left of ""
        if len(given) > 1 and "token_type_ids" in found:  # of single texts all segments are 0, which is the default
            lists["segments"] = [row or [0] for row in found["token_type_ids"]]
        if chunk.split:
            lists["starts"] = [first_pieces(found.word_ids(n), len(words)) for n, words in enumerate(given[0])]
        return lists

    pad = tokenizer.pad_token_id or 0
    return tokens(read, inputs, pad, lambda: rules_of(tokenizer), limit)


def unhook(backbone: Any) -> None:
    """Remove transformers' output-capturing hooks; it installs them again when hidden states are next asked for."""
    for module in backbone.modules():
        for key, hook in list(module._forward_hooks.items()):
            if getattr(hook, "__name__", "") == "output_capturing_hook":
                del module._forward_hooks[key]
        if getattr(module, "_output_capturing_hooks_installed", False):
            module._output_capturing_hooks_installed = False


def load(path: Path, pooling: str = "", goal: Kind | None = None) -> TransformerNetwork:
    """A sentence-transformers or plain transformers model from a local folder, its pooling respected.

    A plain transformers model declares no pooling: the mean is taken, unless `pooling` names another.
    RequestError: not a text encoder, no safetensors weights or not all, an unknown pooling, a declared use that is not
    the goal's.
    """
    if pooling and pooling not in POOLINGS:
        raise RequestError(f"unknown pooling '{pooling}': there are {', '.join(POOLINGS)}")
    check(path)
    model = sentences.opened(path)
    dot = model.similarity_fn_name == "dot" and type(list(model)[-1]).__name__ != "Normalize"
    products = goal.products if goal and dot else ""
    if goal and goal.compares:
        sentences.check_declared(model, "dot" if products else goal.compares, path)
    backbone = model[0].auto_model
    check_weights(path, backbone, shape_of(backbone.config).layers, () if pooling == "pooler" else ("pooler.",))
    width = model.get_embedding_dimension()
    if pooling:
        width = backbone.config.hidden_size
    head = [make_pooling(pooling, width)] if pooling else sentences.head_of(model, path)
    limit = model.max_seq_length = limit_of(model.max_seq_length, backbone)
    prompt, roles = sentences.prompt_of(model), sentences.roles_of(model) if goal and goal.compares else ()
    if roles == (prompt, prompt):
        roles = ()
    network = TransformerNetwork(backbone, head, model.tokenizer, limit, width, prompt, roles)
    check_embedding(network, None if pooling else model, path)
    if products:
        network.instead, network.offers = {"embedding": products}, network.offers | {products}
    return network


def outlined(folder: Path, goal: Kind, shaped: Callable[[Any], Any]) -> Outline:
    """A network with nothing to read with, of the architecture of the model in this folder; `shaped`: its
    configuration, of that one's."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config = shaped(config)
    if goal.outputs:
        config.num_labels = goal.outputs
    model = getattr(transformers, goal.auto or "AutoModel").from_config(config)
    network: Any = (
        TransformerClassifier(model, None, 0, goal) if goal.auto
        else TransformerNetwork(model, [], None, 0, config.hidden_size)
    )  # fmt: skip
    if goal.early:  # what its head costs is a matter of how many places are selected
        return Outline(network)
    ids = torch.zeros(1, 128, dtype=torch.int64)
    return Outline(network, passes={"128": lambda: model(input_ids=ids)})


def check_embedding(network: TransformerNetwork, model: Any, path: Path) -> None:
    """RequestError: the embedding depends on the batch, or is not what sentence-transformers' `model` makes."""
    network.eval()
    encoded, want = network.encode(TEXTS), frozenset({"embedding"})
    found = check_batches(path, network, lambda rows: network(encoded.batch(np.array(rows)), want).embedding)
    if model is not None and not near(sentences.told(model, TEXTS, path), torch.stack(found)):
        raise RequestError(f"sentence-transformers makes another embedding of a text with {path} than its modules do")
    if model is not None and network.roles:
        check_roles(network, model, path)


def check_roles(network: TransformerNetwork, model: Any, path: Path) -> None:
    """RequestError: a query's or a document's embedding is another one here, as where pooling leaves prompts out."""
    for query, method in ((True, "encode_query"), (False, "encode_document")):
        pool = Texts(TEXTS, queries=np.full(len(TEXTS), query))
        rows = [network.encode(pool[n : n + 1]).batch(np.array([0])) for n in range(len(TEXTS))]
        with torch.no_grad():
            found = torch.cat([network(row, frozenset({"embedding"})).embedding for row in rows])
        if not near(sentences.told(model, TEXTS, path, method), found):
            raise RequestError(f"sentence-transformers' {method} makes another embedding with {path} than is made here")


def load_classifier(path: Path, goal: Kind, new_head: bool = False) -> TransformerClassifier:
    """A transformers model with the head of this kind; `new_head`: on top of an encoder that has none.

    RequestError: it cannot be loaded, or its head has another number of outputs.
    """
    check(path)
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # that a new head is new is what was asked for
    size = {"num_labels": goal.outputs} if new_head and goal.outputs else {}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        model = getattr(transformers, goal.auto).from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32, **size
        )
    except Exception as error:  # as above
        if "Unrecognized configuration class" in str(error):
            kind = goal.auto.removeprefix("AutoModel")
            raise RequestError(f"transformers has no model {kind} of the architecture that {path} has") from error
        raise RequestError(f"cannot load a classifier from {path}: {reason(error)}") from error
    if goal.outputs and model.config.num_labels != goal.outputs:
        raise RequestError(f"{path} gives {model.config.num_labels} outputs and the task has {goal.outputs}")
    whole, unread = (model.base_model, ("pooler.",)) if new_head else (model, ())
    check_weights(path, whole, shape_of(model.config).layers, unread)
    give_padding(tokenizer, model.config, path)
    if new_head:
        goal.begin(last_linear(model))
    network = TransformerClassifier(model, tokenizer, limit_of(tokenizer.model_max_length, model, 512), goal)
    check_logits(network, path)
    return network


def check_logits(network: TransformerClassifier, path: Path) -> None:
    """RequestError: what the head says of a text depends on the batch."""
    model, encoded = network.eval().model, tokenise(network.tokenizer, texts(TEXTS), network.max_length)
    said = lambda rows: network.goal.logits(run(model, encoded.batch(np.array(rows)), frozenset())[0])  # noqa: E731
    check_batches(path, network, said)


def load_model(place: Place, goal: Kind, new_head: bool = False) -> Network:
    """The model at a place, as the kind has it loaded: with its head of the library, or as an encoder."""
    if place.path.suffix == LINES:
        reader: Network = import_module("bench.networks.line_reader").load(place.path, goal)
        return reader
    if goal.loader:
        check(place.path)
        network: Network = import_module(f"bench.networks.{goal.loader}").load(place.path, goal)
        return network
    if goal.auto:
        return load_classifier(place.path, goal, new_head)
    if goal.scorers and place.pooling in ("", TOGETHER):
        check(place.path)
        scorers = import_module(f"bench.networks.{goal.scorers}")
        scorer: Network | None = scorers.load(place.path, new_head=place.pooling == TOGETHER)
        if scorer is not None:
            return scorer
    return load(place.path, place.pooling, goal)
