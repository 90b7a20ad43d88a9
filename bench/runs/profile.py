"""`bench profile`: size and speed of architectures, without training any of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench.base import files
from bench.base.archive import pack
from bench.base.console import Console
from bench.base.provenance import now, provenance
from bench.errors import RequestError
from bench.measuring import machine, session
from bench.measuring.counting import parameters
from bench.network import Network
from bench.networks import places
from bench.networks.transformer import load_model
from bench.plugins import registry
from bench.records.arrays import Samples, flatten_samples
from bench.records.schemas import Profile, made
from bench.runs.spec import Request, defaults, open_tasks, override, parse_settings
from bench.task import Task
from bench.teachers.plans import is_shape, split_shape

# networks, the signal that the task judges -> other forms of them, with `disk_bytes` and `reader`: (the network,)
Forms = Callable[[Mapping[str, Network], str], Mapping[str, Any]]


def profile(
    request: Request, quick: bool, device: torch.device, console: Console, batches: Sequence[str] = (),
    forms: Forms | None = None,
) -> tuple[dict[str, Any], Samples]:  # fmt: skip
    """The profile without its samples, and the samples; of a request without methods, whose task may be left out.

    `batches`: more to time, each SIZE or SIZExLENGTH. `forms`: of each network, to be timed in turn with it.
    RequestError: an unknown or impossible architecture.
    """
    started, more = now(), [parse_batches(text) for text in dict.fromkeys(batches)]
    named = request.tasks or [first_task(request.students)]
    task = open_tasks(replace(request, tasks=named))[0]
    networks = build(request, task, device)
    task.unseal()  # inputs alone: nothing is trained, chosen or scored
    effort = session.QUICK if quick else session.STANDARD
    want, inputs = frozenset({task.goal.output}), task.inputs("test")
    others = forms(networks, task.goal.output) if forms else {}
    found = session.measure(
        {**networks, **others}, inputs, want, effort, console, task.lengths, task.searches(), batches=more
    )
    sizes = {
        name: found["models"][name] | {"parameters": parameters(n), "disk_bytes": 0, "origin": n.origin}
        for name, n in networks.items()
    }
    for name, form in others.items():
        of = next(key for key, network in networks.items() if network is form.reader[0])
        sizes[name] = found["models"][name] | {
            "parameters": sizes[of]["parameters"], "flops": sizes[of]["flops"], "disk_bytes": form.disk_bytes,
            "memory_bytes": None,  # what onnxruntime holds of its own is not told apart
            "origin": f"those of {of}, in {form.disk_bytes / 1e6:,.1f} MB that onnxruntime runs",
        }  # fmt: skip
    kept = {key: found[key] for key in ("speedups", "scope", "device", "threads", "inputs", "noise", "seen", "notes")}
    return kept | {
        "schema": 1, "task": task.name, "track": request.track, "reference": next(iter(networks)), "models": sizes,
        "environment": machine.describe(device), "provenance": provenance(started),
    }, found["samples"]  # fmt: skip


def parse_batches(text: str) -> session.Batches:
    """`32`: batches of 32 inputs as they come; `128x512`: of 512 tokens each. RequestError: neither."""
    found = re.fullmatch("([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,4}))?", text)
    if not found:
        raise RequestError(f"--batch {text}: give SIZE or SIZExLENGTH, as in 32 or 128x512")
    return session.Batches(int(found[1]), int(found[2]) if found[2] else None)


def first_task(students: Sequence[str]) -> str:
    """The task whose inputs are read when none is named: the first that packages what the students read."""
    wanted = {registry.find("student", split_shape(name)[0]).declares.get("reads", "text") for name in students}
    for name, plugin in registry.found("task").items():
        cls = registry.load(plugin)
        if "mini" in cls.tracks and not cls.opens and {cls.reads} == (wanted or {"text"}):
            return name
    raise RequestError(f"no task packages inputs for {', '.join(students)} together: name one with --task")


def build(request: Request, task: Task, device: torch.device) -> dict[str, Network]:
    """Networks by name, the teacher first. A teacher may be a model or, as `bert:12x768`, a student's shape."""
    given, used = parse_settings(request.settings), set[tuple[str, str]]()  # --set family.key=value
    reference = request.teacher or task.track.teacher
    base = ready(task.track.teacher if is_shape(reference) else reference, task)
    first = shaped(reference, task, base, given, used) if base is None or is_shape(reference) else base
    networks = {reference: first}
    for student in request.students or [task.track.student]:
        networks[student] = shaped(student, task, base, given, used)
    unused = sorted(set(given) - {key for key, _ in used})
    if unused:
        raise RequestError(f"--set {unused[0]}: no architecture of this profile has it; write family.key=value")
    return {name: network.eval().to(device) for name, network in networks.items()}


def ready(reference: str, task: Task) -> Network | None:
    """A model as it is, with a new head where the task asks for one; None: the reference is a student's shape."""
    if is_shape(reference):
        return None
    place = places.locate(reference, task)
    network = load_model(place, task.goal, new_head=not places.has_head(place, task.goal))
    network.origin = place.identity
    return network


def shaped(name: str, task: Task, base: Network | None, given: dict[str, str], used: set[tuple[str, str]]) -> Network:
    """A student as a run would start it, with the base teacher's tokenizer."""
    family, size = split_shape(name)
    plugin = registry.find("student", family)
    cls = registry.load(plugin)
    if cls.reads != task.reads:
        raise RequestError(f"{name} reads {cls.reads} and {task.name} is on {task.reads}")
    settings = override(defaults(plugin, cls), plugin.name, (), given, used)
    torch.manual_seed(0)
    return cls(settings).build(cls.check(size or cls.default), task, base)


def write(path: Path, profile: dict[str, Any], samples: Samples) -> None:
    """The profile and its samples beside it, each whole or not at all."""
    packed = pack(flatten_samples(samples))
    stored = {"file": f"{path.stem}.samples.npz", "sha256": files.sha256(packed)}
    text = made(Profile, profile | {"samples": stored}).model_dump_json(by_alias=True, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path.with_name(stored["file"]), packed)
    files.replace(path, text.encode())
