# SPDX-License-Identifier: MIT
#
# One image from parts that are built: BUNDLE of MEMBERS (name=path …), then
# IMAGE with kernel, loader and bundle.  For a test image also ROOT_TEST, the
# root archive with the programs found in the folders LINUX.
# Read by a make that the top Makefile starts once the parts are there.

SAY := @printf '  %-7s %s\n'
short = $(patsubst $(CURDIR)/%,%,$@)
TOOLS := $(BUILD)/boot/tools
MEMBER_FILES := $(foreach m,$(MEMBERS),$(lastword $(subst =, ,$(m))))

$(IMAGE): $(BUNDLE) $(BUILD)/kernel/kernel.elf $(BUILD)/boot/BOOTAA64.EFI images/mkimage $(TOOLS)/mkslot
	$(SAY) IMAGE '$(short)'
	@MKSLOT=$(TOOLS)/mkslot images/mkimage -o $@ --loader $(BUILD)/boot/BOOTAA64.EFI \
	    --kernel $(BUILD)/kernel/kernel.elf --bundle $(BUNDLE) --label '$(CONFIG)' \
	    $(if $(CMDLINE),--cmdline '$(CMDLINE)')

$(BUNDLE): $(MEMBER_FILES) $(TOOLS)/mkbundle
	$(SAY) BUNDLE '$(short)'
	@mkdir -p $(@D)
	@$(TOOLS)/mkbundle -o $@.new $(MEMBERS) && mv $@.new $@

ifneq ($(ROOT_TEST),)
PROGRAMS := $(shell find $(LINUX) -maxdepth 1 -type f -perm /111 2>/dev/null)
$(ROOT_TEST): $(PROGRAMS) images/mkroot $(wildcard images/*.profile) $(shell find images/root -type f)
	$(SAY) ROOT '$(short)'
	@mkdir -p $(@D)
	@rm -rf $@.tests && mkdir -p $@.tests/usr/lib/tests
	@cp $(PROGRAMS) $@.tests/usr/lib/tests/
	@images/mkroot minimal $@ $@.tests && rm -rf $@.tests
endif
