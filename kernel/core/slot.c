/* SPDX-License-Identifier: MIT */
/*
 * Slots: finding a capability by its number, and the derivation tree.
 *
 * The tree has three links to a slot (object.h).  No operation here walks it:
 * inserting, removing, moving and lifting one child cost the same however many
 * capabilities there are.
 */
#include <kernel/core.h>

struct slot derivation_root;

/* The slot itself, empty or not.  Slot 0 is no slot: it means "none". */
enum error
cnode_slot(struct cnode *cnode, uint64_t index, struct slot **slot)
{
	if (index == 0 || index >= cnode->count)
		return ERR_SLOT;
	*slot = cnode_slots(cnode) + index;
	return OK;
}

static bool
is_first_child(struct slot *s)
{
	return s->prev->child == s;
}

/* Make child the first one derived from parent. */
void
derivation_insert(struct slot *parent, struct slot *child)
{
	child->child = NULL;
	child->prev = parent;
	child->next = parent->child;
	if (parent->child != NULL)
		parent->child->prev = child;
	parent->child = child;
}

/* Take a slot without children out. */
void
derivation_remove(struct slot *s)
{
	assert(s->child == NULL);
	if (is_first_child(s))
		s->prev->child = s->next;
	else
		s->prev->next = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

/*
 * Make the first child of s its sibling: what was derived from a capability
 * that goes away counts as derived from that one's parent.
 */
void
derivation_lift_child(struct slot *s)
{
	struct slot *c = s->child;

	s->child = c->next;
	if (c->next != NULL)
		c->next->prev = s;

	c->prev = s->prev;
	if (is_first_child(s))
		s->prev->child = c;
	else
		s->prev->next = c;
	c->next = s;
	s->prev = c;
}

/* Which objects count the capabilities that name them. */
uint32_t *
object_refs(const struct slot *s)
{
	switch (s->type) {
	case OBJ_CNODE:
		return &s->cnode->refs;
	case OBJ_THREAD:
		return &s->thread->obj.refs;
	case OBJ_VCPU:
	case OBJ_SCHED_CONTEXT:
	case OBJ_ENDPOINT:
	case OBJ_NOTIFICATION:
	case OBJ_REPLY:
	case OBJ_IRQ_HANDLER:
	case OBJ_IO_DEVICE:
		return &s->header->refs;
	case OBJ_VSPACE:
	case OBJ_IO_SPACE:
		return &((struct vspace *)s->object)->obj.refs;
	default:
		return NULL;
	}
}

/* May a second capability be derived from this one? */
enum error
cap_derivable(const struct slot *s)
{
	switch (s->type) {
	case OBJ_NULL:
		return ERR_SLOT_EMPTY;
	case OBJ_UNTYPED:
		return s->child == NULL ? OK : ERR_ARGUMENT;
	case OBJ_REPLY:
	case OBJ_IRQ_CONTROL:
	case OBJ_SCHED_CONTROL:
	case OBJ_SYSTEM_CONTROL:
	case OBJ_IO_CONTROL:
		return ERR_ARGUMENT;
	default:
		return OK;
	}
}

/*
 * Derive a capability with no more rights than src into the empty slot dst.
 * An Untyped that was derived from counts as given out in full, so that two
 * capabilities never hand out the same memory.
 */
void
cap_derive(struct slot *dst, struct slot *src, unsigned rights)
{
	uint32_t *refs;

	dst->type = src->type;
	dst->rights = (uint8_t)(src->rights & rights);
	dst->device = src->device;
	dst->pages = src->pages;
	dst->object = src->object;
	dst->badge = src->badge;
	dst->clean = 0;
	dst->map_prev = dst->mapped_high = 0;
	if (src->type == OBJ_FRAME) {
		dst->vspace = NULL;
		dst->frame.vaddr_page = 0;
	} else if (src->type == OBJ_UNTYPED) {
		dst->watermark = 0;
		src->watermark = 1ull << src->pages;
	}
	derivation_insert(src, dst);
	refs = object_refs(dst);
	if (refs != NULL)
		(*refs)++;
}

/* Move a capability with its mapping and its place in the tree. */
void
slot_move(struct slot *dst, struct slot *src)
{
	uint8_t home = dst->home;

	*dst = *src;
	dst->home = home;
	if (is_first_child(src))
		src->prev->child = dst;
	else
		src->prev->next = dst;
	if (src->next != NULL)
		src->next->prev = dst;
	if (src->child != NULL)
		src->child->prev = dst;
	if (src->type == OBJ_FRAME && src->vspace != NULL)
		frame_moved(dst, src);
	src->type = OBJ_NULL;
	src->child = src->next = src->prev = NULL;
	src->object = NULL;
}
