#!/bin/sh
# use.sh WAY PREFIX WORK: builds and runs the outside program against the skua installed in PREFIX.
# WAY is find-package, find-package-static, pkg-config or pkg-config-static. CC is the compiler.
set -eu

way=$1 prefix=$2 source=$(dirname "$0")
work=$3/$way
rm -rf "$work"
mkdir -p "$work"

# Wherever GNUInstallDirs put it on this system.
pc=$(find "$prefix" -name skua.pc)
libdir=$(dirname "$(dirname "$pc")")

by_find_package() {
    cmake -S "$source" -B "$work" -DCMAKE_C_COMPILER="${CC:-cc}" -DCMAKE_PREFIX_PATH="$prefix" \
        -DLIBRARY="$1"
    cmake --build "$work"
}

# by_pkg_config PKG-CONFIG-OPTION LIBRARY-OPTIONS...
by_pkg_config() {
    flags=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config "$1" --cflags --libs skua)
    shift
    # shellcheck disable=SC2086 # flags are words
    "${CC:-cc}" "$source/outside.c" -o "$work/outside" "$@" $flags
}

case $way in
find-package) by_find_package skua::skua ;;
find-package-static) by_find_package skua::skua-static ;;
pkg-config) by_pkg_config --shared "-Wl,-rpath,$libdir" ;;
pkg-config-static)
    # A prefix without the shared library, so that -lskua can only mean the archive.
    mkdir "$work/lib"
    cp "$libdir/libskua.a" "$work/lib"
    by_pkg_config --static "-L$work/lib"
    ;;
*)
    echo "use.sh: unknown way '$way'" >&2
    exit 2
    ;;
esac

# What was asked for is what was linked.
needs_shared=$(readelf -d "$work/outside" | grep -c 'NEEDED.*libskua' || true)
case $way in
*-static) [ "$needs_shared" -eq 0 ] ;;
*) [ "$needs_shared" -eq 1 ] ;;
esac
"$work/outside"
