# SPDX-License-Identifier: MIT
#
# The generated headers alone (gen.mk), made once before folders compile side by
# side.
all:
KIND = host-test
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
all: $(GENERATED)
	@:
