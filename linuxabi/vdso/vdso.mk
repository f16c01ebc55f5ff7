# SPDX-License-Identifier: MIT
# How the vDSO is built: a shared object of its own that image.S embeds.  Expects
# VDSO_DIR (this folder), VDSO_OUT (where outputs go), LX_INCLUDES (-I and
# -isystem of the personality) and CROSS (compiler prefix).
VDSO_CFLAGS = -std=gnu11 -O2 -fPIC -ffreestanding -fno-stack-protector -fno-common \
	-mgeneral-regs-only -mno-outline-atomics -fasynchronous-unwind-tables -Wall -Wextra -Werror
VDSO_LDFLAGS = -shared -nostdlib -Wl,-T,$(VDSO_DIR)/vdso.lds -Wl,-soname=linux-vdso.so.1 \
	-Wl,--hash-style=both -Wl,-Bsymbolic -Wl,--build-id=none -Wl,--eh-frame-hdr -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,--strip-all
# Stripped: the symbol table would name the compiler's temporary files, another one each time.

$(VDSO_OUT)/vdso.so: $(VDSO_DIR)/user.c $(VDSO_DIR)/sigreturn.S $(VDSO_DIR)/vdso.lds $(VDSO_DIR)/../include/vdso_data.h
	@mkdir -p $(@D)
	$(Q)$(CROSS)gcc $(LX_INCLUDES) $(VDSO_CFLAGS) $(VDSO_LDFLAGS) -o $@ $(VDSO_DIR)/user.c $(VDSO_DIR)/sigreturn.S

$(VDSO_OUT)/image.o: $(VDSO_DIR)/image.S $(VDSO_OUT)/vdso.so
	$(Q)$(CROSS)gcc -c -DVDSO_SO='"$(VDSO_OUT)/vdso.so"' -o $@ $<
