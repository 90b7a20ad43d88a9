"""Where models are: in a package, in a folder, on the Hub. Found and identified without being loaded or fetched."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.kind import Kind
from bench.sources import package_file
from bench.task import Task

# weights as safetensors alone, the tokenizer, and what ColBERT says of itself
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "artifact.metadata")
# Model types in which every token attends to all: students and classifiers of the others, whose attention is causal or
# local, were once trained as if theirs were so too, and what was taught then is another model.
PLAIN = (
    "albert", "bert", "camembert", "convbert", "deberta", "deberta-v2", "distilbert", "electra", "mpnet", "nomic_bert",
    "roberta", "xlm-roberta", "xlm-roberta-xl",
)  # fmt: skip
TOGETHER = "cross"  # after a model's name, `#cross`: it is taught to read two texts together
DOWNLOAD: dict[str, Any] = {"allow_patterns": list(MODEL_FILES), "ignore_patterns": ["onnx/*"]}


@dataclass(frozen=True)
class Place:
    """Where a model is, and a key that changes when the model does."""

    name: str
    identity: str
    pooling: str  # overrides the model's own; empty: as the model declares
    folder: Path | None = None  # None: on the Hub, fetched when its path is first asked for
    repo: str = ""
    revision: str = ""  # as it was asked for; empty: the main branch
    commit: str = ""  # what it means
    # what makes it where it is not simply read from the folder: the plan of a taught teacher, the spec of a run
    origin: Any = field(default=None, compare=False)

    @cached_property
    def path(self) -> Path:
        """The model's folder on this machine."""
        return self.folder or fetch(self.repo, self.revision, self.commit)

    @property
    def disk_bytes(self) -> int:
        """Size of the weights."""
        if self.path.is_file():
            return self.path.stat().st_size
        return sum(p.stat().st_size for p in model_files(self.path, "*.safetensors"))


def model_files(folder: Path, pattern: str) -> list[Path]:
    """The model's files that fit, by name; what a trainer left beside it in `checkpoint-500` is none of it."""
    found = (p for p in folder.rglob(pattern) if p.is_file())
    return sorted(p for p in found if not any(q.startswith("checkpoint-") for q in p.relative_to(folder).parts[:-1]))


def locate(reference: str, task: Task) -> Place:
    """Find a model: a short name of the task, a folder, or a Hub id; `#cls` after it chooses another pooling, and
    `#cross` a cross-encoder that is taught.

    `owner/name@revision` pins a Hub model. RequestError: not found, no model, or the Hub cannot be reached.
    """
    name, _, pooling = reference.partition("#")
    target, _, declared = task.teachers.get(name, name).partition("#")
    pooling = pooling or declared
    if target.startswith("package:"):
        package, _, inside = target.removeprefix("package:").partition("/")
        path = package_file(package, inside)
        return Place(reference, f"{package}=={importlib.metadata.version(package)}#{pooling}", pooling, path)
    folder = Path(target).expanduser()
    if folder.is_dir():
        check(folder)
        return Place(reference, f"{content_key(folder)}#{pooling}{reading(folder)}", pooling, folder.resolve())
    if target.startswith((".", "/", "~")) or target.count("/") != 1:
        known = ", ".join(sorted(task.teachers)) or "none"
        raise RequestError(f"no model '{name}': not a folder, not a Hub id (owner/name), not a short name ({known})")
    repo, _, revision = target.partition("@")
    place = Place(reference, "", pooling, repo=repo, revision=revision, commit=hub_commit(target))
    return replace(place, identity=f"{repo}@{place.commit}#{pooling}{reading_of_hub(place)}")


def reading(folder: Path) -> str:
    """What the identity of a model adds to its files: how attention is masked in training, where that once was wrong.

    So nothing that was taught, or copied from it, before is taken for what is taught now. Signals in the store have
    keys of their own, in which whole configurations stand since.
    """
    config = config_in(folder)
    return " own masks" if "vocab_size" in config and config.get("model_type", "bert") not in PLAIN else ""


def reading_of_hub(place: Place) -> str:
    """The same of a Hub model, from its config.json alone; of one that has none at its root, nothing."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return reading(config_of(place))
    except RequestError as error:
        if isinstance(error.__cause__, EntryNotFoundError):
            return ""
        raise


def config_in(folder: Path) -> dict[str, Any]:
    """The configuration of a folder's model, where it has one that can be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def has_head(place: Place, goal: Kind) -> bool:
    """Whether a model has the head of this kind; an encoder has to be fine-tuned first."""
    config = config_in(place.folder or config_of(place))
    head = goal.auto.removeprefix("AutoModel")
    return bool(head) and any(str(name).endswith(head) for name in config.get("architectures") or ())


def config_of(place: Place) -> Path:
    """The folder of a Hub model's config.json, fetched alone."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(place.repo, "config.json", revision=place.commit)).parent
    except Exception as error:  # as below
        raise unreachable(f"{place.repo}@{place.commit}", error) from error


def check(folder: Path) -> None:
    """RequestError: the folder holds no model, one in pickled weights alone, or one that needs code from elsewhere."""
    for path in folder.rglob("*"):
        if not path.is_file() and not path.is_dir():  # who reads a model reads a README of it too, and would wait
            raise RequestError(f"{path} is no plain file")
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        raise RequestError(f"{folder} holds no model: there is neither config.json nor modules.json")
    if not model_files(folder, "*.safetensors"):
        raise RequestError(f"{folder} holds no safetensors weights (pickled weights are refused): convert the model")
    for path in model_files(folder, "config.json"):
        check_config(path)


def check_config(path: Path) -> None:
    """RequestError: kernels of a Hub repository would be run to load it. A model's own code is left to the library,
    which is told everywhere not to trust it."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # who loads it says what is wrong
    given = config if isinstance(config, dict) else {}
    if "/" in str(given.get("attn_implementation") or given.get("_attn_implementation") or ""):
        raise RequestError(f"{path} names attention kernels to be fetched and run: no code of others is run here")


def content_key(folder: Path) -> str:
    """A hash of the files that make the model."""
    digest = hashlib.sha256()
    for path in sorted({p for pattern in MODEL_FILES for p in model_files(folder, pattern)}):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:16]


def hub_commit(reference: str) -> str:
    """The commit that a Hub reference means now; without a network, the one that was fetched before."""
    from huggingface_hub import HfApi, constants, snapshot_download

    repo, _, revision = reference.partition("@")
    try:
        if constants.HF_HUB_OFFLINE:
            return Path(snapshot_download(repo, revision=revision or None, local_files_only=True, **DOWNLOAD)).name
        return str(HfApi().model_info(repo, revision=revision or None, timeout=20).sha)
    except Exception as error:  # the Hub client raises many unrelated types; all mean: not to be had
        raise unreachable(reference, error) from error


def fetch(repo: str, revision: str, commit: str) -> Path:
    """The snapshot of a Hub model at a commit, downloaded unless it is here.

    Asked for by its revision first: that is how the client remembers what it means when there is no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        path = Path(snapshot_download(repo, revision=revision or None, **DOWNLOAD))
        if path.name != commit:  # the branch has moved on meanwhile
            path = Path(snapshot_download(repo, revision=commit, **DOWNLOAD))
    except Exception as error:  # as above
        raise unreachable(f"{repo}@{commit}", error) from error
    check(path)
    return path


def unreachable(reference: str, error: Exception) -> RequestError:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return RequestError(
        f"cannot load the model {reference} from the Hub ({type(error).__name__}: {reason}); "
        "check the name and the network, or give a folder"
    )
