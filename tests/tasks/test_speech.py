"""Speech: every official recording, the layouts, files that are wrong, and a run as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from bench.data.audio import Waves
from bench.errors import RequestError
from bench.plugins.registry import find, load
from bench.records import disk
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from tests.factories.commands import bench, refused
from tests.factories.data import real_data

Speech = load(find("task", "speech"))


def opened(folder: Path, dataset: str):
    task = Speech(Source("directory", folder), "lite", dataset)
    task.unseal()
    return task


def tone(path: Path, seconds: float = 0.3, rate: int = 8000, pitch: float = 440.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * rate)) / rate
    wavfile.write(path, rate, (8000 * np.sin(2 * np.pi * pitch * times)).astype(np.int16))
    return path


def digits(folder: Path) -> Path:
    """Two digits of one speaker, ten recordings to train on, and one each for dev and test."""
    for digit in (0, 1):
        for number in (0, *range(5, 10), 16):
            tone(folder / f"recordings/{digit}_ann_{number}.wav", 0.3 + 0.01 * number, pitch=300 + 900 * digit)
    return folder


def books(folder: Path, text: str = "A LITTLE 'TIS") -> Path:
    """LibriSpeech's layout with one utterance a set; FLAC where libsndfile is there, else WAV."""
    for name in ("train-clean-100", "dev-clean", "test-clean", "test-other"):
        chapter = folder / name / "84/121123"
        tone(chapter / "84-121123-0000.wav", 0.5, 16_000)
        (chapter / "84-121123.trans.txt").write_text(f"84-121123-0000 {text}\n")
    return folder


def test_official_recordings() -> None:
    task = opened(real_data("oracle"), "digits")
    assert (task.sizes()["test"], task.sizes()["train"] + task.sizes()["dev"]) == (300, 780)
    assert all(len(row) == 1 for row in task.splits.test["digits"].labels)
    strings = opened(real_data("oracle"), "digit-strings").splits.test["digit-strings"]
    assert strings.labels.lengths.sum() == 300  # each recording once
    assert np.bincount(strings.labels.flat - 1).tolist() == [30] * 10


def test_strings_are_of_one_speaker_and_the_same_every_time(tmp_path: Path) -> None:
    one, two = (opened(digits(tmp_path), "digit-strings") for _ in range(2))
    assert one.identity() == two.identity() != opened(tmp_path, "digits").identity()
    assert one.splits.test["digit-strings"].labels.lengths.tolist() == [2]
    assert len(one.splits.train) > 8 and one.splits.train.labels.lengths.max() <= 7


def test_books(tmp_path: Path) -> None:
    task = opened(books(tmp_path), "librispeech")
    goal, gold = task.goal, task.splits.test["test-other"].labels
    assert [row.tolist() for row in goal.words(gold)] == [["a", "little", "'tis"]]
    found = task.predict(Ragged.of([gold.flat, gold.flat[:1]], np.int64), "test")
    scores = task.score(found)
    assert scores["test-clean"]["wer"] == 0 and scores["test-other"]["wer"] == pytest.approx(2 / 3)
    assert scores["test-other"]["1-wer"] == pytest.approx(1 / 3)


def test_flac_is_read_as_the_wave_it_holds(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    expected = opened(books(tmp_path), "librispeech").identity()
    for path in tmp_path.rglob("*.wav"):
        rate, found = wavfile.read(path)
        soundfile.write(path.with_suffix(".flac"), found, rate)
        path.unlink()
    assert opened(tmp_path, "librispeech").identity() == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: tone(p, rate=44_100), "44100 samples a second, and the data set has 8000"),
        (lambda p: tone(p, seconds=0), "its length is 0"),
        (lambda p: wavfile.write(p, 8000, np.zeros((9, 2), np.int16)), "2 channels, expected one"),
        (lambda p: wavfile.write(p, 8000, np.zeros(9, np.float32)), "holds float32 samples, expected 16 bits"),
        (lambda p: p.write_bytes(b"no sound"), "cannot be read as WAV"),
        (lambda p: p.rename(p.with_name("seven.wav")), "is not named DIGIT_SPEAKER_INDEX"),
        (lambda p: p.unlink(), "no recordings for test"),
    ],
)
def test_wrong_recordings(wrong, message: str, tmp_path: Path) -> None:
    folder = digits(tmp_path)
    (folder / "recordings/1_ann_0.wav").unlink()
    wrong(folder / "recordings/0_ann_0.wav")
    with pytest.raises(DataError, match=message):
        _ = opened(folder, "digits").splits


def test_wrong_transcripts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'2' in its text is not among"):
        _ = opened(books(tmp_path, "ROOM 2"), "librispeech").splits
    assert not len(opened(books(tmp_path, ""), "librispeech").splits.train.labels.flat)  # silence is a text
    next(tmp_path.rglob("*0000.wav")).unlink()
    with pytest.raises(DataError, match=r"there is no 84-121123-0000\.flac beside it"):
        _ = opened(tmp_path, "librispeech").splits


def test_waves_are_a_pool() -> None:
    waves = Waves.of([np.arange(3, dtype=np.int16), np.arange(5, dtype=np.int16)], 8000)
    assert waves.sizes().tolist() == [3, 5] and waves[1].tolist() == [0, 1, 2, 3, 4]
    assert [w.tolist() for w in waves[1:]] == [[0, 1, 2, 3, 4]] and len(waves + waves) == 4
    assert waves.digest != Waves(waves.samples, 16_000).digest != waves.take([1, 0]).digest


def test_sound_of_another_rate_is_refused(tmp_path: Path) -> None:
    task = opened(digits(tmp_path), "digits")
    network = load(find("student", "convctc"))(None).build("4x1", task, None)
    with pytest.raises(RequestError, match="hears 8000 samples a second, and these inputs have 16000"):
        network.encode(Waves.of([np.zeros(900, np.int16)], 16_000))
    with pytest.raises(RequestError, match="hears sound"):
        network.encode(["text"])


def test_a_run_of_three_methods(tmp_path: Path) -> None:
    """The oracle teaches beside the run's teacher, leaves a record of its own, and is no student."""
    folder, results, cache = digits(tmp_path / "data"), tmp_path / "results", tmp_path / "store"
    settings = [w for s in ("updates=4", "teach=4", "batch_size=4", "evaluations=1") for w in ("--set", s)]
    common = ["--task", "speech/digit-strings", "--track", "lite", "--data-dir", folder, "--teacher", "convctc:8x1",
              "--results", results, *settings]  # fmt: skip
    bench("run", *common, "--method", "kd", "--method", "oracle", "--set", "oracle.oracle=oracle_speech:8x1",
          "--student", "gructc:4x1", cache=cache)  # fmt: skip
    assert {record.spec["method"] for record in disk.read_all(results)} == {"kd", "oracle"}
    taught = {t.model: t for t in map(disk.read_teacher, (results / "teachers").glob("*.json"))}
    assert taught["oracle_speech:8x1"].told and not taught["convctc:8x1"].told
    assert set(taught["oracle_speech:8x1"].diagnosis) == {"emit_rate", "ctc", "shuffled_ctc"}
    bench("check", results, cache=cache)
    refused(bench("run", *common, "--method", "kd", "--student", "oracle_speech", cache=cache, check=2),
            "told the answers", "no student")  # fmt: skip
