/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/core offer each other.
 *
 * Operations return OK, an error (then they changed nothing) or RESTART: the
 * thread runs the same call again from the start.  That is how a long
 * operation is preempted; its progress is kept in the objects it works on.
 */
#ifndef KERNEL_CORE_H
#define KERNEL_CORE_H

#include <kernel/arch.h>

#define RESTART ((enum error)ERROR_COUNT)

typedef enum error invoke_fn(struct thread *caller, struct slot *self);

/* slot.c: finding capabilities, and the derivation tree.  Every call begins
 * with a lookup, so these are inline. */
static inline enum error
cap_lookup(const struct thread *t, uint64_t index, struct slot **slot)
{
	if (index == 0 || index >= t->cspace_count)
		return ERR_SLOT;
	*slot = cnode_slots(t->cspace) + index;
	return (*slot)->type == OBJ_NULL ? ERR_SLOT_EMPTY : OK;
}

static inline enum error
cap_lookup_type(const struct thread *t, uint64_t index, enum object_type type,
	unsigned rights, struct slot **slot)
{
	enum error e = cap_lookup(t, index, slot);

	if (e != OK)
		return e;
	if ((*slot)->type != type)
		return ERR_TYPE;
	return ((*slot)->rights & rights) == rights ? OK : ERR_RIGHTS;
}

enum error cnode_slot(struct cnode *cnode, uint64_t index, struct slot **slot);
enum error cap_derivable(const struct slot *s);
void cap_derive(struct slot *dst, struct slot *src, unsigned rights);
void derivation_insert(struct slot *parent, struct slot *child);
void derivation_remove(struct slot *s);
void derivation_lift_child(struct slot *s);
void slot_move(struct slot *dst, struct slot *src);
uint32_t *object_refs(const struct slot *s);

/* delete.c */
enum error slot_delete(struct slot *s);
enum error slot_revoke(struct slot *s);
enum error dying_drain(void);
bool preemption_point(void);
extern struct slot *dying_list;

/* untyped.c */
void object_init(struct slot *s, enum object_type type, paddr_t base, unsigned size_bits);

/* thread.c */
void thread_stop(struct thread *t);
enum error thread_quiesce(struct thread *t);
void thread_cancel(struct thread *t, enum error why);
void thread_wake(struct thread *t, enum error result);
enum error thread_slot_gone(struct slot *s);
enum error thread_destroy(struct thread *t);
enum error vcpu_destroy(struct vcpu *v);
struct thread *thread_of_slot(const struct slot *s);

/* sched.c, sched_context.c */
void queue_append(struct queue *q, struct thread *t);
void queue_remove(struct queue *q, struct thread *t);
void thread_ready(struct thread *t);
void thread_unready(struct thread *t);
void sched_place(struct thread *t);
bool thread_runs_elsewhere(const struct thread *t);
void release_later(struct thread *t);
void sched_lend(struct thread *from, struct thread *to, struct reply *through);
bool sched_can_lend(const struct thread *from, const struct thread *to);
void sched_return(struct reply *r);
struct thread *sched_strand(struct sched_context *sc, struct reply *r);
void sched_context_destroy(struct sched_context *sc);
void sched_context_charge(struct sched_context *sc, uint64_t ticks);
bool sched_context_ready(struct sched_context *sc, uint64_t now);
void sched_context_activate(struct sched_context *sc, uint64_t now);
void sched_detach(struct thread *t);
static inline bool
sched_context_limited(const struct sched_context *sc)
{
	return sc->budget != sc->period;
}

/* deadline.c */
void deadline_insert(struct deadline *d, enum deadline_kind kind, uint64_t when, unsigned cpu);
void deadline_cancel(struct deadline *d);

/* ipc.c, endpoint.c, reply.c, notification.c */
enum error message_check(const struct thread *t, uint64_t info, bool may_grant);
void message_copy(struct thread *from, struct thread *to, uint64_t info, uint64_t badge, bool grant);
enum error block_allowed(const struct thread *t, uint64_t deadline);
enum error endpoint_send(struct thread *t, struct endpoint *e, uint64_t info, uint64_t badge,
	bool grant, bool call, bool block, uint64_t deadline);
enum error endpoint_recv(struct thread *t, struct endpoint *e, struct reply *r, bool block,
	uint64_t deadline);
void endpoint_remove(struct thread *t);
enum error endpoint_destroy(struct endpoint *e);
void reply_answer(struct thread *server, struct reply *r, uint64_t info, bool grant);
void reply_hold(struct reply *r, struct thread *caller, struct thread *server);
void reply_detach(struct reply *r);
void reply_abandon(struct reply *r);
void reply_destroy(struct reply *r);
void notification_signal(struct notification *n, uint64_t badge);
bool notification_take(struct notification *n, uint64_t *bits);
enum error notification_wait(struct thread *t, struct notification *n, bool block, uint64_t deadline);
enum error notification_destroy(struct notification *n);
void fault_deliver(struct thread *t, uint32_t label, uint64_t address, uint64_t esr);

/* frame.c, irq.c */
enum error frame_unmap_all(struct slot *s);
void frame_moved(struct slot *dst, struct slot *src);
void frame_map_at_boot(struct slot *s, struct vspace *v, uint64_t vaddr, unsigned rights);
uint64_t frame_mapped_pages(const struct slot *s);
enum error vspace_destroy(struct vspace *v);
void irq_bind(struct irq *irq, const struct slot *notification, unsigned cpu);
void irq_unbind(struct irq *irq);
void irq_destroy(struct irq *irq);
enum error irq_give(struct slot *parent, struct cnode *cnode, uint64_t index, struct irq *irq,
	uint32_t intid);

/* io.c */
extern struct io_device *io_devices[IO_DEVICES];	/* by number; 0 is nobody's */
void io_device_unbind(struct io_device *d);
enum error io_device_destroy(struct io_device *d);
enum error io_space_destroy(struct vspace *v);

/* The irq behind an interrupt id; NULL: nobody's. */
static inline struct irq *
irq_find(uint32_t intid)
{
	extern struct irq irqs[IRQ_LINES];
	uint32_t n = (intid - LPI_FIRST) / IO_EVENTS;

	if (intid < IRQ_LINES)
		return &irqs[intid];
	if (intid < LPI_FIRST || n >= IO_DEVICES || io_devices[n] == NULL)
		return NULL;
	return &io_devices[n]->event[intid % IO_EVENTS];
}

/* boot.c, log.c */
extern struct irq irqs[IRQ_LINES];
extern bool console_released;
void boot_forget(void);			/* host tests */
extern struct thread *init_thread;
enum { KERNEL_LOG_BYTES = 0x11000 };	/* header and 64 KiB */
extern char kernel_log_memory[KERNEL_LOG_BYTES];

enum { LOG_REPORTS = 16 };	/* of faults that nobody handles, in a second */
void log_start(uint64_t timer_hz);
/* May a fault be told now?  False: it was counted, and the count comes with the next one. */
bool log_takes_report(void);

/* check.c, debug and host builds: number of violations, each named in the log. */
unsigned check_everything(void);
extern uint64_t checks_done;
extern const bool checker_present;

#include <kernel/dispatch.h>	/* the invocations, one function each */

/* Argument and result words of an invocation. */
static inline uint64_t
msg_word(const struct thread *t, unsigned n)
{
	return t->regs.x[2 + n];
}

static inline void
result_word(struct thread *t, unsigned n, uint64_t value)
{
	t->regs.x[2 + n] = value;
}

#endif
