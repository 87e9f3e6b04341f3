"""``%load_ext mlops_magics`` against an extension that does nothing."""

from side_by_side import in_turn, main, median, record

LOAD = """
import json, sys, time
from pathlib import Path
Path("empty_extension.py").write_text("def load_ipython_extension(shell): pass")
sys.path.insert(0, ".")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
begun = time.perf_counter()
shell.run_line_magic("load_ext", "{name}")
seconds = time.perf_counter() - begun
heavy = [name for name in ("pandas", "mlflow", "sklearn", "anywidget", "numpy") if name in sys.modules]
print(json.dumps({{"ms": seconds * 1000, "heavy": len(heavy)}}))
"""


def run() -> None:
    """Measure and record."""
    found = in_turn(
        {"ours": LOAD.format(name="mlops_magics"), "empty": LOAD.format(name="empty_extension")}, rounds=11
    )
    ours, empty = median(found["ours"], "ms"), median(found["empty"], "ms")
    assert not any(item["heavy"] for item in found["ours"])
    record(
        "load",
        [
            "| side | `%load_ext`, median of 11 fresh processes |",
            "| --- | --- |",
            f"| mlops_magics | {ours:.1f} ms |",
            f"| an empty extension | {empty:.1f} ms |",
            "",
            (
                f"{ours - empty:.1f} ms over the empty one; goal: under 20 ms. None of pandas, mlflow, sklearn, "
                "anywidget, numpy is loaded."
            ),
        ],
    )


main(run)
