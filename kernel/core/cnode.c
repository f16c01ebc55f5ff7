/* SPDX-License-Identifier: MIT */
/*
 * CNode invocations: deriving, moving, deleting and revoking capabilities.
 */
#include <kernel/core.h>

/* The empty slot dst and the full slot src that an invocation names. */
static enum error
find_slots(struct slot *self, uint64_t index, struct cnode *source, uint64_t source_index,
	struct slot **dst, struct slot **src)
{
	enum error e;

	e = cnode_slot(self->cnode, index, dst);
	if (e != OK)
		return e;
	e = cnode_slot(source, source_index, src);
	if (e != OK)
		return e;
	if ((*src)->type == OBJ_NULL)
		return ERR_SLOT_EMPTY;
	return (*dst)->type == OBJ_NULL ? OK : ERR_SLOT_FULL;
}

static enum error
derive(struct slot *self, uint64_t index, struct cnode *source, uint64_t source_index,
	uint64_t rights, struct slot **dst, struct slot **src)
{
	enum error e = find_slots(self, index, source, source_index, dst, src);

	if (e != OK)
		return e;
	if (rights > RIGHTS_ALL)
		return ERR_ARGUMENT;
	return cap_derivable(*src);
}

enum error
cnode_copy(struct thread *caller, struct slot *self, uint64_t index, struct cnode *source_cnode,
	uint64_t source_index, uint64_t rights)
{
	struct slot *dst, *src;
	enum error e = derive(self, index, source_cnode, source_index, rights, &dst, &src);

	(void)caller;
	if (e == OK)
		cap_derive(dst, src, (unsigned)rights);
	return e;
}

enum error
cnode_mint(struct thread *caller, struct slot *self, uint64_t index, struct cnode *source_cnode,
	uint64_t source_index, uint64_t rights, uint64_t badge)
{
	struct slot *dst, *src;
	enum error e = derive(self, index, source_cnode, source_index, rights, &dst, &src);

	(void)caller;
	if (e != OK)
		return e;
	if (badge != 0) {
		if (src->type != OBJ_ENDPOINT && src->type != OBJ_NOTIFICATION &&
		    src->type != OBJ_IO_SPACE)
			return ERR_ARGUMENT;
		if (src->badge != 0)
			return ERR_BADGED;
		if (src->type == OBJ_IO_SPACE && badge >= IO_WINDOW_COUNT)
			return ERR_RANGE;
	}
	cap_derive(dst, src, (unsigned)rights);
	if (badge != 0)
		dst->badge = badge;
	return OK;
}

/* Does the part of a Frame lie in it? */
static enum error
check_part(const struct slot *frame, uint64_t offset, uint64_t bytes)
{
	uint64_t page = 1u << PAGE_BITS, size = (uint64_t)frame->pages << PAGE_BITS;

	if (offset % page != 0 || bytes % page != 0)
		return ERR_ALIGN;
	return bytes == 0 || offset >= size || bytes > size - offset ? ERR_RANGE : OK;
}

enum error
cnode_mint_frame(struct thread *caller, struct slot *self, uint64_t index,
	struct cnode *source_cnode, uint64_t source_index, uint64_t rights, uint64_t offset,
	uint64_t bytes)
{
	struct slot *dst, *src;
	enum error e = derive(self, index, source_cnode, source_index, rights, &dst, &src);

	(void)caller;
	if (e != OK)
		return e;
	if (src->type != OBJ_FRAME)
		return ERR_TYPE;
	e = check_part(src, offset, bytes);
	if (e != OK)
		return e;
	cap_derive(dst, src, (unsigned)rights);
	dst->pages = (uint32_t)(bytes >> PAGE_BITS);
	dst->frame.base_page = (src->frame.base_page + (offset >> PAGE_BITS)) & 0xfffffffffu;
	return OK;
}

enum error
cnode_move(struct thread *caller, struct slot *self, uint64_t index, struct cnode *source_cnode,
	uint64_t source_index)
{
	struct slot *dst, *src;
	enum error e = find_slots(self, index, source_cnode, source_index, &dst, &src);

	(void)caller;
	if (e == OK)
		slot_move(dst, src);
	return e;
}

enum error
cnode_delete(struct thread *caller, struct slot *self, uint64_t index)
{
	bool again = caller->restarted != 0;
	struct slot *s;
	enum error e;

	e = cnode_slot(self->cnode, index, &s);
	if (e != OK)
		return e;
	if (s->type == OBJ_NULL && !again)
		return ERR_SLOT_EMPTY;
	e = slot_delete(s);
	return e == OK ? dying_drain() : e;
}

enum error
cnode_revoke(struct thread *caller, struct slot *self, uint64_t index)
{
	struct slot *s;
	enum error e;

	(void)caller;
	e = cnode_slot(self->cnode, index, &s);
	if (e != OK)
		return e;
	return s->type == OBJ_NULL ? ERR_SLOT_EMPTY : slot_revoke(s);
}

static uint64_t
slot_bytes(const struct slot *s)
{
	if (s->type == OBJ_FRAME)
		return (uint64_t)s->pages << PAGE_BITS;
	return s->type == OBJ_UNTYPED ? (uint64_t)1 << s->pages : 0;
}

static uint64_t
slot_badge(const struct slot *s)
{
	if (s->type == OBJ_FRAME)
		return (uintptr_t)s->vspace;
	return s->type == OBJ_ENDPOINT || s->type == OBJ_NOTIFICATION || s->type == OBJ_IO_SPACE ?
	    s->badge : 0;
}

enum error
cnode_info(struct thread *caller, struct slot *self, uint64_t index)
{
	bool frame, mapped;
	struct slot *s;
	enum error e;

	e = cnode_slot(self->cnode, index, &s);
	if (e != OK)
		return e;
	if (s->type == OBJ_NULL)
		return ERR_SLOT_EMPTY;
	frame = s->type == OBJ_FRAME;
	mapped = frame && s->vspace != NULL;
	result_word(caller, 0, s->type);
	result_word(caller, 1, s->rights | (mapped ? (uint64_t)s->map_rights << 8 : 0) |
	    (uint64_t)s->device << 16);
	result_word(caller, 2, slot_badge(s));
	result_word(caller, 3, frame ? (uint64_t)s->frame.base_page << PAGE_BITS : (uintptr_t)s->object);
	result_word(caller, 4, slot_bytes(s));
	result_word(caller, 5, mapped ? (uint64_t)s->frame.vaddr_page << PAGE_BITS : 0);
	return OK;
}
