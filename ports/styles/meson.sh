# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# style=meson.  What this file says is part of the key of those ports alone.
# Nothing is found by chance: features that are "auto" are off unless `options`
# says otherwise, nothing is downloaded, and the machine file names all programs.

style_tools="meson ninja"

# meson_list WORD…: as meson writes a list of texts.
meson_list()
{
	list=
	for word in "$@"; do
		list="$list${list:+, }'$word'"
	done
	echo "[$list]"
}

# The compiler and its flags; cross, also for which machine.
meson_machine()
{
	# shellcheck disable=SC2086
	cat <<-EOT
	[binaries]
	c = '$CC'
	ar = '$AR'
	strip = '$STRIP'
	nm = '$NM'
	objcopy = '$OBJCOPY'
	pkgconfig = '$PKG_CONFIG'
	[built-in options]
	c_args = $(meson_list $CFLAGS)
	c_link_args = $(meson_list $LDFLAGS)
	EOT
	native || cat <<-EOT
	[host_machine]
	system = 'linux'
	cpu_family = 'aarch64'
	cpu = 'aarch64'
	endian = 'little'
	[properties]
	needs_exe_wrapper = true
	sys_root = '$SYSROOT'
	pkg_config_libdir = '$PKG_CONFIG_LIBDIR'
	EOT
}

meson_build()
{
	meson_machine >tessera.machine
	kind=--cross-file
	! native || kind=--native-file
	# Programs of the build itself are compiled without these.
	unset CFLAGS LDFLAGS CC AR STRIP NM OBJCOPY RANLIB PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
	# shellcheck disable=SC2086
	meson setup tessera-build $kind=tessera.machine --prefix=/usr --libdir=lib --sysconfdir=/etc --localstatedir=/var \
	    --mandir=share/man --infodir=share/info --buildtype=plain --wrap-mode=nodownload --auto-features=disabled \
	    -Dwerror=false $options
	ninja -C tessera-build -j "$JOBS"
}

meson_package()
{
	DESTDIR=$DESTDIR meson install -C tessera-build --no-rebuild
}
