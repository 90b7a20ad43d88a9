"""From a record back to the request, the spec and the command: the same run id, or a sentence that says why not."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RequestError
from bench.records import disk, finding
from bench.records.schemas import Record
from bench.runs import replay
from bench.runs.spec import Request, Spec, resolve
from tests.factories.commands import bench, runs_of
from tests.factories.runs import ROOT, Finished

METHOD = '''"""Plain regression with settings of every kind."""
from dataclasses import dataclass
from typing import Literal, Optional
from bench.method import Method
from bench.optimiser import Optimiser

class Odd(Method):
    needs = frozenset({"embedding"})

    @dataclass(frozen=True)
    class Settings:
        lr: float = 1  # a whole number where the type is float: said, it would be 1.0 and another run
        layers: tuple[int, ...] = (1, 2)
        weights: dict[str, float] | None = None
        steps: int | None = None
        word: str = "none"
        name: Optional[str] = "none"  # what --set reads as no value at all
        mode: Literal["a=b", "c d"] = "c d"
        flag: bool = True
        padded: str = " x "

    def stages(self):
        yield self.stage("odd", self.losses_, updates=1, needs=self.needs, optimiser=Optimiser(1e-3))

    def losses_(self, student, teacher, batch):
        return {"mse": (student.embedding.mean() - teacher.embedding.mean()) ** 2}
'''


@pytest.fixture(scope="module")
def kept(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """A real run of kd: (results that hold nothing else, record)."""
    results, path = tmp_path_factory.mktemp("results"), Path(finished.outcomes[0]["record"])
    shutil.copytree(path.parent, results / path.parent.relative_to(finished.results))
    return results, disk.read(path)


@pytest.fixture
def made(kept: tuple[Path, Record], teacher: Path) -> Callable[..., tuple[Record, Spec]]:
    """What a run of a request would record, as far as going back reads it."""

    def make(command: str = "bench run", **changes: Any) -> tuple[Record, Spec]:
        values = {"tasks": ["sts"], "methods": ["kd"], "students": ["bow:8"], "teacher": str(teacher)} | changes
        (spec,) = resolve(Request(**values))
        written = json.loads(json.dumps(spec.values))
        record = kept[1].model_copy(deep=True, update={"run_id": spec.run_id, "spec": written})
        record.data.source = written["data"]["source"]
        record.provenance.command = command
        return record, spec

    return make


def test_a_real_record_leads_back_to_its_spec_and_command(kept, teacher):
    _, record = kept
    spec = replay.spec_of(record)
    assert spec.run_id == record.run_id and json.loads(json.dumps(spec.values)) == record.spec
    request = replay.request_of(record)
    assert (request.tasks, request.methods, request.students) == (["sts"], ["kd"], ["bert:1"])
    assert (request.teacher, request.track, request.seeds, request.data_dir) == (str(teacher), "mini", [0], None)
    assert sorted(request.settings) == [
        "track.batch_size=8", "track.evaluations=6", "track.examples=96", "track.updates=24",
    ]  # fmt: skip
    expected = f"bench run --task sts --method kd --student bert:1 --teacher {teacher} --track mini --seeds 0 "
    expected += "--set track.updates=24 --set track.batch_size=8 --set track.examples=96 --set track.evaluations=6"
    assert shlex.join(replay.command_of(record)) == expected


def test_the_command_line_takes_the_command_back(made, tmp_path):
    record, _ = made(methods=["disco"], seeds=[7], settings=["disco.theta=2", "bow.dropout=0", "track.examples=96"])
    words = replay.command_of(record)
    planned = runs_of(bench(*words[1:], "--dry-run", "--json", cache=tmp_path))
    assert [run["run_id"] for run in planned] == [record.run_id]
    assert words[words.index("--seeds") + 1] == "7"


@pytest.mark.parametrize(("student", "said"), [("bert:3", "bert:3"), ("bert", "bert:3"), ("bow", "bow:300")])
def test_the_command_names_the_size_and_leaves_settings_out_that_are_default(made, student, said):
    record, _ = made(students=[student], teacher="")
    words = replay.command_of(record)
    assert words[words.index("--student") + 1] == said and "--set" not in words
    assert replay.spec_of(record).run_id == record.run_id


def test_a_teacher_whose_folder_is_not_here_is_named(kept, monkeypatch, tmp_path):
    """A record of a run whose teacher was named by a relative path, read in another folder."""
    record = kept[1].model_copy(deep=True)
    record.spec["teacher"] = "./tiny"
    with pytest.raises(
        RequestError, match=r"is the model in the folder tiny \(\w{16}#.*\), which is not here: work in"
    ):
        replay.request_of(record)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["odd.lr=1e-05", "odd.flag=false", "odd.steps=3"],
        ["odd.layers=[3, 4, 5]", 'odd.weights={"a": 0.5}'],
        ["odd.word=two words", "odd.mode=a=b"],
        ["odd.name=x", "odd.word=", "odd.padded=y"],
        ["track.examples=96", "bow.dropout=0.0"],
    ],
)
def test_settings_of_every_kind_come_back(made, tmp_path, settings):
    path = tmp_path / "odd.py"
    path.write_text(METHOD)
    record, spec = made(f"bench run --task sts --method={path}", methods=[str(path)], settings=settings)
    again = replay.spec_of(record)
    assert again.run_id == spec.run_id and again.method_settings == spec.method_settings
    words = replay.command_of(record)
    assert words[words.index("--method") + 1] == str(path)
    assert sorted(words[i + 1] for i, w in enumerate(words) if w == "--set") == sorted(settings)
    planned = runs_of(bench(*words[1:], "--dry-run", "--json", cache=tmp_path))
    assert [run["run_id"] for run in planned] == [record.run_id]


def test_what_set_has_no_text_for_must_be_the_default(made, tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(METHOD)
    record, _ = made(f"bench run --method {path}", methods=[str(path)])
    assert replay.spec_of(record).run_id == record.run_id and not replay.request_of(record).settings
    record.spec["settings"]["method"]["padded"] = "  y"
    with pytest.raises(RequestError, match=r"another run: method\.padded is y instead of   y"):
        replay.spec_of(record)


def test_a_student_and_a_task_given_by_path(made, tmp_path):
    for room, name in (("students", "bow"), ("tasks", "sts")):
        shutil.copy(ROOT / room / f"{name}.py", tmp_path / f"my_{name}.py")
    student, task = tmp_path / "my_bow.py", tmp_path / "my_sts.py"
    for given in (f"{student}:8", str(student)):
        record, spec = made(f"bench run --task {task} --student {given}", tasks=[str(task)], students=[given])
        assert replay.spec_of(record).run_id == spec.run_id
        words = replay.command_of(record)
        assert words[words.index("--task") + 1] == str(task)
        planned = runs_of(bench(*words[1:], "--dry-run", "--json", cache=tmp_path))
        assert [run["run_id"] for run in planned] == [record.run_id]


def test_a_plug_in_file_that_is_gone_or_another(made, tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    shutil.copy(ROOT / "baselines/kd.py", path)
    record, spec = made(f"bench run --method {path}", methods=[str(path)])
    path.write_text(path.read_text() + "# edited\n")
    with pytest.raises(RequestError, match=r"mine\.py has changed since the run"):
        replay.spec_of(record)
    path.unlink()
    digest = spec.values["versions"]["method"]
    with pytest.raises(RequestError, match=rf"needs the method file mine\.py \(sha256 {digest}\.\.\.\)"):
        replay.spec_of(record)
    for command in ("bench run --method kd", "bench run 'unkept", "bench run --method other.py"):
        record.provenance.command = command
        with pytest.raises(RequestError, match=r"needs the method file mine\.py"):
            replay.command_of(record)
    shutil.copy(ROOT / "baselines/kd.py", path)
    record.provenance.command = "bench run --method ./mine.py"
    monkeypatch.chdir(tmp_path)
    assert replay.spec_of(record).run_id == spec.run_id


def test_another_run_says_what_differs(made, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"only hashed here")
    record, _ = made(teacher=str(folder))
    (folder / "config.json").write_text('{"other": 1}')
    with pytest.raises(RequestError, match=r"another run: versions\.teacher is [0-9a-f]{16}# instead of "):
        replay.spec_of(record)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda s: s["data"].update(identity="0" * 64),
            r"data\.identity is \S+\.\.\. instead of 0{12}",
        ),
        (lambda s: s["versions"].update(task=99), r"versions\.task is 1 instead of 99"),
        (lambda s: s["versions"].update(method=99), r"versions\.method is 1 instead of 99"),
        (lambda s: s["versions"].update(student=99), r"versions\.student is 1 instead of 99"),
        (lambda s: s["settings"]["method"].pop("lr"), r"method\.lr is none instead of nothing"),
        (lambda s: s["settings"]["method"].update(gone=1), r"unknown setting 'kd\.gone'"),
        (lambda s: s["settings"]["method"].update(lr="x"), r"--set kd\.lr=x: "),
        (lambda s: s.update(later={"a": 1}), r"later\.a is nothing instead of 1"),
        (lambda s: s.update(track="full-size"), "unknown track|no full-size track"),
        (lambda s: s.update(method="kdd"), "unknown method 'kdd'.*did you mean.*kd"),
        (lambda s: s.update(student="bow:0"), "'0' is not a size of bow"),
        (lambda s: s.update(seed=1), r"not the hash of its own spec"),
        (lambda s: s.pop("teacher"), "not a valid record: spec.teacher"),
    ],
)
def test_a_record_of_other_code_or_data(made, change, says):
    record, _ = made()
    change(record.spec)
    with pytest.raises(RequestError, match=says):
        replay.spec_of(record)


def test_data_from_a_directory(kept, tmp_path, monkeypatch):
    record = kept[1].model_copy(deep=True)
    record.data.source, record.spec["track"] = "directory", "lite"
    record.provenance.command = "bench run --task sts --track lite --data-dir here/data"
    with pytest.raises(RequestError, match=r"a folder, here/data: name it with --data-dir"):
        replay.request_of(record)
    assert replay.command_of(record)[-2:] != ["--data-dir", "DIR"]
    assert replay.request_of(record, tmp_path).data_dir == tmp_path
    (tmp_path / "here/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert replay.request_of(record).data_dir == Path("here/data")
    record.provenance.command = "bench run --task sts"
    with pytest.raises(RequestError, match=r"from a folder, DIR: name it with --data-dir"):
        replay.request_of(record)
    assert "--data-dir DIR" in shlex.join(replay.command_of(record))
    with pytest.raises(RequestError, match="no data from a folder: leave out --data-dir"):
        replay.request_of(kept[1], tmp_path)


def test_a_lite_run_leads_back_through_its_folder(made, tmp_path):
    from tests.tasks.test_sts import official

    folder = official(tmp_path / "data")
    record, spec = made(f"bench run --data-dir {folder}", track="lite", data_dir=folder, settings=["examples=2"])
    assert replay.spec_of(record).run_id == spec.run_id
    words = replay.command_of(record)
    assert words[words.index("--data-dir") + 1] == str(folder)
    shutil.move(folder, tmp_path / "moved")
    assert replay.spec_of(record, tmp_path / "moved").run_id == spec.run_id


def test_records_are_found_by_path_id_and_beginning(kept, tmp_path):
    results, record = kept
    (path,) = results.rglob("*.json")
    for name in (str(path), record.run_id, record.run_id[:4], record.run_id[0]):
        assert finding.record(results, name) == path
    other = tmp_path / record.run_id[:6]
    shutil.copytree(results, tmp_path / "r")
    first = next((tmp_path / "r").rglob("*.json"))
    twins = [first.with_name(f"{record.run_id[:8]}{i:08x}.json") for i in range(4)]
    for twin in twins:
        shutil.copy(first, twin)
    with pytest.raises(
        RequestError, match=rf"'{record.run_id[:8]}' names 5 records in .*: did you mean .*, .* and 2 more\?$"
    ):
        finding.record(tmp_path / "r", record.run_id[:8])
    assert finding.record(tmp_path / "r", record.run_id) == first
    wrong = record.run_id[:-1] + ("0" if record.run_id[-1] != "0" else "1")
    with pytest.raises(RequestError, match=f"did you mean {record.run_id}"):
        finding.record(results, wrong)
    for name in ("zzz", ""):
        with pytest.raises(RequestError, match=f"no record of a run '{name}' in .*: bench results ls names its 1 runs"):
            finding.record(results, name)
    with pytest.raises(RequestError, match="there is no record nothing"):
        finding.record(results, "nothing.json")
    with pytest.raises(RequestError, match="there are no records in"):
        finding.record(other, record.run_id)
