# SPDX-License-Identifier: MIT
#
# One static library: LIB, SRCS, KIND, CFLAGS.  The result is $(OUT)/lib$(LIB).a.

all:
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
all: $(OUT)/lib$(LIB).a

$(OUT)/lib$(LIB).a: $(OBJS)
	@echo "  AR      $(HERE)/lib$(LIB).a"
	$(Q)rm -f $@ && $(AR_) $(if $(filter clang,$(TOOLCHAIN)),rcs,rcsD) $@ $(OBJS)
