# SPDX-License-Identifier: MIT
#
# Images, from parts that are built: ROOT, the root archive of the minimal profile;
# ROOT_FS, an ext4 file system of ROOT_MIB with the same content or with that of
# ROOT_PROFILE, PROFILE's; BUNDLE of MEMBERS (name=path …); IMAGE with kernel,
# loader, bundle and root partition.  A test image has ROOT_TEST instead, the root
# archive with the programs of the folders LINUX.
# Read by a make that the top Makefile starts when the parts are there, so that
# their times count.

SAY := @printf '  %-7s %s\n'
short = $(patsubst $(CURDIR)/%,%,$@)
TOOLS := $(BUILD)/boot/tools
MEMBER_FILES := $(foreach m,$(MEMBERS),$(lastword $(subst =, ,$(m))))

image: $(IMAGE)
	@:
$(IMAGE): $(BUNDLE) $(BUILD)/kernel/kernel.elf $(BUILD)/boot/BOOTAA64.EFI images/mkimage $(TOOLS)/mkslot $(ROOT_FS)
	$(SAY) IMAGE '$(short)'
	@MKSLOT=$(TOOLS)/mkslot images/mkimage -o $@ --loader $(BUILD)/boot/BOOTAA64.EFI \
	    --kernel $(BUILD)/kernel/kernel.elf --bundle $(BUNDLE) --label '$(CONFIG)' --root $(ROOT_FS) \
	    $(if $(CMDLINE),--cmdline '$(CMDLINE)')

# Other members make another bundle, whatever their age.
$(BUNDLE).members: FORCE
	@mkdir -p $(@D)
	@echo '$(MEMBERS)' | cmp -s - $@ || echo '$(MEMBERS)' > $@
FORCE:

$(BUNDLE): $(MEMBER_FILES) $(TOOLS)/mkbundle $(BUNDLE).members
	$(SAY) BUNDLE '$(short)'
	@$(TOOLS)/mkbundle -o $@.new $(MEMBERS) && mv $@.new $@

# What a root archive is made of; a port that was built again has a new `current`.
ROOT_PARTS := images/mkroot build/release/boot/tessera-slot/tessera-slot build/release/base/lscap/lscap $(wildcard images/*.profile) $(shell find images/root) \
	$(wildcard build/ports/*/current)
root: $(ROOT)
	@:
.PHONY: image root FORCE

ifneq ($(ROOT),)
$(ROOT): $(ROOT_PARTS)
	$(SAY) ROOT '$(short)'
	@mkdir -p $(@D)
	@images/mkroot minimal $@
endif

ifneq ($(ROOT_PROFILE),)
# The base system as packages: what the slots hold, so that its next version can be installed.
SYSTEM_REPO := build/images/repo/index.zst
$(SYSTEM_REPO): $(BUNDLE) $(BUILD)/kernel/kernel.elf $(BUILD)/boot/BOOTAA64.EFI images/mkpackages \
	    $(shell find ports -type f ! -name '.*')
	$(SAY) PACK '$(short)'
	@BUILD=$(BUILD) BUNDLE=$(BUNDLE) images/mkpackages $(@D)

$(ROOT_PROFILE): $(ROOT_PARTS) build/ports/repo/index.zst $(SYSTEM_REPO)
	$(SAY) ROOT '$(short)'
	@mkdir -p $(@D)
	@images/mkroot $(PROFILE) $@
endif

ifneq ($(ROOT_TEST),)
PROGRAMS := $(shell find $(LINUX) -maxdepth 1 -type f -perm /111 2>/dev/null)
$(ROOT_TEST): $(PROGRAMS) $(ROOT_PARTS)
	$(SAY) ROOT '$(short)'
	@rm -rf $@.tests && mkdir -p $@.tests/usr/lib/tests
	@for p in $(PROGRAMS); do cp $$p $@.tests/usr/lib/tests/; done
	@images/mkroot minimal $@ $@.tests && rm -rf $@.tests
endif

# The root partition.  It grows with its disk, so it is small here.
ROOT_MIB ?= 512
$(ROOT_FS): $(or $(ROOT_TEST),$(ROOT_PROFILE),$(ROOT)) images/mkext4
	$(SAY) EXT4 '$(short)'
	@images/mkext4 $< $@ $(ROOT_MIB)
