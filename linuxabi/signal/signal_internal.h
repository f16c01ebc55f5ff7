/* SPDX-License-Identifier: MIT */
/* What the files of linuxabi/signal share. */
#ifndef LX_SIGNAL_INTERNAL_H
#define LX_SIGNAL_INTERNAL_H

#include "task.h"
#include "uaccess.h"

/* Numbers of the handler field (sigaction(2)); UAPI defines them as pointers. */
enum { SIG_DFL_ = 0, SIG_IGN_ = 1 };
enum { SIGRTMIN_ = 32, RLIMIT_SIGPENDING_ = 11 };

#define SIGNALS_UNBLOCKABLE	(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))
#define SIGNALS_STOP \
	(SIGMASK(SIGSTOP) | SIGMASK(SIGTSTP) | SIGMASK(SIGTTIN) | SIGMASK(SIGTTOU))
#define SIGNALS_IGNORED \
	(SIGMASK(SIGCHLD) | SIGMASK(SIGCONT) | SIGMASK(SIGURG) | SIGMASK(SIGWINCH))
#define SIGNALS_SYNCHRONOUS \
	(SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | \
	 SIGMASK(SIGFPE) | SIGMASK(SIGSYS))

/* Locks p's signal state; NULL if the process has none any more. */
struct sighand *sighand_lock(struct process *, uint64_t *flags);
void signal_discard_ignored(struct process *, int sig);

#endif
