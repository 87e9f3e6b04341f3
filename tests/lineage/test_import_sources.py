"""The user's own modules in a cell's key: whatever they import changes it, whether imported yet or not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_magics.lineage.identity import key
from mlops_magics.lineage.sources import digest

FILES = {
    "helper_a.py": "import pack_b.inner\nfrom pack_b import more\ndef f():\n    return 1\n",
    "pack_b/__init__.py": "",
    "pack_b/inner.py": "from . import deep\nfrom .more import x\n",
    "pack_b/more.py": "x = 1\n",
    "pack_b/deep.py": "import numpy\ny = 1\n",
    "bare_c/part.py": "z = 1\n",
    "apart_d.py": "w = 1\n",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"helper_a", "pack_b", "bare_c"}]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("cell", "files"),
    [
        (
            "import helper_a\nhelper_a.f()",
            ["helper_a.py", "pack_b/inner.py", "pack_b/more.py", "pack_b/deep.py"],
        ),
        ("from helper_a import f as g\ng()", ["helper_a.py", "pack_b/__init__.py", "pack_b/deep.py"]),
        (
            "def h():\n    from pack_b.inner import deep\n    return deep.y\nh()",
            ["pack_b/deep.py", "pack_b/more.py"],
        ),
        ("from pack_b import more", ["pack_b/__init__.py", "pack_b/more.py"]),
        ("import bare_c.part as p", ["bare_c/part.py"]),
        ("from bare_c import part", ["bare_c/part.py"]),
    ],
)
def test_a_cell_that_imports_has_another_key_when_what_it_imports_has_changed(
    modules: Path, cell: str, files: list[str]
) -> None:
    first = key(cell, {})
    (modules / "apart_d.py").write_text("w = 2\n")
    assert key(cell, {}) == first
    for name in files:
        (modules / name).write_text(FILES[name] + "more = 2\n")
        assert key(cell, {}) != first, name
        (modules / name).write_text(FILES[name])
        assert key(cell, {}) == first


@pytest.mark.parametrize(
    "cell", ["import helper_a\nhelper_a.f()", "from bare_c import part", "import pack_b.inner"]
)
def test_the_key_is_the_same_before_and_after_the_import(modules: Path, cell: str) -> None:
    assert modules
    first = key(cell, {})
    exec(cell, {})  # noqa: S102 - the cell of this test
    assert key(cell, {}) == first


def test_a_module_that_a_name_holds_counts_with_what_it_imports(modules: Path) -> None:
    import helper_a  # type: ignore[import-not-found]

    names = {"helper_a": helper_a}
    first = key("helper_a.f()", names)
    (modules / "pack_b/deep.py").write_text("y = 2\n")
    assert key("helper_a.f()", names) != first


def test_what_is_installed_or_missing_adds_nothing_and_what_is_broken_its_text(modules: Path) -> None:
    assert (
        digest(["numpy.random", "json", "sklearn.svm.SVC", "nothing_of_that_name", "mlops_magics.track"])
        == ""
    )
    (modules / "apart_d.py").write_text("def (")
    first = key("import apart_d", {})
    (modules / "apart_d.py").write_text("def ((")
    assert key("import apart_d", {}) != first
