# SPDX-License-Identifier: MIT
#
# Where the library that LIBS calls by a short name is built; its headers are in
# the folder's include/.

LIBDIR_tessera := base/lib
LIBDIR_c := base/libc
LIBDIR_driver := drivers/lib
LIBDIR_pkg := pkg/lib
