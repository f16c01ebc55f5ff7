# SPDX-License-Identifier: MIT
#
# How libfdt's source comes here; included after prog.mk.
$(LIBFDT)/libfdt.h:
	$(SAY) UNPACK libfdt
	$(Q)$(TOP)/ports/unpack libfdt $(SRC)/libfdt
$(LIBFDT_SRCS): | $(LIBFDT)/libfdt.h ;
