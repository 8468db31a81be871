# SPDX-License-Identifier: MIT
"""The proxies with services beside the display."""

import os

from .proc import listens, wait_until


class Services:
    """Both daemons around a fake compositor, and the services that @lines tell of: NAME → the lines of its section.
    .socket(NAME) is where the guest's programs find one."""

    def __init__(self, t, lines, vm_lines="", compositor=None, **options):
        self.t = t
        self.dir = t.mkdir("services" + options.get("tag", ""))
        names = " ".join(lines)
        config = f"[vm test]\nlisten = @ADDRESS@\nforward = {names}\n{vm_lines}\n"
        for name, text in lines.items():
            config += f"\n[forward {name}]\n{text}\n"
        guest_args = options.pop("guest_args", [])
        for name in lines:
            guest_args = [*guest_args, "--forward", f"{name}={self.socket(name)}"]
        self.stack = t.stack(compositor or t.fake(), config=config, guest_args=guest_args, **options)
        for name in lines:
            wait_until(lambda path=self.socket(name): listens(path), f"{name} is offered in the guest")

    def socket(self, name):
        return os.path.join(self.dir, name)

    @property
    def host(self):
        return self.stack.host

    @property
    def guest(self):
        return self.stack.guest
