/* SPDX-License-Identifier: MIT */
/*
 * Tasks (threads) and processes (thread groups).  Owners: scheduling fields
 * linuxabi/sched, life and death linuxabi/proc.
 *
 * Life: task_alloc -> task_start -> (runs) -> task_exit -> zombie (leader) ->
 * reaped by wait -> last task_put frees.  A new task has two references: proc/'s own
 * (dropped when it is unhashed) and its running self's: sched/ calls task_put when it
 * has switched away from a TASK_DEAD task for the last time.  A struct process lives until it is
 * reaped and the last reference is gone.
 */
#ifndef LX_TASK_H
#define LX_TASK_H

#include "arch.h"
#include "heap.h"
#include "kernel.h"
#include "mm.h"
#include "signal.h"
#include "time.h"

struct files;
struct rights;
struct fs_context;
struct tty;

enum { TASK_COMM = 16, KSTACK_ORDER = 2 /* 16 KiB */, MAX_CPUS = 16, PID_MAX = 32768, RLIMITS = 16 };

/* task->state */
enum {
	TASK_RUNNING = 0,		/* running or ready */
	TASK_INTERRUPTIBLE = 1,
	TASK_UNINTERRUPTIBLE = 2,
	TASK_KILLABLE = 4,
	TASK_STOPPED = 8,		/* job control; only SIGCONT or SIGKILL */
	TASK_DEAD = 16,
};
/* task->work: looked at on the way to EL0 (and by entry.S: keep below 16 bits). */
enum {
	TIF_SIGPENDING = 1, TIF_NEED_RESCHED = 2, TIF_RESTORE_MASK = 4, TIF_SYSCALL_TRACE = 8,
	TIF_CPU_TIME = 16,		/* cpu_time_check() */
};

struct cred {				/* immutable once shared */
	refcount_t refs;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	uint32_t ngroups;
	uint32_t groups[32];
	uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	bool no_new_privs;
};
struct cred *cred_copy(const struct cred *);
void cred_put(struct cred *);
static inline bool cred_privileged(const struct cred *c) { return c->cap_effective != 0; }

struct usage {				/* accounting, ns */
	uint64_t user_ns, system_ns;
	uint64_t minflt, majflt, nvcsw, nivcsw;
	uint64_t maxrss_kib;
};

/* ITIMER_VIRTUAL, ITIMER_PROF: ns of the process's time, 0: does not run, once. */
struct cpu_timer {
	uint64_t expires, interval;
};

struct process {
	refcount_t refs;
	int pid;			/* tgid */
	/* task->thread_node: changed with tasklist_lock AND sighand->lock held, so
	 * that either is enough to walk it. */
	struct list threads;
	unsigned thread_count;
	struct task *leader;
	struct process *parent;		/* tasklist_lock */
	int ppid;			/* its number, 0: none; read without the lock */
	struct list children, sibling;
	struct list all;		/* every process */
	int pgid, sid;			/* tasklist_lock */
	struct list group_node, session_node;
	bool session_leader;
	struct tty *tty;		/* controlling terminal; tasklist_lock */
	int exit_code;			/* as wait4 reports it */
	bool zombie, group_exit, reaped;
	int group_exit_code;
	bool did_exec, dumpable, child_subreaper;
	int exit_signal;		/* to the parent; leader's */

	struct sighand *sighand;
	struct sigpending shared_pending;
	struct waitq child_wait;	/* wait4 sleeps here */
	/* Job control. */
	bool stopped, stop_reported, continued;
	int stop_signal;
	unsigned stop_count;		/* threads still to stop */
	bool continue_notify;		/* signal/: tell the parent that it goes on */
	uint32_t sigqueue_count;	/* queued siginfos, RLIMIT_SIGPENDING */

	uint64_t rlimit_cur[RLIMITS], rlimit_max[RLIMITS];
	struct usage dead_threads, children_usage;
	uint64_t start_ns;		/* CLOCK_MONOTONIC */
	struct timer itimer_real;
	uint64_t itimer_real_interval;
	struct cpu_timer cpu_timer[2];
	bool cpu_watched;		/* it has one of these, or RLIMIT_CPU: time/cpu_timer.c */
	struct list posix_timers;
	void *tracer;			/* ptrace: reserved */
	struct task *exec_task;		/* it ends all other threads; tasklist_lock */
	struct waitq exit_wait;		/* woken at each end of a thread: exec; and of the process: pidfds */
	int oom_score_adj;
	bool oom_victim;
};

struct task {
	/* arch.h and entry.S know the offsets of these first ones. */
	struct regs *regs;		/* saved user registers, top of the kernel stack */
	void *kstack;
	uint32_t work;			/* TIF_* */
	uint32_t cpu;			/* where it runs or last ran */
	struct arch_context context;	/* callee-saved registers of a switched-out task */
	struct arch_fp fp;
	uint64_t tpidr_el0;

	refcount_t refs;
	uint32_t state;			/* changed by current, or under the run queue lock */
	bool on_cpu;			/* its stack is in use */
	/* sched */
	struct heap_node run_node;	/* run queue, by vruntime */
	int8_t nice;
	bool kernel_thread, idle;
	bool queued;
	uint64_t vruntime, slice_used;
	uint64_t exec_total;		/* ns that it ran */
	uint64_t samples_user, samples_system;
	struct mm *mm_active;		/* loaded in TTBR0 while it runs */
	uint8_t file_access;		/* FADV_* of the file that it reads now (fs/disk_pages.c) */
	bool yielding;
	bool leaves;			/* switching away to a CPU that it may run on */
	uint64_t affinity;
	uint64_t wake_deadline;		/* of task_wait */
	int policy, rt_priority;
	uint16_t ioprio;		/* class << 13 | level; 0: none of its own */

	int tid;
	char comm[TASK_COMM];
	struct process *process;
	struct list thread_node;
	struct list tid_node;
	struct mm *mm;			/* NULL: kernel thread */
	struct files *files;
	struct fs_context *fs;
	struct cred *cred;

	/* signals: sighand->lock */
	struct sigpending pending;
	sigmask_t blocked, saved_mask;
	sigmask_t waited;		/* sigtimedwait: unblocked only to be woken, not to be dropped */
	uint64_t sigalt_sp, sigalt_size;
	uint32_t sigalt_flags;
	bool stop_wanted;
	long (*restart_fn)(struct task *);	/* restart_syscall */
	uint64_t restart_args[6];

	uaddr_t set_child_tid, clear_child_tid, robust_list;
	struct completion *vfork_done;
	struct usage usage;
	uint64_t start_ns;
	uint64_t account_start;		/* ticks at the last user/system change */
	int syscall_nr;			/* the one it is in; -1: none */
	int exit_code;
	void *futex;			/* private to futex */
	struct list robust_pi;
	uint32_t personality;
	int pdeath_signal;
	struct rights *rights_dying;	/* net/: rights that it is dropping; NULL: none */
	bool process_weak;		/* process/: the hold on ->process was dropped */
};

/* The current task: TPIDR_EL1 holds it, in EL0 as well (arch.h). */
#define current	(arch_current())

static inline bool
signal_pending(void)
{
	return (__atomic_load_n(&current->work, __ATOMIC_RELAXED) & TIF_SIGPENDING) != 0;
}

extern spinlock_t tasklist_lock;	/* rank 60, irq */
extern struct list process_list;	/* process->all */
extern struct process *init_process;

/* Lookups; task_find and process_find return a reference. */
struct task *task_find(int tid);
struct process *process_find(int pid);
void task_get(struct task *);
void task_put(struct task *);
void process_get(struct process *);
void process_put(struct process *);

/* proc/ */
void proc_init(void);				/* caches, tid table; before the first kthread */
struct task *task_alloc(const char *name);	/* fields set for a kernel thread; no tid yet */
struct cred *cred_init_root(void);
struct task *kthread_create(const char *name, void (*fn)(void *), void *arg);	/* ready to run */
void task_exit(int code) __attribute__((noreturn));	/* this thread */
void process_exit(int code) __attribute__((noreturn));	/* exit_group; code as wait4 reports it */
void task_check_exit(void);			/* on the way to EL0: leave if the group exits */
bool process_kill_others(void);			/* exec: end all other threads, wait for them */
void process_notify_parent(struct process *);	/* SIGCHLD and wake-up; tasklist_lock held */
long process_start_init(const char *path);	/* pid 1 */
struct new_utsname;
void uts_copy(struct new_utsname *);		/* uname, /proc/sys/kernel/{hostname,osrelease,version} */
void uts_set_nodename(const char *);
unsigned tasks_count(void);			/* threads of all programs */
unsigned tasks_max(void);
bool cred_may_signal(const struct task *target, int sig);	/* tasklist_lock is held: it keeps the target's cred */
struct cred *cred_of_task(const struct task *);	/* with a reference; tasklist_lock is not held */
bool task_may_signal(const struct task *target, int sig);	/* the same for who does not hold it */
bool process_may_signal(const struct process *, int sig);	/* and of its leader, which exec may replace */
uint64_t rlimit(unsigned resource);		/* current's soft limit */

/* What other folders keep in a process; weak and empty in proc/hooks.c. */
void process_timers_init(struct process *);	/* time/: itimer_real, posix_timers of a new process */
void process_timers_exit(struct process *);	/* it ends: cancel and free; no locks */
void process_cpu_limit_changed(struct process *);	/* its RLIMIT_CPU is another one */
void cpu_time_check(void);		/* TIF_CPU_TIME of current; task context, no locks */
void process_timers_exec(struct process *);	/* POSIX timers go, the interval timer stays */

/* sched/ */
void sched_init(void);
void sched_init_cpu(void);			/* on each CPU; current is its idle task */
void sched_idle(void) __attribute__((noreturn));
void sched_start_load(void);			/* begin to sample the load average */
void schedule(void);				/* give the CPU away according to current->state */
void sched_set_affinity(struct task *, uint64_t mask);
void sched_set_nice(struct task *, int nice);
void sched_start(struct task *);		/* a new task becomes ready */
bool task_wake(struct task *);			/* from any sleep but STOPPED; true if it slept */
bool task_wake_state(struct task *, unsigned states);
void task_kick(struct task *);			/* make it pass through the return to EL0 soon */
void sched_tick(void);
void cond_resched(void);
unsigned cpu_count(void);
#if !defined(__aarch64__) || defined(HOST_TEST)
unsigned cpu_id(void);
#else
static inline unsigned cpu_id(void) { return current->cpu; }
#endif
uint64_t sched_idle_ns(unsigned cpu);
uint64_t sched_stolen_ns(unsigned cpu);
void sched_loadavg(uint64_t out[3]);		/* fixed point, 1 << 16 */
unsigned sched_running(void);
uint64_t sched_switches(void);
void usage_task(struct task *, struct usage *);	/* up to now */
void usage_process(struct process *, struct usage *);
void usage_add(struct usage *, const struct usage *);

#endif
