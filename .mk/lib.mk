# SPDX-License-Identifier: MIT
#
# One static library: LIB, SRCS, KIND (default component), CFLAGS.
# The result is $(OUT)/lib$(LIB).a.  See README.md.

all:

MK := $(dir $(lastword $(MAKEFILE_LIST)))
include $(MK)libs.mk
include $(MK)common.mk

all: $(OUT)/lib$(LIB).a
$(OUT)/lib$(LIB).a: $(OBJS)
	$(SAY) AR '$(HERE)/lib$(LIB).a'
	$(Q)rm -f $@ && $(KIND_AR) rcsD $@ $(OBJS)
check:
