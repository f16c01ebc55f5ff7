# SPDX-License-Identifier: MIT
#
# What every leaf Makefile shares: where things are, the tools, and the flags of
# each KIND.  Included by prog.mk and lib.mk, never by a leaf.  How to use them
# stands in README.md; variables that a leaf may read:
#
#   TOP    the tree                        GEN   generated headers
#   BUILD  outputs of this configuration   OUT   outputs of this folder
#   UAPI   Linux's <linux/…>, <asm/…> headers for the personality
#   SRC    sources unpacked by ports/fetch (libfdt, musl)

TOP := $(patsubst %/,%,$(dir $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))))
CONFIG ?= release
TOOLCHAIN ?= gcc
KIND ?= component
ifeq ($(filter $(CONFIG),release debug),)
$(error CONFIG=$(CONFIG): there are release and debug)
endif
ifeq ($(filter $(TOOLCHAIN),gcc clang),)
$(error TOOLCHAIN=$(TOOLCHAIN): there are gcc and clang)
endif

DEST := $(TOP)/build
BUILD := $(DEST)/$(CONFIG)$(if $(filter clang,$(TOOLCHAIN)),-clang)
GEN := $(DEST)/gen
UAPI := $(GEN)/uapi
SRC := $(DEST)/src
PORTS := $(DEST)/ports

target_kinds := kernel component personality efi
HERE := $(patsubst $(TOP)/%,%,$(CURDIR))
# A library may be built for several kinds.
LIB_ROOT := $(BUILD)$(if $(filter-out component,$(KIND)),/$(KIND))
OUT := $(if $(LIB),$(LIB_ROOT),$(BUILD))/$(HERE)

Q := $(if $(V),,@)
SAY := @printf '  %-7s %s\n'
CROSS := aarch64-linux-gnu-

# ---- tools --------------------------------------------------------------------

CC_aarch64_gcc := $(CROSS)gcc
CC_aarch64_clang := clang --target=aarch64-none-elf
CC_kernel = $(CC_aarch64_$(TOOLCHAIN))
CC_component = $(CC_aarch64_$(TOOLCHAIN))
CC_personality = $(CC_aarch64_$(TOOLCHAIN))
CC_efi := clang --target=aarch64-unknown-windows
CC_host := gcc
CC_host-test := gcc
CC_host-fuzz := clang
CC_linux := $(PORTS)/bin/aarch64-linux-musl-gcc
KIND_CC := $(CC_$(KIND))
ifeq ($(KIND_CC),)
$(error KIND=$(KIND): see .mk/README.md for the kinds)
endif
LD := ld.lld
AR_aarch64 := $(CROSS)ar
KIND_AR := $(if $(filter $(KIND),kernel component personality linux),$(AR_aarch64),$(if \
	$(filter efi,$(KIND)),llvm-ar,ar))

# Short names for a leaf that adds rules of its own.
CC_ = $(KIND_CC)
AR_ = $(KIND_AR)

# ---- flags --------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wvla
WERROR ?= -Werror
COMMON := -std=gnu11 -g -fno-common -ffile-prefix-map=$(TOP)/=
OPT_release := -O2 -DNDEBUG
OPT_debug := -O2 -DDEBUG=1
OPT := $(if $(filter $(KIND),$(target_kinds)),$(OPT_$(CONFIG)),$(if \
	$(filter host-test host-fuzz,$(KIND)),-O1,-O2))

# Headers of the compiler, not those of Debian's glibc beside it.
gcc_include = -nostdinc -isystem $(shell $(CROSS)gcc -print-file-name=include)
clang_include = -nostdinc -isystem $(shell clang -print-resource-dir)/include
std_include := $(if $(filter gcc,$(TOOLCHAIN)),$(gcc_include),$(clang_include))

# Debug lines are kept apart from behaviour: -g in every configuration.
# Outlined atomics would call libgcc, which asks a Linux for its hwcap.
FREE := -ffreestanding -fno-builtin -fno-stack-protector -fno-strict-aliasing \
	-fno-delete-null-pointer-checks -fno-asynchronous-unwind-tables -fno-unwind-tables \
	-fno-omit-frame-pointer -ffunction-sections -fdata-sections \
	-march=armv8-a -mstrict-align -mno-outline-atomics
FREE += $(if $(filter gcc,$(TOOLCHAIN)),-fno-tree-loop-distribute-patterns,-Wno-unused-command-line-argument)

NATIVE_INCLUDES := -I$(TOP)/base/include -I$(TOP)/base/lib/include -I$(TOP)/kernel/include -I$(GEN)
lib_includes = $(foreach l,$(LIBS),$(if $(LIBDIR_$(l)),-I$(TOP)/$(LIBDIR_$(l))/include))

# A component with the C library (LIBS = … c) may use floating point.
component_free := $(if $(filter c,$(LIBS)),$(filter-out -ffreestanding -fno-builtin,$(FREE)),$(FREE) -mgeneral-regs-only)
component_c := $(if $(filter c,$(LIBS)),-isystem $(BUILD)/base/libc/include)

CFLAGS_kernel := $(FREE) -mgeneral-regs-only -ffixed-x18 -fPIE $(std_include) \
	-Wconversion -Wno-sign-conversion -I$(TOP)/kernel/include -I$(GEN)
CFLAGS_component = $(component_free) -fno-pic -fno-pie $(component_c) $(std_include) -Wconversion \
	$(NATIVE_INCLUDES) $(lib_includes)
CFLAGS_personality := $(FREE) -mgeneral-regs-only -fno-pic -fno-pie -mcmodel=small $(std_include) \
	-Wno-unused-parameter -I$(TOP)/linuxabi/include $(NATIVE_INCLUDES) -isystem $(UAPI)
CFLAGS_efi := -ffreestanding -fno-builtin -fshort-wchar -fno-stack-protector -mno-stack-arg-probe \
	-mstrict-align -mgeneral-regs-only -Wconversion -I$(TOP)/kernel/include
CFLAGS_host := -I$(TOP)/kernel/include -I$(GEN)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_host-test = $(SANITIZE) -DHOST_TEST=1 $(NATIVE_INCLUDES) $(lib_includes)
CFLAGS_host-fuzz = $(SANITIZE) -fsanitize=fuzzer -DHOST_TEST=1 -DHOST_FUZZ=1 $(NATIVE_INCLUDES) $(lib_includes)
CFLAGS_linux := -static

LDSCRIPT_component := $(TOP)/base/lib/component.ld
LDFLAGS_kernel := -pie --no-dynamic-linker -z text -z norelro -z separate-code
LDFLAGS_component := -static
LDFLAGS_personality := -static
LDFLAGS_elf := --gc-sections --build-id=none -z max-page-size=4096 -z noexecstack
LDFLAGS_efi := -nostdlib -fuse-ld=lld -Wl,-subsystem:efi_application -Wl,-entry:efi_main -Wl,-Brepro

ALL_CFLAGS = $(COMMON) $(OPT) $(WARN) $(WERROR) $(CFLAGS_$(KIND)) $(CFLAGS)

# ---- make itself --------------------------------------------------------------

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: FORCE all clean check
FORCE:

include $(TOP)/.mk/gen.mk

# ---- compiling ----------------------------------------------------------------

# Sources may lie anywhere in the tree: ../ and the tree's own path are folded.
obj = $(OUT)/$(subst ../,up/,$(patsubst $(TOP)/%,top/%,$(1))).o

# A change of compiler or flags rebuilds: every object depends on this file.
STAMP := $(OUT)/$(or $(PROG),$(firstword $(PROGS)),$(LIB)).flags
flags_text = $(KIND_CC) $(ALL_CFLAGS) $(ASFLAGS) | $(LDFLAGS_elf) $(LDFLAGS_$(KIND)) $(LDFLAGS)
$(STAMP): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(flags_text))' | cmp -s - $@ || \
	    printf '%s\n' '$(subst ','\'',$(flags_text))' > $@

# Other people's code (unpacked under build/src) is compiled without warnings.
foreign = $(if $(filter $(SRC)/%,$(1)),-w)
compile = $(KIND_CC) $(ALL_CFLAGS) $(CFLAGS-$(1)) $(call foreign,$(1)) $(if $(filter %.S,$(1)),$(ASFLAGS))

# The command is kept beside the object; the top joins them for editors
# (compile_commands.json).
define compile_rule
$(call obj,$(1)): $(1) $(STAMP) $(MORE_DEPS) | $(GENERATED)
	@mkdir -p $$(@D)
	$(SAY) '$(if $(filter %.S,$(1)),AS,CC)' '$(HERE)/$(patsubst $(TOP)/%,%,$(1))'
	$(Q)$$(call compile,$(1)) -MMD -MP -MF $$@.d -c -o $$@ $(1)
	@printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' '$(1)' \
	    '$$(subst ",\",$$(subst ','\'',$$(call compile,$(1)) -c $(1)))' > $$@.json
endef

ALL_SRCS := $(sort $(SRCS) $(foreach p,$(PROGS),$(SRCS_$(p))))
$(foreach s,$(ALL_SRCS),$(eval $(call compile_rule,$(s))))
objs = $(foreach s,$(1),$(call obj,$(s)))
OBJS := $(call objs,$(SRCS))
-include $(addsuffix .d,$(call objs,$(ALL_SRCS)))

clean::
	rm -rf $(OUT)
