"""The model card of an exported student: everything in it is read from the record, and escaped."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from markupsafe import Markup

from bench.base.formats import figures, hundred, whole
from bench.network import Network
from bench.networks.transformer import TransformerNetwork
from bench.records import disk
from bench.records.schemas import Record
from bench.records.specs import RUN_ID, checked_spec, in_words
from bench.runs import replay
from bench.runs.spec import Spec
from bench.sources import HubSet

TEMPLATE = Path(__file__).with_name("model_card.md")
ACTIVE = re.compile(r"([\\`*_\[\]<>|&~$])")  # characters that begin something in Markdown inside a line
ON_HUB = re.compile(r"([\w.-]+/[\w.-]+)@")  # owner/name@commit, as models.Place has it
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")  # controls, and marks that turn text round


def write(
    folder: Path, path: Path, record: Record, kind: str, network: Network, spec: Spec, mteb: Sequence[str] = (),
    dev: Mapping[str, float] | None = None,
) -> None:  # fmt: skip
    """README.md of an exported folder; beside the record, at `path`, lie those of the other seeds. `mteb`: the tasks
    whose result files lie in the folder. `dev`: scores on dev of the student, and of its int8 form in the folder."""
    text = render(
        record, siblings(path, record), kind=kind, command=shlex.join(replay.command_of(record)),
        pipeline=spec.task.goal.pipeline, base_models=hub_parents(spec),
        head=spec.task.goal.auto if spec.task.goal.output == "logits" else "",
        backbone=isinstance(network, TransformerNetwork), max_length=getattr(network, "max_length", None),
        method_title=str(spec.method.declares.get("title", spec.method.summary)),
        method_citation=str(spec.method.declares.get("citation", "")), hub=spec.task.on_hub(), mteb=mteb, dev=dev,
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")


def hub_parents(spec: Spec) -> list[str]:
    """The Hub's names of the teacher and of the checkpoint that the student began as, where they came from there."""
    versions = (spec.values["versions"].get(key, "") for key in ("teacher", "initial"))
    return list(dict.fromkeys(match[1] for version in versions if (match := ON_HUB.match(version))))


def siblings(path: Path, record: Record) -> list[Record]:
    """The records of the other seeds that lie beside this one, by seed."""
    others = list(disk.readable(p for p in sorted(path.parent.glob("*.json")) if RUN_ID.fullmatch(p.stem)))
    own = checked_spec(record).of_any_seed
    same = [o for o in others if checked_spec(o).of_any_seed == own and o.run_id != record.run_id]
    return sorted(same, key=lambda o: o.spec["seed"])


def render(record: Record, siblings: Sequence[Record], **context: Any) -> str:
    """The card as text: YAML front matter, then Markdown."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        finalize=plain,  # every value goes through it; this is Markdown, so autoescape, which is for HTML, stays off
    )  # fmt: skip
    environment.filters |= {
        "hundred": hundred, "figures": figures, "whole": whole, "words": in_words, "code": code, "block": block,
    }  # fmt: skip
    context = {"head": "", "hub": {}, "mteb": (), "dev": None} | context
    used = ("kind", "pipeline", "base_models", "head", "hub")
    front = Markup(front_matter(record, *(context[name] for name in used)))
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return page.render(run=record, seeds=siblings, front=front, **context)


def one_line(value: object) -> str:
    return " ".join(HIDDEN.sub(" ", str(value)).split())


def plain(value: object) -> str:
    """A value as text on one line that Markdown shows as it is."""
    return str(value) if isinstance(value, Markup) else ACTIVE.sub(r"\\\1", one_line(value))


def code(value: object) -> Markup:
    """A value as code within a line; its backticks cannot end it."""
    text = one_line(value).replace("|", "\\|")  # else a cell of a table ends there
    fence = _fence(text, 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return Markup(f"{fence}{pad}{text}{pad}{fence}")


def block(value: object, language: str) -> Markup:
    """A value as a block of code."""
    text = one_line(value)
    fence = _fence(text, 3)
    return Markup(f"{fence}{language}\n{text}\n{fence}")


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * (longest + 1 if longest >= least else least)


def front_matter(
    record: Record, kind: str, pipeline: str, base_models: Sequence[str], head: str = "",
    hub: Mapping[str, HubSet] = MappingProxyType({}),
) -> str:  # fmt: skip
    """What the Hub reads: licence, parent model, tags, results. YAML without its `---` lines."""
    from huggingface_hub import ModelCardData

    tags = ["knowledge-distillation", one_line(f"method:{record.spec['method']}")]
    library = ("transformers" if head else "sentence-transformers") if kind == "hf" else None
    tags += ["onnx"] if library is None else [pipeline] if head else ["feature-extraction", library]
    data = ModelCardData(
        license="other", license_name="that-of-the-training-data-and-the-teacher", base_model=list(base_models) or None,
        tags=tags, library_name=library, pipeline_tag=pipeline,
        model_name=one_line(f"{record.spec['student']} by {record.spec['method']}"),
        eval_results=None if kind == "int8" else results(record, pipeline, hub) or None,  # they are of float32
    )  # fmt: skip
    return data.to_yaml()


def results(record: Record, pipeline: str, hub: Mapping[str, HubSet]) -> list[Any]:
    """The Hub's `model-index`: each metric of each data set, nobody having verified them but us. A data set that is not
    from the Hub is named by its task, at the fingerprint of what was read."""
    from huggingface_hub import EvalResult

    task, track = one_line(record.spec["task"]), one_line(record.spec["track"])
    own = HubSet(task, one_line(record.data.identity))
    return [
        EvalResult(
            task_type=pipeline, dataset_name=one_line(f"{name} ({task}, {track} track)"),
            dataset_type=place.repo, dataset_revision=place.revision, dataset_split=place.split,
            dataset_config=place.config, metric_type=one_line(metric), metric_value=value, verified=False,
        )
        for name, values in record.metrics.all.items()
        for place in [hub.get(name, own)]
        for metric, value in values.items()
        if value is not None
    ]  # fmt: skip
