# shellcheck shell=bash disable=SC2034,SC2154
# The guest's kernel and its vsock device, ready to start: User-Mode Linux, a real kernel that runs as
# a process and needs neither KVM nor a disk. Needs common.sh, packages.sh and fetch.sh.

# Older suites do not serve: virtio_uml up to Linux 6.12 fails with any vhost-user device that
# answers exactly as the specification says.
guest_suite=forky

# The kernel that guest-kernel builds; with another configuration, it is another one.
guest_config=$repo/scripts/lib/guest-kernel.config
guest_built=$cache/guest-kernel/linux-$(grep CONFIG_ "$guest_config" | sha256sum | cut -c -12)

# Prints the kernel with a virtio-gpu, if one is at hand: in the folder that WAYVSOCK_RIG names, or built.
guest_gpu_kernel() {
    if [[ ${WAYVSOCK_RIG:-} ]]; then
        find "$WAYVSOCK_RIG" -maxdepth 1 -type f -name 'linux-*' -perm -1 | sort -V | tail -n 1 | grep .
    else
        [[ -x $guest_built ]] && echo "$guest_built"
    fi
}

# Debian's kernel wants a newer libc than the system's. UML executes itself again at start, so that
# calling it through its loader is not enough: a copy of it names that loader and library.
guest_patch_kernel() {
    local tree=$1
    [[ ! -x $tree/linux ]] || return 0
    cp "$tree/usr/bin/linux.uml" "$tree/linux.new"
    patchelf --set-interpreter "$tree/usr/lib64/ld-linux-x86-64.so.2" \
        --set-rpath "$tree/usr/lib/x86_64-linux-gnu" "$tree/linux.new"
    mv "$tree/linux.new" "$tree/linux"
}

guest_unpack_device() {
    [[ -x $2/usr/bin/vhost-device-vsock ]] || dpkg -x "$1" "$2"
}

# Prints another project's vsock device, for a tree where nothing is built, and to compare with.
guest_other_vsock() {
    local tree
    if [[ ${WAYVSOCK_RIG:-} ]]; then
        tree=$cache/rig
        locked rig guest_unpack_device "$WAYVSOCK_RIG"/vhost-device-vsock_*.deb "$tree" || return
    else
        tree=$(fetch_tree $guest_suite vhost-device-vsock vhost-device-vsock) || return
    fi
    echo "$tree/usr/bin/vhost-device-vsock"
}

# Sets guest_kernel, guest_modules (empty: none needed), guest_gpu (empty: it has none) and guest_vsock.
# WAYVSOCK_VSOCK may name the vsock device, WAYVSOCK_RIG a folder with a kernel linux-* that guest-kernel could
# have built, and the Debian package vhost-device-vsock.
guest_prepare() {
    local tree
    packages_install "${packages_guest[@]}" || return
    guest_modules='' guest_gpu=1
    if ! guest_kernel=$(guest_gpu_kernel); then
        [[ $(dpkg --print-architecture) == amd64 ]] ||
            die "Debian has a User-Mode Linux kernel for amd64 only"
        tree=$(fetch_tree $guest_suite user-mode-linux user-mode-linux libc6) || return
        locked rig guest_patch_kernel "$tree" || return
        guest_kernel=$tree/linux
        guest_modules=$(echo "$tree"/usr/lib/uml/modules/*) guest_gpu=
    fi
    guest_vsock=${WAYVSOCK_VSOCK:-$repo/build/host-proxy/vsock/wayvsock-vsock}
    [[ ${WAYVSOCK_VSOCK:-} || -x $guest_vsock ]] || guest_vsock=$(guest_other_vsock) || return
    [[ -x $guest_kernel && -x $guest_vsock ]] || die "no guest kernel, or no $guest_vsock"
}
