"""Judged collections: both layouts, the cut of dev, and what a wrong file gets."""

from __future__ import annotations

import pytest

from bench.sources import DataError
from bench.tasks._judged import Collection, Document, beir, tagged, trec_grades
from tests.factories.collection import write_beir


def test_documents_are_numbered_by_name_and_grades_kept(tmp_path):
    rows = [("q1", "d2", 2), ("q1", "d10", 0), *((f"q{n}", f"d{n}", 1) for n in range(2, 8))]
    found = Collection(beir(write_beir(tmp_path, test=rows)))
    assert found.names == sorted(f"d{n}" for n in range(30)) and found.names[2] == "d10"
    assert found.documents[2] == Document("Title 10", "word3 text0.") and found.documents[2].whole.startswith("Title")
    every = {n: row.tolist() for q in found.splits.values() for n, row in zip(q.names, q.gold, strict=True)}
    assert every["q1"] == [[found.number["d2"], 2], [found.number["d10"], 0]]
    assert len(every) == 7 and found.unjudged == 1


def test_dev_is_cut_from_train_or_from_test_and_never_where_it_is_official(tmp_path):
    def sizes(name, **qrels):
        found = Collection(beir(write_beir(tmp_path / name, queries=40, **qrels)))
        assert found.dev_from == name
        splits = found.splits
        names = [n for queries in splits.values() for n in queries.names]
        assert len(names) == len(set(names)), "no query is in two splits"
        return {split: len(queries.names) for split, queries in splits.items()}

    train, test = ([(f"q{n}", "d1", 1) for n in rows] for rows in (range(20), range(20, 28)))
    assert sizes("test", test=test) == {"test": 6, "dev": 2}
    assert sizes("train", test=test, train=train) == {"train": 18, "test": 8, "dev": 2}
    assert sizes("dev", test=test, train=train, dev=[("q30", "d3", 1)]) == {"train": 20, "dev": 1, "test": 8}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("q0", "d99", 1), "line 3: there is no document d99"),
        (("q99", "d1", 1), "line 3: there is no query q99"),
        (("q1", "d1", 2), "line 3: d1 is judged twice for query q1"),
        (("q0", "d1", "high"), "line 3: 'high' is not a finite number"),
        (("q0", "d1"), "line 3: 2 tab-separated columns, expected 3"),
    ],
)
def test_a_wrong_judgement_is_named_with_its_line(tmp_path, row, says):
    with pytest.raises(DataError, match=says) as raised:
        Collection(beir(write_beir(tmp_path, test=[("q1", "d1", 1), row])))
    assert "test.tsv" in str(raised.value)


def test_a_document_that_is_missing_and_not_relevant_changes_nothing(tmp_path):
    rows = [(f"q{n}", "d1", 1) for n in range(8)]
    with_it = Collection(beir(write_beir(tmp_path, test=[*rows, ("q0", "elsewhere", 0)])))
    assert sum(len(q.gold.flat) for q in with_it.splits.values()) == 8


@pytest.mark.parametrize("line", ["{", "[]", '{"_id": "x"}', '{"_id": 3, "text": "y"}'])
def test_a_wrong_line_of_json_is_named(tmp_path, line):
    folder = write_beir(tmp_path, test=[("q1", "d1", 1)])
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"corpus.jsonl, line 31: (not JSON|no object with the texts _id and text)"):
        beir(folder)


def test_without_test_judgements_or_with_too_few_queries(tmp_path):
    with pytest.raises(DataError, match="no judgements for test"):
        Collection(beir(write_beir(tmp_path / "a", train=[("q1", "d1", 1)])))
    with pytest.raises(DataError, match="too few judged queries"):
        Collection(beir(write_beir(tmp_path / "b", test=[("q1", "d1", 1)])))


def test_trec_files(tmp_path):
    path = tmp_path / "file"
    path.write_text(
        "<DOC>\n<DOCNO> 1 </DOCNO>\na  <b>x</b>\n</DOC>\n\n<top>\n<num>2</num><title>\nY\n</title>\n</top>\n"
    )
    assert [(name, text.strip()) for name, text in tagged(path)] == [("1", "a  x"), ("2", "Y")]
    path.write_text("<DOC>\n<DOCNO>1</DOCNO>\na\n</DOC>\n<DOC>\nno number\n</DOC>\n")
    with pytest.raises(DataError, match="line 5: no whole <DOC> or <top> with its number"):
        list(tagged(path))
    path.write_text("1 Q0 CACM-12 1\n1 0 3 2\n1 0 3\n")
    grades = trec_grades(path, str.lower)
    assert [next(grades)[1:], next(grades)[1:]] == [("1", "cacm-12", 1.0), ("1", "3", 2.0)]
    with pytest.raises(DataError, match="line 3: 3 columns, expected query, 0, document and grade"):
        next(grades)


def test_halves_of_a_document():
    assert Document("T", "x. y").halves == ("T", "x. y")
    assert Document("", "One is. Two is. Three").halves == ("One is.", "Two is. Three")
    assert Document("", "Alone").halves == ("Alone", "")
