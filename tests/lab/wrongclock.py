"""Runs the program by a clock that a file sets: how many seconds it is off, and whether the kernel
calls it synchronised. ``wrongclock.py FILE COMMAND…``; the file is read again at every look.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tripgate import clock

TOLD = Path(sys.argv.pop(1))
REAL = time.time


def told() -> Any:
    return json.loads(TOLD.read_text())


time.time = lambda: REAL() + float(told()["off"])
clock.kernel_synchronised = lambda: bool(told()["synchronised"])

if __name__ == "__main__":
    from tripgate.__main__ import main

    main()
