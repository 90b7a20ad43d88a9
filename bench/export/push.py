"""A finished run's student as a model repository on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench.base.console import Console
from bench.errors import BenchError, RequestError
from bench.export.export import export

if TYPE_CHECKING:
    from huggingface_hub import HfApi

NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
KNOWN = (".safetensors", ".json", ".md", ".txt")  # what an export holds; nothing that is run when it is loaded


def push(
    run: str, name: str, results: Path, data_dir: Path | None, console: Console, named: Sequence[Path] = (),
    private: bool = False, revision: str = "", force: bool = False, dry_run: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Export the student, with its card, and commit it to the repository `owner/name`; what `bench push --json` prints.

    `named`: plug-ins given by path that the record may name. `force`: add a commit to a repository that exists.
    `dry_run`: nothing is asked of the network. RequestError: no token, a name that is none or is taken, no student.
    BenchError: the Hub refuses, or cannot be reached.
    """
    check_name(name)
    api = None if dry_run else allowed(name, private, force)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / name.replace("/", "__")  # as MTEB's results name a model
        written = export(run, "hf", folder, results, data_dir, False, console, named)
        sizes = {file: (folder / file).stat().st_size for file in written["files"]}
        check_safe(list(sizes))
        commit = upload(api, name, folder, f"Run {written['run_id']}", private, revision, force) if api else None
    return {
        "run_id": written["run_id"], "repository": name, "revision": revision or "main", "private": private,
        "files": [{"path": path, "bytes": size} for path, size in sizes.items()], "bytes": sum(sizes.values()),
        "commit": commit,
    }  # fmt: skip


def check_name(name: str) -> None:
    """RequestError: no name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        pass
    else:
        if NAME.fullmatch(name):
            return
    raise RequestError(f"'{name}' is no name of a repository: give owner/name, of letters, digits, '-', '_' and '.'")


def allowed(name: str, private: bool, force: bool) -> HfApi:
    """The Hub's client, after all that can be asked before time is spent. RequestError: no token, the repository is
    there, or is public and --private was said."""
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    if constants.is_offline_mode():
        raise RequestError("HF_HUB_OFFLINE is set, and pushing needs the network: unset it, or say --dry-run")
    if get_token() is None:
        raise RequestError("there is no token of the Hugging Face Hub: say hf auth login, or set HF_TOKEN")
    api = HfApi()
    with told(name):
        api.whoami()
        try:
            there = api.model_info(name)
        except RepositoryNotFoundError:
            return api
    if not force:
        raise RequestError(f"{name} is on the Hub already: choose another name, or say --force to add a commit to it")
    if private and not there.private:
        raise RequestError(f"{name} is public, and --private makes no repository private that is there")
    return api


def upload(api: HfApi, name: str, folder: Path, message: str, private: bool, revision: str, force: bool) -> str:
    """The commit's id; the repository, and the branch `revision`, are made where they are not there. BenchError."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    with told(name):
        api.create_repo(name, private=private or None, exist_ok=force)
    with told(name, "; the repository is there now, so try again with --force"):
        if revision:
            api.create_branch(name, branch=revision, exist_ok=True)
        found = api.upload_folder(
            repo_id=name, folder_path=folder, revision=revision or None, commit_message=message
        )  # fmt: skip
    return str(found.oid)


@contextmanager
def told(name: str, then: str = "") -> Iterator[None]:
    """What the Hub's client raises, in one sentence; `then`: what to do besides."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError:
        raise
    except HfHubHTTPError as error:
        raise BenchError(refusal(name, error) + then) from error
    except Exception as error:  # of the client and of its transports, a dozen unrelated types; all mean: no answer
        raise BenchError(
            f"cannot push {name} to {constants.ENDPOINT} ({reason(error)}): check the network{then}"
        ) from error


def refusal(name: str, error: Any) -> str:
    """Why the Hub does not do what was asked."""
    status = error.response.status_code
    if status == 401:
        return "the Hub does not know the token: say hf auth login, or set HF_TOKEN to a valid one"
    if status == 403:
        return f"the token may not write to {name}: make one that may write, or choose an owner that it belongs to"
    return f"the Hub refuses to store {name} ({reason(error)})"


def reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def check_safe(files: Sequence[str]) -> None:
    """BenchError: the folder holds weights in another form than safetensors, or anything else that is not known."""
    odd = [file for file in files if PurePosixPath(file).suffix not in KNOWN]
    if odd or not any(file.endswith(".safetensors") for file in files):
        raise BenchError(f"weights are pushed as safetensors alone: {', '.join(odd) or 'there are none'}")
