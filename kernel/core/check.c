/* SPDX-License-Identifier: MIT */
/*
 * The invariant checker: everything that must always be true of the kernel's
 * objects, checked by walking all of them from the derivation tree.  Debug and
 * host builds only; it takes as long as it takes.
 */
#include <kernel/core.h>

const bool checker_present = true;
uint64_t checks_done;

static unsigned violations;

#define CHECK(truth, object) check((truth), #truth, __LINE__, (object))

static void
check(bool truth, const char *what, unsigned line, const void *object)
{
	checks_done++;
	if (truth)
		return;
	violations++;
	if (violations > 20)
		return;
	log_text("check.c:");
	log_hex(line);
	log_text(": not so: ");
	log_text(what);
	log_text(" of ");
	log_hex((uint64_t)(uintptr_t)object);
	log_text("\n");
}

/* ---- the derivation tree ----------------------------------------------------- */

/* The next slot in preorder, or NULL.  Without a parent link the way up leads
 * back over the siblings. */
static struct slot *
tree_next(struct slot *s)
{
	if (s->child != NULL)
		return s->child;
	while (s != &derivation_root) {
		if (s->next != NULL)
			return s->next;
		while (s->prev->child != s)
			s = s->prev;
		s = s->prev;
	}
	return NULL;
}

static void
check_links(struct slot *s)
{
	if (s->child != NULL)
		CHECK(s->child->prev == s, s);
	if (s->next != NULL)
		CHECK(s->next->prev == s, s);
	if (s == &derivation_root)
		return;
	CHECK(s->type > OBJ_NULL && s->type < OBJECT_TYPES, s);
	CHECK(s->prev != NULL, s);
	CHECK(s->prev->child == s || s->prev->next == s, s);
}

static bool
is_dying_record(const struct slot *s)
{
	for (const struct slot *d = dying_list; d != NULL; d = d->dying_next)
		if (d == s)
			return true;
	return false;
}

/*
 * Each object's count is the number of its capabilities: count down over all,
 * see that all are at zero, count up again.
 */
static void
check_counts(void)
{
	uint32_t *refs;

	for (struct slot *s = &derivation_root; s != NULL; s = tree_next(s))
		if (!is_dying_record(s) && (refs = object_refs(s)) != NULL)
			(*refs)--;
	for (struct slot *s = &derivation_root; s != NULL; s = tree_next(s))
		if (!is_dying_record(s) && (refs = object_refs(s)) != NULL)
			CHECK(*refs == 0, s);
	for (struct slot *s = &derivation_root; s != NULL; s = tree_next(s))
		if (!is_dying_record(s) && (refs = object_refs(s)) != NULL)
			(*refs)++;
}

/* ---- memory -------------------------------------------------------------------- */

/* The physical memory that a capability stands for; false: none. */
static bool
slot_memory(const struct slot *s, paddr_t *base, uint64_t *bytes)
{
	unsigned bits;

	switch (s->type) {
	case OBJ_UNTYPED:
		*base = s->base;
		*bytes = 1ull << s->pages;
		return true;
	case OBJ_FRAME:
		*base = (paddr_t)s->frame.base_page << PAGE_BITS;
		*bytes = (uint64_t)s->pages << PAGE_BITS;
		return true;
	case OBJ_CNODE:
		if (is_dying_record(s)) {
			*base = kernel_to_phys(s);
			*bytes = ((const struct cnode *)s)->count << SLOT_BITS;
			return true;
		}
		*base = kernel_to_phys(s->object);
		*bytes = s->cnode->count << SLOT_BITS;
		return true;
	case OBJ_VSPACE:
	case OBJ_IO_SPACE:
		*base = kernel_to_phys(s->object);
		*bytes = 1ull << s->vspace->size_bits;
		return true;
	case OBJ_THREAD:
		*bytes = 1u << THREAD_BITS;
		*base = kernel_to_phys(is_dying_record(s) ?
			(const char *)s - offsetof(struct thread, self) : s->object);
		return true;
	default:
		bits = object_bits((enum object_type)s->type, 0);
		if (bits == 0)
			return false;
		*base = kernel_to_phys(s->object);
		*bytes = 1ull << bits;
		return true;
	}
}

/* What was made of an Untyped lies in it below the watermark, and nothing of
 * it twice: only Frames and Untypeds may share, by derivation. */
static void
check_untyped(struct slot *u)
{
	paddr_t base, other_base;
	uint64_t bytes, other_bytes;
	unsigned n = 0;

	CHECK(u->pages >= UNTYPED_BITS_MIN && u->pages <= UNTYPED_BITS_MAX, u);
	CHECK(u->watermark <= 1ull << u->pages, u);
	for (struct slot *s = u->child; s != NULL; s = s->next) {
		if (!slot_memory(s, &base, &bytes))
			continue;
		CHECK(base >= u->base && base + bytes <= u->base + u->watermark, s);
		CHECK(s->device == u->device || s->type != OBJ_FRAME, s);
		if (++n > 300)
			continue;	/* quadratic: a sample will do */
		for (struct slot *o = s->next; o != NULL; o = o->next) {
			if (!slot_memory(o, &other_base, &other_bytes))
				continue;
			if (other_base + other_bytes <= base || base + bytes <= other_base)
				continue;
			CHECK(o->type == s->type, s);
			if (s->type != OBJ_FRAME && s->type != OBJ_UNTYPED)
				CHECK(other_base == base, s);
		}
	}
}

static void
check_frame(struct slot *s)
{
	uint64_t mapped = frame_mapped_pages(s), vaddr = (uint64_t)s->frame.vaddr_page << PAGE_BITS;
	paddr_t base = (paddr_t)s->frame.base_page << PAGE_BITS, found;
	unsigned rights;
	bool listed = false;

	CHECK(s->pages > 0, s);
	if (s->vspace == NULL) {
		CHECK(mapped == 0, s);
		return;
	}
	CHECK(mapped <= s->pages, s);
	CHECK((s->map_rights & ~s->rights) == 0, s);
	for (struct slot *m = s->vspace->mappings; m != NULL; m = (struct slot *)(uintptr_t)m->map_next)
		listed |= m == s;
	CHECK(listed, s);
	if (s->vspace->disabled)
		return;
	for (uint64_t page = 0; page < mapped; page += mapped > 64 ? mapped / 61 : 1) {
		uint64_t at = vaddr + (page << PAGE_BITS);
		bool there = s->vspace->obj.type == OBJ_IO_SPACE ?
			arch_io_space_lookup(s->vspace, at, &found, &rights) :
			arch_vspace_lookup(s->vspace, at, &found, &rights);

		CHECK(there, s);
		CHECK(!there || found == base + (page << PAGE_BITS), s);
		CHECK(!there || rights == s->map_rights, s);
	}
}

static void
check_vspace(struct vspace *v)
{
	uint64_t mapped = 0;

	for (struct slot *m = v->mappings; m != NULL; m = (struct slot *)(uintptr_t)m->map_next) {
		CHECK(m->type == OBJ_FRAME, m);
		CHECK(m->vspace == v, m);
		mapped += frame_mapped_pages(m) << PAGE_BITS;
	}
	CHECK(mapped == v->mapped_bytes, v);
}

/* ---- devices ----------------------------------------------------------------------- */

/* What devices reach is what Frame capabilities stand for, and no more. */
static void
check_io_space(struct vspace *v)
{
	check_vspace(v);
	if (!v->disabled)
		CHECK(arch_io_space_pages(v) << PAGE_BITS == v->mapped_bytes, v);
	CHECK(!v->disabled || v->devices == NULL, v);
	for (const struct io_device *d = v->devices; d != NULL; d = d->next)
		CHECK(d->space == v && d->number != 0, d);
}

static void
check_io_device(struct io_device *d)
{
	bool listed = false;

	if (d->number == 0) {
		CHECK(d->space == NULL && d->fault.notification == NULL, d);
		return;
	}
	CHECK(d->number < IO_DEVICES && io_devices[d->number] == d, d);
	for (unsigned i = 0; i < IO_DEVICES; i++)
		CHECK(io_devices[i] == NULL || io_devices[i] == d || io_devices[i]->smmu != d->smmu ||
			io_devices[i]->stream != d->stream, d);
	CHECK(arch_io_stream_root(d->smmu, d->stream) ==
		(d->space != NULL ? kernel_to_phys(d->space) + 4096 : 0), d);
	for (const struct io_device *o = d->space != NULL ? d->space->devices : NULL; o != NULL; o = o->next)
		listed |= o == d;
	CHECK(listed == (d->space != NULL), d);
	for (uint32_t i = 0; i < IO_EVENTS; i++)
		CHECK(d->event[i].intid == 0 ||
			d->event[i].intid == LPI_FIRST + d->number * IO_EVENTS + i, d);
}

/* ---- threads and their queues ---------------------------------------------------- */

static bool
queue_holds(const struct queue *q, const struct thread *t)
{
	for (const struct thread *i = q->head; i != NULL; i = i->next)
		if (i == t)
			return true;
	return false;
}

static void
check_queue(const struct queue *q)
{
	const struct thread *last = NULL;

	for (const struct thread *t = q->head; t != NULL; t = t->next) {
		CHECK(t->prev == last, t);
		last = t;
	}
	CHECK(q->tail == last, q);
}

static void
check_deadline_queued(const struct deadline *d)
{
	const struct deadline *top = d;

	if (d->kind == DEADLINE_NONE)
		return;
	while (top->up != NULL)
		top = top->up;
	CHECK(cpus[d->cpu].deadlines == top, d);
}

static void
check_thread_slots(struct thread *t)
{
	const struct slot *cspace = &t->slots[HOME_THREAD_CSPACE - 1];
	const struct slot *vspace = &t->slots[HOME_THREAD_VSPACE - 1];
	const struct slot *ipc = &t->slots[HOME_THREAD_IPC_BUFFER - 1];

	for (unsigned i = 0; i < THREAD_SLOTS; i++)
		CHECK(t->slots[i].home == i + 1, t);
	CHECK((t->cspace != NULL) == (cspace->type == OBJ_CNODE), t);
	CHECK(t->cspace == NULL || t->cspace == cspace->cnode, t);
	CHECK(t->cspace_count == (t->cspace != NULL ? t->cspace->count : 0), t);
	/* Preempted while the slot's VSpace dies, the thread is without it already. */
	CHECK(t->vspace != NULL || vspace->type != OBJ_VSPACE || !t->configured, t);
	CHECK(t->vspace == NULL || vspace->type == OBJ_VSPACE, t);
	CHECK(t->vspace == NULL || t->vspace == vspace->vspace, t);
	CHECK((t->ipc != NULL) == (ipc->type == OBJ_FRAME), t);
	CHECK(t->ipc == NULL || kernel_to_phys(t->ipc) == (paddr_t)ipc->frame.base_page << PAGE_BITS, t);
	CHECK(!t->configured || (t->cspace != NULL && t->vspace != NULL), t);
}

static void
check_thread(struct thread *t)
{
	const struct cpu *c = &cpus[t->cpu];

	check_thread_slots(t);
	check_deadline_queued(&t->deadline);
	if (t->queued == QUEUED_RUN) {
		CHECK(t->state == THREAD_READY, t);
		CHECK(t->sched != NULL && t->sched->cpu == t->cpu, t);
		CHECK(queue_holds(&c->ready[t->priority], t), t);
	} else if (t->queued == QUEUED_RELEASE) {
		CHECK(queue_holds(&c->release, t), t);
	}
	switch (t->state) {
	case THREAD_SUSPENDED:
		CHECK(t->deadline.kind == DEADLINE_NONE, t);
		break;
	case THREAD_READY:
		CHECK(t->configured, t);
		CHECK(t->deadline.kind == DEADLINE_NONE, t);
		if (t->sched != NULL && t->sched->configured && t->queued == QUEUED_NOT)
			CHECK(c->current == t || t->sched->deadline.kind == DEADLINE_REFILL, t);
		break;
	case THREAD_SEND:
		CHECK(t->endpoint->state == ENDPOINT_SENDING, t);
		CHECK(queue_holds(&t->endpoint->queue, t), t);
		break;
	case THREAD_RECV:
		CHECK(t->endpoint->state == ENDPOINT_RECEIVING, t);
		CHECK(queue_holds(&t->endpoint->queue, t), t);
		CHECK(t->reply == NULL || (t->reply->server == t && t->reply->caller == NULL), t);
		break;
	case THREAD_REPLY:
		CHECK(t->reply != NULL && t->reply->caller == t, t);
		break;
	case THREAD_WAIT:
		CHECK(queue_holds(&t->notification->queue, t), t);
		break;
	case THREAD_WFI:
		CHECK(t->vcpu != NULL, t);
		break;
	default:
		CHECK(t->state <= THREAD_WFI, t);
	}
	if (t->sched != NULL)
		CHECK(t->sched->thread == t, t);
	if (t->vcpu != NULL)
		CHECK(t->vcpu->thread == t, t);
	if (t->bound != NULL)
		CHECK(t->bound->bound == t, t);
	for (struct reply *r = t->serving; r != NULL; r = r->next) {
		CHECK(r->server == t, t);
		CHECK(*r->prev == r, t);
		CHECK(r->caller != NULL, t);
	}
	CHECK(!t->vspace || !t->vspace->disabled, t);
}

static void
check_sched_context(struct sched_context *sc)
{
	uint64_t amount = 0;
	unsigned height = 0;

	check_deadline_queued(&sc->deadline);
	if (sc->thread != NULL)
		CHECK(sc->thread->sched == sc, sc);
	if (sc->configured) {
		CHECK(cpus[sc->cpu].users != 0 && cpus[sc->cpu].power == CPU_ON, sc);
		CHECK(sc->refills >= 1 && sc->refills <= REFILLS, sc);
		for (unsigned i = 0; i < sc->refills; i++)
			amount += sc->refill[(sc->head + i) % REFILLS].amount;
		CHECK(sc->budget == sc->period || amount == sc->budget, sc);
	}
	for (struct reply *r = sc->top; r != NULL; r = r->below) {
		CHECK((r == sc->top) == (r->lent == sc), sc);
		CHECK(r->below == NULL || r->below->above == r, sc);
		CHECK(r->caller != NULL, sc);
		CHECK(++height <= LEND_MAX, sc);
	}
}

static void
check_endpoint(struct endpoint *e)
{
	check_queue(&e->queue);
	CHECK((e->queue.head == NULL) == (e->state == ENDPOINT_IDLE), e);
	for (struct thread *t = e->queue.head; t != NULL; t = t->next) {
		CHECK(t->endpoint == e, t);
		CHECK(t->state == (e->state == ENDPOINT_SENDING ? THREAD_SEND : THREAD_RECV), t);
	}
}

static void
check_notification(struct notification *n)
{
	check_queue(&n->queue);
	CHECK(n->bits == 0 || n->queue.head == NULL, n);
	for (struct thread *t = n->queue.head; t != NULL; t = t->next)
		CHECK(t->state == THREAD_WAIT && t->notification == n, t);
	if (n->bound != NULL)
		CHECK(n->bound->bound == n, n);
	for (struct irq *i = n->irqs; i != NULL; i = i->next)
		CHECK(i->notification == n && i->obj.refs > 0, n);
}

static void
check_reply(struct reply *r)
{
	if (r->caller != NULL) {
		CHECK(r->caller->reply == r && r->caller->state == THREAD_REPLY, r);
		CHECK(r->server != NULL && *r->prev == r, r);
	} else {
		CHECK(r->server == NULL || (r->server->reply == r && r->server->state == THREAD_RECV), r);
		CHECK(r->above == NULL && r->below == NULL && r->lent == NULL, r);
	}
}

static void
check_object(struct slot *s)
{
	if (is_dying_record(s))
		return;
	switch (s->type) {
	case OBJ_UNTYPED:
		check_untyped(s);
		break;
	case OBJ_FRAME:
		check_frame(s);
		break;
	case OBJ_VSPACE:
		check_vspace(s->vspace);
		break;
	case OBJ_IO_SPACE:
		check_io_space(s->vspace);
		break;
	case OBJ_IO_DEVICE:
		check_io_device(s->io_device);
		break;
	case OBJ_THREAD:
		check_thread(s->thread);
		break;
	case OBJ_SCHED_CONTEXT:
		check_sched_context(s->sched_context);
		break;
	case OBJ_ENDPOINT:
		check_endpoint(s->endpoint);
		break;
	case OBJ_NOTIFICATION:
		check_notification(s->notification);
		break;
	case OBJ_REPLY:
		check_reply(s->reply);
		break;
	case OBJ_VCPU:
		CHECK(s->vcpu->thread == NULL || s->vcpu->thread->vcpu == s->vcpu, s);
		break;
	default:
		break;
	}
}

/* ---- CPUs -------------------------------------------------------------------------- */

static void
check_deadlines(struct cpu *c)
{
	struct deadline *d = c->deadlines, *leftmost = NULL;
	uint64_t last = 0;

	if (d != NULL)
		CHECK(d->up == NULL, d);
	while (d != NULL && d->left != NULL)
		d = d->left;
	leftmost = d;
	CHECK(c->first == leftmost, c);
	while (d != NULL) {			/* in order */
		CHECK(d->when >= last, d);
		CHECK(d->kind != DEADLINE_NONE && d->cpu == c->id, d);
		CHECK(d->left == NULL || (d->left->up == d && d->left->weight <= d->weight), d);
		CHECK(d->right == NULL || (d->right->up == d && d->right->weight <= d->weight), d);
		last = d->when;
		if (d->right != NULL) {
			for (d = d->right; d->left != NULL; d = d->left)
				;
			continue;
		}
		while (d->up != NULL && d->up->right == d)
			d = d->up;
		d = d->up;
	}
}

static void
check_cpu(struct cpu *c)
{
	for (unsigned p = 0; p < PRIORITIES; p++) {
		const struct queue *q = &c->ready[p];
		bool bit = (c->ready_bits[p / 64] >> (p % 64)) & 1;

		if (!bit && q->head == NULL)
			continue;
		CHECK(bit && q->head != NULL, c);
		check_queue(q);
		for (struct thread *t = q->head; t != NULL; t = t->next) {
			CHECK(t->queued == QUEUED_RUN && t->priority == p && t->cpu == c->id, t);
			CHECK(t->state == THREAD_READY, t);
		}
	}
	check_queue(&c->release);
	check_deadlines(c);
	if (c->power == CPU_OFF)
		CHECK(c->users == 0 && c->current == NULL && c->ready_count == 0 && c->first == NULL &&
			c->release.head == NULL, c);
	if (c->current == NULL)
		return;
	CHECK(c->current->queued != QUEUED_RUN, c);
	CHECK(c->current->cpu == c->id, c);
	CHECK(c->reschedule || c->current->state == THREAD_READY, c);
	CHECK(c->reschedule || (c->current->sched != NULL && c->current->sched == c->charged), c);
}

unsigned
check_everything(void)
{
	violations = 0;
	for (struct slot *s = &derivation_root; s != NULL; s = tree_next(s))
		check_links(s);
	if (violations == 0) {
		check_counts();
		for (struct slot *s = derivation_root.child; s != NULL; s = tree_next(s))
			check_object(s);
	}
	for (unsigned i = 0; i < cpu_count; i++)
		check_cpu(&cpus[i]);
	return violations;
}
