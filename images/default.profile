# SPDX-License-Identifier: MIT
#
# What a person expects at a prompt: installed by pkg, so that pkg on the running
# system knows all of it.  `package NAME…` installs from build/ports/repo (`make
# packages`) with what it needs.  `repository PATTERN…` says which packages the image
# carries in /usr/share/tessera/repo, !PATTERN which not; the last that fits counts.
package tessera-kernel tessera-boot tessera-base tessera-ports
package pkg musl busybox bash less
repository * !*-dev !*-doc !linux-headers
package e2fsprogs dosfstools mtools
package xz zstd libarchive ca-certificates
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
