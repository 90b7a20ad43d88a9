"""The glue task: no row of the official files is lost, one split from every source, the official metrics."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from bench.errors import BenchError, RequestError
from bench.plugins.registry import find, load
from bench.runs.spec import Request, open_tasks, resolve
from bench.sources import DataError, Source
from bench.task import TestSealed
from tests.factories.data import real_data, shared_tool

Glue = load(find("task", "glue"))
glue = sys.modules[Glue.__module__]
ROOT = Path(__file__).resolve().parents[2]
ROWS = {  # of the files with labels, as the project's data states them
    ("cola", "train"): 8551, ("cola", "dev"): 1043, ("sst2", "train"): 67349, ("sst2", "dev"): 872,
    ("mrpc", "train"): 3668, ("mrpc", "dev"): 408, ("stsb", "train"): 5749, ("stsb", "dev"): 1500,
    ("qqp", "train"): 10000, ("qqp", "dev"): 2000, ("qnli", "dev"): 5463, ("wnli", "train"): 635, ("wnli", "dev"): 71,
}  # fmt: skip
CLASSES = {  # the order of nyu-mll/glue, written down again on purpose
    "cola": "unacceptable acceptable", "sst2": "negative positive", "mrpc": "not_equivalent equivalent", "stsb": "",
    "qqp": "not_duplicate duplicate", "mnli": "entailment neutral contradiction", "qnli": "entailment not_entailment",
    "rte": "entailment not_entailment", "wnli": "not_entailment entailment",
}  # fmt: skip
FOLDERS = {"sst2": "SST-2", "stsb": "STS-B", "cola": "CoLA"}
HEADERS = {
    "sst2": "sentence\tlabel", "mrpc": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "stsb": "index\tgenre\tsentence1\tsentence2\tscore", "qqp": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "mnli": "index\tsentence1\tsentence2\tlabel1\tgold_label", "qnli": "index\tquestion\tsentence\tlabel",
    "rte": "index\tsentence1\tsentence2\tlabel", "wnli": "index\tsentence1\tsentence2\tlabel",
}  # fmt: skip
SIZE = 40  # rows of a small train file


def folder_of(dataset: str) -> str:
    return FOLDERS.get(dataset, dataset.upper())


def rows_of(dataset: str, split: str) -> list[tuple[str, str, int]]:
    """(first, second, class number); for stsb a score. Quote marks that close nowhere are among the texts."""
    count = {"train": SIZE, "dev": 6, "dev_matched": 6, "dev_mismatched": 4}[split]
    classes = len(CLASSES[dataset].split()) or 5
    return [(f'"{split} {dataset} {i}', f"the other's {i % 7}", i % classes) for i in range(count)]


def line_of(dataset: str, row: tuple[str, str, int]) -> str:
    first, second, number = row
    label = CLASSES[dataset].split()[number] if dataset in ("mnli", "qnli", "rte") else number
    return {
        "cola": f"gj04\t{label}\t\t{first}", "sst2": f"{first} \t{label}", "mrpc": f"{label}\t1\t2\t{first}\t{second}",
        "qqp": f"1\t2\t3\t{first}\t{second}\t{label}", "stsb": f"1\tnews\t{first}\t{second}\t{number}.500",
        "mnli": f"1\t{first}\t{second}\tneutral\t{label}",
    }.get(dataset, f"1\t{first}\t{second}\t{label}")  # fmt: skip


def official(root: Path, dataset: str) -> Path:
    """One data set in the layout of the GLUE download, under `root/glue`; returns its own folder."""
    folder = root / "glue" / folder_of(dataset)
    folder.mkdir(parents=True)
    for split in ("train", "dev_matched", "dev_mismatched") if dataset == "mnli" else ("train", "dev"):
        header = [HEADERS[dataset]] if dataset in HEADERS else []
        lines = [*header, *(line_of(dataset, row) for row in rows_of(dataset, split))]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def directory(folder: Path, dataset: str, track: str = "full"):
    task = Glue(Source("directory", folder), track, dataset)
    task.unseal()
    return task


def columns_of(dataset: str, split: str) -> dict[str, list]:
    """The same rows as the Hub has them."""
    names = {"mnli": "premise hypothesis", "qnli": "question sentence", "qqp": "question1 question2"}
    names = names.get(dataset, "sentence" if dataset in ("cola", "sst2") else "sentence1 sentence2").split()
    first, second, labels = (list(column) for column in zip(*rows_of(dataset, split), strict=True))
    labels = [n + 0.5 for n in labels] if dataset == "stsb" else labels
    return dict(zip(names, (first, second), strict=False)) | {"label": labels, "idx": list(range(len(labels)))}


# What the official files hold


@pytest.mark.parametrize(("dataset", "split"), ROWS)
def test_every_row_of_the_official_files(dataset, split):
    path = real_data("glue") / f"glue/{folder_of(dataset)}/{split}.tsv"
    found = glue.read_tsv(path, glue.FORMS[dataset])
    assert len(found) == len(found.labels) == ROWS[dataset, split]
    assert not CLASSES[dataset] or set(found.labels) == set(range(len(CLASSES[dataset].split())))


@pytest.mark.parametrize(
    ("dataset", "first", "second"), [("mrpc", 3, 4), ("qqp", 3, 4), ("stsb", 7, 8), ("qnli", 1, 2)]
)
def test_stray_quotes_are_text(dataset, first, second):
    """csv with quoting would run over line ends from a quote mark to the next; without it the texts are as they lie."""
    path = real_data("glue") / f"glue/{folder_of(dataset)}/dev.tsv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    with path.open(encoding="utf-8-sig", newline="") as file:
        quoted = list(csv.reader(file, delimiter="\t"))[1:]
    assert quoted != rows
    assert (len(quoted) < len(rows)) == (dataset != "qqp")  # its quotes all close, and would be lost alone
    found = glue.read_tsv(path, glue.FORMS[dataset])
    assert list(found.inputs) == [(row[first].strip(), row[second].strip()) for row in rows]
    assert any(text.startswith('"') for pair in found.inputs for text in pair)


def test_mrpc_is_cut_as_its_list_of_ids_says():
    folder = real_data("glue") / "glue/MRPC"
    lines = (folder / "msr_paraphrase_train.txt").read_bytes().decode("utf-8-sig").splitlines()[1:]
    ids = set((folder / "dev_ids.tsv").read_text().splitlines())
    dev = [
        tuple(c.strip() for c in cells[3:]) for cells in (x.split("\t") for x in lines) if "\t".join(cells[1:3]) in ids
    ]
    assert sorted(glue.read_tsv(folder / "dev.tsv", glue.FORMS["mrpc"]).inputs) == sorted(dev)


def test_cola_has_no_header():
    task = directory(real_data("glue"), "cola")
    assert task.inputs("test")[0] == "The sailors rode the breeze clear of the rocks."
    assert task.card().sizes == {"train": 7696, "dev": 855, "test": 1043, "cola": 1043}


def test_scores_of_stsb_are_real_and_in_range():
    task = directory(real_data("glue"), "stsb")
    gold = task.predict(np.zeros((1500, 1)), "test")["stsb"]["gold"]
    assert (gold.dtype, gold.min(), gold.max(), gold[0]) == (np.float32, 0, 5, 5)
    assert len(set(gold.tolist())) > 20


@pytest.mark.parametrize("dataset", ["cola", "sst2", "mrpc", "stsb", "qqp", "wnli"])
def test_dev_is_the_first_tenth_by_hash_and_apart_from_train(dataset):
    task, count = directory(real_data("glue"), dataset), ROWS[dataset, "train"]
    pair = [x if isinstance(x, tuple) else (x,) for x in (*task.examples("distil").inputs, *task.inputs("dev"))]
    assert len(pair) == count
    dev, train = set(task.inputs("dev")), set(task.examples("distil").inputs)
    assert not dev & train
    keys = sorted(hashlib.sha256("\t".join(p).encode()).hexdigest() for p in pair)
    size = min(count // 10, 1000)
    assert size <= len(task.inputs("dev")) < size + 5  # equal texts stay together
    border = max(hashlib.sha256("\t".join([x] if isinstance(x, str) else x).encode()).hexdigest() for x in dev)
    assert border == keys[len(task.inputs("dev")) - 1]


def test_official_sets_that_are_not_all_there():
    with pytest.raises(DataError, match=r"no train\.tsv in .*QNLI: the official GLUE download holds it"):
        directory(real_data("glue"), "qnli").examples("distil")
    with pytest.raises(DataError, match=r"no GLUE mnli in .*looked for dev_matched\.tsv"):
        directory(real_data("glue"), "mnli").inputs("test")


# Small folders of every data set


@pytest.mark.parametrize("dataset", CLASSES)
@pytest.mark.parametrize("inside", ["", "glue", "own"])
def test_layouts_classes_and_labels(tmp_path, dataset, inside):
    folder = official(tmp_path, dataset)
    task = directory(folder if inside == "own" else tmp_path / inside, dataset)
    assert task.classes == tuple(CLASSES[dataset].split())
    assert task.outputs == (len(task.classes) or 1)
    single = dataset in ("cola", "sst2")
    held = SIZE // 10 + (dataset == "mnli")  # of whose three classes the first tenth has two
    assert len(task.inputs("dev")) == held
    known = {(f if single else (f, s)): n for f, s, n in rows_of(dataset, "train")}
    train = task.examples("supervised")
    assert train is task.examples("distil")
    assert len(train) == SIZE - held
    expected = [known[x] + (0.5 if dataset == "stsb" else 0) for x in train.inputs]
    np.testing.assert_array_equal(train.labels, expected)
    assert train.labels.dtype == (np.float32 if dataset == "stsb" else np.int64)


def test_kinds_and_main_metrics():
    kinds = {d: Glue(Source("hub"), "lite", d).kind for d in CLASSES}
    assert kinds == dict.fromkeys(CLASSES, "classify") | {"stsb": "regress"}
    main = {d: Glue(Source("hub"), "lite", d).main_metric for d in CLASSES}
    own = {"cola": "mcc", "qqp": "f1", "stsb": "spearman"}
    assert main == dict.fromkeys(CLASSES, "accuracy") | own
    assert all(metrics[0] == main[d] for d, metrics in glue.METRICS.items())


@pytest.mark.parametrize("dataset", CLASSES)
def test_metrics_are_those_of_the_libraries(tmp_path, dataset):
    official(tmp_path, dataset)
    task = directory(tmp_path, dataset)
    outputs = np.random.default_rng(len(dataset)).normal(size=(len(task.inputs("test")), task.outputs))
    found = task.predict(outputs, "test")
    scores = task.score(found)
    for split in ("dev_matched", "dev_mismatched") if dataset == "mnli" else ("dev",):
        name = split.replace("dev_", "mnli-") if dataset == "mnli" else dataset
        gold = [n for *_, n in rows_of(dataset, split)]
        own, outputs = outputs[: len(gold)], outputs[len(gold) :]
        assert found[name]["gold"].tolist() == [g + 0.5 if dataset == "stsb" else g for g in gold]
        if dataset == "stsb":
            ours = {"spearman": stats.spearmanr(own[:, 0], gold)[0], "pearson": stats.pearsonr(own[:, 0], gold)[0]}
        else:
            ours = {"accuracy": accuracy_score(gold, own.argmax(1))}
            ours |= {"mcc": matthews_corrcoef(gold, own.argmax(1))} if dataset == "cola" else {}
            ours |= {"f1": f1_score(gold, own.argmax(1))} if dataset in ("mrpc", "qqp") else {}
        assert scores.pop(name) == pytest.approx(ours, abs=1e-6)
    assert not scores


def test_test_is_sealed_and_names_are_checked(tmp_path):
    official(tmp_path, "rte")
    task = directory(tmp_path, "rte")
    task.seal()
    for ask in (lambda: task.inputs("test"), lambda: task.predict(np.zeros((6, 2)), "test")):
        with pytest.raises(TestSealed):
            ask()
    with pytest.raises(RequestError, match="unknown split 'tset': did you mean test"):
        task.inputs("tset")
    with pytest.raises(RequestError, match="unknown training set"):
        task.examples("train")


@pytest.mark.parametrize("outputs", [np.zeros((6, 3)), np.zeros((5, 2)), np.zeros(6), np.full((6, 2), np.nan)])
def test_outputs_that_cannot_be_scored(tmp_path, outputs):
    official(tmp_path, "rte")
    with pytest.raises(BenchError, match="outputs"):
        directory(tmp_path, "rte").predict(outputs, "test")


def test_lite_takes_the_first_and_the_identity_follows_it(tmp_path, monkeypatch):
    official(tmp_path, "rte")
    before = directory(tmp_path, "rte")
    monkeypatch.setitem(Glue.tracks, "lite", glue.Track(updates=1, batch_size=1, examples=8))
    lite = directory(tmp_path, "rte", "lite")
    assert lite.examples("distil").inputs == before.examples("distil").inputs[:8]
    assert lite.identity() != before.identity() == directory(tmp_path, "rte").identity()
    path = tmp_path / "glue/RTE/dev.tsv"
    path.write_text(path.read_text().replace("entailment", "not_entailment", 1))
    assert directory(tmp_path, "rte").identity() != before.identity()


def test_the_family_is_all_nine_and_has_no_mini_track(tmp_path):
    tasks = open_tasks(Request(["glue"], ["kd"], ["bert"], track="lite", data_dir=tmp_path))
    assert [t.name for t in tasks] == [f"glue/{d}" for d in CLASSES]
    with pytest.raises(RequestError, match="the task 'glue' has no mini track: there are lite, full"):
        open_tasks(Request(["glue"], ["kd"], ["bert"]))


def test_the_card_says_how_papers_average(tmp_path):
    official(tmp_path, "mnli")
    card = directory(tmp_path, "mnli").card()
    assert any("without WNLI" in note for note in card.notes)
    assert card.sizes == {"train": 35, "dev": 5, "test": 10, "mnli-matched": 6, "mnli-mismatched": 4}


# Files that are wrong


def test_rows_that_qqp_cut_in_two_are_left_out(tmp_path):
    path = official(tmp_path, "qqp") / "train.tsv"
    whole = directory(tmp_path, "qqp").examples("distil").inputs
    torn = ["7\t8\t9\tWhat is", 'a "line\tend?\t1', ""]
    path.write_text("\n".join([*path.read_text().splitlines(), *torn]))
    assert directory(tmp_path, "qqp").examples("distil").inputs == whole
    path.write_text("\n".join([*path.read_text().splitlines(), *torn * 5]))
    with pytest.raises(DataError, match=r"train\.tsv, line \d+: \d columns, and 6 are needed"):
        directory(tmp_path, "qqp").examples("distil")


def test_another_data_set_of_the_same_columns_is_refused(tmp_path):
    folder = official(tmp_path, "wnli")
    with pytest.raises(DataError, match=r"train\.tsv, line 2: '0' is no label of RTE: entailment, not_entailment"):
        directory(folder, "rte").inputs("dev")
    with pytest.raises(DataError, match=r"no column sentence1, sentence2"):
        directory(official(tmp_path, "sst2"), "rte").inputs("dev")


@pytest.mark.parametrize(
    ("dataset", "file", "content", "says"),
    [
        ("cola", "train.tsv", "a\t1\t\tb\nc\t0\n", "train.tsv, line 2: 2 columns, and 4 are needed"),
        ("cola", "train.tsv", "a\t2\t\tb\n", "train.tsv, line 1: '2' is no label; there are unacceptable"),
        ("cola", "dev.tsv", b"a\t1\t\t\xff\n", "dev.tsv, line 1: not UTF-8"),
        ("sst2", "train.tsv", "", "train.tsv is empty"),
        ("sst2", "train.tsv", "sentence\tlabel\n", "too few training examples to cut a dev set"),
        ("sst2", "dev.tsv", "index\tsentence\n0\ta\n", "dev.tsv, line 1: no column label; there are index"),
        ("stsb", "train.tsv", f"{HEADERS['stsb']}\n1\tx\ta\tb\tnan\n", "train.tsv, line 2: 'nan' is not a finite"),
        (
            "stsb",
            "train.tsv",
            f"{HEADERS['stsb']}\n1\tx\ta\tb\t6.5\n",
            "train.tsv, line 2: 6.5 is no score from 0 to 5",
        ),
        ("sst2", "dev.tsv", "sentence\tlabel\n", "sst2 holds no examples to test on"),
        ("sst2", "dev.tsv", "<html>not found</html>", "dev.tsv is a web page"),
        ("rte", "train.tsv", f"{HEADERS['rte']}\n1\ta\tb\t\n", "train.tsv, line 2: '' is no label of RTE"),
        ("rte", "train.tsv", None, r"no train.tsv in .*RTE: the official GLUE download holds it"),
        ("mnli", "dev_mismatched.tsv", None, r"no dev_mismatched.tsv in .*MNLI"),
        ("mrpc", "dev.tsv", None, r"no GLUE mrpc in .*looked for dev.tsv"),
    ],
)
def test_malformed_files_are_told_in_one_sentence(tmp_path, dataset, file, content, says):
    path = official(tmp_path, dataset) / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=says) as caught:
        directory(tmp_path, dataset).card()
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_and_line_ends_of_windows(tmp_path):
    path = official(tmp_path, "mrpc") / "train.tsv"
    before = directory(tmp_path, "mrpc").identity()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert directory(tmp_path, "mrpc").identity() == before


def test_mrpcs_own_version_is_another_run_and_teacher(tmp_path, monkeypatch):
    """Its metric chooses checkpoints, the teacher's too: SST-2's runs stay what they were."""

    def resolved():
        request = Request(["glue/mrpc", "glue/sst2"], ["kd"], ["bow"], track="lite", data_dir=tmp_path)
        return {spec.values["task"]: spec for spec in resolve(request)}

    for dataset in ("mrpc", "sst2"):
        official(tmp_path, dataset)
    now = resolved()
    monkeypatch.setattr(Glue, "versions", {})
    before = resolved()
    assert [spec.values["versions"]["task"] for spec in now.values()] == [2, 1]
    assert now["glue/sst2"].run_id == before["glue/sst2"].run_id
    for key in ("task", "teacher"):
        assert now["glue/mrpc"].values["versions"][key] != before["glue/mrpc"].values["versions"][key]


# The Hub


class Rows(dict):
    """As much of a `datasets.Dataset` as is read."""

    column_names = property(list)


@pytest.mark.parametrize("dataset", CLASSES)
def test_hub_and_directory_give_the_same_data(tmp_path, monkeypatch, dataset):
    def rows(repo, revision, split, config):
        assert (repo, len(revision), config) == ("nyu-mll/glue", 40, dataset)
        return Rows(columns_of(dataset, split.replace("validation", "dev")))

    monkeypatch.setattr(glue, "hub_rows", rows)
    official(tmp_path, dataset)
    hub = Glue(Source("hub"), "full", dataset)
    assert hub.identity() == directory(tmp_path, dataset).identity()
    assert any("not verified" in note for note in hub.card().notes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sentence": ["a", None]}, "nyu-mll/glue train, row 2: a text is missing"),
        ({"label": [0, -1]}, "nyu-mll/glue train, row 2: -1 is no label"),
        ({"label": [0, None]}, "nyu-mll/glue train, row 2: None is no label"),
    ],
)
def test_malformed_hub_rows(monkeypatch, change, says):
    monkeypatch.setattr(glue, "hub_rows", lambda *_: Rows({"sentence": ["a", "b"], "label": [0, 1]} | change))
    with pytest.raises(DataError, match=says):
        Glue(Source("hub"), "lite", "sst2").examples("distil")


# HF_ENDPOINT and HF_HOME are read when datasets is imported, hence a new interpreter.
CHILD = """
import json
from bench.plugins.registry import find, load
from bench.sources import Source
Glue = load(find("task", "glue"))
print(json.dumps({d: Glue(Source("hub"), "full", d).identity() for d in ("mnli", "stsb", "cola")}))
"""


def test_the_real_loading_code_against_a_server(tmp_path):
    pytest.importorskip("datasets", reason="reading from the Hub needs the 'hub' extra")
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    repo, configs = tmp_path / "hub/datasets/nyu-mll/glue", []
    for dataset in ("mnli", "stsb", "cola"):
        official(tmp_path, dataset)
        (repo / dataset).mkdir(parents=True)
        configs.append(f"- config_name: {dataset}\n  data_files:\n")
        for split in ("train", "dev_matched", "dev_mismatched") if dataset == "mnli" else ("train", "dev"):
            name = split.replace("dev", "validation")
            parquet.write_table(
                arrow.table(columns_of(dataset, split)), repo / f"{dataset}/{name}-00000-of-00001.parquet"
            )
            configs.append(f"  - split: {name}\n    path: {dataset}/{name}-*\n")
    (repo / "README.md").write_text("---\nconfigs:\n" + "".join(configs) + "---\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    command = [sys.executable, str(shared_tool("hub_server.py")), str(tmp_path / "hub")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
            env = kept | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
            child = [sys.executable, "-c", CHILD]
            done = subprocess.run(child, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        finally:
            server.terminate()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {d: directory(tmp_path, d).identity() for d in ("mnli", "stsb", "cola")}
