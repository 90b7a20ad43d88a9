"""Networks that read sound, pictures and sentences: what pads a batch changes nothing, sizes, and who fits what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data.audio import Waves
from bench.data.images import Images
from bench.data.labelled import Labelled, LabelledTask, Splits
from bench.errors import RequestError
from bench.inputs import IGNORED, Texts
from bench.kinds.generate import as_bytes
from bench.plugins.registry import find, load
from bench.scoring.scores import Ragged
from bench.sources import Source

WANT = frozenset({"logits"})
LENGTHS = (4000, 900, 2345, 150)  # samples: one fills no window


class Given(LabelledTask):
    """Training data as it is given."""

    tracks = {"lite": None}
    main_metric = "1-wer"

    def __init__(self, kind: str, inputs, labels, classes=()) -> None:
        self.kind, self.classes, self.data = kind, classes, Labelled(inputs, labels)
        super().__init__(Source("packaged"), "lite")

    def _examples_of(self):
        return self.data

    def examples(self, purpose: str):
        from bench.inputs import single

        return single(self.data.inputs, self.data.labels)

    def read(self) -> Splits:
        return Splits(self.data, self.data, {"given": self.data})

    def card(self):
        raise NotImplementedError

    score = None


def sounds() -> Given:
    rng = np.random.default_rng(0)
    waves = Waves.of([rng.integers(-9000, 9000, n).astype(np.int16) for n in LENGTHS], 8000)
    return Given("ctc", waves, Ragged.of([[1, 2], [2], [], [1]], np.int64), ("", "a", "b"))


def pictures() -> Given:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 100)).astype(np.uint8)
    return Given("ctc", Images(pixels), Ragged.of([[1, 2], [2], [1, 1, 2], [1]], np.int64), ("", "a", "b"))


def sentences() -> Given:
    source = ["ein Hund", "zwei kleine Hunde laufen", "die Katze schläft", "ein Haus"]
    target = ["a dog", "two small dogs run .", "the cat sleeps", "a house"]
    return Given("generate", Texts(source), as_bytes(target))


def built(family: str, size: str, task: Given):
    torch.manual_seed(0)
    student = load(find("student", family))
    return student(student.Settings()).build(student.check(size), task, None).eval()


@pytest.mark.parametrize(
    ("family", "size", "task"),
    [
        ("convctc", "8x2", sounds), ("gructc", "6x1", sounds), ("oracle_speech", "8x2m50", sounds),
        ("crnn", "2x5", pictures), ("oracle_scene", "8x1m50", pictures),
        ("seq2seq", "16x1", sentences), ("oracle_translation", "16x1m50", sentences),
    ],
)  # fmt: skip
@torch.no_grad()
def test_the_batch_around_an_input_changes_nothing(family: str, size: str, task) -> None:
    given = task()
    network = built(family, size, given)
    told = network.reads_targets or given.goal.teacher_forced
    data = given.data
    encoded = network.encode_told(data.inputs, data.labels) if told else network.encode(data.inputs)
    whole = network(encoded.batch(np.arange(4)), WANT)
    for row in range(4):
        alone = network(encoded.batch(np.array([row])), WANT)
        length = int(alone.mask.sum())
        torch.testing.assert_close(whole.logits[row, :length], alone.logits[0, :length], atol=2e-5, rtol=1e-4)
        assert int(whole.mask[row].sum()) == length
        if encoded.axes:
            assert int(encoded.axes["L"][row]) == length


@pytest.mark.parametrize("family", ["convctc", "gructc", "oracle_speech"])
@torch.no_grad()
def test_sound_behind_the_end_is_not_heard(family: str) -> None:
    task = sounds()
    network = built(family, "8x1", task)
    batch = network.encode(task.data.inputs).batch(np.arange(4))
    noisy = batch | {"waves": batch["waves"].clone()}
    for row, length in enumerate(LENGTHS):
        noisy["waves"][row, max(length, 200) :] = torch.randn(LENGTHS[0] - max(length, 200))
    one, two = (network(given, WANT) for given in (batch, noisy))
    real = one.mask.bool()
    torch.testing.assert_close(one.logits[real], two.logits[real], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_a_network_goes_on_from_its_own_pieces() -> None:
    """What is generated is what teacher forcing with it says is best, piece by piece."""
    task = sentences()
    network = built("seq2seq", "16x1", task)
    found = network(network.encode(task.data.inputs).batch(np.arange(4)), WANT)
    assert [bytes(row[row != IGNORED].numpy().astype(np.uint8)).decode() is not None for row in found.generated]
    pieces = found.logits.argmax(-1)
    batch = network.encode(task.data.inputs).batch(np.arange(4))
    forced = network(batch | {"targets": pieces}, WANT).logits.argmax(-1)
    ends = (pieces == network.tokenizer.eos_token_id).int().cumsum(1)
    before_end = (ends - (pieces == network.tokenizer.eos_token_id).int()) == 0
    assert torch.equal(forced[before_end], pieces[before_end])


def test_a_student_takes_the_teachers_pieces_and_texts_come_back() -> None:
    task = sentences()
    teacher = built("seq2seq", "32x1", task)
    student = load(find("student", "seq2seq"))
    assert student(student.Settings()).build("16x1", task, teacher).tokenizer is teacher.tokenizer
    told = teacher.encode_told(task.data.inputs, task.data.labels)
    spelt = teacher.spelt(torch.from_numpy(told.targets.flat[: told.targets.lengths[0]])[None])
    assert bytes(spelt[0].numpy().astype(np.uint8)) == b"a dog"


@torch.no_grad()
def test_no_target_piece_is_told_where_it_is_predicted() -> None:
    """Another last piece: nothing that is said of it changes, as its own reading masks it. Unmasked it is read."""
    for size, same in (("16x1m50", True), ("16x1m0", False)):
        task = sentences()
        network = built("oracle_translation", size, task)
        batch = network.encode_told(task.data.inputs, task.data.labels).batch(np.array([1]))
        other = batch | {"targets": batch["targets"].clone()}
        other["targets"][0, -1] = 7
        one, two = (network(given, WANT).logits[0, -1] for given in (batch, other))
        assert torch.allclose(one, two, atol=1e-6) == same


@pytest.mark.parametrize(
    ("family", "size", "message"),
    [
        ("convctc", "8", "write convctc:WIDTHxLAYERS"), ("gructc", "0x1", "write gructc:"), ("crnn", "x", "write crnn"),
        ("oracle_speech", "6x1", "multiple of its 4 heads"), ("oracle_scene", "8x1m101", "write oracle_scene"),
        ("seq2seq", "20x1", "write seq2seq"), ("oracle_translation", "20x1", "multiple of 16"),
    ],
)  # fmt: skip
def test_wrong_sizes(family: str, size: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load(find("student", family)).check(size)
