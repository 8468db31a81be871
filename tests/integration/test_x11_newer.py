#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tests of test_x11_programs.py with a newer X server than the system's: WAYVSOCK_NEWER_XWAYLAND, as scripts/newer-xwayland
prints it."""

import os

from harness import main, test
from harness.tap import Skip

COMMAND = os.environ.get("WAYVSOCK_NEWER_XWAYLAND")
if COMMAND:
    os.environ["PATH"] = f"{os.path.dirname(COMMAND)}:{os.environ['PATH']}"
    import test_x11_programs    # noqa: F401 (its tests)
else:
    @test(direct=False)
    def newer(_):
        raise Skip("WAYVSOCK_NEWER_XWAYLAND does not name one")


if __name__ == "__main__":
    main()
