# SPDX-License-Identifier: MIT
#
# Programs: PROG with SRCS, or PROGS with SRCS_<prog> beside SRCS that all of
# them share.  KIND (default component), LIBS, LDSCRIPT, CFLAGS, LDFLAGS,
# OBJECTS (more object files, made by a rule of the leaf).
# The result is $(OUT)/<prog>.  See README.md.

all:

MK := $(dir $(lastword $(MAKEFILE_LIST)))
include $(MK)libs.mk
include $(MK)common.mk

PROGS := $(or $(PROGS),$(PROG))
LDS := $(or $(LDSCRIPT),$(LDSCRIPT_$(KIND)))
LIB_FILES := $(foreach l,$(LIBS),$(LIB_ROOT)/$(LIBDIR_$(l))/lib$(l).a)

all: $(addprefix $(OUT)/,$(PROGS))

# Libraries are made when a leaf is built by hand; the top has made them before.
ifeq ($(LIBS_READY),)
define lib_rule
$(LIB_ROOT)/$(LIBDIR_$(1))/lib$(1).a: FORCE
	$(Q)$$(MAKE) -C $(TOP)/$(LIBDIR_$(1)) KIND=$(KIND) all
endef
$(foreach l,$(LIBS),$(eval $(call lib_rule,$(l))))
endif

elf_kinds := kernel component personality
define link_rule
$(OUT)/$(1): $(call objs,$(SRCS) $(SRCS_$(1))) $(OBJECTS) $(LIB_FILES) $(LDS) $(STAMP)
	$(SAY) LD '$(HERE)/$(1)'
ifneq ($(filter $(KIND),$(elf_kinds)),)
	$(Q)$(LD) $(LDFLAGS_$(KIND)) $(LDFLAGS_elf) $(if $(LDS),-T $(LDS)) -o $$@ \
	    $(call objs,$(SRCS) $(SRCS_$(1))) $(OBJECTS) --start-group $(LIB_FILES) --end-group \
	    $(if $(filter-out kernel,$(KIND)),$(LIBGCC)) $(LDFLAGS)
else ifeq ($(KIND),efi)
	$(Q)$(KIND_CC) $(LDFLAGS_efi) -o $$@ $(call objs,$(SRCS) $(SRCS_$(1))) $(OBJECTS) $(LIB_FILES) $(LDFLAGS)
else
	$(Q)$(KIND_CC) $(COMMON) $(OPT) $(CFLAGS_$(KIND)) $(CFLAGS) -o $$@ \
	    $(call objs,$(SRCS) $(SRCS_$(1))) $(OBJECTS) $(LIB_FILES) $(LDFLAGS)
endif
endef
# 128-bit division and the like; integer code only.  The kernel does without.
LIBGCC = $(shell $(CROSS)gcc -print-libgcc-file-name)
$(foreach p,$(PROGS),$(eval $(call link_rule,$(p))))

# ---- make check: run what runs here -------------------------------------------

# A test prints what it does and exits with 0; ARGS are its arguments.  A fuzz
# target starts from the seeds and the stored corpus in CORPUS (a folder of the
# leaf), which it does not change.
TEST_TIMEOUT ?= 300
FUZZ_SECONDS ?= 10
FUZZ_FLAGS ?= -seed=1 -timeout=20 -rss_limit_mb=2048
define check_rule
.PHONY: check-$(1)
check: check-$(1)
check-$(1): $(OUT)/$(1)
ifeq ($(KIND),host-test)
	$(SAY) TEST '$(HERE)/$(1)'
	$(Q)UBSAN_OPTIONS=print_stacktrace=1 timeout $(TEST_TIMEOUT) $(OUT)/$(1) $(ARGS)
else ifeq ($(KIND),host-fuzz)
	$(SAY) FUZZ '$(HERE)/$(1)'
	@mkdir -p $(OUT)/corpus-$(1)
	$(Q)UBSAN_OPTIONS=print_stacktrace=1 timeout $$$$(($(FUZZ_SECONDS) + $(TEST_TIMEOUT))) $(OUT)/$(1) \
	    $(FUZZ_FLAGS) -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(OUT)/ \
	    $(OUT)/corpus-$(1) $(CORPUS) > $(OUT)/$(1).log 2>&1 || { tail -n 60 $(OUT)/$(1).log; exit 1; }
	@tail -n 2 $(OUT)/$(1).log
else
	@:
endif
endef
$(foreach p,$(PROGS),$(eval $(call check_rule,$(p))))
