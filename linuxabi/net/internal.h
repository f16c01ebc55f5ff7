/* SPDX-License-Identifier: MIT */
/*
 * What the files of net/ share: a socket as the system calls see it, messages
 * with what travels beside their bytes, and the rights in flight.
 *
 * Locks: unix_lock (rank 49; names, who is connected to whom, queues of
 * listeners, counts of rights in flight) outside socket->lock (50; its queue of
 * messages, shutdown, error).  socket->io is a mutex of rank 25: a reader holds
 * it while it touches user memory.
 */
#ifndef LX_NET_INTERNAL_H
#define LX_NET_INTERNAL_H

#include <asm/poll.h>
#include <asm/socket.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/net.h>
#include <linux/un.h>
#include "fs.h"
#include "syscall.h"

enum { SOCK_STREAM = 1, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET = 5 };
enum { AF_UNSPEC_ = 0, AF_UNIX_ = 1, AF_MAX_ = 46 };
enum { SHUT_RECEIVE = 1, SHUT_SEND = 2, SHUT_BOTH = 3 };
enum { ADDRESS_MAX = 128, RIGHTS_MAX = 253, CONTROL_MAX = 20480 };
enum { BUFFER_DEFAULT = 212992, SEND_MIN = 4608, RECEIVE_MIN = 2304 };

/* recv(2), send(2) */
enum {
	MSG_OOB_ = 1, MSG_PEEK_ = 2, MSG_CTRUNC_ = 8, MSG_TRUNC_ = 0x20, MSG_DONTWAIT_ = 0x40, MSG_EOR_ = 0x80,
	MSG_WAITALL_ = 0x100, MSG_ERRQUEUE_ = 0x2000, MSG_NOSIGNAL_ = 0x4000, MSG_WAITFORONE_ = 0x10000,
	MSG_CMSG_CLOEXEC_ = 0x40000000,
};

struct address {
	uint32_t len;
	union {
		uint16_t family;
		struct sockaddr_un un;
		uint8_t bytes[ADDRESS_MAX];
	};
};

/* Who a message or a connection is from: SO_PEERCRED, SCM_CREDENTIALS. */
struct credentials {
	int32_t pid;
	uint32_t uid, gid;
};

/* Open files on their way through a socket. */
struct rights {
	struct rights *next;		/* of those that a task is dropping */
	uint32_t count, uid;
	struct file *file[];
};

/* One message, from a system call's point of view. */
struct message {
	struct uio *data;
	uint32_t flags;			/* MSG_*: what is asked for; receiving adds MSG_TRUNC, MSG_EOR */
	struct address *name;		/* sending: where to; receiving: room for whence; or NULL */
	struct rights *rights;		/* sending: taken if the call succeeds; receiving: the caller's now */
	bool has_credentials;		/* sending: the program gave some; receiving: the socket asks for them */
	struct credentials credentials;
};

struct socket;
struct socket_ops {
	long (*bind)(struct socket *, const struct address *);
	long (*connect)(struct socket *, const struct address *, bool nonblock);
	long (*listen)(struct socket *, int backlog);
	long (*accept)(struct socket *, bool nonblock, struct socket **);	/* a reference that becomes a file's */
	long (*name)(struct socket *, struct address *, bool peer);
	long (*shutdown)(struct socket *, unsigned how);	/* SHUT_RECEIVE, SHUT_SEND */
	ssize_t (*send)(struct socket *, struct message *);
	ssize_t (*receive)(struct socket *, struct message *);
	unsigned (*poll)(struct socket *, struct file *, struct poll_table *);
	long (*queued)(struct socket *, bool out);		/* SIOCINQ, SIOCOUTQ */
	void (*peer_credentials)(struct socket *, struct credentials *);
	void (*release)(struct socket *);			/* its file is gone; drops the file's reference */
};

struct socket {
	const struct socket_ops *ops;
	refcount_t refs;
	uint16_t family, type;
	spinlock_t lock;
	uint32_t shutdown;
	int32_t error;			/* pending, positive: SO_ERROR */
	uint32_t send_buffer, receive_buffer, low_water;
	bool pass_credentials, listening;
	bool keepalive, reuse, reuse_port, broadcast, oob_inline, dont_route, timestamps;
	int32_t priority, mark;
	struct { int32_t on, seconds; } linger;
	uint64_t receive_timeout, send_timeout;		/* ns, UINT64_MAX: none */
	struct waitq readers, writers;
	struct mutex io;
	struct file *file;		/* no reference; NULL: not accepted yet, or closed */
};

/* socket.c */
void socket_setup(struct socket *, const struct socket_ops *, unsigned family, unsigned type);
struct socket *socket_of(const struct file *);		/* NULL: none */
/* The socket behind a descriptor: -EBADF, -ENOTSOCK.  fdref_put follows success. */
long socket_get(int fd, struct fdref *ref, struct socket **s);
long socket_install(struct socket *, unsigned flags);	/* takes the reference, also on failure; a descriptor */
long address_get(struct address *, uaddr_t user, uint64_t len);
long address_put(uaddr_t user, uaddr_t user_len, const struct address *);
int32_t socket_take_error(struct socket *);		/* positive; 0: none */
long socket_wait_error(long r, uint64_t timeout);	/* of task_wait, as the call reports it */
static inline uint64_t
socket_deadline(uint64_t timeout)
{
	return timeout == UINT64_MAX ? timeout : clock_monotonic() + timeout;
}
static inline bool net_capable(unsigned cap) { return (current->cred->cap_effective >> cap & 1) != 0; }

/* rights.c */
extern spinlock_t unix_lock;
struct rights *rights_get(const int *fds, unsigned count);	/* ERR_PTR; count > 0 */
struct rights *rights_copy(const struct rights *);		/* MSG_PEEK; NULL: no memory */
void rights_drop(struct rights *);		/* closes what is in it; NULL is fine; no lock held */
void rights_landed(struct rights *);		/* they are no more in flight, the files are the caller's */
void rights_collect(void);			/* sockets that only sockets in flight refer to */

/* unix.c */
struct socket *unix_create(unsigned type);	/* NULL: no memory */
long unix_pair(struct socket *, struct socket *);
bool unix_is(const struct socket *);
void unix_init(void);

#endif
