/* SPDX-License-Identifier: MIT */
/*
 * Frames, VSpaces and IOSpaces: what memory is seen where.
 *
 * A Frame capability is mapped at most once.  Its pages are mapped from the
 * first on and unmapped from the last, so how many there are is all that a
 * preempted operation has to know when it goes on.
 */
#include <kernel/core.h>

uint64_t
frame_mapped_pages(const struct slot *s)
{
	return (uint64_t)s->mapped_high << 16 | s->mapped_low;
}

static void
set_mapped_pages(struct slot *s, uint64_t pages)
{
	int64_t change = (int64_t)(pages - frame_mapped_pages(s));

	s->vspace->mapped_bytes += (uint64_t)change << PAGE_BITS;
	s->mapped_low = pages & 0xffff;
	s->mapped_high = (pages >> 16) & 0xffff;
}

static struct slot *
link_slot(uint64_t link)
{
	return (struct slot *)(uintptr_t)link;
}

/* Kernel addresses fit 48 bits: memory is mapped one to one. */
#define slot_link(s) ((uint64_t)(uintptr_t)(s) & 0xffffffffffffu)

static void
mapping_insert(struct vspace *v, struct slot *s)
{
	s->vspace = v;
	s->map_prev = 0;
	s->map_next = slot_link(v->mappings);
	if (v->mappings != NULL)
		v->mappings->map_prev = slot_link(s);
	v->mappings = s;
}

static void
mapping_remove(struct slot *s)
{
	if (s->map_prev != 0)
		link_slot(s->map_prev)->map_next = s->map_next;
	else
		s->vspace->mappings = link_slot(s->map_next);
	if (s->map_next != 0)
		link_slot(s->map_next)->map_prev = s->map_prev;
	s->map_next = s->map_prev = 0;
	s->vspace = NULL;
}

/* A mapped Frame capability lies in another slot now. */
void
frame_moved(struct slot *dst, struct slot *src)
{
	if (src->map_prev != 0)
		link_slot(src->map_prev)->map_next = slot_link(dst);
	else
		dst->vspace->mappings = dst;
	if (src->map_next != 0)
		link_slot(src->map_next)->map_prev = slot_link(dst);
}

static bool
is_io(const struct vspace *v)
{
	return v->obj.type == OBJ_IO_SPACE;
}

/* Unmap what is mapped of a Frame capability, if anything. */
enum error
frame_unmap_all(struct slot *s)
{
	uint64_t left;

	if (s->vspace == NULL)
		return OK;
	if (s->vspace->disabled)
		set_mapped_pages(s, 0);
	while ((left = frame_mapped_pages(s)) > 0) {
		uint64_t vaddr = (uint64_t)s->frame.vaddr_page << PAGE_BITS;

		left = is_io(s->vspace) ? arch_io_space_unmap(s->vspace, vaddr, left) :
			arch_vspace_unmap(s->vspace, vaddr, left, s->attribute);
		set_mapped_pages(s, left);
		if (left > 0 && preemption_point())
			return RESTART;
	}
	mapping_remove(s);
	return OK;
}

/* No thread can run in it any more and no capability is left. */
enum error
vspace_destroy(struct vspace *v)
{
	if (!v->disabled) {
		v->disabled = 1;
		arch_vspace_disable(v);
	}
	while (v->mappings != NULL) {
		frame_unmap_all(v->mappings);
		if (preemption_point())
			return RESTART;
	}
	return OK;
}

/* At boot: map a Frame for init.  There is room, and nothing there yet. */
void
frame_map_at_boot(struct slot *s, struct vspace *v, uint64_t vaddr, unsigned rights)
{
	uint64_t n = 0, mapped;

	s->frame.vaddr_page = (vaddr >> PAGE_BITS) & 0xfffffff;
	s->map_rights = rights & RIGHTS_ALL;
	s->attribute = MAP_NORMAL;
	mapping_insert(v, s);
	while ((mapped = frame_mapped_pages(s)) < s->pages) {
		if (arch_vspace_map(v, vaddr + (mapped << PAGE_BITS),
		    ((paddr_t)s->frame.base_page + mapped) << PAGE_BITS,
		    s->pages - mapped, rights, MAP_NORMAL, &n) != OK)
			panic("init's memory cannot be mapped");
		set_mapped_pages(s, mapped + n);
	}
}

/* ---- invocations ---------------------------------------------------------- */

static bool
rights_within(uint64_t rights, const struct slot *s)
{
	return (rights & ~(uint64_t)s->rights) == 0;
}

static enum error
check_mapping(const struct slot *s, const struct vspace *v, uint64_t vaddr, uint64_t rights,
	uint64_t attributes)
{
	if (v->disabled)
		return ERR_STATE;
	if (!(rights & RIGHT_READ) || rights & ~(uint64_t)(RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC))
		return ERR_ARGUMENT;
	if (attributes > MAP_DEVICE || (s->device && attributes == MAP_NORMAL))
		return ERR_ARGUMENT;
	if (!rights_within(rights, s) || (s->device && rights & RIGHT_EXEC))
		return ERR_RIGHTS;
	if (rights & RIGHT_WRITE && rights & RIGHT_EXEC && !v->personality)
		return ERR_RIGHTS;
	if (vaddr % (1u << PAGE_BITS) != 0)
		return ERR_ALIGN;
	if (!arch_vspace_range_ok(vaddr, (uint64_t)s->pages << PAGE_BITS))
		return ERR_RANGE;
	return OK;
}

/* Was this very mapping begun, and preempted? */
static bool
mapping_goes_on(const struct slot *s, const struct vspace *v, uint64_t vaddr, uint64_t rights,
	uint64_t attributes)
{
	return s->vspace == v && frame_mapped_pages(s) < s->pages &&
		(uint64_t)s->frame.vaddr_page << PAGE_BITS == vaddr &&
		s->map_rights == rights && s->attribute == attributes;
}

/* It cannot be mapped in full: take back what was. */
static enum error
mapping_undo(struct thread *caller, struct slot *s)
{
	enum error e = frame_unmap_all(s);

	return e == OK ? (enum error)caller->rollback : e;
}

static void
mapping_begin(struct slot *s, struct vspace *v, uint64_t vaddr, uint64_t rights, uint64_t attributes)
{
	s->frame.vaddr_page = (vaddr >> PAGE_BITS) & 0xfffffff;
	s->map_rights = rights & RIGHTS_ALL;
	s->attribute = attributes & 3;
	mapping_insert(v, s);
}

/* A single page is mapped or not: there is no progress to note. */
static enum error
map_page(struct slot *s, struct vspace *v, uint64_t vaddr, uint64_t rights, uint64_t attributes)
{
	uint64_t n;
	enum error e = arch_vspace_map(v, vaddr, (paddr_t)s->frame.base_page << PAGE_BITS, 1,
		(unsigned)rights, (unsigned)attributes, &n);

	if (e != OK)
		return e;
	mapping_begin(s, v, vaddr, rights, attributes);
	s->mapped_low = 1;
	v->mapped_bytes += 1u << PAGE_BITS;
	return OK;
}

/* Many, step by step; a preempted call goes on, or takes back, where it was. */
static __attribute__((noinline)) enum error
map_pages(struct thread *caller, struct slot *self, struct vspace *v, uint64_t vaddr,
	uint64_t rights, uint64_t attributes)
{
	uint64_t n = 0, mapped;
	enum error e;

	if (self->vspace == NULL) {
		if (caller->rollback != 0)
			return (enum error)caller->rollback;
		mapping_begin(self, v, vaddr, rights, attributes);
	} else if (!mapping_goes_on(self, v, vaddr, rights, attributes)) {
		return ERR_MAPPED;
	}
	if (caller->rollback != 0)
		return mapping_undo(caller, self);

	while ((mapped = frame_mapped_pages(self)) < self->pages) {
		uint64_t to = vaddr + (mapped << PAGE_BITS), left = self->pages - mapped;
		paddr_t from = ((paddr_t)self->frame.base_page + mapped) << PAGE_BITS;

		e = is_io(v) ? arch_io_space_map(v, to, from, left, (unsigned)rights, &n) :
			arch_vspace_map(v, to, from, left, (unsigned)rights, (unsigned)attributes, &n);
		if (e != OK) {
			caller->rollback = (uint8_t)e;
			return mapping_undo(caller, self);
		}
		set_mapped_pages(self, mapped + n);
		if (mapped + n < self->pages && preemption_point())
			return RESTART;
	}
	return OK;
}

enum error
frame_map(struct thread *caller, struct slot *self, struct slot *vspace, uint64_t vaddr,
	uint64_t rights, uint64_t attributes)
{
	struct vspace *v = vspace->vspace;
	enum error e = check_mapping(self, v, vaddr, rights, attributes);

	if (e != OK)
		return e;
	if (self->pages == 1 && self->vspace == NULL)
		return map_page(self, v, vaddr, rights, attributes);
	return map_pages(caller, self, v, vaddr, rights, attributes);
}

/* Inside the window of the capability; without one, anywhere but at the doorbell. */
static enum error
check_iova(const struct slot *io_space, uint64_t iova, uint64_t bytes)
{
	uint64_t first = 0, end = 1ull << IO_ADDRESS_BITS;

	if (io_space->badge != 0) {
		first = io_space->badge << IO_WINDOW_SHIFT;
		end = first + (1ull << IO_WINDOW_SHIFT);
	}
	if (iova < first || iova > end || bytes > end - iova)
		return ERR_RANGE;
	return iova <= IO_DOORBELL_IOVA && bytes > IO_DOORBELL_IOVA - iova ? ERR_RANGE : OK;
}

enum error
frame_map_io(struct thread *caller, struct slot *self, struct slot *io_space, uint64_t iova,
	uint64_t rights)
{
	enum error e;

	if (self->device)
		return ERR_TYPE;
	if (io_space->vspace->disabled)
		return ERR_STATE;
	if (!(rights & RIGHT_READ) || rights & ~(uint64_t)(RIGHT_READ | RIGHT_WRITE))
		return ERR_ARGUMENT;
	if (!rights_within(rights, self))
		return ERR_RIGHTS;
	if (iova % (1u << PAGE_BITS) != 0)
		return ERR_ALIGN;
	e = check_iova(io_space, iova, (uint64_t)self->pages << PAGE_BITS);
	return e == OK ? map_pages(caller, self, io_space->vspace, iova, rights, MAP_NORMAL) : e;
}

enum error
frame_unmap(struct thread *caller, struct slot *self)
{
	if (self->vspace == NULL)
		return caller->restarted ? OK : ERR_NOT_MAPPED;
	return frame_unmap_all(self);
}

enum error
frame_info(struct thread *caller, struct slot *self)
{
	result_word(caller, 0, (uint64_t)self->pages << PAGE_BITS);
	result_word(caller, 1, self->vspace != NULL ? (uint64_t)self->frame.vaddr_page << PAGE_BITS : 0);
	result_word(caller, 2, self->device);
	return OK;
}

enum error
vspace_set_personality(struct thread *caller, struct slot *self)
{
	struct vspace *v = self->vspace;

	(void)caller;
	if (v->mappings != NULL || v->disabled)
		return ERR_STATE;
	v->personality = 1;
	return OK;
}

enum error
vspace_info(struct thread *caller, struct slot *self)
{
	uint64_t tables, tables_free;

	arch_vspace_tables(self->vspace, &tables, &tables_free);
	result_word(caller, 0, tables);
	result_word(caller, 1, tables_free);
	result_word(caller, 2, self->vspace->mapped_bytes);
	return OK;
}
