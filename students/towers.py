"""Two small towers: a residual network for images, and a mean of word vectors or an encoder for texts.

    DEPTHxWIDTH          image tower resnet:DEPTH, text tower a mean of word vectors of WIDTH, both into WIDTH numbers
    DEPTHxWIDTH+MODEL    the text tower is an encoder by the task's short name, locked, before a layer that learns
    model                the CLIP- or SigLIP-like model that --set towers.init=FOLDER (or a Hub id) names, as it is

After Radford et al. 2021 (CLIP), arXiv:2103.00020, whose towers are a ResNet or a ViT and a transformer. The loss, the
scale and its first value are CLIP's; sizes, rates and the mean of word vectors are our choice for images of 64 pixels
and some thousand captions, where a transformer from random weights learns less.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import PositiveFloat

from bench.errors import RequestError
from bench.network import Network
from bench.networks import places
from bench.networks.towers import JoinedTowers
from bench.networks.transformer import load, load_model
from bench.networks.words import WordNetwork, WordSettings
from bench.optimiser import Optimiser
from bench.student import Student
from bench.students._sides import sides
from bench.students.bow import Mean
from bench.students.resnet import ResNet
from bench.task import Task

NUMBER = "([1-9][0-9]{0,3})"
SIZE = re.compile(rf"{NUMBER}x{NUMBER}(?:\+([A-Za-z0-9][\w.-]*))?")
GIVEN = "model"


class Towers(Student):
    offers = frozenset({"embedding", "sides"})
    kinds = frozenset({"match"})
    reads = "image-text"
    sizes = "DEPTHxWIDTH[+MODEL], DEPTH = 6n + 2, as in 8x64, 20x256+all-MiniLM-L6-v2; or model, with towers.init"
    default = "8x64"

    @dataclass(frozen=True)
    class Settings(WordSettings):
        init: str = ""  # a model of transformers with two towers: a folder or a Hub id
        # Adam's own rate (Kingma & Ba 2015), as of all students that read words; our choice
        rate: PositiveFloat = 1e-3
        tuning_rate: PositiveFloat = 1e-5  # of a given model: the usual one of CLIP; our choice

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        size = size or cls.default
        if size == GIVEN:
            return size
        match = SIZE.fullmatch(size)
        if not match:
            raise RequestError(f"'{size}' is not a size of towers: write towers:{cls.sizes}")
        ResNet.check(match[1])
        return size

    def initial(self, task: Task) -> str:
        return places.locate(self.settings.init, task).identity if self.settings.init else ""

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        if (size == GIVEN) != bool(self.settings.init):
            raise RequestError("towers:model and --set towers.init=FOLDER go together: one of them is missing")
        if size == GIVEN:
            return self._given(task)
        depth, width, model = SIZE.fullmatch(size).groups()
        images, texts = sides(task)
        image = ResNet(ResNet.Settings()).build(depth, images, None)
        network = JoinedTowers(image, self._text(int(width), model, texts), int(width), locked=bool(model))
        network.optimiser = Optimiser(lr=self.settings.rate)
        return network

    def _text(self, width: int, model: str | None, texts: Task) -> Network:
        if not model:
            return WordNetwork(Mean(width), self.settings, texts, None)
        place = places.locate(model, texts)
        return load(place.path, place.pooling)

    def _given(self, task: Task) -> Network:
        place = places.locate(self.settings.init, task)
        network = load_model(place, task.goal)
        network.origin, network.optimiser = place.identity, Optimiser(lr=self.settings.tuning_rate)
        return network
