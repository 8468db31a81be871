# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Tells a login shell of the display that wayvsock-guest@USER.socket offers, and of wayvsock-x11.socket's.
if [ -z "${WAYLAND_DISPLAY:-}" ] && [ -S "/run/wayvsock/${USER:-$(id -un)}/wayland-0" ]; then
    WAYLAND_DISPLAY=/run/wayvsock/${USER:-$(id -un)}/wayland-0
    export WAYLAND_DISPLAY
fi
if [ -z "${DISPLAY:-}" ] && [ -O "/tmp/.X11-unix/X$(id -u)" ]; then
    DISPLAY=:$(id -u)
    export DISPLAY
fi
