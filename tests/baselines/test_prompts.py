"""Prompt tuning, prompt transfer and PANDA: losses by hand, what is taken over, and whole runs on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bench.baselines._transferability import transferability
from bench.baselines.panda import Panda
from bench.baselines.prompt_transfer import PromptTransfer
from bench.baselines.prompt_tuning import PromptTuning
from bench.cli.forms import FORMS, problems
from bench.inputs import Examples
from bench.kinds.classify import Classify
from bench.method import Run
from bench.networks.fingerprints import fingerprint
from bench.networks.transformer import load
from bench.plugins import registry
from bench.signals import Signals
from bench.students.prompt import PromptNetwork
from bench.task import Track
from tests.baselines.tools import B, D, Data, T, Z, batch, ce, check, make, tensor, total
from tests.factories.commands import bench, refused, runs_of
from tests.factories.data import real_data
from tests.factories.runs import option

TOY = Path(__file__).parents[1] / "factories" / "toy.py"
CARDS = ("prompt_tuning", "prompt_transfer", "panda")


def fixed(**settings):
    return make(Panda, **{"beta": 0.7, **settings})


@pytest.mark.parametrize("method", [PromptTuning, PromptTransfer])
def test_prompt_tuning_and_transfer_learn_from_labels_alone(method):
    made = make(method)
    check(lambda z: total(made.supervised(Signals(logits=z), Signals(), batch())), Z, ce)
    (stage,) = made.stages()
    assert set(stage.roles) == {"student"}


@pytest.mark.parametrize(
    ("settings", "factor"),
    [({}, 0.1 * 0.7), ({"weight": 2.0}, 2 * 0.7), ({"beta": 0.0}, 0.0), ({"replicate": True}, 0.1 * 0.7 / B)],
)
def test_panda_is_cross_entropy_and_the_mean_squared_error_of_logits(settings, factor):
    made = fixed(**settings)

    def by_hand(z):
        return ce(z) + factor * ((z - T) ** 2).sum() / z.size

    check(lambda z: total(made.loss(Signals(logits=z), Signals(logits=tensor(T)), batch())), Z, by_hand)


def test_no_gradient_goes_to_pandas_teacher_and_much_of_beta_leads_to_it():
    made, theirs = fixed(beta=1e4), tensor(T)
    z = tensor(Z)
    optimiser = torch.optim.SGD([z], 1e-3)
    for _ in range(200):
        optimiser.zero_grad()
        total(made.loss(Signals(logits=z), Signals(logits=theirs), batch())).backward()
        optimiser.step()
    assert theirs.grad is None
    assert np.abs(z.detach().numpy() - T).max() < 0.02 < np.abs(Z - T).max()


def test_replicate_has_the_official_beta_and_the_teachers_dropout():
    made = make(Panda, replicate=True)
    (stage,) = made.stages()
    assert made.beta == 0.1 and stage.roles["teacher"].noisy
    assert [w.name for w in Panda.wanted(made.settings)] == ["transferred"]


def networks(folder, scales=(0.5, 0.5)):
    made = []
    for seed, scale in enumerate(scales):
        torch.manual_seed(seed)
        made.append(PromptNetwork(load(folder), 4, True, scale, Classify(2)).eval())
    return made


def on(inputs):
    task = Data()
    task.examples = lambda purpose: Examples(inputs, np.arange(len(inputs))[:, None])
    return Run(task, Track(updates=20, batch_size=B, max_length=16), D, D, 0)


def test_transferability_is_a_cosine_of_what_prompts_change_and_of_their_means(teacher):
    texts = [f"{'word ' * (n % 5)}number {n}" for n in range(21)]  # more than one batch, of unlike lengths
    one, two = networks(teacher)
    found = transferability(on(texts), one, two)
    shifts = []
    for network in (one, two):
        rows = []
        for text in texts:
            alone = {k: torch.as_tensor(v) for k, v in network.encode([text]).batch(np.array([[0]])).items()}
            with torch.no_grad():
                rows.append((network(alone, frozenset()).embedding - network.bare(alone)).numpy()[0])
        shifts.append(np.mean(rows, 0))
    means = [n.prompt.detach().numpy().mean(-2).ravel() for n in (one, two)]
    for name, (a, b) in {"task": shifts, "mean": means}.items():
        assert found[name] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    assert transferability(on(texts), one, one) == pytest.approx({"task": 1, "mean": 1}, abs=1e-6)


def test_pandas_beta_is_the_predicted_transferability_between_0_and_1(teacher):
    one, two = networks(teacher)
    against = networks(teacher, (0.5, 0.5))[0]
    against.prompt.data = -one.prompt.data
    for other, metric in ((two, "task"), (two, "mean"), (against, "mean")):
        run = on(["a cat", "two dogs sat", "rain"])
        run = Run(run.task, run.track, D, D, 0, opened={"source": one, "target": other}.__getitem__)
        made = Panda(Panda.Settings(predicted=metric), run)
        cosine = made.notes[f"transferability, {metric}"]
        assert made.beta == max(0.0, cosine) and len(made.notes) == 2
    assert cosine == pytest.approx(-1, abs=1e-6) and made.beta == 0


def test_the_papers_sources_and_targets_are_tasks_here():
    known = {
        f"{family}/{data}": plugin
        for family, plugin in registry.found("task").items()
        for data in registry.load(plugin).datasets
    }
    assert len(Panda.sources) == 15 and len(Panda.targets) == 8 and set(Panda.targets) <= set(Panda.sources)
    assert set(Panda.sources.values()) <= set(known)


def test_of_what_the_methods_want_the_body_stays_and_the_head_is_new():
    (start,) = PromptTransfer.wanted(PromptTransfer.Settings(source="glue/qqp"))
    assert (start.task, start.use, start.weights, start.method) == ("glue/qqp", "starts", ("prompt",), "prompt_tuning")
    source, target, taught = Panda.wanted(Panda.Settings(source="glue/qqp"))
    assert (source.task, target.task, taught.task) == ("glue/qqp", "", "") and taught.settings == {"source": "glue/qqp"}


@pytest.fixture(scope="module")
def world(tmp_path_factory, teacher):
    """Two tasks of sentences, a tiny encoder, and runs of all three methods; three seeds would say no more here."""
    folder = tmp_path_factory.mktemp("prompts")
    words = TOY.read_text()
    (folder / "capitals.py").write_text(
        words.replace("class Toy", "class Capitals").replace(r'r"\d"', 'r" [A-Z]"').replace('"digits"', '"capitals"')
    )
    asked = [
        "--task", TOY, "--student", "prompt:4", "--set", f"prompt.body={teacher}", "--set", "prompt.rate=0.05",
        "--results", folder / "results",
    ]  # fmt: skip
    source = [part for m in ("prompt_transfer", "panda") for part in ("--set", f"{m}.source={folder / 'capitals.py'}")]
    done = bench("run", *asked, *option("method", *CARDS), *source, "--json", cache=folder / "cache")
    return folder, asked, source, runs_of(done)


def records(world):
    return {run["method"]: json.loads(Path(run["record"]).read_text()) for run in world[3]}


def weights(world, run_id):
    with safe_open(world[0] / "cache" / "runs" / run_id / "student.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_source_is_one_run_that_all_share_and_its_cost_counts(world):
    folder, _, _, runs = world
    made = sorted(p.parent.parent.name for p in (folder / "results/mini").rglob("prompt_tuning/*/*.json"))
    assert made == ["prompt_tuning", "prompt_tuning"] and len(runs) == 3  # on the source, and on the target
    found = records(world)
    for record in found.values():  # and it learns
        hard = [sum(point["losses"].values()) for point in record["curve"] if point["losses"]]
        assert hard[-1] < hard[0]
    assert "before" not in found["prompt_tuning"]["cost"]
    assert found["prompt_transfer"]["cost"]["before"]["runs"] == 1
    assert found["panda"]["cost"]["before"]["runs"] == 3
    assert found["panda"]["cost"]["before"]["student_updates"] == 36
    assert set(found["panda"]["notes"]) == {"transferability, task", "transferability, mean"}


def test_only_a_prompt_and_a_head_are_kept_and_the_body_is_what_it_was(world, teacher):
    for record in records(world).values():
        kept = weights(world, record["run_id"])
        assert set(kept) == {"prompt", "classifier.weight", "classifier.bias"}
        assert record["efficiency"]["disk_bytes"] < 10_000 < record["efficiency"]["parameters"]["total"]
    from bench.base.console import Console
    from bench.records import disk
    from bench.runs import replay
    from bench.runs.protocol import restore

    record = disk.read(Path(world[3][2]["record"]))
    with registry.trusting([TOY, world[0] / "capitals.py"]), pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(world[0] / "cache"))
        student, _ = restore(replay.spec_of(record, None), torch.device("cpu"), Console(quiet=True))
    assert fingerprint(student.body) == fingerprint(load(teacher))
    assert torch.equal(student.prompt, weights(world, record.run_id)["prompt"])


def test_beta_0_is_prompt_tuning_and_another_beta_is_not(world):
    folder, asked, source, _ = world
    tuned = records(world)["prompt_tuning"]
    for beta, same in ((0, True), (100, False)):
        more = [*source, "--set", f"panda.beta={beta}"]
        done = bench("run", *asked, "--method", "panda", *more[2:], "--json", cache=folder / "cache")
        record = json.loads(Path(runs_of(done)[0]["record"]).read_text())
        assert record["cost"]["before"]["runs"] == 2 and "notes" not in record
        ours, theirs = (weights(world, r["run_id"])["prompt"] for r in (record, tuned))
        assert torch.equal(ours, theirs) == same


def test_the_matrix_is_run_and_the_site_shows_it(world):
    folder, asked, _, runs = world
    names = ("--sources", folder / "capitals.py", "--targets", f"{TOY},{folder / 'capitals.py'}")
    done = bench("transfer", *names, *asked[2:], "--json", cache=folder / "cache")
    found = json.loads(done.out)
    planned = bench("transfer", *names, *asked[2:], "--dry-run", "--json", cache=folder / "cache")
    assert not list(problems(FORMS["transfer"], found))
    assert not list(problems(FORMS["transfer --dry-run"], json.loads(planned.out)))
    status = {run["run_id"]: run["status"] for run in found["runs"]}
    assert [status.pop(run["run_id"]) for run in runs] == ["skipped"] * 3 and not status
    cells = {cell["method"]: cell for cell in found["cells"]}
    value = {run["method"]: run["value"] for run in runs}
    for method in CARDS:
        assert cells[method]["value"] == value[method] and cells[method]["seeds"] == 1
        gain = None if method == "prompt_tuning" else pytest.approx(value[method] - value["prompt_tuning"])
        assert cells[method]["gain"] == gain
    bench("site", "build", "--results", folder / "results", "--out", folder / "site", cache=folder / "cache")
    rows = json.loads((folder / "site/api/rows.json").read_text())
    on_toy = {row["method"]: row for row in rows if row["task"] == "toy"}
    source = str(folder / "capitals.py")
    assert [on_toy[m]["source"] for m in CARDS] == ["", source, source]
    assert on_toy["panda"]["gain"] == pytest.approx(value["panda"] - value["prompt_tuning"], abs=1e-6)
    assert on_toy["panda"]["gain_low"] <= on_toy["panda"]["gain"] <= on_toy["panda"]["gain_high"]
    page = (folder / "site/transfer.html").read_text()
    assert "panda with prompt:4 on mini: sources by targets" in page and "capitals.py</th>" in page
    assert 'href="transfer.html"' in (folder / "site/index.html").read_text()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("--sources", "a,,b", "--targets", "c"), ("--sources 'a,,b'", "separated by commas")),
        (("--sources", TOY, "--targets", TOY), ("nothing to transfer",)),
        (("--sources", TOY, "--targets", TOY, "--method", "kd"), ("'kd' begins with no run of another task", "panda")),
        (("--sources", "glu/sst2", "--targets", TOY), ("glu", "glue")),
    ],
)
def test_a_matrix_that_cannot_be_run_is_refused(names, words, tmp_path, teacher):
    asked = ("--student", "prompt", "--set", f"prompt.body={teacher}", "--results", tmp_path)
    refused(bench("transfer", *names, *asked, check=None), *words)


def test_a_methods_name_stands_for_its_papers_tasks_whose_data_is_there(tmp_path):
    asked = ("--track", "lite", "--data-dir", real_data("superglue"), "--student", "prompt", "--results", tmp_path)
    done = bench("transfer", "--sources", "panda", "--targets", "CB", *asked, "--dry-run", "--json")
    found = {run["source"] for run in json.loads(done.out)["runs"]} - {""}
    assert {"superglue/rte", "superglue/boolq"} <= found <= {*Panda.sources.values()} - {"superglue/cb"}
    assert "left out: superglue/record: no SuperGLUE ReCoRD" in done.err


def test_a_student_without_a_prompt_is_refused_before_anything_runs(tmp_path, teacher):
    asked = ("--task", TOY, "--student", "bow:8", "--results", tmp_path)
    refused(bench("run", *asked, "--method", "panda", check=None), "needs the signal", "prompt")
    asked = ("--task", TOY, "--student", "prompt:4", "--method", "prompt_transfer", "--results", tmp_path)
    refused(bench("run", *asked, check=None), "bilstm:1x8 is no encoder that takes a prompt")
    asked += ("--set", f"prompt.body={teacher}", "--set", "prompt_transfer.source=glu/sst2")
    refused(bench("run", *asked, check=None), "glu", "glue")
