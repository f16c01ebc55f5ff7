# SPDX-License-Identifier: MIT
#
# What is generated before anything compiles.  GENERATED names what this KIND
# waits for; a leaf may add to it.
#
#   build/gen/tessera/{calls,stubs}.h   from kernel/calls.def
#   build/gen/kernel/{dispatch,grammar}.h
#   build/gen/uapi/{linux,asm,…}        Linux's user interface headers, as Debian
#                                       packages them for arm64, without the C
#                                       library's headers that lie beside them

GENCALLS := $(TOP)/kernel/tools/gencalls.awk
CALLS := $(TOP)/kernel/calls.def
GEN_HEADERS := $(addprefix $(GEN)/,tessera/calls.h tessera/stubs.h kernel/dispatch.h kernel/grammar.h)

# Several makes may come here at once: each writes a file of its own name and
# moves it to its place.
$(GEN_HEADERS): $(CALLS) $(GENCALLS)
	@mkdir -p $(@D)
	$(SAY) GEN '$(patsubst $(DEST)/%,%,$@)'
	@awk -v out=$(basename $(@F)) -f $(GENCALLS) $(CALLS) > $@.$$$$ && mv $@.$$$$ $@ || { rm -f $@.$$$$; exit 1; }

LINUX_HEADERS := /usr/aarch64-linux-gnu/include
$(UAPI)/linux/version.h: $(LINUX_HEADERS)/linux/version.h
	@mkdir -p $(UAPI)
	$(SAY) GEN uapi
	@cp -rL $(LINUX_HEADERS)/linux $(LINUX_HEADERS)/asm $(LINUX_HEADERS)/asm-generic $(UAPI)/
	@touch $@

GENERATED += $(if $(filter $(KIND),kernel component personality host-test host-fuzz),$(GEN_HEADERS))
GENERATED += $(if $(filter $(KIND),personality host-test host-fuzz),$(UAPI)/linux/version.h)
