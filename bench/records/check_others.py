"""`bench check` on what lies among the records without being a run: profiles, and teachers that were taught."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bench.errors import BenchError
from bench.records import disk
from bench.records.check import beside, differences, parse


def check_profile(path: Path) -> list[str]:
    """All that is wrong with a profile, or with a file beside one."""
    from bench.runs import profile as profiling

    if path.is_symlink() or not path.is_file():
        return ["not a plain file"]
    if path.name.endswith(".samples.npz") and path.with_name(path.name.removesuffix(".samples.npz") + ".json").exists():
        return []  # checked with its profile
    if path.suffix != ".json":
        return ["a stray file: no profile lies beside it"]
    try:
        raw = parse(path)
        profile = profiling.Profile.model_validate(raw)
        samples = beside(path, f"{path.stem}.samples.npz", profile.samples)
        return [samples] if isinstance(samples, str) else list(of_profile(profile, samples))
    except ValidationError as error:
        return [f"{'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}"]
    except (BenchError, KeyError, ValueError, TypeError) as error:
        return [str(error)]


def check_teacher(path: Path) -> list[str]:
    """All that is wrong with the record of a teacher that was fine-tuned here."""
    from bench.runs import teach

    return teach.problems(path)


def of_profile(profile: Any, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Latency, throughput and speed-ups of every network, computed again from the samples."""
    from bench.measuring import session

    samples = disk.unflatten_samples(arrays)
    said = {n: {k: v.model_dump() for k, v in points.items()} for n, points in profile.speedups.items()}
    yield from (f"speedups.{why}" for why in differences(said, session.speedups(samples, profile.reference)))
    for name, size in profile.models.items():
        again = session.derived(samples, name, profile.inputs)
        yield from (
            f"{name}.{why}" for why in differences({"latency": size.latency, "throughput": size.throughput}, again)
        )
