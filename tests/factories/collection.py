"""A small judged collection in BEIR's layout, written where a test wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

Rows = Sequence[tuple[object, ...]]


def write_beir(folder: Path, documents: int = 30, queries: int = 8, title: str = "Title {}", **qrels: Rows) -> Path:
    """Documents d0 ... and queries q0 ..., of which n and n + 35 share all words; judgements by split."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    words = [f"word{n % 7} text{n % 5}" for n in range(max(documents, queries))]
    corpus = [{"_id": f"d{n}", "title": title.format(n), "text": f"{words[n]}."} for n in range(documents)]
    asked = [{"_id": f"q{n}", "text": words[n], "metadata": {}} for n in range(queries)]
    for name, rows in (("corpus", corpus), ("queries", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for split, judged in qrels.items():
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judged)]
        (folder / f"qrels/{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder
