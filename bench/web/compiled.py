"""Templates as Python modules, which Jinja writes once and whose compiled code Python keeps as that of any module.

Compiling them anew is a seventh of a small build. They lie beside the templates, where whoever can write could change
the templates themselves; where nobody can, or Python keeps no compiled code, templates are compiled in each build.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import suppress
from inspect import getsource
from pathlib import Path

import jinja2

from bench.base import files
from bench.store import folders


def load_compiled(environment: jinja2.Environment, templates: Path) -> None:
    """Let the environment load modules of its templates; they are written where there are none of just these."""
    folder = templates / "__pycache__" / version(environment, templates)
    if not folder.is_dir() and not sys.dont_write_bytecode:
        with suppress(OSError):
            write(environment, folder)
    if folder.is_dir():
        environment.loader = jinja2.ModuleLoader(folder)


def version(environment: jinja2.Environment, templates: Path) -> str:
    """Changes with what decides the modules: the templates, what makes code of them, and Jinja."""
    sources = {path.name: files.sha256(path.read_bytes()) for path in sorted(templates.glob("*.html"))}
    generator = getsource(environment.code_generator_class)
    return folders.content_key(templates=sources, generator=generator, jinja=jinja2.__version__, python=sys.version)


def write(environment: jinja2.Environment, folder: Path) -> None:
    """All modules or none: another process may be doing the same."""
    folder.parent.mkdir(exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        environment.compile_templates(new, ["html"], zip=None, ignore_errors=False)
        new.chmod(0o755)  # another user may run what this one has written
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
