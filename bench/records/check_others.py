"""`bench check` on what lies among the records without being a run: profiles, and teachers that were taught."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.errors import BenchError, RequestError
from bench.records import derived
from bench.records.arrays import unflatten_samples
from bench.records.mismatches import mismatches
from bench.records.schemas import Profile, Taught
from bench.records.strict import arrays_beside, read_strictly


def check_profile(path: Path) -> list[str]:
    """All that is wrong with a profile, or with a file beside one."""
    if path.is_symlink() or not path.is_file():
        return ["not a plain file"]
    if path.name.endswith(".samples.npz") and path.with_name(path.name.removesuffix(".samples.npz") + ".json").exists():
        return []  # checked with its profile
    if path.suffix != ".json":
        return ["a stray file: no profile lies beside it"]
    try:
        profile = read_strictly(path, Profile)
        samples = arrays_beside(path, f"{path.stem}.samples.npz", profile.samples)
        return [samples] if isinstance(samples, str) else list(of_profile(profile, samples))
    except (BenchError, KeyError, ValueError, TypeError) as error:
        return [str(error)]


def of_profile(profile: Profile, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Latency, throughput and speed-ups of every network, computed again from the samples."""
    samples = unflatten_samples(arrays)
    said = {n: {k: v.model_dump() for k, v in points.items()} for n, points in profile.speedups.items()}
    yield from (f"speedups.{why}" for why in mismatches(said, derived.speedups(samples, profile.reference)))
    for name, size in profile.models.items():
        again = derived.speeds(samples, name, profile.inputs)
        yield from (
            f"{name}.{why}" for why in mismatches({"latency": size.latency, "throughput": size.throughput}, again)
        )


def check_teacher(path: Path) -> list[str]:
    """All that is wrong with a file among the records of teachers that were fine-tuned here."""
    if path.is_symlink() or not path.is_file() or path.suffix != ".json":
        return ["a stray file: here lie the records of teachers alone"]
    try:
        record = read_strictly(path, Taught)
    except RequestError as error:
        return [str(error)]
    kept = [point["dev"] for point in record.curve if "dev" in point]
    wrong = [] if record.key == path.stem else [f"key: {record.key} is not the file's name"]
    return wrong + ([] if kept and max(kept) == record.dev else [f"dev: {record.dev} is not the best of the curve"])
