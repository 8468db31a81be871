# SPDX-License-Identifier: MIT
"""Several guest daemons of one VM."""

import os
import struct

from .link import CLIENT, CONTROL, DESCRIPTOR, KEY, Link, hello, welcome_key

TRIAL, INSTANCE = 2, 8


def leave(daemon):
    daemon.guest.expected_exit = True
    daemon.guest.stop()


def another(t, stack, tag, token=None, user=None, start=True):
    """One more daemon of the stack's VM, with a display of its own."""
    wrapper = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    more = t.stack(stack.compositor, transport=stack.transport, start=False, tag=tag, wrapper=wrapper)
    if more.vmm:
        more.vmm.close()
    more.guest_address, more.host, more.token_guest = stack.guest_address, stack.host, token or stack.token_guest
    if user:
        os.chown(more.dir, user, user)
        os.chown(t.write(f"guest{tag}.token", more.token_guest + "\n"), user, user)
        more._token = lambda *_: ["--token", t.path(f"guest{tag}.token")]
    if start:
        more.start_guest()
        more.wait_link()
    return more


class Raw:
    """A control connection by hand."""

    def __init__(self, stack, instance=None, trial=False):
        self.link = Link(stack.link_path)
        features = (INSTANCE if instance else 0) | (TRIAL if trial else 0)
        greeting = hello(CONTROL, DESCRIPTOR, features=features)
        if instance:
            size, kind, zero = struct.unpack_from("<IHH", greeting)
            greeting = struct.pack("<IHH", size + len(instance), kind, zero) + greeting[8:] + instance
        with open("/dev/null", "rb") as null:
            self.link.send(greeting, [null.fileno()])

    def welcomed(self):
        payload = self.link.wait("WELCOME")
        self.features = struct.unpack_from("<I", payload, 4)[0]
        self.key = welcome_key(payload)
        return self

    def client(self, stack):
        link = Link(stack.link_path)
        link.send(hello(CLIENT, KEY, self.key))
        return link
