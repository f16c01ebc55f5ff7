/* SPDX-License-Identifier: MIT */
/* What the files of AF_UNIX share (unix.c, unix_data.c, rights.c). */
#ifndef LX_NET_UNIX_H
#define LX_NET_UNIX_H

#include "internal.h"
#include "page.h"

enum unix_state { UNIX_FREE, UNIX_LISTENING, UNIX_CONNECTED };

/* What a socket is bound to.  Never changes; messages and accepted sockets share it. */
struct unix_name {
	refcount_t refs;
	uint32_t len;			/* of the address, with the family */
	struct sockaddr_un addr;
};

/*
 * A message, or a piece of a stream.  Short ones carry their bytes, the others
 * have pages.  What it weighs counts against the sender's SO_SNDBUF: for
 * streams, which have one sender, in the queue it lies in, for datagrams with
 * the sender, which they hold a reference to.
 */
enum { SEGMENT_SMALL = 144, SEGMENT_PAGES = SEGMENT_SMALL / 8, STREAM_PIECE = 8 * PAGE_SIZE, SEGMENT_COST = 256 };
struct segment {
	struct list node;
	uint32_t len, off;		/* off: taken already (streams) */
	uint32_t weight;
	uint16_t pages;
	bool has_credentials;
	struct credentials credentials;
	struct rights *rights;		/* under the queue's socket->lock */
	struct unix_name *from;
	struct unix_socket *owner;
	struct page **page;		/* in place, or allocated */
	union {
		uint8_t small[SEGMENT_SMALL];
		struct page *place[SEGMENT_PAGES];
	};
};

struct unix_socket {
	struct socket socket;		/* first */
	enum unix_state state;		/* changed under unix_lock */
	bool dead;			/* socket.lock: takes no more messages */
	/*
	 * Streams and seqpackets: set once, with a reference, until the file is
	 * released.  Datagrams: under unix_lock.
	 */
	struct unix_socket *peer;
	struct list queue;		/* segments; socket.lock */
	uint32_t queued;		/* what they weigh (streams), or how many (datagrams) */
	uint32_t sent;			/* datagrams: what ours weigh that nobody has taken; atomic */
	/* unix_lock: */
	struct unix_name *name;		/* set once */
	struct path path;		/* of a name in a file system */
	struct unix_socket *hash_next;
	struct list all;
	struct list waiting;		/* listener: not yet accepted ones; those: their place in it */
	uint32_t waiting_count, backlog;
	bool hashed;			/* is found by its name */
	struct waitq senders;		/* who waits for this queue, or a listener's, to get shorter */
	struct list blocked;		/* sockets whose poll waits for that */
	struct list blocked_node;	/* our place among those of our peer */
	struct credentials peer_credentials;
	struct list inflight_node;
	uint32_t inflight, found;	/* how often it is in flight; of that, within garbage */
	bool candidate;
};

static inline struct unix_socket *
unix_of(struct socket *s)
{
	return container_of(s, struct unix_socket, socket);
}

static inline bool unix_stream(const struct unix_socket *u) { return u->socket.type == SOCK_STREAM; }
static inline bool unix_connected_type(const struct unix_socket *u) { return u->socket.type != SOCK_DGRAM; }

/* unix.c */
void unix_get(struct unix_socket *);
void unix_put(struct unix_socket *);
struct unix_name *unix_name_get(struct unix_name *);	/* NULL stays NULL */
void unix_name_put(struct unix_name *);
void unix_name_copy(struct address *, const struct unix_name *);
/* Who has that name, with a reference; ERR_PTR(-ECONNREFUSED and what a path walk says). */
struct unix_socket *unix_find(const struct address *, unsigned type);
long unix_autobind(struct unix_socket *);
bool unix_disconnect(struct unix_socket *, struct unix_socket *was);	/* unix_lock held; true: it was the peer, its reference is the caller's */
bool unix_may_send(const struct unix_socket *from, const struct unix_socket *to);

/* unix_data.c */
void unix_data_init(void);
ssize_t unix_send(struct socket *, struct message *);
ssize_t unix_receive(struct socket *, struct message *);
unsigned unix_poll(struct socket *, struct file *, struct poll_table *);
long unix_queued(struct socket *, bool out);
void unix_segments_free(struct list *);		/* taken out of a queue; no lock held */
void unix_unblock(struct unix_socket *, unsigned count);	/* so many senders, and all pollers, may look again */

#endif
