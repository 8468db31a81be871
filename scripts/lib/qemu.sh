# shellcheck shell=bash disable=SC2034,SC2154
# A stock Debian kernel in QEMU, without KVM: what users run, and slow. Needs common.sh, packages.sh and
# fetch.sh.

# What is loaded in the guest, where it is not built in.
qemu_modules=(virtio_pci 9pnet_virtio 9p overlay vsock_loopback vmw_vsock_virtio_transport virtio_gpu udmabuf vgem)

qemu_depends() {
    fetch_apt "$1" apt-cache depends "$2" | sed -nE "s/.*Depends: (linux-($3)-[0-9][^ ]*).*/\\1/p"
}

# The packages that a suite's linux-image-amd64 stands for; kernel and modules come apart in newer ones.
qemu_kernel_packages() {
    local image
    fetch_update "$1" || return
    image=$(qemu_depends "$1" linux-image-amd64 image | head -n 1)
    [[ $image ]] || die "Debian $1 has no linux-image-amd64"
    echo "$image"
    qemu_depends "$1" "$image" "binary|modules"
}

# qemu_make_initrd TREE INITRD: busybox, the modules in the order in which they load, and an init that
# goes on with lib/guest-init.
qemu_make_initrd() {
    local tree=$1 initrd=$2 base version folder module path
    [[ ! -f $initrd ]] || return 0
    base=$tree
    [[ ! -d $tree/usr/lib/modules ]] || base=$tree/usr
    version=$(basename "$base"/lib/modules/*)
    run_quietly "depmod" depmod -b "$base" "$version" || return
    folder=$(mktemp -d "$tree/initrd.XXXXXX")
    mkdir -p "$folder"/{bin,dev,proc,sys,mnt,modules}
    cp "$(command -v busybox)" "$folder/bin/busybox"
    install -m 755 "$repo/scripts/lib/qemu-init" "$folder/init"
    for module in "${qemu_modules[@]}"; do
        modprobe -d "$base" -S "$version" --show-depends "$module" 2>/dev/null || true
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$folder/order"
    while read -r path; do
        module=$(basename "$path")
        module=${module%%.ko*}
        case $path in
            *.xz) xz -dc "$path" ;;
            *.zst) zstd -qdc "$path" ;;
            *) cat "$path" ;;
        esac >"$folder/modules/$module.ko" || return
        echo "$module" >>"$folder/modules/list"
    done <"$folder/order"
    rm "$folder/order"
    (cd "$folder" && find . | cpio -o -H newc --quiet | gzip -1) >"$initrd.new" || return
    mv "$initrd.new" "$initrd"
    rm -rf "$folder"
}

# qemu_prepare KERNEL-SUITE QEMU-SUITE: sets qemu_command (an array), qemu_kernel, qemu_initrd.
qemu_prepare() {
    local root tree packages
    packages_install "${packages_qemu[@]}" || return
    root=$(fetch_root "$2" qemu-x86 qemu-system-x86) || return
    qemu_command=(env "QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu"
        "$(fetch_command "$root" qemu-system-x86_64)" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios")
    tree=$cache/$1/linux-image
    if [[ ! -d $tree ]]; then
        packages=$(qemu_kernel_packages "$1") || return
        # shellcheck disable=SC2086 # words on purpose
        tree=$(fetch_tree "$1" linux-image $packages) || return
    fi
    qemu_kernel=$(echo "$tree"/boot/vmlinuz-*)
    [[ -f $qemu_kernel ]] || qemu_kernel=$(echo "$tree"/usr/lib/modules/*/vmlinuz)
    qemu_initrd=$tree/initrd.gz
    locked "initrd-$1" qemu_make_initrd "$tree" "$qemu_initrd"
}

# qemu_arguments FOLDER MEMORY DEVICE SOCKET…: sets qemu_arguments for a guest that shares the folder, in which
# its vsock device is, and has a GPU behind each socket.
qemu_arguments() {
    local folder=$1 memory=$2 device=$3 i=0 socket
    shift 3
    qemu_arguments=(
        -accel "tcg,thread=multi" -machine "q35,memory-backend=ram" -cpu qemu64 -smp 1 -m "$memory"
        -object "memory-backend-memfd,id=ram,size=$memory,share=on"
        -nodefaults -no-user-config -display none -vga none -nic none -serial stdio
        -kernel "$qemu_kernel" -initrd "$qemu_initrd"
        -append "console=ttyS0 quiet panic=-1 GUEST_DIR=$folder GUEST_INIT=$repo/scripts/lib/guest-init"
        -fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
        -device "virtio-9p-pci,fsdev=root,mount_tag=root"
        -fsdev "local,id=shared,path=$folder,security_model=none"
        -device "virtio-9p-pci,fsdev=shared,mount_tag=shared"
        -chardev "socket,id=vsock,path=$folder/vhost-user" -device "vhost-user-vsock-pci,chardev=vsock"
    )
    case $device in
        gpu) device=vhost-user-gpu-pci ;;
        generic) device=vhost-user-test-device-pci,virtio-id=16,num_vqs=2,vq_size=256,config_size=16 ;;
        *) die "-k: \"$device\" is neither gpu nor generic" ;;
    esac
    for socket; do
        qemu_arguments+=(-chardev "socket,id=gpu$((++i)),path=$socket" -device "$device,chardev=gpu$i")
    done
}
