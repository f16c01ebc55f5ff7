/* SPDX-License-Identifier: MIT *
 * prove: cap_lookup message_check
 * inline: msg_words msg_caps cnode_slots
 */
/*
 * Messages: whatever a sender writes into its registers and its IPC buffer,
 * while others write there too, no index leaves an array, and a message that
 * was accepted is within all limits.
 */
#include <kernel/core.h>

/*@
  requires \valid_read(p);
  exits \false;
  assigns \nothing;
*/
static uint32_t read_once(const uint32_t *p);

/*@
  requires \valid_read(t) && \valid(slot) && \separated(t, slot);
  requires t->cspace_count == 0 || \valid_read(&(&t->cspace->self)[0 .. t->cspace_count - 1]);
  exits \false;
  assigns *slot;
  ensures \result == OK || \result == ERR_SLOT || \result == ERR_SLOT_EMPTY;
  ensures \result == OK ==> 0 < index < t->cspace_count && *slot == &t->cspace->self + index;
  ensures \result == OK ==> \valid_read(*slot) && (*slot)->type != OBJ_NULL;
*/
static enum error cap_lookup(const struct thread *t, uint64_t index, struct slot **slot);

/*@
  requires \valid_read(s);
  exits \false;
  assigns \nothing;
*/
enum error cap_derivable(const struct slot *s);

/*@
  requires \valid_read(t);
  requires t->ipc == \null || \valid_read(t->ipc);
  requires t->cspace_count == 0 || \valid_read(&(&t->cspace->self)[0 .. t->cspace_count - 1]);
  exits \false;
  assigns \nothing;
  // Registers alone hold it, or the buffer is there and everything is within limits.
  ensures \result == OK ==>
	((info & 0x7f) <= MSG_WORDS_REG && ((unsigned)(info >> 8) & 7) == 0) ||
	((info & 0x7f) <= MSG_WORDS && ((unsigned)(info >> 8) & 7) <= MSG_CAPS &&
	t->ipc != \null && (((unsigned)(info >> 8) & 7) == 0 || may_grant != 0));
*/
enum error message_check(const struct thread *t, uint64_t info, bool may_grant);

#include "../core/ipc.c"
