"""Exported students give the scores of their records in a process that knows nothing of bench."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.console import Console
from bench.data.tokens import TokenArrays
from bench.errors import BenchError, RequestError
from bench.export import card, hf, offers, onnx
from bench.export import export as exporting
from bench.plugins.registry import find, load
from bench.records import disk
from bench.records.arrays import unpack
from bench.records.schemas import Record
from bench.signals import Signals
from bench.sources import Source
from bench.students.bilstm import MaxBiLSTM, turned
from tests.factories.commands import bench, refused, runs_of
from tests.factories.runs import save_teacher

SMALL = ["--set", "updates=8", "--set", "batch_size=8", "--set", "examples=96", "--set", "evaluations=1"]
STUDENTS = ["bert:1", "bert:1x24x2", "bow:16", "cnn:8", "bilstm:2x8"]
HF = ["bert:1", "bert:1x24x2", "pooler", "bow:16", "pieces"]  # runs that can be exported so
ONNX = ["bert:1", "bow:16", "pieces", "cnn:8", "bilstm:2x8"]
ODD = ["", " \t", "[CLS] [PAD] [UNK] [MASK]", "caf\u00e9 \u4e2d\u6587 \u200b", "word " * 700]

# Reads each folder with the library that it is for, together and text by text; one process for all, since these
# libraries take seconds to import.
PLAIN = """
import json, sys
import numpy as np

def hf(folder, texts):
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(folder, device="cpu")
    return model.encode(texts), np.stack([model.encode([t])[0] for t in texts])

def transformers(folder, texts):  # what the card says of it, for a mean-pooled and normalised model
    import torch
    from transformers import AutoModel, AutoTokenizer
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        tokens, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
    mean = (tokens * mask).sum(1) / mask.sum(1)
    return [torch.nn.functional.normalize(mean).numpy()] * 2

def onnx(folder, texts):
    import onnxruntime
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
    session = onnxruntime.InferenceSession(folder + "/model.onnx")
    config = json.load(open(folder + "/config.json"))
    assert [i.name for i in session.get_inputs()] == list(config["inputs"])
    assert [o.name for o in session.get_outputs()] == list(config["outputs"])
    def run(texts, extra=0):
        encoded = tokenizer.encode_batch(texts)
        ids = np.array([e.ids + extra * [config["pad_id"]] for e in encoded], np.int64)
        mask = np.array([e.attention_mask + extra * [0] for e in encoded], np.int64)
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    together = run(texts)
    parts = np.concatenate([run(texts[i : i + 7]) for i in range(0, len(texts), 7)])
    np.testing.assert_allclose(parts, together, atol=1e-5)
    np.testing.assert_allclose(run(texts[:-1], 9), together[:-1], atol=1e-5)  # the last one is as long as can be
    return together, np.concatenate([run([t]) for t in texts])

texts = json.load(open("texts.json"))
for number, (kind, folder) in enumerate(json.load(open("jobs.json"))):
    np.save(f"{number}.npy", np.stack(globals()[kind](folder, texts)))
assert not [m for m in sys.modules if m.partition(".")[0] == "bench"]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Real runs of all kinds of students: (results, cache, ids by name)."""
    base = tmp_path_factory.mktemp("export")
    teacher, cache, results = save_teacher(base / "tiny"), base / "cache", base / "results"
    run = ["run", "--task", "sts", "--method", "kd", *SMALL, "--results", results, "--json"]
    students = [w for s in STUDENTS for w in ("--student", s)]
    ids = {r["student"]: r["run_id"] for r in runs_of(bench(*run, "--teacher", teacher, *students, cache=cache))}
    pooler = bench(*run, "--teacher", f"{teacher}#pooler", "--student", "bert:1", cache=cache)
    pieces = bench(
        *run, "--teacher", teacher, "--student", "bow:16", "--set", "bow.tokens=teacher", "--set", "bow.max_length=9",
        "--seeds", "0,1", cache=cache,
    )  # fmt: skip
    ids |= {"pooler": runs_of(pooler)[0]["run_id"], "pieces": runs_of(pieces)[0]["run_id"]}
    return SimpleNamespace(results=results, cache=cache, ids=ids, folder=base)


@pytest.fixture(autouse=True, scope="module")
def own_cache(trained: SimpleNamespace) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(trained.cache))
        yield


def export(trained: SimpleNamespace, name: str, kind: str, out: Path, force: bool = False) -> dict[str, Any]:
    return exporting.export(trained.ids[name], kind, out, trained.results, None, force, Console(quiet=True))


def record_of(trained: SimpleNamespace, name: str) -> tuple[Path, Record]:
    path = exporting.finding.record(trained.results, trained.ids[name])
    return path, disk.read(path)


def plain_python(*arguments: object, cwd: Path) -> str:
    """Standard output of a Python outside the checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pairs() -> Any:
    """The pairs of texts of test."""
    task = load(find("task", "sts"))(Source("packaged"), "mini")
    task.unseal()
    return task.pairs("test")["lee"]


def read(pairs: Any, jobs: list[tuple[str, Path]], folder: Path) -> list[np.ndarray]:
    """What libraries give for the texts of test and odd ones, (2, texts, width): all together, and one by one."""
    texts = list(dict.fromkeys([*pairs.first, *pairs.second]))
    (folder / "texts.json").write_text(json.dumps([*texts, *ODD]))
    (folder / "jobs.json").write_text(json.dumps([[kind, str(out.resolve())] for kind, out in jobs]))
    plain_python("-c", PLAIN, cwd=folder)
    return [np.load(folder / f"{number}.npy") for number in range(len(jobs))]


@pytest.fixture(scope="module")
def exported(trained: SimpleNamespace, pairs: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """All exports, told and read: {(kind, name): ...}."""
    folder = tmp_path_factory.mktemp("exported")
    jobs = [("hf", name) for name in HF] + [("onnx", name) for name in ONNX]
    told = {(kind, name): export(trained, name, kind, folder / f"{kind}-{name}") for kind, name in jobs}
    folders = {job: folder / "-".join(job) for job in jobs} | {("transformers", "bert:1"): folder / "hf-bert:1"}
    found = read(pairs, [(kind, out) for (kind, _), out in folders.items()], folder)
    return SimpleNamespace(told=told, folders=folders, found=dict(zip(folders, found, strict=True)))


def check_scores(trained: SimpleNamespace, name: str, pairs: Any, found: np.ndarray) -> None:
    """The cosines that the folder gives are the predictions that the record was scored from."""
    together, alone = found
    np.testing.assert_allclose(together, alone, atol=1e-5)
    texts = list(dict.fromkeys([*pairs.first, *pairs.second]))
    unit = dict(zip(texts, together / np.linalg.norm(together, axis=1, keepdims=True), strict=False))
    cosines = np.array([unit[a] @ unit[b] for a, b in zip(pairs.first, pairs.second, strict=True)])
    path, record = record_of(trained, name)
    np.testing.assert_allclose(cosines, unpack(path.with_suffix(".npz"))["lee"]["prediction"], atol=1e-4)
    expected = outputs_alone(exporting.rebuild(exporting.replay.spec_of(record)), ODD)
    np.testing.assert_allclose(together[len(texts) :], expected, atol=1e-4)


def outputs_alone(network: Any, texts: list[str]) -> np.ndarray:
    encoded = network.encode(texts)
    with torch.no_grad():
        rows = [network(encoded.batch(np.array([i])), frozenset({"embedding"})).embedding for i in range(len(texts))]
    return torch.cat(rows).numpy()


@pytest.mark.parametrize("name", HF)
def test_sentence_transformers_loads_the_folder_and_gives_the_scores_of_the_record(trained, exported, pairs, name):
    told = exported.told["hf", name]
    assert told["largest_difference"] <= 1e-5 and {"README.md", "model.safetensors"} <= set(told["files"])
    check_scores(trained, name, pairs, exported.found["hf", name])


def test_transformers_alone_gives_the_scores_of_the_record(trained, exported, pairs):
    check_scores(trained, "bert:1", pairs, exported.found["transformers", "bert:1"])


def test_int8_is_judged_on_dev_and_its_card_says_so(trained, tmp_path):
    told = export(trained, "pieces", "int8", tmp_path / "small")
    full = export(trained, "pieces", "onnx", tmp_path / "full")
    assert told["files"] == full["files"] and full["dev"] is None
    sizes = [(tmp_path / folder / "model.onnx").stat().st_size for folder in ("small", "full")]
    assert sizes[0] < 0.5 * sizes[1]
    dev = told["dev"]
    assert dev["student"] == record_of(trained, "pieces")[1].metrics.dev != dev["int8"]
    assert dev["int8"] == pytest.approx(dev["student"], abs=0.05)
    text = (tmp_path / "small/README.md").read_text(encoding="utf-8")
    assert f"On dev it has {100 * dev['int8']:.2f}" in text and "model-index" not in text
    assert "model-index" in (tmp_path / "full/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ONNX)
def test_onnxruntime_runs_the_folder_and_gives_the_scores_of_the_record(trained, exported, pairs, name):
    told = exported.told["onnx", name]
    assert told["files"] == ["README.md", "config.json", "model.onnx", "tokenizer.json"]
    check_scores(trained, name, pairs, exported.found["onnx", name])
    for file in told["files"]:
        assert (
            str(Path(exporting.__file__).parents[1]).encode()
            not in (exported.folders["onnx", name] / file).read_bytes()
        )


def test_the_command_prints_one_document_and_refuses_a_full_folder(trained, tmp_path):
    arguments = ["export", trained.ids["bow:16"][:6], "--format", "hf", "--out", "out"]
    arguments += ["--results", trained.results]
    done = bench(*arguments, "--json", cwd=tmp_path)
    told = json.loads(done.out)
    assert list(told) == ["run_id", "format", "out", "files", "largest_difference", "dev"]
    assert told["run_id"] == trained.ids["bow:16"] and (told["format"], told["out"]) == ("hf", "out")
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert told["files"] == found and "largest difference" in done.err
    (tmp_path / "out/mine.txt").write_text("mine")
    refused(bench(*arguments, cwd=tmp_path, check=2), "--out out is not empty")
    assert (tmp_path / "out/mine.txt").exists()
    forced = bench(*arguments, "--force", cwd=tmp_path)
    assert re.fullmatch(r"7 files in out; largest difference \S+\n", forced.out)
    assert not (tmp_path / "out/mine.txt").exists() and [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["cnn:8", "bilstm:2x8"])
def test_no_folder_for_what_sentence_transformers_has_not(trained, name, tmp_path):
    with pytest.raises(RequestError, match="use --format onnx"):
        export(trained, name, "hf", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_export_that_computes_something_else_leaves_nothing(trained, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("old")
    write = hf.write

    def broken(network: Any, output: str, folder: Path) -> None:
        with torch.no_grad():
            network.table.weight[5:].mul_(1.01)
            write(network, output, folder)
            network.table.weight[5:].div_(1.01)

    monkeypatch.setattr(hf, "write", broken)
    with pytest.raises(BenchError, match="does not compute what the student computes") as error:
        export(trained, "bow:16", "hf", out, force=True)
    assert error.value.exit_status == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and (out / "old.txt").read_text() == "old"


def test_a_library_that_fails_is_told_in_one_sentence(trained, tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hf, "write", full)
    with pytest.raises(BenchError, match=r"cannot export the student: OSError: .*No space left"):
        export(trained, "bow:16", "hf", tmp_path / "out")
    assert not list(tmp_path.iterdir())


class Eights(nn.Module):
    """A network whose embedding is always (8, 8)."""

    device, width = torch.device("cpu"), 2

    def encode(self, inputs: list[str]) -> TokenArrays:
        return TokenArrays.of([[1]] * len(inputs), 0)

    def once(self, encoded: TokenArrays) -> TokenArrays:
        return encoded

    def forward(self, batch: dict[str, torch.Tensor], want: frozenset[str]) -> Signals:
        return Signals(embedding=torch.full((len(batch["input_ids"]), 2), 8.0))


@pytest.mark.parametrize(("value", "expected"), [(8.0, 0.0), (8.5, 0.5 / 8), (np.nan, np.nan)])
def test_differences_are_of_the_size_of_the_output_and_not_a_number_is_one(value, expected):
    def read(texts: list[str]) -> np.ndarray:
        return np.full((len(texts), 2), value, np.float32)

    found = exporting.largest_difference(Eights(), "embedding", read, [str(i) for i in range(9)])
    assert found == pytest.approx(expected, nan_ok=True)
    assert (found <= exporting.TOLERANCE) is (value == 8.0)


def test_wrong_requests(trained, tmp_path, monkeypatch):
    run = trained.ids["bow:16"]

    def attempt(**changes: Any) -> None:
        values = {"run": run, "kind": "hf", "out": tmp_path / "out", "results": trained.results, "data_dir": None}
        exporting.export(**(values | {"force": False, "console": Console(quiet=True)} | changes))

    with pytest.raises(RequestError, match="unknown format 'onx': did you mean onnx"):
        attempt(kind="onx")
    with pytest.raises(RequestError, match="no record of a run 'zzz'"):
        attempt(run="zzz")
    with pytest.raises(RequestError, match="leave out --data-dir"):
        attempt(data_dir=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="is not a folder"):
        attempt(out=tmp_path / "file", force=True)
    (tmp_path / "repository/.git").mkdir(parents=True)
    with pytest.raises(RequestError, match="holds more than an export"):
        attempt(out=tmp_path / "repository", force=True)
    with pytest.raises(RequestError, match="holds more than an export"):
        attempt(out=trained.folder, force=True)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "repository/empty"))
    with pytest.raises(RequestError, match=r"no longer in the store .*: run it again with --results elsewhere"):
        attempt()
    monkeypatch.setattr(offers.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(RequestError, match=r"needs onnxscript, from the 'onnx' extra: pip install 'bench-kd\[onnx\]'"):
        attempt(kind="onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "repository"]


def test_weights_of_another_student(trained, tmp_path, monkeypatch):
    from bench.training import checkpoint

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    checkpoint.save(
        exporting.weights_of(SimpleNamespace(run_id=trained.ids["bow:16"])), {"table.weight": torch.zeros(3, 3)}, {}
    )
    with pytest.raises(BenchError, match=r"does not fit the student bow:16"):
        export(trained, "bow:16", "hf", tmp_path / "out")


def test_a_reader_of_its_own_kind_is_refused():
    class Own(nn.Module):
        max_length = 3

    with pytest.raises(RequestError, match="Own turns text into numbers with code of its own"):
        onnx.tokenizer_of(Own())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="use --format onnx"):
        hf.modules_of(Own(), "embedding")  # type: ignore[arg-type]


def test_an_operation_that_onnx_has_not():
    class Choosy(nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return ids.float() if ids.sum().item() > 3 else mask.float()

    with pytest.raises(BenchError, match="torch cannot write this student as ONNX") as error:
        onnx.exported(Choosy(), "embedding")
    assert "\n" not in str(error.value)


def test_weights_too_large_for_one_file_lie_beside_the_graph(trained, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "LARGEST", 0)
    told = export(trained, "cnn:8", "onnx", tmp_path / "out")
    assert "model.onnx.data" in told["files"]
    (tmp_path / "out").replace(tmp_path / "moved")
    (found,) = read(pairs, [("onnx", tmp_path / "moved")], tmp_path)
    check_scores(trained, "cnn:8", pairs, found)


def test_the_lstm_without_packing_is_the_same():
    torch.manual_seed(0)
    body = MaxBiLSTM(5, layers=2, hidden=3).eval()
    mask = torch.arange(6) < torch.tensor([[6], [1], [4]])
    words = torch.randn(3, 6, 5) * mask[..., None]
    packed, unpacked = body._packed(words, mask), body._turned(words, mask)
    torch.testing.assert_close(unpacked[mask], packed[mask])
    x = torch.tensor([[1, 2, 3, 0], [4, 0, 0, 0]])[..., None]
    assert turned(x, x[..., 0] > 0)[..., 0].tolist() == [[3, 2, 1, 0], [4, 0, 0, 0]]


CARDS = [("hf", "bert:1"), ("hf", "pieces"), ("onnx", "cnn:8")]


def test_the_examples_of_cards_run(exported):
    """In one process, each in the folder that it is about."""
    lines = ["import os"]
    for job in CARDS:
        text = (exported.folders[job] / "README.md").read_text(encoding="utf-8")
        (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        lines.append(f"os.chdir({str(exported.folders[job])!r}); exec({example!r}, {{}}); print('end')")
    for printed in plain_python("-c", "\n".join(lines), cwd=exported.folders[CARDS[0]]).split("end\n")[:-1]:
        assert len(re.findall(r"\d\.\d*", printed)) == 9 and "nan" not in printed


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_the_card_is_that_of_the_record(trained, exported, name, kind):
    from huggingface_hub import ModelCard

    text = (exported.folders[kind, name] / "README.md").read_text(encoding="utf-8")
    _, record = record_of(trained, name)
    front = ModelCard(text).data
    assert front.license == "other" and front.pipeline_tag == "sentence-similarity" and front.base_model is None
    assert "knowledge-distillation" in front.tags and ("onnx" in front.tags) is (kind == "onnx")
    scores = {r.metric_type: r.metric_value for r in front.eval_results}
    assert scores == record.metrics.all["lee"] and scores["spearman"] == record.metrics.main.value
    for r in front.eval_results:  # what is not from the Hub is named by its task, at its fingerprint
        assert (r.dataset_name, r.dataset_type, r.dataset_split) == ("lee (sts, mini track)", "sts", "test")
        assert (r.task_type, r.dataset_revision, r.verified) == (front.pipeline_tag, record.data.identity, False)
    main = record.metrics.main
    low, high = (f"{100 * x:.2f}" for x in main.ci95)
    for fact in (
        f"**{100 * main.value:.2f}**, 95% interval {low} to {high}", f"**{100 * record.metrics.retention:.2f}%**",
        record.run_id, f"{record.efficiency.parameters.total:,}", record.data.identity, "LGPL-2.1",
        "`kd.form` | `hinton`",
        record.efficiency.device, "with 1 thread.", "bench run --task sts --method kd", "mini track", "licences",
    ):  # fmt: skip
        assert fact in text, fact
    assert ("**Noisy**" in text) is record.efficiency.noisy
    assert ("The same run with other seeds" in text) is (name == "pieces")
    assert max(map(len, re.findall("\n+", text))) == 2  # no gaps in the text, no tables torn apart


def hostile(record: Record) -> Record:
    """A record with something in every text that would break out of YAML or Markdown."""
    evil = (
        '"\n---\n# Heading\n| a | `b` ``` </td><script>alert(1)</script> [x](http://evil) ![i](y) **b** {{ 7*7 }}\u202e'
    )
    record = record.model_copy(deep=True)
    record.data.title = record.data.licence = record.data.origin = record.data.citation = record.data.revision = evil
    record.data.notes, record.data.splits = [evil], {evil: evil}
    record.teacher.name = record.teacher.identity = record.student.origin = record.efficiency.device = evil
    record.efficiency.scope = record.metrics.main.name = record.metrics.main.dataset = evil
    record.metrics.all = {evil: {evil: 0.5}}
    record.spec["method"] = record.spec["student"] = record.spec["task"] = evil
    record.spec["settings"]["method"] = {evil: evil}
    return record


@pytest.mark.parametrize("change", [lambda record: record, hostile], ids=["real", "hostile"])
def test_values_stay_text(trained, change):
    from huggingface_hub import ModelCard
    from markdown_it import MarkdownIt

    record = change(record_of(trained, "bow:16")[1])
    context = {"kind": "hf", "pipeline": "sentence-similarity", "base_models": [], "backbone": False, "max_length": 9}
    context |= {"method_title": record.data.title, "method_citation": record.data.title}
    page = ModelCard(card.render(record, [record], command="bench run --method '`` ```\n```\n<b>'", **context))
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(page.text)
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or ()}
    assert not {"link_open", "image", "html_block", "html_inline", "hr"} & kinds
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings[1:] == ["Use it", "Results", "Size and speed", "How it was trained", "Repeat it", "Limits"]
    assert [t.info for t in tokens if t.type == "fence"] == ["python", "sh"]
    html = markdown.render(page.text)
    tables = [re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL) for table in html.split("<table>")[1:]]
    assert [{len(re.findall("<t[hd]", row)) for row in rows} for rows in tables] == [{4}, {3}, {3}, {2}, {2}, {2}]
    assert page.data.license == "other" and [r.metric_value for r in page.data.eval_results] != []
    assert "\u202e" not in page.text and ("&lt;script&gt;alert(1)" in html) is (change is hostile)


def test_parents_on_the_hub(trained):
    versions = {"teacher": "owner/name@abc#", "initial": "owner/name@abc#"}
    assert card.hub_parents(SimpleNamespace(values={"versions": versions})) == ["owner/name"]
    versions = {"teacher": "gt_all==0.1.0#", "initial": "0123456789abcdef#cls"}
    assert card.hub_parents(SimpleNamespace(values={"versions": versions})) == []
    _, record = record_of(trained, "bow:16")
    assert "base_model: owner/name\n" in card.front_matter(record, "hf", "sentence-similarity", ["owner/name"]).replace(
        "base_model:\n- ", "base_model: "
    )
