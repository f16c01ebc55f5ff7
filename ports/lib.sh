# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What all programs of this folder share: where things are, how recipes are read,
# how they complain.  POSIX sh; busybox ash runs it.

set -eu
PORTS=$(cd "$(dirname "$0")" && pwd)
TOP=$(dirname "$PORTS")
# On the running system, as /usr/ports, there is no build/ beside it.
case $TOP in /usr) OUT=/var/cache/ports ;; *) OUT=$TOP/build/ports ;; esac
OUT=${PORTS_OUT:-$OUT}
CACHE=${TESSERA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tessera}
TRIPLET=aarch64-linux-musl
export LC_ALL=C TZ=UTC
umask 022

die()
{
	echo "ports: $*" >&2
	exit 1
}

# recipe NAME: read its facts into variables.  Call it in a subshell: functions of
# a recipe stay defined.
recipe()
{
	[ -f "$PORTS/$1/recipe" ] || die "$1: there is no such port (no $1/recipe)"
	name='' version='' release=1 sources='' sha256='' tree='' depends='' makedepends='' tools='' toolchain=musl
	summary='' license='' url='' style=custom options='' licensefiles='' subpackages='dev doc' strip=yes
	provides='' conflicts='' replaces='' config='' modes='' allow='' arch=aarch64 packed=yes
	# shellcheck disable=SC1090
	. "$PORTS/$1/recipe"
	[ "$name" = "$1" ] || die "$1: recipe says name=$name"
	[ -n "$version" ] || die "$1: recipe has no version"
	case $style in
	custom | configure | cmake | make) ;;
	*) [ -f "$PORTS/styles/$style.sh" ] ||
	    die "$1: style=$style: there are configure, cmake, make, custom and those of ports/styles" ;;
	esac
	# Every program needs the C library, so it is no news.
	[ "$toolchain" = none ] || makedepends="$toolchain $makedepends"
}

# All ports, in the order of their names.
all_ports()
{
	for file in "$PORTS"/*/recipe; do
		file=${file%/recipe}
		echo "${file##*/}"
	done
}

# Whether a port installs anything for a system: libfdt is sources for other parts
# only, and some are for the build machine.
installs()
(
	recipe "$1"
	[ "$packed" = yes ] || exit 1
	[ "$style" != custom ] || command -v package >/dev/null 2>&1
)

# ports_named WORD…: "all" stands for every port that installs something.
ports_named()
{
	for word in "$@"; do
		if [ "$word" != all ]; then
			echo "$word"
			continue
		fi
		for port in $(all_ports); do
			! installs "$port" || echo "$port"
		done
	done
}

# in_order PORT…: these and all they are built from, dependencies first.
in_order()
{
	seen=' ' path=' '
	for port in "$@"; do
		order_one "$port"
	done
}

order_one()
{
	case $path in *" $1 "*) die "dependencies go in a circle:$path$1" ;; esac
	case $seen in *" $1 "*) return 0 ;; esac
	path="$path$1 "
	needed=$(recipe "$1"; echo "$makedepends" "$depends") || exit 1
	for needed in $needed; do
		order_one "$needed"
	done
	path="${path%"$1 "}"
	seen="$seen$1 "
	echo "$1"
}

sha256_of()
{
	sha256sum "$1" | cut -d' ' -f1
}

# tree_files: the files of this tree that the recipe in hand is built from.
tree_files()
{
	for path in $tree; do
		[ -e "$TOP/$path" ] || die "$name: this tree has no $path, which the recipe is built from"
		(cd "$TOP" && find "$path" -type f ! -name '.*' ! -name '*~' | sort)
	done
}

# tree_sum FOLDER: one hash of names, modes, links and bytes.
tree_sum()
{
	(
		cd "$1"
		find . -type f -exec sha256sum {} + | sort -k 2
		find . -type f -perm -100 | sort
		find . -type d | sort
		find . -type l | sort | while read -r link; do
			echo "$link $(readlink "$link")"
		done
	) | sha256sum | cut -c1-32
}
