"""What a student's name says of its network: the same as of the network that is built, and what records may not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.archive import load_arrays
from bench.data.audio import Waves
from bench.inputs import Texts
from bench.kinds.classify import Classify
from bench.kinds.ctc import Ctc
from bench.measuring import counting
from bench.plugins import registry
from bench.records import disk, rebuilt
from bench.records.arrays import unflatten
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.records.together import outputs_of
from bench.student import Known
from tests.factories.runs import ROOT
from tests.students.pictures import pictures

LITE = ROOT / "results/lite"
# a record of each student, by the name of its folder, but of those from which grain took parts away
RECORDS = {path.parts[-2]: path for path in disk.paths(LITE) if path.parts[-3] != "grain"}
# relations and vocabularies of the first three are in no record, and no outline is made of the last
SHAPED = sorted(set(RECORDS) - {"rgcn-1x8", "towers-8x64", "seq2seq-48x1", "crnn-16x64"})
WORDS = ["a cat sat on a mat", "a dog ran"]
BUILT: dict[str, Any] = {
    **dict.fromkeys(["resnet:8", "plain:2", "vgg:8", "wrn:16x1", "mobilenetv2:0.5", "shufflenetv1", "shufflenetv2:0.5"],
        (pictures(), Classify(5))),
    "vit:1x16": (pictures(), Classify(5)),
    **dict.fromkeys(["bow:6", "bilstm:1x4", "cnn:4", "dan:50x6"], (Texts(WORDS, WORDS[::-1]), Classify(2))),
    **dict.fromkeys(["convctc:8x1", "gructc:8x1"], (Waves.of([np.ones(4000, np.int16)], 8000), Ctc(3, ("", "a", "b")))),
}  # fmt: skip


def student(name: str) -> tuple[Any, str]:
    family, _, size = name.partition(":")
    cls = registry.load(registry.find("student", family))
    return cls(cls.Settings()), cls.check(size or cls.default)


@pytest.mark.parametrize("name", BUILT)
def test_a_network_without_weights_is_the_one_that_is_built(name: str) -> None:
    inputs, goal = BUILT[name]
    own, size = student(name)
    torch.manual_seed(0)
    network = own.build(size, Known(goal, 0.0, inputs=inputs), None).eval()
    encoded = network.encode(inputs)
    known = Known(goal, float(np.mean(encoded.lengths)))
    found = []
    with torch.device("meta"), torch.no_grad():
        found = list(map(rebuilt.counted, own.outlines(size, known)))
    said, tensors = counting.parameters(network), network.state_dict().values()
    assert said["active"] in [one.active for one in found] and network.width in [one.width for one in found]
    one = next(one for one in found if one.active == said["active"])
    words = said["embedding"] - one.embedding
    assert (words % one.row == 0 and words > 0) if one.row else words == 0
    assert one.stored + 4 * words == sum(t.numel() * t.element_size() for t in tensors)
    for point, number in one.operations.items():
        assert (point, number) == ("mean", counting.flops(network, encoded, frozenset({"logits"})))


def read(name: str) -> tuple[Record, list[rebuilt.Counts]]:
    path = RECORDS[name]
    found = disk.read(path)
    outputs = outputs_of(unflatten(load_arrays(path.with_suffix(".npz").read_bytes())))
    return found, list(rebuilt.counts(found, checked_spec(found), outputs))


def smaller(part: str, by: int) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        p = record.efficiency.parameters
        setattr(p, part, getattr(p, part) - by)
        p.total -= by

    return change


def fewer_operations(record: Record) -> None:
    record.efficiency.flops = {point: number * 0.999 for point, number in record.efficiency.flops.items()}


def less_disk(record: Record) -> None:
    record.efficiency.disk_bytes -= 50_000


def wider(record: Record) -> None:
    record.student.width += 1


EDITS = [smaller("active", 1), smaller("embedding", 1), less_disk, wider]


@pytest.mark.parametrize("name", SHAPED)
def test_records_hold_what_the_name_says_and_nothing_else(name: str) -> None:
    found, made = read(name)
    assert made and rebuilt.doubts(made, found, pruned=False) == []
    for edit in [*EDITS, *([fewer_operations] if made[0].operations and not made[0].output else [])]:
        changed = found.model_copy(deep=True)
        edit(changed)
        assert rebuilt.doubts(made, changed, pruned=False), edit
    assert not torch.empty(0).is_meta


def test_a_vocabulary_is_no_larger_than_its_settings() -> None:
    found, made = read("bow-300")
    found.efficiency.parameters.embedding += 300 * 30_000
    found.efficiency.parameters.total += 300 * 30_000
    found.efficiency.disk_bytes += 4 * 300 * 30_000
    (why,) = rebuilt.doubts(made, found, pruned=False)
    assert "no tables of bow:300" in why


def test_a_pruned_student_is_below_the_whole_one() -> None:
    found, made = read("bert-3")
    smaller("active", 5_000_000)(found)
    assert rebuilt.doubts(made, found, pruned=True) == []
    smaller("active", -5_000_001)(found)
    assert "before it is pruned" in rebuilt.doubts(made, found, pruned=True)[0]


def test_of_a_teacher_that_is_in_no_package_nothing_is_said(tmp_path: Path) -> None:
    found, _ = read("bert-3")
    spec = checked_spec(found)
    for name, known in ((spec.teacher, True), (f"{spec.teacher}~1", True), (str(tmp_path), False)):
        made = rebuilt.counts(found, spec.model_copy(update={"teacher": name}), 1)
        assert bool(list(made)) == known
