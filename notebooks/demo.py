"""Run the quickstart from its first cell to a live endpoint, ask that endpoint once more, and clean up.

The executed notebook is kept in ``build/demo/``; runs, versions and the promotion stay in the store.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "01_quickstart.ipynb"
EXECUTED = ROOT / "build" / "demo" / NOTEBOOK.name
ROWS = ROOT / "build" / "demo" / "new_flights.csv"

# An evening in July: JFK to Boston in rain and gusts, and LaGuardia to Chicago on a calm morning.
NEW_FLIGHTS = """\
carrier,origin,dest,weekday,plane_type,hour,distance,temp,humid,wind_speed,wind_gust,precip,pressure,visib,plane_year,seats
B6,JFK,BOS,Fri,Fixed wing multi engine,19,187.0,84.2,71.0,13.81,24.17,0.12,1006.4,4.0,2006.0,200.0
AA,LGA,ORD,Mon,,7,733.0,71.1,60.5,5.75,,0.0,1018.9,10.0,,
"""


def main() -> None:
    """Do it, and say where to look."""
    begun = time.monotonic()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    EXECUTED.parent.mkdir(parents=True, exist_ok=True)
    print(f"Running {NOTEBOOK.relative_to(ROOT)} ...")
    try:
        NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
        ).execute()
        ROWS.write_text(NEW_FLIGHTS)
        answer = json.loads(_mlops("predict", "flights", str(ROWS), "--json"))
    finally:
        nbformat.write(notebook, EXECUTED)
        _mlops("deploy", "flights", "--remove", check=False)
    if answer["values"] != [1, 0]:
        sys.exit(f"The endpoint answered {answer['values']}: a late and a punctual flight were expected.")
    print(
        f"Done in {time.monotonic() - begun:.0f} s: tracked, evaluated, registered, promoted, served.\n"
        f"  the live endpoint said   late, punctual (request {answer['request_ids'][0]})\n"
        f"  executed notebook        {EXECUTED.relative_to(ROOT)}\n"
        "  open it in JupyterLab    make lab\n"
        "  runs, models, history    .venv/bin/mlflow server --backend-store-uri sqlite:///mlflow.db"
    )


def _mlops(*words: str, check: bool = True) -> str:
    command = [str(Path(sys.executable).parent / "mlops"), *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=check)  # noqa: S603 - fixed words
    return done.stdout


if __name__ == "__main__":
    main()
