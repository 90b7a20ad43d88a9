"""The layouts of corpora of speech: which files there are, what is said in them, and who says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data.audio import read
from bench.sources import DataError, files_in, filled

RECORDING = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")


class Utterance(NamedTuple):
    """What is said in a file. `text` is as the corpus spells it."""

    path: Path
    text: str
    speaker: str
    number: int = 0  # of the recording, in Free Spoken Digits


def librispeech(folder: Path) -> list[Utterance]:
    """SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac, and SPEAKER-CHAPTER.trans.txt beside them: name and text a line.

    DataError: no transcripts, a line without a name, a file that is not there.
    """
    found = []
    for path in files_in(folder, "*/*/*.trans.txt"):
        for number, line in enumerate(filled(path), 1):
            name, _, text = line.partition(" ")
            sound = next((p for e in ("flac", "wav") if (p := path.with_name(f"{name}.{e}")).is_file()), None)
            if sound is None:
                raise DataError(f"{path}, line {number}: there is no {name}.flac beside it")
            found.append(Utterance(sound, text.strip(), path.parts[-3]))
    if not found:
        raise DataError(f"no transcripts in {folder}: expected SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt")
    return found


def spoken_digits(folder: Path) -> list[Utterance]:
    """{digit}_{speaker}_{number}.wav. DataError: none, or a name of another form."""
    found = []
    for path in files_in(folder, "*.wav"):
        match = RECORDING.fullmatch(path.name)
        if not match:
            raise DataError(f"{path} is not named DIGIT_SPEAKER_INDEX.wav, as in 7_jackson_32.wav")
        found.append(Utterance(path, match[1], match[2], int(match[3])))
    if not found:
        raise DataError(f"no recordings in {folder}: expected files such as 7_jackson_32.wav")
    return found


def strings(utterances: Sequence[Utterance], passes: int, seed: int) -> list[list[int]]:
    """Rows of utterances that are said one after the other by one speaker, 3 to 7 a row: in each pass every recording
    once, in an order of the seed."""
    rng, found = np.random.default_rng(seed), list[list[int]]()
    speakers = sorted({u.speaker for u in utterances})
    for _ in range(passes):
        for speaker in speakers:
            own = rng.permutation([n for n, u in enumerate(utterances) if u.speaker == speaker]).tolist()
            while own:
                size = int(rng.integers(3, 8))
                found.append(own[:size])
                own = own[size:]
    return found


def waves(utterances: Sequence[Utterance], rate: int) -> list[np.ndarray]:
    return [read(u.path, rate) for u in utterances]
