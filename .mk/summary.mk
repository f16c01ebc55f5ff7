# SPDX-License-Identifier: MIT
#
# A folder of folders: `make` and `make check` go through every Makefile below.
# check adds the tests' own closing lines up to one: N passed, N failed.  A leaf
# that fails without such a line (it did not compile, a fuzzer's finding) counts
# as one failed.

LEAVES := $(sort $(patsubst ./%/Makefile,%,$(shell find . -mindepth 2 -name Makefile)))
CHECKS := $(shell cd . && grep -lE '^KIND *=+ *host-(test|fuzz)$$' $(addsuffix /Makefile,$(LEAVES)))

.PHONY: all check clean
all:
	@for d in $(LEAVES); do $(MAKE) --no-print-directory -C $$d all || exit 1; done

clean:
	@for d in $(LEAVES); do $(MAKE) --no-print-directory -C $$d clean || exit 1; done

check:
	@passed=0; failed=0; \
	for d in $(patsubst %/Makefile,%,$(CHECKS)); do \
		out=$$($(MAKE) --no-print-directory -C $$d check 2>&1); status=$$?; \
		printf '%s\n' "$$out"; \
		p=$$(printf '%s\n' "$$out" | sed -n 's/^\([0-9]*\) passed, [0-9]* failed$$/\1/p' | awk '{ n += $$1 } END { print n + 0 }'); \
		f=$$(printf '%s\n' "$$out" | sed -n 's/^[0-9]* passed, \([0-9]*\) failed$$/\1/p' | awk '{ n += $$1 } END { print n + 0 }'); \
		[ $$status -eq 0 ] || [ $$f -gt 0 ] || f=1; \
		passed=$$((passed + p)); failed=$$((failed + f)); \
	done; \
	printf '%d passed, %d failed\n' $$passed $$failed; [ $$failed -eq 0 ]
