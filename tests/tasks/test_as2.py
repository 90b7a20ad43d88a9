"""Answer selection: files as they are written, modes and their questions, ties, other tools' scores, and runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from bench.errors import RequestError
from bench.plugins.registry import find, load
from bench.records import disk
from bench.sources import DataError, Source
from bench.tasks import _questions
from tests.factories.answers import HEADER, TREC, write_trecqa, write_wikiqa
from tests.factories.data import real_data
from tests.factories.runs import bench, save_teacher

As2 = load(find("task", "as2"))


def opened(folder, dataset, track="full"):
    task = As2(Source("directory", folder), track, dataset)
    task.name = f"as2/{dataset}"
    task.unseal()
    return task


def scores(task, logits, split="test"):
    (found,) = task.score(task.predict(np.asarray(logits, np.float32), split)).values()
    return found


def expected_ap(labels):
    """Of a random order: a hit stands at each rank alike, and before rank k are (p - 1)(k - 1) / (n - 1) others."""
    n, p = len(labels), sum(labels)
    return sum((1 + (p - 1) * (k - 1) / max(1, n - 1)) / k for k in range(1, n + 1)) / n if p else 0.0


@pytest.mark.parametrize("inside", ["", "as2/wang"])
@pytest.mark.parametrize(
    ("dataset", "dev", "test"), [("trecqa", (65, 1117), (68, 1442)), ("trecqa-raw", (81, 1148), (95, 1517))]
)
def test_official_files(inside, dataset, dev, test):
    """The manifest's sentences: 4,718, 1,148 and 1,517; clean are the 65 and 68 questions of Rao et al. 2016."""
    task = opened(real_data("as2") / inside, dataset)
    sizes = task.card().sizes
    assert sizes["train"] == 4718
    assert (sizes["dev"], sizes["dev sentences"]) == dev and (sizes["test"], sizes["test sentences"]) == test
    assert f"{test[0]} test questions" in task.card().title
    assert int(task.splits.train.labels.sum()) == 348
    assert task.inputs("test")[0][0] == "What do practitioners of Wicca worship ?"


def test_random_scores_are_as_good_as_chance():
    task = opened(real_data("as2"), "trecqa")
    data, rng = task.splits.test["trecqa"], np.random.default_rng(0)
    rows = np.split(data.labels, np.cumsum(data.lengths)[:-1])
    found = [scores(task, rng.normal(size=(len(data), 2))) for _ in range(200)]
    assert np.mean([s["map"] for s in found]) == pytest.approx(np.mean([expected_ap(r) for r in rows]), abs=0.006)
    assert np.mean([s["precision@1"] for s in found]) == pytest.approx(np.mean([r.mean() for r in rows]), abs=0.01)


def test_scores_are_those_of_scikit_learn():
    task = opened(real_data("as2"), "trecqa")
    data, logits = task.splits.test["trecqa"], np.random.default_rng(1).normal(size=(1442, 2))
    ends, value = np.cumsum(data.lengths)[:-1], logits[:, 1] - logits[:, 0]
    rows = list(zip(np.split(data.labels, ends), np.split(value, ends), strict=True))
    first = [labels[np.argsort(-v)].tolist().index(1) for labels, v in rows]
    found = scores(task, logits)
    assert found["map"] == pytest.approx(np.mean([average_precision_score(*row) for row in rows]))
    assert found["mrr"] == pytest.approx(np.mean([1 / (1 + at) for at in first]))
    assert found["precision@1"] == pytest.approx(np.mean([at == 0 for at in first]))


@pytest.mark.parametrize(
    ("dataset", "questions", "pairs", "left"),
    [("wikiqa-raw", 4, 9, 0), ("wikiqa", 3, 7, 1), ("wikiqa-clean", 2, 6, 2)],
)
def test_modes(tmp_path, dataset, questions, pairs, left):
    """Of test's questions one has no answer, and one nothing else."""
    task = opened(write_wikiqa(tmp_path), dataset)
    card = task.card()
    assert (card.sizes["test"], card.sizes["test sentences"]) == (questions, pairs)
    assert f"and {left} of test are left out" in card.notes[0] and f"{questions} test questions" in card.title
    assert len(task.splits.train) == 6, "training keeps a question without an answer"


def test_by_hand_in_three_modes(tmp_path):
    """Of q0 (0 1 0) the answer is second, of q1 (1 0 1) the answers are first and third; q2 has none, q3 only one."""
    logits = np.zeros((9, 2))
    logits[:, 1] = [3, 2, 1, 3, 2, 1, 1, 2, 1]
    two = {"map": [1 / 2, (1 + 2 / 3) / 2], "mrr": [1 / 2, 1], "precision@1": [0, 1]}
    for dataset, more in (("wikiqa-raw", [0, 1]), ("wikiqa", [1]), ("wikiqa-clean", [])):
        chosen = logits if dataset == "wikiqa-raw" else np.delete(logits, [6, 7, 8][: 2 if more else 3], 0)
        expected = {name: np.mean(values + more) for name, values in two.items()}
        assert scores(opened(write_wikiqa(tmp_path), dataset), chosen) == pytest.approx(expected), dataset


def test_ties_count_against_the_ranker(tmp_path):
    """q0: 1 answer of 3 comes third. q1: 2 of 3 come second and third."""
    found = scores(opened(write_wikiqa(tmp_path), "wikiqa-clean"), np.ones((6, 2)))
    assert found == pytest.approx(
        {"map": (1 / 3 + (1 / 2 + 2 / 3) / 2) / 2, "mrr": (1 / 3 + 1 / 2) / 2, "precision@1": 0}
    )


def test_sure_answers_are_told_apart(tmp_path):
    """Probabilities of 30 and 40 are both 1 in float32; log-odds are not."""
    task = opened(write_wikiqa(tmp_path), "wikiqa-clean")
    found = scores(task, np.array([[0, 30], [0, 40], [0, 30], [0, 40], [0, 30], [0, 40]]))
    assert found["map"] == 1


def test_the_two_forms_of_trecqa_are_the_same_but_for_numbers(tmp_path):
    one, two = (opened(write_trecqa(tmp_path / form, form), "trecqa-raw") for form in ("xml", "csv"))
    assert list(one.inputs("test")) == list(two.inputs("test")) == [
        ("Who & what ?", "Dow Jones & Co ."), ("Who & what ?", 'He said "no" .'), ("Where ?", "Here ."),
    ]  # fmt: skip
    assert one.splits.test["trecqa-raw"].lengths.tolist() == [2, 1], "a question without sentences is left out"
    assert one.answers().tolist() == two.answers().tolist() == [1, 0, 1]


def test_asnq(tmp_path):
    lines = [f"q{n}\tsentence {s}\t{4 if s == n % 3 else 1 + s}\n" for n in range(5) for s in range(3)]
    (tmp_path / "train.tsv").write_text("".join(lines))
    (tmp_path / "dev.tsv").write_text("".join(line.replace("q", "other q") for line in lines))
    task = opened(tmp_path, "asnq")
    sizes = task.card().sizes
    assert (sizes["train"], sizes["dev"], sizes["test"]) == (15, 2, 3)
    assert not {q for q, _ in task.inputs("dev")} & {q for q, _ in task.inputs("test")}
    assert int(task.splits.train.labels.sum()) == 5
    (tmp_path / "dev.tsv").write_text("q\tsentence\t5\n")
    with pytest.raises(DataError, match=r"dev\.tsv, line 1: the label '5' is none of 1, 2, 3, 4"):
        opened(tmp_path, "asnq").identity()


def test_hub_and_files_give_the_same(tmp_path, monkeypatch):
    folder = write_wikiqa(tmp_path)

    class Rows(dict):
        column_names = property(list)

    def rows(repo, revision, split, data_files):
        part = {"validation": "dev"}.get(split, split)
        cells = [line.split("\t") for line in (folder / f"WikiQA-{part}.tsv").read_text().splitlines()[1:]]
        names = ("question_id", "question", "x", "document_title", "y", "answer", "label")
        found = Rows(zip(names, map(list, zip(*cells, strict=True)), strict=True))
        return Rows(found | {"label": [int(label) for label in found["label"]]})

    monkeypatch.setattr(_questions, "hub_rows", rows)
    hub = As2(Source("hub"), "full", "wikiqa")
    assert hub.identity() == opened(folder, "wikiqa").identity()
    assert hub.card().revision == _questions.HUB[1]
    with pytest.raises(DataError, match="no revision of as2/trecqa on the Hub is pinned"):
        As2(Source("hub"), "full", "trecqa").identity()


def test_which_sentences_are_one_questions_is_part_of_the_identity(tmp_path):
    one = opened(write_wikiqa(tmp_path / "one"), "wikiqa-raw").identity()
    (tmp_path / "two").mkdir()
    for path in (tmp_path / "one").glob("*.tsv"):
        (tmp_path / "two" / path.name).write_text(path.read_text().replace("q1\tWhat 1", "q0\tWhat 0"))
    assert opened(tmp_path / "two", "wikiqa-raw").identity() != one


ROW = "q0\tWhat 0 ?\tD0\tTitle\tD0-0\tAn answer.\t1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "WikiQA-test.tsv is empty"),
        (HEADER.replace("Label", "Labels") + ROW, "line 1: no column Label; there are QuestionID, Question,"),
        (HEADER + ROW.replace("\t1\n", "\t2\n"), "line 2: the label '2' is none of 0, 1"),
        (HEADER + ROW.replace("\t1\n", "\n"), "line 2: 6 tab-separated columns, expected 7"),
        (HEADER + ROW.replace("An answer.", " "), "line 2: the sentence is missing"),
        (HEADER + ROW.replace("What 0 ?", ""), "line 2: the question is missing"),
        (HEADER + ROW + ROW, "line 3: sentence D0-0 of question q0 comes twice"),
        (HEADER + ROW + ROW.replace("What", "Who").replace("D0-0", "D0-1"), "line 3: question q0 has another text"),
        (HEADER, "no question is left"),
        (HEADER + ROW.replace("answer", "r\u00e9ponse"), "line 2: not UTF-8 text"),
    ],
)
def test_what_a_wrong_file_gets(tmp_path, text, said):
    encoding = "latin-1" if "UTF-8" in said else "utf-8"
    (write_wikiqa(tmp_path) / "WikiQA-test.tsv").write_text(text, encoding=encoding)
    with pytest.raises(DataError, match=said) as error:
        opened(tmp_path, "wikiqa").identity()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("form", "old", "new", "said"),
    [
        ("xml", "id='2'", "id='1'", r"test\.xml, line \d+: the question's id 1 comes twice"),
        ("xml", "<QApairs id='2'>", "<QApairs>", r"test\.xml, line \d+: a question has no id"),
        ("xml", "Here\t.\n", "\n", r"test\.xml, line \d+: the sentence is missing"),
        ("xml", "Where\t?\n", "\n", r"test\.xml, line \d+: the question is missing"),
        ("csv", "qtext", "question", r"test\.csv, line 1: no column qtext; there are question"),
        ("csv", ",1,", ",yes,", r"test\.csv, line \d+: the label 'yes' is none of 0, 1"),
        ("csv", "Where ?,1", "Where ?", r"test\.csv, line \d+: 2 columns, and the header has 3"),
        ("csv", '"" ."', '"" .', r"test\.csv, line \d+: not valid CSV"),
    ],
)
def test_what_a_wrong_file_of_trecqa_gets(tmp_path, form, old, new, said):
    path = write_trecqa(tmp_path, form) / f"test.{form}"
    assert old in TREC[form]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=said):
        opened(tmp_path, "trecqa-raw").identity()


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no as2/wikiqa data in .*: looked for WikiQA-train\.tsv under"):
        opened(tmp_path, "wikiqa").identity()
    (write_wikiqa(tmp_path) / "WikiQA-dev.tsv").unlink()
    with pytest.raises(DataError, match=r"cannot read .*WikiQA-dev\.tsv: No such file"):
        opened(tmp_path, "wikiqa").identity()


def test_a_teacher_with_swapped_classes_is_told_from_its_classes(tmp_path):
    task = opened(write_wikiqa(tmp_path), "wikiqa")
    answers = np.tile(task.answers(), 4)  # five examples are no evidence
    task.answers = lambda: answers
    right = 5.0 * np.eye(2)[answers]
    assert not task.doubt(right) and "its classes are answer, other" in task.doubt(right[:, ::-1])


def test_methods_of_classification_and_cerberus_run_and_are_compared(tmp_path):
    """A plain student, one whose method judges an assistant on dev, several heads; intervals are over questions."""
    folder, results, cache = write_wikiqa(tmp_path / "data"), tmp_path / "results", tmp_path / "store"
    teacher = save_teacher(tmp_path / "teacher", layers=2)
    small = ("updates=2", "teach=1", "batch_size=4", "evaluations=1")
    common = [
        "--task", "as2/wikiqa", "--track", "lite", "--data-dir", folder, "--teacher", teacher, "--results", results,
        *(part for setting in small for part in ("--set", setting)),
    ]  # fmt: skip
    assistants = ("--set", 'ta_ensemble.assistants=["bert:1"]', "--set", "ta_ensemble.generations=1")
    plain = ("--method", "kd", "--method", "ta_ensemble", *assistants, "--student", "bert:1")
    bench("run", *common, *plain, cache=cache)
    bench("run", *common, "--method", "cerberus", "--student", "mhs:1B-3H1", cache=cache)
    records = {record.spec["method"]: record for record in disk.read_all(results)}
    assert set(records) == {"kd", "ta_ensemble", "cerberus"}
    for record in records.values():
        assert set(record.metrics.all["wikiqa"]) == {"map", "mrr", "precision@1"}
        assert record.metrics.main.name == "map" and "answered mode, 3 test questions" in record.data.title
    own = records["cerberus"]
    assert len(own.spec["versions"]["teachers"]) == 2
    assert own.cost.teacher_forwards == 12 and own.cost.teacher_forwards_reused == 6, "kd had the first one's stored"
    assert len(list((results / "teachers").glob("*.json"))) == 3
    bench("check", results, cache=cache)
    asked = ("--task", "as2/wikiqa", "--track", "lite", "--results", results, "--json")
    found = json.loads(bench("compare", "cerberus@mhs:1B-3H1", "kd@bert:1", *asked, cache=cache).out)
    assert (found["metric"], found["examples"]) == ("map", 3)
    export = ("export", own.run_id, "--format", "hf", "--out", tmp_path / "out", "--results", results)
    refused = bench(*export, "--data-dir", folder, cache=cache, check=2).err.splitlines()[-1]
    assert refused == (
        "bench: bench export writes sentence encoders, and with a head bert students and readers of words; as2/wikiqa "
        "has another 'classify' student"
    )


def test_heads_and_teachers_have_to_be_as_many(tmp_path):
    folder, teacher = write_wikiqa(tmp_path / "data"), save_teacher(tmp_path / "teacher")
    common = [
        "run", "--task", "as2/wikiqa", "--track", "lite", "--data-dir", folder, "--teacher", teacher, "--results",
        tmp_path / "results", "--method", "cerberus", "--set", "updates=1", "--set", "batch_size=4",
    ]  # fmt: skip
    wrong = bench(*common, "--student", "mhs:1B-2H1", cache=tmp_path / "store", check=2)
    assert "cerberus teaches a head with each of 3 teachers, and the student has 2 heads" in wrong.err
    plain = bench(*common, "--student", "bert:1", cache=tmp_path / "store", check=2)
    assert "it needs the signal logits.heads, which that student does not expose" in plain.err


def test_no_mini_track():
    with pytest.raises(RequestError, match="has no mini track"):
        from bench.runs.spec import Request, open_tasks

        open_tasks(Request(("as2/wikiqa",), ("kd",), ()))
