/* SPDX-License-Identifier: MIT *
 * prove: find_slots derive check_part
 */
/*
 * CNode invocations: a part of a Frame lies inside the Frame, and no right is
 * gained.
 */
#include <kernel/core.h>
#include "powers.h"

/*@
  requires \valid(cnode) && \valid(slot) && \separated(cnode, slot);
  exits \false;
  assigns *slot;
  ensures \result == OK || \result == ERR_SLOT;
  ensures \result == OK ==> 0 < index < cnode->count && *slot == &cnode->self + index &&
	\valid(*slot);
*/
enum error cnode_slot(struct cnode *cnode, uint64_t index, struct slot **slot);

/*@
  requires \valid_read(s);
  exits \false;
  assigns \nothing;
*/
enum error cap_derivable(const struct slot *s);

/*@
  requires \valid(dst) && \valid(src) && \separated(dst, src);
  exits \false;
  assigns *dst, src->child, src->watermark;
  ensures dst->type == src->type && dst->pages == src->pages;
  ensures (dst->rights & ~src->rights) == 0;
*/
void cap_derive(struct slot *dst, struct slot *src, unsigned rights);

/*@
  requires \valid(dst) && \valid(src) && \separated(dst, src) && \separated(dst, self, source);
  requires \separated(src, self, source);
  requires \valid(self) && \valid(self->cnode) && \valid(source);
  requires \separated(dst, self->cnode) && \separated(src, self->cnode);
  exits \false;
  assigns *dst, *src;
  ensures \result == OK ==> \valid(*dst) && \valid(*src) && (*dst)->type == OBJ_NULL &&
	(*src)->type != OBJ_NULL;
*/
static enum error find_slots(struct slot *self, uint64_t index, struct cnode *source,
	uint64_t source_index, struct slot **dst, struct slot **src);

/*@
  requires \valid(dst) && \valid(src) && \separated(dst, src) && \separated(dst, self, source);
  requires \separated(src, self, source);
  requires \valid(self) && \valid(self->cnode) && \valid(source);
  requires \separated(dst, self->cnode) && \separated(src, self->cnode);
  exits \false;
  assigns *dst, *src;
  ensures \result == OK ==> \valid(*dst) && \valid(*src) && (*dst)->type == OBJ_NULL &&
	(*src)->type != OBJ_NULL && rights <= RIGHTS_ALL;
*/
static enum error derive(struct slot *self, uint64_t index, struct cnode *source,
	uint64_t source_index, uint64_t rights, struct slot **dst, struct slot **src);

/*@
  requires \valid_read(frame) && frame->pages <= 0x40000;
  exits \false;
  assigns \nothing;
  ensures \result == OK ==> offset + bytes <= frame->pages * pow2(PAGE_BITS);
  ensures \result == OK ==> bytes > 0 && offset % 4096 == 0 && bytes % 4096 == 0;
*/
static enum error check_part(const struct slot *frame, uint64_t offset, uint64_t bytes);

#include "../core/cnode.c"
