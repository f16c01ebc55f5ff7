/* SPDX-License-Identifier: MIT */
/*
 * How the time-out of a passive server ends its request, and how it is passive
 * again afterwards: the pattern for servers that run on their callers' time.
 *
 * The server's fault handler has time of its own.  When lent time ran out it
 *   1. answers the client with an error by a send on the Reply, and by that
 *      gives the SchedContext back;
 *   2. starts the server's thread anew, with an empty stack and on a spare
 *      SchedContext; it signals `ready` and receives from a private Endpoint, which
 *      nobody but the handler can call: no client is served on spare time;
 *   3. takes the spare SchedContext back, and calls the private Endpoint: the
 *      server's reply_recv answers it and receives from its clients in one step,
 *      so it again has no time when the first of them comes.
 * The spare SchedContext is on the handler's CPU, and the server has a higher
 * priority than its handler: when the handler goes on, the server is in its receive.
 */
#ifndef ABORT_H
#define ABORT_H

#include "support.h"

enum { LABEL_ABORTED = 0xab };		/* what the client is answered */

/* Serves one request: *m is the call and becomes the answer. */
typedef void passive_serve_fn(struct msg *m);

struct passive {
	uint32_t endpoint;		/* clients call it */
	uint32_t private;		/* the handler alone calls it */
	uint32_t reply;			/* of the server */
	uint32_t ready;			/* Notification: about to receive from private */
	uint32_t faults;		/* Endpoint of the handler */
	uint32_t handler_reply;
	uint32_t spare;			/* SchedContext on the handler's CPU */
	uint32_t thread;		/* the server */
	uint64_t stack_top;		/* its stack */
	passive_serve_fn *serve;
	volatile uint64_t aborts;
	volatile uint64_t longest;	/* ticks from the fault's arrival to the end of step 3 */
};

/*
 * All that it takes but the handler: that thread, on this CPU and with a lower
 * priority than the server's, brings the server up.
 */
void passive_start(struct passive *p, uint32_t vspace, passive_serve_fn *serve, unsigned priority,
	unsigned cpu);

/* The handler's thread; its argument is the struct passive. */
void passive_handler(uint64_t passive, uint64_t unused);

#endif
