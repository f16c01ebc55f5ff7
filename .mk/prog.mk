# SPDX-License-Identifier: MIT
#
# One program: PROG, SRCS, KIND (default component), LIBS, LDSCRIPT, CFLAGS.
# The result is $(OUT)/$(PROG); LIBS name static libraries of the same KIND,
# each as a folder below base/ or drivers/ (tessera = base/lib).

all:

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
PROG_PATH := $(OUT)/$(PROG)
all: $(PROG_PATH)

LIBDIR_tessera := base/lib
LIBDIR_driver := drivers/lib
LIBDIR_c := base/libc
lib_path = $(BUILD)/$(LIBDIR_$(1))/lib$(1).a
LIB_FILES := $(foreach l,$(LIBS),$(call lib_path,$(l)))
LDS := $(or $(LDSCRIPT),$(LDSCRIPT_$(KIND)))

define build_lib
$(call lib_path,$(1)): FORCE
	@$$(MAKE) --no-print-directory -C $(TOP)/$(LIBDIR_$(1)) KIND=$(KIND) all
endef
$(foreach l,$(LIBS),$(eval $(call build_lib,$(l))))

ifneq ($(filter $(KIND),$(CROSS_KINDS)),)
$(PROG_PATH): $(OBJS) $(LIB_FILES) $(LDS)
	@echo "  LD      $(HERE)/$(PROG)"
	$(Q)$(LD_$(TOOLCHAIN)) $(LDFLAGS_$(KIND)) $(if $(LDS),-T $(LDS)) -o $@ $(OBJS) --start-group $(LIB_FILES) --end-group $(LDFLAGS)
else
$(PROG_PATH): $(OBJS) $(LIB_FILES)
	@echo "  LD      $(HERE)/$(PROG)"
	$(Q)$(CC_) $(COMMON) $(CFLAGS_$(KIND)) $(CFLAGS) -o $@ $(OBJS) $(LIB_FILES) $(LDFLAGS)
endif
