"""`bench profile`: sizes and speeds without training, kept beside the records and checked with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.base.archive import load_arrays
from bench.records import disk
from bench.records.arrays import unflatten_samples
from bench.records.check import check
from bench.records.schemas import Profile
from tests.factories.commands import bench


@pytest.fixture(scope="module")
def profiled(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("profile")
    out = folder / "results" / "profiles" / "small.json"
    done = bench(
        "profile", "--student", "bert:1x24x2", "--student", "bow:8", "--teacher", "bert:2x48x4x96", "--quick",
        "--batch", "3", "--batch", "5x16", "--out", out, "--json", cache=folder / "cache",
    )  # fmt: skip
    return out, json.loads(done.out)


def test_shapes_are_counted_and_timed_beside_the_teacher(profiled):
    found = profiled[1]
    assert found["reference"] == "bert:2x48x4x96" and list(found["models"]) == [
        "bert:2x48x4x96",
        "bert:1x24x2",
        "bow:8",
    ]
    teacher, student = (found["models"][n] for n in ("bert:2x48x4x96", "bert:1x24x2"))
    # embeddings (30522 + 512 + 2) D + 2 D; a layer 4 (D^2 + D) + 2 D F + F + D + 4 D; pooler D^2 + D
    assert (
        teacher["parameters"]["total"] == 31038 * 48 + 2 * (4 * (48**2 + 48) + 2 * 48 * 96 + 96 + 5 * 48) + 48**2 + 48
    )
    assert student["parameters"]["total"] == 31038 * 24 + (4 * (24**2 + 24) + 2 * 24 * 96 + 96 + 5 * 24) + 24**2 + 24
    assert teacher["flops"]["128"] > 2 * student["flops"]["128"] > 0
    assert student["origin"] == "random" and teacher["origin"] == "random"
    assert set(found["speedups"]) == {"bert:1x24x2", "bow:8"}
    assert found["speedups"]["bow:8"]["single"]["value"] > 1


def test_batches_are_timed_whole_and_reading_apart(profiled):
    """Inputs a second are a batch's inputs over the median of its samples; of real inputs by both clocks."""
    out, found = profiled
    arrays = unflatten_samples(load_arrays(out.with_name("small.samples.npz").read_bytes()))
    for name, model in found["models"].items():
        for point, size in (("batch_3", 3), ("batch_3_end_to_end", 3), ("batch_5x16", 5)):
            median = np.median(np.concatenate(arrays[point][name]))
            assert model["throughput"][f"{point}_per_s"] == pytest.approx(size / median * 1e9)
        assert "16" in model["flops"] and "batch_5x16_end_to_end_per_s" not in model["throughput"]
    assert found["speedups"]["bow:8"]["batch_3"]["value"] > 1


def test_a_kept_profile_is_checked_like_a_record(profiled):
    out, found = profiled
    results = out.parent.parent
    assert Profile.model_validate_json(out.read_bytes()).models["bow:8"].latency == found["models"]["bow:8"]["latency"]
    assert check(results) == (0, []) and disk.paths(results) == []
    raw = json.loads(out.read_text())
    raw["speedups"]["bow:8"]["single"]["value"] += 0.01
    out.with_name("changed.json").write_text(
        json.dumps(raw | {"samples": raw["samples"] | {"file": "changed.samples.npz"}})
    )
    samples = out.with_name("small.samples.npz")
    out.with_name("changed.samples.npz").write_bytes(samples.read_bytes())
    (out.parent / "lonely.samples.npz").write_bytes(b"")
    problems = {Path(p.path).name: p.problem for p in check(results)[1]}
    assert (
        set(problems) == {"changed.json", "lonely.samples.npz"} and "speedups.bow:8.single" in problems["changed.json"]
    )


def test_onnxruntime_is_timed_in_turn_with_the_network(tmp_path):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "results/profiles/forms.json"
    asked = ("--student", "bow:8", "--teacher", "bow:16", "--task", "sts", "--quick", "--onnx", "--device", "cpu")
    models = json.loads(bench("profile", *asked, "--out", out, "--json", cache=tmp_path / "cache").out)["models"]
    assert list(models) == ["bow:16", "bow:8", "bow:16 onnx", "bow:16 int8", "bow:8 onnx", "bow:8 int8"]
    assert models["bow:8 int8"]["parameters"] == models["bow:8"]["parameters"]
    assert 0 < models["bow:8 int8"]["disk_bytes"] < 0.5 * models["bow:8 onnx"]["disk_bytes"]
    assert all(model["latency"]["single"]["p50_ms"] > 0 for model in models.values())
    assert check(tmp_path / "results") == (0, [])


def test_wrong_requests(tmp_path):
    for arguments, words in (
        (("--student", "bert:nonsense"), "is no size"),
        (("--student", "brt:2"), "unknown student 'brt'"),
        (("--student", "bow", "--set", "bert.init=random"), "no architecture of this profile has it"),
        (("--student", "bow", "--out", "x.txt"), "ends in .json"),
        (("--student", "bow", "--batch", "32y"), "--batch 32y: give SIZE or SIZExLENGTH"),
    ):
        assert words in bench("profile", *arguments, "--quick", cache=tmp_path, check=2).err
