#!/bin/bash
# SPDX-License-Identifier: MIT
# The same on a fresh host, whose desktop is sway. Its VM comes from CID 2, this kernel's own host, which forwards it.
set -eux
cd "$GUEST_DIR"

wait_for() { until [[ -e $1 ]]; do sleep 0.2; done; }
install_packages() { DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; }
as_alice() { setpriv --reuid=1234 --regid=1234 --init-groups env -i HOME=/home/alice USER=alice XDG_RUNTIME_DIR=/run/user/1234 PATH="$PATH" "$@"; }

useradd -m -s /bin/bash -u 1234 alice
install_packages ./packages/*.deb
! systemctl is-active --quiet 'wayvsock-*'

mkdir -p /run/systemd/user
cat >/run/systemd/user/desktop.service <<END
[Service]
Environment=WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
ExecStart=/usr/bin/sway -c /run/desktop.config
END
printf '%s\n' '[Unit]' BindsTo=graphical-session.target >/run/systemd/user/desktop.target
cat >/run/desktop.config <<'END'
output HEADLESS-1 resolution 1280x720 position 0 0
output * bg #101c30 solid_color
seat seat0 fallback true
xwayland disable
exec "systemctl --user import-environment WAYLAND_DISPLAY SWAYSOCK && systemctl --user start desktop.target"
END
# As if she were logged in: without a session, her services would be ended some time after anybody asks them for something.
loginctl enable-linger alice
until [[ -S /run/user/1234/bus ]]; do sleep 0.2; done

# As the documentation has it.
as_alice mkdir -p /home/alice/.config/wayvsock
as_alice install -m 600 /dev/stdin /home/alice/.config/wayvsock/token <token
install -d -o alice "$GUEST_DIR/alice"
as_alice tee /home/alice/.config/wayvsock/host.conf <<END
[vm work]
cid = 2
token = /home/alice/.config/wayvsock/token
menu = yes
start = echo >$GUEST_DIR/alice/start
END
as_alice systemctl --user enable --now wayvsock-host.socket
as_alice systemctl --user start desktop.service
touch started

(
    until [[ -S $(echo /run/user/1234/sway-ipc.*) ]]; do sleep 0.2; done
    while :; do
        as_alice swaymsg -s "$(echo /run/user/1234/sway-ipc.*)" -t get_tree -r >tree.new && mv tree.new tree
        cat /home/alice/.local/share/applications/wayvsock/vm-work/*.desktop >menu.new 2>/dev/null || true
        mv menu.new menu
        if [[ -e launch ]]; then # as a launcher does
            command=$(sed -n 's/^Exec=//p' launch)
            rm launch
            as_alice sh -c "$command" </dev/null &
        fi
        if [[ -e shoot ]]; then
            display=$(as_alice systemctl --user show-environment | sed -n 's/^WAYLAND_DISPLAY=//p')
            as_alice env WAYLAND_DISPLAY="$display" grim - >picture.new && mv picture.new picture.png && rm shoot
        fi
        sleep 0.5
    done
) &

wait_for upgrade
install_packages ./newer/*.deb
touch upgraded
wait_for end
as_alice systemctl --user disable wayvsock-host.socket
DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y 'wayvsock*'
as_alice systemctl --user list-units --all --plain --no-legend 'wayvsock*' >left
systemctl list-units --all --plain --no-legend 'wayvsock*' >>left
find / /etc/systemd /run -xdev \( -path /proc -o -path /sys -o -path /home/alice/.config/wayvsock -o -path /home/alice/.local -o -path "$GUEST_DIR" \) -prune \
    -o -name '*wayvsock*' -print >>left || true
touch purged
