"""``python -m mlops_magics.runner FOLDER``: execute the notebook that one line of stdin describes.

``told.json`` in the folder says how it ended. The process ends, with all that the notebook started, when its
stdin is closed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from mlops_magics.runner.order import Order
from mlops_magics.runner.supervising import Supervisor


def main(folder: Path) -> NoReturn:
    """Execute it.

    Args:
        folder: A private folder.
    """
    Supervisor(Order.of_line(sys.stdin.buffer.readline()), folder).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
