"""CMOW and CBOW: a text is the product of its words' matrices, the sum of their vectors, or both.

    X = M_1 M_2 ... M_n      Y = M'_n ... M'_2 M'_1      c = v_1 + v_2 + ... + v_n       (D x D, D x D, D^2)

    hybrid-D           e = [c ; vec X ; vec Y]     both directions
    unidirectional-D   e = [c ; vec X]
    cmow-D             e = vec X                   Continual Multiplication of Words: order counts
    cbow-D             e = c                       Continuous Bag of Words: it does not
    pairs              [a ; b ; |a - b|]           "DiffCat", each text read on its own; `pairs=joint`: one text

Galke, Cuber, Meyer, Nölscher, Sonderecker, Scherp, "General Cross-Architecture Distillation of Pretrained Language
Models into Matrix Embeddings", IJCNN 2022, arXiv:2109.08449; official code lgalke/cross-architecture-distillation. The
base is Mai, Galke, Scherp, "CBOW Is Not All You Need", ICLR 2019. Matrices start from I + N(0, 0.01^2), vectors and
layers from N(0, 0.01^2). Products are trees of pairs, of logarithmic depth, in float32 whatever the run computes in.

States of words, for tags: [c_i ; vec X_i] of the words up to i, in the hybrid those from i on beside them, where the
official code lays the product of the last i words beside that of the first i. Other deviations: padding is the identity
and 0, and stays so (the official rows of padding are trained, and drift); no dropout on words by default, which there
falls on the matrices' entries, the diagonal among them; the linear head ends without the official code's ReLU on the
logits; [CLS] and [SEP], the same matrices in every text, are left out. The MLP has the hidden width that the paper's
parameter counts imply (1,000). The paper's general distillation, on masked words, is the method `cmow`; that on a task
is `--method kd --set form=mean --set alpha=0.5 --set temperature=1`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.kind import Kind
from bench.network import Network
from bench.networks.words import Body, WordNetwork, WordSettings, WordStudent, checked, turned
from bench.optimiser import Optimiser
from bench.task import Task, later

Combine = Callable[[Tensor, Tensor], Tensor]
# what an embedding is made of: vectors, matrices, matrices of the other direction
FORMS = {"hybrid": "vmw", "unidirectional": "vm", "cmow": "m", "cbow": "v"}
STD = 0.01
HIDDEN = 1000  # of the MLP: with it the published counts of all four forms come out


class Product(Body):
    """Entries of a word's vector and matrices (B, L, W), one behind the other -> embedding (B, W)."""

    sides = 3
    no_graph = "the product of its words is a tree, with as many levels as the text asks for"

    def __init__(self, form: str, side: int, settings: Cmow.Settings) -> None:
        super().__init__()
        self.parts, self.side, self.settings = FORMS[form], side, settings
        self.joint = settings.pairs == "joint"
        self.word_width = self.width = len(self.parts) * side**2
        self.state_width = self.width + side**2 * ("w" in self.parts)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """The same as the pooled states, at half the cost."""
        how: dict[str, Combine] = {"v": torch.add, "m": torch.matmul, "w": backwards}
        with torch.autocast(words.device.type, enabled=False):
            parts = self.read(words, mask)
            return torch.cat([fold(part, how[name]).flatten(1) for name, part in parts.items()], 1)

    def states(self, words: Tensor, mask: Tensor) -> Tensor:
        with torch.autocast(words.device.type, enabled=False):
            parts = self.read(words, mask)
            found = [scan(parts[n], c).flatten(2) for n, c in (("v", torch.add), ("m", torch.matmul)) if n in parts]
            if "w" in parts:
                found += [self.from_the_end(parts[n], c, mask) for n, c in (("v", torch.add), ("w", torch.matmul))]
        return torch.cat(found, 2)

    def from_the_end(self, part: Tensor, combine: Combine, mask: Tensor) -> Tensor:
        """Of all words from i on, the last one first."""
        last_first = turned(part.flatten(2), mask).view(part.shape)
        return turned(scan(last_first, combine).flatten(2), mask)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """What was read up to the last word, and in the other direction up to the first."""
        forward = self.side**2 * len(self.parts.replace("w", ""))
        last = (mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, forward)
        return torch.cat([states[..., :forward].gather(1, last)[:, 0], states[:, 0, forward + self.side**2 :]], 1)

    def read(self, words: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The parts, float32: vectors (B, L, D^2) and matrices (B, L, D, D); the identity where there is no word."""
        shape, eye = (*words.shape[:2], self.side, self.side), torch.eye(self.side, device=words.device)
        cut = dict(zip(self.parts, words.float().split(self.side**2, 2), strict=True))
        return {n: x if n == "v" else torch.where(mask[..., None, None], x.reshape(shape), eye) for n, x in cut.items()}

    def compare(self, one: Tensor, other: Tensor) -> Tensor:
        return torch.cat([one, other, (one - other).abs()], 1)

    def head(self, goal: Kind, width: int) -> nn.Module | None:
        """linear: LayerNorm, Linear. mlp: Linear, ReLU, LayerNorm, Linear."""
        hidden = [nn.Linear(width, HIDDEN), nn.ReLU()] if self.settings.head == "mlp" else []
        last = goal.head(HIDDEN if hidden else width)
        if last is None:
            return None
        head = nn.Sequential(
            nn.Dropout(self.settings.head_dropout), *hidden, nn.LayerNorm(HIDDEN if hidden else width), last
        )
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=STD)
                nn.init.zeros_(layer.bias)
        return head

    def start(self, table: Tensor) -> None:
        table.normal_(std=STD)
        for name, part in zip(self.parts, table.split(self.side**2, 1), strict=True):
            if name != "v":
                part += torch.eye(self.side).flatten()


def backwards(earlier: Tensor, later: Tensor) -> Tensor:
    """The product in the other direction."""
    return later @ earlier


def fold(x: Tensor, combine: Combine) -> Tensor:
    """(B, L, ...) -> x_1 o x_2 o ... o x_L (B, ...), pair by pair. Pairs are counted from the left, so that neutral
    elements behind the last word change no bit."""
    while (length := x.shape[1]) > 1:
        pairs = combine(x[:, 0 : length - 1 : 2], x[:, 1::2])
        x = torch.cat([pairs, x[:, -1:]], 1) if length % 2 else pairs
    return x[:, 0]


def scan(x: Tensor, combine: Combine) -> Tensor:
    """(B, L, ...) -> x_1 o ... o x_i of every i: those of even i from the pairs, those of odd i with one more each
    (Blelloch 1990)."""
    length = x.shape[1]
    if length == 1:
        return x
    even = scan(combine(x[:, 0 : length - 1 : 2], x[:, 1::2]), combine)
    odd = torch.cat([x[:, :1], combine(even[:, : (length - 1) // 2], x[:, 2::2])], 1)
    found = torch.stack([odd[:, : even.shape[1]], even], 2).flatten(1, 2)
    return torch.cat([found, odd[:, -1:]], 1) if length % 2 else found


class Cmow(WordStudent):
    offers = frozenset({"embedding", "states", "pieces"})
    sizes = "FORM-D (hybrid, unidirectional, cmow or cbow; matrices 1x1 to 99x99, vectors of their size)"
    default = "hybrid-20"  # the paper's

    @dataclass(frozen=True)
    class Settings(WordSettings):
        tokens: str = "teacher"  # its word pieces, the paper's of BERT | words of the training text
        dropout: float = 0.0  # on entries of vectors and matrices; the paper tried 0 and 0.1
        head: Literal["mlp", "linear"] = "mlp"  # the paper's better one
        pairs: Literal["diffcat", "joint"] = later("diffcat")  # joint: as one text, [SEP] between; the paper's control
        head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # before it; official config

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size.lower(), f"({'|'.join(FORMS)})-[1-9][0-9]?", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> WordNetwork:
        form, side = self.check(size).split("-")
        body = Product(form, int(side), self.settings)
        network = WordNetwork(body, self.settings, task, teacher)
        # the paper's search on tasks: 1e-3 to 5e-6, linear, no warm-up; our runs are short
        network.optimiser = Optimiser(lr=1e-3, weight_decay=0.0, warmup=0.0, schedule="linear")
        return network
