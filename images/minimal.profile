# SPDX-License-Identifier: MIT
#
# The smallest system that a person can log in to: BusyBox, musl for dynamic
# programs, and the files of root/.  One fact a line: `port NAME` installs a built
# port, `tree FOLDER` lays a folder of images/ over it, `dir MODE PATH`
# makes one, `mode MODE PATH` sets what git does not keep, `program BUILT PATH`
# is one of our own Linux programs.
port musl-runtime
port busybox
program boot/tessera-slot/tessera-slot usr/sbin/tessera-slot
program base/lscap/lscap usr/sbin/lscap
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
