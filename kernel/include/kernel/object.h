/* SPDX-License-Identifier: MIT */
/*
 * Capabilities and the objects that they name.
 *
 * A slot is 64 bytes and holds a capability together with its place in the
 * derivation tree: `child` is the first capability derived from this one,
 * `next` the next one derived from the same parent, `prev` the one before or,
 * for a first child, the parent.  Every slot but derivation_root has a prev.
 *
 * Objects have no names of their own and no heap: their memory came from an
 * Untyped.  An object is destroyed when its last capability goes.
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include <kernel/assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/abi.h>
#include <tessera/calls.h>
#include <tessera/objects.h>

/* Physical addresses are numbers, kernel addresses are pointers; see
 * phys_to_kernel() and kernel_to_phys() in arch.h. */
typedef uint64_t paddr_t;

struct thread;
struct vspace;
struct slot;

/* Where a slot lies: which of its owner's, so that the owner can be told. */
enum slot_home {
	HOME_CNODE = 0,
	HOME_THREAD_CSPACE,
	HOME_THREAD_VSPACE,
	HOME_THREAD_IPC_BUFFER,
	HOME_THREAD_FAULT_HANDLER,
};

enum { THREAD_SLOTS = 4 };

struct frame_cap {
	uint64_t base_page : 36;	/* physical address / 4096 */
	uint64_t vaddr_page : 28;	/* meaningful while it is mapped */
};

struct slot {
	uint8_t type;			/* enum object_type; OBJ_NULL: empty */
	uint8_t rights;
	uint8_t home;			/* enum slot_home; stays when the slot is emptied */
	uint8_t device : 1;		/* Untyped, Frame: MMIO */
	uint8_t attribute : 2;		/* Frame: of its mapping */
	uint8_t map_rights : 4;		/* Frame: of its mapping */
	uint32_t pages;			/* Frame: size; Untyped: size_bits */
	union {
		void *object;		/* the object; for a Frame see vspace */
		struct vspace *vspace;	/* VSpace, IOSpace; Frame: where it is mapped, or NULL */
		paddr_t base;		/* Untyped */
		struct object *header;
		struct cnode *cnode;
		struct thread *thread;
		struct vcpu *vcpu;
		struct sched_context *sched_context;
		struct endpoint *endpoint;
		struct notification *notification;
		struct reply *reply;
		struct irq *irq;
		struct io_device *io_device;
	};
	union {
		uint64_t badge;		/* Endpoint, Notification; IOSpace: its window */
		struct frame_cap frame;
		uint64_t watermark;	/* Untyped: bytes given out from the start */
	};
	struct slot *child;
	struct slot *next;
	struct slot *prev;
	union {
		struct {		/* Frame: the list of those mapped in vspace, */
			uint64_t map_next : 48;	/* slots; 0: none */
			uint64_t mapped_low : 16;	/* and how many pages are mapped */
		};
		uint64_t clean;		/* Untyped: bytes from the start known to be given
					 * out or cleared */
		struct slot *dying_next;	/* record of a dying container */
	};
	struct {
		uint64_t map_prev : 48;	/* 0: first of vspace->mappings */
		uint64_t mapped_high : 16;
	};
};
static_assert(sizeof(struct slot) == 1 << SLOT_BITS, "slot");

/* The first words of each object but CNode, Frame and Untyped. */
struct object {
	uint32_t refs;			/* capabilities that name it */
	uint8_t type;			/* enum object_type */
	uint8_t dying;			/* container: on the list of those being emptied */
	uint16_t progress;
};

/* A CNode is an array of slots; the first is the kernel's own record. */
struct cnode {
	union {
		struct slot self;	/* see delete.c; type OBJ_NULL until the CNode dies */
		struct {
			uint8_t type;
			uint8_t rights;
			uint8_t home;
			uint8_t unused;
			uint32_t refs;
			uint64_t count;		/* slots, this one included */
			uint64_t progress;	/* when dying: slots below are empty */
		};
	};
};
static_assert(sizeof(struct cnode) == sizeof(struct slot), "CNode record");

static inline struct slot *
cnode_slots(struct cnode *c)
{
	return &c->self;
}

/* A queue of blocked threads, first come first served. */
struct queue {
	struct thread *head, *tail;
};

enum endpoint_state { ENDPOINT_IDLE, ENDPOINT_SENDING, ENDPOINT_RECEIVING };

struct endpoint {
	struct object obj;
	uint64_t state;			/* enum endpoint_state: who waits in the queue */
	struct queue queue;
};
static_assert(sizeof(struct endpoint) <= 1 << ENDPOINT_BITS, "Endpoint");

struct notification {
	struct object obj;
	uint64_t bits;
	struct queue queue;		/* threads in wait */
	struct thread *bound;		/* its recv or VCPU gets the bits */
	struct irq *irqs;		/* lines that are delivered here, faults of devices too */
};
static_assert(sizeof(struct notification) <= 1 << NOTIFICATION_BITS, "Notification");

/*
 * A Reply is free, or prepared by a thread that waits in recv (server, no
 * caller), or holds a caller that the server answers; then it is on the
 * server's list.  Replies that a SchedContext was lent through are stacked:
 * sched_context.top is the newest, below the one before it; only the top knows
 * the SchedContext.  obj.progress is its height, at most LEND_MAX.
 */
enum { LEND_MAX = 64 };
struct reply {
	struct object obj;
	struct thread *server;
	struct thread *caller;
	struct sched_context *lent;
	struct reply *below, *above;
	struct reply *next, **prev;	/* of the server's list */
};
static_assert(sizeof(struct reply) <= 1 << REPLY_BITS, "Reply");

/*
 * An interrupt.  That of a line lies in a table as large as the hardware's; that
 * of a message in its IODevice, where intid becomes 0 if the IODevice dies first
 * (what was derived from it still holds the memory).
 */
struct irq {
	struct object obj;
	struct notification *notification;
	struct irq *next;		/* of the same Notification */
	uint64_t badge;
	uint32_t intid;
	uint16_t cpu;
	uint16_t unanswered;		/* taken since the last ack */
};

/* A message that comes more often than this without an ack is masked until it is
 * acknowledged: a device that storms must not have a CPU. */
enum { IRQ_STORM = 256 };

struct vcpu;

/* The root of the derivation tree: what boot makes hangs below it. */
extern struct slot derivation_root;

#endif
