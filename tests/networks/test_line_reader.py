"""The packaged recogniser of text lines as a teacher: its classes are the task's, and it reads words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.images import Images
from bench.errors import RequestError
from bench.kinds.ctc import Ctc
from bench.measuring.counting import parameters
from bench.networks import line_reader
from bench.networks.fingerprints import fingerprint, settings
from bench.sources import package_file
from bench.tasks.scene_text import SceneText

CLASSES = SceneText.classes
WANT = frozenset({"logits"})


@pytest.fixture(scope="module")
def reader() -> line_reader.LineReader:
    pytest.importorskip("rapidocr", reason="the extra [ocr] is not installed")
    path = package_file("rapidocr", "models/PP-OCRv6_rec_small.onnx")
    return line_reader.load(path, Ctc(len(CLASSES), CLASSES))


def drawn(word: str) -> np.ndarray:
    """(3, 32, 100) black letters on white."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (100, 32), "white")
    ImageDraw.Draw(picture).text((8, 2), word, "black", ImageFont.load_default(24))
    return np.asarray(picture).transpose(2, 0, 1).copy()


def test_it_reads_words_in_any_case_and_leaves_punctuation_out(reader: line_reader.LineReader) -> None:
    words = ("Bench", "42KD", "teach!")
    signals = reader(reader.encode(Images(np.stack([drawn(w) for w in words]))).batch(np.arange(3)), WANT)
    found = Ctc(len(CLASSES), CLASSES).decode(signals)
    assert ["".join(CLASSES[n] for n in row) for row in found] == ["bench", "42kd", "teach"]
    torch.testing.assert_close(signals.logits.exp().sum(-1), torch.ones(3, signals.logits.shape[1]))


def test_its_probabilities_are_sums_of_the_models(reader: line_reader.LineReader) -> None:
    """Scaled by Pillow's own bilinear filter, which antialiases nothing where it enlarges; characters by hand."""
    from PIL import Image

    picture = drawn("Ab-1")
    large = np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).resize((150, 48), Image.Resampling.BILINEAR))
    given = (large[..., ::-1].transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)
    whole = reader._model(given)[0]
    known = ["", *reader._model.characters, " "]
    own = reader(reader.encode(Images(picture[None])).batch(np.arange(1)), WANT).logits[0].exp().numpy()
    for at, name in ((11, "a"), (12, "b"), (2, "1")):
        assert CLASSES[at] == name
        expected = whole[:, [n for n, character in enumerate(known) if character in (name, name.upper())]].sum(1)
        np.testing.assert_allclose(own[:, at], expected, atol=0.02)
    letters = [n for n, character in enumerate(known) if character and character.lower() in CLASSES]
    np.testing.assert_allclose(own[:, 0], 1 - whole[:, letters].sum(1), atol=0.02)


def test_its_weights_count_and_its_file_is_its_key(reader: line_reader.LineReader) -> None:
    assert 5_000_000 < parameters(reader)["total"] < 5_300_000 and not reader.counted
    key = settings(reader)
    reader.file, kept = "another", reader.file
    try:
        assert settings(reader) != key and fingerprint(reader)
    finally:
        reader.file = kept


def test_what_is_no_such_model_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [ocr] is not installed")
    path = tmp_path / "x.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(RequestError, match=r"x\.onnx is no recogniser of text lines"):
        line_reader.load(path, Ctc(len(CLASSES), CLASSES))
    with pytest.raises(RequestError, match="does not know 'ж', which the task's texts hold"):
        line_reader.columns(["a", "b"], Ctc(3, ("", "a", "ж")), path)
