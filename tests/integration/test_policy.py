#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a VM may see and do: hidden globals, --allow, prefixes, directions, the security context."""

import os
import resource
import subprocess

from harness import Failure, main, test
from harness.client import Client, Pool, ProtocolError, Window
from harness.fake import GLOBALS

SENSITIVE = [
    ("zwlr_screencopy_manager_v1", 3), ("ext_image_copy_capture_manager_v1", 1), ("zwlr_export_dmabuf_manager_v1", 1),
    ("zwp_virtual_keyboard_manager_v1", 1), ("zwlr_virtual_pointer_manager_v1", 2), ("zwp_input_method_manager_v2", 1),
    ("zwlr_layer_shell_v1", 4), ("ext_session_lock_manager_v1", 1), ("zwlr_data_control_manager_v1", 2),
    ("ext_data_control_manager_v1", 1), ("zwlr_output_manager_v1", 4), ("zwlr_output_power_manager_v1", 1),
    ("zwlr_gamma_control_manager_v1", 1), ("zwlr_foreign_toplevel_manager_v1", 3), ("ext_foreign_toplevel_list_v1", 1),
    ("ext_idle_notifier_v1", 1), ("wp_drm_lease_device_v1", 1), ("wp_security_context_manager_v1", 1),
    ("zwp_xwayland_keyboard_grab_manager_v1", 1), ("zwlr_input_inhibit_manager_v1", 1),
]
# Descriptors of these cannot be carried at all: --allow does not bring them.
IMPOSSIBLE = [("zwp_linux_dmabuf_v1", 4), ("wl_drm", 2), ("wp_drm_lease_device_v1", 1), ("wp_security_context_manager_v1", 1),
              ("zwp_linux_explicit_synchronization_v1", 2), ("wp_linux_drm_syncobj_manager_v1", 1),
              ("made_up_manager_v1", 1)]
ORDINARY = GLOBALS + [("zwp_primary_selection_device_manager_v1", 1), ("xdg_activation_v1", 1),
                      ("zxdg_decoration_manager_v1", 1), ("zwp_relative_pointer_manager_v1", 1),
                      ("zwp_pointer_constraints_v1", 1), ("zwp_text_input_manager_v3", 1), ("zwp_tablet_manager_v2", 1),
                      ("wp_fractional_scale_manager_v1", 1), ("wp_cursor_shape_manager_v1", 1), ("zxdg_output_manager_v1", 3),
                      ("zwp_idle_inhibit_manager_v1", 1), ("wp_single_pixel_buffer_manager_v1", 1),
                      ("zwp_pointer_gestures_v1", 3), ("xdg_toplevel_icon_manager_v1", 1)]
ALL = ORDINARY + [g for g in SENSITIVE + IMPOSSIBLE if g[0] not in {o[0] for o in ORDINARY}]
EVERYTHING = list(dict(ALL).items())


def shown(stack):
    with Client(stack.display) as c:
        c.registry = c.get_registry()
        c.roundtrip()
        return {i for i, _ in c.globals.values()}


@test(direct=False)
def sensitive_globals_are_hidden(t):
    fake = t.fake(globals=EVERYTHING)
    names = shown(t.stack(fake))
    for interface, _ in SENSITIVE + IMPOSSIBLE:
        t.ok(interface not in names, f"{interface} is hidden")
    for interface, _ in ORDINARY:
        t.ok(interface in names, f"{interface} is there")


@test(direct=False)
def allow_all(t):
    """--allow '*' brings all that can be carried, and nothing that cannot."""
    fake = t.fake(globals=EVERYTHING)
    names = shown(t.stack(fake, host_args=["--allow", "*"]))
    impossible = {i for i, _ in IMPOSSIBLE}
    for interface, _ in EVERYTHING:
        if interface in impossible:
            t.ok(interface not in names, f"{interface} stays hidden")
        elif interface != "zwlr_export_dmabuf_manager_v1":
            t.ok(interface in names, f"{interface} is allowed")


@test(direct=False)
def allow_some(t):
    """Globs, several of them; deny wins."""
    fake = t.fake(globals=EVERYTHING)
    names = shown(t.stack(fake, tag="a", host_args=["--allow", "zwlr_layer_*", "--allow", "ext_idle_notifier_v1"]))
    t.ok({"zwlr_layer_shell_v1", "ext_idle_notifier_v1"} <= names, "the allowed ones are there")
    t.ok(not {"zwlr_screencopy_manager_v1", "zwp_virtual_keyboard_manager_v1"} & names, "no other")
    names = shown(t.stack(fake, tag="b", config="[vm test]\nlisten = @ADDRESS@\nallow = zwlr_* ext_idle_notifier_v1\n"
                                                "deny = zwlr_screencopy_* wl_subcompositor\n"))
    t.ok({"zwlr_layer_shell_v1", "ext_idle_notifier_v1", "zwlr_gamma_control_manager_v1"} <= names, "allowed by the file")
    t.ok(not {"zwlr_screencopy_manager_v1", "wl_subcompositor"} & names, "denied by the file")


@test(direct=False)
def two_vms_two_policies(t):
    fake = t.fake(globals=EVERYTHING)
    second = t.path("second")
    stack = t.stack(fake, settle=False, config="[vm one]\nlisten = @ADDRESS@\nallow = zwlr_layer_shell_v1\ntitle-prefix = \"[one] \"\n"
                                 f"[vm two]\nlisten = unix:{second}\ntitle-prefix = \"[two] \"\n")
    other = t.stack(fake, start=False, tag="two")
    other.guest_address = f"unix:{second}"
    other.host = stack.host
    other.start_guest()
    other.wait_link()
    t.ok("zwlr_layer_shell_v1" in shown(stack), "allowed for the first")
    t.ok("zwlr_layer_shell_v1" not in shown(other), "not for the second")
    for s, prefix in ((stack, "[one] "), (other, "[two] ")):
        c = s.client()
        window = Window(c, title="title")
        c.roundtrip()
        t.eq(fake.peer_of(c).find("xdg_toplevel", "set_title")[-1].args[0], prefix + "title", "the title")
    # One VM's end is not the other's.
    stack.guest.kill()
    t.ok(other.usable(), "the second goes on")


@test(direct=False)
def prefixes_on_sway(t):
    """Title and app_id prefixes are what the compositor shows."""
    t.need("foot")
    sway = t.sway()
    stack = t.stack(sway, config="[vm test]\nlisten = @ADDRESS@\ntitle-prefix = \"[vm] \"\napp-id-prefix = vm.\n")
    stack.spawn("foot", "--title", "a terminal", "--app-id", "term", "-e", "sleep", "1000")
    sway.window(app_id="vm.term", title="[vm] a terminal")


@test(direct=False)
def prefix_of_a_window_without_title(t):
    """A window that sets no title cannot pass for one of the host's, where the VM has a prefix."""
    fake = t.fake()
    stack = t.stack(fake, config="[vm test]\nlisten = @ADDRESS@\ntitle-prefix = \"[vm] \"\napp-id-prefix = vm.\n")
    c = stack.client()
    toplevel = c.create(c.create(c.bind("xdg_wm_base", 1), "get_xdg_surface",
                                 c.create(c.bind("wl_compositor", 4), "create_surface")), "get_toplevel")
    c.send(toplevel, "set_title", "")
    c.send(toplevel, "set_app_id", "x")
    c.roundtrip()
    peer = fake.newest()
    titles = [m.args[0] for m in peer.find("xdg_toplevel", "set_title")]
    t.eq(titles[-1], "[vm] ", "the empty title")
    t.eq(peer.find("xdg_toplevel", "set_app_id")[-1].args[0], "vm.x", "the app_id")


# A line break, an escape sequence, an override of the direction, zero-width characters, marks without end.
LIES = "a\n\x1b[2J\u202eb\u200b\u2066c" + "\u0301" * 40
SHOWN = "a  [2Jbc" + "\u0301" * 4


@test(direct=False)
def names_that_lie(t):
    """Whatever an application calls itself, the compositor gets it clean, short and behind the prefix."""
    fake = t.fake(globals=GLOBALS + [("xdg_activation_v1", 1), ("xdg_toplevel_icon_manager_v1", 1)])
    stack = t.stack(fake, config="[vm test]\nlisten = @ADDRESS@\ntitle-prefix = \"[vm] \"\napp-id-prefix = vm.\n")
    c = stack.client()
    window = Window(c, title=LIES, app_id="../" + LIES)
    token = c.create(c.bind("xdg_activation_v1", 1), "get_activation_token")
    c.send(token, "set_app_id", LIES)
    icon = c.create(c.bind("xdg_toplevel_icon_manager_v1", 1), "create_icon")
    c.send(icon, "set_name", "firefox")
    c.send(window.toplevel, "set_title", "x" * 3000)
    c.roundtrip()
    peer = fake.newest()
    titles = [m.args[0] for m in peer.find("xdg_toplevel", "set_title")]
    t.eq(titles[1], "[vm] " + SHOWN, "the title")
    t.eq(titles[2], "[vm] " + "x" * 256, "the long title")
    t.eq(peer.find("xdg_toplevel", "set_app_id")[-1].args[0], "vm..._" + SHOWN, "the app_id")
    t.eq(peer.find("xdg_activation_token_v1", "set_app_id")[-1].args[0], "vm." + SHOWN, "the token's app_id")
    t.eq(peer.find("xdg_toplevel_icon_v1", "set_name")[-1].args[0], "vm.firefox", "the icon")


@test(direct=False)
def names_that_lie_on_sway(t):
    """What sway shows of them, without any prefix."""
    sway = t.sway()
    stack = t.stack(sway)
    with stack.client() as c:
        window = Window(c, title=LIES, app_id="x/" + LIES)
        pool = Pool(c, window.shm, 64 * 64 * 4)
        window.show(pool.buffer(0, 64, 64, 256))
        c.roundtrip()
        sway.window(app_id="x_" + SHOWN, title=SHOWN)
        pool.close()


REAL = "[vm test]\nlisten = @ADDRESS@\noutput-names = real\n"


@test(direct=False)
def names_of_screens(t):
    """Which screens they are, by maker, model and serial number, is told to a VM that may know it."""
    fake = t.fake()
    for tag, config, expected in (("plain", None, "screen"), ("real", REAL, "Maker, model, 4711")):
        c = t.stack(fake, tag=tag, config=config).client()
        c.bind("wl_output", 4)
        peer = fake.peer_of(c)
        output = peer.bound("wl_output")
        peer.event(output, "geometry", 1, 2, 300, 200, 0, "Maker, model, 4711", "Maker, model, 4711", 0)
        peer.event(output, "name", "DP-1")
        peer.event(output, "description", "Maker, model, 4711")
        c.roundtrip()
        t.eq(c.wait_event("wl_output", "geometry").args, [1, 2, 300, 200, 0, expected, expected, 0], f"{tag}: geometry")
        t.eq(c.wait_event("wl_output", "name").args, ["DP-1"], f"{tag}: name")
        t.eq(c.wait_event("wl_output", "description").args, [expected], f"{tag}: description")


@test(direct=False)
def names_of_screens_on_sway(t):
    sway = t.sway()

    def output(display):
        with Client(display) as c:
            c.bind("wl_output", 4)
            c.roundtrip()
            return [c.wait_event("wl_output", name).args for name in ("geometry", "name", "description")]
    geometry, name, description = output(sway.socket)
    t.eq(output(t.stack(sway, tag="real", config=REAL).display), [geometry, name, description], "with real names")
    plain = output(t.stack(sway, tag="plain").display)
    t.eq(plain, [geometry[:5] + ["screen", "screen"] + geometry[7:], name, ["screen"]], "with plain ones")


@test(direct=False)
def what_the_guest_is_told_of_failures(t):
    """No path of the host's, which says who its user is."""
    fake = t.fake()
    stack = t.stack(fake)
    fake.close()
    with stack.client() as c:
        c.registry = c.get_registry()
        error = c.expect_error()
    t.has("no compositor", error.text, "what the client is told")
    t.ok("/" not in error.text, f"what the client is told: {error.text}")
    t.has(fake.socket, stack.host.log(), "the host's log")


CONTEXTS = GLOBALS + [("wp_security_context_manager_v1", 1)]


@test(direct=False)
def security_context(t):
    """One context for the VM, with engine, app id and instance id; every client comes through its listener."""
    fake = t.fake(globals=CONTEXTS)
    stack = t.stack(fake, vm="work")
    clients = [stack.client() for _ in range(5)]
    for c in clients:
        c.bind("wl_compositor", 4)
        c.roundtrip()
    contexts = fake.committed_contexts()
    t.eq(len(contexts), 1, "contexts")
    data = contexts[0].metadata
    t.ok(data.get("sandbox_engine"), f"a sandbox engine: {data}")
    t.has("work", data.get("app_id", ""), "the VM's name in the app id")
    t.ok(data.get("instance_id"), f"an instance id: {data}")
    bound = [p for p in fake.open_peers() if p.find("wl_registry", "bind") and p.names.get(1)]
    t.eq(len([p for p in bound if p.context is contexts[0]]), 5, "clients that came through the context")
    t.eq([p.number for p in bound if not p.context], [], "clients around it")


@test(direct=False)
def one_security_context_for_each_vm(t):
    fake = t.fake(globals=CONTEXTS)
    second = t.path("second")
    stack = t.stack(fake, config=f"[vm one]\nlisten = @ADDRESS@\n[vm two]\nlisten = unix:{second}\n",
                    settle=False)
    other = t.stack(fake, start=False, tag="two")
    other.guest_address = f"unix:{second}"
    other.host = stack.host
    other.start_guest()
    other.wait_link()
    stack.client().roundtrip()
    other.client().roundtrip()
    t.eq(len({c.metadata["app_id"] for c in fake.committed_contexts()}), 2, "app ids")


@test(direct=False)
def security_context_can_be_turned_off(t):
    fake = t.fake(globals=CONTEXTS)
    stack = t.stack(fake, config="[vm test]\nlisten = @ADDRESS@\nsecurity-context = no\n")
    stack.client().roundtrip()
    t.eq(fake.contexts, {}, "contexts")


@test(direct=False)
def nobody_gets_around_the_context(t):
    """However few descriptors the host has, and wherever its folder is: a client is tagged, or refused."""
    fake = t.fake(globals=CONTEXTS)
    untagged = []

    def bound(peer, m):
        if not peer.context and m.args[1][0] != "wp_security_context_manager_v1":
            untagged.append(peer.number)
        return False
    fake.on("wl_registry", "bind", bound)

    def tried(stack):
        """Whether a client got through."""
        with stack.client() as c:
            try:
                c.bind("wl_compositor", 4)
                c.roundtrip()
                return True
            except (ProtocolError, Failure, OSError):
                return False
    def untried(tag, **options):
        return t.stack(fake, vm="work", tag=tag, start=False, **options).start_before_clients()
    stack = untried("few")
    process = stack.host.vm("work")
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    fds = len(process.fds())
    results = set()
    for more in range(1, 10):   # the first is the link's own
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (fds + more, limits[1]))
        results.add(tried(stack))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    t.ok(tried(stack), "a client with descriptors enough")
    t.eq(untagged, [], "clients around the context")
    t.ok(False in results, "some were refused")
    stack = untried("nowhere", host_env={"XDG_RUNTIME_DIR": t.path("nowhere")})
    t.ok(not tried(stack), "no folder, no client")
    for length in (41, 47, 80, 83, 84):
        folder = os.path.join(t.dir, "x" * (length - len(t.dir) - 1))
        os.mkdir(folder, 0o700)
        stack = untried(str(length), host_env={"XDG_RUNTIME_DIR": folder})
        t.ok(tried(stack), f"a folder whose path has {length} characters")
    t.eq(untagged, [], "clients around the context")


@test(direct=False)
def withheld_global_is_named(t):
    """An allowed global that the compositor does not offer to the context is named in the log and by --check."""
    fake = t.fake(globals=CONTEXTS + [("zwlr_layer_shell_v1", 4)])
    fake.withheld.add("zwlr_layer_shell_v1")
    stack = t.stack(fake, host_args=["--allow", "zwlr_layer_shell_v1"])
    t.ok("zwlr_layer_shell_v1" not in shown(stack), "the client does not see it")
    t.wait(lambda: "zwlr_layer_shell_v1" in stack.host.log(), "the log names it")
    r = subprocess.run([os.environ["WAYVSOCK_HOST"], "--listen", f"unix:{t.path('h2')}", "--vm", "x", "--compositor", fake.socket,
                        "--allow", "zwlr_layer_shell_v1", "--check"], capture_output=True, text=True, timeout=30, env=t.env())
    t.has("zwlr_layer_shell_v1", r.stdout + r.stderr, "--check")
    line = next(line for line in stack.host.log().splitlines() if "zwlr_layer_shell_v1" in line)
    t.has("security-context = no", line, "who has allowed it is told how to have it")


@test(direct=False)
def withheld_by_default_is_no_warning(t):
    """What our own policy allows and a careful compositor withholds is nothing to do anything about."""
    fake = t.fake(globals=CONTEXTS + [("wp_viewporter", 1)])
    fake.withheld.add("wp_viewporter")
    stack = t.stack(fake)
    t.ok("wp_viewporter" not in shown(stack), "the client does not see it")
    t.wait(lambda: "wp_viewporter" in stack.host.log(), "the log of this level names it")
    t.lacks("security-context = no", stack.host.log(), "the log")
    r = subprocess.run([os.environ["WAYVSOCK_HOST"], "--listen", f"unix:{t.path('h2')}", "--vm", "x", "--compositor", fake.socket,
                        "--check"], capture_output=True, text=True, timeout=30, env=t.env())
    t.eq((r.returncode, r.stderr), (0, ""), "--check, which shows warnings")


@test(direct=False)
def sway_shows_what_the_policy_lets_through(t):
    """wayland-info in the guest, on a real compositor: a subset of what it shows on the host, without the sensitive ones."""
    t.need("wayland-info")
    sway = t.sway()
    stack = t.stack(sway)

    def info(env):
        proc = t.run(["wayland-info"], env)
        t.eq(proc.popen.returncode, 0, "wayland-info's status")
        found = {}
        for line in proc.log().splitlines():
            if line.startswith("interface: '"):
                fields = line.replace("'", "").replace(",", "").split()
                found[fields[1]] = int(fields[3])
        return found
    host, guest = info(sway.env()), info(stack.env())
    t.ok(set(guest) <= set(host), f"only in the guest: {set(guest) - set(host)}")
    for interface, _ in SENSITIVE:
        t.ok(interface not in guest, f"{interface} is hidden")
    for interface in ("wl_compositor", "wl_shm", "wl_seat", "wl_output", "xdg_wm_base", "wl_data_device_manager"):
        t.ok(guest.get(interface, 0) == host[interface], f"{interface}: version {guest.get(interface)} of {host[interface]}")


@test(direct=False)
def unnamed_is_refused(t):
    """A configuration that names no VM for a listener is an error with a text, not an open door."""
    path = t.write("c.conf", "[vm a]\nlisten = unix:" + t.path("a") + "\n[vm a]\n")
    r = subprocess.run([os.environ["WAYVSOCK_HOST"], "--config", path], capture_output=True, text=True, timeout=20, env=t.env())
    t.ok(r.returncode in (1, 2), f"a VM named twice: status {r.returncode}")
    t.has("c.conf", r.stderr, "the file's name")
    for line, part in (("allow-all = yes", "allow-all"), ("clipboard = sometimes", "sometimes"), ("max-clients = many", "many"),
                       ("max-memory = 5X", "5X"), ("listen = tcp:1", "tcp:1"), ("cid = -1", "-1")):
        path = t.write("c.conf", f"[vm a]\nlisten = unix:{t.path('a')}\n{line}\n")
        r = subprocess.run([os.environ["WAYVSOCK_HOST"], "--config", path], capture_output=True, text=True, timeout=20,
                           env=t.env())
        t.ok(r.returncode in (1, 2), f"{line}: status {r.returncode}")
        t.has("3", r.stderr, f"{line}: the line's number")
        t.has(part, r.stderr, f"{line}: what is wrong")


if __name__ == "__main__":
    main()
