/* SPDX-License-Identifier: MIT *
 * prove: rights_within check_mapping check_iova arch_vspace_range_ok
 */
/*
 * Frames: what is checked before a mapping begins is enough for what follows.
 */
#include <kernel/core.h>
#include "powers.h"

/*@
  requires \valid_read(io_space);
  requires io_space->badge < IO_WINDOW_COUNT;
  requires 0 < bytes <= pow2(48);
  exits \false;
  assigns \nothing;
  // All of it is in the device's 39 bits (or fewer) and beside the doorbell,
  ensures \result == OK ==> iova + bytes <= pow2(IO_ADDRESS_BITS);
  ensures \result == OK ==> iova + bytes <= IO_DOORBELL_IOVA || iova > IO_DOORBELL_IOVA;
  // and in the window, if the capability has one.
  ensures \result == OK && io_space->badge != 0 ==>
	iova >= io_space->badge * pow2(IO_WINDOW_SHIFT) &&
	iova + bytes <= (io_space->badge + 1) * pow2(IO_WINDOW_SHIFT);
  ensures \result == OK || \result == ERR_RANGE;
*/
static enum error check_iova(const struct slot *io_space, uint64_t iova, uint64_t bytes);

/*@
  predicate within(uint64_t rights, struct slot *s) =
	(rights & (uint64_t)~(uint64_t)s->rights) == 0;
*/

/*@
  requires \valid_read(s);
  exits \false;
  assigns \nothing;
  ensures \result != 0 <==> within(rights, s);
*/
static bool rights_within(uint64_t rights, const struct slot *s);

/*@
  requires \valid_read(s) && \valid_read(v);
  requires 0 < s->pages <= 0x40000;	// FRAME_BITS_MAX
  exits \false;
  assigns \nothing;
  ensures \result == OK ==> v->disabled == 0;
  ensures \result == OK ==> (rights & ~(uint64_t)(RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC)) == 0 &&
	(rights & RIGHT_READ) != 0;
  ensures \result == OK ==> within(rights, s);
  ensures \result == OK ==> attributes <= MAP_DEVICE;
  ensures \result == OK && s->device != 0 ==> attributes != MAP_NORMAL && (rights & RIGHT_EXEC) == 0;
  // Nothing but a personality may write what it executes.
  ensures \result == OK && v->personality == 0 ==>
	(rights & RIGHT_WRITE) == 0 || (rights & RIGHT_EXEC) == 0;
  ensures \result == OK ==> vaddr % 4096 == 0 && vaddr >= 4096;
  ensures \result == OK ==> vaddr + s->pages * pow2(PAGE_BITS) <= pow2(39);
*/
static enum error check_mapping(const struct slot *s, const struct vspace *v, uint64_t vaddr,
	uint64_t rights, uint64_t attributes);

/*@
  exits \false;
  assigns \nothing;
  ensures \result != 0 <==> vaddr >= 4096 && bytes <= pow2(39) && vaddr + bytes <= pow2(39);
*/
static bool arch_vspace_range_ok(uint64_t vaddr, uint64_t bytes);

#include "../core/frame.c"
