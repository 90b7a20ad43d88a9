"""Small data sets of answer selection in their official layouts."""

from __future__ import annotations

from pathlib import Path

HEADER = "QuestionID\tQuestion\tDocumentID\tDocumentTitle\tSentenceID\tSentence\tLabel\n"
LABELS = {"train": ["01", "00", "10"], "dev": ["01", "100"], "test": ["010", "101", "00", "1"]}


def write_wikiqa(folder: Path) -> Path:
    """Questions of these labels; of test's one has no answer, and one nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, questions in LABELS.items():
        rows = [
            f'q{n}\tWhat {n} ?\tD{n}\tTitle\tD{n}-{s}\tA "{part}" sentence {n} {s}.\t{label}\n'
            for n, labels in enumerate(questions)
            for s, label in enumerate(labels)
        ]
        (folder / f"WikiQA-{part}.tsv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return folder


def pair(kind: str, words: str) -> str:
    """Such as jacana writes it, but for the lines of tags behind the words."""
    return f"<{kind}>\n" + "\t".join(words.split()) + f"\nNN\tNN\n</{kind}>\n"


TREC = {
    "xml": "<QApairs id='1'>\n" + pair("question", "Who & what ?") + pair("positive", "Dow Jones & Co .")
    + pair("negative", 'He said "no" .') + "</QApairs>\n<QApairs id='3'>\n" + pair("question", "Why ?")
    + "</QApairs>\n<QApairs id='2'>\n" + pair("question", "Where ?") + pair("positive", "Here .") + "</QApairs>\n",
    "csv": "qtext,label,atext\r\nWho & what ?,1,Dow Jones & Co .\r\n"
    'Who & what ?,0,"He said ""no"" ."\r\nWhere ?,1,Here .\r\n',
}  # fmt: skip


def write_trecqa(folder: Path, form: str) -> Path:
    """The same three splits as `xml` or `csv`: a question with two sentences, one without any, one with an answer."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev", "test"):
        (folder / f"{part}.{form}").write_text(TREC[form], encoding="utf-8", newline="")
    return folder
