"""A unit of systemd's, carried out without systemd: its environment file and its command line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from mlops_magics.artifact.proof import environment


def said(unit: Path, key: str) -> str:
    """Read what a unit says of a key, with its specifiers undone."""
    (value,) = re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)
    return str(value).replace("%%", "%")


def environment_file(unit: Path) -> Path:
    """Name the file that a unit takes variables from; it must not be one that has to be there."""
    named = said(unit, "EnvironmentFile")
    assert named.startswith("-")
    return Path(re.sub(r"\\(.)", r"\1", re.sub(r"\[(.)\]", r"\1", named[1:])))


def started(unit: Path) -> subprocess.Popen[bytes]:
    """Start what a unit starts, with what a user's manager gives along."""
    line = [word.replace("$$", "$") for word in shlex.split(said(unit, "ExecStart"))]
    given = environment(os.environ)
    file = environment_file(unit)
    if file.exists():
        given |= dict(each.split("=", 1) for each in file.read_text().splitlines())
    return subprocess.Popen(line, env=given, cwd="/", start_new_session=True)
