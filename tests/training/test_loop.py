"""The loop on real data, and the arithmetic around it: order of batches, learning rates, resuming, finite losses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.base.seeds import derived_seed
from bench.baselines.disco import Disco
from bench.baselines.kd import Kd
from bench.data.tokens import TokenArrays
from bench.errors import BenchError
from bench.inputs import Examples
from bench.method import Part, Run
from bench.networks import places
from bench.networks.inference import outputs
from bench.networks.transformer import load_model
from bench.optimiser import Optimiser, rate
from bench.sources import Source
from bench.students.bert import Bert
from bench.task import Track
from bench.tasks.sts import Sts
from bench.teachers.teacher import Teacher
from bench.training import checkpoint
from bench.training.evaluation import Evaluation
from bench.training.loop import Trainer
from bench.training.mover import Mover
from bench.training.order import batch_order, epoch_order

LENGTHS = np.random.default_rng(0).integers(3, 60, 1000)
EMBEDDING = frozenset({"embedding"})


def test_an_epoch_reads_each_example_at_most_once_and_leaves_less_than_a_batch():
    for batching in ("plain", "dealt", "bucketed"):
        seen = epoch_order(LENGTHS, 32, (0, 0), batching).reshape(-1)
        assert len(seen) == len(set(seen)) == 1000 // 32 * 32


def test_buckets_save_padding_and_stay_random():
    orders = {b: epoch_order(LENGTHS, 32, (0, 0), b) for b in ("plain", "dealt", "bucketed")}
    padded = {b: sum(LENGTHS[rows].max() * 32 for rows in order) for b, order in orders.items()}
    assert max(padded["dealt"], padded["bucketed"]) < 0.7 * padded["plain"]
    one, two = (list(batch_order(LENGTHS, 32, (0,), 0, 62)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], one[31])  # the second epoch is another order
    first_lengths = [LENGTHS[r].mean() for r in one[:31]]
    assert np.abs(np.diff(first_lengths)).max() > 10  # not short ones first


def test_few_dealt_batches_in_a_row_hold_all_lengths():
    """Any four of a run's twenty batches, which are sorted quarters of it by chance alone where they are shuffled."""
    lengths = np.arange(20 * 32)
    for seed in range(20):
        dealt = epoch_order(lengths, 32, (seed,), "dealt") // 32  # the batch of a sorted run that each example is from
        quarters = dealt[:, 0] // 5
        assert all(len(set(quarters[i : i + 4])) >= 3 for i in range(17))
        assert np.abs(np.diff(dealt[:, 0])).min() >= 3  # neighbours are never alike


def test_a_warm_up_is_a_share_of_its_stage_or_as_before_of_an_epoch():
    """A second stage of 25 updates with an epoch of 400: 2 or 40 updates."""
    for epoch, rates in ((0, [1 / 3, 2 / 3, 1.0]), (400, [1 / 41, 2 / 41, 3 / 41])):
        layer = torch.nn.Linear(1, 1)
        part = Part(lambda _, p=layer: p.parameters(), Optimiser(1.0, schedule="constant"))
        mover, seen = Mover(part, {}, SimpleNamespace(updates=25), epoch), []
        for step in range(3):
            layer(torch.ones(1, 1)).sum().backward()
            mover.move(step)
            seen.append(mover.optimisers[0].param_groups[0]["lr"])
        assert seen == pytest.approx(rates)


def test_a_resumed_order_is_the_rest_of_the_whole_one():
    whole = list(batch_order(LENGTHS, 32, (3, 1), 0, 100))
    rest = list(batch_order(LENGTHS, 32, (3, 1), 47, 100))
    assert all(np.array_equal(a, b) for a, b in zip(whole[47:], rest, strict=True))


def test_a_set_smaller_than_a_batch_is_repeated():
    assert [len(b) for b in batch_order(LENGTHS[:5], 32, (0,), 0, 3)] == [32] * 3


def test_token_arrays_pad_to_the_longest_of_the_batch():
    tokens = TokenArrays.of([[5, 6, 7], [8], [9, 10]], pad=0)
    batch = tokens.batch(np.array([1, 2]))
    assert batch["input_ids"].tolist() == [[8, 0], [9, 10]] and batch["attention_mask"].tolist() == [[1, 0], [1, 1]]


def test_rates():
    def shares(schedule, *steps, warmup=4):
        return [rate(Optimiser(2.0, schedule=schedule), step, 10, warmup) / 2.0 for step in steps]

    assert shares("constant", 0, 3, 4, 9) == [0.2, 0.8, 1.0, 1.0]
    assert shares("linear", 7) == pytest.approx([0.5]) and shares("cosine", 7) == pytest.approx([0.5])
    assert shares("cosine", 0, warmup=0) == [1.0]
    assert shares("step", 0, 4, 5, 7, 8, warmup=0) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_seeds_of_purposes_differ_and_repeat():
    assert derived_seed(0, "student") == derived_seed(0, "student") != derived_seed(0, "method")
    assert derived_seed(0, "stage", 0) != derived_seed(0, "stage", 1) != derived_seed(1, "stage", 1)


def test_checkpoint_keeps_everything_and_a_damaged_one_is_told(tmp_path):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"a.x": torch.arange(3), "a.y": torch.tensor(2.0)}, {"step": 3, "curve": [1]})
    tensors, state = checkpoint.load(path)
    assert state == {"step": 3, "curve": [1]} and checkpoint.without_prefix("a", tensors)["x"].tolist() == [0, 1, 2]
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(BenchError, match="damaged"):
        checkpoint.load(path)
    assert checkpoint.load(tmp_path / "none") is None


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """The mini task cut to 256 sentences, and the packaged teacher."""
    task = Sts(Source("packaged"), "mini")
    task.track = Track(updates=24, batch_size=32, examples=256, evaluations=1, teacher="all-MiniLM-L6-v2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        place = places.locate(task.track.teacher, task)
        load = lambda place, *_: load_model(place, task.goal)  # noqa: E731
        yield task, Teacher(place, torch.device("cpu"), Console(quiet=True), task.goal, load)


def distil(cls, setting, path, **settings):
    task, teacher = setting
    torch.manual_seed(0)
    student = Bert(Bert.Settings()).build("2", task, teacher.network)
    method = cls(cls.Settings(**settings), Run(task, task.track, student.width, teacher.network.width, 0))
    dev, cpu = Evaluation(task, "dev"), torch.device("cpu")
    score = lambda network: dev.score(dev.outputs(network))  # noqa: E731
    trainer = Trainer(student, method, {"teacher": teacher}, score, path, Console(quiet=True), cpu)
    return student, method, trainer.fit()


@pytest.mark.parametrize("cls", [Kd, Disco])
def test_distillation_on_real_text_teaches_the_student(cls, setting, tmp_path):
    """What the specification says must be seen: dev rises, theta rises from 1, and the student finds its own teacher
    vector among the batch's (> 95%)."""
    settings = {"stages": "ckd"} if cls is Disco else {}
    student, method, progress = distil(cls, setting, tmp_path / "c.safetensors", **settings)
    dev = [point["dev"] for point in progress.curve if "dev" in point]
    assert progress.updates == 24 and dev[-1] > dev[0] + 0.05
    task, teacher = setting
    texts = list(task.examples("distil").inputs)
    ours, theirs = (outputs(n, n.encode(texts, 64), EMBEDDING)["embedding"] for n in (student, teacher.network))
    found = (ours @ theirs.T).reshape(8, 32, -1)  # in-batch, batches of 32
    right = np.mean([(found[b][:, b * 32 : (b + 1) * 32].argmax(1) == np.arange(32)).mean() for b in range(8)])
    assert right > 0.95
    if cls is Disco:
        assert method.theta.item() > 1 and len(method.queue.rows()) == min(65536, 24 * 32)


def test_training_ends_with_the_best_dev_checkpoint(setting, tmp_path):
    """A rate that ruins the student: the stage's start is the best, and is what comes out."""
    task, _ = setting
    student, _, progress = distil(Kd, setting, tmp_path / "c.safetensors", lr=5.0)
    dev = [point["dev"] for point in progress.curve if "dev" in point]
    split = Evaluation(task, "dev")
    assert dev[-1] < dev[0] and split.score(split.outputs(student)) == pytest.approx(dev[0], abs=1e-6)


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(setting, tmp_path):
    class Broken(Kd):
        def match(self, student, teacher, batch):
            return student.embedding.sum() * float("nan")

    with pytest.raises(BenchError, match="not finite"):
        distil(Broken, setting, tmp_path / "c.safetensors")


def test_examples_digest_knows_boundaries():
    pools = [Examples(texts, np.zeros((2, 1), int)) for texts in (["ab", "c"], ["a", "bc"])]
    assert pools[0].digest != pools[1].digest


def test_a_checkpoint_copies_what_shares_memory_and_nothing_else(tmp_path):
    """A table of a million rows is not held twice while it is written."""
    table, tied = torch.randn(6, 2), torch.nn.Linear(2, 6)
    given = {"table": table, "one": tied.weight, "other": tied.weight, "part": table[2:4]}
    found = checkpoint.apart(given)
    assert found["table"].data_ptr() == table.data_ptr() and found["one"].data_ptr() == tied.weight.data_ptr()
    assert found["other"].data_ptr() != tied.weight.data_ptr()
    checkpoint.save(tmp_path / "c.safetensors", given, {})
    tensors, _ = checkpoint.load(tmp_path / "c.safetensors")
    assert all(torch.equal(tensors[name], given[name]) for name in given)


def test_a_checkpoint_of_another_version_is_told(setting, tmp_path):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"student.x": torch.zeros(1)}, {"stage": 0, "teachers": {}})
    with pytest.raises(BenchError, match=r"another version of bench wrote the checkpoint .* delete it"):
        distil(Kd, setting, path)
