# shellcheck shell=bash disable=SC2154
# Debian packages of other suites than the system's, unpacked into the cache and never installed.
# apt gets a private root for each suite; mirror, proxy and keyring are the system's. Needs common.sh.

fetch_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that the system's own apt takes its release from.
fetch_mirror() {
    local codename mirror
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
    # shellcheck disable=SC2016 # apt expands these
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' |
        awk -v wanted="$codename" '$2 == wanted || $3 == wanted { print $1; exit }')
    [[ $mirror ]] || die "apt's sources name no Debian mirror for $codename"
    echo "$mirror"
}

# fetch_apt SUITE COMMAND…: COMMAND is an apt tool; it sees only that suite and an empty system.
fetch_apt() {
    local root=$cache/apt/$1 command=$2
    shift 2
    "$command" -qq \
        -o Dir::Etc::SourceList="$root/mirror.sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State="$root" -o Dir::State::status="$root/status" -o Dir::State::lists="$root/lists" \
        -o Dir::Cache="$root/cache" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root \
        -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 "$@"
}

fetch_update() {
    local suite=$1 root=$cache/apt/$1 mirror
    mirror=$(fetch_mirror) || return
    mkdir -p "$root"/{lists,cache/archives}/partial
    : >"$root/status"
    # "Targets" keeps translations and metadata that a system may have configured out of it.
    printf '%s\n' "Types: deb" "URIs: $mirror" "Suites: $suite" "Components: main" \
        "Targets: Packages" "Signed-By: $fetch_keyring" >"$root/mirror.sources"
    run_quietly "reading Debian $suite's package list (an old debian-archive-keyring?)" \
        fetch_apt "$suite" apt-get update --error-on=any
}

# fetch_unpack HOW SUITE NAME PACKAGE…: HOW says whether what they depend on comes along.
fetch_unpack() {
    local how=$1 suite=$2 tree=$cache/$2/$3 partial deb
    shift 3
    [[ ! -d $tree ]] || return 0
    say "Fetching $* from Debian $suite"
    fetch_update "$suite" || return
    partial=$(mktemp -d "$cache/apt/$suite/unpack.XXXXXX")
    mkdir -p "$partial/debs/partial" "$partial/tree"
    case $how in
        alone) set -- download "$@" ;;
        with-dependencies)
            set -- install -y --no-install-recommends --download-only \
                -o Dir::Cache::archives="$partial/debs" "$@"
            ;;
    esac
    (cd "$partial/debs" && run_quietly "downloading from Debian $suite" \
        fetch_apt "$suite" apt-get "$@") || return
    for deb in "$partial"/debs/*.deb; do
        dpkg -x "$deb" "$partial/tree" || return
    done
    mkdir -p "$cache/$suite"
    chmod 755 "$partial/tree"
    mv "$partial/tree" "$tree"
    rm -rf "$partial"
}

# fetch_tree SUITE NAME PACKAGE…: unpacks exactly these packages (not what they depend on) once, and
# prints the folder. A folder that exists is taken as it is; remove it to fetch again.
fetch_tree() {
    locked "fetch-$1" fetch_unpack alone "$@" >&2 || return
    echo "$cache/$1/$2"
}

# fetch_root SUITE NAME PACKAGE…: the same with all that they depend on. Nothing in it is configured;
# fetch_command says how to start its programs.
fetch_root() {
    locked "fetch-$1" fetch_unpack with-dependencies "$@" >&2 || return
    echo "$cache/$1/$2"
}

# Up to Debian 12, packages have some of it outside of /usr.
fetch_loader() { find "$1"/usr "$1"/lib* -maxdepth 2 -name 'ld-linux*' -path '*/lib*' 2>/dev/null | head -n 1; }
fetch_libraries() {
    local libc
    libc=$(find "$1/usr/lib" "$1/lib" -name libc.so.6 2>/dev/null | head -n 1)
    echo "$1/usr/lib/$(basename "$(dirname "$libc")")"
}

# fetch_gl_environment ROOT: lines of a shell that have EGL look for its drivers there.
fetch_gl_environment() {
    echo "__EGL_VENDOR_LIBRARY_FILENAMES=$1/usr/share/glvnd/egl_vendor.d/50_mesa.json"
    echo "LIBGL_DRIVERS_PATH=$(fetch_libraries "$1")/dri"
    echo 'export __EGL_VENDOR_LIBRARY_FILENAMES LIBGL_DRIVERS_PATH'
}

# fetch_command ROOT PROGRAM: makes a command of a program there, with its own libraries, and prints its
# path.
fetch_command() {
    local root=$1 command=$1/$2 libraries
    if [[ ! -x $command ]]; then
        libraries=$(fetch_libraries "$root")
        libraries+=:$root${libraries#"$root/usr"}
        # Its keyboard layouts may be newer than the system's, too.
        printf '#!/bin/sh\n%s\nexec %q --library-path %q %q "$@"\n' \
            "XKB_CONFIG_ROOT=$root/usr/share/X11/xkb; export XKB_CONFIG_ROOT" \
            "$(fetch_loader "$root")" "$libraries" "$root/usr/bin/$2" >"$command.new"
        chmod 755 "$command.new"
        mv "$command.new" "$command"
    fi
    echo "$command"
}
