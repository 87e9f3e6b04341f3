"""What a cell shows in a real kernel: the notebook gets the same with tracking, and the run keeps it."""

import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from places import project_in

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store

FIT = """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(C={c}).fit([[1.0], [2.0]], [0, 1])
"""
SETUP = """
%load_ext mlops_magics
%config MLOps.standby = False
import io, sys, threading
import matplotlib.pyplot as plt
from IPython.display import SVG, Image, clear_output, display
from IPython.utils.capture import capture_output
from PIL import Image as pil
"""
# The first of their kind in a session, and what says so; where the cell has shown something, nothing does.
FIRST = {
    "# of a session\n%config MLOps.verify = False\n%mlops_track e\n%mlops_track --off": "%mlops_track",
    "%%mlops_track --name first\nprint('its own')": "%%mlops_track",
    "found = %mlops_recover": "%mlops_recover",
    "%mlops_why nothing": "%mlops_why",
    "print('before')\n%mlops_profile nothing": None,
}
SHOWN = {
    "inline": (
        "plt.plot([1, 3]); print('a'); plt.figure(); plt.plot([2, 1]); print('b', file=sys.stderr)",
        2,
    ),
    "laid out by matplotlib": (
        "fig, axes = plt.subplots(2, 2, layout='constrained'); axes[0, 0].set_title('a' * 30); print('x')",
        1,
    ),
    "an animation": (
        "fig = plt.figure()\nfor i in (1, 2):\n  plt.plot([i]); clear_output(1); display(fig)\nplt.close()",
        1,
    ),
    "displayed and left open": ("fig, ax = plt.subplots(); display(fig); print('between')", 2),
    "displayed and closed": ("fig, ax = plt.subplots(); display(fig); plt.close(fig)", 1),
    "a picture and a last expression": ("display(pil.new('RGB', (4, 4), 'red'))\npil.new('RGB', (5, 5))", 2),
    "a figure as the last expression": ("fig = plt.Figure(); fig.add_subplot()\nfig", 1),
    "SVG": (
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><title>ghp_aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1</title></svg>'))",
        1,
    ),
    "bytes of a PNG": (
        "buffer = io.BytesIO(); pil.new('L', (3, 3)).save(buffer, 'png')\nImage(buffer.getvalue())",
        1,
    ),
    "updated": (
        "handle = display(pil.new('L', (3, 3)), display_id=True)\nhandle.update(pil.new('L', (9, 9)))",
        1,
    ),
    "cleared": ("for i in range(1, 40):\n    clear_output(wait=True)\n    display(pil.new('L', (i, i)))", 1),
    "captured": (
        "with capture_output() as taken:\n    display(pil.new('L', (3, 3)))\nprint(len(taken.outputs))",
        0,
    ),
    "from a thread": (
        "t = threading.Thread(target=lambda: display(pil.new('L', (3, 3)))); t.start(); t.join()",
        1,
    ),
    "a figure that cannot be drawn": ("plt.title('$\\\\frac{$'); print('x')", 0),
    "failing": ("plt.plot([1]); print('so far')\n1 / 0", 1),
    "nothing": ("plt.close('all')", 0),
}


class Kernel:
    """A real kernel; a cell's outputs are what a front end gets."""

    def __init__(self, folder: Path) -> None:
        self.manager: KernelManager
        self.manager, self.client = start_new_kernel(cwd=str(folder), startup_timeout=60)
        self.first: dict[str, list[tuple[str, Any]]] = {}

    def run(self, code: str) -> list[tuple[str, Any]]:
        outputs: list[tuple[str, Any]] = []

        def take(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and outputs and outputs[-1][0] == content["name"]:
                outputs[-1] = (content["name"], outputs[-1][1] + content["text"])
            elif kind == "stream":
                outputs.append((content["name"], content["text"]))
            elif kind in {"display_data", "execute_result", "update_display_data"}:
                outputs.append((kind, content["data"]))
            elif kind == "error":
                outputs.append((kind, content["ename"]))
            elif kind == "clear_output":
                outputs.append((kind, content["wait"]))

        self.client.execute_interactive(code, timeout=120, output_hook=take)
        return outputs

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Iterator[Kernel]:
    """One kernel for all of these: importing takes seconds."""
    parent = tmp_path_factory.mktemp("output")
    with pytest.MonkeyPatch.context() as patch, project_in(parent) as folder:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(parent / name.lower()))
        (folder / "mlflow.db").write_bytes(store_template.read_bytes())
        made = Kernel(folder)
        try:
            assert not any(kind == "error" for kind, _ in made.run(SETUP))
            made.first = {code: made.run(code) for code in FIRST}
            yield made
        finally:
            made.close()


@pytest.fixture
def figures(tmp_path: Path) -> Callable[[], list[bytes]]:
    """Read the figures of the newest run."""

    def read() -> list[bytes]:
        store = open_store(Settings.discover())
        newest = store.client.search_runs([store.experiment_id("e")])[0].info.run_id
        found = sorted(item.path for item in store.client.list_artifacts(newest, "mlops/figures"))
        assert [Path(path).stem for path in found] == [f"{i:02d}" for i in range(1, len(found) + 1)]
        return [
            Path(store.client.download_artifacts(newest, path, str(tmp_path))).read_bytes() for path in found
        ]

    return read


def _images(outputs: list[tuple[str, Any]]) -> list[bytes]:
    """List the images of outputs, as the run keeps them."""
    found = []
    for kind, data in outputs:
        if kind == "clear_output":
            found.clear()
        if not isinstance(data, dict):
            continue
        if "image/png" in data:
            if kind == "update_display_data":
                found.pop()
            found.append(base64.b64decode(data["image/png"]))
        elif "image/svg+xml" in data:
            found.append(
                data["image/svg+xml"].replace("ghp_aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1", "****").encode()
            )
    return found


def _joined(outputs: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Join what one stream wrote before and after an output that is left out."""
    found: list[tuple[str, Any]] = []
    for kind, data in outputs:
        if found and kind == found[-1][0] in {"stdout", "stderr"}:
            found[-1] = (kind, found[-1][1] + data)
        else:
            found.append((kind, data))
    return found


def _ours(output: tuple[str, Any]) -> bool:
    return isinstance(output[1], dict) and 'class="mlm"' in output[1].get("text/html", "")


@pytest.mark.parametrize("case", SHOWN)
def test_a_notebook_shows_the_same_and_the_run_keeps_the_images(
    kernel: Kernel, figures: Callable[[], list[bytes]], case: str
) -> None:
    cell, count = SHOWN[case]
    place = list(SHOWN).index(case)
    fits = [FIT.format(c=place + 1 + part / 4) for part in range(3)]
    plain = kernel.run(f"{fits[0]}{cell}")
    magic = kernel.run(f"%%mlops_track --name cell{place}\n{fits[1]}{cell}")
    assert figures() == _images(magic)
    kernel.run("%mlops_track e")
    automatic = kernel.run(f"{fits[2]}{cell}")
    kernel.run("%mlops_track --off")
    assert figures() == _images(automatic)
    assert [output for output in automatic if not _ours(output)] == plain
    assert len(_images(plain)) == count
    # The last expression of a cell that a magic executes is displayed: the result is the magic's own.
    shown = [("display_data" if kind == "execute_result" else kind, data) for kind, data in plain]
    assert _joined(output for output in magic if not _ours(output)) == shown
    # The run, or that it failed; and a remark that the cell cannot be made again, for its secret.
    wanted = {"SVG": 2}.get(case, 1)
    assert sum(map(_ours, magic)) == sum(map(_ours, automatic)) == wanted


def test_figures_that_matplotlib_shows_come_after_the_run_as_they_always_did(kernel: Kernel) -> None:
    outputs = kernel.run("%%mlops_track --name order\nplt.plot([1, 2])")
    assert [kind for kind, _ in outputs] == ["display_data", "execute_result", "display_data"]
    assert _ours(outputs[1])
    assert "image/png" in outputs[2][1]


def test_more_figures_than_are_kept_are_said(kernel: Kernel, figures: Callable[[], list[bytes]]) -> None:
    kernel.run("%%mlops_track --name many -o run\nfor i in range(23): display(pil.new('L', (i + 1, 1)))")
    assert len(figures()) == 20
    assert "Of 23 figures 20 were kept" in kernel.run("run.notes")[0][1]["text/plain"]
    noise = "pil.frombytes('RGB', (1000, 700), numpy.random.default_rng(i).bytes(2_100_000))"
    cell = f"import numpy\nfor i in range(6): display({noise})"
    kernel.run(f"%%mlops_track --name large -o run\n{cell}")
    assert 2 <= len(figures()) < 6
    assert sum(map(len, figures())) <= 10_000_000
    assert "Of 6 figures" in kernel.run("run.notes")[0][1]["text/plain"]


def test_a_cell_below_capture_shows_nothing_and_keeps_what_it_would_have(
    kernel: Kernel, figures: Callable[[], list[bytes]]
) -> None:
    outputs = kernel.run("%%capture taken\n%%mlops_track --name below\nplt.plot([1, 2])\nprint('x')")
    assert outputs == []
    assert len(figures()) == 1
    shown = kernel.run("taken.show()")
    assert ("stdout", "x\n") in shown
    assert _images(shown) == figures()


def test_nothing_is_left_on_the_streams_and_publishers(kernel: Kernel) -> None:
    kernel.run("%mlops_track e")
    kernel.run(f"{FIT.format(c=99)}plt.plot([1])")
    kernel.run("%%mlops_track --name last\nplt.plot([1])")
    kernel.run("%mlops_track --off")
    told = kernel.run(
        "shell = get_ipython()\n"
        "owners = {sys.stdout: 'write', sys.stderr: 'write', shell.display_pub: 'publish',\n"
        "          shell.displayhook: 'write_format_data'}\n"
        "[getattr(o, n).__module__ for o, n in owners.items() if 'mlops' in getattr(o, n).__module__], [\n"
        "    f.__module__ for fs in shell.events.callbacks.values() for f in fs\n"
        "    if 'mlops' in f.__module__ and 'recording' not in f.__module__]"
    )
    assert told[0][1]["text/plain"] in {"([], [])", "(['IPython.core.interactiveshell'], [])"}


def test_a_first_call_says_that_it_has_begun_and_leaves_nothing_of_that(kernel: Kernel) -> None:
    shown = {}
    for code, magic in FIRST.items():
        outputs = kernel.first[code]
        if magic is None:
            assert [kind for kind, _ in outputs] == ["stdout", "error"], code
            continue
        (kind, sign), cleared, *shown[magic] = outputs
        assert kind == "display_data", code
        assert sign["text/plain"].strip().startswith(f"The first {magic} of a session takes some seconds"), (
            code
        )
        assert cleared == ("clear_output", False), code
    assert [kind for kind, _ in shown["%mlops_track"]] == ["execute_result"]
    assert shown["%%mlops_track"][0] == ("stdout", "its own\n")
    assert shown["%mlops_recover"] == []
    assert shown["%mlops_why"] == [("error", "NotFoundError")]
    assert kernel.run("found = %mlops_recover") == []
