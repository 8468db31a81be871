#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Object ids, registries, zombies and how connections end, seen from both ends.

The compositor is a test double: only it can make ids and zombies at the exact moment that a test needs, and show
what the host daemon forwarded.  Hotplug and a plain registry are also tried on sway."""

import os
import signal
import time

from harness import Skip, main, test
from harness.client import Client, Pool, Window
from harness.fake import GLOBALS
from harness.proc import wait_until
from harness.wire import SERVER_ID


@test
def ids_pass_unchanged(t):
    """What the client calls 17 the compositor calls 17."""
    _, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    ids = [client.create(compositor, "create_surface") for _ in range(40)]
    client.roundtrip()
    t.eq([m.args[0] for m in peer.find("wl_compositor", "create_surface")], ids, "ids at the compositor")
    t.eq(peer.bound("wl_compositor"), compositor, "the bound id")


@test
def requests_keep_order_and_bytes(t):
    """A long mixed batch arrives as it was sent, message for message."""
    _, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    client.roundtrip()
    start = len(peer.log)
    batch = b""
    for i in range(3000):
        for name, args in (("damage", (i, -i, i * 7, 1)), ("set_buffer_scale", (1 + i % 3,)), ("damage_buffer", (1, 2, 3, i))):
            batch += client.encode(surface, name, *args)[0]
    client.send_raw(batch)
    client.roundtrip()
    seen = [(m.name, tuple(m.args)) for m in peer.log[start:] if m.object == surface]
    t.eq(len(seen), 9000, "messages")
    t.eq(seen[:3], [("damage", (0, 0, 0, 1)), ("set_buffer_scale", (1,)), ("damage_buffer", (1, 2, 3, 0))], "the first")
    t.ok(all(seen[i * 3 + 2] == ("damage_buffer", (1, 2, 3, i)) for i in range(3000)), "order")


@test
def delete_id_and_reuse(t):
    """An id is reused for another interface as soon as the client knows that it is free."""
    _, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    for _ in range(20):
        surface = client.create(compositor, "create_surface")
        client.send(surface, "destroy")
        client.wait_for(lambda: surface in client.deleted, "delete_id")
        region = client.create(compositor, "create_region")
        t.eq(region, surface, "the freed id is used again")
        client.send(region, "add", 1, 2, 3, 4)
        client.send(region, "destroy")
        client.deleted.clear()
        client.wait_for(lambda: region in client.deleted, "delete_id")
        client.deleted.clear()
        client.roundtrip()
        client.deleted.clear()
    t.eq(len(peer.find("wl_region", "add")), 20, "requests to the reused id")


@test
def callbacks_reuse_one_id(t):
    _, _, client, peer = t.connected()
    highest = client.next_id
    for _ in range(500):
        client.roundtrip()
    t.ok(client.next_id <= highest + 1, "500 round trips take one id")


@test
def server_created_ids(t):
    """wl_data_device.data_offer makes objects at 0xff000000 and above, in order; requests to them pass."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    manager = client.bind("wl_data_device_manager", 3)
    device = client.create(manager, "get_data_device", seat)
    client.roundtrip()
    offers = []
    for i in range(50):
        offer = peer.new_server_id("wl_data_offer", 3)
        offers.append(offer)
        peer.event(device, "data_offer", offer)
        peer.event(offer, "offer", f"text/x-{i}")
        peer.event(device, "selection", offer)
    client.roundtrip()
    t.eq([m.args[0] for m in client.events if m.name == "data_offer"], offers, "the offers' ids")
    t.eq(offers[0], SERVER_ID, "the first server id")
    t.eq([m.args[0] for m in client.events if m.interface == "wl_data_offer"],
         [f"text/x-{i}" for i in range(50)], "the offers' types")
    for offer in offers[:-1]:
        client.send(offer, "destroy")
    client.roundtrip()
    t.eq(len(peer.find("wl_data_offer", "destroy")), 49, "destroy of server-created objects")
    # The compositor may use the ids again.
    peer.objects[offers[3]] = ("wl_data_offer", 3)
    client.objects.pop(offers[3], None)
    peer.event(device, "data_offer", offers[3])
    peer.event(offers[3], "offer", "again")
    client.roundtrip()
    t.eq(client.events[-2].args, ["again"], "a reused server id")


@test
def events_to_zombies(t):
    """Events to an object that the client has destroyed are no error, and what follows still arrives."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    pointer = client.create(seat, "get_pointer")
    client.roundtrip()
    # Destroy, but hold the delete_id back as a compositor does that has events on the way.
    def late(peer, m):
        for i in range(10):
            peer.send(pointer, "motion", i, 1, 1)
        peer.send(pointer, "enter", 1, surface, 1, 1)
        return False
    fake.on("wl_pointer", "release", late)
    client.send(pointer, "release")
    client.roundtrip()
    t.ok(pointer in client.deleted, "the id is freed after the last event")
    client.roundtrip()


@test
def zombie_events_with_fds(t):
    """The descriptor of an event to a destroyed keyboard neither leaks nor moves to the next event."""
    fake, stack, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    first = client.create(seat, "get_keyboard")
    second = client.create(seat, "get_keyboard")
    client.roundtrip()

    def keymap(text):
        fd = os.memfd_create("keymap")
        os.write(fd, text + b"\0")
        return fd

    def late(peer, m):
        a, b = keymap(b"for the dead"), keymap(b"for the living")
        peer.send(first, "keymap", 1, a, 13)
        peer.send(second, "keymap", 1, b, 15)
        os.close(a)
        os.close(b)
        return False
    fake.on("wl_keyboard", "release", late)
    client.send(first, "release")
    m = client.wait_for(lambda: next((m for m in client.events if m.object == second), None), "the second keymap")
    t.eq(os.pread(m.fds[0], 100, 0), b"for the living\0", "the keymap of the living keyboard")
    for m in client.events:
        for fd in m.fds:
            os.close(fd)
    client.roundtrip()


@test
def zombie_makes_server_objects(t):
    """A data_offer event to a destroyed data device makes an object that nobody will name; nothing breaks."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    manager = client.bind("wl_data_device_manager", 3)
    device = client.create(manager, "get_data_device", seat)
    client.roundtrip()

    def late(peer, m):
        offer = peer.new_server_id("wl_data_offer", 3)
        peer.send(device, "data_offer", offer)
        peer.send(offer, "offer", "text/plain")
        return False
    fake.on("wl_data_device", "release", late)
    client.objects[SERVER_ID] = ("wl_data_offer", 3)
    client.send(device, "release")
    client.roundtrip()
    client.roundtrip()


@test
def version_is_capped_by_the_compositor(t):
    """A global is never advertised above the compositor's version."""
    globals_ = [(i, 1) for i, _ in GLOBALS]
    _, _, client, _ = t.connected(globals=globals_)
    for interface, version in client.globals.values():
        t.eq(version, 1, interface)


@test(direct=False)
def version_is_capped_by_the_table(t):
    """Nor above what the tables know: version 1000 of wl_compositor is not passed on."""
    _, _, client, _ = t.connected(globals=[("wl_compositor", 1000), ("wl_shm", 1), ("wl_seat", 1000)])
    found = {i: v for i, v in client.globals.values()}
    t.ok(4 <= found["wl_compositor"] < 50, f"wl_compositor {found['wl_compositor']}")
    t.ok(7 <= found["wl_seat"] < 50, f"wl_seat {found['wl_seat']}")


@test
def global_names_pass_unchanged(t):
    fake, _, client, _ = t.connected()
    for name, (interface, _) in client.globals.items():
        t.eq(fake.globals[name][0], interface, f"global {name}")


@test(direct=False)
def hidden_globals_and_their_removal(t):
    """A hidden global is in no registry; its global_remove reaches nobody, that of a shown one everybody."""
    fake, _, client, peer = t.connected(globals=GLOBALS + [("zwlr_screencopy_manager_v1", 3), ("zwlr_layer_shell_v1", 4),
                                                        ("made_up_interface_v9", 1)])
    second = client.get_registry()
    client.roundtrip()
    shown = [i for i, _ in client.globals.values()]
    for hidden in ("zwlr_screencopy_manager_v1", "zwlr_layer_shell_v1", "made_up_interface_v9"):
        t.lacks(hidden, shown, "the registry")
    hidden_name = next(n for n, g in fake.globals.items() if g[0] == "zwlr_screencopy_manager_v1")
    unknown_name = next(n for n, g in fake.globals.items() if g[0] == "made_up_interface_v9")
    output_name = next(n for n, g in fake.globals.items() if g[0] == "wl_output")
    fake.remove_global(hidden_name)
    fake.remove_global(unknown_name)
    fake.remove_global(output_name)
    late = fake.add_global("zwlr_screencopy_manager_v1", 3)
    new_output = fake.add_global("wl_output", 4)
    client.roundtrip()
    removed = [(m.object, m.args[0]) for m in client.events if m.name == "global_remove"]
    t.eq(sorted(removed), sorted([(client.registry, output_name), (second, output_name)]), "global_remove events")
    t.ok(late not in client.globals, "a hidden global that comes later")
    t.ok(new_output in client.globals, "an output that comes later")


HIDDEN = "zwlr_screencopy_manager_v1"


def removals(t):
    """A compositor that waits for acknowledgements, and a client that can give them."""
    fake, stack, client, peer = t.connected(globals=GLOBALS + [("wl_fixes", 2), (HIDDEN, 3), ("made_up_interface_v9", 1)])
    if ("wl_fixes", 2) not in client.globals.values():
        raise Skip("the protocol XML of this build has no ack_global_remove")
    names = {interface: name for name, (interface, _) in fake.globals.items()}
    return fake, client, peer, names


@test(direct=False)
def removal_of_hidden_globals_is_acknowledged(t):
    """For each registry, once, by whoever hid them; what the client was told of it acknowledges by itself."""
    fake, client, peer, names = removals(t)
    second = client.get_registry()
    fixes = client.bind("wl_fixes", 2)
    client.roundtrip()
    for hidden in (HIDDEN, "made_up_interface_v9"):
        fake.remove_global(names[hidden])
    fake.remove_global(names["wl_output"])
    wait_until(lambda: len(peer.find("wl_fixes", "ack_global_remove")) >= 4, "four acknowledgements")
    client.roundtrip()
    told = [(client.registry, names["wl_output"]), (second, names["wl_output"])]
    t.eq(sorted(peer.removals), sorted(told), "what the compositor waits for still")
    for registry, name in told:
        client.send(fixes, "ack_global_remove", registry, name)
    client.roundtrip()
    t.eq(peer.removals, [], "what the compositor waits for in the end")
    # One that comes later, for a client that has another object now.
    late = fake.add_global(HIDDEN, 3)
    client.bind("wl_fixes", 2)
    client.send(fixes, "destroy")
    client.roundtrip()
    fake.remove_global(late)
    wait_until(lambda: not peer.removals, "the acknowledgement with the other object")
    client.roundtrip()


@test(direct=False)
def nothing_is_acknowledged_too_much(t):
    """Not before the client has a wl_fixes, or without it, or for a registry that is gone: that would be fatal."""
    fake, client, peer, names = removals(t)
    fake.remove_global(names[HIDDEN])
    client.roundtrip()
    old = client.bind("wl_fixes", 1)
    fake.remove_global(names["made_up_interface_v9"])
    client.roundtrip()
    fixes = client.bind("wl_fixes", 2)
    second = client.get_registry()
    client.roundtrip()
    late = fake.add_global(HIDDEN, 3)

    def first_the_removal(peer, m):
        with fake.lock:
            peer.removals.append((second, late))
            peer.send(second, "global_remove", late)
        return False
    fake.on("wl_fixes", "destroy_registry", first_the_removal)
    client.send(fixes, "destroy_registry", second)
    client.wait_for(lambda: second in client.deleted, "the registry is gone")
    client.roundtrip()
    t.eq(len(peer.find("wl_fixes", "ack_global_remove")), 0, "acknowledgements")
    client.send(fixes, "destroy")
    client.roundtrip()
    fake.remove_global(late)
    client.roundtrip()
    client.send(old, "destroy")
    client.roundtrip()
    t.eq(len(peer.find("wl_fixes", "ack_global_remove")), 0, "acknowledgements")


@test
def removed_name_is_used_again(t):
    """A compositor may give the name of a removed global to another interface."""
    fake, _, client, peer = t.connected()
    name = fake.add_global("wl_output", 4)
    client.roundtrip()
    fake.remove_global(name)
    client.roundtrip()
    with fake.lock:
        fake.globals[name] = ("wp_viewporter", 1)
        peer.send(client.registry, "global", name, "wp_viewporter", 1)
    client.roundtrip()
    t.eq(client.globals[name], ("wp_viewporter", 1), "the new global")
    client.bind("wp_viewporter", 1, name=name)
    client.roundtrip()
    t.eq(peer.find("wl_registry", "bind")[-1].args[0], name, "bind at the compositor")


@test
def bind_of_a_global_that_just_went(t):
    """The client may bind before it saw the global_remove: no error on our side."""
    fake, _, client, peer = t.connected()
    name = fake.add_global("wl_output", 4)
    client.roundtrip()
    fake.remove_global(name)
    client.bind("wl_output", 4, name=name)
    client.roundtrip()
    t.eq(peer.find("wl_registry", "bind")[-1].args[0], name, "the bind reached the compositor")


@test
def compositors_error_reaches_the_client(t):
    """wl_display.error of the compositor arrives with object, code and text; then the connection ends."""
    fake, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    client.roundtrip()

    def error(peer, m):
        peer.send(1, "error", surface, 2, "invalid buffer scale -3")
        fake._drop(peer)
        return True
    fake.on("wl_surface", "set_buffer_scale", error)
    client.send(surface, "set_buffer_scale", -3)
    e = client.expect_error()
    t.eq((e.object_id, e.code, e.text), (surface, 2, "invalid buffer scale -3"), "the error")


@test(direct=False)
def error_crosses_requests_on_their_way(t):
    """The compositor says why and closes while more requests come: the client still gets the error."""
    fake, stack, client, peer = t.connected()
    surface = client.create(client.bind("wl_compositor", 4), "create_surface")
    client.roundtrip()

    def passed_on():
        return client.taken() and stack.guest.asleep
    for stopped, what in ((True, "the requests were there first"), (False, "the error was there first")):
        stack.host.signal(signal.SIGSTOP)
        if stopped:
            client.send(surface, "damage", 1, 2, 3, 4)
            t.wait(passed_on, "the request is with the host's daemon")
        peer.event(1, "error", surface, 2, "invalid buffer scale -3")
        fake.drop(peer)
        if not stopped:
            client.send(surface, "damage", 1, 2, 3, 4)
            t.wait(passed_on, "the request is with the host's daemon")
        stack.host.signal(signal.SIGCONT)
        e = client.expect_error()
        t.eq((e.object_id, e.code, e.text), (surface, 2, "invalid buffer scale -3"), what)
        client = stack.client()
        peer = fake.peer_of(client)
        surface = client.create(client.bind("wl_compositor", 4), "create_surface")
        client.roundtrip()


@test
def client_leaves_and_compositor_sees_it(t):
    """All requests sent before the client closed still arrive, then the connection at the compositor ends."""
    fake, _, client, peer = t.connected()
    compositor = client.bind("wl_compositor", 4)
    surface = client.create(compositor, "create_surface")
    client.roundtrip()
    for i in range(1000):
        client.send(surface, "damage", i, 0, 1, 1)
    client.close()
    peer.wait("wl_surface", "damage", 1000)
    peer.wait_gone()


@test
def compositor_leaves_and_client_sees_it(t):
    """All events sent before the compositor closed still arrive."""
    fake, _, client, peer = t.connected()
    seat = client.bind("wl_seat", 5)
    pointer = client.create(seat, "get_pointer")
    client.roundtrip()
    peer.raw(b"".join(peer.encode(pointer, "motion", i, 0, 0)[0] for i in range(1000)))
    fake.drop(peer)
    client.wait_for(lambda: client.count("wl_pointer", "motion") == 1000, "1000 motions")
    client.wait_closed()


@test
def presentation_times_name_a_clock(t):
    """The time of a frame is in the clock that the client was told of; on one machine the clocks' offset is nothing."""
    for clock in (time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC_RAW, time.CLOCK_REALTIME):
        fake = t.fake(name=f"fake{clock}")
        fake.on("wl_registry", "bind", lambda peer, m: m.args[1][0] == "wp_presentation" and
                peer.send(m.args[1][2], "clock_id", clock) and False)
        client = t.stack(fake, tag=str(clock)).client()
        peer = fake.peer_of(client)
        surface = client.create(client.bind("wl_compositor", 4), "create_surface")
        presentation = client.bind("wp_presentation", 1)
        feedback = client.create(presentation, "feedback", surface)
        client.roundtrip()
        told = client.wait_event("wp_presentation", "clock_id").args[0]
        now = time.clock_gettime_ns(clock)
        seconds, ns = divmod(now, 10 ** 9)
        peer.event(feedback, "presented", seconds >> 32, seconds & 0xffffffff, ns, 16666666, 7, 8, 3)
        peer.event(1, "delete_id", feedback)
        m = client.wait_event("wp_presentation_feedback", "presented")
        high, low, got_ns, refresh, seq_hi, seq_lo, flags = m.args
        offset = (((high << 32) + low) * 10 ** 9 + got_ns) - now + time.clock_gettime_ns(clock) - time.clock_gettime_ns(told)
        t.ok(abs(offset) < 10 ** 9, f"clock {clock} told as {told}: {offset} ns off")
        t.ok(got_ns < 10 ** 9, "nanoseconds")
        t.eq((refresh, seq_hi, seq_lo, flags), (16666666, 7, 8, 3), "the rest")


@test
def two_clients_do_not_mix(t):
    fake, stack, first, peer1 = t.connected()
    second = stack.client()
    peer2 = fake.peer_of(second)
    compositor1, compositor2 = first.bind("wl_compositor", 4), second.bind("wl_compositor", 4)
    for _ in range(200):
        first.create(compositor1, "create_surface")
        second.create(compositor2, "create_region")
    first.roundtrip()
    second.roundtrip()
    t.eq(len(peer1.find("wl_compositor", "create_surface")), 200, "the first client's requests")
    t.eq(len(peer1.find("wl_compositor", "create_region")), 0, "the other's at the first")
    t.eq(len(peer2.find("wl_compositor", "create_region")), 200, "the second client's requests")


@test
def outputs_come_and_go_on_sway(t):
    """Hotplug on a real compositor: a nested sway's outputs are windows, and closing one unplugs it."""
    outer = t.sway()
    sway = t.sway(parent=outer.socket, outputs=2)
    client = t.stack(sway).client()
    client.bind("wl_output")

    def outputs():
        return sum(1 for i, _ in client.globals.values() if i == "wl_output")
    client.wait_for(lambda: outputs() == 2, "two outputs")
    name = max(n for n, g in client.globals.items() if g[0] == "wl_output")
    second = client.bind("wl_output", client.globals[name][1], name=name)
    client.wait_for(lambda: any(m.object == second and m.name == "done" for m in client.events), "its done event")
    outer.wait_windows(2)
    outer.msg(f"[con_id={max(w['id'] for w in outer.windows())}]", "kill")
    client.wait_for(lambda: outputs() == 1, "it goes")
    gone = second if name not in client.globals else None
    if gone:
        client.send(second, "release")
    client.roundtrip()
    sway.msg("create_output")
    client.wait_for(lambda: outputs() == 2, "an output comes")
    client.roundtrip()


@test
def a_compositor_in_the_guest(t):
    """A nested weston is a demanding client: its output is a window here, and its own clients get frames."""
    outer = t.sway()
    stack = t.stack(outer)
    inner = t.weston(parent=stack.display)
    outer.wait_windows(1)
    with Client(inner.socket) as client:
        window = Window(client)
        pool = Pool(client, window.shm, 64 * 64 * 4)
        buffer = pool.buffer(0, 64, 64, 256)
        for _ in range(10):
            frame = client.create(window.surface, "frame")
            window.show(buffer)
            client.wait_for(lambda: frame in client.done, "a frame callback from the nested compositor")


@test
def window_on_sway(t):
    """The raw client's window gets through its whole life on a real compositor."""
    sway = t.sway()
    client = t.stack(sway).client()
    window = Window(client, title="raw window", app_id="raw")
    pool = Pool(client, window.shm, 640 * 480 * 4)
    buffer = pool.buffer(0, 640, 480, 640 * 4)
    window.show(buffer)
    sway.window(app_id="raw", title="raw window")
    client.send(window.toplevel, "destroy")
    client.send(window.xdg, "destroy")
    client.send(window.surface, "destroy")
    client.roundtrip()
    sway.no_windows()


if __name__ == "__main__":
    main()
