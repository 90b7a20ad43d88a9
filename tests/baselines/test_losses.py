"""Losses against formulas written out independently in numpy, values and gradients (central differences in float64)."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.baselines.disco import Disco, Queue, ckd_loss
from bench.baselines.kd import Kd
from bench.inputs import Batch, Examples
from bench.kinds.embed import Embed
from bench.losses import Contrast
from bench.method import Run
from bench.signals import Signals
from bench.task import Track

RNG = np.random.default_rng(7)
U, V, Q = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5)), RNG.normal(size=(3, 5))
Q /= np.linalg.norm(Q, axis=1, keepdims=True)
THETA = 1.0


def rows(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def ckd_by_hand(u, v, queue, theta):
    """Loops and logs, nothing shared with the code under test."""
    keys = np.concatenate([rows(v), queue])
    total = 0.0
    for i in range(len(u)):
        logits = [math.exp(theta) * float(rows(u)[i] @ k) for k in keys]
        total += math.log(sum(math.exp(x) for x in logits)) - logits[i]
    return total / len(u)


def contrast_by_hand(h, scale, columns):
    parts = np.split(h, columns)
    candidates = rows(np.concatenate(parts[1:]))
    total = 0.0
    for i, anchor in enumerate(rows(parts[0])):
        logits = [scale * float(anchor @ c) for c in candidates]
        total += math.log(sum(math.exp(x) for x in logits)) - logits[i]
    return total / len(parts[0])


def numeric_gradient(f, x, step=1e-6):
    grad = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        grad[i] = (f(up) - f(down)) / (2 * step)
    return grad


def tensor(x):
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


def test_ckd_value_and_gradients():
    u, theta = tensor(U), tensor(np.array(THETA))
    loss = ckd_loss(u, torch.tensor(V), torch.tensor(Q), theta.exp())
    loss.backward()
    assert loss.item() == pytest.approx(ckd_by_hand(U, V, Q, THETA), abs=1e-9)
    assert np.allclose(u.grad.numpy(), numeric_gradient(lambda x: ckd_by_hand(x, V, Q, THETA), U), atol=1e-6)
    slope = numeric_gradient(lambda t: ckd_by_hand(U, V, Q, float(t)), np.array(THETA))
    assert theta.grad.item() == pytest.approx(float(slope), abs=1e-6)


def test_ckd_at_perfect_alignment_is_the_floor_of_the_specification():
    """B=4, no queue, W f_s = f_t: mean_i log sum_j exp(a (cos_ij - 1)), and every argmax is right."""
    alpha = math.e
    loss = ckd_loss(
        torch.tensor(V),
        torch.tensor(V),
        torch.empty(0, 5, dtype=torch.float64),
        torch.tensor(alpha, dtype=torch.float64),
    )
    cosines = rows(V) @ rows(V).T
    assert loss.item() == pytest.approx(np.log(np.exp(alpha * (cosines - 1)).sum(1)).mean(), abs=1e-9)
    assert loss.item() > 0 and (cosines.argmax(1) == np.arange(4)).all()


def test_ckd_floor_with_a_full_queue_of_orthogonal_negatives_is_8_38():
    """65,536 orthogonal negatives at alpha = e: 8.38, against chance 11.10 (numbers of the specification)."""
    keys = 65536
    floor = math.log(math.exp(math.e) + (keys - 1) * math.exp(0)) - math.e
    assert floor == pytest.approx(8.38, abs=0.01) and math.log(keys) == pytest.approx(11.09, abs=0.01)
    u = torch.zeros(1, 3, dtype=torch.float64)
    u[0, 0] = 1
    queue = torch.zeros(keys - 1, 3, dtype=torch.float64)
    queue[:, 1] = 1
    assert ckd_loss(u, u, queue, torch.tensor(math.e, dtype=torch.float64)).item() == pytest.approx(floor, abs=1e-9)


def test_regression_value_and_gradient():
    u = tensor(U)
    (loss,) = (
        make(Kd)
        .soft_targets(Signals(embedding=u), Signals(embedding=torch.tensor(V)), Batch(torch.arange(4), 1))
        .values()
    )
    loss.backward()
    by_hand = sum((U[i, j] - V[i, j]) ** 2 for i in range(4) for j in range(5)) / 20
    assert loss.item() == pytest.approx(by_hand, abs=1e-12)
    assert np.allclose(u.grad.numpy(), 2 * (U - V) / 20, atol=1e-12)


@pytest.mark.parametrize("columns", [2, 3])
def test_contrast_value_and_gradients(columns):
    h = RNG.normal(size=(2 * columns, 5))
    objective, x = Contrast().double(), tensor(h)
    loss = objective(Signals(embedding=x), Batch(torch.arange(2), columns))["contrastive"]
    loss.backward()
    assert loss.item() == pytest.approx(contrast_by_hand(h, 20.0, columns), abs=1e-9)
    assert np.allclose(x.grad.numpy(), numeric_gradient(lambda y: contrast_by_hand(y, 20.0, columns), h), atol=1e-6)
    slope = (contrast_by_hand(h, 20 + 1e-6, columns) - contrast_by_hand(h, 20 - 1e-6, columns)) / 2e-6
    assert objective.scale.grad.item() == pytest.approx(slope, abs=1e-6)  # beta is learnable and linear


def make(cls, student_width=5, teacher_width=5, columns=1, **settings):
    examples = lambda purpose: Examples(["x"] * columns, np.arange(columns)[None])  # noqa: E731
    task = SimpleNamespace(objective=Contrast, kind="embed", goal=Embed(), examples=examples)
    track = Track(updates=10, batch_size=4)
    return cls(cls.Settings(**settings), Run(task, track, student_width, teacher_width, 0))


def test_no_gradient_reaches_the_teacher():
    teacher = torch.tensor(V, dtype=torch.float32, requires_grad=True)
    student = torch.tensor(U, dtype=torch.float32, requires_grad=True)
    batch = Batch(torch.arange(4), 1)
    for method, loss in ((make(Disco), "ckd"), (make(Kd), "soft_targets")):
        losses = getattr(method, loss)(Signals(embedding=student), Signals(embedding=teacher), batch)
        sum(losses.values()).backward()
    assert teacher.grad is None and student.grad is not None


def test_the_queue_has_room_for_all_that_a_stage_reads_of_groups_too():
    """10 updates of 4 examples, of one input or of 9."""
    assert [len(make(Disco, columns=n).queue.ring) for n in (1, 9)] == [40, 360]
    assert len(make(Disco, columns=9, queue=100).queue.ring) == 100


def test_queue_is_first_in_first_out_bounded_and_unit_norm():
    queue, pushed = Queue(5, 3), RNG.normal(size=(7, 3))
    for start, stop in ((0, 2), (2, 4), (4, 7)):
        queue.push(torch.tensor(pushed[start:stop], dtype=torch.float32))
        kept = queue.rows().numpy()
        newest = rows(pushed[:stop])[-5:]
        assert len(kept) == min(5, stop)
        assert np.allclose(np.sort(kept, 0), np.sort(newest, 0), atol=1e-6)  # the newest, in any order
        assert np.allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-6)
    assert not queue.rows().requires_grad


def test_a_batch_larger_than_the_queue_keeps_its_newest_rows():
    queue, pushed = Queue(3, 2), RNG.normal(size=(8, 2))
    queue.push(torch.tensor(pushed, dtype=torch.float32))
    assert np.allclose(np.sort(queue.rows().numpy(), 0), np.sort(rows(pushed)[-3:], 0), atol=1e-6)


def test_a_queue_of_no_rows_is_in_batch_ckd():
    queue = Queue(0, 2)
    queue.push(torch.ones(4, 2))
    assert len(queue.rows()) == 0


def test_queue_survives_a_checkpoint():
    first, second = Queue(4, 2), Queue(4, 2)
    for x in (torch.ones(3, 2), torch.tensor([[0.0, 1.0], [1.0, 0.0]])):
        first.push(x)
    second.load_state_dict(first.state_dict())
    for queue in (first, second):
        queue.push(torch.tensor([[-1.0, 0.0]]))
    assert torch.equal(first.rows(), second.rows())


def test_negatives_are_earlier_teacher_embeddings():
    """The first batch sees 4 keys, the second 8: its own and the first batch's."""
    method, batch = make(Disco), Batch(torch.arange(4), 1)
    u, v = torch.tensor(U, dtype=torch.float32), torch.tensor(V, dtype=torch.float32)
    first = method.ckd(Signals(embedding=u), Signals(embedding=v), batch)["ckd"].item()
    second = method.ckd(Signals(embedding=u), Signals(embedding=v), batch)["ckd"].item()
    assert first == pytest.approx(ckd_by_hand(U, V, np.empty((0, 5)), 1.0), abs=1e-5)
    assert second == pytest.approx(ckd_by_hand(U, V, rows(V), 1.0), abs=1e-5)


def test_projection_only_where_widths_differ_and_it_is_not_part_of_the_student():
    assert not list(make(Kd).project.parameters())
    assert make(Kd, 3, 5).project.weight.shape == (5, 3)
    assert make(Disco, projection="always").project.weight.shape == (5, 5)


def test_stages_can_be_run_alone_and_replicate_leaves_the_teacher_noisy():
    names = {which: [s.name for s in make(Disco, stages=which).stages()] for which in ("both", "ckd", "contrast")}
    assert names == {"both": ["ckd", "contrast"], "ckd": ["ckd"], "contrast": ["contrast"]}
    assert next(iter(make(Disco, replicate=True).stages())).roles["teacher"].noisy
    assert not next(iter(make(Disco).stages())).roles["teacher"].noisy
    both, alone = list(make(Disco).stages()), list(make(Disco, stages="contrast").stages())
    assert [s.updates for s in both] == [10, 1] and alone[0].updates == 10
