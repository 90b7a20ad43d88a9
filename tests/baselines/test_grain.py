"""GRAIN: losses, scores and choice equal formulas that were worked out apart; the student that it leaves is small."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.baselines.grain import Grain, costs, density, matched
from bench.errors import RequestError
from bench.kinds.regress import Regress
from bench.method import Run
from bench.networks.pruned import cut
from bench.records import disk
from bench.records.check import check as checked
from bench.runs import sweep
from bench.runs.protocol import restore
from bench.runs.replay import spec_of
from bench.signals import Signals
from bench.task import Track
from bench.training.loop import Trainer
from tests.baselines.tools import RNG, Data, T, Z, batch, check, total
from tests.factories.commands import bench, brief_clock, runs_of
from tests.factories.runs import save_teacher
from tests.networks.test_pruned import D, F, H, S, masked, network, outputs
from tests.networks.test_pruned import batch as inputs
from tests.worlds.tools import QUIET, TOY, alike, interrupted, planned, same, trained, world

CPU = torch.device("cpu")
UNITS = F + 2 * D
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 0]])


def grain(task=None, student=None, teacher_layers=S, **settings):
    """The method on a small encoder, whole numbers of double precision."""
    student = student or network()
    theirs = SimpleNamespace(layers=teacher_layers, heads=H, hidden=(D,) * (teacher_layers + 1))
    run = Run(
        task or Data(), Track(updates=20, batch_size=4), D, D, 0, student_shape=student.shape, teacher_shape=theirs,
        student=student,
    )  # fmt: skip
    method = Grain(Grain.Settings(**{"rank": 0, **settings}), run).double()
    student.double()
    return method


def values():
    task = Data()
    task.goal = Regress(1)
    return task


# Losses


@pytest.mark.parametrize("tau", [1.0, 8.0])
def test_soft_loss(tau):
    method = grain(temperature=tau)

    def by_hand(z):
        return -np.mean(np.sum(softmax(T / tau, 1) * log_softmax(z / tau, 1), 1))

    check(lambda z: total(method.soft(Signals(logits=z), Signals(logits=torch.tensor(T)), batch())), Z, by_hand)


def test_soft_loss_of_values():
    method, z, t = grain(values()), Z[:, :1], T[:, :1]
    check(
        lambda x: total(method.soft(Signals(logits=x), Signals(logits=torch.tensor(t)), batch())),
        z, lambda x: np.mean((x - t) ** 2),
    )  # fmt: skip


@pytest.mark.parametrize(("layers", "pairs"), [(3, [(0, 0), (2, 2), (3, 3)]), (6, [(0, 0), (2, 4), (3, 6)])])
def test_hidden_loss(layers, pairs):
    """Of every other state and the last; padding counts nothing, whatever lies there."""
    method = grain(teacher_layers=layers)
    ours, theirs = RNG.normal(size=(4, 4, 5, D)), RNG.normal(size=(layers + 1, 4, 5, D))
    weights = [RNG.normal(size=(D, D)) for _ in pairs]
    assert all(torch.equal(p.weight, torch.eye(D)) and not p.bias.any() for p in method.project)
    for projection, weight in zip(method.project, weights, strict=True):
        projection.weight.data.copy_(torch.tensor(weight))
    mask, teacher = torch.tensor(MASK), tuple(torch.tensor(theirs))

    def by_hand(h):
        found = 0.0
        for (s, t), weight in zip(pairs, weights, strict=True):
            found += sum(
                np.sum((weight @ h[s, b, n] - theirs[t, b, n]) ** 2) for b in range(4) for n in range(5) if MASK[b, n]
            )
        return found / (D * MASK.sum())

    def loss(h):
        return total(method.hidden(Signals(hidden=tuple(h), mask=mask), Signals(hidden=teacher, mask=mask), batch()))

    check(loss, ours, by_hand)


def test_layers_that_are_matched():
    assert matched(12, 12) == [(layer, layer) for layer in (0, 2, 4, 6, 8, 10, 12)]
    assert matched(1, 3) == [(0, 0), (1, 3)]
    for ours in (0, 4):
        with pytest.raises(RequestError, match=f"the teacher has 3 and the student {ours}"):
            matched(ours, 3)


# Scores


def soft_of(method):
    student = method.run.student
    found = student(inputs(), frozenset({"logits"}))
    teacher = Signals(logits=torch.linspace(-3, 4, 16, dtype=torch.float64).view(4, 4))
    return method.soft(found, teacher, None)["soft"]


def parts(layer):
    """(weight, index of unit j) of what the score of each unit is made of, unit after unit."""
    for j in range(F):
        yield [(layer.outer.weight, (slice(None), j))]
    for r in range(D):
        yield [(layer.query.weight, (r,)), (layer.query.bias, (r,))]
    for r in range(D):
        yield [(layer.output.weight, (slice(None), r))]


@torch.no_grad()
def change(method, tensors, step=1e-5):
    """How the loss changes as a unit's weights grow together: d L((1 + e) W) / d e at 0, which is sum G W."""
    found = []
    for sign in (1, -1):
        for weight, at in tensors:
            weight[at] *= 1 + sign * step
        found.append(float(soft_of(method)))
        for weight, at in tensors:
            weight[at] /= 1 + sign * step
    return (found[0] - found[1]) / (2 * step)


def measure(method):
    method.run.student.zero_grad()
    soft_of(method).backward()
    method.after_backward(method.measured)


def test_scores_are_how_much_the_loss_changes_with_a_unit():
    method = grain(beta=0.9)
    measure(method)
    wanted = np.array([[abs(change(method, p)) for p in parts(layer)] for layer in method.layers])
    wanted[:, -D:] *= np.tanh(1 / 0.3)
    assert wanted.max() > 1e-4 and np.allclose(method.importance.numpy(), 0.1 * wanted, atol=1e-9)


def test_scores_are_smoothed_and_nearly_empty_heads_count_less():
    method = grain(beta=0.75, alpha=0.3)
    measure(method)
    first = method.importance.clone()
    method.kept[1, -D : -D + 3] = False  # three of four value rows of a head
    measure(method)
    wanted = 0.75 * first + first
    wanted[1, -D : -D + 4] = (0.75 + np.tanh(0.25 / 0.3) / np.tanh(1 / 0.3)) * first[1, -D : -D + 4]
    assert torch.allclose(method.importance, wanted, rtol=1e-6)


def test_without_alpha_all_heads_count_alike():
    one, other = grain(alpha=0.3), grain(alpha=0)
    for method in (one, other):
        measure(method)
    assert torch.allclose(one.importance[:, :-D], other.importance[:, :-D])
    assert torch.allclose(one.importance[:, -D:], other.importance[:, -D:] * np.tanh(1 / 0.3))


def test_other_steps_change_no_score():
    method = grain()
    (stage,) = method.stages()
    soft, hidden = stage.steps
    measure(method)
    before = method.importance.clone()
    method.after_backward(hidden)
    assert soft is method.measured and torch.equal(method.importance, before)


# The choice


def test_the_schedule_is_cubic():
    found = [density(t, 0.1, 0.2, 0.4) for t in (0.0, 0.2, 0.25, 0.3, 0.4, 0.9)]
    assert found == pytest.approx([1, 1, 0.1 + 0.9 * 0.75**3, 0.1 + 0.9 / 8, 0.1, 0.1])


def test_costs_are_the_parameters_of_a_layer():
    """All but the biases that no unit owns. Of BERT-base 85.0 million, 2/3 of them in neurons."""
    layer = grain().layers[0]
    weights = sum(p.numel() for linear in layer for p in linear.parameters())
    assert int(costs([F, D, D], D).sum()) == weights - 2 * D
    base = costs([3072, 768, 768], 768)
    assert 12 * int(base.sum()) == 84_999_168 and float(base[:3072].sum() / base.sum()) == pytest.approx(
        2 / 3, abs=1e-3
    )


def test_the_least_important_units_go_and_never_come_back():
    """Against a loop that takes away one unit after the other."""
    method, random = grain(density=0.1), np.random.default_rng(0)
    each = np.tile(np.r_[[2 * D + 1] * F, [2 * D + 2] * D, [2 * D + 1] * D], (S, 1))
    before = np.ones((S, UNITS), bool)
    for progress in (0.1, 0.22, 0.25, 0.3, 0.39, 0.4, 0.41, 1.0):
        importance = random.random((S, UNITS))
        method.importance.copy_(torch.tensor(importance))
        method.after_update(progress)
        share = 1 if progress < 0.2 else density(progress, 0.1, 0.2, 0.4)
        wanted = before.copy()
        for at in np.argsort(importance.ravel()):
            if before.ravel()[at] and each[wanted].sum() > share * each.sum():
                wanted.ravel()[at] = False
        reached = each[wanted].sum() / each.sum()
        assert share - (2 * D + 2) / each.sum() < reached <= share + 1e-12 or (wanted == before).all()
        empty = ~wanted[:, -D:].reshape(S, H, -1).any(-1)
        wanted[:, F : F + D] &= ~np.repeat(empty, D // H, 1)
        assert np.array_equal(method.kept.numpy(), wanted)
        before = wanted
    assert 0.05 < before.mean() < 0.15


def test_what_is_gone_does_nothing_and_learns_nothing():
    method = grain(density=0.3)
    measure(method)
    method.importance.copy_(torch.rand(S, UNITS, generator=torch.Generator().manual_seed(0)))
    method.after_update(1.0)
    student = method.run.student
    student.zero_grad()
    soft_of(method).backward()
    for layer, mask in zip(method.layers, ~method.kept, strict=True):
        neurons, queries, values_ = mask.split(method.sizes)
        gone = [(layer.inner, neurons), (layer.query, queries), (layer.key, queries), (layer.value, values_)]
        for linear, units in gone:
            assert not linear.weight[units].any() and not linear.weight.grad[units].any()
            assert not linear.bias[units].any() and not linear.bias.grad[units].any()
        for linear, units in ((layer.outer, neurons), (layer.output, values_)):
            assert not linear.weight[:, units].any() and not linear.weight.grad[:, units].any()


def test_what_is_cut_out_changes_no_output():
    method = grain(density=0.2)
    method.importance.copy_(torch.rand(S, UNITS, generator=torch.Generator().manual_seed(0)))
    before = method.run.student.float()
    method.after_update(0.9)
    kept = method._split(method.kept)
    wanted, pruned = outputs(masked(before, kept)), outputs(before)
    small = method.finish(before, before)
    pairs = list(zip(outputs(small), wanted, pruned, strict=True))
    assert max(float((ours - other).abs().max()) for ours, *others in pairs for other in others) < 1e-5
    again = network(seed=1)
    cut(again, kept)
    assert [p.shape for p in again.parameters()] == [p.shape for p in small.parameters()]


@pytest.mark.parametrize(
    ("settings", "said"), [({"start": 0.4}, "starts before it ends"), ({"rank": D}, "does not factorise")]
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(RequestError, match=said):
        grain(**settings)


# Whole runs


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> str:
    """Of two layers of width 48, whose dropout is on in a student."""
    return str(save_teacher(tmp_path_factory.mktemp("teacher") / "tiny"))


SMALL = ("updates=20", "batch_size=8", "evaluations=2", "teach=4", "grain.beta=0.9")


def plan(teacher, *settings, method="grain", student="bert:2"):
    ours = [s for s in SMALL if method == "grain" or not s.startswith("grain")]
    return planned(TOY, method, student, teacher, *ours, *settings)


def test_of_full_density_it_is_plain_distillation(teacher, tmp_path, monkeypatch):
    """With dropout: the student runs once an update, though its gradients are taken apart."""
    forward, runs = Trainer._forward, []
    monkeypatch.setattr(Trainer, "_forward", lambda *given: runs.append((given[1].name, given[2])) or forward(*given))
    ours = trained(plan(teacher, "grain.density=1", "grain.rank=0"), tmp_path / "grain")
    assert [role for stage, role in runs if stage == "prune"] == ["student"] * 20
    plain = trained(plan(teacher, method=world("matching")), tmp_path / "plain")
    for one, two in zip(ours.trainer.progress.curve, plain.trainer.progress.curve, strict=True):
        assert one["losses"] == pytest.approx(two["losses"], rel=1e-4)
    data = ours.student.encode(["it rained for 3 days", "no"]).batch(np.arange(2))
    found = [d.student.eval()(data, frozenset({"logits"})).logits for d in (ours, plain)]
    start = ours.teacher.network(data, frozenset({"logits"})).logits  # of whose copy both began
    assert torch.allclose(*found, atol=1e-4) and not torch.equal(found[0], start)


def test_it_is_resumed_in_the_middle_of_pruning_to_the_same_bits(teacher, tmp_path, monkeypatch):
    spec = plan(teacher, "grain.density=0.2", "grain.end=0.9")
    whole = trained(spec, tmp_path / "whole")
    stopped, load = [], Trainer._restore
    monkeypatch.setattr(
        Trainer, "_restore", lambda t, tensors, state: stopped.append(dict(tensors)) or load(t, tensors, state)
    )
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))
    (half,) = stopped
    assert whole.trainer.method.kept.sum() < half["method.kept"].sum() < half["method.kept"].numel()


def test_the_density_is_reached_and_nobody_comes_back(teacher, tmp_path, monkeypatch):
    after, seen = Grain.after_update, []

    def watched(method, progress):
        after(method, progress)
        seen.append((progress, method.kept.clone()))

    monkeypatch.setattr(Grain, "after_update", watched)
    found = trained(plan(teacher, "grain.density=0.3"), tmp_path)
    method = found.trainer.method
    for (_, before), (_, now) in itertools.pairwise(seen):
        assert not (now & ~before).any()
    left = int((method.costs * seen[-1][1]).sum())
    freed = int((method.costs * (seen[-2][1] ^ seen[-1][1])).sum())
    assert not freed and left / method.total <= 0.3
    layers = found.student.backbone.encoder.layer
    units = method._split(method.kept)
    assert [b.output.dense.in_features for b in layers] == units.neurons.sum(1).tolist()


@pytest.fixture(scope="module")
def record(teacher, tmp_path_factory):
    """A run of sentence vectors, which is exported below, as a user types it."""
    results = tmp_path_factory.mktemp("grain") / "results"
    settings = ("updates=20", "batch_size=8", "examples=96", "evaluations=2", "density=0.1", "beta=0.9")
    chosen = [part for setting in settings for part in ("--set", setting)]
    asked = ("--task", "sts", "--method", "grain", "--student", "bert:2", "--teacher", teacher, "--results", results)
    path = Path(runs_of(bench("run", *asked, *chosen, "--json"))[0]["record"])
    return SimpleNamespace(results=results, now=disk.read(path), read=lambda: disk.read(path))


def test_the_record_is_of_the_smaller_network(record):
    """Parameters and FLOPs are counted, and the same everywhere."""
    ours, theirs = record.now.efficiency, record.now.teacher.efficiency
    assert ours.parameters.embedding < theirs.parameters.embedding / 3
    assert ours.parameters.active < theirs.parameters.active / 2
    assert ours.flops["mean"] < theirs.flops["mean"] / 3 and ours.disk_bytes < theirs.disk_bytes / 3
    assert checked(record.results) == (1, [])


def test_it_is_restored_and_measured_again(record):
    spec = spec_of(record.now)
    student, _ = restore(spec, CPU, QUIET)
    assert student.blueprint()["rank"] == 12 and len(student.blueprint()["layers"]) == 2
    assert sum(p.numel() for p in student.parameters()) == record.now.efficiency.parameters.total
    with brief_clock():
        sweep.run_one(spec, record.results, CPU, QUIET, again=set())
    again = record.read()
    assert again.efficiency.parameters == record.now.efficiency.parameters
    assert again.efficiency.flops == record.now.efficiency.flops and checked(record.results) == (1, [])
    assert same(copy.deepcopy(student), restore(spec, CPU, QUIET)[0])


def test_it_is_exported_as_onnx_and_not_as_a_model_of_the_library(record, tmp_path):
    from bench.export import onnx

    words = ("export", record.now.run_id, "--results", record.results, "--out")
    found = json.loads(bench(*words, tmp_path / "onnx", "--format", "onnx", "--json").out)
    assert found["largest_difference"] < 1e-4
    assert np.asarray(onnx.read(tmp_path / "onnx")(["a word", "another one"])).shape == (2, 48)
    answer = bench(*words, tmp_path / "hf", "--format", "hf", "--json", check=None)
    assert answer.status == 2 and "no heads of unequal sizes" in answer.err.splitlines()[-1]
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize(
    ("student", "setting", "said"),
    [("bert:3", "bert.init=random", "at most as many"), ("bilstm:1x8", "bilstm.tokens=words", "hidden")],
)
def test_students_that_cannot_be_pruned_are_refused(student, setting, said, teacher):
    chosen = ("--set", "updates=2", "--set", "teach=4", "--set", setting)
    asked = ("--task", TOY, "--method", "grain", "--student", student, "--teacher", teacher)
    answer = bench("run", *asked, *chosen, check=None)
    assert answer.status != 0 and said in answer.err.splitlines()[-1] and "Traceback" not in answer.err
