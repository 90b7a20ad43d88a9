"""Transformer encoders of any layers x width, initialised from chosen teacher layers, a checkpoint, or at random."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveFloat

from bench.errors import RequestError, unknown
from bench.kind import Kind
from bench.network import Network
from bench.networks import places
from bench.optimiser import Optimiser
from bench.student import Student
from bench.task import Task, later

RANDOM_RATE = 5e-4  # of layers that start at random: that of MiniLM's and DistilBERT's pre-training; unverified
NUMBER = "([1-9][0-9]{0,3})"
SIZE = re.compile(f"{NUMBER}(?:x{NUMBER}(?:x{NUMBER}(?:x{NUMBER})?)?)?")
LAYER = re.compile(r"^(.*layer\.)(\d+)(\..*)$")  # encoder.layer.3.attention..., transformer.layer.3...


class Bert(Student):
    """The teacher's architecture with fewer layers or another width (TinyBERT, MiniLM, DistilBERT shapes)."""

    offers = {
        "embedding",
        "states",
        "pieces",
        "windows",
        "hidden",
        "pooled",
        "attention_scores",
        "queries",
        "keys",
        "values",
    }
    sizes = "LAYERS[xWIDTH[xHEADS[xFEED-FORWARD]]], as in 3, 4x312, 2x128x2, 4x312x12x1200"
    exports = ("hf", "onnx")
    heads = ("hf", "onnx")
    default = "3"
    axes = {"init": ("start",)}

    @dataclass(frozen=True)
    class Settings:
        """How the weights start."""

        # auto: gap where the width is the teacher's, else random. A path or Hub id: that checkpoint.
        init: str = "auto"
        intermediate: NonNegativeInt = 0  # feed-forward width; 0: four times the width (BERT)
        # of copied layers, which are no whole model yet: from learning curves of bert:3 on STS-B, where the largest of
        # BERT's rates for fine-tuning, 5e-5 (Devlin et al. 2019, appendix A.3), stays ten points behind
        rate: PositiveFloat = later(2e-4, was=5e-5)

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        match = SIZE.fullmatch(size or cls.default)
        if not match:
            raise RequestError(f"'bert:{size}' is no size: give {cls.sizes}")
        _, width, heads, _ = numbers(match)
        if heads and width % heads:
            raise RequestError(f"'bert:{size}' is no size: a width of {width} does not divide into {heads} heads")
        return match.group()

    def initial(self, task: Task) -> str:
        init, named = self.settings.init, ("auto", "random", *MATCHES)
        if init in named:
            return ""
        if "/" not in init and init not in task.teachers and not Path(init).is_dir():
            raise unknown("start", init, (*named, "a folder", "a Hub id"))
        return places.locate(init, task).identity

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        from bench.networks.transformer import TransformerClassifier, TransformerNetwork

        layers, width, heads, inner = numbers(SIZE.fullmatch(size))
        init = self.settings.init
        if init not in ("auto", "random", *MATCHES):
            return _from_checkpoint(init, layers, task)
        if not isinstance(teacher, (TransformerNetwork, TransformerClassifier)):
            raise RequestError("a bert student takes its tokenizer from a transformers teacher; this teacher is none")
        config = self._config(teacher.backbone.config, layers, width, heads, inner or self.settings.intermediate)
        network = (
            _classifier(teacher, config, init, task.goal) if task.goal.auto else _from_teacher(teacher, config, init)
        )
        network.optimiser = Optimiser(lr=self.settings.rate if network.origin != "random" else RANDOM_RATE)
        return network

    def rebuild(self, blueprint: Mapping[str, Any], size: str, task: Task, teacher: Network | None) -> Network:
        from bench.networks.pruned import remade

        return remade(self.build(size, task, teacher), blueprint)

    def _config(self, teacher: Any, layers: int, width: int, heads: int, inner: int) -> Any:
        config = copy.deepcopy(teacher)
        config.num_hidden_layers = layers
        if (width and width != teacher.hidden_size) or heads or inner:
            config.hidden_size = width or teacher.hidden_size
            config.num_attention_heads = heads or default_heads(config.hidden_size)
            config.intermediate_size = inner or 4 * config.hidden_size
        if config.hidden_size % config.num_attention_heads:
            raise RequestError(
                f"a width of {config.hidden_size} does not divide into {config.num_attention_heads} heads: "
                "name the heads, as in bert:4x312x12"
            )
        return config


def numbers(match: Any) -> tuple[int, ...]:
    """(layers, width, heads, feed-forward width); 0: not named."""
    return tuple(int(n) if n else 0 for n in match.groups())


def default_heads(width: int) -> int:
    """12 where they divide the width (TinyBERT, MiniLM), else heads of 64 (BERT)."""
    return 12 if width % 12 == 0 else max(1, width // 64)


# Which teacher layers (0-based) a student of S layers starts from, of T. `gap` is the uniform mapping; unlike the
# released code of 'KD of Transformer LMs Revisited' it spreads the rest when T is not a multiple of S, so that the
# last student layer is always the teacher's last.
MATCHES = {
    "first": lambda s, t: list(range(s)),
    "last": lambda s, t: list(range(t - s, t)),
    "gap": lambda s, t: [(i + 1) * t // s - 1 for i in range(s)],
    "even": lambda s, t: [i * t // s for i in range(s)],  # DistilBioBERT: 0, 2, 4 ... of 12
}


def _same(config: Any, other: Any) -> bool:
    """Whether layers of the one fit into the other."""
    keys = ("hidden_size", "num_attention_heads", "intermediate_size")
    return all(getattr(config, key) == getattr(other, key) for key in keys)


def _start(config: Any, other: Any, init: str) -> str:
    """The start that `auto` stands for here. RequestError: layers that do not fit would be copied."""
    same = _same(config, other)
    init = ("gap" if same else "random") if init == "auto" else init
    if init != "random" and not same:
        raise RequestError(f"init={init} copies teacher layers, which needs the teacher's width and heads")
    return init


def _classifier(teacher: Any, config: Any, init: str, goal: Kind) -> Network:
    """With a head: the teacher's, where its layers are copied."""
    import transformers

    from bench.networks.transformer import TransformerClassifier, last_linear

    init = _start(config, teacher.model.config, init)
    model = getattr(transformers, goal.auto).from_config(config)
    if init != "random":
        _copy_layers(teacher.model, model, init)
    else:
        goal.begin(last_linear(model))
    network = TransformerClassifier(model, teacher.tokenizer, teacher.max_length, goal)
    network.origin = init if init == "random" else f"teacher layers ({init})"
    return network


def _from_teacher(teacher: Any, config: Any, init: str) -> Network:
    from transformers import AutoModel

    from bench.networks.transformer import TransformerNetwork, make_pooling

    source = teacher.backbone
    same, init = _same(config, source.config), _start(config, source.config, init)
    backbone = AutoModel.from_config(config)
    head = copy.deepcopy(list(teacher.head)) if same else [make_pooling("mean", config.hidden_size)]
    width = teacher.width if same else config.hidden_size
    if init != "random":
        _copy_layers(source, backbone, init)
    network = TransformerNetwork(backbone, head, teacher.tokenizer, teacher.max_length, width)
    network.origin = init if init == "random" else f"teacher layers ({init})"
    return network


def _copy_layers(source: Any, target: Any, match: str) -> None:
    """Everything outside the layers as it is, and each student layer from its teacher layer."""
    s, t = target.config.num_hidden_layers, source.config.num_hidden_layers
    if s > t:
        raise RequestError(f"init={match} copies {s} layers of a teacher that has {t}")
    chosen, weights = MATCHES[match](s, t), source.state_dict()

    def origin(name: str) -> str:
        found = LAYER.match(name)
        return name if not found else f"{found[1]}{chosen[int(found[2])]}{found[3]}"

    # a pooler that the teacher has not is read by no head of its own
    names = [name for name in target.state_dict() if name in weights or not name.startswith("pooler.")]
    target.load_state_dict({name: weights[origin(name)] for name in names}, strict=False)


def _from_checkpoint(reference: str, layers: int, task: Task) -> Network:
    from bench.networks.transformer import load_model

    place = places.locate(reference, task)
    # an encoder gets a new head, as in general distillation before task distillation (TinyBERT)
    network: Any = load_model(place, task.goal, new_head=not places.has_head(place, task.goal)).lender
    have = network.backbone.config.num_hidden_layers
    if have != layers:
        raise RequestError(f"init={reference} has {have} layers, the student asks for {layers}: say bert:{have}")
    network.origin = place.identity
    checked: Network = network
    return checked
