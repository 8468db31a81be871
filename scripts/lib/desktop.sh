# shellcheck shell=bash disable=SC2154
# A headless desktop (sway) on the host, to show windows on and to take pictures of. Needs common.sh.

# as_user COMMAND…: sway refuses to run as root, so root runs the desktop's processes as nobody.
as_user() {
    if ((EUID == 0)); then
        setpriv --reuid=nobody --regid=nogroup --clear-groups --pdeathsig KILL "$@"
    else
        setpriv --pdeathsig KILL "$@"
    fi
}

desktop_config() {
    cat <<'END'
output HEADLESS-1 resolution 2048x1152 position 0 0
output * bg #101c30 solid_color
seat seat0 fallback true
xwayland disable
font pango:DejaVu Sans 10
default_border normal 3
default_floating_border normal 3
gaps inner 14
client.focused   #406e8e #406e8e #ffffff #8ea8c3 #406e8e
client.unfocused #2b3f5c #2b3f5c #cbf7ed #2b3f5c #2b3f5c
client.focused_inactive #2b3f5c #2b3f5c #cbf7ed #2b3f5c #2b3f5c
for_window [title="simple-shm"] floating enable, border normal 3, move position 1620 760
END
}

# desktop_start FOLDER: the folder becomes XDG_RUNTIME_DIR and home. Exports what clients need. The
# compositor ends with this script.
desktop_start() {
    local folder=$1
    desktop_config >"$folder/sway.config"
    ((EUID != 0)) || chown -R nobody: "$folder"
    chmod 700 "$folder"
    unset WAYLAND_DISPLAY DISPLAY WAYLAND_SOCKET DBUS_SESSION_BUS_ADDRESS
    export XDG_RUNTIME_DIR=$folder HOME=$folder SWAYSOCK=$folder/sway.sock
    # noatomic: while sway 1.7 waits for a window to resize, it holds a copy of what it shows, and a
    # client with two buffers, such as weston-simple-shm, finds both in use and gives up.
    WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1 \
        as_user sway -Dnoatomic --config "$folder/sway.config" \
        >"$folder/sway.log" 2>&1 </dev/null &
    wait_until 30 test -S "$SWAYSOCK" ||
        die "sway did not start: $(tail -n 3 "$folder/sway.log")"
    WAYLAND_DISPLAY=$(cd "$folder" && echo wayland-?)
    export WAYLAND_DISPLAY
}

# A sound server with a sink that nobody hears. What it plays goes to heard.raw in the folder.
desktop_sound() {
    as_user pulseaudio -n --daemonize=no --exit-idle-time=-1 --log-target=stderr \
        -L "module-null-sink rate=48000 channels=1 format=s16le" -L module-native-protocol-unix \
        >"$XDG_RUNTIME_DIR/pulse.log" 2>&1 </dev/null &
    wait_until 30 test -S "$XDG_RUNTIME_DIR/pulse/native" ||
        die "pulseaudio did not start: $(tail -n 3 "$XDG_RUNTIME_DIR/pulse.log")"
    as_user parec --device=@DEFAULT_MONITOR@ --raw --format=s16le --rate=48000 --channels=1 \
        >"$XDG_RUNTIME_DIR/heard.raw" 2>>"$XDG_RUNTIME_DIR/pulse.log" </dev/null &
}

# The titles of the windows that are shown, one a line.
desktop_windows() {
    as_user swaymsg -t get_tree -r |
        jq -r '.. | objects | select(.pid? and .visible? and (.rect.width > 1)) | .name'
}

desktop_shows() { desktop_windows 2>/dev/null | grep -q -- "$1"; }

# desktop_picture FILE
desktop_picture() {
    as_user grim -t png "$XDG_RUNTIME_DIR/picture.png" && cp "$XDG_RUNTIME_DIR/picture.png" "$1"
}
