"""The arrows of the house: who may import whom, and how modules may be named."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pretrain", "finetune")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

#: A package and all that it may import of ours.
ALLOWED = {
    "pretrain/engine": ("pretrain.engine", "pretrain.errors", "pretrain.files"),
    "pretrain/models": ("pretrain.models", "pretrain.errors"),
    "pretrain/data": ("pretrain.data", "pretrain.errors", "pretrain.files"),
    "pretrain": ("pretrain",),
    "finetune": ("finetune", "pretrain"),
    # Arithmetic on labels: a score can be made anew years later, without a model.
    "finetune/labels": ("finetune.labels", "pretrain.errors"),
    "finetune/data": (
        *("finetune.data", "finetune.labels", "pretrain.data", "pretrain.errors"),
        "pretrain.files",
    ),
    "finetune/table": (
        *("finetune.table", "finetune.labels", "finetune.data.groups"),
        *("pretrain.errors", "pretrain.files"),
    ),
    "finetune/tallies": ("finetune.tallies", "finetune.labels", "pretrain.errors"),
    "finetune/objectives": (
        *("finetune.objectives", "finetune.batches", "finetune.clips", "finetune.losses"),
        "finetune.label_weights",
        *("finetune.labels", "finetune.models", "pretrain.models", "pretrain.errors"),
    ),
    "finetune/models": ("finetune.models", "finetune.labels", "pretrain.models", "pretrain.errors"),
}
#: Modules that must be of use where torch is not installed.
WITHOUT_TORCH = (
    *("*.py", "labels/*.py", "tallies/*.py", "data/*.py", "table/*.py", "scoring/*.py"),
    *("submission/*.py", "postprocessing/*.py", "reporting/*.py", "describing/*.py"),
)
#: Modules beside them that stand on torch.
WITH_TORCH = (
    "bench.py",
    "clips.py",
    "generate.py",
    "quality.py",
    "load.py",
    "save.py",
    "losses.py",
    "predict.py",
    "batches.py",
    "train.py",
)
#: A program that stands with its data; nothing imports it.
PROGRAMS = {"contact_sheet.py": ("pretrain.data", "pretrain.engine", "pretrain.errors")}


def imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_follow_the_arrows(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        allowed = PROGRAMS.get(path.name, ALLOWED[package])
        for name in imported_by(path):
            ours = name.split(".")[0] in ("pretrain", "finetune")
            assert not ours or name == "pretrain" or name.startswith(allowed), f"{path}: {name}"


def test_what_is_arithmetic_needs_no_torch() -> None:
    for pattern in WITHOUT_TORCH:
        for path in (ROOT / "finetune").glob(pattern):
            if path.parent == ROOT / "finetune" and path.name in WITH_TORCH:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in tree.body:  # what stands under TYPE_CHECKING is not imported
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
                assert not {name.split(".")[0] for name in names} & {"torch", "timm"}, path


def test_heavy_libraries_are_imported_where_used() -> None:
    heavy = {
        "pyarrow",
        "skimage",
        "datasets",
        "matplotlib",
        "tensorboard",
        "wandb",
        "transformers",
        "deepspeed",
    }
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & heavy, path


def test_no_module_shadows_a_library() -> None:
    # A program's folder comes first on sys.path, so a module beside it hides a library's.
    for path in [entry for package in PACKAGES for entry in (ROOT / package).iterdir()]:
        name = path.stem
        if name.startswith("_") or not (path.is_dir() or path.suffix == ".py"):
            continue
        assert name not in sys.stdlib_module_names, path
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:  # None: a folder, tests/engine for one
            assert Path(found.origin).is_relative_to(ROOT), f"{path} hides {found.origin}"


def test_names_say_what_is_inside() -> None:
    for path in MODULES:
        assert path.stem not in {"utils", "util", "misc", "common", "helpers"}, path


def test_top_level_holds_the_house_and_nothing_else() -> None:
    expected = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "pretrain",
        "finetune",
        "configs",
        "tests",
    }
    expected |= {"launch", "runs", "build", "dist"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    found = {name for name in found if not name.endswith(".egg-info") and name != "__pycache__"}
    assert found <= expected
