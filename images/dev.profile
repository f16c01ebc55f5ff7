# SPDX-License-Identifier: MIT
#
# The default system and what building on it takes, but for the compiler.
package tessera-kernel tessera-boot tessera-base tessera-ports
package pkg musl busybox bash less nano toybox
repository *
package e2fsprogs dosfstools mtools
package xz zstd libarchive ca-certificates
package musl-dev linux-headers zlib-dev ncurses-dev
package make pkgconf
tree root
dir 0755 etc/profile.d
dir 0555 proc
dir 0555 sys
dir 0755 dev
dir 0755 run
dir 0755 mnt
dir 0755 var
dir 0755 var/log
dir 0755 home
dir 1777 tmp
dir 1777 var/tmp
dir 0700 root
mode 0600 etc/shadow
mode 0755 etc/init.d/rcS
