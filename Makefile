# SPDX-License-Identifier: MIT
#
# Every task a person does.  `make help` lists them; how the folders compile
# themselves stands in .mk/README.md.  This file knows the order of the folders
# and what an image consists of.

# ---- what may be asked for ----------------------------------------------------

CONFIG ?= $(if $(filter 1,$(DEBUG)),debug,release)
TOOLCHAIN ?= gcc
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
export CONFIG TOOLCHAIN

TOP := $(CURDIR)
CONF := $(CONFIG)$(if $(filter clang,$(TOOLCHAIN)),-clang)
BUILD := $(TOP)/build/$(CONF)
SRC := $(TOP)/build/src
IMAGES := $(BUILD)/images

MAKEFLAGS += --no-builtin-rules --no-print-directory -j$(JOBS)
Q := $(if $(V),,@)
SAY := @printf '  %-7s %s\n'

# ---- the folders --------------------------------------------------------------

LIBRARIES := base/lib drivers/lib base/libc
COMPONENTS := base/init base/console base/devmgr base/fs drivers/pl011 drivers/uart16550 drivers/nvme drivers/virtio-blk drivers/sdhci base/test/chaos base/test/blockio base/test/world
LINUX_DIRS := $(patsubst %/Makefile,%,$(shell find tests linuxabi -name Makefile | xargs grep -lE '^KIND *:?= *linux$$' | sort))
CHECKS := $(patsubst %/Makefile,%,$(shell find kernel boot base drivers linuxabi images pkg -name Makefile 2>/dev/null | \
	xargs grep -lE '^KIND *:?= *host-(test|fuzz)$$' | sort))

.PHONY: all image run test test-long bench lint format clean distclean help deps headers sources \
	kernel boot tools linux-tools linuxabi ports packages root linux-programs test-image $(LIBRARIES) $(COMPONENTS) \
	$(addprefix linux/,$(LINUX_DIRS)) $(addprefix check/,$(CHECKS)) check editors disk flash symbolize verify
.DEFAULT_GOAL := all

all: image base/libc editors
	@printf '\n  %s\n  start it with: make run\n' '$(patsubst $(TOP)/%,%,$(IMAGE_FILE))'

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make            everything: kernel, loader, base system, ports and a bootable image
#: make run        boots it in QEMU, serial console on this terminal (Ctrl-A X leaves)
#: make test       all tests within about 35 minutes;  make test-long: the long forms
#: make check      host tests only;  make -C FOLDER check: one folder's
#: make flash DEV=/dev/sdX   writes an image (PROFILE=…, or IMAGE=file) to a card or stick, with care
#: make bench      instructions per operation and the storage lines (LINUX=1: beside Debian's Linux kernel)
#: make lint       both compilers, analysers, style;  make format: clang-format on changed lines
#: make verify     proofs about the kernel (Frama-C; part of make test)
#: make symbolize  a crash report (LOG=file, or pasted) with names for its addresses
#: make packages   all ports as signed packages, with an index, in build/ports/repo
#: make clean      removes build/ but for built ports;  make distclean: removes build/
#:
#: PROFILE=minimal|default|dev (of image and run: what is on the root partition)
#: CONFIG=release|debug (or DEBUG=1)  TOOLCHAIN=gcc|clang  JOBS=n  V=1 shows commands
#: make run also takes CPUS=4 MEM=1G CPU=cortex-a72|cortex-a76|max FIRMWARE=edk2|uboot
#:   ACPI=on|off IMAGE=file DISK=nvme|virtio|sd|card (what the image is) DISK2=file (a second disk)
#:   GDB=1 QEMU_EXTRA="…"

# ---- what the build needs from Debian -----------------------------------------

deps:
	@.mk/deps build

# ---- parts --------------------------------------------------------------------

headers: | deps
	$(Q)$(MAKE) -C .mk -f headers.mk

sources: $(SRC)/libfdt/libfdt.h
$(SRC)/libfdt/libfdt.h: ports/libfdt/recipe | deps
	$(SAY) UNPACK libfdt
	$(Q)ports/unpack libfdt $(SRC)/libfdt
	@touch $@

kernel: | headers
	$(Q)$(MAKE) -C kernel

tools: | headers
	$(Q)$(MAKE) -C boot/tools

boot: | headers sources tools
	$(Q)$(MAKE) -C boot

$(LIBRARIES): | headers
	$(Q)$(MAKE) -C $@

base/fs: | base/libc
$(COMPONENTS): | base/lib drivers/lib
	$(Q)$(MAKE) -C $@ LIBS_READY=1

linuxabi: | headers
	$(Q)$(MAKE) -C linuxabi

ports: | deps
	$(Q)JOBS=$(JOBS) ports/build musl busybox

# Every port; an image takes only what its profile names.
packages: | deps headers
	@.mk/deps packages
	$(Q)$(MAKE) -C pkg/cmd CONFIG=release
	$(Q)JOBS=$(JOBS) ports/build all
	$(Q)ports/pack all

linux-programs: $(addprefix linux/,$(LINUX_DIRS))
$(addprefix linux/,$(LINUX_DIRS)): linux/%: | ports
	$(Q)$(MAKE) -C $*

# ---- images -------------------------------------------------------------------

# The root archive is Linux's side and the same for every configuration.
ROOT := $(TOP)/build/images/root.cpio
ROOT_FS := $(TOP)/build/images/root.ext4
# Our own Linux programs of the root: one for all configurations.
linux-tools: | headers ports
	$(Q)$(MAKE) -C boot/tessera-slot CONFIG=release TOOLCHAIN=gcc
	$(Q)$(MAKE) -C base/lscap CONFIG=release TOOLCHAIN=gcc

root: | ports linux-tools
	$(Q)$(MAKE) -f .mk/image.mk BUILD=$(BUILD) ROOT=$(ROOT) root

# WORLD= takes another personality, such as base/test/world, which has no Linux.
WORLD ?= $(BUILD)/$(if $(wildcard linuxabi/Makefile),linuxabi/linuxabi,base/test/world/world)
MEMBERS = init=$(BUILD)/base/init/init system.conf=base/system.conf pl011=$(BUILD)/drivers/pl011/pl011 \
	uart16550=$(BUILD)/drivers/uart16550/uart16550 console=$(BUILD)/base/console/console \
	devmgr=$(BUILD)/base/devmgr/devmgr nvme=$(BUILD)/drivers/nvme/nvme \
	virtio-blk=$(BUILD)/drivers/virtio-blk/virtio-blk sdhci=$(BUILD)/drivers/sdhci/sdhci fs=$(BUILD)/base/fs/fs \
	linuxabi=$(WORLD) rootfs.cpio=$(ROOT)
IMAGE_PARTS := kernel boot tools base/init base/console base/devmgr drivers/pl011 drivers/uart16550 \
	drivers/nvme drivers/virtio-blk drivers/sdhci base/fs $(if $(filter %/linuxabi,$(WORLD)),linuxabi,base/test/world) root

# The parts decide for themselves whether they are up to date; what they made
# decides whether bundle and image are.
PROFILE ?= minimal
ifneq ($(PROFILE),minimal)
# Packages make its root partition; the archive in the bundle, which serves where
# there is no such partition, stays the minimal one.
ROOT_PROFILE := $(TOP)/build/images/$(PROFILE).cpio
ROOT_FS := $(TOP)/build/images/$(PROFILE).ext4
IMAGE_PARTS += packages
endif
IMAGE_FILE := $(IMAGES)/tessera$(patsubst %,-%,$(filter-out minimal,$(PROFILE))).img
image: $(IMAGE_PARTS)
	$(Q)$(MAKE) -f .mk/image.mk BUILD=$(BUILD) IMAGE=$(IMAGE_FILE) BUNDLE=$(IMAGES)/base.bundle \
	    ROOT=$(ROOT) ROOT_FS=$(ROOT_FS) MEMBERS='$(MEMBERS)' \
	    $(if $(ROOT_PROFILE),PROFILE=$(PROFILE) ROOT_PROFILE=$(ROOT_PROFILE))

# The same system with the programs that tests start, and chaos, which may kill
# drivers: it does if the command line says so, the UART's in chaos.img.
ROOT_TEST := $(IMAGES)/root-test.cpio
TEST_PARTS = BUNDLE=$(IMAGES)/test.bundle \
	ROOT_TEST=$(ROOT_TEST) ROOT_FS=$(IMAGES)/root-test.ext4 LINUX='$(addprefix $(BUILD)/,$(LINUX_DIRS))' \
	MEMBERS='$(subst system.conf=base/system.conf,system.conf=$(IMAGES)/test.conf,$(subst \
	$(ROOT),$(ROOT_TEST),$(MEMBERS))) chaos=$(BUILD)/base/test/chaos/chaos'
$(IMAGES)/test.conf: base/system.conf base/test/chaos/chaos.conf
	@mkdir -p $(@D)
	@cat $^ > $@.new && mv $@.new $@
test-image: image linux-programs base/test/chaos $(IMAGES)/test.conf
	$(Q)$(MAKE) -f .mk/image.mk BUILD=$(BUILD) IMAGE=$(IMAGES)/test.img $(TEST_PARTS)
	$(Q)$(MAKE) -f .mk/image.mk BUILD=$(BUILD) IMAGE=$(IMAGES)/chaos.img CMDLINE='chaos chaos-uart' $(TEST_PARTS)

# ---- running ------------------------------------------------------------------

# A copy is booted, so that what the system writes does not change what was built.
DISK_FILE := $(patsubst $(IMAGES)/tessera%,$(IMAGES)/disk%,$(IMAGE_FILE))
disk: image
	@[ $(DISK_FILE) -nt $(IMAGE_FILE) ] || \
	    { cp --sparse=always $(IMAGE_FILE) $(DISK_FILE).new && mv $(DISK_FILE).new $(DISK_FILE); }

ifeq ($(IMAGE),)
run: disk
	@exec tests/qemu $(DISK_FILE)
else
run: | deps
	@exec tests/qemu $(IMAGE)
endif
export CPUS MEM CPU DISK DISK2 FIRMWARE ACPI GDB QEMU_EXTRA

# ---- onto a card or a disk ------------------------------------------------------

ifeq ($(filter flash,$(MAKECMDGOALS))$(DEV),flash)
$(error which disk? make flash DEV=/dev/sdX)
endif
flash: $(if $(IMAGE),,image) | deps
	$(Q)$(MAKE) -C images/flash CONFIG=release
	@exec $(TOP)/build/release/images/flash/flash $(if $(filter 1,$(FORCE)),-f) $(or $(IMAGE),$(IMAGE_FILE)) $(DEV)

# ---- checking -----------------------------------------------------------------

check: $(addprefix check/,$(CHECKS))
$(addprefix check/,$(CHECKS)): check/%: | headers sources
	$(Q)$(MAKE) -C $* check

test: | deps
	@.mk/deps test
	@exec tests/run

test-long: | deps
	@.mk/deps test
	@exec tests/run --long

bench: test-image
	@.mk/deps test
	@exec env -u MAKEFLAGS tests/bench/run $(if $(filter 1,$(LINUX)),--linux)

lint: | deps
	@.mk/deps test
	@exec .mk/lint

format:
	@.mk/deps test
	@git diff -U0 --no-color --relative HEAD -- '*.c' '*.h' | clang-format-diff -p1 -i

verify: | deps
	$(Q)$(MAKE) -C kernel verify

symbolize:
	@.mk/symbolize $(CONFIG) $(LOG)

# ---- for editors --------------------------------------------------------------

editors: image
	@find $(BUILD) -name '*.o.json' | sort | xargs cat 2>/dev/null | \
	    { echo '['; sed '$$s/,$$//'; echo ']'; } > compile_commands.json.new && \
	    mv compile_commands.json.new compile_commands.json

# ---- tidying ------------------------------------------------------------------

clean:
	rm -rf build/release build/debug build/release-clang build/debug-clang build/gen build/images \
	    build/lint build/test compile_commands.json

distclean:
	rm -rf build compile_commands.json
