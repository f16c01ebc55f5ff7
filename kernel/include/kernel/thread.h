/* SPDX-License-Identifier: MIT */
/*
 * Threads, VCPUs, address spaces, scheduling contexts and the per-CPU record.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <kernel/object.h>
#include <arch/types.h>		/* struct arch_thread, arch_vcpu, arch_vspace, arch_io_device, arch_cpu */

enum { MAX_CPUS = 16, PRIORITIES = 256 };

#define NEVER UINT64_MAX	/* no deadline; user space says 0 for it */

/* What the exception vector saves.  First member of struct thread. */
struct regs {
	uint64_t x[31];
	uint64_t sp;		/* SP_EL0 of a component, SP_EL1 or SP_EL0 of a VCPU thread: arch */
	uint64_t pc;
	uint64_t pstate;
};

/* A node of a CPU's deadline queue (deadline.c). */
enum deadline_kind { DEADLINE_NONE, DEADLINE_THREAD, DEADLINE_REFILL };
struct deadline {
	uint64_t when;		/* ticks */
	struct deadline *left, *right, *up;
	uint32_t weight;	/* heap order of the treap */
	uint16_t cpu;
	uint16_t kind;		/* DEADLINE_NONE: not queued */
};

enum thread_state {
	THREAD_SUSPENDED = 0,
	THREAD_READY,			/* running, queued, or waiting for a budget */
	THREAD_SEND,			/* in an Endpoint's queue: send or call */
	THREAD_RECV,			/* in an Endpoint's queue */
	THREAD_REPLY,			/* held by `reply` */
	THREAD_WAIT,			/* in a Notification's queue */
	THREAD_WFI,			/* VCPU thread: until an interrupt for it */
};

/* A thread that is READY or dying may be on one of these lists of its CPU. */
enum thread_queued {
	QUEUED_NOT = 0,
	QUEUED_RUN,		/* ready and not running */
	QUEUED_RELEASE,		/* its CPU has yet to write its state back */
};

struct thread {
	struct regs regs;
	struct arch_thread arch;

	struct object obj;
	uint8_t state;			/* enum thread_state */
	uint8_t priority;
	uint8_t max_priority;
	uint8_t is_call;		/* THREAD_SEND: wants an answer */
	uint8_t can_grant;		/* THREAD_SEND: the capability had RIGHT_GRANT */
	uint8_t queued;			/* enum thread_queued */
	uint8_t configured;
	uint8_t restarted;		/* its call was preempted and runs again, */
	uint8_t rollback;		/* to undo what it did and then return this error */
	uint8_t stranded;		/* the client whose time it had is gone; nobody knows yet */
	uint16_t cpu;			/* where it runs or ran last */

	struct cnode *cspace;		/* NULL: none */
	uint64_t cspace_count;		/* its slots; 0 without cspace */
	struct vspace *vspace;
	struct ipc_buffer *ipc;		/* NULL: none */
	struct vcpu *vcpu;		/* NULL: a component thread */
	struct sched_context *sched;	/* NULL: passive */
	struct notification *bound;

	struct thread *next, *prev;	/* in the queue that state and queued name */
	struct endpoint *endpoint;	/* THREAD_SEND, THREAD_RECV */
	struct reply *reply;		/* THREAD_RECV: prepared; THREAD_REPLY: who holds us */
	struct reply *serving;		/* Replies whose callers wait for this thread */
	struct notification *notification;	/* THREAD_WAIT */
	uint64_t badge;			/* THREAD_SEND */
	uint64_t message;		/* THREAD_SEND: info, checked */

	uint32_t fault;			/* LABEL_FAULT_*, 0: none; then the message is: */
	uint64_t fault_address;
	uint64_t fault_esr;

	struct deadline deadline;
	uint64_t ready_since;
	struct slot self;		/* used when the thread dies, see delete.c */
	struct slot slots[THREAD_SLOTS];	/* in the order of enum slot_home */
	char name[16];
};
static_assert(offsetof(struct thread, regs) == 0, "the vector saves here");
static_assert(sizeof(struct thread) <= 1 << THREAD_BITS, "Thread");

struct vcpu {
	struct object obj;
	struct thread *thread;		/* bound to it, or NULL */
	struct arch_vcpu arch;
};
static_assert(sizeof(struct vcpu) <= 1 << VCPU_BITS, "VCPU");

/* An address space: OBJ_VSPACE, of threads, or OBJ_IO_SPACE, of devices. */
struct vspace {
	struct object obj;
	uint8_t size_bits;
	uint8_t personality;		/* mappings may be writable and executable */
	uint8_t disabled;		/* being destroyed: nothing may use or map it */
	struct slot *mappings;		/* Frame capabilities mapped here */
	uint64_t mapped_bytes;
	struct io_device *devices;	/* IOSpace: those that see it */
	struct arch_vspace arch;
};

/*
 * A device as SMMU and ITS know it.  Once it is assigned it has a number: its
 * place in io_devices, from which its ASID and its LPIs follow, so that neither
 * can run out because of somebody else.
 */
enum { IO_DEVICES = 256, LPI_FIRST = 8192 };
struct io_device {
	struct object obj;
	uint32_t number;		/* 0: not assigned */
	uint32_t smmu, stream;
	uint32_t its, device;		/* its: IO_NO_ITS, none */
	struct vspace *space;		/* what it sees, or NULL */
	struct io_device *next;		/* of the same IOSpace */
	uint32_t fault_kind, fault_write;
	uint64_t fault_address, faults;
	uint64_t unread;		/* faults since the last look */
	struct irq fault;		/* signalled by them; intid 0 */
	struct irq event[IO_EVENTS];
	struct arch_io_device arch;
};
static_assert(sizeof(struct io_device) <= 1 << IO_DEVICE_BITS, "IODevice");

/*
 * A right to CPU time.  budget == period: no limit, and the budget is the
 * round-robin slice.  Otherwise a sporadic server: `refill` is a ring of
 * amounts that may be used from their time on.
 */
enum { REFILLS = 6 };
struct refill {
	uint64_t when;
	uint64_t amount;
};
struct sched_context {
	struct object obj;
	uint16_t cpu;
	uint8_t head, refills;		/* of the ring; refills >= 1 once configured */
	uint8_t configured;
	struct thread *thread;		/* that runs on it now, or NULL */
	struct reply *top;		/* lent through these calls */
	uint64_t budget, period;
	uint64_t consumed, stolen;
	uint64_t slice_from;		/* what was consumed when this slice began */
	struct deadline deadline;	/* while its thread waits for a refill */
	struct refill refill[REFILLS];
};
static_assert(sizeof(struct sched_context) <= 1 << SCHED_CONTEXT_BITS, "SchedContext");

enum cpu_power {
	CPU_OFF,
	CPU_STARTING,			/* on its way from the firmware */
	CPU_ON,				/* only now time on it is given, or an interrupt sent there */
	CPU_STOPPING,			/* goes off when it idles next */
};

struct cpu {
	struct thread *current;		/* NULL: idle.  Not in the run queue */
	uint32_t id;
	uint8_t power;			/* enum cpu_power */
	uint8_t stop_refused;		/* firmware did not switch it off */
	uint8_t reschedule;		/* current may no longer be the one to run */
	uint32_t users;			/* configured SchedContexts and bound interrupts, which need it */
	uint32_t ready_count;		/* threads in ready */
	struct sched_context *charged;	/* the time that is running, or NULL */
	uint64_t account_from;		/* charged pays from here on */
	uint64_t slice_end;		/* of current, if its equals wait */
	uint64_t timer;			/* what the hardware was told */
	struct deadline *deadlines;	/* root of the treap */
	struct deadline *first;		/* its leftmost */
	uint64_t ready_bits[PRIORITIES / 64];
	struct queue ready[PRIORITIES];
	struct queue release;		/* threads whose state this CPU writes back */
	uint64_t entries, switches;
	struct arch_cpu arch;
};

extern struct cpu cpus[MAX_CPUS];
extern unsigned cpu_count;		/* CPUs that run */

#endif
