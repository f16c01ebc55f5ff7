/* SPDX-License-Identifier: MIT */
/*
 * Threads and VCPUs: their life, their registers, what they are made of.
 *
 * The capabilities that make up a thread (CSpace, VSpace, IPC buffer, fault
 * handler) are derived into slots inside the thread.  So revoking any of them
 * finds the thread, which is then suspended and has to be configured again.
 */
#include <kernel/core.h>

struct thread *
thread_of_slot(const struct slot *s)
{
	assert(s->home != HOME_CNODE);
	return (struct thread *)((char *)(s - (s->home - 1)) - offsetof(struct thread, slots));
}

static struct slot *
thread_slot(struct thread *t, enum slot_home which)
{
	return &t->slots[which - 1];
}

/* Take a blocked thread out of whatever it waits in. */
static void
thread_unblock(struct thread *t)
{
	deadline_cancel(&t->deadline);
	switch (t->state) {
	case THREAD_SEND:
	case THREAD_RECV:
		endpoint_remove(t);
		break;
	case THREAD_WAIT:
		queue_remove(&t->notification->queue, t);
		t->notification = NULL;
		break;
	case THREAD_REPLY:
		reply_abandon(t->reply);
		break;
	default:
		break;
	}
}

/* The call that a blocked thread is in ends with an error; it goes on. */
void
thread_cancel(struct thread *t, enum error why)
{
	bool waits_for_handler = t->fault != 0;

	thread_unblock(t);
	if (waits_for_handler) {
		t->fault = 0;
		if (why != ERR_CANCELLED) {	/* nobody will repair it */
			t->state = THREAD_SUSPENDED;
			return;
		}
	} else if (t->state != THREAD_WFI) {
		t->regs.x[0] = why;
	}
	thread_ready(t);
}

/* A thread that is in no queue any more goes on. */
void
thread_wake(struct thread *t, enum error result)
{
	deadline_cancel(&t->deadline);
	if (t->state != THREAD_WFI)
		t->regs.x[0] = result;
	thread_ready(t);
}

/* Stop a thread wherever it is.  On another CPU it may run on until that
 * CPU has been kicked: see thread_quiesce. */
void
thread_stop(struct thread *t)
{
	switch (t->state) {
	case THREAD_SUSPENDED:
		return;
	case THREAD_READY:
		thread_unready(t);
		break;
	case THREAD_WFI:
		thread_unblock(t);
		break;
	default:
		thread_unblock(t);
		if (t->fault == 0)
			t->regs.x[0] = ERR_CANCELLED;
		t->fault = 0;
		break;
	}
	t->state = THREAD_SUSPENDED;
	t->stranded = 0;
}

/* Nothing of a suspended thread is left in any CPU, or RESTART. */
enum error
thread_quiesce(struct thread *t)
{
	assert(t->state == THREAD_SUSPENDED);
	if (thread_runs_elsewhere(t)) {
		arch_kick_cpu(t->cpu);
		return RESTART;
	}
	if (arch_thread_is_live(t, t->cpu)) {
		if (t->cpu != cpu_self()->id) {
			release_later(t);
			return RESTART;
		}
		arch_thread_release(t);
	}
	if (t->queued == QUEUED_RELEASE) {
		queue_remove(&cpus[t->cpu].release, t);
		t->queued = QUEUED_NOT;
	}
	return OK;
}

/* One of the thread's own slots is about to be emptied. */
enum error
thread_slot_gone(struct slot *s)
{
	struct thread *t = thread_of_slot(s);
	enum error e;

	thread_stop(t);
	e = thread_quiesce(t);
	if (e != OK)
		return e;
	t->configured = 0;
	switch (s->home) {
	case HOME_THREAD_CSPACE:
		t->cspace = NULL;
		t->cspace_count = 0;
		break;
	case HOME_THREAD_VSPACE:
		t->vspace = NULL;
		break;
	case HOME_THREAD_IPC_BUFFER:
		t->ipc = NULL;
		break;
	default:
		break;
	}
	return OK;
}

static void
vcpu_unbind(struct vcpu *v)
{
	v->thread->vcpu = NULL;
	v->thread->configured = 0;
	v->thread = NULL;
}

/* The last capability to a thread is being deleted: nothing refers to it after
 * this but its own slots, which are emptied as it dies. */
enum error
thread_destroy(struct thread *t)
{
	enum error e;

	thread_stop(t);
	e = thread_quiesce(t);
	if (e != OK)
		return e;
	while (t->serving != NULL) {
		thread_cancel(t->serving->caller, ERR_GONE);
		if (preemption_point())
			return RESTART;
	}
	sched_detach(t);
	if (t->bound != NULL) {
		t->bound->bound = NULL;
		t->bound = NULL;
	}
	if (t->vcpu != NULL)
		vcpu_unbind(t->vcpu);
	return OK;
}

enum error
vcpu_destroy(struct vcpu *v)
{
	enum error e;

	if (v->thread == NULL)
		return OK;
	thread_stop(v->thread);
	e = thread_quiesce(v->thread);
	if (e != OK)
		return e;
	vcpu_unbind(v);
	return OK;
}

/* ---- invocations ---------------------------------------------------------- */

/* For what needs the thread to be stopped and its registers in memory. */
static enum error
need_suspended(struct thread *t)
{
	return t->state == THREAD_SUSPENDED ? thread_quiesce(t) : ERR_STATE;
}

static enum error
check_ipc_buffer(const struct slot *frame, uint64_t vaddr)
{
	if (frame == NULL)
		return OK;
	if (frame->device || !(frame->rights & RIGHT_READ))
		return ERR_RIGHTS;
	return vaddr % 4096 == 0 ? OK : ERR_ALIGN;
}

static enum error
delete_thread_slots(struct thread *t)
{
	enum error e;

	for (unsigned i = 0; i < THREAD_SLOTS; i++) {
		if (t->slots[i].type == OBJ_NULL)
			continue;
		e = slot_delete(&t->slots[i]);
		/* What the arguments named may have changed: decode again. */
		return e == OK ? RESTART : e;
	}
	return OK;
}

enum error
thread_configure(struct thread *caller, struct slot *self, struct slot *cspace,
	struct slot *vspace, struct slot *ipc_buffer, uint64_t ipc_buffer_vaddr,
	struct slot *fault_handler)
{
	struct thread *t = self->thread;
	enum error e;

	(void)caller;
	e = need_suspended(t);
	if (e != OK)
		return e;
	e = check_ipc_buffer(ipc_buffer, ipc_buffer_vaddr);
	if (e != OK)
		return e;
	if (vspace->vspace->disabled)
		return ERR_STATE;
	e = delete_thread_slots(t);
	if (e != OK)
		return e;

	cap_derive(thread_slot(t, HOME_THREAD_CSPACE), cspace, RIGHTS_ALL);
	t->cspace = cspace->cnode;
	t->cspace_count = t->cspace->count;
	cap_derive(thread_slot(t, HOME_THREAD_VSPACE), vspace, RIGHTS_ALL);
	t->vspace = vspace->vspace;
	if (ipc_buffer != NULL) {
		cap_derive(thread_slot(t, HOME_THREAD_IPC_BUFFER), ipc_buffer, RIGHTS_ALL);
		t->ipc = phys_to_kernel((paddr_t)ipc_buffer->frame.base_page << PAGE_BITS);
	}
	if (fault_handler != NULL)
		cap_derive(thread_slot(t, HOME_THREAD_FAULT_HANDLER), fault_handler, RIGHTS_ALL);
	arch_thread_set_ipc_vaddr(t, ipc_buffer != NULL ? ipc_buffer_vaddr : 0);
	t->configured = 1;
	return OK;
}

enum error
thread_set_priority(struct thread *caller, struct slot *self, uint64_t priority,
	uint64_t max_priority)
{
	struct thread *t = self->thread;
	bool was_queued = t->queued == QUEUED_RUN;

	if (priority > caller->max_priority || max_priority > caller->max_priority)
		return ERR_RANGE;
	if (was_queued)
		thread_unready(t);
	t->priority = (uint8_t)priority;
	t->max_priority = (uint8_t)max_priority;
	sched_place(t);
	return OK;
}

enum error
thread_read_registers(struct thread *caller, struct slot *self)
{
	struct thread *t = self->thread;
	enum error e;

	if (caller->ipc == NULL)
		return ERR_ARGUMENT;
	e = need_suspended(t);
	if (e != OK)
		return e;
	arch_thread_get_registers(t, caller->ipc->words);
	return OK;
}

enum error
thread_write_registers(struct thread *caller, struct slot *self, uint64_t pc, uint64_t sp,
	uint64_t x0, uint64_t x1, uint64_t x2, uint64_t tpidr)
{
	struct thread *t = self->thread;
	enum error e;

	(void)caller;
	e = need_suspended(t);
	if (e != OK)
		return e;
	t->restarted = 0;
	arch_thread_start(t, pc, sp, x0, x1, x2, tpidr);
	return OK;
}

enum error
thread_resume(struct thread *caller, struct slot *self)
{
	struct thread *t = self->thread;

	(void)caller;
	if (!t->configured || (t->vspace->personality && t->vcpu == NULL))
		return ERR_STATE;
	if (t->state == THREAD_SUSPENDED)
		thread_ready(t);
	else if (t->state != THREAD_READY)
		thread_cancel(t, ERR_CANCELLED);
	return OK;
}

enum error
thread_suspend(struct thread *caller, struct slot *self)
{
	struct thread *t = self->thread;

	(void)caller;
	thread_stop(t);
	return thread_runs_elsewhere(t) ? thread_quiesce(t) : OK;
}

enum error
thread_bind_notification(struct thread *caller, struct slot *self, struct slot *notification)
{
	struct thread *t = self->thread;
	struct notification *n;

	(void)caller;
	if (notification == NULL) {
		if (t->bound != NULL)
			t->bound->bound = NULL;
		t->bound = NULL;
		return OK;
	}
	n = notification->notification;
	if (t->bound != NULL || n->bound != NULL)
		return ERR_BUSY;
	t->bound = n;
	n->bound = t;
	notification_signal(n, 0);	/* bits that are there already */
	return OK;
}

enum error
thread_bind_vcpu(struct thread *caller, struct slot *self, struct slot *vcpu)
{
	struct thread *t = self->thread;
	struct vcpu *v = vcpu->vcpu;
	enum error e;

	(void)caller;
	e = need_suspended(t);
	if (e != OK)
		return e;
	if (t->vcpu != NULL || v->thread != NULL)
		return ERR_BUSY;
	t->vcpu = v;
	v->thread = t;
	if (t->bound != NULL && t->bound->bits != 0)
		arch_vcpu_raise(v);
	return OK;
}

enum error
thread_set_name(struct thread *caller, struct slot *self, uint64_t name0, uint64_t name1)
{
	uint64_t words[2] = { name0, name1 };

	(void)caller;
	__builtin_memcpy(self->thread->name, words, sizeof(words));
	return OK;
}
