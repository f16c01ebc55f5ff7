/* SPDX-License-Identifier: MIT */
/*
 * Untyped: memory without a purpose yet.
 *
 * What was given out lies below the watermark.  When nothing derived from the
 * capability is left, all of it is free again.  Memory is cleared before it
 * becomes an object; as that may take long, `clean` remembers how far it got.
 */
#include <kernel/core.h>

enum { RETYPE_MAX = 128 };		/* objects at a time: bounds the work that is not preemptible */

/* A capability to what lies at base, as if it were the only one there. */
void
object_init(struct slot *s, enum object_type type, paddr_t base, unsigned size_bits)
{
	struct cnode *c;

	s->type = (uint8_t)type;
	s->rights = RIGHTS_ALL;
	s->badge = 0;
	s->clean = 0;
	s->map_prev = s->mapped_high = 0;
	if (type == OBJ_UNTYPED) {
		s->base = base;
		s->pages = size_bits;
		return;
	}
	if (type == OBJ_FRAME) {
		s->vspace = NULL;
		s->pages = 1u << (size_bits - PAGE_BITS);
		s->frame.base_page = (base >> PAGE_BITS) & 0xfffffffffu;
		return;
	}
	s->object = phys_to_kernel(base);
	s->pages = 0;
	if (type == OBJ_CNODE) {
		c = s->cnode;
		c->count = 1ull << size_bits;
		c->refs = 1;
		return;
	}
	if (type == OBJ_THREAD) {
		s->thread->obj = (struct object){ .refs = 1, .type = OBJ_THREAD };
		for (unsigned i = 0; i < THREAD_SLOTS; i++)
			s->thread->slots[i].home = (uint8_t)(i + 1);
		arch_thread_init(s->thread);
		return;
	}
	*s->header = (struct object){ .refs = 1, .type = (uint8_t)type };
	if (type == OBJ_VCPU)
		arch_vcpu_init(s->vcpu);
	if (type == OBJ_VSPACE) {
		((struct vspace *)s->object)->size_bits = (uint8_t)size_bits;
		arch_vspace_init(s->object);
	}
	if (type == OBJ_IO_SPACE) {
		s->vspace->size_bits = (uint8_t)size_bits;
		arch_io_space_init(s->vspace);
	}
}

static enum error
check_slots_empty(struct cnode *cnode, uint64_t first, uint64_t count)
{
	struct slot *s;
	enum error e;

	e = cnode_slot(cnode, first, &s);
	if (e != OK)
		return e;
	if (count > cnode->count - first)
		return ERR_SLOT;
	for (uint64_t i = 0; i < count; i++)
		if (s[i].type != OBJ_NULL)
			return ERR_SLOT_FULL;
	return OK;
}

static bool
objects_fit(uint64_t count, unsigned bits, uint64_t room)
{
	return count <= room >> bits;
}

/* Where the objects would lie: bytes from the start of the Untyped. */
static enum error
place_objects(const struct slot *u, unsigned bits, uint64_t count, uint64_t offset, uint64_t *start)
{
	uint64_t size = 1ull << u->pages, object = 1ull << bits;
	uint64_t used = u->child != NULL ? u->watermark : 0;

	if (u->device && offset != 0) {
		if (offset % object != 0)
			return ERR_ALIGN;
		if (offset < used)
			return ERR_RANGE;
		used = offset;
	} else if (offset != 0) {
		return ERR_ARGUMENT;
	}
	if (used > size)
		return ERR_NO_MEMORY;
	*start = (used + object - 1) >> bits << bits;
	if (*start > size || !objects_fit(count, bits, size - *start))
		return ERR_NO_MEMORY;
	return OK;
}

/* Clear [from, to) of the Untyped, unless that was done before. */
static enum error
clear(struct slot *u, uint64_t from, uint64_t to)
{
	if (u->clean < from)
		u->clean = from;
	while (u->clean < to) {
		uint64_t n = to - u->clean < CLEAR_CHUNK ? to - u->clean : CLEAR_CHUNK;

		arch_clear_memory(u->base + u->clean, n);
		u->clean += n;
		if (u->clean < to && preemption_point())
			return RESTART;
	}
	return OK;
}

enum error
untyped_retype(struct thread *caller, struct slot *self, uint64_t type, uint64_t size_bits,
	struct cnode *cnode, uint64_t first_index, uint64_t count, uint64_t offset)
{
	unsigned bits = type < OBJECT_TYPES && size_bits < 64 ?
		object_bits((enum object_type)type, (unsigned)size_bits) : 0;
	uint64_t start, end;
	struct slot *s;
	enum error e;

	(void)caller;
	if (bits == 0 || count == 0 || (self->device && type != OBJ_FRAME))
		return ERR_ARGUMENT;
	if (count > RETYPE_MAX)
		return ERR_LIMIT;
	e = check_slots_empty(cnode, first_index, count);
	if (e != OK)
		return e;
	e = place_objects(self, bits, count, offset, &start);
	if (e != OK)
		return e;

	end = start + (count << bits);
	if (self->child == NULL && self->watermark != 0)
		self->watermark = self->clean = 0;	/* used before: nothing of it is clean */
	if (type != OBJ_UNTYPED && !self->device) {
		e = clear(self, start, end);
		if (e != OK)
			return e;
	}
	s = cnode_slots(cnode) + first_index;
	for (uint64_t i = 0; i < count; i++) {
		s[i].device = self->device;
		object_init(&s[i], (enum object_type)type, self->base + start + (i << bits),
			(unsigned)size_bits);
		derivation_insert(self, &s[i]);
	}
	self->watermark = end;
	if (self->clean < end)
		self->clean = end;
	return OK;
}

enum error
untyped_info(struct thread *caller, struct slot *self)
{
	result_word(caller, 0, self->pages);
	result_word(caller, 1, self->child != NULL ? self->watermark : 0);
	result_word(caller, 2, self->device);
	result_word(caller, 3, self->child != NULL);
	return OK;
}
