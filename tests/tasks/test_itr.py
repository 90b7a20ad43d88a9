"""Image-text retrieval: official files, layouts, what is left out, damage in one sentence, and runs of both sorts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.pairs import Pairs
from bench.plugins.registry import find, load
from bench.records.check import check
from bench.sources import DataError, Source
from bench.tasks import _captions
from bench.tasks.itr import within
from tests.factories.captions import captions_of, entries, write_flickr, write_karpathy, write_table
from tests.factories.commands import bench, refused, runs_of
from tests.factories.data import real_data
from tests.factories.runs import option

Itr = load(find("task", "itr"))
TOKENS = "Flickr8k_text/Flickr8k.token.txt"


def opened(folder: Path | None, dataset: str = "flickr8k", track: str = "lite"):
    task = Itr(Source("directory", folder) if folder else Source("packaged"), track, dataset)
    task.name = f"itr/{dataset}"
    task.unseal()
    return task


def test_official_files_have_the_manifest_s_counts():
    folder = real_data("itr") / "itr/flickr8k-1000"
    texts = folder / "Flickr8k_text"
    tokens, table = _captions.tokens(texts / "Flickr8k.token.txt"), _captions.kaggle(folder / "captions.txt")
    assert [len(tokens), sum(map(len, tokens.values()))] == [1000, 5000] == [len(table), sum(map(len, table.values()))]
    listed = _captions.split_lists([texts])
    assert {split: len(names) for split, names in listed.items()} == {"train": 6000, "dev": 1000, "test": 1000}
    task = opened(folder)
    assert {s: task.card().sizes[s] for s in ("train", "dev", "test")} == {"train": 753, "dev": 113, "test": 125}
    assert task.album.counts["images left out, in no split"] == 9
    assert task.album.counts["listed images left out, with neither file nor caption"] == 7009
    own = sum(len(set(tokens[name])) for name in listed["test"] if name in tokens)
    assert len(task.inputs("test")) == 125 * own


def test_every_layout_gives_the_same(tmp_path):
    """Karpathy's json, the token list and the table, each alone."""
    listed = opened(write_flickr(tmp_path / "a"))
    table = write_table(write_flickr(tmp_path / "b"))
    (table / TOKENS).unlink()
    json_ = write_karpathy(write_flickr(tmp_path / "c"))
    (json_ / TOKENS).unlink()
    others = [opened(table), opened(json_), opened(write_table(write_karpathy(write_flickr(tmp_path / "d"))))]
    assert {task.identity() for task in others} == {listed.identity()}
    captions = {"train captions": 72, "dev captions": 18, "test captions": 24}
    assert listed.card().sizes == {"train": 24, "dev": 6, "test": 8} | captions


def test_groups_are_the_own_caption_and_others_of_other_images(tmp_path):
    task = opened(write_flickr(tmp_path))
    found, few = task.examples("candidates"), task.examples("supervised")
    assert found.groups.shape == (72, 64) and few.groups.shape == (72, 4) and isinstance(found.inputs, Pairs)
    images, texts = found.inputs.sides(found.groups)
    assert (images == images[:, :1]).all() and all(len(set(row)) == 64 for row in texts.tolist())
    owner = np.repeat(np.arange(24), 3)
    assert (owner[texts] == images).sum() == 72 and (owner[texts[:, 0]] == images[:, 0]).all()
    assert found.labels.sum() == 72 and (found.labels[:, 0] == 1).all()
    assert (few.groups == found.groups[:, :4]).all()


def test_images_are_what_files_hold(tmp_path):
    """The middle square of 40 x 30 pixels: the ground in the corner, the square in the middle."""
    task = opened(write_flickr(tmp_path))
    pairs = task.inputs("test")
    image, text = pairs[0]
    assert image.shape == (3, 48, 48) and text == "a yellow square on red ground"
    assert image[:, 24, 24].tolist() == [240, 220, 40] and image[:, 1, 24].tolist() == [220, 30, 30]


def test_perfect_random_and_constant_scores(tmp_path):
    task = opened(write_flickr(tmp_path))
    own = np.repeat(np.arange(8), 3) == np.arange(8)[:, None]
    scores = {name: task.score(task.predict(np.asarray(s, np.float32).reshape(-1, 1), "test"))["flickr8k"]
              for name, s in {"perfect": own, "constant": np.ones((8, 24))}.items()}  # fmt: skip
    assert scores["perfect"]["rsum"] == 6
    assert scores["constant"] == {"tr@1": 0, "tr@5": 0, "tr@10": 0, "ir@1": 0, "ir@5": 0, "ir@10": 1, "rsum": 1}


def test_a_caption_that_comes_twice_counts_once(tmp_path):
    folder = write_flickr(tmp_path)
    with (folder / TOKENS).open("a") as file:
        file.write(f"test0.png#3\t{captions_of('yellow', 'red')[0]} \n")
    task = opened(folder)
    assert len(task.album.splits["test"][0].captions) == 3
    assert task.album.counts["captions left out, as their image has them already"] == 1


def test_images_without_captions_and_captions_in_no_split_are_left_out_and_counted(tmp_path):
    folder = write_flickr(tmp_path)
    lines = (folder / TOKENS).read_text().splitlines()
    rest = [line for line in lines if not line.startswith("train0.png#")]
    (folder / TOKENS).write_text("\n".join([*rest, "elsewhere.png#0\tsomething"]) + "\n")
    task = opened(folder)
    assert task.card().sizes["train"] == 23
    assert (
        task.album.counts["images left out, without a caption"]
        == 1
        == task.album.counts["images left out, in no split"]
    )


def missing(folder: Path) -> None:
    (folder / "Flicker8k_Dataset/test1.png").unlink()


def truncated(folder: Path) -> None:
    path = folder / "Flicker8k_Dataset/test1.png"
    path.write_bytes(path.read_bytes()[:60])


def leaving(folder: Path) -> None:
    (folder / TOKENS).write_text("../secret.png#0\ta dog\n")


def disagreeing(folder: Path) -> None:
    write_table(folder)
    path = folder / "captions.txt"
    path.write_text(path.read_text().replace("a red square on green ground", "a cat"))


def twice(folder: Path) -> None:
    with (folder / "Flickr8k_text/Flickr_8k.devImages.txt").open("a") as file:
        file.write("test0.png\n")


def nameless(folder: Path) -> None:
    (folder / TOKENS).write_text("train0.png\ta dog\n")


def listless(folder: Path) -> None:
    (folder / "Flickr8k_text/Flickr_8k.devImages.txt").unlink()


def shapeless(folder: Path) -> None:
    (folder / "dataset_flickr8k.json").write_text('{"images": [{"filename": "a.png"}]}')


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (missing, r"the captions name test1\.png, and .* has no such image"),
        (truncated, r"test1\.png cannot be read as an image"),
        (leaving, r"the name '\.\./secret\.png' leaves the folder of images"),
        (disagreeing, r"Flickr8k\.token\.txt and .*captions\.txt disagree on the captions of train0\.png"),
        (twice, r"test0\.png is in two of the lists"),
        (nameless, r"line 1: 'train0\.png' is not an image's name, # and a number"),
        (listless, r"no list of the dev images"),
        (shapeless, r"not in Karpathy's form"),
    ],
)
def test_damage_is_one_sentence(tmp_path, damage, says):
    folder = write_flickr(tmp_path)
    damage(folder)
    with pytest.raises(DataError, match=says) as caught:
        opened(folder).inputs("test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["P", "CMYK", "L", "RGBA", "I;16"])
def test_other_kinds_of_pictures_become_rgb(tmp_path, mode):
    """Palettes and CMYK as Pillow converts them; what is transparent lies on white."""
    folder = write_flickr(tmp_path)
    path = folder / "Flicker8k_Dataset/test0.png"
    clear, own = Image.new("RGBA", (40, 30), (0, 0, 0, 0)), Image.open(path)
    given = clear if mode == "RGBA" else own.quantize(8) if mode == "P" else own.convert(mode)
    given.save(path, format="TIFF" if mode == "CMYK" else "PNG")
    image = opened(folder).inputs("test")[0][0]
    expected = {"P": [240, 220, 40], "CMYK": [240, 220, 40], "L": [205] * 3, "RGBA": [255] * 3}.get(mode)
    assert image.shape == (3, 48, 48)
    if expected:
        assert np.abs(image[:, 24, 24].astype(int) - expected).max() <= 2


def test_coco_1k_is_ranked_in_folds():
    from bench.tasks._pictures import Picture

    folds = [[Picture(f"{n}", ("a", "b")) for n in range(3)], [Picture("x", ("c",)), Picture("y", ("d", "e"))]]
    found = within(folds)
    assert len(found) == 3 * 6 + 2 * 3 and found[:6].tolist() == [[0, t] for t in range(6)]
    assert found[18:].tolist() == [[i, t] for i in (3, 4) for t in (6, 7, 8)]


def test_the_hub_is_not_read():
    with pytest.raises(DataError, match="give its files with --data-dir"):
        Itr(Source("hub"), "full", "flickr30k").identity()


def test_openmoji_is_a_set_of_its_own():
    task = opened(None, "openmoji", "mini")
    sizes = task.card().sizes
    assert sizes["train"] + sizes["dev"] + sizes["test"] == task.album.counts["drawings with a name"] > 1400
    dog = next(p for ps in task.album.splits.values() for p in ps if p.captions == ("dog face",))
    image = task.pixels([dog]).pixels[0]
    assert image[:, 0, 0].tolist() == [255] * 3 and image.std() > 40


def test_runs_of_towers_and_of_a_cross_encoder(tmp_path):
    """A user's commands: methods that fit, a cross encoder that learns from towers, and what searches take."""
    write_flickr(tmp_path / "data/flickr8k")
    place = ("--task", "itr/flickr8k", "--track", "lite", "--data-dir", tmp_path / "data", "--results", tmp_path / "r")
    teacher = ("--teacher", "towers:8x16", "--json")
    small = option("set", "updates=4", "teach=8", "batch_size=8", "evaluations=1")
    two, one = option("method", "finetune", "kd"), ("--method", "dcd", "--set", "hard=3")
    first = bench("run", *place, *two, "--student", "towers:8x8", *teacher, *small, cache=tmp_path / "c")
    second = bench("run", *place, *one, "--student", "vilt:1x16x2", *teacher, *small, cache=tmp_path / "c")
    records = [json.loads(Path(run["record"]).read_text()) for run in (*runs_of(first), *runs_of(second))]
    assert check(tmp_path / "r") == (3, [])
    towers, cross = records[0]["efficiency"], records[-1]["efficiency"]
    assert towers["index_bytes"] == 1000 * 8 * 4 and "index_bytes" not in cross
    latency = {name: e["latency"] for name, e in (("towers", towers), ("cross", cross))}
    point = "single_search_end_to_end"
    for end in ("", "_5000"):
        assert latency["cross"][point + end]["p50_ms"] > 10 * latency["towers"][point + end]["p50_ms"]
    assert records[-1]["cost"]["teacher_forwards_reused"] >= 72 * 64


def test_what_does_not_fit_is_refused(tmp_path):
    write_flickr(tmp_path / "flickr8k")
    place = ("--task", "itr/flickr8k", "--track", "lite", "--data-dir", tmp_path, "--teacher", "towers:8x16")
    ask = lambda *more: bench("run", *place, *more, check=2, cache=tmp_path / "c")  # noqa: E731
    refused(ask("--method", "kd", "--student", "resnet:8"), "reads image")
    refused(ask("--method", "kd", "--student", "towers:9x8"), "not a size of")
    refused(ask("--method", "margin_mse", "--student", "towers:8x8"), "rank")


def test_entries_of_the_factory_are_all_different():
    assert len({(one, two) for _, _, one, two in entries()}) == 38
