# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What happens to one port between its sources and its root folder: all that
# decides about bytes, so the hash of this file is part of every port's key.
# `build` reads it; the recipe's facts, WORK, DESTDIR, SYSROOT, TOOLS, LOG, PORTDIR
# and JOBS are set.  POSIX sh; busybox ash runs it.

SOURCE_DATE_EPOCH=1767225600
export SOURCE_DATE_EPOCH

# Commands that every recipe may use, where the build machine has them.  What a
# recipe needs beyond them it names in `tools`.
BASE_TOOLS='ar as awk basename bunzip2 bzip2 cat chmod cmp comm cp cut date dd diff dirname echo egrep
env expr false fgrep find fold gcc grep gunzip gzip head id install ld ln ls make mkdir mktemp mv nl
nproc objcopy objdump od paste patch printf pwd ranlib readlink rm rmdir sed seq sh sha256sum sleep
sort split stat strip tail tar tee test touch tr true tsort uname uniq wc xargs xz yes'

# The machine that builds is the one that the programs are for.
native()
{
	[ -e /lib/ld-musl-aarch64.so.1 ] && [ "$(uname -m)" = aarch64 ]
}

unpack()
{
	for source in $sources; do
		archive=$CACHE/sources/${source##*/}
		# -o: owners of another machine are no facts, and in a user namespace not possible.
		tar -xof "$archive" -C "$1" --strip-components=1 || die "$name: cannot unpack $archive"
	done
	tree_files | while read -r file; do
		mkdir -p "$1/$(dirname "$file")"
		cp "$TOP/$file" "$1/$file"
	done
	for patch in "$PORTDIR/patches"/*.patch; do
		[ -f "$patch" ] || continue
		(cd "$1" && patch -s -p1 <"$patch") || die "$name: $patch does not apply"
	done
}

# link_tool NAME: a command of this machine becomes one that the recipe sees.
link_tool()
{
	found=$(command -v "$1" 2>/dev/null) || return 1
	case $found in
	/*) ln -sf "$found" "$TOOLS/$1" ;;
	*) return 0 ;;		# the shell has it itself
	esac
}

# The recipe sees only these commands: what it needs and did not declare is not
# found, on every machine, instead of being taken where it happens to be.
make_tools()
{
	rm -rf "$TOOLS"
	mkdir -p "$TOOLS"
	# printf, test and their like are commands to programs such as make and xargs.
	for tool in $BASE_TOOLS; do
		for folder in /usr/bin /bin; do
			[ ! -x "$folder/$tool" ] || ln -sf "$folder/$tool" "$TOOLS/$tool"
		done
	done
	for tool in $tools; do
		link_tool "$tool" || die "$name: this machine lacks $tool, which the recipe needs to build"
	done
	if ! native; then
		for tool in ar as gcc ld nm objcopy objdump ranlib readelf strip; do
			link_tool "aarch64-linux-gnu-$tool" || :
		done
	fi
	ln -sf "$(dirname "$CC")/pkg-config" "$TOOLS/pkg-config"
}

# The musl compiler exists from the moment musl is built; before it the bare cross
# compiler does.
set_tools()
{
	if native; then
		CROSS='' CC=gcc
		HOST=$TRIPLET BUILD_HOST=$TRIPLET
	else
		CROSS=aarch64-linux-gnu- CC=$OUT/bin/$TRIPLET-gcc
		HOST=$TRIPLET BUILD_HOST=$(gcc -dumpmachine)
	fi
	AR=${CROSS}ar RANLIB=${CROSS}ranlib STRIP=${CROSS}strip NM=${CROSS}nm OBJCOPY=${CROSS}objcopy
	HOSTCC=gcc CC_FOR_BUILD=gcc BUILD_CC=gcc CONFIG_SHELL=/bin/sh
	CFLAGS="-O2 -pipe -ffile-prefix-map=$WORK=. -ffile-prefix-map=$SYSROOT="
	LDFLAGS=
	PKG_CONFIG=$TOOLS/pkg-config PKG_CONFIG_SYSROOT_DIR=$SYSROOT
	PKG_CONFIG_LIBDIR=$SYSROOT/usr/lib/pkgconfig:$SYSROOT/usr/share/pkgconfig
	TESSERA_SYSROOT=$SYSROOT
	export CROSS CC AR RANLIB STRIP NM OBJCOPY HOSTCC CC_FOR_BUILD BUILD_CC CONFIG_SHELL CFLAGS LDFLAGS
	export HOST BUILD_HOST
	export PKG_CONFIG PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR TESSERA_SYSROOT
}

# ---- styles: what `build` and `package` do when the recipe does not say it -------

configure_build()
{
	# shellcheck disable=SC2086
	./configure --build="$BUILD_HOST" --host="$HOST" --prefix=/usr --sysconfdir=/etc --localstatedir=/var \
	    --mandir=/usr/share/man --infodir=/usr/share/info $options
	make -j"$JOBS"
}

configure_package()
{
	make DESTDIR="$DESTDIR" install
}

make_build()
{
	# shellcheck disable=SC2086
	make -j"$JOBS" CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS" $options
}

make_package()
{
	# shellcheck disable=SC2086
	make DESTDIR="$DESTDIR" PREFIX=/usr prefix=/usr CC="$CC" $options install
}

cmake_build()
{
	cat >tessera.cmake <<-EOT
	set(CMAKE_SYSTEM_NAME Linux)
	set(CMAKE_SYSTEM_PROCESSOR aarch64)
	set(CMAKE_C_COMPILER $CC)
	set(CMAKE_AR $TOOLS/$AR CACHE FILEPATH "")
	set(CMAKE_RANLIB $TOOLS/$RANLIB CACHE FILEPATH "")
	set(CMAKE_FIND_ROOT_PATH $SYSROOT)
	set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
	set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
	set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
	set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
	EOT
	# shellcheck disable=SC2086
	cmake -S . -B tessera-build -DCMAKE_TOOLCHAIN_FILE="$PWD/tessera.cmake" -DCMAKE_INSTALL_PREFIX=/usr \
	    -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="$CFLAGS" \
	    -DCMAKE_SKIP_RPATH=ON $options
	make -C tessera-build -j"$JOBS"
}

cmake_package()
{
	make -C tessera-build DESTDIR="$DESTDIR" install
}

defined()
{
	command -v "$1" >/dev/null 2>&1
}

# The recipe's own function, or else the style's; nothing if there is neither.
run_phase()
{
	if defined "$1"; then
		"$1"
	elif defined "${style}_$1"; then
		"${style}_$1"
	fi
}

# Run one phase, its output in the log.
phase()
{
	echo "== $name: $1" >>"$LOG"
	# The first command that fails ends the phase; in a condition -e would not hold.
	set +e
	(set -e; PATH=$TOOLS HOME=$WORK; export PATH HOME; cd "$WORK"; run_phase "$1") >>"$LOG" 2>&1 </dev/null
	status=$?
	set -e
	if [ $status -ne 0 ]; then
		echo "ports: $name: $1 failed; the last lines of $LOG:" >&2
		tail -n 15 "$LOG" >&2
		exit 1
	fi
}

# ---- after package: what holds for every port -----------------------------------

# ELF files and archives, by their first bytes.
kind_of()
{
	case $(head -c 8 "$1" | tr -c '[:print:]' .) in
	.ELF*) echo elf ;;
	'!<arch>.') echo archive ;;
	esac
}

strip_files()
{
	find "$DESTDIR" -type f | sort | while read -r file; do
		case $(kind_of "$file") in
		archive) "$STRIP" --strip-debug --enable-deterministic-archives "$file" ;;
		elf)
			case $file in
			*.o) "$STRIP" --strip-debug "$file" ;;
			*) chmod u+w "$file" && "$STRIP" --strip-unneeded "$file" ;;
			esac
			;;
		esac
	done
}

# The text of the licence goes with every package.
keep_licences()
{
	for file in $licensefiles; do
		[ -f "$WORK/$file" ] || die "$name: licensefiles names $file, which the source does not have"
		mkdir -p "$DESTDIR/usr/share/licenses/$name"
		cp "$WORK/$file" "$DESTDIR/usr/share/licenses/$name/${file##*/}"
		chmod 644 "$DESTDIR/usr/share/licenses/$name/${file##*/}"
	done
}

# Libtool's files name folders of the build; info's index belongs to no package.
drop_files()
{
	find "$DESTDIR" -name '*.la' -type f -exec rm -f {} +
	rm -f "$DESTDIR/usr/share/info/dir"
}

finish_root()
{
	drop_files
	keep_licences
	[ "$strip" = no ] || strip_files
	# Times are no content.
	find "$DESTDIR" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

make_root()
{
	unpack "$WORK"
	set_tools
	make_tools
	phase build
	phase check
	phase package
	finish_root
}
