/* SPDX-License-Identifier: MIT */
/*
 * Notifications: a word of bits that signals set and waits clear.
 */
#include <kernel/core.h>

bool
notification_take(struct notification *n, uint64_t *bits)
{
	*bits = n->bits;
	n->bits = 0;
	return *bits != 0;
}

static void
wake_waiter(struct notification *n, struct thread *t)
{
	queue_remove(&n->queue, t);
	t->notification = NULL;
	notification_take(n, &t->regs.x[8]);
	thread_wake(t, OK);
}

/* A personality sees the bits as an interrupt, wherever it is. */
static void
raise_in_vcpu(struct thread *t)
{
	arch_vcpu_raise(t->vcpu);
	if (t->state == THREAD_WFI)
		thread_wake(t, OK);
	else if (thread_runs_elsewhere(t))
		arch_kick_cpu(t->cpu);
}

/* Its recv is answered by the bits. */
static void
wake_receiver(struct notification *n, struct thread *t)
{
	endpoint_remove(t);
	t->regs.x[1] = MSG_INFO(LABEL_NOTIFICATION, 0, 0);
	notification_take(n, &t->regs.x[8]);
	thread_wake(t, OK);
}

void
notification_signal(struct notification *n, uint64_t badge)
{
	struct thread *t = n->bound;

	n->bits |= badge;
	if (n->bits == 0)
		return;
	if (n->queue.head != NULL)
		wake_waiter(n, n->queue.head);
	else if (t == NULL)
		return;
	else if (t->vcpu != NULL)
		raise_in_vcpu(t);
	else if (t->state == THREAD_RECV)
		wake_receiver(n, t);
}

enum error
notification_wait(struct thread *t, struct notification *n, bool block, uint64_t deadline)
{
	enum error e;

	if (notification_take(n, &t->regs.x[8])) {
		t->regs.x[0] = OK;
		return OK;
	}
	e = block ? block_allowed(t, deadline) : ERR_WOULD_BLOCK;
	if (e != OK)
		return e;
	queue_append(&n->queue, t);
	t->notification = n;
	t->state = THREAD_WAIT;
	if (deadline != 0)
		deadline_insert(&t->deadline, DEADLINE_THREAD, deadline, t->cpu);
	cpu_self()->reschedule = 1;
	return OK;
}

enum error
notification_destroy(struct notification *n)
{
	while (n->queue.head != NULL) {
		thread_cancel(n->queue.head, ERR_GONE);
		if (preemption_point())
			return RESTART;
	}
	if (n->bound != NULL) {
		n->bound->bound = NULL;
		n->bound = NULL;
	}
	while (n->irqs != NULL) {
		irq_unbind(n->irqs);
		if (preemption_point())
			return RESTART;
	}
	return OK;
}

/*
 * WFI of a personality: until its notification, its timer, or a kick.  Its
 * timer is armed in the hardware of this CPU and comes as kernel_vcpu_timer;
 * should another VCPU take that hardware over, kernel_vcpu_moved says when it
 * would have fired.
 */
void
kernel_wfi(struct thread *t)
{
	if (arch_vcpu_pending(t->vcpu))
		return;
	t->state = THREAD_WFI;
	cpu_self()->reschedule = 1;
}

void
kernel_vcpu_timer(struct thread *t)
{
	if (t->state == THREAD_WFI)
		thread_wake(t, OK);
}

void
kernel_vcpu_moved(struct thread *t, uint64_t deadline)
{
	if (t->state == THREAD_WFI && deadline != NEVER)
		deadline_insert(&t->deadline, DEADLINE_THREAD, deadline, t->cpu);
}
