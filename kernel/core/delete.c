/* SPDX-License-Identifier: MIT */
/*
 * Deleting and revoking capabilities, and what becomes of objects without any.
 *
 * Nothing here recurses and nothing runs long: each step leaves everything
 * consistent, then looks whether an interrupt waits.
 *
 * Two objects hold capabilities themselves: CNode and Thread.  When such a
 * container loses its last capability, that one moves into the container's own
 * record (`self`), where it goes on holding the memory, and the container goes
 * on the dying list.  Whoever deletes or revokes next empties what is on that
 * list first, so a call that returns OK has nothing left to do, and work that
 * its beginner did not live to finish is finished by the next.
 */
#include <kernel/core.h>

struct slot *dying_list;	/* linked by dying_next */

bool
preemption_point(void)
{
	return arch_interrupt_pending();
}

static void
container_dies(struct slot *self, struct slot *last)
{
	struct slot moved = *last;

	/* The CNode's own record is a slot in use: set only what a slot needs. */
	self->type = moved.type;
	self->child = moved.child;
	self->next = moved.next;
	self->prev = moved.prev;
	if (last->prev->child == last)
		last->prev->child = self;
	else
		last->prev->next = self;
	if (last->next != NULL)
		last->next->prev = self;
	assert(last->child == NULL);
	last->child = last->next = last->prev = NULL;
	self->dying_next = dying_list;
	dying_list = self;
}

/*
 * The object that s names has no other capability: take it down as far as it
 * goes without being interrupted.
 */
static enum error
object_destroy(struct slot *s)
{
	enum error e = OK;

	switch (s->type) {
	case OBJ_THREAD:
		e = thread_destroy(s->thread);
		break;
	case OBJ_VCPU:
		e = vcpu_destroy(s->vcpu);
		break;
	case OBJ_SCHED_CONTEXT:
		sched_context_destroy(s->sched_context);
		break;
	case OBJ_ENDPOINT:
		e = endpoint_destroy(s->endpoint);
		break;
	case OBJ_NOTIFICATION:
		e = notification_destroy(s->notification);
		break;
	case OBJ_REPLY:
		reply_destroy(s->reply);
		break;
	case OBJ_VSPACE:
		e = vspace_destroy(s->vspace);
		break;
	case OBJ_IRQ_HANDLER:
		irq_destroy(s->irq);
		break;
	case OBJ_IO_DEVICE:
		e = io_device_destroy(s->io_device);
		break;
	case OBJ_IO_SPACE:
		e = io_space_destroy(s->vspace);
		break;
	default:
		break;
	}
	return e;
}

/*
 * Empty a slot, and destroy the object if this was its last capability.  What
 * was derived from it now counts as derived from its parent.
 */
enum error
slot_delete(struct slot *s)
{
	uint32_t *refs;
	enum error e;

	if (s->type == OBJ_NULL)
		return OK;
	while (s->child != NULL) {
		derivation_lift_child(s);
		if (preemption_point())
			return RESTART;
	}
	if (s->home != HOME_CNODE) {
		e = thread_slot_gone(s);
		if (e != OK)
			return e;
	}
	if (s->type == OBJ_FRAME) {
		e = frame_unmap_all(s);
		if (e != OK)
			return e;
	}
	refs = object_refs(s);
	if (refs != NULL && *refs == 1) {
		e = object_destroy(s);
		if (e != OK)
			return e;
	}
	if (refs != NULL)
		(*refs)--;
	if (refs != NULL && *refs == 0 && s->type == OBJ_CNODE)
		container_dies(&s->cnode->self, s);
	else if (refs != NULL && *refs == 0 && s->type == OBJ_THREAD)
		container_dies(&s->thread->self, s);
	else
		derivation_remove(s);
	s->type = OBJ_NULL;
	s->object = NULL;
	return OK;
}

/* The next capability that a dying container still holds, or NULL. */
static enum error
container_next(struct slot *self, struct slot **next)
{
	struct cnode *c = (struct cnode *)self;
	struct thread *t;

	*next = NULL;
	if (self->type == OBJ_THREAD) {
		t = (struct thread *)((char *)self - offsetof(struct thread, self));
		for (unsigned i = 0; i < THREAD_SLOTS; i++)
			if (t->slots[i].type != OBJ_NULL)
				*next = &t->slots[i];
		return OK;
	}
	if (c->progress == 0)
		c->progress = 1;
	for (; c->progress < c->count; c->progress++) {
		if (cnode_slots(c)[c->progress].type != OBJ_NULL) {
			*next = &cnode_slots(c)[c->progress];
			return OK;
		}
		if ((c->progress & 63) == 0 && preemption_point()) {
			c->progress++;
			return RESTART;
		}
	}
	return OK;
}

/* Empty all containers that lost their last capability. */
enum error
dying_drain(void)
{
	struct slot *self, *next;
	enum error e;

	while (dying_list != NULL) {
		self = dying_list;
		e = container_next(self, &next);
		if (e != OK)
			return e;
		if (next != NULL) {
			e = slot_delete(next);
			if (e != OK)
				return e;
		} else {
			dying_list = self->dying_next;
			derivation_remove(self);
			self->type = OBJ_NULL;
		}
		if (preemption_point())
			return RESTART;
	}
	return OK;
}

/*
 * Delete everything derived from s: its first child, whose own children take
 * its place, until there is none.  Dying containers below s are gone when
 * dying_drain returns OK.
 */
enum error
slot_revoke(struct slot *s)
{
	enum error e;

	for (;;) {
		e = dying_drain();
		if (e != OK)
			return e;
		if (s->child == NULL)
			return OK;
		e = slot_delete(s->child);
		if (e != OK)
			return e;
		if (preemption_point())
			return RESTART;
	}
}
