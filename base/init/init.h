/* SPDX-License-Identifier: MIT */
/*
 * init's own interfaces.  init is one thread without a heap: everything it
 * knows is in `system`, every slot it uses is taken once, at boot.
 *
 *   main.c       start, and the loop over faults, authorities and deadlines
 *   conf.c       system.conf into struct conf                        (pure)
 *   elf.c        images                                               (pure)
 *   restart.c    restart policy                                       (pure)
 *   limit.c      how much of it the log takes                         (pure)
 *   grant.c      what devmgr says, checked                            (pure)
 *   memory.c     slots, Untypeds, writing into Frames
 *   channel.c    channel Frames and doorbells
 *   component.c  build a component from its budget, destroy it
 *   world.c      the same for a personality
 *   device.c     devmgr's messages; IODevices, IOSpaces, lending
 *   supervise.c  endings: crash reports, restarts, telling peers
 *   usage.c      how much memory each takes
 *   capabilities.c  who may touch what, read from the kernel
 *   power.c      power off and reset, after the logs have drained
 *   say.c        init's own log
 */
#ifndef INIT_H
#define INIT_H

#include <tessera/abi.h>
#include <tessera/bootinfo.h>
#include <tessera/bundle.h>
#include <tessera/objects.h>
#include <tessera/runtime.h>
#include <tessera/stubs.h>
#include <proto/component.h>
#include <proto/device.h>
#include <proto/world.h>
#include "conf.h"
#include "elf.h"
#include "limit.h"
#include "restart.h"

enum {
	PAGE = 4096,
	MAX_PIECES = 48,		/* Untypeds of one budget */
	MAX_THREADS = WORLD_MAX_VCPUS,
	SEGMENT_SLOTS = ELF_MAX_SEGMENTS,
	COMPONENT_PARTS = SEGMENT_SLOTS + 4,	/* mapped parts of a component's first Frame */
	HEAP_SLOTS = 24,
	MAX_DRIVERS = 12,
	MAX_VECTORS = 16,		/* of one function */
};

/* Addresses of init's own, beside those of abi.h. */
#define INIT_WINDOW_VADDR	0x30000000UL	/* where Frames are mapped to be written */
#define INIT_WINDOW_BYTES	0x00100000UL
#define INIT_USAGE_VADDR	0x30100000UL	/* proto/usage.h */
#define INIT_LIST_VADDR		0x30120000UL	/* proto/capabilities.h */
#define INIT_CHANNEL_VADDR	0x30140000UL	/* all channel Frames, one after the other */

enum component_state {
	STATE_ABSENT,		/* not on this machine, or could not be built */
	STATE_BUILT,		/* not started yet */
	STATE_RUNNING,
	STATE_STOPPING,		/* suspended; devices may still be at its memory; from restart_ns on who does not let go of it is ended */
	STATE_WAITING,		/* to be built again at restart_ns */
	STATE_ENDED,		/* as its policy wants it */
};

/* One Untyped of a budget, in init's CNode. */
struct piece {
	uint32_t slot;
	uint32_t size_bits;
};

/* Slots of init that hold what a component is made of; empty once it was
 * destroyed, since everything in them is derived from its budget. */
struct component_slots {
	uint32_t cnode;
	uint32_t vspace;
	uint32_t attic;				/* CNode that it cannot reach: what is lent and mapped */
	uint32_t image;				/* Frame: segments, start record, buffer, stack */
	uint32_t parts;				/* COMPONENT_PARTS */
	uint32_t dma;				/* Frame, of a driver */
	uint32_t heap;				/* HEAP_SLOTS; world: MAX_PIECES of RAM */
	uint32_t thread[MAX_THREADS];
	uint32_t vcpu[MAX_THREADS];
	uint32_t sched_context[MAX_THREADS];
	uint32_t bell[MAX_THREADS];		/* world: of VCPU 1 and up */
};

/* A driver's function: what init makes for it and keeps through its lives. */
struct driver {
	bool granted, enabled;
	uint32_t matched;			/* functions that it could have had so far */
	uint32_t device;			/* IODevice; 0: not a driver of one */
	uint32_t space;				/* IOSpace */
	uint32_t vector;			/* IRQHandlers */
	unsigned vector_count;
	uint32_t vector_bell, fault_bell;
	uint32_t stream;
	uint64_t msi_address;
	uint32_t msi_data;
	unsigned fault_bit;			/* in init's Notification */
	bool fault_pending;
	uint64_t fault_ticks;			/* no line about a fault before */
	struct device_found found;
};

struct component {
	const struct conf_component *conf;
	const struct bundle_entry *image;	/* null: no condition of its images holds */
	unsigned index;
	enum component_state state;
	unsigned thread_count;
	uint32_t cpu[MAX_THREADS];
	uint32_t starts;

	struct piece piece[MAX_PIECES];		/* piece[0]: what it is made of; world: then RAM */
	unsigned piece_count;			/* 0: the budget was not carved yet */
	struct component_slots made;
	uint32_t fault[MAX_THREADS];		/* badged Endpoints */
	uint32_t bell;				/* its Notification, which is init's own */
	uint32_t bell_peer;			/* the same, badge "a peer is new" */
	uint32_t keep;				/* Frame that outlives it */
	uint32_t temporary;			/* on the way into its attic */
	uint32_t attic_used;			/* slots of it, in this life */
	struct driver driver;

	struct restart_history history;
	uint64_t restart_ns;
	bool kill_waits;			/* until restart_kill_at(history) */
	enum ending ending;
	struct report_limit reports;		/* of its crashes */
	/* Its last end, in ticks: when it stopped, when its memory was free, when it was clear. */
	uint64_t stopped_ticks, free_ticks, clear_ticks;
};

struct channel {
	const struct conf_channel *conf;
	uint32_t frame;			/* or the Endpoint of a call channel; 0: nobody wanted it yet */
	bool made;
	uint64_t vaddr;			/* where init maps it */
	void *address;			/* in init; null: not there */
	uint64_t client_bit;		/* in the client's Notification: the server rings it */
	uint64_t server_bit;
	uint32_t released;		/* epoch of the client that the server's end let go of */
};

/* What a bit of init's Notification asks for. */
enum request { REQUEST_NONE, REQUEST_POWER_OFF, REQUEST_RESET, REQUEST_LIST, REQUEST_HEALTHY, REQUEST_KILL };
struct authority {
	enum request request;
	unsigned holder;		/* index of the component */
	unsigned target;		/* REQUEST_KILL: index of the component */
	uint32_t slot;			/* init's Notification with this authority's badge */
};
enum { MAX_AUTHORITIES = 46, INIT_BIT_LOG = 0 /* bit numbers */, INIT_BIT_PEER, INIT_BIT_FIRST_AUTHORITY,
	INIT_BIT_FIRST_FAULT = INIT_BIT_FIRST_AUTHORITY + MAX_AUTHORITIES };
_Static_assert(INIT_BIT_FIRST_FAULT + MAX_DRIVERS <= 63, "bit 63 says that it is a message");

/* The console UART, if the machine has one that a component was given. */
struct uart {
	uint32_t frame;
	uint32_t irq;
	uint32_t irq_bell;		/* the driver's Notification, badge of the line */
	uint64_t offset;		/* of the registers in the Frame */
	uint64_t bytes;
};

struct system {
	const struct init_info *info;
	const struct bootinfo *boot;
	const struct bundle_header *bundle;
	struct conf conf;
	struct component component[CONF_MAX_COMPONENTS];
	struct channel channel[CONF_MAX_CHANNELS];
	struct authority authority[MAX_AUTHORITIES];
	unsigned authority_count;
	struct uart uart;
	uint32_t fault_endpoint;
	uint32_t reply;
	uint32_t bell;			/* init's Notification */
	uint64_t start_ticks;		/* when init's first instructions ran */
	bool console_released;
	uint64_t kernel_printed;	/* of its log, before the console was released */
};
extern struct system tessera;

/* say.c: lines to the kernel's log until a driver has the console, then to
 * init's log channel. */
void say(const char *text, ...) __attribute__((format(printf, 1, 2)));
const char *error_name(enum error e);
_Noreturn void stop(const char *why);

/* memory.c */
uint32_t slots_take(unsigned count);
enum error memory_start(void);
enum error memory_carve(enum object_type type, unsigned size_bits, uint32_t slot);
uint64_t memory_left(void);
uint64_t memory_used(void);	/* by budgets, channels, init's own objects; with what alignment costs */
/* Fill pieces with all memory that is left, in pieces of at least 2 MiB. */
enum error memory_carve_rest(struct piece *pieces, unsigned *count, unsigned room);
/*
 * The slot of a Frame, and bytes in it.  Who has used them says window_close before that slot holds another Frame.
 */
enum error frame_write(uint32_t frame, uint64_t offset, const void *bytes, uint64_t count);
enum error frame_read(uint32_t frame, uint64_t offset, void *to, uint64_t count);
void window_close(void);
enum error device_frame(uint64_t base, uint64_t bytes, uint32_t slot, uint64_t *offset);
/* A Frame of init's that covers the device page at `at`, and where it is in it. */
enum error device_block(uint64_t at, uint32_t *frame, uint64_t *offset, uint64_t *bytes_left);
unsigned log2_up(uint64_t n);
static inline uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) & ~(to - 1); }

/* channel.c */
/* Number all channels; each gets its Frame when an end of it is built and both are there. */
void channels_start(void);
enum error channel_ensure(struct channel *ch);
/* Which channels are there is known: worlds' numbers of theirs follow. */
void channels_number(void);
bool channel_present(const struct channel *ch);
uint64_t channels_bytes(const struct component *c);
/* Put a component's ends of all its channels into its CNode and VSpace. */
enum error channels_give(struct component *c, struct component_info *info, uint32_t *slot);
void channel_write_header(const struct channel *ch);
bool channels_drained(void);
/*
 * A component that lends memory has ended: have its block and file servers drop what it sent (block.h,
 * Deaths), and ask whether devices are through with it.  Only then its memory may be anything else:
 * a write that is under way would put the next owner's bytes, or zeros, on the disk.
 */
void channels_withdraw(const struct component *c);
bool channels_withdrawn(const struct component *c);
/* A server that has not said so; NULL: all have. */
struct component *channels_holder(const struct component *c);
/*
 * A server has ended and is gone: its device, if it has one, is unbound, and its own drivers
 * are through with what it sent.  So no device is at what its clients lent; its next life
 * begins behind what stands in the rings.
 */
void channels_release(const struct component *server);
struct component *channel_end(int index);
/* Is it a file server?  Those take over from their last life before they do what is new. */
bool channels_serve_files(const struct component *c);

/* component.c */
enum error component_prepare(struct component *c);
enum error component_build(struct component *c);
/* Carve its budget, once: who is never built takes none. */
enum error component_budget(struct component *c);
enum error component_start_threads(struct component *c);
/* Words of the stack of a component that is no world; ERR_RANGE: they are not on it. */
enum error component_stack(const struct component *c, uint64_t address, uint64_t *words, unsigned count);
void component_destroy(struct component *c);
enum error make(struct component *c, const char *what, enum object_type type, unsigned size_bits,
    uint32_t slot);
enum error give(struct component *c, uint32_t at, uint32_t slot, unsigned rights, uint64_t badge);
enum error give_mapped(struct component *c, uint32_t frame, uint64_t offset, uint64_t bytes,
    uint64_t vaddr, unsigned rights, unsigned attributes);
/* Into an IOSpace, for as long as c lives. */
enum error give_io(struct component *c, uint32_t frame, uint64_t bytes, uint32_t space, uint64_t iova);
/* Device pages of a physical range, mapped at vaddr. */
enum error give_device(struct component *c, uint64_t base, uint64_t bytes, uint64_t vaddr);
uint32_t component_cnode_slots(const struct component *c);
enum error make_cnodes(struct component *c, unsigned size_bits);
enum error give_authorities(struct component *c, struct component_info *info, uint32_t *slot);
enum error thread_make(struct component *c, unsigned i, uint32_t ipc_frame, uint64_t ipc_vaddr);

/* world.c */
enum error world_prepare(struct component *c);
enum error world_build(struct component *c);
unsigned world_cnode_bits(const struct component *c);

/* usage.c */
enum error usage_make(void);
uint32_t usage_count(void);		/* pages */
void usage_built(const struct component *c, uint64_t heap);
/* Lend a component its page, to be written; a world all pages, to be read. */
enum error usage_give(struct component *c, uint64_t vaddr);
enum error usage_give_all(struct component *c, uint64_t ipa);

uint32_t usage_slot(void);		/* the Frame of all pages */

/* capabilities.c */
enum error capabilities_make(void);
enum error capabilities_give(struct component *c, uint64_t ipa);
void capabilities_ask(void);
/* Write the list if it was asked for and is due; ticks of when it will be, 0: nobody asked. */
uint64_t capabilities_deadline(void);
/* What a component that crashed holds, into the log. */
void capabilities_report(const struct component *c);

/* supervise.c */
uint64_t badge_of(unsigned index, unsigned thread);
bool badge_is_message(uint64_t badge);
void supervise_message(const struct msg *m);
void supervise_kill(unsigned target, unsigned holder);
uint64_t supervise_restarts(void);	/* do those that are due, and kills; ticks of the next, 0: none */
bool launch(struct component *c);
/* Ended for good; on a trial boot a world's end is the slot's. */
void stays_down(struct component *c);

/* main.c */
void start_waiting(void);

/* power.c */
/* Did the loader take a disk of another device than this driver's, of this one?  Neither, if that is not known. */
bool boot_elsewhere(const struct component *c);
bool boot_here(const struct component *c);

/* health.c */
void health_reported(const struct component *c);
uint64_t health_look(void);		/* resets if a trial's time is over; ticks of that time, 0: nobody is waited for */

_Noreturn void power_down(bool reset, const char *who);

#endif
