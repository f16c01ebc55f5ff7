/* SPDX-License-Identifier: MIT */
/*
 * Signals.  Owner: linuxabi/signal.  Locking: sighand->lock (rank 70, irq).
 */
#ifndef LX_SIGNAL_H
#define LX_SIGNAL_H

#include <asm/signal.h>
#include <asm/siginfo.h>
#include "kernel.h"

struct task;
struct process;
struct regs;

typedef uint64_t sigmask_t;		/* bit sig - 1 */
#define SIGMASK(sig)	(1ULL << ((sig) - 1))
enum { NSIG_ = 64 };

struct sigact {				/* the kernel's struct sigaction on arm64 */
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	sigmask_t mask;
};

/* Actions, shared with CLONE_SIGHAND. */
struct sighand {
	refcount_t refs;
	spinlock_t lock;		/* protects the queues of its processes and tasks as well */
	struct sigact action[NSIG_];
	struct waitq signalfd;
};

void signal_init(void);		/* before the first process */

struct sigqueue;			/* one queued siginfo */
struct sigpending {
	sigmask_t set;
	struct list queue;
};

void sigpending_init(struct sigpending *);
void sigpending_flush(struct sigpending *);
struct sighand *sighand_create(void);
struct sighand *sighand_copy(struct sighand *);
void sighand_put(struct sighand *);
void sighand_exec(struct sighand *);	/* handlers to default, ignored stay */

/* Send.  info NULL: SI_KERNEL.  No permission check.  tasklist_lock may be held
 * (rank 60), sighand->lock not.  0 or -EAGAIN (queue limit for real-time signals). */
long signal_send_task(struct task *, int sig, const siginfo_t *info);
long signal_send_process(struct process *, int sig, const siginfo_t *info);
long signal_send_group(int pgid, int sig, const siginfo_t *info);	/* -ESRCH if empty; takes tasklist_lock */
/* Fault of the current task: forced, cannot be blocked or ignored. */
void signal_force(int sig, int code, uint64_t addr);
void signal_kill_task(struct task *);	/* SIGKILL without siginfo, for group exit */

/* Take the next signal in `mask` off current's queues (thread's first); 0 if none.
 * sighand->lock is held. */
int signal_dequeue(struct task *, sigmask_t mask, siginfo_t *info);
/* time/: current dequeued this, and holds no lock: timers that rested until then go on, *info gets the overrun. */
void timer_signal_taken(int sig, siginfo_t *info);
sigmask_t signal_pending_set(struct task *);	/* both queues */
/* Replace current's blocked set (SIGKILL and SIGSTOP are left out). */
void signal_block(sigmask_t blocked);
/* A signal that current would ignore or has blocked (tty: SIGTTOU rules). */
bool signal_ignored_or_blocked(int sig);
/* No member of the group has a parent in the same session but another group. */
bool group_is_orphaned(int pgid);	/* proc/; tasklist_lock held */
/* Called by proc/ with tasklist_lock held when a stopped process' group became orphaned. */

/* TIF_SIGPENDING follows from the queues; recomputed under sighand->lock. */
void signal_recalc(struct task *);
bool signal_fatal_pending(struct task *);	/* SIGKILL is pending or group exit */

/* At the return to EL0 with TIF_SIGPENDING or TIF_RESTORE_MASK: delivers, stops or exits.  Restarts
 * system calls; `syscall` says that regs come from one. */
void signal_deliver(struct regs *, bool syscall);

/* For ppoll, pselect, sigsuspend, epoll_pwait: swap the mask until the return. */
long signal_set_user_mask(uaddr_t mask, size_t size);	/* 0 mask: no change; -EINVAL, -EFAULT */
void signal_restore_mask(void);		/* when the call did not return -EINTR */

#endif
