"""What decides a result decides the run id, and nothing else does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from bench.errors import RequestError
from bench.networks import places
from bench.plugins import registry
from bench.runs.spec import Request, Spec, parse_value, resolve
from tests.factories.runs import ROOT


def plan(**changes: Any) -> list[Spec]:
    values: dict[str, Any] = {"tasks": ["sts"], "methods": ["disco"], "students": ["bow:8"]} | changes
    return resolve(Request(**values))


def run_id(settings: Sequence[str] = (), **changes: Any) -> str:
    (one,) = plan(settings=settings, **changes)
    return one.run_id


def folder_of_a_model(path: Path, text: str = "{}") -> str:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(text)
    (path / "model.safetensors").write_bytes(b"only hashed here")
    return str(path)


def test_a_spec_is_json() -> None:
    (one,) = plan()
    assert json.loads(json.dumps(one.values)) == one.values
    assert len(one.run_id) == 16 and int(one.run_id, 16) >= 0


def test_every_change_changes_the_run_id(tmp_path: Path) -> None:
    teacher = folder_of_a_model(tmp_path / "model")
    ids = [
        run_id(),
        run_id(methods=["kd"]),
        run_id(students=["bow:9"]),
        run_id(students=["bert:3"]),
        run_id(seeds=[1]),
        run_id(teacher="all-MiniLM-L6-v2#cls"),
        run_id(teacher=teacher),
    ]
    settings = ["updates=3", "batch_size=3", "examples=30", "evaluations=3", "max_length=30", "batching=plain"]
    settings += ["lr=1e-3", "contrast_lr=1e-3", "queue=3", "theta=2", "stages=ckd", "contrast_share=0.2"]
    settings += ["projection=always", "replicate=true", "bow.dropout=0.2", "bow.vocabulary=99", "bow.tokens=teacher"]
    ids += [run_id([s]) for s in settings]
    assert len(set(ids)) == len(ids)


def test_the_run_id_is_the_same_however_it_is_said() -> None:
    assert (
        run_id(["lr=1e-3", "updates=9"])
        == run_id(["track.updates=9", "disco.lr=0.001"])
        == run_id(["updates= 9", "lr=.001"])
    )
    assert run_id(["lr=2e-4", "bow.dropout=0.1", "examples=none"]) == run_id()  # defaults, said
    assert run_id(students=["bow"]) == run_id(students=["bow:300"])
    assert run_id(teacher="all-MiniLM-L6-v2") == run_id()


def test_the_teachers_weights_decide(tmp_path: Path) -> None:
    before = run_id(teacher=folder_of_a_model(tmp_path / "model"))
    assert run_id(teacher=str(tmp_path / "model")) == before
    assert run_id(teacher=folder_of_a_model(tmp_path / "model", '{"a": 1}')) != before


def test_the_text_of_a_file_given_by_path_decides(tmp_path: Path) -> None:
    """Method, student and task; an edit of the same length in the same second too."""
    files = [("method", "baselines/kd.py"), ("student", "students/bow.py"), ("task", "tasks/sts.py")]
    for key, file in files:
        kind, name = f"{key}s", Path(file).stem
        path = tmp_path / f"my_{name}.py"
        text = (ROOT / file).read_text()
        path.write_text(text + "# 1\n")
        before = plan(**{kind: [str(path)]})[0]
        path.write_text(text + "# 2\n")
        after = plan(**{kind: [str(path)]})[0]
        assert before.run_id != after.run_id, kind
        assert before.values["versions"][key] != after.values["versions"][key]
        assert before.values[key].partition(":")[0] == path.stem


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = (ROOT / "baselines/kd.py").read_text()
    rates = []
    for rate in ("2e-4", "3e-4"):
        path.write_text(text.replace("lr: PositiveFloat | None = None", f"lr: PositiveFloat = {rate}"))
        rates.append(plan(methods=[str(path)])[0].method_settings.lr)
    assert rates == [2e-4, 3e-4]


def test_the_data_decide(tmp_path: Path) -> None:
    """Content, not the place it lies in."""
    import gensim  # noqa: F401 - the mini track's data are its own

    from bench.plugins.registry import find, load
    from bench.sources import Source

    task = load(find("task", "sts"))(Source("packaged"), "mini")
    (one,) = plan()
    assert one.values["data"] == {"source": "packaged", "identity": task.identity()}
    assert plan(settings=["examples=16"])[0].values["data"]["identity"] != task.identity()


def test_settings_reach_those_who_use_them() -> None:
    (one,) = plan(settings=["updates=7", "examples=16", "lr=0.5", "bow.dropout=0.25"])
    assert (one.track.updates, one.method_settings.lr, one.student_settings.dropout) == (7, 0.5, 0.25)
    assert one.task.track == one.track
    assert len(one.task.examples("distil")) == 16


def test_a_bare_key_must_fit_every_method() -> None:
    both = plan(methods=["kd", "disco"], settings=["lr=0.5"])
    assert [s.method_settings.lr for s in both] == [0.5, 0.5]
    one = plan(methods=["kd", "disco"], settings=["disco.lr=0.5"])
    assert [s.method_settings.lr for s in one] == [None, 0.5]
    with pytest.raises(RequestError, match=r"kd has no such setting; write disco\.queue"):
        plan(methods=["kd", "disco"], settings=["queue=4"])


def test_the_product_is_run_and_no_run_twice() -> None:
    specs = plan(methods=["kd", "disco", "kd"], students=["bow:8", "cnn:4"], seeds=[0, 1])
    assert len(specs) == len({s.run_id for s in specs}) == 8


def test_the_teacher_is_looked_up_once_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    locate = places.locate
    monkeypatch.setattr(places, "locate", lambda *a: calls.append(a) or locate(*a))
    plan(methods=["kd", "disco"], students=["bow:8", "cnn:4"], seeds=[0, 1])
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("4", int, 4), ("1e-3", float, 1e-3), ("true", bool, True), ("0", bool, False), ("none", int | None, None),
        ("3", int | None, 3), ("none", Literal["none", "all"], "none"), ("none", str, "none"), ("a=b", str, "a=b"),
        ("0.5", Annotated[float, Field(gt=0, lt=1)], 0.5),
        ("[1, 2]", tuple[int, ...], (1, 2)), ("[1, 2]", str, "[1, 2]"), ('{"a": 1}', dict[str, int], {"a": 1}),
    ],
)  # fmt: skip
def test_values(text: str, hint: Any, value: Any) -> None:
    found = parse_value("key", text, hint)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("4.5", int), ("", int), ("x", float), ("nan", float), ("inf", float | None), ("none", int), ("2", bool),
        ("c", Literal["a"]), ("[1, x]", tuple[int, ...]), ("1, 2", tuple[int, ...]), ("[1, 2]", int),
        ("1", Annotated[float, Field(gt=0, lt=1)]), ("-1", Annotated[int, Field(ge=0)]),
    ],
)  # fmt: skip
def test_wrong_values(text: str, hint: Any) -> None:
    with pytest.raises(RequestError, match="--set key="):
        parse_value("key", text, hint)


def test_a_method_whose_setting_shares_a_name_with_the_track(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    shutil.copy(ROOT / "baselines/kd.py", path)
    text = path.read_text().replace("lr: PositiveFloat | None", "updates: int = 5\n        lr: PositiveFloat | None")
    path.write_text(text)
    with pytest.raises(RequestError, match=r"--set updates .*: write mine\.updates or track\.updates"):
        plan(methods=[str(path)], settings=["updates=3"])
    (one,) = plan(methods=[str(path)], settings=["track.updates=3", "mine.updates=4"])
    assert (one.track.updates, one.method_settings.updates) == (3, 4)


def test_settings_of_a_method_go_with_the_inputs() -> None:
    """The papers' CIFAR settings for images, and those of GLUE elsewhere; --set has the last word."""
    (on_images,) = plan(tasks=["images/digits"], methods=["annealing"], students=["resnet:8"])
    assert (on_images.method_settings.t_max, on_images.method_settings.share) == (10, 0.5)
    (told,) = plan(settings=["t_max=3"], tasks=["images/digits"], methods=["annealing"], students=["resnet:8"])
    assert (told.method_settings.t_max, told.method_settings.share) == (3, 0.5)
    cls = registry.load(registry.find("method", "annealing"))
    assert (cls.Settings().t_max, cls.Settings().share) == (7, 0.75)
    (spec,) = plan(tasks=["images/digits"], methods=["continuation"], students=["resnet:8"])
    told = spec.values["settings"]["method"]
    assert (told["t_max"], told["psi"]) == (20, "cifar"), "a run says which were used"
    cls = registry.load(registry.find("method", "continuation"))
    assert (cls.Settings().t_max, cls.Settings().psi) == (10, "glue")


def test_batches_are_dealt_and_warm_ups_are_a_share_of_their_stage_unless_the_command_says_else() -> None:
    for setting, batching in (("updates=9", "dealt"), ("batching=plain", "plain")):
        (one,) = plan(settings=[setting])
        assert (one.track.batching, one.track.warmup) == (batching, "stage")


def test_a_second_head_that_the_method_does_not_train_is_refused() -> None:
    request = {"tasks": ["images/digits"], "students": ["vit:2x32"]}
    for method in ("kd", "finetune"):
        with pytest.raises(RequestError, match=rf"'{method}' leaves logits\.distilled of vit:2x32 untrained"):
            plan(settings=["vit.distillation=true"], methods=[method], **request)
    assert plan(settings=["vit.distillation=true"], methods=["deit"], **request)


def test_a_setting_that_came_later_is_left_out_where_it_says_what_always_was() -> None:
    for setting, kept in (("warmup=epoch", None), ("warmup=stage", "stage"), ("updates=9", "stage")):
        (one,) = plan(settings=[setting])
        assert one.values["settings"]["track"].get("warmup") == kept
    for setting, rate in (("bert.rate=5e-5", None), ("bert.rate=1e-4", 1e-4), ("updates=9", 2e-4)):
        (one,) = plan(students=["bert:2"], settings=[setting])
        assert one.values["settings"]["student"].get("rate") == rate
