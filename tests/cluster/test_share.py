"""What a run gets of a cluster: whole GPUs, or a part of one that several runs share. No Ray is needed."""

from __future__ import annotations

import pytest

from bench.cluster.ray_cluster import Cluster, Share
from bench.errors import RequestError


def share(device: str, jobs: int | None, *machines: tuple[int, int]) -> Share:
    """Of machines with so many CPUs and GPUs."""
    cluster = object.__new__(Cluster)
    cluster.machines = [{"Resources": {"CPU": float(cpus), "GPU": float(gpus)}} for cpus, gpus in machines]
    return cluster.share(device, jobs)


def test_one_run_for_each_gpu_and_parts_of_one_where_there_are_more() -> None:
    whole = share("auto", None, (16, 2), (16, 2))
    assert (whole.device, whole.jobs, whole.cpus, whole.gpus) == ("cuda", 4, 8, 1.0)
    assert share("cuda", 8, (16, 2), (16, 2)).gpus == 0.5
    assert share("auto", 6, (16, 2), (16, 2)).gpus == 0.5, "six on four: no GPU has more than two"
    assert share("auto", 2, (16, 4)).gpus == 1.0


def test_cpus_are_divided_and_no_more_are_asked_for_than_there_are() -> None:
    plain = share("cpu", None, (4, 1), (2, 0))
    assert (plain.device, plain.jobs, plain.cpus, plain.gpus) == ("cpu", 6, 1, 0.0)
    with pytest.raises(RequestError, match="--jobs 9: the Ray cluster has 2 machines, 6 CPUs; give at most 6"):
        share("auto", 9, (4, 0), (2, 0))
    for device, why in (("cuda", "the Ray cluster has no GPU"), ("mps", "has CPUs and CUDA GPUs")):
        with pytest.raises(RequestError, match=why):
            share(device, None, (4, 0))
