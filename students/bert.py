"""Transformer encoders of any layers x width, initialised from chosen teacher layers, a checkpoint, or at random."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveFloat

from bench.errors import RequestError, unknown
from bench.kind import Kind
from bench.network import Network
from bench.networks import places
from bench.networks.architectures import alike, copy_layers, last_linear, made, resized, shape_of
from bench.optimiser import Optimiser
from bench.student import Known, Outline, Student
from bench.task import Task, later

RANDOM_RATE = 5e-4  # of layers that start at random: that of MiniLM's and DistilBERT's pre-training; unverified
NUMBER = "([1-9][0-9]{0,3})"
SIZE = re.compile(f"{NUMBER}(?:x{NUMBER}(?:x{NUMBER}(?:x{NUMBER})?)?)?")


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
        config, init, chosen = self._start(teacher.backbone.config, layers, width, heads, inner)
        network = (_classifier if task.goal.auto else _from_teacher)(teacher, config, init, chosen, task.goal)
        network.optimiser = Optimiser(lr=self.settings.rate if network.origin != "random" else RANDOM_RATE)
        return network

    def outlines(self, size: str, known: Known) -> Iterator[Outline]:
        """Of a teacher that is in a package here."""
        if known.teacher is None or self.settings.init not in ("auto", "random", *MATCHES):
            return
        from bench.networks.transformer import outlined

        yield outlined(known.teacher, known.goal, lambda config: self._start(config, *numbers(SIZE.fullmatch(size)))[0])

    def rebuild(self, blueprint: Mapping[str, Any], size: str, task: Task, teacher: Network | None) -> Network:
        from bench.networks.pruned import remade

        return remade(self.build(size, task, teacher), blueprint)

    def _start(
        self, teacher: Any, layers: int, width: int, heads: int, inner: int
    ) -> tuple[Any, str, list[int]]:  # fmt: skip
        """(the student's configuration, the start that `init` stands for, the teacher layers that it is of).

        RequestError: layers that do not fit, or that are not there, would be copied.
        """
        inner = inner or self.settings.intermediate
        if (width and width != teacher.hidden_size) or heads or inner:
            width = width or teacher.hidden_size
            heads, inner = heads or default_heads(width), inner or 4 * width
        else:
            width = 0
        there = shape_of(teacher).layers
        same = alike(resized(teacher, range(layers), width, heads, inner), teacher)
        init = self.settings.init if self.settings.init != "auto" else "gap" if same else "random"
        if init == "random":
            return resized(teacher, range(layers), width, heads, inner), init, []
        if not same:
            raise RequestError(f"init={init} copies teacher layers, which needs the teacher's width and heads")
        if layers > there:
            raise RequestError(f"init={init} copies {layers} layers of a teacher that has {there}")
        chosen = MATCHES[init](layers, there)
        return resized(teacher, chosen), init, chosen


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


def _classifier(teacher: Any, config: Any, init: str, chosen: Sequence[int], goal: Kind) -> Network:
    """With a head: the teacher's, where its layers are copied."""
    from bench.networks.transformer import TransformerClassifier

    model = made(teacher.model, config)
    if chosen:
        copy_layers(teacher.model, model, chosen)
    else:
        goal.begin(last_linear(model))
    network = TransformerClassifier(model, teacher.tokenizer, teacher.max_length, goal)
    network.origin = init if init == "random" else f"teacher layers ({init})"
    return network


def _from_teacher(teacher: Any, config: Any, init: str, chosen: Sequence[int], goal: Kind) -> Network:
    from bench.networks.sentences import make_pooling
    from bench.networks.transformer import TransformerNetwork

    source = teacher.backbone
    same, backbone = alike(config, source.config), made(source, config)
    head = copy.deepcopy(list(teacher.head)) if same else [make_pooling("mean", config.hidden_size)]
    width = teacher.width if same else config.hidden_size
    if chosen:
        copy_layers(source, backbone, chosen)
    own = teacher.tokenizer, teacher.max_length, width, teacher.prompt, teacher.roles
    network = TransformerNetwork(backbone, head, *own)
    network.origin = init if init == "random" else f"teacher layers ({init})"
    return network


def _from_checkpoint(reference: str, layers: int, task: Task) -> Network:
    from bench.networks.transformer import load_model

    place = places.locate(reference, task)
    # an encoder gets a new head, as in general distillation before task distillation (TinyBERT)
    network: Any = load_model(place, task.goal, new_head=not places.has_head(place, task.goal)).lender
    have = network.shape.layers
    if have != layers:
        raise RequestError(f"init={reference} has {have} layers, the student asks for {layers}: say bert:{have}")
    network.origin = place.identity
    checked: Network = network
    return checked
