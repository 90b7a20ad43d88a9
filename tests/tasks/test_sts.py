"""The sts task: what is read, what is scored, and what a user is told when a file is wrong."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.errors import BenchError, RequestError
from bench.inputs import Batch
from bench.plugins.registry import find, load
from bench.signals import Signals
from bench.sources import DataError, Source
from tests.factories.data import real_data

Sts = load(find("task", "sts"))
YEARS = {  # as in SimCSE's SentEval, written down again on purpose
    "12": "MSRpar MSRvid SMTeuroparl surprise.OnWN surprise.SMTnews",
    "13": "FNWN headlines OnWN",
    "14": "deft-forum deft-news headlines OnWN images tweet-news",
    "15": "answers-forums answers-students belief headlines images",
    "16": "answer-answer headlines plagiarism postediting question-question",
}
COUNTS = {"sts12": 3108, "sts13": 1500, "sts14": 3750, "sts15": 3000, "sts16": 1186, "stsb": 1379, "sickr": 4927}


def official(root: Path) -> Path:
    """A small folder in SentEval's layout with training text beside it; returns the folder of both."""
    sts = root / "senteval/downstream/STS"
    for year, names in YEARS.items():
        folder = sts / f"STS{year}-en-test"
        folder.mkdir(parents=True)
        for name in names.split():
            (folder / f"STS.input.{name}.txt").write_text(f'a {name}\tb "{year}\nc\td {name}\ne\tf\n')
            (folder / f"STS.gs.{name}.txt").write_text("1.5\n\n4\n")
    (sts / "STSBenchmark").mkdir()
    for split in ("dev", "test"):
        rows = f'g\tf\t2017\t1\t2.5\t"one {split}\ttwo\ng\tf\t2017\t2\t0.5\tthree\tfour\tsource\tsource\n'
        (sts / f"STSBenchmark/sts-{split}.csv").write_text(rows)
    sick = sts.parent / "SICK"
    sick.mkdir()
    header = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\r\n"
    (sick / "SICK_test_annotated.txt").write_bytes(
        (header + "1\tx\ty\t3.3\tNEUTRAL\r\n2\tz\ty\t1\tNEUTRAL\r\n").encode()
    )
    (root / "unlabelled").mkdir()
    (root / "unlabelled/b.txt").write_text("third\n")
    (root / "unlabelled/a.txt").write_text("first\n\n  \nsecond \n")
    (root / "unlabelled/nli_for_simcse.csv").write_text('sent0,sent1,hard_neg\n"p, q",r,s\n\nr,"t ""u""",v\n')
    return root


def directory(folder: Path, track: str = "lite"):
    task = Sts(Source("directory", folder), track)
    task.unseal()
    return task


@pytest.fixture(scope="module")
def real():
    return directory(real_data("sts"))


@pytest.fixture(scope="module")
def mini():
    task = Sts(Source("packaged"), "mini")
    task.unseal()
    return task


def embeddings(texts, width: int = 8) -> np.ndarray:
    """(N, D) letter counts, hashed: similar for similar texts, without a network."""
    rows = np.zeros((len(texts), width))
    for row, text in zip(rows, texts, strict=True):
        for letter in text.lower():
            row[ord(letter) % width] += 1
    return rows


def raw_lines(path: Path) -> list[str]:
    return path.read_bytes().decode().removesuffix("\n").split("\n")


def test_official_counts(real):
    sizes = real.card().sizes
    assert {name: sizes[name] for name in COUNTS} == COUNTS
    assert (sizes["dev"], sizes["stsb-dev"], sizes["test"]) == (1500, 1500, sum(COUNTS.values()))
    assert real.examples("distil").groups.shape == (real.track.examples, 1)
    assert real.examples("supervised").groups.shape == (sizes["supervised"], 3)


def test_quote_marks_are_text(real):
    sick = real.reader.root / "downstream/STS/STSBenchmark/sts-test.csv"
    rows = [line.split("\t") for line in raw_lines(sick)]
    assert any('"' in row[5] for row in rows)
    assert list(real.pairs("test")["stsb"].first) == [row[5] for row in rows]


def test_triplets_read_like_quoted_csv(real):
    path = next((real.reader.root.parent / "unlabelled").glob("nli_for_simcse*.csv"))
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(r["sent0"].strip(), r["sent1"].strip(), r["hard_neg"].strip()) for r in csv.DictReader(file)]
    examples = real.examples("supervised")
    assert [tuple(examples.inputs[i] for i in group) for group in examples.groups] == rows
    assert len(set(examples.inputs)) == len(examples.inputs)


@pytest.mark.parametrize("year", YEARS)
def test_a_year_is_one_correlation_over_its_subsets(real, year):
    folder = real.reader.root / f"downstream/STS/STS{year}-en-test"
    cosines, gold = [], []
    for name in YEARS[year].split():
        pairs = [line.split("\t") for line in raw_lines(folder / f"STS.input.{name}.txt")]
        for (a, b), score in zip(pairs, raw_lines(folder / f"STS.gs.{name}.txt"), strict=True):
            if score:
                u, v = embeddings([a, b])
                cosines.append(u @ v / np.sqrt((u @ u) * (v @ v)))
                gold.append(float(score))
    task = directory(real.source.folder)
    task.unseal()
    predictions = task.predict(embeddings(task.inputs("test")), "test")
    np.testing.assert_allclose(predictions[f"sts{year}"]["prediction"], cosines, rtol=1e-6)
    np.testing.assert_array_equal(predictions[f"sts{year}"]["gold"], gold)
    scores = task.score(predictions)[f"sts{year}"]
    ranks = np.corrcoef(stats.rankdata(np.float32(cosines)), stats.rankdata(gold))[0, 1]
    assert scores["spearman"] == pytest.approx(ranks, abs=1e-4)  # ties of float32 may fall otherwise
    assert scores["pearson"] == pytest.approx(np.corrcoef(cosines, gold)[0, 1], abs=1e-6)


def test_cosine_and_zero_vectors(tmp_path):
    task = directory(official(tmp_path))
    assert task.inputs("dev") == ['"one dev', "three", "two", "four"]
    found = task.predict(np.array([[3.0, 4], [0, 0], [4, 3], [1, 1]]), "dev")["stsb-dev"]
    np.testing.assert_allclose(found["prediction"], [0.96, 0], rtol=1e-7)
    assert found["prediction"].dtype == np.float32
    assert found["gold"].tolist() == [2.5, 0.5]


@pytest.mark.parametrize("outputs", [np.ones((3, 2)), np.ones(4), np.full((4, 2), np.nan)])
def test_outputs_that_cannot_be_scored(tmp_path, outputs):
    with pytest.raises(BenchError, match="embeddings"):
        directory(official(tmp_path)).predict(outputs, "dev")


def test_constant_predictions_score_zero():
    constant = {"x": {"prediction": np.full(4, 0.1, np.float32), "gold": np.arange(4.0)}}
    assert Sts.score(constant) == {"x": {"pearson": 0.0, "spearman": 0.0}}
    rising = {"x": {"prediction": np.array([1, 2, 3, 40], np.float32), "gold": np.arange(4.0)}}
    assert Sts.score(rising)["x"]["spearman"] == pytest.approx(1)
    assert Sts.score(rising)["x"]["pearson"] < 1


def test_mini_counts(mini):
    card = mini.card()
    assert {k: card.sizes[k] for k in ("wordsim353", "simlex999", "lee")} == {
        "wordsim353": 353,
        "simlex999": 999,
        "lee": 1225,
    }
    assert len(mini.inputs("test")) == 50
    assert any("£3,000" in text for text in mini.inputs("test"))
    assert mini.inputs("test")[-1].endswith("Senator Brown said today.")
    text = mini.examples("distil").inputs
    assert len(set(text)) == len(text) > 2500
    assert np.array_equal(mini.examples("supervised").groups, np.arange(len(text))[:, None].repeat(2, 1))


def test_lee_matrix_is_read_the_right_way_round(mini):
    """Shared words must agree with the people: a transposed or shifted matrix would not."""
    lee = mini.pairs("test")["lee"]
    assert lee.units.shape == (1225, 2)
    assert (lee.units[:, 0] < lee.units[:, 1]).all()
    documents = mini.inputs("test")
    assert all(
        documents[i] == a and documents[j] == b for (i, j), a, b in zip(lee.units, lee.first, lee.second, strict=True)
    )
    matrix = [line.split("\t") for line in raw_lines(mini.reader.file("similarities0-1.txt"))]
    assert all(float(matrix[i][j]) == gold for (i, j), gold in zip(lee.units, lee.gold, strict=True))
    assert lee.gold.min() > 0  # the lower triangle holds zeros
    words = [set(re.findall(r"[a-z]{5,}", d.lower())) for d in documents]
    overlap = [len(words[i] & words[j]) / len(words[i] | words[j]) for i, j in lee.units]
    assert stats.pearsonr(overlap, lee.gold).statistic > 0.4
    shifted = [len(words[i] & words[(j + 1) % 50]) for i, j in lee.units]
    assert stats.pearsonr(shifted, lee.gold).statistic < 0.2


def test_small_directory(tmp_path):
    task = directory(official(tmp_path))
    assert list(task.examples("distil").inputs) == ["first", "second", "third"]
    assert task.examples("supervised").inputs == ["p, q", "r", "s", 't "u"', "v"]
    assert task.examples("supervised").groups.tolist() == [[0, 1, 2], [1, 3, 4]]
    year = task.pairs("test")["sts13"]
    assert year.gold.tolist() == [1.5, 4] * 3  # the pair without a score is gone
    assert list(year.second) == ['b "13', "f"] * 3
    assert task.pairs("test")["sickr"].gold.tolist() == [3.3, 1]
    (tmp_path / "unlabelled/nli_for_simcse.csv").unlink()
    assert directory(tmp_path).examples("supervised").groups.tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("inside", ["", "senteval"])
@pytest.mark.parametrize("parent", ["", "sts"])
def test_layouts(tmp_path, inside, parent):
    root = official(tmp_path / parent)
    task = directory(root / inside if inside else tmp_path)
    assert task.card().sizes["distil"] == 3


def test_caps(tmp_path, monkeypatch):
    from bench.task import Track

    monkeypatch.setitem(Sts.tracks, "lite", Track(updates=1, batch_size=1, examples=1))
    task, whole = directory(official(tmp_path)), directory(tmp_path, "full")
    assert list(task.examples("distil").inputs) == ["first"]
    assert task.examples("supervised").groups.tolist() == [[0, 1, 2]]
    assert len(whole.examples("distil")) == 3
    assert task.identity() != whole.identity()


@pytest.mark.parametrize(
    "file",
    [
        "unlabelled/a.txt",
        "unlabelled/nli_for_simcse.csv",
        "senteval/downstream/STS/STS14-en-test/STS.input.images.txt",
        "senteval/downstream/STS/STS16-en-test/STS.gs.headlines.txt",
        "senteval/downstream/STS/STSBenchmark/sts-dev.csv",
        "senteval/downstream/SICK/SICK_test_annotated.txt",
    ],
)
def test_identity_follows_every_character(tmp_path, file):
    before = directory(official(tmp_path)).identity()
    assert directory(tmp_path).identity() == before
    path = tmp_path / file
    data = path.read_bytes()
    at = re.search(rb"(first|p, q|1\.5|2\.5|3\.3|a images)", data).start()
    path.write_bytes(
        data[:at] + (b"2" if data[at : at + 1].isdigit() and data[at : at + 1] != b"2" else b"4") + data[at + 1 :]
    )
    assert directory(tmp_path).identity() != before


STS = "senteval/downstream/STS"
SICK = "senteval/downstream/SICK/SICK_test_annotated.txt"
NLI = "unlabelled/nli_for_simcse.csv"


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        (f"{STS}/STS12-en-test/STS.input.MSRpar.txt", "a\tb\nc\ne\tf\n", "MSRpar.txt, line 2: 1 tab-separated"),
        (f"{STS}/STS12-en-test/STS.input.MSRpar.txt", "", "MSRpar.txt is empty"),
        (f"{STS}/STS12-en-test/STS.input.MSRpar.txt", b"a\tb\nc\t\xff\n", "MSRpar.txt, line 2: not UTF-8"),
        (f"{STS}/STS12-en-test/STS.input.MSRpar.txt", None, "cannot read .*STS.input.MSRpar.txt"),
        (f"{STS}/STS15-en-test/STS.gs.belief.txt", None, "cannot read .*STS.gs.belief.txt"),
        (f"{STS}/STS15-en-test/STS.gs.belief.txt", "1\n2\n", "belief.txt, line 2: .* 2 scores for 3 pairs"),
        (f"{STS}/STS15-en-test/STS.gs.belief.txt", "1\n2\nx\n", "belief.txt, line 3: 'x' is not a finite"),
        (f"{STS}/STS15-en-test/STS.gs.belief.txt", "1\nnan\n1\n", "belief.txt, line 2: 'nan' is not"),
        (f"{STS}/STSBenchmark/sts-test.csv", "g\tf\ty\t1\tinf\ta\tb\n", "sts-test.csv, line 1: 'inf' is not"),
        (f"{STS}/STSBenchmark/sts-test.csv", "g\tf\ty\t1\t1\ta\n", "sts-test.csv, line 1: 6 tab-separated"),
        (f"{STS}/STSBenchmark/sts-dev.csv", " \n", "sts-dev.csv is empty"),
        (SICK, "pair_ID\tsentence_A\tsentence_B\n", "line 1: no column relatedness_score; there are pair_ID"),
        (SICK, "sentence_A\tsentence_B\trelatedness_score\na\tb\n", "line 2: 2 tab-separated columns, expected 3"),
        (SICK, "sentence_A\tsentence_B\trelatedness_score\n", "holds no scored pair"),
        (NLI, "sent0,sent1\na,b\n", "nli_for_simcse.csv, line 1: no column hard_neg"),
        (NLI, "sent0,sent1,hard_neg\na,b,c\na,b\n", "nli_for_simcse.csv, line 3: 2 columns"),
        (NLI, 'sent0,sent1,hard_neg\na,b,c\na,"b,c\n', "nli_for_simcse.csv, line 3: not valid CSV"),
        (NLI, "sent0,sent1,hard_neg\n", "holds no triplet"),
        ("unlabelled/nli_for_simcse.2.csv", "sent0,sent1,hard_neg\na,b,c\n", "more than one file of NLI triplets"),
        ("unlabelled/a.txt", "\n", "a.txt is empty"),
    ],
)
def test_malformed_files_are_told_in_one_sentence(tmp_path, file, content, says):
    path = official(tmp_path) / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=says) as caught:
        directory(tmp_path).card()
    assert "\n" not in str(caught.value)


def test_missing_folders_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match="no SentEval data for sts"):
        directory(tmp_path).inputs("dev")
    official(tmp_path)
    for path in (tmp_path / "unlabelled").iterdir():
        path.unlink()
    with pytest.raises(
        DataError, match=r"put files with one sentence a line into .*unlabelled .*wiki1m_for_simcse.txt"
    ):
        directory(tmp_path).examples("distil")
    (tmp_path / "wiki1m_for_simcse.txt").write_text("one\ntwo\n")
    assert len(directory(tmp_path).examples("distil")) == 2


class Rows(dict):
    """As much of a `datasets.Dataset` as is read."""

    column_names = property(list)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            Rows(sentence1=["a"], sentence2=["b"]),
            "mteb/stsbenchmark-sts: no column score; there are sentence1, sentence2",
        ),
        (
            Rows(sentence1=["a", "c"], sentence2=["b", "d"], score=[1.0, None]),
            "validation, row 2: None is not",
        ),
        (Rows(sentence1=[], sentence2=[], score=[]), "mteb/stsbenchmark-sts holds no scored pair"),
    ],
)
def test_malformed_hub_rows(monkeypatch, rows, says):
    monkeypatch.setitem(vars(sys.modules[Sts.__module__]), "hub_rows", lambda *_: rows)
    with pytest.raises(DataError, match=says):
        Sts(Source("hub"), "lite").inputs("dev")


def test_unknown_names(mini):
    with pytest.raises(RequestError, match="unknown split 'tset': did you mean test"):
        mini.inputs("tset")
    with pytest.raises(RequestError, match="unknown training set"):
        mini.examples("train")


def test_objective_is_contrastive(mini):
    torch = pytest.importorskip("torch")
    losses = mini.objective()(Signals(embedding=torch.eye(4, 8)), Batch(torch.arange(2), 2))
    assert set(losses) == {"contrastive"}
