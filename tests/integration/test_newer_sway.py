#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A sway that knows security contexts, which Debian 12's does not; scripts/newer-sway says how to get it.

It tells which clients are sandboxed, and hides from them what could watch or control the desktop."""

import os

from harness import Skip, main, test

CONTEXT_OFF = """\
[vm test]
listen = @ADDRESS@
security-context = no
allow = zwlr_layer_shell_v1
"""


def newer_sway(t):
    command = os.environ.get("WAYVSOCK_NEWER_SWAY")
    if not command:
        raise Skip("WAYVSOCK_NEWER_SWAY does not name one")
    return t.sway(command=command)


def globals_of(t, stack):
    with stack.client() as client:
        client.registry = client.get_registry()
        client.roundtrip()
        return {interface for interface, _ in client.globals.values()}


@test
def application_on_newer_sway(t):
    """A terminal of the guest shows its window there as well."""
    t.need("foot")
    sway = newer_sway(t)
    stack = t.stack(sway)
    proc = stack.spawn("foot", "-e", "sh", "-c", "seq 1000; exec sleep 1000")
    window = sway.window(app_id="foot")
    t.wait(lambda: len(set(sway.grab()[16:])) > 3, "something is drawn")
    sway.msg(f"[con_id={window['id']}]", "kill")
    sway.no_windows()
    proc.kill()


@test(direct=False)
def clients_are_tagged(t):
    """The log does not complain, and the guest's clients are not offered privileged globals even if the policy is open."""
    sway = newer_sway(t)
    stack = t.stack(sway, host_args=["--allow", "zwlr_layer_shell_v1"])
    seen = globals_of(t, stack)
    t.has("xdg_wm_base", seen, "globals")
    t.lacks("zwlr_layer_shell_v1", seen, "globals")
    t.lacks("are not tagged", stack.host.log(), "the host's log")
    t.wait(lambda: "zwlr_layer_shell_v1" in stack.host.log(), "the log names what sway withholds")


@test(direct=False)
def nobody_gets_around_the_context(t):
    """Where the context cannot be made, sway has no client rather than one that it does not know for a sandboxed one."""
    sway = newer_sway(t)
    stack = t.stack(sway, start=False, host_args=["--allow", "zwlr_screencopy_manager_v1"],
                    host_env={"XDG_RUNTIME_DIR": t.path("nowhere")}).start_before_clients()
    with stack.client() as client:
        client.registry = client.get_registry()
        error = client.expect_error()
    t.has("no compositor", error.text, "what the client is told")
    t.has("no security context", stack.host.log(), "the host's log")
    t.lacks("zwlr_screencopy_manager_v1", {i for i, _ in client.globals.values()}, "globals")


@test(direct=False)
def check_names_what_is_withheld(t):
    """--check says that an allowed global does not get through."""
    sway = newer_sway(t)
    stack = t.stack(sway, start=False, host_args=["--allow", "zwlr_layer_shell_v1", "--check"])
    check = t.run(stack.host_argv(), name="check")
    t.eq(check.popen.returncode, 0, "--check's status: applications would work")
    t.has("zwlr_layer_shell_v1", check.log(), "--check")


@test(direct=False)
def untagged_clients_get_what_is_allowed(t):
    """Without a security context sway offers what the policy allows."""
    sway = newer_sway(t)
    stack = t.stack(sway, config=CONTEXT_OFF)
    t.has("zwlr_layer_shell_v1", globals_of(t, stack), "globals")


if __name__ == "__main__":
    main()
