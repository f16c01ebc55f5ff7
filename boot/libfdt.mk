# SPDX-License-Identifier: MIT
#
# The part of libfdt that we link.  Its source is a pinned archive like a
# port's (ports/libfdt), compiled here for UEFI and for the host tests.
LIBFDT = $(SRC)/libfdt/libfdt
LIBFDT_NAMES ?= fdt.c fdt_ro.c fdt_check.c fdt_strerror.c
LIBFDT_SRCS = $(LIBFDT_NAMES:%=$(LIBFDT)/%)
SRCS += $(LIBFDT_SRCS)
CFLAGS += -isystem $(LIBFDT)
GENERATED += $(LIBFDT)/libfdt.h
