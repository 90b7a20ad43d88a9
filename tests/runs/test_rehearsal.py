"""An author's files are tried before time is spent: what is wrong is told with file and line, and nothing is taught."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.records import disk
from bench.runs.spec import Request, resolve
from tests.factories.commands import bench, refused
from tests.worlds.tools import TOY, carried, planned

METHOD = """from dataclasses import dataclass
from bench.method import Method


class Mine(Method):
    needs = frozenset({"output"})

    def stages(self):
        yield self.stage("mine", self.loss, needs=self.needs, data="supervised")

    def loss(self, student, teacher, batch):
        difference = (student.logits - teacher.logits).square()
        return %s
"""
LOSSES = {
    "difference.mean()": "line 11: it returns a Tensor",
    "None": "line 11: it returns None",
    "{'mine': difference.mean(1)}": "line 11: the loss 'mine' is of shape (8,): take its mean()",
    "{'mine': 1.0}": "line 11: the loss 'mine' is a float",
    "{'mine': teacher.logits.mean()}": "line 11: no loss depends on anything that trains (mine)",
    "{}": "line 11: it returns no losses",
    "{'mine': student.hidden[0].mean()}": "line 13: AttributeError: there is no signal 'hidden' among ",
    "{'mine': exit(0)}": "line 13: SystemExit: 0",
    "{'mine': __import__('os')._exit(0)}": "line 13: SystemExit: 0",
}
SPLIT = '"accuracy": METRICS["accuracy"].value(arrays["prediction"], arrays["gold"])'


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_is_none(tmp_path: Path, loss: str) -> None:
    path = written(tmp_path / "mine.py", METHOD % loss)
    asked = ("run", "--task", TOY, "--method", path, "--results", tmp_path / "results")
    refused(bench(*asked, cache=tmp_path / "cache", check=None), f"{path}, {LOSSES[loss]}")
    assert not (tmp_path / "cache" / "teachers").exists() and not (tmp_path / "cache" / "signals").exists()


def test_a_method_that_says_what_it_does_is_carried_out(tmp_path: Path) -> None:
    """The same records as without a rehearsal: it leaves nothing behind, no random number moved on."""
    path = written(tmp_path / "mine.py", METHOD % "{'mine': difference.mean()}")
    (spec,) = resolve(Request([TOY], [str(path)], [], ""))
    plain = carried(spec, tmp_path / "plain")
    asked = ("run", "--task", TOY, "--method", path, "--results", tmp_path / "results")
    bench(*asked, cache=tmp_path / "cache")
    (found,) = disk.read_all(tmp_path / "results")
    assert found.curve == plain.curve and found.cost.student_updates == plain.cost.student_updates


TASKS = {
    ("def examples(", "def examplez("): "line 16: Toy is no whole Task: it lacks examples",
    ("    tracks = {", "    tracks = {'lite': 1, "): "Toy.tracks has to hold a Track",
    (
        'self.labels("train"))',
        'self.labels("train") + 7)',
    ): "the training set 'distil' has the label 7, and there are 2",
    ('self.labels("train"))', 'self.labels("train")[:5])'): "has 5 labels for 96 examples",
    ('self.labels("train"))', "None)"): "the training set 'supervised' has no labels",
    (SPLIT, '"f1": 0.5'): "line 60: it returns {'digits': {'f1': 0.5}}, and has to return ",
    ("lines = filled(", "exit(0)\n        lines = filled("): "line 31: the plug-in ends the command (SystemExit: 0)",
    ("lines = filled(", "1 / 0\n        lines = filled("): "line 31: ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("change", TASKS)
def test_a_task_that_is_incomplete(tmp_path: Path, change: tuple[str, str]) -> None:
    text = Path(TOY).read_text(encoding="utf-8").replace(*change, 1)
    path = written(tmp_path / "mine.py", text)
    asked = ("run", "--task", path, "--method", "finetune", "--results", tmp_path / "results")
    refused(bench(*asked, cache=tmp_path / "cache", check=None), str(path), TASKS[change])
    assert not (tmp_path / "cache" / "teachers").exists()


CLASSES = {
    ('needs = frozenset({"output"})', 'needs = "output"'): "Mine.needs is 'output', and has to be a set of names",
    (
        'needs = frozenset({"output"})',
        "needs = frozenset(); kinds = 3",
    ): "Mine.kinds is 3, and has to be a set of names",
    ("    def stages", "    @staticmethod\n    def wanted(settings):\n        return ['kd']\n\n    def stages"): (
        "line 8: it returns ['kd'], and has to return a list or a set of Wanted"
    ),
    ("    def stages", "    @dataclass(frozen=True)\n    class Settings:\n        lr: float = 'x'\n\n    def stages"): (
        "line 8: Settings.lr is 'x' by default: Input should be a valid number"
    ),
    ("        yield self", "        return self"): "line 8: stages() has to yield stages",
}


@pytest.mark.parametrize("change", CLASSES)
def test_a_class_that_is_not_what_its_contract_says(tmp_path: Path, change: tuple[str, str]) -> None:
    path = written(tmp_path / "mine.py", (METHOD % "{'mine': difference.mean()}").replace(*change, 1))
    asked = ("run", "--task", TOY, "--method", path, "--results", tmp_path / "results")
    refused(bench(*asked, cache=tmp_path / "cache", check=None), str(path), CLASSES[change])


def test_a_metric_that_is_undefined_at_the_start_and_one_that_always_is(tmp_path: Path) -> None:
    """An undefined first dev score gives way to a later one. What is no number is null in the record, with a reason."""
    told = f'{SPLIT} if Toy.read() else float("nan"), "odd": float("nan")'
    text = Path(TOY).read_text(encoding="utf-8").replace(SPLIT, told, 1)
    text = text.replace("class Toy(Task):\n", COUNTED, 1)
    record = carried(planned(str(written(tmp_path / "mine.py", text)), "finetune", "bow:8"), tmp_path / "results")
    first, *later = [point for point in record.curve if "dev" in point]
    assert first["dev"] is None and all(point["dev"] is not None for point in later)
    assert [choice.step for choice in record.metrics.choices] == [later[0]["step"]]
    assert record.metrics.all["digits"]["odd"] is None and record.metrics.undefined == {"digits.odd": "nan"}


COUNTED = '''class Toy(Task):
    readings = 0

    @classmethod
    def read(cls):
        """Whether this is not the first time that the student is read: the teacher was, four times with its check."""
        cls.readings += 1
        return cls.readings != 6

'''


def test_a_main_metric_that_is_undefined_is_told_before_training(tmp_path: Path) -> None:
    text = Path(TOY).read_text(encoding="utf-8").replace(SPLIT, '"accuracy": float("nan")', 1)
    spec = planned(str(written(tmp_path / "mine.py", text)), "finetune", "bow:8")
    with pytest.raises(Exception, match=r"accuracy on dev is undefined \(nan\) for the teacher bilstm:1x8"):
        carried(spec, tmp_path / "results")


def test_a_card_that_no_record_holds_is_told_before_a_teacher_is_taught(tmp_path: Path) -> None:
    text = Path(TOY).read_text(encoding="utf-8").replace('"LGPL-2.1"', "None", 1)
    path = written(tmp_path / "mine.py", text)
    asked = ("run", "--task", path, "--method", "finetune", "--results", tmp_path / "results")
    said = bench(*asked, cache=tmp_path / "cache", check=1).err
    assert "licence: Input should be a valid string" in said and "https://" not in said
    assert not (tmp_path / "cache" / "teachers").exists()


def test_settings_of_a_wrong_type_are_no_affair_of_installed_methods() -> None:
    with pytest.raises(RequestError, match="--set lr=x"):
        resolve(Request(["sts"], ["kd"], [], settings=["lr=x"]))
