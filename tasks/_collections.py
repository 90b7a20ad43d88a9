"""Collections by name: in which files or Hub repositories they lie, how these are read, what a reader must know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.errors import RequestError
from bench.sources import DataError, Source, files_in, filled, find_columns, find_folder, hub_rows, number_in, table
from bench.tasks._judged import Document, Grades, Read, beir, folded, once, tagged, trec_grades

NPL = "Vaswani, Cameron. The National Physical Laboratory experiments. 1970"
MARCO = "Bajaj et al. 2016, MS MARCO"
RESEARCH = "non-commercial research (unverified)"
TREC = {
    "2019": "Craswell et al. 2020, TREC 2019 Deep Learning",
    "2020": "Craswell et al. 2021, TREC 2020 Deep Learning",
}


class Pin(NamedTuple):
    """BeIR's two repositories of a data set on the Hub, or mteb's one, which is named twice; the splits it judges."""

    corpus: str
    revision: str
    judgements: str
    judgements_revision: str
    splits: Sequence[str]


@dataclass(frozen=True)
class Form:
    """Where a data set lies, a file that must be there, how it is read. `level`: the grade from which on a document is
    relevant to metrics that know no grades."""

    folders: Sequence[str]
    marker: str
    read: Callable[[Path], Read]
    work: str
    licence: str
    pin: Pin | None = None
    level: int = 1

    def place(self, source: Source, name: str) -> Path | None:
        """The folder; None: the Hub. RequestError: there is neither."""
        if source.folder is not None:
            return find_folder(source.folder, self.folders, self.marker, f"collection for retrieval/{name}")
        if source.kind == "hub" and self.pin:
            return None
        raise RequestError(f"retrieval/{name} is read from a folder: give one with --data-dir")

    def open(self, source: Source, name: str) -> Read:
        folder = self.place(source, name)
        return of_hub(self.pin) if folder is None and self.pin else self.read(folder or Path())


def cacm(folder: Path) -> Read:
    """Anserini's: docs/CACM-*.html, topics.cacm.txt, qrels.cacm.txt, whose names are not padded."""
    files = files_in(folder / "docs", "CACM-*.html")
    documents = {path.stem: cacm_document("\n".join(filled(path))) for path in files}
    queries = {name: folded(text) for name, text in once(tagged(folder / "topics.cacm.txt"), "query")}
    grades = trec_grades(folder / "qrels.cacm.txt", lambda name: "CACM-" + name.removeprefix("CACM-").zfill(4))
    return Read(documents, queries, {"test": grades})


def cacm_document(html: str) -> Document:
    """Title, perhaps an abstract, the date of the issue, then authors, keywords and codes; its lists of citations
    (three numbers a line) are no text."""
    lines = (line for line in re.sub(r"<[^>]+>", "", html).split("\n") if not re.fullmatch(r"(\d+\s+){2}\d+\s*", line))
    title, *blocks = (folded(block) for block in re.split(r"\n\s*\n", "\n".join(lines).strip()))
    issue = next((at for at, block in enumerate(blocks) if block.startswith("CACM ")), 0)
    return Document(title, " ".join(blocks[:issue]), " ".join(blocks[issue:]).strip())


def vaswani(folder: Path) -> Read:
    """Terrier's: corpus/doc-text.trec, where two spaces end a title, query-text.trec, qrels."""
    documents = {}
    for name, text in once(tagged(folder / "corpus/doc-text.trec"), "document"):
        title, _, rest = text.strip().partition("  ")
        documents[name] = Document(folded(title), folded(rest))
    queries = {name: folded(text) for name, text in once(tagged(folder / "query-text.trec"), "query")}
    return Read(documents, queries, {"test": trec_grades(folder / "qrels", str)})


def msmarco(queries: str, grades: str) -> Callable[[Path], Read]:
    """The official files: collection.tsv (passage, text) and these of test. For training: queries.train.tsv with
    qrels.train.tsv, or the positives of qidpidtriples.train*.tsv; without them queries.dev.small.tsv asks, unjudged."""

    def read(folder: Path) -> Read:
        documents = {name: Document("", text) for name, text in named(folder / "collection.tsv", "passage")}
        asked = dict(named(folder / queries, "query"))
        judgements = {"test": trec_grades(folder / grades, str)}
        if (folder / "queries.train.tsv").exists():
            asked |= named(folder / "queries.train.tsv", "query")
            judgements["train"] = training_pairs(folder)
        elif queries == "queries.dev.small.tsv":
            return Read(documents, asked, judgements)
        small = folder / "queries.dev.small.tsv"
        return Read(documents, asked, judgements, dict(named(small, "query")) if small.exists() else {})

    return read


def named(path: Path, what: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each line. DataError: a name comes twice."""
    return once(((name, text.strip()) for _, (name, text) in table(path, (2,))), f"{path}: {what}")


def training_pairs(folder: Path) -> Grades:
    """Of qrels.train.tsv, else of triples of names (query, positive, negative), each pair once."""
    if (folder / "qrels.train.tsv").exists():
        return trec_grades(folder / "qrels.train.tsv", str)
    files = sorted(folder.glob("qidpidtriples.train*.tsv"))
    if not files:
        raise DataError(f"{folder} has queries.train.tsv, and neither qrels.train.tsv nor qidpidtriples.train*.tsv")
    pairs = {(query, positive): place for place, (query, positive, _) in table(files[0], (3,))}
    return [(place, query, document, 1.0) for (query, document), place in pairs.items()]


def of_hub(pin: Pin) -> Read:
    """The configurations `corpus` and `queries`, and the judgements of every split."""
    corpus, queries = (
        hub_rows(pin.corpus, pin.revision, config, config) for config in ("corpus", "queries")
    )  # fmt: skip
    documents = once(
        ((str(row["_id"]), Document((row.get("title") or "").strip(), row["text"].strip())) for row in corpus),
        f"{pin.corpus}: document",
    )
    asked = once(((str(row["_id"]), row["text"].strip()) for row in queries), f"{pin.corpus}: query")
    return Read(dict(documents), dict(asked), {split: hub_grades(pin, split) for split in pin.splits})


def hub_grades(pin: Pin, split: str) -> Grades:
    rows, names = hub_rows(pin.judgements, pin.judgements_revision, split), ("query-id", "corpus-id", "score")
    find_columns(names, rows.column_names, pin.judgements)
    for number, (query, document, grade) in enumerate(zip(*(rows[name][:] for name in names), strict=True), 1):
        place = f"{pin.judgements} {split}, row {number}"
        yield place, str(query), str(document), number_in(grade, place)


def of_beir(name: str, work: str, licence: str, *folders: str, pin: Pin | None = None) -> Form:
    return Form((*folders, f"retrieval/{name}", f"beir/{name}", name, "."), "corpus.jsonl", beir, work, licence, pin)


def of_beir_hub(name: str, revision: str, judgements: str, *splits: str) -> Pin:
    return Pin(f"BeIR/{name}", revision, f"BeIR/{name}-qrels", judgements, splits)


def of_mteb(name: str, revision: str, *splits: str) -> Pin:
    return Pin(f"mteb/{name}", revision, f"mteb/{name}", revision, splits)


def of_marco(queries: str, grades: str, work: str = "", level: int = 1) -> Form:
    folders = ("retrieval/msmarco-dl19-mini/msmarco", "retrieval/msmarco", "msmarco", ".")
    read, cited = msmarco(queries, grades), "; ".join(filter(None, (MARCO, work)))
    return Form(folders, "collection.tsv", read, cited, RESEARCH, level=level)


FORMS: Mapping[str, Form] = {
    "cacm": Form(
        ("retrieval/cacm", "cacm", "."), "topics.cacm.txt", cacm, "Fox. CACM collection. SMART, Cornell 1983",
        "freely distributed (unverified)",
    ),
    "vaswani": Form(
        ("retrieval/vaswani_npl", "vaswani_npl", "."), "query-text.trec", vaswani, NPL,
        "freely distributed (unverified)",
    ),
    "msmarco-dev": of_marco("queries.dev.small.tsv", "qrels.dev.small.tsv"),
    "trec-dl-2019": of_marco("msmarco-test2019-queries.tsv", "2019qrels-pass.txt", TREC["2019"], 2),
    "trec-dl-2020": of_marco("msmarco-test2020-queries.tsv", "2020qrels-pass.txt", TREC["2020"], 2),
    "msmarco": of_beir(
        "msmarco", f"{MARCO}; {TREC['2019']} (test)", RESEARCH, "retrieval/msmarco-dl19-mini/beir/msmarco",
        pin=of_beir_hub("msmarco", "a918e0d11a77ed33f42f29d98340b655593b96ad",
                        "253fbf8a3f8d4a0932b63882b5162bedc84779f5", "train", "validation", "test"),
    ),
    "dbpedia-entity": of_beir(
        "dbpedia-entity", "Hasibi et al. DBpedia-Entity v2. SIGIR 2017", "CC BY-SA 3.0 (unverified)",
        "retrieval/dbpedia-entity-mini/dbpedia-entity",
        pin=of_mteb("dbpedia", "c0f706b76e590d620bd6618b3ca8efdd34e2d659", "dev", "test"),
    ),
    "nfcorpus": of_beir(
        "nfcorpus", "Boteva et al. NFCorpus. ECIR 2016", "research use (unverified)",
        pin=of_beir_hub("nfcorpus", "b5026a0e96e8a7ac4f95f482a596389289d46269",
                        "a451b3b26d3ae1358f259c1a3a4dd61fcea35a65", "train", "validation", "test"),
    ),
    "scifact": of_beir(
        "scifact", "Wadden et al. SciFact. EMNLP 2020", "CC BY-NC 2.0 (unverified)",
        pin=of_beir_hub("scifact", "b3b5335604bf5ee3c4447671af975ea25143d4f5",
                        "2938d17dc3b09882fdb8c12bbbe2e2dc0e75a029", "train", "test"),
    ),
    "fiqa": of_beir(
        "fiqa", "Maia et al. FiQA 2018. WWW 2018", "not stated (unverified)",
        pin=of_mteb("fiqa", "27a168819829fe9bcd655c2df245fb19452e8e06", "train", "dev", "test"),
    ),
    "trec-covid": of_beir(
        "trec-covid", "Voorhees et al. TREC-COVID. SIGIR Forum 2021", "CORD-19's own (unverified)",
        pin=of_mteb("trec-covid", "bb9466bac8153a0349341eb1b22e06409e78ef4e", "test"),
    ),
    "scidocs": of_beir(
        "scidocs", "Cohan et al. SPECTER. ACL 2020", "CC BY 4.0 (unverified)",
        pin=of_mteb("scidocs", "f8c2fcf00f625baaa80f62ec5bd9e1fff3b8ae88", "test"),
    ),
}  # fmt: skip
SMALL = ("trec-dl-2019", "dbpedia-entity", "cacm", "vaswani")
