# SPDX-License-Identifier: MIT
#
# What every leaf Makefile shares: where things are, tools, and the flags of
# each KIND.  Included by prog.mk and lib.mk; see .mk/README.md.
#
#   TOP        the tree            BUILD    outputs of this configuration
#   CONFIG     debug | release     TOOLCHAIN gcc | clang
#   GEN        generated headers (tessera/calls.h, tessera/stubs.h, …)

TOP := $(patsubst %/,%,$(dir $(abspath $(dir $(lastword $(MAKEFILE_LIST))))))
CONFIG ?= release
TOOLCHAIN ?= gcc
ifeq ($(TOOLCHAIN),gcc)
CONFDIR := $(CONFIG)
else
CONFDIR := $(CONFIG)-$(TOOLCHAIN)
endif
BUILD ?= $(TOP)/build/$(CONFDIR)
GEN := $(TOP)/build/gen
DEST := $(TOP)/build
HERE := $(patsubst $(TOP)/%,%,$(CURDIR))
OUT := $(BUILD)/$(HERE)

Q := $(if $(V),,@)
CROSS := aarch64-linux-gnu-

CC_gcc := $(CROSS)gcc
CC_clang := clang --target=aarch64-none-elf
AR_gcc := $(CROSS)ar
AR_clang := llvm-ar
LD_gcc := $(CROSS)ld
LD_clang := ld.lld

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Werror
OPT_debug := -O1
OPT_release := -O2
COMMON := -std=gnu11 -g -fno-common -ffile-prefix-map=$(TOP)/=
FREE := -ffreestanding -fno-builtin -fno-stack-protector -fno-strict-aliasing -fno-delete-null-pointer-checks \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer
ifeq ($(TOOLCHAIN),gcc)
FREE += -mno-outline-atomics
else
FREE += -mno-outline-atomics -Wno-unused-command-line-argument
endif
CPU := -march=armv8-a

CFLAGS_kernel := $(FREE) $(CPU) -mgeneral-regs-only -mstrict-align -fPIE -fvisibility=hidden $(WARN) \
	-I$(TOP)/kernel/include -I$(GEN)
CFLAGS_component := $(FREE) $(CPU) -fno-pic -fno-pie $(WARN) \
	-I$(TOP)/base/include -I$(TOP)/base/lib/include -I$(TOP)/kernel/include -I$(GEN)
CFLAGS_personality := $(FREE) $(CPU) -mgeneral-regs-only -fno-pic -fno-pie -mcmodel=small $(WARN) \
	-DTESSERA_PERSONALITY -I$(TOP)/linuxabi/include -I$(TOP)/base/include -I$(TOP)/base/lib/include \
	-I$(TOP)/kernel/include -I$(GEN)
CFLAGS_host := $(WARN) -O2 -I$(TOP)/kernel/include -I$(GEN)
CFLAGS_host-test := $(WARN) -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-I$(TOP)/kernel/include -I$(TOP)/base/include -I$(TOP)/base/lib/include -I$(GEN)
CFLAGS_linux := -Wall -Wextra -Werror -O2

LDFLAGS_kernel := -static -pie --no-dynamic-linker -z text -z max-page-size=4096 -z noexecstack --build-id=none
LDFLAGS_component := -static -z max-page-size=4096 -z noexecstack --build-id=none
LDFLAGS_personality := -static -z max-page-size=4096 -z noexecstack --build-id=none
LDSCRIPT_component := $(TOP)/base/lib/component.ld

KIND ?= component
CROSS_KINDS := kernel component personality
ifneq ($(filter $(KIND),$(CROSS_KINDS)),)
CC_ := $(CC_$(TOOLCHAIN))
AR_ := $(AR_$(TOOLCHAIN))
OPT := $(OPT_$(CONFIG))
DEFS := $(if $(filter debug,$(CONFIG)),-DDEBUG=1)
else ifeq ($(KIND),linux)
CC_ := $(TOP)/build/ports/bin/aarch64-linux-musl-gcc
AR_ := $(CROSS)ar
else ifeq ($(KIND),host-fuzz)
CC_ := clang
AR_ := ar
CFLAGS_host-fuzz := $(WARN) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	-I$(TOP)/kernel/include -I$(TOP)/base/include -I$(TOP)/base/lib/include -I$(GEN)
else
CC_ := gcc
AR_ := ar
endif
ALL_CFLAGS = $(COMMON) $(OPT) $(CFLAGS_$(KIND)) $(DEFS) $(CFLAGS)

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

# Sources may lie in subfolders, and outside (../x.c): objects keep the name with / and . folded.
objs = $(patsubst %,$(OUT)/%.o,$(subst ../,up/,$(1)))
OBJS := $(call objs,$(SRCS))

# Changed flags rebuild: they are a file that every object depends on.
STAMP := $(OUT)/$(or $(PROG),$(LIB)).flags
$(STAMP): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC_) $(ALL_CFLAGS) $(ASFLAGS)' | cmp -s - $@ || printf '%s\n' '$(CC_) $(ALL_CFLAGS) $(ASFLAGS)' > $@
FORCE:
.PHONY: FORCE all clean check

define compile
	@mkdir -p $(@D)
	@echo "  CC      $(HERE)/$<"
	$(Q)$(CC_) $(ALL_CFLAGS) -MMD -MP -MF $@.d -c -o $@ $<
endef
define compile_asm
	@mkdir -p $(@D)
	@echo "  AS      $(HERE)/$<"
	$(Q)$(CC_) $(ALL_CFLAGS) $(ASFLAGS) -D__ASSEMBLY__ -MMD -MP -MF $@.d -c -o $@ $<
endef

$(OUT)/up/%.c.o: ../%.c $(STAMP) | $(GENERATED)
	$(compile)
$(OUT)/%.c.o: %.c $(STAMP) | $(GENERATED)
	$(compile)
$(OUT)/%.S.o: %.S $(STAMP) | $(GENERATED)
	$(compile_asm)

# Generated from kernel/calls.def, wanted by everything that talks to the kernel.
ifneq ($(filter $(KIND),kernel component personality host-test host-fuzz),)
GENERATED += $(GEN)/tessera/calls.h $(GEN)/tessera/stubs.h
$(GEN)/tessera/%.h: $(TOP)/kernel/calls.def $(TOP)/kernel/tools/gencalls.awk
	@mkdir -p $(@D)
	@awk -v out=$* -f $(TOP)/kernel/tools/gencalls.awk $(TOP)/kernel/calls.def > $@.new.$$$$ && mv $@.new.$$$$ $@
endif

clean::
	rm -rf $(OUT)

-include $(OBJS:%=%.d)
