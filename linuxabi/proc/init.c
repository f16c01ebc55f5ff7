/* SPDX-License-Identifier: MIT */
/* The first process: made by hand, becomes a program through exec like any other. */
#include <linux/fcntl.h>
#include "internal.h"

enum { MIB8 = 8 << 20, NOFILE_SOFT = 1024, NOFILE_HARD = 4096, RL_INIT_STACK = 3, RL_CORE = 4,
    RL_NPROC = 6, RL_NOFILE = 7, RL_MEMLOCK = 8, RL_SIGPENDING = 11, RL_MSGQUEUE = 12,
    RL_NICE = 13, RL_RTPRIO = 14 };

static void
limit_init(struct process *p, unsigned resource, uint64_t soft, uint64_t hard)
{
	p->rlimit_cur[resource] = soft;
	p->rlimit_max[resource] = hard;
}

static void
limits_init(struct process *p)
{
	uint64_t tasks = tasks_max() / 2;

	for (unsigned i = 0; i < RLIMITS; i++)
		limit_init(p, i, UINT64_MAX, UINT64_MAX);
	limit_init(p, RL_INIT_STACK, MIB8, UINT64_MAX);
	limit_init(p, RL_CORE, 0, UINT64_MAX);
	limit_init(p, RL_NPROC, tasks, tasks);
	limit_init(p, RL_NOFILE, NOFILE_SOFT, NOFILE_HARD);
	limit_init(p, RL_MEMLOCK, MIB8, MIB8);
	limit_init(p, RL_SIGPENDING, tasks, tasks);
	limit_init(p, RL_MSGQUEUE, 819200, 819200);
	limit_init(p, RL_NICE, 0, 0);
	limit_init(p, RL_RTPRIO, 0, 0);
}

/* Descriptors 0, 1, 2. */
static void
open_console(void)
{
	struct file *f = file_open(AT_FDCWD, "/dev/console", O_RDWR, 0);

	if (IS_ERR(f)) {
		klog(LOG_WARNING, "init: no /dev/console (%ld)", PTR_ERR(f));
		return;
	}
	for (int i = 0; i < 3; i++) {
		file_get(f);
		if (fd_install(f, 0, false) < 0)
			file_put(f);
	}
	file_put(f);
}

static void
init_main(void *path)
{
	static const char *const others[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };
	long r;

	open_console();
	r = exec_init(path);
	if (r != 0)
		klog(LOG_ERR, "init: cannot run %s (%ld)", (const char *)path, r);
	for (unsigned i = 0; i < ARRAY_LEN(others) && r != 0; i++)
		r = exec_init(others[i]);
	if (r != 0)
		panic("no init found");
	current->kernel_thread = false;
	arch_return_to_user();
}

static void
link_init(struct task *t, struct process *p)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	t->tid = p->pid = tid_alloc_locked();
	process_set_group_locked(p, p->pid);
	process_set_session_locked(p, p->pid);
	p->session_leader = true;
	list_add_tail(&p->threads, &t->thread_node);
	p->thread_count = 1;
	list_add_tail(&process_list, &p->all);
	task_hash_locked(t);
	init_process = p;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	(void)tasks_charge();
	(void)user_task_charge(0, UINT64_MAX);
}

long
process_start_init(const char *path)
{
	struct task *t = task_alloc("init");
	struct process *p = process_create();

	if (t == NULL || p == NULL)
		return -ENOMEM;
	process_get(p);
	t->process = p;
	p->leader = t;
	p->sighand = sighand_create();
	t->files = files_create();
	t->fs = fs_context_copy(current->fs);
	if (p->sighand == NULL || t->files == NULL || t->fs == NULL)
		return -ENOMEM;
	p->exit_signal = SIGCHLD;
	limits_init(p);
	process_timers_init(p);
	arch_task_init(t, init_main, (void *)(uintptr_t)path);
	link_init(t, p);
	sched_start(t);
	return 0;
}
