#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sound: programs in the guest play and record through the host's pulseaudio, and through its pipewire-pulse, judged by the
samples that arrive. What a direct connection does in the same run is the measure."""

import os
import socket

from harness import main, test
from harness.services import Services
from harness.sound import (PREAMBLE, RATE, SINK, PipeWire, PulseAudio, Recorder, command, judge, loudness, play, quarters, read_frame,
                           tone, u32)


def sound(t, server, more="", vm_lines="", **options):
    return Services(t, {"sound": f"path = {server.socket}\nprotocol = pulse\n{more}"}, vm_lines, **options)


def guest_env(t, services, **more):
    return t.env(XDG_RUNTIME_DIR=t.mkdir("guest-run"), HOME=t.mkdir("guest-home"),
                 **{"PULSE_SERVER": f"unix:{services.socket('sound')}", **more})


def played(t, server, env, samples, what):
    """What the host's sink is given of it."""
    recorder = Recorder(server)
    player = play(t, env, samples, device=SINK)
    recorder.ends_with(samples, f"{what}: the end arrives")
    t.eq(player.wait(), 0, f"{what}: the player has ended well")
    return judge(recorder.samples(), samples, what)


def plays(t, server):
    """All of it arrives, as it does without us."""
    samples = tone(440)
    direct = played(t, server, server.env(), samples, "direct")
    services = sound(t, server)
    for n in range(2):
        through = played(t, server, guest_env(t, services), samples, f"through the daemons, {n}")
        t.ok(through[0] <= PREAMBLE, f"no more is lost than where a sink starts: {through}, direct {direct}")
        t.ok(through[1] <= direct[1] + 1, f"no silence in between: {through}, direct {direct}")
    return services


@test(timeout=180, direct=False)
def play_on_pulseaudio(t):
    t.need("pulseaudio", "pacat", "parec")
    plays(t, PulseAudio(t))


@test(timeout=180, direct=False)
def play_on_pipewire(t):
    t.need("pipewire", "wireplumber", "pipewire-pulse", "pacat", "parec")
    plays(t, PipeWire(t))


def refuses_recording(t, server):
    """Without a word in the configuration. Playing goes on."""
    samples = tone(440)
    services = sound(t, server)
    refused = Recorder(server, guest_env(t, services), wait=False)
    t.ok(refused.proc.wait() != 0, "recording is refused")
    t.eq(len(refused.samples()), 0, "nothing was recorded")
    t.has("Access denied", refused.proc.log(), "parec says why")
    t.has("refused CREATE_RECORD_STREAM (record = yes would allow it)", services.host.log(), "the host's log says what would help")
    played(t, server, guest_env(t, services), samples, "with recording refused")


def records_allowed(t, server):
    """What arrives is what a program of the host's hears."""
    samples = tone(440)
    services = sound(t, server, "record = yes")
    direct = Recorder(server)
    through = Recorder(server, guest_env(t, services))
    player = play(t, server.env(), samples, device=SINK)
    direct.ends_with(samples, "a program on the host hears the end")
    through.ends_with(samples, "a program in the guest hears the end")
    t.eq(player.wait(), 0, "the player has ended well")
    judge(direct.samples(), samples, "direct")
    judge(through.samples(), samples, "through the daemons")


@test(timeout=120, direct=False)
def record_on_pulseaudio(t):
    t.need("pulseaudio", "pacat", "parec")
    records_allowed(t, PulseAudio(t))


@test(timeout=120, direct=False)
def record_on_pipewire(t):
    t.need("pipewire", "wireplumber", "pipewire-pulse", "pacat", "parec")
    records_allowed(t, PipeWire(t))


@test(timeout=120, direct=False)
def record_refused_on_pulseaudio(t):
    t.need("pulseaudio", "pacat", "parec")
    refuses_recording(t, PulseAudio(t))


@test(timeout=120, direct=False)
def record_refused_on_pipewire(t):
    t.need("pipewire", "wireplumber", "pipewire-pulse", "pacat", "parec")
    refuses_recording(t, PipeWire(t))


@test(timeout=120, direct=False)
def three_players(t):
    """At once: each is there at its own frequency, as loud as it was played."""
    t.need("pulseaudio", "pacat", "parec")
    server = PulseAudio(t)
    services = sound(t, server)
    hertz = (440, 1320, 3100)
    recorder = Recorder(server)
    players = [play(t, guest_env(t, services), tone(f, seconds=4, amplitude=5000), device=SINK, name=f"-{f}") for f in hertz]
    for player in players:
        t.eq(player.wait(), 0, "it has ended well")
    samples = recorder.stop()
    for f in hertz:
        heard = quarters(samples, f)
        t.ok(sum(b > 4500 for b in heard) >= 4 * 3,
             f"{f} Hz is there for three of its five seconds at least: {[round(b) for b in heard]}")
        t.ok(max(heard) < 5600, f"{f} Hz is no louder than it was played: {max(heard)}")


@test(timeout=120, direct=False)
def player_dies(t):
    """In the middle: the server is told, and the next one plays."""
    t.need("pulseaudio", "pacat", "parec", "pactl")
    server = PulseAudio(t)
    services = sound(t, server, vm_lines="title-prefix = \"[vm] \"")
    recorder = Recorder(server)
    player = play(t, guest_env(t, services), tone(440, seconds=30))

    def streams():
        return server.pactl("list", "sink-inputs")[1].count("Sink Input #")
    t.wait(lambda: any(recorder.samples()[-RATE:]), "it is heard")
    t.eq(streams(), 1, "it has a stream")
    player.kill()
    t.wait(lambda: streams() == 0, "the server's stream is gone")
    recorder.stop()
    played(t, server, guest_env(t, services), tone(440), "the next one")


@test(timeout=120, direct=False)
def stopped_player(t):
    """One that does not go on (a debugger's, a stopped VM's) costs the others nothing."""
    t.need("pulseaudio", "pacat", "parec")
    server = PulseAudio(t)
    services = sound(t, server)
    stopped = play(t, guest_env(t, services), tone(440, seconds=30))
    t.wait(lambda: "Sink Input #" in server.pactl("list", "sink-inputs")[1], "it plays")
    stopped.signal(19)
    recorder = Recorder(server)
    t.wait(lambda: not any(recorder.samples()[-RATE // 2:]), "it has nothing left to play", 30)
    recorder.stop()
    played(t, server, guest_env(t, services), tone(440), "another one")
    stopped.kill()


@test(timeout=120, direct=False)
def names(t):
    """What the host's mixer shows is the VM's, and what is the host's is not told."""
    t.need("pulseaudio", "pacat", "pactl")
    server = PulseAudio(t)
    services = sound(t, server, vm_lines='title-prefix = "[vm] "')
    play(t, guest_env(t, services), tone(440, seconds=30), options=["--client-name=a\tb", "--stream-name=so\u202eng", *(
        f"--property={key}=x" for key in ("media.role", "application.id", "node.name", "media.artist"))])

    def shown():
        return server.pactl("list", "sink-inputs")[1]
    t.wait(lambda: "Sink Input #" in shown(), "it plays")
    t.has('application.name = "[vm] a b"', shown(), "the program's name")
    t.has('media.name = "[vm] song"', shown(), "the stream's name")
    t.has('media.artist = "x"', shown(), "what is only shown passes")
    for key in ("node.name", "media.role", "application.id", "application.process.id", "application.process.user",
                "application.process.host"):
        t.lacks(key, shown(), f"{key} does not pass")
    status, text = server.pactl("info", env=guest_env(t, services))
    t.eq(status, 0, "pactl info")
    t.has("User Name: user\nHost Name: host\n", text, "the guest hears nobody's name")


@test(timeout=120, direct=False)
def refused_commands(t):
    """Each of what pactl would do to the host's server is refused, and pactl says so. The server has not changed."""
    t.need("pulseaudio", "pactl")
    server = PulseAudio(t)
    services = sound(t, server)
    env = guest_env(t, services)
    before = server.pactl("list")[1]
    for args in (["load-module", "module-null-sink"], ["unload-module", "0"], ["exit"], ["set-sink-volume", SINK, "10%"],
                 ["set-sink-mute", SINK, "1"], ["set-default-sink", SINK], ["suspend-sink", SINK, "1"],
                 ["set-source-mute", f"{SINK}.monitor", "1"], ["list", "modules"], ["list", "clients"], ["list", "sink-inputs"],
                 ["move-sink-input", "0", SINK], ["set-sink-input-mute", "0", "1"], ["stat"], ["upload-sample", "/dev/null"]):
        status, text = server.pactl(*args, env=env)
        t.ok(status != 0, f"pactl {' '.join(args)} fails: {text}")
    t.eq(server.pactl("info", env=env)[0], 0, "and pactl info does not")
    t.eq(server.pactl("list", "short", "sinks", env=env)[1].count(SINK), 1, "the sink is shown")

    def lasting(text):
        return [line for line in text.splitlines() if line.startswith(("Module", "Sink", "Source")) or "Volume:" in line or "Mute:" in line]
    t.eq(lasting(server.pactl("list")[1]), lasting(before), "all is as it was")
    t.has("refused LOAD_MODULE", services.host.log(), "the log says so")


@test(timeout=120, direct=False)
def cookie(t):
    """A server of another user's wants its cookie: the host's daemon has it, and the guest's program neither has it nor sees it."""
    t.need("pulseaudio", "pacat", "parec")
    server = other_users(t) if os.getuid() == 0 else PulseAudio(t)
    t.wait(lambda: os.path.exists(server.cookie) and os.path.getsize(server.cookie) == 256, "the cookie is there")
    with open(server.cookie, "rb") as f:
        secret = f.read()
    without = sound(t, server, f"cookie = {t.write('another', 'x' * 256)}")
    status, text = server.pactl("info", env=guest_env(t, without))
    if os.getuid() == 0:
        t.ok(status != 0, f"with another one nobody gets in: {text}")
    without.stack.stop_guest()
    without.stack.stop_host()
    services = sound(t, server, f"cookie = {server.cookie}", tag="2", compositor=without.stack.compositor)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(services.socket("sound"))
        s.sendall(command(8, 0, u32(35 | 0xc0000000) + b"x" + (256).to_bytes(4, "big") + bytes(256)))
        channel, flags, body = read_frame(s)
        t.eq((channel, flags), (0xffffffff, 0), "a command")
        t.eq(body[:10], u32(2) + u32(0), "it is let in")
        t.eq(int.from_bytes(body[11:15], "big") >> 16, 0, "and shared memory is not offered")
        t.lacks(secret[:8], body, "the cookie")
    played(t, server, guest_env(t, services), tone(440), "with the host's cookie")


def other_users(t):
    """pulseaudio as nobody; this user gets in by the cookie only."""
    def become():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    for folder in ("other-run", "other-home"):
        os.chown(t.mkdir(folder, 0o755), 65534, 65534)
    server = PulseAudio(t, "other", preexec=become)
    os.chmod(server.socket, 0o777)
    plain = server.env
    server.env = lambda **more: plain(PULSE_COOKIE=server.cookie, **more)
    return server


@test(timeout=120, direct=False)
def hostile_bytes(t):
    """Each way to break the protocol ends that connection, with a line in the log; another one goes on."""
    t.need("pulseaudio", "pactl")
    server = PulseAudio(t)
    services = sound(t, server)
    header = (16).to_bytes(4, "big") + bytes(12)
    for data, text in ((header + (0x80000000).to_bytes(4, "big") + bytes(16), "shared memory, which was not agreed on"),
                       (b"\xff" * 4 + bytes(16), "a frame of a size that there is not"),
                       (command(9, 1, b"P"), "a malformed command")):
        if text == "a malformed command":
            data = command(8, 0, u32(35) + b"x" + (256).to_bytes(4, "big") + bytes(256)) + data
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(services.socket("sound"))
            s.sendall(data)
            while True:
                try:
                    if not s.recv(4096):
                        break
                except ConnectionResetError:
                    break
        t.wait(lambda want=text: want in services.host.log(), f"the log says: {text}")
    t.eq(server.pactl("info", env=guest_env(t, services))[0], 0, "another connection goes on")


@test(timeout=120, direct=False)
def environment(t):
    """A command that the guest's daemon starts finds the server by itself."""
    t.need("pulseaudio", "pactl")
    server = PulseAudio(t)
    services = sound(t, server)
    services.stack.stop_guest()
    services.stack.start_guest(wait=False, command=["pactl", "info"])
    t.eq(services.stack.guest.wait(), 0, "pactl info")
    services.stack.guest.expected_exit = True
    t.has("Server Name: pulseaudio", services.stack.guest.log(), "it has asked the host's server")


TUNNEL = """context.modules = [
    { name = libpipewire-module-pulse-tunnel
      args = { tunnel.mode = sink  pulse.server.address = "unix:@SOCKET@"  node.name = host  stream.props = { node.name = host } } }
]
"""


@test(timeout=180, direct=False)
def guests_own_pipewire(t):
    """Programs play to a PipeWire of the guest's, which passes it on by its pulse tunnel: all of a second arrives, and its end."""
    t.need("pipewire", "wireplumber", "pipewire-pulse", "pulseaudio", "pacat", "parec")
    server = PulseAudio(t)
    services = sound(t, server)
    folder = t.mkdir("guest-config")
    os.makedirs(os.path.join(folder, "pipewire/pipewire.conf.d"))
    with open(os.path.join(folder, "pipewire/pipewire.conf.d/tunnel.conf"), "w") as f:
        f.write(TUNNEL.replace("@SOCKET@", services.socket("sound")))
    guest = PipeWire(t, "guests", sink=False, config={"XDG_CONFIG_HOME": folder})
    t.wait(lambda: SINK in guest.pactl("list", "short", "sinks")[1], "the tunnel is a sink of the guest's", 60)
    recorder = Recorder(server)
    player = play(t, guest.env(), tone(440, seconds=4, amplitude=6000), device=SINK)
    t.eq(player.wait(60), 0, "the player has ended well")
    t.wait(lambda: sum(b > 5000 for b in quarters(recorder.samples(), 440)) >= 4 * 3, "three of its five seconds, as loud as played", 60)


if __name__ == "__main__":
    main()
