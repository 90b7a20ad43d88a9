"""Any transformers encoder as a `Network`: backbone, then the modules that turn its tokens into an embedding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.data.tokens import Lists, TokenArrays, first_pieces, tokens
from bench.errors import RequestError
from bench.inputs import Texts, texts
from bench.kind import Kind
from bench.network import Network, Shape
from bench.networks import attention
from bench.networks.attention import WANTED, tapped
from bench.networks.places import TOGETHER, Place, check
from bench.networks.weights import check_weights
from bench.signals import Signals

POOLINGS = ("mean", "cls", "max", "pooler")
READ = ("input_ids", "inputs_embeds", "attention_mask", "token_type_ids")  # of a batch, by the models of the library
TRANSFORMER = frozenset({"states", "hidden", "attention_scores", "queries", "keys", "values"})


class Pooler(nn.Module):
    """The backbone's own pooler output (CLS -> Linear -> tanh in BERT), as a sentence embedding."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features | {"sentence_embedding": features["pooler_output"]}


class TransformerNetwork(Network):
    """Backbone (a transformers model) and head (sentence-transformers modules: pooling, dense, normalisation)."""

    offers = TRANSFORMER | {"embedding", "pooled"}
    plan: Mapping[str, Any] = {}  # of what was taken from it (`bench.networks.pruned`); empty: it is whole

    def __init__(self, backbone: Any, head: Sequence[nn.Module], tokenizer: Any, max_length: int, width: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.ModuleList(head)
        self.tokenizer, self.max_length, self.width = tokenizer, max_length, width
        self.shape = shape_of(backbone.config)

    @property
    def word_embeddings(self) -> nn.Embedding:
        """The backbone's token table, for students that borrow it."""
        return self.backbone.get_input_embeddings()

    @property
    def lender(self) -> Network:
        if not self.instead:
            return self
        return TransformerNetwork(self.backbone, [*self.head], self.tokenizer, self.max_length, self.width)

    def blueprint(self) -> dict[str, Any]:
        return dict(self.plan)

    def __getstate__(self) -> dict[str, Any]:
        """To be sent to another process: without the closures that transformers hooks in for hidden states."""
        unhook(self.backbone)
        return self.__dict__.copy()

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        return tokenise(self.tokenizer, texts(inputs), min(max_length or self.max_length, self.max_length))

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
        features = {"token_embeddings": tokens, "attention_mask": batch["attention_mask"]}
        if any(isinstance(module, Pooler) for module in self.head):
            features["pooler_output"] = self.backbone.pooler(tokens) if pooler_output is None else pooler_output
        for module in self.head:
            features = module(features)
        return features["sentence_embedding"]


class TransformerClassifier(Network):
    """A transformers model with the head that the library has for this kind of task.

    The kind's feature is what the head's last linear layer reads.
    """

    plan: Mapping[str, Any] = {}  # as above

    def __init__(self, model: Any, tokenizer: Any, max_length: int, goal: Kind) -> None:
        super().__init__()
        self.model, self.tokenizer, self.max_length, self.goal = model, tokenizer, max_length, goal
        self.offers = TRANSFORMER | {goal.output, goal.feature}
        self.shape = shape_of(model.config)
        self.width = last_linear(model).in_features

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
            found[self.goal.feature] = read[0]
        logits = self.goal.logits(out)
        logits = logits if self.goal.early else self.goal.select(logits, batch)
        return self.goal.complete(Signals(found, logits=logits), None, batch)


def run(model: Any, batch: dict[str, Tensor], want: frozenset[str]) -> tuple[Any, dict[str, Any]]:
    """(the model's output, the wanted token-level signals and their mask)."""
    taps: AbstractContextManager[list[attention.Tap]] = tapped(model) if want & WANTED else nullcontext([])
    read = {name: batch[name] for name in READ if name in batch}
    inputs = prepared(model, read) if torch.is_grad_enabled() else read
    with taps as noted:
        out = model(**inputs, output_hidden_states=bool(want & {"hidden", "pooled"}))
    found: dict[str, Any] = attention.signals(noted, want, batch["attention_mask"])
    found["mask"] = batch["attention_mask"]
    if "hidden" in want:
        found["hidden"] = tuple(out.hidden_states)
    return out, found


def prepared(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch with its mask as fused attention reads it, (B, 1, L, L), which the library hands on as it is.

    Of a mask (B, L) it asks whether all is true, to leave it out: a sync of the device in every step.
    """
    if model.config._attn_implementation not in ("sdpa", attention.NAME):
        return batch
    mask = batch["attention_mask"]
    return batch | {"attention_mask": mask[:, None, None, :].bool().expand(-1, -1, mask.shape[1], -1)}


def tokenise(tokenizer: Any, inputs: Texts, limit: int) -> TokenArrays:
    """Texts or pairs of texts as the model's own tokenizer reads them; the longer text of a pair is cut first."""

    def read(chunk: Texts, most: int) -> dict[str, Lists]:
        given = [list(column) for column in chunk.columns]
        found = tokenizer(*given, truncation=True, max_length=most, padding=False, is_split_into_words=chunk.split)
        lists = {"ids": found["input_ids"]}
        if len(given) > 1 and "token_type_ids" in found:  # of single texts all segments are 0, which is the default
            lists["segments"] = found["token_type_ids"]
        if chunk.split:
            lists["starts"] = [first_pieces(found.word_ids(n), len(words)) for n, words in enumerate(given[0])]
        return lists

    return tokens(read, inputs, tokenizer.pad_token_id or 0, lambda: rules_of(tokenizer), limit)


def rules_of(tokenizer: Any) -> str:
    """All that a tokenizer goes by but the lengths, which change with every call; "": it has no such text."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        return ""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    return json.dumps({k: v for k, v in rules.items() if k not in ("truncation", "padding")}, sort_keys=True)


def shape_of(config: Any) -> Shape:
    """Layers, heads and widths of a transformers model."""
    layers = config.num_hidden_layers
    return Shape(layers, config.num_attention_heads, (config.hidden_size,) * (layers + 1))


def last_linear(model: Any) -> nn.Linear:
    """The layer that makes the logits: the last linear one outside the backbone."""
    backbone = set(model.base_model.modules())
    return [m for m in model.modules() if isinstance(m, nn.Linear) and m not in backbone][-1]


def head_of(model: Any) -> nn.Module:
    """What first reads the backbone's tokens: the first part outside it that has weights."""
    parts = (part for part in model.children() if part is not model.base_model and any(True for _ in part.parameters()))
    return next(parts)


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
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(path),
            device="cpu",
            model_kwargs={"use_safetensors": True},
            local_files_only=True,
            trust_remote_code=False,
        )
    except Exception as error:  # a broken folder fails in many ways inside the libraries
        raise RequestError(f"cannot load a model from {path}: {type(error).__name__}: {str(error)[:200]}") from error
    dot = model.similarity_fn_name == "dot" and type(list(model)[-1]).__name__ != "Normalize"
    products = goal.products if goal and dot else ""
    if goal and goal.compares:
        check_declared(model, "dot" if products else goal.compares, path)
    network = _from_modules(model, pooling, path)
    if products:
        network.instead, network.offers = {"embedding": products}, network.offers | {products}
    return network


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
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise RequestError(f"cannot load a classifier from {path}: {reason}") from error
    if goal.outputs and model.config.num_labels != goal.outputs:
        raise RequestError(f"{path} gives {model.config.num_labels} outputs and the task has {goal.outputs}")
    whole, unread = (model.base_model, ("pooler.",)) if new_head else (model, ())
    check_weights(path, whole, model.config.num_hidden_layers, unread)
    if new_head:
        goal.begin(last_linear(model))
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512), 512)
    return TransformerClassifier(model, tokenizer, limit, goal)


def load_model(place: Place, goal: Kind, new_head: bool = False) -> Network:
    """The model at a place, as the kind has it loaded: with its head of the library, or as an encoder."""
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


def check_declared(model: Any, similarity: str, path: Path) -> None:
    """RequestError: the model wants prompts before its texts, or is trained for another similarity, so that scores here
    would not be its own. A dot product of vectors that it normalises is their cosine."""
    if prompts := {name: text for name, text in model.prompts.items() if text}:
        raise RequestError(f"{path} declares prompts ({', '.join(prompts)}), which are not put before its texts here")
    if model.similarity_fn_name != similarity and type(list(model)[-1]).__name__ != "Normalize":
        raise RequestError(
            f"{path} declares the similarity {model.similarity_fn_name}, and this task compares by {similarity}"
        )


def _from_modules(model: Any, pooling: str, path: Path) -> TransformerNetwork:
    first, *head = list(model)
    backbone = getattr(first, "auto_model", None)
    if backbone is None or getattr(model, "tokenizer", None) is None:
        raise RequestError(f"{path} is not a text encoder with a transformers backbone")
    unread = () if pooling == "pooler" else ("pooler.",)
    check_weights(path, backbone, backbone.config.num_hidden_layers, unread)
    width = model.get_embedding_dimension()
    if pooling:
        width = backbone.config.hidden_size
        head = [make_pooling(pooling, width)]
    limit = model.max_seq_length or min(model.tokenizer.model_max_length, 512)
    return TransformerNetwork(backbone, head, model.tokenizer, limit, width)


def make_pooling(mode: str, width: int) -> nn.Module:
    """A pooling module by name; `width` is the backbone's."""
    if mode == "pooler":
        return Pooler()
    from sentence_transformers.sentence_transformer.modules import Pooling

    return Pooling(width, pooling_mode=mode)


def fingerprint(network: nn.Module) -> str:
    """Content key of a network: its weights and buffers, byte by byte, and the modules they sit in."""
    digest = hashlib.sha256(str(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    tokenizer = getattr(network, "tokenizer", None)
    if tokenizer is not None:
        digest.update(rules_of(tokenizer).encode())
    return digest.hexdigest()
