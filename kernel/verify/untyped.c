/* SPDX-License-Identifier: MIT *
 * prove: objects_fit place_objects
 * options: -warn-unsigned-overflow
 */
/*
 * Untyped: objects lie inside the Untyped, above what was given out, aligned.
 */
#include <kernel/core.h>
#include "powers.h"

/*@
  requires 0 <= bits < 64;
  exits \false;
  assigns \nothing;
  ensures \result != 0 ==> count * pow2(bits) <= room;
*/
static bool objects_fit(uint64_t count, unsigned bits, uint64_t room);

/*@
  requires \valid_read(u) && \valid(start);
  requires \separated(u, start);
  requires UNTYPED_BITS_MIN <= u->pages <= UNTYPED_BITS_MAX;
  requires u->watermark <= pow2(u->pages);
  requires 4 <= bits < 64 && 1 <= count <= 128;
  exits \false;
  assigns *start;
  ensures \result == OK ==> count * pow2(bits) <= pow2(u->pages) - *start;
  ensures \result == OK && u->child != \null ==> *start >= u->watermark;
  ensures \result == OK ==> *start >= offset;
*/
static enum error place_objects(const struct slot *u, unsigned bits, uint64_t count,
	uint64_t offset, uint64_t *start);

#include "../core/untyped.c"
