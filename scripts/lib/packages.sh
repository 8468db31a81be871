# shellcheck shell=bash disable=SC2034
# The Debian packages that each purpose needs, and their installation. Needs common.sh.

# README.md lists them, too; a test compares.
packages_build=(
    meson ninja-build gcc libc6-dev pkg-config wayland-protocols
    libwayland-dev libdrm-dev libevent-dev libpixman-1-dev libseccomp-dev libjansson-dev libpng-dev
    libxcb1-dev libxcb-composite0-dev libxcb-shape0-dev libxcb-xfixes0-dev
    scdoc libvirglrenderer-dev libegl-dev libcmocka-dev
)

# Debian packages, see package; and to try them in roots of their own, see root.
packages_package=("${packages_build[@]}" debhelper dpkg-dev fakeroot)
packages_roots=(lintian mmdebstrap)

# Unpacking packages of another suite: see fetch.sh.
packages_fetch=(apt ca-certificates debian-archive-keyring dpkg util-linux)

# A guest kernel: see guest.
packages_guest=("${packages_fetch[@]}" binutils iproute2 kmod patchelf socat)

# A stock kernel in QEMU, see guest -k.
packages_qemu=("${packages_guest[@]}" busybox-static cpio xz-utils zstd)

# To build one: see guest-kernel.
packages_guest_kernel=("${packages_fetch[@]}" bc binutils bison flex gcc libc6-dev make xz-utils)

# Fonts, icons and settings without which the applications look broken.
packages_desktop=(
    adwaita-icon-theme dbus-daemon fonts-dejavu-core fonts-noto-color-emoji gsettings-desktop-schemas
    hicolor-icon-theme librsvg2-common shared-mime-info xkb-data
)

packages_demo=(
    "${packages_build[@]}" "${packages_guest[@]}" "${packages_desktop[@]}"
    sway grim jq weston foot gtk-4-examples procps
    pulseaudio pulseaudio-utils python3
)

packages_tests=(
    "${packages_demo[@]}" "${packages_guest_kernel[@]}"
    clang llvm libclang-rt-14-dev python3 shellcheck strace valgrind
    dbus fish libpam-systemd openssh-client openssh-server openssl passwd systemd zsh
    imagemagick waypipe wayland-utils wl-clipboard wtype
    xwayland xterm x11-apps tk xclip
    pipewire pipewire-bin pipewire-pulse wireplumber
    libglib2.0-bin libnotify-bin python3-gi xdg-dbus-proxy
    libgl1-mesa-dri libegl1 libgbm1 libgles2 libwayland-egl1
)

# GL of another suite, unpacked beside the system's: see newer-gl and newer-weston.
packages_newer_gl=(
    libegl1 libegl-mesa0 libgl1-mesa-dri libgles2 libvirglrenderer1 libevent-2.1-7t64 weston
)

packages_missing() {
    local name
    for name in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] ||
            echo "$name"
    done
}

packages_apt() {
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"
}

# packages_install NAME…: installs what is missing; silent when nothing is.
packages_install() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || command -v sudo >/dev/null ||
        die "these packages are missing, and there is no sudo: ${missing[*]}"
    say "Installing ${#missing[@]} packages: ${missing[*]}"
    run_quietly "apt-get update" packages_apt update || return
    run_quietly "apt-get install" packages_apt install -y --no-install-recommends "${missing[@]}"
}
