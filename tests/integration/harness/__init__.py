# SPDX-License-Identifier: MIT
"""What the integration tests share: a TAP runner, processes, compositors, the proxy stack and a raw wire."""

from .tap import test, main, Skip, Failure  # noqa: F401
