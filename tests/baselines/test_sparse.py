"""Sparse Distillation: losses against the formula, stages, and what it reads of unlabelled text; CMOW's loss."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from bench.baselines.kd import Kd
from bench.baselines.sparse import Sparse
from bench.errors import RequestError
from bench.inputs import Examples, Texts, Words
from bench.kinds.classify import Classify
from bench.method import Run
from bench.optimiser import Optimiser
from bench.runs.spec import Request, resolve
from bench.signals import Signals
from bench.sources import DataError
from bench.task import Track
from tests.baselines.tools import C, T, Z, batch, ce, check, kl, make, tensor, total, valued

TOY = str(Path(__file__).parents[1] / "factories/toy.py")


def test_losses_are_those_of_the_paper():
    method, teacher = make(Sparse), Signals(logits=tensor(T, grad=False))
    check(lambda z: total(method.soft(Signals(logits=z), teacher, batch())), Z, lambda z: kl(z, T))
    check(lambda z: total(method.labels(Signals(logits=z), Signals(), batch())), Z, ce)


def test_a_value_has_the_squared_error():
    method = valued(Sparse)
    z, t = np.array([[0.5], [1.0], [-2.0], [0.0]]), np.array([[1.0], [1.0], [0.0], [3.0]])
    teacher = Signals(logits=tensor(t, grad=False))
    check(lambda x: total(method.soft(Signals(logits=x), teacher, batch())), z, lambda x: np.square(x - t).mean())


def test_cmows_loss_on_a_task_is_a_form_of_kd():
    """0.5 CE + 0.5 KLDivLoss() of torch's default reduction, which divides by the classes too."""
    method = make(Kd, form="mean", alpha=0.5, temperature=1.0)

    def by_hand(z: np.ndarray) -> float:
        p, q = softmax(T, 1), softmax(z, 1)
        return 0.5 * ce(z) + 0.5 * float((p * np.log(p / q)).sum()) / (len(z) * C)

    teacher = Signals(logits=tensor(T, grad=False))
    check(lambda z: total(method.soft_targets(Signals(logits=z), teacher, batch())), Z, by_hand)


def method(inputs: Texts, updates: int = 40, seed: int = 0, **settings) -> Sparse:
    examples = Examples(inputs, np.arange(len(inputs))[:, None], np.zeros(len(inputs), np.int64))
    task = SimpleNamespace(kind="classify", goal=Classify(2), examples=lambda _: examples)
    run = Run(task, Track(updates=updates, batch_size=4), 3, 3, seed, Optimiser(lr=5e-4))
    return Sparse(Sparse.Settings(**settings), run)


OWN = Texts([f"own {n}" for n in range(30)])


def corpus(folder: Path, lines: int = 50, form: str = "more {}") -> str:
    path = folder / "corpus.txt"
    path.write_text("".join(form.format(n, n) + "\n" for n in range(lines)))
    return str(path)


def test_stages_share_the_updates_of_the_track():
    first, second = method(OWN, tune_lr=1e-4).stages()
    assert (first.name, first.updates, second.name, second.updates) == ("kd", 30, "finetune", 10)
    optimisers = [stage.parts["all"].optimiser for stage in (first, second)]
    assert [o.lr for o in optimisers] == [5e-4, 1e-4] and {o.schedule for o in optimisers} == {"linear"}
    assert optimisers[0].warmup * 30 / 4 == pytest.approx(0.06 * 30)  # in updates, as the engine counts them
    (only,) = method(OWN, tune=False, kd_batch=16).stages()
    assert (only.updates, only.batch_size) == (40, 16)
    assert only.parts["all"].optimiser.warmup * 30 / 16 == pytest.approx(0.06 * 40)


def test_the_corpus_is_read_beside_the_tasks_texts(tmp_path):
    first, second = method(OWN, corpus=corpus(tmp_path)).stages()
    assert first.data.labels is None and second.data == "supervised"
    assert set(first.data.inputs) == {*OWN, *(f"more {n}" for n in range(50))}  # 120 may be read


def test_no_more_is_drawn_than_is_read_and_the_same_for_every_seed(tmp_path):
    place = corpus(tmp_path, 5000)
    one, other = (next(iter(method(OWN, seed=seed, corpus=place).stages())).data for seed in (0, 1))
    assert len(one) == 120 and len(set(one.inputs)) == 120 and one.digest == other.digest
    assert sum(text.startswith("own") for text in one.inputs) < 10  # in proportion


def test_pairs_come_with_a_tab(tmp_path):
    pairs = Texts(["a", "b"], ["c", "d"])
    first = next(iter(method(pairs, corpus=corpus(tmp_path, 3, "x{}\ty{}")).stages()))
    assert set(first.data.inputs) == {("a", "c"), ("b", "d"), ("x0", "y0"), ("x1", "y1"), ("x2", "y2")}
    with pytest.raises(DataError, match="2 texts with a tab"):
        list(method(pairs, corpus=corpus(tmp_path)).stages())


def test_white_space_cuts_a_line_where_sentences_are_cut_into_words(tmp_path):
    first = next(iter(method(Words([("a", "b")]), corpus=corpus(tmp_path, 2, "x  y{}")).stages()))
    assert set(first.data.inputs) == {("a", "b"), ("x", "y0"), ("x", "y1")} and isinstance(first.data.inputs, Words)


def test_the_corpus_may_be_a_multiple_of_the_tasks_texts(tmp_path):
    place = corpus(tmp_path, 100)
    one, five = (next(iter(method(OWN, corpus=place, times=times).stages())).data for times in (1, 2.5))
    assert [len(one), len(five)] == [60, 105] and set(OWN) < set(one.inputs) and set(OWN) < set(five.inputs)
    assert len(set(five.inputs)) == 105
    assert len(next(iter(method(OWN, corpus=place, times=0.001).stages())).data) == 31, "one at least"
    with pytest.raises(DataError, match=r"has 100 texts, and sparse.times=5 asks for 150"):
        method(OWN, corpus=place, times=5)
    with pytest.raises(RequestError, match=r"give one with sparse\.corpus"):
        method(OWN, times=5)


def planned(*settings: str):
    (spec,) = resolve(Request([TOY], ["sparse"], ["dan:50x4"], "bow:8", settings=settings))
    return spec


def test_a_run_is_known_by_what_its_files_hold(tmp_path):
    place = corpus(tmp_path)
    settings = (f"sparse.corpus={place}", f"dan.corpus={place}")
    before = planned(*settings)
    assert before.values["versions"]["files"] == before.values["versions"]["initial"]
    corpus(tmp_path, 51)
    assert planned(*settings).run_id != before.run_id
    assert "files" not in planned().values["versions"]


@pytest.mark.parametrize("key", ["sparse.corpus", "dan.corpus"])
def test_a_corpus_that_is_not_there_is_told_before_anything_runs(tmp_path, key):
    with pytest.raises(DataError, match="no text at"):
        planned(f"{key}={tmp_path / 'nowhere'}")
