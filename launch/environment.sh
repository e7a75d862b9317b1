# Sourced by the launch scripts: makes sure a Python with FacePrior is active, and nothing is re-done.
#
#   source launch/environment.sh "dev,deepspeed"     # extras, or "" for none
#
# An active virtual environment (or conda environment) is used; otherwise .venv is made here.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

_ready() { # everything that pyproject.toml asks for is installed, from this checkout
    (cd / && "$1" - "$OLDPWD" "$2") <<'PYTHON'
import json
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

root, extras = Path(sys.argv[1]).resolve(), [*filter(None, sys.argv[2].split(",")), ""]
try:
    from packaging.requirements import Requirement

    package = metadata.distribution("faceprior")
    origin = json.loads(package.read_text("direct_url.json") or "{}").get("url", "")
    if Path(unquote(urlparse(origin).path)).resolve() != root:
        sys.exit(1)
    if package.read_text("METADATA") is None:
        sys.exit(1)
    for line in package.requires or ():
        needed = Requirement(line)
        asked = needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras)
        if asked and not needed.specifier.contains(metadata.version(needed.name), prereleases=True):
            sys.exit(1)
except (ImportError, metadata.PackageNotFoundError):
    sys.exit(1)
# pyproject.toml newer than the installed metadata: its requirements may have changed.
installed = Path(str(package.locate_file("")), f"faceprior-{package.version}.dist-info", "METADATA")
sys.exit((root / "pyproject.toml").stat().st_mtime > installed.stat().st_mtime)
PYTHON
}

_python() { # the first Python that is new enough
    local name
    for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        if [ -n "$name" ] && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return 0
        fi
    done
    echo "error: no Python 3.11 or newer found, expected one on PATH or named in PYTHON" >&2
    return 1
}

_prepare() {
    local extras=$1 python
    if [ -n "${VIRTUAL_ENV:-}" ] || [ -n "${CONDA_PREFIX:-}" ]; then
        python=$(command -v python) || {
            echo "error: ${VIRTUAL_ENV:-$CONDA_PREFIX}: active, but there is no python on PATH" >&2
            return 1
        }
    else
        if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
            python=$(_python) || return 1
            echo "making .venv with $("$python" --version)"
            "$python" -m venv --clear .venv || return 1
        fi
        # shellcheck disable=SC1091
        source .venv/bin/activate
        python=$PWD/.venv/bin/python
    fi
    if ! _ready "$python" "$extras"; then
        echo "installing FacePrior and what it needs into ${VIRTUAL_ENV:-$CONDA_PREFIX} (once, minutes)"
        "$python" -m pip install --editable ".${extras:+[$extras]}" || return 1
    fi
}

_prepare "${1:-}" || exit 1
