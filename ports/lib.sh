# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What fetch and build share: where things are, and how they complain.
# POSIX sh; busybox ash runs it.

set -eu
PORTS=$(cd "$(dirname "$0")" && pwd)
TOP=$(dirname "$PORTS")
OUT=${PORTS_OUT:-$TOP/build/ports}
CACHE=${TESSERA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tessera}
TRIPLET=aarch64-linux-musl
export LC_ALL=C TZ=UTC
umask 022

die()
{
	echo "ports: $*" >&2
	exit 1
}

# recipe NAME: read its facts into variables.
recipe()
{
	[ -f "$PORTS/$1/recipe" ] || die "$1: there is no such port (no $1/recipe)"
	name='' version='' release=1 sources='' sha256='' depends='' makedepends=''
	summary='' license='' url='' style=custom options=''
	# shellcheck disable=SC1090
	. "$PORTS/$1/recipe"
	[ "$name" = "$1" ] || die "$1: recipe says name=$name"
	[ -n "$version" ] || die "$1: recipe has no version"
}

sha256_of()
{
	sha256sum "$1" | cut -d' ' -f1
}
