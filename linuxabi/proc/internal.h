/* SPDX-License-Identifier: MIT */
/* What the files of linuxabi/proc share. */
#ifndef LX_PROC_INTERNAL_H
#define LX_PROC_INTERNAL_H

#include <asm/resource.h>
#include "fs.h"
#include "futex.h"
#include "mm.h"
#include "task.h"
#include "tty.h"
#include "uaccess.h"

/* <linux/capability.h> */
enum {
	CAP_CHOWN_ = 0, CAP_KILL_ = 5, CAP_SETGID_ = 6, CAP_SETUID_ = 7, CAP_SETPCAP_ = 8,
	CAP_SYS_CHROOT_ = 18, CAP_SYS_PTRACE_ = 19, CAP_SYS_ADMIN_ = 21, CAP_SYS_BOOT_ = 22,
	CAP_SYS_NICE_ = 23, CAP_SYS_RESOURCE_ = 24, CAP_SYSLOG_ = 34, CAP_LAST_ = 40,
};
#define CAP_FULL	((1UL << (CAP_LAST_ + 1)) - 1)

static inline bool
capable(unsigned cap)
{
	return (current->cred->cap_effective >> cap) & 1;
}

/* task.c; "locked" means that tasklist_lock is held. */
int tid_alloc_locked(void);			/* -EAGAIN */
void tid_use_locked(int id);			/* also as a group or session id */
void tid_release_locked(int id);
void task_hash_locked(struct task *);
void task_unhash_locked(struct task *);
struct task *task_find_locked(int tid);
struct process *process_find_locked(int pid);
struct task *task_create(void);			/* with a kernel stack */
struct process *process_create(void);
void process_set_group_locked(struct process *, int pgid);
struct list *group_bucket_locked(int pgid);	/* processes of this and other groups, by group_node */
void process_set_session_locked(struct process *, int sid);
bool tasks_charge(void);				/* one more task, if there may be one */
void tasks_uncharge(void);
void task_uncharge(const struct task *);	/* its number is free again */
extern struct process kernel_process;		/* of kernel threads */

/* cred.c */
bool user_task_charge(uint32_t uid, uint64_t limit);	/* one more, if that is at most the limit */
void user_task_uncharge(uint32_t uid);
void cred_install(struct cred *);		/* becomes current's; takes the reference */
struct cred *cred_prepare(void);		/* a private copy of current's; NULL: no memory */
void cred_exec(struct cred *, const struct file *, bool *secure);

/* fork.c */
struct fork_request {
	uint64_t flags;
	uaddr_t pidfd, child_tid, parent_tid, stack, tls;
	int exit_signal;
};
long do_fork(const struct fork_request *);

/* exec.c */
long exec_init(const char *path);		/* current becomes a program */

/* exit.c */
void task_release_mm(struct task *);		/* vfork's parent goes on */
void process_reap_locked(struct process *);	/* a zombie was waited for; ends its visibility */

/* pidfd.c */
struct file *pidfd_create(struct process *, unsigned flags);	/* ERR_PTR */
struct process *pidfd_process(struct file *);	/* no reference; NULL: not a pidfd */
void pidfd_notify_locked(struct process *);

/* wait.c */
struct rusage;
void rusage_of(const struct usage *, struct rusage *);


#endif
