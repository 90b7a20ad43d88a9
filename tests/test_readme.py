"""The numbers of README and docs/results.md are those of the committed records; commands are the command line's."""

import json
import re
import statistics

import pytest

from bench.board import evidence, leaderboard
from bench.board.learned import weakness
from bench.board.verdicts import judge, with_intervals
from bench.records import check, disk
from tests.factories.commands import bench
from tests.factories.runs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")
SETS = ("sts12", "sts13", "sts14", "sts15", "sts16", "stsb", "sickr")


@pytest.fixture(scope="module")
def committed():
    found = list(disk.read_all(ROOT / "results"))
    assert found
    return found


def lines_of(name, scores, main, ci95, retention, speedup):
    """Of the README, and of the whole table."""
    cells = [f"**{100 * main:.2f}**", f"{100 * ci95[0]:.2f} to {100 * ci95[1]:.2f}", retention, speedup]
    sets = [f"{100 * statistics.fmean(s[d]['spearman'] for s in scores):.2f}" for d in SETS]
    return tuple("| " + " | ".join(row) + " |" for row in ([name, *cells], [name, *sets, *cells]))


def expected(found):
    """The lines of both tables, best method first."""
    board = next(b for b in leaderboard.rows(found) if (b.task, b.track) == ("sts", "lite"))
    board = with_intervals(board, found, ROOT / "results")
    chosen = [r for r in found if (r.spec["task"], r.spec["track"]) == ("sts", "lite")]
    for row in board.rows:
        own = [r for r in chosen if row.method in ("", r.spec["method"])]
        speed = next(iter(row.speed.values())).speedup
        yield lines_of(
            row.method or "teacher",
            [r.metrics.all if row.method else r.teacher.metrics for r in own],
            row.score.value,
            (row.score.low, row.score.high),
            f"{row.retention:.1%}",
            f"{speed.value:.2f}x" if speed else "1x",
        )


def test_the_table_is_that_of_the_records(committed):
    short, whole = zip(*expected(committed), strict=True)
    for text, lines in ((README, short), (RESULTS, whole)):
        missing = [line for line in lines if line not in text]
        assert not missing, "put these lines in:\n" + "\n".join(missing)


TEXT = ("kd", "pkd", "tinybert", "annealing", "continuation")
IMAGE = ("kd", "takd", "ta_ensemble", "annealing", "continuation", "crd", "fitnets")


def classification(found):
    """A line for each finetune row: its score, and the differences of the other methods with this student to it; where
    a student has finetune rows of several lengths, of methods that were trained as long."""
    for board in leaderboard.rows(found):
        if board.task.startswith(("glue/", "text/", "images/")):
            verdicts = judge(board, found, ROOT / "results")
            methods = IMAGE if board.task.startswith("images/") else TEXT
            bases = [(row.student, row.updates, at) for at, row in enumerate(board.rows) if row.method == "finetune"]
            several = {student for student, *_ in bases if [s for s, *_ in bases].count(student) > 1}
            for student, updates, base in sorted(bases):
                apart = student in several
                alike = [at for at, r in enumerate(board.rows) if r.student == student]
                same = [at for at in alike if board.rows[at].updates == updates]  # the last of a method counts
                places = {board.rows[at].method: at for at in (same if apart else [*alike, *same])}
                own = next(r for r in board.rows if not r.method and r.teacher == board.rows[base].teacher)
                name = f"{board.task}, `{student}`" + (f", {updates:.0f} updates" if apart else "")
                cells = [name, hundred(own), hundred(board.rows[base])]
                cells += [told(verdicts, places.get(method), base) for method in methods]
                yield "| " + " | ".join(cells) + " |"


def hundred(row):
    return f"{100 * row.score.value:.2f}"


def told(verdicts, place, base):
    """A difference with its interval; bold where it is clear."""
    if place is None:
        return ""
    d = verdicts.difference(place, base)
    text = f"{100 * d['value']:+.2f} ({100 * d['low']:.1f} to {100 * d['high']:.1f})"
    return f"**{text}**" if d["evidence"] == evidence.CLEAR else text


def test_the_tables_of_classification_are_those_of_the_records(committed):
    """Those that the page has: a new board need not be in it."""
    lines = {line.split("|")[1]: line for line in classification(committed)}
    shown = re.findall(r"^\| (?:glue|text|images)/\S+, .*$", RESULTS, re.MULTILINE)
    wrong = [lines.get(text.split("|")[1], f"no records: {text}") for text in shown if text not in lines.values()]
    assert len(shown) >= 8 and not wrong, "put these lines in:\n" + "\n".join(wrong)


EXAM = {"bilstm:1x256": "", "cnn:100": "", "bert:4x256": " (Mini)", "bert:4x512": " (Small)", "bert:2x128": " (Tiny)"}
PLAIN = {"form": "hinton", "alpha": None, "temperature": None, "times": None}
KL, MSE = {"temperature": 1.0}, {"form": "logits"}
FIRST, LATER = ("casa", "wrete"), ("smsa", "emot", "keps", "posp", "nerp")
# A table's students, and its columns: data set, method, and what of its settings is not plain.
EXAM_TABLES = (
    (tuple(EXAM), [(d, *how) for d in FIRST for how in (("finetune", {}), ("kd", {}), ("kd", KL))]),
    (tuple(EXAM), [(d, *how) for d in LATER for how in (("finetune", {}), ("kd", KL))]),
    (
        ("bilstm:1x256", "cnn:100"),
        [
            ("emot", "finetune", {}), ("emot", "kd", KL), ("emot", "kd", KL | {"alpha": 1.0}),
            ("emot", "kd", MSE | {"alpha": 0.5}), ("emot", "kd", MSE),
        ],
    ),
    (("cnn:100",), [("emot", "sparse", {"times": times}) for times in (None, 1.0, 4.0)]),
)  # fmt: skip
# Boards beside one another, whose rows are held against finetune; of the several lengths of a board this one.
COMPARED = (
    (
        ("biomed/ncbi", "biomed/bc5cdr-disease", "biomed/gad"),
        ("distilbiobert", "compactbiobert", "tinybiobert", "continual", "kd", "finetune"),
        300,
    ),
    (("indonlu/facqa",), ("tinybert", "kd", "finetune"), 200),
    (("indonlu/facqa",), ("kd", "finetune", "distilbiobert", "compactbiobert", "tinybiobert"), 600),
)


def exam(found, students, columns):
    """How a line of the exam's table begins, and the scores that it ends with: means over seeds."""
    for student in students:
        cells = [""] * len(columns)
        for at, (dataset, method, settings) in enumerate(columns):
            own = [
                r.metrics.main.value
                for r in found
                if (r.spec["task"], r.spec["method"], r.spec["student"]) == (f"indonlu/{dataset}", method, student)
                and PLAIN | settings == {k: r.spec["settings"]["method"].get(k, PLAIN[k]) for k in PLAIN}
            ]
            cells[at] = f"{100 * statistics.fmean(own):.2f}" if own else ""
        yield f"| `{student}`{EXAM[student]} | ", " | ".join(cells) + " |"


@pytest.mark.parametrize(("students", "columns"), EXAM_TABLES)
def test_the_tables_of_the_exam_are_those_of_the_records(committed, students, columns):
    lines = RESULTS.splitlines()
    wrong = [
        start + end
        for start, end in exam(committed, students, columns)
        if not any(line.startswith(start) and line.endswith(end) for line in lines)
    ]
    assert not wrong, "put these lines in:\n" + "\n".join(wrong)


def compared(found, tasks, methods, updates):
    """A line for each method: its score on each board, and its difference to finetune with the evidence."""
    lines = {method: [f"| {method}"] for method in methods}
    for task in tasks:
        (board,) = [b for b in leaderboard.rows(found) if (b.task, b.track) == (task, "lite")]
        verdicts = judge(board, found, ROOT / "results")
        rows = {row.method: at for at, row in enumerate(board.rows) if row.updates == updates}
        for method, cells in lines.items():
            said = ""
            if method != "finetune":
                d = verdicts.difference(rows[method], rows["finetune"])
                said = f"{100 * d['value']:+.1f} ({100 * d['low']:.1f} to {100 * d['high']:.1f}), {d['evidence']}"
            cells += [hundred(board.rows[rows[method]]), said]
    return [(" | ".join(cells) + " |").replace("|  |", "| |") for cells in lines.values()]


@pytest.mark.parametrize(("tasks", "methods", "updates"), COMPARED)
def test_the_tables_of_differences_are_those_of_the_records(committed, tasks, methods, updates):
    missing = [line for line in compared(committed, tasks, methods, updates) if line not in RESULTS]
    assert not missing, "put these lines in:\n" + "\n".join(missing)


def costs(found):
    """A line for each board: its runs, and minutes of training, of what teachers read, and of teaching them."""
    taught = {p.stem: json.loads(p.read_text()) for p in (ROOT / "results/teachers").glob("*.json")}
    for task in sorted({r.spec["task"] for r in found}):
        own = [r for r in found if r.spec["task"] == task]
        teachers = {str(r.spec["versions"]["teacher"]).removeprefix("taught ") for r in own} & set(taught)
        students = sum(r.cost.train_seconds for r in own)
        asked = sum(r.cost.teacher_seconds or 0 for r in own)
        lessons = sum(taught[key]["cost"]["train_seconds"] for key in teachers)
        minutes = " | ".join(f"{seconds / 60:.0f}" for seconds in (students, asked, lessons))
        yield f"| {task} | {len(own)} | {minutes} |"


def test_what_the_boards_cost_is_told(committed):
    missing = [line for line in costs(committed) if line not in RESULTS]
    assert not missing, "put these lines in:\n" + "\n".join(missing)


def test_the_readme_is_read_in_minutes():
    assert len(README.splitlines()) < 150


def test_committed_results_are_sound(committed):
    """Every number that follows from stored predictions and samples, computed again."""
    seen, problems = check.check(ROOT / "results")
    assert not problems and seen == len(committed)
    for record in committed:
        assert record.provenance.dirty is False and record.provenance.commit


def test_committed_rows_have_three_seeds(committed):
    """But for what all seeds of another run start from, which is made once."""
    starts = {run_id for r in committed for run_id in r.spec["versions"].get("starts", ())}
    own = [r for r in committed if r.run_id not in starts]
    rows = {(r.spec["task"], r.spec["method"], r.spec["student"]): set() for r in own}
    for r in own:
        rows[r.spec["task"], r.spec["method"], r.spec["student"]].add(r.spec["seed"])
    assert {m for task, m, _ in rows if task == "sts"} >= {"disco", "finetune", "kd"}
    assert all(seeds >= {0, 1, 2} for seeds in rows.values()), rows
    boards = {task: {frozenset(rows[key]) for key in rows if key[0] == task} for task in {key[0] for key in rows}}
    assert all(len(seeds) == 1 for seeds in boards.values()), "rows of a board have the same seeds"
    assert sum(seeds == {frozenset(range(5))} for seeds in boards.values()) >= 2


def test_committed_boards_can_tell_students_apart_or_say_that_they_cannot(committed):
    """The teacher 5 points above what reads no input, and a student that learns from labels alone above it too."""
    ranked = set()
    for board in leaderboard.rows(committed):
        verdicts = judge(board, committed, ROOT / "results")
        if verdicts.trivial is None:
            ranked.add(board.task)
            continue
        rows = dict(enumerate(board.rows))
        above = max(row.score.value for row in rows.values() if row.is_teacher) - verdicts.trivial
        plain = [verdicts.interval(at)[0] for at, row in rows.items() if row.method == "finetune"]
        learned = above >= 0.05 and (not plain or max(plain) > verdicts.trivial)
        assert learned or weakness(verdicts).startswith("This board cannot tell"), board.task
    assert ranked <= {"retrieval/small"}, "what a random order of a whole collection scores is not stored"


def test_commands_in_the_readme_are_accepted(tmp_path):
    """Every `bench run` line as a dry run, where its data is packaged; every other command by its help."""
    commands = re.findall(r"^    bench (.+)$", README + RESULTS, re.MULTILINE)
    assert len(commands) >= 5
    for words in (c.split("#")[0].split() for c in commands):
        if words[0] == "run" and "--data-dir" not in words and not any(word.startswith("./") for word in words):
            bench(*words, "--dry-run", cache=tmp_path / "cache", cwd=tmp_path)
        else:
            names = [w for w in words[:2] if not w.startswith("-")]
            command = names if names[0] in ("site", "store") else names[:1]
            options = {w.split("=")[0] for w in words if w.startswith("--")}
            text = bench(*command, "--help", cache=tmp_path / "cache").out
            assert all(option in text for option in options)
