"""Speech recognition: what is said, by CTC, with the word error rate over the corpus.

    librispeech     read English books, 16 kHz: train-clean-100, dev-clean, and test-clean and test-other apart
    digits          Free Spoken Digits, 8 kHz: one digit a recording; test is officially the recordings 0 to 4
    digit-strings   the same recordings, 3 to 7 of one speaker in a row; each recording of test is in one string

Text is lower-cased and nothing else is done to it: what is not among the letters, the apostrophe and the space is an
error of the file. Greedy decoding, no language model. WER is the sum of errors over the sum of words.

Panayotov et al. 2015, "Librispeech", ICASSP; Jakobovski/free-spoken-digit-dataset.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data.audio import Waves
from bench.data.labelled import Labelled, LabelledTask, Splits, scored
from bench.scoring.scores import Ragged
from bench.sources import DataError, find_folder
from bench.task import Card, Predictions, Scores, Track
from bench.tasks._speech_files import Utterance, librispeech, spoken_digits, strings, waves

LETTERS = ("", " ", "'", *string.ascii_lowercase)
DIGITS = ("", *(f"{digit} " for digit in range(10)))  # each a word by itself
METRICS = ("1-wer", "wer", "1-cer", "cer")
HELD_OUT, TEST = 15, 5  # recordings from this number on are dev; those below that one are test
PASSES = {"train": 8, "dev": 4, "test": 1}
SILENCE = 0.1  # seconds between the digits of a string


class Form(NamedTuple):
    """Where the files are, their rate, and what a network says at a frame."""

    folders: tuple[str, ...]
    marker: str
    rate: int
    classes: tuple[str, ...]


FSDD = ("oracle/asr-fsdd/free-spoken-digit-dataset", "asr-fsdd/free-spoken-digit-dataset", "free-spoken-digit-dataset")
FORMS = {
    "librispeech": Form(("LibriSpeech", "."), "dev-clean", 16_000, LETTERS),
    "digits": Form((*FSDD, "."), "recordings", 8_000, DIGITS),
    "digit-strings": Form((*FSDD, "."), "recordings", 8_000, DIGITS),
}


class Speech(LabelledTask):
    """What is said in a recording."""

    title = "Speech recognition"
    purposes = {
        "librispeech": "Write down books that are read aloud", "digits": "Hear which digit is said",
        "digit-strings": "Write down digits that are said in a row",
    }  # fmt: skip
    kind = "ctc"
    reads = "audio"
    datasets = ("librispeech", "digits", "digit-strings")
    main_metric = "1-wer"
    tracks = {
        "lite": Track(
            updates=600, batch_size=16, evaluations=6, teacher="convctc:96x4", student="convctc:16x1", teach=400
        ),
        # LibriSpeech's usual recipes run for about 100 epochs of 960 hours; this is 30 of the 100 hours
        "full": Track(
            updates=27_000, batch_size=32, evaluations=20, teacher="facebook/wav2vec2-base-960h", student="gructc:256x3"
        ),
    }  # fmt: skip

    @property
    def form(self) -> Form:
        return FORMS[self.dataset]

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.form.classes

    @cached_property
    def folder(self) -> Path:
        if self.source.folder is None:
            raise DataError(f"{self.dataset} is read from a folder in its official layout: give it with --data-dir")
        return find_folder(self.source.folder, self.form.folders, self.form.marker, f"{self.dataset} data")

    def read(self) -> Splits:
        return self.books() if self.dataset == "librispeech" else self.digits()

    def books(self) -> Splits:
        test = {name: librispeech(self.folder / name) for name in ("test-clean", "test-other")}
        train, dev = (librispeech(self.folder / name) for name in ("train-clean-100", "dev-clean"))
        return Splits(self.said(train), self.said(dev), {name: self.said(own) for name, own in test.items()})

    def digits(self) -> Splits:
        found = spoken_digits(self.folder / "recordings")
        parts = {
            "train": [u for u in found if TEST <= u.number < HELD_OUT],
            "dev": [u for u in found if u.number >= HELD_OUT],
            "test": [u for u in found if u.number < TEST],
        }
        if missing := [name for name, own in parts.items() if not own]:
            raise DataError(f"{self.folder} has no recordings for {', '.join(missing)}: test are those with an index "
                            f"below {TEST}, dev those from {HELD_OUT} on")  # fmt: skip
        joined = self.joined if self.dataset == "digit-strings" else lambda own, part: self.said(own)
        train, dev, test = (joined(own, name) for name, own in parts.items())
        return Splits(train, dev, {self.dataset: test})

    def said(self, utterances: Sequence[Utterance]) -> Labelled:
        labels = [self.numbers(u) for u in utterances]
        return Labelled(Waves.of(waves(utterances, self.form.rate), self.form.rate), Ragged.of(labels, np.int64))

    def joined(self, utterances: Sequence[Utterance], part: str) -> Labelled:
        """Strings of digits, with a pause between."""
        rate, sounds = self.form.rate, waves(utterances, self.form.rate)
        rows = strings(utterances, PASSES[part], sorted(PASSES).index(part))
        pause = np.zeros(round(SILENCE * rate), np.int16)
        said = [np.concatenate([part for n in row for part in (sounds[n], pause)]) for row in rows]
        labels = [[label for n in row for label in self.numbers(utterances[n])] for row in rows]
        return Labelled(Waves.of(said, rate), Ragged.of(labels, np.int64))

    def numbers(self, utterance: Utterance) -> list[int]:
        """The classes of a text. DataError: a letter that is none of them."""
        known = {name.strip() or name: n for n, name in enumerate(self.classes) if name}
        found = [known.get(letter, -1) for letter in utterance.text.lower()]
        if -1 in found:
            letter = utterance.text[found.index(-1)]
            raise DataError(
                f"{utterance.path}: {letter!r} in its text is not among '{''.join(known)}': normalise the text first"
            )
        return found

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys((name.partition("-")[0] for name in predictions), METRICS))

    def card(self) -> Card:
        books = self.dataset == "librispeech"
        strung = ("digits of one speaker are joined with 0.1 s between them, by a seed that is fixed",)
        return Card(
            title=f"Speech recognition: {self.dataset}",
            source="directory in the official layout",
            revision="as given; its fingerprint is recorded",
            licence="CC BY 4.0" if books else "CC BY-SA 4.0",
            citation="Panayotov et al. Librispeech. ICASSP 2015" if books else "Jakobovski. Free Spoken Digit Dataset",
            splits=BOOKS if books else RECORDINGS,
            sizes=self.sizes(),
            notes=(*NOTES, *(strung if self.dataset == "digit-strings" else ())),
        )


BOOKS = {"train": "train-clean-100", "dev": "dev-clean", "test": "test-clean and test-other, each scored by itself"}
RECORDINGS = {
    "train": f"recordings {TEST} to {HELD_OUT - 1} of each speaker and digit",
    "dev": f"recordings from {HELD_OUT} on, which the official split trains on",
    "test": f"recordings 0 to {TEST - 1}, as official",
}
NOTES = (
    "1-wer is 100 less the word error rate: errors of the whole corpus over its words, greedy decoding without a "
    "language model; text is lower-cased",
)
